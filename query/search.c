/* From a query to moments: the query's unit vector, ever more hits from the store until the
 * moments asked for are final, and a reading of the scores. */
#include "query/search.h"

#include "core/clock.h"
#include "core/error.h"
#include "query/moments.h"
#include "query/target.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOMENT_DEFAULT 10
#define MOMENT_LIMIT 100000
#define SAMPLE_MAX 2048
/* Once there are enough moments, hits beyond this many are not fetched just to see whether a last
 * faint neighbour belongs to one. */
#define HIT_ENOUGH 65536

/* ---- what arbitrary footage scores ----------------------------------------------------------- */

struct spread {
    float scores[SAMPLE_MAX]; /* ascending */
    int count;
    double deviation;
};

static int compare_floats(const void *left, const void *right)
{
    const float *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static int measure_spread(struct spread *spread, struct clv_store *store, int64_t model_id,
                          const float *vector)
{
    int status = clv_store_sample_scores(store, spread->scores, &spread->count, model_id, vector,
                                         SAMPLE_MAX);
    if (status != CLV_OK)
        return status;
    double sum = 0, square = 0;
    for (int i = 0; i < spread->count; i++)
        sum += spread->scores[i];
    double mean = spread->count ? sum / spread->count : 0;
    for (int i = 0; i < spread->count; i++)
        square += (spread->scores[i] - mean) * (spread->scores[i] - mean);
    spread->deviation = spread->count ? sqrt(square / spread->count) : 0;
    qsort(spread->scores, (size_t)spread->count, sizeof *spread->scores, compare_floats);
    return CLV_OK;
}

/* Percent of the sample that scores lower. */
static float percentile_of(const struct spread *spread, float score)
{
    int low = 0, high = spread->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (spread->scores[middle] < score)
            low = middle + 1;
        else
            high = middle;
    }
    return spread->count ? 100.0F * (float)low / (float)spread->count : 0;
}

/* ---- videos of the hits ---------------------------------------------------------------------- */

/* What is needed of each video that was hit, by id. */
struct video {
    int64_t id;
    char *path; /* NULL: gone since the search */
    uint8_t digest[CLV_DIGEST_BYTES];
    struct clv_timebase timebase;
    int64_t start_ticks;
};
struct videos {
    struct video *rows;
    int count, capacity;
};

static int compare_videos(const void *left, const void *right)
{
    const struct video *a = left, *b = right;
    return (a->id > b->id) - (a->id < b->id);
}

static const struct video *videos_find(const struct videos *videos, int64_t id)
{
    struct video key = {.id = id};
    if (!videos->count)
        return NULL;
    return bsearch(&key, videos->rows, (size_t)videos->count, sizeof key, compare_videos);
}

static int videos_load(struct video *video, struct clv_store *store, int64_t id)
{
    struct clv_video_row row;
    int status = clv_store_video_by_id(store, &row, id, 0);
    *video = (struct video){.id = id};
    if (status == CLV_ENOTFOUND)
        return CLV_OK;
    if (status != CLV_OK)
        return status;
    video->path = strdup(row.path);
    memcpy(video->digest, row.digest, sizeof video->digest);
    video->timebase = row.timebase;
    video->start_ticks = row.start_ticks;
    clv_video_row_release(&row);
    return video->path ? CLV_OK : clv_fail_memory("a path");
}

/* Loads the videos of the hits that are not there yet; keeps them in order of id. */
static int videos_add(struct videos *videos, struct clv_store *store, const struct clv_hit *hits,
                      int hit_count)
{
    for (int i = 0; i < hit_count; i++) {
        if (videos_find(videos, hits[i].video_id))
            continue;
        if (videos->count == videos->capacity) {
            int capacity = videos->capacity ? 2 * videos->capacity : 32;
            struct video *rows = realloc(videos->rows, (size_t)capacity * sizeof *videos->rows);
            if (!rows)
                return clv_fail_memory("the videos found");
            videos->rows = rows;
            videos->capacity = capacity;
        }
        struct video video;
        int status = videos_load(&video, store, hits[i].video_id);
        if (status != CLV_OK)
            return status;
        int at = videos->count++;
        for (; at > 0 && videos->rows[at - 1].id > video.id; at--)
            videos->rows[at] = videos->rows[at - 1];
        videos->rows[at] = video;
    }
    return CLV_OK;
}

