/* From any CLIP-family checkpoint to one safetensors file that is a whole model: weights under the
 * published CLAVER/CLIP names in their own precision, metadata, and the vocabulary. */
#ifndef CLV_CORE_MODEL_IMPORT_H
#define CLV_CORE_MODEL_IMPORT_H

#include "core/bytes.h"
#include "core/cancel.h"

#include <stdbool.h>
#include <stdint.h>

/* What the checkpoint does not say, or says wrongly. Zeros and NULLs: found out from the tensors,
 * the configuration files beside them, and the layout's published values. */
struct clv_import_options {
    const char
        *vocabulary_path; /* NULL: beside the checkpoint, else in the user's data directory */
    /* A CLIP checkpoint that lends what this one leaves out. ViFi-CLIP's trainer keeps no token
     * embedding (it stores its prompts already embedded, and never trains it), so its files need
     * the OpenAI CLIP they were tuned from. May be NULL. */
    const char *base_path;
    const char *mask;       /* "KMT", "KMCT" */
    const char *activation; /* "quick_gelu", "gelu" */
    const char *pixels;     /* "clip", "imagenet": mean and deviation */
    const char *resize;     /* "bicubic", "bilinear" */
    int vision_heads;
    int text_heads;
    struct clv_cancel *cancel; /* may be NULL */
};

/* Zero-initialise; pair with clv_import_report_release(). */
struct clv_import_report {
    const char *format; /* "TorchScript archive", … */
    const char *layout; /* "OpenAI", "CLAVER", "Hugging Face", "OpenCLIP", "ViFi-CLIP" */
    int tensor_count;   /* written */
    int ignored_count;  /* of the checkpoint, left out */
    int64_t written_bytes;
    bool has_vocabulary;
    struct clv_bytes notes; /* sentences for the user, one a line: what was ignored or assumed */
};
void clv_import_report_release(struct clv_import_report *report);

/* Imports `path` (a file, or a directory as Hugging Face and OpenCLIP publish it) into `out_path`,
 * written atomically and the same byte for byte each time. Holds one tensor in memory at a time.
 * CLV_ECORRUPT naming every missing and mis-shaped tensor in one message; CLV_EUNSUPPORTED naming
 * what makes it another kind of model. `report` may be NULL. */
int clv_import(const char *path, const char *out_path, const struct clv_import_options *options,
               struct clv_import_report *report);

/* The file to open for the model at `path`: `path` itself where it is a safetensors file under the
 * published names, otherwise its import in the user's cache directory, made now or found from
 * before (known by path, size and modification time of every file read). The caller frees. */
int clv_import_cached(char **out, const char *path, const struct clv_import_options *options,
                      struct clv_import_report *report);

#endif
