/* The GPU's video engine beside the CPU: the same frames, plane by plane, and the same reading of
 * whole files. Without a GPU that decodes there is nothing to compare. */
#include "core/error.h"
#include "core/media/decode.h"
#include "tests/t.h"
#include "tests/unit/clips.h"
#include "tests/unit/transcript.h"

#include <stdlib.h>
#include <string.h>

static const struct form {
    const char *codec, *name, *arguments;
} forms[] = {
    {"h264", "closed.mp4", "-c:v libx264 -g 12 -bf 3"},
    {"h264", "open.mkv", "-c:v libx264 -bf 3 -x264-params open-gop=1:keyint=10:scenecut=0"},
    {"h264", "no_pts.avi", "-c:v libx264 -g 12 -bf 2"},
    {"h264", "full_range.mp4", "-vf scale=out_range=pc -pix_fmt yuvj420p -c:v libx264 -g 12"},
    {"h264", "interlaced.ts", "-vf setfield=tff -flags +ildct+ilme -c:v libx264 -g 12"},
    {"h264", "cropped.mp4",
     "-c:v libx264 -g 12 -bsf:v h264_metadata=crop_left=6:crop_top=10:crop_right=4:crop_bottom=2"},
    {"hevc", "hevc.mp4", "-c:v libx265 -x265-params log-level=none:keyint=15:bframes=4"},
    {"hevc 10-bit", "deep.mkv",
     "-pix_fmt yuv420p10le -c:v libx265 -x265-params log-level=none:keyint=15"},
    {"vp9", "odd.webm", "-vf scale=317:239 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 12"},
    {"av1", "av1.mkv", "-c:v libaom-av1 -cpu-used 8 -usage realtime -g 12"},
};

static struct clv_decoder *gpu, *both; /* the GPU alone, and with the CPU behind it */
static const char *source;

static bool is_required(void)
{
    const char *value = getenv("CLV_REQUIRE_CUDA");
    return value && strcmp(value, "1") == 0;
}

static const char *make(const struct form *form)
{
    const char *path = t_path(t_directory(), form->name);
    return clip_ffmpeg("-i %s %s %s", source, form->arguments, path) ? path : NULL;
}

/* False where the card does not know the codec. */
static bool serves(const struct form *form)
{
    return clv_decoder_decodes(gpu, form->codec);
}

/* Values of a plane that differ. */
static int64_t differences(const AVFrame *a, const AVFrame *b, int plane)
{
    const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(a->format);
    int width = plane > 0 ? AV_CEIL_RSHIFT(a->width, format->log2_chroma_w) : a->width;
    int height = plane > 0 ? AV_CEIL_RSHIFT(a->height, format->log2_chroma_h) : a->height;
    int bytes = format->comp[0].depth > 8 ? 2 : 1;
    int64_t count = 0;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width * bytes; x++)
            count += a->data[plane][(ptrdiff_t)y * a->linesize[plane] + x] !=
                     b->data[plane][(ptrdiff_t)y * b->linesize[plane] + x];
    return count;
}

static void compare_frames(const AVFrame *got, const AVFrame *want, const char *name, int number)
{
    CHECK_STRING(av_get_pix_fmt_name(got->format), av_get_pix_fmt_name(want->format));
    CHECK_INT(got->width, want->width);
    CHECK_INT(got->height, want->height);
    CHECK_INT(got->best_effort_timestamp, want->best_effort_timestamp);
    CHECK_INT(got->color_range, want->color_range);
    CHECK_INT(got->interlaced_frame, want->interlaced_frame);
    for (int plane = 0; plane < 3 && !t_failed(); plane++) {
        int64_t count = differences(got, want, plane);
        if (count > 0)
            t_fail(__FILE__, __LINE__, "%s: frame %d differs in %lld bytes of plane %d", name,
                   number, (long long)count, plane);
    }
}

