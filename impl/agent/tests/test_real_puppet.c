/* pxp-module-puppet and the helper of `apply` with a real Puppet, where there is one (Debian's puppet-agent): what it
 * makes of noop, changed, failed and impossible runs, of locks and of reports. Puppet runs without a server, from a
 * cached catalog, with every directory of its own below the test's. */
#include "agent/tests/puppet_rig.h"
#include "base/mem.h"
#include "world/certs.h"
#include "world/real.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NODE "node1.example.com"

static const char *real_puppet(void) {
    static const char *const places[] = {"/opt/puppetlabs/bin/puppet", "/usr/bin/puppet"};
    for (size_t i = 0; i < 2; i++) {
        if (access(places[i], X_OK) == 0) {
            return places[i];
        }
    }
    return NULL;
}

/* The node's certificate where Puppet looks for it. */
static void put_credentials(const struct puppet_rig *f) {
    struct error err = ERROR_INIT;
    struct world *w = real_world_new(&err);
    char *dir = rig_path(f, "pki");
    int64_t now_ms = world_wall_ms(w);
    struct certs_ca *ca = certs_dir_open(dir, &(struct certs_ca_opts){.now_ms = now_ms}, &err);
    struct certs_paths paths;
    assert_non_null(ca);
    assert_true(certs_dir_issue(ca, dir,
                                &(struct certs_issue){.common_name = SPAN(NODE),
                                                      .dns_names = (const char *const[]){NODE, NULL},
                                                      .now_ms = now_ms},
                                &paths, &err));
    assert_true(certs_dir_write_crl(ca, dir, now_ms, &err));
    char *command = str_printf("cd %s && mkdir -p ssl/certs ssl/private_keys && cp pki/ca.pem ssl/certs/ && "
                               "cp pki/crl.pem ssl/ && cp %s ssl/certs/ && cp %s ssl/private_keys/" NODE ".pem",
                               f->dir, paths.cert, paths.key);
    assert_int_equal(system(command), 0);
    mem_free(command);
    certs_paths_free(&paths);
    certs_ca_free(ca);
    mem_free(dir);
    real_world_free(w);
}

/* A machine of its own for it, no server. Each run's exit code goes to `ends`; a file `spoil` spoils its report. */
static void put_real_puppet(const struct puppet_rig *f) {
    char *script = str_printf(
        "#!/bin/sh\nexport HOME=%s\n%s \"$@\" --confdir %s/conf --vardir %s/var --codedir %s/code --rundir %s/run "
        "--logdir %s/log --publicdir %s/pub --ssldir %s/ssl --certname " NODE " --server localhost --serverport 1 "
        "--waitforcert 0 --no-usecacheonfailure\ncode=$?\n[ -e %s/spoil ] && echo '--- [' > "
        "%s/var/state/last_run_report.yaml\n[ \"$2\" = --configprint ] || echo \"exit $code\" >> %s/ends\nexit $code\n",
        f->dir, real_puppet(), f->dir, f->dir, f->dir, f->dir, f->dir, f->dir, f->dir, f->dir, f->dir, f->dir);
    rig_put(f, "puppet", script);
    mem_free(script);
}

static int setup(void **state) {
    rig_setup(state);
    if (real_puppet() != NULL) {
        const struct puppet_rig *f = *state;
        char *command = str_printf("mkdir -p %s/var/state %s/var/client_data/catalog", f->dir, f->dir);
        assert_int_equal(system(command), 0);
        mem_free(command);
        put_credentials(f);
        put_real_puppet(f);
    }
    return 0;
}

static const struct puppet_rig *rig(void **state) {
    if (real_puppet() == NULL) {
        print_message("no Puppet on this machine\n");
        skip();
    }
    return *state;
}

/* What Puppet will apply: one resource. parameters: JSON text. */
static void put_catalog(const struct puppet_rig *f, const char *type, const char *title, const char *parameters) {
    char *text = str_printf(
        "{\"name\":\"" NODE "\",\"version\":7,\"environment\":\"production\",\"catalog_uuid\":\"x\","
        "\"catalog_format\":1,\"tags\":[],\"classes\":[],\"resources\":[{\"type\":\"Stage\",\"title\":\"main\","
        "\"tags\":[],\"exported\":false,\"parameters\":{\"name\":\"main\"}},{\"type\":\"%s\",\"title\":\"%s\","
        "\"tags\":[],\"exported\":false,\"parameters\":%s}],\"edges\":[]}",
        type, title, parameters);
    rig_put(f, "var/client_data/catalog/" NODE ".json", text);
    mem_free(text);
}

static void put_file_catalog(const struct puppet_rig *f) {
    char *path = rig_path(f, "made");
    put_catalog(f, "File", path, "{\"ensure\":\"file\",\"content\":\"made \\u00e4\\n\"}");
    mem_free(path);
}

static bool exists(const struct puppet_rig *f, const char *name) {
    char *path = rig_path(f, name);
    bool is_there = access(path, F_OK) == 0;
    mem_free(path);
    return is_there;
}

