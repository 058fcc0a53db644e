/* The reference broker's recordings replayed against ours: every step sent, every answer compared. Identifiers and
 * times are aside, and so are the places where ours is documented to differ (pcp.md §8, §11, §23). */
#include "rig.h"

#include "base/digest.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "pcp/message.h"
#include <stdlib.h>
#include <string.h>

/* What the recorded broker was configured with. */
static const char rules[] =
    "authorization { version: 1, rules: ["
    "{ name: blocked, sort-order: 400, allow: \"*\", deny: client20.example.com, match-request: { path: "
    "\"/pcp-broker/send\","
    "  type: path, query-params: { message_type: \"http://puppetlabs.com/associate_request\" } } },"
    "{ name: sensitive, sort-order: 401, allow: client01.example.com, match-request: { path: \"/pcp-broker/send\","
    "  type: path, query-params: { message_type: \"test/sensitive\" } } },"
    "{ name: rest, sort-order: 500, allow: \"*\", match-request: { path: \"/\", type: path } }] }";

struct play {
    struct rig *rig;
    const char *section;
    struct map conns;   /* name -> struct client */
    struct map skipped; /* names whose connection ours treats differently from here on */
    struct map sent;    /* identifiers that clients made up */
    size_t steps, compared, to_the_byte, different;
};

/* Which certificate a connection of the recording had, by its name. */
static const char *name_of(const struct play *p, const char *conn) {
    static char name[] = "client00.example.com";
    if (strstr(conn, "no-cert") != NULL) {
        return NULL;
    }
    int number = 1;
    const char *c = strstr(conn, "client");
    if (c != NULL && c[6] >= '0' && c[6] <= '9') {
        number = atoi(c + 6);
    } else if (str_eq(conn, "denied")) {
        number = 20;
    } else if (strstr(p->section, "shutdown") != NULL && str_eq(conn, "v1")) {
        number = 2;
    } else {
        for (c = conn; *c != '\0'; c++) {
            if (*c == 'c' && c[1] >= '1' && c[1] <= '9' && (c == conn || c[-1] == ' ')) {
                number = atoi(c + 1);
            }
        }
    }
    snprintf(name + 6, 3, "%02d", number);
    name[8] = '.';
    return name;
}

static struct client *conn_of(const struct play *p, const char *conn) {
    struct client *c = map_get_cstr(&p->conns, conn);
    if (c == NULL) {
        fail_msg("%s: no connection %s", p->section, conn);
    }
    return c;
}

static void go_own_way(struct play *p, const char *conn) {
    static int yes;
    map_put(&p->skipped, span_of(conn), &yes);
    p->different++;
}

/* ---- opening */

static void open_conn(struct play *p, const json_t *step, const char *conn) {
    struct span request = json_span(json_object_get(step, "request"));
    const char *response = json_str(step, "http_response");
    struct span method, path;
    span_split(&request, ' ', &method);
    span_split(&request, ' ', &path);
    char *target = span_dup(path);
    int status = response != NULL ? atoi(response + strlen("HTTP/1.1 ")) : 101;
    map_remove(&p->skipped, span_of(conn));
    struct client *c = client_connect(p->rig, name_of(p, conn), target);
    if (c->open != (status == 101)) {
        fail_msg("%s: %s: recorded %d, ours %s", p->section, conn, status, c->open ? "101" : c->reason);
    }
    if (status != 101) {
        assert_non_null(strstr(c->reason, "404"));
    }
    /* Paths the reference accepts and then never answers on. */
    static const char *const refused[] = {"/pcp2/agent/", "/pcp2/foo/bar", "/pcp2//agent", "/pcp2/*"};
    for (size_t i = 0; i < 4; i++) {
        if (str_eq(target, refused[i])) {
            assert_true(client_wait_closed(c));
            assert_int_equal(c->code, 4002);
            go_own_way(p, conn);
        }
    }
    map_put(&p->conns, span_of(conn), c);
    mem_free(target);
}

/* ---- sending */

static void note_id(struct play *p, enum pcp_version version, struct span bytes) {
    static int yes;
    struct buf scratch = BUF_INIT;
    struct pcp_message m;
    if (pcp_decode(version, bytes, PCP_AS_BROKER, &m, &scratch, NULL)) {
        map_put(&p->sent, m.id, &yes);
    }
    buf_free(&scratch);
}

