/* The kinds of faults: what their descriptions hold, how they begin and end. */
#include "simulator/faults/internal.h"

#include "base/mem.h"
#include "base/option.h"
#include "simulator/fleet/behaviour.h"
#include <stdlib.h>
#include <string.h>

static const uint64_t DOWN_US = SIM_SECOND;
static const uint64_t LATENCY_MAX_US = SIM_HOUR;

/* ---- reading numbers, durations, and links' ends; every message names its place */

static bool wrong(struct error *err, const char *where, const char *what) {
    return error_set_details(err, "fault", json_pack("{s:s}", "key", where), "%s: %s", where, what);
}

static bool read_duration(const json_t *value, const char *where, struct dist *out, struct error *err) {
    struct error own = ERROR_INIT;
    if (duration_dist(value, out, &own)) {
        return true;
    }
    wrong(err, where, own.msg);
    error_clear(&own);
    return false;
}

/* "-1h" is a duration, too. */
static bool read_signed(const json_t *value, const char *where, int64_t *out_ms, struct error *err) {
    const char *text = json_string_value(value);
    bool back = text != NULL && *text == '-';
    json_t *rest = json_string(text == NULL ? "" : back ? text + 1 : text);
    struct dist d;
    bool ok = read_duration(rest, where, &d, err);
    json_decref(rest);
    *out_ms = ok ? (int64_t)(d.a / 1000) * (back ? -1 : 1) : 0;
    return ok;
}

static bool read_ratio(const json_t *object, const char *key, const char *where, uint32_t *out_ppm, struct error *err) {
    const json_t *value = json_object_get(object, key);
    double ratio = json_number_value(value);
    if (!json_is_number(value) || ratio < 0 || ratio > 1) {
        return wrong(err, where, "a ratio between 0 and 1 is wanted");
    }
    *out_ppm = (uint32_t)(ratio * 1000000 + 0.5);
    return true;
}

static bool only_keys(const json_t *object, const char *where, const char *const *keys, struct error *err) {
    const char *key;
    json_t *value;
    size_t count = 0;
    while (keys[count] != NULL) {
        count++;
    }
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        bool known = false;
        for (size_t i = 0; i < count; i++) {
            known = known || strcmp(keys[i], key) == 0;
        }
        if (!known) {
            const char *near = nearest_word(key, keys, count);
            char *at = str_printf("%s%s%s", where, *where != '\0' ? "." : "", key);
            error_set_details(err, "fault", json_pack("{s:s}", "key", at), "%s: unknown key%s%s%s", at,
                              near != NULL ? "; did you mean " : "", near != NULL ? near : "", near != NULL ? "?" : "");
            mem_free(at);
            return false;
        }
    }
    return true;
}

/* ---- hosts */

static const char *find_host(void *ctx, const char *name) {
    const struct world *host = sim_find_host(ctx, name);
    return host != NULL ? sim_host_name(host) : NULL;
}
static const char *host_at(void *ctx, size_t i) {
    return i < sim_host_count(ctx) ? sim_host_name(sim_host_at(ctx, i)) : NULL;
}

static bool read_hosts(struct faults *f, const json_t *value, const char *where, char ***names, size_t *count,
                       struct error *err) {
    struct known_hosts known = {find_host, host_at, f != NULL ? f->sim : NULL};
    return hosts_read(f != NULL ? &known : NULL, value, where, names, count, err);
}

/* ---- faults that last */

static struct active *active_new(struct faults *f) {
    struct active *a = mem_zalloc(sizeof(*a));
    a->faults = f;
    list_push_back(&f->active, &a->link);
    return a;
}

static void drop_effects(struct faults *f, const struct active *a) {
    bool any = false;
    LIST_EACH_SAFE (k, next, &f->effects) {
        struct link_effect *e = LIST_ITEM(k, struct link_effect, link);
        if (e->owner == a) {
            list_remove(&f->effects, &e->link);
            mem_free(e->from);
            mem_free(e->to);
            mem_free(e);
            any = true;
        }
    }
    if (any) {
        links_apply(f);
    }
}

