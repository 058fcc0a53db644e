/* The broker under test: an address, or a command that is started with the configuration a case needs. The files are
 * those of the reference broker (pcp.md §17), so the same command line judges any broker that reads them. */
#include "scenarios/conformance/broker_side.h"
#include "base/mem.h"
#include "base/url.h"
#include "world/real.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { START_MS = 60000, RETRY_MS = 50, CONTROLLER_MS = 40000 };

#define ALLOW_ALL                                                                                                      \
    "{ name: all, sort-order: 500, match-request: { path: \"^/\", type: regex }, allow-unauthenticated: true }"
#define SEND "match-request: { path: \"/pcp-broker/send\", type: path, method: post, query-params: "

static const char rules_text[] =
    "{ name: associate, sort-order: 10, deny: [\"${c4}\"], allow: \"*\",\n"
    "  " SEND "{ message_type: [\"http://puppetlabs.com/associate_request\"] } } },\n"
    "{ name: inventory, sort-order: 20, deny: [\"${c2}\"], allow: \"*\",\n"
    "  " SEND "{ message_type: [\"http://puppetlabs.com/inventory_request\"] } } },\n"
    "{ name: sensitive, sort-order: 30, allow: [\"${c1}\"], " SEND "{ message_type: [\"sensitive\"] } } },\n"
    "{ name: closed, sort-order: 40, allow: [], " SEND "{ message_type: [\"closed\"] } } },\n"
    "{ name: to-three, sort-order: 50, deny: \"*\",\n"
    "  " SEND "{ target: [\"pcp://${c3}/agent\"], message_type: [\"narrow\"] } } },\n"
    "{ name: as-controller, sort-order: 60, deny: \"*\", " SEND "{ sender: [\"pcp://${c1}/controller\"] } } },\n"
    "{ name: rest, sort-order: 500, allow: \"*\", match-request: { path: \"/pcp-broker/send\", type: path } }";

static const struct {
    const char *name, *broker, *rules, *server;
    bool without_v2;
    const char *ours; /* what only our broker reads; for cases of the strict profile */
} fixtures[] = {
    {FIXTURE_ANY_CONFIG, "", ALLOW_ALL, "", false, ""},
    {FIXTURE_RULES, "", rules_text, "", false, ""},
    {FIXTURE_LIMITS, "max-connections: 3, max-message-size: 65536", ALLOW_ALL, "", false, ""},
    {FIXTURE_ONE, "max-connections: 1", ALLOW_ALL, "", false, ""},
    {FIXTURE_IDLE, "idle-timeout: 700", ALLOW_ALL, "", false, ""},
    {FIXTURE_V1_ONLY, "", ALLOW_ALL, "", true, ""},
    {FIXTURE_CRL, "crl-check-period: 50, expired-conn-throttle: 1", ALLOW_ALL, "ssl-crl-path: \"${crl}\"", false, ""},
    {FIXTURE_SPEC, "", rules_text, "", false,
     "dalang: { spec-version-error: true, spec-ttl-expired: true, spec-destination-report: true, "
     "spec-unauthorized: true }"},
    {FIXTURE_CONTROLLERS,
     "controller-uris: [\"wss://localhost:${k0}/server\", \"wss://localhost:${k1}/server\", "
     "\"wss://localhost:${k2}/server\"], "
     "controller-disconnection-graceperiod: \"1s\"",
     ALLOW_ALL, "", false, ""},
};

struct broker_side *broker_side(struct stage *s) {
    return s->side;
}

static void write_config(struct stage *s, const char *file, const char *text) {
    char *name = str_printf("config/%s", file), *filled = variables_fill(&s->vars, text);
    stage_file(s, name, "%s\n", filled);
    mem_free(name);
    mem_free(filled);
}

