/* Values against Puppet data types, and a task's parameters against its metadata. */
#include "orchestrator/api/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *type, *value;
    bool fits;
} cases[] = {
    {"Any", "{}", true},
    {"Data", "[1]", true},
    {"String", "\"\"", true},
    {"String", "1", false},
    {"String[1]", "\"\"", false},
    {"String[1, 2]", "\"ä\xc3\xb6\"", true},
    {"String[1,2]", "\"abc\"", false},
    {"String['x']", "\"x\"", true},
    {"String['x']", "\"y\"", false},
    {"Integer", "1", true},
    {"Integer", "1.0", false},
    {"Integer", "\"1\"", false},
    {"Integer[0]", "-1", false},
    {"Integer[default, 5]", "6", false},
    {"Integer[-3, 0x10]", "16", true},
    {"Float", "1.5", true},
    {"Float", "1", false},
    {"Float[0.5, 1.5]", "1.6", false},
    {"Numeric", "1", true},
    {"Numeric", "\"1\"", false},
    {"Boolean", "true", true},
    {"Boolean[true]", "false", false},
    {"Boolean", "0", false},
    {"Enum['a', \"b\"]", "\"b\"", true},
    {"Enum[a]", "\"b\"", true}, /* no type at all: not to be told */
    {"Enum['a', 'b']", "\"c\"", false},
    {"Enum['a', true]", "\"A\"", true},
    {"Enum['it\\'s']", "\"it's\"", true},
    {"Pattern[/^a+$/]", "\"aaa\"", true},
    {"Pattern[/^a+$/, /^b$/]", "\"b\"", true},
    {"Pattern[/\\A\\/[^]]*\\z/]", "\"/x\"", true},
    {"Pattern[/^a$/]", "\"b\"", false},
    {"Pattern[/(/]", "\"b\"", true}, /* no pattern at all: not to be told */
    {"Optional[Integer]", "null", true},
    {"Optional[Integer]", "\"x\"", false},
    {"Optional", "\"x\"", true},
    {"NotUndef", "null", false},
    {"NotUndef[Integer]", "1", true},
    {"Undef", "null", true},
    {"Undef", "1", false},
    {"Scalar", "[]", false},
    {"Sensitive[String[3]]", "\"abc\"", true},
    {"Sensitive[String[3]]", "\"ab\"", false},
    {"Variant[Integer, Enum['all']]", "\"all\"", true},
    {"Variant[Integer, Enum['all']]", "\"one\"", false},
    {"Array", "[1, \"a\"]", true},
    {"Array", "{}", false},
    {"Array[String]", "[\"a\", 1]", false},
    {"Array[String, 1, 2]", "[]", false},
    {"Array[Array[Integer], 1]", "[[1], [2]]", true},
    {"Array[Array[Integer], 1]", "[[1], [\"2\"]]", false},
    {"Array[1]", "[]", false},
    {"Hash", "{\"a\": 1}", true},
    {"Hash[String, Integer]", "{\"a\": \"b\"}", false},
    {"Hash[Pattern[/^a/], Any, 1]", "{\"b\": 1}", false},
    {"Hash[String, Any, 1]", "{}", false},
    {"Collection[1]", "[]", false},
    {"Tuple[String, Integer]", "[\"a\", 1]", true},
    {"Tuple[String, Integer]", "[\"a\"]", false},
    {"Tuple[String, Integer, 1, 3]", "[\"a\", 1, 2]", true},
    {"Struct[{name => String, Optional['port'] => Integer}]", "{\"name\": 1}", true}, /* bare keys: not to be told */
    {"Struct[{'name' => String, Optional['port'] => Integer}]", "{\"name\": \"x\"}", true},
    {"Struct[{'name' => String, Optional['port'] => Integer}]", "{\"name\": \"x\", \"port\": \"y\"}", false},
    {"Struct[{'name' => String}]", "{\"name\": \"x\", \"more\": 1}", false},
    {"Struct[{'name' => String}]", "{}", false},
    {"Struct[{'a' => Struct[{'b' => Integer}], 'c' => Optional[String]}]", "{\"a\": {\"b\": 1}}", true},
    {"Struct[{'a' => Struct[{'b' => Integer}]}]", "{\"a\": {\"b\": \"1\"}}", false},
    {"Regexp", "\"x\"", false},
    {"Stdlib::Port", "\"x\"", true}, /* only a module knows it */
    {"Array[Stdlib::Port]", "\"x\"", false},
    {"Integer[", "\"x\"", true},
    {"", "1", true},
};

