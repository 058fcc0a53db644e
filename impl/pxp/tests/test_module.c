/* pxp.md §6 and §9: metadata, and what a request is told. */
#include "base/json.h"
#include "pxp/module.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

#define GOOD_ACTION "{\"name\":\"run\",\"description\":\"d\",\"input\":{},\"results\":{}}"

static void good_metadata(void **state) {
    (void)state;
    const char *texts[] = {
        "{\"description\":\"d\",\"actions\":[]}",
        "{\"description\":\"d\",\"configuration\":{\"type\":\"object\"},\"actions\":[" GOOD_ACTION "]}",
        "{\"description\":\"d\",\"actions\":[{\"name\":\"a\",\"input\":{},\"results\":{}}," GOOD_ACTION "]}",
    };
    for (size_t i = 0; i < 3; i++) {
        struct error err = ERROR_INIT;
        struct pxp_module *m = pxp_module_parse("m", span_of(texts[i]), &err);
        if (m == NULL) {
            fail_msg("%s: %s", texts[i], err.msg);
        }
        assert_int_equal(m->action_count, i);
        assert_int_equal(m->configuration != NULL, i == 1);
        pxp_module_free(m);
    }
}

static void bad_metadata(void **state) {
    (void)state;
    const struct {
        const char *text, *says;
    } cases[] = {
        {"", "not valid JSON"},
        {"{} {}", "not valid JSON"},
        {"[]", "the value is of the wrong type"},
        {"{\"actions\":[]}", "lacks \"description\""},
        {"{\"description\":1,\"actions\":[]}", "/description is of the wrong type"},
        {"{\"description\":\"d\"}", "lacks \"actions\""},
        {"{\"description\":\"d\",\"actions\":{}}", "/actions is of the wrong type"},
        {"{\"description\":\"d\",\"actions\":[],\"extra\":1}", "/extra is not allowed"},
        {"{\"description\":\"d\",\"actions\":[],\"configuration\":1}", "/configuration is of the wrong type"},
        {"{\"description\":\"d\",\"actions\":[],\"configuration\":{\"type\":1}}", "configuration is not a JSON schema"},
        {"{\"description\":\"d\",\"actions\":[1]}", "/actions/0 is of the wrong type"},
        {"{\"description\":\"d\",\"actions\":[{\"input\":{},\"results\":{}}]}", "lacks \"name\""},
        {"{\"description\":\"d\",\"actions\":[{\"name\":\"a\",\"results\":{}}]}", "lacks \"input\""},
        {"{\"description\":\"d\",\"actions\":[{\"name\":\"a\",\"input\":{}}]}", "lacks \"results\""},
        {"{\"description\":\"d\",\"actions\":[{\"name\":1,\"input\":{},\"results\":{}}]}", "/actions/0/name"},
        {"{\"description\":\"d\",\"actions\":[{\"name\":\"a\",\"input\":1,\"results\":{}}]}", "/actions/0/input"},
        {"{\"description\":\"d\",\"actions\":[{\"name\":\"a\",\"input\":{},\"results\":[]}]}", "/actions/0/results"},
        {"{\"description\":\"d\",\"actions\":[{\"name\":\"a\",\"description\":1,\"input\":{},\"results\":{}}]}",
         "/actions/0/description"},
        {"{\"description\":\"d\",\"actions\":[{\"name\":\"a\",\"input\":{},\"results\":{},\"x\":1}]}",
         "/actions/0/x is not allowed"},
        {"{\"description\":\"d\",\"actions\":[{\"name\":\"a\",\"input\":{\"type\":\"strin\"},\"results\":{}}]}",
         "action 'a': input is not a JSON schema"},
        {"{\"description\":\"d\",\"actions\":[{\"name\":\"a\",\"input\":{},\"results\":{\"enum\":1}}]}",
         "action 'a': results is not a JSON schema"},
        {"{\"description\":\"d\",\"actions\":[" GOOD_ACTION "," GOOD_ACTION "]}", "action 'run' is defined twice"},
        {"{\"description\":\"d\",\"actions\":[{\"name\":\"a\\u0000b\",\"input\":{},\"results\":{}}]}", "NUL"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = ERROR_INIT;
        struct pxp_module *m = pxp_module_parse("m", span_of(cases[i].text), &err);
        if (m != NULL) {
            fail_msg("accepted: %s", cases[i].text);
        }
        assert_string_equal(err.kind, "pxp/bad-metadata");
        if (strstr(err.msg, cases[i].says) == NULL) {
            fail_msg("%s: says \"%s\", not \"%s\"", cases[i].text, err.msg, cases[i].says);
        }
        error_clear(&err);
    }
}

static void says(const struct pxp_module *m, bool blocking, const char *module, const char *action, const char *params,
                 const char *expected) {
    json_t *json = json_parse(span_of(params), "test", NULL);
    struct pxp_request r = {blocking, SPAN("42"), span_of(module), span_of(action), json, false, NULL};
    struct error err = ERROR_INIT;
    bool ok = pxp_module_check(m, &r, &err);
    assert_int_equal(ok, expected == NULL);
    if (!ok) {
        assert_string_equal(err.kind, "pxp/refused");
        assert_string_equal(err.msg, expected);
    }
    error_clear(&err);
    json_decref(json);
}

static void requests_are_checked_in_order(void **state) {
    (void)state;
    struct pxp_module *m = pxp_module_new("ping");
    m->blocking_only = true;
    assert_true(pxp_module_add(m, "ping", pxp_schema_closed("{\"properties\":{\"t\":{\"type\":\"string\"}}}"), NULL));
    assert_false(pxp_module_add(m, "ping", pxp_schema_closed("{}"), NULL));
    says(NULL, true, "nope", "run", "{}", "unknown module: nope");
    says(m, true, "ping", "nope", "{\"x\":1}", "unknown action 'nope' for module 'ping'");
    says(m, false, "ping", "ping", "{\"x\":1}", "the module 'ping' supports only blocking PXP requests");
    says(m, true, "ping", "ping", "{\"x\":1}", "invalid input for blocking 'ping ping' request (transaction 42)");
    says(m, true, "ping", "ping", "{\"t\":\"\"}", NULL);
    m->blocking_only = false;
    says(m, false, "ping", "ping", "{\"t\":5}", "invalid input for non blocking 'ping ping' request (transaction 42)");
    pxp_module_free(m);
    m = pxp_module_new("status");
    says(m, true, "status", "other", "{}", "unknown module: status");
    pxp_module_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_metadata),
        cmocka_unit_test(bad_metadata),
        cmocka_unit_test(requests_are_checked_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
