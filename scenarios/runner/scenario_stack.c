/* The stack of a scenario: brokers, settings, what the fakes know, and what the Puppet Server serves. */
#include "base/mem.h"
#include "base/option.h"
#include "scenarios/runner/scenario_internal.h"
#include "scenarios/runner/settings.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void check_brokers(struct problems *p, const struct doc_node *node) {
    uint64_t count = 0;
    span_to_u64((struct span){node->text, node->len}, &count);
    if (count < 1 || count > SCENARIO_BROKERS_MAX) {
        problem(p, node, "a stack has 1 to %d brokers", SCENARIO_BROKERS_MAX);
    }
}

/* "tasks:run:echo" */
static void check_permission(struct problems *p, const struct doc_node *node) {
    const char *first = strchr(node->text, ':');
    if (first == NULL || strchr(first + 1, ':') == NULL) {
        problem(p, node, "a permission is type:action:instance, such as tasks:run:echo, not \"%s\"", node->text);
    }
}

static const struct shape shape_brokers = {.type = SHAPE_COUNT, .check = check_brokers};
static const struct shape shape_permission = {.type = SHAPE_TEXT, .check = check_permission};
static const struct shape shape_permissions = {.type = SHAPE_LIST, .of = &shape_permission};
static const struct shape_key user_keys[] = {
    {"login", &shape_text, true},
    {"password", &shape_text, false},
    {"permissions", &shape_permissions, false},
    {"roles", &shape_texts, false},
    {"superuser", &shape_bool, false},
    {"revoked", &shape_bool, false},
    {"display_name", &shape_text, false},
    {"email", &shape_text, false},
    {"id", &shape_text, false},
    {"token", &shape_text, false},
    {NULL, NULL, false},
};
static const struct shape shape_user = {.type = SHAPE_MAP, .keys = user_keys};
static const struct shape shape_users = {.type = SHAPE_LIST, .of = &shape_user};
static const struct shape_key rbac_keys[] = {
    {"users", &shape_users, false},   {"roles", &shape_any, false},
    {"groups", &shape_any, false},    {"tokens", &shape_any, false},
    {"allowlist", &shape_any, false}, {"settings", &shape_object, false},
    {"directory", &shape_any, false}, {NULL, NULL, false},
};
static const struct shape shape_rbac = {.type = SHAPE_MAP, .keys = rbac_keys};
static const struct shape_key service_keys[] = {
    {"rbac", &shape_rbac, false},           {"classifier", &shape_object, false}, {"puppetdb", &shape_object, false},
    {"puppetserver", &shape_object, false}, {"activity", &shape_object, false},   {NULL, NULL, false},
};
static const struct shape shape_services = {.type = SHAPE_MAP, .keys = service_keys};

static void check_task_name(struct problems *p, const struct doc_node *node);
static const struct shape shape_task = {.type = SHAPE_FREE};
static const struct shape shape_tasks = {.type = SHAPE_FREE, .of = &shape_task, .check = check_task_name};
static const struct shape shape_plans = {.type = SHAPE_FREE, .of = &shape_text, .check = check_task_name};
static void check_file_name(struct problems *p, const struct doc_node *node);
static const struct shape shape_files = {.type = SHAPE_FREE, .of = &shape_text, .check = check_file_name};

static const struct shape_key stack_keys[] = {
    {"brokers", &shape_brokers, false},
    {"broker", &shape_broker_settings, false},
    {"orchestrator", &shape_orchestrator_settings, false},
    {"services", &shape_services, false},
    {"modules", &shape_text, false},
    {"tasks", &shape_tasks, false},
    {"plans", &shape_plans, false},
    {"files", &shape_files, false},
    {NULL, NULL, false},
};
const struct shape shape_stack = {.type = SHAPE_MAP, .keys = stack_keys};

static void check_task_name(struct problems *p, const struct doc_node *node) {
    for (size_t i = 0; i < node->count; i++) {
        const char *name = node->keys[i]->text;
        size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_:");
        if (len != strlen(name) || len == 0 || name[0] == ':' || name[len - 1] == ':') {
            problem(p, node->keys[i], "\"%s\" is no name such as demo or demo::greet", name);
        }
    }
}

static void check_file_name(struct problems *p, const struct doc_node *node) {
    for (size_t i = 0; i < node->count; i++) {
        const char *name = node->keys[i]->text;
        if (name[0] == '/' || name[0] == '\0' || strstr(name, "..") != NULL) {
            problem(p, node->keys[i], "\"%s\" is no path below the modules directory", name);
        }
    }
}

/* ---- modules */

