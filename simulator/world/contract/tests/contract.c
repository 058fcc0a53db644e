/* What the cases share. */
#include "contract.h"

#include "base/mem.h"

enum { WITHIN_MS = 10000 };

void contract_until(struct contract *c, bool (*done)(void *ctx), void *ctx) {
    if (!c->run(c, done, ctx, WITHIN_MS)) {
        fail_msg("it did not happen within %d ms", WITHIN_MS);
    }
}

static void set_flag(void *ctx) {
    *(bool *)ctx = true;
}
static bool is_set(void *ctx) {
    return *(bool *)ctx;
}

void contract_pass(struct contract *c, uint64_t ms) {
    struct timer t = {0};
    bool over = false;
    world_timer_start(c->w, &t, ms, set_flag, &over);
    contract_until(c, is_set, &over);
}

char *contract_path(const struct contract *c, const char *name) {
    return str_printf("%s/%s", c->dir, name);
}

void contract_must(bool ok, struct error *err) {
    if (!ok) {
        fail_msg("%s: %s", err->kind, err->msg);
    }
}

void contract_fails(bool ok, struct error *err, const char *kind) {
    assert_false(ok);
    assert_string_equal(err->kind, kind);
    assert_non_null(err->msg);
    error_clear(err);
}

/* ---- connections */

static void on_open(void *ctx, struct world_conn *c) {
    struct side *s = ctx;
    assert_ptr_equal(s->conn, c);
    s->opened++;
}
static void on_data(void *ctx, struct world_conn *c, struct span bytes) {
    struct side *s = ctx;
    (void)c;
    assert_int_equal(s->closed, 0);
    buf_append_span(&s->got, bytes);
}
static void on_drain(void *ctx, struct world_conn *c) {
    (void)c;
    ((struct side *)ctx)->drains++;
}
static void on_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    struct side *s = ctx;
    (void)c;
    s->closed++;
    s->why = why;
    strncpy(s->text, text != NULL ? text : "", sizeof(s->text) - 1);
    s->conn = NULL;
}
const struct world_conn_handler side_handler = {on_open, on_data, on_drain, on_close};

static void on_accept(void *ctx, struct world_conn *c) {
    struct server *s = ctx;
    assert_true(s->accepted < sizeof(s->sides) / sizeof(s->sides[0]));
    struct side *side = &s->sides[s->accepted++];
    side->conn = c;
    side->opened++;
    world_conn_set_handler(c, &side_handler, side);
}

void server_start(struct contract *c, struct server *s, struct world_tls *tls) {
    struct error err = ERROR_INIT;
    *s = (struct server){.tls = tls};
    s->listener = world_listen(c->w, &(struct world_listen){.tls = tls}, on_accept, s, &err);
    contract_must(s->listener != NULL, &err);
}

void side_stop(struct side *side) {
    if (side->conn != NULL) {
        world_conn_abort(side->conn);
    }
    buf_free(&side->got);
    *side = (struct side){0};
}

void server_stop(struct server *s) {
    for (size_t i = 0; i < s->accepted; i++) {
        side_stop(&s->sides[i]);
    }
    world_listener_close(s->listener);
    world_tls_free(s->tls);
    *s = (struct server){0};
}

void side_connect(struct contract *c, struct side *side, const struct server *s, struct world_tls *tls) {
    *side = (struct side){0};
    struct world_connect to = {.host = c->host, .port = world_listener_port(s->listener), .tls = tls};
    side->conn = world_connect(c->client, &to, &side_handler, side);
    assert_int_equal(side->opened + side->closed, 0); /* nothing happens inside the call */
}

bool side_is_open(void *side) {
    return ((struct side *)side)->opened != 0;
}

bool side_is_closed(void *side) {
    return ((struct side *)side)->closed != 0;
}

struct world_tls *contract_tls(struct world *w, struct contract *c, enum contract_cert cert) {
    struct error err = ERROR_INIT;
    struct world_tls *tls = world_tls_new(w, &c->files[cert], &err);
    contract_must(tls != NULL, &err);
    return tls;
}

int contract_run_all(void) {
    return contract_time() + contract_net() + contract_tls_cases() + contract_fetch() + contract_process() +
           contract_files();
}
