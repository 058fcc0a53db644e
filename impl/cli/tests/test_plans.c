/* puppet-plan and puppet-app against a made-up orchestrator in the simulated world: what they print, how they end. */
#include "cli/cli.h"

#include "base/mem.h"
#include "net/http_server.h"
#include "simulator/world/sim.h"
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct sim *sim;
    struct world *server_world, *laptop;
    struct http_server *server;
    const char *plan_events, *plan_job; /* what the orchestrator answers */
    char *request, *path;               /* the last one's body and path with query */
};

/* The turn of cli_host knows only its world. */
static struct sim *current_sim;

static void turn(struct world *w) {
    (void)w;
    assert_true(sim_step(current_sim));
}

static unsigned never_interrupted(void *ctx) {
    (void)ctx;
    return 0;
}

static void remember(struct fixture *f, struct http_exchange *ex) {
    mem_free(f->request);
    f->request = span_dup(http_request(ex)->body);
}

static void serve_plan_run(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)route;
    remember(ctx, ex);
    http_respond(ex, 202, "application/json", SPAN("{\"name\": \"31\"}"));
}

static void serve_plan_events(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)route;
    http_respond(ex, 200, "application/json", span_of(((struct fixture *)ctx)->plan_events));
}

static void serve_plan_job(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)route;
    http_respond(ex, 200, "application/json", span_of(((struct fixture *)ctx)->plan_job));
}

static void serve_instances(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)ctx;
    (void)route;
    http_respond(ex, 200, "application/json",
                 SPAN("{\"items\": [{\"type\": \"Shop\", \"title\": \"eu\", \"components\": ["
                      "{\"type\": \"Shop::Db\", \"title\": \"eu\", \"node\": \"db1\", \"produces\": [\"Sql[eu]\"]},"
                      "{\"type\": \"Shop::Web\", \"title\": \"eu\", \"node\": \"web1\", \"consumes\": [\"Sql[eu]\"]}]},"
                      "{\"type\": \"Blog\", \"title\": \"x\", \"components\": []}]}"));
}

static const struct http_route routes[] = {
    {"POST", "/orchestrator/v1/command/plan_run", serve_plan_run, NULL},
    {"GET", "/orchestrator/v1/plan_jobs/:id/events", serve_plan_events, NULL},
    {"GET", "/orchestrator/v1/plan_jobs/:id", serve_plan_job, NULL},
    {"GET", "/orchestrator/v1/environments/production/instances", serve_instances, NULL},
    {NULL, NULL, NULL, NULL},
};

static int setup(void **state) {
    struct fixture *f = mem_zalloc(sizeof(*f));
    struct error err = ERROR_INIT;
    f->sim = current_sim = sim_new(&(struct sim_opts){.seed = 1});
    f->server_world = sim_host(f->sim, "orch");
    f->laptop = sim_host(f->sim, "laptop");
    struct http_server_opts opts = {.listen = {.port = 8143}, .routes = routes, .ctx = f};
    f->server = http_server_new(f->server_world, &opts, &err);
    assert_non_null(f->server);
    assert_true(world_file_write(f->laptop, "/token", SPAN("t0k3n\n"), 0600, WORLD_WRITE_PLAIN, &err));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    http_server_close(f->server, 0, NULL, NULL);
    sim_run_idle(f->sim, SIM_MINUTE);
    struct buf report = BUF_INIT;
    if (!sim_check_idle(f->sim, &report)) {
        fail_msg("left behind: %s", report.ptr);
    }
    buf_free(&report);
    sim_free(f->sim);
    mem_free(f->request);
    mem_free(f);
    return 0;
}

enum { WORDS_MAX = 16 };

