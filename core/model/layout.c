/* Recognising a layout by the tensors every CLIP has, and refusing by those none has. */
#include "core/model/layout.h"

#include "core/error.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANDIDATE_MAX 64
#define BLOCK_LIMIT 4096

/* ---- what is not a CLIP that can be read ---- */

static const struct {
    const char *part; /* of a tensor's name */
    const char *what;
} refusals[] = {
    {"visual.layer1.", "its picture tower is a ResNet"},
    {"image_encoder.layer1.", "its picture tower is a ResNet"},
    {"visual.trunk.", "its picture tower comes from timm"},
    {"visual.attn_pool.", "it pools its picture tokens by attention"},
    {"visual.blocks.", "its picture tower is not CLIP's"},
    {"visual.patchnorm_pre_ln.", "it normalises patches before embedding them"},
    {".ls_1.gamma", "it scales its layers"},
    {".ln_attn.", "it normalises inside its attention"},
    {".attn.logit_scale", "its attention is a scaled cosine"},
    {".mlp.ln.", "it normalises inside its MLP"},
    {"text.transformer.embeddings.", "its text tower is another language model"},
    {"text.transformer.shared.", "its text tower is another language model"},
    {"text.transformer.encoder.", "its text tower is another language model"},
    {"text.transformer.wte.", "its text tower is another language model"},
    {"text.cls_emb", "its text tower has a class token (CoCa)"},
    {"text_decoder.", "it is a captioner (CoCa)"},
    {"vision_model.head.", "it is SigLIP"},
    {"logit_bias", "it was trained with a sigmoid loss (SigLIP)"},
};

static int refuse(const struct clv_checkpoint *checkpoint)
{
    for (size_t i = 0; i < clv_checkpoint_count(checkpoint); i++) {
        const char *name = clv_checkpoint_at(checkpoint, i)->name;
        for (size_t k = 0; k < sizeof refusals / sizeof refusals[0]; k++)
            if (strstr(name, refusals[k].part))
                return clv_fail(CLV_EUNSUPPORTED,
                                "'%s' is no CLIP that claverdb can run: %s (tensor '%.200s')",
                                clv_checkpoint_path(checkpoint), refusals[k].what, name);
    }
    return CLV_OK;
}

/* ---- prefixes ---- */

/* Tensors that tell a tower: the prefix of one is the tower's. */
static const struct {
    const char *end;
    bool is_vision;
    bool is_hugging_face; /* and the prefix ends in "vision_model." or "text_model." */
    int dimension_count;
} anchors[] = {
    {"embeddings.class_embedding", true, true, 1},
    {"embeddings.patch_embedding.weight", true, true, 4},
    {"pre_layrnorm.weight", true, true, 1},
    {"embeddings.token_embedding.weight", false, true, 2},
    {"embeddings.position_embedding.weight", false, true, 2},
    {"final_layer_norm.weight", false, true, 1},
    {"class_embedding", true, false, 1},
    {"conv1.weight", true, false, 4},
    {"ln_pre.weight", true, false, 1},
    {"token_embedding.weight", false, false, 2},
    {"ln_final.weight", false, false, 1},
    {"text_projection", false, false, 2},
};

struct candidate {
    const char *name; /* the prefix is its first prefix_size bytes */
    size_t prefix_size;
    bool is_vision;
    bool is_hugging_face;
    int count; /* of anchors found */
};

struct candidates {
    struct candidate items[CANDIDATE_MAX];
    size_t count;
};

static bool ends_with(const char *text, size_t size, const char *end)
{
    size_t end_size = strlen(end);
    return size >= end_size && memcmp(text + size - end_size, end, end_size) == 0;
}

static void count_candidate(struct candidates *all, const struct candidate *found)
{
    for (size_t i = 0; i < all->count; i++) {
        struct candidate *one = &all->items[i];
        if (one->is_vision == found->is_vision && one->is_hugging_face == found->is_hugging_face &&
            one->prefix_size == found->prefix_size &&
            memcmp(one->name, found->name, found->prefix_size) == 0) {
            one->count++;
            return;
        }
    }
    if (all->count < CANDIDATE_MAX)
        all->items[all->count++] = *found;
}

