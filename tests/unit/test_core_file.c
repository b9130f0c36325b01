/* Maps, atomic replacement, facts and paths. */
#include "core/error.h"
#include "core/file.h"
#include "tests/t.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void check_content(const char *path, const char *want)
{
    struct clv_map map;
    REQUIRE_OK(clv_map_open(&map, path));
    CHECK_INT(map.size_bytes, strlen(want));
    CHECK(map.size_bytes == strlen(want) &&
          (map.size_bytes == 0 || memcmp(map.data, want, map.size_bytes) == 0));
    clv_map_forget(map.data, map.size_bytes);
    CHECK(map.size_bytes == 0 || memcmp(map.data, want, map.size_bytes) == 0);
    clv_map_release(&map);
}

static int entries_in(const char *directory)
{
    DIR *handle = opendir(directory);
    int count = 0;
    while (handle && readdir(handle))
        count++;
    if (handle)
        closedir(handle);
    return count - 2; /* "." and ".." */
}

static void maps_hold_the_file(void)
{
    const char *directory = t_directory();
    const char *path = t_path(directory, "file");
    struct clv_map map;
    CHECK_OK(clv_file_replace(path, "content", 7));
    check_content(path, "content");
    CHECK_OK(clv_file_replace(path, "", 0));
    REQUIRE_OK(clv_map_open(&map, path));
    CHECK(map.data == NULL && map.size_bytes == 0);
    clv_map_release(&map);
    clv_map_release(&map);
    CHECK_ERROR(clv_map_open(&map, t_path(directory, "absent")), CLV_ENOTFOUND, "absent");
    CHECK(map.data == NULL);
    CHECK_ERROR(clv_map_open(&map, directory), CLV_EINVAL, "not a regular file");
    const char *fifo = t_path(directory, "fifo");
    REQUIRE(mkfifo(fifo, 0600) == 0);
    CHECK_ERROR(clv_map_open(&map, fifo), CLV_EINVAL, "not a regular file");
}

static void replacing_is_atomic_and_leaves_nothing(void)
{
    const char *directory = t_directory();
    const char *path = t_path(directory, "file");
    struct clv_replace replace;
    CHECK_OK(clv_file_replace(path, "old", 3));
    REQUIRE_OK(clv_replace_begin(&replace, path));
    CHECK_OK(clv_replace_write(&replace, "ne", 2));
    check_content(path, "old");
    CHECK_OK(clv_replace_write(&replace, "w", 1));
    CHECK_OK(clv_replace_commit(&replace));
    check_content(path, "new");
    clv_replace_abort(&replace);
    CHECK_INT(entries_in(directory), 1);

    REQUIRE_OK(clv_replace_begin(&replace, path));
    CHECK_OK(clv_replace_write(&replace, "lost", 4));
    clv_replace_abort(&replace);
    clv_replace_abort(&replace);
    check_content(path, "new");
    CHECK_INT(entries_in(directory), 1);
}

static void failed_replacing_keeps_the_old_file(void)
{
    const char *directory = t_directory();
    struct clv_replace replace;
    /* A directory cannot be replaced by a file: the rename fails, after everything was written. */
    const char *taken = t_path(directory, "taken");
    CHECK_OK(clv_directory_create(t_path(taken, "inside")));
    CHECK_ERROR(clv_file_replace(taken, "x", 1), CLV_EIO, "cannot put");
    CHECK(clv_file_exists(t_path(taken, "inside")));
    CHECK_INT(entries_in(directory), 1);
    CHECK_ERROR(clv_replace_begin(&replace, t_path(directory, "no/such/file")), CLV_ENOTFOUND,
                "cannot create");
    clv_replace_abort(&replace); /* safe after a failed begin */
    CHECK_ERROR(clv_file_replace(t_path(directory, "no/file"), "x", 1), CLV_ENOTFOUND, "no/file");
}

static void new_files_follow_the_umask(void)
{
    const char *path = t_path(t_directory(), "file");
    struct stat facts;
    mode_t kept = umask(027);
    CHECK_OK(clv_file_replace(path, "x", 1));
    umask(kept);
    REQUIRE(stat(path, &facts) == 0);
    CHECK_INT(facts.st_mode & 0777, 0640);
}

/* File systems allow 255 bytes; the temporary name beside it must fit too. */
static void long_names_can_be_replaced(void)
{
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    const char *path = t_path(t_directory(), name);
    CHECK_OK(clv_file_replace(path, "x", 1));
    check_content(path, "x");
}

