/* Catalogs of nodes with components of applications: parameters, capabilities produced and looked up, and each error of
 * application-orchestration.md §3.4. */
#include "base/mem.h"
#include "code.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CATALOG(node) "/puppet/v3/catalog/" node "?environment=production"

static const char store[] =
    "define shop::store(String $user, String $host = $facts['networking']['fqdn'], Integer $port = 5432,\n"
    "                   String $database = \"shop_${name}\", $disk = pick($nosuch, '', $facts['disks'][0])) {\n"
    "  notify { \"store\": }\n}\n"
    "Shop::Store produces Shopdb { }\n";
static const char api[] =
    "define shop::api(String $db_host, Integer $db_port, String $db_name, Integer $listen = 8080) { }\n"
    "Shop::Api consumes Shopdb  { db_host => $host, db_port => $port, db_name => $database }\n"
    "Shop::Api produces Shopweb { host => $hostname, port => $listen }\n";
static const char shop[] =
    "application shop(String $db_user, $listen = 8080) {\n"
    "  shop::api { $name: listen => $listen, consume => Shopdb[\"db-${name}\"], export => Shopweb[\"api-${name}\"] }\n"
    "  shop::store { $name: user => $db_user, export => Shopdb[\"db-${name}\"] }\n"
    "}\n";

static void write_code(struct code_bench *b, const char *application, const char *site) {
    code_file(b, "production/modules/shop/lib/puppet/type/shopdb.rb",
              "newtype(:shopdb, :is_capability => true) { newparam(:name) newparam :host\n newparam :port; "
              "newparam(:database) }");
    code_file(b, "production/modules/shop/lib/puppet/type/shopweb.rb", "newtype(:shopweb, :is_capability => true)");
    code_file(b, "production/modules/shop/manifests/store.pp", store);
    code_file(b, "production/modules/shop/manifests/api.pp", api);
    code_file(b, "production/modules/shop/manifests/init.pp", application);
    code_file(b, "production/manifests/site.pp", site);
}

#define STATE                                                                                                          \
    "{'version': '6.28.0', 'facts': {'db1': {'networking': {'fqdn': 'db1.lab'}, 'disks': ['vda']},"                    \
    " 'one': {'networking': {'fqdn': 'one.lab'}, 'hostname': 'one', 'disks': []}, 'app1': {'hostname': 'app1'}}}"
#define TWO_NODES                                                                                                      \
    "site { shop { 'eu': db_user => 'shop', nodes => { Node['db1'] => Shop::Store['eu'], Node['app1'] => "             \
    "Shop::Api['eu'] } } }\n"

static const json_t *resource(const json_t *catalog, const char *type, const char *title) {
    size_t i;
    json_t *r;
    json_array_foreach(json_object_get(catalog, "resources"), i, r) {
        if (strcmp(json_str(r, "type"), type) == 0 && strcmp(json_str(r, "title"), title) == 0) {
            return r;
        }
    }
    return NULL;
}

static void assert_parameters(const json_t *catalog, const char *type, const char *title, const char *expected) {
    const json_t *r = resource(catalog, type, title);
    if (r == NULL) {
        fail_msg("no %s[%s]", type, title);
    }
    assert_json(json_deep_copy(json_object_get(r, "parameters")), quoted(expected));
}

static void a_producer_has_its_capability(void **state) {
    (void)state;
    struct code_bench b;
    code_open(&b, STATE);
    write_code(&b, shop, TWO_NODES);
    json_t *catalog = code_get(&b, CATALOG("db1"), 200);
    assert_parameters(catalog, "Shop", "eu",
                      "{'db_user': 'shop', 'listen': 8080, 'nodes': {'Node[db1]': 'Shop::Store[eu]', 'Node[app1]': "
                      "'Shop::Api[eu]'}}");
    assert_parameters(catalog, "Shop::Store", "eu",
                      "{'user': 'shop', 'host': 'db1.lab', 'port': 5432, 'database': 'shop_eu', 'disk': 'vda',"
                      " 'export': 'Shopdb[db-eu]'}");
    assert_parameters(catalog, "Shopdb", "db-eu",
                      "{'host': 'db1.lab', 'port': 5432, 'database': 'shop_eu', 'require': 'Shop::Store[eu]'}");
    const json_t *capability = resource(catalog, "Shopdb", "db-eu");
    assert_json(json_deep_copy(json_object_get(capability, "tags")),
                quoted("['shopdb', 'db-eu', 'producer:production']"));
    assert_false(json_bool(capability, "exported", true));
    assert_non_null(resource(catalog, "Notify", "Component Shop::Store[eu]"));
    assert_null(resource(catalog, "Shop::Api", "eu"));
    assert_int_equal(json_array_size(b.queries), 0);
    json_decref(catalog);
    json_t *other = code_get(&b, CATALOG("web9"), 200); /* nothing of an application there */
    assert_non_null(resource(other, "Notify", "Catalog of web9"));
    json_decref(other);
    code_close(&b);
}

