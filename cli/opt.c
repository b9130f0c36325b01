#include "cli/opt.h"

#include "core/error.h"
#include "core/time.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The flag found, and how it was spelled, for messages. */
struct match {
    const struct clv_opt_set *set;
    const struct clv_opt *opt;
    bool negated;
    char spelling[CLV_OPT_VALUE_SIZE];
};

/* ---- values ---- */

static void *value_of(const struct clv_opt_set *set, const struct clv_opt *opt)
{
    return (char *)set->values + opt->offset;
}

static size_t value_size(enum clv_opt_kind kind)
{
    switch (kind) {
    case CLV_OPT_BOOL:
        return sizeof(bool);
    case CLV_OPT_STRING:
        return sizeof(const char *);
    case CLV_OPT_LIST:
        return sizeof(struct clv_opt_list);
    case CLV_OPT_NUMBER:
        return sizeof(double);
    case CLV_OPT_ENUM:
        return sizeof(int);
    case CLV_OPT_INTEGER:
    case CLV_OPT_TIME:
        break;
    }
    return sizeof(int64_t);
}

static bool parse_integer(int64_t *out, const char *text)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || isspace((unsigned char)text[0]))
        return false;
    *out = value;
    return true;
}

static bool parse_number(double *out, const char *text)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || isspace((unsigned char)text[0]))
        return false;
    *out = value;
    return true;
}

/* A clock time, or a number with a unit. */
static bool parse_time(int64_t *out, const char *text)
{
    static const struct {
        const char *suffix;
        double ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    char digits[32];
    size_t length = strlen(text);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t tail = strlen(units[i].suffix);
        if (length <= tail || length - tail >= sizeof digits ||
            strcmp(text + length - tail, units[i].suffix) != 0)
            continue;
        memcpy(digits, text, length - tail);
        digits[length - tail] = '\0';
        double value = 0;
        if (!parse_number(&value, digits) || fabs(value * units[i].ms) > 1e15)
            return false;
        *out = llround(value * units[i].ms);
        return true;
    }
    return clv_time_parse(out, text) == 0;
}

static bool parse_bool(bool *out, const char *text)
{
    static const char *const words[] = {"0", "1", "false", "true", "no", "yes", "off", "on"};
    for (int i = 0; i < 8; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = i % 2 != 0;
            return true;
        }
    }
    return false;
}

static int check_range(const struct clv_opt *opt, const char *spelling, const char *text,
                       double value)
{
    if (opt->minimum == opt->maximum || (value >= opt->minimum && value <= opt->maximum))
        return CLV_OK;
    if (opt->kind == CLV_OPT_TIME) {
        char low[CLV_TIME_TEXT_SIZE];
        char high[CLV_TIME_TEXT_SIZE];
        return clv_fail(CLV_EINVAL, "%s takes times from %s to %s, not '%s'", spelling,
                        clv_time_format(low, (int64_t)opt->minimum),
                        clv_time_format(high, (int64_t)opt->maximum), text);
    }
    return clv_fail(CLV_EINVAL, "%s takes values from %.15g to %.15g, not '%s'", spelling,
                    opt->minimum, opt->maximum, text);
}

static int set_enum(int *out, const struct clv_opt *opt, const char *spelling, const char *text)
{
    for (int i = 0; opt->enums[i] != NULL; i++) {
        if (strcmp(opt->enums[i], text) == 0) {
            *out = i;
            return CLV_OK;
        }
    }
    char choices[CLV_OPT_VALUE_SIZE];
    return clv_fail(CLV_EINVAL, "%s takes one of %s, not '%s'", spelling,
                    clv_opt_value_text(choices, opt), text);
}

static int set_string(const char **out, const struct clv_opt *opt, const char *spelling,
                      const char *text)
{
    if (text[0] == '\0')
        return clv_fail(CLV_EINVAL, "%s needs a %s, not an empty text", spelling, opt->value_name);
    *out = text;
    return CLV_OK;
}

static int add_string(struct clv_opt_list *list, const struct clv_opt *opt, const char *spelling,
                      const char *text)
{
    if (list->count == CLV_OPT_LIST_MAX)
        return clv_fail(CLV_EINVAL, "%s is given more than %d times", spelling, CLV_OPT_LIST_MAX);
    return set_string(&list->items[list->count++], opt, spelling, text);
}

