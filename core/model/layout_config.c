/* Only settings that change a result are looked at. What would make it another model is refused by
 * name; where a file leaves a setting out, the library that wrote it has a default, taken here. */
#include "core/model/layout_config.h"

#include "core/error.h"
#include "core/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_MAX (1 << 24)
#define NORM_EPSILON 1e-5

/* An integer of a configuration, also as the first of a pair of equal ones (image_size); 0 where
 * there is none. */
static int integer(const struct clv_json *value)
{
    if (clv_json_kind(value) == CLV_JSON_ARRAY && clv_json_count(value) == 2) {
        int64_t first = clv_json_integer(clv_json_at(value, 0), 0);
        if (first != clv_json_integer(clv_json_at(value, 1), 0))
            return 0;
        value = clv_json_at(value, 0);
    }
    int64_t number = clv_json_integer(value, 0);
    return number > 0 && number <= NUMBER_MAX ? (int)number : 0;
}

static int member(const struct clv_json *object, const char *key, int fallback)
{
    int value = integer(clv_json_get(object, key));
    return value ? value : fallback;
}

static const char *text_of(const struct clv_json *object, const char *key, const char *fallback)
{
    return clv_json_string(clv_json_get(object, key), NULL, fallback);
}

/* A value that switches something on: not absent, null, false, zero or "none". */
static bool is_on(const struct clv_json *value)
{
    switch (clv_json_kind(value)) {
    case CLV_JSON_NONE:
    case CLV_JSON_NULL:
        return false;
    case CLV_JSON_BOOL:
        return clv_json_bool(value, false);
    case CLV_JSON_INTEGER:
    case CLV_JSON_REAL:
        return clv_json_number(value, 0) != 0;
    case CLV_JSON_STRING:
        return strcmp(clv_json_string(value, NULL, ""), "none") != 0;
    default:
        return clv_json_count(value) > 0;
    }
}

static int parse(struct clv_json **out, const char *text, size_t size, const char *name)
{
    int status = clv_json_parse(out, text, size, name);
    if (status == CLV_OK && clv_json_kind(*out) != CLV_JSON_OBJECT)
        status = clv_fail(CLV_ECORRUPT, "'%s' is not a JSON object", name);
    return status;
}

static int check_epsilon(const struct clv_json *value, const char *tower, const char *name)
{
    double epsilon = clv_json_number(value, NORM_EPSILON);
    if (fabs(epsilon - NORM_EPSILON) <= 1e-3 * NORM_EPSILON)
        return CLV_OK;
    return clv_fail(CLV_EUNSUPPORTED,
                    "'%s': the %s tower normalises with an epsilon of %g, only %g is done", name,
                    tower, epsilon, NORM_EPSILON);
}

/* Three finite numbers. */
static int read_triple(bool *has_out, float out[3], const struct clv_json *value, const char *key,
                       const char *name)
{
    if (clv_json_kind(value) == CLV_JSON_NONE || clv_json_kind(value) == CLV_JSON_NULL)
        return CLV_OK;
    for (size_t i = 0; i < 3; i++) {
        double number = clv_json_number(clv_json_at(value, i), NAN);
        if (!(fabs(number) < 1e6) || clv_json_count(value) != 3)
            return clv_fail(CLV_ECORRUPT, "'%s': %s is not three numbers", name, key);
        out[i] = (float)number;
    }
    *has_out = true;
    return CLV_OK;
}

