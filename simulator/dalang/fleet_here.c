/* The agents of one process: a fleet for each entry of the roster, and what they have in common. */
#include "base/mem.h"
#include "simulator/dalang/data_file.h"
#include "simulator/dalang/fleet_command.h"
#include "simulator/dalang/surroundings.h"
#include "simulator/fleet/fleet.h"
#include "simulator/fleet/fleet_name.h"
#include "simulator/fleet/reports.h"
#include "simulator/stack/facts.h"
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    DESCRIPTORS_ELSE = 200,
    ROLL_AT_ONCE = 256, /* payloads that wait to be sent */
    ROLL_TICK_MS = 20,
    LAST_REPORTS_MS = 10000, /* at the end, for what PuppetDB is still to be told */
};

struct part {
    struct fleet *fleet;
    char *brokers[ROSTER_BROKERS_MAX];
    size_t broker_count;
    uint32_t first, count; /* of the entry's agents, 0-based */
};

/* Tells PuppetDB something of every node, some at a time. */
struct roll {
    enum reports_command command;
    size_t entry;
    uint32_t index;
    bool active;
};

struct fleet_here {
    const struct fleet_args *args;
    const struct roster *roster;
    struct world *world;
    struct certs_ca *ca;
    struct credentials *credentials;
    struct world_tls *tls;
    struct reports *reports;
    struct part *parts; /* one per entry; without a fleet when none of its agents are here */
    struct tally *last; /* what the fleets had counted when they were stopped */
    struct roll roll;
    struct timer roll_timer, storm, restart;
    size_t stopping; /* fleets that say good-bye */
    bool stopped;
    uint64_t stopped_us, rss_begin, rss_made;
    void (*done)(void *ctx);
    void *done_ctx;
};

/* ---- what the process uses */

