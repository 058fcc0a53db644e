/* Each error of orchestrator-api.md §1.6 provoked through the socket: status, kind, keys of details. */
#include "base/mem.h"
#include "simulator/stack/tests/api_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define V1 "/orchestrator/v1"
#define TASK(rest) "{\"task\": \"echo\", \"params\": {}, \"scope\": {\"nodes\": [\"" NODE_1 "\"]}" rest "}"
#define TASK_SCOPE(scope) "{\"task\": \"echo\", \"params\": {}, \"scope\": " scope "}"
#define TYPED(params) "{\"task\": \"typed\", \"params\": " params ", \"scope\": {\"nodes\": [\"" NODE_1 "\"]}}"
#define DEPLOY(rest) "{\"environment\": \"production\", \"scope\": {\"nodes\": [\"" NODE_1 "\"]}" rest "}"
#define TARGETS(target) TASK(", \"targets\": [" target "]")

static const struct exchange callers[] = {
    FAILS(STRANGER, "GET", V1 "/jobs", NULL, 401, "puppetlabs.rbac/user-unauthenticated", NULL),
    FAILS("no such token", "GET", V1 "/jobs", NULL, 401, "puppetlabs.rbac/invalid-token", NULL),
    FAILS(EXPIRED, "GET", V1 "/jobs", NULL, 401, "puppetlabs.rbac/token-expired", NULL),
    FAILS(REVOKED, "GET", V1 "/jobs", NULL, 401, "puppetlabs.rbac/token-revoked", NULL),
    FAILS(TIMED_OUT, "GET", V1 "/jobs", NULL, 401, "puppetlabs.rbac/token-timed-out", NULL),
    FAILS(REVOKED_USER, "GET", V1 "/jobs", NULL, 401, "puppetlabs.rbac/user-revoked", NULL),
    FAILS(NOBODY, "GET", V1 "/jobs", NULL, 403, "not-permitted", ""),
    FAILS(NOBODY, "POST", V1 "/command/stop", "{\"job\": \"1\"}", 403, "not-permitted", ""),
    FAILS(VIEWER, "POST", V1 "/command/task", TASK(""), 403, "not-permitted", NULL),
    FAILS(VIEWER, "POST", V1 "/command/deploy", DEPLOY(""), 403, "not-permitted", NULL),
    FAILS(LIMITED, "POST", V1 "/command/task", TASK(""), 403, "not-permitted", NULL),
    GIVES(VIEWER, "GET", V1 "/jobs", NULL, 200, NULL),
    GIVES(CERTIFICATE, "GET", V1 "/jobs", NULL, 200, NULL),
    GIVES(NULL, "GET", V1 "/jobs?token=" VIEWER, NULL, 200, NULL),
};

static const struct exchange requests[] = {
    FAILS(ADMIN, "GET", V1 "/nothing", NULL, 404, "not-found", NULL),
    FAILS(ADMIN, "DELETE", V1 "/jobs", NULL, 405, "method-not-allowed", NULL),
    REFUSED("POST", V1 "/command/task", ""),
    REFUSED("POST", V1 "/command/task", "{"),
    REFUSED("POST", V1 "/command/task", "[]"),
    REFUSED("POST", V1 "/command/task", "{}"),
    REFUSED("POST", V1 "/command/task", TASK(", \"surprise\": 1")),
    REFUSED("POST", V1 "/command/task", TASK(", \"noop\": \"yes\"")),
    REFUSED("POST", V1 "/command/task", TASK(", \"timeout\": 0")),
    REFUSED("POST", V1 "/command/task", TASK(", \"environment\": \"a-b\"")),
    REFUSED("POST", V1 "/command/task", "{\"task\": \"Echo!\", \"params\": {}, \"scope\": {\"nodes\": [\"a\"]}}"),
    REFUSED("POST", V1 "/command/task", TASK_SCOPE("{}")),
    REFUSED("POST", V1 "/command/task", TASK_SCOPE("{\"nodes\": [\"a\"], \"query\": \"x\"}")),
    REFUSED("POST", V1 "/command/task", TASK_SCOPE("{\"nodes\": [7]}")),
    REFUSED("POST", V1 "/command/task", TASK_SCOPE("{\"application\": \"Shop\"}")),
    REFUSED("POST", V1 "/command/task", TASK(", \"noop\": true")), /* it does not support noop */
    REFUSED("POST", V1 "/inventory", "{}"),
    REFUSED("POST", V1 "/inventory", "{\"nodes\": [1]}"),
    REFUSED("POST", V1 "/command/deploy", DEPLOY(", \"noop\": true, \"no_noop\": true")),
    REFUSED("POST", V1 "/command/deploy", DEPLOY(", \"concurrency\": 9")),
    REFUSED("POST", V1 "/command/deploy", "{\"environment\": \"\"}"),
    REFUSED("POST", V1 "/command/deploy",
            "{\"environment\": \"\", \"enforce_environment\": true, \"scope\": {\"nodes\": [\"a\"]}}"),
    REFUSED("GET", V1 "/jobs/x", NULL),
    REFUSED("GET", V1 "/jobs?limit=0", NULL),
    REFUSED("GET", V1 "/jobs?offset=-1", NULL),
    REFUSED("GET", V1 "/jobs?order_by=colour", NULL),
    REFUSED("GET", V1 "/jobs?order=up", NULL),
    REFUSED("GET", V1 "/jobs?type=nonsense", NULL),
    REFUSED("GET", V1 "/jobs?type=deploy&task=x", NULL),
    REFUSED("GET", V1 "/jobs?min_finish_timestamp=yesterday", NULL),
    FAILS(ADMIN, "GET", V1 "/jobs/1/events?start=x", NULL, 404, "unknown-job", "job"),
    REFUSED("GET", V1 "/tasks?environment=a-b", NULL),
    REFUSED("GET", V1 "/tasks/UP/x", NULL),
    REFUSED("GET", V1 "/plans/UP/x", NULL),
    REFUSED("POST", V1 "/command/stop", "{\"job\": \"x\"}"),
};

