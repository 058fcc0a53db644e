/* dalang fleet, as people run it: against the broker of a stack that has no agents of its own. */
#include "simulator/dalang/tests/rig.h"

#include "base/mem.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct rig rig;

static int start(void **state) {
    (void)state;
    rig_start(&rig, ARGUMENTS("--agents", "0"));
    return 0;
}

static int stop(void **state) {
    (void)state;
    if (rig.dir != NULL) {
        rig_stop(&rig);
    }
    return 0;
}

/* The command with the stack's broker (another one: broker) and CA; `more` ends with NULL. */
static struct program fleet(const char *broker, const char *const *more) {
    struct program p = {.argv = {"dalang", "fleet", "--broker", broker != NULL ? broker : json_str(rig.ready, "broker"),
                                 "--ca", "stack/ca.pem"},
                        .dir = rig.dir};
    size_t n = 6;
    for (size_t i = 0; more[i] != NULL; i++) {
        assert_true(n + 1 < ARGV_MAX);
        p.argv[n++] = more[i];
    }
    return p;
}
#define FLEET(...) fleet(NULL, ARGUMENTS("--ca-key", "stack/ca.key", __VA_ARGS__))

/* Ends it with the signal and gives the report; json_decref() it. */
static json_t *end_with_report(struct running *r, int signum, int code) {
    kill(r->pid, signum);
    assert_int_equal(program_finish(r), code);
    json_t *report = json_parse(buf_span(&r->out_text), "report", NULL);
    assert_non_null(report);
    program_free(r);
    return report;
}

static void expect_number(const json_t *report, const char *key, int64_t value) {
    int64_t is = json_int(report, key, -1);
    if (is != value) {
        fail_msg("%s is %lld and not %lld", key, (long long)is, (long long)value);
    }
}

/* Waits until the metrics that a fleet with --metrics 0 serves hold `what`. */
struct metrics {
    uint16_t port;
    const char *what;
    struct buf text;
};

