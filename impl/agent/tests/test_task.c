/* task run and its cache (agent.md §11.6, §11.10), script run (§11.5). */
#include "agent/tests/bench.h"
#include "base/digest.h"
#include "base/mem.h"
#include <stdio.h>

#define PATH "/puppet/v3/file_content/tasks/demo/hello.sh"

static const char *run_failed(struct bench *b, const char *why) {
    static char text[2000];
    (void)b;
    snprintf(text, sizeof text,
             "Failed to execute the task for the blocking 'task run' request (transaction t). Error: %s", why);
    return text;
}

/* Runs it blocking; its results or the error's description; mem_free() it. */
static char *run(struct bench *b, const char *params) {
    mem_free(bench_request(b, !NON_BLOCKING, "t", "task", "run", params, false));
    const struct message *m = bench_next(b);
    json_t *data = json_parse(span_of(m->data), "test", NULL);
    char *text = strcmp(m->type, "rpc_error_message") == 0 ? str_dup(json_str(data, "description"))
                                                           : json_text(json_object_get(data, "results"));
    json_decref(data);
    return text;
}

static void expect_run(struct bench *b, const char *params, const char *expected) {
    char *text = run(b, params);
    assert_string_equal(text, expected);
    mem_free(text);
}

/* {"task", "input", "files": [...]} plus `more`. */
static char *task(const char *files, const char *more) {
    return str_printf("{\"task\":\"demo::hello\",\"input\":{\"a\":\"x y\",\"n\":[1,{\"k\":null}]},\"files\":[%s]%s}",
                      files, more);
}

static char *file_entry(const char *name, const char *sha, const char *path) {
    return str_printf("{\"filename\":\"%s\",\"sha256\":\"%s\",\"uri\":{\"path\":\"%s\",\"params\":{\"environment\":"
                      "\"production\"}}}",
                      name, sha, path);
}

/* ---------------------------------------------------------------------------------------- input methods */

