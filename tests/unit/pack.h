/* Hand-made zip archives and pickles, right and wrong ones. */
#ifndef CLV_TESTS_UNIT_PACK_H
#define CLV_TESTS_UNIT_PACK_H

#include "core/bytes.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct pack {
    FILE *file;
    struct clv_bytes directory;
    size_t count;
};

/* What a member says of itself where it is not the truth. */
struct pack_lies {
    bool deflated;        /* no lie: packs it */
    bool encrypted;       /* sets the flag */
    bool zip64;           /* uses the 64-bit fields */
    uint32_t crc_changed; /* xor'd into the CRC */
    uint64_t size;        /* unpacked, instead of the true one */
    uint64_t packed;      /* the same for the packed size */
    uint64_t offset;      /* of the local header */
};

void pack_begin(struct pack *pack, const char *path);
void pack_add(struct pack *pack, const char *name, const void *data, size_t size_bytes,
              const struct pack_lies *lies);
/* A stored member of `hole` zero bytes, not written, then `data`; its CRC is wrong. */
void pack_hole(struct pack *pack, const char *name, uint64_t hole, const void *data,
               size_t size_bytes);
void pack_end(struct pack *pack);

/* Opcodes appended to a pickle. */
void pickle_text(struct clv_bytes *out, const char *text);
void pickle_integer(struct clv_bytes *out, int64_t value);
void pickle_tuple(struct clv_bytes *out, const int64_t *values, int count);

struct pickle_tensor {
    const char *type; /* "FloatStorage" */
    const char *key;
    int64_t storage_count;
    int64_t offset;
    int shape_count, stride_count;
    int64_t shape[9], strides[9];
};
/* What calls torch._utils._rebuild_tensor_v2. */
void pickle_tensor(struct clv_bytes *out, const struct pickle_tensor *tensor);

#endif
