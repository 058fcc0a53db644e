/* POST /_fake/deploy: new code in an environment, as Code Manager would put it there; GET /_fake/reports. */
#include "base/digest.h"
#include "base/mem.h"
#include "fakes/puppetserver/control.h"
#include <string.h>

static bool copy_tree(struct world *w, const char *from, const char *to, int depth, size_t *left, struct error *err);

static bool copy_file(struct world *w, const char *from, const char *to, int mode, struct error *err) {
    struct buf bytes = BUF_INIT;
    bool good = world_file_read(w, from, PS_FILE_MAX, &bytes, err) &&
                world_file_write(w, to, buf_span(&bytes), mode, WORLD_WRITE_PLAIN, err);
    buf_free(&bytes);
    return good;
}

static bool copy_entry(struct world *w, const char *from, const char *to, int depth, size_t *left, struct error *err) {
    struct world_stat st;
    if (!world_file_stat(w, from, &st, err)) {
        return false;
    }
    if ((*left)-- == 0) {
        return error_set(err, "too-many-files", "more than %d files to deploy", PS_FILES_MAX);
    }
    return st.is_dir ? copy_tree(w, from, to, depth + 1, left, err) : copy_file(w, from, to, st.mode, err);
}

static bool copy_tree(struct world *w, const char *from, const char *to, int depth, size_t *left, struct error *err) {
    char **names = NULL;
    size_t n = 0;
    if (depth > PS_DEPTH_MAX) {
        return error_set(err, "too-deep", "%s is nested too deep", from);
    }
    if (!world_file_list(w, from, &names, &n, err)) {
        return false;
    }
    bool good = world_file_mkdir(w, to, 0755, true, err);
    for (size_t i = 0; i < n && good; i++) {
        char *source = ps_join(from, names[i]);
        char *target = ps_join(to, names[i]);
        good = copy_entry(w, source, target, depth, left, err);
        mem_free(source);
        mem_free(target);
    }
    world_names_free(names, n);
    return good;
}

/* Only environments below codedir are replaced: the name is legal, so it is one path segment. */
static bool deploy(struct fake_puppetserver *ps, const char *environment, const char *from, struct error *err) {
    struct world *w = ps->base.world;
    char *target = str_printf("%s/environments/%s", json_str(ps->config, "codedir"), environment);
    size_t left = PS_FILES_MAX;
    struct error gone = ERROR_INIT;
    bool good = ps_is_dir(w, from) || error_set(err, "not-found", "%s is not a directory", from);
    if (good && !world_file_remove(w, target, true, &gone) && !error_is(&gone, "world/not-found")) {
        error_move(err, &gone);
        good = false;
    }
    good = good && copy_tree(w, from, target, 0, &left, err);
    error_clear(&gone);
    mem_free(target);
    return good;
}

static char *new_code_id(struct fake_puppetserver *ps, const char *environment) {
    uint8_t random[20];
    struct buf b = BUF_INIT;
    world_random(ps->base.world, random, sizeof random);
    buf_append_cstr(&b, "urn:puppet:code-id:1:");
    hex_encode(&b, span_bytes(random, sizeof random));
    buf_printf(&b, ";%s", environment);
    return buf_take(&b);
}

static void fail(struct http_exchange *ex, int status, const char *kind, json_t *details, const char *msg) {
    fake_respond_error(ex, status, kind, details, "%s", msg);
}

static const struct body_field deploy_fields[] = {
    {"environment", BODY_STRING, true},
    {"from", BODY_STRING, true},
    {NULL, BODY_ANY, false},
};

static void deploy_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_puppetserver *ps = ps_of(f);
    json_t *body = body_read(ex, deploy_fields, fail);
    if (body == NULL) {
        return;
    }
    const char *environment = json_str(body, "environment");
    struct error err = ERROR_INIT;
    if (!ps_environment_name_legal(environment)) {
        fail(ex, 400, "schema-violation", NULL, "The environment must be purely alphanumeric.");
    } else if (!deploy(ps, environment, json_str(body, "from"), &err)) {
        fail(ex, 500, err.kind, NULL, err.msg);
    } else {
        char *code_id = new_code_id(ps, environment);
        json_t *ids = json_object_get(ps->config, "static");
        if (ids == NULL) {
            ids = json_object();
            json_set(ps->config, "static", ids);
        }
        json_set(ids, environment, json_string(code_id));
        http_respond_json(ex, 200, json_pack("{s:s, s:s}", "environment", environment, "code_id", code_id));
        mem_free(code_id);
    }
    error_clear(&err);
    json_decref(body);
}

static void reports_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    http_respond_json(ex, 200, json_pack("{s:O}", "reports", ps_of(f)->reports));
}

const struct fake_route ps_control_routes[] = {
    {"POST", "/_fake/deploy", deploy_post, NULL},
    {"GET", "/_fake/reports", reports_get, NULL},
    {NULL, NULL, NULL, NULL},
};
