/* Many runs: which are chosen, what is reported, and what remains when a run is stopped. */
#include "base/json.h"
#include "base/mem.h"
#include "scenarios/runner/batch.h"
#include "scenarios/runner/tests/guide.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MODULES SOURCE_DIR "/fakes/puppetserver/modules"

static char dir[64];

static const char suite[] = "name: good\nabout: it's good\ntags: [a, b]\nsteps: [{log: x}]\n"
                            "---\nname: bad\ntags: [a]\nsteps:\n- expect_inventory: {count: 1, within: 1s}\n"
                            "---\nname: flaky\ntags: [quarantine]\nsteps:\n- expect_inventory: {count: 1, within: 1s}\n"
                            "---\nname: simulated\nworlds: [sim]\nbecause: of reasons\nsteps: [{log: x}]\n"
                            "---\nname: slow\ntags: [slow]\nworlds: [real]\nbecause: it waits\nsteps: [{sleep: 1h}]\n";

static void write_file(const char *name, const char *text) {
    char *path = str_printf("%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    mem_free(path);
}

static int set_up(void **state) {
    (void)state;
    strcpy(dir, "/tmp/dalang-test-batch-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    write_file("suite.yaml", suite);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char *clean = str_printf("rm -rf %s", dir);
    int code = system(clean);
    mem_free(clean);
    return code;
}

static char *in_dir(const char *name) {
    return str_printf("%s/%s", dir, name);
}

static void load(struct batch *b, const char *path) {
    struct error err = ERROR_INIT;
    struct option_list paths = {&path, 1};
    *b = (struct batch){.files = NULL};
    if (!batch_load(b, &paths, &err)) {
        fail_msg("%s", err.msg);
    }
}

/* Runs the suite with these options; what it printed is given back. */
static char *play(struct batch_run *opts, enum batch_end expected) {
    struct batch b;
    struct error err = ERROR_INIT;
    char *text = NULL;
    size_t len = 0;
    load(&b, dir);
    assert_int_equal(b.problem_count, 0);
    opts->out = open_memstream(&text, &len);
    opts->default_modules = MODULES;
    opts->worlds = opts->worlds != 0 ? opts->worlds : SCENARIO_SIM;
    opts->first_seed = opts->first_seed != 0 ? opts->first_seed : 1;
    opts->last_seed = opts->last_seed != 0 ? opts->last_seed : opts->first_seed;
    enum batch_end end = batch_play(&b, opts, &err);
    fclose(opts->out);
    if (end != expected) {
        fail_msg("ended with %d: %s\n%s", (int)end, err.msg != NULL ? err.msg : "", text);
    }
    error_clear(&err);
    batch_free(&b);
    char *copy = str_dup(text);
    free(text);
    return copy;
}

static void contains(const char *text, const char *part) {
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" is not in\n%s", part, text);
    }
}

/* ---- */

static void test_lines(void **state) {
    (void)state;
    char *text = play(&(struct batch_run){.jobs = 3}, BATCH_FAILED);
    contains(text, "pass  sim   seed 1");
    contains(text, "  good\n");
    contains(text, "FAIL  sim   seed 1");
    contains(text, "known sim   seed 1");
    contains(text, "  step       expect_inventory: {\"count\":1}\n");
    contains(text, "  last seen  0 connected in all\n");
    contains(text, "  actors     scenario ");
    contains(text, "  repeat     dalang scenario run --world sim --seed 1 --only 'bad' ");
    contains(text, "2 passed, 1 failed, 1 known to fail\n");
    assert_null(strstr(text, "slow"));
    mem_free(text);
}

static void test_choice(void **state) {
    static const struct {
        const char *tags[2];
        const char *only;
        enum batch_end end;
        const char *last;
    } choices[] = {
        {{"b", NULL}, NULL, BATCH_GOOD, "1 passed, 0 failed\n"},
        {{"a", "!b"}, NULL, BATCH_FAILED, "0 passed, 1 failed\n"},
        {{"!a", "!quarantine"}, NULL, BATCH_GOOD, "1 passed, 0 failed\n"},
        {{"quarantine", NULL}, NULL, BATCH_GOOD, "0 passed, 0 failed, 1 known to fail\n"},
        {{NULL, NULL}, "goo", BATCH_GOOD, "1 passed, 0 failed\n"},
        {{NULL, NULL}, "no such", BATCH_TROUBLE, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        struct batch_run run = {.only = choices[i].only};
        run.tags.items = (const char **)(uintptr_t)choices[i].tags;
        run.tags.count = choices[i].tags[1] != NULL ? 2 : choices[i].tags[0] != NULL ? 1 : 0;
        char *text = play(&run, choices[i].end);
        contains(text, choices[i].last);
        mem_free(text);
    }
}

static size_t occurrences(const char *text, const char *part) {
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part)) {
        count++;
    }
    return count;
}

static void test_seeds(void **state) {
    (void)state;
    char *text =
        play(&(struct batch_run){.only = "good", .first_seed = 5, .last_seed = 7, .repeat = 2, .jobs = 2}, BATCH_GOOD);
    assert_int_equal(occurrences(text, "seed 5"), 2);
    assert_int_equal(occurrences(text, "seed 7"), 2);
    contains(text, "6 passed, 0 failed\n");
    mem_free(text);
    text = play(&(struct batch_run){.only = "bad", .until_fail = true, .first_seed = 9}, BATCH_FAILED);
    contains(text, "FAIL  sim   seed 9");
    contains(text, "0 passed, 1 failed\n");
    mem_free(text);
}

