/* Catalogs (puppetserver.md §19). There is no compiler: a node gets the main class and a notify, or what the
 * configuration says for it under "catalogs": {"NODE": {"resources": […], "edges": […], "classes": […]} or {"error":
 * TEXT}}. */
#include "base/clock.h"
#include "base/mem.h"
#include "fakes/puppetserver/agent.h"
#include "fakes/puppetserver/app_catalog.h"
#include "fakes/puppetserver/report.h"
#include <ctype.h>
#include <string.h>

enum { LAST_WITH_APPLICATIONS = 6 };

static json_t *resource(const char *type, const char *title, const char *kind, json_t *parameters) {
    char *tag = str_dup(type);
    for (char *p = tag; *p != '\0'; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    json_t *o = json_pack("{s:s, s:s, s:[s], s:b, s:s}", "type", type, "title", title, "tags", tag, "exported", 0,
                          "kind", kind);
    if (parameters != NULL) {
        json_set(o, "parameters", parameters);
    }
    mem_free(tag);
    return o;
}

static json_t *contains(const char *source, const char *target) {
    return json_pack("{s:s, s:s}", "source", source, "target", target);
}

static void add_given(json_t *to, const json_t *more) {
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)more, i, item) {
        json_array_append_new(to, json_deep_copy(item));
    }
}

static void add_default(json_t *resources, json_t *edges, const char *certname) {
    char *message = str_printf("Catalog of %s", certname);
    char *target = str_printf("Notify[%s]", message);
    json_t *notify = resource("Notify", message, "compilable_type", json_pack("{s:s}", "message", message));
    json_array_append_new(json_object_get(notify, "tags"), json_string("class"));
    json_array_append_new(resources, notify);
    json_array_append_new(edges, contains("Class[main]", target));
    mem_free(target);
    mem_free(message);
}

/* The fixture may name classes besides "settings". */
static json_t *classes_of(const json_t *own) {
    json_t *classes = json_pack("[s]", "settings");
    add_given(classes, json_object_get(own, "classes"));
    return classes;
}

/* What every catalog begins with. */
static void add_basis(json_t *resources, json_t *edges) {
    json_array_append_new(resources, resource("Stage", "main", "compilable_type", json_pack("{s:s}", "name", "main")));
    json_array_append_new(resources, resource("Class", "Settings", "unknown", NULL));
    json_array_append_new(json_object_get(json_array_get(resources, 1), "tags"), json_string("settings"));
    json_array_append_new(resources, resource("Class", "main", "unknown", json_pack("{s:s}", "name", "main")));
    json_array_append_new(edges, contains("Stage[main]", "Class[Settings]"));
    json_array_append_new(edges, contains("Stage[main]", "Class[main]"));
}

/* Components of applications on this node, in versions that know them; false after setting err. */
static bool add_applications(struct ps_request *r, const struct ps_compile *c, json_t *resources, json_t *edges,
                             bool *any, struct error *err) {
    *any = false;
    if (ps_major(r->ps) > LAST_WITH_APPLICATIONS) {
        return true;
    }
    struct app_options opts = ps_app_options(r->ps, c->env);
    struct app_node node = {.certname = c->certname,
                            .facts = json_object_get(json_object_get(r->ps->config, "facts"), c->certname),
                            .code_id = c->env->code_id,
                            .query = r->ps->query,
                            .query_ctx = r->ps->query_ctx};
    struct manifests m;
    manifests_init(&m, r->ps->base.world, c->env, PL_DIALECT_APP);
    bool good = app_catalog(&m, &opts, &node, resources, edges, any, err);
    manifests_free(&m);
    return good;
}

static json_t *wrap(struct ps_request *r, const struct ps_compile *c, const json_t *own, json_t *resources,
                    json_t *edges) {
    char uuid[37], now[32];
    world_uuid(r->ps->base.world, uuid);
    snprintf(now, sizeof now, "%lld", (long long)(fake_now_ms(&r->ps->base) / 1000));
    json_t *tags = classes_of(own);
    json_array_append_new(tags, json_string("class"));
    return json_pack("{s:o, s:s, s:s, s:s?, s:s, s:i, s:s, s:O, s:O, s:o}", "tags", tags, "name", c->certname,
                     "version", r->version != NULL ? r->version : now, "code_id", c->env->code_id, "catalog_uuid", uuid,
                     "catalog_format", 2, "environment", c->env->name, "resources", resources, "edges", edges,
                     "classes", classes_of(own));
}

