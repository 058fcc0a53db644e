/* Faults: what their descriptions do to a world, that they end, that several on one link add up, and swarms. */
#include "simulator/faults/faults.h"

#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct bench {
    struct sim *sim;
    struct faults *f;
    struct world *a, *b;
    int crashes, restarts, powers, services, service_ends, revoked, renewed, failed;
    bool cannot_start;
    char log[4000]; /* of notes */
    struct sim_watcher watcher;
};

static bool crash(void *ctx, const char *host, enum sim_crash_kind kind) {
    struct bench *bench = ctx;
    bench->crashes++;
    bench->powers += kind == SIM_CRASH_POWER;
    sim_crash(sim_find_host(bench->sim, host), kind);
    return true;
}
static bool restart(void *ctx, const char *host, struct error *err) {
    struct bench *bench = ctx;
    if (bench->cannot_start) {
        return error_set(err, "test", "not now");
    }
    sim_power_on(sim_find_host(bench->sim, host));
    bench->restarts++;
    return true;
}
static bool service(void *ctx, const char *name, const json_t *fault, struct error *err) {
    struct bench *bench = ctx;
    (void)err;
    assert_string_equal(name, "rbac");
    bench->services += fault != NULL && json_is_true(json_object_get(fault, "hang"));
    bench->service_ends += fault == NULL;
    return true;
}
static bool revoke(void *ctx, const char *name, struct error *err) {
    (void)err;
    assert_true(str_eq(name, "a") || strncmp(name, "node-", 5) == 0);
    ((struct bench *)ctx)->revoked++;
    return true;
}
static bool renew(void *ctx, const char *name, struct error *err) {
    struct bench *bench = ctx;
    assert_true(str_eq(name, "a") || strncmp(name, "node-", 5) == 0);
    bench->renewed++;
    return !bench->cannot_start || error_set(err, "test", "the disk is full");
}
static void on_event(void *ctx, const struct sim_event *e) {
    struct bench *bench = ctx;
    bench->failed += e->kind == SIM_EVENT_NOTE && strncmp(e->text, "fault", 5) != 0;
    if (e->kind == SIM_EVENT_NOTE && strlen(bench->log) + strlen(e->text) + 2 < sizeof(bench->log)) {
        strcat(strcat(bench->log, e->text), "\n");
    }
}

static void setup(struct bench *bench, uint64_t seed) {
    *bench = (struct bench){.sim = sim_new(&(struct sim_opts){.seed = seed})};
    bench->a = sim_host(bench->sim, "a");
    bench->b = sim_host(bench->sim, "b");
    sim_host(bench->sim, "node-1");
    sim_host(bench->sim, "node-2");
    bench->f = faults_new(
        bench->sim,
        &(struct faults_hooks){
            .crash = crash, .restart = restart, .service = service, .revoke = revoke, .renew = renew, .ctx = bench});
    sim_watch(bench->sim, &bench->watcher, on_event, bench);
}
static void teardown(struct bench *bench) {
    faults_free(bench->f);
    sim_unwatch(bench->sim, &bench->watcher);
    sim_free(bench->sim);
}
static void apply(struct bench *bench, const char *text) {
    struct error err = ERROR_INIT;
    json_t *spec = json_loads(text, 0, NULL);
    assert_non_null(spec);
    if (!faults_apply(bench->f, spec, &err)) {
        fail_msg("%s: %s", text, err.msg);
    }
    json_decref(spec);
}
static struct sim_link link_of(struct bench *bench, const char *from, const char *to) {
    return sim_link_get(bench->sim, from, to);
}
static void heal(struct bench *bench) {
    struct error err = ERROR_INIT;
    assert_true(faults_heal(bench->f, &err));
    assert_int_equal(faults_active(bench->f), 0);
}

static void test_partition_ends(void **state) {
    struct bench bench;
    (void)state;
    setup(&bench, 1);
    apply(&bench, "{\"partition\": {\"a\": \"a\", \"b\": \"b\"}, \"for\": \"3s\"}");
    assert_true(link_of(&bench, "a", "b").cut && link_of(&bench, "b", "a").cut);
    assert_false(link_of(&bench, "a", "node-1").cut);
    sim_run(bench.sim, 2900 * SIM_MS);
    assert_true(link_of(&bench, "a", "b").cut);
    sim_run(bench.sim, 3100 * SIM_MS);
    assert_false(link_of(&bench, "a", "b").cut || link_of(&bench, "b", "a").cut);
    assert_int_equal(faults_active(bench.f), 0);
    assert_string_equal(bench.log, "fault: {\"partition\":{\"a\":\"a\",\"b\":\"b\"},\"for\":\"3s\"}\nfault ends\n");
    teardown(&bench);
}

