/* Every parameter is looked up under the name its layout gives it; what is left over is sorted
 * into what may be left out and what may not. */
#include "core/model/import_plan.h"

#include "core/error.h"
#include "core/model/findings.h"
#include "core/model/params.h"
#include "core/model/weights_table.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_MAX 64
#define GROUP_NAME_SIZE 64

/* What planning needs beside the plan itself. */
struct planning {
    struct clv_plan *plan;
    struct clv_params params;
    bool *is_taken; /* by index of the checkpoint's tensors */
    struct clv_findings findings;
    int lent_count; /* parameters the base gave */
    char lent[CLV_PARAM_NAME_SIZE];
    float scale; /* the logit scale, the one value the config needs */
};

/* The parameters of a model with these numbers of blocks: only their names count. */
static int init_names(struct clv_params *out, const struct clv_layout *layout)
{
    const struct clv_model_config config = {
        .vision = {.width = 1, .layer_count = layout->vision_blocks, .mlp_width = 1},
        .temporal = {.width = layout->is_temporal,
                     .layer_count = layout->temporal_blocks,
                     .mlp_width = layout->is_temporal},
        .text = {.width = 1, .layer_count = layout->text_blocks, .mlp_width = 1},
        .embed_dim = 1,
        .patch_side = 1,
        .token_count = 1,
        .frame_count = 1,
        .context_length = 1,
        .vocabulary_size = 1,
    };
    return clv_params_init(out, &config);
}

static bool is_whole(const struct clv_layout_source *source)
{
    for (int i = 0; i < source->part_count; i++)
        if (source->indices[i] == SIZE_MAX)
            return false;
    return true;
}

static bool same_form(const struct clv_weight_entry *a, const struct clv_weight_entry *b)
{
    return a->dtype == b->dtype && a->dimension_count == b->dimension_count &&
           memcmp(a->shape, b->shape, (size_t)a->dimension_count * sizeof a->shape[0]) == 0;
}

/* The entry that `source` makes; false where its parts do not go together. */
static bool shape_entry(struct clv_weight_entry *out, const struct clv_checkpoint *from,
                        const struct clv_layout_source *source)
{
    const struct clv_weight_entry *first = clv_checkpoint_at(from, source->indices[0]);
    const char *name = out->name;
    *out = *first;
    out->name = name;
    out->data = NULL;
    if (source->operation == CLV_LAYOUT_TRANSPOSE && first->dimension_count == 2) {
        out->shape[0] = first->shape[1];
        out->shape[1] = first->shape[0];
    }
    if (source->operation != CLV_LAYOUT_JOIN)
        return source->operation == CLV_LAYOUT_COPY || first->dimension_count == 2;
    if (first->dimension_count == 0)
        return false;
    for (int i = 1; i < source->part_count; i++) {
        const struct clv_weight_entry *part = clv_checkpoint_at(from, source->indices[i]);
        if (!same_form(part, first) ||
            __builtin_add_overflow(out->shape[0], part->shape[0], &out->shape[0]))
            return false;
    }
    return clv_weight_entry_measure(out);
}

/* Adds the entry of parameter `name` made of `source`. */
static int add_entry(struct planning *planning, const char *name, struct clv_checkpoint *from,
                     const struct clv_layout_source *source)
{
    struct clv_plan *plan = planning->plan;
    struct clv_weight_entry *entry = &plan->entries[plan->count];
    struct clv_plan_piece *piece = &plan->pieces[plan->count];
    entry->name = name;
    if (!shape_entry(entry, from, source)) {
        clv_findings_add(&planning->findings, source->names[0],
                         source->operation == CLV_LAYOUT_JOIN
                             ? "differs in type or shape from the keys and values beside it"
                             : "is no matrix");
        return CLV_OK;
    }
    entry->name = strdup(name);
    if (!entry->name)
        return clv_fail_memory("a tensor's name");
    piece->from = from;
    piece->operation = source->operation;
    piece->part_count = source->part_count;
    memcpy(piece->parts, source->indices, sizeof piece->parts);
    plan->count++;
    return CLV_OK;
}

