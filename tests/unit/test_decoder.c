/* Decoding by a GPU that is none: FFmpeg's software decoders behind the calls that reach a GPU,
 * their frames laid out as a GPU lays them out, failing where a test wants them to. What a reader
 * gives must be the same whatever fails, and where. */
#include "core/error.h"
#include "core/file.h"
#include "core/media/gpu.h"
#include "core/media/handover.h"
#include "indexer/labelled.h"
#include "tests/t.h"
#include "tests/unit/clips.h"
#include "tests/unit/transcript.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How the stand-in behaves from now on; negative: never. */
static int receive_fails_at, transfer_fails_at; /* counted from 0; from then on always */
static int receive_error = AVERROR_EXTERNAL;
static bool transfer_is_quiet; /* reports success, as FFmpeg does for CUDA */
static int received, transferred;

static bool serve_all(const struct clv_decoder *decoder, const AVCodec *codec)
{
    (void)decoder, (void)codec;
    return true;
}

static bool serve_none(const struct clv_decoder *decoder, const AVCodec *codec)
{
    (void)decoder, (void)codec;
    return false;
}

/* Fails where a frame would come. */
static int receive(AVCodecContext *codec, AVFrame *frame)
{
    int error = avcodec_receive_frame(codec, frame);
    if (error == 0 && receive_fails_at >= 0 && received >= receive_fails_at) {
        av_frame_unref(frame);
        return receive_error;
    }
    received += error == 0;
    return error;
}

/* Planes to pairs of chroma, values of 10 bits into the upper bits. */
static void pack(AVFrame *to, const AVFrame *from)
{
    bool is_deep = from->format == AV_PIX_FMT_YUV420P10;
    size_t bytes = is_deep ? 2 : 1;
    for (int y = 0; y < from->height; y++)
        for (int x = 0; x < from->width; x++) {
            const uint8_t *value =
                from->data[0] + (ptrdiff_t)y * from->linesize[0] + (size_t)x * bytes;
            uint8_t *place = to->data[0] + (ptrdiff_t)y * to->linesize[0] + (size_t)x * bytes;
            if (is_deep)
                *(uint16_t *)(void *)place =
                    (uint16_t)(*(const uint16_t *)(const void *)value << 6);
            else
                *place = *value;
        }
    for (int y = 0; y < (from->height + 1) / 2; y++)
        for (int x = 0; x < 2 * ((from->width + 1) / 2); x++) {
            const uint8_t *value = from->data[1 + x % 2] +
                                   (ptrdiff_t)y * from->linesize[1 + x % 2] +
                                   (size_t)(x / 2) * bytes;
            uint8_t *place = to->data[1] + (ptrdiff_t)y * to->linesize[1] + (size_t)x * bytes;
            if (is_deep)
                *(uint16_t *)(void *)place =
                    (uint16_t)(*(const uint16_t *)(const void *)value << 6);
            else
                *place = *value;
        }
}

static int transfer(AVFrame *to, const AVFrame *from, int flags)
{
    (void)flags;
    CHECK(to->format == AV_PIX_FMT_NV12 || to->format == AV_PIX_FMT_P010);
    CHECK_INT(to->width, from->width);
    if (transfer_fails_at >= 0 && transferred >= transfer_fails_at) {
        memset(to->data[0], 0x55, (size_t)to->linesize[0] * (size_t)to->height);
        av_log(NULL, AV_LOG_ERROR, "the copy failed\n");
        return transfer_is_quiet ? 0 : AVERROR_EXTERNAL;
    }
    transferred++;
    pack(to, from);
    return 0;
}

static const struct clv_gpu_calls stand_in_calls = {serve_all, receive, transfer};
static const struct clv_gpu_calls no_codec_calls = {serve_none, receive, transfer};

