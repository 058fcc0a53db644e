/* GET /puppet/v3/environment_classes (puppetserver.md §13): the classes of all manifests with their parameters. */
#include "base/digest.h"
#include "base/mem.h"
#include "fakes/puppetserver/manifests.h"
#include <stdlib.h>
#include <string.h>

/* A default that is a plain value, as JSON; NULL: an expression. */
static json_t *literal(const struct pl_node *n) {
    json_t *all;
    switch (n->kind) {
    case PL_STRING:
    case PL_NAME:
        return json_str_new((struct span){n->text, n->text_len});
    case PL_INTEGER:
        return json_integer((json_int_t)n->integer);
    case PL_FLOAT:
        return json_real(n->real);
    case PL_BOOLEAN:
        return json_boolean(n->integer != 0);
    case PL_LIST:
        all = json_array();
        break;
    case PL_MAP:
        all = json_object();
        break;
    default:
        return NULL;
    }
    for (size_t i = 0; i < n->count; i++) {
        const struct pl_node *item = n->children[i];
        const struct pl_node *key = item->kind == PL_PAIR ? item->children[0] : NULL;
        json_t *value = literal(key != NULL ? item->children[1] : item);
        bool good =
            value != NULL &&
            (n->kind == PL_LIST ? key == NULL : key != NULL && (key->kind == PL_STRING || key->kind == PL_NAME));
        if (!good) {
            json_decref(value);
            json_decref(all);
            return NULL;
        }
        if (n->kind == PL_LIST) {
            json_array_append_new(all, value);
        } else {
            json_set(all, key->text, value);
        }
    }
    return all;
}

static json_t *source_text(const struct manifest *m, const struct pl_node *n) {
    json_t *text = json_str_new(pl_source(m->tree, n));
    return text != NULL ? text : json_string("");
}

static json_t *param_json(const struct manifest *m, const struct pl_node *param) {
    const struct pl_node *type = pl_child(param, 0), *value = pl_child(param, 1);
    json_t *o = json_pack("{s:s}", "name", param->text);
    if (type != NULL) {
        json_set(o, "type", source_text(m, type));
    }
    if (value != NULL) {
        json_set(o, "default_source", source_text(m, value));
        json_t *plain = literal(value);
        if (plain != NULL) {
            json_set(o, "default_literal", plain);
        }
    }
    return o;
}

/* Classes may stand in classes. */
static void collect(const struct manifest *m, const struct pl_node *block, const char *outer, json_t *to) {
    for (size_t i = 0; i < block->count; i++) {
        const struct pl_node *n = block->children[i];
        if (n->kind != PL_CLASS) {
            continue;
        }
        const char *own = strncmp(n->text, "::", 2) == 0 ? n->text + 2 : n->text;
        char *name = outer != NULL ? str_printf("%s::%s", outer, own) : str_dup(own);
        json_t *params = json_array();
        const struct pl_node *list = pl_child(n, 0);
        for (size_t k = 0; k < list->count; k++) {
            json_array_append_new(params, param_json(m, list->children[k]));
        }
        json_array_append_new(to, json_pack("{s:s, s:o}", "name", name, "params", params));
        collect(m, pl_child(n, 1), name, to);
        mem_free(name);
    }
}

static json_t *file_json(const struct manifest *m) {
    if (m->tree == NULL) {
        return json_pack("{s:s, s:s}", "path", m->path, "error", m->err.msg);
    }
    json_t *classes = json_array();
    collect(m, pl_tree_root(m->tree), NULL, classes);
    return json_pack("{s:o, s:s}", "classes", classes, "path", m->path);
}

static int by_path(const void *a, const void *b) {
    return strcmp((*(const struct manifest *const *)a)->path, (*(const struct manifest *const *)b)->path);
}

static json_t *all_classes(struct fake_puppetserver *ps, const struct ps_environment *env) {
    struct manifests m;
    manifests_init(&m, ps->base.world, env, PL_DIALECT_MANIFEST);
    manifests_read_main(&m);
    manifests_read_modules(&m);
    const struct manifest **sorted = mem_array(m.all.count + 1, sizeof(struct manifest *));
    size_t n = 0;
    LIST_EACH (k, &m.all) {
        sorted[n++] = LIST_ITEM(k, struct manifest, link);
    }
    qsort(sorted, n, sizeof *sorted, by_path);
    json_t *files = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *file = file_json(sorted[i]);
        if (file != NULL) {
            json_array_append_new(files, file);
        }
    }
    mem_free(sorted);
    manifests_free(&m);
    return json_pack("{s:o, s:s}", "files", files, "name", env->name);
}

/* Whether the client has this version: its tag, perhaps marked as that of a compressed answer. */
static bool client_has(const struct ps_request *r, const char *tag) {
    struct span given = span_of(http_header(r->ex, "if-none-match"));
    if (span_ends_with(given, "--gzip")) {
        given.len -= strlen("--gzip");
    }
    return span_eq_cstr(given, tag);
}

/* With the class cache switched on, answers carry a tag of what they say. */
static void answer_cached(struct ps_request *r, json_t *classes) {
    char *text = json_text(classes);
    char tag[SHA256_HEX_LEN + 1];
    sha256_hex(span_of(text), tag);
    http_set_header(r->ex, "Etag", tag);
    if (client_has(r, tag)) {
        json_decref(classes);
        ps_text(r, 304, "%s", "");
    } else {
        ps_json(r, 200, classes);
    }
    mem_free(text);
}

void ps_environment_classes(struct ps_request *r) {
    struct ps_environment env;
    if (ps_environment_of(r, &env)) {
        json_t *classes = all_classes(r->ps, &env);
        if (json_bool(r->ps->config, "environment_class_cache", false)) {
            answer_cached(r, classes);
        } else {
            ps_json(r, 200, classes);
        }
        ps_environment_close(&env);
    }
}

json_t *fake_puppetserver_classes(struct fake_puppetserver *ps, const char *environment, struct error *err) {
    struct ps_environment env;
    if (!ps_environment_open(ps, environment, &env)) {
        error_set(err, "unexpected-response", "Could not find environment '%s'", environment);
        return NULL;
    }
    json_t *answer = all_classes(ps, &env);
    ps_environment_close(&env);
    return answer;
}