static int set_value(const struct clv_opt_set *set, const struct clv_opt *opt, const char *spelling,
                     const char *text)
{
    void *value = value_of(set, opt);
    switch (opt->kind) {
    case CLV_OPT_BOOL:
        if (!parse_bool(value, text))
            return clv_fail(CLV_EINVAL, "%s is on or off (1 or 0), not '%s'", spelling, text);
        return CLV_OK;
    case CLV_OPT_STRING:
        return set_string(value, opt, spelling, text);
    case CLV_OPT_LIST:
        return add_string(value, opt, spelling, text);
    case CLV_OPT_INTEGER:
        if (!parse_integer(value, text))
            return clv_fail(CLV_EINVAL, "%s needs a whole number, not '%s'", spelling, text);
        return check_range(opt, spelling, text, (double)*(int64_t *)value);
    case CLV_OPT_NUMBER:
        if (!parse_number(value, text))
            return clv_fail(CLV_EINVAL, "%s needs a number, not '%s'", spelling, text);
        return check_range(opt, spelling, text, *(double *)value);
    case CLV_OPT_TIME:
        if (!parse_time(value, text))
            return clv_fail(CLV_EINVAL, "%s needs a time such as 83.5, 1:23.5 or 500ms, not '%s'",
                            spelling, text);
        return check_range(opt, spelling, text, (double)*(int64_t *)value);
    case CLV_OPT_ENUM:
        return set_enum(value, opt, spelling, text);
    }
    return CLV_OK;
}

/* ---- finding flags ---- */

int clv_opt_edits(const char *a, const char *b)
{
    enum { MAX = 48 };
    int row[MAX + 1];
    size_t length_a = strlen(a);
    size_t length_b = strlen(b);
    if (length_a > MAX || length_b > MAX)
        return MAX;
    for (size_t j = 0; j <= length_b; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= length_a; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= length_b; j++) {
            int replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            int best = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = replaced < best ? replaced : best;
        }
    }
    return row[length_b];
}

static int fail_unknown(const struct clv_opt_set *sets, int set_count, const char *name)
{
    const char *nearest = NULL;
    int fewest = strlen(name) < 4 ? 2 : 4;
    for (int s = 0; s < set_count; s++) {
        for (const struct clv_opt *opt = sets[s].opts; opt->name != NULL; opt++) {
            int edits = clv_opt_edits(name, opt->name);
            if (edits < fewest) {
                fewest = edits;
                nearest = opt->name;
            }
        }
    }
    if (nearest != NULL)
        return clv_fail(CLV_EINVAL, "unknown flag '--%s'; did you mean --%s?", name, nearest);
    return clv_fail(CLV_EINVAL, "unknown flag '--%s'", name);
}

static bool find_long(struct match *out, const struct clv_opt_set *sets, int set_count,
                      const char *name)
{
    bool has_no = strncmp(name, "no-", 3) == 0;
    for (int s = 0; s < set_count; s++) {
        for (const struct clv_opt *opt = sets[s].opts; opt->name != NULL; opt++) {
            bool plain = strcmp(opt->name, name) == 0;
            if (!plain && !(has_no && strcmp(opt->name, name + 3) == 0))
                continue;
            *out = (struct match){.set = &sets[s], .opt = opt, .negated = !plain};
            snprintf(out->spelling, sizeof out->spelling, "--%s", name);
            return true;
        }
    }
    return false;
}

static bool find_letter(struct match *out, const struct clv_opt_set *sets, int set_count,
                        char letter)
{
    for (int s = 0; s < set_count; s++) {
        for (const struct clv_opt *opt = sets[s].opts; opt->name != NULL; opt++) {
            if (opt->letter != letter)
                continue;
            *out = (struct match){.set = &sets[s], .opt = opt};
            snprintf(out->spelling, sizeof out->spelling, "-%c", letter);
            return true;
        }
    }
    return false;
}

/* ---- parsing ---- */

/* The value of a flag that takes one: `attached`, or the next argument. */
static int take_value(const struct match *match, const char *attached, int argc, char **argv,
                      int *index_io)
{
    const char *text = attached;
    if (text == NULL) {
        char value[CLV_OPT_VALUE_SIZE];
        int next = *index_io + 1;
        /* "--db --json" is a forgotten value, not a database called "--json". */
        if (next >= argc || (strncmp(argv[next], "--", 2) == 0))
            return clv_fail(CLV_EINVAL, "%s needs a value (%s)", match->spelling,
                            clv_opt_value_text(value, match->opt));
        text = argv[next];
        *index_io = next;
    }
    return set_value(match->set, match->opt, match->spelling, text);
}

