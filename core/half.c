/* Conversion to and from binary16; F16C instructions where the processor has them. */
#include "core/half.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint16_t clv_half_from_float(float value)
{
    uint32_t bits = bits_of(value);
    uint32_t sign = (bits >> 16) & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    if (magnitude >= 0x477ff000u) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x33000001u) /* at most half the smallest subnormal: the tie goes to zero */
        return (uint16_t)sign;
    if (magnitude < 0x38800000u) { /* subnormal: shift the full significand, then round */
        uint32_t shift = 126 - (magnitude >> 23);
        uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
        uint32_t kept = significand >> shift;
        uint32_t rest = significand & ((1u << shift) - 1), tie = 1u << (shift - 1);
        return (uint16_t)(sign | (kept + (rest > tie || (rest == tie && (kept & 1)))));
    }
    /* Normal: a carry out of the significand moves into the exponent, as it should. */
    uint32_t rebased = magnitude - 0x38000000u;
    return (uint16_t)(sign | ((rebased + 0xfffu + ((rebased >> 13) & 1)) >> 13));
}

float clv_half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 0x1fu, significand = half & 0x3ffu;
    if (exponent == 0x1f) /* the quiet bit is set, as conversion instructions do */
        return float_of(sign | 0x7f800000u | (significand ? 0x400000u : 0) | (significand << 13));
    if (exponent == 0) {
        float magnitude = (float)significand * 0x1p-24f;
        return float_of(sign | bits_of(magnitude));
    }
    return float_of(sign | ((exponent + 112) << 23) | (significand << 13));
}

#if defined(__x86_64__)
__attribute__((target("avx,f16c"))) static size_t widen_f16c(float *out, const uint16_t *in,
                                                             size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(in + i))));
    return i;
}

__attribute__((target("avx,f16c"))) static size_t narrow_f16c(uint16_t *out, const float *in,
                                                              size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm_storeu_si128((__m128i *)(out + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
    return i;
}

/* clang cannot ask for F16C; every processor with AVX2 has it. */
static int has_f16c(void)
{
    return __builtin_cpu_supports("avx2");
}
#endif

void clv_half_widen(float *out, const uint16_t *in, size_t count)
{
    size_t i = 0;
#if defined(__x86_64__)
    if (has_f16c())
        i = widen_f16c(out, in, count);
#endif
    for (; i < count; i++)
        out[i] = clv_half_to_float(in[i]);
}

void clv_half_narrow(uint16_t *out, const float *in, size_t count)
{
    size_t i = 0;
#if defined(__x86_64__)
    if (has_f16c())
        i = narrow_f16c(out, in, count);
#endif
    for (; i < count; i++)
        out[i] = clv_half_from_float(in[i]);
}
