#include "core/model/pull.h"

#include "core/error.h"
#include "core/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 64

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool clv_pull_is_name(const char *name)
{
    if (!is_alphanumeric(name[0]) || strlen(name) > NAME_MAX_BYTES)
        return false;
    for (const char *c = name; *c != '\0'; c++) {
        if (!is_alphanumeric(*c) && strchr("._-", *c) == NULL)
            return false;
    }
    return true;
}

/* DATA/folder/name; the caller frees. */
static int data_path(char **out, const char *folder, const char *name)
{
    char *home = NULL;
    *out = NULL;
    int status = clv_path_data_home(&home);
    if (status == CLV_OK && asprintf(out, "%s/%s/%s", home, folder, name) < 0) {
        *out = NULL;
        status = clv_fail_memory("a path");
    }
    free(home);
    return status;
}

int clv_pull_path(char **out, const char *name)
{
    char file[NAME_MAX_BYTES + sizeof ".safetensors"];
    *out = NULL;
    if (!clv_pull_is_name(name))
        return clv_fail(CLV_EINVAL, "'%s' can be no model's name", name);
    snprintf(file, sizeof file, "%s.safetensors", name);
    return data_path(out, "models", file);
}
