/* Interpretive prompts, and how all prompts of all classes come together (claver.md 2.3, 3). */
#include "core/arena.h"
#include "core/csv.h"
#include "core/error.h"
#include "core/file.h"
#include "core/model/prompts.h"
#include "core/unicode.h"
#include "indexer/classes.h"

#include <stdlib.h>
#include <string.h>

/* What stands between the two columns is what comes first of ';', ',' and tab: texts are full of
 * the others. */
static char separator_of(const struct clv_map *map)
{
    for (size_t i = 0; i < map->size_bytes; i++)
        if (strchr(";,\t", map->data[i]) && map->data[i])
            return (char)map->data[i];
    return ';';
}

/* True where the first row names columns instead of a class. */
static bool is_header(const struct clv_csv *csv, const struct clv_classes *classes)
{
    static const char *const names[] = {"id", "class_id", "class", "label", NULL};
    return clv_csv_column(csv, names) == 0 && clv_classes_find(classes, "id") < 0;
}

static int fail_row(const struct clv_csv *csv, size_t row)
{
    char separator = clv_csv_separator(csv);
    return clv_fail(CLV_EINVAL,
                    "line %zu of '%s' has %zu cells, not an id and a text: a text that holds '%c' "
                    "must be in quotes, or ';' stand between id and text",
                    clv_csv_line(csv, row), clv_csv_name(csv), clv_csv_cell_count(csv, row),
                    separator);
}

/* The class of every row into `of_row`, and how many texts each class has into `counts`. */
static int read_rows(int32_t *of_row, int *counts, const struct clv_csv *csv, size_t first_row,
                     const struct clv_classes *classes)
{
    for (size_t row = first_row; row < clv_csv_row_count(csv); row++) {
        const char *id = clv_csv_cell(csv, row, 0), *text = clv_csv_cell(csv, row, 1);
        size_t line = clv_csv_line(csv, row);
        /* A text that goes on in the next line makes a row of its own, with any number of cells. */
        int found = clv_classes_find(classes, id);
        if (found == CLV_ENOMEM)
            return found;
        if (found < 0)
            return clv_fail(CLV_EINVAL,
                            "line %zu of '%s' begins with '%.60s', which is no class of '%s'; a "
                            "text that goes over several lines must be in quotes",
                            line, clv_csv_name(csv), id, classes->path);
        if (!text || clv_csv_cell_count(csv, row) != 2)
            return fail_row(csv, row);
        if (!*text)
            return clv_fail(CLV_EINVAL, "line %zu of '%s': the text for '%s' is empty", line,
                            clv_csv_name(csv), classes->names[found]);
        if (!clv_unicode_is_valid(text, strlen(text)))
            return clv_fail(CLV_ECORRUPT, "line %zu of '%s' is not UTF-8 text", line,
                            clv_csv_name(csv));
        of_row[row] = found;
        counts[found]++;
    }
    return CLV_OK;
}

static int most_of(int *most_out, const int *counts, const struct clv_classes *classes,
                   const char *path)
{
    *most_out = 0;
    for (int c = 0; c < classes->count; c++) {
        if (counts[c] == 0)
            return clv_fail(CLV_EINVAL, "'%s' has no text for the class '%s'", path,
                            classes->names[c]);
        if (counts[c] > *most_out)
            *most_out = counts[c];
    }
    return CLV_OK;
}

static int grow(struct clv_interpretations *texts, int added, int class_count)
{
    size_t elements, bytes;
    if (!clv_size_multiply(&elements, (size_t)texts->text_count + (size_t)added,
                           (size_t)class_count) ||
        !clv_size_multiply(&bytes, elements, sizeof *texts->texts) || elements > INT32_MAX)
        return clv_fail_memory("prompts");
    char **grown = realloc(texts->texts, bytes);
    if (!grown)
        return clv_fail_memory("prompts");
    texts->texts = grown;
    size_t old = (size_t)texts->text_count * (size_t)class_count;
    memset(grown + old, 0, bytes - old * sizeof *grown);
    texts->class_count = class_count;
    texts->text_count += added;
    return CLV_OK;
}

