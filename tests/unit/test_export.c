/* Exports: names, manifests that parse back, sheets that are well-formed, and what happens to
 * moments whose video is gone, changed or in the way. */
#include "query/export.h"

#include "core/bytes.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "core/media/reader.h"
#include "core/media/writer.h"
#include "query/clipname.h"
#include "query/manifest.h"
#include "query/sheet.h"

#include "tests/t.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- clip names ------------------------------------------------------------------------------ */

static void check_name(const char *source, int64_t start_ms, int64_t end_ms, const char *want)
{
    struct clv_bytes name = {0};
    CHECK_OK(clv_clipname(&name, source, start_ms, end_ms, "mp4"));
    CHECK_STRING(name.data, want);
    clv_bytes_release(&name);
}

static void names_say_source_and_time(void)
{
    check_name("/v/walk.mp4", 62500, 66500, "walk_1m02.500s-1m06.500s.mp4");
    check_name("/v/walk.mp4", 0, 7, "walk_0m00.000s-0m00.007s.mp4");
    check_name("/v/long.mkv", 3599999, 3600000, "long_59m59.999s-1h00m00.000s.mp4");
    check_name("no extension", 0, 1000, "no_extension_0m00.000s-0m01.000s.mp4");
    check_name("/v/two.dots.mov", 0, 1000, "two.dots_0m00.000s-0m01.000s.mp4");
}

static void names_are_safe(void)
{
    check_name("/v/a b/<c>: \"d\" $(rm)|*?\\.mp4", 0, 1000, "_c_d_rm_0m00.000s-0m01.000s.mp4");
    check_name("/v/-rf.mp4", 0, 1000, "_rf_0m00.000s-0m01.000s.mp4");
    check_name("/v/.hidden.mp4", 0, 1000, "_hidden_0m00.000s-0m01.000s.mp4");
    check_name("/v/..", 0, 1000, "_0m00.000s-0m01.000s.mp4");
    check_name("/v/line\nbreak\x01.mp4", 0, 1000, "line_break_0m00.000s-0m01.000s.mp4");
    check_name("/v/bad\xff\xfe.mp4", 0, 1000, "bad_0m00.000s-0m01.000s.mp4");
    check_name("/v/Stra\xc3\x9f"
               "e e\xcc\x81.mp4",
               0, 1000,
               "Stra\xc3\x9f"
               "e_\xc3\xa9_0m00.000s-0m01.000s.mp4");
    check_name("/v/", 0, 1000, "clip_0m00.000s-0m01.000s.mp4");
}

static void names_stay_short(void)
{
    char source[2000];
    struct clv_bytes name = {0};
    for (size_t i = 0; i + 2 < sizeof source; i += 2)
        memcpy(source + i, "\xc3\xa9", 3);
    CHECK_OK(clv_clipname(&name, source, 0, 1000, "mp4"));
    CHECK(name.size_bytes < 200);
    /* No letter is cut in half. */
    CHECK_INT((unsigned char)name.data[CLV_CLIPNAME_BASE_BYTES - 1], 0xa9);
    CHECK_INT(name.data[CLV_CLIPNAME_BASE_BYTES], '_');
    clv_bytes_release(&name);
}

static void copies_keep_containers_that_can_be_written(void)
{
    CHECK_STRING(clv_clipname_copy_extension("/v/a.MOV"), "mov");
    CHECK_STRING(clv_clipname_copy_extension("/v/a.mp4"), "mp4");
    CHECK_STRING(clv_clipname_copy_extension("/v/a.rm"), "mkv");
    CHECK_STRING(clv_clipname_copy_extension("/v.mp4/a"), "mkv");
}

/* Rows hold strings their owner may free; these are nobody's. */
static char *borrowed(const char *literal)
{
    return (char *)(uintptr_t)literal;
}

/* ---- CSV ------------------------------------------------------------------------------------- */

#define COLUMN_COUNT 18
static const char *const columns[COLUMN_COUNT] = {"rank",
                                                  "id",
                                                  "query",
                                                  "source",
                                                  "video_digest",
                                                  "start_s",
                                                  "end_s",
                                                  "peak_s",
                                                  "score",
                                                  "percentile",
                                                  "asked_start_s",
                                                  "asked_end_s",
                                                  "written_start_s",
                                                  "written_end_s",
                                                  "clip",
                                                  "mode",
                                                  "detail",
                                                  "error"};

