/* The safetensors reader and writer: what is right, and each thing that can be wrong. */
#include "core/model/weights.h"

#include "core/error.h"
#include "core/file.h"
#include "core/half.h"
#include "tests/t.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *directory;

/* A file of this header and `data_size` bytes 0, 1, 2, … */
static const char *write_file(const char *header, size_t header_size, size_t data_size)
{
    const char *path = t_path(directory, "w.safetensors");
    size_t size = 8 + header_size + data_size;
    unsigned char *bytes = malloc(size);
    if (!bytes)
        abort();
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(header_size >> (8 * i));
    memcpy(bytes + 8, header, header_size);
    for (size_t i = 0; i < data_size; i++)
        bytes[8 + header_size + i] = (unsigned char)i;
    if (clv_file_replace(path, bytes, size) != CLV_OK)
        abort();
    free(bytes);
    return path;
}

/* The caller frees. */
static unsigned char *read_bytes(size_t *size_out, const char *path)
{
    struct clv_map map;
    if (clv_map_open(&map, path) != CLV_OK)
        abort();
    unsigned char *bytes = malloc(map.size_bytes + !map.size_bytes);
    if (!bytes)
        abort();
    if (map.size_bytes)
        memcpy(bytes, map.data, map.size_bytes);
    *size_out = map.size_bytes;
    clv_map_release(&map);
    return bytes;
}

/* What is wrong with a file is wrong with its bytes, wherever they lie. */
static void refuse(const char *path, const char *part)
{
    struct clv_weights *weights = NULL;
    char message[1024];
    size_t size;
    CHECK_ERROR(clv_weights_open(&weights, path), CLV_ECORRUPT, part);
    CHECK(strstr(clv_error_message(), clv_path_base(path)) != NULL);
    CHECK(weights == NULL);
    clv_weights_close(weights);
    snprintf(message, sizeof message, "%s", clv_error_message());
    unsigned char *bytes = read_bytes(&size, path);
    CHECK_ERROR(clv_weights_open_bytes(&weights, path, bytes, size), CLV_ECORRUPT, part);
    CHECK_STRING(clv_error_message(), message);
    CHECK(weights == NULL);
    clv_weights_close(weights);
    free(bytes);
}

static void reads_what_is_there(void)
{
    static const char header[] =
        "{\"__metadata__\":{\"mask\":\"KMT\",\"T\":\"8\"},"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
        "\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[11,15]},"
        "\"none\":{\"dtype\":\"F32\",\"shape\":[4,0],\"data_offsets\":[11,11]},"
        "\"a\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[3,11]}}   ";
    struct clv_weights *weights = NULL;
    const char *path = write_file(header, sizeof header - 1, 15);
    REQUIRE_OK(clv_weights_open(&weights, path));
    CHECK_STRING(clv_weights_path(weights), path);
    CHECK_INT(clv_weights_count(weights), 4);
    static const char *const order[] = {"b", "a", "none", "scalar"};
    for (size_t i = 0; i < 4; i++)
        CHECK_STRING(clv_weights_at(weights, i)->name, order[i]);
    const struct clv_weight_entry *a = clv_weights_find(weights, "a");
    REQUIRE(a != NULL);
    CHECK_INT(a->dtype, CLV_F16);
    CHECK_INT(a->dimension_count, 2);
    CHECK_INT(a->shape[0], 2);
    CHECK_INT(a->element_count, 4);
    CHECK_INT(a->size_bytes, 8);
    CHECK_INT(*(const unsigned char *)a->data, 3);
    const struct clv_weight_entry *scalar = clv_weights_find(weights, "scalar");
    REQUIRE(scalar != NULL);
    CHECK_INT(scalar->element_count, 1);
    CHECK_INT(scalar->dimension_count, 0);
    CHECK_INT(clv_weights_find(weights, "none")->element_count, 0);
    CHECK(clv_weights_find(weights, "c") == NULL);
    CHECK(clv_weights_find(weights, "") == NULL);
    CHECK_STRING(clv_weights_metadata(weights, "mask"), "KMT");
    CHECK(clv_weights_metadata(weights, "masks") == NULL);
    CHECK_INT(clv_weights_metadata_count(weights), 2);
    const char *key, *value;
    clv_weights_metadata_at(weights, 1, &key, &value);
    CHECK_STRING(key, "T");
    CHECK_STRING(value, "8");
    clv_weights_close(weights);
}

