/* The two outputs: exact texts, bytes that must not come through, and what is left when a run is cut off. */
#include "base/mem.h"
#include "simulator/results/results.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct run {
    char dir[64], junit[96];
    char *tap_text;
    size_t tap_len;
    FILE *tap;
    struct results *results;
};

static void run_start(struct run *run, size_t planned, const struct result_property *properties, size_t count) {
    strcpy(run->dir, "/tmp/results.XXXXXX");
    assert_non_null(mkdtemp(run->dir));
    snprintf(run->junit, sizeof(run->junit), "%s/junit.xml", run->dir);
    run->tap = open_memstream(&run->tap_text, &run->tap_len);
    struct results_opts opts = {.name = "a <run>",
                                .junit = run->junit,
                                .tap = run->tap,
                                .planned = planned,
                                .started_ms = 1893553445678,
                                .properties = properties,
                                .property_count = count};
    run->results = results_new(&opts, NULL);
    assert_non_null(run->results);
}

static char *read_file(const char *path) {
    static char text[64 * 1024];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    return text;
}

static void run_end(struct run *run, const char *interrupted) {
    assert_true(results_end(run->results, interrupted, NULL));
    fclose(run->tap);
}

static void run_free(struct run *run) {
    free(run->tap_text);
    unlink(run->junit);
    rmdir(run->dir);
}

/* The head's padding is of no interest. */
static void assert_junit(const struct run *run, const char *expected) {
    char *text = read_file(run->junit), squeezed[32 * 1024];
    size_t n = 0;
    for (const char *p = text; *p != '\0' && n < sizeof(squeezed) - 1; p++) {
        if (p[0] == ' ' && (p[1] == ' ' || p[1] == '>')) {
            continue;
        }
        squeezed[n++] = *p;
    }
    squeezed[n] = '\0';
    assert_string_equal(squeezed, expected);
}

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite "
#define SUITE " timestamp=\"2030-01-02T03:04:05\" name=\"a &lt;run&gt;\">\n"
#define TAIL "</testsuite>\n</testsuites>\n"

static void each_status(void **state) {
    (void)state;
    struct run run;
    const struct result_property suite[] = {{"target", "wss://h:1/pcp2/"}};
    const struct result_property seed[] = {{"seed", "17"}, {"repeat", "dalang scenario run --seed 17 \"a.yaml\""}};
    run_start(&run, 5, suite, 1);
    results_add(run.results, &(struct result){.suite = "s", .name = "one", .title = "is fine", .duration_us = 1500});
    results_add(run.results, &(struct result){.suite = "s",
                                              .name = "two",
                                              .status = RESULT_FAIL,
                                              .duration_us = 2000001,
                                              .message = "not as expected",
                                              .expected = "1 < 2",
                                              .got = "a\n b",
                                              .file = "a.yaml",
                                              .line = 7,
                                              .properties = seed,
                                              .property_count = 2});
    results_add(run.results,
                &(struct result){.suite = "s", .name = "three", .status = RESULT_SKIP, .message = "no v1 here"});
    results_add(run.results, &(struct result){.suite = "s", .name = "four", .status = RESULT_ERROR, .message = "gone"});
    assert_false(results_good(run.results));
    results_add(run.results,
                &(struct result){.suite = "s", .name = "five", .status = RESULT_KNOWN, .message = "quarantined"});
    const struct result_counts *c = results_counts(run.results);
    assert_int_equal(c->passed + 10 * c->failed + 100 * c->skipped + 1000 * c->errors + 10000 * c->known, 11111);
    run_end(&run, NULL);
    assert_junit(&run, HEAD
                 "tests=\"5\" failures=\"1\" errors=\"1\" skipped=\"2\" time=\"2.001501\"" SUITE "<properties>\n"
                 "<property name=\"target\" value=\"wss://h:1/pcp2/\"/>\n</properties>\n"
                 "<testcase classname=\"s\" name=\"one\" time=\"0.001500\">\n<system-out>is fine</system-out>\n"
                 "</testcase>\n"
                 "<testcase classname=\"s\" name=\"two\" time=\"2.000001\" file=\"a.yaml\" line=\"7\">\n<properties>\n"
                 "<property name=\"seed\" value=\"17\"/>\n"
                 "<property name=\"repeat\" value=\"dalang scenario run --seed 17 &quot;a.yaml&quot;\"/>\n"
                 "</properties>\n<failure message=\"not as expected\">expected: 1 &lt; 2\ngot: a\n b\n</failure>\n"
                 "</testcase>\n"
                 "<testcase classname=\"s\" name=\"three\" time=\"0.000000\">\n"
                 "<skipped message=\"no v1 here\"></skipped>\n</testcase>\n"
                 "<testcase classname=\"s\" name=\"four\" time=\"0.000000\">\n<error message=\"gone\"></error>\n"
                 "</testcase>\n"
                 "<testcase classname=\"s\" name=\"five\" time=\"0.000000\">\n"
                 "<skipped message=\"quarantined\"></skipped>\n</testcase>\n" TAIL);
    assert_string_equal(run.tap_text, "TAP version 13\n1..5\n"
                                      "ok 1 - s/one: is fine\n"
                                      "not ok 2 - s/two\n"
                                      "  ---\n"
                                      "  message: |2-\n    not as expected\n"
                                      "  expected: |2-\n    1 < 2\n"
                                      "  got: |2-\n    a\n     b\n"
                                      "  seed: |2-\n    17\n"
                                      "  repeat: |2-\n    dalang scenario run --seed 17 \"a.yaml\"\n"
                                      "  at: |2-\n    a.yaml:7\n"
                                      "  ...\n"
                                      "ok 3 - s/three # SKIP no v1 here\n"
                                      "not ok 4 - s/four\n"
                                      "  ---\n"
                                      "  message: |2-\n    gone\n"
                                      "  ...\n"
                                      "not ok 5 - s/five # TODO quarantined\n"
                                      "  ---\n"
                                      "  message: |2-\n    quarantined\n"
                                      "  ...\n");
    run_free(&run);
}

