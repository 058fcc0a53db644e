/* The modules an agent offers: built-in ones, and external programs described by their metadata. */
#ifndef DALANG_AGENT_MODULES_H
#define DALANG_AGENT_MODULES_H

#include "agent/outcome.h"
#include "pxp/module.h"

struct job;

struct agent_module {
    struct pxp_module *spec;
    /* Begins the work; ends it with one of job_results(), job_output(), job_failed(), now or later. */
    void (*run)(struct job *job);
    char *path;            /* external: the program */
    json_t *configuration; /* external: of its .conf file, or {} */
};

/* A table of modules. Agents only read it, so thousands may share one. */
struct agent_modules;

struct agent_modules *agent_modules_new(void); /* with the built-in ones */
void agent_modules_free(struct agent_modules *m);
/* Adds an external module whose metadata is known. configuration (may be NULL: {}) is borrowed.
 * error kinds: "agent/module" (name taken), "pxp/bad-metadata", "agent/module-configuration". */
bool agent_modules_add(struct agent_modules *m, const char *name, const char *path, struct span metadata,
                       const json_t *configuration, struct error *err);
const struct agent_module *agent_modules_get(const struct agent_modules *m, struct span name); /* or NULL */
/* What a finished program of this module came to. */
struct outcome agent_module_outcome(const struct agent_module *m, const struct pxp_action *action, const char *label,
                                    int64_t exitcode, struct span out, struct span err);

/* run functions, one file each in modules/ */
void module_echo(struct job *job);
void module_ping(struct job *job);
void module_status(struct job *job);
void module_command(struct job *job);
void module_script(struct job *job);
void module_task(struct job *job);
void module_file(struct job *job);
void module_apply(struct job *job);
void module_external(struct job *job);

#endif
