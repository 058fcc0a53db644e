/* HTTPS requests of this daemon: over its own connections instead of libcurl, which with its libraries would take more
 * memory than the rest of the agent. Defined here, these two take the place of those in world_real when it is linked.
 */
#include "net/http_client.h"

struct real_world;
struct world_fetch *real_fetch(void *impl, struct world *w, const struct world_fetch_opts *opts,
                               void (*done)(void *ctx, const struct world_response *r), void *ctx);
void real_fetch_end(struct real_world *rw);

struct world_fetch *real_fetch(void *impl, struct world *w, const struct world_fetch_opts *opts,
                               void (*done)(void *ctx, const struct world_response *r), void *ctx) {
    (void)impl;
    return http_client_fetch(w, opts, done, ctx);
}

/* The agent has cancelled its requests by then. */
void real_fetch_end(struct real_world *rw) {
    (void)rw;
}
