/* Which file is the checkpoint, which describe it, and whether any of them changed. */
#include "core/model/import_source.h"

#include "core/error.h"
#include "core/file.h"
#include "core/gzip.h"
#include "core/json.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_BYTES_MAX ((size_t)4 << 20)
#define INDEX_BYTES_MAX ((size_t)64 << 20)

static const char *const published[] = {
    "model.safetensors",           "model.safetensors.index.json",
    "open_clip_model.safetensors", "open_clip_model.safetensors.index.json",
    "pytorch_model.bin",           "pytorch_model.bin.index.json",
    "open_clip_pytorch_model.bin",
};
static const char *const open_clip_configs[] = {"open_clip_config.json",
                                                "open_clip_model_config.json"};
static const char *const hugging_face_configs[] = {"config.json", "preprocessor_config.json"};
#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

/* ---- the checkpoint ---- */

static bool is_checkpoint_name(const char *name)
{
    static const char *const endings[] = {".safetensors", ".pt", ".pth", ".bin", ".ckpt"};
    size_t size = strlen(name);
    for (size_t i = 0; i < LENGTH(endings); i++) {
        size_t ending = strlen(endings[i]);
        if (size > ending && strcmp(name + size - ending, endings[i]) == 0)
            return true;
    }
    return false;
}

/* The only file of `directory` that is called like a checkpoint. */
static int find_only(char **out, const char *directory)
{
    char first[256] = "";
    int status = CLV_OK;
    DIR *handle = opendir(directory);
    if (!handle)
        return clv_fail_errno("cannot read '%s'", directory);
    for (struct dirent *entry; status == CLV_OK && (entry = readdir(handle)) != NULL;) {
        if (!is_checkpoint_name(entry->d_name) || entry->d_name[0] == '.')
            continue;
        if (first[0])
            status = clv_fail(CLV_EINVAL,
                              "'%s' holds several checkpoints, '%.200s' and '%.200s' among them: "
                              "name one",
                              directory, first, entry->d_name);
        snprintf(first, sizeof first, "%s", entry->d_name);
    }
    closedir(handle);
    if (status == CLV_OK && !first[0])
        return clv_fail(CLV_ENOTFOUND, "'%s' holds no checkpoint: no %s, %s or %s", directory,
                        published[0], published[2], published[4]);
    if (status == CLV_OK && !(*out = clv_path_join(directory, first)))
        status = CLV_ENOMEM;
    return status;
}

int clv_import_checkpoint(char **out, const char *path)
{
    struct clv_file_facts facts;
    *out = NULL;
    int status = clv_file_facts(&facts, path);
    if (status != CLV_OK)
        return status;
    if (!facts.is_directory) {
        *out = strdup(path);
        return *out ? CLV_OK : clv_fail_memory("a path");
    }
    for (size_t i = 0; i < LENGTH(published); i++) {
        char *file = clv_path_join(path, published[i]);
        if (!file)
            return CLV_ENOMEM;
        if (clv_file_exists(file)) {
            *out = file;
            return CLV_OK;
        }
        free(file);
    }
    return find_only(out, path);
}

int clv_import_directory(char **out, const char *path)
{
    struct clv_file_facts facts;
    size_t size = (size_t)(clv_path_base(path) - path);
    if (clv_file_facts(&facts, path) == CLV_OK && facts.is_directory)
        *out = strdup(path);
    else
        *out = size ? strndup(path, size) : strdup(".");
    return *out ? CLV_OK : clv_fail_memory("a path");
}

/* ---- what describes it ---- */

/* "DIRECTORY/STEM.json" of "DIRECTORY/STEM.pt". */
static char *stem_path(const char *path)
{
    char *out = NULL;
    const char *base = clv_path_base(path), *dot = strrchr(base, '.');
    size_t size = dot && dot > base ? (size_t)(dot - path) : strlen(path);
    if (asprintf(&out, "%.*s.json", (int)size, path) < 0) {
        clv_fail_memory("a path");
        return NULL;
    }
    return out;
}

