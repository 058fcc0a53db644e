/* What stands in an application: components with their exports and what they wait for. */
#include "base/mem.h"
#include "fakes/puppetserver/app_build.h"
#include <string.h>

enum { TYPE_FILE_MAX = 1024 * 1024 };

/* Types of Puppet itself that are worth naming in an application. */
static const char *const native_types[] = {"notify", "file",       "exec",   "package",  "service",
                                           "user",   "group",      "cron",   "host",     "mount",
                                           "tidy",   "filebucket", "augeas", "schedule", "ssh_authorized_key",
                                           "sshkey", "yumrepo",    "stage"};

void component_free(struct component *c) {
    mem_free(c->name);
    mem_free(c->type);
    mem_free(c->title);
    mem_free(c->node);
    json_decref(c->produces);
    json_decref(c->consumes);
    json_decref(c->relations);
    mem_free(c);
}

bool type_file(struct build *b, const char *name, struct buf *text) {
    size_t count;
    char **modules = ps_module_names(b->m->w, b->m->env, &count);
    bool found = false;
    for (size_t i = 0; i < count && !found; i++) {
        char *dir = ps_module_dir(b->m->w, b->m->env, modules[i]);
        char *path = str_printf("%s/lib/puppet/type/%s.rb", dir, name);
        found = world_file_read(b->m->w, path, TYPE_FILE_MAX, text, NULL);
        mem_free(path);
        mem_free(dir);
    }
    world_names_free(modules, count);
    return found;
}

/* ":is_capability => true" or "is_capability: true", with any blanks. */
static bool says_capability(struct span text) {
    ptrdiff_t at = span_find_span(text, SPAN("is_capability"));
    if (at < 0) {
        return false;
    }
    struct span rest = span_trim(span_sub(text, (size_t)at + strlen("is_capability"), 40));
    if (span_starts_with(rest, "=>")) {
        rest = span_trim(span_sub(rest, 2, rest.len));
    } else if (span_starts_with(rest, ":")) {
        rest = span_trim(span_sub(rest, 1, rest.len));
    } else {
        return false;
    }
    return span_starts_with(rest, "true");
}

bool is_capability(struct build *b, const char *type) {
    for (size_t i = 0; i < json_array_size(b->opts->capability_types); i++) {
        if (strcmp(json_string_value(json_array_get(b->opts->capability_types, i)), type) == 0) {
            return true;
        }
    }
    char *lower = app_lower(type);
    struct buf text = BUF_INIT;
    bool found = strchr(lower, ':') == NULL && type_file(b, lower, &text) && says_capability(buf_span(&text));
    buf_free(&text);
    mem_free(lower);
    return found;
}

bool type_known(struct build *b, const char *lower_name) {
    const struct manifest *in;
    for (size_t i = 0; i < sizeof native_types / sizeof native_types[0]; i++) {
        if (strcmp(native_types[i], lower_name) == 0) {
            return true;
        }
    }
    if (manifests_find(b->m, PL_DEFINE, lower_name, &in) != NULL ||
        manifests_find(b->m, PL_CLASS, lower_name, &in) != NULL) {
        return true;
    }
    struct buf text = BUF_INIT;
    bool found = strchr(lower_name, ':') == NULL && type_file(b, lower_name, &text);
    buf_free(&text);
    return found;
}

/* Collects references of a relationship parameter. */
struct collecting {
    struct build *b;
    struct component *c;
    const char *parameter;
    bool good;
};

static void add_export(void *ctx, const json_t *item) {
    struct collecting *x = ctx;
    struct component *c = x->c;
    char *name = app_reference_text(item);
    if (!x->good) {
        mem_free(name);
        return;
    }
    if (name == NULL || !is_capability(x->b, json_str(item, "ref"))) {
        char *text = app_text(item);
        x->good =
            build_fail(x->b, c->in, c->body, "Invalid export in %s: %s is not a capability resource", c->name, text);
        mem_free(text);
    } else {
        const struct component *other = map_get_cstr(&x->b->exported, name);
        if (other != NULL) {
            x->good =
                build_fail(x->b, c->in, c->body, "'%s' is exported by both '%s' and '%s'", name, other->name, c->name);
        } else {
            map_put(&x->b->exported, span_of(name), c);
            json_array_append_new(c->produces, json_string(name));
        }
    }
    mem_free(name);
}

static bool listed(const json_t *names, const char *name) {
    for (size_t i = 0; i < json_array_size(names); i++) {
        if (strcmp(json_string_value(json_array_get(names, i)), name) == 0) {
            return true;
        }
    }
    return false;
}

static void add_consumed(void *ctx, const json_t *item) {
    struct collecting *x = ctx;
    struct component *c = x->c;
    char *name = app_reference_text(item);
    bool capability = name != NULL && is_capability(x->b, json_str(item, "ref"));
    if (x->good && !capability && strcmp(x->parameter, "consume") == 0) {
        char *text = app_text(item);
        x->good =
            build_fail(x->b, c->in, c->body, "Invalid consume in %s: %s is not a capability resource", c->name, text);
        mem_free(text);
    } else if (x->good && capability && !listed(c->consumes, name)) {
        json_array_append_new(c->consumes, json_string(name));
        json_array_append_new(c->relations, json_string(x->parameter));
    }
    mem_free(name);
}

