/* The text of a query. jansson reads JSON; where it refuses, the text is read again by a reader that finds the words
 * and the place that PuppetDB's JSON library (Jackson) gives. */
#include "query_text.h"
#include "base/json.h"
#include "base/mem.h"
#include "pql.h"
#include "quote.h"
#include <stdarg.h>
#include <string.h>

struct reader {
    struct span text;
    size_t at;
    unsigned depth;
    struct buf why;  /* set once something is wrong … */
    size_t wrong_at; /* … here */
};

static bool is_json_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(struct reader *r) {
    while (r->at < r->text.len && is_json_blank(r->text.ptr[r->at])) {
        r->at++;
    }
}

static bool at_end(const struct reader *r) {
    return r->at >= r->text.len;
}

static char peek(const struct reader *r) {
    return at_end(r) ? '\0' : r->text.ptr[r->at];
}

static bool wrong(struct reader *r, size_t at, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool wrong(struct reader *r, size_t at, const char *format, ...) {
    if (r->why.len == 0) {
        va_list args;
        va_start(args, format);
        buf_vprintf(&r->why, format, args);
        va_end(args);
        r->wrong_at = at;
    }
    return false;
}

/* Line and column (from 1, in UTF-16 units) of an offset. */
static void position(struct span text, size_t offset, size_t *line, size_t *column) {
    *line = *column = 1;
    for (size_t i = 0; i < offset && i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '\n') {
            ++*line;
            *column = 1;
        } else if ((c & 0xc0) != 0x80) {
            *column += c >= 0xf0 ? 2 : 1;
        }
    }
}

static uint32_t code_of(struct span character) {
    unsigned char c = (unsigned char)*character.ptr;
    uint32_t code = character.len == 1 ? c : c & (0x7fU >> character.len);
    for (size_t i = 1; i < character.len; i++) {
        code = code << 6 | ((unsigned char)character.ptr[i] & 0x3f);
    }
    return code;
}

static struct span character_at(const struct reader *r) {
    unsigned char c = (unsigned char)peek(r);
    return span_sub(r->text, r->at, c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4);
}

/* ']' (code 93) */
static char *shown(struct span character) {
    uint32_t code = code_of(character);
    return code > 0xff ? str_printf("'%.*s' (code %u / 0x%x)", (int)character.len, character.ptr, code, code)
                       : str_printf("'%.*s' (code %u)", (int)character.len, character.ptr, code);
}

static bool unexpected(struct reader *r, const char *expected) {
    struct span character = character_at(r);
    uint32_t code = code_of(character);
    if (code < 0x20) {
        return wrong(
            r, r->at + 1,
            "Illegal character ((CTRL-CHAR, code %u)): only regular white space (\\r, \\n, \\t) is allowed between "
            "tokens",
            code);
    }
    char *what = shown(character);
    wrong(r, r->at + character.len, "Unexpected character (%s): %s", what, expected);
    mem_free(what);
    return false;
}

/* In a number; Jackson points where it last looked. */
static bool unexpected_in_number(struct reader *r, size_t at, const char *expected) {
    char *what = shown(character_at(r));
    wrong(r, at, "Unexpected character (%s) in numeric value: %s", what, expected);
    mem_free(what);
    return false;
}

/* ---------------------------------------------------------------- values */

static bool read_value(struct reader *r);

static bool read_escape(struct reader *r) {
    r->at++; /* the backslash */
    char c = peek(r);
    if (at_end(r)) {
        return wrong(r, r->at, "Unexpected end-of-input in character escape sequence");
    }
    if (c != 'u') {
        if (strchr("\"\\/bfnrt", c) == NULL) {
            return wrong(r, r->at + 1, "Unrecognized character escape '%c' (code %d)", c, (unsigned char)c);
        }
        r->at++;
        return true;
    }
    r->at++;
    for (int i = 0; i < 4; i++, r->at++) {
        if (at_end(r)) {
            return wrong(r, r->at, "Unexpected end-of-input in character escape sequence");
        }
        if (strchr("0123456789abcdefABCDEF", peek(r)) == NULL) {
            return unexpected(r, "expected a hex-digit for character escape sequence");
        }
    }
    return true;
}

static bool read_string(struct reader *r, const char *unclosed) {
    r->at++;
    while (!at_end(r)) {
        if (peek(r) == '"') {
            r->at++;
            return true;
        }
        if (peek(r) == '\\') {
            if (!read_escape(r)) {
                return false;
            }
        } else {
            r->at++;
        }
    }
    return wrong(r, r->at, "Unexpected end-of-input%s", unclosed);
}

/* What Java calls part of an identifier; of characters beyond ASCII all but spaces and punctuation. */
static bool is_word(const struct reader *r) {
    char c = peek(r);
    if ((c & 0x80) != 0) {
        uint32_t code = code_of(character_at(r));
        return code >= 0xc0 && (code < 0x2000 || code > 0x206f);
    }
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$';
}

