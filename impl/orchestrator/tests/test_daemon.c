/* The daemon: what it says about its configuration, how it ends, backups, and twenty times kill -9 in mid-job. */
#include "base/mem.h"
#include "real.h"
#include "wire/gzip.h"

#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { AGENTS = 40, TIMES = 20 };
#define TASK                                                                                                           \
    "{\"environment\":\"production\",\"task\":\"echo\",\"params\":{\"message\":\"hi\"},\"scope\":{\"query\":"          \
    "\"nodes[certname] { }\"}}"

static struct real *real; /* one stack for all */

static int setup(void **state) {
    (void)state;
    mem_init_libraries();
    real = real_new(AGENTS);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    real_free(real);
    return 0;
}

static void expect_output(const char *text) {
    if (real->output.ptr == NULL || strstr(real->output.ptr, text) == NULL) {
        fail_msg("\"%s\" is not in: %s", text, real->output.ptr);
    }
}

static void it_checks_its_configuration(void **state) {
    (void)state;
    char *config = real_config(real);
    const char *good[] = {"--config", config, "--check-config", NULL};
    assert_int_equal(real_run_it(real, good), 0);
    expect_output("configuration is correct: 1 brokers, certificate of client");
    const char *bad[] = {"--config", config, "--check-config", "--set", "orchestrator.task-concurrency=many", NULL};
    assert_int_equal(real_run_it(real, bad), 3);
    expect_output("orchestrator.task-concurrency must be a number");
    const char *no_key[] = {"--config", config, "--set", "global.certs.ssl-key=/nowhere.key", NULL};
    assert_int_equal(real_run_it(real, no_key), 3);
    expect_output("/nowhere.key");
    const char *no_directory[] = {"--config", config, "--database", "/nowhere/o.db", NULL};
    assert_int_equal(real_run_it(real, no_directory), 3);
    expect_output("/nowhere/o.db");
    const char *usage[] = {"--check-confg", NULL};
    assert_int_equal(real_run_it(real, usage), 2);
    expect_output("--check-config");
    const char *stray[] = {"now", NULL};
    assert_int_equal(real_run_it(real, stray), 2);
    expect_output("unexpected argument 'now'");
    mem_free(config);
}

static void a_port_in_use_is_one_clear_line(void **state) {
    (void)state;
    char *config = real_config(real), *database = str_printf("%s/other.db", real->dir);
    const char *taken = json_str(real->stack, "puppetdb"); /* https://127.0.0.1:NNNN */
    const char *second[] = {"--config", config, "--port", strrchr(taken, ':') + 1, "--database", database, NULL};
    assert_int_equal(real_run_it(real, second), 3);
    expect_output("in use");
    mem_free(database);
    mem_free(config);
}

static char *job_path(const json_t *started, const char *more) {
    const char *name = json_str(json_object_get(started, "job"), "name");
    return name == NULL ? NULL : str_printf("/orchestrator/v1/jobs/%s%s", name, more);
}

static void wait_for_end(const char *path) {
    for (int tries = 0; tries < 3000; tries++) {
        real_ask(real, path, NULL);
        const char *state = json_str(real->body, "state");
        if (state != NULL && (strcmp(state, "finished") == 0 || strcmp(state, "failed") == 0)) {
            assert_string_equal(state, "finished");
            return;
        }
        real_pause(real, 10);
    }
    fail_msg("the job does not end: %s", real->output.ptr);
}

static void expect_events_of_all(const char *path) {
    size_t i;
    json_t *event, *ended = json_object();
    real_ask(real, path, NULL);
    assert_int_equal(real->status, 200);
    json_t *items = json_object_get(real->body, "items");
    json_array_foreach(items, i, event) {
        if (strcmp(json_str(event, "type"), "node_finished") == 0) {
            const char *node = json_str(json_object_get(event, "details"), "node");
            assert_null(json_object_get(ended, node));
            json_set(ended, node, json_true());
        }
    }
    assert_int_equal(json_object_size(ended), AGENTS);
    assert_string_equal(json_str(json_array_get(items, json_array_size(items) - 1), "type"), "job_finished");
    json_decref(ended);
}

static void twenty_times_kill_9_and_every_node_ends_once(void **state) {
    (void)state;
    int acknowledged = 0;
    for (unsigned i = 0; i < TIMES; i++) {
        real_start(real);
        real_ask(real, "/orchestrator/v1/command/task", TASK);
        assert_int_equal(real->status, 202);
        char *job = job_path(real->body, ""), *events = job_path(real->body, "/events");
        real_pause(real, i * 7);
        real_signal_it(real, SIGKILL);
        assert_int_equal(real_wait_end(real), 128 + SIGKILL);
        real_start(real);
        wait_for_end(job);
        expect_events_of_all(events);
        acknowledged++;
        real_signal_it(real, i % 2 == 0 ? SIGKILL : SIGTERM);
        real_wait_end(real);
        mem_free(job);
        mem_free(events);
    }
    assert_int_equal(acknowledged, TIMES);
}

