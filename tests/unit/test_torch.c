/* PyTorch's files, hand-made: what is read out of them, and a hostile one for each rule. */
#include "core/error.h"
#include "core/file.h"
#include "core/model/checkpoint.h"
#include "tests/t.h"
#include "tests/unit/pack.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* All files of this program lie in one directory. */
static const char *path_of(const char *name)
{
    static const char *directory;
    if (!directory)
        directory = t_directory();
    return t_path(directory, name);
}

static const float eight[8] = {0, 1, 2, 3, 4, 5, 6, 7};

/* An archive of data.pkl and data/0. */
static const char *save(const struct clv_bytes *pickle, const void *storage, size_t size,
                        const struct pack_lies *lies)
{
    const char *path = path_of("one.pt");
    struct pack pack;
    pack_begin(&pack, path);
    pack_add(&pack, "any name/data.pkl", pickle->data, pickle->size_bytes, NULL);
    if (storage)
        pack_add(&pack, "any name/data/0", storage, size, lies);
    pack_end(&pack);
    return path;
}

/* {"t": tensor} */
static void pickle_one(struct clv_bytes *out, const struct pickle_tensor *tensor)
{
    clv_bytes_clear(out);
    clv_bytes_text(out, "\x80\2}");
    pickle_text(out, "t");
    pickle_tensor(out, tensor);
    clv_bytes_text(out, "s.");
}

static int open_text(struct clv_checkpoint **out, const char *pickle, size_t size)
{
    struct clv_bytes bytes = {0};
    clv_bytes_add(&bytes, pickle, size);
    int status = clv_checkpoint_open(out, save(&bytes, eight, sizeof eight, NULL));
    clv_bytes_release(&bytes);
    return status;
}

/* ---- layouts --------------------------------------------------------------------------------- */

static void strides(void)
{
    static const struct {
        struct pickle_tensor tensor;
        int count;
        float want[12];
    } cases[] = {
        {{"FloatStorage", "0", 8, 0, 1, 1, {8}, {1}}, 8, {0, 1, 2, 3, 4, 5, 6, 7}},
        {{"FloatStorage", "0", 8, 5, 1, 1, {3}, {1}}, 3, {5, 6, 7}},
        {{"FloatStorage", "0", 8, 7, 0, 0, {0}, {0}}, 1, {7}},
        {{"FloatStorage", "0", 8, 0, 2, 2, {4, 2}, {1, 4}}, 8, {0, 4, 1, 5, 2, 6, 3, 7}},
        {{"FloatStorage", "0", 8, 1, 2, 2, {2, 2}, {4, 2}}, 4, {1, 3, 5, 7}},
        {{"FloatStorage", "0", 8, 2, 2, 2, {2, 3}, {0, 1}}, 6, {2, 3, 4, 2, 3, 4}},
        {{"FloatStorage", "0", 8, 3, 2, 2, {2, 3}, {1, 0}}, 6, {3, 3, 3, 4, 4, 4}},
        {{"FloatStorage", "0", 8, 0, 2, 2, {3, 3}, {1, 1}}, 9, {0, 1, 2, 1, 2, 3, 2, 3, 4}},
        {{"FloatStorage", "0", 8, 0, 3, 3, {2, 1, 4}, {4, 999, 1}}, 8, {0, 1, 2, 3, 4, 5, 6, 7}},
        {{"FloatStorage", "0", 8, 0, 3, 3, {2, 2, 2}, {1, 2, 4}}, 8, {0, 4, 2, 6, 1, 5, 3, 7}},
        {{"FloatStorage", "0", 8, 8, 1, 1, {0}, {1}}, 0, {0}},
        {{"FloatStorage", "0", 8, 99, 2, 2, {5, 0}, {1, 1}}, 0, {0}},
    };
    for (size_t i = 0; i < 2 * (sizeof cases / sizeof cases[0]); i++) {
        const struct pickle_tensor *tensor = &cases[i / 2].tensor;
        struct clv_checkpoint *checkpoint;
        struct clv_bytes pickle = {0};
        float out[12] = {0};
        pickle_one(&pickle, tensor);
        const char *path =
            save(&pickle, eight, sizeof eight, &(struct pack_lies){.deflated = i % 2});
        clv_bytes_release(&pickle);
        REQUIRE_OK(clv_checkpoint_open(&checkpoint, path));
        CHECK_INT(clv_checkpoint_format(checkpoint), CLV_CHECKPOINT_TORCH);
        REQUIRE(clv_checkpoint_count(checkpoint) == 1);
        const struct clv_weight_entry *entry = clv_checkpoint_at(checkpoint, 0);
        CHECK_STRING(entry->name, "t");
        CHECK_INT(entry->dtype, CLV_F32);
        CHECK_INT(entry->dimension_count, tensor->shape_count);
        CHECK_INT(entry->element_count, cases[i / 2].count);
        CHECK_OK(clv_checkpoint_read(checkpoint, 0, out));
        CHECK(memcmp(out, cases[i / 2].want, sizeof out) == 0);
        clv_checkpoint_close(checkpoint);
    }
}