/* One cell of RFC 4180 into `out`; returns what follows it, NULL where that is malformed. */
static const char *read_cell(struct clv_bytes *out, const char *at)
{
    clv_bytes_clear(out);
    clv_bytes_text(out, "");
    if (*at != '"') {
        size_t size = strcspn(at, ",\r\n\"");
        clv_bytes_add(out, at, size);
        return at[size] == '"' ? NULL : at + size;
    }
    for (at++; *at; at++) {
        if (*at != '"') {
            clv_bytes_add(out, at, 1);
            continue;
        }
        if (at[1] != '"')
            return at + 1;
        clv_bytes_add(out, at++, 1);
    }
    return NULL;
}

/* Cell `column` of row `row` (0: the header) as a copy, NULL where there is none. Every row on the
 * way has to have all columns and end in CRLF. */
static char *cell_of(const char *csv, int row, const char *column)
{
    struct clv_bytes cell = {0};
    char *found = NULL;
    for (int r = 0; *csv && r <= row; r++)
        for (int c = 0; c < COLUMN_COUNT && csv; c++) {
            csv = read_cell(&cell, csv);
            if (csv && r == row && strcmp(columns[c], column) == 0)
                found = strdup(cell.data ? cell.data : "");
            if (csv &&
                strncmp(csv, c + 1 < COLUMN_COUNT ? "," : "\r\n", c + 1 < COLUMN_COUNT ? 1 : 2))
                csv = NULL;
            if (csv)
                csv += c + 1 < COLUMN_COUNT ? 1 : 2;
            if (!csv) {
                t_fail(__FILE__, __LINE__, "row %d column %s is malformed", r, columns[c]);
                clv_bytes_release(&cell);
                return found;
            }
        }
    clv_bytes_release(&cell);
    return found;
}

static void check_cell(const char *csv, int row, const char *column, const char *want)
{
    char *got = cell_of(csv, row, column);
    CHECK_STRING(got, want);
    free(got);
}

static void csv_survives_nasty_names(void)
{
    struct clv_moment_row moments[] = {
        {.id = 7,
         .path = borrowed("/v/a \"quoted\", name\r\nand line.mp4"),
         .start_ms = 1001,
         .end_ms = 62000,
         .peak_ms = 30500,
         .score = 0.25F,
         .percentile = 99.5F},
        {.id = 8, .path = borrowed("/v/bad\xff\xfe bytes \xe2\x82\xac.mp4"), .score = -0.125F},
        {.id = 9, .path = borrowed("=HYPERLINK(\"http://x\")")},
        {.id = 10, .path = borrowed("")},
    };
    struct clv_manifest_entry entries[] = {
        {.moment = &moments[0],
         .start_ms = 1,
         .end_ms = 63000,
         .clip = borrowed("a,b.mp4"),
         .is_written = true,
         .cut = {.start_ms = 0, .end_ms = 63040},
         .detail = borrowed("begins, \"early\"")},
        {.moment = &moments[1], .error = borrowed("@no\n")},
        {.moment = &moments[2], .error = borrowed("+1")},
        {.moment = &moments[3], .error = borrowed("-1")},
    };
    struct clv_manifest manifest = {
        .query = "=cmd|' /C calc'!A0", .mode = "copy", .entries = entries, .count = 4};
    struct clv_bytes csv = {0};
    REQUIRE_OK(clv_manifest_csv(&csv, &manifest));
    for (int c = 0; c < COLUMN_COUNT; c++)
        check_cell(csv.data, 0, columns[c], columns[c]);
    check_cell(csv.data, 1, "source", moments[0].path);
    check_cell(csv.data, 1, "rank", "1");
    check_cell(csv.data, 1, "id", "7");
    check_cell(csv.data, 1, "start_s", "1.001");
    check_cell(csv.data, 1, "end_s", "62.000");
    check_cell(csv.data, 1, "score", "0.250000");
    check_cell(csv.data, 1, "asked_start_s", "0.001");
    check_cell(csv.data, 1, "written_end_s", "63.040");
    check_cell(csv.data, 1, "clip", "a,b.mp4");
    check_cell(csv.data, 1, "detail", "begins, \"early\"");
    check_cell(csv.data, 1, "error", "");
    check_cell(csv.data, 1, "query", "'=cmd|' /C calc'!A0");
    check_cell(csv.data, 2, "source", "/v/bad\xef\xbf\xbd\xef\xbf\xbd bytes \xe2\x82\xac.mp4");
    check_cell(csv.data, 2, "score", "-0.125000");
    check_cell(csv.data, 2, "written_start_s", "");
    check_cell(csv.data, 2, "clip", "");
    check_cell(csv.data, 2, "error", "'@no\n");
    check_cell(csv.data, 3, "source", "'=HYPERLINK(\"http://x\")");
    check_cell(csv.data, 3, "error", "'+1");
    check_cell(csv.data, 4, "source", "");
    check_cell(csv.data, 4, "error", "'-1");
    clv_bytes_release(&csv);
}

