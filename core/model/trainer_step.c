/* One step: passes over clips read ahead, and the optimiser. Nothing is allocated here. */
#include "core/error.h"
#include "core/model/trainer_state.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define BALANCE_ROUNDS 20

/* ---- texts of a pass ------------------------------------------------------------------------- */

/* K prompts with replacement, the same for all classes (claver.md 2.3). Returns how many texts. */
static int choose_prompts(struct clv_trainer *trainer, int64_t pass)
{
    struct clv_random random =
        clv_random_stream(trainer->options.seed, CLV_RANDOM_PROMPTS, (uint64_t)pass, 0);
    int count = 0;
    for (int k = 0; k < trainer->options.prompt_slots; k++) {
        const int slot = clv_random_below(&random, trainer->prompt_count);
        for (int c = 0; c < trainer->class_count; c++)
            trainer->chosen[count++] = slot * trainer->class_count + c;
    }
    return count;
}

/* Puts the chosen texts into the batch: as features where they are frozen, else as tokens. */
static void put_texts(struct clv_trainer *trainer, struct clv_learner_batch *batch,
                      const struct clv_texts *texts, const float *features)
{
    const size_t embed = (size_t)trainer->config.embed_dim;
    trainer->starts[0] = 0;
    for (int i = 0; i < batch->text_count; i++) {
        const size_t from = (size_t)trainer->chosen[i];
        if (trainer->options.freeze_text)
            memcpy(trainer->features + (size_t)i * embed, features + from * embed,
                   embed * sizeof *features);
        else
            clv_texts_append(texts, trainer->chosen[i], trainer->ids, trainer->starts, i);
    }
    batch->ids = trainer->ids;
    batch->starts = trainer->starts;
    batch->text_features = trainer->options.freeze_text ? trainer->features : NULL;
}

/* ---- labels of a pass ------------------------------------------------------------------------ */

static void put_classes(struct clv_trainer *trainer, struct clv_learner_batch *batch,
                        const struct clv_loaded *loaded, struct clv_mix *mix)
{
    const struct clv_trainer_options *options = &trainer->options;
    struct clv_random random =
        clv_random_stream(options->seed, CLV_RANDOM_MIX, (uint64_t)loaded->pass, 0);
    for (int i = 0; i < loaded->clip_count; i++)
        trainer->classes[i] = trainer->training->classes[loaded->clips[i]];
    clv_mix_draw(mix, &options->mix, trainer->config.image_side, &random);
    clv_mix_labels(trainer->labels, trainer->classes, loaded->clip_count, trainer->class_count,
                   options->label_smoothing, mix);
    batch->mix = mix;
    batch->loss = CLV_LOSS_CLASSES;
    batch->prompt_count = options->prompt_slots;
    batch->text_count = choose_prompts(trainer, loaded->pass);
    put_texts(trainer, batch, &trainer->prompts, trainer->prompt_features);
}

/* Divides by turns the rows and the columns by their sums, so that what is true of several shares
 * the label in both directions (Sinkhorn and Knopp, 1967). */
static void balance(float *labels, size_t n)
{
    for (int round = 0; round < BALANCE_ROUNDS; round++) {
        const size_t step = round % 2 ? n : 1, stride = round % 2 ? 1 : n;
        for (size_t i = 0; i < n; i++) {
            float *line = labels + i * stride;
            double sum = 0;
            for (size_t k = 0; k < n; k++)
                sum += (double)line[k * step];
            for (size_t k = 0; k < n; k++)
                line[k * step] = (float)((double)line[k * step] / sum);
        }
    }
}

static void put_captions(struct clv_trainer *trainer, struct clv_learner_batch *batch,
                         const struct clv_loaded *loaded)
{
    const int count = loaded->clip_count;
    for (int i = 0; i < count; i++) {
        trainer->chosen[i] = loaded->sentences[i];
        for (int k = 0; k < count; k++)
            trainer->labels[(size_t)i * (size_t)count + (size_t)k] =
                i == k ||
                clv_clips_is_true(trainer->training, loaded->sentences[k], loaded->clips[i]);
    }
    balance(trainer->labels, (size_t)count);
    batch->loss = CLV_LOSS_CAPTIONS;
    batch->text_count = count;
    put_texts(trainer, batch, &trainer->sentences, trainer->sentence_features);
}

/* ---- passes ---------------------------------------------------------------------------------- */

static int fail_loss(const struct clv_trainer *trainer, const char *what, double value)
{
    return clv_fail(CLV_ERR,
                    "training has diverged: %s is %g in step %" PRId64 " of epoch %" PRId64
                    ", the last checkpoint stays as it is",
                    what, value, trainer->state.steps % trainer->steps_an_epoch + 1,
                    trainer->state.steps / trainer->steps_an_epoch + 1);
}

