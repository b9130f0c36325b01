/* indexer/ingest: whole runs over small synthetic videos with a tiny random model. */
#include "indexer/ingest.h"

#include "core/bytes.h"
#include "core/error.h"
#include "core/file.h"
#include "core/media/reader.h"
#include "core/model/pixels.h"

#include "tests/model/random_model.h"
#include "tests/t.h"
#include "tests/unit/clips.h"
#include "tests/unit/store_fixture.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { T = 4, NOTE_MAX = 64 };

static struct clv_device *device;
static struct clv_model model;

/* ---- a run, and what it reported ---- */

struct note {
    enum clv_ingest_event event;
    char name[64];
    char detail[1024];
};

struct watch {
    struct note notes[NOTE_MAX];
    int note_count;
    int progress_count;
    struct clv_cancel *cancel_at_first;
    const char *append_to; /* at the first BEGIN */
    struct fixture_lock *lock;
    int64_t unlock_frames; /* let go once so many went through the model */
    int64_t last_bytes;
};

static struct watch watch;
static struct clv_ingest_progress totals;

static void on_report(const struct clv_ingest_progress *progress, void *payload)
{
    struct watch *w = payload;
    CHECK(progress->files_done <= progress->file_count);
    CHECK(progress->bytes_done >= 0);
    CHECK(progress->path && progress->detail);
    w->last_bytes = progress->bytes_done;
    if (progress->event == CLV_INGEST_BEGIN && w->append_to) {
        FILE *file = NULL;
        usleep(200000); /* the decoding thread has read the facts by then, and waits for room */
        if ((file = fopen(w->append_to, "ab"))) {
            fputs("more", file);
            fclose(file);
        }
        w->append_to = NULL;
    }
    if (w->lock && progress->frame_count >= w->unlock_frames) {
        CHECK_INT(progress->indexed_count, 0);
        fixture_unlock(w->lock);
        w->lock = NULL;
    }
    if (progress->event == CLV_INGEST_INDEXED && w->cancel_at_first)
        clv_cancel_request(w->cancel_at_first);
    w->progress_count += progress->event == CLV_INGEST_PROGRESS;
    if (progress->event == CLV_INGEST_SCANNED || progress->event == CLV_INGEST_BEGIN ||
        progress->event == CLV_INGEST_PROGRESS || w->note_count == NOTE_MAX)
        return;
    struct note *note = &w->notes[w->note_count++];
    note->event = progress->event;
    snprintf(note->name, sizeof note->name, "%s", clv_path_base(progress->path));
    snprintf(note->detail, sizeof note->detail, "%s", progress->detail);
}

static bool noted(enum clv_ingest_event event, const char *name, const char *detail_part)
{
    for (int i = 0; i < watch.note_count; i++)
        if (watch.notes[i].event == event && strcmp(watch.notes[i].name, name) == 0 &&
            strstr(watch.notes[i].detail, detail_part))
            return true;
    return false;
}

static struct clv_encoder *new_encoder(int slot_count)
{
    struct clv_encoder *encoder = NULL;
    struct clv_encoder_options options = {.no_text = true, .slot_count = slot_count};
    CHECK_OK(clv_encoder_create(&encoder, device, model.weights, &model.config, &options));
    return encoder;
}

static const struct clv_ingest_options usual = {
    .length_ms = 800, .stride_ms = 400, .decode_threads = 1};

/* A database and its model. */
struct base {
    struct clv_store *store;
    int64_t model_id;
    char folder[4096]; /* of videos */
};

static bool open_base(struct base *base)
{
    const struct clv_store_options options = {.create = true, .busy_timeout_ms = 60000};
    struct clv_model_row row = {.name = "tiny",
                                .path = "",
                                .dim = model.config.embed_dim,
                                .frame_count = model.config.frame_count};
    memcpy(row.digest, model.digest, CLV_DIGEST_BYTES);
    *base = (struct base){0};
    if (!realpath(t_directory(), base->folder))
        return false;
    int status = clv_store_open(&base->store, t_path(t_directory(), "db"), &options);
    if (status == CLV_OK)
        status = clv_store_model_put(base->store, &row);
    CHECK_OK(status);
    base->model_id = row.id;
    return status == CLV_OK;
}

static int run_paths(struct base *base, const char *const *paths, int count,
                     const struct clv_ingest_options *options, int slot_count)
{
    struct clv_encoder *encoder = new_encoder(slot_count);
    watch.note_count = watch.progress_count = 0;
    int status = clv_ingest_paths(&totals, base->store, encoder, base->model_id, paths, count,
                                  options, on_report, &watch);
    clv_encoder_free(encoder);
    return status;
}

static int run(struct base *base, const struct clv_ingest_options *options)
{
    const char *path = base->folder;
    return run_paths(base, &path, 1, options, 3 * T);
}

/* indexed, unchanged, moved, failed, gone, pruned */
static void check_totals(int indexed, int unchanged, int moved, int failed, int gone, int pruned)
{
    CHECK_INT(totals.indexed_count, indexed);
    CHECK_INT(totals.unchanged_count, unchanged);
    CHECK_INT(totals.moved_count, moved);
    CHECK_INT(totals.failed_count, failed);
    CHECK_INT(totals.gone_count, gone);
    CHECK_INT(totals.pruned_count, pruned);
}

/* ---- what a database holds ---- */

struct dump {
    struct clv_bytes text;
    struct base *base;
    int segment_count;
};

static int dump_segment(const struct clv_hit *segment, const float *vector, void *payload)
{
    struct dump *dump = payload;
    clv_bytes_format(&dump->text, " %lld-%lld/%d %a", (long long)segment->start_ticks,
                     (long long)segment->end_ticks, segment->shot, (double)segment->norm);
    for (int i = 0; i < model.config.embed_dim; i++)
        clv_bytes_format(&dump->text, " %a", (double)vector[i]);
    clv_bytes_text(&dump->text, "\n");
    dump->segment_count++;
    return CLV_OK;
}

