/* links: fuzz_mutate checks sim_world broker net pcp world base */
/* A broker core and several clients. A byte string decides who connects as whom, what they send, who supersedes whom,
 * who closes, resets or stops reading, and when the rules change. What must hold is judged by those who only watch
 * (simulator/checks): every message is delivered once, answered, or lost with a connection; none reaches another URI or
 * carries another sender than its certificate. In the end nothing is left behind.
 *
 * First byte: the broker's options. Then commands of four bytes: what, who, and two operands; 'r' (raw text), 'R' (raw
 * binary) and 'h' (bytes before any WebSocket) take as many bytes more as the third says. */
#include "base/hocon.h"
#include "base/json.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "fuzz/mutate/mutate.h"
#include "net/ws_peer.h"
#include "pcp/body.h"
#include "pcp/message.h"
#include "simulator/checks/checks.h"
#include "simulator/world/sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
MUTATOR(mutate_broker)

enum { CLIENTS = 6, COMMANDS_MAX = 60, COMMAND_LEN = 4, QUEUE_MAX = 20000, MESSAGE_MAX = 60000 };
#define BROKER "broker"

/* Certificate, endpoint, version. The first two are the same URI: one supersedes the other. */
static const struct who {
    const char *common_name, *path, *uri;
    enum pcp_version version;
} clients[CLIENTS] = {
    {"a.example.com", "/pcp2/agent", "pcp://a.example.com/agent", PCP_V2},
    {"a.example.com", "/pcp/agent", "pcp://a.example.com/agent", PCP_V1},
    {"b.example.com", "/pcp2/agent", "pcp://b.example.com/agent", PCP_V2},
    {"b.example.com", "/pcp2/other", "pcp://b.example.com/other", PCP_V2},
    {"c.example.com", "/pcp/controller", "pcp://c.example.com/controller", PCP_V1},
    {"c.example.com", "/pcp2/server", "pcp://c.example.com/server", PCP_V2}, /* refused: the type is the broker's */
};

static const char *const targets[] = {"pcp:///server",
                                      "pcp://a.example.com/agent",
                                      "pcp://b.example.com/agent",
                                      "pcp://b.example.com/other",
                                      "pcp://c.example.com/controller",
                                      "pcp://nobody.example.com/agent",
                                      "pcp://*/agent",
                                      "pcp://b.example.com/*",
                                      "pcp:///a",
                                      ""};
static const char *const senders[] = {"",
                                      "pcp://a.example.com/agent",
                                      "pcp://b.example.com/agent",
                                      "pcp://A.example.com/agent",
                                      "pcp:///server",
                                      "pcp://c.example.com/controller"};
static const char *const types[] = {
    "http://puppetlabs.com/rpc_blocking_request", "http://puppetlabs.com/inventory_request",
    "http://puppetlabs.com/associate_request",    PCP_ERROR_MESSAGE,
    "http://puppetlabs.com/inventory_response",   "x",
    "http://puppetlabs.com/associate_session",    "http://puppetlabs.com/destination_report",
};
static const char *const bodies[] = {
    "{}",
    "{\"query\":[\"pcp://*/*\"],\"subscribe\":true}",
    "{\"query\":[\"pcp://a.example.com/agent\",\"pcp://*/other\"],\"subscribe\":false}",
    "{\"query\":[]}",
    "\"text\"",
    "null",
    "[1,2.5e1,\"\\u0000\"]",
    "{\"a\":{\"a\":{\"a\":[[[]]]}}}",
};
#define PICK(table, byte) table[(byte) % (sizeof(table) / sizeof(table)[0])]

struct client {
    struct fuzz *fuzz;
    const struct who *who;
    struct world *host;
    struct world_tls *tls;    /* NULL: has never dialled */
    struct ws_peer *peer;     /* NULL: not connected */
    struct world_conn *plain; /* says bytes before any WebSocket */
    bool open;
};

struct fuzz {
    struct sim *sim;
    struct world *host;
    struct broker *broker;
    struct broker_config config;
    struct checks *checks;
    struct client clients[CLIENTS];
    uint32_t ids;
};

/* ---------------------------------------------------------------------------------------- clients */

static void on_open(void *ctx, struct ws_peer *p) {
    (void)p;
    ((struct client *)ctx)->open = true;
}

static void on_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    struct client *c = ctx;
    struct buf scratch = BUF_INIT;
    struct pcp_message m;
    (void)p;
    assert(text == pcp_is_text(c->who->version));
    /* Whatever a client said, the broker itself only says what a strict reader takes. */
    bool ok = pcp_decode(c->who->version, payload, PCP_AS_CLIENT, &m, &scratch, NULL);
    assert(ok);
    assert(m.sender.len == 0 || pcp_uri_parse(m.sender, NULL));
    buf_free(&scratch);
}

static void on_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct client *c = ctx;
    (void)p, (void)reason;
    assert(code != 1002 && code != 1007); /* the broker's frames are in order */
    c->peer = NULL;
    c->open = false;
}

