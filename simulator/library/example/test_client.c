/* A test of your own client: a stack, something that uses it, and what happens when it breaks. */
#include <dalang/dalang_cmocka.h>
#include <stdio.h>
#include <string.h>

static const struct dalang_stack_opts opts = {.agents = 3};

static int setup(void **state) {
    return dalang_setup(state, &opts);
}

static void what_clients_need(void **state) {
    const struct dalang_stack *s = *state;
    char header[512], url[512], *out = NULL;
    snprintf(header, sizeof(header), "X-Authentication: %s", dalang_stack_token(s));
    snprintf(url, sizeof(url), "%s/orchestrator/v1/inventory", dalang_stack_get(s, "orchestrator"));
    /* In place of your client: */
    const char *const curl[] = {"curl", "-sS", "--cacert", dalang_stack_ca(s), "-H", header, url, NULL};
    assert_int_equal(dalang_stack_run(s, curl, &out, NULL), 0);
    assert_non_null(strstr(out, "node-0003.example.com"));
    free(out);
    assert_int_equal(dalang_stack_run(s, (const char *const[]){NULL}, NULL, NULL), -1);
    assert_string_equal(dalang_stack_get(s, "agents"), "3");
    assert_null(dalang_stack_get(s, "nothing"));
}

static void a_task(void **state) {
    char *json = NULL;
    assert_dalang_task(*state, "echo", DALANG_PARAMS("message=hi"), NULL);
    assert_true(dalang_stack_task(*state, "echo", DALANG_PARAMS("message=hi"),
                                  "nodes[certname]{certname = \"node-0002.example.com\"}", &json));
    assert_non_null(strstr(json, "node-0002.example.com"));
    assert_null(strstr(json, "node-0001.example.com"));
    free(json);
    assert_false(dalang_stack_task(*state, "no-such-task", NULL, NULL, NULL));
    assert_dalang_run(*state, 0, "puppet-query", "nodes[certname]{}");
}

static bool task_runs(void *ctx) {
    return dalang_stack_task(ctx, "echo", DALANG_PARAMS("message=again"), NULL, NULL);
}

static void faults(void **state) {
    char why[DALANG_STACK_ERROR_MAX];
    assert_dalang_fault(*state, "{\"service\": {\"name\": \"puppetdb\", \"status\": 503}}");
    assert_int_not_equal(dalang_stack_run(*state, DALANG_PARAMS("puppet-query", "nodes[certname]{}"), NULL, NULL), 0);
    assert_true(dalang_stack_heal(*state, why, sizeof(why)));
    assert_dalang_fault(*state, "{\"restart\": \"broker-1\", \"down_for\": \"100ms\"}");
    assert_true(dalang_stack_wait(task_runs, *state, 60000));
    assert_false(dalang_stack_fault(*state, "{\"kill\": \"nobody\"}", why, sizeof(why)));
    assert_non_null(strstr(why, "there is no host nobody"));
}

static void what_does_not_start(void **state) {
    char why[DALANG_STACK_ERROR_MAX];
    (void)state;
    assert_null(dalang_stack_start(&(struct dalang_stack_opts){.modules = "/no/such/directory"}, why, sizeof(why)));
    assert_non_null(strstr(why, "/no/such/directory"));
    assert_null(dalang_stack_start(&(struct dalang_stack_opts){.program = "/no/such/dalang"}, why, sizeof(why)));
    assert_non_null(strstr(why, "/no/such/dalang"));
    dalang_stack_stop(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_clients_need),
        cmocka_unit_test(a_task),
        cmocka_unit_test(faults),
        cmocka_unit_test(what_does_not_start),
    };
    return cmocka_run_group_tests(tests, setup, dalang_teardown);
}
