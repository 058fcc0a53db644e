/* The environment catalog: applications of site.pp, and each check of puppetserver.md §17. */
#include "base/mem.h"
#include "code.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define GRAPH "/puppet/v3/environment/production"

static const char store[] =
    "define shop::store(String $user, Integer $port = 5432) {\n  notify { \"store ${name}\": }\n}\n"
    "Shop::Store produces Shopdb { }\n";
static const char api[] = "define shop::api(String $db_host, Integer $listen = 8080) { }\n"
                          "Shop::Api consumes Shopdb { db_host => $host }\n"
                          "Shop::Api produces Shopweb { host => $facts['networking']['fqdn'], port => $listen }\n";
static const char front[] = "define shop::front(Array $backends = []) {\n"
                            "  $backends.each |$i, $b| { notify { \"front ${name} ${i}\": } }\n}\n";
static const char shop[] =
    "application shop(String $db_user, Integer $listen = 8080) {\n"
    "  shop::store { $name: user => $db_user, export => Shopdb[\"db-${name}\"] }\n"
    "  shop::api { \"${name}-1\": listen => $listen, consume => Shopdb[\"db-${name}\"], export => "
    "Shopweb[\"api-${name}-1\"] }\n"
    "  shop::api { \"${name}-2\": listen => $listen, consume => Shopdb[\"db-${name}\"], export => "
    "Shopweb[\"api-${name}-2\"] }\n"
    "  shop::front { $name: backends => [Shopweb[\"api-${name}-1\"], Shopweb[\"api-${name}-2\"]],\n"
    "                       require  => [Shopweb[\"api-${name}-1\"], Shopweb[\"api-${name}-2\"]] }\n"
    "}\n";
static const char site[] =
    "site {\n"
    "  shop { 'eu': db_user => 'shop', nodes => {\n"
    "      Node['db1'] => Shop::Store['eu'], Node['app1'] => Shop::Api['eu-1'],\n"
    "      Node['app2'] => Shop::Api['eu-2'], Node['lb1'] => Shop::Front['eu'] } }\n"
    "  shop { 'dev': db_user => 'shop', nodes => {\n"
    "      Node['dev1'] => [ Shop::Store['dev'], Shop::Api['dev-1', 'dev-2'], Shop::Front['dev'] ] } }\n"
    "}\n";

static void write_shop(struct code_bench *b, const char *application, const char *manifest) {
    code_file(b, "production/modules/shop/lib/puppet/type/shopdb.rb",
              "Puppet::Type.newtype :shopdb, :is_capability => true do\nend\n");
    code_file(b, "production/modules/shop/lib/puppet/type/shopweb.rb", "newtype(:shopweb, is_capability: true) { }\n");
    code_file(b, "production/modules/shop/lib/puppet/type/plain.rb", "newtype(:plain) { }\n");
    code_file(b, "production/modules/shop/manifests/store.pp", store);
    code_file(b, "production/modules/shop/manifests/api.pp", api);
    code_file(b, "production/modules/shop/manifests/front.pp", front);
    code_file(b, "production/modules/shop/manifests/klass.pp", "class shop::klass { }\n");
    code_file(b, "production/modules/shop/manifests/init.pp", application);
    code_file(b, "production/manifests/site.pp", manifest);
}

