#include "cli/naming.h"

#include "core/error.h"
#include "core/file.h"
#include "core/model/catalogue.h"
#include "core/model/pull.h"

#include <stdlib.h>

static int missing(const char *name)
{
    struct clv_catalogue *catalogue = NULL;
    bool is_known = false;
    const struct clv_catalogue_entry *entry = NULL;
    if (clv_catalogue_open(&catalogue, NULL) == CLV_OK)
        entry = clv_catalogue_find(catalogue, name);
    is_known = entry != NULL && !entry->is_vocabulary;
    clv_catalogue_close(catalogue);
    if (is_known)
        return clv_fail(CLV_ENOTFOUND, "model '%s' is not here yet; run claverdb model pull %s",
                        name, name);
    return clv_fail(CLV_ENOTFOUND,
                    "there is no file '%s', and no model of that name to pull (claverdb model "
                    "list shows them)",
                    name);
}

int clv_naming_path(char **out, bool *is_pulled_out, const char *name)
{
    char *path = NULL;
    *out = NULL;
    if (is_pulled_out != NULL)
        *is_pulled_out = false;
    if (clv_model_is_mini(name))
        return clv_fail(CLV_EINVAL,
                        "'%s' is the built-in model, which has no file; a file or folder of that "
                        "name is './%s'",
                        name, name);
    if (clv_file_exists(name))
        return clv_path_absolute(out, name);
    if (!clv_pull_is_name(name))
        return clv_fail(CLV_ENOTFOUND, "there is no model at '%s'", name);
    int status = clv_pull_path(&path, name);
    if (status != CLV_OK)
        return status;
    if (!clv_file_exists(path)) {
        free(path);
        return missing(name);
    }
    if (is_pulled_out != NULL)
        *is_pulled_out = true;
    *out = path;
    return CLV_OK;
}

int clv_naming_open(struct clv_model *out, const char *name,
                    const struct clv_model_options *options)
{
    char *path = NULL;
    if (clv_model_is_mini(name))
        return clv_model_open_mini(out, options);
    *out = (struct clv_model){0};
    int status = clv_naming_path(&path, NULL, name);
    if (status == CLV_OK)
        status = clv_model_open(out, path, options);
    free(path);
    return status;
}
