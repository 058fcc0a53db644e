/* See fault_net.h: hosts, rules, and what happens to everybody at once. */
#include "scenarios/runner/fault_net_internal.h"

#include "base/mem.h"
#include <string.h>

/* ---- rules */

static bool concerns(const char *rule, const char *name) {
    return rule == NULL || strcmp(rule, name) == 0;
}

struct link_fault fault_net_effect(const struct fault_net *n, const char *from, const char *to) {
    struct link_fault sum = {.cut = false};
    LIST_EACH (k, &n->rules) {
        const struct link_rule *rule = LIST_ITEM(k, struct link_rule, link);
        const struct link_fault *f = &rule->fault;
        if (!concerns(rule->from, from) || !concerns(rule->to, to)) {
            continue;
        }
        sum.cut = sum.cut || f->cut;
        if (f->slow) {
            sum.slow = true;
            sum.latency_us = f->latency_us;
        }
        sum.late_us = f->late_us > sum.late_us ? f->late_us : sum.late_us;
        if (f->bytes_per_s != 0 && (sum.bytes_per_s == 0 || f->bytes_per_s < sum.bytes_per_s)) {
            sum.bytes_per_s = f->bytes_per_s;
        }
        sum.loss_ppm += f->loss_ppm;
        sum.corrupt_ppm += f->corrupt_ppm;
        sum.refuse_ppm += f->refuse_ppm;
        sum.reset_ppm += f->reset_ppm;
    }
    return sum;
}

uint64_t fault_net_add(struct fault_net *n, const char *from, const char *to, const struct link_fault *fault) {
    struct link_rule *rule = mem_zalloc(sizeof(*rule));
    rule->number = ++n->last_rule;
    rule->from = str_dup(from);
    rule->to = str_dup(to);
    rule->fault = *fault;
    list_push_back(&n->rules, &rule->link);
    return rule->number;
}

static void rule_free(struct fault_net *n, struct link_rule *rule) {
    list_remove(&n->rules, &rule->link);
    mem_free(rule->from);
    mem_free(rule->to);
    mem_free(rule);
}

void fault_net_drop(struct fault_net *n, uint64_t number) {
    LIST_EACH_SAFE (k, next, &n->rules) {
        struct link_rule *rule = LIST_ITEM(k, struct link_rule, link);
        if (rule->number == number) {
            rule_free(n, rule);
        }
    }
    LIST_EACH_SAFE (k, next, &n->conns) {
        fault_conn_wake(LIST_ITEM(k, struct fault_conn, link));
    }
}

/* ---- connections of two actors */

static bool between(const struct fault_conn *c, const char *a, const char *b) {
    bool forth = strcmp(c->host->name, a) == 0 && concerns(b, c->to);
    return forth || (strcmp(c->to, a) == 0 && concerns(b, c->host->name));
}

size_t fault_net_reset(struct fault_net *n, const char *a, const char *b) {
    size_t count = 0;
    LIST_EACH_SAFE (k, next, &n->conns) {
        struct fault_conn *c = LIST_ITEM(k, struct fault_conn, link);
        if (between(c, a, b)) {
            fault_conn_end(c, WORLD_CLOSE_RESET, "connection reset by peer");
            count++;
        }
    }
    return count;
}

size_t fault_net_half_close(struct fault_net *n, const char *gone, const char *peer) {
    size_t count = 0;
    LIST_EACH_SAFE (k, next, &n->conns) {
        struct fault_conn *c = LIST_ITEM(k, struct fault_conn, link);
        if (between(c, gone, peer)) {
            fault_conn_ghost(c, strcmp(c->host->name, gone) == 0);
            count++;
        }
    }
    return count;
}

/* ---- hosts */

