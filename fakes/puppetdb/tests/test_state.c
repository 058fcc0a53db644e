/* State as JSON, in a database file, and made up. */
#include "base/json.h"
#include "base/mem.h"
#include "bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct fake_puppetdb *make(struct sim *sim, const struct fake_puppetdb_opts *opts) {
    struct error err = ERROR_INIT;
    struct fake_puppetdb *p = fake_puppetdb_new(sim_host(sim, "pdb"), opts, &err);
    if (p == NULL) {
        fail_msg("%s", err.msg);
    }
    return p;
}

static json_t *dump(struct fake_puppetdb *p) {
    return fake_puppetdb_base(p)->service->dump(fake_puppetdb_base(p));
}

static bool load(struct fake_puppetdb *p, const json_t *state, struct error *err) {
    return fake_puppetdb_base(p)->service->load(fake_puppetdb_base(p), state, err);
}

static json_t *file(const char *path) {
    char *whole = str_printf("%s/%s", SOURCE_DIR, path);
    json_t *value = json_load_file(whole, 0, NULL);
    mem_free(whole);
    assert_non_null(value);
    return value;
}

static const char *const everything[] = {
    "nodes{ node_state = \"any\" order by certname }",
    "facts{ order by certname, name }",
    "fact_contents{ order by certname, path }",
    "fact_paths{ order by path }",
    "inventory{ order by certname }",
    "factsets{ order by certname }",
    "catalogs{ order by certname }",
    "resources{ order by certname, type, title }",
    "edges{ order by certname, source_title, target_title }",
    "reports{ type = \"any\" order by hash }",
    "events{ order by report, resource_type, resource_title, property, timestamp }",
    "environments{ order by name }",
    "package_inventory{ order by certname, package_name }",
    "[\"from\",\"catalog_inputs\",[\"order_by\",[\"certname\"]]]",
};

/* ---- promises */

struct promiser {
    size_t made;
    int64_t when_ms;
};

static const char *promised_name(void *ctx, size_t i) {
    static const char *const names[] = {"p1", "p2", "p3"};
    (void)ctx;
    return names[i];
}

static json_t *promised_payload(void *ctx, size_t i) {
    struct promiser *promiser = ctx;
    promiser->made++;
    return json_pack("{s:s, s:s, s:s, s:s, s:{s:{s:i, s:[f, n]}, s:s}, s:[[s, s, s]]}", "certname",
                     promised_name(NULL, i), "environment", "lab", "producer", "pp.lab.example", "producer_timestamp",
                     "2025-06-01T00:00:00.000Z", "values", "a", "number", (int)i, "list", 1.5, "same", "text",
                     "package_inventory", "openssl", "3.0.2", "apt");
}

static void promise(struct fake_puppetdb *p, struct promiser *promiser) {
    *promiser = (struct promiser){.when_ms = 1748736000000};
    fake_puppetdb_promise_facts(p, &(struct promised_facts){.count = 3,
                                                            .environment = "lab",
                                                            .producer = "pp.lab.example",
                                                            .produced_ms = promiser->when_ms,
                                                            .certname = promised_name,
                                                            .make = promised_payload,
                                                            .ctx = promiser});
}

static void told(struct fake_puppetdb *p) {
    struct promiser promiser = {0};
    for (size_t i = 0; i < 3; i++) {
        json_t *payload = promised_payload(&promiser, i);
        json_set(payload, "timestamp", json_string("2025-06-01T00:00:00.000Z"));
        assert_true(fake_puppetdb_command(p, "replace facts", payload, NULL));
        json_decref(payload);
    }
}

static json_t *answer(struct fake_puppetdb *p, const char *query) {
    struct error err = ERROR_INIT;
    json_t *rows = fake_puppetdb_query(p, span_of(query), &err);
    if (rows == NULL) {
        fail_msg("%s: %s", query, err.msg);
    }
    return rows;
}

/* Whatever is asked first, nobody can tell a promise from a fact. */
static void test_promises_are_kept_when_asked(void **state) {
    (void)state;
    for (size_t i = 0; i <= sizeof everything / sizeof everything[0]; i++) {
        struct sim *sim = sim_new(&(struct sim_opts){.seed = 1});
        struct fake_puppetdb *a = make(sim, &(struct fake_puppetdb_opts){0});
        struct fake_puppetdb *b = make(sim, &(struct fake_puppetdb_opts){0});
        struct promiser promiser;
        promise(a, &promiser);
        told(b);
        bool asks = i < sizeof everything / sizeof everything[0];
        json_t *one = asks ? answer(a, everything[i]) : dump(a), *other = asks ? answer(b, everything[i]) : dump(b);
        if (!json_equal(one, other)) {
            fail_msg("%s: %s", asks ? everything[i] : "dump", json_dumps(one, 0));
        }
        json_decref(one);
        json_decref(other);
        fake_puppetdb_free(a);
        fake_puppetdb_free(b);
        sim_free(sim);
    }
}

