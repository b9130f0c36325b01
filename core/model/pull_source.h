/* Where the file of a model may be had: the addresses to try, in order. */
#ifndef CLV_CORE_MODEL_PULL_SOURCE_H
#define CLV_CORE_MODEL_PULL_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#define CLV_PULL_SOURCE_MAX 16

/* Zero-initialise. */
struct clv_pull_sources {
    char *urls[CLV_PULL_SOURCE_MAX];
    int count;
};

/* True for an address that a file's name is to be appended to. */
bool clv_pull_is_base(const char *address);
/* The file that an address ends in, without query: "model.pt" of "https://a/b/model.pt?x". Points
 * into `address`; its size in *size_out, 0 where it ends in '/'. */
const char *clv_pull_file_of(const char *address, size_t *size_out);

/* Of `file`: from the base address `from` where there is one (NULL: none), from each of `mirrors`
 * (base addresses parted by blanks; NULL: none), and from `url` (NULL: none). CLV_EINVAL for what
 * is no http or https address, naming it. */
int clv_pull_sources_list(struct clv_pull_sources *out, const char *file, const char *from,
                          const char *mirrors, const char *url);
void clv_pull_sources_release(struct clv_pull_sources *sources);

#endif
