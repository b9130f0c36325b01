/* Chance that is the same on every machine: splitmix64, and everything drawn from it. */
#ifndef CLV_CLI_STAGE_RANDOM_H
#define CLV_CLI_STAGE_RANDOM_H

#include <stdint.h>

struct stage_random {
    uint64_t state;
};

/* One well-mixed number of two. */
uint64_t stage_hash(uint64_t a, uint64_t b);
struct stage_random stage_random_seed(uint64_t a, uint64_t b);
uint64_t stage_random_next(struct stage_random *random);
/* Uniform in [low, high). */
float stage_random_between(struct stage_random *random, float low, float high);
/* Uniform in 0 … count - 1. */
int stage_random_below(struct stage_random *random, int count);
/* True with the given probability. */
int stage_random_chance(struct stage_random *random, float probability);

#endif
