/* Answers of every endpoint against the documented shapes (orchestrator-api.md §2-14), in stories: what one request
 * leaves behind, the next one reads. */
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include "simulator/stack/tests/api_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define V1 "/orchestrator/v1"
#define SCOPE "\"scope\": {\"nodes\": [\"" NODE_1 "\"]}"
#define LINK(path) "{\"id\": \"<url>" path "\"}"
#define OWNER                                                                                                          \
    "{\"id\": \"<uuid>\", \"login\": \"<text>\", \"display_name\": \"<string>\", \"email\": \"<string>\", "            \
    "\"is_revoked\": false, \"is_remote\": false, \"is_group\": false, \"is_superuser\": \"<bool>\", "                 \
    "\"last_login\": \"<ms|null>\", \"role_ids\": \"<array>\", \"…\": 1}"
#define STATUS "[{\"state\": \"<text>\", \"enter_time\": \"<time>\", \"exit_time\": \"<time|null>\"}]"
#define JOB_MEMBERS(type, command, options)                                                                            \
    "\"id\": \"<url>/jobs/<id>\", \"name\": \"<id>\", \"state\": \"finished\", \"command\": \"" command                \
    "\", \"type\": \"" type "\", \"options\": " options ", \"owner\": " OWNER ", \"description\": \"<string>\", "      \
    "\"environment\": {\"name\": \"<string>\"}, \"timestamp\": \"<time>\", \"started_timestamp\": \"<time>\", "        \
    "\"finished_timestamp\": \"<time>\", \"duration\": \"<number>\", \"node_count\": 1, "                              \
    "\"node_states\": {\"finished\": 1}, \"nodes\": " LINK("/jobs/<id>/nodes") ", \"report\": " LINK(                  \
        "/jobs/<id>/report") ", \"events\": " LINK("/jobs/<id>/events") ", \"status\": " STATUS ", \"userdata\": {}"
#define TASK_OPTIONS                                                                                                   \
    "{\"task\": \"typed\", \"params\": {\"count\": 2, \"mode\": \"fast\"}, " SCOPE ", \"environment\": \"production\"" \
    ", \"noop\": false, \"description\": \"\", \"sensitive\": [\"password\"], \"scheduled-job-id\": null, "            \
    "\"transport\": \"pxp\"}"
#define PAGE "{\"offset\": \"<int>\", \"total\": \"<int>\", \"order_by\": \"<text>\", \"order\": \"<text>\", \"…\": 1}"

#define RUN(table) run(table, sizeof table / sizeof table[0])
static void run(const struct exchange *list, size_t count) {
    struct api_rig rig = {0};
    api_rig_start(&rig);
    api_exchanges(&rig, list, count);
    api_rig_end(&rig);
}

