/* Which implementation, which files, how the input is given. */
#include "agent/task_plan.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "pxp/body.h"
#include <stdlib.h>
#include <string.h>

static const char *const own_features[] = {"puppet-agent", "shell"};

static bool is_list_of_strings(const json_t *list) {
    bool ok = json_is_array(list);
    for (size_t i = 0; ok && i < json_array_size(list); i++) {
        ok = json_is_string(json_array_get(list, i));
    }
    return ok;
}

static const json_t *find_file(const json_t *files, struct span name) {
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        if (span_eq(json_span(json_object_get(file, "filename")), name)) {
            return file;
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------------------------------- implementation */

struct features {
    const char **items;
    size_t count, cap;
};

static void add_feature(struct features *f, const char *name) {
    for (size_t i = 0; i < f->count; i++) {
        if (strcmp(f->items[i], name) == 0) {
            return;
        }
    }
    f->items = mem_grow(f->items, &f->cap, f->count + 1, sizeof *f->items);
    f->items[f->count++] = name;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct features features_of(const json_t *meta) {
    struct features f = {0};
    for (size_t i = 0; i < sizeof own_features / sizeof own_features[0]; i++) {
        add_feature(&f, own_features[i]);
    }
    const json_t *more = json_object_get(meta, "features");
    for (size_t i = 0; i < json_array_size(more); i++) {
        if (json_is_string(json_array_get(more, i))) {
            add_feature(&f, json_string_value(json_array_get(more, i)));
        }
    }
    qsort(f.items, f.count, sizeof *f.items, by_name);
    return f;
}

static bool fits(const json_t *implementation, const struct features *f) {
    const json_t *requirements = json_object_get(implementation, "requirements");
    for (size_t i = 0; i < json_array_size(requirements); i++) {
        const char *name = json_string_value(json_array_get(requirements, i));
        if (name == NULL || bsearch(&name, f->items, f->count, sizeof *f->items, by_name) == NULL) {
            return false;
        }
    }
    return true;
}

/* The first implementation that fits; {} stands for "none listed". NULL: none fits. */
static const json_t *choose(const json_t *meta, const json_t *none_listed, struct error *err) {
    const json_t *list = json_object_get(meta, "implementations");
    if (json_array_size(list) == 0) {
        return none_listed;
    }
    struct features f = features_of(meta);
    const json_t *chosen = NULL;
    for (size_t i = 0; chosen == NULL && i < json_array_size(list); i++) {
        chosen = fits(json_array_get(list, i), &f) ? json_array_get(list, i) : NULL;
    }
    if (chosen == NULL) {
        struct buf text = BUF_INIT;
        for (size_t i = 0; i < f.count; i++) {
            buf_printf(&text, "%s%s", i == 0 ? "" : ", ", f.items[i]);
        }
        error_set(err, "agent/task", "no implementations match supported features: %s", text.ptr);
        buf_free(&text);
    }
    mem_free(f.items);
    return chosen;
}

static bool take_file(const json_t *params, const json_t *implementation, struct task_plan *out, struct error *err) {
    const json_t *files = json_object_get(params, "files");
    const json_t *name = json_object_get(implementation, "name");
    out->file = name == NULL ? json_array_get(files, 0) : find_file(files, json_span(name));
    return out->file != NULL || error_set(err, "agent/task", "'%s' file requested by implementation not found",
                                          json_is_string(name) ? json_string_value(name) : "");
}

/* ---------------------------------------------------------------------------------------- input method */

static bool take_input(const json_t *meta, const json_t *implementation, struct task_plan *out, struct error *err) {
    static const struct {
        const char *name;
        enum task_input input;
    } methods[] = {
        {"stdin", TASK_STDIN}, {"environment", TASK_ENVIRONMENT}, {"both", TASK_BOTH}, {"powershell", TASK_POWERSHELL}};
    const char *method = json_str(implementation, "input_method");
    if (method == NULL) {
        method = json_str(meta, "input_method");
    }
    if (method == NULL) {
        struct span name = json_span(json_object_get(out->file, "filename"));
        method = span_ends_with(name, ".ps1") ? "powershell" : "both";
    }
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (str_eq(method, methods[i].name)) {
            out->input = methods[i].input;
            return true;
        }
    }
    return error_set(err, "agent/task", "unsupported task input method: %s", method);
}

/* ---------------------------------------------------------------------------------------- extra files */

bool task_file_name_safe(struct span name) {
    struct span rest = name, part;
    bool safe = name.len > 0 && !span_has_nul(name) && name.ptr[name.len - 1] != '/';
    while (safe && span_split(&rest, '/', &part)) {
        safe = part.len > 0 && part.len <= 255 && !span_eq_cstr(part, ".") && !span_eq_cstr(part, "..");
    }
    return safe;
}

static bool add_extra(struct task_plan *out, struct map *known, const json_t *file, struct error *err) {
    struct span name = json_span(json_object_get(file, "filename"));
    if (!task_file_name_safe(name)) {
        return error_set(err, "agent/task", "invalid file name: '%.*s'", (int)name.len, name.ptr);
    }
    if (map_put(known, name, (void *)(uintptr_t)file) == NULL) {
        out->extra[out->extra_count++] = file;
    }
    return true;
}

/* One entry of a list of files: a name, or a directory (ending in "/") that stands for all files below. */
static bool add_entry(struct task_plan *out, struct map *known, const json_t *files, const char *entry,
                      struct error *err) {
    if (!span_ends_with(span_of(entry), "/")) {
        const json_t *file = find_file(files, span_of(entry));
        return file != NULL
                   ? add_extra(out, known, file, err)
                   : error_set(err, "agent/task", "'%s' file requested as additional task dependency not found", entry);
    }
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        if (span_starts_with(json_span(json_object_get(file, "filename")), entry) &&
            !add_extra(out, known, file, err)) {
            return false;
        }
    }
    return true;
}

static bool take_extra(const json_t *params, const json_t *meta, const json_t *implementation, struct task_plan *out,
                       struct error *err) {
    const json_t *files = json_object_get(params, "files");
    /* Without metadata, `files` of the parameters themselves is the list of downloads, no list of names. */
    const json_t *lists[] = {json_object_get(meta, "files"), json_object_get(implementation, "files")};
    struct map known = MAP_INIT;
    bool ok = true;
    out->extra = mem_array(json_array_size(files) + 1, sizeof *out->extra);
    for (size_t l = 0; l < 2; l++) {
        for (size_t i = 0; ok && is_list_of_strings(lists[l]) && i < json_array_size(lists[l]); i++) {
            ok = add_entry(out, &known, files, json_string_value(json_array_get(lists[l], i)), err);
        }
    }
    map_free(&known);
    return ok;
}

static struct span module_of(struct span task) {
    ptrdiff_t colon = span_find(task, ':');
    return span_sub(task, 0, colon < 0 ? task.len : (size_t)colon);
}

bool task_plan_make(const json_t *params, struct task_plan *out, struct error *err) {
    *out = (struct task_plan){0};
    const json_t *metadata = json_object_get(params, "metadata");
    const json_t *meta = json_is_object(metadata) ? metadata : params;
    json_t *none = json_object();
    const json_t *implementation = choose(meta, none, err);
    out->module = module_of(json_span(json_object_get(params, "task")));
    bool ok = implementation != NULL && take_file(params, implementation, out, err) &&
              take_input(meta, implementation, out, err) && take_extra(params, meta, implementation, out, err) &&
              (out->extra_count == 0 || task_file_name_safe(out->module) ||
               error_set(err, "agent/task", "invalid task name"));
    json_decref(none);
    if (!ok) {
        task_plan_free(out);
    }
    return ok;
}

void task_plan_free(struct task_plan *p) {
    mem_free(p->extra);
    *p = (struct task_plan){0};
}

/* ---------------------------------------------------------------------------------------- parameters */

json_t *task_parameters(const json_t *params, const char *install_dir) {
    json_t *parameters = json_copy(json_object_get(params, "input"));
    json_object_set(parameters, "_task", json_object_get(params, "task"));
    if (install_dir != NULL) {
        json_set(parameters, "_installdir", pxp_json_text(span_of(install_dir)));
    }
    return parameters;
}

char **task_variables(const json_t *parameters) {
    char **variables = mem_array(json_object_size(parameters) + 1, sizeof *variables);
    size_t count = 0;
    for (void *i = json_object_iter((json_t *)parameters); i != NULL;
         i = json_object_iter_next((json_t *)parameters, i)) {
        struct span key = span_bytes(json_object_iter_key(i), json_object_iter_key_len(i));
        if (key.len == 0 || span_find(key, '=') >= 0 || span_has_nul(key)) {
            continue;
        }
        const json_t *value = json_object_iter_value(i);
        struct buf text = BUF_INIT;
        buf_append_cstr(&text, "PT_");
        buf_append_span(&text, key);
        buf_append_char(&text, '=');
        if (json_is_string(value)) {
            buf_append_span(&text, json_span(value));
        } else {
            json_write(&text, value);
        }
        variables[count++] = buf_take(&text);
    }
    return variables;
}

void task_variables_free(char **variables) {
    for (size_t i = 0; variables != NULL && variables[i] != NULL; i++) {
        mem_free(variables[i]);
    }
    mem_free(variables);
}
