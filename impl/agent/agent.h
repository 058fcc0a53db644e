/* The PXP agent as a core: connects to a PCP broker, runs what it is asked to run, keeps the outcome (agent.md).
 *
 * Single-threaded; everything it does goes through its world, so that the same core serves `dalang-agent`, virtual
 * agents by the thousand, and the simulator. An idle agent costs about 2 KB besides its connection: what agents have in
 * common is in a configuration and a module table that they share.
 *
 *     struct agent_config config = agent_config_default();
 *     config.brokers = …;
 *     struct agent *a = agent_new(world, &config, &(struct agent_self){.name = "node1", .tls = tls, …}, &hooks, log);
 *     agent_start(a);
 *     …
 *     agent_free(a); */
#ifndef DALANG_AGENT_AGENT_H
#define DALANG_AGENT_AGENT_H

#include "pcp/message.h"
#include "world/world.h"

enum {
    AGENT_INBOUND_MAX = 32000000, /* bytes of one message; more closes with 1009, as the reference does */
    AGENT_UNSENT_MAX = 1000,      /* final responses kept for the next connection; older ones go first */
    AGENT_PONG_TIMEOUT_MS = 5000,
    AGENT_RECONNECT_MS = 200,      /* pause before the first attempt after a working connection was lost */
    AGENT_BACKOFF_FIRST_MS = 2000, /* pause after a failed attempt, give or take half of it; doubled each time … */
    AGENT_BACKOFF_MAX_MS = 33000,  /* … while it is below this */
    AGENT_PATIENCE_MAX_MS = 30000, /* an attempt may take connection_timeout_ms, doubled with the pause, to this */
};

struct agent_modules;

/* What many agents have in common. Everything is borrowed and must outlive them; nothing here is changed by them. */
struct agent_config {
    const char *const *brokers; /* "wss://host:port/path", in failover order; at least one */
    size_t broker_count;
    const char *const *primaries; /* "https://host:port": where task files come from, in failover order */
    size_t primary_count;
    enum pcp_version version;
    const char *broker_proxy;   /* "http://host:port" or NULL */
    const char *download_proxy; /* or NULL */

    uint64_t connection_timeout_ms; /* of a first attempt; see AGENT_PATIENCE_MAX_MS */
    uint64_t ping_interval_ms;
    uint32_t allowed_keepalive_timeouts; /* missed pongs in a row that are tolerated */
    uint64_t association_timeout_ms;     /* v1 */
    uint64_t message_ttl_ms;             /* v1: `expires` of what we send */
    uint64_t download_connect_timeout_ms, download_timeout_ms;

    size_t send_queue_max;   /* bytes the broker has not taken; more drops the connection */
    size_t max_message_size; /* bytes of outgoing data; more is answered with an RPC error */
    uint64_t output_max;     /* bytes kept of each output stream of a task; the rest is dropped */
    uint32_t jobs_max;       /* running at once; more are refused with an RPC error */

    uint64_t spool_ttl_ms, cache_ttl_ms; /* 0: never purged */

    const char *modules_dir;        /* external modules are looked for here at the start; NULL: none */
    const char *modules_config_dir; /* their *.conf files; or NULL */
    struct agent_modules *modules;  /* shared module table; NULL: an own one with the built-in modules */
    const char *exec_wrapper;       /* path of dalang-exec, see agent/exec.h */
    const char *helper_dir;         /* where PowershellShim.ps1 and apply_ruby_shim.rb are; NULL: found through PATH */
    const char *shell;              /* login shell of the agent's user; NULL: `command run` fails */
    const char *const *environment; /* "NAME=value" of the agent itself, NULL-terminated; or NULL: empty */
    const char *ssl_ca, *ssl_cert, *ssl_key, *ssl_crl; /* paths, for `apply`; "" or NULL when not configured */

    /* As the reference where ours is better by default: final responses that cannot be sent are lost, restarts are not
     * looked after, a failed connection attempt always costs the whole connection timeout, and a fleet that lost its
     * broker comes back within a second of each other. */
    bool reference;
    bool refusal_is_final; /* v1: a refused association stops the agent (hooks->refused); false: it keeps trying */
};
struct agent_config agent_config_default(void);

/* What is an agent's own. Copied, except tls and credential, which must outlive the agent. */
struct agent_self {
    const char *name; /* common name; the agent is pcp://<name>/agent */
    struct world_tls *tls;
    const void *credential;     /* for world_connect, or NULL */
    const char *source;         /* local address, or NULL */
    const char *spool_dir;      /* absolute; must exist */
    const char *task_cache_dir; /* absolute; must exist */
};

struct agent;

enum agent_access { AGENT_ACCESS_ACCEPTED, AGENT_ACCESS_UNREADABLE };

/* All may be NULL. None may free the agent. */
struct agent_hooks {
    void (*connected)(void *ctx, struct agent *a);                   /* ready for requests (v1: associated) */
    void (*disconnected)(void *ctx, struct agent *a);                /* was connected, is no longer */
    void (*refused)(void *ctx, struct agent *a, const char *reason); /* association refused; the agent has stopped */
    /* Each inbound message: for the access log. sender, type and id are "unknown" when it was unreadable. */
    void (*access)(void *ctx, struct agent *a, enum agent_access outcome, const char *broker, struct span sender,
                   struct span type, struct span id);
    /* For whoever measures: an attempt to connect begins; it failed (the agent goes on trying); the broker answered a
     * ping after rtt_us. */
    void (*trying)(void *ctx, struct agent *a);
    void (*failed)(void *ctx, struct agent *a, struct span why);
    void (*ponged)(void *ctx, struct agent *a, uint64_t rtt_us);
    void *ctx;
};

/* hooks and log may be NULL; both are borrowed. */
struct agent *agent_new(struct world *w, const struct agent_config *config, const struct agent_self *self,
                        const struct agent_hooks *hooks, const struct logger *log);
/* Looks after the spool, loads external modules, then connects. Once. */
void agent_start(struct agent *a);
/* Says good-bye to the broker (close code 1000); running tasks go on. No reconnecting from here on. */
void agent_stop(struct agent *a);
/* At any time; running tasks go on, their outcome is found by the next agent on the same spool. */
void agent_free(struct agent *a);

bool agent_is_connected(const struct agent *a);
const char *agent_uri(const struct agent *a);
struct world *agent_world(const struct agent *a); /* the one it was made with */
size_t agent_job_count(const struct agent *a);    /* running now */

#endif
