/* See fleet_watch.h. */
#include "simulator/dalang/fleet_watch.h"

#include "base/mem.h"
#include "net/http_server.h"
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    LOOK_MS = 100,
    LOOKS_PER_STATUS = 10,
    OUTAGES_MAX = 1000,
    OUTAGE_PERCENT = 90, /* fewer than so many connected, after all were: an outage */
    CHURN_PERCENT = 99,  /* with churn there are always some away */
    COLUMNS_DEFAULT = 120,
};

struct outage {
    uint64_t begun_us, healed_us; /* healed_us 0: not yet */
    uint64_t lowest;
};

struct fleet_watch {
    const struct fleet_args *args;
    struct world *world;
    struct fleet_source source;
    uint64_t agents;
    uint32_t processes;
    struct timer timer;
    struct tally *now, *before; /* before: a second ago */
    uint32_t looks;
    uint64_t begun_us, all_us;    /* all_us: when all were connected for the first time; 0: never */
    uint64_t all_cpu_us, all_rss; /* at that time */
    uint64_t most, end_connected, end_rss, end_us, end_cpu_us;
    struct outage outages[OUTAGES_MAX];
    size_t outage_count;
    bool in_outage, terminal, ended;
    struct http_server *server;
    char *listen_host;
};

/* ---- looking */

static void look(struct fleet_watch *v) {
    tally_clear(v->now);
    v->source.add_to(v->source.ctx, v->now);
}

static double seconds(const struct fleet_watch *v, uint64_t us) {
    return (double)(us - v->begun_us) / 1e6;
}

static void say(const struct fleet_watch *v, const char *text) {
    if (!v->args->json) {
        printf("%s%s\n", v->terminal ? "\r\033[K" : "", text);
        fflush(stdout);
    }
}

static void note_outages(struct fleet_watch *v) {
    uint64_t connected = v->now->n.connected, now = world_now_us(v->world);
    struct outage *o = v->outage_count > 0 ? &v->outages[v->outage_count - 1] : NULL;
    if (v->in_outage) {
        o->lowest = connected < o->lowest ? connected : o->lowest;
        uint64_t whole = v->args->churn_per_million != 0 ? v->agents * CHURN_PERCENT / 100 : v->agents;
        if (connected >= whole) {
            o->healed_us = now;
            v->in_outage = false;
            char text[120];
            snprintf(text, sizeof(text), "lost the brokers (%llu of %llu agents were left); healed after %.2f s",
                     (unsigned long long)o->lowest, (unsigned long long)v->agents, (double)(now - o->begun_us) / 1e6);
            say(v, text);
        }
    } else if (v->all_us != 0 && connected < (v->agents * OUTAGE_PERCENT + 99) / 100 && v->outage_count < OUTAGES_MAX) {
        v->outages[v->outage_count++] = (struct outage){now, 0, connected};
        v->in_outage = true;
    }
}

static void note(struct fleet_watch *v) {
    const struct tally_counts *n = &v->now->n;
    v->most = n->connected > v->most ? n->connected : v->most;
    if (v->all_us == 0 && n->connected == v->agents) {
        v->all_us = world_now_us(v->world);
        v->all_cpu_us = n->cpu_us;
        v->all_rss = n->rss_bytes;
        char text[80];
        snprintf(text, sizeof(text), "%llu agents connected after %.2f s", (unsigned long long)v->agents,
                 seconds(v, v->all_us));
        say(v, text);
    }
    note_outages(v);
}

/* Whoever acts on what a look has told finds the same in the report. */
static void look_and_note(struct fleet_watch *v) {
    look(v);
    note(v);
}

/* ---- the status line */

static double ms(const struct histogram *h, double percent) {
    return (double)histogram_percentile(h, percent) / 1000;
}

static void print_status(struct fleet_watch *v) {
    const struct tally *t = v->now, *b = v->before;
    char line[400];
    int len =
        snprintf(line, sizeof(line), "%llu/%llu connected  %llu/s  %llu messages/s  connect p50 %.1f p99 %.1f ms",
                 (unsigned long long)t->n.connected, (unsigned long long)v->agents,
                 (unsigned long long)(t->n.connects - b->n.connects),
                 (unsigned long long)(t->n.messages - b->n.messages), ms(&t->connect_us, 50), ms(&t->connect_us, 99));
    if (t->ping_us.count > 0) {
        len += snprintf(line + len, sizeof(line) - (size_t)len, "  ping p50 %.2f p99 %.2f ms", ms(&t->ping_us, 50),
                        ms(&t->ping_us, 99));
    }
    snprintf(line + len, sizeof(line) - (size_t)len, "  %llu errors  %llu tasks (%llu running)  %.0f s",
             (unsigned long long)(t->n.failures + t->n.unreadable + t->n.reports_failed),
             (unsigned long long)t->n.tasks, (unsigned long long)t->n.tasks_running,
             seconds(v, world_now_us(v->world)));
    struct winsize size;
    int columns = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT;
    printf("\r\033[K%.*s", columns - 1, line); /* a line that wraps could not be written over */
    fflush(stdout);
}

