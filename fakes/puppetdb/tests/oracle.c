/* Three-valued logic over JSON rows (puppetdb.md §7). */
#include "oracle.h"
#include "base/json.h"
#include "base/mem.h"
#include "fakes/puppetdb/regex.h"
#include <stdio.h>
#include <string.h>

static enum truth truth(bool b) {
    return b ? YES : NO;
}

static enum truth negate(enum truth t) {
    return t == UNKNOWN ? UNKNOWN : truth(t == NO);
}

static enum truth ordered(enum plan_compare how, int order) {
    return truth(how == PLAN_EQ   ? order == 0
                 : how == PLAN_LT ? order < 0
                 : how == PLAN_LE ? order <= 0
                 : how == PLAN_GT ? order > 0
                                  : order >= 0);
}

static int sign(double d) {
    return d < 0 ? -1 : d > 0;
}

static int rank(const json_t *v) {
    return json_is_null(v)      ? 0
           : json_is_string(v)  ? 1
           : json_is_number(v)  ? 2
           : json_is_boolean(v) ? 3
           : json_is_array(v)   ? 4
                                : 5;
}

/* jsonb's order of scalars. */
static int compare(const json_t *a, const json_t *b) {
    if (rank(a) != rank(b)) {
        return rank(a) - rank(b);
    }
    return json_is_string(a)    ? sign(span_cmp(json_span(a), json_span(b)))
           : json_is_number(a)  ? sign(json_number_value(a) - json_number_value(b))
           : json_is_boolean(a) ? json_is_true(a) - json_is_true(b)
                                : 0;
}

static enum truth match(struct span pattern, struct span text) {
    struct regex *r = regex_new(pattern, NULL);
    enum truth t = truth(regex_match(r, text) == REGEX_YES);
    regex_free(r);
    return t;
}

static char *text_of(const json_t *v) {
    return json_is_string(v) ? str_dup(json_string_value(v)) : json_text(v);
}

static enum truth match_value(struct span pattern, const json_t *v) {
    char *text = text_of(v);
    enum truth t = match(pattern, span_of(text));
    mem_free(text);
    return t;
}

static bool contains(const json_t *a, const json_t *b) {
    if (json_is_object(b)) {
        const char *key;
        json_t *item;
        json_object_foreach((json_t *)(uintptr_t)b, key, item) {
            if (json_object_get(a, key) == NULL || !contains(json_object_get(a, key), item)) {
                return false;
            }
        }
        return json_is_object(a);
    }
    return rank(a) == rank(b) && rank(b) < 4 && compare(a, b) == 0;
}

static const json_t *value_at(const json_t *row, const struct field_path *path) {
    const json_t *v = json_object_get(row, path->parts[0].text);
    for (size_t i = 1; i < path->count && v != NULL; i++) {
        v = json_object_get(v, path->parts[i].text);
        if (path->parts[i].kind == FIELD_PART_INDEXED) {
            v = json_array_get(v, (size_t)path->parts[i].index);
        }
    }
    return v;
}

static const json_t *fact_at(const json_t *row, const struct field_path *path) {
    struct field_path top = {path->parts, 2};
    struct field_part part = path->parts[1];
    bool indexed = part.kind == FIELD_PART_INDEXED;
    const json_t *document = json_object_get(row, path->parts[0].text);
    return indexed ? json_object_get(document, part.text) : value_at(row, &top);
}

static json_t *nested(const struct field_path *path, const json_t *value) {
    json_t *inner = json_incref((json_t *)(uintptr_t)value);
    for (size_t i = path->count; i > 1; i--) {
        inner = json_pack("{s:o}", path->parts[i - 1].text, inner);
    }
    return inner;
}

static enum truth below(const struct plan_expr *x, const json_t *row) {
    if (x->op == PLAN_BELOW_EQ) {
        json_t *wanted = nested(&x->path, x->value);
        enum truth t = truth(contains(json_object_get(row, x->field->name), wanted));
        json_decref(wanted);
        return t;
    }
    const json_t *v = value_at(row, &x->path);
    if (fact_at(row, &x->path) == NULL) {
        return NO;
    }
    if (v == NULL) {
        return UNKNOWN;
    }
    return x->op == PLAN_BELOW_MATCH ? match_value(json_span(x->value), v) : ordered(x->compare, compare(v, x->value));
}