static bool metrics_hold(void *ctx) {
    struct metrics *m = ctx;
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(m->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(write(fd, request, sizeof(request) - 1), sizeof(request) - 1);
    buf_clear(&m->text);
    char piece[4096];
    for (ssize_t n; (n = read(fd, piece, sizeof(piece))) > 0;) {
        buf_append(&m->text, piece, (size_t)n);
    }
    close(fd);
    buf_append(&m->text, "", 1);
    return strstr(m->text.ptr, m->what) != NULL;
}

static bool metrics_are_above_one(void *ctx) {
    struct metrics *m = ctx;
    return metrics_hold(m) && strtoul(strstr(m->text.ptr, m->what) + strlen(m->what), NULL, 10) > 1;
}

static struct metrics metrics_of(struct running *r) {
    program_await(r, "/metrics\n");
    const char *colon = strrchr(r->err_text.ptr, ':');
    return (struct metrics){.port = (uint16_t)strtoul(colon + 1, NULL, 10)};
}

static void await_metrics(struct metrics *m, const char *what) {
    m->what = what;
    await(metrics_hold, m, what);
}

/* ---- mistakes */

static void mistakes_of_usage_are_named(void **state) {
    (void)state;
    static const char url[] = "wss://127.0.0.1:1/pcp2/";
    static const struct expectation list[] = {
        {{"dalang", "fleet"}, 2, "", "dalang fleet: --broker is needed\n"},
        {{"dalang", "fleet", "--broker", "127.0.0.1"}, 2, "", "*--broker \"127.0.0.1\" must be a URL*"},
        {{"dalang", "fleet", "--broker", "https://h/"}, 2, "", "*must be a URL*"},
        {{"dalang", "fleet", "--broker", url}, 2, "", "*--ca is needed\n"},
        {{"dalang", "fleet", "--broker", url, "--ca", "f"}, 2, "", "*--ca-key or --certs is needed\n"},
        {{"dalang", "fleet", "--broker", url, "--ca", "f", "--ca-key", "f", "--certs", "d"}, 2, "", "*exclude each*"},
        {{"dalang", "fleet", "--broker", url, "--ca", "f", "--certs", "d", "--own-keys"}, 2, "", "*--own-keys needs*"},
        {{"dalang", "fleet", "--broker", url, "--ca", "f", "--ca-key", "f"}, 2, "", "*--agents is needed\n"},
        {{"dalang", "fleet", "--broker", url, "--ca", "f", "--ca-key", "f", "-n", "1000001"}, 2, "", "*1 to 1000000\n"},
        {{"dalang", "fleet", "--broker", url, "--ca", "f", "--ca-key", "f", "-n", "1", "--pcp", "3"},
         2,
         "",
         "*1 or 2\n"},
        {{"dalang", "fleet", "--broker", url, "--ca", "f", "--ca-key", "f", "-n", "1", "--processes", "0"},
         2,
         "",
         "*256\n"},
        {{"dalang", "fleet", "--broker", url, "--ca", "f", "--ca-key", "f", "-n", "1", "--cert", "x"},
         2,
         "",
         "*together\n"},
        {{"dalang", "fleet", "--broker", url, "--ca", "f", "--ca-key", "f", "-n", "1", "--external"},
         2,
         "",
         "*--puppetdb\n"},
        {{"dalang", "fleet", "--broker", url, "--ca", "f", "--ca-key", "f", "-n", "1", "--name", "x"},
         2,
         "",
         "*exactly one {n}*"},
        {{"dalang", "fleet", "--broker", url, "--ca", "f", "--ca-key", "f", "-n", "1", "--churn", "5"},
         2,
         "",
         "*5%/min\n"},
        {{"dalang", "fleet", "--broker", url, "--ca", "f", "--ca-key", "f", "-n", "1", "--churn", "101%/min"},
         2,
         "",
         "*5%/min\n"},
        {{"dalang", "fleet", "--broker", url, "--ca", "f", "--ca-key", "f", "-n", "1", "--churn", "0.0001%/h"},
         2,
         "",
         "*too little\n"},
        {{"dalang", "fleet", "--broker", url, "--ca", "f", "--ca-key", "f", "-n", "1", "--slow-agents", "5%"},
         2,
         "",
         "*--slow-link or*"},
        {{"dalang", "fleet", "--broker", url, "--ca", "f", "--ca-key", "f", "-n", "1", "--slow-link", "9",
          "--slow-agents", "half"},
         2,
         "",
         "*10%\n"},
        {{"dalang", "fleet", "--broker", url, "--ca", "f", "--ca-key", "f", "-n", "1", "--storm-every", "1s"},
         2,
         "",
         "*above --storm-down\n"},
        {{"dalang", "fleet", "--broker", url, "--ca", "f", "--ca-key", "f", "-n", "1", "--part", "3/2"},
         2,
         "",
         "*K/N*"},
        {{"dalang", "fleet", "now"}, 2, "", "*\"now\" is no option\n"},
        {{"dalang", "fleet", "--brokers", url}, 2, "", "*did you mean --broker?\n"},
        {{"dalang", "fleet", "--help"}, 0, "*--storm-every TIME*", ""},
    };
    EXPECT_ALL(&rig, list);
}

static void mistakes_of_configuration_are_named(void **state) {
    (void)state;
    write_file(rig.dir, "broken.json", "{\"tasks\": ");
    write_file(rig.dir, "broken.yaml", "tasks:\n  echo: {takes: 1s\n");
    write_file(rig.dir, "two.yaml", "tasks: {}\n---\ntasks: {}\n");
    write_file(rig.dir, "odd.json", "{\"tusks\": {}}");
    write_file(rig.dir, "named.json", "[{\"count\": 2, \"brokers\": [\"broker-7\"]}]");
    write_file(rig.dir, "bare/readme", "no certificates\n");
    const struct {
        struct program p;
        int code;
        const char *err;
    } cases[] = {
        {fleet(NULL, ARGUMENTS("--ca-key", "gone.key", "-n", "1")), 3, "dalang fleet: gone.key: *\n"},
        {fleet(NULL, ARGUMENTS("--ca-key", "stack/certs/client.key", "-n", "1")), 3, "dalang fleet: *"},
        {fleet(NULL, ARGUMENTS("--certs", "bare")), 3, "dalang fleet: bare holds no certificate*\n"},
        {fleet(NULL, ARGUMENTS("--certs", "stack", "--agents", "1000")), 2,
         "*certificates of * agents; --agents 1000*"},
        {fleet(NULL, ARGUMENTS("--certs", "stack", "--name", "x{n}", "-n", "1")), 3,
         "*no certificate with a key for x1\n"},
        {FLEET("-n", "1", "--crl", "gone.pem"), 3, "dalang fleet: *gone.pem*\n"},
        {FLEET("-n", "1", "--behaviour", "gone.json"), 3, "dalang fleet: *gone.json*\n"},
        {FLEET("-n", "1", "--behaviour", "broken.json"), 2, "dalang fleet: broken.json: *\n"},
        {FLEET("-n", "1", "--behaviour", "broken.yaml"), 3, "dalang fleet: broken.yaml:3:1: *\n"},
        {FLEET("-n", "1", "--behaviour", "two.yaml"), 2, "dalang fleet: two.yaml: one YAML document *\n"},
        {FLEET("-n", "1", "--behaviour", "odd.json"), 3, "*odd.json: unknown key \"tusks\"; did you mean \"tasks\"?\n"},
        {FLEET("--behaviour", "behaviour.json"), 2, "*behaviour.json does not say how many\n"},
        {FLEET("--behaviour", "named.json"), 2, "*there is no broker-7 among 1 --broker\n"},
        {FLEET("--behaviour", "named.json", "--name", "x{n}"), 2, "*names of their own\n"},
        {FLEET("-n", "1", "--metrics", "door"), 2, "*--metrics \"door\" must be PORT*\n"},
        {FLEET("-n", "1", "--log", "gone/x.log"), 3, "dalang fleet: *gone/x.log*\n"},
        {FLEET("-n", "1000000"), 3, "*open files are needed*\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_program(&cases[i].p, cases[i].code, "", cases[i].err);
    }
}

static void nobody_answers(void **state) {
    (void)state;
    struct program p =
        fleet("wss://127.0.0.1:1/pcp2/", ARGUMENTS("--ca-key", "stack/ca.key", "-n", "3", "--for", "50ms"));
    expect_program(&p, 1, "*3 agents not connected*last error *refused*", "dalang fleet: no agent ever connected\n");
}

/* Several processes of an MPI job would each be the whole fleet, and take each other's place at the broker. */
static void ranks_need_mpi(void **state) {
    (void)state;
    struct program p = FLEET("-n", "1", "--for", "1s");
    p.env[0] = "OMPI_COMM_WORLD_SIZE=2";
    expect_program(&p, 3, "", "dalang fleet: *built without MPI*\n");
}

/* ---- what it does */

static void agents_connect_run_tasks_and_say_good_bye(void **state) {
    (void)state;
    struct running r;
    struct program p = FLEET("--agents", "30", "--json", "--metrics", "0", "--own-keys", "--primary",
                             json_str(rig.ready, "puppetserver"), "--cert", "stack/certs/client.pem", "--key",
                             "stack/certs/client.key");
    program_start(&r, &p);
    struct metrics m = metrics_of(&r);
    await_metrics(&m, "dalang_fleet_connected 30\n");
    rig_expect(
        &rig,
        ARGUMENTS("puppet-task", "run", "echo", "message=hi", "--nodes", "node-0001.example.com,node-0030.example.com"),
        0, "*Finished on node node-0030*message : hi*", NULL);
    await_metrics(&m, "dalang_fleet_tasks_running 0\n");
    buf_free(&m.text);
    json_t *report = end_with_report(&r, SIGTERM, 0);
    expect_number(report, "agents", 30);
    expect_number(report, "connected_most", 30);
    expect_number(report, "connected", 30);
    expect_number(report, "connects", 30);
    expect_number(report, "disconnects", 0);
    expect_number(report, "failures", 0);
    expect_number(report, "tasks", 2);
    /* Once; twice when the second agent had looked for the file before the first had it, and asked after that. */
    assert_in_range(json_int(report, "downloads", 0), 1, 2);
    expect_number(report, "processes", 1);
    expect_number(json_object_get(report, "undone"), "agents_not_connected", 0);
    expect_number(json_object_get(report, "undone"), "tasks_running", 0);
    expect_number(json_object_get(report, "connect"), "count", 30);
    assert_true(json_number_value(json_object_get(report, "all_connected_s")) > 0);
    assert_true(json_is_null(json_object_get(report, "last_error")));
    json_decref(report);
}

static void private_storage_is_each_agents_own(void **state) {
    (void)state;
    struct running r;
    struct program p = FLEET("-n", "2", "--private-storage", "kept", "--json", "--metrics", "0", "--primary",
                             json_str(rig.ready, "puppetserver"), "--cert", "stack/certs/client.pem", "--key",
                             "stack/certs/client.key");
    program_start(&r, &p);
    struct metrics m = metrics_of(&r);
    await_metrics(&m, "dalang_fleet_connected 2\n");
    rig_expect(&rig, ARGUMENTS("puppet-task", "run", "plain", "--nodes", "node-0001.example.com,node-0002.example.com"),
               0, "*Finished on node node-0002*", NULL);
    buf_free(&m.text);
    json_t *report = end_with_report(&r, SIGTERM, 0);
    expect_number(report, "tasks", 2);
    expect_number(report, "downloads", 2);
    json_decref(report);
    static const char *const files[] = {"node-0001.example.com/tasks-cache", "node-0001.example.com/spool",
                                        "node-0002.example.com/tasks-cache", "node-0002.example.com/spool"};
    for (size_t i = 0; i < 4; i++) {
        char path[100];
        snprintf(path, sizeof(path), "%s/kept/%s", rig.dir, files[i]);
        DIR *dir = opendir(path);
        assert_non_null(dir);
        size_t count = 0;
        for (struct dirent *e; (e = readdir(dir)) != NULL;) {
            count += e->d_name[0] != '.';
        }
        closedir(dir);
        assert_true(count > 0);
    }
}

static void what_still_runs_is_reported(void **state) {
    (void)state;
    struct running r;
    struct program p = FLEET("-n", "2", "--behaviour", "behaviour.json", "--metrics", "0", "--primary",
                             json_str(rig.ready, "puppetserver"), "--cert", "stack/certs/client.pem", "--key",
                             "stack/certs/client.key");
    program_start(&r, &p);
    struct metrics m = metrics_of(&r);
    await_metrics(&m, "dalang_fleet_connected 2\n");
    struct running job;
    struct program run = rig_program(&rig, ARGUMENTS("puppet-task", "run", "slow", "--nodes", "node-0001.example.com"));
    program_start(&job, &run);
    await_metrics(&m, "dalang_fleet_tasks_running 1\n");
    buf_free(&m.text);
    kill(r.pid, SIGINT);
    assert_int_equal(program_finish(&r), 0);
    assert_true(glob_match("*undone     0 agents not connected, 1 tasks running, 0 reports not sent*", r.out_text.ptr));
    program_free(&r);
    kill(job.pid, SIGKILL);
    program_finish(&job);
    program_free(&job);
}

static void processes_share_the_agents(void **state) {
    (void)state;
    struct running r;
    struct program p = FLEET("-n", "31", "--processes", "3", "--json", "--metrics", "0");
    program_start(&r, &p);
    struct metrics m = metrics_of(&r);
    await_metrics(&m, "dalang_fleet_connected 31\n");
    kill(r.pid, SIGUSR1);
    await_metrics(&m, "dalang_fleet_restarts_total 31\n");
    await_metrics(&m, "dalang_fleet_connects_total 62\n");
    buf_free(&m.text);
    json_t *report = end_with_report(&r, SIGTERM, 0);
    expect_number(report, "agents", 31);
    expect_number(report, "connected", 31);
    expect_number(report, "connects", 62);
    expect_number(report, "processes", 3);
    expect_number(json_object_get(report, "connect"), "count", 62);
    expect_number(json_object_get(report, "healed"), "count", 31);
    json_decref(report);
}

static pid_t child_of(pid_t parent) {
    DIR *proc = opendir("/proc");
    pid_t found = 0;
    for (struct dirent *e; found == 0 && (e = readdir(proc)) != NULL;) {
        char path[300];
        int of = 0;
        snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
        FILE *f = atoi(e->d_name) > 0 ? fopen(path, "re") : NULL;
        if (f != NULL) {
            if (fscanf(f, "%*d %*s %*c %d", &of) == 1 && of == parent) {
                found = atoi(e->d_name);
            }
            fclose(f);
        }
    }
    closedir(proc);
    return found;
}

static void a_lost_process_ends_the_fleet(void **state) {
    (void)state;
    struct running r;
    struct program p = FLEET("-n", "10", "--processes", "2");
    program_start(&r, &p);
    program_await(&r, "10 agents connected after");
    pid_t child = child_of(r.pid);
    assert_true(child > 0);
    kill(child, SIGKILL);
    assert_int_equal(program_finish(&r), 1);
    assert_true(glob_match("dalang fleet: process * of 2 ended with signal 9\n", r.err_text.ptr));
    assert_true(glob_match("*10 agents, 10 connected at most*", r.out_text.ptr));
    program_free(&r);
}

/* As a fleet of one process would: once, without a report of what never began. */
static void children_say_what_is_wrong(void **state) {
    (void)state;
    const struct {
        struct program p;
        const char *err;
    } cases[] = {
        {fleet(NULL, ARGUMENTS("--ca-key", "gone.key", "-n", "2", "--processes", "2")), "dalang fleet: gone.key: *\n"},
        {fleet(NULL, ARGUMENTS("--ca-key", "gone.key", "-n", "2", "--processes", "2", "--json")),
         "dalang fleet: gone.key: *\n"},
        {FLEET("-n", "2", "--processes", "2", "--crl", "gone.pem"), "dalang fleet: gone.pem*\n"},
        {fleet(NULL, ARGUMENTS("--certs", "stack", "--name", "x{n}", "-n", "2", "--processes", "2")),
         "dalang fleet: *no certificate with a key for x*\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_program(&cases[i].p, 3, "", cases[i].err);
    }
}

static void version_1_and_entries_of_a_scenario(void **state) {
    (void)state;
    write_file(rig.dir, "fleet.yaml",
               "name: a scenario\nfleet:\n"
               "  - {count: 4, name: \"web-{n:02}.example.com\", pcp: 1, connect: {after: {uniform: [0s, 50ms]}}}\n"
               "  - name: db.example.com\n    brokers: [broker-1]\nsteps: []\n");
    struct running r;
    struct program p = FLEET("--behaviour", "fleet.yaml", "--json", "--metrics", "0", "--rate", "1000");
    program_start(&r, &p);
    struct metrics m = metrics_of(&r);
    await_metrics(&m, "dalang_fleet_connected 5\n");
    buf_free(&m.text);
    json_t *report = end_with_report(&r, SIGTERM, 0);
    expect_number(report, "agents", 5);
    assert_true(json_int(report, "messages", 0) >= 4); /* the answers to associations */
    json_decref(report);
    p = fleet(json_str(rig.ready, "broker_v1"), ARGUMENTS("--ca-key", "stack/ca.key", "-n", "3", "--pcp", "1"));
    program_start(&r, &p);
    program_await(&r, "3 agents connected after");
    program_free(&r);
}

static void certificates_come_from_a_directory(void **state) {
    (void)state;
    static const char *const names[] = {"one.example.com", "two.example.com"};
    for (size_t i = 0; i < 2; i++) {
        char from[80], to[80];
        rig_expect(&rig, ARGUMENTS("dalang", "certs", "issue", names[i], "--dir", "stack"), 0, NULL, "");
        snprintf(from, sizeof(from), "stack/certs/%s.pem", names[i]);
        snprintf(to, sizeof(to), "ssl/certs/%s.pem", names[i]);
        char *text = read_file(rig.dir, from);
        write_file(rig.dir, to, text);
        mem_free(text);
        snprintf(from, sizeof(from), "stack/certs/%s.key", names[i]);
        snprintf(to, sizeof(to), "ssl/private_keys/%s.pem", names[i]);
        text = read_file(rig.dir, from);
        write_file(rig.dir, to, text);
        mem_free(text);
    }
    struct running r;
    struct program p = fleet(NULL, ARGUMENTS("--certs", "ssl", "--primary", json_str(rig.ready, "puppetserver"),
                                             "--cert", "stack/certs/client.pem", "--key", "stack/certs/client.key"));
    program_start(&r, &p);
    program_await(&r, "2 agents connected after");
    rig_expect(&rig, ARGUMENTS("puppet-task", "run", "echo", "message=hi", "--nodes", names[1]), 0,
               "*Finished on node two.example.com*", NULL);
    program_free(&r);
}

static void the_next_broker_is_tried(void **state) {
    (void)state;
    struct running r;
    struct program p =
        fleet("wss://127.0.0.1:1/pcp2/", ARGUMENTS("--broker", json_str(rig.ready, "broker"), "--ca-key",
                                                   "stack/ca.key", "-n", "3", "--json", "--metrics", "0"));
    program_start(&r, &p);
    struct metrics m = metrics_of(&r);
    await_metrics(&m, "dalang_fleet_connected 3\n");
    buf_free(&m.text);
    json_t *report = end_with_report(&r, SIGTERM, 0);
    expect_number(report, "failures", 3);
    expect_number(report, "attempts", 6);
    json_decref(report);
}

static void storms_are_made_and_healed(void **state) {
    (void)state;
    struct running r;
    struct program p = FLEET("-n", "20", "--storm-every", "2s", "--storm-down", "10ms", "--link-delay", "1ms",
                             "--slow-link", "1000000", "--slow-agents", "50%");
    program_start(&r, &p);
    program_await(&r, "20 agents connected after");
    program_await(&r, "lost the brokers (0 of 20 agents were left); healed after");
    kill(r.pid, SIGTERM);
    assert_int_equal(program_finish(&r), 0);
    assert_true(glob_match("*healed     p50 *", r.out_text.ptr));
    program_free(&r);
}

static void a_signal_makes_a_storm(void **state) {
    (void)state;
    struct running r;
    struct program p = FLEET("-n", "11", "--processes", "2", "--storm-down", "10ms", "--json", "--metrics", "0");
    program_start(&r, &p);
    struct metrics m = metrics_of(&r);
    await_metrics(&m, "dalang_fleet_connected 11\n");
    kill(r.pid, SIGUSR2);
    await_metrics(&m, "dalang_fleet_connects_total 22\n");
    buf_free(&m.text);
    json_t *report = end_with_report(&r, SIGTERM, 0);
    expect_number(report, "disconnects", 11);
    expect_number(report, "storms", 2); /* one in each process */
    json_decref(report);
}

static void the_references_schedule_can_be_had(void **state) {
    (void)state;
    struct running r;
    struct program p = FLEET("-n", "3", "--reference");
    program_start(&r, &p);
    program_await(&r, "3 agents connected after");
    program_free(&r);
}

static void churn_restarts_some(void **state) {
    (void)state;
    struct running r;
    struct program p = FLEET("-n", "60", "--churn", "1.5%/s", "--metrics", "0", "--json");
    program_start(&r, &p);
    struct metrics m = metrics_of(&r);
    await_metrics(&m, "dalang_fleet_connected 60\n");
    m.what = "\ndalang_fleet_healed_seconds_count ";
    await(metrics_are_above_one, &m, "two that came back");
    buf_free(&m.text);
    json_t *report = end_with_report(&r, SIGTERM, 0);
    assert_true(json_int(report, "restarts", 0) >= json_int(json_object_get(report, "healed"), "count", 0));
    expect_number(report, "storms", 0);
    json_decref(report);
}

static void mass_restarts_come_by_the_clock(void **state) {
    (void)state;
    struct running r;
    struct program p = FLEET("-n", "5", "--restart-every", "3s");
    program_start(&r, &p);
    program_await(&r, "lost the brokers (0 of 5 agents were left); healed after");
    program_free(&r);
}

static void an_external_orchestrator_finds_the_nodes(void **state) {
    (void)state;
    write_file(rig.dir, "roles.json",
               "[{\"count\": 3, \"name\": \"role-{n}.example.com\", \"facts\": {\"role\": \"web\"}},"
               " {\"name\": \"stranger.example.com\", \"known\": false}]");
    struct running r;
    struct program p =
        FLEET("--behaviour", "roles.json", "--external", "--puppetdb", json_str(rig.ready, "puppetdb"), "--cert",
              "stack/certs/client.pem", "--key", "stack/certs/client.key", "--json", "--metrics", "0");
    program_start(&r, &p);
    struct metrics m = metrics_of(&r);
    await_metrics(&m, "dalang_fleet_registered_total 3\n");
    await_metrics(&m, "dalang_fleet_connected 4\n");
    buf_free(&m.text);
    static const char query[] = "inventory[certname] { facts.role = \"web\" order by certname }";
    rig_expect(&rig, ARGUMENTS("puppet-query", query), 0, "*role-1.example.com*role-3.example.com*", "");
    json_t *report = end_with_report(&r, SIGTERM, 0);
    expect_number(report, "registered", 3);
    expect_number(report, "removed", 3);
    expect_number(report, "reports_failed", 0);
    json_decref(report);
    char *left = output_of(&(struct program){.argv = {"puppet-query", query}, .env = {rig.stack_env}}, 0);
    assert_null(strstr(left, "role-"));
    mem_free(left);
}

static void reports_that_nobody_takes_are_counted(void **state) {
    (void)state;
    struct running r;
    struct program p = FLEET("-n", "2", "--external", "--puppetdb", "https://127.0.0.1:1", "--cert",
                             "stack/certs/client.pem", "--key", "stack/certs/client.key", "--metrics", "0");
    program_start(&r, &p);
    struct metrics m = metrics_of(&r);
    await_metrics(&m, "dalang_fleet_reports_failed_total 2\n");
    await_metrics(&m, "dalang_fleet_connected 2\n");
    buf_free(&m.text);
    kill(r.pid, SIGTERM);
    assert_int_equal(program_finish(&r), 0);
    assert_true(glob_match("*PuppetDB   0 reports, 0 nodes made known, 0 deactivated, 4 refused\n*4 reports not sent\n"
                           "last error https://127.0.0.1:1: *",
                           r.out_text.ptr));
    program_free(&r);
}

static void a_terminal_shows_a_line_that_fits(void **state) {
    (void)state;
    struct running r;
    struct program p = FLEET("-n", "4");
    p.columns = 60;
    program_start(&r, &p);
    program_await(&r, "4/4 connected  ");
    program_type(&r, "\003");
    assert_int_equal(program_finish(&r), 0);
    const char *line = strstr(r.out_text.ptr, "/4 connected  ");
    assert_non_null(line);
    assert_true(strcspn(line, "\r\n") < 60 + strlen("^C"));
    assert_non_null(strstr(r.out_text.ptr, "4 agents, 4 connected at most"));
    program_free(&r);
}

static void a_part_speaks_to_the_one_who_adds_up(void **state) {
    (void)state;
    struct running r;
    struct program p = FLEET("-n", "10", "--part", "2/3");
    program_start(&r, &p);
    program_await(&r, "\"connected\":3,");
    kill(r.pid, SIGTERM);
    assert_int_equal(program_finish(&r), 0);
    assert_non_null(strstr(r.out_text.ptr, "\"stopping\":1,"));
    program_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_of_usage_are_named),
        cmocka_unit_test(mistakes_of_configuration_are_named),
        cmocka_unit_test(nobody_answers),
        cmocka_unit_test(ranks_need_mpi),
        cmocka_unit_test(agents_connect_run_tasks_and_say_good_bye),
        cmocka_unit_test(private_storage_is_each_agents_own),
        cmocka_unit_test(what_still_runs_is_reported),
        cmocka_unit_test(processes_share_the_agents),
        cmocka_unit_test(a_lost_process_ends_the_fleet),
        cmocka_unit_test(children_say_what_is_wrong),
        cmocka_unit_test(version_1_and_entries_of_a_scenario),
        cmocka_unit_test(certificates_come_from_a_directory),
        cmocka_unit_test(the_next_broker_is_tried),
        cmocka_unit_test(storms_are_made_and_healed),
        cmocka_unit_test(a_signal_makes_a_storm),
        cmocka_unit_test(the_references_schedule_can_be_had),
        cmocka_unit_test(churn_restarts_some),
        cmocka_unit_test(mass_restarts_come_by_the_clock),
        cmocka_unit_test(an_external_orchestrator_finds_the_nodes),
        cmocka_unit_test(reports_that_nobody_takes_are_counted),
        cmocka_unit_test(a_terminal_shows_a_line_that_fits),
        cmocka_unit_test(a_part_speaks_to_the_one_who_adds_up),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
