/* The program: the tables of commands and global flags, signals, and the exit status. */
#include "cli/command.h"
#include "cli/help.h"
#include "cli/out.h"
#include "cli/progress.h"
#include "core/error.h"
#include "core/log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One a line, so that the order help shows is plain. */
// clang-format off
const struct clv_command *const clv_commands[] = {
    &clv_command_index,
    &clv_command_search,
    &clv_command_export,
    &clv_command_ls,
    &clv_command_status,
    &clv_command_check,
    &clv_command_rebuild,
    &clv_command_forget,
    &clv_command_train,
    &clv_command_eval,
    &clv_command_model_info,
    &clv_command_model_import,
    &clv_command_model_tensors,
    &clv_command_model_compare,
    &clv_command_model_list,
    &clv_command_model_pull,
    &clv_command_model_verify,
    &clv_command_model_vocabulary,
    &clv_command_demo,
    &clv_command_doctor,
    &clv_command_help,
    &clv_command_version,
    NULL,
};
// clang-format on

static const char *const precisions[] = {"fp32", "tf32", "bf16", NULL};
static const char *const whens[] = {"auto", "always", "never", NULL};
static const char *const modes[] = {"auto", "bar", "plain", "json", "none", NULL};

const struct clv_globals clv_global_defaults = {0};
#define GLOBAL(field) .offset = offsetof(struct clv_globals, field)
const struct clv_opt clv_global_opts[] = {
    {.name = "db",
     .kind = CLV_OPT_STRING,
     GLOBAL(db),
     .value_name = "DIR",
     .help = "the database; by default ~/.local/share/claverdb/db"},
    {.name = "model",
     .kind = CLV_OPT_STRING,
     GLOBAL(model),
     .value_name = "MODEL",
     .help = "CLAVER or CLIP weights, as file, directory or name of a pulled model, or 'mini', the "
             "built-in one; by default those the database was indexed with, else mini"},
    {.name = "vocab",
     .kind = CLV_OPT_STRING,
     GLOBAL(vocab),
     .value_name = "FILE",
     .help = "the model's vocabulary; by default what lies beside its weights"},
    {.name = "threads",
     .kind = CLV_OPT_INTEGER,
     GLOBAL(threads),
     .value_name = "N",
     .minimum = 0,
     .maximum = 1024,
     .help = "threads that compute; 0 or nothing: all cores"},
    {.name = "device",
     .kind = CLV_OPT_STRING,
     GLOBAL(device),
     .value_name = "DEVICE",
     .help = "what computes: auto, cpu, cuda or cuda:N; auto: the first CUDA device if there is "
             "one. 'claverdb doctor' lists them; train takes several, as cuda:0,1 or cuda:all"},
    {.name = "precision",
     .kind = CLV_OPT_ENUM,
     GLOBAL(precision),
     .enums = precisions,
     .help = "what a CUDA device multiplies with; sums stay fp32, and so does the CPU"},
    {.name = "json",
     .kind = CLV_OPT_BOOL,
     GLOBAL(json),
     .help = "JSON lines on standard output; each object has a \"type\""},
    {.name = "quiet",
     .letter = 'q',
     .kind = CLV_OPT_BOOL,
     GLOBAL(quiet),
     .help = "no progress, no warnings"},
    {.name = "verbose",
     .letter = 'v',
     .kind = CLV_OPT_BOOL,
     GLOBAL(verbose),
     .help = "say more about what is being done, on standard error"},
    {.name = "color",
     .kind = CLV_OPT_ENUM,
     GLOBAL(color),
     .enums = whens,
     .help = "colours; auto: on a terminal, unless NO_COLOR is set"},
    {.name = "progress",
     .kind = CLV_OPT_ENUM,
     GLOBAL(progress),
     .enums = modes,
     .help =
         "progress on standard error; auto: a bar on a terminal, a line now and then elsewhere"},
    {.name = "help",
     .letter = 'h',
     .kind = CLV_OPT_BOOL,
     GLOBAL(help),
     .no_environment = true,
     .help = "explain the command"},
    {.name = "version",
     .kind = CLV_OPT_BOOL,
     GLOBAL(version),
     .no_environment = true,
     .help = "print versions"},
    {.name = NULL},
};

/* ---- signals ---- */

static struct clv_cancel cancel;

/* The first asks to stop, the second gets what it wants. */
static void stop(int number)
{
    if (clv_cancelled(&cancel)) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    clv_cancel_request(&cancel);
}

