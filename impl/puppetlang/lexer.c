/* Characters to tokens. */
#include "puppetlang/lexer.h"
#include <ctype.h>
#include <string.h>

static const char *const keywords[PL_KEYWORD_COUNT] = {
    [PL_KW_AND] = "and",
    [PL_KW_ATTR] = "attr",
    [PL_KW_CASE] = "case",
    [PL_KW_CLASS] = "class",
    [PL_KW_DEFAULT] = "default",
    [PL_KW_DEFINE] = "define",
    [PL_KW_ELSE] = "else",
    [PL_KW_ELSIF] = "elsif",
    [PL_KW_FALSE] = "false",
    [PL_KW_FUNCTION] = "function",
    [PL_KW_IF] = "if",
    [PL_KW_IN] = "in",
    [PL_KW_INHERITS] = "inherits",
    [PL_KW_NODE] = "node",
    [PL_KW_OR] = "or",
    [PL_KW_PRIVATE] = "private",
    [PL_KW_TRUE] = "true",
    [PL_KW_TYPE] = "type",
    [PL_KW_UNDEF] = "undef",
    [PL_KW_UNLESS] = "unless",
    [PL_KW_PLAN] = "plan",
    [PL_KW_APPLY] = "apply",
    [PL_KW_APPLICATION] = "application",
    [PL_KW_CONSUMES] = "consumes",
    [PL_KW_PRODUCES] = "produces",
    [PL_KW_SITE] = "site",
};

static const char *const puncts[PL_PUNCT_COUNT] = {
    [PL_P_LBRACE] = "{",        [PL_P_RBRACE] = "}",      [PL_P_LPAREN] = "(",       [PL_P_RPAREN] = ")",
    [PL_P_LBRACK] = "[",        [PL_P_RBRACK] = "]",      [PL_P_COMMA] = ",",        [PL_P_SEMI] = ";",
    [PL_P_COLON] = ":",         [PL_P_DOT] = ".",         [PL_P_QMARK] = "?",        [PL_P_PIPE] = "|",
    [PL_P_ARROW] = "=>",        [PL_P_PLUS_ARROW] = "+>", [PL_P_ASSIGN] = "=",       [PL_P_PLUS_ASSIGN] = "+=",
    [PL_P_MINUS_ASSIGN] = "-=", [PL_P_EQ] = "==",         [PL_P_NE] = "!=",          [PL_P_LT] = "<",
    [PL_P_LE] = "<=",           [PL_P_GT] = ">",          [PL_P_GE] = ">=",          [PL_P_MATCH] = "=~",
    [PL_P_NOMATCH] = "!~",      [PL_P_PLUS] = "+",        [PL_P_MINUS] = "-",        [PL_P_STAR] = "*",
    [PL_P_SLASH] = "/",         [PL_P_PERCENT] = "%",     [PL_P_SHL] = "<<",         [PL_P_SHR] = ">>",
    [PL_P_NOT] = "!",           [PL_P_AT] = "@",          [PL_P_ATAT] = "@@",        [PL_P_EDGE] = "->",
    [PL_P_NOTIFY] = "~>",       [PL_P_EDGE_BACK] = "<-",  [PL_P_NOTIFY_BACK] = "<~", [PL_P_LCOLLECT] = "<|",
    [PL_P_RCOLLECT] = "|>",     [PL_P_LLCOLLECT] = "<<|", [PL_P_RRCOLLECT] = "|>>",
};

const char *pl_keyword_text(enum pl_keyword keyword) {
    return keywords[keyword];
}

const char *pl_punct_text(enum pl_punct punct) {
    return puncts[punct];
}

void pl_position(struct span source, size_t at, unsigned *line, unsigned *column) {
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < at && i < source.len; i++) {
        unsigned char c = (unsigned char)source.ptr[i];
        if (c == '\n') {
            (*line)++;
            *column = 1;
        } else if ((c & 0xC0) != 0x80) {
            (*column)++;
        }
    }
}

bool pl_fail(struct error *err, const char *kind, struct span source, size_t at, const char *format, ...) {
    unsigned line, column;
    struct buf b = BUF_INIT;
    va_list args;
    pl_position(source, at, &line, &column);
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    error_set_details(err, kind, json_pack("{s:i, s:i}", "line", (int)line, "column", (int)column), "%s", b.ptr);
    buf_free(&b);
    return false;
}

void pl_lexer_init(struct pl_lexer *l, struct span source, enum pl_dialect dialect) {
    *l = (struct pl_lexer){.source = source, .dialect = dialect};
}

