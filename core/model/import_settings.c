/* Who says what wins: options, then the metadata of a safetensors file, then configuration files,
 * then what the layout's trainer is known to do, then OpenAI's values. */
#include "core/model/import_settings.h"

#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char clip_mean[] = "0.48145466,0.4578275,0.40821073";
static const char clip_std[] = "0.26862954,0.26130258,0.27577711";
static const char imagenet_mean[] = "0.485,0.456,0.406";
static const char imagenet_std[] = "0.229,0.224,0.225";

static void put(struct clv_import_settings *settings, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void put(struct clv_import_settings *settings, const char *key, const char *format, ...)
{
    char *value = settings->values[settings->count];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value, sizeof settings->values[0], format, arguments);
    va_end(arguments);
    settings->items[settings->count++] = (struct clv_weight_metadata){key, value};
}

static const char *get(const struct clv_import_settings *settings, const char *key)
{
    for (size_t i = 0; i < settings->count; i++)
        if (strcmp(settings->items[i].key, key) == 0)
            return settings->items[i].value;
    return NULL;
}

/* The checkpoint's own metadata: only safetensors files have any under our keys. */
static const char *metadata_of(const struct clv_checkpoint *checkpoint, const char *key)
{
    return clv_checkpoint_format(checkpoint) == CLV_CHECKPOINT_SAFETENSORS
               ? clv_checkpoint_setting(checkpoint, key)
               : NULL;
}

static int check_choice(const char *option, const char *value, const char *one, const char *other)
{
    if (!value || strcasecmp(value, one) == 0 || strcasecmp(value, other) == 0)
        return CLV_OK;
    return clv_fail(CLV_EINVAL, "%s is '%.40s', it must be %s or %s", option, value, one, other);
}

static int check_options(const struct clv_import_options *options, const struct clv_layout *layout)
{
    int status = check_choice("the mask", options->mask, "KMT", "KMCT");
    if (status == CLV_OK)
        status = check_choice("the activation", options->activation, "quick_gelu", "gelu");
    if (status == CLV_OK)
        status = check_choice("the pixels' statistics", options->pixels, "clip", "imagenet");
    if (status == CLV_OK)
        status = check_choice("the resizing", options->resize, "bicubic", "bilinear");
    if (status == CLV_OK && options->mask && !layout->is_temporal)
        status = clv_fail(CLV_EINVAL,
                          "the mask is '%.40s', but the model has no temporal branch to mask",
                          options->mask);
    if (status == CLV_OK && (options->vision_heads < 0 || options->text_heads < 0))
        status = clv_fail(CLV_EINVAL, "a tower cannot have %d heads",
                          options->vision_heads < 0 ? options->vision_heads : options->text_heads);
    return status;
}

static void hint_mask(struct clv_import_settings *out, const struct clv_checkpoint *checkpoint,
                      const struct clv_layout *layout, const struct clv_import_options *options,
                      struct clv_bytes *notes)
{
    const char *trained = clv_checkpoint_setting(checkpoint, "config.MODEL.MASK_MODE");
    const char *value = options->mask ? options->mask : metadata_of(checkpoint, "mask");
    if (!layout->is_temporal)
        return;
    /* The trainer takes anything but KMT for KMCT (claver.md 5.2). */
    if (!value && trained)
        value = strcmp(trained, "KMT") == 0 ? "KMT" : "KMCT";
    if (!value)
        clv_bytes_text(notes, "assumed: the mask is KMT; the checkpoint does not say (--mask KMCT "
                              "if it was trained with that)\n");
    put(out, "mask", "%.40s", !value ? "KMT" : strcasecmp(value, "KMT") == 0 ? "KMT" : value);
    if (strcasecmp(out->values[out->count - 1], "KMCT") == 0)
        memcpy(out->values[out->count - 1], "KMCT", sizeof "KMCT");
}

/* Video trainers of this family normalise by ImageNet and resize bilinearly. */
static bool is_video_trained(const struct clv_layout *layout)
{
    return layout->kind == CLV_LAYOUT_CLAVER || layout->kind == CLV_LAYOUT_VIFI_CLIP ||
           layout->kind == CLV_LAYOUT_X_CLIP;
}

