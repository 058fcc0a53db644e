/* The rules of PQL as PuppetDB 7 has them, and the reader of their notation:
 *
 *   'x' text · word rule · /x/ terminal · a b sequence · a | b choice · [a] option · {a} any number · (a)+ one or more
 *   !(a) not here · <a> leaves nothing in the tree · _ optional blanks · __ blanks
 *
 * The order of choices and the way rules are cut decide the order in which expectations are found. */
#include "grammar.h"
#include "base/mem.h"
#include "lex.h"
#include <assert.h>
#include <string.h>

static const struct terminal terminals[] = {
    {"blank", "#\"\\s+\"", pql_lex_blank},
    {"word", "#\"[a-zA-Z0-9_]+\\??\"", pql_lex_word},
    {"quoted", "#\"\\\".*?\\\"(?=\\.|\\s)\"", pql_lex_quoted_part},
    {"match", "#\"match\\(.*?\\)\"", pql_lex_match_part},
    {"plain", "#\"[^\\s\\.\\\",\\[\\]!<=>~]+(\\[\\d+\\])?\"", pql_lex_plain_part},
    {"double", "#\"(?:[^\\\"\\\\]|\\\\.)*\"", pql_lex_in_double},
    {"single", "#\"(?:[^\\'\\\\]|\\\\.)*\"", pql_lex_in_single},
    {"digits", "#\"[0-9]+\"", pql_lex_digits},
};

/* What a rule leaves in the tree: a node of its own, or only what its parts leave. */
enum leaves { NODE, PARTS };

