/* `model vocabulary`: a byte-pair vocabulary of one's own texts. */
#include "cli/command.h"
#include "cli/out.h"
#include "core/csv.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "core/model/vocabulary_train.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    const char *output;
    const char *column;
    int64_t size;
    bool force;
};

static const struct settings defaults = {.size = CLV_VOCABULARY_SIZE_MAX};

#define FIELD(field) .offset = offsetof(struct settings, field)
static const struct clv_opt opts[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLV_OPT_STRING,
     FIELD(output),
     .value_name = "FILE",
     .help = "the list of merges to write"},
    {.name = "size",
     .kind = CLV_OPT_INTEGER,
     FIELD(size),
     .value_name = "N",
     .minimum = CLV_VOCABULARY_SIZE_MIN,
     .maximum = CLV_VOCABULARY_SIZE_MAX,
     .help = "ids it has, the 512 bytes and the two specials included; fewer where the texts have "
             "no more pairs [49408]"},
    {.name = "column",
     .kind = CLV_OPT_STRING,
     FIELD(column),
     .value_name = "NAME",
     .help = "the files are tables (commas, semicolons or tabs), and this column is the text"},
    {.name = "force",
     .letter = 'f',
     .kind = CLV_OPT_BOOL,
     FIELD(force),
     .help = "replace the output where it exists"},
    {.name = NULL},
};

/* None of the texts may be replaced, even with --force. */
static int check_output(const struct clv_cli *cli, const struct settings *settings)
{
    struct clv_file_facts facts;
    char *output = NULL;
    if (settings->output == NULL)
        return clv_fail(CLV_EINVAL, "name the file to write with -o: claverdb model vocabulary "
                                    "TEXT… -o FILE");
    if (clv_file_facts(&facts, settings->output) != CLV_OK) {
        clv_error_clear();
        return CLV_OK;
    }
    if (facts.is_directory)
        return clv_fail(CLV_EINVAL, "'%s' is a folder; name a file in it with -o",
                        settings->output);
    int status = clv_path_absolute(&output, settings->output);
    for (int i = 0; i < cli->operand_count && status == CLV_OK; i++) {
        char *text = NULL;
        status = clv_path_absolute(&text, cli->operands[i]);
        if (status == CLV_OK && strcmp(text, output) == 0)
            status =
                clv_fail(CLV_EINVAL, "'%s' is what is to be read; give the result another name",
                         settings->output);
        free(text);
    }
    if (status == CLV_OK && !settings->force)
        status = clv_fail(CLV_EINVAL, "'%s' exists; --force replaces it", settings->output);
    free(output);
    return status;
}

static int add_table(struct clv_vocabulary_train *train, const char *path, const char *name)
{
    const char *const names[] = {name, NULL};
    struct clv_csv *csv = NULL;
    int status = clv_csv_open(&csv, path, NULL);
    if (status != CLV_OK)
        return status;
    int column = clv_csv_column(csv, names);
    if (column < 0)
        status = clv_fail(CLV_EINVAL, "'%s' has no column '%s'", path, name);
    for (size_t row = 1; row < clv_csv_row_count(csv) && status == CLV_OK; row++) {
        const char *text = clv_csv_cell(csv, row, (size_t)column);
        if (text != NULL)
            status = clv_vocabulary_train_add(train, text, strlen(text));
    }
    clv_csv_free(csv);
    return status;
}

static int add_file(struct clv_vocabulary_train *train, const char *path)
{
    struct clv_map map;
    int status = clv_map_open(&map, path);
    if (status != CLV_OK)
        return status;
    status = clv_vocabulary_train_add(train, (const char *)map.data, map.size_bytes);
    clv_map_release(&map);
    return status;
}

static int print_result(const struct clv_cli *cli, const struct clv_vocabulary_train *train,
                        int size)
{
    const struct settings *settings = cli->settings;
    int64_t words = clv_vocabulary_train_word_count(train);
    int64_t distinct = clv_vocabulary_train_distinct_count(train);
    if (cli->flags.json) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "vocabulary");
        clv_json_put_string(object, "path", settings->output);
        clv_json_put_integer(object, "ids", size);
        clv_json_put_integer(object, "merges", size - CLV_VOCABULARY_SIZE_MIN);
        clv_json_put_integer(object, "words", words);
        clv_json_put_integer(object, "distinct_words", distinct);
        return clv_out_json(object);
    }
    struct clv_bytes safe = {0};
    clv_out_safe(&safe, settings->output);
    printf("read   %" PRId64 " word%s, %" PRId64 " different\n", words, clv_out_plural(words),
           distinct);
    printf("wrote  %s: %d ids, %d of them merges\n", safe.data == NULL ? "" : safe.data, size,
           size - CLV_VOCABULARY_SIZE_MIN);
    clv_bytes_release(&safe);
    return CLV_OK;
}

static int run(const struct clv_cli *cli)
{
    const struct settings *settings = cli->settings;
    struct clv_vocabulary_train *train = NULL;
    struct clv_bytes list = {0};
    int size = 0;
    int status = check_output(cli, settings);
    if (status == CLV_OK)
        status = clv_vocabulary_train_create(&train);
    for (int i = 0; i < cli->operand_count && status == CLV_OK; i++)
        status = settings->column != NULL ? add_table(train, cli->operands[i], settings->column)
                                          : add_file(train, cli->operands[i]);
    if (status == CLV_OK)
        status = clv_vocabulary_train_list(train, &list, &size, (int)settings->size, cli->cancel);
    if (status == CLV_OK)
        status = clv_file_replace(settings->output, list.data, list.size_bytes);
    if (status == CLV_OK && size < settings->size && settings->size != defaults.size &&
        !cli->flags.quiet)
        clv_out_warning("the texts have pairs for %d ids only, not for %" PRId64, size,
                        settings->size);
    if (status == CLV_OK)
        status = print_result(cli, train, size);
    clv_bytes_release(&list);
    clv_vocabulary_train_free(train);
    return status;
}

const struct clv_command clv_command_model_vocabulary = {
    .name = "model vocabulary",
    .operands = "TEXT…",
    .summary = "make a byte-pair vocabulary of one's own texts",
    .description =
        "Reads texts, a sentence a line, and writes the list of merges (in OpenAI's form) of a "
        "vocabulary that suits them: the most frequent pair of symbols within words becomes one "
        "symbol, again and again. Words are cleaned and split as the tokenizer does. The same "
        "texts "
        "give the same list. --vocab of the other commands reads it.",
    .example = "claverdb model vocabulary sentences.txt -o bpe.txt --size 1024\n"
               "claverdb model vocabulary captions.tsv --column sentence -o bpe.txt",
    .operand_min = 1,
    .operand_max = -1,
    .opts = opts,
    .settings_size = sizeof(struct settings),
    .defaults = &defaults,
    .run = run,
};
