/* An export has two halves: everything is planned first (sources found, names given, nothing in
 * the way), then moments are cut one by one, each on its own. */
#include "query/export.h"

#include "core/bytes.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/file.h"
#include "core/media/cut.h"
#include "query/clipname.h"
#include "query/manifest.h"
#include "query/sheet.h"
#include "query/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* A cut that starts or ends within a frame of what was asked is worth no word. */
#define SHIFT_SAID_MS 50

/* One export under way. */
struct job {
    const struct clv_export_options *options;
    struct clv_manifest manifest;
    struct clv_manifest_entry *entries; /* [count], the manifest's */
    struct clv_source *sources;         /* [count], path NULL: failed, entry->error says why */
    char **targets;                     /* [count] paths of the clips */
    int count;
    struct clv_export_totals *totals;
};

static char *message_copy(void)
{
    char *copy = strdup(clv_error_message());
    return copy ? copy : strdup("out of memory");
}

/* ---- the plan -------------------------------------------------------------------------------- */

/* The moment with its padding, inside the file. A container may state less than was decoded. */
static void set_range(struct clv_manifest_entry *entry, const struct clv_source *source,
                      int64_t pad_ms)
{
    const struct clv_moment_row *moment = entry->moment;
    entry->start_ms = moment->start_ms > pad_ms ? moment->start_ms - pad_ms : 0;
    entry->end_ms = moment->end_ms + pad_ms;
    int64_t limit_ms = source->duration_ms > moment->end_ms ? source->duration_ms : moment->end_ms;
    if (source->duration_ms > 0 && entry->end_ms > limit_ms)
        entry->end_ms = limit_ms;
}

/* The same video again: moments often share one. */
static int find_source(struct job *job, int index)
{
    const struct clv_moment_row *moment = job->entries[index].moment;
    for (int i = 0; i < index; i++) {
        const struct clv_moment_row *other = job->entries[i].moment;
        if (strcmp(other->path, moment->path) != 0 ||
            memcmp(other->video_digest, moment->video_digest, sizeof moment->video_digest) != 0)
            continue;
        if (job->entries[i].error)
            job->entries[index].error = strdup(job->entries[i].error);
        else {
            job->sources[index].path = strdup(job->sources[i].path);
            job->sources[index].duration_ms = job->sources[i].duration_ms;
        }
        return job->entries[index].error || job->sources[index].path ? CLV_OK
                                                                     : clv_fail_memory("a path");
    }
    int status =
        clv_source_find(&job->sources[index], moment, job->options->store, job->options->cancel);
    if (status == CLV_ECANCELED || status == CLV_ENOMEM)
        return status;
    if (status != CLV_OK)
        job->entries[index].error = message_copy();
    return CLV_OK;
}

/* Names differ even where file systems ignore case. */
static bool is_taken(const struct job *job, int index, const char *name)
{
    for (int i = 0; i < index; i++)
        if (strcasecmp(job->entries[i].clip, name) == 0)
            return true;
    return false;
}

static int give_name(struct job *job, int index)
{
    struct clv_manifest_entry *entry = &job->entries[index];
    struct clv_bytes plain = {0}, name = {0};
    const char *extension =
        job->options->copy ? clv_clipname_copy_extension(entry->moment->path) : "mp4";
    int status =
        clv_clipname(&plain, entry->moment->path, entry->start_ms, entry->end_ms, extension);
    if (status == CLV_OK) {
        clv_bytes_text(&name, plain.data);
        status = name.status;
    }
    for (int number = 2; status == CLV_OK && is_taken(job, index, name.data); number++)
        status = clv_clipname_number(&name, plain.data, number);
    if (status == CLV_OK) {
        entry->clip = strdup(name.data);
        job->targets[index] =
            entry->clip ? clv_path_join(job->options->directory, name.data) : NULL;
        if (!job->targets[index])
            status = clv_fail_memory("a file name");
    }
    clv_bytes_release(&plain);
    clv_bytes_release(&name);
    return status;
}

