/* Reads the trace: which connection is what, HTTP and WebSocket on it, and hands on what the checkers look at. */
#include "simulator/checks/internal.h"

#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

enum { API_BODY_MAX = 256 * 1024 * 1024, WS_MESSAGE_MAX = 128 * 1024 * 1024 };

/* One place on a connection where bytes pass by. */
enum place {
    AT_SERVER,   /* what the server got: requests, frames of the client */
    FROM_SERVER, /* what the server wrote */
    AT_CLIENT,   /* what the client got of it */
    PLACES,
};

struct stream {
    bool upgraded;
    bool lost; /* cannot be read any further */
    struct http1_reader http;
    struct ws_reader ws;
    struct buf body;
    struct http1_head head;
    bool head_seen;
};

static struct span id_key(const uint64_t *id) {
    return span_bytes((const char *)id, sizeof(*id));
}

static struct watched *find(struct checks *c, uint64_t id) {
    return map_get(&c->connections, id_key(&id));
}

static const char *known_host(struct checks *c, const char *name) {
    char *known = map_get_cstr(&c->hosts, name);
    if (known == NULL) {
        known = str_dup(name);
        map_put(&c->hosts, span_of(name), known);
    }
    return known;
}

static struct stream *stream_new(enum place place) {
    struct stream *s = mem_zalloc(sizeof(*s));
    http1_reader_init(&s->http, place == AT_SERVER ? HTTP1_REQUEST : HTTP1_RESPONSE, 0, 0, API_BODY_MAX);
    ws_reader_init(&s->ws, place == AT_SERVER ? WS_SERVER : WS_CLIENT, WS_MESSAGE_MAX);
    return s;
}

static void stream_free(struct stream *s) {
    if (s != NULL) {
        http1_reader_free(&s->http);
        ws_reader_free(&s->ws);
        http1_head_free(&s->head);
        buf_free(&s->body);
        mem_free(s);
    }
}

static void request_free(struct api_request *r) {
    mem_free(r->method);
    mem_free(r->target);
    mem_free(r->token);
    buf_free(&r->body);
    mem_free(r);
}

static void watched_free(struct checks *c, struct watched *w) {
    map_remove(&c->connections, id_key(&w->id));
    for (int i = 0; i < PLACES; i++) {
        stream_free(w->streams[i]);
    }
    for (struct api_request *r = w->requests, *next; r != NULL; r = next) {
        next = r->next;
        request_free(r);
    }
    mem_free(w->common_name);
    mem_free(w->uri);
    mem_free(w);
}

void observer_free(struct checks *c) {
    for (struct map_iter i = map_iter(&c->connections); map_next(&i);) {
        watched_free(c, i.value);
    }
    map_free(&c->connections);
    for (struct map_iter i = map_iter(&c->hosts); map_next(&i);) {
        mem_free(i.value);
    }
    map_free(&c->hosts);
}

/* ---- what a connection is */

static bool is_broker(const struct checks *c, const char *place, const char *port) {
    return map_get_cstr(&c->brokers, place) != NULL || strtoul(port, NULL, 10) == c->opts.broker_port;
}

static void connected(struct checks *c, const struct sim_event *e) {
    const char *colon = strrchr(e->text, ':');
    if (e->id == 0 || colon == NULL) {
        return;
    }
    char *name = span_dup(span_bytes(e->text, (size_t)(colon - e->text)));
    const struct world *server = sim_find_host(c->sim, name);
    mem_free(name);
    if (server == NULL) {
        return;
    }
    char *place = str_printf("%s%s", sim_host_name(server), colon);
    bool api =
        strtoul(colon + 1, NULL, 10) == c->opts.api_port && strcmp(sim_host_name(server), c->opts.orchestrator) == 0;
    if (api || is_broker(c, place, colon + 1)) {
        struct watched *w = mem_zalloc(sizeof(*w));
        w->id = e->id;
        w->kind = api ? WATCHED_API : WATCHED_BROKER;
        w->client = known_host(c, e->host);
        w->server = known_host(c, sim_host_name(server));
        map_put(&c->connections, id_key(&w->id), w);
    }
    mem_free(place);
}

