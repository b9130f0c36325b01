/* What goes to stdout and stderr: tables, JSON lines, sentences. Control characters in names never
 * reach a terminal. Write errors are found once, by clv_out_finish(). */
#ifndef CLV_CLI_OUT_H
#define CLV_CLI_OUT_H

#include "core/bytes.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct clv_json;

/* Decides once, for both streams, whether to use colours (enum clv_when): on terminals, unless
 * NO_COLOR is set or TERM is "dumb". */
void clv_out_init(int color);

/* "\033[1m" and the like where the stream may have colours, "" otherwise. */
const char *clv_out_bold(FILE *stream);
const char *clv_out_dim(FILE *stream);
const char *clv_out_red(FILE *stream);
const char *clv_out_reset(FILE *stream);

/* Appends `text` with control characters and broken UTF-8 replaced by U+FFFD. */
void clv_out_safe(struct clv_bytes *out, const char *text);
/* Columns of a terminal that `text` takes. */
int clv_out_columns(const char *text);
/* Prints `text` in lines of at most `width` columns, each `indent` spaces in; a newline in the text
 * is kept. The first line is taken to be indented already where `hanging`. */
void clv_out_wrap(FILE *stream, const char *text, int indent, int width, bool hanging);

/* Writes `object` as one line to stdout and frees it. */
int clv_out_json(struct clv_json *object);

/* One sentence to stderr: "claverdb: …". */
void clv_out_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void clv_out_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Flushes stdout; CLV_EIO with the reason where anything written to it was lost. */
int clv_out_finish(void);

/* A table of text, aligned by columns of the terminal when it is printed. Zero-initialise. */
struct clv_table {
    struct clv_bytes cells; /* each ends in a NUL */
    int column_count;
    uint32_t right_mask; /* bit i: column i is aligned right */
    int cell_count;
};

#define CLV_TABLE_COLUMNS_MAX 16

/* Headings as "ID> NAME SIZE>": parted by blanks, '>' where the column is aligned right. */
void clv_table_begin(struct clv_table *table, const char *headings);
/* Cells follow one another row by row. */
void clv_table_cell(struct clv_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Prints the table to stdout, headings bold, and releases it. */
int clv_table_print(struct clv_table *table);

/* A path as people want it: relative to the current directory where that is shorter; the caller
 * frees. NULL with the message recorded when out of memory. */
char *clv_out_path(const char *path);
/* "" of one, "s" of any other number. */
const char *clv_out_plural(int64_t count);
/* "1.5 GB"; "34 ms", "12.3 s", "4:05", "1:02:03" of a duration. */
#define CLV_OUT_NUMBER_SIZE 32
char *clv_out_size(char out[CLV_OUT_NUMBER_SIZE], int64_t size_bytes);
char *clv_out_duration(char out[CLV_OUT_NUMBER_SIZE], double seconds);

#endif
