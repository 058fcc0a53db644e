/* Login, lifetimes, labels, checks, revocation, lock-out (rbac.md §4, §17). */
#include "base/digest.h"
#include "base/mem.h"
#include "bench.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static json_t *authenticate(void **state, const char *token, int status) {
    char *body = str_printf("{'token': '%s'}", token);
    json_t *answer = call(state, "POST", ROUTE2 "/auth/token/authenticate", "", body, status);
    mem_free(body);
    return answer;
}

static void authenticate_fails(void **state, const char *token, int status, const char *kind) {
    char *body = str_printf("{'token': '%s'}", token);
    call_fails(state, "POST", ROUTE2 "/auth/token/authenticate", "", body, status, kind);
    mem_free(body);
}

static int64_t lifetime_s(void **state, const char *token) {
    json_t *who = authenticate(state, token, 200);
    int64_t from, to;
    const struct rbac_token *t = rbac_token_find(((struct bench *)*state)->rbac->model, span_of(token));
    assert_non_null(t);
    from = t->created_ms;
    to = t->expires_ms;
    json_decref(who);
    return (to - from) / 1000;
}

static void a_login_gives_a_token_that_names_its_user(void **state) {
    char *token = login(state, "noor", "quietstone", "'label': ' laptop ', 'description': 'd', 'client': 'c'");
    assert_int_equal(strlen(token), 44);
    assert_int_equal(token[0], '0');
    json_t *who = authenticate(state, token, 200);
    assert_string_equal(json_str(who, "login"), "noor");
    assert_string_equal(json_str(who, "id"), user_id(state, "noor"));
    assert_string_equal(json_str(who, "user_id"), user_id(state, "noor"));
    assert_string_equal(json_str(who, "label"), "laptop");
    assert_string_equal(json_str(who, "client"), "c");
    assert_false(json_bool(who, "is_superuser", true));
    assert_true(json_is_null(json_object_get(who, "timeout")));
    assert_non_null(json_str(who, "last_login"));
    assert_json(json_deep_copy(json_object_get(who, "role_ids")), quoted("[2]"));
    json_decref(who);
    mem_free(token);
}

/* Nobody who reads the service's memory or state finds a token, and none is found by its text. */
static void tokens_are_kept_as_digests(void **state) {
    char *token = login(state, "noor", "quietstone", "'client': 'c'"), digest[SHA256_HEX_LEN + 1];
    const struct rbac_token *t = rbac_token_find(((struct bench *)*state)->rbac->model, span_of(token));
    sha256_hex(span_of(token), digest);
    assert_non_null(t);
    assert_string_equal(t->digest, digest);
    assert_null(memmem(t, sizeof(*t), token, strlen(token)));
    assert_null(rbac_token_find(((struct bench *)*state)->rbac->model, span_of(digest)));
    json_t *dump = call(state, "GET", "/_fake/state", NULL, NULL, 200);
    char *text = json_text(dump);
    assert_null(strstr(text, token));
    mem_free(text);
    json_decref(dump);
    mem_free(token);
}

static void wrong_logins_are_all_answered_alike(void **state) {
    const char *const bodies[] = {"{'login': 'noor', 'password': 'wrong'}", "{'login': 'nobody', 'password': 'wrong'}",
                                  "{'login': 'remy', 'password': 'wrong'}"};
    for (size_t i = 0; i < 3; i++) {
        call_fails(state, "POST", ROUTE "/auth/token", "", bodies[i], 401, "invalid-credentials");
    }
    call_fails(state, "POST", ROUTE "/auth/token", "", "{'login': 'api_user', 'password': 'x'}", 401, "api-user-login");
    call_fails(state, "POST", ROUTE "/auth/token", "", "{'login': 'noor'}", 400, "schema-violation");
    call_fails(state, "POST", ROUTE "/auth/token", "", "{'login': 'noor', 'password': 5}", 400, "schema-violation");
    call_fails(state, "POST", ROUTE "/auth/token", "", "{'login': 'noor', 'password': 'x', 'odd': 1}", 400,
               "schema-violation");
    struct ask ask = {.method = "POST", .path = ROUTE "/auth/token", .body = "{\"password\":\"hidden"};
    struct reply reply = rig_ask(bench_rig(state), &ask);
    assert_int_equal(reply.status, 400);
    assert_null(strstr(reply.body.ptr, "hidden"));
    reply_clear(&reply);
}

