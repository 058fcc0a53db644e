/* What is expected and what is there; places in values; variables. */
#include "base/mem.h"
#include "scenarios/runner/match.h"
#include "scenarios/runner/paths.h"
#include "scenarios/runner/vars.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static json_t *parse(const char *text) {
    return text != NULL ? json_parse(span_of(text), "json", NULL) : NULL;
}

static const struct {
    const char *expected, *value;
    const char *why; /* NULL: it matches */
} matches[] = {
    {"1", "1", NULL},
    {"1", "1.0", NULL},
    {"1", "\"1\"", "\"1\", expected 1"},
    {"\"a\"", "\"a\"", NULL},
    {"null", "null", NULL},
    {"null", NULL, "nothing, expected null"},
    {"[1, 2]", "[1, 2]", NULL},
    {"[1, 2]", "[1, 3]", "[1]: 3, expected 2"},
    {"[1, 2]", "[1]", "[1], expected [1,2]"},
    {"{\"a\": 1}", "{\"a\": 1, \"b\": 2}", NULL},
    {"{\"a\": {\"b\": 1}}", "{\"a\": {\"b\": 2}}", "a.b: 2, expected 1"},
    {"{\"a\": 1}", "{}", "a: nothing, expected 1"},
    {"{\"a\": 1}", "3", "3, expected {\"a\":1}"},
    {"{}", "{\"a\": 1}", NULL},
    {"{\"matches\": \"^a.c$\"}", "\"abc\"", NULL},
    {"{\"matches\": \"^a.c$\"}", "\"abd\"", "\"abd\", expected a match of \"^a.c$\""},
    {"{\"matches\": \"(\"}", "\"(\"", "\"(\", expected a match of \"(\""},
    {"{\"matches\": \"(x+x+)+y\"}", "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"",
     "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", expected a match of \"(x+x+)+y\""},
    {"{\"contains\": \"b\"}", "\"abc\"", NULL},
    {"{\"contains\": [\"a\", \"c\"]}", "\"abc\"", NULL},
    {"{\"contains\": [\"a\", \"d\"]}", "\"abc\"", "\"abc\", expected something that contains [\"a\",\"d\"]"},
    {"{\"contains\": {\"a\": 1}}", "[{\"a\": 2}, {\"a\": 1, \"b\": 1}]", NULL},
    {"{\"contains\": [1, 2]}", "[2, 1, 3]", NULL},
    {"{\"contains\": [4]}", "[2]", "[2], expected something that contains [4]"},
    {"{\"gt\": 1, \"lt\": 3}", "2", NULL},
    {"{\"gt\": 2}", "2", "2, expected more than 2"},
    {"{\"ge\": 2, \"le\": 2}", "2", NULL},
    {"{\"ge\": 3}", "2", "2, expected at least 3"},
    {"{\"lt\": 2}", "2", "2, expected less than 2"},
    {"{\"le\": 1}", "2", "2, expected at most 1"},
    {"{\"gt\": 1}", "\"2\"", "\"2\", expected more than 1"},
    {"{\"not\": 1}", "2", NULL},
    {"{\"not\": {\"contains\": \"a\"}}", "\"abc\"", "\"abc\", expected anything but {\"contains\":\"a\"}"},
    {"{\"any\": [1, {\"gt\": 5}]}", "7", NULL},
    {"{\"any\": [1, 2]}", "3", "3, expected one of [1,2]"},
    {"{\"count\": 2}", "[1, 2]", NULL},
    {"{\"count\": {\"gt\": 2}}", "{\"a\": 1}", "count: 1, expected more than 2"},
    {"{\"count\": 1}", "3", "count: nothing, expected 1"},
    {"{\"a\": {\"exists\": false}}", "{}", NULL},
    {"{\"a\": {\"exists\": true}}", "{\"a\": null}", NULL},
    {"{\"a\": {\"exists\": true}}", "{}", "a: nothing, expected something, not nothing"},
    {"{\"is\": \"string\"}", "\"a\"", NULL},
    {"{\"is\": \"number\"}", "1.5", NULL},
    {"{\"is\": \"boolean\"}", "false", NULL},
    {"{\"is\": \"list\"}", "{}", "{}, expected a \"list\""},
    {"{\"is\": \"map\"}", NULL, "nothing, expected a \"map\""},
};

