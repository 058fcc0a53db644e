/* Intrusive doubly linked list: the link lives in the item, nothing is allocated.
 * An item's link is either in one list or unlinked (both pointers NULL, or pointing to itself never). */
#ifndef DALANG_BASE_LIST_H
#define DALANG_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_link {
    struct list_link *prev, *next;
};

struct list {
    struct list_link head; /* of an empty list both point to head itself */
    size_t count;
};

#define LIST_ITEM(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))
#define LIST_EACH(it, list) for (struct list_link *it = (list)->head.next; it != &(list)->head; it = it->next)
/* Safe when the body unlinks `it`. */
#define LIST_EACH_SAFE(it, tmp, list)                                                                                  \
    for (struct list_link *it = (list)->head.next, *tmp = it->next; it != &(list)->head; it = tmp, tmp = it->next)

static inline void list_init(struct list *l) {
    l->head.prev = l->head.next = &l->head;
    l->count = 0;
}
static inline bool list_empty(const struct list *l) {
    return l->count == 0;
}
static inline bool list_linked(const struct list_link *k) {
    return k->next != NULL;
}
static inline void list_insert_before(struct list *l, struct list_link *at, struct list_link *k) {
    k->prev = at->prev;
    k->next = at;
    at->prev->next = k;
    at->prev = k;
    l->count++;
}
static inline void list_push_back(struct list *l, struct list_link *k) {
    list_insert_before(l, &l->head, k);
}
static inline void list_push_front(struct list *l, struct list_link *k) {
    list_insert_before(l, l->head.next, k);
}
/* Does nothing when the link is in no list. */
static inline void list_remove(struct list *l, struct list_link *k) {
    if (k->next == NULL) {
        return;
    }
    k->prev->next = k->next;
    k->next->prev = k->prev;
    k->prev = k->next = NULL;
    l->count--;
}
static inline struct list_link *list_first(const struct list *l) {
    return l->count != 0 ? l->head.next : NULL;
}
static inline struct list_link *list_pop_front(struct list *l) {
    struct list_link *k = list_first(l);
    if (k != NULL) {
        list_remove(l, k);
    }
    return k;
}
/* All of `from` to the end of `to`, in their order. */
static inline void list_move_all(struct list *to, struct list *from) {
    if (list_empty(from)) {
        return;
    }
    struct list_link *first = from->head.next, *last = from->head.prev;
    first->prev = to->head.prev;
    to->head.prev->next = first;
    last->next = &to->head;
    to->head.prev = last;
    to->count += from->count;
    list_init(from);
}

#endif
