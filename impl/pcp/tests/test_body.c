/* pcp.md §4, §6, §18.1 */
#include "pcp/access_log.h"
#include "pcp/body.h"

#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void inventory_request_round_trip(void **state) {
    (void)state;
    struct span query[] = {SPAN("pcp://*/agent"), SPAN("pcp://a/b")};
    struct buf out = BUF_INIT;
    struct pcp_inventory_request r;
    pcp_inventory_request_write(&out, query, 2, true);
    assert_string_equal(out.ptr, "{\"query\":[\"pcp://*/agent\",\"pcp://a/b\"],\"subscribe\":true}");
    assert_true(pcp_inventory_request_read(buf_span(&out), &r, NULL));
    assert_true(r.subscribe);
    assert_int_equal(r.count, 2);
    assert_true(span_eq(r.query[1], query[1]));
    pcp_inventory_request_free(&r);
    assert_true(pcp_inventory_request_read(SPAN("{\"query\":null}"), &r, NULL));
    assert_int_equal(r.count, 0);
    assert_false(r.subscribe);
    pcp_inventory_request_free(&r);
    buf_free(&out);
}

static void inventory_request_errors_look_like_the_reference(void **state) {
    (void)state;
    static const struct {
        const char *data, *ending;
    } cases[] = {
        {"", ": (not (map? ...))"},
        {"null", ": (not (map? ...))"},
        {"[]", ": (not (map? ...))"},
        {"\"str\"", ": (not (map? ...))"},
        {"{}", ": {:query missing-required-key}"},
        {"{\"query\":\"pcp://*/*\"}", ": {:query (not (sequential? ...))}"},
        {"{\"query\":[\"nope\"]}", ": {:query [(not (uri? ...))]} at index 0"},
        {"{\"query\":[1]}", ": {:query [(not (uri? ...))]} at index 0"},
        {"{\"query\":[\"pcp://x/y/z\"]}", ": {:query [(not (uri? ...))]} at index 0"},
        {"{\"query\":[\"pcp://*/*\"],\"extra\":1}", ": {:... disallowed-key}"},
        {"{\"query\":[],\"subscribe\":\"yes\"}", ": {:subscribe (not (instance? java.lang.Boolean ...))}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pcp_inventory_request r;
        struct error err = ERROR_INIT;
        assert_false(pcp_inventory_request_read(span_of(cases[i].data), &r, &err));
        assert_true(span_starts_with(span_of(err.msg), "Error :schema.core/error handling message: "));
        assert_true(span_ends_with(span_of(err.msg), cases[i].ending));
        error_clear(&err);
    }
}

static void append_uri(void *ctx, struct span uri) {
    buf_append_span(ctx, uri);
    buf_append_char(ctx, ' ');
}

static void append_change(void *ctx, const struct pcp_change *c) {
    buf_append_char(ctx, c->connected ? '+' : '-');
    append_uri(ctx, c->client);
}

static void inventory_response_round_trip(void **state) {
    (void)state;
    struct span uris[] = {SPAN("pcp://a/b"), SPAN("pcp://c/d")};
    struct buf out = BUF_INIT, seen = BUF_INIT;
    pcp_inventory_response_write(&out, uris, 2);
    assert_string_equal(out.ptr, "{\"uris\":[\"pcp://a/b\",\"pcp://c/d\"]}");
    assert_true(pcp_inventory_response_read(buf_span(&out), append_uri, &seen, NULL));
    assert_string_equal(seen.ptr, "pcp://a/b pcp://c/d ");
    static const char *const bad[] = {
        "", "{}", "[]", "{\"uris\":1}", "{\"uris\":[\"pcp://a/b\",1]}", "{\"uris\":[\"x\"]}", "{\"uris\":[],\"x\":1}"};
    buf_clear(&seen);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error err = ERROR_INIT;
        assert_false(pcp_inventory_response_read(span_of(bad[i]), append_uri, &seen, &err));
        assert_true(error_is(&err, "pcp/invalid-data"));
        error_clear(&err);
    }
    assert_int_equal(seen.len, 0);
    buf_free(&out);
    buf_free(&seen);
}

static void inventory_update_round_trip(void **state) {
    (void)state;
    struct pcp_change changes[] = {{SPAN("pcp://a/b"), true}, {SPAN("pcp://c/d"), false}};
    struct buf out = BUF_INIT, seen = BUF_INIT;
    pcp_inventory_update_write(&out, changes, 2);
    assert_string_equal(out.ptr, "{\"changes\":[{\"client\":\"pcp://a/b\",\"change\":1},"
                                 "{\"client\":\"pcp://c/d\",\"change\":-1}]}");
    assert_true(pcp_inventory_update_read(buf_span(&out), append_change, &seen, NULL));
    assert_string_equal(seen.ptr, "+pcp://a/b -pcp://c/d ");
    static const char *const bad[] = {"{\"changes\":[{\"client\":\"pcp://a/b\",\"change\":2}]}",
                                      "{\"changes\":[{\"client\":\"x\",\"change\":1}]}", "{\"changes\":[1]}",
                                      "{\"changes\":{}}"};
    buf_clear(&seen);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(pcp_inventory_update_read(span_of(bad[i]), append_change, &seen, NULL));
    }
    assert_int_equal(seen.len, 0);
    buf_free(&out);
    buf_free(&seen);
}

