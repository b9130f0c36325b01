/* Private to storage: reading segments and their vectors. */
#ifndef CLV_STORAGE_CATALOG_SEGMENT_H
#define CLV_STORAGE_CATALOG_SEGMENT_H

#include "storage/handle.h"

/* Ascending segment ids. */
struct clv_id_list {
    int64_t *ids;
    size_t count, capacity;
};
int clv_id_list_add(struct clv_id_list *list, int64_t id);
void clv_id_list_release(struct clv_id_list *list);

/* Calls `each` for every segment of the model with an id above `after_id`, in order of id; `half`
 * is [dim] and borrowed. Stops at and returns the first non-zero result. */
typedef int clv_vector_each(int64_t segment_id, const uint16_t *half, void *payload);
int clv_catalog_vectors(struct clv_store *store, int64_t model_id, int dim, int64_t after_id,
                        clv_vector_each *each, void *payload);

/* The vector of one segment into `half_out` [dim]; CLV_DONE where the segment does not exist. */
int clv_catalog_vector(struct clv_store *store, uint16_t *half_out, int64_t segment_id, int dim);

/* Ids of the model's segments in (after_id, to_id]. */
int clv_catalog_segment_ids(struct clv_store *store, struct clv_id_list *out, int64_t model_id,
                            int64_t after_id, int64_t to_id);

/* Whether some video is not to be searched. */
int clv_catalog_has_missing(struct clv_store *store, bool *out);
/* Ids of the model's segments that the filter lets through, without those of missing videos. */
int clv_catalog_filter(struct clv_store *store, struct clv_id_list *out, int64_t model_id,
                       const struct clv_search_filter *filter);

/* All of a hit but its score. */
int clv_catalog_hit(struct clv_store *store, struct clv_hit *out, int64_t segment_id);

#endif
