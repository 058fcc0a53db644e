/* dalang-agent as a daemon: pid file, signals, logs, exit codes (agent.md §4, §5, §16.4). */
#include "agent/tests/real.h"
#include "base/mem.h"
#include "world/certs.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int run_plain(struct real *r, const char *const *flags) {
    real_agent_spawn(r, true, flags);
    return real_agent_wait(r);
}

static int run(struct real *r, const char *const *flags) {
    real_agent_spawn(r, false, flags);
    return real_agent_wait(r);
}

static void expect_run(struct real *r, int code, const char *says, const char *const *flags) {
    int got = run(r, flags);
    if (got != code || strstr(r->output.ptr != NULL ? r->output.ptr : "", says) == NULL) {
        fail_msg("exit %d instead of %d, or nothing of \"%s\": %s", got, code, says, r->output.ptr);
    }
}

#define FLAGS(...) ((const char *const[]){"--foreground", __VA_ARGS__, NULL})

static void help_and_version(void **state) {
    (void)state;
    struct real *r = real_new();
    assert_int_equal(run_plain(r, (const char *const[]){"--help", NULL}), 0);
    assert_ptr_equal(strstr(r->output.ptr, "Usage: pxp-agent [options]"), r->output.ptr);
    assert_null(strstr(r->output.ptr, "ping-interval")); /* hidden */
    assert_int_equal(run_plain(r, (const char *const[]){"-h", NULL}), 0);
    assert_int_equal(run_plain(r, (const char *const[]){"--version", NULL}), 0);
    assert_string_equal(r->output.ptr, DALANG_VERSION "\n");
    real_free(r);
}

static void exit_codes(void **state) {
    (void)state;
    struct real *r = real_new();
    char *conf = real_path(r, "bad.conf"), *cfg = real_path(r, "agent.cfg"),
         *other_key = real_path(r, "pki/certs/other.example.com.key"), *absent = real_path(r, "absent"),
         *file = real_path(r, "pxp-agent.conf"), *log = real_path(r, "logs/agent.log");
    real_write(r, "bad.conf", "{ a: [");
    real_write(r, "agent.cfg", "{}");
    expect_run(r, 2, "Unknown flag: bogus\nAn error occurred while parsing cli options\nCannot start pxp-agent\n",
               FLAGS("--bogus"));
    expect_run(r, 2, "Missing value for flag: spool-dir\n", FLAGS("--spool-dir"));
    expect_run(r, 2, "Flag 'connection-timeout' expects a value of type integer\n", FLAGS("--connection-timeout=x"));
    expect_run(r, 2, "Cannot start pxp-agent", FLAGS("positional"));
    expect_run(r, 2, "bad.conf", FLAGS("--config-file", conf));
    expect_run(r, 2, "must have the extension .conf or .json", FLAGS("--config-file", cfg));
    expect_run(r, 3, "must start with wss://", FLAGS("--broker-ws-uri", "ws://x"));
    expect_run(r, 3, "pcp-version must be either '1' or '2'", FLAGS("--pcp-version", "3"));
    expect_run(r, 3, "ssl-cert value must be defined", FLAGS("--ssl-cert", ""));
    expect_run(r, 3, "' not found", FLAGS("--ssl-ca-cert", absent));
    expect_run(r, 3, "failed to load private key: mismatch between private key and cert",
               FLAGS("--ssl-key", other_key));
    expect_run(r, 3, "failed to open cert", FLAGS("--ssl-cert", file));
    expect_run(r, 3, "Fatal configuration error: ", FLAGS("--ssl-crl", file));
    expect_run(r, 3, "' does not exist", FLAGS("--modules-dir", absent));
    expect_run(r, 3, "' is not a directory", FLAGS("--task-cache-dir", file));
    expect_run(r, 3, "invalid spool-dir-purge-ttl", FLAGS("--spool-dir-purge-ttl", "1.0"));
    expect_run(r, 3, "task-download-timeout must be positive", FLAGS("--task-download-timeout", "-1"));
    expect_run(r, 3, "ping-interval", FLAGS("--ping-interval", "5"));
    expect_run(r, 3, "invalid log level: 'loud'", FLAGS("--loglevel", "loud"));
    expect_run(r, 3, "there is no eventlog", FLAGS("--logfile", "eventlog"));
    expect_run(r, 3, "invalid syslog facility: 'x'", FLAGS("--logfile", "syslog", "--syslog-facility", "x"));
    /* The reason is in the log, too. */
    expect_run(r, 3, "pcp-version", FLAGS("--pcp-version", "3", "--logfile", log));
    char *text = real_read(r, "logs/agent.log");
    assert_non_null(
        strstr(text, "Fatal configuration error: pcp-version must be either '1' or '2'; cannot start pxp-agent"));
    mem_free(text);
    mem_free(conf);
    mem_free(cfg);
    mem_free(other_key);
    mem_free(absent);
    mem_free(file);
    mem_free(log);
    real_free(r);
}

