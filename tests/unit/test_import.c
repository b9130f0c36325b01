/* Imports of small models written under each layout's names: every tensor bit by bit, what is
 * wrong named in one message, the vocabulary inside, the cache, and identity. */
#include "core/model/import.h"

#include "core/error.h"
#include "core/file.h"
#include "core/model/config.h"
#include "core/model/identity.h"
#include "core/model/model.h"
#include "core/model/weights.h"
#include "core/model/weights_table.h"
#include "tests/model/random_model.h"
#include "tests/t.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TENSOR_MAX 400

static const char *directory;

/* A model under the published names, and a copy of it under others in the making. */
struct copy {
    struct clv_weights *from;
    struct clv_weight_entry entries[TENSOR_MAX];
    char names[TENSOR_MAX][256];
    void *owned[TENSOR_MAX];
    size_t count;
};

static const char *write_model(const char *name, bool is_clip, enum clv_mask mask,
                               enum clv_dtype dtype, int vocabulary)
{
    struct clv_model_config config;
    const char *folder = t_path(directory, name), *path = t_path(folder, "model.safetensors");
    if (!random_model_arch(&config, "tiny", 4, mask, is_clip))
        abort();
    config.vocabulary_size = vocabulary;
    if (clv_directory_create(folder) != CLV_OK ||
        random_model_write(path, &config,
                           &(struct random_model_options){.seed = 7, .dtype = dtype}) != CLV_OK)
        t_fail(__FILE__, __LINE__, "%s", clv_error_message());
    return path;
}

static struct clv_weight_entry *add(struct copy *copy, const char *prefix, const char *name,
                                    const struct clv_weight_entry *entry)
{
    struct clv_weight_entry *out = &copy->entries[copy->count];
    *out = *entry;
    snprintf(copy->names[copy->count], sizeof copy->names[0], "%s%s", prefix, name);
    out->name = copy->names[copy->count++];
    return out;
}

static void copy_release(struct copy *copy)
{
    for (size_t i = 0; i < TENSOR_MAX; i++)
        free(copy->owned[i]);
    clv_weights_close(copy->from);
    free(copy);
}

/* Every tensor of `path` under prefixes for the two towers; `skip` (may be NULL) is left out. */
static struct copy *prefixed(const char *path, const char *vision, const char *text,
                             const char *root, const char *skip)
{
    struct copy *copy = calloc(1, sizeof *copy);
    if (!copy || clv_weights_open(&copy->from, path) != CLV_OK)
        abort();
    for (size_t i = 0; i < clv_weights_count(copy->from); i++) {
        const struct clv_weight_entry *entry = clv_weights_at(copy->from, i);
        bool is_vision = strncmp(entry->name, "visual.", 7) == 0;
        if (skip && strcmp(entry->name, skip) == 0)
            continue;
        add(copy,
            is_vision                                 ? vision
            : strcmp(entry->name, "logit_scale") == 0 ? root
                                                      : text,
            entry->name + (is_vision ? 7 : 0), entry);
    }
    return copy;
}

/* The published tensor [rows, columns] written as [columns, rows]. */
static void add_transposed(struct copy *copy, const char *name,
                           const struct clv_weight_entry *entry)
{
    size_t size = clv_dtype_size(entry->dtype);
    size_t rows = (size_t)entry->shape[0], columns = (size_t)entry->shape[1];
    char *data = malloc(entry->size_bytes);
    if (!data)
        abort();
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            memcpy(data + (c * rows + r) * size,
                   (const char *)entry->data + (r * columns + c) * size, size);
    copy->owned[copy->count] = data;
    struct clv_weight_entry *out = add(copy, "", name, entry);
    out->shape[0] = entry->shape[1];
    out->shape[1] = entry->shape[0];
    out->data = data;
}