/* One run; its result, json_decref() it. more: further flags, each with a comma before it. */
static json_t *run(const struct puppet_rig *f, const char *more, int *code) {
    char *input = str_printf("{\"flags\":[\"--use_cached_catalog\"%s],\"job\":\"1\"}", more);
    char *whole = rig_request(f, input), *output = rig_run(f, "run", whole, code);
    json_t *result = json_parse(span_of(output), "test", NULL);
    assert_non_null(result);
    mem_free(output);
    mem_free(whole);
    mem_free(input);
    return result;
}

static void expect(json_t *result, const char *key, const char *text) {
    const char *got = json_str(result, key);
    if ((got == NULL) != (text == NULL) || (got != NULL && strcmp(got, text) != 0)) {
        char *all = json_text(result);
        fail_msg("%s is not %s: %s", key, text != NULL ? text : "absent", all);
    }
}

static long long metric(const json_t *result, const char *name) {
    return (long long)json_int(json_object_get(result, "metrics"), name, -1);
}

static void a_run_without_operation(void **state) {
    const struct puppet_rig *f = rig(state);
    int code;
    put_file_catalog(f);
    json_t *result = run(f, ",\"--noop\"", &code);
    assert_int_equal(code, 0);
    expect(result, "status", "unchanged");
    expect(result, "error", NULL);
    assert_int_equal(metric(result, "out_of_sync"), 1);
    assert_int_equal(metric(result, "changed"), 0);
    assert_false(exists(f, "made"));
    json_decref(result);
}

static void a_run_that_changes_something_and_one_that_has_nothing_to_do(void **state) {
    const struct puppet_rig *f = rig(state);
    int code;
    put_file_catalog(f);
    json_t *first = run(f, "", &code);
    assert_int_equal(code, 0);
    expect(first, "status", "changed");
    expect(first, "environment", "production");
    assert_int_equal(metric(first, "changed"), 1);
    assert_int_equal(json_int(first, "exitcode", -1), 0);
    assert_int_equal(strlen(json_str(first, "transaction_uuid")), 36);
    assert_true(exists(f, "made"));
    json_t *second = run(f, "", &code);
    expect(second, "status", "unchanged");
    assert_int_equal(metric(second, "changed"), 0);
    assert_string_not_equal(json_str(second, "transaction_uuid"), json_str(first, "transaction_uuid"));
    json_decref(second);
    json_decref(first);
}

/* A resource that fails is a run that was carried out: the report says failed, Puppet's exit code 0. */
static void a_resource_that_fails(void **state) {
    const struct puppet_rig *f = rig(state);
    int code;
    put_catalog(f, "Exec", "/bin/false", "{}");
    json_t *result = run(f, "", &code);
    assert_int_equal(code, 0);
    expect(result, "status", "failed");
    expect(result, "error_type", NULL);
    assert_int_equal(metric(result, "failed"), 1);
    json_decref(result);
}

/* Without a catalog and without a server Puppet exits with 1 and leaves a report that says failed. */
static void a_run_that_fails(void **state) {
    const struct puppet_rig *f = rig(state);
    int code;
    json_t *result = run(f, "", &code);
    assert_int_equal(code, 1);
    expect(result, "status", "failed");
    expect(result, "error_type", "agent_exit_non_zero");
    expect(result, "error", "Puppet agent exited with a non 0 exitcode");
    assert_int_equal(json_int(result, "exitcode", -1), 1);
    json_decref(result);
}

static void a_disabled_agent(void **state) {
    const struct puppet_rig *f = rig(state);
    int code;
    put_file_catalog(f);
    rig_put(f, "var/state/agent_disabled.lock", "{\"disabled_message\":\"testing\"}\n");
    json_t *result = run(f, "", &code);
    assert_int_equal(code, 1);
    expect(result, "error_type", "agent_disabled");
    expect(result, "error", "Puppet agent is disabled");
    expect(result, "status", "unknown");
    assert_int_equal(json_int(result, "exitcode", -1), 1);
    assert_false(exists(f, "made"));
    json_decref(result);
}

/* Another run holds the lock until the first attempt has been refused: the second one takes place. */
static void a_run_during_a_run_waits(void **state) {
    const struct puppet_rig *f = rig(state);
    int code;
    put_file_catalog(f);
    char *holder = str_printf("#!/bin/sh\ncd %s\necho $$ > var/state/agent_catalog_run.lock\ntouch held\n"
                              "while [ ! -e ends ]; do sleep 0.1; done\nrm var/state/agent_catalog_run.lock\n",
                              f->dir);
    rig_put(f, "puppet-run", holder); /* Puppet believes in a lock only while its holder bears such a name */
    char *command = str_printf("chmod 755 %s/puppet-run; %s/puppet-run & while [ ! -e %s/held ]; do sleep 0.1; done",
                               f->dir, f->dir, f->dir);
    assert_int_equal(system(command), 0);
    json_t *result = run(f, "", &code);
    assert_int_equal(code, 0);
    expect(result, "status", "changed");
    char *path = rig_path(f, "ends"), *ends = rig_slurp(path);
    assert_string_equal(ends, "exit 1\nexit 0\n");
    mem_free(ends);
    mem_free(path);
    mem_free(command);
    mem_free(holder);
    json_decref(result);
}

