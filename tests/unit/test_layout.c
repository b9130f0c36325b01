/* Which layouts are recognised, what of them makes a parameter, and what is refused by name; the
 * configuration files beside them. */
#include "core/model/layout.h"

#include "core/error.h"
#include "core/model/layout_config.h"
#include "tests/t.h"

#include <stdio.h>
#include <string.h>

static const char *directory;

struct named {
    const char *name;
    int dimension_count;
};

/* A checkpoint of tensors of one element in each of so many dimensions; NULL after a failure. */
static struct clv_checkpoint *checkpoint_of(const struct named *tensors, size_t count)
{
    struct clv_weight_entry entries[32];
    static const float one = 1;
    struct clv_checkpoint *checkpoint = NULL;
    const char *path = t_path(directory, "layout.safetensors");
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct clv_weight_entry){.name = tensors[i].name,
                                               .dtype = CLV_F32,
                                               .dimension_count = tensors[i].dimension_count,
                                               .shape = {1, 1, 1, 1},
                                               .element_count = 1,
                                               .size_bytes = 4,
                                               .data = &one};
    }
    if (clv_weights_save(path, entries, count, NULL, 0) != CLV_OK ||
        clv_checkpoint_open(&checkpoint, path) != CLV_OK)
        t_fail(__FILE__, __LINE__, "%s", clv_error_message());
    return checkpoint;
}

static const char *first_name(const struct clv_layout *layout,
                              const struct clv_checkpoint *checkpoint, const char *param)
{
    static struct clv_layout_source source;
    clv_layout_source(&source, layout, checkpoint, param);
    CHECK(source.indices[0] != SIZE_MAX);
    return source.names[0];
}

/* OpenAI's naming under every prefix people have. */
static void prefixes_are_found(void)
{
    static const struct {
        const char *vision, *text, *root;
        enum clv_layout_kind kind;
    } cases[] = {
        {"visual.", "", "", CLV_LAYOUT_OPENAI},
        {"model.visual.", "model.", "model.", CLV_LAYOUT_OPENAI},
        {"state_dict.module.visual.", "state_dict.module.", "state_dict.module.",
         CLV_LAYOUT_OPENAI},
        {"model.clip_model.visual.", "model.clip_model.", "model.clip_model.", CLV_LAYOUT_OPENAI},
        {"visual.", "text.", "", CLV_LAYOUT_OPENCLIP},
        {"model.module.image_encoder.", "model.module.text_encoder.", "model.module.",
         CLV_LAYOUT_VIFI_CLIP},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char names[9][128];
        const char *const vision[] = {"class_embedding", "conv1.weight", "ln_pre.weight",
                                      "transformer.resblocks.11.ln_1.weight"};
        const char *const text[] = {"ln_final.weight", "text_projection", "token_embedding.weight",
                                    "transformer.resblocks.7.ln_1.weight"};
        const int vision_dimensions[] = {1, 4, 1, 1}, text_dimensions[] = {1, 2, 2, 1};
        struct named tensors[9];
        struct clv_layout layout;
        for (int k = 0; k < 4; k++) {
            snprintf(names[k], sizeof names[k], "%s%s", cases[i].vision, vision[k]);
            snprintf(names[4 + k], sizeof names[k], "%s%s", cases[i].text, text[k]);
            tensors[k] = (struct named){names[k], vision_dimensions[k]};
            tensors[4 + k] = (struct named){names[4 + k], text_dimensions[k]};
        }
        snprintf(names[8], sizeof names[8], "%slogit_scale", cases[i].root);
        tensors[8] = (struct named){names[8], 0};
        struct clv_checkpoint *checkpoint = checkpoint_of(tensors, 9);
        REQUIRE(checkpoint != NULL);
        REQUIRE_OK(clv_layout_find(&layout, checkpoint));
        CHECK_INT(layout.kind, cases[i].kind);
        CHECK_STRING(layout.vision, cases[i].vision);
        CHECK_STRING(layout.text, cases[i].text);
        CHECK_STRING(layout.root, cases[i].root);
        CHECK_INT(layout.vision_blocks, 12);
        CHECK_INT(layout.text_blocks, 8);
        CHECK(!layout.lacks_token_table && !layout.is_temporal);
        CHECK_STRING(first_name(&layout, checkpoint, "logit_scale"), names[8]);
        CHECK_STRING(first_name(&layout, checkpoint, "visual.conv1.weight"), names[1]);
        CHECK_STRING(first_name(&layout, checkpoint, "text_projection"), names[5]);
        clv_layout_release(&layout);
        clv_checkpoint_close(checkpoint);
    }
}