void module_files_add(struct scenario_stack *s, const char *path, struct span bytes, int mode) {
    s->files = mem_grow(s->files, &s->file_cap, s->file_count + 1, sizeof(*s->files));
    s->files[s->file_count++] =
        (struct module_file){.path = str_dup(path), .bytes = span_dup(bytes), .len = bytes.len, .mode = mode};
}

static bool add_file(struct scenario_stack *s, const char *from, const char *path, int mode, struct error *err) {
    FILE *f = fopen(from, "rb");
    if (f == NULL) {
        return error_set(err, "scenario", "%s: %s", from, strerror(errno));
    }
    struct buf bytes = BUF_INIT;
    char piece[16384];
    size_t got;
    while ((got = fread(piece, 1, sizeof(piece), f)) > 0 && bytes.len <= SCENARIO_FILE_MAX) {
        buf_append(&bytes, piece, got);
    }
    fclose(f);
    module_files_add(s, path, buf_span(&bytes), mode);
    buf_free(&bytes);
    return true;
}

static int visible(const struct dirent *e) {
    return e->d_name[0] != '.';
}

static bool add_directory(struct scenario_stack *s, const char *dir, const char *below, unsigned depth,
                          struct error *err) {
    enum { DIRECTORY_DEPTH_MAX = 16 };
    struct dirent **names = NULL;
    int count = depth < DIRECTORY_DEPTH_MAX ? scandir(dir, &names, visible, alphasort) : -1;
    if (count < 0) {
        return error_set(err, "scenario", "%s: %s", dir, depth < DIRECTORY_DEPTH_MAX ? strerror(errno) : "too deep");
    }
    bool ok = true;
    for (int i = 0; i < count; i++) {
        char *from = str_printf("%s/%s", dir, names[i]->d_name);
        char *path = str_printf("%s%s%s", below, below[0] != '\0' ? "/" : "", names[i]->d_name);
        struct stat st;
        if (ok && stat(from, &st) == 0) {
            ok = S_ISDIR(st.st_mode)   ? add_directory(s, from, path, depth + 1, err)
                 : S_ISREG(st.st_mode) ? add_file(s, from, path, (int)(st.st_mode & 0777), err)
                                       : true;
        }
        mem_free(from);
        mem_free(path);
        free(names[i]);
    }
    free(names);
    return ok;
}

bool module_files_read(struct scenario_stack *s, const char *dir, struct error *err) {
    return add_directory(s, dir, "", 0, err);
}

/* "demo::greet" -> "demo/KIND/greet", "demo" -> "demo/KIND/init" */
static char *module_path(const char *name, const char *kind) {
    const char *colons = strstr(name, "::");
    struct buf path = BUF_INIT;
    buf_append(&path, name, colons != NULL ? (size_t)(colons - name) : strlen(name));
    buf_printf(&path, "/%s/", kind);
    for (const char *c = colons != NULL ? colons + 2 : "init"; *c != '\0'; c++) {
        bool colon = c[0] == ':' && c[1] == ':';
        buf_append_char(&path, colon ? '/' : *c);
        c += colon ? 1 : 0;
    }
    return buf_take(&path);
}

static void add_tasks(struct scenario_stack *s, const struct doc_node *tasks) {
    for (size_t i = 0; tasks != NULL && i < tasks->count; i++) {
        char *base = module_path(tasks->keys[i]->text, "tasks");
        json_t *metadata = doc_json(tasks->items[i]);
        const char *script = json_str(metadata, "script"), *extension = json_str(metadata, "extension");
        char *file = str_printf("%s.%s", base, extension != NULL ? extension : "sh"),
             *about = str_printf("%s.json", base);
        module_files_add(s, file, span_of(script != NULL ? script : "#!/bin/sh\n"), 0755);
        json_object_del(metadata, "script");
        json_object_del(metadata, "extension");
        char *text = json_text(metadata);
        module_files_add(s, about, span_of(text), 0644);
        json_decref(metadata);
        mem_free(text);
        mem_free(about);
        mem_free(file);
        mem_free(base);
    }
}

static void add_texts(struct scenario_stack *s, const struct doc_node *texts, const char *kind) {
    for (size_t i = 0; texts != NULL && i < texts->count; i++) {
        char *base = kind != NULL ? module_path(texts->keys[i]->text, kind) : NULL;
        char *path = base != NULL ? str_printf("%s.pp", base) : str_dup(texts->keys[i]->text);
        module_files_add(s, path, (struct span){texts->items[i]->text, texts->items[i]->len}, 0644);
        mem_free(path);
        mem_free(base);
    }
}

