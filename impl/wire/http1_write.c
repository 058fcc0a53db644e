/* HTTP/1.1 texts. */
#include "wire/http1.h"

#include "base/clock.h"
#include <http_parser.h>
#include <string.h>

const char *http1_status_text(int status) {
    const char *text = http_status_str((enum http_status)status);
    return text[0] == '<' ? "Unknown" : text;
}

static void write_clean(struct buf *out, const char *text) {
    size_t at = out->len;
    buf_append_cstr(out, text);
    for (; at < out->len; at++) {
        unsigned char c = (unsigned char)out->ptr[at];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            out->ptr[at] = ' ';
        }
    }
}

void http1_write_field(struct buf *out, const char *name, const char *value) {
    write_clean(out, name);
    buf_append_cstr(out, ": ");
    write_clean(out, value);
    buf_append_cstr(out, "\r\n");
}

void http1_write_date(struct buf *out, int64_t wall_ms) {
    char text[TIME_TEXT_LEN];
    time_format_http(wall_ms, text);
    buf_printf(out, "Date: %s\r\n", text);
}

void http1_write_chunk_head(struct buf *out, size_t len) {
    buf_printf(out, "%zx\r\n", len);
}

bool http1_is_token(const char *text) {
    static const char marks[] = "!#$%&'*+-.^_`|~";
    size_t i = 0;
    for (; text[i] != '\0'; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && strchr(marks, c) == NULL) {
            return false;
        }
    }
    return i != 0;
}

bool http1_is_target(const char *text) {
    size_t i = 0;
    for (; text[i] != '\0'; i++) {
        if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f) {
            return false;
        }
    }
    return i != 0;
}