static int dump_video(const struct clv_video_row *row, void *payload)
{
    struct dump *dump = payload;
    char digest[CLV_DIGEST_TEXT_SIZE];
    clv_bytes_format(&dump->text, "%s %d %s %s %s %dx%d %d/%d %lld+%lld %s\n",
                     clv_path_base(row->path), (int)row->status,
                     clv_digest_text(digest, row->digest), row->codec, row->container, row->width,
                     row->height, row->timebase.numerator, row->timebase.denominator,
                     (long long)row->start_ticks, (long long)row->duration_ticks, row->settings);
    return clv_store_segments(dump->base->store, row->id, dump->base->model_id, dump_segment, dump);
}

/* Everything about content, in order of path; the caller releases. */
static struct clv_bytes dump_base(struct base *base)
{
    struct dump dump = {.base = base};
    CHECK_OK(clv_store_videos(base->store, NULL, base->model_id, dump_video, &dump));
    clv_bytes_text(&dump.text, "");
    return dump.text;
}

static void check_clean(struct base *base)
{
    int64_t problems = -1;
    CHECK_OK(clv_store_check(base->store, &problems, NULL, NULL));
    CHECK_INT(problems, 0);
}

static void write_clip(struct base *base, const char *name, int frames, int scene_length, int width)
{
    struct clip clip = {
        .width = width, .height = 96, .frame_count = frames, .scene_length = scene_length};
    clip_write(base->folder, name, &clip);
}

static void rename_in(struct base *base, const char *from, const char *to)
{
    CHECK_INT(rename(t_path(base->folder, from), t_path(base->folder, to)), 0);
}

static void copy_in(struct base *base, const char *from, const char *to)
{
    size_t size;
    uint8_t *data = clip_bytes(t_path(base->folder, from), &size);
    if (data)
        clip_put(t_path(base->folder, to), data, size);
    free(data);
}

static void remove_in(struct base *base, const char *name)
{
    CHECK_INT(unlink(t_path(base->folder, name)), 0);
}

static void put_garbage(struct base *base, const char *name)
{
    clip_put(t_path(base->folder, name), "this is no video at all", 23);
}

/* Puts another modification time on the file. */
static void touch_in(struct base *base, const char *name)
{
    const struct timespec times[2] = {{1000000000, 5}, {1000000000, 7}};
    CHECK_INT(utimensat(AT_FDCWD, t_path(base->folder, name), times, 0), 0);
}

static struct clv_video_row row_of(struct base *base, const char *name)
{
    struct clv_video_row row = {0};
    CHECK_OK(
        clv_store_video_by_path(base->store, &row, t_path(base->folder, name), base->model_id));
    return row;
}

/* ---- the right frames ---- */

struct expected {
    struct clv_encoder *encoder;
    const char *path;
    int shot_first, shot_past; /* frames of the shot at hand */
    int segment_count;
    int frame_count; /* of the file, all as long */
    int64_t frame_ticks;
    int scene_length;
};

/* The squares of the frames `numbers` of a clip, by decoding it from the start. */
static void squares_of(uint8_t (*out)[64 * 64 * 3], const char *path, const int *numbers)
{
    struct clv_reader *reader = NULL;
    struct clv_reader_options options = {.thread_count = 1};
    struct clv_frame frame;
    const struct clv_image *image;
    REQUIRE_OK(clv_reader_open(&reader, path, &options));
    for (int i = 0; clv_reader_next(reader, &frame) == CLV_OK; i++)
        for (int k = 0; k < T; k++)
            if (numbers[k] == i) {
                CHECK_OK(clv_reader_image(reader, &image));
                CHECK_OK(clv_pixels_square(out[k], image, &model.config));
            }
    clv_reader_close(reader);
}

static int check_segment(const struct clv_hit *segment, const float *vector, void *payload)
{
    static uint8_t squares[T][64 * 64 * 3];
    static float pixels[T * 3 * 64 * 64], mean[256];
    struct expected *e = payload;
    const uint8_t *at[T];
    int32_t slots[T];
    int numbers[T];
    double ticks = (double)e->frame_ticks, square = 0;
    int scene = e->scene_length ? (int)((double)segment->start_ticks / ticks / e->scene_length) : 0;
    int past = e->scene_length ? (scene + 1) * e->scene_length : e->frame_count;
    past = past > e->frame_count ? e->frame_count : past;
    CHECK_INT(segment->shot, scene);
    CHECK(segment->end_ticks <= past * e->frame_ticks);
    /* A whole window is T equal cells; a window that ends with its shot keeps its cells' length. */
    double cell = 0.2 * 25 * ticks, shot = (past - scene * e->scene_length) * ticks;
    cell = shot < 3.5 * cell ? shot / T : cell;
    for (int k = 0; k < T; k++) {
        numbers[k] = (int)floor(((double)segment->start_ticks + (k + 0.5) * cell) / ticks + 1e-6);
        slots[k] = k;
        at[k] = squares[k];
    }
    squares_of(squares, e->path, numbers);
    clv_pixels_normalize(pixels, at, T, &model.config);
    struct clv_window_outputs outputs = {.vectors = mean};
    int status = clv_encoder_frames(e->encoder, slots, pixels, T);
    if (status == CLV_OK)
        status = clv_encoder_windows(e->encoder, &outputs, slots, 1);
    for (int c = 0; c < model.config.embed_dim; c++)
        square += (double)mean[c] * mean[c];
    CHECK_NEAR(segment->norm, sqrt(square), 1e-5);
    /* Half-precision steps at most. */
    for (int c = 0; c < model.config.embed_dim; c++)
        CHECK_NEAR(vector[c], mean[c] / sqrt(square), 1e-3);
    e->segment_count++;
    return status;
}

