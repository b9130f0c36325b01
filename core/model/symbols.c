/* An open-addressed string table, and the printable stand-ins byte-pair files write bytes with. */
#include "core/model/symbols.h"

#include "core/error.h"
#include "core/unicode.h"

#include <stdlib.h>
#include <string.h>

#define HASH_START 2166136261u /* FNV-1a */

static uint32_t hash_more(uint32_t hash, const char *text, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    return hash;
}

/* GPT-2's bytes_to_unicode(): printable Latin-1 stands for itself and comes first, in order; the
 * other bytes follow and are written as U+0100 and up. */
static void make_byte_texts(struct clv_symbols *symbols)
{
    int count = 0, moved = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int byte = 0; byte < 256; byte++) {
            int printable = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) ||
                            (byte >= 0xae && byte <= 0xff);
            if (printable == pass)
                continue;
            uint32_t code_point = printable ? (uint32_t)byte : (uint32_t)(256 + moved++);
            char *text = symbols->byte_texts[count];
            char *last = symbols->byte_texts[256 + count];
            size_t size = clv_unicode_encode(text, code_point);
            memcpy(last, text, size);
            memcpy(last + size, "</w>", sizeof "</w>");
            symbols->byte_order[count++] = (uint8_t)byte;
        }
}

int clv_symbols_init(struct clv_symbols *symbols, int capacity)
{
    memset(symbols, 0, sizeof *symbols);
    size_t slots = 64;
    while (slots < 2 * (size_t)capacity)
        slots *= 2;
    symbols->entries = calloc((size_t)capacity, sizeof *symbols->entries);
    symbols->slots = calloc(slots, sizeof *symbols->slots);
    if (!symbols->entries || !symbols->slots) {
        clv_symbols_release(symbols);
        return clv_fail_memory("a vocabulary");
    }
    symbols->slot_mask = slots - 1;
    symbols->capacity = capacity;
    make_byte_texts(symbols);
    return CLV_OK;
}

void clv_symbols_release(struct clv_symbols *symbols)
{
    free(symbols->entries);
    free(symbols->slots);
    symbols->entries = NULL;
    symbols->slots = NULL;
}

void clv_symbols_put(struct clv_symbols *symbols, int32_t id, const char *text, size_t size_bytes)
{
    uint32_t hash = hash_more(HASH_START, text, size_bytes);
    size_t slot = hash & symbols->slot_mask;
    while (symbols->slots[slot])
        slot = (slot + 1) & symbols->slot_mask;
    symbols->slots[slot] = id + 1;
    symbols->entries[id] = (struct clv_symbol){text, (uint32_t)size_bytes, hash};
}

int32_t clv_symbols_find(const struct clv_symbols *symbols, const char *left, size_t left_bytes,
                         const char *right, size_t right_bytes)
{
    uint32_t hash = hash_more(hash_more(HASH_START, left, left_bytes), right, right_bytes);
    for (size_t slot = hash & symbols->slot_mask; symbols->slots[slot];
         slot = (slot + 1) & symbols->slot_mask) {
        int32_t id = symbols->slots[slot] - 1;
        const struct clv_symbol *symbol = &symbols->entries[id];
        if (symbol->hash == hash && symbol->size_bytes == left_bytes + right_bytes &&
            memcmp(symbol->text, left, left_bytes) == 0 &&
            (right_bytes == 0 || memcmp(symbol->text + left_bytes, right, right_bytes) == 0))
            return id;
    }
    return -1;
}
