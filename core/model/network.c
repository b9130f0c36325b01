/* Weights onto the device, and the linear layers prepared from them. */
#include "core/model/network.h"

#include "core/error.h"
#include "core/model/weights.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CONVERT_CHUNK 65536

static bool is_wanted(const struct clv_param *param, const struct clv_network_options *options)
{
    return param->branch == CLV_BRANCH_TEXT ? !options->no_text : !options->no_vision;
}

/* F32 data that are aligned are used where they lie, if the device can. */
static const float *borrow(struct clv_network *network, const struct clv_weight_entry *entry)
{
    if (entry->dtype != CLV_F32 || (uintptr_t)entry->data % _Alignof(float))
        return NULL;
    return clv_device_borrow(network->device, entry->data);
}

/* Converts a tensor into device memory, piece by piece through `chunk`. */
static int convert(struct clv_network *network, float *target, const struct clv_weight_entry *entry,
                   float *chunk)
{
    size_t element_bytes = entry->size_bytes / entry->element_count;
    for (size_t at = 0; at < entry->element_count; at += CONVERT_CHUNK) {
        struct clv_weight_entry piece = *entry;
        piece.element_count =
            entry->element_count - at < CONVERT_CHUNK ? entry->element_count - at : CONVERT_CHUNK;
        piece.data = (const unsigned char *)entry->data + at * element_bytes;
        piece.size_bytes = piece.element_count * element_bytes;
        int status = clv_weights_read(chunk, &piece);
        if (status != CLV_OK)
            return status;
        clv_device_write(network->device, target + at, chunk, piece.element_count * sizeof *chunk);
    }
    return CLV_OK;
}

static int load_params(struct clv_network *network, const struct clv_weights *weights,
                       const struct clv_network_options *options)
{
    const struct clv_params *params = &network->params;
    size_t converted_count = 0, at = 0;
    float *chunk = malloc(CONVERT_CHUNK * sizeof *chunk);
    int status = chunk ? CLV_OK : clv_fail_memory("the encoder's weights");
    for (size_t i = 0; i < params->count && status == CLV_OK; i++) {
        if (!is_wanted(&params->items[i], options))
            continue;
        const struct clv_weight_entry *entry = clv_weights_find(weights, params->items[i].name);
        network->param[i] = borrow(network, entry);
        if (!network->param[i])
            converted_count += clv_padded_count(entry->element_count);
    }
    if (status == CLV_OK && converted_count)
        status = clv_buffer_create(&network->converted, network->device,
                                   converted_count * sizeof(float));
    for (size_t i = 0; i < params->count && status == CLV_OK; i++) {
        if (!is_wanted(&params->items[i], options) || network->param[i])
            continue;
        const struct clv_weight_entry *entry = clv_weights_find(weights, params->items[i].name);
        float *target = (float *)clv_buffer_data(network->converted) + at;
        status = convert(network, target, entry, chunk);
        network->param[i] = target;
        at += clv_padded_count(entry->element_count);
    }
    free(chunk);
    return status;
}

const float *clv_network_single(const struct clv_network *network, enum clv_param_single which)
{
    int index = network->params.single[which];
    return index < 0 ? NULL : network->param[index];
}

float *clv_network_single_gradient(const struct clv_network *network, enum clv_param_single which)
{
    int index = network->params.single[which];
    return index < 0 ? NULL : network->gradient[index];
}

static struct clv_tensor single_matrix(const struct clv_network *network,
                                       enum clv_param_single which, int rows, int cols)
{
    return clv_tensor((float *)clv_network_single(network, which), rows, cols);
}

/* Prepares the blocks of a tower, whose tensors begin at `first` of the table. */
static int prepare_tower(struct clv_block **out, struct clv_network *network,
                         const struct clv_tower *tower, int first)
{
    if (tower->layer_count == 0)
        return CLV_OK;
    struct clv_block *blocks = calloc((size_t)tower->layer_count, sizeof *blocks);
    *out = blocks;
    if (!blocks)
        return clv_fail_memory("the encoder's blocks");
    for (int i = 0; i < tower->layer_count; i++) {
        int at = first + i * CLV_PARAM_BLOCK_COUNT;
        memcpy(blocks[i].param, &network->param[at], sizeof blocks[i].param);
        memcpy(blocks[i].gradient, &network->gradient[at], sizeof blocks[i].gradient);
        clv_block_prepare(&blocks[i], network->device, tower, i == tower->layer_count - 1);
    }
    return CLV_OK;
}

