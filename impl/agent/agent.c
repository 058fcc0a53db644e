/* The agent's life: made, started, stopped, freed. */
#include "agent/agent.h"
#include "agent/job.h"
#include "base/mem.h"

struct agent_config agent_config_default(void) {
    return (struct agent_config){
        .version = PCP_V1,
        .connection_timeout_ms = 5000,
        .ping_interval_ms = 120000,
        .allowed_keepalive_timeouts = 2,
        .association_timeout_ms = 15000,
        .message_ttl_ms = 5000,
        .download_connect_timeout_ms = 120000,
        .download_timeout_ms = 1800000,
        .send_queue_max = 256 * 1024 * 1024,
        .max_message_size = 64 * 1024 * 1024,
        .output_max = 100 * 1024 * 1024,
        .jobs_max = 10000,
        .spool_ttl_ms = UINT64_C(14) * 24 * 3600 * 1000,
        .cache_ttl_ms = UINT64_C(14) * 24 * 3600 * 1000,
        .exec_wrapper = "dalang-exec",
        .refusal_is_final = true,
    };
}

struct agent *agent_new(struct world *w, const struct agent_config *config, const struct agent_self *self,
                        const struct agent_hooks *hooks, const struct logger *log) {
    struct agent *a = mem_zalloc(sizeof *a);
    a->world = w;
    a->config = config;
    a->hooks = hooks;
    a->log = log;
    a->own_modules = config->modules == NULL;
    a->modules = a->own_modules ? agent_modules_new() : config->modules;
    a->uri = pcp_uri_new(span_of(self->name), SPAN(PCP_TYPE_AGENT));
    a->spool_dir = str_dup(self->spool_dir);
    a->tls = self->tls;
    a->credential = self->credential;
    a->source = str_dup(self->source);
    list_init(&a->jobs);
    list_init(&a->unsent);
    list_init(&a->in_flight);
    list_init(&a->watched);
    cache_init(&a->cache, self->task_cache_dir);
    return a;
}

/* Recovery needs the modules: they judge the output of what ended meanwhile. */
static void modules_loaded(struct agent *a) {
    recovery_start(a);
    purge_start(a);
    connection_start(a);
}

void agent_start(struct agent *a) {
    external_load(a, modules_loaded);
}

void agent_stop(struct agent *a) {
    external_stop(a);
    connection_stop(a);
}

void agent_free(struct agent *a) {
    if (a == NULL) {
        return;
    }
    external_stop(a);
    purge_stop(a);
    recovery_stop(a);
    jobs_abandon(a);
    cache_free(&a->cache);
    connection_free(a);
    map_free(&a->transactions);
    if (a->own_modules) {
        agent_modules_free(a->modules);
    }
    mem_free(a->uri);
    mem_free(a->spool_dir);
    mem_free(a->source);
    mem_free(a);
}

bool agent_is_connected(const struct agent *a) {
    return a->connection.state == CONNECTION_READY;
}

const char *agent_uri(const struct agent *a) {
    return a->uri;
}

struct world *agent_world(const struct agent *a) {
    return a->world;
}

size_t agent_job_count(const struct agent *a) {
    return a->jobs.count;
}
