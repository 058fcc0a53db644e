/* What commands do to what is known (puppetdb.md §16). */
#include "base/json.h"
#include "base/mem.h"
#include "bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FACTS(TIME, VALUES)                                                                                            \
    "{'certname':'c1','environment':'production','producer':'pp','producer_timestamp':'" TIME "','values':" VALUES "}"

static void facts_at(struct bench *b, const char *time, const char *values) {
    char *payload = str_printf("{'certname':'c1','environment':'production','producer':'pp','producer_timestamp':'%s',"
                               "'values':%s}",
                               time, values);
    bench_command(b, "replace_facts", 5, "c1", payload, true);
    mem_free(payload);
}

static void test_facts_are_replaced(void **state) {
    facts_at(*state, "2031-01-01T00:00:00Z", "{'a':1,'deep':{'x':[true,'t']},'gone':1.5}");
    bench_finds(*state, "facts[name, value]{ certname = \"c1\" order by name }",
                "[{'name':'a','value':1},{'name':'deep','value':{'x':[true,'t']}},{'name':'gone','value':1.5}]");
    bench_finds(*state, "fact_paths[path, type]{ name in [\"a\", \"deep\", \"gone\"] order by path }",
                "[{'path':['a'],'type':'integer'},{'path':['deep','x',0],'type':'boolean'},"
                "{'path':['deep','x',1],'type':'string'},{'path':['gone'],'type':'float'}]");
    facts_at(*state, "2031-01-02T00:00:00Z", "{'a':'one','deep':{'x':[true]}}");
    bench_finds(*state, "facts[name, value]{ certname = \"c1\" order by name }",
                "[{'name':'a','value':'one'},{'name':'deep','value':{'x':[true]}}]");
    bench_finds(*state, "fact_paths[path, type]{ name in [\"a\", \"deep\", \"gone\"] order by path }",
                "[{'path':['a'],'type':'string'},{'path':['deep','x',0],'type':'boolean'}]");
    bench_finds(*state, "inventory[certname]{ facts.a = 1 }", "[]");
    bench_finds(*state, "inventory[certname]{ facts.a = \"one\" and facts.deep.x[0] = true }", "[{'certname':'c1'}]");
}

static void test_older_facts_are_ignored(void **state) {
    facts_at(*state, "2031-01-02T00:00:00Z", "{'a':2}");
    facts_at(*state, "2031-01-01T00:00:00Z", "{'a':1}");
    bench_finds(*state, "facts[value]{ certname = \"c1\" }", "[{'value':2}]");
    facts_at(*state, "2031-01-02T00:00:00Z", "{'a':3}"); /* of the same time: the later one */
    bench_finds(*state, "facts[value]{ certname = \"c1\" }", "[{'value':3}]");
    bench_finds(*state, "factsets[producer_timestamp, producer]{ certname = \"c1\" }",
                "[{'producer_timestamp':'2031-01-02T00:00:00.000Z','producer':'pp'}]");
}

static void test_packages_follow_facts(void **state) {
    bench_command(*state, "replace_facts", 5, "c1",
                  "{'certname':'c1','environment':'e','producer':null,'producer_timestamp':'2031-01-01T00:00:00Z',"
                  "'values':{},'package_inventory':[['vim','9','apt'],['gcc','12','apt'],['odd']]}",
                  true);
    bench_finds(*state, "package_inventory[package_name]{ certname = \"c1\" order by package_name }",
                "[{'package_name':'gcc'},{'package_name':'vim'}]");
    bench_finds(*state, "factsets[producer]{ certname = \"c1\" }", "[{'producer':null}]");
    facts_at(*state, "2031-01-02T00:00:00Z", "{}");
    bench_finds(*state, "package_inventory{ certname = \"c1\" }", "[]");
}

static void deactivate(struct bench *b, const char *time) {
    char *payload = str_printf("{'certname':'c1','producer_timestamp':'%s'}", time);
    bench_command(b, "deactivate_node", 3, "c1", payload, true);
    mem_free(payload);
}

