/* Distributions and streams of randomness. */
#include "simulator/world/dist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* q/2^32 */
static uint32_t fraction(double q) {
    return (uint32_t)(q * 4294967296.0);
}

static void assert_near(uint64_t value, double expected, double tolerance) {
    double off = ((double)value - expected) / expected;
    if (off > tolerance || off < -tolerance) {
        fail_msg("%llu is not near %f", (unsigned long long)value, expected);
    }
}

static void test_lognormal_quantiles(void **state) {
    (void)state;
    /* p50 * (p99/p50)^(z/2.32635), z from tables of the normal distribution */
    struct dist d = dist_lognormal(200000, 2000000);
    assert_near(dist_quantile(&d, fraction(0.5)), 200000, 0.0001);
    assert_near(dist_quantile(&d, fraction(0.99)), 2000000, 0.01);
    assert_near(dist_quantile(&d, fraction(0.01)), 20000, 0.01);
    assert_near(dist_quantile(&d, fraction(0.841345)), 538000, 0.01); /* one sigma: 10^(1/2.32635) */
    assert_near(dist_quantile(&d, fraction(0.158655)), 74350, 0.01);
    assert_near(dist_quantile(&d, fraction(0.9999)), 7943000, 0.02); /* z = 3.719 */
    assert_true(dist_quantile(&d, UINT32_MAX) > dist_quantile(&d, UINT32_MAX - 1000000));
    assert_true(dist_quantile(&d, 0) > 0);
    struct dist one = dist_lognormal(500, 500);
    assert_int_equal(dist_quantile(&one, 12345), 500);
}

static void test_quantiles_rise(void **state) {
    (void)state;
    struct dist all[] = {dist_uniform(10, 1000000), dist_lognormal(1000, 900000), dist_exponential(40000)};
    for (size_t i = 0; i < 3; i++) {
        uint64_t before = 0;
        for (uint64_t q = 0; q <= UINT32_MAX; q += 65521) {
            uint64_t value = dist_quantile(&all[i], (uint32_t)q);
            assert_true(value >= before);
            before = value;
        }
    }
}

static void test_exponential_quantiles(void **state) {
    (void)state;
    struct dist d = dist_exponential(1000000);
    assert_int_equal(dist_quantile(&d, 0), 0);
    assert_near(dist_quantile(&d, fraction(0.5)), 693147, 0.0001);
    assert_near(dist_quantile(&d, fraction(0.99)), 4605170, 0.0001);
}

static void test_draws(void **state) {
    (void)state;
    struct rng r = rng_derive(1, "test", NULL);
    struct dist u = dist_uniform(5, 7), f = dist_fixed(9), e = dist_exponential(1000);
    unsigned seen[3] = {0, 0, 0};
    uint64_t sum = 0;
    for (int i = 0; i < 10000; i++) {
        uint64_t x = dist_draw(&u, &r);
        assert_in_range(x, 5, 7);
        seen[x - 5]++;
        sum += dist_draw(&e, &r);
    }
    assert_in_range(seen[0], 3000, 3700);
    assert_in_range(seen[2], 3000, 3700);
    assert_in_range(sum / 10000, 950, 1050);
    struct rng before = r;
    assert_int_equal(dist_draw(&f, &r), 9);
    assert_true(before.state == r.state); /* a fixed one draws nothing */
}

/* The very numbers: another processor, compiler or build must give the same. */
static void test_streams_are_fixed(void **state) {
    (void)state;
    struct rng a = rng_derive(1, "pipe", "x"), b = rng_derive(1, "pipe", "y"), c = rng_derive(2, "pipe", "x");
    uint64_t first = rng_next(&a);
    assert_true(first != rng_next(&b) && first != rng_next(&c));
    struct rng zero = {0};
    assert_true(rng_next(&zero) == 0xe220a8397b1dcdafu); /* SplitMix64 of 0 */
    assert_true(rng_next(&zero) == 0x6e789e6aa1b965f4u);
    struct rng r = {0};
    struct dist d = dist_lognormal(1000, 5000);
    static const uint64_t expected[] = {2280, 887, 261};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(dist_draw(&d, &r), expected[i]);
    }
}

static void test_pick_and_chance(void **state) {
    (void)state;
    struct rng r = {7};
    const uint32_t weights[] = {0, 1, 0, 3};
    unsigned seen[4] = {0, 0, 0, 0};
    unsigned hits = 0;
    for (int i = 0; i < 4000; i++) {
        seen[rng_pick(&r, weights, 4)]++;
        hits += rng_chance(&r, 250000);
    }
    assert_int_equal(seen[0] + seen[2], 0);
    assert_in_range(seen[1], 850, 1150);
    assert_in_range(hits, 850, 1150);
    assert_true(rng_chance(&r, 1000000));
    assert_false(rng_chance(&r, 0));
    assert_int_equal(rng_between(&r, 5, 5), 5);
    (void)rng_between(&r, 0, UINT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lognormal_quantiles),   cmocka_unit_test(test_quantiles_rise),
        cmocka_unit_test(test_exponential_quantiles), cmocka_unit_test(test_draws),
        cmocka_unit_test(test_streams_are_fixed),     cmocka_unit_test(test_pick_and_chance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
