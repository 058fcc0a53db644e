/* Bolt projects instead of environments (puppetserver.md §10, §20), as Puppet Server 7.9.5 was seen to serve them. */
#include "base/mem.h"
#include "code.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CONTENT "/puppet/v3/file_content/"
#define SEARCH "/puppet/v3/file_metadatas/"
#define ONE "?versioned_project=one"

static void project_file(struct code_bench *b, const char *path, const char *text) {
    char *full = str_printf("../../projects/%s", path);
    code_file(b, full, text);
    mem_free(full);
}

static int set_up(void **state) {
    struct code_bench *b = mem_zalloc(sizeof *b);
    code_open(b, "{'projects_dir': '/projects'}");
    project_file(b, "one/bolt-project.yaml", "name: fleet\nmodulepath:\n  - modules\n  - own\n  - ../two/modules\n");
    project_file(b, "one/files/top", "top");
    project_file(b, "one/tasks/t.sh", "task");
    project_file(b, "one/lib/top.rb", "top");
    project_file(b, "one/modules/web/files/page", "page");
    project_file(b, "one/modules/web/files/deep/page", "deep");
    project_file(b, "one/modules/web/lib/web.rb", "web");
    project_file(b, "one/modules/web/lib/top.rb", "hidden");
    project_file(b, "one/modules/web/lib/x.bak", "bak");
    project_file(b, "one/modules/web/facts.d/f", "f");
    project_file(b, "one/modules/web/scripts/s", "s");
    project_file(b, "one/own/web/files/other", "hidden");
    project_file(b, "one/own/db/files/schema", "schema");
    project_file(b, "one/.modules/kept/files/k", "kept");
    project_file(b, "two/bolt.yaml", "");
    project_file(b, "two/modules/web/files/page", "of two");
    project_file(b, "three/Boltdir/bolt-project.yaml", "modulepath: site:more\n");
    project_file(b, "three/Boltdir/more/web/files/page", "of three");
    project_file(b, "none/modules/web/files/page", "no project");
    project_file(b, "broken/bolt-project.yaml", "a: [");
    project_file(b, "broken/modules/web/files/page", "x");
    assert_true(world_file_symlink(b->rig.server, "/code", "/projects/one/modules/web/files/out", NULL));
    *state = b;
    return 0;
}

static int tear_down(void **state) {
    code_close(*state);
    mem_free(*state);
    return 0;
}

