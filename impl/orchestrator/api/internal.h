/* Shared by the files of api/ only: one request under way, and what every endpoint does with it. */
#ifndef DALANG_ORCHESTRATOR_API_INTERNAL_H
#define DALANG_ORCHESTRATOR_API_INTERNAL_H

#include "base/json.h"
#include "base/map.h"
#include "net/http_server.h"
#include "orchestrator/api/api.h"
#include "orchestrator/jobs/engine.h"
#include "orchestrator/jobs/schedules.h"
#include "orchestrator/jobs/secrets.h"
#include "orchestrator/services/asks.h"
#include "orchestrator/store/store.h"

struct api {
    struct orchestrator_parts parts;
    struct http_server *server;
    struct http_route *routes;
    struct list calls;
    uint32_t streams;     /* open event streams */
    struct map agentless; /* certname -> transport of its stored connection (connections.c) */
    bool agentless_known; /* the map has been read from the store */
    uint8_t secret_key[SECRET_KEY_LEN];
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
    bool secret;  /* errors do not show the value */
};

/* What a Puppet run takes beside its scope, environment and texts; schedules take it too. */
#define DEPLOY_FIELDS                                                                                                  \
    {.key = "noop", .types = IS_BOOLEAN}, {.key = "no_noop", .types = IS_BOOLEAN},                                     \
        {.key = "concurrency", .types = IS_INTEGER | IS_NULL, .min = 1},                                               \
        {.key = "enforce_environment", .types = IS_BOOLEAN}, {.key = "debug", .types = IS_BOOLEAN},                    \
        {.key = "trace", .types = IS_BOOLEAN}, {.key = "evaltrace", .types = IS_BOOLEAN},                              \
        {.key = "filetimeout", .types = IS_INTEGER}, {.key = "http_connect_timeout", .types = IS_INTEGER},             \
        {.key = "http_keepalive_timeout", .types = IS_INTEGER}, {.key = "http_read_timeout", .types = IS_INTEGER},     \
        {.key = "ordering", .types = IS_STRING}, {.key = "skip_tags", .types = IS_STRING},                             \
        {.key = "tags", .types = IS_STRING}, {.key = "use_cached_catalog", .types = IS_BOOLEAN},                       \
        {.key = "usecacheonfailure", .types = IS_BOOLEAN}, {                                                           \
        .key = "timeout", .types = IS_INTEGER, .min = 1                                                                \
    }
/* What a task takes, now or by a schedule. */
#define TASK_FIELDS                                                                                                    \
    {.key = "task", .types = IS_STRING, .required = true},                                                             \
        {.key = "params", .types = IS_OBJECT, .required = true, .secret = true},                                       \
        {.key = "scope", .types = IS_OBJECT, .required = true}, {.key = "environment", .types = IS_STRING},            \
        {.key = "noop", .types = IS_BOOLEAN | IS_NULL}, {.key = "description", .types = IS_STRING},                    \
        {.key = "targets", .types = IS_ARRAY, .secret = true}, {.key = "timeout", .types = IS_INTEGER, .min = 1}, {    \
        .key = "userdata", .types = IS_OBJECT                                                                          \
    }

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
    struct http_exchange *ex;      /* NULL: no client waits, a schedule starts a job (submission.c) */
    const struct api_route *route; /* NULL likewise */
    char *base;                    /* "https://host:port/orchestrator/v1": ids of answers start with it */
    char *token;                   /* the caller's, or NULL: a certificate spoke */
    json_t *subject;               /* RBAC's user record, without token data: the owner of what is made */
    json_t *body;                  /* valid by the route's schema */
    void *state;                   /* the endpoint's own, with what frees it */
    void (*free_state)(void *state);
    bool query_errors;             /* bad parameters are told as query-error (orchestrator-api.md §8.2) */
    struct schedule_wish *wish;    /* the command is to be scheduled, not run; or NULL */
    struct submission *submission; /* the schedule that runs the command now; or NULL */
};

