#include "query/clipname.h"

#include "core/error.h"
#include "core/file.h"
#include "core/unicode.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

static int is_plain(uint32_t code_point)
{
    return code_point == '.' || code_point == '-' || code_point == '_' ||
           clv_unicode_is_letter(code_point) || clv_unicode_is_number(code_point);
}

/* The base name's safe form. Runs of what is replaced become one '_'. */
static int add_base(struct clv_bytes *out, const char *source)
{
    struct clv_bytes whole = {0};
    const char *base = clv_path_base(source);
    const char *dot = strrchr(base, '.');
    size_t size = dot && dot != base ? (size_t)(dot - base) : strlen(base);
    int status = clv_unicode_nfc(&whole, base, size);
    size_t kept = 0;
    for (size_t at = 0; status == CLV_OK && at < whole.size_bytes;) {
        uint32_t code_point = 0;
        size_t taken = clv_unicode_decode(&code_point, whole.data + at, whole.size_bytes - at);
        int plain = taken > 0 && is_plain(code_point) &&
                    !(kept == 0 && (code_point == '.' || code_point == '-'));
        const char *text = plain ? whole.data + at : "_";
        size_t bytes = plain ? taken : 1;
        if (kept + bytes > CLV_CLIPNAME_BASE_BYTES)
            break;
        if (plain || kept == 0 || out->data[out->size_bytes - 1] != '_') {
            clv_bytes_add(out, text, bytes);
            kept += bytes;
        }
        if (out->status != CLV_OK)
            break;
        at += taken ? taken : 1;
    }
    if (kept == 0)
        clv_bytes_text(out, "clip");
    clv_bytes_release(&whole);
    return status;
}

static void add_time(struct clv_bytes *out, int64_t time_ms)
{
    int64_t ms = time_ms < 0 ? 0 : time_ms, minutes = ms / 60000;
    if (minutes >= 60)
        clv_bytes_format(out, "%" PRId64 "h%02dm%02d.%03ds", minutes / 60, (int)(minutes % 60),
                         (int)(ms / 1000 % 60), (int)(ms % 1000));
    else
        clv_bytes_format(out, "%dm%02d.%03ds", (int)minutes, (int)(ms / 1000 % 60),
                         (int)(ms % 1000));
}

int clv_clipname(struct clv_bytes *out, const char *source, int64_t start_ms, int64_t end_ms,
                 const char *extension)
{
    clv_bytes_clear(out);
    int status = add_base(out, source);
    if (status != CLV_OK)
        return status;
    if (out->size_bytes > 0 && out->data[out->size_bytes - 1] != '_')
        clv_bytes_text(out, "_");
    add_time(out, start_ms);
    clv_bytes_text(out, "-");
    add_time(out, end_ms);
    clv_bytes_format(out, ".%s", extension);
    return out->status == CLV_OK ? CLV_OK : clv_fail_memory("a file name");
}

int clv_clipname_number(struct clv_bytes *out, const char *name, int number)
{
    const char *dot = strrchr(name, '.');
    size_t stem = dot ? (size_t)(dot - name) : strlen(name);
    clv_bytes_clear(out);
    clv_bytes_add(out, name, stem);
    clv_bytes_format(out, "-%d%s", number, name + stem);
    return out->status == CLV_OK ? CLV_OK : clv_fail_memory("a file name");
}

const char *clv_clipname_copy_extension(const char *source)
{
    static const char *const writable[] = {"mp4", "m4v",  "mov", "mkv", "webm", "avi", "ts",
                                           "mts", "m2ts", "mpg", "flv", "wmv",  "3gp", "mxf"};
    const char *base = clv_path_base(source);
    const char *dot = strrchr(base, '.');
    for (size_t i = 0; dot && i < sizeof writable / sizeof *writable; i++)
        if (strcasecmp(dot + 1, writable[i]) == 0)
            return writable[i];
    return "mkv";
}