static bool read_word(struct reader *r) {
    size_t start = r->at;
    while (!at_end(r) && is_word(r)) {
        r->at += character_at(r).len;
    }
    struct span word = span_sub(r->text, start, r->at - start);
    if (span_eq_cstr(word, "true") || span_eq_cstr(word, "false") || span_eq_cstr(word, "null")) {
        return true;
    }
    if (span_eq_cstr(word, "NaN") || span_eq_cstr(word, "Infinity")) {
        return wrong(r, r->at, "Non-standard token '%.*s': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow",
                     (int)word.len, word.ptr);
    }
    return wrong(
        r, r->at,
        "Unrecognized token '%.*s': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or "
        "'false')",
        (int)word.len, word.ptr);
}

static bool is_digit(const struct reader *r) {
    return peek(r) >= '0' && peek(r) <= '9';
}

static bool read_digits(struct reader *r, size_t wrong_at, const char *expected) {
    if (at_end(r)) {
        return wrong(r, r->at, "Unexpected end-of-input in a Number value");
    }
    if (!is_digit(r)) {
        return unexpected_in_number(r, wrong_at, expected);
    }
    while (!at_end(r) && is_digit(r)) {
        r->at++;
    }
    return true;
}

static bool read_number(struct reader *r) {
    if (peek(r) == '-') {
        r->at++;
    }
    size_t start = r->at;
    if (!read_digits(r, r->at + 1, "expected digit (0-9) to follow minus sign, for valid numeric value")) {
        return false;
    }
    if (r->text.ptr[start] == '0' && r->at > start + 1) {
        return wrong(r, start + 1, "Invalid numeric value: Leading zeroes not allowed");
    }
    if (peek(r) == '.') {
        r->at++;
        if (!read_digits(r, r->at, "Decimal point not followed by a digit")) {
            return false;
        }
    }
    if (peek(r) == 'e' || peek(r) == 'E') {
        size_t after = ++r->at;
        if (peek(r) == '+' || peek(r) == '-') {
            r->at++;
        }
        return read_digits(r, after, "Exponent indicator not followed by a digit");
    }
    return true;
}

static bool wrong_close(struct reader *r, const char *kind, size_t opened) {
    size_t line, column;
    position(r->text, opened, &line, &column);
    char c = peek(r);
    return wrong(r, r->at + 1,
                 "Unexpected close marker '%c': expected '%c' (for %s starting at [Source: (StringReader); line: %zu, "
                 "column: %zu])",
                 c, c == ']' ? '}' : ']', kind, line, column);
}

static bool wrong_end(struct reader *r, const char *kind, size_t opened) {
    size_t line, column;
    position(r->text, opened, &line, &column);
    return wrong(
        r, r->at,
        "Unexpected end-of-input: expected close marker for %s (start marker at [Source: (StringReader); line: %zu, "
        "column: %zu])",
        kind, line, column);
}

static bool read_pair(struct reader *r, size_t opened) {
    if (peek(r) != '"') {
        return at_end(r) ? wrong_end(r, "Object", opened)
                         : unexpected(r, "was expecting double-quote to start field name");
    }
    if (!read_string(r, " in field name")) {
        return false;
    }
    skip_blanks(r);
    if (peek(r) != ':') {
        return at_end(r) ? wrong(r, r->at, "Unexpected end-of-input within/between Object entries")
                         : unexpected(r, "was expecting a colon to separate field name and value");
    }
    r->at++;
    skip_blanks(r);
    return peek(r) == '}' && !at_end(r) ? unexpected(r, "expected a value") : read_value(r);
}

/* [ … ] or { … }: `close` ends it. */
static bool read_container(struct reader *r, char close) {
    const char *kind = close == ']' ? "Array" : "Object";
    size_t opened = r->at++;
    if (++r->depth > JSON_DEPTH_MAX) {
        return wrong(r, r->at, "nested deeper than %d", (int)JSON_DEPTH_MAX);
    }
    for (bool first = true;; first = false) {
        skip_blanks(r);
        if (at_end(r)) {
            return wrong_end(r, kind, opened);
        }
        if (peek(r) == close) {
            r->at++;
            r->depth--;
            return true;
        }
        if ((peek(r) == ']' || peek(r) == '}') && first) {
            return wrong_close(r, kind, opened);
        }
        if (!first) {
            if (peek(r) == ']' || peek(r) == '}') {
                return wrong_close(r, kind, opened);
            }
            if (peek(r) != ',') {
                return unexpected(r, close == ']' ? "was expecting comma to separate Array entries"
                                                  : "was expecting comma to separate Object entries");
            }
            r->at++;
            skip_blanks(r);
            if (at_end(r)) {
                return wrong_end(r, kind, opened);
            }
        }
        if (close == ']' ? !read_value(r) : !read_pair(r, opened)) {
            return false;
        }
    }
}

static bool read_odd(struct reader *r) {
    char c = peek(r);
    if (c == '+' && r->at + 1 < r->text.len && r->text.ptr[r->at + 1] >= '0' && r->text.ptr[r->at + 1] <= '9') {
        return unexpected_in_number(r, r->at + 2,
                                    "JSON spec does not allow numbers to have plus signs: enable "
                                    "`JsonReadFeature.ALLOW_LEADING_PLUS_SIGN_FOR_NUMBERS` to allow");
    }
    if ((c == ']' || c == '}') && r->depth == 0) {
        return wrong(r, r->at + 1,
                     "Unexpected close marker '%c': expected '%c' (for root starting at [Source: (StringReader); line: "
                     "1, column: 0])",
                     c, c == ']' ? '}' : ']');
    }
    if (c == '/') {
        return unexpected(r,
                          "maybe a (non-standard) comment? (not recognized as one since Feature 'ALLOW_COMMENTS' not "
                          "enabled for parser)");
    }
    return unexpected(r,
                      "expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')");
}

