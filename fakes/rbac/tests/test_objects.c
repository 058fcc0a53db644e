/* Users, groups, roles, passwords, certificates, directory settings, status, state (rbac.md §8-§14, §16). */
#include "base/mem.h"
#include "bench.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char unknown[] = "5d3c1d8a-0b5e-4a0c-8f37-2f6a7c0f9b11";

static char *user_path(void **state, const char *login, const char *tail) {
    return str_printf(ROUTE "/users/%s%s", user_id(state, login), tail);
}

static void users_are_listed_and_found(void **state) {
    json_t *all = call(state, "GET", ROUTE "/users", NULL, NULL, 200);
    assert_int_equal(json_array_size(all), 6);
    json_decref(all);
    char *path = str_printf(ROUTE "/users?id=%s,%s", user_id(state, "noor"), user_id(state, "vera"));
    all = call(state, "GET", path, NULL, NULL, 200);
    assert_int_equal(json_array_size(all), 2);
    json_decref(all);
    mem_free(path);
    path = user_path(state, "vera", "");
    json_t *vera = call(state, "GET", path, NULL, NULL, 200);
    assert_string_equal(json_str(vera, "login"), "vera");
    assert_int_equal(json_array_size(json_object_get(vera, "group_ids")), 1);
    assert_int_equal(json_array_size(json_object_get(vera, "inherited_role_ids")), 1);
    json_decref(vera);
    mem_free(path);
    call_fails(state, "GET", ROUTE "/users?id=x", NULL, NULL, 400, "invalid-id-filter");
    call_fails(state, "GET", ROUTE "/users/x", NULL, NULL, 400, "invalid-uuid");
    path = str_printf(ROUTE "/users/%s", unknown);
    call_fails(state, "GET", path, NULL, NULL, 404, "not-found");
    mem_free(path);
}

static void a_user_is_made_changed_and_deleted(void **state) {
    json_t *made =
        call(state, "POST", ROUTE "/users", NULL,
             "{'login': 'lin', 'email': 'l@x', 'display_name': 'Lin', 'role_ids': [3], 'password': 'sixsix'}", 201);
    char *id = str_dup(json_str(made, "id"));
    char *path = str_printf(ROUTE "/users/%s", id);
    char *token = login(state, "lin", "sixsix", NULL);
    json_set(made, "login", json_string("lina"));
    json_set(made, "is_revoked", json_true());
    char *body = json_text(made);
    struct ask put = {.method = "PUT", .path = path, .token = "fixed-admin", .body = body};
    json_decref(rig_json(bench_rig(state), &put, 200));
    call_fails(state, "GET", ROUTE "/users/current", token, NULL, 401, "user-revoked");
    put.path = ROUTE "/users/42bf351c-f9ec-40af-84ad-e976fec7f4bd";
    rig_error(bench_rig(state), &put, 400, "inconsistent-id");
    mem_free(body);
    json_set(made, "login", json_string("noor"));
    body = json_text(made);
    put = (struct ask){.method = "PUT", .path = path, .token = "fixed-admin", .body = body};
    rig_error(bench_rig(state), &put, 409, "conflict");
    mem_free(body);
    json_set(made, "login", json_string("lina"));
    json_set(made, "role_ids", json_pack("[i]", 99));
    body = json_text(made);
    put.body = body;
    rig_error(bench_rig(state), &put, 422, "invalid-associated-id");
    mem_free(body);
    json_decref(call(state, "DELETE", path, NULL, NULL, 204));
    call_fails(state, "DELETE", path, NULL, NULL, 404, "not-found");
    call_fails(state, "GET", ROUTE "/users/current", token, NULL, 401, "token-revoked");
    json_decref(made);
    mem_free(token);
    mem_free(path);
    mem_free(id);
}

static void making_a_user_is_checked(void **state) {
    rig_error(bench_rig(state),
              &(struct ask){.method = "POST", .path = ROUTE "/users", .token = "fixed-admin", .body = "{oops"}, 400,
              "malformed-request");
    call_fails(state, "POST", ROUTE "/users", NULL,
               "{'login': 'web-team', 'email': '', 'display_name': '', 'role_ids': []}", 409, "conflict");
    call_fails(state, "POST", ROUTE "/users", NULL, "{'login': 'x', 'email': '', 'display_name': ''}", 400,
               "schema-violation");
    call_fails(state, "POST", ROUTE "/users", NULL,
               "{'login': 'x', 'email': '', 'display_name': '', 'role_ids': [], 'password': 'short'}", 400,
               "schema-violation");
    call_fails(state, "POST", ROUTE "/users", NULL, "{'login': 'x', 'email': '', 'display_name': '', 'role_ids': [77]}",
               422, "invalid-associated-id");
    call_fails(state, "POST", ROUTE "/users", "fixed-vera",
               "{'login': 'x', 'email': '', 'display_name': '', 'role_ids': []}", 403, "permission-denied");
}