#define SCHEDULE_TASK(time, rest)                                                                                      \
    "{\"task\": \"echo\", \"params\": {}, \"scope\": {\"nodes\": [\"" NODE_1 "\"]}, \"scheduled_time\": \"" time       \
    "\"" rest "}"
#define JOB(type, input, start)                                                                                        \
    "{\"type\": \"" type "\", \"input\": " input                                                                       \
    ", \"environment\": \"production\", \"description\": \"\", \"userdata\": {}, "                                     \
    "\"schedule\": {\"start_time\": \"" start "\", \"interval\": null}}"
#define ECHO "{\"name\": \"echo\", \"parameters\": {}, \"scope\": {\"nodes\": [\"" NODE_1 "\"]}}"
#define TARGET(name, members) "{\"display_name\": \"" name "\", \"nodes\": [], \"node_groups\": []" members "}"
#define CONNECTION(type, params, secret)                                                                               \
    "{\"certnames\": [\"x\"], \"type\": \"" type "\", \"parameters\": " params ", \"sensitive_parameters\": " secret "}"

static const struct exchange more_requests[] = {
    /* parameters against their types; what is secret is in no error */
    REFUSED("POST", V1 "/command/task", TYPED("{}")),
    REFUSED("POST", V1 "/command/task", TYPED("{\"count\": 6}")),
    REFUSED("POST", V1 "/command/task", TYPED("{\"count\": \"3\"}")),
    REFUSED("POST", V1 "/command/task", TYPED("{\"count\": 3, \"mode\": \"odd\"}")),
    REFUSED("POST", V1 "/command/task", TYPED("{\"count\": 3, \"password\": \"abc\"}")),
    REFUSED("POST", V1 "/command/task", TYPED("{\"count\": 3, \"pasword\": \"abcd\"}")),
    REFUSED("POST", V1 "/command/task", TARGETS("7")),
    REFUSED("POST", V1 "/command/task", TARGETS("{\"hostnames\": [], \"user\": \"u\"}")),
    REFUSED("POST", V1 "/command/task",
            TARGETS("{\"hostnames\": [], \"user\": \"u\", \"transport\": \"telnet\", \"password\": \"p\"}")),
    REFUSED("POST", V1 "/command/task", TARGETS("{\"hostnames\": [], \"user\": \"u\", \"transport\": \"ssh\"}")),
    REFUSED("POST", V1 "/command/task",
            TARGETS("{\"hostnames\": [], \"user\": \"u\", \"transport\": \"ssh\", \"password\": \"p\", "
                    "\"private-key-content\": \"k\"}")),
    REFUSED("POST", V1 "/command/task",
            TARGETS("{\"hostnames\": [], \"user\": \"u\", \"transport\": \"ssh\", \"password\": \"p\", "
                    "\"sudo-password\": \"s\"}")),
    FAILS(ADMIN, "POST", V1 "/command/task",
          TARGETS("{\"hostnames\": [\"elsewhere\"], \"user\": \"u\", \"transport\": \"ssh\", \"password\": \"p\"}"),
          400, "empty-target", "environment target"),
    /* plans */
    REFUSED("POST", V1 "/command/plan_start", "{}"),
    REFUSED("POST", V1 "/command/plan_start", "{\"plan_name\": \"\"}"),
    REFUSED("POST", V1 "/command/plan_finish", "{\"plan_job\": \"1\", \"status\": \"maybe\"}"),
    REFUSED("POST", V1 "/command/plan_finish", "{\"plan_job\": \"x\", \"status\": \"success\"}"),
    REFUSED("POST", V1 "/command/stop_plan", "{\"plan_job\": \"x\"}"),
    REFUSED("POST", V1 "/command/plan_run", "{\"plan_name\": \"A::B\"}"),
    REFUSED("POST", V1 "/command/plan_run", "{\"plan_name\": \"demo\", \"params\": []}"),
    REFUSED("POST", V1 "/command/plan_run", "{\"plan_name\": \"demo\", \"environment\": \"a-b\"}"),
    REFUSED("POST", V1 "/command/environment_plan_run", "{\"plan_name\": \"demo\"}"),
    REFUSED("POST", V1 "/command/environment_plan_run", "{\"plan_name\": \"demo\", \"params\": {\"word\": 1}}"),
    REFUSED("POST", V1 "/command/environment_plan_run",
            "{\"plan_name\": \"demo\", \"params\": {\"word\": {\"type\": \"magic\", \"value\": \"x\"}}}"),
    REFUSED("GET", V1 "/plan_jobs/x", NULL),
    REFUSED("GET", V1 "/plan_jobs?results=some", NULL),
    REFUSED("GET", V1 "/plan_jobs?limit=0", NULL),
    /* task-targets */
    REFUSED("POST", V1 "/command/task_target", "{}"),
    REFUSED("POST", V1 "/command/task_target", TARGET("", ", \"all_tasks\": true")),
    REFUSED("POST", V1 "/command/task_target", TARGET("t", "")),
    REFUSED("POST", V1 "/command/task_target", TARGET("t", ", \"all_tasks\": \"true\"")),
    REFUSED("POST", V1 "/command/task_target", TARGET("t", ", \"tasks\": [1]")),
    REFUSED("GET", V1 "/scopes/task_targets/x", NULL),
    /* schedules */
    REFUSED("POST", V1 "/command/schedule_task", TASK("")),
    REFUSED("POST", V1 "/command/schedule_task", SCHEDULE_TASK("tomorrow", "")),
    REFUSED("POST", V1 "/command/schedule_task",
            SCHEDULE_TASK("2031-01-01T00:00:00Z", ", \"schedule_options\": {\"a\": 1}")),
    REFUSED("POST", V1 "/command/schedule_task",
            SCHEDULE_TASK("2031-01-01T00:00:00Z",
                          ", \"schedule_options\": {\"interval\": {\"units\": \"days\", \"value\": 1}}")),
    REFUSED("POST", V1 "/command/schedule_plan", "{\"params\": {}, \"scheduled_time\": \"2031-01-01T00:00:00Z\"}"),
    FAILS(ADMIN, "POST", V1 "/command/schedule_task", SCHEDULE_TASK("2020-01-01T00:00:00Z", ""), 400, "invalid-time",
          "scheduled_time"),
    REFUSED("POST", V1 "/scheduled_jobs/environment_jobs", "{}"),
    REFUSED("POST", V1 "/scheduled_jobs/environment_jobs", JOB("dance", ECHO, "2031-01-01T00:00:00Z")),
    REFUSED("POST", V1 "/scheduled_jobs/environment_jobs", JOB("task", "{}", "2031-01-01T00:00:00Z")),
    REFUSED("POST", V1 "/scheduled_jobs/environment_jobs",
            JOB("task", "{\"name\": \"echo\", \"parameters\": {\"a\": 1}, \"scope\": {\"nodes\": [\"a\"]}}",
                "2031-01-01T00:00:00Z")),
    REFUSED("POST", V1 "/scheduled_jobs/environment_jobs", JOB("task", ECHO, "soon")),
    FAILS(ADMIN, "POST", V1 "/scheduled_jobs/environment_jobs", JOB("task", ECHO, "2020-01-01T00:00:00Z"), 400,
          "invalid-time", "scheduled_time"),
    FAILS(ADMIN, "GET", V1 "/scheduled_jobs/environment_jobs?limit=x", NULL, 400, "query-error", "query"),
    FAILS(ADMIN, "GET", V1 "/scheduled_jobs/environment_jobs?type=x", NULL, 400, "query-error", "query"),
    FAILS(ADMIN, "GET", V1 "/scheduled_jobs/environment_jobs/x", NULL, 400, "query-error", "query"),
    FAILS(NOBODY, "GET", V1 "/scheduled_jobs/environment_jobs", NULL, 400, "query-error", NULL),
    FAILS(NOBODY, "GET", V1 "/scheduled_jobs/environment_jobs/1", NULL, 400, "query-error", NULL),
    FAILS(ADMIN, "GET", V1 "/scheduled_jobs", NULL, 404, "not-found", NULL),
    /* usage, connections, environments */
    REFUSED("GET", V1 "/usage?start_date=2022_04_30", NULL),
    REFUSED("GET", V1 "/usage?end_date=2022-13-01", NULL),
    REFUSED("GET", V1 "/usage?start_date=2022-02-02&end_date=2022-02-01", NULL),
    REFUSED("GET", V1 "/usage?events=some", NULL),
    REFUSED("GET", V1 "/environments/a-b", NULL),
    REFUSED("POST", "/inventory/v1/command/create-connection", "{}"),
    REFUSED("POST", "/inventory/v1/command/create-connection", CONNECTION("ssh", "{}", "{\"password\": \"p\"}")),
    REFUSED("POST", "/inventory/v1/command/create-connection", CONNECTION("ssh", "{\"user\": \"u\"}", "{}")),
    REFUSED("POST", "/inventory/v1/command/create-connection",
            CONNECTION("ssh", "{\"user\": \"u\", \"password\": \"p\"}", "{\"password\": \"p\"}")),
};

