/* pcp.md §18.2, §19, §20: status, metrics, the HTTP access log. */
#include "rig.h"

#include "base/json.h"
#include "base/mem.h"
#include "broker/metrics.h"
#include <string.h>

struct answer {
    bool done;
    int status;
    char *type;
    struct buf body;
};

static void on_answer(void *ctx, const struct world_response *res) {
    struct answer *a = ctx;
    assert_null(res->err);
    a->done = true;
    a->status = res->status;
    a->type = str_dup(world_response_header(res, "content-type"));
    buf_append_span(&a->body, res->body);
    buf_append(&a->body, "", 0);
}

static bool is_done(void *ctx) {
    return ((struct answer *)ctx)->done;
}

static struct answer ask(struct rig *r, const char *method, const char *target) {
    struct answer a = {0};
    struct world *w = client_host(r, "operator");
    struct world_tls *tls = client_tls(r, "operator");
    char *url = str_printf("https://broker:8142%s", target);
    world_fetch(w, &(struct world_fetch_opts){.method = method, .url = url, .tls = tls}, on_answer, &a);
    assert_true(sim_run_until(r->sim, 10 * SIM_SECOND, is_done, &a));
    mem_free(url);
    world_tls_free(tls);
    return a;
}

static void answer_free(struct answer *a) {
    mem_free(a->type);
    buf_free(&a->body);
}

static void check(struct rig *r, const char *target, int status, const char *type, const char *body) {
    struct answer a = ask(r, "GET", target);
    assert_int_equal(a.status, status);
    assert_string_equal(a.type, type);
    assert_string_equal(a.body.ptr, body);
    answer_free(&a);
}

#define JSON_TYPE "application/json;charset=utf-8"
#define TEXT_TYPE "text/plain;charset=utf-8"
#define CRITICAL(state)                                                                                                \
    "{\"service_version\":\"" DALANG_VERSION "\",\"service_status_version\":1,\"detail_level\":\"critical\","          \
    "\"state\":\"" state "\",\"status\":{},\"active_alerts\":[]"

static void status_like_the_reference(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    check(r, "/status/v1/services/broker-service?level=critical", 200, JSON_TYPE,
          CRITICAL("running") ",\"service_name\":\"broker-service\"}");
    check(r, "/status/v1/services?level=critical&timeout=5", 200, JSON_TYPE,
          "{\"broker-service\":" CRITICAL("running") "},\"status-service\":" CRITICAL("running") "}}");
    check(r, "/status/v1/services/nope", 404, JSON_TYPE,
          "{\"kind\":\"service-not-found\",\"msg\":\"No status information found for service nope\"}");
    check(r, "/status/v1/services/broker-service?level=bogus", 400, JSON_TYPE,
          "{\"kind\":\"data-invalid\",\"msg\":\"Invalid level: :bogus\"}");
    check(r, "/status/v1/services?timeout=x", 400, JSON_TYPE,
          "{\"kind\":\"data-invalid\",\"msg\":\"Invalid timeout: x\"}");
    check(r, "/status/v1/services?service_status_version=2", 400, JSON_TYPE,
          "{\"kind\":\"data-invalid\",\"msg\":\"Invalid service_status_version: 2\"}");
    check(r, "/status/v1/simple", 200, TEXT_TYPE, "running");
    check(r, "/status/v1/simple/broker-service", 200, TEXT_TYPE, "running");
    check(r, "/status/v1/simple/status-service", 200, TEXT_TYPE, "running");
    check(r, "/status/v1/simple/nope", 404, TEXT_TYPE, "not found: nope");
    check(r, "/status/", 404, TEXT_TYPE, "404 Not Found\n");
    check(r, "/pcp2/agent", 404, TEXT_TYPE, "404 Not Found\n"); /* no upgrade */
    struct answer a = ask(r, "POST", "/pcp2/agent");
    assert_int_equal(a.status, 404);
    answer_free(&a);
    rig_free(r);
}

static void status_while_starting_is_503(void **state) {
    (void)state;
    struct rig *r = rig_new_stopped(NULL, NULL);
    check(r, "/status/v1/simple", 503, TEXT_TYPE, "starting");
    check(r, "/status/v1/services/broker-service?level=critical", 503, JSON_TYPE,
          CRITICAL("starting") ",\"service_name\":\"broker-service\"}");
    rig_free(r);
}

static void info(void *ctx, json_t *threads, json_t *memory) {
    json_set(threads, "ThreadCount", json_integer(*(int *)ctx));
    json_set(memory, "HeapMemoryUsage", json_object());
}

static void with_info(struct broker_config *c) {
    static int one = 1;
    c->process_info = info;
    c->process_info_ctx = &one;
}

