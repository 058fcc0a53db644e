/* The JSON Schema dialect of PXP: draft 4 as the reference's validator reads it (pxp.md §10).
 *
 * Keywords: type, properties, patternProperties, additionalProperties, required, items, additionalItems, enum, allOf,
 * anyOf, oneOf, not, dependencies, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, divisibleBy,
 * minLength, maxLength, minItems, maxItems, uniqueItems, minProperties, maxProperties, pattern, local $ref.
 * Others are annotations and ignored. Types are strict: "1" and 1.0 are no integers. */
#ifndef DALANG_PXP_SCHEMA_H
#define DALANG_PXP_SCHEMA_H

#include "base/error.h"
#include <jansson.h>

enum {
    PXP_SCHEMA_DEPTH_MAX = 256,      /* nesting of schemas while checking one value; deeper is refused */
    PXP_SCHEMA_NODES_MAX = 10000,    /* sub-schemas of one document */
    PXP_SCHEMA_STEPS_MAX = 2000000,  /* schema applications while checking one value; more is refused */
    PXP_PATTERN_STEPS_MAX = 1000000, /* matching steps of one pattern; more counts as no match */
};

struct pxp_schema;

/* Reads a schema; json is only borrowed during the call. error kind "pxp/bad-schema": says which keyword. */
struct pxp_schema *pxp_schema_parse(const json_t *json, struct error *err);
/* The same of a trusted literal. An object schema that declares properties is closed, as the reference's own are:
 * additionalProperties is false unless it is given. */
struct pxp_schema *pxp_schema_closed(const char *text);
void pxp_schema_free(struct pxp_schema *s);
/* error kind "pxp/invalid": the message names the place ("/params/files/0") and the keyword. err may be NULL. */
bool pxp_schema_check(const struct pxp_schema *s, const json_t *value, struct error *err);

#endif