static uint64_t resident_bytes(void) {
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f != NULL) {
        if (fscanf(f, "%*u %llu", &pages) != 1) {
            pages = 0;
        }
        fclose(f);
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t cpu_us(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* ---- PuppetDB */

static char *node_name(const struct fleet_here *h, size_t entry, uint32_t index) {
    const struct roster_entry *e = &h->roster->entries[entry];
    return e->names != NULL ? str_dup(e->names[index])
                            : fleet_format_name(e->name_format, (uint32_t)h->args->first + index);
}

static void tell(struct fleet_here *h, size_t entry, uint32_t index) {
    const struct roster_entry *e = &h->roster->entries[entry];
    char *name = node_name(h, entry, index);
    json_t *payload = h->roll.command == REPORTS_FACTS ? node_facts(name, index + 1, e->facts, world_wall_ms(h->world))
                                                       : json_pack("{s:s}", "certname", name);
    if (h->roll.command == REPORTS_DEACTIVATE) {
        json_t *facts = node_facts(name, index + 1, NULL, world_wall_ms(h->world));
        json_object_set(payload, "producer_timestamp", json_object_get(facts, "producer_timestamp"));
        json_decref(facts);
    }
    reports_send(h->reports, h->roll.command, name, payload);
    json_decref(payload);
    mem_free(name);
}

static void roll_on(void *ctx) {
    struct fleet_here *h = ctx;
    struct roll *r = &h->roll;
    while (r->entry < h->roster->count) {
        const struct part *p = &h->parts[r->entry];
        if (r->index >= p->count || !h->roster->entries[r->entry].known) {
            r->entry++;
            r->index = 0;
            continue;
        }
        if (reports_counts(h->reports).waiting >= ROLL_AT_ONCE) {
            world_timer_start(h->world, &h->roll_timer, ROLL_TICK_MS, roll_on, h);
            return;
        }
        tell(h, r->entry, p->first + r->index++);
    }
    r->active = false;
}

static void roll_start(struct fleet_here *h, enum reports_command command) {
    h->roll = (struct roll){.command = command, .active = true};
    world_timer_start(h->world, &h->roll_timer, 0, roll_on, h);
}

static void on_report(void *ctx, const char *node, const json_t *report) {
    struct fleet_here *h = ctx;
    if (h->reports != NULL) {
        reports_send(h->reports, REPORTS_STORE, node, report);
    }
}

/* ---- as a source of tallies */

static void add_to(void *ctx, struct tally *sum) {
    struct fleet_here *h = ctx;
    for (size_t i = 0; i < h->roster->count; i++) {
        if (h->parts[i].fleet != NULL) {
            fleet_add_to(h->parts[i].fleet, sum);
        }
    }
    tally_add(sum, h->last);
    if (h->reports != NULL) {
        struct reports_counts c = reports_counts(h->reports);
        sum->n.reports += c.sent[REPORTS_STORE];
        sum->n.registered += c.sent[REPORTS_FACTS];
        sum->n.removed += c.sent[REPORTS_DEACTIVATE];
        sum->n.reports_failed += c.failed[REPORTS_STORE] + c.failed[REPORTS_FACTS] + c.failed[REPORTS_DEACTIVATE];
        sum->n.reports_waiting += c.waiting;
        if (reports_last_error(h->reports) != NULL) {
            tally_error(sum, span_of(reports_last_error(h->reports)));
        }
    }
    sum->n.cpu_us += cpu_us();
    sum->n.rss_bytes += resident_bytes();
    sum->n.rss_begin += h->rss_begin;
    sum->n.rss_made += h->rss_made;
    sum->n.stopping += h->stopped;
}

static void restart_all(void *ctx) {
    struct fleet_here *h = ctx;
    for (size_t i = 0; i < h->roster->count && !h->stopped; i++) {
        if (h->parts[i].fleet != NULL) {
            fleet_restart_all(h->parts[i].fleet);
        }
    }
}

static void make_storm(void *ctx) {
    struct fleet_here *h = ctx;
    for (size_t i = 0; i < h->roster->count && !h->stopped; i++) {
        if (h->parts[i].fleet != NULL) {
            fleet_storm(h->parts[i].fleet, h->args->storm_down_ms);
        }
    }
}

/* ---- the end: good-bye to the brokers, then to PuppetDB */

static void wait_for_reports(void *ctx) {
    struct fleet_here *h = ctx;
    bool busy = h->reports != NULL && (h->roll.active || reports_counts(h->reports).waiting > 0);
    if (busy && (world_now_us(h->world) - h->stopped_us) / 1000 < LAST_REPORTS_MS) {
        world_timer_start(h->world, &h->storm, ROLL_TICK_MS, wait_for_reports, h);
        return;
    }
    world_timer_stop(h->world, &h->roll_timer);
    h->done(h->done_ctx);
}

static void on_gone(void *ctx) {
    struct fleet_here *h = ctx;
    if (--h->stopping > 0) {
        return;
    }
    h->stopped_us = world_now_us(h->world);
    if (h->args->external) {
        roll_start(h, REPORTS_DEACTIVATE);
    }
    world_timer_start(h->world, &h->storm, 0, wait_for_reports, h);
}

static void stop(void *ctx, void (*done)(void *ctx), void *done_ctx) {
    struct fleet_here *h = ctx;
    h->stopped = true;
    h->done = done;
    h->done_ctx = done_ctx;
    world_timer_stop(h->world, &h->roll_timer);
    world_timer_stop(h->world, &h->storm);
    world_timer_stop(h->world, &h->restart);
    h->roll.active = false;
    h->stopping = 1;
    for (size_t i = 0; i < h->roster->count; i++) {
        struct fleet *f = h->parts[i].fleet;
        if (f != NULL) {
            fleet_add_to(f, h->last);
            h->parts[i].fleet = NULL;
            h->stopping++;
            fleet_stop(f, on_gone, h);
        }
    }
    on_gone(h); /* the count began at one */
}

struct fleet_source fleet_here_source(struct fleet_here *h) {
    return (struct fleet_source){h, add_to, restart_all, make_storm, stop};
}

/* ---- trouble that it makes */

static void on_storm(void *ctx) {
    struct fleet_here *h = ctx;
    make_storm(h);
    world_timer_start(h->world, &h->storm, h->args->storm_every_ms, on_storm, h);
}

static void on_restart(void *ctx) {
    struct fleet_here *h = ctx;
    restart_all(h);
    world_timer_start(h->world, &h->restart, h->args->restart_every_ms, on_restart, h);
}

/* ---- who they are */

static bool read_names(const struct fleet_args *a, struct world *w, struct roster_entry *e, struct error *err) {
    struct credentials *c = credentials_new(&(struct credentials_opts){.world = w, .dir = a->certs});
    bool ok = credentials_names(c, &e->names, &e->name_count, err);
    credentials_free(c);
    uint64_t wanted = a->agents != 0 ? a->agents : e->name_count;
    if (ok && wanted > e->name_count) {
        return error_set(err, "usage", "%s holds certificates of %zu agents; --agents %llu are too many", a->certs,
                         e->name_count, (unsigned long long)wanted);
    }
    e->count = (uint32_t)wanted;
    return ok;
}

bool fleet_read_roster(const struct fleet_args *a, struct world *w, struct roster *out, struct error *err) {
    json_t *spec = NULL;
    *out = (struct roster){NULL, 0, false};
    if (a->behaviour != NULL && !read_data_file(w, a->behaviour, &spec, err)) {
        return false;
    }
    bool ok = roster_read(out, spec, err);
    json_decref(spec);
    if (!ok) {
        return a->behaviour != NULL ? error_prefix(err, "%s", a->behaviour) : false;
    }
    struct roster_entry *e = &out->entries[0];
    if (out->counted) {
        if (a->name != NULL) {
            ok = error_set(err, "usage", "--name: the entries of %s have names of their own", a->behaviour);
        } else if (a->agents != 0) {
            roster_scale(out, a->agents);
        }
    } else if (a->certs != NULL && a->name == NULL) {
        ok = read_names(a, w, e, err);
    } else if (a->agents == 0) {
        ok = error_set(err, "usage", "--agents is needed: %s does not say how many", a->behaviour);
    } else {
        e->count = (uint32_t)a->agents;
        e->name_format = str_dup(a->name);
    }
    if (!ok) {
        roster_free(out);
    }
    return ok;
}

/* An entry names brokers as a scenario does, "broker-1", or by URL; and may speak the other version of the protocol. */
static bool choose_brokers(const struct fleet_args *a, const struct roster_entry *e, struct part *p,
                           struct error *err) {
    size_t count = e->broker_count != 0 ? e->broker_count : a->brokers.count;
    if (count > ROSTER_BROKERS_MAX) {
        return error_set(err, "usage", "at most %d brokers", ROSTER_BROKERS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t number = i + 1;
        const char *name = e->broker_count != 0 ? e->brokers[i] : NULL;
        bool is_url = name != NULL && strstr(name, "://") != NULL;
        if (name != NULL && !is_url &&
            (strncmp(name, "broker-", 7) != 0 || !span_to_u64(span_of(name + 7), &number) || number < 1 ||
             number > a->brokers.count)) {
            return error_set(err, "usage", "%s: there is no %s among %zu --broker", a->behaviour, name,
                             a->brokers.count);
        }
        const char *url = is_url ? name : a->brokers.items[number - 1];
        const char *from = e->pcp == 1 ? "/pcp2/" : "/pcp/", *to = e->pcp == 1 ? "/pcp/" : "/pcp2/";
        bool other = e->pcp != 0 && span_ends_with(span_of(url), from);
        p->brokers[p->broker_count++] =
            other ? str_printf("%.*s%s", (int)(strlen(url) - strlen(from)), url, to) : str_dup(url);
    }
    return true;
}

/* ---- start */

static bool start_part(struct fleet_here *h, size_t i, const struct logger *log, struct error *err) {
    const struct fleet_args *a = h->args;
    const struct roster_entry *e = &h->roster->entries[i];
    struct part *p = &h->parts[i];
    roster_slice(h->roster, i, a->part, a->parts, &p->first, &p->count);
    if (!choose_brokers(a, e, p, err)) {
        return false;
    }
    if (p->count == 0) {
        return true;
    }
    uint64_t all = roster_agents(h->roster);
    struct fleet_opts opts = {
        .world = h->world,
        .credentials = h->credentials,
        .ca_file = a->ca,
        .crl_file = a->crl,
        .fetch_tls = h->tls,
        .brokers = (const char *const *)p->brokers,
        .broker_count = p->broker_count,
        .primaries = a->primaries.items,
        .primary_count = a->primaries.count,
        .version = (e->pcp != 0 ? e->pcp : (int)a->pcp) == 1 ? PCP_V1 : PCP_V2,
        .name_format = e->name_format,
        .names = e->names != NULL ? (const char *const *)e->names + p->first : NULL,
        .first = (uint32_t)a->first + p->first,
        .count = p->count,
        .per_second = a->rate == 0 ? 0 : (uint32_t)((a->rate * p->count + all - 1) / all),
        .after = e->has_after ? &e->after : NULL,
        .many_sources = fleet_brokers_are_loopback(a),
        .churn_per_million = a->churn_per_million,
        .link_bytes_per_s = a->slow_link,
        .link_delay_ms = a->link_delay_ms,
        .link_slow_per_million = a->slow_per_million,
        .storage = a->storage,
        .reference = a->reference,
        .behaviours = e->behaviours,
        .seed = a->seed,
        .report = on_report,
        .report_ctx = h,
        .log = log,
    };
    p->fleet = fleet_new(&opts, err);
    return p->fleet != NULL;
}

static bool open_files(struct fleet_here *h, struct error *err) {
    const struct fleet_args *a = h->args;
    struct world_tls_files files = {.ca = a->ca, .crl = a->crl, .cert = a->cert, .key = a->key};
    h->ca = a->ca_key != NULL ? certs_ca_open(a->ca, a->ca_key, err) : NULL;
    if ((a->ca_key != NULL && h->ca == NULL) || (h->tls = world_tls_new(h->world, &files, err)) == NULL) {
        return false;
    }
    h->credentials = credentials_new(
        &(struct credentials_opts){.world = h->world, .ca = h->ca, .dir = a->certs, .own_keys = a->own_keys});
    h->reports = a->puppetdb != NULL ? reports_new(h->world, a->puppetdb, h->tls) : NULL;
    return true;
}

struct fleet_here *fleet_here_new(const struct fleet_args *a, struct world *w, const struct roster *roster,
                                  const struct logger *log, struct error *err) {
    struct fleet_here *h = mem_zalloc(sizeof(*h));
    h->args = a;
    h->world = w;
    h->roster = roster;
    h->parts = mem_array(roster->count, sizeof(*h->parts));
    h->last = tally_new();
    bool ok = enough_descriptors(roster_agents(roster) / a->parts + 1 + DESCRIPTORS_ELSE, err) && open_files(h, err);
    h->rss_begin = resident_bytes();
    for (size_t i = 0; ok && i < roster->count; i++) {
        ok = start_part(h, i, log, err);
    }
    if (!ok) {
        fleet_here_free(h);
        return NULL;
    }
    h->rss_made = resident_bytes();
    if (a->external) {
        roll_start(h, REPORTS_FACTS);
    }
    if (a->storm_every_ms != 0) {
        world_timer_start(w, &h->storm, a->storm_every_ms, on_storm, h);
    }
    if (a->restart_every_ms != 0) {
        world_timer_start(w, &h->restart, a->restart_every_ms, on_restart, h);
    }
    return h;
}

void fleet_here_free(struct fleet_here *h) {
    if (h == NULL) {
        return;
    }
    world_timer_stop(h->world, &h->roll_timer);
    world_timer_stop(h->world, &h->storm);
    world_timer_stop(h->world, &h->restart);
    for (size_t i = 0; i < h->roster->count; i++) {
        fleet_free(h->parts[i].fleet);
        for (size_t b = 0; b < h->parts[i].broker_count; b++) {
            mem_free(h->parts[i].brokers[b]);
        }
    }
    mem_free(h->parts);
    reports_free(h->reports);
    credentials_free(h->credentials);
    certs_ca_free(h->ca);
    world_tls_free(h->tls);
    mem_free(h->last);
    mem_free(h);
}
