/* What the fake PuppetDB knows, in SQLite. Facts are kept twice: whole, one row a fact, for answers; and leaf by leaf
 * as (path, value, node) with paths and values told apart once, for conditions. 10,000 nodes with 100 facts each stay
 * below 300 MB and a condition on a fact is answered from one index.
 *
 * Times are milliseconds; JSON columns hold compact text. */
#ifndef DALANG_FAKES_PUPPETDB_STORE_H
#define DALANG_FAKES_PUPPETDB_STORE_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "puppetdb.h"
#include <jansson.h>
#include <sqlite3.h>

enum { STORE_VALUES_MAX = 100000, STORE_NAMES_MAX = 100000 };

struct pdb {
    sqlite3 *db;
    bool in_memory;        /* a crash loses all, committed or not */
    struct map statements; /* where the SQL stands → struct kept_statement */
    unsigned depth;        /* of transactions */
    bool doomed;           /* one within failed */
    bool keeps_corrective; /* reports' corrective_change: Puppet Enterprise stores it, PuppetDB alone does not */
    /* Of facts, as they come: text → id. value_ids is emptied when it holds STORE_VALUES_MAX. */
    struct map name_ids, path_ids, value_ids;
    struct map environment_ids, producer_ids, node_ids; /* name → id; at most STORE_NAMES_MAX each */
    struct list promises;                               /* of facts; of who promised first, first */
    bool reads_promised;                                /* the statement prepared last */
    struct map type_uses; /* of this transaction: path and type → how many leaves more or less (struct type_use) */
};

/* vfs and path may be NULL: SQLite's own, in memory. Errors: kind "puppetdb/database". */
struct pdb *pdb_open(const char *vfs, const char *path, struct error *err);
void pdb_close(struct pdb *s);

/* A prepared statement, reset and ready to be bound; belongs to the store. The SQL is the store's own: it must be
 * right. */
sqlite3_stmt *pdb_statement(struct pdb *s, const char *sql);
/* Binds one value after the other by a letter each: i int64_t, t struct span (text), T const char * (NULL: null),
 * j const json_t * as text (NULL or JSON null: null), n nothing (null), b int as boolean, B const json_t * boolean or
 * null, m int64_t milliseconds (negative: null). Then runs it. */
void pdb_run(struct pdb *s, const char *sql, const char *types, ...);
/* The same for one number of the first row; `absent` when there is none. */
int64_t pdb_number(struct pdb *s, int64_t absent, const char *sql, const char *types, ...);
/* Binds as above; step it yourself, then sqlite3_reset(). */
sqlite3_stmt *pdb_query(struct pdb *s, const char *sql, const char *types, ...);

/* Nest. Only the outermost writes, and only when none within it failed: all or nothing. (No savepoints: for those
 * SQLite copies every page it touches, which makes filling ten times slower.) False: nothing was kept. */
void pdb_begin(struct pdb *s);
bool pdb_end(struct pdb *s, bool keep);

/* Row ids of names, made when new. 0 for NULL. */
int64_t pdb_environment(struct pdb *s, const char *name);
int64_t pdb_producer(struct pdb *s, const char *name);
int64_t pdb_node(struct pdb *s, const char *certname);

/* The effect of commands (puppetdb.md §16), payloads in wire form with underscores. `now_ms` is when they arrive.
 * False after setting err (kind "puppetdb/payload") when the payload lacks what it needs; then nothing has changed.
 * Beyond the wire form, for state files: "timestamp" or "receive_time" (else now), "hash" and of
 * a resource "resource" (else computed). */
bool pdb_replace_facts(struct pdb *s, const json_t *payload, int64_t now_ms, struct error *err);
bool pdb_replace_catalog(struct pdb *s, const json_t *payload, int64_t now_ms, struct error *err);
bool pdb_add_report(struct pdb *s, const json_t *payload, int64_t now_ms, struct error *err);
bool pdb_deactivate(struct pdb *s, const json_t *payload, int64_t now_ms, struct error *err);
bool pdb_configure_expiration(struct pdb *s, const json_t *payload, int64_t now_ms, struct error *err);
bool pdb_replace_catalog_inputs(struct pdb *s, const json_t *payload, int64_t now_ms, struct error *err);
void pdb_clear(struct pdb *s);

/* store_promise.c: facts that are made when they are asked for. Whoever prepares a statement in SQL from a query, dumps
 * or replaces facts has promises kept first. */
void pdb_promises_open(struct pdb *s);
void pdb_promises_drop(struct pdb *s);
void pdb_promise_facts(struct pdb *s, const struct promised_facts *all);
void pdb_keep_promises(struct pdb *s);

/* Helpers of the commands. */
const char *pdb_need_text(const json_t *payload, const char *key, struct error *err); /* NULL after setting err */
bool pdb_need_time(const json_t *payload, const char *key, int64_t *ms, struct error *err);
int64_t pdb_time(const json_t *payload, const char *key, int64_t absent_ms);
/* Writes type_uses; at the end of a transaction. */
void pdb_flush_types(struct pdb *s, bool keep);
/* Brings a deactivated node back when this is newer than its deactivation. */
void pdb_reactivate(struct pdb *s, int64_t node, int64_t producer_ms);

#endif
