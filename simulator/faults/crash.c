/* Killing hosts and bringing them back. */
#include "simulator/faults/internal.h"

#include "base/mem.h"

static const uint64_t AGAIN_US = 10 * SIM_SECOND; /* whoever keeps services running tries again */

static void down_free(struct down *d) {
    sim_timer_stop(d->faults->sim, &d->back);
    list_remove(&d->faults->down, &d->link);
    mem_free(d->host);
    mem_free(d);
}

/* False: it could not be started; it is tried again. */
static bool bring_back(struct down *d, struct error *err) {
    struct faults *f = d->faults;
    if (!f->hooks.restart(f->hooks.ctx, d->host, err)) {
        return false;
    }
    if (d->slow_us != 0) {
        sim_stall(sim_find_host(f->sim, d->host), d->slow_us);
    }
    down_free(d);
    return true;
}

static void on_back(void *ctx);

static void again_later(struct down *d, const struct error *err) {
    char *text = str_printf("fault: %s does not start: %s", d->host, err->msg);
    sim_note(d->faults->sim, NULL, text);
    mem_free(text);
    sim_timer_start(d->faults->sim, &d->back, AGAIN_US, on_back, d);
}

static void on_back(void *ctx) {
    struct down *d = ctx;
    struct error err = ERROR_INIT;
    if (!bring_back(d, &err)) {
        again_later(d, &err);
        error_clear(&err);
    }
}

static struct down *find(struct faults *f, const char *host) {
    LIST_EACH (k, &f->down) {
        struct down *d = LIST_ITEM(k, struct down, link);
        if (str_eq(d->host, host)) {
            return d;
        }
    }
    return NULL;
}

static struct down *down_new(struct faults *f, const char *host) {
    struct down *d = mem_zalloc(sizeof(*d));
    d->faults = f;
    d->host = str_dup(host);
    list_push_back(&f->down, &d->link);
    return d;
}

void crash_again(struct faults *f, const char *host, const struct error *err) {
    if (find(f, host) == NULL) {
        again_later(down_new(f, host), err);
    }
}

bool crash_hosts(struct faults *f, char *const *names, size_t count, const struct crash_plan *plan, struct error *err) {
    if (f->hooks.crash == NULL || f->hooks.restart == NULL) {
        return error_set(err, "fault/unsupported", "nothing here can be killed");
    }
    for (size_t i = 0; i < count; i++) {
        if (names[i] == NULL) {
            return error_set(err, "fault", "not everything can be killed at once: name hosts");
        }
        struct down *d = find(f, names[i]);
        if (d == NULL) {
            if (!f->hooks.crash(f->hooks.ctx, names[i], plan->kind)) {
                return error_set(err, "fault", "%s cannot be killed", names[i]);
            }
            d = down_new(f, names[i]);
        }
        if (plan->comes_back) {
            d->slow_us = plan->slow_us;
            sim_timer_start(f->sim, &d->back, plan->down_us, on_back, d);
        }
    }
    return true;
}

bool crash_heal(struct faults *f, struct error *err) {
    bool ok = true;
    LIST_EACH_SAFE (k, next, &f->down) {
        struct error own = ERROR_INIT;
        if (!bring_back(LIST_ITEM(k, struct down, link), &own)) {
            ok = false;
            if (err != NULL && !error_is_set(err)) {
                error_move(err, &own);
            }
            error_clear(&own);
        }
    }
    return ok;
}

void crash_free(struct faults *f) {
    LIST_EACH_SAFE (k, next, &f->down) {
        down_free(LIST_ITEM(k, struct down, link));
    }
}