static const struct rule {
    const char *name;
    enum leaves leaves;
    const char *body;
} rules[] = {
    {"query", PARTS, "_ from _"},
    {"from", NODE, "entity [_ extract] _ where"},
    {"extract", NODE, "<lbracket> _ [columns] _ <rbracket>"},
    {"columns", PARTS, "fieldlist"},
    {"where", PARTS, "<lbrace> _ [expression] _ [groupclause | {pageclause _}] {__} <rbrace>"},
    {"entity", PARTS,
     "'facts' | 'reports' | 'catalogs' | 'packages' | 'package_inventory' | 'resources' | 'nodes' | 'environments' | "
     "'factsets' | 'fact_paths' | 'fact_contents' | 'inventory' | 'edges' | 'events'"},
    {"expression", PARTS, "or_expr"},
    {"or_expr", NODE, "and_expr {__ or __ or_expr}"},
    {"and_expr", NODE, "not_expr {__ and __ and_expr}"},
    {"not_expr", NODE, "(not _ not_expr) | rest_expr"},
    {"rest_expr", PARTS, "(<lparen> _ expression _ <rparen>) | condition | nulltest | subquery"},
    {"subquery", NODE, "entity _ where"},
    {"condition", NODE, "(c_regexp | c_paths | c_order | c_equal | c_unequal | c_unlike | c_in)"},
    {"c_regexp", PARTS, "field _ o_regexp _ v_regexp"},
    {"c_paths", PARTS, "field _ o_paths _ v_paths"},
    {"c_order", PARTS, "field _ o_order _ v_order"},
    {"c_equal", PARTS, "field _ o_equal _ literal"},
    {"c_unequal", PARTS, "field _ o_unequal _ literal"},
    {"c_unlike", PARTS, "field _ o_unlike _ literal"},
    {"c_in", PARTS, "(field | fieldgroup) _ o_in _ v_in"},
    {"nulltest", NODE, "field _ (isnull | isnotnull)"},
    {"isnull", NODE, "<'is null'>"},
    {"isnotnull", NODE, "<'is not null'>"},
    {"fieldgroup", NODE, "<lbracket> _ fieldlist _ <rbracket>"},
    {"fieldlist", PARTS, "(field | function) {_ <','> _ (field | function)}"},
    {"function", NODE, "functionname _ arguments"},
    {"functionname", PARTS, "'count' | 'avg' | 'sum' | 'min' | 'max' | 'to_string'"},
    {"arguments", NODE, "<lparen> _ [arglist] _ <rparen>"},
    {"arglist", PARTS, "(field | string) [_ <','> _ stringlist]"},
    {"stringlist", PARTS, "string {_ <','> _ string}"},
    {"field", NODE, "/word/ | (dottedtop path)"},
    {"path", PARTS, "(<'.'> (quotedpart | plainpart | matchpart))+"},
    {"quotedpart", PARTS, "/quoted/"},
    {"matchpart", PARTS, "/match/"},
    {"plainpart", PARTS, "/plain/"},
    {"dottedtop", PARTS, "'facts' | 'trusted' | 'parameters'"},
    {"o_regexp", PARTS, "'~'"},
    {"o_paths", PARTS, "'~>'"},
    {"o_order", PARTS, "'>=' | '<=' | '<' | '>'"},
    {"o_equal", PARTS, "'='"},
    {"o_unequal", PARTS, "'!='"},
    {"o_unlike", PARTS, "'!~'"},
    {"o_in", PARTS, "'in'"},
    {"v_regexp", PARTS, "string"},
    {"v_paths", PARTS, "regexpgroup"},
    {"v_order", PARTS, "integer | real | string"},
    {"v_in", PARTS, "query | literalgroup"},
    {"regexpgroup", NODE, "<lbracket> _ regexplist _ <rbracket>"},
    {"regexplist", PARTS, "string {_ <','> _ string}"},
    {"literalgroup", NODE, "<lbracket> _ literallist _ <rbracket>"},
    {"literallist", PARTS, "literal {_ <','> _ literal}"},
    {"and", PARTS, "<'and'>"},
    {"or", PARTS, "<'or'>"},
    {"not", NODE, "<'!'>"},
    {"string", PARTS, "dqstring | sqstring"},
    {"dqstring", NODE, "(<doublequote> indouble <doublequote>)"},
    {"indouble", PARTS, "/double/"},
    {"doublequote", PARTS, "'\"'"},
    {"sqstring", NODE, "(<singlequote> insingle <singlequote>)"},
    {"insingle", PARTS, "/single/"},
    {"singlequote", PARTS, "'''"},
    {"groupclause", PARTS, "groupby"},
    {"groupby", NODE, "<'group by'> __ fieldlist"},
    {"pageclause", PARTS, "limit | offset | orderby"},
    {"limit", NODE, "<'limit'> __ integer"},
    {"offset", NODE, "<'offset'> __ integer"},
    {"orderby", NODE, "<'order by'> __ orderitem [orderlist]"},
    {"orderlist", PARTS, "(<','> _ orderitem)+"},
    {"orderitem", NODE, "!('asc' | 'desc') field [__ direction] _"},
    {"direction", PARTS, "'asc' | 'desc'"},
    {"lparen", PARTS, "'('"},
    {"rparen", PARTS, "')'"},
    {"lbrace", PARTS, "'{'"},
    {"rbrace", PARTS, "'}'"},
    {"lbracket", PARTS, "'['"},
    {"rbracket", PARTS, "']'"},
    {"boolean", NODE, "true | false"},
    {"true", NODE, "<'true'>"},
    {"false", NODE, "<'false'>"},
    {"array", NODE, "lbracket _ literallist _ rbracket"},
    {"literal", PARTS, "string | integer | real | boolean | array"},
    {"integer", NODE, "[negative] digits"},
    {"real", NODE, "[negative] digits '.' digits [exp]"},
    {"exp", NODE, "(<'E'> | <'e'>) [negative | positive] digits"},
    {"digits", PARTS, "/digits/"},
    {"negative", PARTS, "'-'"},
    {"positive", PARTS, "'+'"},
    {"whitespace", PARTS, "/blank/"},
};

enum { RULE_COUNT = sizeof rules / sizeof rules[0] };

/* ---------------------------------------------------------------- parts */

static bool same_part(const struct part *a, const struct part *b) {
    return a->tag == b->tag && a->hidden == b->hidden && a->tree == b->tree && span_eq(a->string, b->string) &&
           a->terminal == b->terminal && a->rule == b->rule && a->kid_count == b->kid_count &&
           memcmp(a->kids, b->kids, (size_t)a->kid_count * sizeof a->kids[0]) == 0;
}

static int intern(struct grammar *g, const struct part *wanted) {
    for (int i = 0; i < g->part_count; i++) {
        if (same_part(&g->parts[i], wanted)) {
            return i;
        }
    }
    assert(g->part_count < GRAMMAR_PARTS_MAX);
    g->parts[g->part_count] = *wanted;
    return g->part_count++;
}

static int wrap(struct grammar *g, enum part_tag tag, int kid) {
    return intern(g, &(struct part){.tag = tag, .kids = {kid}, .kid_count = 1});
}

static int hide(struct grammar *g, int id) {
    struct part hidden = g->parts[id];
    hidden.hidden = true;
    return intern(g, &hidden);
}

