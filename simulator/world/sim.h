/* The simulated world: virtual time, network, processes, files and certificates, one thread, one seed.
 *
 * A `struct sim` holds hosts. A host is one machine with one actor (a core) on it; sim_host() gives the actor's
 * `struct world` with every facet of world.h. Nothing happens but in sim_step(): it takes the earliest event, moves the
 * clock there and runs the callbacks. The same seed gives the same run to the byte, in every build: sim_trace_hash()
 * covers every event (time, host, kind, bytes).
 *
 *     struct sim *sim = sim_new(&(struct sim_opts){.seed = 1});
 *     struct world *a = sim_host(sim, "broker-1"), *b = sim_host(sim, "agent-1");
 *     struct world_tls_files files = sim_tls_files(a, "broker-1"); // issues and stores a certificate of the default CA
 *     … cores on a and b …
 *     assert_true(sim_run_until(sim, 10 * SIM_SECOND, is_done, ctx));
 *     … cores freed …
 *     assert_true(sim_check_idle(sim, &report));
 *     sim_free(sim);
 *
 * Fidelity: a TCP connection is two ordered streams with latency, bandwidth, a window, cuts at seeded points, TCP's
 * retransmission when packets are lost, resets; TLS is its flights, checked against a table of certificates the way
 * OpenSSL checks them (TLS 1.3: the client is open before the server has judged its certificate). Files have unsynced
 * writes that a power failure loses or tears. Processes outlive the actor that started them. */
#ifndef DALANG_SIM_SIM_H
#define DALANG_SIM_SIM_H

#include "simulator/world/dist.h"
#include "world/world.h"

struct sim;

#define SIM_MS ((uint64_t)1000)
#define SIM_SECOND ((uint64_t)1000000)
#define SIM_MINUTE (60 * SIM_SECOND)
#define SIM_HOUR (60 * SIM_MINUTE)

/* How bytes travel one way between two hosts. Chances are in parts per million. */
struct sim_link {
    struct dist latency_us;
    uint64_t bytes_per_s; /* 0: unlimited */
    uint32_t split_ppm;   /* a write arrives in two pieces, cut anywhere */
    uint32_t loss_ppm;    /* a segment is lost: it arrives one or more retransmission times later */
    uint32_t reset_ppm;   /* a segment is met by a reset: both ends see it */
    uint32_t corrupt_ppm; /* a segment is damaged: TLS fails; on a plain connection TCP's checksum catches it: a loss */
    uint32_t duplicate_ppm; /* a segment travels twice: the line carries both, TCP takes the first that arrives */
    uint32_t late_ppm;      /* others overtake a segment: TCP holds them back until it is there … */
    uint64_t late_us;       /* … at most this much later; 0: never */
    uint32_t refuse_ppm;    /* a connection attempt is refused */
    bool cut;               /* nothing passes */
};
struct sim_link sim_link_default(void); /* 200 µs … 2 ms, an eighth of the writes split, no faults */

struct sim_opts {
    uint64_t seed;
    int64_t wall_ms;             /* wall clock at the start; 0: 2030-01-02T03:04:05Z */
    const struct sim_link *link; /* between any two hosts; NULL: sim_link_default() */
    size_t window;               /* bytes in flight per direction of a connection; 0: 256 KiB */
    bool strict_directories; /* only an fsync of the directory makes its entries durable (else: any fsync, as ext4) */
};

struct sim *sim_new(const struct sim_opts *opts);
/* Cores must have been freed or crashed. */
void sim_free(struct sim *sim);
uint64_t sim_seed(const struct sim *sim);

/* ------------------------------------------------------------------------------------------ running */

uint64_t sim_now_us(const struct sim *sim);
/* Handles one event; false when there is none. */
bool sim_step(struct sim *sim);
/* Runs until the clock would pass until_us; the clock then stands at until_us. */
void sim_run(struct sim *sim, uint64_t until_us);
/* Runs until done(ctx) holds (asked after every event) or for at most `within_us`; true when it holds. */
bool sim_run_until(struct sim *sim, uint64_t within_us, bool (*done)(void *ctx), void *ctx);
/* Runs until nothing is left to happen, at most `within_us`; true when idle. */
bool sim_run_idle(struct sim *sim, uint64_t within_us);
uint64_t sim_event_count(const struct sim *sim);
/* For whoever drives the simulation: calls fire(ctx) at now + delay_us, outside of any host. `t` is the caller's. */
void sim_timer_start(struct sim *sim, struct timer *t, uint64_t delay_us, void (*fire)(void *ctx), void *ctx);
void sim_timer_stop(struct sim *sim, struct timer *t);
/* A stream of randomness of the caller's own. */
struct rng sim_rng(const struct sim *sim, const char *purpose, const char *name);