static void test_task_job(void **ctx) {
    static const struct exchange story[] = {
        GIVES(OPERATOR, "POST", V1 "/command/task",
              "{\"task\": \"typed\", \"params\": {\"count\": 2, \"password\": \"sesame\"}, " SCOPE "}", 202,
              "{\"job\": {\"id\": \"<url>/jobs/1\", \"name\": \"1\"}}"),
        {.who = VIEWER, .method = "GET", .path = V1 "/jobs", .status = 200, .then_us = 20 * SIM_SECOND},
        GIVES(VIEWER, "GET", V1 "/jobs/1", NULL, 200, "{" JOB_MEMBERS("task", "task", TASK_OPTIONS) "}"),
        GIVES(VIEWER, "GET", V1 "/jobs?limit=5", NULL, 200,
              "{\"items\": [{" JOB_MEMBERS("task", "task",
                                           TASK_OPTIONS) "}], \"pagination\": {\"limit\": 5, "
                                                         "\"offset\": 0, \"total\": 1, \"order_by\": \"timestamp\", "
                                                         "\"order\": \"desc\", \"type\": \"\"}}"),
        GIVES(VIEWER, "GET", V1 "/jobs?type=deploy", NULL, 200,
              "{\"items\": [], \"pagination\": {\"total\": 0, \"…\": 1}}"),
        GIVES(VIEWER, "GET", V1 "/jobs/1/nodes", NULL, 200,
              "{\"next-events\": {\"id\": \"<url>/jobs/1/events?start=<id>\", \"event\": \"<id>\"}, \"items\": ["
              "{\"name\": \"" NODE_1 "\", \"state\": \"finished\", \"timestamp\": \"<time>\", "
              "\"start_timestamp\": \"<time>\", \"finish_timestamp\": \"<time>\", \"duration\": \"<number>\", "
              "\"transaction_uuid\": null, \"transport\": \"pcp\", \"latest-event-id\": \"<int>\", "
              "\"details\": {\"message\": \"<text>\"}, \"result\": \"<object>\"}]}"),
        GIVES(VIEWER, "GET", V1 "/jobs/1/nodes?state=failed", NULL, 200,
              "{\"next-events\": \"<object>\", \"items\": []}"),
        GIVES(VIEWER, "GET", V1 "/jobs/1/report", NULL, 200,
              "{\"items\": [{\"node\": \"" NODE_1 "\", \"state\": \"finished\", \"timestamp\": \"<time>\", "
              "\"events\": [{\"id\": \"<id>\", \"type\": \"<text>\", \"timestamp\": \"<time>\", \"details\": "
              "{\"node\": \"" NODE_1 "\", \"detail\": \"<object>\"}, \"message\": \"<text>\"}]}]}"),
        GIVES(
            VIEWER, "GET", V1 "/jobs/1/events", NULL, 200,
            "{\"next-events\": {\"id\": \"<url>/jobs/1/events?start=4\", \"event\": \"4\"}, \"items\": ["
            "{\"id\": \"1\", \"type\": \"node_running\", \"timestamp\": \"<time>\", \"details\": {\"node\": \"" NODE_1
            "\", \"detail\": {\"noop\": false}}, \"message\": \"Started on " NODE_1 " ...\"}, "
            "{\"id\": \"2\", \"type\": \"node_finished\", \"timestamp\": \"<time>\", \"details\": {\"node\": \"" NODE_1
            "\", \"detail\": \"<object>\"}, \"message\": \"Finished on node " NODE_1 "\"}, "
            "{\"id\": \"3\", \"type\": \"job_finished\", \"timestamp\": \"<time>\", \"details\": "
            "{\"state\": \"finished\", \"node_states\": {\"finished\": 1}}, \"message\": \"<text>\"}]}"),
        GIVES(VIEWER, "GET", V1 "/jobs/1/events?start=4", NULL, 200,
              "{\"next-events\": {\"id\": \"<url>/jobs/1/events?start=4\", \"event\": \"4\"}, \"items\": []}"),
        GIVES(VIEWER, "POST", V1 "/command/stop", "{\"job\": \"1\"}", 202,
              "{\"job\": {\"id\": \"<url>/jobs/1\", \"name\": \"1\", \"nodes\": {\"new\": 0, \"ready\": 0, "
              "\"running\": 0, \"stopping\": 0, \"finished\": 1, \"failed\": 0, \"errored\": 0, \"skipped\": 0, "
              "\"stopped\": 0}}}"),
    };
    (void)ctx;
    RUN(story);
}

static void test_deploy_job(void **ctx) {
    static const struct exchange story[] = {
        {.who = OPERATOR,
         .method = "POST",
         .path = V1 "/command/deploy",
         .body = "{\"environment\": \"\", \"noop\": true, " SCOPE "}",
         .status = 202,
         .then_us = 2 * SIM_MINUTE},
        GIVES(VIEWER, "GET", V1 "/jobs/1", NULL, 200,
              "{" JOB_MEMBERS("deploy", "deploy",
                              "{\"environment\": \"\", " SCOPE ", \"target\": null, \"concurrency\": null, "
                              "\"noop\": true, \"no_noop\": false, \"debug\": false, \"trace\": false, "
                              "\"evaltrace\": false, \"enforce_environment\": false, \"description\": \"\", "
                              "\"scheduled-job-id\": null}") "}"),
        GIVES(VIEWER, "GET", V1 "/jobs/1/nodes", NULL, 200,
              "{\"next-events\": \"<object>\", \"items\": [{\"transaction_uuid\": \"<uuid>\", \"result\": {\"hash\": "
              "\"<text>\", \"noop\": {\"noop\": true, \"no_noop\": false}, \"status\": \"<text>\", \"metrics\": "
              "\"<object>\", \"environment\": \"<text>\", \"…\": 1}, \"…\": 1}]}"),
    };
    (void)ctx;
    RUN(story);
}

