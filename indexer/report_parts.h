/* Private to indexer/report*.c: what a validation found, as HTML. */
#ifndef CLV_INDEXER_REPORT_PARTS_H
#define CLV_INDEXER_REPORT_PARTS_H

#include "core/bytes.h"
#include "core/model/clips.h"
#include "core/model/validate.h"

/* The confusion matrix, where it is small enough to be looked at, and what is mistaken most. */
void clv_report_confusion(struct clv_bytes *out, const struct clv_validation *validation,
                          const char *const *class_names);
/* The worst mistakes with pictures of the clips. CLV_ENOMEM. */
int clv_report_mistakes(struct clv_bytes *out, const struct clv_validation *validation,
                        const struct clv_clips *clips);

#endif
