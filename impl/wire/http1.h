/* HTTP/1.1 heads and bodies over bytes, both roles (RFC 9112). Pure.
 *
 * Strict on purpose, so that no other reader of the same bytes can see other messages in them: a head with a bare CR or
 * LF, a NUL, a folded line, white space before a colon, both Content-Length and Transfer-Encoding, two Content-Lengths,
 * any transfer coding but a single "chunked", or (in a request) no Host or several, is refused. The request target is
 * kept exactly as it came: nothing is decoded, merged or resolved. */
#ifndef DALANG_WIRE_HTTP1_H
#define DALANG_WIRE_HTTP1_H

#include "base/bytes.h"

enum http1_role { HTTP1_REQUEST, HTTP1_RESPONSE }; /* what is read */

enum {
    HTTP1_HEAD_MAX = 64 * 1024, /* bytes of a head, unless configured */
    HTTP1_HEAD_CAP = 79 * 1024, /* the parser's own bound: a larger limit has no effect */
    HTTP1_FIELDS_MAX = 128,     /* header fields of a head, unless configured */
    HTTP1_CHUNK_LINE_MAX = 256, /* bytes of a chunk's size line with its extensions */
    HTTP1_TRAILER_MAX = 8192,   /* bytes of all trailer lines */
};

enum http1_body { HTTP1_NO_BODY, HTTP1_LENGTH, HTTP1_CHUNKED, HTTP1_UNTIL_CLOSE };

struct http1_field {
    const char *name;  /* lower case */
    const char *value; /* without white space around it */
};

struct http1_head {
    char *bytes;                /* owned; the texts below lie in it */
    const char *method;         /* of a request */
    const char *target;         /* of a request, as on the wire */
    int status;                 /* of a response */
    int minor;                  /* HTTP/1.minor, 0 or 1 */
    struct http1_field *fields; /* owned, in order */
    size_t field_count;
    enum http1_body body;
    uint64_t content_length; /* HTTP1_LENGTH */
    bool keep_alive;         /* the sender will take another message on this connection */
    bool upgrade;            /* Connection names "upgrade" and there is an Upgrade field */
    bool expect_continue;
};

void http1_head_free(struct http1_head *h);                                            /* and zeroes it */
const char *http1_field(const struct http1_head *h, const char *lower_case_name);      /* the first, or NULL */
const char *http1_field_only(const struct http1_head *h, const char *lower_case_name); /* NULL when several, too */
/* Is `token` (any case) an item of the comma list in the fields of this name? Parameters after ';' are not looked at.
 */
bool http1_field_has(const struct http1_head *h, const char *lower_case_name, const char *token);

struct http1_error {
    int status;       /* what a server answers: 400, 413, 431, 501 or 505 */
    const char *text; /* static */
};

/* Parses one whole head, its empty line included. Takes `bytes` (mem_alloc()ed, len long), also on error.
 * no_body: the response of a HEAD request. */
bool http1_head_parse(enum http1_role role, char *bytes, size_t len, size_t fields_max, bool no_body,
                      struct http1_head *out, struct http1_error *err);

/* ---- the reader: a stream of messages */

struct http1_reader {
    enum http1_role role;
    int state;
    size_t head_max, fields_max;
    uint64_t body_max;
    bool no_body;    /* set before the head: the response of a HEAD request */
    struct buf line; /* an unfinished head, or chunk or trailer line */
    struct http1_head head;
    enum http1_body body; /* of the message under way */
    uint64_t left;        /* body or chunk bytes still to come */
    uint64_t body_bytes;  /* body bytes so far */
    size_t trailer_bytes;
    struct http1_error error;
};

enum http1_event {
    HTTP1_NEED_MORE, /* *in is used up */
    HTTP1_HEAD,      /* r->head is there; take it with http1_take_head() or leave it */
    HTTP1_BODY,      /* *body is a piece of the body, within *in */
    HTTP1_END,       /* the message is complete; the next call starts the next one */
    HTTP1_FAILED,    /* r->error says what; the stream cannot be read any further */
};

/* Limits of 0 mean HTTP1_HEAD_MAX, HTTP1_FIELDS_MAX and none. */
void http1_reader_init(struct http1_reader *r, enum http1_role role, size_t head_max, size_t fields_max,
                       uint64_t body_max);
void http1_reader_free(struct http1_reader *r);
/* Takes bytes off the front of *in. A body over the limit fails right after HTTP1_HEAD when its length is announced. */
enum http1_event http1_next(struct http1_reader *r, struct span *in, struct span *body);
/* The stream ended after all of it was given to http1_next(): HTTP1_END when that ends the body, HTTP1_NEED_MORE when
 * no message was under way. */
enum http1_event http1_eof(struct http1_reader *r);
/* Is it between messages, with not a byte of the next one seen? */
bool http1_reader_idle(const struct http1_reader *r);
struct http1_head http1_take_head(struct http1_reader *r); /* http1_head_free() it */

/* ---- writing */

const char *http1_status_text(int status); /* "Not Found"; "Unknown" for a status without a name */
/* "Name: value\r\n"; control characters in it become spaces, so that a value can never end the line. */
void http1_write_field(struct buf *out, const char *name, const char *value);
void http1_write_date(struct buf *out, int64_t wall_ms);  /* "Date: Fri, 20 Nov 2026 22:14:09 GMT\r\n" */
void http1_write_chunk_head(struct buf *out, size_t len); /* then the bytes, then "\r\n" */
bool http1_is_token(const char *text);                    /* may be a method or field name */
/* May stand in a request line: no white space, control or non-ASCII characters, and not empty. */
bool http1_is_target(const char *text);

#endif
