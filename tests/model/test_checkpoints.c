/* Every layout and form under tests/data/checkpoints (written by PyTorch, transformers and
 * open_clip, see make_checkpoints.py): imported, and compared with what its framework computed. */
#include "core/error.h"
#include "core/model/compare.h"
#include "core/model/import.h"
#include "core/model/model.h"
#include "core/model/weights.h"
#include "tests/devices.h"
#include "tests/t.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA "tests/data/checkpoints/"
/* Our single precision against float64; about 2e-6 is what it comes to. */
#define LIMIT 1e-5

static struct clv_device *device;
static const char *directory;

struct fixture {
    const char *folder, *file;
    const char *layout;            /* as the import reports it; NULL: not looked at */
    const char *base;              /* a file of the folder that lends tensors */
    const char *mask, *activation; /* of the facts */
    int vision_heads, text_heads;
    int vision_mlp, text_mlp;
    bool has_vocabulary;
};

static const struct fixture fixtures[] = {
    {"openai", "model.pt", "OpenAI", NULL, "none", "quick_gelu", 1, 1, 64, 32, true},
    {"claver_kmt", "best.pth", "CLAVER", NULL, "KMT", "quick_gelu", 1, 1, 32, 32, false},
    {"claver_kmct", "best.pth", "CLAVER", NULL, "KMCT", "quick_gelu", 1, 1, 32, 32, false},
    {"vificlip", "best.pth", "ViFi-CLIP", "base.pt", "none", "quick_gelu", 1, 1, 32, 32, false},
    {"xclip_trainer", "best.pth", NULL, NULL, "none", "quick_gelu", 1, 1, 32, 32, false},
    {"hf_safetensors", "", "Hugging Face", NULL, "none", "quick_gelu", 3, 2, 50, 20, true},
    {"hf_safetensors", "model.safetensors", "Hugging Face", NULL, "none", "quick_gelu", 3, 2, 50,
     20, true},
    {"hf_bin", "", "Hugging Face", NULL, "none", "gelu", 4, 4, 50, 20, true},
    {"hf_sharded", "", "Hugging Face", NULL, "none", "quick_gelu", 12, 8, 50, 20, true},
    {"hf_sharded_bin", "", "Hugging Face", NULL, "none", "gelu", 2, 1, 50, 20, true},
    {"openclip_bin", "", "OpenCLIP", NULL, "none", "gelu", 3, 2, 118, 32, true},
    {"openclip_bin", "open_clip_pytorch_model.bin", "OpenCLIP", NULL, "none", "gelu", 3, 2, 118, 32,
     true},
    {"openclip_safetensors", "", "OpenCLIP", NULL, "none", "quick_gelu", 4, 1, 64, 32, true},
    {"openclip_custom", "", "OpenCLIP", NULL, "none", "gelu", 2, 2, 48, 32, true},
};
#define FIXTURE_COUNT (sizeof fixtures / sizeof fixtures[0])

static const char *data_path(const char *folder, const char *file)
{
    static char path[2][4096];
    static int which;
    which = !which;
    snprintf(path[which], sizeof path[which], DATA "%s%s%s", folder, *file ? "/" : "", file);
    return path[which];
}

static void show(const struct clv_compare_line *line, void *payload)
{
    if (line->is_compared && !line->is_within)
        t_fail(__FILE__, __LINE__, "%s: %s is off by %g", (const char *)payload, line->name,
               line->error);
}

static void check_numbers(const struct clv_model *model, const char *folder)
{
    struct clv_compare_result result;
    REQUIRE_OK(clv_compare_run(&result, model, device, data_path(folder, "expect.safetensors"),
                               LIMIT, show, (void *)folder));
    CHECK_INT(result.compared_count, 6);
    CHECK(result.is_within);
    /* A test that fails where nothing was computed. */
    CHECK(result.error_max > 0);
}

