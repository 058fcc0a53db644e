/* Each kind of error of the API, with its status and, in the strict profile, its details (orchestrator-api.md
 * §1.4-§1.6). */
#include "scenarios/conformance/orchestrator_side.h"

#define E(kind) "{'kind': 'puppetlabs.orchestrator/" kind "', 'msg': '$string', 'details?': '$any'}"
#define R(kind) "{'kind': 'puppetlabs.rbac/" kind "', 'msg': '$string', 'details?': '$any'}"
#define VALIDATION                                                                                                     \
    "{'kind': '$or:puppetlabs.orchestrator/validation-error|puppetlabs.validators/validation-error', 'msg': "          \
    "'$string', 'details?': '$any'}"
#define FORBIDDEN                                                                                                      \
    "{'kind': '$or:puppetlabs.orchestrator/not-permitted|puppetlabs.rbac/permission-denied', 'msg': '$string', "       \
    "'details?': '$any'}"
#define ROWS(...) ((const struct row[]){__VA_ARGS__, {NULL, NULL, NULL, NULL, 0, NULL, NULL, 0}})
#define GET(path, status, want, details)                                                                               \
    { NULL, "GET", path, NULL, status, want, details, 0 }
#define POST(path, body, status, want, details)                                                                        \
    { NULL, "POST", path, body, status, want, details, 0 }
#define AS(who, method, path, body, status, want)                                                                      \
    { who, method, path, body, status, want, NULL, 0 }
#define CASE(id, statement, source, covers, fixture, ...)                                                              \
    { "orchestrator/" id, statement, source, covers, plays_rows, ROWS(__VA_ARGS__), fixture, false }
#define ERROR(id, statement, covers, ...)                                                                              \
    CASE("errors/" id, statement, "orchestrator-api.md §1.6", covers, "node task", __VA_ARGS__)

#define SCOPE "'scope': {'nodes': ['${node}']}"
#define DEPLOY "'environment': '${env}', 'noop': true, " SCOPE
#define TASK "'environment': '${env}', 'task': '${task}', 'params': {}"
#define FUTURE "2099-01-01T00:00:00Z"
#define SCHEDULE "'schedule': {'start_time': '" FUTURE "', 'interval': null}"
#define ENV_JOB(schedule, scope)                                                                                       \
    "{'type': 'deploy', 'environment': '${env}', 'description': '', 'userdata': {}, " schedule                         \
    ", 'input': {'scope': " scope ", 'noop': true}}"

/* A body that must be refused as invalid, by command. */
#define INVALID(n, command, statement, body)                                                                           \
    CASE("validation/" command "-" n, command ": " statement ": 400 validation-error.",                                \
         "orchestrator-api.md §1.6, §3", "orch-validation-error", "node task",                                         \
         POST("/command/" command, body, 400, VALIDATION, NULL))
#define INVALID_GET(n, path, statement)                                                                                \
    CASE("validation/get-" n, statement ": 400 validation-error.", "orchestrator-api.md §1.6, §1.7",                   \
         "orch-validation-error", NULL, GET(path, 400, VALIDATION, NULL))