static bool read_value(struct reader *r) {
    skip_blanks(r);
    char c = peek(r);
    if (at_end(r)) {
        return wrong(r, r->at, "Unexpected end-of-input within/between Object entries");
    }
    if (c == '[') {
        return read_container(r, ']');
    }
    if (c == '{') {
        return read_container(r, '}');
    }
    if (c == '"') {
        return read_string(r, ": was expecting closing quote for a string value");
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        return read_number(r);
    }
    return is_word(r) ? read_word(r) : read_odd(r);
}

/* ---------------------------------------------------------------- texts */

/* The line that holds an offset. */
static struct span line_at(struct span text, size_t offset) {
    size_t start = offset > text.len ? text.len : offset, end;
    while (start > 0 && text.ptr[start - 1] != '\n') {
        start--;
    }
    for (end = start; end < text.len && text.ptr[end] != '\n'; end++) {
    }
    return span_sub(text, start, end - start);
}

static void report(const struct reader *r, struct error *err) {
    size_t line, column;
    position(r->text, r->wrong_at, &line, &column);
    struct span shown = line_at(r->text, r->wrong_at);
    struct buf caret = BUF_INIT;
    for (size_t i = 2; i < column; i++) {
        buf_append_char(&caret, ' ');
    }
    error_set(err, "pql/json", "Json parse error at line %zu, column %zu:\n\n%.*s\n%s^\n\n%s", line, column,
              (int)shown.len, shown.ptr, caret.ptr != NULL ? caret.ptr : "", r->why.ptr);
    buf_free(&caret);
}

/* Control characters in strings escaped: PuppetDB takes them as they are. */
static char *strict(struct span text) {
    struct buf out = BUF_INIT;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (in_string && c == '\\') {
            buf_append_char(&out, c);
            c = text.ptr[++i];
        } else if (c == '"') {
            in_string = !in_string;
        }
        if (in_string && (unsigned char)c < 0x20) {
            buf_printf(&out, "\\u%04x", (unsigned)c);
        } else {
            buf_append_char(&out, c);
        }
    }
    return buf_take(&out);
}

/* Of text that was read well up to `end`. */
static json_t *only_value(struct span text, size_t end, struct error *err) {
    struct error inner = ERROR_INIT;
    char *clean = strict(span_sub(text, 0, end));
    json_t *value = json_parse(span_of(clean), "pql/json", &inner);
    if (value == NULL) { /* more than Jackson minds: not UTF-8, a lone surrogate, a number too large */
        error_set(err, "pql/json", "%s", inner.msg);
    }
    mem_free(clean);
    error_clear(&inner);
    return value;
}

static json_t *refuse_second(json_t *first, struct span rest, struct error *err) {
    json_t *second = json_parse(rest, "pql/json", NULL);
    struct buf found = BUF_INIT, query = BUF_INIT;
    if (second != NULL) {
        quote_readable(&found, second);
    } else {
        buf_append_span(&found, span_trim(rest));
    }
    quote_readable(&query, first);
    error_set(err, "pql/json", "Only one query may be sent in a request. Found JSON (%s) after the query %s", found.ptr,
              query.ptr);
    buf_free(&found);
    buf_free(&query);
    json_decref(second);
    json_decref(first);
    return NULL;
}

static json_t *parse(struct span text, bool alone, struct error *err) {
    struct reader r = {.text = text};
    skip_blanks(&r);
    if (at_end(&r)) {
        return NULL;
    }
    bool ok = read_value(&r);
    size_t end = r.at;
    if (ok && alone) { /* what follows must be JSON as well, only to be refused */
        skip_blanks(&r);
        ok = at_end(&r) || read_value(&r);
    }
    if (!ok) {
        report(&r, err);
        buf_free(&r.why);
        return NULL;
    }
    json_t *value = only_value(text, end, err);
    struct span rest = span_trim(span_sub(text, end, text.len - end));
    return value != NULL && alone && rest.len > 0 ? refuse_second(value, rest, err) : value;
}

json_t *query_parse_body(struct span text, struct error *err) {
    return parse(text, false, err);
}

json_t *query_parse_json(struct span text, struct error *err) {
    return parse(text, true, err);
}

json_t *query_parse(struct span text, struct error *err) {
    struct span trimmed = text;
    while (trimmed.len > 0 && (*trimmed.ptr == ' ' || (*trimmed.ptr >= '\t' && *trimmed.ptr <= '\r'))) {
        trimmed = span_sub(trimmed, 1, trimmed.len - 1);
    }
    return trimmed.len > 0 && *trimmed.ptr == '[' ? query_parse_json(text, err) : pql_parse(text, err);
}
