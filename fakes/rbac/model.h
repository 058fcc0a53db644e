/* What the fake RBAC remembers, and the calls its files share. */
#ifndef DALANG_FAKES_RBAC_MODEL_H
#define DALANG_FAKES_RBAC_MODEL_H

#include "base/digest.h"
#include "base/map.h"
#include "fakes/common/body.h"
#include "fakes/rbac/rbac.h"

#define RBAC_ADMIN_ID "42bf351c-f9ec-40af-84ad-e976fec7f4bd"
#define RBAC_API_USER_ID "af94921f-bd76-4b58-b5ce-e17c029a2790"
#define RBAC_ROOT_GROUP "00000000-0000-4000-8000-000000000000"

enum {
    RBAC_ROLE_ADMINISTRATORS = 1,
    RBAC_ROLE_FIRST_OWN = 6, /* the default roles have 1-5 */
    RBAC_PASSWORD_MIN = 6,
    RBAC_LABEL_MAX = 200,      /* characters */
    RBAC_TOKEN_MAX = 8 * 1024, /* bytes of a token text */
    RBAC_TOKENS_MAX = 100000,  /* remembered; the oldest go first */
    RBAC_SALT_LEN = 16,
    RBAC_KEY_LEN = 32,
};

/* A scrypt verifier; the clear text of a fixture's password stays until its first use. */
struct rbac_password {
    bool derived;
    char *clear; /* not derived yet; NULL: no password */
    uint32_t n;
    uint8_t salt[RBAC_SALT_LEN];
    uint8_t key[RBAC_KEY_LEN];
};

struct id_set {
    int64_t *items;
    size_t count, cap;
};

struct rbac_user {
    struct list_link link;
    char id[UUID_LEN + 1];
    char *login, *display_name, *email; /* email may be NULL */
    int64_t created_ms;
    int64_t last_login_ms; /* -1: never */
    struct id_set roles;
    bool superuser, revoked, remote;
    unsigned failed_attempts;
    struct rbac_password password;
};

struct rbac_group {
    struct list_link link;
    char id[UUID_LEN + 1];
    char *login, *display_name;
    struct id_set roles;
    json_t *members; /* array of user ids */
};

struct rbac_permission {
    char *object_type, *action, *instance;
};

struct rbac_role {
    struct list_link link;
    int64_t id;
    char *display_name, *description; /* description may be NULL */
    struct rbac_permission *permissions;
    size_t permission_count, permission_cap;
};

struct rbac_token {
    struct list_link link;
    char id[UUID_LEN + 1];
    char digest[SHA256_HEX_LEN + 1]; /* the text itself is not kept */
    char user_id[UUID_LEN + 1];
    char *label, *description, *client; /* may be NULL */
    int64_t created_ms, expires_ms, last_active_ms;
    int64_t timeout_minutes; /* 0: none */
    bool revoked;
    bool password_reset; /* good for one POST /auth/reset only */
};

struct rbac_settings {
    unsigned failed_attempts_lockout; /* 0: never */
    int64_t default_lifetime_ms, maximum_lifetime_ms, password_reset_ms;
    int64_t account_expiry_days; /* 0: never */
    uint32_t scrypt_n;
    bool certs_v2;
};

/* Everything that a load replaces. */
struct rbac_model {
    struct list users, groups, roles, tokens;
    struct map users_by_id, users_by_login, groups_by_id, tokens_by_digest;
    int64_t last_role_id;
    json_t *allowlist; /* array of names */
    json_t *directory; /* GET /v1/ds */
    struct rbac_settings settings;
};

struct fake_rbac {
    struct fake base;
    struct rbac_model *model;
    struct list jobs; /* password work under way */
    bool (*parent_of)(void *ctx, const char *id, const char **parent);
    void *parent_ctx;
};

/* model.c */
struct rbac_model *rbac_model_new(void);
void rbac_model_free(struct rbac_model *m);
struct rbac_user *rbac_user_add(struct rbac_model *m, const char *id, const char *login);
void rbac_user_remove(struct rbac_model *m, struct rbac_user *u);
bool rbac_user_rename(struct rbac_model *m, struct rbac_user *u, const char *login); /* false: taken */
struct rbac_user *rbac_user_find(const struct rbac_model *m, const char *id);
struct rbac_user *rbac_user_by_login(const struct rbac_model *m, const char *login);
struct rbac_group *rbac_group_add(struct rbac_model *m, const char *id, const char *login);
void rbac_group_remove(struct rbac_model *m, struct rbac_group *g);
struct rbac_group *rbac_group_find(const struct rbac_model *m, const char *id);
bool rbac_login_taken(const struct rbac_model *m, const char *login); /* over users and groups */
bool rbac_group_has(const struct rbac_group *g, const char *user_id);
void rbac_group_add_member(struct rbac_group *g, const char *user_id);
struct rbac_role *rbac_role_add(struct rbac_model *m, int64_t id, const char *display_name);
void rbac_role_remove(struct rbac_model *m, struct rbac_role *r);
struct rbac_role *rbac_role_find(const struct rbac_model *m, int64_t id);
struct rbac_role *rbac_role_by_name(const struct rbac_model *m, const char *display_name);
void rbac_role_grant(struct rbac_role *r, const char *type, const char *action, const char *instance);
void rbac_role_withdraw(struct rbac_role *r, const char *type, const char *action, const char *instance);
void rbac_role_clear(struct rbac_role *r);
bool id_set_has(const struct id_set *s, int64_t id);
void id_set_add(struct id_set *s, int64_t id);
void id_set_remove(struct id_set *s, int64_t id);
void id_set_clear(struct id_set *s);
json_t *id_set_json(const struct id_set *s);
void text_set(char **to, const char *text); /* text NULL: NULL */

