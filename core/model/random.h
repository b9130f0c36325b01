/* Counter-based random numbers: a stream is a function of its key and of nothing drawn before it,
 * so that what happens to a clip does not depend on which clips came first, nor on resuming. */
#ifndef CLV_CORE_MODEL_RANDOM_H
#define CLV_CORE_MODEL_RANDOM_H

#include <stdint.h>

struct clv_random {
    uint64_t key;
    uint64_t count; /* drawn so far */
};

/* What a stream is for: streams of different purposes never coincide. */
enum clv_random_purpose {
    CLV_RANDOM_ORDER = 1, /* of an epoch's clips */
    CLV_RANDOM_FRAMES,    /* which of a clip are taken */
    CLV_RANDOM_AUGMENT,   /* a clip's crop, mirror, colours */
    CLV_RANDOM_MIX,       /* of a batch */
    CLV_RANDOM_PROMPTS,   /* of a step */
    CLV_RANDOM_SENTENCES, /* which of a clip's is used */
    CLV_RANDOM_DROP_PATH,
    CLV_RANDOM_PARAMETERS, /* at the start */
    CLV_RANDOM_LOSS,       /* of a step: classes or captions */
};

/* `a` and `b` number the stream within its purpose (epoch and clip, say). */
struct clv_random clv_random_stream(uint64_t seed, enum clv_random_purpose purpose, uint64_t a,
                                    uint64_t b);

uint64_t clv_random_bits(struct clv_random *random);
/* In [0, 1), 53 bits. */
double clv_random_uniform(struct clv_random *random);
double clv_random_between(struct clv_random *random, double low, double high);
/* Uniform in 0 … count - 1, without bias; count >= 1. */
int clv_random_below(struct clv_random *random, int count);
double clv_random_normal(struct clv_random *random);
/* Normal with mean 0 and deviation `std`, drawn again while outside of [low, high]. */
double clv_random_truncated(struct clv_random *random, double std, double low, double high);
/* Gamma(shape, 1), shape > 0: Marsaglia and Tsang, "A simple method for generating gamma
 * variables", 2000. */
double clv_random_gamma(struct clv_random *random, double shape);
/* Beta(a, b) as the share of two gammas; right for any positive a and b. */
double clv_random_beta(struct clv_random *random, double a, double b);

#endif
