#include "query/sheet.h"

#include "core/digest.h"
#include "core/error.h"
#include "core/html.h"
#include "core/media/sampling.h"
#include "core/media/writer.h"
#include "core/time.h"
#include "query/stills.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THUMB_WIDTH 320
#define THUMB_HEIGHT 240

/* clang-format off */
static const char head[] =
    CLV_HTML_HEAD
    ":root{--back:#f4f5f7;--card:#fff;--line:#e1e4ea;--text:#15181e;--soft:#5a6270;--strong:#1f5fd0;"
    "--bad:#b3261e;--bad-back:#fdecea;--frame:#0b0d10}\n"
    "@media (prefers-color-scheme:dark){:root{--back:#0f1115;--card:#181b21;--line:#2a2f38;"
    "--text:#e7e9ee;--soft:#99a1b0;--strong:#86b0ff;--bad:#ff9c94;--bad-back:#3a1f1d;"
    "--frame:#000}}\n"
    CLV_HTML_PAGE
    "time{white-space:nowrap}\n"
    ".facts{margin:0 0 1.6rem;color:var(--soft)}\n"
    "ol{list-style:none;margin:0;padding:0}\n"
    "article{margin:0 0 1.1rem;padding:1rem 1.1rem 1.05rem;background:var(--card);"
    "border:1px solid var(--line);border-radius:.7rem}\n"
    ".top{display:flex;gap:.8rem;align-items:baseline;justify-content:space-between;"
    "flex-wrap:wrap;margin-bottom:.7rem}\n"
    ".name{min-width:0;flex:1 1 20rem}\n"
    "h2{margin:0;font-size:1.05rem;font-weight:600;overflow-wrap:anywhere}\n"
    ".rank{display:inline-block;min-width:1.75rem;margin-right:.45rem;padding:0 .4rem;"
    "border-radius:.4rem;background:var(--back);color:var(--soft);font-size:.85rem;"
    "text-align:center;font-variant-numeric:tabular-nums}\n"
    ".folder{margin:.1rem 0 0;color:var(--soft);font-size:.8rem;overflow-wrap:anywhere}\n"
    ".when{font-size:1.05rem;font-weight:600;font-variant-numeric:tabular-nums;"
    "white-space:nowrap}\n"
    ".when small{margin-left:.4rem;color:var(--soft);font-weight:400}\n"
    ".strip{display:grid;grid-template-columns:repeat(6,1fr);gap:.35rem}\n"
    "figure{position:relative;margin:0;aspect-ratio:16/9;overflow:hidden;border-radius:.35rem;"
    "background:var(--frame)}\n"
    "figure img{display:block;width:100%;height:100%;object-fit:contain}\n"
    "figcaption{position:absolute;left:.3rem;bottom:.3rem;padding:0 .35rem;border-radius:.25rem;"
    "background:rgba(0,0,0,.66);color:#fff;font-size:.72rem;font-variant-numeric:tabular-nums}\n"
    ".peak{box-shadow:0 0 0 2px var(--card),0 0 0 4px var(--strong)}\n"
    ".bottom{display:flex;gap:.5rem 1rem;align-items:center;flex-wrap:wrap;margin-top:.75rem;"
    "color:var(--soft);font-size:.88rem}\n"
    ".bar{width:7rem;height:.45rem;border-radius:.3rem;background:var(--line);overflow:hidden}\n"
    ".bar i{display:block;height:100%;border-radius:.3rem;background:var(--strong)}\n"
    ".open{margin-left:auto;color:var(--strong);font-weight:600;text-decoration:none}\n"
    ".open:hover{text-decoration:underline}\n"
    ".detail{flex-basis:100%}\n"
    ".error{flex-basis:100%;padding:.4rem .6rem;border-radius:.4rem;background:var(--bad-back);"
    "color:var(--bad);overflow-wrap:anywhere}\n"
    "footer{margin-top:1.5rem;color:var(--soft);font-size:.8rem}\n"
    "@media (max-width:44rem){body{padding:1.2rem .8rem 2rem}h1{font-size:1.45rem}"
    ".strip{grid-template-columns:repeat(3,1fr)}.name{flex-basis:100%}"
    ".open{margin-left:0;flex-basis:100%}}\n"
    "@media print{body{max-width:none;padding:0;background:#fff}"
    "article{break-inside:avoid;border-color:#bbb}}\n"
    "</style>\n";
/* clang-format on */

