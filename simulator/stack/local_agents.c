/* The agents of a local stack that really execute tasks on this machine. */
#include "simulator/stack/local_internal.h"

#include "agent/modules.h"
#include "base/json.h"
#include "base/mem.h"

/* The configuration of dalang-puppet, and the environment that leads to it. */
static bool write_puppet_conf(struct local *l, struct real_agent *r, const char *cert, const char *key,
                              struct error *err) {
    r->state = str_printf("%s/agents/%s/state", l->opts.dir, r->name);
    char *path = str_printf("%s/agents/%s/puppet.json", l->opts.dir, r->name);
    json_t *conf = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "certname", r->name, "statedir", r->state, "puppetdb",
                             l->puppetdb, "ca", l->ca_path, "cert", cert, "key", key);
    char *text = json_text(conf);
    bool ok = world_file_write(l->opts.world, path, span_of(text), 0640, WORLD_WRITE_ATOMIC, err);
    r->puppet_conf = str_printf("DALANG_PUPPET_CONF=%s", path);
    size_t count = 0;
    while (l->opts.environment != NULL && l->opts.environment[count] != NULL) {
        count++;
    }
    r->environment = mem_array(count + 2, sizeof(*r->environment));
    for (size_t i = 0; i < count; i++) {
        r->environment[i] = l->opts.environment[i];
    }
    r->environment[count] = r->puppet_conf;
    json_decref(conf);
    mem_free(text);
    mem_free(path);
    return ok;
}

void local_launch_real_agent(struct local *l, struct real_agent *r) {
    struct agent_self self = {.name = r->name, .tls = r->tls, .spool_dir = r->spool, .task_cache_dir = r->cache};
    if (r->agent == NULL) {
        r->agent = agent_new(l->opts.world, &r->config, &self, NULL, &l->agent_log);
        agent_start(r->agent);
    }
}

void local_kill_real_agent(struct real_agent *r) {
    if (r->agent != NULL) {
        agent_free(r->agent);
        r->agent = NULL;
    }
}

static bool issue_certificate(struct local *l, const struct real_agent *r, bool expired, struct error *err) {
    struct certs_paths paths = {NULL, NULL};
    int64_t now = world_wall_ms(l->opts.world);
    struct certs_issue what = {
        .common_name = span_of(r->name), .client_only = true, .now_ms = now, .not_after_ms = expired ? now - 1000 : 0};
    bool ok = certs_dir_issue(l->ca, l->opts.dir, &what, &paths, err);
    certs_paths_free(&paths);
    return ok;
}

bool local_renew_real_agent(struct local *l, struct real_agent *r, bool expired, struct error *err) {
    bool up = r->agent != NULL;
    if (!issue_certificate(l, r, expired, err) || !world_tls_reload(r->tls, err)) {
        return false;
    }
    local_kill_real_agent(r);
    if (up) {
        local_launch_real_agent(l, r);
    }
    return true;
}

static bool start_real_agent(struct local *l, uint32_t index, struct error *err) {
    struct real_agent *r = &l->real_agents[index];
    struct world *w = l->opts.world;
    r->name = str_printf("real-%02u.example.com", index + 1);
    r->spool = str_printf("%s/agents/%s/spool", l->opts.dir, r->name);
    r->cache = str_printf("%s/agents/%s/tasks-cache", l->opts.dir, r->name);
    char *cert = str_printf("%s/certs/%s.pem", l->opts.dir, r->name),
         *key = str_printf("%s/certs/%s.key", l->opts.dir, r->name);
    bool ok = world_file_mkdir(w, r->spool, 0750, true, err) && world_file_mkdir(w, r->cache, 0750, true, err) &&
              issue_certificate(l, r, false, err) && write_puppet_conf(l, r, cert, key, err) &&
              local_know_node(l, r->name, index + 1, err);
    if (ok) {
        r->tls = world_tls_new(
            w, &(struct world_tls_files){.cert = cert, .key = key, .ca = l->ca_path, .crl = l->crl_path}, err);
        ok = r->tls != NULL;
    }
    if (ok) {
        r->config = l->agent_config;
        r->config.environment = r->environment;
        local_launch_real_agent(l, r);
    }
    mem_free(cert);
    mem_free(key);
    return ok;
}

/* A modules directory as an agent wants it: the program under its module's name, and its configuration. */
static bool make_module_dirs(struct local *l, struct error *err) {
    struct world *w = l->opts.world;
    if (l->opts.puppet_module == NULL) {
        return true;
    }
    l->pxp_modules = str_printf("%s/agents/modules", l->opts.dir);
    l->pxp_module_config = str_printf("%s/agents/modules.d", l->opts.dir);
    char *link = str_printf("%s/%s", l->pxp_modules, puppet_module_name);
    char *conf = str_printf("%s/%s.conf", l->pxp_module_config, puppet_module_name);
    json_t *config = json_pack("{s:s}", "puppet_bin", l->opts.puppet_bin);
    char *text = json_text(config);
    world_file_remove(w, link, false, NULL); /* an earlier run's */
    bool ok = world_file_mkdir(w, l->pxp_modules, 0755, true, err) &&
              world_file_mkdir(w, l->pxp_module_config, 0755, true, err) &&
              world_file_symlink(w, l->opts.puppet_module, link, err) &&
              world_file_write(w, conf, span_of(text), 0644, WORLD_WRITE_ATOMIC, err);
    json_decref(config);
    mem_free(text);
    mem_free(conf);
    mem_free(link);
    return ok;
}

bool local_start_real_agents(struct local *l, struct error *err) {
    if (l->opts.real_agents == 0) {
        return true;
    }
    if (!make_module_dirs(l, err)) {
        return false;
    }
    l->agent_config = agent_config_default();
    l->agent_config.brokers = (const char *const *)l->broker_urls;
    l->agent_config.broker_count = l->opts.brokers;
    l->agent_config.version = PCP_V2;
    l->agent_config.primaries = &l->primary;
    l->agent_config.primary_count = 1;
    l->agent_config.exec_wrapper = l->opts.exec_path;
    l->agent_config.shell = "/bin/sh";
    l->agent_config.modules_dir = l->pxp_modules;
    l->agent_config.modules_config_dir = l->pxp_module_config;
    l->agent_config.ssl_ca = l->ca_path;
    l->real_agents = mem_array(l->opts.real_agents, sizeof(*l->real_agents));
    for (uint32_t i = 0; i < l->opts.real_agents; i++) {
        if (!start_real_agent(l, i, err)) {
            return false;
        }
    }
    return true;
}

void local_free_real_agents(struct local *l) {
    for (uint32_t i = 0; l->real_agents != NULL && i < l->opts.real_agents; i++) {
        struct real_agent *r = &l->real_agents[i];
        local_kill_real_agent(r);
        world_tls_free(r->tls);
        mem_free(r->name);
        mem_free(r->spool);
        mem_free(r->cache);
        mem_free(r->state);
        mem_free(r->puppet_conf);
        mem_free((void *)r->environment);
    }
    mem_free(l->real_agents);
    l->real_agents = NULL;
}