/* ---- HTML ------------------------------------------------------------------------------------ */

static int count_of(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

/* Every element is closed in order; attributes are quoted; text holds no stray '<' or '>'. */
static void check_well_formed(const char *html)
{
    char open[64][32];
    int depth = 0;
    for (const char *at = html; *at; at++) {
        if (*at == '>') {
            t_fail(__FILE__, __LINE__, "stray '>' near '%.30s'", at);
            return;
        }
        if (*at != '<')
            continue;
        char name[32] = "";
        bool closing = at[1] == '/', quoted = false;
        sscanf(at + 1 + closing, "%31[!a-zA-Z0-9]", name);
        for (at++; *at && (quoted || *at != '>'); at++) {
            quoted ^= *at == '"';
            REQUIRE(quoted || *at != '<');
        }
        REQUIRE(*at == '>');
        if (strcmp(name, "!DOCTYPE") == 0 || strcmp(name, "meta") == 0 || strcmp(name, "img") == 0)
            continue;
        if (!closing) {
            REQUIRE(depth < 64);
            memcpy(open[depth++], name, sizeof name);
            if (strcmp(name, "style") == 0) {
                at = strstr(at, "</style>");
                REQUIRE(at);
                at--;
            }
            continue;
        }
        REQUIRE(depth > 0);
        CHECK_STRING(open[--depth], name);
        if (t_failed())
            return;
    }
    CHECK_INT(depth, 0);
}

/* Nothing is loaded from elsewhere. */
static void check_self_contained(const char *html)
{
    CHECK(!strstr(html, "http:"));
    CHECK(!strstr(html, "https:"));
    CHECK(!strstr(html, "<script"));
    CHECK(!strstr(html, "<link"));
    CHECK(!strstr(html, "url("));
    CHECK_INT(count_of(html, " src="), count_of(html, " src=\"data:image/jpeg;base64,"));
    CHECK_INT(count_of(html, " href="), count_of(html, " href=\"./"));
}

static char *read_text(const char *path)
{
    struct clv_map map;
    if (clv_map_open(&map, path) != CLV_OK)
        return NULL;
    char *text = strndup((const char *)map.data, map.size_bytes);
    clv_map_release(&map);
    return text;
}

static void sheets_escape_what_people_wrote(void)
{
    struct clv_moment_row moment = {.path = borrowed("/v/<b>&\"'\xff\x01.mp4"),
                                    .end_ms = 4000,
                                    .score = 0.5F,
                                    .percentile = 250};
    struct clv_manifest_entry entry = {.moment = &moment,
                                       .is_written = true,
                                       .clip = borrowed("a b:\"<\xc3\xa9.mp4"),
                                       .detail = borrowed("</article>"),
                                       .error = borrowed("<script>alert(1)</script>")};
    struct clv_manifest manifest = {.query = "</title><script>x</script> & \"y\"",
                                    .mode = "none",
                                    .entries = &entry,
                                    .count = 1};
    const char *path = t_path(t_directory(), "escaped.html");
    struct clv_sheet sheet;
    REQUIRE_OK(clv_sheet_begin(&sheet, path, &manifest));
    CHECK_OK(clv_sheet_add(&sheet, &entry, NULL, NULL));
    REQUIRE_OK(clv_sheet_commit(&sheet));
    char *html = read_text(path);
    REQUIRE(html);
    check_well_formed(html);
    check_self_contained(html);
    CHECK(strstr(html, "&lt;b&gt;&amp;&quot;&#39;\xef\xbf\xbd\xef\xbf\xbd.mp4"));
    CHECK(strstr(html, "href=\"./a%20b%3A%22%3C%C3%A9.mp4\""));
    CHECK(strstr(html, "width:100.0%"));
    CHECK_INT(count_of(html, "<figure"), CLV_SHEET_STRIP);
    CHECK_INT(count_of(html, "<img"), 0);
    free(html);
}

static void an_abandoned_sheet_leaves_nothing(void)
{
    struct clv_manifest manifest = {.query = "q", .mode = "none"};
    const char *folder = t_path(t_directory(), "abandoned");
    REQUIRE_OK(clv_directory_create(folder));
    struct clv_sheet sheet;
    REQUIRE_OK(clv_sheet_begin(&sheet, t_path(folder, "s.html"), &manifest));
    clv_sheet_abort(&sheet);
    clv_sheet_abort(&sheet);
    CHECK_INT(rmdir(folder), 0);
}

/* ---- whole exports --------------------------------------------------------------------------- */

#define FRAME_RATE 20

/* A bright square runs over a moving pattern. */
static int draw(void *payload, struct clv_image *image, int index)
{
    const int shade = *(const int *)payload;
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++) {
            uint8_t *pixel = image->pixels + (size_t)y * image->stride_bytes + 3 * x;
            bool inside = x / 16 == index / 4 % 10 && y / 16 == 2;
            pixel[0] = inside ? 255 : (uint8_t)(shade + x / 2);
            pixel[1] = inside ? 255 : (uint8_t)(y + index);
            pixel[2] = inside ? 255 : (uint8_t)(255 - shade);
        }
    return CLV_OK;
}

