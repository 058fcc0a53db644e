/* The network facet's table, and its end. */
#include "world/real_conn.h"

#include "world/real_tls.h"

void real_net_end(struct real_world *rw) {
    real_listeners_end(rw);
    struct list *all[] = {&rw->conns, &rw->lingering};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        while (!list_empty(all[i])) {
            real_conn_drop(LIST_ITEM(list_first(all[i]), struct real_conn, link));
        }
    }
}

const struct world_net_ops real_net_ops = {
    .tls_new = real_tls_new,
    .listen = real_listen,
    .connect = real_connect,
    .fetch = real_fetch,
};
