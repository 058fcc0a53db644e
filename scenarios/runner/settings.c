/* See settings.h. */
#include "scenarios/runner/settings.h"

#include <stddef.h>
#include <string.h>

enum setting_type {
    SETTING_U32,
    SETTING_SIZE,
    SETTING_U32_SECONDS,
    SETTING_U64_MS,
    SETTING_BOOL,
    SETTING_RESTART_POLICY
};
struct setting {
    const char *name;
    enum setting_type type;
    size_t offset;
};

#define ORCHESTRATOR(name, type, member)                                                                               \
    { name, type, offsetof(struct orchestrator_config, member) }
static const struct setting orchestrator_settings[] = {
    ORCHESTRATOR("task_concurrency", SETTING_U32, task_concurrency),
    ORCHESTRATOR("global_concurrent_compiles", SETTING_U32, global_concurrent_compiles),
    ORCHESTRATOR("job_nodes_max", SETTING_U32, job_nodes_max),
    ORCHESTRATOR("jobs_active_max", SETTING_U32, jobs_active_max),
    ORCHESTRATOR("event_streams_max", SETTING_U32, event_streams_max),
    ORCHESTRATOR("request_body_max", SETTING_SIZE, request_body_max),
    ORCHESTRATOR("pcp_message_max", SETTING_U32, pcp_message_max),
    ORCHESTRATOR("job_prune_days", SETTING_U32, job_prune_days),
    ORCHESTRATOR("allowed_status_requests", SETTING_U32, allowed_status_requests),
    ORCHESTRATOR("pcp_timeout", SETTING_U32_SECONDS, pcp_timeout_s),
    ORCHESTRATOR("status_interval", SETTING_U32_SECONDS, status_interval_s),
    ORCHESTRATOR("report_timeout", SETTING_U32_SECONDS, report_timeout_s),
    ORCHESTRATOR("deploy_node_timeout", SETTING_U32_SECONDS, deploy_node_timeout_s),
    ORCHESTRATOR("task_node_timeout", SETTING_U32_SECONDS, task_node_timeout_s),
    ORCHESTRATOR("plan_timeout", SETTING_U32_SECONDS, plan_timeout_s),
    ORCHESTRATOR("scheduled_jobs_v1_api", SETTING_BOOL, scheduled_jobs_v1_api),
    ORCHESTRATOR("app_management", SETTING_BOOL, app_management),
    ORCHESTRATOR("restart_policy", SETTING_RESTART_POLICY, restart_policy),
};

#define BROKER(name, type, member)                                                                                     \
    { name, type, offsetof(struct broker_config, member) }
static const struct setting broker_settings[] = {
    BROKER("max_connections", SETTING_SIZE, connections_max),
    BROKER("max_message_size", SETTING_SIZE, message_max),
    BROKER("queue_bytes_max", SETTING_SIZE, queue_bytes_max),
    BROKER("queue_messages_max", SETTING_U32, queue_messages_max),
    BROKER("handshakes_max", SETTING_U32, handshakes_max),
    BROKER("idle_timeout", SETTING_U64_MS, idle_timeout_ms),
    BROKER("crl_check_period", SETTING_U64_MS, crl_check_period_ms),
    BROKER("update_interval", SETTING_U64_MS, update_interval_ms),
    BROKER("close_timeout", SETTING_U64_MS, close_timeout_ms),
    BROKER("replace_at_limit", SETTING_BOOL, replace_at_limit),
    BROKER("spec_ttl_expired", SETTING_BOOL, spec_ttl_expired),
    BROKER("spec_destination_report", SETTING_BOOL, spec_destination_report),
    BROKER("spec_version_error", SETTING_BOOL, spec_version_error),
    BROKER("spec_unauthorized", SETTING_BOOL, spec_unauthorized),
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char *const policies[] = {"resume", "fail", NULL};
static const struct shape shape_policy = {.type = SHAPE_WORD, .words = policies};

static void check(struct problems *p, const struct doc_node *node, const struct setting *table, size_t count) {
    enum { SETTINGS_MAX = 32 };
    struct shape_key keys[SETTINGS_MAX];
    for (size_t i = 0; i < count; i++) {
        const struct shape *shape = table[i].type == SETTING_U32_SECONDS || table[i].type == SETTING_U64_MS
                                        ? &shape_duration
                                    : table[i].type == SETTING_BOOL           ? &shape_bool
                                    : table[i].type == SETTING_RESTART_POLICY ? &shape_policy
                                                                              : &shape_count;
        keys[i] = (struct shape_key){table[i].name, shape, false};
    }
    keys[count] = (struct shape_key){NULL, NULL, false};
    shape_check(&(struct shape){.type = SHAPE_MAP, .keys = keys}, node, p);
}

static void check_orchestrator(struct problems *p, const struct doc_node *node) {
    check(p, node, orchestrator_settings, COUNT(orchestrator_settings));
}
static void check_broker(struct problems *p, const struct doc_node *node) {
    check(p, node, broker_settings, COUNT(broker_settings));
}
const struct shape shape_orchestrator_settings = {.type = SHAPE_ANY, .check = check_orchestrator};
const struct shape shape_broker_settings = {.type = SHAPE_ANY, .check = check_broker};

static void apply(const json_t *settings, const struct setting *table, size_t count, void *config) {
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(settings, table[i].name);
        if (value == NULL) {
            continue;
        }
        char *at = (char *)config + table[i].offset;
        uint64_t us = 0, number = (uint64_t)json_integer_value(value);
        if (json_is_string(value)) {
            duration_us(json_string_value(value), &us);
        }
        switch (table[i].type) {
        case SETTING_U32:
            *(uint32_t *)(void *)at = number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
            break;
        case SETTING_SIZE:
            *(uint64_t *)(void *)at = number;
            break;
        case SETTING_U32_SECONDS:
            *(uint32_t *)(void *)at = (uint32_t)((us + 999999) / 1000000);
            break;
        case SETTING_U64_MS:
            *(uint64_t *)(void *)at = us / 1000;
            break;
        case SETTING_BOOL:
            *(bool *)(void *)at = json_is_true(value);
            break;
        case SETTING_RESTART_POLICY:
            *(enum restart_policy *)(void *)at =
                json_is_string(value) && json_string_value(value)[0] == 'f' ? RESTART_FAIL : RESTART_RESUME;
            break;
        }
    }
}

_Static_assert(sizeof(size_t) == sizeof(uint64_t), "sizes of settings are 64 bit");

void settings_orchestrator(const json_t *settings, struct orchestrator_config *config) {
    apply(settings, orchestrator_settings, COUNT(orchestrator_settings), config);
}

void settings_broker(const json_t *settings, struct broker_config *config) {
    apply(settings, broker_settings, COUNT(broker_settings), config);
}
