/* The assembler reads the weights in, which takes no time and no tool. */
#include "core/model/mini.h"

__asm__(".pushsection .rodata.clv_mini, \"a\", %progbits\n"
        ".balign 64\n"
        ".globl clv_mini_begin\n"
        ".hidden clv_mini_begin\n"
        "clv_mini_begin:\n"
        ".incbin \"core/model/claver-mini.safetensors\"\n"
        ".globl clv_mini_end\n"
        ".hidden clv_mini_end\n"
        "clv_mini_end:\n"
        ".popsection\n");

extern const unsigned char clv_mini_begin[] __attribute__((visibility("hidden")));
extern const unsigned char clv_mini_end[] __attribute__((visibility("hidden")));

const void *clv_mini_bytes(size_t *size_bytes_out)
{
    *size_bytes_out = (size_t)(clv_mini_end - clv_mini_begin);
    return clv_mini_begin;
}
