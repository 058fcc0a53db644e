/* pxp.md §10: each keyword with values that pass and values that fail, and schemas that are none. */
#include "base/json.h"
#include "base/mem.h"
#include "pxp/schema.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

static struct pxp_schema *schema_of(const char *text) {
    struct error err = ERROR_INIT;
    json_t *json = json_parse(span_of(text), "test", &err);
    assert_non_null(json);
    struct pxp_schema *s = pxp_schema_parse(json, &err);
    json_decref(json);
    if (s == NULL) {
        fail_msg("schema %s refused: %s", text, err.msg);
    }
    return s;
}

static bool valid(const struct pxp_schema *s, const char *value) {
    json_t *json = json_parse(span_of(value), "test", NULL);
    assert_non_null(json);
    struct error err = ERROR_INIT;
    bool ok = pxp_schema_check(s, json, &err);
    assert_int_equal(ok, !error_is_set(&err));
    error_clear(&err);
    json_decref(json);
    return ok;
}

struct sample {
    const char *schema;
    const char *good[6];
    const char *bad[6];
};

static const struct sample samples[] = {
    {"{}", {"1", "null", "{\"a\":1}"}, {NULL}},
    {"{\"type\":\"object\"}", {"{}"}, {"[]", "null"}},
    {"{\"type\":\"array\"}", {"[]"}, {"{}", "\"\""}},
    {"{\"type\":\"string\"}", {"\"\""}, {"1", "null"}},
    {"{\"type\":\"integer\"}", {"1", "-5"}, {"\"1\"", "1.5", "1.0"}},
    {"{\"type\":\"number\"}", {"1", "1.5"}, {"\"1\"", "true"}},
    {"{\"type\":\"boolean\"}", {"true", "false"}, {"0", "null"}},
    {"{\"type\":\"null\"}", {"null"}, {"0", "false"}},
    {"{\"type\":\"any\"}", {"null", "1", "{}"}, {NULL}},
    {"{\"type\":[\"string\",\"null\"]}", {"null", "\"x\""}, {"1"}},
    {"{\"type\":[\"null\",{\"type\":\"string\",\"maxLength\":1}]}", {"null", "\"x\""}, {"\"xy\"", "1"}},
    {"{\"properties\":{\"a\":{\"type\":\"integer\"}}}", {"{}", "{\"a\":1}", "{\"b\":\"x\"}", "5"}, {"{\"a\":\"1\"}"}},
    {"{\"patternProperties\":{\"^x\":{\"type\":\"integer\"}}}", {"{\"x1\":1,\"y\":\"\"}"}, {"{\"x1\":\"\"}"}},
    {"{\"properties\":{\"a\":{}},\"additionalProperties\":false}", {"{}", "{\"a\":1}"}, {"{\"b\":1}"}},
    {"{\"properties\":{\"a\":{}},\"additionalProperties\":true}", {"{\"b\":1}"}, {NULL}},
    {"{\"properties\":{\"a\":{}},\"additionalProperties\":{\"type\":\"null\"}}", {"{\"b\":null}"}, {"{\"b\":1}"}},
    {"{\"patternProperties\":{\"b\":{}},\"additionalProperties\":false}", {"{\"abc\":1}"}, {"{\"ac\":1}"}},
    {"{\"required\":[\"a\",\"b\"]}", {"{\"a\":1,\"b\":null}", "1"}, {"{\"a\":1}", "{}"}},
    {"{\"items\":{\"type\":\"integer\"}}", {"[]", "[1,2]", "{}"}, {"[1,\"2\"]"}},
    {"{\"items\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}", {"[1,\"x\",null]", "[1]"}, {"[\"x\"]"}},
    {"{\"items\":[{}],\"additionalItems\":false}", {"[1]", "[]"}, {"[1,2]"}},
    {"{\"items\":[{}],\"additionalItems\":{\"type\":\"null\"}}", {"[1,null]"}, {"[1,2]"}},
    {"{\"enum\":[1,\"a\",{\"k\":[1]}]}", {"1", "\"a\"", "{\"k\":[1]}"}, {"2", "\"1\"", "{\"k\":[2]}", "1.0"}},
    {"{\"allOf\":[{\"type\":\"integer\"},{\"minimum\":3}]}", {"3"}, {"2", "\"3\""}},
    {"{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"null\"}]}", {"3", "null"}, {"\"3\""}},
    {"{\"oneOf\":[{\"minimum\":3},{\"maximum\":5}]}", {"2", "6"}, {"4"}},
    {"{\"not\":{\"type\":\"null\"}}", {"1"}, {"null"}},
    {"{\"dependencies\":{\"a\":[\"b\"]}}", {"{\"a\":1,\"b\":1}", "{\"b\":1}"}, {"{\"a\":1}"}},
    {"{\"dependencies\":{\"a\":\"b\"}}", {"{\"a\":1,\"b\":1}"}, {"{\"a\":1}"}},
    {"{\"dependencies\":{\"a\":{\"minProperties\":2}}}", {"{\"a\":1,\"b\":1}"}, {"{\"a\":1}"}},
    {"{\"minimum\":3}", {"3", "3.5", "\"1\""}, {"2", "2.9"}},
    {"{\"minimum\":3,\"exclusiveMinimum\":true}", {"4", "3.1"}, {"3"}},
    {"{\"maximum\":3}", {"3", "-1"}, {"4", "3.1"}},
    {"{\"maximum\":3,\"exclusiveMaximum\":true}", {"2"}, {"3"}},
    {"{\"maximum\":9007199254740992}", {"9007199254740992"}, {"9007199254740993"}},
    {"{\"multipleOf\":3}", {"9", "0", "-3"}, {"4"}},
    {"{\"divisibleBy\":0.5}", {"1.5", "2"}, {"1.25"}},
    {"{\"minLength\":2}", {"\"ab\"", "\"\u00e9\u00e9\"", "1"}, {"\"a\"", "\"\u00e9\""}},
    {"{\"maxLength\":2}", {"\"\u2603\u2603\""}, {"\"abc\""}},
    {"{\"minItems\":1}", {"[1]"}, {"[]"}},
    {"{\"maxItems\":1}", {"[1]"}, {"[1,2]"}},
    {"{\"uniqueItems\":true}", {"[1,2]", "[1,\"1\"]"}, {"[1,1]", "[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1}]"}},
    {"{\"uniqueItems\":false}", {"[1,1]"}, {NULL}},
    {"{\"minProperties\":1}", {"{\"a\":1}"}, {"{}"}},
    {"{\"maxProperties\":1}", {"{\"a\":1}"}, {"{\"a\":1,\"b\":1}"}},
    {"{\"pattern\":\"b+\"}", {"\"abc\"", "1"}, {"\"ac\""}},
    {"{\"definitions\":{\"p/x\":{\"type\":\"null\"}},\"properties\":{\"a\":{\"$ref\":\"#/definitions/p~1x\"}}}",
     {"{\"a\":null}"},
     {"{\"a\":1}"}},
    {"{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":\"#\"}}}",
     {"{\"next\":{\"next\":{}}}"},
     {"{\"next\":{\"next\":1}}"}},
    {"{\"title\":1,\"description\":[],\"format\":\"date\",\"unheard\":{}}", {"1"}, {NULL}},
};