static int make_clip(const char *path, int seconds, int shade)
{
    const struct clv_writer_options options = {
        .width = 160, .height = 96, .frame_time = {1, FRAME_RATE}, .quality = 25};
    return clv_writer_film(path, &options, seconds * FRAME_RATE, draw, &shade);
}

static struct clv_moment_row moment_of(const char *path, int64_t id, int64_t start_ms,
                                       int64_t end_ms)
{
    struct clv_moment_row row = {.id = id,
                                 .video_id = id,
                                 .path = borrowed(path),
                                 .start_ms = start_ms,
                                 .end_ms = end_ms,
                                 .peak_ms = start_ms + (end_ms - start_ms) / 2,
                                 .score = 0.5F,
                                 .percentile = 99};
    (void)clv_digest_file(row.video_digest, path, NULL);
    return row;
}

struct seen {
    int calls, failed;
    char detail[512];
    char path[1024];
    struct clv_cancel *cancel; /* asked to stop at the first report */
};

static void see(const struct clv_export_progress *progress, void *payload)
{
    struct seen *seen = payload;
    seen->calls++;
    seen->failed += progress->failed;
    CHECK_INT(progress->done, seen->calls);
    if (progress->detail[0])
        snprintf(seen->detail, sizeof seen->detail, "%s", progress->detail);
    snprintf(seen->path, sizeof seen->path, "%s", progress->path);
    if (seen->cancel)
        clv_cancel_request(seen->cancel);
}

static int64_t frames_of(const char *path)
{
    struct clv_reader *reader;
    struct clv_reader_options options = {.thread_count = 1};
    struct clv_frame frame;
    int64_t count = 0;
    if (clv_reader_open(&reader, path, &options) != CLV_OK)
        return -1;
    while (clv_reader_next(reader, &frame) == CLV_OK)
        count++;
    clv_reader_close(reader);
    return count;
}

static void check_lists(const struct clv_export_totals *totals, int count, const char *query)
{
    struct clv_json *json = NULL;
    char *text = read_text(totals->manifest_json), *csv = read_text(totals->manifest_csv);
    char *html = read_text(totals->sheet);
    CHECK(text && csv && html);
    if (text && csv && html) {
        CHECK_OK(clv_json_parse(&json, text, strlen(text), totals->manifest_json));
        CHECK_STRING(clv_json_string(clv_json_get(json, "query"), NULL, ""), query);
        const struct clv_json *moments = clv_json_get(json, "moments");
        CHECK_INT(clv_json_count(moments), count);
        for (int i = 0; i < count; i++) {
            const struct clv_json *moment = clv_json_at(moments, (size_t)i);
            check_cell(csv, i + 1, "query", query);
            check_cell(csv, i + 1, "clip", clv_json_string(clv_json_get(moment, "clip"), NULL, ""));
            check_cell(csv, i + 1, "error",
                       clv_json_string(clv_json_get(moment, "error"), NULL, ""));
        }
        check_well_formed(html);
        check_self_contained(html);
        CHECK_INT(count_of(html, "<article>"), count);
        CHECK_INT(count_of(html, "<div class=\"strip\">"), count);
        CHECK_INT(count_of(html, "<figure"), CLV_SHEET_STRIP * count);
        CHECK_INT(count_of(html, "class=\"peak\""), count);
    }
    clv_json_free(json);
    free(text);
    free(csv);
    free(html);
}

