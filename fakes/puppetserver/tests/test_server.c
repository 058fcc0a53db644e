/* What the recordings do not show: odd module directories, versioned code, overrides, deployment, who may call, what
 * agents submit (puppetserver.md §3-§12, §19-§25). */
#include "base/digest.h"
#include "base/mem.h"
#include "code.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int set_up(void **state) {
    struct code_bench *b = mem_zalloc(sizeof *b);
    code_open(b, NULL);
    *state = b;
    return 0;
}

static int tear_down(void **state) {
    code_close(*state);
    mem_free(*state);
    return 0;
}

#define ENV "?environment=production"

static void the_hash_is_that_of_the_served_bytes(void **state) {
    struct code_bench *b = *state;
    code_file(b, "production/modules/m/tasks/t.sh", "#!/bin/sh\necho one\n");
    code_file(b, "production/modules/m/tasks/t.json", "{\"files\":[\"m/lib/x/\",\"m/scripts/s.sh\"]}");
    code_file(b, "production/modules/m/lib/x/y.rb", "y");
    code_file(b, "production/modules/m/scripts/s.sh", "s");
    for (int round = 0; round < 2; round++) {
        json_t *task = code_get(b, "/puppet/v3/tasks/m/t" ENV, 200);
        const json_t *files = json_object_get(task, "files");
        assert_int_equal(json_array_size(files), 3);
        for (size_t i = 0; i < 3; i++) {
            const json_t *file = json_array_get(files, i);
            char *path = str_printf("%s" ENV, json_str(json_object_get(file, "uri"), "path"));
            struct reply reply = rig_ask(&b->rig, &(struct ask){.path = path, .cn = "any-node"});
            char hex[SHA256_HEX_LEN + 1];
            assert_int_equal(reply.status, 200);
            sha256_hex(buf_span(&reply.body), hex);
            assert_string_equal(json_str(file, "sha256"), hex);
            assert_int_equal(json_int(file, "size_bytes", -1), reply.body.len);
            reply_clear(&reply);
            mem_free(path);
        }
        json_decref(task);
        code_file(b, "production/modules/m/tasks/t.sh", "#!/bin/sh\necho edited\n"); /* seen at once */
    }
}

static void odd_files_make_no_tasks(void **state) {
    struct code_bench *b = *state;
    static const char *const odd[] = {"Upper.sh", "9x.sh",  "_x.sh",   "a-b.sh",  "x.tar.gz",
                                      "x.md",     "x.conf", ".hidden", "sub/t.sh"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        char *path = str_printf("production/modules/m/tasks/%s", odd[i]);
        code_file(b, path, "x");
        mem_free(path);
    }
    code_file(b, "production/modules/Bad-Module/tasks/t.sh", "x");
    code_file(b, "production/modules/m/tasks/only.json", "{}");
    assert_json(code_get(b, "/puppet/v3/tasks" ENV, 200), quoted("[]"));
    json_t *broken = code_get(b, "/puppet/v3/tasks/m/only" ENV, 500);
    assert_string_equal(json_str(broken, "kind"), "puppet.tasks/no-implementation");
    json_decref(broken);
}

