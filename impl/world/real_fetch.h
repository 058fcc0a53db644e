/* Inside of the real world: the HTTPS client. */
#ifndef DALANG_WORLD_REAL_FETCH_H
#define DALANG_WORLD_REAL_FETCH_H

#include "world/real_curl.h"
#include "world/real_loop.h"
#include "world/real_tls.h"

/* Requests that may share connections: same TLS state (or none). */
struct fetch_pool {
    struct list_link link; /* rw->fetch_pools */
    struct real_world *rw;
    CURLM *multi;               /* NULL: there is no libcurl */
    struct real_tls_state *tls; /* NULL: only http:// */
    struct list fetches;        /* struct real_fetch */
    struct timer timer;         /* when curl wants to be called */
    bool in_curl;               /* handles must not be added or removed now */
    bool kept;
};

struct fetch_pool *real_fetch_pool(struct real_world *rw, struct world_tls *tls);
void real_fetch_pool_settle(struct fetch_pool *pool); /* frees it when nobody can use it any more */
void real_fetch_pool_free(struct fetch_pool *pool);

/* Calls back into the requests */
void real_fetch_finished(CURL *easy, CURLcode code);
void real_fetch_sweep(struct fetch_pool *pool); /* frees those that were cancelled from within curl */

#endif
