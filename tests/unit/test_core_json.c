/* Reading and writing JSON. */
#include "core/error.h"
#include "core/json.h"
#include "tests/t.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct clv_json *parsed(const char *text)
{
    struct clv_json *value = NULL;
    CHECK_OK(clv_json_parse(&value, text, strlen(text), "the text"));
    return value;
}

static void check_written(struct clv_json *value, bool pretty, const char *want)
{
    struct clv_bytes out = {0};
    CHECK_OK(clv_json_write(&out, value, pretty));
    CHECK_STRING(out.data, want);
    clv_bytes_release(&out);
}

static void values_are_read(void)
{
    struct clv_json *root = parsed(
        "{\"a\": [1, -2.5, \"x\\u0000y\", true, false, null, 9223372036854775807], \"b\": {}}");
    const struct clv_json *a = clv_json_get(root, "a");
    CHECK_INT(clv_json_kind(root), CLV_JSON_OBJECT);
    CHECK_INT(clv_json_count(root), 2);
    CHECK_INT(clv_json_kind(a), CLV_JSON_ARRAY);
    CHECK_INT(clv_json_count(a), 7);
    CHECK_INT(clv_json_integer(clv_json_at(a, 0), -1), 1);
    CHECK_NEAR(clv_json_number(clv_json_at(a, 0), 0), 1.0, 0);
    CHECK_NEAR(clv_json_number(clv_json_at(a, 1), 0), -2.5, 0);
    CHECK_INT(clv_json_kind(clv_json_at(a, 1)), CLV_JSON_REAL);
    size_t size = 0;
    const char *text = clv_json_string(clv_json_at(a, 2), &size, NULL);
    CHECK(size == 3 && memcmp(text, "x\0y", 4) == 0);
    CHECK(clv_json_bool(clv_json_at(a, 3), false));
    CHECK(!clv_json_bool(clv_json_at(a, 4), true));
    CHECK_INT(clv_json_kind(clv_json_at(a, 5)), CLV_JSON_NULL);
    CHECK_INT(clv_json_integer(clv_json_at(a, 6), 0), INT64_MAX);
    clv_json_free(root);
}

static void missing_values_give_the_fallback(void)
{
    struct clv_json *root = parsed("{\"a\": \"text\"}");
    const struct clv_json *deep = clv_json_get(clv_json_at(clv_json_get(root, "no"), 3), "x");
    CHECK(deep == NULL);
    CHECK_INT(clv_json_kind(deep), CLV_JSON_NONE);
    CHECK_INT(clv_json_count(deep), 0);
    CHECK_INT(clv_json_integer(deep, 7), 7);
    CHECK_NEAR(clv_json_number(deep, 0.5), 0.5, 0);
    CHECK(clv_json_bool(deep, true));
    CHECK_STRING(clv_json_string(deep, NULL, "none"), "none");
    size_t size = 9;
    CHECK(clv_json_string(deep, &size, NULL) == NULL && size == 0);
    const struct clv_json *text = clv_json_get(root, "a");
    CHECK_INT(clv_json_integer(text, 7), 7);
    CHECK_INT(clv_json_count(text), 0);
    CHECK(clv_json_get(text, "x") == NULL && clv_json_at(text, 0) == NULL);
    CHECK(clv_json_at(root, 0) == NULL);
    clv_json_free(root);
    clv_json_free(NULL);
}

static int collect(const char *key, const struct clv_json *value, void *payload)
{
    clv_bytes_format(payload, "%s=%d,", key, (int)clv_json_integer(value, -1));
    return strcmp(key, "m") == 0 ? 42 : 0;
}

static void members_come_in_order(void)
{
    struct clv_bytes seen = {0};
    struct clv_json *root = parsed("{\"z\": 1, \"a\": 2, \"b\": 3}");
    CHECK_INT(clv_json_members(root, collect, &seen), 0);
    CHECK_STRING(seen.data, "z=1,a=2,b=3,");
    clv_json_free(root);
    clv_bytes_clear(&seen);
    root = parsed("{\"l\": 1, \"m\": 2, \"n\": 3}");
    CHECK_INT(clv_json_members(root, collect, &seen), 42);
    CHECK_STRING(seen.data, "l=1,m=2,");
    CHECK_INT(clv_json_members(clv_json_get(root, "l"), collect, &seen), 0);
    CHECK_INT(clv_json_members(NULL, collect, &seen), 0);
    clv_json_free(root);
    clv_bytes_release(&seen);
}

static void broken_text_is_refused(void)
{
    static const char *const broken[] = {
        "",
        " ",
        "{",
        "{\"a\": 1",
        "[1,]",
        "{\"a\": 1,}",
        "{\"a\": 1, \"a\": 2}",
        "[1] x",
        "nul",
        "\"open",
        "\"bad \\x\"",
        "\"\xff\"",
        "[01]",
        "[1e999]",
        "{a: 1}",
        "'x'",
        "[\"\t\"]",
        "[99999999999999999999]",
        "\"\\ud800\"",
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct clv_json *value = (struct clv_json *)(uintptr_t)1;
        CHECK_ERROR(clv_json_parse(&value, broken[i], strlen(broken[i]), "the text"), CLV_ECORRUPT,
                    "'the text' is not valid JSON: line ");
        CHECK(value == NULL);
    }
}

