/* Reading whole files, plain and packed. */
#include "core/error.h"
#include "core/file.h"
#include "core/gzip.h"
#include "tests/t.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* gzip of "hello gzip\n", written by Python's gzip.compress(…, mtime=0). */
static const unsigned char packed[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57,
    0x48, 0xaf, 0xca, 0x2c, 0xe0, 0x02, 0x00, 0x39, 0x7c, 0x63, 0x56, 0x0b, 0x00, 0x00, 0x00,
};

static const char *written(const void *data, size_t size)
{
    const char *path = t_path(t_directory(), "file");
    CHECK_OK(clv_file_replace(path, data, size));
    return path;
}

static void reads_plain_and_packed(void)
{
    struct clv_bytes out = {0};
    CHECK_OK(clv_gzip_read(&out, written("plain", 5), 100));
    CHECK_STRING(out.data, "plain");
    CHECK_OK(clv_gzip_read(&out, written(packed, sizeof packed), 100));
    CHECK_STRING(out.data, "hello gzip\n");
    CHECK_INT(out.size_bytes, 11);
    CHECK_OK(clv_gzip_read(&out, written("", 0), 0));
    CHECK_INT(out.size_bytes, 0);
    CHECK_OK(clv_gzip_read(&out, written("\x1f", 1), 100)); /* too short to be gzip */
    CHECK_INT(out.size_bytes, 1);
    clv_bytes_release(&out);
}

static void reads_members_one_after_another(void)
{
    unsigned char twice[2 * sizeof packed];
    struct clv_bytes out = {0};
    memcpy(twice, packed, sizeof packed);
    memcpy(twice + sizeof packed, packed, sizeof packed);
    CHECK_OK(clv_gzip_read(&out, written(twice, sizeof twice), 100));
    CHECK_STRING(out.data, "hello gzip\nhello gzip\n");
    clv_bytes_release(&out);
}

static void keeps_to_the_limit(void)
{
    struct clv_bytes out = {0};
    CHECK_OK(clv_gzip_read(&out, written(packed, sizeof packed), 11));
    CHECK_ERROR(clv_gzip_read(&out, written(packed, sizeof packed), 10), CLV_EINVAL,
                "more than 10 bytes");
    CHECK_INT(out.size_bytes, 0);
    CHECK_ERROR(clv_gzip_read(&out, written("plain", 5), 4), CLV_EINVAL, "more than 4 bytes");
    clv_bytes_release(&out);
}

static void every_cut_is_noticed(void)
{
    struct clv_bytes out = {0};
    for (size_t size = 2; size < sizeof packed; size++) {
        CHECK_ERROR(clv_gzip_read(&out, written(packed, size), 100), CLV_ECORRUPT, "gzip data of");
        CHECK_INT(out.size_bytes, 0);
    }
    clv_bytes_release(&out);
}

static void damage_is_noticed(void)
{
    unsigned char bad[sizeof packed];
    struct clv_bytes out = {0};
    /* The first data byte, and the check sum and length at the end. */
    for (size_t at = 10; at < sizeof packed; at = at == 10 ? sizeof packed - 8 : at + 1) {
        memcpy(bad, packed, sizeof packed);
        bad[at] ^= 0x40;
        CHECK_ERROR(clv_gzip_read(&out, written(bad, sizeof bad), 100), CLV_ECORRUPT,
                    "gzip data of");
    }
    clv_bytes_release(&out);
}

static void refuses_what_is_no_file(void)
{
    struct clv_bytes out = {0};
    CHECK_ERROR(clv_gzip_read(&out, t_path(t_directory(), "absent"), 100), CLV_ENOTFOUND, "absent");
    CHECK_ERROR(clv_gzip_read(&out, t_directory(), 100), CLV_EINVAL, "not a regular file");
    const char *fifo = t_path(t_directory(), "fifo");
    REQUIRE(mkfifo(fifo, 0600) == 0);
    CHECK_ERROR(clv_gzip_read(&out, fifo, 100), CLV_EINVAL, "not a regular file");
    clv_bytes_release(&out);
}

int main(void)
{
    T_RUN(reads_plain_and_packed);
    T_RUN(reads_members_one_after_another);
    T_RUN(keeps_to_the_limit);
    T_RUN(every_cut_is_noticed);
    T_RUN(damage_is_noticed);
    T_RUN(refuses_what_is_no_file);
    return t_end();
}