static void test_promises_wait_until_asked(void **state) {
    (void)state;
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 1});
    struct fake_puppetdb *p = make(sim, &(struct fake_puppetdb_opts){0});
    struct promiser promiser;
    promise(p, &promiser);
    json_t *rows = answer(p, "nodes[certname, facts_timestamp, facts_environment]{ certname ~ \"p\" }");
    assert_int_equal(json_array_size(rows), 3);
    json_decref(rows);
    assert_int_equal(promiser.made, 0);
    rows = answer(p, "nodes[certname]{ facts { name = \"same\" } }");
    assert_int_equal(json_array_size(rows), 3);
    json_decref(rows);
    assert_int_equal(promiser.made, 3);
    json_decref(answer(p, "facts{}"));
    assert_int_equal(promiser.made, 3);
    fake_puppetdb_free(p);
    sim_free(sim);
}

/* Newer facts replace what was promised; a state replaces everything. */
static void test_promises_are_replaced(void **state) {
    (void)state;
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 1});
    struct fake_puppetdb *p = make(sim, &(struct fake_puppetdb_opts){0});
    struct promiser promiser;
    promise(p, &promiser);
    json_t *payload = promised_payload(&promiser, 1);
    json_set(payload, "values", json_pack("{s:i}", "newer", 1));
    assert_true(fake_puppetdb_command(p, "replace facts", payload, NULL));
    json_decref(payload);
    json_t *rows = answer(p, "facts[name]{ certname = \"p2\" }");
    assert_int_equal(json_array_size(rows), 1);
    json_decref(rows);
    promise(p, &promiser);
    json_t *empty = json_pack("{s:[]}", "nodes");
    assert_true(load(p, empty, NULL));
    json_decref(empty);
    rows = answer(p, "facts{}");
    assert_int_equal(json_array_size(rows), 0);
    json_decref(rows);
    fake_puppetdb_free(p);
    sim_free(sim);
}

static void same_answers(struct fake_puppetdb *a, struct fake_puppetdb *b) {
    for (size_t i = 0; i < sizeof everything / sizeof everything[0]; i++) {
        struct error err = ERROR_INIT;
        json_t *one = fake_puppetdb_query(a, span_of(everything[i]), &err);
        json_t *other = fake_puppetdb_query(b, span_of(everything[i]), &err);
        if (one == NULL || other == NULL) {
            fail_msg("%s: %s", everything[i], err.msg);
        }
        if (!json_equal(one, other)) {
            fail_msg("%s differs: %.2000s and %.2000s", everything[i], json_text(one), json_text(other));
        }
        json_decref(one);
        json_decref(other);
    }
}

static void round_trip(json_t *given) {
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 1});
    struct error err = ERROR_INIT;
    struct fake_puppetdb *p = make(sim, &(struct fake_puppetdb_opts){.state = given});
    sim_run(sim, 3600 * (uint64_t)SIM_SECOND); /* what is filled in by the clock is kept, too */
    json_t *dumped = dump(p);
    struct fake_puppetdb *again = make(sim, &(struct fake_puppetdb_opts){.state = dumped});
    same_answers(p, again);
    json_t *second = dump(again);
    assert_true(json_equal(dumped, second));
    assert_true(load(p, dumped, &err)); /* over what is there */
    same_answers(p, again);
    json_decref(dumped);
    json_decref(second);
    json_decref(given);
    fake_puppetdb_free(p);
    fake_puppetdb_free(again);
    sim_free(sim);
}

