/* What the simulated world's files share. */
#ifndef DALANG_SIM_INTERNAL_H
#define DALANG_SIM_INTERNAL_H

#include "base/map.h"
#include "simulator/world/sim.h"

struct sim_host;
struct disk;
struct sqlite_vfs;

struct sim {
    uint64_t seed;
    uint64_t now_us;
    int64_t wall_start_ms;
    size_t window;
    bool strict_directories;
    struct timer_heap agenda; /* hosts' next events and the driver's timers */
    struct map names;         /* name, alias or address → struct sim_host */
    struct sim_host **hosts;  /* by number */
    size_t host_count, host_cap;

    struct sim_link link_default;
    struct map links;      /* "from\nto", "*" for any → struct sim_link */
    uint64_t link_version; /* grows with every change */
    struct list stalled;   /* pipes that wait for a cut link */
    uint64_t connections_made;
    size_t connections_open;

    struct map authorities; /* name → struct authority */
    struct sim_certificate **certificates;
    size_t certificate_count, certificate_cap;

    struct list programs;
    struct map processes; /* pid as text → struct process */
    int64_t next_pid;

    uint64_t hash;
    uint64_t event_count;
    struct list watchers;
    struct list kept; /* paths handed out for the sim's lifetime */
};

/* One machine with its actor. Three agendas: what goes on without the actor (processes end), what reaches it from
 * outside (segments, closes, exits; waits while it is paused or busy), and its own timers. */
struct sim_host {
    struct world world;
    struct sim *sim;
    char *name;
    char address[16];
    uint32_t number;
    struct timer wake; /* in sim->agenda */
    struct timer_heap kernel, inbox, timers;
    struct list tasks;
    struct list works;
    uint64_t busy_until_us;
    bool paused;
    bool down;     /* no power */
    bool crashing; /* the actor's destroy callback runs */
    void (*destroy)(void *ctx);
    void *destroy_ctx;

    int64_t wall_offset_ms;
    int32_t drift_ppm;
    uint64_t drift_since_us;

    struct rng random, processes_rng, disk_rng;
    struct list connections; /* struct sim_conn */
    struct list listeners;
    struct list proxies;
    struct list process_handles;
    uint16_t next_port;
    struct list fetches;
    struct map tls_files; /* common name → what sim_tls_files() wrote */
    struct disk *disk;
    struct sqlite_vfs *vfs; /* made when asked for */
};

static inline struct sim_host *host_of(const struct world *w) {
    return w->time_impl;
}

/* Puts the host's next event into the sim's agenda; after every change of its heaps or state. */
void sim_host_rearm(struct sim_host *h);
/* Starts an internal event of the host at now + delay_us. */
void sim_kernel_start(struct sim_host *h, struct timer *t, uint64_t delay_us, void (*fire)(void *ctx), void *ctx);
void sim_kernel_stop(struct sim_host *h, struct timer *t);
void sim_inbox_start(struct sim_host *h, struct timer *t, uint64_t delay_us, void (*fire)(void *ctx), void *ctx);
void sim_inbox_stop(struct sim_host *h, struct timer *t);

void sim_trace(struct sim *sim, const struct sim_host *h, enum sim_event_kind kind, uint64_t id, bool server_end,
               const char *text, struct span bytes);
/* Keeps a heap string until the sim ends; returns it. */
const char *sim_keep(struct sim *sim, char *text);

extern const struct world_time_ops sim_time_ops;
extern const struct world_net_ops sim_net_ops;
extern const struct world_process_ops sim_process_ops;
extern const struct world_file_ops sim_file_ops;

/* Parts of a crash: `before` the actor's memory is released (nothing calls it any more, what it holds stays valid),
 * `after` (what it left is freed). */
void sim_time_before_crash(struct sim_host *h);
void sim_time_after_crash(struct sim_host *h);
void sim_net_before_crash(struct sim_host *h, enum sim_crash_kind kind);
void sim_net_after_crash(struct sim_host *h);
void sim_process_before_crash(struct sim_host *h, enum sim_crash_kind kind);
void sim_process_after_crash(struct sim_host *h);
void sim_disk_before_crash(struct sim_host *h, enum sim_crash_kind kind);
void sim_disk_after_crash(struct sim_host *h);
void sim_net_host_free(struct sim_host *h);
void sim_net_power_on(struct sim_host *h);
void sim_process_free(struct sim *sim);
void sim_tls_free_all(struct sim *sim);
struct disk *sim_disk_new(struct sim_host *h);
void sim_disk_free(struct disk *d);
void sim_vfs_free(struct sim_host *h);

/* One line for each thing left behind; true when none. */
bool sim_time_check_idle(const struct sim_host *h, struct buf *report);
bool sim_net_check_idle(const struct sim_host *h, struct buf *report);
bool sim_process_check_idle(const struct sim_host *h, struct buf *report);
bool sim_disk_check_idle(const struct sim_host *h, struct buf *report);
void sim_disk_census(const struct sim_host *h, struct sim_census *out);
void sim_leak(struct buf *report, const struct sim_host *h, size_t count, const char *what);

#endif
