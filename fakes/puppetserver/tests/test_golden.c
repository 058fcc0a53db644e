/* Every exchange that was recorded with the real Puppet Server, put to the fake: equal status, headers that matter and
 * body. Where the two may differ is in one table, each line with its reason. The code directory of the recording is in
 * scenarios/golden/puppetserver-code.json. */
#include "base/digest.h"
#include "base/mem.h"
#include "fakes/puppetserver/puppetserver.h"
#include "fakes/tests/rig.h"
#include "wire/gzip.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN SOURCE_DIR "/scenarios/golden/"

/* ---- what may differ */

static struct {
    const char *name; /* glob over recordings */
    const char *part; /* glob over "body.PATH" or "header.NAME"; "*": not put to the fake at all */
    const char *reason;
    bool used; /* an allowance that nothing needs is taken off the list */
} allowed[] = {
    {"tasks-list-foreign-cert", "*", "the handshake fails: a matter of TLS, not of the fake", false},
    {"wire-*", "*", "request only; what the server makes of it is tested in test_report", false},
    {"ca-certificate", "body", "another authority", false},
    {"ca-crl", "body", "another authority", false},
    {"ca-expirations", "body.*", "another authority", false},
    {"catalog-*", "body.*catalog_uuid", "made anew for each catalog", false},
    {"catalog-*", "body.*resources*", "the fake has no compiler: a node gets a main class and a notify", false},
    {"catalog-*", "body.*edges*", "as above", false},
    {"catalog-*", "body.*classes*", "as above", false},
    {"catalog-*", "body.*tags*", "as above", false},
    {"versioned-catalog-v3", "body.*", "as above", false},
    {"catalog-v4", "body.logs.0.time", "the time of the request", false},
    {"catalog-v4-not-json", "body", "another JSON parser's words", false},
    {"facts-put", "body.uuid", "made anew for each command", false},
    {"file-metadata*", "body.*owner", "the user that the real server ran as", false},
    {"file-metadata*", "body.*group", "the group that the real server ran as", false},
    {"file-metadata*", "body.*checksum.value", "for directories: the time they were made", false},
    {"node-*", "body.parameters*", "the facts of the recorded machines, with the old names beside the new ones", false},
    {"puppetdb-down-node", "body.parameters*", "as above", false},
    {"puppetdb-down-catalog", "body.message", "checksum and time of the catalog", false},
    {"status-services-debug", "body.*.status*", "metrics of the JVM", false},
    {"task-mymod-init", "body.files.0.sha256", "the recording does not hold the bytes of this file", false},
    {"task-mymod-py", "body.files.0.sha256", "as above", false},
};

static bool may_differ(const char *name, const char *part) {
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        if (glob_match(allowed[i].name, name) && strcmp(allowed[i].part, "*") != 0 &&
            glob_match(allowed[i].part, part)) {
            allowed[i].used = true;
            return true;
        }
    }
    return false;
}

static bool skipped(const char *name) {
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        if (glob_match(allowed[i].name, name) && strcmp(allowed[i].part, "*") == 0) {
            allowed[i].used = true;
            return true;
        }
    }
    return false;
}

/* ---- the recording's code directory and configuration */

static json_t *read_json(const char *path) {
    json_error_t err;
    json_t *value = json_load_file(path, JSON_ALLOW_NUL, &err);
    if (value == NULL) {
        fail_msg("%s: %s", path, err.text);
    }
    return value;
}

static void write_file(struct world *w, const char *path, const json_t *content) {
    struct buf bytes = BUF_INIT;
    char *dir = str_dup(path);
    *strrchr(dir, '/') = '\0';
    if (json_is_string(content)) {
        buf_append_span(&bytes, json_span(content));
    } else {
        assert_true(base64_decode(&bytes, json_span(json_object_get(content, "base64"))));
    }
    assert_true(world_file_mkdir(w, dir, 0755, true, NULL));
    assert_true(world_file_write(w, path, buf_span(&bytes), 0644, WORLD_WRITE_PLAIN, NULL));
    buf_free(&bytes);
    mem_free(dir);
}

/* The recordings were made while environments were added: first these three, then "broken", then "files". */
enum phase { PHASE_FIRST, PHASE_BROKEN, PHASE_FILES };

