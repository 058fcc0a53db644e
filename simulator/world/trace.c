/* Every event goes through here: into the hash, then to whoever watches. */
#include "simulator/world/internal.h"

#include "base/digest.h"
#include <endian.h>
#include <string.h>

static const char *const kind_names[] = {
    [SIM_EVENT_TIMER] = "timer",     [SIM_EVENT_TASKS] = "tasks",     [SIM_EVENT_WORK] = "work",
    [SIM_EVENT_CONNECT] = "connect", [SIM_EVENT_OPEN] = "open",       [SIM_EVENT_ACCEPT] = "accept",
    [SIM_EVENT_WRITE] = "write",     [SIM_EVENT_DATA] = "data",       [SIM_EVENT_DRAIN] = "drain",
    [SIM_EVENT_CLOSE] = "close",     [SIM_EVENT_CLOSING] = "closing", [SIM_EVENT_SPAWN] = "spawn",
    [SIM_EVENT_OUTPUT] = "output",   [SIM_EVENT_EXIT] = "exit",       [SIM_EVENT_SIGNAL] = "signal",
    [SIM_EVENT_FILE] = "file",       [SIM_EVENT_HOST] = "host",       [SIM_EVENT_NOTE] = "note",
};

const char *sim_event_kind_name(enum sim_event_kind kind) {
    return kind_names[kind];
}

void sim_trace(struct sim *sim, const struct sim_host *h, enum sim_event_kind kind, uint64_t id, bool server_end,
               const char *text, struct span bytes) {
    uint64_t head[] = {
        htole64(sim->now_us),
        htole64(h != NULL ? h->number : 0),
        htole64((uint64_t)kind << 1 | server_end),
        htole64(id),
        htole64(strlen(text)),
        htole64(bytes.len),
    };
    sim->hash = hash64(sim->hash, head, sizeof(head));
    if (*text != '\0') {
        sim->hash = hash64(sim->hash, text, strlen(text));
    }
    if (bytes.len != 0) {
        sim->hash = hash64(sim->hash, bytes.ptr, bytes.len);
    }
    sim->event_count++;
    if (list_empty(&sim->watchers)) {
        return;
    }
    struct sim_event e = {sim->now_us, h != NULL ? h->name : "", kind, id, server_end, text, bytes};
    LIST_EACH (k, &sim->watchers) {
        struct sim_watcher *watcher = LIST_ITEM(k, struct sim_watcher, link);
        watcher->on_event(watcher->ctx, &e);
    }
}

void sim_watch(struct sim *sim, struct sim_watcher *watcher, void (*on_event)(void *ctx, const struct sim_event *e),
               void *ctx) {
    watcher->on_event = on_event;
    watcher->ctx = ctx;
    list_push_back(&sim->watchers, &watcher->link);
}

void sim_unwatch(struct sim *sim, struct sim_watcher *watcher) {
    list_remove(&sim->watchers, &watcher->link);
}

uint64_t sim_trace_hash(const struct sim *sim) {
    return sim->hash;
}

void sim_note(struct sim *sim, const struct world *host, const char *text) {
    sim_trace(sim, host != NULL ? host_of(host) : NULL, SIM_EVENT_NOTE, 0, false, text, SPAN(""));
}

void sim_log_write(void *ctx, const struct log_record *record) {
    struct sim_host *h = host_of(ctx);
    struct buf line = BUF_INIT;
    buf_printf(&line, "%s %s: ", log_level_name(record->level), record->name != NULL ? record->name : "");
    if (record->type != NULL) {
        buf_printf(&line, "[%s] ", record->type);
    }
    buf_append_cstr(&line, record->msg != NULL ? record->msg : "");
    for (const struct log_field *f = record->fields; f != NULL && f->key != NULL; f++) {
        buf_printf(&line, " %s=%s", f->key, f->value != NULL ? f->value : "");
    }
    sim_note(h->sim, &h->world, line.ptr);
    buf_free(&line);
}
