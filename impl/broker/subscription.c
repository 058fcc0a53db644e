/* Subscriptions to the inventory. A change costs one entry in a log; a round a second hands each subscriber what
 * concerns it, in order, and empties the log. */
#include "base/mem.h"
#include "broker/internal.h"
#include "pcp/body.h"

enum { LOG_KEEP_MAX = 1024 }; /* entries the empty log keeps memory for */

struct subscription {
    struct list_link link;
    struct peer *peer;
    struct map explicit; /* URIs; the value is not used */
    char **patterns;
    size_t pattern_count;
    uint64_t from; /* number of the first change it has not seen */
};

void subscription_drop(struct peer *p) {
    struct subscription *s = p->subscription;
    if (s == NULL) {
        return;
    }
    list_remove(&p->broker->subscriptions, &s->link);
    map_free(&s->explicit);
    for (size_t i = 0; i < s->pattern_count; i++) {
        mem_free(s->patterns[i]);
    }
    mem_free(s->patterns);
    mem_free(s);
    p->subscription = NULL;
}

void subscription_set(struct peer *p, const struct pcp_inventory_request *r) {
    struct broker *b = p->broker;
    subscription_drop(p);
    if (!r->subscribe) {
        return;
    }
    struct subscription *s = mem_zalloc(sizeof *s);
    s->peer = p;
    s->from = b->first_change + b->change_count;
    s->patterns = mem_array(r->count + 1, sizeof *s->patterns);
    map_init(&s->explicit);
    for (size_t i = 0; i < r->count; i++) {
        if (pcp_uri_is_wildcard(r->query[i])) {
            s->patterns[s->pattern_count++] = span_dup(r->query[i]);
        } else {
            map_put(&s->explicit, r->query[i], s);
        }
    }
    list_push_back(&b->subscriptions, &s->link);
    p->subscription = s;
}

static bool concerns(const struct subscription *s, struct span uri) {
    if (map_get(&s->explicit, uri) != NULL) {
        return true;
    }
    for (size_t i = 0; i < s->pattern_count; i++) {
        if (pcp_uri_matches(span_of(s->patterns[i]), uri)) {
            return true;
        }
    }
    return false;
}

static bool send_update(struct subscription *s, const struct pcp_change *changes, size_t count) {
    struct peer *p = s->peer;
    struct broker *b = p->broker;
    char id[37];
    world_uuid(b->world, id);
    buf_clear(&b->body);
    pcp_inventory_update_write(&b->body, changes, count);
    b->counters[COUNT_UPDATES]++;
    return peer_send_message(p, &(struct pcp_message){.id = span_of(id),
                                                      .message_type = SPAN(PCP_INVENTORY_UPDATE),
                                                      .target = peer_uri(p),
                                                      .data = buf_span(&b->body)}) == NULL;
}

/* A subscriber that cannot take its update has been closed, and its subscription is gone with it. */
static void update_one(struct broker *b, struct subscription *s, uint64_t end, struct pcp_change *room) {
    size_t count = 0;
    uint64_t i = s->from > b->first_change ? s->from : b->first_change;
    s->from = i > end ? i : end;
    for (; i < end; i++) {
        const struct change *c = &b->changes[i - b->first_change];
        if (concerns(s, span_of(c->uri))) {
            room[count++] = (struct pcp_change){span_of(c->uri), c->connected};
        }
        if (count == b->config.update_changes_max) {
            if (!send_update(s, room, count)) {
                return;
            }
            count = 0;
        }
    }
    if (count != 0) {
        send_update(s, room, count);
    }
}

static void forget_changes(struct broker *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        mem_free(b->changes[i].uri);
    }
    for (size_t i = count; i < b->change_count; i++) {
        b->changes[i - count] = b->changes[i];
    }
    b->first_change += count;
    b->change_count -= count;
}

static void start_round(struct broker *b);

static void update_all(void *ctx) {
    struct broker *b = ctx;
    size_t count = b->change_count; /* closing a slow subscriber adds changes: they wait for the next round */
    struct pcp_change *room = mem_array(b->config.update_changes_max, sizeof *room);
    LIST_EACH_SAFE (k, tmp, &b->subscriptions) {
        update_one(b, LIST_ITEM(k, struct subscription, link), b->first_change + count, room);
    }
    mem_free(room);
    forget_changes(b, count);
    if (b->change_count != 0) {
        start_round(b);
    } else if (b->change_cap > LOG_KEEP_MAX) {
        mem_free(b->changes);
        b->changes = NULL;
        b->change_cap = 0;
    }
}

static void start_round(struct broker *b) {
    if (b->update.place == 0) {
        world_timer_start(b->world, &b->update, b->config.update_interval_ms, update_all, b);
    }
}

void subscriptions_note(struct broker *b, struct span uri, bool connected) {
    if (list_empty(&b->subscriptions)) {
        return; /* who subscribes later starts at the end of the log */
    }
    b->changes = mem_grow(b->changes, &b->change_cap, b->change_count + 1, sizeof *b->changes);
    b->changes[b->change_count++] = (struct change){span_dup(uri), connected};
    start_round(b);
}

void subscriptions_free(struct broker *b) {
    forget_changes(b, b->change_count);
    mem_free(b->changes);
    world_timer_stop(b->world, &b->update);
}
