/* From the parameters of a `task run` request to what has to be fetched and run: pure (agent.md §11.6). */
#ifndef DALANG_AGENT_TASK_PLAN_H
#define DALANG_AGENT_TASK_PLAN_H

#include "base/bytes.h"
#include "base/error.h"
#include <jansson.h>

enum task_input { TASK_STDIN = 1, TASK_ENVIRONMENT = 2, TASK_BOTH = 3, TASK_POWERSHELL = 4 | TASK_STDIN };

struct task_plan {
    const json_t *file;   /* the executable, an entry of `files` */
    const json_t **extra; /* further entries of `files`, each once */
    size_t extra_count;
    enum task_input input;
    struct span module; /* of the task's name */
};

/* params has passed the module's schema; the plan borrows from it. error kind "agent/task": the message ends a
 * "Failed to execute" text. */
bool task_plan_make(const json_t *params, struct task_plan *out, struct error *err);
void task_plan_free(struct task_plan *p);

/* Is this the name of a file below a directory: relative, no empty, "." or ".." part, no NUL? */
bool task_file_name_safe(struct span name);
/* The task's parameters: its input, then _task, then _installdir unless it is NULL. New reference. */
json_t *task_parameters(const json_t *params, const char *install_dir);
/* "PT_<key>=<value>" of each parameter: strings as they are, everything else as JSON. NULL-terminated; what an
 * environment cannot hold is left out. Free with task_variables_free(). */
char **task_variables(const json_t *parameters);
void task_variables_free(char **variables);

#endif
