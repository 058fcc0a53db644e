/* Every example in scenarios/README.md does what it says. */
#include "base/mem.h"
#include "scenarios/runner/tests/guide.h"
#include "scenarios/runner/tests/play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* What stands around examples that are single steps: a job before, faults healed, a job that ends well behind them. */
static const char before[] = "name: an example of the guide\n"
                             "stack: {broker: {crl_check_period: 500ms}}\n"
                             "fleet: {count: 3, tasks: {echo: {takes: 100ms}}}\n"
                             "steps:\n"
                             "- run_task: {task: echo, params: {message: x}, query: \"nodes[certname]{}\"}\n"
                             "  as: job\n"
                             "- expect_job: {job: \"${job.name}\", state: finished}\n";
static const char behind[] = "- sleep: 3s\n"
                             "- heal: all\n"
                             "- expect_inventory: {count: 3, within: 40m}\n"
                             "- run_task: {task: echo, params: {message: x}, nodes: node-0001.example.com}\n"
                             "  as: job\n"
                             "- expect_job: {job: \"${job.name}\", state: finished, within: 60s}\n";

struct played {
    size_t whole, steps, sim_only;
};

static void play_all(enum scenario_world world, struct played *count) {
    char *guide = guide_read(SOURCE_DIR "/scenarios/README.md");
    struct span rest = span_of(guide);
    struct guide_example example;
    for (unsigned line = 0; guide_next(&rest, &line, &example);) {
        bool whole = span_starts_with(example.text, "name:"), sim_only = span_starts_with(example.text, "# sim");
        struct buf text = BUF_INIT;
        buf_append_cstr(&text, whole ? "" : before);
        buf_append_span(&text, example.text);
        buf_append_cstr(&text, whole ? "" : behind);
        if (world == SCENARIO_SIM || !sim_only) {
            print_message("README.md:%u\n", example.line);
            play_passes(text.ptr, world);
        }
        count->whole += whole ? 1 : 0;
        count->steps += whole ? 0 : 1;
        count->sim_only += sim_only ? 1 : 0;
        buf_free(&text);
    }
    mem_free(guide);
}

static void test_simulated(void **state) {
    struct played count = {0, 0, 0};
    (void)state;
    play_all(SCENARIO_SIM, &count);
    assert_true(count.whole >= 4 && count.steps >= 6 && count.sim_only == 1);
}

static void test_real(void **state) {
    struct played count = {0, 0, 0};
    (void)state;
    play_all(SCENARIO_REAL, &count);
}

/* Every kind of fault and every step is in the guide. */
static void test_complete(void **state) {
    static const char *const faults[] = {"kill",       "restart", "pause",    "partition", "delay",      "drop",
                                         "duplicate",  "reorder", "throttle", "corrupt",   "refuse",     "reset",
                                         "half_close", "disk",    "clock",    "service",   "certificate"};
    (void)state;
    char *guide = guide_read(SOURCE_DIR "/scenarios/README.md");
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        char *example = str_printf("- fault: {%s:", faults[i]);
        if (strstr(guide, example) == NULL) {
            fail_msg("the guide has no example of the fault %s", faults[i]);
        }
        mem_free(example);
    }
    const struct step_kind *kind;
    for (size_t i = 0; (kind = step_kind_at(i)) != NULL; i++) {
        char *word = str_printf("`%s`", kind->name);
        if (strstr(guide, word) == NULL) {
            fail_msg("the guide does not name the step %s", kind->name);
        }
        mem_free(word);
    }
    mem_free(guide);
}

int main(void) {
    mem_init_libraries();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_simulated),
        cmocka_unit_test(test_real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