/* Finds where parameter `name` comes from: the checkpoint, else all of it from the base. */
static int place(struct planning *planning, const char *name)
{
    struct clv_plan *plan = planning->plan;
    struct clv_layout_source source, lent;
    clv_layout_source(&source, plan->layout, plan->checkpoint, name);
    for (int i = 0; i < source.part_count; i++)
        if (source.indices[i] != SIZE_MAX)
            planning->is_taken[source.indices[i]] = true;
    if (is_whole(&source))
        return add_entry(planning, name, plan->checkpoint, &source);
    if (plan->base) {
        clv_layout_source(&lent, &plan->base_layout, plan->base, name);
        if (is_whole(&lent)) {
            if (planning->lent_count++ == 0)
                snprintf(planning->lent, sizeof planning->lent, "%s", name);
            return add_entry(planning, name, plan->base, &lent);
        }
    }
    for (int i = 0; i < source.part_count; i++)
        if (source.indices[i] == SIZE_MAX)
            clv_findings_add(&planning->findings, source.names[i], "is missing");
    return CLV_OK;
}

/* ---- what is left over ---- */

struct groups {
    struct {
        char name[GROUP_NAME_SIZE];
        bool has_parts;
        int count;
    } items[GROUP_MAX];
    int count;
    int more_count; /* tensors of groups there was no room for */
};

/* Counts the tensor with those that share the first part of its name after the layout's root. */
static void count_group(struct groups *groups, const char *root, const char *name)
{
    size_t root_size = strlen(root);
    size_t from = strncmp(name, root, root_size) == 0 ? root_size : 0;
    const char *dot = strchr(name + from, '.');
    size_t size = dot ? (size_t)(dot - name) : strlen(name);
    if (size >= GROUP_NAME_SIZE)
        size = GROUP_NAME_SIZE - 1;
    for (int i = 0; i < groups->count; i++)
        if (strlen(groups->items[i].name) == size &&
            memcmp(groups->items[i].name, name, size) == 0) {
            groups->items[i].count++;
            groups->items[i].has_parts |= dot != NULL;
            return;
        }
    if (groups->count == GROUP_MAX) {
        groups->more_count++;
        return;
    }
    memcpy(groups->items[groups->count].name, name, size);
    groups->items[groups->count].name[size] = '\0';
    groups->items[groups->count].has_parts = dot != NULL;
    groups->items[groups->count++].count = 1;
}

static void tell_groups(struct clv_bytes *notes, const struct groups *groups)
{
    for (int i = 0; i < groups->count; i++) {
        clv_bytes_format(notes, "%s%s%s", i ? ", " : "ignored: ", groups->items[i].name,
                         groups->items[i].has_parts ? ".*" : "");
        if (groups->items[i].count > 1 || groups->items[i].has_parts)
            clv_bytes_format(notes, " (%d tensor%s)", groups->items[i].count,
                             groups->items[i].count == 1 ? "" : "s");
    }
    if (groups->more_count)
        clv_bytes_format(notes, ", and %d more tensors", groups->more_count);
    if (groups->count)
        clv_bytes_text(notes, "\n");
}

static void sort_rest(struct planning *planning, struct clv_bytes *notes)
{
    struct clv_plan *plan = planning->plan;
    struct groups groups = {.count = 0};
    for (size_t i = 0; i < clv_checkpoint_count(plan->checkpoint); i++) {
        const char *name = clv_checkpoint_at(plan->checkpoint, i)->name;
        if (planning->is_taken[i])
            continue;
        enum clv_layout_rest rest = clv_layout_rest(plan->layout, name);
        if (rest == CLV_REST_SURPLUS)
            clv_findings_add(&planning->findings, name, "is no part of a CLIP tower");
        if (rest == CLV_REST_OUTSIDE)
            count_group(&groups, plan->layout->root, name);
        plan->ignored_count++;
    }
    tell_groups(notes, &groups);
    if (plan->layout->has_messages)
        clv_bytes_text(notes, "left out: what X-CLIP adds to CLIP (messages across frames, "
                              "integration over time, prompts from pictures); results differ from "
                              "that model's\n");
    if (plan->layout->has_prompts)
        clv_bytes_text(notes, "left out: learned prompt vectors; results differ from those of the "
                              "model with its prompts\n");
    if (plan->layout->other)
        clv_bytes_format(notes,
                         "taken: the picture tower '%.200s*'; the checkpoint has another, "
                         "'%.200s*'\n",
                         plan->layout->vision, plan->layout->other);
    if (planning->lent_count == 1)
        clv_bytes_format(notes, "lent by '%s': %s\n", clv_checkpoint_path(plan->base),
                         planning->lent);
    else if (planning->lent_count)
        clv_bytes_format(notes, "lent by '%s': %s and %d more tensors\n",
                         clv_checkpoint_path(plan->base), planning->lent, planning->lent_count - 1);
}

