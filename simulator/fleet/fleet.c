/* See fleet.h. One struct per agent holds its core, its world (shared facets, own files and processes) and its name. */
#include "simulator/fleet/fleet.h"

#include "agent/agent.h"
#include "agent/modules.h"
#include "base/mem.h"
#include "base/url.h"
#include "simulator/fleet/fleet_name.h"
#include "simulator/fleet/shared_fetch.h"
#include "simulator/fleet/virtual_process.h"
#include "simulator/netfaults/netfaults.h"
#include "world/memory_files.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GOODBYE_MS = 5000, START_TICK_MS = 20, BURST_TICK_MS = 2, CHURN_TICK_MS = 100, MINUTE_US = 60000000 };

struct member {
    struct world world; /* first. The fleet's time and network; files and processes of its own */
    struct fleet *fleet;
    struct agent *agent;
    char *name;
    struct real_credential *credential;
    struct list_link resting; /* between its end and its next start */
    uint64_t trying_us;       /* when the attempt under way began */
    uint64_t lost_us;         /* when the last connection was lost; 0: it is connected, or never was */
};

/* When a member makes its first attempt. */
struct start {
    uint64_t after_us;
    uint32_t index;
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
    struct netfaults *links;
    uint64_t storm_rule; /* while one lasts; 0: none does */
    uint64_t storm_until_us;
    struct timer storm;
    struct member *members;
    struct start *starts; /* in the order of their times; NULL: in the members' order, at once */
    uint32_t started;     /* members that have begun to connect */
    uint64_t begun_us;
    struct timer timer;  /* starting; later, the end */
    struct list resting; /* struct member, the earliest first */
    struct timer wake;   /* of those */
    struct timer churn;
    uint64_t churn_debt; /* parts of an agent that are due to restart: in millionths of an agent, times microseconds */
    uint64_t churned_us;
    struct rng rng;
    struct tally *tally;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

static uint64_t now_us(const struct fleet *f) {
    return world_now_us(f->opts.world);
}

/* ---- what the agents tell */

static struct member *member_of(const struct agent *a) {
    return (struct member *)agent_world(a);
}

static void on_trying(void *ctx, struct agent *a) {
    struct fleet *f = ctx;
    f->tally->n.attempts++;
    member_of(a)->trying_us = now_us(f);
}

static void on_failed(void *ctx, struct agent *a, struct span why) {
    struct fleet *f = ctx;
    (void)a;
    f->tally->n.failures++;
    f->tally->n.refused += span_find_span(why, SPAN("refused")) >= 0;
    tally_error(f->tally, why);
}

static void on_connected(void *ctx, struct agent *a) {
    struct fleet *f = ctx;
    struct member *m = member_of(a);
    uint64_t now = now_us(f);
    f->tally->n.connected++;
    f->tally->n.connects++;
    histogram_record(&f->tally->connect_us, now - m->trying_us);
    if (m->lost_us != 0) {
        histogram_record(&f->tally->healed_us, now - m->lost_us);
        m->lost_us = 0;
    }
}

static void on_disconnected(void *ctx, struct agent *a) {
    struct fleet *f = ctx;
    f->tally->n.connected--;
    f->tally->n.disconnects++;
    member_of(a)->lost_us = now_us(f);
}

static void on_access(void *ctx, struct agent *a, enum agent_access outcome, const char *broker, struct span sender,
                      struct span type, struct span id) {
    struct fleet *f = ctx;
    (void)a, (void)broker, (void)sender, (void)type, (void)id;
    f->tally->n.messages++;
    f->tally->n.unreadable += outcome == AGENT_ACCESS_UNREADABLE;
}

static void on_ponged(void *ctx, struct agent *a, uint64_t rtt_us) {
    (void)a;
    histogram_record(&((struct fleet *)ctx)->tally->ping_us, rtt_us);
}

/* ---- members */

static const char here[] = "agents", there[] = "broker"; /* the ends of links */
static const char spool_dir[] = "/spool";
static const char cache_dir[] = "/tasks-cache";

/* Below the agent's own directory; in memory each agent has a tree of its own anyway. */
static char *member_path(const struct member *m, const char *dir) {
    const char *storage = m->fleet->opts.storage;
    return storage != NULL ? str_printf("%s/%s%s", storage, m->name, dir) : str_dup(dir);
}

static void member_make_agent(struct member *m) {
    struct fleet *f = m->fleet;
    char source[24];
    /* 127.0.1.1 upwards; by the agents' numbers, so that processes with different agents use different ones */
    uint32_t host = 256 + 1 + (f->opts.first + (uint32_t)(m - f->members)) / FLEET_PER_SOURCE;
    snprintf(source, sizeof(source), "127.%u.%u.%u", (host >> 16) & 127, (host >> 8) & 255, host & 255);
    struct agent_self self = {
        .name = m->name,
        .tls = f->tls,
        .credential = m->credential,
        .source = f->opts.many_sources ? source : NULL,
        .spool_dir = member_path(m, spool_dir),
        .task_cache_dir = member_path(m, cache_dir),
    };
    m->agent = agent_new(&m->world, &f->config, &self, &f->hooks, f->opts.log);
    mem_free((char *)(uintptr_t)self.spool_dir);
    mem_free((char *)(uintptr_t)self.task_cache_dir);
}

static bool member_init(struct fleet *f, struct credentials *credentials, uint32_t index, struct error *err) {
    struct member *m = &f->members[index];
    m->fleet = f;
    m->name = f->opts.names != NULL ? str_dup(f->opts.names[index])
                                    : fleet_format_name(f->opts.name_format, f->opts.first + index);
    m->credential = credentials_for(credentials, m->name, err);
    if (m->credential == NULL) {
        return false;
    }
    m->world = *f->opts.world;
    shared_fetch_join(f->fetches, &m->world);
    netfaults_join(f->links, &m->world, here);
    if (f->opts.storage == NULL) {
        memory_files_join(f->store, &m->world);
    }
    virtual_processes_join(f->processes, &m->world, f->opts.behaviours, m->name);
    char *spool = member_path(m, spool_dir), *cache = member_path(m, cache_dir);
    bool ok =
        world_file_mkdir(&m->world, spool, 0750, true, err) && world_file_mkdir(&m->world, cache, 0750, true, err);
    mem_free(spool);
    mem_free(cache);
    if (ok) {
        member_make_agent(m);
    }
    return ok;
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

/* Without a rate: as fast as the broker takes them, FLEET_BURST attempts under way at a time. Those that failed and
 * pause hold nobody up. */
static uint32_t due_by_now(const struct fleet *f) {
    const struct tally_counts *n = &f->tally->n;
    uint64_t under_way = n->attempts - n->connects - n->failures;
    uint64_t due = f->opts.per_second != 0   ? (now_us(f) - f->begun_us) * f->opts.per_second / 1000000 + 1
                   : under_way < FLEET_BURST ? f->started + FLEET_BURST - under_way
                                             : f->started;
    return due < f->opts.count ? (uint32_t)due : f->opts.count;
}

static void start_some(void *ctx) {
    struct fleet *f = ctx;
    uint32_t due = due_by_now(f);
    uint64_t elapsed_us = now_us(f) - f->begun_us;
    while (f->started < due && (f->starts == NULL || f->starts[f->started].after_us <= elapsed_us)) {
        uint32_t index = f->starts != NULL ? f->starts[f->started].index : f->started;
        f->started++;
        if (f->members[index].agent != NULL) {
            agent_start(f->members[index].agent);
        }
    }
    if (f->started < f->opts.count) {
        world_timer_start(f->opts.world, &f->timer, f->opts.per_second == 0 ? BURST_TICK_MS : START_TICK_MS, start_some,
                          f);
    } else {
        mem_free(f->starts);
        f->starts = NULL;
    }
}

static int compare_starts(const void *a, const void *b) {
    const struct start *x = a, *y = b;
    return x->after_us != y->after_us ? (x->after_us > y->after_us) - (x->after_us < y->after_us)
                                      : (x->index > y->index) - (x->index < y->index);
}

static void draw_starts(struct fleet *f) {
    f->starts = mem_array(f->opts.count, sizeof(*f->starts));
    for (uint32_t i = 0; i < f->opts.count; i++) {
        f->starts[i] = (struct start){dist_draw(f->opts.after, &f->rng), i};
    }
    qsort(f->starts, f->opts.count, sizeof(*f->starts), compare_starts);
}

/* ---- ending and starting again */

static void wake_some(void *ctx) {
    struct fleet *f = ctx;
    uint64_t now = now_us(f);
    struct list_link *k;
    while ((k = list_first(&f->resting)) != NULL) {
        struct member *m = LIST_ITEM(k, struct member, resting);
        uint64_t due = m->lost_us + FLEET_RESTART_MS * UINT64_C(1000);
        if (due > now) {
            world_timer_start(f->opts.world, &f->wake, (due - now + 999) / 1000, wake_some, f);
            return;
        }
        list_remove(&f->resting, k);
        agent_free(m->agent);
        member_make_agent(m);
        agent_start(m->agent);
    }
}

/* An agent that is ended does not tell. */
static void count_end(struct member *m) {
    struct fleet *f = m->fleet;
    if (agent_is_connected(m->agent)) {
        f->tally->n.connected--;
        f->tally->n.disconnects++;
    }
    m->lost_us = now_us(f);
}

static void member_restart(struct member *m) {
    struct fleet *f = m->fleet;
    if (list_linked(&m->resting) || m->agent == NULL) {
        return;
    }
    count_end(m);
    f->tally->n.restarts++;
    agent_stop(m->agent);
    list_push_back(&f->resting, &m->resting);
    if (f->resting.count == 1) {
        world_timer_start(f->opts.world, &f->wake, FLEET_RESTART_MS, wake_some, f);
    }
}

void fleet_restart_all(struct fleet *f) {
    if (f->stopped != NULL || f->started < f->opts.count) {
        return; /* some have not even started */
    }
    for (uint32_t i = 0; i < f->opts.count; i++) {
        member_restart(&f->members[i]);
    }
}

/* ---- one agent */

static struct member *member_named(const struct fleet *f, const char *name) {
    for (uint32_t i = 0; i < f->opts.count; i++) {
        if (strcmp(f->members[i].name, name) == 0) {
            return &f->members[i];
        }
    }
    return NULL;
}

bool fleet_kill(struct fleet *f, const char *name) {
    struct member *m = member_named(f, name);
    if (m != NULL && m->agent != NULL) {
        if (!list_linked(&m->resting)) {
            count_end(m);
        }
        list_remove(&f->resting, &m->resting);
        agent_free(m->agent);
        m->agent = NULL;
    }
    return m != NULL;
}

bool fleet_start(struct fleet *f, const char *name) {
    struct member *m = member_named(f, name);
    if (m != NULL && m->agent == NULL) {
        member_make_agent(m);
        agent_start(m->agent);
    }
    return m != NULL;
}

X509 *fleet_certificate(const struct fleet *f, const char *name) {
    const struct member *m = member_named(f, name);
    return m != NULL ? real_credential_cert(m->credential) : NULL;
}

bool fleet_renew(struct fleet *f, const char *name, struct real_credential *credential) {
    struct member *m = member_named(f, name);
    if (m == NULL) {
        real_credential_free(credential);
        return false;
    }
    bool up = m->agent != NULL;
    fleet_kill(f, name);
    real_credential_free(m->credential);
    m->credential = credential;
    return !up || fleet_start(f, name);
}

/* ---- storms */

static void end_storm(void *ctx) {
    struct fleet *f = ctx;
    netfaults_drop(f->links, f->storm_rule);
    f->storm_rule = 0;
}

/* One that comes during another makes it last at least as long. */
void fleet_storm(struct fleet *f, uint64_t down_ms) {
    uint64_t until = now_us(f) + down_ms * 1000;
    f->tally->n.storms++;
    if (f->storm_rule == 0) {
        f->storm_rule = netfaults_add(f->links, here, there, &(struct link_fault){.refuse_ppm = 1000000});
        f->storm_until_us = 0;
    }
    if (until > f->storm_until_us) {
        f->storm_until_us = until;
        world_timer_start(f->opts.world, &f->storm, down_ms, end_storm, f);
    }
    netfaults_reset(f->links, here, there);
}

static void churn_some(void *ctx) {
    struct fleet *f = ctx;
    uint64_t now = now_us(f);
    f->churn_debt += (now - f->churned_us) * f->opts.churn_per_million * f->opts.count;
    f->churned_us = now;
    const uint64_t one = UINT64_C(1000000) * MINUTE_US;
    for (; f->churn_debt >= one; f->churn_debt -= one) {
        struct member *m = &f->members[rng_below(&f->rng, f->opts.count)];
        if (m->agent != NULL && agent_is_connected(m->agent)) {
            member_restart(m);
        }
    }
    world_timer_start(f->opts.world, &f->churn, CHURN_TICK_MS, churn_some, f);
}

/* ---- life */

static bool load_modules(struct fleet *f, struct error *err) {
    f->modules = agent_modules_new();
    return agent_modules_add(f->modules, puppet_module_name, puppet_module_name, span_of(puppet_module_metadata), NULL,
                             err);
}

static void configure(struct fleet *f) {
    const struct fleet_opts *opts = &f->opts;
    f->config = agent_config_default();
    f->config.brokers = opts->brokers;
    f->config.broker_count = opts->broker_count;
    f->config.primaries = opts->primaries;
    f->config.primary_count = opts->primary_count;
    f->config.version = opts->version;
    f->config.modules = f->modules;
    f->config.exec_wrapper = "dalang-exec";
    f->config.shell = "/bin/sh";
    f->config.reference = opts->reference;
    f->hooks = (struct agent_hooks){.connected = on_connected,
                                    .disconnected = on_disconnected,
                                    .access = on_access,
                                    .trying = on_trying,
                                    .failed = on_failed,
                                    .ponged = on_ponged,
                                    .ctx = f};
}

/* Between the agents and their brokers; downloads pass untouched. */
static void make_links(struct fleet *f) {
    const struct fleet_opts *opts = &f->opts;
    f->links = netfaults_new(opts->world, opts->seed);
    for (size_t i = 0; i < opts->broker_count; i++) {
        struct url url;
        if (url_parse(opts->brokers[i], &url, NULL)) {
            netfaults_port(f->links, url.port, there);
            url_free(&url);
        }
    }
    if (opts->link_bytes_per_s != 0 || opts->link_delay_ms != 0) {
        struct link_fault slow = {.slow = opts->link_delay_ms != 0,
                                  .latency_us = dist_fixed(opts->link_delay_ms * 1000),
                                  .bytes_per_s = opts->link_bytes_per_s,
                                  .share_ppm = opts->link_slow_per_million};
        netfaults_add(f->links, here, there, &slow);
        netfaults_add(f->links, there, here, &slow);
    }
}

static void make_surroundings(struct fleet *f) {
    const struct fleet_opts *opts = &f->opts;
    make_links(f);
    f->store = memory_store_new();
    memory_store_share(f->store, cache_dir);
    f->fetches = shared_fetch_new(opts->world, opts->fetch_tls);
    if (opts->storage != NULL) {
        shared_fetch_private(f->fetches);
    }
    f->processes = virtual_processes_new(&(struct virtual_processes_opts){
        .clock = opts->world, .seed = opts->seed, .report = opts->report, .report_ctx = opts->report_ctx});
}

static bool make_members(struct fleet *f, struct error *err) {
    struct credentials *own =
        f->opts.credentials == NULL
            ? credentials_new(&(struct credentials_opts){.world = f->opts.world, .ca = f->opts.ca})
            : NULL;
    bool ok = true;
    for (uint32_t i = 0; ok && i < f->opts.count; i++) {
        ok = member_init(f, own != NULL ? own : f->opts.credentials, i, err);
    }
    credentials_free(own);
    return ok;
}

struct fleet *fleet_new(const struct fleet_opts *opts, struct error *err) {
    if (opts->name_format != NULL && !fleet_name_format_valid(opts->name_format) &&
        (opts->count > 1 || strchr(opts->name_format, '{') != NULL)) {
        error_set(err, "fleet", "the name \"%s\" needs exactly one {n} or {n:WIDTH}", opts->name_format);
        return NULL;
    }
    struct fleet *f = mem_zalloc(sizeof(*f));
    f->opts = *opts;
    f->tally = tally_new();
    f->tally->n.agents = opts->count;
    f->rng = rng_derive(opts->seed, "fleet", opts->name_format != NULL ? opts->name_format : "");
    f->members = mem_array(opts->count, sizeof(*f->members));
    list_init(&f->resting);
    make_surroundings(f);
    f->tls = world_tls_new(opts->world, &(struct world_tls_files){.ca = opts->ca_file, .crl = opts->crl_file}, err);
    bool ok = f->tls != NULL && load_modules(f, err);
    configure(f);
    if (!ok || !make_members(f, err)) {
        fleet_free(f);
        return NULL;
    }
    if (opts->after != NULL) {
        draw_starts(f);
    }
    f->begun_us = f->churned_us = now_us(f);
    world_timer_start(opts->world, &f->timer, 0, start_some, f);
    if (opts->churn_per_million != 0) {
        world_timer_start(opts->world, &f->churn, CHURN_TICK_MS, churn_some, f);
    }
    return f;
}

static void stop_timers(struct fleet *f) {
    world_timer_stop(f->opts.world, &f->timer);
    world_timer_stop(f->opts.world, &f->wake);
    world_timer_stop(f->opts.world, &f->churn);
    world_timer_stop(f->opts.world, &f->storm);
}

void fleet_free(struct fleet *f) {
    if (f == NULL) {
        return;
    }
    stop_timers(f);
    for (uint32_t i = 0; i < f->opts.count; i++) {
        if (f->members[i].fleet != NULL) {
            member_free(&f->members[i]);
        }
    }
    mem_free(f->members);
    mem_free(f->starts);
    virtual_processes_free(f->processes);
    shared_fetch_free(f->fetches);
    netfaults_free(f->links);
    memory_store_free(f->store);
    if (f->modules != NULL) {
        agent_modules_free(f->modules);
    }
    world_tls_free(f->tls);
    mem_free(f->tally);
    mem_free(f);
}

static void check_gone(void *ctx) {
    struct fleet *f = ctx;
    uint64_t waited_ms = (now_us(f) - f->begun_us) / 1000;
    if (netfaults_open(f->links) > 0 && waited_ms < GOODBYE_MS) {
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
    stop_timers(f);
    for (uint32_t i = 0; i < f->opts.count; i++) {
        if (f->members[i].agent != NULL) {
            agent_stop(f->members[i].agent);
        }
    }
    f->begun_us = now_us(f);
    world_timer_start(f->opts.world, &f->timer, 0, check_gone, f);
}

void fleet_add_to(const struct fleet *f, struct tally *sum) {
    f->tally->n.tasks = virtual_processes_started(f->processes);
    f->tally->n.tasks_running = virtual_processes_running(f->processes);
    f->tally->n.downloads = shared_fetch_requests(f->fetches);
    tally_add(sum, f->tally);
}

uint32_t fleet_connected(const struct fleet *f) {
    return (uint32_t)f->tally->n.connected;
}

const char *fleet_name(const struct fleet *f, uint32_t index) {
    return f->members[index].name;
}