static const struct exchange more_unknowns[] = {
    FAILS(ADMIN, "GET", V1 "/plan_jobs/77", NULL, 404, "unknown-job", "job"),
    FAILS(ADMIN, "GET", V1 "/plan_jobs/77/events", NULL, 404, "unknown-job", "job"),
    FAILS(ADMIN, "GET", V1 "/plan_jobs/77/event/1", NULL, 404, "unknown-job", "job"),
    FAILS(ADMIN, "POST", V1 "/command/stop_plan", "{\"plan_job\": \"77\"}", 404, "unknown-job", "job"),
    FAILS(ADMIN, "POST", V1 "/command/plan_finish", "{\"plan_job\": \"77\", \"status\": \"success\"}", 404,
          "unknown-job", "job"),
    FAILS(ADMIN, "POST", V1 "/command/plan_task", TASK(", \"plan_job\": \"77\""), 404, "unknown-job", "job"),
    FAILS(ADMIN, "GET", V1 "/scopes/task_targets/77", NULL, 404, "unknown-task-target", "id"),
    FAILS(ADMIN, "GET", V1 "/scheduled_jobs/environment_jobs/77", NULL, 404, "unknown-job", "job"),
    FAILS(ADMIN, "PUT", V1 "/scheduled_jobs/environment_jobs/77", "{\"enabled\": false}", 404, "unknown-job", "job"),
    FAILS(ADMIN, "GET", V1 "/environments/nowhere", NULL, 404, "unknown-environment", "environment"),
    FAILS(ADMIN, "GET", V1 "/environments/nowhere/applications", NULL, 404, "unknown-environment", "environment"),
    FAILS(ADMIN, "GET", V1 "/environments/nowhere/instances", NULL, 404, "unknown-environment", "environment"),
    FAILS(ADMIN, "POST", V1 "/command/plan_run", "{\"plan_name\": \"demo::nothing\"}", 404, "unknown-plan",
          "environment plan"),
    FAILS(ADMIN, "POST", V1 "/command/plan_run", "{\"plan_name\": \"demo\", \"environment\": \"nowhere\"}", 404,
          "unknown-environment", "environment"),
    FAILS(ADMIN, "POST", V1 "/command/plan_run", "{\"plan_name\": \"demo\"}", 500, "unknown-error", "environment plan"),
    FAILS(OPERATOR, "POST", V1 "/command/plan_run", "{\"plan_name\": \"demo::nothing\"}", 403, "not-permitted", ""),
    FAILS(VIEWER, "POST", V1 "/command/plan_run", "{\"plan_name\": \"demo\"}", 403, "not-permitted", ""),
    FAILS(VIEWER, "POST", V1 "/command/task_target", TARGET("t", ", \"all_tasks\": true"), 403, "not-permitted", ""),
    FAILS(ADMIN, "POST", V1 "/command/environment_plan_run",
          "{\"plan_name\": \"demo\", \"params\": {\"word\": {\"type\": \"query\", \"value\": \"nodes[\"}}}", 400,
          "query-error", "query"),
    FAILS(NOBODY, "POST", "/inventory/v1/command/delete-connection", "{\"certnames\": []}", 403,
          "puppetlabs.rbac/permission-denied", "permission"),
    FAILS(VIEWER, "GET", "/inventory/v1/query/connections?sensitive=true", NULL, 403, "not-permitted", ""),
};