static void bytes_are_borrowed(void)
{
    static const char header[] = "{\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}";
    size_t size;
    struct clv_weights *weights = NULL;
    unsigned char *bytes = read_bytes(&size, write_file(header, sizeof header - 1, 3));
    REQUIRE_OK(clv_weights_open_bytes(&weights, "some bytes", bytes, size));
    CHECK_STRING(clv_weights_path(weights), "some bytes");
    CHECK_INT(clv_weights_file_bytes(weights), size);
    REQUIRE(clv_weights_find(weights, "b") != NULL);
    CHECK(clv_weights_find(weights, "b")->data == bytes + size - 3);
    clv_weights_close(weights);
    free(bytes);
}

static void an_empty_table_is_fine(void)
{
    struct clv_weights *weights = NULL;
    REQUIRE_OK(clv_weights_open(&weights, write_file("{}", 2, 0)));
    CHECK_INT(clv_weights_count(weights), 0);
    CHECK(clv_weights_find(weights, "x") == NULL);
    clv_weights_close(weights);
}

#define ONE(dtype, shape, offsets) \
    "{\"x\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
#define TWO(shape, begin, end)                                                                \
    "{\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"y\":{\"dtype\":\"U8\"," \
    "\"shape\":[" shape "],\"data_offsets\":[" begin "," end "]}}"

