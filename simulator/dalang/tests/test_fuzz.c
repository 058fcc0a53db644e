/* dalang fuzz against our broker and agent (which stand it), and against a small broker with bugs (each is found). */
#include "simulator/dalang/tests/programs.h"

#include "base/json.h"
#include "base/mem.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char *dir, *victim, *ca, *cert, *key;

static int start(void **state) {
    (void)state;
    dir = make_temporary_dir();
    victim = str_dup(BIN_DIR "/fuzz-victim");
    expect_program(
        &(struct program){.argv = {"dalang", "certs", "issue", "localhost", "--ip", "127.0.0.1", "--dir", "pki"},
                          .dir = dir},
        0, NULL, "");
    expect_program(&(struct program){.argv = {"dalang", "certs", "issue", "agent-1", "--dir", "pki"}, .dir = dir}, 0,
                   NULL, "");
    ca = str_printf("%s/pki/ca.pem", dir);
    cert = str_printf("%s/pki/certs/localhost.pem", dir);
    key = str_printf("%s/pki/certs/localhost.key", dir);
    return 0;
}

static int stop(void **state) {
    (void)state;
    remove_tree(dir);
    char *all[] = {dir, victim, ca, cert, key};
    for (size_t i = 0; i < 5; i++) {
        mem_free(all[i]);
    }
    return 0;
}

/* One that was free a moment ago. */
static char *free_port(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 &&
                getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    close(fd);
    return str_printf("%u", (unsigned)ntohs(at.sin_port));
}

/* {"verdict": …} of a run against the victim with this bug. */
static json_t *fuzz_victim(const char *bug, const char *option, const char *value, int code) {
    char *port = free_port(), *url = str_printf("wss://127.0.0.1:%s", port);
    struct program p = {.argv = {"dalang",     "fuzz", "broker",   "--target", url,       "--dir", "pki",  "--json",
                                 "--patience", "2s",   "--growth", "16",       "--steps", "1500",  option, value,
                                 "--",         victim, bug,        port,       ca,        cert,    key},
                        .dir = dir};
    char *out = output_of(&p, code);
    json_t *result = json_parse(span_of(out), "test", NULL);
    mem_free(out);
    mem_free(url);
    mem_free(port);
    return result;
}

static void each_bug_is_found(void **state) {
    (void)state;
    static const struct {
        const char *bug, *verdict, *text;
    } cases[] = {
        {"crash", "crash", "signal 6"},
        {"hang", "hang", ""},
        {"growth", "growth", "its memory grew"},
        {"spoof", "wrong answer", "who did not send it"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *result = fuzz_victim(cases[i].bug, "--seed", "3", 1);
        assert_string_equal(json_str(result, "verdict"), cases[i].verdict);
        assert_non_null(strstr(json_str(result, "text"), cases[i].text));
        char *path = str_printf("%s/%s", dir, json_str(result, "transcript"));
        char *kept = str_printf("%s/%s.jsonl", dir, cases[i].bug);
        assert_int_equal(rename(path, kept), 0);
        mem_free(path);
        mem_free(kept);
        json_decref(result);
    }
    json_t *clean = fuzz_victim("none", "--seed", "3", 0);
    assert_string_equal(json_str(clean, "verdict"), "clean");
    assert_false(path_exists(dir, "dalang-fuzz-3.jsonl")); /* nothing found: nothing left */
    json_decref(clean);
}

static size_t lines_of(const char *name) {
    char *text = read_file(dir, name);
    size_t count = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) {
        count++;
    }
    mem_free(text);
    return count;
}

static void a_transcript_repeats_it(void **state) {
    (void)state;
    json_t *again = fuzz_victim("crash", "--replay", "crash.jsonl", 1);
    assert_string_equal(json_str(again, "verdict"), "crash");
    json_decref(again);
    json_t *fixed = fuzz_victim("none", "--replay", "crash.jsonl", 0); /* once the bug is gone, it is clean */
    assert_string_equal(json_str(fixed, "verdict"), "clean");
    json_decref(fixed);
}

static void and_is_made_smaller(void **state) {
    (void)state;
    char *port = free_port(), *url = str_printf("wss://127.0.0.1:%s", port);
    expect_program(
        &(struct program){.argv = {"dalang", "fuzz", "broker", "--target", url, "--dir", "pki", "--patience", "2s",
                                   "--minimise", "crash.jsonl", "--", victim, "crash", port, ca, cert, key},
                          .dir = dir},
        1, "crash: the program was ended by signal 6 (Aborted)\n* steps of * are enough, after * tries: *\n", NULL);
    assert_true(lines_of("crash.jsonl.min") <= 4); /* its head, who connects, what bites */
    mem_free(url);
    mem_free(port);
    json_t *again = fuzz_victim("crash", "--replay", "crash.jsonl.min", 1);
    assert_string_equal(json_str(again, "verdict"), "crash");
    json_decref(again);
}