static void broken_metadata_is_told(void **state) {
    struct code_bench *b = *state;
    static const struct {
        const char *metadata, *kind;
    } cases[] = {
        {"{\"files\": 5}", "puppet.tasks/invalid-metadata"},
        {"{\"files\": {\"a\": [1, null]}}", "puppet.tasks/invalid-metadata"},
        {"{\"files\": [\"m/files/x/\"]}", "puppet.task/invalid-metadata"},
        {"{\"files\": [\"m/files/nosuch\"]}", "puppet.tasks/invalid-file"},
        {"{\"files\": [\"m/files/../tasks/t.sh\"]}", "puppet.tasks/invalid-metadata"},
        {"{\"files\": [\"m/nosuch/x\"]}", "puppet.tasks/invalid-metadata"},
        {"{\"files\": [\"../m/files/x\"]}", "puppet.tasks/invalid-metadata"},
        {"{\"implementations\": 5}", "puppet.tasks/invalid-metadata"},
        {"{\"implementations\": [{\"name\": \"t.sh\", \"requirements\": 5}]}", "puppet.tasks/invalid-metadata"},
        {"{\"implementations\": [{}]}", "puppet.tasks/missing-implementation"},
        {"{\"implementations\": [{\"name\": \"t.sh\", \"files\": 7}]}", "puppet.tasks/invalid-metadata"},
        {"{\"a\": ", "puppet.tasks/unparseable-metadata"},
        {"\xff", "puppet.tasks/unparseable-metadata"},
    };
    code_file(b, "production/modules/m/tasks/t.sh", "x");
    code_file(b, "production/modules/m/tasks/fine.sh", "x");
    code_file(b, "production/modules/m/files/x", "x");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        code_file(b, "production/modules/m/tasks/t.json", cases[i].metadata);
        json_t *broken = code_get(b, "/puppet/v3/tasks/m/t" ENV, 500);
        if (strcmp(json_str(broken, "kind"), cases[i].kind) != 0) {
            fail_msg("%s: %s", cases[i].metadata, json_str(broken, "kind"));
        }
        assert_true(json_is_object(json_object_get(broken, "details")));
        json_decref(broken);
        json_t *list = code_get(b, "/puppet/v3/tasks" ENV, 200); /* the others are still listed */
        assert_int_equal(json_array_size(list), 1);
        json_decref(list);
    }
    code_file(b, "production/modules/m/tasks/t.json", "5");
    char *text = code_text(b, "/puppet/v3/tasks/m/t" ENV, 500);
    assert_non_null(strstr(text, "undefined method `key?' for 5:Integer"));
    mem_free(text);
}

static void modules_are_found_along_the_path(void **state) {
    struct code_bench *b = *state;
    code_file(b, "production/environment.conf",
              "# where\nmodulepath = site-modules:modules : $basemodulepath\nenvironment_timeout = unlimited\n");
    code_file(b, "production/site-modules/m/tasks/t.sh", "site");
    code_file(b, "production/modules/m/tasks/t.sh", "ordinary");
    code_file(b, "production/modules/m/tasks/hidden.sh", "in a module of which another one is first");
    code_file(b, "production/modules/other/tasks/init.sh", "x");
    char *text = code_text(b, "/puppet/v3/file_content/tasks/m/t.sh" ENV, 200);
    assert_string_equal(text, "site");
    mem_free(text);
    json_t *list = code_get(b, "/puppet/v3/tasks" ENV, 200);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(json_str(json_array_get(list, 0), "name"), "m::t");
    assert_string_equal(json_str(json_array_get(list, 1), "name"), "other");
    json_decref(list);
    json_t *environments = code_get(b, "/puppet/v3/environments", 200);
    const json_t *settings =
        json_object_get(json_object_get(json_object_get(environments, "environments"), "production"), "settings");
    assert_string_equal(json_str(settings, "environment_timeout"), "unlimited");
    assert_string_equal(json_string_value(json_array_get(json_object_get(settings, "modulepath"), 0)),
                        "/code/environments/production/site-modules");
    json_decref(environments);
}

