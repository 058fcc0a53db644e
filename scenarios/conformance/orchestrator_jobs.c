/* Jobs from start to end: what is accepted, how it is shown, its events (orchestrator-api.md §3-§5). */
#include "scenarios/conformance/orchestrator_side.h"

#define ROWS(...) ((const struct row[]){__VA_ARGS__, {NULL, NULL, NULL, NULL, 0, NULL, NULL, 0}})
#define GET(path, want)                                                                                                \
    { NULL, "GET", path, NULL, 200, want, NULL, 0 }
#define GET_UNTIL(path, want)                                                                                          \
    { NULL, "GET", path, NULL, 200, want, NULL, UNTIL }
#define POST(path, body, status, want)                                                                                 \
    { NULL, "POST", path, body, status, want, NULL, 0 }
#define POST_PLAN(path, body, want)                                                                                    \
    { NULL, "POST", path, body, 202, want, NULL, PLANS }
#define CASE(id, statement, source, covers, fixture, ...)                                                              \
    { "orchestrator/" id, statement, source, covers, plays_rows, ROWS(__VA_ARGS__), fixture, false }

#define SCOPE "'scope': {'nodes': ['${node}']}"
#define TASK "'environment': '${env}', 'task': '${task}', 'params': {}"
#define STARTED "{'job': {'id': '$like:${base}/jobs/*', 'name': '$keep:job'}}"
#define RUN_TASK                                                                                                       \
    POST("/command/task", "{" TASK ", " SCOPE ", 'description': 'conformance', 'userdata': {'a': 1}}", 202, STARTED)
#define RUN_PUPPET POST("/command/deploy", "{'environment': '${env}', 'noop': true, " SCOPE "}", 202, STARTED)
#define OVER GET_UNTIL("/jobs/${job}", "{'state': '$or:finished|failed', '...': 0}")
#define LINKS                                                                                                          \
    "'nodes': {'id': '${base}/jobs/${job}/nodes'}, 'report': {'id': '${base}/jobs/${job}/report'}, 'events': {'id': "  \
    "'${base}/jobs/${job}/events'}"
#define OWNER "{'id': '$uuid', 'login': '$string', '...': 0}"
#define STATES                                                                                                         \
    "['$each', {'state': '$or:new|ready|running|stopping|stopped|finished|failed', 'enter_time': '$time', "            \
    "'exit_time': '$any'}]"
#define EVENT(type)                                                                                                    \
    "{'id': '$re:[0-9]+', 'type': '" type "', 'timestamp': '$time', 'details': '$object', 'message': '$string'}"
#define NODE_EVENT(type)                                                                                               \
    "{'id': '$re:[0-9]+', 'type': '" type                                                                              \
    "', 'timestamp': '$time', 'details': {'node': '${node}', 'detail': '$object', '...': 0}, 'message': '$string'}"

static void absent_node(struct stage *s) {
    if (s->opts->patience_ms < 12000) {
        skips(s, "takes 30 s, the time an agent is waited for: give --patience 12s");
    }
    plays(s, ROWS(POST("/command/task", "{" TASK ", 'scope': {'nodes': ['absent.conformance.example.com']}}", 202,
                       STARTED),
                  GET_UNTIL("/jobs/${job}", "{'state': 'failed', 'node_states': {'errored': 1}, '...': 0}"),
                  GET("/jobs/${job}/nodes",
                      "{'next-events': '$object', 'items': [{'name': 'absent.conformance.example.com', 'state': "
                      "'errored', 'result': {'kind': 'puppetlabs.orchestrator/execution-failure', 'msg': '$string', "
                      "'details': {'node': 'absent.conformance.example.com', '...': 0}}, '...': 0}]}"),
                  GET("/jobs/${job}/events", "{'next-events': '$object', 'items': ['$has', {'type': 'node_errored', "
                                             "'...': 0}, {'type': 'job_finished', '...': 0}]}")));
}

