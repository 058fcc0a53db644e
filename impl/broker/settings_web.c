/* The listener's settings: sections webserver (directly or as named servers), web-router-service and global.certs. */
#include "base/json.h"
#include "base/mem.h"
#include "broker/settings_read.h"
#include <string.h>

#define BROKER_SERVICE "puppetlabs.pcp.broker.service/broker-service"
#define STATUS_SERVICE "puppetlabs.trapperkeeper.services.status.status-service/status-service"
#define METRICS_SERVICE "puppetlabs.trapperkeeper.services.metrics.metrics-service/metrics-webservice"

struct web {
    const char *ssl_host, *cert, *key, *chain, *ca, *crl, *client_auth;
    struct setting_list protocols, ciphers;
    uint16_t port;
    uint64_t idle_ms;
    bool is_default;
};

static const char plain_note[] = "has no effect: the broker speaks TLS only, see ssl-host and ssl-port";

static const struct setting web_table[] = {
    {"ssl-host", SETTING_STRING, offsetof(struct web, ssl_host), NULL},
    {"ssl-port", SETTING_U16, offsetof(struct web, port), NULL},
    {"ssl-cert", SETTING_STRING, offsetof(struct web, cert), NULL},
    {"ssl-key", SETTING_STRING, offsetof(struct web, key), NULL},
    {"ssl-ca-cert", SETTING_STRING, offsetof(struct web, ca), NULL},
    {"ssl-cert-chain", SETTING_STRING, offsetof(struct web, chain), NULL},
    {"ssl-crl-path", SETTING_STRING, offsetof(struct web, crl), NULL},
    {"client-auth", SETTING_STRING, offsetof(struct web, client_auth), NULL},
    {"ssl-protocols", SETTING_LIST, offsetof(struct web, protocols), NULL},
    {"cipher-suites", SETTING_LIST, offsetof(struct web, ciphers), NULL},
    {"idle-timeout-milliseconds", SETTING_MS, offsetof(struct web, idle_ms), NULL},
    {"default-server", SETTING_BOOL, offsetof(struct web, is_default), NULL},
    {"host", SETTING_IGNORED, 0, plain_note},
    {"port", SETTING_IGNORED, 0, plain_note},
    {"access-log-config", SETTING_IGNORED, 0, "has no effect: see dalang.http-log-file"},
    {"max-threads", SETTING_IGNORED, 0, NULL},
    {"acceptor-threads", SETTING_IGNORED, 0, NULL},
    {"selector-threads", SETTING_IGNORED, 0, NULL},
    {"queue-max-size", SETTING_IGNORED, 0, NULL},
    {"shutdown-timeout-seconds", SETTING_IGNORED, 0, NULL},
    {"request-header-max-size", SETTING_IGNORED, 0, NULL},
    {NULL, 0, 0, NULL},
};

/* ---- routes */

/* A route is a string or {route, server}. *server is set when it names one. */
static bool read_route(struct settings_reader *r, const json_t *routes, const char *key, const char **route,
                       const char **server) {
    const json_t *value = json_object_get(routes, key);
    const char *text = json_is_object(value) ? json_str(value, "route") : json_string_value(value);
    if (value == NULL) {
        return true;
    }
    if (text == NULL) {
        return settings_fail(r, routes, key, "'%s' must be a path or {route: path, server: name}", key);
    }
    if (server != NULL && json_is_object(value) && json_str(value, "server") != NULL) {
        *server = json_str(value, "server");
    }
    struct span path = span_of(text);
    while (span_ends_with(path, "/")) {
        path = span_sub(path, 0, path.len - 1);
    }
    char *with_slash =
        path.len == 0 || path.ptr[0] == '/' ? span_dup(path) : str_printf("/%.*s", (int)path.len, path.ptr);
    *route = settings_keep(r->s, with_slash);
    return true;
}

