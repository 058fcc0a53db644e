/* The frame: state, faults, recorded requests, reset, clock, missing routes. */
#include "base/mem.h"
#include "fakes/tests/rig.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* A service with one number as its state. */
struct counter {
    struct fake base;
    int64_t value;
};

static bool counter_load(struct fake *f, const json_t *state, struct error *err) {
    struct counter *c = (struct counter *)f;
    if (json_object_get(state, "value") != NULL && !json_is_integer(json_object_get(state, "value"))) {
        return error_set(err, "schema-violation", "value is no number");
    }
    c->value = json_int(state, "value", 0);
    return true;
}

static json_t *counter_dump(struct fake *f) {
    return json_pack("{s:I}", "value", (json_int_t)((struct counter *)f)->value);
}

static void value_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    http_respond_json(
        ex, 200,
        json_pack("{s:I, s:I}", "value", (json_int_t)((struct counter *)f)->value, "now", (json_int_t)fake_now_ms(f)));
}

static const struct fake_route counter_routes[] = {
    {"GET", "/counter/value", value_get, NULL},
    {"POST", "/counter/value", NULL, NULL},
    {NULL, NULL, NULL, NULL},
};
static const struct fake_route *const counter_tables[] = {counter_routes, NULL};
static const char *const counter_prefixes[] = {"/counter/", NULL};

static json_t *counter_status(struct fake *f, const char *level) {
    (void)level;
    return json_pack("{s:s}", "state", ((struct counter *)f)->value < 0 ? "error" : "running");
}

static const struct fake_service services[2] = {
    {.name = "counter",
     .tables = counter_tables,
     .prefixes = counter_prefixes,
     .load = counter_load,
     .dump = counter_dump,
     .status = counter_status,
     .status_name = "counter-service"},
    {.name = "other", .tables = &counter_tables[1], .load = counter_load, .dump = counter_dump},
};

struct bench {
    struct rig rig;
    struct counter counters[2];
};

static int set_up(void **state) {
    struct bench *b = mem_zalloc(sizeof *b);
    rig_open(&b->rig);
    json_t *initial = quoted("{'value': 7}");
    struct fake *fakes[2];
    for (size_t i = 0; i < 2; i++) {
        assert_true(fake_init(&b->counters[i].base, b->rig.server, &services[i], initial, NULL, NULL));
        fakes[i] = &b->counters[i].base;
    }
    json_decref(initial);
    rig_serve(&b->rig, fakes, 2);
    *state = b;
    return 0;
}

static int tear_down(void **state) {
    struct bench *b = *state;
    rig_stop(&b->rig);
    fake_deinit(&b->counters[0].base);
    fake_deinit(&b->counters[1].base);
    rig_end(&b->rig);
    mem_free(b);
    return 0;
}

static int64_t value_of(struct rig *r) {
    json_t *body = rig_json(r, &(struct ask){.path = "/counter/value"}, 200);
    int64_t value = json_int(body, "value", -1);
    json_decref(body);
    return value;
}

static void state_is_dumped_replaced_and_merged(void **state) {
    struct rig *r = &((struct bench *)*state)->rig;
    assert_json(rig_json(r, &(struct ask){.path = "/_fake/state"}, 200),
                quoted("{'counter': {'value': 7}, 'other': {'value': 7}}"));
    json_decref(rig_json(
        r, &(struct ask){.method = "PUT", .path = "/_fake/state", .body = "{\"counter\":{\"value\":9}}"}, 204));
    json_decref(rig_json(r, &(struct ask){.method = "PATCH", .path = "/_fake/state", .body = "{\"other\":{}}"}, 204));
    assert_json(rig_json(r, &(struct ask){.path = "/_fake/state"}, 200),
                quoted("{'counter': {'value': 9}, 'other': {'value': 7}}"));
    json_decref(rig_json(r, &(struct ask){.method = "POST", .path = "/_fake/reset"}, 204));
    assert_int_equal(value_of(r), 7);
}

static void a_bad_state_changes_nothing(void **state) {
    struct rig *r = &((struct bench *)*state)->rig;
    rig_error(r,
              &(struct ask){.method = "PUT",
                            .path = "/_fake/state",
                            .body = "{\"counter\":{\"value\":1},\"other\":{\"value\":\"x\"}}"},
              400, "schema-violation");
    rig_error(r, &(struct ask){.method = "PUT", .path = "/_fake/state", .body = "{\"nosuch\":{}}"}, 400,
              "schema-violation");
    rig_error(r, &(struct ask){.method = "PUT", .path = "/_fake/state", .body = "{oops"}, 400, "malformed-request");
    rig_error(r, &(struct ask){.method = "PUT", .path = "/_fake/state", .body = "[]"}, 400, "schema-violation");
    assert_int_equal(value_of(r), 7);
}

