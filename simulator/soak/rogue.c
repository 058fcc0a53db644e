/* Clients of the broker that do what nobody should: one with a certificate of its own that sends under other names and
 * to all sorts of targets, one that shares a node's name but not its client type. They make what the checks look for
 * possible; a broker that is right refuses them. */
#include "simulator/soak/internal.h"

#include "base/mem.h"
#include "net/ws_peer.h"
#include "pcp/message.h"
#include "pcp/types.h"
#include <stdio.h>

static const uint64_t EVERY_US = 5 * SIM_SECOND;
static const uint64_t RECONNECT_US = 3 * SIM_SECOND;

struct rogue {
    struct soak *soak;
    struct world *host;
    struct world_tls *tls;
    struct ws_peer *peer; /* NULL: not connected */
    bool open;
    const char *path, *uri;
    char *own_uri;
    struct timer timer;
    bool talks;
};

static void connect_again(void *ctx);

static void on_open(void *ctx, struct ws_peer *p) {
    (void)p;
    ((struct rogue *)ctx)->open = true;
}

static void on_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    (void)ctx, (void)p, (void)text, (void)payload; /* the checks look at what arrives here */
}

static void on_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct rogue *r = ctx;
    (void)p, (void)code, (void)reason;
    r->peer = NULL;
    r->open = false;
}

static const struct ws_handler handler = {.on_open = on_open, .on_message = on_message, .on_close = on_close};

static void say(struct rogue *r, const char *sender, const char *target, const char *type) {
    char id[37];
    struct buf frame = BUF_INIT;
    world_uuid(r->host, id);
    pcp_encode(PCP_V2,
               &(struct pcp_message){.id = span_of(id),
                                     .sender = span_of(sender),
                                     .target = span_of(target),
                                     .message_type = span_of(type),
                                     .data = SPAN("{\"transaction_id\":\"1\",\"module\":\"ping\",\"action\":\"ping\","
                                                  "\"params\":{}}")},
               &frame);
    struct span whole = buf_span(&frame);
    ws_send(r->peer, true, &whole, 1);
    buf_free(&frame);
}

static void misbehave(struct rogue *r) {
    struct soak *s = r->soak;
    char *node = str_printf("pcp://%s/agent", s->agent_names[rng_below(&s->rogue_rng, s->result->agents)]);
    switch (rng_below(&s->rogue_rng, 5)) {
    case 0:
        say(r, "pcp://orchestrator/controller", node, "http://puppetlabs.com/rpc_blocking_request");
        break;
    case 1:
        say(r, node, "pcp://orchestrator/controller", "http://puppetlabs.com/rpc_blocking_response");
        break;
    case 2:
        say(r, r->uri, "pcp://orchestrator/controller", "http://example.com/chatter");
        break;
    case 3:
        say(r, r->uri, "pcp://nobody.example.com/agent", "http://example.com/chatter");
        break;
    default:
        say(r, r->uri, node, "http://example.com/chatter");
        break;
    }
    mem_free(node);
}

static void on_tick(void *ctx) {
    struct rogue *r = ctx;
    if (r->peer == NULL) {
        connect_again(r);
        return;
    }
    if (r->open && r->talks) {
        misbehave(r);
    }
    sim_timer_start(r->soak->sim, &r->timer, EVERY_US, on_tick, r);
}

static void connect_again(void *ctx) {
    struct rogue *r = ctx;
    struct ws_connect opts = {.to = {.host = "broker-1", .port = 8142, .tls = r->tls}, .path = r->path};
    r->peer = ws_connect(r->host, &opts, &handler, r);
    sim_timer_start(r->soak->sim, &r->timer, RECONNECT_US, on_tick, r);
}

static struct rogue *rogue_new(struct soak *s, const char *host, const char *common_name, const char *type,
                               bool talks) {
    struct rogue *r = mem_zalloc(sizeof(*r));
    r->soak = s;
    r->host = sim_host(s->sim, host);
    struct world_tls_files files = sim_tls_files(r->host, common_name);
    r->tls = world_tls_new(r->host, &files, NULL);
    r->path = type;
    r->own_uri = pcp_uri_new(span_of(common_name), span_of(type + sizeof("/pcp2/") - 1));
    r->uri = r->own_uri;
    r->talks = talks;
    return r;
}

static void rogue_free(struct rogue *r) {
    sim_timer_stop(r->soak->sim, &r->timer);
    if (r->peer != NULL) {
        ws_abort(r->peer);
    }
    world_tls_free(r->tls);
    mem_free(r->own_uri);
    mem_free(r);
}

void rogues_start(struct soak *s) {
    s->rogue_rng = rng_derive(s->opts.seed, "soak", "rogues");
    s->rogues[0] = rogue_new(s, "rogue", "rogue.example.com", "/pcp2/agent", true);
    s->rogues[1] = rogue_new(s, "namesake", s->agent_names[0], "/pcp2/extra", false);
    for (size_t i = 0; i < SOAK_ROGUES; i++) {
        connect_again(s->rogues[i]);
    }
}

void rogues_end(struct soak *s) {
    for (size_t i = 0; i < SOAK_ROGUES; i++) {
        if (s->rogues[i] != NULL) {
            rogue_free(s->rogues[i]);
            s->rogues[i] = NULL;
        }
    }
}
