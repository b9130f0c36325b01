/* libzip's reading. Its central directory is trusted for nothing: sizes are checked against the
 * file before anything is allocated by them. */
#include "core/archive.h"

#include "core/error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>

/* Pieces small enough to be in cache when their CRC is taken. */
#define PIECE_BYTES ((size_t)256 * 1024)
/* No deflate stream unpacks to more than this many times its size. */
#define DEFLATE_RATIO_MAX 1032

struct clv_archive {
    char *path;
    zip_t *zip;
    uint64_t file_bytes;
    size_t count;
    /* The member that clv_archive_read_at() reads, left open between calls. */
    zip_file_t *stream;
    size_t stream_index;
    uint64_t stream_at;
};

bool clv_archive_is_zip(const void *data, size_t size_bytes)
{
    /* A member, or the end of an archive without any. */
    return size_bytes >= 4 && (memcmp(data, "PK\3\4", 4) == 0 || memcmp(data, "PK\5\6", 4) == 0);
}

static int fail_open(const char *path, int code)
{
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    int status;
    if (code == ZIP_ER_MEMORY)
        status = clv_fail_memory("a zip archive");
    else if (code == ZIP_ER_OPEN || code == ZIP_ER_READ || code == ZIP_ER_SEEK)
        status = clv_fail_errno("cannot read '%s'", path);
    else if (code == ZIP_ER_NOZIP)
        status = clv_fail(CLV_ECORRUPT,
                          "'%s' is not a whole zip archive: its directory, at the end, is missing",
                          path);
    else
        status = clv_fail(CLV_ECORRUPT, "the zip archive '%s' is damaged: %s", path,
                          zip_error_strerror(&error));
    zip_error_fini(&error);
    return status;
}

int clv_archive_open(struct clv_archive **out, const char *path)
{
    struct stat facts;
    *out = NULL;
    if (stat(path, &facts) != 0)
        return clv_fail_errno("cannot open '%s'", path);
    if (!S_ISREG(facts.st_mode))
        return clv_fail(CLV_EINVAL, "'%s' is not a regular file", path);
    struct clv_archive *archive = calloc(1, sizeof *archive);
    if (!archive || !(archive->path = strdup(path))) {
        free(archive);
        return clv_fail_memory("a zip archive");
    }
    int code = 0;
    archive->file_bytes = (uint64_t)facts.st_size;
    archive->zip = zip_open(path, ZIP_RDONLY, &code);
    if (!archive->zip) {
        int status = fail_open(path, code);
        clv_archive_close(archive);
        return status;
    }
    archive->count = (size_t)zip_get_num_entries(archive->zip, ZIP_FL_UNCHANGED);
    *out = archive;
    return CLV_OK;
}

static void close_stream(struct clv_archive *archive)
{
    if (archive->stream)
        (void)zip_fclose(archive->stream);
    archive->stream = NULL;
}

void clv_archive_close(struct clv_archive *archive)
{
    if (!archive)
        return;
    close_stream(archive);
    if (archive->zip)
        zip_discard(archive->zip);
    free(archive->path);
    free(archive);
}

const char *clv_archive_path(const struct clv_archive *archive)
{
    return archive->path;
}

size_t clv_archive_count(const struct clv_archive *archive)
{
    return archive->count;
}

const char *clv_archive_at(const struct clv_archive *archive, size_t index, uint64_t *size_out)
{
    zip_stat_t facts;
    zip_stat_init(&facts);
    bool known =
        zip_stat_index(archive->zip, index, ZIP_FL_UNCHANGED | ZIP_FL_ENC_RAW, &facts) == 0;
    if (size_out)
        *size_out = known && (facts.valid & ZIP_STAT_SIZE) ? facts.size : 0;
    return known && (facts.valid & ZIP_STAT_NAME) ? facts.name : "";
}

