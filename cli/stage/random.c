/* splitmix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014. */
#include "cli/stage/random.h"

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t stage_hash(uint64_t a, uint64_t b)
{
    return mix(mix(a + 0x9e3779b97f4a7c15u) ^ (b * 0xd6e8feb86659fd93u + 0x2545f4914f6cdd1du));
}

struct stage_random stage_random_seed(uint64_t a, uint64_t b)
{
    return (struct stage_random){stage_hash(a, b)};
}

uint64_t stage_random_next(struct stage_random *random)
{
    random->state += 0x9e3779b97f4a7c15u;
    return mix(random->state);
}

float stage_random_between(struct stage_random *random, float low, float high)
{
    return low + (high - low) * ((float)(stage_random_next(random) >> 40) * 0x1p-24f);
}

int stage_random_below(struct stage_random *random, int count)
{
    return (int)((stage_random_next(random) >> 33) % (uint64_t)count);
}

int stage_random_chance(struct stage_random *random, float probability)
{
    return stage_random_between(random, 0, 1) < probability;
}
