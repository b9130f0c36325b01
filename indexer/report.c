#include "indexer/report.h"

#include "core/bytes.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/file.h"
#include "core/html.h"
#include "indexer/chart.h"
#include "indexer/journal.h"
#include "indexer/report_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* clang-format off */
static const char head[] =
    CLV_HTML_HEAD
    ":root{--back:#f4f5f7;--card:#fff;--line:#e1e4ea;--text:#15181e;--soft:#5a6270;"
    "--c0:#1f5fd0;--c1:#c2570c;--c2:#1b7f4b;--c3:#8a3ab9;--heat:31,95,208;--bad:#b3261e}\n"
    "@media (prefers-color-scheme:dark){:root{--back:#0f1115;--card:#181b21;--line:#2a2f38;"
    "--text:#e7e9ee;--soft:#99a1b0;--c0:#86b0ff;--c1:#ffb27a;--c2:#7fd8a6;--c3:#d7a5f5;"
    "--heat:134,176,255;--bad:#ff9c94}}\n"
    CLV_HTML_PAGE
    "h2{margin:0 0 .7rem;font-size:1.15rem;font-weight:600}\n"
    ".facts{margin:0 0 1.6rem;color:var(--soft)}\n"
    "section{margin:0 0 1.1rem;padding:1rem 1.1rem 1.05rem;background:var(--card);"
    "border:1px solid var(--line);border-radius:.7rem}\n"
    ".tiles{display:flex;flex-wrap:wrap;gap:.6rem 2.2rem}\n"
    ".tiles div{min-width:7rem}\n"
    ".tiles b{display:block;font-size:1.6rem;font-weight:650;font-variant-numeric:tabular-nums}\n"
    ".tiles span{color:var(--soft);font-size:.85rem}\n"
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(26rem,100%),1fr));"
    "gap:1rem}\n"
    "figure{margin:0}\n"
    ".chart figcaption{font-size:.9rem;color:var(--soft)}\n"
    ".chart b{margin-right:.6rem;color:var(--text)}\n"
    ".chart svg{display:block;width:100%;height:auto}\n"
    ".chart text{fill:var(--soft);font-size:12px;font-variant-numeric:tabular-nums}\n"
    ".grid{stroke:var(--line);stroke-width:1}\n"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round}\n"
    ".line.c0{stroke:var(--c0)}.line.c1{stroke:var(--c1)}.line.c2{stroke:var(--c2)}"
    ".line.c3{stroke:var(--c3)}\n"
    ".dot.c0{fill:var(--c0)}.dot.c1{fill:var(--c1)}.dot.c2{fill:var(--c2)}.dot.c3{fill:var(--c3)}\n"
    ".key{display:inline-block;width:.9rem;height:.2rem;margin:0 .35rem .25rem .7rem;"
    "border-radius:.1rem}\n"
    ".key.c0{background:var(--c0)}.key.c1{background:var(--c1)}.key.c2{background:var(--c2)}"
    ".key.c3{background:var(--c3)}\n"
    ".wide{overflow-x:auto}\n"
    "table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}\n"
    ".matrix td{width:2.1rem;min-width:2.1rem;height:1.7rem;padding:0;text-align:center;"
    "border:1px solid var(--card)}\n"
    ".matrix th{padding:0 .5rem;font-weight:400;text-align:right;white-space:nowrap}\n"
    ".matrix thead th{height:auto;padding:.3rem 0;vertical-align:bottom}\n"
    ".matrix thead span{writing-mode:vertical-rl;transform:rotate(180deg)}\n"
    ".matrix .hit{outline:1px solid var(--soft);outline-offset:-1px}\n"
    ".plain td,.plain th{padding:.2rem 1.2rem .2rem 0;text-align:left;vertical-align:top;"
    "font-weight:400;overflow-wrap:anywhere}\n"
    ".plain th{color:var(--soft);white-space:nowrap}\n"
    ".plain .n{text-align:right}\n"
    ".mistakes{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(22rem,100%),1fr));"
    "gap:1rem}\n"
    ".mistakes p{margin:.3rem 0 0;font-size:.88rem;overflow-wrap:anywhere}\n"
    ".mistakes small{color:var(--soft)}\n"
    ".bad{color:var(--bad)}\n"
    ".strip{display:grid;grid-template-columns:repeat(4,1fr);gap:.2rem;min-height:3rem;"
    "background:#0b0d10;border-radius:.35rem;overflow:hidden}\n"
    ".strip img{display:block;width:100%;height:100%;object-fit:cover}\n"
    ".note{margin:.7rem 0 0;color:var(--soft);font-size:.85rem}\n"
    "footer{margin-top:1.5rem;color:var(--soft);font-size:.8rem}\n"
    "@media print{body{max-width:none;padding:0;background:#fff}section{break-inside:avoid}}\n"
    "</style>\n";
/* clang-format on */

