/* The client library against a made-up API server in the simulated world: calls, streams, polling, lost servers. */
#include "client/client.h"

#include "base/mem.h"
#include "net/http_server.h"
#include "simulator/world/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct sim *sim;
    struct world *server_world, *client_world;
    struct http_server *server;
    struct client *client;
    bool streams;     /* the server streams events */
    int polls;        /* of events so far */
    int broken_polls; /* the first so many answer 503 */
    char *request;    /* the last command's body */
    char *token;      /* it came with */
    struct buf heard; /* what the handler was told */
    bool done;
    bool refuse;
};

static const char event_page[] = "{\"next-events\":{\"id\":\"x\",\"event\":\"12\"},\"items\":["
                                 "{\"id\":\"10\",\"type\":\"node_running\",\"details\":{\"node\":\"a\"}},"
                                 "{\"id\":\"11\",\"type\":\"node_finished\",\"details\":{\"node\":\"a\"}}]}";
static const char last_page[] = "{\"next-events\":{\"id\":\"x\",\"event\":\"13\"},\"items\":["
                                "{\"id\":\"11\",\"type\":\"node_finished\",\"details\":{\"node\":\"a\"}},"
                                "{\"id\":\"12\",\"type\":\"job_finished\",\"details\":{}}]}";

static void serve_command(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)route;
    struct fixture *f = ctx;
    mem_free(f->request);
    mem_free(f->token);
    f->request = span_dup(http_request(ex)->body);
    f->token = str_dup(http_header(ex, "x-authentication"));
    if (f->refuse) {
        http_respond(ex, 403, "application/json",
                     SPAN("{\"kind\":\"puppetlabs.orchestrator/not-permitted\",\"msg\":\"no\",\"details\":{}}"));
        return;
    }
    http_respond(ex, 202, "application/json", SPAN("{\"job\":{\"id\":\"https://x/jobs/7\",\"name\":\"7\"}}"));
}

static void serve_events(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)route;
    struct fixture *f = ctx;
    f->polls++;
    if (f->polls <= f->broken_polls) {
        http_respond(ex, 503, "text/plain", SPAN("later"));
    } else if (f->streams) {
        http_stream_start(ex, 200, "text/event-stream");
        http_stream_write(ex,
                          SPAN("id: 10\nevent: node_running\ndata: {\"id\":\"10\",\"type\":\"node_running\"}\n\n: \n"));
        http_stream_write(ex, SPAN("\nid: 11\ndata: {\"id\":\"11\",\"type\":\"node_finished\"}\n\nid: 12\ndata: "));
        http_stream_write(ex, SPAN("{\"id\":\"12\",\"type\":\"job_finished\"}\n\n"));
        http_stream_end(ex);
    } else {
        const char *start = http_query(ex, "start");
        http_respond(ex, 200, "application/json", span_of(start == NULL ? event_page : last_page));
    }
}

static void serve_job(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)ctx;
    (void)route;
    http_respond(ex, 200, "application/json", SPAN("{\"name\":\"7\",\"state\":\"finished\"}"));
}

static void serve_page(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)ctx;
    (void)route;
    http_respond(ex, 502, "text/html", SPAN("<html>bad gateway</html>"));
}

static const struct http_route routes[] = {
    {"POST", "/orchestrator/v1/command/:command", serve_command, NULL},
    {"GET", "/orchestrator/v1/jobs/:id/events", serve_events, NULL},
    {"GET", "/orchestrator/v1/jobs/:id", serve_job, NULL},
    {"GET", "/orchestrator/v1/broken", serve_page, NULL},
    {NULL, NULL, NULL, NULL},
};

static void start_server(struct fixture *f) {
    struct error err = ERROR_INIT;
    struct http_server_opts opts = {.listen = {.port = 8143}, .routes = routes, .ctx = f};
    f->server = http_server_new(f->server_world, &opts, &err);
    assert_non_null(f->server);
}

static int setup(void **state) {
    struct fixture *f = mem_zalloc(sizeof(*f));
    f->sim = sim_new(&(struct sim_opts){.seed = 1});
    f->server_world = sim_host(f->sim, "orch");
    f->client_world = sim_host(f->sim, "laptop");
    start_server(f);
    f->client = client_new(f->client_world, &(struct client_opts){.url = "http://orch:8143/", .token = "t0k3n"});
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    client_free(f->client);
    if (f->server != NULL) {
        http_server_close(f->server, 0, NULL, NULL);
    }
    sim_run_idle(f->sim, SIM_MINUTE);
    struct buf report = BUF_INIT;
    if (!sim_check_idle(f->sim, &report)) {
        fail_msg("left behind: %s", report.ptr);
    }
    buf_free(&report);
    sim_free(f->sim);
    mem_free(f->request);
    mem_free(f->token);
    buf_free(&f->heard);
    mem_free(f);
    return 0;
}