static void bad_headers_are_refused(void)
{
    static const struct {
        const char *header;
        size_t data_size;
        const char *part;
    } cases[] = {
        {"", 0, "not valid JSON"},
        {"{", 0, "not valid JSON"},
        {"{} x", 0, "not valid JSON"},
        {"[]", 0, "not a JSON object"},
        {"3", 0, "not a JSON object"},
        {"{\"x\":3}", 0, "tensor 'x' is not described by an object"},
        {"{\"x\":{}}", 0, "tensor 'x' has no data type"},
        {ONE("\"F31\"", "[1]", "[0,4]"), 4, "unknown data type 'F31'"},
        {ONE("7", "[1]", "[0,4]"), 4, "has no data type"},
        {ONE("\"F32\"", "1", "[0,4]"), 4, "has no shape"},
        {ONE("\"F32\"", "[-1]", "[0,4]"), 4, "a dimension that is not a non-negative integer"},
        {ONE("\"F32\"", "[1.0]", "[0,4]"), 4, "a dimension that is not a non-negative integer"},
        {ONE("\"F32\"", "[\"1\"]", "[0,4]"), 4, "a dimension that is not a non-negative integer"},
        {ONE("\"F32\"", "[true]", "[0,4]"), 4, "a dimension that is not a non-negative integer"},
        {ONE("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "9 dimensions, at most 8"},
        {ONE("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0, "product overflows"},
        {ONE("\"F64\"", "[2305843009213693952]", "[0,0]"), 0, "product overflows"},
        {ONE("\"U8\"", "[9223372036854775807,2]", "[0,4]"), 4, "product overflows"},
        {ONE("\"F32\"", "[1]", "[0]"), 4, "no pair of data offsets"},
        {ONE("\"F32\"", "[1]", "[0,4,8]"), 4, "no pair of data offsets"},
        {ONE("\"F32\"", "[1]", "{\"a\":1,\"b\":2}"), 4, "no pair of data offsets"},
        {ONE("\"F32\"", "[1]", "[-4,0]"), 4, "a data offset that is not a non-negative"},
        {ONE("\"F32\"", "[1]", "[0,4.0]"), 4, "a data offset that is not a non-negative"},
        {ONE("\"F32\"", "[1]", "[0,1e300]"), 4, "a data offset that is not a non-negative"},
        {ONE("\"F32\"", "[1]", "[4,0]"), 4, "begins at 4 and ends at 0"},
        {ONE("\"F32\"", "[1]", "[0,8]"), 8, "takes 4 bytes by its shape and 8 by its offsets"},
        {ONE("\"F32\"", "[2]", "[0,4]"), 4, "takes 8 bytes by its shape and 4 by its offsets"},
        {ONE("\"F32\"", "[2]", "[0,8]"), 7, "ends at byte 8 of the data, the file has 7"},
        {ONE("\"F32\"", "[1]", "[0,4]"), 5, "1 bytes after the last tensor belong to none"},
        {"{}", 1, "1 bytes after the last tensor"},
        {ONE("\"F32\"", "[1]", "[1,5]"), 5, "1 bytes before tensor 'x' belong to none"},
        {TWO("4", "3", "7"), 7, "tensors 'x' and 'y' overlap"},
        {TWO("4", "0", "4"), 4, "tensors 'x' and 'y' overlap"},
        {TWO("2", "1", "3"), 4, "tensors 'x' and 'y' overlap"},
        {TWO("4", "5", "9"), 9, "1 bytes before tensor 'y'"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"
         "\"x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
         0, "duplicate"},
        {"{\"__metadata__\":[]}", 0, "the metadata is not an object"},
        {"{\"__metadata__\":{\"T\":8}}", 0, "metadata 'T' is not a string"},
        {"{\"__metadata__\":{\"T\":\"8\\u0000\"}}", 0, "metadata 'T' is not a string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        refuse(write_file(cases[i].header, strlen(cases[i].header), cases[i].data_size),
               cases[i].part);
    }
}

static void bad_lengths_are_refused(void)
{
    static const struct {
        unsigned char bytes[24];
        size_t size;
        const char *part;
    } cases[] = {
        {{0}, 0, "has 0 bytes, too few"},
        {{2, 0, 0, 0, 0, 0, 0}, 7, "has 7 bytes, too few"},
        {{3, 0, 0, 0, 0, 0, 0, 0, '{', '}'}, 10, "its header would take 3 bytes, the file has 10"},
        {{2, 0, 0, 0, 0, 0, 0, 0x80, '{', '}'}, 10, "9223372036854775810 bytes"},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}'}, 10, "18446744073709551615"},
    };
    struct clv_weights *weights = NULL;
    const char *path = t_path(directory, "short.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        REQUIRE_OK(clv_file_replace(path, cases[i].bytes, cases[i].size));
        refuse(path, cases[i].part);
    }
    CHECK_ERROR(clv_weights_open(&weights, t_path(directory, "nothing")), CLV_ENOTFOUND, "nothing");
    CHECK_ERROR(clv_weights_open(&weights, directory), CLV_EINVAL, "not a regular file");
}

static void deep_json_is_refused(void)
{
    enum { DEPTH = 1 << 20 };
    char *header = malloc(DEPTH);
    REQUIRE(header != NULL);
    memset(header, '[', DEPTH);
    memcpy(header, "{\"x\":", 5);
    struct clv_weights *weights = NULL;
    CHECK_ERROR(clv_weights_open(&weights, write_file(header, DEPTH, 0)), CLV_ECORRUPT,
                "not valid JSON");
    free(header);
}

static void numbers_are_converted(void)
{
    static const uint16_t halves[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0xfc00, 0x3555};
    static const float half_values[] = {1, -2, 0x1p-24f, 65504, -INFINITY, 0x1.554p-2f};
    static const uint16_t uppers[] = {0x3f80, 0xc000, 0x0001, 0x7f80, 0x3eab};
    static const float upper_values[] = {1, -2, 0x1p-133f, INFINITY, 0x1.56p-2f};
    static const double doubles[] = {1, -2.5, 1e-300, 0.1};
    static const float double_values[] = {1, -2.5f, 0, 0.1f};
    static const float floats[] = {0.1f, -1e30f};
    const struct {
        enum clv_dtype dtype;
        const void *data;
        const float *want;
        size_t count, element_bytes;
    } cases[] = {
        {CLV_F16, halves, half_values, 6, 2},
        {CLV_BF16, uppers, upper_values, 5, 2},
        {CLV_F64, doubles, double_values, 4, 8},
        {CLV_F32, floats, floats, 2, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float out[8];
        /* One byte in: no address need be aligned. */
        unsigned char bytes[64];
        memcpy(bytes + 1, cases[i].data, cases[i].count * cases[i].element_bytes);
        const struct clv_weight_entry entry = {.name = "x",
                                               .dtype = cases[i].dtype,
                                               .element_count = cases[i].count,
                                               .data = bytes + 1};
        CHECK_OK(clv_weights_read(out, &entry));
        CHECK(memcmp(out, cases[i].want, cases[i].count * sizeof *out) == 0);
    }
    for (int dtype = CLV_I64; dtype <= CLV_BOOL; dtype++) {
        float out;
        const struct clv_weight_entry entry = {.name = "x", .dtype = (enum clv_dtype)dtype};
        CHECK_ERROR(clv_weights_read(&out, &entry), CLV_EINVAL, "not floating-point");
    }
}

static const float six[] = {1, 2, 3, 4, 5, 6};
static const unsigned char three[] = {7, 8, 9};

static const struct clv_weight_entry saved[] = {
    {"b.weight", CLV_F32, 2, {2, 3}, 6, 24, six},
    {"a", CLV_U8, 1, {3}, 3, 3, three},
    {"\xc3\xa9 \"quoted\"", CLV_F32, 0, {0}, 1, 4, six},
};

static void what_is_saved_is_read_back(void)
{
    static const struct clv_weight_metadata metadata[] = {{"mask", "KMCT"}, {"note", "a\nb \"c\""}};
    const char *path = t_path(directory, "saved.safetensors");
    struct clv_weights *weights = NULL;
    REQUIRE_OK(clv_weights_save(path, saved, 3, metadata, 2));
    REQUIRE_OK(clv_weights_open(&weights, path));
    CHECK_INT(clv_weights_count(weights), 3);
    for (size_t i = 0; i < 3; i++) {
        const struct clv_weight_entry *entry = clv_weights_at(weights, i);
        CHECK_STRING(entry->name, saved[i].name);
        CHECK_INT(entry->dtype, saved[i].dtype);
        CHECK_INT(entry->dimension_count, saved[i].dimension_count);
        CHECK_INT(entry->size_bytes, saved[i].size_bytes);
        CHECK(memcmp(entry->data, saved[i].data, entry->size_bytes) == 0);
    }
    CHECK_INT((uintptr_t)clv_weights_at(weights, 0)->data % 64, 0);
    CHECK_STRING(clv_weights_metadata(weights, "mask"), "KMCT");
    CHECK_STRING(clv_weights_metadata(weights, "note"), "a\nb \"c\"");
    clv_weights_close(weights);
    REQUIRE_OK(clv_weights_save(path, NULL, 0, NULL, 0));
    REQUIRE_OK(clv_weights_open(&weights, path));
    CHECK_INT(clv_weights_count(weights), 0);
    clv_weights_close(weights);
}

static void nonsense_is_not_saved(void)
{
    const char *path = t_path(directory, "nonsense.safetensors");
    struct clv_weight_entry twice[] = {saved[0], saved[0]};
    struct clv_weight_entry short_one = saved[0];
    short_one.size_bytes = 20;
    CHECK_ERROR(clv_weights_save(path, twice, 2, NULL, 0), CLV_EINVAL, "'b.weight' is there twice");
    CHECK_ERROR(clv_weights_save(path, &short_one, 1, NULL, 0), CLV_EINVAL, "is not its shape's");
    CHECK(!clv_file_exists(path));
    CHECK_ERROR(clv_weights_save("/nonexistent/x.safetensors", saved, 3, NULL, 0), CLV_ENOTFOUND,
                "/nonexistent");
}

static void reads_the_published_files(void)
{
    static const char *const names[] = {
        "checkpoints/multi_layer__multi_layer.safetensors",
        "checkpoints/weights__mnist.safetensors",
        "golden/kmt_p32_t4.safetensors",
        "golden/kmct_p16_t8.expect.safetensors",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct clv_weights *weights = NULL;
        const char *path = t_shared(names[i]);
        if (!path)
            return;
        REQUIRE_OK(clv_weights_open(&weights, path));
        CHECK(clv_weights_count(weights) > 3);
        clv_weights_close(weights);
    }
}

int main(void)
{
    directory = t_directory();
    T_RUN(reads_what_is_there);
    T_RUN(bytes_are_borrowed);
    T_RUN(an_empty_table_is_fine);
    T_RUN(bad_headers_are_refused);
    T_RUN(bad_lengths_are_refused);
    T_RUN(deep_json_is_refused);
    T_RUN(numbers_are_converted);
    T_RUN(what_is_saved_is_read_back);
    T_RUN(nonsense_is_not_saved);
    T_RUN(reads_the_published_files);
    return t_end();
}
