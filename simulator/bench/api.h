/* Requests to an orchestrator's API. */
#ifndef DALANG_BENCH_API_H
#define DALANG_BENCH_API_H

#include "base/error.h"
#include "world/world.h"

struct bench_api {
    struct world *world; /* the real one */
    char *url;           /* "https://host:port" */
    char *token;
    struct world_tls *tls;
};
/* Sends a request, with a body by POST; done gets the answer in a later turn. */
void bench_api_send(const struct bench_api *a, const char *path, const char *body,
                    void (*done)(void *ctx, const struct world_response *r), void *ctx);
/* Waits for the answer. False: no answer, or one that is not 2xx; error kind "bench", with the address and the API's
 * message. *answer (may be NULL) is json_decref()d by the caller; *took_ms (may be NULL) is what the request took. */
bool bench_api_ask(const struct bench_api *a, const char *path, const char *body, json_t **answer, double *took_ms,
                   struct error *err);
void bench_api_wait(const struct bench_api *a, uint64_t ms); /* turns the loop */
void bench_api_free(struct bench_api *a);                    /* what it holds, but the world */

/* The body that asks for a job on `count` of these names, taken in turn from the one numbered `first`; mem_free() it.
 * `what` is everything before the scope. */
char *bench_request(const char *what, const json_t *names, size_t first, size_t count);
#define BENCH_TASK "{\"environment\":\"production\",\"task\":\"echo\",\"params\":{\"message\":\"hello\"},\"scope\":"

#endif
