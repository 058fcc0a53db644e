/* Reports: what is put in comes out as JSON, table and page; goals are judged. */
#include "simulator/bench/report.h"

#include "base/json.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *example(void) {
    char *argv[] = {"bench", "broker", "--quick"};
    json_t *r = report_new("A <title> & more", 3, argv);
    const size_t floor = report_column(r, "bare", true), ours = report_column(r, "ours", false);
    report_figure(r, "cpu", "CPU per thing", "us", floor, 10);
    report_figure(r, "cpu", "CPU per thing", "us", ours, 15);
    report_figure(r, "memory", "memory", "B", ours, 1234567);
    report_figure(r, "lost", "lost", "", ours, 0);
    report_goal(r, "cpu", ours, REPORT_RATIO, 1.2);
    report_goal(r, "memory", ours, REPORT_RATIO, 2); /* no floor's: says nothing */
    report_goal(r, "memory", ours, REPORT_AT_MOST, 2e6);
    report_goal(r, "lost", ours, REPORT_AT_LEAST, 1);
    report_goal(r, "nothing", ours, REPORT_AT_MOST, 1);
    report_note(r, "a note of %d words", 5);
    const struct report_axes axes = {"A plot", "time", "things", false, true};
    json_t *series = report_series(r, &axes, "first"), *second = report_series(r, &axes, "second");
    for (int i = 0; i < 20; i++) {
        report_point(series, i, i * 1000.0);
        report_point(second, i, 5);
    }
    return r;
}

static void test_the_json_has_all_of_it(void **state) {
    (void)state;
    json_t *r = example();
    double value;
    assert_string_equal(json_str(r, "command"), "dalang bench broker --quick");
    assert_true(report_value(r, "cpu", 1, &value) && value == 15);
    assert_false(report_value(r, "memory", 0, &value));
    assert_false(report_value(r, "memory", 7, &value));
    assert_false(report_value(r, "unknown", 0, &value));
    const json_t *goals = json_object_get(r, "goals");
    assert_int_equal(json_array_size(goals), 3);
    static const struct {
        const char *key, *kind;
        double value;
        bool met;
    } expected[] = {{"cpu", "ratio", 1.5, false}, {"memory", "at-most", 1234567, true}, {"lost", "at-least", 0, false}};
    for (size_t i = 0; i < 3; i++) {
        const json_t *goal = json_array_get(goals, i);
        assert_string_equal(json_str(goal, "key"), expected[i].key);
        assert_string_equal(json_str(goal, "kind"), expected[i].kind);
        assert_true(json_number_value(json_object_get(goal, "value")) == expected[i].value);
        assert_true(json_bool(goal, "met", !expected[i].met) == expected[i].met);
    }
    assert_int_equal(json_array_size(json_object_get(r, "plots")), 1);
    assert_true(report_valid(r, NULL));
    json_decref(r);
}

static void test_numbers_as_people_read_them(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *unit, *text;
    } cases[] = {
        {0, "B", "0"},          {24875, "B", "24,875"}, {1234567, "/s", "1,234,567"}, {-1234, "B", "-1,234"},
        {17.456, "us", "17.5"}, {1.006, "us", "1.01"},  {123.4, "ms", "123"},         {1469, "us", "1,469"},
        {999, "", "999"},       {1000, "", "1,000"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf text = BUF_INIT;
        report_number(&text, cases[i].value, cases[i].unit);
        assert_string_equal(text.ptr, cases[i].text);
        buf_free(&text);
    }
}

static void test_the_table(void **state) {
    (void)state;
    json_t *r = example();
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    report_print(r, f);
    fclose(f);
    assert_non_null(strstr(text, "CPU per thing"));
    assert_non_null(strstr(text, "15.0 µs (1.50 x)"));
    assert_non_null(strstr(text, "1,234,567 B\n"));
    assert_non_null(strstr(text, "MISSED  CPU per thing: 1.50 x the floor, goal at most 1.20 x"));
    assert_non_null(strstr(text, "met     memory: 1,234,567, goal at most 2,000,000"));
    assert_non_null(strstr(text, "MISSED  lost: 0.00, goal at least 1.00"));
    assert_non_null(strstr(text, "a note of 5 words"));
    free(text);
    json_decref(r);
}

static void test_the_page_needs_nothing_else(void **state) {
    (void)state;
    json_t *r = example();
    const json_t *both[] = {r, r};
    struct buf page = BUF_INIT;
    report_html(both, 2, &page);
    assert_non_null(strstr(page.ptr, "A &lt;title&gt; &amp; more"));
    assert_null(strstr(page.ptr, "<title> &"));
    assert_non_null(strstr(page.ptr, "<polyline"));
    assert_non_null(strstr(page.ptr, "missed"));
    assert_null(strstr(page.ptr, "http://"));
    assert_null(strstr(page.ptr, "https://"));
    assert_null(strstr(page.ptr, "<script"));
    assert_null(strstr(page.ptr, "nan"));
    assert_null(strstr(page.ptr, "inf"));
    buf_free(&page);
    json_decref(r);
}

/* Curves without points, with one, with equal values, with what a logarithm cannot show. */
static void test_plots_of_odd_data(void **state) {
    (void)state;
    char *argv[] = {"bench"};
    json_t *r = report_new("odd", 1, argv);
    const struct report_axes empty = {"empty", "x", "y", false, false}, one = {"one", "x", "y", true, true},
                             flat = {"flat", "x", "y", false, false}, zero = {"zero", "x", "y", true, true};
    report_series(r, &empty, "nothing");
    report_point(report_series(r, &one, "a point"), 5, 5);
    json_t *series = report_series(r, &flat, "flat");
    report_point(series, 1, 3);
    report_point(series, 2, 3);
    series = report_series(r, &zero, "zero");
    report_point(series, 0, 0);
    report_point(series, -1, 10);
    struct buf page = BUF_INIT;
    const json_t *reports[] = {r};
    report_html(reports, 1, &page);
    assert_null(strstr(page.ptr, "nan"));
    assert_null(strstr(page.ptr, "inf"));
    buf_free(&page);
    json_decref(r);
}

static void test_what_is_no_report(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"{}", "is no report: \"columns\" is not there"},
        {"{\"columns\":[],\"figures\":[],\"goals\":[],\"plots\":[]}", "is no report: \"notes\" is not there"},
        {"{\"columns\":[],\"figures\":[{}],\"goals\":[],\"plots\":[],\"notes\":[]}",
         "is no report: figure 1 needs key, label and unit"},
        {"{\"columns\":[],\"figures\":[],\"goals\":[],\"plots\":[],\"notes\":[]}",
         "is no report: \"title\" is not there"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = ERROR_INIT;
        json_t *r = json_parse(span_of(cases[i].text), "test", NULL);
        assert_false(report_valid(r, &err));
        assert_string_equal(err.kind, "bench");
        assert_string_equal(err.msg, cases[i].says);
        error_clear(&err);
        json_decref(r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_json_has_all_of_it),
        cmocka_unit_test(test_numbers_as_people_read_them),
        cmocka_unit_test(test_the_table),
        cmocka_unit_test(test_the_page_needs_nothing_else),
        cmocka_unit_test(test_plots_of_odd_data),
        cmocka_unit_test(test_what_is_no_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
