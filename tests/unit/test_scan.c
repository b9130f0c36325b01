/* indexer/scan: which files a walk finds, on a tree with every oddity a disk can hold. */
#include "indexer/scan.h"

#include "core/error.h"
#include "core/file.h"

#include "tests/t.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void make_file(const char *directory, const char *name, size_t size)
{
    char content[64] = {0};
    if (clv_file_replace(t_path(directory, name), content, size) != CLV_OK)
        t_fail(__FILE__, __LINE__, "cannot make %s: %s", name, clv_error_message());
}

static const char *make_folder(const char *directory, const char *name)
{
    const char *path = t_path(directory, name);
    if (mkdir(path, 0777) != 0)
        t_fail(__FILE__, __LINE__, "cannot make %s", path);
    return path;
}

static const char *real_directory(void)
{
    static char resolved[4096];
    return realpath(t_directory(), resolved);
}

/* Checks that the scan found exactly the given names under `directory`, in order. */
static void check_names(const struct clv_scan *scan, const char *directory,
                        const char *const *names, int count)
{
    CHECK_INT(scan->count, count);
    for (int i = 0; i < scan->count && i < count; i++)
        CHECK_STRING(scan->files[i].path, t_path(directory, names[i]));
}

static int scan_one(struct clv_scan *scan, const char *path)
{
    return clv_scan_paths(scan, &path, 1, NULL);
}

static void finds_videos_by_name_in_order(void)
{
    const char *top = real_directory();
    make_file(top, "b.mp4", 3);
    make_file(top, "a.MKV", 5);
    make_file(top, "notes.txt", 7);
    make_file(top, "no_extension", 1);
    const char *folder = make_folder(top, "c");
    make_file(make_folder(folder, "deep"), "x.avi", 11);
    struct clv_scan scan;
    CHECK_OK(scan_one(&scan, top));
    check_names(&scan, top, (const char *[]){"a.MKV", "b.mp4", "c/deep/x.avi"}, 3);
    CHECK_INT(scan.size_bytes, 19);
    CHECK_INT(scan.problem_count, 0);
    CHECK_INT(scan.root_count, 1);
    CHECK_STRING(scan.roots[0], top);
    struct stat facts;
    CHECK_INT(stat(scan.files[1].path, &facts), 0);
    CHECK_INT(scan.files[1].size_bytes, 3);
    CHECK_INT(scan.files[1].modified_ns,
              (int64_t)facts.st_mtim.tv_sec * 1000000000 + facts.st_mtim.tv_nsec);
    CHECK_INT(scan.files[1].is_named, 0);
    clv_scan_release(&scan);
}

static void skips_hidden_and_thumbnail_folders(void)
{
    const char *top = real_directory();
    make_file(top, ".hidden.mp4", 1);
    make_file(make_folder(top, ".git"), "x.mp4", 1);
    make_file(make_folder(top, "@eaDir"), "y.mp4", 1);
    make_file(make_folder(top, "eaDir"), "z.mp4", 1);
    struct clv_scan scan;
    CHECK_OK(scan_one(&scan, top));
    check_names(&scan, top, (const char *[]){"eaDir/z.mp4"}, 1);
    clv_scan_release(&scan);
    /* A hidden folder that is named is meant. */
    CHECK_OK(scan_one(&scan, t_path(top, ".git")));
    check_names(&scan, top, (const char *[]){".git/x.mp4"}, 1);
    clv_scan_release(&scan);
}

static void survives_loops_and_dangling_links(void)
{
    const char *top = real_directory();
    const char *folder = make_folder(top, "folder");
    make_file(folder, "x.mp4", 1);
    CHECK_INT(symlink("..", t_path(folder, "up")), 0);
    CHECK_INT(symlink(".", t_path(folder, "self")), 0);
    CHECK_INT(symlink("folder", t_path(top, "again")), 0);
    CHECK_INT(symlink("ring_b.mp4", t_path(top, "ring_a.mp4")), 0);
    CHECK_INT(symlink("ring_a.mp4", t_path(top, "ring_b.mp4")), 0);
    CHECK_INT(symlink("nowhere.mp4", t_path(top, "dangling.mp4")), 0);
    CHECK_INT(symlink("folder/x.mp4", t_path(top, "link.mp4")), 0);
    CHECK_INT(mkfifo(t_path(top, "pipe.mp4"), 0666), 0);
    struct clv_scan scan;
    CHECK_OK(scan_one(&scan, top));
    check_names(&scan, top, (const char *[]){"folder/x.mp4"}, 1);
    CHECK_INT(scan.problem_count, 0);
    clv_scan_release(&scan);
    CHECK_OK(scan_one(&scan, t_path(folder, "self")));
    check_names(&scan, folder, (const char *[]){"x.mp4"}, 1);
    CHECK_INT(scan.problem_count, 0);
    clv_scan_release(&scan);
}

static void gives_each_file_once(void)
{
    char top[4096], link[4200];
    snprintf(top, sizeof top, "%s", real_directory());
    make_file(top, "a.mp4", 2);
    make_file(make_folder(top, "sub"), "b.mp4", 4);
    make_file(top, "notes.txt", 8);
    snprintf(link, sizeof link, "%s/sub/../a.mp4", top);
    const char *paths[] = {top, t_path(top, "sub"), link, top, t_path(top, "notes.txt")};
    struct clv_scan scan;
    CHECK_OK(clv_scan_paths(&scan, paths, 5, NULL));
    check_names(&scan, top, (const char *[]){"a.mp4", "notes.txt", "sub/b.mp4"}, 3);
    CHECK_INT(scan.size_bytes, 14);
    CHECK_INT(scan.root_count, 5);
    if (scan.count == 3) {
        CHECK_INT(scan.files[0].is_named, 1);
        CHECK_INT(scan.files[1].is_named, 1);
        CHECK_INT(scan.files[2].is_named, 0);
    }
    clv_scan_release(&scan);
}

