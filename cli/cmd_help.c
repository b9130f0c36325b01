/* `help` and `version`: what the program says about itself. */
#include "cli/command.h"
#include "cli/device.h"
#include "cli/help.h"
#include "cli/out.h"
#include "core/archive.h"
#include "core/compute/device.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/fetch.h"
#include "core/json.h"
#include "core/media/reader.h"
#include "storage/store.h"

#include <stdio.h>
#include <string.h>

struct settings {
    bool man;
    int completion;
};

static const char *const shells[] = {"none", "bash", "zsh", "fish", NULL};
static const struct settings defaults = {0};
static const struct clv_opt opts[] = {
    {.name = "man",
     .kind = CLV_OPT_BOOL,
     .offset = offsetof(struct settings, man),
     .help = "print the man page (roff)"},
    {.name = "completion",
     .kind = CLV_OPT_ENUM,
     .offset = offsetof(struct settings, completion),
     .enums = shells,
     .help = "print the completion script of a shell"},
    {.name = NULL},
};

static int run_help(const struct clv_cli *cli)
{
    const struct settings *settings = cli->settings;
    if (settings->man) {
        clv_help_man(stdout);
        return CLV_EXIT_OK;
    }
    if (settings->completion > 0) {
        static void (*const writers[])(FILE *) = {NULL, clv_help_bash, clv_help_zsh, clv_help_fish};
        writers[settings->completion](stdout);
        return CLV_EXIT_OK;
    }
    if (cli->operand_count == 0) {
        clv_help_program(stdout);
        return CLV_EXIT_OK;
    }
    char name[64];
    snprintf(name, sizeof name, "%s%s%s", cli->operands[0], cli->operand_count > 1 ? " " : "",
             cli->operand_count > 1 ? cli->operands[1] : "");
    const struct clv_command *command = clv_command_find(name, NULL);
    if (command != NULL) {
        clv_help_command(stdout, command);
        return CLV_EXIT_OK;
    }
    /* "help model": every command of that family. */
    bool found = false;
    size_t size = strlen(name);
    for (int i = 0; clv_commands[i] != NULL; i++) {
        if (strncmp(clv_commands[i]->name, name, size) == 0 && clv_commands[i]->name[size] == ' ') {
            if (found)
                putchar('\n');
            clv_help_command(stdout, clv_commands[i]);
            found = true;
        }
    }
    return found
               ? CLV_EXIT_OK
               : clv_fail(CLV_EINVAL, "there is no command '%s'; 'claverdb help' lists them", name);
}

const struct clv_command clv_command_help = {
    .name = "help",
    .operands = "[COMMAND]",
    .summary = "explain the program or a command",
    .description = "Explains the program, or one command. Also writes the man page and shell "
                   "completion, which come from the same tables as this text.",
    .example = "claverdb help search\n"
               "claverdb help --man | man -l -\n"
               "claverdb help --completion bash > claverdb.bash",
    .operand_max = 2,
    .opts = opts,
    .settings_size = sizeof(struct settings),
    .defaults = &defaults,
    .run = run_help,
};

static int run_version(const struct clv_cli *cli)
{
    struct clv_device *device = NULL;
    int status = clv_cli_open_device(&device, cli);
    if (status != CLV_OK)
        return status;
    char store[CLV_STORE_VERSION_SIZE];
    const char *const lines[] = {clv_device_name(device),  clv_media_version(),
                                 clv_store_version(store), clv_digest_version(),
                                 clv_json_version(),       clv_archive_version(),
                                 clv_fetch_version()};
    enum { LINES = sizeof lines / sizeof lines[0] };
    if (cli->flags.json) {
        struct clv_json *object = clv_json_object();
        struct clv_json *parts = clv_json_array();
        clv_json_put_string(object, "type", "version");
        clv_json_put_string(object, "claverdb", CLV_VERSION);
        for (int i = 0; i < LINES; i++)
            clv_json_append_string(parts, lines[i]);
        clv_json_put(object, "parts", parts);
        status = clv_out_json(object);
    } else {
        printf("claverdb %s\n", CLV_VERSION);
        for (int i = 0; i < LINES; i++)
            printf("%s\n", lines[i]);
    }
    clv_device_close(device);
    return status;
}

static const struct clv_opt no_opts[] = {{.name = NULL}};

const struct clv_command clv_command_version = {
    .name = "version",
    .operands = "",
    .summary = "say which version this is",
    .description = "Prints the version of claverdb and of the libraries it uses.",
    .example = "",
    .opts = no_opts,
    .defaults = &defaults,
    .run = run_version,
};