static void compare_file(const char *path, const char *name)
{
    struct clv_decode on_cpu, on_gpu;
    AVFrame *want = av_frame_alloc(), *got = av_frame_alloc();
    int count = 0, status = CLV_OK;
    REQUIRE_OK(clv_decode_open(&on_cpu, path, AVMEDIA_TYPE_VIDEO, NULL, 1, NULL));
    REQUIRE_OK(clv_decode_open(&on_gpu, path, AVMEDIA_TYPE_VIDEO, gpu, 1, NULL));
    on_gpu.held[0] = got;
    for (; status == CLV_OK && !t_failed(); count++) {
        status = clv_decode_next(&on_cpu, want);
        int other = clv_decode_next(&on_gpu, got);
        if (status != CLV_OK || other != CLV_OK) {
            CHECK_INT(other, status);
            break;
        }
        CHECK(clv_gpu_holds(got));
        CHECK_OK(clv_decode_fetch(&on_gpu, got));
        CHECK(!clv_gpu_holds(got));
        compare_frames(got, want, name, count);
        av_frame_unref(want);
        av_frame_unref(got);
    }
    CHECK(count >= 50);
    av_frame_free(&want);
    av_frame_free(&got);
    clv_decode_close(&on_cpu);
    clv_decode_close(&on_gpu);
}

static void decodes_the_same_frames(void)
{
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        const char *path = serves(&forms[f]) ? make(&forms[f]) : NULL;
        if (path)
            compare_file(path, forms[f].name);
    }
    CHECK(serves(&forms[0]));
}

static void reads_the_same(void)
{
    static const struct transcript_options ways[] = {
        {.thread_count = 1, .detect_cuts = true, .picture_every = 1},
        {.thread_count = 1, .picture_every = 7}};
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        const char *path = serves(&forms[f]) ? make(&forms[f]) : NULL;
        for (size_t w = 0; path && w < 2; w++) {
            struct transcript want, got;
            struct transcript_options way = ways[w];
            transcript_read(&want, path, &way);
            way.decoder = gpu;
            transcript_read(&got, path, &way);
            transcript_compare(&got, &want, forms[f].name);
            way.decoder = both;
            transcript_read(&got, path, &way);
            transcript_compare(&got, &want, forms[f].name);
        }
    }
}

/* What no GPU decodes is the CPU's where that is allowed. */
static void leaves_the_rest_to_the_cpu(void)
{
    static const struct form rest[] = {
        {"", "deep.mp4", "-pix_fmt yuv422p10le -c:v libx264 -g 12"},
        {"", "lossless.mkv", "-c:v ffv1"},
    };
    const struct transcript_options way = {.thread_count = 1, .picture_every = 3};
    for (size_t i = 0; i < 2; i++) {
        const char *path = make(&rest[i]);
        struct transcript want, got;
        struct transcript_options with_gpu = way;
        if (!path)
            return;
        transcript_read(&want, path, &way);
        with_gpu.decoder = both;
        transcript_read(&got, path, &with_gpu);
        transcript_compare(&got, &want, rest[i].name);
        with_gpu.decoder = gpu;
        transcript_read(&got, path, &with_gpu);
        CHECK(got.status == CLV_EDEVICE || got.status == CLV_EUNSUPPORTED);
        CHECK(strstr(got.message, "the GPU") != NULL);
        CHECK_INT(got.frame_count, 0);
    }
}

static void opens(void)
{
    if (clv_decoder_open(&gpu, CLV_DECODER_GPU, 0) == CLV_OK) {
        CHECK_OK(clv_decoder_open(&both, CLV_DECODER_AUTO, 0));
        CHECK(both != NULL);
    } else if (is_required())
        t_fail(__FILE__, __LINE__, "CLV_REQUIRE_CUDA is set: %s", clv_error_message());
    else
        t_skip("%s", clv_error_message());
}

int main(void)
{
    static const struct clip clip = {
        .width = 320, .height = 240, .frame_count = 50, .scene_length = 20};
    T_RUN(opens);
    if (gpu && both) {
        source = clip_write(t_directory(), "source.mp4", &clip);
        T_RUN(decodes_the_same_frames);
        T_RUN(reads_the_same);
        T_RUN(leaves_the_rest_to_the_cpu);
    }
    clv_decoder_close(gpu);
    clv_decoder_close(both);
    return t_end();
}
