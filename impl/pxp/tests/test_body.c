/* pxp.md §17: every schema of §4, minimal, full, and with each single thing wrong. */
#include "base/json.h"
#include "base/mem.h"
#include "pxp/body.h"
#include "pxp/status.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
/* cmocka wants the four headers above first */
#include <cmocka.h>

static void refused(enum pxp_type type, const char *text, const char *kind, const char *msg) {
    struct pxp_request r;
    struct error err = ERROR_INIT;
    if (pxp_request_parse(type, text == NULL ? span_of(NULL) : span_of(text), &r, &err)) {
        fail_msg("accepted: %s", text);
    }
    assert_string_equal(err.kind, kind);
    assert_string_equal(err.msg, msg);
    error_clear(&err);
}

static void accepted(enum pxp_type type, const char *text) {
    struct pxp_request r;
    struct error err = ERROR_INIT;
    if (!pxp_request_parse(type, span_of(text), &r, &err)) {
        fail_msg("refused (%s): %s", err.msg, text);
    }
    assert_non_null(r.params);
    pxp_request_free(&r);
}

#define FULL "{\"transaction_id\":\"t\",\"module\":\"m\",\"action\":\"a\",\"params\":{\"k\":[1]}}"
#define FULL_NB                                                                                                        \
    "{\"transaction_id\":\"t\",\"notify_outcome\":true,\"module\":\"m\",\"action\":\"a\",\"params\":{\"k\":[1]}}"

/* The text with `key` left out, or set to another value. */
static char *variant(const char *text, const char *key, const char *value) {
    json_t *json = json_parse(span_of(text), "test", NULL);
    if (value == NULL) {
        json_object_del(json, key);
    } else {
        json_set(json, key, json_parse(span_of(value), "test", NULL));
    }
    char *out = json_text(json);
    json_decref(json);
    return out;
}

static void refused_variant(enum pxp_type type, const char *text, const char *key, const char *value) {
    char *changed = variant(text, key, value);
    refused(type, changed, "pxp/invalid-data", "invalid data");
    mem_free(changed);
}

static void requests_minimal_and_full(void **state) {
    (void)state;
    accepted(PXP_BLOCKING_REQUEST, FULL);
    accepted(PXP_BLOCKING_REQUEST, "{\"transaction_id\":\"\",\"module\":\"\",\"action\":\"\"}");
    accepted(PXP_NON_BLOCKING_REQUEST, FULL_NB);
    accepted(PXP_NON_BLOCKING_REQUEST,
             "{\"transaction_id\":\"t\",\"module\":\"m\",\"action\":\"a\",\"notify_outcome\":false}");
}

static void requests_with_one_thing_wrong(void **state) {
    (void)state;
    const struct {
        enum pxp_type type;
        const char *text;
    } kinds[] = {{PXP_BLOCKING_REQUEST, FULL}, {PXP_NON_BLOCKING_REQUEST, FULL_NB}};
    for (size_t k = 0; k < 2; k++) {
        const char *strings[] = {"transaction_id", "module", "action"};
        for (size_t i = 0; i < 3; i++) {
            refused_variant(kinds[k].type, kinds[k].text, strings[i], NULL);
            refused_variant(kinds[k].type, kinds[k].text, strings[i], "1");
            refused_variant(kinds[k].type, kinds[k].text, strings[i], "null");
        }
        refused_variant(kinds[k].type, kinds[k].text, "params", "null");
        refused_variant(kinds[k].type, kinds[k].text, "params", "[]");
        refused_variant(kinds[k].type, kinds[k].text, "params", "\"text\"");
        refused_variant(kinds[k].type, kinds[k].text, "extra", "1");
    }
    refused_variant(PXP_BLOCKING_REQUEST, FULL, "notify_outcome", "true");
    refused_variant(PXP_NON_BLOCKING_REQUEST, FULL_NB, "notify_outcome", NULL);
    refused_variant(PXP_NON_BLOCKING_REQUEST, FULL_NB, "notify_outcome", "1");
}

