/* Lists of classes that belong together two by two: an action and its reversal. */
#ifndef CLV_INDEXER_CLASS_PAIRS_H
#define CLV_INDEXER_CLASS_PAIRS_H

#include "indexer/classes.h"

#include <stdint.h>

struct clv_class_pairs {
    int32_t (*pairs)[2];
    int count;
};

/* A table of two columns, each cell a class by name or id, each line a pair; a first line that
 * names no class is a header. CLV_EINVAL names line and cell that is no class, a class paired with
 * itself, or a pair named twice. Release also after a failure. */
int clv_class_pairs_open(struct clv_class_pairs *out, const struct clv_classes *classes,
                         const char *path);
void clv_class_pairs_release(struct clv_class_pairs *pairs);

#endif
