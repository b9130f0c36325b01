/* Help, the man page and shell completion, all out of the tables of commands and flags. */
#ifndef CLV_CLI_HELP_H
#define CLV_CLI_HELP_H

#include <stdio.h>

struct clv_command;

void clv_help_program(FILE *stream);
void clv_help_command(FILE *stream, const struct clv_command *command);
/* In man's language (roff). */
void clv_help_man(FILE *stream);
void clv_help_bash(FILE *stream);
void clv_help_zsh(FILE *stream);
void clv_help_fish(FILE *stream);

#endif
