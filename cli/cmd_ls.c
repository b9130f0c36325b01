/* `ls`: what is in the database, video by video or segment by segment. */
#include "cli/command.h"
#include "cli/out.h"
#include "cli/session.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    bool failed;
    bool missing;
    bool segments;
    bool vectors;
};

static const struct settings defaults = {0};

#define FIELD(field) .offset = offsetof(struct settings, field)
static const struct clv_opt opts[] = {
    {.name = "failed",
     .kind = CLV_OPT_BOOL,
     FIELD(failed),
     .help = "only files that could not be read, with the reason"},
    {.name = "missing",
     .kind = CLV_OPT_BOOL,
     FIELD(missing),
     .help = "only videos whose file is gone"},
    {.name = "segments",
     .kind = CLV_OPT_BOOL,
     FIELD(segments),
     .help = "every segment of every video"},
    {.name = "vectors",
     .kind = CLV_OPT_BOOL,
     FIELD(vectors),
     .help = "with --segments: each segment's vector as a digest; with --json also its numbers"},
    {.name = NULL},
};

static const char *const status_names[] = {
    [CLV_VIDEO_INDEXED] = "indexed",
    [CLV_VIDEO_FAILED] = "failed",
    [CLV_VIDEO_MISSING] = "missing",
};

struct listing {
    const struct clv_cli *cli;
    const struct settings *settings;
    struct clv_session *session;
    int64_t model_id; /* 0: nothing is indexed */
    int dim;
    struct clv_table table;
    const struct clv_video_row *video; /* whose segments are being listed */
    int64_t count;
};

static bool is_wanted(const struct settings *settings, enum clv_video_status status)
{
    if (!settings->failed && !settings->missing)
        return true;
    return (settings->failed && status == CLV_VIDEO_FAILED) ||
           (settings->missing && status == CLV_VIDEO_MISSING);
}

static int64_t ticks_ms(int64_t ticks, const struct clv_video_row *video)
{
    return clv_time_rescale(ticks, video->timebase, (struct clv_timebase){1, 1000});
}

static int print_video_json(const struct clv_video_row *row)
{
    char digest[CLV_DIGEST_TEXT_SIZE];
    char timebase[32];
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", "video");
    clv_json_put_integer(object, "id", row->id);
    clv_json_put_string(object, "path", row->path);
    clv_json_put_string(object, "status", status_names[row->status]);
    clv_json_put_integer(object, "size_bytes", row->size_bytes);
    if (row->status == CLV_VIDEO_FAILED) {
        clv_json_put_string(object, "error", row->error);
        return clv_out_json(object);
    }
    snprintf(timebase, sizeof timebase, "%" PRId32 "/%" PRId32, row->timebase.numerator,
             row->timebase.denominator);
    clv_json_put_string(object, "digest", clv_digest_text(digest, row->digest));
    clv_json_put_integer(object, "duration_ms", ticks_ms(row->duration_ticks, row));
    clv_json_put_integer(object, "segments", row->segment_count);
    clv_json_put_integer(object, "width", row->width);
    clv_json_put_integer(object, "height", row->height);
    clv_json_put_integer(object, "rotation", row->rotation);
    clv_json_put_number(object, "frame_rate", row->frame_rate);
    clv_json_put_bool(object, "has_audio", row->has_audio);
    clv_json_put_string(object, "codec", row->codec);
    clv_json_put_string(object, "container", row->container);
    clv_json_put_string(object, "timebase", timebase);
    clv_json_put_integer(object, "damaged", row->damage_count);
    clv_json_put_string(object, "settings", row->settings);
    clv_json_put_integer(object, "indexed_unix_ms", row->indexed_unix_ms);
    return clv_out_json(object);
}

static void add_video_row(struct listing *listing, const struct clv_video_row *row)
{
    char *path = clv_out_path(row->path);
    clv_table_cell(&listing->table, "%s", status_names[row->status]);
    if (listing->settings->failed && !listing->settings->missing) {
        clv_table_cell(&listing->table, "%s", path == NULL ? row->path : path);
        clv_table_cell(&listing->table, "%s", row->error);
    } else {
        char duration[CLV_TIME_TEXT_SIZE];
        bool known = row->status != CLV_VIDEO_FAILED;
        clv_table_cell(&listing->table, "%s",
                       known ? clv_time_format(duration, ticks_ms(row->duration_ticks, row)) : "-");
        if (known)
            clv_table_cell(&listing->table, "%dx%d", row->width, row->height);
        else
            clv_table_cell(&listing->table, "-");
        clv_table_cell(&listing->table, "%s", known && row->codec[0] != '\0' ? row->codec : "-");
        clv_table_cell(&listing->table, "%" PRId64, row->segment_count);
        clv_table_cell(&listing->table, "%s", path == NULL ? row->path : path);
    }
    free(path);
}