static void find_candidates(struct candidates *out, const struct clv_checkpoint *checkpoint)
{
    out->count = 0;
    for (size_t i = 0; i < clv_checkpoint_count(checkpoint); i++) {
        const struct clv_weight_entry *entry = clv_checkpoint_at(checkpoint, i);
        size_t size = strlen(entry->name);
        for (size_t k = 0; k < sizeof anchors / sizeof anchors[0]; k++) {
            if (anchors[k].dimension_count != entry->dimension_count ||
                !ends_with(entry->name, size, anchors[k].end))
                continue;
            size_t prefix_size = size - strlen(anchors[k].end);
            const char *tower = anchors[k].is_vision ? "vision_model." : "text_model.";
            if (ends_with(entry->name, prefix_size, tower) != anchors[k].is_hugging_face)
                continue;
            /* A picture tower without a prefix is no part of a CLIP; without a '.' it is none. */
            if (prefix_size ? entry->name[prefix_size - 1] != '.' : anchors[k].is_vision)
                continue;
            count_candidate(out, &(struct candidate){entry->name, prefix_size, anchors[k].is_vision,
                                                     anchors[k].is_hugging_face, 1});
            break;
        }
    }
}

static size_t common_size(const struct candidate *a, const struct candidate *b)
{
    size_t size = 0;
    while (size < a->prefix_size && size < b->prefix_size && a->name[size] == b->name[size])
        size++;
    return size;
}

/* The candidate with the most anchors; of several that nearest to `near` (may be NULL), and then
 * that with the shortest prefix. NULL where none has two. */
static const struct candidate *choose(const struct candidates *all, bool is_vision,
                                      const struct candidate *near)
{
    const struct candidate *best = NULL;
    for (size_t i = 0; i < all->count; i++) {
        const struct candidate *one = &all->items[i];
        if (one->is_vision != is_vision || one->count < 2 ||
            (near && near->is_hugging_face != one->is_hugging_face))
            continue;
        if (best && one->count != best->count) {
            best = one->count > best->count ? one : best;
            continue;
        }
        size_t one_common = near ? common_size(one, near) : 0;
        size_t best_common = best && near ? common_size(best, near) : 0;
        if (!best || one_common > best_common ||
            (one_common == best_common && one->prefix_size < best->prefix_size))
            best = one;
    }
    return best;
}

/* `prefix` without its last part: "model." of "model.visual.". */
static size_t parent_size(const struct candidate *candidate)
{
    size_t size = candidate->prefix_size;
    if (size)
        size--;
    while (size && candidate->name[size - 1] != '.')
        size--;
    return size;
}

static int set_prefixes(struct clv_layout *layout, const struct candidates *all,
                        const struct candidate *vision, const struct candidate *text)
{
    const struct candidate *known = vision ? vision : text;
    bool is_hugging_face = known->is_hugging_face;
    size_t root_size = parent_size(known);
    /* The text tower of OpenAI's naming has no prefix of its own. */
    if (!is_hugging_face && !vision)
        root_size = text->prefix_size;
    layout->root = strndup(known->name, root_size);
    if (vision)
        layout->vision = strndup(vision->name, vision->prefix_size);
    else if (layout->root && asprintf(&layout->vision, "%s%s", layout->root,
                                      is_hugging_face ? "vision_model." : "visual.") < 0)
        layout->vision = NULL;
    if (text)
        layout->text = strndup(text->name, text->prefix_size);
    else if (layout->root && asprintf(&layout->text, "%s%s", layout->root,
                                      is_hugging_face ? "text_model." : "") < 0)
        layout->text = NULL;
    for (size_t i = 0; i < all->count && !layout->other; i++)
        if (all->items[i].is_vision && all->items[i].count >= 2 && &all->items[i] != vision &&
            !(layout->other = strndup(all->items[i].name, all->items[i].prefix_size)))
            return clv_fail_memory("a tensor's name");
    layout->kind = is_hugging_face ? CLV_LAYOUT_HUGGING_FACE : CLV_LAYOUT_OPENAI;
    return layout->root && layout->vision && layout->text ? CLV_OK
                                                          : clv_fail_memory("a tensor's name");
}

