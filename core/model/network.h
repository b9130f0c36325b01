/* Private to core/model: a model's weights on the device, ready for the passes. */
#ifndef CLV_CORE_MODEL_NETWORK_H
#define CLV_CORE_MODEL_NETWORK_H

#include "core/model/blocks.h"
#include "core/model/config.h"
#include "core/model/params.h"

#include <stdbool.h>

struct clv_weights;

struct clv_network {
    struct clv_device *device;
    struct clv_model_config config;
    struct clv_params params;
    const float **param;          /* device address by index of the table; NULL where not loaded */
    float **gradient;             /* the same of gradients; NULL where serving or frozen */
    struct clv_buffer *converted; /* what could not be used where it lay */
    struct clv_block *vision, *temporal, *text;
    struct clv_weight conv1, vision_projection, text_projection;
};

/* Which branches to load. */
struct clv_network_options {
    bool no_vision;
    bool no_text;
};

/* Takes the weights from `weights`, which must outlive the network: where they lie if the device
 * can use them there, converted into a buffer otherwise. CLV_ECORRUPT names a tensor that is
 * missing or mis-shaped. Pair with clv_network_release(), also after a failure. */
int clv_network_load(struct clv_network *out, struct clv_device *device,
                     const struct clv_model_config *config, const struct clv_weights *weights,
                     const struct clv_network_options *options);

/* Over parameters in device memory: `param` and `gradient` (NULL, or with NULLs where there is
 * none) by index of the table. They are used in place. */
int clv_network_over(struct clv_network *out, struct clv_device *device,
                     const struct clv_model_config *config, float *const *param,
                     float *const *gradient, const struct clv_network_options *options);

void clv_network_release(struct clv_network *network);

/* The device address of a tensor outside of blocks, and of its gradient; NULL where there is none.
 */
const float *clv_network_single(const struct clv_network *network, enum clv_param_single which);
float *clv_network_single_gradient(const struct clv_network *network, enum clv_param_single which);

/* The room of `count` numbers in a buffer of several tensors that each begin at 64 bytes. */
static inline size_t clv_padded_count(size_t count)
{
    return (count + 15) / 16 * 16;
}

#endif
