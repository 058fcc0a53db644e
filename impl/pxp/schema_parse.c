/* Reading a schema: one function per keyword, a table from keyword to function. */
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "pxp/schema_node.h"
#include <string.h>

static struct node *parse_node(struct pxp_schema *s, const json_t *json, const char *where, struct error *err);

static bool bad(struct error *err, const char *keyword, const char *what) {
    return error_set(err, "pxp/bad-schema", "\"%s\" %s", keyword, what);
}

static bool parse_list(struct pxp_schema *s, const json_t *json, const char *keyword, struct node_list *out,
                       struct error *err) {
    if (!json_is_array(json)) {
        return bad(err, keyword, "must be a list of schemas");
    }
    out->items = mem_array(json_array_size(json) + 1, sizeof *out->items);
    for (size_t i = 0; i < json_array_size(json); i++) {
        struct node *node = parse_node(s, json_array_get(json, i), keyword, err);
        if (node == NULL) {
            return false;
        }
        out->items[out->count++] = node;
    }
    return true;
}

static bool parse_rest(struct pxp_schema *s, const json_t *json, const char *keyword, struct rest *out,
                       struct error *err) {
    if (json_is_boolean(json)) {
        out->denied = json_is_false(json);
        return true;
    }
    out->denied = false;
    out->node = parse_node(s, json, keyword, err);
    return out->node != NULL;
}

static pcre2_code *compile(const char *pattern, size_t len, const char *keyword, struct error *err) {
    int code;
    PCRE2_SIZE offset;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)pattern, len, PCRE2_UTF, &code, &offset, NULL);
    if (compiled == NULL) {
        error_set(err, "pxp/bad-schema", "\"%s\" holds an invalid pattern (at offset %zu)", keyword, (size_t)offset);
    }
    return compiled;
}

/* ---------------------------------------------------------------------------------------- keywords */

typedef bool keyword_fn(struct pxp_schema *s, struct node *n, const char *keyword, const json_t *v, struct error *err);

static unsigned type_of(struct span name) {
    static const struct {
        const char *name;
        unsigned type;
    } names[] = {
        {"object", TYPE_OBJECT}, {"array", TYPE_ARRAY},     {"string", TYPE_STRING}, {"integer", TYPE_INTEGER},
        {"number", TYPE_NUMBER}, {"boolean", TYPE_BOOLEAN}, {"null", TYPE_NULL},     {"any", TYPE_ANY},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (span_eq_cstr(name, names[i].name)) {
            return names[i].type;
        }
    }
    return 0;
}

static bool add_type(struct node *n, const char *keyword, const json_t *name, struct error *err) {
    unsigned type = type_of(json_span(name));
    n->types |= type;
    return type != 0 || bad(err, keyword, "names an unknown type");
}

static bool parse_type(struct pxp_schema *s, struct node *n, const char *keyword, const json_t *v, struct error *err) {
    n->has_type = true;
    if (!json_is_array(v)) {
        return add_type(n, keyword, v, err);
    }
    n->type_schemas.items = mem_array(json_array_size(v) + 1, sizeof(struct node *));
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *one = json_array_get(v, i);
        if (json_is_object(one)) {
            struct node *node = parse_node(s, one, keyword, err);
            if (node == NULL) {
                return false;
            }
            n->type_schemas.items[n->type_schemas.count++] = node;
        } else if (!add_type(n, keyword, one, err)) {
            return false;
        }
    }
    return true;
}

static bool parse_properties(struct pxp_schema *s, struct node *n, const char *keyword, const json_t *v,
                             struct error *err) {
    if (!json_is_object(v)) {
        return bad(err, keyword, "must be an object of schemas");
    }
    for (void *i = json_object_iter((json_t *)v); i != NULL; i = json_object_iter_next((json_t *)v, i)) {
        struct node *node = parse_node(s, json_object_iter_value(i), keyword, err);
        if (node == NULL) {
            return false;
        }
        map_put(&n->properties, span_bytes(json_object_iter_key(i), json_object_iter_key_len(i)), node);
    }
    if (s->closed && json_object_size(v) > 0 && n->more_properties.node == NULL) {
        n->more_properties.denied = true;
    }
    return true;
}

