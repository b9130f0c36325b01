/* What is true of each piece of footage, from a table or JSON lines. Private to the indexer. */
#ifndef CLV_INDEXER_FACTS_H
#define CLV_INDEXER_FACTS_H

#include <stddef.h>

struct clv_facts_row {
    char *path;    /* absolute, or as it stands in a list whose directory is not known */
    char **values; /* [column_count]; NULL: not said */
};

struct clv_facts {
    struct clv_facts_row *rows; /* in order of path */
    size_t count, capacity;
    int column_count;
};

/* Reads the columns (of JSON lines: the members) called `columns`, and the path of each row, which
 * is as in lists of labels. CLV_EINVAL names line or column of what is wrong or missing. Release
 * also after a failure. */
int clv_facts_open(struct clv_facts *out, const char *path, const char *const *columns,
                   int column_count);
void clv_facts_release(struct clv_facts *facts);

/* Of the file `path`; NULL where nothing is said. */
const struct clv_facts_row *clv_facts_find(const struct clv_facts *facts, const char *path);

#endif