static void hugging_face_is_mapped(void)
{
    static const struct named tensors[] = {
        {"vision_model.embeddings.class_embedding", 1},
        {"vision_model.embeddings.patch_embedding.weight", 4},
        {"vision_model.pre_layrnorm.weight", 1},
        {"vision_model.encoder.layers.0.self_attn.q_proj.weight", 2},
        {"vision_model.encoder.layers.0.self_attn.v_proj.weight", 2},
        {"text_model.embeddings.token_embedding.weight", 2},
        {"text_model.final_layer_norm.weight", 1},
        {"visual_projection.weight", 2},
    };
    struct clv_layout layout;
    struct clv_layout_source source;
    struct clv_checkpoint *checkpoint = checkpoint_of(tensors, 8);
    REQUIRE(checkpoint != NULL);
    REQUIRE_OK(clv_layout_find(&layout, checkpoint));
    CHECK_INT(layout.kind, CLV_LAYOUT_HUGGING_FACE);
    clv_layout_source(&source, &layout, checkpoint, "visual.proj");
    CHECK_INT(source.operation, CLV_LAYOUT_TRANSPOSE);
    CHECK_STRING(source.names[0], "visual_projection.weight");
    clv_layout_source(&source, &layout, checkpoint,
                      "visual.transformer.resblocks.0.attn.in_proj_weight");
    CHECK_INT(source.operation, CLV_LAYOUT_JOIN);
    REQUIRE(source.part_count == 3);
    CHECK_STRING(source.names[1], "vision_model.encoder.layers.0.self_attn.k_proj.weight");
    CHECK(source.indices[0] != SIZE_MAX && source.indices[1] == SIZE_MAX &&
          source.indices[2] != SIZE_MAX);
    CHECK_INT(clv_layout_rest(&layout, "text_model.embeddings.position_ids"), CLV_REST_SILENT);
    CHECK_INT(clv_layout_rest(&layout, "text_model.encoder.layers.0.adapter"), CLV_REST_SURPLUS);
    CHECK_INT(clv_layout_rest(&layout, "vision_model.encoder.layers.0.message_fc.weight"),
              CLV_REST_KNOWN);
    CHECK_INT(clv_layout_rest(&layout, "mit.positional_embedding"), CLV_REST_OUTSIDE);
    clv_layout_release(&layout);
    clv_checkpoint_close(checkpoint);
}

