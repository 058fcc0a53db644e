/* What the files of faults share. */
#ifndef DALANG_FAULTS_INTERNAL_H
#define DALANG_FAULTS_INTERNAL_H

#include "base/map.h"
#include "simulator/faults/faults.h"
#include "simulator/netfaults/netfaults.h"

/* What a fault does to every segment one way. Zero: nothing. */
struct link_effect {
    struct list_link link; /* in faults->effects */
    const struct active *owner;
    char *from, *to; /* NULL: any */
    struct link_fault fault;
};

/* A fault that lasts. */
struct active {
    struct list_link link; /* in faults->active */
    struct faults *faults;
    struct timer end;
    void (*undo)(struct faults *f, struct active *a);
    char **hosts;
    size_t host_count;
    char *name; /* of a service, or of a certificate */
};

enum { KINDS_MAX = 24 };
struct faults {
    struct sim *sim;
    struct faults_hooks hooks;
    struct rng rng;
    struct list active;
    struct list effects;  /* of all active faults, in the order they began */
    struct map link_keys; /* see links.c */
    struct list down;     /* hosts that were killed: struct down */
    uint64_t injected[KINDS_MAX];
    /* a swarm under way */
    struct timer swarm_timer;
    struct swarm swarm;
    struct swarm_targets targets;
    struct rng swarm_rng;
    uint64_t swarm_until_us;
};

struct down {
    struct list_link link;
    struct faults *faults;
    struct timer back;
    char *host;
    uint64_t slow_us; /* how long its start takes */
};

/* links.c: puts all effects together and sets the sim's links. */
void links_apply(struct faults *f);
void links_free(struct faults *f);

/* hosts.c: HOST of the description. */
struct known_hosts {
    const char *(*find)(void *ctx, const char *name); /* its name, or NULL */
    const char *(*at)(void *ctx, size_t i);           /* NULL past the end */
    void *ctx;
};
/* known NULL: to be checked only, nothing is looked up. A name of NULL: any. */
bool hosts_read(const struct known_hosts *known, const json_t *value, const char *where, char ***names, size_t *count,
                struct error *err);
/* The same, leaving prefixes ("node-*") as they are once they are known to mean somebody. */
bool hosts_patterns(const struct known_hosts *known, const json_t *value, const char *where, char ***names,
                    size_t *count, struct error *err);
void hosts_free(char **names, size_t count);

/* describe.c: every message names its place in the description; all return false after setting err. */
bool fault_wrong(struct error *err, const char *where, const char *what);
bool fault_read_duration(const json_t *value, const char *where, struct dist *out, struct error *err);
bool fault_read_signed(const json_t *value, const char *where, int64_t *out_ms, struct error *err);
bool fault_read_ratio(const json_t *object, const char *key, const char *where, uint32_t *out_ppm, struct error *err);
bool fault_only_keys(const json_t *object, const char *where, const char *const *keys, struct error *err);
/* f == NULL: only whether they are well formed. */
bool fault_read_hosts(struct faults *f, const json_t *value, const char *where, char ***names, size_t *count,
                      struct error *err);

/* faults.c */
struct active *active_new(struct faults *f);

/* link_kinds.c */
enum { LINK_KINDS = 9 };
const char *link_kind_name(size_t i);
/* f == NULL: only checks. out: the fault, when it lasts. */
bool link_kind_begin(struct faults *f, size_t i, const json_t *o, struct active **out, struct error *err);
bool link_fault_read(const json_t *o, const char *kind, struct link_fault *out, struct error *err);
void link_kinds_drop(struct faults *f, const struct active *a);

/* crash.c */
struct crash_plan {
    enum sim_crash_kind kind;
    bool comes_back;
    uint64_t down_us, slow_us;
};
bool crash_hosts(struct faults *f, char *const *names, size_t count, const struct crash_plan *plan, struct error *err);
/* It did not start, as err says: that is tried again. */
void crash_again(struct faults *f, const char *host, const struct error *err);
bool crash_heal(struct faults *f, struct error *err);
void crash_free(struct faults *f);

/* swarm_kinds.c: what a swarm may do, and what it needs for it. */
struct swarm_kind {
    const char *name;
    uint32_t light, heavy; /* weights at these levels */
    bool lasts;
    bool crashes, of_agents, of_services, revokes;
    json_t *(*draw)(struct faults *f); /* a description */
};
extern const struct swarm_kind swarm_table[];
extern const size_t swarm_table_count;
json_t *swarm_ms(struct faults *f, uint64_t least_us, uint64_t most_us); /* a duration in between */

void swarm_stop(struct faults *f);

#endif