/* In order: what a request leaves behind is what the next is about. */
static const struct exchange histories[] = {
    GIVES(ADMIN, "POST", V1 "/command/plan_start", "{\"plan_name\": \"a\"}", 202, "{\"name\": \"1\"}"),
    GIVES(ADMIN, "POST", V1 "/command/plan_start", "{\"plan_name\": \"b\"}", 202, "{\"name\": \"2\"}"),
    GIVES(ADMIN, "POST", V1 "/command/plan_finish", "{\"plan_job\": \"1\", \"result\": \"\", \"status\": \"success\"}",
          202, "{\"name\": \"1\"}"),
    FAILS(ADMIN, "POST", V1 "/command/plan_task", TASK(", \"plan_job\": \"1\""), 409, "plan-already-finished",
          "plan_job"),
    FAILS(ADMIN, "POST", V1 "/command/plan_finish", "{\"plan_job\": 1, \"status\": \"success\"}", 409,
          "plan-already-finished", NULL),
    GIVES(ADMIN, "GET", V1 "/plan_jobs/1/event/1", NULL, 200, NULL),
    FAILS(ADMIN, "GET", V1 "/plan_jobs/2/event/1", NULL, 404, "mismatched-job-event-id", "event job"),
    FAILS(ADMIN, "GET", V1 "/plan_jobs/2/event/x", NULL, 400, "validation-error", "error schema value"),
    GIVES(ADMIN, "POST", V1 "/scheduled_jobs/environment_jobs", JOB("task", ECHO, "2031-01-01T00:00:00Z"), 200,
          "{\"scheduled_job\": {\"id\": \"<url>/scheduled_jobs/environment_jobs/1\", \"name\": \"1\"}}"),
    FAILS(VIEWER, "PUT", V1 "/scheduled_jobs/environment_jobs/1", "{\"enabled\": false}", 403, "not-permitted", ""),
    FAILS(ADMIN, "PUT", V1 "/scheduled_jobs/environment_jobs/1", "{\"type\": \"plan\"}", 400, "validation-error",
          "error schema value"),
    GIVES(ADMIN, "PUT", V1 "/scheduled_jobs/environment_jobs/1", "{\"enabled\": false}", 200, NULL),
    FAILS(ADMIN, "PUT", V1 "/scheduled_jobs/environment_jobs/1", "{\"description\": \"x\"}", 400,
          "disabled-scheduled-job", "id"),
    GIVES(ADMIN, "POST", "/inventory/v1/command/create-connection",
          CONNECTION("ssh", "{\"user\": \"u\"}", "{\"password\": \"p\"}"), 201, "{\"connection_id\": \"<uuid>\"}"),
    FAILS(ADMIN, "POST", "/inventory/v1/command/create-connection",
          CONNECTION("ssh", "{\"user\": \"u\"}", "{\"password\": \"p\"}"), 409,
          "puppetlabs.inventory/duplicate-certnames", "duplicates"),
};

