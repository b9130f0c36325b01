/* The digest of what changes a result, and of nothing else. */
#include "core/model/identity.h"

#include "core/error.h"
#include "core/model/params.h"
#include "core/model/weights.h"
#include "core/model/weights_table.h"

#include <string.h>

static void add_text(struct clv_digest *digest, const char *text)
{
    clv_digest_add(digest, text, strlen(text) + 1);
}

static void add_integer(struct clv_digest *digest, uint64_t value)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    clv_digest_add(digest, bytes, sizeof bytes);
}

static void add_number(struct clv_digest *digest, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    add_integer(digest, bits);
}

static void add_config(struct clv_digest *digest, const struct clv_model_config *config)
{
    add_text(digest, clv_config_mask_name(config));
    add_text(digest, config->resize == CLV_RESIZE_BILINEAR_256 ? "bilinear" : "bicubic");
    add_text(digest, config->activation == CLV_ACTIVATION_GELU ? "gelu" : "quick_gelu");
    for (int i = 0; i < 3; i++) {
        add_number(digest, config->pixel_mean[i]);
        add_number(digest, config->pixel_std[i]);
    }
    add_integer(digest, (uint64_t)config->vision.head_count);
    add_integer(digest, (uint64_t)config->text.head_count);
}

int clv_model_identity(uint8_t out[CLV_DIGEST_BYTES], const struct clv_weights *weights,
                       const struct clv_model_config *config)
{
    struct clv_params params;
    struct clv_digest digest;
    int status = clv_params_init(&params, config);
    if (status != CLV_OK)
        return status;
    clv_digest_init(&digest);
    add_config(&digest, config);
    add_integer(&digest, params.count);
    for (size_t i = 0; i < params.count; i++) {
        const struct clv_param *param = &params.items[i];
        const struct clv_weight_entry *entry = clv_weights_find(weights, param->name);
        add_text(&digest, param->name);
        add_text(&digest, clv_dtype_name(entry->dtype));
        add_integer(&digest, (uint64_t)param->dimension_count);
        for (int k = 0; k < param->dimension_count; k++)
            add_integer(&digest, (uint64_t)param->shape[k]);
        if (entry->size_bytes)
            clv_digest_add(&digest, entry->data, entry->size_bytes);
    }
    clv_digest_finish(&digest, out);
    clv_params_release(&params);
    return CLV_OK;
}