/* Puts the texts in; `counts` is used up. */
static int put_texts(struct clv_interpretations *texts, const int32_t *of_row, int *counts,
                     int most, const struct clv_csv *csv, size_t first_row)
{
    size_t class_count = (size_t)texts->class_count;
    char **to = texts->texts + (size_t)(texts->text_count - most) * class_count;
    for (size_t c = 0; c < class_count; c++)
        counts[c] = 0;
    for (size_t row = first_row; row < clv_csv_row_count(csv); row++) {
        size_t c = (size_t)of_row[row];
        char **place = &to[(size_t)counts[c]++ * class_count + c];
        *place = strdup(clv_csv_cell(csv, row, 1));
        if (!*place)
            return clv_fail_memory("prompts");
    }
    for (size_t c = 0; c < class_count; c++)
        for (int k = counts[c]; k < most; k++) {
            char **place = &to[(size_t)k * class_count + c];
            *place = strdup(to[(size_t)(k - counts[c]) * class_count + c]);
            if (!*place)
                return clv_fail_memory("prompts");
        }
    return CLV_OK;
}

int clv_interpretations_add(struct clv_interpretations *texts, const struct clv_classes *classes,
                            const char *path)
{
    struct clv_map map = {0};
    struct clv_csv *csv = NULL;
    int32_t *of_row = NULL;
    int most = 0;
    int *counts = calloc((size_t)classes->count + 1, sizeof *counts);
    int status = counts ? clv_map_open(&map, path) : clv_fail_memory("prompts");
    if (status == CLV_OK) {
        struct clv_csv_options options = {.separator = separator_of(&map), .escapes = true};
        status = clv_csv_parse(&csv, (const char *)map.data, map.size_bytes, path, &options);
    }
    if (status != CLV_OK)
        goto done;
    size_t first_row = is_header(csv, classes);
    of_row = calloc(clv_csv_row_count(csv), sizeof *of_row);
    status =
        of_row ? read_rows(of_row, counts, csv, first_row, classes) : clv_fail_memory("prompts");
    if (status == CLV_OK)
        status = most_of(&most, counts, classes, path);
    if (status == CLV_OK)
        status = grow(texts, most, classes->count);
    if (status == CLV_OK)
        status = put_texts(texts, of_row, counts, most, csv, first_row);
done:
    clv_csv_free(csv);
    clv_map_release(&map);
    free(of_row);
    free(counts);
    return status;
}

void clv_interpretations_release(struct clv_interpretations *texts)
{
    clv_class_prompts_free(texts->texts, texts->text_count, texts->class_count);
    *texts = (struct clv_interpretations){0};
}

/* ---- all together ---- */

int clv_class_prompts(char ***out, int *prompt_count_out, const struct clv_classes *classes,
                      const struct clv_interpretations *texts)
{
    int written = texts ? texts->text_count : 0;
    int count = clv_prompt_template_count + written;
    size_t class_count = (size_t)classes->count, bytes;
    struct clv_bytes text = {0};
    *out = NULL;
    *prompt_count_out = 0;
    if (!clv_size_multiply(&bytes, (size_t)count * sizeof(char *), class_count))
        return clv_fail_memory("prompts");
    char **prompts = calloc(1, bytes);
    int status = prompts ? CLV_OK : clv_fail_memory("prompts");
    for (size_t i = 0; status == CLV_OK && i < (size_t)count * class_count; i++) {
        size_t a = i / class_count, c = i % class_count;
        const char *source;
        if (a < (size_t)clv_prompt_template_count) {
            status = clv_prompt_fill(&text, clv_prompt_templates[a], classes->names[c]);
            source = text.data;
        } else {
            source = texts->texts[i - (size_t)clv_prompt_template_count * class_count];
        }
        if (status == CLV_OK && !(prompts[i] = strdup(source)))
            status = clv_fail_memory("prompts");
    }
    clv_bytes_release(&text);
    if (status != CLV_OK) {
        clv_class_prompts_free(prompts, count, classes->count);
        return status;
    }
    *out = prompts;
    *prompt_count_out = count;
    return CLV_OK;
}

void clv_class_prompts_free(char **prompts, int prompt_count, int class_count)
{
    for (size_t i = 0; prompts && i < (size_t)prompt_count * (size_t)class_count; i++)
        free(prompts[i]);
    free(prompts);
}
