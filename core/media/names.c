/* Which names look like video files and which like still pictures. */
#include "core/media/reader.h"

#include <string.h>
#include <strings.h>

/* Formats FFmpeg decodes; what other files commonly share (".dat", ".bin") is left out. */
static const char *const video_extensions[] = {
    "264",  "265", "266",  "360",  "3g2",  "3gp",  "amv",      "asf",    "av1",  "avc",   "avi",
    "avs2", "bik", "cmfv", "dav",  "dif",  "divx", "dv",       "dvr-ms", "evo",  "f4v",   "flc",
    "fli",  "flv", "gxf",  "h261", "h263", "h264", "h265",     "hevc",   "insv", "ismv",  "ivf",
    "jpgv", "jsv", "m1v",  "m2p",  "m2t",  "m2ts", "m2v",      "m4v",    "mj2",  "mjpeg", "mjpg",
    "mk3d", "mkv", "mod",  "mov",  "mp4",  "mp4v", "mpe",      "mpeg",   "mpg",  "mpv",   "mts",
    "mxf",  "nsv", "nut",  "obu",  "ogm",  "ogv",  "ogx",      "qt",     "rm",   "rmvb",  "roq",
    "rv",   "smk", "svq",  "tod",  "tp",   "trp",  "ts",       "vc1",    "vob",  "vro",   "vvc",
    "webm", "wm",  "wmv",  "wtv",  "xvid", "y4m",  "yuv4mpeg",
};

static const char *const image_extensions[] = {
    "apng", "avif", "bmp", "dpx", "exr",  "gif",  "jfif", "jp2", "jpe", "jpeg",
    "jpg",  "jxl",  "pam", "pbm", "pcx",  "pgm",  "png",  "pnm", "ppm", "qoi",
    "sgi",  "svg",  "tga", "tif", "tiff", "webp", "xbm",  "xpm",
};

static bool has_extension(const char *path, const char *const *extensions, size_t count)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    if (!dot || dot == name)
        return false;
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(dot + 1, extensions[i]) == 0)
            return true;
    return false;
}

bool clv_media_is_video_name(const char *path)
{
    return has_extension(path, video_extensions,
                         sizeof video_extensions / sizeof *video_extensions);
}

bool clv_media_is_image_name(const char *path)
{
    return has_extension(path, image_extensions,
                         sizeof image_extensions / sizeof *image_extensions);
}