static void the_fixed_users_stay(void **state) {
    call_fails(state, "DELETE", ROUTE "/users/" RBAC_ADMIN_ID, NULL, NULL, 403, "admin-user-immutable");
    json_t *admin = call(state, "GET", ROUTE "/users/" RBAC_ADMIN_ID, NULL, NULL, 200);
    json_set(admin, "role_ids", json_array());
    char *body = json_text(admin);
    struct ask put = {.method = "PUT", .path = ROUTE "/users/" RBAC_ADMIN_ID, .token = "fixed-admin", .body = body};
    rig_error(bench_rig(state), &put, 403, "admin-user-not-in-admin-role");
    mem_free(body);
    json_set(admin, "role_ids", json_pack("[i]", 1));
    json_set(admin, "login", json_string("boss"));
    body = json_text(admin);
    put.body = body;
    rig_error(bench_rig(state), &put, 403, "admin-user-immutable");
    mem_free(body);
    json_decref(admin);
    call_fails(state, "POST", ROUTE "/command/users/remove-roles", NULL,
               "{'user_id': '" RBAC_ADMIN_ID "', 'role_ids': [1]}", 403, "admin-user-not-in-admin-role");
}

static void a_user_is_revoked_and_reinstated(void **state) {
    char *body = str_printf("{'user_id': '%s'}", user_id(state, "noor"));
    call_fails(state, "POST", ROUTE "/command/users/revoke", "fixed-vera", body, 403, "permission-denied");
    json_decref(call(state, "POST", ROUTE "/command/users/revoke", NULL, body, 204));
    call_fails(state, "GET", ROUTE "/users/current", "fixed-noor", NULL, 401, "user-revoked");
    json_decref(call(state, "POST", ROUTE "/command/users/reinstate", NULL, body, 204));
    call_fails(state, "GET", ROUTE "/users/current", "fixed-noor", NULL, 401, "token-revoked");
    mem_free(login(state, "noor", "quietstone", NULL));
    mem_free(body);
}

static void users_come_in_pages(void **state) {
    json_t *page = call(state, "GET", ROUTE2 "/users?order_by=login&order=desc&limit=2&offset=1&include_roles=true",
                        NULL, NULL, 200);
    const json_t *users = json_object_get(page, "users");
    assert_int_equal(json_array_size(users), 2);
    assert_string_equal(json_str(json_array_get(users, 0), "login"), "root2");
    assert_string_equal(json_str(json_array_get(users, 1), "login"), "remy");
    assert_int_equal(json_int(json_object_get(page, "pagination"), "total", 0), 6);
    json_decref(page);
    page = call(state, "GET", ROUTE2 "/users?filter=LAB.EX", NULL, NULL, 200);
    assert_int_equal(json_array_size(json_object_get(page, "users")), 1);
    json_decref(page);
    call_fails(state, "GET", ROUTE2 "/users?order_by=shoe_size", NULL, NULL, 400, "schema-violation");
    call_fails(state, "GET", ROUTE2 "/users?limit=x", NULL, NULL, 400, "schema-violation");
}