static int print_segment_json(const struct listing *listing, const struct clv_hit *segment,
                              const float *vector, const char *digest)
{
    const struct clv_video_row *video = listing->video;
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", "segment");
    clv_json_put_string(object, "path", video->path);
    clv_json_put_integer(object, "id", segment->segment_id);
    clv_json_put_integer(object, "start_ticks", segment->start_ticks);
    clv_json_put_integer(object, "end_ticks", segment->end_ticks);
    clv_json_put_integer(object, "start_ms",
                         ticks_ms(segment->start_ticks - video->start_ticks, video));
    clv_json_put_integer(object, "end_ms",
                         ticks_ms(segment->end_ticks - video->start_ticks, video));
    clv_json_put_integer(object, "shot", segment->shot);
    clv_json_put_number(object, "norm", segment->norm);
    if (listing->settings->vectors) {
        clv_json_put_string(object, "vector_digest", digest);
        struct clv_json *numbers = clv_json_array();
        for (int i = 0; i < listing->dim; i++)
            clv_json_append_number(numbers, vector[i]);
        clv_json_put(object, "vector", numbers);
    }
    return clv_out_json(object);
}

static int list_segment(const struct clv_hit *segment, const float *vector, void *payload)
{
    struct listing *listing = payload;
    const struct clv_video_row *video = listing->video;
    char digest_text[CLV_DIGEST_TEXT_SIZE] = "";
    if (listing->settings->vectors) {
        uint8_t digest[CLV_DIGEST_BYTES];
        clv_digest_bytes(digest, vector, (size_t)listing->dim * sizeof *vector);
        clv_digest_text(digest_text, digest);
    }
    listing->count++;
    if (listing->cli->flags.json)
        return print_segment_json(listing, segment, vector, digest_text);
    char text[CLV_TIME_TEXT_SIZE];
    clv_table_cell(
        &listing->table, "%s",
        clv_time_format(text, ticks_ms(segment->start_ticks - video->start_ticks, video)));
    clv_table_cell(&listing->table, "%s",
                   clv_time_format(text, ticks_ms(segment->end_ticks - video->start_ticks, video)));
    clv_table_cell(&listing->table, "%" PRId32, segment->shot);
    clv_table_cell(&listing->table, "%.4f", (double)segment->norm);
    if (listing->settings->vectors)
        clv_table_cell(&listing->table, "%.16s", digest_text);
    char *path = clv_out_path(video->path);
    clv_table_cell(&listing->table, "%s", path == NULL ? video->path : path);
    free(path);
    return CLV_OK;
}

static int list_video(const struct clv_video_row *row, void *payload)
{
    struct listing *listing = payload;
    if (clv_cancelled(listing->cli->cancel))
        return clv_fail(CLV_ECANCELED, "interrupted");
    if (!is_wanted(listing->settings, row->status))
        return CLV_OK;
    if (listing->settings->segments) {
        listing->video = row;
        return clv_store_segments(listing->session->store, row->id, listing->model_id, list_segment,
                                  listing);
    }
    listing->count++;
    if (listing->cli->flags.json)
        return print_video_json(row);
    add_video_row(listing, row);
    return CLV_OK;
}

static const char *headings(const struct settings *settings)
{
    if (settings->segments)
        return settings->vectors ? "START> END> SHOT> NORM> VECTOR PATH"
                                 : "START> END> SHOT> NORM> PATH";
    if (settings->failed && !settings->missing)
        return "STATUS PATH REASON";
    return "STATUS DURATION> SIZE> CODEC SEGMENTS> PATH";
}

static int run(const struct clv_cli *cli)
{
    const struct settings *settings = cli->settings;
    if (settings->vectors && !settings->segments)
        return clv_fail(CLV_EINVAL, "--vectors belongs to --segments");
    struct clv_session session = {0};
    struct listing listing = {.cli = cli, .settings = settings, .session = &session};
    const struct clv_session_model *model = NULL;
    char *glob = NULL;
    int status = clv_session_open_store(&session, cli, false);
    if (status == CLV_OK)
        status = clv_session_shown_model(&session, &model);
    if (model != NULL) {
        listing.model_id = model->id;
        listing.dim = model->dim;
    }
    if (status == CLV_OK && cli->operand_count > 0) {
        glob = clv_session_glob(cli->operands[0]);
        status = glob == NULL ? CLV_ENOMEM : CLV_OK;
    }
    if (!cli->flags.json)
        clv_table_begin(&listing.table, headings(settings));
    if (status == CLV_OK)
        status = clv_store_videos(session.store, glob, listing.model_id, list_video, &listing);
    if (status == CLV_OK && listing.count > 0 && !cli->flags.json)
        status = clv_table_print(&listing.table);
    if (status == CLV_OK && listing.count == 0)
        status = CLV_EXIT_NOTHING;
    clv_bytes_release(&listing.table.cells);
    free(glob);
    clv_session_release(&session);
    return status;
}

const struct clv_command clv_command_ls = {
    .name = "ls",
    .operands = "[PATH|GLOB]",
    .summary = "list videos or segments",
    .description = "Lists the videos of the database in order of their paths, all or those that "
                   "match. Exit status 1 means that there are none.",
    .example = "claverdb ls '*/lobby/*'\n"
               "claverdb ls --failed\n"
               "claverdb ls --segments --json | jq .start_ms",
    .operand_max = 1,
    .opts = opts,
    .settings_size = sizeof(struct settings),
    .defaults = &defaults,
    .run = run,
};