static void test_json(void **state) {
    (void)state;
    char *text = play(&(struct batch_run){.json = true, .only = "bad", .worlds = SCENARIO_SIM}, BATCH_FAILED);
    json_t *line = json_parse(span_trim(span_of(text)), "line", NULL);
    assert_non_null(line);
    assert_string_equal(json_str(line, "name"), "bad");
    assert_string_equal(json_str(line, "world"), "sim");
    assert_int_equal(json_int(line, "seed", 0), 1);
    assert_int_equal(strlen(json_str(line, "trace_hash")), 16);
    assert_false(json_bool(line, "passed", true));
    contains(json_str(line, "at"), "suite.yaml:9");
    json_decref(line);
    mem_free(text);
}

static void test_junit_and_tap(void **state) {
    (void)state;
    char *junit = in_dir("results.xml");
    char *text = play(&(struct batch_run){.junit = junit, .tap = true, .jobs = 2}, BATCH_FAILED);
    contains(text, "1..4");
    contains(text, "not ok");
    char *xml = guide_read(junit);
    contains(xml, "tests=\"4\"");
    contains(xml, "failures=\"1\"");
    contains(xml, "good [sim, seed 1]");
    contains(xml, "name=\"seed\" value=\"1\"");
    contains(xml, "name=\"repeat\" value=\"dalang scenario run --world sim --seed 1 --only ");
    contains(xml, "name=\"trace_hash\"");
    contains(xml, "0 connected in all");
    contains(xml, "</testsuites>");
    mem_free(xml);
    mem_free(text);
    mem_free(junit);
}

static void test_trace(void **state) {
    (void)state;
    char *trace = in_dir("trace.json");
    char *text = play(&(struct batch_run){.trace = trace, .only = "good"}, BATCH_GOOD);
    char *written = guide_read(trace);
    json_t *events = json_parse(span_of(written), "trace", NULL);
    assert_non_null(events);
    json_decref(events);
    mem_free(written);
    mem_free(text);
    text = play(&(struct batch_run){.trace = trace, .only = "good", .worlds = SCENARIO_REAL}, BATCH_GOOD);
    mem_free(text);
    written = guide_read(trace);
    events = json_parse(span_of(written), "trace", NULL);
    assert_true(json_array_size(events) > 2);
    json_decref(events);
    mem_free(written);
    text = play(&(struct batch_run){.trace = trace}, BATCH_TROUBLE); /* four runs, one file */
    mem_free(text);
    mem_free(trace);
}

/* SIGINT in the middle of a run that takes an hour: the results so far are there, whole, and say what happened. */
static void test_interrupted(void **state) {
    (void)state;
    char *junit = in_dir("interrupted.xml");
    pid_t pid = fork();
    if (pid == 0) {
        char *text = play(&(struct batch_run){.junit = junit, .worlds = SCENARIO_REAL, .jobs = 8}, BATCH_FAILED);
        bool told = strstr(text, "stopped by SIGINT") != NULL;
        _exit(told ? 0 : 1);
    }
    /* good, bad and flaky have ended by then; slow goes on */
    char *xml = NULL;
    for (size_t done = 0; done < 3;) {
        mem_free(xml);
        xml = guide_read(junit);
        done = occurrences(xml, "<testcase ");
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
        usleep(20000); /* between two looks at the file */
    }
    mem_free(xml);
    kill(pid, SIGINT);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    xml = guide_read(junit);
    contains(xml, "SIGINT");
    contains(xml, "</testsuites>");
    mem_free(xml);
    mem_free(junit);
}

static void test_list(void **state) {
    (void)state;
    struct batch b;
    struct option_list none = {NULL, 0};
    char *text = NULL;
    size_t len = 0;
    load(&b, dir);
    FILE *to = open_memstream(&text, &len);
    batch_list(&b, &none, to);
    fclose(to);
    contains(text, "both  ");
    contains(text, "  good  [a b]\n      it's good\n");
    contains(text, "\n5 scenarios, 2 of them in one world only:\n");
    contains(text, "  simulated, sim only: of reasons\n  slow, real only: it waits\n");
    free(text);
    json_t *list = batch_list_json(&b, &none);
    assert_int_equal(json_array_size(list), 5);
    assert_string_equal(json_str(json_array_get(list, 4), "because"), "it waits");
    json_decref(list);
    batch_free(&b);
}

static void test_wrong_files(void **state) {
    (void)state;
    struct batch b = {.files = NULL};
    struct error err = ERROR_INIT;
    char *empty = in_dir("empty"), *wrong = in_dir("wrong.yaml"), *missing = in_dir("missing");
    char *make = str_printf("mkdir %s", empty);
    assert_int_equal(system(make), 0);
    const char *path = empty;
    struct option_list paths = {&path, 1};
    assert_false(batch_load(&b, &paths, &err));
    contains(err.msg, "there is no scenario file in it");
    path = missing;
    assert_false(batch_load(&b, &paths, &err));
    contains(err.msg, "No such file or directory");
    error_clear(&err);
    write_file("wrong.yaml", "name: x\n");
    path = wrong;
    assert_true(batch_load(&b, &paths, &err));
    assert_int_equal(b.problem_count, 1);
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    batch_print_problems(&b, to);
    fclose(to);
    contains(text, "wrong.yaml:1:1: the key \"steps\" is missing here\n");
    free(text);
    batch_free(&b);
    unlink(wrong);
    char *clean = str_printf("rmdir %s", empty);
    assert_int_equal(system(clean), 0);
    char *texts[] = {empty, wrong, missing, make, clean};
    for (size_t i = 0; i < 5; i++) {
        mem_free(texts[i]);
    }
}

int main(void) {
    mem_init_libraries();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),       cmocka_unit_test(test_choice),        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_json),        cmocka_unit_test(test_junit_and_tap), cmocka_unit_test(test_trace),
        cmocka_unit_test(test_interrupted), cmocka_unit_test(test_list),          cmocka_unit_test(test_wrong_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
