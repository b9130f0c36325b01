#include "core/model/clips.h"

#include "core/error.h"
#include "core/model/augment.h"

#include <stdio.h>
#include <string.h>

int clv_clips_reader_count(const struct clv_clips *clips)
{
    return clips->reader_count > 1 ? clips->reader_count : 1;
}

int clv_clips_check(const struct clv_clips *clips)
{
    if (clips->clip_count < 1)
        return clv_fail(CLV_EINVAL, "there are no clips");
    if (clips->class_count < 0 || (clips->class_count > 0 && !clips->classes))
        return clv_fail(CLV_EINVAL, "clips of %d classes are of no class", clips->class_count);
    if (clips->class_count == 0 && !clips->sentences)
        return clv_fail(CLV_EINVAL, "clips have neither classes nor sentences");
    for (int c = 0; clips->opposites && c < clips->class_count; c++)
        if (clips->opposites[c] < -1 || clips->opposites[c] >= clips->class_count)
            return clv_fail(CLV_EINVAL, "the opposite of class %d is %d, which is not in -1..%d", c,
                            clips->opposites[c], clips->class_count - 1);
    char name[CLV_CLIP_NAME_SIZE];
    for (int i = 0; i < clips->clip_count; i++) {
        if (clips->class_count > 0 &&
            (clips->classes[i] < 0 || clips->classes[i] >= clips->class_count))
            return clv_fail(CLV_EINVAL, "%s is of class %d, which is not in 0..%d",
                            clv_clips_name(name, clips, i), clips->classes[i],
                            clips->class_count - 1);
        if (clips->sentences && clips->sentence_starts[i + 1] <= clips->sentence_starts[i])
            return clv_fail(CLV_EINVAL, "%s has no sentence", clv_clips_name(name, clips, i));
    }
    return CLV_OK;
}

const char *clv_clips_name(char out[CLV_CLIP_NAME_SIZE], const struct clv_clips *clips, int clip)
{
    const char *name = clips->name ? clips->name(clips->payload, clip) : NULL;
    if (name)
        snprintf(out, CLV_CLIP_NAME_SIZE, "%s", name);
    else
        snprintf(out, CLV_CLIP_NAME_SIZE, "clip %d", clip);
    return out;
}

bool clv_clips_is_true(const struct clv_clips *clips, int sentence, int clip)
{
    if (sentence >= clips->sentence_starts[clip] && sentence < clips->sentence_starts[clip + 1])
        return true;
    if (clips->is_true_of)
        return clips->is_true_of(clips->payload, sentence, clip);
    for (int i = clips->sentence_starts[clip]; i < clips->sentence_starts[clip + 1]; i++)
        if (strcmp(clips->sentences[i], clips->sentences[sentence]) == 0)
            return true;
    return false;
}

bool clv_clips_class_keeps_side(const struct clv_clips *clips, int32_t class_index)
{
    if (clips->keeps_side)
        return clips->keeps_side[class_index];
    return clips->class_names && clv_augment_name_has_side(clips->class_names[class_index]);
}
