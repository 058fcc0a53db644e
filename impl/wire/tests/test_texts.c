/* Percent-encoding, queries, routes, the WebSocket handshake, gzip. */
#include "base/mem.h"
#include "wire/gzip.h"
#include "wire/percent.h"
#include "wire/route.h"
#include "wire/utf8.h"
#include "wire/ws_handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* ---- percent-encoding and queries */

static void percent_decoding(void **state) {
    (void)state;
    static const struct {
        const char *in, *out; /* NULL: refused */
    } cases[] = {
        {"", ""},       {"a+b", "a+b"}, {"%41%6a%6A", "Ajj"}, {"%2Fx%2f", "/x/"}, {"%e2%82%ac", "\xe2\x82\xac"},
        {"%", NULL},    {"%4", NULL},   {"a%4", NULL},        {"%zz", NULL},      {"%4g", NULL},
        {"%%41", NULL}, {"%+1", NULL}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = BUF_INIT;
        buf_append_cstr(&out, "before ");
        assert_int_equal(percent_decode(&out, span_of(cases[i].in)), cases[i].out != NULL);
        struct span got = span_sub(buf_span(&out), 7, out.len);
        assert_true(span_eq_cstr(got, cases[i].out != NULL ? cases[i].out : ""));
        buf_free(&out);
    }
}

static void percent_encoding_round_trip(void **state) {
    (void)state;
    struct buf all = BUF_INIT, text = BUF_INIT, back = BUF_INIT;
    for (int c = 0; c < 256; c++) {
        buf_append_char(&all, (char)c);
    }
    percent_encode(&text, buf_span(&all));
    for (size_t i = 0; i < text.len; i++) {
        assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%", text.ptr[i]));
    }
    assert_true(percent_decode(&back, buf_span(&text)));
    assert_true(span_eq(buf_span(&back), buf_span(&all)));
    buf_free(&all);
    buf_free(&text);
    buf_free(&back);
}

static void queries(void **state) {
    (void)state;
    struct span query = SPAN("a=1&b=x+y%21&&c&d=&=e&a=2&f=%zz%2"), rest = query, name, value;
    static const char *const want[][2] = {{"a", "1"}, {"b", "x+y%21"}, {"c", ""},     {"d", ""},
                                          {"", "e"},  {"a", "2"},      {"f", "%zz%2"}};
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        assert_true(query_next(&rest, &name, &value));
        assert_true(span_eq_cstr(name, want[i][0]) && span_eq_cstr(value, want[i][1]));
    }
    assert_false(query_next(&rest, &name, &value));
    static const struct {
        const char *name, *value;
    } cases[] = {{"a", "1"}, {"b", "x y!"}, {"c", ""}, {"f", "%zz%2"}, {"x", NULL}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *got = query_get(query, cases[i].name);
        assert_true(str_eq(got, cases[i].value));
        mem_free(got);
    }
    rest = SPAN("");
    assert_false(query_next(&rest, &name, &value));
    rest = SPAN("&&");
    assert_false(query_next(&rest, &name, &value));
}

/* ---- growing UTF-8 */

/* Every sequence of up to four bytes from the interesting ones: a text can go on exactly when some ending makes it
 * valid. */
static void growing_utf8(void **state) {
    (void)state;
    static const char bytes[] = "a\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xed\xef\xf0\xf1\xf4\xf5\xff";
    enum { COUNT = sizeof(bytes) - 1 };
    static const char *const endings[] = {"", "\x80", "\xbf", "\x80\x80", "\xbf\xbf", "\x80\x80\x80", "\xbf\xbf\xbf"};
    for (size_t n = 0; n < COUNT * COUNT * COUNT; n++) {
        char text[8] = {bytes[n % COUNT], bytes[n / COUNT % COUNT], bytes[n / COUNT / COUNT]};
        bool possible = false;
        for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
            strcpy(text + 3, endings[i]);
            possible = possible || span_is_utf8((struct span){text, 3 + strlen(endings[i])});
        }
        size_t checked = 0, slowly = 0;
        assert_int_equal(utf8_so_far((struct span){text, 3}, &checked), possible);
        bool so_far = true;
        for (size_t len = 0; so_far && len <= 3; len++) {
            so_far = utf8_so_far((struct span){text, len}, &slowly);
        }
        assert_int_equal(so_far, possible);
        if (possible) {
            assert_int_equal(checked, slowly);
            assert_true(span_is_utf8((struct span){text, checked}) && checked <= 3);
        }
    }
}

