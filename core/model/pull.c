#include "core/model/pull.h"

#include "core/clock.h"
#include "core/error.h"
#include "core/fetch.h"
#include "core/file.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/model/pull_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

/* How long to wait for someone else who downloads the same vocabulary. */
#define VOCABULARY_WAIT_S 60

/* ---- places ---- */

bool clv_pull_is_name(const char *name)
{
    return clv_catalogue_is_name(name);
}

/* DATA/folder/name; the caller frees. */
static int data_path(char **out, const char *folder, const char *name)
{
    char *home = NULL;
    *out = NULL;
    int status = clv_path_data_home(&home);
    if (status == CLV_OK && asprintf(out, "%s/%s/%s", home, folder, name) < 0) {
        *out = NULL;
        status = clv_fail_memory("a path");
    }
    free(home);
    return status;
}

/* The same, with the folder made. */
static int make_data_path(char **out, const char *folder, const char *name)
{
    char *directory = NULL;
    *out = NULL;
    int status = data_path(&directory, folder, "");
    if (status == CLV_OK)
        status = clv_directory_create(directory);
    free(directory);
    return status == CLV_OK ? data_path(out, folder, name) : status;
}

int clv_pull_path(char **out, const char *name)
{
    char file[CLV_CATALOGUE_NAME_MAX + sizeof ".safetensors"];
    *out = NULL;
    if (!clv_pull_is_name(name))
        return clv_fail(CLV_EINVAL, "'%s' can be no model's name", name);
    snprintf(file, sizeof file, "%s.safetensors", name);
    return data_path(out, "models", file);
}

int clv_pull_entry_path(char **out, const struct clv_catalogue_entry *entry)
{
    return entry->is_vocabulary ? data_path(out, "vocabulary", entry->file)
                                : clv_pull_path(out, entry->name);
}

/* ---- downloading ---- */

/* One file to be had. */
struct goods {
    const char *label;     /* for progress */
    const uint8_t *sha256; /* NULL: not known */
    int64_t size_bytes;    /* 0: not known */
    const struct clv_pull_sources *sources;
    const struct clv_pull_options *options;
};

static void pass_progress(int64_t done_bytes, int64_t total_bytes, void *payload)
{
    const struct goods *goods = payload;
    struct clv_pull_state state = {
        .file = goods->label, .done_bytes = done_bytes, .total_bytes = total_bytes};
    if (goods->options->progress != NULL)
        goods->options->progress(&state, goods->options->payload);
}

/* From the first address that has it. */
static int download(uint8_t sha256_out[CLV_DIGEST_BYTES], const struct goods *goods,
                    const char *path)
{
    struct clv_fetch_options options = {
        .sha256 = goods->sha256,
        .size_bytes = goods->size_bytes,
        .sha256_out = sha256_out,
        .cancel = goods->options->cancel,
        .progress = pass_progress,
        .payload = (void *)(uintptr_t)goods,
    };
    int status = CLV_ENOTFOUND;
    for (int i = 0; i < goods->sources->count; i++) {
        status = clv_fetch(goods->sources->urls[i], path, &options);
        bool is_ours = status == CLV_OK || status == CLV_ECANCELED || status == CLV_EBUSY ||
                       status == CLV_ENOMEM;
        if (is_ours || i + 1 == goods->sources->count)
            break;
        clv_log(CLV_LOG_WARNING, "%s; trying the next address", clv_error_message());
    }
    return status;
}

static bool matches(const char *path, const uint8_t sha256[CLV_DIGEST_BYTES],
                    struct clv_cancel *cancel)
{
    uint8_t digest[CLV_DIGEST_BYTES];
    return clv_file_exists(path) && clv_sha256_file(digest, path, cancel) == CLV_OK &&
           memcmp(digest, sha256, sizeof digest) == 0;
}

/* ---- vocabularies ---- */

/* DATA/vocabulary/FILE, downloaded where it is missing or another. The caller frees `path_out`. */
static int get_vocabulary(char **path_out, bool *was_here_out,
                          const struct clv_catalogue_entry *entry,
                          const struct clv_pull_options *options)
{
    uint8_t want[CLV_DIGEST_BYTES];
    uint8_t got[CLV_DIGEST_BYTES];
    struct clv_pull_sources sources = {0};
    const char *base =
        options->from != NULL && clv_pull_is_base(options->from) ? options->from : NULL;
    int status = clv_digest_parse(want, entry->sha256);
    if (status == CLV_OK)
        status = make_data_path(path_out, "vocabulary", entry->file);
    if (status == CLV_OK)
        status = clv_pull_sources_list(&sources, entry->file, base, options->mirrors, entry->url);
    struct goods goods = {entry->file, want, entry->size_bytes, &sources, options};
    double until_s = clv_clock_seconds() + VOCABULARY_WAIT_S;
    *was_here_out = false;
    while (status == CLV_OK) {
        *was_here_out = matches(*path_out, want, options->cancel);
        if (*was_here_out)
            break;
        status = download(got, &goods, *path_out);
        if (status != CLV_EBUSY || clv_clock_seconds() > until_s || clv_cancelled(options->cancel))
            break;
        /* Another model is being pulled, which needs the same one. */
        struct timespec pause = {.tv_nsec = 100 * 1000000};
        nanosleep(&pause, NULL);
        status = CLV_OK;
    }
    clv_pull_sources_release(&sources);
    return status;
}

