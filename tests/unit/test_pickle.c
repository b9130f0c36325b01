/* The pickle interpreter, opcode by opcode. Each case is a pickle and what it holds, written out:
 * the notation is this file's (show()). */
#include "core/model/pickle.h"

#include "core/bytes.h"
#include "core/error.h"
#include "tests/t.h"

#include <inttypes.h>
#include <string.h>

static void show(struct clv_bytes *out, const struct clv_pickle_value *value, int depth);

static void show_items(struct clv_bytes *out, const struct clv_pickle_value *value, int depth,
                       const char *brackets)
{
    clv_bytes_format(out, "%c", brackets[0]);
    for (size_t i = 0; i < value->items.count; i++) {
        if (i > 0)
            clv_bytes_text(out, value->kind == CLV_PICKLE_DICT && i % 2 ? ":" : ",");
        show(out, value->items.at[i], depth + 1);
    }
    clv_bytes_format(out, "%c", brackets[1]);
}

static void show_record(struct clv_bytes *out, const struct clv_pickle_record *record, int depth)
{
    const struct clv_pickle_value *parts[] = {record->arguments, record->keywords, record->state,
                                              record->list, record->dict};
    static const char *const names[] = {"", "**", "=", "+", "+"};
    show(out, record->callable, depth + 1);
    for (int i = 0; i < 5; i++)
        if (parts[i]) {
            clv_bytes_text(out, names[i]);
            show(out, parts[i], depth + 1);
        }
}

static void show(struct clv_bytes *out, const struct clv_pickle_value *value, int depth)
{
    if (depth > 5) {
        clv_bytes_text(out, "...");
        return;
    }
    switch (value->kind) {
    case CLV_PICKLE_NONE:
        clv_bytes_text(out, "None");
        break;
    case CLV_PICKLE_BOOL:
        clv_bytes_text(out, value->boolean ? "True" : "False");
        break;
    case CLV_PICKLE_INTEGER:
        clv_bytes_format(out, "%" PRId64, value->integer);
        break;
    case CLV_PICKLE_NUMBER:
        clv_bytes_format(out, "%.17gf", value->number);
        break;
    case CLV_PICKLE_BIG:
        clv_bytes_format(out, "big%zu", value->text.size_bytes);
        break;
    case CLV_PICKLE_TEXT:
    case CLV_PICKLE_BYTES:
        clv_bytes_text(out, value->kind == CLV_PICKLE_BYTES ? "b'" : "'");
        clv_bytes_add(out, value->text.data, value->text.size_bytes);
        clv_bytes_text(out, "'");
        break;
    case CLV_PICKLE_TUPLE:
        show_items(out, value, depth, "()");
        break;
    case CLV_PICKLE_LIST:
        show_items(out, value, depth, "[]");
        break;
    case CLV_PICKLE_SET:
        show_items(out, value, depth, "<>");
        break;
    case CLV_PICKLE_DICT:
        show_items(out, value, depth, "{}");
        break;
    case CLV_PICKLE_GLOBAL:
        clv_bytes_add(out, value->global.module->data, value->global.module->size_bytes);
        clv_bytes_text(out, "/");
        clv_bytes_add(out, value->global.name->data, value->global.name->size_bytes);
        break;
    case CLV_PICKLE_RECORD:
        show_record(out, value->record, depth);
        break;
    case CLV_PICKLE_PERSISTENT:
        clv_bytes_text(out, "@");
        show(out, value->id, depth + 1);
        break;
    }
}

/* A string literal with its size, NULs inside included. */
#define P(text) text, sizeof text - 1

struct good {
    const char *pickle;
    size_t size;
    const char *want;
};

static void check_good(const struct good *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct clv_pickle *pickle;
        struct clv_bytes text = {0};
        size_t used = 0;
        int status = clv_pickle_open(&pickle, cases[i].pickle, cases[i].size, &used, "case");
        CHECK_OK(status);
        if (status != CLV_OK)
            continue;
        show(&text, clv_pickle_root(pickle), 0);
        CHECK_STRING(text.data, cases[i].want);
        CHECK_INT(used, cases[i].size);
        clv_bytes_release(&text);
        clv_pickle_close(pickle);
        /* Cut off anywhere, it is refused. */
        for (size_t size = 0; size < cases[i].size; size++) {
            CHECK(clv_pickle_open(&pickle, cases[i].pickle, size, NULL, "case") < 0);
            CHECK(!pickle);
        }
    }
}