static void test_dump_loads_to_the_same(void **state) {
    (void)state;
    json_t *rich = json_loads(bench_population, 0, NULL);
    json_t *more = quoted(
        "{'nodes':[{'certname':'n','environment':'e','producer':'p','producer_timestamp':'2026-01-01T00:00:00Z',"
        "'facts_timestamp':'2026-01-01T00:00:01Z','facts_hash':'abc','facts':{'a':null,'b':[1,2.5,{}],'c':{}},"
        "'expired':'2026-02-01T00:00:00Z','expires_facts':false,'expires_facts_updated':'2026-01-02T00:00:00Z',"
        "'packages':[['a','1','apt']],'catalog_inputs':{'certname':'n','producer_timestamp':'2026-01-03T00:00:00Z',"
        "'catalog_uuid':'u','inputs':[['hiera','k']]},'catalog':{'version':'9','hash':'def','resources':[{'type':"
        "'File','title':'/f','tags':['t'],'exported':true,'file':'/x.pp','line':7,'parameters':{'mode':'0600'}},"
        "{'type':'Class','title':'K'}],'edges':[{'source':{'type':'Class','title':'K'},'target':{'type':'File',"
        "'title':'/f'},'relationship':'contains'}]}},{'certname':'bare'}],"
        "'reports':[{'certname':'n','status':'changed','corrective_change':true,'noop':true,'noop_pending':true,"
        "'end_time':'2026-01-01T00:00:00Z','receive_time':'2026-01-01T00:00:09Z','hash':'0123','logs':[{'level':'info',"
        "'message':'m','source':'s','tags':[],'time':'2026-01-01T00:00:00Z','file':null,'line':null}],'metrics':"
        "[{'category':'time','name':'total','value':1.25}],'resources':[{'resource_type':'File','resource_title':'/f',"
        "'skipped':true,'timestamp':'2026-01-01T00:00:00Z','containment_path':['K'],'events':[]}]}],"
        "'environments':['unused'],'allowlist':['a'],'maintenance':true,'corrective_changes':true}");
    json_array_extend(json_object_get(more, "nodes"), json_object_get(rich, "nodes"));
    json_array_extend(json_object_get(more, "reports"), json_object_get(rich, "reports"));
    json_decref(rich);
    round_trip(more);
    round_trip(file("scenarios/golden/puppetdb-state.json"));
    round_trip(file("fakes/puppetdb/example.json"));
    round_trip(json_object());
}

static void test_bad_states(void **state) {
    (void)state;
    static const struct {
        const char *given, *message;
    } all[] = {
        {"[]", "the state must be an object"},
        {"{'moons':[]}", "unknown key 'moons'"},
        {"{'nodes':{}}", "'nodes' must be a list"},
        {"{'reports':5}", "'reports' must be a list"},
        {"{'environments':[5]}", "environments[0]: a name must be text"},
        {"{'allowlist':'x'}", "'allowlist' must be a list of names or null"},
        {"{'nodes':[{'certname':'a'},{'facts':{}}]}", "nodes[1]: the payload needs the text 'certname'"},
        {"{'nodes':[{'certname':'a','facts':{'k':1}},{'certname':'b','facts':[]}]}",
         "nodes[1]: the payload needs the object 'values'"},
        {"{'nodes':[{'certname':'a','catalog':{'resources':5}}]}",
         "nodes[0]: the payload needs the lists 'resources' and 'edges'"},
        {"{'nodes':[{'certname':'a','resources':[{}]}]}", NULL},
        {"{'nodes':[{'certname':'a','facts':{},'producer_timestamp':'soon'}]}",
         "nodes[0]: the payload needs the time 'producer_timestamp'"},
        {"{'nodes':[{'certname':'a','catalog_inputs':{'certname':'a'}}]}",
         "nodes[0]: the payload needs the time 'producer_timestamp'"},
        {"{'reports':[{'status':'changed'}]}", "reports[0]: the payload needs the text 'certname'"},
        {"{'reports':[{'certname':'a','logs':5}]}", "reports[0]: the payload needs the list 'logs'"},
        {"{'reports':[{'certname':'a','report_format':'x'}]}", "reports[0]: the payload needs the number "
                                                               "'report_format'"},
        {"{'reports':[{'certname':'a','end_time':'soon'}]}", NULL},
    };
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 1});
    json_t *given = json_loads(bench_population, 0, NULL);
    struct fake_puppetdb *p = make(sim, &(struct fake_puppetdb_opts){.state = given});
    struct fake_puppetdb *untouched = make(sim, &(struct fake_puppetdb_opts){.state = given});
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct error err = ERROR_INIT;
        json_t *bad = quoted(all[i].given);
        assert_false(load(p, bad, &err));
        if (all[i].message != NULL) {
            assert_string_equal(err.msg, all[i].message);
        }
        error_clear(&err);
        assert_null(fake_puppetdb_new(sim_host(sim, "pdb"), &(struct fake_puppetdb_opts){.state = bad}, &err));
        error_clear(&err);
        json_decref(bad);
    }
    same_answers(p, untouched); /* and what is loaded after a refusal is whole */
    struct error err = ERROR_INIT;
    json_t *next = quoted("{'nodes':[{'certname':'a','facts':{'k':1,'os':{'family':'Debian'}}}]}");
    assert_true(load(p, next, &err));
    json_t *rows =
        fake_puppetdb_query(p, SPAN("inventory[certname]{ facts.k = 1 and facts.os.family = \"Debian\" }"), &err);
    assert_json(rows, quoted("[{'certname':'a'}]"));
    json_decref(next);
    json_decref(given);
    fake_puppetdb_free(p);
    fake_puppetdb_free(untouched);
    sim_free(sim);
}