/* A lie that the broker refuses; then its identifier again, by the one it was blamed on, who leaves the sender out. */
static void nobody_is_accused_of_what_is_his_own(void **state) {
    (void)state;
    static const char says[] = "{\"do\":\"text\",\"who\":%d,\"text\":\"{'id':'aaaaaaaa-0000-4000-8000-000000000001',"
                               "'message_type':'x','target':'pcp://fuzz-probe-b/agent'%s}\"}\n";
    struct buf text = BUF_INIT, quoted = BUF_INIT;
    buf_append_cstr(&text, "{\"fuzz\":\"broker\",\"seed\":1}\n");
    for (int who = 0; who < 2; who++) {
        buf_printf(&text, "{\"do\":\"connect\",\"who\":%d,\"version\":2,\"path\":\"/pcp2/agent\"}\n", who);
    }
    buf_printf(&text, says, 0, ",'sender':'pcp://fuzz-1/agent'");
    buf_printf(&text, says, 1, "");
    for (size_t i = 0; i < text.len; i++) {
        buf_append_cstr(&quoted, text.ptr[i] == '\'' ? "\\\"" : (char[]){text.ptr[i], '\0'});
    }
    write_file(dir, "own.jsonl", quoted.ptr);
    json_t *clean = fuzz_victim("none", "--replay", "own.jsonl", 0);
    assert_string_equal(json_str(clean, "verdict"), "clean");
    assert_int_equal(json_int(clean, "steps", 0), 4);
    json_decref(clean);
    buf_free(&text);
    buf_free(&quoted);
}

static void our_broker_stands_it(void **state) {
    (void)state;
    char *port = free_port(), *url = str_printf("wss://127.0.0.1:%s", port),
         *config = str_printf("%s/broker.conf", dir);
    char *text = str_printf("webserver: { ssl-host: \"127.0.0.1\", ssl-port: %s, ssl-cert: \"%s\", ssl-key: \"%s\", "
                            "ssl-ca-cert: \"%s\" }\n"
                            "authorization: { version: 1, rules: [{ name: all, sort-order: 500, "
                            "allow-unauthenticated: true, match-request: { path: \"^/\", type: regex } }] }\n"
                            "web-router-service: { broker-service: { v1: \"/pcp\", v2: \"/pcp2\", metrics: \"/\" } }\n",
                            port, cert, key, ca);
    write_file(dir, "broker.conf", text);
    expect_program(
        &(struct program){.argv = {"dalang", "fuzz", "broker", "--target", url, "--dir", "pki", "--seed", "11",
                                   "--steps", "1500", "--", BIN_DIR "/dalang-broker", "--config", config},
                          .dir = dir},
        0, "clean: 1500 steps in *\n", NULL);
    mem_free(text);
    mem_free(config);
    mem_free(url);
    mem_free(port);
}

static void our_agent_stands_it(void **state) {
    (void)state;
    char *port = free_port(), *config = str_printf("%s/agent.conf", dir);
    char *text =
        str_printf("{\"broker-ws-uris\":[\"wss://127.0.0.1:%s/pcp2/\"],\"ssl-ca-cert\":\"%s\",\"ssl-cert\":"
                   "\"%s/pki/certs/agent-1.pem\",\"ssl-key\":\"%s/pki/certs/agent-1.key\",\"spool-dir\":"
                   "\"%s/spool\",\"task-cache-dir\":\"%s/cache\",\"modules-dir\":\"%s/modules\","
                   "\"modules-config-dir\":\"%s/modules.d\",\"logfile\":\"%s/agent.log\",\"pcp-version\":\"2\"}",
                   port, ca, dir, dir, dir, dir, dir, dir, dir);
    write_file(dir, "agent.conf", text);
    write_file(dir, "modules/none", "");
    write_file(dir, "modules.d/none", "");
    expect_program(&(struct program){.argv = {"dalang", "fuzz", "agent", "--listen", port, "--dir", "pki", "--seed",
                                              "12", "--steps", "300", "--", BIN_DIR "/dalang-agent", "--foreground",
                                              "--config-file", config},
                                     .dir = dir},
                   0, "clean: 300 steps in *\n", NULL);
    mem_free(text);
    mem_free(config);
    mem_free(port);
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    static const struct {
        const char *argv[12];
        int code;
        const char *out, *err;
    } list[] = {
        {{"dalang", "fuzz"}, 2, "", "dalang fuzz: what is to be fuzzed: broker or agent?\n"},
        {{"dalang", "fuzz", "broker"}, 2, "", "dalang fuzz: --target is needed: the broker's URL\n"},
        {{"dalang", "fuzz", "agent"}, 2, "", "dalang fuzz: --ca (or --dir) is needed\n"},
        {{"dalang", "fuzz", "broker", "--target", "ws://x", "--dir", "pki"}, 2, "", "*must begin with wss://\n"},
        {{"dalang", "fuzz", "broker", "--target", "wss://127.0.0.1:1", "--dir", "pki", "--minimise", "x"},
         2,
         "",
         "dalang fuzz: --minimise needs a command behind --, to start the program anew\n"},
        {{"dalang", "fuzz", "broker", "--target", "wss://127.0.0.1:1", "--dir", "pki", "--replay", "pki/ca.pem"},
         3,
         "",
         "dalang fuzz: pki/ca.pem: line 1 is no step of a transcript\n"},
        {{"dalang", "fuzz", "broker", "--target", "wss://127.0.0.1:1", "--dir", "pki", "--patience", "100ms"},
         3,
         "unreachable: no connection comes about any more\n*",
         ""},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        struct program p = {.dir = dir};
        memcpy(p.argv, list[i].argv, sizeof(list[i].argv));
        expect_program(&p, list[i].code, list[i].out, list[i].err);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_bug_is_found),      cmocka_unit_test(a_transcript_repeats_it),
        cmocka_unit_test(and_is_made_smaller),    cmocka_unit_test(nobody_is_accused_of_what_is_his_own),
        cmocka_unit_test(our_broker_stands_it),   cmocka_unit_test(our_agent_stands_it),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    mem_init_libraries();
    /* AddressSanitizer keeps what was freed: that is no growth. */
    setenv("ASAN_OPTIONS", "quarantine_size_mb=1:thread_local_quarantine_size_kb=64", 1);
    return cmocka_run_group_tests(tests, start, stop);
}
