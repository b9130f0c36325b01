#include "cli/out.h"

#include "cli/command.h"
#include "cli/progress.h"
#include "core/error.h"
#include "core/json.h"
#include "core/unicode.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool color_stdout;
static bool color_stderr;

void clv_out_init(int color)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    bool wanted =
        (no_color == NULL || no_color[0] == '\0') && term != NULL && strcmp(term, "dumb") != 0;
    color_stdout = color == CLV_WHEN_ALWAYS ||
                   (color == CLV_WHEN_AUTO && wanted && isatty(STDOUT_FILENO) != 0);
    color_stderr = color == CLV_WHEN_ALWAYS ||
                   (color == CLV_WHEN_AUTO && wanted && isatty(STDERR_FILENO) != 0);
}

static const char *escape(FILE *stream, const char *code)
{
    return (stream == stderr ? color_stderr : color_stdout) ? code : "";
}

const char *clv_out_bold(FILE *stream)
{
    return escape(stream, "\033[1m");
}

const char *clv_out_dim(FILE *stream)
{
    return escape(stream, "\033[2m");
}

const char *clv_out_red(FILE *stream)
{
    return escape(stream, "\033[31m");
}

const char *clv_out_reset(FILE *stream)
{
    return escape(stream, "\033[0m");
}

/* ---- text ---- */

void clv_out_safe(struct clv_bytes *out, const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        uint32_t code_point = 0;
        size_t size = clv_unicode_decode(&code_point, text, left);
        bool control = code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0);
        if (size == 0 || control)
            clv_bytes_text(out, "\xef\xbf\xbd");
        else
            clv_bytes_add(out, text, size);
        size_t step = size == 0 ? 1 : size;
        text += step;
        left -= step;
    }
}

int clv_out_columns(const char *text)
{
    int columns = 0;
    size_t left = strlen(text);
    while (left > 0) {
        uint32_t code_point = 0;
        size_t size = clv_unicode_decode(&code_point, text, left);
        columns += size == 0 ? 1 : clv_unicode_columns(code_point);
        text += size == 0 ? 1 : size;
        left -= size == 0 ? 1 : size;
    }
    return columns;
}

static int word_columns(const char *word, size_t size)
{
    char copy[128];
    if (size >= sizeof copy)
        return (int)size;
    memcpy(copy, word, size);
    copy[size] = '\0';
    return clv_out_columns(copy);
}

void clv_out_wrap(FILE *stream, const char *text, int indent, int width, bool hanging)
{
    int column = indent;
    if (!hanging)
        fprintf(stream, "%*s", indent, "");
    bool line_start = true;
    while (*text != '\0') {
        if (*text == '\n') {
            fprintf(stream, "\n%*s", text[1] == '\n' || text[1] == '\0' ? 0 : indent, "");
            column = indent;
            line_start = true;
            text++;
            continue;
        }
        if (*text == ' ') {
            text++;
            continue;
        }
        size_t size = strcspn(text, " \n");
        int columns = word_columns(text, size);
        if (!line_start && column + 1 + columns > width) {
            fprintf(stream, "\n%*s", indent, "");
            column = indent;
            line_start = true;
        }
        fprintf(stream, "%s%.*s", line_start ? "" : " ", (int)size, text);
        column += columns + !line_start;
        line_start = false;
        text += size;
    }
    fputc('\n', stream);
}

/* ---- lines ---- */

int clv_out_json(struct clv_json *object)
{
    struct clv_bytes line = {0};
    int status = clv_json_write(&line, object, false);
    clv_json_free(object);
    if (status == CLV_OK) {
        fwrite(line.data, 1, line.size_bytes, stdout);
        fputc('\n', stdout);
    }
    clv_bytes_release(&line);
    return status;
}

__attribute__((format(printf, 3, 0))) static void
print_sentence(const char *color, const char *kind, const char *format, va_list args)
{
    char text[2048];
    vsnprintf(text, sizeof text, format, args);
    struct clv_bytes safe = {0};
    clv_out_safe(&safe, text);
    clv_progress_clear();
    fprintf(stderr, "claverdb: %s%s%s%s\n", color, kind, clv_out_reset(stderr),
            safe.status == CLV_OK && safe.data != NULL ? safe.data : "");
    clv_bytes_release(&safe);
}

void clv_out_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_sentence("", "", format, args);
    va_end(args);
}

void clv_out_warning(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_sentence(clv_out_bold(stderr), "warning: ", format, args);
    va_end(args);
}

int clv_out_finish(void)
{
    bool lost = ferror(stdout) != 0;
    errno = 0;
    /* A write that failed earlier has left its errno to others. Where nothing is left to be
     * flushed, a byte more behind what is incomplete anyway meets the same. */
    if (lost)
        (void)putchar('\n');
    if (fflush(stdout) != 0)
        return clv_fail(CLV_EIO, "cannot write to standard output: %s", strerror(errno));
    if (lost)
        return clv_fail(CLV_EIO, "cannot write to standard output");
    return CLV_OK;
}

