/* Random conditions: what SQL finds is what a plain look at every row finds. */
#include "base/json.h"
#include "base/mem.h"
#include "fakes/puppetdb/internal.h"
#include "fakes/puppetdb/run.h"
#include "oracle.h"
#include "simulator/world/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NODES = 12, ROUNDS = 1500, DEPTH = 3 };

struct dice {
    uint64_t state;
};

static uint64_t below(struct dice *d, uint64_t bound) {
    uint64_t z = (d->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % bound;
}
#define PICK(d, list) (list)[below(d, sizeof(list) / sizeof((list)[0]))]

/* ---------------------------------------------------------------- a population with gaps */

static json_t *facts(struct dice *d) {
    static const char *const families[] = {"Debian", "RedHat", "Suse"};
    static const char *const tiers[] = {"gold", "silver", "5"};
    json_t *f = json_object();
    if (below(d, 8) != 0) {
        json_set(f, "os",
                 json_pack("{s:s, s:{s:i}}", "family", PICK(d, families), "release", "major", (int)below(d, 4)));
    }
    if (below(d, 3) != 0) {
        json_set(f, "tier", json_string(PICK(d, tiers)));
    }
    if (below(d, 3) != 0) {
        json_set(f, "n", below(d, 2) ? json_integer((json_int_t)below(d, 6)) : json_real((double)below(d, 10) / 2));
    }
    if (below(d, 2) != 0) {
        json_set(f, "virtual", json_boolean(below(d, 2) == 0));
    }
    if (below(d, 4) == 0) {
        json_set(f, "tier", json_integer(5));
    }
    if (below(d, 3) == 0) {
        json_set(f, "list", json_pack("[i, s, {s:i}]", (int)below(d, 3), "x", "k", (int)below(d, 3)));
    }
    if (below(d, 4) == 0) {
        json_set(f, "none", json_null());
    }
    return f;
}

static json_t *population(struct dice *d) {
    static const char *const environments[] = {"production", "dev"};
    static const char *const titles[] = {"Nginx", "Postgres", "Redis"};
    json_t *nodes = json_array();
    for (int i = 0; i < NODES; i++) {
        char *name = str_printf("n%02d", i);
        json_t *node =
            json_pack("{s:s, s:s, s:o}", "certname", name, "environment", PICK(d, environments), "facts", facts(d));
        if (below(d, 4) != 0) {
            json_set(node, "resources",
                     json_pack("[{s:s, s:s, s:[s, s], s:b, s:i, s:{s:i}}]", "type", "Class", "title", PICK(d, titles),
                               "tags", "class", PICK(d, titles), "exported", below(d, 3) == 0, "line", (int)below(d, 5),
                               "parameters", "port", (int)below(d, 4)));
        }
        if (below(d, 6) == 0) {
            json_set(node, "deactivated", json_string("2026-01-01T00:00:00Z"));
        }
        json_array_append_new(nodes, node);
        mem_free(name);
    }
    return json_pack("{s:o}", "nodes", nodes);
}

/* ---------------------------------------------------------------- conditions */

struct template {
    const char *entity;
    const char *condition; /* JSON with single quotes; %s %d %g are filled in */
};

static const char *const texts[] = {"Debian", "RedHat", "gold",  "silver", "5",  "production", "dev",
                                    "n03",    "Nginx",  "Class", "x",      "os", "tier"};
static const char *const patterns[] = {"^n0", "e", "o$", "^$", "[a-m]", "1", "^(gold|dev)$"};

/* What may be asked; "T" a text, "P" a pattern, "N" a number. */
static const struct template templates[] = {
    {"inventory", "['=', 'certname', 'T']"},
    {"inventory", "['~', 'certname', 'P']"},
    {"inventory", "['=', 'environment', 'T']"},
    {"inventory", "['=', 'facts.os.family', 'T']"},
    {"inventory", "['=', 'facts.tier', 'T']"},
    {"inventory", "['=', 'facts.tier', N]"},
    {"inventory", "['=', 'facts.n', N]"},
    {"inventory", "['>', 'facts.n', N]"},
    {"inventory", "['<=', 'facts.n', N]"},
    {"inventory", "['<', 'facts.os.release.major', N]"},
    {"inventory", "['>', 'facts.tier', 'T']"},
    {"inventory", "['~', 'facts.tier', 'P']"},
    {"inventory", "['~', 'facts.os.family', 'P']"},
    {"inventory", "['=', 'facts.virtual', true]"},
    {"inventory", "['=', 'facts.list[0]', N]"},
    {"inventory", "['=', 'facts.list[2].k', N]"},
    {"inventory", "['in', 'certname', ['array', ['T', 'n05', 'n07']]]"},
    {"inventory", "['subquery', 'resources', ['=', 'title', 'T']]"},
    {"inventory", "['in', 'certname', ['from', 'facts', ['extract', 'certname', ['=', 'value', 'T']]]]"},
    {"facts", "['=', 'name', 'T']"},
    {"facts", "['~', 'name', 'P']"},
    {"facts", "['=', 'value', 'T']"},
    {"facts", "['=', 'value', N]"},
    {"facts", "['>=', 'value', N]"},
    {"facts", "['=', 'value', false]"},
    {"facts", "['in', 'value', ['array', ['T', 'gold']]]"},
    {"facts", "['subquery', 'nodes', ['~', 'certname', 'P']]"},
    {"facts",
     "['in', ['certname', 'name'], ['from', 'fact_contents', ['extract', ['certname', 'name'], ['<', 'value', N]]]]"},
    {"fact_contents", "['=', 'value', 'T']"},
    {"fact_contents", "['<', 'value', N]"},
    {"fact_contents", "['=', 'path', ['os', 'family']]"},
    {"fact_contents", "['~>', 'path', ['P', '.*']]"},
    {"fact_contents", "['~>', 'path', ['list', 2, 'k']]"},
    {"fact_contents", "['~>', 'path', ['list', '.']]"},
    {"resources", "['=', 'title', 'T']"},
    {"resources", "['=', 'tag', 'T']"},
    {"resources", "['~', 'tag', 'P']"},
    {"resources", "['=', 'exported', true]"},
    {"resources", "['>', 'line', N]"},
    {"resources", "['=', 'parameters.port', N]"},
    {"resources", "['>=', 'parameters.port', N]"},
    {"resources", "['null?', 'file', true]"},
    {"nodes", "['=', 'certname', 'T']"},
    {"nodes", "['null?', 'deactivated', true]"},
    {"nodes", "['=', 'catalog_environment', 'T']"},
    {"nodes", "['~', 'catalog_environment', 'P']"},
    {"nodes", "['=', ['fact', 'tier'], 'T']"},
    {"nodes", "['>', ['fact', 'n'], N]"},
    {"nodes", "['in', ['fact', 'tier'], ['array', ['gold', 'T']]]"},
    {"nodes", "['subquery', 'facts', ['and', ['=', 'name', 'tier'], ['=', 'value', 'T']]]"},
    {"nodes", "['in', 'certname', ['extract', 'certname', ['select_resources', ['=', 'type', 'Class']]]]"},
    {"nodes", "['>', 'facts_timestamp', '2029-12-31']"},
};

static json_t *leaf(struct dice *d, const char *entity) {
    const struct template *t;
    do {
        t = &PICK(d, templates);
    } while (strcmp(t->entity, entity) != 0);
    struct buf text = BUF_INIT;
    for (const char *c = t->condition; *c != '\0'; c++) {
        if (*c == 'T' && c[-1] == '\'') {
            buf_append_cstr(&text, PICK(d, texts));
        } else if (*c == 'P' && c[-1] == '\'') {
            buf_append_cstr(&text, PICK(d, patterns));
        } else if (*c == 'N' && c[-1] == ' ') {
            buf_printf(&text, below(d, 2) ? "%d" : "%d.5", (int)below(d, 5));
        } else {
            buf_append_char(&text, *c == '\'' ? '"' : *c);
        }
    }
    json_t *node = json_loadb(text.ptr, text.len, 0, NULL);
    assert_non_null(node);
    buf_free(&text);
    return node;
}

static json_t *condition(struct dice *d, const char *entity, int depth) {
    uint64_t kind = depth == 0 ? 3 : below(d, 5);
    if (kind == 0) {
        return json_pack("[s, o]", "not", condition(d, entity, depth - 1));
    }
    if (kind <= 2) {
        return json_pack("[s, o, o]", kind == 1 ? "and" : "or", condition(d, entity, depth - 1),
                         condition(d, entity, depth - 1));
    }
    return leaf(d, entity);
}

/* ---------------------------------------------------------------- the comparison */

struct fixture {
    struct fake_puppetdb *p;
    json_t *rows[ENTITY_COUNT];
};

static json_t *run(struct fake_puppetdb *p, json_t *query) {
    struct query_request r = {.limit = PLAN_NO_LIMIT, .offset = PLAN_NO_LIMIT};
    struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;
    int64_t total;
    if (!run_query(p, query, &r, &out, &total, &err)) {
        char *text = json_text(query);
        fail_msg("%s: %s", text, err.msg);
    }
    json_t *rows = json_loadb(out.ptr, out.len, JSON_DECODE_ANY, NULL);
    buf_free(&out);
    return rows;
}

static const json_t *all_rows(void *ctx, const struct entity *e) {
    struct fixture *f = ctx;
    if (f->rows[e->id] == NULL) {
        json_t *query = json_pack("[s, s]", "from", e->name);
        f->rows[e->id] = run(f->p, query);
        json_decref(query);
    }
    return f->rows[e->id];
}

/* Whether the condition told some rows from others. */
static bool check(struct fixture *f, const char *entity, json_t *filter) {
    struct error err = ERROR_INIT;
    struct oracle o = {all_rows, f};
    json_t *query = json_pack("[s, s, O]", "from", entity, filter);
    struct plan_options options = {.paging = {NULL, PLAN_NO_LIMIT, PLAN_NO_LIMIT}};
    struct plan *plan = plan_build(query, &options, &err);
    assert_non_null(plan);
    json_t *found = run(f->p, query), *expected = json_array();
    const json_t *rows = all_rows(f, plan->entity);
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) {
        if (oracle_judge(&o, plan->where, row) == YES) {
            json_array_append(expected, row);
        }
    }
    bool same = json_array_size(found) == json_array_size(expected);
    json_array_foreach(expected, i, row) {
        bool there = false;
        for (size_t k = 0; k < json_array_size(found); k++) {
            there = there || json_equal(row, json_array_get(found, k));
        }
        same = same && there;
    }
    if (!same) {
        char *text = json_text(query), *a = json_text(found), *b = json_text(expected);
        fail_msg("%s\nSQL found %.1500s\nthe rows say %.1500s", text, a, b);
    }
    bool telling = json_array_size(found) > 0 && json_array_size(found) < json_array_size(rows);
    plan_free(plan);
    json_decref(query);
    json_decref(found);
    json_decref(expected);
    return telling;
}

static void test_sql_and_rows_agree(void **state) {
    (void)state;
    static const char *const entities[] = {"inventory", "facts", "fact_contents", "resources", "nodes"};
    struct dice d = {20260101};
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 3});
    json_t *given = population(&d);
    struct fixture f = {0};
    struct error err = ERROR_INIT;
    f.p = fake_puppetdb_new(sim_host(sim, "pdb"), &(struct fake_puppetdb_opts){.state = given}, &err);
    assert_non_null(f.p);
    int telling = 0;
    for (int i = 0; i < ROUNDS; i++) {
        const char *entity = PICK(&d, entities);
        json_t *filter = condition(&d, entity, DEPTH);
        telling += check(&f, entity, filter);
        json_decref(filter);
    }
    assert_true(telling > ROUNDS / 3);
    for (size_t i = 0; i < ENTITY_COUNT; i++) {
        json_decref(f.rows[i]);
    }
    json_decref(given);
    fake_puppetdb_free(f.p);
    sim_free(sim);
}

int main(void) {
    mem_init_libraries();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sql_and_rows_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
