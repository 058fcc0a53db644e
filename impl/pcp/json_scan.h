/* Checks JSON text and finds where values stand, without building anything: the broker's fast path. */
#ifndef DALANG_PCP_JSON_SCAN_H
#define DALANG_PCP_JSON_SCAN_H

#include "base/bytes.h"

/* The first JSON value in the text, white space around it dropped; what follows it is ignored.
 * Empty when there is none: not JSON, not UTF-8, nested deeper than JSON_DEPTH_MAX (base/json.h). */
struct span json_scan_value(struct span text);

struct json_field {
    struct span name;
    struct span value; /* raw text; empty: absent */
};
/* Finds the members of the object that the text starts with; of a repeated key the last one. *whole becomes the
 * object's text, *repeated tells whether a key occurred twice. False when it is no object or has a key that is not
 * listed. */
bool json_scan_object(struct span text, struct json_field *fields, size_t count, struct span *whole, bool *repeated);

/* Walks the elements of an array that json_scan_value() has checked; *rest starts as the array's text. */
bool json_scan_element(struct span *rest, struct span *element);

static inline bool json_text_is_string(struct span value) {
    return value.len >= 2 && value.ptr[0] == '"';
}
/* The text of a checked string value: between its quotes, or unescaped into *scratch when it has escapes.
 * *scratch must have room for value.len bytes more, so that earlier results stay where they are. */
struct span json_string_text(struct span value, struct buf *scratch);

#endif
