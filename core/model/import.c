/* Import: open, recognise, plan, write. */
#include "core/model/import.h"

#include "core/error.h"
#include "core/file.h"
#include "core/model/import_cache.h"
#include "core/model/import_plan.h"
#include "core/model/import_settings.h"
#include "core/model/import_source.h"
#include "core/model/layout_config.h"
#include "core/model/weights.h"

#include <stdlib.h>
#include <string.h>

void clv_import_report_release(struct clv_import_report *report)
{
    clv_bytes_release(&report->notes);
    *report = (struct clv_import_report){0};
}

/* One import under way. */
struct importing {
    const struct clv_import_options *options;
    struct clv_checkpoint *checkpoint;
    struct clv_checkpoint *base;
    struct clv_layout layout;
    struct clv_layout_config said;
    char *said_by; /* the configuration file; NULL where there is none */
    struct clv_import_settings hints;
    struct clv_import_settings metadata;
    struct clv_plan plan;
    struct clv_vocabulary_files vocabulary;
    struct clv_weight_entry *entries; /* the plan's, and the vocabulary's after them */
    struct clv_bytes notes;
    const char *out_path;
};

static void release(struct importing *importing)
{
    free(importing->entries);
    free(importing->said_by);
    clv_vocabulary_files_release(&importing->vocabulary);
    clv_plan_release(&importing->plan);
    clv_layout_release(&importing->layout);
    clv_checkpoint_close(importing->base);
    clv_checkpoint_close(importing->checkpoint);
    clv_bytes_release(&importing->notes);
}

static int fill(void *payload, size_t index, void *out)
{
    struct importing *importing = payload;
    if (clv_cancelled(importing->options->cancel))
        return clv_fail(CLV_ECANCELED, "importing into '%s' was canceled", importing->out_path);
    if (index < importing->plan.count)
        return clv_plan_read(&importing->plan, index, out);
    const struct clv_tokenizer_file *file =
        &importing->vocabulary.items[index - importing->plan.count];
    memcpy(out, file->data, file->size_bytes);
    return CLV_OK;
}

static int open_both(struct importing *importing, const char *path)
{
    char *checkpoint = NULL, *base = NULL;
    int status = clv_import_checkpoint(&checkpoint, path);
    if (status == CLV_OK)
        status = clv_checkpoint_open(&importing->checkpoint, checkpoint);
    if (status == CLV_OK && importing->options->base_path)
        status = clv_import_checkpoint(&base, importing->options->base_path);
    if (status == CLV_OK && base)
        status = clv_checkpoint_open(&importing->base, base);
    free(base);
    free(checkpoint);
    return status;
}

static int make_plan(struct importing *importing, const char *path)
{
    const struct clv_import_options *options = importing->options;
    int status = open_both(importing, path);
    if (status == CLV_OK)
        status = clv_layout_find(&importing->layout, importing->checkpoint);
    if (status == CLV_OK)
        status = clv_import_configuration(&importing->said, &importing->said_by,
                                          importing->checkpoint, &importing->layout);
    /* With a configuration of theirs beside them, OpenAI's names are OpenCLIP's. */
    if (status == CLV_OK && importing->said_by && importing->layout.kind == CLV_LAYOUT_OPENAI)
        importing->layout.kind = CLV_LAYOUT_OPENCLIP;
    if (status == CLV_OK)
        status = clv_import_hints(&importing->hints, importing->checkpoint, &importing->layout,
                                  &importing->said, importing->said_by != NULL, options,
                                  &importing->notes);
    if (status == CLV_OK)
        status = clv_plan_make(&importing->plan, importing->checkpoint, &importing->layout,
                               importing->base, importing->hints.items, importing->hints.count,
                               &importing->notes);
    if (status == CLV_OK && importing->said_by)
        status = clv_import_agree(&importing->plan.config, &importing->said, importing->said_by);
    if (status == CLV_OK)
        clv_import_metadata(&importing->metadata, &importing->plan.config, &importing->hints,
                            importing->layout.kind);
    return status;
}

/* The entries to write: the plan's and the files of the vocabulary. */
static int list_entries(struct importing *importing)
{
    const struct clv_plan *plan = &importing->plan;
    const struct clv_vocabulary_files *files = &importing->vocabulary;
    importing->entries = calloc(plan->count + (size_t)files->count + 1, sizeof *importing->entries);
    if (!importing->entries)
        return clv_fail_memory("the table of tensors");
    memcpy(importing->entries, plan->entries, plan->count * sizeof *plan->entries);
    for (int i = 0; i < files->count; i++)
        importing->entries[plan->count + (size_t)i] = clv_vocabulary_entry(&files->items[i]);
    return CLV_OK;
}

static void tell(struct clv_import_report *report, struct importing *importing)
{
    struct clv_file_facts facts;
    report->format = clv_checkpoint_format_name(clv_checkpoint_format(importing->checkpoint));
    report->layout = clv_layout_name(importing->layout.kind);
    report->tensor_count = (int)importing->plan.count;
    report->has_vocabulary = importing->vocabulary.count > 0;
    report->ignored_count = importing->plan.ignored_count;
    if (clv_file_facts(&facts, importing->out_path) == CLV_OK)
        report->written_bytes = facts.size_bytes;
    report->notes = importing->notes;
    importing->notes = (struct clv_bytes){0};
}

int clv_import_write(const char *path, const char *out_path,
                     const struct clv_import_options *options, const char *source,
                     struct clv_import_report *report)
{
    static const struct clv_import_options defaults;
    struct importing importing = {.options = options ? options : &defaults, .out_path = out_path};
    if (report)
        *report = (struct clv_import_report){0};
    int status = make_plan(&importing, path);
    if (status == CLV_OK)
        status =
            clv_import_vocabulary(&importing.vocabulary, importing.checkpoint, importing.options,
                                  importing.plan.config.vocabulary_size, &importing.notes);
    if (status == CLV_OK)
        status = list_entries(&importing);
    if (status == CLV_OK && source)
        importing.metadata.items[importing.metadata.count++] =
            (struct clv_weight_metadata){"source", source};
    if (status == CLV_OK)
        status = importing.notes.status;
    if (status == CLV_OK)
        status = clv_weights_stream(
            out_path, importing.entries, importing.plan.count + (size_t)importing.vocabulary.count,
            importing.metadata.items, importing.metadata.count, fill, &importing);
    if (status == CLV_OK && report)
        tell(report, &importing);
    release(&importing);
    return status;
}

int clv_import(const char *path, const char *out_path, const struct clv_import_options *options,
               struct clv_import_report *report)
{
    return clv_import_write(path, out_path, options, NULL, report);
}