/* A file name as a relative address. "./" keeps a ':' from making it a scheme. */
static void add_address(struct clv_bytes *out, const char *name)
{
    clv_bytes_text(out, "./");
    for (const unsigned char *at = (const unsigned char *)name; *at; at++) {
        int plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                    (*at >= '0' && *at <= '9') || strchr("-._~", *at) != NULL;
        if (plain)
            clv_bytes_add(out, at, 1);
        else
            clv_bytes_format(out, "%%%02X", *at);
    }
}

static void add_time(struct clv_bytes *out, int64_t time_ms)
{
    char text[CLV_TIME_TEXT_SIZE];
    clv_bytes_text(out, clv_time_format(text, time_ms));
}

/* Hands what was put together to the file. */
static int flush(struct clv_sheet *sheet)
{
    int status = sheet->text.status;
    if (status != CLV_OK)
        return clv_fail_memory("the contact sheet");
    status = clv_replace_write(&sheet->file, sheet->text.data, sheet->text.size_bytes);
    clv_bytes_clear(&sheet->text);
    return status;
}

static int count_videos(const struct clv_manifest *manifest)
{
    int count = 0;
    for (int i = 0; i < manifest->count; i++) {
        int k = 0;
        while (k < i &&
               manifest->entries[k].moment->video_id != manifest->entries[i].moment->video_id)
            k++;
        count += k == i;
    }
    return count;
}

static void add_title(struct clv_bytes *out, const struct clv_manifest *manifest)
{
    const char *query = manifest->query[0] ? manifest->query : "moments";
    int videos = count_videos(manifest);
    time_t created = (time_t)(manifest->created_unix_ms / 1000);
    struct tm parts;
    char date[40] = "";
    if (gmtime_r(&created, &parts))
        strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &parts);
    clv_bytes_text(out, head);
    clv_bytes_text(out, "<title>");
    clv_html_text(out, query);
    clv_bytes_text(out, " – contact sheet</title>\n</head>\n<body>\n<header>\n"
                        "<p class=\"kicker\">Contact sheet</p>\n<h1>");
    clv_html_text(out, query);
    clv_bytes_format(
        out, "</h1>\n<p class=\"facts\">%d moment%s from %d video%s · %s · <time>%s</time></p>\n",
        manifest->count, manifest->count == 1 ? "" : "s", videos, videos == 1 ? "" : "s",
        strcmp(manifest->mode, "copy") == 0   ? "streams copied"
        : strcmp(manifest->mode, "none") == 0 ? "no clips cut"
                                              : "clips exact to the frame",
        date);
    clv_bytes_text(out, "</header>\n<main>\n<ol>\n");
}

int clv_sheet_begin(struct clv_sheet *sheet, const char *path, const struct clv_manifest *manifest)
{
    *sheet = (struct clv_sheet){0};
    int status = clv_replace_begin(&sheet->file, path);
    if (status != CLV_OK)
        return status;
    add_title(&sheet->text, manifest);
    return flush(sheet);
}

/* One picture as a data: URI. */
static int add_picture(struct clv_sheet *sheet, struct clv_stills *stills, int64_t time_ms)
{
    const struct clv_image *image;
    clv_bytes_clear(&sheet->jpeg);
    int status = clv_stills_to(stills, clv_stills_ticks(stills, time_ms));
    if (status == CLV_OK)
        status = clv_stills_image(stills, &image);
    if (status == CLV_OK)
        status = clv_image_jpeg(&sheet->jpeg, image, THUMB_WIDTH, THUMB_HEIGHT);
    if (status != CLV_OK)
        return status;
    char *text = clv_base64(sheet->jpeg.data, sheet->jpeg.size_bytes);
    if (!text)
        return CLV_ENOMEM;
    clv_bytes_text(&sheet->text, "<img alt=\"\" src=\"data:image/jpeg;base64,");
    clv_bytes_text(&sheet->text, text);
    clv_bytes_text(&sheet->text, "\">");
    free(text);
    return CLV_OK;
}

/* Which picture of the strip shows the peak. */
static int peak_place(const struct clv_moment_row *moment)
{
    int64_t length_ms = moment->end_ms - moment->start_ms;
    if (length_ms <= 0)
        return 0;
    int64_t place = (moment->peak_ms - moment->start_ms) * CLV_SHEET_STRIP / length_ms;
    return place < 0 ? 0 : place >= CLV_SHEET_STRIP ? CLV_SHEET_STRIP - 1 : (int)place;
}

