/* The vector index and its cache file. */
#include "storage/vindex.h"

#include "core/error.h"
#include "storage/faiss.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRAINING_PER_LIST 40
#define PROBE_MIN 16
#define PROBE_SHARE 32 /* of so many lists, one is probed */

static const char magic[8] = "CLVVEC01";

struct clv_vindex {
    FaissIndex *faiss;
    FaissIndex *ivf; /* the same, or NULL where it is flat */
    int dim;
    int64_t list_count; /* 0: flat */
    int64_t count, capacity, live_count;
    int64_t trained_count;
    int64_t *ids;
    uint8_t *live;
    char kind[64];
};

struct header {
    char magic[8];
    uint32_t dim;
    uint32_t reserved;
    int64_t count;
    int64_t trained_count;
};

static int fail_faiss(const char *doing)
{
    const char *text = faiss_get_last_error();
    return clv_fail(CLV_ERR, "cannot %s a vector index: %s", doing, text ? text : "unknown");
}

static void name_kind(struct clv_vindex *index)
{
    index->ivf = faiss_IndexIVF_cast(index->faiss);
    index->list_count = index->ivf ? (int64_t)faiss_IndexIVF_nlist(index->ivf) : 0;
    if (index->ivf)
        snprintf(index->kind, sizeof index->kind, "ivf%lld,sq8", (long long)index->list_count);
    else
        snprintf(index->kind, sizeof index->kind, "flat");
}

int clv_vindex_create(struct clv_vindex **out, int dim, int64_t count, int64_t flat_max)
{
    *out = NULL;
    struct clv_vindex *index = calloc(1, sizeof *index);
    if (!index)
        return clv_fail_memory("a vector index");
    index->dim = dim;
    index->trained_count = count;
    char description[64] = "Flat";
    if (count > flat_max) {
        int64_t lists = (int64_t)(2 * sqrt((double)count));
        if (lists > count / TRAINING_PER_LIST)
            lists = count / TRAINING_PER_LIST;
        snprintf(description, sizeof description, "IVF%lld,SQ8",
                 (long long)(lists > 1 ? lists : 1));
    }
    if (faiss_index_factory(&index->faiss, dim, description, METRIC_INNER_PRODUCT) != 0) {
        free(index);
        return fail_faiss("make");
    }
    name_kind(index);
    *out = index;
    return CLV_OK;
}

void clv_vindex_free(struct clv_vindex *index)
{
    if (!index)
        return;
    if (index->faiss)
        faiss_Index_free(index->faiss);
    free(index->ids);
    free(index->live);
    free(index);
}

int64_t clv_vindex_training_size(const struct clv_vindex *index)
{
    return index->list_count * TRAINING_PER_LIST;
}

int clv_vindex_train(struct clv_vindex *index, const float *vectors, int64_t count)
{
    return faiss_Index_train(index->faiss, count, vectors) != 0 ? fail_faiss("train") : CLV_OK;
}

static int reserve(struct clv_vindex *index, int64_t count)
{
    if (count <= index->capacity)
        return CLV_OK;
    int64_t capacity = index->capacity > 0 ? index->capacity : 1024;
    while (capacity < count)
        capacity *= 2;
    size_t live_bytes = (size_t)(capacity + 7) / 8, old_bytes = (size_t)(index->capacity + 7) / 8;
    int64_t *ids = realloc(index->ids, (size_t)capacity * sizeof *ids);
    if (ids)
        index->ids = ids;
    uint8_t *live = ids ? realloc(index->live, live_bytes) : NULL;
    if (!live)
        return clv_fail_memory("a vector index");
    memset(live + old_bytes, 0, live_bytes - old_bytes);
    index->live = live;
    index->capacity = capacity;
    return CLV_OK;
}

