/* Any bytes as a weight file: opened and inferred from, or refused; every entry handed out can be
 * read to its end. */
#include "core/model/config.h"
#include "core/model/identity.h"
#include "core/model/params.h"
#include "core/model/weights.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const struct clv_weights *weights)
{
    unsigned sum = 0;
    for (size_t i = 0; i < clv_weights_count(weights); i++) {
        const struct clv_weight_entry *entry = clv_weights_at(weights, i);
        if (clv_weights_find(weights, entry->name) != entry)
            abort();
        for (size_t k = 0; k < entry->size_bytes; k++)
            sum += ((const unsigned char *)entry->data)[k];
        float *values = malloc(entry->element_count * sizeof *values + 1);
        if (values)
            (void)clv_weights_read(values, entry);
        free(values);
    }
    for (size_t i = 0; i < clv_weights_metadata_count(weights); i++) {
        const char *key, *value;
        clv_weights_metadata_at(weights, i, &key, &value);
        sum += (unsigned char)key[0] + (unsigned char)value[0];
    }
    volatile unsigned kept = sum;
    (void)kept;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct clv_weights *weights = NULL;
    int file = memfd_create("weights", MFD_CLOEXEC);
    if (file < 0 || write(file, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (clv_weights_open(&weights, path) == 0) {
        struct clv_model_config config;
        struct clv_params params;
        uint8_t digest[CLV_DIGEST_BYTES];
        read_all(weights);
        if (clv_config_infer(&config, weights) == 0 && clv_params_init(&params, &config) == 0) {
            if (clv_params_check(&params, weights, NULL) == 0)
                (void)clv_model_identity(digest, weights, &config);
            clv_params_release(&params);
        }
    }
    clv_weights_close(weights);
    close(file);
    return 0;
}
