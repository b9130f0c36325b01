/* IEEE 754 binary16: how vectors are stored. Narrowing rounds to nearest, ties to even; widening
 * is exact. The results are the same on every machine. */
#ifndef CLV_CORE_HALF_H
#define CLV_CORE_HALF_H

#include <stddef.h>
#include <stdint.h>

/* Overflow gives an infinity; a NaN stays a (quiet) NaN with the upper bits of its payload. */
uint16_t clv_half_from_float(float value);
float clv_half_to_float(uint16_t half);

/* `count` numbers each; the arrays must not overlap. */
void clv_half_narrow(uint16_t *out, const float *in, size_t count);
void clv_half_widen(float *out, const uint16_t *in, size_t count);

#endif
