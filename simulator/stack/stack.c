/* See stack.h. Parts are made in the order in which they are needed and ended in the reverse one. */
#include "simulator/stack/stack.h"

#include "base/digest.h"
#include "base/mem.h"
#include "fakes/activity/activity.h"
#include "fakes/classifier/classifier.h"
#include "fakes/neighbours.h"
#include "fakes/puppetdb/puppetdb.h"
#include "fakes/puppetserver/puppetserver.h"
#include "fakes/rbac/rbac.h"
#include "orchestrator/brokers/brokers.h"
#include "orchestrator/jobs/engine.h"
#include <string.h>

enum { STOP_DRAIN_MS = 2000 };

struct broker_part {
    char name[32];
    struct broker *broker; /* NULL while it is down */
    uint16_t port;
    char *url;
};

struct stack {
    struct stack_opts opts;
    struct logger broker_log, broker_access, orchestrator_log, fakes_log;
    struct fake_rbac *rbac;
    struct fake_classifier *classifier;
    struct fake_activity *activity;
    struct fake_puppetdb *puppetdb;
    struct fake_puppetserver *puppetserver;
    struct fake_neighbours neighbours; /* what agents hand in goes to PuppetDB, as the terminus would send it */
    struct fake_host *console_host, *puppetdb_host, *puppetserver_host;
    struct world_tls *console_tls, *puppetdb_tls, *puppetserver_tls;
    char *console_url, *puppetdb_url, *puppetserver_url;
    struct broker_part brokers[STACK_BROKERS_MAX];
    size_t broker_count;
    struct orchestrator *orchestrator; /* NULL while it is down */
    uint16_t orchestrator_port;
    char *orchestrator_url;
    char *rbac_api, *classifier_api, *activity_api, *database; /* strings of its configuration */
    char *token, *password;
    unsigned stopping; /* parts that still end */
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

/* ---- names, ports, certificates */

static struct world *world_of(const struct stack *s, const char *component) {
    return s->opts.env.world_of(s->opts.env.ctx, component);
}

static uint16_t port_of(const struct stack *s, const char *component) {
    static const struct {
        const char *component;
        uint16_t offset, product;
    } ports[] = {
        {"broker-1", STACK_PORT_BROKER, 8142},           {"orchestrator", STACK_PORT_ORCHESTRATOR, 8143},
        {"console", STACK_PORT_CONSOLE, 4433},           {"puppetdb", STACK_PORT_PUPPETDB, 8081},
        {"puppetserver", STACK_PORT_PUPPETSERVER, 8140},
    };
    bool replaced = (s->opts.puppetdb_url != NULL && strcmp(component, "puppetdb") == 0) ||
                    (s->opts.puppetserver_url != NULL && strcmp(component, "puppetserver") == 0);
    if (s->opts.port_base == 0 || replaced) { /* the real one may have the product's port on this machine */
        return 0;
    }
    bool product = s->opts.port_base == STACK_PRODUCT_PORTS;
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        if (strcmp(component, ports[i].component) == 0) {
            return product ? ports[i].product : (uint16_t)(s->opts.port_base + ports[i].offset);
        }
    }
    uint64_t number = 2; /* broker-2 … */
    span_to_u64(span_of(component + strlen("broker-")), &number);
    return product ? (uint16_t)(8142 + 100 * (number - 1))
                   : (uint16_t)(s->opts.port_base + STACK_PORT_PUPPETSERVER + number - 1);
}

static struct world_tls *tls_of(const struct stack *s, const char *component, enum world_client_auth client_auth,
                                struct error *err) {
    struct world_tls_files files = {0};
    if (!s->opts.env.tls_of(s->opts.env.ctx, component, &files, err)) {
        return NULL;
    }
    files.client_auth = client_auth;
    return world_tls_new(world_of(s, component), &files, err);
}

static char *url_of(const struct stack *s, const char *scheme, const char *component, uint16_t port) {
    return str_printf("%s://%s:%u", scheme, s->opts.env.address_of(s->opts.env.ctx, component), port);
}

static struct logger logger_named(const struct stack *s, const char *name) {
    struct logger log = s->opts.log != NULL ? *s->opts.log : (struct logger){.level = LOG_OFF};
    log.name = name;
    return log;
}