static int parse_long(const struct clv_opt_set *sets, int set_count, int argc, char **argv,
                      int *index_io)
{
    const char *text = argv[*index_io] + 2;
    const char *attached = strchr(text, '=');
    size_t length = attached == NULL ? strlen(text) : (size_t)(attached - text);
    char name[48];
    if (length >= sizeof name)
        return clv_fail(CLV_EINVAL, "unknown flag '--%s'", text);
    memcpy(name, text, length);
    name[length] = '\0';
    if (attached != NULL)
        attached++;
    struct match match;
    if (!find_long(&match, sets, set_count, name))
        return fail_unknown(sets, set_count, name);
    void *value = value_of(match.set, match.opt);
    if (match.negated || (match.opt->kind == CLV_OPT_BOOL && attached == NULL)) {
        if (attached != NULL)
            return clv_fail(CLV_EINVAL, "%s takes no value, but got '%s'", match.spelling,
                            attached);
        if (match.opt->kind == CLV_OPT_BOOL)
            *(bool *)value = !match.negated;
        else
            memcpy(value, (const char *)match.set->defaults + match.opt->offset,
                   value_size(match.opt->kind));
        return CLV_OK;
    }
    return take_value(&match, attached, argc, argv, index_io);
}

static int parse_letters(const struct clv_opt_set *sets, int set_count, int argc, char **argv,
                         int *index_io)
{
    for (const char *letter = argv[*index_io] + 1; *letter != '\0'; letter++) {
        struct match match;
        if (!find_letter(&match, sets, set_count, *letter))
            return clv_fail(CLV_EINVAL,
                            "unknown flag '-%c' (write '-- %s' for an operand that begins with "
                            "a dash)",
                            *letter, argv[*index_io]);
        if (match.opt->kind != CLV_OPT_BOOL)
            return take_value(&match, letter[1] != '\0' ? letter + 1 : NULL, argc, argv, index_io);
        *(bool *)value_of(match.set, match.opt) = true;
    }
    return CLV_OK;
}

int clv_opt_parse(const struct clv_opt_set *sets, int set_count, int argc, char **argv,
                  int *index_io, bool one_operand, const char **operands_out,
                  int *operand_count_out)
{
    int count = 0;
    bool only_operands = false;
    int status = CLV_OK;
    for (; *index_io < argc && status == CLV_OK; (*index_io)++) {
        const char *argument = argv[*index_io];
        if (!only_operands && strcmp(argument, "--") == 0) {
            only_operands = true;
        } else if (!only_operands && strncmp(argument, "--", 2) == 0) {
            status = parse_long(sets, set_count, argc, argv, index_io);
        } else if (!only_operands && argument[0] == '-' && argument[1] != '\0') {
            status = parse_letters(sets, set_count, argc, argv, index_io);
        } else {
            operands_out[count++] = argument;
            if (one_operand) {
                (*index_io)++;
                break;
            }
        }
    }
    *operand_count_out = count;
    return status;
}

int clv_opt_environment(const struct clv_opt_set *set)
{
    char variable[CLV_OPT_VARIABLE_SIZE];
    for (const struct clv_opt *opt = set->opts; opt->name != NULL; opt++) {
        if (opt->no_environment)
            continue;
        const char *text = getenv(clv_opt_variable(variable, opt));
        if (text == NULL || text[0] == '\0')
            continue;
        int status = set_value(set, opt, variable, text);
        if (status != CLV_OK)
            return status;
    }
    return CLV_OK;
}

/* ---- what help shows ---- */

bool clv_opt_is_on(const struct clv_opt *opt, const void *defaults)
{
    return opt->kind == CLV_OPT_BOOL && *(const bool *)((const char *)defaults + opt->offset);
}

char *clv_opt_variable(char out[CLV_OPT_VARIABLE_SIZE], const struct clv_opt *opt)
{
    snprintf(out, CLV_OPT_VARIABLE_SIZE, "CLAVERDB_%s", opt->name);
    for (char *c = out; *c != '\0'; c++)
        *c = (char)(*c == '-' ? '_' : toupper((unsigned char)*c));
    return out;
}

char *clv_opt_value_text(char out[CLV_OPT_VALUE_SIZE], const struct clv_opt *opt)
{
    out[0] = '\0';
    if (opt->kind == CLV_OPT_ENUM) {
        size_t used = 0;
        for (int i = 0; opt->enums[i] != NULL && used < CLV_OPT_VALUE_SIZE; i++)
            used += (size_t)snprintf(out + used, CLV_OPT_VALUE_SIZE - used, "%s%s",
                                     i > 0 ? "|" : "", opt->enums[i]);
    } else if (opt->value_name != NULL) {
        snprintf(out, CLV_OPT_VALUE_SIZE, "%s", opt->value_name);
    }
    return out;
}
