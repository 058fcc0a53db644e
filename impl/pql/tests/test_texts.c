/* Small texts: times, JSON, dotted fields, and which language a query is in. */
#include "base/json.h"
#include "base/mem.h"
#include "pql/fieldpath.h"
#include "pql/lowercase.h"
#include "pql/plan.h"
#include "pql/query_text.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static json_t *recorded(const char *key) {
    json_t *file = json_load_file(SOURCE_DIR "/scenarios/golden/pql/texts.json", 0, NULL);
    assert_non_null(file);
    json_t *list = json_incref(json_object_get(file, key));
    assert_true(json_array_size(list) > 50);
    json_decref(file);
    return list;
}

/* Weeks, days of the year, times of no day, years of other than four digits; and a wrong day of the week is not looked
 * at. Nobody asks PuppetDB for these. */
static const char *const odd_times[] = {
    "2026-W01", "2026-W01-5",  "2026W015",    "2026-002",     "2026002", "03:04:05", "T03:04:05Z",
    "26-01-02", "12026-01-02", "-0001-01-01", "20260102T03Z", "202601",  "2026010",  "Mon, 02 Jan 2026 03:04:05 +0000"};

static bool is_odd(const char *text) {
    for (size_t i = 0; i < sizeof odd_times / sizeof odd_times[0]; i++) {
        if (strcmp(text, odd_times[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void test_times(void **state) {
    (void)state;
    json_t *times = recorded("times"), *item;
    size_t i;
    json_array_foreach(times, i, item) {
        const char *text = json_string_value(json_array_get(item, 0));
        const json_t *expected = json_array_get(item, 1);
        int64_t ms = 0;
        bool ok = plan_parse_time(span_of(text), &ms);
        bool same = json_is_null(expected) ? !ok : ok && ms == json_integer_value(expected);
        if (same == is_odd(text)) {
            fail_msg("%s: %lld", text, (long long)ms);
        }
    }
    json_decref(times);
}

static void test_lowercase(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"", ""},         {"NGINX_1", "nginx_1"}, {"ÉdgeÀÖØÞ×", "édgeàöøþ×"}, {"ĀĎŁŽĶ", "āďłžķ"}, {"āďłž", "āďłž"},
        {"ΑΣΩΈ", "ασωέ"}, {"ЖЁЯѠ", "жёяѡ"},       {"世界🚀", "世界🚀"},         {"\xc3", "\xc3"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct buf text = BUF_INIT;
        buf_append_cstr(&text, pairs[i][0]);
        lowercase(&text);
        char *got = buf_take(&text);
        assert_string_equal(got, pairs[i][1]);
        mem_free(got);
    }
}

static void test_json(void **state) {
    (void)state;
    json_t *texts = recorded("json"), *item;
    size_t i;
    json_array_foreach(texts, i, item) {
        struct error err = ERROR_INIT;
        json_t *expected = json_object_get(item, "value");
        const char *refusal = json_str(item, "error");
        json_t *value = query_parse_json(json_span(json_object_get(item, "text")), &err);
        bool nothing = refusal == NULL && json_is_null(expected);
        /* of two values that are objects PuppetDB's words differ in how keys are printed */
        bool loose = refusal != NULL && strstr(refusal, "{\"a\" 1}") != NULL && error_is_set(&err);
        bool same = refusal != NULL ? value == NULL && err.msg != NULL && (loose || strcmp(err.msg, refusal) == 0)
                    : nothing       ? !error_is_set(&err) && (value == NULL || json_is_null(value))
                                    : json_equal(value, expected);
        if (!same) {
            fail_msg("%s: %s", json_str(item, "text"), value != NULL ? "taken" : err.msg);
        }
        json_decref(value);
        error_clear(&err);
    }
    json_decref(texts);
}

static void test_json_limits(void **state) {
    (void)state;
    struct buf deep = BUF_INIT;
    struct error err = ERROR_INIT;
    for (int i = 0; i < 5000; i++) {
        buf_append_char(&deep, '[');
    }
    assert_null(query_parse_json(buf_span(&deep), &err));
    assert_non_null(strstr(err.msg, "nested deeper than"));
    error_clear(&err);
    buf_free(&deep);
    static const char *const texts[] = {"[\"\xff\"]", "[\"\\ud800\"]", "[1e999]"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_null(query_parse_json(span_of(texts[i]), &err));
        assert_string_equal(err.kind, "pql/json");
        error_clear(&err);
    }
}

static void test_languages(void **state) {
    (void)state;
    struct error err = ERROR_INIT;
    json_t *pql = query_parse(SPAN("nodes{}"), &err), *ast = query_parse(SPAN(" \n\t[\"from\",\"nodes\"]"), &err);
    assert_true(json_equal(pql, ast));
    json_decref(pql);
    json_decref(ast);
    assert_null(query_parse(SPAN("{\"a\":1}"), &err));
    assert_string_equal(err.kind, "pql/syntax");
    error_clear(&err);
    json_t *body = query_parse_body(SPAN("{\"a\":1} trailing"), &err); /* the first value counts */
    assert_int_equal(json_int(body, "a", 0), 1);
    json_decref(body);
    assert_null(query_parse_body(SPAN(""), &err));
    assert_false(error_is_set(&err));
    assert_null(query_parse_body(SPAN("nope"), &err));
    assert_string_equal(err.kind, "pql/json");
    error_clear(&err);
}

/* name, [index], ~pattern */
static char *shown(const struct field_path *p) {
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < p->count; i++) {
        buf_printf(&out, "%s%s%s", i > 0 ? "|" : "", p->parts[i].kind == FIELD_PART_MATCH ? "~" : "", p->parts[i].text);
        if (p->parts[i].kind == FIELD_PART_INDEXED) {
            buf_printf(&out, "[%lld]", (long long)p->parts[i].index);
        }
    }
    return buf_take(&out);
}

static void test_field_paths(void **state) {
    (void)state;
    static const struct {
        const char *text, *parts;
    } all[] = {
        {"certname", "certname"},
        {"facts.os.family", "facts|os|family"},
        {"facts.\"a.b\".c", "facts|a.b|c"},
        {"facts.disks[12].size", "facts|disks[12]|size"},
        {"facts.\"x y\"[0]", "facts|\"x y\"[0]"}, /* PuppetDB takes the quotes for a part of the name */
        {"facts.\"x.y[0]\"", "facts|x.y[0]"},
        {"facts.\"open", "facts|\"open"},
        {"latest_report?", "latest_report?"},
        {"facts.match(\"sd.*\").size", "facts|~sd.*|size"},
        {"facts.match(\"a\\.b\")", "facts|~a\\.b"},
        {"facts.match", "facts|match"},
        {"facts.kernel-release", "facts|kernel-release"},
        {"facts.\xc3\xbc", "facts|\xc3\xbc"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct field_path path;
        struct error err = ERROR_INIT;
        if (!field_path_parse(span_of(all[i].text), false, &path, &err)) {
            fail_msg("%s: %s", all[i].text, err.msg);
        }
        char *parts = shown(&path);
        assert_string_equal(parts, all[i].parts);
        mem_free(parts);
        assert_int_equal(field_path_has(&path, FIELD_PART_INDEXED), strchr(all[i].parts, '[') != NULL);
        field_path_free(&path);
    }
    static const char *const bad[] = {"", "1a", "facts.", "facts..a", "facts.\"\"", "f[0].a", "\"facts\".a"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct field_path path;
        struct error err = ERROR_INIT;
        if (field_path_parse(span_of(bad[i]), false, &path, &err)) {
            char *parts = shown(&path);
            fail_msg("%s: %s", bad[i], parts);
        }
        assert_string_equal(err.kind, "pql/field");
        error_clear(&err);
    }
}

int main(void) {
    mem_init_libraries();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),       cmocka_unit_test(test_lowercase), cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_limits), cmocka_unit_test(test_languages), cmocka_unit_test(test_field_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