static void other_models_are_refused_by_name(void)
{
    static const struct {
        const char *tensor, *what;
    } cases[] = {
        {"visual.layer1.0.conv1.weight", "its picture tower is a ResNet"},
        {"visual.trunk.blocks.0.norm1.weight", "comes from timm"},
        {"visual.attn_pool.query", "by attention"},
        {"visual.transformer.resblocks.0.ls_1.gamma", "it scales its layers"},
        {"text.transformer.embeddings.word_embeddings.weight", "another language model"},
        {"logit_bias", "SigLIP"},
        {"text_decoder.ln_final.weight", "CoCa"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct named tensors[] = {{"visual.class_embedding", 1},
                                        {"visual.ln_pre.weight", 1},
                                        {"ln_final.weight", 1},
                                        {"text_projection", 2},
                                        {cases[i].tensor, 1}};
        struct clv_layout layout;
        struct clv_checkpoint *checkpoint = checkpoint_of(tensors, 5);
        REQUIRE(checkpoint != NULL);
        CHECK_ERROR(clv_layout_find(&layout, checkpoint), CLV_EUNSUPPORTED, cases[i].what);
        CHECK(strstr(clv_error_message(), cases[i].tensor) != NULL);
        CHECK(layout.root == NULL);
        clv_checkpoint_close(checkpoint);
    }
    static const struct named other[] = {{"conv1.weight", 4}, {"fc.bias", 1}};
    static const struct named bare[] = {{"visual.class_embedding", 1},
                                        {"visual.conv1.weight", 4},
                                        {"visual.transformer.resblocks.0.ln_1.bias", 1}};
    struct clv_layout layout;
    struct clv_checkpoint *checkpoint = checkpoint_of(other, 2);
    REQUIRE(checkpoint != NULL);
    CHECK_ERROR(clv_layout_find(&layout, checkpoint), CLV_EUNSUPPORTED, "holds no CLIP");
    clv_checkpoint_close(checkpoint);
    checkpoint = checkpoint_of(bare, 3);
    REQUIRE(checkpoint != NULL);
    CHECK_ERROR(clv_layout_find(&layout, checkpoint), CLV_EUNSUPPORTED,
                "has no 'visual.ln_pre.weight'");
    clv_checkpoint_close(checkpoint);
}

/* ---- configuration files ---- */

static int hugging_face(struct clv_layout_config *out, const char *text)
{
    *out = (struct clv_layout_config){0};
    return clv_layout_config_hugging_face(out, text, strlen(text), "config.json");
}

static int preprocessor(struct clv_layout_config *out, const char *text)
{
    *out = (struct clv_layout_config){0};
    return clv_layout_config_preprocessor(out, text, strlen(text), "preprocessor_config.json");
}

static int open_clip(struct clv_layout_config *out, const char *text)
{
    *out = (struct clv_layout_config){0};
    return clv_layout_config_open_clip(out, text, strlen(text), "open_clip_config.json");
}

static void hugging_face_configs_are_read(void)
{
    struct clv_layout_config said;
    REQUIRE_OK(hugging_face(&said, "{\"model_type\":\"clip\",\"projection_dim\":768,"
                                   "\"vision_config\":{\"hidden_act\":\"gelu\",\"hidden_size\":"
                                   "1280,\"num_attention_heads\":16,\"patch_size\":14},"
                                   "\"text_config\":{\"hidden_act\":\"gelu\"}}"));
    CHECK_STRING(said.activation, "gelu");
    CHECK_INT(said.vision.heads, 16);
    CHECK_INT(said.vision.width, 1280);
    CHECK_INT(said.text.heads, 8); /* what is left out is the library's default */
    CHECK_INT(said.patch_side, 14);
    CHECK_INT(said.image_side, 224);
    CHECK_INT(said.embed_dim, 768);
    CHECK_ERROR(hugging_face(&said, "{\"model_type\":\"siglip\"}"), CLV_EUNSUPPORTED, "'siglip'");
    CHECK_ERROR(hugging_face(&said, "{}"), CLV_ECORRUPT, "model_type");
    CHECK_ERROR(hugging_face(&said, "[]"), CLV_ECORRUPT, "not a JSON object");
    CHECK_ERROR(hugging_face(&said, "{\"model_type\":\"clip\",\"text_config\":"
                                    "{\"layer_norm_eps\":1e-6}}"),
                CLV_EUNSUPPORTED, "epsilon of 1e-06");
    CHECK_ERROR(hugging_face(&said, "{\"model_type\":\"clip\",\"text_config\":"
                                    "{\"hidden_act\":\"gelu\"}}"),
                CLV_EUNSUPPORTED, "two activations");
    CHECK_ERROR(hugging_face(&said, "{\"model_type\":\"clip\",\"vision_config\":"
                                    "{\"hidden_act\":\"gelu_new\"}}"),
                CLV_EUNSUPPORTED, "'gelu_new'");
}

static void preprocessors_are_read(void)
{
    struct clv_layout_config said;
    REQUIRE_OK(preprocessor(&said,
                            "{\"size\":{\"shortest_edge\":336},\"crop_size\":{\"height\":"
                            "336,\"width\":336},\"resample\":3,\"image_mean\":[0.5,0.25,1]}"));
    CHECK_INT(said.pixel_side, 336);
    CHECK_STRING(said.obstacle, "");
    CHECK(said.has_mean && !said.has_std);
    CHECK_NEAR(said.pixel_mean[1], 0.25, 0);
    CHECK_STRING(said.resize, "bicubic");
    REQUIRE_OK(preprocessor(&said, "{\"size\":224,\"crop_size\":224,\"resample\":2}"));
    CHECK_STRING(said.obstacle, "resizes pictures by the filter 'bilinear'");
    REQUIRE_OK(preprocessor(&said, "{\"size\":256,\"crop_size\":224}"));
    CHECK_STRING(said.obstacle, "resizes pictures to 256 pixels and crops 224");
    REQUIRE_OK(preprocessor(&said, "{\"size\":{\"height\":224,\"width\":224}}"));
    CHECK_STRING(said.obstacle, "does not resize the shortest edge of pictures");
    CHECK_ERROR(preprocessor(&said, "{\"image_std\":[1,2]}"), CLV_ECORRUPT, "image_std");
}

static void open_clip_configs_are_read(void)
{
    struct clv_layout_config said;
    REQUIRE_OK(open_clip(&said, "{\"model_cfg\":{\"embed_dim\":1024,\"vision_cfg\":{\"width\":1280,"
                                "\"head_width\":80,\"patch_size\":[14,14],\"pool_type\":\"tok\"},"
                                "\"text_cfg\":{\"heads\":16,\"pool_type\":\"argmax\"}},"
                                "\"preprocess_cfg\":{\"mean\":[0,0,0],\"std\":[1,1,1]}}"));
    CHECK_STRING(said.activation, "gelu"); /* quick_gelu is not there */
    CHECK_INT(said.vision.head_width, 80);
    CHECK_INT(said.text.heads, 16);
    CHECK_INT(said.patch_side, 14);
    CHECK(said.has_mean && said.has_std && !said.obstacle[0]);
    REQUIRE_OK(open_clip(&said, "{\"quick_gelu\":true,\"vision_cfg\":{},\"text_cfg\":{}}"));
    CHECK_STRING(said.activation, "quick_gelu");
    REQUIRE_OK(open_clip(&said, "{\"model_cfg\":{\"vision_cfg\":{},\"text_cfg\":{}},"
                                "\"preprocess_cfg\":{\"resize_mode\":\"squash\"}}"));
    CHECK_STRING(said.obstacle, "resizes pictures in the mode 'squash'");
    CHECK_ERROR(open_clip(&said, "{\"model_cfg\":{}}"), CLV_ECORRUPT, "no vision_cfg");
    static const struct {
        const char *vision, *text, *what;
    } refused[] = {
        {"\"timm_model_name\":\"vit_base\"", "", "timm"},
        {"\"layers\":[3,4,6,3]", "", "ResNet"},
        {"\"attentional_pool\":true", "", "by attention"},
        {"\"pool_type\":\"avg\"", "", "pool_type avg"},
        {"\"no_ln_pre\":true", "", "no ln_pre"},
        {"\"ls_init_value\":0.1", "", "ls_init_value"},
        {"\"norm_kwargs\":{\"eps\":1e-6}", "", "epsilon"},
        {"", "\"hf_model_name\":\"roberta-base\"", "roberta-base"},
        {"", "\"embed_cls\":true", "CoCa"},
        {"", "\"pool_type\":\"last\"", "pool_type last"},
        {"", "\"no_causal_mask\":true", "looks ahead"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"model_cfg\":{\"vision_cfg\":{%s},\"text_cfg\":{%s}}}",
                 refused[i].vision, refused[i].text);
        CHECK_ERROR(open_clip(&said, text), CLV_EUNSUPPORTED, refused[i].what);
    }
}

int main(void)
{
    directory = t_directory();
    T_RUN(prefixes_are_found);
    T_RUN(hugging_face_is_mapped);
    T_RUN(other_models_are_refused_by_name);
    T_RUN(hugging_face_configs_are_read);
    T_RUN(preprocessors_are_read);
    T_RUN(open_clip_configs_are_read);
    return t_end();
}