static void a_consumer_finds_it_in_puppetdb(void **state) {
    (void)state;
    struct code_bench b;
    code_open(&b, STATE);
    write_code(&b, shop, TWO_NODES);
    json_decref(b.rows);
    b.rows =
        quoted("[{'certname': 'db1', 'type': 'Shopdb', 'title': 'db-eu', 'tags': ['producer:staging'],"
               "  'parameters': {'host': 'db1.lab', 'port': 5432, 'database': 'd', 'require': 'Shop::Store[eu]'}}]");
    json_t *catalog = code_get(&b, CATALOG("app1"), 200);
    assert_parameters(
        catalog, "Shop::Api", "eu",
        "{'listen': 8080, 'db_host': 'db1.lab', 'db_port': 5432, 'db_name': 'd', 'consume': 'Shopdb[db-eu]',"
        " 'export': 'Shopweb[api-eu]'}");
    assert_parameters(catalog, "Shopdb", "db-eu", "{'host': 'db1.lab', 'port': 5432, 'database': 'd'}");
    assert_json(json_deep_copy(json_object_get(resource(catalog, "Shopdb", "db-eu"), "tags")),
                quoted("['shopdb', 'db-eu']"));
    assert_parameters(catalog, "Shopweb", "api-eu", "{'host': 'app1', 'port': 8080, 'require': 'Shop::Api[eu]'}");
    assert_json(json_deep_copy(json_array_get(b.queries, 0)),
                quoted("['from', 'resources', ['and', ['=', 'type', 'Shopdb'], ['=', 'title', 'db-eu'],"
                       " ['~', 'tag', '^producer:']]]"));
    json_decref(catalog);
    /* The catalog went to PuppetDB with its edges. */
    const json_t *payload = json_object_get(json_array_get(b.commands, 0), "payload");
    assert_non_null(resource(payload, "Shopweb", "api-eu"));
    assert_true(json_array_size(json_object_get(payload, "edges")) >= 6);
    code_close(&b);
}

static void on_one_node_nobody_is_asked(void **state) {
    (void)state;
    struct code_bench b;
    code_open(&b, STATE);
    write_code(&b, shop,
               "site { shop { 'eu': db_user => 'shop', nodes => { Node['one'] => [Shop::Store['eu'], Shop::Api['eu']] "
               "} } }\n");
    json_t *catalog = code_get(&b, CATALOG("one"), 200);
    assert_int_equal(json_integer_value(json_object_get(
                         json_object_get(resource(catalog, "Shop::Api", "eu"), "parameters"), "db_port")),
                     5432);
    assert_int_equal(json_array_size(b.queries), 0);
    json_decref(catalog);
    code_close(&b);
}

