/* dalang simulate, as people and CI run it. */
#include "base/json.h"
#include "base/mem.h"
#include "simulator/dalang/tests/programs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static char *dir;

struct use {
    const char *argv[20];
    int code;
    const char *out, *err;
};

static void expect_all(const struct use *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct program p = {.dir = dir};
        memcpy(p.argv, list[i].argv, sizeof(list[i].argv));
        expect_program(&p, list[i].code, list[i].out, list[i].err);
    }
}
#define EXPECT(list) expect_all(list, sizeof(list) / sizeof((list)[0]))
#define SIMULATE "dalang", "simulate"
#define SMALL SIMULATE, "--agents", "4", "--jobs", "3", "--for", "20s"

/* The only line of JSON it prints; json_decref() it. */
static json_t *result_of(const char *const *argv, int code) {
    struct program p = {.dir = dir};
    for (size_t i = 0; argv[i] != NULL; i++) {
        p.argv[i] = argv[i];
    }
    char *out = output_of(&p, code);
    json_t *result = json_loads(out, 0, NULL);
    assert_non_null(result);
    mem_free(out);
    return result;
}
#define RESULT(code, ...) result_of((const char *const[]){__VA_ARGS__, NULL}, code)

static bool same_hash(const json_t *a, const json_t *b) {
    assert_int_equal(strlen(json_str(a, "trace_hash")), 16);
    return strcmp(json_str(a, "trace_hash"), json_str(b, "trace_hash")) == 0;
}

static void a_seed_repeats(void **state) {
    json_t *once = RESULT(0, SMALL, "--json", "--seed", "5"), *again = RESULT(0, SMALL, "--json", "--seed", "5");
    json_t *others[] = {
        RESULT(0, SMALL, "--json", "--seed", "6"), RESULT(0, SMALL, "--json", "--seed", "5", "--faults", "none"),
        RESULT(0, SMALL, "--json", "--seed", "5", "--faults", "light"),
        RESULT(0, SMALL, "--json", "--seed", "5", "--v1"), RESULT(0, SMALL, "--json", "--seed", "5", "--brokers", "1")};
    (void)state;
    assert_true(same_hash(once, again));
    assert_int_equal(json_int(once, "seed", 0), 5);
    assert_int_equal(json_int(once, "nodes", 0), 4);
    assert_true(json_int(once, "events", 0) > 1000);
    assert_int_equal(json_array_size(json_object_get(once, "violations")), 0);
    assert_null(json_object_get(once, "again"));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(same_hash(once, others[i]));
        json_decref(others[i]);
    }
    json_decref(once);
    json_decref(again);
}

/* What is drawn is said, and saying it gives another run of the same size; a kind that is left out does not occur. */
static void swarms_and_seeds(void **state) {
    static const struct use list[] = {
        {{SIMULATE, "--seeds", "1..2", "--agents", "5", "--for", "10s"},
         0,
         "seed 1: good: 5 agents, * faults, * events, * virtual s in * trace *\nseed 2: good: 5 agents*\n2 seeds, 0 "
         "failed; * events, * faults\n",
         ""},
        {{SMALL, "--faults", "heavy", "--seed", "3", "--without", "restart,power,pause,revoke"},
         0,
         "seed 3: good: *at once: restart-agent 6 power-agent 3 slow-start 1 partition 4 *",
         ""},
        {{SMALL, "--minutes", "0", "--workload", "mixed"}, 0, "seed 1: good: 4 agents, *", ""},
        {{SMALL, "--load", "20"}, 0, "seed 1: good: 4 agents, *3 jobs in 20 s at 20 % load, *", ""},
        {{SIMULATE, "--help"}, 0, "*--workload FILE*--shrink*--trace FILE*--html FILE*", ""},
    };
    (void)state;
    EXPECT(list);
}

static void files(void **state) {
    json_t *run = RESULT(0, SMALL, "--json", "--seed", "9", "--trace", "a.json", "--html", "a.html");
    json_t *again = RESULT(0, SMALL, "--json", "--seed", "9", "--trace", "b.json");
    json_t *plain = RESULT(0, SMALL, "--json", "--seed", "9");
    char *a = read_file(dir, "a.json"), *b = read_file(dir, "b.json"), *page = read_file(dir, "a.html");
    (void)state;
    assert_true(same_hash(run, again) && same_hash(run, plain)); /* being watched changes nothing */
    assert_string_equal(a, b);
    json_t *trace = json_loads(a, 0, NULL);
    assert_non_null(trace);
    assert_true(json_array_size(json_object_get(trace, "traceEvents")) > 1000);
    assert_true(glob_match("<!DOCTYPE html>*seed 9*node-0001.example.com*", page));
    json_decref(trace);
    json_decref(run);
    json_decref(again);
    json_decref(plain);
    mem_free(a);
    mem_free(b);
    mem_free(page);
}

static const char stuck[] = "jobs: 1\nfor: 1s\nstop: 0\nmix: [{task: \"app::wait\", nodes: 1}]\n"
                            "tasks: {\"app::wait\": {takes: 100h, unkillable: true}}\n";

static const char slow[] = "jobs: 1\nfor: 1s\nstop: 0\nmix: [{task: \"app::wait\", nodes: 1}]\n"
                           "tasks: {\"app::wait\": {takes: 100h}}\n";

/* Programs that run on behind the end of everything: exit 1, the seed, what is wrong, how to repeat it, files of it,
 * and less of it. */