static void configure(struct stage *s, size_t n) {
    struct broker_side *side = s->side;
    for (int who = 1; who <= 5; who++) {
        name_of(s, who);
    }
    char *text = str_printf("webserver: { ssl-host: \"127.0.0.1\", ssl-port: %u, client-auth: want,\n"
                            " ssl-cert: \"${cert}\", ssl-key: \"${key}\", ssl-ca-cert: \"${ca}\"%s%s }",
                            side->port, fixtures[n].server[0] != '\0' ? ", " : "", fixtures[n].server);
    write_config(s, "webserver.conf", text);
    mem_free(text);
    write_config(s, "global.conf",
                 "global: { certs: { ssl-cert: \"${cert}\", ssl-key: \"${key}\", ssl-ca-cert: \"${ca}\" } }");
    text = str_printf("pcp-broker: { %s }", fixtures[n].broker);
    write_config(s, "pcp-broker.conf", text);
    mem_free(text);
    write_config(s, "dalang.conf", fixtures[n].ours);
    text = str_printf("authorization: { version: 1, rules: [\n%s ] }", fixtures[n].rules);
    write_config(s, "authorization.conf", text);
    mem_free(text);
    text = str_printf("web-router-service: {\n \"puppetlabs.pcp.broker.service/broker-service\": { v1: \"/pcp\"%s }\n"
                      " \"puppetlabs.trapperkeeper.services.status.status-service/status-service\": \"/status\"\n}",
                      fixtures[n].without_v2 ? "" : ", v2: \"/pcp2\"");
    write_config(s, "web-routes.conf", text);
    mem_free(text);
    mem_free(side->v2);
    side->v2 = fixtures[n].without_v2 ? NULL : str_dup("/pcp2");
}

/* ---- our controllers, which the broker dials */

static void controller_accepts(void *ctx, struct world_conn *c) {
    struct broker_side *side = ctx;
    struct link *l = link_accept(c, "ctl");
    l->version = 2;
    list_push_back(&side->dialled, &l->link);
}

void controller_listens(struct stage *s, int n, bool listens) {
    struct broker_side *side = s->side;
    if (side->controllers[n] != NULL && !listens) {
        world_listener_close(side->controllers[n]);
        side->controllers[n] = NULL;
    } else if (side->controllers[n] == NULL && listens) {
        struct world_listen opts = {
            .host = "127.0.0.1", .port = side->controller_ports[n], .tls = side->controller_tls};
        struct error err = ERROR_INIT;
        side->controllers[n] = world_listen(s->world, &opts, controller_accepts, side, &err);
        check(s, side->controllers[n] != NULL, "a port to listen on", "%s", err.msg);
    }
}

static bool begin_controllers(struct stage *s, struct error *err) {
    struct broker_side *side = s->side;
    struct world_tls_files files = {.cert = variables_get(&s->vars, "cert"),
                                    .key = variables_get(&s->vars, "key"),
                                    .ca = s->ca_path,
                                    .client_auth = WORLD_CLIENT_AUTH_NEED};
    side->controller_tls = world_tls_new(s->world, &files, err);
    for (int i = 0; i < 3; i++) {
        side->controller_ports[i] = side_free_port(s);
        char key[] = {'k', (char)('0' + i), '\0'};
        char *port = str_printf("%u", side->controller_ports[i]);
        variables_set(&s->vars, key, port);
        mem_free(port);
    }
    return side->controller_tls != NULL;
}

struct wanted_controller {
    struct broker_side *side;
    char *suffix;
    struct link *found;
};

static bool controller_is_there(void *ctx) {
    struct wanted_controller *w = ctx;
    LIST_EACH (k, &w->side->dialled) {
        struct link *l = LIST_ITEM(k, struct link, link);
        if (l->open && l->conn != NULL && span_ends_with(span_of(world_conn_local(l->conn)), w->suffix)) {
            w->found = l;
            return true;
        }
    }
    return false;
}

struct link *controller_connected(struct stage *s, int n) {
    struct broker_side *side = s->side;
    struct wanted_controller w = {side, str_printf(":%u", side->controller_ports[n]), NULL};
    w.suffix = (char *)(uintptr_t)keep_text(s, w.suffix);
    /* It backs off up to 15 s after attempts that failed (pcp.md §15). */
    uint64_t wait_ms = s->opts->patience_ms > CONTROLLER_MS ? s->opts->patience_ms : CONTROLLER_MS;
    check(s, waits_for(s, controller_is_there, &w, wait_ms), "the broker connects to its controller",
          "it did not within %llu ms: %s", (unsigned long long)wait_ms,
          side->program.log.len != 0 ? side->program.log.ptr : "no log");
    list_remove(&side->dialled, &w.found->link);
    list_push_back(&s->links, &w.found->link);
    w.found->uri = str_printf("pcp://localhost:%u/server", side->controller_ports[n]);
    expects(s, w.found, "open");
    return w.found;
}

static void forget_dialled(struct broker_side *side) {
    for (struct list_link *k; (k = list_pop_front(&side->dialled)) != NULL;) {
        link_free(LIST_ITEM(k, struct link, link));
    }
}

/* ---- starting */

static bool link_decided(void *ctx) {
    struct link *l = ctx;
    return !list_empty(&l->events);
}

