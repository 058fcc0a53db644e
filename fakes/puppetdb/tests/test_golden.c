/* Every recorded exchange with the real PuppetDB, replayed: over simulated TLS, with the certificates of the recording.
 *
 * Allowed differences, all of them in the table `excuses`:
 *   times    what the server's clock says of commands it has just been sent, and server_time
 *   uuid     of a command
 *   position PostgreSQL's "Position: N" in the text of its own SQL, which is not ours
 *   plan     the steps of explain=analyze, which are SQLite's
 *   queue    queue_depth, and what the debug level adds about the Java machine
 * and without exception: transfer-encoding and content-length, which depend on how a body is written; the order of rows
 * that were asked for without one; the recording of a compressed answer of 33 bytes, which is not compressed here. */
#include "base/json.h"
#include "base/mem.h"
#include "fakes/puppetdb/puppetdb.h"
#include "golden.h"
#include "simulator/world/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum phase {
    PHASE_MAIN,
    PHASE_EMPTY,
    PHASE_COMMANDS,
    PHASE_ALLOWLIST,
    PHASE_MAINTENANCE,
    PHASE_DATABASE_DOWN,
    PHASE_NO_ANSWER,
    PHASE_WIRE,
    PHASE_CLEAR
};

/* The first prefix that fits. */
static const struct {
    const char *prefix;
    enum phase phase;
} phases[] = {
    {"empty-", PHASE_EMPTY},
    {"cmd-", PHASE_COMMANDS},
    {"allowlist-", PHASE_ALLOWLIST},
    {"maintenance-", PHASE_MAINTENANCE},
    {"database-down-", PHASE_DATABASE_DOWN},
    {"connection-refused", PHASE_NO_ANSWER},
    {"query-foreign-cert", PHASE_NO_ANSWER},
    {"query-no-cert", PHASE_NO_ANSWER},
    {"status-no-cert", PHASE_NO_ANSWER},
    {"query-clear-text", PHASE_CLEAR},
    {"wire-", PHASE_WIRE},
    {"", PHASE_MAIN},
};

static const struct {
    const char *name;
    enum golden_rule rule;
} excuses[] = {
    {"cmd-node-without-report", GOLDEN_TIMES}, {"cmd-store-report-node-seen", GOLDEN_TIMES},
    {"cmd-store-report-seen", GOLDEN_TIMES},   {"meta-server-time", GOLDEN_TIMES},
    {"pql-error-eq-number", GOLDEN_POSITION},  {"pql-error-group-by-missing", GOLDEN_POSITION},
    {"query-root-explain", GOLDEN_SHAPE},      {"status-services", GOLDEN_QUEUE},
    {"status-services-debug", GOLDEN_QUEUE},   {"status-services-one", GOLDEN_QUEUE},
};

/* In the order in which they were sent. */
static const char *const commands_in_order[] = {"cmd-replace-facts",
                                                "cmd-replace-facts-seen",
                                                "cmd-node-without-report",
                                                "cmd-packages-seen",
                                                "cmd-package-inventory-seen",
                                                "cmd-replace-catalog",
                                                "cmd-store-report",
                                                "cmd-store-report-seen",
                                                "cmd-store-report-events-seen",
                                                "cmd-store-report-node-seen",
                                                "cmd-store-report-repeated",
                                                "cmd-store-report-repeated-seen",
                                                "cmd-store-report-invalid-nowait",
                                                "cmd-store-report-invalid-wait",
                                                "cmd-nowait",
                                                "cmd-bad-checksum",
                                                "cmd-get",
                                                "cmd-missing-all",
                                                "cmd-missing-certname",
                                                "cmd-not-json",
                                                "cmd-old-version",
                                                "cmd-unknown-command",
                                                "cmd-unknown-param",
                                                "cmd-unsupported-version",
                                                "cmd-wrong-content-type",
                                                "cmd-deactivate-node"};

static enum phase phase_of(const char *name) {
    size_t i = 0;
    while (strncmp(name, phases[i].prefix, strlen(phases[i].prefix)) != 0) {
        i++;
    }
    return phases[i].phase;
}

static enum golden_rule rule_of(const char *name) {
    for (size_t i = 0; i < sizeof excuses / sizeof excuses[0]; i++) {
        if (strcmp(name, excuses[i].name) == 0) {
            return excuses[i].rule;
        }
    }
    return strncmp(name, "cmd-", 4) == 0 ? GOLDEN_UUID : GOLDEN_EQUAL;
}

/* ---------------------------------------------------------------- the stack */

enum { PORT = 8081 };
static const char server_name[] = "puppetdb.example.com";

