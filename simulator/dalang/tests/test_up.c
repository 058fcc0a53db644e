/* dalang up itself: what is up when it says so, what it says when it cannot, what is left when it has gone. */
#include "simulator/dalang/tests/rig.h"

#include "base/mem.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { AGENTS = 100, PIECES = 64, PIECE_BYTES = 700, CONNECTION_ESTABLISHED = 1, CONNECTION_LISTEN = 10 };

static struct rig rig;

static int start(void **state) {
    (void)state;
    rig_start(&rig, ARGUMENTS("--agents", "100", "--task-concurrency", "100"));
    return 0;
}

static int stop(void **state) {
    (void)state;
    if (rig.dir != NULL) {
        rig_stop(&rig);
    }
    return 0;
}

/* The port of "https://127.0.0.1:4711/…" */
static unsigned port_of(const char *url) {
    const char *colon = strrchr(url, ':');
    assert_non_null(colon);
    return (unsigned)strtoul(colon + 1, NULL, 10);
}

/* Sockets in /proc/net/tcp whose own port is this one. */
static size_t count_sockets(unsigned port, unsigned state) {
    FILE *f = fopen("/proc/net/tcp", "re");
    assert_non_null(f);
    char line[256];
    size_t count = 0;
    while (fgets(line, sizeof(line), f) != NULL) {
        unsigned own, st;
        if (sscanf(line, " %*u: %*8x:%4x %*8x:%*4x %2x", &own, &st) == 2 && own == port && st == state) {
            count++;
        }
    }
    fclose(f);
    return count;
}

static void every_agent_is_a_connection_of_its_own(void **state) {
    (void)state;
    unsigned port = port_of(json_str(rig.ready, "broker"));
    assert_int_equal(json_int(rig.ready, "agents", 0), AGENTS);
    /* One more is the orchestrator's. Connections of other tests may take a moment to go, and the kernel's table is not
     * read at one instant: the count is believed when it holds. */
    size_t count = 0;
    for (int tries = 0, held = 0; tries < 600 && held < 5; tries++) {
        count = count_sockets(port, CONNECTION_ESTABLISHED);
        held = count == AGENTS + 1 ? held + 1 : 0;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    assert_int_equal(count, AGENTS + 1);
}

static size_t count_of(const char *text, const char *what) {
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what)) {
        count++;
    }
    return count;
}

/* The broker takes a session's name from its certificate: a hundred names in its inventory are a hundred
 * certificates, and each of them answers for itself. */
static void every_agent_has_a_name_of_its_own(void **state) {
    (void)state;
    struct program p =
        rig_program(&rig, ARGUMENTS("puppet-task", "run", "echo", "message=hello", "-q", "nodes[certname]{}"));
    char *out = output_of(&p, 0);
    assert_int_equal(count_of(out, "  message : hello\n"), AGENTS);
    for (int i = 1; i <= AGENTS; i++) {
        char line[64];
        snprintf(line, sizeof(line), "Finished on node node-%04d.example.com\n", i);
        assert_int_equal(count_of(out, line), 1);
    }
    mem_free(out);
}

static void the_result_is_computed_from_the_parameters(void **state) {
    (void)state;
    static const struct expectation list[] = {
        {{"puppet-task", "run", "echo", "message=one thing", "-n", "node-0042.example.com"},
         0,
         "*\n  message : one thing\n*",
         ""},
        {{"puppet-task", "run", "echo", "message=another", "-n", "node-0042.example.com"},
         0,
         "*\n  message : another\n*",
         ""},
    };
    EXPECT_ALL(&rig, list);
}

/* ---- hostile bytes */

