/* What decodes footage: CPU threads, or the video engine of an NVIDIA GPU through FFmpeg. Opened
 * once and given to readers, which may share it on any number of threads. */
#ifndef CLV_CORE_MEDIA_DECODER_H
#define CLV_CORE_MEDIA_DECODER_H

#include <stdbool.h>

enum clv_decoder_kind {
    CLV_DECODER_AUTO, /* the GPU where it serves, for what it decodes; the CPU for the rest */
    CLV_DECODER_CPU,
    CLV_DECODER_GPU, /* and nothing else: what the GPU does not decode is not read */
};

/* NULL stands for the CPU, everywhere. */
struct clv_decoder;

/* Opens the engine of GPU `cuda_index`. For CPU *out is NULL and nothing of the GPU is touched; for
 * AUTO it is NULL where the GPU does not serve. CLV_EDEVICE with the reason where GPU is asked for
 * and does not serve: there is no driver, or it comes without its video library. */
int clv_decoder_open(struct clv_decoder **out, enum clv_decoder_kind kind, int cuda_index);
/* Once no reader uses it any more. */
void clv_decoder_close(struct clv_decoder *decoder);

/* Names of what a GPU may be able to decode ("h264", "hevc 10-bit"), NULL at the end. */
extern const char *const clv_decoder_codecs[];
/* Whether it does: decodes a picture of that kind. */
bool clv_decoder_decodes(const struct clv_decoder *decoder, const char *codec);

#endif
