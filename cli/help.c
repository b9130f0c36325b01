#include "cli/help.h"

#include "cli/command.h"
#include "cli/out.h"

#include <string.h>

enum { WIDTH = 80, FLAG_INDENT = 26 };

static const char exit_text[] =
    "0 done or found; 1 nothing found, or a comparison or check failed; 2 error; 3 some footage "
    "could not be read; 130 interrupted.";

/* "-o, --output DIR", "--no-audio". */
static void print_flag(FILE *stream, const struct clv_opt *opt, const void *defaults)
{
    char value[CLV_OPT_VALUE_SIZE];
    clv_opt_value_text(value, opt);
    char text[128];
    int size = 0;
    if (opt->letter != 0)
        size = snprintf(text, sizeof text, "-%c, ", opt->letter);
    snprintf(text + size, sizeof text - (size_t)size, "--%s%s%s%s",
             clv_opt_is_on(opt, defaults) ? "no-" : "", opt->name, value[0] != '\0' ? " " : "",
             value);
    fprintf(stream, "  %s%s%s", clv_out_bold(stream), text, clv_out_reset(stream));
    int used = 2 + (int)strlen(text);
    if (used + 2 > FLAG_INDENT) {
        fputc('\n', stream);
        used = 0;
    }
    fprintf(stream, "%*s", FLAG_INDENT - used, "");
    clv_out_wrap(stream, opt->help, FLAG_INDENT, WIDTH, true);
}

static void print_flags(FILE *stream, const char *title, const struct clv_opt *opts,
                        const void *defaults)
{
    if (opts->name == NULL)
        return;
    fprintf(stream, "\n%s%s:%s\n", clv_out_bold(stream), title, clv_out_reset(stream));
    for (; opts->name != NULL; opts++)
        print_flag(stream, opts, defaults);
}

static void print_global_flags(FILE *stream)
{
    print_flags(stream, "flags of every command", clv_global_opts, &clv_global_defaults);
    fputc('\n', stream);
    clv_out_wrap(stream,
                 "Every flag has an environment variable, CLAVERDB_NAME with '-' written as '_' "
                 "(CLAVERDB_DB for --db), and a --no- form that turns it off or back to its "
                 "default.",
                 0, WIDTH, false);
}

void clv_help_program(FILE *stream)
{
    fprintf(stream, "%susage:%s claverdb COMMAND [FLAGS] [OPERANDS]\n\n", clv_out_bold(stream),
            clv_out_reset(stream));
    clv_out_wrap(stream,
                 "Indexes video footage by what happens in it, finds moments by a sentence or by "
                 "an example, and cuts them out.",
                 0, WIDTH, false);
    fprintf(stream, "\n%scommands:%s\n", clv_out_bold(stream), clv_out_reset(stream));
    for (int i = 0; clv_commands[i] != NULL; i++)
        fprintf(stream, "  %s%-17s%s%s\n", clv_out_bold(stream), clv_commands[i]->name,
                clv_out_reset(stream), clv_commands[i]->summary);
    print_global_flags(stream);
    fputc('\n', stream);
    clv_out_wrap(stream, "Exit status:", 0, WIDTH, false);
    clv_out_wrap(stream, exit_text, 2, WIDTH, false);
    fprintf(stream, "\n'claverdb help COMMAND' says more about one command.\n");
}

void clv_help_command(FILE *stream, const struct clv_command *command)
{
    fprintf(stream, "%susage:%s claverdb %s%s%s%s\n\n", clv_out_bold(stream), clv_out_reset(stream),
            command->name, command->opts->name != NULL ? " [FLAGS]" : "",
            command->operands[0] != '\0' ? " " : "", command->operands);
    clv_out_wrap(stream, command->description, 0, WIDTH, false);
    print_flags(stream, "flags", command->opts, command->defaults);
    print_global_flags(stream);
    if (command->example[0] != '\0') {
        fprintf(stream, "\n%sexamples:%s\n", clv_out_bold(stream), clv_out_reset(stream));
        for (const char *line = command->example; *line != '\0';) {
            int size = (int)strcspn(line, "\n");
            fprintf(stream, "  %.*s\n", size, line);
            line += size + (line[size] == '\n');
        }
    }
}