static void test_deactivation(void **state) {
    static const char is_active[] = "nodes[certname]{ certname = \"c1\" }";
    facts_at(*state, "2031-01-02T00:00:00Z", "{'a':1}");
    deactivate(*state, "2031-01-01T00:00:00Z"); /* it has been heard of since */
    bench_finds(*state, is_active, "[{'certname':'c1'}]");
    deactivate(*state, "2031-01-03T00:00:00Z");
    bench_finds(*state, is_active, "[]");
    bench_finds(*state, "facts{ certname = \"c1\" }", "[]");
    deactivate(*state, "2031-01-02T18:00:00Z"); /* again, but said before */
    bench_finds(*state, "nodes[deactivated]{ certname = \"c1\" and node_state = \"inactive\" }",
                "[{'deactivated':'2031-01-03T00:00:00.000Z'}]");
    facts_at(*state, "2031-01-02T12:00:00Z", "{'a':2}"); /* from before */
    bench_finds(*state, is_active, "[]");
    facts_at(*state, "2031-01-04T00:00:00Z", "{'a':3}");
    bench_finds(*state, is_active, "[{'certname':'c1'}]");
    deactivate(*state, "2031-01-05T00:00:00Z");
    bench_command(*state, "replace_catalog", 9, "c1",
                  "{'certname':'c1','version':'1','environment':'e','transaction_uuid':null,'catalog_uuid':null,"
                  "'producer_timestamp':'2031-01-06T00:00:00Z','producer':null,'code_id':null,'job_id':null,"
                  "'resources':[],'edges':[]}",
                  true);
    bench_finds(*state, is_active, "[{'certname':'c1'}]");
}

#define CATALOG(TIME, TITLE)                                                                                           \
    "{'certname':'c1','version':'" TITLE "','environment':'e','transaction_uuid':'u','catalog_uuid':null,"             \
    "'producer_timestamp':'" TIME "','producer':'pp','code_id':'k','job_id':'7','resources':[{'type':'Class',"         \
    "'title':'" TITLE "','aliases':[],'exported':false,'file':null,'line':null,'tags':['class'],'parameters':{}},"     \
    "{'type':'File','title':'/t','aliases':[],'exported':true,'file':'/m.pp','line':3,'tags':[],'parameters':"         \
    "{'mode':'0644'}}],'edges':[{'source':{'type':'Class','title':'" TITLE "'},'target':{'type':'File','title':'/t'}," \
    "'relationship':'contains'}]}"

static void test_catalogs(void **state) {
    bench_command(*state, "replace_catalog", 9, "c1", CATALOG("2031-01-02T00:00:00Z", "New"), true);
    bench_command(*state, "replace_catalog", 6, "c1", CATALOG("2031-01-01T00:00:00Z", "Old"), true);
    bench_finds(*state, "resources[title, exported, line]{ certname = \"c1\" order by title }",
                "[{'title':'/t','exported':true,'line':3},{'title':'New','exported':false,'line':null}]");
    bench_finds(*state, "edges[source_title, relationship, target_type]{ certname = \"c1\" }",
                "[{'source_title':'New','relationship':'contains','target_type':'File'}]");
    bench_finds(*state, "catalogs[version, code_id, producer, transaction_uuid]{ certname = \"c1\" }",
                "[{'version':'New','code_id':'k','producer':'pp','transaction_uuid':'u'}]");
    bench_command(*state, "replace_catalog", 9, "c1", CATALOG("2031-01-03T00:00:00Z", "Newest"), true);
    bench_finds(*state, "resources[title]{ certname = \"c1\" and type = \"Class\" }", "[{'title':'Newest'}]");
    /* one bad resource: nothing of it is kept */
    bench_command(*state, "replace_catalog", 8, "c1",
                  "{'certname':'c1','version':'Bad','environment':'e','producer_timestamp':'2031-01-04T00:00:00Z',"
                  "'resources':[{'type':'File','title':'/n'},{'type':'File'}],'edges':[]}",
                  false);
    bench_command(*state, "replace_catalog", 8, "c1",
                  "{'certname':'c1','version':'Bad','environment':'e','producer_timestamp':'2031-01-04T00:00:00Z',"
                  "'resources':[],'edges':[{'source':{'type':'File'}}]}",
                  false);
    bench_finds(*state, "catalogs[version]{ certname = \"c1\" }", "[{'version':'Newest'}]");
    bench_finds(*state, "resources[title]{ certname = \"c1\" and type = \"File\" }", "[{'title':'/t'}]");
}