static void active_end(struct active *a) {
    struct faults *f = a->faults;
    drop_effects(f, a);
    if (a->undo != NULL) {
        a->undo(f, a);
    }
    sim_timer_stop(f->sim, &a->end);
    list_remove(&f->active, &a->link);
    hosts_free(a->hosts, a->host_count);
    mem_free(a->name);
    mem_free(a);
}

static void on_end(void *ctx) {
    struct active *a = ctx;
    sim_note(a->faults->sim, NULL, "fault ends");
    active_end(a);
}

/* ---- faults of links */

static const struct link_kind {
    const char *key;
    const char *keys[7]; /* in the object */
} link_kinds[] = {
    {"partition", {"a", "b", "symmetric", NULL}},
    {"delay", {"a", "b", "symmetric", "latency", NULL}},
    {"drop", {"a", "b", "symmetric", "ratio", NULL}},
    {"duplicate", {"a", "b", "symmetric", "ratio", NULL}},
    {"reorder", {"a", "b", "symmetric", "by", "ratio", NULL}},
    {"throttle", {"a", "b", "symmetric", "bytes_per_s", NULL}},
    {"corrupt", {"a", "b", "symmetric", "ratio", NULL}},
    {"refuse", {"a", "b", "symmetric", "ratio", NULL}},
    {"reset", {"a", "b", "symmetric", "ratio", NULL}},
};

static const uint32_t REORDER_PPM = 500000; /* of the packets, when it is not said */

bool link_fault_read(const json_t *o, const char *kind, struct link_fault *e, struct error *err) {
    struct dist d;
    uint32_t ppm = 0;
    if (strcmp(kind, "partition") == 0) {
        e->cut = true;
        return true;
    }
    if (strcmp(kind, "delay") == 0) {
        e->slow = true;
        return read_duration(json_object_get(o, "latency"), "delay.latency", &e->latency_us, err);
    }
    if (strcmp(kind, "reorder") == 0) {
        if (!read_duration(json_object_get(o, "by"), "reorder.by", &d, err)) {
            return false;
        }
        e->late_us = d.a < LATENCY_MAX_US ? d.a : LATENCY_MAX_US;
        e->late_ppm = REORDER_PPM;
        return (json_object_get(o, "ratio") == NULL || read_ratio(o, "ratio", "reorder.ratio", &e->late_ppm, err)) &&
               (e->late_us != 0 || wrong(err, "reorder.by", "a duration above 0 is wanted"));
    }
    if (strcmp(kind, "throttle") == 0) {
        int64_t bytes = json_int(o, "bytes_per_s", 0);
        e->bytes_per_s = (uint64_t)bytes;
        return bytes > 0 || wrong(err, "throttle.bytes_per_s", "a number of bytes above 0 is wanted");
    }
    if (strcmp(kind, "reset") == 0 && json_object_get(o, "ratio") == NULL) {
        return true; /* now, not for a while */
    }
    char where[32];
    snprintf(where, sizeof(where), "%s.ratio", kind);
    if (!read_ratio(o, "ratio", where, &ppm, err)) {
        return false;
    }
    e->loss_ppm = strcmp(kind, "drop") == 0 ? ppm : 0;
    e->corrupt_ppm = strcmp(kind, "corrupt") == 0 ? ppm : 0;
    e->refuse_ppm = strcmp(kind, "refuse") == 0 ? ppm : 0;
    e->reset_ppm = strcmp(kind, "reset") == 0 ? ppm : 0;
    e->duplicate_ppm = strcmp(kind, "duplicate") == 0 ? ppm : 0;
    return true;
}

static void add_effect(struct active *a, const struct link_fault *fault, const char *from, const char *to) {
    struct link_effect *e = mem_zalloc(sizeof(*e));
    e->fault = *fault;
    e->owner = a;
    e->from = str_dup(from);
    e->to = str_dup(to);
    list_push_back(&a->faults->effects, &e->link);
}