static void send_step(struct play *p, const json_t *step, struct client *c, const char *kind) {
    if (c->ws == NULL) {
        return; /* it is over on both sides */
    }
    if (str_eq(kind, "CLOSE")) {
        ws_close(c->ws, (uint16_t)json_int(step, "code", 1000), json_str(step, "reason"));
    } else if (str_eq(kind, "text")) {
        struct span payload = json_span(json_object_get(step, "payload"));
        ws_send(c->ws, true, &payload, 1);
        note_id(p, PCP_V2, payload);
    } else {
        struct buf bytes = BUF_INIT;
        assert_true(hex_decode(&bytes, json_span(json_object_get(step, "hex"))));
        client_binary(c, buf_span(&bytes));
        note_id(p, PCP_V1, buf_span(&bytes));
        buf_free(&bytes);
    }
}

/* ---- comparing */

static void differ(const struct play *p, const char *conn, struct span want, struct span got) {
    fail_msg("%s: %s\nrecorded %.*s\nours     %.*s", p->section, conn, (int)want.len, want.ptr, (int)got.len, got.ptr);
}

/* Behind the identifier the broker made up. */
static struct span behind_id(struct span bytes) {
    ptrdiff_t at = span_find_span(bytes, SPAN("{\"id\":\""));
    assert_true(at >= 0);
    return span_sub(bytes, (size_t)at + 7 + 36, bytes.len);
}

static bool same_data(const char *message_type, const json_t *want, const json_t *got) {
    static const char dump[] = "Error :schema.core/error handling message: ";
    if (str_eq(message_type, "num")) {
        return true; /* relayed numbers: the reference writes them anew, ours leaves them (relayed_bytes_are_untouched)
                      */
    }
    if (json_is_string(want) && span_starts_with(json_span(want), dump)) {
        return span_starts_with(json_span(got), dump);
    }
    return want == NULL ? got == NULL : json_equal(want, got);
}

static void compare_text(struct play *p, const char *conn, struct span want, struct span got) {
    const size_t flags = JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL;
    json_t *w = json_loadb(want.ptr, want.len, flags, NULL), *g = json_loadb(got.ptr, got.len, flags, NULL);
    const char *id = json_str(w, "id");
    bool relayed = id != NULL && map_get_cstr(&p->sent, id) != NULL;
    if (g == NULL && relayed && str_eq(json_str(w, "message_type"), "num")) {
        json_decref(w); /* 1e400 is beyond jansson */
        return;
    }
    if (w == NULL || g == NULL) {
        differ(p, conn, want, got);
    }
    bool same = json_object_size(w) == json_object_size(g) &&
                same_data(json_str(w, "message_type"), json_object_get(w, "data"), json_object_get(g, "data"));
    static const char *const keys[] = {"message_type", "target", "sender", "in_reply_to"};
    for (size_t i = 0; i < 4; i++) {
        same = same && str_eq(json_str(w, keys[i]), json_str(g, keys[i]));
    }
    same = same && (relayed ? str_eq(id, json_str(g, "id")) : pcp_id_valid(span_of(json_str(g, "id"))));
    if (!same) {
        differ(p, conn, want, got);
    }
    struct span data = json_span(json_object_get(w, "data"));
    if (!relayed && !span_starts_with(data, "Error :schema")) {
        if (!span_eq(behind_id(want), behind_id(got))) {
            differ(p, conn, want, got);
        }
        p->to_the_byte++;
    }
    json_decref(w);
    json_decref(g);
}

static void compare_binary(struct play *p, const char *conn, struct span want, struct span got) {
    struct pcp_message w, g;
    struct buf ws = BUF_INIT, gs = BUF_INIT;
    assert_true(pcp_decode(PCP_V1, want, PCP_AS_CLIENT, &w, &ws, NULL));
    assert_true(pcp_decode(PCP_V1, got, PCP_AS_CLIENT, &g, &gs, NULL));
    bool relayed = map_get(&p->sent, w.id) != NULL;
    json_t *wd = json_loadb(w.data.ptr, w.data.len, JSON_DECODE_ANY, NULL),
           *gd = json_loadb(g.data.ptr, g.data.len, JSON_DECODE_ANY, NULL);
    char *type = span_dup(w.message_type);
    bool dump = json_is_string(wd) && span_starts_with(json_span(wd), "Error :schema");
    bool same = span_eq(w.message_type, g.message_type) && span_eq(w.target, g.target) && span_eq(w.sender, g.sender) &&
                span_eq(w.in_reply_to, g.in_reply_to) && w.expires_ms == g.expires_ms && same_data(type, wd, gd);
    same = same && (relayed ? span_eq(w.id, g.id) : pcp_id_valid(g.id));
    if (same && !dump && !relayed) {
        same = span_eq(behind_id(want), behind_id(got));
        p->to_the_byte++;
    }
    if (!same) {
        differ(p, conn, want, got);
    }
    mem_free(type);
    json_decref(wd);
    json_decref(gd);
    buf_free(&ws);
    buf_free(&gs);
}