static void a_foreground_agent_ends_by_its_signal(void **state) {
    (void)state;
    const int signals[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < 2; i++) {
        struct real *r = real_new();
        real_agent_start(r, NULL);
        real_agent_signal(r, signals[i]);
        assert_int_equal(real_agent_wait(r), 128 + signals[i]);
        assert_false(real_exists(r, "agent.pid"));
        real_free(r);
    }
}

/* ---------------------------------------------------------------------------------------- daemon */

static bool has_connected(struct real *r) {
    return r->peer != NULL;
}

static pid_t daemon_pid(struct real *r) {
    char *text = real_read(r, "agent.pid");
    pid_t pid = text == NULL ? 0 : (pid_t)atoi(text);
    mem_free(text);
    return pid;
}

static struct real *daemon_started(char **log) {
    struct real *r = real_new();
    *log = real_path(r, "logs/agent.log");
    assert_int_equal(run(r, (const char *const[]){"--logfile", *log, "--log-pcp-access", "--pcp-access-logfile", NULL}),
                     2);
    char *access = real_path(r, "logs/access.log");
    assert_int_equal(
        run(r, (const char *const[]){"--logfile", *log, "--log-pcp-access", "--pcp-access-logfile", access, NULL}), 0);
    mem_free(access);
    assert_true(real_wait(r, has_connected, 30));
    return r;
}

static bool daemon_gone(struct real *r) {
    return !real_exists(r, "agent.pid");
}

static void daemon_stopped(struct real *r, char *log) {
    pid_t pid = daemon_pid(r);
    if (pid > 1) {
        kill(pid, SIGKILL);
    }
    while (pid > 1 && world_pid_alive(r->world, pid)) {
        real_pause(r, 10);
    }
    mem_free(log);
    real_free(r);
}

static void a_daemon_has_a_pid_file(void **state) {
    (void)state;
    char *log;
    struct real *r = daemon_started(&log);
    pid_t pid = daemon_pid(r);
    assert_int_equal(kill(pid, 0), 0);
    assert_int_equal(getsid(pid) != getsid(0), 1);
    char *cwd = str_printf("/proc/%d/cwd", (int)pid), where[64] = "";
    assert_int_equal(readlink(cwd, where, sizeof where - 1), 1);
    assert_string_equal(where, "/");
    mem_free(cwd);
    kill(pid, SIGHUP); /* ignored */
    real_pause(r, 50);
    assert_int_equal(kill(pid, 0), 0);
    kill(pid, SIGTERM);
    assert_true(real_wait(r, daemon_gone, 30));
    daemon_stopped(r, log);
}

static void a_second_daemon_is_refused(void **state) {
    (void)state;
    char *log;
    struct real *r = daemon_started(&log);
    pid_t pid = daemon_pid(r);
    assert_int_equal(run(r, (const char *const[]){"--logfile", log, NULL}), 1);
    char *text = real_read(r, "logs/agent.log"), *says = str_printf("Already running with PID=%d", (int)pid);
    assert_non_null(strstr(text, says));
    mem_free(text);
    mem_free(says);
    assert_int_equal(kill(pid, 0), 0);
    assert_int_equal(daemon_pid(r), pid);
    /* After a kill -9 the stale file is no obstacle; nor is an empty one, nor garbage. */
    const char *contents[] = {NULL, "", "garbage\n"};
    for (size_t i = 0; i < 3; i++) {
        pid = daemon_pid(r);
        kill(pid, SIGKILL);
        while (world_pid_alive(r->world, pid)) {
            real_pause(r, 10);
        }
        if (contents[i] != NULL) {
            real_write(r, "agent.pid", contents[i]);
        }
        assert_int_equal(run(r, (const char *const[]){"--logfile", log, NULL}), 0);
        assert_true(real_wait(r, has_connected, 30));
        assert_int_equal(kill(daemon_pid(r), 0), 0);
    }
    daemon_stopped(r, log);
}