static void groups_are_kept(void **state) {
    json_t *made = call(state, "POST", ROUTE "/groups", NULL, "{'login': 'db-team', 'role_ids': [2]}", 201);
    char *path = str_printf(ROUTE "/groups/%s", json_str(made, "id"));
    assert_true(json_bool(made, "is_group", false));
    json_set(made, "role_ids", json_pack("[i]", 3));
    json_set(made, "display_name", json_string("ignored"));
    char *body = json_text(made);
    struct ask put = {.method = "PUT", .path = path, .token = "fixed-admin", .body = body};
    json_t *changed = rig_json(bench_rig(state), &put, 200);
    assert_json(json_deep_copy(json_object_get(changed, "role_ids")), quoted("[3]"));
    assert_string_equal(json_str(changed, "display_name"), "db-team");
    json_decref(changed);
    json_t *all = call(state, "GET", ROUTE "/groups", NULL, NULL, 200);
    assert_int_equal(json_array_size(all), 2);
    json_decref(all);
    call_fails(state, "POST", ROUTE "/groups", NULL, "{'login': 'noor', 'role_ids': []}", 409, "conflict");
    call_fails(state, "POST", ROUTE "/groups", NULL, "{'login': 'z', 'role_ids': [50]}", 422, "invalid-associated-id");
    call_fails(state, "DELETE", path, "fixed-vera", NULL, 403, "permission-denied");
    json_decref(call(state, "DELETE", path, NULL, NULL, 204));
    call_fails(state, "GET", path, NULL, NULL, 404, "not-found");
    call_fails(state, "GET", ROUTE "/groups/x", NULL, NULL, 400, "invalid-uuid");
    mem_free(body);
    mem_free(path);
    json_decref(made);
}

static void roles_are_kept(void **state) {
    char *body = str_printf("{'display_name': 'Web restarts', 'description': null, 'user_ids': ['%s'], 'group_ids': [],"
                            " 'permissions': [{'object_type': 'tasks', 'action': 'run_with_constraints',"
                            " 'instance': '4'}]}",
                            user_id(state, "noor"));
    json_t *made = call(state, "POST", ROUTE "/roles", NULL, body, 201);
    call_fails(state, "POST", ROUTE "/roles", NULL, body, 409, "conflict");
    mem_free(body);
    assert_int_equal(json_int(made, "id", 0), 8);
    assert_json(call(state, "GET", ROUTE "/permitted/tasks/run_with_constraints", "fixed-noor", NULL, 200),
                quoted("['4']"));
    json_set(made, "display_name", json_string("Restarts"));
    json_set(made, "user_ids", json_array());
    body = json_text(made);
    struct ask put = {.method = "PUT", .path = ROUTE "/roles/8", .token = "fixed-admin", .body = body};
    json_decref(rig_json(bench_rig(state), &put, 200));
    mem_free(body);
    json_decref(made);
    assert_json(call(state, "GET", ROUTE "/permitted/tasks/run_with_constraints", "fixed-noor", NULL, 200),
                quoted("[]"));
    call_fails(state, "GET", ROUTE "/roles/99", NULL, NULL, 404, "not-found");
    call_fails(state, "GET", ROUTE "/roles/x", NULL, NULL, 404, "not-found");
    call_fails(state, "DELETE", ROUTE "/roles/1", NULL, NULL, 403, "default-roles-immutable");
    json_decref(call(state, "DELETE", ROUTE "/roles/8", NULL, NULL, 204));
    call_fails(state, "DELETE", ROUTE "/roles/8", NULL, NULL, 404, "not-found");
    json_t *all = call(state, "GET", ROUTE "/roles", NULL, NULL, 200);
    assert_int_equal(json_array_size(all), 7);
    json_decref(all);
}

static void bad_roles_are_refused(void **state) {
    call_fails(state, "POST", ROUTE "/roles", NULL,
               "{'display_name': 'x', 'permissions': [{'action': 'run'}], 'user_ids': [], 'group_ids': []}", 400,
               "schema-violation");
    call_fails(state, "POST", ROUTE "/roles", NULL,
               "{'display_name': 'x', 'permissions': [], 'user_ids': ['nobody'], 'group_ids': []}", 422,
               "invalid-associated-id");
    call_fails(state, "POST", ROUTE "/roles", NULL,
               "{'display_name': 'x', 'permissions': [], 'user_ids': [], 'group_ids': ['nobody']}", 422,
               "invalid-associated-id");
    json_t *viewers = call(state, "GET", ROUTE "/roles/3", NULL, NULL, 200);
    json_set(viewers, "display_name", json_string("Lookers"));
    char *body = json_text(viewers);
    struct ask put = {.method = "PUT", .path = ROUTE "/roles/3", .token = "fixed-admin", .body = body};
    rig_error(bench_rig(state), &put, 403, "default-roles-immutable");
    mem_free(body);
    json_decref(viewers);
    json_t *admins = call(state, "GET", ROUTE "/roles/1", NULL, NULL, 200);
    json_set(admins, "user_ids", json_array());
    body = json_text(admins);
    put = (struct ask){.method = "PUT", .path = ROUTE "/roles/1", .token = "fixed-admin", .body = body};
    rig_error(bench_rig(state), &put, 403, "admin-user-not-in-admin-role");
    mem_free(body);
    json_decref(admins);
}

