/* One sink for what the library wants said while it works. The library never prints. */
#ifndef CLV_CORE_LOG_H
#define CLV_CORE_LOG_H

enum clv_log_level { CLV_LOG_DEBUG, CLV_LOG_INFO, CLV_LOG_WARNING };

/* Receives one line without a newline. May be called from any thread, one call at a time. */
typedef void clv_log_sink(enum clv_log_level level, const char *line, void *payload);

/* Sets the process-wide sink (NULL: drop everything, the default) and the lowest level it gets.
 * Call before other threads use the library. */
void clv_log_set(clv_log_sink *sink, void *payload, enum clv_log_level lowest);

void clv_log(enum clv_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
