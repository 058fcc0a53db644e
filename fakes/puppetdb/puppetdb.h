/* The fake PuppetDB (puppetdb.md §19): queries in PQL and AST over every public entity, the commands that fill it,
 * status and metadata, as PuppetDB 7 answers them. Data live in SQLite.
 *
 * State (PUT /_fake/state under "puppetdb", or --state FILE):
 *   {"nodes": [{"certname": "web1.lab.example", "environment": "production",
 *               "facts": {"os": {"family": "Debian"}, "processors": {"count": 4}},
 *               "trusted": {"extensions": {"pp_role": "web"}},
 *               "resources": [{"type": "Class", "title": "Nginx", "tags": ["nginx"], "parameters": {}}],
 *               "packages": [["openssl", "3.0.2", "apt"]]},
 *              {"certname": "old1.lab.example", "facts": {}, "deactivated": "2025-01-01T00:00:00Z"}],
 *    "reports": [{"certname": "web1.lab.example", "status": "changed", "job_id": "12"}],
 *    "allowlist": ["orch.lab.example"], "maintenance": false, "corrective_changes": false}
 * A node may also have "expired", "facts_timestamp", "producer", "producer_timestamp", "facts_hash" and "catalog" (a
 * "replace catalog" payload, instead of "resources"). A report is a "store report" payload; "receive_time" and "hash"
 * may be given. What is missing is filled in: times by the clock, hashes as PuppetDB computes them, the producer
 * pp.lab.example. An allowlist of null (or none) lets every certificate in.
 * With "corrective_changes" that of reports and events is kept, as Puppet Enterprise does; PuppetDB alone drops it. See
 * fakes/puppetdb/example.json.
 *
 * More controls on the port: POST /_fake/maintenance {"on": true}, POST /_fake/database {"up": false}. */
#ifndef DALANG_FAKES_PUPPETDB_H
#define DALANG_FAKES_PUPPETDB_H

#include "fakes/common/fake.h"

struct fake_puppetdb;

struct fake_puppetdb_opts {
    const json_t *state; /* borrowed; NULL: empty */
    const char *path;    /* of the database; NULL: in memory. An existing one is kept unless `state` is given */
    size_t generate;     /* nodes to make up, see fake_puppetdb_generate(); POST /_fake/reset makes them up again */
    uint64_t seed;
    /* Whether the RBAC token of a request without a certificate gives this permission ("nodes:view_data:*",
     * "nodes:edit_data:*"). On false err says why: kind "puppetlabs.rbac/…" is a 401, "denied" a 403. Without either
     * it is a 401. NULL: tokens are not looked at; whoever got through the handshake may do everything. */
    bool (*token_permits)(void *ctx, const char *token, const char *permission, struct error *err);
    void *token_ctx;
    const struct logger *log;
};

/* Kinds of errors: "puppetdb/database", "puppetdb/state". */
struct fake_puppetdb *fake_puppetdb_new(struct world *w, const struct fake_puppetdb_opts *opts, struct error *err);
void fake_puppetdb_free(struct fake_puppetdb *p); /* NULL is fine; not while hosted */
struct fake *fake_puppetdb_base(struct fake_puppetdb *p);

/* For those that hold it in the same process. */

/* What a command over HTTP does, at once: "replace facts", "replace catalog", "store report", "deactivate node",
 * "configure expiration", "replace catalog inputs", newest version. Error kind "puppetdb/payload". */
bool fake_puppetdb_command(struct fake_puppetdb *p, const char *command, const json_t *payload, struct error *err);
/* Facts of many nodes that are only made when somebody asks for them: a large fleet that nobody asks about costs a few
 * bytes a node. Whoever asks sees no difference to "replace facts" of each. `all` is borrowed for the call; `ctx` must
 * live as long as the fake, or until somebody has asked. */
struct promised_facts {
    size_t count;
    const char *environment, *producer;
    int64_t produced_ms;
    const char *(*certname)(void *ctx, size_t i);
    json_t *(*make)(void *ctx, size_t i); /* the payload, new reference, with that environment, producer and time */
    void *ctx;
};
void fake_puppetdb_promise_facts(struct fake_puppetdb *p, const struct promised_facts *all);
/* The answer to a query on the root endpoint, PQL or AST text: new reference. Kinds of errors as in pql/ast.h and
 * pql/pql.h. */
json_t *fake_puppetdb_query(struct fake_puppetdb *p, struct span query, struct error *err);
/* Makes up facts, catalogs and a last report of `count` nodes named node-00001.DOMAIN … (facts: os, processors, memory,
 * networking, role, datacenter …, about 100 each). The same seed gives the same fleet. */
void fake_puppetdb_generate(struct fake_puppetdb *p, size_t count, uint64_t seed, const char *domain);

#endif
