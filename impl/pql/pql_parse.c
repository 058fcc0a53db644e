/* PQL → AST by recursive descent. The grammar is puppetdb.md §12; blanks count, so every rule says where they may
 * stand. No rule is tried twice over the same text with anything nested in it, so the time is linear. A text that does
 * not fit is looked at again by pql_explain(), which finds the words. */
#include "base/json.h"
#include "base/mem.h"
#include "lex.h"
#include "pql.h"
#include "values.h"
#include <string.h>

struct parser {
    struct span text;
    size_t at;
    unsigned depth;
    bool match_parts;  /* read "match(…)" as one even where a plain part would be longer */
    struct error *err; /* set only for errors that no other alternative can mend */
};

static const char *const entities[] =
    {/* longer names before those they begin with */
     "factsets",  "facts", "reports", "catalogs",     "packages",   "resources",     "nodes",
     "inventory", "edges", "events",  "environments", "fact_paths", "fact_contents", "package_inventory"};
static const char *const functions[] = {"count", "avg", "sum", "min", "max", "to_string"};

static json_t *parse_or(struct parser *p);
static json_t *parse_from(struct parser *p);
static json_t *parse_literal(struct parser *p);

static bool failed(const struct parser *p) {
    return error_is_set(p->err);
}

static bool enter(struct parser *p) {
    if (p->depth >= PQL_DEPTH_MAX) {
        return error_set(p->err, "pql/depth", "the query is nested deeper than %d levels", (int)PQL_DEPTH_MAX);
    }
    p->depth++;
    return true;
}

static void skip_blanks(struct parser *p) {
    size_t end = pql_lex_blank(p->text, p->at);
    p->at = end == PQL_NO ? p->at : end;
}

static bool take(struct parser *p, const char *literal) {
    size_t end = pql_lex_literal(p->text, p->at, literal);
    if (end == PQL_NO) {
        return false;
    }
    p->at = end;
    return true;
}

static bool take_blanks(struct parser *p) {
    size_t before = p->at;
    skip_blanks(p);
    return p->at > before;
}

/* "and", "or", "limit" …: a word with blanks on both sides. */
static bool take_joined_word(struct parser *p, const char *word) {
    size_t before = p->at;
    if (take_blanks(p) && take(p, word) && take_blanks(p)) {
        return true;
    }
    p->at = before;
    return false;
}

static const char *take_one_of(struct parser *p, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (take(p, words[i])) {
            return words[i];
        }
    }
    return NULL;
}

static json_t *text_between(const struct parser *p, size_t from) {
    return json_stringn(p->text.ptr + from, p->at - from);
}

/* Gives `list` back when ok, else drops it. */
static json_t *list_if(json_t *list, bool ok) {
    if (ok) {
        return list;
    }
    json_decref(list);
    return NULL;
}

static bool append(json_t *list, json_t *item) {
    return item != NULL && json_array_append_new(list, item) == 0;
}

/* ---------------------------------------------------------------- fields and functions */

/* A part that begins with "match(" can be read in two ways; what stands behind the plain one tells which is meant. */
static bool is_match_part(const struct parser *p, size_t plain, size_t match) {
    if (match == PQL_NO || plain == PQL_NO || p->match_parts) {
        return match != PQL_NO;
    }
    char behind = plain < p->text.len ? p->text.ptr[plain] : ' ';
    return plain < match && (behind == '"' || behind == '[' || behind == ',' || behind == ']');
}

static bool take_field_part(struct parser *p) {
    size_t quoted = pql_lex_quoted_part(p->text, p->at);
    size_t plain = pql_lex_plain_part(p->text, p->at);
    size_t match = pql_lex_match_part(p->text, p->at);
    size_t end = quoted != PQL_NO ? quoted : is_match_part(p, plain, match) ? match : plain;
    if (end == PQL_NO) {
        return false;
    }
    p->at = end;
    return true;
}

/* The parts of a dotted field; false when they cannot end where they do. */
static bool take_field_parts(struct parser *p) {
    while (take(p, ".")) {
        if (!take_field_part(p)) {
            return false;
        }
    }
    char behind = p->at < p->text.len ? p->text.ptr[p->at] : ' ';
    return behind != '"' && behind != '[';
}