/* Does a client get its 101? A broker that is up but waits for controllers answers 404: that is up too. */
static bool broker_answers(struct stage *s) {
    struct dial d = {.who = 5, .version = 1, .type = "starting"};
    struct link *l = dials(s, &d);
    waits_for(s, link_decided, l, s->opts->patience_ms);
    struct link_event *e = link_take(l);
    bool open = e != NULL && e->kind == LINK_OPEN, up = e != NULL && e->kind != LINK_END, over = !open;
    link_event_free(e);
    if (open) { /* its place is free again when the case begins */
        link_close(l, 1000, "");
    }
    while (!over && waits_for(s, link_decided, l, s->opts->patience_ms)) {
        e = link_take(l);
        over = e->kind == LINK_END;
        link_event_free(e);
    }
    list_remove(&s->links, &l->link);
    link_free(l);
    return up;
}

static bool never(void *ctx) {
    return ((struct program *)ctx)->ended;
}

static bool start(struct stage *s, size_t n, char **why) {
    struct broker_side *side = s->side;
    program_stop(&side->program, SIGTERM);
    forget_dialled(side);
    mem_free(side->fixture);
    side->fixture = NULL;
    side->stale = false;
    side->port = side_free_port(s);
    char *config = str_printf("%s/config", s->dir);
    world_file_mkdir(s->world, config, 0700, true, NULL);
    variables_set(&s->vars, "config", config);
    mem_free(config);
    configure(s, n);
    for (int i = 0; i < 3; i++) {
        controller_listens(s, i, strcmp(fixtures[n].name, FIXTURE_CONTROLLERS) == 0);
    }
    program_start(s, &side->program);
    uint64_t begun = world_now_us(s->world);
    while (!broker_answers(s)) {
        if (side->program.ended || world_now_us(s->world) - begun > START_MS * 1000) {
            *why = str_printf("the broker did not start with %s: %s", fixtures[n].name,
                              side->program.log.len != 0 ? side->program.log.ptr : "no output");
            s->failed = true;
            s->expected = str_dup("a broker that starts");
            s->got = *why;
            return false;
        }
        waits_for(s, never, &side->program, RETRY_MS);
    }
    side->fixture = str_dup(fixtures[n].name);
    return true;
}

static bool broker_fixture(struct stage *s, const char *fixture, char **why) {
    struct broker_side *side = s->side;
    if (s->opts->command == NULL) {
        if (fixture != NULL) {
            *why = str_printf("needs a broker configured for it (%s): give a command that starts one", fixture);
        }
        return fixture == NULL;
    }
    const char *wanted = fixture != NULL ? fixture : FIXTURE_ANY_CONFIG;
    if (!side->stale && !side->program.ended && side->fixture != NULL && strcmp(side->fixture, wanted) == 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof(fixtures) / sizeof(fixtures[0]); i++) {
        if (strcmp(fixtures[i].name, wanted) == 0) {
            bool ok = start(s, i, why);
            if (!ok && s->failed) {
                *why = NULL;
            }
            return ok;
        }
    }
    *why = str_printf("there is no configuration \"%s\"", wanted);
    return false;
}

static bool parse_target(struct stage *s, struct error *err) {
    struct broker_side *side = s->side;
    struct url u;
    if (!url_parse(s->opts->target, &u, err)) {
        return error_prefix(err, "--target");
    }
    bool secure = u.secure;
    side->host = str_dup(u.host);
    side->port = u.port;
    url_free(&u);
    return secure || error_set(err, "usage", "--target: a wss:// URL is needed, not %s", s->opts->target);
}

static bool broker_begin(struct stage *s, struct error *err) {
    struct broker_side *side = s->side = mem_zalloc(sizeof(*side));
    list_init(&side->dialled);
    side->program.s = s;
    variables_set(&s->vars, "pl", "http://puppetlabs.com/");
    if ((s->opts->target == NULL) == (s->opts->command == NULL)) {
        return error_set(err, "usage", "name the broker: --target wss://HOST:PORT, or -- COMMAND that starts one");
    }
    side->v1 = str_dup(s->opts->v1 != NULL ? s->opts->v1 : "/pcp");
    side->v2 =
        s->opts->v2 != NULL && s->opts->v2[0] == '\0' ? NULL : str_dup(s->opts->v2 != NULL ? s->opts->v2 : "/pcp2");
    if (!side_certificates(s, err)) {
        return false;
    }
    if (s->opts->command == NULL) {
        return parse_target(s, err);
    }
    if (s->ca == NULL) {
        return error_set(err, "usage",
                         "a broker is started with certificates made for it: give --ca-key too, or neither");
    }
    side->host = str_dup("localhost");
    char *crl = str_printf("%s/crl.pem", s->dir);
    variables_set(&s->vars, "crl", crl);
    mem_free(crl);
    if (!certs_dir_write_crl(s->ca, s->dir, world_wall_ms(s->world), err)) {
        return false;
    }
    return side_issue_files(s, "broker.example.com", "cert", "key", err) && begin_controllers(s, err);
}

