/* See load.h. */
#include "simulator/bench/load.h"

#include "base/mem.h"
#include "base/url.h"
#include "simulator/bench/process.h"
#include "world/real.h"

#include <stdio.h>
#include <string.h>

enum {
    PATIENCE_MS = 30000,  /* without anything having moved */
    REFUSED_MAX = 1000,   /* in one load_open() */
    RETRY_MS = 50,        /* nobody listened, or it dropped us */
    SOURCE_PORTS = 10000, /* connections from one local address */
};

struct line {
    struct load *load;
    size_t index;
    struct ws_peer *ws;
    char *uri;
    struct real_credential *credential;
    struct timer again;
    bool open;
};

struct load {
    struct load_opts opts;
    struct url url;
    char *path;
    struct line **lines;
    size_t count, cap, opening;
    struct load_counts counts;
    size_t refused_before; /* this load_open() */
    char *trouble;
    uint64_t moved_ns;
};

static const struct ws_handler handler;

struct load *load_new(const struct load_opts *opts, struct error *err) {
    struct load *l = mem_zalloc(sizeof(*l));
    l->opts = *opts;
    l->opts.type = opts->type != NULL ? opts->type : PCP_TYPE_AGENT;
    l->trouble = str_dup("");
    if (!url_parse(opts->url, &l->url, err)) {
        error_prefix(err, "\"%s\"", opts->url);
    } else if (strcmp(l->url.scheme, "wss") != 0) {
        error_set(err, "usage", "\"%s\" is no wss:// URL", opts->url);
    } else {
        const bool slash = span_ends_with(span_of(l->url.target), "/");
        l->path = str_printf("%s%s%s", l->url.target, slash ? "" : "/", l->opts.type);
        return l;
    }
    load_free(l);
    return NULL;
}

static void line_free(struct line *line) {
    struct load *l = line->load;
    if (line->ws != NULL) {
        ws_abort(line->ws);
        l->counts.connections -= line->open;
        l->opening -= !line->open;
    }
    world_timer_stop(l->opts.world, &line->again);
    real_credential_free(line->credential);
    mem_free(line->uri);
    mem_free(line);
}

void load_shrink(struct load *l, size_t count) {
    while (l->count > count) {
        line_free(l->lines[--l->count]);
    }
}

void load_free(struct load *l) {
    if (l != NULL) {
        load_shrink(l, 0);
        url_free(&l->url);
        mem_free(l->lines);
        mem_free(l->path);
        mem_free(l->trouble);
        mem_free(l);
    }
}

/* ---- one connection */

static void dial(struct line *line) {
    struct load *l = line->load;
    char source[24];
    const uint32_t host = (uint32_t)(line->index / SOURCE_PORTS) + 2;
    snprintf(source, sizeof(source), "127.0.%u.%u", host >> 8, host & 255);
    struct ws_connect opts = {
        .to = {.host = l->url.host,
               .port = l->url.port,
               .tls = l->opts.tls,
               .credential = line->credential,
               .source = l->opts.many_sources ? source : NULL,
               .timeout_ms = 4 * PATIENCE_MS},
        .path = l->path,
        .limits = {.handshake_timeout_ms = 4 * PATIENCE_MS},
    };
    line->ws = ws_connect(l->opts.world, &opts, &handler, line);
    l->opening++;
}

static bool start_line(struct load *l, struct error *err) {
    char *name = str_printf("%s-%06zu.bench", l->opts.prefix, l->count + 1);
    struct line *line = mem_zalloc(sizeof(*line));
    line->load = l;
    line->index = l->count;
    line->credential = certs_mint(l->opts.ca, name, l->opts.key, world_wall_ms(l->opts.world), err);
    line->uri = pcp_uri_new(span_of(name), span_of(l->opts.type));
    mem_free(name);
    l->lines = mem_grow(l->lines, &l->cap, l->count + 1, sizeof(*l->lines));
    l->lines[l->count++] = line;
    if (line->credential == NULL) {
        return false;
    }
    dial(line);
    return true;
}

