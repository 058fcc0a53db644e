/* links: fuzz_mutate orchestrator checks sim_world broker net pxp pcp world base */
/* The whole orchestrator between a broker core, agents that answer anything, services that answer anything and a client
 * that asks anything. A byte string decides; the invariants of simulator/checks judge: every job acknowledged ends,
 * each node of it once, no transition is illegal, the event stream has no hole — also over crashes and power failures.
 * In the end nothing is left behind.
 *
 * Commands of four bytes: what, and three operands; what carries text takes as many bytes more as its third says.
 *   'a' asks a route with one of the ready bodies · 'A' with the text as body · 'q' GET of a route with the text as
 * query 'g' sets how agents answer (the text is their result) · 's' sets how the services answer (the text is the
 * answer) 'd' an agent goes or comes · 'b' the broker ends or starts · 'k' kill -9 · 'p' power failure · 't' time
 * passes */
#include "base/hocon.h"
#include "base/json.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "fuzz/mutate/mutate.h"
#include "net/http_server.h"
#include "net/ws_peer.h"
#include "orchestrator/orchestrator.h"
#include "orchestrator/store/store.h"
#include "pcp/message.h"
#include "pxp/body.h"
#include "simulator/checks/checks.h"
#include "simulator/world/sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
MUTATOR(mutate_orchestrator)

#define DATABASE "/var/orchestrator.db"
enum { DATABASE_MAX = 1024 * 1024, AGENTS = 3, COMMANDS_MAX = 24, COMMAND_LEN = 4, FETCHES_MAX = 64 };
/* Ten times what any job here may take (configure()). */
#define SETTLED_US (10 * SIM_MINUTE)

struct agent {
    struct fuzz *fuzz;
    struct world *host;
    struct world_tls *tls;
    struct ws_peer *peer; /* NULL: away */
    char *uri;
};

struct request {
    struct fuzz *fuzz;
    struct world_fetch *fetch; /* NULL: answered */
    bool status;               /* it asks how the services are: 503 with the same document when one is not well */
};

struct fuzz {
    struct sim *sim;
    struct world *host, *broker_host, *client, *service_host;
    struct world_tls *client_tls, *service_tls;
    struct http_server *services;
    struct broker *broker;
    struct orchestrator_config config;
    struct orchestrator *orchestrator;
    struct checks *checks;
    struct agent agents[AGENTS];
    uint8_t agent_mode, service_mode;
    bool asks_anybody; /* RBAC answers as the other services do */
    struct buf agent_text, service_text;
    struct request requests[FETCHES_MAX];
    size_t asked;
    uint32_t ids;
};

static void pass(struct fuzz *f, uint64_t us) {
    sim_run(f->sim, sim_now_us(f->sim) + us);
}

/* ---------------------------------------------------------------------------------------- agents */

enum { AGENT_DONE, AGENT_SILENT, AGENT_REFUSES, AGENT_SAYS_ANYTHING, AGENT_ONLY_PROVISIONAL, AGENT_MODES };

static void agent_send(struct agent *a, enum pxp_type type, struct span target, struct span data) {
    char id[48];
    struct buf out = BUF_INIT;
    snprintf(id, sizeof id, "%08x-0000-4000-8000-000000000000", ++a->fuzz->ids);
    struct pcp_message m = {.id = span_of(id),
                            .message_type = span_of(pxp_type_uri(type)),
                            .target = target,
                            .sender = span_of(a->uri),
                            .data = data};
    pcp_encode(PCP_V2, &m, &out);
    struct span frame = buf_span(&out);
    ws_send(a->peer, true, &frame, 1);
    buf_free(&out);
}

