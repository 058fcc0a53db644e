/* Each endpoint's good answer: keys, types, links (orchestrator-api.md §2, §3.6, §8-§14). */
#include "scenarios/conformance/orchestrator_side.h"

#define ROWS(...) ((const struct row[]){__VA_ARGS__, {NULL, NULL, NULL, NULL, 0, NULL, NULL, 0}})
#define GET(path, want)                                                                                                \
    { NULL, "GET", path, NULL, 200, want, NULL, 0 }
#define POST(path, body, status, want)                                                                                 \
    { NULL, "POST", path, body, status, want, NULL, 0 }
#define PUT(path, body, status, want)                                                                                  \
    { NULL, "PUT", path, body, status, want, NULL, 0 }
#define CASE(id, statement, source, covers, fixture, ...)                                                              \
    { "orchestrator/" id, statement, source, covers, plays_rows, ROWS(__VA_ARGS__), fixture, false }

#define LINK "{'name': '$string', 'id': '$like:${base}/*'}"
#define ROOT                                                                                                           \
    "{'info': {'title': '$string', 'description': '$string', 'warning': '$string', 'version': '$string', 'license': "  \
    "{'name': '$string', 'url': '$string'}, '...': 0},"                                                                \
    " 'status': {'name': 'status', 'id': '${base}/status'}, 'collections': ['$has', {'name': 'environments', 'id': "   \
    "'${base}/environments'}, {'name': 'jobs', 'id': '${base}/jobs'}],"                                                \
    " 'commands': ['$has', {'name': 'deploy', 'id': '${base}/command/deploy'}, {'name': 'stop', 'id': "                \
    "'${base}/command/stop'}]}"
#define REC "{'name': '$string', 'connected': true, 'broker': '$like:pcp://*/server', 'timestamp': '$time-ms'}"
#define SERVICE                                                                                                        \
    "'service_version': '$string', 'service_status_version': 1, 'state': 'running', 'status': '$object', "             \
    "'active_alerts': '$array'"
#define OWNER "{'id': '$uuid', 'login': '$string', '...': 0}"
#define FUTURE "2099-01-01T00:00:00Z"
#define SCHEDULED                                                                                                      \
    "{'id': '${base}/scheduled_jobs/environment_jobs/${sj}', 'name': '${sj}', 'enabled': true, 'type': 'deploy', "     \
    "'environment': '${env}', 'owner': " OWNER ", 'description': 'conformance',"                                       \
    " 'input': {'scope': {'nodes': ['${node}']}, '...': 0}, 'userdata': {'a': 1}, 'schedule': {'start_time': '" FUTURE \
    "', 'interval': {'units': 'seconds', 'value': 86400}},"                                                            \
    " 'next_run': {'time': '" FUTURE "'}, 'last_run': null, '...': 0}"
#define MAKE_SCHEDULED                                                                                                 \
    POST("/scheduled_jobs/environment_jobs",                                                                           \
         "{'type': 'deploy', 'environment': '${env}', 'description': 'conformance', 'userdata': {'a': 1}, "            \
         "'schedule': {'start_time': '" FUTURE "',"                                                                    \
         " 'interval': {'units': 'seconds', 'value': 86400}}, 'input': {'scope': {'nodes': ['${node}']}, 'noop': "     \
         "true}}",                                                                                                     \
         200, "{'scheduled_job': {'id': '$like:${base}/scheduled_jobs/environment_jobs/*', 'name': '$keep:sj'}}")
#define DISABLE                                                                                                        \
    PUT("/scheduled_jobs/environment_jobs/${sj}", "{'enabled': false}", 200,                                           \
        "{'scheduled_job': {'id': '${base}/scheduled_jobs/environment_jobs/${sj}', 'name': '${sj}'}}")

