/* Compares an answer with its documented shape.
 *
 * A shape is JSON. Strings in angle brackets stand for any value of that kind: "<string>", "<text>" (not empty),
 * "<int>", "<number>", "<bool>", "<time>" (2030-01-02T03:04:05Z), "<ms>" (with milliseconds), "<id>" (decimal, as a
 * string), "<url>" (absolute, of the API), "<uuid>", "<object>", "<array>", "<any>"; several may be given:
 * "<time|null>". "<url>/jobs/<id>" and the like: a string made of them. Everything else must be equal. Objects must
 * have the same keys; with a key "…" they may have more. An array of one element: any number of such, at least one;
 * of several: exactly these; of none: empty. */
#ifndef DALANG_STACK_TESTS_SHAPE_H
#define DALANG_STACK_TESTS_SHAPE_H

#include "base/json.h"

/* False: `why` says where and what. */
bool shape_fits(const char *shape_text, const json_t *value, struct buf *why);

#endif