static void reset_now(struct faults *f, const char *a, const char *b) {
    if (a == NULL) {
        for (size_t i = 0; i < sim_host_count(f->sim); i++) {
            reset_now(f, sim_host_name(sim_host_at(f->sim, i)), b);
        }
        return;
    }
    sim_reset_connections(sim_find_host(f->sim, a), b != NULL ? sim_find_host(f->sim, b) : NULL);
}

static bool begin_link(struct faults *f, const struct link_kind *kind, const json_t *o, struct active **out,
                       struct error *err) {
    struct link_fault fault = {.cut = false};
    char **as = NULL, **bs = NULL;
    size_t a_count = 0, b_count = 0;
    json_t *any = json_string("*");
    const json_t *a = json_object_get(o, "a"), *b = json_object_get(o, "b");
    bool both = json_bool(o, "symmetric", true);
    bool ok = json_is_object(o) || wrong(err, kind->key, "an object with a and b is wanted");
    ok = ok && only_keys(o, kind->key, kind->keys, err) && link_fault_read(o, kind->key, &fault, err) &&
         read_hosts(f, a != NULL ? a : any, kind->key, &as, &a_count, err) &&
         read_hosts(f, b != NULL ? b : any, kind->key, &bs, &b_count, err);
    bool now = strcmp(kind->key, "reset") == 0 && fault.reset_ppm == 0;
    if (ok && f != NULL && !now) {
        *out = active_new(f);
    }
    for (size_t i = 0; ok && f != NULL && i < a_count * b_count; i++) {
        const char *from = as[i / b_count], *to = bs[i % b_count];
        if (now) {
            reset_now(f, from, to);
            continue;
        }
        add_effect(*out, &fault, from, to);
        if (both && !str_eq(from, to)) {
            add_effect(*out, &fault, to, from);
        }
    }
    if (ok && f != NULL && !now) {
        links_apply(f);
    }
    hosts_free(as, a_count);
    hosts_free(bs, b_count);
    json_decref(any);
    return ok;
}

/* ---- the other kinds: each reads its description, and acts unless f is NULL */

static bool read_down(const json_t *spec, struct crash_plan *plan, struct error *err) {
    const json_t *down = json_object_get(spec, "down_for"), *slow = json_object_get(spec, "slow_start");
    struct dist d = dist_fixed(DOWN_US), s = dist_fixed(0);
    bool ok = (down == NULL || read_duration(down, "down_for", &d, err)) &&
              (slow == NULL || read_duration(slow, "slow_start", &s, err));
    *plan = (struct crash_plan){.kind = json_bool(spec, "power", false) ? SIM_CRASH_POWER : SIM_CRASH_KILL,
                                .comes_back = true,
                                .down_us = d.a,
                                .slow_us = s.a};
    return ok;
}

static bool begin_kill(struct faults *f, const json_t *value, const json_t *spec, struct active **out,
                       struct error *err) {
    char **names;
    size_t count;
    (void)out;
    if (!read_hosts(f, value, "kill", &names, &count, err)) {
        return false;
    }
    struct crash_plan plan = {.kind = json_bool(spec, "power", false) ? SIM_CRASH_POWER : SIM_CRASH_KILL};
    bool ok = f == NULL || crash_hosts(f, names, count, &plan, err);
    hosts_free(names, count);
    return ok;
}

static bool begin_restart(struct faults *f, const json_t *value, const json_t *spec, struct active **out,
                          struct error *err) {
    char **names = NULL;
    size_t count = 0;
    struct crash_plan plan;
    (void)out;
    if (!read_down(spec, &plan, err) || !read_hosts(f, value, "restart", &names, &count, err)) {
        return false;
    }
    bool ok = f == NULL || crash_hosts(f, names, count, &plan, err);
    hosts_free(names, count);
    return ok;
}