static char at(const struct pl_lexer *l, size_t ahead) {
    return l->at + ahead < l->source.len ? l->source.ptr[l->at + ahead] : '\0';
}

static bool is_word(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

static bool fail(const struct pl_lexer *l, struct error *err, const char *kind, size_t where, const char *what) {
    return pl_fail(err, kind, l->source, where, "%s", what);
}

/* Past a line break: a line with heredocs goes on behind their texts. */
static void newline(struct pl_lexer *l) {
    l->at++;
    if (l->heredoc_next != 0) {
        l->at = l->heredoc_next;
        l->heredoc_next = 0;
    }
}

static bool skip_blanks(struct pl_lexer *l, bool *blank, bool *line_break, struct error *err) {
    *blank = l->at == 0;
    *line_break = l->at == 0;
    for (;;) {
        char c = at(l, 0);
        if (c == '\n') {
            *blank = *line_break = true;
            newline(l);
        } else if (l->at < l->source.len && (c == ' ' || c == '\t' || c == '\r')) {
            *blank = true;
            l->at++;
        } else if (c == '#') {
            *blank = true;
            while (l->at < l->source.len && at(l, 0) != '\n') {
                l->at++;
            }
        } else if (c == '/' && at(l, 1) == '*') {
            size_t start = l->at;
            *blank = true;
            l->at += 2;
            while (l->at < l->source.len && !(at(l, 0) == '*' && at(l, 1) == '/')) {
                if (at(l, 0) == '\n') {
                    *line_break = true;
                }
                l->at++;
            }
            if (l->at >= l->source.len) {
                return fail(l, err, "puppetlang/unclosed", start, "a comment is not closed");
            }
            l->at += 2;
        } else {
            return true;
        }
    }
}

static void finish(struct pl_lexer *l, struct pl_token *t, enum pl_token_kind kind, size_t end) {
    t->kind = kind;
    t->text = span_sub(l->source, t->at, end - t->at);
    l->at = end;
}

static size_t word_end(const struct pl_lexer *l, size_t from) {
    while (from < l->source.len && is_word(l->source.ptr[from])) {
        from++;
    }
    return from;
}

/* "::" and a segment that begins as it should follow here. */
static bool segment_follows(const struct pl_lexer *l, size_t from, bool upper) {
    if (from + 2 >= l->source.len || l->source.ptr[from] != ':' || l->source.ptr[from + 1] != ':') {
        return false;
    }
    char c = l->source.ptr[from + 2];
    return upper ? c >= 'A' && c <= 'Z' : (c >= 'a' && c <= 'z') || c == '_';
}

static bool keyword_here(const struct pl_lexer *l, struct span text, int *which) {
    for (int k = 0; k < PL_KEYWORD_COUNT; k++) {
        bool ours = k < PL_KW_PLAN || (k <= PL_KW_APPLY && l->dialect == PL_DIALECT_PLAN) ||
                    (k >= PL_KW_APPLICATION && l->dialect == PL_DIALECT_APP);
        if (ours && span_eq_cstr(text, keywords[k])) {
            *which = k;
            return true;
        }
    }
    return false;
}

/* A dash inside a bare word: followed by more of the word, not by an arrow or a blank. */
static size_t dashed_end(const struct pl_lexer *l, size_t end, bool *dashed) {
    while (end < l->source.len && l->source.ptr[end] == '-') {
        size_t dashes = end;
        while (dashes < l->source.len && l->source.ptr[dashes] == '-') {
            dashes++;
        }
        size_t next = word_end(l, dashes);
        if (next == dashes) {
            break;
        }
        *dashed = true;
        end = next;
    }
    return end;
}

static bool lex_name(struct pl_lexer *l, struct pl_token *t) {
    size_t start = l->at + (at(l, 0) == ':' ? 2 : 0);
    size_t end = word_end(l, start);
    bool dashed = false;
    bool underscore = l->source.ptr[start] == '_';
    end = dashed_end(l, end, &dashed);
    while (segment_follows(l, end, false)) {
        underscore = underscore || l->source.ptr[end + 2] == '_';
        end = dashed_end(l, word_end(l, end + 2), &dashed);
    }
    finish(l, t, dashed || underscore ? PL_TOKEN_WORD : PL_TOKEN_NAME, end);
    if (t->kind == PL_TOKEN_NAME && keyword_here(l, t->text, &t->which)) {
        t->kind = PL_TOKEN_KEYWORD;
    }
    return true;
}

static bool lex_typename(struct pl_lexer *l, struct pl_token *t) {
    size_t end = word_end(l, l->at + (at(l, 0) == ':' ? 2 : 0));
    while (segment_follows(l, end, true)) {
        end = word_end(l, end + 2);
    }
    finish(l, t, PL_TOKEN_TYPENAME, end);
    return true;
}

bool pl_variable_end(struct span source, size_t from, size_t *end) {
    size_t i = from;
    bool any = false;
    if (i + 2 < source.len && source.ptr[i] == ':' && source.ptr[i + 1] == ':' && is_word(source.ptr[i + 2])) {
        i += 2;
    }
    for (;;) {
        size_t start = i;
        while (i < source.len && is_word(source.ptr[i])) {
            i++;
        }
        any = any || i > start;
        if (!any || i + 2 >= source.len || source.ptr[i] != ':' || source.ptr[i + 1] != ':' ||
            !is_word(source.ptr[i + 2])) {
            break;
        }
        i += 2;
    }
    *end = i;
    return any;
}

/* Digits only, or segments that begin with a small letter or "_". */
static bool variable_legal(struct span name) {
    bool digits = true;
    for (size_t i = 0; i < name.len; i++) {
        digits = digits && isdigit((unsigned char)name.ptr[i]);
    }
    if (digits) {
        return name.len == 1 || name.ptr[0] != '0';
    }
    bool start = true;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (c == ':') {
            start = true;
        } else if (start && !((c >= 'a' && c <= 'z') || c == '_')) {
            return false;
        } else {
            start = false;
        }
    }
    return true;
}

