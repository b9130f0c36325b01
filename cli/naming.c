#include "cli/naming.h"

#include "core/error.h"
#include "core/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a model pulled under `name` lies, whether it is there or not. */
static int pulled_path(char **out, const char *name)
{
    char *home = NULL;
    int status = clv_path_data_home(&home);
    *out = NULL;
    if (status == CLV_OK && asprintf(out, "%s/models/%s.safetensors", home, name) < 0) {
        *out = NULL;
        status = clv_fail_memory("a path");
    }
    free(home);
    return status;
}

int clv_naming_path(char **out, bool *is_pulled_out, const char *name)
{
    char *path = NULL;
    *out = NULL;
    if (is_pulled_out != NULL)
        *is_pulled_out = false;
    if (clv_file_exists(name))
        return clv_path_absolute(out, name);
    bool is_name = strchr(name, '/') == NULL;
    int status = is_name ? pulled_path(&path, name) : CLV_OK;
    if (status == CLV_OK && path != NULL && clv_file_exists(path)) {
        if (is_pulled_out != NULL)
            *is_pulled_out = true;
        *out = path;
        return CLV_OK;
    }
    free(path);
    if (status != CLV_OK)
        return status;
    if (!is_name)
        return clv_fail(CLV_ENOTFOUND, "there is no model at '%s'", name);
    return clv_fail(CLV_ENOTFOUND,
                    "there is no file '%s', and no model of that name to pull (claverdb model "
                    "list shows them)",
                    name);
}