/* ---- state of the fakes: what was given, completed with what the stack itself needs */

/* Adds names to the array at obj[key], making it when it is not there. */
static void add_names(json_t *obj, const char *key, const char *const *names, size_t count) {
    json_t *list = json_object_get(obj, key);
    if (!json_is_array(list)) {
        list = json_array();
        json_set(obj, key, list);
    }
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, json_string(names[i]));
    }
}

static const char *const trusted_names[] = {"orchestrator", "client", "console", "puppetserver", "puppetdb"};
enum { TRUSTED_COUNT = sizeof(trusted_names) / sizeof(trusted_names[0]) };

static json_t *state_of(const struct stack *s, const char *service) {
    json_t *given = json_object_get(s->opts.state, service);
    return given != NULL ? json_deep_copy(given) : json_object();
}

static json_t *rbac_state(struct stack *s) {
    json_t *state = state_of(s, "rbac");
    add_names(state, "allowlist", trusted_names, TRUSTED_COUNT);
    json_t *users = json_object_get(state, "users");
    if (!json_is_array(users)) {
        users = json_array();
        json_set(state, "users", users);
    }
    size_t i;
    json_t *user;
    json_array_foreach(users, i, user) {
        if (str_eq(json_str(user, "login"), "admin")) {
            return state; /* the state file says who admin is */
        }
    }
    json_array_append_new(users,
                          json_pack("{s:s, s:s, s:b}", "login", "admin", "password", s->password, "superuser", 1));
    return state;
}

static json_t *puppetserver_state(const struct stack *s) {
    json_t *state = state_of(s, "puppetserver");
    json_t *environments = json_object_get(state, "environments");
    if (!json_is_object(environments)) {
        environments = json_object();
        json_set(state, "environments", environments);
    }
    if (s->opts.modules != NULL && json_object_get(environments, "production") == NULL) {
        json_set(environments, "production", json_pack("{s:[s]}", "modulepath", s->opts.modules));
    }
    json_t *auth = json_object_get(state, "auth");
    if (!json_is_object(auth)) {
        auth = json_object();
        json_set(state, "auth", auth);
    }
    add_names(auth, "orchestrator", trusted_names, TRUSTED_COUNT);
    return state;
}

/* ---- the fakes */

static struct fake_host *host_fakes(struct stack *s, const char *component, struct world_tls *tls,
                                    struct fake *const *fakes, size_t count, struct error *err) {
    struct fake_host_opts opts = {
        .listen = {.host = s->opts.listen_host, .port = port_of(s, component), .tls = tls},
        .fakes = fakes,
        .fake_count = count,
        .log = &s->fakes_log,
    };
    struct fake_host *host = fake_host_new(world_of(s, component), &opts, err);
    if (host == NULL) {
        error_prefix(err, "%s", component);
    }
    return host;
}

static bool start_console(struct stack *s, struct error *err) {
    struct world *w = world_of(s, "console");
    json_t *rbac = rbac_state(s), *classifier = state_of(s, "classifier"), *activity = state_of(s, "activity");
    struct fake_classifier_opts classifier_opts = {.state = classifier,
                                                   .log = &s->fakes_log,
                                                   .classes_of = fake_neighbours_classes,
                                                   .nodes_of = fake_neighbours_nodes,
                                                   .ctx = &s->neighbours};
    s->rbac = fake_rbac_new(w, &(struct fake_rbac_opts){.state = rbac, .log = &s->fakes_log}, err);
    s->classifier = s->rbac == NULL ? NULL : fake_classifier_new(w, &classifier_opts, err);
    s->activity =
        s->classifier == NULL
            ? NULL
            : fake_activity_new(w, &(struct fake_activity_opts){.state = activity, .log = &s->fakes_log}, err);
    json_decref(rbac);
    json_decref(classifier);
    json_decref(activity);
    if (s->activity == NULL) {
        return false;
    }
    fake_classifier_join_rbac(s->classifier, s->rbac);
    struct fake *fakes[] = {fake_rbac_base(s->rbac), fake_classifier_base(s->classifier),
                            fake_activity_base(s->activity)};
    s->console_tls = tls_of(s, "console", WORLD_CLIENT_AUTH_WANT, err);
    s->console_host = s->console_tls != NULL ? host_fakes(s, "console", s->console_tls, fakes, 3, err) : NULL;
    if (s->console_host == NULL) {
        return false;
    }
    s->console_url = url_of(s, "https", "console", fake_host_port(s->console_host));
    s->token = fake_rbac_issue_token(s->rbac, "admin", 0, err);
    return s->token != NULL;
}

