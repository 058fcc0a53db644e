/* Shared by the files of api/ only: one request under way, and what every endpoint does with it. */
#ifndef DALANG_ORCHESTRATOR_API_INTERNAL_H
#define DALANG_ORCHESTRATOR_API_INTERNAL_H

#include "base/json.h"
#include "base/map.h"
#include "net/http_server.h"
#include "orchestrator/api/api.h"
#include "orchestrator/jobs/engine.h"
#include "orchestrator/services/asks.h"
#include "orchestrator/store/store.h"

struct api {
    struct orchestrator_parts parts;
    struct http_server *server;
    struct list calls;
    uint32_t streams; /* open event streams */
    bool closing;
};

/* What a JSON value may be; a field lists its own in `types`. */
enum json_kind {
    IS_STRING = 1,
    IS_INTEGER = 2,
    IS_BOOLEAN = 4,
    IS_OBJECT = 8,
    IS_ARRAY = 16,
    IS_NULL = 32,
    IS_NUMBER = 64,
};

/* A body's schema: fields in order, ended by a NULL key. Unknown keys are refused (orchestrator-api.md §3.2). */
struct api_field {
    const char *key;
    unsigned types; /* enum json_kind, or-ed */
    bool required;
    int64_t min;  /* of integers; 0: any that is not negative */
    bool strings; /* an array's items must be strings */
};

struct api_call;
struct api_route {
    const char *permission; /* "type:action": checked with instance "*" before handle; NULL: any authenticated user */
    bool open;              /* needs no authentication at all */
    const struct api_field *body; /* schema of the JSON body; NULL: no body is read */
    void (*handle)(struct api_call *call);
};

/* One request from its arrival to its answer. Freed when the answer has been handed over or the client has gone. */
struct api_call {
    struct list_link link;
    struct api *api;
    struct http_exchange *ex;
    const struct api_route *route;
    char *base;      /* "https://host:port/orchestrator/v1": ids of answers start with it */
    char *token;     /* the caller's, or NULL: a certificate spoke */
    json_t *subject; /* RBAC's user record, without token data: the owner of what is made */
    json_t *body;    /* valid by the route's schema */
    void *state;     /* the endpoint's own, with what frees it */
    void (*free_state)(void *state);
};

void call_free(struct api_call *call);
void api_on_request(void *ctx, struct http_exchange *ex, const struct http_route *route);

/* ---- answers; each uses the call up */
void api_reply(struct api_call *call, int status, struct span json_text);
void api_reply_json(struct api_call *call, int status, json_t *body); /* steals body */
void api_reply_error(struct api_call *call, const struct error *err); /* status by kind */
int status_of_kind(const char *kind);
/* 400 validation-error with details {schema, value, error}. `value` is borrowed, may be NULL. */
void api_reply_invalid(struct api_call *call, const char *what, const json_t *value, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void api_reply_store_error(struct api_call *call, const struct error *err); /* 503 */

/* ---- reading requests */
bool api_check_body(const struct api_field *schema, const json_t *body, struct error *err);
/* Decimal id of the path; false: answered with validation-error. */
bool api_path_id(struct api_call *call, const char *name, int64_t *id);
/* limit, offset, order_by, order. False: answered. */
bool api_read_page(struct api_call *call, enum store_list list, struct store_page *page, bool *ordered);
/* Integer query parameter; absent leaves *value. False: answered. */
bool api_query_int(struct api_call *call, const char *name, int64_t min, int64_t *value);
bool api_query_time(struct api_call *call, const char *name, int64_t *ms);
bool name_is_environment(const char *name); /* letters, digits, '_' */
bool name_is_task(const char *name);        /* module or module::name */

/* ---- permissions (auth.c) */
/* permissions: [{"object_type","action","instance"}…], stolen. then: answers in the same order; or the call was
 * answered. */
void api_permit(struct api_call *call, json_t *permissions, void (*then)(struct api_call *call, const json_t *answers));
void add_permission(json_t *list, const char *object_type, const char *action, const char *instance);
/* Identifies the caller, checks the route's permission and body, then calls the route's handler. */
void authenticate_call(struct api_call *call);
void api_reply_not_permitted(struct api_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- scopes (scope.c) */
/* Is it a scope: an object with exactly one known key of the right type? application and whole_environment only for
 * deploys. */
bool scope_check(const json_t *scope, bool deploy, struct error *err);
/* The permissions it needs beyond the command's own; appended to `permissions`, and remembered by place. */
void scope_permissions(const json_t *scope, json_t *permissions);
/* Answers of those permissions, from index `at` on. False: answered (query-error or not-permitted). */
bool scope_permitted(struct api_call *call, const json_t *scope, const json_t *answers, size_t at);
/* certnames without duplicates, in order; or the call was answered. environment: of whole_environment scopes. */
void scope_resolve(struct api_call *call, const json_t *scope, const char *environment,
                   void (*then)(struct api_call *call, json_t *certnames));

/* ---- helpers */
char *link_to(const struct api_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
json_t *link_object(const struct api_call *call, const char *name, const char *path); /* {"name", "id"} */
int64_t now_ms(const struct api_call *call);

/* ---- endpoints */
extern const struct http_route api_routes[];

/* Fills nodes, owner, userdata, description and timeout in, starts the job, answers 202 when it is durable. */
void start_job(struct api_call *call, struct job_request *r, json_t *certnames);
void events_answer(struct api_call *call, int64_t job, int64_t start); /* page or stream, by Accept */

void root_get(struct api_call *call);
void command_task(struct api_call *call);
void command_deploy(struct api_call *call);
void command_stop(struct api_call *call);
void jobs_list(struct api_call *call);
void jobs_get(struct api_call *call);
void jobs_nodes(struct api_call *call);
void jobs_report(struct api_call *call);
void jobs_events(struct api_call *call);
void inventory_list(struct api_call *call);
void inventory_get(struct api_call *call);
void inventory_post(struct api_call *call);
void tasks_list(struct api_call *call);
void tasks_get(struct api_call *call);
void plans_list(struct api_call *call);
void plans_get(struct api_call *call);
void api_status_services(struct api_call *call);
void api_status_service(struct api_call *call);
void api_status_simple(struct api_call *call);
void api_status_metrics(struct api_call *call);

extern const struct api_field command_task_fields[];
extern const struct api_field command_deploy_fields[];
extern const struct api_field command_stop_fields[];
extern const struct api_field inventory_post_fields[];

#endif
