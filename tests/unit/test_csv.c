/* Tables: what RFC 4180 asks for, what people's programs write instead, and what is no table. */
#include "core/csv.h"

#include "core/error.h"

#include "tests/t.h"

#include <stdio.h>
#include <string.h>

static struct clv_csv *parse(const char *text, const struct clv_csv_options *options)
{
    struct clv_csv *csv = NULL;
    CHECK_OK(clv_csv_parse(&csv, text, strlen(text), "a.csv", options));
    return csv;
}

/* All cells, rows parted by '\n', cells by '|'. */
static const char *flat(const char *text, const struct clv_csv_options *options)
{
    static char out[1024];
    struct clv_csv *csv = parse(text, options);
    size_t at = 0;
    for (size_t row = 0; csv && row < clv_csv_row_count(csv); row++)
        for (size_t i = 0; i < clv_csv_cell_count(csv, row); i++)
            at += (size_t)snprintf(out + at, sizeof out - at, "%s%s",
                                   i     ? "|"
                                   : row ? "\n"
                                         : "",
                                   clv_csv_cell(csv, row, i));
    out[at] = 0;
    clv_csv_free(csv);
    return out;
}

static void plain_tables(void)
{
    CHECK_STRING(flat("a,b\n1,2\n", NULL), "a|b\n1|2");
    CHECK_STRING(flat("a,b\n1,2", NULL), "a|b\n1|2");
    CHECK_STRING(flat("a,b\r\n1,2\r\n", NULL), "a|b\n1|2");
    CHECK_STRING(flat("a,b\r1,2\r", NULL), "a|b\n1|2");
    CHECK_STRING(flat("\xef\xbb\xbf"
                      "a,b\n1,2\n",
                      NULL),
                 "a|b\n1|2");
    CHECK_STRING(flat("a,b\n\n  \n1,2\n\n", NULL), "a|b\n1|2");
    CHECK_STRING(flat(" a , b\t\n1 2,  3 4  ", NULL), "a|b\n1 2|3 4");
    CHECK_STRING(flat("a,b\n,\n1,\n,2\n", NULL), "a|b\n|\n1|\n|2");
    CHECK_STRING(flat("a", NULL), "a");
}

static void separators(void)
{
    CHECK_STRING(flat("a;b\n1,5;2\n", NULL), "a|b\n1,5|2");
    CHECK_STRING(flat("a\tb\n1,5\t2;3\n", NULL), "a|b\n1,5|2;3");
    /* Inside quotes they do not count. */
    CHECK_STRING(flat("\"a;b;c\",d\n1,2\n", NULL), "a;b;c|d\n1|2");
    CHECK_STRING(flat("a,b\n1;2,3\n", &(struct clv_csv_options){.separator = ';'}), "a,b\n1|2,3");
    /* A tab between cells is no white space around them. */
    CHECK_STRING(flat("a\t\tb\n", NULL), "a||b");
}

static void quotes(void)
{
    CHECK_STRING(flat("a,b\n\"1,2\",\"say \"\"x\"\"\"\n", NULL), "a|b\n1,2|say \"x\"");
    CHECK_STRING(flat("a,b\n\"1\n2\",3\n", NULL), "a|b\n1\n2|3");
    CHECK_STRING(flat("a,b\n  \" 1 \"  ,3\n", NULL), "a|b\n 1 |3");
    CHECK_STRING(flat("a,b\n\"\",3\n", NULL), "a|b\n|3");
    /* One in the middle of a cell is a character. */
    CHECK_STRING(flat("a,b\n5\" wide,3\n", NULL), "a|b\n5\" wide|3");
}

static void escapes(void)
{
    const struct clv_csv_options escaped = {.escapes = true, .separator = ','};
    CHECK_STRING(flat("0,a\\, b\n", &escaped), "0|a, b");
    CHECK_STRING(flat("0,a \\\"b\\\"\n", &escaped), "0|a \"b\"");
    CHECK_STRING(flat("0,\"a \\\" b\"\n", &escaped), "0|a \" b");
    CHECK_STRING(flat("0,a\\\\b\n", &escaped), "0|a\\b");
    CHECK_STRING(flat("0,a\\", &escaped), "0|a\\");
    CHECK_STRING(flat("0,C:\\x\n", NULL), "0|C:\\x");
}

static void lines_are_counted(void)
{
    struct clv_csv *csv = parse("a,b\r\n\r\n\"1\n2\",x\r\n3,4\r\n", NULL);
    REQUIRE(csv);
    CHECK_INT(clv_csv_row_count(csv), 3);
    CHECK_INT(clv_csv_line(csv, 0), 1);
    CHECK_INT(clv_csv_line(csv, 1), 3);
    CHECK_INT(clv_csv_line(csv, 2), 5);
    CHECK(clv_csv_cell(csv, 2, 2) == NULL);
    CHECK(clv_csv_cell(csv, 3, 0) == NULL);
    clv_csv_free(csv);
}

static void columns(void)
{
    static const char *const names[] = {"label", "class", NULL}, *const none[] = {"x", NULL};
    struct clv_csv *csv = parse("Path,CLASS,Label\n1,2,3\n", NULL);
    REQUIRE(csv);
    CHECK_INT(clv_csv_column(csv, names), 2);
    CHECK_INT(clv_csv_column(csv, none), -1);
    clv_csv_free(csv);
}

static void hostile_tables(void)
{
    struct clv_csv *csv = NULL;
    const struct {
        const char *text;
        size_t size;
        int status;
        const char *part;
    } cases[] = {
        {"", 0, CLV_EINVAL, "'a.csv' is empty"},
        {"\n \r\n", 4, CLV_EINVAL, "'a.csv' is empty"},
        {"\xef\xbb\xbf", 3, CLV_EINVAL, "is empty"},
        {"a,b\n\"1,2\n", 9, CLV_ECORRUPT, "line 2 of 'a.csv': a quote is opened"},
        {"a,b\n\"1\"x,2\n", 11, CLV_ECORRUPT, "line 2 of 'a.csv': text goes on after"},
        {"a,b\n1\0,2\n", 9, CLV_ECORRUPT, "line 2 of 'a.csv' holds a NUL"},
        {"\xff\xfe"
         "a\0",
         4, CLV_ECORRUPT, "UTF-16"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_ERROR(clv_csv_parse(&csv, cases[i].text, cases[i].size, "a.csv", NULL),
                    cases[i].status, cases[i].part);
        CHECK(csv == NULL);
    }
    CHECK_ERROR(clv_csv_open(&csv, "/nonexistent/a.csv", NULL), CLV_ENOTFOUND, "a.csv");
    CHECK_ERROR(clv_csv_open(&csv, t_directory(), NULL), CLV_EINVAL, "");
    clv_csv_free(NULL);
}

int main(void)
{
    T_RUN(plain_tables);
    T_RUN(separators);
    T_RUN(quotes);
    T_RUN(escapes);
    T_RUN(lines_are_counted);
    T_RUN(columns);
    T_RUN(hostile_tables);
    return t_end();
}
