/* The table of modules, and what the built-in ones accept (pxp.md §11, agent.md §11). */
#include "agent/modules.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"

struct agent_modules {
    struct map by_name;
};

/* Open schemas say so: pxp_schema_closed() closes objects that declare properties. */
#define OPEN "\"additionalProperties\":true"
#define STRING "{\"type\":\"string\"}"
#define STRINGS "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"
#define URI                                                                                                            \
    "{\"type\":\"object\",\"required\":[\"path\",\"params\"]," OPEN ",\"properties\":{\"path\":" STRING                \
    ",\"params\":{\"type\":\"object\"}}}"
#define REMOTE_FILE                                                                                                    \
    "{\"type\":\"object\",\"required\":[\"filename\",\"uri\",\"sha256\"]," OPEN                                        \
    ",\"properties\":{\"filename\":" STRING ",\"uri\":" URI ",\"sha256\":" STRING "}}"

static const char echo_input[] =
    "{\"type\":\"object\",\"required\":[\"argument\"],\"properties\":{\"argument\":" STRING "}}";
static const char ping_input[] = "{\"type\":\"object\",\"properties\":{\"sender_timestamp\":" STRING "}}";
static const char status_input[] =
    "{\"type\":\"object\",\"required\":[\"transaction_id\"],\"properties\":{\"transaction_id\":" STRING "}}";
static const char command_input[] =
    "{\"type\":\"object\",\"required\":[\"command\"],\"properties\":{\"command\":" STRING "}}";
static const char script_input[] = "{\"type\":\"object\",\"required\":[\"script\",\"arguments\"]," OPEN
                                   ",\"properties\":{\"script\":" REMOTE_FILE ",\"arguments\":" STRINGS "}}";
static const char task_input[] =
    "{\"type\":\"object\",\"required\":[\"task\",\"files\",\"input\"]," OPEN ",\"properties\":{\"task\":" STRING
    ",\"input\":{\"type\":\"object\"},\"input_method\":" STRING ",\"features\":" STRINGS
    ",\"files\":{\"type\":\"array\",\"minItems\":1,\"items\":" REMOTE_FILE "}}}";
static const char file_input[] =
    "{\"type\":\"object\"," OPEN ",\"properties\":{\"files\":{\"type\":\"array\",\"items\":{\"type\":\"object\"," OPEN
    ",\"required\":[\"destination\",\"link_source\",\"uri\",\"sha256\",\"kind\"],\"properties\":{"
    "\"destination\":" STRING ",\"link_source\":" STRING ",\"sha256\":" STRING ",\"kind\":" STRING ",\"uri\":" URI
    "}}}}}";
static const char apply_input[] =
    "{\"type\":\"object\",\"required\":[\"catalog\",\"apply_options\"]," OPEN
    ",\"properties\":{\"catalog\":{\"type\":\"object\"},\"apply_options\":{\"type\":\"object\"}}}";
static const char prep_input[] =
    "{\"type\":\"object\",\"required\":[\"environment\"],\"properties\":{\"environment\":" STRING "}}";

static const struct {
    const char *module, *action, *input;
    void (*run)(struct job *job);
    bool blocking_only;
} built_in[] = {
    {"echo", "echo", echo_input, module_echo, true},        {"ping", "ping", ping_input, module_ping, true},
    {"status", "query", status_input, module_status, true}, {"command", "run", command_input, module_command, false},
    {"script", "run", script_input, module_script, false},  {"task", "run", task_input, module_task, false},
    {"file", "download", file_input, module_file, false},   {"apply", "apply", apply_input, module_apply, false},
    {"apply", "prep", prep_input, module_apply, false},
};

static struct agent_module *add(struct agent_modules *m, struct pxp_module *spec, void (*run)(struct job *job)) {
    struct agent_module *module = mem_zalloc(sizeof *module);
    module->spec = spec;
    module->run = run;
    map_put(&m->by_name, span_of(spec->name), module);
    return module;
}

struct agent_modules *agent_modules_new(void) {
    struct agent_modules *m = mem_zalloc(sizeof *m);
    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++) {
        struct agent_module *module = map_get_cstr(&m->by_name, built_in[i].module);
        if (module == NULL) {
            module = add(m, pxp_module_new(built_in[i].module), built_in[i].run);
            module->spec->blocking_only = built_in[i].blocking_only;
        }
        pxp_module_add(module->spec, built_in[i].action, pxp_schema_closed(built_in[i].input), NULL);
    }
    return m;
}

void agent_modules_free(struct agent_modules *m) {
    if (m == NULL) {
        return;
    }
    for (struct map_iter i = map_iter(&m->by_name); map_next(&i);) {
        struct agent_module *module = i.value;
        pxp_module_free(module->spec);
        json_decref(module->configuration);
        mem_free(module->path);
        mem_free(module);
    }
    map_free(&m->by_name);
    mem_free(m);
}

bool agent_modules_add(struct agent_modules *m, const char *name, const char *path, struct span metadata,
                       const json_t *configuration, struct error *err) {
    if (map_get_cstr(&m->by_name, name) != NULL) {
        return error_set(err, "agent/module", "there is already a module named '%s'", name);
    }
    struct pxp_module *spec = pxp_module_parse(name, metadata, err);
    if (spec == NULL) {
        return false;
    }
    struct error why = ERROR_INIT;
    if (configuration != NULL && spec->configuration != NULL &&
        !pxp_schema_check(spec->configuration, configuration, &why)) {
        error_set(err, "agent/module-configuration", "invalid configuration: %s", why.msg);
        error_clear(&why);
        pxp_module_free(spec);
        return false;
    }
    struct agent_module *module = add(m, spec, module_external);
    module->path = str_dup(path);
    module->configuration = configuration != NULL ? json_deep_copy(configuration) : json_object();
    return true;
}

const struct agent_module *agent_modules_get(const struct agent_modules *m, struct span name) {
    return map_get(&m->by_name, name);
}

struct outcome agent_module_outcome(const struct agent_module *m, const struct pxp_action *action, const char *label,
                                    int64_t exitcode, struct span out, struct span err) {
    return m->path != NULL ? outcome_of_json(label, action, out, err) : outcome_of_text(label, exitcode, out, err);
}