static void add_modules(struct loading *l, const struct doc_node *node, struct scenario_stack *s) {
    if (node == NULL) {
        return;
    }
    if (l->from_memory) {
        problem(l->problems, node, "no directory can be read here");
        return;
    }
    struct error err = ERROR_INIT;
    char *dir = loading_path(l, node->text);
    if (!module_files_read(s, dir, &err)) {
        problem(l->problems, node, "%s", err.msg);
    }
    error_clear(&err);
    mem_free(dir);
}

/* ---- what the fakes know */

/* {"permissions": ["tasks:run:echo"]} becomes a role of the user's own; each user has a token. */
static void complete_user(json_t *user, json_t *roles, json_t *tokens) {
    const char *login = json_str(user, "login"), *given = json_str(user, "token");
    const json_t *permissions = json_object_get(user, "permissions"), *superuser = json_object_get(user, "superuser");
    char *token = given != NULL ? str_dup(given) : str_printf("token-of-%s", login);
    json_array_append_new(tokens, json_pack("{s:s, s:s}", "token", token, "login", login));
    mem_free(token);
    json_object_del(user, "token");
    if (superuser == NULL && permissions != NULL) {
        char *name = str_printf("permissions of %s", login);
        json_t *role = json_pack("{s:s, s:[]}", "display_name", name, "permissions");
        json_t *list = json_object_get(role, "permissions");
        for (size_t i = 0; i < (json_is_array(permissions) ? json_array_size(permissions) : 1); i++) {
            const json_t *item = json_is_array(permissions) ? json_array_get(permissions, i) : permissions;
            const char *text = json_string_value(item), *first = strchr(text, ':'), *second = strchr(first + 1, ':');
            json_array_append_new(list,
                                  json_pack("{s:s%, s:s%, s:s}", "object_type", text, (size_t)(first - text), "action",
                                            first + 1, (size_t)(second - first - 1), "instance", second + 1));
        }
        json_array_append_new(roles, role);
        json_t *own = json_object_get(user, "roles");
        if (json_is_string(own)) {
            json_object_set_new(user, "roles", json_pack("[O]", own));
        } else if (own == NULL) {
            json_object_set_new(user, "roles", json_array());
        }
        json_array_append_new(json_object_get(user, "roles"), json_string(name));
        mem_free(name);
    }
    json_object_del(user, "permissions");
}

static json_t *array_at(json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    if (json_is_array(value)) {
        return value;
    }
    json_t *list = value != NULL ? json_pack("[O]", value) : json_array();
    json_set(object, key, list);
    return list;
}

/* Passwords cost as little as they can: a scenario is no safe. */
enum { SCENARIO_SCRYPT_N = 16 };

static void complete_rbac(json_t *state) {
    json_t *rbac = json_object_get(state, "rbac");
    if (rbac == NULL) {
        rbac = json_object();
        json_set(state, "rbac", rbac);
    }
    json_t *users = array_at(rbac, "users"), *roles = array_at(rbac, "roles"), *tokens = array_at(rbac, "tokens");
    size_t i;
    json_t *user;
    json_array_foreach(users, i, user) {
        complete_user(user, roles, tokens);
    }
    json_t *settings = json_object_get(rbac, "settings");
    if (settings == NULL) {
        settings = json_object();
        json_set(rbac, "settings", settings);
    }
    if (json_object_get(settings, "scrypt_n") == NULL) {
        json_set(settings, "scrypt_n", json_integer(SCENARIO_SCRYPT_N));
    }
}

void stack_read(struct loading *l, const struct doc_node *node, struct scenario_stack *out) {
    const struct doc_node *brokers = doc_get(node, "brokers"), *broker = doc_get(node, "broker"),
                          *orchestrator = doc_get(node, "orchestrator"), *services = doc_get(node, "services");
    uint64_t count = 1;
    if (brokers != NULL) {
        span_to_u64((struct span){brokers->text, brokers->len}, &count);
    }
    out->brokers = (size_t)count;
    out->broker = broker != NULL ? doc_json(broker) : NULL;
    out->orchestrator = orchestrator != NULL ? doc_json(orchestrator) : NULL;
    out->state = services != NULL ? doc_json(services) : json_object();
    complete_rbac(out->state);
    add_modules(l, doc_get(node, "modules"), out);
    add_tasks(out, doc_get(node, "tasks"));
    add_texts(out, doc_get(node, "plans"), "plans");
    add_texts(out, doc_get(node, "files"), NULL);
}

void stack_clear(struct scenario_stack *s) {
    json_decref(s->broker);
    json_decref(s->orchestrator);
    json_decref(s->state);
    for (size_t i = 0; i < s->file_count; i++) {
        mem_free(s->files[i].path);
        mem_free(s->files[i].bytes);
    }
    mem_free(s->files);
}
