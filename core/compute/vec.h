/* Private to the kernels: a vector of floats as wide as the file including this is compiled for
 * (AVX-512: 16 lanes, AVX2 with FMA: 8, otherwise 1), and exp and the activations over it.
 * Everything is static, so that no function compiled for one instruction set is linked into
 * another's code. NaN in a lane comes out of every function here as NaN in that lane. */
#ifndef CLV_CORE_COMPUTE_VEC_H
#define CLV_CORE_COMPUTE_VEC_H

#include "core/compute/scalar.h"

#include <math.h>
#include <stdint.h>

#if defined(__AVX512F__)
#include <immintrin.h>

#define VEC_LANES 16
typedef __m512 vec;

static inline vec vec_set(float x)
{
    return _mm512_set1_ps(x);
}
static inline vec vec_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline void vec_store(float *p, vec a)
{
    _mm512_storeu_ps(p, a);
}
static inline __mmask16 vec_first(int n)
{
    return (__mmask16)((1u << n) - 1u);
}
/* The first n lanes from memory, zeros after; nothing behind them is touched. n < VEC_LANES. */
static inline vec vec_load_part(const float *p, int n)
{
    return _mm512_maskz_loadu_ps(vec_first(n), p);
}
static inline void vec_store_part(float *p, vec a, int n)
{
    _mm512_mask_storeu_ps(p, vec_first(n), a);
}
/* The first n lanes of a, `other` after. */
static inline vec vec_part(vec a, vec other, int n)
{
    return _mm512_mask_blend_ps(vec_first(n), other, a);
}
static inline vec vec_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}
static inline vec vec_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}
static inline vec vec_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}
static inline vec vec_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}
/* a * b + c */
static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}
/* b where either is NaN. */
static inline vec vec_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}
static inline vec vec_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}
static inline float vec_sum(vec a)
{
    return _mm512_reduce_add_ps(a);
}
static inline float vec_highest(vec a)
{
    return _mm512_reduce_max_ps(a);
}
static inline vec vec_round(vec a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* a * 2^n for a whole number n. */
static inline vec vec_scale(vec a, vec n)
{
    return _mm512_scalef_ps(a, n);
}
/* `a` where x >= limit or x is NaN, zero elsewhere. */
static inline vec vec_unless_below(vec a, vec x, vec limit)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, limit, _CMP_NLT_UQ), a);
}
/* `a` where x is negative, `b` elsewhere. */
static inline vec vec_if_negative(vec x, vec a, vec b)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ), b, a);
}
static inline vec vec_abs(vec a)
{
    return _mm512_abs_ps(a);
}
static inline vec vec_sqrt(vec a)
{
    return _mm512_sqrt_ps(a);
}
/* Lane j of row i becomes lane i of row j: pairs, then fours within 128 bits, then whole 128s. */
static inline void vec_transpose(vec rows[VEC_LANES])
{
    vec t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int j = 0; j < 2; j++) {
            __m512d low = _mm512_castps_pd(t[i + j]), high = _mm512_castps_pd(t[i + j + 2]);
            rows[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
            rows[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
        }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(rows[i], rows[4 + i], 0x88);
        t[4 + i] = _mm512_shuffle_f32x4(rows[i], rows[4 + i], 0xdd);
        t[8 + i] = _mm512_shuffle_f32x4(rows[8 + i], rows[12 + i], 0x88);
        t[12 + i] = _mm512_shuffle_f32x4(rows[8 + i], rows[12 + i], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        rows[i] = _mm512_shuffle_f32x4(t[i], t[8 + i], 0x88);
        rows[4 + i] = _mm512_shuffle_f32x4(t[4 + i], t[12 + i], 0x88);
        rows[8 + i] = _mm512_shuffle_f32x4(t[i], t[8 + i], 0xdd);
        rows[12 + i] = _mm512_shuffle_f32x4(t[4 + i], t[12 + i], 0xdd);
    }
}

#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

#define VEC_LANES 8
typedef __m256 vec;

static inline vec vec_set(float x)
{
    return _mm256_set1_ps(x);
}
static inline vec vec_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
static inline void vec_store(float *p, vec a)
{
    _mm256_storeu_ps(p, a);
}
static inline __m256i vec_first(int n)
{
    static const int32_t ramp[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ramp + 8 - n));
}
/* The first n lanes from memory, zeros after; nothing behind them is touched. n < VEC_LANES. */
static inline vec vec_load_part(const float *p, int n)
{
    return _mm256_maskload_ps(p, vec_first(n));
}
static inline void vec_store_part(float *p, vec a, int n)
{
    _mm256_maskstore_ps(p, vec_first(n), a);
}
/* The first n lanes of a, `other` after. */
static inline vec vec_part(vec a, vec other, int n)
{
    return _mm256_blendv_ps(other, a, _mm256_castsi256_ps(vec_first(n)));
}
static inline vec vec_add(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}
static inline vec vec_sub(vec a, vec b)
{
    return _mm256_sub_ps(a, b);
}
static inline vec vec_mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}
static inline vec vec_div(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}
/* a * b + c */
static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}
/* b where either is NaN. */
static inline vec vec_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}
static inline vec vec_min(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}
static inline float vec_sum(vec a)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
static inline float vec_highest(vec a)
{
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}
static inline vec vec_round(vec a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* a * 2^n for a whole number n in [-126, 127]. */
static inline vec vec_scale(vec a, vec n)
{
    __m256i bits = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32(bits, 23)));
}
/* `a` where x >= limit or x is NaN, zero elsewhere. */
static inline vec vec_unless_below(vec a, vec x, vec limit)
{
    return _mm256_and_ps(a, _mm256_cmp_ps(x, limit, _CMP_NLT_UQ));
}
/* `a` where x is negative, `b` elsewhere. */
static inline vec vec_if_negative(vec x, vec a, vec b)
{
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_LT_OQ));
}
static inline vec vec_abs(vec a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
static inline vec vec_sqrt(vec a)
{
    return _mm256_sqrt_ps(a);
}
/* Lane j of row i becomes lane i of row j: pairs, then fours within 128 bits, then whole 128s. */
static inline void vec_transpose(vec rows[VEC_LANES])
{
    vec t[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            __m256d low = _mm256_castps_pd(t[i + j]), high = _mm256_castps_pd(t[i + j + 2]);
            rows[i + 2 * j] = _mm256_castpd_ps(_mm256_unpacklo_pd(low, high));
            rows[i + 2 * j + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low, high));
        }
    for (int i = 0; i < 4; i++)
        t[i] = rows[i];
    for (int i = 0; i < 4; i++) {
        vec low = t[i], high = rows[4 + i];
        rows[i] = _mm256_permute2f128_ps(low, high, 0x20);
        rows[4 + i] = _mm256_permute2f128_ps(low, high, 0x31);
    }
}