const struct conform_case orchestrator_error_cases[] = {
    /* authentication */
    CASE("auth/none-001", "No token: 401 user-unauthenticated.", "orchestrator-api.md §1.4", "orch-auth", NULL,
         AS(NOBODY, "GET", "/jobs", NULL, 401, R("user-unauthenticated"))),
    CASE("auth/none-002", "No token, on a command: 401, and nothing else is looked at.", "orchestrator-api.md §1.4",
         "orch-auth", NULL, AS(NOBODY, "POST", "/command/task", "{}", 401, R("user-unauthenticated"))),
    CASE("auth/garbage-001", "A token that is none: 401 invalid-token.", "orchestrator-api.md §1.4", "orch-auth", NULL,
         AS(GARBAGE, "GET", "/jobs", NULL, 401,
            "{'kind': '$or:puppetlabs.rbac/invalid-token|puppetlabs.rbac/token-revoked', 'msg': '$string', 'details?': "
            "'$any'}")),
    CASE("auth/expired-001", "An expired token: 401 token-expired.", "orchestrator-api.md §1.4", "orch-auth", NULL,
         AS(EXPIRED, "GET", "/jobs", NULL, 401, R("token-expired"))),
    CASE("auth/query-001", "A token in the query works.", "orchestrator-api.md §1.4", "orch-auth", NULL,
         AS(IN_QUERY, "GET", "/inventory", NULL, 200, NULL)),
    CASE("auth/denied-001", "Reading jobs without orchestrator:view: 403 not-permitted.", "orchestrator-api.md §1.5",
         "orch-not-permitted", NULL, AS(DENIED, "GET", "/jobs", NULL, 403, FORBIDDEN)),
    CASE("auth/denied-002", "Running a task without the right to: 403 not-permitted.", "orchestrator-api.md §1.5",
         "orch-not-permitted", "node task",
         AS(DENIED, "POST", "/command/task", "{" TASK ", " SCOPE "}", 403, E("not-permitted"))),
    CASE("auth/denied-003", "Running Puppet without the right to: 403 not-permitted.", "orchestrator-api.md §1.5",
         "orch-not-permitted", "node", AS(DENIED, "POST", "/command/deploy", "{" DEPLOY "}", 403, E("not-permitted"))),
    CASE("auth/denied-004", "Running a plan without the right to: 403 not-permitted.", "orchestrator-api.md §1.5",
         "orch-not-permitted", "plan",
         AS(DENIED, "POST", "/command/plan_run", "{'plan_name': '${plan}', 'params': {}}", 403, E("not-permitted"))),
    CASE("auth/denied-005", "Reading the inventory without orchestrator:view: 403 not-permitted.",
         "orchestrator-api.md §1.5", "orch-not-permitted", NULL, AS(DENIED, "GET", "/inventory", NULL, 403, FORBIDDEN)),
    CASE("auth/denied-006", "Stopping a job without orchestrator:view: 403 not-permitted.", "orchestrator-api.md §1.5",
         "orch-not-permitted", NULL, AS(DENIED, "POST", "/command/stop", "{'job': '1'}", 403, FORBIDDEN)),
    CASE("auth/denied-007", "Making a task target: 403 not-permitted.", "orchestrator-api.md §1.5",
         "orch-not-permitted", NULL,
         AS(DENIED, "POST", "/command/task_target",
            "{'display_name': 'x', 'all_tasks': true, 'nodes': [], 'node_groups': []}", 403, E("not-permitted"))),
    CASE("auth/any-001", "Anybody with a token may list tasks.", "orchestrator-api.md §1.5", "orch-not-permitted", NULL,
         AS(DENIED, "GET", "/tasks", NULL, 200, NULL)),

    /* one of each kind */
    ERROR("unknown-environment-001", "deploy in an unknown environment: 404.", "orch-unknown-environment",
          POST("/command/deploy", "{'environment': 'nosuchenvironment', " SCOPE "}", 404, E("unknown-environment"),
               "{'environment': 'nosuchenvironment'}")),
    ERROR("unknown-environment-002", "A task in an unknown environment: 404.", "orch-unknown-environment",
          POST("/command/task", "{'environment': 'nosuchenvironment', 'task': '${task}', 'params': {}, " SCOPE "}", 404,
               E("unknown-environment"), "{'environment': 'nosuchenvironment'}")),
    ERROR("unknown-environment-003", "Tasks of an unknown environment: 404.", "orch-unknown-environment",
          GET("/tasks?environment=nosuchenvironment", 404, E("unknown-environment"),
              "{'environment': 'nosuchenvironment'}")),
    ERROR("unknown-environment-004", "Plans of an unknown environment: 404.", "orch-unknown-environment",
          GET("/plans?environment=nosuchenvironment", 404, E("unknown-environment"),
              "{'environment': 'nosuchenvironment'}")),
    ERROR(
        "unknown-environment-005", "An unknown environment itself: 404.", "orch-unknown-environment",
        GET("/environments/nosuchenvironment", 404, E("unknown-environment"), "{'environment': 'nosuchenvironment'}")),
    ERROR("unknown-environment-006", "A schedule in an unknown environment: 404.", "orch-unknown-environment",
          POST("/scheduled_jobs/environment_jobs",
               "{'type': 'deploy', 'environment': 'nosuchenvironment', 'description': '', 'userdata': {}, " SCHEDULE
               ", 'input': {" SCOPE "}}",
               404, E("unknown-environment"), "{'environment': 'nosuchenvironment'}")),
    ERROR("unknown-environment-007", "Applications of an unknown environment: 404.", "orch-unknown-environment",
          GET("/environments/nosuchenvironment/applications", 404, E("unknown-environment"),
              "{'environment': 'nosuchenvironment'}")),
    ERROR("unknown-environment-008", "Instances of an unknown environment: 404.", "orch-unknown-environment",
          GET("/environments/nosuchenvironment/instances", 404, E("unknown-environment"),
              "{'environment': 'nosuchenvironment'}")),
    ERROR("empty-target-001", "A query that finds nobody: 400 empty-target.", "orch-empty-target",
          POST("/command/task",
               "{" TASK ", 'scope': {'query': ['from', 'nodes', ['=', 'certname', 'nobody.example.com']]}}", 400,
               E("empty-target"), NULL)),
    ERROR("empty-target-002", "So for deploy, with PQL.", "orch-empty-target",
          POST("/command/deploy",
               "{\"environment\": \"${env}\", \"scope\": {\"query\": \"nodes[certname] { certname = "
               "'nobody.example.com' }\"}}",
               400, E("empty-target"), NULL)),
    ERROR("query-error-001", "A query that is none: 400 query-error or puppetdb-error.",
          "orch-query-error orch-puppetdb-error",
          POST("/command/task", "{" TASK ", 'scope': {'query': 'this is no query {'}}", 400,
               "{'kind': '$or:puppetlabs.orchestrator/query-error|puppetlabs.orchestrator/puppetdb-error', 'msg': "
               "'$string', 'details?': '$any'}",
               NULL)),
    ERROR("query-error-002", "A query of an entity that is not known.", "orch-query-error orch-puppetdb-error",
          POST("/command/deploy", "{'environment': '${env}', 'scope': {'query': 'nosuchentity[certname] {}'}}", 400,
               "{'kind': '$or:puppetlabs.orchestrator/query-error|puppetlabs.orchestrator/puppetdb-error', 'msg': "
               "'$string', 'details?': '$any'}",
               NULL)),
    ERROR("query-error-003", "A bad parameter of environment_jobs: query-error.", "orch-query-error",
          GET("/scheduled_jobs/environment_jobs?limit=none", 400, E("query-error"), NULL)),
    ERROR("query-error-004", "An id of environment_jobs that is none: query-error.", "orch-query-error",
          GET("/scheduled_jobs/environment_jobs/abc", 400, E("query-error"), NULL)),
    ERROR("unknown-job-001", "A job that is not there: 404.", "orch-unknown-job",
          GET("/jobs/999999999", 404, E("unknown-job"), "{'job': '999999999'}")),
    ERROR("unknown-job-002", "Its nodes.", "orch-unknown-job",
          GET("/jobs/999999999/nodes", 404, E("unknown-job"), "{'job': '999999999'}")),
    ERROR("unknown-job-003", "Its events.", "orch-unknown-job",
          GET("/jobs/999999999/events", 404, E("unknown-job"), "{'job': '999999999'}")),
    ERROR("unknown-job-004", "Its report.", "orch-unknown-job",
          GET("/jobs/999999999/report", 404, E("unknown-job"), "{'job': '999999999'}")),
    ERROR("unknown-job-005", "Stopping it.", "orch-unknown-job",
          POST("/command/stop", "{'job': '999999999'}", 404, E("unknown-job"), "{'job': '999999999'}")),
    ERROR("unknown-job-006", "A plan job that is not there.", "orch-unknown-job",
          GET("/plan_jobs/999999999", 404, E("unknown-job"), "{'job': '999999999'}")),
    ERROR("unknown-job-007", "Its events.", "orch-unknown-job",
          GET("/plan_jobs/999999999/events", 404, E("unknown-job"), "{'job': '999999999'}")),
    ERROR("unknown-job-008", "Stopping it.", "orch-unknown-job",
          POST("/command/stop_plan", "{'plan_job': '999999999'}", 404, E("unknown-job"), "{'job': '999999999'}")),
    ERROR("unknown-job-009", "A scheduled job that is not there.", "orch-unknown-job",
          GET("/scheduled_jobs/environment_jobs/999999999", 404, E("unknown-job"), NULL)),
    ERROR("unknown-task-001", "A task that is not there: 404.", "orch-unknown-task",
          GET("/tasks/nosuchmodule/nosuchtask", 404, E("unknown-task"), NULL)),
    ERROR("unknown-task-002", "Running it.", "orch-unknown-task",
          POST("/command/task", "{'task': 'nosuchmodule::nosuchtask', 'params': {}, " SCOPE "}", 404, E("unknown-task"),
               NULL)),
    ERROR("unknown-plan-001", "A plan that is not there: 404.", "orch-unknown-plan",
          GET("/plans/nosuchmodule/nosuchplan", 404, E("unknown-plan"), NULL)),
    ERROR("unknown-plan-002", "Running it: unknown-plan, or not-permitted.", "orch-unknown-plan",
          POST("/command/plan_run", "{'plan_name': 'nosuchmodule::nosuchplan', 'params': {}}", 404, E("unknown-plan"),
               NULL)),
    ERROR(
        "unknown-task-target-001", "A task target that is not there: 404.", "orch-unknown-task-target",
        GET("/scopes/task_targets/999999999", 404,
            "{'kind': '$or:puppetlabs.orchestrator/unknown-task-target|:puppetlabs.orchestrator/unknown-task-target', "
            "'msg': '$string', 'details?': '$any'}",
            "{'id': '999999999'}")),
    ERROR(
        "invalid-time-001", "A schedule in the past: 400 invalid-time.", "orch-invalid-time",
        POST("/scheduled_jobs/environment_jobs",
             ENV_JOB("'schedule': {'start_time': '2001-01-01T00:00:00Z', 'interval': null}", "{'nodes': ['${node}']}"),
             400, E("invalid-time"), NULL)),
    ERROR("invalid-time-002", "schedule_task in the past.", "orch-invalid-time",
          POST("/command/schedule_task", "{" TASK ", " SCOPE ", 'scheduled_time': '2001-01-01T00:00:00Z'}", 400,
               E("invalid-time"), NULL)),
    ERROR("invalid-time-003", "schedule_deploy in the past.", "orch-invalid-time",
          POST("/command/schedule_deploy", "{" DEPLOY ", 'scheduled_time': '2001-01-01T00:00:00Z'}", 400,
               E("invalid-time"), NULL)),
    ERROR("disabled-001", "An edit of a disabled scheduled job: 400 disabled-scheduled-job.",
          "orch-disabled-scheduled-job",
          POST("/scheduled_jobs/environment_jobs", ENV_JOB(SCHEDULE, "{'nodes': ['${node}']}"), 200,
               "{'scheduled_job': {'id': '$string', 'name': '$keep:sj'}}", NULL),
          {NULL, "PUT", "/scheduled_jobs/environment_jobs/${sj}", "{'enabled': false}", 200, NULL, NULL, 0},
          {NULL, "PUT", "/scheduled_jobs/environment_jobs/${sj}", "{'description': 'x'}", 400,
           E("disabled-scheduled-job"), NULL, 0}),
    ERROR("mismatched-001", "An event of another plan job: 404 mismatched-job-event-id.",
          "orch-mismatched-job-event-id",
          POST("/command/plan_start", "{'plan_name': 'conf', 'description': '', 'params': {}, 'sensitive': []}", 202,
               "{'name': '$keep:pj', '...': 0}", NULL),
          GET("/plan_jobs/${pj}/event/999999999", 404, E("mismatched-job-event-id"), NULL),
          POST("/command/plan_finish", "{'plan_job': '${pj}', 'result': '', 'status': 'success'}", 202, NULL, NULL)),
    ERROR("plan-finished-001", "A task in a plan that has finished: plan-already-finished.",
          "orch-plan-already-finished",
          POST("/command/plan_start", "{'plan_name': 'conf', 'description': '', 'params': {}, 'sensitive': []}", 202,
               "{'name': '$keep:pj', '...': 0}", NULL),
          POST("/command/plan_finish", "{'plan_job': '${pj}', 'result': '', 'status': 'success'}", 202, NULL, NULL),
          POST("/command/plan_task", "{" TASK ", " SCOPE ", 'plan_job': '${pj}'}", 409, E("plan-already-finished"),
               NULL)),
    ERROR("not-found-001", "An unknown path: 404 not-found.", "orch-not-found",
          GET("/nosuchthing", 404, E("not-found"), NULL)),
    ERROR("not-found-002", "An unknown command: 404 not-found.", "orch-not-found",
          POST("/command/nosuchcommand", "{}", 404, E("not-found"), NULL)),
    ERROR("method-001", "A wrong method: 405.", "orch-not-found", {NULL, "DELETE", "/jobs", NULL, 405, NULL, NULL, 0}),
    ERROR("method-002", "GET of a command: 405.", "orch-not-found", GET("/command/task", 405, NULL, NULL)),

    /* validation, command by command */
    INVALID("001", "task", "an empty object", "{}"),
    INVALID("002", "task", "no JSON", "!no JSON"),
    INVALID("003", "task", "an empty body", "!"),
    INVALID("004", "task", "a list", "[]"),
    INVALID("005", "task", "no task", "{'params': {}, " SCOPE "}"),
    INVALID("006", "task", "no params", "{'task': '${task}', " SCOPE "}"),
    INVALID("007", "task", "no scope", "{" TASK "}"),
    INVALID("008", "task", "params that are a list", "{'task': '${task}', 'params': [], " SCOPE "}"),
    INVALID("009", "task", "an empty scope", "{" TASK ", 'scope': {}}"),
    INVALID("010", "task", "a scope of two", "{" TASK ", 'scope': {'nodes': ['${node}'], 'query': ['from', 'nodes']}}"),
    CASE("validation/task-011", "task: an empty list of nodes: 400 validation-error or empty-target.",
         "orchestrator-api.md §3.1", "orch-validation-error orch-empty-target", "node task",
         POST("/command/task", "{" TASK ", 'scope': {'nodes': []}}", 400,
              "{'kind': "
              "'$or:puppetlabs.orchestrator/validation-error|puppetlabs.validators/"
              "validation-error|puppetlabs.orchestrator/empty-target', 'msg': '$string', 'details?': '$any'}",
              NULL)),
    INVALID("012", "task", "nodes that are no texts", "{" TASK ", 'scope': {'nodes': [7]}}"),
    INVALID("013", "task", "a scope that is not known", "{" TASK ", 'scope': {'everything': true}}"),
    INVALID("014", "task", "a task name that is none", "{'task': 'No Such Name', 'params': {}, " SCOPE "}"),
    INVALID("015", "task", "a noop that is a text", "{" TASK ", " SCOPE ", 'noop': 'yes'}"),
    INVALID("016", "task", "a timeout that is a text", "{" TASK ", " SCOPE ", 'timeout': 'long'}"),
    INVALID("017", "task", "a key that is not known", "{" TASK ", " SCOPE ", 'no-such-key': 1}"),
    INVALID("018", "task", "userdata that is a list", "{" TASK ", " SCOPE ", 'userdata': []}"),
    INVALID("019", "task", "an environment that is no name",
            "{'environment': 'no such/name', 'task': '${task}', 'params': {}, " SCOPE "}"),
    INVALID("020", "task", "a description that is a number", "{" TASK ", " SCOPE ", 'description': 7}"),
    INVALID("001", "deploy", "an empty object", "{}"),
    INVALID("002", "deploy", "no JSON", "!{"),
    INVALID("003", "deploy", "noop and no_noop", "{'environment': '${env}', " SCOPE ", 'noop': true, 'no_noop': true}"),
    INVALID("004", "deploy", "a concurrency that is a text",
            "{'environment': '${env}', " SCOPE ", 'concurrency': 'many'}"),
    INVALID("005", "deploy", "an environment that is a number", "{'environment': 7, " SCOPE "}"),
    INVALID("006", "deploy", "no environment and no scope", "{'environment': ''}"),
    INVALID("007", "deploy", "no environment, but enforced",
            "{'environment': '', 'enforce_environment': true, " SCOPE "}"),
    INVALID("008", "deploy", "a key that is not known", "{'environment': '${env}', " SCOPE ", 'no-such-key': 1}"),
    INVALID("009", "deploy", "debug as a text", "{'environment': '${env}', " SCOPE ", 'debug': 'true'}"),
    INVALID("010", "deploy", "tags as a list", "{'environment': '${env}', " SCOPE ", 'tags': ['a']}"),
    INVALID("011", "deploy", "filetimeout as a text", "{'environment': '${env}', " SCOPE ", 'filetimeout': 'x'}"),
    INVALID("012", "deploy", "a concurrency of 0", "{'environment': '${env}', " SCOPE ", 'concurrency': 0}"),
    INVALID("001", "stop", "no job", "{}"),
    INVALID("002", "stop", "an id that is none", "{'job': 'abc'}"),
    INVALID("003", "stop", "a force that is a text", "{'job': '1', 'force': 'yes'}"),
    INVALID("001", "stop_plan", "no plan_job", "{}"),
    INVALID("002", "stop_plan", "an id that is none", "{'plan_job': 'abc'}"),
    INVALID("001", "plan_run", "no plan_name", "{'params': {}}"),
    INVALID("002", "plan_run", "params that are a list", "{'plan_name': 'x', 'params': []}"),
    INVALID("003", "plan_run", "a name that is none", "{'plan_name': 'No Name', 'params': {}}"),
    INVALID("001", "environment_plan_run", "params that are not wrapped",
            "{'plan_name': 'x', 'environment': '${env}', 'params': {'a': 1}}"),
    INVALID("002", "environment_plan_run", "no params", "{'plan_name': 'x', 'environment': '${env}'}"),
    INVALID("001", "task_target", "no display_name", "{'all_tasks': true, 'nodes': [], 'node_groups': []}"),
    INVALID("002", "task_target", "an empty display_name",
            "{'display_name': '', 'all_tasks': true, 'nodes': [], 'node_groups': []}"),
    INVALID("003", "task_target", "all_tasks as a text",
            "{'display_name': 'x', 'all_tasks': 'true', 'nodes': [], 'node_groups': []}"),
    INVALID("004", "task_target", "no nodes", "{'display_name': 'x', 'all_tasks': true, 'node_groups': []}"),
    INVALID("005", "task_target", "neither tasks nor all_tasks",
            "{'display_name': 'x', 'nodes': [], 'node_groups': []}"),
    INVALID("001", "schedule_task", "no scheduled_time", "{" TASK ", " SCOPE "}"),
    INVALID("001", "schedule_deploy", "no scheduled_time", "{" DEPLOY "}"),
    INVALID("002", "schedule_deploy", "an interval of 0",
            "{" DEPLOY ", 'scheduled_time': '" FUTURE
            "', 'schedule_options': {'interval': {'units': 'seconds', 'value': 0}}}"),
    INVALID("001", "schedule_plan", "no scheduled_time", "{'plan_name': 'x', 'params': {}}"),
    INVALID("001", "plan_start", "no plan_name", "{'params': {}}"),
    INVALID("001", "plan_finish", "a status that is none", "{'plan_job': '1', 'result': '', 'status': 'maybe'}"),
    INVALID_GET("001", "/jobs/abc", "A job id that is none"),
    INVALID_GET("002", "/jobs?limit=abc", "A limit that is none"),
    INVALID_GET("003", "/jobs?limit=-1", "A negative limit"),
    INVALID_GET("004", "/jobs?offset=-1", "A negative offset"),
    INVALID_GET("005", "/jobs?order_by=colour", "An order_by that is none"),
    INVALID_GET("006", "/jobs?order=up", "An order that is none"),
    INVALID_GET("007", "/jobs?type=nothing", "A type that is none"),
    INVALID_GET("008", "/jobs?type=deploy&task=x", "task with type=deploy"),
    INVALID_GET("009", "/jobs?min_finish_timestamp=soon", "A min_finish_timestamp that is none"),
    INVALID_GET("010", "/plan_jobs/abc", "A plan job id that is none"),
    INVALID_GET("011", "/plan_jobs?results=maybe", "A results that is none"),
    INVALID_GET("012", "/usage?start_date=2022_04_30", "A date that is none"),
    INVALID_GET("013", "/usage?start_date=2022-05-01&end_date=2022-04-01", "An end before the start"),
    INVALID_GET("014", "/tasks?environment=no%20such%2Fname", "An environment that is no name"),
    INVALID_GET("015", "/tasks/No%20Name/x", "A module that is no name"),
    INVALID_GET("016", "/plans/No%20Name/x", "A module that is no name, of a plan"),
    CASE("validation/inventory-001", "POST /inventory without a body: 400 validation-error.", "orchestrator-api.md §10",
         "orch-validation-error orch-inventory", NULL, POST("/inventory", "!", 400, VALIDATION, NULL)),
    CASE("validation/inventory-002", "POST /inventory without nodes.", "orchestrator-api.md §10",
         "orch-validation-error orch-inventory", NULL, POST("/inventory", "{}", 400, VALIDATION, NULL)),
    CASE("validation/schedule-001", "A scheduled job without its keys: 400.", "orchestrator-api.md §8.3",
         "orch-validation-error", NULL, POST("/scheduled_jobs/environment_jobs", "{}", 400, VALIDATION, NULL)),
    CASE("validation/schedule-002", "A scheduled job of a type that is none.", "orchestrator-api.md §8.3",
         "orch-validation-error", "node",
         POST("/scheduled_jobs/environment_jobs",
              "{'type': 'party', 'environment': '${env}', 'description': '', 'userdata': {}, " SCHEDULE
              ", 'input': {" SCOPE "}}",
              400, VALIDATION, NULL)),
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
