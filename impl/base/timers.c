/* Binary heap of timers; see timers.h. */
#include "base/timers.h"

#include "base/mem.h"

void timer_heap_free(struct timer_heap *h) {
    for (size_t i = 1; i <= h->count; i++) {
        h->slots[i].timer->place = 0;
    }
    mem_free(h->slots);
    *h = (struct timer_heap){NULL, 0, 0, 0};
}

static bool earlier(const struct timer_slot *a, const struct timer_slot *b) {
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void put(struct timer_heap *h, size_t place, struct timer_slot slot) {
    h->slots[place] = slot;
    slot.timer->place = place;
}

static void sift_up(struct timer_heap *h, size_t place, struct timer_slot slot) {
    while (place > 1 && earlier(&slot, &h->slots[place / 2])) {
        put(h, place, h->slots[place / 2]);
        place /= 2;
    }
    put(h, place, slot);
}

static void sift_down(struct timer_heap *h, size_t place, struct timer_slot slot) {
    for (size_t child; (child = place * 2) <= h->count; place = child) {
        if (child < h->count && earlier(&h->slots[child + 1], &h->slots[child])) {
            child++;
        }
        if (!earlier(&h->slots[child], &slot)) {
            break;
        }
        put(h, place, h->slots[child]);
    }
    put(h, place, slot);
}

void timer_heap_start(struct timer_heap *h, struct timer *t, uint64_t due_us) {
    timer_heap_stop(h, t);
    t->due_us = due_us;
    t->order = ++h->started;
    h->slots = mem_grow(h->slots, &h->cap, h->count + 2, sizeof(h->slots[0]));
    sift_up(h, ++h->count, (struct timer_slot){t->due_us, t->order, t});
}

void timer_heap_stop(struct timer_heap *h, struct timer *t) {
    if (t->place == 0) {
        return;
    }
    size_t place = t->place;
    t->place = 0;
    struct timer_slot moved = h->slots[h->count--];
    if (moved.timer == t) {
        return;
    }
    if (place > 1 && earlier(&moved, &h->slots[place / 2])) {
        sift_up(h, place, moved);
    } else {
        sift_down(h, place, moved);
    }
}

struct timer *timer_heap_first(const struct timer_heap *h) {
    return h->count == 0 ? NULL : h->slots[1].timer;
}