static void test_root_and_lists(void **ctx) {
    static const struct exchange story[] = {
        GIVES(NOBODY, "GET", "/orchestrator", NULL, 200,
              "{\"info\": {\"title\": \"<text>\", \"description\": \"<text>\", \"warning\": \"<text>\", \"version\": "
              "\"0.1\", \"license\": {\"name\": \"<text>\", \"url\": \"<text>\"}}, \"status\": {\"name\": \"status\", "
              "\"id\": \"<url>/status\"}, \"collections\": [{\"name\": \"<text>\", \"id\": \"<url>\"}], "
              "\"commands\": [{\"name\": \"<text>\", \"id\": \"<url>\"}]}"),
        GIVES(NOBODY, "GET", V1 "/", NULL, 200, NULL),
        GIVES(NOBODY, "GET", V1 "/tasks", NULL, 200,
              "{\"environment\": {\"name\": \"production\", \"code_id\": null}, \"items\": [{\"id\": \"<url>\", "
              "\"name\": \"<text>\", \"permitted\": false}]}"),
        GIVES(ADMIN, "GET", V1 "/tasks/echo/init", NULL, 200,
              "{\"id\": \"<url>/tasks/echo/init\", \"name\": \"echo\", \"environment\": {\"name\": \"production\", "
              "\"code_id\": null}, \"metadata\": \"<object>\", \"files\": [{\"filename\": \"init.sh\", \"uri\": "
              "{\"path\": \"<text>\", \"params\": \"<object>\"}, \"sha256\": \"<text>\", \"size_bytes\": \"<int>\"}]}"),
        GIVES(OPERATOR, "GET", V1 "/plans", NULL, 200,
              "{\"environment\": \"<object>\", \"items\": [{\"id\": \"<url>/plans/demo/init\", \"name\": \"demo\", "
              "\"permitted\": true}]}"),
        GIVES(VIEWER, "GET", V1 "/plans/demo/init", NULL, 200,
              "{\"id\": \"<url>/plans/demo/init\", \"name\": \"demo\", \"environment\": \"<object>\", \"permitted\": "
              "false, \"metadata\": \"<object>\"}"),
        GIVES(VIEWER, "GET", V1 "/inventory", NULL, 200,
              "{\"items\": [{\"name\": \"<text>\", \"connected\": true, \"broker\": \"pcp://broker-1/server\", "
              "\"timestamp\": \"<ms>\"}]}"),
        GIVES(VIEWER, "GET", V1 "/inventory/elsewhere", NULL, 200, "{\"name\": \"elsewhere\", \"connected\": false}"),
        GIVES(VIEWER, "POST", V1 "/inventory", "{\"nodes\": [\"elsewhere\", \"" NODE_2 "\"]}", 200,
              "{\"items\": [{\"name\": \"elsewhere\", \"connected\": false}, {\"name\": \"" NODE_2 "\", \"connected\": "
              "true, \"…\": 1}]}"),
        GIVES(VIEWER, "GET", V1 "/environments", NULL, 200,
              "{\"items\": [{\"id\": \"<url>/environments/production\", \"name\": \"production\", \"applications\": "
              "{\"id\": \"<url>/environments/production/applications\"}, \"settings\": {\"modulepath\": \"<array>\", "
              "\"manifest\": \"<string>\", \"environment_timeout\": \"<any>\", \"config_version\": \"<string>\"}}, "
              "{\"id\": \"<url>/environments/staging\", \"name\": \"staging\", \"…\": 1}]}"),
        GIVES(VIEWER, "GET", V1 "/environments/production", NULL, 200, "{\"name\": \"production\", \"…\": 1}"),
        GIVES(VIEWER, "GET", V1 "/environments/production/applications", NULL, 200,
              "{\"items\": [], \"instances\": {\"id\": \"<url>/environments/production/instances\"}}"),
        GIVES(VIEWER, "GET", V1 "/environments/production/instances", NULL, 200, "{\"items\": []}"),
        GIVES(STRANGER, "GET", "/status/v1/services/orchestrator-service", NULL, 200,
              "{\"service_version\": \"<text>\", \"service_status_version\": 1, \"detail_level\": \"info\", \"state\": "
              "\"running\", \"status\": {}, \"active_alerts\": [], \"service_name\": \"orchestrator-service\"}"),
        GIVES(VIEWER, "GET", V1 "/status", NULL, 200, "{\"state\": \"running\", \"…\": 1}"),
    };
    (void)ctx;
    RUN(story);
}