/* A storage of 3 million floats, read with gaps, so that it comes in pieces. */
static void sparse_strides(void)
{
    enum { ROWS = 3000, COLUMNS = 1000 };
    float *storage = malloc(sizeof *storage * ROWS * COLUMNS),
          *out = malloc(sizeof *out * ROWS * 3);
    struct pickle_tensor tensor = {"FloatStorage", "0", ROWS * COLUMNS, 7, 3, 3, {3, ROWS - 1, 1},
                                   {2, COLUMNS, 1}};
    struct clv_bytes pickle = {0};
    struct clv_checkpoint *checkpoint = NULL;
    REQUIRE(storage && out);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        storage[i] = (float)i;
    for (int order = 0; order < 2; order++) {
        if (order == 1) { /* the gaps inside */
            tensor.shape[0] = ROWS - 1, tensor.shape[1] = 3;
            tensor.strides[0] = COLUMNS, tensor.strides[1] = 2;
        }
        pickle_one(&pickle, &tensor);
        const char *path = save(&pickle, storage, sizeof *storage * ROWS * COLUMNS, NULL);
        REQUIRE_OK(clv_checkpoint_open(&checkpoint, path));
        REQUIRE_OK(clv_checkpoint_read(checkpoint, 0, out));
        int wrong = 0;
        for (int64_t a = 0; a < tensor.shape[0]; a++)
            for (int64_t b = 0; b < tensor.shape[1]; b++)
                wrong += out[a * tensor.shape[1] + b] !=
                         (float)(7 + a * tensor.strides[0] + b * tensor.strides[1]);
        CHECK_INT(wrong, 0);
        clv_checkpoint_close(checkpoint);
    }
    clv_bytes_release(&pickle);
    free(storage);
    free(out);
}

