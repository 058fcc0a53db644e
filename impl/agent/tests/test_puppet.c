/* pxp-module-puppet against the recordings of the reference's module (golden/pxp-module-puppet): the same requests,
 * with a stand-in for `puppet` that leaves behind what the recorded one did. */
#include "agent/tests/puppet_rig.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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
static void arrange(const struct puppet_rig *f, const json_t *result) {
    for (size_t i = 0; i < sizeof files_of_a_run / sizeof files_of_a_run[0]; i++) {
        char *path = rig_path(f, files_of_a_run[i]);
        unlink(path);
        mem_free(path);
    }
    const char *type = json_str(result, "error_type"), *error = json_str(result, "error");
    char code[16];
    snprintf(code, sizeof code, "%lld\n", (long long)json_int(result, "exitcode", 0));
    rig_put(f, "exit", code);
    if (type == NULL || strcmp(type, "agent_exit_non_zero") == 0) {
        char *report = report_for(result);
        rig_put(f, "report.yaml", report);
        mem_free(report);
    } else if (strcmp(type, "agent_disabled") == 0) {
        rig_put(f, "agent_disabled_lockfile", "");
    } else if (strcmp(type, "no_last_run_report") == 0 && strstr(error, "unexpected") != NULL) {
        rig_put(f, "last_run_report.yaml", "--- {}\n"); /* of an earlier run */
    }
}

static void play(const struct puppet_rig *f, const char *name) {
    char *path = str_printf("%s/scenarios/golden/pxp-module-puppet/%s", SOURCE_DIR, name), *text = rig_slurp(path);
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
    char *output = rig_run(f, action != NULL ? action : "", input, &code);
    if (files != NULL && json_is_object(json_object_get(files, "stdout"))) {
        char *out_path = rig_path(f, "stdout"), *code_path = rig_path(f, "exitcode");
        assert_string_equal(output, "");
        mem_free(output);
        output = rig_slurp(out_path);
        char *code_text = rig_slurp(code_path);
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

static char *calls(const struct puppet_rig *f) {
    char *path = rig_path(f, "calls"), *text = rig_slurp(path), *last = strrchr(text, '\n');
    *last = '\0';
    last = strrchr(text, '\n');
    char *line = str_dup(last != NULL ? last + 1 : text);
    mem_free(text);
    mem_free(path);
    return line;
}

static void arguments_of_puppet(void **state) {
    const struct puppet_rig *f = *state;
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
        char *input = rig_request(f, cases[i].input), *output = rig_run(f, "run", input, &code), *line = calls(f);
        assert_string_equal(line, cases[i].arguments);
        mem_free(line);
        mem_free(output);
        mem_free(input);
    }
}

static void blanks_do_not_hide_a_flag(void **state) {
    const struct puppet_rig *f = *state;
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
        char *input = str_printf("{\"flags\":%s}", flags[i]), *whole = rig_request(f, input),
             *output = rig_run(f, "run", whole, &code);
        assert_int_equal(code, 1);
        assert_non_null(strstr(output, "\"error_type\":\"invalid_json\""));
        mem_free(output);
        mem_free(whole);
        mem_free(input);
    }
}

/* The command that does so in the background. */
static char *release_lock_after_first_run(const struct puppet_rig *f) {
    return str_printf("(while [ ! -e %s/runs ]; do sleep 0.1; done; rm %s/agent_catalog_run_lockfile) &", f->dir,
                      f->dir);
}

static void a_lock_is_waited_for(void **state) {
    const struct puppet_rig *f = *state;
    rig_put(f, "agent_catalog_run_lockfile", "1");
    rig_put(f, "report.yaml", "--- !ruby/object:X\nstatus: changed\n");
    char *command = release_lock_after_first_run(f);
    assert_int_equal(system(command), 0);
    int code;
    char *input = rig_request(f, "{\"flags\":[]}"), *output = rig_run(f, "run", input, &code);
    assert_int_equal(code, 0);
    assert_non_null(strstr(output, "\"environment\":\"unknown\",\"status\":\"changed\",\"metrics\":{},\"exitcode\":0"));
    mem_free(output);
    mem_free(input);
    mem_free(command);
}

