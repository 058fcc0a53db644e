/* See fleet.h. One struct per agent holds its core, its world (shared facets, own files and processes) and its name. */
#include "simulator/fleet/fleet.h"

#include "agent/agent.h"
#include "agent/modules.h"
#include "base/mem.h"
#include "simulator/fleet/fleet_name.h"
#include "simulator/fleet/shared_fetch.h"
#include "simulator/fleet/virtual_process.h"
#include "world/memory_files.h"
#include <stdio.h>
#include <string.h>

enum { GOODBYE_MS = 2000, START_TICK_MS = 20, BURST_TICK_MS = 2 };

struct member {
    struct world world; /* the fleet's time and network; files and processes of its own */
    struct fleet *fleet;
    struct agent *agent;
    char *name;
    struct real_credential *credential;
    struct world_files *files;
};

struct fleet {
    struct fleet_opts opts;
    struct world_tls *tls;
    struct agent_config config;
    struct agent_modules *modules;
    struct agent_hooks hooks;
    struct memory_store *store; /* contents of files, shared by hash */
    struct virtual_processes *processes;
    struct shared_fetch *fetches;
    EVP_PKEY *key;
    struct member *members;
    uint32_t started; /* agents that have begun to connect */
    uint64_t begun_us;
    struct timer timer;
    struct fleet_counts counts;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

/* ---- members */

static void on_connected(void *ctx, struct agent *a) {
    struct fleet *f = ctx;
    (void)a;
    f->counts.connected++;
    f->counts.connects++;
}

static void on_disconnected(void *ctx, struct agent *a) {
    struct fleet *f = ctx;
    (void)a;
    f->counts.connected--;
    f->counts.disconnects++;
}

static void on_access(void *ctx, struct agent *a, enum agent_access outcome, const char *broker, struct span sender,
                      struct span type, struct span id) {
    struct fleet *f = ctx;
    (void)a, (void)outcome, (void)broker, (void)sender, (void)type, (void)id;
    f->counts.messages++;
}

static const char spool_dir[] = "/spool";
static const char cache_dir[] = "/tasks-cache";

static bool member_init(struct fleet *f, uint32_t index, struct error *err) {
    struct member *m = &f->members[index];
    m->fleet = f;
    m->name = fleet_format_name(f->opts.name_format, f->opts.first + index);
    m->credential = certs_mint(f->opts.ca, m->name, f->key, world_wall_ms(f->opts.world), err);
    if (m->credential == NULL) {
        return false;
    }
    m->world = *f->opts.world;
    shared_fetch_join(f->fetches, &m->world);
    memory_files_join(f->store, &m->world);
    virtual_processes_join(f->processes, &m->world, f->opts.behaviours, m->name);
    if (!world_file_mkdir(&m->world, spool_dir, 0750, false, err) ||
        !world_file_mkdir(&m->world, cache_dir, 0750, false, err)) {
        return false;
    }
    char source[24];
    /* 127.0.1.1 upwards, 200 agents an address: far below the 28,000 ports each has */
    uint32_t host = 256 + 1 + index / 200;
    snprintf(source, sizeof(source), "127.%u.%u.%u", (host >> 16) & 127, (host >> 8) & 255, host & 255);
    struct agent_self self = {
        .name = m->name,
        .tls = f->tls,
        .credential = m->credential,
        .source = f->opts.many_sources ? source : NULL,
        .spool_dir = spool_dir,
        .task_cache_dir = cache_dir,
    };
    m->agent = agent_new(&m->world, &f->config, &self, &f->hooks, f->opts.log);
    return true;
}

static void member_free(struct member *m) {
    if (m->agent != NULL) {
        agent_free(m->agent);
    }
    if (m->world.process_impl != NULL && m->world.process_impl != m->fleet->opts.world->process_impl) {
        virtual_processes_leave(m->fleet->processes, &m->world);
    }
    if (m->world.file_impl != NULL && m->world.file_impl != m->fleet->opts.world->file_impl) {
        memory_files_leave(&m->world);
    }
    real_credential_free(m->credential);
    mem_free(m->name);
}

/* ---- starting, at the rate asked for */

/* Without a rate: as fast as the broker takes them, FLEET_BURST under way at a time. Those that fail to connect must
 * not hold up the others for ever, so every second lets some more begin. */
static uint32_t due_by_now(const struct fleet *f) {
    uint64_t elapsed_us = world_now_us(f->opts.world) - f->begun_us;
    uint64_t due = f->opts.per_second == 0 ? f->counts.connects + FLEET_BURST * (1 + elapsed_us / 1000000)
                                           : elapsed_us * f->opts.per_second / 1000000 + 1;
    return due < f->opts.count ? (uint32_t)due : f->opts.count;
}

static void start_some(void *ctx) {
    struct fleet *f = ctx;
    uint32_t due = due_by_now(f);
    while (f->started < due) {
        agent_start(f->members[f->started++].agent);
    }
    if (f->started < f->opts.count) {
        world_timer_start(f->opts.world, &f->timer, f->opts.per_second == 0 ? BURST_TICK_MS : START_TICK_MS, start_some,
                          f);
    }
}

static bool load_modules(struct fleet *f, struct error *err) {
    f->modules = agent_modules_new();
    return agent_modules_add(f->modules, puppet_module_name, puppet_module_name, span_of(puppet_module_metadata), NULL,
                             err);
}

struct fleet *fleet_new(const struct fleet_opts *opts, struct error *err) {
    if (opts->name_format != NULL && !fleet_name_format_valid(opts->name_format)) {
        error_set(err, "fleet", "the name \"%s\" needs exactly one {n} or {n:WIDTH}", opts->name_format);
        return NULL;
    }
    struct fleet *f = mem_zalloc(sizeof(*f));
    f->opts = *opts;
    f->counts.agents = opts->count;
    f->members = mem_array(opts->count, sizeof(*f->members));
    f->key = certs_key_new(CERTS_KEY_EC_P256);
    f->store = memory_store_new();
    memory_store_share(f->store, cache_dir);
    f->fetches = shared_fetch_new(opts->world, opts->fetch_tls);
    f->processes = virtual_processes_new(&(struct virtual_processes_opts){
        .clock = opts->world, .seed = opts->seed, .report = opts->report, .report_ctx = opts->report_ctx});
    f->hooks =
        (struct agent_hooks){.connected = on_connected, .disconnected = on_disconnected, .access = on_access, .ctx = f};
    f->tls = world_tls_new(opts->world, &(struct world_tls_files){.ca = opts->ca_file, .crl = opts->crl_file}, err);
    bool ok = f->tls != NULL && load_modules(f, err);
    f->config = agent_config_default();
    f->config.brokers = opts->brokers;
    f->config.broker_count = opts->broker_count;
    f->config.primaries = opts->primaries;
    f->config.primary_count = opts->primary_count;
    f->config.version = opts->version;
    f->config.modules = f->modules;
    f->config.exec_wrapper = "dalang-exec";
    f->config.shell = "/bin/sh";
    for (uint32_t i = 0; ok && i < opts->count; i++) {
        ok = member_init(f, i, err);
    }
    if (!ok) {
        fleet_free(f);
        return NULL;
    }
    f->begun_us = world_now_us(opts->world);
    world_timer_start(opts->world, &f->timer, 0, start_some, f);
    return f;
}

/* ---- the end */

void fleet_free(struct fleet *f) {
    if (f == NULL) {
        return;
    }
    world_timer_stop(f->opts.world, &f->timer);
    for (uint32_t i = 0; i < f->opts.count; i++) {
        if (f->members[i].fleet != NULL) {
            member_free(&f->members[i]);
        }
    }
    mem_free(f->members);
    virtual_processes_free(f->processes);
    shared_fetch_free(f->fetches);
    memory_store_free(f->store);
    if (f->modules != NULL) {
        agent_modules_free(f->modules);
    }
    world_tls_free(f->tls);
    EVP_PKEY_free(f->key);
    mem_free(f);
}

static bool any_connected(const struct fleet *f) {
    for (uint32_t i = 0; i < f->started; i++) {
        if (agent_is_connected(f->members[i].agent)) {
            return true;
        }
    }
    return false;
}

static void check_gone(void *ctx) {
    struct fleet *f = ctx;
    uint64_t waited_ms = (world_now_us(f->opts.world) - f->begun_us) / 1000;
    if (any_connected(f) && waited_ms < GOODBYE_MS) {
        world_timer_start(f->opts.world, &f->timer, START_TICK_MS, check_gone, f);
        return;
    }
    void (*stopped)(void *) = f->stopped;
    void *stopped_ctx = f->stopped_ctx;
    fleet_free(f);
    if (stopped != NULL) {
        stopped(stopped_ctx);
    }
}

void fleet_stop(struct fleet *f, void (*done)(void *ctx), void *ctx) {
    f->stopped = done;
    f->stopped_ctx = ctx;
    for (uint32_t i = 0; i < f->started; i++) {
        agent_stop(f->members[i].agent);
    }
    f->begun_us = world_now_us(f->opts.world);
    world_timer_start(f->opts.world, &f->timer, 0, check_gone, f);
}

struct fleet_counts fleet_counts(const struct fleet *f) {
    struct fleet_counts counts = f->counts;
    counts.tasks_started = virtual_processes_started(f->processes);
    counts.tasks_running = virtual_processes_running(f->processes);
    return counts;
}

const char *fleet_name(const struct fleet *f, uint32_t index) {
    return f->members[index].name;
}