static bool read_routes(struct settings_reader *r, const json_t *root, const char **server) {
    static const struct setting table[] = {{BROKER_SERVICE, SETTING_OBJECT, 0, NULL},
                                           {STATUS_SERVICE, SETTING_OBJECT, 0, NULL},
                                           {METRICS_SERVICE, SETTING_IGNORED, 0, NULL},
                                           {NULL, 0, 0, NULL}};
    struct broker_config *c = &r->s->config;
    const json_t *section = json_object_get(root, "web-router-service"), *routes;
    if (section == NULL) {
        return true;
    }
    if (!json_is_object(section)) {
        return settings_fail(r, root, "web-router-service", "web-router-service must be a map");
    }
    if (!settings_read(r, section, "web-router-service", table, NULL) ||
        !read_route(r, section, STATUS_SERVICE, &c->status_route, NULL)) {
        return false;
    }
    routes = json_object_get(section, BROKER_SERVICE);
    if (routes == NULL) {
        return true;
    }
    if (!json_is_object(routes) || json_object_get(routes, "v1") == NULL) {
        return settings_fail(r, section, BROKER_SERVICE, "%s needs a map with the route 'v1'", BROKER_SERVICE);
    }
    c->v2_route = ""; /* version 2 is optional: without a route it is not offered */
    return read_route(r, routes, "v1", &c->v1_route, server) && read_route(r, routes, "v2", &c->v2_route, server) &&
           read_route(r, routes, "metrics", &c->metrics_route, NULL);
}

/* ---- TLS */

/* Names as Java and IANA write them, to OpenSSL's: TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 ->
 * ECDHE-RSA-AES256-GCM-SHA384. Those of TLS 1.3 are not configurable there and are left out. */
static void append_cipher(struct buf *out, const char *name) {
    static const struct {
        const char *from, *to;
    } rules[] = {{"TLS_RSA_WITH_", ""},
                 {"TLS_", ""},
                 {"_WITH_", "-"},
                 {"AES_128", "AES128"},
                 {"AES_256", "AES256"},
                 {"_CBC", ""},
                 {"POLY1305_SHA256", "POLY1305"},
                 {"_", "-"}};
    if (span_starts_with(span_of(name), "TLS_") && strstr(name, "_WITH_") == NULL) {
        return;
    }
    buf_append_cstr(out, out->len != 0 ? ":" : "");
    bool iana = span_starts_with(span_of(name), "TLS_");
    while (*name != '\0') {
        size_t i = 0, count = iana ? sizeof rules / sizeof rules[0] : 0;
        while (i < count && strncmp(name, rules[i].from, strlen(rules[i].from)) != 0) {
            i++;
        }
        if (i < count) {
            buf_append_cstr(out, rules[i].to);
            name += strlen(rules[i].from);
        } else {
            buf_append_char(out, *name++);
        }
    }
}

static bool read_protocols(struct settings_reader *r, const json_t *object, const struct web *w,
                           struct world_tls_files *tls) {
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < w->protocols.count; i++) {
        const char *name = w->protocols.items[i];
        if (str_eq(name, "TLSv1.2") || str_eq(name, "TLSv1.3")) {
            buf_append_cstr(&out, out.len != 0 ? "," : "");
            buf_append_cstr(&out, name);
        } else {
            settings_warn(r, object, "ssl-protocols", "ssl-protocols: '%s' is not offered", name);
        }
    }
    if (w->protocols.count != 0 && out.len == 0) {
        buf_free(&out);
        return settings_fail(r, object, "ssl-protocols", "ssl-protocols must name TLSv1.2 or TLSv1.3");
    }
    tls->protocols = out.len != 0 ? settings_keep(r->s, buf_take(&out)) : NULL;
    buf_free(&out);
    return true;
}

static bool apply(struct settings_reader *r, const json_t *object, const struct web *w) {
    static const char *const auths[] = {
        [WORLD_CLIENT_AUTH_NEED] = "need", [WORLD_CLIENT_AUTH_WANT] = "want", [WORLD_CLIENT_AUTH_NONE] = "none"};
    struct broker_config *c = &r->s->config;
    const char *auth = w->client_auth != NULL ? w->client_auth : "need";
    int found = -1;
    for (int i = 0; i < 3; i++) {
        found = str_eq(auth, auths[i]) ? i : found;
    }
    if (found < 0) {
        return settings_fail(r, object, "client-auth", "client-auth must be need, want or none");
    }
    struct buf ciphers = BUF_INIT;
    for (size_t i = 0; i < w->ciphers.count; i++) {
        append_cipher(&ciphers, w->ciphers.items[i]);
    }
    c->tls = (struct world_tls_files){.cert = w->cert,
                                      .key = w->key,
                                      .chain = w->chain,
                                      .ca = w->ca,
                                      .crl = w->crl,
                                      .client_auth = (enum world_client_auth)found,
                                      .ciphers = ciphers.len != 0 ? settings_keep(r->s, buf_take(&ciphers)) : NULL};
    c->host = w->ssl_host;
    c->port = w->port;
    c->http_idle_timeout_ms = w->idle_ms;
    return read_protocols(r, object, w, &c->tls);
}