/* The reference ends the connection with an exception's text; ours answers and stays (pcp.md §11). */
static void instead_of_exception(struct play *p, const char *conn, struct client *c, const char *reason) {
    const char *answer =
        strstr(reason, "NullPointer") != NULL ? "Multiple recipients no longer supported." : "Could not decode message";
    const struct received *m = client_next(c);
    assert_non_null(m);
    if (memmem(m->bytes.ptr, m->bytes.len, answer, strlen(answer)) == NULL) {
        differ(p, conn, span_of(answer), buf_span(&m->bytes));
    }
    assert_false(c->closed);
    go_own_way(p, conn);
}

static void receive_close(struct play *p, const json_t *step, const char *conn, struct client *c) {
    uint16_t code = (uint16_t)json_int(step, "code", 1005);
    const char *reason = json_str(step, "reason");
    if (code == 1011 && !span_ends_with(span_of(reason), ".")) {
        instead_of_exception(p, conn, c, reason);
        return;
    }
    assert_true(client_wait_closed(c));
    if (c->code != code || !str_eq(c->reason, reason)) {
        fail_msg("%s: %s: recorded close %u %s, ours %u %s", p->section, conn, code, reason, c->code, c->reason);
    }
}

static void receive_step(struct play *p, const json_t *step, const char *conn, struct client *c, const char *kind) {
    p->compared++;
    if (span_starts_with(span_of(kind), "nothing within")) {
        if (!client_silent(c, (uint64_t)(strtod(kind + strlen("nothing within "), NULL) * 1000))) {
            fail_msg("%s: %s: recorded silence, ours sends %s", p->section, conn, client_next(c)->bytes.ptr);
        }
    } else if (str_eq(kind, "CLOSE")) {
        receive_close(p, step, conn, c);
    } else if (strstr(kind, "EOF") != NULL) {
        assert_true(client_wait_closed(c));
    } else if (str_eq(json_str(step, "b0"), "0xc1")) {
        assert_true(client_next(c)->text); /* recorded deflated: ours declines the extension */
    } else {
        const struct received *m = client_next(c);
        if (m == NULL) {
            char *text = json_text(step);
            fail_msg("%s: %s: ours is silent, recorded %s", p->section, conn, text);
        }
        assert_int_equal(m->text, str_eq(kind, "text"));
        if (m->text) {
            compare_text(p, conn, json_span(json_object_get(step, "payload")), buf_span(&m->bytes));
        } else {
            struct buf want = BUF_INIT;
            assert_true(hex_decode(&want, json_span(json_object_get(step, "hex"))));
            compare_binary(p, conn, buf_span(&want), buf_span(&m->bytes));
            buf_free(&want);
        }
    }
}

/* The recording does not say that the third client was dropped together with the second. */
static void drop_unrecorded(struct play *p, const char *conn, const char *sent) {
    struct client *c = map_get_cstr(&p->conns, "c3");
    if (str_eq(p->section, "v2: inventory subscribe/update/unsubscribe") && str_eq(conn, "c2") &&
        str_eq(sent, "CLOSE") && c->ws != NULL) {
        rig_run_ms(p->rig, 100);
        ws_abort(c->ws);
        c->ws = NULL;
    }
}

static void play_step(struct play *p, const json_t *step) {
    const char *conn = json_str(step, "conn"), *sent = json_str(step, "sent"), *recv = json_str(step, "recv");
    p->steps++;
    if (conn == NULL) {
        return;
    }
    if (json_object_get(step, "request") != NULL) {
        open_conn(p, step, conn);
    } else if (map_get_cstr(&p->skipped, conn) != NULL) {
        return;
    } else if (sent != NULL) {
        send_step(p, step, conn_of(p, conn), sent);
        drop_unrecorded(p, conn, sent);
    } else if (recv != NULL) {
        receive_step(p, step, conn, conn_of(p, conn), recv);
    }
}

