/* Conditions. Where PuppetDB's comparison with null is unknown, so is SQLite's; conditions on facts that PuppetDB turns
 * into containment or subqueries are true or false. */
#include "sql_expr.h"
#include "base/json.h"
#include "base/mem.h"
#include "jsontext.h"
#include "regex.h"
#include <string.h>

static const char *const operators[] = {" = ", " < ", " <= ", " > ", " >= "};

void sql_param(struct sql_builder *b, json_t *value) {
    json_array_append_new(b->out->params, value);
    buf_append_char(&b->out->text, '?');
}

static void put(struct sql_builder *b, const char *text) {
    buf_append_cstr(&b->out->text, text);
}

static json_t *json_as_text(const json_t *value) {
    struct buf text = BUF_INIT;
    jsontext_append(&text, value);
    json_t *result = json_stringn(text.ptr, text.len);
    buf_free(&text);
    return result;
}

/* ---------------------------------------------------------------- what PostgreSQL refuses */

bool sql_refuse_operator(struct sql_builder *b, const char *left, const char *op, const char *right) {
    return error_set(
        b->err, "pql/refused",
        "ERROR: operator does not exist: %s%s%s %s\n  Hint: No operator matches the given name and argument "
        "types. You might need to add explicit type casts.",
        left, *left != '\0' ? " " : "", op, right);
}

static const char *type_of_value(const json_t *value) {
    return json_is_string(value)    ? "character varying"
           : json_is_integer(value) ? "bigint"
           : json_is_real(value)    ? "double precision"
           : json_is_boolean(value) ? "boolean"
                                    : "json";
}

static const char *type_of_field(const struct field *f) {
    if ((f->flags & FIELD_STORED_BOOLEAN) != 0 || f->type == FIELD_BOOLEAN) {
        return "boolean";
    }
    if ((f->flags & FIELD_STORED_TIME) != 0 || f->type == FIELD_TIMESTAMP) {
        return "timestamp with time zone";
    }
    return f->type == FIELD_NUMERIC ? "bigint" : f->type == FIELD_STRING ? "text" : "jsonb";
}

static bool comparable(const struct field *f, const json_t *value) {
    const char *type = type_of_field(f);
    return strcmp(type, "boolean") == 0  ? json_is_boolean(value)
           : strcmp(type, "bigint") == 0 ? json_is_number(value)
           : strcmp(type, "text") == 0   ? json_is_string(value)
                                         : false;
}

static json_t *bindable(const json_t *value) {
    return json_is_boolean(value) ? json_integer(json_is_true(value)) : json_incref((json_t *)(uintptr_t)value);
}

static bool check_regex(struct sql_builder *b, struct span pattern) {
    struct regex *r = regex_new(pattern, b->err);
    regex_free(r);
    return r != NULL;
}

/* ---------------------------------------------------------------- fields */

/* A fact's value, JSON text, against a value: equal in type and content; numbers by their size. */
static void compare_scalar(struct sql_builder *b, const char *expr, enum plan_compare how, const json_t *value) {
    if (json_is_number(value)) {
        buf_printf(&b->out->text, "(%s GLOB '[-0-9]*' AND CAST(%s AS NUMERIC)%s", expr, expr, operators[how]);
        sql_param(b, bindable(value));
        put(b, ")");
    } else {
        buf_printf(&b->out->text, "(%s%s", expr, operators[how]);
        sql_param(b, json_as_text(value));
        put(b, ")");
    }
}

static bool compare_field(struct sql_builder *b, const struct sql_field *f, const struct plan_expr *x) {
    const json_t *value = x->value;
    if (json_is_array(value)) { /* PuppetDB compares with the first element */
        value = json_array_get(value, 0);
        if (value == NULL) {
            put(b, "0");
            return true;
        }
    }
    if (x->field->type == FIELD_SCALAR) {
        compare_scalar(b, f->expr, x->compare, value);
        return true;
    }
    bool is_time = x->field->type == FIELD_TIMESTAMP; /* already milliseconds */
    if (!is_time && !comparable(x->field, value)) {
        return sql_refuse_operator(b, type_of_field(x->field), "=", type_of_value(value));
    }
    buf_printf(&b->out->text, "(%s%s", f->expr, operators[x->compare]);
    sql_param(b, bindable(value));
    put(b, ")");
    return true;
}