#else

#define VEC_LANES 1
typedef float vec;

static inline vec vec_set(float x)
{
    return x;
}
static inline vec vec_load(const float *p)
{
    return *p;
}
static inline void vec_store(float *p, vec a)
{
    *p = a;
}
/* With one lane there are no parts: n is always 0 and these are never reached. */
static inline vec vec_load_part(const float *p, int n)
{
    return n > 0 ? *p : 0.0f;
}
static inline void vec_store_part(float *p, vec a, int n)
{
    if (n > 0)
        *p = a;
}
static inline vec vec_part(vec a, vec other, int n)
{
    return n > 0 ? a : other;
}
static inline vec vec_add(vec a, vec b)
{
    return a + b;
}
static inline vec vec_sub(vec a, vec b)
{
    return a - b;
}
static inline vec vec_mul(vec a, vec b)
{
    return a * b;
}
static inline vec vec_div(vec a, vec b)
{
    return a / b;
}
static inline vec vec_fma(vec a, vec b, vec c)
{
    return a * b + c;
}
static inline vec vec_max(vec a, vec b)
{
    return a > b ? a : b;
}
static inline float vec_sum(vec a)
{
    return a;
}
static inline float vec_highest(vec a)
{
    return a;
}
static inline vec vec_sqrt(vec a)
{
    return sqrtf(a);
}
static inline void vec_transpose(vec rows[VEC_LANES])
{
    (void)rows;
}

#endif

static inline vec vec_zero(void)
{
    return vec_set(0.0f);
}

#if VEC_LANES > 1

/* e^x to about 1e-7 of its value, 0 below -87.3: x = n ln 2 + r with ln 2 in two parts (Cody and
 * Waite), e^r by the polynomial of Cephes expf. */
