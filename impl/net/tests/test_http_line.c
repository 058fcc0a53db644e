/* The kept connection for many requests, over pipes against hand-made answers. */
#include "base/mem.h"
#include "net/http_line.h"
#include "pipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { PORT = 8081, TIMEOUT_MS = 5000 };
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

struct fixture {
    struct pipe_world *pw;
    struct raw raw;
    struct world_listener *listener;
    struct http_line *line;
    struct buf log;
    int again; /* so many times done posts the next one */
};

static void post(struct fixture *f, const char *target);

static void done(void *ctx, const struct error *err, int status) {
    struct fixture *f = ctx;
    buf_printf(&f->log, "%s%s", f->log.len > 0 ? " " : "", err != NULL ? err->kind : "");
    if (err == NULL) {
        buf_printf(&f->log, "%d", status);
    }
    if (f->again > 0) {
        f->again--;
        post(f, "/again");
    }
}

static void post(struct fixture *f, const char *target) {
    http_line_post(f->line, &(struct http_line_request){target, "text/plain", SPAN("x"), done, f});
}

static void start_at(struct fixture *f, const char *url) {
    memset(f, 0, sizeof(*f));
    f->pw = pipe_world_new();
    f->listener = raw_listen(&f->raw, f->pw, PORT);
    f->line = http_line_new(pipe_world(f->pw), url, NULL, TIMEOUT_MS);
    buf_append_cstr(&f->log, "");
}

static void start(struct fixture *f) {
    start_at(f, "http://host:8081");
}

static void stop(struct fixture *f) {
    http_line_free(f->line);
    if (f->listener != NULL) {
        world_listener_close(f->listener);
    }
    raw_free(&f->raw);
    pipe_run(f->pw);
    pipe_world_free(f->pw);
    buf_free(&f->log);
}

static void answer(struct fixture *f, const char *text) {
    raw_send(&f->raw, span_of(text));
    pipe_run(f->pw);
}

/* The peer goes, in order or not, and listens for the next connection. */
static void hang_up(struct fixture *f, bool in_order) {
    if (in_order) {
        world_conn_close(f->raw.conn, 1000);
    } else {
        world_conn_abort(f->raw.conn);
        f->raw.conn = NULL;
    }
    buf_clear(&f->raw.got);
    pipe_run(f->pw);
}

