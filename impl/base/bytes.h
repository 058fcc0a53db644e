/* Borrowed and owned byte strings.
 *
 * A `span` borrows: it never owns and is never NUL-terminated by promise.
 * A `buf` owns a growable byte string; whenever it holds memory, ptr[len] is NUL, so a
 * text buffer can be read as a C string. Lengths are in bytes. */
#ifndef DALANG_BASE_BYTES_H
#define DALANG_BASE_BYTES_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
    const char *ptr;
    size_t len;
};

#define SPAN(literal) ((struct span){"" literal "", sizeof(literal) - 1})

struct span span_of(const char *text); /* of a C string; NULL gives the empty span */
struct span span_bytes(const void *ptr, size_t len);
bool span_eq(struct span a, struct span b);
bool span_eq_cstr(struct span a, const char *b);
bool span_eq_nocase(struct span a, const char *b); /* ASCII only */
int span_cmp(struct span a, struct span b);        /* byte order, as strcmp */
bool span_starts_with(struct span s, const char *prefix);
bool span_ends_with(struct span s, const char *suffix);
ptrdiff_t span_find(struct span s, char c);                   /* index or -1 */
ptrdiff_t span_find_span(struct span s, struct span what);    /* index or -1 */
struct span span_sub(struct span s, size_t from, size_t len); /* clamped */
struct span span_trim(struct span s);                         /* ASCII white space */
/* Splits off what stands before the first `sep`; *rest is moved behind it. False once *rest is used up. */
bool span_split(struct span *rest, char sep, struct span *part);
/* Decimal, whole span, no sign, no overflow; false leaves *out alone. */
bool span_to_u64(struct span s, uint64_t *out);
bool span_to_i64(struct span s, int64_t *out);
char *span_dup(struct span s); /* NUL-terminated copy, mem_free() it */
bool span_is_utf8(struct span s);
bool span_has_nul(struct span s);

struct buf {
    char *ptr;
    size_t len;
    size_t cap;
};

#define BUF_INIT                                                                                                       \
    { NULL, 0, 0 }

void buf_free(struct buf *b);
void buf_clear(struct buf *b); /* keeps the memory */
void buf_reserve(struct buf *b, size_t more);
void buf_append(struct buf *b, const void *bytes, size_t len);
void buf_append_span(struct buf *b, struct span s);
void buf_append_cstr(struct buf *b, const char *text);
void buf_append_char(struct buf *b, char c);
void buf_append_html(struct buf *b, const char *text); /* as the text of an HTML or XML element or "attribute" */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
void buf_consume(struct buf *b, size_t len); /* drops the first len bytes */
char *buf_take(struct buf *b);               /* detaches as a C string ("" when empty), mem_free() it */
struct span buf_span(const struct buf *b);

/* printf into a fresh C string, mem_free() it. */
char *str_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *str_dup(const char *text);           /* NULL stays NULL */
bool str_eq(const char *a, const char *b); /* NULL equals only NULL */
/* '*' matches any run of characters, line ends too; everything else itself. */
bool glob_match(const char *pattern, const char *text);

#endif
