/* Rules of node groups (classifier.md §4, §5, §7). Pure: JSON in, JSON or a verdict out. */
#ifndef DALANG_FAKES_CLASSIFIER_RULES_H
#define DALANG_FAKES_CLASSIFIER_RULES_H

#include "base/json.h"

enum { RULE_DEPTH_MAX = 100 };

/* False after setting err (kind "schema-violation"): not a rule. strict: values must be strings; otherwise numbers and
 * booleans pass. */
bool rule_check(const json_t *rule, bool strict, struct error *err);
/* The rule with every value a string; new reference. */
json_t *rule_normalized(const json_t *rule);
/* node: {"name": …, "fact": {…}, "trusted": {…}}. */
bool rule_matches(const json_t *rule, const json_t *node);
/* {"value": bool, "form": […]} with every part explained likewise (classifier.md §12.2); new reference. */
json_t *rule_explain(const json_t *rule, const json_t *node);
/* One operand left of and/or stands for itself, nested equal operators are one, an always-true name rule is dropped
 * from "and". New reference; selects the same nodes. */
json_t *rule_simplified(const json_t *rule);

enum rule_format { RULE_FORMAT_NODES, RULE_FORMAT_INVENTORY };
/* The PuppetDB query; NULL when it cannot be expressed in that format (nodes: structured facts, trusted data). */
json_t *rule_translate(const json_t *rule, enum rule_format format);

/* A pinned node is an equality on the name in a top-level "or" (§9). Each returns a new rule, NULL for none. */
json_t *rule_pin(const json_t *rule, const char *node);
json_t *rule_unpin(const json_t *rule, const char *node);
bool rule_pins(const json_t *rule, const char *node);

/* A fact value as the text that "=" and "~" compare (mem_free() it); NULL for null, arrays and objects. */
char *rule_value_text(const json_t *value);

#endif
