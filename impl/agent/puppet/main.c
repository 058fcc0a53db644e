/* pxp-module-puppet: the external module through which agents run Puppet (agent.md §17).
 *
 *   pxp-module-puppet [metadata]     prints its metadata
 *   pxp-module-puppet ACTION         any other action runs `puppet agent`; the request comes as JSON on standard input
 *
 * Exit code 0, 1 with an "error" in the result, 5 when the output files cannot be opened. */
#include "agent/puppet/environment.h"
#include "agent/puppet/flags.h"
#include "agent/puppet/report.h"
#include "base/json.h"
#include "base/mem.h"
#include "world/real.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    INPUT_MAX = 64 * 1024 * 1024,
    REPORT_MAX = 512 * 1024 * 1024,
    LOCK_POLL_MS = 100,
    LOCK_WAIT_MS = 10 * 60 * 1000,
    EXIT_OUTPUT_FILES = 5,
};

static const char metadata[] =
    "{\"description\":\"PXP Puppet module\",\"actions\":[{\"name\":\"run\",\"description\":\"Start a Puppet "
    "run\",\"input\":"
    "{\"type\":\"object\",\"properties\":{\"env\":{\"type\":\"array\"},\"flags\":{\"type\":\"array\",\"items\":{"
    "\"type\":"
    "\"string\"}},\"job\":{\"type\":\"string\"}},\"required\":[\"flags\"]},\"results\":{\"type\":\"object\","
    "\"properties\":"
    "{\"time\":{\"type\":\"string\"},\"transaction_uuid\":{\"type\":\"string\"},\"metrics\":{\"type\":\"object\"},"
    "\"environment\":{\"type\":\"string\"},\"status\":{\"type\":\"string\"},\"error_type\":{\"type\":\"string\"},"
    "\"error\":"
    "{\"type\":\"string\"},\"exitcode\":{\"type\":\"number\"},\"version\":{\"type\":\"number\"}},\"required\":["
    "\"time\","
    "\"transaction_uuid\",\"environment\",\"status\",\"exitcode\",\"version\"]}}],\"configuration\":{\"type\":"
    "\"object\","
    "\"properties\":{\"puppet_bin\":{\"type\":\"string\"}}}}";

struct module {
    struct world *world;
    const char *puppet_bin;
    char *report, *disabled_lock, *run_lock; /* paths, as Puppet's settings say */
    int exitcode;                            /* of `puppet agent`; -1: it did not run */
};

/* ---- running puppet */

struct child {
    bool done;
    int status; /* 128 + signal when a signal ended it */
    bool keep_output;
    struct buf output;
};

static void on_output(void *ctx, int stream, struct span bytes) {
    struct child *c = ctx;
    if (stream == 1 && c->keep_output) {
        buf_append_span(&c->output, bytes);
    }
}

static void on_exit_of(void *ctx, const struct world_exit *e) {
    struct child *c = ctx;
    c->done = true;
    c->status = !e->started ? 127 : e->signal != 0 ? 128 + e->signal : e->status;
}

static int run_puppet(const struct module *m, const json_t *arguments, bool keep_output, struct buf *output) {
    const char **argv = mem_array(json_array_size(arguments) + 3, sizeof(*argv));
    argv[0] = m->puppet_bin;
    argv[1] = "agent";
    for (size_t i = 0; i < json_array_size(arguments); i++) {
        argv[i + 2] = json_string_value(json_array_get(arguments, i));
    }
    struct child c = {.keep_output = keep_output};
    char **environment = puppet_environment();
    world_spawn(m->world,
                &(struct world_spawn){
                    .argv = argv, .env = (const char *const *)environment, .on_output = on_output, .umask = -1},
                on_exit_of, &c);
    puppet_environment_free(environment);
    while (!c.done) {
        real_world_turn(m->world, true);
    }
    if (keep_output) {
        *output = c.output;
    }
    mem_free((void *)argv);
    return c.status;
}

