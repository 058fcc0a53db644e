/* The histogram against a sorted array. */
#include "simulator/bench/histogram.h"

#include "base/json.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t next(uint64_t *state) { /* splitmix64 */
    uint64_t z = (*state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static int by_value(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static struct histogram *fresh(void) {
    struct histogram *h = mem_alloc(sizeof(*h));
    histogram_clear(h);
    return h;
}

static void test_buckets_cover_all_values_without_gap(void **state) {
    (void)state;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        const uint64_t low = histogram_lowest(i), high = histogram_highest(i);
        assert_true(low <= high);
        assert_int_equal(histogram_index(low), i);
        assert_int_equal(histogram_index(high), i);
        assert_true(i == 0 || histogram_highest(i - 1) + 1 == low);
        assert_true((high - low) * 100 <= low); /* less than 1 % wide */
    }
    assert_int_equal(histogram_highest(HISTOGRAM_BUCKETS - 1), HISTOGRAM_MAX);
    assert_int_equal(histogram_index(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void test_empty(void **state) {
    (void)state;
    struct histogram *h = fresh();
    assert_int_equal(histogram_percentile(h, 50), 0);
    assert_int_equal(histogram_percentile(h, 100), 0);
    assert_true(histogram_mean(h) == 0);
    mem_free(h);
}

static void test_small_values_are_exact(void **state) {
    (void)state;
    struct histogram *h = fresh();
    for (uint64_t v = 1; v <= 100; v++) {
        histogram_record(h, v);
    }
    assert_int_equal(h->count, 100);
    assert_int_equal(histogram_percentile(h, 0), 1);
    assert_int_equal(histogram_percentile(h, 1), 1);
    assert_int_equal(histogram_percentile(h, 50), 50);
    assert_int_equal(histogram_percentile(h, 50.5), 51);
    assert_int_equal(histogram_percentile(h, 99), 99);
    assert_int_equal(histogram_percentile(h, 100), 100);
    assert_true(histogram_mean(h) == 50.5);
    mem_free(h);
}

static void test_a_thousandth_is_a_whole_rank(void **state) {
    (void)state;
    struct histogram *h = fresh();
    histogram_record_many(h, 7, 999);
    histogram_record(h, 200);
    assert_int_equal(histogram_percentile(h, 99.9), 7);
    assert_int_equal(histogram_percentile(h, 99.91), 200);
    mem_free(h);
}

/* Values over nine powers of ten; each percentile within 1 % of the sorted array's. */
static void test_percentiles_are_within_one_percent(void **state) {
    (void)state;
    enum { COUNT = 100000 };
    uint64_t seed = 42, *values = mem_array(COUNT, sizeof(*values));
    struct histogram *h = fresh();
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = next(&seed) >> (28 + next(&seed) % 30);
        histogram_record(h, values[i]);
    }
    qsort(values, COUNT, sizeof(*values), by_value);
    for (int per_mille = 1; per_mille < 1000; per_mille++) {
        const uint64_t right = values[(size_t)per_mille * COUNT / 1000 - 1];
        const uint64_t got = histogram_percentile(h, per_mille / 10.0);
        const uint64_t off = got > right ? got - right : right - got;
        assert_true(off * 100 <= right);
    }
    assert_int_equal(histogram_percentile(h, 0), values[0]);
    assert_int_equal(histogram_percentile(h, 100), values[COUNT - 1]);
    mem_free(values);
    mem_free(h);
}

static void test_values_beyond_the_range_count_as_the_largest(void **state) {
    (void)state;
    struct histogram *h = fresh();
    histogram_record(h, HISTOGRAM_MAX + 5);
    assert_int_equal(h->buckets[HISTOGRAM_BUCKETS - 1], 1);
    assert_int_equal(h->max, HISTOGRAM_MAX + 5);
    mem_free(h);
}

static void test_merging_is_as_if_recorded_together(void **state) {
    (void)state;
    struct histogram *both = fresh(), *one = fresh(), *two = fresh();
    uint64_t seed = 1;
    for (size_t i = 0; i < 5000; i++) {
        const uint64_t value = next(&seed) >> 40;
        histogram_record(both, value);
        histogram_record(i % 3 == 0 ? one : two, value);
    }
    histogram_merge(one, two);
    assert_memory_equal(one, both, sizeof(*one));
    histogram_clear(two);
    histogram_merge(one, two); /* an empty one changes nothing */
    assert_memory_equal(one, both, sizeof(*one));
    histogram_merge(two, both);
    assert_memory_equal(two, both, sizeof(*two));
    mem_free(both);
    mem_free(one);
    mem_free(two);
}

static void test_since_an_earlier_copy(void **state) {
    (void)state;
    struct histogram *now = fresh(), *earlier = fresh(), *window = fresh();
    histogram_record(now, 5);
    histogram_record(now, 90000);
    *earlier = *now;
    histogram_record_many(now, 30, 3);
    histogram_record(now, 2000);
    histogram_since(window, now, earlier);
    assert_int_equal(window->count, 4);
    assert_int_equal(window->sum, 2090);
    assert_int_equal(window->min, 30);
    assert_in_range(window->max, 2000, 2016);
    assert_int_equal(histogram_percentile(window, 50), 30);
    histogram_since(window, now, now);
    assert_int_equal(window->count, 0);
    assert_int_equal(histogram_percentile(window, 99), 0);
    mem_free(now);
    mem_free(earlier);
    mem_free(window);
}

static void test_there_and_back_as_json(void **state) {
    (void)state;
    struct histogram *h = fresh(), *back = fresh();
    uint64_t seed = 3;
    for (size_t i = 0; i < 1000; i++) {
        histogram_record(h, next(&seed) >> 36);
    }
    json_t *json = histogram_to_json(h);
    assert_true(histogram_from_json(back, json, NULL));
    assert_memory_equal(h, back, sizeof(*h));
    json_decref(json);
    histogram_clear(h);
    json = histogram_to_json(h);
    assert_true(histogram_from_json(back, json, NULL));
    assert_memory_equal(h, back, sizeof(*h));
    json_decref(json);
    mem_free(h);
    mem_free(back);
}

static void test_wrong_json_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"{}", "\"buckets\" must be an array"},
        {"{\"buckets\":[]}", "\"count\" must be a whole number of at least 0"},
        {"{\"count\":-1,\"sum\":0,\"min\":0,\"max\":0,\"buckets\":[]}",
         "\"count\" must be a whole number of at least 0"},
        {"{\"count\":1,\"sum\":1,\"min\":1,\"max\":1,\"buckets\":[1]}", "bucket 0 is not [index, count]"},
        {"{\"count\":1,\"sum\":1,\"min\":1,\"max\":1,\"buckets\":[[1,1],[-1,1]]}", "bucket 1 is not [index, count]"},
        {"{\"count\":1,\"sum\":1,\"min\":1,\"max\":1,\"buckets\":[[99999,1]]}", "bucket 0 is not [index, count]"},
        {"{\"count\":2,\"sum\":1,\"min\":1,\"max\":1,\"buckets\":[[1,1]]}", "\"count\" is 2, the buckets hold 1"},
    };
    struct histogram *h = fresh();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = ERROR_INIT;
        json_t *json = json_parse(span_of(cases[i].text), "test", NULL);
        assert_non_null(json);
        assert_false(histogram_from_json(h, json, &err));
        assert_string_equal(err.kind, "histogram");
        assert_string_equal(err.msg, cases[i].says);
        error_clear(&err);
        json_decref(json);
    }
    mem_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets_cover_all_values_without_gap),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_small_values_are_exact),
        cmocka_unit_test(test_a_thousandth_is_a_whole_rank),
        cmocka_unit_test(test_percentiles_are_within_one_percent),
        cmocka_unit_test(test_values_beyond_the_range_count_as_the_largest),
        cmocka_unit_test(test_merging_is_as_if_recorded_together),
        cmocka_unit_test(test_since_an_earlier_copy),
        cmocka_unit_test(test_there_and_back_as_json),
        cmocka_unit_test(test_wrong_json_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