static json_t *results_of(const struct fuzz *f, const struct pxp_request *r) {
    json_t *own = f->agent_text.len > 0 ? json_parse(buf_span(&f->agent_text), "fuzz", NULL) : NULL;
    if (own != NULL) {
        return own;
    }
    return span_eq_cstr(r->module, "status")
               ? json_pack("{s:s, s:i, s:s}", "status", "success", "exitcode", 0, "stdout", "{}")
               : json_pack("{s:i, s:s}", "exitcode", 0, "stdout", "{\"a\":1}");
}

static void answer(struct agent *a, const struct pcp_message *m, enum pxp_type type) {
    struct fuzz *f = a->fuzz;
    struct pxp_request r;
    struct buf body = BUF_INIT;
    bool ok = pxp_request_parse(type, m->data, &r, NULL);
    assert(ok); /* the orchestrator's requests are in order */
    if (f->agent_mode == AGENT_REFUSES) {
        pxp_error_write(&body, r.transaction_id, m->id, SPAN("no"));
        agent_send(a, PXP_ERROR, m->sender, buf_span(&body));
    } else if (f->agent_mode == AGENT_SAYS_ANYTHING) {
        json_t *json = json_parse(buf_span(&f->agent_text), "fuzz", NULL); /* an encoder only takes JSON */
        if (json != NULL) {
            agent_send(a, (enum pxp_type)(f->ids % PXP_NONE), m->sender, buf_span(&f->agent_text));
        }
        json_decref(json);
    } else if (f->agent_mode != AGENT_SILENT) {
        json_t *results = results_of(f, &r);
        if (type == PXP_NON_BLOCKING_REQUEST) {
            pxp_provisional_write(&body, r.transaction_id);
            agent_send(a, PXP_PROVISIONAL_RESPONSE, m->sender, buf_span(&body));
            buf_clear(&body);
        }
        if (f->agent_mode == AGENT_DONE || type == PXP_BLOCKING_REQUEST) {
            pxp_response_write(&body, r.transaction_id, results);
            agent_send(a, type == PXP_BLOCKING_REQUEST ? PXP_BLOCKING_RESPONSE : PXP_NON_BLOCKING_RESPONSE, m->sender,
                       buf_span(&body));
        }
        json_decref(results);
    }
    pxp_request_free(&r);
    buf_free(&body);
}

static void on_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    struct agent *a = ctx;
    struct pcp_message m;
    struct buf scratch = BUF_INIT;
    (void)p, (void)text;
    bool ok = pcp_decode(PCP_V2, payload, PCP_AS_CLIENT, &m, &scratch, NULL);
    assert(ok);
    enum pxp_type type = pxp_type_of(m.message_type);
    if (type == PXP_BLOCKING_REQUEST || type == PXP_NON_BLOCKING_REQUEST) {
        answer(a, &m, type);
    }
    buf_free(&scratch);
}

static void on_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    (void)p, (void)code, (void)reason;
    ((struct agent *)ctx)->peer = NULL;
}

static void on_open(void *ctx, struct ws_peer *p) {
    (void)ctx, (void)p; /* an agent only answers */
}

static const struct ws_handler agent_handler = {.on_open = on_open, .on_message = on_message, .on_close = on_close};

static void agent_away(struct agent *a) {
    if (a->peer != NULL) {
        ws_abort(a->peer);
        a->peer = NULL;
    }
}

static void agent_here(struct agent *a) {
    agent_away(a);
    struct ws_connect opts = {.to = {.host = "broker", .port = 8142, .tls = a->tls}, .path = "/pcp2/agent"};
    a->peer = ws_connect(a->host, &opts, &agent_handler, a);
}

/* ---------------------------------------------------------------------------------------- services */

enum { SERVICES_WORK, SERVICES_FAIL, SERVICES_SAY_ANYTHING, SERVICES_HANG_UP, SERVICE_MODES };