static void clips_are_cut_and_listed(void)
{
    const char *folder = t_path(t_directory(), "cut/deep");
    const char *video = t_path(t_directory(), "walk.mp4");
    REQUIRE_OK(make_clip(video, 6, 40));
    struct clv_moment_row moments[] = {moment_of(video, 1, 1000, 3000),
                                       moment_of(video, 2, 4000, 6000)};
    struct clv_export_options options = {.directory = folder, .pad_ms = 500};
    struct clv_export_totals totals;
    struct seen seen = {0};
    REQUIRE_OK(clv_export_moments(&totals, "a <walk>", moments, 2, &options, see, &seen));
    CHECK_INT(totals.written_count, 2);
    CHECK_INT(totals.failed_count, 0);
    CHECK_INT(seen.calls, 2);
    CHECK_STRING(seen.detail, "");
    /* Padding on both sides, but not beyond the end. */
    CHECK_INT(frames_of(t_path(folder, "walk_0m00.500s-0m03.500s.mp4")), 60);
    CHECK_INT(frames_of(t_path(folder, "walk_0m03.500s-0m06.000s.mp4")), 50);
    CHECK_STRING(seen.path, t_path(folder, "walk_0m03.500s-0m06.000s.mp4"));
    check_lists(&totals, 2, "a <walk>");
    char *html = read_text(totals.sheet);
    REQUIRE(html);
    CHECK_INT(count_of(html, "<img"), 2 * CLV_SHEET_STRIP);
    CHECK_INT(count_of(html, ">Open clip</a>"), 2);
    CHECK(strstr(html, "a &lt;walk&gt;"));
    free(html);
    clv_export_totals_release(&totals);
}

static void nothing_is_overwritten_unasked(void)
{
    const char *folder = t_path(t_directory(), "twice");
    const char *video = t_path(t_directory(), "twice.mp4");
    REQUIRE_OK(make_clip(video, 3, 60));
    struct clv_moment_row moments[] = {moment_of(video, 1, 0, 1000),
                                       moment_of(video, 2, 1000, 2000)};
    struct clv_export_options options = {.directory = folder};
    struct clv_export_totals totals;
    const char *in_the_way = t_path(folder, "twice_0m01.000s-0m02.000s.mp4");
    REQUIRE_OK(clv_directory_create(folder));
    REQUIRE_OK(clv_file_replace(in_the_way, "mine", 4));
    CHECK_ERROR(clv_export_moments(&totals, "q", moments, 2, &options, NULL, NULL), CLV_EINVAL,
                "twice_0m01.000s-0m02.000s.mp4' exists already");
    clv_export_totals_release(&totals);
    /* The clip before it was not cut either, nor anything else written. */
    CHECK(!clv_file_exists(t_path(folder, "twice_0m00.000s-0m01.000s.mp4")));
    CHECK(!clv_file_exists(t_path(folder, "manifest.csv")));
    char *kept = read_text(in_the_way);
    CHECK_STRING(kept, "mine");
    free(kept);

    options.overwrite = true;
    CHECK_OK(clv_export_moments(&totals, "q", moments, 2, &options, NULL, NULL));
    CHECK_INT(totals.written_count, 2);
    clv_export_totals_release(&totals);
    CHECK_INT(frames_of(in_the_way), FRAME_RATE);
    options.overwrite = false;
    CHECK_ERROR(clv_export_moments(&totals, "q", moments, 2, &options, NULL, NULL), CLV_EINVAL,
                "and 4 more exist already");
    clv_export_totals_release(&totals);
}

static void footage_is_never_overwritten(void)
{
    const char *folder = t_path(t_directory(), "own");
    REQUIRE_OK(clv_directory_create(folder));
    const char *first = t_path(folder, "a.mp4");
    const char *second = t_path(folder, "a_0m00.000s-0m01.000s.mp4");
    REQUIRE_OK(make_clip(first, 2, 10));
    REQUIRE_OK(make_clip(second, 2, 90));
    struct clv_moment_row moments[] = {moment_of(first, 1, 0, 1000), moment_of(second, 2, 0, 1000)};
    struct clv_export_options options = {.directory = folder, .overwrite = true};
    struct clv_export_totals totals;
    CHECK_ERROR(clv_export_moments(&totals, "q", moments, 2, &options, NULL, NULL), CLV_EINVAL,
                "is one of the videos to be cut");
    clv_export_totals_release(&totals);
    CHECK_INT(frames_of(second), 2 * FRAME_RATE);
}

