/* What is taken and what is refused, with which words: 3400 queries that PuppetDB's own engine was asked
 * (scenarios/golden/pql/checks.json). */
#include "base/json.h"
#include "base/mem.h"
#include "pql/ast.h"
#include "pql/plan.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Where we do otherwise, and why. */
static const struct {
    const char *query, *why;
} excuses[] = {
    {"[\"from\",\"events\",[\"in\",\"old_value\",[\"array\",[\"x\"]]]]", "PuppetDB trips over it; it is meaningful"},
    {"[\"from\",\"events\",[\"in\",\"new_value\",[\"array\",[\"x\"]]]]", "PuppetDB trips over it; it is meaningful"},
    {"[\"from\",\"nodes\",[\"subquery\",\"facts\"]]", "nodes { facts {} } means every row"},
    {"[\"from\",\"reports\",[\"=\",[\"function\",\"to_string\",\"receive_time\",\"YYYY\"],\"2026\"]]",
     "documented, and taken by later versions"},
    {"[\"from\",\"factsets\",[\"null?\",\"facts\",true]]", "PuppetDB trips over it; it is meaningful"},
    {"[\"from\",\"fact_paths\",[\"subquery\",\"fact_contents\",[\"=\",\"certname\",\"x\"]]]",
     "PuppetDB trips over it; it is meaningful"},
    {"[\"from\",\"inventory\",[\">\",\"trusted\",5]]", "no object is larger than a number"},
    {"[\"from\",\"inventory\",[\">\",\"trusted\",\"x\"]]", "no object is larger than a text"},
    {"[\"from\",\"inventory\",[\">=\",\"trusted\",\"2026-01-01\"]]", "no object is larger than a text"},
    {"[\"from\",\"nodes\",[\"~\",\"certname\",null]]", "null is no pattern"},
    {"[\"from\",\"nodes\",[\"in\",\"certname\",[\"extract\",\"certname\",[\"=\",\"certname\",\"x\"]]]]",
     "an internal error there"},
};

static bool is_excused(const char *query) {
    for (size_t i = 0; i < sizeof excuses / sizeof excuses[0]; i++) {
        if (strcmp(query, excuses[i].query) == 0) {
            return true;
        }
    }
    return false;
}

static json_t *load(void) {
    json_t *file = json_load_file(SOURCE_DIR "/scenarios/golden/pql/checks.json", 0, NULL);
    assert_non_null(file);
    return file;
}

/* "latest_report?" is a condition, no column: the plan holds it, only the database would refuse it. */
static bool speaks_of_condition(const char *query) {
    return strstr(query, "\"latest_report?\"") != NULL;
}

/* Whether it went as in PuppetDB. */
static bool same(const struct plan *p, const struct error *err, const char *query, int64_t status, const char *text) {
    if (status == 0) { /* the fields of functions only the database looks at */
        return p != NULL || (error_is(err, "pql/refused") && strstr(query, "\"function\"") != NULL);
    }
    if (status == 500) {
        return p != NULL ? speaks_of_condition(query) : error_is(err, "pql/refused");
    }
    return p == NULL && error_is(err, "pql/bad-query") && strcmp(err->msg, text) == 0;
}

static void test_as_the_engine(void **state) {
    (void)state;
    json_t *file = load(), *check;
    const json_t *texts = json_object_get(file, "texts");
    size_t i, excused = 0;
    assert_true(json_array_size(json_object_get(file, "checks")) > 3000);
    json_array_foreach(json_object_get(file, "checks"), i, check) {
        struct error err = ERROR_INIT;
        struct plan_options options = {.paging = {NULL, PLAN_NO_LIMIT, PLAN_NO_LIMIT}};
        char *query = json_text(json_array_get(check, 0));
        int64_t status = json_integer_value(json_array_get(check, 1));
        const char *text =
            json_string_value(json_array_get(texts, (size_t)json_integer_value(json_array_get(check, 2))));
        json_t *active = ast_restrict_root(json_array_get(check, 0));
        struct plan *p = plan_build(active, &options, &err);
        bool equal = same(p, &err, query, status, text);
        if (equal == is_excused(query)) {
            fail_msg("%s: %s, not %lld %s", query, p != NULL ? "taken" : err.msg, (long long)status,
                     status == 400 ? text : "");
        }
        excused += !equal;
        plan_free(p);
        json_decref(active);
        mem_free(query);
        error_clear(&err);
    }
    assert_int_equal(excused, sizeof excuses / sizeof excuses[0]);
    json_decref(file);
}

int main(void) {
    mem_init_libraries();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_the_engine)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