static void on_look(void *ctx) {
    struct fleet_watch *v = ctx;
    look_and_note(v);
    if (++v->looks % LOOKS_PER_STATUS == 0) {
        if (v->terminal) {
            print_status(v);
        }
        memcpy(v->before, v->now, sizeof(*v->before));
    }
    world_timer_start(v->world, &v->timer, LOOK_MS, on_look, v);
}

/* ---- Prometheus */

static void serve_metrics(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct fleet_watch *v = ctx;
    struct buf text = BUF_INIT;
    (void)route;
    look_and_note(v);
    tally_prometheus(v->now, &text);
    http_respond(ex, 200, "text/plain; version=0.0.4; charset=utf-8", buf_span(&text));
    buf_free(&text);
}

static const struct http_route routes[] = {{"GET", "/metrics", serve_metrics, NULL}, {NULL, NULL, NULL, NULL}};

static bool serve(struct fleet_watch *v, struct error *err) {
    const char *text = v->args->metrics, *colon = text != NULL ? strrchr(text, ':') : NULL;
    uint64_t port;
    if (text == NULL) {
        return true;
    }
    if (!span_to_u64(span_of(colon != NULL ? colon + 1 : text), &port) || port > 65535 || colon == text) {
        return error_set(err, "usage", "--metrics \"%s\" must be PORT or ADDRESS:PORT", text);
    }
    v->listen_host = colon != NULL ? span_dup((struct span){text, (size_t)(colon - text)}) : str_dup("127.0.0.1");
    struct http_server_opts opts = {
        .listen = {.host = v->listen_host, .port = (uint16_t)port}, .routes = routes, .ctx = v, .connections_max = 16};
    v->server = http_server_new(v->world, &opts, err);
    if (v->server != NULL) {
        fprintf(stderr, "metrics: http://%s:%u/metrics\n", v->listen_host, (unsigned)http_server_port(v->server));
    }
    return v->server != NULL;
}

/* ---- life */

struct fleet_watch *fleet_watch_new(const struct fleet_args *a, struct world *w, const struct fleet_source *source,
                                    uint64_t agents, uint32_t processes, struct error *err) {
    struct fleet_watch *v = mem_zalloc(sizeof(*v));
    v->args = a;
    v->world = w;
    v->source = *source;
    v->agents = agents;
    v->processes = processes;
    v->now = tally_new();
    v->before = tally_new();
    v->terminal = !a->json && isatty(STDOUT_FILENO);
    v->begun_us = world_now_us(w);
    if (!serve(v, err)) {
        fleet_watch_free(v);
        return NULL;
    }
    world_timer_start(w, &v->timer, LOOK_MS, on_look, v);
    return v;
}

void fleet_watch_free(struct fleet_watch *v) {
    if (v == NULL) {
        return;
    }
    world_timer_stop(v->world, &v->timer);
    if (v->server != NULL) {
        http_server_free(v->server);
    }
    mem_free(v->listen_host);
    mem_free(v->now);
    mem_free(v->before);
    mem_free(v);
}

void fleet_watch_before_end(struct fleet_watch *v) {
    look_and_note(v);
    world_timer_stop(v->world, &v->timer);
    v->ended = true;
    v->end_us = world_now_us(v->world);
    v->end_connected = v->now->n.connected;
    v->end_rss = v->now->n.rss_bytes;
    v->end_cpu_us = v->now->n.cpu_us;
}

/* ---- the report */

/* What agents cost: their cores (with certificates), and what connections add. */
struct cost {
    double core_kb, connection_kb, cpu_percent;
};

static struct cost cost_of(const struct fleet_watch *v) {
    const struct tally_counts *n = &v->now->n;
    struct cost c = {0};
    if (n->agents > 0 && n->rss_made >= n->rss_begin) {
        c.core_kb = (double)(n->rss_made - n->rss_begin) / 1024 / (double)n->agents;
    }
    if (v->all_us != 0 && v->all_rss >= n->rss_made) {
        c.connection_kb = (double)(v->all_rss - n->rss_made) / 1024 / (double)n->agents;
    }
    if (v->all_us != 0 && v->end_us > v->all_us) {
        c.cpu_percent = 100.0 * (double)(v->end_cpu_us - v->all_cpu_us) / (double)(v->end_us - v->all_us);
    }
    return c;
}

