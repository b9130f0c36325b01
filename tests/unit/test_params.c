/* The parameter table: counts, names and flags; and the work counted from the same sizes. */
#include "core/model/params.h"

#include "core/error.h"
#include "core/model/model.h"
#include "core/model/weights.h"
#include "tests/model/random_model.h"
#include "tests/t.h"

#include <string.h>

static struct clv_params params_of(const char *arch, int frames, bool is_clip)
{
    struct clv_model_config config;
    struct clv_params params = {0};
    if (!random_model_arch(&config, arch, frames, CLV_MASK_KMT, is_clip) ||
        clv_params_init(&params, &config) != CLV_OK)
        t_fail(__FILE__, __LINE__, "no table of %s", arch);
    return params;
}

/* claver.md 1.5 and 5.3 */
static void published_models_have_their_counts(void)
{
    static const struct {
        const char *arch;
        int frames;
        bool is_clip;
        int64_t tensors, elements;
    } cases[] = {
        {"vit-b-32", 8, false, 351, 179634945},  {"vit-b-16", 8, false, 351, 177978369},
        {"vit-b-16", 16, false, 351, 177984513}, {"vit-b-16", 32, false, 351, 177996801},
        {"vit-l-14", 8, false, 543, 528394497},  {"vit-b-32", 8, true, 302, 151277313},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct clv_params params = params_of(cases[i].arch, cases[i].frames, cases[i].is_clip);
        CHECK_INT(params.count, cases[i].tensors);
        CHECK_INT(params.element_count, cases[i].elements);
        clv_params_release(&params);
    }
}

