#include "indexer/report_parts.h"

#include "core/digest.h"
#include "core/error.h"
#include "core/html.h"
#include "core/media/writer.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MATRIX_CLASSES_MAX = 64, PAIRS_SHOWN = 12, MISTAKES_SHOWN = 12, STRIP = 4 };

/* ---- what was taken for what ---- */

static int64_t count_at(const struct clv_validation *validation, int truth, int predicted)
{
    return validation
        ->confusion[(size_t)truth * (size_t)validation->class_count + (size_t)predicted];
}

static int64_t count_truth(const struct clv_validation *validation, int truth)
{
    int64_t sum = 0;
    for (int c = 0; c < validation->class_count; c++)
        sum += count_at(validation, truth, c);
    return sum;
}

static void add_cell(struct clv_bytes *out, int64_t count, int64_t of, bool is_hit)
{
    double share = of > 0 ? (double)count / (double)of : 0;
    clv_bytes_format(out, "<td%s style=\"background:rgba(var(--heat),%.2f)\">",
                     is_hit ? " class=\"hit\"" : "", 0.75 * share);
    if (count > 0)
        clv_bytes_format(out, "%" PRId64, count);
    clv_bytes_text(out, "</td>");
}

static void add_matrix(struct clv_bytes *out, const struct clv_validation *validation,
                       const char *const *class_names)
{
    clv_bytes_text(out, "<div class=\"wide\"><table class=\"matrix\"><thead><tr><th></th>");
    for (int c = 0; c < validation->class_count; c++) {
        clv_bytes_text(out, "<th scope=\"col\"><span>");
        clv_html_text(out, class_names[c]);
        clv_bytes_text(out, "</span></th>");
    }
    clv_bytes_text(out, "</tr></thead><tbody>\n");
    for (int t = 0; t < validation->class_count; t++) {
        int64_t of = count_truth(validation, t);
        clv_bytes_text(out, "<tr><th scope=\"row\">");
        clv_html_text(out, class_names[t]);
        clv_bytes_text(out, "</th>");
        for (int c = 0; c < validation->class_count; c++)
            add_cell(out, count_at(validation, t, c), of, t == c);
        clv_bytes_text(out, "</tr>\n");
    }
    clv_bytes_text(out, "</tbody></table></div>\n<p class=\"note\">Rows are what is shown, columns "
                        "what it was taken for; a cell is as dark as its share of the row.</p>\n");
}

struct pair {
    int truth, predicted;
    int64_t count;
};

/* The most frequent confusions, most first; how many there are. */
static int find_pairs(struct pair *pairs, const struct clv_validation *validation)
{
    int count = 0;
    for (int t = 0; t < validation->class_count; t++)
        for (int c = 0; c < validation->class_count; c++) {
            struct pair pair = {t, c, count_at(validation, t, c)};
            if (t == c || pair.count == 0)
                continue;
            int at = count;
            while (at > 0 && pairs[at - 1].count < pair.count)
                at--;
            if (at == PAIRS_SHOWN)
                continue;
            count += count < PAIRS_SHOWN;
            memmove(&pairs[at + 1], &pairs[at], (size_t)(count - 1 - at) * sizeof pair);
            pairs[at] = pair;
        }
    return count;
}

void clv_report_confusion(struct clv_bytes *out, const struct clv_validation *validation,
                          const char *const *class_names)
{
    struct pair pairs[PAIRS_SHOWN] = {{0}};
    int count = find_pairs(pairs, validation);
    clv_bytes_format(out, "<section><h2>Confusion</h2>\n");
    if (validation->class_count <= MATRIX_CLASSES_MAX)
        add_matrix(out, validation, class_names);
    if (count > 0)
        clv_bytes_text(out, "<table class=\"plain\" style=\"margin-top:1rem\"><thead><tr>"
                            "<th>shown</th><th>taken for</th><th class=\"n\">clips</th></tr>"
                            "</thead><tbody>\n");
    for (int i = 0; i < count; i++) {
        clv_bytes_text(out, "<tr><td>");
        clv_html_text(out, class_names[pairs[i].truth]);
        clv_bytes_text(out, "</td><td>");
        clv_html_text(out, class_names[pairs[i].predicted]);
        clv_bytes_format(out, "</td><td class=\"n\">%" PRId64 " of %" PRId64 "</td></tr>\n",
                         pairs[i].count, count_truth(validation, pairs[i].truth));
    }
    clv_bytes_text(out, count > 0 ? "</tbody></table></section>\n" : "</section>\n");
}

/* ---- the worst mistakes ---- */

static int add_picture(struct clv_bytes *out, struct clv_bytes *jpeg, const struct clv_image *image)
{
    clv_bytes_clear(jpeg);
    int status = clv_image_jpeg(jpeg, image, 160, 120);
    if (status != CLV_OK)
        return status;
    char *text = clv_base64(jpeg->data, jpeg->size_bytes);
    if (!text)
        return CLV_ENOMEM;
    clv_bytes_text(out, "<img alt=\"\" src=\"data:image/jpeg;base64,");
    clv_bytes_text(out, text);
    clv_bytes_text(out, "\">");
    free(text);
    return CLV_OK;
}

static int add_strip(struct clv_bytes *out, struct clv_bytes *jpeg, const struct clv_clips *clips,
                     int clip)
{
    struct clv_image images[STRIP];
    const struct clv_clip_request request = {.clip = clip, .frame_count = STRIP};
    int status = clips->read(clips->payload, images, &request);
    clv_bytes_text(out, "<div class=\"strip\">");
    for (int i = 0; i < STRIP && status == CLV_OK; i++)
        status = add_picture(out, jpeg, &images[i]);
    clv_bytes_text(out, "</div>");
    return status == CLV_ENOMEM ? status : CLV_OK;
}

static int add_mistake(struct clv_bytes *out, struct clv_bytes *jpeg,
                       const struct clv_mistake *mistake, const struct clv_clips *clips)
{
    clv_bytes_text(out, "<figure>");
    int status = add_strip(out, jpeg, clips, mistake->clip);
    clv_bytes_text(out, "<p><b>");
    clv_html_text(out, clips->class_names[mistake->truth]);
    clv_bytes_format(out, "</b> (%.1f %%) taken for <b class=\"bad\">",
                     100 * (double)mistake->truth_probability);
    clv_html_text(out, clips->class_names[mistake->predicted]);
    clv_bytes_format(out, "</b> (%.1f %%)<br><small>",
                     100 * (double)mistake->predicted_probability);
    clv_html_text(out, clips->name ? clips->name(clips->payload, mistake->clip) : "");
    clv_bytes_text(out, "</small></p></figure>\n");
    return status;
}

int clv_report_mistakes(struct clv_bytes *out, const struct clv_validation *validation,
                        const struct clv_clips *clips)
{
    struct clv_bytes jpeg = {0};
    int count =
        validation->mistake_count < MISTAKES_SHOWN ? validation->mistake_count : MISTAKES_SHOWN;
    int status = CLV_OK;
    if (count == 0)
        return CLV_OK;
    clv_bytes_text(out, "<section><h2>Worst mistakes</h2>\n<div class=\"mistakes\">\n");
    for (int i = 0; i < count && status == CLV_OK; i++)
        status = add_mistake(out, &jpeg, &validation->mistakes[i], clips);
    clv_bytes_text(out, "</div></section>\n");
    clv_bytes_release(&jpeg);
    return status;
}