/* ---- shapes ---- */

/* Reads the logit scale, whose value is part of the config, and lends its entry the data. */
static int read_scale(struct planning *planning)
{
    struct clv_plan *plan = planning->plan;
    for (size_t i = 0; i < plan->count; i++) {
        struct clv_weight_entry entry = plan->entries[i];
        unsigned char bytes[8];
        if (strcmp(entry.name, "logit_scale") != 0 || entry.element_count != 1 ||
            entry.dtype > CLV_F64)
            continue;
        int status = clv_plan_read(plan, i, bytes);
        entry.data = bytes;
        return status == CLV_OK ? clv_weights_read(&planning->scale, &entry) : status;
    }
    return CLV_OK;
}

static int infer(struct planning *planning, const struct clv_weight_metadata *hints,
                 size_t hint_count)
{
    struct clv_plan *plan = planning->plan;
    struct clv_weights *weights = NULL;
    int status = read_scale(planning);
    if (status != CLV_OK)
        return status;
    struct clv_weight_entry *copies = malloc((plan->count + 1) * sizeof *copies);
    if (!copies)
        return clv_fail_memory("the table of tensors");
    for (size_t i = 0; i < plan->count; i++) {
        copies[i] = plan->entries[i];
        if (strcmp(copies[i].name, "logit_scale") == 0 && copies[i].element_count == 1 &&
            copies[i].dtype <= CLV_F64) {
            copies[i].dtype = CLV_F32;
            copies[i].data = &planning->scale;
        }
    }
    status = clv_weights_from_memory(&weights, clv_checkpoint_path(plan->checkpoint), copies,
                                     plan->count, hints, hint_count, NULL);
    if (status == CLV_OK)
        status = clv_config_infer(&plan->config, weights);
    clv_weights_close(weights);
    free(copies);
    return status;
}

/* The shape the checkpoint must have each of the piece's parts in. */
static struct clv_param wanted(const struct clv_param *param, const struct clv_plan_piece *piece)
{
    struct clv_param part = *param;
    if (piece->operation == CLV_LAYOUT_JOIN)
        part.shape[0] /= piece->part_count;
    if (piece->operation == CLV_LAYOUT_TRANSPOSE) {
        part.shape[0] = param->shape[1];
        part.shape[1] = param->shape[0];
    }
    return part;
}

static int check_shapes(struct planning *planning)
{
    struct clv_plan *plan = planning->plan;
    struct clv_params params;
    int status = clv_params_init(&params, &plan->config);
    for (size_t i = 0; status == CLV_OK && i < plan->count; i++) {
        const struct clv_param *param = clv_params_find(&params, plan->entries[i].name);
        const struct clv_plan_piece *piece = &plan->pieces[i];
        for (int k = 0; param && k < piece->part_count; k++) {
            const struct clv_weight_entry *entry = clv_checkpoint_at(piece->from, piece->parts[k]);
            const struct clv_param part = wanted(param, piece);
            char got[160], want[160], what[400];
            if (!clv_param_fits(&part, entry)) {
                snprintf(what, sizeof what, "has shape %s instead of %s",
                         clv_shape_text(got, sizeof got, entry->shape, entry->dimension_count),
                         clv_shape_text(want, sizeof want, part.shape, part.dimension_count));
                clv_findings_add(&planning->findings, entry->name, what);
            } else if (entry->dtype > CLV_F64)
                clv_findings_add(&planning->findings, entry->name,
                                 "holds no floating-point numbers");
        }
    }
    clv_params_release(&params);
    return status;
}

/* ---- the plan ---- */

