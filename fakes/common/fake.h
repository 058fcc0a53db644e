/* The frame every fake stands in.
 *
 * A fake (RBAC, classifier, activity, PuppetDB, Puppet Server) embeds a `struct fake`, describes itself in a static
 * `struct fake_service` and is hosted: one `struct fake_host` is one listener with one or several fakes on it, told
 * apart by their routes (RBAC, classifier and activity share a port, as the real ones do).
 *
 * The host adds, on the same port (harness.md §7):
 *   GET    /_fake/state            {"<service name>": <what its dump() gives>, …}
 *   PUT    /_fake/state            the same form; a service that is named is replaced, the others stay. 204
 *   PATCH  /_fake/state            merged into the dumped state (RFC 7396), then loaded. 204
 *   POST   /_fake/reset            every service back to the state it started with; faults, requests and clock too. 204
 *   POST   /_fake/fault            adds a fault (below). 201 {"id": N}
 *   GET    /_fake/fault            lists them
 *   DELETE /_fake/fault[?id=N]     removes one or all. 204
 *   GET    /_fake/requests[?since=SEQ][&method=M][&path=GLOB]   {"requests": […], "last": SEQ}: those with a larger seq
 *   POST   /_fake/clock            {"advance": "2h"} or {"set": "<ISO 8601>"}: the services' clock. 200 {"now": …}
 *   GET    /status/v1/services[/NAME], /status/v1/simple         for services with a status() hook
 *
 * A fault: {"method": "GET" (absent: any), "path": glob over the path without query, where '*' is any run of
 * characters, "status": N with "body": JSON or text and "content_type"; "delay_ms": N; "hang": true; "reset": true (or
 * "close"); "times": N (absent: until deleted), "probability": 0…1 (absent: 1)}. delay_ms alone answers normally, only
 * later. The first fault that matches (and whose probability strikes) is applied. /_fake/ itself is never faulted nor
 * recorded.
 *
 * A request as recorded: {"seq", "time", "service", "method", "path", "query", "cn" (null without certificate), "body"
 * (parsed when JSON; passwords masked; cut at FAKE_BODY_RECORD_MAX)}. The last FAKE_REQUESTS_MAX are kept. */
#ifndef DALANG_FAKES_COMMON_FAKE_H
#define DALANG_FAKES_COMMON_FAKE_H

#include "base/json.h"
#include "net/http_server.h"
#include "world/world.h"

enum { FAKE_REQUESTS_MAX = 10000, FAKE_BODY_RECORD_MAX = 64 * 1024, FAKE_FAULTS_MAX = 1000 };

struct fake;
struct fake_host;

/* Patterns as in struct http_route. handle NULL: the real service has this route and the fake does not; it answers
 * 501 naming the route. The table ends with a NULL pattern. */
struct fake_route {
    const char *method; /* NULL: any */
    const char *pattern;
    void (*handle)(struct fake *f, struct http_exchange *ex, const struct fake_route *route);
    const void *data; /* the fake's own */
};

struct fake_service {
    const char *name;                       /* "rbac": key in /_fake/state and in state files */
    const struct fake_route *const *tables; /* route tables, tried in order; ends with NULL */
    /* Paths that begin so belong to this service also when no route matches; ends with NULL. */
    const char *const *prefixes;
    /* No route matched (allow NULL) or only the method did not. NULL: plain 404/405. */
    void (*not_found)(struct fake *f, struct http_exchange *ex, const char *allow);
    /* Replaces the whole state; on error the old state must stay. `state` is borrowed. */
    bool (*load)(struct fake *f, const json_t *state, struct error *err);
    json_t *(*dump)(struct fake *f); /* new reference; load(dump()) changes nothing */
    /* Entry of /status/v1/services, and its name there; both may be NULL. */
    json_t *(*status)(struct fake *f, const char *level);
    const char *status_name;
    /* Whether the request comes from somebody known; the RBAC fake has it, the fakes beside it ask. May be NULL. */
    bool (*authenticate)(struct fake *f, struct http_exchange *ex, struct error *err);
};

/* First member of every fake's own structure. */
struct fake {
    const struct fake_service *service;
    struct world *world;
    const struct logger *log;
    int64_t clock_offset_ms;
    struct fake_host *host; /* NULL until hosted */
    json_t *initial;        /* what reset returns to */
};

/* Sets up the frame and loads `initial` (NULL: an empty object). On error nothing is held. */
bool fake_init(struct fake *f, struct world *w, const struct fake_service *service, const json_t *initial,
               const struct logger *log, struct error *err);
void fake_deinit(struct fake *f);
int64_t fake_now_ms(const struct fake *f); /* wall clock as moved by /_fake/clock */
/* Another fake on the same listener by service name, or NULL. */
struct fake *fake_sibling(const struct fake *f, const char *service_name);

struct fake_host_opts {
    struct world_listen listen;
    struct fake *const *fakes; /* borrowed; must outlive the host */
    size_t fake_count;
    size_t body_max; /* 0: 64 MiB */
    const struct logger *log;
};
struct fake_host *fake_host_new(struct world *w, const struct fake_host_opts *opts, struct error *err);
uint16_t fake_host_port(const struct fake_host *h);
/* Stops listening, drops what is held back by faults, then calls done (may be NULL); the host is freed by then. */
void fake_host_close(struct fake_host *h, uint64_t grace_ms, void (*done)(void *ctx), void *ctx);
/* As POST /_fake/fault and DELETE /_fake/fault do. Error kind "schema-violation" or "too-many-faults". */
bool fake_host_add_fault(struct fake_host *h, const json_t *spec, struct error *err);
void fake_host_clear_faults(struct fake_host *h);
void fake_host_free(struct fake_host *h); /* at once; NULL is fine. Not from inside a request */

/* Asks the RBAC fake on the same listener, if there is one, whether the caller is known; without one everybody is. */
bool fake_authenticate(const struct fake *f, struct http_exchange *ex, struct error *err);

/* Answers. */
void fake_respond_text(struct http_exchange *ex, int status, const char *text); /* text/plain; charset=utf-8 */
void fake_respond_empty(struct http_exchange *ex, int status);
/* {kind, msg[, details]}; details (may be NULL: left out) is stolen. */
void fake_respond_error(struct http_exchange *ex, int status, const char *kind, json_t *details, const char *format,
                        ...) __attribute__((format(printf, 5, 6)));

/* RFC 7396 over objects; returns a new reference. */
json_t *fake_merge_patch(const json_t *target, const json_t *patch);

#endif
