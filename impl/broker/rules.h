/* Who may send what to whom: the `authorization` section of Puppet's services (pcp.md §14), evaluated for the one
 * request a broker makes of a message: POST /pcp-broker/send with the query parameters sender, target and message_type.
 */
#ifndef DALANG_BROKER_RULES_H
#define DALANG_BROKER_RULES_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/hocon.h"
#include "world/world.h"

struct rules;

/* `section` is the value of the key "authorization" in the result of h. Error kind "config/authorization", naming file,
 * line, rule and reason. `targets_alias`: rules may also say "targets" for "target", as old documents do. */
struct rules *rules_load(const struct hocon *h, bool targets_alias, struct error *err);
/* Lets everyone send everything: what a broker without an authorization section would need. */
struct rules *rules_allow_all(void);
void rules_free(struct rules *r);
size_t rules_count(const struct rules *r);

struct rules_request {
    const char *common_name; /* NULL: the client has no certificate */
    const char *const *alt_names;
    size_t alt_name_count;
    const struct world_extension *extensions; /* of the certificate */
    size_t extension_count;
    struct span sender, target, message_type;
};
/* *rule becomes the name of the rule that decided, or NULL when none matched (which denies). */
bool rules_allow(const struct rules *r, const struct rules_request *q, const char **rule);

#endif