static bool match_field(struct sql_builder *b, const struct sql_field *f, const struct plan_expr *x) {
    bool text = x->field->type == FIELD_STRING && strcmp(type_of_field(x->field), "text") == 0;
    if (!json_is_string(x->value)) {
        return sql_refuse_operator(b, "text", "~", type_of_value(x->value));
    }
    if (!text && x->field->type != FIELD_SCALAR) {
        return sql_refuse_operator(b, type_of_field(x->field), "~", "character varying");
    }
    if (!check_regex(b, json_span(x->value))) {
        return false;
    }
    put(b, "pdb_match(");
    sql_param(b, json_incref(x->value));
    buf_printf(&b->out->text, text ? ", %s)" : ", pdb_text(%s))", f->expr);
    return true;
}

/* In lists PuppetDB compares text columns with the text of whatever the list holds. */
static json_t *list_item(const struct field *f, const json_t *value) {
    const char *type = type_of_field(f);
    if (f->type == FIELD_TIMESTAMP || json_is_null(value)) {
        return bindable(value);
    }
    if (strcmp(type, "text") == 0) {
        return json_is_string(value) ? json_incref((json_t *)(uintptr_t)value) : json_as_text(value);
    }
    if (strcmp(type, "boolean") == 0) {
        const char *word = json_string_value(value);
        bool yes = json_is_true(value) || (word != NULL && strcmp(word, "true") == 0);
        bool no = json_is_false(value) || (word != NULL && strcmp(word, "false") == 0);
        return yes ? json_integer(1) : no ? json_integer(0) : json_null();
    }
    return bindable(value);
}

static bool one_of(struct sql_builder *b, const struct sql_field *f, const struct plan_expr *x) {
    size_t i;
    json_t *value;
    if (x->field->type == FIELD_SCALAR) {
        put(b, "(0");
        json_array_foreach(x->value, i, value) {
            put(b, " OR ");
            compare_scalar(b, f->expr, PLAN_EQ, value);
        }
        put(b, ")");
        return true;
    }
    buf_printf(&b->out->text, "(%s IN (", f->expr);
    json_array_foreach(x->value, i, value) {
        put(b, i > 0 ? ", " : "");
        sql_param(b, list_item(x->field, value));
    }
    put(b, "))");
    return true;
}

static bool holds(struct sql_builder *b, const struct sql_field *f, const struct plan_expr *x) {
    put(b, "pdb_any_equal(");
    sql_param(b, json_is_string(x->value) ? json_incref(x->value) : json_as_text(x->value));
    buf_printf(&b->out->text, ", %s)", f->expr);
    return true;
}

static bool holds_match(struct sql_builder *b, const struct sql_field *f, const struct plan_expr *x) {
    if (!json_is_string(x->value)) {
        return sql_refuse_operator(b, "text", "~", type_of_value(x->value));
    }
    if (!check_regex(b, json_span(x->value))) {
        return false;
    }
    put(b, "pdb_any_match(");
    sql_param(b, json_incref(x->value));
    buf_printf(&b->out->text, ", %s)", f->expr);
    return true;
}

/* ---------------------------------------------------------------- paths of facts */

static bool path_one_of(struct sql_builder *b, const struct plan_expr *x) {
    size_t i;
    json_t *path;
    put(b, "(p.path IN (");
    json_array_foreach(x->value, i, path) {
        put(b, i > 0 ? ", " : "");
        sql_param(b, json_as_text(path));
    }
    put(b, "))");
    return true;
}

static bool path_match(struct sql_builder *b, const struct plan_expr *x) {
    size_t i;
    json_t *part;
    json_array_foreach(x->value, i, part) {
        if (json_is_string(part) && !check_regex(b, json_span(part))) {
            return false;
        }
    }
    /* told once a path, not once a leaf */
    put(b, "(p.id IN (SELECT id FROM fact_path WHERE depth = ");
    sql_param(b, json_integer((json_int_t)json_array_size(x->value) - 1));
    put(b, " AND pdb_path_match(");
    sql_param(b, json_as_text(x->value));
    put(b, ", path)))");
    return true;
}

/* ---------------------------------------------------------------- below documents */

