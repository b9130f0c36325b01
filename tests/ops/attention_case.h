/* What the tests of attention and of its gradients share: shapes of every mask, tensors for them,
 * and the masks written out as claver.md has them. */
#ifndef CLV_TESTS_OPS_ATTENTION_CASE_H
#define CLV_TESTS_OPS_ATTENTION_CASE_H

#include "core/compute/ops.h"
#include "tests/ops/guarded.h"

#include <stdbool.h>
#include <stdint.h>

#define ATTENTION_SEQUENCE_MAX 4
#define ATTENTION_CASE_COUNT 41

struct attention_case {
    enum clv_mask mask;
    int heads;
    int width; /* of a head */
    int tokens;
    int lengths[ATTENTION_SEQUENCE_MAX]; /* of the sequences; frames, for the Kronecker masks; 0
                                            ends */
    int query_step;                      /* every how many rows is a query; 0: query_rows is NULL */
};

extern const struct attention_case attention_cases[ATTENTION_CASE_COUNT];
extern const char *const attention_mask_names[4];

/* A case's tensors, and where its sequences and queries lie. */
struct attention_setting {
    struct attention_case c;
    int32_t starts[ATTENTION_SEQUENCE_MAX + 1];
    int32_t *query_rows;
    int sequence_count, key_count, query_count;
    struct guarded q, k, v;
};

struct attention_setting attention_setting_create(struct clv_device *device,
                                                  const struct attention_case *c, uint64_t *seed);
void attention_setting_free(struct attention_setting *s);

/* What clv_attention() is told of the setting; borrows from it. */
struct clv_attention attention_of(struct attention_setting *s);

/* The sequence that holds a row of k. */
int attention_sequence(const struct attention_setting *s, int row);
/* A 0 of claver.md's matrices: the query in k's row i sees key j. */
bool attention_sees(const struct attention_setting *s, int i, int j);
int attention_key_row(const struct attention_setting *s, int query);

#endif