/* ---------------------------------------------------------------- reports */

#define REPORT(TIME, MORE)                                                                                             \
    "{'certname':'c1','puppet_version':'7.23.0','report_format':12,'configuration_version':'v','start_time':'" TIME    \
    "','end_time':'" TIME "','producer_timestamp':'" TIME "','environment':'production','metrics':[],'logs':[],"       \
    "'producer':null,'noop':false,'noop_pending':false,'transaction_uuid':'u','catalog_uuid':null,'code_id':null,"     \
    "'cached_catalog_status':null,'corrective_change':true," MORE "}"
#define RESOURCE(EVENTS)                                                                                               \
    "{'skipped':false,'timestamp':'2031-01-01T00:00:00Z','resource_type':'File','resource_title':'/t','file':null,"    \
    "'line':null,'containment_path':['Stage[main]','Motd','File[/t]'],'corrective_change':true,'events':" EVENTS "}"
#define EVENT                                                                                                          \
    "{'status':'success','corrective_change':true,'timestamp':'2031-01-01T00:00:01Z','property':'mode','new_value':"   \
    "'0600','old_value':5,'message':'changed'}"

static void test_reports(void **state) {
    static const char seen[] = "nodes[latest_report_status, latest_report_corrective_change]{ certname = \"c1\" }";
    static const char report[] =
        REPORT("2031-01-02T00:00:00Z", "'status':'changed','resources':[" RESOURCE("[" EVENT "]") "]");
    bench_command(*state, "store_report", 8, "c1", report, true);
    bench_command(*state, "store_report", 8, "c1", report, true); /* kept once */
    bench_command(*state, "store_report", 8, "c1", REPORT("2031-01-01T00:00:00Z", "'status':'failed','resources':[]"),
                  true);
    bench_finds(*state, seen, "[{'latest_report_status':'changed','latest_report_corrective_change':null}]");
    bench_finds(*state, "reports[status]{ certname = \"c1\" order by end_time }",
                "[{'status':'failed'},{'status':'changed'}]");
    bench_command(*state, "store_report", 8, "c1",
                  REPORT("2031-01-03T00:00:00Z", "'status':'unchanged','type':'plan','resources':[]"), true);
    bench_finds(*state, seen, "[{'latest_report_status':'changed','latest_report_corrective_change':null}]");
    bench_finds(*state, "events[containing_class, new_value, old_value, corrective_change]{ certname = \"c1\" }",
                "[{'containing_class':'Motd','new_value':'0600','old_value':5,'corrective_change':null}]");
}

static void test_corrective_changes_are_kept_if_wanted(void **state) {
    (void)state;
    json_t *given = quoted("{'corrective_changes':true}");
    struct bench b = bench_up(&(struct fake_puppetdb_opts){.state = given});
    json_decref(given);
    bench_command(&b, "store_report", 8, "c1",
                  REPORT("2031-01-02T00:00:00Z", "'status':'changed','resources':[" RESOURCE("[" EVENT "]") "]"), true);
    bench_finds(&b, "nodes[latest_report_corrective_change]{}", "[{'latest_report_corrective_change':true}]");
    bench_finds(&b, "events[corrective_change]{}", "[{'corrective_change':true}]");
    bench_finds(&b, "reports[corrective_change]{}", "[{'corrective_change':true}]");
    bench_down(&b);
}