static void levels_info_and_debug(void **state) {
    (void)state;
    struct rig *r = rig_new(with_info, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    client_send(c, ID1, "x", "pcp://client01.example.com/agent", NULL);
    assert_non_null(client_next(c));
    struct answer a = ask(r, "GET", "/status/v1/services/broker-service");
    json_t *root = json_parse(buf_span(&a.body), "test", NULL), *status = json_object_get(root, "status");
    json_t *metrics = json_object_get(status, "metrics"),
           *timer = json_object_get(metrics, "puppetlabs.pcp.on-message");
    assert_int_equal(json_object_size(metrics), 4);
    assert_int_equal(json_int(json_object_get(timer, "rates"), "total", 0), 1);
    assert_int_equal(json_object_size(timer), 6);
    assert_int_equal(json_object_size(json_object_get(timer, "percentiles")), 5);
    assert_int_equal(
        json_int(json_object_get(json_object_get(metrics, "puppetlabs.pcp.on-connect"), "rates"), "total", 0), 1);
    assert_null(json_object_get(status, "threads"));
    json_decref(root);
    answer_free(&a);
    a = ask(r, "GET", "/status/v1/services/broker-service?level=debug");
    root = json_parse(buf_span(&a.body), "test", NULL);
    status = json_object_get(root, "status");
    assert_int_equal(json_int(json_object_get(status, "threads"), "ThreadCount", 0), 1);
    assert_non_null(json_object_get(json_object_get(status, "memory"), "HeapMemoryUsage"));
    json_decref(root);
    answer_free(&a);
    rig_free(r);
}

static void prometheus_metrics(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    client_send(c, ID1, "x", "pcp://client01.example.com/agent", "\"12345678\"");
    assert_non_null(client_next(c));
    client_send(c, ID1, "x", "pcp://nobody/agent", NULL);
    client_expect_error(c, "Not connected.", ID1);
    struct answer a = ask(r, "GET", "/metrics");
    assert_int_equal(a.status, 200);
    assert_string_equal(a.type, "text/plain; version=0.0.4; charset=utf-8");
    static const char *const lines[] = {"\npcp_connections 1\n",
                                        "\npcp_running 1\n",
                                        "\npcp_messages_delivered_total 1\n",
                                        "\npcp_message_data_delivered_bytes_total 10\n",
                                        "\npcp_messages_not_connected_total 1\n",
                                        "\npcp_on_message_seconds_count 2\n",
                                        "# TYPE pcp_on_send_seconds summary\n"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_non_null(strstr(a.body.ptr, lines[i]));
    }
    answer_free(&a);
    rig_free(r);
}

static void http_access_log(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    client_connect(r, "client01.example.com", "/pcp2/agent");
    char line[256];
    const char *address = sim_host_address(client_host(r, "client01.example.com"));
    snprintf(line, sizeof line,
             "http info - %s - - [02/Jan/2030:03:04:05 +0000] \"GET /pcp2/agent HTTP/1.1\" 101 - \"-\" \"test\" ",
             address);
    assert_true(rig_logged(r, line));
    struct answer a = ask(r, "GET", "/nope?x=%22");
    assert_true(rig_logged(r, "\"GET /nope?x=%22 HTTP/1.1\" 404 14 \"-\" "));
    answer_free(&a);
    rig_free(r);
}

static void timers_know_rates_and_percentiles(void **state) {
    (void)state;
    struct metrics_timer t;
    uint64_t now = 0;
    metrics_timer_init(&t, now);
    assert_int_equal(metrics_percentile(&t, 0.99), 0);
    for (uint64_t i = 1; i <= 1000; i++) { /* 100 a second, 1 to 1000 µs */
        now += 10000;
        metrics_timer_add(&t, now, i * 1000);
    }
    json_t *j = metrics_timer_json(&t, now);
    assert_int_equal(json_int(j, "largest", 0), 1000000);
    assert_int_equal(json_int(j, "smallest", 0), 1000);
    assert_true(json_real_value(json_object_get(j, "mean")) == 500500.0);
    double deviation = json_real_value(json_object_get(j, "std-dev"));
    assert_true(deviation > 287000 && deviation < 290000);
    double p95 = json_real_value(json_object_get(json_object_get(j, "percentiles"), "0.95"));
    assert_true(p95 >= 950000 && p95 < 1010000); /* a bucket is 6% wide */
    double rate = json_real_value(json_object_get(json_object_get(j, "rates"), "1"));
    assert_true(rate > 99 && rate < 101);
    json_decref(j);
    j = metrics_timer_json(&t, now + 60 * 1000000); /* a minute later: down to 1/e */
    rate = json_real_value(json_object_get(json_object_get(j, "rates"), "1"));
    assert_true(rate > 36 && rate < 38);
    json_decref(j);
    j = metrics_timer_json(&t, now + UINT64_C(86400000000));
    assert_true(json_real_value(json_object_get(json_object_get(j, "rates"), "15")) < 0.001);
    json_decref(j);
    metrics_timer_add(&t, now, UINT64_MAX / 2); /* beyond the last bucket */
    assert_int_equal(metrics_percentile(&t, 1.0) > 1000000, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_like_the_reference), cmocka_unit_test(status_while_starting_is_503),
        cmocka_unit_test(levels_info_and_debug),     cmocka_unit_test(prometheus_metrics),
        cmocka_unit_test(http_access_log),           cmocka_unit_test(timers_know_rates_and_percentiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
