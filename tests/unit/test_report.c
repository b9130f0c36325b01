/* The journal of a training run, and the page made of it. */
#include "indexer/report.h"

#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "indexer/chart.h"
#include "indexer/journal.h"

#include "tests/t.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static char *text_of(const char *path)
{
    struct clv_map map;
    CHECK_OK(clv_map_open(&map, path));
    char *text = map.data ? strndup((const char *)map.data, map.size_bytes) : strdup("");
    clv_map_release(&map);
    return text;
}

static int count_of(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

static void note_step(struct clv_journal *journal, int64_t step, double loss)
{
    const struct clv_trainer_event event = {.kind = CLV_TRAINER_STEP,
                                            .epoch = (int)((step - 1) / 3),
                                            .step = step,
                                            .loss = loss,
                                            .lr = 0.5,
                                            .clip_count = 8};
    CHECK_OK(clv_journal_event(journal, &event, NULL));
}

static void note_epoch(struct clv_journal *journal, int epoch, struct clv_validation *validation)
{
    const struct clv_trainer_event event = {.kind = CLV_TRAINER_EPOCH,
                                            .epoch = epoch,
                                            .step = 3 * (epoch + 1),
                                            .loss = 2 - epoch,
                                            .skipped_count = 1,
                                            .validation = validation};
    CHECK_OK(clv_journal_event(journal, &event, NULL));
}

static void note_skip(struct clv_journal *journal, int64_t step)
{
    const struct clv_trainer_event event = {
        .kind = CLV_TRAINER_SKIPPED, .step = step, .message = "'a<b>.mp4' is gone"};
    CHECK_OK(clv_journal_event(journal, &event, "a<b>.mp4"));
}

/* Two epochs of three steps, and one step more. */
static const char *write_journal(struct clv_validation *validation)
{
    const char *path = t_path(t_directory(), "log.jsonl");
    struct clv_journal *journal = NULL;
    CHECK_OK(clv_journal_open(&journal, path, -1));
    struct clv_json *start = clv_json_object();
    clv_json_put_string(start, "type", "start");
    CHECK_OK(clv_journal_note(journal, start));
    for (int64_t step = 1; step <= 7; step++) {
        note_step(journal, step, step == 5 ? (double)NAN : 8.0 - (double)step);
        if (step == 4)
            note_skip(journal, 3);
        if (step % 3 == 0)
            note_epoch(journal, (int)(step / 3) - 1, validation);
    }
    CHECK_OK(clv_journal_close(journal));
    return path;
}

static void the_journal_is_read_again(void)
{
    struct clv_validation validation = {
        .clip_count = 4, .top1 = 0.25, .top5 = 0.75, .loss = 1.5, .class_count = 3};
    struct clv_history history;
    const char *path = write_journal(&validation);
    REQUIRE_OK(clv_history_read(&history, path));
    REQUIRE(history.step_count == 7 && history.epoch_count == 2 && history.skip_count == 1);
    CHECK_INT(history.steps[6].step, 7);
    CHECK_NEAR(history.steps[0].loss, 7, 0);
    CHECK_NEAR(history.steps[3].lr, 0.5, 0);
    CHECK_INT(history.epochs[1].epoch, 2);
    CHECK_INT(history.epochs[1].step, 6);
    CHECK(history.epochs[0].is_validated);
    CHECK_NEAR(history.epochs[0].top5, 0.75, 0);
    CHECK_INT(history.epochs[0].class_clips, 4);
    CHECK_INT(history.epochs[0].sentences, 0);
    CHECK_STRING(history.skips[0].name, "a<b>.mp4");
    clv_history_release(&history);
}

/* What comes after the step that training goes on from is done again. */
static void resuming_cuts_the_journal(void)
{
    struct clv_history history;
    struct clv_journal *journal = NULL;
    const char *path = write_journal(NULL);
    char *text = text_of(path);
    struct clv_bytes cut = {0};
    clv_bytes_text(&cut, text);
    clv_bytes_text(&cut, "{\"type\":\"step\",\"step\":8,\"lo");
    CHECK_OK(clv_file_replace(path, cut.data, cut.size_bytes));
    REQUIRE_OK(clv_journal_open(&journal, path, 5));
    note_step(journal, 6, 1);
    note_epoch(journal, 1, NULL);
    CHECK_OK(clv_journal_close(journal));
    REQUIRE_OK(clv_history_read(&history, path));
    CHECK_INT(history.step_count, 6);
    CHECK_INT(history.epoch_count, 2);
    CHECK_INT(history.skip_count, 1);
    CHECK_NEAR(history.steps[5].loss, 1, 0);
    clv_history_release(&history);
    /* None is there yet. */
    path = t_path(t_directory(), "log.jsonl");
    REQUIRE_OK(clv_journal_open(&journal, path, 5));
    CHECK_OK(clv_journal_close(journal));
    clv_bytes_release(&cut);
    free(text);
}

static void a_journal_that_cannot_be(void)
{
    struct clv_journal *journal = NULL;
    struct clv_history history;
    CHECK_ERROR(clv_journal_open(&journal, "/nonexistent/log.jsonl", -1), CLV_ENOTFOUND,
                "log.jsonl");
    CHECK(journal == NULL);
    CHECK_OK(clv_journal_close(NULL));
    const char *path = t_path(t_directory(), "log.jsonl");
    CHECK_OK(clv_file_replace(path, "{}\nnonsense\n", 12));
    CHECK_ERROR(clv_history_read(&history, path), CLV_ECORRUPT, path);
    clv_history_release(&history);
}

static void charts_survive_anything(void)
{
    const double x[] = {1, 2, 3, 4}, y[] = {NAN, INFINITY, 5, -1}, zero[] = {0, 0, 0, 0};
    double long_x[2000], long_y[2000];
    struct clv_bytes out = {0};
    for (int i = 0; i < 2000; i++) {
        long_x[i] = i + 1;
        long_y[i] = i % 2;
    }
    const struct clv_chart_series series[] = {{"a & b", x, y, 4},
                                              {"none", x, y, 0},
                                              {"flat", zero, zero, 4},
                                              {"long", long_x, long_y, 2000}};
    for (int count = 0; count <= 4; count++) {
        clv_bytes_clear(&out);
        clv_chart_add(&out, &(struct clv_chart){.title = "<t>",
                                                .x_label = "step",
                                                .series = series,
                                                .series_count = count,
                                                .is_percent = count == 3});
        REQUIRE(out.status == CLV_OK);
        CHECK(strstr(out.data, "nan") == NULL && strstr(out.data, "inf") == NULL);
        CHECK(strstr(out.data, "<t>") == NULL && strstr(out.data, "&lt;t&gt;") != NULL);
        CHECK_INT(count_of(out.data, "class=\"line"), count);
    }
    /* No more points than can be told apart. */
    CHECK(count_of(out.data, "L") < 700);
    clv_bytes_release(&out);
}

/* ---- the page ---- */

static int read_grey(void *payload, struct clv_image *images_out,
                     const struct clv_clip_request *request)
{
    if (request->clip == 2)
        return clv_fail(CLV_ECORRUPT, "'c' is broken");
    for (int i = 0; i < request->frame_count; i++)
        images_out[i] = *(struct clv_image *)payload;
    return CLV_OK;
}

static const char *name_of(void *payload, int clip)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    (void)payload;
    return names[clip];
}

