/* A world of two-ended pipes in memory, stepped by hand: for tests of what talks over world connections. Nothing moves
 * but in pipe_run() and pipe_advance(). */
#ifndef DALANG_NET_TESTS_PIPE_H
#define DALANG_NET_TESTS_PIPE_H

#include "world/world.h"

struct pipe_world *pipe_world_new(void);
/* Asserts that no connection, timer, deferred task or listener is left. */
void pipe_world_free(struct pipe_world *pw);
struct world *pipe_world(struct pipe_world *pw);
/* Delivers what is under way, runs deferred tasks and timers that are due, until nothing is left to do. */
void pipe_run(struct pipe_world *pw);
void pipe_advance(struct pipe_world *pw, uint64_t ms); /* pipe_run() at every timer on the way */
/* From now on bytes arrive in pieces of at most this many; 0: as they were written. */
void pipe_split(struct pipe_world *pw, size_t bytes);
/* How many bytes of each direction are under way at most; the rest is "pending" at the writer. Nothing is delivered
 * while it is 0. Default: SIZE_MAX. */
void pipe_window(struct pipe_world *pw, size_t bytes);
void pipe_identity(struct pipe_world *pw, const struct world_identity *id); /* of every peer; NULL: none */
uint64_t pipe_writes(const struct pipe_world *pw);                          /* calls of world_conn_write() so far */
size_t pipe_conns(const struct pipe_world *pw);                             /* ends that exist */

/* A bare client: collects what it gets. */
struct raw {
    struct world_conn *conn; /* NULL: closed */
    struct buf got;
    bool open;
    bool sips; /* pauses after each piece */
    enum world_close_reason why;
};
void raw_connect(struct raw *r, struct pipe_world *pw, uint16_t port);
void raw_send(struct raw *r, struct span bytes);
void raw_free(struct raw *r); /* aborts when open */
/* A bare server: takes one connection at a time into *r. */
struct world_listener *raw_listen(struct raw *r, struct pipe_world *pw, uint16_t port);

#endif