static bool parse_patterns(struct pxp_schema *s, struct node *n, const char *keyword, const json_t *v,
                           struct error *err) {
    if (!json_is_object(v)) {
        return bad(err, keyword, "must be an object of schemas");
    }
    n->patterns = mem_array(json_object_size(v) + 1, sizeof *n->patterns);
    for (void *i = json_object_iter((json_t *)v); i != NULL; i = json_object_iter_next((json_t *)v, i)) {
        struct pattern_rule *rule = &n->patterns[n->pattern_count++];
        rule->pattern = compile(json_object_iter_key(i), json_object_iter_key_len(i), keyword, err);
        rule->node = rule->pattern == NULL ? NULL : parse_node(s, json_object_iter_value(i), keyword, err);
        if (rule->node == NULL) {
            return false;
        }
    }
    return true;
}

static bool parse_more_properties(struct pxp_schema *s, struct node *n, const char *keyword, const json_t *v,
                                  struct error *err) {
    return parse_rest(s, v, keyword, &n->more_properties, err);
}

static bool is_list_of_strings(const json_t *v) {
    bool ok = json_is_array(v);
    for (size_t i = 0; ok && i < json_array_size(v); i++) {
        ok = json_is_string(json_array_get(v, i));
    }
    return ok;
}

static bool parse_required(struct pxp_schema *s, struct node *n, const char *keyword, const json_t *v,
                           struct error *err) {
    (void)s;
    n->required = v;
    return is_list_of_strings(v) || bad(err, keyword, "must be a list of strings");
}

static bool parse_dependencies(struct pxp_schema *s, struct node *n, const char *keyword, const json_t *v,
                               struct error *err) {
    if (!json_is_object(v)) {
        return bad(err, keyword, "must be an object");
    }
    n->dependencies = mem_array(json_object_size(v) + 1, sizeof *n->dependencies);
    for (void *i = json_object_iter((json_t *)v); i != NULL; i = json_object_iter_next((json_t *)v, i)) {
        const json_t *needs = json_object_iter_value(i);
        struct dependency *d = &n->dependencies[n->dependency_count++];
        d->key = json_object_iter_key(i);
        if (json_is_object(needs)) {
            d->node = parse_node(s, needs, keyword, err);
            if (d->node == NULL) {
                return false;
            }
        } else if (json_is_string(needs) || is_list_of_strings(needs)) {
            d->names = needs;
        } else {
            return bad(err, keyword, "must hold lists of strings or schemas");
        }
    }
    return true;
}

static bool parse_items(struct pxp_schema *s, struct node *n, const char *keyword, const json_t *v, struct error *err) {
    if (json_is_array(v)) {
        n->has_items = true;
        return parse_list(s, v, keyword, &n->items, err);
    }
    n->item = parse_node(s, v, keyword, err);
    return n->item != NULL;
}

static bool parse_more_items(struct pxp_schema *s, struct node *n, const char *keyword, const json_t *v,
                             struct error *err) {
    return parse_rest(s, v, keyword, &n->more_items, err);
}

static bool parse_enum(struct pxp_schema *s, struct node *n, const char *keyword, const json_t *v, struct error *err) {
    (void)s;
    n->values = v;
    return json_is_array(v) || bad(err, keyword, "must be a list");
}

static bool parse_combination(struct pxp_schema *s, struct node *n, const char *keyword, const json_t *v,
                              struct error *err) {
    struct node_list *list = str_eq(keyword, "allOf") ? &n->all_of : str_eq(keyword, "anyOf") ? &n->any_of : &n->one_of;
    return parse_list(s, v, keyword, list, err) && (list->count > 0 || bad(err, keyword, "must not be empty"));
}

static bool parse_not(struct pxp_schema *s, struct node *n, const char *keyword, const json_t *v, struct error *err) {
    n->not_node = parse_node(s, v, keyword, err);
    return n->not_node != NULL;
}

static bool parse_number(struct pxp_schema *s, struct node *n, const char *keyword, const json_t *v,
                         struct error *err) {
    (void)s;
    if (!json_is_number(v)) {
        return bad(err, keyword, "must be a number");
    }
    if (str_eq(keyword, "minimum")) {
        n->minimum = v;
    } else if (str_eq(keyword, "maximum")) {
        n->maximum = v;
    } else if (json_number_value(v) > 0) {
        n->multiple_of = v;
    } else {
        return bad(err, keyword, "must be positive");
    }
    return true;
}