static struct clv_decoder stand_in(enum AVPixelFormat format, bool is_required)
{
    receive_fails_at = transfer_fails_at = -1;
    receive_error = AVERROR_EXTERNAL;
    transfer_is_quiet = false;
    received = transferred = 0;
    return (struct clv_decoder){
        .format = format, .is_required = is_required, .calls = &stand_in_calls};
}

/* ---- the files ---- */

static const struct form {
    const char *name, *arguments; /* of ffmpeg, between the source and the file's name */
    enum AVPixelFormat format;
} forms[] = {
    {"closed.mp4", "-c:v libx264 -g 12 -bf 3", AV_PIX_FMT_YUV420P},
    {"open.mkv", "-c:v libx264 -bf 3 -x264-params open-gop=1:keyint=10:scenecut=0:b-pyramid=2",
     AV_PIX_FMT_YUV420P},
    {"one_key.mp4", "-c:v libx264 -g 1000 -bf 2", AV_PIX_FMT_YUV420P},
    {"intra.mov", "-c:v libx264 -g 1", AV_PIX_FMT_YUV420P},
    {"refresh.mkv", "-c:v libx264 -x264-params intra-refresh=1:keyint=20", AV_PIX_FMT_YUV420P},
    {"no_pts.avi", "-c:v libx264 -g 12 -bf 2", AV_PIX_FMT_YUV420P},
    {"bare.h264", "-c:v libx264 -g 12 -bf 2", AV_PIX_FMT_YUV420P},
    {"hevc.mp4", "-c:v libx265 -x265-params log-level=none:keyint=15:open-gop=1:bframes=4",
     AV_PIX_FMT_YUV420P},
    {"deep.mkv", "-pix_fmt yuv420p10le -c:v libx265 -x265-params log-level=none:keyint=15",
     AV_PIX_FMT_YUV420P10},
    {"interlaced.ts", "-vf setfield=tff -flags +ildct+ilme -c:v libx264 -g 12 -bf 2",
     AV_PIX_FMT_YUV420P},
    {"partly_interlaced.ts",
     "-vf interlace=lowpass=0,setfield=tff -flags +ildct+ilme -c:v libx264 -g 12 -bf 1",
     AV_PIX_FMT_YUV420P},
    {"mpeg4.avi", "-c:v mpeg4 -g 12 -bf 2 -q:v 3", AV_PIX_FMT_YUV420P},
    {"mpeg2.mpg", "-c:v mpeg2video -g 12 -bf 2 -q:v 3", AV_PIX_FMT_YUV420P},
    {"odd.webm", "-vf scale=159:119 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 12",
     AV_PIX_FMT_YUV420P},
    {"cropped.mp4",
     "-c:v libx264 -g 12 -bsf:v h264_metadata=crop_left=6:crop_top=10:crop_right=4:crop_bottom=2",
     AV_PIX_FMT_YUV420P},
    {"full_range.mp4", "-vf scale=out_range=pc -pix_fmt yuvj420p -c:v libx264 -g 12",
     AV_PIX_FMT_YUVJ420P},
};

static const char *source, *paths[sizeof forms / sizeof *forms];

/* NULL, after t_skip(), where there is no program to make it with. */
static const char *make(size_t form)
{
    if (!paths[form]) {
        const char *path = t_path(t_directory(), forms[form].name);
        if (clip_ffmpeg("-i %s %s %s", source, forms[form].arguments, path))
            paths[form] = path;
    }
    return paths[form];
}

/* Every picture is looked at, or few of them. */
static const struct transcript_options ways[] = {
    {.detect_cuts = true, .picture_every = 1}, {.picture_every = 7}, {.picture_every = 1}};

static void read_with(struct transcript *out, const char *path, struct transcript_options options,
                      const struct clv_decoder *decoder)
{
    options.decoder = decoder;
    transcript_read(out, path, &options);
}

/* ---- the tests ---- */