static void requests_of_a_turn_go_together(void **state) {
    (void)state;
    struct fixture f;
    start_at(&f, "http://host:8081/base");
    post(&f, "/a?x=1");
    post(&f, "/b");
    assert_int_equal(http_line_waiting(f.line), 2);
    pipe_run(f.pw);
    assert_string_equal(
        f.raw.got.ptr,
        "POST /base/a?x=1 HTTP/1.1\r\nHost: host:8081\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n"
        "\r\nxPOST /base/b HTTP/1.1\r\nHost: host:8081\r\nContent-Type: text/plain\r\nContent-Length: 1"
        "\r\n\r\nx");
    assert_int_equal(pipe_writes(f.pw), 1);
    assert_string_equal(f.log.ptr, "");
    answer(&f, OK "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    assert_string_equal(f.log.ptr, "200 503");
    assert_int_equal(http_line_waiting(f.line), 0);
    stop(&f);
}

static void answers_come_in_any_pieces(void **state) {
    (void)state;
    struct fixture f;
    start(&f);
    pipe_split(f.pw, 3);
    f.again = 2;
    post(&f, "/");
    pipe_run(f.pw);
    answer(&f, "HTTP/1.1 100 Continue\r\n\r\n" OK);
    answer(&f, OK);
    answer(&f, OK);
    assert_string_equal(f.log.ptr, "200 200 200");
    stop(&f);
}

static void what_a_kept_connection_lost_is_sent_once_more(void **state) {
    (void)state;
    for (int in_order = 0; in_order < 2; in_order++) {
        struct fixture f;
        start(&f);
        post(&f, "/1");
        pipe_run(f.pw);
        answer(&f, OK);
        hang_up(&f, in_order != 0); /* idle: nothing is lost */
        assert_string_equal(f.log.ptr, "200");
        post(&f, "/2");
        post(&f, "/3");
        post(&f, "/4");
        pipe_run(f.pw);
        answer(&f, OK);
        hang_up(&f, in_order != 0); /* with two under way */
        assert_string_equal(f.log.ptr, "200 200");
        assert_non_null(strstr(f.raw.got.ptr, "POST /3 "));
        assert_non_null(strstr(f.raw.got.ptr, "POST /4 "));
        assert_true(strstr(f.raw.got.ptr, "POST /3 ") < strstr(f.raw.got.ptr, "POST /4 "));
        answer(&f, OK);
        hang_up(&f, in_order != 0); /* the second time is the last */
        assert_string_equal(f.log.ptr, "200 200 200 world/reset");
        stop(&f);
    }
}

static void a_connection_that_never_answered_fails_all(void **state) {
    (void)state;
    struct fixture f;
    start(&f);
    post(&f, "/1");
    post(&f, "/2");
    pipe_run(f.pw);
    f.again = 1; /* what comes later has a connection of its own */
    hang_up(&f, false);
    assert_string_equal(f.log.ptr, "world/reset world/reset");
    assert_non_null(strstr(f.raw.got.ptr, "POST /again "));
    answer(&f, OK);
    assert_string_equal(f.log.ptr, "world/reset world/reset 200");
    stop(&f);
}

static void an_answer_may_end_the_connection(void **state) {
    (void)state;
    struct fixture f;
    start(&f);
    post(&f, "/1");
    post(&f, "/2");
    pipe_run(f.pw);
    answer(&f, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    assert_string_equal(f.log.ptr, "200");
    answer(&f, "HTTP/1.1 200 OK\r\n\r\nuntil the end"); /* of the second, sent again */
    assert_string_equal(f.log.ptr, "200");
    hang_up(&f, true);
    assert_string_equal(f.log.ptr, "200 200");
    stop(&f);
}

static void trouble_has_its_kind(void **state) {
    (void)state;
    struct fixture f;
    start(&f);
    post(&f, "/");
    pipe_run(f.pw);
    answer(&f, "FTP/1.1 200 OK\r\n\r\n");
    assert_string_equal(f.log.ptr, "world/protocol");
    raw_free(&f.raw);
    f.raw = (struct raw){0};
    buf_clear(&f.log);
    post(&f, "/");
    pipe_run(f.pw);
    answer(&f, OK OK); /* one more than was asked for */
    assert_string_equal(f.log.ptr, "200");
    raw_free(&f.raw);
    f.raw = (struct raw){0};
    buf_clear(&f.log);
    post(&f, "/");
    pipe_run(f.pw);
    pipe_advance(f.pw, TIMEOUT_MS - 1);
    assert_string_equal(f.log.ptr, "");
    pipe_advance(f.pw, 1);
    assert_string_equal(f.log.ptr, "world/timeout");
    buf_clear(&f.log);
    world_listener_close(f.listener);
    f.listener = NULL;
    post(&f, "/");
    pipe_run(f.pw);
    assert_string_equal(f.log.ptr, "world/refused");
    stop(&f);
}

static void what_is_no_service_fails_every_request(void **state) {
    (void)state;
    static const struct {
        const char *url, *kind;
    } cases[] = {{"nonsense", "world/protocol"}, {"wss://host", "world/protocol"}, {"https://host:8081", "world/tls"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        start_at(&f, cases[i].url);
        post(&f, "/");
        assert_string_equal(f.log.ptr, ""); /* never from within the call */
        pipe_run(f.pw);
        assert_string_equal(f.log.ptr, cases[i].kind);
        stop(&f);
    }
}

static void a_line_may_go_with_requests_under_way(void **state) {
    (void)state;
    struct fixture f;
    start(&f);
    post(&f, "/1");
    pipe_run(f.pw);
    post(&f, "/2");
    stop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_of_a_turn_go_together),
        cmocka_unit_test(answers_come_in_any_pieces),
        cmocka_unit_test(what_a_kept_connection_lost_is_sent_once_more),
        cmocka_unit_test(a_connection_that_never_answered_fails_all),
        cmocka_unit_test(an_answer_may_end_the_connection),
        cmocka_unit_test(trouble_has_its_kind),
        cmocka_unit_test(what_is_no_service_fails_every_request),
        cmocka_unit_test(a_line_may_go_with_requests_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
