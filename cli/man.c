/* The man page, written from the tables. */
#include "cli/command.h"
#include "cli/help.h"
#include "core/unicode.h"

#include <inttypes.h>
#include <string.h>

/* Text with what roff would take for its own escaped. */
static void print_roff(FILE *stream, const char *text)
{
    bool line_start = true;
    while (*text != '\0') {
        uint32_t code_point = 0;
        size_t size = clv_unicode_decode(&code_point, text, strlen(text));
        if (line_start && (*text == '.' || *text == '\''))
            fputs("\\&", stream);
        if (size > 1)
            fprintf(stream, "\\[u%04" PRIX32 "]", code_point);
        else if (*text == '\\')
            fputs("\\e", stream);
        else if (*text == '-')
            fputs("\\-", stream);
        else
            fputc(*text, stream);
        line_start = *text == '\n';
        text += size > 1 ? size : 1;
    }
}

static void print_paragraphs(FILE *stream, const char *text)
{
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        char line[1024];
        if (size > 0 && size < sizeof line) {
            memcpy(line, text, size);
            line[size] = '\0';
            print_roff(stream, line);
            fputs("\n.PP\n", stream);
        }
        text += size + (text[size] == '\n');
    }
}

static void print_opts(FILE *stream, const struct clv_opt *opts, const void *defaults)
{
    for (; opts->name != NULL; opts++) {
        char value[CLV_OPT_VALUE_SIZE];
        char variable[CLV_OPT_VARIABLE_SIZE];
        clv_opt_value_text(value, opts);
        fputs(".TP\n", stream);
        if (opts->letter != 0)
            fprintf(stream, "\\fB\\-%c\\fR, ", opts->letter);
        fputs("\\fB", stream);
        print_roff(stream, clv_opt_is_on(opts, defaults) ? "--no-" : "--");
        print_roff(stream, opts->name);
        fputs("\\fR", stream);
        if (value[0] != '\0') {
            fputs(" \\fI", stream);
            print_roff(stream, value);
            fputs("\\fR", stream);
        }
        fputc('\n', stream);
        print_roff(stream, opts->help);
        if (!opts->no_environment)
            fprintf(stream, " (%s)", clv_opt_variable(variable, opts));
        fputc('\n', stream);
    }
}

static void print_command(FILE *stream, const struct clv_command *command)
{
    fprintf(stream, ".SS %s\n.B claverdb %s\n", command->name, command->name);
    if (command->operands[0] != '\0') {
        fputs("[FLAGS] ", stream);
        print_roff(stream, command->operands);
        fputc('\n', stream);
    }
    fputs(".PP\n", stream);
    print_paragraphs(stream, command->description);
    print_opts(stream, command->opts, command->defaults);
    if (command->example[0] != '\0') {
        fputs(".PP\n.nf\n", stream);
        print_roff(stream, command->example);
        fputs("\n.fi\n", stream);
    }
}

void clv_help_man(FILE *stream)
{
    fputs(".TH CLAVERDB 1 \"\" \"claverdb " CLV_VERSION "\" \"User Commands\"\n"
          ".SH NAME\nclaverdb \\- video semantic search database\n"
          ".SH SYNOPSIS\n.B claverdb\n\\fICOMMAND\\fR [\\fIFLAGS\\fR] [\\fIOPERANDS\\fR]\n"
          ".SH DESCRIPTION\n"
          "Indexes video footage by what happens in it, finds moments by a sentence or by an "
          "example, and cuts them out. Data goes to standard output, progress and errors to "
          "standard error.\n"
          ".SH COMMANDS\n",
          stream);
    for (int i = 0; clv_commands[i] != NULL; i++)
        print_command(stream, clv_commands[i]);
    fputs(".SH FLAGS OF EVERY COMMAND\n", stream);
    print_opts(stream, clv_global_opts, &clv_global_defaults);
    fputs(".SH ENVIRONMENT\n"
          "Each flag has a variable, named beside it; the command line wins over it. "
          "NO_COLOR switches colours off. Databases lie under XDG_DATA_HOME where nothing else "
          "is said.\n"
          ".SH EXIT STATUS\n"
          ".TP\n0\ndone, or something was found\n"
          ".TP\n1\nnothing was found, or a comparison or check failed\n"
          ".TP\n2\nerror, wrong usage included\n"
          ".TP\n3\nsome footage could not be read\n"
          ".TP\n130\ninterrupted\n",
          stream);
}