static bool start_puppetdb(struct stack *s, struct error *err) {
    json_t *state = state_of(s, "puppetdb");
    struct fake_puppetdb_opts opts = {
        .state = state, .log = &s->fakes_log, .token_permits = fake_rbac_token_permits, .token_ctx = s->rbac};
    s->puppetdb = fake_puppetdb_new(world_of(s, "puppetdb"), &opts, err);
    s->neighbours = (struct fake_neighbours){.puppetdb = s->puppetdb, .log = &s->fakes_log};
    json_decref(state);
    s->puppetdb_tls = s->puppetdb != NULL ? tls_of(s, "puppetdb", WORLD_CLIENT_AUTH_WANT, err) : NULL;
    if (s->puppetdb_tls == NULL) {
        return false;
    }
    struct fake *fakes[] = {fake_puppetdb_base(s->puppetdb)};
    s->puppetdb_host = host_fakes(s, "puppetdb", s->puppetdb_tls, fakes, 1, err);
    if (s->puppetdb_host == NULL) {
        return false;
    }
    s->puppetdb_url = url_of(s, "https", "puppetdb", fake_host_port(s->puppetdb_host));
    return true;
}

static bool start_puppetserver(struct stack *s, struct error *err) {
    json_t *state = puppetserver_state(s);
    struct fake_puppetserver_opts opts = {.state = state,
                                          .log = &s->fakes_log,
                                          .submit = fake_neighbours_submit,
                                          .submit_ctx = &s->neighbours,
                                          .query = fake_neighbours_query,
                                          .query_ctx = &s->neighbours};
    s->puppetserver = fake_puppetserver_new(world_of(s, "puppetserver"), &opts, err);
    s->neighbours.puppetserver = s->puppetserver;
    json_decref(state);
    s->puppetserver_tls = s->puppetserver != NULL ? tls_of(s, "puppetserver", WORLD_CLIENT_AUTH_WANT, err) : NULL;
    if (s->puppetserver_tls == NULL) {
        return false;
    }
    struct fake *fakes[] = {fake_puppetserver_base(s->puppetserver)};
    s->puppetserver_host = host_fakes(s, "puppetserver", s->puppetserver_tls, fakes, 1, err);
    if (s->puppetserver_host == NULL) {
        return false;
    }
    s->puppetserver_url = url_of(s, "https", "puppetserver", fake_host_port(s->puppetserver_host));
    return true;
}

/* ---- brokers */

/* Requests and inventories are the orchestrator's (and "client"'s, for people); agents answer. */
static const char broker_rules[] =
    "authorization: {\n"
    "  version: 1\n"
    "  rules: [\n"
    "    {\n"
    "      name: \"requests and inventory\"\n"
    "      sort-order: 400\n"
    "      match-request: { path: \"/pcp-broker/send\", type: path, query-params: { message_type: [\n"
    "        \"http://puppetlabs.com/rpc_blocking_request\", \"http://puppetlabs.com/rpc_non_blocking_request\",\n"
    "        \"http://puppetlabs.com/inventory_request\" ] } }\n"
    "      allow: [ orchestrator, client ]\n"
    "    }\n"
    "    {\n"
    "      name: \"what every agent needs\"\n"
    "      sort-order: 420\n"
    "      match-request: { path: \"/pcp-broker/send\", type: path }\n"
    "      allow: \"*\"\n"
    "    }\n"
    "  ]\n"
    "}\n";

static struct rules *make_rules(struct error *err) {
    struct hocon *h = hocon_new(NULL);
    struct rules *rules = NULL;
    if (hocon_add(h, "broker rules", span_of(broker_rules), err) && hocon_resolve(h, err)) {
        rules = rules_load(h, false, err);
    }
    hocon_free(h);
    return rules;
}

