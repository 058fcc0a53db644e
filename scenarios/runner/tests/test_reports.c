/* What a step that fails says: where, what was expected, what was last seen. */
#include "base/mem.h"
#include "scenarios/runner/tests/play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ONE "name: x\nfleet: {count: 1, tasks: {echo: {takes: 100ms}}}\nsteps:\n"
#define JOB ONE "- run_task: {task: echo, params: {message: x}, nodes: node-0001.example.com}\n  as: job\n"

static const struct {
    const char *text, *where, *what, *expected, *seen;
} failures[] = {
    /* commands */
    {ONE "- run_task: {task: \"no::such\", nodes: node-0001.example.com}\n", "test.yaml:4",
     "run_task: {\"task\":\"no::such\"", "it is accepted", "404 {\"kind\":\"puppetlabs.orchestrator/unknown-task\""},
    {ONE "- deploy: {nodes: node-0001.example.com, expect_error: {status: 403}}\n", "test.yaml:4", "deploy",
     "it is refused with {\"status\":403}", "202"},
    {ONE "- stop_job: {job: \"9\", expect_error: {status: 404, kind: other}}\n", "test.yaml:4", "stop_job",
     "it is refused with", "kind: \"puppetlabs.orchestrator/unknown-job\", expected \"other\""},
    {ONE "- run_plan: {plan: demo}\n", "test.yaml:4", "run_plan", "it is accepted", "kind"},
    {ONE "- run_task: {task: echo, as_user: nobody}\n", "test.yaml:4", "run_task", "a known user",
     "the scenario's stack has no user \"nobody\""},
    {ONE "- {fault: {kill: orchestrator}}\n- {stop_job: {job: \"1\"}, within: 2s}\n", "test.yaml:5", "stop_job",
     "it is accepted", "no answer: "},
    /* expectations */
    {JOB "- expect_job: {job: \"${job.name}\", state: stopped}\n", "test.yaml:6", "expect_job",
     "the job: state \"stopped\"", "state finished; nodes: finished 1"},
    {JOB "- expect_job: {job: \"${job.name}\", nodes: {failed: 1}, within: 1s}\n", "test.yaml:6", "expect_job",
     "the job: nodes {\"failed\":1}", "nodes: finished 1"},
    {ONE "- expect_job: {job: 7, within: 1s}\n", "test.yaml:4", "expect_job", "the job", "404"},
    {ONE "- expect_job: {job: {}, within: 1s}\n", "test.yaml:4", "expect_job", "the name of a job", ""},
    {JOB "- expect_node: {job: \"${job.name}\", node: a, within: 1s}\n", "test.yaml:6", "expect_node",
     "the node: node \"a\"", "the job has no such node"},
    {JOB "- expect_node: {job: \"${job.name}\", node: node-0001.example.com, result: {message: y}, within: 1s}\n",
     "test.yaml:6", "expect_node", "result {\"message\":\"y\"}",
     "result.message: nothing, expected \"y\"; the node: {"},
    {JOB "- expect_events: {job: \"${job.name}\", contains: {type: node_failed}, within: 1s}\n", "test.yaml:6",
     "expect_events", "the events", "0 events like {\"type\":\"node_failed\"}; the events: node_running(node-0001"},
    {JOB "- expect_events: {job: \"${job.name}\", order: [job_finished, node_running], within: 1s}\n", "test.yaml:6",
     "expect_events", "the events", "no node_running in its place"},
    {ONE "- expect_inventory: {count: 2, within: 1s}\n", "test.yaml:4", "expect_inventory", "the inventory: count 2",
     "1 connected in all"},
    {ONE "- expect_inventory: {nodes: [a], within: 1s}\n", "test.yaml:4", "expect_inventory", "the inventory",
     "1 connected in all"},
    {ONE "- expect_plan: {plan: \"1\", within: 1s}\n", "test.yaml:4", "expect_plan", "the plan", "404"},
    {ONE "- fault: {kill: orchestrator}\n- expect_inventory: {count: 1, within: 1s}\n", "test.yaml:5",
     "expect_inventory", "count 1", "no answer: "},
    /* requests */
    {ONE "- api: {path: /orchestrator/v1/jobs, expect: {status: 404}}\n", "test.yaml:4", "api", "{\"status\":404}",
     "status: 200, expected 404; the answer: 200 {"},
    {ONE "- api: {path: /orchestrator/v1/jobs, expect: {headers: {X-Odd: \"1\"}}}\n", "test.yaml:4", "api",
     "{\"headers\":", "nothing, expected \"1\""},
    {ONE "- api: {path: /orchestrator/v1/jobs, expect: {json: {items.#: 1}}, within: 1s}\n", "test.yaml:4", "api",
     "{\"json\":", "items.#: 0, expected 1"},
    {ONE "- api: {path: /orchestrator/v1/jobs, save: {a: nothing}}\n", "test.yaml:4", "api", "an answer",
     "the body has no nothing"},
    {ONE "- api: {service: broker-2, path: /}\n", "test.yaml:4", "api", "a service of this stack", "broker-2"},
    {ONE "- fault: {kill: orchestrator}\n- api: {path: /x, timeout: 1s}\n", "test.yaml:5", "api", "an answer",
     "no answer: "},
    /* programs */
    {ONE "- cli: {run: puppet-task run no::such --nodes a}\n", "test.yaml:4", "cli", "it ends with status 0",
     "exit: 1, expected 0"},
    {ONE "- cli: {run: puppet-job list, expect: {stdout: {contains: odd}}}\n", "test.yaml:4", "cli",
     "{\"stdout\":", "something that contains \"odd\""},
    {ONE "- cli: {run: puppet-job list, as_user: nobody}\n", "test.yaml:4", "cli", "a known user", "nobody"},
    {ONE "- set: {program: ls}\n- cli: {run: \"${program}\"}\n", "test.yaml:5", "cli", "one of our programs", ""},
    /* raw clients */
    {ONE "- pcp: {client: a, send: {text: x}}\n", "test.yaml:4", "pcp", "a client that was connected before", "a"},
    {ONE "- pcp: {client: a, connect: {type: t, broker: broker-2}}\n", "test.yaml:4", "pcp", "a broker of this stack",
     "broker-2"},
    {ONE "- pcp: {client: a, connect: {type: server}}\n", "test.yaml:4", "pcp", "the connection opens",
     "the connection was closed: "},
    {ONE "- pcp: {client: a, connect: {type: t, refused: true}}\n", "test.yaml:4", "pcp", "the client is refused",
     "the connection opened"},
    {ONE
     "- pcp: {client: a, connect: {type: t}}\n- pcp: {client: a, expect: {message: {message_type: x}}, within: 1s}\n",
     "test.yaml:5", "pcp", "{\"message\":", "open; 0 messages came"},
    {ONE "- pcp: {client: a, connect: {type: t}}\n- pcp: {client: a, expect: {close: 1000}, within: 1s}\n",
     "test.yaml:5", "pcp", "{\"close\":1000}", "open"},
    {ONE "- pcp: {client: a, connect: {type: t}}\n- pcp: {client: a, send: {hex: zz}}\n", "test.yaml:5", "pcp",
     "hexadecimal digits, two a byte", "zz"},
    {ONE "- pcp: {client: a, connect: {type: t}}\n- pcp: {client: a, disconnect: true}\n"
         "- pcp: {client: a, expect: {close: 1000}, within: 1s}\n- pcp: {client: a, send: {text: x}}\n",
     "test.yaml:7", "pcp", "an open connection", "the connection was closed: 1000"},
    {ONE "- pcp: {client: a, connect: {type: t}}\n- pcp: {client: a, send: {text: x}}\n"
         "- pcp: {client: a, expect: {nothing_for: 1s}}\n",
     "test.yaml:6", "pcp", "nothing_for", "1 messages came"},
    /* faults and files */
    {ONE "- fault: {restart: broker-9}\n", "test.yaml:4", "fault", "the fault begins", "there is no host broker-9"},
    {ONE "- fault: {partition: {a: \"${who}\"}}\n  when: \"a == a\"\n", "test.yaml:4", "fault",
     "every variable is known", "there is no ${who}"},
    {ONE "- file: {path: echo/tasks, remove: true}\n", "test.yaml:4", "file", "the file is changed", "echo/tasks"},
    {ONE "- fault: {kill: orchestrator}\n- checkpoint: true\n", "test.yaml:5", "checkpoint", "the list of jobs",
     "no answer: "},
    {ONE "- fault: {kill: \"*\"}\n", "test.yaml:4", "fault", "the fault begins",
     "not everything can be killed at once"},
    {ONE "- fault: {half_close: {gone: \"*\"}}\n", "test.yaml:4", "fault", "the fault begins", "half_close.gone: name"},
    {ONE "- fault: {service: {name: rbac, route: nowhere, status: 500, times: 0}}\n- fault: {certificate: {revoke: "
         "nobody}}\n",
     "test.yaml:5", "fault", "the fault begins", "nobody"},
    /* variables, time, blocks */
    {ONE "- log: \"${nothing.at.all}\"\n", "test.yaml:4", "log", "every variable is known",
     "there is no ${nothing.at.all}"},
    {ONE "- {log: a, when: \"${nothing}\"}\n", "test.yaml:4", "log", "every variable of when: is known",
     "there is no ${nothing}"},
    {ONE "- set: {a: {b: c}}\n- pcp: {client: \"${a}\", disconnect: true}\n", "test.yaml:5", "pcp", "client: a text",
     "{\"b\":\"c\"}"},
    {ONE "- set: {a: b}\n- file: \"${a}\"\n", "test.yaml:5", "file", "a map", ""},
    {"name: x\nvars: {a: \"${b}\"}\nsteps: []\n", NULL, "the variable a", "every variable in it is known",
     "there is no ${b}"},
    {ONE "- set: {often: many}\n- {log: a, repeat: {times: \"${often}\"}}\n", "test.yaml:5", "log",
     "repeat: a number of times", "many"},
    {ONE "- set: {long: ever}\n- {log: a, after: \"${long}\"}\n", "test.yaml:5", "log", "a duration", "ever"},
    {ONE "- set: {long: ever}\n- {log: a, within: \"${long}\"}\n", "test.yaml:5", "log", "within: a duration", "ever"},
    {ONE "- set: {long: ever}\n- sleep: \"${long}\"\n", "test.yaml:5", "sleep", "a duration", ""},
    {ONE "- steps:\n  - log: a\n  - steps:\n    - log: \"${n}${m}\"\n    repeat: 2\n", "test.yaml:7", "log",
     "every variable is known", "there is no ${m}"},
    {"name: x\ntimeout: 3s\nsteps: [{sleep: 10s}]\n", "test.yaml:3", "sleep did not end within the scenario's time", "",
     ""},
    {"name: x\nstack: {orchestrator: {request_body_max: 1}}\nsteps: []\n", NULL, "the stack could not be started", "",
     "request-body-max must be between"},
    {"name: x\nstack: {services: {rbac: {users: [{login: a, roles: [None]}]}}}\nsteps: []\n", NULL,
     "the stack could not be started", "", "None"},
};