static inline vec vec_exp(vec x)
{
    const vec lowest = vec_set(-87.3365f), highest = vec_set(88.3762f);
    vec in = vec_min(highest, vec_max(lowest, x));
    vec n = vec_round(vec_mul(in, vec_set(1.44269504088896341f)));
    vec r = vec_fma(n, vec_set(-0.693359375f), in);
    r = vec_fma(n, vec_set(2.12194440e-4f), r);
    vec p = vec_set(1.9875691500e-4f);
    p = vec_fma(p, r, vec_set(1.3981999507e-3f));
    p = vec_fma(p, r, vec_set(8.3334519073e-3f));
    p = vec_fma(p, r, vec_set(4.1665795894e-2f));
    p = vec_fma(p, r, vec_set(1.6666665459e-1f));
    p = vec_fma(p, r, vec_set(5.0000001201e-1f));
    p = vec_fma(p, vec_mul(r, r), vec_add(r, vec_set(1.0f)));
    return vec_unless_below(vec_scale(p, n), x, lowest);
}

static inline vec vec_quick_gelu(vec x)
{
    vec e = vec_exp(vec_mul(x, vec_set(-CLV_QUICK_GELU_SLOPE)));
    return vec_div(x, vec_add(e, vec_set(1.0f)));
}
/* Its derivative, s (1 + 1.702 x (1 - s)) with s = sigmoid(1.702 x). */
static inline vec vec_quick_gelu_slope(vec x)
{
    const vec one = vec_set(1.0f), slope = vec_set(CLV_QUICK_GELU_SLOPE);
    vec e = vec_exp(vec_mul(x, vec_set(-CLV_QUICK_GELU_SLOPE)));
    vec s = vec_div(one, vec_add(e, one));
    return vec_mul(s, vec_fma(vec_mul(slope, x), vec_sub(one, s), one));
}

/* Phi(x) with erfc(z) = exp(-z^2) P(t), t = 1 / (1 + 0.35 z), z = |x| / sqrt 2. P is a Chebyshev
 * fit of exp(z^2) erfc(z) over z in [0, 10], 2e-8 of its value in single precision coefficients. */
static inline vec vec_normal_cdf(vec x)
{
    static const float coefficients[] = {
        0.02111339382827282f,  -0.05587175488471985f, -0.08850818127393723f,   0.380927711725235f,
        -0.30814996361732483f, 0.4007789194583893f,   0.04048275947570801f,    0.21989025175571442f,
        0.1912621408700943f,   0.1981031447649002f,   -2.8439728339435533e-05f};
    vec z = vec_mul(vec_abs(x), vec_set(CLV_SQRT_HALF));
    vec t = vec_div(vec_set(1.0f), vec_fma(z, vec_set(0.35f), vec_set(1.0f)));
    vec p = vec_set(coefficients[0]);
    for (int i = 1; i < (int)(sizeof coefficients / sizeof *coefficients); i++)
        p = vec_fma(p, t, vec_set(coefficients[i]));
    vec tail = vec_mul(vec_set(0.5f), vec_mul(p, vec_exp(vec_mul(x, vec_mul(x, vec_set(-0.5f))))));
    return vec_if_negative(x, tail, vec_sub(vec_set(1.0f), tail));
}

static inline vec vec_gelu(vec x)
{
    return vec_mul(x, vec_normal_cdf(x));
}
/* Its derivative, Phi(x) + x phi(x). */
static inline vec vec_gelu_slope(vec x)
{
    vec density = vec_exp(vec_mul(x, vec_mul(x, vec_set(-0.5f))));
    return vec_fma(vec_mul(x, vec_set(CLV_NORMAL_DENSITY)), density, vec_normal_cdf(x));
}

#else

static inline vec vec_exp(vec x)
{
    return expf(x);
}
static inline vec vec_quick_gelu(vec x)
{
    return clv_scalar_quick_gelu(x);
}
static inline vec vec_gelu(vec x)
{
    return clv_scalar_gelu(x);
}
static inline vec vec_quick_gelu_slope(vec x)
{
    return clv_scalar_quick_gelu_slope(x);
}
static inline vec vec_gelu_slope(vec x)
{
    return clv_scalar_gelu_slope(x);
}

#endif

#endif
