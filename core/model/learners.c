#include "core/model/learners.h"

#include "core/compute/group.h"
#include "core/error.h"
#include "core/model/learner_state.h"
#include "core/team.h"

#include <assert.h>
#include <stdlib.h>

#define CLIP_MAX 8 /* a learner's where options say nothing */

struct clv_learners {
    int count;
    struct clv_learner **members;
    struct clv_group *group;
    struct clv_team *team;
    struct clv_learner_work *works; /* of the call under way */
    float **shared;                 /* what is summed, of each member */
    bool is_summed;                 /* each member's gradients are the sum of all */
    const struct clv_learner_step_options *step;
    double *norms;
};

/* ---- creation -------------------------------------------------------------------------------- */

/* No member takes more clips at a time than its share of the largest batch. */
static struct clv_learner_options member_options(const struct clv_learner_options *options,
                                                 int count)
{
    struct clv_learner_options own = options ? *options : (struct clv_learner_options){0};
    const int clips = own.clip_max ? own.clip_max : CLIP_MAX;
    const int share = (int)(((int64_t)clips + count - 1) / count);
    if (count > 1 && (!own.clip_batch_max || own.clip_batch_max > share))
        own.clip_batch_max = share;
    return own;
}

static int create_members(struct clv_learners *learners, struct clv_device *const *devices,
                          const struct clv_model_config *config, const struct clv_weights *weights,
                          const struct clv_learner_options *options)
{
    const size_t count = (size_t)learners->count;
    const struct clv_learner_options own = member_options(options, learners->count);
    learners->members = calloc(count, sizeof(struct clv_learner *));
    learners->works = calloc(count, sizeof *learners->works);
    learners->shared = calloc(count, sizeof(float *));
    learners->norms = calloc(count, sizeof *learners->norms);
    if (!learners->members || !learners->works || !learners->shared || !learners->norms)
        return clv_fail_memory("learners");
    int status = CLV_OK;
    for (int i = 0; i < learners->count && status == CLV_OK; i++)
        status = clv_learner_create(&learners->members[i], devices[i], config, weights, &own);
    return status;
}

int clv_learners_create(struct clv_learners **out, struct clv_device *const *devices,
                        int device_count, const struct clv_model_config *config,
                        const struct clv_weights *weights,
                        const struct clv_learner_options *options)
{
    assert(device_count > 0);
    *out = NULL;
    struct clv_learners *learners = calloc(1, sizeof *learners);
    if (!learners)
        return clv_fail_memory("learners");
    learners->count = device_count;
    int status = create_members(learners, devices, config, weights, options);
    if (status == CLV_OK)
        status = clv_group_open(&learners->group, devices, device_count);
    if (status == CLV_OK)
        status = clv_team_create(&learners->team, device_count);
    if (status == CLV_OK)
        *out = learners;
    else
        clv_learners_free(learners);
    return status;
}

void clv_learners_free(struct clv_learners *learners)
{
    if (!learners)
        return;
    clv_team_free(learners->team);
    clv_group_close(learners->group);
    for (int i = 0; learners->members && i < learners->count; i++)
        clv_learner_free(learners->members[i]);
    free(learners->members);
    free(learners->works);
    free(learners->shared);
    free(learners->norms);
    free(learners);
}

int clv_learners_count(const struct clv_learners *learners)
{
    return learners->count;
}

struct clv_learner *clv_learners_member(const struct clv_learners *learners, int index)
{
    assert(index >= 0 && index < learners->count);
    return learners->members[index];
}

/* ---- batches --------------------------------------------------------------------------------- */

static int begin(void *payload, int member)
{
    struct clv_learners *learners = payload;
    clv_learner_begin(&learners->works[member]);
    return CLV_OK;
}

static int middle(void *payload, int member)
{
    struct clv_learners *learners = payload;
    clv_learner_middle(&learners->works[member]);
    return CLV_OK;
}

static int finish(void *payload, int member)
{
    struct clv_learners *learners = payload;
    return clv_learner_finish(&learners->works[member]);
}

