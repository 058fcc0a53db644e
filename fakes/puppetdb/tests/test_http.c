/* What queries may say over HTTP, and what is said of those that say it wrong (puppetdb.md §3, §4). */
#include "base/mem.h"
#include "bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define V4 "/pdb/query/v4"

struct expectation {
    const char *path;
    int status;
    const char *answer;
};

static void check_all(void **state, const struct expectation *all, size_t count) {
    for (size_t i = 0; i < count; i++) {
        bench_expect(*state, all[i].path, all[i].status, all[i].answer);
    }
}
#define CHECK_ALL(state, list) check_all(state, list, sizeof(list) / sizeof((list)[0]))

static void test_parameters_refused(void **state) {
    static const struct expectation all[] = {
        {V4, 400, "Missing required query parameter 'query'"},
        {V4 "?query=nodes{}&colour=red", 400, "Unsupported query parameter 'colour'"},
        {V4 "/nodes?ast_only=true", 400, "Unsupported query parameter 'ast_only'"},
        {V4 "/reports/0000/logs?limit=3", 404, "{'error':'No information is known about report 0000'}"},
        {V4 "/nodes?order_by=x", 400, "Illegal value 'x' for :order_by; expected a JSON array of maps."},
        {V4 "/nodes?order_by={'field':'certname'}", 400, "Illegal value '"},
        {V4 "/nodes?order_by=['certname']", 400,
         "Illegal value '[\"certname\"]' for :order_by; expected an array of maps."},
        {V4 "/nodes?order_by=[{'order':'asc'}]", 400, "Illegal value '"},
        {V4 "/nodes?order_by=[{'field':'certname','order':'up'}]", 400, "Illegal value '"},
        {V4 "/nodes?order_by=[{'field':'certname','colour':'red'}]", 400, "Illegal value '"},
        {V4 "/nodes?order_by=[{'field':'shoe'}]", 400,
         "Unrecognized column 'shoe' specified in :order_by; Supported columns are '"},
        {V4 "/nodes?limit=0", 400, "Illegal value '0' for :limit; expected a positive non-zero integer."},
        {V4 "/nodes?limit=many", 400, "Illegal value 'many' for :limit; expected a positive non-zero integer."},
        {V4 "/nodes?offset=-1", 400, "Illegal value '-1' for :offset; expected a non-negative integer."},
        {V4 "/nodes?timeout=soon", 400, "Query timeout must be non-negative number, not soon"},
        {V4 "/nodes?timeout=-1", 400, "Query timeout must be non-negative number, not -1"},
        {V4 "/nodes?explain=loudly", 400, "Illegal value 'loudly' for :explain; expected `analyze`."},
        {V4 "/nodes?query=nodes{}", 400, "Json parse error at line 1, column "},
        {V4 "/events?distinct_resources=true", 400, "'distinct_resources' query parameter requires accompanying "},
        {V4 "/events?distinct_start_time=2020-01-01", 400, "'distinct_resources' query parameter requires "},
        {V4 "/events?distinct_start_time=2020-01-01&distinct_end_time=2020-01-02", 400,
         "'distinct_resources' query parameter must accompany "},
        {V4 "/events?distinct_resources=true&distinct_start_time=soon&distinct_end_time=later", 400,
         "query parameters 'distinct_start_time' and 'distinct_end_time' must be valid datetime strings: soon later"},
        {V4 "/events?distinct_resources=true&distinct_start_time=2020-01-01&distinct_end_time=later", 400,
         "query parameters 'distinct_start_time' and "},
        {V4 "/event-counts", 400, "Missing required query parameter 'summarize_by'"},
        {V4 "/event-counts?summarize_by=moon", 400, "Unsupported value for 'summarize_by': 'moon'"},
        {V4 "/event-counts?summarize_by=resource&count_by=moon", 400, "Unsupported value for 'count_by': 'moon'"},
        {V4 "/event-counts?summarize_by=resource&counts_filter=x", 400,
         "Illegal value 'x' for :counts_filter; expected JSON."},
        {V4 "/event-counts?summarize_by=resource&counts_filter=['=','moons',1]", 400,
         "[\"=\" \"moons\" 1] is not well-formed"},
        {V4 "/event-counts?summarize_by=resource&counts_filter=['~','skips',1]", 400,
         "[\"~\" \"skips\" 1] is not well-formed"},
        {V4 "/event-counts?summarize_by=certname&order_by=[{'field':'title'}]", 400,
         "Unrecognized column 'title' specified in :order_by; Supported columns are 'failures', 'skips', 'successes', "
         "'noops', 'certname'"},
        {V4 "/aggregate-event-counts?summarize_by=certname,moon", 400, "Unsupported value for 'summarize_by': 'moon'"},
        {V4 "/aggregate-event-counts?summarize_by=certname&limit=1", 400, "Unsupported query parameter 'limit'"},
    };
    CHECK_ALL(state, all);
}

