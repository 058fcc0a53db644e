/* GET /v2/users: a page of users, ordered and filtered (rbac.md §8). */
#include "base/mem.h"
#include "fakes/rbac/model.h"
#include <ctype.h>
#include <string.h>

enum { LIMIT_DEFAULT = 500 };
enum order { BY_ID, BY_LOGIN, BY_EMAIL, BY_NAME, BY_LAST_LOGIN, BY_CREATION, ORDER_COUNT };
static const char *const order_names[ORDER_COUNT] = {"id",           "login",      "email",
                                                     "display_name", "last_login", "creation_date"};

struct paging {
    uint64_t offset, limit;
    enum order by;
    const char *by_name, *order, *filter;
    bool include_roles;
};

static const char *text_of(const struct rbac_user *u, enum order by) {
    switch (by) {
    case BY_LOGIN:
        return u->login;
    case BY_EMAIL:
        return u->email != NULL ? u->email : "";
    case BY_NAME:
        return u->display_name;
    default:
        return u->id;
    }
}

static int compare(const struct rbac_user *a, const struct rbac_user *b, enum order by) {
    if (by == BY_LAST_LOGIN || by == BY_CREATION) {
        int64_t x = by == BY_CREATION ? a->created_ms : a->last_login_ms;
        int64_t y = by == BY_CREATION ? b->created_ms : b->last_login_ms;
        return (x > y) - (x < y);
    }
    return strcmp(text_of(a, by), text_of(b, by));
}

static bool contains(const char *text, const char *part) {
    size_t n = strlen(part);
    for (; text != NULL; text++) {
        size_t i = 0;
        while (i < n && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i])) {
            i++;
        }
        if (i == n) {
            return true;
        }
        if (*text == '\0') {
            break;
        }
    }
    return false;
}

static bool wanted(const struct rbac_user *u, const char *filter) {
    return filter == NULL || contains(u->login, filter) || contains(u->display_name, filter) ||
           contains(u->email, filter);
}

/* All wanted users in order; mem_free() the array. */
static const struct rbac_user **collect(const struct rbac_model *m, const struct paging *p, size_t *count) {
    const struct rbac_user **all = mem_array(m->users.count + 1, sizeof(struct rbac_user *));
    bool descending = strcmp(p->order, "desc") == 0;
    *count = 0;
    LIST_EACH (k, &m->users) {
        const struct rbac_user *u = LIST_ITEM(k, struct rbac_user, link);
        if (!wanted(u, p->filter)) {
            continue;
        }
        size_t at = (*count)++;
        for (; at > 0; at--) {
            int order = compare(u, all[at - 1], p->by);
            if (descending ? order <= 0 : order >= 0) {
                break;
            }
            all[at] = all[at - 1];
        }
        all[at] = u;
    }
    return all;
}

static bool bad(struct http_exchange *ex, const char *msg) {
    rbac_fail(ex, 400, "schema-violation", NULL, msg);
    return false;
}

static bool read_paging(struct http_exchange *ex, struct paging *p) {
    const char *offset = http_query(ex, "offset"), *limit = http_query(ex, "limit");
    const char *roles = http_query(ex, "include_roles");
    *p = (struct paging){.limit = LIMIT_DEFAULT, .order = "asc", .by_name = order_names[BY_ID]};
    p->filter = http_query(ex, "filter");
    p->include_roles = roles != NULL && strcmp(roles, "true") == 0;
    if ((offset != NULL && !span_to_u64(span_of(offset), &p->offset)) ||
        (limit != NULL && !span_to_u64(span_of(limit), &p->limit))) {
        return bad(ex, "limit and offset are non-negative integers.");
    }
    if (http_query(ex, "order") != NULL) {
        p->order = http_query(ex, "order");
    }
    if (http_query(ex, "order_by") != NULL) {
        p->by_name = http_query(ex, "order_by");
    }
    while (p->by < ORDER_COUNT && strcmp(order_names[p->by], p->by_name) != 0) {
        p->by++;
    }
    if (p->by == ORDER_COUNT || (strcmp(p->order, "asc") != 0 && strcmp(p->order, "desc") != 0)) {
        return bad(ex, "Users cannot be ordered so.");
    }
    return true;
}

static json_t *roles_of(const struct rbac_model *m, const struct rbac_user *u) {
    json_t *roles = json_array();
    for (size_t i = 0; i < u->roles.count; i++) {
        const struct rbac_role *role = rbac_role_find(m, u->roles.items[i]);
        if (role != NULL) {
            json_array_append_new(
                roles, json_pack("{s:I, s:s}", "id", (json_int_t)role->id, "display_name", role->display_name));
        }
    }
    return roles;
}

static void users_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    struct paging p;
    if (rbac_require(r, ex) == NULL || !read_paging(ex, &p)) {
        return;
    }
    size_t total;
    const struct rbac_user **all = collect(r->model, &p, &total);
    json_t *users = json_array();
    for (size_t i = 0; i < total; i++) {
        if (i >= p.offset && i - p.offset < p.limit) {
            json_t *o = rbac_user_json(r->model, all[i]);
            if (p.include_roles) {
                json_set(o, "roles", roles_of(r->model, all[i]));
            }
            json_array_append_new(users, o);
        }
    }
    mem_free(all);
    json_t *pagination =
        json_pack("{s:I, s:I, s:s, s:s, s:s, s:b, s:I}", "offset", (json_int_t)p.offset, "limit", (json_int_t)p.limit,
                  "order", p.order, "order_by", p.by_name, "filter", p.filter != NULL ? p.filter : "", "include_roles",
                  (int)p.include_roles, "total", (json_int_t)total);
    if (pagination == NULL) { /* a filter that is not UTF-8 */
        pagination = json_object();
    }
    http_respond_json(ex, 200, json_pack("{s:o, s:o}", "users", users, "pagination", pagination));
}

const struct fake_route rbac_user_v2_routes[] = {
    {"GET", "/rbac-api/v2/users", users_get, NULL},
    {NULL, NULL, NULL, NULL},
};
