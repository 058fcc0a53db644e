/* dalang fleet: virtual agents over real TLS connections against any PCP broker. */
#include "simulator/fleet/fleet.h"

#include "base/json.h"
#include "base/mem.h"
#include "simulator/dalang/commands.h"
#include "simulator/dalang/surroundings.h"
#include "simulator/fleet/fleet_name.h"
#include "simulator/fleet/reports.h"
#include "world/real.h"
#include "world/real_log.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    FLEET_OPTIONS = 28,
    STATUS_MS = 1000,
    BEHAVIOUR_MAX = 16 * 1024 * 1024,
    DESCRIPTORS_ELSE = 200,
    AGENTS_MAX = 1000000
};

struct fleet_args {
    struct option_list brokers, primaries;
    const char *ca, *ca_key, *crl, *cert, *key, *name, *behaviour, *puppetdb, *log_file;
    uint64_t agents, first, rate, pcp, seed, for_ms;
    bool json, die_with_parent, many_sources;
};

struct fleet_run {
    struct fleet_args args;
    const struct command_line *cl;
    struct world *world;
    struct fleet *fleet;
    struct reports *reports;
    struct timer status, end;
    uint64_t begun_us, all_connected_us;
    uint32_t most_connected;
    bool stopping, terminal;
    struct fleet_counts last;
};

static const struct command_line *fleet_line(struct fleet_args *a) {
    static struct fleet_args unused;
    static struct option table[FLEET_OPTIONS];
    static struct command_line cl = {
        "dalang fleet", "--broker URL --ca FILE --ca-key FILE --agents N [OPTIONS]",
        "virtual agents over real connections against any PCP broker",
        "Each agent is the real agent core with a certificate and a TLS connection of its own; what its tasks and "
        "Puppet runs do is\n"
        "made up (--behaviour). Certificates are minted in memory from the CA. It runs until Ctrl-C, SIGTERM or --for.",
        table};
    a = a != NULL ? a : &unused;
    size_t n = 0;
    table[n++] = (struct option){
        OPTION_LIST, "broker", 'b', "URL", "wss://HOST:PORT/pcp2/ (or /pcp/ with --pcp 1); again for failover.",
        &a->brokers};
    table[n++] = (struct option){OPTION_STRING, "ca", 0, "FILE", "The CA that brokers and agents trust.", &a->ca};
    table[n++] = (struct option){OPTION_STRING, "ca-key", 0, "FILE", "Its private key: mints the agents' certificates.",
                                 &a->ca_key};
    table[n++] = (struct option){OPTION_STRING, "crl", 0, "FILE", "Its revocation list.", &a->crl};
    table[n++] = (struct option){OPTION_UINT, "agents", 'n', "N", "How many.", &a->agents};
    table[n++] = (struct option){OPTION_UINT, "first", 0, "N", "Number of the first one, for names; 1.", &a->first};
    table[n++] =
        (struct option){OPTION_STRING, "name", 0, "FORMAT", "Their names; \"node-{n:04}.example.com\".", &a->name};
    table[n++] = (struct option){OPTION_UINT, "pcp", 0, "1|2", "Protocol version; 2.", &a->pcp};
    table[n++] = (struct option){
        OPTION_UINT, "rate", 'r', "N", "Connections started per second; as fast as they come without.", &a->rate};
    table[n++] = (struct option){OPTION_FLAG,
                                 "many-sources",
                                 0,
                                 NULL,
                                 "Source addresses rotate over 127.0.0.0/8 (loopback brokers): ports do not run out.",
                                 &a->many_sources};
    table[n++] = (struct option){OPTION_STRING, "behaviour", 0, "FILE", "JSON that says what tasks and puppet_run do.",
                                 &a->behaviour};
    table[n++] = (struct option){OPTION_UINT, "seed", 0, "N", "Of their choices; 1.", &a->seed};
    table[n++] = (struct option){OPTION_DURATION, "for", 0, "TIME", "Stop after this time.", &a->for_ms};
    table[n++] = (struct option){OPTION_HEADING, NULL, 0, NULL, "Services the agents use", NULL};
    table[n++] = (struct option){
        OPTION_LIST,  "primary", 0, "URL", "Puppet Server that task files come from; again for failover.",
        &a->primaries};
    table[n++] = (struct option){
        OPTION_STRING, "puppetdb", 0, "URL", "PuppetDB that reports of made-up Puppet runs go to.", &a->puppetdb};
    table[n++] = (struct option){OPTION_STRING, "cert", 0, "FILE", "Certificate for downloads and reports.", &a->cert};
    table[n++] = (struct option){OPTION_STRING, "key", 0, "FILE", "Its private key.", &a->key};
    table[n++] = (struct option){OPTION_HEADING, NULL, 0, NULL, "Output", NULL};
    table[n++] = (struct option){OPTION_FLAG, "json", 0, NULL, "Print a JSON report at the end.", &a->json};
    table[n++] = (struct option){OPTION_STRING, "log", 0, "FILE", "Log of the agents.", &a->log_file};
    table[n++] = (struct option){
        OPTION_FLAG, "die-with-parent", 0, NULL, "Stop when the process that started it ends.", &a->die_with_parent};
    table[n] = (struct option)OPTION_END;
    return &cl;
}

