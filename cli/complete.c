/* Shell completion, written from the tables. */
#include "cli/command.h"
#include "cli/help.h"

#include <string.h>

/* Text inside single quotes of a shell. */
static void print_quoted(FILE *stream, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\''", stream);
        else
            fputc(*text, stream);
    }
}

static void print_words(FILE *stream, const struct clv_opt *opts, const void *defaults)
{
    for (; opts->name != NULL; opts++)
        fprintf(stream, " --%s%s", clv_opt_is_on(opts, defaults) ? "no-" : "", opts->name);
}

void clv_help_bash(FILE *stream)
{
    fputs("# bash completion for claverdb\n"
          "_claverdb() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local command= flags= i\n"
          "    COMPREPLY=()\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        case ${COMP_WORDS[i]} in\n"
          "        -*) ;;\n"
          "        *) command=\"${command:+$command }${COMP_WORDS[i]}\"\n"
          "           [[ $command == model ]] || break ;;\n"
          "        esac\n"
          "    done\n"
          "    case $before in\n",
          stream);
    for (const struct clv_opt *opt = clv_global_opts; opt->name != NULL; opt++) {
        if (opt->kind != CLV_OPT_ENUM)
            continue;
        fprintf(stream, "    --%s) COMPREPLY=($(compgen -W '", opt->name);
        for (int i = 0; opt->enums[i] != NULL; i++)
            fprintf(stream, "%s%s", i > 0 ? " " : "", opt->enums[i]);
        fputs("' -- \"$word\")); return ;;\n", stream);
    }
    fputs("    esac\n    case $command in\n    '') flags='", stream);
    for (int i = 0; clv_commands[i] != NULL; i++) {
        int size = (int)strcspn(clv_commands[i]->name, " ");
        fprintf(stream, "%s%.*s", i > 0 ? " " : "", size, clv_commands[i]->name);
    }
    fputs("' ;;\n    model) flags='info compare' ;;\n", stream);
    for (int i = 0; clv_commands[i] != NULL; i++) {
        fprintf(stream, "    '%s') flags='", clv_commands[i]->name);
        print_words(stream, clv_commands[i]->opts, clv_commands[i]->defaults);
        fputs("' ;;\n", stream);
    }
    fputs("    esac\n    flags=\"$flags", stream);
    print_words(stream, clv_global_opts, &clv_global_defaults);
    fputs("\"\n"
          "    if [[ $word == -* || -z $command || $command == model ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$flags\" -- \"$word\"))\n"
          "    else\n"
          "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
          "        compopt -o filenames\n"
          "    fi\n"
          "}\n"
          "complete -F _claverdb claverdb\n",
          stream);
}

static void print_zsh_opts(FILE *stream, const struct clv_opt *opts, const void *defaults)
{
    for (; opts->name != NULL; opts++) {
        fprintf(stream, " \\\n        '%s--%s%s[", opts->kind == CLV_OPT_LIST ? "*" : "",
                clv_opt_is_on(opts, defaults) ? "no-" : "", opts->name);
        for (const char *c = opts->help; *c != '\0'; c++) {
            if (*c == '[' || *c == ']' || *c == ':')
                fputc('\\', stream);
            char one[2] = {*c, '\0'};
            print_quoted(stream, one);
        }
        fputs("]", stream);
        if (opts->kind == CLV_OPT_ENUM) {
            fputs(":choice:(", stream);
            for (int i = 0; opts->enums[i] != NULL; i++)
                fprintf(stream, "%s%s", i > 0 ? " " : "", opts->enums[i]);
            fputs(")", stream);
        } else if (opts->kind == CLV_OPT_STRING || opts->kind == CLV_OPT_LIST) {
            fprintf(stream, ":%s:_files", opts->value_name);
        } else if (opts->kind != CLV_OPT_BOOL) {
            fprintf(stream, ":%s:", opts->value_name);
        }
        fputc('\'', stream);
    }
}

void clv_help_zsh(FILE *stream)
{
    fputs("#compdef claverdb\n"
          "_claverdb() {\n"
          "    local command=${words[2]}\n"
          "    [[ $command == model && CURRENT -gt 3 ]] && command=\"model ${words[3]}\"\n"
          "    if (( CURRENT == 2 )); then\n"
          "        local -a commands=(",
          stream);
    for (int i = 0; clv_commands[i] != NULL; i++) {
        fprintf(stream, "\n            '%.*s:", (int)strcspn(clv_commands[i]->name, " "),
                clv_commands[i]->name);
        print_quoted(stream, clv_commands[i]->summary);
        fputs("'", stream);
    }
    fputs(")\n        _describe command commands\n        return\n    fi\n"
          "    case $command in\n    model) _values subcommand info compare ;;\n",
          stream);
    for (int i = 0; clv_commands[i] != NULL; i++) {
        fprintf(stream, "    '%s')\n        _arguments -S", clv_commands[i]->name);
        print_zsh_opts(stream, clv_commands[i]->opts, clv_commands[i]->defaults);
        print_zsh_opts(stream, clv_global_opts, &clv_global_defaults);
        fputs(" \\\n        '*:operand:_files' ;;\n", stream);
    }
    fputs("    esac\n}\n_claverdb \"$@\"\n", stream);
}

static void print_fish_opts(FILE *stream, const char *condition, const struct clv_opt *opts,
                            const void *defaults)
{
    for (; opts->name != NULL; opts++) {
        fprintf(stream, "complete -c claverdb%s -l %s%s", condition,
                clv_opt_is_on(opts, defaults) ? "no-" : "", opts->name);
        if (opts->letter != 0)
            fprintf(stream, " -s %c", opts->letter);
        if (opts->kind != CLV_OPT_BOOL)
            fputs(" -r", stream);
        if (opts->kind == CLV_OPT_ENUM) {
            fputs(" -a '", stream);
            for (int i = 0; opts->enums[i] != NULL; i++)
                fprintf(stream, "%s%s", i > 0 ? " " : "", opts->enums[i]);
            fputc('\'', stream);
        }
        fputs(" -d '", stream);
        print_quoted(stream, opts->help);
        fputs("'\n", stream);
    }
}

void clv_help_fish(FILE *stream)
{
    fputs("# fish completion for claverdb\n", stream);
    print_fish_opts(stream, "", clv_global_opts, &clv_global_defaults);
    for (int i = 0; clv_commands[i] != NULL; i++) {
        const char *name = clv_commands[i]->name;
        const char *second = strchr(name, ' ');
        char condition[160];
        int size = (int)strcspn(name, " ");
        if (second == NULL)
            fprintf(stream, "complete -c claverdb -n __fish_use_subcommand -a %s -d '", name);
        else
            fprintf(stream,
                    "complete -c claverdb -n __fish_use_subcommand -a %.*s\n"
                    "complete -c claverdb -n '__fish_seen_subcommand_from %.*s' -a %s -d '",
                    size, name, size, name, second + 1);
        print_quoted(stream, clv_commands[i]->summary);
        fputs("'\n", stream);
        snprintf(condition, sizeof condition, " -n '__fish_seen_subcommand_from %s'",
                 second == NULL ? name : second + 1);
        print_fish_opts(stream, condition, clv_commands[i]->opts, clv_commands[i]->defaults);
    }
}
