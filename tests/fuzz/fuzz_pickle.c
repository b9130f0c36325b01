/* Any bytes as a pickle: read or refused; every value of the result can be visited. */
#include "core/model/pickle.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t visits;

static unsigned touch_text(const struct clv_pickle_text *text)
{
    unsigned sum = 0;
    for (size_t i = 0; i < text->size_bytes; i++)
        sum += (unsigned char)text->data[i];
    return sum;
}

static unsigned touch(const struct clv_pickle_value *value, int depth)
{
    unsigned sum = 0;
    if (!value || depth > 64 || visits == 0)
        return 0;
    visits--;
    switch (value->kind) {
    case CLV_PICKLE_TEXT:
    case CLV_PICKLE_BYTES:
    case CLV_PICKLE_BIG:
        return touch_text(&value->text);
    case CLV_PICKLE_GLOBAL:
        return touch_text(value->global.module) + touch_text(value->global.name);
    case CLV_PICKLE_TUPLE:
    case CLV_PICKLE_LIST:
    case CLV_PICKLE_SET:
    case CLV_PICKLE_DICT:
        if (value->kind == CLV_PICKLE_DICT && value->items.count % 2)
            abort();
        for (size_t i = 0; i < value->items.count; i++)
            sum += touch(value->items.at[i], depth + 1);
        return sum;
    case CLV_PICKLE_RECORD:
        if (!value->record->callable || value->record->arguments->kind != CLV_PICKLE_TUPLE)
            abort();
        sum += touch(value->record->callable, depth + 1);
        sum += touch(value->record->arguments, depth + 1);
        sum += touch(value->record->keywords, depth + 1);
        sum += touch(value->record->state, depth + 1);
        sum += touch(value->record->list, depth + 1);
        return sum + touch(value->record->dict, depth + 1);
    case CLV_PICKLE_PERSISTENT:
        return touch(value->id, depth + 1);
    default:
        return (unsigned)value->integer;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct clv_pickle *pickle;
    size_t used = 0;
    if (clv_pickle_open(&pickle, data, size, &used, "fuzz") == 0) {
        if (used > size || clv_pickle_value_count(pickle) > 2 * size)
            abort();
        visits = 100000;
        volatile unsigned kept = touch(clv_pickle_root(pickle), 0);
        (void)kept;
    }
    clv_pickle_close(pickle);
    return 0;
}