void fleet_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx) {
    each(ctx, fleet_line(NULL));
}

/* ---- status and end */

static double seconds_since(const struct fleet_run *r, uint64_t us) {
    return (double)(us - r->begun_us) / 1e6;
}

static void look(struct fleet_run *r) {
    r->last = fleet_counts(r->fleet);
    r->most_connected = r->last.connected > r->most_connected ? r->last.connected : r->most_connected;
    if (r->all_connected_us == 0 && r->last.connected == r->last.agents) {
        r->all_connected_us = world_now_us(r->world);
        if (!r->args.json && !r->terminal) {
            printf("%u agents connected after %.2f s\n", r->last.agents, seconds_since(r, r->all_connected_us));
            fflush(stdout);
        }
    }
}

static void on_status(void *ctx) {
    struct fleet_run *r = ctx;
    look(r);
    if (r->terminal) {
        printf("\r\033[K%u/%u connected  %llu messages  %llu tasks (%llu running)  %llu reconnects  %.0f s",
               r->last.connected, r->last.agents, (unsigned long long)r->last.messages,
               (unsigned long long)r->last.tasks_started, (unsigned long long)r->last.tasks_running,
               (unsigned long long)r->last.disconnects, seconds_since(r, world_now_us(r->world)));
        fflush(stdout);
    }
    world_timer_start(r->world, &r->status, STATUS_MS, on_status, r);
}

static void on_stopped(void *ctx) {
    struct fleet_run *r = ctx;
    r->fleet = NULL;
    real_world_stop(r->world);
}

static void stop(void *ctx) {
    struct fleet_run *r = ctx;
    if (!r->stopping) {
        r->stopping = true;
        look(r);
        world_timer_stop(r->world, &r->status);
        world_timer_stop(r->world, &r->end);
        fleet_stop(r->fleet, on_stopped, r);
    }
}

static void print_report(const struct fleet_run *r) {
    const struct reports_counts reports = r->reports != NULL ? reports_counts(r->reports) : (struct reports_counts){0};
    if (!r->args.json) {
        printf("%s%u agents, %u connected at most, %llu messages, %llu tasks, %llu left running, %llu reports sent, "
               "%llu not\n",
               r->terminal ? "\n" : "", r->last.agents, r->most_connected, (unsigned long long)r->last.messages,
               (unsigned long long)r->last.tasks_started, (unsigned long long)r->last.tasks_running,
               (unsigned long long)reports.sent, (unsigned long long)(reports.failed + reports.waiting));
        return;
    }
    json_t *line =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "agents", (json_int_t)r->last.agents,
                  "connected_most", (json_int_t)r->most_connected, "connects", (json_int_t)r->last.connects,
                  "disconnects", (json_int_t)r->last.disconnects, "messages", (json_int_t)r->last.messages, "tasks",
                  (json_int_t)r->last.tasks_started, "tasks_left", (json_int_t)r->last.tasks_running, "reports_sent",
                  (json_int_t)reports.sent, "reports_failed", (json_int_t)(reports.failed + reports.waiting));
    json_set(line, "all_connected_s",
             r->all_connected_us != 0 ? json_real(seconds_since(r, r->all_connected_us)) : json_null());
    char *text = json_text(line);
    puts(text);
    mem_free(text);
    json_decref(line);
}

/* ---- start */

static bool check(const struct fleet_args *a, struct error *err) {
    return (a->brokers.count > 0 || error_set(err, "usage", "--broker is needed")) &&
           (a->ca != NULL || error_set(err, "usage", "--ca is needed")) &&
           (a->ca_key != NULL || error_set(err, "usage", "--ca-key is needed")) &&
           ((a->agents > 0 && a->agents <= AGENTS_MAX) ||
            error_set(err, "usage", "--agents must be 1 to %d", AGENTS_MAX)) &&
           (a->pcp == 1 || a->pcp == 2 || error_set(err, "usage", "--pcp is 1 or 2")) &&
           ((a->cert == NULL) == (a->key == NULL) || error_set(err, "usage", "--cert and --key go together")) &&
           (a->name == NULL || fleet_name_format_valid(a->name) ||
            error_set(err, "usage", "--name \"%s\" needs exactly one {n} or {n:WIDTH}", a->name));
}

