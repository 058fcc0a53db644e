/* What happens to a message that came in (pcp.md §10, §15 for controllers). */
#include "base/mem.h"
#include "broker/internal.h"
#include "pcp/body.h"

enum { SCRATCH_KEEP_MAX = 64 * 1024 }; /* larger scratch is given back after the message */

struct peer *broker_find(struct broker *b, struct span uri) {
    struct peer *p = map_get(&b->by_uri, uri);
    return p != NULL ? p : controllers_find(b, uri);
}

void log_access(struct broker *b, const struct peer *from, enum pcp_outcome outcome, const struct pcp_message *m) {
    enum log_level level = pcp_outcome_is_warning(outcome) ? LOG_WARN : LOG_INFO;
    if (from->kind != PEER_SESSION || !log_enabled(b->log.access, level)) {
        return;
    }
    const struct world_identity *id = ws_identity(from->ws);
    struct buf line = BUF_INIT;
    pcp_access_line(&line, &(struct pcp_access){.when_ms = world_wall_ms(b->world),
                                                .outcome = outcome,
                                                .remote = ws_remote(from->ws),
                                                .message = m,
                                                .common_name = id != NULL ? id->common_name : NULL});
    log_write(b->log.access, level, "%s", line.ptr);
    buf_free(&line);
}

void reply_error(struct peer *to, const char *description, struct span in_reply_to) {
    struct broker *b = to->broker;
    char id[37];
    world_uuid(b->world, id);
    buf_clear(&b->body);
    pcp_error_write(&b->body, span_of(description));
    const char *problem = peer_send_message(to, &(struct pcp_message){.id = span_of(id),
                                                                      .message_type = SPAN(PCP_ERROR_MESSAGE),
                                                                      .in_reply_to = in_reply_to,
                                                                      .data = buf_span(&b->body)});
    if (problem != NULL) {
        log_event(b->log.main, LOG_WARN, "message-delivery-error", problem, "uri", to->uri, NULL);
    }
}

static void undecodable(struct peer *from, const struct error *why) {
    struct broker *b = from->broker;
    b->counters[COUNT_UNDECODABLE]++;
    log_access(b, from, PCP_DESERIALIZATION_ERROR, NULL);
    log_event(b->log.main, LOG_DEBUG, "deserialization-failure", why->msg, "uri", from->uri, NULL);
    reply_error(from, "Could not decode message", (struct span){NULL, 0});
}

static void deliver(struct peer *from, struct pcp_message *m, bool had_sender) {
    struct broker *b = from->broker;
    struct peer *to = broker_find(b, m->target);
    if (to == NULL) {
        b->counters[COUNT_NOT_CONNECTED]++;
        log_event(b->log.main, LOG_TRACE, "message-delivery-failure", "Not connected.", "uri", from->uri, NULL);
        reply_error(from, "Not connected.", m->id);
        return;
    }
    spec_destination_report(from, m);
    m->expires_ms = 0; /* what only version 1 has is not passed on (pcp.md §12) */
    m->destination_report = false;
    const char *problem = peer_forward(to, from, m, had_sender);
    if (problem == NULL) {
        b->counters[COUNT_DELIVERED]++;
        b->counters[COUNT_DELIVERED_BYTES] += m->data.len;
        log_event(b->log.main, LOG_DEBUG, "message-delivery", "Message delivered", "uri", from->uri, "to", to->uri,
                  NULL);
    } else if (to != from) {
        log_event(b->log.main, LOG_TRACE, "message-delivery-failure", problem, "uri", from->uri, NULL);
        reply_error(from, problem, m->id);
    }
}

/* Messages for the broker itself, by type. */
static const struct {
    const char *message_type;
    void (*handle)(struct peer *from, const struct pcp_message *m);
} own_messages[] = {{PCP_INVENTORY_REQUEST, handle_inventory}};