static void test_one_way_and_lists(void **state) {
    struct bench bench;
    (void)state;
    setup(&bench, 1);
    apply(&bench, "{\"partition\": {\"a\": [\"a\", \"b\"], \"b\": \"node-*\", \"symmetric\": false}}");
    assert_true(link_of(&bench, "a", "node-2").cut && link_of(&bench, "b", "node-1").cut);
    assert_false(link_of(&bench, "node-2", "a").cut);
    heal(&bench);
    assert_false(link_of(&bench, "a", "node-2").cut);
    teardown(&bench);
}

/* Effects of several faults on one pair add up, whichever of them names it how precisely, and go one by one. */
static void test_effects_add_up(void **state) {
    struct bench bench;
    (void)state;
    setup(&bench, 1);
    struct sim_link own = sim_link_default();
    own.bytes_per_s = 5000000;
    sim_link_set(bench.sim, "a", "b", &own); /* somebody else's */
    apply(&bench, "{\"drop\": {\"a\": \"a\", \"ratio\": 0.1, \"symmetric\": false}, \"for\": \"1s\"}");
    apply(&bench, "{\"delay\": {\"b\": \"b\", \"latency\": \"80ms\", \"symmetric\": false}, \"for\": \"2s\"}");
    apply(&bench, "{\"throttle\": {\"a\": \"a\", \"b\": \"b\", \"bytes_per_s\": 1000}, \"for\": \"3s\"}");
    struct sim_link ab = link_of(&bench, "a", "b");
    assert_int_equal(ab.loss_ppm, 100000);
    assert_int_equal(ab.latency_us.a, 80000);
    assert_int_equal(ab.bytes_per_s, 1000);
    assert_int_equal(link_of(&bench, "node-1", "b").latency_us.a, 80000);
    assert_int_equal(link_of(&bench, "node-1", "b").loss_ppm, 0);
    assert_int_equal(link_of(&bench, "a", "node-1").loss_ppm, 100000);
    sim_run(bench.sim, 1500 * SIM_MS);
    ab = link_of(&bench, "a", "b");
    assert_int_equal(ab.loss_ppm, 0);
    assert_int_equal(ab.latency_us.a, 80000);
    sim_run(bench.sim, 2500 * SIM_MS);
    assert_int_equal(link_of(&bench, "a", "b").bytes_per_s, 1000);
    sim_run(bench.sim, 3500 * SIM_MS);
    assert_int_equal(link_of(&bench, "a", "b").bytes_per_s, 5000000);
    assert_int_equal(link_of(&bench, "b", "a").bytes_per_s, 0);
    teardown(&bench);
}

static void test_every_ratio(void **state) {
    struct bench bench;
    (void)state;
    setup(&bench, 1);
    apply(&bench, "{\"corrupt\": {\"a\": \"a\", \"b\": \"b\", \"ratio\": 0.01}}");
    apply(&bench, "{\"refuse\": {\"a\": \"a\", \"b\": \"b\", \"ratio\": 0.5}}");
    apply(&bench, "{\"reset\": {\"a\": \"a\", \"b\": \"b\", \"ratio\": 0.25}}");
    apply(&bench, "{\"reorder\": {\"a\": \"a\", \"b\": \"b\", \"by\": \"50ms\"}}");
    apply(&bench, "{\"duplicate\": {\"a\": \"a\", \"b\": \"b\", \"ratio\": 1}}");
    struct sim_link ab = link_of(&bench, "a", "b");
    assert_int_equal(ab.corrupt_ppm, 10000);
    assert_int_equal(ab.refuse_ppm, 500000);
    assert_int_equal(ab.reset_ppm, 250000);
    assert_int_equal(ab.late_us, 50 * SIM_MS);
    assert_int_equal(ab.late_ppm, 500000);
    assert_int_equal(ab.duplicate_ppm, 1000000);
    assert_int_equal(faults_active(bench.f), 5);
    assert_int_equal(faults_injected_total(bench.f), 5);
    const char *name;
    uint64_t counted = 0;
    for (size_t i = 0; faults_injected(bench.f, i, &name), name != NULL; i++) {
        counted += faults_injected(bench.f, i, &name);
    }
    assert_int_equal(counted, 5);
    heal(&bench);
    teardown(&bench);
}

