/* Inside of the fake PuppetDB. */
#ifndef DALANG_FAKES_PUPPETDB_INTERNAL_H
#define DALANG_FAKES_PUPPETDB_INTERNAL_H

#include "base/json.h"
#include "base/mem.h"
#include "puppetdb.h"
#include "store.h"
#include "world/world.h"

struct fake_puppetdb {
    struct fake base; /* first */
    struct pdb *store;
    struct fake_puppetdb_opts opts;
    bool keep_stored;  /* the database came with data: the first load leaves it */
    json_t *allowlist; /* array of names, or NULL: everybody */
    bool maintenance, database_down;
    struct list waiting; /* of commands that never complete: struct waiter */
    bool swarm_open;     /* a transaction is open for the reports of this turn */
    struct world_task swarm;
};

static inline struct fake_puppetdb *puppetdb_of(struct fake *f) {
    return LIST_ITEM(f, struct fake_puppetdb, base);
}

extern const struct fake_route puppetdb_query_routes[];
extern const struct fake_route puppetdb_command_routes[];
extern const struct fake_route puppetdb_service_routes[];

/* Answers. Text of errors; JSON with the headers PuppetDB gives. */
void puppetdb_text(struct http_exchange *ex, int status, struct span text);
void puppetdb_json(struct http_exchange *ex, int status, struct span text);
void puppetdb_json_value(struct http_exchange *ex, int status, json_t *value); /* steals value */
/* {"error": …} */
void puppetdb_json_error(struct http_exchange *ex, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void puppetdb_not_found_object(struct http_exchange *ex, const char *what, const char *name);
/* An error of the query machinery with the status PuppetDB gives it. */
void puppetdb_query_error(struct http_exchange *ex, const struct error *err);
/* 302 to the dashboard: what PuppetDB does with paths it does not know. */
void puppetdb_redirect(struct http_exchange *ex);

/* False after answering: not let in, not ready, cannot take the answer. `permission` is what a token must give. */
bool puppetdb_admit(struct fake_puppetdb *p, struct http_exchange *ex, const char *permission);
bool puppetdb_check_content(struct http_exchange *ex); /* 406, 415 */

/* state.c */
bool puppetdb_load(struct fake *f, const json_t *state, struct error *err);
json_t *puppetdb_dump(struct fake *f);
/* One entry of "nodes" or "reports". */
bool puppetdb_load_node(struct pdb *s, const json_t *node, int64_t now_ms, struct error *err);
bool puppetdb_load_report(struct pdb *s, const json_t *given, int64_t now_ms, struct error *err);

/* commands.c */
void puppetdb_waiters_detach(struct fake_puppetdb *p);
void puppetdb_settle(struct fake_puppetdb *p); /* commits the reports of this turn */

#endif
