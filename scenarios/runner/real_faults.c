/* See real_faults.h. */
#include "scenarios/runner/real_faults.h"

#include "base/mem.h"
#include "scenarios/runner/shape.h"
#include "simulator/faults/faults.h"
#include "simulator/fleet/behaviour.h"
#include <string.h>

static const uint64_t DOWN_US = 1000000;

/* Something that ends: by its time, or when all is healed. */
struct lasting {
    struct list_link link;
    struct real_faults *faults;
    struct timer end;
    void (*undo)(struct lasting *l);
    uint64_t *rules;
    size_t rule_count, rule_cap;
    char *name;
};

struct real_faults {
    struct world *world;
    struct fault_net *net;
    struct real_faults_hooks hooks;
    struct rng rng;
    struct list lasting;
};

static struct lasting *lasting_new(struct real_faults *f, void (*undo)(struct lasting *l), const char *name) {
    struct lasting *l = mem_zalloc(sizeof(*l));
    l->faults = f;
    l->undo = undo;
    l->name = str_dup(name);
    list_push_back(&f->lasting, &l->link);
    return l;
}

static void lasting_free(struct lasting *l) {
    world_timer_stop(l->faults->world, &l->end);
    list_remove(&l->faults->lasting, &l->link);
    mem_free(l->rules);
    mem_free(l->name);
    mem_free(l);
}

static void lasting_end(void *ctx) {
    struct lasting *l = ctx;
    l->undo(l);
    lasting_free(l);
}

static uint64_t duration(struct real_faults *f, const json_t *value, uint64_t otherwise_us) {
    struct dist d;
    return value != NULL && duration_dist(value, &d, NULL) ? dist_draw(&d, &f->rng) : otherwise_us;
}

static void end_after(struct lasting *l, const json_t *spec) {
    const json_t *value = json_object_get(spec, "for");
    if (value != NULL) {
        world_timer_start(l->faults->world, &l->end, duration(l->faults, value, 0) / 1000, lasting_end, l);
    }
}

/* ---- hosts */

struct hosts {
    const char **names; /* NULL: any */
    size_t count, cap;
};

static void push(struct hosts *h, const char *name) {
    h->names = mem_grow((void *)h->names, &h->cap, h->count + 1, sizeof(char *));
    h->names[h->count++] = name;
}

static bool add_host(struct real_faults *f, struct hosts *h, const char *text, struct error *err) {
    size_t len = strlen(text), before = h->count;
    if (strcmp(text, "*") == 0) {
        push(h, NULL);
        return true;
    }
    if (text[len - 1] != '*') {
        push(h, text);
        return f->hooks.known(f->hooks.ctx, text) || error_set(err, "fault/unknown-host", "there is no host %s", text);
    }
    const char *name;
    for (size_t i = 0; (name = f->hooks.host_at(f->hooks.ctx, i)) != NULL; i++) {
        if (strncmp(name, text, len - 1) == 0) {
            push(h, name);
        }
    }
    return h->count > before || error_set(err, "fault/unknown-host", "there is no host like %s", text);
}

static bool read_hosts(struct real_faults *f, const json_t *value, struct hosts *h, struct error *err) {
    bool ok = true;
    if (value == NULL) {
        push(h, NULL);
    } else if (json_is_string(value)) {
        ok = add_host(f, h, json_string_value(value), err);
    }
    for (size_t i = 0; ok && i < json_array_size(value); i++) {
        ok = add_host(f, h, json_string_value(json_array_get(value, i)), err);
    }
    return ok;
}

/* ---- links */

static uint32_t ratio(const json_t *o) {
    return (uint32_t)(json_number_value(json_object_get(o, "ratio")) * 1000000 + 0.5);
}

static bool link_fault_of(const char *kind, const json_t *o, struct link_fault *out) {
    *out = (struct link_fault){.cut = strcmp(kind, "partition") == 0};
    out->slow = strcmp(kind, "delay") == 0 && duration_dist(json_object_get(o, "latency"), &out->latency_us, NULL);
    out->loss_ppm = strcmp(kind, "drop") == 0 ? ratio(o) : 0;
    out->corrupt_ppm = strcmp(kind, "corrupt") == 0 ? ratio(o) : 0;
    out->refuse_ppm = strcmp(kind, "refuse") == 0 ? ratio(o) : 0;
    out->reset_ppm = strcmp(kind, "reset") == 0 ? ratio(o) : 0;
    out->bytes_per_s = strcmp(kind, "throttle") == 0 ? (uint64_t)json_int(o, "bytes_per_s", 0) : 0;
    struct dist by;
    if (strcmp(kind, "reorder") == 0 && duration_dist(json_object_get(o, "by"), &by, NULL)) {
        out->late_us = by.a;
    }
    /* A copy that TCP drops: nothing of it is seen above it. */
    return out->cut || out->slow || out->loss_ppm != 0 || out->corrupt_ppm != 0 || out->refuse_ppm != 0 ||
           out->reset_ppm != 0 || out->bytes_per_s != 0 || out->late_us != 0;
}