static void opens_what_is_there(void)
{
    struct clv_decoder *decoder = NULL;
    CHECK_OK(clv_decoder_open(&decoder, CLV_DECODER_CPU, 0));
    CHECK(decoder == NULL);
    CHECK(!clv_decoder_decodes(NULL, "h264"));
    int status = clv_decoder_open(&decoder, CLV_DECODER_GPU, 0);
    bool serves = status == CLV_OK;
    if (serves) {
        CHECK(decoder != NULL);
        CHECK(clv_decoder_decodes(decoder, "h264"));
    } else {
        CHECK_ERROR(status, CLV_EDEVICE, "the GPU does not decode video here: ");
        CHECK(decoder == NULL);
    }
    clv_decoder_close(decoder);
    CHECK_OK(clv_decoder_open(&decoder, CLV_DECODER_AUTO, 0));
    CHECK_INT(decoder != NULL, serves);
    clv_decoder_close(decoder);
    CHECK_ERROR(clv_decoder_open(&decoder, CLV_DECODER_GPU, 999), CLV_EDEVICE, "the GPU");
    CHECK(decoder == NULL);
}

static void tries_pictures(void)
{
    /* AV1 on the CPU is not in the hands of what asks for a format. */
    static const char *const served[] = {"h264", "hevc", "vp9", "vp8", "mpeg4", "mpeg2"};
    struct clv_decoder decoder = stand_in(AV_PIX_FMT_YUV420P, false);
    for (size_t i = 0; i < sizeof served / sizeof *served; i++)
        if (!clv_decoder_decodes(&decoder, served[i]))
            t_fail(__FILE__, __LINE__, "the picture in %s is not decoded", served[i]);
    CHECK(!clv_decoder_decodes(&decoder, "hevc 10-bit"));
    CHECK(!clv_decoder_decodes(&decoder, "h265"));
    decoder = stand_in(AV_PIX_FMT_YUV420P10, false);
    CHECK(clv_decoder_decodes(&decoder, "hevc 10-bit"));
    transfer_fails_at = transferred;
    CHECK(!clv_decoder_decodes(&decoder, "hevc 10-bit"));
    decoder.calls = &no_codec_calls;
    CHECK(!clv_decoder_decodes(&decoder, "h264"));
}

static void gives_the_same(void)
{
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        const char *path = make(f);
        for (size_t w = 0; path && w < sizeof ways / sizeof *ways; w++) {
            struct transcript want, got;
            struct clv_decoder decoder = stand_in(forms[f].format, true);
            read_with(&want, path, ways[w], NULL);
            read_with(&got, path, ways[w], &decoder);
            transcript_compare(&got, &want, forms[f].name);
            CHECK(want.frame_count >= 24);
            CHECK(received >= want.frame_count);
        }
    }
}

static void fetches_what_is_looked_at(void)
{
    struct transcript got;
    struct clv_decoder decoder = stand_in(AV_PIX_FMT_YUV420P, false);
    const char *path = make(0);
    if (!path)
        return;
    read_with(&got, path, (struct transcript_options){.thread_count = 1, .picture_every = 10},
              &decoder);
    CHECK_INT(got.frame_count, 50);
    CHECK_INT(transferred, 5);
    decoder = stand_in(AV_PIX_FMT_YUV420P, false);
    read_with(&got, path, (struct transcript_options){.thread_count = 1}, &decoder);
    CHECK_INT(transferred, 0);
    decoder = stand_in(AV_PIX_FMT_YUV420P, false);
    read_with(&got, path, (struct transcript_options){.thread_count = 1, .detect_cuts = true},
              &decoder);
    CHECK_INT(transferred, 50);
}

