/* A loaded rule, between rules_load.c (from configuration) and rules.c (evaluation). */
#ifndef DALANG_BROKER_RULES_INTERNAL_H
#define DALANG_BROKER_RULES_INTERNAL_H

#include "broker/rules.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define RULES_PATH "/pcp-broker/send"
#define RULES_METHOD "post"

enum {
    RULES_MAX = 999,
    RULES_PATTERN_MAX = 4096,   /* bytes of a regular expression */
    RULES_MATCH_LIMIT = 100000, /* of PCRE2: a pattern that needs more does not match */
    RULES_DEPTH_LIMIT = 1000,
};

enum entry_kind {
    ENTRY_ANYONE,
    ENTRY_OPAQUE,  /* a name without a dot: equal */
    ENTRY_DOMAIN,  /* a host name: equal, in any case */
    ENTRY_SUBTREE, /* "*.example.com": any name below; text is ".example.com" */
    ENTRY_REGEX,
    ENTRY_EXTENSIONS, /* all of its conditions on the certificate hold */
};

struct condition;

struct entry {
    enum entry_kind kind;
    char *text;
    pcre2_code *regex;
    struct condition *conditions;
    size_t condition_count;
};

struct entries {
    struct entry *items;
    size_t count, cap;
};

/* One of an entry's {extensions: …}: the extension has one of the values, or an alternative name fits one of the names.
 */
struct condition {
    char *oid; /* NULL: alternative names */
    char **values;
    size_t count, cap;
    struct entries names;
};
/* The OID of "pp_role", or the text itself when it is an OID; NULL: neither. */
const char *extension_oid(const char *name);
const char *extension_nearest(const char *name); /* for an error; or NULL */

enum { PARAM_SENDER, PARAM_TARGET, PARAM_MESSAGE_TYPE, PARAM_COUNT };

struct param {
    bool listed; /* the rule names it: one of the values is needed */
    char **values;
    size_t count, cap;
};

struct rule {
    char *name;
    int64_t sort_order;
    bool possible; /* path, method and all named parameters can match a broker's request at all */
    bool allow_unauthenticated;
    struct param params[PARAM_COUNT];
    struct entries deny, allow;
};

struct rules {
    struct rule *items;
    size_t count, cap;
    bool header_identity; /* allow-header-cert-info: a broker's requests have no headers, so nobody is authenticated */
    pcre2_match_data *match;
    pcre2_match_context *limits;
};

struct rules *rules_new(void);
void rules_sort(struct rules *r);

#endif