static void add_fault(struct rig *r, const char *fault) {
    json_t *spec = quoted(fault);
    char *text = json_text(spec);
    json_decref(rig_json(r, &(struct ask){.method = "POST", .path = "/_fake/fault", .body = text}, 201));
    mem_free(text);
    json_decref(spec);
}

static void a_fault_answers_in_its_place_and_is_counted(void **state) {
    struct rig *r = &((struct bench *)*state)->rig;
    add_fault(r, "{'method': 'GET', 'path': '/counter/*', 'status': 503, 'body': {'kind': 'down'}, 'times': 2}");
    for (int i = 0; i < 2; i++) {
        assert_json(rig_json(r, &(struct ask){.path = "/counter/value"}, 503), quoted("{'kind': 'down'}"));
    }
    assert_int_equal(value_of(r), 7);
    struct reply text;
    add_fault(r, "{'path': '/counter/value', 'status': 502, 'body': '<html>', 'content_type': 'text/html'}");
    text = rig_ask(r, &(struct ask){.path = "/counter/value"});
    assert_int_equal(text.status, 502);
    assert_string_equal(text.body.ptr, "<html>");
    assert_string_equal(reply_header(&text, "content-type"), "text/html");
    reply_clear(&text);
    json_decref(rig_json(r, &(struct ask){.method = "DELETE", .path = "/_fake/fault"}, 204));
    assert_int_equal(value_of(r), 7);
}

static void a_delay_answers_later_and_a_hang_never(void **state) {
    struct rig *r = &((struct bench *)*state)->rig;
    add_fault(r, "{'path': '/counter/value', 'delay_ms': 5000, 'times': 1}");
    uint64_t before = sim_now_us(r->sim);
    assert_int_equal(value_of(r), 7);
    assert_true(sim_now_us(r->sim) - before >= 5 * SIM_SECOND);
    before = sim_now_us(r->sim);
    assert_int_equal(value_of(r), 7);
    assert_true(sim_now_us(r->sim) - before < SIM_SECOND);
    add_fault(r, "{'path': '/counter/value', 'hang': true}");
    struct reply hung = rig_ask(r, &(struct ask){.path = "/counter/value", .within_us = 20 * SIM_SECOND});
    assert_int_equal(hung.status, 0);
    reply_clear(&hung);
}

static void a_reset_drops_the_connection(void **state) {
    struct rig *r = &((struct bench *)*state)->rig;
    add_fault(r, "{'path': '/counter/value', 'reset': true, 'times': 1}");
    struct reply dropped = rig_ask(r, &(struct ask){.path = "/counter/value"});
    assert_int_equal(dropped.status, 0);
    assert_false(dropped.timed_out);
    assert_string_equal(dropped.error_kind, "world/reset");
    reply_clear(&dropped);
    assert_int_equal(value_of(r), 7);
}

static void a_fault_may_strike_by_chance(void **state) {
    struct rig *r = &((struct bench *)*state)->rig;
    add_fault(r, "{'path': '/counter/value', 'status': 500, 'probability': 0.5}");
    int struck = 0;
    for (int i = 0; i < 40; i++) {
        struct reply reply = rig_ask(r, &(struct ask){.path = "/counter/value"});
        struck += reply.status == 500;
        reply_clear(&reply);
    }
    assert_in_range(struck, 8, 32);
}

static void bad_faults_are_refused(void **state) {
    struct rig *r = &((struct bench *)*state)->rig;
    const char *const bad[] = {"{\"status\":99}", "{\"probability\":2}", "{\"nosuch\":1}", "{\"times\":\"x\"}",
                               "{\"delay_ms\":-1}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rig_error(r, &(struct ask){.method = "POST", .path = "/_fake/fault", .body = bad[i]}, 400, "schema-violation");
    }
    rig_error(r, &(struct ask){.method = "DELETE", .path = "/_fake/fault?id=99"}, 404, "not-found");
    rig_error(r, &(struct ask){.method = "DELETE", .path = "/_fake/fault?id=x"}, 400, "malformed-number");
    assert_json(rig_json(r, &(struct ask){.path = "/_fake/fault"}, 200), quoted("{'faults': []}"));
}

static void requests_are_recorded_without_passwords(void **state) {
    struct rig *r = &((struct bench *)*state)->rig;
    struct reply reply = rig_ask(r, &(struct ask){.method = "PUT",
                                                  .path = "/counter/value?a=b",
                                                  .cn = "orch",
                                                  .body = "{\"login\":\"x\",\"password\":\"hidden\"}"});
    reply_clear(&reply);
    assert_int_equal(value_of(r), 7);
    json_t *all = rig_json(r, &(struct ask){.path = "/_fake/requests"}, 200);
    json_t *first = json_array_get(json_object_get(all, "requests"), 0);
    assert_int_equal(json_array_size(json_object_get(all, "requests")), 2);
    assert_string_equal(json_str(first, "method"), "PUT");
    assert_string_equal(json_str(first, "path"), "/counter/value");
    assert_string_equal(json_str(first, "query"), "a=b");
    assert_string_equal(json_str(first, "cn"), "orch");
    assert_string_equal(json_str(json_object_get(first, "body"), "login"), "x");
    assert_string_equal(json_str(json_object_get(first, "body"), "password"), "********");
    json_decref(all);
    all = rig_json(r, &(struct ask){.path = "/_fake/requests?since=1&method=GET&path=/counter/*"}, 200);
    assert_int_equal(json_array_size(json_object_get(all, "requests")), 1);
    assert_int_equal(json_int(all, "last", 0), 2);
    json_decref(all);
    rig_error(r, &(struct ask){.path = "/_fake/requests?since=x"}, 400, "malformed-number");
}