/* Whether the file is a JSON object that describes an OpenCLIP model. */
static bool is_open_clip(const char *path)
{
    struct clv_bytes text = {0};
    struct clv_json *root = NULL;
    bool is = clv_gzip_read(&text, path, CONFIG_BYTES_MAX) == CLV_OK && text.size_bytes &&
              clv_json_parse(&root, text.data, text.size_bytes, path) == CLV_OK &&
              (clv_json_get(root, "vision_cfg") ||
               clv_json_get(clv_json_get(root, "model_cfg"), "vision_cfg"));
    clv_json_free(root);
    clv_bytes_release(&text);
    return is;
}

int clv_import_open_clip_path(char **out, const char *path)
{
    char *directory = NULL;
    *out = NULL;
    int status = clv_import_directory(&directory, path);
    for (size_t i = 0; status == CLV_OK && !*out && i < LENGTH(open_clip_configs); i++) {
        char *file = clv_path_join(directory, open_clip_configs[i]);
        if (!file)
            status = CLV_ENOMEM;
        else if (clv_file_exists(file))
            *out = file;
        else
            free(file);
    }
    if (status == CLV_OK && !*out) {
        char *file = stem_path(path);
        if (!file)
            status = CLV_ENOMEM;
        else if (clv_file_exists(file) && is_open_clip(file))
            *out = file;
        else
            free(file);
    }
    free(directory);
    return status;
}

typedef int read_config(struct clv_layout_config *out, const char *text, size_t size,
                        const char *name);

static int read_one(struct clv_layout_config *out, const char *path, read_config *read)
{
    struct clv_bytes text = {0};
    int status = clv_gzip_read(&text, path, CONFIG_BYTES_MAX);
    if (status == CLV_OK)
        status = read(out, text.size_bytes ? text.data : "", text.size_bytes, path);
    clv_bytes_release(&text);
    return status;
}

static int read_hugging_face(struct clv_layout_config *out, char **name_out, const char *directory)
{
    int status = CLV_OK;
    for (size_t i = 0; status == CLV_OK && i < LENGTH(hugging_face_configs); i++) {
        char *file = clv_path_join(directory, hugging_face_configs[i]);
        if (!file)
            return CLV_ENOMEM;
        if (clv_file_exists(file))
            status = read_one(out, file,
                              i ? clv_layout_config_preprocessor : clv_layout_config_hugging_face);
        if (i == 0 && status == CLV_OK && clv_file_exists(file))
            *name_out = file;
        else
            free(file);
    }
    return status;
}

int clv_import_configuration(struct clv_layout_config *out, char **name_out,
                             const struct clv_checkpoint *checkpoint,
                             const struct clv_layout *layout)
{
    const char *path = clv_checkpoint_path(checkpoint);
    char *directory = NULL;
    *out = (struct clv_layout_config){0};
    *name_out = NULL;
    int status = clv_import_directory(&directory, path);
    if (status == CLV_OK && layout->kind == CLV_LAYOUT_HUGGING_FACE)
        status = read_hugging_face(out, name_out, directory);
    /* What OpenAI publishes says itself what it is, and trainers of video write no such file. */
    else if (status == CLV_OK &&
             (layout->kind == CLV_LAYOUT_OPENAI || layout->kind == CLV_LAYOUT_OPENCLIP) &&
             clv_checkpoint_format(checkpoint) != CLV_CHECKPOINT_TORCH_SCRIPT) {
        status = clv_import_open_clip_path(name_out, path);
        if (status == CLV_OK && *name_out)
            status = read_one(out, *name_out, clv_layout_config_open_clip);
    }
    free(directory);
    if (status != CLV_OK) {
        free(*name_out);
        *name_out = NULL;
    }
    return status;
}

/* ---- the vocabulary ---- */

int clv_import_user_vocabulary(char **out)
{
    char *home = NULL, *directory = NULL;
    *out = NULL;
    int status = clv_path_data_home(&home);
    if (status == CLV_ENOTFOUND)
        return CLV_OK;
    if (status == CLV_OK && !(directory = clv_path_join(home, "vocabulary")))
        status = CLV_ENOMEM;
    if (status == CLV_OK)
        status = clv_vocabulary_locate(out, directory);
    free(directory);
    free(home);
    return status;
}