static void equal_names_get_numbers(void)
{
    const char *folder = t_path(t_directory(), "equal");
    const char *one = t_path(t_directory(), "one"), *two = t_path(t_directory(), "two");
    REQUIRE_OK(clv_directory_create(one));
    REQUIRE_OK(clv_directory_create(two));
    const char *first = t_path(one, "Same.mp4"), *second = t_path(two, "same.mp4");
    REQUIRE_OK(make_clip(first, 2, 10));
    REQUIRE_OK(make_clip(second, 2, 90));
    struct clv_moment_row moments[] = {moment_of(first, 1, 0, 1000), moment_of(second, 2, 0, 1000),
                                       moment_of(first, 3, 0, 1000)};
    struct clv_export_options options = {.directory = folder};
    struct clv_export_totals totals;
    REQUIRE_OK(clv_export_moments(&totals, "q", moments, 3, &options, NULL, NULL));
    CHECK_INT(totals.written_count, 3);
    CHECK(clv_file_exists(t_path(folder, "Same_0m00.000s-0m01.000s.mp4")));
    CHECK(clv_file_exists(t_path(folder, "same_0m00.000s-0m01.000s-2.mp4")));
    CHECK(clv_file_exists(t_path(folder, "Same_0m00.000s-0m01.000s-3.mp4")));
    check_lists(&totals, 3, "q");
    clv_export_totals_release(&totals);
}

static void lost_and_changed_videos_fail_alone(void)
{
    const char *folder = t_path(t_directory(), "lost");
    const char *gone = t_path(t_directory(), "gone.mp4"), *kept = t_path(t_directory(), "kept.mp4");
    const char *changed = t_path(t_directory(), "changed.mp4");
    REQUIRE_OK(make_clip(gone, 2, 10));
    REQUIRE_OK(make_clip(kept, 2, 40));
    REQUIRE_OK(make_clip(changed, 2, 70));
    struct clv_moment_row moments[] = {
        moment_of(gone, 1, 0, 1000), moment_of(changed, 2, 0, 1000), moment_of(kept, 3, 0, 1000),
        moment_of(kept, 4, 60000, 61000), moment_of(gone, 5, 1000, 2000)};
    REQUIRE(unlink(gone) == 0);
    REQUIRE_OK(make_clip(changed, 2, 71));
    struct clv_export_options options = {.directory = folder};
    struct clv_export_totals totals;
    struct seen seen = {0};
    REQUIRE_OK(clv_export_moments(&totals, "q", moments, 5, &options, see, &seen));
    CHECK_INT(totals.written_count, 1);
    CHECK_INT(totals.failed_count, 4);
    CHECK_INT(seen.calls, 5);
    CHECK_INT(seen.failed, 4);
    check_lists(&totals, 5, "q");
    char *csv = read_text(totals.manifest_csv);
    REQUIRE(csv);
    char *reason = cell_of(csv, 1, "error");
    CHECK(reason && strstr(reason, "gone.mp4' is no longer there"));
    free(reason);
    reason = cell_of(csv, 2, "error");
    CHECK(reason && strstr(reason, "changed.mp4' has changed"));
    free(reason);
    check_cell(csv, 3, "error", "");
    reason = cell_of(csv, 4, "error");
    CHECK(reason && strstr(reason, "kept.mp4"));
    free(reason);
    free(csv);
    clv_export_totals_release(&totals);
}

static void copies_say_what_moved(void)
{
    const char *folder = t_path(t_directory(), "copied");
    const char *video = t_path(t_directory(), "copy.mp4");
    REQUIRE_OK(make_clip(video, 4, 40));
    struct clv_moment_row moment = moment_of(video, 1, 2500, 3500);
    struct clv_export_options options = {.directory = folder, .copy = true, .no_audio = true};
    struct clv_export_totals totals;
    struct seen seen = {0};
    REQUIRE_OK(clv_export_moments(&totals, "q", &moment, 1, &options, see, &seen));
    CHECK_INT(totals.written_count, 1);
    /* The writer puts keyframes far apart: the only one before is the first. */
    CHECK(strstr(seen.detail, "begins 2.500 s earlier"));
    char *csv = read_text(totals.manifest_csv);
    REQUIRE(csv);
    check_cell(csv, 1, "mode", "copy");
    check_cell(csv, 1, "asked_start_s", "2.500");
    check_cell(csv, 1, "written_start_s", "0.000");
    check_cell(csv, 1, "detail", seen.detail);
    free(csv);
    check_lists(&totals, 1, "q");
    clv_export_totals_release(&totals);
}

