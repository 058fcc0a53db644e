/* See local.h. */
#include "simulator/stack/local_internal.h"

#include "base/json.h"
#include "base/mem.h"
#include "fakes/puppetdb/puppetdb.h"
#include "simulator/fleet/fleet_name.h"
#include "simulator/fleet/reports.h"
#include "simulator/stack/facts.h"
#include <string.h>

static const char *const components[LOCAL_COMPONENTS] = {"orchestrator", "console", "puppetdb", "puppetserver",
                                                         "client"};
enum { LOCAL_UPDATE_MS = 100 };

/* ---- certificates */

static bool issue_files(struct local *l, const char *component, struct error *err) {
    struct files *f = &l->files[l->file_count++];
    f->component = str_dup(component);
    f->cert = str_printf("%s/certs/%s.pem", l->opts.dir, component);
    f->key = str_printf("%s/certs/%s.key", l->opts.dir, component);
    struct world_stat st;
    if (world_file_stat(l->opts.world, f->cert, &st, NULL) && world_file_stat(l->opts.world, f->key, &st, NULL)) {
        return true; /* an earlier run's */
    }
    const char *const dns[] = {component, "localhost", NULL};
    const char *const ip[] = {"127.0.0.1", l->opts.listen_host, NULL};
    struct certs_issue what = {.common_name = span_of(component),
                               .dns_names = dns,
                               .ip_addresses = ip,
                               .now_ms = world_wall_ms(l->opts.world)};
    struct certs_paths paths = {NULL, NULL};
    bool ok = certs_dir_issue(l->ca, l->opts.dir, &what, &paths, err);
    certs_paths_free(&paths);
    return ok;
}

static bool make_certificates(struct local *l, struct error *err) {
    struct certs_ca_opts opts = {.now_ms = world_wall_ms(l->opts.world)};
    l->ca = certs_dir_open(l->opts.dir, &opts, err);
    if (l->ca == NULL || !certs_dir_write_crl(l->ca, l->opts.dir, opts.now_ms, err)) {
        return false;
    }
    l->ca_path = str_printf("%s/ca.pem", l->opts.dir);
    l->crl_path = str_printf("%s/crl.pem", l->opts.dir);
    for (size_t i = 0; i < LOCAL_COMPONENTS; i++) {
        if (!issue_files(l, components[i], err)) {
            return false;
        }
    }
    for (size_t i = 0; i < l->opts.brokers; i++) {
        char name[32];
        snprintf(name, sizeof(name), "broker-%zu", i + 1);
        if (!issue_files(l, name, err)) {
            return false;
        }
    }
    return true;
}

/* ---- what differs from the simulated world */

static struct world *world_of(void *ctx, const char *component) {
    const struct local *l = ctx;
    return l->net != NULL ? netfaults_guarded(l->net, component) : l->opts.world;
}

static bool tls_of(void *ctx, const char *component, struct world_tls_files *out, struct error *err) {
    struct local *l = ctx;
    for (size_t i = 0; i < l->file_count; i++) {
        if (strcmp(l->files[i].component, component) == 0) {
            *out = (struct world_tls_files){
                .cert = l->files[i].cert, .key = l->files[i].key, .ca = l->ca_path, .crl = l->crl_path};
            return true;
        }
    }
    return error_set(err, "certs/name", "there is no certificate for %s", component);
}

static const char *address_of(void *ctx, const char *component) {
    (void)component;
    const struct local *l = ctx;
    return strcmp(l->opts.listen_host, "0.0.0.0") == 0 ? "127.0.0.1" : l->opts.listen_host;
}

/* People wait for a local stack: who connects is told ten times a second, not once. */
static void configure_broker(void *ctx, size_t index, struct broker_config *config) {
    const struct local *l = ctx;
    config->update_interval_ms = LOCAL_UPDATE_MS;
    if (l->opts.configure_broker != NULL) {
        l->opts.configure_broker(l->opts.configure_ctx, index, config);
    }
}

static void configure_orchestrator(void *ctx, struct orchestrator_config *config) {
    const struct local *l = ctx;
    if (l->opts.configure_orchestrator != NULL) {
        l->opts.configure_orchestrator(l->opts.configure_ctx, config);
    }
}