static void test_old_reports(void **state) {
    bench_command(*state, "store_report", 5, "c1",
                  "{'certname':'c1','puppet_version':'4','report_format':4,'configuration_version':'v','start_time':"
                  "'2031-01-01T00:00:00Z','end_time':'2031-01-01T00:00:00Z','producer_timestamp':"
                  "'2031-01-01T00:00:00Z','environment':'e','metrics':[],'logs':[],'resources':null,'status':'changed',"
                  "'resource_events':[{'status':'success','timestamp':'2031-01-01T00:00:00Z','resource_type':'File',"
                  "'resource_title':'/t','property':'mode','new_value':'1','old_value':'0','message':'m','file':null,"
                  "'line':null,'containment_path':['Motd']},{'status':'skipped','timestamp':'2031-01-01T00:00:00Z',"
                  "'resource_type':'File','resource_title':'/u','property':null,'new_value':null,'old_value':null,"
                  "'message':null,'file':null,'line':null,'containment_path':[]}]}",
                  true);
    bench_finds(*state, "events[resource_title, status, containing_class]{ certname = \"c1\" order by resource_title }",
                "[{'resource_title':'/t','status':'success','containing_class':'Motd'},"
                "{'resource_title':'/u','status':'skipped','containing_class':null}]");
}

/* ---------------------------------------------------------------- the rest */

static void test_expiration(void **state) {
    facts_at(*state, "2031-01-01T00:00:00Z", "{}");
    bench_command(*state, "configure_expiration", 1, "c1",
                  "{'certname':'c1','producer_timestamp':'2031-01-02T00:00:00Z','expire':{'facts':false}}", true);
    bench_command(*state, "configure_expiration", 1, "c1",
                  "{'certname':'c1','producer_timestamp':'2031-01-01T00:00:00Z','expire':{'facts':true}}", true);
    struct reply r = bench_get(*state, "/pdb/query/v4/nodes/c1?include_facts_expiration=true");
    assert_true(json_is_false(json_object_get(r.json, "expires_facts")));
    assert_string_equal(json_str(r.json, "expires_facts_updated"), "2031-01-02T00:00:00.000Z");
    reply_clear(&r);
    bench_command(*state, "configure_expiration", 1, "c1", "{'certname':'c1','expire':{'facts':1}}", false);
}

static void test_catalog_inputs(void **state) {
    bench_command(*state, "replace_catalog_inputs", 1, "c1",
                  "{'certname':'c1','producer_timestamp':'2031-01-02T00:00:00Z','catalog_uuid':'u',"
                  "'inputs':[['hiera','motd::text'],['hiera','ntp::servers']]}",
                  true);
    bench_command(*state, "replace_catalog_inputs", 1, "c1",
                  "{'certname':'c1','producer_timestamp':'2031-01-01T00:00:00Z','catalog_uuid':'old','inputs':[]}",
                  true);
    bench_expect(*state, "/pdb/query/v4/catalog-inputs?query=['=','certname','c1']", 200,
                 "[{'certname':'c1','producer_timestamp':'2031-01-02T00:00:00.000Z','catalog_uuid':'u',"
                 "'inputs':[['hiera','motd::text'],['hiera','ntp::servers']]}]");
    bench_finds(
        *state,
        "[\"from\",\"catalog_input_contents\",[\"extract\",[\"certname\",\"type\"],[\"=\",\"name\",\"ntp::servers\"]]]",
        "[{'certname':'c1','type':'hiera'}]");
    bench_command(*state, "replace_catalog_inputs", 1, "c1",
                  "{'certname':'c1','producer_timestamp':'2031-01-03T00:00:00Z','catalog_uuid':'v','inputs':[]}", true);
    bench_expect(*state, "/pdb/query/v4/catalog-inputs", 200, "[]");
}

