/* Several faults on one link: their effects are put together, most specific pair by pair, since the simulated world
 * takes the setting of the most specific pair alone. */
#include "simulator/faults/internal.h"

#include "base/mem.h"
#include <string.h>

struct link_key {
    char *from, *to; /* NULL: any */
    struct sim_link base;
    bool was_set; /* by somebody else, before us */
    bool used;
};

static struct link_key *key_of(struct faults *f, const char *from, const char *to) {
    char *text = str_printf("%s\n%s", from != NULL ? from : "*", to != NULL ? to : "*");
    struct link_key *key = map_get_cstr(&f->link_keys, text);
    if (key == NULL) {
        key = mem_zalloc(sizeof(*key));
        key->from = str_dup(from);
        key->to = str_dup(to);
        key->was_set = sim_link_is_set(f->sim, from, to);
        key->base = sim_link_get(f->sim, from, to);
        map_put(&f->link_keys, span_of(text), key);
    }
    mem_free(text);
    return key;
}

static void key_free(struct link_key *key) {
    mem_free(key->from);
    mem_free(key->to);
    mem_free(key);
}

static bool covers(const char *pattern, const char *name) {
    return pattern == NULL || str_eq(pattern, name);
}

static uint32_t more(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

static void add(struct sim_link *link, const struct link_fault *e) {
    link->cut = link->cut || e->cut;
    if (e->slow) {
        link->latency_us = e->latency_us;
    }
    link->late_us = e->late_us > link->late_us ? e->late_us : link->late_us;
    link->late_ppm = more(link->late_ppm, e->late_ppm);
    if (e->bytes_per_s != 0 && (link->bytes_per_s == 0 || e->bytes_per_s < link->bytes_per_s)) {
        link->bytes_per_s = e->bytes_per_s;
    }
    link->loss_ppm = more(link->loss_ppm, e->loss_ppm);
    link->duplicate_ppm = more(link->duplicate_ppm, e->duplicate_ppm);
    link->corrupt_ppm = more(link->corrupt_ppm, e->corrupt_ppm);
    link->refuse_ppm = more(link->refuse_ppm, e->refuse_ppm);
    link->reset_ppm = more(link->reset_ppm, e->reset_ppm);
}

static void mark(struct faults *f, const char *from, const char *to) {
    key_of(f, from, to)->used = true;
}

/* "From a to anybody" and "from anybody to b" meet in "from a to b". */
static void mark_crossings(struct faults *f, const struct link_effect *a) {
    LIST_EACH (k, &f->effects) {
        const struct link_effect *b = LIST_ITEM(k, struct link_effect, link);
        if (a->from != NULL && a->to == NULL && b->from == NULL && b->to != NULL) {
            mark(f, a->from, b->to);
        }
    }
}

void links_apply(struct faults *f) {
    for (struct map_iter i = map_iter(&f->link_keys); map_next(&i);) {
        ((struct link_key *)i.value)->used = false;
    }
    LIST_EACH (k, &f->effects) {
        const struct link_effect *e = LIST_ITEM(k, struct link_effect, link);
        mark(f, e->from, e->to);
        mark_crossings(f, e);
    }
    for (struct map_iter i = map_iter(&f->link_keys); map_next(&i);) {
        struct link_key *key = i.value;
        if (!key->used) {
            sim_link_set(f->sim, key->from, key->to, key->was_set ? &key->base : NULL);
            map_remove(&f->link_keys, i.key);
            key_free(key);
            continue;
        }
        struct sim_link link = key->base;
        LIST_EACH (k, &f->effects) {
            const struct link_effect *e = LIST_ITEM(k, struct link_effect, link);
            if (covers(e->from, key->from) && covers(e->to, key->to)) {
                add(&link, &e->fault);
            }
        }
        sim_link_set(f->sim, key->from, key->to, &link);
    }
}

void links_free(struct faults *f) {
    for (struct map_iter i = map_iter(&f->link_keys); map_next(&i);) {
        key_free(i.value);
    }
    map_free(&f->link_keys);
}