static void check_clip(int frames, int scene_length, int want_segments)
{
    struct base base;
    if (!open_base(&base))
        return;
    write_clip(&base, "x.mp4", frames, scene_length, 128);
    CHECK_OK(run(&base, &usual));
    check_totals(1, 0, 0, 0, 0, 0);
    struct clv_video_row row = row_of(&base, "x.mp4");
    struct expected e = {
        .encoder = new_encoder(T),
        .path = row.path,
        .frame_count = frames,
        .frame_ticks = clv_time_rescale(1, (struct clv_timebase){1, 25}, row.timebase),
        .scene_length = scene_length,
    };
    CHECK_INT(row.start_ticks, 0);
    CHECK_INT(row.duration_ticks, frames * e.frame_ticks);
    CHECK_OK(clv_store_segments(base.store, row.id, base.model_id, check_segment, &e));
    CHECK_INT(e.segment_count, want_segments);
    CHECK_INT(row.segment_count, want_segments);
    CHECK_INT(totals.segment_count, want_segments);
    clv_encoder_free(e.encoder);
    clv_video_row_release(&row);
    check_clean(&base);
    clv_store_close(base.store);
}

/* 0.8 s windows every 0.4 s of 25 frames a second: 20 frames every 10. */
static void encodes_the_right_frames(void)
{
    check_clip(1, 0, 1);    /* one frame */
    check_clip(5, 0, 1);    /* shorter than a window */
    check_clip(20, 0, 1);   /* just one */
    check_clip(100, 0, 9);  /* whole windows */
    check_clip(106, 0, 10); /* and one at the end */
    check_clip(90, 45, 8);  /* two shots: 20, 30, 40 and one at the end, twice */
}

static void counts_frames_once(void)
{
    struct base base;
    if (!open_base(&base))
        return;
    write_clip(&base, "long.mp4", 500, 0, 128);
    struct clv_ingest_options fine = usual;
    fine.stride_ms = 1;
    CHECK_OK(run(&base, &fine));
    /* 20 s at five points a second, each in up to four windows. */
    CHECK_INT(totals.frame_count, 100);
    CHECK_INT(totals.segment_count, 97);
    CHECK_INT(totals.footage_ms, 20000);
    CHECK_INT(totals.bytes_done, totals.bytes_total);
    CHECK(totals.decode_s > 0 && totals.encode_s > 0 && totals.write_s > 0);
    CHECK(totals.elapsed_s > 0);
    clv_store_close(base.store);
}

/* ---- again, and changes ---- */

static void make_three(struct base *base)
{
    write_clip(base, "a.mp4", 60, 0, 128);
    write_clip(base, "b.mkv", 75, 25, 160);
    write_clip(base, "c.avi", 10, 0, 96);
}

static void leaves_what_is_unchanged(void)
{
    struct base base;
    struct clv_store_status before, after;
    if (!open_base(&base))
        return;
    make_three(&base);
    CHECK_OK(run(&base, &usual));
    check_totals(3, 0, 0, 0, 0, 0);
    CHECK(noted(CLV_INGEST_INDEXED, "a.mp4", ""));
    CHECK_OK(clv_store_status(base.store, &before));
    CHECK_OK(run(&base, &usual));
    check_totals(0, 3, 0, 0, 0, 0);
    CHECK(noted(CLV_INGEST_UNCHANGED, "b.mkv", ""));
    CHECK_INT(totals.frame_count, 0);
    CHECK_INT(totals.bytes_total, 0);
    CHECK_OK(clv_store_status(base.store, &after));
    CHECK_INT(after.generation, before.generation);
    /* Other times, same content. */
    touch_in(&base, "a.mp4");
    CHECK_OK(run(&base, &usual));
    check_totals(0, 3, 0, 0, 0, 0);
    CHECK_INT(totals.frame_count, 0);
    CHECK(totals.bytes_total > 0);
    CHECK_OK(run(&base, &usual));
    CHECK_INT(totals.bytes_total, 0);
    /* Unless told to. */
    struct clv_ingest_options force = usual;
    force.force = true;
    CHECK_OK(run(&base, &force));
    check_totals(3, 0, 0, 0, 0, 0);
    CHECK(totals.frame_count > 0);
    check_clean(&base);
    clv_store_close(base.store);
}

static void follows_moves_and_changes(void)
{
    struct base base;
    if (!open_base(&base))
        return;
    make_three(&base);
    CHECK_OK(run(&base, &usual));
    struct clv_video_row old = row_of(&base, "a.mp4");
    rename_in(&base, "a.mp4", "moved.mp4");
    write_clip(&base, "b.mkv", 33, 0, 160);
    CHECK_OK(run(&base, &usual));
    check_totals(1, 1, 1, 0, 0, 0);
    CHECK(noted(CLV_INGEST_MOVED, "moved.mp4", "/a.mp4"));
    CHECK(noted(CLV_INGEST_INDEXED, "b.mkv", ""));
    struct clv_video_row moved = row_of(&base, "moved.mp4");
    CHECK_INT(moved.id, old.id);
    CHECK_INT(moved.segment_count, old.segment_count);
    /* Put over another video: that one is replaced by what is known, and the old place is gone. */
    rename_in(&base, "moved.mp4", "c.avi");
    CHECK_OK(run(&base, &usual));
    check_totals(1, 1, 0, 0, 1, 0);
    CHECK_INT(totals.frame_count, 0);
    struct clv_video_row over = row_of(&base, "c.avi");
    CHECK_INT(over.segment_count, old.segment_count);
    CHECK(memcmp(over.digest, old.digest, CLV_DIGEST_BYTES) == 0);
    clv_video_row_release(&old);
    clv_video_row_release(&moved);
    clv_video_row_release(&over);
    check_clean(&base);
    clv_store_close(base.store);
}

