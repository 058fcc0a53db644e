/* Shared by the classifier fake's files. */
#ifndef DALANG_FAKES_CLASSIFIER_MODEL_H
#define DALANG_FAKES_CLASSIFIER_MODEL_H

#include "base/digest.h"
#include "base/map.h"
#include "fakes/classifier/classifier.h"
#include "fakes/classifier/rules.h"
#include "fakes/common/body.h"
#include "fakes/rbac/rbac.h"

#define CLASSIFIER_ROOT_ID "00000000-0000-4000-8000-000000000000"

enum { CLASSIFIER_GROUPS_MAX = 10000, CLASSIFIER_CHECK_INS_MAX = 1000 };

struct group {
    struct list_link link;
    char id[UUID_LEN + 1];
    char parent[UUID_LEN + 1];              /* the root is its own */
    char *name, *description, *environment; /* description may be NULL */
    bool environment_trumps;
    json_t *rule;                              /* NULL: none */
    json_t *classes, *config_data, *variables; /* objects */
    int64_t last_edited_ms;
    int64_t serial_number;
};

/* Everything that a load replaces. */
struct classifier_model {
    struct list groups;
    struct map by_id;
    json_t *environments;   /* array of names */
    json_t *classes;        /* array of {name, environment, parameters} */
    json_t *nodes;          /* certname -> {classes, variables, config_data, environment} */
    json_t *check_ins;      /* certname -> array */
    int64_t last_update_ms; /* of the classes; -1: never */
    bool allow_config_data, strict_rules, record_check_ins;
};

struct fake_classifier {
    struct fake base;
    struct classifier_model *model;
    json_t *(*classes_of)(void *ctx, const char *environment, struct error *err);
    json_t *(*nodes_of)(void *ctx, const json_t *inventory_query, struct error *err);
    void *ctx;
};

struct fake_classifier *classifier_of(struct fake *f);

/* model.c */
struct classifier_model *classifier_model_new(void);
void classifier_model_free(struct classifier_model *m);
struct group *group_new(const char *id, const char *name); /* not yet in a model */
void group_free(struct group *g);
struct group *group_copy(const struct group *g);
void group_add(struct classifier_model *m, struct group *g);
void group_remove(struct classifier_model *m, struct group *g); /* and free */
/* Puts `next` in the place of g, which is freed. */
void group_replace(struct classifier_model *m, struct group *g, struct group *next);
struct group *group_find(const struct classifier_model *m, const char *id);
struct group *group_parent(const struct classifier_model *m, const struct group *g); /* NULL at the root */
bool group_is_root(const struct group *g);
bool group_has_children(const struct classifier_model *m, const struct group *g);
json_t *group_json(const struct classifier_model *m, const struct group *g); /* as GET gives it */
/* The same with what the ancestors give. */
json_t *group_json_inherited(const struct classifier_model *m, const struct group *g);
json_t *group_rule_inherited(const struct classifier_model *m,
                             const struct group *g); /* ["and", own, …]; NULL: no rule */
bool group_holds(const struct classifier_model *m, const struct group *g,
                 const json_t *node); /* own rule and ancestors' */
/* Groups by name, then id; mem_free() the array. */
struct group **groups_sorted(const struct classifier_model *m, size_t *count);
void text_assign(char **to, const char *text);

/* state.c */
struct classifier_model *classifier_model_load(const json_t *state, int64_t now_ms, struct error *err);
json_t *classifier_model_dump(const struct classifier_model *m);
/* A group from an object with the keys of §3 (as in states, imports and PUT). NULL after setting err. */
struct group *group_read(const struct classifier_model *m, const json_t *o, const char *id, struct error *err);
/* §3, §16: what is wrong with this group in this model; false after setting err: kinds uniqueness-violation,
 * missing-parent, inheritance-cycle, missing-referents (only with `references`). */
bool group_check(const struct classifier_model *m, const struct group *g, bool references, struct error *err);

/* classes.c */
json_t *class_find(const struct classifier_model *m, const char *environment, const char *name);
/* Missing classes and parameters as §16 lists them; new array, empty when all is well. */
json_t *group_missing_referents(const struct classifier_model *m, const struct group *g);
json_t *group_deleted(const struct classifier_model *m, const struct group *g); /* §3 "deleted"; NULL: nothing */

/* inherit.c */
/* What a leaf gives, folded from the root: {"environment", "environment_trumps", "classes", "variables",
 * "config_data"}. */
json_t *inherited_classification(const struct classifier_model *m, const struct group *leaf);
/* The whole of §6 for one node {"name", "fact", "trusted"}. */
struct classification {
    struct group **matching, **leaves;
    size_t matching_count, leaf_count;
    json_t *inherited; /* leaf id -> inherited classification */
    json_t *conflicts; /* NULL: none */
    json_t *final;     /* {"environment", "classes", "variables", "config_data"}; NULL on conflict */
    json_t *individual;
    json_t *sources;
};
void classify(const struct classifier_model *m, const json_t *node, struct classification *out);
void classification_clear(struct classification *c);

/* auth.c */
void classifier_fail(struct http_exchange *ex, int status, const char *kind, json_t *details, const char *msg);
void classifier_fail_error(struct http_exchange *ex, const struct error *err); /* status by kind */
/* Who calls. `user` NULL: nobody checks, everything is allowed. */
struct caller {
    const struct fake_rbac *rbac;
    const struct rbac_user *user;
};
bool caller_known(struct fake_classifier *c, struct http_exchange *ex, struct caller *who); /* false after 401 */
bool caller_may(const struct caller *who, const char *action, const char *group_id);
/* caller_known, and the group of ":id" visible; NULL after answering 400, 401, 403 or 404. */
struct group *group_asked(struct fake_classifier *c, struct http_exchange *ex, struct caller *who);
/* Non-negative query parameter; false after answering 400. Absent: *value stays. */
bool count_asked(struct http_exchange *ex, const char *name, uint64_t *value, bool *given);
/* The window of an array that limit and offset ask for (steals all); NULL after answering 400. */
json_t *page_of(struct http_exchange *ex, json_t *all);

extern const struct fake_route classifier_group_routes[];
extern const struct fake_route classifier_edit_routes[];
extern const struct fake_route classifier_rule_routes[];
extern const struct fake_route classifier_classify_routes[];
extern const struct fake_route classifier_other_routes[];

#endif
