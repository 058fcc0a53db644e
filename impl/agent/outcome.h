/* What an action came to: results that its schema accepts, or an error text. */
#ifndef DALANG_AGENT_OUTCOME_H
#define DALANG_AGENT_OUTCOME_H

#include "base/bytes.h"
#include "pxp/module.h"

struct outcome {
    json_t *results; /* NULL: `error` says why */
    char *error;     /* the complete text of an RPC error */
};

void outcome_free(struct outcome *o);

/* A finished program of task, script, command, apply: text on standard output, any exit code (pxp.md §8). */
struct outcome outcome_of_text(const char *label, int64_t exitcode, struct span out, struct span err);
/* A finished external module: JSON on standard output that satisfies the action's schema. */
struct outcome outcome_of_json(const char *label, const struct pxp_action *action, struct span out, struct span err);
/* "Failed to execute the task for the <label>. Error: <why>" */
struct outcome outcome_failed(const char *label, const char *why);

#endif
