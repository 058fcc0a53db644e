/* file download, apply, external modules (agent.md §9, §11.7, §11.8). */
#include "agent/download.h"
#include "agent/tests/bench.h"
#include "base/digest.h"
#include "base/mem.h"

#define PATH "/f/data.txt"

/* ---------------------------------------------------------------------------------------- file download */

static char *entry(const char *kind, const char *destination, const char *sha, const char *more) {
    return str_printf("{\"kind\":\"%s\",\"destination\":\"%s\",\"link_source\":\"/target\",\"sha256\":\"%s\",\"uri\":{"
                      "\"path\":\"" PATH "\",\"params\":{\"a\":\"1\"}}%s}",
                      kind, destination, sha, more);
}

static void expect_download(struct bench *b, const char *entries, const char *error) {
    char *params = str_printf("{\"files\":[%s]}", entries);
    mem_free(bench_request(b, !NON_BLOCKING, "t", "file", "download", params, false));
    mem_free(params);
    if (error == NULL) {
        bench_expect_data(b, "rpc_blocking_response",
                          "{\"transaction_id\":\"t\",\"results\":{\"exitcode\":0,\"stdout\":\"downloaded\"}}");
    } else {
        const struct message *m = bench_expect(b, "rpc_error_message");
        if (strstr(m->data, error) == NULL) {
            fail_msg("%s, not %s", m->data, error);
        }
    }
}

static int mode_of(struct bench *b, const char *path) {
    struct world_stat st;
    return world_file_stat(b->agent_host, path, &st, NULL) ? st.mode : -1;
}

static void files_are_placed(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    char *sha = bench_serve(b, PATH, "content");
    char *file = entry("file", "/new/deep/x.txt", sha, ""), *dir = entry("directory", "/made/a/b", "", ""),
         *link = entry("symlink", "/made/link", "", ""), *all = str_printf("%s,%s,%s", dir, file, link);
    expect_download(b, all, NULL);
    char *text = bench_read(b, "/new/deep/x.txt");
    assert_string_equal(text, "content");
    mem_free(text);
    assert_int_equal(mode_of(b, "/new/deep/x.txt"), 0750);
    assert_int_equal(mode_of(b, "/new/deep"), 0750);
    assert_int_equal(mode_of(b, "/made/a/b"), 0750);
    expect_download(b, all, NULL); /* the same again: nothing is fetched */
    assert_int_equal(bench_served(b, PATH)->asked, 1);
    assert_true(world_file_chmod(b->agent_host, "/new/deep/x.txt", 0600, NULL));
    for (char *c = sha; *c != '\0'; c++) {
        *c = (char)(*c >= 'a' && *c <= 'f' ? *c - 32 : *c);
    }
    char *upper = entry("file", "/new/deep/x.txt", sha, "");
    expect_download(b, upper, NULL); /* upper case, and the mode is put right */
    assert_int_equal(bench_served(b, PATH)->asked, 1);
    assert_int_equal(mode_of(b, "/new/deep/x.txt"), 0750);
    bench_write(b, "/new/deep/x.txt", "changed");
    expect_download(b, upper, NULL);
    assert_int_equal(bench_served(b, PATH)->asked, 2);
    text = bench_read(b, "/new/deep/x.txt");
    assert_string_equal(text, "content");
    mem_free(text);
    mem_free(upper);
    mem_free(file);
    mem_free(dir);
    mem_free(link);
    mem_free(all);
    mem_free(sha);
    bench_free(b);
}

static void files_in_the_way(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    char *sha = bench_serve(b, PATH, "content");
    bench_write(b, "/there", "kept");
    char *dir = entry("directory", "/there", "", ""), *link = entry("symlink", "/there", "", ""),
         *odd = entry("fifo", "/x", "", ""), *odd_name = entry("file", "/x/..", sha, ""),
         *odd_sha = entry("file", "/x", "../y", "");
    expect_download(b, dir, "Error: Destination \\\"/there\\\" already exists and is not a directory!");
    expect_download(b, link, "Error: Destination \\\"/there\\\" already exists and is not a symlink!");
    expect_download(b, odd, "Error: Not a valid file type! fifo");
    expect_download(b, odd_name, "Error: invalid file name");
    expect_download(b, odd_sha, "Error: invalid sha256");
    char *text = bench_read(b, "/there");
    assert_string_equal(text, "kept");
    mem_free(text);
    mem_free(bench_request(b, !NON_BLOCKING, "t", "file", "download", "{}", false));
    bench_expect(b, "rpc_error_message");
    mem_free(dir);
    mem_free(link);
    mem_free(odd);
    mem_free(odd_name);
    mem_free(odd_sha);
    mem_free(sha);
    bench_free(b);
}

