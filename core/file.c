/* Maps, atomic replacement, paths. */
#include "core/file.h"

#include "core/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int clv_map_open(struct clv_map *out, const char *path)
{
    *out = (struct clv_map){0};
    int status = CLV_OK;
    struct stat facts;
    /* O_NONBLOCK so that a FIFO is refused instead of waited for. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return clv_fail_errno("cannot open '%s'", path);
    if (fstat(descriptor, &facts) != 0)
        status = clv_fail_errno("cannot read '%s'", path);
    else if (!S_ISREG(facts.st_mode))
        status = clv_fail(CLV_EINVAL, "'%s' is not a regular file", path);
    else if (facts.st_size > 0) {
        size_t size = (size_t)facts.st_size;
        void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (data == MAP_FAILED)
            status = clv_fail_errno("cannot map '%s'", path);
        else
            *out = (struct clv_map){data, size};
    }
    close(descriptor);
    return status;
}

void clv_map_release(struct clv_map *map)
{
    if (map->data)
        munmap((void *)map->data, map->size_bytes);
    *map = (struct clv_map){0};
}

void clv_map_forget(const void *data, size_t size_bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)data + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)data + size_bytes) / page * page;
    if (begin < end)
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

/* The directory part of `path` ("." where there is none); the caller frees. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

int clv_replace_begin(struct clv_replace *replace, const char *path)
{
    *replace = (struct clv_replace){.descriptor = -1};
    char *directory = directory_of(path);
    char *temporary = NULL;
    replace->path = strdup(path);
    if (!directory || !replace->path ||
        asprintf(&temporary, "%s/.%.200s.XXXXXX", directory, clv_path_base(path)) < 0) {
        free(directory);
        free(replace->path);
        replace->path = NULL;
        return clv_fail_memory("a file name");
    }
    free(directory);
    replace->temporary_path = temporary;
    replace->descriptor = mkostemp(temporary, O_CLOEXEC);
    if (replace->descriptor < 0) {
        int status = clv_fail_errno("cannot create '%s'", path);
        free(replace->temporary_path);
        replace->temporary_path = NULL;
        clv_replace_abort(replace);
        return status;
    }
    /* mkostemp makes it private; an ordinary new file follows the umask. */
    mode_t mask = umask(0);
    umask(mask);
    if (fchmod(replace->descriptor, 0666 & ~mask) != 0) {
        int status = clv_fail_errno("cannot set the mode of '%s'", path);
        clv_replace_abort(replace);
        return status;
    }
    return CLV_OK;
}

int clv_replace_write(struct clv_replace *replace, const void *data, size_t size_bytes)
{
    const char *at = data;
    while (size_bytes > 0) {
        ssize_t written = write(replace->descriptor, at, size_bytes);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return clv_fail_errno("cannot write '%s'", replace->path);
        at += written;
        size_bytes -= (size_t)written;
    }
    return CLV_OK;
}

/* Makes the rename itself durable. Some file systems refuse to sync a directory: not an error. */
static void sync_directory(const char *path)
{
    char *directory = directory_of(path);
    int descriptor = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (descriptor >= 0) {
        (void)fsync(descriptor);
        close(descriptor);
    }
    free(directory);
}

int clv_replace_commit(struct clv_replace *replace)
{
    int status = CLV_OK;
    if (fsync(replace->descriptor) != 0)
        status = clv_fail_errno("cannot write '%s'", replace->path);
    if (close(replace->descriptor) != 0 && status == CLV_OK)
        status = clv_fail_errno("cannot write '%s'", replace->path);
    replace->descriptor = -1;
    if (status == CLV_OK && rename(replace->temporary_path, replace->path) != 0)
        status = clv_fail_errno("cannot put '%s' in place", replace->path);
    if (status == CLV_OK) {
        sync_directory(replace->path);
        free(replace->temporary_path);
        replace->temporary_path = NULL;
    }
    clv_replace_abort(replace);
    return status;
}

void clv_replace_abort(struct clv_replace *replace)
{
    if (!replace->path)
        return;
    if (replace->descriptor >= 0)
        close(replace->descriptor);
    if (replace->temporary_path)
        unlink(replace->temporary_path);
    free(replace->temporary_path);
    free(replace->path);
    *replace = (struct clv_replace){.descriptor = -1};
}

int clv_file_replace(const char *path, const void *data, size_t size_bytes)
{
    struct clv_replace replace;
    int status = clv_replace_begin(&replace, path);
    if (status != CLV_OK)
        return status;
    status = clv_replace_write(&replace, data, size_bytes);
    if (status == CLV_OK)
        return clv_replace_commit(&replace);
    clv_replace_abort(&replace);
    return status;
}

int clv_file_facts(struct clv_file_facts *out, const char *path)
{
    struct stat facts;
    if (stat(path, &facts) != 0)
        return clv_fail_errno("cannot read '%s'", path);
    *out = (struct clv_file_facts){
        .size_bytes = facts.st_size,
        .modified_ns = (int64_t)facts.st_mtim.tv_sec * 1000000000 + facts.st_mtim.tv_nsec,
        .is_directory = S_ISDIR(facts.st_mode),
    };
    return CLV_OK;
}

bool clv_file_exists(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0;
}

int clv_directory_create(const char *path)
{
    char *partial = strdup(path);
    if (!partial)
        return clv_fail_memory("a path");
    int status = CLV_OK;
    for (char *at = partial + (partial[0] != '\0'); status == CLV_OK; at++) {
        char kept = *at;
        if (kept != '/' && kept != '\0')
            continue;
        *at = '\0';
        struct stat facts;
        if (mkdir(partial, 0777) != 0 &&
            !(errno == EEXIST && stat(partial, &facts) == 0 && S_ISDIR(facts.st_mode)))
            status = clv_fail_errno("cannot make the directory '%s'", partial);
        *at = kept;
        if (kept == '\0')
            break;
    }
    free(partial);
    return status;
}

char *clv_path_join(const char *directory, const char *name)
{
    char *path = NULL;
    size_t size = strlen(directory);
    const char *separator = size > 0 && directory[size - 1] == '/' ? "" : "/";
    int made = name[0] == '/' ? asprintf(&path, "%s", name)
                              : asprintf(&path, "%s%s%s", directory, separator, name);
    if (made < 0) {
        clv_fail_memory("a path");
        return NULL;
    }
    return path;
}

int clv_path_absolute(char **out, const char *path)
{
    *out = realpath(path, NULL);
    return *out ? CLV_OK : clv_fail_errno("cannot find '%s'", path);
}

const char *clv_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* $VARIABLE/claverdb where the variable is an absolute path, else ~/FALLBACK/claverdb. */
static int user_directory(char **out, const char *variable, const char *fallback)
{
    const char *base = getenv(variable);
    const char *home = getenv("HOME");
    *out = NULL;
    int made;
    if (base && base[0] == '/')
        made = asprintf(out, "%s/claverdb", base);
    else if (home && home[0])
        made = asprintf(out, "%s/%s/claverdb", home, fallback);
    else
        return clv_fail(CLV_ENOTFOUND, "neither HOME nor %s is set", variable);
    if (made < 0) {
        *out = NULL;
        return clv_fail_memory("a path");
    }
    return CLV_OK;
}

int clv_path_data_home(char **out)
{
    return user_directory(out, "XDG_DATA_HOME", ".local/share");
}

int clv_path_cache_home(char **out)
{
    return user_directory(out, "XDG_CACHE_HOME", ".cache");
}
