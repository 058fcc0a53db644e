#include "code.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void on_command(void *ctx, const char *command, int version, const char *certname, const json_t *payload) {
    struct code_bench *b = ctx;
    json_array_append_new(b->commands, json_pack("{s:s, s:i, s:s, s:O}", "command", command, "version", version,
                                                 "certname", certname, "payload", payload));
}

static json_t *on_query(void *ctx, const json_t *ast, struct error *err) {
    struct code_bench *b = ctx;
    json_array_append_new(b->queries, json_deep_copy(ast));
    if (b->rows == NULL) {
        error_set(err, "world/refused", "PuppetDB is away");
        return NULL;
    }
    return json_deep_copy(b->rows);
}

void code_open(struct code_bench *b, const char *state) {
    struct error err = ERROR_INIT;
    json_t *initial = quoted("{'codedir': '/code', 'auth': {'orchestrator': 'orch'}}");
    if (state != NULL) {
        json_t *more = quoted(state);
        json_object_update(initial, more);
        json_decref(more);
    }
    rig_open(&b->rig);
    b->commands = json_array();
    b->rows = json_array();
    b->queries = json_array();
    struct fake_puppetserver_opts opts = {
        .state = initial, .submit = on_command, .submit_ctx = b, .query = on_query, .query_ctx = b};
    b->ps = fake_puppetserver_new(b->rig.server, &opts, &err);
    if (b->ps == NULL) {
        fail_msg("%s", err.msg);
    }
    json_decref(initial);
    struct fake *fakes[] = {fake_puppetserver_base(b->ps)};
    rig_serve(&b->rig, fakes, 1);
    assert_true(world_file_mkdir(b->rig.server, "/code/environments/production", 0755, true, NULL));
}

void code_close(struct code_bench *b) {
    rig_stop(&b->rig);
    code_free(b);
}

void code_free(struct code_bench *b) {
    fake_puppetserver_free(b->ps);
    json_decref(b->commands);
    json_decref(b->rows);
    json_decref(b->queries);
    rig_end(&b->rig);
}

void code_file(struct code_bench *b, const char *path, const char *text) {
    char *full = str_printf(ENVIRONMENTS "%s", path);
    char *dir = str_dup(full);
    *strrchr(dir, '/') = '\0';
    assert_true(world_file_mkdir(b->rig.server, dir, 0755, true, NULL));
    assert_true(world_file_write(b->rig.server, full, span_of(text), 0644, WORLD_WRITE_PLAIN, NULL));
    mem_free(dir);
    mem_free(full);
}

json_t *code_get(struct code_bench *b, const char *path, int status) {
    return rig_json(&b->rig, &(struct ask){.path = path, .cn = "orch"}, status);
}

char *code_text(struct code_bench *b, const char *path, int status) {
    struct reply reply = rig_ask(&b->rig, &(struct ask){.path = path, .cn = "orch"});
    assert_int_equal(reply.status, status);
    char *text = str_dup(reply.body.ptr != NULL ? reply.body.ptr : "");
    reply_clear(&reply);
    return text;
}
