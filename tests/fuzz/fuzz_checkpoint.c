/* Any bytes as a checkpoint: opened or refused; what was opened can be read to its end. */
#include "core/model/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Expanded tensors may be large; these are enough. */
#define READ_BYTES_MAX ((size_t)1 << 22)

static void read_all(struct clv_checkpoint *checkpoint)
{
    size_t left = 4 * READ_BYTES_MAX;
    for (size_t i = 0; i < clv_checkpoint_count(checkpoint); i++) {
        const struct clv_weight_entry *entry = clv_checkpoint_at(checkpoint, i);
        if (clv_checkpoint_find(checkpoint, entry->name) != i)
            abort();
        if (entry->size_bytes > READ_BYTES_MAX || entry->size_bytes > left)
            continue;
        left -= entry->size_bytes;
        unsigned char *out = malloc(entry->size_bytes ? entry->size_bytes : 1);
        if (out)
            (void)clv_checkpoint_read(checkpoint, i, out);
        free(out);
    }
    for (size_t i = 0; i < clv_checkpoint_skipped_count(checkpoint); i++) {
        const char *reason = NULL;
        if (!clv_checkpoint_skipped_at(checkpoint, i, &reason) || !reason)
            abort();
    }
    const char *setting = clv_checkpoint_setting(checkpoint, "epoch");
    volatile size_t kept = setting ? strlen(setting) : 0;
    (void)kept;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct clv_checkpoint *checkpoint = NULL;
    int file = memfd_create("checkpoint", MFD_CLOEXEC);
    if (file < 0 || write(file, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (clv_checkpoint_open(&checkpoint, path) == 0)
        read_all(checkpoint);
    clv_checkpoint_close(checkpoint);
    close(file);
    return 0;
}
