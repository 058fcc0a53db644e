/* HTTP/1.1 heads: http_parser reads them; what it lets pass is refused here (Debian builds it without its strict mode).
 */
#include "wire/http1.h"

#include "base/mem.h"
#include <assert.h>
#include <http_parser.h>
#include <string.h>

struct parse {
    struct http1_head *head;
    struct http1_error *err;
    size_t fields_max, fields_cap;
    char *target, *name, *value;
    size_t target_len, name_len, value_len;
    bool complete;
};

static bool refuse(struct http1_error *err, int status, const char *text) {
    *err = (struct http1_error){status, text};
    return false;
}

/* ---- what the library is too lenient about */

static bool check_bytes(const char *bytes, size_t len, struct http1_error *err) {
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '\n' && (i == 0 || bytes[i - 1] != '\r')) {
            return refuse(err, 400, "Line feed without a carriage return");
        }
        if (c == '\r' && (i + 1 == len || bytes[i + 1] != '\n')) {
            return refuse(err, 400, "Carriage return without a line feed");
        }
        if (c == '\n' && i + 1 < len && (bytes[i + 1] == ' ' || bytes[i + 1] == '\t')) {
            return refuse(err, 400, "Folded header line");
        }
        if ((c < ' ' && c != '\r' && c != '\n' && c != '\t') || c == 0x7f) {
            return refuse(err, 400, "Control character in the head");
        }
    }
    return true;
}

/* ---- callbacks of the library: the head is given to it in one piece, so every text comes in one piece */

static bool end_field(struct parse *p) {
    if (p->name == NULL) {
        return true;
    }
    struct http1_head *h = p->head;
    if (h->field_count == p->fields_max) {
        return refuse(p->err, 431, "Too many header fields");
    }
    if (p->name[p->name_len] != ':') {
        return refuse(p->err, 400, "Malformed header");
    }
    struct span value = span_trim((struct span){p->value != NULL ? p->value : p->name + p->name_len + 1, p->value_len});
    for (size_t i = 0; i < p->name_len; i++) {
        if (p->name[i] >= 'A' && p->name[i] <= 'Z') {
            p->name[i] = (char)(p->name[i] - 'A' + 'a');
        }
    }
    h->fields = mem_grow(h->fields, &p->fields_cap, h->field_count + 1, sizeof(*h->fields));
    struct http1_field *f = &h->fields[h->field_count++];
    p->name[p->name_len] = '\0';
    f->name = p->name;
    if (!http1_is_token(f->name)) {
        return refuse(p->err, 400, "Character not allowed in a header");
    }
    f->value = "";
    if (value.len > 0) { /* of an empty value the library points to the next line, which it has not read yet */
        char *end = (char *)(uintptr_t)(value.ptr + value.len); /* within our own head */
        *end = '\0';
        f->value = value.ptr;
    }
    p->name = p->value = NULL;
    p->name_len = p->value_len = 0;
    return true;
}

static char *own(const char *at) {
    return (char *)(uintptr_t)at; /* the library points into the head we gave it */
}

static int on_url(http_parser *parser, const char *at, size_t len) {
    struct parse *p = parser->data;
    p->target = p->target != NULL ? p->target : own(at);
    p->target_len += len;
    return 0;
}

static int on_field_name(http_parser *parser, const char *at, size_t len) {
    struct parse *p = parser->data;
    if (p->name != NULL && (p->value != NULL || p->name + p->name_len != at) && !end_field(p)) {
        return 1;
    }
    p->name = p->name != NULL ? p->name : own(at);
    p->name_len += len;
    return 0;
}

static int on_field_value(http_parser *parser, const char *at, size_t len) {
    struct parse *p = parser->data;
    p->value = p->value != NULL ? p->value : own(at);
    p->value_len += len;
    return 0;
}

static int on_headers_complete(http_parser *parser) {
    struct parse *p = parser->data;
    p->complete = end_field(p);
    return p->complete ? 2 : -1; /* 2: the body is not the library's business */
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_field_name,
    .on_header_value = on_field_value,
    .on_headers_complete = on_headers_complete,
};

static bool library_error(const http_parser *parser, struct http1_error *err) {
    enum http_errno e = HTTP_PARSER_ERRNO(parser);
    if (err->status != 0) {
        return false; /* a callback has said what it is */
    }
    switch (e) {
    case HPE_INVALID_METHOD:
        return refuse(err, 501, "Unknown method");
    case HPE_HEADER_OVERFLOW:
        return refuse(err, 431, "Head too large");
    case HPE_INVALID_VERSION:
        return refuse(err, 400, "Not HTTP");
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return refuse(err, 400, "Content-Length given twice or beside Transfer-Encoding");
    case HPE_INVALID_CONTENT_LENGTH:
        return refuse(err, 400, "Content-Length is not a number");
    case HPE_INVALID_TRANSFER_ENCODING:
        return refuse(err, 400, "Transfer-Encoding is not chunked");
    case HPE_INVALID_HEADER_TOKEN:
        return refuse(err, 400, "Character not allowed in a header");
    default:
        return refuse(err, 400, "Malformed head");
    }
}

/* ---- what the fields say */

const char *http1_field(const struct http1_head *h, const char *lower_case_name) {
    for (size_t i = 0; i < h->field_count; i++) {
        if (strcmp(h->fields[i].name, lower_case_name) == 0) {
            return h->fields[i].value;
        }
    }
    return NULL;
}

