/* What the API says when services or the disk fail, and that secrets stay where they belong. */
#include "base/mem.h"
#include "simulator/stack/tests/api_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define V1 "/orchestrator/v1"
#define QUERY "{\"task\": \"echo\", \"params\": {}, \"scope\": {\"query\": \"nodes[certname] { }\"}}"
#define ECHO "{\"task\": \"echo\", \"params\": {}, \"scope\": {\"nodes\": [\"" NODE_1 "\"]}}"

static void cut(struct api_rig *rig, const char *host) {
    struct sim_link link = sim_link_default();
    link.cut = true;
    sim_reset_connections(sim_find_host(rig->sim, "orchestrator"), sim_find_host(rig->sim, host));
    sim_link_set(rig->sim, "orchestrator", host, &link);
}

static const struct {
    const char *host;
    struct exchange exchange;
} outages[] = {
    {"puppetdb", FAILS(ADMIN, "POST", V1 "/command/task", QUERY, 400, "puppetdb-error", "query")},
    {"puppetserver", FAILS(ADMIN, "POST", V1 "/command/task", ECHO, 500, "unknown-error", NULL)},
    {"puppetserver", FAILS(ADMIN, "GET", V1 "/environments", NULL, 500, "unknown-error", NULL)},
    {"console", FAILS(VIEWER, "GET", V1 "/jobs", NULL, 500, "unknown-error", NULL)},
    {"console", FAILS(CERTIFICATE, "GET", V1 "/jobs", NULL, 500, "unknown-error", NULL)},
};

static void test_outages(void **ctx) {
    (void)ctx;
    for (size_t i = 0; i < sizeof outages / sizeof outages[0]; i++) {
        struct api_rig rig = {0};
        api_rig_start(&rig);
        cut(&rig, outages[i].host);
        api_exchanges(&rig, &outages[i].exchange, 1);
        api_rig_end(&rig);
    }
}

static void test_no_broker(void **ctx) {
    static const struct exchange refused = FAILS(VIEWER, "GET", V1 "/inventory", NULL, 500, "unknown-error", NULL);
    static const struct exchange status = GIVES(STRANGER, "GET", "/status/v1/services", NULL, 503,
                                                "{\"orchestrator-service\": {\"state\": \"running\", \"…\": 1}, "
                                                "\"broker-service\": {\"state\": \"error\", \"…\": 1}}");
    struct api_rig rig = {0};
    (void)ctx;
    api_rig_start(&rig);
    assert_true(simulated_crash(rig.stack, "broker-1", SIM_CRASH_KILL));
    api_rig_run(&rig, SIM_SECOND);
    api_exchanges(&rig, &refused, 1);
    api_exchanges(&rig, &status, 1);
    api_rig_end(&rig);
}

static size_t count_events(struct api_rig *rig, const char *type) {
    struct reply r = api_ask(rig, ADMIN, "GET", V1 "/jobs/1/events", NULL);
    size_t i, count = 0;
    json_t *event, *seen = json_object();
    json_array_foreach(json_object_get(r.body, "items"), i, event) {
        const char *node = json_str(json_object_get(event, "details"), "node");
        if (str_eq(json_str(event, "type"), type)) {
            assert_null(json_object_get(seen, node)); /* each node once */
            json_object_set_new(seen, node, json_true());
            count++;
        }
    }
    json_decref(seen);
    reply_free(&r);
    return count;
}

/* How many connected nodes the inventory names per broker. */
static void count_inventory(struct api_rig *rig, size_t counts[2]) {
    struct reply r = api_ask(rig, VIEWER, "GET", V1 "/inventory", NULL);
    size_t i;
    json_t *item;
    counts[0] = counts[1] = 0;
    assert_int_equal(r.status, 200);
    json_array_foreach(json_object_get(r.body, "items"), i, item) {
        const char *broker = json_str(item, "broker");
        assert_non_null(broker);
        assert_true(strstr(broker, "broker-1") != NULL || strstr(broker, "broker-2") != NULL);
        counts[strstr(broker, "broker-2") != NULL]++;
    }
    reply_free(&r);
}