static void downloads_that_fail_are_not_repeated(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    mem_free(bench_serve(b, PATH, "other content"));
    char sha[SHA256_HEX_LEN + 1];
    sha256_hex(SPAN("content"), sha);
    char *file = entry("file", "/new/x.txt", sha, ""), *second = entry("directory", "/never", "", ""),
         *both = str_printf("%s,%s", file, second);
    uint64_t start = sim_now_us(b->sim);
    expect_download(b, both, "Error: The downloaded file \\\"x.txt\\\" has a SHA that differs from the provided SHA");
    assert_true(sim_now_us(b->sim) - start < SIM_SECOND);
    assert_int_equal(bench_served(b, PATH)->asked, 1);
    assert_false(bench_exists(b, "/never")); /* the first failure ends it */
    assert_false(bench_exists(b, "/new/x.txt"));
    bench_served(b, PATH)->status = 404;
    char *params = str_printf("{\"files\":[%s]}", file);
    mem_free(bench_request(b, NON_BLOCKING, "nb", "file", "download", params, true));
    bench_expect(b, "rpc_provisional_response");
    bench_expect(b, "rpc_error_message");
    char *status = bench_status(b, "nb");
    assert_non_null(strstr(status, "\"exitcode\":0,\"status\":\"failure\""));
    assert_non_null(strstr(status, "HTTP status 404"));
    mem_free(status);
    mem_free(params);
    mem_free(both);
    mem_free(second);
    mem_free(file);
    bench_free(b);
}

static void a_spooled_download_has_its_files(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    char *dir = entry("directory", "/made", "", ""), *params = str_printf("{\"files\":[%s]}", dir);
    mem_free(bench_request(b, NON_BLOCKING, "nb", "file", "download", params, true));
    bench_expect(b, "rpc_provisional_response");
    bench_expect(b, "rpc_non_blocking_response");
    char *code = bench_read(b, SPOOL "/nb/exitcode"), *out = bench_read(b, SPOOL "/nb/stdout"),
         *err = bench_read(b, SPOOL "/nb/stderr");
    assert_string_equal(code, "0\n");
    assert_string_equal(out, "downloaded");
    assert_string_equal(err, "");
    mem_free(code);
    mem_free(out);
    mem_free(err);
    mem_free(params);
    mem_free(dir);
    bench_free(b);
}

