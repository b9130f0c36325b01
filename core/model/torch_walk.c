/* From the pickled object to names: what state_dict() would call each tensor. */
#include "core/bytes.h"
#include "core/error.h"
#include "core/log.h"
#include "core/model/torch.h"
#include "core/unicode.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 128
#define PATH_BYTES_MAX 1024
/* Every value may be reached by some paths (shared parameters), but not by exponentially many. */
#define VISITS_PER_VALUE 16

struct walk {
    struct clv_torch *torch;
    struct clv_bytes path;
    size_t visits_left;
    int depth;
};

static int visit(struct walk *w, struct clv_pickle_value *value);

int clv_torch_grow(void *array, size_t *capacity, size_t count, size_t size_bytes)
{
    if (count < *capacity)
        return CLV_OK;
    size_t wanted = *capacity ? *capacity * 2 : 64;
    void *grown = reallocarray(*(void **)array, wanted, size_bytes);
    if (!grown)
        return clv_fail_memory("the table of tensors");
    *(void **)array = grown;
    *capacity = wanted;
    return CLV_OK;
}

/* Counts work against the bound, so that shared objects cannot make it explode. */
static int spend(struct walk *w, size_t count)
{
    if (count > w->visits_left)
        return clv_fail(CLV_ECORRUPT, "'%s' repeats the same objects too many times",
                        w->torch->path);
    w->visits_left -= count;
    return CLV_OK;
}

static const char *path_of(const struct walk *w)
{
    return w->path.size_bytes ? w->path.data : "";
}

static int skip(struct walk *w, const char *name, const char *reason)
{
    struct clv_torch *torch = w->torch;
    int status = clv_torch_grow(&torch->skipped, &torch->skipped_capacity, torch->skipped_count,
                                sizeof *torch->skipped);
    char *copy = status == CLV_OK ? clv_pool_text(&torch->pool, name, strlen(name)) : NULL;
    if (!copy)
        return CLV_ENOMEM;
    torch->skipped[torch->skipped_count++] = (struct clv_torch_skipped){copy, reason};
    clv_log(CLV_LOG_INFO, "'%s': '%s' is not read: %s", torch->path, name, reason);
    return CLV_OK;
}

static int add_tensor(struct walk *w, const struct clv_pickle_value *value)
{
    struct clv_torch *torch = w->torch;
    struct clv_torch_tensor tensor;
    const char *reason;
    /* An object that is itself a tensor has no name. */
    const char *name = w->path.size_bytes ? w->path.data : "tensor";
    int status = clv_torch_tensor_parse(&tensor, &reason, torch->path, name, value);
    if (status != CLV_OK)
        return status;
    if (reason)
        return skip(w, name, reason);
    status = clv_torch_grow(&torch->tensors, &torch->tensor_capacity, torch->tensor_count,
                            sizeof *torch->tensors);
    tensor.entry.name = status == CLV_OK ? clv_pool_text(&torch->pool, name, strlen(name)) : NULL;
    if (!tensor.entry.name)
        return CLV_ENOMEM;
    torch->tensors[torch->tensor_count++] = tensor;
    return CLV_OK;
}

static int add_setting(struct walk *w, const char *text, size_t size_bytes)
{
    struct clv_torch *torch = w->torch;
    if (memchr(text, '\0', size_bytes))
        return CLV_OK;
    int status = clv_torch_grow(&torch->settings, &torch->setting_capacity, torch->setting_count,
                                sizeof *torch->settings);
    if (status != CLV_OK)
        return status;
    char *path = clv_pool_text(&torch->pool, path_of(w), w->path.size_bytes);
    char *value = path ? clv_pool_text(&torch->pool, text, size_bytes) : NULL;
    if (!value)
        return CLV_ENOMEM;
    torch->settings[torch->setting_count++] = (struct clv_torch_setting){path, value};
    return CLV_OK;
}

/* The shortest of two precisions that reads back as the same number. */
static int add_number(struct walk *w, double number)
{
    char text[40];
    snprintf(text, sizeof text, "%.15g", number);
    if (strtod(text, NULL) != number)
        snprintf(text, sizeof text, "%.17g", number);
    return add_setting(w, text, strlen(text));
}

static int add_scalar(struct walk *w, const struct clv_pickle_value *value)
{
    char text[32];
    switch (value->kind) {
    case CLV_PICKLE_BOOL:
        snprintf(text, sizeof text, "%s", value->boolean ? "true" : "false");
        return add_setting(w, text, strlen(text));
    case CLV_PICKLE_INTEGER:
        snprintf(text, sizeof text, "%" PRId64, value->integer);
        return add_setting(w, text, strlen(text));
    case CLV_PICKLE_NUMBER:
        return add_number(w, value->number);
    case CLV_PICKLE_TEXT:
        return add_setting(w, value->text.data, value->text.size_bytes);
    default:
        return CLV_OK;
    }
}

