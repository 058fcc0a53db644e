/* One request being carried out. Blocking ones answer their sender and are forgotten; non-blocking ones have a record
 * in the spool and may outlive the agent (agent.md §8). */
#ifndef DALANG_AGENT_JOB_H
#define DALANG_AGENT_JOB_H

#include "agent/core.h"
#include "agent/spool.h"

struct job {
    struct list_link link;
    struct agent *agent;
    const struct agent_module *module;
    const struct pxp_action *action;
    struct pxp_request request;
    char *sender;
    char *request_id;
    char *label;
    struct buf debug;        /* v1: valid debug chunks, echoed */
    char *dir;               /* in the spool; NULL: blocking */
    json_t *record;          /* NULL: blocking */
    char *temp_dir;          /* removed with the job; or NULL */
    struct process *process; /* the program it runs, see process.h; or NULL */
    /* What the module waits for. abandon() cancels and frees it when the agent goes away. */
    void *state;
    void (*abandon)(struct job *job);
};

/* Takes *request over. sender and id are those of the PCP message. */
void job_start(struct agent *a, const struct agent_module *module, struct pxp_request *request, struct span sender,
               struct span request_id, struct span debug);

/* The end of a job, for modules; exactly once. The job is gone afterwards (state must have been freed). */
void job_results(struct job *job, json_t *results);                                   /* steals results */
void job_output(struct job *job, int64_t exitcode, struct span out, struct span err); /* of a program */
void job_failed(struct job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));

void jobs_abandon(struct agent *a); /* programs run on */

/* The record of a transaction whose program has ended (with an exitcode file) is completed from its output and written.
 * label and module as of the record. Used when no job of ours is there any more. */
void job_settle(struct agent *a, json_t *record, const struct spool_output *output);
/* "non blocking 'task run' request (transaction 42)" of a record; mem_free() it. */
char *job_record_label(const json_t *record);

#endif
