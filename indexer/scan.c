/* Walks folders without recursion: a stack of folders still to read, a set of those seen. */
#include "indexer/scan.h"

#include "core/error.h"
#include "core/file.h"
#include "core/media/reader.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A folder's identity, whatever path led to it. */
struct place {
    dev_t device;
    ino_t inode;
};

struct walk {
    struct clv_scan *scan;
    struct clv_cancel *cancel;
    int file_capacity, problem_capacity;
    char **folders; /* stack of resolved paths, owned */
    int folder_count, folder_capacity;
    struct place *seen; /* open addressing; inode 0 is a free slot */
    size_t seen_count, seen_capacity;
};

/* `array` with room for one more element of `size` bytes; NULL, and `array` as it was, where there
 * is no memory for it. */
static void *with_room(void *array, int *capacity, int count, size_t size)
{
    if (count < *capacity)
        return array;
    int wanted = *capacity ? *capacity * 2 : 16;
    void *grown = wanted > 0 ? realloc(array, (size_t)wanted * size) : NULL;
    if (grown)
        *capacity = wanted;
    return grown;
}

static size_t slot_of(const struct walk *walk, struct place place)
{
    uint64_t hash = ((uint64_t)place.inode ^ (uint64_t)place.device << 40) * 0x9e3779b97f4a7c15u;
    size_t slot = (size_t)(hash >> 20) % walk->seen_capacity;
    while (walk->seen[slot].inode &&
           (walk->seen[slot].inode != place.inode || walk->seen[slot].device != place.device))
        slot = (slot + 1) % walk->seen_capacity;
    return slot;
}

/* Sets *is_new_out where the folder was not seen before. */
static int see(struct walk *walk, const struct stat *facts, bool *is_new_out)
{
    if (2 * (walk->seen_count + 1) > walk->seen_capacity) {
        struct place *old = walk->seen;
        size_t old_capacity = walk->seen_capacity;
        size_t capacity = old_capacity ? old_capacity * 2 : 64;
        walk->seen = calloc(capacity, sizeof *walk->seen);
        if (!walk->seen) {
            walk->seen = old;
            return clv_fail_memory("a list of folders");
        }
        walk->seen_capacity = capacity;
        for (size_t i = 0; i < old_capacity; i++)
            if (old[i].inode)
                walk->seen[slot_of(walk, old[i])] = old[i];
        free(old);
    }
    struct place place = {facts->st_dev, facts->st_ino};
    size_t slot = slot_of(walk, place);
    *is_new_out = walk->seen[slot].inode == 0;
    if (*is_new_out) {
        walk->seen[slot] = place;
        walk->seen_count++;
    }
    return CLV_OK;
}

/* Keeps the sentence just recorded about `folder`. */
static int add_problem(struct walk *walk, const char *folder)
{
    struct clv_scan *scan = walk->scan;
    struct clv_scan_problem *problems =
        with_room(scan->problems, &walk->problem_capacity, scan->problem_count, sizeof *problems);
    if (problems)
        scan->problems = problems;
    char *reason = problems ? strdup(clv_error_message()) : NULL;
    char *path = reason ? strdup(folder) : NULL;
    if (!path) {
        free(reason);
        return clv_fail_memory("a list of problems");
    }
    scan->problems[scan->problem_count++] = (struct clv_scan_problem){path, reason};
    return CLV_OK;
}

/* Takes `path` over, also on failure. */
static int add_folder(struct walk *walk, char *path, const struct stat *facts)
{
    bool is_new = false;
    int status = see(walk, facts, &is_new);
    if (status != CLV_OK || !is_new) {
        free(path);
        return status;
    }
    char **folders =
        with_room(walk->folders, &walk->folder_capacity, walk->folder_count, sizeof(char *));
    if (!folders) {
        free(path);
        return clv_fail_memory("a list of folders");
    }
    walk->folders = folders;
    folders[walk->folder_count++] = path;
    return CLV_OK;
}

/* Takes `path` over, also on failure. */
static int add_file(struct walk *walk, char *path, const struct stat *facts, int is_named)
{
    struct clv_scan *scan = walk->scan;
    struct clv_scan_file *files =
        with_room(scan->files, &walk->file_capacity, scan->count, sizeof *files);
    if (!files) {
        free(path);
        return clv_fail_memory("a list of files");
    }
    scan->files = files;
    scan->files[scan->count++] = (struct clv_scan_file){
        .path = path,
        .size_bytes = facts->st_size,
        .modified_ns = (int64_t)facts->st_mtim.tv_sec * 1000000000 + facts->st_mtim.tv_nsec,
        .is_named = is_named,
    };
    return CLV_OK;
}

/* One entry of the folder `folder`. *refused_out is set where the system will not tell what it
 * is. */
