/* Pools of kept connections: libcurl's sockets and timers on the loop. */
#include "world/real_fetch.h"

enum {
    HOST_CONNECTIONS_MAX = 256, /* more requests to one host wait their turn */
    KEPT_CONNECTIONS_MAX = 64,
};

struct pool_socket {
    uv_poll_t poll;
    struct fetch_pool *pool;
    curl_socket_t fd;
};

/* Lets curl work, then tells which requests are over. */
static void pump(struct fetch_pool *pool, curl_socket_t fd, int events) {
    int running = 0;
    pool->in_curl = true;
    real_curl()->multi_socket_action(pool->multi, fd, events, &running);
    pool->in_curl = false;
    bool kept = pool->kept;
    pool->kept = true;
    int left = 0;
    for (CURLMsg *msg; (msg = real_curl()->multi_info_read(pool->multi, &left)) != NULL;) {
        if (msg->msg == CURLMSG_DONE) {
            real_fetch_finished(msg->easy_handle, msg->data.result);
        }
    }
    real_fetch_sweep(pool);
    pool->kept = kept;
    real_fetch_pool_settle(pool);
}

static void on_socket_ready(uv_poll_t *poll, int status, int events) {
    struct pool_socket *s = poll->data;
    int flags =
        ((events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0) | ((events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0);
    pump(s->pool, s->fd, status < 0 ? CURL_CSELECT_IN | CURL_CSELECT_OUT : flags);
}

static void on_socket_closed(uv_handle_t *handle) {
    mem_free(handle->data);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx) {
    (void)easy;
    struct fetch_pool *pool = ctx;
    struct pool_socket *s = socket_ctx;
    if (what == CURL_POLL_REMOVE) {
        if (s != NULL) {
            real_curl()->multi_assign(pool->multi, fd, NULL);
            uv_close((uv_handle_t *)&s->poll, on_socket_closed);
        }
        return 0;
    }
    if (s == NULL) {
        s = mem_zalloc(sizeof(*s));
        s->pool = pool;
        s->fd = fd;
        s->poll.data = s;
        if (uv_poll_init_socket(&pool->rw->loop, &s->poll, fd) != 0) {
            mem_free(s);
            return -1;
        }
        real_curl()->multi_assign(pool->multi, fd, s);
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    uv_poll_start(&s->poll, events, on_socket_ready);
    return 0;
}

static void on_timer(void *ctx) {
    pump(ctx, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer_wish(CURLM *multi, long timeout_ms, void *ctx) {
    (void)multi;
    struct fetch_pool *pool = ctx;
    if (timeout_ms < 0) {
        world_timer_stop(&pool->rw->world, &pool->timer);
    } else {
        world_timer_start(&pool->rw->world, &pool->timer, (uint64_t)timeout_ms, on_timer, pool);
    }
    return 0;
}

static struct fetch_pool *pool_new(struct real_world *rw, struct real_tls_state *tls) {
    struct fetch_pool *pool = mem_zalloc(sizeof(*pool));
    pool->rw = rw;
    pool->tls = tls != NULL ? real_tls_state_ref(tls) : NULL;
    list_init(&pool->fetches);
    list_push_back(&rw->fetch_pools, &pool->link);
    if (real_curl()->missing != NULL) {
        return pool;
    }
    pool->multi = real_curl()->multi_init();
    real_curl()->multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    real_curl()->multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
    real_curl()->multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
    real_curl()->multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
    real_curl()->multi_setopt(pool->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    real_curl()->multi_setopt(pool->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)HOST_CONNECTIONS_MAX);
    real_curl()->multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS_MAX);
    return pool;
}

void real_fetch_pool_free(struct fetch_pool *pool) {
    list_remove(&pool->rw->fetch_pools, &pool->link);
    if (pool->multi != NULL) {
        real_curl()->multi_cleanup(pool->multi);
    }
    world_timer_stop(&pool->rw->world, &pool->timer);
    real_tls_state_free(pool->tls);
    mem_free(pool);
}

/* The TLS context is gone, or was read anew: its kept connections are of no use any more. */
void real_fetch_pool_settle(struct fetch_pool *pool) {
    if (!pool->kept && !pool->in_curl && list_empty(&pool->fetches) && pool->tls != NULL && pool->tls->refs == 1) {
        real_fetch_pool_free(pool);
    }
}

struct fetch_pool *real_fetch_pool(struct real_world *rw, struct world_tls *tls) {
    struct real_tls_state *state = tls != NULL ? ((struct real_tls *)(void *)tls)->state : NULL;
    struct fetch_pool *found = NULL;
    LIST_EACH_SAFE (it, tmp, &rw->fetch_pools) {
        struct fetch_pool *pool = LIST_ITEM(it, struct fetch_pool, link);
        if (pool->tls == state) {
            found = pool;
        } else {
            real_fetch_pool_settle(pool);
        }
    }
    return found != NULL ? found : pool_new(rw, state);
}