static void requests_without_data_or_not_json(void **state) {
    (void)state;
    refused(PXP_BLOCKING_REQUEST, NULL, "pxp/no-data", "no data");
    refused(PXP_BLOCKING_REQUEST, "", "pxp/no-data", "no data");
    refused(PXP_BLOCKING_REQUEST, "xx", "pxp/invalid-data", "invalid data");
    refused(PXP_BLOCKING_REQUEST, "null", "pxp/invalid-data", "invalid data");
    refused(PXP_NON_BLOCKING_REQUEST, "\"hello\"", "pxp/invalid-data", "invalid data");
    refused(PXP_NON_BLOCKING_REQUEST, "[]", "pxp/invalid-data", "invalid data");
}

static void params_absent_equals_empty(void **state) {
    (void)state;
    struct pxp_request r;
    assert_true(pxp_request_parse(PXP_BLOCKING_REQUEST,
                                  SPAN("{\"transaction_id\":\"t\",\"module\":\"m\",\"action\":\"a\"}"), &r, NULL));
    assert_true(json_is_object(r.params));
    assert_int_equal(json_object_size(r.params), 0);
    pxp_request_free(&r);
}

static void requests_are_written_as_read(void **state) {
    (void)state;
    const char *texts[] = {FULL, FULL_NB,
                           "{\"transaction_id\":\"\\\"\\u0000\",\"module\":\"m\",\"action\":\"a\",\"params\":{}}"};
    for (size_t i = 0; i < 3; i++) {
        struct pxp_request r;
        enum pxp_type type = i == 1 ? PXP_NON_BLOCKING_REQUEST : PXP_BLOCKING_REQUEST;
        assert_true(pxp_request_parse(type, span_of(texts[i]), &r, NULL));
        struct buf out = BUF_INIT;
        pxp_request_write(&out, &r);
        assert_string_equal(out.ptr, texts[i]);
        buf_free(&out);
        pxp_request_free(&r);
    }
}

static void params_may_be_left_out_when_writing(void **state) {
    (void)state;
    struct buf out = BUF_INIT;
    pxp_request_write(&out,
                      &(struct pxp_request){.transaction_id = SPAN("t"), .module = SPAN("m"), .action = SPAN("a")});
    assert_string_equal(out.ptr,
                        "{\"transaction_id\":\"t\",\"notify_outcome\":false,\"module\":\"m\",\"action\":\"a\"}");
    buf_free(&out);
}

static void types_have_their_names(void **state) {
    (void)state;
    for (enum pxp_type t = PXP_BLOCKING_REQUEST; t < PXP_NONE; t++) {
        assert_int_equal(pxp_type_of(span_of(pxp_type_uri(t))), t);
    }
    assert_int_equal(pxp_type_of(SPAN("http://puppetlabs.com/error_message")), PXP_NONE);
    assert_int_equal(pxp_type_of(SPAN("http://puppetlabs.com/rpc_blocking_requestx")), PXP_NONE);
}

/* ---------------------------------------------------------------------------------------- responses */

static void response_refused(enum pxp_type type, enum pxp_dialect dialect, const char *text) {
    struct pxp_response r;
    struct error err = ERROR_INIT;
    if (pxp_response_parse(type, dialect, span_of(text), &r, &err)) {
        fail_msg("accepted: %s", text);
    }
    assert_non_null(err.msg);
    error_clear(&err);
}

static void responses_and_errors(void **state) {
    (void)state;
    struct pxp_response r;
    struct buf out = BUF_INIT;
    json_t *results = json_pack("{s:i}", "exitcode", 3);
    pxp_response_write(&out, SPAN("t"), results);
    assert_string_equal(out.ptr, "{\"transaction_id\":\"t\",\"results\":{\"exitcode\":3}}");
    assert_true(pxp_response_parse(PXP_BLOCKING_RESPONSE, PXP_V1, buf_span(&out), &r, NULL));
    assert_true(json_equal(r.results, results));
    pxp_response_free(&r);
    json_decref(results);

    buf_clear(&out);
    pxp_error_write(&out, SPAN("t"), SPAN("id"), SPAN("no \xff way"));
    assert_string_equal(out.ptr, "{\"transaction_id\":\"t\",\"id\":\"id\",\"description\":\"no \xef\xbf\xbd way\"}");
    assert_true(pxp_response_parse(PXP_ERROR, PXP_V1, buf_span(&out), &r, NULL));
    assert_true(span_eq_cstr(r.request_id, "id"));
    assert_true(span_eq_cstr(r.description, "no \xef\xbf\xbd way"));
    pxp_response_free(&r);

    buf_clear(&out);
    pxp_provisional_write(&out, SPAN("t"));
    assert_string_equal(out.ptr, "{\"transaction_id\":\"t\"}");
    assert_true(pxp_response_parse(PXP_PROVISIONAL_RESPONSE, PXP_V1, buf_span(&out), &r, NULL));
    pxp_response_free(&r);
    buf_free(&out);
}

