/* links: fuzz_mutate agent sim_world net pxp pcp world base */
/* An agent core between a broker that says anything and a disk that outlives it. A byte string decides what the broker
 * sends, when connections end, when the agent dies; then: no transaction has run twice, every answer is well-formed and
 * goes to whom it is owed, and nothing is left behind.
 *
 * First byte: bit 0 the PCP version. Then commands: a byte and, for some, two bytes of length and so many bytes.
 *   'r' raw frame · 'b' 'n' data of a blocking / non-blocking request · 'o' data of another message type
 *   'c' close · 'x' reset · 't' let time pass · 'k' kill -9 · 'p' power failure */
#include "agent/agent.h"
#include "agent/exec.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "fuzz/mutate/mutate.h"
#include "net/http_server.h"
#include "net/ws_peer.h"
#include "pxp/body.h"
#include "simulator/world/sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
MUTATOR(mutate_agent)

enum { COMMANDS_MAX = 40 };
#define CONTROLLER "pcp://controller/x"
#define BROKER "broker.example.com"

struct fuzz {
    struct sim *sim;
    struct world *agent_host, *broker_host;
    struct agent_config config;
    struct world_tls *agent_tls, *broker_tls;
    struct agent *agent;
    struct http_server *server;
    struct ws_peer *peer;
    struct map runs; /* transaction -> itself: has run */
};

/* ---------------------------------------------------------------------------------------- the broker */

static void answer(struct fuzz *f, const struct pcp_message *request) {
    struct pcp_message m = {.id = SPAN("1"),
                            .message_type = SPAN(PCP_ASSOCIATE_RESPONSE),
                            .sender = SPAN(PCP_SERVER_URI),
                            .target = request->sender};
    struct buf data = BUF_INIT, out = BUF_INIT;
    buf_printf(&data, "{\"id\":\"%.*s\",\"success\":true}", (int)request->id.len, request->id.ptr);
    m.data = buf_span(&data);
    pcp_encode(PCP_V1, &m, &out);
    struct span frame = buf_span(&out);
    ws_send(f->peer, false, &frame, 1);
    buf_free(&data);
    buf_free(&out);
}

static void on_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    struct fuzz *f = ctx;
    struct pcp_message m;
    struct buf scratch = BUF_INIT;
    (void)p;
    assert(text == pcp_is_text(f->config.version));
    bool ok = pcp_decode(f->config.version, payload, PCP_AS_CLIENT, &m, &scratch, NULL);
    assert(ok);
    assert(span_eq_cstr(m.sender, "pcp://agent.example.com/agent"));
    enum pxp_type type = pxp_type_of(m.message_type);
    struct pxp_response response;
    if (span_eq_cstr(m.message_type, PCP_ASSOCIATE_REQUEST)) {
        answer(f, &m);
    } else if (type != PXP_NONE) {
        ok = pxp_response_parse(type, PXP_V1, m.data, &response, NULL);
        assert(ok);
        pxp_response_free(&response);
    } else {
        assert(span_eq_cstr(m.message_type, PCP_ERROR_MESSAGE));
    }
    buf_free(&scratch);
}

static void on_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct fuzz *f = ctx;
    (void)code;
    (void)reason;
    f->peer = f->peer == p ? NULL : f->peer;
}

static const struct ws_handler handler = {.on_message = on_message, .on_close = on_close};

static void upgrade(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct fuzz *f = ctx;
    (void)route;
    if (!ws_is_upgrade(ex)) {
        http_respond(ex, 200, NULL, SPAN("#!sim\n")); /* it is the file server, too */
        return;
    }
    if (f->peer != NULL) {
        ws_abort(f->peer);
    }
    f->peer = ws_accept(ex, &(struct ws_limits){0}, &handler, f);
}

static const struct http_route routes[] = {{"GET", "/*rest", upgrade, NULL}, {NULL, NULL, NULL, NULL}};

/* ---------------------------------------------------------------------------------------- programs */

static void put(struct sim_exec *x, const char *dir, const char *name, struct span text, enum world_write how) {
    char *path = str_printf("%s/%s", dir, name);
    world_file_write(x->host, path, text, 0640, how, NULL);
    mem_free(path);
}

