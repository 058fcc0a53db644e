/* dalang-fakes as a process: start, the fakes asking each other, stop, and what it says when it cannot start. */
#include "base/json.h"
#include "base/mem.h"
#include "world/certs.h"
#include "world/real.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct stand {
    struct world *w;
    struct certs_ca *ca;
    char dir[64];
    struct buf output;
    struct world_process *process;
    struct world_exit exit;
    bool ended;
    json_t *urls;
};

static char *path_of(const struct stand *s, const char *name) {
    return str_printf("%s/%s", s->dir, name);
}

static void put(struct stand *s, const char *name, const char *text) {
    char *path = path_of(s, name);
    assert_true(world_file_write(s->w, path, span_of(text), 0600, WORLD_WRITE_PLAIN, NULL));
    mem_free(path);
}

static void issue(struct stand *s, const char *name) {
    const char *const dns[] = {name, "localhost", NULL}, *const ip[] = {"127.0.0.1", NULL};
    struct certs_paths paths;
    struct error err = ERROR_INIT;
    struct certs_issue what = {
        .common_name = span_of(name), .dns_names = dns, .ip_addresses = ip, .now_ms = world_wall_ms(s->w)};
    if (!certs_dir_issue(s->ca, s->dir, &what, &paths, &err)) {
        fail_msg("%s", err.msg);
    }
    certs_paths_free(&paths);
}