static void expect(struct fixture *f, const char *const *words, int code, const char *out, const char *err) {
    struct world_tls_files tls = sim_tls_files(f->laptop, "client");
    const char *argv[WORDS_MAX + 8] = {0};
    int argc = 0;
    for (; words[argc] != NULL; argc++) {
        argv[argc] = words[argc];
    }
    const char *const common[] = {"--service-url", "http://orch:8143", "--ca-cert", tls.ca, "--token-file", "/token"};
    for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
        argv[argc++] = common[i];
    }
    char *got_out, *got_err;
    size_t out_len, err_len;
    FILE *out_file = open_memstream(&got_out, &out_len), *err_file = open_memstream(&got_err, &err_len);
    const struct cli_host host = {.world = f->laptop,
                                  .turn = turn,
                                  .in = stdin,
                                  .out = out_file,
                                  .err = err_file,
                                  .global_dir = "/etc/client-tools",
                                  .interrupts = never_interrupted};
    int got = cli_run(&host, words[0], argc, (char *const *)(uintptr_t)argv);
    fclose(out_file);
    fclose(err_file);
    assert_string_equal(got_out, out);
    assert_string_equal(got_err, err);
    assert_int_equal(got, code);
    free(got_out);
    free(got_err);
}
#define EXPECT(f, code, out, err, ...) expect(f, (const char *const[]){__VA_ARGS__, NULL}, code, out, err)

static void a_plan_that_succeeds(void **state) {
    struct fixture *f = *state;
    f->plan_events = "{\"items\": ["
                     "{\"id\": \"1\", \"type\": \"plan_start\", \"details\": {\"plan\": \"demo\"}},"
                     "{\"id\": \"2\", \"type\": \"task_start\", \"details\": {\"job-id\": \"77\"}},"
                     "{\"id\": \"3\", \"type\": \"out_message\", \"details\": {\"message\": \"half way\"}},"
                     "{\"id\": \"4\", \"type\": \"plan_end\", \"details\": {\"plan\": \"demo\", \"duration\": 1.25}},"
                     "{\"id\": \"5\", \"type\": \"plan_finished\", \"details\": {}}]}";
    f->plan_job = "{\"name\": \"31\", \"state\": \"success\", \"result\": {\"ok\": [1, 2]}, \"duration\": 3.2}";
    EXPECT(f, 0,
           "Starting plan ...\nNew plan job ID: 31\nStarting: plan demo\nStarted task job 77\nhalf way\n"
           "Finished: plan demo in 1.2 sec\n\nPlan 31 succeeded.\n{\"ok\":[1,2]}\nDuration: 3 sec\n",
           "", "puppet-plan", "run", "demo", "nodes=a,b", "count=2", "-e", "staging", "--description", "why");
    assert_string_equal(f->request, "{\"plan_name\":\"demo\",\"params\":{\"nodes\":\"a,b\",\"count\":2},"
                                    "\"environment\":\"staging\",\"description\":\"why\"}");
}

static void a_plan_that_fails(void **state) {
    struct fixture *f = *state;
    f->plan_events = "{\"items\": [{\"id\": \"5\", \"type\": \"plan_failed\", \"details\": {}}]}";
    f->plan_job = "{\"name\": \"31\", \"state\": \"failure\", \"result\": {\"msg\": \"no\"}, \"duration\": 0}";
    EXPECT(f, 2, "Starting plan ...\nNew plan job ID: 31\n\nPlan 31 failed.\n{\"msg\":\"no\"}\nDuration: 0 sec\n", "",
           "puppet-plan", "run", "demo", "--params", "{}");
    EXPECT(f, 2,
           "{\"id\":\"5\",\"type\":\"plan_failed\",\"details\":{}}\n"
           "{\"name\":\"31\",\"state\":\"failure\",\"result\":{\"msg\":\"no\"},\"duration\":0}\n",
           "", "puppet-plan", "run", "demo", "--format", "json");
}

static void applications(void **state) {
    struct fixture *f = *state;
    EXPECT(f, 0,
           "Shop[eu]\n    Shop::Db[eu] => db1\n      + produces Sql[eu]\n    Shop::Web[eu] => web1\n"
           "        consumes Sql[eu]\n\nBlog[x]\n",
           "", "puppet-app", "show");
    EXPECT(f, 0, "Blog[x]\n", "", "puppet-app", "show", "Blog");
    EXPECT(f, 0, "Blog[x]\n", "", "puppet-app", "show", "Blog[x]", "-e", "production");
    EXPECT(f, 0, "{\"type\":\"Blog\",\"title\":\"x\",\"components\":[]}\n", "", "puppet-app", "show", "Blog",
           "--format=json");
    EXPECT(f, 1, "", "Error: there is no application or instance \"Shop[us]\"\n", "puppet-app", "show", "Shop[us]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_plan_that_succeeds, setup, teardown),
        cmocka_unit_test_setup_teardown(a_plan_that_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(applications, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
