/* The only parser of the command line: flags described by tables, from which help, completion and
 * the man page come too.
 *
 * A flag is `--name VALUE`, `--name=VALUE`, `-nVALUE` or `-n VALUE`; a boolean one is `--name`,
 * `--no-name`, or a letter that may be bundled with others. `--no-name` returns a flag with a value
 * to its default. Flags and operands mix; after `--` everything is an operand. The last one wins,
 * and the command line wins over the environment (CLAVERDB_NAME, '-' written as '_'). */
#ifndef CLV_CLI_OPT_H
#define CLV_CLI_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum clv_opt_kind {
    CLV_OPT_BOOL,    /* bool */
    CLV_OPT_STRING,  /* const char * */
    CLV_OPT_LIST,    /* struct clv_opt_list: a string each time the flag is given */
    CLV_OPT_INTEGER, /* int64_t */
    CLV_OPT_NUMBER,  /* double */
    CLV_OPT_TIME,    /* int64_t, milliseconds: "83.5", "1:23.5", "500ms", "2s", "3m", "1h" */
    CLV_OPT_ENUM,    /* int, index of the choice */
};

#define CLV_OPT_LIST_MAX 32
struct clv_opt_list {
    const char *items[CLV_OPT_LIST_MAX];
    int count;
};

/* One flag; a table ends with a NULL name. */
struct clv_opt {
    const char *name;
    char letter; /* 0: none */
    enum clv_opt_kind kind;
    size_t offset;            /* of the value in the settings structure */
    const char *value_name;   /* "DIR"; NULL for booleans and enums */
    const char *const *enums; /* choices, NULL-terminated */
    double minimum, maximum;  /* of the value (times: milliseconds); equal: no limit */
    bool no_environment;      /* --help and --version */
    const char *help;         /* one sentence or two */
};

/* A table with the structure its values go into and the one that holds the defaults. */
struct clv_opt_set {
    const struct clv_opt *opts;
    void *values;
    const void *defaults;
};

/* Takes the values of the set's environment variables. CLV_EINVAL names the variable. An empty
 * variable counts as unset. */
int clv_opt_environment(const struct clv_opt_set *set);

/* Reads argv[*index_io ..]: flags of the sets into their values, operands moved to `operands_out`
 * (room for argc; borrowed from argv). Stops before the second operand where `one_operand`, leaving
 * *index_io at what comes next. CLV_EINVAL with one sentence for whoever typed it. */
int clv_opt_parse(const struct clv_opt_set *sets, int set_count, int argc, char **argv,
                  int *index_io, bool one_operand, const char **operands_out,
                  int *operand_count_out);

/* True for a boolean that is on unless `--no-name` is given: help shows that form. */
bool clv_opt_is_on(const struct clv_opt *opt, const void *defaults);
/* "CLAVERDB_NAME" into `out`. */
#define CLV_OPT_VARIABLE_SIZE 64
char *clv_opt_variable(char out[CLV_OPT_VARIABLE_SIZE], const struct clv_opt *opt);
/* What stands for the value in help ("DIR", "auto|always|never"), "" for booleans. */
#define CLV_OPT_VALUE_SIZE 64
char *clv_opt_value_text(char out[CLV_OPT_VALUE_SIZE], const struct clv_opt *opt);

/* How many single-character edits lead from `a` to `b`; for "did you mean". */
int clv_opt_edits(const char *a, const char *b);

#endif
