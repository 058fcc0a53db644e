/* Task parameters against the task's metadata (clients.md §4.2): names, types, defaults, secrets. */
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include <string.h>

/* `value` NULL where it must not be shown. */
static bool wrong_param(struct error *err, const char *name, const json_t *value, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static bool wrong_param(struct error *err, const char *name, const json_t *value, const char *format, ...) {
    struct buf text = BUF_INIT, schema = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    buf_printf(&schema, "params.%s", name);
    json_t *details = json_object();
    json_set(details, "schema", json_str_new(buf_span(&schema)));
    json_set(details, "value", json_incref((json_t *)(uintptr_t)value));
    json_set(details, "error", json_str_new(buf_span(&text)));
    error_set_details(err, "puppetlabs.orchestrator/validation-error", details, "%s", text.ptr);
    buf_free(&text);
    buf_free(&schema);
    return false;
}

/* Metadata without parameters lets everything pass; with an empty object, nothing. What starts with "_" is no
 * parameter of the task's own. A wrong name may be a misspelt secret: its value is not shown. */
static bool names_known(const char *task, const json_t *specs, const json_t *given, struct error *err) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)given, name, value) {
        if (name[0] != '_' && json_object_get(specs, name) == NULL) {
            return wrong_param(err, name, NULL, "Task %s has no parameter %s", task, name);
        }
    }
    return true;
}

static bool check_one(const char *task, const char *name, const json_t *spec, json_t *params, struct error *err) {
    const char *type = json_str(spec, "type");
    json_t *value = json_object_get(params, name), *otherwise = json_object_get(spec, "default");
    if ((value == NULL || json_is_null(value)) && otherwise != NULL) {
        json_object_set(params, name, otherwise); /* defaults are the module author's business */
        return true;
    }
    if (value == NULL) {
        json_t *nothing = json_null();
        return type == NULL || param_type_fits(type, nothing, NULL) ||
               wrong_param(err, name, NULL, "Task %s needs the parameter %s", task, name);
    }
    struct buf why = BUF_INIT;
    bool ok = type == NULL || param_type_fits(type, value, &why);
    if (!ok) {
        wrong_param(err, name, json_is_true(json_object_get(spec, "sensitive")) ? NULL : value,
                    "Parameter %s of task %s %s", name, task, why.ptr);
    }
    buf_free(&why);
    return ok;
}

bool params_check(const char *task, const json_t *metadata, const json_t *given, json_t **params, json_t **sensitive,
                  struct error *err) {
    const json_t *specs = json_object_get(metadata, "parameters");
    *params = json_copy((json_t *)(uintptr_t)given);
    *sensitive = json_array();
    if (!json_is_object(specs)) {
        return true;
    }
    const char *name;
    json_t *spec;
    json_object_foreach((json_t *)(uintptr_t)specs, name, spec) {
        const char *type = json_str(spec, "type");
        if (json_is_true(json_object_get(spec, "sensitive")) || (type != NULL && strncmp(type, "Sensitive", 9) == 0)) {
            json_array_append_new(*sensitive, json_string(name));
        }
    }
    if (!names_known(task, specs, given, err)) {
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)specs, name, spec) {
        if (!check_one(task, name, spec, *params, err)) {
            return false;
        }
    }
    return true;
}
