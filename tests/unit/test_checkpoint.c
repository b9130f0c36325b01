/* Telling kinds of files apart, sharded sets, and safetensors' other data types. */
#include "core/model/checkpoint.h"

#include "core/bytes.h"
#include "core/error.h"
#include "core/file.h"
#include "tests/t.h"

#include <string.h>

static const char *path_of(const char *name)
{
    static const char *directory;
    if (!directory)
        directory = t_directory();
    return t_path(directory, name);
}

static void write_file(const char *path, const char *data, size_t size)
{
    CHECK_OK(clv_file_replace(path, data, size));
}

static void kinds_refused(void)
{
    static const struct {
        const char *data;
        int status;
        const char *part;
    } cases[] = {
        {"", CLV_ECORRUPT, "is empty"},
        {"abc", CLV_EUNSUPPORTED, "is no checkpoint"},
        {"version https://git-lfs.github.com/spec/v1\noid", CLV_EUNSUPPORTED, "git lfs pull"},
        {"<!DOCTYPE html><html>", CLV_EUNSUPPORTED, "web page"},
        {"GGUF\3", CLV_EUNSUPPORTED, "GGUF"},
        {"\x89HDF\r\n", CLV_EUNSUPPORTED, "HDF5"},
        {"\x93NUMPY", CLV_EUNSUPPORTED, "NumPy"},
        {"\x1f\x8b\x08", CLV_EUNSUPPORTED, "gzip"},
        {"PK\5\6", CLV_ECORRUPT, "not a whole zip archive"},
        {"\x80\2N.", CLV_EUNSUPPORTED, "not one that torch.save wrote"},
        {"\x80\2", CLV_EUNSUPPORTED, "is no checkpoint"},
    };
    const char *path = path_of("kind.pt");
    struct clv_checkpoint *checkpoint;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(path, cases[i].data, strlen(cases[i].data));
        CHECK_ERROR(clv_checkpoint_open(&checkpoint, path), cases[i].status, cases[i].part);
        CHECK(!checkpoint);
    }
    CHECK_ERROR(clv_checkpoint_open(&checkpoint, path_of("none")), CLV_ENOTFOUND, "none");
    CHECK_ERROR(clv_checkpoint_open(&checkpoint, "/"), CLV_EINVAL, "regular file");
}

/* One F32 tensor of two elements. */
static void write_part(const char *name, const char *tensor, const float *values)
{
    const char *path = path_of(name);
    struct clv_weight_entry entry = {.name = tensor,
                                     .dtype = CLV_F32,
                                     .dimension_count = 1,
                                     .shape = {2},
                                     .element_count = 2,
                                     .size_bytes = 8,
                                     .data = values};
    struct clv_weight_metadata metadata = {"format", "pt"};
    CHECK_OK(clv_weights_save(path, &entry, 1, &metadata, 1));
}

static void sharded(void)
{
    static const float values[] = {1, 2, 3, 4};
    static const char good[] = "{\"metadata\": {\"kind\": \"test\", \"total_size\": 16}, "
                               "\"weight_map\": {\"b\": \"part-2.safetensors\", "
                               "\"a\": \"part-1.safetensors\"}}";
    static const struct {
        const char *text;
        int status;
        const char *part;
    } bad[] = {
        {"{", CLV_ECORRUPT, "index.json"},
        {"{}", CLV_ECORRUPT, "no weight_map"},
        {"{\"weight_map\": {\"a\": 3}}", CLV_ECORRUPT, "names no part for 'a'"},
        {"{\"weight_map\": {\"a\": \"../part-1.safetensors\"}}", CLV_ECORRUPT, "outside"},
        {"{\"weight_map\": {\"a\": \"..\"}}", CLV_ECORRUPT, "outside"},
        {"{\"weight_map\": {\"c\": \"part-1.safetensors\"}}", CLV_ECORRUPT, "has no 'c'"},
        {"{\"weight_map\": {\"a\": \"part-3.safetensors\"}}", CLV_ENOTFOUND, "part-3"},
        {"{\"weight_map\": {\"a\": \"m.index.json\"}}", CLV_ECORRUPT, "part of an index"},
    };
    const char *path = path_of("m.index.json");
    struct clv_checkpoint *checkpoint;
    write_part("part-1.safetensors", "a", values);
    write_part("part-2.safetensors", "b", values + 2);
    write_file(path, good, sizeof good - 1);
    REQUIRE_OK(clv_checkpoint_open(&checkpoint, path));
    CHECK_INT(clv_checkpoint_format(checkpoint), CLV_CHECKPOINT_SHARDED);
    REQUIRE(clv_checkpoint_count(checkpoint) == 2);
    for (int i = 0; i < 2; i++) {
        float out[2] = {0};
        size_t index = clv_checkpoint_find(checkpoint, i == 0 ? "a" : "b");
        REQUIRE(index != SIZE_MAX);
        CHECK_OK(clv_checkpoint_read(checkpoint, index, out));
        CHECK(memcmp(out, values + 2 * i, sizeof out) == 0);
    }
    CHECK_STRING(clv_checkpoint_setting(checkpoint, "kind"), "test");
    CHECK_STRING(clv_checkpoint_setting(checkpoint, "format"), "pt");
    clv_checkpoint_close(checkpoint);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_file(path, bad[i].text, strlen(bad[i].text));
        CHECK_ERROR(clv_checkpoint_open(&checkpoint, path), bad[i].status, bad[i].part);
    }
}

/* Types that safetensors has and claverdb has no use for are left out; invented ones refused. */
static void other_types(void)
{
    static const char head[] =
        "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[3],\"data_offsets\":[0,3]},"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]},"
        "\"c\":{\"dtype\":\"C64\",\"shape\":[1],\"data_offsets\":[5,13]}}";
    static const char data[] = "123xy12345678";
    const char *path = path_of("types.safetensors");
    for (int i = 0; i < 3; i++) {
        struct clv_checkpoint *checkpoint;
        struct clv_bytes file = {0};
        char size[8] = {(char)(sizeof head - 1)};
        clv_bytes_add(&file, size, 8);
        clv_bytes_text(&file, head);
        clv_bytes_text(&file, data);
        if (i == 1)
            memcpy(strstr(file.data + 8, "F8_E4M3"), "F9_E4M3", 7);
        if (i == 2)
            memcpy(strstr(file.data + 8, "[3]"), "[4]", 3);
        write_file(path, file.data, file.size_bytes);
        clv_bytes_release(&file);
        int status = clv_checkpoint_open(&checkpoint, path);
        if (i > 0) {
            CHECK_ERROR(status, CLV_ECORRUPT, i == 1 ? "F9_E4M3" : "4 bytes by its shape");
            continue;
        }
        REQUIRE_OK(status);
        REQUIRE(clv_checkpoint_count(checkpoint) == 1);
        CHECK_STRING(clv_checkpoint_at(checkpoint, 0)->name, "b");
        CHECK_INT(clv_checkpoint_skipped_count(checkpoint), 2);
        CHECK_STRING(clv_checkpoint_skipped_at(checkpoint, 1, NULL), "c");
        char out[3] = "";
        CHECK_OK(clv_checkpoint_read(checkpoint, 0, out));
        CHECK_STRING(out, "xy");
        clv_checkpoint_close(checkpoint);
    }
    struct clv_weights *weights;
    CHECK_ERROR(clv_weights_open(&weights, path), CLV_ECORRUPT, "F8_E4M3");
}

int main(void)
{
    T_RUN(kinds_refused);
    T_RUN(sharded);
    T_RUN(other_types);
    return t_end();
}
