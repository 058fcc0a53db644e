/* Becoming a daemon, with a PID file that only one of us can hold (agent.md §5.1). */
#ifndef DALANG_AGENT_DAEMON_DAEMONIZE_H
#define DALANG_AGENT_DAEMON_DAEMONIZE_H

#include "base/error.h"

struct pid_file;

/* Opens or creates the file and takes it. error kinds: "agent/running" (another instance holds it or its process lives;
 * the message names the PID), "agent/pid-file" (it cannot be opened). */
struct pid_file *pid_file_take(const char *path, struct error *err);
/* Forks twice; the first process ends with status 0 once the daemon holds the file. Returns in the daemon: own session,
 * "/" as directory, standard descriptors on /dev/null, PID written. error kind "agent/daemon". */
bool pid_file_daemonize(struct pid_file *f, struct error *err);
/* Writes our PID without becoming a daemon. */
bool pid_file_write(struct pid_file *f, struct error *err);
void pid_file_remove(struct pid_file *f); /* and frees it; NULL is fine */
void pid_file_close(struct pid_file *f);  /* leaves the file; NULL is fine */

#endif