static void the_worked_example(void **state) {
    (void)state;
    struct code_bench b;
    code_open(&b, "{'version': '6.28.0'}");
    write_shop(&b, shop, site);
    json_t *graph = code_get(&b, GRAPH, 200);
    assert_json(
        json_deep_copy(graph),
        quoted(
            "{'environment': 'production', 'code_id': null, 'applications': {"
            " 'Shop[eu]': {"
            "  'Shop::Store[eu]': {'produces': ['Shopdb[db-eu]'], 'consumes': [], 'node': 'db1'},"
            "  'Shop::Api[eu-1]': {'produces': ['Shopweb[api-eu-1]'], 'consumes': ['Shopdb[db-eu]'], 'node': 'app1'},"
            "  'Shop::Api[eu-2]': {'produces': ['Shopweb[api-eu-2]'], 'consumes': ['Shopdb[db-eu]'], 'node': 'app2'},"
            "  'Shop::Front[eu]': {'produces': [], 'consumes': ['Shopweb[api-eu-1]', 'Shopweb[api-eu-2]'],"
            "    'node': 'lb1'}},"
            " 'Shop[dev]': {"
            "  'Shop::Store[dev]': {'produces': ['Shopdb[db-dev]'], 'consumes': [], 'node': 'dev1'},"
            "  'Shop::Api[dev-1]': {'produces': ['Shopweb[api-dev-1]'], 'consumes': ['Shopdb[db-dev]'], 'node': "
            "'dev1'},"
            "  'Shop::Api[dev-2]': {'produces': ['Shopweb[api-dev-2]'], 'consumes': ['Shopdb[db-dev]'], 'node': "
            "'dev1'},"
            "  'Shop::Front[dev]': {'produces': [], 'consumes': ['Shopweb[api-dev-1]', 'Shopweb[api-dev-2]'],"
            "    'node': 'dev1'}}}}"));
    /* Order of declaration is kept. */
    const json_t *applications = json_object_get(graph, "applications");
    void *first = json_object_iter((json_t *)(uintptr_t)applications);
    assert_string_equal(json_object_iter_key(first), "Shop[eu]");
    void *component = json_object_iter(json_object_iter_value(first));
    assert_string_equal(json_object_iter_key(component), "Shop::Store[eu]");
    json_decref(graph);
    json_t *with_id = code_get(&b, GRAPH "?code_id=abc", 200);
    assert_string_equal(json_str(with_id, "code_id"), "abc");
    json_decref(with_id);
    code_close(&b);
}

static void who_may_ask_and_when(void **state) {
    (void)state;
    struct code_bench b;
    code_open(&b, "{'version': '6.28.0'}");
    assert_json(code_get(&b, GRAPH, 200), quoted("{'environment': 'production', 'applications': {}, 'code_id': null}"));
    assert_json(
        code_get(&b, "/puppet/v3/environment/nosuch", 404),
        quoted("{'message': 'Not Found: nosuch is not a known environment', 'issue_kind': 'RESOURCE_NOT_FOUND'}"));
    struct reply other = rig_ask(&b.rig, &(struct ask){.path = GRAPH, .cn = "node1"});
    assert_int_equal(other.status, 403);
    reply_clear(&other);
    code_close(&b);
    code_open(&b, "{'version': '7.9.5'}");
    char *text = code_text(&b, GRAPH, 404);
    assert_non_null(strstr(text, "<title>Error 404 Not Found</title>"));
    mem_free(text);
    code_close(&b);
}

/* What an application and a site give: the message, or NULL for success. */
struct wrong {
    const char *application, *site, *message;
};

static void expect_message(const char *options, const struct wrong *w) {
    struct code_bench b;
    code_open(&b, options);
    write_shop(&b, w->application, w->site);
    if (w->message == NULL) {
        json_decref(code_get(&b, GRAPH, 200));
    } else {
        json_t *answer = code_get(&b, GRAPH, 500);
        assert_string_equal(json_str(answer, "issue_kind"), "RUNTIME_ERROR");
        char *expected = str_printf("Server Error: %s", w->message);
        if (strcmp(json_str(answer, "message"), expected) != 0) {
            fail_msg("got      %s\nexpected %s", json_str(answer, "message"), expected);
        }
        mem_free(expected);
        json_decref(answer);
    }
    code_close(&b);
}

#define SITE "/code/environments/production/manifests/site.pp"
#define INIT "/code/environments/production/modules/shop/manifests/init.pp"
#define STORE_APP "application shop() { shop::store { $name: user => 'x', export => Shopdb[$name] } }\n"
#define NODES "nodes => { Node['n1'] => Shop::Store['x'] }"