static void add_head(struct clv_bytes *out, const struct clv_report *report,
                     const struct clv_history *history)
{
    time_t now = (time_t)(clv_clock_unix_ms() / 1000);
    struct tm parts;
    char date[40] = "";
    if (gmtime_r(&now, &parts))
        strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &parts);
    clv_bytes_text(out, head);
    clv_bytes_text(out, "<title>");
    clv_html_text(out, report->title);
    clv_bytes_text(out, " – training report</title>\n</head>\n<body>\n<header>\n"
                        "<p class=\"kicker\">Training report</p>\n<h1>");
    clv_html_text(out, report->title);
    clv_bytes_format(out, "</h1>\n<p class=\"facts\">%zu of %d epoch%s%s · <time>%s</time></p>\n",
                     history->epoch_count, report->epoch_count, report->epoch_count == 1 ? "" : "s",
                     report->is_unfinished ? ", interrupted" : "", date);
    clv_bytes_text(out, "</header>\n<main>\n");
}

/* ---- results in figures ---- */

static void add_tile(struct clv_bytes *out, const char *format, double value, const char *name)
{
    clv_bytes_text(out, "<div><b>");
    /* The formats are those below. */
    if (strcmp(format, "%") == 0)
        clv_bytes_format(out, "%.1f %%", 100 * value);
    else
        clv_bytes_format(out, "%.4g", value);
    clv_bytes_format(out, "</b><span>%s</span></div>\n", name);
}

static void add_tiles(struct clv_bytes *out, const struct clv_history *history)
{
    const struct clv_history_epoch *last = NULL, *ended = NULL;
    double best = -1;
    bool has_classes = false;
    for (size_t i = 0; i < history->epoch_count; i++) {
        const struct clv_history_epoch *epoch = &history->epochs[i];
        ended = epoch;
        if (!epoch->is_validated)
            continue;
        last = epoch;
        has_classes |= epoch->class_clips > 0;
        double value = epoch->class_clips > 0 ? epoch->top1 : epoch->recall1;
        best = value > best ? value : best;
    }
    clv_bytes_text(out, "<section><h2>Results</h2>\n<div class=\"tiles\">\n");
    if (ended)
        add_tile(out, "g", ended->loss, "training loss, last epoch");
    if (last && last->class_clips > 0) {
        add_tile(out, "%", last->top1, "top-1, last validation");
        add_tile(out, "%", last->top5, "top-5");
        add_tile(out, "g", last->validation_loss, "validation loss");
    }
    if (last && last->sentences > 0) {
        add_tile(out, "%", last->recall1, "sentence to clip R@1");
        add_tile(out, "%", last->recall5, "R@5");
        add_tile(out, "g", last->median_rank, "median rank");
    }
    if (last)
        add_tile(out, "%", best, has_classes ? "best top-1" : "best R@1");
    clv_bytes_text(out, "</div>\n");
    if (!last)
        clv_bytes_text(out, "<p class=\"note\">Nothing was held out or validated yet.</p>\n");
    clv_bytes_text(out, "</section>\n");
}

/* ---- curves ---- */

/* Columns of the history as charts want them: `count` doubles each. */
struct curves {
    double *step, *loss, *lr;
    double *epoch, *values[6]; /* of validated epochs: losses, top-1, top-5, R@1, R@5, R@10 */
    double *epoch_step;
    size_t validated;
};

static void release_curves(struct curves *curves)
{
    free(curves->step);
    free(curves->loss);
    free(curves->lr);
    free(curves->epoch);
    free(curves->epoch_step);
    for (int i = 0; i < 6; i++)
        free(curves->values[i]);
}

static int make_curves(struct curves *out, const struct clv_history *history)
{
    size_t steps = history->step_count + 1, epochs = history->epoch_count + 1;
    bool is_made = (out->step = calloc(steps, sizeof *out->step)) &&
                   (out->loss = calloc(steps, sizeof *out->loss)) &&
                   (out->lr = calloc(steps, sizeof *out->lr)) &&
                   (out->epoch = calloc(epochs, sizeof *out->epoch)) &&
                   (out->epoch_step = calloc(epochs, sizeof *out->epoch_step));
    for (int i = 0; i < 6 && is_made; i++)
        is_made = (out->values[i] = calloc(epochs, sizeof *out->values[i])) != NULL;
    if (!is_made)
        return clv_fail_memory("a report");
    for (size_t i = 0; i < history->step_count; i++) {
        out->step[i] = (double)history->steps[i].step;
        out->loss[i] = history->steps[i].loss;
        out->lr[i] = history->steps[i].lr;
    }
    for (size_t i = 0; i < history->epoch_count; i++) {
        const struct clv_history_epoch *epoch = &history->epochs[i];
        if (!epoch->is_validated)
            continue;
        size_t at = out->validated++;
        out->epoch[at] = epoch->epoch;
        out->epoch_step[at] = (double)epoch->step;
        out->values[0][at] = epoch->class_clips > 0 ? epoch->validation_loss : NAN;
        out->values[1][at] = epoch->class_clips > 0 ? epoch->top1 : NAN;
        out->values[2][at] = epoch->class_clips > 0 ? epoch->top5 : NAN;
        out->values[3][at] = epoch->sentences > 0 ? epoch->recall1 : NAN;
        out->values[4][at] = epoch->sentences > 0 ? epoch->recall5 : NAN;
        out->values[5][at] = epoch->sentences > 0 ? epoch->recall10 : NAN;
    }
    return CLV_OK;
}