static void known_and_skipped_do_not_fail(void **state) {
    (void)state;
    struct run run;
    run_start(&run, 2, NULL, 0);
    results_add(run.results, &(struct result){.suite = "s", .name = "a", .status = RESULT_KNOWN});
    results_add(run.results, &(struct result){.suite = "s", .name = "b", .status = RESULT_SKIP});
    assert_true(results_good(run.results));
    run_end(&run, NULL);
    run_free(&run);
}

static void texts_that_xml_cannot_hold(void **state) {
    (void)state;
    static const struct {
        const char *text, *xml;
    } cases[] = {
        {"plain", "plain"},
        {"a&b<c>d\"e'", "a&amp;b&lt;c&gt;d&quot;e'"},
        {"tab\tline\nreturn\r", "tab&#9;line&#10;return\\x0d"},
        {"\x1b[31mred\x07\x7f", "\\x1b[31mred\\x07\\x7f"},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\xff\xfe", "\\xff\\xfe"},
        {"cut \xe2\x82", "cut \\xe2\\x82"},
        {"\xc0\xaf", "\\xc0\\xaf"},                                                             /* overlong */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},                                                    /* a surrogate */
        {"\xef\xbf\xbe\xef\xbf\xbf\xef\xbf\xbd", "\\xef\\xbf\\xbe\\xef\\xbf\\xbf\xef\xbf\xbd"}, /* U+FFFE, U+FFFF */
        {"\xc2\x85", "\\xc2\\x85"},                                                             /* C1 control */
        {"]]>", "]]&gt;"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = BUF_INIT;
        results_xml_text(&out, span_of(cases[i].text));
        assert_string_equal(out.ptr, cases[i].xml);
        buf_free(&out);
    }
    struct buf out = BUF_INIT;
    results_xml_text(&out, span_bytes("a\0b", 3));
    assert_string_equal(out.ptr, "a\\x00b");
    buf_free(&out);
}

/* Whatever the bytes are: what comes out is UTF-8 without control characters, so any XML reader takes it. */
static void any_bytes(void **state) {
    (void)state;
    uint32_t x = 1;
    for (int round = 0; round < 2000; round++) {
        char bytes[40];
        for (size_t i = 0; i < sizeof(bytes); i++) {
            x = x * 1664525 + 1013904223;
            bytes[i] = (char)(x >> 24);
        }
        struct buf out = BUF_INIT;
        results_xml_text(&out, span_bytes(bytes, sizeof(bytes)));
        assert_true(span_is_utf8(buf_span(&out)));
        for (size_t i = 0; i < out.len; i++) {
            assert_true((unsigned char)out.ptr[i] >= 0x20);
            assert_null(strchr("<>\"", out.ptr[i]));
        }
        buf_free(&out);
    }
}

