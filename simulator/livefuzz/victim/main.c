/* A small broker with a bug of one's choice, for the fuzzer to find: victim BUG PORT CA CERT KEY.
 *
 * It carries version 2 messages between clients and says "Not connected." of those it cannot. BUG, when a message has a
 * member "surplus": crash, hang, growth (it keeps some megabytes); or spoof (it never looks at who sends); or none. */
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "net/http_server.h"
#include "net/ws_peer.h"
#include "world/real.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GROWTH = 8 * 1024 * 1024, KEPT_MAX = 64 };

struct victim {
    struct map clients; /* URI → struct client */
    const char *bug;
    void *kept[KEPT_MAX];
    size_t kept_count;
};

struct client {
    struct victim *victim;
    struct ws_peer *peer;
    char *uri;
};

static void refuse(struct client *c, const char *id, const char *why) {
    struct buf out = BUF_INIT;
    json_t *m = json_pack("{s:s, s:s, s:s, s:s}", "id", "11111111-1111-4111-8111-111111111111", "message_type",
                          "http://puppetlabs.com/error_message", "sender", "pcp:///server", "data", why);
    if (id != NULL) {
        json_set(m, "in_reply_to", json_string(id));
    }
    json_write(&out, m);
    struct span frame = buf_span(&out);
    ws_send(c->peer, true, &frame, 1);
    buf_free(&out);
    json_decref(m);
}

static void bite(struct victim *v) {
    if (strcmp(v->bug, "crash") == 0) {
        abort();
    } else if (strcmp(v->bug, "hang") == 0) {
        for (;;) {
            pause();
        }
    } else if (strcmp(v->bug, "growth") == 0 && v->kept_count < KEPT_MAX) {
        v->kept[v->kept_count] = mem_alloc(GROWTH);
        memset(v->kept[v->kept_count++], 1, GROWTH);
    }
}

static bool is_proper(const json_t *m) {
    static const char *const texts[] = {"id", "message_type", "target", "sender", "in_reply_to"};
    bool ok = json_is_object(m) && json_str(m, "message_type") != NULL;
    size_t known = json_object_get(m, "data") != NULL;
    for (size_t i = 0; i < 5; i++) {
        json_t *value = json_object_get(m, texts[i]);
        ok = ok && (value == NULL || (json_is_string(value) && strlen(json_string_value(value)) < 100));
        known += value != NULL;
    }
    ok = ok && json_object_size(m) == known;
    const char *id = json_str(m, "id");
    return ok && id != NULL && strlen(id) == 36 && strspn(id, "0123456789abcdef-") == 36;
}

static void on_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    struct client *c = ctx, *to;
    (void)p;
    json_t *m = text ? json_parse_strict(payload, "victim", NULL) : NULL;
    const char *id = json_str(m, "id"), *target = json_str(m, "target"), *sender = json_str(m, "sender");
    if (json_object_get(m, "surplus") != NULL) {
        bite(c->victim);
    }
    if (!is_proper(m) || json_object_get(m, "surplus") != NULL) {
        refuse(c, NULL, "Could not decode message");
    } else if (sender != NULL && !str_eq(sender, c->uri) && strcmp(c->victim->bug, "spoof") != 0) {
        refuse(c, id, "Message not authenticated.");
    } else if (target == NULL || (to = map_get_cstr(&c->victim->clients, target)) == NULL) {
        refuse(c, id, "Not connected.");
    } else {
        struct buf out = BUF_INIT;
        json_set(m, "sender", json_string(sender != NULL ? sender : c->uri));
        json_write(&out, m);
        struct span frame = buf_span(&out);
        ws_send(to->peer, true, &frame, 1);
        buf_free(&out);
    }
    json_decref(m);
}

static void on_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct client *c = ctx;
    (void)p, (void)code, (void)reason;
    if (map_get_cstr(&c->victim->clients, c->uri) == c) {
        map_remove(&c->victim->clients, span_of(c->uri));
    }
    mem_free(c->uri);
    mem_free(c);
}

static const struct ws_handler handler = {.on_message = on_message, .on_close = on_close};

static void upgrade(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    const struct world_identity *id = http_request(ex)->identity;
    (void)route;
    if (id == NULL || !ws_is_upgrade(ex)) {
        http_respond(ex, 404, NULL, SPAN(""));
        return;
    }
    struct client *c = mem_zalloc(sizeof(*c));
    c->victim = ctx;
    c->uri = str_printf("pcp://%s/agent", id->common_name);
    c->peer = ws_accept(ex, &(struct ws_limits){.message_max = 1024 * 1024}, &handler, c);
    if (c->peer == NULL) {
        mem_free(c->uri);
        mem_free(c);
    } else {
        map_put(&c->victim->clients, span_of(c->uri), c);
    }
}

int main(int argc, char **argv) {
    if (argc != 6) {
        return 2;
    }
    static const struct http_route routes[] = {{"GET", "/pcp2/agent", upgrade, NULL}, {NULL, NULL, NULL, NULL}};
    struct victim v = {.bug = argv[1]};
    struct error err = ERROR_INIT;
    struct world *w = real_world_new(&err);
    struct world_tls_files files = {
        .ca = argv[3], .cert = argv[4], .key = argv[5], .client_auth = WORLD_CLIENT_AUTH_WANT};
    struct world_tls *tls = world_tls_new(w, &files, &err);
    struct http_server_opts opts = {
        .listen = {.host = "127.0.0.1", .port = (uint16_t)strtoul(argv[2], NULL, 10), .tls = tls},
        .routes = routes,
        .ctx = &v};
    if (tls == NULL || http_server_new(w, &opts, &err) == NULL) {
        fprintf(stderr, "victim: %s\n", err.msg);
        return 3;
    }
    real_world_run(w); /* until it is killed */
    return 0;
}