const struct conform_case orchestrator_job_cases[] = {
    CASE("task/run-001", "A task job is accepted with its number and URL, and ends.", "orchestrator-api.md §3.5",
         "orch-task", "node task", RUN_TASK, OVER),
    CASE("task/run-002", "The job as it is shown.", "orchestrator-api.md §4.1", "orch-jobs orch-task", "node task",
         RUN_TASK, OVER,
         GET("/jobs/${job}",
             "{'id': '${base}/jobs/${job}', 'name': '${job}', 'state': '$string', 'command': 'task', 'type': 'task', "
             "'owner': " OWNER
             ", 'description': 'conformance', 'environment': {'name': '${env}'}, 'timestamp': '$time',"
             " 'started_timestamp': '$time', 'finished_timestamp': '$time', 'duration': '$number', 'node_count': 1, "
             "'node_states': '$object', " LINKS ", 'userdata': {'a': 1}, 'status': " STATES ","
             " 'options': {'task': '${task}', 'params': '$object', 'scope': {'nodes': ['${node}']}, 'environment': "
             "'${env}', 'noop': false, 'description': 'conformance', 'sensitive': [], '...': 0}}")),
    CASE("task/nodes-001", "Its nodes, with times, details and result, and where events go on.",
         "orchestrator-api.md §4.6", "orch-jobs", "node task", RUN_TASK, OVER,
         GET("/jobs/${job}/nodes",
             "{'next-events': {'id': '$like:${base}/jobs/${job}/events*', 'event': '$re:[0-9]+'}, 'items': [{'name': "
             "'${node}', 'state': '$or:finished|failed', 'timestamp': '$time', 'start_timestamp': '$time',"
             " 'finish_timestamp': '$time', 'duration': '$number', 'transaction_uuid': null, 'details': '$object', "
             "'result': '$object', '...': 0}]}")),
    CASE("task/report-001", "Its report.", "orchestrator-api.md §4.7", "orch-jobs", "node task", RUN_TASK, OVER,
         GET("/jobs/${job}/report", "{'items': [{'node': '${node}', 'state': '$or:finished|failed', 'timestamp': "
                                    "'$time', 'events': '$array'}]}")),
    CASE("task/events-001", "Its events: running, finished or failed, and the job's end last.",
         "orchestrator-api.md §5", "orch-events", "node task", RUN_TASK, OVER,
         GET("/jobs/${job}/events", "{'next-events': {'id': '$like:${base}/jobs/${job}/events?start=*', 'event': "
                                    "'$keep:next'}, 'items': ['$has', " NODE_EVENT("node_running") ", " NODE_EVENT(
                                        "$or:node_finished|node_failed") ", " EVENT("job_finished") "]}"),
         GET("/jobs/${job}/events?start=${next}",
             "{'next-events': {'id': '$string', 'event': '${next}'}, 'items': []}")),
    CASE("task/scope-001", "A query as scope.", "orchestrator-api.md §3.1", "orch-task", "node task",
         POST("/command/task", "{" TASK ", 'scope': {'query': ['from', 'nodes', ['=', 'certname', '${node}']]}}", 202,
              STARTED),
         GET("/jobs/${job}", "{'node_count': 1, '...': 0}"), OVER),
    CASE("task/scope-002", "PQL as scope.", "orchestrator-api.md §3.1", "orch-task", "node task",
         POST("/command/task",
              "{\"environment\": \"${env}\", \"task\": \"${task}\", \"params\": {}, \"scope\": {\"query\": "
              "\"nodes[certname] { certname = '${node}' }\"}}",
              202, STARTED),
         GET("/jobs/${job}", "{'node_count': 1, '...': 0}"), OVER),
    CASE("task/scope-003", "A node that is named twice counts once.", "orchestrator-api.md §3.1", "orch-task",
         "node task", POST("/command/task", "{" TASK ", 'scope': {'nodes': ['${node}', '${node}']}}", 202, STARTED),
         GET("/jobs/${job}", "{'node_count': 1, '...': 0}"), OVER),
    CASE("task/default-001", "production is the default environment.", "orchestrator-api.md §3.5", "orch-task",
         "node task", POST("/command/task", "{'task': '${task}', 'params': {}, " SCOPE "}", 202, STARTED),
         GET("/jobs/${job}", "{'environment': {'name': 'production'}, 'description': '', 'userdata': {}, '...': 0}"),
         OVER),
    CASE("task/list-001", "It is in the list, and found by type and name.", "orchestrator-api.md §4.4", "orch-jobs",
         "node task", RUN_TASK, OVER,
         GET("/jobs?type=task&limit=50&order_by=name&order=desc",
             "{'items': ['$has', {'name': '${job}', 'type': 'task', '...': 0}], 'pagination': '$object'}"),
         GET("/jobs?task=${task}&limit=50&order_by=name&order=desc",
             "{'items': ['$has', {'name': '${job}', '...': 0}], 'pagination': '$object'}")),
    {"orchestrator/task/absent-001", "A node that is not connected is errored, with an execution-failure.",
     "orchestrator-api.md §4.10", "orch-execution-failure orch-jobs", absent_node, NULL, "task", false},
    CASE("deploy/run-001", "A Puppet run is accepted, ends, and is shown.", "orchestrator-api.md §3.2", "orch-deploy",
         "node", RUN_PUPPET, OVER,
         GET("/jobs/${job}",
             "{'command': 'deploy', 'type': 'deploy', 'environment': {'name': '${env}'}, 'node_count': 1, 'options': "
             "{'environment': '${env}', 'scope': {'nodes': ['${node}']}, 'noop': true, 'no_noop': false, 'debug': "
             "false, 'trace': false, 'evaltrace': false, 'enforce_environment': true, '...': 0}, '...': 0}")),
    CASE("deploy/result-001", "Its node's result is that of the report.", "orchestrator-api.md §4.10", "orch-deploy",
         "node", RUN_PUPPET, GET_UNTIL("/jobs/${job}", "{'state': 'finished', '...': 0}"),
         GET("/jobs/${job}/nodes",
             "{'next-events': '$object', 'items': [{'state': 'finished', 'result': {'hash': '$re:[0-9a-f]{40}', "
             "'noop': '$any', 'status': '$or:changed|unchanged', 'metrics': {'total': '$int', 'changed': '$int', "
             "'failed': '$int', 'skipped': '$int', '...': 0}, 'environment': '$string', 'configuration_version': "
             "'$string', '...': 0}, '...': 0}]}")),
    CASE("deploy/events-001", "Messages that tools look for.", "orchestrator-api.md §5.2", "orch-events orch-deploy",
         "node", RUN_PUPPET, GET_UNTIL("/jobs/${job}", "{'state': 'finished', '...': 0}"),
         GET("/jobs/${job}/events", "{'next-events': '$object', 'items': ['$has', {'type': 'node_running', 'message': "
                                    "'Started puppet run on ${node} ...', '...': 0}, {'type': 'node_finished', "
                                    "'message': '$like:Finished puppet run on ${node} - Success!*', '...': 0}]}")),
    CASE("deploy/empty-001", "No environment: not enforced.", "orchestrator-api.md §3.2",
         "orch-deploy orch-empty-environment", "node",
         POST("/command/deploy", "{'environment': '', 'enforce_environment': false, 'noop': true, " SCOPE "}", 202,
              STARTED),
         OVER),
    CASE("stop/finished-001", "Stopping a job that has finished changes nothing, any number of times.",
         "orchestrator-api.md §3.3", "orch-stop", "node task", RUN_TASK, OVER,
         POST("/command/stop", "{'job': '${job}'}", 202,
              "{'job': {'id': '${base}/jobs/${job}', 'name': '${job}', 'nodes': '$object'}}"),
         POST("/command/stop", "{'job': '${job}'}", 202,
              "{'job': {'id': '${base}/jobs/${job}', 'name': '${job}', 'nodes': '$object'}}"),
         OVER),
    CASE("stop/counts-001", "The answer counts the nodes by state.", "orchestrator-api.md §3.3", "orch-stop",
         "node task", RUN_TASK, OVER,
         POST("/command/stop", "{'job': '${job}'}", 202,
              "{'job': {'id': '$string', 'name': '${job}', 'nodes': {'new?': 0, 'running?': 0, 'finished?': '$int', "
              "'failed?': '$int', 'errored?': 0, 'skipped?': 0, '...': 0}}}")),
    CASE("plan-task/run-001", "A task in a plan from outside belongs to it.", "orchestrator-api.md §3.7",
         "orch-plan-jobs orch-task", "node task",
         POST("/command/plan_start", "{'plan_name': 'conf', 'description': '', 'params': {}, 'sensitive': []}", 202,
              "{'name': '$keep:pj', '...': 0}"),
         POST("/command/plan_task", "{" TASK ", " SCOPE ", 'plan_job': '${pj}'}", 202, STARTED), OVER,
         GET("/jobs/${job}",
             "{'command': 'plan_task', 'type': 'plan_task', 'options': {'plan_job': '$any', '...': 0}, '...': 0}"),
         GET("/plan_jobs/${pj}/events",
             "{'next-events': {'id': '$string', 'event': '$string'}, 'items': ['$has', {'id': '$string', 'type': "
             "'task_start', 'timestamp': '$string', 'details': {'job-id': '${job}'}}]}"),
         POST("/command/plan_finish", "{'plan_job': '${pj}', 'result': '', 'status': 'success'}", 202, NULL)),
    CASE("plan/run-001", "A plan runs on the server and ends; its last event says so.", "orchestrator-api.md §3.8, §6",
         "orch-plan-run orch-plan-jobs", "plan",
         POST_PLAN("/command/plan_run",
                   "{'plan_name': '${plan}', 'params': {}, 'environment': '${env}', 'description': 'conformance', "
                   "'userdata': {'a': 1}}",
                   "{'name': '$keep:pj'}"),
         GET_UNTIL("/plan_jobs/${pj}",
                   "{'state': '$or:success|failure', 'finished_timestamp': '$time', 'options': {'plan_name': "
                   "'${plan}', 'description': 'conformance', '...': 0}, 'userdata': {'a': 1}, '...': 0}"),
         GET("/plan_jobs/${pj}/events", "{'next-events': {'id': '$string', 'event': '$string'}, 'items': ['$has', "
                                        "{'id': '$keep:event', 'type': '$or:plan_finished|plan_failed', 'timestamp': "
                                        "'$string', 'details': {'plan-id': '${pj}', 'result': '$any'}}]}"),
         GET("/plan_jobs/${pj}/event/${event}",
             "{'id': '${event}', 'type': '$or:plan_finished|plan_failed', '...': 0}")),
    CASE("plan/run-002", "Parameters wrapped in value.", "orchestrator-api.md §3.9", "orch-plan-run", "plan",
         POST_PLAN("/command/environment_plan_run", "{'plan_name': '${plan}', 'params': {}, 'environment': '${env}'}",
                   "{'name': '$keep:pj'}"),
         GET_UNTIL("/plan_jobs/${pj}", "{'state': '$or:success|failure', '...': 0}")),
    CASE("plan/stop-001", "Stopping a plan that is over changes nothing.", "orchestrator-api.md §3.4",
         "orch-stop orch-plan-run", "plan",
         POST_PLAN("/command/plan_run", "{'plan_name': '${plan}', 'params': {}, 'environment': '${env}'}",
                   "{'name': '$keep:pj'}"),
         GET_UNTIL("/plan_jobs/${pj}", "{'state': '$keep:state', 'finished_timestamp': '$time', '...': 0}"),
         POST("/command/stop_plan", "{'plan_job': '${pj}'}", 202, "{'name': '${pj}'}"),
         GET("/plan_jobs/${pj}", "{'state': '${state}', '...': 0}")),
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
