/* Checking a value against a parsed schema. */
#include "base/json.h"
#include "pxp/schema_node.h"

/* Where we are: a chain on the stack, only turned into text when something fails. */
struct place {
    const struct place *parent;
    const char *key; /* NULL: index */
    size_t index;
    int depth;
    uint32_t *steps;            /* left for the whole: alternatives of alternatives take exponentially long */
    const struct node *node;    /* that is applied here; NULL: none yet */
    const struct place *around; /* where another is applied to the same value, and this one is a part of it */
};

static bool check(const struct node *n, const json_t *v, const struct place *at, struct error *err);

static void write_place(struct buf *out, const struct place *at) {
    if (at->parent == NULL) {
        return;
    }
    write_place(out, at->parent);
    if (at->key != NULL) {
        buf_printf(out, "/%s", at->key);
    } else {
        buf_printf(out, "/%zu", at->index);
    }
}

static bool fail(struct error *err, const struct place *at, const char *what) {
    if (err == NULL) {
        return false;
    }
    struct buf text = BUF_INIT;
    write_place(&text, at);
    error_set(err, "pxp/invalid", "%s %s", text.len != 0 ? text.ptr : "the value", what);
    buf_free(&text);
    return false;
}

static unsigned type_of_value(const json_t *v) {
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return TYPE_OBJECT;
    case JSON_ARRAY:
        return TYPE_ARRAY;
    case JSON_STRING:
        return TYPE_STRING;
    case JSON_INTEGER:
        return TYPE_INTEGER | TYPE_NUMBER;
    case JSON_REAL:
        return TYPE_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE:
        return TYPE_BOOLEAN;
    case JSON_NULL:
        return TYPE_NULL;
    }
    return 0;
}

static bool matches(const pcre2_code *pattern, const char *text, size_t len) {
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(limits, PXP_PATTERN_STEPS_MAX);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    int found = pcre2_match(pattern, (PCRE2_SPTR)text, len, 0, 0, data, limits);
    pcre2_match_data_free(data);
    pcre2_match_context_free(limits);
    return found >= 0;
}

static bool check_type(const struct node *n, const json_t *v, const struct place *at, struct error *err) {
    if (!n->has_type || (n->types & type_of_value(v)) != 0) {
        return true;
    }
    for (size_t i = 0; i < n->type_schemas.count; i++) {
        if (check(n->type_schemas.items[i], v, at, NULL)) {
            return true;
        }
    }
    return fail(err, at, "is of the wrong type");
}

static bool check_enum(const struct node *n, const json_t *v, const struct place *at, struct error *err) {
    if (n->values == NULL) {
        return true;
    }
    for (size_t i = 0; i < json_array_size(n->values); i++) {
        if (json_equal(json_array_get(n->values, i), v)) {
            return true;
        }
    }
    return fail(err, at, "is none of the allowed values");
}

/* ---------------------------------------------------------------------------------------- objects */

static bool check_rest(const struct rest *rest, const json_t *v, const struct place *at, struct error *err) {
    if (rest->denied) {
        return fail(err, at, "is not allowed");
    }
    return rest->node == NULL || check(rest->node, v, at, err);
}

static bool check_member(const struct node *n, struct span key, const json_t *v, const struct place *at,
                         struct error *err) {
    const struct node *property = map_get(&n->properties, key);
    bool covered = property != NULL;
    if (covered && !check(property, v, at, err)) {
        return false;
    }
    for (size_t i = 0; i < n->pattern_count; i++) {
        if (matches(n->patterns[i].pattern, key.ptr, key.len)) {
            covered = true;
            if (!check(n->patterns[i].node, v, at, err)) {
                return false;
            }
        }
    }
    return covered || check_rest(&n->more_properties, v, at, err);
}

static bool has_key(const json_t *object, const json_t *name) {
    return json_object_getn(object, json_string_value(name), json_string_length(name)) != NULL;
}

