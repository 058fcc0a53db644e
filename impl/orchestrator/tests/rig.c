/* The orchestrator's parts: started, crashed, ended. */
#include "rig.h"

#include "base/json.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---------------------------------------------------------------------------------------- the orchestrator's parts */

static void log_line(void *ctx, const struct log_record *record) {
    struct rig *r = ctx;
    buf_printf(&r->log, "%s %s\n", log_level_name(record->level), record->msg);
}

static const uint8_t secret_key[32] = "0123456789abcdef0123456789abcde";
static struct logger logger; /* one rig at a time */

static void on_open(void *ctx) {
    struct rig *r = ctx;
    r->opened = true;
    assert_true(engine_resume(r->engine, NULL));
    assert_true(schedules_resume(r->schedules, NULL));
}

static void on_health(void *ctx, const struct error *err) {
    struct rig *r = ctx;
    if (err == NULL && r->engine != NULL) {
        engine_wake(r->engine);
    }
}

static void destroy(void *ctx) {
    struct rig *r = ctx;
    engine_free(r->engine);
    schedules_free(r->schedules);
    brokers_free(r->brokers);
    store_abandon(r->store);
    if (r->services != NULL) {
        services_free(r->services);
    }
    if (r->tls != NULL) {
        world_tls_free(r->tls);
    }
    r->engine = NULL;
    r->schedules = NULL;
    r->brokers = NULL;
    r->store = NULL;
    r->services = NULL;
    r->tls = NULL;
}

static bool is_ready(void *ctx) {
    struct rig *r = ctx;
    return r->opened && engine_ready(r->engine) && brokers_open_count(r->brokers) == (size_t)r->broker_count;
}

static void boot_parts(struct rig *r) {
    struct error err = ERROR_INIT;
    r->opened = false;
    r->tls = world_tls_new(r->w, &r->config.tls, &err);
    assert_non_null(r->tls);
    logger = (struct logger){LOG_DEBUG, "orchestrator", log_line, r};
    struct store_opts store = {
        .path = "/var/orchestrator.db", .log = &logger, .on_open = on_open, .on_health = on_health, .ctx = r};
    r->store = store_new(r->w, &store, &err);
    assert_non_null(r->store);
    struct brokers_opts brokers = {
        .urls = r->config.brokers, .count = (size_t)r->broker_count, .tls = r->tls, .log = &logger};
    r->brokers = brokers_new(r->w, &brokers, &err);
    assert_non_null(r->brokers);
    r->services = r->with_services ? services_new(r->w, &r->config, r->tls, &logger) : NULL;
    struct engine_opts engine = {
        .store = r->store,
        .brokers = r->brokers,
        .services = r->services,
        .config = &r->config,
        .secret_key = secret_key,
        .log = &logger,
    };
    r->engine = engine_new(r->w, &engine);
    r->schedules = schedules_new(r->w, r->store, secret_key, &logger);
    brokers_start(r->brokers);
    sim_on_crash(r->w, destroy, r);
}

void rig_boot(struct rig *r) {
    boot_parts(r);
    assert_true(sim_run_until(r->sim, 20 * SIM_SECOND, is_ready, r));
}

static bool is_open(void *ctx) {
    struct rig *r = ctx;
    return r->opened && engine_ready(r->engine);
}

void rig_boot_without_brokers(struct rig *r) {
    boot_parts(r);
    assert_true(sim_run_until(r->sim, 20 * SIM_SECOND, is_open, r));
}

void rig_crash(struct rig *r, enum sim_crash_kind kind) {
    sim_crash(r->w, kind);
    if (kind == SIM_CRASH_POWER) {
        sim_power_on(r->w);
    }
}

static void stopped(void *ctx) {
    *(bool *)ctx = true;
}

static bool is_true(void *ctx) {
    return *(bool *)ctx;
}

void rig_shutdown(struct rig *r) {
    bool done = false;
    engine_free(r->engine);
    schedules_free(r->schedules);
    brokers_stop(r->brokers, stopped, &done);
    assert_true(sim_run_until(r->sim, 10 * SIM_SECOND, is_true, &done));
    brokers_free(r->brokers);
    store_finish(r->store);
    r->engine = NULL;
    r->schedules = NULL;
    r->brokers = NULL;
    r->store = NULL;
    destroy(r);
}

/* ---------------------------------------------------------------------------------------- PuppetDB */

static bool wanted(json_t *condition, const char *uuid) {
    size_t i;
    json_t *part;
    if (json_is_array(condition) && str_eq(json_string_value(json_array_get(condition, 0)), "in") &&
        str_eq(json_string_value(json_array_get(condition, 1)), "transaction_uuid")) {
        json_array_foreach(json_array_get(json_array_get(condition, 2), 1), i, part) {
            if (str_eq(json_string_value(part), uuid)) {
                return true;
            }
        }
        return false;
    }
    bool found = false;
    json_array_foreach(condition, i, part) {
        found = found || wanted(part, uuid);
    }
    return found;
}