static size_t count_field(const struct http1_head *h, const char *lower_case_name) {
    size_t count = 0;
    for (size_t i = 0; i < h->field_count; i++) {
        count += strcmp(h->fields[i].name, lower_case_name) == 0;
    }
    return count;
}

const char *http1_field_only(const struct http1_head *h, const char *lower_case_name) {
    return count_field(h, lower_case_name) == 1 ? http1_field(h, lower_case_name) : NULL;
}

bool http1_field_has(const struct http1_head *h, const char *lower_case_name, const char *token) {
    for (size_t i = 0; i < h->field_count; i++) {
        if (strcmp(h->fields[i].name, lower_case_name) != 0) {
            continue;
        }
        struct span rest = span_of(h->fields[i].value), item;
        while (span_split(&rest, ',', &item)) {
            ptrdiff_t semicolon = span_find(item, ';');
            item = semicolon >= 0 ? span_sub(item, 0, (size_t)semicolon) : item;
            if (span_eq_nocase(span_trim(item), token)) {
                return true;
            }
        }
    }
    return false;
}

static bool status_has_no_body(int status) {
    return status < 200 || status == 204 || status == 304;
}

/* Decides how the body ends (RFC 9112 §6.3). */
static bool frame_body(enum http1_role role, bool no_body, struct http1_head *h, struct http1_error *err) {
    size_t lengths = count_field(h, "content-length"), codings = count_field(h, "transfer-encoding");
    if (lengths > 1 || (lengths != 0 && codings != 0)) {
        return refuse(err, 400, "Content-Length given twice or beside Transfer-Encoding");
    }
    if (lengths == 1 && !span_to_u64(span_of(http1_field(h, "content-length")), &h->content_length)) {
        return refuse(err, 400, "Content-Length is not a number");
    }
    if (codings != 0 &&
        (h->minor == 0 || codings > 1 || !span_eq_nocase(span_of(http1_field(h, "transfer-encoding")), "chunked"))) {
        return refuse(err, 400, "Transfer-Encoding is not chunked");
    }
    if (role == HTTP1_RESPONSE && (no_body || status_has_no_body(h->status))) {
        h->body = HTTP1_NO_BODY;
    } else if (codings != 0) {
        h->body = HTTP1_CHUNKED;
    } else if (lengths != 0) {
        h->body = h->content_length != 0 ? HTTP1_LENGTH : HTTP1_NO_BODY;
    } else {
        h->body = role == HTTP1_RESPONSE ? HTTP1_UNTIL_CLOSE : HTTP1_NO_BODY;
    }
    return true;
}

static bool read_fields(enum http1_role role, bool no_body, struct http1_head *h, struct http1_error *err) {
    if (role == HTTP1_REQUEST) {
        size_t hosts = count_field(h, "host");
        if (hosts > 1 || (hosts == 0 && h->minor == 1)) {
            return refuse(err, 400, "There must be one Host header");
        }
        if (strchr(h->target, '#') != NULL) {
            return refuse(err, 400, "Fragment in the request target");
        }
        if (http1_field(h, "expect") != NULL) {
            h->expect_continue = http1_field_has(h, "expect", "100-continue");
            if (!h->expect_continue) {
                return refuse(err, 417, "Unknown expectation");
            }
        }
    }
    if (!frame_body(role, no_body, h, err)) {
        return false;
    }
    h->keep_alive = h->body != HTTP1_UNTIL_CLOSE && !http1_field_has(h, "connection", "close") &&
                    (h->minor == 1 || http1_field_has(h, "connection", "keep-alive"));
    h->upgrade = http1_field_has(h, "connection", "upgrade") && http1_field(h, "upgrade") != NULL;
    return true;
}

static bool parse_head(enum http1_role role, size_t len, size_t fields_max, bool no_body, struct http1_head *h,
                       struct http1_error *err) {
    if (!check_bytes(h->bytes, len, err)) {
        return false;
    }
    http_parser parser;
    http_parser_init(&parser, role == HTTP1_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE);
    struct parse p = {.head = h, .err = err, .fields_max = fields_max};
    parser.data = &p;
    http_parser_execute(&parser, &settings, h->bytes, len);
    if (!p.complete) {
        return library_error(&parser, err);
    }
    if (parser.http_major != 1 || parser.http_minor > 1) {
        return refuse(err, 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here");
    }
    h->minor = parser.http_minor;
    if (role == HTTP1_REQUEST) {
        assert(p.target != NULL);
        p.target[p.target_len] = '\0';
        h->target = p.target;
        if (!http1_is_target(h->target)) {
            return refuse(err, 400, "Character not allowed in the request target");
        }
        h->method = http_method_str((enum http_method)parser.method);
    } else {
        h->status = (int)parser.status_code;
        if (h->status < 100 || h->status > 999) {
            return refuse(err, 400, "Status out of range");
        }
    }
    return read_fields(role, no_body, h, err);
}

bool http1_head_parse(enum http1_role role, char *bytes, size_t len, size_t fields_max, bool no_body,
                      struct http1_head *out, struct http1_error *err) {
    memset(out, 0, sizeof(*out));
    *err = (struct http1_error){0, NULL};
    out->bytes = bytes;
    if (!parse_head(role, len, fields_max, no_body, out, err)) {
        http1_head_free(out);
        return false;
    }
    return true;
}

void http1_head_free(struct http1_head *h) {
    mem_free(h->bytes);
    mem_free(h->fields);
    memset(h, 0, sizeof(*h));
}