static bool holds(const char *text, const char *part) {
    return part[0] == '\0' || (text != NULL && strstr(text, part) != NULL);
}

static void test_failures(void **state) {
    size_t bad = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        struct run_result r = play_text(failures[i].text, SCENARIO_SIM, 1);
        bool ok = !r.passed && str_eq(r.where, failures[i].where) && holds(r.what, failures[i].what) &&
                  holds(r.expected, failures[i].expected) && holds(r.seen, failures[i].seen);
        if (!ok) {
            print_error("%s--- where: %s\nwhat: %s\nexpected: %s\nseen: %s\n", failures[i].text,
                        r.where != NULL ? r.where : "-", r.what != NULL ? r.what : "-",
                        r.expected != NULL ? r.expected : "-", r.seen != NULL ? r.seen : "-");
            bad++;
        }
        run_result_free(&r);
    }
    assert_int_equal(bad, 0);
}

/* The report holds the last lines of every actor, the scenario's own first, with the world's time. */
static void test_logs(void **state) {
    (void)state;
    struct run_result r =
        play_text(JOB "- log: here we are\n- expect_job: {job: \"${job.name}\", state: stopped}\n", SCENARIO_SIM, 1);
    assert_false(r.passed);
    assert_int_equal(strncmp(r.logs, "scenario ", 9), 0);
    assert_non_null(strstr(r.logs, "s  log: here we are\n"));
    assert_non_null(strstr(r.logs, "\nbroker "));
    assert_non_null(strstr(r.logs, "\norchestrator "));
    assert_non_null(strstr(r.logs, "\nnode-0001.example.com "));
    run_result_free(&r);
}