/* Path of a fact from the document's own: "trusted" is a fact as well. The parts from `from` on. */
static json_t *parts_as_json(const struct sql_field *f, const struct field_path *path, size_t from) {
    json_t *list = json_array();
    if (f->document_kind == DOCUMENT_TRUSTED) {
        json_array_append_new(list, json_string("trusted"));
    }
    for (size_t i = from; i < path->count; i++) {
        json_array_append_new(list, json_string(path->parts[i].text));
        if (path->parts[i].kind == FIELD_PART_INDEXED) {
            json_array_append_new(list, json_integer(path->parts[i].index));
        }
    }
    return list;
}

/* Splits off the first element: the name of the fact. */
static json_t *take_first(json_t *list) {
    json_t *first = json_incref(json_array_get(list, 0));
    json_array_remove(list, 0);
    return first;
}

static bool is_facts(const struct sql_field *f) {
    return f->document_kind == DOCUMENT_FACTS || f->document_kind == DOCUMENT_TRUSTED;
}

void sql_append_below(struct sql_builder *b, const struct sql_field *f, const struct field_path *path) {
    json_t *parts = parts_as_json(f, path, 1);
    if (!is_facts(f)) {
        buf_printf(&b->out->text, "pdb_at(%s, ", f->document);
        sql_param(b, json_as_text(parts));
        put(b, ")");
        json_decref(parts);
        return;
    }
    bool whole = json_array_size(parts) == 1;
    if (!whole) { /* mostly a leaf; anything else is cut out of the fact */
        buf_printf(
            &b->out->text,
            "ifnull((SELECT CASE v3.kind WHEN 1 THEN pdb_quote(v3.text) ELSE v3.text END FROM leaf l3 JOIN fact_value "
            "v3 ON v3.id = l3.value WHERE l3.node = %s AND l3.path = (SELECT id FROM fact_path WHERE path = ",
            f->document);
        sql_param(b, json_as_text(parts));
        put(b, ")), ");
    }
    json_t *name = take_first(parts);
    put(b, whole ? "(SELECT y.value" : "(SELECT pdb_at(y.value, ");
    if (!whole) {
        sql_param(b, json_as_text(parts));
        put(b, ")");
    }
    buf_printf(&b->out->text,
               " FROM fact y WHERE y.node = %s AND y.name = (SELECT id FROM fact_name WHERE name = ", f->document);
    sql_param(b, name);
    put(b, whole ? "))" : ")))");
    json_decref(parts);
}

/* Kinds of fact_value. */
static int kind_of(const json_t *value) {
    return json_is_string(value) ? 1 : json_is_number(value) ? 2 : json_is_boolean(value) ? 3 : 0;
}

static void leaf_value_is(struct sql_builder *b, const json_t *value) {
    put(b, "(SELECT id FROM fact_value WHERE ");
    if (json_is_number(value)) {
        put(b, "number = ");
        sql_param(b, bindable(value));
    } else {
        buf_printf(&b->out->text, "kind = %d AND text = ", kind_of(value));
        sql_param(b, json_is_string(value) ? json_incref((json_t *)(uintptr_t)value) : json_as_text(value));
    }
    put(b, ")");
}

/* Pattern over paths for match(…): names are taken by the letter. */
static json_t *parts_as_patterns(const struct sql_field *f, const struct field_path *path) {
    json_t *list = json_array();
    struct buf quoted = BUF_INIT;
    if (f->document_kind == DOCUMENT_TRUSTED) {
        json_array_append_new(list, json_string("^trusted$"));
    }
    for (size_t i = 1; i < path->count; i++) {
        const struct field_part *part = &path->parts[i];
        buf_clear(&quoted);
        if (part->kind == FIELD_PART_MATCH) {
            buf_printf(&quoted, "^(?:%s)$", part->text);
        } else {
            buf_printf(&quoted, "^\\Q%s\\E$", part->text);
        }
        json_array_append_new(list, json_string(quoted.ptr));
        if (part->kind == FIELD_PART_INDEXED) {
            json_array_append_new(list, json_integer(part->index));
        }
    }
    buf_free(&quoted);
    return list;
}

