/* See shrink.h: delta debugging by halves, quarters … single steps. */
#include "simulator/livefuzz/shrink.h"

#include "base/mem.h"

/* All but [from, from + len). The bytes stay the original's. */
static struct actions without(const struct actions *list, size_t from, size_t len) {
    struct actions shorter = {.agent = list->agent, .seed = list->seed};
    shorter.items = mem_array(list->count, sizeof(*shorter.items));
    for (size_t i = 0; i < list->count; i++) {
        if (i < from || i >= from + len) {
            shorter.items[shorter.count++] = list->items[i];
        }
    }
    return shorter;
}

size_t actions_shrink(struct actions *list, size_t tries_max, bool (*same)(void *ctx, const struct actions *shorter),
                      void *ctx) {
    size_t tries = 0;
    for (size_t len = list->count / 2; len > 0; len /= 2) {
        for (size_t from = 0; from < list->count && tries < tries_max;) {
            size_t part = from + len <= list->count ? len : list->count - from;
            struct actions shorter = without(list, from, part);
            tries++;
            if (same(ctx, &shorter)) {
                for (size_t i = from; i < from + part; i++) {
                    action_free(&list->items[i]);
                }
                mem_free(list->items);
                list->items = shorter.items;
                list->count = list->cap = shorter.count;
            } else {
                mem_free(shorter.items);
                from += part;
            }
        }
    }
    return tries;
}