static void role_commands_change_members_and_permissions(void **state) {
    char *users = str_printf("{'role_id': 6, 'user_ids': ['%s']}", user_id(state, "noor"));
    json_decref(call(state, "POST", ROUTE "/command/roles/add-users", NULL, users, 204));
    assert_json(call(state, "GET", ROUTE "/permitted/tasks/run", "fixed-noor", NULL, 200),
                quoted("['service', 'a::b']"));
    json_decref(call(state, "POST", ROUTE "/command/roles/remove-permissions", NULL,
                     "{'role_id': 6, 'permissions': [{'object_type': 'tasks', 'action': 'run', 'instance': 'a::b'}]}",
                     204));
    assert_json(call(state, "GET", ROUTE "/permitted/tasks/run", "fixed-noor", NULL, 200), quoted("['service']"));
    json_decref(call(state, "POST", ROUTE "/command/roles/add-permissions", NULL,
                     "{'role_id': 6, 'permissions': [{'object_type': 'tasks', 'action': 'run', 'instance': '*'}]}",
                     204));
    assert_json(call(state, "GET", ROUTE "/permitted/tasks/run", "fixed-noor", NULL, 200), quoted("['*']"));
    json_decref(call(state, "POST", ROUTE "/command/roles/remove-users", NULL, users, 204));
    assert_json(call(state, "GET", ROUTE "/permitted/tasks/run", "fixed-noor", NULL, 200), quoted("[]"));
    mem_free(users);
    json_decref(
        call(state, "POST", ROUTE "/command/roles/remove-groups", NULL, "{'role_id': 99, 'group_ids': []}", 204));
    call_fails(state, "POST", ROUTE "/command/roles/add-groups", NULL, "{'role_id': 99, 'group_ids': []}", 404,
               "not-found");
    call_fails(state, "POST", ROUTE "/command/roles/add-groups", NULL, "{'role_id': 6, 'group_ids': ['x']}", 422,
               "invalid-associated-id");
    call_fails(state, "POST", ROUTE "/command/roles/add-groups", NULL, "{'role_id': 6}", 400, "schema-violation");
    call_fails(state, "POST", ROUTE "/command/roles/add-users", "fixed-vera", "{'role_id': 6, 'user_ids': []}", 403,
               "permission-denied");
    call_fails(state, "POST", ROUTE "/command/roles/remove-users", NULL,
               "{'role_id': 1, 'user_ids': ['" RBAC_ADMIN_ID "']}", 403, "admin-user-not-in-admin-role");
}

static void a_password_is_reset_once(void **state) {
    char *path = user_path(state, "noor", "/password/reset");
    struct reply reply =
        rig_ask(bench_rig(state), &(struct ask){.method = "POST", .path = path, .token = "fixed-admin", .body = "{}"});
    assert_int_equal(reply.status, 201);
    char *body = str_printf("{'token': '%s', 'password': 'newstone'}", reply.body.ptr);
    json_decref(call(state, "POST", ROUTE "/auth/reset", "", body, 200));
    call_fails(state, "POST", ROUTE "/auth/reset", "", body, 403, "permission-denied");
    /* A reset token is no login. */
    call_fails(state, "GET", ROUTE "/users/current", reply.body.ptr, NULL, 401, "invalid-token");
    mem_free(login(state, "noor", "newstone", NULL));
    call_fails(state, "POST", ROUTE "/auth/token", "", "{'login': 'noor', 'password': 'quietstone'}", 401,
               "invalid-credentials");
    mem_free(body);
    reply_clear(&reply);
    mem_free(path);
    path = user_path(state, "remy", "/password/reset");
    call_fails(state, "POST", path, NULL, "{}", 403, "permission-denied");
    call_fails(state, "POST", path, "fixed-vera", "{}", 403, "permission-denied");
    mem_free(path);
    call_fails(state, "POST", ROUTE "/auth/reset", "", "{'token': 'x', 'password': 'newstone'}", 403,
               "permission-denied");
}

