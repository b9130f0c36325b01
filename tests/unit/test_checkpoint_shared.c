/* Real checkpoints: every file of ../shared/checkpoints is read as PyTorch reads it, or refused
 * with the reason; the golden archive equals its safetensors twin. */
#include "core/error.h"
#include "core/model/checkpoint.h"
#include "tests/t.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* What PyTorch 1.13 (and, for safetensors, Python's struct and json) made of each file: how many
 * tensors, and the CRC over "NAME TYPE SHAPE " and the contiguous bytes of each, in order. */
static const struct {
    const char *file;
    enum clv_checkpoint_format format;
    size_t count;
    uint32_t crc;
} readable[] = {
    {"batch_norm__batch_norm2d.pt", CLV_CHECKPOINT_TORCH, 5, 0x8b46de43},
    {"boolean__boolean.pt", CLV_CHECKPOINT_TORCH, 1, 0x7e11fc08},
    {"complex_nested__complex_nested.pt", CLV_CHECKPOINT_TORCH, 23, 0x637495ef},
    {"conv1d__conv1d.pt", CLV_CHECKPOINT_TORCH, 3, 0x34c5fc97},
    {"conv2d__conv2d.pt", CLV_CHECKPOINT_TORCH, 3, 0x82c1d8b8},
    {"conv_transpose2d__conv_transpose2d.pt", CLV_CHECKPOINT_TORCH, 3, 0x82c1d8b8},
    {"debug_test.pt", CLV_CHECKPOINT_TORCH, 1, 0xccf47d23},
    {"enum_module__enum_depthwise_true.pt", CLV_CHECKPOINT_TORCH, 4, 0xc95b363c},
    {"group_norm__group_norm.pt", CLV_CHECKPOINT_TORCH, 2, 0xc2b4d200},
    {"integer__integer.pt", CLV_CHECKPOINT_TORCH, 1, 0x13dc7050},
    {"key_remap__key_remap.pt", CLV_CHECKPOINT_TORCH, 3, 0x9c9f9855},
    {"key_remap_chained__key_remap.pt", CLV_CHECKPOINT_TORCH, 18, 0x8c30e7a9},
    {"linear__linear.pt", CLV_CHECKPOINT_TORCH, 3, 0x45140b0e},
    {"linear__linear_with_bias.pt", CLV_CHECKPOINT_TORCH, 2, 0x11d0b6e9},
    {"missing_module_field__missing_module_field.pt", CLV_CHECKPOINT_TORCH, 2, 0x44a4a131},
    {"pnet.pt", CLV_CHECKPOINT_TORCH_LEGACY, 13, 0xef44343a},
    {"reader__test_data__bfloat16.pt", CLV_CHECKPOINT_TORCH, 1, 0xf94b8341},
    {"reader__test_data__bool.pt", CLV_CHECKPOINT_TORCH, 1, 0xc6527701},
    {"reader__test_data__buffers.pt", CLV_CHECKPOINT_TORCH, 2, 0x5c1bcfe4},
    {"reader__test_data__checkpoint.pt", CLV_CHECKPOINT_TORCH, 5, 0xdc0916a2},
    {"reader__test_data__complex_structure.pt", CLV_CHECKPOINT_TORCH, 6, 0x8199195b},
    {"reader__test_data__empty.pt", CLV_CHECKPOINT_TORCH, 1, 0x72578454},
    {"reader__test_data__float16.pt", CLV_CHECKPOINT_TORCH, 1, 0x081553cd},
    {"reader__test_data__float32.pt", CLV_CHECKPOINT_TORCH, 1, 0xe9667236},
    {"reader__test_data__float64.pt", CLV_CHECKPOINT_TORCH, 1, 0xb2d02839},
    {"reader__test_data__int16.pt", CLV_CHECKPOINT_TORCH, 1, 0xad00c55f},
    {"reader__test_data__int32.pt", CLV_CHECKPOINT_TORCH, 1, 0x6e3b17bf},
    {"reader__test_data__int64.pt", CLV_CHECKPOINT_TORCH, 1, 0x73014ce3},
    {"reader__test_data__int8.pt", CLV_CHECKPOINT_TORCH, 1, 0x430c9ef3},
    {"reader__test_data__legacy_uncloned_views.pt", CLV_CHECKPOINT_TORCH_LEGACY, 2, 0x71486905},
    {"reader__test_data__legacy_with_offsets.pt", CLV_CHECKPOINT_TORCH_LEGACY, 3, 0x716e3061},
    {"reader__test_data__mixed_types.pt", CLV_CHECKPOINT_TORCH, 4, 0x95d78b9f},
    {"reader__test_data__nested_dict.pt", CLV_CHECKPOINT_TORCH, 4, 0x15e73dde},
    {"reader__test_data__parameter.pt", CLV_CHECKPOINT_TORCH, 1, 0x6976847a},
    {"reader__test_data__simple_legacy.pt", CLV_CHECKPOINT_TORCH_LEGACY, 3, 0xa7799e70},
    {"reader__test_data__special_values.pt", CLV_CHECKPOINT_TORCH, 1, 0xe3f6bc15},
    {"reader__test_data__tensor_2d.pt", CLV_CHECKPOINT_TORCH, 1, 0xa505e69b},
    {"reader__test_data__tensor_3d.pt", CLV_CHECKPOINT_TORCH, 1, 0xac46e877},
    {"reader__test_data__uint8.pt", CLV_CHECKPOINT_TORCH, 1, 0x293859b1},
    {"sa_0_4_vit_b_32_linear.pth", CLV_CHECKPOINT_TORCH, 2, 0xb3383952},
    {"store__test_data__model_without_enum_variants.pt", CLV_CHECKPOINT_TORCH, 4, 0x32646de9},
    {"top_level_key__top_level_key.pt", CLV_CHECKPOINT_TORCH, 2, 0x71b892e6},
    {"weights__mnist.pt", CLV_CHECKPOINT_TORCH, 20, 0x2d2550a9},
    {"multi_layer__multi_layer.safetensors", CLV_CHECKPOINT_SAFETENSORS, 9, 0xe9380d61},
    {"weights__mnist.safetensors", CLV_CHECKPOINT_SAFETENSORS, 20, 0xe42c3bd9},
};

