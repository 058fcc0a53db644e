/* Site blocks and application instances. */
#include "fakes/puppetserver/app_graph.h"
#include "base/mem.h"
#include "fakes/puppetserver/app_build.h"
#include <string.h>

__attribute__((format(printf, 5, 0))) static bool fail_with(struct build *b, const struct manifest *in,
                                                            const struct pl_node *node, bool with_environment,
                                                            const char *format, va_list args) {
    struct buf text = BUF_INIT;
    buf_vprintf(&text, format, args);
    char *place = manifest_place(in, node);
    error_set(b->err, "compile", "%s%s%s%s", text.ptr, place, with_environment ? " in environment " : "",
              with_environment ? b->opts->environment : "");
    mem_free(place);
    buf_free(&text);
    return false;
}

bool build_fail(struct build *b, const struct manifest *in, const struct pl_node *node, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fail_with(b, in, node, true, format, args);
    va_end(args);
    return false;
}

bool build_fail_mapping(struct build *b, const struct manifest *in, const struct pl_node *node, const char *format,
                        ...) {
    va_list args;
    va_start(args, format);
    fail_with(b, in, node, false, format, args);
    va_end(args);
    return false;
}

bool build_loads(struct build *b, const char *name) {
    const struct manifest *one = manifests_autoload(b->m, name);
    return one == NULL || one->tree != NULL ||
           error_set(b->err, "compile", "%s in environment %s", one->err.msg, b->opts->environment);
}

static void instance_free(struct instance *i) {
    for (struct list_link *k; (k = list_pop_front(&i->components)) != NULL;) {
        component_free(LIST_ITEM(k, struct component, link));
    }
    map_free(&i->by_name);
    json_decref(i->nodes);
    json_decref(i->scope);
    mem_free(i->type);
    mem_free(i->title);
    mem_free(i->name);
    mem_free(i);
}

void build_clear(struct build *b) {
    for (struct list_link *k; (k = list_pop_front(&b->instances)) != NULL;) {
        instance_free(LIST_ITEM(k, struct instance, link));
    }
    map_free(&b->instance_by_name);
    map_free(&b->exported);
}

json_t *build_attributes(const struct manifest *in, const struct pl_node *body, const json_t *scope) {
    json_t *all = json_object();
    for (size_t i = 1; i < body->count; i++) {
        const struct pl_node *attribute = body->children[i];
        json_t *value = app_evaluate(in->tree, attribute->children[0], scope);
        if (strcmp(attribute->text, "*") != 0) {
            json_set(all, attribute->text, value);
            continue;
        }
        size_t k;
        json_t *pair;
        json_array_foreach(json_object_get(value, "pairs"), k, pair) {
            char *key = app_text(json_array_get(pair, 0));
            json_object_set(all, key, json_array_get(pair, 1));
            mem_free(key);
        }
        json_decref(value);
    }
    return all;
}

/* The application's parameters from what was given and its defaults; false after an error. */
static bool bind_params(struct build *b, struct instance *instance, const struct manifest *app_in,
                        const struct pl_node *application, const json_t *given, json_t *scope) {
    const struct pl_node *params = pl_child(application, 0);
    const char *key;
    json_t *value;
    for (size_t i = 0; i < params->count; i++) {
        const struct pl_node *param = params->children[i], *value_node = pl_child(param, 1);
        json_t *own = json_object_get(given, param->text);
        if (own != NULL) {
            json_object_set(scope, param->text, own);
        } else if (value_node != NULL) {
            json_set(scope, param->text, app_evaluate(app_in->tree, value_node, scope));
        } else {
            error_set(b->err, "compile", "%s: expects a value for parameter '%s' in environment %s", instance->name,
                      param->text, b->opts->environment);
            return false;
        }
    }
    json_object_foreach((json_t *)(uintptr_t)given, key, value) {
        if (json_object_get(scope, key) == NULL && strcmp(key, "nodes") != 0) {
            error_set(b->err, "compile", "%s: has no parameter named '%s' in environment %s", instance->name, key,
                      b->opts->environment);
            return false;
        }
    }
    return true;
}

