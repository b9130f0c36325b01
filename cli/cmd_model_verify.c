/* `model verify`: a file's signature, and whether it is whole. */
#include "cli/command.h"
#include "cli/naming.h"
#include "cli/out.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "core/model/model.h"
#include "core/model/weights.h"
#include "core/signature.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    const char *key;
};

static const struct settings defaults = {0};
static const struct clv_opt opts[] = {
    {.name = "key",
     .kind = CLV_OPT_STRING,
     .offset = offsetof(struct settings, key),
     .value_name = "KEY",
     .help = "a minisign public key that may have signed it: its file, or its line; those in "
             "~/.local/share/claverdb/keys/*.pub are known already"},
    {.name = NULL},
};

/* ---- known keys ---- */

struct keys {
    char *directory; /* NULL where there is no home */
    const char **keys;
    char **paths; /* those of them that are ours */
    int count, path_count;
};

static int is_public_key(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return entry->d_name[0] != '.' && size > 4 && strcmp(entry->d_name + size - 4, ".pub") == 0;
}

static void release_keys(struct keys *keys)
{
    for (int i = 0; i < keys->path_count; i++)
        free(keys->paths[i]);
    free(keys->paths);
    free(keys->keys);
    free(keys->directory);
}

/* The one given first, then those in the user's folder by name. */
static int find_keys(struct keys *keys, const char *given)
{
    char *home = NULL;
    struct dirent **entries = NULL;
    if (clv_path_data_home(&home) == CLV_OK)
        keys->directory = clv_path_join(home, "keys");
    free(home);
    int found =
        keys->directory == NULL ? 0 : scandir(keys->directory, &entries, is_public_key, alphasort);
    int status = CLV_OK;
    found = found < 0 ? 0 : found;
    keys->keys = calloc((size_t)found + 1, sizeof *keys->keys);
    keys->paths = calloc((size_t)found + 1, sizeof *keys->paths);
    if (keys->keys == NULL || keys->paths == NULL)
        status = clv_fail_memory("the list of keys");
    if (status == CLV_OK && given != NULL)
        keys->keys[keys->count++] = given;
    for (int i = 0; i < found; i++) {
        char *path = status == CLV_OK ? clv_path_join(keys->directory, entries[i]->d_name) : NULL;
        if (path != NULL) {
            keys->paths[keys->path_count++] = path;
            keys->keys[keys->count++] = path;
        } else if (status == CLV_OK) {
            status = CLV_ENOMEM;
        }
        free(entries[i]);
    }
    free(entries);
    return status;
}

/* ---- the file itself ---- */

struct content {
    bool is_weights;
    bool is_model;
    size_t tensor_count;
    char digest[CLV_DIGEST_TEXT_SIZE];
};

static bool has_suffix(const char *text, const char *suffix)
{
    size_t size = strlen(text);
    size_t tail = strlen(suffix);
    return size >= tail && strcmp(text + size - tail, suffix) == 0;
}

/* A safetensors file must be well-formed; that it is also a model is only said. */
static int open_content(struct content *out, const struct clv_cli *cli, const char *path)
{
    struct clv_weights *weights = NULL;
    struct clv_model model = {0};
    struct clv_model_options options = {.vocabulary_path = cli->flags.vocab};
    if (!has_suffix(path, ".safetensors"))
        return CLV_OK;
    int status = clv_weights_open(&weights, path);
    if (status != CLV_OK)
        return status;
    out->is_weights = true;
    out->tensor_count = clv_weights_count(weights);
    clv_weights_close(weights);
    status = clv_model_open(&model, path, &options);
    if (status == CLV_ENOMEM || status == CLV_ECANCELED)
        return status;
    if (status == CLV_OK) {
        out->is_model = true;
        clv_digest_text(out->digest, model.digest);
        clv_model_release(&model);
    }
    return CLV_OK;
}

/* ---- saying so ---- */

static int print_json(const char *path, const struct clv_signature *signature,
                      const struct content *content)
{
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", "verify");
    clv_json_put_string(object, "path", path);
    clv_json_put_bool(object, "signed", signature->state == CLV_SIGNATURE_GOOD);
    if (signature->state == CLV_SIGNATURE_GOOD) {
        clv_json_put_string(object, "key_id", signature->key_id);
        clv_json_put_string(object, "trusted_comment", signature->trusted_comment);
    }
    if (content->is_weights)
        clv_json_put_integer(object, "tensors", (int64_t)content->tensor_count);
    if (content->is_model)
        clv_json_put_string(object, "digest", content->digest);
    return clv_out_json(object);
}

static void print_text(const char *path, const struct clv_signature *signature,
                       const struct content *content)
{
    struct clv_bytes safe = {0};
    clv_out_safe(&safe, path);
    printf("file       %s\n", safe.data == NULL ? "" : safe.data);
    clv_bytes_release(&safe);
    if (signature->state == CLV_SIGNATURE_GOOD) {
        clv_out_safe(&safe, signature->trusted_comment);
        printf("signature  good, by the key %s\n", signature->key_id);
        printf("comment    %s\n", safe.data == NULL ? "" : safe.data);
        clv_bytes_release(&safe);
    } else {
        printf("signature  not signed\n");
    }
    if (content->is_weights)
        printf("content    %zu tensors, %s\n", content->tensor_count,
               content->is_model ? "a whole model" : "no model");
    if (content->is_model)
        printf("digest     %s\n", content->digest);
}

static int run(const struct clv_cli *cli)
{
    const struct settings *settings = cli->settings;
    const char *path = cli->operands[0];
    char *pulled = NULL;
    struct keys keys = {0};
    struct content content = {0};
    struct clv_signature signature = {.state = CLV_SIGNATURE_NONE};
    int status = find_keys(&keys, settings->key);
    /* The signature of a file lies beside the name it was given, link or not. */
    if (status == CLV_OK && !clv_file_exists(path)) {
        status = clv_naming_path(&pulled, NULL, path);
        path = pulled == NULL ? path : pulled;
    }
    if (status == CLV_OK)
        status = clv_signature_check(&signature, path, keys.keys, keys.count, cli->cancel);
    if (status == CLV_ENOTFOUND && signature.state == CLV_SIGNATURE_UNKNOWN)
        status = clv_fail(CLV_ENOTFOUND,
                          "'%s' is signed by the key %s, which is not known here; name its public "
                          "key with --key, or put it into '%s'",
                          path, signature.key_id,
                          keys.directory == NULL ? "the folder of keys" : keys.directory);
    if (status == CLV_OK)
        status = open_content(&content, cli, path);
    if (status == CLV_OK && cli->flags.json)
        status = print_json(path, &signature, &content);
    else if (status == CLV_OK)
        print_text(path, &signature, &content);
    release_keys(&keys);
    free(pulled);
    return status;
}

const struct clv_command clv_command_model_verify = {
    .name = "model verify",
    .operands = "FILE",
    .summary = "check a model's signature",
    .description =
        "Checks the detached minisign signature that lies beside a file (FILE.minisig) with the "
        "public keys known, says who signed it, and opens the file if it is a model. A wrong "
        "signature and one of an unknown key are errors; a missing one is not.",
    .example = "claverdb model verify mine.safetensors --key minisign.pub",
    .operand_min = 1,
    .operand_max = 1,
    .opts = opts,
    .settings_size = sizeof(struct settings),
    .defaults = &defaults,
    .run = run,
};
