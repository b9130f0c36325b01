/* Small models to train and batches to train them on, and their loss in double precision. */
#ifndef CLV_TESTS_MODEL_LEARNER_FIXTURE_H
#define CLV_TESTS_MODEL_LEARNER_FIXTURE_H

#include "core/model/learner.h"
#include "core/model/params.h"
#include "core/model/weights.h"

#include <stdbool.h>
#include <stdint.h>

struct learner_shape {
    const char *name;
    enum clv_mask mask;
    bool is_clip, is_gelu;
    int layers, temporal_layers, text_layers;
    int width, text_width, heads; /* heads 0: one */
    int mlp;                      /* of every tower; 0: 4W */
};

/* Shapes every test of gradients goes through. */
extern const struct learner_shape learner_shapes[];
extern const int learner_shape_count;

enum { LEARNER_CLIPS = 4, LEARNER_PROMPTS = 2, LEARNER_CLASSES = 3, LEARNER_TEXTS = 6 };

struct learner_fixture {
    struct clv_model_config config;
    struct clv_params params;
    struct clv_weights *weights; /* in memory that may be written to: see learner_value() */
    float *pixels;               /* of LEARNER_CLIPS clips */
    int32_t ids[LEARNER_TEXTS * 8];
    int32_t starts[LEARNER_TEXTS + 1];
    float labels[LEARNER_CLIPS * LEARNER_CLASSES];
    float contrast[LEARNER_CLIPS * LEARNER_CLIPS];
};

/* Aborts where memory or disk fail. Pair with learner_fixture_release(). */
void learner_fixture_init(struct learner_fixture *out, const struct learner_shape *shape,
                          uint64_t seed);
void learner_fixture_release(struct learner_fixture *fixture);

/* The numbers of parameter `index`, to be changed at will. */
float *learner_value(const struct learner_fixture *fixture, size_t index);

/* All clips against the classes, or against the first texts as captions with soft labels. */
struct clv_learner_batch learner_batch(const struct learner_fixture *fixture,
                                       enum clv_learner_loss loss);

/* The loss of the batch with the fixture's weights as they stand. logits_out (may be NULL) as in
 * the batch. */
double learner_reference_loss(const struct learner_fixture *fixture,
                              const struct clv_learner_batch *batch, double *logits_out);

/* A learner over the fixture, options with limits filled in; aborts on failure. */
struct clv_learner *learner_make(const struct learner_fixture *fixture, struct clv_device *device,
                                 const struct clv_learner_options *options);

/* A part of every parameter in order of the table, one after another; frozen parameters are left
 * out of all but values. The caller frees. */
float *learner_parts(const struct clv_learner *learner, enum clv_learner_part part,
                     size_t *count_out);

/* The largest difference relative to the largest value of `want`; INFINITY where one is no number.
 */
double learner_difference(const float *got, const float *want, size_t count);

/* What the order of sums may change of losses and gradients, in the measure above. The CPU sums a
 * row of a product alike whatever rows lie beside it: 1e-5. On CUDA the library chooses by shape,
 * so that two runs round each in its own way: 1e-4. The worst of these models is "kmct" of seed 30,
 * whose embeddings' gradients move by 7e-6 where every weight moves by half a unit in the last
 * place: one learner's are 9e-6 from those in double precision on the CPU, and products in orders
 * drawn at random left two runs up to 2.1e-5 apart. The other models are five times better or more.
 */
double learner_limit(const struct clv_device *device);

#endif