static bool start_stack(struct local *l, struct error *err) {
    struct stack_opts opts = {
        .env = {.world_of = world_of, .tls_of = tls_of, .address_of = address_of, .ctx = l},
        .listen_host = l->opts.listen_host,
        .port_base = l->opts.port_base,
        .brokers = l->opts.brokers,
        .dir = l->opts.dir,
        .modules = l->opts.modules,
        .state = l->opts.state,
        .configure_orchestrator = configure_orchestrator,
        .configure_broker = configure_broker,
        .configure_ctx = l,
        .puppetdb_url = l->opts.puppetdb_url,
        .puppetserver_url = l->opts.puppetserver_url,
        .rbac_url = l->opts.rbac_url,
        .classifier_url = l->opts.classifier_url,
        .log = l->opts.log,
    };
    l->stack = stack_new(&opts, err);
    if (l->stack == NULL) {
        return false;
    }
    for (size_t i = 0; i < l->opts.brokers; i++) {
        char name[32];
        snprintf(name, sizeof(name), "broker-%zu", i + 1);
        l->broker_urls[i] = str_printf("%s/pcp2/", stack_url(l->stack, name));
    }
    l->primary = l->opts.puppetserver_url != NULL ? l->opts.puppetserver_url : stack_url(l->stack, "puppetserver");
    l->puppetdb = l->opts.puppetdb_url != NULL ? l->opts.puppetdb_url : stack_url(l->stack, "puppetdb");
    return true;
}

/* ---- agents */

static bool reach_puppetdb(struct local *l, struct error *err) {
    struct world_tls_files client;
    if (!tls_of(l, "client", &client, err) || (l->client_tls = world_tls_new(l->opts.world, &client, err)) == NULL) {
        return false;
    }
    if (l->opts.puppetdb_url != NULL) {
        l->reports = reports_new(l->opts.world, l->puppetdb, l->client_tls);
    }
    return true;
}

bool local_know_node(struct local *l, const char *name, uint32_t number, struct error *err) {
    json_t *payload = node_facts(name, number, l->opts.facts, world_wall_ms(l->opts.world));
    bool ok = true;
    if (l->reports != NULL) {
        reports_send(l->reports, REPORTS_FACTS, name, payload);
    } else {
        ok = fake_puppetdb_command(stack_puppetdb(l->stack), "replace facts", payload, err);
    }
    json_decref(payload);
    return ok;
}

