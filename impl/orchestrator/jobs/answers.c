/* What the brokers deliver, led to the run it is about. */
#include "base/mem.h"
#include "orchestrator/jobs/internal.h"
#include "pxp/status.h"

#include <string.h>

/* ---------------------------------------------------------------------------------------- runs by id */

static void tail_of(const char *id, char out[TXID_LEN + 1]) {
    memcpy(out, id, TXID_LEN);
    out[TXID_LEN] = '\0';
    out[TXID_KIND] = ID_RUN;
}

static struct span tail_key(const char tail[TXID_LEN + 1]) {
    return span_bytes(tail + TXID_TAIL, TXID_LEN - TXID_TAIL);
}

void run_register(struct run *r) {
    char txid[TXID_LEN + 1];
    txid_of(r, txid);
    map_put(&r->job->engine->runs, tail_key(txid), r);
}

void run_unregister(struct run *r) {
    char txid[TXID_LEN + 1];
    txid_of(r, txid);
    map_remove(&r->job->engine->runs, tail_key(txid));
}

static struct run *find_run(struct engine *e, struct span id, enum id_kind *kind) {
    if (id.len != TXID_LEN) {
        return NULL;
    }
    char tail[TXID_LEN + 1];
    tail_of(id.ptr, tail);
    *kind = (enum id_kind)id.ptr[TXID_KIND];
    return map_get(&e->runs, tail_key(tail));
}

/* ---------------------------------------------------------------------------------------- runs by node */

void run_watch_host(struct run *r) {
    struct engine *e = r->job->engine;
    if (r->host != NULL) {
        return;
    }
    struct host *h = map_get(&e->hosts, r->name);
    if (h == NULL) {
        h = mem_zalloc(sizeof *h + r->name.len + 1);
        memcpy(h->bytes, r->name.ptr, r->name.len);
        h->name = span_bytes(h->bytes, r->name.len);
        list_init(&h->runs);
        map_put(&e->hosts, h->name, h);
    }
    r->host = h;
    list_push_back(&h->runs, &r->host_link);
}

void run_unwatch_host(struct run *r) {
    struct host *h = r->host;
    if (h == NULL) {
        return;
    }
    list_remove(&h->runs, &r->host_link);
    r->host = NULL;
    if (list_empty(&h->runs)) {
        map_remove(&r->job->engine->hosts, h->name);
        mem_free(h);
    }
}

/* ---------------------------------------------------------------------------------------- the brokers' handler */

static void on_presence(void *ctx, struct span node, bool connected) {
    struct engine *e = ctx;
    struct host *h = map_get(&e->hosts, node);
    if (h == NULL) {
        return;
    }
    /* A run that leaves takes h along when it was the last. */
    for (size_t left = h->runs.count; left != 0 && map_get(&e->hosts, node) == h; left--) {
        struct list_link *it = list_pop_front(&h->runs);
        struct run *r = LIST_ITEM(it, struct run, host_link);
        list_push_back(&h->runs, it);
        run_presence(r, connected);
    }
}

static void on_blocking_response(struct run *r, enum id_kind kind, const struct pxp_response *m) {
    if (kind == ID_STATUS) {
        run_status(r, m->results);
    } else if (kind == ID_KILL) {
        const json_t *code = json_object_get(m->results, "exitcode");
        if (!json_is_integer(code) || json_integer_value(code) != 0) {
            log_warn(r->job->engine->log, "job %lld: %.*s could not end the run by force", (long long)r->job->id,
                     (int)r->name.len, r->name.ptr);
        }
    }
}

static void on_answer(void *ctx, struct span node, const struct pxp_response *m) {
    struct engine *e = ctx;
    enum id_kind kind = ID_RUN;
    struct run *r = find_run(e, m->transaction_id, &kind);
    e->metrics.responses++;
    /* Only the node itself may speak about its run. */
    if (r == NULL || !span_eq(r->name, node)) {
        e->metrics.strays++;
        return;
    }
    switch (m->type) {
    case PXP_PROVISIONAL_RESPONSE:
        run_taken(r);
        break;
    case PXP_NON_BLOCKING_RESPONSE:
        run_answered(r, m->results);
        break;
    case PXP_BLOCKING_RESPONSE:
        on_blocking_response(r, kind, m);
        break;
    case PXP_ERROR:
        if (kind == ID_RUN) {
            run_failed(r, m->description);
        }
        break;
    default:
        break;
    }
}

static void on_refused(void *ctx, struct span message_id, struct span text) {
    struct engine *e = ctx;
    enum id_kind kind = ID_RUN;
    struct run *r = find_run(e, message_id, &kind);
    if (r != NULL) {
        run_refused(r, kind, text);
    } else {
        e->metrics.strays++;
    }
}

static void on_writable(void *ctx) {
    admit_soon(ctx);
}

const struct brokers_handler engine_brokers_handler = {on_presence, on_answer, on_refused, on_writable};
