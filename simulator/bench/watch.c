/* See watch.h. */
#include "simulator/bench/watch.h"

#include "base/json.h"
#include "base/mem.h"

enum { LOOK_MS = 10, LOOKS_MAX = 1000 };

static void on_message(void *ctx, size_t index, struct span payload) {
    struct watch *w = ctx;
    struct pcp_message m;
    (void)index;
    if (!pcp_decode(PCP_V2, payload, PCP_AS_CLIENT, &m, &w->scratch, NULL)) {
        return;
    }
    json_t *data = json_parse(m.data, "bench", NULL);
    if (span_eq_cstr(m.message_type, PCP_INVENTORY_RESPONSE)) {
        w->answered = true;
        w->members = json_array_size(json_object_get(data, "uris"));
    } else if (span_eq_cstr(m.message_type, PCP_INVENTORY_UPDATE)) {
        w->updates++;
        w->changes += json_array_size(json_object_get(data, "changes"));
    }
    json_decref(data);
}

bool watch_start(struct watch *w, const struct load_opts *opts, struct error *err) {
    struct load_opts own = *opts;
    *w = (struct watch){0};
    own.prefix = "watch";
    own.type = "bench";
    own.on_message = on_message;
    own.ctx = w;
    w->load = load_new(&own, err);
    if (w->load == NULL || !load_open(w->load, 1, 1, err)) {
        return false;
    }
    const struct pcp_message m = {
        .id = SPAN("dac0be9c-0000-4000-8000-000000000000"),
        .message_type = SPAN(PCP_INVENTORY_REQUEST),
        .target = SPAN(PCP_SERVER_URI),
        .sender = span_of(load_uri(w->load, 0)),
        .data = SPAN("{\"query\":[\"pcp://*/agent\"],\"subscribe\":true}"),
    };
    struct buf bytes = BUF_INIT;
    pcp_encode(PCP_V2, &m, &bytes);
    ws_send(load_peer(w->load, 0), true, &(struct span){bytes.ptr, bytes.len}, 1);
    buf_free(&bytes);
    for (int looks = 0; !w->answered && looks < LOOKS_MAX; looks++) {
        load_idle(w->load, LOOK_MS);
    }
    return w->answered || error_set(err, "bench", "%s: no answer to an inventory subscription", opts->url);
}

void watch_reset(struct watch *w) {
    w->updates = 0;
    w->changes = 0;
}

void watch_end(struct watch *w) {
    load_free(w->load);
    buf_free(&w->scratch);
    *w = (struct watch){0};
}