static void drop_rules(struct lasting *l) {
    for (size_t i = 0; i < l->rule_count; i++) {
        fault_net_drop(l->faults->net, l->rules[i]);
    }
}

static void add_rule(struct lasting *l, const char *from, const char *to, const struct link_fault *fault) {
    l->rules = mem_grow(l->rules, &l->rule_cap, l->rule_count + 1, sizeof(*l->rules));
    l->rules[l->rule_count++] = fault_net_add(l->faults->net, from, to, fault);
}

static bool begin_link(struct real_faults *f, const char *kind, const json_t *o, const json_t *spec,
                       struct error *err) {
    struct hosts as = {NULL, 0, 0}, bs = {NULL, 0, 0};
    struct link_fault fault;
    bool both = json_bool(o, "symmetric", true), lasts = link_fault_of(kind, o, &fault);
    bool ok = read_hosts(f, json_object_get(o, "a"), &as, err) && read_hosts(f, json_object_get(o, "b"), &bs, err);
    struct lasting *l = ok && lasts ? lasting_new(f, drop_rules, NULL) : NULL;
    for (size_t i = 0; ok && i < as.count * bs.count; i++) {
        const char *a = as.names[i / bs.count], *b = bs.names[i % bs.count];
        if (l != NULL) {
            add_rule(l, a, b, &fault);
            if (both && !str_eq(a, b)) {
                add_rule(l, b, a, &fault);
            }
        } else if (strcmp(kind, "reset") == 0) {
            const char *name;
            for (size_t k = 0; a == NULL && (name = f->hooks.host_at(f->hooks.ctx, k)) != NULL; k++) {
                fault_net_reset(f->net, name, b);
            }
            if (a != NULL) {
                fault_net_reset(f->net, a, b);
            }
        }
    }
    if (l != NULL) {
        end_after(l, spec);
    }
    mem_free((void *)as.names);
    mem_free((void *)bs.names);
    return ok;
}

/* ---- the other kinds */

static void start_again(struct lasting *l) {
    l->faults->hooks.start(l->faults->hooks.ctx, l->name, NULL);
}

static bool begin_kill(struct real_faults *f, const json_t *value, const json_t *spec, struct error *err) {
    struct hosts h = {NULL, 0, 0};
    bool ok = read_hosts(f, value, &h, err), comes_back = json_object_get(spec, "restart") != NULL;
    if (ok && json_bool(spec, "power", false)) {
        ok = error_set(err, "fault/unsupported", "no machine loses its power in the real world");
    }
    for (size_t i = 0; ok && i < h.count; i++) {
        ok = h.names[i] != NULL ? f->hooks.kill(f->hooks.ctx, h.names[i], err)
                                : error_set(err, "fault", "name who is to be killed");
        if (ok) {
            struct lasting *l = lasting_new(f, start_again, h.names[i]);
            if (comes_back) {
                uint64_t down_us = duration(f, json_object_get(spec, "down_for"), DOWN_US);
                world_timer_start(f->world, &l->end, down_us / 1000, lasting_end, l);
            }
        }
    }
    mem_free((void *)h.names);
    return ok;
}

static bool begin_half_close(struct real_faults *f, const json_t *o, const json_t *spec, struct error *err) {
    struct hosts gone = {NULL, 0, 0}, peers = {NULL, 0, 0};
    (void)spec;
    bool ok =
        read_hosts(f, json_object_get(o, "gone"), &gone, err) && read_hosts(f, json_object_get(o, "peer"), &peers, err);
    for (size_t i = 0; ok && i < gone.count * peers.count; i++) {
        const char *a = gone.names[i / peers.count];
        ok = a != NULL || error_set(err, "fault", "name the hosts whose ends vanish");
        if (ok) {
            fault_net_half_close(f->net, a, peers.names[i % peers.count]);
        }
    }
    mem_free((void *)gone.names);
    mem_free((void *)peers.names);
    return ok;
}