static const struct ws_handler handler = {.on_open = on_open, .on_message = on_message, .on_close = on_close};

static void plain_data(void *ctx, struct world_conn *conn, struct span bytes) {
    (void)ctx, (void)conn, (void)bytes;
}

static void plain_close(void *ctx, struct world_conn *conn, enum world_close_reason why, const char *text) {
    (void)conn, (void)why, (void)text;
    ((struct client *)ctx)->plain = NULL;
}

static const struct world_conn_handler plain_handler = {.on_data = plain_data, .on_close = plain_close};

static void drop(struct client *c) {
    if (c->peer != NULL) {
        ws_abort(c->peer);
        c->peer = NULL;
        c->open = false;
    }
    if (c->plain != NULL) {
        world_conn_abort(c->plain);
        c->plain = NULL;
    }
}

/* Certificates are made for those who use them: most inputs have few clients. */
static struct world_connect address(struct client *c) {
    if (c->tls == NULL) {
        struct world_tls_files files = sim_tls_files(c->host, c->who->common_name);
        c->tls = world_tls_new(c->host, &files, NULL);
    }
    return (struct world_connect){.host = BROKER, .port = 8142, .tls = c->tls};
}

static void dial(struct client *c) {
    drop(c);
    struct ws_connect opts = {.to = address(c), .path = c->who->path};
    c->peer = ws_connect(c->host, &opts, &handler, c);
}

static void say_before(struct client *c, struct span bytes) {
    drop(c);
    struct world_connect to = address(c);
    c->plain = world_connect(c->host, &to, &plain_handler, c);
    sim_run(c->fuzz->sim, sim_now_us(c->fuzz->sim) + 10 * SIM_MS);
    if (c->plain != NULL) {
        world_conn_write(c->plain, &bytes, 1);
    }
}

/* ---------------------------------------------------------------------------------------- messages */

static void send_message(struct client *c, uint8_t how, uint8_t what) {
    if (!c->open) {
        return;
    }
    char id[48];
    struct buf out = BUF_INIT;
    struct fuzz *f = c->fuzz;
    snprintf(id, sizeof id, "%08x-1234-4234-8234-123456789012", ++f->ids);
    /* Mostly under its own name, or none. */
    const char *sender = (how & 0xc0) != 0 ? c->who->uri : PICK(senders, (uint8_t)(how >> 3 & 7));
    const char *type = PICK(types, what & 7);
    const char *target = PICK(targets, how & 15);
    struct pcp_message m = {.id = span_of((what & 0x40) != 0 ? "x" : id),
                            .message_type = span_of(type),
                            .target = span_of(target),
                            .sender = span_of(sender),
                            .data = span_of(PICK(bodies, what >> 3 & 7)),
                            .expires_ms = (what & 0x80) != 0 ? 1 : 4102444800000};
    pcp_encode(c->who->version, &m, &out);
    struct span frame = buf_span(&out);
    ws_send(c->peer, pcp_is_text(c->who->version), &frame, 1);
    buf_free(&out);
}

static void send_large(struct client *c, uint8_t kilobytes) {
    if (!c->open) {
        return;
    }
    struct buf out = BUF_INIT;
    buf_printf(&out,
               "{\"id\":\"%08x-1234-4234-8234-123456789012\",\"message_type\":\"x\",\"target\":\"%s\",\"data\":\"",
               ++c->fuzz->ids, clients[2].uri);
    size_t len = (size_t)kilobytes * 256;
    buf_reserve(&out, len + 2);
    memset(out.ptr + out.len, 'x', len);
    out.len += len;
    buf_append_cstr(&out, "\"}");
    struct span frame = buf_span(&out);
    ws_send(c->peer, true, &frame, 1);
    buf_free(&out);
}

/* ---------------------------------------------------------------------------------------- life */

static struct rules *some_rules(uint8_t which) {
    static const char *const texts[] = {
        "authorization { version: 1, rules: [{ name: all, sort-order: 500, allow-unauthenticated: true,"
        " match-request: { path: \"^/\", type: regex } }] }",
        "authorization { version: 1, rules: [{ name: own, sort-order: 400, allow: \"a.example.com\", match-request: {"
        " path: \"/pcp-broker/send\", type: path, query-params: { message_type: x } } }, { name: rest, sort-order: 500,"
        " allow: [\"*.example.com\"], match-request: { path: \"^/\", type: regex } }] }",
        "authorization { version: 1, rules: [{ name: none, sort-order: 500, deny: \"b.example.com\","
        " match-request: { path: \"^/\", type: regex } }] }",
    };
    struct hocon *h = hocon_new(NULL);
    bool ok = hocon_add(h, "rules", span_of(PICK(texts, which)), NULL) && hocon_resolve(h, NULL);
    struct rules *rules = ok ? rules_load(h, false, NULL) : NULL;
    assert(rules != NULL);
    hocon_free(h);
    return rules;
}

