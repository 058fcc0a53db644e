/* What a scenario file may say, and what every mistake in it is told with: file:line:column and a word of help. */
#include "base/mem.h"
#include "scenarios/runner/scenario.h"
#include "scenarios/runner/steps/steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD "name: x\nsteps:\n"

static const struct {
    const char *text, *problem; /* the first one, without "t.yaml:" */
} mistakes[] = {
    /* YAML itself */
    {"", "1:1: there is no scenario in this file"},
    {"name: x\n\tsteps: []\n", "2:1: found a tab character that violates indentation"},
    {"name: [x\n", "2:1: did not find expected ',' or ']'"},
    {"name: x\nname: y\nsteps: []\n", "2:1: the key \"name\" stands here twice"},
    {"? [a]\n: b\n", "1:3: a key must be a word"},
    {"name: *nothing\nsteps: []\n", "1:7: this alias has no anchor before it"},
    {"name: \"a\\0b\"\nsteps: []\n", "1:7: a text must not hold a NUL character"},
    {"- a\n- b\n", "1:1: a map is wanted here, not a list"},
    {"hello\n", "1:1: a map is wanted here, not \"hello\""},
    /* the scenario's own keys */
    {"steps: []\n", "1:1: the key \"name\" is missing here"},
    {"name: x\n", "1:1: the key \"steps\" is missing here"},
    {"name: ''\nsteps: []\n", "1:7: the name is empty"},
    {"name: x\nstpes: []\nsteps: []\n", "2:1: unknown key \"stpes\"; did you mean \"steps\"?"},
    {"name: x\nzzzzzzzz: 1\nsteps: []\n", "2:1: unknown key \"zzzzzzzz\"; known here: name, about, tags, worlds, "
                                          "because, timeout, vars, stack, fleet, steps, "
                                          "wait_for_agents"},
    {"name: {a: b}\nsteps: []\n", "1:7: a text is wanted here, not a map"},
    {"name: x\ntags: {a: b}\nsteps: []\n", "2:7: a text is wanted here, not a map"},
    {"name: x\nworlds: [sin]\nsteps: []\n", "2:10: \"sin\" is not sim or real; did you mean \"sim\"?"},
    {"name: x\nworlds: [sim]\nsteps: []\n", "2:9: say why it runs in one world only: because: …"},
    {"name: x\ntimeout: soon\nsteps: []\n", "2:10: a duration such as 10ms, 2s, 5m or 1h is wanted here, not \"soon\""},
    {"name: x\nwait_for_agents: perhaps\nsteps: []\n", "2:18: true or false is wanted here, not \"perhaps\""},
    {"name: x\nvars: 3\nsteps: []\n", "2:7: a map is wanted here, not \"3\""},
    {"name: x\nsteps: 3\n", "2:8: a list of steps is wanted here"},
    {"name: x\nsteps: []\n---\nname: x\nsteps: []\n", "4:1: another scenario of this file is called \"x\", too"},
    /* stack */
    {"name: x\nstack: {brokers: 9}\nsteps: []\n", "2:18: a stack has 1 to 8 brokers"},
    {"name: x\nstack: {brokers: two}\nsteps: []\n", "2:18: a number is wanted here, not \"two\""},
    {"name: x\nstack: {orchestrator: {task_concurency: 5}}\nsteps: []\n",
     "2:24: unknown key \"task_concurency\"; did you mean \"task_concurrency\"?"},
    {"name: x\nstack: {orchestrator: {pcp_timeout: 5}}\nsteps: []\n",
     "2:37: a duration such as 10ms, 2s, 5m or 1h is wanted here, not \"5\""},
    {"name: x\nstack: {orchestrator: {restart_policy: retry}}\nsteps: []\n", "2:40: \"retry\" is not resume or fail"},
    {"name: x\nstack: {broker: {idle: 5s}}\nsteps: []\n", "2:18: unknown key \"idle\"; did you mean \"idle_timeout\"?"},
    {"name: x\nstack: {services: {rback: {}}}\nsteps: []\n", "2:20: unknown key \"rback\"; did you mean \"rbac\"?"},
    {"name: x\nstack: {services: {rbac: {users: [{password: p}]}}}\nsteps: []\n",
     "2:35: the key \"login\" is missing here"},
    {"name: x\nstack: {services: {rbac: {users: [{login: a, permissions: [tasks]}]}}}\nsteps: []\n",
     "2:60: a permission is type:action:instance, such as tasks:run:echo, not \"tasks\""},
    {"name: x\nstack: {tasks: {\"Demo Greet\": {}}}\nsteps: []\n",
     "2:17: \"Demo Greet\" is no name such as demo or demo::greet"},
    {"name: x\nstack: {files: {\"../a\": b}}\nsteps: []\n", "2:17: \"../a\" is no path below the modules directory"},
    {"name: x\nstack: {modules: here}\nsteps: []\n", "2:18: no directory can be read here"},
    {"name: x\nstack: {services: {rbac: \"${a}\"}}\nsteps: []\n", "2:26: variables are put in only within steps"},
    /* fleet */
    {"name: x\nfleet: {connect: \"${a}\"}\nsteps: []\n", "2:18: variables are put in only within steps"},
    {"name: x\ntimeout: ${a}\nsteps: []\n", "2:10: variables are put in only within steps"},
    {"name: x\nworlds: [sim, \"${a}\"]\nsteps: []\n", "2:15: variables are put in only within steps"},
    {"name: x\nvars: ${a}\nsteps: []\n", "2:7: variables are put in only within steps"},
    {"${a}\n", "1:1: variables are put in only within steps"},
    {"name: x\nfleet: {count: 0}\nsteps: []\n", "2:16: a group has 1 to 100000 agents"},
    {"name: x\nfleet: {count: 5000}\nsteps: []\n", "2:8: at most 1000 agents can be real; more: worlds: [sim]"},
    {"name: x\nfleet: {count: 2, name: same.example.com}\nsteps: []\n",
     "2:25: 2 agents cannot all be called \"same.example.com\"; use {n} or {n:04}"},
    {"name: x\nfleet: {name: \"a-{m}\"}\nsteps: []\n", "2:15: the name \"a-{m}\" needs exactly one {n} or {n:WIDTH}"},
    {"name: x\nfleet: [{name: a}, {name: a}]\nsteps: []\n", "2:20: another group has the name \"a\", too"},
    {"name: x\nfleet: {pcp: 3}\nsteps: []\n", "2:14: agents speak PCP 1 or 2, not \"3\""},
    {"name: x\nfleet: {brokers: [broker-2]}\nsteps: []\n",
     "2:19: there is no broker-2; the stack has broker-1 to broker-1"},
    {"name: x\nfleet: {conect: {after: 1s}}\nsteps: []\n", "2:9: unknown key \"conect\"; did you mean \"connect\"?"},
    {"name: x\nfleet: {connect: {after: 1}}\nsteps: []\n",
     "2:26: a duration is a text, {uniform: [from, to]}, {lognormal: {p50, p99}} or {exponential: mean}"},
    {"name: x\nfleet: {tasks: {echo: {take: 1s}}}\nsteps: []\n",
     "2:24: echo: unknown key \"take\"; did you mean \"takes\"?"},
    {"name: x\nfleet: {puppet_run: {status: odd}}\nsteps: []\n",
     "2:8: puppet_run.status must be unchanged, changed or failed, or an object with their ratios"},
    {"name: x\nfleet: {trusted: {extension: {}}}\nsteps: []\n",
     "2:19: unknown key \"extension\"; did you mean \"extensions\"?"},
    /* steps */
    {HEAD "- 3\n", "3:3: a step is a map, such as \"- run_task: {task: echo, nodes: …}\""},
    {HEAD "- as: x\n", "3:3: this step does nothing; add run_task, expect_job, fault, …"},
    {HEAD "- run_tsk: {task: echo}\n", "3:3: there is no step \"run_tsk\"; did you mean \"run_task\"?"},
    {HEAD "- {sleep: 1s, log: x}\n", "3:15: a step does one thing: sleep or log"},
    {HEAD "- run_task: {nodes: a}\n", "3:13: the key \"task\" is missing here"},
    {HEAD "- run_task: {task: echo, node: a}\n", "3:26: unknown key \"node\"; did you mean \"nodes\"?"},
    {HEAD "- run_task: {task: echo}\n  whithin: 3s\n", "4:3: unknown key \"whithin\"; did you mean \"within\"?"},
    {HEAD "- run_task: {task: echo}\n  within: 3\n",
     "4:11: a duration such as 10ms, 2s, 5m or 1h is wanted here, not \"3\""},
    {HEAD "- sleep: 1s\n  as_user: a\n", "4:3: sleep has no as_user"},
    {HEAD "- run_task: {task: echo}\n  expect_error: {kin: x}\n", "4:18: unknown key \"kin\"; did you mean \"kind\"?"},
    {HEAD "- {sleep: 1s, repeat: -1}\n", "3:23: a number is wanted here, not \"-1\""},
    {HEAD "- {sleep: 1s, repeat: 1000000}\n", "3:23: a step is repeated at most 100000 times"},
    {HEAD "- {sleep: 1s, repeat: {time: 1}}\n", "3:24: unknown key \"time\"; did you mean \"times\"?"},
    {HEAD "- expect_job: {job: 1, state: done}\n",
     "3:31: \"done\" is not new, ready, running, stopping, stopped, finished or failed"},
    {HEAD "- expect_job: {job: 1, nodes: {finish: 1}}\n", "3:32: \"finish\" is not new, ready, running, responding, "
                                                          "finished, failed, skipped, errored, stopping or stopped; "
                                                          "did you mean \"finished\"?"},
    {HEAD "- expect_events: {job: 1, contains: [{count: 1}]}\n", "3:38: the key \"type\" is missing here"},
    {HEAD "- expect_node: {job: 1, node: a, message: {matches: \"(\"}}\n",
     "3:53: not a regular expression: missing closing parenthesis"},
    {HEAD "- expect_node: {job: 1, node: a, result: {is: text}}\n",
     "3:47: \"text\" is not string, number, boolean, null, list or map"},
    {HEAD "- expect_job: {job: 1, json: {\"a[x]\": 1}}\n", "3:31: \"a[x]\" is no path such as items[0].name"},
    {HEAD "- api: {path: jobs}\n", "3:15: a path begins with a slash"},
    {HEAD "- api: {path: /jobs, service: broker}\n",
     "3:31: \"broker\" is not orchestrator, rbac, classifier, activity, console, puppetdb, puppetserver, broker-1, "
     "broker-2, broker-3, broker-4, broker-5, broker-6, broker-7 or broker-8; did you mean \"broker-1\"?"},
    {HEAD "- cli: {run: ls}\n", "3:14: \"ls\" is not one of our programs: puppet-task, puppet-job, puppet-plan, "
                                "puppet-app, puppet-access, puppet-query"},
    {HEAD "- pcp: {client: a}\n", "3:8: one of connect, send, expect, disconnect is wanted here"},
    {HEAD "- pcp: {client: a, connect: {certficate: b}}\n",
     "3:30: unknown key \"certficate\"; did you mean \"certificate\"?"},
    {HEAD "- file: {path: /etc/passwd, content: x}\n", "3:16: \"/etc/passwd\" is no path below the modules directory"},
    {HEAD "- file: {path: a}\n", "3:9: either content or remove is wanted here"},
    {HEAD "- fault: restart\n", "3:10: a map with a kind of fault is wanted here"},
    {HEAD "- fault: {restrat: broker-1}\n", "3:11: restrat: unknown kind of fault; did you mean restart?"},
    {HEAD "- fault: {partition: {a: x, c: y}}\n", "3:29: partition.c: unknown key"},
    {HEAD "- fault: {drop: {a: x, b: y, ratio: 2}}\n", "3:30: drop.ratio: a ratio between 0 and 1 is wanted"},
    {HEAD "- fault: {service: {name: ldap, status: 500}}\n",
     "3:27: \"ldap\" is not rbac, classifier, activity, console, puppetdb or puppetserver"},
    {HEAD "- fault: {service: {name: rbac}}\n", "3:20: one of status, delay, hang, reset is wanted here"},
    {HEAD "- heal: some\n", "3:9: \"some\" is not all"},
    {HEAD "- include: other.yaml\n", "3:12: other.yaml cannot be read here"},
    {HEAD "- include: [a.yaml]\n", "3:12: the name of a file is wanted here"},
    {HEAD "- include: {with: {a: b}}\n", "3:12: the key \"file\" is missing here"},
    {HEAD "- steps: {a: b}\n", "3:10: a list of steps is wanted here"},
    {HEAD "- steps:\n  - slep: 1s\n", "4:5: there is no step \"slep\"; did you mean \"sleep\"?"},
};