static void data_types(void)
{
    static const struct {
        const char *type;
        enum clv_dtype dtype;
        size_t size;
    } cases[] = {
        {"FloatStorage", CLV_F32, 4},     {"HalfStorage", CLV_F16, 2},
        {"BFloat16Storage", CLV_BF16, 2}, {"DoubleStorage", CLV_F64, 8},
        {"LongStorage", CLV_I64, 8},      {"IntStorage", CLV_I32, 4},
        {"ShortStorage", CLV_I16, 2},     {"CharStorage", CLV_I8, 1},
        {"ByteStorage", CLV_U8, 1},       {"BoolStorage", CLV_BOOL, 1},
        {"UntypedStorage", CLV_U8, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t count = (int64_t)(sizeof eight / cases[i].size);
        struct pickle_tensor tensor = {cases[i].type, "0", count, 0, 1, 1, {count}, {1}};
        struct clv_checkpoint *checkpoint;
        struct clv_bytes pickle = {0};
        unsigned char out[sizeof eight];
        pickle_one(&pickle, &tensor);
        REQUIRE_OK(clv_checkpoint_open(&checkpoint, save(&pickle, eight, sizeof eight, NULL)));
        CHECK_INT(clv_checkpoint_at(checkpoint, 0)->dtype, cases[i].dtype);
        REQUIRE(clv_checkpoint_at(checkpoint, 0)->size_bytes == sizeof out);
        CHECK_OK(clv_checkpoint_read(checkpoint, 0, out));
        CHECK(memcmp(out, eight, sizeof out) == 0);
        clv_checkpoint_close(checkpoint);
        clv_bytes_release(&pickle);
    }
}

static void big_endian(void)
{
    static const struct pickle_tensor tensor = {"FloatStorage", "0", 2, 0, 1, 1, {2}, {1}};
    static const char *const orders[] = {"big", "little", "middle"};
    for (int i = 0; i < 3; i++) {
        const char *path = path_of("order.pt");
        struct clv_checkpoint *checkpoint;
        struct clv_bytes pickle = {0};
        struct pack pack;
        float out[2] = {0};
        pickle_one(&pickle, &tensor);
        pack_begin(&pack, path);
        pack_add(&pack, "a/data.pkl", pickle.data, pickle.size_bytes, NULL);
        pack_add(&pack, "a/byteorder", orders[i], strlen(orders[i]), NULL);
        pack_add(&pack, "a/data/0", i == 0 ? "\x3f\x80\0\0\xc0\0\0\0" : "\0\0\x80\x3f\0\0\0\xc0", 8,
                 NULL);
        pack_end(&pack);
        clv_bytes_release(&pickle);
        int status = clv_checkpoint_open(&checkpoint, path);
        if (i == 2) {
            CHECK_ERROR(status, CLV_ECORRUPT, "byte order");
            continue;
        }
        REQUIRE_OK(status);
        CHECK_OK(clv_checkpoint_read(checkpoint, 0, out));
        CHECK_NEAR(out[0], 1, 0);
        CHECK_NEAR(out[1], -2, 0);
        clv_checkpoint_close(checkpoint);
    }
}

/* ---- names and settings ---------------------------------------------------------------------- */

#define TENSOR                                                                 \
    "ctorch._utils\n_rebuild_tensor_v2\n((U\7storagectorch\nFloatStorage\nU\1" \
    "0U\3cpuK\x08tQK\0K\x08\x85K\1\x85\x89NtR"
#define WITH(text) (text), sizeof(text) - 1

static void names(void)
{
    static const struct {
        const char *pickle;
        size_t size;
        const char *names; /* joined by ' ' */
        const char *path, *setting;
    } cases[] = {
        {WITH(TENSOR "."), "tensor", "x", NULL},
        {WITH("(" TENSOR TENSOR "t."), "0 1", "x", NULL},
        {WITH("}(U\1a}(K\3" TENSOR "uU\1bG\x3f\xf8\0\0\0\0\0\0u."), "a.3", "b", "1.5"},
        /* An OrderedDict of either protocol, and attributes on it. */
        {WITH("ccollections\nOrderedDict\n)R(U\1a" TENSOR "u}U\1xK\1sb."), "a", "x", NULL},
        {WITH("ccollections\nOrderedDict\n(](U\1a" TENSOR "tatR."), "a", "x", NULL},
        /* Parameters of old and new. */
        {WITH("}U\1actorch._utils\n_rebuild_parameter\n(" TENSOR "\x88NtRs."), "a", "x", NULL},
        {WITH("}U\1actorch._utils\n_rebuild_parameter_with_state\n(" TENSOR "\x88N}tRs."), "a", "x",
         NULL},
        {WITH("}U\1actorch.nn.parameter\nParameter\n(" TENSOR "\x88tRs."), "a", "x", NULL},
        {WITH("}U\1actorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\n"
              "ctorch\nTensor\n((U\7storagectorch\nFloatStorage\nU\1"
              "0U\3cpuK\x08tQK\0K\x08\x85K\1\x85\x89Nt}tRs."),
         "a", "x", NULL},
        /* An untyped storage, the type named by the tensor. */
        {WITH("}U\1actorch._utils\n_rebuild_tensor_v3\n((U\7storagectorch\nUntypedStorage\nU\1"
              "0U\3cpuK\x20tQK\0K\x10\x85K\1\x85\x89Nctorch\nbfloat16\ntRs."),
         "a", "x", NULL},
        /* A module saved whole: parameters, persistent buffers, modules; flags are settings. */
        {WITH("cm\nM\n)\x81}(U\x08trainingI00\nU\x0b_parametersccollections\nOrderedDict\n)R"
              "U\1w" TENSOR "sU\x08_buffers}(U\1b" TENSOR "U\1n" TENSOR
              "uU\x1b_non_persistent_buffers_setc__builtin__\nset\n(]U\1natRU\x08_modules}U\1s"
              "cm\nN\n)\x81}(U\x0b_parameters}U\1v" TENSOR "sU\x08_modules}ubsub."),
         "w b s.v", "training", "false"},
        /* TorchScript: attributes are the state. */
        {WITH("c__torch__\nM\n)\x81}(U\1l" TENSOR "U\1sc__torch__\nN\n)\x81}U\1w" TENSOR
              "sbU\1nK\7U\2li"
              "ctorch.jit._pickle\nbuild_intlist\n(](K\5K\6etRub."),
         "l s.w", "li.1", "6"},
        /* yacs: a dict with a state beside it; argparse: the state alone. */
        {WITH("}(U\1a" TENSOR
              "U\6configcyacs.config\nCfgNode\n)\x81(U\5MODELcyacs.config\nCfgNode\n"
              ")\x81U\x09MASK_MODEU\3kmts}U\x0d__immutable__\x88"
              "sbu}U\x0d__immutable__\x88sbu."),
         "a", "config.MODEL.MASK_MODE", "kmt"},
        {WITH("}(U\1a" TENSOR "U\4argscargparse\nNamespace\n)\x81}U\2lrF0.1\nsbu."), "a", "args.lr",
         "0.1"},
        /* With __slots__. */
        {WITH("}(U\1a" TENSOR "U\1ocx\ny\n)\x81}U\2lrK\2s}\x86"
              "bu."),
         "a", "o.lr", "2"},
        /* A call stays a record. */
        {WITH("}(U\1acposix\nsystem\n(U\x13touch /tmp/claverdbtRU\1t" TENSOR "u."), "t", "a", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct clv_checkpoint *checkpoint;
        struct clv_bytes all = {0};
        int status = open_text(&checkpoint, cases[i].pickle, cases[i].size);
        REQUIRE_OK(status);
        for (size_t k = 0; k < clv_checkpoint_count(checkpoint); k++) {
            const char *name = clv_checkpoint_at(checkpoint, k)->name;
            clv_bytes_format(&all, "%s%s", k ? " " : "", name);
            CHECK_INT(clv_checkpoint_find(checkpoint, name), k);
        }
        CHECK_STRING(all.data, cases[i].names);
        const char *setting = clv_checkpoint_setting(checkpoint, cases[i].path);
        CHECK((setting != NULL) == (cases[i].setting != NULL));
        if (setting && cases[i].setting)
            CHECK_STRING(setting, cases[i].setting);
        CHECK_INT(clv_checkpoint_find(checkpoint, "never"), SIZE_MAX);
        CHECK_INT(clv_checkpoint_skipped_count(checkpoint), 0);
        clv_bytes_release(&all);
        clv_checkpoint_close(checkpoint);
    }
    CHECK(!clv_file_exists("/tmp/claverdb"));
}

static void skipped_tensors(void)
{
    static const struct {
        const char *pickle;
        size_t size;
        const char *name, *reason;
    } cases[] = {
        {WITH("}U\1actorch._utils\n_rebuild_sparse_tensor\n(NNtRs."), "a", "no plain tensor"},
        {WITH("}U\1actorch._utils\n_rebuild_qtensor\n(NNtRs."), "a", "no plain tensor"},
        {WITH("}U\1actorch._utils\n_rebuild_tensor_v2\n((U\7storagectorch\nComplexFloatStorage\nU\1"
              "0U\3cpuK\4tQK\0K\4\x85K\1\x85\x89NtRs."),
         "a", "complex"},
        {WITH("}U\1actorch._utils\n_rebuild_tensor_v2\n((U\7storagectorch\nFloatStorage\nU\1"
              "0U\3cpuK\x08tQK\0(K\1K\1K\1K\1K\1K\1K\1K\1K\1t("
              "K\1K\1K\1K\1K\1K\1K\1K\1K\1t\x89NtRs."),
         "a", "8 dimensions"},
        {WITH("}U\1actorch._utils\n_rebuild_tensor_v2\n((U\7storagectorch\nFloatStorage\nU\1"
              "0U\3cpuK\x08tQK\0J\0\0\0\x40\x85K\0\x85\x89NtRs."),
         "a", "1 GiB"},
        {WITH("}(K\1K\2\x86" TENSOR "u."), "", "key"},
        {WITH("}(U\2\xc3(" TENSOR "u."), "", "key"},
        /* Containers in themselves. */
        {WITH("]q\0h\0a."), "0", "itself"},
        {WITH("}q\0U\1ah\0s."), "a", "itself"},
        {WITH("}(U\1acm\nM\n)\x81q\1}U\1mh\1sbu."), "a.m", "itself"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct clv_checkpoint *checkpoint;
        const char *reason = "";
        REQUIRE_OK(open_text(&checkpoint, cases[i].pickle, cases[i].size));
        CHECK_INT(clv_checkpoint_count(checkpoint), 0);
        REQUIRE(clv_checkpoint_skipped_count(checkpoint) == 1);
        CHECK_STRING(clv_checkpoint_skipped_at(checkpoint, 0, &reason), cases[i].name);
        CHECK(strstr(reason, cases[i].reason));
        clv_checkpoint_close(checkpoint);
    }
}

static void deep_and_wide(void)
{
    struct clv_checkpoint *checkpoint;
    struct clv_bytes pickle = {0};
    const char *reason = "";
    for (int i = 0; i < 100000; i++)
        clv_bytes_text(&pickle, "]");
    for (int i = 1; i < 100000; i++)
        clv_bytes_text(&pickle, "a");
    clv_bytes_text(&pickle, ".");
    REQUIRE_OK(open_text(&checkpoint, pickle.data, pickle.size_bytes));
    REQUIRE(clv_checkpoint_skipped_count(checkpoint) == 1);
    (void)clv_checkpoint_skipped_at(checkpoint, 0, &reason);
    CHECK(strstr(reason, "too deeply"));
    clv_checkpoint_close(checkpoint);
    /* Ten references to ten references to …: ten to the thirtieth paths. */
    clv_bytes_clear(&pickle);
    clv_bytes_text(&pickle, "]K\1a");
    for (int i = 0; i < 30; i++) {
        clv_bytes_text(&pickle, "p1\n0](g1\ng1\ng1\ng1\ng1\ng1\ng1\ng1\ng1\ng1\ne");
    }
    clv_bytes_text(&pickle, ".");
    CHECK_ERROR(open_text(&checkpoint, pickle.data, pickle.size_bytes), CLV_ECORRUPT,
                "repeats the same objects");
    /* One large state without names, shared by many objects. */
    clv_bytes_clear(&pickle);
    clv_bytes_text(&pickle, "}(");
    for (int i = 0; i < 20000; i++)
        clv_bytes_text(&pickle, "]N");
    clv_bytes_text(&pickle, "up1\n0](");
    for (int i = 0; i < 20000; i++)
        clv_bytes_text(&pickle, "ca\nb\n)Rg1\nb");
    clv_bytes_text(&pickle, "e.");
    CHECK_ERROR(open_text(&checkpoint, pickle.data, pickle.size_bytes), CLV_ECORRUPT,
                "repeats the same objects");
    clv_bytes_release(&pickle);
}

/* ---- hostile files --------------------------------------------------------------------------- */

static void hostile_tensors(void)
{
    static const int64_t most = INT64_MAX;
    const struct {
        struct pickle_tensor tensor;
        const char *part;
    } cases[] = {
        {{"FloatStorage", "0", 8, 8, 1, 1, {1}, {1}}, "reaches element 8 of a storage of 8"},
        {{"FloatStorage", "0", 8, 0, 1, 1, {9}, {1}}, "reaches element 8"},
        {{"FloatStorage", "0", 8, 1, 2, 2, {2, 2}, {4, 3}}, "reaches element 8"},
        {{"FloatStorage", "0", 8, -1, 1, 1, {1}, {1}}, "offset"},
        {{"FloatStorage", "0", 8, most, 1, 1, {2}, {1}}, "strides that overflow"},
        {{"FloatStorage", "0", 8, 0, 1, 1, {3}, {most}}, "strides that overflow"},
        {{"FloatStorage", "0", 8, 0, 2, 2, {2, 2}, {most, most}}, "strides that overflow"},
        {{"FloatStorage", "0", 8, 0, 1, 1, {-2}, {1}}, "negative shape -2"},
        {{"FloatStorage", "0", 8, 7, 1, 1, {2}, {-1}}, "negative stride -1"},
        {{"FloatStorage", "0", 8, 0, 2, 2, {most, most}, {0, 0}}, "product overflows"},
        {{"FloatStorage", "0", 8, 0, 2, 2, {most / 2, 2}, {0, 0}}, "product overflows"},
        {{"FloatStorage", "0", 8, 0, 2, 1, {2, 2}, {2}}, "2 dimensions and 1 strides"},
        {{"FloatStorage", "0", 9, 0, 1, 1, {1}, {1}}, "9 elements of 4 bytes, the file has 32"},
        {{"FloatStorage", "0", 7, 0, 1, 1, {1}, {1}}, "7 elements of 4 bytes, the file has 32"},
        {{"FloatStorage", "0", most, 0, 1, 1, {1}, {1}}, "the file has 32"},
        {{"FloatStorage", "0", most, most - 1, 1, 1, {1}, {1}}, "the file has 32"},
        {{"FloatStorage", "0", -8, 0, 1, 1, {1}, {1}}, "negative size"},
        {{"FloatStorage", "1", 8, 0, 1, 1, {1}, {1}}, "data/1' is missing"},
        {{"FloatStorage", "../0", 8, 0, 1, 1, {1}, {1}}, "is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct clv_checkpoint *checkpoint;
        struct clv_bytes pickle = {0};
        pickle_one(&pickle, &cases[i].tensor);
        CHECK_ERROR(clv_checkpoint_open(&checkpoint, save(&pickle, eight, sizeof eight, NULL)),
                    CLV_ECORRUPT, cases[i].part);
        CHECK(!checkpoint);
        clv_bytes_release(&pickle);
    }
}

static void hostile_members(void)
{
    static const struct pickle_tensor tensor = {"FloatStorage", "0", 8, 0, 1, 1, {8}, {1}};
    static const struct {
        struct pack_lies lies;
        int status;
        const char *part;
        bool opens;
    } cases[] = {
        {{.crc_changed = 1}, CLV_ECORRUPT, "CRC", true},
        {{.deflated = true, .crc_changed = 1}, CLV_ECORRUPT, "CRC", true},
        {{.encrypted = true}, CLV_EUNSUPPORTED, "encrypted", false},
        {{.size = 1 << 20}, CLV_ECORRUPT, "cannot have", false},
        {{.deflated = true, .size = 1 << 20}, CLV_ECORRUPT, "cannot have", false},
        {{.zip64 = true, .size = UINT64_MAX / 2, .packed = UINT64_MAX / 2},
         CLV_ECORRUPT,
         "of a file of",
         false},
        {{.deflated = true, .size = 64}, CLV_ECORRUPT, "the file has 64", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct clv_checkpoint *checkpoint;
        struct clv_bytes pickle = {0};
        float out[8];
        pickle_one(&pickle, &tensor);
        int status =
            clv_checkpoint_open(&checkpoint, save(&pickle, eight, sizeof eight, &cases[i].lies));
        clv_bytes_release(&pickle);
        CHECK_INT(status == CLV_OK, cases[i].opens);
        if (status == CLV_OK)
            status = clv_checkpoint_read(checkpoint, 0, out);
        CHECK_ERROR(status, cases[i].status, cases[i].part);
        clv_checkpoint_close(checkpoint);
    }
}

static void hostile_pickles(void)
{
    static const struct {
        const char *pickle;
        size_t size;
        const char *part;
    } cases[] = {
        {WITH("}U\1a" TENSOR), "cut off"},
        {WITH("}(U\1a" TENSOR "U\3a.bK\1U\1a}U\1b" TENSOR "su."), NULL},
        {WITH("}(U\3a.b" TENSOR "U\1a}U\1b" TENSOR "su."), "'a.b' is there twice"},
        {WITH("}U\1actorch._utils\n_rebuild_tensor_v2\n)Rs."), "does not name its storage"},
        {WITH("}U\1actorch._utils\n_rebuild_tensor_v2\n(U\1xK\0)))tRs."), "does not name"},
        {WITH("}U\1actorch._utils\n_rebuild_parameter\n)Rs."), "wraps no tensor"},
        {WITH("}U\1actorch._utils\n_rebuild_parameter\n)Rq\1h\1\x85sh\1."), NULL},
        {WITH("}U\1actorch._utils\n_rebuild_tensor_v2\n((U\7storagectorch\nFloatStorage\nU\1"
              "0U\3cpuK\x08tQK\0K\x08K\1\x89NtRs."),
         "has no shape"},
        {WITH("}U\1actorch._utils\n_rebuild_tensor_v2\n((U\7storagectorch\nFloatStorage\nU\1"
              "0U\3cpuK\x08tQK\0U\1x\x85K\1\x85\x89NtRs."),
         "shape that is no integer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct clv_checkpoint *checkpoint;
        int status = open_text(&checkpoint, cases[i].pickle, cases[i].size);
        if (cases[i].part)
            CHECK_ERROR(status, CLV_ECORRUPT, cases[i].part);
        else
            CHECK(status == CLV_OK || status == CLV_ECORRUPT);
        clv_checkpoint_close(checkpoint);
    }
}

/* A parameter that wraps itself. */
static void cyclic_parameter(void)
{
    struct clv_checkpoint *checkpoint;
    CHECK_ERROR(open_text(&checkpoint, WITH("ctorch.nn.parameter\nParameter\n)\x81q\1h\1N\x86"
                                            "b.")),
                CLV_ECORRUPT, "wraps no tensor");
}

static void beyond_four_gigabytes(void)
{
    const char *path = path_of("large.pt");
    const int64_t hole = ((int64_t)4 << 30) + 4096;
    struct pickle_tensor far = {"FloatStorage", "0", hole / 4 + 8, hole / 4, 2, 2, {4, 2}, {1, 4}};
    struct pickle_tensor near = {"FloatStorage", "1", 8, 0, 1, 1, {8}, {1}};
    struct clv_checkpoint *checkpoint;
    struct clv_bytes pickle = {0};
    struct pack pack;
    float out[8];
    clv_bytes_text(&pickle, "\x80\2}(");
    pickle_text(&pickle, "far");
    pickle_tensor(&pickle, &far);
    pickle_text(&pickle, "near");
    pickle_tensor(&pickle, &near);
    clv_bytes_text(&pickle, "u.");
    pack_begin(&pack, path);
    pack_hole(&pack, "a/data/0", (uint64_t)hole, eight, sizeof eight);
    pack_add(&pack, "a/data/1", eight, sizeof eight, &(struct pack_lies){.zip64 = true});
    pack_add(&pack, "a/data.pkl", pickle.data, pickle.size_bytes,
             &(struct pack_lies){.zip64 = true});
    pack_end(&pack);
    clv_bytes_release(&pickle);
    REQUIRE_OK(clv_checkpoint_open(&checkpoint, path));
    CHECK_OK(clv_checkpoint_read(checkpoint, 0, out));
    for (int i = 0; i < 8; i++)
        CHECK_NEAR(out[i], i % 2 * 4 + i / 2, 0);
    CHECK_OK(clv_checkpoint_read(checkpoint, 1, out));
    CHECK(memcmp(out, eight, sizeof eight) == 0);
    clv_checkpoint_close(checkpoint);
    remove(path);
}

/* ---- the old stream -------------------------------------------------------------------------- */

#define FRONT                                                                               \
    "\x80\2\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\2M\xe9\3.\x80\2}U\x0dlittle_" \
    "endian\x88s."
#define FOUR "\0\0\0\0\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40"
/* Elements 1 and 2 of a view of elements 1 to 3. */
#define VIEW                                                                              \
    "\x80\2}U\1vctorch._utils\n_rebuild_tensor_v2\n((U\7storagectorch\nFloatStorage\nU\1" \
    "0U\3cpuK\4U\1vK\1K\3\x87tQK\1K\2\x85K\1\x85\x89NtRs."

static void old_streams(void)
{
    static const struct {
        const char *data;
        size_t size;
        int status;
        const char *part;
    } cases[] = {
        {WITH(FRONT VIEW "]U\1"
                         "0a.\4\0\0\0\0\0\0\0" FOUR),
         CLV_OK, ""},
        {WITH(FRONT VIEW "]U\1"
                         "0a.\4\0\0\0\0\0\0\0\0\0"),
         CLV_ECORRUPT, "cut off"},
        {WITH(FRONT VIEW "]U\1"
                         "0a.\4\0\0"),
         CLV_ECORRUPT, "cut off before storage '0'"},
        {WITH(FRONT VIEW "]U\1"
                         "0a.\3\0\0\0\0\0\0\0" FOUR),
         CLV_ECORRUPT, "the file has 12"},
        {WITH(FRONT VIEW "]U\1"
                         "0a.\xff\xff\xff\xff\xff\xff\xff\xff" FOUR),
         CLV_ECORRUPT, "cut off"},
        {WITH(FRONT VIEW "]."), CLV_ECORRUPT, "storage '0' is missing"},
        {WITH(FRONT VIEW "]U\1"
                         "1a."),
         CLV_EUNSUPPORTED, "belongs to no tensor"},
        {WITH(FRONT VIEW "N."), CLV_ECORRUPT, "no list of storages"},
        {WITH(FRONT VIEW), CLV_ECORRUPT, "cut off"},
        {WITH("\x80\2}."), CLV_EUNSUPPORTED, "not one that torch.save wrote"},
        {WITH(FRONT
              "\x80\2}U\1vctorch._utils\n_rebuild_tensor_v2\n((U\7storagectorch\nFloatStorage\nU\1"
              "0U\3cpuK\4U\1vK\2K\3\x87tQK\1K\2\x85K\1\x85\x89NtRs."),
         CLV_ECORRUPT, "outside of its storage"},
    };
    const char *path = path_of("old.pt");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct clv_checkpoint *checkpoint;
        float out[2];
        REQUIRE_OK(clv_file_replace(path, cases[i].data, cases[i].size));
        int status = clv_checkpoint_open(&checkpoint, path);
        if (cases[i].status != CLV_OK) {
            CHECK_ERROR(status, cases[i].status, cases[i].part);
            continue;
        }
        REQUIRE_OK(status);
        CHECK_INT(clv_checkpoint_format(checkpoint), CLV_CHECKPOINT_TORCH_LEGACY);
        CHECK_OK(clv_checkpoint_read(checkpoint, 0, out));
        CHECK_NEAR(out[0], 2, 0);
        CHECK_NEAR(out[1], 3, 0);
        clv_checkpoint_close(checkpoint);
    }
}

int main(void)
{
    T_RUN(strides);
    T_RUN(sparse_strides);
    T_RUN(data_types);
    T_RUN(big_endian);
    T_RUN(names);
    T_RUN(skipped_tensors);
    T_RUN(deep_and_wide);
    T_RUN(hostile_tensors);
    T_RUN(hostile_members);
    T_RUN(hostile_pickles);
    T_RUN(cyclic_parameter);
    T_RUN(beyond_four_gigabytes);
    T_RUN(old_streams);
    return t_end();
}