static void each_host(struct faults *f, const struct active *a, void (*act)(struct world *host)) {
    for (size_t i = 0; i < a->host_count; i++) {
        for (size_t k = 0; a->hosts[i] == NULL && k < sim_host_count(f->sim); k++) {
            act(sim_host_at(f->sim, k));
        }
        if (a->hosts[i] != NULL) {
            act(sim_find_host(f->sim, a->hosts[i]));
        }
    }
}

static void pause_host(struct world *host) {
    sim_pause(host, true);
}
static void resume_host(struct world *host) {
    sim_pause(host, false);
}
static void resume_all(struct faults *f, struct active *a) {
    each_host(f, a, resume_host);
}

static bool begin_pause(struct faults *f, const json_t *value, const json_t *spec, struct active **out,
                        struct error *err) {
    char **names;
    size_t count;
    (void)spec;
    if (!read_hosts(f, value, "pause", &names, &count, err)) {
        return false;
    }
    if (f == NULL) {
        hosts_free(names, count);
        return true;
    }
    *out = active_new(f);
    (*out)->hosts = names;
    (*out)->host_count = count;
    (*out)->undo = resume_all;
    each_host(f, *out, pause_host);
    return true;
}

static bool begin_half_close(struct faults *f, const json_t *o, const json_t *spec, struct active **out,
                             struct error *err) {
    static const char *const keys[] = {"gone", "peer", NULL};
    char **gone = NULL, **peers = NULL;
    size_t gone_count = 0, peer_count = 0;
    json_t *any = json_string("*");
    const json_t *peer = json_object_get(o, "peer");
    (void)spec;
    (void)out;
    bool ok = (json_is_object(o) || wrong(err, "half_close", "an object with gone and peer is wanted")) &&
              only_keys(o, "half_close", keys, err) &&
              read_hosts(f, json_object_get(o, "gone"), "half_close.gone", &gone, &gone_count, err) &&
              read_hosts(f, peer != NULL ? peer : any, "half_close.peer", &peers, &peer_count, err);
    for (size_t i = 0; ok && f != NULL && i < gone_count * peer_count; i++) {
        const char *a = gone[i / peer_count], *b = peers[i % peer_count];
        if (a == NULL) {
            ok = wrong(err, "half_close.gone", "name the hosts whose ends vanish");
        } else {
            sim_half_open(sim_find_host(f->sim, a), b != NULL ? sim_find_host(f->sim, b) : NULL);
        }
    }
    hosts_free(gone, gone_count);
    hosts_free(peers, peer_count);
    json_decref(any);
    return ok;
}

/* ---- disks */

static void heal_disk(struct world *host) {
    sim_disk_fault(host, NULL);
    sim_disk_capacity(host, 0);
    sim_disk_latency(host, NULL);
}
static void heal_disks(struct faults *f, struct active *a) {
    each_host(f, a, heal_disk);
}

struct disk_plan {
    bool full, slow, power;
    struct dist slow_us;
    uint32_t errors_ppm;
    unsigned ops;
    struct crash_plan crash;
};

static bool read_disk(const json_t *o, const json_t *spec, struct disk_plan *p, struct error *err) {
    static const char *const keys[] = {"host", "full", "slow", "errors", "reads", "lose_unsynced", NULL};
    const json_t *slow = json_object_get(o, "slow");
    if (!json_is_object(o)) {
        return wrong(err, "disk", "an object with a host is wanted");
    }
    *p = (struct disk_plan){
        .full = json_bool(o, "full", false), .slow = slow != NULL, .power = json_bool(o, "lose_unsynced", false)};
    p->ops = SIM_FILE_WRITE | SIM_FILE_SYNC | (json_bool(o, "reads", false) ? SIM_FILE_READ | SIM_FILE_OPEN : 0);
    return only_keys(o, "disk", keys, err) && (slow == NULL || read_duration(slow, "disk.slow", &p->slow_us, err)) &&
           (json_object_get(o, "errors") == NULL || read_ratio(o, "errors", "disk.errors", &p->errors_ppm, err)) &&
           read_down(spec, &p->crash, err) &&
           (p->full || p->slow || p->power || p->errors_ppm != 0 ||
            wrong(err, "disk", "one of full, slow, errors, lose_unsynced is wanted"));
}