static void test_outside_plan(void **ctx) {
    static const struct exchange story[] = {
        GIVES(
            ADMIN, "POST", V1 "/command/plan_start",
            "{\"plan_name\": \"deploy::all\", \"description\": null, \"params\": {\"n\": 1}, \"sensitive\": [\"key\"]}",
            202, "{\"name\": \"1\"}"),
        {.who = ADMIN,
         .method = "POST",
         .path = V1 "/command/plan_task",
         .body = "{\"plan_job\": \"1\", \"noop\": null, \"environment\": \"production\", \"task\": \"typed\", "
                 "\"params\": {\"count\": 1}, " SCOPE "}",
         .status = 202,
         .shape = "{\"job\": {\"id\": \"<url>/jobs/1\", \"name\": \"1\"}}",
         .then_us = 20 * SIM_SECOND},
        GIVES(ADMIN, "GET", V1 "/jobs/1", NULL, 200,
              "{" JOB_MEMBERS("plan_task", "plan_task",
                              "{\"task\": \"typed\", \"params\": {\"count\": 1, \"mode\": \"fast\"}, " SCOPE
                              ", \"noop\": null, \"plan_job\": 1, \"description\": \"\", \"sensitive\": "
                              "[\"password\"], \"transport\": \"pxp\"}") "}"),
        GIVES(VIEWER, "GET", V1 "/plan_jobs/1", NULL, 200,
              "{\"id\": \"<url>/plan_jobs/1\", \"name\": \"1\", \"state\": \"running\", \"options\": {\"description\": "
              "\"\", \"plan_name\": \"deploy::all\", \"parameters\": {\"n\": 1}, \"scheduled_job_id\": null, "
              "\"environment\": null, \"sensitive\": [\"key\"]}, \"result\": null, \"owner\": " OWNER
              ", \"created_timestamp\": \"<time>\", \"finished_timestamp\": null, \"duration\": \"<number>\", "
              "\"events\": {\"id\": \"<url>/plan_jobs/1/events\"}, \"userdata\": {}, \"timestamp\": \"<time>\", "
              "\"status\": {\"1\": " STATUS "}}"),
        GIVES(ADMIN, "POST", V1 "/command/plan_finish",
              "{\"plan_job\": \"1\", \"result\": {\"a\": [1]}, \"status\": \"failure\"}", 202, "{\"name\": \"1\"}"),
        GIVES(
            VIEWER, "GET", V1 "/plan_jobs", NULL, 200,
            "{\"items\": [{\"state\": \"failure\", \"result\": {\"a\": [1]}, \"finished_timestamp\": \"<time>\", "
            "\"…\": 1}], \"pagination\": {\"offset\": 0, \"total\": 1, \"order_by\": \"name\", \"order\": \"desc\"}}"),
        GIVES(
            VIEWER, "GET", V1 "/plan_jobs?results=exclude&limit=1", NULL, 200,
            "{\"items\": [{\"id\": \"<url>\", \"name\": \"1\", \"state\": \"failure\", \"options\": \"<object>\", "
            "\"owner\": \"<object>\", \"created_timestamp\": \"<time>\", \"finished_timestamp\": \"<time>\", "
            "\"duration\": \"<number>\", \"events\": \"<object>\", \"userdata\": {}}], \"pagination\": \"<object>\"}"),
        GIVES(VIEWER, "GET", V1 "/plan_jobs/1/events", NULL, 200,
              "{\"next-events\": {\"id\": \"<url>/plan_jobs/1/events?start=<id>\", \"event\": \"<id>\"}, \"items\": ["
              "{\"id\": \"1\", \"type\": \"task_start\", \"timestamp\": \"<time>\", \"details\": {\"job-id\": \"1\"}}, "
              "{\"id\": \"<id>\", \"type\": \"plan_failed\", \"timestamp\": \"<time>\", \"details\": {\"plan-id\": "
              "\"1\", \"result\": {\"a\": [1]}}}]}"),
        GIVES(VIEWER, "GET", V1 "/plan_jobs/1/event/1", NULL, 200, "{\"id\": \"1\", \"…\": 1}"),
        GIVES(ADMIN, "POST", V1 "/command/stop_plan", "{\"plan_job\": \"1\"}", 202, "{\"name\": \"1\"}"),
        GIVES(ADMIN, "POST", V1 "/command/plan_start", "{\"plan_name\": \"x\"}", 202, "{\"name\": \"2\"}"),
        GIVES(ADMIN, "POST", V1 "/command/stop_plan", "{\"plan_job\": \"2\"}", 202, "{\"name\": \"2\"}"),
        GIVES(VIEWER, "GET", V1 "/plan_jobs/2", NULL, 200,
              "{\"state\": \"failure\", \"result\": {\"kind\": \"puppetlabs.orchestrator/plan-stopped\", \"…\": 1}, "
              "\"…\": 1}"),
    };
    (void)ctx;
    RUN(story);
}