/* "name = value" lines of --configprint. */
static void read_settings(struct module *m) {
    json_t *arguments =
        json_pack("[s, s]", "--configprint", "lastrunreport,agent_disabled_lockfile,agent_catalog_run_lockfile");
    struct buf output = BUF_INIT;
    run_puppet(m, arguments, true, &output);
    struct span rest = buf_span(&output), line;
    while (output.ptr != NULL && span_split(&rest, '\n', &line)) {
        ptrdiff_t equals = span_find(line, '=');
        if (equals < 0) {
            continue;
        }
        struct span name = span_trim(span_sub(line, 0, (size_t)equals));
        struct span value = span_trim(span_sub(line, (size_t)equals + 1, line.len));
        char **target = span_eq_cstr(name, "lastrunreport")                ? &m->report
                        : span_eq_cstr(name, "agent_disabled_lockfile")    ? &m->disabled_lock
                        : span_eq_cstr(name, "agent_catalog_run_lockfile") ? &m->run_lock
                                                                           : NULL;
        if (target != NULL && *target == NULL && value.len > 0) {
            *target = span_dup(value);
        }
    }
    buf_free(&output);
    json_decref(arguments);
}

static bool exists(const struct module *m, const char *path) {
    struct world_stat st;
    return path != NULL && world_file_stat(m->world, path, &st, NULL);
}

static void on_wait_over(void *ctx) {
    *(bool *)ctx = true;
}

static void wait_ms(const struct module *m, uint64_t ms) {
    struct timer t = {0};
    bool over = false;
    world_timer_start(m->world, &t, ms, on_wait_over, &over);
    while (!over) {
        real_world_turn(m->world, true);
    }
}

/* Another run holds the lock: wait until it is gone. */
static void wait_for_lock(const struct module *m) {
    for (uint64_t waited = 0; waited < LOCK_WAIT_MS && exists(m, m->run_lock); waited += LOCK_POLL_MS) {
        wait_ms(m, LOCK_POLL_MS);
    }
}

/* ---- results */

static json_t *error_result(int exitcode, const struct error *err) {
    json_t *result =
        json_pack("{s:s, s:s, s:s, s:s, s:{}, s:i, s:i}", "time", "unknown", "transaction_uuid", "unknown",
                  "environment", "unknown", "status", "unknown", "metrics", "exitcode", exitcode, "version", 1);
    json_set(result, "error_type", json_string(err->kind));
    json_t *text = json_string(err->msg);
    json_set(result, "error", text != NULL ? text : json_string("(not UTF-8)"));
    return result;
}

static bool run_agent(struct module *m, const json_t *arguments, struct error *err) {
    m->exitcode = run_puppet(m, arguments, false, NULL);
    if (m->exitcode == 0) {
        return true;
    }
    if (exists(m, m->disabled_lock)) {
        return error_set(err, "agent_disabled", "Puppet agent is disabled");
    }
    if (!exists(m, m->run_lock)) {
        return true; /* the report tells */
    }
    wait_for_lock(m);
    m->exitcode = run_puppet(m, arguments, false, NULL);
    if (m->exitcode != 0 && exists(m, m->disabled_lock)) {
        return error_set(err, "agent_disabled", "Puppet agent is disabled");
    }
    if (m->exitcode != 0 && exists(m, m->run_lock)) {
        return error_set(err, "agent_locked", "Puppet agent run is already in progress");
    }
    return true;
}

/* Nanoseconds matter: two runs may end within one second. Size and time together tell a new report from the old one. */
static bool changed_since(const struct module *m, bool was_there, const struct world_stat *before) {
    struct world_stat now;
    return world_file_stat(m->world, m->report, &now, NULL) &&
           (!was_there || now.modified_ms != before->modified_ms || now.size != before->size);
}

