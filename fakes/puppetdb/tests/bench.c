/* The fake on the bench. */
#include "bench.h"
#include "base/json.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const char bench_population[] =
    "{\"nodes\": ["
    "{\"certname\": \"a1\", \"facts\": {\"os\": {\"family\": \"Debian\"}, \"processors\": {\"count\": 2}, \"tier\": "
    "\"gold\","
    "  \"aio_agent_version\": \"7.23.0\", \"disks\": [{\"size\": 10}, {\"size\": 20}], \"a.b\": {\"c\": 1}, \"ratio\": "
    "1.5},"
    "  \"trusted\": {\"extensions\": {\"pp_role\": \"web\"}},"
    "  \"resources\": [{\"type\": \"Class\", \"title\": \"Nginx\", \"tags\": [\"nginx\", \"class\"],"
    "    \"parameters\": {\"ensure\": \"present\", \"port\": 80}}], \"packages\": [[\"openssl\", \"3.0\", \"apt\"]]},"
    "{\"certname\": \"a2\", \"environment\": \"staging\", \"facts\": {\"os\": {\"family\": \"Debian\"},"
    "  \"processors\": {\"count\": 8}}, \"resources\": []},"
    "{\"certname\": \"b1\", \"facts\": {\"os\": {\"family\": \"RedHat\"}, \"processors\": {\"count\": 4}, \"virtual\": "
    "true},"
    "  \"resources\": []},"
    "{\"certname\": \"z9\", \"deactivated\": \"2025-01-01T00:00:00Z\", \"facts\": {\"os\": {\"family\": \"Debian\"},"
    "  \"processors\": {\"count\": 1}}}],"
    "\"reports\": ["
    "{\"certname\": \"a2\", \"status\": \"changed\", \"job_id\": \"12\", \"end_time\": \"2026-01-01T10:00:00Z\","
    "  \"cached_catalog_status\": \"not_used\", \"resources\": [{\"resource_type\": \"File\", \"resource_title\": "
    "\"/x\","
    "    \"timestamp\": \"2026-01-01T09:59:00Z\", \"skipped\": false, \"containment_path\": [\"Stage[main]\", "
    "\"Nginx\","
    "    \"File[/x]\"], \"events\": [{\"status\": \"success\", \"timestamp\": \"2026-01-01T09:59:01Z\","
    "    \"property\": \"ensure\", \"new_value\": \"file\", \"old_value\": \"absent\", \"message\": \"made\"}]}]},"
    "{\"certname\": \"a2\", \"status\": \"failed\", \"job_id\": \"11\", \"end_time\": \"2025-12-01T10:00:00Z\"},"
    "{\"certname\": \"b1\", \"status\": \"unchanged\", \"type\": \"plan\", \"job_id\": \"13\","
    "  \"end_time\": \"2026-01-02T10:00:00Z\"}]}";

struct bench bench_up(const struct fake_puppetdb_opts *opts) {
    struct bench b = {.cn = "orch"};
    struct error err = ERROR_INIT;
    json_t *given = json_loads(bench_population, 0, NULL);
    struct fake_puppetdb_opts usual = {.state = given};
    rig_open(&b.rig);
    b.p = fake_puppetdb_new(b.rig.server, opts != NULL ? opts : &usual, &err);
    json_decref(given);
    if (b.p == NULL) {
        fail_msg("%s", err.msg);
    }
    struct fake *fakes[] = {fake_puppetdb_base(b.p)};
    rig_serve(&b.rig, fakes, 1);
    return b;
}

void bench_down(struct bench *b) {
    rig_stop(&b->rig);
    fake_puppetdb_free(b->p);
    rig_end(&b->rig);
}

int bench_set_up(void **state) {
    struct bench *b = mem_alloc(sizeof *b);
    *b = bench_up(NULL);
    *state = b;
    return 0;
}

int bench_tear_down(void **state) {
    bench_down(*state);
    mem_free(*state);
    return 0;
}

/* ---------------------------------------------------------------- asking */

static char *double_quoted(const char *text) {
    char *copy = str_dup(text);
    for (char *c = copy; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    return copy;
}

struct reply bench_get(struct bench *b, const char *path) {
    struct buf target = BUF_INIT;
    for (const char *c = path; *c != '\0'; c++) {
        if (strchr("' []{}<>|\\^`", *c) != NULL) {
            buf_printf(&target, "%%%02X", *c == '\'' ? '"' : *c);
        } else {
            buf_append_char(&target, *c);
        }
    }
    struct ask ask = {.path = target.ptr, .cn = b->cn, .token = b->token};
    struct reply r = rig_ask(&b->rig, &ask);
    buf_free(&target);
    return r;
}

struct reply bench_post(struct bench *b, const char *path, const char *body) {
    char *text = double_quoted(body);
    struct ask ask = {.method = "POST", .path = path, .cn = b->cn, .token = b->token, .body = text};
    struct reply r = rig_ask(&b->rig, &ask);
    mem_free(text);
    return r;
}

static void compare(struct reply *r, const char *what, int status, const char *expected) {
    char *text = double_quoted(expected);
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    struct span body = buf_span(&r->body);
    bool same = value != NULL ? json_equal(r->json, value) : span_starts_with(body, expected);
    if (r->status != status || !same) {
        fail_msg("%s: %d %.*s, not %d %s", what, r->status, (int)body.len, body.ptr, status, expected);
    }
    json_decref(value);
    mem_free(text);
    reply_clear(r);
}

void bench_expect(struct bench *b, const char *path, int status, const char *expected) {
    struct reply r = bench_get(b, path);
    compare(&r, path, status, expected);
}

void bench_expect_post(struct bench *b, const char *path, const char *body, int status, const char *expected) {
    struct reply r = bench_post(b, path, body);
    compare(&r, body, status, expected);
}

void bench_command(struct bench *b, const char *name, int version, const char *certname, const char *payload,
                   bool processed) {
    char *path = str_printf("/pdb/cmd/v1?command=%s&version=%d&certname=%s&secondsToWaitForCompletion=5", name, version,
                            certname);
    struct reply r = bench_post(b, path, payload);
    bool said = json_bool(r.json, "processed", false);
    if (said != processed || json_bool(r.json, "timed_out", said) == said || r.status != (processed ? 200 : 503)) {
        fail_msg("%s: %d %.*s", payload, r.status, (int)r.body.len, r.body.ptr);
    }
    reply_clear(&r);
    mem_free(path);
}

void bench_finds(struct bench *b, const char *query, const char *expected) {
    struct error err = ERROR_INIT;
    json_t *rows = fake_puppetdb_query(b->p, span_of(query), &err);
    if (rows == NULL) {
        fail_msg("%s: %s", query, err.msg);
    }
    char *text = double_quoted(expected), *got = json_text(rows);
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!json_equal(rows, value)) {
        fail_msg("%s: %s, not %s", query, got, text);
    }
    json_decref(value);
    json_decref(rows);
    mem_free(text);
    mem_free(got);
}
