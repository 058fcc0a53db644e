/* Faults on what really runs: who is asked to do what, and when each ends. The clock is a simulated one. */
#include "simulator/faults/live.h"

#include "base/mem.h"
#include "simulator/world/sim.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct bench {
    struct sim *sim;
    struct world *world;
    struct netfaults *net;
    struct live_faults *f;
    struct buf did; /* what the hooks were asked, a word each */
    bool cannot_start;
};

static const char *const names[] = {"broker-1", "orchestrator", "node-1", "node-2", NULL};

static const char *at(void *ctx, size_t i) {
    (void)ctx;
    return names[i];
}
static const char *find(void *ctx, const char *name) {
    for (size_t i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], name) == 0) {
            return at(ctx, i);
        }
    }
    return NULL;
}
static bool kill_host(void *ctx, const char *host, struct error *err) {
    buf_printf(&((struct bench *)ctx)->did, "kill:%s ", host);
    return strcmp(host, "orchestrator") != 0 || error_set(err, "fault/unsupported", "not that one");
}
static bool start_host(void *ctx, const char *host, struct error *err) {
    struct bench *bench = ctx;
    buf_printf(&bench->did, "start:%s ", host);
    return !bench->cannot_start || error_set(err, "world/address-in-use", "not now");
}
static bool service(void *ctx, const char *name, const json_t *fault, struct error *err) {
    (void)err;
    buf_printf(&((struct bench *)ctx)->did, "%s:%s ", fault != NULL ? "break" : "mend", name);
    return true;
}
static bool revoke(void *ctx, const char *name, struct error *err) {
    buf_printf(&((struct bench *)ctx)->did, "revoke:%s ", name);
    return strcmp(name, "nobody") != 0 || error_set(err, "fault", "nobody has none");
}
static bool expire(void *ctx, const char *name, struct error *err) {
    (void)err;
    buf_printf(&((struct bench *)ctx)->did, "expire:%s ", name);
    return true;
}
static bool renew(void *ctx, const char *name, struct error *err) {
    (void)err;
    buf_printf(&((struct bench *)ctx)->did, "renew:%s ", name);
    return true;
}

static void setup(struct bench *bench) {
    *bench = (struct bench){.sim = sim_new(&(struct sim_opts){.seed = 1})};
    bench->world = sim_host(bench->sim, "stage");
    bench->net = netfaults_new(bench->world, 1);
    netfaults_host(bench->net, "orchestrator");
    bench->f = live_faults_new(bench->world, bench->net,
                               &(struct live_faults_hooks){.find = find,
                                                           .at = at,
                                                           .kill = kill_host,
                                                           .start = start_host,
                                                           .service = service,
                                                           .revoke = revoke,
                                                           .expire = expire,
                                                           .renew = renew,
                                                           .ctx = bench},
                               1);
}

static void teardown(struct bench *bench) {
    live_faults_free(bench->f);
    netfaults_free(bench->net);
    sim_free(bench->sim);
    buf_free(&bench->did);
}

static void apply(struct bench *bench, const char *text) {
    struct error err = ERROR_INIT;
    json_t *spec = json_loads(text, 0, NULL);
    assert_non_null(spec);
    if (!live_faults_apply(bench->f, spec, &err)) {
        fail_msg("%s: %s", text, err.msg);
    }
    json_decref(spec);
}

static void expect(struct bench *bench, const char *did) {
    assert_string_equal(bench->did.ptr != NULL ? bench->did.ptr : "", did);
    buf_clear(&bench->did);
}

static bool never(void *ctx) {
    (void)ctx;
    return false;
}

static void run_for(struct bench *bench, uint64_t us) {
    sim_run_until(bench->sim, us, never, NULL);
}

static void heal(struct bench *bench) {
    struct error err = ERROR_INIT;
    assert_true(live_faults_heal(bench->f, &err));
}

static void who_is_killed_comes_back(void **state) {
    struct bench bench;
    (void)state;
    setup(&bench);
    apply(&bench, "{\"restart\": \"node-*\", \"down_for\": \"3s\"}");
    run_for(&bench, 2900 * SIM_MS);
    expect(&bench, "kill:node-1 kill:node-2 ");
    run_for(&bench, 200 * SIM_MS);
    expect(&bench, "start:node-1 start:node-2 ");
    apply(&bench, "{\"restart\": \"broker-1\"}"); /* a second, when it is not said */
    run_for(&bench, 1100 * SIM_MS);
    expect(&bench, "kill:broker-1 start:broker-1 ");
    apply(&bench, "{\"kill\": \"node-1\"}");
    run_for(&bench, SIM_HOUR);
    expect(&bench, "kill:node-1 ");
    heal(&bench);
    expect(&bench, "start:node-1 ");
    heal(&bench);
    expect(&bench, "");
    teardown(&bench);
}

/* The last word about a host counts. */
static void killed_again_while_down(void **state) {
    struct bench bench;
    (void)state;
    setup(&bench);
    apply(&bench, "{\"restart\": \"node-1\", \"down_for\": \"1s\"}");
    apply(&bench, "{\"kill\": \"node-1\"}");
    run_for(&bench, SIM_HOUR);
    expect(&bench, "kill:node-1 kill:node-1 ");
    apply(&bench, "{\"restart\": \"node-1\", \"down_for\": \"1s\"}");
    run_for(&bench, SIM_HOUR);
    expect(&bench, "kill:node-1 start:node-1 ");
    teardown(&bench);
}

