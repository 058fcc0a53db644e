/* pxp-module-puppet against the recordings of the reference's module (golden/pxp-module-puppet): the same requests,
 * with a stand-in for `puppet` that leaves behind what the recorded one did. */
#include "base/json.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

struct fixture {
    char dir[64];
    char *puppet; /* the stand-in */
};

static char *path_of(const struct fixture *f, const char *name) {
    return str_printf("%s/%s", f->dir, name);
}

static void put(const struct fixture *f, const char *name, const char *text) {
    char *path = path_of(f, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    mem_free(path);
}

static char *slurp(const char *path) {
    FILE *file = fopen(path, "r");
    struct buf text = BUF_INIT;
    char piece[4096];
    size_t n;
    if (file == NULL) {
        return NULL;
    }
    while ((n = fread(piece, 1, sizeof piece, file)) > 0) {
        buf_append(&text, piece, n);
    }
    fclose(file);
    return buf_take(&text);
}

/* What it does stands in files beside it: report.yaml, exit, and names of files to make or remove. */
static const char stand_in[] =
    "#!/bin/sh\n"
    "cd \"$(dirname \"$0\")\"\n"
    "echo \"$@\" >> calls\n"
    "if [ \"$2\" = --configprint ]; then\n"
    "  [ -e no-settings ] && exit 1\n"
    "  for s in agent_catalog_run_lockfile agent_disabled_lockfile; do echo \"$s = $PWD/$s\"; done\n"
    "  echo \"lastrunreport = $PWD/last_run_report.yaml\"; exit 0\n"
    "fi\n"
    "echo noise; echo noise >&2\n"
    "[ -e agent_catalog_run_lockfile ] && exit 1\n"
    "[ -e agent_disabled_lockfile ] && exit 1\n"
    "[ -e report.yaml ] && cp report.yaml last_run_report.yaml\n"
    "exit $(cat exit 2>/dev/null || echo 0)\n";

static int setup(void **state) {
    struct fixture *f = mem_zalloc(sizeof *f);
    strcpy(f->dir, "/tmp/dalang-puppet-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    put(f, "puppet", stand_in);
    f->puppet = path_of(f, "puppet");
    assert_int_equal(chmod(f->puppet, 0755), 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    char *command = str_printf("rm -rf %s", f->dir);
    assert_int_equal(system(command), 0);
    mem_free(command);
    mem_free(f->puppet);
    mem_free(f);
    return 0;
}

/* Runs the module; its standard output, mem_free() it. */
static char *run_module(const struct fixture *f, const char *action, const char *input, int *code) {
    put(f, "input", input);
    char *command =
        str_printf(BIN_DIR "/pxp-module-puppet %s < %s/input > %s/output 2> %s/errors", action, f->dir, f->dir, f->dir);
    int status = system(command);
    assert_true(WIFEXITED(status));
    *code = WEXITSTATUS(status);
    char *path = path_of(f, "output"), *text = slurp(path), *errors_path = path_of(f, "errors"),
         *errors = slurp(errors_path);
    assert_string_equal(errors, "");
    mem_free(errors);
    mem_free(errors_path);
    mem_free(path);
    mem_free(command);
    return text;
}

static char *request(const struct fixture *f, const char *input) {
    return str_printf("{\"input\":%s,\"configuration\":{\"puppet_bin\":\"%s\"}}", input, f->puppet);
}

/* ---------------------------------------------------------------------------------------- recordings */

static char *replaced(const char *text, const char *what, const char *with) {
    struct buf out = BUF_INIT;
    const char *at;
    while ((at = strstr(text, what)) != NULL) {
        buf_append(&out, text, (size_t)(at - text));
        buf_append_cstr(&out, with);
        text = at + strlen(what);
    }
    buf_append_cstr(&out, text);
    return buf_take(&out);
}

/* A report that holds what the recorded result was made from. */
static char *report_for(const json_t *result) {
    struct buf yaml = BUF_INIT;
    buf_append_cstr(&yaml, "--- !ruby/object:Puppet::Transaction::Report\nhost: node\n");
    static const char *const keys[] = {"time", "transaction_uuid", "environment", "status"};
    for (size_t i = 0; i < 4; i++) {
        buf_printf(&yaml, "%s: '%s'\n", keys[i], json_str(result, keys[i]));
    }
    buf_append_cstr(&yaml,
                    "logs:\n- level: !ruby/sym notice\n  message: |-\n    status: nonsense\n    \xc3\xa4\nmetrics:\n"
                    "  time:\n    values:\n    - - total\n      - Total\n      - 1.5\n"
                    "  resources:\n    name: resources\n    values:\n");
    const json_t *metrics = json_object_get(result, "metrics");
    for (void *i = json_object_iter((json_t *)metrics); i != NULL; i = json_object_iter_next((json_t *)metrics, i)) {
        buf_printf(&yaml, "    - - %s\n      - Label\n      - %lld\n", json_object_iter_key(i),
                   (long long)json_integer_value(json_object_iter_value(i)));
    }
    buf_append_cstr(&yaml, "resource_statuses: {}\n");
    return buf_take(&yaml);
}

static const char *const files_of_a_run[] = {
    "report.yaml", "last_run_report.yaml", "exit", "agent_disabled_lockfile", "agent_catalog_run_lockfile",
    "calls",       "no-settings"};

/* Puts the stand-in into the state that leads to this result. */
static void arrange(const struct fixture *f, const json_t *result) {
    for (size_t i = 0; i < sizeof files_of_a_run / sizeof files_of_a_run[0]; i++) {
        char *path = path_of(f, files_of_a_run[i]);
        unlink(path);
        mem_free(path);
    }
    const char *type = json_str(result, "error_type"), *error = json_str(result, "error");
    char code[16];
    snprintf(code, sizeof code, "%lld\n", (long long)json_int(result, "exitcode", 0));
    put(f, "exit", code);
    if (type == NULL || strcmp(type, "agent_exit_non_zero") == 0) {
        char *report = report_for(result);
        put(f, "report.yaml", report);
        mem_free(report);
    } else if (strcmp(type, "agent_disabled") == 0) {
        put(f, "agent_disabled_lockfile", "");
    } else if (strcmp(type, "no_last_run_report") == 0 && strstr(error, "unexpected") != NULL) {
        put(f, "last_run_report.yaml", "--- {}\n"); /* of an earlier run */
    }
}

static void play(const struct fixture *f, const char *name) {
    char *path = str_printf("%s/scenarios/golden/pxp-module-puppet/%s", SOURCE_DIR, name), *text = slurp(path);
    json_t *recording = json_parse(span_of(text), "test", NULL);
    assert_non_null(recording);
    const json_t *given = json_object_get(json_object_get(recording, "request"), "stdin");
    const json_t *response = json_object_get(recording, "response");
    const json_t *files = json_object_get(response, "output_files");
    const json_t *result = files != NULL && json_is_object(json_object_get(files, "stdout"))
                               ? json_object_get(files, "stdout")
                               : json_object_get(response, "stdout");
    arrange(f, result);
    char *raw = json_is_string(given) ? str_dup(json_string_value(given)) : json_text(given);
    char *with_puppet = raw, *expected = json_text(result);
    for (int node = 1; node <= 8; node++) { /* every recorded machine is this one */
        char *bin = str_printf("/srv/puppet-stack/bin/puppet-node%d", node);
        char *report = str_printf("/srv/puppet-stack/agents/node%d/var/state", node);
        char *next = replaced(with_puppet, bin, f->puppet), *shown = replaced(expected, bin, f->puppet);
        mem_free(with_puppet);
        mem_free(expected);
        with_puppet = next;
        expected = replaced(shown, report, f->dir);
        mem_free(shown);
        mem_free(bin);
        mem_free(report);
    }
    char *input = replaced(with_puppet, "/srv/puppet-stack/run/pxpout", f->dir);
    char *all_expected = replaced(expected, "/srv/puppet-stack/run/pxpout", f->dir);
    const json_t *argv = json_object_get(json_object_get(recording, "request"), "argv");
    const char *action = json_string_value(json_array_get(argv, 1));
    int code;
    char *output = run_module(f, action != NULL ? action : "", input, &code);
    if (files != NULL && json_is_object(json_object_get(files, "stdout"))) {
        char *out_path = path_of(f, "stdout"), *code_path = path_of(f, "exitcode");
        assert_string_equal(output, "");
        mem_free(output);
        output = slurp(out_path);
        char *code_text = slurp(code_path);
        assert_string_equal(code_text, json_str(files, "exitcode"));
        mem_free(code_text);
        mem_free(out_path);
        mem_free(code_path);
    }
    output[strcspn(output, "\n")] = '\0';
    if (strcmp(output, all_expected) != 0 || code != json_int(response, "exit_code", -1)) {
        fail_msg("%s: exit %d\n  got      %s\n  recorded %s", name, code, output, all_expected);
    }
    mem_free(output);
    mem_free(all_expected);
    mem_free(input);
    mem_free(expected);
    mem_free(with_puppet);
    json_decref(recording);
    mem_free(text);
    mem_free(path);
}

static void as_recorded(void **state) {
    static const char *const names[] = {
        "metadata.json",
        "metadata-no-action.json",
        "error-default-puppet-bin.json",
        "error-empty-stdin.json",
        "error-flag-characters.json",
        "error-flag-equals.json",
        "error-flag-not-permitted.json",
        "error-flag-override.json",
        "error-input-array.json",
        "error-invalid-json.json",
        "error-no-input.json",
        "error-no-puppet-bin.json",
        "error-not-a-hash.json",
        "error-output-files-failed-run.json",
        "error-output-files.json",
        "error-puppet-bin-fails.json",
        "error-puppet-bin-prints-nothing.json",
        "error-unknown-action.json",
        "flag-repeats-default.json",
        "run-bad-flag-value.json",
        "run-changed.json",
        "run-changed-2.json",
        "run-changed-more-flags.json",
        "run-disabled.json",
        "run-env-in-input.json",
        "run-failed-compile.json",
        "run-failed-resource.json",
        "run-illegal-environment-name.json",
        "run-job-number.json",
        "run-never-reported.json",
        "run-no-flags-key.json",
        "run-noop-pending.json",
        "run-other-environment.json",
        "run-output-files.json",
        "run-server-down-cached.json",
        "run-server-down-no-cache.json",
        "run-server-down-no-use-cache.json",
        "run-skip-tags.json",
        "run-stale-lock.json",
        "run-unchanged.json",
        "run-unknown-environment-strict.json",
        "run-unknown-environment.json",
        "run-use-cached-catalog.json",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        play(*state, names[i]);
    }
}

/* ---------------------------------------------------------------------------------------- what no recording shows */

static char *calls(const struct fixture *f) {
    char *path = path_of(f, "calls"), *text = slurp(path), *last = strrchr(text, '\n');
    *last = '\0';
    last = strrchr(text, '\n');
    char *line = str_dup(last != NULL ? last + 1 : text);
    mem_free(text);
    mem_free(path);
    return line;
}

static void arguments_of_puppet(void **state) {
    const struct fixture *f = *state;
    const struct {
        const char *input, *arguments;
    } cases[] = {
        {"{\"flags\":[]}", "agent --onetime --no-daemonize --verbose"},
        {"{\"flags\":[\"--noop\"],\"job\":\"57\"}", "agent --noop --onetime --no-daemonize --verbose --job-id 57"},
        {"{\"flags\":[\"--verbose\",\"--environment\",\"dev\"],\"env\":[\"A=b\"]}",
         "agent --verbose --environment dev --onetime --no-daemonize"},
        {"{\"flags\":[\"--no-noop\",\"--no-splay\"]}", "agent --no-noop --no-splay --onetime --no-daemonize --verbose"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int code;
        char *input = request(f, cases[i].input), *output = run_module(f, "run", input, &code), *line = calls(f);
        assert_string_equal(line, cases[i].arguments);
        mem_free(line);
        mem_free(output);
        mem_free(input);
    }
}

static void blanks_do_not_hide_a_flag(void **state) {
    const struct fixture *f = *state;
    const char *flags[] = {"[\"\\t--certname\"]",
                           "[\" --daemonize\"]",
                           "[\"--noop \",\"--no-onetime\"]",
                           "[\"\\u00a0--certname\"]",
                           "[\"\"]",
                           "[\" \"]",
                           "[\"--\"]",
                           "[\"--noop\\u0000x\"]"};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        int code;
        char *input = str_printf("{\"flags\":%s}", flags[i]), *whole = request(f, input),
             *output = run_module(f, "run", whole, &code);
        assert_int_equal(code, 1);
        assert_non_null(strstr(output, "\"error_type\":\"invalid_json\""));
        mem_free(output);
        mem_free(whole);
        mem_free(input);
    }
}

static void a_lock_is_waited_for(void **state) {
    const struct fixture *f = *state;
    put(f, "agent_catalog_run_lockfile", "1");
    put(f, "report.yaml", "--- !ruby/object:X\nstatus: changed\n");
    char *command = str_printf("(sleep 0.5; rm %s/agent_catalog_run_lockfile) &", f->dir);
    assert_int_equal(system(command), 0);
    int code;
    char *input = request(f, "{\"flags\":[]}"), *output = run_module(f, "run", input, &code);
    assert_int_equal(code, 0);
    assert_non_null(strstr(output, "\"environment\":\"unknown\",\"status\":\"changed\",\"metrics\":{},\"exitcode\":0"));
    mem_free(output);
    mem_free(input);
    mem_free(command);
}

static void reports_that_are_none(void **state) {
    const struct fixture *f = *state;
    const char *reports[] = {"--- [", "- a\n- list\n", "just text\n", "a: &x [*y]\n", ""};
    for (size_t i = 0; i < sizeof reports / sizeof reports[0]; i++) {
        put(f, "report.yaml", reports[i]);
        char *old = path_of(f, "last_run_report.yaml");
        unlink(old);
        int code;
        char *input = request(f, "{\"flags\":[]}"), *output = run_module(f, "run", input, &code);
        assert_int_equal(code, 1);
        if (strstr(output, "\"error_type\":\"invalid_last_run_report\"") == NULL ||
            strstr(output, "could not be loaded: ") == NULL) {
            fail_msg("%s: %s", reports[i], output);
        }
        mem_free(output);
        mem_free(input);
        mem_free(old);
    }
}

/* ---------------------------------------------------------------------------------------- the real Puppet */

static const char *real_puppet(void) {
    static const char *const places[] = {"/opt/puppetlabs/bin/puppet", "/usr/bin/puppet"};
    for (size_t i = 0; i < 2; i++) {
        if (access(places[i], X_OK) == 0) {
            return places[i];
        }
    }
    return NULL;
}

/* A machine of its own for it: every directory below ours, no server. */
static void put_real_puppet(const struct fixture *f) {
    char *script =
        str_printf("#!/bin/sh\nexport HOME=%s\nexec %s \"$@\" --confdir %s/conf --vardir %s/var --codedir %s/code "
                   "--rundir %s/run --logdir %s/log --publicdir %s/pub --server localhost --serverport 1 "
                   "--waitforcert 0 --no-usecacheonfailure\n",
                   f->dir, real_puppet(), f->dir, f->dir, f->dir, f->dir, f->dir, f->dir);
    put(f, "puppet", script);
    mem_free(script);
}

static void with_a_real_puppet(void **state) {
    const struct fixture *f = *state;
    if (real_puppet() == NULL) {
        print_message("no Puppet on this machine\n");
        skip();
    }
    put_real_puppet(f);
    char *lock = str_printf("mkdir -p %s/var/state && echo '{\"disabled_message\":\"testing\"}' > "
                            "%s/var/state/agent_disabled.lock",
                            f->dir, f->dir);
    assert_int_equal(system(lock), 0);
    int code;
    char *input = request(f, "{\"flags\":[\"--noop\"],\"job\":\"1\"}"), *output = run_module(f, "run", input, &code);
    assert_int_equal(code, 1);
    assert_non_null(strstr(output, "\"exitcode\":1,\"version\":1,\"error_type\":\"agent_disabled\""));
    mem_free(output);
    mem_free(input);
    mem_free(lock);
}

/* The helper of `apply`: a catalog is applied, nothing of the machine's own configuration is touched. */
static void a_catalog_is_applied(void **state) {
    const struct fixture *f = *state;
    if (real_puppet() == NULL) {
        print_message("no Puppet on this machine\n");
        skip();
    }
    char *path = path_of(f, "made");
    char *text = str_printf(
        "{\"action\":\"apply\",\"environment\":\"production\",\"plugin_cache\":\"%s/plugins\",\"ca\":\"\",\"crt\":\"\","
        "\"key\":\"\",\"crl\":\"\",\"proxy\":\"\",\"primary_uris\":[],\"apply_options\":{\"noop\":false},\"catalog\":{"
        "\"name\":\"n\",\"version\":1,\"environment\":\"production\",\"catalog_uuid\":\"x\",\"catalog_format\":1,"
        "\"tags\":[],\"classes\":[],\"resources\":[{\"type\":\"File\",\"title\":\"%s\",\"tags\":[],\"exported\":false,"
        "\"parameters\":{\"ensure\":\"file\",\"content\":\"applied\\n\"}}],\"edges\":[]}}",
        f->dir, path);
    put(f, "request", text);
    char *command =
        str_printf(BIN_DIR "/apply_ruby_shim.rb < %s/request > %s/report 2> %s/errors", f->dir, f->dir, f->dir);
    char *errors_path = path_of(f, "errors"), *report_path = path_of(f, "report");
    int status = system(command);
    char *errors = slurp(errors_path), *made = slurp(path), *report_text = slurp(report_path);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(as_recorded, setup, teardown),
        cmocka_unit_test_setup_teardown(arguments_of_puppet, setup, teardown),
        cmocka_unit_test_setup_teardown(blanks_do_not_hide_a_flag, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lock_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(reports_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(with_a_real_puppet, setup, teardown),
        cmocka_unit_test_setup_teardown(a_catalog_is_applied, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
