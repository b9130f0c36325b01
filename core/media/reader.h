/* Video files in: anything FFmpeg opens, decoded front to back into display-ready pictures.
 *
 * Pictures come upright (rotation applied), with square pixels (sample aspect ratio applied),
 * deinterlaced where the frame says it is interlaced, as full-range RGB. Times are the stream's
 * own timestamps in its own time base. A reader serves one thread at a time.
 *
 * Only the one file is ever opened, never what it refers to: playlists are CLV_EUNSUPPORTED. */
#ifndef CLV_CORE_MEDIA_READER_H
#define CLV_CORE_MEDIA_READER_H

#include "core/cancel.h"
#include "core/image.h"
#include "core/media/decoder.h"
#include "core/time.h"

#include <stdbool.h>
#include <stdint.h>

struct clv_reader;

struct clv_reader_options {
    bool detect_cuts; /* run FFmpeg's scene detection (scdet) over every frame */
    double cut_score; /* scdet threshold in percent; 0: 10 */
    int thread_count; /* decoder threads; 0: all cores */
    /* Decodes what it can, the CPU the rest, unless it was opened as CLV_DECODER_GPU. Must stay
     * open as long as the reader; NULL: the CPU decodes. Pictures are the same either way. */
    const struct clv_decoder *decoder;
    struct clv_cancel *cancel; /* also interrupts blocking input; may be NULL */
};

struct clv_media_info {
    int width, height; /* as shown: after rotation and aspect ratio */
    int rotation;      /* degrees clockwise the picture was turned by: 0, 90, 180, 270 */
    bool has_audio;
    int stream_index;
    struct clv_timebase timebase;
    int64_t start_ticks;    /* what a player shows as 0:00, in the stream's time base */
    int64_t duration_ticks; /* as the container says; 0: it does not say */
    double frame_rate;      /* average, 0 unknown */
    char codec[32];
    char container[32];
};

/* One decoded frame. `time_ticks` is its presentation timestamp (guessed from its neighbours where
 * the file has none; never decreasing); `end_ticks` where it stops being shown, as far as known. */
struct clv_frame {
    int64_t time_ticks;
    int64_t end_ticks;
    bool is_cut; /* the first frame of a new shot, where cuts are detected */
};

/* The best video stream that is no cover picture. CLV_EUNSUPPORTED "has no video stream", "no
 * decoder for …", "is encrypted", or more than 16384 x 16384 pixels; CLV_ECORRUPT with FFmpeg's
 * reason; CLV_EINVAL for what is no regular file; each message names the file. Decodes the first
 * frame already, since only it tells the size for certain. */
int clv_reader_open(struct clv_reader **out, const char *path,
                    const struct clv_reader_options *options);
void clv_reader_close(struct clv_reader *reader);
const struct clv_media_info *clv_reader_info(const struct clv_reader *reader);

/* The next frame in presentation order; CLV_DONE at the end. Damaged packets are skipped and
 * counted; CLV_ECORRUPT where not one frame of the file can be decoded (CLV_EUNSUPPORTED where
 * that is because it is encrypted), CLV_ECANCELED; CLV_EDEVICE where only the GPU may decode and it
 * fails, which damage may make it do too. */
int clv_reader_next(struct clv_reader *reader, struct clv_frame *frame_out);
/* The picture of the last frame given by clv_reader_next(); borrowed until the next call on the
 * reader. Costs a conversion, so ask only for frames that are used. Size can change mid-file. */
int clv_reader_image(struct clv_reader *reader, const struct clv_image **image_out);
/* Moves so that the next frame is at or before `time_ticks` where the file can seek; otherwise
 * starts over from the beginning. Callers skip forward by time. Some files decode in sequence but
 * give nothing after a seek: where the first clv_reader_next() after a seek ends or fails, the
 * reader itself starts over from the beginning once. */
int clv_reader_seek(struct clv_reader *reader, int64_t time_ticks);
/* Packets or frames that could not be decoded so far. */
int64_t clv_reader_damage_count(const struct clv_reader *reader);

/* A still picture or the first frame of anything FFmpeg opens; the caller releases `out`. */
int clv_image_load(struct clv_image *out, const char *path);

/* "libavformat 59.27.100, …", for `--version`. */
const char *clv_media_version(void);

/* True for names FFmpeg's demuxers or common practice give to video files (extension only). */
bool clv_media_is_video_name(const char *path);
/* True for still-picture extensions. */
bool clv_media_is_image_name(const char *path);

#endif
