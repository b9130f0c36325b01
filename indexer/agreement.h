/* Which clips agree with all that a sentence states. Values are numbered and clips listed by them,
 * so that of all clips only those with the rarest of its values are looked at. Private to the
 * indexer. */
#ifndef CLV_INDEXER_AGREEMENT_H
#define CLV_INDEXER_AGREEMENT_H

#include "indexer/facts.h"

#include <stdint.h>

/* What is said of the clips in one column. */
struct clv_agreement_column {
    const char **values; /* [value_count] the different ones, ascending; the facts' own */
    int32_t *starts;     /* [value_count + 1]: value v is said of the clips */
    int32_t *clips;      /* clips[starts[v] … starts[v + 1]), ascending */
    int32_t *value_of;   /* [clip_count] the number of its value; -1: none */
    int32_t value_count;
};

struct clv_agreement {
    struct clv_agreement_column *columns;
    int column_count, clip_count;
    int32_t *wanted; /* [column_count] of the sentence asked about */
    int32_t *found;  /* [clip_count] */
};

/* `facts` [clip_count]: a clip's row, which must stay; NULL: nothing is known. Release also after a
 * failure. */
int clv_agreement_create(struct clv_agreement *out, const struct clv_facts_row *const *facts,
                         int clip_count, int column_count);
void clv_agreement_release(struct clv_agreement *agreement);

/* How many clips agree with `stated` [column_count], where NULL and "" state nothing; none where
 * nothing at all is stated. *clips_out are they, ascending, until the next call. */
int32_t clv_agreement_find(struct clv_agreement *agreement, const int32_t **clips_out,
                           const char *const *stated);

#endif
