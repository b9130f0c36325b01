/* What a model's config is inferred from, and what contradicts it. */
#include "core/model/config.h"

#include "core/error.h"
#include "core/model/params.h"
#include "core/model/weights.h"
#include "tests/model/random_model.h"
#include "tests/t.h"

#include <stdio.h>
#include <string.h>

static const char *directory;

/* Writes `config` as a file of zeros and infers it again; the status of that. */
static int infer(struct clv_model_config *out, const struct clv_model_config *config,
                 const struct random_model_options *options)
{
    const char *path = t_path(directory, "m.safetensors");
    struct random_model_options hollow = {.is_hollow = true};
    struct clv_weights *weights = NULL;
    struct clv_params params = {0};
    if (options)
        hollow = *options;
    hollow.is_hollow = true;
    int status = random_model_write(path, config, &hollow);
    if (status == CLV_OK)
        status = clv_weights_open(&weights, path);
    if (status == CLV_OK)
        status = clv_config_infer(out, weights);
    if (status == CLV_OK)
        status = clv_params_init(&params, out);
    if (status == CLV_OK)
        status = clv_params_check(&params, weights, NULL);
    clv_params_release(&params);
    clv_weights_close(weights);
    return status;
}

static struct clv_model_config tiny(bool is_clip)
{
    struct clv_model_config config;
    random_model_arch(&config, "tiny", 4, CLV_MASK_KMT, is_clip);
    return config;
}

static void check_tower(const char *name, const struct clv_tower *got, const struct clv_tower *want)
{
    if (got->width != want->width || got->layer_count != want->layer_count ||
        got->head_count != want->head_count || got->mlp_width != want->mlp_width)
        t_fail(__FILE__, __LINE__, "%s: %d x %d with %d heads instead of %d x %d with %d", name,
               got->layer_count, got->width, got->head_count, want->layer_count, want->width,
               want->head_count);
}