/* The files inside the checkpoint, as an import writes them. */
static int load_inside(struct clv_vocabulary_files *out, struct clv_checkpoint *checkpoint)
{
    int status = CLV_OK;
    for (size_t i = 0; status == CLV_OK && i < clv_checkpoint_count(checkpoint); i++) {
        const struct clv_weight_entry *entry = clv_checkpoint_at(checkpoint, i);
        if (!clv_weights_is_vocabulary(entry) || entry->dtype != CLV_U8 ||
            out->count == CLV_TOKENIZER_FILE_MAX)
            continue;
        int k = out->count++;
        void *data = malloc(entry->size_bytes + 1);
        out->paths[k] = strdup(clv_checkpoint_path(checkpoint));
        if (!data || !out->paths[k])
            status = clv_fail_memory("a vocabulary");
        else
            status = clv_checkpoint_read(checkpoint, i, data);
        if (status == CLV_OK)
            clv_bytes_add(&out->texts[k], data, entry->size_bytes);
        if (status == CLV_OK)
            status = out->texts[k].status;
        free(data);
        /* The checkpoint may be closed before the vocabulary is released. */
        const char *name = clv_vocabulary_inner_name(entry->name + strlen(CLV_WEIGHTS_VOCABULARY));
        out->items[k] = (struct clv_tokenizer_file){name, out->paths[k], out->texts[k].data,
                                                    out->texts[k].size_bytes};
    }
    return status;
}

/* The first of the places that has one; *is_named_out: the user asked for it. */
static int load_vocabulary(struct clv_vocabulary_files *out, struct clv_checkpoint *checkpoint,
                           const struct clv_import_options *options)
{
    char *directory = NULL, *file = NULL;
    if (options->vocabulary_path)
        return clv_vocabulary_load(out, options->vocabulary_path);
    int status = load_inside(out, checkpoint);
    if (status != CLV_OK || out->count)
        return status;
    status = clv_import_directory(&directory, clv_checkpoint_path(checkpoint));
    if (status == CLV_OK)
        status = clv_vocabulary_locate(&file, directory);
    if (status == CLV_OK && !file)
        status = clv_import_user_vocabulary(&file);
    if (status == CLV_OK && file)
        status = clv_vocabulary_load(out, file);
    free(file);
    free(directory);
    return status;
}

int clv_import_vocabulary(struct clv_vocabulary_files *out, struct clv_checkpoint *checkpoint,
                          const struct clv_import_options *options, int size,
                          struct clv_bytes *notes)
{
    struct clv_vocabulary vocabulary = {0};
    *out = (struct clv_vocabulary_files){0};
    int status = load_vocabulary(out, checkpoint, options);
    if (status == CLV_OK && out->count)
        status = clv_vocabulary_simplify(out);
    if (status == CLV_OK && out->count)
        status = clv_vocabulary_parse_files(&vocabulary, out->items, out->count);
    bool is_wrong = status == CLV_OK && out->count && vocabulary.size != size;
    if (is_wrong && options->vocabulary_path)
        status = clv_fail(CLV_EINVAL, "the vocabulary '%s' has %d tokens, the model %d",
                          options->vocabulary_path, vocabulary.size, size);
    else if (status != CLV_OK && status != CLV_ENOMEM && !options->vocabulary_path) {
        clv_bytes_format(notes, "left out: the vocabulary (%s)\n", clv_error_message());
        clv_vocabulary_files_release(out);
        status = CLV_OK;
    } else if (is_wrong) {
        clv_bytes_format(notes, "left out: the vocabulary '%s' has %d tokens, the model %d\n",
                         out->items[0].path, vocabulary.size, size);
        clv_vocabulary_files_release(out);
    } else if (status == CLV_OK && !out->count)
        clv_bytes_text(notes, "left out: no vocabulary was found, so the model cannot read text "
                              "(put bpe_simple_vocab_16e6.txt.gz beside it, or --vocab)\n");
    clv_vocabulary_release(&vocabulary);
    return status;
}

