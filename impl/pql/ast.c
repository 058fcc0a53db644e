/* Taking queries apart and restricting them. */
#include "ast.h"
#include "base/json.h"
#include <string.h>

struct span ast_operator(const json_t *node) {
    return json_is_array(node) ? json_span(json_array_get(node, 0)) : (struct span){NULL, 0};
}

bool ast_is(const json_t *node, const char *op) {
    return json_is_string(json_array_get(node, 0)) && span_eq_cstr(ast_operator(node), op);
}

bool ast_is_paging(const json_t *clause) {
    return ast_is(clause, "limit") || ast_is(clause, "offset") || ast_is(clause, "order_by");
}

bool ast_is_simple_operator(struct span op) {
    static const char *const operators[] = {"=", ">", "<", ">=", "<=", "~", "~>"};
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        if (span_eq_cstr(op, operators[i])) {
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- taking apart */

static bool take_clause(json_t *clauses, size_t from, const char *name, json_t **out, struct error *err) {
    *out = NULL;
    for (size_t i = from; i < json_array_size(clauses); i++) {
        json_t *clause = json_array_get(clauses, i);
        if (!ast_is(clause, name)) {
            continue;
        }
        if (*out != NULL) {
            return error_set(err, "pql/bad-query", "Multiple '%s' clauses are not permitted", name);
        }
        *out = json_array_get(clause, 1);
        if (*out == NULL || json_is_null(*out) || json_is_false(*out)) {
            return error_set(err, "pql/bad-query", "Received '%s' clause without an argument", name);
        }
    }
    return true;
}

bool ast_take_apart(json_t *query, struct ast_from *out, struct error *err) {
    *out = (struct ast_from){NULL, NULL, NULL, NULL, NULL};
    if (!ast_is(query, "from") || !json_is_string(json_array_get(query, 1))) {
        return error_set(
            err, "pql/bad-query",
            "Your initial query must be of the form: [\"from\",<entity>,(<optional-query>)]. Check your query "
            "and try again.");
    }
    out->entity = json_string_value(json_array_get(query, 1));
    json_t *second = json_array_get(query, 2);
    size_t clauses = 2;
    if (second != NULL && !ast_is_paging(second)) {
        if (!json_is_array(second)) {
            return error_set(
                err, "pql/bad-query",
                "Your `from` query accepts an optional query only as a second argument. Check your query and "
                "try again.");
        }
        out->query = second;
        clauses = 3;
    }
    return take_clause(query, clauses, "limit", &out->limit, err) &&
           take_clause(query, clauses, "offset", &out->offset, err) &&
           take_clause(query, clauses, "order_by", &out->order_by, err);
}

/* ---------------------------------------------------------------- restricting */

static bool speaks_of_state(const json_t *node) {
    if (ast_is(node, "=") && json_array_size(node) == 3) {
        const json_t *left = json_array_get(node, 1);
        if (str_eq(json_string_value(left), "node_state") ||
            (ast_is(left, "node") && json_array_size(left) == 2 &&
             str_eq(json_string_value(json_array_get(left, 1)), "active"))) {
            return true;
        }
    }
    size_t i;
    json_t *child;
    json_array_foreach(node, i, child) {
        if (i > 0 && json_is_array(child) && speaks_of_state(child)) {
            return true;
        }
    }
    return false;
}

static bool only_paging_from(const json_t *list, size_t from) {
    for (size_t i = from; i < json_array_size(list); i++) {
        if (!ast_is_paging(json_array_get(list, i))) {
            return false;
        }
    }
    return true;
}

static json_t *both(json_t *query, json_t *condition) {
    return query != NULL ? json_pack("[s, O, o]", "and", query, condition) : condition;
}

/* A copy of `list` with `item` (stolen) put in at `at`, in place of what is there or before it. */
static json_t *with_item(json_t *list, size_t at, bool replace, json_t *item) {
    json_t *copy = json_copy(list);
    if (replace) {
        json_array_set_new(copy, at, item);
    } else {
        json_array_insert_new(copy, at, item);
    }
    return copy;
}

json_t *ast_add_condition(json_t *query, json_t *condition) {
    size_t size = json_array_size(query);
    json_t *third = json_array_get(query, 2);
    if (ast_is(query, "extract") && size == 2) {
        return with_item(query, 2, false, condition);
    }
    if (ast_is(query, "extract") && size == 3) {
        bool grouping = ast_is(third, "group_by");
        return with_item(query, 2, !grouping,
                         grouping              ? condition
                         : json_is_null(third) ? condition
                                               : both(third, condition));
    }
    if (ast_is(query, "extract") && size == 4) {
        return with_item(query, 2, true, ast_add_condition(third, condition));
    }
    if (ast_is(query, "from") && size >= 2 && only_paging_from(query, 2)) {
        return with_item(query, 2, false, condition);
    }
    if (ast_is(query, "from") && size >= 3 && only_paging_from(query, 3)) {
        return with_item(query, 2, true, ast_add_condition(third, condition));
    }
    return both(query, condition);
}

json_t *ast_restrict_to_active(json_t *query) {
    if (query != NULL && speaks_of_state(query)) {
        return json_incref(query);
    }
    return ast_add_condition(query, json_pack("[s, s, s]", "=", "node_state", "active"));
}

json_t *ast_restrict_root(json_t *query) {
    static const char *const without_nodes[] = {"fact_paths", "environments", "packages"};
    const char *entity = json_string_value(json_array_get(query, 1));
    for (size_t i = 0; i < sizeof without_nodes / sizeof without_nodes[0]; i++) {
        if (str_eq(entity, without_nodes[i])) {
            return json_incref(query);
        }
    }
    return ast_restrict_to_active(query);
}

/* ---------------------------------------------------------------- reports of agents */

static bool mentions_type(const json_t *node) {
    const json_t *field = json_array_get(node, 1);
    if (ast_is_simple_operator(ast_operator(node)) || ast_is(node, "null?") ||
        (ast_is(node, "in") && ast_is(json_array_get(node, 2), "array"))) {
        return str_eq(json_string_value(field), "type");
    }
    if (ast_is(node, "and") || ast_is(node, "or") || ast_is(node, "not")) {
        for (size_t i = 1; i < json_array_size(node); i++) {
            if (mentions_type(json_array_get(node, i))) {
                return true;
            }
        }
    }
    return false;
}

static json_t *restrict_filter(const struct entity *entity, json_t *filter);

/* The filter at `at` of a copy of `list`, restricted; put in when there is none. Steals nothing. */
static json_t *restrict_item(const struct entity *entity, json_t *list, size_t at) {
    json_t *filter = json_array_get(list, at);
    bool there = filter != NULL && !ast_is_paging(filter) && !ast_is(filter, "group_by");
    json_t *restricted = restrict_filter(entity, there ? filter : NULL);
    return restricted != NULL ? with_item(list, at, there, restricted) : json_copy(list);
}

/* ["from", entity, ["extract", …], …] and ["extract", columns, ["select_entity", …]] behind "in". */
static json_t *restrict_source(json_t *source) {
    json_t *third = json_array_get(source, 2);
    if (ast_is(source, "from")) {
        const struct entity *entity = entity_by_name(json_span(json_array_get(source, 1)));
        bool extract = ast_is(third, "extract");
        if (entity == NULL || third == NULL) {
            return json_incref(source);
        }
        return extract ? with_item(source, 2, true, restrict_item(entity, third, 2)) : restrict_item(entity, source, 2);
    }
    if (ast_is(source, "extract") && json_is_array(third)) {
        const struct entity *entity = entity_by_select(ast_operator(third));
        if (entity != NULL) {
            return with_item(source, 2, true, restrict_item(entity, third, 1));
        }
    }
    return json_incref(source);
}

static json_t *restrict_subqueries(json_t *node) {
    if (ast_is(node, "and") || ast_is(node, "or") || ast_is(node, "not")) {
        json_t *copy = json_array();
        size_t i;
        json_t *child;
        json_array_foreach(node, i, child) {
            json_array_append_new(copy, i == 0 ? json_incref(child) : restrict_subqueries(child));
        }
        return copy;
    }
    if (ast_is(node, "in") && json_array_size(node) == 3) {
        return with_item(node, 2, true, restrict_source(json_array_get(node, 2)));
    }
    if (ast_is(node, "subquery") && json_array_size(node) >= 2) {
        const struct entity *entity = entity_by_name(json_span(json_array_get(node, 1)));
        return entity != NULL ? restrict_item(entity, node, 2) : json_incref(node);
    }
    return json_incref(node);
}

static json_t *restrict_filter(const struct entity *entity, json_t *filter) {
    json_t *inner = filter != NULL ? restrict_subqueries(filter) : NULL;
    if (!entity->holds_reports || (filter != NULL && mentions_type(filter))) {
        return inner;
    }
    json_t *agent = json_pack("[s, s, s]", "=", "type", "agent");
    if (inner != NULL && json_array_size(inner) > 0) {
        return json_pack("[s, o, o]", "and", inner, agent);
    }
    json_decref(inner);
    return agent;
}

json_t *ast_restrict_to_agent_reports(const struct entity *entity, json_t *query) {
    if (query != NULL && ast_is(query, "extract") && json_array_size(query) >= 2) {
        return restrict_item(entity, query, 2);
    }
    return restrict_filter(entity, query);
}
