/* Invariants 4 and 8: what the broker took, what it delivered to whom, what it refused, what went down with a
 * connection. */
#include "simulator/checks/internal.h"

#include "base/mem.h"
#include "pcp/types.h"

/* A broker says no at once, or never: only a sender that went in that moment, or whom the broker had already sent its
 * close frame, could not be told. */
static const uint64_t REFUSAL_WITHIN_US = SIM_SECOND;

struct tracked_message {
    char *id;
    char *sender; /* as the message says; the URI of its connection when it says nothing */
    char *target;
    uint64_t from; /* that connection */
    uint64_t at_us;
    bool multicast;
    bool sender_lost; /* its connection ended within REFUSAL_WITHIN_US, or was about to */
    bool spoofed;     /* that is not the name of its connection's certificate */
    unsigned received, delivered, refused;
};

static void message_free(struct tracked_message *t) {
    mem_free(t->id);
    mem_free(t->sender);
    mem_free(t->target);
    mem_free(t);
}

void messages_free(struct checks *c) {
    for (struct map_iter i = map_iter(&c->messages); map_next(&i);) {
        message_free(i.value);
    }
    for (struct map_iter i = map_iter(&c->lost_at); map_next(&i);) {
        mem_free(i.value);
    }
    map_free(&c->messages);
    map_free(&c->lost_at);
    map_free(&c->deliveries);
    map_free(&c->recent);
}

static bool is_for_broker(const struct pcp_message *m) {
    return m->target.len == 0 || span_eq_cstr(m->target, PCP_SERVER_URI);
}

static bool is_named(struct span uri, const char *common_name) {
    return common_name != NULL && pcp_uri_parse(uri, NULL) && pcp_uri_has_name(uri, span_of(common_name));
}

/* A v1 client says who it is when it associates; a v2 client's path did. */
static void associate(struct watched *from, const struct pcp_message *m) {
    if (from->version == PCP_V1 && span_eq_cstr(m->message_type, PCP_ASSOCIATE_REQUEST) && from->common_name != NULL &&
        pcp_uri_parse(m->sender, NULL) && pcp_uri_has_name(m->sender, span_of(from->common_name))) {
        mem_free(from->uri);
        from->uri = span_dup(m->sender);
    }
}

void messages_received(struct checks *c, struct watched *from, struct span frame) {
    struct pcp_message m;
    struct buf scratch = BUF_INIT;
    if (pcp_decode(from->version, frame, PCP_AS_BROKER, &m, &scratch, NULL)) {
        associate(from, &m);
        tell_pcp(c, from->client, from->server, &m);
        if (!is_for_broker(&m)) {
            c->seen.messages_to_broker++;
            struct tracked_message *t = map_get(&c->messages, m.id);
            if (t == NULL) {
                t = mem_zalloc(sizeof(*t));
                t->id = span_dup(m.id);
                map_put(&c->messages, m.id, t);
            }
            mem_free(t->sender);
            mem_free(t->target);
            t->sender = m.sender.len != 0 ? span_dup(m.sender) : str_dup(from->uri);
            t->target = span_dup(m.target);
            t->from = from->id;
            t->at_us = sim_now_us(c->sim);
            t->multicast = m.multicast;
            t->spoofed = m.sender.len != 0 && !is_named(m.sender, from->common_name);
            t->received++;
            t->sender_lost = from->server_left;
            map_put(&c->recent, m.id, t);
        }
    }
    buf_free(&scratch);
}

static void check_count(struct checks *c, const struct tracked_message *t) {
    if (!t->multicast && t->delivered + t->refused > t->received) {
        violate(c, 4, "message %s from %s to %s came %u times, was delivered %u times and refused %u times", t->id,
                t->sender, t->target, t->received, t->delivered, t->refused);
    }
}

/* The message that the broker refuses with this one; NULL: it is no refusal. Some name it in their data only. */
static struct tracked_message *refused_by(struct checks *c, const struct pcp_message *m) {
    static const char *const types[] = {PCP_ERROR_MESSAGE, PCP_TTL_EXPIRED, PCP_VERSION_ERROR, PCP_UNAUTHORIZED};
    bool refusal = false;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        refusal = refusal || span_eq_cstr(m->message_type, types[i]);
    }
    if (!refusal || (m->sender.len != 0 && !span_eq_cstr(m->sender, PCP_SERVER_URI))) {
        return NULL;
    }
    json_t *data = m->in_reply_to.len == 0 && m->data.len != 0 ? json_parse(m->data, "checks", NULL) : NULL;
    const char *id = json_str(data, "id");
    struct tracked_message *t = map_get(&c->messages, id != NULL ? span_of(id) : m->in_reply_to);
    json_decref(data);
    return t;
}

