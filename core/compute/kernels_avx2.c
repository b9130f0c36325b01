/* The kernels compiled for AVX2 with FMA; nothing here may run before the processor was asked. */
#include "core/compute/kernels_body.h"

const struct clv_kernels clv_kernels_avx2 = CLV_KERNELS_OF("avx2");