static void add_block(struct copy *copy, const struct clv_weight_entry *entry)
{
    static const char *const names[][2] = {
        {"attn.out_proj.", "self_attn.out_proj."},
        {"ln_1.", "layer_norm1."},
        {"ln_2.", "layer_norm2."},
        {"mlp.c_fc.", "mlp.fc1."},
        {"mlp.c_proj.", "mlp.fc2."},
    };
    char name[128];
    const char *tower = strncmp(entry->name, "visual.", 7) == 0 ? "vision_model." : "text_model.";
    const char *number = strstr(entry->name, "resblocks.") + strlen("resblocks.");
    const char *rest = strchr(number, '.') + 1;
    int block = (int)strtol(number, NULL, 10);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(rest, names[i][0], strlen(names[i][0])) == 0) {
            snprintf(name, sizeof name, "encoder.layers.%d.%s%s", block, names[i][1],
                     rest + strlen(names[i][0]));
            add(copy, tower, name, entry);
            return;
        }
    /* in_proj: a third each for q, k and v */
    for (int part = 0; part < 3; part++) {
        snprintf(name, sizeof name, "encoder.layers.%d.self_attn.%c_proj.%s", block, "qkv"[part],
                 strstr(rest, "bias") ? "bias" : "weight");
        struct clv_weight_entry *out = add(copy, tower, name, entry);
        out->shape[0] /= 3;
        out->size_bytes /= 3;
        out->element_count /= 3;
        out->data = (const char *)entry->data + (size_t)part * out->size_bytes;
    }
}