static json_t *read_report(const struct module *m, bool was_there, const struct world_stat *before, struct error *err) {
    struct buf yaml = BUF_INIT;
    if (!exists(m, m->report)) {
        error_set(err, "no_last_run_report", "%s doesn't exist", m->report);
        return NULL;
    }
    if (!changed_since(m, was_there, before)) {
        error_set(err, "no_last_run_report", "The Puppet run failed in an unexpected way");
        return NULL;
    }
    struct error why = ERROR_INIT;
    json_t *report = world_file_read(m->world, m->report, REPORT_MAX, &yaml, &why)
                         ? puppet_report_read(buf_span(&yaml), &why)
                         : NULL;
    if (report == NULL) {
        error_set(err, "invalid_last_run_report", "%s could not be loaded: %s", m->report, why.msg);
    }
    error_clear(&why);
    buf_free(&yaml);
    return report;
}

static json_t *run(struct module *m, const json_t *input, struct error *err) {
    json_t *arguments = puppet_flags(json_object_get(input, "flags"), json_object_get(input, "job"), err);
    if (arguments == NULL) {
        return NULL;
    }
    json_t *result = NULL;
    if (!exists(m, m->puppet_bin)) {
        error_set(err, "no_puppet_bin", "Puppet executable '%s' does not exist", m->puppet_bin);
    } else {
        read_settings(m);
        if (m->report == NULL) {
            error_set(err, "no_last_run_report", "could not find the location of the last run report");
        } else {
            struct world_stat before;
            bool was_there = world_file_stat(m->world, m->report, &before, NULL);
            if (run_agent(m, arguments, err)) {
                result = read_report(m, was_there, &before, err);
            }
        }
    }
    json_decref(arguments);
    if (result != NULL) {
        json_set(result, "exitcode", json_integer(m->exitcode));
        json_set(result, "version", json_integer(1));
        if (m->exitcode != 0) {
            json_set(result, "error_type", json_string("agent_exit_non_zero"));
            json_set(result, "error", json_string("Puppet agent exited with a non 0 exitcode"));
        }
    }
    return result;
}

/* ---- the request */

/* Ruby's way to show a value: {"a"=>1}. */
static void inspect(struct buf *out, const json_t *value) {
    const char *key, *separator = "";
    json_t *item;
    size_t i;
    if (json_is_object(value)) {
        buf_append_char(out, '{');
        json_object_foreach((json_t *)(uintptr_t)value, key, item) {
            buf_append_cstr(out, separator);
            json_write_string(out, span_of(key));
            buf_append_cstr(out, "=>");
            inspect(out, item);
            separator = ", ";
        }
        buf_append_char(out, '}');
    } else if (json_is_array(value)) {
        buf_append_char(out, '[');
        json_array_foreach((json_t *)(uintptr_t)value, i, item) {
            buf_append_cstr(out, separator);
            inspect(out, item);
            separator = ", ";
        }
        buf_append_char(out, ']');
    } else if (json_is_null(value)) {
        buf_append_cstr(out, "nil");
    } else {
        json_write(out, value);
    }
}

static json_t *read_request(struct span text, struct error *err) {
    json_t *request = json_parse(text, "invalid_json", NULL);
    struct buf shown = BUF_INIT;
    if (request == NULL) {
        error_set(err, "invalid_json", "Invalid json received on STDIN: %.*s", (int)text.len, text.ptr);
    } else if (!json_is_object(request)) {
        inspect(&shown, request);
        error_set(err, "invalid_json", "The json received on STDIN was not a hash: %s", shown.ptr);
    }
    buf_free(&shown);
    return request;
}

static bool check_input(const json_t *request, struct error *err) {
    if (json_is_object(json_object_get(request, "input"))) {
        return true;
    }
    struct buf shown = BUF_INIT;
    inspect(&shown, request);
    error_set(err, "invalid_json", "The json received on STDIN did not contain a valid 'input' key: %s", shown.ptr);
    buf_free(&shown);
    return false;
}

/* ---- where the result goes */

struct outputs {
    int fd[2];            /* stdout, stderr; -1: our own */
    const char *exitcode; /* path, or NULL */
};