static bool parse_exclusive(struct pxp_schema *s, struct node *n, const char *keyword, const json_t *v,
                            struct error *err) {
    (void)s;
    if (!json_is_boolean(v)) {
        return bad(err, keyword, "must be a boolean");
    }
    *(str_eq(keyword, "exclusiveMinimum") ? &n->above_minimum : &n->below_maximum) = json_is_true(v);
    return true;
}

static bool parse_count(struct pxp_schema *s, struct node *n, const char *keyword, const json_t *v, struct error *err) {
    (void)s;
    if (!json_is_integer(v) || json_integer_value(v) < 0) {
        return bad(err, keyword, "must be a non-negative integer");
    }
    const struct {
        const char *keyword;
        int64_t *target;
    } counts[] = {
        {"minLength", &n->min_length}, {"maxLength", &n->max_length},         {"minItems", &n->min_items},
        {"maxItems", &n->max_items},   {"minProperties", &n->min_properties}, {"maxProperties", &n->max_properties},
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (str_eq(keyword, counts[i].keyword)) {
            *counts[i].target = json_integer_value(v);
        }
    }
    return true;
}

static bool parse_unique(struct pxp_schema *s, struct node *n, const char *keyword, const json_t *v,
                         struct error *err) {
    (void)s;
    n->unique_items = json_is_true(v);
    return json_is_boolean(v) || bad(err, keyword, "must be a boolean");
}

static bool parse_pattern(struct pxp_schema *s, struct node *n, const char *keyword, const json_t *v,
                          struct error *err) {
    (void)s;
    if (!json_is_string(v)) {
        return bad(err, keyword, "must be a string");
    }
    n->pattern = compile(json_string_value(v), json_string_length(v), keyword, err);
    return n->pattern != NULL;
}

/* Follows a local JSON pointer ("#", "#/definitions/x"), with ~0, ~1 and percent escapes. */
static const json_t *resolve(const json_t *root, struct span pointer) {
    if (pointer.len == 0) {
        return root;
    }
    struct span rest = span_sub(pointer, 1, pointer.len);
    struct span part;
    const json_t *at = pointer.ptr[0] == '/' ? root : NULL;
    while (at != NULL && span_split(&rest, '/', &part)) {
        struct buf key = BUF_INIT;
        for (size_t i = 0; i < part.len; i++) {
            struct buf byte = BUF_INIT;
            if (part.ptr[i] == '~' && i + 1 < part.len && (part.ptr[i + 1] == '0' || part.ptr[i + 1] == '1')) {
                buf_append_char(&key, part.ptr[++i] == '0' ? '~' : '/');
            } else if (part.ptr[i] == '%' && i + 2 < part.len && hex_decode(&byte, span_sub(part, i + 1, 2))) {
                buf_append_span(&key, buf_span(&byte));
                i += 2;
            } else {
                buf_append_char(&key, part.ptr[i]);
            }
            buf_free(&byte);
        }
        uint64_t index;
        if (json_is_array(at)) {
            at = span_to_u64(buf_span(&key), &index) ? json_array_get(at, (size_t)index) : NULL;
        } else {
            at = json_object_getn(at, key.len != 0 ? key.ptr : "", key.len);
        }
        buf_free(&key);
    }
    return at;
}

static bool parse_ref(struct pxp_schema *s, struct node *n, const char *keyword, const json_t *v, struct error *err) {
    struct span text = json_span(v);
    const json_t *target = NULL;
    if (text.len > 0 && text.ptr[0] == '#') {
        target = resolve(s->json, span_sub(text, 1, text.len));
    }
    if (target == NULL) {
        return bad(err, keyword, "points to nothing in this document");
    }
    n->ref = parse_node(s, target, keyword, err);
    return n->ref != NULL;
}

