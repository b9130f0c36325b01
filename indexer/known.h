/* What the catalog knew when a run began, and what this run added: enough to decide, from a file's
 * facts and then from its content, what must be done about it. */
#ifndef CLV_INDEXER_KNOWN_H
#define CLV_INDEXER_KNOWN_H

#include "storage/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clv_known;

struct clv_known_video {
    int64_t id;       /* 0: read in this run */
    const char *path; /* where it was, or was moved to in this run */
    uint8_t digest[CLV_DIGEST_BYTES];
    int64_t size_bytes;
    int64_t modified_ns;
    enum clv_video_status status;
    const char *error;
    bool is_current;              /* has segments of this model with these settings */
    bool is_moved;                /* its content was found elsewhere in this run */
    struct clv_known_video *next; /* of those with the same hash of their digest */
};

int clv_known_load(struct clv_known **out, struct clv_store *store, int64_t model_id,
                   const char *settings);
void clv_known_free(struct clv_known *known);

/* What the catalog holds, in order of path. */
size_t clv_known_count(const struct clv_known *known);
struct clv_known_video *clv_known_at(const struct clv_known *known, size_t index);
/* NULL where the catalog holds no such path. */
struct clv_known_video *clv_known_find(const struct clv_known *known, const char *path);
/* Whether any video in the catalog has this size: if not, its content is new. */
bool clv_known_has_size(const struct clv_known *known, int64_t size_bytes);

/* Which files are done again. */
struct clv_known_rules {
    bool force;        /* all */
    bool retry_failed; /* those that failed and have not changed */
    bool no_copy;      /* compute everything that is to be indexed */
};

enum clv_outlook {
    CLV_OUTLOOK_UNCHANGED, /* nothing to do */
    CLV_OUTLOOK_FAILED,    /* could not be read, and is as it was then */
    CLV_OUTLOOK_READ,      /* only its content can tell */
};
/* By a file's facts alone; `video` is what clv_known_find() gave, maybe NULL. */
enum clv_outlook clv_known_outlook(const struct clv_known_video *video, int64_t size_bytes,
                                   int64_t modified_ns, const struct clv_known_rules *rules);

enum clv_verdict_kind {
    CLV_VERDICT_INDEX, /* decode and encode; where from_id is set, that row moves here first */
    CLV_VERDICT_TOUCH, /* same content, other facts */
    CLV_VERDICT_MOVE,  /* video from_id now lies here */
    CLV_VERDICT_COPY,  /* the video at from_path has the same content and is or will be indexed */
    CLV_VERDICT_FAIL,  /* the same content could not be read before */
};
struct clv_verdict {
    enum clv_verdict_kind kind;
    int64_t from_id;
    const char *from_path; /* borrowed from the known videos */
    const char *error;
};

/* By content. Remembers the file, so that further ones with the same content are copies of it, and
 * a moved video, so that it moves once; `path` is borrowed until clv_known_free(). */
int clv_known_decide(struct clv_verdict *out, struct clv_known *known, const char *path,
                     const uint8_t digest[CLV_DIGEST_BYTES], const struct clv_known_rules *rules);

#endif