static void files_are_those_of_the_project(void **state) {
    struct code_bench *b = *state;
    code_file(b, "secret", "secret");
    static const struct {
        const char *path;
        int status;
        const char *text; /* NULL: an HTML page */
    } cases[] = {
        {"modules/web/page" ONE, 200, "page"},
        {"modules/web/deep/page" ONE, 200, "deep"},
        {"modules/web/deep" ONE, 200, ""},
        {"modules/fleet/top" ONE, 200, "top"},
        {"tasks/fleet/t.sh" ONE, 200, "task"},
        {"scripts/web/s" ONE, 200, "s"},
        {"modules/db/schema" ONE, 200, "schema"},
        {"modules/kept/k" ONE, 200, "kept"},
        {"plugins/web.rb" ONE, 200, "web"},
        {"plugins/top.rb" ONE, 200, "top"},
        {"plugins" ONE, 200, ""},
        {"pluginfacts/f" ONE, 200, "f"},
        {"modules/web/other" ONE, 404, "Could not find file_content for path: other"},
        {"modules/gone/x/y" ONE, 404, "Could not find file_content for path: x/y"},
        {"plugins/gone.rb" ONE, 404, "Could not find file_content for path: gone.rb"},
        {"modules/web/out/environments/secret" ONE, 404,
         "Could not find file_content for path: out/environments/secret"},
        {"modules/web//page" ONE, 404, "Could not find file_content for path: /page"},
        {"modules/web" ONE, 404, NULL},
        {"files/web/page" ONE, 404, NULL},
        {"locales/x" ONE, 404, NULL},
        {"modules/web/page?versioned_project=two", 200, "of two"},
        {"modules/web/page?versioned_project=three", 200, "of three"},
        {"modules/web/page?versioned_project=none", 404, "Could not find file_content for path: page"},
        {"modules/web/page?versioned_project=gone", 404, "Could not find file_content for path: page"},
        {"modules/web/page?versioned_project=", 404, "Could not find file_content for path: page"},
        {"modules/web/page?versioned_project=..%2Fprojects%2Ftwo", 404, "Could not find file_content for path: page"},
        {"modules/web/page?versioned_project=..", 404, "Could not find file_content for path: page"},
        {"modules/web/page?versioned_project=broken", 500, NULL},
        {"modules/web/page" ONE "&environment=production", 400,
         "A file_content request cannot specify both `environment` and `versioned_project` query parameters."},
        {"modules/web/page", 400,
         "A file_content request must include an `environment` or `versioned_project` query parameter."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = str_printf(CONTENT "%s", cases[i].path);
        struct reply reply = rig_ask(&b->rig, &(struct ask){.path = path, .cn = "n"});
        const char *text = reply.body.ptr != NULL ? reply.body.ptr : "";
        if (reply.status != cases[i].status || (cases[i].text != NULL && strcmp(text, cases[i].text) != 0)) {
            fail_msg("%s: %d %s", cases[i].path, reply.status, text);
        }
        assert_null(reply.status == 200 ? reply_header(&reply, "x-puppet-version") : NULL);
        assert_true((reply_header(&reply, "last-modified") != NULL) == (reply.status == 200 && *text != '\0'));
        reply_clear(&reply);
        mem_free(path);
    }
}

static void expect_found(struct code_bench *b, const char *query, const char *expected) {
    char *path = str_printf(SEARCH "%s", query), got[300] = "";
    json_t *all = code_get(b, path, 200), *o;
    size_t i;
    json_array_foreach(all, i, o) {
        size_t len = strlen(got);
        assert_string_equal(json_str(o, "links"), "follow");
        snprintf(got + len, sizeof got - len, "%s%s/%s", i > 0 ? " " : "", json_str(o, "path") + 9,
                 json_str(o, "relative_path"));
    }
    assert_string_equal(got, expected);
    json_decref(all);
    mem_free(path);
}

static void plugins_of_a_project_are_one_tree(void **state) {
    struct code_bench *b = *state;
    expect_found(b, "plugins" ONE, "/one/lib/. /one/lib/top.rb /one/modules/web/lib/web.rb /one/modules/web/lib/x.bak");
    expect_found(b, "plugins" ONE "&ignore=*.bak&ignore=lost",
                 "/one/lib/. /one/lib/top.rb /one/modules/web/lib/web.rb");
    expect_found(b, "pluginfacts" ONE "&checksum_type=md5", "/one/modules/web/facts.d/. /one/modules/web/facts.d/f");
    expect_found(b, "plugins?versioned_project=two", "");
    /* The real server takes one glob apart into its characters, and "*" is one of them. */
    expect_found(b, "plugins" ONE "&ignore=*.bak", "");
    json_t *nothing = code_get(b, SEARCH "plugins?versioned_project=none", 200);
    assert_true(json_is_null(nothing));
    static const struct {
        const char *path;
        int status;
        const char *text;
    } refused[] = {
        {"modules/web/deep" ONE, 400, "Unsupported mount: modules"},
        {"plugins" ONE "&links=follow&recurse=false", 400,
         "Not all parameter values are supported in this implementation: \nThe only supported value of `recurse` at "
         "this "
         "time is `true`\nThe only supported value of `links` at this time is `follow`"},
        {"plugins" ONE "&environment=production", 400,
         "A file_metadatas request cannot specify both `environment` and `versioned_project` query parameters."},
        {"plugins" ONE "&checksum_type=sha1", 500, "Internal Server Error: No matching clause: sha1"},
        {"plugins", 400,
         "A file_metadatas request must include an `environment` or `versioned_project` query parameter."},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char *path = str_printf(SEARCH "%s", refused[i].path), *text = code_text(b, path, refused[i].status);
        assert_string_equal(text, refused[i].text);
        mem_free(text);
        mem_free(path);
    }
    mem_free(code_text(b, SEARCH "modules/web" ONE, 404));
    json_decref(code_get(b, "/puppet/v3/file_metadata/modules/web/page" ONE, 400)); /* only by environments */
}

#define REQUEST                                                                                                        \
    "{\"certname\":\"n1\",\"code_ast\":\"{}\",\"facts\":{\"values\":{}},\"trusted_facts\":{\"values\":{}},"            \
    "\"variables\":{\"values\":{}}"

static struct reply compile(struct code_bench *b, const char *more) {
    char *body = str_printf("%s%s}", REQUEST, more);
    struct reply reply =
        rig_ask(&b->rig, &(struct ask){.method = "POST", .path = "/puppet/v3/compile", .cn = "orch", .body = body});
    mem_free(body);
    return reply;
}

static void expect_text(struct code_bench *b, const char *more, int status, const char *text) {
    struct reply reply = compile(b, more);
    assert_int_equal(reply.status, status);
    assert_string_equal(reply.body.ptr, text);
    reply_clear(&reply);
}

#define CRASH "Internal Server Error: org.jruby.exceptions."
#define PLAN ",\"options\":{\"compile_for_plan\":true,\"capture_logs\":true}"

static void plans_compile_for_a_project(void **state) {
    struct code_bench *b = *state;
    static const char *const projects[] = {"one", "gone"};
    for (size_t i = 0; i < 2; i++) { /* that there is none is no error of this route */
        char *more = str_printf(",\"versioned_project\":\"%s\"" PLAN, projects[i]);
        struct reply reply = compile(b, more);
        assert_int_equal(reply.status, 200);
        const json_t *catalog = json_object_get(reply.json, "catalog");
        assert_string_equal(json_str(catalog, "name"), "n1");
        assert_string_equal(json_str(catalog, "environment"), "bolt_catalog");
        assert_true(json_is_null(json_object_get(catalog, "code_id")));
        assert_int_equal(json_array_size(json_object_get(reply.json, "logs")), 1);
        reply_clear(&reply);
        mem_free(more);
    }
    struct reply broken = compile(b, ",\"versioned_project\":\"broken\"" PLAN);
    assert_int_equal(broken.status, 500);
    reply_clear(&broken);
    expect_text(b, ",\"versioned_project\":\"one\"", 500,
                CRASH "RuntimeError: (TypeAssertionError) Puppet Pal: env_name has wrong type, expects a String value, "
                      "got Undef");
    expect_text(b, "", 400, "A compile request must include an `environment` or `versioned_project` parameter.");
    expect_text(b, ",\"versioned_project\":\"one\",\"environment\":\"production\"", 400,
                "A compile request cannot specify both `environment` and `versioned_project` parameters.");
    expect_text(b, ",\"environment\":\"gone\"", 500,
                CRASH "ArgumentError: (ArgumentError) No directory found for the environment 'gone' on the path "
                      "'/code/environments'");
    json_decref(rig_json(
        &b->rig,
        &(struct ask){.method = "PATCH", .path = "/_fake/state", .body = "{\"puppetserver\":{\"boltlib\":false}}"},
        204));
    expect_text(b, ",\"versioned_project\":\"one\"" PLAN, 500,
                CRASH
                "RuntimeError: (Error) When compile_for_plan is set, the path to boltlib modules must be provided "
                "by setting boltlib-path as a jruby-puppet setting in pe-puppet-server.conf");
}

static void bodies_are_held_against_their_schema(void **state) {
    struct code_bench *b = *state;
    static const struct {
        const char *more, *complaint;
    } cases[] = {
        {",\"certname\":5", "{\"certname\" (not (instance? java.lang.String 5))}"},
        {",\"variables\":5", "{\"variables\" (not (map? 5))}"},
        {",\"variables\":{\"values\":null}", "{\"variables\" {\"values\" (not (map? nil))}}"},
        {",\"facts\":{}", "{\"facts\" {\"values\" missing-required-key}}"},
        {",\"trusted_facts\":{\"values\":[1, \"a\"]}", "{\"trusted_facts\" {\"values\" (not (map? [1 \"a\"]))}}"},
        {",\"more\":{\"a\": 1}", "{\"more\" disallowed-key}"},
        {",\"job_id\":{\"a\": 1, \"b\": [true]}",
         "{\"job_id\" (not (instance? java.lang.String {\"a\" 1, \"b\" [true]}))}"},
        {",\"transaction_uuid\":[\"a long long long text\"]",
         "{\"transaction_uuid\" (not (instance? java.lang.String a-clojure.lang.PersistentVector))}"},
        {",\"options\":{\"capture_logs\":5,\"x\":1}",
         "{\"options\" {\"capture_logs\" (not (instance? java.lang.Boolean 5)), \"x\" disallowed-key}}"},
        {",\"options\":{\"log_level\":\"loud\"}",
         "{\"options\" {\"log_level\" (not (#{\"warning\" \"info\" \"error\" \"debug\"} \"loud\"))}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = str_printf("Invalid input: %s", cases[i].complaint);
        char *more = str_printf(",\"environment\":\"production\"%s", cases[i].more);
        expect_text(b, more, 400, text);
        mem_free(more);
        mem_free(text);
    }
    struct ask ask = {.method = "POST",
                      .path = "/puppet/v4/catalog",
                      .cn = "orch",
                      .body = "{\"certname\":\"n\",\"persistence\":{\"facts\":false,\"catalog\":false},"
                              "\"environment\":\"a-b\"}"};
    struct reply reply = rig_ask(&b->rig, &ask);
    assert_int_equal(reply.status, 400);
    assert_string_equal(reply.body.ptr, "Invalid input: {\"environment\" (not "
                                        "(puppetlabs.services.master.master-core/valid-env-name? \"a-b\"))}");
    reply_clear(&reply);
    struct reply list = compile(b, ",\"environment\":\"production\",\"variables\":{\"values\":[{\"a\":1}]}");
    assert_int_equal(list.status, 200);
    reply_clear(&list);
    struct reply code = compile(b, ",\"environment\":\"production\",\"code_ast\":\"{\"");
    assert_int_equal(code.status, 500);
    assert_string_equal(code.body.ptr, CRASH "RaiseException: (ParserError) unexpected token at '{'");
    reply_clear(&code);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(files_are_those_of_the_project),
        T(plugins_of_a_project_are_one_tree),
        T(plans_compile_for_a_project),
        T(bodies_are_held_against_their_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