/* Two brokers, each with agents; one is lost in the middle of a job and comes back: no node is lost or told twice. */
static void test_a_broker_is_lost_and_returns(void **ctx) {
    enum { AGENTS = 6 };
    json_t *slow = json_pack("{s:{s:{s:s}}}", "tasks", "default", "takes", "60s");
    static const size_t to_first[] = {0, 1}, to_second[] = {1, 0}; /* brokers in failover order */
    const struct agent_group groups[] = {
        {.count = AGENTS / 2,
         .name_format = "node-{n:04}.example.com",
         .version = PCP_V2,
         .brokers = to_first,
         .broker_count = 2,
         .behaviours = slow},
        {.count = AGENTS / 2,
         .name_format = "node-1{n:03}.example.com",
         .version = PCP_V2,
         .brokers = to_second,
         .broker_count = 2,
         .behaviours = slow},
    };
    struct api_rig rig = {.brokers = 2, .groups = groups, .group_count = 2};
    struct error err = ERROR_INIT;
    size_t counts[2];
    (void)ctx;
    api_rig_start(&rig);
    count_inventory(&rig, counts);
    assert_true(counts[0] > 0 && counts[1] > 0);
    assert_int_equal(counts[0] + counts[1], AGENTS);
    static const struct exchange start =
        GIVES(ADMIN, "POST", V1 "/command/task",
              "{\"task\": \"echo\", \"params\": {}, \"scope\": {\"node_group\": \"" GROUP_ALL "\"}}", 202, NULL);
    api_exchanges(&rig, &start, 1);
    api_rig_run(&rig, 10 * SIM_SECOND);
    assert_int_equal(count_events(&rig, "node_running"), AGENTS);
    assert_true(simulated_crash(rig.stack, "broker-2", SIM_CRASH_KILL));
    api_rig_run(&rig, 20 * SIM_SECOND);
    count_inventory(&rig, counts);
    assert_int_equal(counts[1], 0);
    assert_true(simulated_restart(rig.stack, "broker-2", &err));
    assert_string_equal(api_wait_job(&rig, "1"), "finished");
    assert_int_equal(count_events(&rig, "node_finished"), AGENTS);
    assert_int_equal(count_events(&rig, "node_running"), AGENTS);
    api_rig_run(&rig, 5 * SIM_MINUTE);
    count_inventory(&rig, counts);
    assert_int_equal(counts[0] + counts[1], AGENTS);
    api_rig_end(&rig);
    json_decref(slow);
}

/* A full disk: 503 with the reason, and all is well again once there is room. */
static void test_full_disk(void **ctx) {
    static const struct exchange start = {
        .who = ADMIN, .method = "POST", .path = V1 "/command/task", .body = ECHO, .status = 503, .kind = "unavailable"};
    static const struct exchange list = FAILS(ADMIN, "GET", V1 "/jobs", NULL, 503, "unavailable", NULL);
    static const struct exchange again = GIVES(ADMIN, "POST", V1 "/command/task", ECHO, 202, NULL);
    struct api_rig rig = {0};
    (void)ctx;
    api_rig_start(&rig);
    struct world *host = sim_find_host(rig.sim, "orchestrator");
    sim_disk_fault(host, &(struct sim_disk_fault){.ops = SIM_FILE_WRITE | SIM_FILE_SYNC, .kind = "world/full"});
    api_exchanges(&rig, &start, 1);
    api_exchanges(&rig, &list, 1);
    sim_disk_fault(host, NULL);
    api_rig_run(&rig, 2 * SIM_MINUTE);
    api_exchanges(&rig, &again, 1);
    api_rig_end(&rig);
}

/* ---- secrets */

struct spy {
    struct sim_watcher watcher;
    const char *secret, *open; /* what must not, and what must, be seen */
    int leaks, sights;
    char where[200];
};

static bool holds(struct span bytes, const char *text) {
    return span_find_span(bytes, span_of(text)) >= 0;
}

/* Files, log lines and API answers of the orchestrator. */
static void on_event(void *ctx, const struct sim_event *e) {
    struct spy *spy = ctx;
    bool kept = e->kind == SIM_EVENT_FILE || e->kind == SIM_EVENT_NOTE;
    if (strcmp(e->host, "orchestrator") != 0 || !(kept || (e->kind == SIM_EVENT_WRITE && e->server_end))) {
        return;
    }
    spy->sights += holds(e->bytes, spy->open) || holds(span_of(e->text), spy->open);
    if (holds(e->bytes, spy->secret) || holds(span_of(e->text), spy->secret)) {
        snprintf(spy->where, sizeof spy->where, "%s %.150s", sim_event_kind_name(e->kind), e->text);
        spy->leaks++;
    }
}

#define SECRET "open-sesame-7351"
#define TYPED(params, rest)                                                                                            \
    "{\"task\": \"typed\", \"params\": {" params                                                                       \
    "}, \"description\": \"visible-text\", \"scope\": {\"nodes\": [\"" NODE_1 "\"]}" rest "}"
