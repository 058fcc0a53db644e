/* The certificate revocation list: when its file changes, every session that is older has to come again, so that its
 * certificate is looked at again. They are sent away one by one, not all at once (pcp.md §16). */
#include "broker/internal.h"

static void check(void *ctx);

static void check_in(struct broker *b, uint64_t delay_ms) {
    world_timer_start(b->world, &b->crl_check, delay_ms, check, b);
}

static bool read_again(struct broker *b) {
    struct error err = ERROR_INIT;
    b->crl_unread = !world_tls_reload(b->tls, &err);
    if (b->crl_unread) {
        log_event(b->log.main, LOG_ERROR, "crl-reload", err.msg, NULL);
    }
    error_clear(&err);
    return !b->crl_unread;
}

/* Sessions stand in the order they came in: those from before the change are at the front. */
static struct peer *oldest_before_change(struct broker *b) {
    struct list_link *k = list_first(&b->sessions);
    struct peer *p = k != NULL ? LIST_ITEM(k, struct peer, link) : NULL;
    return p != NULL && p->crl_generation != b->crl_generation ? p : NULL;
}

static void check(void *ctx) {
    struct broker *b = ctx;
    if (b->crl_unread && !read_again(b)) {
        check_in(b, b->config.crl_check_period_ms);
        return;
    }
    struct peer *p = oldest_before_change(b);
    if (p != NULL) {
        peer_close(p, CLOSE_CRL);
    }
    if (oldest_before_change(b) != NULL) {
        check_in(b, b->config.expired_throttle_ms);
    }
}

static void on_change(void *ctx) {
    struct broker *b = ctx;
    log_event(b->log.main, LOG_INFO, "crl-change", "The CRL has changed: clients have to connect again", NULL);
    b->crl_generation++;
    read_again(b);
    if (b->crl_check.place == 0) {
        check_in(b, b->config.crl_check_period_ms);
    }
}

bool crl_start(struct broker *b, struct error *err) {
    if (b->config.tls.crl == NULL) {
        return true;
    }
    b->crl_watch = world_watch(b->world, b->config.tls.crl, on_change, b);
    return b->crl_watch != NULL ||
           error_set(err, "broker/config", "ssl-crl-path: %s cannot be watched", b->config.tls.crl);
}

void crl_stop(struct broker *b) {
    if (b->crl_watch != NULL) {
        world_watch_close(b->crl_watch);
        b->crl_watch = NULL;
    }
    world_timer_stop(b->world, &b->crl_check);
}
