/* What the API asks of the services (orchestrator-jobs.md §13). Rules as in services.h: `done` runs once, never inside
 * the call; services_forget(ctx) drops it; JSON is borrowed. On failure `body` is NULL and err has a kind of the API's
 * (orchestrator-api.md §1.6): "puppetlabs.orchestrator/puppetdb-error", "…/query-error", "…/unknown-environment",
 * "…/unknown-task", "…/unknown-plan", "…/validation-error", "…/unknown-error"; authentication: "puppetlabs.rbac/…". */
#ifndef DALANG_ORCHESTRATOR_ASKS_H
#define DALANG_ORCHESTRATOR_ASKS_H

#include "orchestrator/services/services.h"

typedef void services_answer(void *ctx, json_t *body, const struct error *err);

/* RBAC. The subject (user record and token data) of a token. Answers are kept for SERVICES_CACHE_MS. */
enum { SERVICES_CACHE_MS = 2000, SERVICES_CACHE_MAX = 1024 };
void services_authenticate(struct services *s, const char *token, services_answer *done, void *ctx);
/* What services_authenticate() answered for this token less than SERVICES_CACHE_MS ago (borrowed), or NULL. */
json_t *services_cached_subject(struct services *s, const char *token);
/* A user's record as it is now. */
void services_user(struct services *s, const char *id, services_answer *done, void *ctx);
/* The user that certificates act as: a superuser. */
void services_api_user(struct services *s, services_answer *done, void *ctx);
/* permissions: [{"object_type","action","instance"}…], stolen. Answer: array of Booleans in the same order. */
void services_permitted(struct services *s, const char *subject_id, json_t *permissions, services_answer *done,
                        void *ctx);
/* Instances that the subject may use an action on: ["*"], names or ids. */
void services_permitted_instances(struct services *s, const char *object_type, const char *action,
                                  const char *subject_id, services_answer *done, void *ctx);

/* PuppetDB, with the user's token, so that its own permission check holds. query: PQL string or AST array, borrowed. */
void services_user_query(struct services *s, const char *token, json_t *query, services_rows *done, void *ctx);

/* Classifier, with the user's token. The group; its rules in classifier form and as queries. */
void services_group(struct services *s, const char *token, const char *id, services_answer *done, void *ctx);
void services_group_rules(struct services *s, const char *token, const char *id, services_answer *done, void *ctx);

/* Puppet Server. `name`: "module" or "module::item". */
void services_environments(struct services *s, services_answer *done, void *ctx);
void services_environment_graph(struct services *s, const char *environment, services_answer *done, void *ctx);
void services_tasks(struct services *s, const char *environment, services_answer *done, void *ctx);
void services_task(struct services *s, const char *environment, const char *name, services_answer *done, void *ctx);
void services_plans(struct services *s, const char *environment, services_answer *done, void *ctx);
void services_plan(struct services *s, const char *environment, const char *name, services_answer *done, void *ctx);

#endif
