/* Which link settings hold between two hosts. */
#include "simulator/world/net.h"

#include "base/mem.h"

static const struct sim_link LOOPBACK = {.latency_us = {DIST_FIXED, 30, 30}};

static char *link_key(const char *from, const char *to) {
    return str_printf("%s\n%s", from != NULL ? from : "*", to != NULL ? to : "*");
}

static struct sim_link *find(struct sim *sim, const char *from, const char *to) {
    char *key = link_key(from, to);
    struct sim_link *link = map_get_cstr(&sim->links, key);
    mem_free(key);
    return link;
}

static const struct sim_link *effective(struct sim *sim, const char *from, const char *to) {
    if (map_count(&sim->links) != 0) {
        const char *const pairs[][2] = {{from, to}, {from, NULL}, {NULL, to}, {NULL, NULL}};
        for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
            const struct sim_link *link = find(sim, pairs[i][0], pairs[i][1]);
            /* What is said of any host is not meant for a host's talk with itself. */
            if (link != NULL && (i == 0 || !str_eq(from, to))) {
                return link;
            }
        }
    }
    return str_eq(from, to) ? &LOOPBACK : &sim->link_default;
}

const struct sim_link *sim_link_between(struct sim *sim, const struct sim_host *from, const struct sim_host *to) {
    return effective(sim, from->name, to->name);
}

struct sim_link sim_link_get(struct sim *sim, const char *from, const char *to) {
    return *effective(sim, from, to);
}

bool sim_link_is_set(struct sim *sim, const char *from, const char *to) {
    return find(sim, from, to) != NULL;
}

void sim_link_set(struct sim *sim, const char *from, const char *to, const struct sim_link *link) {
    char *key = link_key(from, to);
    if (link == NULL) {
        mem_free(map_remove(&sim->links, span_of(key)));
    } else {
        struct sim_link *own = map_get_cstr(&sim->links, key);
        if (own == NULL) {
            own = mem_zalloc(sizeof(*own));
            map_put(&sim->links, span_of(key), own);
        }
        *own = *link;
    }
    mem_free(key);
    sim->link_version++;
    sim_net_links_changed(sim);
}
