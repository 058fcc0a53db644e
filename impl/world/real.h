/* The real world: a libuv loop, OpenSSL on non-blocking sockets, libcurl, child processes and the file system.
 *
 * One world per thread. Mains and hosts make one, give it to cores as `struct world *` and run it:
 *
 *     struct world *w = real_world_new(&err);
 *     real_signal(w, SIGTERM, on_term, ctx);
 *     … cores …
 *     real_world_run(w);   // until real_world_stop(w)
 *     real_world_free(w);
 *
 * A turn of the loop: what is ready on sockets, pipes, signals; then due timers; then the deferred tasks.
 * The process ignores SIGPIPE once a world exists. */
#ifndef DALANG_WORLD_REAL_H
#define DALANG_WORLD_REAL_H

#include "world/world.h"

/* error kind: "world/io" (no descriptors or memory left for a loop). */
struct world *real_world_new(struct error *err);
/* Turns until real_world_stop(), or until nothing is left that could ever happen. */
void real_world_run(struct world *w);
void real_world_stop(struct world *w);
/* One turn. block: waits until something happens. False when there is nothing left that could ever happen
 * (no timer, connection, process, signal to wait for …): such a turn does not wait. */
bool real_world_turn(struct world *w, bool block);
/* Ends whatever is still open without callbacks (connections are aborted, processes forgotten, requests cancelled);
 * waits for work that runs, whose `done` is called. Contexts of world_tls_new() are freed by their owner. */
void real_world_free(struct world *w);

/* cb runs on the loop each time the signal comes, until the world is freed; a second call replaces the first. */
void real_signal(struct world *w, int signum, void (*cb)(void *ctx), void *ctx);

/* Appends the secrets of every connection of TLS contexts made from now on to this file (created with mode 0600; the
 * format of SSLKEYLOGFILE, which Wireshark reads). For test programs only: who has the file can read what was said.
 * Once per world; path NULL or "": nothing happens. Error kind "world/file". */
bool real_keylog(struct world *w, const char *path, struct error *err);

/* For daemons, first thing: a crash leaves no core file with keys and tokens in it, and nobody but root may look into
 * the process. Programs it starts are not affected. (Not in builds with AddressSanitizer, whose leak check has to
 * look.) */
void real_no_core_files(void);

/* What is open now; for leak checks, status and limits. */
struct real_counts {
    size_t connections; /* opening and open, both roles */
    size_t handshakes;  /* accepted and not yet open */
    size_t listeners, fetches, processes, watches, works, timers;
};
void real_world_counts(const struct world *w, struct real_counts *out);

#endif
