/* Private to core/model: findings about tensors of one file, those of a tower's blocks told once
 * for all of them ("tensor 'transformer.resblocks.{0-11}.ln_1.bias' is missing"). */
#ifndef CLV_CORE_MODEL_FINDINGS_H
#define CLV_CORE_MODEL_FINDINGS_H

#include <stddef.h>
#include <stdint.h>

struct clv_finding;

/* Zero-initialise; pair with clv_findings_release(). */
struct clv_findings {
    struct clv_finding *items;
    size_t count;
    size_t capacity;
    int status; /* the first failure to remember one; later additions do nothing */
};
void clv_findings_release(struct clv_findings *findings);

/* Remembers that tensor `name` `what` ("is missing"). Both are copied. */
void clv_findings_add(struct clv_findings *findings, const char *name, const char *what);

/* CLV_OK where there are none, otherwise `status` with all of them in one message about `path`,
 * and `hint` (may be NULL) at its end. */
int clv_findings_fail(const struct clv_findings *findings, int status, const char *path,
                      const char *hint);

#endif