static void on_query(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct rig *r = ctx;
    (void)route;
    json_t *body = json_parse(http_request(ex)->body, "test", NULL), *rows = json_array(), *row;
    json_t *query = json_object_get(body, "query");
    size_t i;
    bool catalogs = str_eq(json_string_value(json_array_get(query, 1)), "catalogs");
    r->report_queries++;
    r->catalog_queries += catalogs ? 1 : 0;
    json_array_foreach(r->reports, i, row) {
        if (!(catalogs && r->no_catalogs) && wanted(query, json_str(row, "transaction_uuid"))) {
            json_array_append(rows, row);
        }
    }
    http_respond_json(ex, 200, rows);
    json_decref(body);
}

static void on_activity(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)ctx, (void)route;
    http_respond_json(ex, 200, json_object());
}

static const struct http_route puppetdb_routes[] = {{"POST", "/pdb/query/v4", on_query, NULL},
                                                    {"POST", "/activity-api/*rest", on_activity, NULL},
                                                    {NULL, NULL, NULL, NULL}};

static void start_puppetdb(struct rig *r) {
    struct error err = ERROR_INIT;
    r->puppetdb_world = sim_host(r->sim, "puppetdb");
    struct world_tls_files files = sim_tls_files(r->puppetdb_world, "puppetdb");
    files.client_auth = WORLD_CLIENT_AUTH_NEED;
    r->puppetdb_tls = world_tls_new(r->puppetdb_world, &files, &err);
    struct http_server_opts opts = {
        .listen = {.port = 8081, .tls = r->puppetdb_tls}, .routes = puppetdb_routes, .ctx = r};
    r->puppetdb = http_server_new(r->puppetdb_world, &opts, &err);
    assert_non_null(r->puppetdb);
}

/* ---------------------------------------------------------------------------------------- life */

struct rig *rig_new(uint64_t seed, int agents) {
    struct rig *r = mem_zalloc(sizeof *r);
    r->sim = sim_new(&(struct sim_opts){.seed = seed});
    r->w = sim_host(r->sim, "orchestrator");
    assert_true(world_file_mkdir(r->w, "/var", 0755, true, NULL));
    r->agents = mem_array((size_t)agents, sizeof *r->agents);
    r->agent_count = agents;
    r->reports = json_array();
    r->with_services = true;
    for (int i = 0; i < agents; i++) {
        struct rig_agent *a = &r->agents[i];
        *a = (struct rig_agent){.rig = r, .takes_ms = 100, .out = "{\"ok\":true}", .status = "changed"};
        snprintf(a->name, sizeof a->name, "node%d", i + 1);
    }
    r->broker_count = 1;
    for (int i = 0; i < RIG_BROKERS_MAX; i++) {
        char name[24];
        snprintf(name, sizeof name, "broker-%d", i + 1);
        r->broker[i].rig = r;
        r->broker[i].w = sim_host(r->sim, name);
        rig_broker_up(r, i);
    }
    start_puppetdb(r);
    orchestrator_config_defaults(&r->config);
    r->config.tls = sim_tls_files(r->w, "orchestrator");
    r->config.brokers[0] = "wss://broker-1:8142";
    r->config.brokers[1] = "wss://broker-2:8142/pcp2/";
    r->config.puppetdb_url = "https://puppetdb:8081";
    r->config.console_url = "https://console.corp.test";
    r->config.activity_url = "https://puppetdb:8081/activity-api";
    r->config.rbac_url = r->config.classifier_url = r->config.puppet_server_url = "https://puppetdb:8081";
    return r;
}

void rig_free(struct rig *r) {
    if (r->engine != NULL) {
        rig_shutdown(r);
    }
    for (int i = 0; i < RIG_BROKERS_MAX; i++) {
        rig_broker_down(r, i);
    }
    http_server_close(r->puppetdb, 0, NULL, NULL);
    world_tls_free(r->puppetdb_tls);
    rig_forget_transactions(r);
    sim_run_idle(r->sim, 30 * SIM_SECOND);
    struct buf report = BUF_INIT;
    if (!sim_check_idle(r->sim, &report)) {
        fail_msg("left behind: %s", report.ptr);
    }
    buf_free(&report);
    for (int i = 0; i < r->agent_count; i++) {
        buf_free(&r->agents[i].last_params);
    }
    mem_free(r->agents);
    json_decref(r->reports);
    buf_free(&r->log);
    sim_free(r->sim);
    mem_free(r);
}