static void accepted(struct checks *c, const struct sim_event *e) {
    struct watched *w = find(c, e->id);
    const struct sim_certificate *cert = w != NULL ? sim_certificate_find(c->sim, e->text) : NULL;
    if (w != NULL) {
        w->accepted = true;
    }
    if (cert != NULL) {
        w->common_name = str_dup(sim_certificate_identity(cert)->common_name);
    }
}

static void closed(struct checks *c, const struct sim_event *e) {
    struct watched *w = find(c, e->id);
    if (w == NULL) {
        return;
    }
    w->client_closed |= !e->server_end;
    w->server_closed |= e->server_end;
    messages_connection_lost(c, w);
    if (w->client_closed && w->server_closed) {
        watched_free(c, w);
    }
}

/* A crashed actor closes nothing itself: its ends are gone with it. What it had not accepted yet may reach it when it
 * is back. */
static void crashed(struct checks *c, const char *name) {
    const char *host = known_host(c, name);
    for (struct map_iter i = map_iter(&c->connections); map_next(&i);) {
        struct watched *w = i.value;
        bool client = w->client == host, server = w->accepted && w->server == host;
        if (client || server) {
            w->client_closed |= client;
            w->server_closed |= server;
            messages_connection_lost(c, w);
            if (w->client_closed && w->server_closed) {
                watched_free(c, w);
            }
        }
    }
}

/* ---- HTTP on it */

static void upgrade(struct watched *w, const char *target) {
    struct span rest = span_of(target), part, type = SPAN(PCP_TYPE_AGENT);
    int number = 0;
    while (span_split(&rest, '/', &part)) {
        if (part.len == 0) {
            continue;
        }
        if (number++ == 0) {
            w->version = span_ends_with(part, "2") ? PCP_V2 : PCP_V1;
        } else {
            type = part;
        }
    }
    w->uri = pcp_uri_new(span_of(w->common_name != NULL ? w->common_name : ""), type);
}

static void whole_request(struct checks *c, struct watched *w, struct stream *s) {
    tell_message(c, w->client, w->server, "%s %s", s->head.method, s->head.target);
    if (w->kind == WATCHED_BROKER) {
        if (s->head.upgrade) {
            s->upgraded = true;
            upgrade(w, s->head.target);
        }
        return;
    }
    struct api_request *r = mem_zalloc(sizeof(*r));
    r->method = str_dup(s->head.method);
    r->target = str_dup(s->head.target);
    r->token = str_dup(http1_field(&s->head, "x-authentication"));
    buf_append_span(&r->body, buf_span(&s->body));
    if (w->requests_last != NULL) {
        w->requests_last->next = r;
    } else {
        w->requests = r;
    }
    w->requests_last = r;
}

static void whole_response(struct checks *c, struct watched *w, enum place place, struct stream *s) {
    if (s->head.status == 101) {
        s->upgraded = true;
        return;
    }
    struct api_request *r = w->requests;
    if (place == FROM_SERVER) {
        while (r != NULL && r->answered != 0) {
            r = r->next;
        }
        if (r != NULL && s->head.status >= 200) {
            r->answered = ++c->responses;
        }
        return;
    }
    if (s->head.status < 200 || r == NULL || w->kind != WATCHED_API) {
        return;
    }
    c->seen.api_responses++;
    tell_message(c, w->server, w->client, "%d (%zu bytes)", s->head.status, s->body.len);
    jobs_response(c, w, r, s->head.status, buf_span(&s->body));
    w->requests = r->next;
    w->requests_last = w->requests != NULL ? w->requests_last : NULL;
    request_free(r);
}