static void several_producers_are_narrowed_down(void **state) {
    (void)state;
    struct code_bench b;
    code_open(&b, STATE);
    write_code(&b, shop, TWO_NODES);
    json_decref(b.rows);
    b.rows = quoted("[{'certname': 'a', 'tags': ['producer:staging'], 'parameters': {'host': 'no'}},"
                    " {'certname': 'b', 'tags': ['x', 'producer:production'],"
                    "  'parameters': {'host': 'yes', 'port': 1, 'database': 'd'}}]");
    json_t *catalog = code_get(&b, CATALOG("app1"), 200);
    assert_parameters(catalog, "Shopdb", "db-eu", "{'host': 'yes', 'port': 1, 'database': 'd'}");
    json_decref(catalog);
    json_decref(b.rows);
    b.rows = quoted("[{'certname': 'a', 'tags': ['producer:production'], 'parameters': {}},"
                    " {'certname': 'b', 'tags': ['producer:production'], 'parameters': {}}]");
    json_t *two = code_get(&b, CATALOG("app1"), 500);
    assert_non_null(
        strstr(json_str(two, "message"), "Unexpected response from PuppetDB when looking up Shopdb[db-eu]:"));
    assert_non_null(strstr(json_str(two, "message"), "expected exactly one resource but got 2;"));
    json_decref(two);
    /* With a code id the question is asked once more. */
    json_decref(rig_json(&b.rig,
                         &(struct ask){.method = "PATCH",
                                       .path = "/_fake/state",
                                       .body = "{\"puppetserver\":{\"static\":{\"production\":\"c1\"}}}"},
                         204));
    json_decref(code_get(&b, CATALOG("app1"), 500));
    size_t asked = json_array_size(b.queries);
    char *last = json_text(json_array_get(b.queries, asked - 1));
    assert_non_null(strstr(last, "[\"=\",\"code_id\",\"c1\"]"));
    mem_free(last);
    code_close(&b);
}

struct wrong {
    const char *application, *rows, *message;
};

