#include "indexer/track.h"

#include "core/arena.h"
#include "core/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void clv_track_init(struct clv_track *track, int dim)
{
    *track = (struct clv_track){.dim = dim};
}

void clv_track_release(struct clv_track *track)
{
    free(track->segments);
    free(track->vectors);
    *track = (struct clv_track){0};
}

void clv_track_clear(struct clv_track *track)
{
    track->count = track->awaited_count = 0;
}

static int grow(struct clv_track *track)
{
    size_t capacity = track->capacity ? track->capacity * 2 : 16;
    size_t floats = 0, bytes = 0;
    if (!clv_size_multiply(&floats, capacity, (size_t)track->dim) ||
        !clv_size_multiply(&bytes, floats, sizeof(float)))
        return clv_fail_memory("a video's segments");
    struct clv_segment *segments = realloc(track->segments, capacity * sizeof(struct clv_segment));
    if (segments)
        track->segments = segments;
    float *vectors = segments ? realloc(track->vectors, bytes) : NULL;
    if (!vectors)
        return clv_fail_memory("a video's segments");
    track->vectors = vectors;
    track->capacity = capacity;
    return CLV_OK;
}

static int append(struct clv_track *track, const struct clv_segment *segment)
{
    int status = track->count == track->capacity ? grow(track) : CLV_OK;
    if (status == CLV_OK)
        track->segments[track->count++] = *segment;
    return status;
}

int clv_track_add(struct clv_track *track, size_t *index_out, const struct clv_segment *segment)
{
    int status = append(track, segment);
    if (status != CLV_OK)
        return status;
    *index_out = track->count - 1;
    track->awaited_count++;
    return CLV_OK;
}

int clv_track_copy(struct clv_track *track, const struct clv_segment *segment, const float *vector)
{
    int status = append(track, segment);
    if (status == CLV_OK)
        memcpy(track->vectors + (track->count - 1) * (size_t)track->dim, vector,
               (size_t)track->dim * sizeof *vector);
    return status;
}

size_t clv_track_bytes(const struct clv_track *track)
{
    return track->count * (sizeof *track->segments + (size_t)track->dim * sizeof(float));
}

int clv_track_set(struct clv_track *track, size_t index, const float *mean)
{
    float *vector = track->vectors + index * (size_t)track->dim;
    double square = 0;
    for (int i = 0; i < track->dim; i++)
        square += (double)mean[i] * mean[i];
    double norm = sqrt(square);
    if (!(norm > 1e-6 && norm < 1e6))
        return clv_fail(CLV_ECORRUPT, "the model gives a vector of norm %g, which has no direction",
                        norm);
    for (int i = 0; i < track->dim; i++)
        vector[i] = (float)(mean[i] / norm);
    track->segments[index].norm = (float)norm;
    track->awaited_count--;
    return CLV_OK;
}

void clv_track_settle(struct clv_track *track)
{
    for (size_t i = 0; i < track->count; i++)
        track->segments[i].vector = track->vectors + i * (size_t)track->dim;
}
