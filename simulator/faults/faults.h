/* Faults on a simulated world, with a beginning and an end: single ones from JSON (a scenario's `fault` step), and
 * swarms drawn from a seed (`dalang simulate --faults`). They act below the cores: links, hosts, disks, clocks; what
 * only the owner of the cores can do (crash, start again, service faults) it does through hooks. (harness.md §1, §2)
 *
 * A fault is an object with one of these keys; "for" ends it after a duration (else it lasts until faults_heal()).
 * HOST is a name, a list of names, "*", or a prefix with "*" behind it ("node-*").
 *
 *   {"kill": HOST}                                  the process is gone and stays so
 *   {"restart": HOST, "down_for": "3s"}             … and comes back (1 s when not said); "power": true: the machine
 *                                                   fails and loses what was not synced; "slow_start": "20s": it is
 *                                                   up, and does nothing for so long
 *   {"pause": HOST, "for": "5s"}                    SIGSTOP … SIGCONT
 *   {"partition": {"a": HOST, "b": HOST, "symmetric": true}}      nothing passes (symmetric false: from a to b only)
 *   {"delay": {"a": …, "b": …, "latency": <duration>}}            latency of both directions
 *   {"drop": {…, "ratio": 0.1}}                     so many segments are lost: TCP repeats them, later
 *   {"duplicate": {…, "ratio": 0.1}}                the line carries both; TCP takes the first that arrives
 *   {"reorder": {…, "by": "50ms", "ratio": 0.5}}    so many packets are late and overtaken; TCP waits for them
 *   {"throttle": {…, "bytes_per_s": 10000}}
 *   {"corrupt": {…, "ratio": 0.01}}                 TLS notices and ends the connection
 *   {"refuse": {…, "ratio": 0.5}}                   connection attempts are refused
 *   {"reset": {…}} or {"reset": {…, "ratio": 0.01}} all connections now; or so many segments meet a reset
 *   {"half_close": {"gone": HOST, "peer": HOST}}    one end of each connection vanishes without a word
 *   {"disk": {"host": HOST, "full": true, "slow": <duration>, "errors": 0.01, "lose_unsynced": true}}
 *                                                   errors of writes and syncs; "reads": true: of reads, too
 *   {"clock": {"host": HOST, "jump": "-1h", "drift_ppm": 200}}
 *   {"service": {"name": "rbac", …}}                the rest is the fake's own fault body (harness.md §7)
 *   {"certificate": {"revoke": NAME}}               and NAME gets a new one when the fault ends
 *   {"certificate": {"expire": NAME}}               NAME starts again with one that is no longer valid, till then
 *
 * <duration>: "200ms", {"uniform": ["1ms", "9ms"]}, {"lognormal": {"p50": …, "p99": …}}, {"exponential": "1s"}. */
#ifndef DALANG_SIMULATOR_FAULTS_H
#define DALANG_SIMULATOR_FAULTS_H

#include "base/json.h"
#include "simulator/world/sim.h"

/* Each may be NULL: such a fault is an error of kind "fault/unsupported". Called outside of any actor. */
struct faults_hooks {
    bool (*crash)(void *ctx, const char *host, enum sim_crash_kind kind);
    bool (*restart)(void *ctx, const char *host, struct error *err);
    /* fault: as above, without "for"; NULL: ends every fault of that service. */
    bool (*service)(void *ctx, const char *name, const json_t *fault, struct error *err);
    bool (*revoke)(void *ctx, const char *name, struct error *err);
    bool (*expire)(void *ctx, const char *name, struct error *err);
    /* Gives it a new certificate. False: it has it, and does not start with it: restart is tried until it does. */
    bool (*renew)(void *ctx, const char *name, struct error *err);
    void *ctx;
};

struct faults;
struct faults *faults_new(struct sim *sim, const struct faults_hooks *hooks);
void faults_free(struct faults *f); /* heals first; what is down stays down */

/* Begins a fault. error kinds: "fault" (a wrong or unknown key; the message names it and the nearest known one,
 * details.key holds its path), "fault/unsupported", "fault/unknown-host". */
bool faults_apply(struct faults *f, const json_t *spec, struct error *err);
/* The same without doing it: is it well-formed? */
bool faults_check(const json_t *spec, struct error *err);
/* The body of a service fault as the fakes take it (harness.md §7): "route" ("GET /pdb/query") is their method and
 * path, "delay" ("2s") their delay_ms. New reference. */
json_t *service_fault_body(const json_t *fault);
/* Ends every fault that lasts and starts again what is down. False: something could not be started. */
bool faults_heal(struct faults *f, struct error *err);
size_t faults_active(const struct faults *f);

/* How often each kind was begun, in a fixed order; name NULL past the end. */
uint64_t faults_injected(const struct faults *f, size_t i, const char **name);
uint64_t faults_injected_total(const struct faults *f);

/* ---- swarms */

enum faults_level { FAULTS_NONE, FAULTS_LIGHT, FAULTS_HEAVY, FAULTS_SWARM };
bool faults_level_parse(const char *text, enum faults_level *out); /* "none", "light", "heavy", "swarm" */

enum { SWARM_KINDS_MAX = 32 };

/* Everything that a swarm may do, and how often. */
struct swarm {
    uint64_t every_us;                        /* mean time between two faults */
    uint64_t least_us, most_us;               /* how long each lasts */
    uint32_t weights[SWARM_KINDS_MAX];        /* by kind, see swarm.c; 0: never */
    uint32_t ratio_least_ppm, ratio_most_ppm; /* of lossy links */
    size_t at_once_max;                       /* faults that last at the same time */
};
/* light and heavy are fixed; swarm draws every number, and which kinds there are at all, from the stream. */
struct swarm swarm_of(enum faults_level level, struct rng *rng);

size_t swarm_kind_count(void);
const char *swarm_kind_name(size_t kind);
/* "restart,clock" as bits; false when a name is unknown. */
bool swarm_kinds_parse(const char *text, uint32_t *out);

struct swarm_targets {
    const char *const *components; /* hosts that may crash, pause, … : brokers, orchestrator */
    size_t component_count;
    const char *const *agents;
    size_t agent_count;
    const char *const *services; /* hosts of services: links to them suffer, they themselves are not killed */
    size_t service_count;
};
/* Draws and begins faults from now until `for_us` have passed. One at a time; stops with faults_heal(). Everything is
 * borrowed until then. Without a hook the kinds that need it are not drawn. */
void faults_swarm(struct faults *f, const struct swarm *swarm, const struct swarm_targets *targets, uint64_t for_us,
                  struct rng rng);
/* One line of what the swarm is: for reports. mem_free() it. */
char *swarm_text(const struct swarm *swarm);

#endif