/* A command that goes all the way of one that runs at once (validated, authorized, resolved) and is kept for later then
 * (orchestrator-api.md §3.10, §8). */
struct schedule_wish {
    const char *type;  /* "task", "deploy", "plan" */
    json_t *input;     /* as §8.1 shows it, without secrets; filled in by the command when it is valid */
    json_t *sensitive; /* {"parameters": {…}, "targets": […]}: what must be kept encrypted; likewise */
    int64_t id;        /* of the one to replace; 0: a new one */
    int64_t start_ms, interval_s;
    bool first_api;
    json_t *owner; /* of the one to replace; NULL: the caller */
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
bool name_is_plan(const char *name);        /* module, module::name, module::sub::name … */

/* ---- permissions (auth.c) */
/* permissions: [{"object_type","action","instance"}…], stolen. then: answers in the same order; or the call was
 * answered. */
void api_permit(struct api_call *call, json_t *permissions, void (*then)(struct api_call *call, const json_t *answers));
void add_permission(json_t *list, const char *object_type, const char *action, const char *instance);
/* Identifies the caller, checks the route's permission and body, then calls the route's handler. */
void authenticate_call(struct api_call *call);
void call_set_subject(struct api_call *call, json_t *user); /* the owner object of a user record */
/* What has to do with applications while app-management is off (application-orchestration.md §2.2). */
void api_reply_no_app_management(struct api_call *call);
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

/* As scope_resolve(), for a plan's parameter: nobody is an answer too. */
void scope_resolve_any(struct api_call *call, const json_t *scope,
                       void (*then)(struct api_call *call, json_t *certnames));
/* The PuppetDB query for the nodes of a group, from services_group_rules(); NULL: the group has no rule of its own. */
json_t *scope_group_query(const json_t *rules);

/* ---- task permission (constraints.c; orchestrator-jobs.md §14) */
/* Which nodes the caller's task-targets allow this task on: a map whose keys are certnames (borrowed for the call), or
 * the call was answered. An empty map: none. task NULL: instead, the names of the tasks they allow, "*" for all. */
void constraints_find(struct api_call *call, const char *task,
                      void (*then)(struct api_call *call, const struct map *nodes));

/* ---- task parameters (params.c, param_types.c) */
/* Does a value fit a Puppet data type? Types that only a module knows (Stdlib::Port …) and what is no type at all let
 * everything pass. False: `why` (may be NULL) gets "expects …, got …" without the value itself. */
bool param_type_fits(const char *type, const json_t *value, struct buf *why);
/* given: what the caller sent. Fills *params (given, defaults filled in) and *sensitive (names; both new references,
 * set in any case). False: err is a validation-error; values of sensitive parameters are never in it. */
bool params_check(const char *task, const json_t *metadata, const json_t *given, json_t **params, json_t **sensitive,
                  struct error *err);

/* ---- targets of SSH and WinRM (agentless.c) */
bool targets_check(const json_t *targets, struct error *err);
json_t *targets_without_secrets(const json_t *targets); /* new reference */
/* Transport of each certname: of `targets` (may be NULL), of a stored connection, else PCP. False: a host of `targets`
 * is none of the job's (answered with empty-target). */
bool targets_transports(struct api_call *call, const json_t *targets, const json_t *certnames,
                        enum node_transport *transports);

/* ---- ends of commands (submission.c, schedule.c) */
void api_started(struct api_call *call, int64_t id); /* 202 with the job, or tells the schedule */
void schedule_keep(struct api_call *call);           /* call->wish is complete: stores it */
/* False: answered. interval: {"units": "seconds", "value": n}, null or NULL (0 seconds). */
bool schedule_read_interval(struct api_call *call, const json_t *interval, int64_t *seconds);
bool schedule_read_time(struct api_call *call, const char *key, const json_t *text, int64_t *ms);
bool schedule_in_future(struct api_call *call, const json_t *text, int64_t ms); /* else: invalid-time */
/* The command's body for an `input` of §8.1 and its secrets (may be NULL): new reference. */
json_t *schedule_command_body(const char *type, const json_t *input, const json_t *sensitive);
json_t *schedule_body(const struct store_schedule *row, const json_t *sensitive);
void schedule_wish_free(struct schedule_wish *wish);
void submission_tell(struct api_call *call, int64_t id, const struct error *err); /* uses the call up */
void submission_free(struct submission *s);
void submission_submit(void *ctx, const struct store_schedule *row, json_t *sensitive, schedule_started *started,
                       void *started_ctx);
int64_t submission_schedule(const struct api_call *call); /* its id; 0: none */
json_t *schedule_id_option(const struct api_call *call);  /* of options: its id as a string, or null */

/* ---- helpers */
char *link_to(const struct api_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
json_t *link_object(const struct api_call *call, const char *name, const char *path); /* {"name", "id"} */
int64_t now_ms(const struct api_call *call);

/* ---- endpoints */
extern const struct http_route api_routes[];
struct http_route *api_routes_new(void); /* the table, each entry also with a slash at its end */
void api_routes_free(struct http_route *routes);

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

void command_plan_task(struct api_call *call);
void command_plan_start(struct api_call *call);
void command_plan_finish(struct api_call *call);
void command_plan_run(struct api_call *call);
void command_environment_plan_run(struct api_call *call);
void command_stop_plan(struct api_call *call);
void command_task_target(struct api_call *call);
void command_schedule_task(struct api_call *call);
void command_schedule_deploy(struct api_call *call);
void command_schedule_plan(struct api_call *call);
void plan_jobs_list(struct api_call *call);
void plan_jobs_get(struct api_call *call);
void plan_jobs_events(struct api_call *call);
void plan_jobs_event(struct api_call *call);
void scheduled_jobs_list(struct api_call *call);
void scheduled_jobs_delete(struct api_call *call);
void environment_jobs_list(struct api_call *call);
void environment_jobs_get(struct api_call *call);
void environment_jobs_post(struct api_call *call);
void environment_jobs_put(struct api_call *call);
void task_targets_list(struct api_call *call);
void task_targets_get(struct api_call *call);
void usage_get(struct api_call *call);
void environments_list(struct api_call *call);
void environments_get(struct api_call *call);
void environments_applications(struct api_call *call);
void environments_instances(struct api_call *call);
void connections_create(struct api_call *call);
void connections_delete(struct api_call *call);
void connections_get(struct api_call *call);
void connections_query(struct api_call *call);

/* "plan_job" of the body, a string or a number. False: answered. */
bool plan_read_id(struct api_call *call, int64_t *id);
/* False: answered with unknown-job or plan-already-finished. */
bool plan_check_running(struct api_call *call, int64_t id);

void unknown_job(struct api_call *call, int64_t id); /* answers */

extern const struct api_field command_task_fields[];
extern const struct api_field command_deploy_fields[];
extern const struct api_field command_stop_fields[];
extern const struct api_field inventory_post_fields[];
extern const struct api_field command_plan_task_fields[];
extern const struct api_field command_plan_start_fields[];
extern const struct api_field command_plan_finish_fields[];
extern const struct api_field command_plan_run_fields[];
extern const struct api_field command_environment_plan_run_fields[];
extern const struct api_field command_stop_plan_fields[];
extern const struct api_field command_task_target_fields[];
extern const struct api_field command_schedule_task_fields[];
extern const struct api_field command_schedule_deploy_fields[];
extern const struct api_field command_schedule_plan_fields[];
extern const struct api_field environment_jobs_post_fields[];
extern const struct api_field environment_jobs_put_fields[];
extern const struct api_field connections_create_fields[];
extern const struct api_field connections_delete_fields[];
extern const struct api_field connections_query_fields[];

#endif
