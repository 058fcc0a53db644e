/* Linear hashing with entries chained per slot and threaded in insertion order; see map.h.
 *
 * The table grows by splitting one slot after the other, a few with each new entry: doubling it at once would
 * hold whoever puts the millionth entry for a tenth of a second. With n slots, slot i has been split when there is a
 * slot i + p, p being the largest power of two up to n. */
#include "base/map.h"

#include "base/digest.h"
#include "base/mem.h"
#include <assert.h>
#include <string.h>

enum { SLOTS_FIRST = 8 };

struct map_entry {
    struct map_entry *chain;       /* next in the same slot */
    struct map_entry *prev, *next; /* insertion order */
    void *value;
    uint64_t hash;
    size_t key_len;
    char key[];
};

void map_init(struct map *m) {
    *m = (struct map)MAP_INIT;
}

void map_free(struct map *m) {
    for (struct map_entry *e = m->first, *next; e != NULL; e = next) {
        next = e->next;
        mem_free(e);
    }
    mem_free(m->slots);
    map_init(m);
}

static uint64_t hash_of(struct span key) {
    return hash64(0x9e3779b97f4a7c15u, key.ptr, key.len);
}

static struct map_entry **slot_of(const struct map *m, uint64_t hash) {
    const size_t mask = SIZE_MAX >> __builtin_clzl(m->slot_count - 1), wide = hash & mask;
    return &m->slots[wide < m->slot_count ? wide : wide & (mask >> 1)];
}

/* The pointer that leads to the entry of key, or to the NULL that ends its chain. */
static struct map_entry **find(const struct map *m, struct span key, uint64_t hash) {
    struct map_entry **at = slot_of(m, hash);
    while (*at != NULL && !((*at)->hash == hash && span_eq(span_bytes((*at)->key, (*at)->key_len), key))) {
        at = &(*at)->chain;
    }
    return at;
}

/* One more slot: takes its share of the one that held its entries until now. */
static void split(struct map *m) {
    const size_t added = m->slot_count, power = (SIZE_MAX / 2 + 1) >> __builtin_clzl(added);
    if (added == power) {
        m->slots = mem_realloc(m->slots, 2 * power * sizeof(struct map_entry *));
    }
    m->slot_count++;
    struct map_entry **stay = &m->slots[added - power], **move = &m->slots[added];
    for (struct map_entry *e = *stay; e != NULL; e = e->chain) {
        struct map_entry ***to = (e->hash & power) != 0 ? &move : &stay;
        **to = e;
        *to = &e->chain;
    }
    *stay = NULL;
    *move = NULL;
}

/* Three entries for four slots, at most. */
static void grow(struct map *m) {
    if (m->slot_count == 0) {
        m->slot_count = SLOTS_FIRST;
        m->slots = mem_array(m->slot_count, sizeof(struct map_entry *));
    }
    while (m->count >= m->slot_count / 4 * 3) {
        split(m);
    }
}

void *map_get(const struct map *m, struct span key) {
    if (m->count == 0) {
        return NULL;
    }
    struct map_entry *e = *find(m, key, hash_of(key));
    return e == NULL ? NULL : e->value;
}

void *map_get_cstr(const struct map *m, const char *key) {
    return map_get(m, span_of(key));
}

void *map_put(struct map *m, struct span key, void *value) {
    assert(value != NULL);
    uint64_t hash = hash_of(key);
    if (m->slot_count != 0) {
        struct map_entry *e = *find(m, key, hash);
        if (e != NULL) {
            void *old = e->value;
            e->value = value;
            return old;
        }
    }
    grow(m);
    struct map_entry *e = mem_alloc(sizeof(*e) + key.len);
    e->hash = hash;
    e->value = value;
    e->key_len = key.len;
    if (key.len != 0) {
        memcpy(e->key, key.ptr, key.len);
    }
    struct map_entry **slot = slot_of(m, hash);
    e->chain = *slot;
    *slot = e;
    e->next = NULL;
    e->prev = m->last;
    if (m->last != NULL) {
        m->last->next = e;
    } else {
        m->first = e;
    }
    m->last = e;
    m->count++;
    return NULL;
}

void *map_remove(struct map *m, struct span key) {
    if (m->count == 0) {
        return NULL;
    }
    struct map_entry **at = find(m, key, hash_of(key));
    struct map_entry *e = *at;
    if (e == NULL) {
        return NULL;
    }
    void *value = e->value;
    *at = e->chain;
    *(e->prev != NULL ? &e->prev->next : &m->first) = e->next;
    *(e->next != NULL ? &e->next->prev : &m->last) = e->prev;
    mem_free(e);
    m->count--;
    return value;
}

size_t map_count(const struct map *m) {
    return m->count;
}

struct map_iter map_iter(const struct map *m) {
    return (struct map_iter){.next_entry = m->first};
}

bool map_next(struct map_iter *i) {
    struct map_entry *e = i->next_entry;
    if (e == NULL) {
        return false;
    }
    i->next_entry = e->next;
    i->key = span_bytes(e->key, e->key_len);
    i->value = e->value;
    return true;
}