static void broker_end(struct stage *s) {
    struct broker_side *side = s->side;
    program_stop(&side->program, SIGTERM);
    program_free(&side->program);
    forget_dialled(side);
    for (int i = 0; i < 3; i++) {
        if (side->controllers[i] != NULL) {
            world_listener_close(side->controllers[i]);
        }
    }
    if (side->controller_tls != NULL) {
        world_tls_free(side->controller_tls);
    }
    mem_free(side->fixture);
    mem_free(side->host);
    mem_free(side->v1);
    mem_free(side->v2);
    mem_free(side);
}

/* ---- clients */

struct link *dials(struct stage *s, const struct dial *d) {
    struct broker_side *side = s->side;
    int version = d->version != 0 ? d->version : s->version;
    const char *route = version == 1 ? side->v1 : side->v2;
    if (route == NULL) {
        skips(s, "the broker has no v2 route");
    }
    char *name = str_printf("c%d", d->who), *path, *uri, *host = str_printf("%s:%u", side->host, side->port);
    path = d->path != NULL ? str_dup(d->path)
                           : str_printf("%s%s%s", route, d->type != NULL ? "/" : "", d->type != NULL ? d->type : "");
    uri = str_printf("pcp://%s/%s", d->who != 0 ? name_of(s, d->who) : "", d->type != NULL ? d->type : "agent");
    struct link_connect opts = {.to = {.host = side->host,
                                       .port = side->port,
                                       .tls = s->tls,
                                       .credential = d->credential != NULL ? d->credential
                                                     : d->who != 0         ? credential_of(s, d->who)
                                                                           : NULL,
                                       .timeout_ms = s->opts->patience_ms},
                                .name = name,
                                .uri = uri,
                                .path = path,
                                .host = host,
                                .extra = d->extra,
                                .request = d->request,
                                .version = version};
    struct link *l = link_connect(s->world, &opts);
    list_push_back(&s->links, &l->link);
    notes(s, name, "connects to %s as %s", path, uri);
    real_credential_free(d->credential);
    mem_free(name);
    mem_free(path);
    mem_free(uri);
    mem_free(host);
    return l;
}

struct link *connects_v(struct stage *s, int version, int who, const char *type) {
    struct dial d = {.who = who, .version = version, .type = type};
    struct link *l = dials(s, &d);
    expects(s, l, "open");
    return l;
}

struct link *connects(struct stage *s, int who, const char *type) {
    return connects_v(s, s->version, who, type);
}

void leaves(struct stage *s, struct link *l) {
    notes(s, l->name, "closes 1000");
    link_close(l, 1000, "bye");
    expects(s, l, "close 1000*");
    expects(s, l, "end");
}

/* ---- what a broker's own rules leave to try */

#define INVENTORY_REQUEST "http://puppetlabs.com/inventory_request"

/* Asked once for each client: rules go by certificate. From another type of client, so that no case's connection is
 * superseded; it has left before the case goes on. */
static bool may_ask_inventory(struct stage *s, int who) {
    struct broker_side *side = s->side;
    if (!side->inventory_asked[who]) {
        side->inventory_asked[who] = true; /* the question itself passes */
        struct link *l = connects(s, who, "asking");
        say(s, l, "{'message_type': '" INVENTORY_REQUEST "', 'target': 'pcp:///server', 'data': {'query': []}}");
        json_t *answer = next_message(s, l), *data = json_object_get(answer, "data");
        const char *text = json_is_string(data) ? json_string_value(data) : json_str(data, "description");
        side->inventory_denied[who] = text != NULL && strcmp(text, "Message not authorized.") == 0;
        leaves(s, l);
    }
    return !side->inventory_denied[who];
}