static enum phase phase_of_path(const char *path) {
    return strstr(path, "/environments/broken/") != NULL  ? PHASE_BROKEN
           : strstr(path, "/environments/files/") != NULL ? PHASE_FILES
                                                          : PHASE_FIRST;
}

static enum phase phase_of(const char *name, const char *target) {
    return glob_match("files-*", name)                                                         ? PHASE_FILES
           : strstr(target, "environment=broken") != NULL || glob_match("*-modules-all", name) ? PHASE_BROKEN
                                                                                               : PHASE_FIRST;
}

struct bench {
    struct rig rig;
    struct fake_puppetserver *ps;
    json_t *code;
    enum phase phase;
    size_t compared;
    struct buf differences;
};

static void reach_phase(struct bench *b, enum phase phase) {
    const char *path;
    json_t *content;
    json_object_foreach(b->code, path, content) {
        if (phase_of_path(path) == phase) {
            write_file(b->rig.server, path, content);
        }
    }
    b->phase = phase;
}

/* How the server was set up when this was recorded. */
static void configure(struct bench *b, const char *name) {
    bool versioned = glob_match("versioned-*", name) ||
                     (glob_match("static-file-content-*", name) && strstr(name, "without") == NULL);
    json_t *state = quoted("{'codedir': '/etc/puppetlabs/code',"
                           " 'basemodulepath': ['/etc/puppetlabs/code/modules', '/usr/share/puppet/modules'],"
                           " 'auth': {'orchestrator': 'orch.example.com'},"
                           " 'certname': 'puppet.example.com',"
                           " 'puppetdb': {'url': 'https://puppetdb.example.com:8081'},"
                           " 'ca': {'certificate': '/etc/ca.pem', 'crl': '/etc/crl.pem'},"
                           " 'code_content_command': '/srv/puppet-stack/bin/code-content',"
                           " 'facts': {'node1.example.com': {}, 'node4.example.com': {}},"
                           " 'catalogs': {'node5.example.com': {'error': 'Evaluation Error: Error while evaluating a "
                           "Function Call, Could not find class ::no_such_class for node5.example.com (file: "
                           "/etc/puppetlabs/code/environments/production/manifests/site.pp, line: 20, column: 3)'}}}");
    if (versioned) {
        json_set(state, "static", json_pack("{s:s}", "production", "production-5f2c9e1"));
        json_set(state, "static_in_uris", json_true());
    }
    if (glob_match("*default-auth*", name)) {
        json_object_del(state, "auth");
    }
    if (glob_match("puppetdb-down-*", name)) {
        json_set(json_object_get(state, "puppetdb"), "up", json_false());
    }
    struct fake *f = fake_puppetserver_base(b->ps);
    struct error err = ERROR_INIT;
    if (!f->service->load(f, state, &err)) {
        fail_msg("%s", err.msg);
    }
    json_decref(state);
}

/* ---- comparing */

static void differs(struct bench *b, const char *name, const char *part, const json_t *got, const json_t *expected) {
    if (may_differ(name, part)) {
        return;
    }
    char *g = got != NULL ? json_dumps(got, JSON_ENCODE_ANY) : strdup("nothing");
    char *e = expected != NULL ? json_dumps(expected, JSON_ENCODE_ANY) : strdup("nothing");
    buf_printf(&b->differences, "%s: %s\n  got      %.600s\n  recorded %.600s\n", name, part, g, e);
    free(g);
    free(e);
}

static void compare(struct bench *b, const char *name, const char *part, const json_t *got, const json_t *expected);

static void compare_objects(struct bench *b, const char *name, const char *part, const json_t *got,
                            const json_t *expected) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)expected, key, value) {
        char *child = str_printf("%s.%s", part, key);
        compare(b, name, child, json_object_get(got, key), value);
        mem_free(child);
    }
    json_object_foreach((json_t *)(uintptr_t)got, key, value) {
        if (json_object_get(expected, key) == NULL) {
            char *child = str_printf("%s.%s", part, key);
            differs(b, name, child, value, NULL);
            mem_free(child);
        }
    }
}

