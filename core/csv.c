/* Cells are copied one after another into one buffer as they are read, so that no row is ever
 * touched twice; rows know where theirs begin. */
#include "core/csv.h"

#include "core/arena.h"
#include "core/bytes.h"
#include "core/error.h"
#include "core/file.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct row {
    size_t first_cell;
    size_t line;
};

struct clv_csv {
    char *name;
    char separator;
    struct clv_bytes text;  /* cells, each ended by a NUL */
    struct clv_bytes cells; /* size_t: where each begins in `text` */
    struct clv_bytes rows;  /* struct row, and one beyond the last */
};

struct parser {
    struct clv_csv *csv;
    const char *at, *end;
    size_t line;
    bool escapes;
};

static const struct row *row_at(const struct clv_csv *csv, size_t row)
{
    return (const struct row *)(const void *)csv->rows.data + row;
}

static size_t cell_total(const struct clv_csv *csv)
{
    return csv->cells.size_bytes / sizeof(size_t);
}

const char *clv_csv_name(const struct clv_csv *csv)
{
    return csv->name;
}

char clv_csv_separator(const struct clv_csv *csv)
{
    return csv->separator;
}

size_t clv_csv_row_count(const struct clv_csv *csv)
{
    return csv->rows.size_bytes / sizeof(struct row) - 1;
}

size_t clv_csv_cell_count(const struct clv_csv *csv, size_t row)
{
    return row_at(csv, row + 1)->first_cell - row_at(csv, row)->first_cell;
}

size_t clv_csv_line(const struct clv_csv *csv, size_t row)
{
    return row_at(csv, row)->line;
}

const char *clv_csv_cell(const struct clv_csv *csv, size_t row, size_t column)
{
    if (row >= clv_csv_row_count(csv) || column >= clv_csv_cell_count(csv, row))
        return NULL;
    const size_t *starts = (const size_t *)(const void *)csv->cells.data;
    return csv->text.data + starts[row_at(csv, row)->first_cell + column];
}

int clv_csv_column(const struct clv_csv *csv, const char *const *names)
{
    for (; *names; names++)
        for (size_t i = 0; i < clv_csv_cell_count(csv, 0); i++)
            if (strcasecmp(clv_csv_cell(csv, 0, i), *names) == 0)
                return (int)i;
    return -1;
}

/* ---- parsing ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool ends_line(const struct parser *parser)
{
    return parser->at == parser->end || *parser->at == '\n' || *parser->at == '\r';
}

static void skip_line_end(struct parser *parser)
{
    if (parser->at < parser->end && *parser->at == '\r')
        parser->at++;
    else if (parser->at < parser->end)
        parser->at += 1;
    if (parser->at < parser->end && parser->at[-1] == '\r' && *parser->at == '\n')
        parser->at++;
    parser->line++;
}

static void skip_blanks(struct parser *parser)
{
    while (parser->at < parser->end && is_blank(*parser->at) &&
           *parser->at != parser->csv->separator)
        parser->at++;
}

/* A backslash that counts. */
static bool is_escape(const struct parser *parser)
{
    return parser->escapes && *parser->at == '\\' && parser->end - parser->at > 1;
}

/* One character of a cell, or two where the first is an escape. */
static void take(struct parser *parser)
{
    if (is_escape(parser))
        parser->at++;
    if (*parser->at == '\n')
        parser->line++;
    clv_bytes_add(&parser->csv->text, parser->at++, 1);
}

static int take_quoted(struct parser *parser)
{
    size_t line = parser->line;
    parser->at++;
    while (parser->at < parser->end) {
        if (*parser->at == '"' && parser->end - parser->at > 1 && parser->at[1] == '"')
            parser->at++;
        else if (*parser->at == '"')
            break;
        take(parser);
    }
    if (parser->at == parser->end)
        return clv_fail(CLV_ECORRUPT, "line %zu of '%s': a quote is opened and never closed", line,
                        parser->csv->name);
    parser->at++;
    skip_blanks(parser);
    if (!ends_line(parser) && *parser->at != parser->csv->separator)
        return clv_fail(CLV_ECORRUPT,
                        "line %zu of '%s': text goes on after a closing quote; quotes inside a "
                        "quoted cell are written twice",
                        parser->line, parser->csv->name);
    return CLV_OK;
}

/* In as few pieces as escapes allow. */
static void take_plain(struct parser *parser)
{
    const char *from = parser->at, *kept_end = from;
    while (!ends_line(parser) && *parser->at != parser->csv->separator) {
        const bool is_escaped = is_escape(parser);
        if (is_escaped) {
            clv_bytes_add(&parser->csv->text, from, (size_t)(parser->at - from));
            from = ++parser->at;
            parser->line += *from == '\n';
        }
        const bool blank = !is_escaped && is_blank(*parser->at);
        parser->at++;
        if (!blank)
            kept_end = parser->at;
    }
    clv_bytes_add(&parser->csv->text, from, (size_t)(kept_end - from));
}

