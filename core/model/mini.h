/* Private to core/model: the weights that are compiled in, claver-mini.safetensors beside this. */
#ifndef CLV_CORE_MODEL_MINI_H
#define CLV_CORE_MODEL_MINI_H

#include <stddef.h>

/* The file's bytes, aligned to 64; they live as long as the program. */
const void *clv_mini_bytes(size_t *size_bytes_out);

#endif
