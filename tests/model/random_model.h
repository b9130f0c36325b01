/* Random models of any size, for tests, benchmarks and tests/tools/make_model. */
#ifndef CLV_TESTS_MODEL_RANDOM_MODEL_H
#define CLV_TESTS_MODEL_RANDOM_MODEL_H

#include "core/model/config.h"
#include "core/model/weights.h"

#include <stdbool.h>
#include <stdint.h>

struct random_model_options {
    uint64_t seed;
    enum clv_dtype dtype; /* F32, F16 or BF16 */
    bool is_unaligned;    /* a one-byte tensor lies before all others */
    bool is_hollow;       /* all numbers zero, as a hole in the file */
    const char *missing;  /* a tensor to leave out */
    const char *reshaped; /* a tensor whose first dimension is written one larger */
    const struct clv_weight_metadata *metadata; /* beside mask, T, patch, resolution; or instead */
    size_t metadata_count;
};

/* "vit-b-32", "vit-b-16", "vit-l-14" (the sizes of claver.md 5.3) or "tiny"; with a temporal
 * branch of a third of the layers unless `is_clip`. False for other names. */
bool random_model_arch(struct clv_model_config *out, const char *name, int frame_count,
                       enum clv_mask mask, bool is_clip);

/* Completes a config whose towers, sizes and mask are set: tokens, pixel rules, and MLPs of 4W
 * where their width is 0. */
void random_model_complete(struct clv_model_config *config);

/* Writes a safetensors file of `config`. */
int random_model_write(const char *path, const struct clv_model_config *config,
                       const struct random_model_options *options);

#endif
