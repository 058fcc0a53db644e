/* The fake node classifier (classifier.md): groups, rules and their translation to PuppetDB queries, classification
 * with conflicts and explanation, pinning, environments and classes. With the RBAC fake on the same listener callers
 * are authenticated and node_groups permissions hold; without it everybody may do everything.
 *
 * State ("classifier"):
 *   {"groups": [{"name": "Edge proxies", "id": "6b0d5a44-9a43-4b7f-9c7e-0f6f2a0c6d10", "parent": "root",
 *                "rule": ["~", "name", "^edge"], "classes": {}}],
 *    "environments": ["production", "staging"],
 *    "classes": [{"name": "haproxy", "environment": "production", "parameters": {"maxconn": null}}],
 *    "nodes": {"web1": {"classes": {}, "variables": {}}},        classification of single nodes
 *    "options": {"allow_config_data": true, "strict_rules": true, "check_ins": false}}
 * "root" abbreviates the root's id; a group without id gets one computed from its name. Groups have the keys of
 * classifier.md §3. References to classes are checked only in environments for which classes are listed. */
#ifndef DALANG_FAKES_CLASSIFIER_H
#define DALANG_FAKES_CLASSIFIER_H

#include "fakes/common/fake.h"

struct fake_classifier;

struct fake_classifier_opts {
    const json_t *state; /* borrowed; may be NULL */
    const struct logger *log;
    /* Answers POST /update-classes: the classes of an environment as environment_classes gives them
     * (puppetserver.md §13), a new reference, or NULL after setting err. May be NULL: the lists stay as they are. */
    json_t *(*classes_of)(void *ctx, const char *environment, struct error *err);
    /* Answers GET /groups/:id/nodes: the certnames that a PuppetDB inventory query selects, an array of strings. May be
     * NULL: 501. */
    json_t *(*nodes_of)(void *ctx, const json_t *inventory_query, struct error *err);
    void *ctx;
};

struct fake_classifier *fake_classifier_new(struct world *w, const struct fake_classifier_opts *opts,
                                            struct error *err);
void fake_classifier_free(struct fake_classifier *c); /* NULL is fine */
struct fake *fake_classifier_base(struct fake_classifier *c);
/* Lets the RBAC fake ask for the parents of groups: permissions on a group hold for its descendants. Call once both
 * exist; the classifier must outlive the RBAC fake's use. */
struct fake_rbac;
void fake_classifier_join_rbac(struct fake_classifier *c, struct fake_rbac *rbac);

#endif
