/* Any bytes as a list of clips, of classes, of prompts and of captions: read or refused, and what
 * was read is whole. The first byte says which, and whether backslashes escape. */
#include "core/csv.h"
#include "indexer/labels.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];

static void remove_file(void)
{
    unlink(path);
}

/* A list's directory is looked up, so that it has to be a file with a name. */
static void put(const uint8_t *data, size_t size)
{
    if (!path[0]) {
        snprintf(path, sizeof path, "/tmp/claverdb-fuzz-labels-XXXXXX");
        int file = mkstemp(path);
        if (file < 0)
            abort();
        close(file);
        atexit(remove_file);
    }
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        abort();
}

static void check(int holds)
{
    if (!holds)
        abort();
}

static void read_table(const uint8_t *data, size_t size, bool escapes)
{
    struct clv_csv *csv = NULL;
    const struct clv_csv_options options = {.escapes = escapes};
    if (clv_csv_parse(&csv, (const char *)data, size, "x", &options) != 0)
        return;
    size_t bytes = 0;
    for (size_t row = 0; row < clv_csv_row_count(csv); row++) {
        check(clv_csv_cell_count(csv, row) > 0);
        check(row == 0 || clv_csv_line(csv, row) > clv_csv_line(csv, row - 1));
        for (size_t i = 0; i < clv_csv_cell_count(csv, row); i++)
            bytes += strlen(clv_csv_cell(csv, row, i)) + 1;
    }
    check(bytes <= size + 1);
    clv_csv_free(csv);
}

static void read_classes(void)
{
    struct clv_classes classes;
    if (clv_classes_open(&classes, path) == 0) {
        struct clv_interpretations texts = {0};
        for (int i = 0; i < classes.count; i++)
            check(clv_classes_find(&classes, classes.names[i]) == i);
        (void)clv_interpretations_add(&texts, &classes, path);
        clv_interpretations_release(&texts);
    }
    clv_classes_release(&classes);
}

static void read_prompts(void)
{
    static const char *const names[] = {"a", "b", "1"};
    struct clv_classes classes;
    struct clv_interpretations texts = {0};
    char **prompts = NULL;
    int count = 0;
    if (clv_classes_of_names(&classes, names, 3, "names") == 0 &&
        clv_interpretations_add(&texts, &classes, path) == 0 &&
        clv_class_prompts(&prompts, &count, &classes, &texts) == 0) {
        for (int i = 0; i < 3 * count; i++)
            check(prompts[i] != NULL);
        clv_class_prompts_free(prompts, count, classes.count);
    }
    clv_interpretations_release(&texts);
    clv_classes_release(&classes);
}

static void read_labels(const char *captions)
{
    struct clv_labels labels;
    struct clv_labels_options options = {.captions_path = captions};
    if (clv_labels_open(&labels, path, &options) == 0) {
        bool *held = calloc((size_t)labels.count, sizeof *held);
        check(labels.count > 0 && held);
        for (int i = 0; i < labels.count; i++)
            check(labels.rows[i].class_index < labels.classes.count &&
                  labels.rows[i].path[0] == '/');
        (void)clv_labels_hold_out(held, &labels, 0.5, 1);
        free(held);
    }
    clv_labels_release(&labels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 1 << 16)
        return 0;
    uint8_t kind = *data++;
    size--;
    read_table(data, size, kind & 8);
    put(data, size);
    switch (kind % 4) {
    case 0:
        read_classes();
        break;
    case 1:
        read_prompts();
        break;
    case 2:
        read_labels(NULL);
        break;
    default:
        read_labels(path);
        break;
    }
    return 0;
}
