/* Findings are kept with the number of their block cut out of the name, so that those which differ
 * in nothing else stand together. */
#include "core/model/findings.h"

#include "core/bytes.h"
#include "core/error.h"
#include "core/model/problems.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FINDING_MAX 20000 /* a hostile file must not make grouping slow */
#define BLOCK_MAX 4096
#define NO_BLOCK (-1)

struct clv_finding {
    char *name; /* the block's number cut out */
    char *what;
    size_t number_at; /* where in `name` the number was */
    int block;
    bool is_told;
};

void clv_findings_release(struct clv_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        free(findings->items[i].name);
        free(findings->items[i].what);
    }
    free(findings->items);
    *findings = (struct clv_findings){0};
}

/* Where the number after "resblocks." or "layers." stands in `name`; 0 where there is none. */
static size_t find_block(const char *name, size_t *size_out)
{
    static const char *const words[] = {"resblocks.", "layers."};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const char *at = strstr(name, words[i]);
        if (!at)
            continue;
        at += strlen(words[i]);
        *size_out = strspn(at, "0123456789");
        if (*size_out > 0 && *size_out < 5 && at[*size_out] == '.')
            return (size_t)(at - name);
    }
    return 0;
}

static bool grow(struct clv_findings *findings)
{
    if (findings->count < findings->capacity)
        return true;
    size_t capacity = findings->capacity ? 2 * findings->capacity : 64;
    struct clv_finding *items = realloc(findings->items, capacity * sizeof *items);
    if (!items) {
        findings->status = clv_fail_memory("what is wrong with a checkpoint");
        return false;
    }
    findings->items = items;
    findings->capacity = capacity;
    return true;
}

void clv_findings_add(struct clv_findings *findings, const char *name, const char *what)
{
    if (findings->status != CLV_OK || findings->count == FINDING_MAX || !grow(findings))
        return;
    size_t digits = 0;
    struct clv_finding *one = &findings->items[findings->count];
    *one = (struct clv_finding){.block = NO_BLOCK};
    one->number_at = find_block(name, &digits);
    one->name = strdup(name);
    one->what = strdup(what);
    if (!one->name || !one->what) {
        free(one->name);
        free(one->what);
        findings->status = clv_fail_memory("what is wrong with a checkpoint");
        return;
    }
    if (one->number_at) {
        char *number = one->name + one->number_at;
        one->block = (int)strtol(number, NULL, 10);
        memmove(number, number + digits, strlen(number + digits) + 1);
    }
    findings->count++;
}

static bool is_same(const struct clv_finding *a, const struct clv_finding *b)
{
    return (a->block == NO_BLOCK) == (b->block == NO_BLOCK) && a->number_at == b->number_at &&
           strcmp(a->what, b->what) == 0 && strcmp(a->name, b->name) == 0;
}

/* "{0-3,7}" of the blocks marked, or the number alone. */
static void add_blocks(struct clv_bytes *out, const bool *blocks, int block_count)
{
    int count = 0;
    for (int i = 0; i < block_count; i++)
        count += blocks[i];
    clv_bytes_text(out, count > 1 ? "{" : "");
    const char *separator = "";
    for (int i = 0; i < block_count; i++) {
        int last = i;
        if (!blocks[i])
            continue;
        while (last + 1 < block_count && blocks[last + 1])
            last++;
        if (last > i)
            clv_bytes_format(out, "%s%d-%d", separator, i, last);
        else
            clv_bytes_format(out, "%s%d", separator, i);
        separator = ",";
        i = last;
    }
    clv_bytes_text(out, count > 1 ? "}" : "");
}

/* Adds finding `first` and all later ones like it to `problems`. */
static int tell(struct clv_problems *problems, const struct clv_findings *findings, size_t first,
                bool *blocks)
{
    struct clv_finding *one = &findings->items[first];
    struct clv_bytes name = {0};
    if (one->block != NO_BLOCK) {
        memset(blocks, 0, BLOCK_MAX * sizeof *blocks);
        for (size_t i = first; i < findings->count; i++) {
            struct clv_finding *other = &findings->items[i];
            if (!other->is_told && other->block < BLOCK_MAX && is_same(one, other)) {
                blocks[other->block] = true;
                other->is_told = true;
            }
        }
        clv_bytes_add(&name, one->name, one->number_at);
        if (one->block < BLOCK_MAX)
            add_blocks(&name, blocks, BLOCK_MAX);
        else
            clv_bytes_format(&name, "%d", one->block);
        clv_bytes_text(&name, one->name + one->number_at);
    } else
        clv_bytes_text(&name, one->name);
    one->is_told = true;
    if (name.status == CLV_OK)
        clv_problems_add(problems, "tensor '%.250s' %s", name.data, one->what);
    int status = name.status;
    clv_bytes_release(&name);
    return status;
}

int clv_findings_fail(const struct clv_findings *findings, int status, const char *path,
                      const char *hint)
{
    struct clv_problems problems = {0};
    if (findings->status != CLV_OK)
        return findings->status;
    bool *blocks = malloc(BLOCK_MAX * sizeof *blocks);
    if (!blocks)
        return clv_fail_memory("what is wrong with a checkpoint");
    int told = CLV_OK;
    for (size_t i = 0; i < findings->count && told == CLV_OK; i++)
        findings->items[i].is_told = false;
    for (size_t i = 0; i < findings->count && told == CLV_OK; i++)
        if (!findings->items[i].is_told && !problems.hidden_count)
            told = tell(&problems, findings, i, blocks);
        else if (!findings->items[i].is_told)
            problems.hidden_count++;
    free(blocks);
    if (told != CLV_OK)
        return told;
    int failed = clv_problems_fail(&problems, status, path);
    if (failed == CLV_OK || !hint)
        return failed;
    return clv_fail(failed, "%.7600s; %.400s", clv_error_message(), hint);
}