static bool begin_clock(struct real_faults *f, const json_t *o, const json_t *spec, struct error *err) {
    struct hosts h = {NULL, 0, 0};
    const char *jump = json_str(o, "jump");
    uint64_t us = 0;
    (void)spec;
    bool back = jump != NULL && jump[0] == '-';
    bool ok = jump != NULL && duration_us(jump + (back ? 1 : 0), &us);
    ok = ok ? read_hosts(f, json_object_get(o, "host"), &h, err)
            : error_set(err, "fault/unsupported", "clocks jump in the real world, they do not drift");
    for (size_t i = 0; ok && i < h.count; i++) {
        if (h.names[i] != NULL) {
            fault_net_clock(f->net, h.names[i], (int64_t)(us / 1000) * (back ? -1 : 1));
        }
    }
    mem_free((void *)h.names);
    return ok;
}

static void heal_service(struct lasting *l) {
    l->faults->hooks.service(l->faults->hooks.ctx, l->name, NULL, NULL);
}

static bool begin_service(struct real_faults *f, const json_t *o, const json_t *spec, struct error *err) {
    json_t *fault = json_copy((json_t *)(uintptr_t)o);
    char *name = str_dup(json_str(o, "name"));
    json_object_del(fault, "name");
    bool ok = f->hooks.service(f->hooks.ctx, name, fault, err);
    if (ok) {
        struct lasting *l = lasting_new(f, heal_service, name);
        end_after(l, spec);
    }
    mem_free(name);
    json_decref(fault);
    return ok;
}

static void renew(struct lasting *l) {
    l->faults->hooks.renew(l->faults->hooks.ctx, l->name, NULL);
}

static bool begin_certificate(struct real_faults *f, const json_t *o, const json_t *spec, struct error *err) {
    const char *name = json_str(o, "revoke");
    if (!f->hooks.revoke(f->hooks.ctx, name, err)) {
        return false;
    }
    struct lasting *l = lasting_new(f, renew, name);
    end_after(l, spec);
    return true;
}

static bool unsupported(struct real_faults *f, const json_t *o, const json_t *spec, struct error *err) {
    (void)f, (void)o, (void)spec;
    return error_set(err, "fault/unsupported", "this fault is one of the simulated world: worlds: [sim]");
}

static const struct {
    const char *key;
    bool (*begin)(struct real_faults *f, const json_t *value, const json_t *spec, struct error *err);
} kinds[] = {
    {"kill", begin_kill},   {"restart", begin_kill},    {"half_close", begin_half_close},
    {"clock", begin_clock}, {"service", begin_service}, {"certificate", begin_certificate},
    {"pause", unsupported}, {"disk", unsupported},
};
static const char *const links[] = {"partition", "delay",   "drop",   "duplicate", "reorder",
                                    "throttle",  "corrupt", "refuse", "reset"};

bool real_faults_apply(struct real_faults *f, const json_t *spec, struct error *err) {
    if (!faults_check(spec, err)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const json_t *value = json_object_get(spec, kinds[i].key);
        if (value != NULL) {
            return kinds[i].begin(f, value, spec, err);
        }
    }
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        const json_t *value = json_object_get(spec, links[i]);
        if (value != NULL) {
            return begin_link(f, links[i], value, spec, err);
        }
    }
    return unsupported(f, spec, spec, err);
}

bool real_faults_heal(struct real_faults *f, struct error *err) {
    (void)err;
    LIST_EACH_SAFE (k, next, &f->lasting) {
        lasting_end(LIST_ITEM(k, struct lasting, link));
    }
    return true;
}

struct real_faults *real_faults_new(struct world *w, struct fault_net *net, const struct real_faults_hooks *hooks,
                                    uint64_t seed) {
    struct real_faults *f = mem_zalloc(sizeof(*f));
    f->world = w;
    f->net = net;
    f->hooks = *hooks;
    f->rng = rng_derive(seed, "faults", NULL);
    list_init(&f->lasting);
    return f;
}

void real_faults_free(struct real_faults *f) {
    if (f == NULL) {
        return;
    }
    LIST_EACH_SAFE (k, next, &f->lasting) {
        lasting_free(LIST_ITEM(k, struct lasting, link));
    }
    mem_free(f);
}