struct stack {
    struct sim *sim;
    struct world *server, *client;
    struct fake_puppetdb *p;
    struct fake *fakes[1];
    struct fake_host *host;
    struct world_tls *tls;
    struct golden *all;
    size_t count, replayed;
};

static json_t *state_file(const char *name) {
    char *path = str_printf("%s/scenarios/golden/%s", SOURCE_DIR, name);
    json_t *state = json_load_file(path, 0, NULL);
    assert_non_null(state);
    mem_free(path);
    return state;
}

static struct stack start(const json_t *state, bool clear) {
    struct stack s = {0};
    struct error err = ERROR_INIT;
    s.sim = sim_new(&(struct sim_opts){.seed = 7});
    s.server = sim_host(s.sim, server_name);
    s.client = sim_host(s.sim, "client");
    s.p = fake_puppetdb_new(s.server, &(struct fake_puppetdb_opts){.state = state}, &err);
    if (s.p == NULL) {
        fail_msg("%s", err.msg);
    }
    s.fakes[0] = fake_puppetdb_base(s.p);
    struct world_tls_files files = sim_tls_files(s.server, server_name);
    s.tls = clear ? NULL : world_tls_new(s.server, &files, &err);
    struct fake_host_opts opts = {.listen = {.port = PORT, .tls = s.tls}, .fakes = s.fakes, .fake_count = 1};
    s.host = fake_host_new(s.server, &opts, &err);
    assert_non_null(s.host);
    s.all = golden_load(&s.count);
    assert_true(s.count > 300);
    return s;
}

static void closed(void *ctx) {
    *(bool *)ctx = true;
}

static bool is_set(void *ctx) {
    return *(bool *)ctx;
}

static void stop(struct stack *s) {
    bool done = false;
    fake_host_close(s->host, 0, closed, &done);
    assert_true(sim_run_until(s->sim, 60 * SIM_SECOND, is_set, &done));
    fake_puppetdb_free(s->p);
    if (s->tls != NULL) {
        world_tls_free(s->tls);
    }
    sim_free(s->sim);
    golden_free(s->all, s->count);
}

/* ---------------------------------------------------------------- sending */

struct exchange {
    struct answer answer;
    bool done;
    char *failure; /* kind of error where no answer came */
};

static void got_response(void *ctx, const struct world_response *r) {
    struct exchange *x = ctx;
    x->done = true;
    x->answer.headers = json_object();
    if (r->err != NULL) {
        x->failure = str_dup(r->err->kind);
        return;
    }
    x->answer.status = r->status;
    buf_append_span(&x->answer.body, r->body);
    for (size_t i = 0; i < r->header_count; i++) {
        json_set(x->answer.headers, r->headers[i].name, json_string(r->headers[i].value));
    }
}

static void exchange_free(struct exchange *x) {
    json_decref(x->answer.headers);
    buf_free(&x->answer.body);
    mem_free(x->failure);
}

/* The 5000 names and the like that the recording cuts short: node000000.example.com … */
static void spell_out(struct buf *query, size_t characters) {
    buf_append_cstr(query, "nodes[certname]{certname in [");
    for (int i = 0; query->len + 2 < characters; i++) {
        buf_printf(query, "%s\"node%06d.example.com\"", i > 0 ? "," : "", i);
    }
    buf_append_cstr(query, "]}");
}

static size_t cut_length(const char *query) {
    const char *note = query != NULL ? strstr(query, "\xe2\x80\xa6 (") : NULL;
    return note != NULL ? (size_t)strtoul(note + 5, NULL, 10) : 0;
}

static void percent_encode(struct buf *out, struct span text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == ' ') {
            buf_append_char(out, '+');
        } else if (strchr("-_.~", c) != NULL || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                   (c >= 'A' && c <= 'Z')) {
            buf_append_char(out, (char)c);
        } else {
            buf_printf(out, "%%%02X", c);
        }
    }
}

static char *target_of(const json_t *request) {
    const char *query = json_str(json_object_get(request, "query"), "query");
    size_t cut = cut_length(query);
    if (cut == 0) {
        const char *target = json_str(request, "target");
        if (target != NULL) {
            return str_dup(target);
        }
        struct buf built = BUF_INIT; /* of requests that were built, not sent */
        const char *name;
        json_t *value;
        buf_append_cstr(&built, json_str(request, "path"));
        json_object_foreach(json_object_get(request, "query"), name, value) {
            buf_printf(&built, "%s%s=", strchr(built.ptr, '?') == NULL ? "?" : "&", name);
            percent_encode(&built, json_span(value));
        }
        return buf_take(&built);
    }
    struct buf whole = BUF_INIT, target = BUF_INIT;
    spell_out(&whole, cut);
    buf_printf(&target, "%s?query=", json_str(request, "path"));
    percent_encode(&target, buf_span(&whole));
    buf_free(&whole);
    return buf_take(&target);
}