static int hint_pixels(struct clv_import_settings *out, const struct clv_checkpoint *checkpoint,
                       const struct clv_layout *layout, const struct clv_layout_config *said,
                       const struct clv_import_options *options, struct clv_bytes *notes)
{
    const char *mean = metadata_of(checkpoint, "pixel_mean");
    const char *std = metadata_of(checkpoint, "pixel_std");
    const char *resize = options->resize ? options->resize : metadata_of(checkpoint, "resize");
    bool is_imagenet =
        options->pixels ? strcasecmp(options->pixels, "imagenet") == 0 : is_video_trained(layout);
    if (!resize && said->obstacle[0])
        return clv_fail(
            CLV_EUNSUPPORTED,
            "the configuration of '%s' %s, which claverdb does not do (--resize bicubic "
            "takes CLIP's preprocessing instead)",
            clv_checkpoint_path(checkpoint), said->obstacle);
    if (said->obstacle[0])
        clv_bytes_format(notes, "ignored: the configuration %s\n", said->obstacle);
    if (!options->pixels && mean)
        put(out, "pixel_mean", "%.90s", mean);
    else if (!options->pixels && said->has_mean)
        put(out, "pixel_mean", "%.9g,%.9g,%.9g", (double)said->pixel_mean[0],
            (double)said->pixel_mean[1], (double)said->pixel_mean[2]);
    else
        put(out, "pixel_mean", "%s", is_imagenet ? imagenet_mean : clip_mean);
    if (!options->pixels && std)
        put(out, "pixel_std", "%.90s", std);
    else if (!options->pixels && said->has_std)
        put(out, "pixel_std", "%.9g,%.9g,%.9g", (double)said->pixel_std[0],
            (double)said->pixel_std[1], (double)said->pixel_std[2]);
    else
        put(out, "pixel_std", "%s", is_imagenet ? imagenet_std : clip_std);
    if (!resize)
        resize = said->resize ? said->resize : is_video_trained(layout) ? "bilinear" : "bicubic";
    put(out, "resize", "%.40s",
        strcasecmp(resize, "bilinear") == 0  ? "bilinear"
        : strcasecmp(resize, "bicubic") == 0 ? "bicubic"
                                             : resize);
    if (!options->pixels && !mean && !said->has_mean && is_video_trained(layout) &&
        layout->kind != CLV_LAYOUT_CLAVER)
        clv_bytes_format(notes,
                         "assumed: pixels as %s was trained with, ImageNet's statistics and "
                         "bilinear resizing (--pixels clip --resize bicubic otherwise)\n",
                         clv_layout_name(layout->kind));
    return CLV_OK;
}

/* What a tower's heads are by option, metadata or configuration; 0 where nobody says. */
static int heads_of(const struct clv_tower_said *said, int option)
{
    if (option)
        return option;
    if (said->heads)
        return said->heads;
    return said->head_width && said->width % said->head_width == 0 ? said->width / said->head_width
                                                                   : 0;
}

static void hint_towers(struct clv_import_settings *out, const struct clv_checkpoint *checkpoint,
                        const struct clv_layout *layout, const struct clv_layout_config *said,
                        bool has_config, const struct clv_import_options *options,
                        struct clv_bytes *notes)
{
    const char *activation = metadata_of(checkpoint, "activation");
    const char *heads[2] = {metadata_of(checkpoint, "vision_heads"),
                            metadata_of(checkpoint, "text_heads")};
    const int told[2] = {heads_of(&said->vision, options->vision_heads),
                         heads_of(&said->text, options->text_heads)};
    const int options_heads[2] = {options->vision_heads, options->text_heads};
    static const char *const keys[2] = {"vision_heads", "text_heads"};
    const bool is_said = options->activation || activation || said->activation;
    if (options->activation)
        activation = strcasecmp(options->activation, "gelu") == 0 ? "gelu" : "quick_gelu";
    else if (!activation)
        activation = said->activation ? said->activation : "quick_gelu";
    put(out, "activation", "%.40s", activation);
    for (int i = 0; i < 2; i++) {
        if (heads[i] && !options_heads[i])
            put(out, keys[i], "%.40s", heads[i]);
        else if (told[i])
            put(out, keys[i], "%d", told[i]);
    }
    /* OpenAI's archives and the trainers built on their code have nothing else. */
    if (!is_said && !has_config && !is_video_trained(layout) &&
        clv_checkpoint_format(checkpoint) != CLV_CHECKPOINT_TORCH_SCRIPT)
        clv_bytes_text(notes, "assumed: QuickGELU and heads 64 wide, as in OpenAI's models; no "
                              "configuration says (--activation gelu, --vision-heads and "
                              "--text-heads otherwise)\n");
}