static void test_mistakes(void **state) {
    size_t bad = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct problems p = {.file = "t.yaml"};
        struct scenario_file *f = scenario_parse("t.yaml", span_of(mistakes[i].text), &p);
        char *wanted = str_printf("t.yaml:%s", mistakes[i].problem);
        if (f != NULL || p.count == 0 || strcmp(p.lines[0], wanted) != 0) {
            print_error("got    %s\nwanted %s\n", p.count != 0 ? p.lines[0] : "nothing", wanted);
            bad++;
        }
        mem_free(wanted);
        problems_free(&p);
        scenario_file_free(f);
    }
    assert_int_equal(bad, 0);
}

/* All mistakes of a file are told at once, as many as fit. */
static void test_many_mistakes(void **state) {
    (void)state;
    struct problems p = {.file = "t.yaml"};
    struct buf text = BUF_INIT;
    buf_append_cstr(&text, HEAD);
    for (int i = 0; i < PROBLEMS_MAX + 7; i++) {
        buf_append_cstr(&text, "- nothing: 1\n");
    }
    assert_null(scenario_parse("t.yaml", buf_span(&text), &p));
    assert_int_equal(p.count, PROBLEMS_MAX + 7);
    assert_string_equal(p.lines[PROBLEMS_MAX - 1], "t.yaml:52:3: there is no step \"nothing\"");
    problems_free(&p);
    buf_free(&text);
}