/* The ids of the paths meant: one, or all that match(…) fits. */
static void path_ids(struct sql_builder *b, const struct sql_field *f, const struct field_path *path) {
    if (field_path_has(path, FIELD_PART_MATCH)) {
        json_t *patterns = parts_as_patterns(f, path);
        put(b, "(SELECT id FROM fact_path WHERE pdb_path_match(");
        sql_param(b, json_as_text(patterns));
        put(b, ", path))");
        json_decref(patterns);
    } else {
        json_t *parts = parts_as_json(f, path, 1);
        put(b, "(SELECT id FROM fact_path WHERE path = ");
        sql_param(b, json_as_text(parts));
        put(b, ")");
        json_decref(parts);
    }
}

/* A name of digits may be an index as well: such paths are looked up in the document. */
static bool has_digits(const struct field_path *path) {
    for (size_t i = 1; i < path->count; i++) {
        uint64_t ignored;
        if (span_to_u64(span_of(path->parts[i].text), &ignored)) {
            return true;
        }
    }
    return false;
}

/* {"a": {"b": value}} of the path a.b */
static json_t *nested(const struct field_path *path, size_t from, const json_t *value) {
    json_t *inner = json_incref((json_t *)(uintptr_t)value);
    for (size_t i = path->count; i > from; i--) {
        json_t *outer = json_object();
        json_set(outer, path->parts[i - 1].text, inner);
        inner = outer;
    }
    return inner;
}

/* The document as a whole: no path, and no fact above it. */
static bool is_whole(const struct sql_field *f, const struct plan_expr *x) {
    return x->path.count == 1 && f->document_kind != DOCUMENT_TRUSTED;
}

static bool below_equal(struct sql_builder *b, const struct sql_field *f, const struct plan_expr *x) {
    if (is_whole(f, x)) {
        buf_printf(&b->out->text, "ifnull(pdb_contains(%s, ", f->expr);
        sql_param(b, json_as_text(x->value));
        put(b, "), 0)");
        return true;
    }
    bool scalar = !json_is_array(x->value) && !json_is_object(x->value);
    if (is_facts(f) && scalar && !has_digits(&x->path)) {
        buf_printf(&b->out->text, "(%s IN (SELECT node FROM leaf WHERE path IN ", f->document);
        path_ids(b, f, &x->path);
        put(b, " AND value IN ");
        leaf_value_is(b, x->value);
        put(b, "))");
        return true;
    }
    if (has_digits(&x->path)) {
        put(b, "(pdb_compare(");
        sql_append_below(b, f, &x->path);
        put(b, ", ");
        sql_param(b, json_as_text(x->value));
        put(b, ") = 0)");
        return true;
    }
    json_t *inner = nested(&x->path, is_facts(f) && f->document_kind == DOCUMENT_FACTS ? 2 : 1, x->value);
    put(b, "ifnull(pdb_contains(");
    if (is_facts(f)) {
        struct field_path top = {x->path.parts, f->document_kind == DOCUMENT_FACTS ? 2 : 1};
        sql_append_below(b, f, &top);
    } else {
        put(b, f->document);
    }
    put(b, ", ");
    sql_param(b, json_as_text(inner));
    put(b, "), 0)");
    json_decref(inner);
    return true;
}

/* Of a fact that is not there at all PuppetDB says no; of a part missing in one that is there, it does not know. */
static void below_top_exists(struct sql_builder *b, const struct sql_field *f, const struct field_path *path) {
    put(b, " AND ");
    if (!is_facts(f)) {
        struct field_path top = {path->parts, 2};
        sql_append_below(b, f, &top);
        put(b, " IS NOT NULL");
        return;
    }
    buf_printf(&b->out->text,
               "EXISTS(SELECT 1 FROM fact y WHERE y.node = %s AND y.name = (SELECT id FROM fact_name WHERE name = ",
               f->document);
    json_t *parts = parts_as_json(f, path, 1);
    sql_param(b, take_first(parts));
    json_decref(parts);
    put(b, "))");
}

/* The leaf at the path, one of a node: a subquery that gives `what` of its value v. */
static void leaf_of_node(struct sql_builder *b, const struct sql_field *f, const struct plan_expr *x) {
    buf_printf(&b->out->text, " FROM leaf l2 JOIN fact_value v2 ON v2.id = l2.value WHERE l2.node = %s AND l2.path IN ",
               f->document);
    path_ids(b, f, &x->path);
    put(b, ")");
}