static void shapes_give_the_config(void)
{
    static const struct {
        const char *arch;
        int frames;
        enum clv_mask mask;
        bool is_clip;
    } cases[] = {
        {"vit-b-32", 8, CLV_MASK_KMT, false}, {"vit-b-16", 32, CLV_MASK_KMCT, false},
        {"vit-l-14", 1, CLV_MASK_KMT, false}, {"vit-b-32", 8, CLV_MASK_NONE, true},
        {"tiny", 3, CLV_MASK_KMCT, false},    {"tiny", 3, CLV_MASK_NONE, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct clv_model_config want, got;
        REQUIRE(random_model_arch(&want, cases[i].arch, cases[i].frames, cases[i].mask,
                                  cases[i].is_clip));
        REQUIRE_OK(infer(&got, &want, NULL));
        check_tower("vision", &got.vision, &want.vision);
        check_tower("temporal", &got.temporal, &want.temporal);
        check_tower("text", &got.text, &want.text);
        CHECK_INT(got.embed_dim, want.embed_dim);
        CHECK_INT(got.image_side, want.image_side);
        CHECK_INT(got.patch_side, want.patch_side);
        CHECK_INT(got.token_count, want.token_count);
        CHECK_INT(got.frame_count, want.frame_count);
        CHECK_INT(got.context_length, 77);
        CHECK_INT(got.vocabulary_size, want.vocabulary_size);
        CHECK_INT(got.mask, want.mask);
        CHECK_INT(got.activation, CLV_ACTIVATION_QUICK_GELU);
    }
}

static void metadata_completes_it(void)
{
    static const struct clv_weight_metadata all[] = {
        {"mask", "KMCT"},         {"pixel_mean", "0.1, 0.2,0.3"},
        {"pixel_std", "1,2,3.5"}, {"resize", "bicubic"},
        {"activation", "gelu"},   {"vision_heads", "4"},
        {"text_heads", "8"},      {"note", "anything"}};
    static const struct clv_weight_metadata none[] = {{"note", "anything"}};
    struct clv_model_config config = tiny(false), got;
    REQUIRE_OK(
        infer(&got, &config, &(struct random_model_options){.metadata = all, .metadata_count = 8}));
    CHECK_INT(got.mask, CLV_MASK_KMCT);
    CHECK_NEAR(got.pixel_mean[1], 0.2, 1e-7);
    CHECK_NEAR(got.pixel_std[2], 3.5, 1e-7);
    CHECK_INT(got.resize, CLV_RESIZE_BICUBIC_ANTIALIAS);
    CHECK_INT(got.activation, CLV_ACTIVATION_GELU);
    CHECK_INT(got.vision.head_count, 4);
    CHECK_INT(got.temporal.head_count, 4);
    CHECK_INT(got.text.head_count, 8);
    /* Without any: KMT and ImageNet's pixels. */
    REQUIRE_OK(infer(&got, &config,
                     &(struct random_model_options){.metadata = none, .metadata_count = 1}));
    CHECK_INT(got.mask, CLV_MASK_KMT);
    CHECK_INT(got.resize, CLV_RESIZE_BILINEAR_256);
    CHECK_NEAR(got.pixel_mean[0], 0.485, 1e-7);
    CHECK_NEAR(got.pixel_std[0], 0.229, 1e-7);
    /* Plain CLIP: its pixels, no mask, T free. */
    config = tiny(true);
    REQUIRE_OK(infer(&got, &config,
                     &(struct random_model_options){.metadata = none, .metadata_count = 1}));
    CHECK_INT(got.mask, CLV_MASK_NONE);
    CHECK_INT(got.resize, CLV_RESIZE_BICUBIC_ANTIALIAS);
    CHECK_NEAR(got.pixel_mean[0], 0.48145466, 1e-7);
    CHECK_INT(got.frame_count, 8);
    CHECK_INT(got.temporal.layer_count, 0);
}

static void contradictions_are_refused(void)
{
    static const struct {
        struct clv_weight_metadata metadata;
        bool is_clip;
        const char *part;
    } cases[] = {
        {{"T", "8"}, false, "metadata T is 8, the tensors say 4"},
        {{"T", "x"}, false, "metadata T is 'x', but it must be a positive integer"},
        {{"T", "0"}, true, "positive integer"},
        {{"T", "99999999999999999999"}, true, "positive integer"},
        {{"T", ""}, false, "positive integer"},
        {{"patch", "32"}, false, "metadata patch is 32, the tensors say 16"},
        {{"resolution", "224"}, false, "metadata resolution is 224, the tensors say 64"},
        {{"mask", "KMTC"}, false, "it must be KMT or KMCT"},
        {{"mask", "KMT"}, true, "the model has no temporal branch"},
        {{"mask", "none"}, false, "it must be KMT or KMCT"},
        {{"resize", "nearest"}, false, "it must be bicubic or bilinear"},
        {{"activation", "relu"}, false, "it must be quick_gelu or gelu"},
        {{"pixel_mean", "1,2"}, false, "three numbers and commas"},
        {{"pixel_mean", "1,2,3,4"}, false, "three numbers and commas"},
        {{"pixel_mean", "1,2,x"}, false, "three numbers and commas"},
        {{"pixel_mean", "1,2,nan"}, false, "three numbers and commas"},
        {{"pixel_std", "1,0,1"}, false, "not usable"},
        {{"vision_heads", "3"}, false, "does not divide the width 128"},
        {{"text_heads", "-1"}, false, "positive integer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct clv_model_config config = tiny(cases[i].is_clip), got;
        const struct random_model_options options = {.metadata = &cases[i].metadata,
                                                     .metadata_count = 1};
        CHECK_ERROR(infer(&got, &config, &options), CLV_ECORRUPT, cases[i].part);
        CHECK(strstr(clv_error_message(), "m.safetensors") != NULL);
    }
}

static void every_tensor_is_missed(void)
{
    struct clv_model_config config = tiny(false), got;
    struct clv_params params = {0};
    config.vision.layer_count = config.temporal.layer_count = config.text.layer_count = 1;
    REQUIRE_OK(clv_params_init(&params, &config));
    for (size_t i = 0; i < params.count; i++) {
        char part[160];
        const char *name = params.items[i].name;
        snprintf(part, sizeof part, "tensor '%s' is missing", name);
        CHECK_ERROR(infer(&got, &config, &(struct random_model_options){.missing = name}),
                    CLV_ECORRUPT, part);
    }
    clv_params_release(&params);
}

static void every_wrong_shape_is_seen(void)
{
    struct clv_model_config config = tiny(false), got;
    struct clv_params params = {0};
    config.vision.layer_count = config.temporal.layer_count = config.text.layer_count = 1;
    REQUIRE_OK(clv_params_init(&params, &config));
    for (size_t i = 0; i < params.count; i++) {
        const struct clv_param *param = &params.items[i];
        /* The vocabulary and the context are as large as these tensors say. */
        if (param->dimension_count == 0 || strcmp(param->name, "token_embedding.weight") == 0 ||
            strcmp(param->name, "positional_embedding") == 0)
            continue;
        int status = infer(&got, &config, &(struct random_model_options){.reshaped = param->name});
        if (status != CLV_ECORRUPT && status != CLV_EUNSUPPORTED)
            t_fail(__FILE__, __LINE__, "%s one row larger: status %d", param->name, status);
    }
    clv_params_release(&params);
}

static void odd_widths_need_their_heads(void)
{
    struct clv_model_config config = tiny(true), got;
    static const struct clv_weight_metadata five = {"vision_heads", "5"}, note = {"note", ""};
    config.vision.width = 80;
    config.vision.head_count = 5;
    CHECK_ERROR(infer(&got, &config,
                      &(struct random_model_options){.metadata = &note, .metadata_count = 1}),
                CLV_EUNSUPPORTED, "width 80 is no multiple of 64");
    CHECK_OK(infer(&got, &config,
                   &(struct random_model_options){.metadata = &five, .metadata_count = 1}));
    CHECK_INT(got.vision.head_count, 5);
    config.vision.width = 40;
    CHECK_OK(infer(&got, &config,
                   &(struct random_model_options){.metadata = &note, .metadata_count = 1}));
    CHECK_INT(got.vision.head_count, 1);
}

static void mlps_are_as_wide_as_their_tensors(void)
{
    struct clv_model_config config = tiny(false), got;
    config.vision.mlp_width = 558;
    config.temporal.mlp_width = 100;
    config.text.mlp_width = 315;
    REQUIRE_OK(infer(&got, &config, NULL));
    CHECK_INT(got.vision.mlp_width, 558);
    CHECK_INT(got.temporal.mlp_width, 100);
    CHECK_INT(got.text.mlp_width, 315);
    CHECK_ERROR(infer(&got, &config,
                      &(struct random_model_options){
                          .reshaped = "visual.transformer.resblocks.1.mlp.c_fc.weight"}),
                CLV_ECORRUPT, "has shape [559, 128] instead of [558, 128]");
    config.text.mlp_width = (1 << 17) + 1;
    CHECK_ERROR(infer(&got, &config, NULL), CLV_ECORRUPT, "the text tower's MLP is 131073 wide");
}

static void a_grid_must_be_square(void)
{
    struct clv_model_config config = tiny(true), got;
    CHECK_ERROR(infer(&got, &config,
                      &(struct random_model_options){.reshaped = "visual.positional_embedding"}),
                CLV_ECORRUPT, "has 18 rows, which is not a square and one");
}

/* All missing tensors are named at once, as far as they fit. */
static void many_problems_are_one_sentence(void)
{
    static const float number = 1;
    static const int64_t integers[64];
    struct clv_weights *weights = NULL;
    struct clv_model_config config = tiny(false);
    struct clv_params params = {0};
    const char *path = t_path(directory, "empty.safetensors");
    const struct clv_weight_entry entries[] = {
        {"logit_scale", CLV_F32, 1, {1}, 1, 4, &number},
        {"ln_final.bias", CLV_F32, 1, {1}, 1, 4, &number},
        {"ln_final.weight", CLV_I64, 1, {64}, 64, 512, integers},
    };
    REQUIRE_OK(clv_weights_save(path, entries, 3, NULL, 0));
    REQUIRE_OK(clv_weights_open(&weights, path));
    struct clv_model_config got;
    CHECK_ERROR(clv_config_infer(&got, weights), CLV_ECORRUPT,
                "tensor 'visual.conv1.weight' is missing, tensor 'visual.positional_embedding' is "
                "missing, tensor 'visual.proj' is missing");
    config.vision.layer_count = 60; /* more tensors than one sentence can name */
    REQUIRE_OK(clv_params_init(&params, &config));
    int ignored = -1;
    CHECK_ERROR(clv_params_check(&params, weights, &ignored), CLV_ECORRUPT,
                "'positional_embedding' is missing, tensor 'text_projection' is missing");
    CHECK(strstr(clv_error_message(), "and ") && strstr(clv_error_message(), " more"));
    CHECK_INT(ignored, 0);
    config.vision.layer_count = config.temporal.layer_count = config.text.layer_count = 0;
    config.temporal.width = 0;
    config.mask = CLV_MASK_NONE;
    clv_params_release(&params);
    REQUIRE_OK(clv_params_init(&params, &config));
    CHECK_ERROR(clv_params_check(&params, weights, NULL), CLV_ECORRUPT,
                "'ln_final.weight' holds no floating-point numbers, tensor 'ln_final.bias' has "
                "shape [1] instead of [64]");
    clv_params_release(&params);
    clv_weights_close(weights);
}

/* Layers, widths and batches that would not be of this world. */
static void ranges_are_checked(void)
{
    static const struct {
        size_t offset;
        int value;
    } cases[] = {
#define AT(field, value) {offsetof(struct clv_model_config, field), value}
        AT(embed_dim, 0),
        AT(embed_dim, 1 << 20),
        AT(image_side, 0),
        AT(image_side, 63),
        AT(patch_side, 0),
        AT(patch_side, 15),
        AT(token_count, 18),
        AT(frame_count, 0),
        AT(frame_count, 1 << 20),
        AT(context_length, 0),
        AT(vocabulary_size, 0),
        AT(vision.width, 0),
        AT(vision.width, 1 << 16),
        AT(vision.head_count, 0),
        AT(vision.head_count, 3),
        AT(vision.mlp_width, 0),
        AT(text.mlp_width, (1 << 17) + 1),
        AT(vision.layer_count, -1),
        AT(text.layer_count, 300),
        AT(temporal.width, 64),
        AT(temporal.head_count, 0),
        AT(mask, CLV_MASK_CAUSAL),
    };
    struct clv_model_config config = tiny(false);
    CHECK_OK(clv_config_check(&config));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct clv_model_config bad = config;
        memcpy((char *)&bad + cases[i].offset, &cases[i].value, sizeof cases[i].value);
        int status = clv_config_check(&bad);
        if (status != CLV_EINVAL)
            t_fail(__FILE__, __LINE__, "case %zu: status %d", i, status);
    }
    /* A mask needs a temporal branch; a branch needs no mask: joint attention. */
    config.mask = CLV_MASK_NONE;
    CHECK_OK(clv_config_check(&config));
    CHECK_STRING(clv_config_mask_name(&config), "joint");
    config = tiny(true);
    CHECK_STRING(clv_config_mask_name(&config), "none");
    config.mask = CLV_MASK_KMT;
    CHECK_ERROR(clv_config_check(&config), CLV_EINVAL, "the mask does not fit");
}

int main(void)
{
    directory = t_directory();
    T_RUN(shapes_give_the_config);
    T_RUN(metadata_completes_it);
    T_RUN(contradictions_are_refused);
    T_RUN(every_tensor_is_missed);
    T_RUN(every_wrong_shape_is_seen);
    T_RUN(odd_widths_need_their_heads);
    T_RUN(mlps_are_as_wide_as_their_tensors);
    T_RUN(a_grid_must_be_square);
    T_RUN(many_problems_are_one_sentence);
    T_RUN(ranges_are_checked);
    return t_end();
}