static const char *service_answer(const char *path) {
    static const struct {
        const char *part, *body;
    } answers[] = {
        {"/puppet/v3/tasks/",
         "{\"metadata\":{\"description\":\"d\",\"parameters\":{\"p\":{\"type\":\"Optional[String[1]]\"},\"secret\":"
         "{\"type\":\"Optional[String]\",\"sensitive\":true}}},\"files\":[{\"filename\":\"init.sh\",\"sha256\":"
         "\"0123456789012345678901234567890123456789012345678901234567890123\",\"size_bytes\":3,\"uri\":"
         "{\"path\":\"/puppet/v3/file_content/tasks/echo/init.sh\",\"params\":{\"environment\":\"production\"}}}]}"},
        {"/puppet/v3/tasks", "[{\"name\":\"echo\",\"environment\":[{\"name\":\"production\",\"code_id\":null}]}]"},
        {"/puppet/v3/plans", "[]"},
        {"/puppet/v3/environments", "{\"search_paths\":[],\"environments\":{\"production\":{\"settings\":{}}}}"},
        {"/pdb/", "[{\"certname\":\"n0\"},{\"certname\":\"n1\"}]"},
        {"/v1/groups", "[{\"id\":\"00000000-0000-4000-8000-000000000000\",\"name\":\"All Nodes\",\"rule\":"
                       "[\"~\",\"name\",\".*\"]}]"},
        {"/permitted", "[true]"},
    };
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        if (strstr(path, answers[i].part) != NULL) {
            return answers[i].body;
        }
    }
    return "{\"id\":\"af94921f-bd76-4b58-b5ce-e17c029a2790\",\"login\":\"api_user\",\"display_name\":\"\",\"email\":"
           "\"\",\"is_revoked\":false,\"is_remote\":false,\"is_superuser\":true,\"is_group\":false,\"last_login\":null,"
           "\"role_ids\":[1],\"inherited_role_ids\":[],\"group_ids\":[]}";
}

static void serve(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct fuzz *f = ctx;
    const char *path = http_request(ex)->path;
    (void)route;
    switch (f->asks_anybody || strstr(path, "/rbac-api/") == NULL ? f->service_mode : SERVICES_WORK) {
    case SERVICES_WORK:
        http_respond(ex, 200, "application/json", span_of(service_answer(path)));
        break;
    case SERVICES_FAIL:
        http_respond(ex, 500, "text/plain", SPAN("no"));
        break;
    case SERVICES_SAY_ANYTHING:
        http_respond(ex, 200, "application/json", buf_span(&f->service_text));
        break;
    default:
        http_abort(ex);
        break;
    }
}

static const struct http_route service_routes[] = {{NULL, "/*rest", serve, NULL}, {NULL, NULL, NULL, NULL}};

/* ---------------------------------------------------------------------------------------- the client */