/* The stand-in's frames and copies fail from the n-th on, in many places. */
static void goes_on_with_the_cpu(void)
{
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        const char *path = make(f);
        for (size_t w = 0; path && w < sizeof ways / sizeof *ways; w++) {
            struct transcript want, got;
            char name[128];
            read_with(&want, path, ways[w], NULL);
            int apart = w == 0 ? 8 : 20;
            for (int n = (int)(f + w) % apart; n < want.frame_count + 2; n += apart) {
                struct clv_decoder decoder = stand_in(forms[f].format, false);
                receive_fails_at = n;
                read_with(&got, path, ways[w], &decoder);
                snprintf(name, sizeof name, "%s, frame %d fails", forms[f].name, n);
                transcript_compare(&got, &want, name);
                decoder = stand_in(forms[f].format, false);
                transfer_fails_at = n;
                transfer_is_quiet = n % 2;
                read_with(&got, path, ways[w], &decoder);
                snprintf(name, sizeof name, "%s, copy %d fails", forms[f].name, n);
                transcript_compare(&got, &want, name);
                /* A device that is lost for good gives back nothing that is still on it. */
                decoder = stand_in(forms[f].format, false);
                receive_fails_at = n;
                transfer_fails_at = n / 2;
                read_with(&got, path, ways[w], &decoder);
                snprintf(name, sizeof name, "%s, all fails at %d", forms[f].name, n);
                transcript_compare(&got, &want, name);
            }
        }
    }
}

static void goes_on_after_seeking(void)
{
    for (size_t f = 0; f < 2; f++) {
        const char *path = make(f);
        struct transcript want, got;
        struct transcript_options way = {.thread_count = 1, .picture_every = 1};
        if (!path)
            return;
        read_with(&want, path, way, NULL);
        way.from_ticks = want.frames[30].time_ticks;
        read_with(&want, path, way, NULL);
        CHECK(want.frame_count >= 20 && want.frame_count < 50);
        for (int n = 0; n < 30; n += 3) {
            struct clv_decoder decoder = stand_in(forms[f].format, false);
            receive_fails_at = n;
            read_with(&got, path, way, &decoder);
            transcript_compare(&got, &want, forms[f].name);
        }
    }
}

/* Damage ends the GPU's part in a file, and is counted as if it had had none. Pictures are not
 * compared: what is missing in them is made up from those before, back to the beginning. */
static void leaves_damage_to_the_cpu(void)
{
    const char *path = make(0), *damaged = t_path(t_directory(), "damaged.mp4");
    size_t size = 0;
    uint64_t seed = 7;
    uint8_t *data = path ? clip_bytes(path, &size) : NULL;
    if (!data)
        return;
    for (int i = 0; i < 12; i++)
        data[size / 4 + t_random(&seed) % (size / 4)] ^= 0x5a;
    clip_put(damaged, data, size);
    free(data);
    struct transcript want, got;
    struct clv_decoder decoder = stand_in(AV_PIX_FMT_YUV420P, false);
    const struct transcript_options way = {.thread_count = 1};
    read_with(&want, damaged, way, NULL);
    read_with(&got, damaged, way, &decoder);
    CHECK(want.damage_count > 0 && want.frame_count > 20);
    CHECK(received < want.frame_count);
    transcript_compare(&got, &want, "damaged");
}

static void leaves_what_it_cannot_decode_to_the_cpu(void)
{
    struct transcript want, got;
    const char *path = make(0);
    if (!path)
        return;
    read_with(&want, path, ways[0], NULL);
    struct clv_decoder decoder = stand_in(AV_PIX_FMT_YUV420P, false);
    decoder.calls = &no_codec_calls;
    read_with(&got, path, ways[0], &decoder);
    transcript_compare(&got, &want, "no codec");
    /* The codec serves, but not for this format. */
    decoder = stand_in(AV_PIX_FMT_YUV422P, false);
    read_with(&got, path, ways[0], &decoder);
    transcript_compare(&got, &want, "no format");
    CHECK_INT(received, 0);
}