/* The vocabulary in the imported file makes the ids that the framework's tokenizer made. */
static void check_texts(const struct clv_model *model, const char *folder)
{
    struct clv_weights *expect = NULL;
    int32_t want[64], got[64];
    REQUIRE(model->tokenizer != NULL);
    REQUIRE_OK(clv_weights_open(&expect, data_path(folder, "expect.safetensors")));
    const struct clv_weight_entry *tokens = clv_weights_find(expect, "input_tokens");
    const char *text = clv_weights_metadata(expect, "texts");
    const int length = model->config.context_length;
    REQUIRE(tokens && text && tokens->dtype == CLV_I32 && length <= 64);
    size_t count = tokens->element_count / (size_t)length, used = 0;
    for (size_t i = 0; i < count; i++) {
        char line[256];
        int got_count = 0;
        size_t size = strcspn(text + used, "\n");
        snprintf(line, sizeof line, "%.*s", (int)size, text + used);
        used += size + (text[used + size] != 0);
        memset(got, 0, sizeof got);
        REQUIRE_OK(clv_tokenizer_encode(model->tokenizer, got, &got_count, NULL, line, length));
        memset(got + got_count, 0, (size_t)(64 - got_count) * sizeof *got);
        memcpy(want, (const char *)tokens->data + i * (size_t)length * sizeof *want,
               (size_t)length * sizeof *want);
        for (int k = 0; k < length; k++)
            if (got[k] != want[k])
                t_fail(__FILE__, __LINE__, "%s: id %d of '%s' is %d instead of %d", folder, k, line,
                       got[k], want[k]);
    }
    CHECK_INT(count, 6);
    clv_weights_close(expect);
}

static void check_facts(const struct clv_model *model, const struct fixture *fixture)
{
    struct clv_model_facts facts;
    REQUIRE_OK(clv_model_facts(&facts, model));
    CHECK_STRING(facts.mask, fixture->mask);
    CHECK_STRING(facts.activation, fixture->activation);
    CHECK_INT(facts.ignored_tensor_count, 0);
    CHECK_INT(model->config.vision.head_count, fixture->vision_heads);
    CHECK_INT(model->config.text.head_count, fixture->text_heads);
    CHECK_INT(model->config.vision.mlp_width, fixture->vision_mlp);
    CHECK_INT(model->config.text.mlp_width, fixture->text_mlp);
}

static void check_fixture(const struct fixture *fixture)
{
    struct clv_import_report report = {0};
    struct clv_import_options options = {0};
    struct clv_model model;
    char base[4096];
    const char *path = t_path(directory, "model.safetensors");
    if (fixture->base) {
        snprintf(base, sizeof base, "%s", data_path(fixture->folder, fixture->base));
        options.base_path = base;
    }
    REQUIRE_OK(clv_import(data_path(fixture->folder, fixture->file), path, &options, &report));
    if (fixture->layout)
        CHECK_STRING(report.layout, fixture->layout);
    CHECK_INT(report.has_vocabulary, fixture->has_vocabulary);
    clv_import_report_release(&report);
    REQUIRE_OK(clv_model_open(&model, path, NULL));
    check_facts(&model, fixture);
    check_numbers(&model, fixture->folder);
    if (fixture->has_vocabulary)
        check_texts(&model, fixture->folder);
    clv_model_release(&model);
}

static void a_layout_gives_what_its_framework_computes(void)
{
    for (size_t i = 0; i < FIXTURE_COUNT; i++) {
        bool failed = t_failed();
        check_fixture(&fixtures[i]);
        if (t_failed() && !failed)
            t_fail(__FILE__, __LINE__, "in %s", data_path(fixtures[i].folder, fixtures[i].file));
    }
}

/* ---- one state dict in many forms ------------------------------------------------------------ */

static struct clv_weights *import_form(const char *file, int *ignored_count_out)
{
    struct clv_weights *weights = NULL;
    struct clv_import_report report = {0};
    const char *path = t_path(directory, file);
    if (clv_import(data_path("forms", file), path, NULL, &report) != CLV_OK ||
        clv_weights_open(&weights, path) != CLV_OK)
        t_fail(__FILE__, __LINE__, "%s: %s", file, clv_error_message());
    *ignored_count_out = report.ignored_count;
    clv_import_report_release(&report);
    return weights;
}

