/* See soak.h. Each of many slots holds one client at a time: it connects in one of several ways, does a few things and
 * ends in one of several ways; a moment later the slot's next client comes. */
#include "simulator/bench/soak.h"

#include "base/mem.h"
#include "net/ws_peer.h"
#include "pcp/message.h"
#include "simulator/bench/process.h"
#include "world/certs.h"
#include "world/real.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    START_MS = 20000,
    SETTLE_MS = 25000,  /* until all are gone … */
    TRIM_MS = 21000,    /* … and the broker has given memory back, as it does every ten seconds after a peak … */
    TRIM_CLIENTS = 100, /* … of at least so many */
    LOOK_MS = 250,
    PAUSE_MAX_MS = 6000,
    ACTIONS_MAX = 8,
    LARGE = 60000, /* bytes of some messages */
    REPORT_EVERY_MS = 500,
};

enum kind {
    KIND_AGENT,     /* version 2, takes part */
    KIND_V1,        /* version 1 */
    KIND_NAMESAKE,  /* has another slot's certificate: one of the two is superseded */
    KIND_WATCHER,   /* subscribes to the inventory */
    KIND_DEAF,      /* stops reading */
    KIND_BARE_TLS,  /* a connection on which nothing is said */
    KIND_HALF_OPEN, /* gone before the handshake is over */
    KIND_GARBAGE,   /* says what is no HTTP */
    KINDS
};
static const char *const kind_names[KINDS] = {"agents",    "version 1",   "namesakes",      "watchers",
                                              "deaf ones", "silent ones", "cut handshakes", "talkers of garbage"};
/* Of a hundred. */
static const unsigned shares[KINDS] = {55, 15, 5, 5, 5, 5, 5, 5};

struct soak;
struct slot {
    struct soak *soak;
    size_t index;
    struct real_credential *credential;
    char *uri;
    struct timer timer;
    enum kind kind;
    struct ws_peer *ws;
    struct world_conn *conn;
    unsigned actions; /* still to do */
};

struct soak {
    const struct bench_soak *b;
    struct process broker;
    struct certs_ca *ca;
    EVP_PKEY *key;
    struct world_tls *tls;
    uint16_t port;
    uint64_t rng;
    struct slot *slots;
    bool ending;
    uint64_t descriptors; /* of the broker before the first client */
    uint64_t connects[KINDS], messages, received, ended_by_broker, memory_most;
    char *large;
};

static uint64_t random_below(struct soak *s, uint64_t bound) { /* splitmix64 */
    uint64_t z = (s->rng += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (z ^ (z >> 31)) % bound;
}

/* ---- one client */

static void on_time(void *ctx);

static void rest(struct slot *slot) {
    world_timer_start(slot->soak->b->world, &slot->timer, 1 + random_below(slot->soak, PAUSE_MAX_MS), on_time, slot);
}

static void on_open(void *ctx, struct ws_peer *p) {
    (void)ctx, (void)p;
}

static void on_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    struct slot *slot = ctx;
    (void)p, (void)text, (void)payload;
    slot->soak->received++;
}

static void on_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct slot *slot = ctx;
    (void)p, (void)code, (void)reason;
    slot->ws = NULL;
    slot->soak->ended_by_broker++;
}

static const struct ws_handler ws_events = {.on_open = on_open, .on_message = on_message, .on_close = on_close};

static void on_bare_open(void *ctx, struct world_conn *c) {
    struct slot *slot = ctx;
    if (slot->kind == KIND_GARBAGE) {
        const struct span bytes = SPAN("\x16\x03 GET GET GET \r\n\r\n\r\n\xff\xff");
        world_conn_write(c, &bytes, 1);
    }
}

static void on_bare_data(void *ctx, struct world_conn *c, struct span bytes) {
    (void)ctx, (void)c, (void)bytes;
}

static void on_bare_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    struct slot *slot = ctx;
    (void)c, (void)why, (void)text;
    slot->conn = NULL;
    slot->soak->ended_by_broker++;
}

static const struct world_conn_handler bare_events = {
    .on_open = on_bare_open, .on_data = on_bare_data, .on_close = on_bare_close};