static const struct pl_node *attribute(const struct pl_node *body, const char *name) {
    for (size_t i = 1; i < body->count; i++) {
        if (strcmp(body->children[i]->text, name) == 0) {
            return body->children[i]->children[0];
        }
    }
    return NULL;
}

static bool relations(struct build *b, struct component *c, const json_t *scope) {
    static const char *const incoming[] = {"require", "subscribe", "consume"};
    struct collecting x = {b, c, "export", true};
    const struct pl_node *value = attribute(c->body, "export");
    if (value != NULL) {
        json_t *exported = app_evaluate(c->in->tree, value, scope);
        app_each(exported, add_export, &x);
        json_decref(exported);
    }
    for (size_t i = 0; i < sizeof incoming / sizeof incoming[0] && x.good; i++) {
        value = attribute(c->body, incoming[i]);
        if (value != NULL) {
            json_t *consumed = app_evaluate(c->in->tree, value, scope);
            x.parameter = incoming[i];
            app_each(consumed, add_consumed, &x);
            json_decref(consumed);
        }
    }
    return x.good;
}

static bool add_component(struct build *b, struct instance *instance, const struct manifest *in,
                          const struct pl_node *body, const char *type, const char *title, const json_t *scope) {
    struct component *c = mem_zalloc(sizeof *c);
    char *capital = app_capitalized(type);
    bool is_class = strcmp(type, "class") == 0;
    char *class_name = is_class ? app_capitalized(title) : NULL;
    c->name = str_printf("%s[%s]", capital, is_class ? class_name : title);
    c->in = in;
    c->body = body;
    c->type = str_dup(type);
    c->title = str_dup(title);
    c->instance = instance;
    c->produces = json_array();
    c->consumes = json_array();
    c->relations = json_array();
    mem_free(class_name);
    mem_free(capital);
    const struct component *earlier = map_get_cstr(&instance->by_name, c->name);
    if (earlier != NULL) {
        char *place = manifest_place(earlier->in, earlier->body);
        build_fail(
            b, in, body,
            "Evaluation Error: Error while evaluating a Resource Statement, Duplicate declaration: %s is already "
            "declared at%s; cannot redeclare",
            c->name, place);
        mem_free(place);
        component_free(c);
        return false;
    }
    list_push_back(&instance->components, &c->link);
    map_put(&instance->by_name, span_of(c->name), c);
    return relations(b, c, scope);
}

static bool component_resource(struct build *b, struct instance *instance, const struct manifest *in,
                               const struct pl_node *resource, const json_t *scope) {
    const struct pl_node *type = resource->children[0];
    bool is_class = type->kind == PL_NAME && strcmp(type->text, "class") == 0;
    if (is_class && !b->opts->class_components) {
        return true; /* a class gets no edge to the application: it is no component */
    }
    if (type->kind == PL_NAME && !build_loads(b, type->text)) {
        return false;
    }
    if (type->kind != PL_NAME || (!is_class && !type_known(b, type->text))) {
        struct span source = pl_source(in->tree, type);
        return build_fail(
            b, in, resource,
            "Evaluation Error: Error while evaluating a Resource Statement, Unknown resource type: '%.*s'",
            (int)source.len, source.ptr);
    }
    bool good = true;
    for (size_t i = 1; i < resource->count && good; i++) {
        const struct pl_node *body = resource->children[i];
        json_t *titles = app_evaluate(in->tree, body->children[0], scope);
        size_t count = json_is_array(titles) ? json_array_size(titles) : 1;
        for (size_t k = 0; k < count && good; k++) {
            char *title = app_text(json_is_array(titles) ? json_array_get(titles, k) : titles);
            good = add_component(b, instance, in, body, type->text, title, scope);
            mem_free(title);
        }
        json_decref(titles);
    }
    return good;
}

static bool statement(struct build *b, struct instance *instance, const struct manifest *in, const struct pl_node *n,
                      json_t *scope) {
    if (n->kind == PL_RESOURCE) {
        return component_resource(b, instance, in, n, scope);
    }
    if (n->kind == PL_MAPPING || n->kind == PL_CALL) {
        return true; /* mappings matter to catalogs of nodes, calls such as include or notice to nobody here */
    }
    if (n->kind == PL_ASSIGN && n->op == PL_P_ASSIGN && n->children[0]->kind == PL_VARIABLE) {
        json_set(scope, n->children[0]->text, app_evaluate(in->tree, n->children[1], scope));
        return true;
    }
    struct span source = pl_source(in->tree, n);
    return build_fail(b, in, n, "This statement cannot be evaluated inside an application: %.*s",
                      (int)(source.len < 60 ? source.len : 60), source.ptr);
}

bool build_components(struct build *b, struct instance *instance, const struct manifest *app_in,
                      const struct pl_node *application, json_t *scope) {
    const struct pl_node *block = pl_child(application, 1);
    for (size_t i = 0; i < block->count; i++) {
        if (!statement(b, instance, app_in, block->children[i], scope)) {
            return false;
        }
    }
    return true;
}