/* The same tensors: of the same bytes, or where `dtype` is another one, of the same values. */
static void check_same(const char *file, const struct clv_weights *got,
                       const struct clv_weights *want, enum clv_dtype dtype)
{
    CHECK_INT(clv_weights_count(got), clv_weights_count(want));
    for (size_t i = 0; i < clv_weights_count(want); i++) {
        const struct clv_weight_entry *w = clv_weights_at(want, i);
        const struct clv_weight_entry *g = clv_weights_find(got, w->name);
        bool is_same = g && g->dtype == dtype && g->element_count == w->element_count &&
                       g->dimension_count == w->dimension_count &&
                       memcmp(g->shape, w->shape, sizeof w->shape) == 0;
        if (is_same && dtype == CLV_F32)
            is_same = memcmp(g->data, w->data, w->size_bytes) == 0;
        if (is_same) {
            float *a = calloc(w->element_count, sizeof *a),
                  *b = calloc(w->element_count, sizeof *b);
            is_same = a && b && clv_weights_read(a, g) == CLV_OK &&
                      clv_weights_read(b, w) == CLV_OK &&
                      memcmp(a, b, w->element_count * sizeof *a) == 0;
            free(a);
            free(b);
        }
        if (!is_same)
            t_fail(__FILE__, __LINE__, "%s: '%s' differs", file, w->name);
    }
}

static void forms_of_one_state_dict_are_one_model(void)
{
    static const struct {
        const char *file;
        enum clv_dtype dtype;
    } forms[] = {
        {"zip.pt", CLV_F32},          {"zip_views.pt", CLV_F32},  {"zip_parameters.pt", CLV_F32},
        {"zip_module.pt", CLV_F32},   {"zip_nested.pt", CLV_F32}, {"zip_protocol4.pt", CLV_F32},
        {"zip_deflated.pt", CLV_F32}, {"legacy.pt", CLV_F32},     {"legacy_views.pt", CLV_F32},
        {"zip_f64.pt", CLV_F64},      {"zip_f16.pt", CLV_F16},    {"zip_bf16.pt", CLV_BF16},
        {"legacy_bf16.pt", CLV_BF16},
    };
    int ignored_count;
    struct clv_weights *want = import_form(forms[0].file, &ignored_count);
    REQUIRE(want != NULL);
    CHECK_INT(clv_weights_count(want), 38);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct clv_weights *got = import_form(forms[i].file, &ignored_count);
        struct clv_model model;
        if (!got)
            continue;
        check_same(forms[i].file, got, want, forms[i].dtype);
        CHECK_INT(ignored_count, 0);
        clv_weights_close(got);
        REQUIRE_OK(clv_model_open(&model, t_path(directory, forms[i].file), NULL));
        check_numbers(&model, "forms");
        clv_model_release(&model);
    }
    clv_weights_close(want);
}

/* ---- what is refused, and what is said ------------------------------------------------------- */

static void what_was_left_out_is_said(void)
{
    struct clv_import_report report = {0};
    const char *path = t_path(directory, "said.safetensors");
    REQUIRE_OK(clv_import(data_path("claver_kmt", "best.pth"), path, NULL, &report));
    CHECK(report.ignored_count >= 10);
    REQUIRE(report.notes.data != NULL);
    CHECK(strstr(report.notes.data, "V2T") != NULL);
    CHECK(strstr(report.notes.data, "optimi") != NULL);
    clv_import_report_release(&report);
}

static void a_lent_tensor_is_asked_for(void)
{
    const char *path = t_path(directory, "lent.safetensors");
    CHECK_ERROR(clv_import(data_path("vificlip", "best.pth"), path, NULL, NULL), CLV_ECORRUPT,
                "token_embedding.weight");
    struct clv_weights *weights = NULL;
    CHECK(clv_weights_open(&weights, path) != CLV_OK);
}

/* X-CLIP's own model: its picture tower without what it adds, and a sentence about that. */
static void what_another_model_adds_is_said(void)
{
    struct clv_import_report report = {0};
    const char *path = t_path(directory, "other.safetensors");
    REQUIRE_OK(clv_import(data_path("xclip_trainer", "xclip.pth"), path, NULL, &report));
    CHECK_STRING(report.layout, "X-CLIP");
    REQUIRE(report.notes.data != NULL);
    CHECK(strstr(report.notes.data, "results differ from that model's") != NULL);
    clv_import_report_release(&report);
}

static void run_all(void)
{
    T_RUN(a_layout_gives_what_its_framework_computes);
    T_RUN(forms_of_one_state_dict_are_one_model);
    T_RUN(what_was_left_out_is_said);
    T_RUN(a_lent_tensor_is_asked_for);
    T_RUN(what_another_model_adds_is_said);
}

int main(void)
{
    directory = t_directory();
    /* Imports look for a vocabulary in the user's data directory: there is none. */
    setenv("XDG_DATA_HOME", t_path(directory, "data"), 1);
    setenv("HOME", directory, 1);
    return t_each_device(&device, NULL, run_all);
}