static json_t *parse_field(struct parser *p) {
    static const char *const tops[] = {"facts", "trusted", "parameters"};
    size_t start = p->at;
    size_t end = pql_lex_word(p->text, start);
    if (end == PQL_NO) {
        return NULL;
    }
    p->at = end;
    bool dotted = false;
    for (size_t i = 0; i < sizeof tops / sizeof tops[0]; i++) {
        dotted = dotted || span_eq_cstr(span_sub(p->text, start, end - start), tops[i]);
    }
    if (dotted && !take_field_parts(p)) {
        bool before = p->match_parts;
        p->match_parts = true;
        p->at = end;
        bool ok = take_field_parts(p);
        p->match_parts = before;
        if (!ok) {
            p->at = start;
            return NULL;
        }
    }
    return text_between(p, start);
}

static json_t *parse_string(struct parser *p) {
    bool is_double = pql_lex_literal(p->text, p->at, "\"") != PQL_NO;
    if (!is_double && pql_lex_literal(p->text, p->at, "'") == PQL_NO) {
        return NULL;
    }
    size_t start = p->at + 1;
    size_t end = is_double ? pql_lex_in_double(p->text, start) : pql_lex_in_single(p->text, start);
    if (end >= p->text.len || p->text.ptr[end] != p->text.ptr[p->at]) {
        return NULL;
    }
    p->at = end + 1;
    struct span inside = span_sub(p->text, start, end - start);
    return is_double ? pql_value_double_quoted(inside, p->err) : pql_value_single_quoted(inside);
}

/* What follows the name of a function: (), (field), ("text"), (field, "text", …). */
static json_t *parse_arguments(struct parser *p, json_t *call) {
    skip_blanks(p);
    bool ok = take(p, "(");
    skip_blanks(p);
    json_t *first = ok ? parse_string(p) : NULL;
    first = ok && first == NULL ? parse_field(p) : first;
    if (first != NULL) {
        append(call, first);
        skip_blanks(p);
        while (ok && take(p, ",")) {
            skip_blanks(p);
            ok = append(call, parse_string(p));
            skip_blanks(p);
        }
    }
    return list_if(call, ok && take(p, ")"));
}

/* A field or a function. */
static json_t *parse_column(struct parser *p) {
    size_t start = p->at;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (take(p, functions[i])) {
            json_t *call = parse_arguments(p, json_pack("[s, s]", "function", functions[i]));
            if (call != NULL || failed(p)) {
                return call;
            }
            p->at = start;
        }
    }
    return parse_field(p);
}

/* Appends what stands between commas; at least one. */
static bool parse_list(struct parser *p, json_t *into, json_t *(*item)(struct parser *)) {
    if (!append(into, item(p))) {
        return false;
    }
    for (;;) {
        size_t before = p->at;
        skip_blanks(p);
        if (!take(p, ",")) {
            p->at = before;
            return true;
        }
        skip_blanks(p);
        if (!append(into, item(p))) {
            return false;
        }
    }
}

static json_t *parse_bracketed(struct parser *p, json_t *(*item)(struct parser *)) {
    if (!take(p, "[")) {
        return NULL;
    }
    json_t *list = json_array();
    skip_blanks(p);
    bool ok = parse_list(p, list, item);
    skip_blanks(p);
    return list_if(list, ok && take(p, "]"));
}

/* ---------------------------------------------------------------- literals */

static json_t *parse_integer(struct parser *p) {
    size_t start = p->at;
    take(p, "-");
    size_t end = pql_lex_digits(p->text, p->at);
    if (end == PQL_NO) {
        p->at = start;
        return NULL;
    }
    p->at = end;
    return pql_value_integer(span_sub(p->text, start, end - start), p->err);
}

static json_t *parse_number(struct parser *p) {
    size_t start = p->at;
    take(p, "-");
    size_t whole = pql_lex_digits(p->text, p->at);
    size_t fraction = whole != PQL_NO && whole < p->text.len && p->text.ptr[whole] == '.'
                          ? pql_lex_digits(p->text, whole + 1)
                          : PQL_NO;
    if (fraction == PQL_NO) {
        p->at = start;
        return parse_integer(p);
    }
    p->at = fraction;
    if (take(p, "e") || take(p, "E")) {
        if (!take(p, "-")) {
            take(p, "+");
        }
        size_t exponent = pql_lex_digits(p->text, p->at);
        p->at = exponent == PQL_NO ? fraction : exponent;
    }
    return pql_value_real(span_sub(p->text, start, p->at - start));
}