static void each_keyword(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct pxp_schema *s = schema_of(samples[i].schema);
        for (size_t k = 0; k < 6; k++) {
            if (samples[i].good[k] != NULL && !valid(s, samples[i].good[k])) {
                fail_msg("%s refuses %s", samples[i].schema, samples[i].good[k]);
            }
            if (samples[i].bad[k] != NULL && valid(s, samples[i].bad[k])) {
                fail_msg("%s accepts %s", samples[i].schema, samples[i].bad[k]);
            }
        }
        pxp_schema_free(s);
    }
}

static void schemas_that_are_none(void **state) {
    (void)state;
    const char *bad[] = {
        "1",
        "[]",
        "{\"type\":5}",
        "{\"type\":\"strin\"}",
        "{\"type\":[\"strin\"]}",
        "{\"type\":[{\"type\":1}]}",
        "{\"properties\":[]}",
        "{\"properties\":{\"a\":1}}",
        "{\"patternProperties\":1}",
        "{\"patternProperties\":{\"(\":{}}}",
        "{\"patternProperties\":{\"a\":1}}",
        "{\"additionalProperties\":1}",
        "{\"required\":true}",
        "{\"required\":[1]}",
        "{\"items\":1}",
        "{\"items\":[1]}",
        "{\"additionalItems\":1}",
        "{\"enum\":1}",
        "{\"allOf\":{}}",
        "{\"anyOf\":[]}",
        "{\"oneOf\":[1]}",
        "{\"not\":1}",
        "{\"dependencies\":1}",
        "{\"dependencies\":{\"a\":1}}",
        "{\"dependencies\":{\"a\":[1]}}",
        "{\"dependencies\":{\"a\":{\"type\":1}}}",
        "{\"minimum\":\"1\"}",
        "{\"maximum\":null}",
        "{\"exclusiveMinimum\":true}",
        "{\"exclusiveMaximum\":true}",
        "{\"minimum\":1,\"exclusiveMinimum\":1}",
        "{\"multipleOf\":0}",
        "{\"divisibleBy\":-1}",
        "{\"minLength\":-1}",
        "{\"maxLength\":\"1\"}",
        "{\"minItems\":1.5}",
        "{\"maxItems\":null}",
        "{\"minProperties\":-1}",
        "{\"maxProperties\":[]}",
        "{\"uniqueItems\":1}",
        "{\"pattern\":1}",
        "{\"pattern\":\"[\"}",
        "{\"$ref\":\"#/no\"}",
        "{\"$ref\":\"http://example.com/x\"}",
        "{\"$ref\":1}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error err = ERROR_INIT;
        json_t *json = json_parse(span_of(bad[i]), "test", &err);
        assert_non_null(json);
        if (pxp_schema_parse(json, &err) != NULL) {
            fail_msg("accepted %s", bad[i]);
        }
        assert_string_equal(err.kind, "pxp/bad-schema");
        error_clear(&err);
        json_decref(json);
    }
}