static bool open_outputs(const json_t *request, struct outputs *o, struct error *err) {
    static const char *const keys[] = {"stdout", "stderr"};
    const json_t *files = json_object_get(request, "output_files");
    *o = (struct outputs){.fd = {-1, -1}};
    if (!json_is_object(files)) {
        return true;
    }
    for (size_t i = 0; i < 2; i++) {
        const char *path = json_str(files, keys[i]);
        o->fd[i] = path != NULL ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640) : -1;
        if (path != NULL && o->fd[i] < 0) {
            return error_set(err, "invalid_json", "Could not open output files: %s @ rb_sysopen - %s", strerror(errno),
                             path);
        }
    }
    o->exitcode = json_str(files, "exitcode");
    return true;
}

static bool put_all(int fd, const char *text, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        text += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* The exit code's file comes last and whole: whoever sees it sees a complete outcome. */
static int deliver(const struct module *m, const struct outputs *o, json_t *result, int code) {
    char *text = json_text(result);
    bool ok = put_all(o->fd[0] >= 0 ? o->fd[0] : STDOUT_FILENO, text, strlen(text));
    mem_free(text);
    json_decref(result);
    for (size_t i = 0; i < 2; i++) {
        ok = (o->fd[i] < 0 || (fsync(o->fd[i]) == 0 && close(o->fd[i]) == 0)) && ok;
    }
    if (o->exitcode != NULL) {
        char number[16];
        int len = snprintf(number, sizeof(number), "%d\n", code);
        ok = world_file_write(m->world, o->exitcode, span_bytes(number, (size_t)len), 0640, WORLD_WRITE_ATOMIC, NULL) &&
             ok;
    }
    return ok ? code : EXIT_OUTPUT_FILES;
}

static int act(struct module *m) {
    struct buf text = BUF_INIT;
    char piece[65536];
    for (ssize_t n; text.len < INPUT_MAX && (n = read(STDIN_FILENO, piece, sizeof(piece))) > 0;) {
        buf_append(&text, piece, (size_t)n);
    }
    struct error err = ERROR_INIT;
    json_t *request = read_request(buf_span(&text), &err), *result = NULL;
    struct outputs outputs = {.fd = {-1, -1}};
    int code = 1;
    if (!error_is_set(&err) && !open_outputs(request, &outputs, &err)) {
        outputs = (struct outputs){.fd = {-1, -1}};
        code = EXIT_OUTPUT_FILES;
    } else if (!error_is_set(&err) && check_input(request, &err)) {
        const char *bin = json_str(json_object_get(request, "configuration"), "puppet_bin");
        m->puppet_bin = bin != NULL && bin[0] != '\0' ? bin : "/opt/puppetlabs/bin/puppet";
        result = run(m, json_object_get(request, "input"), &err);
    }
    if (result == NULL) {
        result = error_result(m->exitcode, &err);
    } else if (json_object_get(result, "error") == NULL) {
        code = 0;
    }
    code = deliver(m, &outputs, result, code);
    json_decref(request);
    error_clear(&err);
    buf_free(&text);
    return code;
}

int main(int argc, char **argv) {
    mem_init_libraries();
    if (argc < 2 || strcmp(argv[1], "metadata") == 0) {
        puts(metadata);
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0) {
        puts("Usage: pxp-module-puppet [metadata | run]\nRuns `puppet agent` for an agent; the request is JSON on "
             "standard input.");
        return 0;
    }
    struct error err = ERROR_INIT;
    struct module m = {.world = real_world_new(&err), .exitcode = -1};
    if (m.world == NULL) {
        fprintf(stderr, "pxp-module-puppet: %s\n", err.msg);
        error_clear(&err);
        return 1;
    }
    int code = act(&m);
    mem_free(m.report);
    mem_free(m.disabled_lock);
    mem_free(m.run_lock);
    real_world_free(m.world);
    return code;
}
