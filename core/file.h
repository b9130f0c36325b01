/* Files: read-only maps, atomic replacement, and the few path operations claverdb needs. Paths
 * are byte strings; nothing here assumes an encoding. */
#ifndef CLV_CORE_FILE_H
#define CLV_CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A whole file mapped read-only. `data` is NULL when the file is empty. */
struct clv_map {
    const unsigned char *data;
    size_t size_bytes;
};

/* CLV_ENOTFOUND, CLV_EIO, or CLV_EINVAL where `path` is no regular file. */
int clv_map_open(struct clv_map *out, const char *path);
void clv_map_release(struct clv_map *map);
/* Lets the kernel take back the whole pages of a part of a map that was read and is not needed
 * soon; it can be read again. */
void clv_map_forget(const void *data, size_t size_bytes);

/* Writes a file piece by piece to a temporary name beside `path` and puts it in place atomically.
 * clv_replace_commit() syncs file and directory; a kill at any instant leaves the old file or the
 * new one. clv_replace_abort() after a failure (or a commit) is safe and removes the temporary. */
struct clv_replace {
    char *path;
    char *temporary_path;
    int descriptor;
};
int clv_replace_begin(struct clv_replace *replace, const char *path);
int clv_replace_write(struct clv_replace *replace, const void *data, size_t size_bytes);
int clv_replace_commit(struct clv_replace *replace);
void clv_replace_abort(struct clv_replace *replace);

/* The three calls above for one piece. */
int clv_file_replace(const char *path, const void *data, size_t size_bytes);

struct clv_file_facts {
    int64_t size_bytes;
    int64_t modified_ns; /* since 1970-01-01 UTC */
    bool is_directory;
};
/* Follows symbolic links. CLV_ENOTFOUND where there is nothing. */
int clv_file_facts(struct clv_file_facts *out, const char *path);
bool clv_file_exists(const char *path);

/* Makes `path` and its missing parents; fine where it exists already. */
int clv_directory_create(const char *path);

/* "a/b" of "a" and "b" (an absolute `name` is returned as it is); NULL with the message recorded
 * when out of memory. The caller frees. */
char *clv_path_join(const char *directory, const char *name);
/* The absolute path of an existing file with symbolic links resolved; the caller frees. */
int clv_path_absolute(char **out, const char *path);
/* The part after the last '/'; points into `path`. */
const char *clv_path_base(const char *path);
/* $XDG_DATA_HOME/claverdb, or ~/.local/share/claverdb; the caller frees. CLV_ENOTFOUND where
 * neither variable is set. */
int clv_path_data_home(char **out);
/* The same for what can be made again: $XDG_CACHE_HOME/claverdb, or ~/.cache/claverdb. */
int clv_path_cache_home(char **out);

#endif