static int rule_part(struct grammar *g, struct span name) {
    for (int i = 0; i < RULE_COUNT; i++) {
        if (span_eq_cstr(name, rules[i].name)) {
            return intern(g, &(struct part){.tag = PART_RULE, .rule = i});
        }
    }
    assert(false && "a rule that is not there");
    return -1;
}

static int terminal_part(struct grammar *g, struct span name) {
    for (size_t i = 0; i < sizeof terminals / sizeof terminals[0]; i++) {
        if (span_eq_cstr(name, terminals[i].name)) {
            return intern(g, &(struct part){.tag = PART_TERMINAL, .terminal = &terminals[i]});
        }
    }
    assert(false && "a terminal that is not there");
    return -1;
}

/* ---------------------------------------------------------------- the notation */

struct notation {
    struct grammar *g;
    const char *at;
};

static int read_choice(struct notation *n);

static void skip_spaces(struct notation *n) {
    while (*n->at == ' ') {
        n->at++;
    }
}

/* The text up to `end`, which is passed over. */
static struct span read_until(struct notation *n, char end) {
    const char *stop = strchr(n->at + 1, end); /* at least one character: ''' is a quote */
    struct span text = span_bytes(n->at, (size_t)(stop - n->at));
    n->at = stop + 1;
    return text;
}

static int read_inside(struct notation *n, char close) {
    n->at++;
    int id = read_choice(n);
    skip_spaces(n);
    assert(*n->at == close);
    n->at++;
    return id;
}

static int read_name(struct notation *n) {
    const char *start = n->at;
    while (*n->at == '_' || (*n->at >= 'a' && *n->at <= 'z')) {
        n->at++;
    }
    struct span name = span_bytes(start, (size_t)(n->at - start));
    if (span_eq_cstr(name, "_") || span_eq_cstr(name, "__")) {
        int blanks = hide(n->g, rule_part(n->g, SPAN("whitespace")));
        return name.len == 1 ? wrap(n->g, PART_OPTION, blanks) : blanks;
    }
    return rule_part(n->g, name);
}

static int read_item(struct notation *n) {
    skip_spaces(n);
    switch (*n->at) {
    case '\'':
        n->at++;
        return intern(n->g, &(struct part){.tag = PART_STRING, .string = read_until(n, '\'')});
    case '/':
        n->at++;
        return terminal_part(n->g, read_until(n, '/'));
    case '[':
        return wrap(n->g, PART_OPTION, read_inside(n, ']'));
    case '{':
        return wrap(n->g, PART_STAR, read_inside(n, '}'));
    case '<':
        return hide(n->g, read_inside(n, '>'));
    case '!':
        n->at++;
        return wrap(n->g, PART_NOT, read_inside(n, ')'));
    case '(': {
        int id = read_inside(n, ')');
        if (*n->at == '+') {
            n->at++;
            return wrap(n->g, PART_PLUS, id);
        }
        return id;
    }
    default:
        return read_name(n);
    }
}

static bool item_follows(struct notation *n) {
    skip_spaces(n);
    return *n->at != '\0' && strchr("|])}>", *n->at) == NULL;
}

static int read_sequence(struct notation *n) {
    struct part sequence = {.tag = PART_SEQUENCE};
    while (item_follows(n)) {
        assert(sequence.kid_count < PART_KIDS_MAX);
        sequence.kids[sequence.kid_count++] = read_item(n);
    }
    return sequence.kid_count == 1 ? sequence.kids[0] : intern(n->g, &sequence);
}

static int read_choice(struct notation *n) {
    struct part choice = {.tag = PART_CHOICE};
    do {
        assert(choice.kid_count < PART_KIDS_MAX);
        choice.kids[choice.kid_count++] = read_sequence(n);
        skip_spaces(n);
    } while (*n->at == '|' && n->at++ != NULL);
    return choice.kid_count == 1 ? choice.kids[0] : intern(n->g, &choice);
}

struct grammar *grammar_new(void) {
    struct grammar *g = mem_zalloc(sizeof *g);
    for (int i = 0; i < RULE_COUNT; i++) {
        struct notation n = {g, rules[i].body};
        struct part body = g->parts[read_choice(&n)];
        assert(*n.at == '\0');
        body.tree = rules[i].leaves == NODE ? 2 + i : 1;
        g->bodies[i] = intern(g, &body);
    }
    return g;
}
