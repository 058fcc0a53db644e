#include "bench.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char fixture[] =
    "{'users': [{'login': 'noor', 'password': 'quietstone', 'roles': ['Operators'], 'email': 'noor@lab.example'},"
    "           {'login': 'vera', 'password': 'quietstone', 'roles': ['Viewers']},"
    "           {'login': 'root2', 'password': 'quietstone', 'superuser': true},"
    "           {'login': 'remy', 'remote': true},"
    "           {'login': 'admin', 'password': 'adminstone'}],"
    " 'roles': [{'display_name': 'Web tasks', 'permissions':"
    "             [{'object_type': 'tasks', 'action': 'run', 'instance': 'service'},"
    "              {'object_type': 'tasks', 'action': 'run', 'instance': 'a::b'},"
    "              {'object_type': 'orchestrator', 'action': 'view', 'instance': '*'}]},"
    "           {'display_name': 'Group editors', 'permissions':"
    "             [{'object_type': 'node_groups', 'action': 'edit_child_rules', 'instance': 'g1'}]}],"
    " 'groups': [{'login': 'web-team', 'roles': ['Web tasks'], 'members': ['vera']}],"
    " 'tokens': [{'token': 'fixed-admin', 'login': 'admin'}, {'token': 'fixed-noor', 'login': 'noor'},"
    "            {'token': 'fixed-vera', 'login': 'vera'}, {'token': 'fixed-root2', 'login': 'root2'},"
    "            {'token': 'fixed-old', 'login': 'noor', 'expires': '2020-01-01T00:00:00Z'},"
    "            {'token': 'fixed-idle', 'login': 'noor', 'timeout_minutes': 30, 'label': 'idle'}],"
    " 'allowlist': ['orch.lab.example'],"
    " 'settings': {'failed_attempts_lockout': 10, 'default_lifetime': '1h', 'scrypt_n': 16}}";

int bench_up(void **state) {
    struct bench *b = mem_zalloc(sizeof *b);
    json_t *initial = quoted(fixture);
    struct error err = ERROR_INIT;
    rig_open(&b->rig);
    b->rbac = fake_rbac_new(b->rig.server, &(struct fake_rbac_opts){.state = initial}, &err);
    if (b->rbac == NULL) {
        fail_msg("%s", err.msg);
    }
    b->activity = fake_activity_new(b->rig.server, &(struct fake_activity_opts){.state = NULL}, &err);
    assert_non_null(b->activity);
    json_decref(initial);
    struct fake *fakes[] = {fake_rbac_base(b->rbac), fake_activity_base(b->activity)};
    rig_serve(&b->rig, fakes, 2);
    *state = b;
    return 0;
}

int bench_down(void **state) {
    struct bench *b = *state;
    rig_stop(&b->rig);
    fake_rbac_free(b->rbac);
    fake_activity_free(b->activity);
    rig_end(&b->rig);
    mem_free(b);
    return 0;
}

struct rig *bench_rig(void **state) {
    return &((struct bench *)*state)->rig;
}

const char *user_id(void **state, const char *name) {
    const struct rbac_user *u = rbac_user_by_login(((struct bench *)*state)->rbac->model, name);
    assert_non_null(u);
    return rbac_user_id(u);
}

static char *json_body(const char *body) {
    if (body == NULL) {
        return NULL;
    }
    json_t *value = quoted(body);
    char *text = json_text(value);
    json_decref(value);
    return text;
}

json_t *call(void **state, const char *method, const char *path, const char *token, const char *body, int status) {
    char *text = json_body(body);
    struct ask ask = {.method = method, .path = path, .token = token != NULL ? token : "fixed-admin", .body = text};
    json_t *answer = rig_json(bench_rig(state), &ask, status);
    mem_free(text);
    return answer;
}

void call_fails(void **state, const char *method, const char *path, const char *token, const char *body, int status,
                const char *kind) {
    char *text = json_body(body);
    struct ask ask = {.method = method, .path = path, .token = token != NULL ? token : "fixed-admin", .body = text};
    rig_error(bench_rig(state), &ask, status, kind);
    mem_free(text);
}

char *login(void **state, const char *name, const char *password, const char *more) {
    char *body = str_printf("{'login': '%s', 'password': '%s'%s%s}", name, password, more != NULL ? ", " : "",
                            more != NULL ? more : "");
    json_t *answer = call(state, "POST", ROUTE "/auth/token", "", body, 200);
    char *token = str_dup(json_str(answer, "token"));
    json_decref(answer);
    mem_free(body);
    return token;
}

void advance(void **state, const char *how) {
    char *body = str_printf("{'advance': '%s'}", how);
    json_decref(call(state, "POST", "/_fake/clock", NULL, body, 200));
    mem_free(body);
}