json_t *ps_compile(struct ps_request *r, const struct ps_compile *c, struct error *err) {
    const json_t *own = json_object_get(json_object_get(r->ps->config, "catalogs"), c->certname);
    const char *failure = json_str(own, "error");
    json_t *resources = json_array(), *edges = json_array(), *catalog = NULL;
    struct error why = ERROR_INIT;
    bool any;
    if (r->version_error != NULL) {
        error_set(&why, "compile", "%s", r->version_error);
    } else if (failure != NULL) {
        error_set(&why, "compile", "%s", failure);
    } else {
        add_basis(resources, edges);
        if (add_applications(r, c, resources, edges, &any, &why)) {
            if (own != NULL) {
                add_given(resources, json_object_get(own, "resources"));
                add_given(edges, json_object_get(own, "edges"));
            } else if (!any) {
                add_default(resources, edges, c->certname);
            }
            catalog = wrap(r, c, own, resources, edges);
        }
    }
    if (catalog == NULL) {
        error_set(err, "compile", "%s on node %s", why.msg, c->certname);
    }
    error_clear(&why);
    json_decref(resources);
    json_decref(edges);
    return catalog;
}

/* "Type[title]" to {"type", "title"}. */
static json_t *reference_json(const char *text) {
    const char *open = strchr(text, '[');
    size_t len = strlen(text);
    if (open == NULL || len == 0 || text[len - 1] != ']') {
        return json_pack("{s:s, s:s}", "type", text, "title", "");
    }
    json_t *type = json_str_new((struct span){text, (size_t)(open - text)});
    json_t *title = json_str_new((struct span){open + 1, len - (size_t)(open - text) - 2});
    return json_pack("{s:o, s:o}", "type", type, "title", title);
}

static json_t *wire_resources(const json_t *catalog) {
    json_t *all = json_array();
    size_t i;
    json_t *o;
    json_array_foreach(json_object_get(catalog, "resources"), i, o) {
        json_t *copy = json_deep_copy(o);
        json_object_del(copy, "kind");
        json_object_del(copy, "sensitive_parameters");
        if (json_object_get(copy, "parameters") == NULL) {
            json_set(copy, "parameters", json_object());
        }
        json_set(copy, "aliases", json_array());
        json_array_append_new(all, copy);
    }
    return all;
}

static json_t *wire_edges(const json_t *catalog) {
    json_t *all = json_array();
    size_t i;
    json_t *o;
    json_array_foreach(json_object_get(catalog, "edges"), i, o) {
        const char *source = json_str(o, "source"), *target = json_str(o, "target");
        if (source != NULL && target != NULL) {
            json_array_append_new(all, json_pack("{s:o, s:o, s:s}", "source", reference_json(source), "target",
                                                 reference_json(target), "relationship", "contains"));
        }
    }
    return all;
}

json_t *ps_catalog_wire(struct ps_request *r, const json_t *catalog, const char *transaction_uuid, const char *job_id) {
    return json_pack("{s:O, s:O, s:O, s:s?, s:O, s:O, s:s?, s:o, s:O, s:o, s:o}", "certname",
                     json_object_get(catalog, "name"), "version", json_object_get(catalog, "version"), "environment",
                     json_object_get(catalog, "environment"), "transaction_uuid", transaction_uuid, "catalog_uuid",
                     json_object_get(catalog, "catalog_uuid"), "code_id", json_object_get(catalog, "code_id"), "job_id",
                     job_id, "producer_timestamp", ps_time_json(fake_now_ms(&r->ps->base)), "producer",
                     json_object_get(r->ps->config, "certname"), "resources", wire_resources(catalog), "edges",
                     wire_edges(catalog));
}
