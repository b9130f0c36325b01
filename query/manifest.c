#include "query/manifest.h"

#include "core/digest.h"
#include "core/error.h"
#include "core/json.h"
#include "core/unicode.h"

#include <inttypes.h>
#include <string.h>

/* A text cell, always quoted. Invalid UTF-8 and NULs cannot be in a CSV that others read. */
static void text_cell(struct clv_bytes *out, const char *text)
{
    size_t size = strlen(text);
    clv_bytes_text(out, text[0] != '\0' && strchr("=+-@\t\r\n", text[0]) ? "\"'" : "\"");
    for (size_t at = 0; at < size;) {
        uint32_t code_point;
        size_t taken = clv_unicode_decode(&code_point, text + at, size - at);
        if (taken == 0)
            clv_bytes_text(out, "\xef\xbf\xbd");
        else if (text[at] == '"')
            clv_bytes_text(out, "\"\"");
        else
            clv_bytes_add(out, text + at, taken);
        at += taken ? taken : 1;
    }
    clv_bytes_text(out, "\"");
}

static void seconds_cell(struct clv_bytes *out, int64_t time_ms)
{
    uint64_t ms = time_ms < 0 ? -(uint64_t)time_ms : (uint64_t)time_ms;
    clv_bytes_format(out, ",%s%" PRIu64 ".%03d", time_ms < 0 ? "-" : "", ms / 1000,
                     (int)(ms % 1000));
}

static void csv_row(struct clv_bytes *out, const struct clv_manifest *manifest, int index)
{
    const struct clv_manifest_entry *entry = &manifest->entries[index];
    const struct clv_moment_row *moment = entry->moment;
    char digest[CLV_DIGEST_TEXT_SIZE];
    clv_bytes_format(out, "%d,%" PRId64 ",", index + 1, moment->id);
    text_cell(out, manifest->query);
    clv_bytes_text(out, ",");
    text_cell(out, moment->path);
    clv_bytes_format(out, ",%s", clv_digest_text(digest, moment->video_digest));
    seconds_cell(out, moment->start_ms);
    seconds_cell(out, moment->end_ms);
    seconds_cell(out, moment->peak_ms);
    clv_bytes_format(out, ",%.6f,%.2f", (double)moment->score, (double)moment->percentile);
    seconds_cell(out, entry->start_ms);
    seconds_cell(out, entry->end_ms);
    if (entry->is_written) {
        seconds_cell(out, entry->cut.start_ms);
        seconds_cell(out, entry->cut.end_ms);
        clv_bytes_text(out, ",");
        text_cell(out, entry->clip);
    } else
        clv_bytes_text(out, ",,,");
    clv_bytes_format(out, ",%s,", manifest->mode);
    text_cell(out, entry->detail ? entry->detail : "");
    clv_bytes_text(out, ",");
    text_cell(out, entry->error ? entry->error : "");
    clv_bytes_text(out, "\r\n");
}

int clv_manifest_csv(struct clv_bytes *out, const struct clv_manifest *manifest)
{
    clv_bytes_text(out, "rank,id,query,source,video_digest,start_s,end_s,peak_s,score,percentile,"
                        "asked_start_s,asked_end_s,written_start_s,written_end_s,clip,mode,detail,"
                        "error\r\n");
    for (int i = 0; i < manifest->count; i++)
        csv_row(out, manifest, i);
    return out->status == CLV_OK ? CLV_OK : clv_fail_memory("the manifest");
}

static struct clv_json *json_row(const struct clv_manifest_entry *entry, int rank)
{
    const struct clv_moment_row *moment = entry->moment;
    char digest[CLV_DIGEST_TEXT_SIZE];
    struct clv_json *row = clv_json_object();
    clv_json_put_integer(row, "rank", rank);
    clv_json_put_integer(row, "id", moment->id);
    clv_json_put_string(row, "source", moment->path);
    clv_json_put_string(row, "video_digest", clv_digest_text(digest, moment->video_digest));
    clv_json_put_integer(row, "start_ms", moment->start_ms);
    clv_json_put_integer(row, "end_ms", moment->end_ms);
    clv_json_put_integer(row, "peak_ms", moment->peak_ms);
    clv_json_put_number(row, "score", moment->score);
    clv_json_put_number(row, "percentile", moment->percentile);
    clv_json_put_integer(row, "asked_start_ms", entry->start_ms);
    clv_json_put_integer(row, "asked_end_ms", entry->end_ms);
    if (entry->is_written) {
        clv_json_put_string(row, "clip", entry->clip);
        clv_json_put_integer(row, "written_start_ms", entry->cut.start_ms);
        clv_json_put_integer(row, "written_end_ms", entry->cut.end_ms);
        clv_json_put_integer(row, "frame_count", entry->cut.frame_count);
        clv_json_put_bool(row, "has_audio", entry->cut.has_audio);
        clv_json_put_integer(row, "size_bytes", entry->cut.size_bytes);
    }
    if (entry->detail)
        clv_json_put_string(row, "detail", entry->detail);
    if (entry->error)
        clv_json_put_string(row, "error", entry->error);
    return row;
}

int clv_manifest_json(struct clv_bytes *out, const struct clv_manifest *manifest)
{
    struct clv_json *root = clv_json_object(), *moments = clv_json_array();
    clv_json_put_string(root, "format", "claverdb-export-1");
    clv_json_put_string(root, "query", manifest->query);
    clv_json_put_string(root, "mode", manifest->mode);
    clv_json_put_integer(root, "created_unix_ms", manifest->created_unix_ms);
    for (int i = 0; i < manifest->count; i++)
        clv_json_append(moments, json_row(&manifest->entries[i], i + 1));
    clv_json_put(root, "moments", moments);
    int status = clv_json_write(out, root, true);
    clv_json_free(root);
    clv_bytes_text(out, "\n");
    return status;
}