static void reports_and_prunes_what_is_gone(void)
{
    struct base base;
    if (!open_base(&base))
        return;
    make_three(&base);
    put_garbage(&base, "bad.mp4");
    CHECK_OK(run(&base, &usual));
    check_totals(3, 0, 0, 1, 0, 0);
    copy_in(&base, "a.mp4", ".kept");
    remove_in(&base, "a.mp4");
    remove_in(&base, "bad.mp4");
    struct clv_ingest_options dry = usual;
    dry.prune = dry.dry_run = true;
    CHECK_OK(run(&base, &dry));
    check_totals(0, 2, 0, 0, 0, 2);
    CHECK_OK(run(&base, &usual));
    check_totals(0, 2, 0, 0, 2, 0);
    CHECK(noted(CLV_INGEST_GONE, "a.mp4", ""));
    struct clv_video_row row = row_of(&base, "a.mp4");
    CHECK_INT(row.status, CLV_VIDEO_MISSING);
    clv_video_row_release(&row);
    /* Back again: known by its content. */
    rename_in(&base, ".kept", "a.mp4");
    CHECK_OK(run(&base, &usual));
    check_totals(0, 3, 0, 0, 1, 0);
    CHECK_INT(totals.frame_count, 0);
    row = row_of(&base, "a.mp4");
    CHECK_INT(row.status, CLV_VIDEO_INDEXED);
    clv_video_row_release(&row);
    remove_in(&base, "a.mp4");
    /* Another folder's run leaves this one alone. */
    const char *elsewhere = t_directory();
    CHECK_OK(run_paths(&base, &elsewhere, 1, &usual, T));
    check_totals(0, 0, 0, 0, 0, 0);
    struct clv_ingest_options prune = usual;
    prune.prune = true;
    CHECK_OK(run(&base, &prune));
    check_totals(0, 2, 0, 0, 0, 2);
    CHECK_OK(run(&base, &prune));
    check_totals(0, 2, 0, 0, 0, 0);
    CHECK_ERROR(
        clv_store_video_by_path(base.store, &row, t_path(base.folder, "a.mp4"), base.model_id),
        CLV_ENOTFOUND, "a.mp4");
    check_clean(&base);
    clv_store_close(base.store);
}

static void computes_equal_content_once(void)
{
    struct base base;
    if (!open_base(&base))
        return;
    write_clip(&base, "a.mp4", 60, 0, 128);
    copy_in(&base, "a.mp4", "b.mp4");
    CHECK_OK(run(&base, &usual));
    check_totals(2, 0, 0, 0, 0, 0);
    int64_t frames = totals.frame_count;
    CHECK_INT(frames, 12);
    copy_in(&base, "a.mp4", "c.mp4");
    CHECK_OK(run(&base, &usual));
    check_totals(1, 2, 0, 0, 0, 0);
    CHECK_INT(totals.frame_count, 0);
    struct clv_video_row a = row_of(&base, "a.mp4"), c = row_of(&base, "c.mp4");
    struct dump first = {.base = &base}, second = {.base = &base};
    CHECK_OK(clv_store_segments(base.store, a.id, base.model_id, dump_segment, &first));
    CHECK_OK(clv_store_segments(base.store, c.id, base.model_id, dump_segment, &second));
    CHECK(a.id != c.id);
    CHECK_STRING(second.text.data, first.text.data);
    CHECK_INT(c.duration_ticks, a.duration_ticks);
    clv_bytes_release(&first.text);
    clv_bytes_release(&second.text);
    clv_video_row_release(&a);
    clv_video_row_release(&c);
    /* A copy of what cannot be read is read itself, and says so under its own name. */
    put_garbage(&base, "x.mp4");
    put_garbage(&base, "y.mp4");
    CHECK_OK(run(&base, &usual));
    check_totals(0, 3, 0, 2, 0, 0);
    CHECK(noted(CLV_INGEST_FAILED, "x.mp4", "x.mp4"));
    CHECK(noted(CLV_INGEST_FAILED, "y.mp4", "y.mp4"));
    CHECK_INT(totals.files_done, 5);
    check_clean(&base);
    clv_store_close(base.store);
}

static void lists_failures_and_goes_on(void)
{
    struct base base;
    if (!open_base(&base))
        return;
    write_clip(&base, "good.mp4", 30, 0, 128);
    put_garbage(&base, "bad.mp4");
    clip_put(t_path(base.folder, "empty.mp4"), "", 0);
    clip_put(t_path(base.folder, "notes.txt"), "words", 5);
    const char *paths[] = {base.folder, t_path(base.folder, "notes.txt")};
    CHECK_OK(run_paths(&base, paths, 2, &usual, T));
    check_totals(1, 0, 0, 3, 0, 0);
    CHECK(noted(CLV_INGEST_FAILED, "bad.mp4", "bad.mp4"));
    CHECK(noted(CLV_INGEST_FAILED, "notes.txt", "notes.txt"));
    struct clv_video_row row = row_of(&base, "bad.mp4");
    CHECK_INT(row.status, CLV_VIDEO_FAILED);
    CHECK(strstr(row.error, "bad.mp4") != NULL);
    clv_video_row_release(&row);
    /* As they were: told again, not read again. */
    CHECK_OK(run_paths(&base, paths, 2, &usual, T));
    check_totals(0, 1, 0, 3, 0, 0);
    CHECK(noted(CLV_INGEST_FAILED, "bad.mp4", "bad.mp4"));
    CHECK_INT(totals.bytes_total, 0);
    touch_in(&base, "bad.mp4");
    CHECK_OK(run(&base, &usual));
    check_totals(0, 1, 0, 2, 0, 0);
    CHECK(noted(CLV_INGEST_FAILED, "bad.mp4", "bad.mp4"));
    struct clv_ingest_options retry = usual;
    retry.retry_failed = true;
    CHECK_OK(run(&base, &retry));
    check_totals(0, 1, 0, 2, 0, 0);
    CHECK(totals.bytes_total > 0);
    /* Made good. */
    write_clip(&base, "bad.mp4", 31, 0, 128);
    CHECK_OK(run(&base, &usual));
    check_totals(1, 1, 0, 1, 0, 0);
    /* And bad again: its segments go. */
    put_garbage(&base, "bad.mp4");
    CHECK_OK(run(&base, &usual));
    check_totals(0, 1, 0, 2, 0, 0);
    row = row_of(&base, "bad.mp4");
    CHECK_INT(row.segment_count, 0);
    clv_video_row_release(&row);
    check_clean(&base);
    clv_store_close(base.store);
}