static const struct {
    const char *file;
    int status;
    const char *part;
} unreadable[] = {
    {"reader__test_data__broken.pt", CLV_EUNSUPPORTED, "is no checkpoint"},
    {"reader__test_data__tar_2d_tensor.tar", CLV_EUNSUPPORTED, "is a tar file"},
    {"reader__test_data__tar_float64.tar", CLV_EUNSUPPORTED, "is a tar file"},
    {"reader__test_data__tar_multi_dtype.tar", CLV_EUNSUPPORTED, "is a tar file"},
    {"reader__test_data__tar_weight_bias.tar", CLV_EUNSUPPORTED, "is a tar file"},
};

static uint32_t crc_of(struct clv_checkpoint *checkpoint)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < clv_checkpoint_count(checkpoint); i++) {
        const struct clv_weight_entry *entry = clv_checkpoint_at(checkpoint, i);
        unsigned char *data = malloc(entry->size_bytes + 1);
        char text[512];
        size_t used = (size_t)snprintf(text, sizeof text, "%s %d ", entry->name, entry->dtype);
        for (int k = 0; k < entry->dimension_count; k++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%" PRId64, k ? "," : "",
                                     entry->shape[k]);
        snprintf(text + used, sizeof text - used, " ");
        CHECK_OK(clv_checkpoint_read(checkpoint, i, data));
        crc = (uint32_t)crc32(crc, (const Bytef *)text, (uInt)strlen(text));
        crc = (uint32_t)crc32(crc, data, (uInt)entry->size_bytes);
        free(data);
    }
    return crc;
}

static void reads_what_pytorch_reads(void)
{
    const char *directory = t_shared("checkpoints");
    if (!directory)
        return;
    for (size_t i = 0; i < sizeof readable / sizeof readable[0]; i++) {
        struct clv_checkpoint *checkpoint;
        REQUIRE_OK(clv_checkpoint_open(&checkpoint, t_path(directory, readable[i].file)));
        CHECK_INT(clv_checkpoint_format(checkpoint), readable[i].format);
        CHECK_INT(clv_checkpoint_count(checkpoint), readable[i].count);
        CHECK_INT(clv_checkpoint_skipped_count(checkpoint), 0);
        if (crc_of(checkpoint) != readable[i].crc)
            t_fail(__FILE__, __LINE__, "%s differs from what PyTorch reads", readable[i].file);
        clv_checkpoint_close(checkpoint);
    }
}

static void refuses_with_the_reason(void)
{
    const char *directory = t_shared("checkpoints");
    if (!directory)
        return;
    for (size_t i = 0; i < sizeof unreadable / sizeof unreadable[0]; i++) {
        struct clv_checkpoint *checkpoint;
        CHECK_ERROR(clv_checkpoint_open(&checkpoint, t_path(directory, unreadable[i].file)),
                    unreadable[i].status, unreadable[i].part);
    }
}

