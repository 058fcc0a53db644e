/* Lower case as Java has it, for the letters people write tags with: ASCII, Latin-1, Latin Extended-A, Greek, Cyrillic.
 * Every one of them keeps its length in UTF-8. */
#ifndef DALANG_PQL_LOWERCASE_H
#define DALANG_PQL_LOWERCASE_H

#include "base/bytes.h"

/* In place. What is no UTF-8 and what has no lower case stays. */
void lowercase(struct buf *text);

#endif
