/* Zip archives: what is read, at any offset, and what is refused. */
#include "core/archive.h"

#include "core/error.h"
#include "core/file.h"
#include "tests/t.h"
#include "tests/unit/pack.h"

#include <stdlib.h>
#include <string.h>

enum { BIG = 300000 };

static unsigned char *pattern(void)
{
    unsigned char *data = malloc(BIG);
    for (size_t i = 0; data && i < BIG; i++)
        data[i] = (unsigned char)(i * 7 + i / 251);
    return data;
}

static void opens(struct clv_archive **archive, const char *name, const void *data, size_t size,
                  const struct pack_lies *lies)
{
    const char *path = t_path(t_directory(), "one.zip");
    struct pack pack;
    pack_begin(&pack, path);
    pack_add(&pack, name, data, size, lies);
    pack_end(&pack);
    CHECK_OK(clv_archive_open(archive, path));
}

static void reads(bool deflated)
{
    struct clv_archive *archive = NULL;
    unsigned char *data = pattern(), *out = malloc(BIG);
    uint64_t size;
    size_t index;
    bool stored;
    REQUIRE(data && out);
    opens(&archive, "a/b", data, BIG, &(struct pack_lies){.deflated = deflated});
    REQUIRE(archive);
    CHECK_INT(clv_archive_count(archive), 1);
    CHECK_STRING(clv_archive_at(archive, 0, &size), "a/b");
    CHECK_INT(size, BIG);
    CHECK_OK(clv_archive_find(archive, &index, "a/b"));
    CHECK_OK(clv_archive_check(archive, 0, &stored));
    CHECK_INT(stored, !deflated);
    CHECK_ERROR(clv_archive_find(archive, &index, "b"), CLV_ENOTFOUND, "no member 'b'");
    CHECK_OK(clv_archive_read(archive, 0, out, BIG));
    CHECK(memcmp(out, data, BIG) == 0);
    CHECK_ERROR(clv_archive_read(archive, 0, out, BIG - 1), CLV_ECORRUPT, "300000 bytes instead");
    /* Forwards, backwards, from where the last ended, and all of it. */
    static const size_t starts[] = {0, 1000, 70000, 5, 299999, 20, 0, 300000};
    static const size_t sizes[] = {10, 60000, 5000, 200000, 1, 4096, BIG, 0};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        memset(out, 0, BIG);
        CHECK_OK(clv_archive_read_at(archive, 0, starts[i], out, sizes[i]));
        CHECK(memcmp(out, data + starts[i], sizes[i]) == 0);
    }
    CHECK_ERROR(clv_archive_read_at(archive, 0, 1, out, BIG), CLV_ECORRUPT, "from 1 on");
    CHECK_ERROR(clv_archive_read_at(archive, 0, BIG + 1, out, 0), CLV_ECORRUPT, "wanted");
    clv_archive_close(archive);
    free(data);
    free(out);
}

static void stored_members(void)
{
    reads(false);
}

static void deflated_members(void)
{
    reads(true);
}

static void members_with_lies(void)
{
    static const struct {
        struct pack_lies lies;
        int status;
        const char *part;
    } cases[] = {
        {{.crc_changed = 1}, CLV_ECORRUPT, "CRC"},
        {{.deflated = true, .crc_changed = 0x80000000}, CLV_ECORRUPT, "CRC"},
        {{.encrypted = true}, CLV_EUNSUPPORTED, "encrypted"},
        {{.size = BIG + 1}, CLV_ECORRUPT, "cannot have 300001 bytes"},
        {{.size = (uint64_t)1 << 50, .packed = (uint64_t)1 << 50, .zip64 = true},
         CLV_ECORRUPT,
         "of a file of"},
        {{.deflated = true, .size = (uint64_t)1 << 40, .zip64 = true},
         CLV_ECORRUPT,
         "cannot have 1099511627776 bytes"},
        {{.deflated = true, .size = BIG + 1}, CLV_ECORRUPT, ""},
        {{.deflated = true, .size = BIG - 1}, CLV_ECORRUPT, ""},
    };
    unsigned char *data = pattern(), *out = malloc(BIG + 1);
    REQUIRE(data && out);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct clv_archive *archive = NULL;
        opens(&archive, "m", data, BIG, &cases[i].lies);
        REQUIRE(archive);
        uint64_t size;
        (void)clv_archive_at(archive, 0, &size);
        int status = size <= BIG + 1 ? clv_archive_read(archive, 0, out, (size_t)size)
                                     : clv_archive_check(archive, 0, NULL);
        CHECK_ERROR(status, cases[i].status, cases[i].part);
        clv_archive_close(archive);
    }
    free(data);
    free(out);
}

static void no_archives(void)
{
    const char *directory = t_directory(), *path = t_path(directory, "x.zip");
    struct clv_archive *archive;
    CHECK_ERROR(clv_archive_open(&archive, path), CLV_ENOTFOUND, "x.zip");
    CHECK(!archive);
    CHECK_ERROR(clv_archive_open(&archive, directory), CLV_EINVAL, "regular");
    REQUIRE_OK(clv_file_replace(path, "PK\3\4 and nothing more", 22));
    CHECK_ERROR(clv_archive_open(&archive, path), CLV_ECORRUPT, "directory");
    CHECK(clv_archive_is_zip("PK\3\4", 4));
    CHECK(!clv_archive_is_zip("PK\3", 3));
    CHECK(!clv_archive_is_zip("PK\1\2", 4));
    CHECK(strncmp(clv_archive_version(), "libzip ", 7) == 0);
}

static void beyond_four_gigabytes(void)
{
    const char *path = t_path(t_directory(), "large.zip");
    const uint64_t hole = ((uint64_t)4 << 30) + 100;
    struct clv_archive *archive;
    struct pack pack;
    char out[8] = "";
    uint64_t size;
    pack_begin(&pack, path);
    pack_hole(&pack, "large", hole, "tail", 4);
    pack_add(&pack, "after", "small", 5, &(struct pack_lies){.zip64 = true});
    pack_end(&pack);
    REQUIRE_OK(clv_archive_open(&archive, path));
    CHECK_STRING(clv_archive_at(archive, 0, &size), "large");
    CHECK_INT(size, hole + 4);
    CHECK_OK(clv_archive_read_at(archive, 0, hole - 2, out, 6));
    CHECK(memcmp(out, "\0\0tail", 6) == 0);
    CHECK_OK(clv_archive_read(archive, 1, out, 5));
    CHECK(memcmp(out, "small", 5) == 0);
    clv_archive_close(archive);
    remove(path);
}

int main(void)
{
    T_RUN(stored_members);
    T_RUN(deflated_members);
    T_RUN(members_with_lies);
    T_RUN(no_archives);
    T_RUN(beyond_four_gigabytes);
    return t_end();
}