/* Does the section hold named servers instead of the settings themselves? */
static bool has_servers(const json_t *section) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)section, key, value) {
        if (json_is_object(value)) {
            return true;
        }
    }
    return false;
}

/* The server the routes name, else the default one, else the only one. */
static const char *choose_server(const json_t *section, const char *wanted) {
    const char *key, *chosen = NULL;
    json_t *value;
    size_t servers = 0;
    json_object_foreach((json_t *)section, key, value) {
        servers += json_is_object(value);
    }
    bool only = servers == 1;
    json_object_foreach((json_t *)section, key, value) {
        if (!json_is_object(value)) {
            continue;
        }
        if (wanted != NULL ? str_eq(key, wanted)
                           : json_bool(value, "default-server", false) || (chosen == NULL && only)) {
            chosen = key;
        }
    }
    return chosen;
}

/* Keys beside named servers (from the command line, say) count for the one that is used. */
static bool read_beside(struct settings_reader *r, const json_t *section, struct web *w) {
    json_t *plain = json_object(), *value;
    const char *key;
    json_object_foreach((json_t *)section, key, value) {
        if (!json_is_object(value)) {
            json_object_set(plain, key, value);
        }
    }
    bool ok = settings_read(r, plain, "webserver", web_table, w);
    json_decref(plain);
    return ok;
}

static bool read_named(struct settings_reader *r, const json_t *root, const char *wanted, struct web *w) {
    const json_t *section = json_object_get(root, "webserver");
    const char *name = choose_server(section, wanted);
    if (name == NULL && wanted != NULL) {
        return settings_fail(r, root, "webserver", "webserver has no server '%s'", wanted);
    }
    if (name == NULL) {
        return settings_fail(r, root, "webserver", "webserver: none of the servers is the default-server");
    }
    const json_t *object = json_object_get(section, name);
    return settings_read(r, object, "webserver", web_table, w) && read_beside(r, section, w) && apply(r, object, w);
}

static bool read_server(struct settings_reader *r, const json_t *root, const char *wanted, struct web *w) {
    const json_t *section = json_object_get(root, "webserver");
    if (section == NULL) {
        return settings_fail(r, root, "webserver", "there is no section 'webserver'");
    }
    if (!json_is_object(section)) {
        return settings_fail(r, root, "webserver", "webserver must be a map");
    }
    if (has_servers(section)) {
        return read_named(r, root, wanted, w);
    }
    return settings_read(r, section, "webserver", web_table, w) && apply(r, section, w);
}

bool settings_read_web(struct settings_reader *r, const json_t *root) {
    struct web w = {.port = 8142};
    const char *server = NULL;
    const json_t *certs = json_object_get(json_object_get(root, "global"), "certs");
    if (!read_routes(r, root, &server) || !read_server(r, root, server, &w)) {
        return false;
    }
    struct world_tls_files *tls = &r->s->config.tls;
    tls->cert = tls->cert != NULL ? tls->cert : json_str(certs, "ssl-cert");
    tls->key = tls->key != NULL ? tls->key : json_str(certs, "ssl-key");
    tls->ca = tls->ca != NULL ? tls->ca : json_str(certs, "ssl-ca-cert");
    const char *missing = tls->cert == NULL  ? "ssl-cert"
                          : tls->key == NULL ? "ssl-key"
                          : tls->ca == NULL  ? "ssl-ca-cert"
                                             : NULL;
    return missing == NULL || settings_fail(r, root, "webserver", "webserver: '%s' is missing", missing);
}