static void test_limits(void **state) {
    (void)state;
    struct problems p = {.file = "t.yaml"};
    struct buf text = BUF_INIT;
    buf_append_cstr(&text, "name: x\nvars: ");
    for (int i = 0; i < DOC_DEPTH_MAX + 1; i++) {
        buf_append_cstr(&text, "{a: ");
    }
    assert_null(scenario_parse("t.yaml", buf_span(&text), &p));
    assert_non_null(strstr(p.lines[0], "this is nested too deeply"));
    problems_free(&p);
    buf_clear(&text);
    /* aliases of aliases: each is a copy, and copies are counted */
    buf_append_cstr(&text, "name: x\nvars:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 9; i++) {
        buf_printf(&text, "  a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1,
                   i - 1, i - 1, i - 1, i - 1, i - 1);
    }
    p = (struct problems){.file = "t.yaml"};
    assert_null(scenario_parse("t.yaml", buf_span(&text), &p));
    assert_non_null(strstr(p.lines[0], "the file is too large: more than 200000 values"));
    problems_free(&p);
    buf_free(&text);
}

/* ---- what is right */

static void test_whole(void **state) {
    static const char text[] =
        "name: &n whole\n"
        "about: why\n"
        "tags: [a, b]\n"
        "worlds: sim\n"
        "because: reasons\n"
        "timeout: 5m\n"
        "vars: {n: *n, list: [1, 2.5, true, null, \"7\"]}\n"
        "stack:\n"
        "  brokers: 2\n"
        "  services: {rbac: {users: [{login: alice, permissions: [\"tasks:run:a::b\"]}]}}\n"
        "  tasks: {demo::greet: {input_method: stdin, script: \"#!/bin/sh\\n\"}}\n"
        "  plans: {demo: \"plan demo() { }\"}\n"
        "  files: {demo/data/a.txt: text}\n"
        "fleet: [{count: 3, brokers: [broker-2, broker-1], pcp: 1, trusted: {extensions: {a: b}}}]\n"
        "steps:\n"
        "- sleep: 1s\n"
        "  after: 2s\n"
        "  repeat: {times: 2, every: 1s, as: i}\n"
        "- expect_job: {job: \"${job.name}\", within: 3s, state: finished}\n"
        "- steps: [{log: a}, {log: b}]\n"
        "  when: \"1 == 1\"\n"
        "---\n"
        "name: second\n"
        "steps: []\n";
    (void)state;
    struct problems p = {.file = "t.yaml"};
    struct scenario_file *f = scenario_parse("t.yaml", span_of(text), &p);
    if (f == NULL) {
        fail_msg("%s", p.lines[0]);
    }
    assert_int_equal(f->count, 2);
    const struct scenario *s = &f->items[0];
    assert_string_equal(s->name, "whole");
    assert_int_equal(s->worlds, SCENARIO_SIM);
    assert_int_equal(s->timeout_us, 300 * 1000000u);
    assert_true(scenario_has_tag(s, "b") && !scenario_has_tag(s, "c"));
    json_t *list = json_pack("[i, f, b, n, s]", 1, 2.5, 1, "7");
    assert_true(json_equal(json_object_get(s->vars, "list"), list));
    assert_string_equal(json_string_value(json_object_get(s->vars, "n")), "whole");
    json_decref(list);
    assert_int_equal(s->stack.brokers, 2);
    assert_int_equal(s->stack.file_count, 4);
    assert_string_equal(s->stack.files[0].path, "demo/tasks/greet.sh");
    assert_string_equal(s->stack.files[1].bytes, "{\"input_method\":\"stdin\"}");
    assert_string_equal(s->stack.files[2].path, "demo/plans/init.pp");
    const json_t *rbac = json_object_get(s->stack.state, "rbac");
    const json_t *role = json_array_get(json_object_get(rbac, "roles"), 0);
    const json_t *permission = json_array_get(json_object_get(role, "permissions"), 0);
    assert_string_equal(json_string_value(json_object_get(permission, "instance")), "a::b");
    assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(rbac, "tokens"), 0), "token")),
                        "token-of-alice");
    assert_int_equal(scenario_agents(s), 3);
    assert_int_equal(s->fleet[0].version, PCP_V1);
    assert_int_equal(s->fleet[0].brokers[0], 1);
    assert_int_equal(s->step_count, 3);
    assert_string_equal(s->steps[1].kind->name, "expect_job");
    assert_null(json_object_get(s->steps[1].args, "within")); /* it is the step's */
    assert_non_null(s->steps[1].within);
    assert_int_equal(s->steps[1].line, 19);
    assert_int_equal(s->steps[2].inner_count, 2);
    scenario_file_free(f);
}

