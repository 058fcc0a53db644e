/* See live.h. */
#include "simulator/faults/live.h"

#include "base/mem.h"
#include "simulator/faults/internal.h"
#include "simulator/fleet/behaviour.h"
#include <string.h>

static const uint64_t DOWN_MS = 1000, AGAIN_MS = 1000;

/* Something that ends: by its time, or when all is healed. */
struct lasting {
    struct list_link link;
    struct live_faults *faults;
    struct timer end;
    bool (*undo)(struct lasting *l, struct error *err); /* false: not yet */
    uint64_t *rules;
    size_t rule_count, rule_cap;
    char *name;
};

struct live_faults {
    struct world *world;
    struct netfaults *net;
    struct live_faults_hooks hooks;
    struct rng rng;
    struct list lasting;
};

static struct lasting *lasting_new(struct live_faults *f, bool (*undo)(struct lasting *l, struct error *err),
                                   const char *name) {
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

static void on_end(void *ctx);

static bool lasting_end(struct lasting *l, struct error *err) {
    if (!l->undo(l, err)) {
        world_timer_start(l->faults->world, &l->end, AGAIN_MS, on_end, l);
        return false;
    }
    lasting_free(l);
    return true;
}

static void on_end(void *ctx) {
    struct error err = ERROR_INIT;
    lasting_end(ctx, &err);
    error_clear(&err);
}

/* After the time that the description says; never without one. */
static void end_after(struct lasting *l, const json_t *time) {
    struct dist d;
    if (time != NULL && duration_dist(time, &d, NULL)) {
        world_timer_start(l->faults->world, &l->end, dist_draw(&d, &l->faults->rng) / 1000, on_end, l);
    }
}

/* ---- hosts */

static struct known_hosts known_of(const struct live_faults *f) {
    return (struct known_hosts){f->hooks.find, f->hooks.at, f->hooks.ctx};
}

static bool read_one(struct live_faults *f, const json_t *value, const char *where, char ***names, size_t *count,
                     struct error *err) {
    struct known_hosts known = known_of(f);
    return hosts_read(&known, value, where, names, count, err);
}

/* Who is not named is anybody. */
static bool read_end(struct live_faults *f, const json_t *o, const char *key, const char *where, char ***names,
                     size_t *count, struct error *err) {
    struct known_hosts known = known_of(f);
    const json_t *value = json_object_get(o, key);
    json_t *any = json_string("*");
    bool ok = hosts_patterns(&known, value != NULL ? value : any, where, names, count, err);
    json_decref(any);
    return ok;
}

/* ---- links */

static bool drop_rules(struct lasting *l, struct error *err) {
    (void)err;
    for (size_t i = 0; i < l->rule_count; i++) {
        netfaults_drop(l->faults->net, l->rules[i]);
    }
    return true;
}

static void add_rule(struct lasting *l, const char *from, const char *to, const struct link_fault *fault) {
    l->rules = mem_grow(l->rules, &l->rule_cap, l->rule_count + 1, sizeof(*l->rules));
    l->rules[l->rule_count++] = netfaults_add(l->faults->net, from, to, fault);
}

static bool begin_link(struct live_faults *f, const char *kind, const json_t *o, const json_t *spec,
                       struct error *err) {
    char **as = NULL, **bs = NULL;
    size_t a_count = 0, b_count = 0;
    struct link_fault fault = {.cut = false};
    bool both = json_bool(o, "symmetric", true);
    bool ok = link_fault_read(o, kind, &fault, err) && read_end(f, o, "a", kind, &as, &a_count, err) &&
              read_end(f, o, "b", kind, &bs, &b_count, err);
    bool now = strcmp(kind, "reset") == 0 && fault.reset_ppm == 0;
    struct lasting *l = ok && !now ? lasting_new(f, drop_rules, NULL) : NULL;
    for (size_t i = 0; ok && i < a_count * b_count; i++) {
        const char *a = as[i / b_count], *b = bs[i % b_count];
        if (now) {
            netfaults_reset(f->net, a, b);
            continue;
        }
        add_rule(l, a, b, &fault);
        if (both && !str_eq(a, b)) {
            add_rule(l, b, a, &fault);
        }
    }
    if (l != NULL) {
        end_after(l, json_object_get(spec, "for"));
    }
    hosts_free(as, a_count);
    hosts_free(bs, b_count);
    return ok;
}

static bool begin_half_close(struct live_faults *f, const json_t *o, const json_t *spec, struct error *err) {
    char **gone = NULL, **peers = NULL;
    size_t gone_count = 0, peer_count = 0;
    (void)spec;
    bool ok = read_end(f, o, "gone", "half_close.gone", &gone, &gone_count, err) &&
              read_end(f, o, "peer", "half_close.peer", &peers, &peer_count, err);
    for (size_t i = 0; ok && i < gone_count * peer_count; i++) {
        const char *a = gone[i / peer_count];
        ok = a != NULL || error_set(err, "fault", "half_close.gone: name the hosts whose ends vanish");
        if (ok) {
            netfaults_half_close(f->net, a, peers[i % peer_count]);
        }
    }
    hosts_free(gone, gone_count);
    hosts_free(peers, peer_count);
    return ok;
}

/* ---- processes */

static bool start_again(struct lasting *l, struct error *err) {
    return l->faults->hooks.start(l->faults->hooks.ctx, l->name, err);
}

/* Who is down already stays so until the later fault ends. */
static void forget_down(struct live_faults *f, const char *name) {
    LIST_EACH_SAFE (k, next, &f->lasting) {
        struct lasting *l = LIST_ITEM(k, struct lasting, link);
        if (l->undo == start_again && strcmp(l->name, name) == 0) {
            lasting_free(l);
        }
    }
}

static bool kill_one(struct live_faults *f, const char *name, const json_t *spec, struct error *err) {
    if (!f->hooks.kill(f->hooks.ctx, name, err)) {
        return false;
    }
    forget_down(f, name);
    struct lasting *l = lasting_new(f, start_again, name);
    if (json_object_get(spec, "restart") != NULL) {
        world_timer_start(f->world, &l->end, DOWN_MS, on_end, l);
        end_after(l, json_object_get(spec, "down_for"));
    }
    return true;
}

static bool begin_kill(struct live_faults *f, const json_t *value, const json_t *spec, struct error *err) {
    char **names = NULL;
    size_t count = 0;
    const char *kind = json_object_get(spec, "restart") != NULL ? "restart" : "kill";
    if (json_bool(spec, "power", false) || json_object_get(spec, "slow_start") != NULL) {
        return error_set(err, "fault/unsupported",
                         "%s: only machines of the simulated world lose their power or start slowly", kind);
    }
    bool ok = read_one(f, value, kind, &names, &count, err);
    for (size_t i = 0; ok && i < count; i++) {
        ok = names[i] != NULL || error_set(err, "fault", "%s: not everything can be killed at once: name hosts", kind);
        ok = ok && kill_one(f, names[i], spec, err);
    }
    hosts_free(names, count);
    return ok;
}

static bool begin_clock(struct live_faults *f, const json_t *o, const json_t *spec, struct error *err) {
    char **names = NULL;
    size_t count = 0;
    const char *jump = json_str(o, "jump");
    struct dist d = dist_fixed(0);
    (void)spec;
    if (jump == NULL) {
        return error_set(err, "fault/unsupported", "clock: clocks jump in the real world, they do not drift");
    }
    bool back = jump[0] == '-';
    json_t *text = json_string(jump + (back ? 1 : 0));
    bool ok =
        duration_dist(text, &d, err) && read_one(f, json_object_get(o, "host"), "clock.host", &names, &count, err);
    for (size_t i = 0; ok && i < count; i++) {
        ok = names[i] != NULL || error_set(err, "fault", "clock.host: name whose clocks jump");
        ok = ok && (netfaults_clock(f->net, names[i], (int64_t)(d.a / 1000) * (back ? -1 : 1)) ||
                    error_set(err, "fault/unsupported", "clock.host: %s has no clock of its own here", names[i]));
    }
    json_decref(text);
    hosts_free(names, count);
    return ok;
}

/* ---- services, certificates */

static bool heal_service(struct lasting *l, struct error *err) {
    return l->faults->hooks.service(l->faults->hooks.ctx, l->name, NULL, err);
}

static bool begin_service(struct live_faults *f, const json_t *o, const json_t *spec, struct error *err) {
    json_t *fault = json_copy((json_t *)(uintptr_t)o);
    char *name = str_dup(json_str(o, "name"));
    json_object_del(fault, "name");
    bool ok = f->hooks.service(f->hooks.ctx, name, fault, err);
    if (ok) {
        end_after(lasting_new(f, heal_service, name), json_object_get(spec, "for"));
    }
    mem_free(name);
    json_decref(fault);
    return ok;
}

static bool renew(struct lasting *l, struct error *err) {
    return l->faults->hooks.renew(l->faults->hooks.ctx, l->name, err);
}

static bool begin_certificate(struct live_faults *f, const json_t *o, const json_t *spec, struct error *err) {
    const char *revoke = json_str(o, "revoke"), *name = revoke != NULL ? revoke : json_str(o, "expire");
    if (!(revoke != NULL ? f->hooks.revoke : f->hooks.expire)(f->hooks.ctx, name, err)) {
        return false;
    }
    end_after(lasting_new(f, renew, name), json_object_get(spec, "for"));
    return true;
}

/* ---- all of them */

static const struct {
    const char *key;
    bool (*begin)(struct live_faults *f, const json_t *value, const json_t *spec, struct error *err);
} kinds[] = {
    {"kill", begin_kill},   {"restart", begin_kill},    {"half_close", begin_half_close},
    {"clock", begin_clock}, {"service", begin_service}, {"certificate", begin_certificate},
};
static const char *const elsewhere[] = {"pause", "disk"};

bool live_faults_apply(struct live_faults *f, const json_t *spec, struct error *err) {
    const char *key;
    json_t *value;
    if (!faults_check(spec, err)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
        if (json_object_get(spec, elsewhere[i]) != NULL) {
            return error_set(err, "fault/unsupported", "%s: this fault is one of the simulated world: worlds: [sim]",
                             elsewhere[i]);
        }
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if ((value = json_object_get(spec, kinds[i].key)) != NULL) {
            return kinds[i].begin(f, value, spec, err);
        }
    }
    json_object_foreach((json_t *)(uintptr_t)spec, key, value) {
        if (json_is_object(value) && strcmp(key, "for") != 0) {
            return begin_link(f, key, value, spec, err);
        }
    }
    return true; /* not reached: faults_check() lets no other kind pass */
}

bool live_faults_heal(struct live_faults *f, struct error *err) {
    bool ok = true;
    LIST_EACH_SAFE (k, next, &f->lasting) {
        ok = lasting_end(LIST_ITEM(k, struct lasting, link), ok ? err : NULL) && ok;
    }
    return ok;
}

struct live_faults *live_faults_new(struct world *w, struct netfaults *net, const struct live_faults_hooks *hooks,
                                    uint64_t seed) {
    struct live_faults *f = mem_zalloc(sizeof(*f));
    f->world = w;
    f->net = net;
    f->hooks = *hooks;
    f->rng = rng_derive(seed, "faults", NULL);
    list_init(&f->lasting);
    return f;
}

void live_faults_free(struct live_faults *f) {
    if (f == NULL) {
        return;
    }
    LIST_EACH_SAFE (k, next, &f->lasting) {
        lasting_free(LIST_ITEM(k, struct lasting, link));
    }
    mem_free(f);
}