static void responses_with_one_thing_wrong(void **state) {
    (void)state;
    const char *bad_responses[] = {"",
                                   "x",
                                   "[]",
                                   "{\"transaction_id\":\"t\"}",
                                   "{\"results\":{}}",
                                   "{\"transaction_id\":1,\"results\":{}}",
                                   "{\"transaction_id\":\"t\",\"results\":{},\"x\":1}"};
    for (size_t i = 0; i < sizeof bad_responses / sizeof bad_responses[0]; i++) {
        response_refused(PXP_NON_BLOCKING_RESPONSE, PXP_V1, bad_responses[i]);
    }
    response_refused(PXP_PROVISIONAL_RESPONSE, PXP_V1, "{}");
    response_refused(PXP_PROVISIONAL_RESPONSE, PXP_NEXT, "{\"transaction_id\":\"t\",\"x\":1}");
    const char *keys[] = {"transaction_id", "id", "description"};
    for (size_t i = 0; i < 3; i++) {
        const char *full = "{\"transaction_id\":\"t\",\"id\":\"i\",\"description\":\"d\"}";
        char *without = variant(full, keys[i], NULL);
        char *wrong = variant(full, keys[i], "1");
        response_refused(PXP_ERROR, PXP_V1, without);
        response_refused(PXP_ERROR, PXP_V1, wrong);
        mem_free(without);
        mem_free(wrong);
    }
}

#define NEXT_RESPONSE                                                                                                  \
    "{\"transaction_id\":\"t\",\"output\":{\"stdout\":{\"a\":1},\"exitcode\":0},"                                      \
    "\"metadata\":{\"module\":\"m\",\"action\":\"a\",\"start\":\"s\",\"end\":\"e\"}}"

static void next_form_is_read_on_request(void **state) {
    (void)state;
    struct pxp_response r;
    response_refused(PXP_BLOCKING_RESPONSE, PXP_V1, NEXT_RESPONSE);
    assert_true(pxp_response_parse(PXP_BLOCKING_RESPONSE, PXP_NEXT, span_of(NEXT_RESPONSE), &r, NULL));
    assert_int_equal(json_int(r.results, "exitcode", -1), 0);
    assert_string_equal(json_str(r.metadata, "module"), "m");
    pxp_response_free(&r);
    response_refused(PXP_BLOCKING_RESPONSE, PXP_NEXT, "{\"transaction_id\":\"t\",\"output\":{\"exitcode\":0}}");
    const char *error = "{\"transaction_id\":\"t\",\"id\":\"i\",\"metadata\":{\"execution_error\":\"why\","
                        "\"module\":\"m\",\"action\":\"a\",\"start\":\"s\"}}";
    assert_true(pxp_response_parse(PXP_ERROR, PXP_NEXT, span_of(error), &r, NULL));
    assert_true(span_eq_cstr(r.description, "why"));
    pxp_response_free(&r);
    assert_true(pxp_response_parse(PXP_BLOCKING_RESPONSE, PXP_NEXT, SPAN("{\"transaction_id\":\"t\",\"results\":null}"),
                                   &r, NULL));
    pxp_response_free(&r);
}

/* ---------------------------------------------------------------------------------------- texts, status */

static void labels_and_execution_errors(void **state) {
    (void)state;
    struct buf out = BUF_INIT;
    pxp_label(&out, false, SPAN("task"), SPAN("run"), SPAN("42"));
    assert_string_equal(out.ptr, "non blocking 'task run' request (transaction 42)");
    buf_clear(&out);
    pxp_label(&out, true, SPAN("ping"), SPAN("ping"), SPAN(""));
    assert_string_equal(out.ptr, "blocking 'ping ping' request (transaction )");
    buf_clear(&out);
    pxp_execution_error_write(&out, SPAN("found no results directory"));
    assert_string_equal(out.ptr, "{\"_error\":{\"kind\":\"puppetlabs.pxp-agent/execution-error\",\"details\":{},"
                                 "\"msg\":\"found no results directory\"}}");
    buf_free(&out);
}

