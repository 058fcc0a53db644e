/* Inside of the real world: what its facets share. Not for anybody else. */
#ifndef DALANG_WORLD_REAL_LOOP_H
#define DALANG_WORLD_REAL_LOOP_H

#include "base/list.h"
#include "base/mem.h"
#include "world/real.h"
#include <uv.h>

enum {
    REAL_HANDSHAKES_PER_TURN = 16, /* steps of TLS handshakes, most of a millisecond each: a storm of new connections
                                    * must not make those that are open wait for all of it */
    REAL_READ_MAX = 64 * 1024,     /* bytes taken from one connection in a turn, so that none starves the others */
    REAL_RECORD_MAX = 16 * 1024,   /* of a TLS record: parts of a write are gathered up to this */
};

/* A call that must come soon but not from within the call that caused it. Runs between the sockets' events and the
 * deferred tasks; posting a posted one does nothing. */
struct real_soon {
    struct list_link link;
    void (*run)(struct real_soon *s);
};

struct real_world {
    struct world world; /* first */
    uv_loop_t loop;
    uv_timer_t alarm; /* wakes the loop for the first of `timers` */
    uint64_t alarm_us;
    struct timer_heap timers;
    struct list soon;     /* struct real_soon */
    struct list deferred; /* struct world_task */
    uint64_t turn;        /* counts them */
    bool stopped;
    bool in_uv; /* libuv's part of the turn is running */

    struct list conns;     /* struct real_conn */
    struct list corked;    /* struct real_conn: wrote more than once in this turn */
    struct list lingering; /* struct real_conn without an owner */
    struct list listeners; /* struct real_listener */
    struct list fetch_pools;
    struct list processes;
    struct list watches;
    struct list signals;
    struct list works; /* whose done is still to be called */
    uv_mutex_t work_mutex;
    uv_cond_t work_run; /* one of them has run */
    size_t fetches, handshakes;
    int keylog;          /* descriptor of the file for TLS secrets, or -1 */
    int handshake_steps; /* in this turn */
    uv_signal_t child_signal;
    bool child_signal_on;

    uint8_t random[512]; /* for short requests: the generator's own price is by the call; what was given out is zero */
    size_t random_left;  /* of them, at the end */

    char *read_scratch;  /* REAL_READ_MAX: bytes on their way to an on_data */
    char *write_scratch; /* REAL_RECORD_MAX: parts on their way to the socket */
};

static inline struct real_world *real_of(struct world *w) {
    return (struct real_world *)(void *)w;
}

void real_wake(struct real_world *rw); /* this turn must not wait */
void real_soon(struct real_world *rw, struct real_soon *s, void (*run)(struct real_soon *s));
void real_soon_cancel(struct real_world *rw, struct real_soon *s);

extern const struct world_time_ops real_time_ops;
extern const struct world_net_ops real_net_ops;
extern const struct world_process_ops real_process_ops;
extern const struct world_file_ops real_file_ops;

void real_net_uncork(struct real_world *rw); /* the end of a turn: sends what connections have gathered */

/* Called by real_world_free() */
void real_net_end(struct real_world *rw);
void real_fetch_end(struct real_world *rw);
void real_process_end(struct real_world *rw);
void real_watch_end(struct real_world *rw);

struct world_watch *real_watch(void *impl, const char *path, void (*on_change)(void *ctx), void *ctx);
void real_watch_close(struct world_watch *watch);
struct world_fetch *real_fetch(void *impl, struct world *w, const struct world_fetch_opts *opts,
                               void (*done)(void *ctx, const struct world_response *r), void *ctx);

#endif
