/* The log sink; a mutex keeps lines whole. */
#include "core/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static clv_log_sink *current_sink;
static void *current_payload;
static enum clv_log_level current_lowest;

void clv_log_set(clv_log_sink *sink, void *payload, enum clv_log_level lowest)
{
    pthread_mutex_lock(&lock);
    current_sink = sink;
    current_payload = payload;
    current_lowest = lowest;
    pthread_mutex_unlock(&lock);
}

void clv_log(enum clv_log_level level, const char *format, ...)
{
    char line[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&lock);
    if (current_sink && level >= current_lowest)
        current_sink(level, line, current_payload);
    pthread_mutex_unlock(&lock);
}
