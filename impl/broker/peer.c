/* Peers: sending with a bounded queue, and a fair share of each turn of the loop. */
#include "base/json.h"
#include "base/mem.h"
#include "broker/internal.h"
#include <string.h>

void peer_init(struct peer *p, struct broker *b, enum peer_kind kind, enum pcp_version version, char *uri) {
    *p = (struct peer){.broker = b,
                       .kind = (uint8_t)kind,
                       .version = (uint8_t)version,
                       .uri = uri,
                       .uri_len = (uint32_t)strlen(uri),
                       .crl_generation = b->crl_generation};
}

void peer_release(struct peer *p) {
    peer_gone(p);
    subscription_drop(p);
    mem_free(p->uri);
}

void peer_gone(struct peer *p) {
    struct broker *b = p->broker;
    for (size_t i = 0; p->resting && i < b->resting_count; i++) {
        if (b->resting[i] == p) {
            b->resting[i] = b->resting[--b->resting_count];
            p->resting = false;
        }
    }
    p->queued = 0;
}

/* ---- sending */

const char *peer_send(struct peer *p, const struct span *parts, size_t count) {
    struct broker *b = p->broker;
    size_t pending = ws_pending(p->ws);
    if (pending != 0 && (pending >= b->config.queue_bytes_max || p->queued >= b->config.queue_messages_max)) {
        log_event(b->log.main, LOG_WARN, "slow-reader", "A client does not read its messages", "uri", p->uri, NULL);
        b->counters[COUNT_SLOW_READERS]++;
        peer_close(p, CLOSE_SLOW);
        return "The recipient does not read its messages.";
    }
    uint64_t started = world_now_us(b->world);
    ws_send(p->ws, pcp_is_text(p->version), parts, count);
    p->queued = ws_pending(p->ws) != 0 ? p->queued + 1 : 0;
    uint64_t now = world_now_us(b->world);
    metrics_timer_add(&b->on_send, now, (now - started) * 1000);
    return NULL;
}

const char *peer_send_message(struct peer *p, const struct pcp_message *m) {
    struct pcp_parts out;
    pcp_encode_parts(p->version, m, &p->broker->encoded, &out);
    return peer_send(p, out.parts, out.count);
}

/* The object as it came, with the sender put behind the last member when it had none. */
static const char *forward_raw(struct peer *to, const struct pcp_message *m, bool had_sender) {
    struct buf *tail = &to->broker->encoded;
    if (had_sender) {
        return peer_send(to, &m->raw, 1);
    }
    buf_clear(tail);
    buf_append_cstr(tail, ",\"sender\":");
    json_write_string(tail, m->sender);
    buf_append_char(tail, '}');
    struct span parts[] = {span_sub(m->raw, 0, m->raw.len - 1), buf_span(tail)};
    return peer_send(to, parts, 2);
}

const char *peer_forward(struct peer *to, const struct peer *from, const struct pcp_message *m, bool had_sender) {
    if (from->version == PCP_V2 && to->version == PCP_V2 && !m->repeated_keys) {
        return forward_raw(to, m, had_sender);
    }
    return peer_send_message(to, m);
}

void peer_close(struct peer *p, uint16_t code, const char *reason) {
    if (p->kind == PEER_SESSION) {
        session_unregister(p);
    }
    ws_close(p->ws, code, reason);
}

/* ---- fairness */

static void wake_all(void *ctx) {
    struct broker *b = ctx;
    while (b->resting_count != 0) {
        struct peer *p = b->resting[--b->resting_count];
        p->resting = false;
        ws_pause(p->ws, false);
    }
}

static void end_turn(void *ctx) {
    struct broker *b = ctx;
    b->turn++;
    if (b->resting_count != 0) { /* a timer, so that all other connections are looked at first */
        world_timer_start(b->world, &b->wake, 0, wake_all, b);
    }
}

void peer_count_turn(struct peer *p) {
    struct broker *b = p->broker;
    if (p->turn != b->turn || p->in_turn == 0) {
        p->turn = b->turn;
        p->in_turn = 0;
        world_defer(b->world, &b->turn_end, end_turn, b);
    }
    if (++p->in_turn >= b->config.turn_messages_max && !p->resting) {
        p->resting = true;
        p->in_turn = 0;
        b->resting = mem_grow(b->resting, &b->resting_cap, b->resting_count + 1, sizeof *b->resting);
        b->resting[b->resting_count++] = p;
        ws_pause(p->ws, true);
    }
}