static void notices_files_that_change(void)
{
    struct base base;
    if (!open_base(&base))
        return;
    /* More windows than the pipeline holds, so that the decoding thread waits for the reporter. */
    write_clip(&base, "growing.mp4", 900, 0, 128);
    struct clv_ingest_options fine = usual;
    fine.length_ms = 100;
    fine.stride_ms = 25;
    watch.append_to = t_path(base.folder, "growing.mp4");
    CHECK_OK(run(&base, &fine));
    check_totals(0, 0, 0, 1, 0, 0);
    CHECK(noted(CLV_INGEST_FAILED, "growing.mp4", "changed while being read"));
    CHECK_OK(run(&base, &fine));
    check_totals(1, 0, 0, 0, 0, 0);
    check_clean(&base);
    clv_store_close(base.store);
}

static void settings_make_other_segments(void)
{
    struct base base;
    if (!open_base(&base))
        return;
    make_three(&base);
    CHECK_OK(run(&base, &usual));
    struct clv_ingest_options other = usual;
    other.stride_ms = 390; /* two grid steps all the same */
    CHECK_OK(run(&base, &other));
    check_totals(0, 3, 0, 0, 0, 0);
    other.stride_ms = 200;
    CHECK_OK(run(&base, &other));
    check_totals(3, 0, 0, 0, 0, 0);
    other.length_ms = 1000;
    CHECK_OK(run(&base, &other));
    check_totals(3, 0, 0, 0, 0, 0);
    other.cut_score = -1;
    CHECK_OK(run(&base, &other));
    check_totals(3, 0, 0, 0, 0, 0);
    struct clv_video_row row = row_of(&base, "b.mkv");
    CHECK(strstr(row.settings, "length=1000 ") && strstr(row.settings, "cut=off"));
    clv_video_row_release(&row);
    CHECK_OK(run(&base, &other));
    check_totals(0, 3, 0, 0, 0, 0);
    /* Moved, and to be made anew. */
    rename_in(&base, "a.mp4", "d.mp4");
    CHECK_OK(run(&base, &usual));
    check_totals(3, 0, 0, 0, 0, 0);
    CHECK_ERROR(
        clv_store_video_by_path(base.store, &row, t_path(base.folder, "a.mp4"), base.model_id),
        CLV_ENOTFOUND, "a.mp4");
    other.length_ms = -5;
    CHECK_ERROR(run(&base, &other), CLV_EINVAL, "length of -5 ms");
    other = usual;
    other.stride_ms = -5;
    CHECK_ERROR(run(&base, &other), CLV_EINVAL, "stride of -5 ms");
    clv_store_close(base.store);
}

static void only_says_what_it_would_do(void)
{
    struct base base;
    struct clv_store_status before, after;
    if (!open_base(&base))
        return;
    make_three(&base);
    CHECK_OK(run(&base, &usual));
    rename_in(&base, "a.mp4", "moved.mp4");
    copy_in(&base, "b.mkv", "copy.mkv");
    write_clip(&base, "new.mp4", 12, 0, 128);
    write_clip(&base, "c.avi", 13, 0, 96);
    CHECK_OK(clv_store_status(base.store, &before));
    struct clv_ingest_options dry = usual;
    dry.dry_run = true;
    CHECK_OK(run(&base, &dry));
    check_totals(3, 1, 1, 0, 0, 0);
    CHECK(noted(CLV_INGEST_MOVED, "moved.mp4", "/a.mp4"));
    CHECK(noted(CLV_INGEST_INDEXED, "new.mp4", ""));
    CHECK_INT(totals.frame_count, 0);
    CHECK_OK(clv_store_status(base.store, &after));
    CHECK_INT(after.generation, before.generation);
    clv_store_close(base.store);
}

/* ---- stopping, and sameness ---- */

static void goes_on_after_being_stopped(void)
{
    struct base whole, broken;
    struct clv_cancel cancel = {0};
    if (!open_base(&whole) || !open_base(&broken))
        return;
    make_three(&whole);
    for (const char *const *name = (const char *const[]){"a.mp4", "b.mkv", "c.avi", NULL}; *name;
         name++) {
        size_t size;
        uint8_t *data = clip_bytes(t_path(whole.folder, *name), &size);
        clip_put(t_path(broken.folder, *name), data, size);
        free(data);
    }
    CHECK_OK(run(&whole, &usual));
    struct clv_ingest_options stopped = usual;
    stopped.cancel = watch.cancel_at_first = &cancel;
    CHECK_ERROR(run(&broken, &stopped), CLV_ECANCELED, "stopped");
    watch.cancel_at_first = NULL;
    const int indexed = totals.indexed_count;
    CHECK(indexed >= 1);
    check_clean(&broken);
    CHECK_ERROR(run(&broken, &stopped), CLV_ECANCELED, "");
    CHECK_OK(run(&broken, &usual));
    check_totals(3 - indexed, indexed, 0, 0, 0, 0);
    struct clv_bytes want = dump_base(&whole), got = dump_base(&broken);
    CHECK_STRING(got.data, want.data);
    clv_bytes_release(&want);
    clv_bytes_release(&got);
    check_clean(&broken);
    clv_store_close(whole.store);
    clv_store_close(broken.store);
}