static void logs_and_their_reopening(void **state) {
    (void)state;
    char *log;
    struct real *r = daemon_started(&log);
    real_request(r, false, "t", "ping", "ping", "{}");
    real_expect(r, "rpc_blocking_response");
    struct stat st;
    assert_int_equal(stat(log, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    /* 2024-05-06 07:08:09.123456 INFO  puppetlabs.pxp_agent.main:1 - text */
    real_command("grep -Eq '^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6} INFO  "
                 "puppetlabs\\.pxp_agent\\.[a-z]+:[0-9]+ - .*started at info level$' %s",
                 log);
    real_command("grep -Eq '^\\[[0-9-]{10} [0-9:]{8}\\.[0-9]{6}\\] AUTHORIZATION_SUCCESS wss://localhost:%u/pcp2/ "
                 "pcp://controller.example.com/controller http://puppetlabs.com/rpc_blocking_request [0-9a-f-]{36}$' "
                 "%s/logs/access.log",
                 r->port, r->dir);
    real_command("mv %s %s.1; mv %s/logs/access.log %s/logs/access.log.1", log, log, r->dir, r->dir);
    kill(daemon_pid(r), SIGUSR2);
    while (!real_exists(r, "logs/access.log")) {
        real_pause(r, 10);
    }
    struct span garbage = SPAN("garbage\n");
    ws_send(r->peer, true, &garbage, 1);
    real_request(r, false, "t", "ping", "ping", "{}");
    real_expect(r, "rpc_blocking_response");
    real_command("grep -q 'DESERIALIZATION_ERROR wss://localhost:%u/pcp2/ unknown unknown unknown$' %s/logs/access.log",
                 r->port, r->dir);
    real_command("grep -q ERROR %s", log);
    daemon_stopped(r, log);
}

static void an_existing_configuration_file_works(void **state) {
    (void)state;
    struct real *r = real_new();
    char *text = str_printf("# as a package writes it\n"
                            "broker-ws-uris : [ \"wss://localhost:1/pcp2/\", \"wss://localhost:%u/pcp2/\" ]\n"
                            "master-uris = [\"localhost:%u\"],\npcp-version: 2\nloglevel: debug\nunknown { key: 1 }\n"
                            "ssl-ca-cert: %s/pki/ca.pem\nssl-cert: %s/pki/certs/node1.example.com.pem\n"
                            "ssl-key: %s/pki/certs/node1.example.com.key\nmodules-dir: %s/modules\n"
                            "modules-config-dir: %s/mc\nspool-dir: %s/spool\ntask-cache-dir: %s/cache\nlogfile: -\n"
                            "foreground: yes\nconnection-timeout: \"7\"\n",
                            r->port, r->port, r->dir, r->dir, r->dir, r->dir, r->dir, r->dir, r->dir);
    real_write(r, "own.conf", text);
    char *path = real_path(r, "own.conf");
    real_agent_spawn(r, true, (const char *const[]){"-config-file", path, "start", "-v", NULL});
    assert_true(real_wait(r, has_connected, 30));
    assert_non_null(strstr(r->output.ptr, "Ignoring unrecognized option 'unknown.key'"));
    char *result = real_task(r, false, "#!/bin/sh\necho ok\n", "{}", "");
    assert_string_equal(result, "{\"exitcode\":0,\"stdout\":\"ok\\n\"}");
    assert_null(strstr(r->output.ptr, "PRIVATE KEY"));
    mem_free(result);
    mem_free(path);
    mem_free(text);
    real_free(r);
}

static bool has_reloaded(struct real *r) {
    return strstr(r->output.ptr, "were read again") != NULL;
}

/* A revoked broker is no broker; once it is not revoked any more, it is one again. */
static void a_new_revocation_list_counts(void **state) {
    (void)state;
    struct real *r = real_new();
    real_agent_start(r, NULL);
    char *good = real_read(r, "pki/crl.pem"), *pki = real_path(r, "pki");
    struct error err = ERROR_INIT;
    struct certs_ca *ca = certs_dir_open(pki, &(struct certs_ca_opts){.now_ms = world_wall_ms(r->world)}, &err);
    assert_non_null(ca);
    assert_true(certs_dir_revoke(ca, pki, "broker.example.com", world_wall_ms(r->world), &err));
    certs_ca_free(ca);
    assert_true(real_wait(r, has_reloaded, 30));
    ws_abort(r->peer);
    r->peer = NULL;
    real_pause(r, 1500);
    assert_null(r->peer);
    assert_non_null(strstr(r->output.ptr, "TLS handshake failed"));
    assert_non_null(strstr(r->output.ptr, "revoked"));
    real_write(r, "pki/crl.new", good);
    real_command("mv %s/crl.new %s/crl.pem", pki, pki);
    assert_true(real_wait(r, has_connected, 30));
    mem_free(good);
    mem_free(pki);
    real_free(r);
}

static void a_key_with_a_pass_phrase_is_refused(void **state) {
    (void)state;
    struct real *r = real_new();
    real_command(
        "openssl pkcs8 -topk8 -v2 aes256 -passout pass:x -in %s/pki/certs/node1.example.com.key -out %s/locked.key",
        r->dir, r->dir);
    char *key = real_path(r, "locked.key");
    expect_run(r, 3, "failed to load private key", FLAGS("--ssl-key", key)); /* and nobody is asked for it */
    mem_free(key);
    real_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_and_version),
        cmocka_unit_test(exit_codes),
        cmocka_unit_test(a_foreground_agent_ends_by_its_signal),
        cmocka_unit_test(a_daemon_has_a_pid_file),
        cmocka_unit_test(a_second_daemon_is_refused),
        cmocka_unit_test(logs_and_their_reopening),
        cmocka_unit_test(an_existing_configuration_file_works),
        cmocka_unit_test(a_new_revocation_list_counts),
        cmocka_unit_test(a_key_with_a_pass_phrase_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