static void test_order_errors_show_the_map(void **state) {
    struct reply r = bench_get(*state, V4 "/nodes?order_by=[{'order':'asc'}]");
    assert_non_null(strstr(r.body.ptr, "in :order_by; missing required key 'field'."));
    reply_clear(&r);
    r = bench_get(*state, V4 "/nodes?order_by=[{'field':'certname','order':'up'}]");
    assert_non_null(strstr(r.body.ptr, "in :order_by; 'order' must be either 'asc' or 'desc'"));
    reply_clear(&r);
    r = bench_get(*state, V4 "/nodes?order_by=[{'field':'certname','colour':'red'}]");
    assert_non_null(strstr(r.body.ptr, "in :order_by; unknown key '"));
    reply_clear(&r);
}

#define EXTRACT "?query=['extract','certname']"

static void test_parameters_heeded(void **state) {
    static const struct expectation all[] = {
        {V4 "/nodes" EXTRACT "&order_by=[{'field':'certname','order':'DESC'}]&limit=2", 200,
         "[{'certname':'b1'},{'certname':'a2'}]"},
        {V4 "/nodes" EXTRACT "&order_by=[{'field':'certname'}]&offset=1", 200, "[{'certname':'a2'},{'certname':'b1'}]"},
        {V4 "/nodes" EXTRACT "&order_by= &limit=1&offset=2&timeout=1.5&origin=test", 200, "[{'certname':'b1'}]"},
        {V4 "/nodes?query=['extract',[['function','count']]]&optimize_drop_unused_joins=true", 200, "[{'count':3}]"},
        {V4 "?query=nodes[certname]{certname='a1'}", 200, "[{'certname':'a1'}]"},
        {V4 "?query= ['from','nodes',['extract','certname',['=','certname','a1']]]", 200, "[{'certname':'a1'}]"},
        {V4 "?query=nodes[certname]{certname='a1'}&ast_only=true", 200,
         "['from','nodes',['extract',['certname'],['=','certname','a1']]]"},
        {V4 "?query=nodes[certname]{certname='a1'}&ast_only=no", 200, "[{'certname':'a1'}]"},
    };
    CHECK_ALL(state, all);
    struct reply r = bench_get(*state, V4 "/nodes?limit=1&include_total=TRUE&query=['extract','certname']");
    assert_string_equal(reply_header(&r, "x-records"), "3");
    assert_int_equal(json_array_size(r.json), 1);
    reply_clear(&r);
    r = bench_get(*state, V4 "/nodes?query=['extract','certname',['=','certname','a1']]&pretty=true");
    assert_string_equal(r.body.ptr, "[ {\n  \"certname\" : \"a1\"\n} ]");
    assert_null(reply_header(&r, "x-records"));
    reply_clear(&r);
    r = bench_get(*state, V4 "/nodes/a1?include_facts_expiration=true");
    assert_true(json_is_true(json_object_get(r.json, "expires_facts")));
    assert_true(json_is_null(json_object_get(r.json, "expires_facts_updated")));
    reply_clear(&r);
    r = bench_get(*state, V4 "/factsets?include_package_inventory=true&query=['=','certname','a1']");
    json_t *packages = quoted("[['openssl','3.0','apt']]");
    assert_true(json_equal(json_object_get(json_array_get(r.json, 0), "package_inventory"), packages));
    json_decref(packages);
    reply_clear(&r);
    r = bench_get(*state, V4 "/fact-names?include_total=true&limit=1&pretty=true");
    assert_string_equal(reply_header(&r, "x-records"), "9");
    assert_string_equal(r.body.ptr, "[ \"a.b\" ]");
    reply_clear(&r);
}

