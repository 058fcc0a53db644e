/* Command line and configuration file (agent.md §2-4, §16.2 "Configuration"). */
#include "agent/settings.h"
#include "base/mem.h"
#include "simulator/world/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
/* cmocka wants the four headers above first */
#include <cmocka.h>

struct fixture {
    struct sim *sim;
    struct world *world;
    struct agent_settings *settings;
};

static const struct agent_user root = {true, "/root"}, user = {false, "/home/me"};

static void put(struct fixture *f, const char *path, const char *text) {
    assert_true(world_file_write(f->world, path, span_of(text), 0644, WORLD_WRITE_PLAIN, NULL));
}

static void fresh(struct fixture *f, const struct agent_user *who) {
    agent_settings_free(f->settings);
    f->settings = agent_settings_new(who);
}

static int setup(void **state) {
    struct fixture *f = mem_zalloc(sizeof *f);
    f->sim = sim_new(&(struct sim_opts){.seed = 1});
    f->world = sim_host(f->sim, "host");
    f->settings = agent_settings_new(&root);
    const char *dirs[] = {"/etc/puppetlabs/pxp-agent", "/opt/puppetlabs/pxp-agent/modules", "/pki",
                          "/var/run/puppetlabs"};
    for (size_t i = 0; i < 4; i++) {
        assert_true(world_file_mkdir(f->world, dirs[i], 0755, true, NULL));
    }
    put(f, "/pki/ca.pem", "ca");
    put(f, "/pki/cert.pem", "cert");
    put(f, "/pki/key.pem", "key");
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    agent_settings_free(f->settings);
    sim_free(f->sim);
    mem_free(f);
    return 0;
}

enum { ARGUMENTS_MAX = 20 };

static enum settings_result arguments(struct fixture *f, struct error *err, const char *first, ...) {
    const char *argv[ARGUMENTS_MAX] = {"pxp-agent"};
    int count = 1;
    va_list args;
    va_start(args, first);
    for (const char *a = first; a != NULL && count < ARGUMENTS_MAX; a = va_arg(args, const char *)) {
        argv[count++] = a;
    }
    va_end(args);
    return agent_settings_arguments(f->settings, count, (char *const *)argv, err);
}

/* ---------------------------------------------------------------------------------------- command line */

static void defaults(void **state) {
    struct fixture *f = *state;
    assert_string_equal(agent_settings_text(f->settings, "config-file"), "/etc/puppetlabs/pxp-agent/pxp-agent.conf");
    assert_string_equal(agent_settings_text(f->settings, "spool-dir"), "/opt/puppetlabs/pxp-agent/spool");
    assert_string_equal(agent_settings_text(f->settings, "loglevel"), "info");
    assert_int_equal(agent_settings_integer(f->settings, "ping-interval"), 120);
    assert_int_equal(agent_settings_integer(f->settings, "max-message-size"), 67108864);
    assert_false(agent_settings_flag(f->settings, "foreground"));
    assert_false(agent_settings_given(f->settings, "loglevel"));
    fresh(f, &user);
    assert_true(agent_settings_file(f->settings, f->world, NULL));
    assert_string_equal(agent_settings_text(f->settings, "config-file"),
                        "/home/me/.puppetlabs/etc/pxp-agent/pxp-agent.conf");
    assert_string_equal(agent_settings_text(f->settings, "spool-dir"), "/home/me/.puppetlabs/opt/pxp-agent/spool");
    assert_string_equal(agent_settings_text(f->settings, "pidfile"), "/home/me/.puppetlabs/var/run/pxp-agent.pid");
    assert_string_equal(agent_settings_text(f->settings, "modules-dir"), "/opt/puppetlabs/pxp-agent/modules");
}

