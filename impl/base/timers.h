/* A heap of timers that lie in their owners' structures: both worlds keep one.
 * Equal deadlines fire in the order they were started. O(log n) start and stop. */
#ifndef DALANG_BASE_TIMERS_H
#define DALANG_BASE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero when new. The owner keeps it alive while it is active. */
struct timer {
    uint64_t due_us;
    uint64_t order;
    size_t place; /* 1-based index in the heap; 0: not active */
    void (*fire)(void *ctx);
    void *ctx;
};

/* What is compared lies in the heap itself: a large one does not touch its timers for it. */
struct timer_slot {
    uint64_t due_us, order;
    struct timer *timer;
};

struct timer_heap {
    struct timer_slot *slots; /* 1-based */
    size_t count, cap;
    uint64_t started; /* hands out `order` */
};

void timer_heap_free(struct timer_heap *h);
void timer_heap_start(struct timer_heap *h, struct timer *t, uint64_t due_us); /* restarts an active one */
void timer_heap_stop(struct timer_heap *h, struct timer *t);                   /* an inactive one: nothing */
struct timer *timer_heap_first(const struct timer_heap *h);                    /* or NULL */

#endif
