/* Small helpers over jansson, for reading what came from outside. Getters borrow. */
#ifndef DALANG_BASE_JSON_H
#define DALANG_BASE_JSON_H

#include "base/bytes.h"
#include "base/error.h"
#include <jansson.h>

enum { JSON_DEPTH_MAX = 512 }; /* deeper input is refused (jansson itself stops at 2048) */

/* Any JSON value. Numbers outside int64 become reals. Allows NUL in strings. NULL after error_set(err, kind, …). */
json_t *json_parse(struct span text, const char *kind, struct error *err);
/* As json_parse, but an object with a repeated key is refused. */
json_t *json_parse_strict(struct span text, const char *kind, struct error *err);
char *json_text(const json_t *value);                      /* compact, key order kept; mem_free() it */
void json_write(struct buf *out, const json_t *value);     /* compact, appended; reals as short as they can be */
void json_write_string(struct buf *out, struct span text); /* quoted and escaped, appended */
const char *json_str(const json_t *obj, const char *key);  /* NULL when absent or not a string */
struct span json_span(const json_t *string);               /* bytes of a string value; empty otherwise */
int64_t json_int(const json_t *obj, const char *key, int64_t absent);
/* The first key of obj that is none of `keys`, borrowed; NULL: there is none. */
const char *json_unknown_key(const json_t *obj, const char *const *keys, size_t count);
bool json_bool(const json_t *obj, const char *key, bool absent);
json_t *json_str_new(struct span text); /* NULL when not UTF-8 */
/* Sets key to value and steals it; value NULL stores null. */
void json_set(json_t *obj, const char *key, json_t *value);

#endif