static void scalars(void)
{
    static const struct good cases[] = {
        {P("N."), "None"},
        {P("\x80\2\x88."), "True"},
        {P("\x89."), "False"},
        {P("K\xff."), "255"},
        {P("M\xff\xff."), "65535"},
        {P("J\xff\xff\xff\xff."), "-1"},
        {P("J\0\0\0\x80."), "-2147483648"},
        {P("I-12\n."), "-12"},
        {P("I01\n."), "True"},
        {P("I00\n."), "False"},
        {P("L123L\n."), "123"},
        {P("L-9223372036854775808L\n."), "-9223372036854775808"},
        {P("L9223372036854775808L\n."), "big19"},
        {P("\x8a\0."), "0"},
        {P("\x8a\1\xff."), "-1"},
        {P("\x8a\2\xff\0."), "255"},
        {P("\x8a\x08\0\0\0\0\0\0\0\x80."), "-9223372036854775808"},
        {P("\x8a\x09\0\0\0\0\0\0\0\x80\0."), "big9"},
        {P("\x8b\1\0\0\0\x7f."), "127"},
        {P("G\x3f\xf8\0\0\0\0\0\0."), "1.5f"},
        {P("F-0.25\n."), "-0.25f"},
        {P("F1e400\n."), "inff"},
    };
    check_good(cases, sizeof cases / sizeof cases[0]);
}

static void strings(void)
{
    static const struct good cases[] = {
        {P("X\3\0\0\0abc."), "'abc'"},
        {P("X\0\0\0\0."), "''"},
        {P("\x8c\2hi."), "'hi'"},
        {P("\x8d\2\0\0\0\0\0\0\0hi."), "'hi'"},
        {P("T\2\0\0\0hi."), "'hi'"},
        {P("U\2hi."), "'hi'"},
        {P("B\2\0\0\0hi."), "b'hi'"},
        {P("C\2hi."), "b'hi'"},
        {P("\x8e\2\0\0\0\0\0\0\0hi."), "b'hi'"},
        {P("\x96\2\0\0\0\0\0\0\0hi."), "b'hi'"},
        {P("S'a\\'b\\x41\\101\\n\\q'\n."), "'a'bAA\n\\q'"},
        {P("S\"\"\n."), "''"},
        {P("Va\\u00e9\xe9\\U0001f600\\n\n."), "'a\u00e9\u00e9\U0001f600\\n'"},
    };
    check_good(cases, sizeof cases / sizeof cases[0]);
}

static void containers(void)
{
    static const struct good cases[] = {
        {P(")."), "()"},
        {P("K\1\x85."), "(1)"},
        {P("K\1K\2\x86."), "(1,2)"},
        {P("K\1K\2K\3\x87."), "(1,2,3)"},
        {P("(K\1K\2K\3K\4t."), "(1,2,3,4)"},
        {P("]."), "[]"},
        {P("(K\1K\2l."), "[1,2]"},
        {P("]K\1a(K\2K\3e."), "[1,2,3]"},
        {P("}."), "{}"},
        {P("(K\1K\2d."), "{1:2}"},
        {P("}K\1K\2s(K\3K\4K\5K\6u."), "{1:2,3:4,5:6}"},
        {P("\x8f(K\1K\2\x90."), "<1,2>"},
        {P("(K\1\x91."), "<1>"},
        /* POP, POP_MARK, DUP, and a pop that takes a mark. */
        {P("K\1K\0020."), "1"},
        {P("K\1(K\2K\0031."), "1"},
        {P("K\1(0."), "1"},
        {P("(K\0012t."), "(1,1)"},
        /* FRAME */
        {P("\x80\4\x95\3\0\0\0\0\0\0\0K\1."), "1"},
    };
    check_good(cases, sizeof cases / sizeof cases[0]);
}

