/* Private to indexer/labels*.c. */
#ifndef CLV_INDEXER_LABELS_PARTS_H
#define CLV_INDEXER_LABELS_PARTS_H

#include "indexer/labels.h"

struct clv_csv;

/* Names that the column of the footage goes by; NULL at the end. */
extern const char *const clv_labels_path_names[];

/* The absolute directory of the file `list_path`, so that two lists that name a clip alike agree
 * on it however they were named themselves; the caller frees. */
int clv_labels_directory(char **out, const char *list_path);
/* `name` from `directory` on; the caller frees. NULL when out of memory. */
char *clv_labels_resolve(const char *directory, const char *name);

/* Gives every row its sentences. */
int clv_labels_add_captions(struct clv_labels *labels, const char *path);

#endif