static void object_to(struct clv_layout_config *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Records the first reason why the pixels cannot be prepared as the files say. */
static void object_to(struct clv_layout_config *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (!out->obstacle[0])
        vsnprintf(out->obstacle, sizeof out->obstacle, format, arguments);
    va_end(arguments);
}

/* ---- Hugging Face ---- */

static int read_activation(struct clv_layout_config *out, const struct clv_json *tower,
                           const char *name)
{
    const char *activation = text_of(tower, "hidden_act", "quick_gelu");
    const char *known = strcmp(activation, "quick_gelu") == 0 ? "quick_gelu"
                        : strcmp(activation, "gelu") == 0     ? "gelu"
                                                              : NULL;
    if (!known)
        return clv_fail(CLV_EUNSUPPORTED,
                        "'%s': the activation is '%.40s', only quick_gelu and gelu are done", name,
                        activation);
    if (out->activation && strcmp(out->activation, known) != 0)
        return clv_fail(CLV_EUNSUPPORTED,
                        "'%s': the towers have two activations, %s and %s, only one is done", name,
                        out->activation, known);
    out->activation = known;
    return CLV_OK;
}

/* A tower's settings with the defaults transformers has for it. */
static int read_tower(struct clv_layout_config *out, struct clv_tower_said *tower,
                      const struct clv_json *json, bool is_vision, const char *name)
{
    *tower = (struct clv_tower_said){
        .heads = member(json, "num_attention_heads", is_vision ? 12 : 8),
        .width = member(json, "hidden_size", is_vision ? 768 : 512),
        .layers = member(json, "num_hidden_layers", 12),
        .mlp_width = member(json, "intermediate_size", is_vision ? 3072 : 2048),
    };
    int status =
        check_epsilon(clv_json_get(json, "layer_norm_eps"), is_vision ? "picture" : "text", name);
    return status == CLV_OK ? read_activation(out, json, name) : status;
}

int clv_layout_config_hugging_face(struct clv_layout_config *out, const char *text, size_t size,
                                   const char *name)
{
    struct clv_json *root = NULL;
    int status = parse(&root, text, size, name);
    const char *type = text_of(root, "model_type", NULL);
    if (status == CLV_OK && !type)
        status = clv_fail(CLV_ECORRUPT, "'%s' does not say which model_type it is of", name);
    else if (status == CLV_OK && strcmp(type, "clip") != 0)
        status = clv_fail(CLV_EUNSUPPORTED,
                          "'%s': the model is of type '%.40s', only 'clip' is read", name, type);
    /* Old files hold the same under a second name, which wins where both are there. */
    const struct clv_json *vision = clv_json_get(root, "vision_config_dict");
    const struct clv_json *words = clv_json_get(root, "text_config_dict");
    if (clv_json_kind(vision) != CLV_JSON_OBJECT)
        vision = clv_json_get(root, "vision_config");
    if (clv_json_kind(words) != CLV_JSON_OBJECT)
        words = clv_json_get(root, "text_config");
    if (status == CLV_OK)
        status = read_tower(out, &out->vision, vision, true, name);
    if (status == CLV_OK)
        status = read_tower(out, &out->text, words, false, name);
    if (status == CLV_OK) {
        out->embed_dim = member(root, "projection_dim", 512);
        out->image_side = member(vision, "image_size", 224);
        out->patch_side = member(vision, "patch_size", 32);
        out->context_length = member(words, "max_position_embeddings", 77);
        out->vocabulary_size = member(words, "vocab_size", 49408);
    }
    clv_json_free(root);
    return status;
}

/* The side in "size" or "crop_size": a number, or an object of its kind; 0 where it is neither a
 * square nor the shortest edge. */
static int side_of(const struct clv_json *value, bool is_crop)
{
    if (clv_json_kind(value) != CLV_JSON_OBJECT)
        return integer(value);
    int edge = integer(clv_json_get(value, "shortest_edge"));
    int height = integer(clv_json_get(value, "height"));
    if (!is_crop || edge)
        return edge;
    return height == integer(clv_json_get(value, "width")) ? height : 0;
}

static const char *resample_name(int64_t resample)
{
    static const char *const names[] = {"nearest", "lanczos", "bilinear",
                                        "bicubic", "box",     "hamming"};
    return resample >= 0 && resample < 6 ? names[resample] : "unknown";
}

static void read_resizing(struct clv_layout_config *out, const struct clv_json *root)
{
    const struct clv_json *size = clv_json_get(root, "size");
    const struct clv_json *crop = clv_json_get(root, "crop_size");
    int64_t resample = clv_json_integer(clv_json_get(root, "resample"), 3);
    int side = size ? side_of(size, false) : 224, cropped = crop ? side_of(crop, true) : 224;
    if (!crop && size)
        cropped = side;
    if (!clv_json_bool(clv_json_get(root, "do_resize"), true))
        object_to(out, "does not resize pictures");
    if (!clv_json_bool(clv_json_get(root, "do_center_crop"), true))
        object_to(out, "does not crop the middle of pictures");
    if (resample != 3)
        object_to(out, "resizes pictures by the filter '%s'", resample_name(resample));
    if (!side)
        object_to(out, "does not resize the shortest edge of pictures");
    else if (side != cropped)
        object_to(out, "resizes pictures to %d pixels and crops %d", side, cropped);
    if (!clv_json_bool(clv_json_get(root, "do_normalize"), true) ||
        !clv_json_bool(clv_json_get(root, "do_rescale"), true) ||
        fabs(clv_json_number(clv_json_get(root, "rescale_factor"), 1 / 255.) - 1 / 255.) > 1e-6)
        object_to(out, "scales pixels in another way");
    out->pixel_side = cropped;
    out->resize = "bicubic";
}

int clv_layout_config_preprocessor(struct clv_layout_config *out, const char *text, size_t size,
                                   const char *name)
{
    struct clv_json *root = NULL;
    int status = parse(&root, text, size, name);
    if (status == CLV_OK)
        status = read_triple(&out->has_mean, out->pixel_mean, clv_json_get(root, "image_mean"),
                             "image_mean", name);
    if (status == CLV_OK)
        status = read_triple(&out->has_std, out->pixel_std, clv_json_get(root, "image_std"),
                             "image_std", name);
    if (status == CLV_OK)
        read_resizing(out, root);
    clv_json_free(root);
    return status;
}

/* ---- OpenCLIP ---- */

struct refusal {
    const char *key;
    const char *allowed; /* a string that is fine; NULL: anything switched on is refused */
    const char *what;
};

static int check_refusals(const struct clv_json *object, const struct refusal *refusals,
                          size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        const struct clv_json *value = clv_json_get(object, refusals[i].key);
        const char *text = clv_json_string(value, NULL, NULL);
        if (!is_on(value) && !(text && refusals[i].allowed))
            continue;
        if (text && refusals[i].allowed && strcmp(text, refusals[i].allowed) == 0)
            continue;
        return clv_fail(CLV_EUNSUPPORTED,
                        "'%s' describes no CLIP that claverdb can run: %s (%s%s%.40s)", name,
                        refusals[i].what, refusals[i].key, text ? " " : "", text ? text : "");
    }
    return CLV_OK;
}