static void each_check_has_its_message(void **state) {
    (void)state;
    static const struct wrong cases[] = {
        {STORE_APP, "site { shop { 'x': " NODES " } }", NULL},
        {STORE_APP, "", NULL},
        {STORE_APP, "node default { }\nnotify { 'x': }", NULL},
        {STORE_APP, "shop { 'x': " NODES " }", NULL}, /* no site: pruned */
        {STORE_APP, "site { }\nshop { 'x': " NODES " }",
         "Application instances like 'Shop[x]' can only be contained within a Site (file: " SITE
         ", line: 2) in environment production"},
        {STORE_APP, "site {\n  notify { 'x': }\n}",
         "Only application components can appear inside a site - Notify[x] is not allowed (file: " SITE
         ", line: 2) in environment production"},
        {STORE_APP, "site { shop { 'x': nodes => 'a' } }",
         "Shop[x]: parameter 'nodes' expects a Hash value, got String in environment production"},
        {STORE_APP, "site { shop { 'x': nodes => { 'a' => Shop::Store['x'] } } }",
         "Shop[x]: parameter 'nodes' key of entry 'a' expects a Type[Resource] value, got String in environment "
         "production"},
        {STORE_APP, "site { shop { 'x': nodes => { Host['a'] => Shop::Store['x'] } } }",
         "Invalid node mapping in Shop[x]: Key Host[a] is not a Node (file: " SITE ", line: 1)"},
        {STORE_APP, "site { shop { 'x': nodes => { Node['a'] => 'b' } } }",
         "Invalid node mapping in Shop[x]: Value b is not a resource (file: " SITE ", line: 1)"},
        {STORE_APP, "site { shop { 'x': } }",
         "Shop[x]: expects a value for parameter 'nodes' in environment production"},
        {STORE_APP,
         "site { shop { 'x': nodes => { Node['n1'] => Shop::Store['x'], Node['n2'] => Shop::Api['eu-9'] } } }",
         "Application Shop[x] assigns nodes to non-existent components: Shop::Api[eu-9] (file: " SITE ", line: 1)"},
        {STORE_APP, "site { shop { 'x': nodes => { } } }",
         "Application Shop[x] has components without assigned nodes: Shop::Store[x] (file: " SITE ", line: 1)"},
        {STORE_APP, "site { shop { 'x': nodes => { Node['a'] => Shop::Store['x'], Node['b'] => Shop::Store['x'] } } }",
         "Application Shop[x] assigns multiple nodes to component Shop::Store[x] (file: " SITE ", line: 1)"},
        {"application shop() { shop::api { $name: consume => Shopweb['b-x'] } }",
         "site { shop { 'x': nodes => { Node['a'] => Shop::Api['x'] } } }",
         "Capability 'Shopweb[b-x]' referenced by 'consume' is never exported (file: " INIT
         ", line: 1) in environment production"},
        {"application shop() { shop::api { $name: require => [Shopweb['r'], File['/x']] } }",
         "site { shop { 'x': nodes => { Node['a'] => Shop::Api['x'] } } }",
         "Capability 'Shopweb[r]' referenced by 'require' is never exported (file: " INIT
         ", line: 1) in environment production"},
        {"application shop() { shop::store { $name: export => Shopdb['s'] } }",
         "site { shop { 'x': " NODES " } shop { 'y': nodes => { Node['n1'] => Shop::Store['y'] } } }",
         "'Shopdb[s]' is exported by both 'Shop::Store[x]' and 'Shop::Store[y]' (file: " INIT
         ", line: 1) in environment production"},
        {"application shop() { shop::store { $name: export => Plain['s'] } }", "site { shop { 'x': " NODES " } }",
         "Invalid export in Shop::Store[x]: Plain[s] is not a capability resource (file: " INIT
         ", line: 1) in environment production"},
        {"application shop() { shop::store { $name: consume => 'text' } }", "site { shop { 'x': " NODES " } }",
         "Invalid consume in Shop::Store[x]: text is not a capability resource (file: " INIT
         ", line: 1) in environment production"},
        {STORE_APP, "site {\n shop { 'x': " NODES " }\n shop { 'x': " NODES " }\n}",
         "Evaluation Error: Error while evaluating a Resource Statement, Duplicate declaration: Shop[x] is already "
         "declared "
         "at (file: " SITE ", line: 2); cannot redeclare (file: " SITE ", line: 3) in environment production"},
        {"application shop() {\n shop::store { 'a': }\n shop::store { 'a': }\n}", "site { shop { 'x': " NODES " } }",
         "Evaluation Error: Error while evaluating a Resource Statement, Duplicate declaration: Shop::Store[a] is "
         "already "
         "declared at (file: " INIT ", line: 2); cannot redeclare (file: " INIT ", line: 3) in environment production"},
        {STORE_APP, "site { shop { 'x': " NODES " } }\nsite { }",
         "Site is already defined (file: " SITE ", line: 1); cannot redefine (file: " SITE
         ", line: 2) in environment production"},
        {STORE_APP, "site { Nosuch::Thing produces Shopdb { } }",
         "Capability mapping error: produces clause references nonexistent type Nosuch::Thing (file: " SITE
         ", line: 1) in environment production"},
        {"application shop() { nosuch::thing { 'a': } }", "site { shop { 'x': " NODES " } }",
         "Evaluation Error: Error while evaluating a Resource Statement, Unknown resource type: 'nosuch::thing' "
         "(file: " INIT ", line: 1) in environment production"},
        {"application shop($must) { }", "site { shop { 'x': nodes => {} } }",
         "Shop[x]: expects a value for parameter 'must' in environment production"},
        {"application shop() { }", "site { shop { 'x': odd => 1, nodes => {} } }",
         "Shop[x]: has no parameter named 'odd' in environment production"},
        {"application shop() { if true { } }", "site { shop { 'x': nodes => {} } }",
         "This statement cannot be evaluated inside an application: if true { } (file: " INIT
         ", line: 1) in environment production"},
        {STORE_APP, "site { $x = 1 }",
         "This statement cannot be evaluated inside a site: $x = 1 (file: " SITE
         ", line: 1) in environment production"},
        {STORE_APP, "site {",
         "expected an expression, found the end of the input (file: " SITE
         ", line: 1, column: 7) in environment production"},
        {"application shop( {", "site { shop { 'x': nodes => {} } }",
         "expected a parameter, found '{' (file: " INIT ", line: 1, column: 19) in environment production"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_message("{'version': '6.28.0'}", &cases[i]);
    }
}

static void older_versions_have_other_words(void **state) {
    (void)state;
    static const struct wrong cases[] = {
        {STORE_APP, "site { shop { 'x': nodes => 'a' } }",
         "Invalid node mapping in Shop[x]: Mapping must be a hash (file: " SITE ", line: 1)"},
        {STORE_APP, "site { shop { 'x': nodes => { 'a' => Shop::Store['x'] } } }",
         "Invalid node mapping in Shop[x]: Key a is not a Node (file: " SITE ", line: 1)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_message("{'version': '5.3.5'}", &cases[i]);
    }
}

static void odds_and_ends(void **state) {
    (void)state;
    struct code_bench b;
    code_open(&b, "{'version': '6.28.0', 'capability_types': ['Listed'], 'class_components': true}");
    write_shop(&b,
               "application shop($n = 2, *$more) {\n"
               "  $who = ['a', 'b']\n"
               "  include foo\n"
               "  notify { $who: require => Listed['l'] }\n"
               "  class { 'shop::klass': export => Listed['l'] }\n"
               "  shop::store { \"s${n}\": user => 'x', * => { 'a' => 1 } }\n"
               "}\n",
               "site {\n"
               "  # comment { with braces\n"
               "  shop { 'Health Check': nodes => {\n"
               "    Node['n1'] => [Notify[['a', 'b']], Class['shop::klass'], Shop::Store['s2']] }, more => undef }\n"
               "}\n");
    json_t *graph = code_get(&b, GRAPH, 200);
    assert_json(json_deep_copy(json_object_get(json_object_get(graph, "applications"), "Shop[Health Check]")),
                quoted("{'Notify[a]': {'produces': [], 'consumes': ['Listed[l]'], 'node': 'n1'},"
                       " 'Notify[b]': {'produces': [], 'consumes': ['Listed[l]'], 'node': 'n1'},"
                       " 'Class[Shop::Klass]': {'produces': ['Listed[l]'], 'consumes': [], 'node': 'n1'},"
                       " 'Shop::Store[s2]': {'produces': [], 'consumes': [], 'node': 'n1'}}"));
    json_decref(graph);
    code_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worked_example),
        cmocka_unit_test(who_may_ask_and_when),
        cmocka_unit_test(each_check_has_its_message),
        cmocka_unit_test(older_versions_have_other_words),
        cmocka_unit_test(odds_and_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