static const struct {
    const char *keyword;
    keyword_fn *parse;
} keywords[] = {
    {"type", parse_type},
    {"properties", parse_properties},
    {"patternProperties", parse_patterns},
    {"additionalProperties", parse_more_properties},
    {"required", parse_required},
    {"dependencies", parse_dependencies},
    {"items", parse_items},
    {"additionalItems", parse_more_items},
    {"enum", parse_enum},
    {"allOf", parse_combination},
    {"anyOf", parse_combination},
    {"oneOf", parse_combination},
    {"not", parse_not},
    {"minimum", parse_number},
    {"maximum", parse_number},
    {"multipleOf", parse_number},
    {"divisibleBy", parse_number},
    {"exclusiveMinimum", parse_exclusive},
    {"exclusiveMaximum", parse_exclusive},
    {"minLength", parse_count},
    {"maxLength", parse_count},
    {"minItems", parse_count},
    {"maxItems", parse_count},
    {"minProperties", parse_count},
    {"maxProperties", parse_count},
    {"uniqueItems", parse_unique},
    {"pattern", parse_pattern},
};

static struct node *new_node(struct pxp_schema *s, const json_t *json) {
    struct node *n = mem_zalloc(sizeof *n);
    n->min_length = n->max_length = n->min_items = n->max_items = n->min_properties = n->max_properties = -1;
    s->nodes = mem_grow(s->nodes, &s->node_cap, s->node_count + 1, sizeof *s->nodes);
    s->nodes[s->node_count++] = n;
    map_put(&s->by_place, span_bytes(&json, sizeof json), n);
    return n;
}

static bool parse_keywords(struct pxp_schema *s, struct node *n, const json_t *json, struct error *err) {
    const json_t *ref = json_object_get(json, "$ref");
    if (ref != NULL) {
        return parse_ref(s, n, "$ref", ref, err);
    }
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        const json_t *value = json_object_get(json, keywords[i].keyword);
        if (value != NULL && !keywords[i].parse(s, n, keywords[i].keyword, value, err)) {
            return false;
        }
    }
    if (n->above_minimum && n->minimum == NULL) {
        return bad(err, "exclusiveMinimum", "needs \"minimum\"");
    }
    if (n->below_maximum && n->maximum == NULL) {
        return bad(err, "exclusiveMaximum", "needs \"maximum\"");
    }
    return true;
}

/* The node is registered before its keywords are read, so that a schema may refer to itself. */
static struct node *parse_node(struct pxp_schema *s, const json_t *json, const char *where, struct error *err) {
    struct node *known = map_get(&s->by_place, span_bytes(&json, sizeof json));
    if (known != NULL) {
        return known;
    }
    if (!json_is_object(json)) {
        bad(err, where, "must be a schema (an object)");
        return NULL;
    }
    if (s->node_count == PXP_SCHEMA_NODES_MAX) {
        bad(err, where, "has too many sub-schemas");
        return NULL;
    }
    struct node *n = new_node(s, json);
    return parse_keywords(s, n, json, err) ? n : NULL;
}

static struct pxp_schema *parse(json_t *json, bool closed, struct error *err) {
    struct pxp_schema *s = mem_zalloc(sizeof *s);
    s->json = json;
    s->closed = closed;
    s->root = parse_node(s, json, "schema", err);
    map_free(&s->by_place);
    map_init(&s->by_place);
    if (s->root == NULL) {
        pxp_schema_free(s);
        return NULL;
    }
    return s;
}

struct pxp_schema *pxp_schema_parse(const json_t *json, struct error *err) {
    return parse(json_deep_copy(json), false, err);
}

struct pxp_schema *pxp_schema_closed(const char *text) {
    json_t *json = json_parse(span_of(text), "pxp/bad-schema", NULL);
    return parse(json, true, NULL);
}

static void node_free(struct node *n) {
    map_free(&n->properties);
    for (size_t i = 0; i < n->pattern_count; i++) {
        pcre2_code_free(n->patterns[i].pattern);
    }
    mem_free(n->patterns);
    mem_free(n->dependencies);
    mem_free(n->type_schemas.items);
    mem_free(n->items.items);
    mem_free(n->all_of.items);
    mem_free(n->any_of.items);
    mem_free(n->one_of.items);
    pcre2_code_free(n->pattern);
    mem_free(n);
}

void pxp_schema_free(struct pxp_schema *s) {
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->node_count; i++) {
        node_free(s->nodes[i]);
    }
    mem_free(s->nodes);
    map_free(&s->by_place);
    json_decref(s->json);
    mem_free(s);
}
