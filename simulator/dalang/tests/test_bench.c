/* dalang bench, tiny: each action's JSON has its shape and its counts add up; wrong starts are one clear line. Nothing
 * is timed. */
#include "base/json.h"
#include "base/mem.h"
#include "simulator/dalang/tests/programs.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static char *home;

static int make_home(void **state) {
    (void)state;
    home = make_temporary_dir();
    write_file(home, "notes.json", "{\"title\": \"x\"}");
    write_file(home, "broken.json", "{");
    write_file(home, "token", "0123");
    return 0;
}

static int remove_home(void **state) {
    (void)state;
    remove_tree(home);
    mem_free(home);
    return 0;
}

#define ARGUMENTS(...)                                                                                                 \
    (const char *const[]) {                                                                                            \
        __VA_ARGS__, NULL                                                                                              \
    }

static struct program bench(const char *const *arguments) {
    struct program p = {.argv = {"dalang", "bench"}, .dir = home};
    for (size_t i = 0; arguments[i] != NULL; i++) {
        p.argv[i + 2] = arguments[i];
    }
    return p;
}

static json_t *report_of(const char *const *arguments) {
    struct program p = bench(arguments);
    char *text = output_of(&p, 0);
    struct error err = ERROR_INIT;
    json_t *report = json_parse(span_of(text), "test", &err);
    if (report == NULL) {
        fail_msg("%s: %s", err.msg, text);
    }
    mem_free(text);
    return report;
}

/* NULL: there is none. */
static const json_t *find_figure(const json_t *report, const char *key) {
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(report, "figures"), i, item) {
        if (strcmp(json_str(item, "key"), key) == 0) {
            return item;
        }
    }
    return NULL;
}

static const json_t *figure(const json_t *report, const char *key) {
    const json_t *found = find_figure(report, key);
    if (found == NULL) {
        fail_msg("there is no figure %s", key);
    }
    return found;
}

static double value(const json_t *report, const char *key, size_t column) {
    const json_t *v = json_array_get(json_object_get(figure(report, key), "values"), column);
    if (!json_is_number(v)) {
        fail_msg("%s has no number in column %zu", key, column);
    }
    return json_number_value(v);
}

static void expect_columns(const json_t *report, size_t count) {
    assert_int_equal(json_array_size(json_object_get(report, "columns")), count);
}

static void broker_beside_its_floor(void **state) {
    (void)state;
    json_t *r = report_of(ARGUMENTS("broker", "-c", "30", "-a", "5", "-m", "100", "--rounds", "2", "--for", "200ms",
                                    "--json", "--html", "page.html"));
    expect_columns(r, 2);
    static const char *const both[] = {"memory_empty_resident",  "memory_per_connection_100", "cpu_per_connection",
                                       "connections_per_second", "cpu_per_message_v2",        "messages_per_second_v2"};
    static const char *const ours[] = {"messages_per_second_v1_to_v2", "messages_per_second_max", "latency_p50_at_50",
                                       "latency_p99_at_80"};
    for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
        assert_true(value(r, both[i], 0) > 0);
        assert_true(value(r, both[i], 1) > 0);
    }
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        assert_true(value(r, ours[i], 1) > 0);
    }
    assert_true(value(r, "missing_at_50", 1) == 0); /* every message sent has arrived */
    assert_true(value(r, "missing_at_80", 1) == 0);
    assert_true(value(r, "latency_p50_at_50", 1) <= value(r, "latency_p99_at_50", 1));
    json_decref(r);
    char *page = read_file(home, "page.html");
    assert_non_null(strstr(page, "<svg"));
    mem_free(page);
}

static void broker_against_another_with_a_storm(void **state) {
    (void)state;
    json_t *r = report_of(ARGUMENTS("broker", "--vs", "own", "--no-floor", "-c", "1020", "-a", "2", "-m", "20",
                                    "--size", "600", "--rounds", "1", "--for", "100ms", "--json"));
    expect_columns(r, 2);
    for (size_t column = 0; column < 2; column++) {
        assert_true(value(r, "storm_refused", column) == 0);
        assert_true(value(r, "storm_updates_per_second", column) > 0);
        assert_true(value(r, "memory_per_connection", column) > 0);
        assert_true(value(r, "missing_at_80", column) == 0);
    }
    char *text = json_text(r);
    write_file(home, "saved.json", text);
    mem_free(text);
    json_decref(r);
    struct program table = bench(ARGUMENTS("report", "saved.json"));
    expect_program(&table, 0, "What a broker costs*storm: connections dropped by it*", "");
    struct program page = bench(ARGUMENTS("report", "saved.json", "saved.json", "--html", "two.html"));
    expect_program(&page, 0, "", "");
    assert_true(path_exists(home, "two.html"));
}

