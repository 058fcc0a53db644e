/* Which link settings hold between two hosts. */
#include "simulator/world/net.h"

#include "base/mem.h"

static const struct sim_link LOOPBACK = {.latency_us = {DIST_FIXED, 30, 30}};

/* In key, which the next call may use again. */
static struct span link_key(struct buf *key, const char *from, const char *to) {
    buf_clear(key);
    buf_append_cstr(key, from != NULL ? from : "*");
    buf_append_char(key, '\n');
    buf_append_cstr(key, to != NULL ? to : "*");
    return buf_span(key);
}

static const struct sim_link *effective(struct sim *sim, const char *from, const char *to) {
    const char *const pairs[][2] = {{from, to}, {from, NULL}, {NULL, to}, {NULL, NULL}};
    const bool itself = str_eq(from, to);
    const struct sim_link *link = itself ? &LOOPBACK : &sim->link_default;
    if (map_count(&sim->links) == 0) {
        return link;
    }
    struct buf key = BUF_INIT;
    /* What is said of any host is not meant for a host's talk with itself. */
    for (size_t i = 0; i < (itself ? 1 : sizeof(pairs) / sizeof(pairs[0])); i++) {
        const struct sim_link *own = map_get(&sim->links, link_key(&key, pairs[i][0], pairs[i][1]));
        if (own != NULL) {
            link = own;
            break;
        }
    }
    buf_free(&key);
    return link;
}

const struct sim_link *sim_link_between(struct sim *sim, const struct sim_host *from, const struct sim_host *to) {
    return effective(sim, from->name, to->name);
}

struct sim_link sim_link_get(struct sim *sim, const char *from, const char *to) {
    return *effective(sim, from, to);
}

bool sim_link_is_set(struct sim *sim, const char *from, const char *to) {
    struct buf key = BUF_INIT;
    bool set = map_get(&sim->links, link_key(&key, from, to)) != NULL;
    buf_free(&key);
    return set;
}

void sim_link_set(struct sim *sim, const char *from, const char *to, const struct sim_link *link) {
    struct buf text = BUF_INIT;
    const struct span key = link_key(&text, from, to);
    if (link == NULL) {
        mem_free(map_remove(&sim->links, key));
    } else {
        struct sim_link *own = map_get(&sim->links, key);
        if (own == NULL) {
            own = mem_zalloc(sizeof(*own));
            map_put(&sim->links, key, own);
        }
        *own = *link;
    }
    buf_free(&text);
    sim->link_version++;
    sim_net_links_changed(sim);
}
