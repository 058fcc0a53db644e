/* The kinds of faults, and how each begins and ends; those of links are in link_kinds.c. */
#include "simulator/faults/internal.h"

#include "base/mem.h"
#include "base/option.h"
#include <string.h>

static const uint64_t DOWN_US = SIM_SECOND;

/* ---- faults that last */

struct active *active_new(struct faults *f) {
    struct active *a = mem_zalloc(sizeof(*a));
    a->faults = f;
    list_push_back(&f->active, &a->link);
    return a;
}

static void active_end(struct active *a) {
    struct faults *f = a->faults;
    link_kinds_drop(f, a);
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

/* ---- the other kinds: each reads its description, and acts unless f is NULL */

static bool read_down(const json_t *spec, struct crash_plan *plan, struct error *err) {
    const json_t *down = json_object_get(spec, "down_for"), *slow = json_object_get(spec, "slow_start");
    struct dist d = dist_fixed(DOWN_US), s = dist_fixed(0);
    bool ok = (down == NULL || fault_read_duration(down, "down_for", &d, err)) &&
              (slow == NULL || fault_read_duration(slow, "slow_start", &s, err));
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
    if (!fault_read_hosts(f, value, "kill", &names, &count, err)) {
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
    if (!read_down(spec, &plan, err) || !fault_read_hosts(f, value, "restart", &names, &count, err)) {
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
    if (!fault_read_hosts(f, value, "pause", &names, &count, err)) {
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
    bool ok = (json_is_object(o) || fault_wrong(err, "half_close", "an object with gone and peer is wanted")) &&
              fault_only_keys(o, "half_close", keys, err) &&
              fault_read_hosts(f, json_object_get(o, "gone"), "half_close.gone", &gone, &gone_count, err) &&
              fault_read_hosts(f, peer != NULL ? peer : any, "half_close.peer", &peers, &peer_count, err);
    for (size_t i = 0; ok && f != NULL && i < gone_count * peer_count; i++) {
        const char *a = gone[i / peer_count], *b = peers[i % peer_count];
        if (a == NULL) {
            ok = fault_wrong(err, "half_close.gone", "name the hosts whose ends vanish");
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
        return fault_wrong(err, "disk", "an object with a host is wanted");
    }
    *p = (struct disk_plan){
        .full = json_bool(o, "full", false), .slow = slow != NULL, .power = json_bool(o, "lose_unsynced", false)};
    p->ops = SIM_FILE_WRITE | SIM_FILE_SYNC | (json_bool(o, "reads", false) ? SIM_FILE_READ | SIM_FILE_OPEN : 0);
    return fault_only_keys(o, "disk", keys, err) &&
           (slow == NULL || fault_read_duration(slow, "disk.slow", &p->slow_us, err)) &&
           (json_object_get(o, "errors") == NULL ||
            fault_read_ratio(o, "errors", "disk.errors", &p->errors_ppm, err)) &&
           read_down(spec, &p->crash, err) &&
           (p->full || p->slow || p->power || p->errors_ppm != 0 ||
            fault_wrong(err, "disk", "one of full, slow, errors, lose_unsynced is wanted"));
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
    struct disk_plan p = {.power = false};
    char **names;
    size_t count;
    if (!read_disk(o, spec, &p, err) ||
        !fault_read_hosts(f, json_object_get(o, "host"), "disk.host", &names, &count, err)) {
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
    if (!json_is_object(o) || !fault_only_keys(o, "clock", keys, err) ||
        (jump != NULL && !fault_read_signed(jump, "clock.jump", &jump_ms, err)) ||
        !fault_read_hosts(f, json_object_get(o, "host"), "clock.host", &names, &count, err)) {
        return error_is_set(err) ? false : fault_wrong(err, "clock", "an object with a host is wanted");
    }
    if (drift > 100000 || drift < -100000 || (jump == NULL && drift == 0)) {
        hosts_free(names, count);
        return fault_wrong(err, "clock", "a jump, or a drift_ppm between -100000 and 100000, is wanted");
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
        return fault_wrong(err, "service.name", "the name of a service is wanted");
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
    if (!json_is_object(o) || !fault_only_keys(o, "certificate", keys, err) || (revoke == NULL) == (expire == NULL)) {
        return error_is_set(err) ? false : fault_wrong(err, "certificate", "a name to revoke or to expire is wanted");
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
    return i < LINK_KINDS ? link_kind_name(i) : i < LINK_KINDS + OTHER_KINDS ? other_kinds[i - LINK_KINDS].key : NULL;
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
        fault_wrong(err, "fault", "only one kind of fault may be named");
    } else if (key == NULL) {
        fault_wrong(err, "fault", "an object with a kind of fault is wanted");
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
    return fault_only_keys(spec, "", keys, err);
}

static bool begin(struct faults *f, const json_t *spec, struct error *err) {
    struct error own = ERROR_INIT;
    struct active *a = NULL;
    struct dist lasts = dist_fixed(0);
    const json_t *how_long = json_object_get(spec, "for");
    int kind = kind_of(spec, &own);
    bool ok = kind >= 0 && check_beside(spec, (size_t)kind, &own) &&
              (how_long == NULL || fault_read_duration(how_long, "for", &lasts, &own));
    if (ok) {
        const json_t *value = json_object_get(spec, kind_name((size_t)kind));
        ok = kind < LINK_KINDS ? link_kind_begin(f, (size_t)kind, value, &a, &own)
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
