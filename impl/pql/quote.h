/* How PuppetDB prints things in its messages. */
#ifndef DALANG_PQL_QUOTE_H
#define DALANG_PQL_QUOTE_H

#include "base/bytes.h"
#include <jansson.h>

void quote_list(struct buf *out, const char *const *names, size_t count); /* 'a' · 'a' and 'b' · 'a', 'b', and 'c' */
/* A value as Clojure prints it: ["=" "x" 1], nil, {:a 1} with keys as text. */
void quote_readable(struct buf *out, const json_t *value);
/* A value as Clojure's str has it: text bare, everything else as printed. */
void quote_plain(struct buf *out, const json_t *value);

#endif