static void run(void *ctx, struct sim_exec *x) {
    struct fuzz *f = ctx;
    struct agent_exec exec;
    bool ok = agent_exec_parse(x->argv, &exec);
    assert(ok);
    x->takes_us = 20000;
    if (exec.spool_dir == NULL) {
        buf_append_cstr(&x->out, "out");
        return;
    }
    /* Only where the transactions are, and once for each. */
    assert(span_starts_with(span_of(exec.spool_dir), "/spool/") && strchr(exec.spool_dir + 7, '/') == NULL);
    void *before = map_put(&f->runs, span_of(exec.spool_dir), f);
    assert(before == NULL);
    char pid[32];
    snprintf(pid, sizeof pid, "%lld\n", (long long)x->pid);
    put(x, exec.spool_dir, "pid", span_of(pid), WORLD_WRITE_NEW);
}

static void at_end(void *ctx, struct sim_exec *x, int killed) {
    struct agent_exec exec;
    (void)ctx;
    if (killed == 0 && agent_exec_parse(x->argv, &exec) && exec.spool_dir != NULL) {
        put(x, exec.spool_dir, "stdout", SPAN("out\n"), WORLD_WRITE_ATOMIC);
        put(x, exec.spool_dir, "stderr", SPAN(""), WORLD_WRITE_ATOMIC);
        put(x, exec.spool_dir, "exitcode", SPAN("0"), WORLD_WRITE_ATOMIC);
    }
}

/* ---------------------------------------------------------------------------------------- life */

static const char *const brokers[] = {"wss://" BROKER ":8142/pcp"};
static const char *const primaries[] = {"https://" BROKER ":8142"};

static void agent_gone(void *ctx) {
    struct fuzz *f = ctx;
    agent_free(f->agent);
    world_tls_free(f->agent_tls);
    f->agent = NULL;
    f->agent_tls = NULL;
}

static void agent_begin(struct fuzz *f) {
    struct world_tls_files files = sim_tls_files(f->agent_host, "agent.example.com");
    f->agent_tls = world_tls_new(f->agent_host, &files, NULL);
    sim_on_crash(f->agent_host, agent_gone, f);
    f->agent = agent_new(
        f->agent_host, &f->config,
        &(struct agent_self){
            .name = "agent.example.com", .tls = f->agent_tls, .spool_dir = "/spool", .task_cache_dir = "/cache"},
        NULL, NULL);
    agent_start(f->agent);
}

static void begin(struct fuzz *f, enum pcp_version version) {
    *f = (struct fuzz){.sim = sim_new(&(struct sim_opts){.seed = 1})};
    f->agent_host = sim_host(f->sim, "agent.example.com");
    f->broker_host = sim_host(f->sim, BROKER);
    f->config = agent_config_default();
    f->config.version = version;
    f->config.brokers = brokers;
    f->config.primaries = primaries;
    f->config.broker_count = f->config.primary_count = 1;
    f->config.shell = "/bin/sh";
    struct world_tls_files files = sim_tls_files(f->broker_host, BROKER);
    files.client_auth = WORLD_CLIENT_AUTH_NEED;
    f->broker_tls = world_tls_new(f->broker_host, &files, NULL);
    f->server = http_server_new(
        f->broker_host,
        &(struct http_server_opts){.listen = {.port = 8142, .tls = f->broker_tls}, .routes = routes, .ctx = f}, NULL);
    world_file_mkdir(f->agent_host, "/spool", 0750, true, NULL);
    world_file_mkdir(f->agent_host, "/cache", 0750, true, NULL);
    sim_program(f->sim, NULL, "dalang-exec", &(struct sim_program){.run = run, .at_end = at_end, .ctx = f});
    agent_begin(f);
}

static void closed(void *ctx) {
    *(bool *)ctx = true;
}

