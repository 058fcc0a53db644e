/* Types, evaluation, permitted and its listings (rbac.md §6). */
#include "base/mem.h"
#include "bench.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Asks POST /permitted one question. */
static bool may(void **state, const char *login, const char *type, const char *action, const char *instance) {
    char *body = str_printf("{'token': '%s', 'permissions': [{'object_type': '%s', 'action': '%s', 'instance': '%s'}]}",
                            user_id(state, login), type, action, instance);
    json_t *answer = call(state, "POST", ROUTE "/permitted", NULL, body, 200);
    assert_int_equal(json_array_size(answer), 1);
    bool result = json_is_true(json_array_get(answer, 0));
    json_decref(answer);
    mem_free(body);
    return result;
}

static void roles_grant(void **state) {
    static const struct {
        const char *login, *type, *action, *instance;
        bool allowed;
    } cases[] = {
        {"noor", "orchestrator", "view", "*", true},
        {"noor", "puppet_agent", "run", "*", true},
        {"noor", "tasks", "run", "service", false},
        {"noor", "plans", "run", "x", false},
        {"noor", "nodes", "view_data", "*", false},
        {"noor", "environment", "deploy_code", "production", true},
        {"noor", "node_groups", "set_environment", "any", true},
        {"vera", "orchestrator", "view", "*", true},
        {"vera", "puppet_agent", "run", "*", false},
        {"vera", "tasks", "run", "service", true}, /* by the group */
        {"vera", "tasks", "run", "a::b", true},    /* an instance with colons */
        {"vera", "tasks", "run", "a", false},
        {"vera", "tasks", "run", "*", false},
        {"root2", "tasks", "run", "*", true},
        {"root2", "nosuch", "run", "*", false},
        {"admin", "users", "create", "*", true},
        {"remy", "orchestrator", "view", "*", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (may(state, cases[i].login, cases[i].type, cases[i].action, cases[i].instance) != cases[i].allowed) {
            fail_msg("%s %s:%s:%s", cases[i].login, cases[i].type, cases[i].action, cases[i].instance);
        }
    }
}

static bool parent_of(void *ctx, const char *id, const char **parent) {
    (void)ctx;
    *parent = strcmp(id, "g3") == 0 ? "g2" : strcmp(id, "g2") == 0 ? "g1" : NULL;
    return *parent != NULL;
}

static void node_groups_inherit(void **state) {
    struct bench *b = *state;
    struct rbac_role *role = rbac_role_by_name(b->rbac->model, "Group editors");
    id_set_add(&rbac_user_by_login(b->rbac->model, "remy")->roles, role->id);
    fake_rbac_set_group_parent(b->rbac, parent_of, NULL);
    assert_true(may(state, "remy", "node_groups", "edit_child_rules", "g3"));
    assert_true(may(state, "remy", "node_groups", "view", "g2")); /* who edits sees */
    assert_false(may(state, "remy", "node_groups", "set_environment", "g3"));
    assert_false(may(state, "remy", "node_groups", "view", "g9"));
    assert_false(may(state, "remy", "node_groups", "view", "*"));
    rbac_role_grant(role, "node_groups", "view", RBAC_ROOT_GROUP);
    assert_true(may(state, "remy", "node_groups", "view", "*"));
    assert_true(may(state, "remy", "node_groups", "view", "g9"));
}

static void many_permissions_are_answered_in_order(void **state) {
    struct buf b = BUF_INIT;
    buf_printf(&b, "{'token': '%s', 'permissions': [", user_id(state, "vera"));
    for (int i = 0; i < 200; i++) {
        buf_printf(&b, "%s{'object_type': 'tasks', 'action': 'run', 'instance': '%s'}", i > 0 ? "," : "",
                   i % 3 == 0 ? "service" : "other");
    }
    buf_append_cstr(&b, "]}");
    json_t *answer = call(state, "POST", ROUTE "/permitted", NULL, b.ptr, 200);
    assert_int_equal(json_array_size(answer), 200);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(json_is_true(json_array_get(answer, i)), i % 3 == 0);
    }
    json_decref(answer);
    buf_free(&b);
}