/* ---- the rest of a layout ---- */

static const char *after(const char *name, const char *prefix)
{
    size_t size = strlen(prefix);
    return strncmp(name, prefix, size) == 0 ? name + size : NULL;
}

/* Raises *count to one more than the number after `blocks` in `name`. */
static void count_block(int *count, const char *name, const char *blocks)
{
    const char *at = name ? after(name, blocks) : NULL;
    int number = 0;
    if (!at || *at < '0' || *at > '9')
        return;
    for (; *at >= '0' && *at <= '9' && number < BLOCK_LIMIT; at++)
        number = 10 * number + (*at - '0');
    if (*at == '.' && number >= *count && number < BLOCK_LIMIT)
        *count = number + 1;
}

static bool starts(const char *name, const char *start)
{
    return name && strncmp(name, start, strlen(start)) == 0;
}

static void look_at(struct clv_layout *layout, const char *name)
{
    const char *blocks =
        layout->kind == CLV_LAYOUT_HUGGING_FACE ? "encoder.layers." : "transformer.resblocks.";
    const char *vision = after(name, layout->vision), *text = after(name, layout->text);
    const char *root = after(name, layout->root);
    count_block(&layout->vision_blocks, vision, blocks);
    count_block(&layout->temporal_blocks, vision, "transformer_t.resblocks.");
    count_block(&layout->text_blocks, text, blocks);
    if (starts(vision, "temporal_embedding"))
        layout->is_temporal = true;
    if ((vision || text) && strstr(name, ".message_"))
        layout->has_messages = true;
    if (starts(root, "mit.") || starts(root, "prompts_generator.") ||
        starts(root, "prompts_visual_"))
        layout->has_messages = true;
    if (((vision || text) && strstr(name, "VPT")) || starts(root, "prompt_learner.ctx"))
        layout->has_prompts = true;
}

static void settle(struct clv_layout *layout, const struct clv_checkpoint *checkpoint)
{
    struct clv_layout_source tokens;
    for (size_t i = 0; i < clv_checkpoint_count(checkpoint); i++)
        look_at(layout, clv_checkpoint_at(checkpoint, i)->name);
    layout->is_temporal = layout->is_temporal || layout->temporal_blocks > 0;
    clv_layout_source(&tokens, layout, checkpoint, "token_embedding.weight");
    layout->lacks_token_table = tokens.indices[0] == SIZE_MAX;
    if (layout->kind == CLV_LAYOUT_HUGGING_FACE)
        return;
    size_t vision_size = strlen(layout->vision), text_size = strlen(layout->text);
    if (ends_with(layout->vision, vision_size, "image_encoder."))
        layout->kind = CLV_LAYOUT_VIFI_CLIP;
    else if (layout->is_temporal)
        layout->kind = CLV_LAYOUT_CLAVER;
    else if (layout->has_messages)
        layout->kind = CLV_LAYOUT_X_CLIP;
    else if (ends_with(layout->text, text_size, "text."))
        layout->kind = CLV_LAYOUT_OPENCLIP;
}

int clv_layout_find(struct clv_layout *out, const struct clv_checkpoint *checkpoint)
{
    struct candidates all;
    *out = (struct clv_layout){0};
    int status = refuse(checkpoint);
    if (status != CLV_OK)
        return status;
    find_candidates(&all, checkpoint);
    const struct candidate *vision = choose(&all, true, NULL);
    const struct candidate *text = choose(&all, false, vision);
    if (!vision && !text)
        return clv_fail(CLV_EUNSUPPORTED,
                        "'%s' holds no CLIP: none of its tensors (%zu) is named as in a picture or "
                        "text tower of one (visual.conv1.weight, "
                        "vision_model.embeddings.patch_embedding.weight)",
                        clv_checkpoint_path(checkpoint), clv_checkpoint_count(checkpoint));
    status = set_prefixes(out, &all, vision, text);
    if (status == CLV_OK)
        settle(out, checkpoint);
    if (status == CLV_OK && vision && out->vision_blocks) {
        struct clv_layout_source source;
        clv_layout_source(&source, out, checkpoint, "visual.ln_pre.weight");
        if (source.indices[0] == SIZE_MAX)
            status = clv_fail(CLV_EUNSUPPORTED,
                              "'%s' is no CLIP that claverdb can run: its picture tower has no "
                              "'%.200s'",
                              clv_checkpoint_path(checkpoint), source.names[0]);
    }
    if (status != CLV_OK)
        clv_layout_release(out);
    return status;
}

