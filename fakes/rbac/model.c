/* Users, groups, roles: adding, finding, removing. */
#include "fakes/rbac/model.h"
#include "base/digest.h"
#include "base/mem.h"
#include <string.h>

void text_set(char **to, const char *text) {
    char *copy = str_dup(text);
    mem_free(*to);
    *to = copy;
}

bool id_set_has(const struct id_set *s, int64_t id) {
    for (size_t i = 0; i < s->count; i++) {
        if (s->items[i] == id) {
            return true;
        }
    }
    return false;
}

void id_set_add(struct id_set *s, int64_t id) {
    if (!id_set_has(s, id)) {
        s->items = mem_grow(s->items, &s->cap, s->count + 1, sizeof *s->items);
        s->items[s->count++] = id;
    }
}

void id_set_remove(struct id_set *s, int64_t id) {
    for (size_t i = 0; i < s->count; i++) {
        if (s->items[i] == id) {
            memmove(&s->items[i], &s->items[i + 1], (s->count - i - 1) * sizeof *s->items);
            s->count--;
            return;
        }
    }
}

void id_set_clear(struct id_set *s) {
    mem_free(s->items);
    *s = (struct id_set){0};
}

json_t *id_set_json(const struct id_set *s) {
    json_t *ids = json_array();
    for (size_t i = 0; i < s->count; i++) {
        json_array_append_new(ids, json_integer((json_int_t)s->items[i]));
    }
    return ids;
}

struct rbac_model *rbac_model_new(void) {
    struct rbac_model *m = mem_zalloc(sizeof *m);
    list_init(&m->users);
    list_init(&m->groups);
    list_init(&m->roles);
    list_init(&m->tokens);
    map_init(&m->users_by_id);
    map_init(&m->users_by_login);
    map_init(&m->groups_by_id);
    map_init(&m->tokens_by_digest);
    m->last_role_id = RBAC_ROLE_FIRST_OWN - 1;
    m->allowlist = json_array();
    m->directory = json_object();
    return m;
}

void rbac_model_free(struct rbac_model *m) {
    if (m == NULL) {
        return;
    }
    while (!list_empty(&m->tokens)) {
        rbac_token_remove(m, LIST_ITEM(list_first(&m->tokens), struct rbac_token, link));
    }
    while (!list_empty(&m->users)) {
        rbac_user_remove(m, LIST_ITEM(list_first(&m->users), struct rbac_user, link));
    }
    while (!list_empty(&m->groups)) {
        rbac_group_remove(m, LIST_ITEM(list_first(&m->groups), struct rbac_group, link));
    }
    while (!list_empty(&m->roles)) {
        rbac_role_remove(m, LIST_ITEM(list_first(&m->roles), struct rbac_role, link));
    }
    map_free(&m->users_by_id);
    map_free(&m->users_by_login);
    map_free(&m->groups_by_id);
    map_free(&m->tokens_by_digest);
    json_decref(m->allowlist);
    json_decref(m->directory);
    mem_free(m);
}

static void copy_id(char to[UUID_LEN + 1], const char *id) {
    memcpy(to, id, UUID_LEN);
    to[UUID_LEN] = '\0';
}

struct rbac_user *rbac_user_add(struct rbac_model *m, const char *id, const char *login) {
    struct rbac_user *u = mem_zalloc(sizeof *u);
    copy_id(u->id, id);
    u->login = str_dup(login);
    u->display_name = str_dup(login);
    u->last_login_ms = -1;
    list_push_back(&m->users, &u->link);
    map_put(&m->users_by_id, span_of(u->id), u);
    map_put(&m->users_by_login, span_of(u->login), u);
    return u;
}

void rbac_user_remove(struct rbac_model *m, struct rbac_user *u) {
    rbac_tokens_revoke_of(m, u);
    LIST_EACH (k, &m->groups) {
        struct rbac_group *g = LIST_ITEM(k, struct rbac_group, link);
        for (size_t i = json_array_size(g->members); i-- > 0;) {
            if (strcmp(json_string_value(json_array_get(g->members, i)), u->id) == 0) {
                json_array_remove(g->members, i);
            }
        }
    }
    map_remove(&m->users_by_id, span_of(u->id));
    map_remove(&m->users_by_login, span_of(u->login));
    list_remove(&m->users, &u->link);
    mem_free(u->login);
    mem_free(u->display_name);
    mem_free(u->email);
    id_set_clear(&u->roles);
    rbac_password_clear(&u->password);
    mem_free(u);
}

bool rbac_login_taken(const struct rbac_model *m, const char *login) {
    if (map_get_cstr(&m->users_by_login, login) != NULL) {
        return true;
    }
    LIST_EACH (k, &m->groups) {
        if (strcmp(LIST_ITEM(k, struct rbac_group, link)->login, login) == 0) {
            return true;
        }
    }
    return false;
}

bool rbac_user_rename(struct rbac_model *m, struct rbac_user *u, const char *login) {
    if (strcmp(u->login, login) == 0) {
        return true;
    }
    if (rbac_login_taken(m, login)) {
        return false;
    }
    map_remove(&m->users_by_login, span_of(u->login));
    text_set(&u->login, login);
    map_put(&m->users_by_login, span_of(u->login), u);
    return true;
}