static const struct {
    const char *method, *path;
} routes[] = {
    {"POST", "/orchestrator/v1/command/task"},
    {"POST", "/orchestrator/v1/command/stop"},
    {"POST", "/orchestrator/v1/command/deploy"},
    {"POST", "/orchestrator/v1/command/schedule_task"},
    {"POST", "/orchestrator/v1/command/schedule_deploy"},
    {"POST", "/orchestrator/v1/command/schedule_plan"},
    {"POST", "/orchestrator/v1/command/plan_start"},
    {"POST", "/orchestrator/v1/command/plan_task"},
    {"POST", "/orchestrator/v1/command/plan_finish"},
    {"POST", "/orchestrator/v1/command/plan_run"},
    {"POST", "/orchestrator/v1/command/environment_plan_run"},
    {"POST", "/orchestrator/v1/command/stop_plan"},
    {"POST", "/orchestrator/v1/command/task_target"},
    {"POST", "/orchestrator/v1/scheduled_jobs/environment_jobs"},
    {"PUT", "/orchestrator/v1/scheduled_jobs/environment_jobs/1"},
    {"DELETE", "/orchestrator/v1/scheduled_jobs/1"},
    {"POST", "/orchestrator/v1/inventory"},
    {"GET", "/orchestrator/v1/inventory"},
    {"GET", "/orchestrator/v1/inventory/n0"},
    {"GET", "/orchestrator/v1/jobs"},
    {"GET", "/orchestrator/v1/jobs/1"},
    {"GET", "/orchestrator/v1/jobs/1/nodes"},
    {"GET", "/orchestrator/v1/jobs/1/events"},
    {"GET", "/orchestrator/v1/jobs/1/report"},
    {"GET", "/orchestrator/v1/plan_jobs"},
    {"GET", "/orchestrator/v1/plan_jobs/1/events"},
    {"GET", "/orchestrator/v1/scheduled_jobs"},
    {"GET", "/orchestrator/v1/scheduled_jobs/environment_jobs"},
    {"GET", "/orchestrator/v1/scopes/task_targets"},
    {"GET", "/orchestrator/v1/usage"},
    {"GET", "/orchestrator/v1/tasks"},
    {"GET", "/orchestrator/v1/tasks/echo/init"},
    {"GET", "/orchestrator/v1/plans"},
    {"GET", "/orchestrator/v1/environments/production/instances"},
    {"GET", "/orchestrator/v1/jobs/%32"},
    {"GET", "/status/v1/services"},
};
static const char *const bodies[] = {
    "{\"environment\":\"production\",\"task\":\"echo\",\"params\":{\"p\":\"x\"},\"scope\":{\"nodes\":[\"n0\",\"n1\"]}}",
    "{\"environment\":\"production\",\"task\":\"echo\",\"params\":{\"secret\":\"tops3cret\"},\"scope\":{\"query\":"
    "[\"from\",\"nodes\",[\"=\",\"certname\",\"n0\"]]},\"timeout\":20,\"concurrency\":1}",
    "{\"job\":\"1\"}",
    "{\"job\":\"1\",\"force\":true}",
    "{\"environment\":\"production\",\"scope\":{\"nodes\":[\"n0\",\"n1\",\"n2\",\"absent\"]},\"concurrency\":1}",
    "{\"environment\":\"production\",\"task\":\"echo\",\"params\":{},\"scope\":{\"nodes\":[\"n2\"]},\"scheduled_time\":"
    "\"2030-01-02T03:05:00Z\",\"schedule_options\":{\"interval\":{\"units\":\"seconds\",\"value\":86400}}}",
    "{\"plan_name\":\"p\",\"params\":{},\"description\":\"d\"}",
    "{\"plan_job\":\"1\",\"task\":\"echo\",\"params\":{},\"scope\":{\"nodes\":[\"n0\"]},\"environment\":"
    "\"production\"}",
    "{\"plan_job\":\"1\",\"result\":{},\"status\":\"success\"}",
    "{\"nodes\":[\"n0\",\"nobody\"]}",
};
#define PICK(table, byte) table[(byte) % (sizeof(table) / sizeof(table)[0])]

static void on_answer(void *ctx, const struct world_response *r) {
    struct request *q = ctx;
    q->fetch = NULL;
    if (r->err == NULL && r->body.len != 0) {
        const char *type = world_response_header(r, "content-type");
        json_t *body = type != NULL && strstr(type, "json") != NULL ? json_parse(r->body, "fuzz", NULL) : json_null();
        assert(body != NULL);
        if (q->status && json_is_object(body) && json_str(body, "kind") == NULL) {
            const char *name;
            json_t *service;
            assert(r->status == 200 || r->status == 503);
            json_object_foreach(body, name, service) {
                assert(json_str(service, "state") != NULL);
            }
        } else if (r->status >= 400 && json_is_object(body)) { /* every error has its kind and says something */
            assert(json_str(body, "kind") != NULL && json_str(body, "msg") != NULL);
        }
        json_decref(body);
    }
}