static void test_payloads_dropped(void **state) {
    static const struct {
        const char *command, *payload;
        int version;
    } all[] = {
        {"replace_facts", "{'certname':'c1'}", 5},
        {"replace_facts", "not JSON", 5},
        {"replace_facts", FACTS("soon", "{}"), 5},
        {"replace_facts", FACTS("2031-01-01T00:00:00Z", "[]"), 5},
        {"replace_facts", FACTS("2031-01-01T00:00:00Z", "[]"), 4},
        {"replace_facts", FACTS("2031-01-01T00:00:00Z", "{}"), 6},
        {"replace_facts",
         "{'certname':'c1','environment':'e','producer':null,'producer_timestamp':'2031-01-01T00:00:00Z','values':{},"
         "'colour':1}",
         5},
        {"replace_catalog", "{'certname':'c1','version':'1'}", 8},
        {"replace_catalog",
         "{'certname':'c1','version':'1','producer_timestamp':'2031-01-01T00:00:00Z','resources':{},'edges':[]}", 8},
        {"store_report", REPORT("2031-01-01T00:00:00Z", "'status':'changed'"), 8},
        {"store_report", REPORT("2031-01-01T00:00:00Z", "'status':'changed','resources':{}"), 7},
        {"store_report", REPORT("soon", "'status':'changed','resources':[]"), 7},
        {"store_report", REPORT("2031-01-01T00:00:00Z", "'status':'changed','resources':[{}]"), 8},
        {"store_report", REPORT("2031-01-01T00:00:00Z", "'status':'changed','resources':[" RESOURCE("[{}]") "]"), 8},
        {"store_report", "{'certname':'c1','puppet_version':'7'}", 7},
        {"deactivate_node", "{}", 3},
        {"configure_expiration", "{'expire':{'facts':true}}", 1},
        {"replace_catalog_inputs", "{'certname':'c1','producer_timestamp':'2031-01-01T00:00:00Z'}", 1},
        {"replace_catalog_inputs", "{'certname':'c1'}", 1},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        bench_command(*state, all[i].command, all[i].version, "c1", all[i].payload, false);
    }
    bench_finds(*state, "nodes{ certname = \"c1\" and node_state = \"any\" }", "[]");
}

static void test_requests_refused(void **state) {
    static const struct {
        const char *query, *body, *error;
        int status;
    } all[] = {
        {"", "{'command':'deactivate node','version':3}",
         "Command \"deactivate node\" for certname nil is invalid. Command was submitted without query parameters (old "
         "format). The request body must be a JSON map with required keys: command, version, payload.",
         400},
        {"", "{'command':'deactivate node','version':3,'payload':'c1'}",
         "Command \"deactivate node\" for certname nil is invalid. Command was submitted without query parameters (old "
         "format). The payload value must be a JSON map.",
         400},
        {"?command=deactivate_node&version=3&certname=%20", "{}",
         "Command \"deactivate node\" for certname \" \" is invalid. Certname must be a non-empty string.", 400},
        {"?command=deactivate_node&version=x&certname=a", "{}",
         "Command \"deactivate node\" for certname \"a\" is invalid. Version must be a valid integer.", 400},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char *path = str_printf("/pdb/cmd/v1%s", all[i].query);
        struct reply r = bench_post(*state, path, all[i].body);
        assert_int_equal(r.status, all[i].status);
        assert_string_equal(json_str(r.json, "error"), all[i].error);
        reply_clear(&r);
        mem_free(path);
    }
    bench_expect_post(*state,
                      "/pdb/cmd/v1?command=deactivate_node&version=3&certname=a&secondsToWaitForCompletion=long", "{}",
                      500, "the time to wait is no number");
}

static void test_old_form(void **state) {
    facts_at(*state, "2031-01-01T00:00:00Z", "{}");
    bench_expect_post(*state, "/pdb/cmd/v1",
                      "{'command':'deactivate node','version':3,'payload':{'certname':'c1','producer_timestamp':"
                      "'2031-01-02T00:00:00Z'}}",
                      200, "{\"uuid\":");
    bench_finds(*state, "nodes{ certname = \"c1\" }", "[]");
}

