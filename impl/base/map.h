/* A hash map from byte strings to pointers that iterates in insertion order, so that no
 * behaviour ever depends on a hash value or an address. Keys are copied; values are the caller's.
 * O(1) get, put and remove, also while it grows; about 50 bytes an entry plus the key. */
#ifndef DALANG_BASE_MAP_H
#define DALANG_BASE_MAP_H

#include "base/bytes.h"

struct map_entry;

struct map {
    struct map_entry **slots;
    size_t slot_count; /* in use; there is room for the next power of two */
    size_t count;
    struct map_entry *first, *last; /* insertion order */
};

#define MAP_INIT                                                                                                       \
    { NULL, 0, 0, NULL, NULL }

void map_init(struct map *m);
void map_free(struct map *m);                        /* the values are not freed */
void *map_get(const struct map *m, struct span key); /* NULL when absent */
void *map_get_cstr(const struct map *m, const char *key);
/* Sets key to value (not NULL); returns the value it replaces, or NULL. A replaced entry keeps its place. */
void *map_put(struct map *m, struct span key, void *value);
void *map_remove(struct map *m, struct span key); /* the value, or NULL */
size_t map_count(const struct map *m);

/* for (struct map_iter i = map_iter(&m); map_next(&i);) use i.key, i.value. The current entry may be removed in the
 * body. */
struct map_iter {
    struct map_entry *next_entry;
    struct span key;
    void *value;
};
struct map_iter map_iter(const struct map *m);
bool map_next(struct map_iter *i);

#endif