/* Sums a table over the members; each has as much of it. */
static void share(struct clv_learners *learners,
                  struct clv_tensor (*table)(const struct clv_learner_work *work))
{
    size_t count = 0;
    if (learners->count == 1)
        return;
    for (int i = 0; i < learners->count; i++) {
        const struct clv_tensor own = table(&learners->works[i]);
        learners->shared[i] = own.data;
        count = own.data ? (size_t)own.rows * (size_t)own.cols : 0;
    }
    clv_group_all_reduce(learners->group, learners->shared, count);
}

/* Where gradients are added to the sum that a step has left, that sum must count once. */
static void keep_one_sum(struct clv_learners *learners)
{
    for (int i = 1; learners->is_summed && i < learners->count; i++)
        clv_learner_zero_gradients(learners->members[i]);
    learners->is_summed = false;
}

static int run(struct clv_learners *learners, double *loss_out,
               const struct clv_learner_batch *batch, bool is_backward)
{
    double loss = 0;
    int status = clv_learner_check_batch(learners->members[0], batch);
    if (status != CLV_OK)
        return status;
    if (is_backward)
        keep_one_sum(learners);
    for (int i = 0; i < learners->count; i++)
        learners->works[i] = (struct clv_learner_work){.learner = learners->members[i],
                                                       .batch = batch,
                                                       .is_backward = is_backward,
                                                       .member = i,
                                                       .member_count = learners->count};
    (void)clv_team_run(learners->team, begin, learners);
    share(learners, clv_learner_shared_texts);
    (void)clv_team_run(learners->team, middle, learners);
    share(learners, clv_learner_shared_clips);
    status = clv_team_run(learners->team, finish, learners);
    for (int i = 0; i < learners->count; i++)
        if (i == 0 || batch->loss == CLV_LOSS_CLASSES)
            loss += learners->works[i].loss;
    if (loss_out)
        *loss_out = loss;
    return status;
}

int clv_learners_forward_backward(struct clv_learners *learners, double *loss_out,
                                  const struct clv_learner_batch *batch)
{
    return run(learners, loss_out, batch, true);
}

int clv_learners_forward(struct clv_learners *learners, double *loss_out,
                         const struct clv_learner_batch *batch)
{
    return run(learners, loss_out, batch, false);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static int zero_gradients(void *payload, int member)
{
    struct clv_learners *learners = payload;
    clv_learner_zero_gradients(learners->members[member]);
    return CLV_OK;
}

void clv_learners_zero_gradients(struct clv_learners *learners)
{
    learners->is_summed = false;
    (void)clv_team_run(learners->team, zero_gradients, learners);
}

static void sum_gradients(struct clv_learners *learners)
{
    const size_t count = learners->members[0]->gradient_count;
    for (int i = 0; i < learners->count && count > 0; i++)
        learners->shared[i] = clv_buffer_data(learners->members[i]->gradients);
    if (!learners->is_summed)
        clv_group_all_reduce(learners->group, learners->shared, count);
    learners->is_summed = true;
}

static int measure_norm(void *payload, int member)
{
    struct clv_learners *learners = payload;
    return clv_learner_measure_norm(learners->members[member], &learners->norms[member]);
}

/* All clip by the same norm: each member's own may differ in the last bits, as devices may sum in
 * different orders. */
static int descend(void *payload, int member)
{
    struct clv_learners *learners = payload;
    return clv_learner_descend(learners->members[member], learners->norms[0], learners->step);
}

/* No member moves before every one has said that its gradients are there and finite. */
int clv_learners_step(struct clv_learners *learners, double *norm_out,
                      const struct clv_learner_step_options *options)
{
    sum_gradients(learners);
    learners->step = options;
    int status = clv_team_run(learners->team, measure_norm, learners);
    if (norm_out)
        *norm_out = learners->norms[0];
    return status == CLV_OK ? clv_team_run(learners->team, descend, learners) : status;
}

int clv_learners_write(struct clv_learners *learners, enum clv_learner_part part, size_t index,
                       const float *values)
{
    int status = part == CLV_LEARNER_GRADIENT
                     ? clv_fail(CLV_EINVAL, "each learner has gradients of its own")
                     : CLV_OK;
    for (int i = 0; i < learners->count && status == CLV_OK; i++)
        status = clv_learner_write(learners->members[i], part, index, values);
    return status;
}

void clv_learners_set_step_count(struct clv_learners *learners, int64_t count)
{
    for (int i = 0; i < learners->count; i++)
        clv_learner_set_step_count(learners->members[i], count);
}