static void built_in_schemas_are_closed(void **state) {
    (void)state;
    struct pxp_schema *s = pxp_schema_closed("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}");
    assert_true(valid(s, "{\"a\":\"\"}"));
    assert_true(valid(s, "{}"));
    assert_false(valid(s, "{\"b\":1}"));
    pxp_schema_free(s);
    s = pxp_schema_closed("{\"type\":\"object\"}");
    assert_true(valid(s, "{\"b\":1}"));
    pxp_schema_free(s);
    s = pxp_schema_closed("{\"properties\":{\"a\":{}},\"additionalProperties\":true}");
    assert_true(valid(s, "{\"b\":1}"));
    pxp_schema_free(s);
}

static void errors_name_the_place(void **state) {
    (void)state;
    struct pxp_schema *s = schema_of("{\"properties\":{\"a\":{\"items\":{\"required\":[\"x\"]}}}}");
    json_t *value = json_parse(SPAN("{\"a\":[{\"x\":1},{}]}"), "test", NULL);
    struct error err = ERROR_INIT;
    assert_false(pxp_schema_check(s, value, &err));
    assert_string_equal(err.msg, "/a/1 lacks \"x\"");
    error_clear(&err);
    json_decref(value);
    pxp_schema_free(s);
}

static void limits_hold(void **state) {
    (void)state;
    struct pxp_schema *s = schema_of("{\"$ref\":\"#\"}"); /* depth */
    assert_false(valid(s, "1"));
    pxp_schema_free(s);
    s = schema_of("{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#\"},{\"items\":{\"$ref\":\"#\"},\"type\":\"array\"}]}");
    assert_true(valid(s, "[null,[null]]")); /* of itself only in what is smaller */
    json_t *value = json_parse(SPAN("[1]"), "test", NULL);
    struct error err = ERROR_INIT;
    assert_false(pxp_schema_check(s, value, &err));
    json_decref(value);
    error_clear(&err);
    pxp_schema_free(s);
    s = schema_of("{\"allOf\":[{\"$ref\":\"#\"}]}");
    value = json_parse(SPAN("[1]"), "test", NULL);
    assert_false(pxp_schema_check(s, value, &err));
    assert_string_equal(err.msg, "the value is held against a schema that refers to itself");
    json_decref(value);
    error_clear(&err);
    pxp_schema_free(s);
    struct buf doubled = BUF_INIT; /* each definition twice the next: steps */
    buf_append_cstr(&doubled, "{\"definitions\":{");
    for (int i = 0; i < 40; i++) {
        buf_printf(&doubled, "\"d%d\":{\"anyOf\":[{\"$ref\":\"#/definitions/d%d\"},{\"$ref\":\"#/definitions/d%d\"}]},",
                   i, i + 1, i + 1);
    }
    buf_append_cstr(&doubled, "\"d40\":{\"type\":\"null\"}},\"$ref\":\"#/definitions/d0\"}");
    s = schema_of(doubled.ptr);
    assert_false(valid(s, "1"));
    pxp_schema_free(s);
    buf_free(&doubled);
    s = schema_of("{\"pattern\":\"^(a+)+$\"}"); /* pattern steps */
    assert_false(valid(s, "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\""));
    pxp_schema_free(s);
    json_t *json = json_object(); /* nodes */
    json_t *list = json_array();
    for (int i = 0; i < PXP_SCHEMA_NODES_MAX; i++) {
        json_array_append_new(list, json_object());
    }
    json_set(json, "anyOf", list);
    assert_null(pxp_schema_parse(json, &err));
    assert_string_equal(err.msg, "\"anyOf\" has too many sub-schemas");
    error_clear(&err);
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_keyword),
        cmocka_unit_test(schemas_that_are_none),
        cmocka_unit_test(built_in_schemas_are_closed),
        cmocka_unit_test(errors_name_the_place),
        cmocka_unit_test(limits_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
