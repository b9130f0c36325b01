/* The zip format as in PKWARE's APPNOTE.TXT, sections 4.3 to 4.5. */
#include "tests/unit/pack.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static void number(struct clv_bytes *out, uint64_t value, int size)
{
    for (int i = 0; i < size; i++) {
        char byte = (char)(i < 8 ? value >> 8 * i & 0xff : 0);
        clv_bytes_add(out, &byte, 1);
    }
}

void pack_begin(struct pack *pack, const char *path)
{
    *pack = (struct pack){.file = fopen(path, "wb")};
    if (!pack->file)
        abort();
}

/* What both headers of a member have in common, from the flags on. */
static void facts(struct clv_bytes *out, const struct pack_lies *lies, uint32_t crc,
                  uint64_t packed, uint64_t size, size_t name_size, size_t extra_size)
{
    number(out, lies->encrypted, 2);
    number(out, lies->deflated ? 8 : 0, 2);
    number(out, 0x21000000, 4); /* a time */
    number(out, crc ^ lies->crc_changed, 4);
    number(out, lies->zip64 ? 0xffffffff : packed, 4);
    number(out, lies->zip64 ? 0xffffffff : size, 4);
    number(out, name_size, 2);
    number(out, extra_size, 2);
}

static void headers(struct pack *pack, const char *name, const struct pack_lies *lies, uint32_t crc,
                    uint64_t packed, uint64_t size)
{
    struct clv_bytes local = {0};
    uint64_t at = lies->offset ? lies->offset : (uint64_t)ftello(pack->file);
    packed = lies->packed ? lies->packed : packed;
    size = lies->size ? lies->size : size;
    number(&local, 0x04034b50, 4);
    number(&local, 45, 2);
    facts(&local, lies, crc, packed, size, strlen(name), lies->zip64 ? 20 : 0);
    clv_bytes_text(&local, name);
    number(&pack->directory, 0x02014b50, 4);
    number(&pack->directory, 45, 2);
    number(&pack->directory, 45, 2);
    facts(&pack->directory, lies, crc, packed, size, strlen(name), lies->zip64 ? 28 : 0);
    number(&pack->directory, 0, 2 + 2 + 2 + 4); /* comment, disk, attributes */
    number(&pack->directory, lies->zip64 ? 0xffffffff : at, 4);
    clv_bytes_text(&pack->directory, name);
    if (lies->zip64) {
        struct clv_bytes *both[] = {&local, &pack->directory};
        for (int i = 0; i < 2; i++) {
            number(both[i], 1, 2);
            number(both[i], i == 0 ? 16 : 24, 2);
            number(both[i], size, 8);
            number(both[i], packed, 8);
        }
        number(&pack->directory, at, 8);
    }
    fwrite(local.data, 1, local.size_bytes, pack->file);
    clv_bytes_release(&local);
    pack->count++;
}

void pack_add(struct pack *pack, const char *name, const void *data, size_t size_bytes,
              const struct pack_lies *lies)
{
    static const struct pack_lies truth = {0};
    uint32_t crc = (uint32_t)crc32(0, data, (uInt)size_bytes);
    unsigned char *packed = NULL;
    size_t packed_size = size_bytes;
    lies = lies ? lies : &truth;
    if (lies->deflated) {
        z_stream stream = {0};
        if (deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
            abort();
        uLong bound = deflateBound(&stream, size_bytes);
        packed = malloc(bound);
        stream.next_in = (Bytef *)data;
        stream.avail_in = (uInt)size_bytes;
        stream.next_out = packed;
        stream.avail_out = (uInt)bound;
        if (!packed || deflate(&stream, Z_FINISH) != Z_STREAM_END)
            abort();
        packed_size = stream.total_out;
        deflateEnd(&stream);
    }
    headers(pack, name, lies, crc, packed_size, size_bytes);
    fwrite(packed ? packed : data, 1, packed_size, pack->file);
    free(packed);
}

void pack_hole(struct pack *pack, const char *name, uint64_t hole, const void *data,
               size_t size_bytes)
{
    struct pack_lies lies = {.zip64 = true};
    headers(pack, name, &lies, 0, hole + size_bytes, hole + size_bytes);
    fseeko(pack->file, (off_t)hole, SEEK_CUR);
    fwrite(data, 1, size_bytes, pack->file);
}

void pack_end(struct pack *pack)
{
    struct clv_bytes end = {0};
    uint64_t at = (uint64_t)ftello(pack->file), size = pack->directory.size_bytes;
    fwrite(pack->directory.data, 1, size, pack->file);
    if (at >= UINT32_MAX) {
        number(&end, 0x06064b50, 4);
        number(&end, 44, 8);
        number(&end, 45, 2);
        number(&end, 45, 2);
        number(&end, 0, 8); /* disks */
        number(&end, pack->count, 8);
        number(&end, pack->count, 8);
        number(&end, size, 8);
        number(&end, at, 8);
        number(&end, 0x07064b50, 4);
        number(&end, 0, 4);
        number(&end, at + size, 8);
        number(&end, 1, 4);
    }
    number(&end, 0x06054b50, 4);
    number(&end, 0, 4);
    number(&end, pack->count, 2);
    number(&end, pack->count, 2);
    number(&end, size, 4);
    number(&end, at < UINT32_MAX ? at : UINT32_MAX, 4);
    number(&end, 0, 2);
    fwrite(end.data, 1, end.size_bytes, pack->file);
    if (fclose(pack->file) != 0)
        abort();
    clv_bytes_release(&end);
    clv_bytes_release(&pack->directory);
}

void pickle_text(struct clv_bytes *out, const char *text)
{
    clv_bytes_text(out, "X");
    number(out, strlen(text), 4);
    clv_bytes_text(out, text);
}

void pickle_integer(struct clv_bytes *out, int64_t value)
{
    clv_bytes_text(out, "\x8a\x08");
    number(out, (uint64_t)value, 8);
}

void pickle_tuple(struct clv_bytes *out, const int64_t *values, int count)
{
    clv_bytes_text(out, "(");
    for (int i = 0; i < count; i++)
        pickle_integer(out, values[i]);
    clv_bytes_text(out, "t");
}

void pickle_tensor(struct clv_bytes *out, const struct pickle_tensor *tensor)
{
    clv_bytes_text(out, "ctorch._utils\n_rebuild_tensor_v2\n((");
    pickle_text(out, "storage");
    clv_bytes_format(out, "ctorch\n%s\n", tensor->type);
    pickle_text(out, tensor->key);
    pickle_text(out, "cpu");
    pickle_integer(out, tensor->storage_count);
    clv_bytes_text(out, "tQ");
    pickle_integer(out, tensor->offset);
    pickle_tuple(out, tensor->shape, tensor->shape_count);
    pickle_tuple(out, tensor->strides, tensor->stride_count);
    clv_bytes_text(out, "\x89"
                        "ccollections\nOrderedDict\n)RtR");
}