int clv_archive_find(const struct clv_archive *archive, size_t *index_out, const char *name)
{
    zip_int64_t index = zip_name_locate(archive->zip, name, ZIP_FL_UNCHANGED | ZIP_FL_ENC_RAW);
    if (index < 0)
        return clv_fail(CLV_ENOTFOUND, "'%s' has no member '%.200s'", archive->path, name);
    *index_out = (size_t)index;
    return CLV_OK;
}

int clv_archive_check(const struct clv_archive *archive, size_t index, bool *stored_out)
{
    const zip_uint64_t wanted =
        ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    const char *name = clv_archive_at(archive, index, NULL);
    zip_stat_t facts;
    zip_stat_init(&facts);
    if (zip_stat_index(archive->zip, index, ZIP_FL_UNCHANGED, &facts) != 0 ||
        (facts.valid & wanted) != wanted)
        return clv_fail(CLV_ECORRUPT, "'%s': member '%.200s' is not fully described", archive->path,
                        name);
    if (facts.encryption_method != ZIP_EM_NONE)
        return clv_fail(CLV_EUNSUPPORTED, "'%s': member '%.200s' is encrypted", archive->path,
                        name);
    if (facts.comp_method != ZIP_CM_STORE && facts.comp_method != ZIP_CM_DEFLATE)
        return clv_fail(CLV_EUNSUPPORTED,
                        "'%s': member '%.200s' is packed by method %u, only deflate is read",
                        archive->path, name, facts.comp_method);
    if (facts.comp_size > archive->file_bytes)
        return clv_fail(CLV_ECORRUPT,
                        "'%s': member '%.200s' would take %" PRIu64 " bytes of a file of %" PRIu64,
                        archive->path, name, facts.comp_size, archive->file_bytes);
    bool stored = facts.comp_method == ZIP_CM_STORE;
    if (stored ? facts.size != facts.comp_size : facts.size / DEFLATE_RATIO_MAX > facts.comp_size)
        return clv_fail(CLV_ECORRUPT,
                        "'%s': member '%.200s' cannot have %" PRIu64 " bytes, packed in %" PRIu64,
                        archive->path, name, facts.size, facts.comp_size);
    if (facts.size > PTRDIFF_MAX)
        return clv_fail(CLV_ECORRUPT, "'%s': member '%.200s' cannot have %" PRIu64 " bytes",
                        archive->path, name, facts.size);
    if (stored_out)
        *stored_out = stored;
    return CLV_OK;
}

static int fail_member(const struct clv_archive *archive, size_t index, zip_error_t *error)
{
    const char *name = clv_archive_at(archive, index, NULL);
    switch (zip_error_code_zip(error)) {
    case ZIP_ER_MEMORY:
        return clv_fail_memory("unpacking a zip archive");
    case ZIP_ER_NOPASSWD:
    case ZIP_ER_WRONGPASSWD:
    case ZIP_ER_ENCRNOTSUPP:
        return clv_fail(CLV_EUNSUPPORTED, "'%s': member '%.200s' is encrypted", archive->path,
                        name);
    case ZIP_ER_READ:
        errno = zip_error_code_system(error);
        if (errno)
            return clv_fail_errno("cannot read '%s'", archive->path);
        break;
    case ZIP_ER_CRC:
        return clv_fail(CLV_ECORRUPT, "'%s': member '%.200s' is damaged: its CRC is wrong",
                        archive->path, name);
    default:
        break;
    }
    return clv_fail(CLV_ECORRUPT, "'%s': member '%.200s' is damaged: %s", archive->path, name,
                    zip_error_strerror(error));
}

static int open_member(zip_file_t **out, struct clv_archive *archive, size_t index)
{
    *out = NULL;
    int status = clv_archive_check(archive, index, NULL);
    if (status != CLV_OK)
        return status;
    *out = zip_fopen_index(archive->zip, index, ZIP_FL_UNCHANGED);
    return *out ? CLV_OK : fail_member(archive, index, zip_get_error(archive->zip));
}