static char *body_of(const json_t *request) {
    const json_t *body = json_object_get(request, "body");
    size_t cut = cut_length(json_str(body, "query"));
    if (json_is_string(body)) {
        return str_dup(json_string_value(body));
    }
    if (body == NULL || json_is_null(body)) {
        return str_dup("");
    }
    if (cut == 0) {
        return json_text(body);
    }
    struct buf whole = BUF_INIT;
    spell_out(&whole, cut);
    json_t *long_body = json_pack("{s:s}", "query", whole.ptr);
    char *text = json_text(long_body);
    json_decref(long_body);
    buf_free(&whole);
    return text;
}

static void send_request(struct stack *s, const struct golden *g, bool clear, struct exchange *x) {
    const json_t *request = json_object_get(g->recording, "request");
    const char *cn = json_str(request, "tls_client_certname");
    struct world_header headers[8];
    size_t count = 0;
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(request, "headers"), name, value) {
        if (strcmp(name, "Accept-Encoding") != 0) {
            headers[count++] = (struct world_header){name, json_string_value(value)};
        }
    }
    struct error err = ERROR_INIT;
    struct world_tls_files files = sim_tls_files(s->client, cn != NULL ? cn : "orch.example.com");
    if (cn == NULL && phase_of(g->name) != PHASE_WIRE) {
        files.cert = files.key = NULL;
    } else if (cn != NULL && strcmp(cn, "foreign") == 0) {
        const char *names[] = {"foreign"};
        files = sim_tls_files_of(s->client, sim_issue(s->sim, &(struct sim_certificate_opts){.issuer = "Another CA",
                                                                                             .common_name = "foreign",
                                                                                             .alt_names = names,
                                                                                             .alt_name_count = 1}));
        files.ca = sim_tls_files(s->client, "orch.example.com").ca;
    }
    struct world_tls *tls = clear ? NULL : world_tls_new(s->client, &files, &err);
    char *target = target_of(request), *body = body_of(request);
    char *url = str_printf("%s://%s:%d%s", clear ? "http" : "https", server_name, PORT, target);
    struct world_fetch_opts opts = {.method = json_str(request, "method"),
                                    .url = url,
                                    .headers = headers,
                                    .header_count = count,
                                    .body = span_of(body),
                                    .tls = tls};
    world_fetch(s->client, &opts, got_response, x);
    assert_true(sim_run_until(s->sim, 60 * SIM_SECOND, is_set, &x->done));
    mem_free(url);
    mem_free(target);
    mem_free(body);
    if (tls != NULL) {
        world_tls_free(tls);
    }
}

static bool replay(struct stack *s, const struct golden *g, bool clear) {
    struct exchange x = {0};
    send_request(s, g, clear, &x);
    char *why =
        x.failure != NULL ? str_printf("no answer: %s", x.failure) : golden_compare(g, &x.answer, rule_of(g->name));
    s->replayed++;
    if (why != NULL) {
        fprintf(stderr, "%s: %s\n", g->name, why);
    }
    bool ok = why == NULL;
    mem_free(why);
    exchange_free(&x);
    return ok;
}

static void replay_phase(struct stack *s, enum phase phase, size_t at_least) {
    size_t wrong = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (phase_of(s->all[i].name) == phase) {
            wrong += !replay(s, &s->all[i], phase == PHASE_CLEAR);
        }
    }
    if (wrong > 0) {
        fail_msg("%zu of %zu exchanges differ", wrong, s->replayed);
    }
    assert_true(s->replayed >= at_least);
}

/* ---------------------------------------------------------------- phases */

static void test_main(void **state) {
    (void)state;
    json_t *given = state_file("puppetdb-state.json");
    struct stack s = start(given, false);
    replay_phase(&s, PHASE_MAIN, 260);
    stop(&s);
    json_decref(given);
}

static void test_empty(void **state) {
    (void)state;
    struct stack s = start(NULL, false);
    replay_phase(&s, PHASE_EMPTY, 4);
    stop(&s);
}