/* Beside the streams, unless a stream alone took nearly all of the machine. */
static void expect_bare_processes(const json_t *r) {
    if (find_figure(r, "bare_tail") == NULL) {
        assert_true(value(r, "half_busy", 0) > 90);
        return;
    }
    const double tail = value(r, "bare_tail", 0);
    assert_true(tail >= 1 && tail == value(r, "bare_p99", 0) / value(r, "bare_p50", 0));
    const double floor = value(r, "half_tail_floor", 0);
    assert_true(floor == (value(r, "half_p50", 0) + value(r, "bare_p99", 0) - value(r, "bare_p50", 0)) /
                             value(r, "half_p50", 0));
    assert_true(value(r, "half_tail_to_floor", 0) == value(r, "half_tail", 0) / floor);
}

static void jobs_of_a_stack(void **state) {
    (void)state;
    json_t *r = report_of(ARGUMENTS("jobs", "-n", "12", "--rounds", "1", "--streams", "3", "--json"));
    expect_columns(r, 1);
    static const char *const keys[] = {"task_seconds",
                                       "task_first_seconds",
                                       "task_cpu_per_node",
                                       "task_p99",
                                       "puppet_seconds",
                                       "puppet_cpu_per_node",
                                       "sqlite_cpu_per_node",
                                       "sqlite_disk_per_node",
                                       "most_nodes_per_second",
                                       "half_busy",
                                       "half_answer_p99",
                                       "half_nodes_per_second",
                                       "half_p50",
                                       "half_p99",
                                       "half_tail",
                                       "half_tail_middle"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_true(value(r, keys[i], 0) > 0);
    }
    assert_true(value(r, "task_first_seconds", 0) <= value(r, "task_seconds", 0));
    const double half = value(r, "half_nodes_per_second", 0) / value(r, "most_nodes_per_second", 0);
    assert_true(half > 0.499 && half < 0.501);
    assert_true(value(r, "half_p50", 0) <= value(r, "half_p99", 0));
    assert_true(value(r, "half_p99", 0) <= value(r, "half_max", 0));
    assert_true(value(r, "half_p99", 0) <= value(r, "half_worst", 0));
    assert_true(value(r, "half_run_p99", 0) <= value(r, "half_p99", 0) + 1); /* a part of it, in whole milliseconds */
    expect_bare_processes(r);
    json_decref(r);
}

static void lists_with_stored_jobs(void **state) {
    (void)state;
    json_t *r = report_of(ARGUMENTS("storage", "-j", "6", "-n", "5", "-r", "3", "--json"));
    static const char *const keys[] = {"disk_per_node", "jobs_p50",       "jobs_last_page_p99", "job_p50",
                                       "events_p50",    "events_all_p50", "nodes_p99"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_true(value(r, keys[i], 0) > 0);
    }
    json_decref(r);
}

static void simulated_time(void **state) {
    (void)state;
    json_t *r = report_of(ARGUMENTS("simulate", "-n", "20", "-b", "3", "--for", "20s", "--json"));
    static const char *const keys[] = {"wall_seconds", "cpu_seconds",       "virtual_seconds", "virtual_per_wall",
                                       "events",       "events_per_second", "peak_memory",     "memory_per_agent"};
    static const char *const runs[] = {"task", "mixed"};
    expect_columns(r, 1);
    for (size_t i = 0; i < 2 * sizeof(keys) / sizeof(keys[0]); i++) {
        char *key = str_printf("%s_%s", runs[i % 2], keys[i / 2]);
        assert_true(value(r, key, 0) > 0);
        mem_free(key);
    }
    assert_true(value(r, "mixed_virtual_seconds", 0) >= 20);
    json_decref(r);
}

static void soak_leaves_no_descriptor(void **state) {
    (void)state;
    json_t *r = report_of(ARGUMENTS("soak", "-c", "40", "--for", "2s", "--json"));
    double connects = 0;
    for (int kind = 0; kind < 8; kind++) {
        char *key = str_printf("connects_%d", kind);
        connects += value(r, key, 0);
        mem_free(key);
    }
    assert_true(connects > 0 && connects == value(r, "connects", 0));
    assert_true(value(r, "descriptors_more", 0) == 0);
    assert_true(value(r, "memory_after", 0) > 0);
    json_decref(r);
}