static void what_cannot_be_started_is_tried_again(void **state) {
    struct bench bench;
    struct error err = ERROR_INIT;
    (void)state;
    setup(&bench);
    bench.cannot_start = true;
    apply(&bench, "{\"restart\": \"broker-1\", \"down_for\": \"1s\"}");
    run_for(&bench, 2500 * SIM_MS);
    expect(&bench, "kill:broker-1 start:broker-1 start:broker-1 ");
    assert_false(live_faults_heal(bench.f, &err));
    assert_string_equal(err.msg, "not now");
    error_clear(&err);
    expect(&bench, "start:broker-1 ");
    bench.cannot_start = false;
    run_for(&bench, SIM_HOUR);
    expect(&bench, "start:broker-1 ");
    teardown(&bench);
}

static void services_and_certificates_are_mended(void **state) {
    struct bench bench;
    (void)state;
    setup(&bench);
    apply(&bench, "{\"service\": {\"name\": \"rbac\", \"status\": 500}, \"for\": \"1s\"}");
    apply(&bench, "{\"certificate\": {\"revoke\": \"node-1\"}, \"for\": \"2s\"}");
    apply(&bench, "{\"certificate\": {\"expire\": \"node-2\"}}");
    expect(&bench, "break:rbac revoke:node-1 expire:node-2 ");
    run_for(&bench, SIM_HOUR);
    expect(&bench, "mend:rbac renew:node-1 ");
    heal(&bench);
    expect(&bench, "renew:node-2 ");
    teardown(&bench);
}

static void clocks_jump(void **state) {
    struct bench bench;
    (void)state;
    setup(&bench);
    const struct world *host = netfaults_host(bench.net, "orchestrator");
    int64_t before = world_wall_ms((struct world *)(uintptr_t)host);
    apply(&bench, "{\"clock\": {\"host\": \"orchestrator\", \"jump\": \"-1h\"}}");
    assert_int_equal(world_wall_ms((struct world *)(uintptr_t)host), before - 3600000);
    apply(&bench, "{\"clock\": {\"host\": \"orchestrator\", \"jump\": \"1h\"}}");
    assert_int_equal(world_wall_ms((struct world *)(uintptr_t)host), before);
    teardown(&bench);
}

static void what_is_refused(void **state) {
    static const struct {
        const char *spec, *kind, *msg;
    } cases[] = {
        {"{\"kil\": \"node-1\"}", "fault", "kil: unknown kind of fault; did you mean kill?"},
        {"{\"kill\": \"node-7\"}", "fault/unknown-host", "kill: there is no host node-7"},
        {"{\"restart\": \"x*\"}", "fault/unknown-host", "restart: there is no host like x*"},
        {"{\"kill\": \"*\"}", "fault", "kill: not everything can be killed at once: name hosts"},
        {"{\"kill\": \"orchestrator\"}", "fault/unsupported", "not that one"},
        {"{\"kill\": \"node-1\", \"power\": true}", "fault/unsupported",
         "kill: only machines of the simulated world lose their power or start slowly"},
        {"{\"restart\": \"node-1\", \"slow_start\": \"1s\"}", "fault/unsupported",
         "restart: only machines of the simulated world lose their power or start slowly"},
        {"{\"partition\": {\"a\": \"nobody\"}}", "fault/unknown-host", "partition: there is no host nobody"},
        {"{\"reset\": {\"a\": \"node-1\", \"b\": \"nobody\"}}", "fault/unknown-host", "reset: there is no host nobody"},
        {"{\"half_close\": {\"gone\": \"*\"}}", "fault", "half_close.gone: name the hosts whose ends vanish"},
        {"{\"half_close\": {\"gone\": \"node-1\", \"peer\": \"z\"}}", "fault/unknown-host",
         "half_close.peer: there is no host z"},
        {"{\"clock\": {\"host\": \"*\", \"jump\": \"1h\"}}", "fault", "clock.host: name whose clocks jump"},
        {"{\"clock\": {\"host\": \"node-1\", \"jump\": \"1h\"}}", "fault/unsupported",
         "clock.host: node-1 has no clock of its own here"},
        {"{\"clock\": {\"host\": \"orchestrator\", \"drift_ppm\": 9}}", "fault/unsupported",
         "clock: clocks jump in the real world, they do not drift"},
        {"{\"certificate\": {\"revoke\": \"nobody\"}}", "fault", "nobody has none"},
        {"{\"certificate\": {}}", "fault", "certificate: a name to revoke or to expire is wanted"},
        {"{\"certificate\": {\"revoke\": \"node-1\", \"expire\": \"node-2\"}}", "fault",
         "certificate: a name to revoke or to expire is wanted"},
        {"{\"pause\": \"node-1\"}", "fault/unsupported",
         "pause: this fault is one of the simulated world: worlds: [sim]"},
        {"{\"disk\": {\"host\": \"node-1\", \"full\": true}}", "fault/unsupported",
         "disk: this fault is one of the simulated world: worlds: [sim]"},
    };
    struct bench bench;
    (void)state;
    setup(&bench);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = ERROR_INIT;
        json_t *spec = json_loads(cases[i].spec, 0, NULL);
        assert_non_null(spec);
        assert_false(live_faults_apply(bench.f, spec, &err));
        assert_string_equal(err.kind, cases[i].kind);
        assert_string_equal(err.msg, cases[i].msg);
        error_clear(&err);
        json_decref(spec);
    }
    buf_clear(&bench.did);
    heal(&bench); /* nothing of it lasts */
    expect(&bench, "");
    teardown(&bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_killed_comes_back),
        cmocka_unit_test(killed_again_while_down),
        cmocka_unit_test(what_cannot_be_started_is_tried_again),
        cmocka_unit_test(services_and_certificates_are_mended),
        cmocka_unit_test(clocks_jump),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