static enum kind choose_kind(struct soak *s) {
    unsigned at = (unsigned)random_below(s, 100);
    for (unsigned k = 0; k < KINDS; k++) {
        if (at < shares[k]) {
            return (enum kind)k;
        }
        at -= shares[k];
    }
    return KIND_AGENT;
}

static void begin_client(struct slot *slot) {
    struct soak *s = slot->soak;
    slot->kind = choose_kind(s);
    s->connects[slot->kind]++;
    slot->actions = 1 + (unsigned)random_below(s, ACTIONS_MAX);
    const struct slot *as = slot->kind == KIND_NAMESAKE ? &s->slots[random_below(s, s->b->clients)] : slot;
    const struct world_connect to = {.host = "127.0.0.1", .port = s->port, .tls = s->tls, .credential = as->credential};
    if (slot->kind == KIND_BARE_TLS || slot->kind == KIND_HALF_OPEN || slot->kind == KIND_GARBAGE) {
        slot->conn = world_connect(s->b->world, &to, &bare_events, slot);
        if (slot->kind == KIND_HALF_OPEN) {
            world_timer_start(s->b->world, &slot->timer, random_below(s, 10), on_time, slot);
            slot->actions = 0;
            return;
        }
    } else {
        const struct ws_connect opts = {.to = to, .path = slot->kind == KIND_V1 ? "/pcp/agent" : "/pcp2/agent"};
        slot->ws = ws_connect(s->b->world, &opts, &ws_events, slot);
    }
    rest(slot);
}

static void end_client(struct slot *slot) {
    if (slot->conn != NULL) {
        world_conn_abort(slot->conn);
        slot->conn = NULL;
    }
    if (slot->ws != NULL && (slot->soak->ending || random_below(slot->soak, 2) == 0)) {
        ws_abort(slot->ws); /* vanishes */
        slot->ws = NULL;
    } else if (slot->ws != NULL) {
        ws_pause(slot->ws, false);
        ws_close(slot->ws, 1000, ""); /* says good-bye; on_close follows */
    }
}

static void talk(struct slot *slot) {
    struct soak *s = slot->soak;
    const enum pcp_version version = slot->kind == KIND_V1 ? PCP_V1 : PCP_V2;
    const bool watch = slot->kind == KIND_WATCHER;
    const struct pcp_message m = {
        .id = SPAN("dac0be9c-0000-4000-8000-000000000000"),
        .message_type = watch ? SPAN(PCP_INVENTORY_REQUEST) : SPAN("http://puppetlabs.com/rpc_blocking_response"),
        .target = watch ? SPAN(PCP_SERVER_URI) : span_of(s->slots[random_below(s, s->b->clients)].uri),
        .sender = span_of(slot->uri),
        .data = watch                      ? SPAN("{\"query\":[\"pcp://*/agent\"],\"subscribe\":true}")
                : random_below(s, 20) == 0 ? span_of(s->large)
                                           : SPAN("{\"what\":\"something of a usual size\"}"),
        .expires_ms = world_wall_ms(s->b->world) + 60000,
    };
    struct buf bytes = BUF_INIT;
    pcp_encode(version, &m, &bytes);
    ws_send(slot->ws, pcp_is_text(version), &(struct span){bytes.ptr, bytes.len}, 1);
    buf_free(&bytes);
    s->messages++;
    if (slot->kind == KIND_DEAF) {
        ws_pause(slot->ws, true);
    }
}

static void on_time(void *ctx) {
    struct slot *slot = ctx;
    if (slot->ws == NULL && slot->conn == NULL) {
        begin_client(slot);
        return;
    }
    if (slot->actions == 0) {
        end_client(slot);
    } else {
        slot->actions--;
        if (slot->ws != NULL) {
            talk(slot);
        }
    }
    rest(slot);
}

/* ---- the broker */

