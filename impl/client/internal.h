/* Shared by the files of the client library only. */
#ifndef DALANG_CLIENT_INTERNAL_H
#define DALANG_CLIENT_INTERNAL_H

#include "client/client.h"

struct client {
    struct world *world;
    char *url; /* without trailing slash or API path */
    char *prefix;
    char *token;
    char *user_agent;
    struct world_tls *tls;
    uint64_t timeout_ms;
    uint64_t poll_ms;
    struct list calls;
    struct list jobs;
};

/* Like client_call, for event streams: `on_body` gets pieces of a 2xx body as they come; no time limit. */
struct client_call *client_call_streaming(struct client *c, const char *path,
                                          bool (*on_body)(void *ctx, struct span bytes),
                                          void (*done)(void *ctx, const struct client_reply *r), void *ctx);
void client_job_drop(struct client_job *job);
struct client_job *client_job_of(struct list_link *link);

#endif