static void a_failure(void **state) {
    static const struct use list[] = {
        {{SIMULATE, "--faults", "none", "--workload", "stuck.conf", "--agents", "6", "--seed", "4"},
         1,
         "seed 4: FAILED: 6 agents, *\n  invariant 11 (timers, *), after * s: there are 6 process handles more *\n  "
         "again: "
         "dalang simulate --seed 4 --faults none --workload stuck.conf --agents 6\n",
         ""},
        {{SIMULATE, "--faults", "none", "--workload", "stuck.conf", "--agents", "3", "--brokers", "1", "--shrink",
          "--seeds", "4..9", "--until-fail", "--html", "small.html", "--trace", "small.json"},
         1,
         "seed 4: FAILED: *\n  smallest: dalang simulate --seed 4 --faults none --workload stuck.conf --agents 1 "
         "--brokers 1 --jobs 1 --for 1s\n",
         ""},
        {{SIMULATE, "--faults", "none", "--workload", "slow.conf", "--agents", "6", "--seed", "4"},
         0,
         "seed 4: good: 6 agents, *",
         ""}, /* the orchestrator ends what does not end */
    };
    (void)state;
    write_file(dir, "stuck.conf", stuck);
    write_file(dir, "slow.conf", slow);
    EXPECT(list);
    assert_true(path_exists(dir, "small.html") && path_exists(dir, "small.json"));
    json_t *run = RESULT(1, SIMULATE, "--json", "--faults", "none", "--workload", "stuck.conf", "--agents", "1");
    const json_t *violation = json_array_get(json_object_get(run, "violations"), 0);
    assert_int_equal(json_int(violation, "invariant", 0), 11);
    assert_true(json_int(violation, "at_us", 0) > 0);
    assert_string_equal(json_str(run, "again"),
                        "dalang simulate --seed 1 --faults none --workload stuck.conf --agents 1");
    json_decref(run);
}

static void a_workload(void **state) {
    static const char text[] = "for: 30s\njobs: 6\nmix: [\n"
                               "  {weight: 3, task: \"app::restart\", params: {service: \"web-{n}\"}, nodes: 0.5}\n"
                               "  {deploy: {noop: true}, nodes: 1}\n"
                               "  {task: \"soak::echo\", params: {message: \"m-{n}\"}, user: limited}\n]\n"
                               "tasks: {\"app::restart\": {takes: 200ms, stdout: \"{params.service}\"}}\n";
    static const struct use list[] = {
        {{SIMULATE, "--workload", "gone.conf"}, 3, "", "dalang simulate: *gone.conf*\n"},
        {{SIMULATE, "--workload", "bad.conf"},
         3,
         "",
         "dalang simulate: bad.conf:1:15: tsak: unknown key; did you mean task?\n"},
    };
    (void)state;
    write_file(dir, "mine.conf", text);
    write_file(dir, "bad.conf", "mix: [{ tsak: x}]\n");
    json_t *run = RESULT(0, SIMULATE, "--json", "--faults", "none", "--workload", "mine.conf", "--agents", "4");
    assert_int_equal(json_int(run, "jobs", 0) + json_int(run, "refused", 0), 6);
    assert_true(json_int(run, "runs", 0) >= 6);
    json_decref(run);
    EXPECT(list);
}

static void one_job(void **state) {
    static const struct use list[] = {
        {{SIMULATE, "--task", "echo", "--agents", "5", "--seeds", "1..2"},
         0,
         "seed 1: 5 agents*finished\":5*trace *\nseed 2: 5 agents*trace *\n",
         ""},
        {{SIMULATE, "--task", "echo", "--json"}, 0, "{\"seed\":1,*\"nodes\":100,*\"violations\":[]}\n", ""},
        {{SIMULATE, "--agents", "7", "--json"}, 0, "{\"seed\":1,*\"nodes\":7,\"node_states\":{\"finished\":7},*\n", ""},
        {{SIMULATE, "--task", "no-such-task", "--agents", "3"}, 1, "*FAILED: *", ""},
        {{SIMULATE, "--task", "echo", "--modules", "gone"}, 3, "", "dalang simulate: *gone*\n"},
        {{SIMULATE, "--task", "echo", "--faults", "light"}, 2, "", "dalang simulate: --task is one job *\n"},
    };
    (void)state;
    EXPECT(list);
}

static void wrong_uses(void **state) {
    static const struct use list[] = {
        {{SIMULATE, "--seed", "one"}, 2, "", "dalang simulate: seeds are numbers: *\n"},
        {{SIMULATE, "--seeds", "9..1"}, 2, "", "dalang simulate: seeds are numbers: *\n"},
        {{SIMULATE, "now"}, 2, "", "dalang simulate: \"now\" is no option\n"},
        {{SIMULATE, "--load", "10001"}, 2, "", "dalang simulate: --load is at most 10000\n"},
        {{SIMULATE, "--task", "echo", "--load", "10"}, 2, "", "dalang simulate: --task is one job *\n"},
        {{SIMULATE, "--faults", "strong"}, 2, "", "dalang simulate: --faults is none, light, heavy or swarm, *\n"},
        {{SIMULATE, "--without", "clocks"}, 2, "", "dalang simulate: --without takes some of: restart *\n"},
        {{SIMULATE, "--brokers", "4"}, 2, "", "dalang simulate: --brokers is at most 3\n"},
        {{SIMULATE, "--agents", "2", "--for", "1s", "--trace", "no/such/dir"},
         3,
         "",
         "dalang simulate: no/such/dir: *\n"},
    };
    (void)state;
    EXPECT(list);
}

static int setup(void **state) {
    (void)state;
    dir = make_temporary_dir();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    remove_tree(dir);
    mem_free(dir);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_repeats), cmocka_unit_test(swarms_and_seeds), cmocka_unit_test(files),
        cmocka_unit_test(a_failure),      cmocka_unit_test(a_workload),       cmocka_unit_test(one_job),
        cmocka_unit_test(wrong_uses),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