static void memo(void)
{
    static const struct good cases[] = {
        {P("K\7q\0000h\0."), "7"},
        {P("K\7r\1\0\0\0000j\1\0\0\0."), "7"},
        {P("K\7p1\n0g1\n."), "7"},
        {P("K\7\x94K\x08\x94h\1h\0\x86."), "(8,7)"},
        /* What is added later is seen through the memo. */
        {P("(]q\1h\1K\1at."), "([1],[1])"},
        /* A list in itself. */
        {P("]q\0h\0a."), "[[[[[[...]]]]]]"},
    };
    check_good(cases, sizeof cases / sizeof cases[0]);
}

static void records(void)
{
    static const struct good cases[] = {
        {P("cos\nsystem\n."), "os/system"},
        {P("\x8c\2os\x8c\6system\x93."), "os/system"},
        {P("cposix\nsystem\n(X\2\0\0\0lstR."), "posix/system('ls')"},
        {P("ca\nb\n)\x81."), "a/b()"},
        {P("ca\nb\n)}\x92."), "a/b()**{}"},
        {P("ca\nb\n)R}K\1K\2sb."), "a/b()={1:2}"},
        {P("ca\nb\n)RK\1K\2s(K\3K\4u."), "a/b()+{1:2,3:4}"},
        {P("ca\nb\n)RK\1a(K\2e."), "a/b()+[1,2]"},
        {P("ca\nb\n)R(K\2\x90."), "a/b()+[2]"},
        {P("(ca\nb\nK\1o."), "a/b(1)"},
        {P("(K\1ia\nb\n."), "a/b(1)"},
        {P("(K\1K\2tQ."), "@(1,2)"},
        {P("Pkey\n."), "@'key'"},
        /* What a record would return may be called in turn. */
        {P("ca\nb\n)R)R."), "a/b()()"},
    };
    check_good(cases, sizeof cases / sizeof cases[0]);
}