static void name_broken(struct clv_trainer *trainer, const struct clv_loaded *loaded)
{
    trainer->state.skipped_count += loaded->broken_count;
    for (int i = 0; i < loaded->broken_count; i++) {
        bool *is_named = &trainer->is_named[0][loaded->broken[i]];
        struct clv_trainer_event event = {
            .kind = CLV_TRAINER_SKIPPED, .clip = loaded->broken[i], .message = loaded->reasons[i]};
        if (*is_named)
            continue;
        *is_named = true;
        event.skipped_count = ++trainer->named_count;
        clv_trainer_tell(trainer, &event);
    }
}

static int run_pass(struct clv_trainer *trainer, double *loss_out, const struct clv_loaded *loaded,
                    double weight)
{
    struct clv_random random =
        clv_random_stream(trainer->options.seed, CLV_RANDOM_DROP_PATH, (uint64_t)loaded->pass, 0);
    struct clv_learner_batch batch = {.clip_count = loaded->clip_count,
                                      .pixels = loaded->pixels,
                                      .squares = loaded->squares,
                                      .labels = trainer->labels,
                                      .weight = (float)weight,
                                      .seed = clv_random_bits(&random)};
    struct clv_mix mix;
    if (loaded->is_captions)
        put_captions(trainer, &batch, loaded);
    else
        put_classes(trainer, &batch, loaded, &mix);
    int status = clv_learners_forward_backward(trainer->learners, loss_out, &batch);
    if (status == CLV_OK && !isfinite(*loss_out))
        status = fail_loss(trainer, "the loss", *loss_out);
    return status;
}

/* What a step adds up. */
struct sums {
    double loss, weight, norm;
    int clip_count;
};

/* Reads the next pass and takes it back and forth. */
static int take_pass(struct clv_trainer *trainer, struct sums *sums, double weight)
{
    double loss = 0;
    int status = CLV_OK;
    struct clv_loaded *loaded = clv_loader_next(trainer->loader);
    if (!loaded)
        return clv_fail(CLV_ERR, "there are no clips where a step needs some");
    if (loaded->status != CLV_OK)
        status = clv_fail(loaded->status, "%s", loaded->message);
    else
        name_broken(trainer, loaded);
    if (status == CLV_OK && loaded->clip_count > 0) {
        status = run_pass(trainer, &loss, loaded, weight);
        sums->loss += weight * loss;
        sums->weight += weight;
        sums->clip_count += loaded->clip_count;
    }
    clv_loader_give_back(trainer->loader, loaded);
    return status;
}

static int take_passes(struct clv_trainer *trainer, struct sums *sums, int64_t first, int64_t end)
{
    int clips = 0, status = CLV_OK;
    for (int64_t pass = first; pass < end; pass++)
        clips += clv_loader_clip_count(trainer->loader, pass);
    clv_learners_zero_gradients(trainer->learners);
    for (int64_t pass = first; pass < end && status == CLV_OK; pass++)
        status =
            take_pass(trainer, sums, (double)clv_loader_clip_count(trainer->loader, pass) / clips);
    return status;
}

static int optimize(struct clv_trainer *trainer, struct sums *sums, double lr)
{
    struct clv_learner_step_options step = trainer->options.step;
    step.lr = (float)lr;
    sums->norm = 0;
    int status = clv_learners_step(trainer->learners, &sums->norm, &step);
    if (status == CLV_EINVAL && !isfinite(sums->norm))
        status = fail_loss(trainer, "the gradient's norm", sums->norm);
    return status;
}

int clv_trainer_take_step(struct clv_trainer *trainer)
{
    struct clv_trainer_state *state = &trainer->state;
    const int64_t epoch = state->steps / trainer->steps_an_epoch;
    const int64_t start = epoch * trainer->passes_an_epoch;
    const int64_t first =
        start + state->steps % trainer->steps_an_epoch * trainer->options.accumulate;
    const int64_t last = start + trainer->passes_an_epoch;
    const int64_t end =
        last - first < trainer->options.accumulate ? last : first + trainer->options.accumulate;
    const double lr = clv_schedule_rate(&trainer->schedule, first);
    struct sums sums = {0};
    int status = take_passes(trainer, &sums, first, end);
    if (status == CLV_OK && sums.weight > 0)
        status = optimize(trainer, &sums, lr);
    if (status != CLV_OK)
        return status;
    state->steps++;
    if (sums.weight > 0) {
        state->loss_sum += sums.loss / sums.weight;
        state->norm_sum += sums.norm;
        state->loss_count++;
        state->clip_count += sums.clip_count;
    }
    struct clv_trainer_event event = {.kind = CLV_TRAINER_STEP,
                                      .loss = sums.weight > 0 ? sums.loss / sums.weight : 0,
                                      .lr = lr,
                                      .gradient_norm = sums.norm,
                                      .clip_count = sums.clip_count};
    clv_trainer_tell(trainer, &event);
    return CLV_OK;
}