static void each_error_has_its_words(void **state) {
    (void)state;
#define ERR "Server Error: Evaluation Error: Error while evaluating a Resource Statement, "
#define AT " (file: /code/environments/production/modules/shop/manifests/init.pp, line: 1) on node n"
#define ROW "[{'certname': 'a', 'parameters': {'host': 'h', 'port': 1, 'database': 'd'}}]"
#define EXPORTS " shop::store { 's': user => 'u', export => [Shopdb['a'], Shopdb['b']] }"
    static const struct wrong cases[] = {
        {"application shop() { shop::api { 'x': consume => Shopdb['a'] }" EXPORTS "}", "[]",
         ERR "Resource Shopdb[a] could not be found; it might not have been produced yet" AT},
        {"application shop() { shop::api { 'x': consume => Shopdb['a'] }" EXPORTS "}", NULL, ERR "PuppetDB is away" AT},
        {"application shop() { shop::store { 'x': user => 'u', consume => Shopdb['a'] }" EXPORTS "}", ROW,
         ERR "Resource Shop::Store[x] tries to consume Shopdb[a] but no 'consumes' mapping exists for Shop::Store and "
             "Shopdb" AT},
        {"application shop() { shop::api { 'x': consume => [Shopdb['a'], Shopdb['b']] }" EXPORTS "}", ROW,
         ERR
         "Attempt to reassign attribute 'db_host' in 'Shop::Api[x]' caused by multiple consumed mappings to the same "
         "attribute" AT},
        {"application shop() { shop::store { 'x': user => 'u', export => Shopweb['w'] } }", "[]",
         ERR "Resource type Shop::Store does not produce Shopweb" AT},
        {"application shop() { shop::store { 'x': } }", "[]",
         ERR "Shop::Store[x]: expects a value for parameter 'user'" AT},
        {"application shop() { shop::api { 'x': consume => Shopdb['a'] }" EXPORTS "}",
         "[{'certname': 'a', 'parameters': {'host': 'h', 'database': 'd'}}]",
         ERR "Shop::Api[x]: expects a value for parameter 'db_port'" AT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct code_bench b;
        code_open(&b, STATE);
        const char *other =
            strstr(cases[i].application, "'s'") != NULL ? ", Node['elsewhere'] => Shop::Store['s']" : "";
        const char *type = strstr(cases[i].application, "shop::api") != NULL ? "Api" : "Store";
        char *site = str_printf("site { shop { 'eu': nodes => { Node['n'] => Shop::%s['x']%s } } }", type, other);
        write_code(&b, cases[i].application, site);
        json_decref(b.rows);
        b.rows = cases[i].rows != NULL ? quoted(cases[i].rows) : NULL;
        json_t *answer = code_get(&b, CATALOG("n"), cases[i].message != NULL ? 500 : 200);
        if (cases[i].message != NULL && strcmp(json_str(answer, "message"), cases[i].message) != 0) {
            fail_msg("got      %s\nexpected %s", json_str(answer, "message"), cases[i].message);
        }
        json_decref(answer);
        mem_free(site);
        code_close(&b);
    }
}

static void values_are_shown_in_catalogs(void **state) {
    (void)state;
    struct code_bench b;
    code_open(&b, "{'version': '6.28.0', 'facts': {'n': {'a': [1, {'b': true}]}}}");
    write_code(&b,
               "application shop($x = 1.5) {\n"
               "  $map = { 'k' => [1, 2], b => Notify['q'] }\n"
               "  notify { 'n': a => undef, b => true, c => \"${map} ${map['k'][-1]} ${x} ${$facts}\", d => $map, e => "
               "Shop::Api,\n"
               "    f => $map['none'], g => $map['k'][7], h => [*[1], *undef, 2], i => 1 + 2, n => -1.5, o => -$x, p "
               "=> -$map, j => upcase(-2.5), k => "
               "$x[9],\n"
               "    l => [A['b', ['c']]], m => Class['a::b'] }\n"
               "}\n",
               "site { shop { 'eu': nodes => { Node['n'] => Notify['n'] } } }");
    json_t *catalog = code_get(&b, CATALOG("n"), 200);
    assert_parameters(
        catalog, "Notify", "n",
        "{'b': true, 'c': '{k => [1, 2], b => Notify[q]} 2 1.5 <unevaluated: $facts>',"
        " 'd': {'k': [1, 2], 'b': 'Notify[q]'}, 'e': 'Shop::Api', 'h': [1, 2], 'i': '<unevaluated: 1 + 2>',"
        " 'j': '<unevaluated: upcase(-2.5)>', 'k': '<unevaluated: $x[9]>', 'l': [['A[b]', 'A[c]']],"
        " 'm': 'Class[A::B]', 'n': -1.5, 'o': -1.5, 'p': '<unevaluated: -$map>'}");
    json_decref(catalog);
    code_close(&b);
}

static void classes_are_listed_with_their_defaults(void **state) {
    (void)state;
    struct code_bench b;
    code_open(&b, NULL);
    code_file(
        &b, "production/modules/m/manifests/init.pp",
        "class m($a = [1, 'x', {b => 2.5}], $b = {'k' => true, l => [$x]}, $c = default, $d = -1, $e = ['a' => 1]) {\n"
        "  class inner { }\n  class ::outer { }\n}\n");
    code_file(&b, "production/modules/m/manifests/broken.pp", "class {");
    json_t *answer = code_get(&b, "/puppet/v3/environment_classes?environment=production", 200);
    const json_t *files = json_object_get(answer, "files");
    assert_int_equal(json_array_size(files), 2);
    assert_non_null(strstr(json_str(json_array_get(files, 0), "error"), "broken.pp, line: 1"));
    const json_t *classes = json_object_get(json_array_get(files, 1), "classes");
    assert_int_equal(json_array_size(classes), 3);
    assert_string_equal(json_str(json_array_get(classes, 1), "name"), "m::inner");
    const json_t *params = json_object_get(json_array_get(classes, 0), "params");
    assert_json(json_deep_copy(json_object_get(json_array_get(params, 0), "default_literal")),
                quoted("[1, 'x', {'b': 2.5}]"));
    for (size_t i = 1; i < 5; i++) {
        assert_null(json_object_get(json_array_get(params, i), "default_literal"));
        assert_non_null(json_str(json_array_get(params, i), "default_source"));
    }
    json_decref(answer);
    struct error err = ERROR_INIT;
    assert_null(fake_puppetserver_classes(b.ps, "nosuch", &err));
    assert_true(error_is(&err, "unexpected-response"));
    error_clear(&err);
    code_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_producer_has_its_capability),
        cmocka_unit_test(a_consumer_finds_it_in_puppetdb),
        cmocka_unit_test(on_one_node_nobody_is_asked),
        cmocka_unit_test(several_producers_are_narrowed_down),
        cmocka_unit_test(each_error_has_its_words),
        cmocka_unit_test(values_are_shown_in_catalogs),
        cmocka_unit_test(classes_are_listed_with_their_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
