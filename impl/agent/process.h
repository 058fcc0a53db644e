/* Running a job's program through dalang-exec (agent/exec.h), and handing its outcome to the job. */
#ifndef DALANG_AGENT_PROCESS_H
#define DALANG_AGENT_PROCESS_H

#include "agent/job.h"

struct process_opts {
    const char *executable;
    const char *const *arguments; /* NULL-terminated; or NULL: none */
    struct span input;            /* of standard input */
    const char *const *variables; /* "NAME=value" besides the agent's own environment, NULL-terminated; or NULL */
    bool writes_files;            /* non-blocking external module: it stores its output itself */
};

/* Ends the job when the program has ended. After this the module has nothing more to do. */
void process_run(struct job *job, const struct process_opts *opts);
void process_abandon(struct job *job); /* it runs on */

#endif
