/* Log files: formats, what could break a line, reopening. */
#include "base/json.h"
#include "world/real_log.h"
#include "world/tests/harness.h"

#include <string.h>

static struct logger logger_for(struct bench *b, const char *file, enum real_log_format format, struct real_log **l) {
    *l = real_log_open(bench_path(b, file), format, NULL);
    assert_non_null(*l);
    return (struct logger){LOG_INFO, "puppetlabs.pcp.broker", real_log_write, *l};
}

static void read_back(struct bench *b, const char *file, struct buf *out) {
    buf_clear(out);
    assert_true(world_file_read(b->w, bench_path(b, file), 100000, out, NULL));
}

static void text_lines(void **state) {
    struct bench *b = *state;
    struct real_log *l;
    struct logger log = logger_for(b, "log", REAL_LOG_TEXT, &l);
    struct buf out = BUF_INIT;
    log_info(&log, "ready on %d", 8142);
    log_debug(&log, "not at this level");
    log_event(&log, LOG_WARN, "connection-open", "a\nforged line", "commonname", "evil\r\x1b[2J", NULL);
    read_back(b, "log", &out);
    struct span rest = buf_span(&out), line;
    assert_true(span_split(&rest, '\n', &line));
    assert_int_equal(line.ptr[10], 'T');
    assert_memory_equal(line.ptr + 23, "Z INFO  [puppetlabs.pcp.broker] ready on 8142", 45);
    assert_true(span_split(&rest, '\n', &line));
    assert_non_null(memmem(line.ptr, line.len, "WARN  [puppetlabs.pcp.broker] a\\x0aforged line", 46));
    assert_true(span_ends_with(line, "commonname=evil\\x0d\\x1b[2J"));
    assert_int_equal(rest.len, 0);
    buf_free(&out);
    real_log_close(l);
}

static void json_lines(void **state) {
    struct bench *b = *state;
    struct real_log *l;
    struct logger log = logger_for(b, "log", REAL_LOG_JSON, &l);
    struct buf out = BUF_INIT;
    log_event(&log, LOG_ERROR, "connection-open", "quote \" and\nbreak", "uri", "pcp://a/agent", "odd", "\xff\xfe",
              NULL);
    read_back(b, "log", &out);
    struct error err = ERROR_INIT;
    json_t *record = json_parse(span_trim(buf_span(&out)), "test", &err);
    assert_non_null(record);
    assert_string_equal(json_str(record, "level"), "error");
    assert_string_equal(json_str(record, "logger"), "puppetlabs.pcp.broker");
    assert_string_equal(json_str(record, "type"), "connection-open");
    assert_string_equal(json_str(record, "message"), "quote \" and\nbreak");
    assert_string_equal(json_str(record, "uri"), "pcp://a/agent");
    assert_string_equal(json_str(record, "odd"), "\\xff\\xfe");
    json_decref(record);
    buf_free(&out);
    real_log_close(l);
}

static void plain_lines_and_reopening(void **state) {
    struct bench *b = *state;
    struct real_log *l;
    struct logger log = logger_for(b, "access", REAL_LOG_PLAIN, &l);
    struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;
    log_info(&log, "one");
    assert_true(world_file_rename(b->w, bench_path(b, "access"), bench_path(b, "access.1"), NULL));
    log_info(&log, "two"); /* still the old file */
    assert_true(real_log_reopen(l, &err));
    log_info(&log, "three");
    read_back(b, "access.1", &out);
    assert_string_equal(out.ptr, "one\ntwo\n");
    read_back(b, "access", &out);
    assert_string_equal(out.ptr, "three\n");
    /* cannot be opened: goes on in the old one */
    assert_true(world_file_remove(b->w, bench_path(b, "access"), false, NULL));
    assert_true(world_file_mkdir(b->w, bench_path(b, "access"), 0755, false, NULL));
    assert_false(real_log_reopen(l, &err));
    assert_string_equal(err.kind, "world/file");
    error_clear(&err);
    log_info(&log, "four");
    real_log_close(l);
    assert_null(real_log_open(bench_path(b, "no/such/log"), REAL_LOG_PLAIN, &err));
    assert_non_null(strstr(err.msg, "no/such/log"));
    error_clear(&err);
    struct real_log *to_stderr = real_log_open(NULL, REAL_LOG_TEXT, &err);
    assert_true(real_log_reopen(to_stderr, &err));
    real_log_close(to_stderr);
    real_log_close(NULL);
    buf_free(&out);
}

static void a_full_disk_does_not_stop_us(void **state) {
    (void)state;
    struct real_log *l = real_log_open("/dev/full", REAL_LOG_TEXT, NULL);
    struct logger log = {LOG_INFO, "x", real_log_write, l};
    log_info(&log, "lost");
    real_log_close(l);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(text_lines),
        CASE(json_lines),
        CASE(plain_lines_and_reopening),
        CASE(a_full_disk_does_not_stop_us),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