static void tap_descriptions(void **state) {
    (void)state;
    struct run run;
    run_start(&run, 1, NULL, 0);
    results_add(run.results, &(struct result){.suite = "s", .name = "a # SKIP \\ b\nok 2\x1b", .title = "t\tu"});
    run_end(&run, NULL);
    assert_string_equal(run.tap_text, "TAP version 13\n1..1\nok 1 - s/a \\# SKIP \\\\ b ok 2\\x1b: t u\n");
    run_free(&run);
}

static void whole_after_every_case(void **state) {
    (void)state;
    struct run run;
    run_start(&run, 3, NULL, 0);
    assert_junit(&run, HEAD "tests=\"0\" failures=\"0\" errors=\"0\" skipped=\"0\" time=\"0.000000\"" SUITE TAIL);
    results_add(
        run.results,
        &(struct result){.suite = "s", .name = "one", .status = RESULT_FAIL, .message = "no", .duration_us = 1});
    static const char after_one[] =
        HEAD "tests=\"1\" failures=\"1\" errors=\"0\" skipped=\"0\" time=\"0.000001\"" SUITE
             "<testcase classname=\"s\" name=\"one\" time=\"0.000001\">\n<failure message=\"no\"></failure>\n"
             "</testcase>\n" TAIL;
    assert_junit(&run, after_one); /* as a killed run would leave it */
    run_end(&run, "SIGINT");
    static const char interrupted[] =
        HEAD "tests=\"1\" failures=\"1\" errors=\"0\" skipped=\"0\" time=\"0.000001\"" SUITE
             "<testcase classname=\"s\" name=\"one\" time=\"0.000001\">\n<failure message=\"no\"></failure>\n"
             "</testcase>\n<system-err>interrupted by SIGINT: 1 of 3 cases ran</system-err>\n" TAIL;
    assert_junit(&run, interrupted);
    assert_non_null(strstr(run.tap_text, "\nBail out! interrupted by SIGINT\n"));
    run_free(&run);
}

static void a_file_that_cannot_be_made(void **state) {
    (void)state;
    struct error err = ERROR_INIT;
    assert_null(results_new(&(struct results_opts){.name = "x", .junit = "/nowhere/at/all.xml"}, &err));
    assert_true(error_is(&err, "results/file"));
    assert_string_equal(err.msg, "/nowhere/at/all.xml: No such file or directory");
    error_clear(&err);
}

static void a_full_disk_is_told_at_the_end(void **state) {
    (void)state;
    struct error err = ERROR_INIT;
    struct results *r = results_new(&(struct results_opts){.name = "x", .junit = "/dev/full", .planned = 1}, &err);
    assert_non_null(r);
    results_add(r, &(struct result){.suite = "s", .name = "one"});
    assert_int_equal(results_counts(r)->passed, 1);
    assert_false(results_end(r, NULL, &err));
    assert_string_equal(err.msg, "/dev/full: No space left on device");
    error_clear(&err);

    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    r = results_new(&(struct results_opts){.name = "x", .tap = full, .planned = 0}, &err);
    assert_false(results_end(r, NULL, &err));
    assert_string_equal(err.msg, "TAP output: No space left on device");
    error_clear(&err);
    fclose(full);
}

static void neither_output(void **state) {
    (void)state;
    struct results *r = results_new(&(struct results_opts){.name = "x"}, NULL);
    results_add(r, &(struct result){.suite = "s", .name = "one"});
    assert_true(results_good(r));
    assert_true(results_end(r, "SIGTERM", NULL));
}

static void a_name_longer_than_the_head(void **state) {
    (void)state;
    struct run run;
    run_start(&run, 0, NULL, 0);
    run_end(&run, NULL);
    char name[600];
    memset(name, '<', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    struct results *r = results_new(&(struct results_opts){.name = name, .junit = run.junit}, NULL);
    assert_non_null(r);
    assert_true(results_end(r, NULL, NULL));
    const char *text = read_file(run.junit);
    assert_non_null(strstr(text, " name=\"run\""));
    assert_non_null(strstr(text, ">\n" TAIL));
    run_free(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_status),
        cmocka_unit_test(known_and_skipped_do_not_fail),
        cmocka_unit_test(texts_that_xml_cannot_hold),
        cmocka_unit_test(any_bytes),
        cmocka_unit_test(tap_descriptions),
        cmocka_unit_test(whole_after_every_case),
        cmocka_unit_test(a_file_that_cannot_be_made),
        cmocka_unit_test(a_full_disk_is_told_at_the_end),
        cmocka_unit_test(neither_output),
        cmocka_unit_test(a_name_longer_than_the_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