/* ---- routes */

static void routes(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *path;
        const char *params; /* NULL: no match; "name=value;…" */
    } cases[] = {
        {"/", "/", ""},
        {"/", "", NULL},
        {"/", "/a", NULL},
        {"/a", "/a", ""},
        {"/a", "/a/", NULL},
        {"/a/", "/a", NULL},
        {"/a/", "/a/", ""},
        {"/a/b", "/a//b", NULL},
        {"/a/b", "/a/%62", NULL},
        {"/a/b", "/A/b", NULL},
        {"/a/b", "/a/./b", NULL},
        {"/a/b", "/a/x/../b", NULL},
        {"/a", "a", NULL},
        {"/a", "*", NULL},
        {"/jobs/:id", "/jobs/1", "id=1;"},
        {"/jobs/:id", "/jobs/", NULL},
        {"/jobs/:id", "/jobs", NULL},
        {"/jobs/:id", "/jobs/1/", NULL},
        {"/jobs/:id/nodes", "/jobs/1/nodes", "id=1;"},
        {"/jobs/:id/nodes", "/jobs//nodes", NULL},
        {"/:a/:b", "/x%2Fy/%C3%A9", "a=x/y;b=\xc3\xa9;"},
        {"/:a", "/%00", NULL},
        {"/:a", "/x%00y", NULL},
        {"/:a", "/%zz", NULL},
        {"/:a/:b", "/x/%zz", NULL},
        {"/:a", "/..", "a=..;"},
        {"/f/*rest", "/f/", "rest=;"},
        {"/f/*rest", "/f", NULL},
        {"/f/*rest", "/f/a/b//c%20d/", "rest=a/b//c d/;"},
        {"/f/*rest", "/f/%00", NULL},
        {"/:m/f/*rest", "/mod/f/x", "m=mod;rest=x;"},
        {"/*rest", "/", "rest=;"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct route_params params;
        bool ok = route_match(cases[i].pattern, span_of(cases[i].path), &params);
        struct buf got = BUF_INIT;
        buf_append_cstr(&got, "");
        for (size_t n = 0; n < params.count; n++) {
            buf_append_span(&got, params.items[n].name);
            buf_printf(&got, "=%s;", params.items[n].value);
        }
        assert_int_equal(ok, cases[i].params != NULL);
        assert_int_equal(route_match(cases[i].pattern, span_of(cases[i].path), NULL), ok);
        assert_string_equal(got.ptr, ok ? cases[i].params : "");
        if (ok && params.count != 0) {
            char *name = span_dup(params.items[0].name);
            assert_string_equal(route_param(&params, name), params.items[0].value);
            mem_free(name);
        }
        assert_null(route_param(&params, "none"));
        buf_free(&got);
        route_params_free(&params);
    }
}

/* ---- the WebSocket handshake */

static struct http1_head parsed(enum http1_role role, const char *text) {
    struct http1_head h;
    struct http1_error err;
    if (!http1_head_parse(role, str_dup(text), strlen(text), HTTP1_FIELDS_MAX, false, &h, &err)) {
        fail_msg("%d %s", err.status, err.text);
    }
    return h;
}

static void accept_value(void **state) {
    (void)state;
    char accept[WS_ACCEPT_LEN + 1], key[WS_KEY_LEN + 1];
    ws_accept_for("dGhlIHNhbXBsZSBub25jZQ==", accept); /* RFC 6455 §1.3 */
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    ws_key((const uint8_t *)"the sample nonce", key);
    assert_string_equal(key, "dGhlIHNhbXBsZSBub25jZQ==");
}

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UPGRADE "Host: h\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"