static void test_task_targets(void **ctx) {
#define ON_BOTH(task)                                                                                                  \
    "{\"task\": \"" task "\", \"params\": {}, \"scope\": {\"nodes\": [\"" NODE_1 "\", \"" NODE_2 "\"]}}"
    static const struct exchange story[] = {
        GIVES(ADMIN, "POST", V1 "/command/task_target",
              "{\"display_name\": \"One\", \"tasks\": [\"echo\"], \"nodes\": [\"" NODE_2 "\"], \"node_groups\": []}",
              200, "{\"task_target\": {\"id\": \"<url>/scopes/task_targets/1\", \"name\": \"1\"}}"),
        GIVES(ADMIN, "POST", V1 "/command/task_target",
              "{\"display_name\": \"All\", \"all_tasks\": true, \"nodes\": [], \"node_groups\": [\"" GROUP_ALL "\"], "
              "\"pql_query\": \"nodes[certname] { }\"}",
              200, NULL),
        GIVES(VIEWER, "GET", V1 "/scopes/task_targets", NULL, 200,
              "{\"items\": [{\"id\": \"<url>/scopes/task_targets/1\", \"name\": \"1\", \"display_name\": \"One\", "
              "\"tasks\": [\"echo\"], \"all_tasks\": false, \"nodes\": [\"" NODE_2 "\"], \"node_groups\": []}, "
              "{\"id\": \"<url>/scopes/task_targets/2\", \"name\": \"2\", \"display_name\": \"All\", \"all_tasks\": "
              "true, \"nodes\": [], \"node_groups\": [\"" GROUP_ALL "\"], \"pql_query\": \"nodes[certname] { }\"}]}"),
        GIVES(VIEWER, "GET", V1 "/scopes/task_targets/2", NULL, 200, "{\"name\": \"2\", \"…\": 1}"),
        /* who has only the first: node 2, the task echo */
        GIVES(LIMITED, "GET", V1 "/tasks", NULL, 200,
              "{\"environment\": \"<object>\", \"items\": [{\"id\": \"<url>/tasks/echo/init\", \"name\": \"echo\", "
              "\"permitted\": true}, {\"name\": \"other\", \"permitted\": false, \"…\": 1}, "
              "{\"name\": \"typed\", \"permitted\": false, \"…\": 1}]}"),
        GIVES(GRANTED, "GET", V1 "/tasks", NULL, 200,
              "{\"environment\": \"<object>\", \"items\": [{\"name\": \"echo\", \"permitted\": true, \"…\": 1}, "
              "{\"name\": \"other\", \"permitted\": true, \"…\": 1}, "
              "{\"name\": \"typed\", \"permitted\": true, \"…\": 1}]}"),
        GIVES(VIEWER, "GET", V1 "/tasks", NULL, 200,
              "{\"environment\": \"<object>\", \"items\": [{\"name\": \"echo\", \"permitted\": false, \"…\": 1}, "
              "{\"name\": \"other\", \"permitted\": false, \"…\": 1}, "
              "{\"name\": \"typed\", \"permitted\": false, \"…\": 1}]}"),
        GIVES(LIMITED, "POST", V1 "/command/task", ON_BOTH("echo"), 202, NULL),
        GIVES(VIEWER, "GET", V1 "/jobs/1/nodes", NULL, 200,
              "{\"next-events\": \"<object>\", \"items\": [{\"name\": \"" NODE_2 "\", \"…\": 1}]}"),
        FAILS(LIMITED, "POST", V1 "/command/task", ON_BOTH("other"), 403, "not-permitted", ""),
        FAILS(LIMITED, "POST", V1 "/command/task",
              "{\"task\": \"echo\", \"params\": {}, \"scope\": {\"nodes\": [\"" NODE_1 "\"]}}", 403, "not-permitted",
              ""),
        FAILS(LIMITED, "POST", V1 "/command/task",
              "{\"task\": \"echo\", \"params\": {}, \"scope\": {\"nodes\": [\"" NODE_2 "\"]}, \"targets\": ["
              "{\"hostnames\": [\"" NODE_2 "\"], \"user\": \"u\", \"transport\": \"ssh\", \"password\": \"p\"}]}",
              403, "not-permitted", ""),
        /* the second by group and by query */
        GIVES(GRANTED, "POST", V1 "/command/task", ON_BOTH("other"), 202, NULL),
        GIVES(VIEWER, "GET", V1 "/jobs/2/nodes", NULL, 200,
              "{\"next-events\": \"<object>\", \"items\": [{\"name\": \"" NODE_1 "\", \"…\": 1}, {\"name\": \"" NODE_2
              "\", \"…\": 1}]}"),
    };
    (void)ctx;
    RUN(story);
}

#define SCHEDULED(type, input, last)                                                                                   \
    "{\"id\": \"<url>/scheduled_jobs/environment_jobs/<id>\", \"name\": \"<id>\", \"enabled\": \"<bool>\", \"type\": " \
    "\"" type "\", \"environment\": \"<string>\", \"owner\": " OWNER ", \"description\": \"<string>\", \"input\": "    \
    "" input ", \"userdata\": \"<object>\", \"schedule\": {\"start_time\": \"<time>\", \"interval\": \"<any>\"}, "     \
    "\"next_run\": \"<any>\", \"last_run\": " last "}"

