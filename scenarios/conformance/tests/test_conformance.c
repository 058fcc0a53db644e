/* The suites as such: ids, the table, and what templates match. */
#include "base/mem.h"
#include "scenarios/conformance/match.h"
#include "scenarios/conformance/suite.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct ids {
    struct map seen;
    regex_t shape;
};

static void look_at_case(void *ctx, const struct conform_seen *c) {
    struct ids *ids = ctx;
    if (map_put(&ids->seen, span_of(c->id), ids) != NULL) {
        fail_msg("%s stands twice", c->id);
    }
    if (regexec(&ids->shape, c->id, 0, NULL, 0) != 0) {
        fail_msg("%s is no id", c->id);
    }
    if (c->statement == NULL || c->statement[0] == '\0' || strchr(c->statement, '\n') != NULL || c->source == NULL ||
        c->source[0] == '\0') {
        fail_msg("%s says nothing, or not where it is from", c->id);
    }
}

static void ids_are_unique_and_stable_in_shape(void **state) {
    (void)state;
    struct ids ids = {.seen = MAP_INIT};
    assert_int_equal(
        regcomp(&ids.shape, "^[a-z][a-z0-9]*(/[a-zA-Z0-9_-]+)+-[0-9]{3}(-v[12])?$", REG_EXTENDED | REG_NOSUB), 0);
    for (size_t i = 0; conform_suites[i] != NULL; i++) {
        conform_each(conform_suites[i], look_at_case, &ids);
    }
    assert_true(map_count(&ids.seen) > 900);
    map_free(&ids.seen);
    regfree(&ids.shape);
}

static void every_line_has_a_case_and_the_table_is_new(void **state) {
    (void)state;
    struct buf made = BUF_INIT;
    struct error err = ERROR_INIT;
    if (!conform_table(SOURCE_DIR "/scenarios/conformance/checklists", &made, &err)) {
        fail_msg("%s", err.msg);
    }
    FILE *f = fopen(SOURCE_DIR "/scenarios/conformance/COVERAGE.md", "re");
    assert_non_null(f);
    char *text = mem_zalloc(made.len + 2);
    size_t len = fread(text, 1, made.len + 1, f);
    fclose(f);
    if (len != made.len || strcmp(text, made.ptr) != 0) {
        fail_msg("scenarios/conformance/COVERAGE.md is stale: dalang conform --table scenarios/conformance/checklists");
    }
    mem_free(text);
    buf_free(&made);
}

static void a_table_of_nothing_is_refused(void **state) {
    (void)state;
    struct buf made = BUF_INIT;
    struct error err = ERROR_INIT;
    assert_false(conform_table("/nowhere", &made, &err));
    assert_true(error_is(&err, "usage"));
    error_clear(&err);
    assert_false(
        conform_table(SOURCE_DIR "/scenarios/conformance", &made, &err)); /* no checklists: cases stand nowhere */
    assert_non_null(strstr(err.msg, "stands in no checklist"));
    error_clear(&err);
    buf_free(&made);
}

/* ---- templates */

