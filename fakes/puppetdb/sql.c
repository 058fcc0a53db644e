/* Whole queries: columns, grouping, order, paging. */
#include "sql.h"
#include "base/json.h"
#include "base/mem.h"
#include "sql_expr.h"
#include <string.h>

static void put(struct sql_builder *b, const char *text) {
    buf_append_cstr(&b->out->text, text);
}

static bool add_column(struct sql_builder *b, const char *name, enum row_kind kind) {
    struct sql *out = b->out;
    if (out->column_count == ROW_COLUMNS_MAX) {
        return error_set(b->err, "pql/refused", "more than %d columns", (int)ROW_COLUMNS_MAX);
    }
    put(b, out->column_count > 0 ? ", " : "");
    out->columns[out->column_count++] = (struct row_column){name, kind};
    return true;
}

/* ---------------------------------------------------------------- functions */

static enum row_kind kind_of_call(const struct plan_call *c) {
    bool textual = c->function == PLAN_TO_STRING || c->function == PLAN_TYPEOF;
    bool keeps_type = c->function == PLAN_MIN || c->function == PLAN_MAX;
    if (textual) {
        return ROW_TEXT;
    }
    if (keeps_type && c->field->type == FIELD_TIMESTAMP) {
        return ROW_TIME;
    }
    return keeps_type && c->field->type == FIELD_STRING ? ROW_TEXT : ROW_NUMBER;
}

static void append_typeof(struct sql_builder *b, const char *expr) {
    buf_printf(
        &b->out->text,
        "(CASE substr(%s, 1, 1) WHEN '\"' THEN 'string' WHEN '{' THEN 'object' WHEN '[' THEN 'array' WHEN 'n' THEN "
        "'null' WHEN 't' THEN 'boolean' WHEN 'f' THEN 'boolean' ELSE 'number' END)",
        expr);
}

bool sql_append_call(struct sql_builder *b, const struct entity *e, const struct plan_call *c) {
    if (c->field == NULL) {
        put(b, "count(*)");
        return true;
    }
    const struct sql_field *f = sql_field(e->id, c->field->name);
    if (f == NULL) {
        return error_set(b->err, "pql/refused", "%s takes no '%s'", plan_function_name(c->function), c->field->name);
    }
    bool is_time = c->field->type == FIELD_TIMESTAMP;
    bool numeric = c->field->type == FIELD_NUMERIC || c->field->type == FIELD_SCALAR;
    switch (c->function) {
    case PLAN_TO_STRING:
        if (!is_time && c->field->type != FIELD_NUMERIC) {
            return error_set(b->err, "pql/refused", "ERROR: function to_char(text, unknown) does not exist");
        }
        buf_printf(&b->out->text, "pdb_to_char(%s, ", f->expr);
        sql_param(b, json_string(c->mask));
        buf_printf(&b->out->text, ", %d)", is_time);
        return true;
    case PLAN_TYPEOF:
        append_typeof(b, f->expr);
        return true;
    case PLAN_COUNT:
        buf_printf(&b->out->text, c->field->type == FIELD_SCALAR ? "count(nullif(%s, 'null'))" : "count(%s)", f->expr);
        return true;
    default:
        break;
    }
    if ((c->function == PLAN_AVG || c->function == PLAN_SUM) && !numeric) {
        return error_set(b->err, "pql/refused", "ERROR: function %s(%s) does not exist",
                         plan_function_name(c->function), is_time ? "timestamp with time zone" : "text");
    }
    if (c->field->type == FIELD_SCALAR) { /* what is no number does not count */
        buf_printf(&b->out->text, "%s(CASE WHEN %s GLOB '[-0-9]*' THEN CAST(%s AS NUMERIC) END)",
                   plan_function_name(c->function), f->expr, f->expr);
    } else {
        buf_printf(&b->out->text, "%s(%s)", plan_function_name(c->function), f->expr);
    }
    return true;
}

/* ---------------------------------------------------------------- columns */

static void append_shown(struct sql_builder *b, const struct sql_field *f) {
    put(b, f->shown != NULL ? f->shown : f->expr);
}