static void ask(struct fuzz *f, const char *method, const char *path, struct span query, struct span body) {
    if (f->asked == FETCHES_MAX) {
        return;
    }
    struct request *q = &f->requests[f->asked++];
    struct buf url = BUF_INIT;
    buf_printf(&url, "https://orchestrator:8143%s", path);
    if (query.len != 0) {
        buf_append_char(&url, '?');
        for (size_t i = 0; i < query.len; i++) {
            unsigned char c = (unsigned char)query.ptr[i];
            if (c > ' ' && c < 0x7f && c != '#') { /* what a URL can hold; the rest is the server's fuzzer's */
                buf_append_char(&url, (char)c);
            } else {
                buf_printf(&url, "%%%02X", c);
            }
        }
    }
    static const struct world_header json_type = {"Content-Type", "application/json"};
    struct world_fetch_opts opts = {.method = method,
                                    .url = url.ptr,
                                    .headers = &json_type,
                                    .header_count = 1,
                                    .body = body,
                                    .tls = f->client_tls,
                                    .timeout_ms = 10000};
    q->fuzz = f;
    q->status = strncmp(path, "/status/", 8) == 0;
    q->fetch = world_fetch(f->client, &opts, on_answer, q);
    buf_free(&url);
}

/* ---------------------------------------------------------------------------------------- life */

static void broker_begin(struct fuzz *f) {
    static const char rules_text[] = "authorization { version: 1, rules: [{ name: all, sort-order: 500, "
                                     "allow-unauthenticated: true, match-request: { path: \"^/\", type: regex } }] }";
    struct hocon *h = hocon_new(NULL);
    bool ok = hocon_add(h, "rules", span_of(rules_text), NULL) && hocon_resolve(h, NULL);
    struct rules *rules = ok ? rules_load(h, false, NULL) : NULL;
    hocon_free(h);
    struct broker_config config = {.port = 8142, .tls = sim_tls_files(f->broker_host, "broker")};
    config.tls.client_auth = WORLD_CLIENT_AUTH_NEED;
    f->broker = broker_new(f->broker_host, &config, &(struct broker_loggers){0}, rules, NULL);
    assert(f->broker != NULL);
    broker_start(f->broker);
}

static void broker_end(struct fuzz *f) {
    if (f->broker != NULL) {
        broker_free(f->broker);
        f->broker = NULL;
    }
}

static void orchestrator_gone(void *ctx) {
    struct fuzz *f = ctx;
    orchestrator_free(f->orchestrator);
    f->orchestrator = NULL;
}

static void orchestrator_begin(struct fuzz *f) {
    f->orchestrator = orchestrator_new(f->host, &f->config, NULL, NULL);
    assert(f->orchestrator != NULL);
    sim_on_crash(f->host, orchestrator_gone, f);
    bool ok = orchestrator_start(f->orchestrator, NULL);
    assert(ok);
}

static void crash(struct fuzz *f, enum sim_crash_kind kind) {
    sim_crash(f->host, kind);
    if (kind == SIM_CRASH_POWER) {
        pass(f, SIM_SECOND);
        sim_power_on(f->host);
    }
    orchestrator_begin(f);
    pass(f, SIM_SECOND);
}

static struct world_tls *tls_of(struct world *host, const char *name, bool server) {
    struct world_tls_files files = sim_tls_files(host, name);
    files.client_auth = server ? WORLD_CLIENT_AUTH_WANT : WORLD_CLIENT_AUTH_NONE;
    return world_tls_new(host, &files, NULL);
}

static void configure(struct fuzz *f) {
    struct orchestrator_config *c = &f->config;
    orchestrator_config_defaults(c);
    c->tls = sim_tls_files(f->host, "orchestrator");
    c->tls.client_auth = WORLD_CLIENT_AUTH_WANT;
    c->database = DATABASE;
    c->brokers[0] = "wss://broker:8142";
    c->broker_count = 1;
    c->rbac_url = "https://services/rbac-api";
    c->classifier_url = "https://services/classifier-api";
    c->puppetdb_url = "https://services";
    c->puppet_server_url = "https://services";
    c->certificate_allowlist[0] = "client";
    c->allowed_count = 1;
    c->task_node_timeout_s = c->deploy_node_timeout_s = c->plan_timeout_s = 60;
    c->scheduled_jobs_v1_api = true;
    c->task_concurrency = 2;
    c->global_concurrent_compiles = 2;
}

