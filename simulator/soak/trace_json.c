#include "simulator/soak/trace_json.h"

#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include <inttypes.h>
#include <stdio.h>

enum { PREVIEW_MAX = 200 };

struct trace_json {
    struct sim *sim;
    struct sim_watcher watcher;
    void (*write)(void *ctx, struct span text);
    void *ctx;
    struct map hosts; /* name → its number + 1 */
    struct map sent;  /* "connection end" → bytes written so far: the arrow's number */
    struct buf line;
    bool any;
};

struct counter {
    uint64_t bytes, arrows;
};

static void put(struct trace_json *t) {
    t->write(t->ctx, t->any ? SPAN(",\n") : SPAN("\n"));
    t->any = true;
    t->write(t->ctx, buf_span(&t->line));
    buf_clear(&t->line);
}

static size_t number_of(struct trace_json *t, const char *host) {
    size_t n = (size_t)(uintptr_t)map_get_cstr(&t->hosts, host);
    if (n != 0) {
        return n;
    }
    n = map_count(&t->hosts) + 1;
    map_put(&t->hosts, span_of(host), (void *)(uintptr_t)n);
    buf_printf(&t->line, "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%zu,\"args\":{\"name\":", n);
    json_write_string(&t->line, span_of(*host != '\0' ? host : "simulation"));
    buf_append_cstr(&t->line, "}}");
    put(t);
    return n;
}

/* {"ph":…,"name":…,"cat":…,"ts":…,"pid":…,"tid":1 — and on. */
static void head(struct trace_json *t, const struct sim_event *e, const char *phase, const char *name) {
    size_t pid = number_of(t, e->host);
    buf_printf(&t->line, "{\"ph\":\"%s\",\"name\":", phase);
    json_write_string(&t->line, span_of(name));
    buf_printf(&t->line, ",\"cat\":\"%s\",\"ts\":%" PRIu64 ",\"pid\":%zu,\"tid\":1", sim_event_kind_name(e->kind),
               e->at_us, pid);
}

/* Bytes as readable text: what is no printable ASCII becomes a dot. */
static void preview(struct buf *out, struct span bytes) {
    char text[PREVIEW_MAX];
    size_t len = bytes.len < PREVIEW_MAX ? bytes.len : PREVIEW_MAX;
    for (size_t i = 0; i < len; i++) {
        text[i] = bytes.ptr[i] >= ' ' && bytes.ptr[i] < 127 ? bytes.ptr[i] : '.';
    }
    json_write_string(out, span_bytes(text, len));
}

static void tail(struct trace_json *t, const struct sim_event *e) {
    buf_printf(&t->line, ",\"args\":{\"id\":%" PRIu64, e->id);
    if (*e->text != '\0') {
        buf_append_cstr(&t->line, ",\"text\":");
        struct buf clean = BUF_INIT;
        preview(&clean, span_of(e->text));
        buf_append_span(&t->line, buf_span(&clean));
        buf_free(&clean);
    }
    if (e->bytes.len != 0) {
        buf_printf(&t->line, ",\"len\":%zu,\"bytes\":", e->bytes.len);
        preview(&t->line, e->bytes);
    }
    buf_append_cstr(&t->line, "}}");
    put(t);
}

static void instant(struct trace_json *t, const struct sim_event *e, const char *name) {
    head(t, e, "i", name);
    buf_append_cstr(&t->line, ",\"s\":\"p\"");
    tail(t, e);
}

/* A span that begins or ends: a connection at one of its ends, or a program. */
static void span_edge(struct trace_json *t, const struct sim_event *e, const char *phase, const char *what) {
    head(t, e, phase, what);
    buf_printf(&t->line, ",\"id\":\"%s%" PRIu64 "%s\"", what, e->id, e->server_end ? "s" : "");
    tail(t, e);
}

static struct counter *counter_of(struct trace_json *t, uint64_t id, bool from_server) {
    char key[32];
    int len = snprintf(key, sizeof(key), "%" PRIu64 "%s", id, from_server ? "s" : "c");
    struct span span = span_bytes(key, (size_t)len);
    struct counter *c = map_get(&t->sent, span);
    if (c == NULL) {
        c = mem_zalloc(sizeof(*c));
        map_put(&t->sent, span, c);
    }
    return c;
}

/* An arrow for each piece that arrives; it starts where the sender wrote. */
static void arrow(struct trace_json *t, const struct sim_event *e, bool starts) {
    bool from_server = starts == e->server_end;
    struct counter *c = counter_of(t, e->id, from_server);
    head(t, e, "X", starts ? "write" : "data"); /* arrows hold on to slices */
    buf_append_cstr(&t->line, ",\"dur\":1");
    tail(t, e);
    uint64_t number = starts ? c->bytes : c->arrows;
    head(t, e, starts ? "s" : "f", "bytes");
    buf_printf(&t->line, ",\"id\":\"%" PRIu64 "%s%" PRIu64 "\"%s}", e->id, from_server ? "s" : "c", number,
               starts ? "" : ",\"bp\":\"e\"");
    put(t);
    if (starts) {
        c->bytes += e->bytes.len;
    } else {
        c->arrows += e->bytes.len;
    }
}

static void on_event(void *ctx, const struct sim_event *e) {
    struct trace_json *t = ctx;
    switch (e->kind) {
    case SIM_EVENT_TIMER:
    case SIM_EVENT_TASKS:
    case SIM_EVENT_WORK:
    case SIM_EVENT_DRAIN:
        instant(t, e, sim_event_kind_name(e->kind));
        break;
    case SIM_EVENT_OPEN:
    case SIM_EVENT_ACCEPT:
        span_edge(t, e, "b", "connection");
        break;
    case SIM_EVENT_CLOSE:
        span_edge(t, e, "e", "connection");
        break;
    case SIM_EVENT_WRITE:
        arrow(t, e, true);
        break;
    case SIM_EVENT_DATA:
        arrow(t, e, false);
        break;
    case SIM_EVENT_SPAWN:
        span_edge(t, e, "b", "program");
        break;
    case SIM_EVENT_EXIT:
        span_edge(t, e, "e", "program");
        break;
    case SIM_EVENT_CONNECT:
    case SIM_EVENT_CLOSING:
    case SIM_EVENT_OUTPUT:
    case SIM_EVENT_SIGNAL:
    case SIM_EVENT_FILE:
    case SIM_EVENT_HOST:
    case SIM_EVENT_NOTE:
        instant(t, e, *e->text != '\0' && e->kind != SIM_EVENT_NOTE ? e->text : sim_event_kind_name(e->kind));
        break;
    }
}

struct trace_json *trace_json_start(struct sim *sim, void (*write)(void *ctx, struct span text), void *ctx) {
    struct trace_json *t = mem_zalloc(sizeof(*t));
    t->sim = sim;
    t->write = write;
    t->ctx = ctx;
    sim_watch(sim, &t->watcher, on_event, t);
    write(ctx, SPAN("{\"displayTimeUnit\":\"ms\",\"traceEvents\":["));
    return t;
}

void trace_json_end(struct trace_json *t) {
    if (t == NULL) {
        return;
    }
    t->write(t->ctx, SPAN("\n]}\n"));
    sim_unwatch(t->sim, &t->watcher);
    for (struct map_iter i = map_iter(&t->sent); map_next(&i);) {
        mem_free(i.value);
    }
    map_free(&t->sent);
    map_free(&t->hosts);
    buf_free(&t->line);
    mem_free(t);
}
