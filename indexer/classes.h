/* The list of classes that labels refer to, and what people wrote to describe each. */
#ifndef CLV_INDEXER_CLASSES_H
#define CLV_INDEXER_CLASSES_H

#include "core/bytes.h"

#include <stdint.h>

/* Class c is names[c], in the order of the file; `ids` are the file's own numbers, which lists of
 * the same classes do not agree on. */
struct clv_classes {
    char *path; /* what messages call the list */
    int count;
    char **names;
    int64_t *ids;
    /* Indices of classes in order of name, of id, and of the name as it is compared loosely. */
    int32_t *by_name, *by_id, *by_plain;
    char **plain;
};

/* A table with the columns id and name, or without a header two columns in this order, or one of
 * names alone. CLV_EINVAL where an id or a name stands there twice, CLV_ECORRUPT as clv_csv_open().
 * Release also after a failure. */
int clv_classes_open(struct clv_classes *out, const char *path);
/* Of names that need not differ: each once, sorted, with ids 0, 1, 2 … `path` is for messages. */
int clv_classes_of_names(struct clv_classes *out, const char *const *names, size_t count,
                         const char *path);
/* The same list once more. */
int clv_classes_copy(struct clv_classes *out, const struct clv_classes *classes);
void clv_classes_release(struct clv_classes *classes);

/* The class that `label` means: the one so called, letter by letter; else the one so called where
 * case, '_' for ' ' and repeated blanks do not count; else the one with this id. -1 where there is
 * none, CLV_ENOMEM with the message recorded. Names come first because ids differ from list to
 * list. */
int clv_classes_find(const struct clv_classes *classes, const char *label);

/* Texts of classes: text k of class c at texts[k * class_count + c]. */
struct clv_interpretations {
    char **texts;
    int text_count; /* of each class */
    int class_count;
};

/* Adds a file of interpretive prompts (claver.md 3): two columns `id;name`, the id (or name) of a
 * class and a text about it, in any order. ';' or tab between them; a comma too where texts have
 * none that is not escaped; quotes and backslash escapes are understood. As many texts are added
 * for each class as the class with most has; where one has fewer, its own come again. CLV_EINVAL
 * names line or class of what is wrong, or missing. */
int clv_interpretations_add(struct clv_interpretations *texts, const struct clv_classes *classes,
                            const char *path);
void clv_interpretations_release(struct clv_interpretations *texts);

/* All texts of all classes, as training takes them: the plain templates of core/model/prompts.h
 * filled with the names, then `texts` (may be NULL). [*prompt_count_out, C]; the caller frees with
 * clv_class_prompts_free(). */
int clv_class_prompts(char ***out, int *prompt_count_out, const struct clv_classes *classes,
                      const struct clv_interpretations *texts);
void clv_class_prompts_free(char **prompts, int prompt_count, int class_count);

#endif