static void test_pretty(void **state) {
    static const struct {
        const char *path, *text;
    } all[] = {
        {V4 "/nodes?query=['=','certname','none']&pretty=true", "[ ]"},
        {V4 "/facts/disks?query=['extract','value']&pretty=true",
         "[ {\n  \"value\" : [ {\n    \"size\" : 10\n  }, {\n    \"size\" : 20\n  } ]\n} ]"},
        {V4 "/resources?query=['extract',['title','tags']]&pretty=true",
         "[ {\n  \"title\" : \"Nginx\",\n  \"tags\" : [ \"class\", \"nginx\" ]\n} ]"},
        {V4 "/facts/odd?query=['extract','value']&pretty=true",
         "[ {\n  \"value\" : {\n    \"a\" : { },\n    \"b\" : [ ],\n    \"c\" : \"[{:,\\\"}\"\n  }\n} ]"},
    };
    bench_command(*state, "replace_facts", 5, "p1",
                  "{'certname':'p1','environment':'e','producer':null,'producer_timestamp':'2031-01-01T00:00:00Z',"
                  "'values':{'odd':{'a':{},'b':[],'c':'[{:,\\'}'}}}",
                  true);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct reply r = bench_get(*state, all[i].path);
        assert_string_equal(r.body.ptr, all[i].text);
        reply_clear(&r);
    }
}

static void test_bodies(void **state) {
    bench_expect_post(*state, V4, "{'query':['from','nodes',['extract','certname',['=','certname','a1']]]}", 200,
                      "[{'certname':'a1'}]");
    bench_expect_post(*state, V4 "/nodes",
                      "{'query':['extract','certname'],'order_by':[{'field':'certname','order':'desc'}],'limit':1,"
                      "'offset':null,'timeout':2}",
                      200, "[{'certname':'b1'}]");
    bench_expect_post(*state, V4 "/nodes", "{'query':['extract','certname'],'limit':'2','offset':'2'}", 200,
                      "[{'certname':'b1'}]");
    bench_expect_post(*state, V4, "{'query':'nodes[certname]{certname=\\'a1\\'}'}", 200, "[{'certname':'a1'}]");
    bench_expect_post(*state, V4 "/events",
                      "{'distinct_resources':false,'distinct_start_time':'2026-01-02','distinct_end_time':'2026-01-03',"
                      "'query':['extract','property']}",
                      200, "[{'property':'ensure'}]");
    bench_expect_post(*state, V4 "/nodes", "['query']", 400, "Key must be integer");
    bench_expect_post(*state, V4 "/nodes", "{'query':5}", 500, "the query must be text or a list");
    bench_expect_post(*state, V4 "/nodes", "{'query':['=','certname','a1']", 400, "Json parse error");
    bench_expect_post(*state, V4 "/nodes", "{'limit':-1}", 400,
                      "Illegal value '-1' for :limit; expected a positive non-zero integer.");
    bench_expect_post(*state, V4 "/nodes", "{'limit':1.5}", 400,
                      "Illegal value '1.5' for :limit; expected a positive non-zero integer.");
    bench_expect_post(*state, V4 "/nodes", "{'order_by':[['certname','asc']]}", 400, "Illegal value '");
}

