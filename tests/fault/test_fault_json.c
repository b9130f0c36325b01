/* JSON without memory: a value is lost, and writing says so. */
#include "core/error.h"
#include "core/json.h"
#include "tests/fault/fault.h"
#include "tests/t.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char text[] = "{\"list\":[1,2.5,\"three\",null,true],\"object\":{\"a\":\"b\"},"
                           "\"long\":\"0123456789012345678901234567890123456789\"}";

struct parsing {
    const char *text;
    struct clv_json *value;
};

static int parse(void *payload)
{
    struct parsing *parsing = payload;
    parsing->value = NULL;
    return clv_json_parse(&parsing->value, parsing->text, strlen(parsing->text), "the text");
}

static void check_parsed(void *payload, int status)
{
    struct parsing *parsing = payload;
    CHECK(status == CLV_OK || status == CLV_ENOMEM);
    CHECK((parsing->value != NULL) == (status == CLV_OK));
    if (status == CLV_OK) {
        struct clv_bytes out = {0};
        CHECK_OK(clv_json_write(&out, parsing->value, false));
        CHECK_STRING(out.data, parsing->text);
        clv_bytes_release(&out);
    } else {
        CHECK(strstr(clv_error_message(), "out of memory") != NULL);
    }
    clv_json_free(parsing->value);
}

static void parse_each(const char *of)
{
    struct parsing parsing = {.text = of};
    fault_each(&(struct fault_case){.name = of,
                                    .kinds = FAULT_MEMORY,
                                    .operate = parse,
                                    .check = check_parsed,
                                    .payload = &parsing});
}

static void parsing_gives_all_or_nothing(void)
{
    parse_each(text);
}

/* Whatever stands where memory runs out: within a string, an escape or a number, or at its end. */
static void parsing_may_end_anywhere(void)
{
    static const char *const ends[] = {"\"", "\\n\"", "\\\"\"", "\\u0001\"", "\xc3\xa9\""};
    char of[128];
    for (int length = 8; length < 70 && !t_failed(); length++) {
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
            snprintf(of, sizeof of, "[\"%.*s%s,7]", length,
                     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                     ends[i]);
            parse_each(of);
        }
        if (length < 18) {
            snprintf(of, sizeof of, "[%.*s,true]", length, "123456789012345678");
            parse_each(of);
        }
    }
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
    T_RUN(parsing_may_end_anywhere);
    T_RUN(writing_says_what_was_lost);
    return t_end();
}