static void refusals(void)
{
    static const struct {
        const char *pickle;
        size_t size;
        int status;
        const char *part;
    } cases[] = {
        {P(""), CLV_ECORRUPT, "cut off after 0 bytes"},
        {P("."), CLV_ECORRUPT, "STOP at byte 0 takes 1 values, the stack has 0"},
        {P("K\1"), CLV_ECORRUPT, "cut off after 2 bytes"},
        {P("\xffx"), CLV_ECORRUPT, "byte 0, 0xff, is no pickle opcode"},
        {P("NNNz."), CLV_ECORRUPT, "byte 3, 0x7a"},
        {P("\x80\6N."), CLV_EUNSUPPORTED, "protocol 6"},
        {P("N\x82\1."), CLV_EUNSUPPORTED, "EXT1 at byte 1"},
        {P("\x97."), CLV_EUNSUPPORTED, "NEXT_BUFFER"},
        {P("t."), CLV_ECORRUPT, "TUPLE at byte 0 finds no mark"},
        {P("K\1\x86."), CLV_ECORRUPT, "TUPLE2 at byte 2 takes 2 values, the stack has 1"},
        /* Nothing below a mark can be taken. */
        {P("K\1K\2(\x86."), CLV_ECORRUPT, "the stack has 0"},
        {P("a."), CLV_ECORRUPT, "APPEND"},
        {P("K\1K\2a."), CLV_ECORRUPT, "takes items"},
        {P("](K\1\x90."), CLV_ECORRUPT, "takes items"},
        {P("]K\1K\2s."), CLV_ECORRUPT, "no dict"},
        {P("}(K\1u."), CLV_ECORRUPT, "without a value"},
        {P("(K\1d."), CLV_ECORRUPT, "without a value"},
        {P("K\1)R."), CLV_ECORRUPT, "no global"},
        {P("ca\nb\nK\1R."), CLV_ECORRUPT, "no tuple"},
        {P("ca\nb\n))\x92."), CLV_ECORRUPT, "no dict of arguments"},
        {P("(o."), CLV_ECORRUPT, "no class"},
        {P("K\1}b."), CLV_ECORRUPT, "state"},
        {P("K\1K\2\x93."), CLV_ECORRUPT, "no names"},
        {P("h\0."), CLV_ECORRUPT, "memo 0, which was never put"},
        {P("K\1q\1h\0."), CLV_ECORRUPT, "memo 0, which was never put"},
        {P("K\1r\xff\xff\xff\xff."), CLV_ECORRUPT, "memo index 4294967295"},
        {P("K\1q\2."), CLV_ECORRUPT, "memo index 2"},
        {P("q\0."), CLV_ECORRUPT, "takes 1 values"},
        {P("K\1p-1\n."), CLV_ECORRUPT, "no memo index"},
        {P("X\5\0\0\0abc."), CLV_ECORRUPT, "needs 5 bytes, 4 are left"},
        {P("X\xff\xff\xff\xff"), CLV_ECORRUPT, "needs 4294967295 bytes"},
        {P("\x8d\xff\xff\xff\xff\xff\xff\xff\xff."), CLV_ECORRUPT, "1 are left"},
        {P("\x8b\xff\xff\xff\xff."), CLV_ECORRUPT, "negative"},
        {P("\x95\xff\0\0\0\0\0\0\0N."), CLV_ECORRUPT, "frames 255 bytes"},
        {P("I1x\n."), CLV_ECORRUPT, "no number: '1x'"},
        {P("I\n."), CLV_ECORRUPT, "no number"},
        {P("Fx\n."), CLV_ECORRUPT, "no number"},
        {P("S'a\n."), CLV_ECORRUPT, "without quotes"},
        {P("S'\n."), CLV_ECORRUPT, "without quotes"},
        {P("S'\\x4'\n."), CLV_ECORRUPT, "escape"},
        {P("S'a\\'\n."), CLV_ECORRUPT, "escape"},
        {P("V\\u12\n."), CLV_ECORRUPT, "escape"},
        {P("V\\U00110000\n."), CLV_ECORRUPT, "escape"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct clv_pickle *pickle;
        int status = clv_pickle_open(&pickle, cases[i].pickle, cases[i].size, NULL, "case");
        CHECK_ERROR(status, cases[i].status, cases[i].part);
        CHECK(!pickle);
        clv_pickle_close(pickle);
    }
}

/* Deep and wide input takes memory in proportion to it, and no stack of ours. */
static void large(void)
{
    enum { DEPTH = 200000 };
    struct clv_bytes data = {0};
    struct clv_pickle *pickle;
    for (int i = 0; i < DEPTH; i++)
        clv_bytes_text(&data, "]");
    for (int i = 1; i < DEPTH; i++)
        clv_bytes_text(&data, "a");
    clv_bytes_text(&data, ".");
    REQUIRE_OK(clv_pickle_open(&pickle, data.data, data.size_bytes, NULL, "deep"));
    CHECK_INT(clv_pickle_value_count(pickle), DEPTH);
    int depth = 0;
    for (const struct clv_pickle_value *at = clv_pickle_root(pickle); at;
         at = clv_pickle_item(at, 0))
        depth++;
    CHECK_INT(depth, DEPTH);
    clv_pickle_close(pickle);
    clv_bytes_release(&data);
}

static void lookups(void)
{
    static const char text[] = "}(X\1\0\0\0aK\1X\1\0\0\0bK\2X\1\0\0\0aK\3K\4K\5u.";
    struct clv_pickle *pickle;
    REQUIRE_OK(clv_pickle_open(&pickle, text, sizeof text - 1, NULL, "lookups"));
    const struct clv_pickle_value *root = clv_pickle_root(pickle);
    CHECK_INT(clv_pickle_get(root, "a")->integer, 3);
    CHECK_INT(clv_pickle_get(root, "b")->integer, 2);
    CHECK(!clv_pickle_get(root, "c"));
    CHECK(!clv_pickle_get(NULL, "a"));
    CHECK(!clv_pickle_item(root, 0));
    CHECK(!clv_pickle_is_text(NULL, "a"));
    CHECK(!clv_pickle_is_global(root, "a", "b"));
    clv_pickle_close(pickle);
}

int main(void)
{
    T_RUN(scalars);
    T_RUN(strings);
    T_RUN(containers);
    T_RUN(memo);
    T_RUN(records);
    T_RUN(refusals);
    T_RUN(large);
    T_RUN(lookups);
    return t_end();
}
