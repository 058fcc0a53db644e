/* Terminals of PQL (puppetdb.md §12). All work on bytes; a line end is what Java's "." stops at. */
#include "lex.h"
#include <string.h>

bool pql_is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_';
}

/* NEL, line separator and paragraph separator end a line too. */
static bool ends_line(struct span text, size_t at) {
    const char *p = text.ptr + at;
    size_t left = text.len - at;
    if (*p == '\n' || *p == '\r') {
        return true;
    }
    return (left >= 2 && memcmp(p, "\xc2\x85", 2) == 0) ||
           (left >= 3 && (memcmp(p, "\xe2\x80\xa8", 3) == 0 || memcmp(p, "\xe2\x80\xa9", 3) == 0));
}

size_t pql_lex_blank(struct span text, size_t at) {
    size_t end = at;
    while (end < text.len && pql_is_blank(text.ptr[end])) {
        end++;
    }
    return end == at ? PQL_NO : end;
}

size_t pql_lex_word(struct span text, size_t at) {
    size_t end = at;
    while (end < text.len && is_word(text.ptr[end])) {
        end++;
    }
    if (end == at) {
        return PQL_NO;
    }
    return end < text.len && text.ptr[end] == '?' ? end + 1 : end;
}

size_t pql_lex_quoted_part(struct span text, size_t at) {
    if (at >= text.len || text.ptr[at] != '"') {
        return PQL_NO;
    }
    for (size_t i = at + 1; i < text.len; i++) {
        if (text.ptr[i] == '"' && i + 1 < text.len && (text.ptr[i + 1] == '.' || pql_is_blank(text.ptr[i + 1]))) {
            return i + 1;
        }
        if (ends_line(text, i)) {
            return PQL_NO;
        }
    }
    return PQL_NO;
}

static bool ends_plain_part(char c) {
    return pql_is_blank(c) || (c != '\0' && strchr(".\",[]!<=>~", c) != NULL);
}

size_t pql_lex_plain_part(struct span text, size_t at) {
    size_t end = at;
    while (end < text.len && !ends_plain_part(text.ptr[end])) {
        end++;
    }
    if (end == at) {
        return PQL_NO;
    }
    if (end < text.len && text.ptr[end] == '[') {
        size_t digits = pql_lex_digits(text, end + 1);
        if (digits != PQL_NO && digits < text.len && text.ptr[digits] == ']') {
            return digits + 1;
        }
    }
    return end;
}

size_t pql_lex_match_part(struct span text, size_t at) {
    size_t start = pql_lex_literal(text, at, "match(");
    for (size_t i = start; start != PQL_NO && i < text.len && !ends_line(text, i); i++) {
        if (text.ptr[i] == ')') {
            return i + 1;
        }
    }
    return PQL_NO;
}

static size_t in_quotes(struct span text, size_t at, char quote) {
    size_t end = at;
    while (end < text.len && text.ptr[end] != quote) {
        if (text.ptr[end] != '\\') {
            end++;
        } else if (end + 1 < text.len && !ends_line(text, end + 1)) {
            end += 2; /* of a longer character the rest is plain text */
        } else {
            break;
        }
    }
    return end;
}

size_t pql_lex_in_double(struct span text, size_t at) {
    return in_quotes(text, at, '"');
}

size_t pql_lex_in_single(struct span text, size_t at) {
    return in_quotes(text, at, '\'');
}

size_t pql_lex_digits(struct span text, size_t at) {
    size_t end = at;
    while (end < text.len && is_digit(text.ptr[end])) {
        end++;
    }
    return end == at ? PQL_NO : end;
}

size_t pql_lex_literal(struct span text, size_t at, const char *literal) {
    size_t len = strlen(literal);
    return at <= text.len && text.len - at >= len && memcmp(text.ptr + at, literal, len) == 0 ? at + len : PQL_NO;
}