static json_t *parse_array(struct parser *p) {
    if (!enter(p)) {
        return NULL;
    }
    json_t *list = parse_bracketed(p, parse_literal);
    p->depth--;
    return list;
}

static json_t *parse_literal(struct parser *p) {
    char c = p->at < p->text.len ? p->text.ptr[p->at] : '\0';
    if (c == '"' || c == '\'') {
        return parse_string(p);
    }
    if (c == '[') {
        return parse_array(p);
    }
    if (take(p, "true")) {
        return json_true();
    }
    if (take(p, "false")) {
        return json_false();
    }
    return parse_number(p);
}

static json_t *parse_ordered(struct parser *p) {
    json_t *text = parse_string(p);
    return text != NULL || failed(p) ? text : parse_number(p);
}

static json_t *parse_regex_list(struct parser *p) {
    return parse_bracketed(p, parse_string);
}

/* ---------------------------------------------------------------- conditions */

/* The operators that compare, longer ones before those they begin with. */
static const struct comparison {
    const char *sign;
    const char *op;
    bool negated;
    json_t *(*right)(struct parser *p);
} comparisons[] = {
    {"~>", "~>", false, parse_regex_list}, {"~", "~", false, parse_string},  {">=", ">=", false, parse_ordered},
    {"<=", "<=", false, parse_ordered},    {">", ">", false, parse_ordered}, {"<", "<", false, parse_ordered},
    {"!=", "=", true, parse_literal},      {"!~", "~", true, parse_literal}, {"=", "=", false, parse_literal},
};

static json_t *negate(json_t *condition) {
    return condition != NULL ? json_pack("[s, o]", "not", condition) : NULL;
}

/* What stands behind "in": a query or a list of literals. */
static json_t *parse_in(struct parser *p, const json_t *left) {
    skip_blanks(p);
    bool is_list = p->at < p->text.len && p->text.ptr[p->at] == '[';
    json_t *right = is_list ? parse_bracketed(p, parse_literal) : parse_from(p);
    if (is_list && right != NULL) {
        right = json_pack("[s, o]", "array", right);
    }
    return right != NULL ? json_pack("[s, O, o]", "in", (json_t *)left, right) : NULL;
}

/* The operator and the right side of a condition whose left side has been read. */
static json_t *parse_condition_rest(struct parser *p, json_t *left) {
    skip_blanks(p);
    if (take(p, "in")) {
        return parse_in(p, left);
    }
    if (json_is_array(left)) { /* [a, b] goes with "in" only */
        return NULL;
    }
    if (take(p, "is not null")) {
        return json_pack("[s, O, b]", "null?", left, 0);
    }
    if (take(p, "is null")) {
        return json_pack("[s, O, b]", "null?", left, 1);
    }
    for (size_t i = 0; i < sizeof comparisons / sizeof comparisons[0]; i++) {
        const struct comparison *c = &comparisons[i];
        if (take(p, c->sign)) {
            skip_blanks(p);
            json_t *right = c->right(p);
            json_t *condition = right != NULL ? json_pack("[s, O, o]", c->op, left, right) : NULL;
            return c->negated ? negate(condition) : condition;
        }
    }
    return NULL;
}

static bool operator_follows(struct parser p) {
    skip_blanks(&p);
    for (size_t i = 0; i < sizeof comparisons / sizeof comparisons[0]; i++) {
        if (take(&p, comparisons[i].sign)) {
            return true;
        }
    }
    return take(&p, "in") || take(&p, "is null") || take(&p, "is not null");
}

/* A field, or columns in brackets, with an operator behind it. */
static json_t *parse_left_side(struct parser *p) {
    size_t start = p->at;
    bool grouped = start < p->text.len && p->text.ptr[start] == '[';
    bool preferred = p->match_parts;
    for (int attempt = 0; attempt < 2 && !failed(p); attempt++) {
        p->at = start;
        p->match_parts = preferred != (attempt == 1);
        json_t *left = grouped ? parse_bracketed(p, parse_column) : parse_field(p);
        p->match_parts = preferred;
        if (left != NULL && operator_follows(*p)) {
            return left;
        }
        json_decref(left);
    }
    return NULL;
}

static json_t *parse_condition(struct parser *p) {
    json_t *left = parse_left_side(p);
    json_t *condition = left != NULL ? parse_condition_rest(p, left) : NULL;
    json_decref(left);
    return condition;
}

/* ---------------------------------------------------------------- bodies: { filter, grouping or paging } */

