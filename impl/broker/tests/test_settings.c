/* pcp.md §17: configuration files, read from the simulated world's disk. */
#include "broker/settings.h"
#include "rig.h"

#include "base/mem.h"
#include <string.h>

#define AUTH "authorization { version: 1, rules: [] }\n"
#define WEB "webserver { ssl-cert: /c, ssl-key: /k, ssl-ca-cert: /a }\n"

static const char *env(void *ctx, const char *name) {
    (void)ctx;
    return str_eq(name, "ORCHESTRATOR") ? "orch.example.com" : NULL;
}

struct disk {
    struct sim *sim;
    struct world *world;
};

static struct disk disk_new(void) {
    struct disk d = {.sim = sim_new(&(struct sim_opts){.seed = 1})};
    d.world = sim_host(d.sim, "broker");
    assert_true(world_file_mkdir(d.world, "/etc/conf.d", 0755, true, NULL));
    return d;
}

static void put(struct disk *d, const char *path, const char *text) {
    assert_true(world_file_write(d->world, path, span_of(text), 0644, WORLD_WRITE_PLAIN, NULL));
}

static struct broker_settings *load(struct disk *d, const char *path, const char *line, struct error *err) {
    return broker_settings_load(d->world, &path, 1, line, env, NULL, err);
}

/* The settings of one file. */
static struct broker_settings *load_text(struct disk *d, const char *text) {
    struct error err = ERROR_INIT;
    put(d, "/etc/one.conf", text);
    struct broker_settings *s = load(d, "/etc/one.conf", NULL, &err);
    if (s == NULL) {
        fail_msg("%s", err.msg);
    }
    return s;
}

static void the_packaged_layout(void **state) {
    (void)state;
    struct disk d = disk_new();
    struct error err = ERROR_INIT;
    put(&d, "/etc/conf.d/auth.conf", AUTH);
    put(&d, "/etc/conf.d/global.conf", "global: { logging-config: /etc/logback.xml, certs: { ssl-ca-cert: /ca.pem } }");
    put(&d, "/etc/conf.d/metrics.conf", "metrics: { server-id: localhost }");
    put(&d, "/etc/conf.d/pcp-broker.conf",
        "pcp-broker: {\n  controller-uris: [\"wss://\"${ORCHESTRATOR}\":8143/server\"]\n  "
        "controller-disconnection-graceperiod: \"45s\"\n"
        "  controller-allowlist: [a, b]\n  max-connections: 5\n  max-message-size: 1048576\n  idle-timeout: 1000\n  "
        "crl-check-period: 2000\n"
        "  expired-conn-throttle: 3\n}\n");
    put(&d, "/etc/conf.d/webserver.conf",
        "webserver: { pcp-broker: { client-auth: want, ssl-host: 10.0.0.1, ssl-port: 8142, ssl-cert: /c.pem, ssl-key: "
        "/k.pem,"
        " ssl-cert-chain: /chain.pem, ssl-crl-path: /crl.pem, ssl-protocols: [TLSv1.2, TLSv1.1], "
        "idle-timeout-milliseconds: 4000,"
        " cipher-suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_RSA_WITH_AES_128_CBC_SHA256, "
        "TLS_AES_256_GCM_SHA384,"
        " TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256] }, other: { port: 1 } }");
    put(&d, "/etc/conf.d/web-routes.conf",
        "web-router-service: { \"puppetlabs.pcp.broker.service/broker-service\": { v1: { route: \"/pcp/v1.0\", server: "
        "\"pcp-broker\" },"
        " v2: { route: \"/pcp/v2.0\", server: \"pcp-broker\" } },"
        " \"puppetlabs.trapperkeeper.services.status.status-service/status-service\": { route: \"/health\", server: "
        "\"pcp-broker\" } }");
    put(&d, "/etc/conf.d/notes.txt", "not configuration {");
    struct broker_settings *s = load(&d, "/etc/conf.d", NULL, &err);
    if (s == NULL) {
        fail_msg("%s", err.msg);
    }
    const struct broker_config *c = &s->config;
    assert_int_equal(c->controller_count, 1);
    assert_string_equal(c->controller_uris[0], "wss://orch.example.com:8143/server");
    assert_int_equal(c->controller_allow_count, 2);
    assert_string_equal(c->controller_allowlist[1], "b");
    assert_int_equal(c->controller_grace_ms, 45000);
    assert_int_equal(c->connections_max, 5);
    assert_int_equal(c->message_max, 1048576);
    assert_int_equal(c->idle_timeout_ms, 1000);
    assert_int_equal(c->crl_check_period_ms, 2000);
    assert_int_equal(c->expired_throttle_ms, 3);
    assert_string_equal(c->host, "10.0.0.1");
    assert_int_equal(c->port, 8142);
    assert_int_equal(c->http_idle_timeout_ms, 4000);
    assert_string_equal(c->v1_route, "/pcp/v1.0");
    assert_string_equal(c->v2_route, "/pcp/v2.0");
    assert_string_equal(c->status_route, "/health");
    assert_string_equal(c->tls.cert, "/c.pem");
    assert_string_equal(c->tls.ca, "/ca.pem"); /* from global.certs */
    assert_string_equal(c->tls.chain, "/chain.pem");
    assert_string_equal(c->tls.crl, "/crl.pem");
    assert_int_equal(c->tls.client_auth, WORLD_CLIENT_AUTH_WANT);
    assert_string_equal(c->tls.protocols, "TLSv1.2");
    assert_string_equal(c->tls.ciphers, "ECDHE-RSA-AES256-GCM-SHA384:AES128-SHA256:ECDHE-RSA-CHACHA20-POLY1305");
    assert_int_equal(s->warning_count, 3); /* metrics, logging-config, TLSv1.1 */
    broker_settings_free(s);
    sim_free(d.sim);
}