/* ---- models ---- */

struct pull {
    struct clv_pull_result *result;
    const struct clv_catalogue *catalogue;
    const struct clv_pull_options *options;
    const char *name;
    const struct clv_catalogue_entry *entry; /* NULL: in no list */
    uint8_t sha256[CLV_DIGEST_BYTES];        /* that it must have, where result->is_vouched */
    char *file;                              /* its name on a mirror */
    char *download_path;
    char *vocabulary_path;
    struct clv_lock lock;
};

/* What the file is called, and what it must be. */
static int identify(struct pull *pull)
{
    const struct clv_pull_options *options = pull->options;
    const char *file = pull->entry == NULL ? options->from : pull->entry->file;
    size_t size = strlen(file);
    if (pull->entry == NULL)
        file = clv_pull_file_of(options->from, &size);
    pull->file = strndup(file, size);
    if (pull->file == NULL)
        return clv_fail_memory("a file name");
    if (pull->entry == NULL && size == 0)
        return clv_fail(CLV_EINVAL,
                        "'%s' is in no list, so it needs its file's own address, not that of a "
                        "folder",
                        pull->name);
    const char *sha256 = options->sha256;
    if (sha256 == NULL && pull->entry != NULL)
        sha256 = pull->entry->sha256;
    pull->result->is_vouched = sha256 != NULL;
    return sha256 == NULL ? CLV_OK : clv_digest_parse(pull->sha256, sha256);
}

static int find_download_path(struct pull *pull)
{
    char *name = NULL;
    int made = clv_catalogue_is_file(pull->file) ? asprintf(&name, "%s-%s", pull->name, pull->file)
                                                 : asprintf(&name, "%s", pull->name);
    if (made < 0)
        return clv_fail_memory("a file name");
    int status = make_data_path(&pull->download_path, "downloads", name);
    free(name);
    return status;
}

/* Whoever pulls the same model at the same time is told so. */
static int take_lock(struct pull *pull)
{
    char *path = NULL;
    char name[CLV_CATALOGUE_NAME_MAX + sizeof ".lock"];
    snprintf(name, sizeof name, "%s.lock", pull->name);
    int status = make_data_path(&path, "downloads", name);
    if (status == CLV_OK)
        status = clv_lock_take(&pull->lock, path);
    if (status == CLV_EBUSY)
        status = clv_fail(CLV_EBUSY, "'%s' is being pulled by another process", pull->name);
    free(path);
    return status;
}

static int64_t size_of(const char *path, const char *suffix)
{
    char *name = NULL;
    struct clv_file_facts facts;
    if (asprintf(&name, "%s%s", path, suffix) < 0)
        return 0;
    int64_t size =
        clv_file_exists(name) && clv_file_facts(&facts, name) == CLV_OK ? facts.size_bytes : 0;
    free(name);
    return size;
}

/* The download and the model made of it lie side by side for a while. */
static int check_room(const struct pull *pull, int64_t size_bytes)
{
    struct statvfs facts;
    int64_t here = size_of(pull->download_path, "") + size_of(pull->download_path, ".part");
    int64_t wanted = 2 * size_bytes - (here < size_bytes ? here : size_bytes);
    if (size_bytes == 0 || statvfs(pull->lock.path, &facts) != 0)
        return CLV_OK;
    uint64_t free_bytes = (uint64_t)facts.f_bavail * facts.f_frsize;
    if ((uint64_t)wanted <= free_bytes)
        return CLV_OK;
    return clv_fail(CLV_EIO,
                    "there is no room to pull '%s': %" PRId64 " bytes are needed beside '%s', "
                    "%" PRIu64 " are free",
                    pull->name, wanted, pull->lock.path, free_bytes);
}

static int get_model(struct pull *pull)
{
    const struct clv_pull_options *options = pull->options;
    struct clv_pull_sources sources = {0};
    bool is_vouched = pull->result->is_vouched;
    /* Another digest is another file, and so of another size. */
    int64_t size = pull->entry != NULL && options->sha256 == NULL ? pull->entry->size_bytes : 0;
    int status = check_room(pull, size);
    if (status != CLV_OK)
        return status;
    uint8_t got[CLV_DIGEST_BYTES];
    if (is_vouched && matches(pull->download_path, pull->sha256, options->cancel)) {
        memcpy(got, pull->sha256, sizeof got);
    } else {
        bool is_base = options->from != NULL && clv_pull_is_base(options->from);
        const char *url = pull->entry == NULL ? NULL : pull->entry->url;
        if (options->from != NULL)
            url = is_base ? NULL : options->from;
        status = clv_pull_sources_list(&sources, pull->file, is_base ? options->from : NULL,
                                       options->from == NULL ? options->mirrors : NULL, url);
        struct goods goods = {pull->file, is_vouched ? pull->sha256 : NULL, size, &sources,
                              options};
        if (status == CLV_OK)
            status = download(got, &goods, pull->download_path);
        clv_pull_sources_release(&sources);
    }
    if (status == CLV_OK)
        clv_digest_text(pull->result->sha256, got);
    return status;
}