static void test_kill_and_restart(void **state) {
    struct bench bench;
    (void)state;
    setup(&bench, 1);
    apply(&bench, "{\"restart\": \"a\", \"down_for\": \"3s\"}");
    assert_int_equal(bench.crashes, 1);
    assert_int_equal(bench.restarts, 0);
    sim_run(bench.sim, 4 * SIM_SECOND);
    assert_int_equal(bench.restarts, 1);
    apply(&bench, "{\"kill\": [\"a\", \"b\"], \"power\": true}");
    assert_int_equal(bench.powers, 2);
    sim_run(bench.sim, SIM_HOUR);
    assert_int_equal(bench.restarts, 1);
    assert_int_equal(faults_active(bench.f), 2);
    heal(&bench);
    assert_int_equal(bench.restarts, 3);
    /* What cannot be started is said, and tried again at the end. */
    bench.cannot_start = true;
    apply(&bench, "{\"restart\": \"a\"}");
    sim_run(bench.sim, 2 * SIM_HOUR);
    assert_non_null(strstr(bench.log, "fault: a does not start: not now"));
    struct error err = ERROR_INIT;
    assert_false(faults_heal(bench.f, &err));
    assert_string_equal(err.msg, "not now");
    error_clear(&err);
    bench.cannot_start = false;
    heal(&bench);
    teardown(&bench);
}

static void nothing(void *ctx) {
    ++*(int *)ctx;
}

static void test_pause(void **state) {
    struct bench bench;
    struct timer t = {0};
    int fired = 0;
    (void)state;
    setup(&bench, 1);
    world_timer_start(bench.a, &t, 100, nothing, &fired);
    apply(&bench, "{\"pause\": \"a\", \"for\": \"5s\"}");
    sim_run(bench.sim, 4 * SIM_SECOND);
    assert_int_equal(fired, 0);
    sim_run(bench.sim, 6 * SIM_SECOND);
    assert_int_equal(fired, 1);
    teardown(&bench);
}

static void test_disk_and_clock(void **state) {
    struct bench bench;
    struct error err = ERROR_INIT;
    (void)state;
    setup(&bench, 1);
    assert_true(world_file_write(bench.a, "/x", SPAN("x"), 0600, WORLD_WRITE_PLAIN, NULL));
    apply(&bench, "{\"disk\": {\"host\": \"a\", \"full\": true}, \"for\": \"1s\"}");
    assert_false(world_file_write(bench.a, "/y", SPAN("y"), 0600, WORLD_WRITE_PLAIN, &err));
    assert_string_equal(err.kind, "world/full");
    error_clear(&err);
    sim_run(bench.sim, 2 * SIM_SECOND);
    assert_true(world_file_write(bench.a, "/y", SPAN("y"), 0600, WORLD_WRITE_PLAIN, NULL));
    apply(&bench, "{\"disk\": {\"host\": \"a\", \"errors\": 1}}");
    assert_false(world_file_write(bench.a, "/z", SPAN("z"), 0600, WORLD_WRITE_PLAIN, NULL));
    heal(&bench);
    apply(&bench, "{\"disk\": {\"host\": \"a\", \"lose_unsynced\": true}}");
    assert_int_equal(bench.powers, 1);
    int64_t before = world_wall_ms(bench.b);
    apply(&bench, "{\"clock\": {\"host\": \"b\", \"jump\": \"-1h\"}}");
    assert_int_equal(world_wall_ms(bench.b) - before, -3600000);
    before = world_wall_ms(bench.b);
    apply(&bench, "{\"clock\": {\"host\": \"b\", \"drift_ppm\": 1000}}");
    sim_run(bench.sim, sim_now_us(bench.sim) + 1000 * SIM_SECOND);
    assert_int_equal(world_wall_ms(bench.b) - before, 1001000);
    heal(&bench);
    before = world_wall_ms(bench.b);
    sim_run(bench.sim, sim_now_us(bench.sim) + 1000 * SIM_SECOND);
    assert_int_equal(world_wall_ms(bench.b) - before, 1000000);
    teardown(&bench);
}