static json_t *parse_order_item(struct parser *p) {
    if (pql_lex_literal(p->text, p->at, "asc") != PQL_NO || pql_lex_literal(p->text, p->at, "desc") != PQL_NO) {
        return NULL;
    }
    json_t *field = parse_field(p);
    size_t before = p->at;
    if (field != NULL && take_blanks(p)) {
        const char *direction = take(p, "asc") ? "asc" : take(p, "desc") ? "desc" : NULL;
        if (direction != NULL) {
            return json_pack("[o, s]", field, direction);
        }
        p->at = before;
    }
    return field;
}

static json_t *parse_order_by(struct parser *p) {
    json_t *items = json_array();
    bool ok = take_blanks(p) && parse_list(p, items, parse_order_item);
    items = list_if(items, ok);
    return items != NULL ? json_pack("[s, o]", "order_by", items) : NULL;
}

static json_t *parse_count(struct parser *p, const char *name) {
    json_t *count = take_blanks(p) ? parse_integer(p) : NULL;
    return count != NULL ? json_pack("[s, o]", name, count) : NULL;
}

static json_t *parse_group_by(struct parser *p) {
    json_t *group = json_pack("[s]", "group_by");
    return list_if(group, take_blanks(p) && parse_list(p, group, parse_column));
}

/* Grouping, or any number of paging clauses, appended to `clauses`. */
static bool parse_clauses(struct parser *p, json_t *clauses) {
    if (take(p, "group by")) {
        return append(clauses, parse_group_by(p));
    }
    for (;;) {
        json_t *clause;
        if (take(p, "limit")) {
            clause = parse_count(p, "limit");
        } else if (take(p, "offset")) {
            clause = parse_count(p, "offset");
        } else if (take(p, "order by")) {
            clause = parse_order_by(p);
        } else {
            return true;
        }
        if (!append(clauses, clause)) {
            return false;
        }
        skip_blanks(p);
    }
}

/* Reads a body; *filter is NULL when there is none. `clauses` collects grouping and paging. */
static bool parse_body(struct parser *p, json_t **filter, json_t *clauses) {
    *filter = NULL;
    if (!take(p, "{")) {
        return false;
    }
    skip_blanks(p);
    size_t start = p->at;
    *filter = parse_or(p);
    if (*filter != NULL) {
        skip_blanks(p);
        if (parse_clauses(p, clauses)) {
            skip_blanks(p);
            if (take(p, "}")) {
                return true;
            }
        }
        json_decref(*filter);
        *filter = NULL;
        json_array_clear(clauses);
    }
    p->at = start; /* "limit" and "group" are field names as well */
    if (!failed(p) && parse_clauses(p, clauses)) {
        skip_blanks(p);
        return take(p, "}");
    }
    return false;
}

static json_t *parse_subquery(struct parser *p) {
    size_t start = p->at;
    const char *entity = take_one_of(p, entities, sizeof entities / sizeof entities[0]);
    if (entity == NULL || !enter(p)) {
        return NULL;
    }
    skip_blanks(p);
    json_t *filter;
    json_t *clauses = json_array();
    bool ok = parse_body(p, &filter, clauses);
    p->depth--;
    /* PuppetDB lets through one thing in the braces, be it a paging clause, and falls over two. */
    json_t *query = NULL;
    if (ok && json_array_size(clauses) + (filter != NULL) > 1) {
        error_set(p->err, "pql/subquery", "An implicit subquery takes a filter only: %.*s", (int)(p->at - start),
                  p->text.ptr + start);
    } else if (ok) {
        query = json_pack("[s, s]", "subquery", entity);
        json_array_extend(query, clauses);
        if (filter != NULL) {
            json_array_append(query, filter);
        }
    }
    json_decref(filter);
    json_decref(clauses);
    return query;
}

static json_t *parse_group(struct parser *p) {
    if (!take(p, "(") || !enter(p)) {
        return NULL;
    }
    skip_blanks(p);
    json_t *inner = parse_or(p);
    p->depth--;
    skip_blanks(p);
    return list_if(inner, inner != NULL && take(p, ")"));
}

static json_t *parse_primary(struct parser *p) {
    static json_t *(*const alternatives[])(struct parser *) = {parse_group, parse_condition, parse_subquery};
    size_t start = p->at;
    json_t *found = NULL;
    for (size_t i = 0; i < 3 && found == NULL && !failed(p); i++) {
        p->at = start;
        found = alternatives[i](p);
    }
    return found;
}