static int take_cell(struct parser *parser)
{
    struct clv_csv *csv = parser->csv;
    size_t start = csv->text.size_bytes;
    clv_bytes_add(&csv->cells, &start, sizeof start);
    skip_blanks(parser);
    int status = CLV_OK;
    if (parser->at < parser->end && *parser->at == '"')
        status = take_quoted(parser);
    else
        take_plain(parser);
    clv_bytes_add(&csv->text, "", 1);
    return status;
}

static int take_row(struct parser *parser)
{
    struct clv_csv *csv = parser->csv;
    struct row row = {cell_total(csv), parser->line};
    clv_bytes_add(&csv->rows, &row, sizeof row);
    int status = take_cell(parser);
    while (status == CLV_OK && !ends_line(parser)) {
        parser->at++; /* the separator */
        status = take_cell(parser);
    }
    if (status == CLV_OK)
        skip_line_end(parser);
    return status;
}

static bool is_blank_line(const struct parser *parser)
{
    const char *at = parser->at;
    while (at < parser->end && is_blank(*at))
        at++;
    return at == parser->end || *at == '\n' || *at == '\r';
}

/* By the first row, outside its quotes; a comma where none of the three stands there. */
static char guess_separator(const struct parser *parser)
{
    static const char separators[] = ",;\t";
    size_t counts[3] = {0};
    bool quoted = false;
    for (const char *at = parser->at; at < parser->end; at++) {
        if (!quoted && (*at == '\n' || *at == '\r'))
            break;
        if (parser->escapes && *at == '\\' && parser->end - at > 1)
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (!quoted)
            for (int i = 0; i < 3; i++)
                counts[i] += *at == separators[i];
    }
    int best = 0;
    for (int i = 1; i < 3; i++)
        if (counts[i] > counts[best])
            best = i;
    return separators[best];
}

static int check_bytes(const char *text, size_t size_bytes, const char *name)
{
    if (size_bytes >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
        return clv_fail(CLV_ECORRUPT, "'%s' is UTF-16 text; save it as UTF-8", name);
    const char *nul = size_bytes ? memchr(text, 0, size_bytes) : NULL;
    if (!nul)
        return CLV_OK;
    size_t line = 1;
    for (const char *at = text; at < nul; at++)
        line += *at == '\n';
    return clv_fail(CLV_ECORRUPT, "line %zu of '%s' holds a NUL byte: it is no text", line, name);
}

static int parse_rows(struct parser *parser)
{
    struct clv_csv *csv = parser->csv;
    if (parser->end - parser->at >= 3 && memcmp(parser->at, "\xef\xbb\xbf", 3) == 0)
        parser->at += 3;
    while (parser->at < parser->end) {
        if (is_blank_line(parser)) {
            while (!ends_line(parser))
                parser->at++;
            skip_line_end(parser);
            continue;
        }
        if (csv->separator == 0)
            csv->separator = guess_separator(parser);
        int status = take_row(parser);
        if (status != CLV_OK)
            return status;
    }
    struct row beyond = {cell_total(csv), parser->line};
    clv_bytes_add(&csv->rows, &beyond, sizeof beyond);
    if (csv->text.status != CLV_OK || csv->cells.status != CLV_OK || csv->rows.status != CLV_OK)
        return clv_fail_memory("a table");
    if (clv_csv_row_count(csv) == 0)
        return clv_fail(CLV_EINVAL, "'%s' is empty", csv->name);
    return CLV_OK;
}

int clv_csv_parse(struct clv_csv **out, const char *text, size_t size_bytes, const char *name,
                  const struct clv_csv_options *options)
{
    *out = NULL;
    int status = check_bytes(text, size_bytes, name);
    if (status != CLV_OK)
        return status;
    struct clv_csv *csv = calloc(1, sizeof *csv);
    if (!csv || !(csv->name = strdup(name))) {
        free(csv);
        return clv_fail_memory("a table");
    }
    csv->separator = options ? options->separator : 0;
    struct parser parser = {csv, text, text ? text + size_bytes : text, 1,
                            options && options->escapes};
    status = parse_rows(&parser);
    if (status != CLV_OK) {
        clv_csv_free(csv);
        return status;
    }
    *out = csv;
    return CLV_OK;
}

int clv_csv_open(struct clv_csv **out, const char *path, const struct clv_csv_options *options)
{
    struct clv_map map;
    *out = NULL;
    int status = clv_map_open(&map, path);
    if (status != CLV_OK)
        return status;
    status = clv_csv_parse(out, (const char *)map.data, map.size_bytes, path, options);
    clv_map_release(&map);
    return status;
}

void clv_csv_free(struct clv_csv *csv)
{
    if (!csv)
        return;
    clv_bytes_release(&csv->text);
    clv_bytes_release(&csv->cells);
    clv_bytes_release(&csv->rows);
    free(csv->name);
    free(csv);
}