static void on_open(void *ctx, struct ws_peer *p) {
    struct line *line = ctx;
    (void)p;
    line->open = true;
    line->load->opening--;
    line->load->counts.connections++;
    line->load->moved_ns = clock_ns();
    real_credential_free(line->credential); /* the connection has its own by now */
    line->credential = NULL;
}

static void on_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    struct line *line = ctx;
    (void)p, (void)text;
    if (line->load->opts.on_message != NULL) {
        line->load->opts.on_message(line->load->opts.ctx, line->index, payload);
    }
}

static void dial_again(void *ctx) {
    dial(ctx);
}

static void on_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct line *line = ctx;
    struct load *l = line->load;
    (void)p;
    mem_free(l->trouble);
    l->trouble = code == 1006 ? span_dup(reason) : str_printf("%u %.*s", code, (int)reason.len, reason.ptr);
    line->ws = NULL;
    if (line->open) {
        line->open = false;
        l->counts.connections--;
        l->counts.lost++;
        return;
    }
    l->opening--;
    l->counts.refused++;
    world_timer_start(l->opts.world, &line->again, RETRY_MS, dial_again, line);
}

static const struct ws_handler handler = {.on_open = on_open, .on_message = on_message, .on_close = on_close};

/* ---- many */

static void nothing(void *ctx) {
    (void)ctx;
}

static bool may_go_on(struct load *l, struct error *err) {
    if (l->counts.refused - l->refused_before > REFUSED_MAX ||
        (l->counts.connections == 0 && l->counts.refused - l->refused_before > 3) ||
        clock_ns() - l->moved_ns > (uint64_t)PATIENCE_MS * 1000000) {
        return error_set(err, "bench", "%s:%u: %s", l->url.host, l->url.port,
                         l->trouble[0] != '\0' ? l->trouble : "no connection opens any more");
    }
    return true;
}

bool load_open(struct load *l, size_t count, size_t in_progress, struct error *err) {
    struct timer look = {0}; /* so that a silent broker does not hold us for ever */
    bool ok = true;
    l->refused_before = l->counts.refused;
    l->moved_ns = clock_ns();
    const size_t lost = l->counts.lost;
    while (ok && l->counts.connections < count && l->counts.lost == lost) {
        for (int burst = 0; ok && burst < 64 && l->count < count && l->opening < in_progress; burst++) {
            ok = start_line(l, err);
        }
        if (look.place == 0) {
            world_timer_start(l->opts.world, &look, RETRY_MS, nothing, NULL);
        }
        real_world_turn(l->opts.world, !(l->count < count && l->opening < in_progress));
        ok = ok && may_go_on(l, err);
    }
    world_timer_stop(l->opts.world, &look);
    return ok && (l->counts.lost == lost ||
                  error_set(err, "bench", "%s:%u ended a connection: %s", l->url.host, l->url.port, l->trouble));
}

static void set_over(void *ctx) {
    *(bool *)ctx = true;
}

void load_idle(struct load *l, uint64_t ms) {
    struct timer timer = {0};
    bool over = false;
    world_timer_start(l->opts.world, &timer, ms, set_over, &over);
    while (!over) {
        real_world_turn(l->opts.world, true);
    }
}

struct load_counts load_counts(const struct load *l) {
    return l->counts;
}

const char *load_trouble(const struct load *l) {
    return l->trouble;
}

struct ws_peer *load_peer(const struct load *l, size_t index) {
    return l->lines[index]->open ? l->lines[index]->ws : NULL;
}

const char *load_uri(const struct load *l, size_t index) {
    return l->lines[index]->uri;
}

enum pcp_version load_version(const struct load *l) {
    return l->opts.version;
}

struct world *load_world(const struct load *l) {
    return l->opts.world;
}
