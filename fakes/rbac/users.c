/* Users (rbac.md §8). */
#include "base/clock.h"
#include "base/mem.h"
#include "fakes/rbac/model.h"
#include <string.h>

json_t *rbac_time_json(int64_t ms) {
    char text[TIME_TEXT_LEN];
    if (ms < 0) {
        return json_null();
    }
    time_format_ms(ms, text);
    return json_string(text);
}

const char *rbac_user_id(const struct rbac_user *u) {
    return u->id;
}

const char *rbac_user_login(const struct rbac_user *u) {
    return u->login;
}

json_t *rbac_user_json(const struct rbac_model *m, const struct rbac_user *u) {
    struct id_set inherited = {0};
    json_t *groups = json_array();
    LIST_EACH (k, &m->groups) {
        const struct rbac_group *g = LIST_ITEM(k, struct rbac_group, link);
        if (rbac_group_has(g, u->id)) {
            json_array_append_new(groups, json_string(g->id));
            for (size_t i = 0; i < g->roles.count; i++) {
                id_set_add(&inherited, g->roles.items[i]);
            }
        }
    }
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:o, s:b, s:b, s:b, s:b, s:o}", "id", u->id, "login", u->login,
                          "display_name", u->display_name, "email", u->email != NULL ? u->email : "", "role_ids",
                          id_set_json(&u->roles), "is_superuser", (int)u->superuser, "is_revoked", (int)u->revoked,
                          "is_remote", (int)u->remote, "is_group", 0, "last_login", rbac_time_json(u->last_login_ms));
    if (u->remote || json_array_size(groups) > 0) {
        json_set(o, "inherited_role_ids", id_set_json(&inherited));
        json_object_set(o, "group_ids", groups);
    }
    json_decref(groups);
    id_set_clear(&inherited);
    return o;
}