static struct copy *hugging_face(const char *path)
{
    static const char *const names[][2] = {
        {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
        {"logit_scale", "logit_scale"},
        {"visual.class_embedding", "vision_model.embeddings.class_embedding"},
        {"visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"},
        {"visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"},
        {"visual.ln_pre.weight", "vision_model.pre_layrnorm.weight"},
        {"visual.ln_pre.bias", "vision_model.pre_layrnorm.bias"},
        {"visual.ln_post.weight", "vision_model.post_layernorm.weight"},
        {"visual.ln_post.bias", "vision_model.post_layernorm.bias"},
        {"token_embedding.weight", "text_model.embeddings.token_embedding.weight"},
        {"ln_final.weight", "text_model.final_layer_norm.weight"},
        {"ln_final.bias", "text_model.final_layer_norm.bias"},
    };
    struct copy *copy = calloc(1, sizeof *copy);
    if (!copy || clv_weights_open(&copy->from, path) != CLV_OK)
        abort();
    for (size_t i = 0; i < clv_weights_count(copy->from); i++) {
        const struct clv_weight_entry *entry = clv_weights_at(copy->from, i);
        if (strstr(entry->name, "resblocks."))
            add_block(copy, entry);
        else if (strcmp(entry->name, "visual.proj") == 0)
            add_transposed(copy, "visual_projection.weight", entry);
        else if (strcmp(entry->name, "text_projection") == 0)
            add_transposed(copy, "text_projection.weight", entry);
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
            if (strcmp(entry->name, names[k][0]) == 0)
                add(copy, "", names[k][1], entry);
    }
    return copy;
}

static const char *save(const char *folder, const char *name, const struct copy *copy)
{
    const char *where = t_path(directory, folder), *path = t_path(where, name);
    if (clv_directory_create(where) != CLV_OK ||
        clv_weights_save(path, copy->entries, copy->count, NULL, 0) != CLV_OK)
        t_fail(__FILE__, __LINE__, "%s", clv_error_message());
    return path;
}

static void write_text(const char *folder, const char *name, const char *text)
{
    if (clv_file_replace(t_path(t_path(directory, folder), name), text, strlen(text)) != CLV_OK)
        t_fail(__FILE__, __LINE__, "%s", clv_error_message());
}

/* Every tensor of `published` is in `imported`, in the same type, shape and bits. */
static void check_same(const char *imported, const char *published)
{
    struct clv_weights *got = NULL, *want = NULL;
    REQUIRE_OK(clv_weights_open(&got, imported));
    REQUIRE_OK(clv_weights_open(&want, published));
    size_t extra = 0;
    for (size_t i = 0; i < clv_weights_count(got); i++)
        extra += clv_weights_is_vocabulary(clv_weights_at(got, i));
    CHECK_INT(clv_weights_count(got) - extra, clv_weights_count(want));
    for (size_t i = 0; i < clv_weights_count(want); i++) {
        const struct clv_weight_entry *a = clv_weights_at(want, i);
        const struct clv_weight_entry *b = clv_weights_find(got, a->name);
        if (!b || b->dtype != a->dtype || b->size_bytes != a->size_bytes ||
            b->dimension_count != a->dimension_count ||
            memcmp(a->shape, b->shape, (size_t)a->dimension_count * sizeof a->shape[0]) != 0 ||
            memcmp(a->data, b->data, a->size_bytes) != 0)
            t_fail(__FILE__, __LINE__, "tensor '%s' is %s", a->name, b ? "another" : "missing");
    }
    clv_weights_close(want);
    clv_weights_close(got);
}

static const char *metadata_of(const char *path, const char *key)
{
    static char value[128];
    struct clv_weights *weights = NULL;
    value[0] = '\0';
    if (clv_weights_open(&weights, path) == CLV_OK && clv_weights_metadata(weights, key))
        snprintf(value, sizeof value, "%s", clv_weights_metadata(weights, key));
    clv_weights_close(weights);
    return value;
}

static void every_layout_gives_the_same_tensors(void)
{
    static const struct {
        const char *name, *vision, *text, *root, *layout;
        bool is_clip;
    } cases[] = {
        {"plain", "visual.", "", "", "OpenAI", true},
        {"wrapped", "model.module.visual.", "model.module.", "model.module.", "OpenAI", true},
        {"custom", "visual.", "text.", "", "OpenCLIP", true},
        {"vifi", "module.image_encoder.", "module.text_encoder.", "module.", "ViFi-CLIP", true},
        {"claver", "model.visual.", "model.", "model.", "CLAVER", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *published =
            write_model("published", cases[i].is_clip, CLV_MASK_KMT, CLV_F16, 128);
        struct clv_import_report report;
        struct copy *copy =
            prefixed(published, cases[i].vision, cases[i].text, cases[i].root, NULL);
        const char *path = save("layouts", "in.safetensors", copy);
        const char *out = t_path(t_path(directory, "layouts"), "out.safetensors");
        CHECK_OK(clv_import(path, out, NULL, &report));
        CHECK_STRING(report.layout, cases[i].layout);
        CHECK_INT(report.tensor_count, copy->count);
        CHECK_INT(report.ignored_count, 0);
        check_same(out, published);
        bool is_video = !cases[i].is_clip || strcmp(cases[i].name, "vifi") == 0;
        CHECK_STRING(metadata_of(out, "mask"), cases[i].is_clip ? "none" : "KMT");
        CHECK_STRING(metadata_of(out, "resize"), is_video ? "bilinear" : "bicubic");
        CHECK_STRING(metadata_of(out, "activation"), "quick_gelu");
        CHECK(metadata_of(out, "pixel_mean")[0] && metadata_of(out, "pixel_std")[0] &&
              metadata_of(out, "vision_heads")[0] && metadata_of(out, "text_heads")[0] &&
              metadata_of(out, "patch")[0] && metadata_of(out, "resolution")[0]);
        clv_import_report_release(&report);
        copy_release(copy);
    }
}

static void hugging_face_is_put_together(void)
{
    const char *published = write_model("published", true, CLV_MASK_KMT, CLV_F16, 128);
    struct copy *copy = hugging_face(published);
    static const int64_t ids[4];
    add(copy, "", "text_model.embeddings.position_ids",
        &(struct clv_weight_entry){.dtype = CLV_I64,
                                   .dimension_count = 1,
                                   .shape = {4},
                                   .element_count = 4,
                                   .size_bytes = 32,
                                   .data = ids});
    save("hf", "model.safetensors", copy);
    copy_release(copy);
    const char *folder = t_path(directory, "hf"), *out = t_path(directory, "hf.safetensors");
    struct clv_import_report report;
    CHECK_OK(clv_import(folder, out, NULL, &report));
    CHECK_STRING(report.layout, "Hugging Face");
    CHECK(strstr(report.notes.data, "assumed: QuickGELU") != NULL);
    clv_import_report_release(&report);
    check_same(out, published);
    /* What the configuration says is taken, and must agree with the tensors. */
    struct clv_model model;
    REQUIRE_OK(clv_model_open(&model, published, NULL));
    char text[512];
    const struct clv_model_config c = model.config;
    clv_model_release(&model);
    for (int wrong = 0; wrong < 2; wrong++) {
        snprintf(text, sizeof text,
                 "{\"model_type\":\"clip\",\"projection_dim\":%d,\"vision_config\":{"
                 "\"hidden_act\":\"gelu\",\"hidden_size\":%d,\"num_attention_heads\":4,"
                 "\"num_hidden_layers\":%d,\"intermediate_size\":%d,\"image_size\":%d,"
                 "\"patch_size\":%d},\"text_config\":{\"hidden_act\":\"gelu\","
                 "\"hidden_size\":%d,\"num_attention_heads\":2,\"num_hidden_layers\":%d,"
                 "\"intermediate_size\":%d,\"max_position_embeddings\":%d,"
                 "\"vocab_size\":%d}}",
                 c.embed_dim, c.vision.width, c.vision.layer_count, c.vision.mlp_width,
                 c.image_side + wrong * c.patch_side, c.patch_side, c.text.width,
                 c.text.layer_count, c.text.mlp_width, c.context_length, c.vocabulary_size);
        write_text("hf", "config.json", text);
        if (wrong) {
            CHECK_ERROR(clv_import(folder, t_path(directory, "no.safetensors"), NULL, NULL),
                        CLV_ECORRUPT, "says the picture's side is");
            CHECK(!clv_file_exists(t_path(directory, "no.safetensors")));
            continue;
        }
        CHECK_OK(clv_import(folder, out, NULL, NULL));
        CHECK_STRING(metadata_of(out, "activation"), "gelu");
        CHECK_STRING(metadata_of(out, "vision_heads"), "4");
        CHECK_STRING(metadata_of(out, "text_heads"), "2");
        CHECK_OK(clv_import(folder, out,
                            &(struct clv_import_options){.activation = "quick_gelu",
                                                         .vision_heads = 2,
                                                         .pixels = "imagenet",
                                                         .resize = "bilinear"},
                            NULL));
        CHECK_STRING(metadata_of(out, "activation"), "quick_gelu");
        CHECK_STRING(metadata_of(out, "vision_heads"), "2");
        CHECK_STRING(metadata_of(out, "resize"), "bilinear");
        CHECK(strncmp(metadata_of(out, "pixel_mean"), "0.485", 5) == 0);
    }
    write_text("hf", "config.json", "{\"model_type\":\"blip\"}");
    CHECK_ERROR(clv_import(folder, out, NULL, NULL), CLV_EUNSUPPORTED, "'blip'");
    CHECK_ERROR(clv_import(folder, out, &(struct clv_import_options){.mask = "KMT"}, NULL),
                CLV_EUNSUPPORTED, "'blip'");
}

static void all_that_is_wrong_is_named_at_once(void)
{
    const char *published = write_model("published", true, CLV_MASK_KMT, CLV_F32, 128);
    const char *out = t_path(directory, "wrong.safetensors");
    struct copy *copy = prefixed(published, "m.visual.", "m.", "m.", "ln_final.bias");
    for (size_t i = 0; i < copy->count; i++) {
        struct clv_weight_entry *entry = &copy->entries[i];
        if (strstr(entry->name, "ln_1.weight") && strstr(entry->name, "visual"))
            snprintf(copy->names[i] + strlen(entry->name) - 6, 8, "wrong");
        if (strcmp(entry->name, "m.visual.ln_post.bias") == 0) {
            entry->dtype = CLV_I32;
        } else if (strcmp(entry->name, "m.visual.ln_post.weight") == 0) {
            entry->dimension_count = 2;
            entry->shape[1] = 1;
        }
    }
    const char *path = save("wrong", "in.safetensors", copy);
    CHECK_ERROR(clv_import(path, out, NULL, NULL), CLV_ECORRUPT,
                "tensor 'm.ln_final.bias' is missing");
    const char *const parts[] = {
        "tensor 'm.visual.transformer.resblocks.{0-2}.ln_1.weight' is missing",
        "tensor 'm.visual.transformer.resblocks.{0-2}.ln_1.wrong' is no part of a CLIP tower",
        "tensor 'm.visual.ln_post.weight' has shape [",
        "tensor 'm.visual.ln_post.bias' holds no floating-point numbers",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!strstr(clv_error_message(), parts[i]))
            t_fail(__FILE__, __LINE__, "'%s' is not in: %s", parts[i], clv_error_message());
    CHECK(!clv_file_exists(out));
    copy_release(copy);
}

static void extras_are_counted_by_their_prefix(void)
{
    const char *published = write_model("published", false, CLV_MASK_KMT, CLV_F32, 128);
    const char *out = t_path(directory, "extras.safetensors");
    struct copy *copy = prefixed(published, "model.visual.", "model.", "model.", NULL);
    struct clv_weight_entry one = copy->entries[0];
    add(copy, "", "optimizer.state.0.exp_avg", &one);
    add(copy, "", "optimizer.state.1.exp_avg", &one);
    add(copy, "", "model.V2T.alpha", &one);
    add(copy, "", "model.context_length", &one);
    struct clv_import_report report;
    CHECK_OK(clv_import(save("extras", "in.safetensors", copy), out, NULL, &report));
    CHECK_INT(report.ignored_count, 4);
    CHECK(strstr(report.notes.data, "ignored: optimizer.* (2 tensors), model.V2T.* (1 tensor)\n") ||
          strstr(report.notes.data, "ignored: model.V2T.* (1 tensor), optimizer.* (2 tensors)\n"));
    CHECK(strstr(report.notes.data, "context_length") == NULL);
    check_same(out, published);
    clv_import_report_release(&report);
    copy_release(copy);
}

static void a_base_lends_the_token_table(void)
{
    const char *published = write_model("published", true, CLV_MASK_KMT, CLV_F32, 128);
    const char *out = t_path(directory, "lent.safetensors");
    struct copy *copy =
        prefixed(published, "image_encoder.", "text_encoder.", "", "token_embedding.weight");
    const char *path = save("lent", "best.safetensors", copy);
    CHECK_ERROR(clv_import(path, out, NULL, NULL), CLV_ECORRUPT,
                "token_embedding.weight' is missing; name the CLIP it was tuned from");
    struct clv_import_report report;
    REQUIRE_OK(
        clv_import(path, out, &(struct clv_import_options){.base_path = published}, &report));
    check_same(out, published);
    CHECK(strstr(report.notes.data, "lent by") != NULL);
    clv_import_report_release(&report);
    copy_release(copy);
}

static void *read_whole(const char *path, size_t *size_out)
{
    struct clv_map map;
    if (clv_map_open(&map, path) != CLV_OK)
        return NULL;
    void *data = malloc(map.size_bytes + 1);
    if (data)
        memcpy(data, map.data, map.size_bytes);
    *size_out = map.size_bytes;
    clv_map_release(&map);
    return data;
}

static void an_import_is_the_same_each_time(void)
{
    size_t sizes[2] = {0, 1};
    void *files[2];
    const char *published = write_model("published", false, CLV_MASK_KMCT, CLV_F16, 128);
    for (int i = 0; i < 2; i++) {
        const char *out = t_path(directory, i ? "two.safetensors" : "one.safetensors");
        REQUIRE_OK(clv_import(published, out, NULL, NULL));
        files[i] = read_whole(out, &sizes[i]);
        REQUIRE(files[i] != NULL);
    }
    CHECK(sizes[0] == sizes[1] && memcmp(files[0], files[1], sizes[0]) == 0);
    free(files[0]);
    free(files[1]);
    /* And the same model as what it was made from, its vocabulary or its metadata aside. */
    struct clv_model model, imported;
    REQUIRE_OK(clv_model_open(&model, published, NULL));
    REQUIRE_OK(clv_model_open(&imported, t_path(directory, "one.safetensors"), NULL));
    CHECK(memcmp(model.digest, imported.digest, sizeof model.digest) == 0);
    clv_model_release(&imported);
    clv_model_release(&model);
}

static void the_vocabulary_travels_inside(void)
{
    const char *out = t_path(directory, "whole.safetensors");
    const char *published = write_model("worded", true, CLV_MASK_KMT, CLV_F32, 515);
    struct clv_import_report report;
    struct clv_model model, bare;
    REQUIRE_OK(clv_import(published, out, NULL, &report));
    CHECK(!report.has_vocabulary && strstr(report.notes.data, "no vocabulary was found"));
    clv_import_report_release(&report);
    REQUIRE_OK(clv_model_open(&bare, out, NULL));
    CHECK(bare.tokenizer == NULL);
    write_text("worded", "bpe_simple_vocab_16e6.txt", "#version: 0.2\na b\n");
    REQUIRE_OK(clv_import(published, out, NULL, &report));
    CHECK(report.has_vocabulary);
    clv_import_report_release(&report);
    REQUIRE_OK(clv_model_open(&model, out, NULL));
    REQUIRE(model.tokenizer != NULL);
    CHECK_INT(clv_tokenizer_size(model.tokenizer), 515);
    CHECK(memcmp(model.digest, bare.digest, sizeof model.digest) == 0);
    struct clv_model_facts facts;
    CHECK_OK(clv_model_facts(&facts, &model));
    CHECK_INT(facts.ignored_tensor_count, 0);
    clv_model_release(&model);
    clv_model_release(&bare);
    /* It is carried over from an import into an import. */
    const char *again = t_path(t_path(directory, "published"), "again.safetensors");
    REQUIRE_OK(clv_import(out, again, NULL, &report));
    CHECK(report.has_vocabulary);
    clv_import_report_release(&report);
    /* One that does not fit is left out where it was found, and refused where it was named. */
    const char *other = write_model("worded", true, CLV_MASK_KMT, CLV_F32, 600);
    const char *list = t_path(t_path(directory, "worded"), "bpe_simple_vocab_16e6.txt");
    REQUIRE_OK(clv_import(other, out, NULL, &report));
    CHECK(!report.has_vocabulary && strstr(report.notes.data, "has 515 tokens, the model 600"));
    clv_import_report_release(&report);
    CHECK_ERROR(clv_import(other, out, &(struct clv_import_options){.vocabulary_path = list}, NULL),
                CLV_EINVAL, "has 515 tokens, the model 600");
}

static void the_cache_is_used_and_made_anew(void)
{
    const char *published = write_model("cached", true, CLV_MASK_KMT, CLV_F32, 128);
    struct copy *copy = prefixed(published, "m.visual.", "m.", "m.", NULL);
    const char *path = save("cached", "in.safetensors", copy);
    struct clv_file_facts first, second;
    struct clv_model model;
    char *file = NULL, *again = NULL;
    REQUIRE_OK(clv_import_cached(&file, published, NULL, NULL));
    CHECK_STRING(file, published); /* needs no import */
    free(file);
    REQUIRE_OK(clv_import_cached(&file, path, NULL, NULL));
    CHECK(strstr(file, "/cache/claverdb/imported/in.safetensors-") != NULL);
    check_same(file, published);
    REQUIRE_OK(clv_file_facts(&first, file));
    REQUIRE_OK(clv_import_cached(&again, path, NULL, NULL));
    CHECK_STRING(again, file);
    REQUIRE_OK(clv_file_facts(&second, file));
    CHECK_INT(second.modified_ns, first.modified_ns);
    free(again);
    /* The path the user named stays the model's. */
    REQUIRE_OK(clv_model_open(&model, path, NULL));
    CHECK_STRING(clv_path_base(model.path), "in.safetensors");
    uint8_t digest[CLV_DIGEST_BYTES];
    memcpy(digest, model.digest, sizeof digest);
    clv_model_release(&model);
    REQUIRE_OK(clv_model_open(&model, published, NULL));
    CHECK(memcmp(digest, model.digest, sizeof digest) == 0);
    clv_model_release(&model);
    /* One that was deleted is made again; one whose source changed is replaced. */
    CHECK_INT(unlink(file), 0);
    CHECK_OK(clv_model_open(&model, path, NULL));
    clv_model_release(&model);
    CHECK(clv_file_exists(file));
    float changed = 2;
    for (size_t i = 0; i < copy->count; i++)
        if (strcmp(copy->entries[i].name, "m.logit_scale") == 0)
            copy->entries[i].data = &changed;
    save("cached", "in.safetensors", copy);
    REQUIRE_OK(clv_model_open(&model, path, NULL));
    CHECK_NEAR(model.config.logit_scale, 2, 0);
    clv_model_release(&model);
    /* Options make another file. */
    REQUIRE_OK(
        clv_import_cached(&again, path, &(struct clv_import_options){.activation = "gelu"}, NULL));
    CHECK(strcmp(again, file) != 0);
    CHECK_STRING(metadata_of(again, "activation"), "gelu");
    free(again);
    free(file);
    copy_release(copy);
}

static void a_cancelled_import_leaves_nothing(void)
{
    struct clv_cancel cancel = {0};
    const char *out = t_path(t_path(directory, "stopped"), "out.safetensors");
    const char *published = write_model("published", true, CLV_MASK_KMT, CLV_F32, 128);
    REQUIRE_OK(clv_directory_create(t_path(directory, "stopped")));
    clv_cancel_request(&cancel);
    CHECK_ERROR(clv_import(published, out, &(struct clv_import_options){.cancel = &cancel}, NULL),
                CLV_ECANCELED, "was canceled");
    CHECK_INT(rmdir(t_path(directory, "stopped")), 0); /* not even a temporary */
}

static void identity_is_of_what_changes_results(void)
{
    static const struct clv_weight_metadata spelt[] = {
        {"activation", "quick_gelu"}, {"resize", "bilinear"}, {"note", "x"}};
    static const struct clv_weight_metadata gelu[] = {{"activation", "gelu"}};
    static const struct clv_weight_metadata std[] = {{"pixel_std", "1,1,1"}};
    static const struct {
        const struct clv_weight_metadata *metadata;
        size_t count;
        uint64_t seed;
        bool is_extra, is_same;
    } cases[] = {{NULL, 0, 1, false, true}, {spelt, 3, 1, false, true},
                 {NULL, 0, 1, true, true},  {gelu, 1, 1, false, false},
                 {std, 1, 1, false, false}, {NULL, 0, 2, false, false}};
    uint8_t first[CLV_DIGEST_BYTES];
    const char *path = t_path(directory, "identity.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct clv_model_config config;
        struct clv_model model;
        REQUIRE(random_model_arch(&config, "tiny", 4, CLV_MASK_KMT, false));
        REQUIRE_OK(
            random_model_write(path, &config,
                               &(struct random_model_options){.seed = cases[i].seed,
                                                              .is_unaligned = cases[i].is_extra,
                                                              .metadata = cases[i].metadata,
                                                              .metadata_count = cases[i].count}));
        REQUIRE_OK(clv_model_open(&model, path, NULL));
        if (i == 0)
            memcpy(first, model.digest, sizeof first);
        if ((memcmp(first, model.digest, sizeof first) == 0) != cases[i].is_same)
            t_fail(__FILE__, __LINE__, "case %zu is %s model", i,
                   cases[i].is_same ? "another" : "the same");
        clv_model_release(&model);
    }
}

static void the_trainers_file_is_its_twin(void)
{
    const char *trained = t_shared("golden/kmt_p32_t4.pth");
    const char *twin = trained ? t_shared("golden/kmt_p32_t4.safetensors") : NULL;
    if (!twin)
        return;
    const char *out = t_path(directory, "golden.safetensors");
    struct clv_model a, b;
    REQUIRE_OK(clv_import(trained, out, NULL, NULL));
    check_same(out, twin);
    REQUIRE_OK(clv_model_open(&a, trained, NULL));
    REQUIRE_OK(clv_model_open(&b, twin, NULL));
    CHECK(memcmp(a.digest, b.digest, sizeof a.digest) == 0);
    clv_model_release(&a);
    clv_model_release(&b);
}

int main(void)
{
    directory = t_directory();
    setenv("XDG_CACHE_HOME", t_path(directory, "cache"), 1);
    setenv("XDG_DATA_HOME", t_path(directory, "data"), 1);
    T_RUN(every_layout_gives_the_same_tensors);
    T_RUN(hugging_face_is_put_together);
    T_RUN(all_that_is_wrong_is_named_at_once);
    T_RUN(extras_are_counted_by_their_prefix);
    T_RUN(a_base_lends_the_token_table);
    T_RUN(an_import_is_the_same_each_time);
    T_RUN(the_vocabulary_travels_inside);
    T_RUN(the_cache_is_used_and_made_anew);
    T_RUN(a_cancelled_import_leaves_nothing);
    T_RUN(identity_is_of_what_changes_results);
    T_RUN(the_trainers_file_is_its_twin);
    return t_end();
}
