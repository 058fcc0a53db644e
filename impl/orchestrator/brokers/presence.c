/* Who is connected where. */
#include "base/mem.h"
#include "orchestrator/brokers/internal.h"

#include <string.h>

static struct presence *add(struct brokers *b, struct span node) {
    struct presence *p = mem_zalloc(sizeof *p + node.len + 1);
    memcpy(p->bytes, node.ptr, node.len);
    p->name = span_bytes(p->bytes, node.len);
    p->since_ms = world_wall_ms(b->world);
    map_put(&b->nodes, p->name, p);
    return p;
}

static void tell(struct brokers *b, struct span node, bool connected) {
    if (b->handler != NULL) {
        b->handler->on_presence(b->ctx, node, connected);
    }
}

void presence_set(struct brokers *b, struct span node, uint32_t bit, bool connected) {
    struct presence *p = map_get(&b->nodes, node);
    if (connected) {
        bool fresh = p == NULL;
        p = fresh ? add(b, node) : p;
        p->brokers |= bit;
        if (fresh) {
            tell(b, p->name, true);
        }
    } else if (p != NULL && (p->brokers & bit) != 0) {
        p->brokers &= ~bit;
        if (p->brokers == 0) {
            map_remove(&b->nodes, p->name);
            tell(b, p->name, false);
            mem_free(p);
        }
    }
}

void presence_drop_broker(struct brokers *b, uint32_t bit) {
    for (struct map_iter i = map_iter(&b->nodes); map_next(&i);) {
        struct presence *p = i.value;
        if (p->brokers == bit) {
            map_remove(&b->nodes, p->name);
            tell(b, p->name, false);
            mem_free(p);
        } else {
            p->brokers &= ~bit;
        }
    }
}

void presence_free(struct brokers *b) {
    for (struct map_iter i = map_iter(&b->nodes); map_next(&i);) {
        mem_free(i.value);
    }
    map_free(&b->nodes);
}

/* The first broker that has it and is open. */
static const struct broker *broker_of(const struct brokers *b, const struct presence *p) {
    for (size_t i = 0; i < b->count; i++) {
        if ((p->brokers & b->items[i].bit) != 0) {
            return &b->items[i];
        }
    }
    return NULL;
}

static bool describe(const struct brokers *b, const struct presence *p, struct brokers_node *out) {
    const struct broker *k = p == NULL ? NULL : broker_of(b, p);
    if (k == NULL) {
        return false;
    }
    *out = (struct brokers_node){p->name, k->name, p->since_ms};
    return true;
}

bool brokers_find(const struct brokers *b, struct span node, struct brokers_node *out) {
    return describe(b, map_get(&b->nodes, node), out);
}

size_t brokers_node_count(const struct brokers *b) {
    return map_count(&b->nodes);
}

void brokers_each(const struct brokers *b, bool (*each)(void *ctx, const struct brokers_node *n), void *ctx) {
    for (struct map_iter i = map_iter(&b->nodes); map_next(&i);) {
        struct brokers_node n;
        if (describe(b, i.value, &n) && !each(ctx, &n)) {
            return;
        }
    }
}