#define SSH                                                                                                            \
    ", \"targets\": [{\"hostnames\": [\"" NODE_1                                                                       \
    "\"], \"user\": \"u\", \"transport\": \"ssh\", \"password\": \"" SECRET "\"}]"

static void test_secrets_stay(void **ctx) {
    static const struct exchange story[] = {
        {.who = OPERATOR,
         .method = "POST",
         .path = V1 "/command/task",
         .body = TYPED("\"count\": 1, \"password\": \"" SECRET "\"", ""),
         .status = 202,
         .then_us = 20 * SIM_SECOND},
        {.who = OPERATOR,
         .method = "POST",
         .path = V1 "/command/task",
         .body = TYPED("\"count\": 1", SSH),
         .status = 202},
        /* refused ones: a wrong type, a misspelt name, the wrong place, no object */
        REFUSED("POST", V1 "/command/task", TYPED("\"count\": 1, \"password\": [\"" SECRET "\"]", "")),
        REFUSED("POST", V1 "/command/task", TYPED("\"count\": 1, \"pasword\": \"" SECRET "\"", "")),
        REFUSED("POST", V1 "/command/task", TYPED("\"count\": 1", ", \"password\": \"" SECRET "\"")),
        REFUSED("POST", V1 "/command/task", TYPED("\"count\": 1", ", \"targets\": \"" SECRET "\"")),
        REFUSED("POST", V1 "/command/task", "{\"task\": \"typed\", \"params\": \"" SECRET "\", \"scope\": {}}"),
        {.who = OPERATOR,
         .method = "POST",
         .path = V1 "/scheduled_jobs/environment_jobs",
         .body = "{\"type\": \"task\", \"environment\": \"production\", \"description\": \"\", \"userdata\": {}, "
                 "\"schedule\": {\"start_time\": \"2030-01-02T04:00:00Z\", \"interval\": null}, \"input\": {\"name\": "
                 "\"typed\", \"parameters\": {\"count\": {\"value\": 2}, \"password\": {\"value\": \"" SECRET
                 "\"}}, \"scope\": {\"nodes\": [\"" NODE_1 "\"]}}}",
         .status = 200,
         .then_us = 2 * SIM_HOUR},
        GIVES(ADMIN, "POST", "/inventory/v1/command/create-connection",
              "{\"certnames\": [\"old\"], \"type\": \"ssh\", \"parameters\": {\"user\": \"u\"}, "
              "\"sensitive_parameters\": {\"password\": \"" SECRET "\"}}",
              201, NULL),
        GIVES(ADMIN, "POST", V1 "/command/plan_start",
              "{\"plan_name\": \"p\", \"params\": {\"key\": \"" SECRET "\"}, \"sensitive\": [\"key\"]}", 202, NULL),
        GIVES(ADMIN, "GET", V1 "/jobs", NULL, 200, NULL),
        GIVES(ADMIN, "GET", V1 "/jobs/1/events", NULL, 200, NULL),
        GIVES(ADMIN, "GET", V1 "/jobs/3/nodes", NULL, 200,
              "{\"next-events\": \"<object>\", \"items\": [{\"state\": \"finished\", \"…\": 1}]}"),
        GIVES(ADMIN, "GET", V1 "/plan_jobs", NULL, 200, NULL),
        GIVES(ADMIN, "GET", V1 "/scheduled_jobs/environment_jobs/1", NULL, 200, NULL),
        GIVES(ADMIN, "GET", "/inventory/v1/query/connections", NULL, 200, NULL),
    };
    json_t *quiet = json_pack("{s:{s:{s:s}}}", "tasks", "default", "stdout", "{\"said\": \"nothing\"}");
    struct api_rig rig = {.behaviours = quiet};
    struct spy spy = {.secret = SECRET, .open = "visible-text"};
    (void)ctx;
    api_rig_start(&rig);
    sim_watch(rig.sim, &spy.watcher, on_event, &spy);
    api_exchanges(&rig, story, sizeof story / sizeof story[0]);
    sim_unwatch(rig.sim, &spy.watcher);
    if (spy.leaks != 0) {
        fail_msg("the secret was seen in %d places, last: %s", spy.leaks, spy.where);
    }
    assert_true(spy.sights >= 3); /* the watcher does see: row, journal, answer */
    api_rig_end(&rig);
    json_decref(quiet);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outages),
        cmocka_unit_test(test_no_broker),
        cmocka_unit_test(test_a_broker_is_lost_and_returns),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_secrets_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
