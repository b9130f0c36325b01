/* Progress on stderr: a bar on a terminal, now and then a plain line elsewhere, JSON lines for
 * programs. Everything else printed to stderr meanwhile goes through here, so that the bar does not
 * tear it. */
#ifndef CLV_CLI_PROGRESS_H
#define CLV_CLI_PROGRESS_H

#include <stdbool.h>

struct clv_json;
struct clv_cli;

enum clv_progress_mode {
    CLV_PROGRESS_AUTO, /* bar on a terminal, plain otherwise */
    CLV_PROGRESS_BAR,
    CLV_PROGRESS_PLAIN,
    CLV_PROGRESS_JSON,
    CLV_PROGRESS_NONE,
};

/* Zero-initialise, then clv_progress_begin(). */
struct clv_progress {
    enum clv_progress_mode mode;
    double next_s; /* when the next message is due, on the monotonic clock */
};

void clv_progress_begin(struct clv_progress *progress, const struct clv_cli *cli);
/* True where a message is due: ten a second for a bar, one a second for JSON, one every ten
 * seconds for plain lines. */
bool clv_progress_due(struct clv_progress *progress);
/* Shows how far it is: `fraction` 0..1 (negative: unknown), and what else there is to say. */
void clv_progress_show(struct clv_progress *progress, double fraction, const char *text);
/* The JSON form of a message, which it takes over; ignored in other modes. */
void clv_progress_json(struct clv_progress *progress, struct clv_json *object);
/* Wipes the bar. */
void clv_progress_end(struct clv_progress *progress);

/* Wipes whatever bar is on the terminal; called before anything else is printed to stderr. */
void clv_progress_clear(void);

#endif