/* A file added to the folder is to be added to a table. */
static void knows_every_file(void)
{
    const char *path = t_shared("checkpoints");
    DIR *directory = path ? opendir(path) : NULL;
    struct dirent *entry;
    if (!directory)
        return;
    while ((entry = readdir(directory))) {
        bool known = entry->d_name[0] == '.';
        for (size_t i = 0; i < sizeof readable / sizeof readable[0]; i++)
            known |= strcmp(entry->d_name, readable[i].file) == 0;
        for (size_t i = 0; i < sizeof unreadable / sizeof unreadable[0]; i++)
            known |= strcmp(entry->d_name, unreadable[i].file) == 0;
        if (!known)
            t_fail(__FILE__, __LINE__, "%s is in no table", entry->d_name);
    }
    closedir(directory);
}

static void special_values(void)
{
    const char *path = t_shared("checkpoints/reader__test_data__special_values.pt");
    struct clv_checkpoint *checkpoint;
    float values[5];
    if (!path)
        return;
    REQUIRE_OK(clv_checkpoint_open(&checkpoint, path));
    REQUIRE(clv_checkpoint_at(checkpoint, 0)->size_bytes == sizeof values);
    CHECK_OK(clv_checkpoint_read(checkpoint, 0, values));
    int infinite = 0, not_a_number = 0;
    for (int i = 0; i < 5; i++) {
        infinite += isinf(values[i]) != 0;
        not_a_number += isnan(values[i]) != 0;
    }
    CHECK_INT(infinite, 2);
    CHECK_INT(not_a_number, 1);
    clv_checkpoint_close(checkpoint);
}

static void settings(void)
{
    const char *path = t_shared("checkpoints/reader__test_data__checkpoint.pt");
    struct clv_checkpoint *checkpoint;
    if (!path)
        return;
    REQUIRE_OK(clv_checkpoint_open(&checkpoint, path));
    CHECK_STRING(clv_checkpoint_setting(checkpoint, "epoch"), "42");
    CHECK_STRING(clv_checkpoint_setting(checkpoint, "loss"), "0.123");
    CHECK(!clv_checkpoint_setting(checkpoint, "model_state_dict"));
    clv_checkpoint_close(checkpoint);
}

static void golden_twins(void)
{
    const char *path = t_shared("golden/kmt_p32_t4.pth");
    const char *twin_path = t_shared("golden/kmt_p32_t4.safetensors");
    struct clv_checkpoint *checkpoint, *twin;
    size_t compared = 0;
    if (!path || !twin_path)
        return;
    REQUIRE_OK(clv_checkpoint_open(&checkpoint, path));
    REQUIRE_OK(clv_checkpoint_open(&twin, twin_path));
    CHECK_STRING(clv_checkpoint_setting(checkpoint, "epoch"), "3");
    CHECK_STRING(clv_checkpoint_setting(checkpoint, "max_accuracy"), "12.5");
    for (size_t i = 0; i < clv_checkpoint_count(twin); i++) {
        const struct clv_weight_entry *want = clv_checkpoint_at(twin, i);
        char name[256];
        snprintf(name, sizeof name, "model.%s", want->name);
        size_t index = clv_checkpoint_find(checkpoint, name);
        REQUIRE(index != SIZE_MAX);
        const struct clv_weight_entry *got = clv_checkpoint_at(checkpoint, index);
        CHECK_INT(got->dtype, want->dtype);
        CHECK_INT(got->dimension_count, want->dimension_count);
        CHECK(memcmp(got->shape, want->shape, sizeof got->shape) == 0);
        REQUIRE(got->size_bytes == want->size_bytes);
        unsigned char *a = malloc(got->size_bytes + 1), *b = malloc(got->size_bytes + 1);
        CHECK_OK(clv_checkpoint_read(checkpoint, index, a));
        CHECK_OK(clv_checkpoint_read(twin, i, b));
        compared += memcmp(a, b, got->size_bytes) == 0;
        free(a);
        free(b);
    }
    CHECK(compared > 0);
    CHECK_INT(compared, clv_checkpoint_count(twin));
    CHECK_INT(clv_checkpoint_count(checkpoint), compared);
    clv_checkpoint_close(checkpoint);
    clv_checkpoint_close(twin);
}

int main(void)
{
    T_RUN(reads_what_pytorch_reads);
    T_RUN(refuses_with_the_reason);
    T_RUN(knows_every_file);
    T_RUN(special_values);
    T_RUN(settings);
    T_RUN(golden_twins);
    return t_end();
}