/* ------------------------------------------------------------------------------------------ hosts */

/* The world of the actor on this host; made at the first call, lives as long as the sim. Its name resolves. */
struct world *sim_host(struct sim *sim, const char *name);
struct world *sim_find_host(struct sim *sim, const char *name); /* by name or alias; NULL when there is none */
const char *sim_host_name(const struct world *host);
const char *sim_host_address(const struct world *host); /* "10.0.0.1" */
struct sim *sim_of(const struct world *host);
void sim_alias(struct world *host, const char *name); /* another name that resolves to it */
/* The actor's wall clock. */
void sim_clock_jump(struct world *host, int64_t ms);
void sim_clock_drift(struct world *host, int32_t ppm); /* from now on faster by ppm millionths */
/* SIGSTOP and SIGCONT: events wait (the kernel still takes connections and bytes). */
void sim_pause(struct world *host, bool paused);
/* Everything on this host waits that long: a slow disk, a busy processor. */
void sim_stall(struct world *host, uint64_t us);

/* ------------------------------------------------------------------------------------------ crash */

enum sim_crash_kind {
    SIM_CRASH_KILL,  /* kill -9: peers see resets, written files are there */
    SIM_CRASH_POWER, /* the machine dies: peers hear nothing until it is back; unsynced writes are lost, some or all of
                      * each, as the seed says; its processes are gone */
};
/* The actor's code calls this when it starts: how its memory is released if it crashes. Everything it asks of its
 * world from then on fails or is ignored, and whatever it leaves behind is swept. NULL: nothing to release. */
void sim_on_crash(struct world *host, void (*destroy)(void *ctx), void *ctx);
/* Not from a callback of the actor itself: use a sim timer. After SIM_CRASH_POWER the machine is down until
 * sim_power_on(). The actor may be created again on the same world. */
void sim_crash(struct world *host, enum sim_crash_kind kind);
void sim_power_on(struct world *host);

/* ------------------------------------------------------------------------------------------ network */

/* The link from one host to another (one way); NULL: any host. The most specific wins: (from, to), (from, any),
 * (any, to), (any, any). A NULL link drops the setting. */
void sim_link_set(struct sim *sim, const char *from, const char *to, const struct sim_link *link);
struct sim_link sim_link_get(struct sim *sim, const char *from, const char *to);
bool sim_link_is_set(struct sim *sim, const char *from, const char *to); /* by sim_link_set() for this very pair */
/* Both ends of every connection between the two hosts (b NULL: of a with anyone) see a reset. Returns how many. */
size_t sim_reset_connections(struct world *a, struct world *b);
/* One end of every such connection is gone without a word: the other learns of it when it sends. Returns how many. */
size_t sim_half_open(struct world *gone, struct world *b);
/* A CONNECT proxy on this host; `allow` false: it refuses every request. */
void sim_proxy(struct world *host, uint16_t port, bool allow);
size_t sim_connection_count(const struct sim *sim);

/* ------------------------------------------------------------------------------------------ certificates */

/* PEM files of the simulated world are small texts that name an entry of the sim's table; world_tls_new() reads them
 * from the host's files as the real world does, so replacing a file and reloading works. */
struct sim_certificate;
struct sim_certificate_opts {
    const char *issuer;           /* name of the CA; NULL: SIM_CA. Any name makes a CA of that name */
    const char *common_name;      /* NULL: a certificate without CN */
    const char *const *alt_names; /* NULL: the common name */
    size_t alt_name_count;
    int64_t not_before_ms, not_after_ms; /* 0: a day before the start of the sim, ten years after it */
    bool self_signed;
    const struct world_extension *extensions; /* copied */
    size_t extension_count;
};
#define SIM_CA "Dalang simulated CA"
const struct sim_certificate *sim_issue(struct sim *sim, const struct sim_certificate_opts *opts);
const struct world_identity *sim_certificate_identity(const struct sim_certificate *cert);
const struct sim_certificate *sim_certificate_find(const struct sim *sim, const char *serial); /* or NULL */
/* The texts for files; mem_free() them. */
char *sim_certificate_text(const struct sim_certificate *cert);
char *sim_key_text(const struct sim_certificate *cert);
char *sim_ca_text(struct sim *sim, const char *ca);  /* several of them may be put one after the other */
char *sim_crl_text(struct sim *sim, const char *ca); /* with what sim_revoke() has named so far */
void sim_revoke(struct sim *sim, const struct sim_certificate *cert);
/* Writes certificate, key, CA and CRL of the default CA for `common_name` (alternative names: it and "localhost") below
 * /etc/sim/ of the host and returns their paths (they live as long as the sim). Synced. */