static void test_types(void **ctx) {
    (void)ctx;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *value = json_loads(cases[i].value, JSON_DECODE_ANY, NULL);
        struct buf why = BUF_INIT;
        assert_non_null(value);
        if (param_type_fits(cases[i].type, value, &why) != cases[i].fits) {
            fail_msg("%s and %s: %s", cases[i].type, cases[i].value, why.len != 0 ? why.ptr : "fits");
        }
        assert_int_equal(why.len == 0, cases[i].fits);
        buf_free(&why);
        json_decref(value);
    }
}

/* A type as deep as a text can be ends, and does not end us. */
static void test_deep(void **ctx) {
    struct buf type = BUF_INIT;
    json_t *value = json_array();
    (void)ctx;
    for (int i = 0; i < 2000; i++) {
        buf_append_cstr(&type, "Optional[");
    }
    assert_true(param_type_fits(type.ptr, value, NULL));
    for (int i = 0; i < 2000; i++) {
        buf_append_char(&type, ']');
    }
    assert_true(param_type_fits(type.ptr, value, NULL));
    buf_free(&type);
    json_decref(value);
}

#define SPECS                                                                                                          \
    "{\"parameters\": {\"n\": {\"type\": \"Integer\"}, \"d\": {\"type\": \"String\", \"default\": \"x\"}, \"o\": "     \
    "{\"type\": \"Optional[String]\"}, \"s\": {\"type\": \"String[4]\", \"sensitive\": true, \"default\": \"none\"}, " \
    "\"a\": {}}}"
static const struct {
    const char *metadata, *given;
    const char *params; /* NULL: refused */
} tasks[] = {
    {"{}", "{\"any\": 1}", "{\"any\": 1}"},
    {"{\"parameters\": null}", "{\"any\": 1}", "{\"any\": 1}"},
    {"{\"parameters\": {}}", "{\"any\": 1}", NULL},
    {"{\"parameters\": {}}", "{\"_any\": 1}", "{\"_any\": 1}"},
    {SPECS, "{\"n\": 1}", "{\"n\": 1, \"d\": \"x\", \"s\": \"none\"}"},
    {SPECS, "{\"n\": 1, \"d\": null, \"o\": null}", "{\"n\": 1, \"d\": \"x\", \"o\": null, \"s\": \"none\"}"},
    {SPECS, "{}", NULL},
    {SPECS, "{\"n\": null}", NULL},
    {SPECS, "{\"n\": 1, \"z\": \"hush\"}", NULL},
    {SPECS, "{\"n\": 1, \"s\": \"hus\"}", NULL},
};

static void test_params(void **ctx) {
    (void)ctx;
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
        json_t *metadata = json_loads(tasks[i].metadata, 0, NULL), *given = json_loads(tasks[i].given, 0, NULL);
        json_t *expected = tasks[i].params != NULL ? json_loads(tasks[i].params, 0, NULL) : NULL;
        json_t *params = NULL, *sensitive = NULL;
        struct error err = ERROR_INIT;
        assert_int_equal(params_check("t", metadata, given, &params, &sensitive, &err), expected != NULL);
        if (expected != NULL) {
            assert_true(json_equal(params, expected));
        } else {
            json_t *shown = error_to_json(&err);
            char *text = json_dumps(shown, 0);
            assert_string_equal(err.kind, "puppetlabs.orchestrator/validation-error");
            assert_null(strstr(text, "hus"));
            free(text);
            json_decref(shown);
        }
        json_decref(metadata);
        json_decref(given);
        json_decref(expected);
        json_decref(params);
        json_decref(sensitive);
        error_clear(&err);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_params),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
