/* A place for log lines on a real system: a file (reopened on request, for rotation) or standard error; plain text or
 * one JSON object a line. */
#ifndef DALANG_WORLD_REAL_LOG_H
#define DALANG_WORLD_REAL_LOG_H

#include "base/error.h"
#include "base/log.h"

struct real_log;
/* path NULL or "-": standard error. The file is made 0640 and appended to. Error kind "world/…", naming it. */
struct real_log *real_log_open(const char *path, bool json, struct error *err);
/* Opens the path anew (SIGUSR2, after a rotation); on failure the old file stays in use. */
bool real_log_reopen(struct real_log *l, struct error *err);
void real_log_close(struct real_log *l); /* NULL is fine */
/* The sink: logger.write = real_log_write, logger.ctx = the log. Plain:
 *   2030-01-02T03:04:05.678Z INFO  [puppetlabs.pcp.broker] message key=value …
 * A line is one write(), so lines of several processes do not mix. */
void real_log_write(void *ctx, const struct log_record *record);
/* The same without time, level and name: for access logs, whose lines are whole already. */
void real_log_write_bare(void *ctx, const struct log_record *record);

#endif