static void follows_links_out_of_the_folder(void)
{
    char target[4096];
    snprintf(target, sizeof target, "%s", real_directory());
    make_file(target, "blob", 1);
    make_file(make_folder(target, "videos"), "v.mp4", 1);
    const char *top = real_directory();
    CHECK_INT(symlink(t_path(target, "videos"), t_path(top, "linked")), 0);
    CHECK_INT(symlink(t_path(target, "blob"), t_path(top, "blob.mp4")), 0);
    struct clv_scan scan;
    CHECK_OK(scan_one(&scan, top));
    check_names(&scan, target, (const char *[]){"blob", "videos/v.mp4"}, 2);
    clv_scan_release(&scan);
}

static void takes_names_as_bytes(void)
{
    const char *top = real_directory();
    make_file(top, "\xff\xfe caf\xe9.mp4", 1);
    make_file(top, "new\nline 'quote' \"x\".mp4", 1);
    struct clv_scan scan;
    CHECK_OK(scan_one(&scan, top));
    check_names(&scan, top, (const char *[]){"new\nline 'quote' \"x\".mp4", "\xff\xfe caf\xe9.mp4"},
                2);
    clv_scan_release(&scan);
}

static void reports_unreadable_folders_and_goes_on(void)
{
    char top[4096];
    snprintf(top, sizeof top, "%s", real_directory());
    make_file(top, "a.mp4", 1);
    const char *closed = make_folder(top, "closed");
    const char *listed = make_folder(top, "listed");
    make_file(closed, "x.mp4", 1);
    make_file(listed, "y.mp4", 1);
    CHECK_INT(chmod(top, 0755) | chmod(closed, 0) | chmod(listed, 0444), 0);
    bool is_root = geteuid() == 0;
    REQUIRE(!is_root || seteuid(65534) == 0);
    struct clv_scan scan;
    int status = scan_one(&scan, top);
    CHECK(!is_root || seteuid(0) == 0);
    CHECK_OK(status);
    check_names(&scan, top, (const char *[]){"a.mp4"}, 1);
    CHECK_INT(scan.problem_count, 2);
    bool names_closed = false, names_listed = false;
    for (int i = 0; i < scan.problem_count; i++) {
        const struct clv_scan_problem *problem = &scan.problems[i];
        CHECK(strstr(problem->reason, problem->path) != NULL);
        names_closed = names_closed || strcmp(problem->path, closed) == 0;
        names_listed = names_listed || strcmp(problem->path, listed) == 0;
    }
    CHECK(names_closed && names_listed);
    CHECK_INT(chmod(closed, 0755) | chmod(listed, 0755), 0);
    clv_scan_release(&scan);
}

static void refuses_paths_that_are_nothing(void)
{
    const char *top = real_directory();
    struct clv_scan scan;
    CHECK_ERROR(scan_one(&scan, t_path(top, "missing")), CLV_ENOTFOUND, "missing");
    clv_scan_release(&scan);
    CHECK_INT(mkfifo(t_path(top, "pipe.mp4"), 0666), 0);
    CHECK_ERROR(scan_one(&scan, t_path(top, "pipe.mp4")), CLV_EINVAL, "neither a file nor");
    clv_scan_release(&scan);
    CHECK_OK(clv_scan_paths(&scan, NULL, 0, NULL));
    CHECK_INT(scan.count, 0);
    clv_scan_release(&scan);
}

static void stops_when_asked(void)
{
    struct clv_cancel cancel = {0};
    clv_cancel_request(&cancel);
    const char *top = real_directory();
    struct clv_scan scan;
    CHECK_ERROR(clv_scan_paths(&scan, &top, 1, &cancel), CLV_ECANCELED, "cancelled");
    clv_scan_release(&scan);
}

/* Enough folders that the set of those seen grows several times. */
static void walks_many_folders(void)
{
    char top[4096], name[32];
    snprintf(top, sizeof top, "%s", real_directory());
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "d%03d", i);
        make_file(make_folder(top, name), "x.mp4", 1);
    }
    CHECK_INT(symlink("d000", t_path(top, "twice")), 0);
    struct clv_scan scan;
    CHECK_OK(scan_one(&scan, top));
    CHECK_INT(scan.count, 300);
    for (int i = 1; i < scan.count; i++)
        CHECK(strcmp(scan.files[i - 1].path, scan.files[i].path) < 0);
    clv_scan_release(&scan);
}

int main(void)
{
    T_RUN(finds_videos_by_name_in_order);
    T_RUN(skips_hidden_and_thumbnail_folders);
    T_RUN(survives_loops_and_dangling_links);
    T_RUN(gives_each_file_once);
    T_RUN(follows_links_out_of_the_folder);
    T_RUN(takes_names_as_bytes);
    T_RUN(reports_unreadable_folders_and_goes_on);
    T_RUN(refuses_paths_that_are_nothing);
    T_RUN(stops_when_asked);
    T_RUN(walks_many_folders);
    return t_end();
}