struct world_tls_files sim_tls_files(struct world *host, const char *common_name);
/* The certificate that sim_tls_files() issued; NULL when there is none. */
const struct sim_certificate *sim_tls_certificate(struct world *host, const char *common_name);
/* From now on sim_tls_files() gives one whose time was over a second ago. */
void sim_tls_expire(struct world *host, const char *common_name);
/* The next sim_tls_files() issues a new one. */
void sim_tls_forget(struct world *host, const char *common_name);
/* Writes what has been revoked by now into the list that sim_tls_files() wrote; nothing where there is none. */
void sim_tls_update_crl(struct world *host);
/* The same with a certificate of your own; its name in the paths is the serial number. */
struct world_tls_files sim_tls_files_of(struct world *host, const struct sim_certificate *cert);

/* ------------------------------------------------------------------------------------------ processes */

/* One run of a virtual program. The program reads the first part and fills the second. */
struct sim_exec {
    struct world *host;
    int64_t pid;
    const char *const *argv;
    const char *const *env; /* empty when the actor gave none */
    const char *cwd;        /* never NULL */
    struct span input;      /* of standard input */
    struct rng *rng;        /* of this host's processes */

    uint64_t takes_us;
    int status;
    int signal;          /* ends itself with this signal (a crash); 0: none */
    struct buf out, err; /* appear when it ends, unless sim_exec_output() put them earlier */
    bool ignores_term;   /* SIGTERM does nothing; SIGKILL ends it */
    bool unkillable;     /* no signal does anything: it waits for a device or a file server */
    void *data;          /* the program's own until at_end */
    struct list outputs; /* private */
};
/* Puts output at a point of the run (µs since its start), before what out and err hold. */
void sim_exec_output(struct sim_exec *x, uint64_t at_us, int stream, struct span bytes);
struct sim_program {
    void (*run)(void *ctx, struct sim_exec *x);
    /* When it has ended (or was killed: then `killed` is the signal), before anybody hears of it; may be NULL. May
     * write files of the host. */
    void (*at_end)(void *ctx, struct sim_exec *x, int killed);
    void *ctx;
    /* Instead of at_end when the run vanishes: its machine lost power, or the sim ends. Only to free x->data; may be
     * NULL. */
    void (*drop)(void *ctx, struct sim_exec *x);
};
/* name: a path, or a base name, or NULL for whatever has no program of its own. host NULL: on every host. The host's
 * own programs go first, a path before a base name before NULL. A program that is not registered cannot be started. */
void sim_program(struct sim *sim, struct world *host, const char *name, const struct sim_program *program);
const char *sim_exec_env(const struct sim_exec *x, const char *name); /* NULL when unset */
/* Whoever registered the programs is gone: they are forgotten, and every run vanishes. */
void sim_programs_drop(struct sim *sim);
size_t sim_process_count(const struct sim *sim); /* still running */

/* ------------------------------------------------------------------------------------------ disk faults */

enum sim_file_op {
    SIM_FILE_READ = 1 << 0,
    SIM_FILE_WRITE = 1 << 1,
    SIM_FILE_SYNC = 1 << 2,
    SIM_FILE_OPEN = 1 << 3,
    SIM_FILE_META = 1 << 4, /* mkdir, rename, remove, chmod */
    SIM_FILE_ANY = 31,
};
struct sim_disk_fault {
    const char *prefix;  /* of the path; NULL: every one */
    unsigned ops;        /* of enum sim_file_op; 0: none (drops the fault) */
    const char *kind;    /* "world/io", "world/full", "world/permission"; static */
    uint32_t chance_ppm; /* 0: always */
    uint32_t times;      /* ends after so many; 0: never */
};
void sim_disk_fault(struct world *host, const struct sim_disk_fault *fault); /* replaces the earlier one; NULL: none */
void sim_disk_capacity(struct world *host, uint64_t bytes);                  /* 0: unlimited */
void sim_disk_latency(struct world *host, const struct dist *per_sync_us); /* each fsync stalls the actor; NULL: none */
uint64_t sim_disk_used(const struct world *host);
uint64_t sim_file_op_count(const struct world *host); /* operations so far, for failing "the n-th" */
/* The n-th operation from now fails with kind; 0: off. */
void sim_file_fail_after(struct world *host, uint64_t n, const char *kind);
/* From the n-th operation from now on every one fails: the machine dies in the middle of whatever the actor does. Once
 * sim_disk_dying(), crash the host before its next step; 0: off. */