static void test_schedules(void **ctx) {
    static const struct exchange story[] = {
        {.who = OPERATOR,
         .method = "POST",
         .path = V1 "/scheduled_jobs/environment_jobs",
         .body = "{\"type\": \"task\", \"environment\": \"production\", \"description\": \"nightly\", \"userdata\": "
                 "{\"a\": 1}, \"schedule\": {\"start_time\": \"2030-01-02T04:00:00Z\", \"interval\": {\"units\": "
                 "\"seconds\", \"value\": 3600}}, \"input\": {\"name\": \"typed\", \"parameters\": {\"count\": "
                 "{\"value\": 2}, \"password\": {\"value\": \"sesame\"}}, " SCOPE "}}",
         .status = 200,
         .shape = "{\"scheduled_job\": {\"id\": \"<url>/scheduled_jobs/environment_jobs/1\", \"name\": \"1\"}}",
         .then_us = 0},
        GIVES(VIEWER, "GET", V1 "/scheduled_jobs/environment_jobs/1", NULL, 200,
              SCHEDULED("task",
                        "{\"name\": \"typed\", \"parameters\": {\"count\": {\"value\": 2}}, \"sensitive_parameters\": "
                        "[\"password\"], " SCOPE "}",
                        "null")),
        GIVES(OPERATOR, "POST", V1 "/command/schedule_deploy",
              "{\"environment\": \"production\", " SCOPE
              ", \"scheduled_time\": \"2030-01-02T05:30:00+01:00\", \"noop\": "
              "true}",
              202, "{\"scheduled_job\": {\"id\": \"<url>/scheduled_jobs/2\", \"name\": \"2\"}}"),
        GIVES(OPERATOR, "POST", V1 "/command/schedule_plan",
              "{\"plan_name\": \"demo\", \"params\": {\"word\": \"x\"}, \"scheduled_time\": \"2030-01-02T04:10:00Z\"}",
              202, "{\"scheduled_job\": {\"id\": \"<url>/scheduled_jobs/3\", \"name\": \"3\"}}"),
        GIVES(OPERATOR, "POST", V1 "/command/schedule_task",
              "{\"task\": \"echo\", \"params\": {\"a\": 1}, " SCOPE ", \"scheduled_time\": \"2031-01-01T00:00:00Z\"}",
              202, NULL),
        {.who = VIEWER,
         .method = "GET",
         .path = V1 "/scheduled_jobs/environment_jobs?order_by=name&limit=10",
         .status = 200,
         .shape = "{\"items\": [" SCHEDULED("task", "\"<object>\"", "null") ", " SCHEDULED(
             "deploy", "{\"scope\": \"<object>\", \"noop\": true}",
             "null") ", " SCHEDULED("plan",
                                    "{\"name\": \"demo\", \"parameters\": {\"word\": {\"value\": \"x\"}}, "
                                    "\"sensitive_parameters\": []}",
                                    "null") ", " SCHEDULED("task", "\"<object>\"",
                                                           "null") "], \"pagination\": {\"limit\": 10, \"offset\": 0, "
                                                                   "\"total\": 4, \"order_by\": \"name\", \"order\": "
                                                                   "\"asc\", \"type\": \"\"}}",
         .then_us = 2 * SIM_HOUR},
        /* The clock has passed: 4:00 and 5:00 ran, with the secret; 4:30 the deploy; the plan says why it did not. */
        GIVES(VIEWER, "GET", V1 "/jobs?order_by=name", NULL, 200,
              "{\"items\": [{\"name\": \"1\", \"state\": \"finished\", \"command\": \"task\", \"options\": "
              "{\"scheduled-job-id\": \"1\", \"params\": {\"count\": 2, \"mode\": \"fast\"}, \"…\": 1}, "
              "\"description\": \"nightly\", \"userdata\": {\"a\": 1}, \"…\": 1}, "
              "{\"name\": \"2\", \"command\": \"deploy\", \"options\": {\"scheduled-job-id\": \"2\", \"…\": 1}, \"…\": "
              "1}, "
              "{\"name\": \"3\", \"state\": \"finished\", \"command\": \"task\", \"…\": 1}], \"pagination\": "
              "\"<object>\"}"),
        GIVES(VIEWER, "GET", V1 "/scheduled_jobs/environment_jobs/1", NULL, 200,
              SCHEDULED("task", "\"<object>\"",
                        "{\"time\": \"2030-01-02T05:00:00Z\", \"job\": {\"id\": \"<url>/jobs/3\", \"name\": 3}}")),
        GIVES(VIEWER, "GET", V1 "/scheduled_jobs/environment_jobs/3", NULL, 200,
              SCHEDULED("plan", "\"<object>\"",
                        "{\"time\": \"<time>\", \"job\": {\"submission_error\": {\"kind\": "
                        "\"puppetlabs.orchestrator/unknown-error\", \"msg\": \"<text>\", \"details\": \"<object>\"}, "
                        "\"name\": null}}")),
        /* Changes: a new time keeps the secret, a new input brings its own. */
        GIVES(
            OPERATOR, "PUT", V1 "/scheduled_jobs/environment_jobs/1",
            "{\"schedule\": {\"start_time\": \"2030-01-02T06:00:00Z\", \"interval\": null}, \"description\": \"once\"}",
            200, "{\"scheduled_job\": {\"id\": \"<url>/scheduled_jobs/environment_jobs/1\", \"name\": \"1\"}}"),
        {.who = VIEWER,
         .method = "GET",
         .path = V1 "/scheduled_jobs/environment_jobs/1",
         .status = 200,
         .shape = "{\"description\": \"once\", \"userdata\": {\"a\": 1}, \"schedule\": {\"start_time\": "
                  "\"2030-01-02T06:00:00Z\", \"interval\": null}, \"next_run\": {\"time\": \"2030-01-02T06:00:00Z\"}, "
                  "\"…\": 1}",
         .then_us = SIM_HOUR},
        GIVES(VIEWER, "GET", V1 "/jobs/4/nodes", NULL, 200,
              "{\"next-events\": \"<object>\", \"items\": [{\"state\": \"finished\", \"result\": {\"password\": "
              "\"sesame\", \"…\": 1}, \"…\": 1}]}"),
        GIVES(OPERATOR, "PUT", V1 "/scheduled_jobs/environment_jobs/4", "{\"enabled\": false}", 200, NULL),
        GIVES(VIEWER, "GET", V1 "/scheduled_jobs/environment_jobs/4", NULL, 200,
              "{\"enabled\": false, \"next_run\": null, \"…\": 1}"),
    };
    (void)ctx;
    RUN(story);
}

