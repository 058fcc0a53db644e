/* Modules and actions as an agent offers them, and the check of a request against them (pxp.md §6, §9, §11). */
#ifndef DALANG_PXP_MODULE_H
#define DALANG_PXP_MODULE_H

#include "pxp/body.h"
#include "pxp/schema.h"

struct pxp_action {
    char *name;
    struct pxp_schema *input;
    struct pxp_schema *results; /* NULL: any object */
};

struct pxp_module {
    char *name;
    bool blocking_only;               /* echo, ping, status */
    struct pxp_schema *configuration; /* NULL: anything goes */
    struct pxp_action *actions;       /* in the order of the metadata */
    size_t action_count;
};

/* An empty module of that name; actions are added with pxp_module_add, which takes the schemas over. */
struct pxp_module *pxp_module_new(const char *name);
/* False when the module already has an action of that name (the schemas are freed then). */
bool pxp_module_add(struct pxp_module *m, const char *name, struct pxp_schema *input, struct pxp_schema *results);
/* From what `MODULE metadata` printed: one JSON document, closed at both levels.
 * error kind "pxp/bad-metadata"; the message says what is wrong. */
struct pxp_module *pxp_module_parse(const char *name, struct span metadata, struct error *err);
void pxp_module_free(struct pxp_module *m);
const struct pxp_action *pxp_module_action(const struct pxp_module *m, struct span name); /* or NULL */

/* Module known, action known, blocking only, parameters: in this order. module NULL: no such module. On failure err
 * holds the description for the RPC error answer, kind "pxp/refused". */
bool pxp_module_check(const struct pxp_module *module, const struct pxp_request *request, struct error *err);

#endif