static void the_clock_moves(void **state) {
    struct rig *r = &((struct bench *)*state)->rig;
    assert_json(
        rig_json(r,
                 &(struct ask){.method = "POST", .path = "/_fake/clock", .body = "{\"set\":\"2040-01-01T00:00:00Z\"}"},
                 200),
        quoted("{'now': '2040-01-01T00:00:00.000Z'}"));
    json_t *body = rig_json(r, &(struct ask){.path = "/counter/value"}, 200);
    assert_true(json_int(body, "now", 0) >= 2208988800000);
    json_decref(body);
    json_decref(
        rig_json(r, &(struct ask){.method = "POST", .path = "/_fake/clock", .body = "{\"advance\":\"2h\"}"}, 200));
    body = rig_json(r, &(struct ask){.path = "/counter/value"}, 200);
    assert_true(json_int(body, "now", 0) >= 2208988800000 + 7200000);
    json_decref(body);
    rig_error(r, &(struct ask){.method = "POST", .path = "/_fake/clock", .body = "{\"advance\":\"soon\"}"}, 400,
              "schema-violation");
}

static void missing_routes_are_told(void **state) {
    struct rig *r = &((struct bench *)*state)->rig;
    json_t *body = rig_json(r, &(struct ask){.method = "POST", .path = "/counter/value", .body = "{}"}, 501);
    assert_non_null(strstr(json_str(body, "msg"), "POST /counter/value"));
    json_decref(body);
    struct reply reply = rig_ask(r, &(struct ask){.path = "/counter/nosuch"});
    assert_int_equal(reply.status, 404);
    reply_clear(&reply);
    reply = rig_ask(r, &(struct ask){.method = "DELETE", .path = "/counter/value"});
    assert_int_equal(reply.status, 405);
    assert_string_equal(reply_header(&reply, "allow"), "GET, POST");
    reply_clear(&reply);
}

static void status_tells_what_runs(void **state) {
    struct rig *r = &((struct bench *)*state)->rig;
    assert_json(rig_json(r, &(struct ask){.path = "/status/v1/services?level=info"}, 200),
                quoted("{'counter-service': {'state': 'running'}}"));
    rig_error(r, &(struct ask){.path = "/status/v1/services?level=loud"}, 400, "request-data-invalid");
    rig_error(r, &(struct ask){.path = "/status/v1/services/nosuch"}, 404, "service-not-found");
    json_decref(rig_json(
        r, &(struct ask){.method = "PUT", .path = "/_fake/state", .body = "{\"counter\":{\"value\":-1}}"}, 204));
    json_decref(rig_json(r, &(struct ask){.path = "/status/v1/services/counter-service"}, 503));
    struct reply simple = rig_ask(r, &(struct ask){.path = "/status/v1/simple"});
    assert_int_equal(simple.status, 503);
    assert_string_equal(simple.body.ptr, "error");
    reply_clear(&simple);
}

static void a_delayed_request_may_be_abandoned(void **state) {
    struct rig *r = &((struct bench *)*state)->rig;
    add_fault(r, "{'path': '/counter/value', 'delay_ms': 20000}");
    struct reply reply = rig_ask(r, &(struct ask){.path = "/counter/value", .within_us = SIM_SECOND});
    assert_true(reply.timed_out);
    reply_clear(&reply);
    sim_run(r->sim, sim_now_us(r->sim) + SIM_MINUTE);
    assert_int_equal(fake_host_port(r->host), RIG_PORT);
}

static void globs_match(void **state) {
    (void)state;
    assert_true(glob_match("*", ""));
    assert_true(glob_match("/a/*/c", "/a/b/c"));
    assert_true(glob_match("/a*", "/a/b/c"));
    assert_true(glob_match("*b*", "abc"));
    assert_false(glob_match("/a/*/c", "/a/b/d"));
    assert_false(glob_match("", "x"));
    assert_false(glob_match("a", "ab"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(state_is_dumped_replaced_and_merged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_state_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_fault_answers_in_its_place_and_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_delay_answers_later_and_a_hang_never, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reset_drops_the_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_fault_may_strike_by_chance, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_faults_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_are_recorded_without_passwords, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_clock_moves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(missing_routes_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(status_tells_what_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_delayed_request_may_be_abandoned, set_up, tear_down),
        cmocka_unit_test(globs_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
