/* One model being trained on several devices at once: a learner on each, with the same parameters
 * to the bit. Every batch is shared out: each member computes the clips and the texts of its share,
 * and what a loss needs of the others' (texts, and where captions are compared the vectors of
 * clips) is exchanged, so that losses and gradients are those of one learner up to rounding. The
 * gradients of a step are summed over the members, and each takes the same step.
 *
 * One host thread a member computes; callers use one thread, as for a learner. With one device it
 * is that learner, bit for bit. */
#ifndef CLV_CORE_MODEL_LEARNERS_H
#define CLV_CORE_MODEL_LEARNERS_H

#include "core/compute/device.h"
#include "core/model/learner.h"

#include <stddef.h>
#include <stdint.h>

struct clv_learners;

/* As clv_learner_create(), on each of the devices, which should be of one kind. Limits are those of
 * the whole batch, but clip_batch_max and text_batch_max are of each member. */
int clv_learners_create(struct clv_learners **out, struct clv_device *const *devices,
                        int device_count, const struct clv_model_config *config,
                        const struct clv_weights *weights,
                        const struct clv_learner_options *options);
void clv_learners_free(struct clv_learners *learners);

int clv_learners_count(const struct clv_learners *learners);
/* Borrowed. Its gradients are its share of the sum until a step has been taken. */
struct clv_learner *clv_learners_member(const struct clv_learners *learners, int index);

/* As the learner's functions of these names. Where a member fails, the call does, and no member
 * takes a step that one cannot; gradients are then of no use until zeroed. */
int clv_learners_forward_backward(struct clv_learners *learners, double *loss_out,
                                  const struct clv_learner_batch *batch);
int clv_learners_forward(struct clv_learners *learners, double *loss_out,
                         const struct clv_learner_batch *batch);
void clv_learners_zero_gradients(struct clv_learners *learners);
int clv_learners_step(struct clv_learners *learners, double *norm_out,
                      const struct clv_learner_step_options *options);

/* To every member: values or moments. CLV_EINVAL for gradients, of which each has its own. */
int clv_learners_write(struct clv_learners *learners, enum clv_learner_part part, size_t index,
                       const float *values);
void clv_learners_set_step_count(struct clv_learners *learners, int64_t count);

#endif
