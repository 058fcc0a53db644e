/* PostgreSQL's to_char, as far as masks for times and whole numbers go (puppetdb.md §9). */
#ifndef DALANG_FAKES_PUPPETDB_TOCHAR_H
#define DALANG_FAKES_PUPPETDB_TOCHAR_H

#include "base/bytes.h"

void tochar_time(struct buf *out, int64_t ms, struct span mask); /* UTC */
void tochar_number(struct buf *out, int64_t number, struct span mask);

#endif
