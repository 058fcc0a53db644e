/* Logging. A logger is given to whoever logs; where lines go is decided by its sink.
 * Never log secrets: tokens, passwords, private keys, sensitive parameters. */
#ifndef DALANG_BASE_LOG_H
#define DALANG_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>

enum log_level { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_FATAL, LOG_OFF };

struct log_field {
    const char *key;
    const char *value;
};

struct log_record {
    enum log_level level;
    const char *name; /* of the logger, for example "puppetlabs.pcp.broker" */
    const char *type; /* structured event type such as "connection-open", or NULL */
    const char *msg;
    const struct log_field *fields; /* ends with a NULL key; may be NULL */
};

struct logger {
    enum log_level level; /* records below it are dropped before they are formatted */
    const char *name;
    void (*write)(void *ctx, const struct log_record *record);
    void *ctx;
};

/* A NULL logger or one without a sink swallows everything. */
bool log_enabled(const struct logger *log, enum log_level level);
void log_write(const struct logger *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A structured event: msg, then key, value pairs, then NULL. */
void log_event(const struct logger *log, enum log_level level, const char *type, const char *msg, ...)
    __attribute__((sentinel));
const char *log_level_name(enum log_level level);            /* "trace" … "fatal" */
bool log_level_parse(const char *text, enum log_level *out); /* any case; also "warning" and "none" */

#define log_trace(log, ...) log_write((log), LOG_TRACE, __VA_ARGS__)
#define log_debug(log, ...) log_write((log), LOG_DEBUG, __VA_ARGS__)
#define log_info(log, ...) log_write((log), LOG_INFO, __VA_ARGS__)
#define log_warn(log, ...) log_write((log), LOG_WARN, __VA_ARGS__)
#define log_error(log, ...) log_write((log), LOG_ERROR, __VA_ARGS__)

#endif
