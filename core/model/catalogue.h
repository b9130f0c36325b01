/* The models that can be pulled by name: a compiled-in list, which a user's own list may extend. */
#ifndef CLV_CORE_MODEL_CATALOGUE_H
#define CLV_CORE_MODEL_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clv_catalogue_entry {
    const char *name;        /* "clip-b32" */
    const char *description; /* "OpenAI CLIP ViT-B/32" */
    const char *url;
    const char *file;       /* its name on a mirror: "ViT-B-32.pt" */
    const char *sha256;     /* hexadecimal, lower case */
    int64_t size_bytes;     /* 0: not known */
    const char *licence;    /* "" where not known, as `source` and `description` */
    const char *source;     /* a page for people */
    const char *vocabulary; /* the name of the catalogue's entry for its vocabulary; NULL: inside */
    bool is_vocabulary;     /* no model, but what models need */
};

struct clv_catalogue;

/* The compiled-in list, and after it the entries of the JSON file `path` (NULL: none), which
 * replace those of the same name: an array of objects, or one object a line, with the keys of the
 * structure above (as `model list --json` prints them; "type" is "model" or "vocabulary"; name,
 * url and sha256 must be there). CLV_ECORRUPT names the file, the entry and what is wrong. */
int clv_catalogue_open(struct clv_catalogue **out, const char *path);
void clv_catalogue_close(struct clv_catalogue *catalogue);
size_t clv_catalogue_count(const struct clv_catalogue *catalogue);
const struct clv_catalogue_entry *clv_catalogue_at(const struct clv_catalogue *catalogue,
                                                   size_t index);
/* NULL where there is none. */
const struct clv_catalogue_entry *clv_catalogue_find(const struct clv_catalogue *catalogue,
                                                     const char *name);

/* The name of CLIP's own vocabulary in the compiled-in list. */
#define CLV_CATALOGUE_CLIP_VOCABULARY "clip-vocabulary"

/* The "type" of what `model list --json` prints of the model that is compiled in. Such objects of a
 * list are skipped. */
#define CLV_CATALOGUE_BUILT_IN "built-in"

/* True where `name` may be an entry's: letters, digits, '.', '_' and '-', beginning with a letter
 * or a digit, 64 at most; and the built-in model is not called so. */
#define CLV_CATALOGUE_NAME_MAX 64
bool clv_catalogue_is_name(const char *name);
/* The same of a file on a mirror, 200 at most. */
bool clv_catalogue_is_file(const char *file);

#endif