static void read_http(struct checks *c, struct watched *w, enum place place, struct span *bytes) {
    struct stream *s = w->streams[place];
    enum http1_event event;
    do {
        struct span body = SPAN("");
        event = http1_next(&s->http, bytes, &body);
        switch (event) {
        case HTTP1_HEAD:
            http1_head_free(&s->head);
            s->head = http1_take_head(&s->http);
            buf_clear(&s->body);
            break;
        case HTTP1_BODY:
            buf_append_span(&s->body, body);
            break;
        case HTTP1_END:
            if (place == AT_SERVER) {
                whole_request(c, w, s);
            } else {
                whole_response(c, w, place, s);
            }
            break;
        case HTTP1_FAILED:
            s->lost = true;
            break;
        case HTTP1_NEED_MORE:
            break;
        }
    } while (event != HTTP1_NEED_MORE && event != HTTP1_FAILED && !s->upgraded);
}

/* ---- WebSocket on it */

static void read_frames(struct checks *c, struct watched *w, enum place place, struct span *bytes) {
    static void (*const tell[PLACES])(struct checks *, struct watched *, struct span) = {
        [AT_SERVER] = messages_received, [FROM_SERVER] = messages_sent, [AT_CLIENT] = messages_delivered};
    struct stream *s = w->streams[place];
    struct ws_event ev;
    while (!s->lost && ws_next(&s->ws, bytes, &ev)) {
        if (ev.kind == WS_MESSAGE && w->uri != NULL) {
            tell[place](c, w, ev.payload);
        }
        s->lost = ev.kind == WS_CLOSED || ev.kind == WS_FAILED;
        w->server_left |= place == FROM_SERVER && s->lost;
    }
}

static void pass_by(struct checks *c, struct watched *w, const struct sim_event *e, enum place place) {
    if (w->streams[place] == NULL) {
        w->streams[place] = stream_new(place);
    }
    struct span bytes = e->bytes;
    struct stream *s = w->streams[place];
    if (!s->upgraded && !s->lost) {
        read_http(c, w, place, &bytes);
    }
    if (s->upgraded) {
        read_frames(c, w, place, &bytes);
    }
}

/* ---- */

static void written(struct checks *c, struct watched *w, const struct sim_event *e) {
    if (w == NULL || !e->server_end) {
        return;
    }
    /* What the orchestrator tells the world over HTTP; its words to brokers may hold what tasks need. */
    if (w->kind == WATCHED_API) {
        secrets_scan(c, "an answer of the API", e->host, e->bytes);
    }
    pass_by(c, w, e, FROM_SERVER);
}

static void arrived(struct checks *c, struct watched *w, const struct sim_event *e) {
    if (w != NULL) {
        pass_by(c, w, e, e->server_end ? AT_SERVER : AT_CLIENT);
    }
}

void observe(void *ctx, const struct sim_event *e) {
    struct checks *c = ctx;
    switch (e->kind) {
    case SIM_EVENT_CONNECT:
        connected(c, e);
        break;
    case SIM_EVENT_ACCEPT:
        accepted(c, e);
        break;
    case SIM_EVENT_WRITE:
        written(c, find(c, e->id), e);
        break;
    case SIM_EVENT_DATA:
        arrived(c, find(c, e->id), e);
        break;
    case SIM_EVENT_CLOSE:
    case SIM_EVENT_CLOSING:
        closed(c, e);
        break;
    case SIM_EVENT_SPAWN:
        runs_spawned(c, e->host, e->text);
        break;
    case SIM_EVENT_FILE:
        secrets_scan(c, e->text, e->host, e->bytes);
        break;
    case SIM_EVENT_NOTE:
        secrets_scan(c, "a log line", e->host, span_of(e->text));
        break;
    case SIM_EVENT_HOST:
        if (strcmp(e->text, "crash") == 0 || strcmp(e->text, "power off") == 0) {
            crashed(c, e->host);
        }
        break;
    default:
        break;
    }
}