static json_t *outages_json(const struct fleet_watch *v) {
    json_t *list = json_array();
    for (size_t i = 0; i < v->outage_count; i++) {
        const struct outage *o = &v->outages[i];
        json_t *item = json_pack("{s:f, s:I}", "at_s", seconds(v, o->begun_us), "lowest", (json_int_t)o->lowest);
        json_set(item, "healed_s", o->healed_us != 0 ? json_real((double)(o->healed_us - o->begun_us) / 1e6) : NULL);
        json_array_append_new(list, item);
    }
    return list;
}

static json_t *report_json(const struct fleet_watch *v) {
    const struct tally *t = v->now;
    struct cost c = cost_of(v);
    json_t *out = json_object();
    tally_report(t, out);
    json_object_del(out, "stopping");
    json_set(out, "connected", json_integer((json_int_t)v->end_connected));
    json_set(out, "rss_bytes", json_integer((json_int_t)v->end_rss));
    json_set(out, "connected_most", json_integer((json_int_t)v->most));
    json_set(out, "processes", json_integer(v->processes));
    json_set(out, "elapsed_s", json_real(seconds(v, v->end_us)));
    json_set(out, "all_connected_s", v->all_us != 0 ? json_real(seconds(v, v->all_us)) : NULL);
    json_set(out, "rss_connected_bytes", v->all_us != 0 ? json_integer((json_int_t)v->all_rss) : NULL);
    json_set(out, "core_kb", json_real(c.core_kb));
    json_set(out, "connection_kb", v->all_us != 0 ? json_real(c.connection_kb) : NULL);
    json_set(out, "cpu_percent_connected", v->all_us != 0 ? json_real(c.cpu_percent) : NULL);
    json_set(out, "connect", tally_quantiles(&t->connect_us));
    json_set(out, "ping", tally_quantiles(&t->ping_us));
    json_set(out, "healed", tally_quantiles(&t->healed_us));
    json_set(out, "outages", outages_json(v));
    json_set(out, "undone",
             json_pack("{s:I, s:I, s:I}", "agents_not_connected", (json_int_t)(v->agents - v->end_connected),
                       "tasks_running", (json_int_t)t->n.tasks_running, "reports_not_sent",
                       (json_int_t)(t->n.reports_failed + t->n.reports_waiting)));
    json_set(out, "last_error", t->last_error[0] != '\0' ? json_str_new(span_of(t->last_error)) : NULL);
    return out;
}

static void print_distribution(const char *name, const struct histogram *h) {
    if (h->count > 0) {
        printf("%-10s p50 %.2f ms  p90 %.2f ms  p99 %.2f ms  longest %.2f ms  (%llu)\n", name, ms(h, 50), ms(h, 90),
               ms(h, 99), (double)h->max / 1000, (unsigned long long)h->count);
    }
}

static void print_text(const struct fleet_watch *v) {
    const struct tally *t = v->now;
    const struct tally_counts *n = &t->n;
    struct cost c = cost_of(v);
    printf("%s%llu agents, %llu connected at most, %llu at the end, %.1f s\n", v->terminal ? "\r\033[K" : "",
           (unsigned long long)v->agents, (unsigned long long)v->most, (unsigned long long)v->end_connected,
           seconds(v, v->end_us));
    print_distribution("connect", &t->connect_us);
    print_distribution("ping", &t->ping_us);
    print_distribution("healed", &t->healed_us);
    printf("%-10s %llu messages, %llu tasks, %llu restarts, %llu connections lost, %llu attempts failed\n", "counted",
           (unsigned long long)n->messages, (unsigned long long)n->tasks, (unsigned long long)n->restarts,
           (unsigned long long)n->disconnects, (unsigned long long)n->failures);
    if (n->reports + n->registered + n->removed + n->reports_failed > 0) {
        printf("%-10s %llu reports, %llu nodes made known, %llu deactivated, %llu refused\n", "PuppetDB",
               (unsigned long long)n->reports, (unsigned long long)n->registered, (unsigned long long)n->removed,
               (unsigned long long)n->reports_failed);
    }
    if (v->all_us != 0) {
        printf("%-10s %.0f MB: %.1f KB a core, %.1f KB a connection; CPU while connected: %.1f %% of a core\n", "cost",
               (double)v->end_rss / 1e6, c.core_kb, c.connection_kb, c.cpu_percent);
    }
    printf("%-10s %llu agents not connected, %llu tasks running, %llu reports not sent\n", "undone",
           (unsigned long long)(v->agents - v->end_connected), (unsigned long long)n->tasks_running,
           (unsigned long long)(n->reports_failed + n->reports_waiting));
    if (t->last_error[0] != '\0') {
        printf("%-10s %s\n", "last error", t->last_error);
    }
}

bool fleet_watch_report(struct fleet_watch *v) {
    look(v);
    if (v->args->json) {
        json_t *report = report_json(v);
        char *text = json_text(report);
        puts(text);
        mem_free(text);
        json_decref(report);
    } else {
        print_text(v);
    }
    fflush(stdout);
    return v->now->n.connects > 0;
}