static void lists_alone_can_be_had(void)
{
    const char *folder = t_path(t_directory(), "alone");
    const char *video = t_path(t_directory(), "alone.mp4");
    REQUIRE_OK(make_clip(video, 2, 40));
    struct clv_moment_row moment = moment_of(video, 1, 0, 1000);
    struct clv_export_options options = {.directory = folder, .no_clips = true};
    struct clv_export_totals totals;
    REQUIRE_OK(clv_export_moments(&totals, NULL, &moment, 1, &options, NULL, NULL));
    CHECK_INT(totals.written_count, 0);
    CHECK_INT(totals.failed_count, 0);
    check_lists(&totals, 1, "");
    char *html = read_text(totals.sheet);
    REQUIRE(html);
    CHECK_INT(count_of(html, "<img"), CLV_SHEET_STRIP);
    CHECK_INT(count_of(html, "href="), 0);
    free(html);
    CHECK(!clv_file_exists(t_path(folder, "alone_0m00.000s-0m01.000s.mp4")));
    clv_export_totals_release(&totals);
}

static void a_cancel_keeps_what_was_done(void)
{
    const char *folder = t_path(t_directory(), "cancelled");
    const char *video = t_path(t_directory(), "cancelled.mp4");
    REQUIRE_OK(make_clip(video, 3, 40));
    struct clv_moment_row moments[] = {moment_of(video, 1, 0, 1000),
                                       moment_of(video, 2, 1000, 2000),
                                       moment_of(video, 3, 2000, 3000)};
    struct clv_cancel cancel = {0};
    struct clv_export_options options = {.directory = folder, .cancel = &cancel};
    struct clv_export_totals totals;
    struct seen seen = {.cancel = &cancel};
    CHECK_ERROR(clv_export_moments(&totals, "q", moments, 3, &options, see, &seen), CLV_ECANCELED,
                "1 of 3 clips");
    CHECK_INT(totals.written_count, 1);
    CHECK_INT(totals.failed_count, 2);
    CHECK_INT(seen.calls, 1);
    check_lists(&totals, 3, "q");
    CHECK(!clv_file_exists(t_path(folder, "cancelled_0m01.000s-0m02.000s.mp4")));
    clv_export_totals_release(&totals);
}

/* A limit on file sizes is what a full disk looks like to a test: clips fit, the sheet does not,
 * or nothing does. */
