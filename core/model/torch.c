/* What both containers share: which tensors lie in which storage, and the end of it all. */
#include "core/model/torch.h"

#include "core/error.h"

#include <stdlib.h>
#include <string.h>

static int compare_tensors(const void *left, const void *right, void *payload)
{
    const struct clv_torch_tensor *tensors = payload;
    const struct clv_pickle_text *a = tensors[*(const size_t *)left].key;
    const struct clv_pickle_text *b = tensors[*(const size_t *)right].key;
    size_t size = a->size_bytes < b->size_bytes ? a->size_bytes : b->size_bytes;
    int order = size ? memcmp(a->data, b->data, size) : 0;
    return order ? order : (a->size_bytes > b->size_bytes) - (a->size_bytes < b->size_bytes);
}

int clv_torch_group(struct clv_torch *torch)
{
    size_t count = torch->tensor_count;
    size_t *order = calloc(count + 1, sizeof *order);
    torch->storages = calloc(count + 1, sizeof *torch->storages);
    if (!order || !torch->storages) {
        free(order);
        return clv_fail_memory("the table of storages");
    }
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    if (count)
        qsort_r(order, count, sizeof *order, compare_tensors, torch->tensors);
    for (size_t i = 0; i < count; i++) {
        struct clv_torch_tensor *tensor = &torch->tensors[order[i]];
        if (i == 0 || compare_tensors(&order[i - 1], &order[i], torch->tensors) != 0)
            torch->storages[torch->storage_count++].key = tensor->key;
        tensor->storage = torch->storage_count - 1;
        torch->storages[tensor->storage].user_count++;
    }
    free(order);
    return CLV_OK;
}

void clv_torch_close(struct clv_torch *torch)
{
    if (!torch)
        return;
    clv_pickle_close(torch->pickle);
    clv_archive_close(torch->archive);
    clv_map_release(&torch->map);
    clv_pool_release(&torch->pool);
    free(torch->pickled);
    free(torch->tensors);
    free(torch->storages);
    free(torch->settings);
    free(torch->skipped);
    free(torch->cache);
    free(torch->root);
    free(torch->path);
    free(torch);
}
