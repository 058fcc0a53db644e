/* The fake RBAC service (rbac.md): users, directory groups, roles, permissions, tokens, passwords, allow-listed
 * certificates. Mount it with fake_host_new(); beside it the classifier and activity fakes ask it in process.
 *
 * State (PUT /_fake/state under "rbac", or --state):
 *   {"users":  [{"login": "noor", "password": "quietstone", "roles": ["Operators"]},
 *               {"login": "root2", "password": "quietstone", "superuser": true}],
 *    "roles":  [{"display_name": "Web tasks", "permissions":
 *                 [{"object_type": "tasks", "action": "run", "instance": "service"}]}],
 *    "groups": [{"login": "web-team", "roles": ["Web tasks"], "members": ["noor"]}],
 *    "tokens": [{"token": "fixed-noor", "login": "noor", "expires": "2020-01-01T00:00:00Z"}],
 *    "allowlist": ["orch.lab.example"],
 *    "settings": {"failed_attempts_lockout": 10, "default_lifetime": "1h", "maximum_lifetime": "10y",
 *                 "password_reset_expiration": "24h", "account_expiry_days": 0, "scrypt_n": 16384,
 *                 "certs_v2": true}}
 * Roles are named by display name or id. Optional too: user {id, display_name, email, revoked, remote, last_login,
 * created, failed_attempts, password_hash}; token {label, description, client, created, last_active, timeout_minutes,
 * revoked, token_sha256}; role {id, description}; group {id, display_name}. admin, api_user and the roles of rbac.md
 * §10 are there unless "seed" is false. A user without id gets one computed from the login, so a fixture is the same in
 * every run. */
#ifndef DALANG_FAKES_RBAC_H
#define DALANG_FAKES_RBAC_H

#include "fakes/common/fake.h"

struct fake_rbac;
struct rbac_user;

struct fake_rbac_opts {
    const json_t *state; /* borrowed; NULL: only what is seeded */
    const struct logger *log;
};

struct fake_rbac *fake_rbac_new(struct world *w, const struct fake_rbac_opts *opts, struct error *err);
void fake_rbac_free(struct fake_rbac *r); /* NULL is fine; not while hosted */
struct fake *fake_rbac_base(struct fake_rbac *r);

/* For the fakes beside it. */

/* Who makes this request: a token (header X-Authentication, then parameter "token"), or an allow-listed certificate.
 * NULL after setting err: its kind is puppetlabs.rbac/… and the status is 401. Borrowed until the state changes. */
const struct rbac_user *fake_rbac_caller(struct fake_rbac *r, struct http_exchange *ex, struct error *err);
/* rbac.md §6.3. instance "*" asks for all instances. */
bool fake_rbac_permitted(const struct fake_rbac *r, const struct rbac_user *user, const char *type, const char *action,
                         const char *instance);
/* Whether a token's owner holds "type:action:instance" (split at the first two colons). On false err says why: kind
 * "puppetlabs.rbac/…" for the token, "denied" for the permission. `rbac` is a struct fake_rbac: fits the PuppetDB
 * fake's token_permits. */
bool fake_rbac_token_permits(void *rbac, const char *token, const char *permission, struct error *err);
const char *rbac_user_id(const struct rbac_user *u);
const char *rbac_user_login(const struct rbac_user *u);
/* Tells the parent of a node group, for permissions that descendants inherit: false at the root or when unknown. */
void fake_rbac_set_group_parent(struct fake_rbac *r, bool (*parent_of)(void *ctx, const char *id, const char **parent),
                                void *ctx);

/* A token for a user, made without a login: `dalang up` writes it to its token file. mem_free_secret() it.
 * NULL after setting err (kind "not-found") for an unknown login. lifetime_ms 0: the maximum. */
char *fake_rbac_issue_token(struct fake_rbac *r, const char *login, uint64_t lifetime_ms, struct error *err);

#endif