/* state.c: JSON to model and back */
struct rbac_model *rbac_model_load(struct world *w, const json_t *state, int64_t now_ms, struct error *err);
json_t *rbac_model_dump(const struct rbac_model *m);

/* types.c: the table of rbac.md §6.2 */
bool rbac_action_known(const char *type, const char *action);
json_t *rbac_types_json(void);
void rbac_grant_defaults(struct rbac_model *m); /* the roles of §10 with their grants */

/* permissions.c */
bool rbac_holds(const struct fake_rbac *r, const struct rbac_user *u, const char *type, const char *action,
                const char *instance);

/* tokens.c */
/* rbac.md §4.2: digits and one of y d h m s; 0 is the maximum; more than the maximum is cut to it. */
bool rbac_lifetime_parse(const struct rbac_settings *s, struct span text, int64_t *ms);
/* Makes a token and returns its text (mem_free_secret() it). */
char *rbac_token_issue(struct fake_rbac *r, const struct rbac_user *u, int64_t lifetime_ms, struct rbac_token **out);
struct rbac_token *rbac_token_add(struct rbac_model *m, const char *digest);
void rbac_token_remove(struct rbac_model *m, struct rbac_token *t);
struct rbac_token *rbac_token_find(const struct rbac_model *m, struct span text);
/* The live token and its user; NULL after setting err as in rbac.md §4.7. */
struct rbac_token *rbac_token_check(struct fake_rbac *r, struct span text, bool touch, struct rbac_user **user,
                                    struct error *err);
void rbac_tokens_revoke_of(struct rbac_model *m, const struct rbac_user *u);
bool rbac_label_ok(const struct fake_rbac *r, const struct rbac_user *u, struct span label, struct error *err);

/* password.c: scrypt through world_work */
struct rbac_job;
void rbac_password_set_clear(struct rbac_password *p, const char *clear);
void rbac_password_clear(struct rbac_password *p);
json_t *rbac_password_dump(const struct rbac_password *p); /* "scrypt$N$salt$key" or NULL when not derived */
bool rbac_password_parse(struct rbac_password *p, const char *text);
/* Compares (attempt != NULL) and/or sets a new password (fresh != NULL), then calls done with the exchange, unless the
 * client or the user has gone: then the user is NULL resp. nothing is called. body is kept until then. */
void rbac_password_work(struct fake_rbac *r, struct http_exchange *ex, struct rbac_user *u, const char *attempt,
                        const char *fresh, json_t *body,
                        void (*done)(struct fake_rbac *r, struct http_exchange *ex, struct rbac_user *u, bool matches,
                                     const json_t *body));
void rbac_jobs_detach(struct fake_rbac *r);

/* auth.c: errors, and who calls */
void rbac_fail(struct http_exchange *ex, int status, const char *kind, json_t *details, const char *msg);
void rbac_fail_error(struct http_exchange *ex, int status, const struct error *err);
/* The caller, or NULL after answering 401. */
struct rbac_user *rbac_require(struct fake_rbac *r, struct http_exchange *ex);
/* The same who must also hold the permission; NULL after answering 401 or 403. */
struct rbac_user *rbac_require_permission(struct fake_rbac *r, struct http_exchange *ex, const char *type,
                                          const char *action, const char *instance);
struct fake_rbac *rbac_of(struct fake *f);
void rbac_log_activity(struct fake_rbac *r, const struct rbac_user *subject, const char *object_type,
                       const char *object_id, const char *object_name, const char *type, const char *what,
                       const char *message);

/* Route tables of the other files, joined in rbac.c; each ends with a NULL pattern. */
extern const struct fake_route rbac_token_routes[];
extern const struct fake_route rbac_permission_routes[];
extern const struct fake_route rbac_revoke_routes[];
extern const struct fake_route rbac_user_routes[];
extern const struct fake_route rbac_user_v2_routes[];
extern const struct fake_route rbac_group_routes[];
extern const struct fake_route rbac_role_routes[];
extern const struct fake_route rbac_password_routes[];
extern const struct fake_route rbac_other_routes[];

/* users.c */
json_t *rbac_user_json(const struct rbac_model *m, const struct rbac_user *u);
json_t *rbac_time_json(int64_t ms); /* -1: null */
/* Checks an "id" list of roles; false after answering 422 invalid-associated-id. */
bool rbac_roles_exist(const struct rbac_model *m, struct http_exchange *ex, const json_t *ids);
/* The "id" query parameter as an array of UUIDs, NULL when absent; false after answering 400 invalid-id-filter. */
bool rbac_ids_asked(struct http_exchange *ex, json_t **ids);
bool rbac_id_wanted(const json_t *ids, const char *id);
/* NULL after answering 400 or 404. */
struct rbac_user *rbac_user_asked(struct fake_rbac *r, struct http_exchange *ex, const char *id);

#endif