void clv_layout_release(struct clv_layout *layout)
{
    free(layout->root);
    free(layout->vision);
    free(layout->text);
    free(layout->other);
    *layout = (struct clv_layout){0};
}

const char *clv_layout_name(enum clv_layout_kind kind)
{
    static const char *const names[] = {
        [CLV_LAYOUT_OPENAI] = "OpenAI",     [CLV_LAYOUT_CLAVER] = "CLAVER",
        [CLV_LAYOUT_OPENCLIP] = "OpenCLIP", [CLV_LAYOUT_VIFI_CLIP] = "ViFi-CLIP",
        [CLV_LAYOUT_X_CLIP] = "X-CLIP",     [CLV_LAYOUT_HUGGING_FACE] = "Hugging Face",
    };
    return names[kind];
}

/* ---- where a parameter comes from ---- */

static void look_up(struct clv_layout_source *out, const struct clv_checkpoint *checkpoint,
                    const char *prefix, const char *name)
{
    int part = out->part_count++;
    snprintf(out->names[part], sizeof out->names[part], "%s%s", prefix, name);
    out->indices[part] = clv_checkpoint_find(checkpoint, out->names[part]);
}

/* Hugging Face's names of the tensors outside of blocks. */
static const struct {
    const char *name;
    const char *theirs;
    enum { ROOT, VISION, TEXT } place;
    enum clv_layout_operation operation;
} singles[] = {
    {"positional_embedding", "embeddings.position_embedding.weight", TEXT, CLV_LAYOUT_COPY},
    {"text_projection", "text_projection.weight", ROOT, CLV_LAYOUT_TRANSPOSE},
    {"logit_scale", "logit_scale", ROOT, CLV_LAYOUT_COPY},
    {"visual.class_embedding", "embeddings.class_embedding", VISION, CLV_LAYOUT_COPY},
    {"visual.positional_embedding", "embeddings.position_embedding.weight", VISION,
     CLV_LAYOUT_COPY},
    {"visual.proj", "visual_projection.weight", ROOT, CLV_LAYOUT_TRANSPOSE},
    {"visual.conv1.weight", "embeddings.patch_embedding.weight", VISION, CLV_LAYOUT_COPY},
    {"visual.ln_pre.weight", "pre_layrnorm.weight", VISION, CLV_LAYOUT_COPY},
    {"visual.ln_pre.bias", "pre_layrnorm.bias", VISION, CLV_LAYOUT_COPY},
    {"visual.ln_post.weight", "post_layernorm.weight", VISION, CLV_LAYOUT_COPY},
    {"visual.ln_post.bias", "post_layernorm.bias", VISION, CLV_LAYOUT_COPY},
    {"token_embedding.weight", "embeddings.token_embedding.weight", TEXT, CLV_LAYOUT_COPY},
    {"ln_final.weight", "final_layer_norm.weight", TEXT, CLV_LAYOUT_COPY},
    {"ln_final.bias", "final_layer_norm.bias", TEXT, CLV_LAYOUT_COPY},
};

/* And of those of a block. "#" stands for q, k and v in turn. */
static const struct {
    const char *name;
    const char *theirs;
} blocks[] = {
    {"attn.in_proj_weight", "self_attn.#_proj.weight"},
    {"attn.in_proj_bias", "self_attn.#_proj.bias"},
    {"attn.out_proj.weight", "self_attn.out_proj.weight"},
    {"attn.out_proj.bias", "self_attn.out_proj.bias"},
    {"ln_1.weight", "layer_norm1.weight"},
    {"ln_1.bias", "layer_norm1.bias"},
    {"mlp.c_fc.weight", "mlp.fc1.weight"},
    {"mlp.c_fc.bias", "mlp.fc1.bias"},
    {"mlp.c_proj.weight", "mlp.fc2.weight"},
    {"mlp.c_proj.bias", "mlp.fc2.bias"},
    {"ln_2.weight", "layer_norm2.weight"},
    {"ln_2.bias", "layer_norm2.bias"},
};