static void test_match(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
        struct buf why = BUF_INIT;
        json_t *expected = parse(matches[i].expected), *value = parse(matches[i].value);
        bool ok = match(expected, value, &why);
        if (ok != (matches[i].why == NULL) || (!ok && strcmp(why.ptr, matches[i].why) != 0)) {
            fail_msg("%s and %s: %s", matches[i].expected, matches[i].value, why.ptr != NULL ? why.ptr : "fits");
        }
        assert_true(match(expected, value, NULL) == ok);
        json_decref(expected);
        json_decref(value);
        buf_free(&why);
    }
}

static void test_paths(void **state) {
    static const struct {
        const char *path, *value; /* NULL: nothing there */
    } places[] = {
        {"", "{\"a\":[{\"b\":1},{\"b\":2}],\"x.y\":3}"},
        {"a[0].b", "1"},
        {"a[-1].b", "2"},
        {"a.#", "2"},
        {"#", "2"},
        {"\"x.y\"", "3"},
        {"a[2]", NULL},
        {"a[-3]", NULL},
        {"a.b", NULL},
        {"c", NULL},
        {"a[x]", NULL},
    };
    (void)state;
    json_t *value = parse("{\"a\":[{\"b\":1},{\"b\":2}],\"x.y\":3}");
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        json_t *found = path_get(value, places[i].path);
        char *text = found != NULL ? json_text(found) : NULL;
        assert_true(str_eq(text, places[i].value));
        mem_free(text);
        json_decref(found);
    }
    assert_true(path_valid("a[0].b") && path_valid("") && path_valid("\"a.b\"[1]"));
    assert_false(path_valid("a..b") || path_valid("a[") || path_valid("\"a") || path_valid("[0]x"));
    json_decref(value);
}

static void test_variables(void **state) {
    static const struct {
        const char *given, *result, *error;
    } texts[] = {
        {"\"${n}\"", "3", NULL},
        {"\"n is ${n}\"", "\"n is 3\"", NULL},
        {"\"${job}\"", "{\"name\":\"7\"}", NULL},
        {"\"${job.name}/${job}\"", "\"7/{\\\"name\\\":\\\"7\\\"}\"", NULL},
        {"\"$${n}\"", "\"${n}\"", NULL},
        {"\"${ n }\"", "3", NULL},
        {"\"${n\"", "\"${n\"", NULL},
        {"[{\"${job.name}\": \"${n}\"}, 1, null]", "[{\"7\":3},1,null]", NULL},
        {"[\"${m}\"]", NULL, "there is no ${m}"},
        {"{\"${m}\": 1}", NULL, "there is no ${m}"},
        {"\"${}\"", "{\"n\":3,\"job\":{\"name\":\"7\"}}", NULL},
    };
    (void)state;
    json_t *vars = parse("{\"n\": 3, \"job\": {\"name\": \"7\"}}");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct error err = ERROR_INIT;
        json_t *given = json_loads(texts[i].given, JSON_DECODE_ANY, NULL);
        json_t *result = vars_expand(given, vars, &err);
        char *text = result != NULL ? json_text(result) : NULL;
        if (!str_eq(text, texts[i].result) || !str_eq(err.msg, texts[i].error)) {
            fail_msg("%s: %s, %s", texts[i].given, text != NULL ? text : "-", err.msg != NULL ? err.msg : "-");
        }
        mem_free(text);
        json_decref(given);
        json_decref(result);
        error_clear(&err);
    }
    json_decref(vars);
    assert_true(condition_holds("a == a") && condition_holds("a != b") && condition_holds("yes"));
    assert_false(condition_holds("a == b") || condition_holds("a != a") || condition_holds("") ||
                 condition_holds("false") || condition_holds(" 0 ") || condition_holds("null"));
}

int main(void) {
    mem_init_libraries();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_variables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
