/* A scenario as it was written: read from its file, checked whole, ready to run in either world (harness.md §1).
 * Files hold one scenario or several, as YAML documents. What a scenario may say stands in the tables of
 * scenario_stack.c, scenario.c and steps/. */
#ifndef DALANG_SCENARIO_H
#define DALANG_SCENARIO_H

#include "pcp/message.h"
#include "scenarios/runner/document.h"
#include "simulator/world/dist.h"

enum scenario_world { SCENARIO_SIM = 1, SCENARIO_REAL = 2 };
enum {
    SCENARIO_BROKERS_MAX = 8,
    SCENARIO_AGENTS_MAX = 100000,
    SCENARIO_REAL_AGENTS_MAX = 1000, /* in one process, over real connections */
    SCENARIO_INCLUDE_DEPTH = 8,
    SCENARIO_FILE_MAX = 8 * 1024 * 1024,
    SCENARIO_REPEAT_MAX = 100000,
};

/* Agents that are alike. */
struct fleet_entry {
    uint32_t count;
    char *name; /* with {n} or {n:WIDTH}; without it exactly one agent */
    enum pcp_version version;
    size_t brokers[SCENARIO_BROKERS_MAX]; /* 0-based, in failover order */
    size_t broker_count;
    json_t *facts;      /* merged over the generated ones; trusted ones are in it */
    json_t *behaviours; /* {"tasks", "puppet_run"} */
    struct dist connect_after_us;
    bool known; /* PuppetDB has their facts */
};

/* A file of the modules directory that the environment production is served from. */
struct module_file {
    char *path; /* "demo/tasks/greet.sh" */
    char *bytes;
    size_t len;
    int mode;
};

struct scenario_stack {
    size_t brokers;
    json_t *broker, *orchestrator; /* settings: see settings.h */
    json_t *state;                 /* of the fakes; users have tokens by then */
    struct module_file *files;     /* beside the modules that come with Dalang; of two with one path the later counts */
    size_t file_count, file_cap;
};
/* Adds the files below a directory of this machine's, in the order of their paths. Error kind "scenario". */
bool module_files_read(struct scenario_stack *s, const char *dir, struct error *err);
void module_files_add(struct scenario_stack *s, const char *path, struct span bytes, int mode);

struct step_kind;
struct step {
    const struct step_kind *kind;
    const char *file; /* of the line; lives as long as the scenario file */
    unsigned line;
    json_t *args;
    char *as, *when;
    json_t *after, *within; /* texts, perhaps with ${…}; NULL: none */
    json_t *repeat;         /* {"times", "every", "as"} or NULL */
    struct step *inner;     /* of steps: and include: */
    size_t inner_count;
    json_t *with; /* of include:, variables */
};

struct scenario {
    const char *file;
    unsigned line;
    char *name;
    char *about;   /* why it exists, or NULL */
    char *because; /* why it runs in one world only, or NULL */
    char **tags;
    size_t tag_count;
    unsigned worlds; /* of enum scenario_world */
    json_t *vars;
    uint64_t timeout_us; /* of the whole run; 0: the runner's own */
    struct scenario_stack stack;
    struct fleet_entry *fleet;
    size_t fleet_count;
    bool wait_for_agents; /* steps begin when all are connected */
    struct step *steps;
    size_t step_count;
};

struct scenario_file {
    struct scenario *items;
    size_t count;
    char **names; /* of the files that were read: steps point to them */
    size_t name_count, name_cap;
};

/* Reads a file of this machine's, with what it includes. NULL after adding to p; p->file is set. */
struct scenario_file *scenario_load(const char *path, struct problems *p);
/* The same from memory: nothing else is read (an include is a problem). For fuzzing and tests. */
struct scenario_file *scenario_parse(const char *name, struct span text, struct problems *p);
void scenario_file_free(struct scenario_file *f); /* NULL is fine */

bool scenario_has_tag(const struct scenario *s, const char *tag);
size_t scenario_agents(const struct scenario *s);

#endif