static void invalid_utf8_is_replaced(void **state) {
    (void)state;
    const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},
        {"plain \xe2\x98\xba", "plain \xe2\x98\xba"},
        {"\xff", "\xef\xbf\xbd"},
        {"a\xc0\xafz", "a\xef\xbf\xbd\xef\xbf\xbdz"},                             /* overlong */
        {"\xed\xbf\xbf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                 /* surrogate */
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* beyond U+10FFFF */
        {"cut \xe2\x98", "cut \xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf0\x9f\x92\xa9", "\xf0\x9f\x92\xa9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out = BUF_INIT;
        pxp_utf8_repair(&out, span_of(cases[i].in));
        assert_true(span_eq_cstr(buf_span(&out), cases[i].out));
        assert_true(span_is_utf8(buf_span(&out)));
        buf_free(&out);
    }
}

static void status_results_in_order(void **state) {
    (void)state;
    struct pxp_status s = {.transaction_id = SPAN("t"),
                           .state = PXP_FAILURE,
                           .has_exitcode = true,
                           .exitcode = 3,
                           .stdout_text = SPAN("{\"a\":1}"),
                           .stderr_text = SPAN("\xff")};
    json_t *json = pxp_status_to_json(&s);
    char *text = json_text(json);
    assert_string_equal(text, "{\"transaction_id\":\"t\",\"exitcode\":3,\"status\":\"failure\","
                              "\"stdout\":\"{\\\"a\\\":1}\",\"stderr\":\"\xef\xbf\xbd\"}");
    struct pxp_status back;
    assert_true(pxp_status_from_json(json, &back, NULL));
    assert_int_equal(back.state, PXP_FAILURE);
    assert_int_equal(back.exitcode, 3);
    mem_free(text);
    json_decref(json);

    s = (struct pxp_status){.transaction_id = SPAN("t"), .state = PXP_UNDETERMINED};
    json = pxp_status_to_json(&s);
    text = json_text(json);
    assert_string_equal(text, "{\"transaction_id\":\"t\",\"status\":\"unknown\"}");
    mem_free(text);
    json_decref(json);
}

static void status_results_with_one_thing_wrong(void **state) {
    (void)state;
    const char *full =
        "{\"transaction_id\":\"t\",\"exitcode\":0,\"status\":\"success\",\"stdout\":\"o\",\"stderr\":\"e\"}";
    const struct {
        const char *key, *value;
    } wrong[] = {{"transaction_id", NULL},
                 {"transaction_id", "1"},
                 {"status", NULL},
                 {"status", "\"great\""},
                 {"exitcode", "\"0\""},
                 {"exitcode", "1.5"},
                 {"stdout", "{}"},
                 {"stderr", "null"},
                 {"extra", "1"},
                 {"status", "1"},
                 {"status", "\"undetermined\""}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char *text = variant(full, wrong[i].key, wrong[i].value);
        json_t *json = json_parse(span_of(text), "test", NULL);
        struct pxp_status s;
        struct error err = ERROR_INIT;
        assert_false(pxp_status_from_json(json, &s, &err));
        assert_string_equal(err.kind, "pxp/invalid-data");
        error_clear(&err);
        json_decref(json);
        mem_free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_minimal_and_full),
        cmocka_unit_test(requests_with_one_thing_wrong),
        cmocka_unit_test(requests_without_data_or_not_json),
        cmocka_unit_test(params_absent_equals_empty),
        cmocka_unit_test(requests_are_written_as_read),
        cmocka_unit_test(params_may_be_left_out_when_writing),
        cmocka_unit_test(types_have_their_names),
        cmocka_unit_test(responses_and_errors),
        cmocka_unit_test(responses_with_one_thing_wrong),
        cmocka_unit_test(next_form_is_read_on_request),
        cmocka_unit_test(labels_and_execution_errors),
        cmocka_unit_test(invalid_utf8_is_replaced),
        cmocka_unit_test(status_results_in_order),
        cmocka_unit_test(status_results_with_one_thing_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