static void urls(void **state) {
    (void)state;
    const struct {
        const char *path, *params, *url;
    } cases[] = {
        {"/a/b.sh", "{}", "https://h/a/b.sh"},
        {"/a", "{\"environment\":\"p q\",\"code_id\":\"x&y=\xc3\xa4\"}",
         "https://h/a?environment=p%20q&code_id=x%26y%3D%C3%A4"},
        {"/a b/\xc3\xa4%41%zz%\"<#", "{}", "https://h/a%20b/%C3%A4%41%25zz%25%22%3C%23"},
        {"/a?x=1", "{}", "https://h/a?x=1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *params = json_parse(span_of(cases[i].params), "test", NULL);
        char *url = download_url("https://h", span_of(cases[i].path), params);
        assert_string_equal(url, cases[i].url);
        mem_free(url);
        json_decref(params);
    }
}

/* ---------------------------------------------------------------------------------------- apply */

static void apply_runs_its_helper(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    b->config.helper_dir = "/opt/helpers";
    b->config.ssl_ca = "/ca";
    b->config.ssl_cert = "/cert";
    b->config.ssl_key = "/key";
    b->config.ssl_crl = "/crl";
    assert_true(world_file_mkdir(b->agent_host, "/opt/helpers", 0755, true, NULL));
    bench_write(b, "/opt/helpers/apply_ruby_shim.rb", "#!sim\nstdin");
    assert_true(world_file_chmod(b->agent_host, "/opt/helpers/apply_ruby_shim.rb", 0755, NULL));
    bench_start(b);
    mem_free(bench_request(b, !NON_BLOCKING, "t", "apply", "prep", "{\"environment\":\"production\"}", false));
    bench_expect_data(
        b, "rpc_blocking_response", "%s",
        "{\"transaction_id\":\"t\",\"results\":{\"exitcode\":0,\"stdout\":\"{\\\"environment\\\":"
        "\\\"production\\\",\\\"ca\\\":\\\"/ca\\\",\\\"crt\\\":\\\"/cert\\\",\\\"key\\\":\\\"/key\\\","
        "\\\"crl\\\":\\\"/crl\\\",\\\"proxy\\\":\\\"\\\",\\\"action\\\":\\\"prep\\\",\\\"plugin_cache\\\":"
        "\\\"" CACHE "/production\\\",\\\"primary_uris\\\":[\\\"https://primary.example.com:8140\\\"]}\\n\"}}");
    assert_int_equal(mode_of(b, CACHE "/production"), 0750);
    mem_free(bench_request(b, !NON_BLOCKING, "t", "apply", "apply",
                           "{\"catalog\":{\"environment\":\"dev\"},\"apply_options\":{\"noop\":true}}", false));
    const struct message *m = bench_expect(b, "rpc_blocking_response");
    assert_non_null(strstr(m->data, "\\\"apply_options\\\":{\\\"noop\\\":true}"));
    assert_non_null(strstr(m->data, "\\\"environment\\\":\\\"dev\\\""));
    mem_free(bench_request(b, !NON_BLOCKING, "t", "apply", "prep", "{\"environment\":\"../x\"}", false));
    assert_non_null(strstr(bench_expect(b, "rpc_error_message")->data, "Error: invalid environment name"));
    bench_free(b);
}

static void apply_needs_a_crl(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    mem_free(bench_request(b, !NON_BLOCKING, "t", "apply", "prep", "{\"environment\":\"production\"}", false));
    assert_non_null(strstr(bench_expect(b, "rpc_error_message")->data, "Error: ssl-crl setting is requried for apply"));
    bench_free(b);
}

/* ---------------------------------------------------------------------------------------- external modules */

#define STRING_OBJECT(key)                                                                                             \
    "{\"type\":\"object\",\"properties\":{\"" key "\":{\"type\":\"string\"}},\"required\":[\"" key "\"]}"
#define METADATA(more)                                                                                                 \
    "metadata {\"description\":\"d\",\"actions\":[{\"name\":\"string\",\"input\":" STRING_OBJECT(                      \
        "argument") ",\"results\":" STRING_OBJECT("output") "},{\"name\":\"any\",\"input\":{},\"results\":{}}]" more   \
                                                            "}\n"
#define CONFIGURABLE ",\"configuration\":" STRING_OBJECT("key")

static void put_module(struct bench *b, const char *name, const char *text) {
    char *path = str_printf("/modules/%s", name), *full = str_printf("#!sim\n%s", text);
    world_file_mkdir(b->agent_host, "/modules", 0755, true, NULL);
    world_file_mkdir(b->agent_host, "/modules-conf", 0755, true, NULL);
    bench_write(b, path, full);
    assert_true(world_file_chmod(b->agent_host, path, 0755, NULL));
    mem_free(path);
    mem_free(full);
}

static struct bench *with_modules(void) {
    struct bench *b = bench_new(1, PCP_V2);
    b->config.modules_dir = "/modules";
    b->config.modules_config_dir = "/modules-conf";
    return b;
}

static void call(struct bench *b, bool non_blocking, const char *module, const char *action) {
    mem_free(bench_request(b, non_blocking, "t", module, action, "{\"argument\":\"abc\"}", true));
}

static void expect_known(struct bench *b, const char *module, bool known) {
    mem_free(bench_request(b, !NON_BLOCKING, "k", module, "nope", "{}", false));
    const char *text = bench_expect(b, "rpc_error_message")->data;
    if ((strstr(text, "unknown action") != NULL) != known) {
        fail_msg("%s: %s", module, text);
    }
}

static void modules_are_loaded(void **state) {
    (void)state;
    struct bench *b = with_modules();
    put_module(b, "good", METADATA("") "stdin");
    put_module(b, "with_config", METADATA(CONFIGURABLE) "stdin");
    put_module(b, "wrong_config", METADATA(CONFIGURABLE) "stdin");
    put_module(b, "no_json_config", METADATA(CONFIGURABLE) "stdin");
    put_module(b, "null_config", METADATA("") "stdin");
    put_module(b, "unconfigured", METADATA(CONFIGURABLE) "stdin");
    put_module(b, "has.extension", METADATA("") "stdin");
    put_module(b, "says_something", METADATA("") "metaerr careful");
    put_module(b, "no_metadata", "out x");
    put_module(b, "bad_json", "metadata {\n");
    put_module(b, "bad_metadata", "metadata {\"actions\":[]}\n");
    put_module(b, "hangs", METADATA("") "takes 100000000");
    put_module(b, "echo", METADATA("") "stdin"); /* the name is taken */
    bench_write(b, "/modules/not_executable", "x");
    assert_true(world_file_mkdir(b->agent_host, "/modules/directory", 0755, false, NULL));
    bench_write(b, "/modules-conf/with_config.conf", "{\"key\":\"value\"}");
    bench_write(b, "/modules-conf/wrong_config.conf", "{\"key\":1}");
    bench_write(b, "/modules-conf/no_json_config.conf", "not json");
    bench_write(b, "/modules-conf/null_config.conf", "null");
    bench_agent_start(b);
    assert_true(bench_wait(b, bench_is_connected, 5 * SIM_MINUTE));
    const char *known[] = {"good", "with_config", "null_config", "unconfigured", "echo"};
    const char *unknown[] = {"wrong_config", "no_json_config", "has.extension", "says_something", "no_metadata",
                             "bad_json",     "bad_metadata",   "hangs",         "not_executable", "directory"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        expect_known(b, known[i], true);
    }
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        expect_known(b, unknown[i], false);
    }
    call(b, !NON_BLOCKING, "with_config", "any");
    bench_expect_data(b, "rpc_blocking_response", "%s",
                      "{\"transaction_id\":\"t\",\"results\":{\"input\":{\"argument\":\"abc\"},\"configuration\":{"
                      "\"key\":\"value\"}}}");
    call(b, !NON_BLOCKING, "good", "any");
    bench_expect_data(b, "rpc_blocking_response", "%s",
                      "{\"transaction_id\":\"t\",\"results\":{\"input\":{\"argument\":\"abc\"}}}");
    call(b, !NON_BLOCKING, "null_config", "any");
    bench_expect_data(
        b, "rpc_blocking_response", "%s",
        "{\"transaction_id\":\"t\",\"results\":{\"input\":{\"argument\":\"abc\"},\"configuration\":null}}");
    assert_true(bench_logged(b, "printed on stderr: careful"));
    assert_int_equal(sim_process_count(b->sim), 0); /* what hung was ended */
    bench_free(b);
}

