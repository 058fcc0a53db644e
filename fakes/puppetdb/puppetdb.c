/* The service: its tables, life and the calls for those in the same process. */
#include "internal.h"
#include "pql/ast.h"
#include "pql/query_text.h"
#include "run.h"

static void not_found(struct fake *f, struct http_exchange *ex, const char *allow) {
    (void)allow;
    if (puppetdb_admit(puppetdb_of(f), ex, "nodes:view_data:*")) {
        puppetdb_redirect(ex);
    }
}

static const char *const prefixes[] = {"/pdb", NULL};
static const struct fake_route *const tables[] = {puppetdb_query_routes, puppetdb_command_routes,
                                                  puppetdb_service_routes, NULL};
static const struct fake_service service = {.name = "puppetdb",
                                            .tables = tables,
                                            .prefixes = prefixes,
                                            .not_found = not_found,
                                            .load = puppetdb_load,
                                            .dump = puppetdb_dump};

struct fake_puppetdb *fake_puppetdb_new(struct world *w, const struct fake_puppetdb_opts *opts, struct error *err) {
    struct fake_puppetdb *p = mem_zalloc(sizeof *p);
    p->opts = *opts;
    list_init(&p->waiting);
    p->store = pdb_open(world_sqlite_vfs(w), opts->path, err);
    p->keep_stored = opts->path != NULL && opts->state == NULL;
    if (p->store == NULL || !fake_init(&p->base, w, &service, opts->state, opts->log, err)) {
        fake_puppetdb_free(p);
        return NULL;
    }
    p->keep_stored = false;
    p->opts.state = NULL; /* borrowed until here */
    p->opts.path = NULL;
    return p;
}

void fake_puppetdb_free(struct fake_puppetdb *p) {
    if (p == NULL) {
        return;
    }
    puppetdb_waiters_detach(p);
    puppetdb_settle(p);
    pdb_close(p->store);
    json_decref(p->allowlist);
    fake_deinit(&p->base);
    mem_free(p);
}

struct fake *fake_puppetdb_base(struct fake_puppetdb *p) {
    return &p->base;
}

void fake_puppetdb_promise_facts(struct fake_puppetdb *p, const struct promised_facts *all) {
    pdb_promise_facts(p->store, all);
}

json_t *fake_puppetdb_query(struct fake_puppetdb *p, struct span text, struct error *err) {
    json_t *query = query_parse(text, err);
    if (query == NULL) {
        return NULL;
    }
    json_t *active = ast_restrict_root(query);
    struct query_request r = {.limit = PLAN_NO_LIMIT, .offset = PLAN_NO_LIMIT};
    struct buf out = BUF_INIT;
    int64_t total;
    json_t *rows =
        run_query(p, active, &r, &out, &total, err) ? json_loadb(out.ptr, out.len, JSON_ALLOW_NUL, NULL) : NULL;
    json_decref(query);
    json_decref(active);
    buf_free(&out);
    return rows;
}