/* The file a first start leaves behind, of a world of its own, so every input finds the same: making the tables anew
 * would take as long as most inputs do. */
static struct span new_database(void) {
    static struct buf made = BUF_INIT; /* kept for all inputs */
    if (made.len == 0) {
        struct sim *sim = sim_new(&(struct sim_opts){.seed = 1});
        struct world *host = sim_host(sim, "orchestrator");
        world_file_mkdir(host, "/var", 0750, true, NULL);
        struct store *s = store_new(host, &(struct store_opts){.path = DATABASE}, NULL);
        sim_run(sim, SIM_SECOND);
        assert(s != NULL && store_error(s) == NULL);
        store_finish(s);
        bool ok = world_file_read(host, DATABASE, DATABASE_MAX, &made, NULL);
        assert(ok && made.len != 0);
        sim_free(sim);
    }
    return buf_span(&made);
}

static void begin(struct fuzz *f) {
    struct span database = new_database();
    *f = (struct fuzz){.sim = sim_new(&(struct sim_opts){.seed = 1})};
    f->checks = checks_new(f->sim, &(struct checks_opts){.task_limit = 2, .deploy_limit = 2});
    f->host = sim_host(f->sim, "orchestrator");
    f->broker_host = sim_host(f->sim, "broker");
    f->client = sim_host(f->sim, "client");
    f->service_host = sim_host(f->sim, "services");
    checks_broker(f->checks, "broker", 8142);
    checks_secret(f->checks, "tops3cret");
    f->client_tls = tls_of(f->client, "client", false);
    f->service_tls = tls_of(f->service_host, "services", true);
    f->services = http_server_new(
        f->service_host,
        &(struct http_server_opts){.listen = {.port = 443, .tls = f->service_tls}, .routes = service_routes, .ctx = f},
        NULL);
    assert(f->services != NULL);
    world_file_mkdir(f->host, "/var", 0750, true, NULL);
    world_file_write(f->host, DATABASE, database, 0640, WORLD_WRITE_ATOMIC, NULL);
    configure(f);
    broker_begin(f);
    for (size_t i = 0; i < AGENTS; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%zu", i);
        struct agent *a = &f->agents[i];
        *a = (struct agent){.fuzz = f, .host = sim_host(f->sim, name), .uri = str_printf("pcp://%s/agent", name)};
        a->tls = tls_of(a->host, name, false);
        agent_here(a);
    }
    orchestrator_begin(f);
    pass(f, 2 * SIM_SECOND);
}

/* Everything works again, so what was acknowledged must come to its end; then it is read once, as the checks ask. */
static void converge(struct fuzz *f) {
    f->service_mode = SERVICES_WORK;
    f->agent_mode = AGENT_DONE;
    buf_clear(&f->agent_text);
    if (f->broker == NULL) {
        broker_begin(f);
    }
    for (size_t i = 0; i < AGENTS; i++) {
        agent_here(&f->agents[i]);
    }
    pass(f, SETTLED_US);
    f->asked = 0;
    for (size_t i = 0; i < checks_job_count(f->checks) && i < FETCHES_MAX / 3; i++) {
        static const char *const parts[] = {"", "/nodes", "/events"};
        for (size_t k = 0; k < 3; k++) {
            char *path = str_printf("/orchestrator/v1/jobs/%s%s", checks_job_id(f->checks, i), parts[k]);
            ask(f, "GET", path, SPAN(""), SPAN(""));
            mem_free(path);
            pass(f, SIM_SECOND);
        }
    }
    checks_finish(f->checks);
}