#define LABEL(kind) "The task executed for the " kind " 'm string' request (transaction t) returned "

static void module_results(void **state) {
    (void)state;
    const struct {
        const char *text, *results, *error;
    } cases[] = {
        {"out {\"output\":\"x\"}", "{\"output\":\"x\"}", NULL},
        {"out {\"output\":\"x\"}\nexit 1\nerr ignored", "{\"output\":\"x\"}", NULL}, /* the exit code does not matter */
        {"out no json", NULL, "invalid JSON on stdout - stderr: (empty)"},
        {"out no json\nerr why", NULL, "invalid JSON on stdout - stderr:\\nwhy\\n"},
        {"out {\"output\":1}", NULL, "invalid results on stdout: {\\\"output\\\":1}\\n - stderr: (empty)"},
        {"out {\"output\":1}\nerr w\xc3\xa4h", NULL,
         "invalid results on stdout: {\\\"output\\\":1}\\n - stderr: \\nw\xc3\xa4h\\n"},
        {"exit 1\nerr why", NULL, "no results on stdout - stderr: \\nwhy\\n"},
        {"takes 1", NULL, "no results on stdout - stderr: (empty)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int non_blocking = 0; non_blocking < 2; non_blocking++) {
            struct bench *b = with_modules();
            char *text = str_printf(METADATA("") "%s", cases[i].text);
            put_module(b, "m", text);
            bench_start(b);
            call(b, non_blocking, "m", "string");
            if (non_blocking) {
                bench_expect(b, "rpc_provisional_response");
            }
            const struct message *m = bench_next(b);
            char *expected = cases[i].results != NULL ? str_printf("\"results\":%s", cases[i].results)
                             : non_blocking
                                 ? str_printf("\"description\":\"" LABEL("non blocking") "%s\"", cases[i].error)
                                 : str_printf("\"description\":\"" LABEL("blocking") "%s\"", cases[i].error);
            if (strstr(m->data, expected) == NULL) {
                fail_msg("%s: %s", cases[i].text, m->data);
            }
            mem_free(expected);
            mem_free(text);
            bench_free(b);
        }
    }
}