static bool add_instance(struct build *b, const struct manifest *in, const struct pl_node *body, const char *type,
                         const char *title, const struct manifest *app_in, const struct pl_node *application) {
    struct instance *instance = mem_zalloc(sizeof *instance);
    char *capital = app_capitalized(type);
    instance->name = str_printf("%s[%s]", capital, title);
    instance->type = str_dup(type);
    instance->title = str_dup(title);
    instance->scope = json_pack("{s:s, s:s}", "name", title, "title", title);
    instance->in = in;
    instance->body = body;
    list_init(&instance->components);
    map_init(&instance->by_name);
    mem_free(capital);
    const struct instance *earlier = map_get_cstr(&b->instance_by_name, instance->name);
    if (earlier != NULL) {
        char *place = manifest_place(earlier->in, earlier->body);
        build_fail(
            b, in, body,
            "Evaluation Error: Error while evaluating a Resource Statement, Duplicate declaration: %s is already "
            "declared at%s; cannot redeclare",
            instance->name, place);
        mem_free(place);
        instance_free(instance);
        return false;
    }
    list_push_back(&b->instances, &instance->link);
    map_put(&b->instance_by_name, span_of(instance->name), instance);
    json_t *outer = json_object();
    json_t *given = build_attributes(in, body, outer);
    json_t *scope = instance->scope;
    instance->nodes = json_incref(json_object_get(given, "nodes"));
    bool good = bind_params(b, instance, app_in, application, given, scope);
    if (good && instance->nodes == NULL) {
        error_set(b->err, "compile", "%s: expects a value for parameter 'nodes' in environment %s", instance->name,
                  b->opts->environment);
        good = false;
    }
    good = good && build_components(b, instance, app_in, application, scope);
    json_decref(given);
    json_decref(outer);
    return good;
}

/* A declaration in the site block. */
static bool site_resource(struct build *b, const struct manifest *in, const struct pl_node *resource) {
    const struct pl_node *type = resource->children[0];
    const struct manifest *app_in = NULL;
    const struct pl_node *application =
        type->kind == PL_NAME ? manifests_find(b->m, PL_APPLICATION, type->text, &app_in) : NULL;
    json_t *scope = json_object();
    bool good = type->kind != PL_NAME || build_loads(b, type->text);
    for (size_t i = 1; i < resource->count && good; i++) {
        const struct pl_node *body = resource->children[i];
        json_t *titles = app_evaluate(in->tree, body->children[0], scope);
        size_t count = json_is_array(titles) ? json_array_size(titles) : 1;
        for (size_t k = 0; k < count && good; k++) {
            char *title = app_text(json_is_array(titles) ? json_array_get(titles, k) : titles);
            if (application != NULL) {
                good = add_instance(b, in, body, type->text, title, app_in, application);
            } else {
                char *source = span_dup(pl_source(in->tree, type));
                char *name = app_capitalized(source);
                good = build_fail(b, in, body,
                                  "Only application components can appear inside a site - %s[%s] is not allowed", name,
                                  title);
                mem_free(name);
                mem_free(source);
            }
            mem_free(title);
        }
        json_decref(titles);
    }
    json_decref(scope);
    return good;
}

static bool is_ignored_call(const struct pl_node *n) {
    return n->kind == PL_CALL && n->children[0]->kind == PL_NAME && strcmp(n->children[0]->text, "include") == 0;
}

/* Mappings name component types that must exist. */
static bool check_mapping_clause(struct build *b, const struct manifest *in, const struct pl_node *n) {
    const struct pl_node *component = n->children[0];
    if (component->kind != PL_TYPENAME) {
        return true; /* Class['x'] */
    }
    char *name = app_lower(component->text);
    bool known = type_known(b, name);
    if (!known) {
        build_fail(b, in, n, "Capability mapping error: %s clause references nonexistent type %s",
                   pl_keyword_text((enum pl_keyword)n->op), component->text);
    }
    mem_free(name);
    return known;
}

static bool site_statement(struct build *b, const struct manifest *in, const struct pl_node *n) {
    if (n->kind == PL_RESOURCE) {
        return site_resource(b, in, n);
    }
    if (n->kind == PL_MAPPING) {
        return check_mapping_clause(b, in, n);
    }
    if (is_ignored_call(n)) {
        return true;
    }
    struct span source = pl_source(in->tree, n);
    return build_fail(b, in, n, "This statement cannot be evaluated inside a site: %.*s",
                      (int)(source.len < 60 ? source.len : 60), source.ptr);
}

/* The site block of the environment, if there is one; two are an error. */
static bool find_site(struct build *b, const struct pl_node **site, const struct manifest **in) {
    *site = NULL;
    LIST_EACH (k, &b->m->all) {
        const struct manifest *one = LIST_ITEM(k, struct manifest, link);
        const struct pl_node *root = one->tree != NULL ? pl_tree_root(one->tree) : NULL;
        for (size_t i = 0; root != NULL && i < root->count; i++) {
            if (root->children[i]->kind != PL_SITE) {
                continue;
            }
            if (*site != NULL) {
                char *place = manifest_place(*in, *site);
                build_fail(b, one, root->children[i], "Site is already defined%s; cannot redefine", place);
                mem_free(place);
                return false;
            }
            *site = root->children[i];
            *in = one;
        }
    }
    return true;
}

