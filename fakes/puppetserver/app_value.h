/* Values that occur in site and application blocks, and their evaluation (puppetserver.md §16: constants, variables,
 * lists, hashes, references; anything else stays as its source).
 *
 * A value is JSON: text, number, boolean, null for undef; an array for a list; and tagged objects:
 *   {"ref": "Shop::Api", "title": "eu-1"}   a resource reference
 *   {"type": "Shop::Api"}                   a type alone
 *   {"pairs": [[key, value], …]}            a hash
 *   {"unevaluated": "SOURCE"}               what is not evaluated here */
#ifndef DALANG_FAKES_PUPPETSERVER_APP_VALUE_H
#define DALANG_FAKES_PUPPETSERVER_APP_VALUE_H

#include "base/json.h"
#include "puppetlang/ast.h"

/* New reference, never NULL. `scope` maps variable names to values. */
json_t *app_evaluate(const struct pl_tree *tree, const struct pl_node *node, const json_t *scope);
/* "Shop::Api[eu-1]"; NULL when it is no reference. mem_free() it. */
char *app_reference_text(const json_t *value);
bool app_is_reference(const json_t *value);
/* The value as text in messages and interpolation; mem_free() it. */
char *app_text(const json_t *value);
/* Puppet's name of the value's type: "String", "Hash" … */
const char *app_type_name(const json_t *value);
/* "shop::api" to "Shop::Api"; mem_free() it. */
char *app_capitalized(const char *name);
/* "Shop::Api" to "shop::api"; mem_free() it. */
char *app_lower(const char *name);
/* Plain JSON (facts) as a value, and a value as the plain JSON of a catalog's parameter; new references. */
json_t *app_from_plain(const json_t *plain);
json_t *app_to_plain(const json_t *value);
/* A list of one or several: calls each(ctx, item) for the value or its elements. */
void app_each(const json_t *value, void (*each)(void *ctx, const json_t *item), void *ctx);

#endif
