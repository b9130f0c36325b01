#include "cli/progress.h"

#include "cli/command.h"
#include "cli/out.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/json.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* There is one terminal, so there is one bar. */
static atomic_bool bar_is_drawn;

void clv_progress_begin(struct clv_progress *progress, const struct clv_cli *cli)
{
    progress->mode = (enum clv_progress_mode)cli->flags.progress;
    if (cli->flags.quiet)
        progress->mode = CLV_PROGRESS_NONE;
    if (progress->mode == CLV_PROGRESS_AUTO)
        progress->mode = isatty(STDERR_FILENO) != 0 ? CLV_PROGRESS_BAR : CLV_PROGRESS_PLAIN;
    /* A plain line at once would be noise for work that takes a second. */
    progress->next_s = clv_clock_seconds() + (progress->mode == CLV_PROGRESS_PLAIN ? 10 : 0);
}

bool clv_progress_due(struct clv_progress *progress)
{
    static const double interval_s[] = {
        [CLV_PROGRESS_BAR] = 0.1, [CLV_PROGRESS_JSON] = 1, [CLV_PROGRESS_PLAIN] = 10};
    if (progress->mode == CLV_PROGRESS_NONE || progress->mode == CLV_PROGRESS_AUTO)
        return false;
    double now = clv_clock_seconds();
    if (now < progress->next_s)
        return false;
    progress->next_s = now + interval_s[progress->mode];
    return true;
}

static int terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20)
        return 80;
    return size.ws_col;
}

static void draw_bar(double fraction, const char *text)
{
    enum { CELLS = 20 };
    int filled = fraction < 0 ? 0 : (int)(fraction * CELLS + 0.5);
    if (filled > CELLS)
        filled = CELLS;
    char bar[CELLS + 1];
    memset(bar, '-', CELLS);
    memset(bar, '#', (size_t)filled);
    bar[CELLS] = '\0';
    char percent[8] = "";
    if (fraction >= 0)
        snprintf(percent, sizeof percent, "%3.0f%% ", fraction > 1 ? 100.0 : fraction * 100);
    struct clv_bytes line = {0};
    clv_bytes_format(&line, "[%s] %s", bar, percent);
    clv_out_safe(&line, text);
    /* One column is left free: some terminals wrap when the last one is written. */
    int room = terminal_columns() - 1;
    while (line.status == CLV_OK && line.size_bytes > 0 && clv_out_columns(line.data) > room)
        line.data[--line.size_bytes] = '\0';
    if (line.status == CLV_OK) {
        fprintf(stderr, "\r\033[K%s", line.data);
        fflush(stderr);
        atomic_store(&bar_is_drawn, true);
    }
    clv_bytes_release(&line);
}

void clv_progress_show(struct clv_progress *progress, double fraction, const char *text)
{
    if (progress->mode == CLV_PROGRESS_BAR)
        draw_bar(fraction, text);
    else if (progress->mode == CLV_PROGRESS_PLAIN && fraction >= 0)
        fprintf(stderr, "%3.0f%% %s\n", fraction > 1 ? 100.0 : fraction * 100, text);
    else if (progress->mode == CLV_PROGRESS_PLAIN)
        fprintf(stderr, "%s\n", text);
}

void clv_progress_json(struct clv_progress *progress, struct clv_json *object)
{
    struct clv_bytes line = {0};
    if (progress->mode == CLV_PROGRESS_JSON && clv_json_write(&line, object, false) == CLV_OK)
        fprintf(stderr, "%s\n", line.data);
    clv_bytes_release(&line);
    clv_json_free(object);
}

void clv_progress_clear(void)
{
    if (atomic_exchange(&bar_is_drawn, false)) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
}

void clv_progress_end(struct clv_progress *progress)
{
    (void)progress;
    clv_progress_clear();
}