void sim_disk_die_after(struct world *host, uint64_t n);
bool sim_disk_dying(const struct world *host);
/* The n-th sync from now is only claimed to have happened; 0: off. A checker that does not notice (after a power
 * failure) misses something, or that sync is not needed. */
void sim_disk_lie_at_sync(struct world *host, uint64_t n);
uint64_t sim_disk_sync_count(const struct world *host);

/* ------------------------------------------------------------------------------------------ trace and checks */

enum sim_event_kind {
    SIM_EVENT_TIMER,
    SIM_EVENT_TASKS, /* the deferred tasks of a turn */
    SIM_EVENT_WORK,
    SIM_EVENT_CONNECT, /* id: connection · text: "host:port" */
    SIM_EVENT_OPEN,    /* at the client */
    SIM_EVENT_ACCEPT,  /* at the server */
    SIM_EVENT_WRITE,   /* bytes given to the connection */
    SIM_EVENT_DATA,    /* bytes arrived */
    SIM_EVENT_DRAIN,
    SIM_EVENT_CLOSE,   /* on_close; text: reason */
    SIM_EVENT_CLOSING, /* the actor closed or aborted */
    SIM_EVENT_SPAWN,   /* id: pid · text: the arguments with blanks in between · bytes: standard input */
    SIM_EVENT_OUTPUT,  /* id: pid · text: "1" or "2" */
    SIM_EVENT_EXIT,    /* id: pid · text: status or signal */
    SIM_EVENT_SIGNAL,
    SIM_EVENT_FILE, /* text: operation and path · bytes: what was written */
    SIM_EVENT_HOST, /* text: "crash", "power off", "start", "pause" … */
    SIM_EVENT_NOTE, /* text: whatever sim_note() was given */
};
const char *sim_event_kind_name(enum sim_event_kind kind);
struct sim_event {
    uint64_t at_us;
    const char *host; /* "" for what belongs to none */
    enum sim_event_kind kind;
    uint64_t id;
    bool server_end;  /* of a connection: which of its two ends */
    const char *text; /* never NULL */
    struct span bytes;
};
/* Sees every event as it happens, after it was hashed; must not act on the sim. Several may watch. */
struct sim_watcher {
    struct list_link link;
    void (*on_event)(void *ctx, const struct sim_event *e);
    void *ctx;
};
void sim_watch(struct sim *sim, struct sim_watcher *watcher, void (*on_event)(void *ctx, const struct sim_event *e),
               void *ctx);
void sim_unwatch(struct sim *sim, struct sim_watcher *watcher);
uint64_t sim_trace_hash(const struct sim *sim);
/* Puts a line into the trace (and the hash): steps of a scenario, faults, log lines. host may be NULL. */
void sim_note(struct sim *sim, const struct world *host, const char *text);
/* A logger sink that writes to the trace: .write = sim_log_write, .ctx = the host's world. */
void sim_log_write(void *ctx, const struct log_record *record);
/* What actors left behind: timers, tasks, work, connections, listeners, fetches, watches, open files, process handles.
 * True when nothing; else a line each in report (may be NULL). Run it after the cores were freed. */
bool sim_check_idle(struct sim *sim, struct buf *report);
/* What a host's actor holds now, for comparison with an earlier moment. */
struct sim_census {
    size_t timers, tasks, works, connections, listeners, fetches, open_files, watches, process_handles;
    uint64_t disk_bytes;
};
struct sim_census sim_census(const struct world *host);
size_t sim_host_count(const struct sim *sim);
struct world *sim_host_at(const struct sim *sim, size_t index); /* in the order they were made */

#endif