static void begin(struct fuzz *f, uint8_t options) {
    *f = (struct fuzz){.sim = sim_new(&(struct sim_opts){.seed = 1})};
    f->checks = checks_new(f->sim, NULL);
    f->host = sim_host(f->sim, BROKER);
    checks_broker(f->checks, BROKER, 8142);
    f->config = (struct broker_config){.port = 8142,
                                       .tls = sim_tls_files(f->host, BROKER),
                                       .status_route = "",
                                       .metrics_route = "",
                                       .message_max = MESSAGE_MAX,
                                       .queue_bytes_max = QUEUE_MAX,
                                       .queue_messages_max = 20,
                                       .turn_messages_max = 4,
                                       .connections_max = (options & 1) != 0 ? 3 : 0,
                                       .replace_at_limit = (options & 2) != 0,
                                       .spec_ttl_expired = (options & 4) != 0,
                                       .spec_destination_report = (options & 8) != 0,
                                       .spec_version_error = (options & 16) != 0,
                                       .spec_unauthorized = (options & 32) != 0};
    f->config.tls.client_auth = WORLD_CLIENT_AUTH_WANT;
    f->broker = broker_new(f->host, &f->config, &(struct broker_loggers){0}, some_rules(options >> 6), NULL);
    assert(f->broker != NULL);
    broker_start(f->broker);
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = &f->clients[i];
        char name[16];
        snprintf(name, sizeof name, "client-%zu", i);
        *c = (struct client){.fuzz = f, .who = &clients[i], .host = sim_host(f->sim, name)};
    }
}

static void judge(struct fuzz *f) {
    struct buf report = BUF_INIT;
    checks_finish(f->checks);
    for (size_t i = 0; i < checks_violation_count(f->checks); i++) {
        const struct violation *v = checks_violation(f->checks, i);
        fprintf(stderr, "invariant %d (%s): %s\n", v->invariant, checks_invariant(v->invariant), v->text);
    }
    if (checks_violation_count(f->checks) != 0) {
        abort();
    }
    if (!sim_check_idle(f->sim, &report)) {
        fprintf(stderr, "left behind:\n%s", report.ptr);
        abort();
    }
    buf_free(&report);
}

static void stopped(void *ctx) {
    ((struct fuzz *)ctx)->broker = NULL;
}

static void end(struct fuzz *f) {
    sim_run(f->sim, sim_now_us(f->sim) + 2 * SIM_SECOND);
    broker_stop(f->broker, 1000, stopped, f);
    sim_run(f->sim, sim_now_us(f->sim) + SIM_MINUTE);
    assert(f->broker == NULL);
    for (size_t i = 0; i < CLIENTS; i++) {
        drop(&f->clients[i]);
    }
    sim_run(f->sim, sim_now_us(f->sim) + SIM_MINUTE);
    judge(f);
    for (size_t i = 0; i < CLIENTS; i++) {
        if (f->clients[i].tls != NULL) {
            world_tls_free(f->clients[i].tls);
        }
    }
    checks_free(f->checks);
    sim_free(f->sim);
}

static void act(struct fuzz *f, char what, struct client *c, uint8_t a, uint8_t b, struct span text) {
    switch (what) {
    case 'o':
        dial(c);
        break;
    case 'm':
        send_message(c, a, b);
        break;
    case 'l':
        send_large(c, a);
        break;
    case 'r':
    case 'R':
        if (c->open) {
            ws_send(c->peer, what == 'r' && span_is_utf8(text), &text, 1);
        }
        break;
    case 'h':
        say_before(c, text);
        break;
    case 'c':
        if (c->peer != NULL) {
            ws_close(c->peer, 1000, "");
        }
        break;
    case 'x':
        sim_reset_connections(c->host, NULL);
        break;
    case 'p':
        if (c->open) {
            ws_pause(c->peer, (a & 1) != 0);
        }
        break;
    case 'w':
        sim_pause(c->host, (a & 1) != 0);
        break;
    case 'u':
        broker_set_rules(f->broker, some_rules(a));
        break;
    case 't':
        sim_run(f->sim, sim_now_us(f->sim) + a * 100 * SIM_MS);
        break;
    default:
        sim_run(f->sim, sim_now_us(f->sim) + a * SIM_MS / 16);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    struct fuzz f;
    if (len == 0) {
        return 0;
    }
    begin(&f, bytes[0]);
    struct span rest = span_bytes(bytes + 1, len - 1);
    for (int i = 0; i < COMMANDS_MAX && rest.len >= COMMAND_LEN; i++) {
        const uint8_t *command = (const uint8_t *)rest.ptr;
        char what = (char)command[0];
        struct span text = SPAN("");
        rest = span_sub(rest, COMMAND_LEN, rest.len);
        if (what == 'r' || what == 'R' || what == 'h') {
            text = span_sub(rest, 0, command[2]);
            rest = span_sub(rest, text.len, rest.len);
        }
        act(&f, what, &f.clients[command[1] % CLIENTS], command[2], command[3], text);
        sim_run(f.sim, sim_now_us(f.sim) + 4 * SIM_MS);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        sim_pause(f.clients[i].host, false);
    }
    end(&f);
    return 0;
}
