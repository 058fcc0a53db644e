/* Logs of dalang-agent in the reference's formats (agent.md §5.4, §5.5): local time with microseconds, to a file,
 * standard output or syslog. */
#ifndef DALANG_AGENT_DAEMON_LOG_H
#define DALANG_AGENT_DAEMON_LOG_H

#include "agent/agent.h"

struct agent_log;

/* path: a file (created with mode 0640, which is set again at each start), "-" for standard output, "syslog".
 * Directories are created. error kind "agent/log". */
struct agent_log *agent_log_open(const char *path, const char *syslog_facility, struct error *err);
void agent_log_close(struct agent_log *l); /* NULL is fine */
/* Opens the file again, to append; when that fails the old one stays. */
bool agent_log_reopen(struct agent_log *l, struct error *err);
/* 2024-05-06 07:08:09.123456 INFO  puppetlabs.pxp_agent.main:1 - text
 * For struct logger: .write = agent_log_write, .ctx = the log. */
void agent_log_write(void *ctx, const struct log_record *record);
/* [2024-05-06 07:08:09.123456] AUTHORIZATION_SUCCESS <broker> <sender> <type> <id> */
void agent_log_access(struct agent_log *l, enum agent_access outcome, const char *broker, struct span sender,
                      struct span type, struct span id);

#endif