static const struct exchange unknowns[] = {
    FAILS(ADMIN, "GET", V1 "/jobs/77", NULL, 404, "unknown-job", "job"),
    FAILS(ADMIN, "GET", V1 "/jobs/77/nodes", NULL, 404, "unknown-job", "job"),
    FAILS(ADMIN, "GET", V1 "/jobs/77/report", NULL, 404, "unknown-job", "job"),
    FAILS(ADMIN, "GET", V1 "/jobs/77/events", NULL, 404, "unknown-job", "job"),
    FAILS(ADMIN, "POST", V1 "/command/stop", "{\"job\": \"77\"}", 404, "unknown-job", "job"),
    FAILS(ADMIN, "GET", V1 "/tasks?environment=nowhere", NULL, 404, "unknown-environment", "environment"),
    FAILS(ADMIN, "GET", V1 "/plans?environment=nowhere", NULL, 404, "unknown-environment", "environment"),
    FAILS(ADMIN, "POST", V1 "/command/task", TASK(", \"environment\": \"nowhere\""), 404, "unknown-environment",
          "environment"),
    FAILS(ADMIN, "POST", V1 "/command/deploy", "{\"environment\": \"nowhere\", \"scope\": {\"nodes\": [\"a\"]}}", 404,
          "unknown-environment", "environment"),
    FAILS(ADMIN, "GET", V1 "/tasks/echo/nothing", NULL, 404, "unknown-task", "environment task"),
    FAILS(ADMIN, "GET", V1 "/tasks/nothing/init", NULL, 404, "unknown-task", "environment task"),
    FAILS(ADMIN, "POST", V1 "/command/task", "{\"task\": \"nothing\", \"params\": {}, \"scope\": {\"nodes\": [\"a\"]}}",
          404, "unknown-task", "environment task"),
    FAILS(ADMIN, "GET", V1 "/plans/demo/nothing", NULL, 404, "unknown-plan", "environment plan"),
};