static int prepare_weights(struct clv_network *network, const struct clv_network_options *options)
{
    const struct clv_model_config *config = &network->config;
    const struct clv_params *params = &network->params;
    int status = CLV_OK;
    if (!options->no_vision) {
        clv_weight_prepare(network->device, &network->conv1,
                           single_matrix(network, CLV_PARAM_CONV1, config->vision.width,
                                         3 * config->patch_side * config->patch_side),
                           CLV_WEIGHT_OUT_IN);
        clv_weight_prepare(network->device, &network->vision_projection,
                           single_matrix(network, CLV_PARAM_VISION_PROJECTION, config->vision.width,
                                         config->embed_dim),
                           CLV_WEIGHT_IN_OUT);
        status = prepare_tower(&network->vision, network, &config->vision, params->vision_blocks);
        if (status == CLV_OK)
            status = prepare_tower(&network->temporal, network, &config->temporal,
                                   params->temporal_blocks);
    }
    if (!options->no_text && status == CLV_OK) {
        clv_weight_prepare(network->device, &network->text_projection,
                           single_matrix(network, CLV_PARAM_TEXT_PROJECTION, config->text.width,
                                         config->embed_dim),
                           CLV_WEIGHT_IN_OUT);
        status = prepare_tower(&network->text, network, &config->text, params->text_blocks);
    }
    return status;
}

/* The table and its two arrays of addresses. */
static int begin(struct clv_network *network, struct clv_device *device,
                 const struct clv_model_config *config)
{
    *network = (struct clv_network){.device = device, .config = *config};
    int status = clv_params_init(&network->params, config);
    if (status != CLV_OK)
        return status;
    network->param = calloc(network->params.count + 1, sizeof *network->param);
    network->gradient = calloc(network->params.count + 1, sizeof *network->gradient);
    return network->param && network->gradient ? CLV_OK : clv_fail_memory("the encoder's weights");
}

int clv_network_load(struct clv_network *out, struct clv_device *device,
                     const struct clv_model_config *config, const struct clv_weights *weights,
                     const struct clv_network_options *options)
{
    int status = begin(out, device, config);
    if (status == CLV_OK)
        status = clv_params_check(&out->params, weights, NULL);
    if (status == CLV_OK)
        status = load_params(out, weights, options);
    return status == CLV_OK ? prepare_weights(out, options) : status;
}

int clv_network_over(struct clv_network *out, struct clv_device *device,
                     const struct clv_model_config *config, float *const *param,
                     float *const *gradient, const struct clv_network_options *options)
{
    int status = begin(out, device, config);
    if (status != CLV_OK)
        return status;
    for (size_t i = 0; i < out->params.count; i++) {
        if (is_wanted(&out->params.items[i], options)) {
            out->param[i] = param[i];
            out->gradient[i] = gradient ? gradient[i] : NULL;
        }
    }
    return prepare_weights(out, options);
}

static void free_blocks(struct clv_block *blocks, int count)
{
    for (int i = 0; blocks && i < count; i++)
        clv_block_release(&blocks[i]);
    free(blocks);
}

void clv_network_release(struct clv_network *network)
{
    free_blocks(network->vision, network->config.vision.layer_count);
    free_blocks(network->temporal, network->config.temporal.layer_count);
    free_blocks(network->text, network->config.text.layer_count);
    clv_weight_release(&network->conv1);
    clv_weight_release(&network->vision_projection);
    clv_weight_release(&network->text_projection);
    clv_buffer_free(network->converted);
    clv_params_release(&network->params);
    free(network->param);
    free(network->gradient);
    *network = (struct clv_network){0};
}