/* The lock of a run that was killed is no obstacle to Puppet, nor to the module. */
static void a_lock_that_was_left_behind(void **state) {
    const struct puppet_rig *f = rig(state);
    int code;
    put_file_catalog(f);
    /* Of a process that is not there, and never is: Linux has no larger number than 4194303. A number that was in use
     * a moment ago may be so again, by another test's Puppet. */
    char *command = str_printf("echo 4194399 > %s/var/state/agent_catalog_run.lock", f->dir);
    assert_int_equal(system(command), 0);
    json_t *result = run(f, "", &code);
    assert_int_equal(code, 0);
    expect(result, "status", "changed");
    mem_free(command);
    json_decref(result);
}

static void a_report_that_cannot_be_read(void **state) {
    const struct puppet_rig *f = rig(state);
    int code;
    put_file_catalog(f);
    rig_put(f, "spoil", "");
    json_t *result = run(f, "", &code);
    assert_int_equal(code, 1);
    expect(result, "error_type", "invalid_last_run_report");
    assert_non_null(strstr(json_str(result, "error"), "last_run_report.yaml could not be loaded: "));
    expect(result, "status", "unknown");
    json_decref(result);
}

/* The helper of `apply`: a catalog is applied, nothing of the machine's own configuration is touched. */
static void a_catalog_is_applied(void **state) {
    const struct puppet_rig *f = rig(state);
    char *path = rig_path(f, "made");
    char *text = str_printf(
        "{\"action\":\"apply\",\"environment\":\"production\",\"plugin_cache\":\"%s/plugins\",\"ca\":\"\",\"crt\":\"\","
        "\"key\":\"\",\"crl\":\"\",\"proxy\":\"\",\"primary_uris\":[],\"apply_options\":{\"noop\":false},\"catalog\":{"
        "\"name\":\"n\",\"version\":1,\"environment\":\"production\",\"catalog_uuid\":\"x\",\"catalog_format\":1,"
        "\"tags\":[],\"classes\":[],\"resources\":[{\"type\":\"File\",\"title\":\"%s\",\"tags\":[],\"exported\":false,"
        "\"parameters\":{\"ensure\":\"file\",\"content\":\"applied\\n\"}}],\"edges\":[]}}",
        f->dir, path);
    rig_put(f, "request", text);
    char *command =
        str_printf(BIN_DIR "/apply_ruby_shim.rb < %s/request > %s/report 2> %s/errors", f->dir, f->dir, f->dir);
    char *errors_path = rig_path(f, "errors"), *report_path = rig_path(f, "report");
    int status = system(command);
    char *errors = rig_slurp(errors_path), *made = rig_slurp(path), *report_text = rig_slurp(report_path);
    if (status != 0 || made == NULL) {
        fail_msg("%s", errors);
    }
    assert_string_equal(made, "applied\n");
    json_t *report = json_parse(span_of(report_text), "test", NULL);
    assert_string_equal(json_str(report, "status"), "changed");
    json_decref(report);
    mem_free(errors);
    mem_free(made);
    mem_free(report_text);
    mem_free(errors_path);
    mem_free(report_path);
    mem_free(command);
    mem_free(text);
    mem_free(path);
}

/* The other action of the helper. */
static void facts_are_collected(void **state) {
    const struct puppet_rig *f = rig(state);
    char *text = str_printf("{\"action\":\"prep\",\"environment\":\"production\",\"plugin_cache\":\"%s/plugins\","
                            "\"ca\":\"\",\"crt\":\"\",\"key\":\"\",\"crl\":\"\",\"proxy\":\"\",\"primary_uris\":[]}",
                            f->dir);
    rig_put(f, "request", text);
    char *command =
        str_printf("mkdir -p %s/plugins/facts.d; echo 'made_up=yes' > %s/plugins/facts.d/made_up.txt; " BIN_DIR
                   "/apply_ruby_shim.rb < %s/request > %s/facts 2> %s/errors",
                   f->dir, f->dir, f->dir, f->dir, f->dir);
    assert_int_equal(system(command), 0);
    char *path = rig_path(f, "facts"), *facts_text = rig_slurp(path);
    json_t *facts = json_parse(span_of(facts_text), "test", NULL);
    assert_string_equal(json_str(facts, "kernel"), "Linux");
    assert_string_equal(json_str(facts, "made_up"), "yes"); /* of the plugins */
    json_decref(facts);
    mem_free(facts_text);
    mem_free(path);
    mem_free(command);
    mem_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_without_operation, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_run_that_changes_something_and_one_that_has_nothing_to_do, setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(a_resource_that_fails, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_run_that_fails, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_disabled_agent, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_run_during_a_run_waits, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_lock_that_was_left_behind, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_report_that_cannot_be_read, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_catalog_is_applied, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(facts_are_collected, setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