void messages_sent(struct checks *c, struct watched *to, struct span frame) {
    struct pcp_message m;
    struct buf scratch = BUF_INIT;
    if (pcp_decode(to->version, frame, PCP_AS_CLIENT, &m, &scratch, NULL)) {
        struct tracked_message *t = refused_by(c, &m);
        if (t != NULL) {
            t->refused++;
            c->seen.messages_refused++;
            check_count(c, t);
        }
    }
    buf_free(&scratch);
}

static void check_receiver(struct checks *c, const struct watched *to, const struct pcp_message *m) {
    if (!span_eq_cstr(m->target, to->uri) &&
        !(m->multicast && pcp_uri_parse(m->target, NULL) && pcp_uri_matches(m->target, span_of(to->uri))) &&
        !(m->multicast && to->version == PCP_V1)) {
        violate(c, 8, "%s was given message %.*s, which is for %.*s", to->uri, (int)m->id.len, m->id.ptr,
                (int)m->target.len, m->target.ptr);
    }
}

static void deliver(struct checks *c, const struct watched *to, const struct pcp_message *m) {
    struct tracked_message *t = map_get(&c->messages, m->id);
    if (t == NULL) {
        if (m->sender.len != 0 && !span_eq_cstr(m->sender, PCP_SERVER_URI)) { /* not the broker's own */
            violate(c, 4, "%s was given message %.*s from %.*s, which no client had sent", to->uri, (int)m->id.len,
                    m->id.ptr, (int)m->sender.len, m->sender.ptr);
        }
        return;
    }
    c->seen.messages_delivered++;
    check_receiver(c, to, m);
    if (t->spoofed || !span_eq_cstr(m->sender, t->sender)) {
        violate(c, 8, "%s was given message %s with sender %.*s, which came from somebody else or said %s", to->uri,
                t->id, (int)m->sender.len, m->sender.ptr, t->sender);
    }
    t->delivered++;
    check_count(c, t);
    if (t->multicast) {
        char *key = str_printf("%s %s", t->id, to->uri);
        if (map_put(&c->deliveries, span_of(key), c) != NULL && t->received == 1) {
            violate(c, 4, "message %s was delivered to %s twice", t->id, to->uri);
        }
        mem_free(key);
    }
}

void messages_delivered(struct checks *c, struct watched *to, struct span frame) {
    struct pcp_message m;
    struct buf scratch = BUF_INIT;
    if (pcp_decode(to->version, frame, PCP_AS_CLIENT, &m, &scratch, NULL)) {
        tell_pcp(c, to->server, to->client, &m);
        deliver(c, to, &m);
    }
    buf_free(&scratch);
}

void messages_connection_lost(struct checks *c, const struct watched *w) {
    if (w->uri == NULL) {
        return;
    }
    for (struct map_iter i = map_iter(&c->recent); map_next(&i);) {
        struct tracked_message *t = i.value;
        bool old = sim_now_us(c->sim) - t->at_us > REFUSAL_WITHIN_US;
        t->sender_lost = t->sender_lost || (!old && t->from == w->id);
        if (old || t->sender_lost) {
            map_remove(&c->recent, i.key);
        }
    }
    uint64_t *at = map_get_cstr(&c->lost_at, w->uri);
    if (at == NULL) {
        at = mem_zalloc(sizeof(*at));
        map_put(&c->lost_at, span_of(w->uri), at);
    }
    *at = sim_now_us(c->sim);
}

static bool target_lost_since(const struct checks *c, const struct tracked_message *t) {
    const uint64_t *at = map_get_cstr(&c->lost_at, t->target);
    return at != NULL && *at >= t->at_us;
}

/* What was neither delivered nor refused must have had a connection end under it: its target's, or its sender's, who
 * then could not be told. */
void messages_finish(struct checks *c) {
    for (struct map_iter i = map_iter(&c->messages); map_next(&i);) {
        const struct tracked_message *t = i.value;
        if (t->multicast || t->delivered + t->refused >= t->received) {
            continue;
        }
        if (target_lost_since(c, t) || t->sender_lost) {
            c->seen.messages_lost++;
        } else {
            violate(c, 4, "message %s from %s to %s was neither delivered nor refused", t->id, t->sender, t->target);
        }
    }
}