static void a_reset_reinstates_and_expires(void **state) {
    struct bench *b = *state;
    char *path = user_path(state, "admin", "/password/reset");
    rbac_user_by_login(b->rbac->model, "admin")->revoked = true;
    struct reply reply =
        rig_ask(bench_rig(state), &(struct ask){.method = "POST", .path = path, .token = "fixed-root2", .body = "{}"});
    char *short_one = str_printf("{'token': '%s', 'password': 'new'}", reply.body.ptr);
    call_fails(state, "POST", ROUTE "/auth/reset", "", short_one, 400, "schema-violation");
    char *body = str_printf("{'token': '%s', 'password': 'newstone'}", reply.body.ptr);
    json_decref(call(state, "POST", ROUTE "/auth/reset", "", body, 200));
    mem_free(login(state, "admin", "newstone", NULL));
    mem_free(body);
    mem_free(short_one);
    reply_clear(&reply);
    reply =
        rig_ask(bench_rig(state), &(struct ask){.method = "POST", .path = path, .token = "fixed-root2", .body = "{}"});
    advance(state, "25h");
    body = str_printf("{'token': '%s', 'password': 'newstone'}", reply.body.ptr);
    call_fails(state, "POST", ROUTE "/auth/reset", "", body, 403, "permission-denied");
    mem_free(body);
    reply_clear(&reply);
    mem_free(path);
}

static void a_user_changes_the_own_password(void **state) {
    call_fails(state, "PUT", ROUTE "/users/current/password", "fixed-noor",
               "{'current_password': 'wrong', 'password': 'newstone'}", 403, "permission-denied");
    json_decref(call(state, "PUT", ROUTE "/users/current/password", "fixed-noor",
                     "{'current_password': 'quietstone', 'password': 'newstone'}", 200));
    mem_free(login(state, "noor", "newstone", NULL));
    call_fails(state, "PUT", ROUTE "/users/current/password", "fixed-noor",
               "{'current_password': 'newstone', 'password': 'new'}", 400, "schema-violation");
    json_t *valid = call(state, "POST", ROUTE "/command/validate-password", NULL, "{'password': 'x'}", 200);
    assert_false(json_bool(valid, "valid", true));
    json_decref(valid);
    valid = call(state, "POST", ROUTE "/command/validate-login", NULL, "{'login': 'x'}", 200);
    assert_true(json_bool(valid, "valid", false));
    json_decref(valid);
}

static void certificates_are_looked_up(void **state) {
    json_t *cert = call(state, "GET", ROUTE2 "/certs/orch.lab.example", NULL, NULL, 200);
    assert_true(json_bool(cert, "allowlisted", false));
    assert_string_equal(json_str(json_object_get(cert, "subject"), "login"), "api_user");
    json_decref(cert);
    cert = call(state, "GET", ROUTE "/certs/other", NULL, NULL, 200);
    assert_false(json_bool(cert, "whitelisted", true));
    assert_true(json_is_null(json_object_get(cert, "subject")));
    json_decref(cert);
    json_decref(call(state, "POST", "/_fake/legacy", NULL, "{'certs_v2': false, 'activity_v2': false}", 204));
    struct reply reply =
        rig_ask(bench_rig(state), &(struct ask){.path = ROUTE2 "/certs/orch.lab.example", .token = "fixed-admin"});
    assert_int_equal(reply.status, 404);
    reply_clear(&reply);
    reply = rig_ask(bench_rig(state), &(struct ask){.path = "/activity-api/v2/events", .token = "fixed-admin"});
    assert_int_equal(reply.status, 404);
    reply_clear(&reply);
    json_decref(call(state, "GET", ROUTE "/certs/orch.lab.example", NULL, NULL, 200));
}

static void directory_settings_are_kept(void **state) {
    assert_json(call(state, "GET", ROUTE "/ds", NULL, NULL, 200), quoted("{}"));
    assert_json(call(state, "PUT", ROUTE "/ds", NULL, "{'hostname': 'ldap', 'password': 'x'}", 200),
                quoted("{'hostname': 'ldap'}"));
    json_t *test = call(state, "GET", ROUTE "/ds/test", NULL, NULL, 200);
    assert_non_null(json_str(test, "error"));
    json_decref(test);
    assert_json(call(state, "PUT", ROUTE "/ds", NULL, "{'hostname': null}", 200), quoted("{}"));
    call_fails(state, "GET", ROUTE "/ds", "fixed-vera", NULL, 403, "permission-denied");
    call_fails(state, "PUT", ROUTE "/ds", NULL, "[]", 400, "schema-violation");
}