static void catch_signals(void)
{
    /* No SA_RESTART: a blocking read shall come back and look at the request. */
    struct sigaction action = {.sa_handler = stop};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* A closed pipe or a file-size limit is a write error like any other. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

static void print_log(enum clv_log_level level, const char *line, void *payload)
{
    (void)payload;
    if (level >= CLV_LOG_WARNING)
        clv_out_warning("%s", line);
    else
        clv_out_error("%s", line);
}

/* ---- finding the command ---- */

const struct clv_command *clv_command_find(const char *name, const char **nearest_out)
{
    const char *nearest = NULL;
    int fewest = strlen(name) < 4 ? 2 : 3;
    for (int i = 0; clv_commands[i] != NULL; i++) {
        int edits = clv_opt_edits(name, clv_commands[i]->name);
        if (edits == 0)
            return clv_commands[i];
        if (edits < fewest) {
            fewest = edits;
            nearest = clv_commands[i]->name;
        }
    }
    if (nearest_out != NULL)
        *nearest_out = nearest;
    return NULL;
}

/* True where commands of two words begin with this one. */
static bool is_family(const char *word)
{
    size_t size = strlen(word);
    for (int i = 0; clv_commands[i] != NULL; i++) {
        if (strncmp(clv_commands[i]->name, word, size) == 0 && clv_commands[i]->name[size] == ' ')
            return true;
    }
    return false;
}

/* Reads global flags up to the command's name. *command_out is NULL where there is no operand. */
static int find_command(const struct clv_command **command_out, const struct clv_opt_set *globals,
                        int argc, char **argv, int *index_io)
{
    const char *word = NULL;
    int count = 0;
    *command_out = NULL;
    int status = clv_opt_parse(globals, 1, argc, argv, index_io, true, &word, &count);
    if (status != CLV_OK || count == 0)
        return status;
    char name[64];
    snprintf(name, sizeof name, "%s", word);
    if (is_family(word)) {
        const char *second = NULL;
        status = clv_opt_parse(globals, 1, argc, argv, index_io, true, &second, &count);
        if (status != CLV_OK)
            return status;
        if (count == 0 && ((struct clv_globals *)globals->values)->help)
            second = "info";
        else if (count == 0)
            return clv_fail(CLV_EINVAL, "'%s' needs a second word; 'claverdb help %s' lists them",
                            word, word);
        snprintf(name, sizeof name, "%s %s", word, second);
    }
    const char *nearest = NULL;
    *command_out = clv_command_find(name, &nearest);
    if (*command_out != NULL)
        return CLV_OK;
    if (nearest != NULL)
        return clv_fail(CLV_EINVAL, "there is no command '%s'; did you mean '%s'?", name, nearest);
    return clv_fail(CLV_EINVAL, "there is no command '%s'; 'claverdb help' lists them", name);
}

static int check_operands(const struct clv_command *command, const struct clv_cli *cli)
{
    if (cli->operand_count < command->operand_min)
        return clv_fail(CLV_EINVAL, "'%s' needs more operands: claverdb %s %s", command->name,
                        command->name, command->operands);
    if (command->operand_max >= 0 && cli->operand_count > command->operand_max)
        return clv_fail(CLV_EINVAL, "'%s' does not take '%s'%s", command->name,
                        cli->operands[command->operand_max],
                        command->operand_max == 1 ? "; quote a text of several words" : "");
    return CLV_OK;
}

/* ---- running it ---- */

/* The threads of an OpenMP team wait for one another by spinning, for milliseconds: as soon as
 * anything else runs on the machine, most of the time goes into that. libgomp reads how long to
 * spin when it is loaded and never again, so the program has to be started anew to tell it.
 * Whoever has set either variable knows better. */
static void stop_spinning(char **argv)
{
    if (getenv("OMP_WAIT_POLICY") != NULL || getenv("GOMP_SPINCOUNT") != NULL)
        return;
    if (setenv("GOMP_SPINCOUNT", "1000", 1) == 0)
        execv("/proc/self/exe", argv);
    /* Where that cannot be (no /proc), it only is slower. */
}

static int run_command(struct clv_cli *cli, const struct clv_command *command,
                       const struct clv_opt_set *globals, int argc, char **argv, int index)
{
    int status = CLV_OK;
    size_t size = command->settings_size;
    void *settings = calloc(1, size == 0 ? 1 : size);
    const char **operands = calloc((size_t)argc + 1, sizeof *operands);
    if (settings == NULL || operands == NULL) {
        status = clv_fail_memory("the command line");
        goto done;
    }
    memcpy(settings, command->defaults, size);
    struct clv_opt_set sets[] = {{command->opts, settings, command->defaults}, *globals};
    status = clv_opt_environment(&sets[0]);
    if (status == CLV_OK)
        status = clv_opt_parse(sets, 2, argc, argv, &index, false, operands, &cli->operand_count);
    cli->operands = operands;
    cli->settings = settings;
    if (status != CLV_OK)
        goto done;
    clv_out_init(cli->flags.color);
    if (cli->flags.help) {
        clv_help_command(stdout, command);
        goto done;
    }
    status = check_operands(command, cli);
    if (status != CLV_OK)
        goto done;
    if (!cli->flags.quiet)
        clv_log_set(print_log, NULL, cli->flags.verbose ? CLV_LOG_DEBUG : CLV_LOG_WARNING);
    status = command->run(cli);
    clv_progress_clear();
done:
    free(operands);
    free(settings);
    return status;
}

int clv_command_line(int argc, char **argv)
{
    struct clv_cli cli = {.flags = clv_global_defaults, .cancel = &cancel};
    struct clv_opt_set globals = {clv_global_opts, &cli.flags, &clv_global_defaults};
    const struct clv_command *command = NULL;
    int index = 1;
    int status = clv_opt_environment(&globals);
    if (status == CLV_OK)
        status = find_command(&command, &globals, argc, argv, &index);
    if (status != CLV_OK)
        return status;
    clv_out_init(cli.flags.color);
    if (cli.flags.version)
        command = &clv_command_version;
    if (command != NULL && command->computes)
        stop_spinning(argv);
    if (command != NULL)
        return run_command(&cli, command, &globals, argc, argv, index);
    clv_help_program(cli.flags.help ? stdout : stderr);
    return cli.flags.help ? CLV_EXIT_OK : CLV_EXIT_ERROR;
}

int main(int argc, char **argv)
{
    catch_signals();
    int result = clv_command_line(argc, argv);
    if (result == CLV_ECANCELED) {
        clv_out_error("%s", clv_error_message());
        result = CLV_EXIT_CANCELED;
    } else if (result < 0) {
        clv_out_error("%s", clv_error_message());
        result = CLV_EXIT_ERROR;
    }
    if (clv_out_finish() != CLV_OK) {
        clv_out_error("%s", clv_error_message());
        if (result != CLV_EXIT_CANCELED)
            result = CLV_EXIT_ERROR;
    }
    return result;
}
