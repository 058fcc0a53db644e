/* Whether two answers say the same.
 *
 * What may differ is a list: {"differences": [{"name": glob over requests, "part": glob over "status", "order",
 * "header.NAME" and "body.PATH" (of a text: "body"), "until": text, "absent": true, "reason": why}], "skip": [{"name":
 * glob, "reason": why}], "first": [names that are sent before the others, in this order]}. Of a part that may differ
 * only the JSON type must be equal; with "until", what comes before that text; with "absent" it may be missing in one
 * of them. Lists are compared as sets unless the request orders them. */
#ifndef DALANG_SIMULATOR_INTEROP_COMPARE_H
#define DALANG_SIMULATOR_INTEROP_COMPARE_H

#include "simulator/interop/ask.h"

struct compare {
    json_t *rules;                   /* borrowed */
    const char *fake_url, *real_url; /* stand for the same in answers that name their own address */
};
/* False after setting err (kind "interop") for a list that is none. */
bool compare_rules_valid(const json_t *rules, struct error *err);
/* The reason why this request is not sent, or NULL. */
const char *compare_skipped(const struct compare *c, const char *name);
/* Whether the order that was asked for leaves rows tied (a difference with the part "order"). */
bool compare_ties(const struct compare *c, const char *name);
/* NULL when equal, else what differs; mem_free() it. Marks the differences that were needed ("used": true). */
char *compare_answers(const struct compare *c, const char *name, bool ordered, const struct answer *fake,
                      const struct answer *real);

#endif