static const struct exchange scopes[] = {
    FAILS(ADMIN, "POST", V1 "/command/task", TASK_SCOPE("{\"nodes\": []}"), 400, "empty-target", "environment target"),
    FAILS(ADMIN, "POST", V1 "/command/task", TASK_SCOPE("{\"query\": \"nodes[certname] { certname = 'x' }\"}"), 400,
          "empty-target", "environment target"),
    FAILS(ADMIN, "POST", V1 "/command/task", TASK_SCOPE("{\"node_group\": \"" GROUP_BARE "\"}"), 400, "empty-target",
          "environment target"),
    FAILS(ADMIN, "POST", V1 "/command/task", TASK_SCOPE("{\"node_group\": \"" GROUP_NONE "\"}"), 400, "empty-target",
          "environment target"),
    FAILS(ADMIN, "POST", V1 "/command/deploy",
          "{\"environment\": \"production\", \"scope\": {\"application\": \"Shop\"}}", 404, "unknown-target",
          "environment target"),
    FAILS(ADMIN, "POST", V1 "/command/deploy",
          "{\"environment\": \"production\", \"scope\": {\"application\": \"Shop[eu]\"}}", 404, "unknown-target",
          "environment target"),
    FAILS(ADMIN, "POST", V1 "/command/deploy", "{\"environment\": \"production\", \"target\": \"Shop[eu]\"}", 404,
          "unknown-target", "environment target"),
    FAILS(ADMIN, "POST", V1 "/command/deploy", "{\"environment\": \"production\", \"scope\": {\"application\": \"\"}}",
          404, "unknown-target", "environment target"),
    FAILS(ADMIN, "POST", V1 "/command/deploy", "{\"environment\": \"production\", \"scope\": {\"nodes\": []}}", 400,
          "empty-target", "environment target"),
    REFUSED("POST", V1 "/command/task", TASK_SCOPE("{\"application\": \"Shop\"}")),
    FAILS(ADMIN, "POST", V1 "/scheduled_jobs/environment_jobs",
          "{\"type\": \"deploy\", \"environment\": \"production\", \"description\": \"\", \"userdata\": {}, "
          "\"schedule\": "
          "{\"start_time\": \"2099-01-01T00:00:00Z\", \"interval\": null}, \"input\": {\"scope\": {\"application\": "
          "\"Shop[eu]\"}}}",
          404, "unknown-target", "environment target"),
    FAILS(ADMIN, "POST", V1 "/command/deploy",
          "{\"environment\": \"staging\", \"scope\": {\"whole_environment\": true}}", 400, "empty-environment",
          "environment"),
    FAILS(ADMIN, "POST", V1 "/command/deploy", "{\"environment\": \"staging\"}", 400, "empty-environment",
          "environment"),
    FAILS(ADMIN, "POST", V1 "/command/task", TASK_SCOPE("{\"query\": \"nodes[certname] {\"}"), 400, "query-error",
          "query"),
    FAILS(ADMIN, "POST", V1 "/command/task", TASK_SCOPE("{\"query\": \"facts[name] { }\"}"), 400, "query-error",
          "query"),
    FAILS(TASKER, "POST", V1 "/command/task", TASK_SCOPE("{\"query\": \"nodes[certname] { }\"}"), 400, "query-error",
          "query"),
    FAILS(OPERATOR, "POST", V1 "/command/task", TASK_SCOPE("{\"node_group\": \"" GROUP_ALL "\"}"), 403, "not-permitted",
          NULL),
};