/* Who waits in vain may leave, or be there when the fake ends. */
static void test_waiting_ends_with_the_connection(void **state) {
    struct bench *b = *state;
    for (int i = 0; i < 2; i++) {
        struct ask ask = {.method = "POST",
                          .path = "/pdb/cmd/v1?command=deactivate_node&version=3&certname=a&secondsToWaitForCompletion="
                                  "900",
                          .cn = "orch",
                          .body = "{}",
                          .within_us = SIM_SECOND};
        struct reply r = rig_ask(&b->rig, &ask);
        assert_true(r.timed_out);
        reply_clear(&r);
        if (i == 0) {
            bench_finds(b, "nodes[certname]{ certname = \"a1\" }", "[{'certname':'a1'}]");
        }
    }
}

static bool command_of(struct fake_puppetdb *p, const char *name, const char *payload, const char *expected_kind) {
    struct error err = ERROR_INIT;
    json_t *value = quoted(payload);
    bool ok = fake_puppetdb_command(p, name, value, &err);
    json_decref(value);
    if (expected_kind != NULL) {
        assert_false(ok);
        assert_string_equal(err.kind, expected_kind);
        error_clear(&err);
    }
    return ok;
}

static void test_calls_in_the_process(void **state) {
    struct bench *b = *state;
    struct error err = ERROR_INIT;
    assert_true(command_of(b->p, "replace facts", FACTS("2031-01-01T00:00:00Z", "{'a':1}"), NULL));
    bench_finds(b, "facts[value]{ certname = \"c1\" }", "[{'value':1}]");
    command_of(b->p, "replace facts", "{'certname':'c1'}", "puppetdb/payload");
    command_of(b->p, "replace moons", "{'certname':'c1'}", "puppetdb/payload");
    assert_null(fake_puppetdb_query(b->p, SPAN("moons{}"), &err));
    assert_string_equal(err.kind, "pql/syntax");
    error_clear(&err);
}

/* Reports of one turn of the loop are one transaction; what fails beside them takes none of them along. */
static void test_reports_of_one_turn(void **state) {
    struct bench *b = *state;
    static const char found[] = "reports[status]{ certname = \"c1\" order by end_time }";
    assert_true(
        command_of(b->p, "store report", REPORT("2031-01-01T00:00:00Z", "'status':'changed','resources':[]"), NULL));
    command_of(b->p, "store report", "{'certname':'c1'}", "puppetdb/payload");
    assert_true(
        command_of(b->p, "store report", REPORT("2031-01-02T00:00:00Z", "'status':'failed','resources':[]"), NULL));
    command_of(b->p, "replace catalog", "{'certname':'c1'}", "puppetdb/payload");
    assert_true(
        command_of(b->p, "store report", REPORT("2031-01-03T00:00:00Z", "'status':'unchanged','resources':[]"), NULL));
    json_t *rows = fake_puppetdb_query(b->p, span_of(found), NULL); /* within the turn */
    assert_int_equal(json_array_size(rows), 3);
    json_decref(rows);
    bench_finds(b, found, "[{'status':'changed'},{'status':'failed'},{'status':'unchanged'}]");
    assert_true(
        command_of(b->p, "store report", REPORT("2031-01-04T00:00:00Z", "'status':'failed','resources':[]"), NULL));
    bench_expect_post(b, "/_fake/reset", "", 204, "");
    bench_finds(b, found, "[]");
    /* the service may end in the middle of a turn */
    assert_true(
        command_of(b->p, "store report", REPORT("2031-01-05T00:00:00Z", "'status':'failed','resources':[]"), NULL));
}

int main(void) {
    mem_init_libraries();
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_facts_are_replaced),
        TEST(test_older_facts_are_ignored),
        TEST(test_packages_follow_facts),
        TEST(test_deactivation),
        TEST(test_catalogs),
        TEST(test_reports),
        cmocka_unit_test(test_corrective_changes_are_kept_if_wanted),
        TEST(test_old_reports),
        TEST(test_expiration),
        TEST(test_catalog_inputs),
        TEST(test_payloads_dropped),
        TEST(test_requests_refused),
        TEST(test_old_form),
        TEST(test_waiting_ends_with_the_connection),
        TEST(test_calls_in_the_process),
        TEST(test_reports_of_one_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
