/* The decoder and the view: however the bytes are cut, the same messages; what is secret is not shown; what is broken
 * is told and nothing more is read of it. */
#include "simulator/tap/show.h"

#include "base/mem.h"
#include "wire/ws_frame.h"
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define REQUEST "GET /pcp2/agent HTTP/1.1\r\nHost: b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
#define RESPONSE "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
#define RUN_TASK                                                                                                       \
    "{\"id\":\"1-1-1-1-1\",\"message_type\":\"http://puppetlabs.com/rpc_non_blocking_request\",\"target\":"            \
    "\"pcp://n1/agent\",\"sender\":\"pcp://o/controller\",\"data\":{\"transaction_id\":\"7\",\"module\":\"task\","     \
    "\"action\":\"run\",\"params\":{\"metadata\":{\"parameters\":{\"key\":{\"sensitive\":true}}},\"input\":"           \
    "{\"key\":\"s1\",\"password\":\"s2\",\"message\":\"{\\\"token\\\":\\\"s3\\\",\\\"a\\\":1}\",\"pin\":\"s4\"}}}}"

struct saw {
    struct tap_view view;
    struct buf out;
    size_t shown;
};

static void on_event(void *ctx, const struct tap_event *event) {
    struct saw *s = ctx;
    const struct tap_line line = {.connection = 1, .wall_ms = 1893553445678, .common_name = "n1"};
    s->shown += tap_show(&s->view, &line, event, &s->out);
}

static void put_frame(struct buf *out, uint8_t opcode, bool masked, const char *payload, size_t len) {
    struct ws_frame_head head = {.fin = true, .opcode = opcode, .masked = masked, .mask = {1, 2, 3, 4}, .length = len};
    uint8_t bytes[WS_HEAD_MAX];
    buf_append(out, bytes, ws_head_encode(bytes, &head));
    size_t at = out->len;
    buf_append(out, payload, len);
    if (masked) {
        ws_mask(out->ptr + at, out->ptr + at, len, head.mask, 0);
    }
}

/* Client: request, pong, nonsense, close. Broker: response, a task's request, ping. In pieces of `cut` bytes; the
 * broker says nothing before it has the request, the client does not wait for the answer. */
static void converse(struct saw *s, size_t cut) {
    struct buf client = BUF_INIT, broker = BUF_INIT;
    struct tap_decoder d;
    buf_append_cstr(&client, REQUEST);
    buf_append_cstr(&broker, RESPONSE);
    put_frame(&broker, WS_OP_TEXT, false, RUN_TASK, strlen(RUN_TASK));
    put_frame(&broker, WS_OP_PING, false, "x", 1);
    put_frame(&client, WS_OP_PONG, true, "x", 1);
    put_frame(&client, WS_OP_TEXT, true, "{}", 2);
    put_frame(&client, WS_OP_CLOSE, true, "\x03\xe8\x1b[2J", 6);
    tap_decoder_init(&d, on_event, s);
    size_t c = 0;
    for (; c < sizeof(REQUEST) - 1; c += cut) {
        tap_decode(&d, true, span_sub(buf_span(&client), c, cut));
    }
    for (size_t b = 0; c < client.len || b < broker.len; c += cut, b += cut) {
        tap_decode(&d, true, span_sub(buf_span(&client), c, cut));
        tap_decode(&d, false, span_sub(buf_span(&broker), b, cut));
    }
    tap_decoder_free(&d);
    buf_free(&client);
    buf_free(&broker);
}

static void cut_anywhere_it_is_the_same(void **state) {
    (void)state;
    struct saw whole = {.view = {.json = true, .frames = true}};
    converse(&whole, 1000000);
    assert_int_equal(whole.shown, 7);
    for (size_t cut = 1; cut < 90; cut += cut < 10 ? 1 : 13) {
        struct saw s = {.view = whole.view};
        converse(&s, cut);
        assert_int_equal(s.shown, whole.shown); /* the order between the directions depends on the cuts */
        assert_int_equal(s.out.len, whole.out.len);
        buf_free(&s.out);
    }
    buf_free(&whole.out);
}

