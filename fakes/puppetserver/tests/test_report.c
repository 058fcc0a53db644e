/* An agent's report becomes what the real report processor sent to PuppetDB, for recorded pairs. */
#include "base/clock.h"
#include "base/mem.h"
#include "fakes/puppetserver/report.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *body_of(const char *area, const char *name, int node) {
    json_error_t err;
    char *path = str_printf(SOURCE_DIR "/scenarios/golden/%s/%s-node%d.json", area, name, node);
    json_t *recording = json_load_file(path, 0, &err);
    if (recording == NULL) {
        fail_msg("%s: %s", path, err.text);
    }
    json_t *body = json_incref(json_object_get(json_object_get(recording, "request"), "body"));
    json_decref(recording);
    mem_free(path);
    return body;
}

static int by_name(const void *a, const void *b) {
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    int category = strcmp(json_str(x, "category"), json_str(y, "category"));
    return category != 0 ? category : strcmp(json_str(x, "name"), json_str(y, "name"));
}

/* Metrics come in the order of a Ruby hash. */
static void sort_metrics(json_t *report) {
    json_t *metrics = json_object_get(report, "metrics"), *sorted = json_array();
    size_t n = json_array_size(metrics);
    json_t **items = calloc(n + 1, sizeof *items);
    for (size_t i = 0; i < n; i++) {
        items[i] = json_array_get(metrics, i);
    }
    qsort(items, n, sizeof *items, by_name);
    for (size_t i = 0; i < n; i++) {
        json_array_append(sorted, items[i]);
    }
    free(items);
    json_set(report, "metrics", sorted);
}

static void reports_are_converted(void **state) {
    (void)state;
    static const int nodes[] = {1, 3, 4, 5};
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        json_t *report = body_of("puppetserver", "wire-agent-report", nodes[i]);
        json_t *expected = body_of("puppetdb", "wire-store-report", nodes[i]);
        int64_t now;
        assert_true(time_parse(span_of(json_str(expected, "producer_timestamp")), &now));
        json_t *got = ps_report_wire(report, json_str(report, "host"), json_str(expected, "producer"), now);
        sort_metrics(got);
        sort_metrics(expected);
        const char *key;
        json_t *value;
        json_object_foreach(expected, key, value) {
            if (!json_equal(value, json_object_get(got, key))) {
                fail_msg("node%d %s:\n%s\n%s", nodes[i], key, json_dumps(json_object_get(got, key), JSON_ENCODE_ANY),
                         json_dumps(value, JSON_ENCODE_ANY));
            }
        }
        assert_int_equal(json_object_size(got), json_object_size(expected));
        json_decref(got);
        json_decref(expected);
        json_decref(report);
    }
}

static void odd_reports_do_no_harm(void **state) {
    (void)state;
    static const char *const odd[] = {
        "{}",
        "{\"logs\": 5, \"metrics\": [], \"resource_statuses\": 1, \"time\": \"x\"}",
        "{\"metrics\": {\"time\": {\"values\": [[], 1, [\"total\"], [\"total\", \"T\", \"x\"]]}}, \"time\": "
        "\"2030-01-01T00:00:00.5Z\"}",
        "{\"resource_statuses\": {\"a\": {\"skipped\": true, \"events\": [1]}, \"b\": null}, "
        "\"configuration_version\": 7}",
    };
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        json_t *report = json_parse(span_of(odd[i]), "test", NULL);
        assert_non_null(report);
        json_t *wire = ps_report_wire(report, "n", "p", 0);
        assert_string_equal(json_str(wire, "certname"), "n");
        assert_true(json_is_array(json_object_get(wire, "metrics")));
        assert_true(json_is_string(json_object_get(wire, "configuration_version")));
        json_decref(wire);
        json_decref(report);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_are_converted),
        cmocka_unit_test(odd_reports_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
