/* Components with their parameters, produced and consumed capabilities. */
#include "fakes/puppetserver/app_catalog.h"
#include "base/mem.h"
#include "fakes/puppetserver/app_build.h"
#include "fakes/puppetserver/capabilities.h"
#include <ctype.h>
#include <string.h>

/* Attributes that order resources or belong to every one, not to the component. */
static const char *const metaparameters[] = {"export",    "consume", "require", "before",   "notify",
                                             "subscribe", "alias",   "audit",   "loglevel", "noop",
                                             "schedule",  "stage",   "tag"};

/* A catalog being put together for one node. */
struct compiling {
    struct build *b;
    const struct app_node *node;
    json_t *top;      /* top scope: facts by name, "facts", "trusted", "environment" */
    json_t *done;     /* names of components whose resources are there */
    json_t *produced; /* reference text -> attributes (values) */
    json_t *copied;   /* references whose copies are there */
    json_t *resources, *edges;
    int depth;
};

static bool is_metaparameter(const char *name) {
    for (size_t i = 0; i < sizeof metaparameters / sizeof metaparameters[0]; i++) {
        if (strcmp(metaparameters[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* "Evaluation Error: … MESSAGE (file: …, line: N)" of a component's declaration. */
static bool fail(struct compiling *x, const struct component *c, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail(struct compiling *x, const struct component *c, const char *format, ...) {
    struct buf text = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    char *place = manifest_place(c->in, c->body);
    error_set(x->b->err, "compile", "Evaluation Error: Error while evaluating a Resource Statement, %s%s", text.ptr,
              place);
    mem_free(place);
    buf_free(&text);
    return false;
}

static json_t *lower_tags(const char *type, const char *title, const char *third) {
    json_t *tags = json_array();
    char *lower = app_lower(type), *lower_title = app_lower(title);
    json_array_append_new(tags, json_string(lower));
    json_array_append_new(tags, json_string(lower_title));
    if (third != NULL) {
        json_array_append_new(tags, json_string(third));
    }
    mem_free(lower);
    mem_free(lower_title);
    return tags;
}

/* Adds a resource and the edge from what contains it. */
static void add_resource(struct compiling *x, const char *container, const char *type, const char *title, json_t *tags,
                         json_t *parameters) {
    char *name = str_printf("%s[%s]", type, title);
    json_array_append_new(x->resources,
                          json_pack("{s:s, s:s, s:o, s:b, s:s, s:o}", "type", type, "title", title, "tags", tags,
                                    "exported", 0, "kind", "unknown", "parameters", parameters));
    json_array_append_new(x->edges, json_pack("{s:s, s:s}", "source", container, "target", name));
    mem_free(name);
}

static json_t *plain_parameters(const json_t *values) {
    json_t *plain = json_object();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)values, key, value) {
        if (!json_is_null(value)) {
            json_set(plain, key, app_to_plain(value));
        }
    }
    return plain;
}

/* The mapping clause "COMPONENT produces|consumes CAPABILITY" in what has been read; NULL: none. */
static const struct pl_node *find_mapping(struct compiling *x, const struct component *c, enum pl_keyword verb,
                                          const char *capability, const struct manifest **in) {
    LIST_EACH (k, &x->b->m->all) {
        const struct manifest *one = LIST_ITEM(k, struct manifest, link);
        const struct pl_node *root = one->tree != NULL ? pl_tree_root(one->tree) : NULL;
        for (size_t i = 0; root != NULL && i < root->count; i++) {
            const struct pl_node *n = root->children[i];
            if (n->kind != PL_MAPPING || n->op != (int)verb || n->children[0]->kind != PL_TYPENAME) {
                continue;
            }
            char *type = app_lower(n->children[0]->text), *wanted = app_capitalized(n->children[1]->text);
            bool found = strcmp(type, c->type) == 0 && strcmp(wanted, capability) == 0;
            mem_free(type);
            mem_free(wanted);
            if (found) {
                *in = one;
                return n;
            }
        }
    }
    return NULL;
}

/* The top scope with more variables over it. */
static json_t *scope_with(const struct compiling *x, const json_t *more) {
    json_t *scope = json_copy(x->top);
    json_object_update(scope, (json_t *)(uintptr_t)more);
    return scope;
}

static bool compile_component(struct compiling *x, struct component *c);

/* What a reference's capability holds, borrowed from x->produced; NULL after setting err. */
static const json_t *capability_of(struct compiling *x, struct component *consumer, const char *reference) {
    struct component *producer = map_get_cstr(&x->b->exported, reference);
    if (producer != NULL && producer->node != NULL && strcmp(producer->node, x->node->certname) == 0 &&
        !compile_component(x, producer)) {
        return NULL;
    }
    const json_t *known = json_object_get(x->produced, reference);
    if (known != NULL) {
        return known;
    }
    struct error missing = ERROR_INIT;
    json_t *row = capability_find(x->node, x->b->opts->environment, reference, &missing);
    if (row == NULL) {
        fail(x, consumer, "%s", missing.msg);
        error_clear(&missing);
        return NULL;
    }
    json_t *values = json_object();
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(row, "parameters"), key, value) {
        if (!is_metaparameter(key)) {
            json_set(values, key, app_from_plain(value));
        }
    }
    json_decref(row);
    json_set(x->produced, reference, values);
    json_t *copy = json_pack("{s:b}", "copied", 1);
    json_set(x->copied, reference, copy);
    return values;
}

static void split_reference(const char *reference, char **type, char **title) {
    const char *open = strchr(reference, '[');
    *type = span_dup((struct span){reference, (size_t)(open - reference)});
    *title = span_dup((struct span){open + 1, strlen(open + 1) - 1});
}

/* One parameter out of a consumed capability; false after an error. */
static bool take(struct compiling *x, const struct component *c, const json_t *given, json_t *taken, const char *name,
                 json_t *value) {
    if (json_object_get(given, name) != NULL) {
        json_decref(value); /* what is declared wins */
        return true;
    }
    if (json_object_get(taken, name) != NULL) {
        json_decref(value);
        return fail(
            x, c,
            "Attempt to reassign attribute '%s' in '%s' caused by multiple consumed mappings to the same attribute",
            name, c->name);
    }
    json_set(taken, name, value);
    return true;
}

static bool consume_one(struct compiling *x, struct component *c, const struct pl_node *params, const char *reference,
                        const json_t *given, json_t *taken) {
    char *type, *title;
    const struct manifest *in;
    split_reference(reference, &type, &title);
    const struct pl_node *mapping = find_mapping(x, c, PL_KW_CONSUMES, type, &in);
    char *component_type = app_capitalized(c->type);
    bool good =
        mapping != NULL || fail(x, c, "Resource %s tries to consume %s but no 'consumes' mapping exists for %s and %s",
                                c->name, reference, component_type, type);
    mem_free(component_type);
    mem_free(type);
    mem_free(title);
    const json_t *attributes = good ? capability_of(x, c, reference) : NULL;
    if (attributes == NULL) {
        return false;
    }
    json_t *scope = scope_with(x, attributes), *mapped = json_object();
    for (size_t i = 2; i < mapping->count && good; i++) {
        const struct pl_node *attribute = mapping->children[i], *from = attribute->children[0];
        json_set(mapped, attribute->text, json_true());
        if (from->kind != PL_VARIABLE || json_object_get(scope, from->text) != NULL) {
            good = take(x, c, given, taken, attribute->text, app_evaluate(in->tree, from, scope));
        } /* else the capability lacks it: the parameter's default is used, or it is missed */
    }
    for (size_t i = 0; i < params->count && good; i++) {
        const char *name = params->children[i]->text;
        json_t *same = json_object_get(attributes, name);
        if (same != NULL && json_object_get(mapped, name) == NULL) {
            good = take(x, c, given, taken, name, json_incref(same));
        }
    }
    json_decref(mapped);
    json_decref(scope);
    return good;
}

static bool consume_all(struct compiling *x, struct component *c, const struct pl_node *params, json_t *values) {
    json_t *taken = json_object();
    bool good = true;
    for (size_t i = 0; i < json_array_size(c->consumes) && good; i++) {
        if (strcmp(json_string_value(json_array_get(c->relations, i)), "consume") == 0) {
            good = consume_one(x, c, params, json_string_value(json_array_get(c->consumes, i)), values, taken);
        }
    }
    json_object_update(values, taken);
    json_decref(taken);
    return good;
}

/* Defaults of what is still missing; false when a value is required. */
static bool apply_defaults(struct compiling *x, const struct component *c, const struct manifest *in,
                           const struct pl_node *params, json_t *values) {
    for (size_t i = 0; i < params->count; i++) {
        const struct pl_node *param = params->children[i], *value = pl_child(param, 1);
        if (json_object_get(values, param->text) != NULL) {
            continue;
        }
        if (value == NULL) {
            return fail(x, c, "%s: expects a value for parameter '%s'", c->name, param->text);
        }
        json_t *scope = scope_with(x, values);
        json_set(scope, "name", json_string(c->title));
        json_set(scope, "title", json_string(c->title));
        json_set(values, param->text, app_evaluate(in->tree, value, scope));
        json_decref(scope);
    }
    return true;
}

static bool produce_one(struct compiling *x, const struct component *c, const char *reference, const json_t *values) {
    char *type, *title;
    const struct manifest *in = NULL;
    split_reference(reference, &type, &title);
    const struct pl_node *mapping = find_mapping(x, c, PL_KW_PRODUCES, type, &in);
    char *component_type = app_capitalized(c->type);
    if (mapping == NULL) {
        fail(x, c, "Resource type %s does not produce %s", component_type, type);
    } else {
        json_t *attributes = json_object(), *scope = scope_with(x, values);
        json_set(scope, "name", json_string(c->title));
        json_set(scope, "title", json_string(c->title));
        for (size_t i = 2; i < mapping->count; i++) {
            const struct pl_node *attribute = mapping->children[i];
            json_set(attributes, attribute->text, app_evaluate(in->tree, attribute->children[0], scope));
        }
        json_t *names = capability_parameters(x->b, type);
        for (size_t i = 0; i < json_array_size(names); i++) {
            const char *name = json_string_value(json_array_get(names, i));
            json_t *same = json_object_get(values, name);
            if (same != NULL && json_object_get(attributes, name) == NULL) {
                json_object_set(attributes, name, same);
            }
        }
        char *tag = str_printf("producer:%s", x->b->opts->environment);
        json_t *parameters = plain_parameters(attributes);
        json_set(parameters, "require", json_string(c->name));
        add_resource(x, c->name, type, title, lower_tags(type, title, tag), parameters);
        json_set(x->produced, reference, attributes);
        mem_free(tag);
        json_decref(names);
        json_decref(scope);
    }
    mem_free(component_type);
    mem_free(type);
    mem_free(title);
    return mapping != NULL;
}

/* Parameters as declared, relations left out. */
static json_t *declared(const struct component *c) {
    json_t *all = build_attributes(c->in, c->body, c->instance->scope);
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(all, next, key, value) {
        if (is_metaparameter(key)) {
            json_object_del(all, key);
        }
    }
    return all;
}

static void add_component_resources(struct compiling *x, const struct component *c, const json_t *values, bool define) {
    char *type = app_capitalized(c->type);
    json_t *parameters = plain_parameters(values);
    if (json_array_size(c->consumes) > 0) {
        json_object_set(parameters, "consume",
                        json_array_size(c->consumes) == 1 ? json_array_get(c->consumes, 0) : c->consumes);
    }
    if (json_array_size(c->produces) > 0) {
        json_object_set(parameters, "export",
                        json_array_size(c->produces) == 1 ? json_array_get(c->produces, 0) : c->produces);
    }
    add_resource(x, c->instance->name, type, c->title, lower_tags(type, c->title, NULL), parameters);
    if (define) {
        char *message = str_printf("Component %s", c->name);
        add_resource(x, c->name, "Notify", message, lower_tags("Notify", type, NULL),
                     json_pack("{s:s}", "message", message));
        mem_free(message);
    }
    mem_free(type);
}

static bool compile_parts(struct compiling *x, struct component *c) {
    static const struct pl_node no_params = {.kind = PL_LIST};
    const struct manifest *in = c->in;
    const struct pl_node *define = manifests_find(x->b->m, PL_DEFINE, c->type, &in);
    const struct pl_node *params = define != NULL ? pl_child(define, 0) : &no_params;
    json_t *values = declared(c);
    bool good = consume_all(x, c, params, values) && apply_defaults(x, c, in, params, values);
    if (good) {
        add_component_resources(x, c, values, define != NULL);
    }
    for (size_t i = 0; i < json_array_size(c->produces) && good; i++) {
        good = produce_one(x, c, json_string_value(json_array_get(c->produces, i)), values);
    }
    json_decref(values);
    return good;
}

static bool compile_component(struct compiling *x, struct component *c) {
    if (json_object_get(x->done, c->name) != NULL) {
        return true; /* or under way: a circle is the orchestrator's business */
    }
    json_set(x->done, c->name, json_true());
    if (x->depth > PS_DEPTH_MAX) {
        return fail(x, c, "%s: components on one node depend on each other in a chain of more than %d", c->name,
                    PS_DEPTH_MAX);
    }
    x->depth++;
    bool good = compile_parts(x, c);
    x->depth--;
    return good;
}

static void add_instance(struct compiling *x, const struct instance *instance) {
    json_t *parameters = plain_parameters(instance->scope);
    json_object_del(parameters, "name");
    json_object_del(parameters, "title");
    json_set(parameters, "nodes", app_to_plain(instance->nodes));
    char *type = app_capitalized(instance->type);
    add_resource(x, "Class[main]", type, instance->title, lower_tags(type, instance->title, NULL), parameters);
    mem_free(type);
}

static bool compile_instance(struct compiling *x, const struct instance *instance, bool *any) {
    bool here = false, good = true;
    LIST_EACH (k, &instance->components) {
        struct component *c = LIST_ITEM(k, struct component, link);
        if (!good || strcmp(c->node, x->node->certname) != 0) {
            continue;
        }
        if (!here) {
            add_instance(x, instance);
            here = *any = true;
        }
        good = compile_component(x, c);
    }
    return good;
}

/* Copies of what was consumed from elsewhere, without the producer's tag. */
static void add_copies(struct compiling *x) {
    const char *reference;
    json_t *value;
    json_object_foreach(x->copied, reference, value) {
        char *type, *title;
        split_reference(reference, &type, &title);
        add_resource(x, "Class[main]", type, title, lower_tags(type, title, NULL),
                     plain_parameters(json_object_get(x->produced, reference)));
        mem_free(type);
        mem_free(title);
    }
}

static json_t *top_scope(const struct app_node *node, const char *environment) {
    json_t *top = json_object();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)node->facts, key, value) {
        json_set(top, key, app_from_plain(value));
    }
    json_t *trusted = json_pack("{s:s}", "certname", node->certname);
    json_set(top, "facts", node->facts != NULL ? app_from_plain(node->facts) : json_pack("{s:[]}", "pairs"));
    json_set(top, "trusted", app_from_plain(trusted));
    json_set(top, "environment", json_string(environment));
    json_decref(trusted);
    return top;
}

bool app_catalog(struct manifests *m, const struct app_options *opts, const struct app_node *node, json_t *resources,
                 json_t *edges, bool *any, struct error *err) {
    struct build b;
    struct compiling x = {.b = &b,
                          .node = node,
                          .top = top_scope(node, opts->environment),
                          .done = json_object(),
                          .produced = json_object(),
                          .copied = json_object(),
                          .resources = resources,
                          .edges = edges};
    *any = false;
    build_init(&b, m, opts, err);
    bool good = build_run(&b);
    LIST_EACH (k, &b.instances) {
        good = good && compile_instance(&x, LIST_ITEM(k, struct instance, link), any);
    }
    if (good) {
        add_copies(&x);
    }
    build_clear(&b);
    json_decref(x.top);
    json_decref(x.done);
    json_decref(x.produced);
    json_decref(x.copied);
    return good;
}