static void add_charts(struct clv_bytes *out, const struct curves *curves,
                       const struct clv_history *history, int epoch_count)
{
    const struct clv_history_epoch *last = NULL;
    for (size_t i = 0; i < history->epoch_count; i++)
        if (history->epochs[i].is_validated)
            last = &history->epochs[i];
    const struct clv_chart_series losses[] = {
        {"training", curves->step, curves->loss, history->step_count},
        {"validation", curves->epoch_step, curves->values[0], curves->validated},
    };
    const struct clv_chart_series rate = {"without temporal factor", curves->step, curves->lr,
                                          history->step_count};
    const struct clv_chart_series shares[] = {
        {"top-1", curves->epoch, curves->values[1], curves->validated},
        {"top-5", curves->epoch, curves->values[2], curves->validated},
    };
    const struct clv_chart_series recalls[] = {
        {"R@1", curves->epoch, curves->values[3], curves->validated},
        {"R@5", curves->epoch, curves->values[4], curves->validated},
        {"R@10", curves->epoch, curves->values[5], curves->validated},
    };
    clv_bytes_text(out, "<section><h2>Curves</h2>\n<div class=\"charts\">\n");
    clv_chart_add(out, &(struct clv_chart){.title = "Loss",
                                           .x_label = "step",
                                           .series = losses,
                                           .series_count = last && last->class_clips > 0 ? 2 : 1});
    if (last && last->class_clips > 0)
        clv_chart_add(out, &(struct clv_chart){.title = "Validation accuracy",
                                               .x_label = "epoch",
                                               .series = shares,
                                               .series_count = 2,
                                               .x_max = epoch_count,
                                               .is_percent = 1});
    if (last && last->sentences > 0)
        clv_chart_add(out, &(struct clv_chart){.title = "Sentence to clip",
                                               .x_label = "epoch",
                                               .series = recalls,
                                               .series_count = 3,
                                               .x_max = epoch_count,
                                               .is_percent = 1});
    clv_chart_add(
        out, &(struct clv_chart){
                 .title = "Learning rate", .x_label = "step", .series = &rate, .series_count = 1});
    clv_bytes_text(out, "</div></section>\n");
}

/* ---- the rest ---- */

static void add_skips(struct clv_bytes *out, const struct clv_history *history)
{
    if (history->skip_count == 0)
        return;
    clv_bytes_format(out,
                     "<section><h2>%zu clip%s left out</h2>\n<div class=\"wide\">"
                     "<table class=\"plain\">\n",
                     history->skip_count, history->skip_count == 1 ? "" : "s");
    for (size_t i = 0; i < history->skip_count; i++) {
        clv_bytes_text(out, "<tr><th>");
        clv_html_text(out, history->skips[i].name);
        clv_bytes_text(out, "</th><td>");
        clv_html_text(out, history->skips[i].message);
        clv_bytes_text(out, "</td></tr>\n");
    }
    clv_bytes_text(out, "</table></div></section>\n");
}

static void add_facts(struct clv_bytes *out, const struct clv_report *report)
{
    clv_bytes_text(out, "<section><h2>How it was trained</h2>\n<div class=\"wide\">"
                        "<table class=\"plain\">\n");
    for (size_t i = 0; i < report->fact_count; i++) {
        clv_bytes_text(out, "<tr><th>");
        clv_html_text(out, report->facts[i].name);
        clv_bytes_text(out, "</th><td>");
        clv_html_text(out, report->facts[i].value);
        clv_bytes_text(out, "</td></tr>\n");
    }
    clv_bytes_text(out, "</table></div></section>\n");
}

int clv_report_write(const char *path, const struct clv_report *report)
{
    struct clv_history history = {0};
    struct curves curves = {0};
    struct clv_bytes text = {0};
    int status = clv_history_read(&history, report->journal_path);
    if (status == CLV_OK)
        status = make_curves(&curves, &history);
    if (status != CLV_OK)
        goto done;
    add_head(&text, report, &history);
    add_tiles(&text, &history);
    add_charts(&text, &curves, &history, report->epoch_count);
    if (report->validation && report->validation->class_count > 0) {
        clv_report_confusion(&text, report->validation, report->clips->class_names);
        status = clv_report_mistakes(&text, report->validation, report->clips);
    }
    add_skips(&text, &history);
    add_facts(&text, report);
    clv_bytes_text(&text, "</main>\n<footer>Made by claverdb. Curves of more than 600 points show "
                          "means of equal stretches.</footer>\n</body>\n</html>\n");
    if (status == CLV_OK)
        status = text.status;
    if (status == CLV_OK)
        status = clv_file_replace(path, text.data, text.size_bytes);
done:
    clv_bytes_release(&text);
    release_curves(&curves);
    clv_history_release(&history);
    return status;
}
