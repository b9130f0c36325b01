/* Learners without memory: creation reports it, and steps need none. */
#include "core/compute/device.h"
#include "core/error.h"
#include "core/model/learner.h"
#include "core/model/learners.h"
#include "tests/fault/fault.h"
#include "tests/model/learner_fixture.h"
#include "tests/t.h"

static struct clv_device *device, *second;
static struct learner_fixture fixture;

static const struct clv_learner_options options = {.drop_path = 0.1f,
                                                   .checkpoint = true,
                                                   .clip_batch_max = 2,
                                                   .clip_max = LEARNER_CLIPS,
                                                   .text_batch_max = 8,
                                                   .text_max = LEARNER_TEXTS};

static int create(void *payload)
{
    struct clv_learner *learner = NULL;
    (void)payload;
    int status = clv_learner_create(&learner, device, &fixture.config, fixture.weights, &options);
    CHECK((learner != NULL) == (status == CLV_OK));
    clv_learner_free(learner);
    return status;
}

static void check_memory(void *payload, int status)
{
    (void)payload;
    CHECK(status == CLV_OK || status == CLV_ENOMEM);
}

static void creation_reports_want_of_memory(void)
{
    fault_each(&(struct fault_case){.name = "create a learner",
                                    .kinds = FAULT_MEMORY,
                                    .operate = create,
                                    .check = check_memory});
}

static int create_two(void *payload)
{
    struct clv_device *const devices[] = {device, second};
    struct clv_learners *learners = NULL;
    (void)payload;
    int status =
        clv_learners_create(&learners, devices, 2, &fixture.config, fixture.weights, &options);
    CHECK((learners != NULL) == (status == CLV_OK));
    clv_learners_free(learners);
    return status;
}

static void creation_of_two_reports_want_of_memory(void)
{
    fault_each(&(struct fault_case){.name = "create two learners",
                                    .kinds = FAULT_MEMORY,
                                    .operate = create_two,
                                    .check = check_memory});
}

static void step_two(struct clv_learners *learners, enum clv_learner_loss loss)
{
    const struct clv_learner_batch batch = learner_batch(&fixture, loss);
    clv_learners_zero_gradients(learners);
    CHECK_OK(clv_learners_forward_backward(learners, NULL, &batch));
    CHECK_OK(clv_learners_step(learners, NULL, &clv_learner_step_defaults));
}

static void steps_of_two_allocate_nothing(void)
{
    struct clv_device *const devices[] = {device, second};
    struct clv_learners *learners = NULL;
    REQUIRE_OK(
        clv_learners_create(&learners, devices, 2, &fixture.config, fixture.weights, &options));
    step_two(learners, CLV_LOSS_CLASSES);
    step_two(learners, CLV_LOSS_CAPTIONS);
    fault_arm(FAULT_MEMORY, 0, true);
    step_two(learners, CLV_LOSS_CLASSES);
    step_two(learners, CLV_LOSS_CAPTIONS);
    CHECK(!fault_disarm());
    clv_learners_free(learners);
}

static void step(struct clv_learner *learner, enum clv_learner_loss loss)
{
    const struct clv_learner_batch batch = learner_batch(&fixture, loss);
    clv_learner_zero_gradients(learner);
    CHECK_OK(clv_learner_forward_backward(learner, NULL, &batch));
    CHECK_OK(clv_learner_step(learner, NULL, &clv_learner_step_defaults));
}

/* The device's workspace has grown after the first step; then no call asks for memory, or it would
 * fail here. */
static void steps_allocate_nothing(void)
{
    struct clv_learner *learner = NULL;
    REQUIRE_OK(clv_learner_create(&learner, device, &fixture.config, fixture.weights, &options));
    step(learner, CLV_LOSS_CLASSES);
    step(learner, CLV_LOSS_CAPTIONS);
    fault_arm(FAULT_MEMORY, 0, true);
    step(learner, CLV_LOSS_CLASSES);
    step(learner, CLV_LOSS_CAPTIONS);
    CHECK(!fault_disarm());
    clv_learner_free(learner);
}

int main(void)
{
    const struct clv_device_options cpu = {.kind = CLV_DEVICE_CPU};
    if (clv_device_open(&device, &cpu) != CLV_OK || clv_device_open(&second, &cpu) != CLV_OK)
        return 1;
    learner_fixture_init(&fixture, &learner_shapes[1], 1);
    T_RUN(creation_reports_want_of_memory);
    T_RUN(steps_allocate_nothing);
    T_RUN(creation_of_two_reports_want_of_memory);
    T_RUN(steps_of_two_allocate_nothing);
    learner_fixture_release(&fixture);
    clv_device_close(device);
    clv_device_close(second);
    return t_end();
}