static bool is_aggregate(const struct plan *p) {
    for (size_t i = 0; i < p->call_count; i++) {
        if (p->calls[i].function != PLAN_TO_STRING && p->calls[i].function != PLAN_TYPEOF) {
            return true;
        }
    }
    return p->group_count > 0;
}

static bool is_grouped(const struct plan *p, const char *name) {
    for (size_t i = 0; i < p->group_count; i++) {
        if (strcmp(p->groups[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool check_grouping(struct sql_builder *b, const struct plan *p) {
    if (!is_aggregate(p)) {
        return true;
    }
    for (size_t i = 0; i < p->column_count; i++) {
        if (!is_grouped(p, p->columns[i].name)) {
            const struct sql_field *f = sql_field(p->entity->id, p->columns[i].field->name);
            return error_set(
                b->err, "pql/refused",
                "ERROR: column \"%s\" must appear in the GROUP BY clause or be used in an aggregate function",
                f != NULL && f->postgres != NULL ? f->postgres : p->columns[i].name);
        }
    }
    return true;
}

static bool append_all_columns(struct sql_builder *b, const struct plan *p) {
    for (const struct field *f = p->entity->fields; f->name != NULL; f++) {
        if ((f->flags & FIELD_HIDDEN) != 0) {
            continue;
        }
        const struct sql_field *s = sql_field(p->entity->id, f->name);
        if (!add_column(b, f->name, s->kind)) {
            return false;
        }
        append_shown(b, s);
    }
    return true;
}

static bool append_columns(struct sql_builder *b, const struct plan *p) {
    if (p->column_count == 0 && p->call_count == 0) {
        return append_all_columns(b, p);
    }
    for (size_t i = 0; i < p->call_count; i++) {
        if (!add_column(b, plan_function_name(p->calls[i].function), kind_of_call(&p->calls[i])) ||
            !sql_append_call(b, p->entity, &p->calls[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < p->column_count; i++) {
        const struct plan_column *c = &p->columns[i];
        const struct sql_field *s = sql_field(p->entity->id, c->field->name);
        bool dotted = c->path.count > 1;
        if (s == NULL || !add_column(b, c->name, dotted ? ROW_JSON : s->kind)) {
            return s == NULL ? error_set(b->err, "pql/refused", "'%s' cannot be shown", c->name) : false;
        }
        if (dotted) {
            sql_append_below(b, s, &c->path);
        } else {
            append_shown(b, s);
        }
    }
    return true;
}

/* ---------------------------------------------------------------- clauses */

/* The last event of each resource of each node, joined to the events (v) and their reports (r). */
static void append_distinct(struct sql_builder *b) {
    put(b, " JOIN (SELECT r2.node AS d_node, v2.resource_type AS d_type, v2.resource_title AS d_title, v2.property AS "
           "d_property, v2.name AS d_name, max(v2.timestamp) AS d_time FROM event v2 JOIN report r2 ON r2.id = "
           "v2.report WHERE "
           "v2.timestamp BETWEEN ");
    sql_param(b, json_integer(b->distinct->from_ms));
    put(b, " AND ");
    sql_param(b, json_integer(b->distinct->to_ms));
    put(b,
        " GROUP BY 1, 2, 3, 4, 5) ON d_node = r.node AND d_type = v.resource_type AND d_title = v.resource_title AND "
        "d_property IS v.property AND d_name IS v.name AND d_time = v.timestamp");
}

static bool append_where(struct sql_builder *b, const struct plan *p) {
    buf_printf(&b->out->text, " FROM %s", sql_entity(p->entity->id)->from);
    if (b->distinct != NULL && p->entity->id == ENTITY_EVENTS) {
        append_distinct(b);
        b->distinct = NULL;
    }
    if (p->where != NULL) {
        put(b, " WHERE ");
        return sql_append_expr(b, p->entity, p->where);
    }
    return true;
}

static const struct plan_call *call_of_group(const struct plan *p, const struct plan_group *g) {
    for (size_t i = 0; i < p->call_count; i++) {
        if (p->calls[i].function == g->call.function) {
            return &p->calls[i];
        }
    }
    return NULL;
}

static bool append_groups(struct sql_builder *b, const struct plan *p) {
    for (size_t i = 0; i < p->group_count; i++) {
        const struct plan_group *g = &p->groups[i];
        put(b, i == 0 ? " GROUP BY " : ", ");
        if (g->is_call) {
            const struct plan_call *call = call_of_group(p, g);
            if (call == NULL || call->function <= PLAN_MAX) {
                return error_set(b->err, "pql/refused", "ERROR: aggregate functions are not allowed in GROUP BY");
            }
            if (!sql_append_call(b, p->entity, call)) {
                return false;
            }
            continue;
        }
        const struct sql_field *s = sql_field(p->entity->id, g->field->name);
        if (s == NULL) {
            return error_set(b->err, "pql/refused", "'%s' cannot be grouped by", g->name);
        }
        if (g->path.count > 1) {
            sql_append_below(b, s, &g->path);
        } else {
            put(b, s->expr);
        }
    }
    return true;
}

static bool append_paging(struct sql_builder *b, const struct plan *p) {
    for (size_t i = 0; i < p->order_count; i++) {
        const struct sql_field *s = sql_field(p->entity->id, p->orders[i].field->name);
        if (s == NULL) {
            return error_set(b->err, "pql/refused", "'%s' cannot be ordered by", p->orders[i].field->name);
        }
        put(b, i == 0 ? " ORDER BY " : ", ");
        put(b, s->expr);
        put(b, p->orders[i].descending ? " DESC NULLS FIRST" : " ASC NULLS LAST");
    }
    if (p->limit != PLAN_NO_LIMIT || p->offset > 0) {
        buf_printf(&b->out->text, " LIMIT %lld OFFSET %lld", (long long)p->limit, (long long)p->offset);
    }
    return true;
}

bool sql_append_subquery(struct sql_builder *b, const struct plan *p, size_t columns) {
    struct sql *out = b->out;
    put(b, "SELECT ");
    if (columns == 0) {
        put(b, sql_entity(p->entity->id)->node);
    }
    for (size_t i = 0; i < columns; i++) {
        put(b, i > 0 ? ", " : "");
        if (i < p->call_count) {
            if (!sql_append_call(b, p->entity, &p->calls[i])) {
                return false;
            }
            continue;
        }
        const struct plan_column *c = &p->columns[i - p->call_count];
        const struct sql_field *s = sql_field(p->entity->id, c->field->name);
        if (s == NULL) {
            return error_set(b->err, "pql/refused", "'%s' cannot be compared", c->name);
        }
        if (c->path.count > 1) {
            buf_append_cstr(&out->text, "pdb_text(");
            sql_append_below(b, s, &c->path);
            buf_append_cstr(&out->text, ")");
        } else {
            put(b, s->expr);
        }
    }
    return append_where(b, p) && append_groups(b, p) && append_paging(b, p);
}

static bool build(struct sql_builder *b, const struct plan *p, bool counting) {
    put(b, counting ? "SELECT count(*) FROM (SELECT " : "SELECT ");
    if (counting && p->call_count == 0 && p->group_count == 0) {
        b->out->columns[b->out->column_count++] = (struct row_column){"count", ROW_NUMBER};
        put(b, "1");
    } else if (!append_columns(b, p)) {
        return false;
    }
    if (!check_grouping(b, p) || !append_where(b, p) || !append_groups(b, p) || (!counting && !append_paging(b, p))) {
        return false;
    }
    put(b, counting ? ")" : "");
    return true;
}

static bool start(const struct plan *p, const struct sql_distinct *distinct, struct sql *out, bool counting,
                  struct error *err) {
    memset(out, 0, sizeof *out);
    out->params = json_array();
    struct sql_builder b = {.out = out, .err = err, .distinct = distinct};
    if (!build(&b, p, counting)) {
        sql_free(out);
        return false;
    }
    return true;
}

bool sql_build(const struct plan *p, const struct sql_distinct *distinct, struct sql *out, struct error *err) {
    return start(p, distinct, out, false, err);
}

bool sql_build_count(const struct plan *p, const struct sql_distinct *distinct, struct sql *out, struct error *err) {
    return start(p, distinct, out, true, err);
}

void sql_free(struct sql *s) {
    buf_free(&s->text);
    json_decref(s->params);
    s->params = NULL;
}