static uint64_t now_us(void *impl) {
    return world_now_us(((struct fault_host *)impl)->net->below);
}
static int64_t wall_ms(void *impl) {
    const struct fault_host *h = impl;
    return world_wall_ms(h->net->below) + h->clock_ms;
}
static void timer_start(void *impl, struct timer *t, uint64_t delay_ms) {
    const struct world *w = ((struct fault_host *)impl)->net->below;
    w->time->timer_start(w->time_impl, t, delay_ms);
}
static void timer_stop(void *impl, struct timer *t) {
    const struct world *w = ((struct fault_host *)impl)->net->below;
    w->time->timer_stop(w->time_impl, t);
}
static void defer(void *impl, struct world_task *task) {
    const struct world *w = ((struct fault_host *)impl)->net->below;
    w->time->defer(w->time_impl, task);
}
static void undefer(void *impl, struct world_task *task) {
    const struct world *w = ((struct fault_host *)impl)->net->below;
    w->time->undefer(w->time_impl, task);
}
static void randomness(void *impl, void *out, size_t len) {
    const struct world *w = ((struct fault_host *)impl)->net->below;
    w->time->random(w->time_impl, out, len);
}
static void work(void *impl, void (*fn)(void *), void (*done)(void *), void *arg, uint32_t cost_us) {
    const struct world *w = ((struct fault_host *)impl)->net->below;
    w->time->work(w->time_impl, fn, done, arg, cost_us);
}
static const struct world_time_ops time_ops = {now_us, wall_ms, timer_start, timer_stop,
                                               defer,  undefer, randomness,  work};

static struct fault_host *host_named(struct fault_net *n, const char *name) {
    struct fault_host *h = map_get_cstr(&n->hosts, name);
    if (h == NULL) {
        h = mem_zalloc(sizeof(*h));
        h->net = n;
        h->name = str_dup(name);
        map_put(&n->hosts, span_of(name), h);
    }
    return h;
}

void fault_net_join(struct fault_net *n, struct world *w, const char *name) {
    struct fault_host *h = host_named(n, name);
    h->below_net = w->net;
    h->below_impl = w->net_impl;
    w->net = &fault_net_ops;
    w->net_impl = h;
    w->time = &time_ops;
    w->time_impl = h;
}

struct world *fault_net_host(struct fault_net *n, const char *name) {
    struct fault_host *h = host_named(n, name);
    if (h->world.net == NULL) {
        h->world = *n->below;
        fault_net_join(n, &h->world, name);
    }
    return &h->world;
}

struct world *fault_net_below(const struct world *host) {
    return ((const struct fault_host *)host->net_impl)->net->below;
}

void fault_net_port(struct fault_net *n, uint16_t port, const char *name) {
    mem_free(n->ports[port]);
    n->ports[port] = str_dup(name);
}

void fault_net_clock(struct fault_net *n, const char *host, int64_t jump_ms) {
    host_named(n, host)->clock_ms += jump_ms;
}

struct fault_net *fault_net_new(struct world *below, uint64_t seed) {
    struct fault_net *n = mem_zalloc(sizeof(*n));
    n->below = below;
    n->rng = rng_derive(seed, "fault net", NULL);
    n->ports = mem_array(UINT16_MAX + 1, sizeof(char *));
    list_init(&n->rules);
    list_init(&n->conns);
    return n;
}

void fault_net_free(struct fault_net *n) {
    LIST_EACH_SAFE (k, next, &n->conns) { /* only ghosts are left */
        fault_conn_drop(LIST_ITEM(k, struct fault_conn, link));
    }
    LIST_EACH_SAFE (k, next, &n->rules) {
        rule_free(n, LIST_ITEM(k, struct link_rule, link));
    }
    for (struct map_iter i = map_iter(&n->hosts); map_next(&i);) {
        struct fault_host *h = i.value;
        mem_free(h->name);
        mem_free(h);
    }
    map_free(&n->hosts);
    for (size_t i = 0; i <= UINT16_MAX; i++) {
        mem_free(n->ports[i]);
    }
    mem_free(n->ports);
    mem_free(n);
}