/* Bit for bit, run by run; and the number of slots, which sets the batches, hardly matters. */
static void gives_the_same_every_time(void)
{
    struct base first, second;
    if (!open_base(&first) || !open_base(&second))
        return;
    make_three(&first);
    const char *path = first.folder;
    CHECK_OK(run_paths(&first, &path, 1, &usual, 2 * T));
    CHECK_OK(run_paths(&second, &path, 1, &usual, 2 * T));
    struct clv_bytes want = dump_base(&first), got = dump_base(&second);
    CHECK(want.size_bytes > 1000);
    CHECK_STRING(got.data, want.data);
    clv_bytes_release(&want);
    clv_bytes_release(&got);
    clv_store_close(first.store);
    clv_store_close(second.store);
}

/* A store that refuses ends the run with the store's own sentence. */
static void stops_where_the_store_fails(void)
{
    struct base base;
    if (!open_base(&base))
        return;
    make_three(&base);
    write_clip(&base, "long.mp4", 400, 0, 128);
    base.model_id += 77;
    int status = run(&base, &usual);
    CHECK(status < 0 && status != CLV_ECANCELED);
    CHECK(strstr(clv_error_message(), "model") != NULL);
    CHECK_INT(totals.indexed_count, 0);
    clv_store_close(base.store);
}

static void refuses_paths_that_are_not_there(void)
{
    struct base base;
    if (!open_base(&base))
        return;
    const char *path = t_path(base.folder, "nothing");
    CHECK_ERROR(run_paths(&base, &path, 1, &usual, T), CLV_ENOTFOUND, "nothing");
    CHECK_OK(run(&base, &usual));
    check_totals(0, 0, 0, 0, 0, 0);
    CHECK_INT(totals.file_count, 0);
    clv_store_close(base.store);
}

/* ---- several files at once ---- */

static int run_readers(struct base *base, const struct clv_ingest_options *options)
{
    const char *path = base->folder;
    struct clv_encoder *encoder = NULL;
    int status = clv_ingest_encoder(&encoder, device, &model, options);
    if (status != CLV_OK)
        return status;
    watch.note_count = watch.progress_count = 0;
    status = clv_ingest_paths(&totals, base->store, encoder, base->model_id, &path, 1, options,
                              on_report, &watch);
    clv_encoder_free(encoder);
    return status;
}

/* `count` files of the same few pictures and different content: a box behind the video that
 * players pass over. */
static void write_variants(struct base *base, const char *name, int count)
{
    uint8_t box[12] = {0, 0, 0, 12, 'f', 'r', 'e', 'e'};
    size_t size;
    uint8_t *data = clip_bytes(t_path(base->folder, name), &size);
    uint8_t *whole = realloc(data, size + sizeof box);
    REQUIRE(whole != NULL);
    for (int i = 0; i < count; i++) {
        char path[64];
        box[8] = (uint8_t)(i / 100);
        box[9] = (uint8_t)(i % 100);
        memcpy(whole + size, box, sizeof box);
        snprintf(path, sizeof path, "variant_%03d.mp4", i);
        clip_put(t_path(base->folder, path), whole, size + sizeof box);
    }
    free(whole);
}

/* Long and short, good and bad, some of them twice. */
static void make_many(struct base *base)
{
    write_clip(base, "a_long.mp4", 400, 90, 128);
    for (int i = 0; i < 12; i++) {
        char name[32];
        snprintf(name, sizeof name, "clip_%02d.%s", i, i % 3 ? "mp4" : "mkv");
        write_clip(base, name, 1 + 7 * i, i % 4 == 1 ? 20 : 0, 96 + 16 * (i % 3));
    }
    put_garbage(base, "clip_03_bad.mp4");
    put_garbage(base, "clip_05_bad.mp4");
    copy_in(base, "clip_04.mp4", "clip_04_copy.mp4");
    copy_in(base, "a_long.mp4", "z_copy.mp4");
    clip_put(t_path(base->folder, "clip_09_empty.mp4"), "", 0);
}

static void share_folder(struct base *base, const struct base *from)
{
    snprintf(base->folder, sizeof base->folder, "%s", from->folder);
}

static struct clv_bytes list_notes(void)
{
    struct clv_bytes text = {0};
    for (int i = 0; i < watch.note_count; i++)
        clv_bytes_format(&text, "%d %s\n", (int)watch.notes[i].event, watch.notes[i].name);
    clv_bytes_text(&text, "");
    return text;
}

/* Ids, in order of path: what is stored first has the lowest. */
static int dump_id(const struct clv_video_row *row, void *payload)
{
    clv_bytes_format(payload, "%s %lld\n", clv_path_base(row->path), (long long)row->id);
    return CLV_OK;
}

static struct clv_bytes dump_ids(struct base *base)
{
    struct clv_bytes text = {0};
    CHECK_OK(clv_store_videos(base->store, NULL, base->model_id, dump_id, &text));
    clv_bytes_text(&text, "");
    return text;
}

static void check_same_text(struct clv_bytes got, struct clv_bytes want)
{
    CHECK(want.size_bytes > 20);
    CHECK_STRING(got.data, want.data);
    clv_bytes_release(&got);
    clv_bytes_release(&want);
}