static void handle_own(struct peer *from, const struct pcp_message *m) {
    struct broker *b = from->broker;
    b->counters[COUNT_TO_BROKER]++;
    if (is_associate_request(m)) {
        handle_associate(from, m, NULL);
        return;
    }
    for (size_t i = 0; i < sizeof own_messages / sizeof own_messages[0]; i++) {
        if (span_eq_cstr(m->message_type, own_messages[i].message_type)) {
            own_messages[i].handle(from, m);
            return;
        }
    }
    if (log_enabled(b->log.main, LOG_WARN)) {
        char *type = span_dup(m->message_type);
        log_event(b->log.main, LOG_WARN, "broker-unhandled-message", "Unhandled message type", "messagetype", type,
                  "uri", from->uri, NULL);
        mem_free(type);
    }
}

struct ruling {
    enum pcp_outcome outcome;
    enum counter counter;
    const char *answer;
};
static const struct ruling success = {PCP_AUTHORIZATION_SUCCESS, COUNTERS, NULL};
static const struct ruling unauthenticated = {PCP_AUTHENTICATION_FAILURE, COUNT_UNAUTHENTICATED,
                                              "Message not authenticated."};
static const struct ruling unauthorized = {PCP_AUTHORIZATION_FAILURE, COUNT_UNAUTHORIZED, "Message not authorized."};
static const struct ruling multicast = {PCP_MULTICAST_UNSUPPORTED, COUNT_MULTICAST,
                                        "Multiple recipients no longer supported."};

/* Who says it, may he, and to one recipient: in this order. */
static const struct ruling *judge(struct peer *from, const struct pcp_message *m) {
    struct broker *b = from->broker;
    bool controller = from->kind == PEER_CONTROLLER;
    const struct world_identity *id = ws_identity(from->ws);
    struct span name = controller ? controller_authority(from) : span_of(id->common_name);
    if (!pcp_uri_has_name(m->sender, name)) {
        return &unauthenticated;
    }
    if (!(controller ? controller_allows(b, m->message_type) : authorize(b, id, m))) {
        return &unauthorized;
    }
    return m->multicast ? &multicast : &success;
}

static void process(struct peer *from, struct pcp_message *m) {
    struct broker *b = from->broker;
    bool had_sender = m->sender.len != 0;
    if (spec_expired(from, m)) {
        return;
    }
    if (!had_sender) {
        m->sender = peer_uri(from);
    }
    if (m->target.len == 0 && !m->multicast) {
        m->target = SPAN(PCP_SERVER_URI);
    }
    const struct ruling *r = judge(from, m);
    log_access(b, from, r->outcome, m);
    if (r->answer != NULL) {
        b->counters[r->counter]++;
        if (is_associate_request(m) && r != &multicast) {
            handle_associate(from, m, r->answer);
        } else if (r != &unauthorized || !spec_unauthorized(from, m)) {
            reply_error(from, r->answer, m->id);
        }
    } else if (span_eq_cstr(m->target, PCP_SERVER_URI)) {
        handle_own(from, m);
    } else {
        deliver(from, m, had_sender);
    }
}

static void shrink(struct buf *scratch) {
    if (scratch->cap > SCRATCH_KEEP_MAX) {
        buf_free(scratch);
    }
}

void pipeline_receive(struct peer *from, bool text, struct span payload) {
    struct broker *b = from->broker;
    struct pcp_message m;
    struct error err = ERROR_INIT;
    uint64_t started = world_now_us(b->world);
    if (b->state != BROKER_RUNNING) {
        peer_close(from, CLOSE_NOT_RUNNING);
        return;
    }
    peer_count_turn(from);
    if (spec_version_error(from, text, payload)) {
        error_clear(&err);
    } else if (text != pcp_is_text(from->version)) {
        error_set(&err, "pcp/malformed", text ? "a text frame" : "a binary frame");
        undecodable(from, &err);
    } else if (!pcp_decode(from->version, payload, PCP_AS_BROKER, &m, &b->decoded, &err)) {
        undecodable(from, &err);
    } else {
        process(from, &m);
    }
    error_clear(&err);
    shrink(&b->decoded);
    shrink(&b->encoded);
    shrink(&b->body);
    uint64_t now = world_now_us(b->world);
    metrics_timer_add(&b->on_message, now, (now - started) * 1000);
}