static void names_without_a_directory_are_here(void)
{
    char *here = getcwd(NULL, 0);
    REQUIRE(here != NULL);
    REQUIRE(chdir(t_directory()) == 0);
    CHECK_OK(clv_file_replace("plain", "x", 1));
    check_content("plain", "x");
    CHECK_OK(clv_directory_create("a/b//c/"));
    CHECK_OK(clv_directory_create("a/b"));
    CHECK(clv_file_exists("a/b/c"));
    CHECK_ERROR(clv_directory_create("plain/sub"), CLV_EIO, "'plain'");
    CHECK_ERROR(clv_directory_create(""), CLV_ENOTFOUND, "''");
    CHECK(chdir(here) == 0);
    free(here);
}

static void facts_are_the_files(void)
{
    const char *directory = t_directory();
    const char *path = t_path(directory, "file");
    struct clv_file_facts facts;
    CHECK_OK(clv_file_replace(path, "12345", 5));
    REQUIRE_OK(clv_file_facts(&facts, path));
    CHECK_INT(facts.size_bytes, 5);
    CHECK(!facts.is_directory);
    CHECK(facts.modified_ns > INT64_C(1600000000000000000));
    REQUIRE_OK(clv_file_facts(&facts, directory));
    CHECK(facts.is_directory);
    const char *dangling = t_path(directory, "dangling");
    CHECK(symlink("nowhere", dangling) == 0);
    CHECK_ERROR(clv_file_facts(&facts, dangling), CLV_ENOTFOUND, "dangling");
    CHECK(!clv_file_exists(dangling));
    CHECK(clv_file_exists(path));
}

static void check_join(const char *directory, const char *name, const char *want)
{
    char *path = clv_path_join(directory, name);
    CHECK_STRING(path, want);
    free(path);
}

static void paths_are_put_together(void)
{
    check_join("a", "b", "a/b");
    check_join("a/", "b", "a/b");
    check_join("/", "b", "/b");
    check_join("a", "/b", "/b");
    CHECK_STRING(clv_path_base("a/b"), "b");
    CHECK_STRING(clv_path_base("b"), "b");
    CHECK_STRING(clv_path_base("a/"), "");
    CHECK_STRING(clv_path_base("/"), "");
    char *absolute = NULL;
    REQUIRE_OK(clv_path_absolute(&absolute, "/usr/../usr/./bin/.."));
    CHECK_STRING(absolute, "/usr");
    free(absolute);
    CHECK_ERROR(clv_path_absolute(&absolute, "/no/such"), CLV_ENOTFOUND, "/no/such");
    CHECK(absolute == NULL);
}

/* A copy of a variable that lives on when the variable changes; NULL where it is unset. */
static char *kept_variable(const char *name)
{
    const char *value = getenv(name);
    return value ? strdup(value) : NULL;
}

static void restore_variable(const char *name, char *value)
{
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
    free(value);
}

static void data_home_follows_the_environment(void)
{
    char *path = NULL, *home = kept_variable("HOME"), *data = kept_variable("XDG_DATA_HOME");
    setenv("XDG_DATA_HOME", "/data", 1);
    setenv("HOME", "/home/x", 1);
    CHECK_OK(clv_path_data_home(&path));
    CHECK_STRING(path, "/data/claverdb");
    free(path);
    setenv("XDG_DATA_HOME", "relative", 1); /* to be ignored, by its specification */
    CHECK_OK(clv_path_data_home(&path));
    CHECK_STRING(path, "/home/x/.local/share/claverdb");
    free(path);
    unsetenv("XDG_DATA_HOME");
    unsetenv("HOME");
    CHECK_ERROR(clv_path_data_home(&path), CLV_ENOTFOUND, "neither HOME nor");
    CHECK(path == NULL);
    restore_variable("HOME", home);
    restore_variable("XDG_DATA_HOME", data);
}

static void forgotten_pages_come_back(void)
{
    enum { SIZE = 100000 };
    static unsigned char data[SIZE];
    const char *path = t_path(t_directory(), "pages");
    struct clv_map map;
    for (int i = 0; i < SIZE; i++)
        data[i] = (unsigned char)(i * 31 >> 3);
    REQUIRE_OK(clv_file_replace(path, data, SIZE));
    REQUIRE_OK(clv_map_open(&map, path));
    clv_map_forget(map.data + 5, SIZE - 5);
    CHECK(memcmp(map.data, data, SIZE) == 0);
    clv_map_forget(map.data + 5, 10); /* less than a page */
    CHECK(memcmp(map.data, data, SIZE) == 0);
    clv_map_release(&map);
}

int main(void)
{
    T_RUN(maps_hold_the_file);
    T_RUN(replacing_is_atomic_and_leaves_nothing);
    T_RUN(failed_replacing_keeps_the_old_file);
    T_RUN(new_files_follow_the_umask);
    T_RUN(long_names_can_be_replaced);
    T_RUN(names_without_a_directory_are_here);
    T_RUN(facts_are_the_files);
    T_RUN(paths_are_put_together);
    T_RUN(data_home_follows_the_environment);
    T_RUN(forgotten_pages_come_back);
    return t_end();
}