static void a_full_disk_is_a_sentence(void)
{
    const char *folder = t_path(t_directory(), "full");
    const char *video = t_path(t_directory(), "full.mp4");
    REQUIRE_OK(make_clip(video, 2, 40));
    struct clv_moment_row moment = moment_of(video, 1, 0, 2000);
    struct clv_export_options options = {.directory = folder};
    struct clv_export_totals totals;
    struct seen seen = {0};
    struct rlimit old, small;
    REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    small = (struct rlimit){.rlim_cur = 1000, .rlim_max = old.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    int status = clv_export_moments(&totals, "q", &moment, 1, &options, see, &seen);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    CHECK_ERROR(status, CLV_EIO, "contact-sheet.html");
    CHECK_INT(totals.written_count, 0);
    clv_export_totals_release(&totals);
    /* No half-written file stays behind. */
    CHECK_INT(rmdir(folder), 0);
}

static void nonsense_is_refused(void)
{
    const char *video = t_path(t_directory(), "walk.mp4");
    REQUIRE_OK(make_clip(video, 1, 40));
    struct clv_moment_row moment = moment_of(video, 1, 0, 1000);
    struct clv_export_totals totals;
    struct clv_export_options options = {.directory = ""};
    CHECK_ERROR(clv_export_moments(&totals, "q", &moment, 1, &options, NULL, NULL), CLV_EINVAL,
                "no folder");
    options.directory = t_directory();
    CHECK_ERROR(clv_export_moments(&totals, "q", &moment, 0, &options, NULL, NULL), CLV_EINVAL,
                "no moments");
    options.pad_ms = -1;
    CHECK_ERROR(clv_export_moments(&totals, "q", &moment, 1, &options, NULL, NULL), CLV_EINVAL,
                "padding of -1 ms");
    options.pad_ms = 0;
    options.quality = 52;
    CHECK_ERROR(clv_export_moments(&totals, "q", &moment, 1, &options, NULL, NULL), CLV_EINVAL,
                "quality 52");
    options.quality = 0;
    options.directory = video;
    CHECK_ERROR(clv_export_moments(&totals, "q", &moment, 1, &options, NULL, NULL), CLV_EIO,
                "cannot make the directory");
    clv_export_totals_release(&totals);
}

/* ---- through the store ----------------------------------------------------------------------- */

static struct clv_store *open_store(const char *name)
{
    struct clv_store *store = NULL;
    struct clv_store_options options = {.create = true};
    CHECK_OK(clv_store_open(&store, t_path(t_directory(), name), &options));
    return store;
}

/* A video row as an indexer would leave it. */
static int put_video(struct clv_store *store, const char *path, int64_t model_id)
{
    struct clv_file_facts facts;
    float vector[4] = {1, 0, 0, 0};
    struct clv_segment segment = {.end_ticks = 2000, .norm = 1, .vector = vector};
    struct clv_video_row row = {.path = path,
                                .error = "",
                                .codec = "h264",
                                .container = "mp4",
                                .timebase = {1, 1000},
                                .duration_ticks = 2000};
    int status = clv_digest_file(row.digest, path, NULL);
    if (status == CLV_OK)
        status = clv_file_facts(&facts, path);
    if (status != CLV_OK)
        return status;
    row.size_bytes = facts.size_bytes;
    row.modified_ns = facts.modified_ns;
    return clv_store_video_put(store, &row, model_id, &segment, 1);
}

static void remembered_moments_can_be_exported(void)
{
    struct clv_store *store = open_store("db");
    REQUIRE(store);
    const char *video = t_path(t_directory(), "stored.mp4"),
               *moved = t_path(t_directory(), "moved.mp4");
    struct clv_model_row model = {.name = "m", .path = "", .dim = 4, .frame_count = 1};
    struct clv_export_options options = {.directory = t_path(t_directory(), "last")};
    struct clv_export_totals totals;
    REQUIRE_OK(make_clip(video, 3, 40));
    REQUIRE_OK(clv_store_model_put(store, &model));
    REQUIRE_OK(put_video(store, video, model.id));
    CHECK_ERROR(clv_export_last(&totals, store, &options, NULL, NULL), CLV_ENOTFOUND,
                "no search is remembered");
    struct clv_moment_row first = moment_of(video, 0, 0, 1000), second[2];
    second[0] = moment_of(video, 0, 1000, 2000);
    second[1] = moment_of(video, 0, 2000, 3000);
    REQUIRE_OK(clv_store_result_put(store, "first", model.id, &first, 1));
    REQUIRE_OK(clv_store_result_put(store, "second", model.id, second, 2));
    CHECK_OK(clv_export_last(&totals, store, &options, NULL, NULL));
    CHECK_INT(totals.written_count, 2);
    check_lists(&totals, 2, "second");
    clv_export_totals_release(&totals);

    /* By id, out of two results, and from where the video has moved to. */
    int64_t ids[] = {second[1].id, first.id};
    REQUIRE(rename(video, moved) == 0);
    options.directory = t_path(t_directory(), "ids");
    REQUIRE_OK(put_video(store, moved, model.id));
    struct seen seen = {0};
    CHECK_OK(clv_export_ids(&totals, store, ids, 2, &options, see, &seen));
    CHECK_INT(totals.failed_count, 0);
    CHECK_STRING(seen.path, t_path(options.directory, "stored_0m00.000s-0m01.000s.mp4"));
    clv_export_totals_release(&totals);
    ids[1] = 999;
    CHECK_ERROR(clv_export_ids(&totals, store, ids, 2, &options, NULL, NULL), CLV_ENOTFOUND,
                "moment 999");
    clv_export_totals_release(&totals);
    clv_store_close(store);
}

int main(void)
{
    T_RUN(names_say_source_and_time);
    T_RUN(names_are_safe);
    T_RUN(names_stay_short);
    T_RUN(copies_keep_containers_that_can_be_written);
    T_RUN(csv_survives_nasty_names);
    T_RUN(sheets_escape_what_people_wrote);
    T_RUN(an_abandoned_sheet_leaves_nothing);
    T_RUN(clips_are_cut_and_listed);
    T_RUN(nothing_is_overwritten_unasked);
    T_RUN(footage_is_never_overwritten);
    T_RUN(equal_names_get_numbers);
    T_RUN(lost_and_changed_videos_fail_alone);
    T_RUN(copies_say_what_moved);
    T_RUN(lists_alone_can_be_had);
    T_RUN(a_cancel_keeps_what_was_done);
    T_RUN(a_full_disk_is_a_sentence);
    T_RUN(nonsense_is_refused);
    T_RUN(remembered_moments_can_be_exported);
    return t_end();
}
