/* A few seeds of everything, and seeds that once found a bug. `dalang simulate` and ci/simulate run many more. */
#include "simulator/soak/soak.h"

#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void assert_good(const struct soak_opts *opts, struct soak_result *r) {
    soak_run(opts, r);
    if (!soak_good(r)) {
        json_t *json = soak_result_json(r);
        char *text = json_dumps(json, JSON_INDENT(2));
        print_error("%s\n", text);
        fail();
    }
}

static void test_without_faults(void **state) {
    struct soak_result r;
    (void)state;
    assert_good(&(struct soak_opts){.seed = 1, .agents = 10, .brokers = 2, .jobs = 10, .for_us = 2 * SIM_MINUTE}, &r);
    /* The checks were not blind. */
    assert_true(r.seen.jobs_acknowledged >= 5);
    assert_true(r.seen.events > 30);
    assert_true(r.seen.runs > 10);
    assert_true(r.seen.messages_to_broker > 50);
    assert_int_equal(r.seen.messages_to_broker, r.seen.messages_delivered + r.seen.messages_refused);
    assert_int_equal(r.faults, 0);
    soak_result_free(&r);
}

static void test_same_seed_same_hash(void **state) {
    struct soak_opts opts = {.seed = 3, .agents = 5, .jobs = 5, .for_us = SIM_MINUTE, .faults = FAULTS_HEAVY};
    struct soak_result one, two, other;
    (void)state;
    assert_good(&opts, &one);
    assert_good(&opts, &two);
    assert_true(one.trace_hash == two.trace_hash);
    assert_int_equal(one.events, two.events);
    opts.seed = 4;
    assert_good(&opts, &other);
    assert_true(one.trace_hash != other.trace_hash);
    soak_result_free(&other);
    opts.seed = 3;
    opts.faults = FAULTS_NONE;
    assert_good(&opts, &other);
    assert_true(one.trace_hash != other.trace_hash);
    soak_result_free(&one);
    soak_result_free(&two);
    soak_result_free(&other);
}

static void test_faults(void **state) {
    struct soak_result r;
    (void)state;
    for (uint64_t seed = 10; seed < 14; seed++) {
        assert_good(
            &(struct soak_opts){.seed = seed, .agents = 8, .jobs = 8, .for_us = 3 * SIM_MINUTE, .faults = FAULTS_HEAVY},
            &r);
        assert_true(r.faults > 20);
        soak_result_free(&r);
        assert_good(
            &(struct soak_opts){.seed = seed, .agents = 8, .jobs = 8, .for_us = 3 * SIM_MINUTE, .faults = FAULTS_SWARM},
            &r);
        soak_result_free(&r);
    }
    assert_good(
        &(struct soak_opts){
            .seed = 20, .agents = 8, .jobs = 8, .for_us = 3 * SIM_MINUTE, .faults = FAULTS_HEAVY, .v1 = true},
        &r);
    soak_result_free(&r);
}

/* Each of these once ended in a violation; what it was. */
static void test_regressions(void **state) {
    static const struct {
        uint64_t seed;
        enum faults_level faults;
    } seeds[] = {
        {14, FAULTS_HEAVY}, /* a node refused by the broker while its job was stopped waited for ever */
        {23, FAULTS_HEAVY},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
        struct soak_result r;
        assert_good(&(struct soak_opts){.seed = seeds[i].seed, .faults = seeds[i].faults}, &r);
        soak_result_free(&r);
    }
}

/* A large fleet's jobs are as many and as large as the orchestrator can do while they come. */
static void test_steady_load(void **state) {
    struct soak_opts opts = {.seed = 1, .agents = 80, .for_us = 10 * SIM_MINUTE};
    struct soak_result half, less, drawn;
    (void)state;
    assert_good(&opts, &half);
    assert_int_equal(half.load_percent, 50);
    assert_in_range(half.jobs, 5, 20);
    assert_true(half.virtual_us < 70 * SIM_MINUTE); /* in 55 of them nothing happens */
    opts.load_percent = 5;
    assert_good(&opts, &less);
    assert_int_equal(less.jobs, half.jobs);
    assert_true(less.seen.runs * 3 < half.seen.runs);
    opts.agents = 20;
    assert_good(&opts, &drawn);
    assert_int_equal(drawn.load_percent, 5);
    soak_result_free(&drawn);
    opts.load_percent = 0;
    assert_good(&opts, &drawn);
    assert_int_equal(drawn.load_percent, 0);
    soak_result_free(&half);
    soak_result_free(&less);
    soak_result_free(&drawn);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_faults), cmocka_unit_test(test_same_seed_same_hash),
        cmocka_unit_test(test_faults),         cmocka_unit_test(test_regressions),
        cmocka_unit_test(test_steady_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