static struct play play_section(const char *file, const char *section) {
    struct play p = {.rig = rig_new(NULL, rules), .section = section};
    char *path = str_printf("%s/scenarios/golden/pcp-broker/%s", SOURCE_DIR, file);
    json_t *root = json_load_file(path, JSON_ALLOW_NUL, NULL), *step;
    size_t i;
    assert_non_null(json_object_get(root, section));
    map_init(&p.conns);
    map_init(&p.skipped);
    map_init(&p.sent);
    json_array_foreach(json_object_get(root, section), i, step) {
        if (json_object_get(step, "action") != NULL) {
            break; /* SIGTERM and the like: tested elsewhere */
        }
        play_step(&p, step);
    }
    print_message("%s: %zu steps, %zu answers compared, %zu of them to the byte, %zu documented differences\n", section,
                  p.steps, p.compared, p.to_the_byte, p.different);
    map_free(&p.conns);
    map_free(&p.skipped);
    map_free(&p.sent);
    json_decref(root);
    mem_free(path);
    rig_free(p.rig);
    return p;
}

#define SECTION(name, file, title, differences)                                                                        \
    static void name(void **state) {                                                                                   \
        (void)state;                                                                                                   \
        struct play p = play_section(file, title);                                                                     \
        assert_true(p.compared > 1);                                                                                   \
        assert_int_equal(p.different, differences);                                                                    \
    }

SECTION(upgrade_on_various_paths, "conformance.json", "http: upgrade on various paths", 4)
SECTION(no_client_certificate, "conformance.json", "tls: no client certificate", 0)
SECTION(type_server_and_denied_name, "conformance.json", "type server refused; unauthorized CN refused", 0)
SECTION(v2_associate, "conformance.json", "v2: no greeting; associate_request answered", 0)
SECTION(v2_associate_other_type, "conformance.json", "v2: associate with other type -> denied", 0)
SECTION(v2_associate_other_name, "conformance.json", "v2: associate with other CN -> denied", 0)
SECTION(v2_inventory, "conformance.json", "v2: inventory", 0)
SECTION(v2_subscriptions, "conformance.json", "v2: inventory subscribe/update/unsubscribe", 0)
SECTION(v2_routing, "conformance.json", "v2: routing", 0)
SECTION(v2_failures, "conformance.json", "v2: delivery failures and denied messages", 0)
SECTION(v2_malformed, "conformance.json", "v2: malformed messages (one connection each; shows whether it stays open)",
        2)
SECTION(v2_binary, "conformance.json", "v2: binary frames", 0)
SECTION(superseding, "conformance.json", "superseding: same URI connects again (v2/v2, v1/v1, v1/v2)", 0)
SECTION(v1_associate_inventory, "conformance.json", "v1: associate, inventory", 0)
SECTION(v1_associate_denied, "conformance.json", "v1: associate as other type / other CN", 0)
SECTION(v1_not_associated, "conformance.json", "v1: not associated explicitly - still usable?", 0)
SECTION(v1_v2_routing, "conformance.json", "v1<->v2 routing and errors", 1)
SECTION(v1_malformed, "conformance.json", "v1: malformed", 1)
SECTION(v1_spoof_expired, "extra.json", "v1: spoof, expired, bad json data", 1)
SECTION(v1_chunk_types, "extra.json", "v1: data chunk of type 3, 4 unknown chunk type, order", 0)
SECTION(log_formats_and_shutdown, "shutdown.json", "log formats + shutdown", 0)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(upgrade_on_various_paths),
        cmocka_unit_test(no_client_certificate),
        cmocka_unit_test(type_server_and_denied_name),
        cmocka_unit_test(v2_associate),
        cmocka_unit_test(v2_associate_other_type),
        cmocka_unit_test(v2_associate_other_name),
        cmocka_unit_test(v2_inventory),
        cmocka_unit_test(v2_subscriptions),
        cmocka_unit_test(v2_routing),
        cmocka_unit_test(v2_failures),
        cmocka_unit_test(v2_malformed),
        cmocka_unit_test(v2_binary),
        cmocka_unit_test(superseding),
        cmocka_unit_test(v1_associate_inventory),
        cmocka_unit_test(v1_associate_denied),
        cmocka_unit_test(v1_not_associated),
        cmocka_unit_test(v1_v2_routing),
        cmocka_unit_test(v1_malformed),
        cmocka_unit_test(v1_spoof_expired),
        cmocka_unit_test(v1_chunk_types),
        cmocka_unit_test(log_formats_and_shutdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