static void a_null_result_may_be_right(void **state) {
    (void)state;
    struct bench *b = with_modules();
    put_module(b, "m", METADATA("") "takes 1");
    bench_start(b);
    call(b, !NON_BLOCKING, "m", "any");
    bench_expect_data(b, "rpc_blocking_response", "{\"transaction_id\":\"t\",\"results\":null}");
    bench_free(b);
}

static void a_module_that_cannot_write_its_files(void **state) {
    (void)state;
    struct bench *b = with_modules();
    put_module(b, "m", METADATA("") "exit 5");
    bench_start(b);
    call(b, NON_BLOCKING, "m", "any");
    bench_expect(b, "rpc_provisional_response");
    const struct message *m = bench_expect(b, "rpc_error_message");
    assert_non_null(strstr(m->data, "Error: failed to write output on file"));
    bench_free(b);
}

static void a_module_survives_the_agent(void **state) {
    (void)state;
    struct bench *b = with_modules();
    put_module(b, "m", METADATA("") "takes 20000\nout {\"output\":\"x\"}");
    b->config.modules = NULL;
    bench_agent_start(b);
    assert_true(bench_wait(b, bench_is_connected, 5 * SIM_MINUTE));
    call(b, NON_BLOCKING, "m", "string");
    bench_expect(b, "rpc_provisional_response");
    char *pid = bench_read(b, SPOOL "/t/pid");
    assert_non_null(pid);
    mem_free(pid);
    put_module(b, "m", METADATA("")); /* quick to load again */
    bench_crash(b, SIM_CRASH_KILL);
    bench_expect_data(b, "rpc_non_blocking_response", "{\"transaction_id\":\"t\",\"results\":{\"output\":\"x\"}}");
    bench_free(b);
}

/* Shared by thousands of agents: known without being asked. */
static void modules_may_be_given(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    struct agent_modules *modules = agent_modules_new();
    struct error err = ERROR_INIT;
    const struct span metadata =
        SPAN("{\"description\":\"d\",\"actions\":[{\"name\":\"any\",\"input\":{},\"results\":{}}]}");
    assert_true(agent_modules_add(modules, "given", "/modules/given", metadata, NULL, &err));
    assert_false(agent_modules_add(modules, "given", "/modules/given", metadata, NULL, &err));
    assert_string_equal(err.kind, "agent/module");
    error_clear(&err);
    put_module(b, "given", "stdin");
    b->config.modules = modules;
    bench_start(b);
    call(b, !NON_BLOCKING, "given", "any");
    bench_expect(b, "rpc_blocking_response");
    bench_free(b);
    agent_modules_free(modules);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_placed),
        cmocka_unit_test(files_in_the_way),
        cmocka_unit_test(downloads_that_fail_are_not_repeated),
        cmocka_unit_test(a_spooled_download_has_its_files),
        cmocka_unit_test(urls),
        cmocka_unit_test(apply_runs_its_helper),
        cmocka_unit_test(apply_needs_a_crl),
        cmocka_unit_test(modules_are_loaded),
        cmocka_unit_test(module_results),
        cmocka_unit_test(a_null_result_may_be_right),
        cmocka_unit_test(a_module_that_cannot_write_its_files),
        cmocka_unit_test(a_module_survives_the_agent),
        cmocka_unit_test(modules_may_be_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
