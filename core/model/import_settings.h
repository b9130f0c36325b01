/* Private to core/model: the metadata of an import. First hints, from whoever knows: the user, the
 * checkpoint, the configuration files, the layout's published values; then, of the config inferred
 * with them, everything that changes results, spelt out. */
#ifndef CLV_CORE_MODEL_IMPORT_SETTINGS_H
#define CLV_CORE_MODEL_IMPORT_SETTINGS_H

#include "core/bytes.h"
#include "core/model/config.h"
#include "core/model/import.h"
#include "core/model/layout.h"
#include "core/model/layout_config.h"

#define CLV_SETTING_MAX 16

/* Copied by assignment only with `items` pointed anew; so is not copied. */
struct clv_import_settings {
    struct clv_weight_metadata items[CLV_SETTING_MAX];
    char values[CLV_SETTING_MAX][96];
    size_t count;
};

/* Appends to `notes` what had to be assumed. CLV_EINVAL for options that make no sense;
 * CLV_EUNSUPPORTED where pixels are asked for that claverdb cannot make. */
int clv_import_hints(struct clv_import_settings *out, const struct clv_checkpoint *checkpoint,
                     const struct clv_layout *layout, const struct clv_layout_config *said,
                     bool has_config, const struct clv_import_options *options,
                     struct clv_bytes *notes);

/* The full metadata of a model of this config. */
void clv_import_metadata(struct clv_import_settings *out, const struct clv_model_config *config,
                         const struct clv_import_settings *hints, enum clv_layout_kind kind);

/* Whether the configuration files say the same as the tensors. CLV_ECORRUPT with both numbers;
 * `name` is the configuration file's. */
int clv_import_agree(const struct clv_model_config *config, const struct clv_layout_config *said,
                     const char *name);

#endif
