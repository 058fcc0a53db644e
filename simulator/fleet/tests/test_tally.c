/* Tallies: adding up, travelling as JSON, what Prometheus reads. */
#include "simulator/fleet/tally.h"

#include "base/mem.h"
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct tally *example(uint64_t n) {
    struct tally *t = tally_new();
    t->n.agents = n;
    t->n.connected = n - 1;
    t->n.messages = 3 * n;
    t->n.stopping = 1;
    for (uint64_t i = 1; i <= n; i++) {
        histogram_record(&t->connect_us, i * 1000);
        histogram_record(&t->ping_us, i);
    }
    return t;
}

static void tallies_add_up(void **state) {
    (void)state;
    struct tally *a = example(10), *b = example(20);
    tally_error(b, span_of("refused"));
    tally_add(a, b);
    assert_int_equal(a->n.agents, 30);
    assert_int_equal(a->n.connected, 28);
    assert_int_equal(a->n.messages, 90);
    assert_int_equal(a->n.stopping, 2);
    assert_int_equal(a->connect_us.count, 30);
    assert_int_equal(a->connect_us.max, 20000);
    assert_string_equal(a->last_error, "refused");
    struct tally *c = example(1);
    tally_add(a, c); /* without an error: the last one stays */
    assert_string_equal(a->last_error, "refused");
    mem_free(a);
    mem_free(b);
    mem_free(c);
}

static void a_tally_survives_the_way_as_json(void **state) {
    (void)state;
    struct tally *a = example(300), *b = tally_new();
    struct error err = ERROR_INIT;
    tally_error(a, span_of("näh: \"x\"\n"));
    json_t *json = tally_to_json(a);
    char *text = json_text(json);
    json_t *again = json_parse(span_of(text), "test", &err);
    assert_null(strchr(text, '\n')); /* a line each */
    assert_true(tally_from_json(b, again, &err));
    assert_memory_equal(a, b, sizeof(*a));
    mem_free(text);
    json_decref(json);
    json_decref(again);
    mem_free(a);
    mem_free(b);
}

static void a_damaged_tally_is_refused(void **state) {
    (void)state;
    struct tally *a = example(3), *b = tally_new();
    static const struct {
        const char *key, *value, *error;
    } cases[] = {{"agents", "\"many\"", "agents must be a number"},
                 {"messages", "-1", "messages must be a number"},
                 {"connect", "{}", "connect: "},
                 {"ping", "null", "ping: "}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = ERROR_INIT;
        json_t *json = tally_to_json(a);
        json_set(json, cases[i].key, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        assert_false(tally_from_json(b, json, &err));
        assert_non_null(strstr(err.msg, cases[i].error));
        error_clear(&err);
        json_decref(json);
    }
    mem_free(a);
    mem_free(b);
}

static void long_errors_are_cut_between_characters(void **state) {
    (void)state;
    struct tally *t = tally_new();
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < TALLY_ERROR_MAX; i++) {
        buf_append_cstr(&text, "é");
    }
    tally_error(t, buf_span(&text));
    assert_int_equal(strlen(t->last_error), TALLY_ERROR_MAX - 2);
    assert_true(span_is_utf8(span_of(t->last_error)));
    buf_free(&text);
    mem_free(t);
}

static void prometheus_reads_counters_gauges_and_summaries(void **state) {
    (void)state;
    struct tally *t = example(100);
    struct buf out = BUF_INIT;
    tally_prometheus(t, &out);
    char *text = buf_take(&out);
    assert_non_null(strstr(text, "# TYPE dalang_fleet_connected gauge\ndalang_fleet_connected 99\n"));
    assert_non_null(strstr(text, "# TYPE dalang_fleet_messages_total counter\ndalang_fleet_messages_total 300\n"));
    assert_non_null(strstr(text, "# TYPE dalang_fleet_connect_seconds summary\n"));
    assert_non_null(strstr(text, "dalang_fleet_connect_seconds_count 100\n"));
    assert_non_null(strstr(text, "dalang_fleet_connect_seconds_sum 5.050000\n"));
    const char *median = strstr(text, "dalang_fleet_connect_seconds{quantile=\"0.5\"} 0.05");
    assert_non_null(median);
    mem_free(text);
    mem_free(t);
}

static void quantiles_are_milliseconds(void **state) {
    (void)state;
    struct tally *t = example(100);
    json_t *q = tally_quantiles(&t->connect_us);
    assert_int_equal(json_int(q, "count", 0), 100);
    double p50 = json_number_value(json_object_get(q, "p50_ms"));
    assert_true(p50 > 49.5 && p50 < 50.5);
    assert_true(json_number_value(json_object_get(q, "max_ms")) >= 100.0);
    json_decref(q);
    mem_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tallies_add_up),
        cmocka_unit_test(a_tally_survives_the_way_as_json),
        cmocka_unit_test(a_damaged_tally_is_refused),
        cmocka_unit_test(long_errors_are_cut_between_characters),
        cmocka_unit_test(prometheus_reads_counters_gauges_and_summaries),
        cmocka_unit_test(quantiles_are_milliseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