static void flags(void **state) {
    struct fixture *f = *state;
    assert_int_equal(arguments(f, NULL, "--loglevel", "debug", "--spool-dir=/s p", "-logfile", "-", "--foreground",
                               "start", "--connection-timeout=9", "-vvv", "--verbose", "--log-pcp-access=true", NULL),
                     SETTINGS_PARSED);
    assert_string_equal(agent_settings_text(f->settings, "loglevel"), "debug");
    assert_string_equal(agent_settings_text(f->settings, "spool-dir"), "/s p");
    assert_string_equal(agent_settings_text(f->settings, "logfile"), "-");
    assert_true(agent_settings_flag(f->settings, "foreground"));
    assert_true(agent_settings_flag(f->settings, "log-pcp-access"));
    assert_int_equal(agent_settings_integer(f->settings, "connection-timeout"), 9);
    assert_true(agent_settings_given(f->settings, "loglevel"));
    assert_int_equal(arguments(f, NULL, "--foreground=false", NULL), SETTINGS_PARSED);
    assert_false(agent_settings_flag(f->settings, "foreground"));
    assert_int_equal(arguments(f, NULL, "--loglevel", "x", "-h", NULL), SETTINGS_HELP);
    assert_int_equal(arguments(f, NULL, "--help", NULL), SETTINGS_HELP);
    assert_int_equal(arguments(f, NULL, "--version", "--bogus", NULL), SETTINGS_VERSION);
}

static void flags_that_are_wrong(void **state) {
    struct fixture *f = *state;
    const struct {
        const char *first, *second, *says;
    } cases[] = {
        {"--bogus", NULL, "Unknown flag: bogus"},
        {"--bogus=1", NULL, "Unknown flag: bogus"},
        {"-x", NULL, "Unknown flag: x"},
        {"--primary-uris", "x", "Unknown flag: primary-uris"}, /* in files only */
        {"--loglevel", NULL, "Missing value for flag: loglevel"},
        {"--ping-interval", "soon", "Flag 'ping-interval' expects a value of type integer"},
        {"--ping-interval=", NULL, "Flag 'ping-interval' expects a value of type integer"},
        {"--foreground=perhaps", NULL, "Flag 'foreground' expects a value of type boolean"},
        {"--foreground", "true", "Unknown action: true"}, /* a flag does not eat the next word */
        {"stop", NULL, "Unknown action: stop"},
        {"-", NULL, "Unknown action: -"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = ERROR_INIT;
        assert_int_equal(arguments(f, &err, cases[i].first, cases[i].second, NULL), SETTINGS_ERROR);
        assert_string_equal(err.msg, cases[i].says);
        error_clear(&err);
    }
}

static void help_hides_what_is_hidden(void **state) {
    (void)state;
    struct buf text = BUF_INIT;
    agent_settings_help(&text);
    assert_non_null(strstr(text.ptr, "--broker-ws-uri URI"));
    assert_non_null(strstr(text.ptr, "--foreground "));
    assert_null(strstr(text.ptr, "--ping-interval"));
    assert_null(strstr(text.ptr, "--allowed-keepalive-timeouts"));
    buf_free(&text);
}

/* ---------------------------------------------------------------------------------------- file */

static bool read_file(struct fixture *f, const char *text, struct error *err) {
    put(f, "/etc/puppetlabs/pxp-agent/pxp-agent.conf", text);
    return agent_settings_file(f->settings, f->world, err);
}

static void a_file_is_read(void **state) {
    struct fixture *f = *state;
    assert_int_equal(arguments(f, NULL, "--loglevel", "error", NULL), SETTINGS_PARSED);
    struct error err = ERROR_INIT;
    assert_true(read_file(f,
                          "# comment\nloglevel: debug, pcp-version = 2\nconnection-timeout: \"8\"\nping-interval: 60\n"
                          "foreground: yes\nspool-dir: ~/spool\nssl { key: 1, deep { er: 2 } }\nfuture-option: x\n",
                          &err));
    assert_string_equal(agent_settings_text(f->settings, "loglevel"), "error"); /* the command line wins */
    assert_string_equal(agent_settings_text(f->settings, "pcp-version"), "2");  /* a number becomes text */
    assert_int_equal(agent_settings_integer(f->settings, "connection-timeout"), 8);
    assert_int_equal(agent_settings_integer(f->settings, "ping-interval"), 60);
    assert_true(agent_settings_flag(f->settings, "foreground"));
    assert_string_equal(agent_settings_text(f->settings, "spool-dir"), "/root/spool");
    const char *unknown[] = {"ssl.key", "ssl.deep.er", "future-option"};
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(agent_settings_unrecognized(f->settings, i), unknown[i]);
    }
    assert_null(agent_settings_unrecognized(f->settings, 3));
}

