/* What FILE@TIME-TIME means, and which windows a range is cut into. */
#include "query/like.h"

#include "core/error.h"
#include "core/file.h"

#include "tests/t.h"

#include <string.h>
#include <sys/stat.h>

/* Files that exist, by a NULL-terminated list. */
static bool listed(const char *path, void *payload)
{
    for (const char *const *name = payload; *name; name++)
        if (strcmp(*name, path) == 0)
            return true;
    return false;
}

static const char *const files[] = {"a.mp4",           "b@1:00.mp4",  "c@5", "c",
                                    "d@home/x.mp4",    "e@1:00-2:00", "@",   "f@@2",
                                    "g@0:01.mp4@0:02", NULL};

static int parse(struct clv_like *like, const char *spec)
{
    return clv_like_parse_with(like, spec, listed, (void *)(uintptr_t)files);
}

static void check_like(const char *spec, const char *path, int64_t start_ms, int64_t end_ms)
{
    struct clv_like like;
    CHECK_OK(parse(&like, spec));
    CHECK_STRING(like.path, path);
    CHECK_INT(like.has_start, start_ms >= 0);
    CHECK_INT(like.has_end, end_ms >= 0);
    if (start_ms >= 0)
        CHECK_INT(like.start_ms, start_ms);
    if (end_ms >= 0)
        CHECK_INT(like.end_ms, end_ms);
    clv_like_release(&like);
}

static void times_are_taken_off_the_name(void)
{
    check_like("a.mp4", "a.mp4", -1, -1);
    check_like("a.mp4@5", "a.mp4", 5000, -1);
    check_like("a.mp4@1:02.5", "a.mp4", 62500, -1);
    check_like("a.mp4@0:12-0:16", "a.mp4", 12000, 16000);
    check_like("a.mp4@1:00:00-1:00:00.001", "a.mp4", 3600000, 3600001);
    check_like("a.mp4@0-0.5", "a.mp4", 0, 500);
}

static void the_longest_existing_name_wins(void)
{
    check_like("b@1:00.mp4", "b@1:00.mp4", -1, -1);
    check_like("b@1:00.mp4@3", "b@1:00.mp4", 3000, -1);
    check_like("c@5", "c@5", -1, -1);
    check_like("c@5@7", "c@5", 7000, -1);
    check_like("c@6", "c", 6000, -1);
    check_like("d@home/x.mp4@2-3", "d@home/x.mp4", 2000, 3000);
    check_like("e@1:00-2:00", "e@1:00-2:00", -1, -1);
    check_like("@", "@", -1, -1);
    check_like("@@1", "@", 1000, -1);
    check_like("f@@2", "f@@2", -1, -1);
    check_like("f@@2@4", "f@@2", 4000, -1);
    check_like("g@0:01.mp4@0:02@0:03", "g@0:01.mp4@0:02", 3000, -1);
}

static void check_refused(const char *spec, int status, const char *part)
{
    struct clv_like like;
    CHECK_ERROR(parse(&like, spec), status, part);
    clv_like_release(&like);
}

static void nonsense_is_refused(void)
{
    check_refused("", CLV_EINVAL, "empty");
    check_refused("missing.mp4", CLV_ENOTFOUND, "'missing.mp4'");
    check_refused("missing.mp4@1:00", CLV_ENOTFOUND, "'missing.mp4'");
    check_refused("missing@home.mp4", CLV_ENOTFOUND, "'missing@home.mp4'");
    check_refused("@1:00", CLV_ENOTFOUND, "'@1:00'");
    check_refused("a.mp4@", CLV_EINVAL, "neither a time nor a range");
    check_refused("a.mp4@x", CLV_EINVAL, "'x'");
    check_refused("a.mp4@5-", CLV_EINVAL, "'5-'");
    check_refused("a.mp4@-5", CLV_EINVAL, "'-5'");
    check_refused("a.mp4@1-2-3", CLV_EINVAL, "'1-2-3'");
    check_refused("a.mp4@1:75", CLV_EINVAL, "'1:75'");
    check_refused("a.mp4@5-5", CLV_EINVAL, "ends before it begins");
    check_refused("a.mp4@9-3", CLV_EINVAL, "ends before it begins");
    check_refused("a.mp4@1@2", CLV_EINVAL, "'1@2'");
}

static void real_files_are_asked_for(void)
{
    struct clv_like like;
    const char *folder = t_path(t_directory(), "at@home");
    REQUIRE(mkdir(folder, 0777) == 0);
    const char *file = t_path(folder, "x.mp4"), *timed = t_path(folder, "x.mp4@0:01");
    REQUIRE_OK(clv_file_replace(file, "x", 1));
    REQUIRE_OK(clv_like_parse(&like, timed));
    CHECK_STRING(like.path, file);
    CHECK_INT(like.start_ms, 1000);
    clv_like_release(&like);
    CHECK_ERROR(clv_like_parse(&like, folder), CLV_EINVAL, "is a folder");
    clv_like_release(&like);
    /* The folder before an '@' is not taken for the file. */
    const char *near = t_path(t_directory(), "sub");
    REQUIRE(mkdir(near, 0777) == 0);
    CHECK_ERROR(clv_like_parse(&like, t_path(near, "@1:00")), CLV_ENOTFOUND, "sub/");
    clv_like_release(&like);
}

static void windows_cover_the_range(void)
{
    struct clv_like_window windows[CLV_LIKE_WINDOW_MAX];
    int64_t lengths[] = {1, 40, 999, 4000, 5999, 6000, 8000, 10001, 64000, 100000, 7200000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        int64_t length = lengths[i], start = 777;
        int count = clv_like_windows(windows, start, start + length);
        CHECK(count >= 1 && count <= CLV_LIKE_WINDOW_MAX);
        CHECK_INT(count > 1, length >= 6000);
        for (int k = 0; k < count; k++) {
            CHECK(windows[k].length_ms >= 1);
            CHECK(windows[k].length_ms <= 6000);
            CHECK(windows[k].start_ms >= start);
            CHECK(windows[k].start_ms + windows[k].length_ms <= start + length);
            if (k > 0)
                CHECK(windows[k].start_ms >= windows[k - 1].start_ms + windows[k - 1].length_ms);
        }
        /* Short ranges are covered but for rounding. */
        if (length <= 64000) {
            CHECK(windows[0].start_ms - start < 2);
            CHECK(start + length - windows[count - 1].start_ms - windows[count - 1].length_ms < 17);
        }
    }
    CHECK_INT(clv_like_windows(windows, 0, 4000), 1);
    CHECK_INT(windows[0].length_ms, 4000);
    CHECK_INT(clv_like_windows(windows, 0, 3600000), CLV_LIKE_WINDOW_MAX);
    CHECK_INT(windows[0].length_ms, CLV_LIKE_WINDOW_MS);
    CHECK_INT(windows[0].start_ms, 110500);
}

int main(void)
{
    T_RUN(times_are_taken_off_the_name);
    T_RUN(the_longest_existing_name_wins);
    T_RUN(nonsense_is_refused);
    T_RUN(real_files_are_asked_for);
    T_RUN(windows_cover_the_range);
    return t_end();
}