static void input_methods(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    char *sha = bench_serve(b, PATH, "#!sim\nstdin\nenv PT_a\nenv PT_n\nenv PT__task");
    char *entry = file_entry("hello.sh", sha, PATH);
#define STDIN "{\\\"a\\\":\\\"x y\\\",\\\"n\\\":[1,{\\\"k\\\":null}],\\\"_task\\\":\\\"demo::hello\\\"}\\n"
#define ENV "PT_a=x y\\nPT_n=[1,{\\\"k\\\":null}]\\nPT__task=demo::hello\\n"
#define RESULT(text) "{\"exitcode\":0,\"stdout\":\"" text "\"}"
    const struct {
        const char *more, *expected;
    } cases[] = {
        {"", RESULT(STDIN ENV)},
        {",\"input_method\":\"both\"", RESULT(STDIN ENV)},
        {",\"input_method\":\"stdin\"", RESULT(STDIN)},
        {",\"input_method\":\"environment\"", RESULT("\\n" ENV)},
        {",\"metadata\":{\"input_method\":\"environment\"}", RESULT("\\n" ENV)},
        {",\"input_method\":\"stdin\",\"metadata\":{}", RESULT(STDIN ENV)}, /* metadata hides the top level */
        {",\"metadata\":{\"input_method\":\"stdin\",\"implementations\":[{\"name\":\"hello.sh\",\"input_method\":"
         "\"environment\"}]}",
         RESULT("\\n" ENV)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *params = task(entry, cases[i].more);
        expect_run(b, params, cases[i].expected);
        mem_free(params);
    }
    char *params = task(entry, ",\"input_method\":\"weird\"");
    expect_run(b, params, run_failed(b, "unsupported task input method: weird"));
    mem_free(params);
    assert_int_equal(bench_served(b, PATH)->asked, 1); /* cached */
    mem_free(entry);
    mem_free(sha);
    bench_free(b);
}

static void the_environment_is_inherited(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    b->config.environment = (const char *const[]){"HOME=/root", "LANG=C", NULL};
    bench_start(b);
    char *sha = bench_serve(b, PATH, "#!sim\nenv HOME\nenv LANG\nenv PT_x");
    char *params = bench_task(b, PATH, sha, "{\"x\":1,\"y=z\":2,\"\":3}");
    expect_run(b, params, "{\"exitcode\":0,\"stdout\":\"HOME=/root\\nLANG=C\\nPT_x=1\\n\"}");
    mem_free(params);
    mem_free(sha);
    bench_free(b);
}

static void powershell_goes_through_its_shim(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    b->config.helper_dir = "/opt/helpers";
    bench_start(b);
    assert_true(world_file_mkdir(b->agent_host, "/opt/helpers", 0755, true, NULL));
    bench_write(b, "/opt/helpers/PowershellShim.ps1", "#!sim\nargs\nstdin");
    assert_true(world_file_chmod(b->agent_host, "/opt/helpers/PowershellShim.ps1", 0755, NULL));
    char *sha = bench_serve(b, "/x/hello.ps1", "Write-Output");
    char *params = bench_task(b, "/x/hello.ps1", sha, "{}");
    char *expected = str_printf("{\"exitcode\":0,\"stdout\":\"[" CACHE "/%s/hello.ps1]\\n"
                                "{\\\"_task\\\":\\\"demo::hello\\\"}\\n\"}",
                                sha);
    expect_run(b, params, expected);
    mem_free(expected);
    mem_free(params);
    mem_free(sha);
    bench_free(b);
}

/* ---------------------------------------------------------------------------------------- implementations */

static void implementations(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    char *one = bench_serve(b, "/f/one.sh", "#!sim\nout one"), *two = bench_serve(b, "/f/two.sh", "#!sim\nout two");
    char *first = file_entry("one.sh", one, "/f/one.sh"), *second = file_entry("two.sh", two, "/f/two.sh");
    char *files = str_printf("%s,%s", first, second);
#define IMPLEMENTATIONS(list, more) ",\"metadata\":{\"implementations\":[" list "]" more "}"
#define ONE_OUT "{\"exitcode\":0,\"stdout\":\"one\\n\"}"
#define TWO_OUT "{\"exitcode\":0,\"stdout\":\"two\\n\"}"
    const struct {
        const char *more, *expected;
    } cases[] = {
        {"", ONE_OUT},
        {IMPLEMENTATIONS("", ""), ONE_OUT},
        {IMPLEMENTATIONS("{\"name\":\"two.sh\"}", ""), TWO_OUT},
        {IMPLEMENTATIONS("{\"name\":\"one.sh\",\"requirements\":[\"powershell\"]},"
                         "{\"name\":\"two.sh\",\"requirements\":[\"shell\",\"puppet-agent\"]}",
                         ""),
         TWO_OUT},
        {IMPLEMENTATIONS("{\"name\":\"one.sh\",\"requirements\":[\"special\"]}", ",\"features\":[\"special\"]"),
         ONE_OUT},
        {",\"features\":[\"special\"]" IMPLEMENTATIONS("{\"name\":\"one.sh\",\"requirements\":[\"special\"]}", ""),
         "no implementations match supported features: puppet-agent, shell"},
        {",\"features\":[\"zzz\",\"aaa\"],\"implementations\":[{\"name\":\"one.sh\",\"requirements\":[\"no\"]}]",
         "no implementations match supported features: aaa, puppet-agent, shell, zzz"},
        {IMPLEMENTATIONS("{\"name\":\"three.sh\"}", ""), "'three.sh' file requested by implementation not found"},
        {",\"metadata\":{\"files\":[\"lib/x\"]}", "'lib/x' file requested as additional task dependency not found"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *params = task(files, cases[i].more);
        expect_run(b, params, cases[i].expected[0] == '{' ? cases[i].expected : run_failed(b, cases[i].expected));
        mem_free(params);
    }
    mem_free(files);
    mem_free(first);
    mem_free(second);
    mem_free(one);
    mem_free(two);
    bench_free(b);
}

/* ---------------------------------------------------------------------------------------- several files */

static void several_files_make_an_install_directory(void **state) {
    (void)state;
    for (int blocking = 0; blocking < 2; blocking++) {
        struct bench *b = bench_connected(PCP_V2);
        char *main_sha = bench_serve(b, "/f/init.rb", "#!sim\nenv PT__installdir\nstdin\nargs");
        char *lib_sha = bench_serve(b, "/f/lib.rb", "lib"), *deep_sha = bench_serve(b, "/f/deep.rb", "deep");
        char *entries[] = {
            file_entry("init.rb", main_sha, "/f/init.rb"), file_entry("demo/lib/lib.rb", lib_sha, "/f/lib.rb"),
            file_entry("other/files/a/deep.rb", deep_sha, "/f/deep.rb"), file_entry("unused.rb", lib_sha, "/f/lib.rb")};
        char *files = str_printf("%s,%s,%s,%s", entries[0], entries[1], entries[2], entries[3]);
        char *params =
            task(files, ",\"metadata\":{\"files\":[\"demo/lib/\"],\"implementations\":[{\"name\":\"init.rb\","
                        "\"files\":[\"other/files/a/deep.rb\",\"demo/lib/lib.rb\"]}]}");
        mem_free(bench_request(b, !blocking, "t", "task", "run", params, true));
        if (!blocking) {
            bench_expect(b, "rpc_provisional_response");
        }
        const struct message *m = bench_next(b);
        const char *root = blocking ? CACHE : SPOOL "/t";
        char *text = str_printf("\"stdout\":\"PT__installdir=%s/temp_task_", root);
        const char *at = strstr(m->data, text);
        assert_non_null(at);
        at += strlen(text);
        char *dir = str_printf("%s/temp_task_%.19s", root, at);
        struct {
            const char *name, *content;
        } made[] = {{"demo/lib/lib.rb", "lib"}, {"other/files/a/deep.rb", "deep"}, {"demo/tasks/init.rb", NULL}};
        for (size_t i = 0; i < 3; i++) {
            char *path = str_printf("%s/%s", dir, made[i].name);
            struct world_stat st;
            assert_int_equal(world_file_stat(b->agent_host, path, &st, NULL),
                             !blocking); /* removed after a blocking run */
            if (!blocking) {
                assert_int_equal(st.mode, 0750);
            }
            mem_free(path);
        }
        char *unused = str_printf("%s/unused.rb", dir);
        assert_false(bench_exists(b, unused));
        assert_int_equal(bench_exists(b, dir), !blocking);
        mem_free(unused);
        mem_free(dir);
        mem_free(text);
        mem_free(params);
        mem_free(files);
        for (size_t i = 0; i < 4; i++) {
            mem_free(entries[i]);
        }
        mem_free(main_sha);
        mem_free(lib_sha);
        mem_free(deep_sha);
        bench_free(b);
    }
}

static void names_from_the_wire_are_checked(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    char *sha = bench_serve(b, "/f/x.sh", "#!sim\nout x");
    const struct {
        const char *name, *sha, *more, *error;
    } cases[] = {
        {"..", NULL, "", "invalid file name: '..'"},
        {"x/", NULL, "", "invalid file name: 'x/'"},
        {"", NULL, "", "invalid file name: ''"},
        {"x.sh", "", "", "invalid sha256 of the file 'x.sh'"},
        {"x.sh", "..", "", "invalid sha256 of the file 'x.sh'"},
        {"x.sh", "../../etc", "", "invalid sha256 of the file 'x.sh'"},
        {"../x.sh", NULL, ",\"metadata\":{\"files\":[\"../x.sh\"]}", "invalid file name: '../x.sh'"},
        {"/etc/x.sh", NULL, ",\"metadata\":{\"files\":[\"/etc/x.sh\"]}", "invalid file name: '/etc/x.sh'"},
        {"a//x.sh", NULL, ",\"metadata\":{\"files\":[\"a/\"]}", "invalid file name: 'a//x.sh'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *entry = file_entry(cases[i].name, cases[i].sha != NULL ? cases[i].sha : sha, "/f/x.sh");
        char *params = task(entry, cases[i].more);
        expect_run(b, params, run_failed(b, cases[i].error));
        mem_free(params);
        mem_free(entry);
    }
    char *entry = file_entry("../../evil/x.sh", sha, "/f/x.sh"); /* only the last part counts */
    char *params = task(entry, "");
    expect_run(b, params, "{\"exitcode\":0,\"stdout\":\"x\\n\"}");
    mem_free(params);
    mem_free(entry);
    entry = file_entry("lib/x.sh", sha, "/f/x.sh");
    params =
        str_printf("{\"task\":\"../x::y\",\"input\":{},\"files\":[%s],\"metadata\":{\"files\":[\"lib/x.sh\"]}}", entry);
    expect_run(b, params, run_failed(b, "invalid task name"));
    mem_free(params);
    mem_free(entry);
    mem_free(sha);
    bench_free(b);
}

/* ---------------------------------------------------------------------------------------- cache */

static unsigned temporary_files(struct bench *b, const char *sha) {
    char **names = NULL;
    size_t count = 0;
    unsigned found = 0;
    char *dir = str_printf(CACHE "/%s", sha);
    world_file_list(b->agent_host, dir, &names, &count, NULL);
    for (size_t i = 0; i < count; i++) {
        found += strncmp(names[i], "temp_file_", 10) == 0;
    }
    world_names_free(names, count);
    mem_free(dir);
    return found;
}

static void cached_files_are_checked_before_every_run(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    char *sha = bench_serve(b, PATH, "#!sim\nout x");
    char *params = bench_task(b, PATH, sha, "{}");
    char *cached = str_printf(CACHE "/%s/hello.sh", sha);
    expect_run(b, params, "{\"exitcode\":0,\"stdout\":\"x\\n\"}");
    struct world_stat st;
    assert_true(world_file_stat(b->agent_host, cached, &st, NULL));
    assert_int_equal(st.mode, 0750);
    expect_run(b, params, "{\"exitcode\":0,\"stdout\":\"x\\n\"}");
    assert_int_equal(bench_served(b, PATH)->asked, 1);
    assert_true(world_file_write(b->agent_host, cached, SPAN("#!sim\nout evil"), 0750, WORLD_WRITE_PLAIN, NULL));
    expect_run(b, params, "{\"exitcode\":0,\"stdout\":\"x\\n\"}");
    assert_int_equal(bench_served(b, PATH)->asked, 2);
    assert_true(world_file_remove(b->agent_host, CACHE, true, NULL)); /* the whole cache may go */
    expect_run(b, params, "{\"exitcode\":0,\"stdout\":\"x\\n\"}");
    char *dir = str_printf(CACHE "/%s", sha);
    assert_true(world_file_stat(b->agent_host, dir, &st, NULL));
    assert_int_equal(st.mode, 0750);
    mem_free(dir);
    mem_free(cached);
    mem_free(params);
    mem_free(sha);
    bench_free(b);
}

static void upper_case_digests_match(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    char *sha = bench_serve(b, PATH, "#!sim\nout x");
    for (char *c = sha; *c != '\0'; c++) {
        *c = (char)(*c >= 'a' && *c <= 'f' ? *c - 'a' + 'A' : *c);
    }
    char *params = bench_task(b, PATH, sha, "{}");
    expect_run(b, params, "{\"exitcode\":0,\"stdout\":\"x\\n\"}");
    expect_run(b, params, "{\"exitcode\":0,\"stdout\":\"x\\n\"}");
    assert_int_equal(bench_served(b, PATH)->asked, 1);
    mem_free(params);
    mem_free(sha);
    bench_free(b);
}

static void a_wrong_digest_fails_after_five_rounds(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    mem_free(bench_serve(b, PATH, "#!sim\nout x"));
    char sha[SHA256_HEX_LEN + 1];
    sha256_hex(SPAN("other"), sha);
    char *params = bench_task(b, PATH, sha, "{}");
    uint64_t start = sim_now_us(b->sim);
    expect_run(b, params,
               run_failed(b,
                          "Failed to download file with: The downloaded file \"hello.sh\" has a SHA that differs from "
                          "the provided SHA"));
    uint64_t took = sim_now_us(b->sim) - start;
    assert_true(took > 15 * SIM_SECOND && took < 16 * SIM_SECOND); /* 1 + 2 + 4 + 8 */
    assert_int_equal(bench_served(b, PATH)->asked, 5);
    assert_int_equal(temporary_files(b, sha), 0);
    mem_free(params);
    bench_free(b);
}

static void servers_are_tried_in_order(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    const char *primaries[] = {"https://nowhere.example.com:8140", "https://primary.example.com:8140"};
    b->config.primaries = primaries;
    b->config.primary_count = 2;
    bench_start(b);
    char *sha = bench_serve(b, PATH, "#!sim\nout x");
    char *params = bench_task(b, PATH, sha, "{}");
    expect_run(b, params, "{\"exitcode\":0,\"stdout\":\"x\\n\"}");
    mem_free(params);
    params = bench_task(b, "/f/absent.sh", sha, "{}");
    expect_run(b, params,
               run_failed(b, "Failed to download file with: Downloading file \"absent.sh\" failed after trying all the "
                             "available master-uris. Most recent error message: https://primary.example.com:8140"
                             "/f/absent.sh?environment=production returned a response with HTTP status 404. Response "
                             "body: nope 404"));
    assert_int_equal(temporary_files(b, sha), 0);
    mem_free(params);
    mem_free(sha);
    bench_free(b);
}

static void a_server_in_trouble_is_asked_again(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    char *sha = bench_serve(b, PATH, "#!sim\nout x");
    char *params = bench_task(b, PATH, sha, "{}");
    bench_served(b, PATH)->status = 503;
    mem_free(bench_request(b, !NON_BLOCKING, "t", "task", "run", params, false));
    bench_run(b, 2 * SIM_SECOND);
    bench_served(b, PATH)->status = 200;
    bench_expect_data(b, "rpc_blocking_response",
                      "{\"transaction_id\":\"t\",\"results\":{\"exitcode\":0,\"stdout\":\"x\\n\"}}");
    mem_free(params);
    mem_free(sha);
    bench_free(b);
}

static void without_servers_it_fails_at_once(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    b->config.primary_count = 0;
    bench_start(b);
    char *sha = bench_serve(b, PATH, "x");
    char *params = bench_task(b, PATH, sha, "{}");
    uint64_t start = sim_now_us(b->sim);
    expect_run(b, params,
               run_failed(b, "Failed to download file with: Cannot download file. No master-uris were provided"));
    assert_true(sim_now_us(b->sim) - start < SIM_SECOND);
    mem_free(params);
    mem_free(sha);
    bench_free(b);
}

static void a_slow_download_times_out_and_pings_are_answered_meanwhile(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    b->config.download_timeout_ms = 10000;
    bench_start(b);
    char *sha = bench_serve(b, PATH, "#!sim\nout x");
    bench_served(b, PATH)->delay_ms = 60000;
    char *params = bench_task(b, PATH, sha, "{}");
    mem_free(bench_request(b, !NON_BLOCKING, "t", "task", "run", params, false));
    bench_run(b, SIM_SECOND);
    mem_free(bench_request(b, !NON_BLOCKING, "p", "ping", "ping", NULL, false));
    bench_expect_data(b, "rpc_blocking_response", "{\"transaction_id\":\"p\",\"results\":{\"request_hops\":[]}}");
    const struct message *m = bench_expect(b, "rpc_error_message");
    assert_non_null(strstr(m->data, "File download server side error"));
    assert_int_equal(bench_served(b, PATH)->asked, 5);
    assert_int_equal(temporary_files(b, sha), 0);
    mem_free(params);
    mem_free(sha);
    bench_free(b);
}

static void a_full_disk_is_told(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    char *content = mem_zalloc(200001);
    memset(content, 'x', 200000);
    char *sha = bench_serve(b, PATH, content);
    char *params = bench_task(b, PATH, sha, "{}");
    sim_disk_fault(b->agent_host,
                   &(struct sim_disk_fault){.prefix = CACHE, .ops = SIM_FILE_WRITE, .kind = "world/full"});
    char *text = run(b, params);
    assert_non_null(strstr(text, "Error: Failed to download file with: Downloading the file failed. Reason: "));
    mem_free(text);
    assert_int_equal(temporary_files(b, sha), 0);
    sim_disk_fault(b->agent_host, NULL);
    expect_run(b, params, "{\"exitcode\":8}");
    mem_free(params);
    mem_free(sha);
    mem_free(content);
    bench_free(b);
}

static void a_file_in_the_way_of_the_cache_is_told(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    char *sha = bench_serve(b, PATH, "#!sim\nout x");
    char *path = str_printf(CACHE "/%s", sha);
    bench_write(b, path, "in the way");
    char *params = bench_task(b, PATH, sha, "{}");
    char *text = run(b, params);
    char *expected = str_printf("Failed to create cache dir \"%s\" to download file to: ", path);
    assert_non_null(strstr(text, expected));
    mem_free(expected);
    mem_free(text);
    mem_free(params);
    mem_free(path);
    mem_free(sha);
    bench_free(b);
}

static void many_tasks_download_once(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    char *sha = bench_serve(b, PATH, "#!sim\ntakes 2000\nout x");
    char *params = bench_task(b, PATH, sha, "{}");
    uint64_t start = sim_now_us(b->sim);
    for (int i = 0; i < 200; i++) {
        char *id = str_printf("t%d", i);
        mem_free(bench_request(b, NON_BLOCKING, id, "task", "run", params, true));
        mem_free(id);
    }
    for (int i = 0; i < 400; i++) {
        bench_next(b);
    }
    assert_true(sim_now_us(b->sim) - start < 3 * SIM_SECOND); /* in parallel */
    assert_int_equal(bench_served(b, PATH)->asked, 1);
    assert_int_equal(b->runs, 200);
    mem_free(params);
    mem_free(sha);
    bench_free(b);
}

static void a_large_file_is_verified_piece_by_piece(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    size_t len = 9 * 1024 * 1024 + 12345;
    char *content = mem_zalloc(len + 1);
    memset(content, 'x', len);
    memcpy(content, "#!sim\nout x\n", 12);
    char *sha = bench_serve(b, PATH, content);
    char *params = bench_task(b, PATH, sha, "{}");
    expect_run(b, params, "{\"exitcode\":0,\"stdout\":\"x\\n\"}");
    expect_run(b, params, "{\"exitcode\":0,\"stdout\":\"x\\n\"}");
    assert_int_equal(bench_served(b, PATH)->asked, 1);
    mem_free(params);
    mem_free(sha);
    mem_free(content);
    bench_free(b);
}

/* ---------------------------------------------------------------------------------------- outcomes */

static void outcomes(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
#define INVALID "The task executed for the blocking 'task run' request (transaction t) returned invalid UTF-8 on stdout"
    const struct {
        const char *content, *expected;
    } cases[] = {
        {"#!sim\nexit 3\nerr e", "{\"exitcode\":3,\"stderr\":\"e\\n\"}"},
        {"#!sim\nexit 200", "{\"exitcode\":200}"},
        {"#!sim\nraw ff", INVALID},
        {"#!sim\nraw 610062", INVALID},
        {"#!sim\nraw edbfbf", INVALID},
        {"#!sim\nraw c0af", INVALID},
        {"#!sim\nraw e298ba", "{\"exitcode\":0,\"stdout\":\"\xe2\x98\xba\"}"},
        {"#!sim\nrawerr 61ff62", "{\"exitcode\":0,\"stderr\":\"a\xef\xbf\xbd"
                                 "b\"}"},
        {"no program", "{\"exitcode\":8}"},
        {"#!sim\nraw 7b7d", "{\"exitcode\":0,\"stdout\":\"{}\"}"}, /* JSON stays text */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = str_printf("/f/%zu.sh", i);
        char *sha = bench_serve(b, path, cases[i].content);
        char *params = bench_task(b, path, sha, "{}");
        expect_run(b, params, cases[i].expected);
        mem_free(params);
        mem_free(sha);
        mem_free(path);
    }
    bench_free(b);
}

static void a_final_newline_is_added_to_spooled_output(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", "{\"command\":\"nolf;out x;rawerr 79\"}", true));
    bench_expect(b, "rpc_provisional_response");
    bench_expect_data(b, "rpc_non_blocking_response",
                      "{\"transaction_id\":\"t\",\"results\":{\"exitcode\":0,\"stdout\":\"x\\n\",\"stderr\":\"y\"}}");
    bench_free(b);
}

static void oversized_results_become_an_error(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    b->config.max_message_size = 1000;
    bench_start(b);
    mem_free(bench_request(b, !NON_BLOCKING, "t", "command", "run", "{\"command\":\"fill 2000\"}", false));
    const struct message *m = bench_expect(b, "rpc_error_message");
    assert_non_null(strstr(m->data, "\"description\":\"Message size: 2059 exceeded max-message-size 1000\""));
    mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", "{\"command\":\"fill 2000\"}", true));
    bench_expect(b, "rpc_provisional_response");
    m = bench_expect(b, "rpc_error_message");
    assert_non_null(strstr(m->data, "exceeded max-message-size 1000"));
    mem_free(bench_request(b, !NON_BLOCKING, "q", "status", "query", "{\"transaction_id\":\"t\"}", false));
    m = bench_expect(b, "rpc_error_message");
    assert_non_null(strstr(m->data, "exceeded max-message-size 1000"));
    bench_free(b);
}

static void output_is_bounded(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    b->config.output_max = 100;
    bench_start(b);
    for (int blocking = 0; blocking < 2; blocking++) {
        mem_free(bench_request(b, !blocking, "t", "command", "run", "{\"command\":\"fill 2000\"}", true));
        if (!blocking) {
            bench_expect(b, "rpc_provisional_response");
        }
        json_t *data = json_parse(span_of(bench_next(b)->data), "test", NULL);
        assert_int_equal(json_string_length(json_object_get(json_object_get(data, "results"), "stdout")), 100);
        json_decref(data);
    }
    bench_free(b);
}

static void too_many_jobs_are_refused(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    b->config.jobs_max = 2;
    bench_start(b);
    for (int i = 0; i < 3; i++) {
        mem_free(bench_request(b, !NON_BLOCKING, "t", "command", "run", "{\"command\":\"takes 5000\"}", false));
    }
    const struct message *m = bench_expect(b, "rpc_error_message");
    assert_non_null(strstr(m->data, "too many requests are being processed"));
    bench_expect(b, "rpc_blocking_response");
    bench_expect(b, "rpc_blocking_response");
    bench_free(b);
}

/* ---------------------------------------------------------------------------------------- script */

static void scripts(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    char *sha = bench_serve(b, "/f/s.sh", "#!sim\nargs\nstdin\nexit 5\nerr e");
    char *entry = file_entry("s.sh", sha, "/f/s.sh");
    char *params = str_printf("{\"script\":%s,\"arguments\":[\"a b\",\"\",\"$HOME\"]}", entry);
    mem_free(bench_request(b, !NON_BLOCKING, "t", "script", "run", params, false));
    bench_expect_data(b, "rpc_blocking_response",
                      "{\"transaction_id\":\"t\",\"results\":{\"exitcode\":5,\"stdout\":\"[a b]\\n[]\\n[$HOME]\\n\\n\","
                      "\"stderr\":\"e\\n\"}}");
    mem_free(params);
    mem_free(entry);
    entry = file_entry("none.sh", sha, "/f/none.sh");
    params = str_printf("{\"script\":%s,\"arguments\":[]}", entry);
    mem_free(bench_request(b, NON_BLOCKING, "n", "script", "run", params, true));
    bench_expect(b, "rpc_provisional_response");
    const struct message *m = bench_expect(b, "rpc_error_message");
    assert_non_null(strstr(m->data, "Error: Failed to download file with: "));
    mem_free(params);
    mem_free(entry);
    mem_free(sha);
    bench_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(input_methods),
        cmocka_unit_test(the_environment_is_inherited),
        cmocka_unit_test(powershell_goes_through_its_shim),
        cmocka_unit_test(implementations),
        cmocka_unit_test(several_files_make_an_install_directory),
        cmocka_unit_test(names_from_the_wire_are_checked),
        cmocka_unit_test(cached_files_are_checked_before_every_run),
        cmocka_unit_test(upper_case_digests_match),
        cmocka_unit_test(a_wrong_digest_fails_after_five_rounds),
        cmocka_unit_test(servers_are_tried_in_order),
        cmocka_unit_test(a_server_in_trouble_is_asked_again),
        cmocka_unit_test(without_servers_it_fails_at_once),
        cmocka_unit_test(a_slow_download_times_out_and_pings_are_answered_meanwhile),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(a_file_in_the_way_of_the_cache_is_told),
        cmocka_unit_test(many_tasks_download_once),
        cmocka_unit_test(a_large_file_is_verified_piece_by_piece),
        cmocka_unit_test(outcomes),
        cmocka_unit_test(a_final_newline_is_added_to_spooled_output),
        cmocka_unit_test(oversized_results_become_an_error),
        cmocka_unit_test(output_is_bounded),
        cmocka_unit_test(too_many_jobs_are_refused),
        cmocka_unit_test(scripts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