static const struct {
    const char *want, *got, *why; /* why NULL: matches */
} matches[] = {
    {"1", "1", NULL},
    {"1", "2", "at the top: expected 1, got 2"},
    {"{'a': 1}", "{\"a\": 1}", NULL},
    {"{'a': 1}", "{\"a\": 1, \"b\": 2}", "at /b: expected no such member, got 2"},
    {"{'a': 1, '...': 0}", "{\"a\": 1, \"b\": 2}", NULL},
    {"{'a': 1}", "{}", "at /a: expected 1, got nothing"},
    {"{'a?': 1}", "{}", NULL},
    {"{'a?': 1}", "{\"a\": 2}", "at /a: expected 1, got 2"},
    {"{'a': '$absent'}", "{}", NULL},
    {"{'a': '$absent'}", "{\"a\": null}", "at /a: expected no such member, got null"},
    {"{'a': '$any'}", "{\"a\": null}", NULL},
    {"{'a': '$any'}", "{}", "at /a: expected \"$any\", got nothing"},
    {"'$string'", "\"x\"", NULL},
    {"'$string'", "1", "at the top: expected \"$string\", got 1"},
    {"'$int'", "1", NULL},
    {"'$int'", "1.5", "at the top: expected \"$int\", got 1.5"},
    {"'$number'", "1.5", NULL},
    {"'$bool'", "false", NULL},
    {"'$object'", "[]", "at the top: expected \"$object\", got []"},
    {"'$array'", "[]", NULL},
    {"'$uuid'", "\"6d6df5b5-ac6f-45c8-8c9a-0a1b2c3d4e5f\"", NULL},
    {"'$uuid'", "\"6d6df5b5\"", "at the top: expected \"$uuid\", got \"6d6df5b5\""},
    {"'$time'", "\"2030-01-02T03:04:05Z\"", NULL},
    {"'$time'", "\"2030-01-02T03:04:05.1Z\"", "at the top: expected \"$time\", got \"2030-01-02T03:04:05.1Z\""},
    {"'$time-ms'", "\"2030-01-02T03:04:05.123Z\"", NULL},
    {"'$like:a*c'", "\"abbc\"", NULL},
    {"'$like:a*c'", "\"abbd\"", "at the top: expected \"$like:a*c\", got \"abbd\""},
    {"'$re:[0-9]+'", "\"12\"", NULL},
    {"'$re:[0-9]+'", "\"12x\"", "at the top: expected \"$re:[0-9]+\", got \"12x\""},
    {"'$or:red|blue'", "\"blue\"", NULL},
    {"'$or:red|blue'", "\"green\"", "at the top: expected \"$or:red|blue\", got \"green\""},
    {"[1, 2]", "[1, 2]", NULL},
    {"[1, 2]", "[1]", "at the top: expected 2 items, got [1]"},
    {"[1, '$more']", "[1, 2, 3]", NULL},
    {"[1, '$more']", "[]", "at the top: expected 1 items, got []"},
    {"['$each', '$int']", "[]", NULL},
    {"['$each', '$int']", "[1, \"x\"]", "at /1: expected \"$int\", got \"x\""},
    {"['$has', 2]", "[1, 2]", NULL},
    {"['$has', 3]", "[1, 2]", "at the top: expected 3, got [1,2]"},
    {"['$set', 2, 1]", "[1, 2]", NULL},
    {"['$set', 2]", "[1, 2]", "at the top: expected no further items, got [1,2]"},
    {"{'a': [{'b': 1}]}", "{\"a\": [{\"b\": 2}]}", "at /a/0/b: expected 1, got 2"},
    {"'$unknown word'", "\"$unknown word\"", NULL},
};

static void templates(void **state) {
    (void)state;
    struct variables v;
    variables_init(&v);
    for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
        json_t *want = template_read(&v, matches[i].want), *got = json_parse(span_of(matches[i].got), "x", NULL);
        char *why = NULL;
        bool ok = template_match(&v, want, got, &why);
        assert_int_equal(ok, matches[i].why == NULL);
        if (!ok) {
            assert_string_equal(why, matches[i].why);
        }
        mem_free(why);
        json_decref(want);
        json_decref(got);
    }
    variables_free(&v);
}

static void variables(void **state) {
    (void)state;
    struct variables v;
    variables_init(&v);
    variables_set(&v, "name", "one");
    variables_set(&v, "name", "two");
    char *text = variables_fill(&v, "a ${name} ${absent} ${");
    assert_string_equal(text, "a two ${absent} ${");
    mem_free(text);
    json_t *want = template_read(&v, "{'a': '$keep:kept', 'b': 'it\\'s ${name}'}");
    json_t *got = json_parse(SPAN("{\"a\": \"this\", \"b\": \"it's two\"}"), "x", NULL);
    assert_true(template_match(&v, want, got, NULL));
    assert_string_equal(variables_get(&v, "kept"), "this");
    json_decref(want);
    json_decref(got);
    variables_free(&v);
}

static void globs(void **state) {
    (void)state;
    assert_true(glob_match("", "") && glob_match("*", "") && glob_match("a*b*c", "a--b--c") &&
                glob_match("*c", "abcc"));
    assert_false(glob_match("", "a") || glob_match("a*b", "ac") || glob_match("a", "aa"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_unique_and_stable_in_shape),
        cmocka_unit_test(every_line_has_a_case_and_the_table_is_new),
        cmocka_unit_test(a_table_of_nothing_is_refused),
        cmocka_unit_test(templates),
        cmocka_unit_test(variables),
        cmocka_unit_test(globs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