static bool lex_variable(struct pl_lexer *l, struct pl_token *t, struct error *err) {
    size_t end;
    if (!pl_variable_end(l->source, l->at + 1, &end)) {
        return fail(l, err, "puppetlang/syntax", l->at, "a $ without the name of a variable");
    }
    struct span name = span_sub(l->source, l->at + 1, end - l->at - 1);
    if (!variable_legal(name)) {
        return fail(l, err, "puppetlang/bad-name", l->at, "illegal name of a variable");
    }
    finish(l, t, PL_TOKEN_VARIABLE, end);
    return true;
}

static size_t digits_end(const struct pl_lexer *l, size_t from) {
    while (from < l->source.len && isdigit((unsigned char)l->source.ptr[from])) {
        from++;
    }
    return from;
}

static bool bad_number(const struct pl_lexer *l, struct error *err) {
    return fail(l, err, "puppetlang/bad-number", l->at, "illegal number");
}

static bool lex_hex(struct pl_lexer *l, struct pl_token *t, struct error *err) {
    size_t end = l->at + 2;
    while (end < l->source.len && isxdigit((unsigned char)l->source.ptr[end])) {
        end++;
    }
    if (end == l->at + 2 || (end < l->source.len && is_word(l->source.ptr[end]))) {
        return bad_number(l, err);
    }
    finish(l, t, PL_TOKEN_INTEGER, end);
    return true;
}

static bool lex_number(struct pl_lexer *l, struct pl_token *t, struct error *err) {
    if (at(l, 0) == '0' && (at(l, 1) == 'x' || at(l, 1) == 'X')) {
        return lex_hex(l, t, err);
    }
    size_t whole = digits_end(l, l->at), end = whole;
    bool is_float = false;
    if (end + 1 < l->source.len && l->source.ptr[end] == '.' && isdigit((unsigned char)l->source.ptr[end + 1])) {
        is_float = true;
        end = digits_end(l, end + 1);
    }
    if (end < l->source.len && (l->source.ptr[end] == 'e' || l->source.ptr[end] == 'E')) {
        size_t digits = end + 1 + (end + 1 < l->source.len && l->source.ptr[end + 1] == '-');
        size_t exp_end = digits_end(l, digits);
        if (exp_end == digits) {
            return bad_number(l, err);
        }
        is_float = true;
        end = exp_end;
    }
    bool leading_zero = at(l, 0) == '0' && whole > l->at + 1;
    bool octal = true;
    for (size_t i = l->at; i < whole; i++) {
        octal = octal && l->source.ptr[i] < '8';
    }
    if ((end < l->source.len && is_word(l->source.ptr[end])) || (leading_zero && (is_float || !octal))) {
        return bad_number(l, err);
    }
    finish(l, t, is_float ? PL_TOKEN_FLOAT : PL_TOKEN_INTEGER, end);
    return true;
}

