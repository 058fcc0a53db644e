/* A stack in the background: one per directory, found again by its files.
 * DIR/dalang.pid is locked while a stack runs there and holds its pid; DIR/stack.json is what `--json` prints, there
 * once it is ready. */
#ifndef DALANG_DETACHED_H
#define DALANG_DETACHED_H

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

/* Takes the directory for this process. -1: another stack runs there (err kind "running") or the file cannot be made.
 * The descriptor is kept until detached_release(). */
int detached_claim(const char *dir, struct error *err);
void detached_release(const char *dir, int fd); /* removes both files */
bool detached_publish(const char *dir, const char *json_line, struct error *err);

/* Waits until a ready stack runs there; *line (mem_free() it) is its stack.json. False after timeout_ms (kind
 * "timeout"), or at once when `child` (0: none) has ended (kind "ended"). */
bool detached_wait(const char *dir, uint64_t timeout_ms, int64_t child, char **line, struct error *err);
/* Ends the stack that runs there and waits until it has gone. Kind "not-running" when there is none. */
bool detached_down(const char *dir, uint64_t timeout_ms, struct error *err);
/* Forks. In the child (returns 0): a session of its own, output to DIR/logs/up.log. In the parent: the child's pid. -1:
 * err. */
int64_t detached_fork(const char *dir, struct error *err);

#endif