static bool start_broker(struct stack *s, size_t index, struct error *err) {
    struct broker_part *part = &s->brokers[index];
    struct broker_config config = {.host = s->opts.listen_host,
                                   .port = part->port != 0 ? part->port : port_of(s, part->name)};
    if (!s->opts.env.tls_of(s->opts.env.ctx, part->name, &config.tls, err)) {
        return false;
    }
    config.tls.client_auth = WORLD_CLIENT_AUTH_WANT;
    if (s->opts.configure_broker != NULL) {
        s->opts.configure_broker(s->opts.configure_ctx, index, &config);
    }
    struct rules *rules = make_rules(err);
    if (rules == NULL) {
        return false;
    }
    struct broker_loggers loggers = {.main = &s->broker_log, .access = &s->broker_access, .http = NULL};
    part->broker = broker_new(world_of(s, part->name), &config, &loggers, rules, err);
    if (part->broker == NULL) {
        return error_prefix(err, "%s", part->name);
    }
    part->port = broker_port(part->broker);
    if (part->url == NULL) {
        part->url = url_of(s, "wss", part->name, part->port);
    }
    broker_start(part->broker);
    return true;
}

static bool start_brokers(struct stack *s, struct error *err) {
    s->broker_count = s->opts.brokers != 0 ? s->opts.brokers : 1;
    for (size_t i = 0; i < s->broker_count; i++) {
        snprintf(s->brokers[i].name, sizeof(s->brokers[i].name), "broker-%zu", i + 1);
        if (!start_broker(s, i, err)) {
            return false;
        }
    }
    return true;
}

/* ---- the orchestrator */

static bool start_orchestrator(struct stack *s, struct error *err) {
    struct orchestrator_config config;
    orchestrator_config_defaults(&config);
    config.host = s->opts.listen_host;
    config.port = s->orchestrator_port != 0 ? s->orchestrator_port : port_of(s, "orchestrator");
    if (!s->opts.env.tls_of(s->opts.env.ctx, "orchestrator", &config.tls, err)) {
        return false;
    }
    config.tls.client_auth = WORLD_CLIENT_AUTH_WANT;
    config.database = s->database;
    for (size_t i = 0; i < s->broker_count; i++) {
        config.brokers[config.broker_count++] = s->brokers[i].url;
    }
    config.rbac_url = s->opts.rbac_url != NULL ? s->opts.rbac_url : s->rbac_api;
    config.classifier_url = s->opts.classifier_url != NULL ? s->opts.classifier_url : s->classifier_api;
    config.activity_url = s->opts.rbac_url != NULL ? NULL : s->activity_api;
    config.puppetdb_url = s->opts.puppetdb_url != NULL ? s->opts.puppetdb_url : s->puppetdb_url;
    config.puppet_server_url = s->opts.puppetserver_url != NULL ? s->opts.puppetserver_url : s->puppetserver_url;
    config.certificate_allowlist[config.allowed_count++] = "client";
    if (s->opts.configure_orchestrator != NULL) {
        s->opts.configure_orchestrator(s->opts.configure_ctx, &config);
    }
    s->orchestrator = orchestrator_new(world_of(s, "orchestrator"), &config, &s->orchestrator_log, err);
    if (s->orchestrator == NULL || !orchestrator_start(s->orchestrator, err)) {
        stack_kill(s, "orchestrator"); /* stack_revive() may try again */
        return error_prefix(err, "orchestrator");
    }
    s->orchestrator_port = orchestrator_port(s->orchestrator);
    if (s->orchestrator_url == NULL) {
        s->orchestrator_url = url_of(s, "https", "orchestrator", s->orchestrator_port);
    }
    return true;
}

struct stack *stack_new(const struct stack_opts *opts, struct error *err) {
    struct stack *s = mem_zalloc(sizeof(*s));
    s->opts = *opts;
    s->broker_log = logger_named(s, "broker");
    s->broker_access = logger_named(s, "broker.access");
    s->orchestrator_log = logger_named(s, "orchestrator");
    s->fakes_log = logger_named(s, "fakes");
    if (opts->admin_password != NULL) {
        s->password = str_dup(opts->admin_password);
    } else {
        uint8_t random[12];
        world_random(world_of(s, "console"), random, sizeof(random));
        struct buf text = BUF_INIT;
        hex_encode(&text, span_bytes(random, sizeof(random)));
        s->password = buf_take(&text);
    }
    s->database = str_printf("%s/orchestrator.sqlite", opts->dir);
    bool ok = start_console(s, err) && start_puppetdb(s, err) && start_puppetserver(s, err) && start_brokers(s, err);
    if (ok) {
        s->rbac_api = str_printf("%s/rbac-api", s->console_url);
        s->classifier_api = str_printf("%s/classifier-api", s->console_url);
        s->activity_api = str_printf("%s/activity-api", s->console_url);
        ok = start_orchestrator(s, err);
    }
    if (!ok) {
        stack_free(s);
        return NULL;
    }
    return s;
}