static void test_hooks(void **state) {
    struct bench bench;
    (void)state;
    setup(&bench, 1);
    apply(&bench, "{\"service\": {\"name\": \"rbac\", \"hang\": true}, \"for\": \"1s\"}");
    assert_int_equal(bench.services, 1);
    sim_run(bench.sim, 2 * SIM_SECOND);
    assert_int_equal(bench.service_ends, 1);
    apply(&bench, "{\"certificate\": {\"revoke\": \"a\"}}");
    assert_int_equal(bench.revoked, 1);
    assert_int_equal(bench.renewed, 0);
    heal(&bench);
    assert_int_equal(bench.renewed, 1);
    apply(&bench, "{\"certificate\": {\"revoke\": \"a\"}, \"for\": \"1m\"}");
    sim_run(bench.sim, sim_now_us(bench.sim) + 2 * SIM_MINUTE);
    assert_int_equal(bench.revoked, 2);
    assert_int_equal(bench.renewed, 2);
    teardown(&bench);
}

/* Whoever gets a new certificate and cannot start then is not forgotten: not by time, not when everything is healed. */
static void test_renewed_and_does_not_start(void **state) {
    struct bench bench;
    (void)state;
    setup(&bench, 1);
    apply(&bench, "{\"certificate\": {\"revoke\": \"a\"}, \"for\": \"1s\"}");
    bench.cannot_start = true;
    sim_run(bench.sim, 5 * SIM_SECOND);
    assert_int_equal(bench.renewed, 1);
    assert_non_null(strstr(bench.log, "fault: a does not start: the disk is full"));
    assert_int_equal(faults_active(bench.f), 1);
    bench.cannot_start = false;
    sim_run(bench.sim, 12 * SIM_SECOND);
    assert_int_equal(bench.restarts, 1);
    assert_int_equal(faults_active(bench.f), 0);

    apply(&bench, "{\"certificate\": {\"revoke\": \"a\"}, \"for\": \"1s\"}");
    bench.cannot_start = true;
    sim_run(bench.sim, sim_now_us(bench.sim) + 2 * SIM_SECOND);
    bench.cannot_start = false;
    heal(&bench);
    assert_int_equal(bench.restarts, 2);
    teardown(&bench);
}

static void on_timer(void *ctx) {
    *(uint64_t *)ctx = 1;
}

/* It is there again, and does nothing for a while; what cannot be started is tried again. */
static void test_slow_start(void **state) {
    struct bench bench;
    struct timer t = {0};
    uint64_t fired = 0;
    (void)state;
    setup(&bench, 1);
    apply(&bench, "{\"restart\": \"a\", \"down_for\": \"1s\", \"slow_start\": \"20s\"}");
    sim_run(bench.sim, 1100 * SIM_MS);
    assert_int_equal(bench.restarts, 1);
    world_timer_start(bench.a, &t, 1, on_timer, &fired);
    sim_run(bench.sim, 20 * SIM_SECOND);
    assert_int_equal(fired, 0);
    sim_run(bench.sim, 22 * SIM_SECOND);
    assert_int_equal(fired, 1);
    bench.cannot_start = true;
    apply(&bench, "{\"restart\": \"b\"}");
    sim_run(bench.sim, sim_now_us(bench.sim) + 15 * SIM_SECOND);
    assert_int_equal(bench.restarts, 1);
    bench.cannot_start = false;
    sim_run(bench.sim, sim_now_us(bench.sim) + 15 * SIM_SECOND);
    assert_int_equal(bench.restarts, 2);
    assert_int_equal(faults_active(bench.f), 0);
    teardown(&bench);
}

static void test_disk_reads(void **state) {
    struct bench bench;
    struct buf text = BUF_INIT;
    (void)state;
    setup(&bench, 1);
    assert_true(world_file_write(bench.a, "/x", SPAN("x"), 0600, WORLD_WRITE_PLAIN, NULL));
    apply(&bench, "{\"disk\": {\"host\": \"a\", \"errors\": 1}}");
    assert_true(world_file_read(bench.a, "/x", 10, &text, NULL));
    heal(&bench);
    apply(&bench, "{\"disk\": {\"host\": \"a\", \"errors\": 1, \"reads\": true}}");
    assert_false(world_file_read(bench.a, "/x", 10, &text, NULL));
    heal(&bench);
    assert_true(world_file_read(bench.a, "/x", 10, &text, NULL));
    buf_free(&text);
    teardown(&bench);
}

