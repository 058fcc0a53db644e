/* What the files of soak share. */
#ifndef DALANG_SOAK_INTERNAL_H
#define DALANG_SOAK_INTERNAL_H

#include "base/map.h"
#include "simulator/soak/soak.h"
#include "simulator/stack/simulated.h"

#define SOAK_SECRET "v3ry-s3cret-v4lue"
#define SOAK_LIMITED_TOKEN "token-of-limited"

struct soak;
struct rogue;
enum { SOAK_ROGUES = 2 };

/* A request to the orchestrator from the users' host. */
struct ask {
    struct list_link link;
    struct soak *soak;
    struct world_fetch *fetch;
    void (*answered)(struct soak *s, int status, const json_t *body, const char *job);
    char *job;
};

struct soak_job {
    char *id;
    char *task;    /* NULL: a Puppet run */
    char *message; /* of an echo: its result must say it */
    bool over;     /* as far as users know */
    uint64_t next_event;
};

struct soak {
    struct soak_opts opts;
    struct sim *sim;
    struct checks *checks;
    struct faults *faults;
    struct simulated *simulated;
    struct soak_result *result;
    struct rng rng;
    struct world *users;
    struct world_tls *tls;
    char *api;
    struct list asks;
    struct timer start_timer, look_timer;
    uint32_t jobs_left;
    uint64_t job_every_us;
    struct soak_job **jobs;
    size_t job_count, job_cap;
    uint64_t refused;
    uint32_t messages; /* said so far: each echo has its own */
    uint32_t started;  /* jobs asked for */
    uint32_t awaited;  /* … without an answer yet */
    uint32_t stop_ppm; /* chance that a job is stopped by who looks at it */
    int flaky_exit;
    uint32_t task_limit, deploy_limit;
    json_t *behaviours;                                         /* what agents do */
    uint64_t demand_since_us, asked_tasks_us, asked_deploys_us; /* see demand.c */
    const char **agent_names;
    struct rogue *rogues[SOAK_ROGUES];
    struct rng rogue_rng;
};

/* users.c: what people do */
void users_start(struct soak *s);
void users_stop(struct soak *s); /* no new jobs; looking goes on */
void users_look_away(struct soak *s);
void users_end(struct soak *s);
void users_read_everything(struct soak *s);
bool users_all_over(const struct soak *s);
void users_see_node(struct soak *s, const char *job, const json_t *node); /* as a list of nodes shows it */
/* A request to the API; answered (may be NULL) gets status 0 when there was no answer. Steals body. */
void ask(struct soak *s, const char *method, const char *target, json_t *body, const char *token, const char *job,
         void (*answered)(struct soak *s, int status, const json_t *body, const char *job));

/* demand.c: how large a job may be. task NULL: a Puppet run. */
void demand_start(struct soak *s);
uint32_t demand_take(struct soak *s, const char *task, uint32_t nodes);  /* at most so many; at least 1 */
void demand_give_back(struct soak *s, const char *task, uint32_t nodes); /* refused */
/* The limit of a Puppet run on so many nodes, when this one was drawn. */
uint32_t demand_concurrency(const struct soak *s, uint32_t nodes, uint32_t drawn);

/* modules.c: the tasks there are, and what agents do with them. fill_modules: ctx is the soak. */
bool soak_fill_modules(void *ctx, struct world *puppetserver, const char *dir, struct error *err);
json_t *soak_behaviours(const struct workload *workload, struct rng *rng, int flaky_exit, bool steady);

/* rogue.c */
void rogues_start(struct soak *s);
void rogues_end(struct soak *s);

#endif
