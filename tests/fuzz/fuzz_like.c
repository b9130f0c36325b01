/* FILE@TIME-TIME and times as people type them. The first byte says which '@' end existing names;
 * the rest is the text. */
#include "core/time.h"
#include "query/like.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A name exists by the parity of its length and the input's first byte. */
static bool exists(const char *path, void *payload)
{
    const uint8_t *rule = payload;
    return strlen(path) % 4 == *rule % 4u;
}

static void check(bool holds)
{
    if (!holds)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 4096)
        return 0;
    uint8_t rule = data[0];
    char *text = malloc(size);
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';

    struct clv_like like;
    if (clv_like_parse_with(&like, text, exists, &rule) == 0) {
        size_t length = strlen(like.path);
        check(exists(like.path, &rule));
        check(strncmp(text, like.path, length) == 0);
        check(like.has_start == (text[length] != '\0'));
        check(!like.has_start || (text[length] == '@' && like.start_ms >= 0));
        check(!like.has_end || (like.has_start && like.end_ms > like.start_ms));
    }
    clv_like_release(&like);

    int64_t time_ms = -1, again_ms = -1;
    if (clv_time_parse(&time_ms, text) == 0) {
        char shown[CLV_TIME_TEXT_SIZE];
        check(time_ms >= 0);
        check(clv_time_parse(&again_ms, clv_time_format(shown, time_ms)) == 0);
        check(again_ms == time_ms);
        struct clv_like_window windows[CLV_LIKE_WINDOW_MAX];
        int count = clv_like_windows(windows, 0, time_ms + 1);
        check(count >= 1 && count <= CLV_LIKE_WINDOW_MAX);
        check(windows[count - 1].start_ms + windows[count - 1].length_ms <= time_ms + 1);
    }
    free(text);
    return 0;
}
