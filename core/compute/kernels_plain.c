/* The kernels compiled for plain C: any processor. */
#include "core/compute/kernels_body.h"

const struct clv_kernels clv_kernels_plain = CLV_KERNELS_OF("plain");