static void status_and_unknown_routes(void **state) {
    json_t *all = call(state, "GET", "/status/v1/services?level=info", NULL, NULL, 200);
    const json_t *rbac = json_object_get(all, "rbac-service");
    assert_string_equal(json_str(rbac, "state"), "running");
    assert_true(json_bool(json_object_get(rbac, "status"), "activity_up", false));
    assert_non_null(json_object_get(all, "activity-service"));
    json_decref(all);
    call_fails(state, "GET", ROUTE "/nosuch", NULL, NULL, 404, "not-found");
    call_fails(state, "PATCH", ROUTE "/users", NULL, "{}", 405, "method-not-allowed");
    call_fails(state, "GET", ROUTE "/saml", NULL, NULL, 501, "not-implemented");
    call_fails(state, "GET", ROUTE "/saml/meta", NULL, NULL, 501, "not-implemented");
}

static void the_state_survives_a_round_trip(void **state) {
    mem_free(login(state, "noor", "quietstone", "'label': 'x'"));
    json_t *before = call(state, "GET", "/_fake/state", NULL, NULL, 200);
    assert_non_null(
        json_str(json_array_get(json_object_get(json_object_get(before, "rbac"), "users"), 2), "password_hash"));
    char *text = json_text(before);
    assert_null(strstr(text, "fixed-noor"));
    struct ask put = {.method = "PUT", .path = "/_fake/state", .body = text};
    json_decref(rig_json(bench_rig(state), &put, 204));
    assert_json(call(state, "GET", "/_fake/state", NULL, NULL, 200), before);
    mem_free(text);
    json_decref(call(state, "GET", ROUTE "/users/current", "fixed-noor", NULL, 200));
    mem_free(login(state, "noor", "quietstone", NULL));
    json_decref(call(state, "POST", "/_fake/reset", NULL, NULL, 204));
    json_decref(call(state, "GET", ROUTE "/users/current", "fixed-noor", NULL, 200));
}

static void bad_states_are_refused(void **state) {
    static const char *const bad[] = {
        "{'users': [{'password': 'x'}]}",
        "{'users': [{'login': 'x', 'id': 'y'}]}",
        "{'users': [{'login': 'x', 'roles': ['Nosuch']}]}",
        "{'users': [{'login': 'x', 'created': 'yesterday'}]}",
        "{'users': [{'login': 'x', 'password_hash': 'md5$x'}]}",
        "{'users': [{'login': 'x', 'password_hash': 'scrypt$3$AAAAAAAAAAAAAAAAAAAAAA==$AA=='}]}",
        "{'roles': [{'display_name': 'x', 'permissions': [{}]}]}",
        "{'roles': [{'display_name': 'x', 'id': 1}]}",
        "{'groups': [{'login': 'x', 'members': ['nobody']}]}",
        "{'groups': [{'login': 'x', 'user_ids': ['nobody']}]}",
        "{'groups': [{'login': 'admin'}]}",
        "{'tokens': [{'login': 'admin'}]}",
        "{'tokens': [{'token': 'x', 'login': 'nobody'}]}",
        "{'tokens': [{'token': 'x', 'login': 'admin', 'expires': 'x'}]}",
        "{'settings': {'scrypt_n': 1000}}",
        "{'settings': {'default_lifetime': '1 fortnight'}}",
        "{'settings': {'failed_attempts_lockout': -1}}",
        "{'nosuch': 1}",
        "[]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *body = str_printf("{'rbac': %s}", bad[i]);
        call_fails(state, "PUT", "/_fake/state", NULL, body, 400, "schema-violation");
        mem_free(body);
    }
    json_decref(call(state, "GET", ROUTE "/users/current", "fixed-noor", NULL, 200));
}

#define T(name) cmocka_unit_test_setup_teardown(name, bench_up, bench_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(users_are_listed_and_found),
        T(a_user_is_made_changed_and_deleted),
        T(making_a_user_is_checked),
        T(the_fixed_users_stay),
        T(a_user_is_revoked_and_reinstated),
        T(users_come_in_pages),
        T(groups_are_kept),
        T(roles_are_kept),
        T(bad_roles_are_refused),
        T(role_commands_change_members_and_permissions),
        T(a_password_is_reset_once),
        T(a_reset_reinstates_and_expires),
        T(a_user_changes_the_own_password),
        T(certificates_are_looked_up),
        T(directory_settings_are_kept),
        T(status_and_unknown_routes),
        T(the_state_survives_a_round_trip),
        T(bad_states_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