static void defaults(void **state) {
    (void)state;
    struct disk d = disk_new();
    struct broker_settings *s = load_text(&d, WEB AUTH);
    assert_int_equal(s->config.port, 8142);
    assert_int_equal(s->config.tls.client_auth, WORLD_CLIENT_AUTH_NEED);
    assert_null(s->config.v1_route); /* the broker's own default */
    assert_null(s->config.v2_route);
    assert_int_equal(s->config.controller_count, 0);
    assert_int_equal(s->warning_count, 0);
    broker_settings_free(s);
    s = load_text(&d,
                  WEB AUTH "web-router-service { \"puppetlabs.pcp.broker.service/broker-service\" { v1: \"pcp/\" } }");
    assert_string_equal(s->config.v1_route, "/pcp");
    assert_string_equal(s->config.v2_route, ""); /* named routes without v2: version 1 only */
    broker_settings_free(s);
    sim_free(d.sim);
}

static void numbers_may_come_as_text_and_intervals_without_unit(void **state) {
    (void)state;
    struct disk d = disk_new();
    struct broker_settings *s =
        load_text(&d, WEB AUTH "pcp-broker { max-connections: \"7\", controller-disconnection-graceperiod: 3 }");
    assert_int_equal(s->config.connections_max, 7);
    assert_int_equal(s->config.controller_grace_ms, 3000);
    broker_settings_free(s);
    s = load_text(&d, WEB AUTH "pcp-broker { controller-disconnection-graceperiod: \"2m\" }");
    assert_int_equal(s->config.controller_grace_ms, 120000);
    broker_settings_free(s);
    sim_free(d.sim);
}

static void the_command_line_goes_over_the_files(void **state) {
    (void)state;
    struct disk d = disk_new();
    put(&d, "/etc/one.conf", "webserver { a { ssl-cert: /c, ssl-key: /k, ssl-ca-cert: /a, ssl-port: 1 } }\n" AUTH);
    struct broker_settings *s = load(&d, "/etc/one.conf", "webserver.ssl-port = 2\ndalang.queue-bytes = 5", NULL);
    assert_non_null(s);
    assert_int_equal(s->config.port, 2);
    assert_int_equal(s->config.queue_bytes_max, 5);
    broker_settings_free(s);
    s = broker_settings_load(d.world, NULL, 0, WEB AUTH, NULL, NULL, NULL);
    assert_non_null(s);
    broker_settings_free(s);
    sim_free(d.sim);
}

static void includes_stay_in_their_directory(void **state) {
    (void)state;
    struct disk d = disk_new();
    struct error err = ERROR_INIT;
    put(&d, "/etc/conf.d/auth.inc", AUTH);
    put(&d, "/etc/conf.d/a.conf", WEB "include \"auth.inc\"\ninclude \"absent.inc\"");
    struct broker_settings *s = load(&d, "/etc/conf.d", NULL, &err);
    assert_non_null(s);
    broker_settings_free(s);
    static const char *const outside[] = {"/etc/one.conf", "../one.conf", "..", "sub/x"};
    for (size_t i = 0; i < 4; i++) {
        char *text = str_printf(WEB "include \"%s\"", outside[i]);
        put(&d, "/etc/conf.d/a.conf", text);
        assert_null(load(&d, "/etc/conf.d", NULL, &err));
        assert_non_null(strstr(err.msg, "/etc/conf.d/a.conf:2:1: "));
        assert_non_null(strstr(err.msg, "includes must name a file in the same directory"));
        mem_free(text);
    }
    error_clear(&err);
    sim_free(d.sim);
}

