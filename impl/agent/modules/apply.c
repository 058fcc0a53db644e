/* apply apply, apply prep: a catalog or a fact run, through the Ruby helper beside the agent (agent.md §11.8). */
#include "agent/process.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

static json_t *text_or_empty(const char *text) {
    return json_string(text != NULL ? text : "");
}

static json_t *helper_input(struct job *job, const char *environment, const char *plugin_cache) {
    const struct agent_config *config = job->agent->config;
    json_t *input = json_copy(job->request.params);
    json_set(input, "ca", text_or_empty(config->ssl_ca));
    json_set(input, "crt", text_or_empty(config->ssl_cert));
    json_set(input, "key", text_or_empty(config->ssl_key));
    json_set(input, "crl", text_or_empty(config->ssl_crl));
    json_set(input, "proxy", text_or_empty(config->download_proxy));
    json_set(input, "environment", json_string(environment));
    json_set(input, "action", json_string(job->action->name));
    json_set(input, "plugin_cache", json_string(plugin_cache));
    json_t *uris = json_array();
    for (size_t i = 0; i < config->primary_count; i++) {
        json_array_append_new(uris, json_string(config->primaries[i]));
    }
    json_set(input, "primary_uris", uris);
    return input;
}

/* Environment names are Puppet's: letters, digits and underscores. */
static bool environment_safe(const char *name) {
    return name != NULL && *name != '\0' && strlen(name) <= 255 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(name);
}

void module_apply(struct job *job) {
    struct agent *a = job->agent;
    const json_t *params = job->request.params;
    const json_t *catalog = json_object_get(params, "catalog");
    const char *environment = json_str(catalog != NULL ? catalog : params, "environment");
    if (a->config->ssl_crl == NULL || *a->config->ssl_crl == '\0') {
        job_failed(job, "ssl-crl setting is requried for apply"); /* the reference's spelling */
        return;
    }
    if (!environment_safe(environment)) {
        job_failed(job, "invalid environment name");
        return;
    }
    struct error err = ERROR_INIT;
    char *plugin_cache = str_printf("%s/%s", a->cache.dir, environment);
    if (world_file_mkdir(a->world, plugin_cache, CACHE_MODE, true, &err)) {
        json_t *input = helper_input(job, environment, plugin_cache);
        char *text = json_text(input);
        char *helper = a->config->helper_dir != NULL ? str_printf("%s/apply_ruby_shim.rb", a->config->helper_dir)
                                                     : str_dup("apply_ruby_shim.rb");
        process_run(job, &(struct process_opts){.executable = helper, .input = span_of(text)});
        mem_free(helper);
        mem_free(text);
        json_decref(input);
    } else {
        job_failed(job, "Failed to create cache dir \"%s\" to download file to: %s", plugin_cache, err.msg);
        error_clear(&err);
    }
    mem_free(plugin_cache);
}