/* The next `size_bytes` of an open member; `out` may be NULL to pass over them. */
static int read_on(struct clv_archive *archive, size_t index, zip_file_t *file, void *out,
                   uint64_t size_bytes)
{
    char passed[4096];
    char *at = out;
    while (size_bytes > 0) {
        size_t wanted = at ? PIECE_BYTES : sizeof passed;
        if (wanted > size_bytes)
            wanted = (size_t)size_bytes;
        zip_int64_t got = zip_fread(file, at ? at : passed, wanted);
        if (got < 0)
            return fail_member(archive, index, zip_file_get_error(file));
        if (got == 0)
            return clv_fail(CLV_ECORRUPT, "'%s': member '%.200s' ends %" PRIu64 " bytes early",
                            archive->path, clv_archive_at(archive, index, NULL), size_bytes);
        at = at ? at + got : NULL;
        size_bytes -= (uint64_t)got;
    }
    return CLV_OK;
}

int clv_archive_read(struct clv_archive *archive, size_t index, void *out, size_t size_bytes)
{
    uint64_t size;
    zip_file_t *file;
    const char *name = clv_archive_at(archive, index, &size);
    if (size != size_bytes)
        return clv_fail(CLV_ECORRUPT, "'%s': member '%.200s' has %" PRIu64 " bytes instead of %zu",
                        archive->path, name, size, size_bytes);
    int status = open_member(&file, archive, index);
    if (status != CLV_OK)
        return status;
    status = read_on(archive, index, file, out, size_bytes);
    if (status == CLV_OK) {
        /* The CRC is checked at the end, which is only seen by reading on. */
        char more;
        zip_int64_t got = zip_fread(file, &more, 1);
        if (got < 0)
            status = fail_member(archive, index, zip_file_get_error(file));
        else if (got > 0)
            status = clv_fail(CLV_ECORRUPT, "'%s': member '%.200s' has more than its %zu bytes",
                              archive->path, name, size_bytes);
    }
    (void)zip_fclose(file);
    return status;
}

/* Leaves archive->stream in member `index`, before or at `offset`. */
static int open_stream(struct clv_archive *archive, size_t index, uint64_t offset, bool stored)
{
    bool usable = archive->stream && archive->stream_index == index &&
                  (stored || archive->stream_at <= offset);
    if (!usable) {
        close_stream(archive);
        int status = open_member(&archive->stream, archive, index);
        if (status != CLV_OK)
            return status;
        archive->stream_index = index;
        archive->stream_at = 0;
    }
    if (stored && archive->stream_at != offset) {
        if (zip_fseek(archive->stream, (zip_int64_t)offset, SEEK_SET) != 0)
            return fail_member(archive, index, zip_file_get_error(archive->stream));
        archive->stream_at = offset;
    }
    return CLV_OK;
}

int clv_archive_read_at(struct clv_archive *archive, size_t index, uint64_t offset, void *out,
                        size_t size_bytes)
{
    uint64_t size;
    bool stored;
    const char *name = clv_archive_at(archive, index, &size);
    if (offset > size || size_bytes > size - offset)
        return clv_fail(CLV_ECORRUPT,
                        "'%s': member '%.200s' has %" PRIu64 " bytes, wanted are %zu from %" PRIu64
                        " on",
                        archive->path, name, size, size_bytes, offset);
    int status = clv_archive_check(archive, index, &stored);
    if (status == CLV_OK)
        status = open_stream(archive, index, offset, stored);
    if (status == CLV_OK)
        status = read_on(archive, index, archive->stream, NULL, offset - archive->stream_at);
    if (status == CLV_OK)
        status = read_on(archive, index, archive->stream, out, size_bytes);
    archive->stream_at = offset + size_bytes;
    if (status != CLV_OK)
        close_stream(archive);
    return status;
}

const char *clv_archive_version(void)
{
    return "libzip " LIBZIP_VERSION;
}