/* ---- the end */

static void free_parts(struct stack *s) {
    fake_puppetserver_free(s->puppetserver);
    fake_puppetdb_free(s->puppetdb);
    fake_activity_free(s->activity);
    fake_rbac_free(s->rbac);
    fake_classifier_free(s->classifier);
    world_tls_free(s->console_tls);
    world_tls_free(s->puppetdb_tls);
    world_tls_free(s->puppetserver_tls);
    for (size_t i = 0; i < STACK_BROKERS_MAX; i++) {
        mem_free(s->brokers[i].url);
    }
    char *texts[] = {s->console_url, s->puppetdb_url,   s->puppetserver_url, s->orchestrator_url,
                     s->rbac_api,    s->classifier_api, s->activity_api,     s->database};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        mem_free(texts[i]);
    }
    if (s->token != NULL) {
        mem_free_secret(s->token, strlen(s->token));
    }
    if (s->password != NULL) {
        mem_free_secret(s->password, strlen(s->password));
    }
    mem_free(s);
}

static void close_host(struct fake_host **host, void (*done)(void *ctx), void *ctx) {
    if (*host != NULL) {
        fake_host_close(*host, 0, done, ctx);
        *host = NULL;
    }
}

void stack_free(struct stack *s) {
    if (s == NULL) {
        return;
    }
    if (s->orchestrator != NULL) {
        orchestrator_free(s->orchestrator);
    }
    for (size_t i = 0; i < s->broker_count; i++) {
        if (s->brokers[i].broker != NULL) {
            broker_free(s->brokers[i].broker);
        }
    }
    fake_host_free(s->puppetserver_host);
    fake_host_free(s->puppetdb_host);
    fake_host_free(s->console_host);
    free_parts(s);
}

static void part_stopped(void *ctx) {
    struct stack *s = ctx;
    if (--s->stopping > 0) {
        return;
    }
    void (*stopped)(void *) = s->stopped;
    void *stopped_ctx = s->stopped_ctx;
    free_parts(s);
    if (stopped != NULL) {
        stopped(stopped_ctx);
    }
}

static void stop_rest(void *ctx) {
    struct stack *s = ctx;
    if (s->orchestrator != NULL) {
        orchestrator_free(s->orchestrator);
        s->orchestrator = NULL;
    }
    s->stopping = 1; /* this function itself */
    for (size_t i = 0; i < s->broker_count; i++) {
        if (s->brokers[i].broker != NULL) {
            s->stopping++;
            broker_stop(s->brokers[i].broker, STOP_DRAIN_MS, part_stopped, s);
            s->brokers[i].broker = NULL;
        }
    }
    struct fake_host **hosts[] = {&s->puppetserver_host, &s->puppetdb_host, &s->console_host};
    for (size_t i = 0; i < 3; i++) {
        if (*hosts[i] != NULL) {
            s->stopping++;
            close_host(hosts[i], part_stopped, s);
        }
    }
    part_stopped(s);
}

void stack_stop(struct stack *s, void (*done)(void *ctx), void *ctx) {
    s->stopped = done;
    s->stopped_ctx = ctx;
    if (s->orchestrator != NULL) {
        orchestrator_stop(s->orchestrator, 0, stop_rest, s);
    } else {
        stop_rest(s);
    }
}

/* ---- questions */

bool stack_ready(const struct stack *s) {
    if (s->orchestrator == NULL) {
        return false;
    }
    const struct orchestrator_parts *parts = orchestrator_parts(s->orchestrator);
    return engine_ready(parts->engine) && brokers_open_count(parts->brokers) == s->broker_count;
}

size_t stack_connected_agents(const struct stack *s) {
    return s->orchestrator == NULL ? 0 : brokers_node_count(orchestrator_parts(s->orchestrator)->brokers);
}

