/* Private: the decoded frame behind a reader's picture, for what works on frames themselves. */
#ifndef CLV_CORE_MEDIA_DECODED_H
#define CLV_CORE_MEDIA_DECODED_H

#include "core/media/picture.h"
#include "core/media/reader.h"

/* The frame given last and how it is shown; borrowed until the next call on the reader. Its
 * properties may be changed, not its pixels, which are there where the reader was given no
 * decoder. */
AVFrame *clv_reader_decoded(struct clv_reader *reader, struct clv_geometry *geometry_out);

#endif
