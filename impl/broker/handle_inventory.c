/* inventory_request: who is connected, and the subscription to changes of that (pcp.md §13). */
#include "base/mem.h"
#include "broker/internal.h"
#include "pcp/body.h"
#include <stdlib.h>

static int by_bytes(const void *a, const void *b) {
    return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

static bool any_pattern_matches(const struct pcp_inventory_request *r, struct span uri) {
    for (size_t i = 0; i < r->count; i++) {
        if (pcp_uri_is_wildcard(r->query[i]) && pcp_uri_matches(r->query[i], uri)) {
            return true;
        }
    }
    return false;
}

struct found {
    struct span *uris;
    size_t count, cap;
};

static void add(struct found *f, struct span uri) {
    f->uris = mem_grow(f->uris, &f->cap, f->count + 1, sizeof *f->uris);
    f->uris[f->count++] = uri;
}

/* Explicit URIs are looked up; the sessions are only walked when there is a wildcard. */
static struct found find(struct broker *b, const struct pcp_inventory_request *r) {
    struct found f = {0};
    bool wildcard = false;
    for (size_t i = 0; i < r->count; i++) {
        bool wild = pcp_uri_is_wildcard(r->query[i]);
        const struct peer *p = wild ? NULL : map_get(&b->by_uri, r->query[i]);
        wildcard = wildcard || wild;
        if (p != NULL) {
            add(&f, peer_uri(p));
        }
    }
    if (wildcard) {
        LIST_EACH (k, &b->sessions) {
            const struct peer *p = LIST_ITEM(k, struct peer, link);
            if (any_pattern_matches(r, peer_uri(p))) {
                add(&f, peer_uri(p));
            }
        }
    }
    if (f.count != 0) {
        qsort(f.uris, f.count, sizeof *f.uris, by_bytes);
    }
    size_t kept = 0;
    for (size_t i = 0; i < f.count; i++) {
        if (kept == 0 || !span_eq(f.uris[kept - 1], f.uris[i])) {
            f.uris[kept++] = f.uris[i];
        }
    }
    f.count = kept;
    return f;
}

static void respond(struct peer *from, const struct pcp_message *m, const struct pcp_inventory_request *r) {
    struct broker *b = from->broker;
    char id[37];
    struct found f = find(b, r);
    world_uuid(b->world, id);
    buf_clear(&b->body);
    pcp_inventory_response_write(&b->body, f.uris, f.count);
    mem_free(f.uris);
    peer_send_message(from, &(struct pcp_message){.id = span_of(id),
                                                  .message_type = SPAN(PCP_INVENTORY_RESPONSE),
                                                  .target = m->sender,
                                                  .in_reply_to = m->id,
                                                  .data = buf_span(&b->body)});
}

void handle_inventory(struct peer *from, const struct pcp_message *m) {
    struct broker *b = from->broker;
    struct pcp_inventory_request r;
    struct error err = ERROR_INIT;
    if (!pcp_inventory_request_read(m->data, &r, &err)) {
        reply_error(from, err.msg, m->id);
        error_clear(&err);
        return;
    }
    if (span_eq(m->sender, peer_uri(from))) {
        subscription_set(from, &r);
        respond(from, m, &r);
    } else { /* another type of the same name: the answer would not find its way back */
        log_event(b->log.main, LOG_TRACE, "message-delivery-failure", "Client no longer connected.", "uri", from->uri,
                  NULL);
    }
    pcp_inventory_request_free(&r);
}
