/* What a command is, and what every command is given. The table of commands is in main.c. */
#ifndef CLV_CLI_COMMAND_H
#define CLV_CLI_COMMAND_H

#include "cli/opt.h"
#include "core/cancel.h"
#include "core/version.h"

#include <stdbool.h>
#include <stdint.h>

enum clv_exit {
    CLV_EXIT_OK = 0,
    CLV_EXIT_NOTHING = 1, /* nothing found, or a comparison failed */
    CLV_EXIT_ERROR = 2,   /* and usage errors */
    CLV_EXIT_UNREAD = 3,  /* some footage could not be read */
    CLV_EXIT_CANCELED = 130,
};

enum clv_when { CLV_WHEN_AUTO, CLV_WHEN_ALWAYS, CLV_WHEN_NEVER };

/* Flags that every command understands. */
struct clv_globals {
    const char *db;
    const char *model;
    const char *vocab;
    int64_t threads;
    const char *device;
    int precision; /* enum clv_precision */
    bool json;
    bool quiet;
    bool verbose;
    int color;    /* enum clv_when */
    int progress; /* enum clv_progress_mode */
    bool help;
    bool version;
};

/* What a command runs with. */
struct clv_cli {
    struct clv_globals flags;
    struct clv_cancel *cancel;
    const void *settings; /* the command's own flags, of its settings type */
    const char *const *operands;
    int operand_count;
};

/* Returns an enum clv_exit, or a negative status whose recorded message main() prints. */
typedef int clv_command_run(const struct clv_cli *cli);

struct clv_command {
    const char *name;        /* one word or two ("model info") */
    const char *operands;    /* as shown: "PATH…" */
    const char *summary;     /* one line, lower case */
    const char *description; /* paragraphs, parted by newlines */
    const char *example;     /* lines */
    int operand_min;
    int operand_max; /* -1: any number */
    const struct clv_opt *opts;
    size_t settings_size;
    const void *defaults;
    clv_command_run *run;
    bool computes; /* runs a model, on several threads */
};

extern const struct clv_command clv_command_index, clv_command_search, clv_command_export,
    clv_command_ls, clv_command_status, clv_command_check, clv_command_rebuild, clv_command_forget,
    clv_command_model_info, clv_command_model_import, clv_command_model_tensors,
    clv_command_model_compare, clv_command_model_list, clv_command_model_pull,
    clv_command_model_verify, clv_command_model_vocabulary, clv_command_demo, clv_command_train,
    clv_command_eval, clv_command_doctor, clv_command_help, clv_command_version;

/* In the order help shows them; NULL at the end. */
extern const struct clv_command *const clv_commands[];
/* Global flags and their defaults. */
extern const struct clv_opt clv_global_opts[];
extern const struct clv_globals clv_global_defaults;

/* The command called `name` (NULL) and, where there is none, the nearest one's name in *nearest_out
 * (may be NULL, and points to NULL where nothing is near). */
const struct clv_command *clv_command_find(const char *name, const char **nearest_out);

/* Runs a whole command line, argv[0] being the program: what main() does, short of saying what
 * went wrong. */
int clv_command_line(int argc, char **argv);

#endif