static void odd_questions(void **state) {
    assert_json(call(state, "POST", ROUTE "/permitted", NULL,
                     "{'token': '5d3c1d8a-0b5e-4a0c-8f37-2f6a7c0f9b11', 'permissions': []}", 200),
                quoted("[]"));
    assert_json(call(state, "POST", ROUTE "/permitted", NULL,
                     "{'token': '5d3c1d8a-0b5e-4a0c-8f37-2f6a7c0f9b11', 'permissions':"
                     " [{'object_type': 'tasks', 'action': 'run', 'instance': '*'}]}",
                     200),
                quoted("[false]"));
    call_fails(state, "POST", ROUTE "/permitted", NULL, "{'token': 'noor', 'permissions': []}", 400, "invalid-uuid");
    call_fails(state, "POST", ROUTE "/permitted", NULL, "{'permissions': []}", 400, "schema-violation");
    call_fails(state, "POST", ROUTE "/permitted", NULL,
               "{'token': '5d3c1d8a-0b5e-4a0c-8f37-2f6a7c0f9b11', 'permissions': [1]}", 400, "schema-violation");
    call_fails(state, "POST", ROUTE "/permitted", "garbage", "{'token': 'x', 'permissions': []}", 401, "invalid-token");
}

static void instances_are_listed(void **state) {
    assert_json(call(state, "GET", ROUTE "/permitted/tasks/run", "fixed-vera", NULL, 200),
                quoted("['service', 'a::b']"));
    assert_json(call(state, "GET", ROUTE "/permitted/tasks/run", "fixed-noor", NULL, 200), quoted("[]"));
    assert_json(call(state, "GET", ROUTE "/permitted/tasks/run", "fixed-root2", NULL, 200), quoted("['*']"));
    char *path = str_printf(ROUTE "/permitted/orchestrator/view/%s", user_id(state, "vera"));
    assert_json(call(state, "GET", path, NULL, NULL, 200), quoted("['*']"));
    mem_free(path);
    call_fails(state, "GET", ROUTE "/permitted/tasks/nosuch", NULL, NULL, 404, "not-found");
    call_fails(state, "GET", ROUTE "/permitted/nosuch/run", NULL, NULL, 404, "not-found");
    call_fails(state, "GET", ROUTE "/permitted/tasks/run/x", NULL, NULL, 400, "invalid-uuid");
    call_fails(state, "GET", ROUTE "/permitted/tasks/run/5d3c1d8a-0b5e-4a0c-8f37-2f6a7c0f9b11", NULL, NULL, 404,
               "not-found");
}

static void types_are_listed(void **state) {
    json_t *types = call(state, "GET", ROUTE "/types", NULL, NULL, 200);
    bool found = false;
    size_t i;
    json_t *type;
    json_array_foreach(types, i, type) {
        if (strcmp(json_str(type, "object_type"), "tasks") == 0) {
            const json_t *action = json_array_get(json_object_get(type, "actions"), 0);
            assert_string_equal(json_str(action, "name"), "run");
            assert_true(json_bool(action, "has_instances", false));
            found = true;
        }
    }
    assert_true(found);
    json_decref(types);
    call_fails(state, "GET", ROUTE "/types", "garbage", NULL, 401, "invalid-token");
}

static void a_revoked_subject_may_nothing(void **state) {
    struct bench *b = *state;
    rbac_user_by_login(b->rbac->model, "noor")->revoked = true;
    assert_false(may(state, "noor", "orchestrator", "view", "*"));
}

static void a_role_taken_away_counts_at_once(void **state) {
    char *body = str_printf("{'user_id': '%s', 'role_ids': [2]}", user_id(state, "noor"));
    assert_true(may(state, "noor", "puppet_agent", "run", "*"));
    json_decref(call(state, "POST", ROUTE "/command/users/remove-roles", NULL, body, 204));
    assert_false(may(state, "noor", "puppet_agent", "run", "*"));
    json_decref(call(state, "POST", ROUTE "/command/users/add-roles", NULL, body, 204));
    assert_true(may(state, "noor", "puppet_agent", "run", "*"));
    mem_free(body);
}

static void tokens_are_asked_in_process(void **state) {
    struct bench *b = *state;
    struct error err = ERROR_INIT;
    assert_true(fake_rbac_token_permits(b->rbac, "fixed-vera", "tasks:run:a::b", &err));
    assert_false(fake_rbac_token_permits(b->rbac, "fixed-vera", "nodes:view_data:*", &err));
    assert_true(error_is(&err, "denied"));
    assert_false(fake_rbac_token_permits(b->rbac, "fixed-old", "orchestrator:view:*", &err));
    assert_true(error_is(&err, "puppetlabs.rbac/token-expired"));
    error_clear(&err);
}

#define T(name) cmocka_unit_test_setup_teardown(name, bench_up, bench_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(roles_grant),
        T(node_groups_inherit),
        T(many_permissions_are_answered_in_order),
        T(odd_questions),
        T(instances_are_listed),
        T(types_are_listed),
        T(a_revoked_subject_may_nothing),
        T(a_role_taken_away_counts_at_once),
        T(tokens_are_asked_in_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
