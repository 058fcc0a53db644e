/* UTF-8 of a text that is still growing. Pure. */
#ifndef DALANG_WIRE_UTF8_H
#define DALANG_WIRE_UTF8_H

#include "base/bytes.h"

/* Can the text, of which more may follow, still become UTF-8? *checked says how much of it an earlier call has found
 * good (0 at first) and is moved to behind the last whole character: a growing text is looked at once. */
bool utf8_so_far(struct span text, size_t *checked);

#endif