static void says_when_the_gpu_must_and_cannot(void)
{
    struct transcript want, got;
    const char *path = make(0);
    if (!path)
        return;
    read_with(&want, path, ways[0], NULL);
    struct clv_decoder decoder = stand_in(AV_PIX_FMT_YUV420P, true);
    receive_fails_at = 20;
    read_with(&got, path, ways[0], &decoder);
    CHECK_INT(got.status, CLV_EDEVICE);
    CHECK(strstr(got.message, "the GPU cannot decode h264 in ") != NULL);
    CHECK_INT(got.frame_count, 20);
    for (int i = 0; i < got.frame_count; i++)
        CHECK(got.frames[i].digest == want.frames[i].digest);
    decoder = stand_in(AV_PIX_FMT_YUV420P, true);
    transfer_fails_at = 2;
    read_with(&got, path, ways[1], &decoder);
    CHECK_INT(got.status, CLV_EDEVICE);
    CHECK_INT(got.frame_count, 14);
    decoder = stand_in(AV_PIX_FMT_YUV420P, true);
    decoder.calls = &no_codec_calls;
    read_with(&got, path, ways[0], &decoder);
    CHECK_INT(got.status, CLV_EUNSUPPORTED);
    CHECK(strstr(got.message, "is h264, which the GPU does not decode") != NULL);
    CHECK_INT(got.frame_count, 0);
    decoder = stand_in(AV_PIX_FMT_YUV422P, true);
    read_with(&got, path, ways[0], &decoder);
    CHECK_INT(got.status, CLV_EDEVICE);
    CHECK_INT(got.frame_count, 0);
}

/* ---- labelled clips ---- */

enum { CLIP_COUNT = 3, CLIP_FRAMES = 6 };

static struct clv_labelled *open_clips(const struct clv_labels *labels,
                                       const struct clv_decoder *decoder, size_t kept_bytes)
{
    struct clv_labelled *clips = NULL;
    const struct clv_labelled_options options = {.thread_count = 1, .decoder = decoder};
    CHECK_OK(clv_labelled_create(&clips, labels, NULL, true, &options));
    if (clips && kept_bytes > 0)
        CHECK_OK(clv_labelled_keep(clips, kept_bytes));
    return clips;
}

static int read_clip(struct clv_image *out, struct clv_labelled *labelled, int clip, uint64_t seed)
{
    const struct clv_clips *clips = clv_labelled_clips(labelled);
    return clips->read(clips->payload, out,
                       &(struct clv_clip_request){clip, CLIP_FRAMES, true, seed, 0});
}

static void compare_images(const struct clv_image *got, const struct clv_image *want,
                           const char *name)
{
    for (int i = 0; i < CLIP_FRAMES && !t_failed(); i++) {
        CHECK_INT(got[i].width, want[i].width);
        CHECK_INT(got[i].height, want[i].height);
        for (int y = 0; y < want[i].height && !t_failed(); y++)
            if (memcmp(got[i].pixels + (size_t)y * got[i].stride_bytes,
                       want[i].pixels + (size_t)y * want[i].stride_bytes,
                       3 * (size_t)want[i].width) != 0)
                t_fail(__FILE__, __LINE__, "%s: frame %d differs in row %d", name, i, y);
    }
}

/* Every clip twice: counted first, and then known or kept. */
static void compare_clips(const struct clv_labels *labels, const struct clv_decoder *decoder,
                          size_t kept_bytes, const char *name)
{
    struct clv_labelled *on_cpu = open_clips(labels, NULL, 0);
    struct clv_labelled *on_gpu = open_clips(labels, decoder, kept_bytes);
    struct clv_image want[CLIP_FRAMES], got[CLIP_FRAMES];
    for (uint64_t seed = 0; seed < 2; seed++)
        for (int clip = 0; on_cpu && on_gpu && clip < CLIP_COUNT && !t_failed(); clip++) {
            CHECK_OK(read_clip(want, on_cpu, clip, seed));
            CHECK_OK(read_clip(got, on_gpu, clip, seed));
            if (!t_failed())
                compare_images(got, want, name);
        }
    clv_labelled_free(on_cpu);
    clv_labelled_free(on_gpu);
}