static void spoil_disk(struct world *host, const struct disk_plan *p) {
    if (p->full) {
        uint64_t used = sim_disk_used(host);
        sim_disk_capacity(host, used != 0 ? used : 1);
    }
    if (p->slow) {
        sim_disk_latency(host, &p->slow_us);
    }
    if (p->errors_ppm != 0) {
        sim_disk_fault(host, &(struct sim_disk_fault){.ops = p->ops, .kind = "world/io", .chance_ppm = p->errors_ppm});
    }
}

static bool begin_disk(struct faults *f, const json_t *o, const json_t *spec, struct active **out, struct error *err) {
    struct disk_plan p;
    char **names;
    size_t count;
    if (!read_disk(o, spec, &p, err) || !read_hosts(f, json_object_get(o, "host"), "disk.host", &names, &count, err)) {
        return false;
    }
    p.crash.kind = SIM_CRASH_POWER;
    bool ok = f == NULL || !p.power || crash_hosts(f, names, count, &p.crash, err);
    if (f == NULL || !ok || !(p.full || p.slow || p.errors_ppm != 0)) {
        hosts_free(names, count);
        return ok;
    }
    *out = active_new(f);
    (*out)->hosts = names;
    (*out)->host_count = count;
    (*out)->undo = heal_disks;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; names[i] == NULL && k < sim_host_count(f->sim); k++) {
            spoil_disk(sim_host_at(f->sim, k), &p);
        }
        if (names[i] != NULL) {
            spoil_disk(sim_find_host(f->sim, names[i]), &p);
        }
    }
    return true;
}

/* ---- clocks */

static void true_clock(struct world *host) {
    sim_clock_drift(host, 0);
}
static void true_clocks(struct faults *f, struct active *a) {
    each_host(f, a, true_clock);
}

static bool begin_clock(struct faults *f, const json_t *o, const json_t *spec, struct active **out, struct error *err) {
    static const char *const keys[] = {"host", "jump", "drift_ppm", NULL};
    const json_t *jump = json_object_get(o, "jump");
    int64_t jump_ms = 0, drift = json_int(o, "drift_ppm", 0);
    char **names;
    size_t count;
    (void)spec;
    if (!json_is_object(o) || !only_keys(o, "clock", keys, err) ||
        (jump != NULL && !read_signed(jump, "clock.jump", &jump_ms, err)) ||
        !read_hosts(f, json_object_get(o, "host"), "clock.host", &names, &count, err)) {
        return error_is_set(err) ? false : wrong(err, "clock", "an object with a host is wanted");
    }
    if (drift > 100000 || drift < -100000 || (jump == NULL && drift == 0)) {
        hosts_free(names, count);
        return wrong(err, "clock", "a jump, or a drift_ppm between -100000 and 100000, is wanted");
    }
    if (f == NULL) {
        hosts_free(names, count);
        return true;
    }
    struct active *a = active_new(f);
    a->hosts = names;
    a->host_count = count;
    a->undo = true_clocks;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < sim_host_count(f->sim); k++) {
            struct world *host = sim_host_at(f->sim, k);
            if (names[i] == NULL || str_eq(names[i], sim_host_name(host))) {
                sim_clock_jump(host, jump_ms);
                sim_clock_drift(host, (int32_t)drift);
            }
        }
    }
    if (drift == 0) {
        active_end(a); /* a jump is over at once */
    } else {
        *out = a;
    }
    return true;
}

/* ---- services, certificates */

static void heal_service(struct faults *f, struct active *a) {
    f->hooks.service(f->hooks.ctx, a->name, NULL, NULL);
}