/* Connections: one reset for all between two hosts, and an end that vanishes. */
struct ends {
    int opened, closed;
    enum world_close_reason why;
    struct world_conn *accepted, *client;
};
static void on_open(void *ctx, struct world_conn *c) {
    (void)c;
    ((struct ends *)ctx)->opened++;
}
static void on_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    struct ends *e = ctx;
    (void)text;
    e->closed++;
    e->why = why;
    e->accepted = c == e->accepted ? NULL : e->accepted;
    e->client = c == e->client ? NULL : e->client;
}
static const struct world_conn_handler ends_handler = {.on_open = on_open, .on_close = on_close};
static void on_accept(void *ctx, struct world_conn *c) {
    ((struct ends *)ctx)->accepted = c;
    world_conn_set_handler(c, &ends_handler, ctx);
}

static void test_connections(void **state) {
    struct bench bench;
    struct ends e = {0};
    (void)state;
    setup(&bench, 1);
    struct world_listener *l = world_listen(bench.a, &(struct world_listen){.port = 80}, on_accept, &e, NULL);
    struct world_connect to = {.host = "a", .port = 80};
    e.client = world_connect(bench.b, &to, &ends_handler, &e);
    sim_run(bench.sim, SIM_SECOND);
    assert_int_equal(e.opened, 1);
    apply(&bench, "{\"reset\": {\"a\": \"*\", \"b\": \"*\"}}");
    sim_run(bench.sim, 2 * SIM_SECOND);
    assert_int_equal(e.closed, 2);
    assert_int_equal(e.why, WORLD_CLOSE_RESET);
    e.client = world_connect(bench.b, &to, &ends_handler, &e);
    sim_run(bench.sim, 3 * SIM_SECOND);
    apply(&bench, "{\"half_close\": {\"gone\": \"a\", \"peer\": \"b\"}}");
    sim_run(bench.sim, SIM_MINUTE);
    assert_int_equal(e.closed, 3);
    assert_null(e.accepted);
    world_conn_abort(e.client);
    world_listener_close(l);
    teardown(&bench);
}

static void refuse(const char *text, const char *kind, const char *words) {
    struct bench bench;
    struct error err = ERROR_INIT;
    json_t *spec = json_loads(text, JSON_DECODE_ANY, NULL);
    setup(&bench, 1);
    if (faults_apply(bench.f, spec, &err)) {
        fail_msg("%s was taken", text);
    }
    assert_string_equal(err.kind, kind);
    if (strstr(err.msg, words) == NULL) {
        fail_msg("%s: %s", text, err.msg);
    }
    error_clear(&err);
    assert_int_equal(faults_active(bench.f), 0);
    json_decref(spec);
    teardown(&bench);
}

