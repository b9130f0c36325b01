/* Streams are splitmix64 sequences (Steele, Lea and Flood, 2014), started where a chain of its
 * mixing function over seed, purpose and numbers leads. */
#include "core/model/random.h"

#include <math.h>

#define GOLDEN 0x9e3779b97f4a7c15u

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

struct clv_random clv_random_stream(uint64_t seed, enum clv_random_purpose purpose, uint64_t a,
                                    uint64_t b)
{
    uint64_t key = mix(seed + GOLDEN);
    key = mix((key ^ (uint64_t)purpose) + GOLDEN);
    key = mix((key ^ a) + GOLDEN);
    key = mix((key ^ b) + GOLDEN);
    return (struct clv_random){.key = key};
}

uint64_t clv_random_bits(struct clv_random *random)
{
    return mix(random->key + ++random->count * GOLDEN);
}

double clv_random_uniform(struct clv_random *random)
{
    return (double)(clv_random_bits(random) >> 11) * 0x1p-53;
}

double clv_random_between(struct clv_random *random, double low, double high)
{
    return low + (high - low) * clv_random_uniform(random);
}

int clv_random_below(struct clv_random *random, int count)
{
    const uint64_t n = (uint64_t)count;
    const uint64_t last = UINT64_MAX - UINT64_MAX % n; /* a multiple of n */
    uint64_t bits;
    do
        bits = clv_random_bits(random);
    while (bits >= last);
    return (int)(bits % n);
}

/* Box and Muller; the second of the pair is not kept, so that streams need no more state. */
double clv_random_normal(struct clv_random *random)
{
    const double radius = sqrt(-2 * log(1 - clv_random_uniform(random)));
    return radius * cos(2 * M_PI * clv_random_uniform(random));
}

double clv_random_truncated(struct clv_random *random, double std, double low, double high)
{
    double value;
    do
        value = std * clv_random_normal(random);
    while (value < low || value > high);
    return value;
}

/* The logarithm of a gamma variable: for small shapes the variable itself underflows. */
static double log_gamma(struct clv_random *random, double shape)
{
    /* Gamma(a) is Gamma(a + 1) U^(1/a). */
    double boost = 0;
    if (shape < 1) {
        boost = log(1 - clv_random_uniform(random)) / shape;
        shape += 1;
    }
    const double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        const double x = clv_random_normal(random);
        const double cube = 1 + c * x;
        if (cube <= 0)
            continue;
        const double v = cube * cube * cube;
        const double u = 1 - clv_random_uniform(random);
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v))
            return boost + log(d * v);
    }
}

double clv_random_gamma(struct clv_random *random, double shape)
{
    return exp(log_gamma(random, shape));
}

double clv_random_beta(struct clv_random *random, double a, double b)
{
    const double x = log_gamma(random, a), y = log_gamma(random, b);
    return 1 / (1 + exp(y - x));
}