static json_t *parse_not(struct parser *p) {
    if (!take(p, "!")) {
        return parse_primary(p);
    }
    if (!enter(p)) {
        return NULL;
    }
    skip_blanks(p);
    json_t *inner = negate(parse_not(p));
    p->depth--;
    return inner;
}

/* a WORD b WORD c → [WORD, a, b, c]; a alone stays a. */
static json_t *parse_joined(struct parser *p, const char *word, json_t *(*operand)(struct parser *)) {
    json_t *first = operand(p);
    json_t *list = NULL;
    for (;;) {
        size_t before = p->at;
        if (first == NULL || !take_joined_word(p, word)) {
            return list != NULL ? list : first;
        }
        json_t *next = operand(p);
        if (next == NULL) {
            p->at = before; /* "or" may be the beginning of a word: then the body goes on here */
            if (failed(p)) {
                json_decref(list != NULL ? list : first);
                return NULL;
            }
            return list != NULL ? list : first;
        }
        if (list == NULL) {
            list = json_pack("[s, o]", word, first);
        }
        append(list, next);
    }
}

static json_t *parse_and(struct parser *p) {
    return parse_joined(p, "and", parse_not);
}

static json_t *parse_or(struct parser *p) {
    return parse_joined(p, "or", parse_and);
}

/* ---------------------------------------------------------------- queries */

/* [columns]; false when there is a bracket but no projection. *extract stays NULL without a bracket. */
static bool parse_projection(struct parser *p, json_t **extract) {
    *extract = NULL;
    if (!take(p, "[")) {
        return true;
    }
    skip_blanks(p);
    json_t *columns = json_array();
    if (pql_lex_literal(p->text, p->at, "]") == PQL_NO && !parse_list(p, columns, parse_column)) {
        json_decref(columns);
        return false;
    }
    *extract = json_pack("[s, o]", "extract", columns);
    skip_blanks(p);
    return take(p, "]");
}

/* ["from", entity, ["extract", columns, filter, grouping], paging…], as puppetdb.md §13 has it. */
static json_t *build_from(const char *entity, json_t *extract, json_t *filter, json_t *clauses) {
    json_t *from = json_pack("[s, s]", "from", entity);
    json_t *target = extract != NULL ? extract : from;
    if (extract != NULL) {
        json_array_append(from, extract);
    }
    if (filter != NULL) {
        json_array_append(target, filter);
    }
    size_t i;
    json_t *clause;
    json_array_foreach(clauses, i, clause) {
        bool grouping = strcmp(json_string_value(json_array_get(clause, 0)), "group_by") == 0;
        json_array_append(grouping ? target : from, clause);
    }
    return from;
}

static json_t *parse_from(struct parser *p) {
    const char *entity = take_one_of(p, entities, sizeof entities / sizeof entities[0]);
    if (entity == NULL || !enter(p)) {
        return NULL;
    }
    skip_blanks(p);
    json_t *extract, *filter = NULL, *from = NULL;
    json_t *clauses = json_array();
    bool ok = parse_projection(p, &extract);
    skip_blanks(p);
    if (ok && parse_body(p, &filter, clauses)) {
        from = build_from(entity, extract, filter, clauses);
    }
    p->depth--;
    json_decref(extract);
    json_decref(filter);
    json_decref(clauses);
    return from;
}

json_t *pql_parse(struct span text, struct error *err) {
    if (!span_is_utf8(text)) {
        error_set(err, "pql/syntax", "The query is not UTF-8");
        return NULL;
    }
    struct error inner = ERROR_INIT;
    for (int match_parts = 0; match_parts < 2 && !error_is_set(&inner); match_parts++) {
        struct parser p = {.text = text, .err = &inner, .match_parts = match_parts != 0};
        skip_blanks(&p);
        json_t *query = parse_from(&p);
        skip_blanks(&p);
        if (query != NULL && p.at == text.len) {
            return query;
        }
        json_decref(query);
    }
    /* A value that cannot be read, in a text that is wrong anyway: the grammar speaks first. */
    char *why = error_is(&inner, "pql/depth") ? NULL : pql_explain(text);
    if (why != NULL) {
        error_set(err, "pql/syntax", "%s", why);
        mem_free(why);
        error_clear(&inner);
    } else {
        error_move(err, &inner);
    }
    return NULL;
}