static void hugging_face_block(struct clv_layout_source *out, const struct clv_layout *layout,
                               const struct clv_checkpoint *checkpoint, const char *name)
{
    const char *prefix = starts(name, "visual.") ? layout->vision : layout->text;
    const char *number = strstr(name, "resblocks.");
    const char *rest = number ? strchr(number += strlen("resblocks."), '.') : NULL;
    for (size_t i = 0; rest && i < sizeof blocks / sizeof blocks[0]; i++) {
        if (strcmp(rest + 1, blocks[i].name) != 0)
            continue;
        const char *mark = strchr(blocks[i].theirs, '#');
        out->operation = mark ? CLV_LAYOUT_JOIN : CLV_LAYOUT_COPY;
        for (int k = 0; k < (mark ? 3 : 1); k++) {
            char theirs[128];
            snprintf(theirs, sizeof theirs, "encoder.layers.%.*s.%s", (int)(rest - number), number,
                     blocks[i].theirs);
            if (mark)
                *strchr(theirs, '#') = "qkv"[k];
            look_up(out, checkpoint, prefix, theirs);
        }
    }
}

static void hugging_face(struct clv_layout_source *out, const struct clv_layout *layout,
                         const struct clv_checkpoint *checkpoint, const char *name)
{
    const char *const prefixes[] = {
        [ROOT] = layout->root, [VISION] = layout->vision, [TEXT] = layout->text};
    for (size_t i = 0; i < sizeof singles / sizeof singles[0]; i++)
        if (strcmp(name, singles[i].name) == 0) {
            out->operation = singles[i].operation;
            look_up(out, checkpoint, prefixes[singles[i].place], singles[i].theirs);
            return;
        }
    hugging_face_block(out, layout, checkpoint, name);
}

void clv_layout_source(struct clv_layout_source *out, const struct clv_layout *layout,
                       const struct clv_checkpoint *checkpoint, const char *param_name)
{
    out->operation = CLV_LAYOUT_COPY;
    out->part_count = 0;
    if (layout->kind == CLV_LAYOUT_HUGGING_FACE) {
        hugging_face(out, layout, checkpoint, param_name);
        /* What the scheme has no name for, such as temporal blocks, is missing under ours. */
        if (out->part_count == 0)
            look_up(out, checkpoint, layout->root, param_name);
        return;
    }
    const char *vision = after(param_name, "visual.");
    look_up(out, checkpoint, vision ? layout->vision : layout->text, vision ? vision : param_name);
    if (vision || out->indices[0] != SIZE_MAX)
        return;
    /* What a wrapper of the towers keeps to itself, as ViFi-CLIP does the scale. */
    struct clv_layout_source at_root = {.operation = CLV_LAYOUT_COPY};
    look_up(&at_root, checkpoint, layout->root, param_name);
    if (at_root.indices[0] != SIZE_MAX)
        *out = at_root;
}

/* ---- what no parameter comes from ---- */

static bool is_of_text(const char *name)
{
    return starts(name, "transformer.") || starts(name, "ln_final.") ||
           starts(name, "token_embedding.") || starts(name, "positional_embedding") ||
           starts(name, "text_projection");
}

enum clv_layout_rest clv_layout_rest(const struct clv_layout *layout, const char *name)
{
    static const char *const silent[] = {"position_ids", "attn_mask", "input_resolution",
                                         "context_length", "vocab_size"};
    const size_t size = strlen(name);
    if (starts(name, CLV_WEIGHTS_VOCABULARY))
        return CLV_REST_SILENT;
    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++)
        if (ends_with(name, size, silent[i]))
            return CLV_REST_SILENT;
    const char *vision = after(name, layout->vision), *text = after(name, layout->text);
    bool is_inside =
        vision || (layout->kind == CLV_LAYOUT_HUGGING_FACE ? text != NULL : is_of_text(text));
    if (!is_inside)
        return CLV_REST_OUTSIDE;
    return strstr(name, ".message_") || strstr(name, "VPT") ? CLV_REST_KNOWN : CLV_REST_SURPLUS;
}