static void files_that_are_wrong(void **state) {
    struct fixture *f = *state;
    const struct {
        const char *text, *says;
    } cases[] = {
        {"{ a: [", "cannot parse config file: "},
        {"loglevel: []", "field 'loglevel' must be of type string"},
        {"ping-interval: soon", "field 'ping-interval' must be of type integer"},
        {"ping-interval: 1.5", "field 'ping-interval' must be of type integer"},
        {"foreground: perhaps", "field 'foreground' must be of type boolean"},
        {"broker-ws-uris: \"wss://x\"", "field 'broker-ws-uris' must be of type array"},
        {"primary-uris: [1]", "field 'primary-uris' must be of type array of strings"},
        {"broker-ws-uri: \"wss://x\", broker-ws-uris: []", "cannot both be defined"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = ERROR_INIT;
        fresh(f, &root);
        assert_false(read_file(f, cases[i].text, &err));
        assert_string_equal(err.kind, "agent/config-file");
        if (strstr(err.msg, cases[i].says) == NULL) {
            fail_msg("%s: %s", cases[i].text, err.msg);
        }
        error_clear(&err);
    }
    fresh(f, &root);
    put(f, "/etc/agent.cfg", "{}");
    arguments(f, NULL, "--config-file", "/etc/agent.cfg", NULL);
    struct error err = ERROR_INIT;
    assert_false(agent_settings_file(f->settings, f->world, &err));
    assert_non_null(strstr(err.msg, "must have the extension .conf or .json"));
    error_clear(&err);
    fresh(f, &root); /* one that is not there is no error */
    arguments(f, NULL, "--config-file", "/etc/absent.cfg", NULL);
    assert_true(agent_settings_file(f->settings, f->world, NULL));
}

/* ---------------------------------------------------------------------------------------- checks */

#define PKI "ssl-ca-cert: /pki/ca.pem, ssl-cert: /pki/cert.pem, ssl-key: /pki/key.pem\n"
#define GOOD "broker-ws-uri: \"wss://b:8142/pcp\", " PKI

static void checked(struct fixture *f, const char *more, const char *says) {
    struct error err = ERROR_INIT;
    char *text = str_printf("%s%s", GOOD, more);
    fresh(f, &root);
    if (!read_file(f, text, &err)) {
        fail_msg("%s: %s", more, err.msg);
    }
    bool ok = agent_settings_check(f->settings, f->world, NULL, NULL, &err);
    if (ok != (says == NULL) || (says != NULL && strstr(err.msg, says) == NULL)) {
        fail_msg("%s: %s", more, ok ? "accepted" : err.msg);
    }
    assert_true(ok || error_is(&err, "agent/configuration"));
    error_clear(&err);
    mem_free(text);
}

static void checks(void **state) {
    struct fixture *f = *state;
    put(f, "/a-file", "x");
    assert_true(world_file_mkdir(f->world, "/a-dir", 0755, true, NULL));
    const struct {
        const char *more, *says;
    } cases[] = {
        {"", NULL},
        {"broker-ws-uri: \"\"", "broker-ws-uri or broker-ws-uris must be defined"},
        {"broker-ws-uri: \"ws://b\"", "broker-ws-uri value \"ws://b\" must start with wss://"},
        {"broker-ws-uri: \"wss://b:99999\"", "is not a valid URI"},
        {"primary-uris: [\"http://p\"]", "primary-uris value \"http://p\" must start with https://"},
        {"pcp-version: 3", "pcp-version must be either '1' or '2'"},
        {"ssl-ca-cert: \"\"", "ssl-ca-cert value must be defined"},
        {"ssl-ca-cert: /absent", "ssl-ca-cert file '/absent' not found"},
        {"ssl-cert: \"\"", "ssl-cert value must be defined"},
        {"ssl-cert: /a-dir", "ssl-cert file '/a-dir' not readable"},
        {"ssl-key: /absent", "ssl-key file '/absent' not found"},
        {"ssl-crl: /absent", "ssl-crl file '/absent' not found"},
        {"modules-dir: /absent", "the modules-dir '/absent' does not exist"},
        {"modules-dir: /a-file", "the modules-dir '/a-file' is not a directory"},
        {"task-cache-dir: \"\"", "task-cache-dir must be defined"},
        {"task-cache-dir: /a-file", "the task-cache-dir '/a-file' is not a directory"},
        {"spool-dir: \"\"", "spool-dir must be defined"},
        {"spool-dir: /a-file", "the spool-dir '/a-file' is not a directory"},
        {"spool-dir: /a-file/x", "failed to create the spool-dir"},
        {"pidfile: /a-dir", "the PID file '/a-dir' is not a regular file"},
        {"spool-dir-purge-ttl: \"1.0\"", "invalid spool-dir-purge-ttl"},
        {"spool-dir-purge-ttl: 14", "invalid spool-dir-purge-ttl"},
        {"spool-dir-purge-ttl: d", "invalid spool-dir-purge-ttl"},
        {"task-cache-dir-purge-ttl: 12s", "invalid task-cache-dir-purge-ttl"},
        {"task-cache-dir-purge-ttl: 0d", NULL},
        {"task-download-timeout: -1", "task-download-timeout must be positive"},
        {"task-download-connect-timeout: -1", "task-download-connect-timeout must be positive"},
        {"connection-timeout: 99999999999", "connection-timeout is too large"},
        {"ping-interval: 5", "ping-interval must be greater than the pong timeout of 5 seconds"},
        {"ping-interval: 6", NULL},
        {"compatibility: odd", "compatibility must be either 'dalang' or 'reference'"},
        {"refused-association: odd", "refused-association must be either 'exit' or 'retry'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        checked(f, cases[i].more, cases[i].says);
    }
}

static bool refuse(void *ctx, struct error *err) {
    (*(int *)ctx)++;
    return error_set(err, "agent/configuration", "no such key");
}

static void credentials_are_loaded_in_between(void **state) {
    struct fixture *f = *state;
    int calls = 0;
    struct error err = ERROR_INIT;
    assert_true(read_file(f, GOOD "modules-dir: /absent", NULL));
    assert_false(agent_settings_check(f->settings, f->world, refuse, &calls, &err));
    assert_string_equal(err.msg, "no such key"); /* before the directories */
    error_clear(&err);
    fresh(f, &root);
    assert_true(read_file(f, GOOD "ssl-crl: /absent", NULL));
    assert_false(agent_settings_check(f->settings, f->world, refuse, &calls, NULL));
    assert_int_equal(calls, 1); /* after the files */
}

static void directories_are_made(void **state) {
    struct fixture *f = *state;
    checked(f, "spool-dir: /new/spool, task-cache-dir: /new/cache, modules-config-dir: /new/mc", NULL);
    const char *made[] = {"/new/spool", "/new/cache", "/new/mc"};
    for (size_t i = 0; i < 3; i++) {
        struct world_stat st;
        assert_true(world_file_stat(f->world, made[i], &st, NULL));
        assert_true(st.is_dir);
        assert_int_equal(st.mode, 0750);
    }
    sim_disk_fault(f->world,
                   &(struct sim_disk_fault){.prefix = "/new/spool/", .ops = SIM_FILE_META, .kind = "world/permission"});
    checked(f, "spool-dir: /new/spool", "the spool-dir '/new/spool' is not writable");
    sim_disk_fault(f->world, NULL);
}

static void addresses(void **state) {
    struct fixture *f = *state;
    assert_true(read_file(f,
                          PKI "broker-ws-uris: [\"wss://a/x\", \"wss://b/y\"], primary-uris: [ \"one\", "
                              "\"https://two\", \"three:99\", \"https://[::1]/\" ], master-uris: [\"unused\"]",
                          NULL));
    assert_true(agent_settings_check(f->settings, f->world, NULL, NULL, NULL));
    struct agent_config c = agent_settings_config(f->settings);
    assert_int_equal(c.broker_count, 2);
    assert_string_equal(c.brokers[1], "wss://b/y");
    const char *primaries[] = {"https://one:8140", "https://two:8140", "https://three:99", "https://[::1]:8140"};
    assert_int_equal(c.primary_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(c.primaries[i], primaries[i]);
    }
    checked(f, "master-uris: [\"old\"]", NULL);
    c = agent_settings_config(f->settings);
    assert_string_equal(c.primaries[0], "https://old:8140");
    checked(f, "primary-uri: single", NULL);
    c = agent_settings_config(f->settings);
    assert_string_equal(c.primaries[0], "https://single:8140");
    fresh(f, &root); /* on the command line a broker replaces the file's list */
    arguments(f, NULL, "--broker-ws-uri", "wss://cli/", NULL);
    assert_true(read_file(f, PKI "broker-ws-uris: [\"wss://a\", \"wss://b\"]", NULL));
    assert_true(agent_settings_check(f->settings, f->world, NULL, NULL, NULL));
    c = agent_settings_config(f->settings);
    assert_int_equal(c.broker_count, 1);
    assert_string_equal(c.brokers[0], "wss://cli/");
}

static void the_cores_configuration(void **state) {
    struct fixture *f = *state;
    checked(f,
            "pcp-version: 2, connection-timeout: 7, ping-interval: 33, allowed-keepalive-timeouts: 0, "
            "association-timeout: 4, pcp-message-ttl: 3, task-download-connect-timeout: 2, task-download-timeout: 1, "
            "spool-dir-purge-ttl: 2d, task-cache-dir-purge-ttl: 90m, max-message-size: 1000, max-output-size: 2000, "
            "broker-ws-proxy: \"http://p:1\", master-proxy: \"http://q:2\", compatibility: reference, "
            "refused-association: retry, max-jobs: 5",
            NULL);
    struct agent_config c = agent_settings_config(f->settings);
    assert_int_equal(c.version, PCP_V2);
    assert_int_equal(c.connection_timeout_ms, 7000);
    assert_int_equal(c.ping_interval_ms, 33000);
    assert_int_equal(c.allowed_keepalive_timeouts, 0);
    assert_int_equal(c.association_timeout_ms, 4000);
    assert_int_equal(c.message_ttl_ms, 3000);
    assert_int_equal(c.download_connect_timeout_ms, 2000);
    assert_int_equal(c.download_timeout_ms, 1000);
    assert_int_equal(c.spool_ttl_ms, 2 * 24 * 3600 * 1000);
    assert_int_equal(c.cache_ttl_ms, 90 * 60 * 1000);
    assert_int_equal(c.max_message_size, 1000);
    assert_int_equal(c.output_max, 2000);
    assert_int_equal(c.jobs_max, 5);
    assert_string_equal(c.broker_proxy, "http://p:1");
    assert_string_equal(c.download_proxy, "http://q:2");
    assert_true(c.reference);
    assert_false(c.refusal_is_final);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(flags, setup, teardown),
        cmocka_unit_test_setup_teardown(flags_that_are_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(help_hides_what_is_hidden, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(files_that_are_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(checks, setup, teardown),
        cmocka_unit_test_setup_teardown(credentials_are_loaded_in_between, setup, teardown),
        cmocka_unit_test_setup_teardown(directories_are_made, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(the_cores_configuration, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