static int add_strip(struct clv_sheet *sheet, const struct clv_moment_row *moment,
                     const char *source, struct clv_cancel *cancel)
{
    struct clv_stills stills = {0};
    /* What cannot be decoded was said where the clip was cut. */
    int status = source ? clv_stills_open(&stills, source, cancel) : CLV_ENOTFOUND;
    int peak = peak_place(moment);
    clv_bytes_text(&sheet->text, "<div class=\"strip\">\n");
    for (int i = 0; i < CLV_SHEET_STRIP; i++) {
        int64_t time_ms =
            clv_sampling_instant(moment->start_ms, moment->end_ms, CLV_SHEET_STRIP, i);
        clv_bytes_text(&sheet->text, i == peak ? "<figure class=\"peak\">" : "<figure>");
        if (status == CLV_OK)
            status = add_picture(sheet, &stills, time_ms);
        clv_bytes_text(&sheet->text, "<figcaption>");
        add_time(&sheet->text, time_ms);
        clv_bytes_text(&sheet->text,
                       i == peak ? " · peak</figcaption></figure>\n" : "</figcaption></figure>\n");
    }
    clv_bytes_text(&sheet->text, "</div>\n");
    clv_stills_close(&stills);
    return status == CLV_ENOMEM || status == CLV_ECANCELED ? status : CLV_OK;
}

static void add_top(struct clv_bytes *out, const struct clv_moment_row *moment, int rank)
{
    const char *base = clv_path_base(moment->path);
    char *folder = strndup(moment->path, (size_t)(base - moment->path));
    clv_bytes_format(
        out, "<div class=\"top\"><div class=\"name\"><h2><span class=\"rank\">%d</span>", rank);
    clv_html_text(out, base);
    clv_bytes_text(out, "</h2><p class=\"folder\">");
    clv_html_text(out, folder ? folder : "");
    clv_bytes_text(out, "</p></div><div class=\"when\">");
    add_time(out, moment->start_ms);
    clv_bytes_text(out, " – ");
    add_time(out, moment->end_ms);
    clv_bytes_format(out, "<small>%.1f s</small></div></div>\n",
                     (double)(moment->end_ms - moment->start_ms) / 1000);
    free(folder);
}

static void add_bottom(struct clv_bytes *out, const struct clv_manifest_entry *entry)
{
    const struct clv_moment_row *moment = entry->moment;
    double percent = moment->percentile;
    percent = percent > 0 ? (percent < 100 ? percent : 100) : 0;
    clv_bytes_format(out,
                     "<div class=\"bottom\"><span class=\"bar\" aria-hidden=\"true\">"
                     "<i style=\"width:%.1f%%\"></i></span><span>scores above %.1f %% of the "
                     "footage</span><span>cosine %.3f</span>",
                     percent, percent, (double)moment->score);
    if (entry->is_written) {
        clv_bytes_text(out, "<a class=\"open\" href=\"");
        add_address(out, entry->clip);
        clv_bytes_text(out, "\">Open clip</a>");
    }
    if (entry->detail) {
        clv_bytes_text(out, "<span class=\"detail\">");
        clv_html_text(out, entry->detail);
        clv_bytes_text(out, "</span>");
    }
    if (entry->error) {
        clv_bytes_text(out, "<span class=\"error\">");
        clv_html_text(out, entry->error);
        clv_bytes_text(out, "</span>");
    }
    clv_bytes_text(out, "</div>\n");
}

int clv_sheet_add(struct clv_sheet *sheet, const struct clv_manifest_entry *entry,
                  const char *source, struct clv_cancel *cancel)
{
    clv_bytes_text(&sheet->text, "<li><article>\n");
    add_top(&sheet->text, entry->moment, ++sheet->rank);
    int status = add_strip(sheet, entry->moment, source, cancel);
    if (status != CLV_OK && status != CLV_ECANCELED)
        return status;
    add_bottom(&sheet->text, entry);
    clv_bytes_text(&sheet->text, "</article></li>\n");
    int written = flush(sheet);
    return written == CLV_OK ? status : written;
}

int clv_sheet_commit(struct clv_sheet *sheet)
{
    clv_bytes_text(&sheet->text,
                   "</ol>\n</main>\n<footer>Made by claverdb. The scores compare moments of one "
                   "search; the bar is the share of the indexed footage that scores lower. The "
                   "marked picture is nearest to the best match.</footer>\n</body>\n</html>\n");
    int status = flush(sheet);
    if (status == CLV_OK)
        status = clv_replace_commit(&sheet->file);
    clv_sheet_abort(sheet);
    return status;
}

void clv_sheet_abort(struct clv_sheet *sheet)
{
    clv_replace_abort(&sheet->file);
    clv_bytes_release(&sheet->text);
    clv_bytes_release(&sheet->jpeg);
    sheet->rank = 0;
}
