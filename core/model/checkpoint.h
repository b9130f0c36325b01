/* Checkpoints as people have them: any file of named tensors, read one tensor at a time.
 *
 * Formats: safetensors; PyTorch's zip archives (torch.save, TorchScript) and its older plain
 * pickle stream; Hugging Face's sharded sets (`*.index.json` beside the parts). A file of another
 * kind is refused with what it is. Tensors nested in dicts, lists and modules get the path to them
 * as their name, parts joined by '.': `model.visual.proj`, `optimizer.state.0.exp_avg`; a file that
 * is one tensor calls it `tensor`. Modules saved whole name theirs as their state_dict() would.
 * Pickles are read as data; nothing in them is run.
 *
 * Opening checks every tensor's place against the file. Tensors of kinds claverdb has no use for
 * (complex, sparse, quantised, more than 8 dimensions) are skipped, and listed as such. A
 * checkpoint is used by one thread at a time. */
#ifndef CLV_CORE_MODEL_CHECKPOINT_H
#define CLV_CORE_MODEL_CHECKPOINT_H

#include "core/model/weights.h"

struct clv_checkpoint;

enum clv_checkpoint_format {
    CLV_CHECKPOINT_SAFETENSORS,
    CLV_CHECKPOINT_TORCH,        /* a zip archive written by torch.save */
    CLV_CHECKPOINT_TORCH_SCRIPT, /* a zip archive written by torch.jit.save */
    CLV_CHECKPOINT_TORCH_LEGACY, /* torch.save before 1.6 */
    CLV_CHECKPOINT_SHARDED,      /* an index and its parts */
};

/* CLV_ECORRUPT or CLV_EUNSUPPORTED name the file and the reason. */
int clv_checkpoint_open(struct clv_checkpoint **out, const char *path);
void clv_checkpoint_close(struct clv_checkpoint *checkpoint);

const char *clv_checkpoint_path(const struct clv_checkpoint *checkpoint);
enum clv_checkpoint_format clv_checkpoint_format(const struct clv_checkpoint *checkpoint);
/* "safetensors", "TorchScript archive", … */
const char *clv_checkpoint_format_name(enum clv_checkpoint_format format);

size_t clv_checkpoint_count(const struct clv_checkpoint *checkpoint);
/* Name, type, shape and size; `data` is NULL. In order of the file. Borrowed. */
const struct clv_weight_entry *clv_checkpoint_at(const struct clv_checkpoint *checkpoint,
                                                 size_t index);
/* The index of a tensor by name; SIZE_MAX where there is none. */
size_t clv_checkpoint_find(const struct clv_checkpoint *checkpoint, const char *name);
/* Writes the tensor's elements, contiguous in row-major order whatever its strides, into `out` of
 * the entry's size_bytes. CLV_ECORRUPT where its storage is damaged. */
int clv_checkpoint_read(struct clv_checkpoint *checkpoint, size_t index, void *out);

/* Tensors that are there but not read: their names, and why. Borrowed. */
size_t clv_checkpoint_skipped_count(const struct clv_checkpoint *checkpoint);
const char *clv_checkpoint_skipped_at(const struct clv_checkpoint *checkpoint, size_t index,
                                      const char **reason_out);

/* A string, number or bool that is no tensor, by its path ("config.MODEL.MASK_MODE"; metadata of a
 * safetensors file by its key), as text. NULL where there is none. Borrowed. */
const char *clv_checkpoint_setting(const struct clv_checkpoint *checkpoint, const char *path);

#endif
