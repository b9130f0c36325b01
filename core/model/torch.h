/* Private to core/model: tensors in what torch.save and torch.jit.save write.
 *
 * A file is one pickled object whose tensors are records naming a storage, an offset, a shape and
 * strides, and beside it the storages' bytes: members of a zip archive, or, before PyTorch 1.6, the
 * rest of the stream. Opening walks the object, names what it finds, and checks every tensor
 * against the true size of its storage; reading fetches the bytes. */
#ifndef CLV_CORE_MODEL_TORCH_H
#define CLV_CORE_MODEL_TORCH_H

#include "core/archive.h"
#include "core/file.h"
#include "core/model/pickle.h"
#include "core/model/pool.h"
#include "core/model/weights.h"

struct clv_torch_tensor {
    struct clv_weight_entry entry;
    int64_t strides[CLV_DIMENSION_MAX]; /* in elements, as the offset and the counts below */
    int64_t offset;                     /* from the start of the storage's bytes, views included */
    bool contiguous;
    /* The storage as the pickle describes it. */
    const struct clv_pickle_text *key;
    int64_t storage_count;
    int64_t view_offset;
    int64_t view_count; /* of the part of the storage that is the tensor's; all of it as a rule */
    size_t storage;     /* index into clv_torch.storages */
};

struct clv_torch_storage {
    const struct clv_pickle_text *key;
    size_t user_count; /* tensors */
    size_t size_bytes;
    size_t member;             /* of the archive */
    bool stored;               /* not deflated */
    const unsigned char *data; /* in the map, where there is no archive */
};

struct clv_torch_setting {
    const char *path;
    const char *value;
};

struct clv_torch_skipped {
    const char *name;
    const char *reason;
};

struct clv_torch {
    char *path;
    bool is_script;
    bool swapped; /* the storages are big-endian */
    struct clv_archive *archive;
    char *root; /* the archive's folder with its '/' */
    unsigned char *pickled;
    struct clv_map map;
    struct clv_pickle *pickle;
    struct clv_pool pool; /* names and settings */
    struct clv_torch_tensor *tensors;
    size_t tensor_count, tensor_capacity;
    struct clv_torch_storage *storages;
    size_t storage_count;
    struct clv_torch_setting *settings; /* sorted by path once open */
    size_t setting_count, setting_capacity;
    struct clv_torch_skipped *skipped;
    size_t skipped_count, skipped_capacity;
    unsigned char *cache; /* a deflated storage that several tensors share */
    size_t cached;        /* its index */
};

/* CLV_ECORRUPT or CLV_EUNSUPPORTED name the file and the reason. */
int clv_torch_open_zip(struct clv_torch **out, const char *path);
int clv_torch_open_legacy(struct clv_torch **out, const char *path);
void clv_torch_close(struct clv_torch *torch);
/* Into entry.size_bytes of `out`, row-major. */
int clv_torch_read(struct clv_torch *torch, size_t index, void *out);
const char *clv_torch_setting(const struct clv_torch *torch, const char *path);

/* ---- between the parts of this module ---- */

/* True where the record is a tensor (or would be one to PyTorch). */
bool clv_torch_is_tensor(const struct clv_pickle_value *value);
/* Fills everything but entry.name and storage. Where claverdb has no use for such a tensor,
 * *reason_out says why and the status is CLV_OK; it is NULL otherwise. */
int clv_torch_tensor_parse(struct clv_torch_tensor *out, const char **reason_out, const char *path,
                           const char *name, const struct clv_pickle_value *value);
/* Names the tensors and settings of the whole object. */
int clv_torch_walk(struct clv_torch *torch, struct clv_pickle_value *root, size_t value_count);
/* Groups the tensors by storage, in torch->storages; their places are still to be filled in. */
int clv_torch_group(struct clv_torch *torch);
/* Checks a tensor against the now known size of its storage. */
int clv_torch_tensor_check(const struct clv_torch *torch, const struct clv_torch_tensor *tensor);
/* Bytes of the tensor's storage. */
int clv_torch_fetch(struct clv_torch *torch, const struct clv_torch_tensor *tensor,
                    size_t offset_bytes, void *out, size_t size_bytes);
/* Makes room for one more element. */
int clv_torch_grow(void *array, size_t *capacity, size_t count, size_t size_bytes);

#endif
