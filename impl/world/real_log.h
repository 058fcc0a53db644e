/* Log files of daemons: one line per record, written at once, reopened on request (after a rotation). */
#ifndef DALANG_WORLD_REAL_LOG_H
#define DALANG_WORLD_REAL_LOG_H

#include "base/error.h"
#include "base/log.h"

enum real_log_format {
    REAL_LOG_TEXT,  /* 2030-01-02T03:04:05.678Z INFO  [logger] message key=value … */
    REAL_LOG_JSON,  /* {"time","level","logger","type"?,"message", fields…} */
    REAL_LOG_PLAIN, /* the message alone: access logs */
};

struct real_log;
/* path NULL: standard error. Files are appended to and created with mode 0640. Error kind "world/file". */
struct real_log *real_log_open(const char *path, enum real_log_format format, struct error *err);
/* Opens the path again; on error the old file stays in use. */
bool real_log_reopen(struct real_log *l, struct error *err);
void real_log_close(struct real_log *l); /* NULL is fine */
/* For struct logger: .write = real_log_write, .ctx = the log. What could break the line apart is escaped. */
void real_log_write(void *ctx, const struct log_record *record);

#endif