/* Nesting is bounded, so that a hostile file cannot exhaust the stack. */
static void deep_nesting_is_refused(void)
{
    enum { DEPTH = 100000 };
    char *text = malloc(DEPTH);
    struct clv_json *value = NULL;
    REQUIRE(text != NULL);
    memset(text, '[', DEPTH);
    CHECK_ERROR(clv_json_parse(&value, text, DEPTH, "deep"), CLV_ECORRUPT, "'deep'");
    free(text);
}

static void values_are_written(void)
{
    struct clv_json *root = clv_json_object(), *list = clv_json_array();
    clv_json_put_string(root, "text", "a\"b\\\n\x01 \xc3\xa9");
    clv_json_put_integer(root, "whole", INT64_MIN);
    clv_json_put_number(root, "real", 0.1);
    clv_json_put_number(root, "nan", (double)NAN);
    clv_json_put_number(root, "infinite", (double)-INFINITY);
    clv_json_put_bool(root, "yes", true);
    clv_json_put_bool(root, "no", false);
    clv_json_append_string(list, "x");
    clv_json_append_integer(list, -1);
    clv_json_append_number(list, 2.0);
    clv_json_append(list, clv_json_object());
    clv_json_put(root, "list", list);
    clv_json_put_integer(root, "whole", 5); /* put again: replaced */
    check_written(root, false,
                  "{\"text\":\"a\\\"b\\\\\\n\\u0001 \xc3\xa9\",\"whole\":5,\"real\":0.1,"
                  "\"nan\":null,\"infinite\":null,\"yes\":true,\"no\":false,"
                  "\"list\":[\"x\",-1,2.0,{}]}");
    clv_json_free(root);
    root = parsed("{\"a\":[1]}");
    check_written(root, true, "{\n  \"a\": [\n    1\n  ]\n}");
    check_written(clv_json_get(root, "a") ? (struct clv_json *)(uintptr_t)clv_json_get(root, "a")
                                          : NULL,
                  false, "[1]");
    clv_json_free(root);
}

/* Every float survives being written and read. */
static void floats_survive(void)
{
    uint64_t seed = 11;
    for (int i = 0; i < 2000; i++) {
        uint32_t bits = (uint32_t)t_random(&seed);
        float value, back;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        struct clv_json *list = clv_json_array(), *read = NULL;
        struct clv_bytes text = {0};
        clv_json_append_number(list, (double)value);
        CHECK_OK(clv_json_write(&text, list, false));
        CHECK_OK(clv_json_parse(&read, text.data, text.size_bytes, "number"));
        back = (float)clv_json_number(clv_json_at(read, 0), 0);
        if (memcmp(&back, &value, sizeof back) != 0)
            t_fail(__FILE__, __LINE__, "%a became %s", (double)value, text.data);
        clv_json_free(list);
        clv_json_free(read);
        clv_bytes_release(&text);
    }
}

/* Paths need not be UTF-8. */
static void bytes_that_are_not_utf8_are_replaced(void)
{
    struct clv_json *root = clv_json_object();
    clv_json_put_string(root, "path", "a\xff\xc3/\xed\xa0\x80");
    check_written(root, false,
                  "{\"path\":\"a\xef\xbf\xbd\xef\xbf\xbd/\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}");
    clv_json_free(root);
    struct clv_json *list = clv_json_array();
    clv_json_append_string(list, "\x80");
    check_written(list, false, "[\"\xef\xbf\xbd\"]");
    clv_json_free(list);
}

static void any_text_can_be_written(void)
{
    struct clv_json *list = clv_json_array();
    clv_json_append_string(list, "\x01out of memory");
    clv_json_append_string(list, "");
    check_written(list, false, "[\"\\u0001out of memory\",\"\"]");
    clv_json_free(list);
}

static void no_value_is_out_of_memory(void)
{
    struct clv_bytes out = {0};
    struct clv_json *root = clv_json_object();
    CHECK_ERROR(clv_json_write(&out, NULL, false), CLV_ENOMEM, "out of memory");
    clv_bytes_clear(&out);
    clv_json_put(root, "lost", NULL);
    CHECK_ERROR(clv_json_write(&out, root, false), CLV_ENOMEM, "out of memory");
    clv_json_put(NULL, "x", clv_json_array());
    clv_json_append(NULL, clv_json_array());
    clv_json_put_integer(NULL, "x", 1);
    clv_bytes_release(&out);
    clv_json_free(root);
}

int main(void)
{
    T_RUN(values_are_read);
    T_RUN(missing_values_give_the_fallback);
    T_RUN(members_come_in_order);
    T_RUN(broken_text_is_refused);
    T_RUN(deep_nesting_is_refused);
    T_RUN(values_are_written);
    T_RUN(floats_survive);
    T_RUN(bytes_that_are_not_utf8_are_replaced);
    T_RUN(any_text_can_be_written);
    T_RUN(no_value_is_out_of_memory);
    return t_end();
}