static int visit_entry(struct walk *walk, const char *folder, const char *name, bool *refused_out)
{
    struct stat facts;
    char *resolved = NULL;
    char *path = clv_path_join(folder, name);
    if (!path)
        return CLV_ENOMEM;
    int found = lstat(path, &facts);
    if (found == 0 && S_ISLNK(facts.st_mode)) {
        /* A dangling link, or one of a ring of links, leads to no file. */
        resolved = realpath(path, NULL);
        found = resolved ? stat(resolved, &facts) : -1;
        free(path);
        path = resolved;
        if (!path)
            return CLV_OK;
    }
    if (found != 0)
        *refused_out = *refused_out || (errno != ENOENT && errno != ELOOP);
    else if (S_ISDIR(facts.st_mode))
        return add_folder(walk, path, &facts);
    else if (S_ISREG(facts.st_mode) && clv_media_is_video_name(name))
        return add_file(walk, path, &facts, 0);
    free(path);
    return CLV_OK;
}

static int read_folder(struct walk *walk, const char *folder)
{
    int status = CLV_OK;
    bool refused = false;
    DIR *directory = opendir(folder);
    if (!directory) {
        if (errno == ENOMEM)
            return clv_fail_memory("a folder's entries");
        (void)clv_fail_errno("cannot read the folder '%s'", folder);
        return add_problem(walk, folder);
    }
    while (status == CLV_OK) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry) {
            if (errno != 0) {
                (void)clv_fail_errno("cannot read all of the folder '%s'", folder);
                status = add_problem(walk, folder);
            }
            break;
        }
        /* Synology keeps its thumbnails in @eaDir folders, under video names. */
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "@eaDir") == 0)
            continue;
        status = visit_entry(walk, folder, entry->d_name, &refused);
    }
    closedir(directory);
    if (status == CLV_OK && refused) {
        (void)clv_fail(CLV_EIO, "cannot read the entries of the folder '%s'", folder);
        status = add_problem(walk, folder);
    }
    return status;
}

static int visit_root(struct walk *walk, const char *given)
{
    struct clv_scan *scan = walk->scan;
    struct stat facts;
    char *path = NULL;
    int status = clv_path_absolute(&path, given);
    if (status != CLV_OK)
        return status;
    char *copy = NULL;
    if (stat(path, &facts) != 0)
        status = clv_fail_errno("cannot read '%s'", given);
    else if (!S_ISDIR(facts.st_mode) && !S_ISREG(facts.st_mode))
        status = clv_fail(CLV_EINVAL, "'%s' is neither a file nor a folder", given);
    else if (!(copy = strdup(path)))
        status = clv_fail_memory("a path");
    if (status != CLV_OK) {
        free(path);
        return status;
    }
    scan->roots[scan->root_count++] = copy;
    return S_ISDIR(facts.st_mode) ? add_folder(walk, path, &facts)
                                  : add_file(walk, path, &facts, 1);
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct clv_scan_file *)a)->path, ((const struct clv_scan_file *)b)->path);
}

/* Sorts by path, keeps each path once (named, if it was named once) and adds the sizes up. */
static void settle(struct clv_scan *scan)
{
    int count = 0;
    if (scan->count > 0)
        qsort(scan->files, (size_t)scan->count, sizeof *scan->files, compare_files);
    for (int i = 0; i < scan->count; i++) {
        struct clv_scan_file *file = &scan->files[i];
        if (count > 0 && strcmp(scan->files[count - 1].path, file->path) == 0) {
            scan->files[count - 1].is_named |= file->is_named;
            free(file->path);
        } else {
            scan->files[count++] = *file;
            scan->size_bytes += file->size_bytes;
        }
    }
    scan->count = count;
}

int clv_scan_paths(struct clv_scan *out, const char *const *paths, int path_count,
                   struct clv_cancel *cancel)
{
    *out = (struct clv_scan){0};
    struct walk walk = {.scan = out, .cancel = cancel};
    int status = CLV_OK;
    out->roots = calloc(path_count > 0 ? (size_t)path_count : 1, sizeof(char *));
    if (!out->roots)
        return clv_fail_memory("a list of paths");
    for (int i = 0; i < path_count && status == CLV_OK; i++)
        status = visit_root(&walk, paths[i]);
    while (status == CLV_OK && walk.folder_count > 0) {
        char *folder = walk.folders[--walk.folder_count];
        status = clv_cancelled(cancel) ? clv_fail(CLV_ECANCELED, "cancelled while reading folders")
                                       : read_folder(&walk, folder);
        free(folder);
    }
    while (walk.folder_count > 0)
        free(walk.folders[--walk.folder_count]);
    free(walk.folders);
    free(walk.seen);
    settle(out);
    return status;
}

void clv_scan_release(struct clv_scan *scan)
{
    for (int i = 0; i < scan->count; i++)
        free(scan->files[i].path);
    for (int i = 0; i < scan->problem_count; i++) {
        free(scan->problems[i].path);
        free(scan->problems[i].reason);
    }
    for (int i = 0; i < scan->root_count; i++)
        free(scan->roots[i]);
    free(scan->files);
    free(scan->problems);
    free(scan->roots);
    *scan = (struct clv_scan){0};
}