/* A clip that only the GPU may decode and cannot is a broken one among others. */
static void refuse_clip(const struct clv_labels *labels)
{
    struct clv_image images[CLIP_FRAMES];
    struct clv_decoder decoder = stand_in(AV_PIX_FMT_YUV420P, true);
    struct clv_labelled *clips = open_clips(labels, &decoder, 0);
    if (!clips)
        return;
    receive_fails_at = 9;
    CHECK_ERROR(read_clip(images, clips, 0, 0), CLV_EDEVICE, "the GPU cannot decode h264 in ");
    receive_fails_at = -1;
    CHECK_OK(read_clip(images, clips, 1, 0));
    clv_labelled_free(clips);
}

static void reads_labelled_clips(void)
{
    const char *path = make(0), *list = t_path(t_directory(), "labels.csv");
    struct clv_labels labels = {0};
    char text[2048], name[64];
    if (!path)
        return;
    int size = snprintf(text, sizeof text, "path,label,start,end\n%s,x,,\n%s,x,0.3,1.5\n%s,x,1,\n",
                        path, path, path);
    REQUIRE_OK(clv_file_replace(list, text, (size_t)size));
    REQUIRE_OK(clv_labels_open(&labels, list, &(struct clv_labels_options){0}));
    struct clv_decoder decoder = stand_in(AV_PIX_FMT_YUV420P, true);
    compare_clips(&labels, &decoder, 0, "nothing fails");
    CHECK_INT(transferred, CLIP_COUNT * 2 * CLIP_FRAMES);
    decoder = stand_in(AV_PIX_FMT_YUV420P, true);
    compare_clips(&labels, &decoder, (size_t)1 << 30, "kept");
    CHECK_INT(transferred, 50 + 31 + 25); /* 0.3 s is the eighth frame's */
    for (int n = 0; n < 120; n += 7) {
        decoder = stand_in(AV_PIX_FMT_YUV420P, false);
        receive_fails_at = n;
        snprintf(name, sizeof name, "frame %d fails", n);
        compare_clips(&labels, &decoder, n % 2 ? (size_t)1 << 30 : 0, name);
        decoder = stand_in(AV_PIX_FMT_YUV420P, false);
        transfer_fails_at = n % (CLIP_COUNT * 2 * CLIP_FRAMES);
        snprintf(name, sizeof name, "copy %d fails", transfer_fails_at);
        compare_clips(&labels, &decoder, 0, name);
    }
    refuse_clip(&labels);
    clv_labels_release(&labels);
}

/* Where no keyframe comes for long, packets are not kept for ever. */
static void bounds_what_is_kept(void)
{
    struct clv_handover handover = {0};
    AVPacket *packet = av_packet_alloc();
    REQUIRE(packet && av_new_packet(packet, 16 << 20) == 0);
    int kept = 0;
    int64_t number;
    while ((number = clv_handover_keep(&handover, packet)) >= 0)
        CHECK_INT(number, kept++);
    CHECK_INT(number, AVERROR(ENOBUFS));
    CHECK_INT(kept, 16);
    CHECK(!handover.is_broken);
    clv_handover_reset(&handover);
    CHECK_INT(clv_handover_keep(&handover, packet), 0);
    clv_handover_release(&handover);
    av_packet_free(&packet);
}

int main(void)
{
    static const struct clip clip = {
        .width = 160, .height = 120, .frame_count = 50, .scene_length = 20};
    source = clip_write(t_directory(), "source.mp4", &clip);
    T_RUN(opens_what_is_there);
    T_RUN(tries_pictures);
    T_RUN(gives_the_same);
    T_RUN(fetches_what_is_looked_at);
    T_RUN(goes_on_with_the_cpu);
    T_RUN(goes_on_after_seeking);
    T_RUN(leaves_damage_to_the_cpu);
    T_RUN(leaves_what_it_cannot_decode_to_the_cpu);
    T_RUN(reads_labelled_clips);
    T_RUN(says_when_the_gpu_must_and_cannot);
    T_RUN(bounds_what_is_kept);
    return t_end();
}
