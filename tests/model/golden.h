/* The shared golden models: weights, and what a reference computes with them. */
#ifndef CLV_TESTS_MODEL_GOLDEN_H
#define CLV_TESTS_MODEL_GOLDEN_H

#include "core/model/model.h"

/* Calls `check` with each model, opened, and the path of the file of what it must compute. Without
 * the shared files the test is skipped. */
void golden_each(void (*check)(const struct clv_model *model, const char *expect));

#endif
