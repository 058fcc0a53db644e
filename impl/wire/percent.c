/* Percent-encoding and query strings. */
#include "wire/percent.h"

#include "base/mem.h"

static int hex(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The byte that "%XX" at text[i] stands for, or -1. */
static int escaped(struct span text, size_t i) {
    if (text.len - i < 3 || hex(text.ptr[i + 1]) < 0 || hex(text.ptr[i + 2]) < 0) {
        return -1;
    }
    return hex(text.ptr[i + 1]) * 16 + hex(text.ptr[i + 2]);
}

bool percent_decode(struct buf *out, struct span text) {
    size_t before = out->len;
    for (size_t i = 0; i < text.len; i++) {
        int byte = (unsigned char)text.ptr[i];
        if (text.ptr[i] == '%') {
            byte = escaped(text, i);
            if (byte < 0) {
                out->len = before;
                return false;
            }
            i += 2;
        }
        buf_append_char(out, (char)byte);
    }
    return true;
}

void query_decode(struct buf *out, struct span text) {
    for (size_t i = 0; i < text.len; i++) {
        int byte = text.ptr[i] == '%' ? escaped(text, i) : -1;
        if (byte >= 0) {
            i += 2;
        } else {
            byte = text.ptr[i] == '+' ? ' ' : text.ptr[i];
        }
        buf_append_char(out, (char)byte);
    }
}

void percent_encode(struct buf *out, struct span text) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
            c == '_' || c == '~') {
            buf_append_char(out, (char)c);
        } else {
            char code[3] = {'%', digits[c >> 4], digits[c & 15]};
            buf_append(out, code, sizeof(code));
        }
    }
}

bool query_next(struct span *rest, struct span *name, struct span *value) {
    struct span part;
    while (span_split(rest, '&', &part)) {
        if (part.len == 0) {
            continue;
        }
        ptrdiff_t equals = span_find(part, '=');
        *name = equals >= 0 ? span_sub(part, 0, (size_t)equals) : part;
        *value = equals >= 0 ? span_sub(part, (size_t)equals + 1, part.len) : span_sub(part, part.len, 0);
        return true;
    }
    return false;
}

char *query_get(struct span query, const char *name) {
    struct span key, value;
    char *found = NULL;
    while (found == NULL && query_next(&query, &key, &value)) {
        struct buf decoded = BUF_INIT;
        query_decode(&decoded, key);
        if (span_eq_cstr(buf_span(&decoded), name)) {
            buf_clear(&decoded);
            query_decode(&decoded, value);
            found = buf_take(&decoded);
        }
        buf_free(&decoded);
    }
    return found;
}
