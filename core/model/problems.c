/* The collector behind "missing and mis-shaped tensors are all named at once". */
#include "core/model/problems.h"

#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void clv_problems_add(struct clv_problems *problems, const char *format, ...)
{
    char one[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(one, sizeof one, format, arguments);
    va_end(arguments);
    size_t used = strlen(problems->text);
    problems->count++;
    if (problems->hidden_count || used + strlen(one) + 3 > sizeof problems->text)
        problems->hidden_count++;
    else
        snprintf(problems->text + used, sizeof problems->text - used, "%s%s", used ? ", " : "",
                 one);
}

int clv_problems_fail(const struct clv_problems *problems, int status, const char *path)
{
    if (problems->count == 0)
        return CLV_OK;
    if (problems->hidden_count)
        return clv_fail(status, "'%.400s': %s … and %d more", path, problems->text,
                        problems->hidden_count);
    return clv_fail(status, "'%.400s': %s", path, problems->text);
}