static bool start_broker(struct soak *s, struct error *err) {
    static const char *const dns[] = {"localhost", NULL}, *const ip[] = {"127.0.0.1", NULL};
    const char *dir = s->b->dir;
    const int64_t now_ms = world_wall_ms(s->b->world);
    const struct certs_issue what = {
        .common_name = SPAN("broker"), .dns_names = dns, .ip_addresses = ip, .now_ms = now_ms};
    struct certs_paths files = {NULL, NULL};
    char *conf = str_printf("%s/broker.conf", dir), *log = str_printf("%s/broker.log", dir);
    char *ca = str_printf("%s/ca.pem", dir);
    struct buf port = BUF_INIT;
    s->ca = certs_dir_open(dir, &(struct certs_ca_opts){.now_ms = now_ms}, err);
    bool ok = s->ca != NULL && certs_dir_issue(s->ca, dir, &what, &files, err) &&
              world_file_write(s->b->world, conf, SPAN(""), 0600, WORLD_WRITE_PLAIN, err);
    if (ok) {
        const char *argv[] = {s->b->program, "--config", conf,     "--allow-all", "--host", "127.0.0.1", "--port", "0",
                              "--log-level", "info",     "--cert", files.cert,    "--key",  files.key,   "--ca",   ca,
                              NULL};
        ok = (process_start(&s->broker, argv, log, err) &&
              process_wait_for(&s->broker, "Listening on port ", START_MS, &port, err)) ||
             error_prefix(err, "dalang-broker");
    }
    if (ok) {
        s->port = (uint16_t)strtoul(port.ptr, NULL, 10);
        s->tls = world_tls_new(s->b->world, &(struct world_tls_files){.ca = ca}, err);
        ok = s->tls != NULL;
    }
    certs_paths_free(&files);
    buf_free(&port);
    mem_free(conf);
    mem_free(log);
    mem_free(ca);
    return ok;
}

static bool make_slots(struct soak *s, struct error *err) {
    s->key = certs_key_new(CERTS_KEY_EC_P256);
    s->slots = mem_array(s->b->clients, sizeof(*s->slots));
    s->large = mem_alloc(LARGE + 3);
    s->large[0] = '"';
    for (size_t i = 1; i <= LARGE; i++) {
        s->large[i] = 'x';
    }
    s->large[LARGE + 1] = '"';
    s->large[LARGE + 2] = '\0';
    for (size_t i = 0; i < s->b->clients; i++) {
        struct slot *slot = &s->slots[i];
        char name[40];
        snprintf(name, sizeof(name), "soak-%05zu.bench", i + 1);
        slot->soak = s;
        slot->index = i;
        slot->uri = pcp_uri_new(span_of(name), SPAN(PCP_TYPE_AGENT));
        slot->credential = certs_mint(s->ca, name, s->key, world_wall_ms(s->b->world), err);
        if (slot->credential == NULL) {
            return false;
        }
    }
    return true;
}

/* ---- phases */

static void say(const struct soak *s, const char *what, uint64_t left_ms) {
    if (s->b->progress != NULL) {
        char *text = str_printf("%s, %llu s left", what, (unsigned long long)(left_ms / 1000));
        s->b->progress(s->b->progress_ctx, text);
        mem_free(text);
    }
}

static void nothing(void *ctx) {
    (void)ctx;
}

static bool turn_for(struct soak *s, uint64_t ms, const char *what, struct error *err) {
    const uint64_t until = clock_ns() + ms * 1000000;
    struct timer look = {0};
    while (clock_ns() < until && process_descriptors(s->broker.pid) > 0) {
        say(s, what, (until - clock_ns()) / 1000000);
        const uint64_t now = process_anon_bytes(s->broker.pid), next = clock_ns() + REPORT_EVERY_MS * 1000000ULL;
        s->memory_most = now > s->memory_most ? now : s->memory_most;
        while (clock_ns() < next && clock_ns() < until) {
            if (look.place == 0) {
                world_timer_start(s->b->world, &look, 20, nothing, NULL);
            }
            real_world_turn(s->b->world, true);
        }
    }
    world_timer_stop(s->b->world, &look);
    return process_descriptors(s->broker.pid) > 0 || error_set(err, "bench", "the broker has ended");
}

static bool settle(struct soak *s, struct error *err) {
    bool ok = true;
    for (int looks = 0; ok && looks < SETTLE_MS / LOOK_MS && process_descriptors(s->broker.pid) > s->descriptors;
         looks++) {
        ok = turn_for(s, LOOK_MS, "all have gone", err);
    }
    return ok && (s->b->clients < TRIM_CLIENTS || turn_for(s, TRIM_MS, "the broker tidies up", err));
}