static bool lex_single_quoted(struct pl_lexer *l, struct pl_token *t, struct error *err) {
    size_t i = l->at + 1;
    while (i < l->source.len && l->source.ptr[i] != '\'') {
        i += l->source.ptr[i] == '\\' && i + 1 < l->source.len ? 2 : 1;
    }
    if (i >= l->source.len) {
        return fail(l, err, "puppetlang/unclosed", l->at, "a string is not closed");
    }
    finish(l, t, PL_TOKEN_STRING, i + 1);
    return true;
}

/* The end of a regular expression on this line, or 0. */
static size_t regex_end(const struct pl_lexer *l) {
    for (size_t i = l->at + 1; i < l->source.len && l->source.ptr[i] != '\n'; i++) {
        if (l->source.ptr[i] == '/') {
            return i + 1;
        }
        i += l->source.ptr[i] == '\\' && i + 1 < l->source.len && l->source.ptr[i + 1] != '\n';
    }
    return 0;
}

static bool lex_heredoc(struct pl_lexer *l, struct pl_token *t, struct error *err) {
    size_t end = l->at;
    while (end < l->source.len && l->source.ptr[end] != ')' && l->source.ptr[end] != '\n') {
        end++;
    }
    if (end >= l->source.len || l->source.ptr[end] != ')') {
        return fail(l, err, "puppetlang/heredoc", l->at, "the @( of a heredoc is not closed");
    }
    finish(l, t, PL_TOKEN_HEREDOC, end + 1);
    return true;
}

/* The longest mark that stands here. */
static bool lex_punct(struct pl_lexer *l, struct pl_token *t, struct error *err) {
    struct span rest = span_sub(l->source, l->at, 3);
    size_t best = 0;
    for (int p = 0; p < PL_PUNCT_COUNT; p++) {
        size_t len = strlen(puncts[p]);
        if (len > best && rest.len >= len && memcmp(rest.ptr, puncts[p], len) == 0) {
            best = len;
            t->which = p;
        }
    }
    if (best == 0) {
        return fail(l, err, "puppetlang/syntax", l->at, "a character that means nothing here");
    }
    finish(l, t, PL_TOKEN_PUNCT, l->at + best);
    return true;
}

static bool lex(struct pl_lexer *l, struct pl_token *t, struct error *err) {
    char c = at(l, 0), next = at(l, 1);
    if (l->at >= l->source.len) {
        finish(l, t, PL_TOKEN_END, l->at);
        return true;
    }
    if ((c >= 'a' && c <= 'z') || c == '_') {
        return lex_name(l, t);
    }
    if (c >= 'A' && c <= 'Z') {
        return lex_typename(l, t);
    }
    if (c == ':' && next == ':') {
        char first = at(l, 2);
        return first >= 'A' && first <= 'Z'                     ? lex_typename(l, t)
               : (first >= 'a' && first <= 'z') || first == '_' ? lex_name(l, t)
                                                                : lex_punct(l, t, err);
    }
    if (isdigit((unsigned char)c)) {
        return lex_number(l, t, err);
    }
    switch (c) {
    case '$':
        return lex_variable(l, t, err);
    case '\'':
        return lex_single_quoted(l, t, err);
    case '"':
        finish(l, t, PL_TOKEN_DQ, l->at + 1);
        return true;
    case '/':
        if (!l->operand_before && regex_end(l) != 0) {
            finish(l, t, PL_TOKEN_REGEX, regex_end(l));
            return true;
        }
        break;
    case '@':
        if (next == '(') {
            return lex_heredoc(l, t, err);
        }
        break;
    default:
        break;
    }
    return lex_punct(l, t, err);
}

static bool ends_operand(const struct pl_token *t) {
    switch (t->kind) {
    case PL_TOKEN_END:
    case PL_TOKEN_DQ:
        return false;
    case PL_TOKEN_KEYWORD:
        return t->which == PL_KW_TRUE || t->which == PL_KW_FALSE;
    case PL_TOKEN_PUNCT:
        return t->which == PL_P_RPAREN || t->which == PL_P_RBRACK;
    default:
        return true;
    }
}

bool pl_lexer_next(struct pl_lexer *l, struct pl_token *token, struct error *err) {
    *token = (struct pl_token){.kind = PL_TOKEN_END};
    if (!skip_blanks(l, &token->blank_before, &token->newline_before, err)) {
        return false;
    }
    token->at = l->at;
    if (!lex(l, token, err)) {
        return false;
    }
    l->operand_before = ends_operand(token);
    return true;
}