static void unknown_keys_are_reported(void **state) {
    (void)state;
    struct disk d = disk_new();
    struct broker_settings *s =
        load_text(&d, WEB AUTH "pcp-broker {\n max-conections: 1\n controller-whitelist: [] }\nwebservers: {}\n");
    static const char *const want[] = {
        "/etc/one.conf:6:13: configuration: unknown key 'webservers' is ignored; did you mean webserver",
        "/etc/one.conf:4:18: pcp-broker: unknown key 'max-conections' is ignored; did you mean max-connections",
        ("/etc/one.conf:5:24: pcp-broker: 'controller-whitelist' is no longer read: it is called controller-allowlist "
         "now")};
    assert_int_equal(s->warning_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(s->warnings[i], want[i]);
    }
    broker_settings_free(s);
    sim_free(d.sim);
}

static void check_wrong(struct disk *d, const char *text, const char *message) {
    struct error err = ERROR_INIT;
    put(d, "/etc/one.conf", text);
    assert_null(load(d, "/etc/one.conf", NULL, &err));
    if (strstr(err.msg, message) == NULL) {
        fail_msg("%s", err.msg);
    }
    error_clear(&err);
}

static void wrong_settings_name_file_line_and_key(void **state) {
    (void)state;
    struct disk d = disk_new();
    check_wrong(&d, "a: {", "/etc/one.conf:1:5: ");
    check_wrong(&d, WEB, "authorization: there is no section 'authorization'");
    check_wrong(&d, AUTH, "there is no section 'webserver'");
    check_wrong(&d, AUTH "webserver: 1", "/etc/one.conf:2:12: webserver must be a map");
    check_wrong(&d, AUTH "webserver { ssl-cert: /c }", "webserver: 'ssl-key' is missing");
    check_wrong(&d, AUTH "webserver { a { ssl-cert: /c }, b { ssl-cert: /c } }",
                "none of the servers is the default-server");
    check_wrong(&d, AUTH "webserver { ssl-port: 70000 }",
                "/etc/one.conf:2:23: webserver: 'ssl-port' must be a number up to 65535");
    check_wrong(&d, AUTH "webserver { client-auth: maybe }",
                "/etc/one.conf:2:26: client-auth must be need, want or none");
    check_wrong(&d, AUTH "webserver { ssl-protocols: [SSLv3] }", "ssl-protocols must name TLSv1.2 or TLSv1.3");
    check_wrong(&d, WEB AUTH "pcp-broker: []", "/etc/one.conf:3:13: pcp-broker must be a map");
    check_wrong(&d, WEB AUTH "pcp-broker { max-connections: many }",
                "/etc/one.conf:3:31: pcp-broker: 'max-connections' must be a number");
    check_wrong(&d, WEB AUTH "pcp-broker { max-connections: -1 }", "'max-connections' must be a number");
    check_wrong(&d, WEB AUTH "pcp-broker { controller-uris: x }",
                "/etc/one.conf:3:31: pcp-broker: 'controller-uris' must be a list of strings");
    check_wrong(&d, WEB AUTH "pcp-broker { controller-allowlist: [1] }",
                "'controller-allowlist' must be a list of strings");
    check_wrong(&d, WEB AUTH "pcp-broker { controller-disconnection-graceperiod: 5x }",
                "must be an interval such as \"90s\" or \"5m\"");
    check_wrong(&d, WEB AUTH "dalang { replace-at-limit: 2 }", "'replace-at-limit' must be true or false");
    check_wrong(&d, WEB AUTH "web-router-service { \"puppetlabs.pcp.broker.service/broker-service\": \"/pcp\" }",
                "needs a map with the route 'v1'");
    check_wrong(&d, WEB AUTH "web-router-service { \"puppetlabs.pcp.broker.service/broker-service\" { v1: 1 } }",
                "'v1' must be a path or {route: path, server: name}");
    check_wrong(&d,
                AUTH "webserver { a { ssl-cert: /c } }\nweb-router-service { "
                     "\"puppetlabs.pcp.broker.service/broker-service\" { v1: { route: \"/p\", server: b } } }",
                "webserver has no server 'b'");
    struct error err = ERROR_INIT;
    assert_null(load(&d, "/etc/absent", NULL, &err));
    assert_true(error_is(&err, "world/not-found"));
    assert_null(load(&d, "/etc/conf.d", NULL, &err));
    assert_string_equal(err.msg, "/etc/conf.d: holds no *.conf files");
    error_clear(&err);
    sim_free(d.sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_packaged_layout),
        cmocka_unit_test(defaults),
        cmocka_unit_test(numbers_may_come_as_text_and_intervals_without_unit),
        cmocka_unit_test(the_command_line_goes_over_the_files),
        cmocka_unit_test(includes_stay_in_their_directory),
        cmocka_unit_test(unknown_keys_are_reported),
        cmocka_unit_test(wrong_settings_name_file_line_and_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