static bool wave(struct soak *s, uint64_t ms, const char *what, struct error *err) {
    s->ending = false;
    for (size_t i = 0; i < s->b->clients; i++) {
        rest(&s->slots[i]);
    }
    const bool ok = turn_for(s, ms, what, err);
    s->ending = true;
    for (size_t i = 0; i < s->b->clients; i++) {
        world_timer_stop(s->b->world, &s->slots[i].timer);
        end_client(&s->slots[i]);
    }
    return ok && settle(s, err);
}

struct look {
    double resident, anon, descriptors;
};

static struct look look_at(const struct soak *s) {
    return (struct look){(double)process_resident_bytes(s->broker.pid), (double)process_anon_bytes(s->broker.pid),
                         (double)process_descriptors(s->broker.pid)};
}

static void fill_report(const struct soak *s, json_t *r, const struct look *fresh, const struct look *before,
                        const struct look *after) {
    const size_t c = report_column(r, "dalang-broker", false);
    double connects = 0;
    for (unsigned k = 0; k < KINDS; k++) {
        char *key = str_printf("connects_%u", k), *label = str_printf("connections of %s", kind_names[k]);
        report_figure(r, key, label, "", c, (double)s->connects[k]);
        connects += (double)s->connects[k];
        mem_free(key);
        mem_free(label);
    }
    report_figure(r, "connects", "connections in all", "", c, connects);
    report_figure(r, "messages", "messages sent", "", c, (double)s->messages);
    report_figure(r, "received", "messages received", "", c, (double)s->received);
    report_figure(r, "ended_by_broker", "connections the broker ended, or answered the end of", "", c,
                  (double)s->ended_by_broker);
    report_figure(r, "memory_fresh", "memory before the first client", "B", c, fresh->resident);
    report_figure(r, "memory_before", "memory after a first wave had gone", "B", c, before->resident);
    report_figure(r, "memory_most", "memory at most, without programs' pages", "B", c, (double)s->memory_most);
    report_figure(r, "memory_after", "memory after all had gone", "B", c, after->resident);
    report_figure(r, "memory_ratio", "that, times the memory after the first wave", "x", c,
                  after->resident / before->resident);
    report_figure(r, "memory_ratio_fresh", "that, times the memory before the first client", "x", c,
                  after->resident / fresh->resident);
    report_figure(r, "descriptors_before", "descriptors before", "", c, fresh->descriptors);
    report_figure(r, "descriptors_after", "descriptors after", "", c, after->descriptors);
    report_figure(r, "descriptors_more", "descriptors more than before", "", c,
                  after->descriptors - fresh->descriptors);
    report_goal(r, "memory_ratio", c, REPORT_AT_MOST, 1.05);
    report_goal(r, "descriptors_more", c, REPORT_AT_MOST, 0);
}

static void soak_free(struct soak *s) {
    for (size_t i = 0; s->slots != NULL && i < s->b->clients; i++) {
        struct slot *slot = &s->slots[i];
        world_timer_stop(s->b->world, &slot->timer);
        if (slot->ws != NULL) {
            ws_abort(slot->ws);
        }
        if (slot->conn != NULL) {
            world_conn_abort(slot->conn);
        }
        real_credential_free(slot->credential);
        mem_free(slot->uri);
    }
    mem_free(s->slots);
    mem_free(s->large);
    process_end(&s->broker);
    world_tls_free(s->tls);
    EVP_PKEY_free(s->key);
    certs_ca_free(s->ca);
}

bool bench_soak_run(const struct bench_soak *b, json_t *report, struct error *err) {
    struct soak s = {.b = b, .rng = b->seed};
    const uint64_t first_ms = b->for_ms / 5 < 30000 ? b->for_ms / 5 : 30000;
    bool ok = start_broker(&s, err) && make_slots(&s, err);
    const struct look fresh = look_at(&s);
    s.descriptors = (uint64_t)fresh.descriptors;
    ok = ok && wave(&s, first_ms, "first wave", err);
    const struct look before = look_at(&s);
    ok = ok && wave(&s, b->for_ms, "soak", err);
    if (ok) {
        const struct look after = look_at(&s);
        fill_report(&s, report, &fresh, &before, &after);
    }
    soak_free(&s);
    return ok;
}