static void allow_first_api(struct orchestrator_config *config) {
    config->scheduled_jobs_v1_api = true;
}

static void test_first_scheduling_api(void **ctx) {
    static const struct exchange story[] = {
        GIVES(OPERATOR, "POST", V1 "/command/schedule_task",
              "{\"task\": \"echo\", \"params\": {}, " SCOPE ", \"scheduled_time\": \"2031-01-01T00:00:00Z\", "
              "\"schedule_options\": {\"interval\": {\"units\": \"seconds\", \"value\": 60}}}",
              202, NULL),
        GIVES(
            VIEWER, "GET", V1 "/scheduled_jobs", NULL, 200,
            "{\"items\": [{\"id\": \"<url>/scheduled_jobs/1\", \"name\": \"1\", \"type\": \"task\", \"task\": "
            "\"echo\", "
            "" SCOPE ", \"environment\": \"production\", \"owner\": " OWNER ", \"description\": \"\", "
            "\"scheduled_time\": \"2031-01-01T00:00:00Z\", \"noop\": false, \"next_run\": \"2031-01-01T00:00:00Z\", "
            "\"schedule_options\": {\"interval\": {\"units\": \"seconds\", \"value\": 60}}, \"job_options\": "
            "\"<object>\"}], \"pagination\": {\"limit\": 50, \"offset\": 0, \"total\": 1, \"order_by\": \"next_run\", "
            "\"order\": \"asc\", \"type\": \"\"}}"),
        FAILS(VIEWER, "DELETE", V1 "/scheduled_jobs/1", NULL, 403, "not-permitted", ""),
        GIVES(OPERATOR, "DELETE", V1 "/scheduled_jobs/1", NULL, 204, NULL),
        GIVES(VIEWER, "GET", V1 "/scheduled_jobs", NULL, 200, "{\"items\": [], \"pagination\": " PAGE "}"),
        FAILS(ADMIN, "DELETE", V1 "/scheduled_jobs/9", NULL, 404, "unknown-job", "job"),
    };
    struct api_rig rig = {.configure = allow_first_api};
    (void)ctx;
    api_rig_start(&rig);
    api_exchanges(&rig, story, sizeof story / sizeof story[0]);
    api_rig_end(&rig);
}

static void test_connections(void **ctx) {
#define CONNECT(duplicates)                                                                                            \
    "{\"certnames\": [\"old\"], \"type\": \"winrm\", \"parameters\": {\"user\": \"u\"}, \"sensitive_parameters\": "    \
    "{\"password\": \"sesame\"}" duplicates "}"
    static const struct exchange story[] = {
        GIVES(ADMIN, "POST", "/inventory/v1/command/create-connection", CONNECT(""), 201,
              "{\"connection_id\": \"<uuid>\"}"),
        GIVES(ADMIN, "POST", "/inventory/v1/command/create-connection", CONNECT(", \"duplicates\": \"replace\""), 201,
              NULL),
        GIVES(VIEWER, "GET", "/inventory/v1/query/connections", NULL, 200,
              "{\"items\": [{\"connection_id\": \"<uuid>\", \"certnames\": [\"old\"], \"type\": \"winrm\", "
              "\"parameters\": {\"user\": \"u\"}}]}"),
        GIVES(ADMIN, "GET", "/inventory/v1/query/connections?certname=old&sensitive=true", NULL, 200,
              "{\"items\": [{\"sensitive_parameters\": {\"password\": \"sesame\"}, \"…\": 1}]}"),
        GIVES(VIEWER, "POST", "/inventory/v1/query/connections",
              "{\"certnames\": [\"old\", \"new\"], \"extract\": [\"type\"]}", 200,
              "{\"items\": [{\"type\": \"winrm\"}]}"),
        GIVES(VIEWER, "POST", "/inventory/v1/query/connections", "{\"certnames\": []}", 200, "{\"items\": []}"),
        {.who = ADMIN,
         .method = "POST",
         .path = V1 "/command/task",
         .body = "{\"task\": \"echo\", \"params\": {}, \"scope\": {\"nodes\": [\"old\"]}}",
         .status = 202,
         .then_us = SIM_MINUTE},
        GIVES(VIEWER, "GET", V1 "/jobs/1/nodes", NULL, 200,
              "{\"next-events\": \"<object>\", \"items\": [{\"state\": \"errored\", \"transport\": \"winrm\", \"…\": "
              "1}]}"),
        GIVES(ADMIN, "POST", "/inventory/v1/command/delete-connection", "{\"certnames\": [\"old\"]}", 204, NULL),
        GIVES(VIEWER, "GET", "/inventory/v1/query/connections", NULL, 200, "{\"items\": []}"),
    };
    (void)ctx;
    RUN(story);
}