static bool check_dependency(const struct dependency *d, const json_t *v, const struct place *at, struct error *err) {
    if (json_object_get(v, d->key) == NULL) {
        return true;
    }
    if (d->node != NULL) {
        return check(d->node, v, at, err);
    }
    bool ok = json_is_string(d->names) ? has_key(v, d->names) : true;
    for (size_t i = 0; ok && i < json_array_size(d->names); i++) {
        ok = has_key(v, json_array_get(d->names, i));
    }
    return ok || fail(err, at, "lacks a key that another one depends on");
}

static bool check_object(const struct node *n, const json_t *v, const struct place *at, struct error *err) {
    int64_t size = (int64_t)json_object_size(v);
    if ((n->min_properties >= 0 && size < n->min_properties) || (n->max_properties >= 0 && size > n->max_properties)) {
        return fail(err, at, "has too few or too many keys");
    }
    for (size_t i = 0; i < json_array_size(n->required); i++) {
        if (!has_key(v, json_array_get(n->required, i))) {
            struct buf text = BUF_INIT;
            buf_printf(&text, "lacks \"%s\"", json_string_value(json_array_get(n->required, i)));
            fail(err, at, text.ptr);
            buf_free(&text);
            return false;
        }
    }
    for (size_t i = 0; i < n->dependency_count; i++) {
        if (!check_dependency(&n->dependencies[i], v, at, err)) {
            return false;
        }
    }
    for (void *i = json_object_iter((json_t *)v); i != NULL; i = json_object_iter_next((json_t *)v, i)) {
        struct span key = span_bytes(json_object_iter_key(i), json_object_iter_key_len(i));
        struct place in = {at, key.ptr, 0, at->depth + 1, at->steps, NULL, NULL};
        if (!check_member(n, key, json_object_iter_value(i), &in, err)) {
            return false;
        }
    }
    return true;
}

/* ---------------------------------------------------------------------------------------- arrays */

static int append_piece(const char *piece, size_t len, void *out) {
    buf_append(out, piece, len);
    return 0;
}

/* By their canonical text, so that a long hostile list costs O(n). */
static bool all_different(const json_t *list) {
    struct map seen = MAP_INIT;
    struct buf text = BUF_INIT;
    bool different = true;
    for (size_t i = 0; different && i < json_array_size(list); i++) {
        buf_clear(&text);
        json_dump_callback(json_array_get(list, i), append_piece, &text,
                           JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        different = map_put(&seen, buf_span(&text), &seen) == NULL;
    }
    buf_free(&text);
    map_free(&seen);
    return different;
}

static bool check_array(const struct node *n, const json_t *v, const struct place *at, struct error *err) {
    int64_t size = (int64_t)json_array_size(v);
    if ((n->min_items >= 0 && size < n->min_items) || (n->max_items >= 0 && size > n->max_items)) {
        return fail(err, at, "has too few or too many items");
    }
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *item = json_array_get(v, i);
        struct place in = {at, NULL, i, at->depth + 1, at->steps, NULL, NULL};
        if (n->item != NULL && !check(n->item, item, &in, err)) {
            return false;
        }
        if (n->has_items && i < n->items.count && !check(n->items.items[i], item, &in, err)) {
            return false;
        }
        if (n->has_items && i >= n->items.count && !check_rest(&n->more_items, item, &in, err)) {
            return false;
        }
    }
    return !n->unique_items || all_different(v) || fail(err, at, "has equal items");
}

/* ---------------------------------------------------------------------------------------- strings, numbers */

static bool check_string(const struct node *n, const json_t *v, const struct place *at, struct error *err) {
    struct span text = json_span(v);
    int64_t characters = 0;
    for (size_t i = 0; i < text.len; i++) {
        characters += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    }
    if ((n->min_length >= 0 && characters < n->min_length) || (n->max_length >= 0 && characters > n->max_length)) {
        return fail(err, at, "is too short or too long");
    }
    return n->pattern == NULL || matches(n->pattern, text.ptr, text.len) || fail(err, at, "does not match the pattern");
}