static bool begin_service(struct faults *f, const json_t *o, const json_t *spec, struct active **out,
                          struct error *err) {
    const char *name = json_str(o, "name");
    (void)spec;
    if (name == NULL) {
        return wrong(err, "service.name", "the name of a service is wanted");
    }
    if (f == NULL) {
        return true;
    }
    if (f->hooks.service == NULL) {
        return error_set(err, "fault/unsupported", "services have no faults here");
    }
    json_t *fault = json_copy((json_t *)(uintptr_t)o);
    json_object_del(fault, "name");
    bool ok = f->hooks.service(f->hooks.ctx, name, fault, err);
    json_decref(fault);
    if (ok) {
        *out = active_new(f);
        (*out)->name = str_dup(name);
        (*out)->undo = heal_service;
    }
    return ok;
}

static void renew_certificate(struct faults *f, struct active *a) {
    struct error err = ERROR_INIT;
    if (!f->hooks.renew(f->hooks.ctx, a->name, &err)) {
        crash_again(f, a->name, &err);
        error_clear(&err);
    }
}

static bool begin_certificate(struct faults *f, const json_t *o, const json_t *spec, struct active **out,
                              struct error *err) {
    static const char *const keys[] = {"revoke", "expire", NULL};
    const char *revoke = json_str(o, "revoke"), *expire = json_str(o, "expire");
    const char *name = revoke != NULL ? revoke : expire;
    (void)spec;
    if (!json_is_object(o) || !only_keys(o, "certificate", keys, err) || (revoke == NULL) == (expire == NULL)) {
        return error_is_set(err) ? false : wrong(err, "certificate", "a name to revoke or to expire is wanted");
    }
    if (f == NULL) {
        return true;
    }
    bool (*begin)(void *, const char *, struct error *) = revoke != NULL ? f->hooks.revoke : f->hooks.expire;
    if (begin == NULL) {
        return error_set(err, "fault/unsupported", "no certificate can be %s here",
                         revoke != NULL ? "revoked" : "made to expire");
    }
    if (!begin(f->hooks.ctx, name, err)) {
        return false;
    }
    if (f->hooks.renew != NULL) {
        *out = active_new(f);
        (*out)->name = str_dup(name);
        (*out)->undo = renew_certificate;
    }
    return true;
}

/* ---- all of them */

enum { LINK_KINDS = sizeof(link_kinds) / sizeof(link_kinds[0]) };

static const struct other_kind {
    const char *key;
    const char *besides[4]; /* keys that may stand beside it */
    bool (*begin)(struct faults *f, const json_t *value, const json_t *spec, struct active **out, struct error *err);
} other_kinds[] = {
    {"kill", {"power"}, begin_kill},
    {"restart", {"down_for", "power", "slow_start"}, begin_restart},
    {"pause", {NULL}, begin_pause},
    {"half_close", {NULL}, begin_half_close},
    {"disk", {"down_for", "slow_start"}, begin_disk},
    {"clock", {NULL}, begin_clock},
    {"service", {NULL}, begin_service},
    {"certificate", {NULL}, begin_certificate},
};
enum { OTHER_KINDS = sizeof(other_kinds) / sizeof(other_kinds[0]) };

static const char *kind_name(size_t i) {
    return i < LINK_KINDS ? link_kinds[i].key : i < LINK_KINDS + OTHER_KINDS ? other_kinds[i - LINK_KINDS].key : NULL;
}

/* The one kind that the description names; -1 after an error. */
static int kind_of(const json_t *spec, struct error *err) {
    const char *names[LINK_KINDS + OTHER_KINDS];
    int found = -1, count = 0;
    for (size_t i = 0; kind_name(i) != NULL; i++) {
        names[i] = kind_name(i);
        if (json_object_get(spec, names[i]) != NULL) {
            found = (int)i;
            count++;
        }
    }
    if (count == 1) {
        return found;
    }
    void *first = json_object_iter((json_t *)(uintptr_t)spec);
    const char *key = first != NULL ? json_object_iter_key(first) : NULL;
    const char *near = key != NULL && count == 0 ? nearest_word(key, names, LINK_KINDS + OTHER_KINDS) : NULL;
    if (count > 1) {
        wrong(err, "fault", "only one kind of fault may be named");
    } else if (key == NULL) {
        wrong(err, "fault", "an object with a kind of fault is wanted");
    } else {
        error_set_details(err, "fault", json_pack("{s:s}", "key", key), "%s: unknown kind of fault%s%s%s", key,
                          near != NULL ? "; did you mean " : "", near != NULL ? near : "", near != NULL ? "?" : "");
    }
    return -1;
}