/* Agents that never come: said so, with how many there are. */
static void test_not_ready(void **state) {
    (void)state;
    struct run_result r = play_text("name: x\nfleet: {count: 2, connect: {after: 1h}}\nsteps: []\n", SCENARIO_SIM, 1);
    assert_false(r.passed);
    assert_string_equal(r.what, "the stack came up");
    assert_string_equal(r.seen, "the stack is ready; 0 of 2 agents are connected");
    run_result_free(&r);
    play_passes("name: x\nwait_for_agents: false\nfleet: {count: 2, connect: {after: 1h}}\nsteps: [{log: a}]\n",
                SCENARIO_SIM);
}

/* The same seed: the same run to the byte; another seed: another one. */
static void test_repeatable(void **state) {
    static const char text[] =
        JOB "- {fault: {restart: broker-1}}\n- expect_job: {job: \"1\", nodes: {running: 0}, within: 60m}\n";
    uint64_t hashes[3];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct run_result r = play_text(text, SCENARIO_SIM, i == 2 ? 8 : 7);
        assert_true(r.passed);
        hashes[i] = r.hash;
        run_result_free(&r);
    }
    assert_true(hashes[0] == hashes[1] && hashes[0] != hashes[2]);
}

int main(void) {
    mem_init_libraries();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_logs),
        cmocka_unit_test(test_not_ready),
        cmocka_unit_test(test_repeatable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