static int import(struct pull *pull)
{
    struct clv_import_options options = {.vocabulary_path = pull->vocabulary_path,
                                         .cancel = pull->options->cancel};
    struct clv_pull_state state = {.file = pull->file, .is_import = true, .total_bytes = -1};
    char *path = NULL;
    if (pull->options->progress != NULL)
        pull->options->progress(&state, pull->options->payload);
    int status = make_data_path(&path, "models", "");
    free(path);
    clv_import_report_release(&pull->result->report);
    pull->result->report = (struct clv_import_report){0};
    if (status == CLV_OK)
        status =
            clv_import(pull->download_path, pull->result->path, &options, &pull->result->report);
    return status;
}

/* Of a model that is in no list nobody knows what it needs, until it is seen to have no vocabulary:
 * nearly all of this family take CLIP's. Going without is no failure, since footage can be indexed
 * and compared, so why it is not to be had is only a warning. */
static int import_anything(struct pull *pull)
{
    bool was_here = false;
    int status = import(pull);
    if (status != CLV_OK || pull->result->report.has_vocabulary)
        return status;
    const struct clv_catalogue_entry *entry =
        clv_catalogue_find(pull->catalogue, CLV_CATALOGUE_CLIP_VOCABULARY);
    status = get_vocabulary(&pull->vocabulary_path, &was_here, entry, pull->options);
    if (status == CLV_OK) {
        struct clv_import_report without = pull->result->report;
        pull->result->report = (struct clv_import_report){0};
        status = import(pull);
        if (status == CLV_OK) {
            clv_import_report_release(&without);
        } else {
            clv_import_report_release(&pull->result->report);
            pull->result->report = without;
        }
    }
    if (status == CLV_OK || status == CLV_ECANCELED || status == CLV_ENOMEM)
        return status;
    clv_log(CLV_LOG_WARNING, "%s; '%s' has no vocabulary and can search by pictures only",
            clv_error_message(), pull->name);
    return CLV_OK;
}

static int run_pull(struct pull *pull)
{
    bool was_here = false;
    int status = identify(pull);
    if (status == CLV_OK)
        status = take_lock(pull);
    if (status != CLV_OK)
        return status;
    const struct clv_catalogue_entry *vocabulary =
        pull->entry == NULL || pull->entry->vocabulary == NULL
            ? NULL
            : clv_catalogue_find(pull->catalogue, pull->entry->vocabulary);
    status = find_download_path(pull);
    if (status == CLV_OK && vocabulary != NULL)
        status = get_vocabulary(&pull->vocabulary_path, &was_here, vocabulary, pull->options);
    if (status == CLV_OK)
        status = get_model(pull);
    if (status == CLV_OK)
        status = pull->entry == NULL ? import_anything(pull) : import(pull);
    /* What could not be imported stays: it was paid for, and the sentence names it. */
    if (status == CLV_OK && !pull->options->keeps)
        unlink(pull->download_path);
    if (status == CLV_OK && pull->options->keeps) {
        pull->result->download_path = pull->download_path;
        pull->download_path = NULL;
    }
    return status;
}

int clv_pull(struct clv_pull_result *out, const struct clv_catalogue *catalogue, const char *name,
             const struct clv_pull_options *options)
{
    static const struct clv_pull_options nothing;
    struct pull pull = {.result = out,
                        .catalogue = catalogue,
                        .options = options == NULL ? &nothing : options,
                        .name = name,
                        .entry = clv_catalogue_find(catalogue, name)};
    if (pull.entry != NULL && pull.entry->is_vocabulary) {
        out->is_vouched = true;
        return get_vocabulary(&out->path, &out->was_here, pull.entry, pull.options);
    }
    int status = clv_pull_path(&out->path, name);
    if (status == CLV_OK && pull.entry == NULL && pull.options->from == NULL)
        status = clv_fail(CLV_ENOTFOUND, "there is no model '%s' in the list", name);
    if (status != CLV_OK)
        return status;
    out->was_here = !pull.options->forces && clv_file_exists(out->path);
    if (out->was_here)
        return CLV_OK;
    status = run_pull(&pull);
    clv_lock_release(&pull.lock, true);
    free(pull.file);
    free(pull.download_path);
    free(pull.vocabulary_path);
    return status;
}

void clv_pull_result_release(struct clv_pull_result *result)
{
    free(result->path);
    free(result->download_path);
    clv_import_report_release(&result->report);
    *result = (struct clv_pull_result){0};
}