static void test_bad_descriptions(void **state) {
    (void)state;
    refuse("{}", "fault", "a kind of fault is wanted");
    refuse("[]", "fault", "a kind of fault is wanted");
    refuse("{\"partitoin\": {}}", "fault", "partitoin: unknown kind of fault; did you mean partition?");
    refuse("{\"kill\": \"a\", \"pause\": \"a\"}", "fault", "only one kind");
    refuse("{\"kill\": \"a\", \"down_fro\": \"1s\"}", "fault", "down_fro: unknown key");
    refuse("{\"kill\": \"nobody\"}", "fault/unknown-host", "there is no host nobody");
    refuse("{\"kill\": \"x*\"}", "fault/unknown-host", "no host like x*");
    refuse("{\"kill\": 7}", "fault", "the name of a host");
    refuse("{\"kill\": \"*\"}", "fault", "not everything");
    refuse("{\"pause\": \"a\", \"for\": 3}", "fault", "for: ");
    refuse("{\"partition\": {\"a\": \"a\", \"c\": \"b\"}}", "fault", "partition.c: unknown key");
    refuse("{\"partition\": \"a\"}", "fault", "partition: an object");
    refuse("{\"drop\": {\"a\": \"a\", \"ratio\": 2}}", "fault", "drop.ratio: a ratio");
    refuse("{\"delay\": {\"a\": \"a\"}}", "fault", "delay.latency: ");
    refuse("{\"throttle\": {\"a\": \"a\", \"bytes_per_s\": 0}}", "fault", "throttle.bytes_per_s: ");
    refuse("{\"reorder\": {\"a\": \"a\", \"by\": \"0s\"}}", "fault", "reorder.by: ");
    refuse("{\"half_close\": {\"gone\": \"*\"}}", "fault", "half_close.gone: ");
    refuse("{\"half_close\": \"a\"}", "fault", "half_close: ");
    refuse("{\"disk\": {\"host\": \"a\"}}", "fault", "one of full, slow, errors, lose_unsynced");
    refuse("{\"disk\": {\"host\": \"a\", \"errors\": -1}}", "fault", "disk.errors");
    refuse("{\"clock\": {\"host\": \"a\"}}", "fault", "a jump");
    refuse("{\"clock\": {\"host\": \"a\", \"jump\": \"-x\"}}", "fault", "clock.jump");
    refuse("{\"clock\": 1}", "fault", "clock: ");
    refuse("{\"service\": {}}", "fault", "service.name");
    refuse("{\"certificate\": {\"revok\": \"a\"}}", "fault", "certificate.revok: unknown key; did you mean revoke?");
    refuse("{\"restart\": \"a\", \"down_for\": \"soon\"}", "fault", "down_for: ");
    refuse("{\"restart\": \"a\", \"slow_start\": \"soon\"}", "fault", "slow_start: ");
    refuse("{\"kill\": \"a\", \"slow_start\": \"1s\"}", "fault", "slow_start: unknown key");
    refuse("{\"reorder\": {\"by\": \"1s\", \"ratio\": 7}}", "fault", "reorder.ratio: ");
}

static void test_check_does_nothing(void **state) {
    static const char *const good[] = {
        "{\"kill\": \"whoever\"}",
        "{\"restart\": [\"x\", \"y\"], \"down_for\": \"3s\", \"power\": true}",
        "{\"pause\": \"x\", \"for\": {\"uniform\": [\"1s\", \"2s\"]}}",
        "{\"partition\": {\"a\": \"x\", \"b\": \"y\", \"symmetric\": false}}",
        "{\"reset\": {}}",
        "{\"half_close\": {\"gone\": \"x\"}}",
        "{\"disk\": {\"host\": \"x\", \"slow\": \"5ms\"}}",
        "{\"clock\": {\"host\": \"x\", \"jump\": \"1h\"}}",
        "{\"service\": {\"name\": \"rbac\", \"hang\": true}}",
        "{\"certificate\": {\"revoke\": \"x\"}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct error err = ERROR_INIT;
        json_t *spec = json_loads(good[i], 0, NULL);
        if (!faults_check(spec, &err)) {
            fail_msg("%s: %s", good[i], err.msg);
        }
        json_decref(spec);
    }
    struct error err = ERROR_INIT;
    json_t *spec = json_loads("{\"kil\": \"x\"}", 0, NULL);
    assert_false(faults_check(spec, &err));
    assert_string_equal(json_str(err.details, "key"), "kil");
    error_clear(&err);
    json_decref(spec);
}

static void test_without_hooks(void **state) {
    static const char *const needs[] = {"{\"kill\": \"a\"}", "{\"service\": {\"name\": \"rbac\"}}",
                                        "{\"certificate\": {\"revoke\": \"a\"}}"};
    (void)state;
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 1});
    sim_host(sim, "a");
    struct faults *f = faults_new(sim, NULL);
    for (size_t i = 0; i < 3; i++) {
        struct error err = ERROR_INIT;
        json_t *spec = json_loads(needs[i], 0, NULL);
        assert_false(faults_apply(f, spec, &err));
        assert_string_equal(err.kind, "fault/unsupported");
        error_clear(&err);
        json_decref(spec);
    }
    faults_free(f);
    sim_free(sim);
}

/* ---- swarms */

