/* What `demo` films with the stage. What each film shows is known, so that answers can be checked.
 * The films of an action and of its reversal are the same pictures in opposite orders. */
#ifndef CLV_CLI_FILM_H
#define CLV_CLI_FILM_H

#include "core/cancel.h"

#include <stdbool.h>

#define CLV_FILM_TAKES 2 /* of each action, with other people in other places */

int clv_film_count(void); /* of actions */
/* "a person sits down" */
const char *clv_film_sentence(int action);
/* "sit-down-1.mp4"; `take` counts from 0. */
enum { CLV_FILM_NAME_SIZE = 64 };
char *clv_film_name(char out[CLV_FILM_NAME_SIZE], int action, int take);
/* Does the film of this name show the action? */
bool clv_film_shows(const char *name, int action);
/* Writes a few seconds of H.264 to `path` in one step. */
int clv_film_make(const char *path, int action, int take, struct clv_cancel *cancel);

#endif
