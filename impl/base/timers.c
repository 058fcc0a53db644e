/* Binary heap of timers; see timers.h. */
#include "base/timers.h"

#include "base/mem.h"

void timer_heap_free(struct timer_heap *h) {
    for (size_t i = 1; i <= h->count; i++) {
        h->items[i]->place = 0;
    }
    mem_free(h->items);
    *h = (struct timer_heap){NULL, 0, 0, 0};
}

static bool earlier(const struct timer *a, const struct timer *b) {
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void put(struct timer_heap *h, size_t place, struct timer *t) {
    h->items[place] = t;
    t->place = place;
}

static void sift_up(struct timer_heap *h, size_t place, struct timer *t) {
    while (place > 1 && earlier(t, h->items[place / 2])) {
        put(h, place, h->items[place / 2]);
        place /= 2;
    }
    put(h, place, t);
}

static void sift_down(struct timer_heap *h, size_t place, struct timer *t) {
    for (size_t child; (child = place * 2) <= h->count; place = child) {
        if (child < h->count && earlier(h->items[child + 1], h->items[child])) {
            child++;
        }
        if (!earlier(h->items[child], t)) {
            break;
        }
        put(h, place, h->items[child]);
    }
    put(h, place, t);
}

void timer_heap_start(struct timer_heap *h, struct timer *t, uint64_t due_us) {
    timer_heap_stop(h, t);
    t->due_us = due_us;
    t->order = ++h->started;
    h->items = mem_grow(h->items, &h->cap, h->count + 2, sizeof(struct timer *));
    sift_up(h, ++h->count, t);
}

void timer_heap_stop(struct timer_heap *h, struct timer *t) {
    if (t->place == 0) {
        return;
    }
    size_t place = t->place;
    t->place = 0;
    struct timer *moved = h->items[h->count--];
    if (moved == t) {
        return;
    }
    if (place > 1 && earlier(moved, h->items[place / 2])) {
        sift_up(h, place, moved);
    } else {
        sift_down(h, place, moved);
    }
}

struct timer *timer_heap_first(const struct timer_heap *h) {
    return h->count == 0 ? NULL : h->items[1];
}