static int plan(struct job *job)
{
    for (int i = 0; i < job->count; i++) {
        if (clv_cancelled(job->options->cancel))
            return clv_fail(CLV_ECANCELED, "interrupted");
        int status = find_source(job, i);
        if (status != CLV_OK)
            return status;
        set_range(&job->entries[i], &job->sources[i], job->options->pad_ms);
        status = give_name(job, i);
        if (status != CLV_OK)
            return status;
    }
    return CLV_OK;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/* Even where overwriting is wanted, footage is not what is overwritten. */
static int check_target(const struct job *job, const char *path, int *existing, const char **first)
{
    struct stat facts;
    if (lstat(path, &facts) != 0)
        return CLV_OK;
    if (S_ISDIR(facts.st_mode))
        return clv_fail(CLV_EINVAL, "'%s' is a folder", path);
    for (int i = 0; i < job->count; i++)
        if (job->sources[i].path && is_same_file(path, job->sources[i].path))
            return clv_fail(CLV_EINVAL, "'%s' is one of the videos to be cut", path);
    if (++*existing == 1)
        *first = path;
    return CLV_OK;
}

/* Everything that will be written, before anything is. */
static int check_targets(const struct job *job)
{
    const char *first = NULL;
    int existing = 0, status = CLV_OK;
    const char *const lists[] = {job->totals->manifest_csv, job->totals->manifest_json,
                                 job->totals->sheet};
    for (int i = 0; i < job->count && status == CLV_OK && !job->options->no_clips; i++)
        status = check_target(job, job->targets[i], &existing, &first);
    for (int i = 0; i < 3 && status == CLV_OK; i++)
        status = check_target(job, lists[i], &existing, &first);
    if (status != CLV_OK || existing == 0 || job->options->overwrite)
        return status;
    if (existing == 1)
        return clv_fail(CLV_EINVAL, "'%s' exists already; nothing was written", first);
    return clv_fail(CLV_EINVAL, "'%s' and %d more exist already; nothing was written", first,
                    existing - 1);
}

/* ---- cutting --------------------------------------------------------------------------------- */

static void add_shift(struct clv_bytes *out, const char *what, int64_t shift_ms)
{
    int64_t ms = shift_ms < 0 ? -shift_ms : shift_ms;
    if (ms <= SHIFT_SAID_MS)
        return;
    clv_bytes_format(out, "%s%s %" PRId64 ".%03d s %s", out->size_bytes ? ", " : "", what,
                     ms / 1000, (int)(ms % 1000), shift_ms < 0 ? "earlier" : "later");
}

/* What the cut moved, and where the video was found if not where it was. */
static int describe(struct clv_manifest_entry *entry, const struct clv_source *source)
{
    struct clv_bytes text = {0};
    add_shift(&text, "begins", entry->cut.start_ms - entry->start_ms);
    add_shift(&text, "ends", entry->cut.end_ms - entry->end_ms);
    if (strcmp(source->path, entry->moment->path) != 0)
        clv_bytes_format(&text, "%svideo found at %s", text.size_bytes ? "; " : "", source->path);
    if (text.status != CLV_OK) {
        clv_bytes_release(&text);
        return clv_fail_memory("a description");
    }
    entry->detail = text.data;
    return CLV_OK;
}

/* Cuts one moment; a failure is the moment's own and is kept with it. */
static int cut_moment(struct job *job, int index)
{
    const struct clv_export_options *options = job->options;
    struct clv_manifest_entry *entry = &job->entries[index];
    struct clv_cut_options cut = {
        .copy = options->copy,
        .no_audio = options->no_audio,
        .quality = options->quality,
        .cancel = options->cancel,
    };
    if (entry->error || !job->sources[index].path || options->no_clips)
        return CLV_OK;
    int status = clv_media_cut(&entry->cut, job->targets[index], job->sources[index].path,
                               entry->start_ms, entry->end_ms, &cut);
    if (status == CLV_OK) {
        entry->is_written = true;
        job->totals->written_count++;
        return describe(entry, &job->sources[index]);
    }
    entry->error = message_copy();
    return status == CLV_ECANCELED ? status : CLV_OK;
}

static void tell(const struct job *job, int index, clv_export_report *report, void *payload)
{
    const struct clv_manifest_entry *entry = &job->entries[index];
    struct clv_export_progress progress = {
        .done = index + 1,
        .count = job->count,
        .failed_count = job->totals->failed_count,
        .path = job->targets[index],
        .detail = entry->error    ? entry->error
                  : entry->detail ? entry->detail
                                  : "",
        .failed = entry->error != NULL,
    };
    if (report)
        report(&progress, payload);
}

/* Cuts and shows one moment after the other. After a cancel the rest are listed as not done. */
static int cut_all(struct job *job, struct clv_sheet *sheet, clv_export_report *report,
                   void *payload)
{
    int cancelled = CLV_OK;
    for (int i = 0; i < job->count; i++) {
        struct clv_manifest_entry *entry = &job->entries[i];
        if (cancelled == CLV_OK && clv_cancelled(job->options->cancel))
            cancelled = clv_fail(CLV_ECANCELED, "interrupted");
        int status = cancelled == CLV_OK ? cut_moment(job, i) : CLV_OK;
        if (status == CLV_ECANCELED)
            cancelled = status;
        else if (status != CLV_OK)
            return status;
        if (cancelled != CLV_OK && !entry->is_written && !entry->error)
            entry->error = strdup("interrupted before its turn");
        job->totals->failed_count += entry->error != NULL;
        const char *source = cancelled == CLV_OK ? job->sources[i].path : NULL;
        status = clv_sheet_add(sheet, entry, source, job->options->cancel);
        if (status == CLV_ECANCELED)
            cancelled = status;
        else if (status != CLV_OK)
            return status;
        if (cancelled == CLV_OK)
            tell(job, i, report, payload);
    }
    return cancelled;
}

static int write_lists(const struct job *job)
{
    struct clv_bytes csv = {0}, json = {0};
    int status = clv_manifest_csv(&csv, &job->manifest);
    if (status == CLV_OK)
        status = clv_manifest_json(&json, &job->manifest);
    if (status == CLV_OK)
        status = clv_file_replace(job->totals->manifest_csv, csv.data, csv.size_bytes);
    if (status == CLV_OK)
        status = clv_file_replace(job->totals->manifest_json, json.data, json.size_bytes);
    clv_bytes_release(&csv);
    clv_bytes_release(&json);
    return status;
}

static int carry_out(struct job *job, clv_export_report *report, void *payload)
{
    struct clv_sheet sheet;
    int status = clv_sheet_begin(&sheet, job->totals->sheet, &job->manifest);
    if (status == CLV_OK)
        status = cut_all(job, &sheet, report, payload);
    if (status == CLV_OK || status == CLV_ECANCELED) {
        int written = clv_sheet_commit(&sheet);
        if (written == CLV_OK)
            written = write_lists(job);
        if (written != CLV_OK)
            status = written;
        else if (status == CLV_ECANCELED)
            status = clv_fail(CLV_ECANCELED, "interrupted after %d of %d clips",
                              job->totals->written_count, job->count);
    }
    clv_sheet_abort(&sheet);
    return status;
}

/* ---- entry ----------------------------------------------------------------------------------- */

static int check_options(const struct clv_export_options *options, int count)
{
    if (!options->directory || options->directory[0] == '\0')
        return clv_fail(CLV_EINVAL, "no folder to export to was named");
    if (count < 1)
        return clv_fail(CLV_EINVAL, "there are no moments to export");
    if (options->pad_ms < 0 || options->pad_ms > 86400000)
        return clv_fail(CLV_EINVAL, "padding of %" PRId64 " ms is not between 0 and a day",
                        options->pad_ms);
    if (options->quality < 0 || options->quality > 51)
        return clv_fail(CLV_EINVAL, "quality %d is not between 0 and 51", options->quality);
    return CLV_OK;
}

static int job_init(struct job *job, struct clv_export_totals *totals, const char *query,
                    const struct clv_moment_row *moments, int count,
                    const struct clv_export_options *options)
{
    *totals = (struct clv_export_totals){0};
    *job = (struct job){.options = options, .count = count, .totals = totals};
    job->entries = calloc((size_t)count, sizeof *job->entries);
    job->sources = calloc((size_t)count, sizeof *job->sources);
    job->targets = calloc((size_t)count, sizeof *job->targets);
    if (!job->entries || !job->sources || !job->targets)
        return clv_fail_memory("an export");
    for (int i = 0; i < count; i++)
        job->entries[i].moment = &moments[i];
    job->manifest = (struct clv_manifest){
        .query = query ? query : "",
        .mode = options->no_clips ? "none"
                : options->copy   ? "copy"
                                  : "encode",
        .created_unix_ms = clv_clock_unix_ms(),
        .entries = job->entries,
        .count = count,
    };
    totals->manifest_csv = clv_path_join(options->directory, "manifest.csv");
    totals->manifest_json = clv_path_join(options->directory, "manifest.json");
    totals->sheet = clv_path_join(options->directory, "contact-sheet.html");
    return totals->manifest_csv && totals->manifest_json && totals->sheet ? CLV_OK : CLV_ENOMEM;
}

static void job_release(struct job *job)
{
    for (int i = 0; i < job->count; i++) {
        if (job->sources)
            clv_source_release(&job->sources[i]);
        if (job->targets)
            free(job->targets[i]);
        if (!job->entries)
            continue;
        free(job->entries[i].clip);
        free(job->entries[i].detail);
        free(job->entries[i].error);
    }
    free(job->entries);
    free(job->sources);
    free(job->targets);
}

int clv_export_moments(struct clv_export_totals *totals_out, const char *query,
                       const struct clv_moment_row *moments, int count,
                       const struct clv_export_options *options, clv_export_report *report,
                       void *payload)
{
    struct job job;
    *totals_out = (struct clv_export_totals){0};
    int status = check_options(options, count);
    if (status != CLV_OK)
        return status;
    status = job_init(&job, totals_out, query, moments, count, options);
    if (status == CLV_OK)
        status = plan(&job);
    if (status == CLV_OK)
        status = check_targets(&job);
    if (status == CLV_OK)
        status = clv_directory_create(options->directory);
    if (status == CLV_OK)
        status = carry_out(&job, report, payload);
    job_release(&job);
    return status;
}

int clv_export_last(struct clv_export_totals *totals_out, struct clv_store *store,
                    const struct clv_export_options *options, clv_export_report *report,
                    void *payload)
{
    struct clv_export_options own = *options;
    struct clv_moment_row *moments = NULL;
    char *query = NULL;
    int count = 0;
    *totals_out = (struct clv_export_totals){0};
    own.store = store;
    int status = clv_store_result_last(store, &query, &moments, &count);
    if (status == CLV_ENOTFOUND)
        return clv_fail(CLV_ENOTFOUND, "no search is remembered, so there is nothing to export");
    if (status == CLV_OK && count == 0)
        status = clv_fail(CLV_ENOTFOUND, "the last search found nothing to export");
    if (status == CLV_OK)
        status = clv_export_moments(totals_out, query, moments, count, &own, report, payload);
    clv_moment_rows_free(moments, count);
    free(query);
    return status;
}

/* Adds the moment with this id, taking over its path; its query unless it is there already. */
static int add_remembered(struct clv_moment_row *out, struct clv_bytes *queries,
                          struct clv_store *store, int64_t id)
{
    struct clv_moment_row *row = NULL;
    char *query = NULL;
    int status = clv_store_result_moment(store, &query, &row, id);
    if (status == CLV_ENOTFOUND)
        return clv_fail(CLV_ENOTFOUND, "moment %" PRId64 " is not among the remembered ones", id);
    if (status != CLV_OK)
        return status;
    *out = *row;
    row->path = NULL;
    clv_moment_rows_free(row, 1);
    if (!queries->data || !strstr(queries->data, query))
        clv_bytes_format(queries, "%s%s", queries->size_bytes ? "; " : "", query);
    free(query);
    return queries->status == CLV_OK ? CLV_OK : clv_fail_memory("the query");
}

int clv_export_ids(struct clv_export_totals *totals_out, struct clv_store *store,
                   const int64_t *ids, int count, const struct clv_export_options *options,
                   clv_export_report *report, void *payload)
{
    struct clv_export_options own = *options;
    struct clv_bytes queries = {0};
    *totals_out = (struct clv_export_totals){0};
    own.store = store;
    struct clv_moment_row *moments = calloc((size_t)(count > 0 ? count : 1), sizeof *moments);
    int status = moments ? CLV_OK : clv_fail_memory("the moments");
    for (int i = 0; i < count && status == CLV_OK; i++)
        status = add_remembered(&moments[i], &queries, store, ids[i]);
    if (status == CLV_OK)
        status =
            clv_export_moments(totals_out, queries.data, moments, count, &own, report, payload);
    for (int i = 0; moments && i < count; i++)
        free(moments[i].path);
    free(moments);
    clv_bytes_release(&queries);
    return status;
}

void clv_export_totals_release(struct clv_export_totals *totals)
{
    free(totals->manifest_csv);
    free(totals->manifest_json);
    free(totals->sheet);
    *totals = (struct clv_export_totals){0};
}