/* Lists of tasks, plans and modules come in the order of the real server's hash tables: compared as sets. */
static bool unordered(const char *name, const char *part) {
    return (glob_match("*tasks-list*", name) || glob_match("tasks-*", name) || glob_match("*plans-list*", name) ||
            glob_match("puppetdb-down-tasks", name) || glob_match("*environment-modules*", name)) &&
           (strcmp(part, "body") == 0 || glob_match("*modules", part));
}

static const json_t *same_name(const json_t *list, const json_t *item, size_t fallback) {
    const char *name = json_str(item, "name");
    for (size_t i = 0; name != NULL && i < json_array_size(list); i++) {
        const char *other = json_str(json_array_get(list, i), "name");
        if (other != NULL && strcmp(other, name) == 0) {
            return json_array_get(list, i);
        }
    }
    return name != NULL ? NULL : json_array_get(list, fallback);
}

static void compare_arrays(struct bench *b, const char *name, const char *part, const json_t *got,
                           const json_t *expected) {
    size_t n = json_array_size(expected);
    if (json_array_size(got) != n) {
        differs(b, name, part, got, expected);
        return;
    }
    bool set = unordered(name, part);
    for (size_t i = 0; i < n; i++) {
        json_t *item = json_array_get(expected, i);
        char *child = str_printf("%s.%zu", part, i);
        compare(b, name, child, set ? same_name(got, item, i) : json_array_get(got, i), item);
        mem_free(child);
    }
}

static void compare(struct bench *b, const char *name, const char *part, const json_t *got, const json_t *expected) {
    if (json_is_object(got) && json_is_object(expected)) {
        compare_objects(b, name, part, got, expected);
    } else if (json_is_array(got) && json_is_array(expected)) {
        compare_arrays(b, name, part, got, expected);
    } else if (got == NULL || !json_equal(got, expected)) {
        differs(b, name, part, got, expected);
    }
}

static json_t *body_value(const struct reply *reply, const json_t *response) {
    const json_t *recorded = json_object_get(response, "body");
    struct buf plain = BUF_INIT;
    buf_append_span(&plain, buf_span(&reply->body));
    const char *encoding = reply_header(reply, "content-encoding");
    if (encoding != NULL && strcmp(encoding, "gzip") == 0) {
        buf_clear(&plain);
        assert_true(gzip_inflate(&plain, buf_span(&reply->body), 16 * 1024 * 1024, NULL));
    }
    json_t *value = NULL;
    if (json_str(response, "body_encoding") != NULL) {
        struct buf text = BUF_INIT;
        base64_encode(&text, buf_span(&plain));
        value = json_str_new(buf_span(&text));
        buf_free(&text);
    } else if (json_is_string(recorded) || json_is_null(recorded)) {
        value = json_str_new(buf_span(&plain));
    } else {
        value = json_parse(buf_span(&plain), "body", NULL);
    }
    buf_free(&plain);
    return value;
}

static const char *const headers_that_matter[] = {"content-type", "content-encoding", "cache-control",
                                                  "x-puppet-version", "vary"};

static void compare_headers(struct bench *b, const char *name, const struct reply *reply, const json_t *response) {
    const json_t *recorded = json_object_get(response, "headers");
    for (size_t i = 0; i < sizeof headers_that_matter / sizeof headers_that_matter[0]; i++) {
        const char *key = headers_that_matter[i];
        const char *got = reply_header(reply, key), *expected = json_str(recorded, key);
        if (!str_eq(got, expected)) {
            char *part = str_printf("header.%s", key);
            json_t *g = got != NULL ? json_string(got) : NULL, *e = expected != NULL ? json_string(expected) : NULL;
            differs(b, name, part, g, e);
            json_decref(g);
            json_decref(e);
            mem_free(part);
        }
    }
    const char *length = json_str(recorded, "content-length");
    if (length != NULL && strcmp(length, reply_header(reply, "content-length")) != 0 &&
        !may_differ(name, "header.content-length")) {
        buf_printf(&b->differences, "%s: content-length %s in place of %s\n", name,
                   reply_header(reply, "content-length"), length);
    }
}

