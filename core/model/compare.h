/* Checks a model against an expectation file: a safetensors file of `input_*` tensors and of what
 * the model must make of them (claver.md 1, and the shapes below).
 *
 *   input_video  [B, T, 3, R, R]  ->  frame_tokens [B*T, L, W], frame_features [B, T, E],
 *                                     patch_tokens [B, T, L-1, W], video_vector [B, E]
 *   input_tokens [A, C, 77]       ->  text_features [A*C, E], not normalised
 *   both                          ->  logits [B, A, C]
 *   and input_soft_labels [B, C]  ->  loss, one number; in training also grad.NAME, the loss's
 *                                     gradient by that weight, and step.NAME, the weight after one
 *                                     step of AdamW from fresh moments
 */
#ifndef CLV_CORE_MODEL_COMPARE_H
#define CLV_CORE_MODEL_COMPARE_H

#include "core/compute/device.h"
#include "core/model/model.h"

#include <stdbool.h>

/* What became of one expected tensor. */
struct clv_compare_line {
    const char *name; /* borrowed for the call */
    bool is_compared; /* false: the model gives nothing to compare it with (grad.*, step.* …) */
    double error;     /* largest absolute difference / `largest`; NaN where either side has one */
    double largest;   /* the expected tensor's largest absolute value; 1 where all are zero */
    bool is_within;   /* error <= tolerance, so false for NaN */
};

/* Receives one line for each expected tensor, in order of the file. */
typedef void clv_compare_each(const struct clv_compare_line *line, void *payload);

struct clv_compare_result {
    int compared_count;
    int ignored_count; /* expected tensors not compared */
    double error_max;  /* NaN where any compared error is */
    bool is_within;    /* every compared tensor is within the tolerance */
};

/* Runs `model` on `device` over the inputs of the file. A difference is no failure: it is in
 * *out. CLV_ECORRUPT where the file is broken or a tensor's shape does not fit the model;
 * CLV_EINVAL where nothing in it can be compared. `each` may be NULL. */
int clv_compare_run(struct clv_compare_result *out, const struct clv_model *model,
                    struct clv_device *device, const char *expect_path, double tolerance,
                    clv_compare_each *each, void *payload);

/* The same of training: loss, grad.* and step.*. The file's metadata "lr" and "weight_decay" are
 * the step's, the rest is the trainer's usual (temporal weights at ten times lr, betas 0.9 and
 * 0.98, eps 1e-8). A step's error is what a gradient off by 2e-6 of its largest value does not
 * explain: see compare_train.c. CLV_EINVAL where inputs, labels or the metadata are missing. */
int clv_compare_train(struct clv_compare_result *out, const struct clv_model *model,
                      struct clv_device *device, const char *expect_path, double tolerance,
                      clv_compare_each *each, void *payload);

#endif