/* The nodes with such a leaf; the condition on its value v2 and two brackets follow. */
static void leaf_nodes(struct sql_builder *b, const struct sql_field *f, const struct plan_expr *x) {
    buf_printf(&b->out->text,
               "(%s IN (SELECT l2.node FROM leaf l2 JOIN fact_value v2 ON v2.id = l2.value WHERE l2.path IN ",
               f->document);
    path_ids(b, f, &x->path);
    put(b, " AND ");
}

static void compare_leaf(struct sql_builder *b, enum plan_compare how, const json_t *value) {
    int kind = kind_of(value);
    if (how == PLAN_EQ || kind == 0 || kind == 3) {
        put(b, "pdb_compare(CASE v2.kind WHEN 1 THEN pdb_quote(v2.text) ELSE v2.text END, ");
        sql_param(b, json_as_text(value));
        buf_printf(&b->out->text, ")%s0", operators[how]);
        return;
    }
    /* values of other types are smaller or larger as a whole: null < text < number < boolean */
    buf_printf(&b->out->text, "CASE WHEN v2.kind = %d THEN %s%s", kind, kind == 1 ? "v2.text" : "v2.number",
               operators[how]);
    sql_param(b, bindable(value));
    buf_printf(&b->out->text, " ELSE v2.kind%s%d END", operators[how], kind);
}

static bool below_compare(struct sql_builder *b, const struct sql_field *f, const struct plan_expr *x) {
    bool scalar = !json_is_array(x->value) && !json_is_object(x->value);
    if (is_facts(f) && scalar && !b->negated) {
        leaf_nodes(b, f, x);
        compare_leaf(b, x->compare, x->value);
        put(b, "))");
        return true;
    }
    put(b, "(");
    if (is_facts(f) && scalar) {
        put(b, "(SELECT max(");
        compare_leaf(b, x->compare, x->value);
        put(b, ")");
        leaf_of_node(b, f, x);
    } else {
        put(b, "pdb_compare(");
        sql_append_below(b, f, &x->path);
        put(b, ", ");
        sql_param(b, json_as_text(x->value));
        buf_printf(&b->out->text, ")%s0", operators[x->compare]);
    }
    below_top_exists(b, f, &x->path);
    put(b, ")");
    return true;
}

static bool below_match(struct sql_builder *b, const struct sql_field *f, const struct plan_expr *x) {
    if (is_whole(f, x)) {
        return sql_refuse_operator(b, "", "->>", "jsonb");
    }
    if (!json_is_string(x->value)) {
        return sql_refuse_operator(b, "text", "~", type_of_value(x->value));
    }
    if (!check_regex(b, json_span(x->value))) {
        return false;
    }
    if (is_facts(f) && !b->negated) {
        leaf_nodes(b, f, x);
        put(b, "v2.kind <> 0 AND pdb_match(");
        sql_param(b, json_incref(x->value));
        put(b, ", v2.text)))");
        return true;
    }
    put(b, is_facts(f) ? "((SELECT max(pdb_match(" : "(pdb_match(");
    sql_param(b, json_incref(x->value));
    if (is_facts(f)) {
        put(b, ", CASE v2.kind WHEN 0 THEN NULL ELSE v2.text END))");
        leaf_of_node(b, f, x);
    } else {
        put(b, ", pdb_text(");
        sql_append_below(b, f, &x->path);
        put(b, "))");
    }
    below_top_exists(b, f, &x->path);
    put(b, ")");
    return true;
}

/* ---------------------------------------------------------------- null */

static bool is_null(struct sql_builder *b, const struct sql_field *f, const struct plan_expr *x) {
    bool wanted = json_is_true(x->value);
    if (x->field->type == FIELD_DOCUMENT || x->field->type == FIELD_SCALAR) {
        /* JSON null; of what is not there nothing is known */
        put(b, "(");
        if (x->path.count > 1) {
            sql_append_below(b, f, &x->path);
        } else {
            put(b, f->expr);
        }
        put(b, wanted ? " = 'null')" : " <> 'null')");
        return true;
    }
    buf_printf(&b->out->text, wanted ? "(%s IS NULL)" : "(%s IS NOT NULL)", f->expr);
    return true;
}

/* ---------------------------------------------------------------- functions and subqueries */

