/* Sets of texts in the order in which PuppetDB's language keeps them. Tags are such sets: the order shows in answers
 * and counts in the hashes of catalogs. */
#ifndef DALANG_FAKES_PUPPETDB_TEXTSET_H
#define DALANG_FAKES_PUPPETDB_TEXTSET_H

#include <jansson.h>

/* The texts of a list, each once; new reference. What is no text is left out; NULL is an empty list. */
json_t *textset_of(const json_t *list);

#endif
