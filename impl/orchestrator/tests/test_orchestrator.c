/* The whole service: what keeps it from starting, a database that is damaged when it starts, an orderly end. */
#include "base/mem.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct asked {
    bool answered;
    int status;
    struct buf body;
};

static void on_answer(void *ctx, const struct world_response *response) {
    struct asked *a = ctx;
    a->answered = true;
    a->status = response->err == NULL ? response->status : 0;
    buf_clear(&a->body);
    buf_append_span(&a->body, response->body);
}

static bool is_answered(void *ctx) {
    return ((struct asked *)ctx)->answered;
}

/* GET with an allow-listed certificate. */
static void ask(struct rig *r, struct world_tls *tls, struct asked *a, const char *path) {
    struct world *client = sim_host(r->sim, "client");
    char *url = str_printf("https://orchestrator:8143%s", path);
    struct world_fetch_opts opts = {.url = url, .tls = tls};
    a->answered = false;
    world_fetch(client, &opts, on_answer, a);
    assert_true(sim_run_until(r->sim, 30 * SIM_SECOND, is_answered, a));
    mem_free(url);
}

static void prepare(struct rig *r) {
    r->config.database = "/var/orchestrator.db";
    r->config.broker_count = 1;
    r->config.certificate_allowlist[0] = "client";
    r->config.allowed_count = 1;
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    struct rig *r = rig_new(1, 1);
    struct error err = ERROR_INIT;
    prepare(r);
    struct orchestrator_config good = r->config, bad = good;
    bad.database = NULL;
    assert_null(orchestrator_new(r->w, &bad, NULL, &err));
    assert_string_equal(err.msg, "database is not set");
    bad = good;
    bad.tls.key = "/nowhere.key";
    assert_null(orchestrator_new(r->w, &bad, NULL, &err));
    assert_non_null(strstr(err.msg, "/nowhere.key"));
    bad = good;
    bad.brokers[0] = "http://broker";
    assert_null(orchestrator_new(r->w, &bad, NULL, &err));
    assert_non_null(strstr(err.msg, "pcp-broker-urls"));
    assert_true(world_file_write(r->w, "/var/bad.key", SPAN("short"), 0600, WORLD_WRITE_PLAIN, NULL));
    bad = good;
    bad.secret_key_file = "/var/bad.key";
    assert_null(orchestrator_new(r->w, &bad, NULL, &err));
    assert_non_null(strstr(err.msg, "/var/bad.key"));
    struct orchestrator *first = orchestrator_new(r->w, &good, NULL, &err);
    assert_non_null(first);
    assert_true(orchestrator_start(first, &err));
    bad = good;
    bad.database = "/var/other.db";
    struct orchestrator *second = orchestrator_new(r->w, &bad, NULL, &err);
    assert_non_null(second);
    assert_false(orchestrator_start(second, &err));
    assert_true(error_is(&err, "world/address-in-use"));
    orchestrator_free(second);
    orchestrator_free(first);
    error_clear(&err);
    rig_free(r);
}

static void told(void *ctx) {
    *(bool *)ctx = true;
}

static bool is_true(void *ctx) {
    return *(bool *)ctx;
}

static bool is_ready(void *ctx) {
    const struct orchestrator_parts *p = orchestrator_parts(ctx);
    return engine_ready(p->engine);
}

static void a_damaged_database_is_answered_for_and_outlived(void **state) {
    (void)state;
    struct rig *r = rig_new(1, 1);
    struct error err = ERROR_INIT;
    struct asked a = {0};
    prepare(r);
    struct world_tls_files files = sim_tls_files(sim_host(r->sim, "client"), "client");
    struct world_tls *tls = world_tls_new(sim_host(r->sim, "client"), &files, NULL);
    struct buf garbage = BUF_INIT;
    for (int i = 0; i < 8192; i++) {
        buf_append_char(&garbage, 'x');
    }
    assert_true(world_file_write(r->w, r->config.database, buf_span(&garbage), 0600, WORLD_WRITE_PLAIN, NULL));
    struct orchestrator *o = orchestrator_new(r->w, &r->config, NULL, &err);
    assert_non_null(o);
    assert_true(orchestrator_start(o, &err));
    assert_int_equal(orchestrator_port(o), 8143);
    ask(r, tls, &a, "/orchestrator/v1/jobs");
    assert_int_equal(a.status, 503);
    assert_non_null(strstr(a.body.ptr, "the database cannot"));
    ask(r, tls, &a, "/status/v1/simple/orchestrator-service");
    assert_int_equal(a.status, 503);
    assert_true(world_file_remove(r->w, r->config.database, false, NULL)); /* somebody puts it right */
    assert_true(sim_run_until(r->sim, 5 * SIM_SECOND, is_ready, o));
    ask(r, tls, &a, "/status/v1/simple/orchestrator-service");
    assert_int_equal(a.status, 200);
    assert_true(orchestrator_reload(o, &err));
    bool stopped = false;
    orchestrator_stop(o, 1000, told, &stopped);
    assert_true(sim_run_until(r->sim, 20 * SIM_SECOND, is_true, &stopped));
    orchestrator_free(o);
    world_tls_free(tls);
    buf_free(&garbage);
    buf_free(&a.body);
    rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_damaged_database_is_answered_for_and_outlived),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
