/* The symbols of a vocabulary while it is being read: text to id, by hash. Private to the
 * tokenizer. */
#ifndef CLV_CORE_MODEL_SYMBOLS_H
#define CLV_CORE_MODEL_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

/* Text that belongs to someone else and outlives the table. */
struct clv_symbol {
    const char *text; /* NULL: the id is free */
    uint32_t size_bytes;
    uint32_t hash;
};

struct clv_symbols {
    struct clv_symbol *entries; /* by id */
    int32_t *slots;             /* id + 1; 0 marks an empty slot */
    size_t slot_mask;
    int capacity;
    char byte_texts[512][8]; /* of the 256 bytes, then of the 256 bytes that end a word */
    uint8_t byte_order[256]; /* the byte whose symbol is the nth */
};

/* Room for ids 0 … capacity - 1. Pair with clv_symbols_release(). */
int clv_symbols_init(struct clv_symbols *symbols, int capacity);
void clv_symbols_release(struct clv_symbols *symbols);

/* `id` must be free and the text not in the table yet. */
void clv_symbols_put(struct clv_symbols *symbols, int32_t id, const char *text, size_t size_bytes);
/* The id of `left` followed by `right` (which may be empty); -1 where there is none. */
int32_t clv_symbols_find(const struct clv_symbols *symbols, const char *left, size_t left_bytes,
                         const char *right, size_t right_bytes);

#endif