static void a_backup_of_the_running_service_holds_its_jobs(void **state) {
    (void)state;
    real_start(real);
    real_ask(real, "/orchestrator/v1/jobs", NULL);
    size_t jobs = json_array_size(json_object_get(real->body, "items"));
    assert_int_equal(jobs, TIMES);
    struct world_process *running = real->orchestrator;
    char *config = real_config(real), *copy = str_printf("%s/copy.db", real->dir);
    const char *backup[] = {"--config", config, "--backup", copy, NULL};
    assert_int_equal(real_run_it(real, backup), 0);
    assert_int_equal(real_run_it(real, backup), 1); /* never over an existing file */
    expect_output("exists already");
    real->orchestrator = running;
    real->ended = false;
    real_signal_it(real, SIGTERM);
    assert_int_equal(real_wait_end(real), 0);
    char *original = str_printf("%s/o.db", real->dir);
    assert_true(world_file_remove(real->world, original, false, NULL));
    assert_true(world_file_rename(real->world, copy, original, NULL));
    real_start(real);
    real_ask(real, "/orchestrator/v1/jobs", NULL);
    assert_int_equal(json_array_size(json_object_get(real->body, "items")), jobs);
    real_signal_it(real, SIGTERM);
    assert_int_equal(real_wait_end(real), 0);
    mem_free(original);
    mem_free(copy);
    mem_free(config);
}

/* Another program holds the database for long: the service says so, and goes on by itself afterwards. */
static void a_locked_database_is_answered_for_and_outlived(void **state) {
    (void)state;
    sqlite3 *db = NULL;
    char *path = str_printf("%s/o.db", real->dir);
    real_start(real);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    real_ask(real, "/orchestrator/v1/command/task", TASK);
    assert_int_equal(real->status, 503);
    assert_string_equal(json_str(real->body, "kind"), "puppetlabs.orchestrator/unavailable");
    assert_non_null(strstr(json_str(real->body, "msg"), "locked"));
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    do {
        real_pause(real, 10);
        real_ask(real, "/orchestrator/v1/command/task", TASK);
    } while (real->status == 503);
    assert_int_equal(real->status, 202);
    char *job = job_path(real->body, "");
    wait_for_end(job);
    mem_free(job);
    mem_free(path);
    real_signal_it(real, SIGTERM);
    assert_int_equal(real_wait_end(real), 0);
}

/* TLS 1.2, one request on a connection, a packed answer: what clients of old do. */
static void old_clients_are_served(void **state) {
    (void)state;
    real_start(real);
    char *command =
        str_printf("printf 'GET /orchestrator/v1/jobs HTTP/1.1\\r\\nHost: o\\r\\nX-Authentication: %s\\r\\n"
                   "Accept-Encoding: gzip\\r\\nConnection: close\\r\\n\\r\\n' | timeout 30 openssl s_client "
                   "-ign_eof -brief -tls1_2 -CAfile %s -connect 127.0.0.1:%u > %s/answer 2> %s/session",
                   real->token, json_str(real->stack, "ca"), real->port, real->dir, real->dir);
    assert_int_equal(system(command), 0);
    char *answer_path = str_printf("%s/answer", real->dir), *session_path = str_printf("%s/session", real->dir);
    struct buf answer = BUF_INIT, session = BUF_INIT, plain = BUF_INIT;
    assert_true(world_file_read(real->world, answer_path, 1 << 24, &answer, NULL));
    assert_true(world_file_read(real->world, session_path, 1 << 16, &session, NULL));
    assert_non_null(strstr(session.ptr, "Protocol version: TLSv1.2"));
    assert_ptr_equal(strstr(answer.ptr, "HTTP/1.1 200 OK\r\n"), answer.ptr);
    assert_non_null(strstr(answer.ptr, "Content-Encoding: gzip\r\n"));
    ptrdiff_t body = span_find_span(buf_span(&answer), SPAN("\r\n\r\n"));
    assert_true(gzip_inflate(&plain, span_sub(buf_span(&answer), (size_t)body + 4, SIZE_MAX), 1 << 24, NULL));
    json_t *jobs = json_parse(buf_span(&plain), "jobs", NULL);
    assert_true(json_array_size(json_object_get(jobs, "items")) > 0);
    json_decref(jobs);
    buf_free(&plain);
    buf_free(&session);
    buf_free(&answer);
    mem_free(answer_path);
    mem_free(session_path);
    mem_free(command);
    real_signal_it(real, SIGTERM);
    assert_int_equal(real_wait_end(real), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_checks_its_configuration),
        cmocka_unit_test(a_port_in_use_is_one_clear_line),
        cmocka_unit_test(twenty_times_kill_9_and_every_node_ends_once),
        cmocka_unit_test(a_backup_of_the_running_service_holds_its_jobs),
        cmocka_unit_test(a_locked_database_is_answered_for_and_outlived),
        cmocka_unit_test(old_clients_are_served),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