int clv_vindex_add(struct clv_vindex *index, const int64_t *segment_ids, const float *vectors,
                   int64_t count)
{
    int64_t last = clv_vindex_last_id(index);
    for (int64_t i = 0; i < count; last = segment_ids[i++])
        if (segment_ids[i] <= last)
            return clv_fail(CLV_EINVAL, "segment %lld comes after %lld in a vector index",
                            (long long)segment_ids[i], (long long)last);
    int status = reserve(index, index->count + count);
    if (status != CLV_OK)
        return status;
    if (faiss_Index_add(index->faiss, count, vectors) != 0)
        return fail_faiss("add to");
    for (int64_t i = 0; i < count; i++) {
        index->ids[index->count] = segment_ids[i];
        clv_vindex_set_live(index, index->count++, true);
    }
    return CLV_OK;
}

int64_t clv_vindex_count(const struct clv_vindex *index)
{
    return index->count;
}

const int64_t *clv_vindex_ids(const struct clv_vindex *index)
{
    return index->ids;
}

const uint8_t *clv_vindex_live(const struct clv_vindex *index)
{
    return index->live;
}

int64_t clv_vindex_live_count(const struct clv_vindex *index)
{
    return index->live_count;
}

void clv_vindex_set_live(struct clv_vindex *index, int64_t position, bool live)
{
    uint8_t bit = (uint8_t)(1u << (position % 8)), *byte = &index->live[position / 8];
    index->live_count += (int)live - ((*byte & bit) != 0);
    *byte = (uint8_t)(live ? *byte | bit : *byte & ~bit);
}

int64_t clv_vindex_last_id(const struct clv_vindex *index)
{
    return index->count > 0 ? index->ids[index->count - 1] : 0;
}

int64_t clv_vindex_trained_count(const struct clv_vindex *index)
{
    return index->trained_count;
}

bool clv_vindex_is_flat(const struct clv_vindex *index)
{
    return index->list_count == 0;
}

const char *clv_vindex_kind(const struct clv_vindex *index)
{
    return index->kind;
}

/* ---- the cache file ---- */