/* Puppet loads no module whose metadata lacks something, and none of that name further along the path. */
static void modules_with_incomplete_metadata_are_left_out(void **state) {
    struct code_bench *b = *state;
    static const char *const incomplete[] = {
        "{\"name\": \"a-m\", \"version\": \"1.0.0\"}",
        "{\"author\": \"a\", \"version\": \"1\", \"license\": \"x\", \"source\": null, \"dependencies\": []}",
        "{\"author\": \"a\", \"version\": \"1\", \"license\": \"x\", \"source\": \"s\", \"dependencies\": {}}"};
    static const char *const fine[] = {
        "{}", "not JSON",
        "{\"author\": \"a\", \"version\": \"1\", \"license\": \"x\", \"source\": \"s\", \"dependencies\": []}"};
    code_file(b, "production/environment.conf", "modulepath = site-modules:modules\n");
    code_file(b, "production/site-modules/m/tasks/t.sh", "site");
    code_file(b, "production/modules/m/tasks/t.sh", "hidden");
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        code_file(b, "production/site-modules/m/metadata.json", fine[i]);
        mem_free(code_text(b, "/puppet/v3/file_content/tasks/m/t.sh" ENV, 200));
    }
    for (size_t i = 0; i < sizeof incomplete / sizeof incomplete[0]; i++) {
        code_file(b, "production/site-modules/m/metadata.json", incomplete[i]);
        mem_free(code_text(b, "/puppet/v3/file_content/tasks/m/t.sh" ENV, 404));
        mem_free(code_text(b, "/puppet/v3/tasks/m/t" ENV, 404));
        json_t *list = code_get(b, "/puppet/v3/tasks" ENV, 200);
        assert_int_equal(json_array_size(list), 0);
        json_decref(list);
        json_t *all = code_get(b, "/puppet/v3/environment_modules" ENV, 200);
        assert_int_equal(json_array_size(json_object_get(all, "modules")), 0);
        json_decref(all);
    }
}

static void an_environment_may_be_a_list_of_directories(void **state) {
    struct code_bench *b = *state;
    assert_true(world_file_mkdir(b->rig.server, "/home/me/modules/mine/tasks", 0755, true, NULL));
    assert_true(world_file_write(b->rig.server, "/home/me/modules/mine/tasks/init.sh", SPAN("x"), 0644,
                                 WORLD_WRITE_PLAIN, NULL));
    json_decref(rig_json(
        &b->rig,
        &(struct ask){.method = "PATCH",
                      .path = "/_fake/state",
                      .body = "{\"puppetserver\":{\"environments\":{\"mine\":{\"modulepath\":[\"/home/me/modules\"],"
                              "\"manifest\":\"/home/me/site.pp\"}}}}"},
        204));
    json_t *list = code_get(b, "/puppet/v3/tasks?environment=mine", 200);
    assert_string_equal(json_str(json_array_get(list, 0), "name"), "mine");
    json_decref(list);
    char *text = code_text(b, "/puppet/v3/file_content/tasks/mine/init.sh?environment=mine", 200);
    assert_string_equal(text, "x");
    mem_free(text);
    rig_error(&b->rig,
              &(struct ask){.method = "PATCH",
                            .path = "/_fake/state",
                            .body = "{\"puppetserver\":{\"environments\":{\"no-good\":{}}}}"},
              400, "schema-violation");
}