int clv_import_hints(struct clv_import_settings *out, const struct clv_checkpoint *checkpoint,
                     const struct clv_layout *layout, const struct clv_layout_config *said,
                     bool has_config, const struct clv_import_options *options,
                     struct clv_bytes *notes)
{
    static const char *const kept[] = {"T", "patch", "resolution"};
    out->count = 0;
    int status = check_options(options, layout);
    if (status != CLV_OK)
        return status;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        const char *value = metadata_of(checkpoint, kept[i]);
        if (value)
            put(out, kept[i], "%.40s", value);
    }
    hint_mask(out, checkpoint, layout, options, notes);
    hint_towers(out, checkpoint, layout, said, has_config, options, notes);
    return hint_pixels(out, checkpoint, layout, said, options, notes);
}

void clv_import_metadata(struct clv_import_settings *out, const struct clv_model_config *config,
                         const struct clv_import_settings *hints, enum clv_layout_kind kind)
{
    out->count = 0;
    put(out, "format", "pt"); /* what other readers of safetensors ask for */
    put(out, "layout", "%s", clv_layout_name(kind));
    put(out, "mask", "%s", clv_config_mask_name(config));
    if (config->temporal.width || get(hints, "T"))
        put(out, "T", "%d", config->frame_count);
    put(out, "patch", "%d", config->patch_side);
    put(out, "resolution", "%d", config->image_side);
    put(out, "pixel_mean", "%.9g,%.9g,%.9g", (double)config->pixel_mean[0],
        (double)config->pixel_mean[1], (double)config->pixel_mean[2]);
    put(out, "pixel_std", "%.9g,%.9g,%.9g", (double)config->pixel_std[0],
        (double)config->pixel_std[1], (double)config->pixel_std[2]);
    put(out, "resize", "%s", config->resize == CLV_RESIZE_BILINEAR_256 ? "bilinear" : "bicubic");
    put(out, "activation", "%s", config->activation == CLV_ACTIVATION_GELU ? "gelu" : "quick_gelu");
    put(out, "vision_heads", "%d", config->vision.head_count);
    put(out, "text_heads", "%d", config->text.head_count);
}

int clv_import_agree(const struct clv_model_config *config, const struct clv_layout_config *said,
                     const char *name)
{
    const struct {
        const char *what;
        int said, found;
    } numbers[] = {
        {"the embedding", said->embed_dim, config->embed_dim},
        {"the picture's side", said->image_side, config->image_side},
        {"the side of the pixels prepared", said->pixel_side, config->image_side},
        {"the patch's side", said->patch_side, config->patch_side},
        {"the context", said->context_length, config->context_length},
        {"the vocabulary", said->vocabulary_size, config->vocabulary_size},
        {"the picture tower's width", said->vision.width, config->vision.width},
        {"the picture tower's depth", said->vision.layers, config->vision.layer_count},
        {"the picture tower's MLP", said->vision.mlp_width, config->vision.mlp_width},
        {"the text tower's width", said->text.width, config->text.width},
        {"the text tower's depth", said->text.layers, config->text.layer_count},
        {"the text tower's MLP", said->text.mlp_width, config->text.mlp_width},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (numbers[i].said && numbers[i].said != numbers[i].found)
            return clv_fail(CLV_ECORRUPT, "'%s' says %s is %d, the tensors beside it say %d", name,
                            numbers[i].what, numbers[i].said, numbers[i].found);
    return CLV_OK;
}