static int connect_to(unsigned port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void throw_bytes(unsigned port) {
    static const char *const openings[] = {"", "\x16\x03\x01\x02", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff",
                                           "\x15\x03\x03"};
    uint32_t seed = 0x2545f491u ^ port;
    for (size_t i = 0; i < PIECES; i++) {
        unsigned char bytes[PIECE_BYTES];
        for (size_t k = 0; k < sizeof(bytes); k++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[k] = (unsigned char)(seed >> 24);
        }
        const char *opening = openings[i % (sizeof(openings) / sizeof(openings[0]))];
        memcpy(bytes, opening, strlen(opening));
        int fd = connect_to(port);
        ssize_t ignored = send(fd, bytes, 1 + seed % (sizeof(bytes) - 1), MSG_NOSIGNAL);
        (void)ignored; /* it may have been shut in our face */
        close(fd);
    }
}

static void random_bytes_kill_nothing(void **state) {
    (void)state;
    static const char *const services[] = {"broker", "orchestrator", "rbac", "puppetdb", "puppetserver"};
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        throw_bytes(port_of(json_str(rig.ready, services[i])));
    }
    rig_expect(&rig, ARGUMENTS("puppet-task", "run", "echo", "message=alive", "-q", "nodes[certname]{}"), 0,
               "*Job completed. 100/100 nodes succeeded.*", "");
    every_agent_is_a_connection_of_its_own(state);
}

/* ---- what it says when it cannot */

static void trouble_is_one_line_and_exit_code_3(void **state) {
    (void)state;
    char taken[16], next[16];
    unsigned broker = port_of(json_str(rig.ready, "broker"));
    snprintf(taken, sizeof(taken), "%u", broker);
    snprintf(next, sizeof(next), "%u", broker - 1); /* then the orchestrator's is the one in use */
    write_file(rig.dir, "a-file", "");
    write_file(rig.dir, "list.json", "[]");
    write_file(rig.dir, "no.json", "{");
    write_file(rig.dir, "half/certs/broker-1.pem", "");
    write_file(rig.dir, "half/certs/broker-1.key", "");
    const struct expectation list[] = {
        {{"dalang", "up", "--dir", "new", "--port-base", taken}, 3, "", "dalang up: *: *127.0.0.1*in use*\n"},
        {{"dalang", "up", "--dir", "new", "--port-base", next}, 3, "", "dalang up: *: *127.0.0.1*in use*\n"},
        {{"dalang", "up", "--dir", "/proc/nothing/here", "--port-base", "0"},
         3,
         "",
         "dalang up: *cannot make the directory*\n"},
        {{"dalang", "up", "--dir", "a-file", "--port-base", "0"}, 3, "", "dalang up: *a-file*\n"},
        {{"dalang", "up", "--dir", "half", "--port-base", "0"}, 3, "", "dalang up: *half/certs/broker-1.*\n"},
        {{"dalang", "up", "--dir", "new", "--port-base", "0", "--modules", "gone"}, 3, "", "dalang up: *gone*\n"},
        {{"dalang", "up", "--dir", "new", "--port-base", "0", "--state", "gone.json"},
         3,
         "",
         "dalang up: *gone.json*\n"},
        {{"dalang", "up", "--dir", "new", "--port-base", "0", "--state", "no.json"}, 2, "", "dalang up: no.json: *\n"},
        {{"dalang", "up", "--dir", "new", "--port-base", "0", "--behaviour", "list.json"},
         2,
         "",
         "dalang up: list.json: must be a JSON object\n"},
        {{"dalang", "up", "--port-base", "65535"},
         2,
         "",
         "dalang up: --port-base must be a port, with * more above it\n"},
        {{"dalang", "up", "--port-base", "x"}, 2, "", "dalang up: --port-base must be a port, *\n"},
        {{"dalang", "up", "--port-base", "0", "--real-agents", "101"}, 2, "", "dalang up: at most 100 real agents\n"},
        {{"dalang", "up", "--port-base", "0", "--brokers", "99"}, 2, "", "dalang up: at most * brokers\n"},
        {{"dalang", "up", "--port-base", "0", "--log-level", "loud"}, 2, "", "dalang up: --log-level is *\n"},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        struct program p = rig_program(&rig, list[i].argv);
        struct running r;
        program_start(&r, &p);
        program_finish(&r);
        const char *err = r.err_text.ptr != NULL ? r.err_text.ptr : "";
        if (r.code != list[i].code || !glob_match(list[i].err, err) || strchr(err, '\n') != err + strlen(err) - 1) {
            fail_msg("case %zu: exit code %d\n%s", i, r.code, err);
        }
        program_free(&r);
    }
}