/* Bit for bit, ids and the order of reports too; also with more threads than files. */
static void readers_do_not_matter(void)
{
    struct base one;
    if (!open_base(&one))
        return;
    make_many(&one);
    CHECK_OK(run_readers(&one, &usual));
    check_totals(15, 0, 0, 3, 0, 0);
    const struct clv_ingest_progress want = totals;
    struct clv_bytes notes = list_notes();
    for (int readers = 2; readers <= 32; readers *= 2) {
        struct base several;
        struct clv_ingest_options options = usual;
        options.reader_count = readers;
        if (!open_base(&several))
            return;
        share_folder(&several, &one);
        CHECK_OK(run_readers(&several, &options));
        check_totals(15, 0, 0, 3, 0, 0);
        CHECK_INT(totals.frame_count, want.frame_count);
        CHECK_INT(totals.segment_count, want.segment_count);
        CHECK_INT(totals.footage_ms, want.footage_ms);
        CHECK_INT(totals.bytes_done, totals.bytes_total);
        CHECK_INT(totals.bytes_total, want.bytes_total);
        CHECK(strcmp(clv_ingest_limit(&totals), "") != 0);
        CHECK(totals.decode_s > 0 && totals.decode_s <= totals.elapsed_s);
        struct clv_bytes now = list_notes();
        CHECK_STRING(now.data, notes.data);
        clv_bytes_release(&now);
        check_same_text(dump_base(&several), dump_base(&one));
        check_same_text(dump_ids(&several), dump_ids(&one));
        check_clean(&several);
        clv_store_close(several.store);
    }
    clv_bytes_release(&notes);
    clv_store_close(one.store);
}

/* ---- batches that span videos ---- */

struct vectors {
    struct clv_bytes facts; /* all but ids, vectors and norms */
    float *values;
    size_t count, capacity;
    struct base *base;
};

static void add_values(struct vectors *vectors, const float *values, size_t count)
{
    if (vectors->count + count > vectors->capacity) {
        vectors->capacity = 2 * (vectors->count + count);
        vectors->values = realloc(vectors->values, vectors->capacity * sizeof *vectors->values);
        REQUIRE(vectors->values != NULL);
    }
    memcpy(vectors->values + vectors->count, values, count * sizeof *values);
    vectors->count += count;
}

static int add_segment(const struct clv_hit *segment, const float *vector, void *payload)
{
    struct vectors *vectors = payload;
    clv_bytes_format(&vectors->facts, " %lld-%lld/%d\n", (long long)segment->start_ticks,
                     (long long)segment->end_ticks, segment->shot);
    add_values(vectors, &segment->norm, 1);
    add_values(vectors, vector, (size_t)model.config.embed_dim);
    return CLV_OK;
}

static int add_video(const struct clv_video_row *row, void *payload)
{
    struct vectors *vectors = payload;
    clv_bytes_format(&vectors->facts, "%s %d\n", clv_path_base(row->path), (int)row->status);
    return clv_store_segments(vectors->base->store, row->id, vectors->base->model_id, add_segment,
                              vectors);
}

static struct vectors read_vectors(struct base *base)
{
    struct vectors vectors = {.base = base};
    CHECK_OK(clv_store_videos(base->store, NULL, base->model_id, add_video, &vectors));
    clv_bytes_text(&vectors.facts, "");
    return vectors;
}

/* The same segments with the same vectors, but for rounding: a half-precision step at most. */
static void check_near(struct base *got_base, struct base *want_base)
{
    struct vectors got = read_vectors(got_base), want = read_vectors(want_base);
    CHECK(want.count > 100);
    CHECK_STRING(got.facts.data, want.facts.data);
    CHECK_INT(got.count, want.count);
    double most = 0;
    for (size_t i = 0; i < got.count && i < want.count; i++)
        most = fmax(most, fabs((double)got.values[i] - want.values[i]));
    CHECK_NEAR(most, 0, 1e-3);
    clv_bytes_release(&got.facts);
    clv_bytes_release(&want.facts);
    free(got.values);
    free(want.values);
}

static void shared_batches_give_the_same(void)
{
    struct base own;
    if (!open_base(&own))
        return;
    make_many(&own);
    CHECK_OK(run_readers(&own, &usual));
    const int64_t frame_count = totals.frame_count;
    for (int readers = 1; readers <= 8; readers += 3) {
        struct base shared;
        struct clv_ingest_options options = usual;
        options.batching = CLV_BATCHING_SHARED;
        options.reader_count = readers;
        if (!open_base(&shared))
            return;
        share_folder(&shared, &own);
        CHECK_OK(run_readers(&shared, &options));
        check_totals(15, 0, 0, 3, 0, 0);
        CHECK_INT(totals.frame_count, frame_count);
        CHECK_INT(totals.bytes_done, totals.bytes_total);
        check_near(&shared, &own);
        check_same_text(dump_ids(&shared), dump_ids(&own));
        check_clean(&shared);
        /* Nothing is left to be done. */
        CHECK_OK(run_readers(&shared, &options));
        check_totals(0, 15, 0, 3, 0, 0);
        clv_store_close(shared.store);
    }
    clv_store_close(own.store);
}

/* A batch that takes more videos than may be read ahead goes before it is full. */
static void a_batch_does_not_wait_for_what_waits_for_it(void)
{
    enum { FILES = 280 };
    struct base base;
    if (!open_base(&base))
        return;
    struct clip clip = {.width = 32, .height = 32, .frame_count = 1};
    clip_write(base.folder, "a.mp4", &clip);
    write_variants(&base, "a.mp4", FILES);
    struct clv_ingest_options options = usual;
    options.batching = CLV_BATCHING_SHARED;
    options.reader_count = 3;
    struct clv_encoder *encoder = NULL;
    struct clv_encoder_options large = {.no_text = true,
                                        .slot_count = 2000,
                                        .frame_batch_max = 2 * FILES,
                                        .window_batch_max = 2 * FILES};
    REQUIRE_OK(clv_encoder_create(&encoder, device, model.weights, &model.config, &large));
    const char *path = base.folder;
    CHECK_OK(clv_ingest_paths(&totals, base.store, encoder, base.model_id, &path, 1, &options,
                              on_report, &watch));
    clv_encoder_free(encoder);
    check_totals(FILES + 1, 0, 0, 0, 0, 0);
    CHECK_INT(totals.segment_count, FILES + 1);
    check_clean(&base);
    clv_store_close(base.store);
}