static void secrets_are_hidden(void **state) {
    (void)state;
    static const char *const names[] = {"PIN"};
    static const char *const hidden[] = {"s1", "s2", "s3", "s4"};
    for (int json = 0; json < 2; json++) {
        struct saw s = {.view = {.json = json != 0, .secrets = {names, 1}}};
        converse(&s, 1000000);
        for (size_t i = 0; i < 4; i++) {
            assert_null(strstr(s.out.ptr, hidden[i]));
        }
        assert_non_null(strstr(s.out.ptr, TAP_HIDDEN));
        assert_non_null(strstr(s.out.ptr, "sensitive"));
        buf_clear(&s.out);
        s.view.show_secrets = true;
        converse(&s, 1000000);
        for (size_t i = 0; i < 4; i++) {
            assert_non_null(strstr(s.out.ptr, hidden[i]));
        }
        buf_free(&s.out);
    }
    struct buf out = BUF_INIT;
    tap_hide_query(&(struct tap_secrets){NULL, 0}, "/x?a=1&token=t0p&b", &out);
    assert_string_equal(out.ptr, "/x?a=1&token=" TAP_HIDDEN "&b");
    buf_free(&out);
}

static void for_people(void **state) {
    (void)state;
    struct saw s = {.view = {.no_data = true, .frames = true}};
    converse(&s, 1000000);
    assert_non_null(strstr(s.out.ptr, "03:04:05.678 #1   o/controller → n1/agent  rpc_non_blocking_request  task run"
                                      "  transaction 7  v2, "));
    assert_non_null(strstr(s.out.ptr, "client: GET /pcp2/agent\n"));
    assert_non_null(strstr(s.out.ptr, "broker: 101 Switching Protocols\n"));
    assert_non_null(strstr(s.out.ptr, "client: no PCP message: "));
    assert_non_null(strstr(s.out.ptr, "client: close 1000 \\x1b[2J\n")); /* a terminal is not played with */
    assert_null(strchr(s.out.ptr, '\033'));
    buf_clear(&s.out);
    s.view = (struct tap_view){.color = true, .indent = true};
    converse(&s, 1000000);
    assert_non_null(strstr(s.out.ptr, "\033[36m"));
    assert_non_null(strstr(s.out.ptr, "\n      \"module\": \"task\",\n"));
    buf_free(&s.out);
}

static void filters(void **state) {
    (void)state;
    static const struct {
        struct tap_view view;
        size_t shown;
    } cases[] = {
        {{.from = "o"}, 1},
        {{.from = "pcp://o/*"}, 1},
        {{.from = "n1"}, 0},
        {{.to = "n?"}, 1},
        {{.to = "n?", .from = "x*"}, 0},
        {{.message_type = "rpc_*"}, 1},
        {{.message_type = "http://puppetlabs.com/rpc_non_blocking_request"}, 1},
        {{.message_type = "inventory*"}, 0},
        {{.client_type = "agent"}, 2},
        {{.client_type = "controller"}, 0},
        {{.frames = true, .from = "o"}, 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct saw s = {.view = cases[i].view};
        converse(&s, 1000000);
        assert_int_equal(s.shown, cases[i].shown);
        buf_free(&s.out);
    }
}

static void what_cannot_be_read_is_told_once(void **state) {
    (void)state;
    static const char *const beginnings[] = {"\x16\x03\x01\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", REQUEST "\x81\x05hello"};
    for (size_t i = 0; i < 3; i++) {
        struct saw s = {.view = {.json = false}};
        struct tap_decoder d;
        tap_decoder_init(&d, on_event, &s);
        tap_decode(&d, true, span_of(beginnings[i]));
        tap_decode(&d, false, SPAN(RESPONSE));
        tap_decode(&d, true, SPAN("more"));
        tap_decode(&d, true, SPAN("more"));
        assert_non_null(strstr(s.out.ptr, "client: cannot be read any further: "));
        assert_int_equal(s.shown, 1);
        tap_decoder_free(&d);
        buf_free(&s.out);
    }
}

static void a_refused_upgrade_goes_on_as_http(void **state) {
    (void)state;
    struct saw s = {.view = {.frames = true, .no_data = true}};
    struct tap_decoder d;
    tap_decoder_init(&d, on_event, &s);
    tap_decode(&d, true, SPAN(REQUEST "GET /status HTTP/1.1\r\nHost: b\r\n\r\n"));
    tap_decode(&d, false, SPAN("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"));
    tap_decode(&d, false, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    assert_int_equal(s.shown, 4);
    assert_non_null(strstr(s.out.ptr, "client: GET /status\n"));
    tap_decoder_free(&d);
    buf_free(&s.out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_anywhere_it_is_the_same),
        cmocka_unit_test(secrets_are_hidden),
        cmocka_unit_test(for_people),
        cmocka_unit_test(filters),
        cmocka_unit_test(what_cannot_be_read_is_told_once),
        cmocka_unit_test(a_refused_upgrade_goes_on_as_http),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