static void associate_response_round_trip(void **state) {
    (void)state;
    struct buf out = BUF_INIT;
    struct pcp_associate_response r;
    pcp_associate_response_write(&out, SPAN("1-2-3-4-5"), NULL);
    assert_string_equal(out.ptr, "{\"id\":\"1-2-3-4-5\",\"success\":true}");
    assert_true(pcp_associate_response_read(buf_span(&out), &r, NULL));
    assert_true(r.success);
    assert_null(r.reason);
    pcp_associate_response_free(&r);
    buf_clear(&out);
    pcp_associate_response_write(&out, SPAN("1-2-3-4-5"), "Session already associated.");
    assert_string_equal(out.ptr, "{\"id\":\"1-2-3-4-5\",\"success\":false,\"reason\":\"Session already associated.\"}");
    assert_true(pcp_associate_response_read(buf_span(&out), &r, NULL));
    assert_false(r.success);
    assert_string_equal(r.reason, "Session already associated.");
    pcp_associate_response_free(&r);
    assert_false(pcp_associate_response_read(SPAN("{\"id\":\"x\"}"), &r, NULL));
    assert_false(pcp_associate_response_read(SPAN("nope"), &r, NULL));
    buf_free(&out);
}

static void error_text_round_trip(void **state) {
    (void)state;
    struct buf out = BUF_INIT, text = BUF_INIT;
    pcp_error_write(&out, SPAN("a \"b\"\n"));
    assert_true(pcp_error_read(buf_span(&out), &text));
    assert_string_equal(text.ptr, "a \"b\"\n");
    assert_false(pcp_error_read(SPAN("{}"), &text));
    assert_false(pcp_error_read(SPAN(""), &text));
    buf_free(&out);
    buf_free(&text);
}

static void access_line_has_eight_fields(void **state) {
    (void)state;
    struct pcp_message m = {
        .id = SPAN("1-2-3-4-5"), .message_type = SPAN("greeting"), .sender = SPAN("pcp://cn/agent")};
    struct pcp_access a = {.when_ms = 1893553445678,
                           .outcome = PCP_AUTHORIZATION_SUCCESS,
                           .remote = "::1:50412",
                           .common_name = "cn",
                           .message = &m};
    struct buf out = BUF_INIT;
    pcp_access_line(&out, &a);
    assert_string_equal(out.ptr, "[2030-01-02 03:04:05,678] AUTHORIZATION_SUCCESS ::1:50412 cn pcp://cn/agent greeting "
                                 "1-2-3-4-5 pcp:///server");
    buf_clear(&out);
    a.message = NULL;
    a.outcome = PCP_DESERIALIZATION_ERROR;
    pcp_access_line(&out, &a);
    assert_string_equal(out.ptr, "[2030-01-02 03:04:05,678] DESERIALIZATION_ERROR ::1:50412 unknown unknown unknown "
                                 "unknown unknown");
    assert_true(pcp_outcome_is_warning(PCP_DESERIALIZATION_ERROR));
    assert_false(pcp_outcome_is_warning(PCP_AUTHORIZATION_SUCCESS));
    buf_free(&out);
}

static void access_line_cannot_be_forged(void **state) {
    (void)state;
    struct pcp_message m = {.id = SPAN("1-2-3-4-5"), .message_type = SPAN("a\nb c\0d")};
    struct pcp_access a = {.remote = "1:2", .common_name = "cn", .message = &m};
    struct buf out = BUF_INIT;
    pcp_access_line(&out, &a);
    assert_string_equal(out.ptr, "[1970-01-01 00:00:00,000] AUTHORIZATION_SUCCESS 1:2 cn pcp:///server "
                                 "a\\x0ab\\x20c\\x00d 1-2-3-4-5 pcp:///server");
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inventory_request_round_trip),
        cmocka_unit_test(inventory_request_errors_look_like_the_reference),
        cmocka_unit_test(inventory_response_round_trip),
        cmocka_unit_test(inventory_update_round_trip),
        cmocka_unit_test(associate_response_round_trip),
        cmocka_unit_test(error_text_round_trip),
        cmocka_unit_test(access_line_has_eight_fields),
        cmocka_unit_test(access_line_cannot_be_forged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
