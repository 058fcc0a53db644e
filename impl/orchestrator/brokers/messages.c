/* What is sent to a broker and what comes from one. */
#include "orchestrator/brokers/internal.h"
#include "pcp/body.h"
#include "pcp/message.h"

#include <assert.h>
#include <string.h>

enum { BODY_PARTS_MAX = 5 };

static void send_parts(struct broker *k, const struct pcp_message *m, const struct span *body, size_t count) {
    struct brokers *b = k->all;
    struct pcp_message with = *m;
    with.data = body[0];
    struct pcp_parts out;
    pcp_encode_parts(PCP_V2, &with, &b->head, &out);
    assert(count <= BODY_PARTS_MAX && out.count == 3);
    struct span parts[BODY_PARTS_MAX + 2];
    parts[0] = out.parts[0];
    memcpy(parts + 1, body, count * sizeof *body);
    parts[count + 1] = out.parts[2];
    for (size_t i = 0; i < count + 2; i++) {
        b->metrics.bytes_out += parts[i].len;
    }
    b->metrics.messages_out++;
    ws_send(k->peer, true, parts, count + 2);
    b->busy = b->busy || ws_pending(k->peer) > BROKERS_PENDING_MAX;
}

void broker_ask_inventory(struct broker *k) {
    struct span query = SPAN("pcp://*/" PCP_TYPE_AGENT);
    struct buf *body = &k->all->inventory;
    buf_clear(body);
    pcp_inventory_request_write(body, &query, 1, true);
    world_uuid(k->all->world, k->inventory_id);
    struct pcp_message m = {
        .id = span_of(k->inventory_id),
        .message_type = SPAN(PCP_INVENTORY_REQUEST),
        .target = SPAN(PCP_SERVER_URI),
        .sender = span_of(k->sender),
    };
    struct span part = buf_span(body);
    send_parts(k, &m, &part, 1);
}

bool brokers_send(struct brokers *b, struct span node, enum pxp_type type, struct span message_id,
                  const struct span *parts, size_t count) {
    const struct presence *p = map_get(&b->nodes, node);
    struct broker *k = NULL;
    for (size_t i = 0; p != NULL && k == NULL && i < b->count; i++) {
        k = (p->brokers & b->items[i].bit) != 0 && b->items[i].state == BROKER_READY ? &b->items[i] : NULL;
    }
    if (k == NULL) {
        return false;
    }
    char target[512];
    int len = snprintf(target, sizeof target, "pcp://%.*s/" PCP_TYPE_AGENT, (int)node.len, node.ptr);
    if (len < 0 || (size_t)len >= sizeof target) {
        return false;
    }
    struct pcp_message m = {
        .id = message_id,
        .message_type = span_of(pxp_type_uri(type)),
        .target = span_bytes(target, (size_t)len),
        .sender = span_of(k->sender),
    };
    send_parts(k, &m, parts, count);
    return true;
}

/* ---------------------------------------------------------------------------------------- what comes */

static void malformed(struct broker *k, const struct error *err) {
    k->all->metrics.malformed++;
    log_warn(k->all->log, "%s: message dropped: %s", k->name, err->msg);
}

static void listed(void *ctx, struct span uri) {
    struct broker *k = ctx;
    struct pcp_uri u;
    if (pcp_uri_parse(uri, &u) && span_eq_cstr(u.type, PCP_TYPE_AGENT)) {
        presence_set(k->all, u.name, k->bit, true);
    }
}

static void changed(void *ctx, const struct pcp_change *change) {
    struct broker *k = ctx;
    struct pcp_uri u;
    if (pcp_uri_parse(change->client, &u) && span_eq_cstr(u.type, PCP_TYPE_AGENT)) {
        presence_set(k->all, u.name, k->bit, change->connected);
    }
}

static void on_inventory_response(struct broker *k, const struct pcp_message *m) {
    struct error err = ERROR_INIT;
    if (k->state != BROKER_ASKING || !span_eq_cstr(m->in_reply_to, k->inventory_id)) {
        return; /* an answer to a question of an earlier connection cannot come; anything else was not asked */
    }
    if (!pcp_inventory_response_read(m->data, listed, k, &err)) {
        malformed(k, &err);
        error_clear(&err);
    } else {
        broker_ready(k);
    }
}

static void on_inventory_update(struct broker *k, const struct pcp_message *m) {
    struct error err = ERROR_INIT;
    if (k->state == BROKER_READY && !pcp_inventory_update_read(m->data, changed, k, &err)) {
        malformed(k, &err);
        error_clear(&err);
    }
}

static void on_error_message(struct broker *k, const struct pcp_message *m) {
    struct brokers *b = k->all;
    struct buf text = BUF_INIT;
    b->metrics.refused++;
    if (!pcp_error_read(m->data, &text)) {
        buf_append_cstr(&text, "error without text");
    }
    if (span_eq_cstr(m->in_reply_to, k->inventory_id)) {
        log_error(b->log, "%s refuses to tell who is connected: %s", k->name, text.ptr);
    } else if (m->in_reply_to.len != 0 && b->handler != NULL) {
        b->handler->on_refused(b->ctx, m->in_reply_to, buf_span(&text));
    }
    buf_free(&text);
}

static void on_pxp(struct broker *k, const struct pcp_message *m, enum pxp_type type) {
    struct error err = ERROR_INIT;
    struct pcp_uri from;
    struct pxp_response r;
    if (!pcp_uri_parse(m->sender, &from)) {
        error_set(&err, "pcp/malformed", "an answer without sender");
        malformed(k, &err);
    } else if (!pxp_response_parse(type, PXP_NEXT, m->data, &r, &err)) {
        malformed(k, &err);
    } else {
        if (k->all->handler != NULL) {
            k->all->handler->on_answer(k->all->ctx, from.name, &r);
        }
        pxp_response_free(&r);
    }
    error_clear(&err);
}

void broker_on_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    struct broker *k = ctx;
    struct brokers *b = k->all;
    (void)p, (void)text;
    k->heard_us = world_now_us(b->world);
    b->metrics.messages_in++;
    b->metrics.bytes_in += payload.len;
    struct error err = ERROR_INIT;
    struct pcp_message m;
    if (!pcp_decode(PCP_V2, payload, PCP_AS_CLIENT, &m, &b->scratch, &err)) {
        malformed(k, &err);
        error_clear(&err);
        return;
    }
    enum pxp_type type = pxp_type_of(m.message_type);
    if (type == PXP_BLOCKING_RESPONSE || type == PXP_NON_BLOCKING_RESPONSE || type == PXP_PROVISIONAL_RESPONSE ||
        type == PXP_ERROR) {
        on_pxp(k, &m, type);
    } else if (span_eq_cstr(m.message_type, PCP_INVENTORY_UPDATE)) {
        on_inventory_update(k, &m);
    } else if (span_eq_cstr(m.message_type, PCP_INVENTORY_RESPONSE)) {
        on_inventory_response(k, &m);
    } else if (span_eq_cstr(m.message_type, PCP_ERROR_MESSAGE)) {
        on_error_message(k, &m);
    } else {
        log_debug(b->log, "%s: message of type %.*s ignored", k->name, (int)m.message_type.len, m.message_type.ptr);
    }
}
