/* Workload files: what they say, what is wrong with them and where. */
#include "simulator/soak/workload.h"

#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void a_whole_one(void **state) {
    static const char text[] =
        "for: 10m\njobs: 40\nstop: 0.25\n"
        "mix: [{weight: 3, task: \"a::b\", params: {x: \"{n}-{n}\", list: [\"{n}\", 7], in: {y: \"-\"}}, nodes: 0.5},\n"
        "      {deploy: {noop: true}, user: limited}, {task: c, user: admin}]\n"
        "tasks: {\"a::b\": {takes: 200ms}}\npuppet_run: {takes: 3s}\n";
    struct error err = ERROR_INIT;
    struct workload *w = workload_new("w", span_of(text), &err);
    (void)state;
    assert_non_null(w);
    assert_int_equal(w->for_us, 600000000);
    assert_int_equal(w->jobs, 40);
    assert_int_equal(w->stop_ppm, 250000);
    assert_int_equal(w->count, 3);
    assert_int_equal(w->items[0].weight, 3);
    assert_string_equal(w->items[0].task, "a::b");
    assert_int_equal(w->items[0].nodes_ppm, 500000);
    assert_false(w->items[0].limited);
    assert_null(w->items[1].task);
    assert_true(json_bool(w->items[1].options, "noop", false));
    assert_true(w->items[1].limited);
    assert_int_equal(w->items[1].weight, 1);
    json_t *params = workload_params(&w->items[0], 12), *none = workload_params(&w->items[2], 12);
    char *said = json_text(params), *nothing = json_text(none);
    assert_string_equal(said, "{\"x\":\"12-12\",\"list\":[\"12\",7],\"in\":{\"y\":\"-\"}}");
    assert_string_equal(nothing, "{}");
    mem_free(said);
    mem_free(nothing);
    json_decref(params);
    json_decref(none);
    workload_free(w);
}

static void what_is_not_said(void **state) {
    struct error err = ERROR_INIT;
    struct workload *w = workload_new("w", SPAN("{\"mix\": [{\"task\": \"facts\"}]}"), &err);
    (void)state;
    assert_non_null(w);
    assert_int_equal(w->for_us, 0);
    assert_int_equal(w->jobs, 0);
    assert_int_equal(w->items[0].nodes_ppm, 0);
    workload_free(w);
    workload_free(NULL);
}

static void what_is_wrong(void **state) {
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{", "w:"},
        {"jobs: 3", "mix: a list of 1 to 100 kinds of jobs is wanted"},
        {"mix: []", "mix: a list of"},
        {"mix: [7]", "w:1:7: an object with a task or a deploy is wanted"},
        {"mix: [{}]", "task: one of task and deploy is wanted"},
        {"mix: [{task: a, deploy: {}}]", "deploy: one of task and deploy is wanted"},
        {"mix: [{task: \"../a\"}]", "task: the name of a task is wanted"},
        {"mix: [{task: 7}]", "task: the name of a task is wanted"},
        {"mix: [{task: a, params: 3}]", "params: an object is wanted"},
        {"mix: [{deploy: 3}]", "deploy: an object is wanted"},
        {"mix: [{task: a, weight: 0}]", "weight: a whole number from 1 to 1000 is wanted"},
        {"mix: [{task: a, nodes: 2}]", "nodes: a number between 0 and 1 is wanted"},
        {"mix: [{task: a, user: root}]", "user: admin or limited is wanted"},
        {"mix: [{task: a}]\nfor: 3", "w:2:6: for: a duration of at least 1s is wanted"},
        {"mix: [{task: a}]\njobs: 0.5", "jobs: a whole number from 1 to"},
        {"mix: [{task: a}]\nstop: x", "stop: a number between 0 and 1 is wanted"},
        {"mix: [{task: a}]\nstpo: 1", "w:2:7: stpo: unknown key; did you mean stop?"},
        {"mix: [{task: a}]\ntasks: {\"soak::echo\": {}}", "soak::echo: this task is ours"},
        {"mix: [{task: a}]\ntasks: {a: {takes: soon}}", "tasks: "},
        {"mix: [{task: a}]\npuppet_run: {takes: soon}", "puppet_run: "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = ERROR_INIT;
        assert_null(workload_new("w", span_of(cases[i].text), &err));
        if (strstr(err.msg, cases[i].message) == NULL) {
            fail_msg("%s: %s", cases[i].text, err.msg);
        }
        error_clear(&err);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_one),
        cmocka_unit_test(what_is_not_said),
        cmocka_unit_test(what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
