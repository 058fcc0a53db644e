/* Configuration files: every key, wrong values named with their place, unknown keys with the nearest known one. */
#include "base/mem.h"
#include "orchestrator/settings.h"
#include "simulator/world/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char complete[] =
    "orchestrator {\n"
    "  database: /var/o.db, pcp-broker-urls: [ \"wss://a:8142\", \"wss://b:8142\" ]\n"
    "  rbac-url: \"https://c:4433/rbac-api\", classifier-url: \"https://c:4433/classifier-api\"\n"
    "  puppetdb-url: \"https://d:8081\", puppet-server-url: \"https://e:8140\"\n"
    "  task-concurrency: 500, pcp-timeout: 45, default-task-node-timeout: 10m, restart-policy: fail\n"
    "  certificate-allowlist: [ console, ci ], scheduled-jobs-v1-api: true\n"
    "}\n"
    "global.certs { ssl-cert: /a.pem, ssl-key: /a.key, ssl-ca-cert: /ca.pem }\n"
    "webserver.orchestrator { ssl-port: 9143, client-auth: need, ssl-crl-path: /crl.pem }\n"
    "pcp-broker { max-connections: 3 }\n";

struct fixture {
    struct sim *sim;
    struct world *w;
};

static int setup(void **state) {
    struct fixture *f = mem_zalloc(sizeof *f);
    f->sim = sim_new(&(struct sim_opts){.seed = 1});
    f->w = sim_host(f->sim, "orchestrator");
    world_file_mkdir(f->w, "/etc/conf.d", 0755, true, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    sim_free(f->sim);
    mem_free(f);
    return 0;
}

static struct orchestrator_settings *load(struct fixture *f, const char *file, const char *more, struct error *err) {
    static const char *const paths[] = {"/etc/conf.d"};
    assert_true(world_file_write(f->w, "/etc/conf.d/orchestrator.conf", span_of(file), 0644, WORLD_WRITE_PLAIN, NULL));
    return orchestrator_settings_load(f->w, paths, 1, more, NULL, NULL, err);
}

static void every_kind_of_value_is_read(void **state) {
    struct error err = ERROR_INIT;
    struct orchestrator_settings *s = load(*state, complete, "orchestrator.pcp-timeout = 60", &err);
    if (s == NULL) {
        fail_msg("%s", err.msg);
    }
    const struct orchestrator_config *c = &s->config;
    assert_string_equal(c->database, "/var/o.db");
    assert_int_equal(c->broker_count, 2);
    assert_string_equal(c->brokers[1], "wss://b:8142");
    assert_int_equal(c->task_concurrency, 500);
    assert_int_equal(c->pcp_timeout_s, 60); /* the command line wins */
    assert_int_equal(c->task_node_timeout_s, 600);
    assert_int_equal(c->global_concurrent_compiles, 8);
    assert_int_equal(c->restart_policy, RESTART_FAIL);
    assert_int_equal(c->allowed_count, 2);
    assert_string_equal(c->certificate_allowlist[1], "ci");
    assert_true(c->scheduled_jobs_v1_api);
    assert_int_equal(c->port, 9143);
    assert_int_equal(c->tls.client_auth, WORLD_CLIENT_AUTH_NEED);
    assert_string_equal(c->tls.cert, "/a.pem");
    assert_string_equal(c->crl, "/crl.pem");
    assert_int_equal(s->warning_count, 0);
    orchestrator_settings_free(s);
}

static void unknown_keys_are_warned_of(void **state) {
    struct error err = ERROR_INIT;
    struct orchestrator_settings *s = load(*state, complete, "orchestrator.task-concurency = 3", &err);
    assert_non_null(s);
    assert_int_equal(s->warning_count, 1);
    assert_non_null(strstr(s->warnings[0], "did you mean 'task-concurrency'?"));
    orchestrator_settings_free(s);
}

static void wrong_values_are_named_with_their_place(void **state) {
    static const struct {
        const char *more, *expected;
    } cases[] = {
        {"orchestrator.task-concurrency = many", "orchestrator.task-concurrency must be a number"},
        {"orchestrator.task-concurrency = -1", "orchestrator.task-concurrency must be a number"},
        {"orchestrator.pcp-timeout = soon", "must be a number of seconds"},
        {"orchestrator.restart-policy = maybe", "must be resume or fail"},
        {"orchestrator.pcp-broker-urls = {}", "must be a list of at most 32"},
        {"orchestrator.certificate-allowlist = [1]", "must be a list of at most 64 names"},
        {"webserver.orchestrator.ssl-port = 70000", "must be a number up to 65535"},
        {"webserver.orchestrator.client-auth = perhaps", "must be want, need or none"},
        {"orchestrator.app-management = 7", "must be true or false"},
        {"orchestrator.database = [\"a\"]", "must be a text"},
        {"orchestrator.job-prune-days-threshold = 1", "between 2 and 36500"},
        {"orchestrator.pcp-broker-urls = []", "pcp-broker-urls is not set"},
        {"orchestrator.rbac-url = \"\"", "rbac-url is not set"},
        {"dalang = 3", "dalang must be a map"},
        {"orchestrator {", "command line:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_INIT;
        assert_null(load(*state, complete, cases[i].more, &err));
        if (strstr(err.msg, cases[i].expected) == NULL) {
            fail_msg("%s: %s", cases[i].more, err.msg);
        }
        error_clear(&err);
    }
}

static void missing_files_are_named(void **state) {
    struct fixture *f = *state;
    static const char *const absent[] = {"/nowhere"}, *const empty[] = {"/etc/conf.d"};
    struct error err = ERROR_INIT;
    assert_null(orchestrator_settings_load(f->w, absent, 1, NULL, NULL, NULL, &err));
    assert_non_null(strstr(err.msg, "/nowhere"));
    assert_null(orchestrator_settings_load(f->w, empty, 1, NULL, NULL, NULL, &err));
    assert_non_null(strstr(err.msg, "holds no *.conf files"));
    error_clear(&err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_kind_of_value_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_keys_are_warned_of, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_values_are_named_with_their_place, setup, teardown),
        cmocka_unit_test_setup_teardown(missing_files_are_named, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