/* Another run takes the lock whenever it is free: after the second attempt the module gives up. */
static void a_lock_that_is_always_taken(void **state) {
    const struct puppet_rig *f = *state;
    rig_put(f, "agent_catalog_run_lockfile", "1");
    rig_put(f, "relock", "");
    char *command = release_lock_after_first_run(f);
    assert_int_equal(system(command), 0);
    int code;
    char *input = rig_request(f, "{\"flags\":[]}"), *output = rig_run(f, "run", input, &code);
    assert_int_equal(code, 1);
    assert_non_null(strstr(output, "\"error_type\":\"agent_locked\",\"error\":\"Puppet agent run is already in "
                                   "progress\""));
    mem_free(output);
    mem_free(input);
    mem_free(command);
}

static bool environment_has(const struct puppet_rig *f, const char *line) {
    char *path = rig_path(f, "environment"), *text = rig_slurp(path), *whole = str_printf("\n%s", text);
    char *wanted = str_printf("\n%s\n", line);
    bool has = strstr(whole, wanted) != NULL;
    mem_free(wanted);
    mem_free(whole);
    mem_free(text);
    mem_free(path);
    return has;
}

/* In an ASCII locale Ruby is told to use UTF-8; otherwise its options are nobody's business. */
static void ruby_reads_utf_8(void **state) {
    const struct puppet_rig *f = *state;
    const struct {
        const char *lc_all, *given, *line;
        bool is_there;
    } cases[] = {
        {"C", "", "RUBYOPT= -EUTF-8", true},
        {"POSIX", "-w", "RUBYOPT=-w -EUTF-8", true},
        {"no_SUCH.locale", "-w", "RUBYOPT=-w -EUTF-8", true},
        {"C.UTF-8", "-w", "RUBYOPT=-w", true},
    };
    char *input = rig_request(f, "{\"flags\":[]}");
    rig_put(f, "report.yaml", "--- !ruby/object:X\nstatus: changed\n");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int code;
        setenv("LC_ALL", cases[i].lc_all, 1);
        setenv("RUBYOPT", cases[i].given, 1);
        mem_free(rig_run(f, "run", input, &code));
        assert_int_equal(environment_has(f, cases[i].line), cases[i].is_there);
        char *locale = str_printf("LC_ALL=%s", cases[i].lc_all);
        assert_true(environment_has(f, locale)); /* as it was */
        mem_free(locale);
    }
    unsetenv("LC_ALL");
    unsetenv("RUBYOPT");
    mem_free(input);
}

/* Anybody but root gets who he is from the passwd entry, whatever the environment says. */
static void users_know_who_they_are(void **state) {
    const struct puppet_rig *f = *state;
    if (geteuid() != 0) {
        print_message("needs root to become somebody else\n");
        skip();
    }
    char *input = rig_request(f, "{\"flags\":[]}");
    rig_put(f, "input", input);
    char *command = str_printf("chmod 777 %s && HOME=/nowhere USER=me setpriv --reuid=nobody --clear-groups %s "
                               "run < %s/input > %s/output",
                               f->dir, BIN_DIR "/pxp-module-puppet", f->dir, f->dir);
    rig_put(f, "report.yaml", "--- !ruby/object:X\nstatus: changed\n");
    assert_int_equal(system(command), 0);
    assert_true(environment_has(f, "HOME=/nonexistent"));
    assert_true(environment_has(f, "USER=nobody"));
    assert_true(environment_has(f, "LOGNAME=nobody"));
    mem_free(command);
    mem_free(input);
}

static void reports_that_are_none(void **state) {
    const struct puppet_rig *f = *state;
    const char *reports[] = {"--- [", "- a\n- list\n", "just text\n", "a: &x [*y]\n", ""};
    for (size_t i = 0; i < sizeof reports / sizeof reports[0]; i++) {
        rig_put(f, "report.yaml", reports[i]);
        char *old = rig_path(f, "last_run_report.yaml");
        unlink(old);
        int code;
        char *input = rig_request(f, "{\"flags\":[]}"), *output = rig_run(f, "run", input, &code);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(as_recorded, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(arguments_of_puppet, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(blanks_do_not_hide_a_flag, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_lock_is_waited_for, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_lock_that_is_always_taken, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(ruby_reads_utf_8, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(users_know_who_they_are, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(reports_that_are_none, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
