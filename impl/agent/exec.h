/* How the agent starts the programs it is asked to run: always through `dalang-exec`, a small program that lives as
 * long as the task does, so that a task's outcome reaches the disk whether or not the agent is still there.
 *
 *   dalang-exec --spool DIR --input N --limit B -- EXECUTABLE ARGS…   a task of a non-blocking request
 *   dalang-exec --pid FILE -- EXECUTABLE ARGS…                        an external module's non-blocking action
 *   dalang-exec -- EXECUTABLE ARGS…                                   anything blocking
 *
 * With --spool it reads N bytes of input (fewer: the agent died before it had handed over everything; nothing is run),
 * creates DIR/pid (is there one already, nothing is run: see below), runs the executable with that input, stores its
 * output in DIR/stdout and DIR/stderr (at most B bytes of each; a final newline is added to a standard output that
 * lacks it), syncs them, and at last puts DIR/exitcode in place: whoever sees that file sees a complete outcome. It
 * ends with the same code. With --pid it creates FILE and becomes the executable; without options it just becomes the
 * executable. Whoever creates the pid file decides: an agent that finds a transaction without one after its restart
 * creates it with the content 0, and from then on knows that the task never runs.
 *
 * Exit code: that of the program; the signal number when a signal ended it; 127 when there is no such executable file;
 * 124 without an exitcode file when its outcome could not be stored (the disk is full, say);
 * errno when it could not be executed (8: no program and no "#!" line). (agent.md §10, agent-observed.md)
 *
 * A virtual world plays this program itself: agent_exec_parse() tells it what was asked. */
#ifndef DALANG_AGENT_EXEC_H
#define DALANG_AGENT_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AGENT_EXEC_NOT_FOUND = 127, AGENT_EXEC_INCOMPLETE = 126, AGENT_EXEC_USAGE = 125, AGENT_EXEC_LOST = 124 };

struct agent_exec {
    const char *spool_dir; /* or NULL */
    const char *pid_file;  /* or NULL */
    uint64_t input_size;
    uint64_t output_max;
    const char *const *argv; /* executable and its arguments, NULL-terminated */
};

/* argv of dalang-exec, NULL-terminated, argv[0] its own name. False when it is not of one of the three forms. */
bool agent_exec_parse(const char *const *argv, struct agent_exec *out);

#endif