static void a_page_is_written(void)
{
    static const char *const names[] = {"run", "<script>", "wave"};
    static const int32_t classes[] = {0, 1, 2, 0};
    struct clv_image image;
    int64_t confusion[] = {1, 1, 0, 0, 0, 1, 0, 1, 0};
    struct clv_validation validation = {
        .clip_count = 4,
        .top1 = 0.25,
        .top5 = 1,
        .loss = 1.5,
        .class_count = 3,
        .confusion = confusion,
        .mistakes = {{0, 0, 1, 0.1f, 0.8f}, {2, 2, 1, 0.2f, 0.7f}},
        .mistake_count = 2,
    };
    REQUIRE_OK(clv_image_create(&image, 64, 48));
    memset(image.pixels, 128, image.stride_bytes * 48);
    const struct clv_clips clips = {.payload = &image,
                                    .read = read_grey,
                                    .clip_count = 4,
                                    .class_count = 3,
                                    .class_names = names,
                                    .classes = classes,
                                    .name = name_of};
    const struct clv_report_fact facts[] = {{"Data", "a \"b\" & c"}};
    const char *page = t_path(t_directory(), "report.html");
    struct clv_report report = {.title = "my <run>",
                                .journal_path = write_journal(&validation),
                                .facts = facts,
                                .fact_count = 1,
                                .epoch_count = 3,
                                .is_unfinished = true,
                                .validation = &validation,
                                .clips = &clips};
    REQUIRE_OK(clv_report_write(page, &report));
    char *text = text_of(page);
    CHECK(strstr(text, "my &lt;run&gt;") != NULL);
    CHECK(strstr(text, "<script") == NULL);
    CHECK(strstr(text, "a &quot;b&quot; &amp; c") != NULL);
    CHECK(strstr(text, "2 of 3 epochs, interrupted") != NULL);
    CHECK(strstr(text, "25.0 %") != NULL);
    CHECK_INT(count_of(text, "<svg"), 3);
    CHECK_INT(count_of(text, "data:image/jpeg"), 4); /* the broken clip has none */
    CHECK_INT(count_of(text, "taken for <b"), 2);
    CHECK(strstr(text, "<h2>1 clip left out</h2>") != NULL);
    CHECK(strstr(text, "&#39;a&lt;b&gt;.mp4&#39; is gone") != NULL);
    CHECK_INT(count_of(text, "1 of 1</td>"), 2);
    CHECK(strstr(text, "http:") == NULL && strstr(text, "https:") == NULL);
    CHECK_INT(count_of(text, "<section>"), count_of(text, "</section>"));
    CHECK_INT(count_of(text, "<table"), count_of(text, "</table>"));
    free(text);
    /* Without a validation. */
    report.validation = NULL;
    report.clips = NULL;
    CHECK_OK(clv_report_write(page, &report));
    report.journal_path = "/nonexistent/log.jsonl";
    CHECK_ERROR(clv_report_write(page, &report), CLV_ENOTFOUND, "log.jsonl");
    clv_image_release(&image);
}

int main(void)
{
    T_RUN(the_journal_is_read_again);
    T_RUN(resuming_cuts_the_journal);
    T_RUN(a_journal_that_cannot_be);
    T_RUN(charts_survive_anything);
    T_RUN(a_page_is_written);
    return t_end();
}