static void test_paths(void **state) {
    static const struct expectation all[] = {
        {V4 "/nodes/a1/facts/tier?query=['extract','value']", 200, "[{'value':'gold'}]"},
        {V4 "/nodes/a1/facts/tier/gold?query=['extract','name']", 200, "[{'name':'tier'}]"},
        {V4 "/nodes/a1/facts/tier/silver", 200, "[]"},
        {V4 "/nodes/a1/resources/Class?query=['extract','title']", 200, "[{'title':'Nginx'}]"},
        {V4 "/nodes/a1/resources/Class/Nginx?query=['extract','title']", 200, "[{'title':'Nginx'}]"},
        {V4 "/nodes/a1/resources/Class/Redis", 200, "[]"},
        {V4 "/nodes/zz/facts/tier", 404, "{'error':'No information is known about node zz'}"},
        {V4 "/nodes/zz/resources/Class", 404, "{'error':'No information is known about node zz'}"},
        {V4 "/facts/tier/gold?query=['extract','certname']", 200, "[{'certname':'a1'}]"},
        {V4 "/facts/ti%65r?query=['extract','certname']", 200, "[{'certname':'a1'}]"},
        {V4 "/factsets/a1/facts?query=['extract','hash']", 200, "["},
        {V4 "/factsets/zz/facts", 404, "{'error':'No information is known about factset zz'}"},
        {V4 "/catalogs/a1/edges", 200, "[]"},
        {V4 "/catalogs/a1/resources?query=['extract','title']", 200, "[{'title':'Nginx'}]"},
        {V4 "/catalogs/a1/resources/Class?query=['extract','title']", 200, "[{'title':'Nginx'}]"},
        {V4 "/catalogs/a1/resources/Class/Nginx?query=['extract','title']", 200, "[{'title':'Nginx'}]"},
        {V4 "/catalogs/zz/edges", 404, "{'error':'No information is known about catalog zz'}"},
        {V4 "/resources/Class?query=['extract','certname']", 200, "[{'certname':'a1'}]"},
        {V4 "/resources/Class/Nginx?query=['extract','certname']", 200, "[{'certname':'a1'}]"},
        {V4 "/environments/staging", 200, "{'name':'staging'}"},
        {V4 "/environments/staging/facts?query=['extract','name',['=','name','os']]", 200, "[{'name':'os'}]"},
        {V4 "/environments/production/facts/tier?query=['extract','certname']", 200, "[{'certname':'a1'}]"},
        {V4 "/environments/production/facts/tier/gold?query=['extract','certname']", 200, "[{'certname':'a1'}]"},
        {V4 "/environments/staging/facts/tier/gold", 200, "[]"},
        {V4 "/environments/production/resources?query=['extract','title']", 200, "[{'title':'Nginx'}]"},
        {V4 "/environments/production/resources/Class?query=['extract','title']", 200, "[{'title':'Nginx'}]"},
        {V4 "/environments/staging/resources/Class/Nginx", 200, "[]"},
        {V4 "/environments/production/reports?query=['extract','status',['=','job_id','12']]", 200,
         "[{'status':'changed'}]"},
        {V4 "/environments/production/events?query=['extract','property']", 200, "[{'property':'ensure'}]"},
        {V4 "/environments/moon/events", 404, "{'error':'No information is known about environment moon'}"},
        {V4 "/producers/pp.lab.example", 200, "{'name':'pp.lab.example'}"},
        {V4 "/producers/pp.lab.example/factsets?query=['extract','certname',['=','certname','a1']]", 200,
         "[{'certname':'a1'}]"},
        {V4 "/producers/pp.lab.example/catalogs?query=['extract','certname',['=','certname','a1']]", 200,
         "[{'certname':'a1'}]"},
        {V4 "/producers/pp.lab.example/reports?query=['extract','status',['=','job_id','11']]", 200,
         "[{'status':'failed'}]"},
        {V4 "/producers/moon/reports", 404, "{'error':'No information is known about producer moon'}"},
        {V4 "/producers/moon", 404, "{'error':'No information is known about producer moon'}"},
        {V4 "/package-inventory/a1", 200,
         "[{'certname':'a1','package_name':'openssl','version':'3.0','provider':'apt'}]"},
        {V4 "/fact-names?query=['~','name','^t']", 200, "['tier','trusted']"},
        {V4 "/fact-names?order_by=[{'field':'name','order':'desc'}]&limit=1", 200, "['virtual']"},
        {V4 "/reports/0000/logs", 404, "{'error':'No information is known about report 0000'}"},
        {"/pdb/query/v1/nodes", 404, "The v1 API has been retired; please use v4"},
    };
    CHECK_ALL(state, all);
}

static void test_event_counts(void **state) {
    static const struct expectation all[] = {
        {V4 "/event-counts?summarize_by=certname", 200,
         "[{'subject_type':'certname','subject':{'title':'a2'},'failures':0,'skips':0,'successes':1,'noops':0}]"},
        {V4 "/event-counts?summarize_by=resource&count_by=certname&query=['=','certname','a2']", 200,
         "[{'subject_type':'resource','subject':{'type':'File','title':'/x'},'failures':0,'skips':0,'successes':1,"
         "'noops':0}]"},
        {V4 "/event-counts?summarize_by=containing_class&order_by=[{'field':'successes'}]&limit=5&offset=0", 200,
         "[{'subject_type':'containing_class','subject':{'title':'Nginx'},'failures':0,'skips':0,'successes':1,"
         "'noops':0}]"},
        {V4 "/event-counts?summarize_by=certname&offset=1", 200, "[]"},
        {V4 "/event-counts?summarize_by=certname&query=['=','certname','b1']", 200, "[]"},
        {V4 "/event-counts?summarize_by=certname&counts_filter=['>','successes',1]", 200, "[]"},
        {V4 "/event-counts?summarize_by=certname&counts_filter=['or',['=','successes','1'],['not',['=','skips',0]]]",
         200, "[{'subject_type':'certname','subject':{'title':'a2'},'failures':0,'skips':0,'successes':1,'noops':0}]"},
        {V4 "/aggregate-event-counts?summarize_by=certname,resource&counts_filter=['and',['>=','successes',1]]", 200,
         "[{'summarize_by':'certname','failures':0,'skips':0,'successes':1,'noops':0,'total':1},"
         "{'summarize_by':'resource','failures':0,'skips':0,'successes':1,'noops':0,'total':1}]"},
        {V4 "/events?distinct_resources=true&distinct_start_time=2026-01-01&distinct_end_time=2026-01-02&query="
            "['extract','property']",
         200, "[{'property':'ensure'}]"},
        {V4 "/events?distinct_resources=true&distinct_start_time=2026-01-02&distinct_end_time=2026-01-03&query="
            "['extract','property']",
         200, "[]"},
    };
    CHECK_ALL(state, all);
}