static void wrong_command_lines(void **state) {
    (void)state;
    static const struct {
        const char *argv[14];
        int code;
        const char *err;
    } list[] = {
        {{NULL}, 2, "dalang bench: *Usage: dalang bench ACTION*broker *jobs *storage *simulate *soak *report *"},
        {{"brokr"}, 2, "dalang bench: there is no action \"brokr\"; did you mean \"broker\"?\n"},
        {{"broker", "now"}, 2, "dalang bench broker: \"now\" is no option\n"},
        {{"broker", "--conections", "3"}, 2, "dalang bench broker: unknown option --conections; did you mean *"},
        {{"broker", "-c", "many"}, 2, "dalang bench broker: --connections takes a whole number, not \"many\"\n"},
        {{"broker", "-c", "20"}, 2, "dalang bench broker: --connections must be at least twice --active\n"},
        {{"broker", "-m", "20"}, 2, "dalang bench broker: --messages must be at least --rounds times --active\n"},
        {{"broker", "--rounds", "0"}, 2, "dalang bench broker: --rounds must be at least 1\n"},
        {{"broker", "--for", "0s"}, 2, "dalang bench broker: --for must not be 0\n"},
        {{"broker", "--size", "100"}, 2, "dalang bench broker: --size must be 512 to 1048576 bytes\n"},
        {{"broker", "--pid", "1"}, 2, "dalang bench broker: --pid needs --target\n"},
        {{"broker", "--vs-pid", "1"}, 2, "dalang bench broker: --vs-pid needs --vs\n"},
        {{"broker", "--ca", "x"}, 2, "dalang bench broker: --ca and --ca-key are for --target and --vs\n"},
        {{"broker", "--target", "wss://127.0.0.1:1/pcp2/"},
         2,
         "dalang bench broker: --target and --vs need --ca and --ca-key\n"},
        {{"broker", "-c", "9000000"}, 3, "dalang bench broker: * open files are needed *"},
        {{"jobs", "--target", "https://127.0.0.1:1"}, 2, "dalang bench jobs: --target needs --token and --ca\n"},
        {{"jobs", "--token", "t"}, 2, "dalang bench jobs: --token and --ca are for --target\n"},
        {{"jobs", "--pid", "1"}, 2, "dalang bench jobs: --pid and --database are for --target\n"},
        {{"jobs", "-n", "0"}, 2, "dalang bench jobs: --nodes must be 1 to 100000\n"},
        {{"jobs", "--rounds", "0"}, 2, "dalang bench jobs: --rounds must be at least 1\n"},
        {{"jobs", "--streams", "0"}, 2, "dalang bench jobs: --streams must be 1 to 1000\n"},
        {{"storage", "-j", "0"}, 2, "dalang bench storage: --jobs, --nodes and --requests must be at least 1\n"},
        {{"storage", "-n", "100000"}, 2, "dalang bench storage: --jobs times --nodes must be at most 10,000,000\n"},
        {{"simulate", "-b", "0"}, 2, "dalang bench simulate: --agents, --busy-agents and --for must not be 0\n"},
        {{"soak", "-c", "0"}, 2, "dalang bench soak: --clients and --for must not be 0\n"},
        {{"report"}, 2, "dalang bench report: which file?\n"},
        {{"report", "nothing.json"}, 3, "dalang bench report: *nothing.json*"},
        {{"report", "broken.json"}, 2, "dalang bench report: broken.json: *"},
        {{"report", "notes.json"}, 1, "dalang bench report: notes.json: is no report: \"columns\" is not there\n"},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        struct program p = bench(list[i].argv);
        expect_program(&p, list[i].code, "", list[i].err);
    }
}