/* The rules of a broker we have started are ours. What is said under another's name is refused before any rule. */
static const char *broker_forbids(struct stage *s, struct link *l, const json_t *message) {
    const char *type = json_str(message, "message_type"), *sender = json_str(message, "sender");
    if (s->opts->command != NULL || type == NULL || strcmp(type, INVENTORY_REQUEST) != 0 || l->name[0] != 'c') {
        return NULL;
    }
    int who = atoi(l->name + 1);
    if (who <= 0 || who >= WHO_MAX) {
        return NULL;
    }
    char *own = str_printf("pcp://%s/", name_of(s, who));
    bool others = sender != NULL && strncmp(sender, own, strlen(own)) != 0;
    mem_free(own);
    if (others || may_ask_inventory(s, who)) {
        return NULL;
    }
    return keep_text(s, str_printf("the broker's rules forbid inventory_request to %s", name_of(s, who)));
}

struct link *inventory_watcher(struct stage *s, int who, const char *query) {
    struct link *l = connects(s, who, "watcher");
    say(s, l,
        keep_text(s, str_printf("{'message_type': '${pl}inventory_request', 'target': 'pcp:///server',"
                                " 'data': {'query': [%s], 'subscribe': true}}",
                                query))); /* the case may end there */
    hears(s, l,
          "{'message_type': '${pl}inventory_response', 'target': '$any', 'in_reply_to': '${sent}',"
          " 'data': {'uris': ['$each', '$string']}}");
    return l;
}

const char *changes_until(struct stage *s, struct link *watcher, const char *last) {
    char *wanted = variables_fill(&s->vars, last);
    struct buf seen = BUF_INIT;
    bool found = false;
    while (!found) {
        json_t *m = next_message(s, watcher);
        json_t *changes = json_object_get(json_object_get(m, "data"), "changes");
        if (strcmp(json_str(m, "message_type") != NULL ? json_str(m, "message_type") : "",
                   "http://puppetlabs.com/inventory_update") != 0 ||
            json_array_size(changes) == 0) {
            buf_free(&seen);
            const char *got = keep_text(s, json_text(m));
            fails(s, keep_text(s, wanted), got);
        }
        for (size_t i = 0; i < json_array_size(changes); i++) {
            json_t *change = json_array_get(changes, i);
            struct buf one = BUF_INIT;
            buf_printf(&one, "%c%s", json_int(change, "change", 0) == 1 ? '+' : '-', json_str(change, "client"));
            found = found || strcmp(one.ptr, wanted) == 0;
            buf_printf(&seen, "%s%s", seen.len != 0 ? " " : "", one.ptr);
            buf_free(&one);
        }
    }
    mem_free(wanted);
    return keep_text(s, buf_take(&seen));
}

struct fetched {
    struct world_fetch *fetch;
    int status;
    struct buf body;
    char *error;
};

static void fetch_done(void *ctx, const struct world_response *r) {
    struct fetched *f = ctx;
    f->fetch = NULL;
    f->status = r->err != NULL ? -1 : r->status;
    f->error = r->err != NULL ? str_dup(r->err->msg) : NULL;
    buf_append_span(&f->body, r->body);
}

static bool fetch_is_done(void *ctx) {
    return ((struct fetched *)ctx)->fetch == NULL;
}

const char *http_get(struct stage *s, int who, const char *path, int *status) {
    struct broker_side *side = s->side;
    (void)who;
    char *url = str_printf("https://%s:%u%s", side->host, side->port, path);
    struct fetched f = {NULL, 0, BUF_INIT, NULL};
    struct world_fetch_opts opts = {.url = url, .tls = s->tls, .timeout_ms = s->opts->patience_ms};
    notes(s, "http", "> GET %s", path);
    f.fetch = world_fetch(s->world, &opts, fetch_done, &f);
    waits_for(s, fetch_is_done, &f, 2 * s->opts->patience_ms);
    mem_free(url);
    const char *body = keep_text(s, buf_take(&f.body));
    notes(s, "http", "< %d %s%s", f.status, f.error != NULL ? f.error : "", body);
    mem_free(f.error);
    *status = f.status;
    return body;
}

static const struct conform_case *const tables[] = {
    broker_http_cases,    broker_tls_cases,      broker_frame_cases,      broker_codec_cases,
    broker_session_cases, broker_delivery_cases, broker_inventory_cases,  broker_rule_cases,
    broker_limit_cases,   broker_life_cases,     broker_controller_cases, broker_option_cases,
};

const struct conform_suite conform_broker = {
    "broker",   tables,         sizeof(tables) / sizeof(tables[0]), false, broker_begin, broker_fixture,
    broker_end, broker_forbids,
};