static void replay(struct bench *b, const char *name, const json_t *recording) {
    const json_t *request = json_object_get(recording, "request"), *response = json_object_get(recording, "response");
    const json_t *headers = json_object_get(request, "headers"), *body = json_object_get(request, "body");
    char *text = body == NULL || json_is_null(body) ? NULL
                 : json_is_string(body)             ? str_dup(json_string_value(body))
                                                    : json_text(body);
    configure(b, name);
    struct reply reply = rig_ask(&b->rig, &(struct ask){.method = json_str(request, "method"),
                                                        .path = json_str(request, "target"),
                                                        .cn = json_str(request, "tls_client_certname"),
                                                        .accept = json_str(headers, "Accept"),
                                                        .accept_encoding = json_str(headers, "Accept-Encoding"),
                                                        .content_type = json_str(headers, "Content-Type"),
                                                        .body = text});
    int status = (int)json_int(response, "status", 0);
    if (reply.status != status) {
        buf_printf(&b->differences, "%s: status %d in place of %d: %s %s\n", name, reply.status, status,
                   reply.body.ptr != NULL ? reply.body.ptr : "", reply.error_kind != NULL ? reply.error_kind : "");
    } else {
        json_t *value = body_value(&reply, response);
        compare_headers(b, name, &reply, response);
        compare(b, name, "body", value, json_object_get(response, "body"));
        json_decref(value);
        b->compared++;
    }
    reply_clear(&reply);
    mem_free(text);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **recordings(size_t *count) {
    DIR *dir = opendir(GOLDEN "puppetserver");
    char **names = NULL;
    size_t cap = 0;
    struct dirent *e;
    *count = 0;
    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL) {
        if (span_ends_with(span_of(e->d_name), ".json")) {
            names = mem_grow(names, &cap, *count + 1, sizeof *names);
            names[(*count)++] = span_dup((struct span){e->d_name, strlen(e->d_name) - 5});
        }
    }
    closedir(dir);
    assert_non_null(names);
    qsort(names, *count, sizeof *names, by_name);
    return names;
}

/* The recorded environment's config_version. */
static void say_version(void *ctx, struct sim_exec *x) {
    (void)ctx;
    buf_printf(&x->out, "%s-5f2c9e1\n", x->argv[1]);
}

static void the_recordings_replay(void **state) {
    (void)state;
    struct bench *b = mem_zalloc(sizeof *b);
    struct error err = ERROR_INIT;
    rig_open(&b->rig);
    b->code = read_json(GOLDEN "puppetserver-code.json");
    b->ps = fake_puppetserver_new(b->rig.server, &(struct fake_puppetserver_opts){.state = NULL}, &err);
    assert_non_null(b->ps);
    struct fake *fakes[] = {fake_puppetserver_base(b->ps)};
    rig_serve(&b->rig, fakes, 1);
    sim_program(b->rig.sim, b->rig.server, "/srv/puppet-stack/bin/config_version",
                &(struct sim_program){.run = say_version});
    json_t *pem = json_string("-----BEGIN X-----\n");
    write_file(b->rig.server, "/etc/ca.pem", pem);
    write_file(b->rig.server, "/etc/crl.pem", pem);
    json_decref(pem);
    size_t count, replayed = 0;
    char **names = recordings(&count);
    for (int phase = PHASE_FIRST; phase <= PHASE_FILES; phase++) {
        reach_phase(b, (enum phase)phase);
        for (size_t i = 0; i < count; i++) {
            char *path = str_printf(GOLDEN "puppetserver/%s.json", names[i]);
            json_t *recording = read_json(path);
            const char *target = json_str(json_object_get(recording, "request"), "target");
            if (!skipped(names[i]) && (int)phase_of(names[i], target) == phase) {
                replay(b, names[i], recording);
                replayed++;
            }
            json_decref(recording);
            mem_free(path);
        }
    }
    print_message("%zu of %zu recordings replayed, %zu compared\n", replayed, count, b->compared);
    bool equal = b->differences.len == 0;
    if (!equal) {
        fputs(b->differences.ptr, stderr); /* longer than cmocka prints */
    }
    buf_free(&b->differences);
    world_names_free(names, count);
    json_decref(b->code);
    rig_stop(&b->rig);
    fake_puppetserver_free(b->ps);
    rig_end(&b->rig);
    mem_free(b);
    assert_true(equal);
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        if (!allowed[i].used) {
            fail_msg("%s, %s: nothing differs there", allowed[i].name, allowed[i].part);
        }
    }
    assert_true(replayed >= 215);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_recordings_replay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
