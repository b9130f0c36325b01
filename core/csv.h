/* Tables as text: cells with commas, semicolons or tabs between them, one row a line.
 *
 * As RFC 4180 says: a cell may stand in double quotes and then holds separators, line ends and
 * quotes written twice. Lines end in LF, CRLF or CR; a byte-order mark before the first is
 * dropped; blank lines are no rows. Cells are what stands in the text, without the white space
 * around those that are not in quotes. The bytes need not be UTF-8. */
#ifndef CLV_CORE_CSV_H
#define CLV_CORE_CSV_H

#include <stdbool.h>
#include <stddef.h>

struct clv_csv;

struct clv_csv_options {
    char separator; /* 0: of ',', ';' and tab the one that is most frequent in the first row */
    bool escapes;   /* a backslash takes the next character's meaning away */
};

/* A whole file; clv_csv_parse() a text, `name` being what messages call it. `options` may be NULL.
 * CLV_ECORRUPT names file and line: a quote that is not closed, text after a closing quote, a NUL
 * byte, UTF-16. CLV_EINVAL where there is not one row. */
int clv_csv_open(struct clv_csv **out, const char *path, const struct clv_csv_options *options);
int clv_csv_parse(struct clv_csv **out, const char *text, size_t size_bytes, const char *name,
                  const struct clv_csv_options *options);
void clv_csv_free(struct clv_csv *csv);

const char *clv_csv_name(const struct clv_csv *csv);
char clv_csv_separator(const struct clv_csv *csv);
size_t clv_csv_row_count(const struct clv_csv *csv);
size_t clv_csv_cell_count(const struct clv_csv *csv, size_t row);
/* The line the row begins in, from 1. */
size_t clv_csv_line(const struct clv_csv *csv, size_t row);
/* NUL-terminated, borrowed; NULL where the row has no such cell. */
const char *clv_csv_cell(const struct clv_csv *csv, size_t row, size_t column);

/* The first column whose cell in row 0 is one of `names` (NULL at the end; ASCII case does not
 * matter), in order of preference; -1 where there is none. */
int clv_csv_column(const struct clv_csv *csv, const char *const *names);

#endif