static void upgrade_requests(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int status; /* 0: fine */
        bool asks;
    } cases[] = {
        {"GET /x HTTP/1.1\r\n" UPGRADE KEY VERSION "\r\n", 0, true},
        {"GET /x HTTP/1.1\r\n" UPGRADE KEY VERSION "Sec-WebSocket-Protocol: a, b\r\nOrigin: http://evil\r\n"
         "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
         0, true},
        {"GET /x HTTP/1.1\r\nHost: h\r\n\r\n", 404, false},
        {"POST /x HTTP/1.1\r\n" UPGRADE KEY VERSION "\r\n", 404, false},
        {"GET /x HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n" KEY VERSION "\r\n", 404, false},
        {"GET /x HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n" KEY VERSION "\r\n", 404, false},
        {"GET /x HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n" KEY VERSION "\r\n", 404, false},
        {"GET /x HTTP/1.0\r\n" UPGRADE KEY VERSION "\r\n", 400, true},
        {"GET /x HTTP/1.1\r\n" UPGRADE KEY VERSION "Content-Length: 3\r\n\r\n", 400, true},
        {"GET /x HTTP/1.1\r\n" UPGRADE KEY "\r\n", 400, true},
        {"GET /x HTTP/1.1\r\n" UPGRADE KEY "Sec-WebSocket-Version: 8\r\n\r\n", 400, true},
        {"GET /x HTTP/1.1\r\n" UPGRADE KEY VERSION VERSION "\r\n", 400, true},
        {"GET /x HTTP/1.1\r\n" UPGRADE VERSION "\r\n", 400, true},
        {"GET /x HTTP/1.1\r\n" UPGRADE KEY KEY VERSION "\r\n", 400, true},
        {"GET /x HTTP/1.1\r\n" UPGRADE "Sec-WebSocket-Key: short\r\n" VERSION "\r\n", 400, true},
        {"GET /x HTTP/1.1\r\n" UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=!\r\n" VERSION "\r\n", 400, true},
        {"GET /x HTTP/1.1\r\n" UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSBh\r\n" VERSION "\r\n", 400, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http1_head h = parsed(HTTP1_REQUEST, cases[i].text);
        int status = 0;
        const char *text = NULL;
        assert_int_equal(ws_request_valid(&h, &status, &text), cases[i].status == 0);
        assert_int_equal(status, cases[i].status);
        assert_int_equal(ws_asks_upgrade(&h), cases[i].asks);
        assert_int_equal(text != NULL, cases[i].status != 0);
        http1_head_free(&h);
    }
}

#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define SWITCH "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"

static void upgrade_responses(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool fine;
    } cases[] = {
        {SWITCH ACCEPT "\r\n", true},
        {SWITCH "\r\n", false},
        {SWITCH ACCEPT ACCEPT "\r\n", false},
        {SWITCH "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", false},
        {SWITCH ACCEPT "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", false},
        {SWITCH ACCEPT "Sec-WebSocket-Protocol: x\r\n\r\n", false},
        {"HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" ACCEPT "\r\n", false},
        {"HTTP/1.1 101 OK\r\nConnection: Upgrade\r\n" ACCEPT "\r\n", false},
        {"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n" ACCEPT "\r\n", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http1_head h = parsed(HTTP1_RESPONSE, cases[i].text);
        const char *text;
        assert_int_equal(ws_response_valid(&h, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", &text), cases[i].fine);
        assert_int_equal(text == NULL, cases[i].fine);
        http1_head_free(&h);
    }
}

static void both_sides_of_the_handshake_fit(void **state) {
    (void)state;
    char key[WS_KEY_LEN + 1], accept[WS_ACCEPT_LEN + 1];
    ws_key((const uint8_t *)"0123456789abcdef", key);
    ws_accept_for(key, accept);
    struct buf request = BUF_INIT, response = BUF_INIT;
    ws_write_request(&request, "broker:8142", "/pcp2/agent", key, "agent/1");
    struct http1_head h = parsed(HTTP1_REQUEST, request.ptr);
    int status;
    const char *text;
    assert_true(ws_request_valid(&h, &status, &text));
    assert_string_equal(h.target, "/pcp2/agent");
    assert_string_equal(http1_field(&h, "host"), "broker:8142");
    assert_string_equal(http1_field(&h, "user-agent"), "agent/1");
    ws_write_response(&response, http1_field(&h, "sec-websocket-key"), "dalang", 0);
    http1_head_free(&h);
    h = parsed(HTTP1_RESPONSE, response.ptr);
    assert_true(ws_response_valid(&h, accept, &text));
    assert_string_equal(http1_field(&h, "server"), "dalang");
    assert_string_equal(http1_field(&h, "date"), "Thu, 01 Jan 1970 00:00:00 GMT");
    http1_head_free(&h);
    buf_free(&request);
    buf_free(&response);
}

/* ---- gzip */

static void gzip_round_trip(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 1000, 16384, 200000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buf plain = BUF_INIT, packed = BUF_INIT, back = BUF_INIT;
        for (size_t n = 0; n < sizes[i]; n++) {
            buf_append_char(&plain, (char)(n * n / 7));
        }
        gzip_deflate(&packed, buf_span(&plain));
        assert_memory_equal(packed.ptr, "\x1f\x8b", 2);
        struct error err = ERROR_INIT;
        assert_true(gzip_inflate(&back, buf_span(&packed), sizes[i], &err));
        assert_true(span_eq(buf_span(&back), buf_span(&plain)));
        buf_free(&plain);
        buf_free(&packed);
        buf_free(&back);
    }
}

static void gzip_errors(void **state) {
    (void)state;
    struct buf packed = BUF_INIT, out = BUF_INIT;
    struct error err = ERROR_INIT;
    gzip_deflate(&packed, SPAN("hello hello hello"));
    buf_append_cstr(&out, "kept");
    for (size_t len = 0; len < packed.len; len++) { /* cut anywhere */
        assert_false(gzip_inflate(&out, span_sub(buf_span(&packed), 0, len), 100, &err));
        assert_true(error_is(&err, "gzip/malformed"));
        assert_string_equal(out.ptr, "kept");
    }
    assert_false(gzip_inflate(&out, buf_span(&packed), 16, &err));
    assert_true(error_is(&err, "gzip/too-large"));
    assert_true(gzip_inflate(&out, buf_span(&packed), 17, &err));
    assert_string_equal(out.ptr, "kepthello hello hello");
    buf_append_char(&packed, 'x');
    assert_false(gzip_inflate(&out, buf_span(&packed), 100, &err));
    assert_true(error_is(&err, "gzip/malformed"));
    packed.ptr[packed.len - 6] ^= 1; /* the check sum */
    assert_false(gzip_inflate(&out, span_sub(buf_span(&packed), 0, packed.len - 1), 100, &err));
    assert_false(gzip_inflate(&out, SPAN("not gzip at all"), 100, &err));
    error_clear(&err);
    buf_free(&packed);
    buf_free(&out);
}

static void gzip_bomb_stops_at_the_limit(void **state) {
    (void)state;
    struct buf zeros = BUF_INIT, packed = BUF_INIT, out = BUF_INIT;
    buf_reserve(&zeros, 8u << 20);
    memset(zeros.ptr, 0, 8u << 20);
    zeros.len = 8u << 20;
    gzip_deflate(&packed, buf_span(&zeros));
    assert_true(packed.len < 10000);
    assert_false(gzip_inflate(&out, buf_span(&packed), 100000, NULL));
    assert_true(out.cap < 300000);
    assert_int_equal(out.len, 0);
    buf_free(&zeros);
    buf_free(&packed);
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percent_decoding),
        cmocka_unit_test(percent_encoding_round_trip),
        cmocka_unit_test(queries),
        cmocka_unit_test(growing_utf8),
        cmocka_unit_test(routes),
        cmocka_unit_test(accept_value),
        cmocka_unit_test(upgrade_requests),
        cmocka_unit_test(upgrade_responses),
        cmocka_unit_test(both_sides_of_the_handshake_fit),
        cmocka_unit_test(gzip_round_trip),
        cmocka_unit_test(gzip_errors),
        cmocka_unit_test(gzip_bomb_stops_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