/* What the blocks of either tower may not have, after what only `refusals` names. */
static int check_tower_refusals(const struct clv_json *tower, const struct refusal *refusals,
                                size_t count, const char *name)
{
    static const struct refusal blocks[] = {
        {"qk_norm", NULL, "it normalises inside its attention"},
        {"scaled_cosine_attn", NULL, "its attention is a scaled cosine"},
        {"scale_heads", NULL, "it scales its heads"},
        {"scale_attn_inner", NULL, "it normalises inside its attention"},
        {"scale_attn", NULL, "it normalises inside its attention"},
        {"scale_fc", NULL, "it normalises inside its MLP"},
        {"act_kwargs", NULL, "its activation is another"},
    };
    int status = check_refusals(tower, refusals, count, name);
    if (status == CLV_OK)
        status = check_refusals(tower, blocks, sizeof blocks / sizeof blocks[0], name);
    return status;
}

static int check_open_clip_vision(const struct clv_json *vision, const char *name)
{
    static const struct refusal refusals[] = {
        {"timm_model_name", NULL, "its picture tower comes from timm"},
        {"attentional_pool", NULL, "it pools its picture tokens by attention"},
        {"global_average_pool", NULL, "it averages its picture tokens"},
        {"pool_type", "tok", "it does not take the class token"},
        {"no_ln_pre", NULL, "its picture tower has no ln_pre"},
        {"input_patchnorm", NULL, "it normalises patches before embedding them"},
        {"ls_init_value", NULL, "it scales its layers"},
    };
    if (clv_json_kind(clv_json_get(vision, "layers")) == CLV_JSON_ARRAY)
        return clv_fail(CLV_EUNSUPPORTED,
                        "'%s' describes no CLIP that claverdb can run: its picture tower is a "
                        "ResNet (layers)",
                        name);
    return check_tower_refusals(vision, refusals, sizeof refusals / sizeof refusals[0], name);
}

