/* HTTP/1.1 requests over world_connect(): how a world without an HTTP library of its own implements world_fetch().
 * One connection per request. */
#ifndef DALANG_NET_HTTP_CLIENT_H
#define DALANG_NET_HTTP_CLIENT_H

#include "world/world.h"

/* As world_fetch() (world.h) in everything; the options and what they point to are not needed after the call.
 * When opts->on_body returns false the request ends there, without done, as by world_fetch_cancel(). The body of an
 * answer that is not 2xx is in the response also when there is an on_body. */
struct world_fetch *http_client_fetch(struct world *w, const struct world_fetch_opts *opts,
                                      void (*done)(void *ctx, const struct world_response *r), void *ctx);

#endif
