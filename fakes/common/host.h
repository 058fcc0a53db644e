/* What the frame's files share; not for the fakes. */
#ifndef DALANG_FAKES_COMMON_HOST_H
#define DALANG_FAKES_COMMON_HOST_H

#include "fakes/common/fake.h"

struct fault {
    struct list_link link;
    int64_t id;
    char *method; /* NULL: any */
    char *path;   /* glob */
    int status;   /* 0: none */
    json_t *body; /* string: as it is; other: as JSON */
    char *content_type;
    uint64_t delay_ms;
    bool hang, reset;
    int64_t times; /* left; -1: for ever */
    double probability;
};

struct fault_list {
    struct list items;
    int64_t last_id;
};

void faults_init(struct fault_list *l);
void faults_clear(struct fault_list *l);
/* id of the new fault, or 0 after setting err (kind "schema-violation" or "too-many-faults"). */
int64_t faults_add(struct fault_list *l, const json_t *spec, struct error *err);
bool faults_remove(struct fault_list *l, int64_t id);
json_t *faults_dump(const struct fault_list *l);
/* What one application of a fault does; the strings are the caller's: fault_action_clear(). */
struct fault_action {
    int status;
    json_t *body;
    char *content_type;
    uint64_t delay_ms;
    bool hang, reset;
};
/* True when a fault strikes this request; counts it. */
bool faults_strike(struct fault_list *l, struct world *w, const char *method, const char *path,
                   struct fault_action *out);
void fault_action_clear(struct fault_action *a);

struct request_log {
    struct list items;
    int64_t last_seq;
};

void requests_init(struct request_log *l);
void requests_clear(struct request_log *l);
void requests_record(struct request_log *l, int64_t now_ms, const char *service, const struct http_request *req);
/* New reference; method and path_glob may be NULL. */
json_t *requests_dump(const struct request_log *l, int64_t since, const char *method, const char *path_glob);

/* One route of the server's table, bound to its fake (NULL: the frame's own). */
struct bound_route {
    struct fake *fake;
    const struct fake_route *route;
    void (*control)(struct fake_host *h, struct http_exchange *ex);
};

struct fake_host {
    struct world *world;
    const struct logger *log;
    struct http_server *server;
    struct fake **fakes;
    size_t fake_count;
    struct bound_route *bound;
    struct http_route *routes;
    size_t route_count;
    struct fault_list faults;
    struct request_log requests;
    struct list held; /* exchanges waiting for a delay to pass */
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

struct control_route {
    const char *method, *pattern;
    void (*handle)(struct fake_host *h, struct http_exchange *ex);
};
extern const struct control_route fake_control_routes[]; /* ends with a NULL pattern */
extern const struct control_route fake_status_routes[];

struct fake *fake_host_find(const struct fake_host *h, const char *service_name);

#endif