static void videos_release(struct videos *videos)
{
    for (int i = 0; i < videos->count; i++)
        free(videos->rows[i].path);
    free(videos->rows);
}

/* ---- hits to moments ------------------------------------------------------------------------- */

/* One search under way; everything here is released at its end. */
struct run {
    struct clv_store *store;
    const struct clv_search_options *options;
    int64_t model_id;
    float *vector;
    int moment_max;
    struct spread spread;
    struct videos videos;
    struct clv_hit *hits;
    struct clv_moment_hit *pieces;
    int hit_max, hit_count, piece_count;
    bool exhausted; /* no hit is left that could count */
    struct clv_moment_span *spans;
    int span_count;
};

static int64_t milliseconds(const struct video *video, int64_t ticks)
{
    return clv_time_rescale(ticks - video->start_ticks, video->timebase,
                            (struct clv_timebase){1, 1000});
}

/* Does the piece count for the range asked for? A sliver of a segment says little of it. */
static bool in_range(const struct clv_moment_hit *piece, const struct clv_search_options *options)
{
    int64_t from_ms = options->from_ms, to_ms = options->to_ms > 0 ? options->to_ms : INT64_MAX;
    int64_t start_ms = piece->start_ms > from_ms ? piece->start_ms : from_ms;
    int64_t end_ms = piece->end_ms < to_ms ? piece->end_ms : to_ms;
    int64_t shared_ms = end_ms - start_ms;
    if (shared_ms < 0)
        return false;
    return shared_ms >= (piece->end_ms - piece->start_ms + 1) / 2 ||
           shared_ms >= (to_ms - from_ms) / 2;
}

/* One round: the hit_max best hits as pieces with times people read. */
static int fetch(struct run *run)
{
    const struct clv_search_options *options = run->options;
    struct clv_search_filter filter = {
        .glob = options->glob,
        .from_ms = options->from_ms,
        .to_ms = options->to_ms,
        .exact = options->exact,
    };
    size_t room = (size_t)run->hit_max;
    free(run->hits);
    free(run->pieces);
    run->hits = calloc(room, sizeof *run->hits);
    run->pieces = calloc(room, sizeof *run->pieces);
    if (!run->hits || !run->pieces)
        return clv_fail_memory("the hits");
    int status = clv_store_search(run->store, run->hits, &run->hit_count, run->model_id,
                                  run->vector, run->hit_max, &filter);
    if (status != CLV_OK)
        return status;
    run->exhausted = run->hit_count < run->hit_max;
    if (options->has_score_min)
        while (run->hit_count > 0 && run->hits[run->hit_count - 1].score < options->score_min) {
            run->hit_count--;
            run->exhausted = true;
        }
    status = videos_add(&run->videos, run->store, run->hits, run->hit_count);
    run->piece_count = 0;
    for (int i = 0; i < run->hit_count && status == CLV_OK; i++) {
        const struct video *video = videos_find(&run->videos, run->hits[i].video_id);
        if (!video || !video->path)
            continue;
        struct clv_moment_hit piece = {
            .video_id = video->id,
            .path = video->path,
            .start_ms = milliseconds(video, run->hits[i].start_ticks),
            .end_ms = milliseconds(video, run->hits[i].end_ticks),
            .score = run->hits[i].score,
        };
        if (in_range(&piece, options))
            run->pieces[run->piece_count++] = piece;
    }
    return status;
}