/* Application management is off. */
static const struct exchange without_applications[] = {
    FAILS(ADMIN, "POST", V1 "/command/deploy",
          "{\"environment\": \"production\", \"scope\": {\"application\": \"Shop\"}}", 400, "app-management-disabled",
          ""),
    FAILS(ADMIN, "POST", V1 "/command/deploy", "{\"environment\": \"production\", \"target\": \"Shop[eu]\"}", 400,
          "app-management-disabled", ""),
    FAILS(ADMIN, "GET", V1 "/environments/production/applications", NULL, 400, "app-management-disabled", ""),
    FAILS(ADMIN, "GET", V1 "/environments/production/instances", NULL, 400, "app-management-disabled", ""),
};

/* What is refused before its body is read. */
static const struct exchange wrong_types[] = {
    FAILS(ADMIN, "POST", V1 "/command/task", TASK(""), 415, "unsupported-media-type", NULL),
};

/* PuppetDB cannot be reached; the disk is full. */
static const struct exchange without_puppetdb[] = {
    FAILS(ADMIN, "POST", V1 "/command/task", TASK_SCOPE("{\"query\": \"nodes[certname] { }\"}"), 400, "puppetdb-error",
          "query"),
};
static const struct exchange without_disk[] = {
    FAILS(ADMIN, "POST", V1 "/command/task", TASK(""), 503, "unavailable", NULL),
};

/* A node that is not there ends with an error of its own. */
static const struct exchange absent_nodes[] = {
    {.who = ADMIN,
     .method = "POST",
     .path = V1 "/command/task",
     .body = TASK_SCOPE("{\"nodes\": [\"absent.example.com\"]}"),
     .status = 202,
     .then_us = SIM_HOUR},
    GIVES(ADMIN, "GET", V1 "/jobs/1/nodes", NULL, 200,
          "{\"next-events\": \"<object>\", \"items\": [{\"name\": \"absent.example.com\", \"state\": \"errored\", "
          "\"result\": {\"kind\": \"puppetlabs.orchestrator/execution-failure\", \"msg\": \"<text>\", \"details\": "
          "{\"node\": \"absent.example.com\"}, \"…\": 1}, \"…\": 1}]}"),
};

/* The kinds of §1.6 and §1.4: status and the keys of details. NULL: they differ by case; each is in its row above. */
static const struct {
    const char *kind;
    int status;
    const char *details;
} kinds[] = {
    {"unknown-environment", 404, "environment"},
    {"empty-environment", 400, "environment"},
    {"empty-target", 400, "environment target"},
    {"unknown-target", 404, "environment target"},
    {"app-management-disabled", 400, ""},
    {"puppetdb-error", 400, "query"},
    {"query-error", 400, NULL},
    {"not-permitted", 403, ""},
    {"validation-error", 400, "error schema value"},
    {"unknown-job", 404, "job"},
    {"unknown-task", 404, "environment task"},
    {"unknown-plan", 404, "environment plan"},
    {"unknown-task-target", 404, "id"},
    {"mismatched-job-event-id", 404, "event job"},
    {"invalid-time", 400, "scheduled_time"},
    {"disabled-scheduled-job", 400, "id"},
    {"plan-already-finished", 409, "plan_job"},
    {"unknown-error", 500, NULL},
    {"not-found", 404, NULL},
    {"method-not-allowed", 405, NULL},
    {"unsupported-media-type", 415, NULL},
    {"unavailable", 503, NULL},
    {"puppetlabs.rbac/user-unauthenticated", 401, ""},
    {"puppetlabs.rbac/invalid-token", 401, ""},
    {"puppetlabs.rbac/token-expired", 401, ""},
    {"puppetlabs.rbac/token-timed-out", 401, ""},
    {"puppetlabs.rbac/token-revoked", 401, ""},
    {"puppetlabs.rbac/user-revoked", 401, ""},
    {"puppetlabs.rbac/permission-denied", 403, "permission"},
    {"puppetlabs.inventory/duplicate-certnames", 409, "duplicates"},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static size_t kind_of(const struct exchange *x) {
    for (size_t i = 0; i < KINDS; i++) {
        if (strcmp(kinds[i].kind, x->kind) == 0) {
            return i;
        }
    }
    fail_msg("%s is in no table of kinds", x->kind);
    return 0;
}

/* Each row that fails must be as its kind says; where it does not look at details itself, the kind's are looked at. */
static void exchange_all(struct api_rig *rig, const struct exchange *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct exchange x = list[i];
        if (x.kind != NULL) {
            size_t kind = kind_of(&x);
            assert_int_equal(x.status, kinds[kind].status);
            x.details = x.details != NULL ? x.details : kinds[kind].details;
            if (kinds[kind].details != NULL) {
                assert_string_equal(x.details, kinds[kind].details);
            }
        }
        api_exchanges(rig, &x, 1);
    }
}

