/* nodes => { Node['a'] => Component['x'], … }: which component runs where (puppetserver.md §17, checks 3 to 8). */
#include "base/mem.h"
#include "fakes/puppetserver/app_build.h"
#include <string.h>

/* The words changed when the parameter became a typed one. */
enum { TYPED_SINCE = 6 };

struct mapping {
    struct build *b;
    struct instance *instance;
    const char *node;
    struct buf missing; /* names of components that do not exist */
    bool good;
};

static void map_component(void *ctx, const json_t *item) {
    struct mapping *x = ctx;
    struct instance *i = x->instance;
    char *name = app_reference_text(item);
    struct component *c = name != NULL ? map_get_cstr(&i->by_name, name) : NULL;
    if (x->good && name == NULL) {
        char *text = app_text(item);
        x->good = build_fail_mapping(x->b, i->in, i->body, "Invalid node mapping in %s: Value %s is not a resource",
                                     i->name, text);
        mem_free(text);
    } else if (x->good && c == NULL) {
        buf_printf(&x->missing, "%s%s", x->missing.len > 0 ? ", " : "", name);
    } else if (x->good && c->node != NULL) {
        x->good = build_fail_mapping(x->b, i->in, i->body, "Application %s assigns multiple nodes to component %s",
                                     i->name, c->name);
    } else if (x->good) {
        c->node = str_dup(x->node);
    }
    mem_free(name);
}

static bool bad_key(struct mapping *x, const json_t *key) {
    struct instance *i = x->instance;
    char *text = app_text(key);
    if (!app_is_reference(key) && x->b->opts->major >= TYPED_SINCE) {
        error_set(x->b->err, "compile",
                  "%s: parameter 'nodes' key of entry '%s' expects a Type[Resource] value, got %s in environment %s",
                  i->name, text, app_type_name(key), x->b->opts->environment);
    } else {
        build_fail_mapping(x->b, i->in, i->body, "Invalid node mapping in %s: Key %s is not a Node", i->name, text);
    }
    mem_free(text);
    return false;
}

static bool map_node(struct mapping *x, const json_t *key, const json_t *value) {
    const char *type = json_str(key, "ref");
    if (type == NULL || strcmp(type, "Node") != 0) {
        return bad_key(x, key);
    }
    x->node = json_str(key, "title");
    app_each(value, map_component, x);
    return x->good;
}

static bool not_a_hash(struct build *b, struct instance *i) {
    if (b->opts->major >= TYPED_SINCE) {
        return error_set(b->err, "compile", "%s: parameter 'nodes' expects a Hash value, got %s in environment %s",
                         i->name, app_type_name(i->nodes), b->opts->environment);
    }
    return build_fail_mapping(b, i->in, i->body, "Invalid node mapping in %s: Mapping must be a hash", i->name);
}

static bool check_complete(struct build *b, struct instance *i) {
    struct buf left = BUF_INIT;
    LIST_EACH (k, &i->components) {
        const struct component *c = LIST_ITEM(k, struct component, link);
        if (c->node == NULL) {
            buf_printf(&left, "%s%s", left.len > 0 ? ", " : "", c->name);
        }
    }
    bool good = left.len == 0;
    if (!good) {
        build_fail_mapping(b, i->in, i->body, "Application %s has components without assigned nodes: %s", i->name,
                           left.ptr);
    }
    buf_free(&left);
    return good;
}

bool build_mapping(struct build *b, struct instance *instance) {
    const json_t *pairs = json_object_get(instance->nodes, "pairs");
    struct mapping x = {.b = b, .instance = instance, .missing = BUF_INIT, .good = true};
    if (pairs == NULL) {
        return not_a_hash(b, instance);
    }
    for (size_t i = 0; i < json_array_size(pairs) && x.good; i++) {
        const json_t *pair = json_array_get(pairs, i);
        x.good = map_node(&x, json_array_get(pair, 0), json_array_get(pair, 1));
    }
    if (x.good && x.missing.len > 0) {
        x.good = build_fail_mapping(b, instance->in, instance->body,
                                    "Application %s assigns nodes to non-existent components: %s", instance->name,
                                    x.missing.ptr);
    }
    buf_free(&x.missing);
    return x.good && check_complete(b, instance);
}