static void write_file(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* Includes: relative to the file, with problems in the included file's own lines; circles end. */
static void test_includes(void **state) {
    char dir[] = "/tmp/dalang-test-include-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(dir));
    char *main_path = str_printf("%s/main.yaml", dir), *more_path = str_printf("%s/more.yaml", dir),
         *modules = str_printf("mkdir -p %s/modules/m/tasks && echo x > %s/modules/m/tasks/init.sh", dir, dir);
    assert_int_equal(system(modules), 0);
    write_file(main_path, "name: x\nstack: {modules: modules}\nsteps:\n- include: {file: more.yaml, with: {a: b}}\n");
    write_file(more_path, "steps:\n- log: hello\n");
    struct problems p = {.file = NULL};
    struct scenario_file *f = scenario_load(main_path, &p);
    if (f == NULL) {
        fail_msg("%s", p.lines[0]);
    }
    assert_int_equal(f->items[0].steps[0].inner_count, 1);
    assert_string_equal(f->items[0].steps[0].inner[0].file, more_path);
    assert_int_equal(f->items[0].stack.file_count, 1);
    assert_string_equal(f->items[0].stack.files[0].path, "m/tasks/init.sh");
    scenario_file_free(f);

    static const struct {
        const char *more, *problem;
    } wrong[] = {
        {"steps:\n- lag: hello\n", "more.yaml:2:3: there is no step \"lag\"; did you mean \"log\"?"},
        {"steps:\n- include: more.yaml\n", "more.yaml includes itself"},
        {"stops: []\n", "more.yaml:1:1: unknown key \"stops\"; did you mean \"steps\"?"},
        {"steps: [\n", "more.yaml:2:1: did not find expected node content"},
        {"", "more.yaml: an included file holds one document with steps"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct problems found = {.file = NULL};
        write_file(more_path, wrong[i].more);
        assert_null(scenario_load(main_path, &found));
        if (strstr(found.lines[0], wrong[i].problem) == NULL) {
            fail_msg("got %s, wanted %s", found.lines[0], wrong[i].problem);
        }
        problems_free(&found);
    }
    unlink(more_path);
    struct problems missing = {.file = NULL};
    assert_null(scenario_load(main_path, &missing));
    assert_non_null(strstr(missing.lines[0], "main.yaml:4:19: "));
    assert_non_null(strstr(missing.lines[0], "No such file or directory"));
    problems_free(&missing);
    char *clean = str_printf("rm -rf %s", dir);
    assert_int_equal(system(clean), 0);
    mem_free(clean);
    mem_free(main_path);
    mem_free(more_path);
    mem_free(modules);
}

int main(void) {
    mem_init_libraries();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mistakes), cmocka_unit_test(test_many_mistakes), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_whole),    cmocka_unit_test(test_includes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
