/* Private to core/model: the files an import is made from. */
#ifndef CLV_CORE_MODEL_IMPORT_SOURCE_H
#define CLV_CORE_MODEL_IMPORT_SOURCE_H

#include "core/digest.h"
#include "core/model/checkpoint.h"
#include "core/model/import.h"
#include "core/model/layout.h"
#include "core/model/layout_config.h"
#include "core/model/vocabulary.h"

/* The checkpoint `path` names: itself, or the one a directory holds under the names Hugging Face
 * and OpenCLIP publish, safetensors before pickles. CLV_ENOTFOUND where a directory holds none,
 * CLV_EINVAL naming two where it holds several and none of those. The caller frees. */
int clv_import_checkpoint(char **out, const char *path);

/* The directory `path` lies in, or `path` where it is one. The caller frees. */
int clv_import_directory(char **out, const char *path);

/* Reads the configuration files beside `checkpoint` that belong to its layout into *out. *name_out
 * is the path of the model's, NULL where there is none; the caller frees. */
int clv_import_configuration(struct clv_layout_config *out, char **name_out,
                             const struct clv_checkpoint *checkpoint,
                             const struct clv_layout *layout);
/* The file that would be read for a checkpoint at `path` with OpenAI's names; NULL where there is
 * none. The caller frees. */
int clv_import_open_clip_path(char **out, const char *path);

/* The vocabulary for a model of `size` ids: that of the options, inside the checkpoint, beside it,
 * in the user's data directory. `out` is empty where none is found or the one found has another
 * size, which `notes` then says; only one named in the options must fit. Pair with
 * clv_vocabulary_files_release() in any case. */
int clv_import_vocabulary(struct clv_vocabulary_files *out, struct clv_checkpoint *checkpoint,
                          const struct clv_import_options *options, int size,
                          struct clv_bytes *notes);

/* OpenAI's list in the user's data directory; NULL where there is none. The caller frees. */
int clv_import_user_vocabulary(char **out);

/* A digest of path, size and modification time of every file that an import of `path` reads or
 * would read if it were there. */
int clv_import_fingerprint(uint8_t out[CLV_DIGEST_BYTES], const char *path,
                           const struct clv_import_options *options);

#endif