static bool check_main_manifests(struct build *b) {
    LIST_EACH (k, &b->m->all) {
        const struct manifest *one = LIST_ITEM(k, struct manifest, link);
        if (one->tree == NULL) {
            return error_set(b->err, "compile", "%s in environment %s", one->err.msg, b->opts->environment);
        }
    }
    return true;
}

/* Instances of applications beside the site block. */
static bool check_outside(struct build *b, const struct manifest *in) {
    const struct pl_node *root = pl_tree_root(in->tree);
    const struct manifest *app_in;
    for (size_t i = 0; i < root->count; i++) {
        const struct pl_node *n = root->children[i];
        if (n->kind == PL_MAPPING && !check_mapping_clause(b, in, n)) {
            return false;
        }
        if (n->kind != PL_RESOURCE || n->count < 2 || n->children[0]->kind != PL_NAME ||
            manifests_find(b->m, PL_APPLICATION, n->children[0]->text, &app_in) == NULL) {
            continue;
        }
        json_t *scope = json_object(), *title = app_evaluate(in->tree, n->children[1]->children[0], scope);
        char *text = app_text(title), *type = app_capitalized(n->children[0]->text);
        build_fail(b, in, n, "Application instances like '%s[%s]' can only be contained within a Site", type, text);
        mem_free(type);
        mem_free(text);
        json_decref(title);
        json_decref(scope);
        return false;
    }
    return true;
}

static bool check_consumed(struct build *b) {
    LIST_EACH (k, &b->instances) {
        const struct instance *instance = LIST_ITEM(k, struct instance, link);
        LIST_EACH (l, &instance->components) {
            const struct component *c = LIST_ITEM(l, struct component, link);
            for (size_t i = 0; i < json_array_size(c->consumes); i++) {
                const char *name = json_string_value(json_array_get(c->consumes, i));
                if (map_get_cstr(&b->exported, name) == NULL) {
                    return build_fail(b, c->in, c->body, "Capability '%s' referenced by '%s' is never exported", name,
                                      json_string_value(json_array_get(c->relations, i)));
                }
            }
        }
    }
    return true;
}

bool build_run(struct build *b) {
    const struct pl_node *site;
    const struct manifest *in = NULL;
    manifests_read_main(b->m);
    if (!check_main_manifests(b) || !find_site(b, &site, &in)) {
        return false;
    }
    if (site == NULL) {
        return true; /* applications elsewhere are pruned without a word */
    }
    const struct pl_node *block = pl_child(site, 0);
    for (size_t i = 0; i < block->count; i++) {
        if (!site_statement(b, in, block->children[i])) {
            return false;
        }
    }
    LIST_EACH_SAFE (k, next, &b->m->all) {
        const struct manifest *one = LIST_ITEM(k, struct manifest, link);
        if (one->main && !check_outside(b, one)) {
            return false;
        }
    }
    if (!check_consumed(b)) {
        return false;
    }
    LIST_EACH (k, &b->instances) {
        if (!build_mapping(b, LIST_ITEM(k, struct instance, link))) {
            return false;
        }
    }
    return true;
}

static json_t *graph_json(const struct build *b) {
    json_t *applications = json_object();
    LIST_EACH (k, &b->instances) {
        const struct instance *instance = LIST_ITEM(k, struct instance, link);
        json_t *components = json_object();
        LIST_EACH (l, &instance->components) {
            const struct component *c = LIST_ITEM(l, struct component, link);
            json_set(components, c->name,
                     json_pack("{s:O, s:O, s:s?}", "produces", c->produces, "consumes", c->consumes, "node", c->node));
        }
        json_set(applications, instance->name, components);
    }
    return applications;
}

void build_init(struct build *b, struct manifests *m, const struct app_options *opts, struct error *err) {
    *b = (struct build){.m = m, .opts = opts, .err = err};
    list_init(&b->instances);
    map_init(&b->instance_by_name);
    map_init(&b->exported);
}

json_t *app_graph(struct manifests *m, const struct app_options *opts, struct error *err) {
    struct build b;
    build_init(&b, m, opts, err);
    json_t *graph = build_run(&b) ? graph_json(&b) : NULL;
    build_clear(&b);
    return graph;
}