static bool check_beside(const json_t *spec, size_t kind, struct error *err) {
    const char *keys[8] = {kind_name(kind), "for"};
    size_t count = 2;
    if (kind >= LINK_KINDS) {
        const struct other_kind *k = &other_kinds[kind - LINK_KINDS];
        for (size_t i = 0; k->besides[i] != NULL; i++) {
            keys[count++] = k->besides[i];
        }
    }
    keys[count] = NULL;
    return only_keys(spec, "", keys, err);
}

static bool begin(struct faults *f, const json_t *spec, struct error *err) {
    struct error own = ERROR_INIT;
    struct active *a = NULL;
    struct dist lasts = dist_fixed(0);
    const json_t *how_long = json_object_get(spec, "for");
    int kind = kind_of(spec, &own);
    bool ok = kind >= 0 && check_beside(spec, (size_t)kind, &own) &&
              (how_long == NULL || read_duration(how_long, "for", &lasts, &own));
    if (ok) {
        const json_t *value = json_object_get(spec, kind_name((size_t)kind));
        ok = kind < LINK_KINDS ? begin_link(f, &link_kinds[kind], value, &a, &own)
                               : other_kinds[kind - LINK_KINDS].begin(f, value, spec, &a, &own);
    }
    if (!ok) {
        error_move(err, &own);
        error_clear(&own);
        return false;
    }
    if (f != NULL) {
        f->injected[kind]++;
        if (a != NULL && how_long != NULL) {
            sim_timer_start(f->sim, &a->end, dist_draw(&lasts, &f->rng), on_end, a);
        }
    }
    return true;
}

bool faults_check(const json_t *spec, struct error *err) {
    return begin(NULL, spec, err);
}

bool faults_apply(struct faults *f, const json_t *spec, struct error *err) {
    char *text = json_text(spec);
    char *note = str_printf("fault: %s", text);
    sim_note(f->sim, NULL, note);
    mem_free(note);
    mem_free(text);
    return begin(f, spec, err);
}

bool faults_heal(struct faults *f, struct error *err) {
    swarm_stop(f);
    sim_note(f->sim, NULL, "faults healed");
    LIST_EACH_SAFE (k, next, &f->active) {
        active_end(LIST_ITEM(k, struct active, link));
    }
    return crash_heal(f, err);
}

size_t faults_active(const struct faults *f) {
    return f->active.count + f->down.count;
}

uint64_t faults_injected(const struct faults *f, size_t i, const char **name) {
    *name = kind_name(i);
    return *name != NULL ? f->injected[i] : 0;
}

uint64_t faults_injected_total(const struct faults *f) {
    uint64_t total = 0;
    for (size_t i = 0; i < KINDS_MAX; i++) {
        total += f->injected[i];
    }
    return total;
}

struct faults *faults_new(struct sim *sim, const struct faults_hooks *hooks) {
    struct faults *f = mem_zalloc(sizeof(*f));
    f->sim = sim;
    if (hooks != NULL) {
        f->hooks = *hooks;
    }
    f->rng = sim_rng(sim, "faults", NULL);
    list_init(&f->active);
    list_init(&f->effects);
    list_init(&f->down);
    return f;
}

void faults_free(struct faults *f) {
    if (f == NULL) {
        return;
    }
    swarm_stop(f);
    LIST_EACH_SAFE (k, next, &f->active) {
        active_end(LIST_ITEM(k, struct active, link));
    }
    crash_free(f);
    links_free(f);
    mem_free(f);
}
