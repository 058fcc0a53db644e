/* Module metadata, and what may be asked of a module. */
#include "pxp/module.h"
#include "base/json.h"
#include "base/mem.h"

struct pxp_module *pxp_module_new(const char *name) {
    struct pxp_module *m = mem_zalloc(sizeof *m);
    m->name = str_dup(name);
    return m;
}

const struct pxp_action *pxp_module_action(const struct pxp_module *m, struct span name) {
    for (size_t i = 0; i < m->action_count; i++) {
        if (span_eq_cstr(name, m->actions[i].name)) {
            return &m->actions[i];
        }
    }
    return NULL;
}

bool pxp_module_add(struct pxp_module *m, const char *name, struct pxp_schema *input, struct pxp_schema *results) {
    if (pxp_module_action(m, span_of(name)) != NULL) {
        pxp_schema_free(input);
        pxp_schema_free(results);
        return false;
    }
    m->actions = mem_realloc(m->actions, (m->action_count + 1) * sizeof *m->actions);
    m->actions[m->action_count++] = (struct pxp_action){str_dup(name), input, results};
    return true;
}

void pxp_module_free(struct pxp_module *m) {
    if (m == NULL) {
        return;
    }
    for (size_t i = 0; i < m->action_count; i++) {
        mem_free(m->actions[i].name);
        pxp_schema_free(m->actions[i].input);
        pxp_schema_free(m->actions[i].results);
    }
    mem_free(m->actions);
    pxp_schema_free(m->configuration);
    mem_free(m->name);
    mem_free(m);
}

static const char metadata_schema[] = "{\"type\":\"object\",\"required\":[\"description\",\"actions\"],\"properties\":{"
                                      "\"description\":{\"type\":\"string\"},"
                                      "\"configuration\":{\"type\":\"object\"},"
                                      "\"actions\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
                                      "\"required\":[\"name\",\"input\",\"results\"],"
                                      "\"properties\":{\"name\":{\"type\":\"string\"},"
                                      "\"description\":{\"type\":\"string\"},"
                                      "\"input\":{\"type\":\"object\"},"
                                      "\"results\":{\"type\":\"object\"}}}}}}";

static bool metadata_valid(const json_t *json, struct error *err) {
    struct pxp_schema *schema = pxp_schema_closed(metadata_schema);
    struct error why = ERROR_INIT;
    bool valid = pxp_schema_check(schema, json, &why);
    if (!valid) {
        error_set(err, "pxp/bad-metadata", "%s", why.msg);
        error_clear(&why);
    }
    pxp_schema_free(schema);
    return valid;
}

static struct pxp_schema *sub_schema(const json_t *json, const char *what, struct error *err) {
    struct error why = ERROR_INIT;
    struct pxp_schema *schema = pxp_schema_parse(json, &why);
    if (schema == NULL) {
        error_set(err, "pxp/bad-metadata", "%s is not a JSON schema: %s", what, why.msg);
        error_clear(&why);
    }
    return schema;
}

static bool add_action(struct pxp_module *m, const json_t *action, struct error *err) {
    const char *name = json_str(action, "name");
    if (span_has_nul(json_span(json_object_get(action, "name")))) {
        return error_set(err, "pxp/bad-metadata", "an action's name holds a NUL byte");
    }
    struct pxp_schema *input = sub_schema(json_object_get(action, "input"), "input", err);
    if (input == NULL) {
        return error_prefix(err, "action '%s'", name);
    }
    struct pxp_schema *results = sub_schema(json_object_get(action, "results"), "results", err);
    if (results == NULL) {
        pxp_schema_free(input);
        return error_prefix(err, "action '%s'", name);
    }
    return pxp_module_add(m, name, input, results) ||
           error_set(err, "pxp/bad-metadata", "action '%s' is defined twice", name);
}

struct pxp_module *pxp_module_parse(const char *name, struct span metadata, struct error *err) {
    json_t *json = json_parse(metadata, "pxp/bad-metadata", err);
    if (json == NULL) {
        return NULL;
    }
    struct pxp_module *m = pxp_module_new(name);
    bool ok = metadata_valid(json, err);
    const json_t *configuration = json_object_get(json, "configuration");
    if (ok && configuration != NULL) {
        m->configuration = sub_schema(configuration, "configuration", err);
        ok = m->configuration != NULL;
    }
    const json_t *actions = json_object_get(json, "actions");
    for (size_t i = 0; ok && i < json_array_size(actions); i++) {
        ok = add_action(m, json_array_get(actions, i), err);
    }
    json_decref(json);
    if (!ok) {
        pxp_module_free(m);
        return NULL;
    }
    return m;
}

bool pxp_module_check(const struct pxp_module *module, const struct pxp_request *request, struct error *err) {
    struct buf text = BUF_INIT;
    const struct pxp_action *action = module == NULL ? NULL : pxp_module_action(module, request->action);
    if (module == NULL || (action == NULL && str_eq(module->name, "status"))) {
        /* The status module answers every action but query as if it did not exist. */
        buf_append_cstr(&text, "unknown module: ");
        buf_append_span(&text, request->module);
    } else if (action == NULL) {
        buf_append_cstr(&text, "unknown action '");
        buf_append_span(&text, request->action);
        buf_printf(&text, "' for module '%s'", module->name);
    } else if (module->blocking_only && !request->blocking) {
        buf_printf(&text, "the module '%s' supports only blocking PXP requests", module->name);
    } else if (!pxp_schema_check(action->input, request->params, NULL)) {
        buf_append_cstr(&text, "invalid input for ");
        pxp_label(&text, request->blocking, request->module, request->action, request->transaction_id);
    }
    bool ok = text.len == 0;
    if (!ok) {
        error_set(err, "pxp/refused", "%s", text.ptr);
    }
    buf_free(&text);
    return ok;
}