static bool know_virtual_nodes(struct local *l, struct error *err) {
    for (uint32_t i = 0; i < l->opts.agents + l->opts.elsewhere; i++) {
        char *name = fleet_format_name(l->opts.name_format, i + 1);
        bool ok = local_know_node(l, name, i + 1, err);
        mem_free(name);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static void on_report(void *ctx, const char *node, const json_t *report) {
    struct local *l = ctx;
    struct error err = ERROR_INIT;
    if (l->reports != NULL) {
        reports_send(l->reports, REPORTS_STORE, node, report);
    } else if (!fake_puppetdb_command(stack_puppetdb(l->stack), "store report", report, &err)) {
        log_warn(l->opts.log, "the report of %s was refused: %s", node, err.msg);
        error_clear(&err);
    }
}

static bool start_fleet(struct local *l, const struct behaviours *behaviours, struct error *err) {
    if (l->opts.agents == 0) {
        return true;
    }
    struct fleet_opts opts = {
        .world = l->opts.world,
        .fetch_tls = l->client_tls,
        .ca = l->ca,
        .ca_file = l->ca_path,
        .brokers = (const char *const *)l->broker_urls,
        .broker_count = l->opts.brokers,
        .primaries = &l->primary,
        .primary_count = 1,
        .version = PCP_V2,
        .name_format = l->opts.name_format,
        .first = 1,
        .count = l->opts.agents,
        .storage = l->opts.storage,
        .behaviours = behaviours,
        .seed = l->opts.seed,
        .report = on_report,
        .report_ctx = l,
        .log = &l->agent_log,
    };
    l->fleet = fleet_new(&opts, err);
    return l->fleet != NULL;
}

/* ---- files for people */

static bool write_text(struct local *l, const char *name, const char *text, int mode, struct error *err) {
    char *path = str_printf("%s/%s", l->opts.dir, name);
    bool ok = world_file_write(l->opts.world, path, span_of(text), mode, WORLD_WRITE_ATOMIC, err);
    mem_free(path);
    return ok;
}

static bool write_json(struct local *l, const char *name, json_t *value, struct error *err) {
    char *text = json_dumps(value, JSON_INDENT(2));
    json_decref(value);
    bool ok = write_text(l, name, text, 0644, err);
    mem_free(text);
    return ok;
}

static bool write_client_files(struct local *l, struct error *err) {
    char *dir = str_printf("%s/client-tools", l->opts.dir), *token = str_printf("%s/token", l->opts.dir);
    char *cert = str_printf("%s/certs/client.pem", l->opts.dir), *key = str_printf("%s/certs/client.key", l->opts.dir);
    char *rbac = str_printf("%s/rbac-api", stack_url(l->stack, "console"));
    bool ok = world_file_mkdir(l->opts.world, dir, 0755, true, err) &&
              write_text(l, "token", stack_admin_token(l->stack), 0600, err) &&
              write_text(l, "admin-password", stack_admin_password(l->stack), 0600, err) &&
              write_json(l, "client-tools/orchestrator.conf",
                         json_pack("{s:{s:s, s:s, s:s}}", "options", "service-url", stack_url(l->stack, "orchestrator"),
                                   "cacert", l->ca_path, "token-file", token),
                         err) &&
              write_json(l, "client-tools/puppet-access.conf",
                         json_pack("{s:s, s:s, s:s}", "service-url", rbac, "certificate-file", l->ca_path, "token-file",
                                   token),
                         err) &&
              write_json(l, "client-tools/puppetdb.conf",
                         json_pack("{s:{s:s, s:s, s:s, s:s, s:s}}", "puppetdb", "server_urls", l->puppetdb, "cacert",
                                   l->ca_path, "cert", cert, "key", key, "token-file", token),
                         err);
    mem_free(dir);
    mem_free(token);
    mem_free(cert);
    mem_free(key);
    mem_free(rbac);
    return ok;
}

static bool check_opts(const struct local_opts *o, struct error *err) {
    if (o->agents > LOCAL_AGENTS_MAX) {
        return error_set(err, "usage", "at most %d virtual agents live in one process", LOCAL_AGENTS_MAX);
    }
    if (o->real_agents > LOCAL_REAL_AGENTS_MAX) {
        return error_set(err, "usage", "at most %d real agents", LOCAL_REAL_AGENTS_MAX);
    }
    if (o->brokers > STACK_BROKERS_MAX) {
        return error_set(err, "usage", "at most %d brokers", STACK_BROKERS_MAX);
    }
    return o->name_format == NULL || fleet_name_format_valid(o->name_format) ||
           error_set(err, "usage", "the name \"%s\" needs exactly one {n} or {n:WIDTH}", o->name_format);
}

struct local *local_new(const struct local_opts *opts, struct error *err) {
    if (!check_opts(opts, err)) {
        return NULL;
    }
    struct local *l = mem_zalloc(sizeof(*l));
    l->opts = *opts;
    l->opts.listen_host = opts->listen_host != NULL ? opts->listen_host : "127.0.0.1";
    l->opts.brokers = opts->brokers != 0 ? opts->brokers : 1;
    if (opts->log != NULL) {
        l->agent_log = *opts->log;
        l->agent_log.name = "agent";
    } else {
        l->agent_log.level = LOG_OFF;
    }
    if (opts->faults) {
        local_make_faulty(l);
    }
    struct behaviours *behaviours = NULL;
    bool ok = world_file_mkdir(opts->world, opts->dir, 0700, true, err) &&
              (behaviours = behaviours_new(opts->behaviours, err)) != NULL && make_certificates(l, err) &&
              start_stack(l, err) && reach_puppetdb(l, err) && know_virtual_nodes(l, err) &&
              write_client_files(l, err) && start_fleet(l, behaviours, err) && local_start_real_agents(l, err);
    l->behaviours = behaviours;
    if (!ok) {
        local_free(l);
        return NULL;
    }
    return l;
}

static size_t agent_count(const struct local *l) {
    return (size_t)l->opts.agents + l->opts.elsewhere + l->opts.real_agents;
}

bool local_ready(const struct local *l) {
    bool told = l->reports == NULL || reports_counts(l->reports).waiting == 0;
    return stack_ready(l->stack) && stack_connected_agents(l->stack) == agent_count(l) && told;
}

const char *local_trouble(const struct local *l) {
    bool refused = l->reports != NULL && reports_counts(l->reports).failed[REPORTS_FACTS] > 0;
    return refused ? reports_last_error(l->reports) : NULL;
}

json_t *local_describe(const struct local *l) {
    char *v2 = str_printf("%s/pcp2/", stack_url(l->stack, "broker-1"));
    char *v1 = str_printf("%s/pcp/", stack_url(l->stack, "broker-1"));
    char *console = str_printf("%s/", stack_url(l->stack, "orchestrator"));
    char *token = str_printf("%s/token", l->opts.dir);
    char *cert = str_printf("%s/certs/client.pem", l->opts.dir), *key = str_printf("%s/certs/client.key", l->opts.dir);
    json_t *line = json_object();
    json_set(line, "orchestrator", json_string(stack_url(l->stack, "orchestrator")));
    json_set(line, "broker", json_string(v2));
    json_set(line, "broker_v1", json_string(v1));
    json_set(line, "rbac", json_string(l->opts.rbac_url != NULL ? l->opts.rbac_url : stack_url(l->stack, "console")));
    json_set(line, "classifier",
             json_string(l->opts.classifier_url != NULL ? l->opts.classifier_url : stack_url(l->stack, "console")));
    json_set(line, "puppetdb", json_string(l->puppetdb));
    json_set(line, "puppetserver", json_string(l->primary));
    json_set(line, "console", json_string(console));
    json_set(line, "dir", json_string(l->opts.dir));
    json_set(line, "ca", json_string(l->ca_path));
    json_set(line, "token_file", json_string(token));
    json_set(line, "cert", json_string(cert));
    json_set(line, "key", json_string(key));
    json_set(line, "agents", json_integer((json_int_t)agent_count(l)));
    mem_free(v2);
    mem_free(v1);
    mem_free(console);
    mem_free(token);
    mem_free(cert);
    mem_free(key);
    return line;
}

struct stack *local_stack(const struct local *l) {
    return l->stack;
}

struct fleet *local_fleet(const struct local *l) {
    return l->fleet;
}

/* ---- the end */

static void free_rest(struct local *l) {
    netfaults_free(l->net);
    certs_ca_free(l->ca);
    reports_free(l->reports);
    world_tls_free(l->client_tls);
    for (size_t i = 0; i < l->file_count; i++) {
        mem_free(l->files[i].component);
        mem_free(l->files[i].cert);
        mem_free(l->files[i].key);
    }
    for (size_t i = 0; i < STACK_BROKERS_MAX; i++) {
        mem_free(l->broker_urls[i]);
    }
    mem_free(l->ca_path);
    mem_free(l->crl_path);
    mem_free(l->pxp_modules);
    mem_free(l->pxp_module_config);
    behaviours_free(l->behaviours);
    mem_free(l);
}

void local_free(struct local *l) {
    if (l != NULL) {
        local_end_faults(l);
        local_free_real_agents(l);
        fleet_free(l->fleet);
        stack_free(l->stack);
        free_rest(l);
    }
}

static void on_stack_stopped(void *ctx) {
    struct local *l = ctx;
    void (*stopped)(void *) = l->stopped;
    void *stopped_ctx = l->stopped_ctx;
    l->stack = NULL;
    free_rest(l);
    if (stopped != NULL) {
        stopped(stopped_ctx);
    }
}

static void on_fleet_stopped(void *ctx) {
    struct local *l = ctx;
    l->fleet = NULL;
    local_free_real_agents(l);
    stack_stop(l->stack, on_stack_stopped, l);
}

void local_stop(struct local *l, void (*done)(void *ctx), void *ctx) {
    l->stopped = done;
    l->stopped_ctx = ctx;
    local_end_faults(l);
    for (uint32_t i = 0; i < l->opts.real_agents; i++) {
        if (l->real_agents[i].agent != NULL) {
            agent_stop(l->real_agents[i].agent);
        }
    }
    if (l->fleet != NULL) {
        fleet_stop(l->fleet, on_fleet_stopped, l);
    } else {
        on_fleet_stopped(l);
    }
}