#define ALL(table) table, sizeof table / sizeof table[0]

static void without_app_management(struct orchestrator_config *config) {
    config->app_management = false;
}

static void test_without_applications(void **ctx) {
    struct api_rig rig = {.configure = without_app_management};
    (void)ctx;
    api_rig_start(&rig);
    exchange_all(&rig, ALL(without_applications));
    api_rig_end(&rig);
}

static void test_wrong_types(void **ctx) {
    struct api_rig rig = {.content_type = "text/plain"};
    (void)ctx;
    api_rig_start(&rig);
    exchange_all(&rig, ALL(wrong_types));
    api_rig_end(&rig);
}

static void test_without_puppetdb(void **ctx) {
    struct api_rig rig = {0};
    (void)ctx;
    api_rig_start(&rig);
    struct sim_link link = sim_link_default();
    link.cut = true;
    sim_reset_connections(sim_find_host(rig.sim, "orchestrator"), sim_find_host(rig.sim, "puppetdb"));
    sim_link_set(rig.sim, "orchestrator", "puppetdb", &link);
    exchange_all(&rig, ALL(without_puppetdb));
    api_rig_end(&rig);
}

static void test_without_disk(void **ctx) {
    struct api_rig rig = {0};
    (void)ctx;
    api_rig_start(&rig);
    sim_disk_fault(sim_find_host(rig.sim, "orchestrator"),
                   &(struct sim_disk_fault){.ops = SIM_FILE_WRITE | SIM_FILE_SYNC, .kind = "world/full"});
    exchange_all(&rig, ALL(without_disk));
    sim_disk_fault(sim_find_host(rig.sim, "orchestrator"), NULL);
    api_rig_end(&rig);
}

static void mark(bool *provoked, const struct exchange *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (list[i].kind != NULL) {
            provoked[kind_of(&list[i])] = true;
        }
    }
}

#define RUN(table)                                                                                                     \
    static void test_##table(void **ctx) {                                                                             \
        (void)ctx;                                                                                                     \
        struct api_rig rig = {0};                                                                                      \
        api_rig_start(&rig);                                                                                           \
        exchange_all(&rig, ALL(table));                                                                                \
        api_rig_end(&rig);                                                                                             \
    }
RUN(callers)
RUN(requests)
RUN(unknowns)
RUN(scopes)
RUN(more_requests)
RUN(more_unknowns)
RUN(histories)
RUN(absent_nodes)

static void test_every_kind_is_provoked(void **ctx) {
    bool provoked[KINDS] = {false};
    (void)ctx;
    mark(provoked, ALL(callers));
    mark(provoked, ALL(requests));
    mark(provoked, ALL(unknowns));
    mark(provoked, ALL(scopes));
    mark(provoked, ALL(more_requests));
    mark(provoked, ALL(more_unknowns));
    mark(provoked, ALL(histories));
    mark(provoked, ALL(without_applications));
    mark(provoked, ALL(wrong_types));
    mark(provoked, ALL(without_puppetdb));
    mark(provoked, ALL(without_disk));
    for (size_t i = 0; i < KINDS; i++) {
        if (!provoked[i]) {
            fail_msg("nothing provokes %s", kinds[i].kind);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_callers),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_unknowns),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_more_requests),
        cmocka_unit_test(test_more_unknowns),
        cmocka_unit_test(test_histories),
        cmocka_unit_test(test_absent_nodes),
        cmocka_unit_test(test_without_applications),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_without_puppetdb),
        cmocka_unit_test(test_without_disk),
        cmocka_unit_test(test_every_kind_is_provoked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