static void end(struct fuzz *f) {
    bool done = false;
    agent_gone(f);
    sim_on_crash(f->agent_host, NULL, NULL);
    if (f->peer != NULL) {
        ws_abort(f->peer);
    }
    http_server_close(f->server, 0, closed, &done);
    sim_run_idle(f->sim, SIM_HOUR);
    assert(done);
    world_tls_free(f->broker_tls);
    struct buf report = BUF_INIT;
    if (!sim_check_idle(f->sim, &report)) {
        fprintf(stderr, "left behind:\n%s", report.ptr);
        abort();
    }
    buf_free(&report);
    map_free(&f->runs);
    sim_free(f->sim);
}

static void pass(struct fuzz *f, uint64_t us) {
    sim_run(f->sim, sim_now_us(f->sim) + us);
}

/* ---------------------------------------------------------------------------------------- commands */

static void send_frame(struct fuzz *f, struct span frame) {
    if (f->peer != NULL) {
        bool text = f->config.version == PCP_V2 && span_is_utf8(frame);
        ws_send(f->peer, text, &frame, 1);
    }
}

static void send_data(struct fuzz *f, const char *type, struct span data) {
    struct buf out = BUF_INIT;
    json_t *json = json_parse(data, "fuzz", NULL); /* an encoder only takes JSON */
    if (json != NULL) {
        pcp_encode(f->config.version,
                   &(struct pcp_message){.id = SPAN("12345678-1234-4234-8234-123456789012"),
                                         .message_type = span_of(type),
                                         .sender = SPAN(CONTROLLER),
                                         .target = SPAN("pcp://agent.example.com/agent"),
                                         .data = data},
                   &out);
        send_frame(f, buf_span(&out));
    }
    json_decref(json);
    buf_free(&out);
}

static void die(struct fuzz *f, enum sim_crash_kind kind) {
    sim_crash(f->agent_host, kind);
    if (kind == SIM_CRASH_POWER) {
        pass(f, SIM_SECOND);
        sim_power_on(f->agent_host);
    }
    if (f->peer != NULL) {
        ws_abort(f->peer);
        f->peer = NULL;
    }
    agent_begin(f);
}

static bool has_text(char command) {
    return command == 'r' || command == 'b' || command == 'n' || command == 'o';
}

static void act(struct fuzz *f, char command, struct span text) {
    static const char *const others[] = {PCP_ERROR_MESSAGE, PCP_ASSOCIATE_RESPONSE, PCP_TTL_EXPIRED,
                                         "http://puppetlabs.com/rpc_provisional_response"};
    switch (command) {
    case 'r':
        send_frame(f, text);
        break;
    case 'b':
        send_data(f, pxp_type_uri(PXP_BLOCKING_REQUEST), text);
        break;
    case 'n':
        send_data(f, pxp_type_uri(PXP_NON_BLOCKING_REQUEST), text);
        break;
    case 'o':
        if (text.len > 0) {
            send_data(f, others[(unsigned char)text.ptr[0] % 4], span_sub(text, 1, text.len));
        }
        break;
    case 'c':
        if (f->peer != NULL) {
            ws_close(f->peer, 1001, "fuzz");
        }
        break;
    case 'x':
        sim_reset_connections(f->agent_host, NULL);
        break;
    case 't':
        pass(f, 5 * SIM_SECOND);
        break;
    case 'k':
        die(f, SIM_CRASH_KILL);
        break;
    case 'p':
        die(f, SIM_CRASH_POWER);
        break;
    default:
        pass(f, 2 * SIM_MS);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    struct fuzz f;
    if (len == 0) {
        return 0;
    }
    begin(&f, (bytes[0] & 1) != 0 ? PCP_V2 : PCP_V1);
    pass(&f, SIM_SECOND);
    struct span rest = span_bytes(bytes + 1, len - 1);
    for (int i = 0; i < COMMANDS_MAX && rest.len > 0; i++) {
        char command = rest.ptr[0];
        struct span text = SPAN("");
        rest = span_sub(rest, 1, rest.len);
        if (has_text(command) && rest.len >= 2) {
            size_t size = (size_t)(unsigned char)rest.ptr[0] << 8 | (unsigned char)rest.ptr[1];
            text = span_sub(rest, 2, size);
            rest = span_sub(rest, 2 + text.len, rest.len);
        }
        act(&f, command, text);
        pass(&f, 5 * SIM_MS);
    }
    pass(&f, SIM_MINUTE);
    end(&f);
    return 0;
}