static void test_usage(void **ctx) {
#define OVER_SSH                                                                                                       \
    "{\"task\": \"echo\", \"params\": {}, \"scope\": {\"nodes\": [\"" NODE_1                                           \
    "\"]}, \"targets\": [{\"hostnames\": [\"" NODE_1                                                                   \
    "\"], \"user\": \"u\", \"transport\": \"ssh\", \"password\": \"p\"}]}"
    static const struct exchange story[] = {
        {.who = OPERATOR,
         .method = "POST",
         .path = V1 "/command/task",
         .body = "{\"task\": \"echo\", \"params\": {}, " SCOPE "}",
         .status = 202},
        /* the same node over SSH, twice: it counts once, and did not run as there is nobody here for SSH */
        GIVES(ADMIN, "POST", V1 "/command/task", OVER_SSH, 202, NULL),
        {.who = ADMIN,
         .method = "POST",
         .path = V1 "/command/task",
         .body = OVER_SSH,
         .status = 202,
         .then_us = SIM_HOUR},
        GIVES(VIEWER, "GET", V1 "/usage?start_date=2030-01-02&end_date=2030-01-02", NULL, 200,
              "{\"items\": [{\"nodes_without_agent\": 1, \"…\": 1}], \"pagination\": \"<object>\"}"),
        {.who = VIEWER, .method = "GET", .path = V1 "/usage", .status = 200, .then_us = 24 * SIM_HOUR},
        GIVES(VIEWER, "GET", V1 "/usage?start_date=2030-01-02&end_date=2030-01-02", NULL, 200,
              "{\"items\": [{\"date\": \"2030-01-02\", \"total_nodes\": 3, \"nodes_with_agent\": 2, "
              "\"nodes_without_agent\": 1, \"corrective_agent_changes\": 0, \"intentional_agent_changes\": 0, "
              "\"nodes_affected_by_task_runs\": 1, \"nodes_affected_by_plan_runs\": 0}], \"pagination\": "
              "{\"start_date\": \"2030-01-02\", \"end_date\": \"2030-01-02\"}}"),
        GIVES(VIEWER, "GET", V1 "/usage?events=exclude", NULL, 200,
              "{\"items\": [{\"date\": \"<text>\", \"total_nodes\": \"<int>\", \"nodes_with_agent\": 2, "
              "\"nodes_without_agent\": \"<int>\"}], \"pagination\": {}}"),
    };
    (void)ctx;
    RUN(story);
}

/* The streaming form: what has happened, what happens while it is open, and its end with the job's. */
static void test_event_stream(void **ctx) {
    struct api_rig rig = {0};
    (void)ctx;
    api_rig_start(&rig);
    struct reply job =
        api_ask(&rig, ADMIN, "POST", V1 "/command/task", "{\"task\": \"echo\", \"params\": {}, " SCOPE "}");
    assert_int_equal(job.status, 202);
    reply_free(&job);
    rig.accept = "text/event-stream";
    for (int i = 0; i < 2; i++) { /* while it runs, and when it is over */
        struct reply r = api_ask(&rig, VIEWER, "GET", V1 "/jobs/1/events", NULL);
        assert_int_equal(r.status, 200);
        const char *running = strstr(r.text, "id: 1\nevent: node_running\ndata: {\"id\":\"1\",");
        const char *finished = strstr(r.text, "\n\nid: 2\nevent: node_finished\ndata: {");
        const char *last = strstr(r.text, "\n\nid: 3\nevent: job_finished\ndata: {");
        assert_ptr_equal(running, r.text);
        assert_true(finished > running && last > finished);
        assert_null(strstr(last, "\nid: 4"));
        reply_free(&r);
    }
    struct reply late = api_ask(&rig, VIEWER, "GET", V1 "/jobs/1/events?start=3", NULL);
    assert_int_equal(strncmp(late.text, "id: 3\nevent: job_finished\n", 26), 0);
    reply_free(&late);
    api_rig_end(&rig);
}

/* Every route asks who calls, but the open ones. */
static void test_every_route_asks(void **ctx) {
    struct api_rig rig = {0};
    size_t asked = 0;
    (void)ctx;
    api_rig_start(&rig);
    for (const struct http_route *route = api_routes; route->pattern != NULL; route++) {
        const struct api_route *r = route->data;
        struct reply reply = api_ask(&rig, STRANGER, route->method, route->pattern, NULL);
        if ((reply.status == 401) == r->open) {
            fail_msg("%s %s: %d for a stranger", route->method, route->pattern, reply.status);
        }
        asked += r->open ? 0 : 1;
        reply_free(&reply);
    }
    assert_true(asked > 40);
    api_rig_end(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_task_job),
        cmocka_unit_test(test_deploy_job),
        cmocka_unit_test(test_root_and_lists),
        cmocka_unit_test(test_outside_plan),
        cmocka_unit_test(test_task_targets),
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_first_scheduling_api),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_event_stream),
        cmocka_unit_test(test_every_route_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