/* The digest of all of an open file, read from its start. */
static int digest_of(int descriptor, uint8_t out[CLV_DIGEST_BYTES], const char *path)
{
    enum { CHUNK_BYTES = 1 << 20 };
    unsigned char *chunk = malloc(CHUNK_BYTES);
    if (!chunk)
        return clv_fail_memory("reading a vector index");
    struct clv_digest digest;
    clv_digest_init(&digest);
    off_t at = 0;
    ssize_t got;
    while ((got = pread(descriptor, chunk, CHUNK_BYTES, at)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        clv_digest_add(&digest, chunk, (size_t)got);
        at += got;
    }
    free(chunk);
    if (got < 0)
        return clv_fail_errno("cannot read '%s'", path);
    clv_digest_finish(&digest, out);
    return CLV_OK;
}

int clv_vindex_save(const struct clv_vindex *index, struct clv_replace *replace,
                    uint8_t digest_out[CLV_DIGEST_BYTES], int64_t *size_out)
{
    struct header header = {
        .dim = (uint32_t)index->dim,
        .count = index->count,
        .trained_count = index->trained_count,
    };
    memcpy(header.magic, magic, sizeof magic);
    int status = clv_replace_write(replace, &header, sizeof header);
    if (status == CLV_OK)
        status = clv_replace_write(replace, index->ids, (size_t)index->count * sizeof *index->ids);
    if (status == CLV_OK)
        status = clv_replace_write(replace, index->live, (size_t)(index->count + 7) / 8);
    if (status != CLV_OK)
        return status;
    int copy = dup(replace->descriptor);
    FILE *file = copy >= 0 ? fdopen(copy, "r+b") : NULL;
    if (!file) {
        if (copy >= 0)
            close(copy);
        return clv_fail_errno("cannot write '%s'", replace->path);
    }
    errno = 0;
    if (fseeko(file, 0, SEEK_END) != 0 || faiss_write_index(index->faiss, file) != 0)
        status = errno ? clv_fail_errno("cannot write '%s'", replace->path) : fail_faiss("write");
    if (fclose(file) != 0 && status == CLV_OK)
        status = clv_fail_errno("cannot write '%s'", replace->path);
    if (status == CLV_OK && fsync(replace->descriptor) != 0)
        status = clv_fail_errno("cannot write '%s'", replace->path);
    struct stat facts;
    if (status == CLV_OK && fstat(replace->descriptor, &facts) != 0)
        status = clv_fail_errno("cannot read '%s'", replace->path);
    if (status == CLV_OK)
        *size_out = facts.st_size;
    return status == CLV_OK ? digest_of(replace->descriptor, digest_out, replace->path) : status;
}

/* Reads what save wrote, from a file whose digest is known to be right. */
static int read_file(struct clv_vindex *index, FILE *file, const char *path)
{
    struct header header;
    if (fread(&header, sizeof header, 1, file) != 1 ||
        memcmp(header.magic, magic, sizeof magic) != 0 || header.dim != (uint32_t)index->dim ||
        header.count < 0 || header.count > INT64_MAX / 16)
        return clv_fail(CLV_ECORRUPT, "'%s' is not a vector index of %d dimensions", path,
                        index->dim);
    struct stat facts;
    if (fstat(fileno(file), &facts) != 0)
        return clv_fail_errno("cannot read '%s'", path);
    if (header.count > facts.st_size / (int64_t)sizeof(int64_t))
        return clv_fail(CLV_ECORRUPT, "'%s' cannot hold %lld segments in %lld bytes", path,
                        (long long)header.count, (long long)facts.st_size);
    int status = reserve(index, header.count);
    if (status != CLV_OK)
        return status;
    size_t count = (size_t)header.count, live_bytes = (count + 7) / 8;
    if (fread(index->ids, sizeof *index->ids, count, file) != count ||
        fread(index->live, 1, live_bytes, file) != live_bytes)
        return clv_fail(CLV_ECORRUPT, "'%s' is cut short", path);
    index->count = header.count;
    index->trained_count = header.trained_count;
    for (int64_t i = 0, last = 0; i < index->count; last = index->ids[i++]) {
        if (index->ids[i] <= last)
            return clv_fail(CLV_ECORRUPT, "'%s' holds segments out of order", path);
        index->live_count += index->live[i / 8] >> (i % 8) & 1;
    }
    if (faiss_read_index(file, 0, &index->faiss) != 0)
        return clv_fail(CLV_ECORRUPT, "'%s' cannot be read: %s", path, faiss_get_last_error());
    if (faiss_Index_d(index->faiss) != index->dim ||
        faiss_Index_ntotal(index->faiss) != index->count)
        return clv_fail(CLV_ECORRUPT, "'%s' holds %lld vectors for %lld segments", path,
                        (long long)faiss_Index_ntotal(index->faiss), (long long)index->count);
    name_kind(index);
    return CLV_OK;
}

int clv_vindex_load(struct clv_vindex **out, const char *path, int dim,
                    const uint8_t digest[CLV_DIGEST_BYTES])
{
    *out = NULL;
    uint8_t found[CLV_DIGEST_BYTES];
    /* One open file for both passes: what is parsed is what was checked, whatever is renamed. */
    FILE *file = fopen(path, "rbe");
    if (!file)
        return clv_fail_errno("cannot open '%s'", path);
    struct clv_vindex *index = calloc(1, sizeof *index);
    if (!index) {
        fclose(file);
        return clv_fail_memory("a vector index");
    }
    index->dim = dim;
    int status = digest_of(fileno(file), found, path);
    if (status == CLV_OK && memcmp(found, digest, CLV_DIGEST_BYTES) != 0)
        status = clv_fail(CLV_ECORRUPT, "'%s' is not the file that the catalog describes", path);
    if (status == CLV_OK)
        status = read_file(index, file, path);
    fclose(file);
    if (status != CLV_OK) {
        clv_vindex_free(index);
        return status;
    }
    *out = index;
    return CLV_OK;
}

/* ---- searching ---- */

static int64_t probes_of(const struct clv_vindex *index, int64_t match_max, double share,
                         double effort)
{
    double lists = (double)index->list_count, count = (double)(index->count > 0 ? index->count : 1);
    double probes = fmax(PROBE_MIN, lists / PROBE_SHARE);
    /* Lists enough to hold several times what is wanted. */
    probes = fmax(probes, 4 * (double)match_max * lists / count);
    probes = ceil(effort * probes / fmax(share, 1e-9));
    return probes < lists ? (int64_t)probes : index->list_count;
}

/* Parameters for a search; NULL in *out where none are needed. */
static int make_parameters(FaissSearchParameters **out, const struct clv_vindex *index,
                           FaissIDSelectorBitmap *selector, int64_t probes)
{
    *out = NULL;
    int code = 0;
    if (index->ivf)
        code =
            faiss_SearchParametersIVF_new_with(out, (FaissIDSelector *)selector, (size_t)probes, 0);
    else if (selector)
        code = faiss_SearchParameters_new(out, (FaissIDSelector *)selector);
    return code != 0 ? fail_faiss("search") : CLV_OK;
}

static int search_faiss(const struct clv_vindex *index, float *scores, idx_t *labels,
                        const float *vector, int64_t match_max, const uint8_t *bitmap,
                        int64_t probes)
{
    FaissIDSelectorBitmap *selector = NULL;
    FaissSearchParameters *parameters = NULL;
    int status = CLV_OK;
    if (bitmap &&
        faiss_IDSelectorBitmap_new(&selector, (size_t)(index->count + 7) / 8, bitmap) != 0)
        status = fail_faiss("search");
    if (status == CLV_OK)
        status = make_parameters(&parameters, index, selector, probes);
    if (status == CLV_OK && faiss_Index_search_with_params(index->faiss, 1, vector, match_max,
                                                           parameters, scores, labels) != 0)
        status = fail_faiss("search");
    if (parameters && index->ivf)
        faiss_SearchParametersIVF_free(parameters);
    else if (parameters)
        faiss_SearchParameters_free(parameters);
    if (selector)
        faiss_IDSelectorBitmap_free(selector);
    return status;
}

int clv_vindex_search(const struct clv_vindex *index, struct clv_vindex_match *matches_out,
                      int64_t *match_count_out, const float *vector, int64_t match_max,
                      const uint8_t *bitmap, double share, double effort, bool *is_exhaustive_out)
{
    int64_t probes = probes_of(index, match_max, share, effort);
    *match_count_out = 0;
    *is_exhaustive_out = !index->ivf || probes >= index->list_count;
    if (match_max > index->count)
        match_max = index->count;
    if (match_max <= 0)
        return CLV_OK;
    float *scores = malloc((size_t)match_max * sizeof *scores);
    idx_t *labels = malloc((size_t)match_max * sizeof *labels);
    int status = CLV_ENOMEM;
    if (!scores || !labels)
        clv_fail_memory("a search");
    else
        status = search_faiss(index, scores, labels, vector, match_max, bitmap, probes);
    /* Fewer than asked for are padded with -1. */
    for (int64_t i = 0; status == CLV_OK && i < match_max; i++)
        if (labels[i] >= 0 && labels[i] < index->count)
            matches_out[(*match_count_out)++] =
                (struct clv_vindex_match){index->ids[labels[i]], scores[i]};
    free(scores);
    free(labels);
    return status;
}

int clv_vindex_reconstruct(const struct clv_vindex *index, float *out, int64_t first, int64_t count)
{
    return faiss_Index_reconstruct_n(index->faiss, first, count, out) != 0 ? fail_faiss("read")
                                                                           : CLV_OK;
}

const char *clv_vindex_version(void)
{
    return faiss_get_version();
}

int clv_vindex_encode(const struct clv_vindex *index, float *out, const float *vector)
{
    size_t size = 0;
    uint8_t *code = NULL;
    if (faiss_Index_sa_code_size(index->faiss, &size) != 0)
        return fail_faiss("encode for");
    code = malloc(size);
    if (!code)
        return clv_fail_memory("a code");
    int status = CLV_OK;
    if (faiss_Index_sa_encode(index->faiss, 1, vector, code) != 0 ||
        faiss_Index_sa_decode(index->faiss, 1, code, out) != 0)
        status = fail_faiss("encode for");
    free(code);
    return status;
}
