/* Threads that read clips of one source at once, each as a reader of its own and with memory of its
 * own. Private to core/model. */
#ifndef CLV_CORE_MODEL_CREW_H
#define CLV_CORE_MODEL_CREW_H

#include "core/image.h"
#include "core/model/augment.h"

struct clv_crew_member {
    struct clv_augment *augment;
    struct clv_image *images; /* [T] */
};

struct clv_crew;

int clv_crew_create(struct clv_crew **out, int member_count, const struct clv_model_config *config,
                    const struct clv_augment_options *augment);
void clv_crew_free(struct clv_crew *crew);

/* What is done for one place, by the member who is reader `reader` of the source. A failure that is
 * returned ends the run. */
typedef int clv_crew_work(void *payload, int place, int reader,
                          const struct clv_crew_member *member);

/* Does the work of places 0 … place_count - 1, each once, by whoever is free. The status and
 * message of what ended it. */
int clv_crew_run(struct clv_crew *crew, int place_count, clv_crew_work *work, void *payload);

#endif