const struct conform_case orchestrator_endpoint_cases[] = {
    CASE("root/get-001", "The root names collections and commands by absolute URLs.", "orchestrator-api.md §2.1",
         "orch-root", NULL, GET("//orchestrator", ROOT)),
    CASE("root/get-002", "It answers at /orchestrator/v1 too.", "orchestrator-api.md §1.2", "orch-root", NULL,
         GET("", ROOT)),
    CASE("root/status-001", "The status that the root names.", "orchestrator-api.md §2.2", "orch-root orch-status",
         NULL, GET("/status", "{'state': 'running', '...': 0}")),
    CASE("inventory/list-001", "Connected nodes, each with its broker and since when.", "orchestrator-api.md §10",
         "orch-inventory", "node", GET("/inventory", "{'items': ['$each', " REC "]}")),
    CASE("inventory/one-001", "One connected node.", "orchestrator-api.md §10", "orch-inventory", "node",
         GET("/inventory/${node}",
             "{'name': '${node}', 'connected': true, 'broker': '$string', 'timestamp': '$time-ms'}")),
    CASE("inventory/one-002", "A node that is not known is not connected, never 404.", "orchestrator-api.md §10",
         "orch-inventory", NULL,
         GET("/inventory/nobody.example.com", "{'name': 'nobody.example.com', 'connected': false}")),
    CASE("inventory/several-001", "Several nodes, in the order of the request.", "orchestrator-api.md §10",
         "orch-inventory", "node",
         POST("/inventory", "{'nodes': ['nobody.example.com', '${node}']}", 200,
              "{'items': [{'name': 'nobody.example.com', 'connected': false}, " REC "]}")),
    CASE("inventory/several-002", "No nodes at all.", "orchestrator-api.md §10", "orch-inventory", NULL,
         POST("/inventory", "{'nodes': []}", 200, "{'items': []}")),
    CASE("tasks/list-001", "Tasks with their names and URLs.", "orchestrator-api.md §9.1", "orch-tasks", "task",
         GET("/tasks?environment=${env}",
             "{'environment': {'name': '${env}', 'code_id': '$any'}, 'items': ['$each', {'id': "
             "'$like:${base}/tasks/*/*', 'name': '$string', 'permitted?': '$bool'}]}")),
    CASE("tasks/list-002", "production is the default environment.", "orchestrator-api.md §9.1", "orch-tasks", NULL,
         GET("/tasks", "{'environment': {'name': 'production', 'code_id': '$any'}, 'items': '$array'}")),
    CASE("tasks/one-001", "A task's metadata and files.", "orchestrator-api.md §9.2", "orch-tasks", "task",
         GET("/tasks/${task-path}?environment=${env}",
             "{'id': '$like:${base}/tasks/${task-path}', 'name': '${task}', 'environment': {'name': '${env}', "
             "'code_id': '$any'}, 'metadata': '$object', 'permitted?': '$bool',"
             " 'files': ['$each', {'filename': '$string', 'uri': {'path': '$like:/puppet/v3/*', 'params': '$object'}, "
             "'sha256': '$re:[0-9a-f]{64}', 'size_bytes': '$int'}]}")),
    CASE("plans/list-001", "Plans, and which of them may be run.", "orchestrator-api.md §9.3", "orch-plans", NULL,
         GET("/plans?environment=${env}",
             "{'environment': {'name': '${env}', 'code_id': '$any'}, 'items': ['$each', {'id': "
             "'$like:${base}/plans/*/*', 'name': '$string', 'permitted': '$bool'}]}")),
    CASE("environments/list-001", "Environments with their settings.", "orchestrator-api.md §14", "orch-environments",
         NULL,
         GET("/environments",
             "{'items': ['$each', {'id': '$like:${base}/environments/*', 'name': '$string', '...': 0}]}")),
    CASE("environments/one-001", "One environment.", "orchestrator-api.md §14", "orch-environments", NULL,
         GET("/environments/${env}", "{'id': '${base}/environments/${env}', 'name': '${env}', 'applications': {'id': "
                                     "'${base}/environments/${env}/applications'}, '...': 0}")),
    CASE("environments/applications-001", "Its applications.", "orchestrator-api.md §14", "orch-environments", NULL,
         GET("/environments/${env}/applications",
             "{'items': '$array', 'instances': {'id': '${base}/environments/${env}/instances'}}")),
    CASE("environments/instances-001", "Its instances.", "orchestrator-api.md §14", "orch-environments", NULL,
         GET("/environments/${env}/instances", "{'items': '$array'}")),
    CASE("usage/get-001", "Usage by days.", "orchestrator-api.md §11.2", "orch-usage", NULL,
         GET("/usage",
             "{'items': ['$each', {'date': '$re:[0-9]{4}-[0-9]{2}-[0-9]{2}', 'total_nodes': '$int', "
             "'nodes_with_agent': '$int', 'nodes_without_agent': '$int', '...': 0}], 'pagination': '$object'}")),
    CASE("usage/get-002", "A day with work in it; events=exclude leaves the counts of changes out.",
         "orchestrator-api.md §11.2", "orch-usage", "node task",
         POST("/command/task",
              "{'environment': '${env}', 'task': '${task}', 'params': {}, 'scope': {'nodes': ['${node}']}}", 202,
              "{'job': {'id': '$string', 'name': '$keep:job'}}"),
         {NULL, "GET", "/jobs/${job}", NULL, 200, "{'state': '$or:finished|failed', '...': 0}", NULL, UNTIL},
         {NULL, "GET", "/usage?events=exclude", NULL, 200,
          "{'items': ['$has', {'date': '$string', 'total_nodes': '$int', 'nodes_with_agent': '$int', "
          "'nodes_without_agent': '$int'}], 'pagination': '$object'}",
          NULL, UNTIL}),
    CASE("usage/get-003", "pagination repeats the dates that were sent.", "orchestrator-api.md §11.2", "orch-usage",
         NULL,
         GET("/usage?start_date=2022-01-01&end_date=2022-01-02",
             "{'items': '$array', 'pagination': {'start_date': '2022-01-01', 'end_date': '2022-01-02'}}")),
    CASE(
        "scopes/make-001", "A task target is made, read and listed.", "orchestrator-api.md §3.6, §11.1", "orch-scopes",
        "node task",
        POST("/command/task_target",
             "{'display_name': 'conformance', 'tasks': ['${task}'], 'nodes': ['${node}'], 'node_groups': []}", 200,
             "{'task_target': {'id': '$like:${base}/scopes/task_targets/*', 'name': '$keep:tt'}}"),
        GET("/scopes/task_targets/${tt}",
            "{'id': '${base}/scopes/task_targets/${tt}', 'name': '${tt}', 'display_name': 'conformance', 'tasks': "
            "['${task}'], 'all_tasks': '$bool', 'nodes': ['${node}'], 'node_groups': [], '...': 0}"),
        GET("/scopes/task_targets", "{'items': ['$has', {'name': '${tt}', 'display_name': 'conformance', '...': 0}]}")),
    CASE("scopes/make-002", "all_tasks: the tasks are left out.", "orchestrator-api.md §11.1", "orch-scopes", NULL,
         POST("/command/task_target",
              "{'display_name': 'everything', 'all_tasks': true, 'nodes': [], 'node_groups': [], 'pql_query': "
              "'nodes[certname] {}'}",
              200, "{'task_target': {'id': '$string', 'name': '$keep:tt'}}"),
         GET("/scopes/task_targets/${tt}",
             "{'id': '$string', 'name': '${tt}', 'display_name': 'everything', 'tasks': '$absent', 'all_tasks': "
             "'$any', 'nodes': [], 'node_groups': [], 'pql_query': 'nodes[certname] {}'}")),
    CASE("scheduled/make-001", "A scheduled job is made, read, listed, and disabled.", "orchestrator-api.md §8",
         "orch-scheduled", "node", MAKE_SCHEDULED, GET("/scheduled_jobs/environment_jobs/${sj}", SCHEDULED),
         GET("/scheduled_jobs/environment_jobs",
             "{'items': ['$has', " SCHEDULED
             "], 'pagination': {'limit': '$any', 'offset': 0, 'total': '$int', '...': 0}}"),
         DISABLE),
    CASE("scheduled/change-001", "A key that is given replaces the stored one, the others stay.",
         "orchestrator-api.md §8.4", "orch-scheduled", "node", MAKE_SCHEDULED,
         PUT("/scheduled_jobs/environment_jobs/${sj}", "{'userdata': {'b': 2}}", 200, NULL),
         GET("/scheduled_jobs/environment_jobs/${sj}",
             "{'userdata': {'b': 2}, 'description': 'conformance', 'enabled': true, '...': 0}"),
         DISABLE),
    CASE("scheduled/disable-001", "A disabled job is no longer listed.", "orchestrator-api.md §8.2", "orch-scheduled",
         "node", MAKE_SCHEDULED, DISABLE,
         GET("/scheduled_jobs/environment_jobs/${sj}", "{'enabled': false, '...': 0}")),
    CASE("scheduled/old-001", "schedule_task makes a scheduled job.", "orchestrator-api.md §3.10", "orch-scheduled",
         "node task",
         POST("/command/schedule_task",
              "{'environment': '${env}', 'task': '${task}', 'params': {}, 'scope': {'nodes': ['${node}']}, "
              "'scheduled_time': '" FUTURE "'}",
              202, "{'scheduled_job': {'id': '$string', 'name': '$keep:sj'}}"),
         PUT("/scheduled_jobs/environment_jobs/${sj}", "{'enabled': false}", 200, NULL)),
    CASE("scheduled/old-002", "schedule_deploy makes a scheduled job.", "orchestrator-api.md §3.10", "orch-scheduled",
         "node",
         POST("/command/schedule_deploy",
              "{'environment': '${env}', 'scope': {'nodes': ['${node}']}, 'scheduled_time': '" FUTURE "'}", 202,
              "{'scheduled_job': {'id': '$string', 'name': '$keep:sj'}}"),
         PUT("/scheduled_jobs/environment_jobs/${sj}", "{'enabled': false}", 200, NULL)),
    CASE("scheduled/old-003", "schedule_plan makes a scheduled job.", "orchestrator-api.md §3.10", "orch-scheduled",
         "plan",
         POST("/command/schedule_plan",
              "{'environment': '${env}', 'plan_name': '${plan}', 'params': {}, 'scheduled_time': '" FUTURE "'}", 202,
              "{'scheduled_job': {'id': '$string', 'name': '$keep:sj'}}"),
         PUT("/scheduled_jobs/environment_jobs/${sj}", "{'enabled': false}", 200, NULL)),
    CASE("plans/outside-001", "A plan from outside: started, shown running, finished with its result.",
         "orchestrator-api.md §3.7, §6", "orch-plan-jobs", NULL,
         POST("/command/plan_start",
              "{'plan_name': 'conf', 'description': 'from outside', 'params': {'a': 1}, 'sensitive': []}", 202,
              "{'name': '$keep:pj', '...': 0}"),
         GET("/plan_jobs/${pj}",
             "{'id': '${base}/plan_jobs/${pj}', 'name': '${pj}', 'state': 'running', 'options': {'description': 'from "
             "outside', 'plan_name': 'conf', 'parameters': {'a': 1}, '...': 0}, 'result': null, 'owner': " OWNER ","
             " 'created_timestamp': '$time', 'finished_timestamp': null, 'duration': '$any', 'events': {'id': "
             "'${base}/plan_jobs/${pj}/events'}, '...': 0}"),
         POST("/command/plan_finish", "{'plan_job': '${pj}', 'result': {'done': true}, 'status': 'success'}", 202,
              "{'...': 0}"),
         GET("/plan_jobs/${pj}",
             "{'state': 'success', 'result': {'done': true}, 'finished_timestamp': '$time', '...': 0}")),
    CASE("plans/outside-002", "One that fails.", "orchestrator-api.md §3.7", "orch-plan-jobs", NULL,
         POST("/command/plan_start", "{'plan_name': 'conf', 'description': '', 'params': {}, 'sensitive': []}", 202,
              "{'name': '$keep:pj', '...': 0}"),
         POST("/command/plan_finish", "{'plan_job': '${pj}', 'result': {'msg': 'no'}, 'status': 'failure'}", 202, NULL),
         GET("/plan_jobs/${pj}", "{'state': 'failure', 'result': {'msg': 'no'}, '...': 0}")),
    CASE("plans/list-002", "Plan jobs, with and without results.", "orchestrator-api.md §6.1", "orch-plan-jobs", NULL,
         GET("/plan_jobs?limit=1", "{'items': ['$each', {'id': '$like:${base}/plan_jobs/*', 'name': '$string', "
                                   "'state': '$or:running|success|failure', '...': 0}], 'pagination': {'limit': 1, "
                                   "'offset': 0, 'total': '$int', '...': 0}}"),
         GET("/plan_jobs?results=exclude&limit=1",
             "{'items': ['$each', {'result': '$absent', '...': 0}], 'pagination': '$object'}")),
    CASE("jobs/list-001", "Jobs, with pagination that tells what is in force.", "orchestrator-api.md §1.7, §4.4",
         "orch-jobs", NULL,
         GET("/jobs?limit=2&offset=1&order_by=name&order=desc",
             "{'items': '$array', 'pagination': {'limit': 2, 'offset': 1, 'total': '$int', 'order_by': 'name', "
             "'order': 'desc', 'type': '$any', '...': 0}}")),
    CASE("jobs/list-002", "Trailing slashes are taken.", "orchestrator-api.md §1.2", "orch-jobs", NULL,
         GET("/jobs/?limit=1", "{'items': '$array', 'pagination': '$object'}")),
    CASE("status/services-001", "All services.", "orchestrator-api.md §12", "orch-status", NULL,
         GET("//status/v1/services", "{'orchestrator-service': {" SERVICE ", 'detail_level': 'info'}, '...': 0}")),
    CASE("status/services-002", "One service, level critical.", "orchestrator-api.md §12", "orch-status", NULL,
         GET("//status/v1/services/orchestrator-service?level=critical",
             "{" SERVICE ", 'detail_level': 'critical', 'service_name?': 'orchestrator-service'}")),
    CASE("status/services-003", "A level that is none: 400. An unknown service: 404.", "orchestrator-api.md §12",
         "orch-status", NULL, {NULL, "GET", "//status/v1/services?level=loud", NULL, 400, NULL, NULL, 0},
         {NULL, "GET", "//status/v1/services/nope", NULL, 404, NULL, NULL, 0}),
    CASE("status/simple-001", "The simple form.", "orchestrator-api.md §12", "orch-status", NULL,
         {NULL, "GET", "//status/v1/simple", NULL, 200, "!running", NULL, 0},
         {NULL, "GET", "//status/v1/simple/orchestrator-service", NULL, 200, "!running", NULL, 0}),
    CASE("connections/life-001",
         "An agentless node's connection is made, found without its secrets, refused twice, deleted.",
         "orchestrator-api.md §13", "orch-connections", NULL,
         POST("//inventory/v1/command/create-connection",
              "{'certnames': ['agentless.conformance.example.com'], 'type': 'ssh', 'parameters': {'user': 'root'}, "
              "'sensitive_parameters': {'password': 'x'}, 'duplicates': 'replace'}",
              201, "{'connection_id': '$uuid'}"),
         POST("//inventory/v1/query/connections", "{'certnames': ['agentless.conformance.example.com']}", 200,
              "{'items': [{'type': 'ssh', 'parameters': {'user': 'root', '...': 0}, 'sensitive_parameters': '$absent', "
              "'...': 0}]}"),
         POST("//inventory/v1/command/create-connection",
              "{'certnames': ['agentless.conformance.example.com'], 'type': 'ssh', 'parameters': {'user': 'root'}, "
              "'sensitive_parameters': {'password': 'x'}, 'duplicates': 'error'}",
              409, NULL),
         POST("//inventory/v1/command/delete-connection", "{'certnames': ['agentless.conformance.example.com']}", 204,
              NULL)),
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