static void on_created(void *ctx, struct client_job *job, const char *name) {
    struct fixture *f = ctx;
    assert_string_equal(client_job_name(job), name);
    buf_printf(&f->heard, "created %s;", name);
}

static void on_event(void *ctx, struct client_job *job, const json_t *event) {
    struct fixture *f = ctx;
    (void)job;
    buf_printf(&f->heard, "%s %s;", json_str(event, "id"), json_str(event, "type"));
}

static void on_retry(void *ctx, struct client_job *job, const struct error *err, uint64_t wait_ms) {
    struct fixture *f = ctx;
    (void)job;
    (void)err;
    buf_printf(&f->heard, "retry in %llu;", (unsigned long long)wait_ms);
}

static void on_done(void *ctx, struct client_job *job, const struct error *err, const json_t *object) {
    struct fixture *f = ctx;
    (void)job;
    buf_printf(&f->heard, "done %s", err != NULL ? err->kind : json_str(object, "state"));
    f->done = true;
}

static const struct client_job_handler handler = {on_created, on_event, on_retry, on_done};

static bool is_done(void *ctx) {
    return ((struct fixture *)ctx)->done;
}

static void run(struct fixture *f) {
    client_job_start(f->client, "task", json_pack("{s:s}", "task", "echo"), &handler, f);
    assert_true(sim_run_until(f->sim, SIM_HOUR, is_done, f));
}

static void a_job_is_followed_over_an_event_stream(void **state) {
    struct fixture *f = *state;
    f->streams = true;
    run(f);
    assert_string_equal(f->heard.ptr, "created 7;10 node_running;11 node_finished;12 job_finished;done finished");
    assert_string_equal(f->request, "{\"task\":\"echo\"}");
    assert_string_equal(f->token, "t0k3n");
    assert_int_equal(f->polls, 1);
}

static void a_job_is_followed_by_polling_and_no_event_is_heard_twice(void **state) {
    struct fixture *f = *state;
    run(f);
    assert_string_equal(f->heard.ptr, "created 7;10 node_running;11 node_finished;12 job_finished;done finished");
    assert_int_equal(f->polls, 2);
}

static void a_server_in_trouble_is_asked_again_with_growing_waits(void **state) {
    struct fixture *f = *state;
    f->broken_polls = 3;
    run(f);
    assert_string_equal(f->heard.ptr, "created 7;retry in 1000;retry in 2000;retry in 4000;10 node_running;11 "
                                      "node_finished;12 job_finished;done finished");
}

static void a_refused_command_ends_at_once_with_the_api_s_kind(void **state) {
    struct fixture *f = *state;
    f->refuse = true;
    run(f);
    assert_string_equal(f->heard.ptr, "done puppetlabs.orchestrator/not-permitted");
}

static void nobody_listening_is_said_so(void **state) {
    struct fixture *f = *state;
    http_server_close(f->server, 0, NULL, NULL);
    f->server = NULL;
    run(f);
    assert_string_equal(f->heard.ptr, "done client/refused");
}

static void on_call(void *ctx, const struct client_reply *r) {
    struct fixture *f = ctx;
    buf_printf(&f->heard, "%d %s", r->status, r->err != NULL ? r->err->kind : "fine");
    f->done = true;
}

static void an_answer_that_is_not_the_api_s_is_told_apart(void **state) {
    struct fixture *f = *state;
    client_call(f->client, "GET", "/broken", NULL, on_call, f);
    assert_true(sim_run_until(f->sim, SIM_MINUTE, is_done, f));
    assert_string_equal(f->heard.ptr, "502 client/http-status");
}

static void leaving_and_freeing_cancel_what_is_under_way(void **state) {
    struct fixture *f = *state;
    struct client_job *job = client_job_follow(f->client, "7", 0, &handler, f);
    sim_run(f->sim, sim_now_us(f->sim) + SIM_MS);
    client_job_leave(job);
    client_call(f->client, "GET", "/jobs/7", NULL, on_call, f);
    client_job_follow(f->client, "7", 0, &handler, f);
    client_free(f->client);
    f->client = NULL;
    sim_run(f->sim, sim_now_us(f->sim) + SIM_MINUTE);
    assert_int_equal(f->heard.len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_job_is_followed_over_an_event_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(a_job_is_followed_by_polling_and_no_event_is_heard_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_in_trouble_is_asked_again_with_growing_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_command_ends_at_once_with_the_api_s_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_listening_is_said_so, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_that_is_not_the_api_s_is_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(leaving_and_freeing_cancel_what_is_under_way, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