static void lifetimes_are_read_as_documented(void **state) {
    static const struct {
        const char *lifetime;
        int64_t seconds;
    } good[] = {{"'90'", 90},  {"'2h'", 7200}, {"'0'", 315360000}, {"'1y'", 31536000},  {"'3d'", 259200},
                {"'5m'", 300}, {"'7s'", 7},    {"120", 120},       {"'99y'", 315360000}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char *more = str_printf("'lifetime': %s", good[i].lifetime);
        char *token = login(state, "noor", "quietstone", more);
        assert_int_equal(lifetime_s(state, token), good[i].seconds);
        mem_free(token);
        mem_free(more);
    }
    char *token = login(state, "noor", "quietstone", NULL);
    assert_int_equal(lifetime_s(state, token), 3600);
    mem_free(token);
    const char *const bad[] = {"'1 h'", "'5w'", "''", "'h'", "'-1'", "-1", "'1.5h'"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *body = str_printf("{'login': 'noor', 'password': 'quietstone', 'lifetime': %s}", bad[i]);
        call_fails(state, "POST", ROUTE "/auth/token", "", body, 400, "malformed-token-request");
        mem_free(body);
    }
}

static void labels_are_checked(void **state) {
    char long_label[202];
    memset(long_label, 'x', 201);
    long_label[201] = '\0';
    const char *const bad[] = {"a,b", "", "  ", "idle", long_label};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *body = str_printf("{'login': 'noor', 'password': 'quietstone', 'label': '%s'}", bad[i]);
        call_fails(state, "POST", ROUTE "/auth/token", "", body, 400, "malformed-token-request");
        mem_free(body);
    }
    /* Another user may have the same label; 200 characters are allowed, also when they are more bytes. */
    char *token = login(state, "vera", "quietstone", "'label': 'idle'");
    mem_free(token);
    struct buf b = BUF_INIT;
    for (int i = 0; i < 200; i++) {
        buf_append_cstr(&b, "ü");
    }
    char *more = str_printf("'label': '%s'", b.ptr);
    token = login(state, "noor", "quietstone", more);
    mem_free(token);
    mem_free(more);
    buf_free(&b);
}

static void tokens_end(void **state) {
    authenticate_fails(state, "garbage", 400, "invalid-token");
    authenticate_fails(state, "fixed-old", 403, "token-expired");
    char *token = login(state, "noor", "quietstone", "'lifetime': '2h'");
    advance(state, "119m");
    json_decref(authenticate(state, token, 200));
    authenticate_fails(state, "fixed-idle", 403, "token-timed-out");
    advance(state, "2m");
    authenticate_fails(state, token, 403, "token-expired");
    mem_free(token);
}

static void activity_postpones_the_time_out_only_when_asked_to(void **state) {
    advance(state, "20m");
    json_decref(call(state, "POST", ROUTE2 "/auth/token/authenticate", "",
                     "{'token': 'fixed-idle', 'update_last_activity?': true}", 200));
    advance(state, "20m");
    json_decref(authenticate(state, "fixed-idle", 200));
    advance(state, "11m");
    authenticate_fails(state, "fixed-idle", 403, "token-timed-out");
}

static void no_keepalive_is_stripped(void **state) {
    struct rig *r = bench_rig(state);
    advance(state, "20m");
    json_decref(rig_json(r, &(struct ask){.path = ROUTE "/users/current", .token = "fixed-idle|no_keepalive"}, 200));
    advance(state, "11m");
    rig_error(r, &(struct ask){.path = ROUTE "/users/current", .token = "fixed-idle"}, 401, "token-timed-out");
}

static void the_header_wins_over_the_parameter(void **state) {
    struct rig *r = bench_rig(state);
    json_t *who =
        rig_json(r, &(struct ask){.path = ROUTE "/users/current?token=fixed-vera", .token = "fixed-noor"}, 200);
    assert_string_equal(json_str(who, "login"), "noor");
    json_decref(who);
    who = rig_json(r, &(struct ask){.path = ROUTE "/users/current?token=fixed-vera", .token = ""}, 200);
    assert_string_equal(json_str(who, "login"), "vera");
    json_decref(who);
    rig_error(r, &(struct ask){.path = ROUTE "/users/current?token="}, 401, "user-unauthenticated");
    rig_error(r, &(struct ask){.path = ROUTE "/users/current"}, 401, "user-unauthenticated");
    rig_error(r, &(struct ask){.path = ROUTE "/users/current", .token = "garbage"}, 401, "invalid-token");
    rig_error(r, &(struct ask){.path = ROUTE "/users/current", .token = "fixed-old"}, 401, "token-expired");
}

static void an_allowlisted_certificate_is_the_api_user(void **state) {
    struct rig *r = bench_rig(state);
    json_t *who = rig_json(r, &(struct ask){.path = ROUTE "/users/current", .cn = "orch.lab.example"}, 200);
    assert_string_equal(json_str(who, "id"), RBAC_API_USER_ID);
    json_decref(who);
    rig_error(r, &(struct ask){.path = ROUTE "/users/current", .cn = "other.lab.example"}, 401, "user-unauthenticated");
    rig_error(r, &(struct ask){.method = "POST", .path = ROUTE "/tokens", .cn = "orch.lab.example"}, 403,
              "permission-denied");
}