static enum truth compare_field(const struct plan_expr *x, const json_t *v) {
    int64_t ms;
    if (x->field->type == FIELD_TIMESTAMP) {
        return plan_parse_time(json_span(v), &ms)
                   ? ordered(x->compare, sign((double)(ms - json_integer_value(x->value))))
                   : UNKNOWN;
    }
    if (x->field->type == FIELD_SCALAR && json_is_number(x->value) && !json_is_number(v)) {
        return NO;
    }
    return ordered(x->compare, compare(v, x->value));
}

static enum truth one_of(const struct plan_expr *x, const json_t *v) {
    size_t i;
    json_t *item;
    json_array_foreach(x->value, i, item) {
        if (json_is_array(v) ? json_equal(v, item) : compare(v, item) == 0) {
            return YES;
        }
    }
    return NO;
}

static enum truth holds(const struct plan_expr *x, const json_t *list) {
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        if (x->op == PLAN_HOLDS ? json_equal(item, x->value) : match(json_span(x->value), json_span(item)) == YES) {
            return YES;
        }
    }
    return NO;
}

static enum truth path_matches(const json_t *patterns, const json_t *path) {
    if (json_array_size(patterns) != json_array_size(path)) {
        return NO;
    }
    for (size_t i = 0; i < json_array_size(path); i++) {
        const json_t *pattern = json_array_get(patterns, i), *part = json_array_get(path, i);
        if (json_is_integer(pattern) ? !json_equal(pattern, part) : match_value(json_span(pattern), part) != YES) {
            return NO;
        }
    }
    return YES;
}

static enum truth in_query(const struct oracle *o, const struct plan_expr *x, const json_t *row) {
    const json_t *rows = o->rows(o->ctx, x->query->entity);
    size_t i;
    json_t *inner;
    for (size_t k = 0; k < x->field_count; k++) {
        if (json_is_null(json_object_get(row, x->fields[k]->name))) {
            return json_array_size(rows) == 0 ? NO : UNKNOWN;
        }
    }
    json_array_foreach(rows, i, inner) {
        bool same = x->query->where == NULL || oracle_judge(o, x->query->where, inner) == YES;
        for (size_t k = 0; same && k < x->field_count; k++) {
            same =
                json_equal(json_object_get(row, x->fields[k]->name), json_object_get(inner, x->query->columns[k].name));
        }
        if (same) {
            return YES;
        }
    }
    return NO;
}

static enum truth joined(const struct oracle *o, const struct plan_expr *x, const json_t *row) {
    enum truth neutral = truth(x->op == PLAN_AND), result = neutral;
    for (size_t i = 0; i < x->operand_count; i++) {
        enum truth t = oracle_judge(o, x->operands[i], row);
        if (t == negate(neutral)) {
            return t;
        }
        result = t == UNKNOWN ? UNKNOWN : result;
    }
    return result;
}

static enum truth type_is(const struct plan_expr *x, const json_t *v) {
    static const char *const names[] = {"null", "string", "number", "boolean", "array", "object"};
    return truth(str_eq(names[rank(v)], json_string_value(x->value)));
}

enum truth oracle_judge(const struct oracle *o, const struct plan_expr *x, const json_t *row) {
    const json_t *v = x->field != NULL ? json_object_get(row, x->field->name) : NULL;
    switch (x->op) {
    case PLAN_AND:
    case PLAN_OR:
        return joined(o, x, row);
    case PLAN_NOT:
        return negate(oracle_judge(o, x->operands[0], row));
    case PLAN_IN:
        return in_query(o, x, row);
    case PLAN_CALL_COMPARE:
        return type_is(x, json_object_get(row, x->call.field->name));
    case PLAN_IS_NULL:
        return truth(json_is_null(v) == json_is_true(x->value));
    case PLAN_BELOW_EQ:
    case PLAN_BELOW_COMPARE:
    case PLAN_BELOW_MATCH:
        return below(x, row);
    case PLAN_HOLDS:
    case PLAN_HOLDS_MATCH:
        return holds(x, v);
    case PLAN_PATH_MATCH:
        return path_matches(x->value, v);
    case PLAN_PATH_ONE_OF:
        return one_of(x, v);
    default:
        break;
    }
    if (v == NULL || (json_is_null(v) && x->field->type != FIELD_SCALAR)) {
        return UNKNOWN;
    }
    return x->op == PLAN_COMPARE  ? compare_field(x, v)
           : x->op == PLAN_ONE_OF ? one_of(x, v)
                                  : match_value(json_span(x->value), v);
}
