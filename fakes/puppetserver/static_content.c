/* GET /puppet/v3/static_file_content/DIR/MODULE/MOUNT/REST (puppetserver.md §11). The versions of code are the code ids
 * of the configuration; the content is what is on disk. */
#include "base/mem.h"
#include "fakes/puppetserver/files.h"
#include <ctype.h>
#include <string.h>

static const char plain[] = "text/plain";
static const char plain_utf8[] = "text/plain;charset=utf-8";

static bool code_id_legal(const char *code_id) {
    for (; *code_id != '\0'; code_id++) {
        if (!isalnum((unsigned char)*code_id) && strchr("_-:;", *code_id) == NULL) {
            return false;
        }
    }
    return true;
}

/* DIR/MODULE/MOUNT/REST in its parts, C strings to be freed; false when the path has another form. */
struct parts {
    char *dir, *module, *mount, *rest;
};

static void parts_free(struct parts *p) {
    mem_free(p->dir);
    mem_free(p->module);
    mem_free(p->mount);
    mem_free(p->rest);
}

static bool split(const char *path, struct parts *p) {
    static const char *const mounts[] = {"files", "lib", "scripts", "tasks"};
    struct span rest = span_of(path);
    struct span dir = {0}, module = {0}, mount = {0};
    bool good = span_split(&rest, '/', &dir) && span_split(&rest, '/', &module) && span_split(&rest, '/', &mount);
    *p = (struct parts){span_dup(dir), span_dup(module), span_dup(mount), span_dup(rest)};
    bool known = false;
    for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++) {
        known = known || span_eq_cstr(mount, mounts[i]);
    }
    if (good && known && ps_path_confined(p->rest)) {
        return true;
    }
    parts_free(p);
    return false;
}

static void command_failed(struct ps_request *r, int exit_code, const char *message) {
    ps_plain(r, 500, plain_utf8,
             "Internal Server Error: java.lang.IllegalStateException: Non-zero exit code returned while running '%s'. "
             "exit-code: '%d', stdout: '', stderr: '%s\n'",
             json_str(r->ps->config, "code_content_command"), exit_code, message);
}

static void send_version(struct ps_request *r, const struct ps_environment *env, const struct parts *p,
                         const char *code_id) {
    struct world *w = r->ps->base.world;
    if (strcmp(env->code_id, code_id) != 0) {
        char *message = str_printf("no such code id %s", code_id);
        command_failed(r, 4, message);
        mem_free(message);
        return;
    }
    char *module_dir = ps_module_dir(w, env, p->module);
    char *path = module_dir != NULL ? str_printf("%s/%s/%s", module_dir, p->mount, p->rest)
                                    : str_printf("%s/%s/%s/%s/%s", env->dir != NULL ? env->dir : "", p->dir, p->module,
                                                 p->mount, p->rest);
    if (ps_is_code(w, env, path)) {
        ps_send_file(r, path);
    } else {
        char *message = str_printf("cat: %s: No such file or directory", path);
        command_failed(r, 1, message);
        mem_free(message);
    }
    mem_free(path);
    mem_free(module_dir);
}

static void answer(struct ps_request *r, const struct ps_environment *env, const struct parts *p, const char *code_id) {
    if (env->code_id == NULL) {
        ps_plain(r, 500, plain_utf8,
                 "Internal Server Error: java.lang.IllegalStateException: Cannot retrieve code content because the "
                 "\"versioned-code.code-content-command\" setting is not present in configuration.");
    } else {
        send_version(r, env, p, code_id);
    }
}

void ps_static_file_content(struct ps_request *r) {
    const char *name = http_query(r->ex, "environment"), *code_id = http_query(r->ex, "code_id");
    struct ps_environment env;
    struct parts p;
    if (name == NULL || *name == '\0' || code_id == NULL || *code_id == '\0' || r->params[0][0] == '\0') {
        ps_plain(r, 400, plain,
                 "Error: A /static_file_content request requires an environment, a code-id, and a file-path");
        return;
    }
    if (!ps_environment_name_legal(name)) {
        ps_plain(r, 400, plain, "The environment must be purely alphanumeric, not '%s'", name);
        return;
    }
    if (!code_id_legal(code_id)) {
        ps_plain(r, 400, plain, "Invalid code-id '%s'. Must contain only alpha-numerics and '-', '_', ';', or ':'",
                 code_id);
        return;
    }
    if (!split(r->params[0], &p)) {
        ps_plain(r, 403, plain,
                 "Request Denied: A /static_file_content request must be a file within the files, lib, scripts, or "
                 "tasks directory of a module.");
        return;
    }
    if (ps_environment_open(r->ps, name, &env)) {
        answer(r, &env, &p, code_id);
        ps_environment_close(&env);
    } else {
        char *message = str_printf("no such environment %s", name);
        command_failed(r, 3, message);
        mem_free(message);
    }
    parts_free(&p);
}