/* ---- the end */

static bool no_listener(void *ctx) {
    return count_sockets(*(unsigned *)ctx, CONNECTION_LISTEN) == 0;
}

static size_t entries_like(const char *dir, const char *pattern) {
    DIR *d = opendir(dir);
    assert_non_null(d);
    size_t count = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        count += glob_match(pattern, e->d_name);
    }
    closedir(d);
    return count;
}

static void nothing_is_left_after(int signal_number) {
    char *tmp = make_temporary_dir(), *tmp_env = str_printf("TMPDIR=%s", tmp);
    /* without --dir it makes a directory of its own, and takes it away again */
    struct program p = {.argv = {"dalang", "up", "--json", "--port-base", "0", "--agents", "5", "--real-agents", "1"},
                        .env = {tmp_env}};
    struct running r;
    program_start(&r, &p);
    program_await(&r, "}\n");
    assert_int_equal(entries_like(tmp, "dalang-*"), 1);
    json_t *ready = json_parse(buf_span(&r.out_text), "ready", NULL);
    unsigned ports[] = {port_of(json_str(ready, "broker")), port_of(json_str(ready, "orchestrator"))};
    json_decref(ready);
    kill(r.pid, signal_number);
    assert_int_equal(program_finish(&r), 0);
    assert_int_equal(r.err_text.len, 0);
    program_free(&r);
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        await(no_listener, &ports[i], "the port to be closed");
    }
    assert_int_equal(entries_like(tmp, "dalang-*"), 0);
    mem_free(tmp_env);
    remove_tree(tmp);
    mem_free(tmp);
}

static void nothing_is_left(void **state) {
    (void)state;
    nothing_is_left_after(SIGTERM);
    nothing_is_left_after(SIGINT);
}

static size_t children(pid_t parent) {
    size_t count = 0;
    DIR *d = opendir("/proc");
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[300], line[512];
        snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
        FILE *f = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? fopen(path, "re") : NULL;
        int ppid;
        if (f != NULL && fgets(line, sizeof(line), f) != NULL) {
            const char *after = strrchr(line, ')');
            count += after != NULL && sscanf(after, ") %*c %d", &ppid) == 1 && ppid == parent;
        }
        if (f != NULL) {
            fclose(f);
        }
    }
    closedir(d);
    return count;
}

static void it_has_no_children_without_real_agents(void **state) {
    (void)state;
    assert_int_equal(children(rig.up.pid), 0);
}

static void a_stack_comes_back_in_its_directory(void **state) {
    (void)state;
    struct program p = {.argv = {"dalang", "up", "--json", "--port-base", "0", "--agents", "3", "--dir", "again"},
                        .dir = rig.dir};
    char *dir_env = str_printf("DALANG_DIR=%s/again", rig.dir);
    for (int i = 1; i <= 2; i++) {
        struct running r;
        program_start(&r, &p);
        program_await(&r, "}\n");
        struct program task = {.argv = {"puppet-task", "run", "echo", "message=x", "-n", "node-0001.example.com"},
                               .env = {dir_env}};
        char id[32];
        snprintf(id, sizeof(id), "*New job ID: %d\n*", i); /* the database is the same */
        expect_program(&task, 0, id, "");
        kill(r.pid, SIGTERM);
        assert_int_equal(program_finish(&r), 0);
        program_free(&r);
    }
    mem_free(dir_env);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_agent_is_a_connection_of_its_own),
        cmocka_unit_test(every_agent_has_a_name_of_its_own),
        cmocka_unit_test(the_result_is_computed_from_the_parameters),
        cmocka_unit_test(random_bytes_kill_nothing),
        cmocka_unit_test(it_has_no_children_without_real_agents),
        cmocka_unit_test(trouble_is_one_line_and_exit_code_3),
        cmocka_unit_test(nothing_is_left),
        cmocka_unit_test(a_stack_comes_back_in_its_directory),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
