/* `model tensors`: what any checkpoint holds, whether it is a model or not. */
#include "cli/command.h"
#include "cli/naming.h"
#include "cli/out.h"
#include "core/error.h"
#include "core/json.h"
#include "core/model/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char *dtype_name(enum clv_dtype dtype)
{
    static const char *const names[] = {
        [CLV_F32] = "f32", [CLV_F16] = "f16",  [CLV_BF16] = "bf16", [CLV_F64] = "f64",
        [CLV_I64] = "i64", [CLV_I32] = "i32",  [CLV_I16] = "i16",   [CLV_I8] = "i8",
        [CLV_U8] = "u8",   [CLV_BOOL] = "bool"};
    size_t index = (size_t)dtype;
    return index < sizeof names / sizeof names[0] ? names[index] : "?";
}

static int print_json(const struct clv_weight_entry *entry)
{
    struct clv_json *object = clv_json_object();
    struct clv_json *shape = clv_json_array();
    clv_json_put_string(object, "type", "tensor");
    clv_json_put_string(object, "name", entry->name);
    clv_json_put_string(object, "dtype", dtype_name(entry->dtype));
    for (int i = 0; i < entry->dimension_count; i++)
        clv_json_append_number(shape, (double)entry->shape[i]);
    clv_json_put(object, "shape", shape);
    clv_json_put_integer(object, "bytes", (int64_t)entry->size_bytes);
    return clv_out_json(object);
}

static void add_row(struct clv_table *table, const struct clv_weight_entry *entry)
{
    char shape[CLV_DIMENSION_MAX * 24] = "";
    size_t used = 0;
    for (int i = 0; i < entry->dimension_count; i++)
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%s%" PRId64, i > 0 ? "x" : "",
                                 entry->shape[i]);
    struct clv_bytes name = {0};
    clv_out_safe(&name, entry->name);
    clv_table_cell(table, "%s", dtype_name(entry->dtype));
    clv_table_cell(table, "%s", entry->dimension_count == 0 ? "-" : shape);
    clv_table_cell(table, "%zu", entry->size_bytes);
    clv_table_cell(table, "%s", name.data == NULL ? "" : name.data);
    clv_bytes_release(&name);
}

/* Tensors of a kind that is not read, with the reason. */
static int print_skipped(const struct clv_cli *cli, const struct clv_checkpoint *checkpoint)
{
    int status = CLV_OK;
    struct clv_bytes safe = {0};
    for (size_t i = 0; i < clv_checkpoint_skipped_count(checkpoint) && status == CLV_OK; i++) {
        const char *reason = NULL;
        const char *name = clv_checkpoint_skipped_at(checkpoint, i, &reason);
        if (cli->flags.json) {
            struct clv_json *object = clv_json_object();
            clv_json_put_string(object, "type", "skipped");
            clv_json_put_string(object, "name", name);
            clv_json_put_string(object, "reason", reason);
            status = clv_out_json(object);
            continue;
        }
        clv_bytes_clear(&safe);
        clv_out_safe(&safe, name);
        printf("skipped %s: %s\n", safe.data == NULL ? "" : safe.data, reason);
    }
    clv_bytes_release(&safe);
    return status;
}

static int print_summary(const struct clv_cli *cli, const struct clv_checkpoint *checkpoint,
                         int64_t size_bytes)
{
    const char *format = clv_checkpoint_format_name(clv_checkpoint_format(checkpoint));
    if (cli->flags.json) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "summary");
        clv_json_put_string(object, "path", clv_checkpoint_path(checkpoint));
        clv_json_put_string(object, "format", format);
        clv_json_put_integer(object, "tensors", (int64_t)clv_checkpoint_count(checkpoint));
        clv_json_put_integer(object, "skipped", (int64_t)clv_checkpoint_skipped_count(checkpoint));
        clv_json_put_integer(object, "bytes", size_bytes);
        return clv_out_json(object);
    }
    char size[CLV_OUT_NUMBER_SIZE];
    size_t count = clv_checkpoint_count(checkpoint);
    printf("%s of %zu tensor%s, %s\n", format, count, clv_out_plural((int64_t)count),
           clv_out_size(size, size_bytes));
    return CLV_OK;
}

static int run(const struct clv_cli *cli)
{
    struct clv_checkpoint *checkpoint = NULL;
    struct clv_table table = {0};
    char *path = NULL;
    int64_t size_bytes = 0;
    int status = clv_naming_path(&path, NULL, cli->operands[0]);
    if (status == CLV_OK)
        status = clv_checkpoint_open(&checkpoint, path);
    if (status != CLV_OK)
        goto done;
    if (!cli->flags.json)
        clv_table_begin(&table, "TYPE SHAPE BYTES> NAME");
    for (size_t i = 0; i < clv_checkpoint_count(checkpoint) && status == CLV_OK; i++) {
        const struct clv_weight_entry *entry = clv_checkpoint_at(checkpoint, i);
        size_bytes += (int64_t)entry->size_bytes;
        if (cli->flags.json)
            status = print_json(entry);
        else
            add_row(&table, entry);
    }
    if (status == CLV_OK && !cli->flags.json && clv_checkpoint_count(checkpoint) > 0)
        status = clv_table_print(&table);
    if (status == CLV_OK)
        status = print_skipped(cli, checkpoint);
    if (status == CLV_OK)
        status = print_summary(cli, checkpoint, size_bytes);
    if (status == CLV_OK && clv_checkpoint_count(checkpoint) == 0)
        status = CLV_EXIT_NOTHING;
done:
    clv_bytes_release(&table.cells);
    clv_checkpoint_close(checkpoint);
    free(path);
    return status;
}

static const struct clv_opt no_opts[] = {{.name = NULL}};
static const char no_defaults[1];

const struct clv_command clv_command_model_tensors = {
    .name = "model tensors",
    .operands = "FILE",
    .summary = "list the tensors of any checkpoint",
    .description = "Lists name, type, shape and size of every tensor of a checkpoint: safetensors, "
                   "PyTorch's archives old and new, TorchScript, the index of a sharded set. "
                   "Nothing in it is executed. Exit status 1 means that there are none.",
    .example = "claverdb model tensors strange.pt",
    .operand_min = 1,
    .operand_max = 1,
    .opts = no_opts,
    .defaults = no_defaults,
    .run = run,
};