static void test_a_database_file_is_kept(void **state) {
    (void)state;
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 1});
    json_t *given = json_loads(bench_population, 0, NULL);
    struct fake_puppetdb *p = make(sim, &(struct fake_puppetdb_opts){.state = given, .path = "/pdb.sqlite"});
    struct fake_puppetdb *in_memory = make(sim, &(struct fake_puppetdb_opts){.state = given});
    same_answers(p, in_memory);
    fake_puppetdb_free(p);
    p = make(sim, &(struct fake_puppetdb_opts){.path = "/pdb.sqlite"});
    same_answers(p, in_memory);
    fake_puppetdb_free(p);
    json_t *empty = json_object();
    p = make(sim, &(struct fake_puppetdb_opts){.state = empty, .path = "/pdb.sqlite"});
    json_t *rows = fake_puppetdb_query(p, SPAN("nodes{ node_state = \"any\" }"), NULL);
    assert_int_equal(json_array_size(rows), 0);
    json_decref(rows);
    json_decref(empty);
    json_decref(given);
    fake_puppetdb_free(p);
    fake_puppetdb_free(in_memory);
    struct error err = ERROR_INIT;
    assert_null(fake_puppetdb_new(sim_host(sim, "pdb"), &(struct fake_puppetdb_opts){.path = "/none/such/pdb"}, &err));
    assert_string_equal(err.kind, "puppetdb/database");
    error_clear(&err);
    sim_free(sim);
}

static int64_t count(struct fake_puppetdb *p, const char *query) {
    struct error err = ERROR_INIT;
    json_t *rows = fake_puppetdb_query(p, span_of(query), &err);
    assert_non_null(rows);
    int64_t n = json_int(json_array_get(rows, 0), "count", -1);
    json_decref(rows);
    return n;
}

static void test_generated_fleets(void **state) {
    (void)state;
    enum { NODES = 60 };
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 1});
    struct fake_puppetdb *one = make(sim, &(struct fake_puppetdb_opts){.generate = NODES, .seed = 5});
    struct fake_puppetdb *same = make(sim, &(struct fake_puppetdb_opts){.generate = NODES, .seed = 5});
    struct fake_puppetdb *other = make(sim, &(struct fake_puppetdb_opts){.generate = NODES, .seed = 6});
    same_answers(one, same);
    json_t *a = dump(one), *b = dump(other);
    assert_false(json_equal(a, b));
    json_decref(a);
    json_decref(b);
    assert_int_equal(count(one, "nodes[count()]{}"), NODES);
    assert_int_equal(count(one, "nodes[count()]{ latest_report_status in [\"changed\", \"unchanged\", \"failed\"] }"),
                     NODES);
    assert_true(count(one, "facts[count()]{}") > NODES * 60);
    int64_t debian = count(one, "inventory[count()]{ facts.os.family = \"Debian\" }");
    assert_true(debian > 0 && debian < NODES);
    assert_int_equal(count(one, "nodes[count()]{ resources { type = \"Class\" and title ~ \"^Role::\" } }"), NODES);
    fake_puppetdb_generate(one, 10, 9, "lab.example");
    assert_int_equal(count(one, "nodes[count()]{}"), NODES + 10);
    assert_int_equal(count(one, "nodes[count()]{ certname ~ \"lab.example$\" }"), 10);
    fake_puppetdb_free(one);
    fake_puppetdb_free(same);
    fake_puppetdb_free(other);
    sim_free(sim);
}

static void test_reset_makes_the_fleet_again(void **state) {
    (void)state;
    struct bench b = bench_up(&(struct fake_puppetdb_opts){.generate = 3, .seed = 5});
    bench_expect_post(&b, "/pdb/cmd/v1?command=deactivate_node&version=3&certname=node-00001.example.com",
                      "{'certname':'node-00001.example.com'}", 200, "{");
    assert_int_equal(count(b.p, "nodes[count()]{}"), 2);
    bench_expect_post(&b, "/_fake/reset", "", 204, "");
    assert_int_equal(count(b.p, "nodes[count()]{}"), 3);
    bench_down(&b);
}

int main(void) {
    mem_init_libraries();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dump_loads_to_the_same),       cmocka_unit_test(test_bad_states),
        cmocka_unit_test(test_a_database_file_is_kept),      cmocka_unit_test(test_generated_fleets),
        cmocka_unit_test(test_promises_are_kept_when_asked), cmocka_unit_test(test_promises_wait_until_asked),
        cmocka_unit_test(test_promises_are_replaced),        cmocka_unit_test(test_reset_makes_the_fleet_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
