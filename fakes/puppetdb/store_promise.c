/* Promised facts. */
#include "base/json.h"
#include "base/mem.h"
#include "store.h"
#include <assert.h>
#include <string.h>

struct promise {
    struct list_link link;
    int64_t produced_ms;
    json_t *(*make)(void *ctx, size_t i);
    void *ctx;
    size_t count;
    int64_t nodes[];
};

/* What a promised payload decides; factset's other columns are there from the start. */
static const char *const promised_tables[] = {"fact",      "leaf",    "fact_name",    "fact_path", "fact_value",
                                              "path_type", "package", "node_package", NULL};

static int authorize(void *ctx, int action, const char *table, const char *column, const char *schema,
                     const char *trigger) {
    struct pdb *s = ctx;
    (void)schema, (void)trigger;
    if (action != SQLITE_READ) {
        return SQLITE_OK;
    }
    for (size_t i = 0; promised_tables[i] != NULL; i++) {
        s->reads_promised = s->reads_promised || strcmp(table, promised_tables[i]) == 0;
    }
    s->reads_promised = s->reads_promised || (strcmp(table, "factset") == 0 && strcmp(column, "hash") == 0);
    return SQLITE_OK;
}

void pdb_promises_open(struct pdb *s) {
    sqlite3_set_authorizer(s->db, authorize, s);
}

void pdb_promises_drop(struct pdb *s) {
    for (struct list_link *k; (k = list_pop_front(&s->promises)) != NULL;) {
        mem_free(LIST_ITEM(k, struct promise, link));
    }
}

void pdb_promise_facts(struct pdb *s, const struct promised_facts *all) {
    struct promise *promise = mem_alloc(sizeof(*promise) + all->count * sizeof(promise->nodes[0]));
    *promise =
        (struct promise){.produced_ms = all->produced_ms, .make = all->make, .ctx = all->ctx, .count = all->count};
    pdb_begin(s);
    int64_t environment = pdb_environment(s, all->environment), producer = pdb_producer(s, all->producer);
    for (size_t i = 0; i < all->count; i++) {
        promise->nodes[i] = pdb_node(s, all->certname(all->ctx, i));
        pdb_run(s,
                "INSERT OR IGNORE INTO factset(node, environment, timestamp, producer_timestamp, producer, hash) "
                "VALUES(?1, ?2, ?3, ?3, nullif(?4, 0), '')",
                "iiii", promise->nodes[i], environment, all->produced_ms, producer);
    }
    pdb_end(s, true);
    list_push_back(&s->promises, &promise->link);
}

static void keep(struct pdb *s, const struct promise *promise) {
    for (size_t i = 0; i < promise->count; i++) {
        json_t *payload = promise->make(promise->ctx, i);
        bool ok = pdb_replace_facts(s, payload, promise->produced_ms, NULL);
        assert(ok && pdb_number(s, 0, "SELECT id FROM node WHERE certname = ?", "T", json_str(payload, "certname")) ==
                         promise->nodes[i]);
        (void)ok;
        json_decref(payload);
    }
}

void pdb_keep_promises(struct pdb *s) {
    struct list_link *k = list_pop_front(&s->promises);
    if (k == NULL) {
        return;
    }
    pdb_begin(s);
    for (; k != NULL; k = list_pop_front(&s->promises)) {
        struct promise *promise = LIST_ITEM(k, struct promise, link);
        keep(s, promise);
        mem_free(promise);
    }
    pdb_end(s, true);
}