static bool call_compare(struct sql_builder *b, const struct entity *e, const struct plan_expr *x) {
    put(b, "(");
    if (!sql_append_call(b, e, &x->call)) {
        return false;
    }
    put(b, operators[x->compare]);
    sql_param(b, bindable(x->value));
    put(b, ")");
    return true;
}

static bool is_certname(const struct field *f) {
    return strcmp(f->name, "certname") == 0;
}

/* "certname in other[certname]{…}" is about nodes: their ids do as well, and are quicker. */
static bool compares_nodes(const struct entity *e, const struct plan_expr *x) {
    const struct plan *q = x->query;
    return x->field_count == 1 && is_certname(x->fields[0]) && sql_entity(e->id)->node != NULL &&
           sql_entity(q->entity->id)->node != NULL && q->call_count == 0 && q->group_count == 0 &&
           q->column_count > 0 && q->columns[0].path.count == 1 && is_certname(q->columns[0].field);
}

static bool in_query(struct sql_builder *b, const struct entity *e, const struct plan_expr *x) {
    bool nodes = compares_nodes(e, x);
    bool negated = b->negated;
    b->negated = false; /* inside of the subquery */
    put(b, x->field_count > 1 ? "((" : "(");
    for (size_t i = 0; i < x->field_count; i++) {
        const struct sql_field *f = sql_field(e->id, x->fields[i]->name);
        if (f == NULL) {
            return error_set(b->err, "pql/refused", "'%s' cannot be compared", x->fields[i]->name);
        }
        put(b, i > 0 ? ", " : "");
        put(b, nodes ? sql_entity(e->id)->node : f->expr);
    }
    put(b, x->field_count > 1 ? ") IN (" : " IN (");
    bool ok = sql_append_subquery(b, x->query, nodes ? 0 : x->field_count);
    put(b, "))");
    b->negated = negated;
    return ok;
}

static bool joined(struct sql_builder *b, const struct entity *e, const struct plan_expr *x) {
    bool negated = b->negated;
    b->negated = negated || x->op == PLAN_NOT;
    put(b, x->op == PLAN_NOT ? "(NOT " : "(");
    if (x->operand_count == 0) {
        put(b, "1");
    }
    bool ok = true;
    for (size_t i = 0; i < x->operand_count && ok; i++) {
        put(b, i == 0 ? "" : x->op == PLAN_AND ? " AND " : " OR ");
        ok = sql_append_expr(b, e, x->operands[i]);
    }
    put(b, ")");
    b->negated = negated;
    return ok;
}

static bool on_field(struct sql_builder *b, const struct sql_field *f, const struct plan_expr *x) {
    switch (x->op) {
    case PLAN_COMPARE:
        return compare_field(b, f, x);
    case PLAN_MATCH:
        return match_field(b, f, x);
    case PLAN_ONE_OF:
        return one_of(b, f, x);
    case PLAN_HOLDS:
        return holds(b, f, x);
    case PLAN_HOLDS_MATCH:
        return holds_match(b, f, x);
    case PLAN_IS_NULL:
        return is_null(b, f, x);
    case PLAN_PATH_ONE_OF:
        return path_one_of(b, x);
    case PLAN_PATH_MATCH:
        return path_match(b, x);
    case PLAN_BELOW_EQ:
        return below_equal(b, f, x);
    case PLAN_BELOW_COMPARE:
        return below_compare(b, f, x);
    case PLAN_BELOW_MATCH:
        return below_match(b, f, x);
    default:
        put(b, "0");
        return true;
    }
}

bool sql_append_expr(struct sql_builder *b, const struct entity *e, const struct plan_expr *x) {
    switch (x->op) {
    case PLAN_AND:
    case PLAN_OR:
    case PLAN_NOT:
        return joined(b, e, x);
    case PLAN_IN:
        return in_query(b, e, x);
    case PLAN_CALL_COMPARE:
        return call_compare(b, e, x);
    case PLAN_NOTHING:
        put(b, "0");
        return true;
    default:
        break;
    }
    const struct sql_field *f = sql_field(e->id, x->field->name);
    if (f == NULL) {
        return error_set(b->err, "pql/refused", "'%s' cannot be asked of %s in this way", x->field->name, e->alias);
    }
    return on_field(b, f, x);
}