static int set_up(void **state) {
    struct stand *s = mem_zalloc(sizeof *s);
    struct error err = ERROR_INIT;
    strcpy(s->dir, "/tmp/dalang-fakes-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    s->w = real_world_new(&err);
    assert_non_null(s->w);
    s->ca = certs_dir_open(s->dir, &(struct certs_ca_opts){.now_ms = world_wall_ms(s->w)}, &err);
    assert_non_null(s->ca);
    issue(s, "fakes");
    issue(s, "orch");
    *state = s;
    return 0;
}

static int tear_down(void **state) {
    struct stand *s = *state;
    world_file_remove(s->w, s->dir, true, NULL);
    certs_ca_free(s->ca);
    real_world_free(s->w);
    buf_free(&s->output);
    json_decref(s->urls);
    mem_free(s);
    return 0;
}

static void on_output(void *ctx, int stream, struct span bytes) {
    struct stand *s = ctx;
    (void)stream;
    buf_append_span(&s->output, bytes);
}

static void on_exit_of(void *ctx, const struct world_exit *e) {
    struct stand *s = ctx;
    s->exit = *e;
    s->ended = true;
}

static void start(struct stand *s, const char *const *args) {
    const char *argv[24] = {BIN_DIR "/dalang-fakes"};
    for (size_t n = 1; args[n - 1] != NULL; n++) {
        argv[n] = args[n - 1];
    }
    buf_clear(&s->output);
    s->ended = false;
    s->process =
        world_spawn(s->w, &(struct world_spawn){.argv = argv, .on_output = on_output, .umask = -1}, on_exit_of, s);
}

static int run(struct stand *s, const char *const *args) {
    start(s, args);
    while (!s->ended) {
        real_world_turn(s->w, true);
    }
    assert_true(s->exit.started);
    assert_int_equal(s->exit.signal, 0);
    return s->exit.status;
}

/* With TLS, any free ports; more: further arguments, NULL-terminated. */
static void serve(struct stand *s, const char *const *more) {
    char *cert = path_of(s, "certs/fakes.pem"), *key = path_of(s, "certs/fakes.key"), *ca = path_of(s, "ca.pem");
    const char *args[24] = {"--json", "--port-base", "0", "--cert", cert, "--key", key, "--ca", ca, "--allow", "orch"};
    size_t n = 11;
    for (; *more != NULL; more++) {
        args[n++] = *more;
    }
    start(s, args);
    while (!s->ended && (s->output.len == 0 || strchr(s->output.ptr, '\n') == NULL)) {
        real_world_turn(s->w, true);
    }
    s->urls = json_parse(span_trim(buf_span(&s->output)), "urls", NULL);
    if (s->urls == NULL) {
        fail_msg("%s", s->output.ptr);
    }
    mem_free(cert);
    mem_free(key);
    mem_free(ca);
}

struct answer {
    bool done;
    int status;
    json_t *body;
};

static void answered(void *ctx, const struct world_response *r) {
    struct answer *a = ctx;
    a->done = true;
    a->status = r->err == NULL ? r->status : 0;
    a->body = r->err == NULL && r->body.len > 0 ? json_parse(r->body, "body", NULL) : NULL;
}

/* cn: of the certificate that is shown, or NULL. The status is 0 when no answer comes. */
static struct answer ask_as(struct stand *s, const char *cn, const char *service, const char *path, const char *method,
                            const char *body) {
    char *cert = cn != NULL ? str_printf("%s/certs/%s.pem", s->dir, cn) : NULL;
    char *key = cn != NULL ? str_printf("%s/certs/%s.key", s->dir, cn) : NULL;
    char *ca = path_of(s, "ca.pem"), *url = str_printf("%s%s", json_str(s->urls, service), path);
    struct world_tls_files files = {.cert = cert, .key = key, .ca = ca};
    struct world_tls *tls = world_tls_new(s->w, &files, NULL);
    const struct world_header type = {"Content-Type", "application/json"};
    struct answer a = {.done = false};
    struct world_fetch_opts opts = {.method = method,
                                    .url = url,
                                    .tls = tls,
                                    .body = span_of(body),
                                    .headers = &type,
                                    .header_count = body != NULL};
    world_fetch(s->w, &opts, answered, &a);
    while (!a.done) {
        real_world_turn(s->w, true);
    }
    world_tls_free(tls);
    mem_free(url);
    mem_free(cert);
    mem_free(key);
    mem_free(ca);
    return a;
}

/* Asks with the certificate "orch"; asserts the status. */
static json_t *ask(struct stand *s, const char *service, const char *path, const char *method, const char *body,
                   int status) {
    struct answer a = ask_as(s, "orch", service, path, method, body);
    assert_int_equal(a.status, status);
    return a.body;
}

static void stop(struct stand *s) {
    assert_true(world_pid_signal(s->w, world_process_pid(s->process), SIGTERM, false));
    while (!s->ended) {
        real_world_turn(s->w, true);
    }
    assert_int_equal(s->exit.signal, 0);
    assert_int_equal(s->exit.status, 0);
}

static void all_five_work_together(void **state) {
    struct stand *s = *state;
    const char *const more[] = {"--modules", SOURCE_DIR "/fakes/puppetserver/modules", "--state",
                                SOURCE_DIR "/fakes/example-state.json", NULL};
    serve(s, more);
    assert_int_equal(json_object_size(s->urls), 5);
    json_t *tasks = ask(s, "puppetserver", "/puppet/v3/tasks?environment=production", "GET", NULL, 200);
    assert_int_equal(json_array_size(tasks), 2);
    json_decref(tasks);
    json_t *token =
        ask(s, "rbac", "/rbac-api/v1/auth/token", "POST", "{\"login\":\"noor\",\"password\":\"quietstone\"}", 200);
    assert_int_equal(strlen(json_str(token, "token")), 44);
    json_decref(token);
    /* The classifier asks PuppetDB. */
    json_t *nodes =
        ask(s, "classifier", "/classifier-api/v1/groups/6b0d5a44-9a43-4b7f-9c7e-0f6f2a0c6d10/nodes", "GET", NULL, 200);
    assert_int_equal(json_array_size(nodes), 1);
    assert_string_equal(json_str(json_array_get(nodes, 0), "name"), "web1.lab.example");
    json_decref(nodes);
    /* Puppet Server submits to PuppetDB: the classes of the environment reach the classifier. */
    json_decref(ask(s, "classifier", "/classifier-api/v1/update-classes?environment=production", "POST", "{}", 201));
    json_t *catalog =
        ask(s, "puppetserver", "/puppet/v3/catalog/web1.lab.example?environment=production", "GET", NULL, 200);
    json_decref(catalog);
    json_t *resources =
        ask(s, "puppetdb", "/pdb/query/v4?query=resources%5Btype%5D%7Btype%20%3D%20%22Notify%22%7D", "GET", NULL, 200);
    assert_int_equal(json_array_size(resources), 1);
    json_decref(resources);
    json_t *events = ask(s, "activity", "/activity-api/v1/events?service_id=rbac", "GET", NULL, 200);
    assert_int_equal(json_int(events, "total-rows", 0), 1);
    json_decref(events);
    stop(s);
}

static void a_subset_can_be_started(void **state) {
    struct stand *s = *state;
    const char *const more[] = {"--only", "rbac", NULL};
    serve(s, more);
    assert_int_equal(json_object_size(s->urls), 1);
    json_decref(ask(s, "rbac", "/rbac-api/v1/users", "GET", NULL, 200));
    stop(s);
}

/* PuppetDB takes tokens where RBAC is beside it; else its handshake wants a certificate, as the real one's does. */
static void strangers_get_nothing_from_puppetdb(void **state) {
    struct stand *s = *state;
    const char *const alone[] = {"--only", "puppetdb", NULL}, *const with_rbac[] = {"--only", "puppetdb", "--only",
                                                                                    "rbac", NULL};
    serve(s, alone);
    json_decref(ask(s, "puppetdb", "/pdb/query/v4/nodes", "GET", NULL, 200));
    struct answer a = ask_as(s, NULL, "puppetdb", "/pdb/query/v4/nodes", "GET", NULL);
    assert_int_equal(a.status, 0);
    stop(s);
    json_decref(s->urls);
    serve(s, with_rbac);
    a = ask_as(s, NULL, "puppetdb", "/pdb/query/v4/nodes", "GET", NULL);
    assert_true(a.status == 401 || a.status == 403);
    json_decref(a.body);
    stop(s);
}

static void mistakes_are_named(void **state) {
    struct stand *s = *state;
    char *broken = path_of(s, "broken.json"), *odd = path_of(s, "odd.json"), *bad = path_of(s, "bad.json");
    char *gone = path_of(s, "gone.pem");
    put(s, "broken.json", "{oops");
    put(s, "odd.json", "{\"shoes\":{}}");
    put(s, "bad.json", "{\"rbac\":{\"users\":[{}]}}");
    const struct {
        const char *args[8];
        int status;
        const char *says;
    } cases[] = {
        {{"--only", "rbak", NULL}, 2, "rbac"},
        {{"--nosuch", NULL}, 2, "nosuch"},
        {{"extra", NULL}, 2, "extra"},
        {{NULL}, 2, "--cert"},
        {{"--plain", "--cert", "x", NULL}, 2, "--plain"},
        {{"--plain", "--ca-key", "x", NULL}, 2, "--ca-key"},
        {{"--plain", "--port-base", "70000", NULL}, 2, "port"},
        {{"--plain", "--port-base", "0", "--state", broken, NULL}, 3, "broken.json"},
        {{"--plain", "--port-base", "0", "--state", odd, NULL}, 3, "shoes"},
        {{"--plain", "--port-base", "0", "--state", bad, NULL}, 3, "login"},
        {{"--plain", "--port-base", "0", "--state", gone, NULL}, 3, "gone.pem"},
        {{"--cert", gone, "--key", gone, "--ca", gone, NULL}, 3, "gone.pem"},
        {{"--plain", "--host", "192.0.2.1", NULL}, 3, "192.0.2.1"},
        {{"--plain", "--log-level", "loud", NULL}, 3, "loud"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int status = run(s, cases[i].args);
        if (status != cases[i].status || s->output.ptr == NULL || strstr(s->output.ptr, cases[i].says) == NULL) {
            fail_msg("%s…: %d: %s", cases[i].args[0], status, s->output.ptr);
        }
    }
    mem_free(broken);
    mem_free(odd);
    mem_free(bad);
    mem_free(gone);
}

static void a_port_in_use_is_one_clear_line(void **state) {
    struct stand *s = *state;
    const char *const none[] = {NULL};
    serve(s, none);
    struct stand other = {.w = s->w};
    const char *port = strrchr(json_str(s->urls, "puppetdb"), ':') + 1;
    const char *const args[] = {"--plain", "--port-base", "0", "--puppetdb-port", port, NULL};
    assert_int_equal(run(&other, args), 3);
    assert_non_null(strstr(other.output.ptr, port));
    assert_non_null(strstr(other.output.ptr, "puppetdb"));
    buf_free(&other.output);
    stop(s);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(all_five_work_together), T(a_subset_can_be_started),         T(strangers_get_nothing_from_puppetdb),
        T(mistakes_are_named),     T(a_port_in_use_is_one_clear_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