static void files_are_confined_to_their_mounts(void **state) {
    struct code_bench *b = *state;
    code_file(b, "production/modules/m/files/in", "in");
    code_file(b, "production/modules/m/manifests/init.pp", "secret");
    static const struct {
        const char *path;
        int status;
    } cases[] = {
        {"modules/m/in", 200},
        {"modules/m/../manifests/init.pp", 400},
        {"modules/m/%2e%2e/manifests/init.pp", 400},
        {"modules/m/..%2fmanifests/init.pp", 400},
        {"modules/m/./in", 400},
        {"modules/m//in", 404},
        {"modules/m/in/", 404},
        {"modules//etc/passwd", 404},
        {"modules/m/in%00", 400},
        {"modules/M/in", 404},
        {"modules/m", 200},
        {"modules", 404},
        {"plugins", 404},
        {"etc/passwd", 500},
        {"", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = str_printf("/puppet/v3/file_content/%s" ENV, cases[i].path);
        struct reply reply = rig_ask(&b->rig, &(struct ask){.path = path, .cn = "n"});
        if (reply.status != cases[i].status) {
            fail_msg("%s: %d", cases[i].path, reply.status);
        }
        assert_true(reply.body.ptr == NULL || strstr(reply.body.ptr, "secret") == NULL);
        reply_clear(&reply);
        mem_free(path);
    }
}

static void classes_may_be_tagged(void **state) {
    struct code_bench *b = *state;
    const char *path = "/puppet/v3/environment_classes" ENV;
    code_file(b, "production/modules/m/manifests/init.pp", "class m { }\n");
    struct reply r = rig_ask(&b->rig, &(struct ask){.path = path, .cn = "orch"});
    assert_int_equal(r.status, 200);
    assert_null(reply_header(&r, "etag"));
    reply_clear(&r);
    json_decref(rig_json(&b->rig,
                         &(struct ask){.method = "PATCH",
                                       .path = "/_fake/state",
                                       .body = "{\"puppetserver\": {\"environment_class_cache\": true}}"},
                         204));
    r = rig_ask(&b->rig, &(struct ask){.path = path, .cn = "orch"});
    char *tag = str_dup(reply_header(&r, "etag")), *packed = str_printf("%s--gzip", tag);
    assert_int_equal(strlen(tag), 64);
    reply_clear(&r);
    const struct {
        const char *tag;
        int status;
    } cases[] = {{tag, 304}, {packed, 304}, {"other", 200}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        r = rig_ask(&b->rig, &(struct ask){.path = path, .cn = "orch", .if_none_match = cases[i].tag});
        assert_int_equal(r.status, cases[i].status);
        assert_string_equal(reply_header(&r, "etag"), tag);
        reply_clear(&r);
    }
    code_file(b, "production/modules/m/manifests/more.pp", "class m::more { }\n");
    r = rig_ask(&b->rig, &(struct ask){.path = path, .cn = "orch", .if_none_match = tag});
    assert_int_equal(r.status, 200);
    reply_clear(&r);
    mem_free(tag);
    mem_free(packed);
}

static void bad_environments_are_refused(void **state) {
    struct code_bench *b = *state;
    static const struct {
        const char *path;
        int status;
        const char *text;
    } cases[] = {
        {"/puppet/v3/tasks?environment=a%7Cb", 400, "The environment must be purely alphanumeric, not 'a|b'"},
        {"/puppet/v3/plans?environment=nope", 404, "Could not find environment 'nope'"},
        {"/puppet/v3/file_content/modules/m/x?environment=a-b", 400,
         "{\"message\":\"Bad Request: The environment must be purely alphanumeric, not "
         "'a-b'\",\"issue_kind\":\"RUNTIME_ERROR\"}"},
        {"/puppet/v3/environment_classes", 400, "An environment parameter must be specified"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = code_text(b, cases[i].path, cases[i].status);
        assert_string_equal(text, cases[i].text);
        mem_free(text);
    }
}

static void plans_are_listed_once(void **state) {
    struct code_bench *b = *state;
    static const char *const files[] = {"init.pp", "a.pp",      "a.yaml", "b.yaml", "c.yml",
                                        "if.pp",   "string.pp", "Bad.pp", "x/y.pp"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *path = str_printf("production/modules/m/plans/%s", files[i]);
        code_file(b, path, "x");
        mem_free(path);
    }
    json_t *list = code_get(b, "/puppet/v3/plans" ENV, 200);
    assert_int_equal(json_array_size(list), 3); /* m::a, m::b, m */
    json_decref(list);
    char *text = code_text(b, "/puppet/v3/plans/m/if" ENV, 404);
    assert_string_equal(text, "Could not find plan 'if'");
    mem_free(text);
}

static void versioned_code_is_served_by_its_id(void **state) {
    struct code_bench *b = *state;
    code_file(b, "production/modules/m/tasks/t.sh", "v");
    json_decref(rig_json(&b->rig,
                         &(struct ask){.method = "PATCH",
                                       .path = "/_fake/state",
                                       .body = "{\"puppetserver\":{\"static\":{\"production\":\"urn:x:1;production\"},"
                                               "\"static_in_uris\":true}}"},
                         204));
    json_t *task = code_get(b, "/puppet/v3/tasks/m/t" ENV, 200);
    const json_t *uri = json_object_get(json_array_get(json_object_get(task, "files"), 0), "uri");
    assert_string_equal(json_str(uri, "path"), "/puppet/v3/static_file_content/modules/m/tasks/t.sh");
    assert_string_equal(json_str(json_object_get(uri, "params"), "code_id"), "urn:x:1;production");
    json_decref(task);
#define STATIC "/puppet/v3/static_file_content/"
    static const struct {
        const char *path;
        int status;
    } cases[] = {
        {STATIC "modules/m/tasks/t.sh" ENV "&code_id=urn%3Ax%3A1%3Bproduction", 200},
        {STATIC "modules/m/tasks/t.sh" ENV "&code_id=a%20b", 400},
        {STATIC "modules/m/tasks/t.sh" ENV "&code_id=", 400},
        {STATIC "modules/m/tasks/t.sh?environment=a-b&code_id=x", 400},
        {STATIC ENV "&code_id=x", 400},
        {STATIC "modules/m/manifests/x" ENV "&code_id=x", 403},
        {STATIC "modules/m/tasks/" ENV "&code_id=x", 403},
        {STATIC "x" ENV "&code_id=x", 403},
        {STATIC "modules/m/tasks/t.sh" ENV "&code_id=other", 500},
        {STATIC "modules/m/tasks/t.sh?environment=nosuch&code_id=other", 500},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = code_text(b, cases[i].path, cases[i].status);
        mem_free(text);
    }
}

static void code_is_deployed(void **state) {
    struct code_bench *b = *state;
    code_file(b, "production/modules/old/tasks/t.sh", "x");
    code_file(b, "staging/modules/new/tasks/t.sh", "x");
    json_t *done =
        rig_json(&b->rig,
                 &(struct ask){.method = "POST",
                               .path = "/_fake/deploy",
                               .body = "{\"environment\":\"production\",\"from\":\"/code/environments/staging\"}"},
                 200);
    assert_true(span_starts_with(span_of(json_str(done, "code_id")), "urn:puppet:code-id:1:"));
    json_decref(done);
    json_t *list = code_get(b, "/puppet/v3/tasks" ENV, 200);
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(json_str(json_array_get(list, 0), "name"), "new::t");
    json_decref(list);
    rig_error(&b->rig,
              &(struct ask){
                  .method = "POST", .path = "/_fake/deploy", .body = "{\"environment\":\"../x\",\"from\":\"/code\"}"},
              400, "schema-violation");
    rig_error(&b->rig,
              &(struct ask){
                  .method = "POST", .path = "/_fake/deploy", .body = "{\"environment\":\"x\",\"from\":\"/nosuch\"}"},
              500, "not-found");
}

static void answers_can_be_overridden(void **state) {
    struct code_bench *b = *state;
    json_decref(rig_json(
        &b->rig,
        &(struct ask){.method = "PATCH",
                      .path = "/_fake/state",
                      .body = "{\"puppetserver\":{\"override\":[{\"method\":\"GET\",\"path\":\"/puppet/v3/tasks*\","
                              "\"status\":500,\"json\":{\"kind\":\"x\"}},"
                              "{\"path\":\"/odd\",\"text\":\"<html>\",\"content_type\":\"text/html\"}]}}"},
        204));
    assert_json(code_get(b, "/puppet/v3/tasks" ENV, 500), quoted("{'kind': 'x'}"));
    char *text = code_text(b, "/odd", 200);
    assert_string_equal(text, "<html>");
    mem_free(text);
    rig_error(&b->rig,
              &(struct ask){.method = "PATCH",
                            .path = "/_fake/state",
                            .body = "{\"puppetserver\":{\"override\":[{\"status\":1}]}}"},
              400, "schema-violation");
}

static int status_for(struct code_bench *b, const char *method, const char *path, const char *cn) {
    struct reply reply = rig_ask(
        &b->rig,
        &(struct ask){.method = method, .path = path, .cn = cn, .body = strcmp(method, "GET") != 0 ? "{}" : NULL});
    int status = reply.status;
    reply_clear(&reply);
    return status;
}

static void the_shipped_rules_hold(void **state) {
    struct code_bench *b = *state;
    static const struct {
        const char *method, *path;
        int nobody, node, orchestrator;
    } cases[] = {
        {"GET", "/puppet/v3/tasks" ENV, 403, 200, 200},
        {"GET", "/puppet/v3/plans" ENV, 403, 403, 200},
        {"GET", "/puppet/v3/environments", 403, 200, 200},
        {"GET", "/puppet/v3/environment_modules", 403, 403, 200},
        {"GET", "/puppet/v3/catalog/node1" ENV, 403, 200, 200},
        {"GET", "/puppet/v3/catalog/node2" ENV, 403, 403, 200},
        {"PUT", "/puppet/v3/facts/node1" ENV, 403, 200, 403},
        {"PUT", "/puppet/v3/report/node2" ENV, 403, 403, 403},
        {"POST", "/puppet/v4/catalog", 403, 403, 400},
        {"POST", "/puppet/v3/compile", 403, 403, 400},
        {"GET", "/status/v1/services", 200, 200, 200},
        {"GET", "/puppet-ca/v1/certificate_statuses/all", 403, 403, 403},
        {"GET", "/puppet/v3/file_bucket_file/sha256/x" ENV, 403, 500, 500},
        {"HEAD", "/puppet/v3/file_bucket_file/sha256/x" ENV, 403, 500, 500},
        {"PUT", "/puppet/v3/file_bucket_file/sha256/x" ENV, 403, 415, 415},
        {"PUT", "/puppet-ca/v1/certificate_request/node1", 500, 500, 500},
        {"GET", "/puppet-ca/v1/expirations", 403, 200, 200},
        {"GET", "/nothing", 404, 404, 404},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int got[] = {status_for(b, cases[i].method, cases[i].path, NULL),
                     status_for(b, cases[i].method, cases[i].path, "node1"),
                     status_for(b, cases[i].method, cases[i].path, "orch")};
        if (got[0] != cases[i].nobody || got[1] != cases[i].node || got[2] != cases[i].orchestrator) {
            fail_msg("%s %s: %d %d %d", cases[i].method, cases[i].path, got[0], got[1], got[2]);
        }
    }
    json_decref(rig_json(&b->rig,
                         &(struct ask){.method = "PATCH",
                                       .path = "/_fake/state",
                                       .body = "{\"puppetserver\":{\"auth\":{\"enforce\":false}}}"},
                         204));
    assert_int_equal(status_for(b, "GET", "/puppet/v3/plans" ENV, NULL), 200);
    assert_int_equal(status_for(b, "GET", "/puppet-ca/v1/certificate_statuses/all", "orch"), 403);
}

static void agents_submit_through_it(void **state) {
    struct code_bench *b = *state;
    struct ask catalog = {
        .method = "POST",
        .path = "/puppet/v3/catalog/node1?environment=production",
        .cn = "node1",
        .content_type = "application/x-www-form-urlencoded",
        .body = "environment=production&facts_format=application%2Fjson&transaction_uuid=u1&job_id=42&facts="
                "%257B%2522name%2522%253A%2522node1%2522%252C%2522values%2522%253A%257B%2522a%2522%253A1%257D%257D"};
    json_t *answer = rig_json(&b->rig, &catalog, 200);
    assert_string_equal(json_str(answer, "name"), "node1");
    json_decref(answer);
    assert_int_equal(json_array_size(b->commands), 2);
    const json_t *facts = json_array_get(b->commands, 0), *stored = json_array_get(b->commands, 1);
    assert_string_equal(json_str(facts, "command"), "replace facts");
    assert_json(json_deep_copy(json_object_get(json_object_get(facts, "payload"), "values")), quoted("{'a': 1}"));
    assert_string_equal(json_str(stored, "command"), "replace catalog");
    assert_string_equal(json_str(json_object_get(stored, "payload"), "job_id"), "42");
    assert_string_equal(json_str(json_object_get(stored, "payload"), "transaction_uuid"), "u1");
    json_t *node = rig_json(&b->rig, &(struct ask){.path = "/puppet/v3/node/node1" ENV, .cn = "node1"}, 200);
    assert_int_equal(json_int(json_object_get(node, "parameters"), "a", 0), 1);
    json_decref(node);
    assert_json(rig_json(&b->rig,
                         &(struct ask){.method = "PUT",
                                       .path = "/puppet/v3/report/node1" ENV,
                                       .cn = "node1",
                                       .body = "{\"host\":\"node1\",\"status\":\"changed\",\"job_id\":\"42\"}"},
                         200),
                quoted("['puppetdb']"));
    const json_t *report = json_array_get(b->commands, 2);
    assert_string_equal(json_str(report, "command"), "store report");
    assert_int_equal(json_int(report, "version", 0), 8);
    assert_string_equal(json_str(json_object_get(report, "payload"), "status"), "changed");
    json_t *reports = code_get(b, "/_fake/reports", 200);
    assert_int_equal(json_array_size(json_object_get(reports, "reports")), 1);
    json_decref(reports);
}

static void catalogs_come_from_the_configuration(void **state) {
    struct code_bench *b = *state;
    json_decref(rig_json(
        &b->rig,
        &(struct ask){.method = "PATCH",
                      .path = "/_fake/state",
                      .body = "{\"puppetserver\":{\"catalogs\":{\"n1\":{\"resources\":[{\"type\":\"File\",\"title\":"
                              "\"/x\"}],\"classes\":[\"web\"]},\"n2\":{\"error\":\"Evaluation Error: broken\"}}}}"},
        204));
    json_t *good = code_get(b, "/puppet/v3/catalog/n1" ENV, 200);
    assert_json(json_deep_copy(json_object_get(good, "classes")), quoted("['settings', 'web']"));
    json_decref(good);
    assert_json(
        code_get(b, "/puppet/v3/catalog/n2" ENV, 500),
        quoted("{'message': 'Server Error: Evaluation Error: broken on node n2', 'issue_kind': 'RUNTIME_ERROR'}"));
    struct ask compile = {
        .method = "POST",
        .path = "/puppet/v3/compile",
        .cn = "orch",
        .body = "{\"certname\":\"n1\",\"code_ast\":\"{}\",\"facts\":{\"values\":{}},\"trusted_facts\":{\"values\":{}},"
                "\"variables\":{\"values\":{}},\"environment\":\"production\",\"options\":{\"capture_logs\":true}}"};
    json_t *compiled = rig_json(&b->rig, &compile, 200);
    assert_string_equal(json_str(json_object_get(compiled, "catalog"), "name"), "n1");
    assert_int_equal(json_array_size(json_object_get(compiled, "logs")), 1);
    json_decref(compiled);
}

static void bad_states_are_refused(void **state) {
    struct code_bench *b = *state;
    static const char *const bad[] = {
        "{\"codedir\":5}",        "{\"nosuch\":1}",
        "{\"static\":{\"a\":1}}", "{\"auth\":{\"orchestrator\":5}}",
        "{\"auth\":{\"odd\":1}}", "{\"environments\":{\"a\":5}}",
        "{\"override\":[{}]}",    "[]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *body = str_printf("{\"puppetserver\":%s}", bad[i]);
        rig_error(&b->rig, &(struct ask){.method = "PUT", .path = "/_fake/state", .body = body}, 400,
                  "schema-violation");
        mem_free(body);
    }
    json_t *before = code_get(b, "/_fake/state", 200);
    char *text = json_text(before);
    json_decref(rig_json(&b->rig, &(struct ask){.method = "PUT", .path = "/_fake/state", .body = text}, 204));
    assert_json(code_get(b, "/_fake/state", 200), before);
    mem_free(text);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(the_hash_is_that_of_the_served_bytes),
        T(odd_files_make_no_tasks),
        T(broken_metadata_is_told),
        T(modules_are_found_along_the_path),
        T(modules_with_incomplete_metadata_are_left_out),
        T(an_environment_may_be_a_list_of_directories),
        T(files_are_confined_to_their_mounts),
        T(classes_may_be_tagged),
        T(bad_environments_are_refused),
        T(plans_are_listed_once),
        T(versioned_code_is_served_by_its_id),
        T(code_is_deployed),
        T(answers_can_be_overridden),
        T(the_shipped_rules_hold),
        T(agents_submit_through_it),
        T(catalogs_come_from_the_configuration),
        T(bad_states_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