static int compare(const json_t *a, const json_t *b) {
    if (json_is_integer(a) && json_is_integer(b)) {
        json_int_t x = json_integer_value(a), y = json_integer_value(b);
        return (x > y) - (x < y);
    }
    double x = json_number_value(a), y = json_number_value(b);
    return (x > y) - (x < y);
}

static bool is_multiple(const json_t *v, const json_t *of) {
    if (json_is_integer(v) && json_is_integer(of)) {
        return json_integer_value(v) % json_integer_value(of) == 0;
    }
    double quotient = json_number_value(v) / json_number_value(of);
    /* Beyond 2^53 every double is whole; below, the round trip through an integer tells. */
    return quotient >= 9007199254740992.0 || quotient <= -9007199254740992.0 || quotient == (double)(int64_t)quotient;
}

static bool check_number(const struct node *n, const json_t *v, const struct place *at, struct error *err) {
    if (n->minimum != NULL && compare(v, n->minimum) < (n->above_minimum ? 1 : 0)) {
        return fail(err, at, "is below the minimum");
    }
    if (n->maximum != NULL && compare(v, n->maximum) > (n->below_maximum ? -1 : 0)) {
        return fail(err, at, "is above the maximum");
    }
    return n->multiple_of == NULL || is_multiple(v, n->multiple_of) || fail(err, at, "is not a multiple");
}

/* ---------------------------------------------------------------------------------------- combinations */

static size_t count_matching(const struct node_list *list, const json_t *v, const struct place *at) {
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        count += check(list->items[i], v, at, NULL) ? 1 : 0;
    }
    return count;
}

static bool check_combinations(const struct node *n, const json_t *v, const struct place *at, struct error *err) {
    for (size_t i = 0; i < n->all_of.count; i++) {
        if (!check(n->all_of.items[i], v, at, err)) {
            return false;
        }
    }
    if (n->any_of.count > 0 && count_matching(&n->any_of, v, at) == 0) {
        return fail(err, at, "satisfies no alternative");
    }
    if (n->one_of.count > 0 && count_matching(&n->one_of, v, at) != 1) {
        return fail(err, at, "does not satisfy exactly one alternative");
    }
    if (n->not_node != NULL && check(n->not_node, v, at, NULL)) {
        return fail(err, at, "satisfies what it must not");
    }
    return true;
}

static bool check_kind(const struct node *n, const json_t *v, const struct place *at, struct error *err) {
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return check_object(n, v, at, err);
    case JSON_ARRAY:
        return check_array(n, v, at, err);
    case JSON_STRING:
        return check_string(n, v, at, err);
    case JSON_INTEGER:
    case JSON_REAL:
        return check_number(n, v, at, err);
    default:
        return true;
    }
}

/* Has it begun with this value already? Then it would begin again and again. */
static bool is_under_way(const struct node *n, const struct place *at) {
    while (at != NULL && at->node != n) {
        at = at->around;
    }
    return at != NULL;
}

static bool check(const struct node *n, const json_t *v, const struct place *at, struct error *err) {
    struct place here = {at->parent, at->key, at->index, at->depth + 1, at->steps, NULL, at};
    while (n->ref != NULL && here.depth < PXP_SCHEMA_DEPTH_MAX) {
        n = n->ref;
        here.depth++;
    }
    if (here.depth >= PXP_SCHEMA_DEPTH_MAX) {
        return fail(err, at, "is nested too deeply");
    }
    if (is_under_way(n, at)) {
        return fail(err, at, "is held against a schema that refers to itself");
    }
    here.node = n;
    if (*at->steps == 0) {
        return fail(err, at, "takes too long to check");
    }
    --*at->steps;
    return check_type(n, v, &here, err) && check_enum(n, v, &here, err) && check_kind(n, v, &here, err) &&
           check_combinations(n, v, &here, err);
}

bool pxp_schema_check(const struct pxp_schema *s, const json_t *value, struct error *err) {
    uint32_t steps = PXP_SCHEMA_STEPS_MAX;
    struct place root = {NULL, NULL, 0, 0, &steps, NULL, NULL};
    return check(s->root, value, &root, err);
}