/* UTF-8 of some length without NULs, as names in every format claverdb writes must be. */
static bool is_name(const struct clv_pickle_text *text)
{
    if (text->size_bytes > PATH_BYTES_MAX)
        return false;
    for (size_t at = 0; at < text->size_bytes;) {
        uint32_t code_point;
        size_t taken = clv_unicode_decode(&code_point, text->data + at, text->size_bytes - at);
        if (taken == 0 || code_point == 0)
            return false;
        at += taken;
    }
    return true;
}

/* Visits `value` with `key` added to the path. */
static int visit_under(struct walk *w, const struct clv_pickle_value *key,
                       struct clv_pickle_value *value)
{
    char digits[32];
    struct clv_pickle_text text = {digits, 0};
    size_t kept = w->path.size_bytes;
    int status = spend(w, 1);
    if (status != CLV_OK)
        return status;
    if (key->kind == CLV_PICKLE_INTEGER)
        text.size_bytes = (size_t)snprintf(digits, sizeof digits, "%" PRId64, key->integer);
    else if ((key->kind == CLV_PICKLE_TEXT || key->kind == CLV_PICKLE_BYTES) && is_name(&key->text))
        text = key->text;
    else
        return clv_torch_is_tensor(value) ? skip(w, path_of(w), "its key is no name") : CLV_OK;
    if (text.size_bytes + kept + 1 > PATH_BYTES_MAX)
        return skip(w, path_of(w), "the name of what is in it is too long");
    if (kept)
        clv_bytes_text(&w->path, ".");
    clv_bytes_add(&w->path, text.data, text.size_bytes);
    if (w->path.status != CLV_OK)
        return w->path.status;
    status = visit(w, value);
    w->path.size_bytes = kept;
    w->path.data[kept] = '\0';
    return status;
}

static int visit_dict(struct walk *w, const struct clv_pickle_value *dict)
{
    int status = CLV_OK;
    if (!dict || dict->kind != CLV_PICKLE_DICT)
        return CLV_OK;
    for (size_t i = 0; i + 1 < dict->items.count && status == CLV_OK; i += 2)
        status = visit_under(w, dict->items.at[i], dict->items.at[i + 1]);
    return status;
}

static int visit_list(struct walk *w, const struct clv_pickle_value *list)
{
    int status = CLV_OK;
    for (size_t i = 0; i < list->items.count && status == CLV_OK; i++) {
        struct clv_pickle_value index = {.kind = CLV_PICKLE_INTEGER, .integer = (int64_t)i};
        status = visit_under(w, &index, list->items.at[i]);
    }
    return status;
}

/* [(key, value), …], an argument of OrderedDict. */
static int visit_pairs(struct walk *w, const struct clv_pickle_value *pairs)
{
    int status = CLV_OK;
    for (size_t i = 0; status == CLV_OK; i++) {
        const struct clv_pickle_value *pair = clv_pickle_item(pairs, i);
        struct clv_pickle_value *key = clv_pickle_item(pair, 0), *value = clv_pickle_item(pair, 1);
        if (!pair)
            break;
        if (key && value)
            status = visit_under(w, key, value);
    }
    return status;
}

/* The dict of a plain dict or of an OrderedDict. */
static const struct clv_pickle_value *dict_of(const struct clv_pickle_value *value)
{
    if (value && value->kind == CLV_PICKLE_RECORD)
        return value->record->dict;
    return value && value->kind == CLV_PICKLE_DICT ? value : NULL;
}

/* The items of set([…]); NULL where it is no set. */
static const struct clv_pickle_value *set_of(const struct clv_pickle_value *set)
{
    if (set && set->kind == CLV_PICKLE_RECORD)
        set = set->record->list ? set->record->list : clv_pickle_item(set->record->arguments, 0);
    return set && (set->kind == CLV_PICKLE_LIST || set->kind == CLV_PICKLE_SET) ? set : NULL;
}

static bool is_member(const struct clv_pickle_value *set, const struct clv_pickle_value *name)
{
    if (!set || name->kind != CLV_PICKLE_TEXT)
        return false;
    for (size_t i = 0; i < set->items.count; i++) {
        const struct clv_pickle_value *one = set->items.at[i];
        if (one->kind == CLV_PICKLE_TEXT && one->text.size_bytes == name->text.size_bytes &&
            memcmp(one->text.data, name->text.data, name->text.size_bytes) == 0)
            return true;
    }
    return false;
}