static void many_bad_logins_lock_out(void **state) {
    for (int i = 0; i < 9; i++) {
        call_fails(state, "POST", ROUTE "/auth/token", "", "{'login': 'noor', 'password': 'wrong'}", 401,
                   "invalid-credentials");
    }
    char *token = login(state, "noor", "quietstone", NULL); /* starts the count anew */
    for (int i = 0; i < 10; i++) {
        call_fails(state, "POST", ROUTE "/auth/token", "", "{'login': 'noor', 'password': 'wrong'}", 401,
                   "invalid-credentials");
    }
    call_fails(state, "POST", ROUTE "/auth/token", "", "{'login': 'noor', 'password': 'quietstone'}", 401,
               "user-revoked");
    authenticate_fails(state, token, 403, "user-revoked");
    mem_free(token);
}

static void revoking_does_what_it_can(void **state) {
    json_decref(call(state, "DELETE", ROUTE2 "/tokens?revoke_tokens_by_labels=idle", "fixed-noor", NULL, 204));
    authenticate_fails(state, "fixed-idle", 403, "token-revoked");
    json_t *answer = call(state, "DELETE", ROUTE2 "/tokens?revoke_tokens_by_usernames=vera,nobody", NULL,
                          "{'revoke_tokens': ['fixed-root2'], 'odd': []}", 400);
    assert_string_equal(json_str(answer, "kind"), "puppetlabs.rbac/malformed-token-request");
    const json_t *details = json_object_get(answer, "details");
    assert_json(json_deep_copy(json_object_get(details, "nonexistent_usernames")), quoted("['nobody']"));
    assert_json(json_deep_copy(json_object_get(details, "unrecognized_parameters")), quoted("['odd']"));
    assert_true(json_bool(details, "other_tokens_revoked", false));
    assert_non_null(strstr(json_str(answer, "msg"), "All other tokens were successfully revoked."));
    json_decref(answer);
    authenticate_fails(state, "fixed-vera", 403, "token-revoked");
    authenticate_fails(state, "fixed-root2", 403, "token-revoked");
    /* Again: idempotent. */
    json_decref(call(state, "DELETE", ROUTE2 "/tokens?revoke_tokens=fixed-root2", NULL, NULL, 204));
}

static void revoking_needs_permission_and_input(void **state) {
    char *path = str_printf(ROUTE2 "/tokens?revoke_tokens_by_usernames=vera,noor");
    json_t *answer = call(state, "DELETE", path, "fixed-noor", NULL, 403);
    assert_json(json_deep_copy(json_object_get(json_object_get(answer, "details"), "permission_denied_usernames")),
                quoted("['vera']"));
    json_decref(answer);
    mem_free(path);
    json_decref(authenticate(state, "fixed-vera", 200));
    authenticate_fails(state, "fixed-noor", 403, "token-revoked");
    call_fails(state, "DELETE", ROUTE2 "/tokens", NULL, NULL, 400, "malformed-token-request");
    call_fails(state, "DELETE", ROUTE2 "/tokens", NULL, "[]", 400, "malformed-token-request");
    call_fails(state, "DELETE", ROUTE2 "/tokens?revoke_tokens_by_ids=x", NULL, NULL, 400, "malformed-token-request");
    call_fails(state, "DELETE", ROUTE2 "/tokens/fixed-admin", "fixed-vera", NULL, 403, "permission-denied");
    call_fails(state, "DELETE", ROUTE2 "/tokens/with%20blank", NULL, NULL, 400, "malformed-token-request");
    json_decref(call(state, "DELETE", ROUTE2 "/tokens/fixed-vera", NULL, NULL, 204));
    authenticate_fails(state, "fixed-vera", 403, "token-revoked");
}