static void test_commands(void **state) {
    (void)state;
    struct stack s = start(NULL, false);
    size_t known = sizeof commands_in_order / sizeof commands_in_order[0], wrong = 0, recorded = 0;
    for (size_t i = 0; i < s.count; i++) {
        recorded += phase_of(s.all[i].name) == PHASE_COMMANDS;
    }
    assert_int_equal(recorded, known);
    for (size_t k = 0; k < known; k++) {
        for (size_t i = 0; i < s.count; i++) {
            if (strcmp(s.all[i].name, commands_in_order[k]) == 0) {
                wrong += !replay(&s, &s.all[i], false);
            }
        }
    }
    assert_int_equal(s.replayed, known);
    assert_int_equal(wrong, 0);
    stop(&s);
}

static void test_allowlist(void **state) {
    (void)state;
    json_t *given = state_file("puppetdb-state.json");
    json_set(given, "allowlist", json_pack("[s]", "orch.example.com"));
    struct stack s = start(given, false);
    replay_phase(&s, PHASE_ALLOWLIST, 5);
    stop(&s);
    json_decref(given);
}

static void test_maintenance(void **state) {
    (void)state;
    json_t *given = json_pack("{s:b}", "maintenance", 1);
    struct stack s = start(given, false);
    replay_phase(&s, PHASE_MAINTENANCE, 6);
    stop(&s);
    json_decref(given);
}

static void post(struct stack *s, const char *path, const char *body, int status) {
    struct golden g = {.name = (char *)(uintptr_t) "post"};
    g.recording = json_pack("{s:{s:s, s:s, s:s, s:s, s:{}}}", "request", "method", "POST", "target", path, "body", body,
                            "tls_client_certname", "orch.example.com", "headers");
    struct exchange x = {0};
    send_request(s, &g, false, &x);
    assert_int_equal(x.answer.status, status);
    exchange_free(&x);
    json_decref(g.recording);
}

static void test_database_down(void **state) {
    (void)state;
    struct stack s = start(NULL, false);
    post(&s, "/_fake/database", "{\"up\": \"no\"}", 400);
    post(&s, "/_fake/database", "{\"up\": false}", 204);
    replay_phase(&s, PHASE_DATABASE_DOWN, 4);
    stop(&s);
}

static void test_clear_text(void **state) {
    (void)state;
    json_t *given = state_file("puppetdb-state.json");
    struct stack s = start(given, true);
    replay_phase(&s, PHASE_CLEAR, 1);
    stop(&s);
    json_decref(given);
}

/* Where the real service's TLS or its absence gave no answer at all, there is none here. */
static void test_no_answer(void **state) {
    (void)state;
    struct stack s = start(NULL, false);
    size_t seen = 0;
    for (size_t i = 0; i < s.count; i++) {
        if (phase_of(s.all[i].name) != PHASE_NO_ANSWER || strcmp(s.all[i].name, "connection-refused") == 0) {
            continue;
        }
        struct exchange x = {0};
        send_request(&s, &s.all[i], false, &x);
        if (x.failure == NULL) {
            fail_msg("%s: answered %d", s.all[i].name, x.answer.status);
        }
        exchange_free(&x);
        seen++;
    }
    assert_int_equal(seen, 3);
    stop(&s);
}

/* What the report processor of a real Puppet Server sends is taken, and found by its job. */
static void test_wire_reports(void **state) {
    (void)state;
    struct stack s = start(NULL, false);
    size_t seen = 0;
    for (size_t i = 0; i < s.count; i++) {
        if (phase_of(s.all[i].name) != PHASE_WIRE) {
            continue;
        }
        json_t *request = json_object_get(s.all[i].recording, "request");
        json_set(json_object_get(request, "query"), "secondsToWaitForCompletion", json_string("5"));
        struct exchange x = {0};
        send_request(&s, &s.all[i], false, &x);
        assert_int_equal(x.answer.status, 200);
        const json_t *payload = json_object_get(request, "body");
        char *query = str_printf("reports[status, transaction_uuid]{job_id = \"%s\"}", json_str(payload, "job_id"));
        json_t *rows = fake_puppetdb_query(s.p, span_of(query), NULL);
        json_t *row = json_array_get(rows, 0);
        assert_string_equal(json_str(row, "status"), json_str(payload, "status"));
        assert_string_equal(json_str(row, "transaction_uuid"), json_str(payload, "transaction_uuid"));
        mem_free(query);
        json_decref(rows);
        exchange_free(&x);
        seen++;
    }
    assert_int_equal(seen, 4);
    stop(&s);
}

int main(void) {
    mem_init_libraries();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_main),       cmocka_unit_test(test_empty),       cmocka_unit_test(test_commands),
        cmocka_unit_test(test_allowlist),  cmocka_unit_test(test_maintenance), cmocka_unit_test(test_database_down),
        cmocka_unit_test(test_clear_text), cmocka_unit_test(test_no_answer),   cmocka_unit_test(test_wire_reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
