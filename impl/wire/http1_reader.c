/* A stream of HTTP/1.1 messages: finds the heads, takes the bodies apart. Bodies are not given to http_parser: it lets
 * bare line feeds through in chunk extensions and trailers, which other readers may take for line ends. */
#include "wire/http1.h"

#include "base/mem.h"
#include <assert.h>
#include <string.h>

enum state {
    START, /* before a message; one empty line may precede a request */
    IN_HEAD,
    BODY_START, /* the head was returned */
    IN_LENGTH,
    UNTIL_CLOSE,
    CHUNK_LINE,
    CHUNK_DATA,
    CHUNK_END, /* the CRLF after a chunk's data */
    TRAILER,
    DONE, /* the message is complete, to be told */
    BROKEN,
};

enum { CHUNK_DIGITS_MAX = 15 }; /* hexadecimal: below 2^60 */

void http1_reader_init(struct http1_reader *r, enum http1_role role, size_t head_max, size_t fields_max,
                       uint64_t body_max) {
    memset(r, 0, sizeof(*r));
    r->role = role;
    r->head_max = head_max == 0 ? HTTP1_HEAD_MAX : head_max < HTTP1_HEAD_CAP ? head_max : HTTP1_HEAD_CAP;
    r->fields_max = fields_max == 0 ? HTTP1_FIELDS_MAX : fields_max;
    r->body_max = body_max == 0 ? UINT64_MAX : body_max;
    r->state = START;
}

void http1_reader_free(struct http1_reader *r) {
    buf_free(&r->line);
    http1_head_free(&r->head);
}

bool http1_reader_idle(const struct http1_reader *r) {
    return r->state == START && r->line.len == 0;
}

struct http1_head http1_take_head(struct http1_reader *r) {
    struct http1_head head = r->head;
    memset(&r->head, 0, sizeof(r->head));
    return head;
}

static enum http1_event fail(struct http1_reader *r, int status, const char *text) {
    r->error = (struct http1_error){status, text};
    r->state = BROKEN;
    return HTTP1_FAILED;
}

static struct span take(struct span *in, size_t len) {
    struct span front = span_sub(*in, 0, len);
    *in = span_sub(*in, len, in->len);
    return front;
}

/* Moves bytes up to and including the next line feed into r->line. True: a whole line stands there now. */
static bool take_line(struct http1_reader *r, struct span *in) {
    ptrdiff_t lf = span_find(*in, '\n');
    buf_append_span(&r->line, take(in, lf >= 0 ? (size_t)lf + 1 : in->len));
    return lf >= 0;
}

/* ---- head */

static void decide_body(struct http1_reader *r) {
    r->body_bytes = 0;
    r->trailer_bytes = 0;
    switch (r->body) {
    case HTTP1_NO_BODY:
        r->state = DONE;
        break;
    case HTTP1_LENGTH:
        r->state = IN_LENGTH;
        break;
    case HTTP1_CHUNKED:
        r->state = CHUNK_LINE;
        break;
    case HTTP1_UNTIL_CLOSE:
        r->state = UNTIL_CLOSE;
        break;
    }
}

/* Reads lines until the empty one. A line that does not end in CRLF is refused as soon as it is seen, so that nobody
 * waits for the rest of it. */
static enum http1_event read_head(struct http1_reader *r, struct span *in) {
    while (in->len != 0) {
        size_t room = r->head_max - r->line.len;
        struct span piece = span_sub(*in, 0, room);
        size_t before = piece.len;
        size_t line_at = r->line.len;
        while (line_at > 0 && r->line.ptr[line_at - 1] != '\n') {
            line_at--;
        }
        bool whole = take_line(r, &piece);
        take(in, before - piece.len);
        if (!whole) {
            if (r->line.len == r->head_max) {
                return fail(r, 431, "Head too large");
            }
            return HTTP1_NEED_MORE;
        }
        size_t line_len = r->line.len - line_at;
        if (line_len < 2 || r->line.ptr[r->line.len - 2] != '\r') {
            return fail(r, 400, "Line feed without a carriage return");
        }
        if (line_len == 2 && r->state == START && r->role == HTTP1_REQUEST) {
            buf_clear(&r->line); /* RFC 9112 §2.2 */
            r->state = IN_HEAD;
            continue;
        }
        r->state = IN_HEAD;
        if (line_len == 2) {
            size_t len = r->line.len;
            char *bytes = buf_take(&r->line);
            http1_head_free(&r->head);
            if (!http1_head_parse(r->role, bytes, len, r->fields_max, r->no_body, &r->head, &r->error)) {
                r->state = BROKEN;
                return HTTP1_FAILED;
            }
            r->state = BODY_START;
            r->body = r->head.body;
            r->left = r->head.content_length;
            return HTTP1_HEAD;
        }
        if (r->line.len == r->head_max) {
            return fail(r, 431, "Head too large");
        }
    }
    return HTTP1_NEED_MORE;
}

/* ---- body */