/* ---- whether anything changed ---- */

static void add_file(struct clv_digest *digest, const char *path)
{
    struct clv_file_facts facts = {.size_bytes = -1};
    char line[64];
    (void)clv_file_facts(&facts, path);
    int size =
        snprintf(line, sizeof line, "%" PRId64 " %" PRId64, facts.size_bytes, facts.modified_ns);
    clv_digest_add(digest, path, strlen(path) + 1);
    clv_digest_add(digest, line, (size_t)size + 1);
}

static int add_beside(struct clv_digest *digest, const char *directory, const char *name)
{
    char *file = clv_path_join(directory, name);
    if (!file)
        return CLV_ENOMEM;
    add_file(digest, file);
    free(file);
    return CLV_OK;
}

struct parts {
    struct clv_digest *digest;
    const char *directory;
};

static int add_part(const char *key, const struct clv_json *value, void *payload)
{
    struct parts *parts = payload;
    (void)key;
    return add_beside(parts->digest, parts->directory, clv_json_string(value, NULL, ""));
}

/* The parts of a sharded set; a tensor a line, so each part counts several times. */
static int add_parts(struct clv_digest *digest, const char *directory, const char *path)
{
    static const char ending[] = ".index.json";
    size_t size = strlen(path);
    struct clv_bytes text = {0};
    struct clv_json *root = NULL;
    struct parts parts = {digest, directory};
    if (size < sizeof ending || strcmp(path + size - (sizeof ending - 1), ending) != 0)
        return CLV_OK;
    int status = clv_gzip_read(&text, path, INDEX_BYTES_MAX);
    if (status == CLV_OK)
        status = clv_json_parse(&root, text.size_bytes ? text.data : "", text.size_bytes, path);
    if (status == CLV_OK)
        status = clv_json_members(clv_json_get(root, "weight_map"), add_part, &parts);
    clv_json_free(root);
    clv_bytes_release(&text);
    return status;
}

static int add_directory(struct clv_digest *digest, const char *directory)
{
    int status = CLV_OK;
    for (size_t i = 0; status == CLV_OK && i < LENGTH(open_clip_configs); i++)
        status = add_beside(digest, directory, open_clip_configs[i]);
    for (size_t i = 0; status == CLV_OK && i < LENGTH(hugging_face_configs); i++)
        status = add_beside(digest, directory, hugging_face_configs[i]);
    for (size_t i = 0; status == CLV_OK && clv_vocabulary_name(i); i++)
        status = add_beside(digest, directory, clv_vocabulary_name(i));
    if (status == CLV_OK)
        status = add_beside(digest, directory, "merges.txt");
    return status;
}

int clv_import_fingerprint(uint8_t out[CLV_DIGEST_BYTES], const char *path,
                           const struct clv_import_options *options)
{
    char *checkpoint = NULL, *directory = NULL, *stem = NULL, *user = NULL;
    struct clv_digest digest;
    clv_digest_init(&digest);
    int status = clv_import_checkpoint(&checkpoint, path);
    if (status == CLV_OK)
        status = clv_import_directory(&directory, checkpoint);
    if (status == CLV_OK) {
        add_file(&digest, checkpoint);
        status = add_parts(&digest, directory, checkpoint);
    }
    if (status == CLV_OK)
        status = add_directory(&digest, directory);
    if (status == CLV_OK && !(stem = stem_path(checkpoint)))
        status = CLV_ENOMEM;
    if (status == CLV_OK)
        status = clv_import_user_vocabulary(&user);
    if (status == CLV_OK) {
        add_file(&digest, stem);
        add_file(&digest, user ? user : "");
        add_file(&digest, options->base_path ? options->base_path : "");
        add_file(&digest, options->vocabulary_path ? options->vocabulary_path : "");
        clv_digest_finish(&digest, out);
    }
    free(user);
    free(stem);
    free(directory);
    free(checkpoint);
    return status;
}