/* A pickled torch.nn.Module: parameters, persistent buffers, then the modules in it. */
static int visit_module(struct walk *w, const struct clv_pickle_value *state)
{
    int status = visit_dict(w, dict_of(clv_pickle_get(state, "_parameters")));
    const struct clv_pickle_value *buffers = dict_of(clv_pickle_get(state, "_buffers"));
    const struct clv_pickle_value *passing =
        set_of(clv_pickle_get(state, "_non_persistent_buffers_set"));
    for (size_t i = 0; buffers && i + 1 < buffers->items.count && status == CLV_OK; i += 2) {
        status = spend(w, 1 + (passing ? passing->items.count / 64 : 0));
        if (status == CLV_OK && !is_member(passing, buffers->items.at[i]))
            status = visit_under(w, buffers->items.at[i], buffers->items.at[i + 1]);
    }
    if (status == CLV_OK)
        status = visit_dict(w, dict_of(clv_pickle_get(state, "_modules")));
    for (size_t i = 0; i + 1 < state->items.count && status == CLV_OK; i += 2) {
        struct clv_pickle_value *value = state->items.at[i + 1];
        if (value->kind >= CLV_PICKLE_BOOL && value->kind <= CLV_PICKLE_TEXT)
            status = visit_under(w, state->items.at[i], value);
    }
    return status;
}

static int visit_record(struct walk *w, const struct clv_pickle_record *record)
{
    const struct clv_pickle_value *state = record->state;
    const struct clv_pickle_value *callable = record->callable;
    if (callable->kind == CLV_PICKLE_GLOBAL && callable->global.module->size_bytes == 17 &&
        memcmp(callable->global.module->data, "torch.jit._pickle", 17) == 0) {
        struct clv_pickle_value *typed = clv_pickle_item(record->arguments, 0);
        return typed ? visit(w, typed) : CLV_OK;
    }
    if (record->dict)
        return visit_dict(w, record->dict);
    if (record->list)
        return visit_list(w, record->list);
    if (clv_pickle_is_global(callable, "collections", "OrderedDict"))
        return visit_pairs(w, clv_pickle_item(record->arguments, 0));
    /* With __slots__ the state is a pair, the dict first. */
    if (state && state->kind == CLV_PICKLE_TUPLE && state->items.count == 2)
        state = state->items.at[0];
    if (!state || state->kind != CLV_PICKLE_DICT)
        return CLV_OK;
    int status = spend(w, state->items.count);
    if (status != CLV_OK)
        return status;
    if (clv_pickle_get(state, "_parameters") && clv_pickle_get(state, "_modules"))
        return visit_module(w, state);
    return visit_dict(w, state);
}

static int visit_container(struct walk *w, struct clv_pickle_value *value)
{
    if (value->kind == CLV_PICKLE_DICT)
        return visit_dict(w, value);
    if (value->kind == CLV_PICKLE_RECORD)
        return visit_record(w, value->record);
    return visit_list(w, value);
}

static int visit(struct walk *w, struct clv_pickle_value *value)
{
    switch (value->kind) {
    case CLV_PICKLE_TUPLE:
    case CLV_PICKLE_LIST:
    case CLV_PICKLE_DICT:
    case CLV_PICKLE_RECORD:
        break;
    default:
        return add_scalar(w, value);
    }
    if (clv_torch_is_tensor(value))
        return add_tensor(w, value);
    if (value->busy)
        return skip(w, path_of(w), "it contains itself");
    if (w->depth == DEPTH_MAX)
        return skip(w, path_of(w), "it is nested too deeply");
    value->busy = true;
    w->depth++;
    int status = visit_container(w, value);
    w->depth--;
    value->busy = false;
    return status;
}

static int compare_settings(const void *left, const void *right)
{
    const struct clv_torch_setting *a = left, *b = right;
    return strcmp(a->path, b->path);
}

int clv_torch_walk(struct clv_torch *torch, struct clv_pickle_value *root, size_t value_count)
{
    struct walk w = {.torch = torch, .visits_left = VISITS_PER_VALUE * value_count + 16};
    int status = visit(&w, root);
    clv_bytes_release(&w.path);
    if (status == CLV_OK && torch->setting_count)
        qsort(torch->settings, torch->setting_count, sizeof *torch->settings, compare_settings);
    return status;
}

const char *clv_torch_setting(const struct clv_torch *torch, const char *path)
{
    const struct clv_torch_setting wanted = {.path = path};
    const struct clv_torch_setting *found =
        torch->setting_count ? bsearch(&wanted, torch->settings, torch->setting_count,
                                       sizeof *torch->settings, compare_settings)
                             : NULL;
    return found ? found->value : NULL;
}
