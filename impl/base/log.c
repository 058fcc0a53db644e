/* Logging; see log.h. */
#include "base/log.h"

#include "base/bytes.h"
#include <string.h>
#include <strings.h>

enum { FIELDS_MAX = 16 };

static const char *const level_names[] = {"trace", "debug", "info", "warn", "error", "fatal", "off"};

bool log_enabled(const struct logger *log, enum log_level level) {
    return log != NULL && log->write != NULL && level >= log->level && level < LOG_OFF;
}

void log_write(const struct logger *log, enum log_level level, const char *format, ...) {
    if (!log_enabled(log, level)) {
        return;
    }
    struct buf msg = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&msg, format, args);
    va_end(args);
    log->write(log->ctx, &(struct log_record){.level = level, .name = log->name, .msg = msg.ptr});
    buf_free(&msg);
}

void log_event(const struct logger *log, enum log_level level, const char *type, const char *msg, ...) {
    if (!log_enabled(log, level)) {
        return;
    }
    struct log_field fields[FIELDS_MAX + 1];
    size_t count = 0;
    va_list args;
    va_start(args, msg);
    for (const char *key; count < FIELDS_MAX && (key = va_arg(args, const char *)) != NULL;) {
        const char *value = va_arg(args, const char *);
        fields[count++] = (struct log_field){key, value != NULL ? value : ""};
    }
    va_end(args);
    fields[count] = (struct log_field){NULL, NULL};
    log->write(log->ctx,
               &(struct log_record){.level = level, .name = log->name, .type = type, .msg = msg, .fields = fields});
}

const char *log_level_name(enum log_level level) {
    return level_names[level];
}

bool log_level_parse(const char *text, enum log_level *out) {
    if (strcasecmp(text, "warning") == 0) {
        *out = LOG_WARN;
        return true;
    }
    if (strcasecmp(text, "none") == 0) {
        *out = LOG_OFF;
        return true;
    }
    for (int i = LOG_TRACE; i <= LOG_OFF; i++) {
        if (strcasecmp(text, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}
