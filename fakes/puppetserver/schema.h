/* The schemas that Puppet Server's Clojure side holds bodies against, and its words for what does not fit
 * (puppetserver.md §19, §20). */
#ifndef DALANG_FAKES_PUPPETSERVER_SCHEMA_H
#define DALANG_FAKES_PUPPETSERVER_SCHEMA_H

#include "base/json.h"

enum schema_kind {
    SCHEMA_TEXT,
    SCHEMA_BOOL,
    SCHEMA_MAP,         /* of texts to anything */
    SCHEMA_MAP_OR_LIST, /* or a list of those */
    SCHEMA_ENVIRONMENT, /* a text that may name an environment */
    SCHEMA_WORD,        /* one of `words`: a Clojure set as it prints */
    SCHEMA_KEYS,        /* an object with the keys of `inside` and no others */
};
/* Tables end with a NULL name. */
struct schema_key {
    const char *name;
    enum schema_kind kind;
    bool required;
    const struct schema_key *inside;
    const char *words;
};
/* What is wrong, as {"key" missing-required-key, …}, mem_free() it; NULL: nothing. */
char *schema_complaints(const json_t *value, const struct schema_key *keys);

#endif