static int allocate(struct planning *planning)
{
    struct clv_plan *plan = planning->plan;
    size_t count = planning->params.count;
    plan->entries = calloc(count + 1, sizeof *plan->entries);
    plan->pieces = calloc(count + 1, sizeof *plan->pieces);
    planning->is_taken =
        calloc(clv_checkpoint_count(plan->checkpoint) + 1, sizeof *planning->is_taken);
    return plan->entries && plan->pieces && planning->is_taken
               ? CLV_OK
               : clv_fail_memory("the table of tensors");
}

static int make(struct planning *planning, const struct clv_weight_metadata *hints,
                size_t hint_count, struct clv_bytes *notes)
{
    struct clv_plan *plan = planning->plan;
    int status = plan->base ? clv_layout_find(&plan->base_layout, plan->base) : CLV_OK;
    if (status == CLV_OK)
        status = init_names(&planning->params, plan->layout);
    if (status == CLV_OK)
        status = allocate(planning);
    for (size_t i = 0; status == CLV_OK && i < planning->params.count; i++)
        status = place(planning, planning->params.items[i].name);
    if (status != CLV_OK)
        return status;
    sort_rest(planning, notes);
    int inferred = infer(planning, hints, hint_count);
    if (inferred == CLV_OK)
        status = check_shapes(planning);
    else if (inferred == CLV_ENOMEM ||
             (planning->findings.count == 0 && planning->findings.status == CLV_OK))
        return inferred;
    if (status == CLV_OK)
        status = clv_findings_fail(&planning->findings, CLV_ECORRUPT,
                                   clv_checkpoint_path(plan->checkpoint),
                                   plan->layout->lacks_token_table && !plan->base
                                       ? "name the CLIP it was tuned from, which has the token "
                                         "table (claverdb model import --base)"
                                       : NULL);
    return status == CLV_OK ? notes->status : status;
}

int clv_plan_make(struct clv_plan *out, struct clv_checkpoint *checkpoint,
                  const struct clv_layout *layout, struct clv_checkpoint *base,
                  const struct clv_weight_metadata *hints, size_t hint_count,
                  struct clv_bytes *notes)
{
    *out = (struct clv_plan){.checkpoint = checkpoint, .base = base, .layout = layout};
    struct planning planning = {.plan = out};
    int status = make(&planning, hints, hint_count, notes);
    clv_findings_release(&planning.findings);
    clv_params_release(&planning.params);
    free(planning.is_taken);
    if (status != CLV_OK)
        clv_plan_release(out);
    return status;
}

void clv_plan_release(struct clv_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        free((char *)plan->entries[i].name);
    free(plan->entries);
    free(plan->pieces);
    clv_layout_release(&plan->base_layout);
    *plan = (struct clv_plan){0};
}

/* `in` is [columns, rows] of elements of `size` bytes, `out` [rows, columns]. */
static void transpose(unsigned char *out, const unsigned char *in, size_t rows, size_t columns,
                      size_t size)
{
    for (size_t row = 0; row < rows; row++)
        for (size_t column = 0; column < columns; column++)
            memcpy(out + (row * columns + column) * size, in + (column * rows + row) * size, size);
}

int clv_plan_read(const struct clv_plan *plan, size_t index, void *out)
{
    const struct clv_plan_piece *piece = &plan->pieces[index];
    const struct clv_weight_entry *entry = &plan->entries[index];
    if (piece->operation == CLV_LAYOUT_TRANSPOSE) {
        void *whole = malloc(entry->size_bytes ? entry->size_bytes : 1);
        if (!whole)
            return clv_fail_memory("a tensor");
        int status = clv_checkpoint_read(piece->from, piece->parts[0], whole);
        if (status == CLV_OK)
            transpose(out, whole, (size_t)entry->shape[0], (size_t)entry->shape[1],
                      clv_dtype_size(entry->dtype));
        free(whole);
        return status;
    }
    unsigned char *at = out;
    int status = CLV_OK;
    for (int i = 0; i < piece->part_count && status == CLV_OK; i++) {
        status = clv_checkpoint_read(piece->from, piece->parts[i], at);
        at += clv_checkpoint_at(piece->from, piece->parts[i])->size_bytes;
    }
    return status;
}