/* ---------------------------------------------------------------- who may ask */

static bool permits(void *ctx, const char *token, const char *permission, struct error *err) {
    strcat(ctx, permission);
    strcat(ctx, " ");
    return strcmp(token, "good") == 0 ? true
           : strcmp(token, "reader") == 0
               ? strncmp(permission, "nodes:view", 10) == 0 || error_set(err, "denied", "reader lacks %s", permission)
               : error_set(err, "puppetlabs.rbac/token-unknown", "no such token");
}

static void test_tokens(void **state) {
    (void)state;
    char asked[512] = "";
    json_t *given = quoted("{'nodes':[{'certname':'a1','facts':{}}],'allowlist':['orch']}");
    struct fake_puppetdb_opts opts = {.state = given, .token_permits = permits, .token_ctx = asked};
    struct bench b = bench_up(&opts);
    json_decref(given);
    static const char query[] = V4 "?query=nodes[certname]{}";
    static const char command[] = "/pdb/cmd/v1?command=deactivate_node&version=3&certname=a1";
    b.cn = NULL;
    bench_expect(&b, query, 401, "Permission denied: No client certificate and no token provided.");
    b.token = "bad";
    bench_expect(&b, query, 401, "Permission denied: no such token");
    b.token = "reader";
    bench_expect(&b, query, 200, "[{'certname':'a1'}]");
    bench_expect_post(&b, command, "{'certname':'a1'}", 403, "Permission denied: reader lacks nodes:edit_data:*");
    b.token = "good";
    bench_expect_post(&b, command, "{'certname':'a1'}", 200, "{\"uuid\":");
    assert_string_equal(asked, "nodes:view_data:* nodes:view_data:* nodes:edit_data:* nodes:edit_data:* ");
    b.cn = "stranger"; /* a certificate goes before a token */
    bench_expect(&b, query, 403, "Permission denied: The client certificate name stranger doesnt appear in ");
    b.cn = "orch";
    b.token = NULL;
    bench_expect(&b, query, 200, "[]");
    bench_down(&b);
}

static void test_controls(void **state) {
    struct bench *b = *state;
    bench_expect_post(b, "/_fake/maintenance", "{'on':1}", 400, "{");
    bench_expect_post(b, "/_fake/maintenance", "{'on':true}", 204, "");
    bench_expect(b, V4 "/nodes", 503, "PuppetDB is currently down. Try again later.");
    bench_expect(b, "/status/v1/simple", 503, "unknown");
    bench_expect_post(b, "/_fake/maintenance", "{'on':false}", 204, "");
    bench_expect_post(b, "/_fake/database", "{'up':false}", 204, "");
    bench_expect(b, V4 "/nodes/a1", 500, "Connection refused");
    bench_expect(b, "/status/v1/simple", 503, "error");
    bench_expect_post(b, "/_fake/database", "not JSON", 400, "{");
    bench_expect_post(b, "/_fake/reset", "", 204, "");
    bench_expect(b, V4 "/environments/staging", 200, "{'name':'staging'}");
    bench_expect(b, "/pdb/admin/v1/cmd", 501, "");
    bench_expect(b, "/metrics/v2/list", 501, "");
}

int main(void) {
    mem_init_libraries();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_parameters_refused, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(test_order_errors_show_the_map, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(test_parameters_heeded, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(test_pretty, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(test_bodies, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(test_paths, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(test_event_counts, bench_set_up, bench_tear_down),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test_setup_teardown(test_controls, bench_set_up, bench_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
