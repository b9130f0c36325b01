/* `model list`: what can be pulled, and what is here. */
#include "cli/command.h"
#include "cli/out.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "core/model/catalogue.h"
#include "core/model/model.h"
#include "core/model/pull.h"

#include <stdio.h>
#include <stdlib.h>

struct settings {
    const char *catalogue;
};

static const struct settings defaults = {0};
static const struct clv_opt opts[] = {
    {.name = "catalogue",
     .kind = CLV_OPT_STRING,
     .offset = offsetof(struct settings, catalogue),
     .value_name = "FILE",
     .help =
         "a list of your own, which adds to the built-in one: JSON lines as --json prints them"},
    {.name = NULL},
};

static int print_json(const struct clv_catalogue_entry *entry, const char *path)
{
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", entry->is_vocabulary ? "vocabulary" : "model");
    clv_json_put_string(object, "name", entry->name);
    clv_json_put_string(object, "description", entry->description);
    clv_json_put_string(object, "url", entry->url);
    clv_json_put_string(object, "file", entry->file);
    clv_json_put_string(object, "sha256", entry->sha256);
    clv_json_put_integer(object, "size_bytes", entry->size_bytes);
    clv_json_put_string(object, "licence", entry->licence);
    clv_json_put_string(object, "source", entry->source);
    if (entry->vocabulary != NULL)
        clv_json_put_string(object, "vocabulary", entry->vocabulary);
    if (path != NULL)
        clv_json_put_string(object, "path", path);
    return clv_out_json(object);
}

/* A text of the list, which may be anyone's. */
static void put_cell(struct clv_table *table, const char *text)
{
    struct clv_bytes safe = {0};
    clv_out_safe(&safe, text);
    clv_table_cell(table, "%s", safe.data == NULL || safe.size_bytes == 0 ? "-" : safe.data);
    clv_bytes_release(&safe);
}

static int put_row(struct clv_table *table, const struct clv_catalogue_entry *entry,
                   const char *path)
{
    char size[CLV_OUT_NUMBER_SIZE] = "-";
    char *shown = path == NULL ? NULL : clv_out_path(path);
    if (path != NULL && shown == NULL)
        return CLV_ENOMEM;
    if (entry->size_bytes > 0)
        clv_out_size(size, entry->size_bytes);
    put_cell(table, entry->name);
    put_cell(table, entry->is_vocabulary ? "vocabulary" : "model");
    put_cell(table, size);
    put_cell(table, entry->licence);
    put_cell(table, entry->source);
    put_cell(table, shown == NULL ? "" : shown);
    free(shown);
    return CLV_OK;
}

/* The model that needs no pulling. */
static int show_mini(struct clv_table *table, const struct clv_cli *cli)
{
    char size[CLV_OUT_NUMBER_SIZE];
    const int64_t size_bytes = (int64_t)clv_model_mini_bytes();
    if (cli->flags.json) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", CLV_CATALOGUE_BUILT_IN);
        clv_json_put_string(object, "name", "mini");
        clv_json_put_string(object, "description", CLV_MODEL_MINI ", trained on animated scenes");
        clv_json_put_integer(object, "size_bytes", size_bytes);
        return clv_out_json(object);
    }
    put_cell(table, "mini");
    put_cell(table, "model");
    put_cell(table, clv_out_size(size, size_bytes));
    put_cell(table, "");
    put_cell(table, "(trained on animated scenes)");
    put_cell(table, "built in");
    return CLV_OK;
}

static int run(const struct clv_cli *cli)
{
    const struct settings *settings = cli->settings;
    struct clv_catalogue *catalogue = NULL;
    struct clv_table table = {0};
    int status = clv_catalogue_open(&catalogue, settings->catalogue);
    if (status == CLV_OK && !cli->flags.json)
        clv_table_begin(&table, "NAME KIND SIZE> LICENCE SOURCE PULLED");
    if (status == CLV_OK)
        status = show_mini(&table, cli);
    for (size_t i = 0; status == CLV_OK && i < clv_catalogue_count(catalogue); i++) {
        const struct clv_catalogue_entry *entry = clv_catalogue_at(catalogue, i);
        char *path = NULL;
        status = clv_pull_entry_path(&path, entry);
        const char *here = status == CLV_OK && clv_file_exists(path) ? path : NULL;
        if (status == CLV_OK)
            status = cli->flags.json ? print_json(entry, here) : put_row(&table, entry, here);
        free(path);
    }
    if (status == CLV_OK && !cli->flags.json)
        status = clv_table_print(&table);
    clv_bytes_release(&table.cells);
    clv_catalogue_close(catalogue);
    return status;
}

const struct clv_command clv_command_model_list = {
    .name = "model list",
    .operands = "",
    .summary = "list the models that can be pulled",
    .description =
        "Lists the built-in model and those that 'claverdb model pull' knows by name, with the "
        "size of the download, the licence and the page they come from, and where those lie that "
        "are here already.",
    .example = "claverdb model list\n"
               "claverdb model list --json > models.json",
    .operand_min = 0,
    .operand_max = 0,
    .opts = opts,
    .settings_size = sizeof(struct settings),
    .defaults = &defaults,
    .run = run,
};