/* No hit beyond those fetched can change the moments (query/moments.h). */
static bool is_final(const struct run *run, float margin)
{
    if (run->exhausted)
        return true;
    if (run->span_count < run->moment_max || run->hit_count == 0)
        return false;
    return run->hits[run->hit_count - 1].score < run->spans[run->span_count - 1].score - margin ||
           run->hit_max >= HIT_ENOUGH;
}

static int find_moments(struct run *run, int64_t segment_total)
{
    const struct clv_search_options *options = run->options;
    struct clv_moment_rule rule = {
        .gap_ms = options->gap_ms == 0  ? -1
                  : options->gap_ms < 0 ? 0
                                        : options->gap_ms,
        .margin = (float)(0.5 * run->spread.deviation),
        .moment_max = run->moment_max,
    };
    /* Overlapping windows: a moment takes several hits. */
    int64_t wanted = 8 * (int64_t)run->moment_max;
    wanted = wanted < 64 ? 64 : wanted;
    for (;;) {
        /* One more than there are shows that there are no more. */
        if (wanted > segment_total + 1)
            wanted = segment_total + 1;
        if (wanted >= INT32_MAX)
            return clv_fail(CLV_EUNSUPPORTED, "the index is too large to return all of it");
        if (clv_cancelled(options->cancel))
            return clv_fail(CLV_ECANCELED, "interrupted");
        run->hit_max = (int)wanted;
        int status = fetch(run);
        if (status != CLV_OK)
            return status;
        run->span_count = clv_moments_merge(run->spans, run->pieces, run->piece_count, &rule);
        if (is_final(run, rule.margin) || wanted > segment_total)
            return CLV_OK;
        wanted *= 2;
    }
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static int fill_result(struct clv_search_result *out, const struct run *run)
{
    int64_t from_ms = run->options->from_ms;
    int64_t to_ms = run->options->to_ms > 0 ? run->options->to_ms : INT64_MAX;
    out->moments = calloc((size_t)run->span_count + 1, sizeof *out->moments);
    if (!out->moments)
        return clv_fail_memory("the moments");
    for (int i = 0; i < run->span_count; i++) {
        const struct clv_moment_span *span = &run->spans[i];
        const struct video *video = videos_find(&run->videos, span->video_id);
        struct clv_moment *moment = &out->moments[i];
        *moment = (struct clv_moment){
            .video_id = span->video_id,
            .path = strdup(span->path),
            .start_ms = clamp(span->start_ms, from_ms, to_ms),
            .end_ms = clamp(span->end_ms, from_ms, to_ms),
            .score = span->score,
            .percentile = percentile_of(&run->spread, span->score),
            .segment_count = span->hit_count,
        };
        moment->peak_ms = clamp(span->peak_start_ms + (span->peak_end_ms - span->peak_start_ms) / 2,
                                moment->start_ms, moment->end_ms);
        out->count = i + 1;
        if (!moment->path)
            return clv_fail_memory("a path");
        memcpy(moment->video_digest, video->digest, sizeof moment->video_digest);
    }
    return CLV_OK;
}

/* ---- entry ----------------------------------------------------------------------------------- */

static int check_options(const struct clv_search_options *options)
{
    if (!(options->like_weight >= 0 && options->like_weight <= 1))
        return clv_fail(CLV_EINVAL, "the weight of the example is %g, not between 0 and 1",
                        options->like_weight);
    if (options->has_score_min && !(options->score_min >= -1 && options->score_min <= 1))
        return clv_fail(CLV_EINVAL, "the lowest score is %g, not between -1 and 1",
                        options->score_min);
    if (options->moment_max < 0 || options->moment_max > MOMENT_LIMIT)
        return clv_fail(CLV_EINVAL, "%d moments were asked for, the most is %d",
                        options->moment_max, MOMENT_LIMIT);
    if (options->from_ms < 0 || options->to_ms < 0)
        return clv_fail(CLV_EINVAL, "times in a file are not negative");
    if (options->to_ms > 0 && options->to_ms <= options->from_ms) {
        char from[CLV_TIME_TEXT_SIZE], to[CLV_TIME_TEXT_SIZE];
        return clv_fail(CLV_EINVAL, "the range from %s to %s is empty",
                        clv_time_format(from, options->from_ms),
                        clv_time_format(to, options->to_ms));
    }
    return CLV_OK;
}

static int target_vector(float *vector_out, int *cut_out, struct clv_store *store,
                         const struct clv_model *model, struct clv_device *device, int64_t model_id,
                         const struct clv_search_options *options)
{
    struct clv_target target = {
        .text = options->text,
        .like = options->like,
        .like_weight = options->like_weight == 0 ? 0.5 : options->like_weight,
        .cancel = options->cancel,
    };
    return clv_target_vector(vector_out, cut_out, &target, store, model, device, model_id);
}

struct total {
    int64_t model_id;
    int64_t segment_count;
};

static int add_total(const struct clv_model_row *row, void *payload)
{
    struct total *total = payload;
    if (row->id == total->model_id)
        total->segment_count = row->segment_count;
    return CLV_OK;
}

int clv_search_run(struct clv_search_result *out, struct clv_store *store,
                   const struct clv_model *model, struct clv_device *device, int64_t model_id,
                   const struct clv_search_options *options)
{
    *out = (struct clv_search_result){0};
    int status = check_options(options);
    if (status != CLV_OK)
        return status;
    double started_s = clv_clock_seconds();
    struct total total = {.model_id = model_id};
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        return clv_fail_memory("a search");
    run->store = store;
    run->options = options;
    run->model_id = model_id;
    run->moment_max = options->moment_max ? options->moment_max : MOMENT_DEFAULT;
    run->vector = calloc((size_t)model->config.embed_dim, sizeof *run->vector);
    run->spans = calloc((size_t)run->moment_max, sizeof *run->spans);
    if (!run->vector || !run->spans)
        status = clv_fail_memory("a search");
    if (status == CLV_OK)
        status = target_vector(run->vector, &out->cut_prompt_count, store, model, device, model_id,
                               options);
    double encoded_s = clv_clock_seconds();
    if (status == CLV_OK)
        status = clv_store_models(store, add_total, &total);
    if (status == CLV_OK)
        status = measure_spread(&run->spread, store, model_id, run->vector);
    if (status == CLV_OK)
        status = find_moments(run, total.segment_count);
    if (status == CLV_OK)
        status = fill_result(out, run);
    out->segment_total = total.segment_count;
    out->encode_s = encoded_s - started_s;
    out->search_s = clv_clock_seconds() - encoded_s;
    videos_release(&run->videos);
    free(run->vector);
    free(run->spans);
    free(run->hits);
    free(run->pieces);
    free(run);
    if (status != CLV_OK)
        clv_search_result_release(out);
    return status;
}

void clv_search_result_release(struct clv_search_result *result)
{
    for (int i = 0; i < result->count; i++)
        free(result->moments[i].path);
    free(result->moments);
    *result = (struct clv_search_result){0};
}

int clv_search_remember(struct clv_store *store, const char *query, int64_t model_id,
                        struct clv_search_result *result)
{
    struct clv_moment_row *rows = calloc((size_t)result->count + 1, sizeof *rows);
    if (!rows)
        return clv_fail_memory("the moments");
    for (int i = 0; i < result->count; i++) {
        const struct clv_moment *moment = &result->moments[i];
        rows[i] = (struct clv_moment_row){
            .video_id = moment->video_id,
            .path = moment->path,
            .start_ms = moment->start_ms,
            .end_ms = moment->end_ms,
            .peak_ms = moment->peak_ms,
            .score = moment->score,
            .percentile = moment->percentile,
        };
        memcpy(rows[i].video_digest, moment->video_digest, sizeof rows[i].video_digest);
    }
    int status = clv_store_result_put(store, query, model_id, rows, result->count);
    for (int i = 0; i < result->count && status == CLV_OK; i++)
        result->moments[i].id = rows[i].id;
    free(rows);
    return status;
}