static const struct broker_part *broker_named(const struct stack *s, const char *component) {
    for (size_t i = 0; i < s->broker_count; i++) {
        if (strcmp(s->brokers[i].name, component) == 0) {
            return &s->brokers[i];
        }
    }
    return NULL;
}

const char *stack_url(const struct stack *s, const char *component) {
    const struct broker_part *broker = broker_named(s, component);
    return broker != NULL                           ? broker->url
           : strcmp(component, "orchestrator") == 0 ? s->orchestrator_url
           : strcmp(component, "console") == 0      ? s->console_url
           : strcmp(component, "puppetdb") == 0     ? s->puppetdb_url
           : strcmp(component, "puppetserver") == 0 ? s->puppetserver_url
                                                    : NULL;
}

uint16_t stack_port(const struct stack *s, const char *component) {
    const char *url = stack_url(s, component);
    uint64_t port = 0;
    if (url != NULL) {
        span_to_u64(span_of(strrchr(url, ':') + 1), &port);
    }
    return (uint16_t)port;
}

const char *stack_admin_token(const struct stack *s) {
    return s->token;
}

const char *stack_admin_password(const struct stack *s) {
    return s->password;
}

struct orchestrator *stack_orchestrator(const struct stack *s) {
    return s->orchestrator;
}

struct broker *stack_broker(const struct stack *s, size_t index) {
    return index < s->broker_count ? s->brokers[index].broker : NULL;
}

struct fake_puppetdb *stack_puppetdb(const struct stack *s) {
    return s->puppetdb;
}

struct fake_puppetserver *stack_puppetserver(const struct stack *s) {
    return s->puppetserver;
}

struct fake_rbac *stack_rbac(const struct stack *s) {
    return s->rbac;
}

/* ---- faults of services */

bool stack_service_fault(struct stack *s, const char *service, const json_t *fault, struct error *err) {
    const struct {
        const char *name;
        struct fake_host *host;
        const char *path;
    } services[] = {{"rbac", s->console_host, "/rbac-api/*"},
                    {"classifier", s->console_host, "/classifier-api/*"},
                    {"activity", s->console_host, "/activity-api/*"},
                    {"console", s->console_host, "*"},
                    {"puppetdb", s->puppetdb_host, "*"},
                    {"puppetserver", s->puppetserver_host, "*"}};
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        if (strcmp(services[i].name, service) != 0) {
            continue;
        }
        if (fault == NULL) {
            fake_host_clear_faults(services[i].host);
            return true;
        }
        json_t *body = json_copy((json_t *)(uintptr_t)fault);
        if (json_object_get(body, "path") == NULL) {
            json_set(body, "path", json_string(services[i].path));
        }
        bool ok = fake_host_add_fault(services[i].host, body, err);
        json_decref(body);
        return ok;
    }
    return error_set(err, "usage",
                     "service.name: %s is none of rbac, classifier, activity, console, puppetdb, puppetserver",
                     service);
}

bool stack_reload_tls(struct stack *s, struct error *err) {
    for (size_t i = 0; i < s->broker_count; i++) {
        struct broker *b = stack_broker(s, i);
        if (b != NULL && !broker_reload_tls(b, err)) {
            return false;
        }
    }
    return s->orchestrator == NULL || orchestrator_reload(s->orchestrator, err);
}

/* ---- crash and return */

void stack_kill(struct stack *s, const char *component) {
    struct broker_part *broker = (struct broker_part *)(uintptr_t)broker_named(s, component);
    if (broker != NULL && broker->broker != NULL) {
        broker_free(broker->broker);
        broker->broker = NULL;
    } else if (strcmp(component, "orchestrator") == 0 && s->orchestrator != NULL) {
        orchestrator_free(s->orchestrator);
        s->orchestrator = NULL;
    }
}

bool stack_revive(struct stack *s, const char *component, struct error *err) {
    const struct broker_part *broker = broker_named(s, component);
    if (broker != NULL) {
        return broker->broker != NULL || start_broker(s, (size_t)(broker - s->brokers), err);
    }
    if (strcmp(component, "orchestrator") == 0) {
        return s->orchestrator != NULL || start_orchestrator(s, err);
    }
    return error_set(err, "usage", "%s cannot be restarted; only brokers and the orchestrator can", component);
}
