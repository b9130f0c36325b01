/* Import: open, recognise, plan, write. */
#include "core/model/import.h"

#include "core/error.h"
#include "core/file.h"
#include "core/model/import_plan.h"
#include "core/model/import_settings.h"
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
    struct clv_import_settings hints;
    struct clv_import_settings metadata;
    struct clv_plan plan;
    struct clv_bytes notes;
    const char *out_path;
};

static void release(struct importing *importing)
{
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
    return clv_plan_read(&importing->plan, index, out);
}

static int make_plan(struct importing *importing, const char *path)
{
    const struct clv_import_options *options = importing->options;
    int status = clv_checkpoint_open(&importing->checkpoint, path);
    if (status == CLV_OK && options->base_path)
        status = clv_checkpoint_open(&importing->base, options->base_path);
    if (status == CLV_OK)
        status = clv_layout_find(&importing->layout, importing->checkpoint);
    if (status == CLV_OK)
        status = clv_import_hints(&importing->hints, importing->checkpoint, &importing->layout,
                                  &importing->said, false, options, &importing->notes);
    if (status == CLV_OK)
        status = clv_plan_make(&importing->plan, importing->checkpoint, &importing->layout,
                               importing->base, importing->hints.items, importing->hints.count,
                               &importing->notes);
    if (status == CLV_OK)
        clv_import_metadata(&importing->metadata, &importing->plan.config, &importing->hints,
                            importing->layout.kind);
    return status;
}

static void tell(struct clv_import_report *report, struct importing *importing)
{
    struct clv_file_facts facts;
    report->format = clv_checkpoint_format_name(clv_checkpoint_format(importing->checkpoint));
    report->layout = clv_layout_name(importing->layout.kind);
    report->tensor_count = (int)importing->plan.count;
    report->ignored_count = importing->plan.ignored_count;
    if (clv_file_facts(&facts, importing->out_path) == CLV_OK)
        report->written_bytes = facts.size_bytes;
    report->notes = importing->notes;
    importing->notes = (struct clv_bytes){0};
}

int clv_import(const char *path, const char *out_path, const struct clv_import_options *options,
               struct clv_import_report *report)
{
    static const struct clv_import_options defaults;
    struct importing importing = {.options = options ? options : &defaults, .out_path = out_path};
    if (report)
        *report = (struct clv_import_report){0};
    int status = make_plan(&importing, path);
    if (status == CLV_OK)
        status = clv_weights_stream(out_path, importing.plan.entries, importing.plan.count,
                                    importing.metadata.items, importing.metadata.count, fill,
                                    &importing);
    if (status == CLV_OK && report)
        tell(report, &importing);
    release(&importing);
    return status;
}

int clv_import_cached(char **out, const char *path, const struct clv_import_options *options,
                      struct clv_import_report *report)
{
    (void)options, (void)report;
    *out = strdup(path);
    return *out ? CLV_OK : clv_fail_memory("a path");
}
