/* Faults of links: what their descriptions hold, how they begin and end. */
#include "simulator/faults/internal.h"

#include "base/mem.h"
#include <string.h>

static const uint64_t LATENCY_MAX_US = SIM_HOUR;

static const struct link_kind {
    const char *key;
    const char *keys[7]; /* in the object */
} link_kinds[LINK_KINDS] = {
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
        return fault_read_duration(json_object_get(o, "latency"), "delay.latency", &e->latency_us, err);
    }
    if (strcmp(kind, "reorder") == 0) {
        if (!fault_read_duration(json_object_get(o, "by"), "reorder.by", &d, err)) {
            return false;
        }
        e->late_us = d.a < LATENCY_MAX_US ? d.a : LATENCY_MAX_US;
        e->late_ppm = REORDER_PPM;
        return (json_object_get(o, "ratio") == NULL ||
                fault_read_ratio(o, "ratio", "reorder.ratio", &e->late_ppm, err)) &&
               (e->late_us != 0 || fault_wrong(err, "reorder.by", "a duration above 0 is wanted"));
    }
    if (strcmp(kind, "throttle") == 0) {
        int64_t bytes = json_int(o, "bytes_per_s", 0);
        e->bytes_per_s = (uint64_t)bytes;
        return bytes > 0 || fault_wrong(err, "throttle.bytes_per_s", "a number of bytes above 0 is wanted");
    }
    if (strcmp(kind, "reset") == 0 && json_object_get(o, "ratio") == NULL) {
        return true; /* now, not for a while */
    }
    char where[32];
    snprintf(where, sizeof(where), "%s.ratio", kind);
    if (!fault_read_ratio(o, "ratio", where, &ppm, err)) {
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

const char *link_kind_name(size_t i) {
    return link_kinds[i].key;
}

bool link_kind_begin(struct faults *f, size_t i, const json_t *o, struct active **out, struct error *err) {
    const struct link_kind *kind = &link_kinds[i];
    struct link_fault fault = {.cut = false};
    char **as = NULL, **bs = NULL;
    size_t a_count = 0, b_count = 0;
    json_t *any = json_string("*");
    const json_t *a = json_object_get(o, "a"), *b = json_object_get(o, "b");
    bool both = json_bool(o, "symmetric", true);
    bool ok = json_is_object(o) || fault_wrong(err, kind->key, "an object with a and b is wanted");
    ok = ok && fault_only_keys(o, kind->key, kind->keys, err) && link_fault_read(o, kind->key, &fault, err) &&
         fault_read_hosts(f, a != NULL ? a : any, kind->key, &as, &a_count, err) &&
         fault_read_hosts(f, b != NULL ? b : any, kind->key, &bs, &b_count, err);
    bool now = strcmp(kind->key, "reset") == 0 && fault.reset_ppm == 0;
    if (ok && f != NULL && !now) {
        *out = active_new(f);
    }
    for (size_t pair = 0; ok && f != NULL && pair < a_count * b_count; pair++) {
        const char *from = as[pair / b_count], *to = bs[pair % b_count];
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

void link_kinds_drop(struct faults *f, const struct active *a) {
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