static enum http1_event body_piece(struct http1_reader *r, struct span *in, struct span *body) {
    if (in->len == 0) {
        return HTTP1_NEED_MORE;
    }
    *body = take(in, r->left < in->len ? (size_t)r->left : in->len);
    r->left -= body->len;
    r->body_bytes += body->len;
    return HTTP1_BODY;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Is the whole line (in r->line) free of control characters and ended by CRLF? */
static bool line_clean(const struct buf *line) {
    if (line->len < 2 || line->ptr[line->len - 2] != '\r') {
        return false;
    }
    for (size_t i = 0; i < line->len - 2; i++) {
        unsigned char c = (unsigned char)line->ptr[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool chunk_size(const struct buf *line, uint64_t *size) {
    size_t digits = 0;
    *size = 0;
    while (digits < line->len && hex_digit(line->ptr[digits]) >= 0) {
        if (digits == CHUNK_DIGITS_MAX) {
            return false;
        }
        *size = *size << 4 | (uint64_t)hex_digit(line->ptr[digits++]);
    }
    char after = line->ptr[digits];
    return digits != 0 && (after == '\r' || after == ';');
}

/* One line at a time, bounded; true: it is complete and clean in r->line. Else *event says what to return. */
static bool small_line(struct http1_reader *r, struct span *in, size_t max, enum http1_event *event) {
    struct span piece = span_sub(*in, 0, max - r->line.len);
    size_t before = piece.len;
    bool whole = take_line(r, &piece);
    take(in, before - piece.len);
    if (!whole) {
        *event = r->line.len >= max ? fail(r, 400, "Line in a chunked body too long") : HTTP1_NEED_MORE;
        return false;
    }
    if (!line_clean(&r->line)) {
        *event = fail(r, 400, "Malformed line in a chunked body");
        return false;
    }
    return true;
}

/* Each of these handles one state; HTTP1_NEED_MORE with r->state changed means: go on with the new state. */

static enum http1_event read_chunk_line(struct http1_reader *r, struct span *in) {
    enum http1_event event;
    if (!small_line(r, in, HTTP1_CHUNK_LINE_MAX, &event)) {
        return event;
    }
    if (!chunk_size(&r->line, &r->left)) {
        return fail(r, 400, "Malformed chunk size");
    }
    buf_clear(&r->line);
    if (r->left > r->body_max - r->body_bytes) {
        return fail(r, 413, "Body too large");
    }
    r->state = r->left != 0 ? CHUNK_DATA : TRAILER;
    return HTTP1_NEED_MORE;
}

static enum http1_event read_chunk_end(struct http1_reader *r, struct span *in) {
    enum http1_event event;
    if (!small_line(r, in, 2, &event)) {
        return event == HTTP1_FAILED ? fail(r, 400, "Chunk longer than its size") : event;
    }
    buf_clear(&r->line);
    r->state = CHUNK_LINE;
    return HTTP1_NEED_MORE;
}

static enum http1_event read_trailer(struct http1_reader *r, struct span *in) {
    enum http1_event event;
    if (!small_line(r, in, HTTP1_TRAILER_MAX - r->trailer_bytes, &event)) {
        return event;
    }
    bool last = r->line.len == 2;
    r->trailer_bytes += r->line.len;
    buf_clear(&r->line);
    if (r->trailer_bytes >= HTTP1_TRAILER_MAX) {
        return fail(r, 400, "Line in a chunked body too long");
    }
    r->state = last ? DONE : TRAILER;
    return HTTP1_NEED_MORE;
}

static enum http1_event message_done(struct http1_reader *r) {
    buf_free(&r->line);
    r->state = START;
    return HTTP1_END;
}

enum http1_event http1_next(struct http1_reader *r, struct span *in, struct span *body) {
    for (;;) {
        enum http1_event event;
        switch ((enum state)r->state) {
        case START:
        case IN_HEAD:
            return read_head(r, in);
        case BODY_START:
            if (r->body == HTTP1_LENGTH && r->left > r->body_max) {
                return fail(r, 413, "Body too large");
            }
            decide_body(r);
            continue;
        case IN_LENGTH:
            if (r->left == 0) {
                r->state = DONE;
                continue;
            }
            return body_piece(r, in, body);
        case UNTIL_CLOSE:
            r->left = r->body_max - r->body_bytes;
            return r->left == 0 && in->len != 0 ? fail(r, 413, "Body too large") : body_piece(r, in, body);
        case CHUNK_DATA:
            if (r->left == 0) {
                r->state = CHUNK_END;
                continue;
            }
            return body_piece(r, in, body);
        case CHUNK_LINE:
            event = read_chunk_line(r, in);
            break;
        case CHUNK_END:
            event = read_chunk_end(r, in);
            break;
        case TRAILER:
            event = read_trailer(r, in);
            break;
        case DONE:
            return message_done(r);
        case BROKEN:
            take(in, in->len);
            return HTTP1_FAILED;
        default:
            return HTTP1_FAILED;
        }
        if (event == HTTP1_FAILED || (in->len == 0 && r->state != DONE)) {
            return event;
        }
    }
}

enum http1_event http1_eof(struct http1_reader *r) {
    if (r->state == UNTIL_CLOSE || r->state == DONE) {
        return message_done(r);
    }
    if (http1_reader_idle(r)) {
        return HTTP1_NEED_MORE;
    }
    return r->state == BROKEN ? HTTP1_FAILED : fail(r, 400, "The stream ended within a message");
}
