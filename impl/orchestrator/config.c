/* Defaults and checks of the configuration (orchestrator-jobs.md §12.3). */
#include "orchestrator/orchestrator.h"

#include <string.h>

/* The agent's spool directory on *nix holds the process id of what it started; each runs in a process group of its own.
 * TERM first, KILL for what is left after five seconds. */
#define KILL_COMMAND                                                                                                   \
    "for d in /opt/puppetlabs/pxp-agent/spool \"$HOME/.puppetlabs/opt/pxp-agent/spool\"; do "                          \
    "p=$(cat \"$d/@ID@/pid\" 2>/dev/null) && { kill -s TERM -- \"-$p\" || kill -s TERM \"$p\"; "                       \
    "i=0; while kill -s 0 -- \"-$p\" 2>/dev/null && [ $i -lt 5 ]; do sleep 1; i=$((i+1)); done; "                      \
    "kill -s KILL -- \"-$p\" 2>/dev/null; exit 0; }; done; exit 1"

void orchestrator_config_defaults(struct orchestrator_config *c) {
    *c = (struct orchestrator_config){
        .host = "0.0.0.0",
        .port = ORCHESTRATOR_PORT,
        .tls = {.client_auth = WORLD_CLIENT_AUTH_WANT},
        .global_concurrent_compiles = 8,
        .task_concurrency = 250,
        .job_prune_days = 30,
        .pcp_timeout_s = 30,
        .allowed_status_requests = 35,
        .status_interval_s = 12,
        .report_timeout_s = 30,
        .deploy_node_timeout_s = 2400,
        .task_node_timeout_s = 2400,
        .plan_timeout_s = 3600,
        .plans_max = 1,
        .app_management = true,
        .restart_policy = RESTART_RESUME,
        .kill_command = KILL_COMMAND,
        .job_nodes_max = 100000,
        .jobs_active_max = 1000,
        .request_body_max = UINT64_C(64) << 20,
        .pcp_message_max = 64u << 20,
        .event_streams_max = 1000,
    };
}

static bool missing(struct error *err, const char *key) {
    return error_set(err, "configuration", "%s is not set", key);
}

static bool check_numbers(const struct orchestrator_config *c, struct error *err) {
    const struct {
        const char *key;
        uint64_t value, least, most;
    } numbers[] = {
        {"job-prune-days-threshold", c->job_prune_days, 2, 36500},
        {"pcp-timeout", c->pcp_timeout_s, 1, 86400},
        {"allowed-pcp-status-requests", c->allowed_status_requests, 1, 255},
        {"pcp-status-interval", c->status_interval_s, 1, 86400},
        {"report-timeout", c->report_timeout_s, 1, 86400},
        {"default-deploy-node-timeout", c->deploy_node_timeout_s, 1, 31536000},
        {"default-task-node-timeout", c->task_node_timeout_s, 1, 31536000},
        {"default-plan-timeout", c->plan_timeout_s, 1, 31536000},
        {"job-nodes-max", c->job_nodes_max, 1, 10000000},
        {"jobs-active-max", c->jobs_active_max, 1, 1000000},
        {"request-body-max", c->request_body_max, 1024, UINT64_C(1) << 31},
        {"pcp-message-max", c->pcp_message_max, 1024, UINT32_C(1) << 31},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (numbers[i].value < numbers[i].least || numbers[i].value > numbers[i].most) {
            return error_set(err, "configuration", "%s must be between %llu and %llu", numbers[i].key,
                             (unsigned long long)numbers[i].least, (unsigned long long)numbers[i].most);
        }
    }
    return true;
}

bool orchestrator_config_check(const struct orchestrator_config *c, struct error *err) {
    const struct {
        const char *key, *value;
    } texts[] = {
        {"database", c->database},         {"ssl-cert", c->tls.cert},
        {"ssl-key", c->tls.key},           {"ssl-ca-cert", c->tls.ca},
        {"rbac-url", c->rbac_url},         {"classifier-url", c->classifier_url},
        {"puppetdb-url", c->puppetdb_url}, {"puppet-server-url", c->puppet_server_url},
        {"kill-command", c->kill_command},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i].value == NULL || texts[i].value[0] == '\0') {
            return missing(err, texts[i].key);
        }
    }
    if (c->broker_count == 0) {
        return missing(err, "pcp-broker-urls");
    }
    if (c->broker_count > ORCHESTRATOR_BROKERS_MAX) {
        return error_set(err, "configuration", "pcp-broker-urls: at most %d brokers", ORCHESTRATOR_BROKERS_MAX);
    }
    return check_numbers(c, err);
}