static struct behaviours *read_behaviours(struct fleet_run *r, struct error *err) {
    if (r->args.behaviour == NULL) {
        return behaviours_new(NULL, err);
    }
    struct buf text = BUF_INIT;
    struct behaviours *b = NULL;
    if (world_file_read(r->world, r->args.behaviour, BEHAVIOUR_MAX, &text, err)) {
        json_t *spec = json_parse(buf_span(&text), "usage", err);
        b = spec != NULL ? behaviours_new(spec, err) : NULL;
        if (b == NULL) {
            error_prefix(err, "%s", r->args.behaviour);
        }
        json_decref(spec);
    }
    buf_free(&text);
    return b;
}

static void on_report(void *ctx, const char *node, const json_t *report) {
    struct fleet_run *r = ctx;
    if (r->reports != NULL) {
        reports_send(r->reports, node, report);
    }
}

static bool start(struct fleet_run *r, struct certs_ca *ca, struct world_tls *tls, const struct behaviours *behaviours,
                  const struct logger *log, struct error *err) {
    const struct fleet_args *a = &r->args;
    if (a->puppetdb != NULL) {
        r->reports = reports_new(r->world, a->puppetdb, tls);
    }
    struct fleet_opts opts = {
        .world = r->world,
        .ca = ca,
        .ca_file = a->ca,
        .crl_file = a->crl,
        .fetch_tls = tls,
        .brokers = a->brokers.items,
        .broker_count = a->brokers.count,
        .primaries = a->primaries.items,
        .primary_count = a->primaries.count,
        .version = a->pcp == 1 ? PCP_V1 : PCP_V2,
        .name_format = a->name,
        .first = (uint32_t)a->first,
        .count = (uint32_t)a->agents,
        .per_second = (uint32_t)a->rate,
        .many_sources = a->many_sources,
        .behaviours = behaviours,
        .seed = a->seed,
        .report = on_report,
        .report_ctx = r,
        .log = log,
    };
    r->begun_us = world_now_us(r->world);
    r->fleet = fleet_new(&opts, err);
    return r->fleet != NULL;
}

static int run(struct fleet_run *r) {
    struct error err = ERROR_INIT;
    struct logger log = {.name = "fleet", .level = LOG_OFF};
    struct real_log *sink = NULL;
    struct certs_ca *ca = NULL;
    struct world_tls *tls = NULL;
    struct behaviours *behaviours = NULL;
    bool ok = check(&r->args, &err) && enough_descriptors(r->args.agents + DESCRIPTORS_ELSE, &err) &&
              (r->world = real_world_new(&err)) != NULL &&
              (ca = certs_ca_open(r->args.ca, r->args.ca_key, &err)) != NULL &&
              (behaviours = read_behaviours(r, &err)) != NULL;
    if (ok) {
        struct world_tls_files files = {.ca = r->args.ca, .crl = r->args.crl, .cert = r->args.cert, .key = r->args.key};
        tls = world_tls_new(r->world, &files, &err);
        ok = tls != NULL;
    }
    if (ok && r->args.log_file != NULL) {
        sink = real_log_open(r->args.log_file, false, &err);
        log = (struct logger){.name = "fleet", .level = LOG_INFO, .write = real_log_write, .ctx = sink};
        ok = sink != NULL;
    }
    if (ok && (ok = start(r, ca, tls, behaviours, &log, &err))) {
        r->terminal = !r->args.json && isatty(STDOUT_FILENO);
        real_signal(r->world, SIGINT, stop, r);
        real_signal(r->world, SIGTERM, stop, r);
        if (r->args.die_with_parent) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
        }
        world_timer_start(r->world, &r->status, STATUS_MS, on_status, r);
        if (r->args.for_ms != 0) {
            world_timer_start(r->world, &r->end, r->args.for_ms, stop, r);
        }
        real_world_run(r->world);
        print_report(r);
    }
    reports_free(r->reports);
    behaviours_free(behaviours);
    world_tls_free(tls);
    certs_ca_free(ca);
    if (r->world != NULL) {
        real_world_free(r->world);
    }
    real_log_close(sink);
    return ok ? DALANG_OK : dalang_trouble(r->cl, &err);
}

int fleet_command(int argc, char *const argv[]) {
    struct fleet_run r = {.args = {.first = 1, .pcp = 2, .seed = 1}};
    struct option_list words = {NULL, 0};
    int code = DALANG_OK;
    r.cl = fleet_line(&r.args);
    if (dalang_parse(r.cl, argc, argv, &words, &code)) {
        if (words.count > 0) {
            struct error err = ERROR_INIT;
            error_set(&err, "usage", "\"%s\" is no option", words.items[0]);
            code = dalang_trouble(r.cl, &err);
        } else {
            code = run(&r);
        }
    }
    option_list_free(&words);
    option_list_free(&r.args.brokers);
    option_list_free(&r.args.primaries);
    return code;
}