static void names_are_the_published_ones(void)
{
    struct clv_params params = params_of("vit-b-32", 8, false);
    static const struct {
        const char *name;
        int64_t shape[4];
        int dimension_count;
        bool decays, temporal;
        enum clv_param_branch branch;
    } cases[] = {
        {"positional_embedding", {77, 512}, 2, false, false, CLV_BRANCH_TEXT},
        {"logit_scale", {0}, 0, false, false, CLV_BRANCH_TEXT},
        {"visual.class_embedding", {768}, 1, false, false, CLV_BRANCH_VISION},
        {"visual.positional_embedding", {50, 768}, 2, false, false, CLV_BRANCH_VISION},
        {"visual.temporal_embedding", {1, 8, 768}, 3, true, true, CLV_BRANCH_TEMPORAL},
        {"visual.proj", {768, 512}, 2, true, false, CLV_BRANCH_VISION},
        {"visual.conv1.weight", {768, 3, 32, 32}, 4, true, false, CLV_BRANCH_VISION},
        {"visual.transformer.resblocks.11.attn.in_proj_weight",
         {2304, 768},
         2,
         true,
         false,
         CLV_BRANCH_VISION},
        {"visual.transformer_t.resblocks.3.temporal_mlp.c_proj.weight",
         {768, 3072},
         2,
         true,
         true,
         CLV_BRANCH_TEMPORAL},
        {"visual.transformer_t.resblocks.0.temporal_attn.out_proj.bias",
         {768},
         1,
         false,
         true,
         CLV_BRANCH_TEMPORAL},
        {"transformer.resblocks.11.ln_2.weight", {512}, 1, false, false, CLV_BRANCH_TEXT},
        {"token_embedding.weight", {49408, 512}, 2, true, false, CLV_BRANCH_TEXT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct clv_param *param = clv_params_find(&params, cases[i].name);
        REQUIRE(param != NULL);
        CHECK_INT(param->dimension_count, cases[i].dimension_count);
        for (int k = 0; k < param->dimension_count; k++)
            CHECK_INT(param->shape[k], cases[i].shape[k]);
        CHECK_INT(param->decays, cases[i].decays);
        CHECK_INT(param->temporal, cases[i].temporal);
        CHECK_INT(param->branch, cases[i].branch);
        CHECK(param->trainable);
    }
    CHECK(clv_params_find(&params, "visual.transformer.resblocks.12.ln_1.bias") == NULL);
    clv_params_release(&params);
    params = params_of("vit-b-32", 8, true);
    CHECK(clv_params_find(&params, "visual.temporal_embedding") == NULL);
    CHECK_INT(params.single[CLV_PARAM_TEMPORAL_EMBEDDING], -1);
    clv_params_release(&params);
}

/* The table indexes itself: every single and the first of every tower's blocks. */
static void indices_point_at_their_tensors(void)
{
    static const char *const names[CLV_PARAM_SINGLE_COUNT] = {
        [CLV_PARAM_POSITION] = "positional_embedding",
        [CLV_PARAM_TEXT_PROJECTION] = "text_projection",
        [CLV_PARAM_LOGIT_SCALE] = "logit_scale",
        [CLV_PARAM_CLASS_EMBEDDING] = "visual.class_embedding",
        [CLV_PARAM_FRAME_POSITION] = "visual.positional_embedding",
        [CLV_PARAM_TEMPORAL_EMBEDDING] = "visual.temporal_embedding",
        [CLV_PARAM_VISION_PROJECTION] = "visual.proj",
        [CLV_PARAM_CONV1] = "visual.conv1.weight",
        [CLV_PARAM_LN_PRE_WEIGHT] = "visual.ln_pre.weight",
        [CLV_PARAM_LN_PRE_BIAS] = "visual.ln_pre.bias",
        [CLV_PARAM_LN_POST_WEIGHT] = "visual.ln_post.weight",
        [CLV_PARAM_LN_POST_BIAS] = "visual.ln_post.bias",
        [CLV_PARAM_TOKEN_EMBEDDING] = "token_embedding.weight",
        [CLV_PARAM_LN_FINAL_WEIGHT] = "ln_final.weight",
        [CLV_PARAM_LN_FINAL_BIAS] = "ln_final.bias",
    };
    struct clv_params params = params_of("tiny", 4, false);
    for (int i = 0; i < CLV_PARAM_SINGLE_COUNT; i++)
        CHECK_STRING(params.items[params.single[i]].name, names[i]);
    CHECK_STRING(params.items[params.vision_blocks + CLV_PARAM_BLOCK_COUNT].name,
                 "visual.transformer.resblocks.1.attn.in_proj_weight");
    CHECK_STRING(params.items[params.temporal_blocks + CLV_PARAM_LN_2_BIAS].name,
                 "visual.transformer_t.resblocks.0.temporal_ln_2.bias");
    CHECK_STRING(params.items[params.text_blocks + CLV_PARAM_FC_WEIGHT].name,
                 "transformer.resblocks.0.mlp.c_fc.weight");
    clv_params_release(&params);
}

/* claver.md 1.5: GMACs of 8 frames, of a window by exact pairs with class rows only in the last
 * block, and of one text of 77 tokens (there with all rows of the last block). */
static void work_is_counted_as_published(void)
{
    static const struct {
        const char *arch;
        int frames;
        double spatial, temporal;
    } cases[] = {
        {"vit-b-32", 8, 35.3, 9.7},
        {"vit-b-32", 16, 70.5, 20.8},
        {"vit-b-16", 8, 140.5, 45.4},
        {"vit-l-14", 8, 648.1, 238.6},
    };
    const char *path = t_path(t_directory(), "hollow.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct clv_model model = {0};
        struct clv_model_facts facts;
        REQUIRE(
            random_model_arch(&model.config, cases[i].arch, cases[i].frames, CLV_MASK_KMT, false));
        REQUIRE_OK(random_model_write(path, &model.config,
                                      &(struct random_model_options){.is_hollow = true}));
        REQUIRE_OK(clv_weights_open(&model.weights, path));
        CHECK_OK(clv_model_facts(&facts, &model));
        CHECK_NEAR(cases[i].frames * facts.frame_gmacs, cases[i].spatial, 0.06);
        CHECK_NEAR(facts.window_gmacs, cases[i].temporal, 0.06);
        CHECK_STRING(facts.mask, "KMT");
        CHECK_STRING(facts.dtype, "f32");
        CHECK_INT(facts.ignored_tensor_count, 0);
        CHECK_INT(facts.vision_parameter_count + facts.temporal_parameter_count +
                      facts.text_parameter_count,
                  facts.parameter_count);
        if (i == 0) {
            CHECK_INT(facts.parameter_count, 179634945);
            CHECK_INT(facts.temporal_parameter_count, 28357632);
            CHECK_NEAR(facts.text_gmacs, 2.8, 0.06);
        }
        clv_weights_close(model.weights);
    }
}

int main(void)
{
    T_RUN(published_models_have_their_counts);
    T_RUN(names_are_the_published_ones);
    T_RUN(indices_point_at_their_tensors);
    T_RUN(work_is_counted_as_published);
    return t_end();
}