/* ---- tables ---- */

void clv_table_begin(struct clv_table *table, const char *headings)
{
    while (*headings != '\0') {
        size_t size = strcspn(headings, " ");
        bool right = headings[size - 1] == '>';
        clv_table_cell(table, "%.*s", (int)(size - right), headings);
        if (right)
            table->right_mask |= 1u << table->column_count;
        table->column_count++;
        headings += size;
        headings += strspn(headings, " ");
    }
}

void clv_table_cell(struct clv_table *table, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (size >= (int)sizeof text) {
        char *longer = malloc((size_t)size + 1);
        if (longer != NULL) {
            va_start(args, format);
            vsnprintf(longer, (size_t)size + 1, format, args);
            va_end(args);
        }
        clv_out_safe(&table->cells, longer == NULL ? text : longer);
        free(longer);
    } else {
        clv_out_safe(&table->cells, text);
    }
    clv_bytes_add(&table->cells, "", 1);
    table->cell_count++;
}

int clv_table_print(struct clv_table *table)
{
    int status = table->cells.status;
    if (status != CLV_OK) {
        clv_bytes_release(&table->cells);
        return clv_fail_memory("a table");
    }
    int widths[CLV_TABLE_COLUMNS_MAX] = {0};
    const char *cell = table->cells.data;
    for (int i = 0; i < table->cell_count; i++, cell += strlen(cell) + 1) {
        int columns = clv_out_columns(cell);
        if (columns > widths[i % table->column_count])
            widths[i % table->column_count] = columns;
    }
    cell = table->cells.data;
    for (int i = 0; i < table->cell_count; i++, cell += strlen(cell) + 1) {
        int column = i % table->column_count;
        bool last = column == table->column_count - 1;
        bool right = (table->right_mask >> column & 1u) != 0;
        int padding = widths[column] - clv_out_columns(cell);
        bool heading = i < table->column_count;
        printf("%s%*s%s%s%*s%s", heading ? clv_out_bold(stdout) : "", right ? padding : 0, "", cell,
               heading ? clv_out_reset(stdout) : "", right || last ? 0 : padding, "",
               last ? "\n" : "  ");
    }
    clv_bytes_release(&table->cells);
    *table = (struct clv_table){0};
    return CLV_OK;
}

/* ---- names and numbers ---- */

/* `path` seen from the directory `base`, both absolute, without links. */
static void relative_path(struct clv_bytes *out, const char *path, const char *base)
{
    size_t shared = 0; /* of both, up to and with a '/' */
    size_t i = 0;
    while (path[i] != '\0' && path[i] == base[i]) {
        i++;
        if (path[i - 1] == '/')
            shared = i;
    }
    if (base[i] == '\0' && path[i] == '/')
        shared = i + 1;
    for (const char *rest = base + (shared <= i ? shared : i); *rest != '\0';) {
        clv_bytes_text(out, "../");
        rest += strcspn(rest, "/");
        rest += strspn(rest, "/");
    }
    clv_bytes_text(out, path + shared);
}

char *clv_out_path(const char *path)
{
    struct clv_bytes relative = {0};
    char *base = getcwd(NULL, 0);
    if (base != NULL && path[0] == '/')
        relative_path(&relative, path, strcmp(base, "/") == 0 ? "" : base);
    bool shorter =
        relative.status == CLV_OK && relative.size_bytes > 0 && relative.size_bytes < strlen(path);
    char *copy = strdup(shorter ? relative.data : path);
    clv_bytes_release(&relative);
    free(base);
    if (copy == NULL)
        clv_fail_memory("a path");
    return copy;
}

const char *clv_out_plural(int64_t count)
{
    return count == 1 ? "" : "s";
}

char *clv_out_size(char out[CLV_OUT_NUMBER_SIZE], int64_t size_bytes)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    double value = (double)size_bytes;
    int unit = 0;
    while (value >= 1000 && unit < 5) {
        value /= 1000;
        unit++;
    }
    snprintf(out, CLV_OUT_NUMBER_SIZE, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value,
             units[unit]);
    return out;
}

char *clv_out_duration(char out[CLV_OUT_NUMBER_SIZE], double seconds)
{
    if (!(seconds >= 0 && seconds < 1e12))
        seconds = 0;
    if (seconds < 0.9995) {
        snprintf(out, CLV_OUT_NUMBER_SIZE, "%.0f ms", seconds * 1000);
    } else if (seconds < 59.95) {
        snprintf(out, CLV_OUT_NUMBER_SIZE, "%.1f s", seconds);
    } else {
        int64_t whole = (int64_t)(seconds + 0.5);
        if (whole < 3600)
            snprintf(out, CLV_OUT_NUMBER_SIZE, "%" PRId64 ":%02" PRId64, whole / 60, whole % 60);
        else
            snprintf(out, CLV_OUT_NUMBER_SIZE, "%" PRId64 ":%02" PRId64 ":%02" PRId64, whole / 3600,
                     whole / 60 % 60, whole % 60);
    }
    return out;
}