struct rbac_user *rbac_user_find(const struct rbac_model *m, const char *id) {
    return map_get_cstr(&m->users_by_id, id);
}

struct rbac_user *rbac_user_by_login(const struct rbac_model *m, const char *login) {
    return map_get_cstr(&m->users_by_login, login);
}

struct rbac_group *rbac_group_add(struct rbac_model *m, const char *id, const char *login) {
    struct rbac_group *g = mem_zalloc(sizeof *g);
    copy_id(g->id, id);
    g->login = str_dup(login);
    g->display_name = str_dup(login);
    g->members = json_array();
    list_push_back(&m->groups, &g->link);
    map_put(&m->groups_by_id, span_of(g->id), g);
    return g;
}

void rbac_group_remove(struct rbac_model *m, struct rbac_group *g) {
    map_remove(&m->groups_by_id, span_of(g->id));
    list_remove(&m->groups, &g->link);
    mem_free(g->login);
    mem_free(g->display_name);
    id_set_clear(&g->roles);
    json_decref(g->members);
    mem_free(g);
}

struct rbac_group *rbac_group_find(const struct rbac_model *m, const char *id) {
    return map_get_cstr(&m->groups_by_id, id);
}

bool rbac_group_has(const struct rbac_group *g, const char *user_id) {
    for (size_t i = 0; i < json_array_size(g->members); i++) {
        if (strcmp(json_string_value(json_array_get(g->members, i)), user_id) == 0) {
            return true;
        }
    }
    return false;
}

void rbac_group_add_member(struct rbac_group *g, const char *user_id) {
    if (!rbac_group_has(g, user_id)) {
        json_array_append_new(g->members, json_string(user_id));
    }
}

struct rbac_role *rbac_role_add(struct rbac_model *m, int64_t id, const char *display_name) {
    struct rbac_role *r = mem_zalloc(sizeof *r);
    r->id = id;
    r->display_name = str_dup(display_name);
    list_push_back(&m->roles, &r->link);
    if (id > m->last_role_id) {
        m->last_role_id = id;
    }
    return r;
}

void rbac_role_clear(struct rbac_role *r) {
    for (size_t i = 0; i < r->permission_count; i++) {
        mem_free(r->permissions[i].object_type);
        mem_free(r->permissions[i].action);
        mem_free(r->permissions[i].instance);
    }
    mem_free(r->permissions);
    r->permissions = NULL;
    r->permission_count = r->permission_cap = 0;
}

void rbac_role_remove(struct rbac_model *m, struct rbac_role *r) {
    LIST_EACH (k, &m->users) {
        id_set_remove(&LIST_ITEM(k, struct rbac_user, link)->roles, r->id);
    }
    LIST_EACH (k, &m->groups) {
        id_set_remove(&LIST_ITEM(k, struct rbac_group, link)->roles, r->id);
    }
    rbac_role_clear(r);
    list_remove(&m->roles, &r->link);
    mem_free(r->display_name);
    mem_free(r->description);
    mem_free(r);
}

struct rbac_role *rbac_role_find(const struct rbac_model *m, int64_t id) {
    LIST_EACH (k, &m->roles) {
        struct rbac_role *r = LIST_ITEM(k, struct rbac_role, link);
        if (r->id == id) {
            return r;
        }
    }
    return NULL;
}

struct rbac_role *rbac_role_by_name(const struct rbac_model *m, const char *display_name) {
    LIST_EACH (k, &m->roles) {
        struct rbac_role *r = LIST_ITEM(k, struct rbac_role, link);
        if (strcmp(r->display_name, display_name) == 0) {
            return r;
        }
    }
    return NULL;
}

static ptrdiff_t grant_index(const struct rbac_role *r, const char *type, const char *action, const char *instance) {
    for (size_t i = 0; i < r->permission_count; i++) {
        const struct rbac_permission *p = &r->permissions[i];
        if (strcmp(p->object_type, type) == 0 && strcmp(p->action, action) == 0 && strcmp(p->instance, instance) == 0) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

void rbac_role_grant(struct rbac_role *r, const char *type, const char *action, const char *instance) {
    if (grant_index(r, type, action, instance) >= 0) {
        return;
    }
    r->permissions = mem_grow(r->permissions, &r->permission_cap, r->permission_count + 1, sizeof *r->permissions);
    r->permissions[r->permission_count++] = (struct rbac_permission){str_dup(type), str_dup(action), str_dup(instance)};
}

void rbac_role_withdraw(struct rbac_role *r, const char *type, const char *action, const char *instance) {
    ptrdiff_t at = grant_index(r, type, action, instance);
    if (at < 0) {
        return;
    }
    struct rbac_permission *p = &r->permissions[at];
    mem_free(p->object_type);
    mem_free(p->action);
    mem_free(p->instance);
    r->permission_count--;
    memmove(p, p + 1, (r->permission_count - (size_t)at) * sizeof *p);
}
