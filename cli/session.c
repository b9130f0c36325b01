#include "cli/session.h"

#include "cli/command.h"
#include "cli/device.h"
#include "cli/out.h"
#include "core/bytes.h"
#include "core/error.h"
#include "core/file.h"

#include <stdlib.h>
#include <string.h>

static int find_directory(struct clv_session *session)
{
    if (session->cli->flags.db != NULL) {
        session->directory = strdup(session->cli->flags.db);
        return session->directory == NULL ? clv_fail_memory("the database's path") : CLV_OK;
    }
    char *home = NULL;
    int status = clv_path_data_home(&home);
    if (status != CLV_OK)
        return clv_fail(CLV_ENOTFOUND,
                        "neither XDG_DATA_HOME nor HOME is set; name the database with --db");
    session->directory = clv_path_join(home, "db");
    free(home);
    return session->directory == NULL ? CLV_ENOMEM : CLV_OK;
}

int clv_session_open_store(struct clv_session *session, const struct clv_cli *cli, bool create)
{
    session->cli = cli;
    int status = find_directory(session);
    if (status != CLV_OK)
        return status;
    struct clv_store_options options = {.create = create};
    status = clv_store_open(&session->store, session->directory, &options);
    if (status == CLV_ENOTFOUND && !create)
        return clv_fail(CLV_ENOTFOUND,
                        "no database at '%s'; run claverdb index first, or name "
                        "another with --db",
                        session->directory);
    return status;
}

int clv_session_open_device(struct clv_session *session)
{
    return clv_cli_open_device(&session->device, session->cli);
}

/* `path` with what a pattern would take for its own made literal. */
static void add_literal(struct clv_bytes *out, const char *path)
{
    for (; *path != '\0'; path++) {
        if (strchr("*?[", *path) != NULL)
            clv_bytes_format(out, "[%c]", *path);
        else
            clv_bytes_add(out, path, 1);
    }
}

char *clv_session_glob(const char *operand)
{
    struct clv_bytes pattern = {0};
    struct clv_file_facts facts;
    char *absolute = NULL;
    if (clv_path_absolute(&absolute, operand) == CLV_OK &&
        clv_file_facts(&facts, absolute) == CLV_OK) {
        add_literal(&pattern, absolute);
        if (facts.is_directory)
            clv_bytes_text(&pattern, strcmp(absolute, "/") == 0 ? "*" : "/*");
    } else {
        clv_error_clear();
        clv_bytes_text(&pattern, operand + (strncmp(operand, "./", 2) == 0 ? 2 : 0));
    }
    free(absolute);
    if (pattern.status != CLV_OK || pattern.data == NULL) {
        clv_bytes_release(&pattern);
        clv_fail_memory("a pattern");
        return NULL;
    }
    return pattern.data;
}

void clv_session_release(struct clv_session *session)
{
    if (session->has_model)
        clv_model_release(&session->model);
    clv_session_free_models(session);
    clv_device_close(session->device);
    clv_store_close(session->store);
    free(session->model_name);
    free(session->directory);
}
