/* The cache's files are named by what was asked for and carry, as metadata, the fingerprint of what
 * they were made from; one that does not match is made again in its place. */
#include "core/model/import_cache.h"

#include "core/digest.h"
#include "core/error.h"
#include "core/file.h"
#include "core/log.h"
#include "core/model/import_source.h"
#include "core/model/layout.h"
#include "core/model/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SHOWN 60
#define CACHE_FORM "1" /* changes where an import of the same files would become another */

/* The number of the tensors in the towers; more than a CLIP has mean that some are none of it. */
static size_t count_inside(const struct clv_weights *weights)
{
    const struct clv_layout published = {.kind = CLV_LAYOUT_OPENAI,
                                         .root = (char[]){""},
                                         .vision = (char[]){"visual."},
                                         .text = (char[]){""}};
    size_t count = 0;
    for (size_t i = 0; i < clv_weights_count(weights); i++) {
        enum clv_layout_rest rest = clv_layout_rest(&published, clv_weights_at(weights, i)->name);
        count += rest == CLV_REST_KNOWN || rest == CLV_REST_SURPLUS;
    }
    return count;
}

int clv_import_is_direct(bool *out, const struct clv_weights *weights)
{
    struct clv_model_config config;
    struct clv_params params;
    char *described = NULL;
    *out = false;
    if (!clv_weights_find(weights, "visual.class_embedding") ||
        !clv_weights_find(weights, "visual.conv1.weight"))
        return CLV_OK;
    int status = CLV_OK;
    if (!clv_weights_metadata(weights, "activation"))
        status = clv_import_open_clip_path(&described, clv_weights_path(weights));
    bool is_described = described != NULL;
    free(described);
    if (status != CLV_OK || is_described)
        return status;
    status = clv_config_infer(&config, weights);
    /* What is wrong with it is better said of the file as it is. */
    *out = status != CLV_OK;
    if (status != CLV_OK)
        return status == CLV_ENOMEM ? status : CLV_OK;
    status = clv_params_init(&params, &config);
    /* The logit scale is outside of the towers. */
    if (status == CLV_OK)
        *out = count_inside(weights) < params.count;
    clv_params_release(&params);
    return status;
}

/* "DIRECTORY/NAME-0123456789abcdef.safetensors" for an absolute path and options. */
static int cache_path(char **out, char **directory_out, const char *path,
                      const struct clv_import_options *options)
{
    char text[CLV_DIGEST_TEXT_SIZE], *home = NULL;
    uint8_t digest[CLV_DIGEST_BYTES];
    struct clv_bytes key = {0};
    *out = *directory_out = NULL;
    const char *const words[] = {
        path,          CACHE_FORM,          options->base_path, options->vocabulary_path,
        options->mask, options->activation, options->pixels,    options->resize};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        clv_bytes_text(&key, words[i] ? words[i] : "");
        clv_bytes_add(&key, "", 1);
    }
    clv_bytes_format(&key, "%d %d", options->vision_heads, options->text_heads);
    int status = key.status;
    if (status == CLV_OK)
        status = clv_path_cache_home(&home);
    if (status == CLV_OK) {
        clv_digest_bytes(digest, key.data, key.size_bytes);
        clv_digest_text(text, digest);
        if (asprintf(directory_out, "%s/imported", home) < 0) {
            *directory_out = NULL;
            status = clv_fail_memory("a path");
        } else if (asprintf(out, "%s/%.*s-%.16s.safetensors", *directory_out, NAME_SHOWN,
                            clv_path_base(path), text) < 0) {
            *out = NULL;
            status = clv_fail_memory("a path");
        }
    }
    free(home);
    clv_bytes_release(&key);
    return status;
}

static bool is_current(const char *cached, const char *fingerprint)
{
    struct clv_weights *weights = NULL;
    bool is = false;
    if (clv_weights_open(&weights, cached) == CLV_OK) {
        const char *source = clv_weights_metadata(weights, "source");
        is = source && strcmp(source, fingerprint) == 0;
    }
    clv_weights_close(weights);
    return is;
}

/* Notes of what was assumed or left out are warnings, the rest is said in passing. */
static void log_notes(const char *path, const struct clv_bytes *notes)
{
    const char *at = notes->size_bytes ? notes->data : "";
    for (const char *end; *at; at = end + (*end == '\n')) {
        end = at + strcspn(at, "\n");
        bool is_small = strncmp(at, "ignored:", 8) == 0 || strncmp(at, "lent by", 7) == 0;
        clv_log(is_small ? CLV_LOG_INFO : CLV_LOG_WARNING, "'%s': %.*s", path, (int)(end - at), at);
    }
}

static int import_into(const char *cached, const char *directory, const char *path,
                       const struct clv_import_options *options, const char *fingerprint,
                       struct clv_import_report *report)
{
    int status = clv_directory_create(directory);
    if (status == CLV_OK)
        status = clv_import_write(path, cached, options, fingerprint, report);
    if (status == CLV_OK) {
        clv_log(CLV_LOG_INFO, "'%s' was imported into '%s'", path, cached);
        log_notes(path, &report->notes);
    }
    return status;
}

static int find_cached(char **out, const char *path, const struct clv_import_options *options,
                       struct clv_import_report *report)
{
    char *absolute = NULL, *cached = NULL, *directory = NULL;
    char fingerprint[CLV_DIGEST_TEXT_SIZE];
    uint8_t digest[CLV_DIGEST_BYTES];
    int status = clv_path_absolute(&absolute, path);
    if (status == CLV_OK)
        status = cache_path(&cached, &directory, absolute, options);
    if (status == CLV_OK)
        status = clv_import_fingerprint(digest, absolute, options);
    if (status == CLV_OK) {
        clv_digest_text(fingerprint, digest);
        if (!is_current(cached, fingerprint))
            status = import_into(cached, directory, absolute, options, fingerprint, report);
    }
    if (status == CLV_OK) {
        *out = cached;
        cached = NULL;
    }
    free(directory);
    free(cached);
    free(absolute);
    return status;
}

/* Options that change what is in the weights' file. */
static bool changes_weights(const struct clv_import_options *options)
{
    return options->base_path || options->mask || options->activation || options->pixels ||
           options->resize || options->vision_heads || options->text_heads;
}

int clv_import_cached(char **out, const char *path, const struct clv_import_options *options,
                      struct clv_import_report *report)
{
    static const struct clv_import_options defaults;
    struct clv_import_report unasked = {0};
    struct clv_weights *weights = NULL;
    bool is_direct = false;
    *out = NULL;
    options = options ? options : &defaults;
    if (report)
        *report = unasked;
    int status = CLV_OK;
    if (!changes_weights(options) && clv_weights_open(&weights, path) == CLV_OK)
        status = clv_import_is_direct(&is_direct, weights);
    clv_weights_close(weights);
    if (status == CLV_OK && is_direct && !(*out = strdup(path)))
        status = clv_fail_memory("a path");
    else if (status == CLV_OK && !is_direct)
        status = find_cached(out, path, options, report ? report : &unasked);
    clv_import_report_release(&unasked);
    return status;
}