static int check_open_clip_text(const struct clv_json *text, const char *name)
{
    static const struct refusal refusals[] = {
        {"hf_model_name", NULL, "its text tower is another language model"},
        {"embed_cls", NULL, "its text tower has a class token (CoCa)"},
        {"no_causal_mask", NULL, "its text tower looks ahead"},
        {"ls_init_value", NULL, "it scales its layers"},
        {"proj_type", "linear", "its text projection is no matrix"},
        {"proj_bias", NULL, "its text projection has a bias"},
    };
    const char *pool = text_of(text, "pool_type", "argmax");
    /* Both are the end of the text with CLIP's vocabulary. */
    if (strcmp(pool, "argmax") != 0 && strcmp(pool, "eos") != 0)
        return clv_fail(CLV_EUNSUPPORTED,
                        "'%s' describes no CLIP that claverdb can run: it does not take the end of "
                        "the text (pool_type %.40s)",
                        name, pool);
    return check_tower_refusals(text, refusals, sizeof refusals / sizeof refusals[0], name);
}

static int read_open_clip_model(struct clv_layout_config *out, const struct clv_json *model,
                                const char *name)
{
    static const struct refusal refusals[] = {
        {"multimodal_cfg", NULL, "it is a captioner (CoCa)"},
        {"init_logit_bias", NULL, "it was trained with a sigmoid loss (SigLIP)"},
    };
    const struct clv_json *vision = clv_json_get(model, "vision_cfg");
    const struct clv_json *text = clv_json_get(model, "text_cfg");
    int status = check_refusals(model, refusals, sizeof refusals / sizeof refusals[0], name);
    if (status == CLV_OK)
        status = check_open_clip_vision(vision, name);
    if (status == CLV_OK)
        status = check_open_clip_text(text, name);
    if (status == CLV_OK)
        status = check_epsilon(clv_json_get(clv_json_get(vision, "norm_kwargs"), "eps"), "picture",
                               name);
    if (status == CLV_OK)
        status =
            check_epsilon(clv_json_get(clv_json_get(text, "norm_kwargs"), "eps"), "text", name);
    if (status != CLV_OK)
        return status;
    out->activation =
        clv_json_bool(clv_json_get(model, "quick_gelu"), false) ? "quick_gelu" : "gelu";
    /* The MLP's width is a ratio here and rounded down, so the tensors are asked. */
    out->vision = (struct clv_tower_said){
        .head_width = member(vision, "head_width", 64),
        .width = member(vision, "width", 768),
        .layers = member(vision, "layers", 12),
    };
    out->text = (struct clv_tower_said){
        .heads = member(text, "heads", 8),
        .width = member(text, "width", 512),
        .layers = member(text, "layers", 12),
    };
    out->embed_dim = member(model, "embed_dim", 0);
    out->image_side = member(vision, "image_size", 224);
    out->patch_side = member(vision, "patch_size", 16);
    out->context_length = member(text, "context_length", 77);
    out->vocabulary_size = member(text, "vocab_size", 49408);
    return CLV_OK;
}

static int read_open_clip_pixels(struct clv_layout_config *out, const struct clv_json *pixels,
                                 const char *name)
{
    const char *interpolation = text_of(pixels, "interpolation", "bicubic");
    const char *mode = text_of(pixels, "resize_mode", "shortest");
    int status =
        read_triple(&out->has_mean, out->pixel_mean, clv_json_get(pixels, "mean"), "mean", name);
    if (status == CLV_OK)
        status =
            read_triple(&out->has_std, out->pixel_std, clv_json_get(pixels, "std"), "std", name);
    if (strcmp(interpolation, "bicubic") != 0)
        object_to(out, "resizes pictures by the filter '%.40s'", interpolation);
    if (strcmp(mode, "shortest") != 0)
        object_to(out, "resizes pictures in the mode '%.40s'", mode);
    out->resize = "bicubic";
    return status;
}

int clv_layout_config_open_clip(struct clv_layout_config *out, const char *text, size_t size,
                                const char *name)
{
    struct clv_json *root = NULL;
    int status = parse(&root, text, size, name);
    const struct clv_json *model = clv_json_get(root, "model_cfg");
    if (!model)
        model = root;
    if (status == CLV_OK && (clv_json_kind(clv_json_get(model, "vision_cfg")) != CLV_JSON_OBJECT ||
                             clv_json_kind(clv_json_get(model, "text_cfg")) != CLV_JSON_OBJECT))
        status = clv_fail(CLV_ECORRUPT,
                          "'%s' describes no OpenCLIP model: it has no vision_cfg "
                          "and text_cfg",
                          name);
    if (status == CLV_OK)
        status = read_open_clip_model(out, model, name);
    if (status == CLV_OK)
        status = read_open_clip_pixels(out, clv_json_get(root, "preprocess_cfg"), name);
    clv_json_free(root);
    return status;
}