/* only: the number of a kind that is drawn alone, or -1. */
static void run_swarm_of(uint64_t seed, enum faults_level level, int only, char log[4000], uint64_t *total,
                         uint64_t *hash) {
    static const char *const components[] = {"a", "b"}, *const agents[] = {"node-1", "node-2"},
                             *const services[] = {"rbac"};
    struct bench bench;
    setup(&bench, seed);
    sim_host(bench.sim, "rbac");
    struct rng rng = sim_rng(bench.sim, "swarm", NULL);
    struct swarm swarm = swarm_of(level, &rng);
    for (size_t i = 0; only >= 0 && i < SWARM_KINDS_MAX; i++) {
        swarm.weights[i] = i == (size_t)only;
    }
    faults_swarm(bench.f, &swarm, &(struct swarm_targets){components, 2, agents, 2, services, 1}, 10 * SIM_MINUTE, rng);
    sim_run(bench.sim, 10 * SIM_MINUTE);
    heal(&bench);
    *total = faults_injected_total(bench.f);
    assert_true(sim_run_idle(bench.sim, SIM_HOUR));
    assert_int_equal(faults_injected_total(bench.f), *total); /* none comes later */
    assert_int_equal(bench.crashes, bench.restarts);
    assert_false(link_of(&bench, "a", "b").cut || link_of(&bench, "node-1", "a").cut);
    assert_int_equal(bench.revoked, bench.renewed);
    assert_int_equal(bench.failed, 0); /* everything drawn is a good description */
    memcpy(log, bench.log, sizeof(bench.log));
    *hash = sim_trace_hash(bench.sim);
    teardown(&bench);
}
static void run_swarm(uint64_t seed, enum faults_level level, char log[4000], uint64_t *total, uint64_t *hash) {
    run_swarm_of(seed, level, -1, log, total, hash);
}

/* Each kind can be drawn, alone; swarms draw all of them, and so does "heavy". */
static void test_every_kind(void **state) {
    char log[4000];
    uint64_t total, hash;
    struct rng rng = {1};
    struct swarm heavy = swarm_of(FAULTS_HEAVY, &rng);
    (void)state;
    for (size_t i = 0; i < swarm_kind_count(); i++) {
        run_swarm_of(i, FAULTS_HEAVY, (int)i, log, &total, &hash);
        assert_true(total > 10);
        assert_true(heavy.weights[i] > 0);
        uint32_t drawn = 0, bits;
        for (int seed = 0; seed < 40; seed++) {
            drawn += swarm_of(FAULTS_SWARM, &rng).weights[i] != 0;
        }
        assert_true(drawn > 5 && drawn < 35);
        assert_true(swarm_kinds_parse(swarm_kind_name(i), &bits) && bits == 1u << i);
    }
    uint32_t kinds;
    assert_false(swarm_kinds_parse("clock,clocks", &kinds));
}

static void test_swarm_is_repeatable(void **state) {
    char one[4000], two[4000];
    uint64_t total[2], hash[2];
    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) {
        run_swarm(seed, FAULTS_SWARM, one, &total[0], &hash[0]);
        run_swarm(seed, FAULTS_SWARM, two, &total[1], &hash[1]);
        assert_string_equal(one, two);
        assert_int_equal(total[0], total[1]);
        assert_true(hash[0] == hash[1]);
    }
}

static void test_levels(void **state) {
    char log[4000];
    uint64_t light, heavy, hash;
    (void)state;
    run_swarm(1, FAULTS_NONE, log, &light, &hash);
    assert_int_equal(light, 0);
    run_swarm(1, FAULTS_LIGHT, log, &light, &hash);
    run_swarm(1, FAULTS_HEAVY, log, &heavy, &hash);
    assert_true(light > 5 && heavy > 3 * light);
    enum faults_level level;
    assert_true(faults_level_parse("heavy", &level) && level == FAULTS_HEAVY);
    assert_false(faults_level_parse("severe", &level));
    struct rng rng = {1};
    struct swarm s = swarm_of(FAULTS_LIGHT, &rng);
    char *text = swarm_text(&s);
    assert_true(strncmp(text, "every 20000 ms, for 500-10000 ms, at most 2 at once: restart 1", 62) == 0);
    mem_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_partition_ends),
        cmocka_unit_test(test_one_way_and_lists),
        cmocka_unit_test(test_effects_add_up),
        cmocka_unit_test(test_every_ratio),
        cmocka_unit_test(test_kill_and_restart),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_disk_and_clock),
        cmocka_unit_test(test_hooks),
        cmocka_unit_test(test_renewed_and_does_not_start),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_bad_descriptions),
        cmocka_unit_test(test_check_does_nothing),
        cmocka_unit_test(test_without_hooks),
        cmocka_unit_test(test_swarm_is_repeatable),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_slow_start),
        cmocka_unit_test(test_disk_reads),
        cmocka_unit_test(test_every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
