/* Files when memory, the disk or the file system gives out. */
#include "core/digest.h"
#include "core/error.h"
#include "core/file.h"
#include "tests/fault/fault.h"
#include "tests/t.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct place {
    const char *directory;
    const char *path;
    const char *deep;
    char *made;
};

static struct place new_place(void)
{
    const char *directory = t_directory();
    return (struct place){.directory = directory,
                          .path = t_path(directory, "file"),
                          .deep = t_path(directory, "a/b/c")};
}

static bool holds(const char *path, const char *want)
{
    struct clv_map map;
    CHECK_OK(clv_map_open(&map, path));
    bool same = map.size_bytes == strlen(want) && memcmp(map.data, want, strlen(want)) == 0;
    clv_map_release(&map);
    return same;
}

/* Files in the directory, hidden ones too. */
static int entries_in(const char *directory)
{
    DIR *handle = opendir(directory);
    int count = -2;
    while (handle && readdir(handle))
        count++;
    if (handle)
        closedir(handle);
    return count;
}

static int write_old(void *payload)
{
    return clv_file_replace(((struct place *)payload)->path, "old content", 11);
}

static int replace_by_new(void *payload)
{
    return clv_file_replace(((struct place *)payload)->path, "new", 3);
}

/* The old file or the new one, whole, and nothing beside it. */
static void check_replaced(void *payload, int status)
{
    struct place *place = payload;
    if (status == CLV_OK)
        CHECK(holds(place->path, "new"));
    else
        CHECK(holds(place->path, "old content"));
    CHECK_INT(entries_in(place->directory), 1);
}

static void replacing_keeps_the_old_file_or_has_the_new(void)
{
    static const int kinds[] = {FAULT_MEMORY, FAULT_WRITE, FAULT_SYNC, FAULT_RENAME,
                                FAULT_MEMORY | FAULT_FILES};
    struct place place = new_place();
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        fault_each(&(struct fault_case){.name = "replace",
                                        .kinds = kinds[i],
                                        .prepare = write_old,
                                        .operate = replace_by_new,
                                        .check = check_replaced,
                                        .payload = &place});
}

static int replace_in_pieces(void *payload)
{
    struct clv_replace replace;
    int status = clv_replace_begin(&replace, ((struct place *)payload)->path);
    if (status != CLV_OK)
        return status;
    for (const char *at = "new"; status == CLV_OK && *at; at++)
        status = clv_replace_write(&replace, at, 1);
    if (status == CLV_OK)
        status = clv_replace_commit(&replace);
    clv_replace_abort(&replace);
    return status;
}

static void replacing_in_pieces_does_so_too(void)
{
    struct place place = new_place();
    fault_each(&(struct fault_case){.name = "replace in pieces",
                                    .kinds = FAULT_MEMORY | FAULT_FILES,
                                    .prepare = write_old,
                                    .operate = replace_in_pieces,
                                    .check = check_replaced,
                                    .payload = &place});
}

static int write_first(void *payload)
{
    (void)unlink(((struct place *)payload)->path);
    return CLV_OK;
}

static void check_first(void *payload, int status)
{
    struct place *place = payload;
    CHECK_INT(entries_in(place->directory), status == CLV_OK);
    CHECK_INT(clv_file_exists(place->path), status == CLV_OK);
}

static void a_first_file_is_whole_or_absent(void)
{
    struct place place = new_place();
    fault_each(&(struct fault_case){.name = "first file",
                                    .kinds = FAULT_MEMORY | FAULT_FILES,
                                    .prepare = write_first,
                                    .operate = replace_by_new,
                                    .check = check_first,
                                    .payload = &place});
}

static int make_paths(void *payload)
{
    struct place *place = payload;
    int status = clv_directory_create(place->deep);
    place->made = status == CLV_OK ? clv_path_join(place->directory, "name") : NULL;
    if (status == CLV_OK && !place->made)
        status = CLV_ENOMEM;
    char *home = NULL;
    if (status == CLV_OK)
        status = clv_path_data_home(&home);
    CHECK((home != NULL) == (status == CLV_OK));
    free(home);
    return status;
}

static void check_paths(void *payload, int status)
{
    struct place *place = payload;
    CHECK(status == CLV_OK || status == CLV_ENOMEM);
    CHECK(status != CLV_OK || clv_file_exists(place->deep));
    free(place->made);
    place->made = NULL;
}

static void paths_report_want_of_memory(void)
{
    struct place place = new_place();
    setenv("HOME", "/home/x", 1);
    fault_each(&(struct fault_case){.name = "paths",
                                    .kinds = FAULT_MEMORY,
                                    .operate = make_paths,
                                    .check = check_paths,
                                    .payload = &place});
}

static int digest(void *payload)
{
    uint8_t out[CLV_DIGEST_BYTES];
    int status = clv_digest_file(out, ((struct place *)payload)->path, NULL);
    char *text = status == CLV_OK ? clv_base64(out, sizeof out) : NULL;
    if (status == CLV_OK && !text)
        status = CLV_ENOMEM;
    free(text);
    return status;
}

static void check_memory(void *payload, int status)
{
    (void)payload;
    CHECK(status == CLV_OK || status == CLV_ENOMEM);
}

static void digests_report_want_of_memory(void)
{
    struct place place = new_place();
    CHECK_OK(write_old(&place));
    fault_each(&(struct fault_case){.name = "digest",
                                    .kinds = FAULT_MEMORY,
                                    .operate = digest,
                                    .check = check_memory,
                                    .payload = &place});
}

int main(void)
{
    T_RUN(replacing_keeps_the_old_file_or_has_the_new);
    T_RUN(replacing_in_pieces_does_so_too);
    T_RUN(a_first_file_is_whole_or_absent);
    T_RUN(paths_report_want_of_memory);
    T_RUN(digests_report_want_of_memory);
    return t_end();
}