static void several_readers_can_be_stopped(enum clv_batching batching)
{
    struct base whole, broken;
    struct clv_ingest_options options = usual;
    if (!open_base(&whole) || !open_base(&broken))
        return;
    options.reader_count = 5;
    options.batching = batching;
    make_many(&whole);
    share_folder(&broken, &whole);
    CHECK_OK(run_readers(&whole, &options));
    int indexed = 0;
    for (int round = 0; round < 3; round++) {
        struct clv_cancel cancel = {0};
        struct clv_ingest_options stopped = options;
        stopped.cancel = watch.cancel_at_first = &cancel;
        CHECK_ERROR(run_readers(&broken, &stopped), CLV_ECANCELED, "stopped");
        watch.cancel_at_first = NULL;
        /* What was stored until the stop was heard of stays. */
        CHECK(totals.indexed_count >= 1);
        CHECK_INT(totals.unchanged_count, indexed);
        indexed += totals.indexed_count;
        check_clean(&broken);
    }
    CHECK_OK(run_readers(&broken, &options));
    check_totals(15 - indexed, indexed, 0, 3, 0, 0);
    if (batching == CLV_BATCHING_OWN)
        check_same_text(dump_base(&broken), dump_base(&whole));
    else
        check_near(&broken, &whole);
    check_clean(&broken);
    clv_store_close(whole.store);
    clv_store_close(broken.store);
}

static void readers_stop_and_go_on(void)
{
    several_readers_can_be_stopped(CLV_BATCHING_OWN);
}

static void shared_batches_stop_and_go_on(void)
{
    several_readers_can_be_stopped(CLV_BATCHING_SHARED);
}

/* One of several files fails when much of it has been through the model. */
static void a_file_that_changes_spoils_no_other(void)
{
    for (int batching = CLV_BATCHING_OWN; batching <= CLV_BATCHING_SHARED; batching++) {
        struct base base;
        if (!open_base(&base))
            return;
        write_clip(&base, "a_growing.mp4", 900, 0, 128);
        for (int i = 0; i < 5; i++) {
            char name[32];
            snprintf(name, sizeof name, "clip_%d.mp4", i);
            write_clip(&base, name, 20 + i, 0, 128);
        }
        struct clv_ingest_options fine = usual;
        fine.length_ms = 100;
        fine.stride_ms = 25;
        fine.reader_count = 3;
        fine.batching = (enum clv_batching)batching;
        watch.append_to = t_path(base.folder, "a_growing.mp4");
        CHECK_OK(run_readers(&base, &fine));
        check_totals(5, 0, 0, 1, 0, 0);
        CHECK(noted(CLV_INGEST_FAILED, "a_growing.mp4", "changed while being read"));
        CHECK_OK(run_readers(&base, &fine));
        check_totals(1, 5, 0, 0, 0, 0);
        check_clean(&base);
        clv_store_close(base.store);
    }
}

/* The store's refusal ends all readers. */
static void a_failing_store_stops_several_readers(void)
{
    struct base base;
    struct clv_ingest_options options = usual;
    if (!open_base(&base))
        return;
    options.reader_count = 4;
    make_many(&base);
    base.model_id += 77;
    int status = run_readers(&base, &options);
    CHECK(status < 0 && status != CLV_ECANCELED);
    CHECK_INT(totals.indexed_count, 0);
    clv_store_close(base.store);
}

/* Files go through the model while the first of them waits to be stored. */
static void encoding_does_not_wait_for_the_store(void)
{
    for (int batching = CLV_BATCHING_OWN; batching <= CLV_BATCHING_SHARED; batching++) {
        struct base base;
        struct clv_ingest_options options = usual;
        if (!open_base(&base))
            return;
        options.batching = (enum clv_batching)batching;
        options.reader_count = 2;
        make_many(&base);
        watch.unlock_frames = 120;
        watch.lock = fixture_lock(clv_store_directory(base.store));
        CHECK_OK(run_readers(&base, &options));
        CHECK(watch.lock == NULL);
        CHECK(totals.frame_count > 120);
        check_totals(15, 0, 0, 3, 0, 0);
        check_clean(&base);
        clv_store_close(base.store);
    }
}

int main(void)
{
    struct clv_model_config config;
    struct random_model_options random = {.seed = 9};
    struct clv_device_options options = {.kind = CLV_DEVICE_CPU, .thread_count = 1};
    const char *path = t_path(t_directory(), "model.safetensors");
    if (!random_model_arch(&config, "tiny", T, CLV_MASK_KMT, false) ||
        random_model_write(path, &config, &random) != CLV_OK ||
        clv_model_open(&model, path, &(struct clv_model_options){0}) != CLV_OK ||
        clv_device_open(&device, &options) != CLV_OK) {
        printf("FAIL set-up: %s\n", clv_error_message());
        return 1;
    }
    T_RUN(encodes_the_right_frames);
    T_RUN(counts_frames_once);
    T_RUN(leaves_what_is_unchanged);
    T_RUN(follows_moves_and_changes);
    T_RUN(reports_and_prunes_what_is_gone);
    T_RUN(computes_equal_content_once);
    T_RUN(lists_failures_and_goes_on);
    T_RUN(notices_files_that_change);
    T_RUN(settings_make_other_segments);
    T_RUN(only_says_what_it_would_do);
    T_RUN(goes_on_after_being_stopped);
    T_RUN(gives_the_same_every_time);
    T_RUN(stops_where_the_store_fails);
    T_RUN(refuses_paths_that_are_not_there);
    T_RUN(readers_do_not_matter);
    T_RUN(shared_batches_give_the_same);
    T_RUN(a_batch_does_not_wait_for_what_waits_for_it);
    T_RUN(readers_stop_and_go_on);
    T_RUN(shared_batches_stop_and_go_on);
    T_RUN(a_file_that_changes_spoils_no_other);
    T_RUN(a_failing_store_stops_several_readers);
    T_RUN(encoding_does_not_wait_for_the_store);
    clv_model_release(&model);
    clv_device_close(device);
    return t_end();
}
