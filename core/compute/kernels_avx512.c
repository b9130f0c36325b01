/* The kernels compiled for AVX-512; nothing here may run before the processor was asked. */
#include "core/compute/kernels_body.h"

const struct clv_kernels clv_kernels_avx512 = CLV_KERNELS_OF("avx512");
