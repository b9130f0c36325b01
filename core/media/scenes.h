/* Private: where a new shot begins. */
#ifndef CLV_CORE_MEDIA_SCENES_H
#define CLV_CORE_MEDIA_SCENES_H

#include "core/media/chain.h"

/* Zero-initialise. */
struct clv_scenes {
    struct clv_chain chain;
    AVFrame *seen;
    double score; /* percent */
    bool is_broken;
};

/* True where `frame`, next in presentation order, begins a new shot. */
bool clv_scenes_see(struct clv_scenes *scenes, AVFrame *frame, AVRational timebase);
/* Forgets what came before, as after a seek. */
void clv_scenes_reset(struct clv_scenes *scenes);
void clv_scenes_release(struct clv_scenes *scenes);

#endif
