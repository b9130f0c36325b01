/* JSON without memory: a value is lost, and writing says so. */
#include "core/error.h"
#include "core/json.h"
#include "tests/fault/fault.h"
#include "tests/t.h"

#include <math.h>
#include <string.h>

static const char text[] = "{\"list\":[1,2.5,\"three\",null,true],\"object\":{\"a\":\"b\"},"
                           "\"long\":\"0123456789012345678901234567890123456789\"}";

static int parse(void *payload)
{
    struct clv_json **value = payload;
    *value = NULL;
    return clv_json_parse(value, text, sizeof text - 1, "the text");
}

static void check_parsed(void *payload, int status)
{
    struct clv_json **value = payload;
    CHECK(status == CLV_OK || status == CLV_ENOMEM);
    CHECK((*value != NULL) == (status == CLV_OK));
    if (status == CLV_OK) {
        struct clv_bytes out = {0};
        CHECK_OK(clv_json_write(&out, *value, false));
        CHECK_STRING(out.data, text);
        clv_bytes_release(&out);
    }
    clv_json_free(*value);
}

static void parsing_gives_all_or_nothing(void)
{
    struct clv_json *value = NULL;
    fault_each(&(struct fault_case){.name = "parse",
                                    .kinds = FAULT_MEMORY,
                                    .operate = parse,
                                    .check = check_parsed,
                                    .payload = &value});
}

/* Makes what `text` says out of single values. */
static int build_and_write(void *payload)
{
    struct clv_bytes *out = payload;
    struct clv_json *root = clv_json_object(), *list = clv_json_array();
    struct clv_json *object = clv_json_object();
    clv_json_append_integer(list, 1);
    clv_json_append_number(list, 2.5);
    clv_json_append_string(list, "three");
    clv_json_append_number(list, (double)INFINITY);
    struct clv_json *flag = clv_json_object();
    clv_json_put_bool(flag, "yes", true);
    clv_json_append(list, flag);
    clv_json_put(root, "list", list);
    clv_json_put_string(object, "a", "b");
    clv_json_put(root, "object", object);
    clv_json_put_string(root, "path", "bytes \xff that are not UTF-8");
    for (int i = 0; i < 20; i++) {
        char key[8] = {'k', (char)('a' + i)};
        clv_json_put_integer(root, key, i);
    }
    int status = clv_json_write(out, root, true);
    clv_json_free(root);
    return status;
}

static void check_written(void *payload, int status)
{
    struct clv_bytes *out = payload;
    CHECK(status == CLV_OK || status == CLV_ENOMEM);
    if (status == CLV_OK) {
        struct clv_json *back = NULL;
        CHECK_OK(clv_json_parse(&back, out->data, out->size_bytes, "what was written"));
        CHECK_INT(clv_json_count(back), 23);
        CHECK_INT(clv_json_count(clv_json_get(back, "list")), 5);
        CHECK_INT(clv_json_integer(clv_json_get(back, "kt"), -1), 19);
        CHECK_STRING(clv_json_string(clv_json_get(back, "path"), NULL, NULL),
                     "bytes \xef\xbf\xbd that are not UTF-8");
        clv_json_free(back);
    }
    clv_bytes_release(out);
}

static void writing_says_what_was_lost(void)
{
    struct clv_bytes out = {0};
    fault_each(&(struct fault_case){.name = "build and write",
                                    .kinds = FAULT_MEMORY,
                                    .operate = build_and_write,
                                    .check = check_written,
                                    .payload = &out});
}

int main(void)
{
    T_RUN(parsing_gives_all_or_nothing);
    T_RUN(writing_says_what_was_lost);
    return t_end();
}