static void stopped(void *ctx) {
    *(bool *)ctx = true;
}

static void end(struct fuzz *f) {
    bool done = false;
    struct buf report = BUF_INIT;
    orchestrator_stop(f->orchestrator, 1000, stopped, &done);
    pass(f, SIM_MINUTE);
    assert(done);
    orchestrator_gone(f);
    sim_on_crash(f->host, NULL, NULL);
    for (size_t i = 0; i < AGENTS; i++) {
        agent_away(&f->agents[i]);
    }
    for (size_t i = 0; i < FETCHES_MAX; i++) {
        if (f->requests[i].fetch != NULL) {
            world_fetch_cancel(f->requests[i].fetch);
        }
    }
    broker_end(f);
    http_server_free(f->services);
    pass(f, SIM_MINUTE);
    for (size_t i = 0; i < AGENTS; i++) {
        world_tls_free(f->agents[i].tls);
        mem_free(f->agents[i].uri);
    }
    world_tls_free(f->client_tls);
    world_tls_free(f->service_tls);
    for (size_t i = 0; i < checks_violation_count(f->checks); i++) {
        const struct violation *v = checks_violation(f->checks, i);
        fprintf(stderr, "invariant %d (%s): %s\n", v->invariant, checks_invariant(v->invariant), v->text);
    }
    if (!sim_check_idle(f->sim, &report)) {
        fprintf(stderr, "left behind:\n%s", report.ptr);
    }
    if (report.len != 0 || checks_violation_count(f->checks) != 0) {
        abort();
    }
    buf_free(&report);
    buf_free(&f->agent_text);
    buf_free(&f->service_text);
    checks_free(f->checks);
    sim_free(f->sim);
}

static void set_text(struct buf *to, struct span text) {
    buf_clear(to);
    buf_append_span(to, text);
}

static void act(struct fuzz *f, char what, uint8_t a, uint8_t b, struct span text) {
    switch (what) {
    case 'a':
        ask(f, PICK(routes, a).method, PICK(routes, a).path, SPAN(""), span_of(PICK(bodies, b)));
        break;
    case 'A':
        ask(f, PICK(routes, a).method, PICK(routes, a).path, SPAN(""), text);
        break;
    case 'q':
        ask(f, "GET", PICK(routes, a).path, text, SPAN(""));
        break;
    case 'g':
        f->agent_mode = a % AGENT_MODES;
        set_text(&f->agent_text, text);
        break;
    case 's':
        f->service_mode = a % SERVICE_MODES;
        f->asks_anybody = (b & 1) != 0;
        set_text(&f->service_text, text);
        break;
    case 'd':
        ((b & 1) != 0 ? agent_here : agent_away)(&f->agents[a % AGENTS]);
        break;
    case 'b':
        if (f->broker != NULL) {
            broker_end(f);
        } else {
            broker_begin(f);
        }
        break;
    case 'k':
        crash(f, SIM_CRASH_KILL);
        break;
    case 'p':
        crash(f, SIM_CRASH_POWER);
        break;
    case 't':
        pass(f, a * SIM_SECOND);
        break;
    default:
        pass(f, a * SIM_MS);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    struct fuzz f;
    begin(&f);
    struct span rest = span_bytes(bytes, len);
    for (int i = 0; i < COMMANDS_MAX && rest.len >= COMMAND_LEN; i++) {
        const uint8_t *command = (const uint8_t *)rest.ptr;
        char what = (char)command[0];
        struct span text = SPAN("");
        rest = span_sub(rest, COMMAND_LEN, rest.len);
        if (what == 'A' || what == 'q' || what == 'g' || what == 's') {
            text = span_sub(rest, 0, command[3]);
            rest = span_sub(rest, text.len, rest.len);
        }
        act(&f, what, command[1], command[2], text);
        pass(&f, 20 * SIM_MS);
    }
    converge(&f);
    end(&f);
    return 0;
}