static void tokens_are_listed_in_order(void **state) {
    char *path = str_printf(ROUTE "/users/%s/tokens", user_id(state, "noor"));
    char *more = str_printf("%s?order_by=client&order=desc&limit=1", path);
    char *token = login(state, "noor", "quietstone", "'client': 'zz'");
    json_t *answer = call(state, "GET", more, "fixed-noor", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(answer, "items")), 1);
    assert_string_equal(json_str(json_array_get(json_object_get(answer, "items"), 0), "client"), "zz");
    /* fixed-noor, fixed-idle and the new one; the expired one is gone */
    assert_int_equal(json_int(json_object_get(answer, "pagination"), "total", 0), 3);
    json_decref(answer);
    call_fails(state, "GET", path, "fixed-vera", NULL, 403, "permission-denied");
    call_fails(state, "GET", ROUTE "/users/5d3c1d8a-0b5e-4a0c-8f37-2f6a7c0f9b11/tokens", NULL, NULL, 404, "not-found");
    mem_free(more);
    more = str_printf("%s?order_by=nosuch", path);
    call_fails(state, "GET", more, NULL, NULL, 400, "schema-violation");
    mem_free(more);
    more = str_printf("%s?limit=-1", path);
    call_fails(state, "GET", more, NULL, NULL, 400, "schema-violation");
    mem_free(more);
    mem_free(path);
    mem_free(token);
}

static void one_token_makes_another(void **state) {
    json_t *answer = call(state, "POST", ROUTE "/tokens", "fixed-noor", "{'lifetime': '10m', 'description': 'd'}", 200);
    assert_int_equal(lifetime_s(state, json_str(answer, "token")), 600);
    json_decref(answer);
    call_fails(state, "POST", ROUTE "/tokens", "fixed-noor", "{'lifetime': 'x'}", 400, "malformed-token-request");
    call_fails(state, "POST", ROUTE "/tokens", "fixed-noor", "{'label': 'idle'}", 400, "malformed-token-request");
}

static void accounts_expire(void **state) {
    json_decref(call(state, "PATCH", "/_fake/state", NULL, "{'rbac': {'settings': {'account_expiry_days': 3}}}", 204));
    json_decref(authenticate(state, "fixed-noor", 200));
    advance(state, "73h");
    authenticate_fails(state, "fixed-noor", 403, "user-revoked");
    json_decref(authenticate(state, "fixed-root2", 200));
}

static void errors_are_text_for_those_who_want_no_json(void **state) {
    struct reply reply = rig_ask(bench_rig(state), &(struct ask){.path = ROUTE "/users", .accept = "text/html"});
    assert_int_equal(reply.status, 401);
    assert_string_equal(reply_header(&reply, "content-type"), "text/html; charset=utf-8");
    assert_string_equal(reply.body.ptr, "Route requires authentication");
    reply_clear(&reply);
}

static void a_token_can_be_issued_in_process(void **state) {
    struct bench *b = *state;
    struct error err = ERROR_INIT;
    char *token = fake_rbac_issue_token(b->rbac, "noor", 0, &err);
    json_decref(authenticate(state, token, 200));
    mem_free_secret(token, strlen(token));
    assert_null(fake_rbac_issue_token(b->rbac, "nobody", 0, &err));
    assert_true(error_is(&err, "not-found"));
    error_clear(&err);
}

static void logins_leave_events(void **state) {
    char *token = login(state, "noor", "quietstone", NULL);
    json_t *answer = call(state, "GET", "/activity-api/v1/events?service_id=rbac", NULL, NULL, 200);
    const json_t *commit = json_array_get(json_object_get(answer, "commits"), 0);
    assert_string_equal(json_str(json_object_get(commit, "subject"), "name"), "noor");
    json_decref(answer);
    mem_free(token);
}

static void a_client_may_leave_while_its_password_is_checked(void **state) {
    struct rig *r = bench_rig(state);
    struct ask ask = {.method = "POST",
                      .path = ROUTE "/auth/token",
                      .body = "{\"login\":\"noor\",\"password\":\"quietstone\"}",
                      .within_us = 25 * SIM_MS};
    struct reply reply = rig_ask(r, &ask);
    assert_true(reply.timed_out);
    reply_clear(&reply);
    sim_run(r->sim, sim_now_us(r->sim) + SIM_SECOND);
    char *token = login(state, "noor", "quietstone", NULL);
    mem_free(token);
}

#define T(name) cmocka_unit_test_setup_teardown(name, bench_up, bench_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(a_login_gives_a_token_that_names_its_user),
        T(tokens_are_kept_as_digests),
        T(wrong_logins_are_all_answered_alike),
        T(lifetimes_are_read_as_documented),
        T(labels_are_checked),
        T(tokens_end),
        T(activity_postpones_the_time_out_only_when_asked_to),
        T(no_keepalive_is_stripped),
        T(the_header_wins_over_the_parameter),
        T(an_allowlisted_certificate_is_the_api_user),
        T(many_bad_logins_lock_out),
        T(revoking_does_what_it_can),
        T(revoking_needs_permission_and_input),
        T(tokens_are_listed_in_order),
        T(one_token_makes_another),
        T(accounts_expire),
        T(errors_are_text_for_those_who_want_no_json),
        T(a_token_can_be_issued_in_process),
        T(logins_leave_events),
        T(a_client_may_leave_while_its_password_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
