/* Literals of PQL as JSON values. */
#include "values.h"
#include "base/mem.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void append_utf8(struct buf *out, uint32_t c) {
    char bytes[4];
    size_t len;
    if (c < 0x80) {
        bytes[0] = (char)c;
        len = 1;
    } else if (c < 0x800) {
        bytes[0] = (char)(0xc0 | c >> 6);
        len = 2;
    } else if (c < 0x10000) {
        bytes[0] = (char)(0xe0 | c >> 12);
        len = 3;
    } else {
        bytes[0] = (char)(0xf0 | c >> 18);
        len = 4;
    }
    for (size_t i = 1; i < len; i++) {
        bytes[i] = (char)(0x80 | ((c >> (6 * (len - 1 - i))) & 0x3f));
    }
    buf_append(out, bytes, len);
}

static bool hex4(struct span s, size_t at, uint32_t *out, size_t *bad) {
    *out = 0;
    for (size_t i = 0; i < 4; i++) {
        char c = at + i < s.len ? s.ptr[at + i] : '"';
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit > 15) {
            *bad = at + i;
            return false;
        }
        *out = *out << 4 | digit;
    }
    return true;
}

/* Column, in UTF-16 units, of the character at `at` when the text stands in quotes; one behind it, as Jackson counts.
 */
static size_t column_behind(struct span s, size_t at) {
    size_t column = 3;
    for (size_t i = 0; i < at && i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        column += (c & 0xc0) == 0x80 ? 0 : c >= 0xf0 ? 2 : 1;
    }
    return column;
}

/* Decodes \uXXXX whose digits begin at *at; a lone surrogate becomes "?", which is what Java makes of it in UTF-8. */
static bool decode_unicode(struct span s, size_t *at, struct buf *out, size_t *bad) {
    uint32_t high, low;
    if (!hex4(s, *at, &high, bad)) {
        return false;
    }
    *at += 4;
    if (high < 0xd800 || high > 0xdfff) {
        append_utf8(out, high);
        return true;
    }
    size_t ignored;
    if (high < 0xdc00 && *at + 1 < s.len && s.ptr[*at] == '\\' && s.ptr[*at + 1] == 'u' &&
        hex4(s, *at + 2, &low, &ignored) && low >= 0xdc00 && low <= 0xdfff) {
        append_utf8(out, 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
        *at += 6;
        return true;
    }
    buf_append_char(out, '?');
    return true;
}

static char simple_escape(char c) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *found = c != '\0' ? strchr(from, c) : NULL;
    return found != NULL ? to[found - from] : '\0';
}

/* The character at `at` as text, and its code point. The closing quote stands behind the end. */
static uint32_t character_at(struct span s, size_t at, char out[5]) {
    unsigned char first = at < s.len ? (unsigned char)s.ptr[at] : '"';
    size_t len = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t code = len == 1 ? first : first & (0x7fU >> len);
    memset(out, 0, 5);
    out[0] = (char)first;
    for (size_t i = 1; i < len && at + i < s.len; i++) {
        out[i] = s.ptr[at + i];
        code = code << 6 | ((unsigned char)s.ptr[at + i] & 0x3f);
    }
    return code;
}

enum fault { FAULT_NONE, FAULT_HEX, FAULT_ESCAPE };

static void report(struct error *err, enum fault fault, struct span inside, size_t at) {
    char text[5];
    uint32_t code = character_at(inside, at, text);
    size_t column = column_behind(inside, at);
    switch (fault) {
    case FAULT_HEX:
        error_set(
            err, "pql/escape",
            "Unexpected character ('%s' (code %u)): expected a hex-digit for character escape sequence\n at [Source: "
            "(StringReader); line: 1, column: %zu]",
            text, code, column);
        break;
    case FAULT_ESCAPE:
        error_set(err, "pql/escape",
                  "Unrecognized character escape '%s' (code %u)\n at [Source: (StringReader); line: 1, column: %zu]",
                  text, code, column);
        break;
    case FAULT_NONE:
        break;
    }
}

/* Decodes the escape whose backslash is at *at; *bad is where it goes wrong. */
static enum fault decode_escape(struct span s, size_t *at, struct buf *out, size_t *bad) {
    char c = s.ptr[*at + 1]; /* inside quotes a backslash is never last */
    *bad = *at + 1;
    if (c == 'u') {
        *at += 2;
        return decode_unicode(s, at, out, bad) ? FAULT_NONE : FAULT_HEX;
    }
    if (simple_escape(c) == '\0') {
        return FAULT_ESCAPE;
    }
    buf_append_char(out, simple_escape(c));
    *at += 2;
    return FAULT_NONE;
}

static json_t *text_of(struct buf *b) {
    json_t *text = json_stringn(b->ptr != NULL ? b->ptr : "", b->len);
    buf_free(b);
    return text;
}

json_t *pql_value_double_quoted(struct span inside, struct error *err) {
    struct buf out = BUF_INIT;
    enum fault fault = FAULT_NONE;
    size_t at = 0, bad = 0;
    while (at < inside.len && fault == FAULT_NONE) {
        if (inside.ptr[at] == '\\') {
            fault = decode_escape(inside, &at, &out, &bad);
        } else {
            buf_append_char(&out, inside.ptr[at++]);
        }
    }
    if (fault != FAULT_NONE) {
        buf_free(&out);
        report(err, fault, inside, bad);
        return NULL;
    }
    return text_of(&out);
}

json_t *pql_value_single_quoted(struct span inside) {
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < inside.len; i++) {
        if (inside.ptr[i] == '\\' && i + 1 < inside.len && inside.ptr[i + 1] == '\'') {
            i++;
        }
        buf_append_char(&out, inside.ptr[i]);
    }
    return text_of(&out);
}

json_t *pql_value_integer(struct span digits, struct error *err) {
    char *text = span_dup(digits);
    errno = 0;
    long long value = strtoll(text, NULL, 10);
    bool fits = errno == 0;
    if (!fits) {
        error_set(err, "pql/number", "For input string: \"%s\"", text);
    }
    mem_free(text);
    return fits ? json_integer(value) : NULL;
}

json_t *pql_value_real(struct span number) {
    char *text = span_dup(number);
    double value = strtod(text, NULL);
    mem_free(text);
    bool finite = value >= -1.7976931348623157e308 && value <= 1.7976931348623157e308;
    return json_real(finite ? value : value > 0 ? 1.7976931348623157e308 : -1.7976931348623157e308);
}