static void unreachable_or_strange_targets(void **state) {
    (void)state;
    struct program certs = {.argv = {"dalang", "certs", "init"}, .dir = home};
    expect_program(&certs, 0, NULL, "");
    static const struct {
        const char *argv[16];
        int code;
        const char *err;
    } list[] = {
        {{"broker", "--target", "wss://127.0.0.1:1/pcp2/", "--ca", "ca.pem", "--ca-key", "ca.key"},
         1,
         "dalang bench broker: 127.0.0.1:1: *refused*\n"},
        {{"broker", "--target", "https://127.0.0.1:1/", "--ca", "ca.pem", "--ca-key", "ca.key"},
         2,
         "dalang bench broker: \"https://127.0.0.1:1/\" is no wss:// URL\n"},
        {{"broker", "--target", "wss://127.0.0.1:1/pcp2/", "--ca", "no.pem", "--ca-key", "ca.key"},
         3,
         "dalang bench broker: *no.pem*\n"},
        {{"broker", "--target", "wss://127.0.0.1:1/pcp2/", "--ca", "ca.pem", "--ca-key", "ca.key", "--pid",
          "999999999"},
         2,
         "dalang bench broker: there is no process 999999999\n"},
        {{"jobs", "--target", "https://127.0.0.1:1", "--token", "token", "--ca", "ca.pem"},
         1,
         "dalang bench jobs: https://127.0.0.1:1/orchestrator/v1/inventory: *\n"},
        {{"jobs", "--target", "https://127.0.0.1:1", "--token", "no-token", "--ca", "ca.pem"},
         3,
         "dalang bench jobs: *no-token*\n"},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        struct program p = bench(list[i].argv);
        expect_program(&p, list[i].code, "", list[i].err);
    }
}

/* A broker whose certificate is of another CA than --ca: one line that says so. */
static void a_broker_of_another_ca(void **state) {
    (void)state;
    struct running up;
    struct program p = {.argv = {"dalang", "up", "--json", "--port-base", "0", "--agents", "1", "--dir", "stack"},
                        .dir = home};
    program_start(&up, &p);
    program_await(&up, "\n");
    json_t *ready = json_parse(buf_span(&up.out_text), "test", NULL);
    assert_non_null(ready);
    struct program certs = {.argv = {"dalang", "certs", "init", "--dir", "other"}, .dir = home};
    write_file(home, "other/made", "");
    expect_program(&certs, 0, NULL, "");
    struct program wrong = bench(ARGUMENTS("broker", "--no-floor", "--target", json_str(ready, "broker"), "--ca",
                                           "other/ca.pem", "--ca-key", "other/ca.key"));
    expect_program(&wrong, 1, "", "dalang bench broker: 127.0.0.1:*certificate*\n");
    struct program token = bench(ARGUMENTS("jobs", "--target", json_str(ready, "orchestrator"), "--token", "token",
                                           "--ca", json_str(ready, "ca")));
    expect_program(&token, 1, "", "dalang bench jobs: *answers 401*\n");
    struct program few = bench(ARGUMENTS("jobs", "-n", "2", "--target", json_str(ready, "orchestrator"), "--token",
                                         json_str(ready, "token_file"), "--ca", json_str(ready, "ca")));
    expect_program(&few, 1, "", "dalang bench jobs: *1 nodes are connected, 2 are needed\n");
    json_t *r = report_of(ARGUMENTS("jobs", "-n", "1", "--rounds", "1", "--no-floor", "--no-steady", "--target",
                                    json_str(ready, "orchestrator"), "--token", json_str(ready, "token_file"), "--ca",
                                    json_str(ready, "ca"), "--json"));
    assert_true(value(r, "task_seconds", 0) > 0);
    char *text = json_dumps(r, JSON_COMPACT);
    assert_null(strstr(text, "half_"));
    free(text);
    json_decref(r);
    r = report_of(ARGUMENTS("jobs", "-n", "1", "--rounds", "1", "--no-floor", "--no-puppet", "--stream", "20",
                            "--target", json_str(ready, "orchestrator"), "--token", json_str(ready, "token_file"),
                            "--ca", json_str(ready, "ca"), "--json"));
    assert_true(value(r, "half_nodes_per_second", 0) == 20);
    assert_true(value(r, "half_answer_p50", 0) > 0);
    text = json_dumps(r, JSON_COMPACT);
    assert_null(strstr(text, "half_tail")); /* without the database it is not known when results are stored */
    free(text);
    json_decref(r);
    json_decref(ready);
    kill(up.pid, SIGTERM);
    assert_int_equal(program_finish(&up), 0);
    program_free(&up);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broker_beside_its_floor), cmocka_unit_test(broker_against_another_with_a_storm),
        cmocka_unit_test(jobs_of_a_stack),         cmocka_unit_test(lists_with_stored_jobs),
        cmocka_unit_test(simulated_time),          cmocka_unit_test(soak_leaves_no_descriptor),
        cmocka_unit_test(wrong_command_lines),     cmocka_unit_test(unreachable_or_strange_targets),
        cmocka_unit_test(a_broker_of_another_ca),
    };
    return cmocka_run_group_tests(tests, make_home, remove_home);
}
