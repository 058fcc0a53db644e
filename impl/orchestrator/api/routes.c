/* Every endpoint in one table: method, path, permission, body schema, handler (orchestrator-api.md §0.2). */
#include "orchestrator/api/internal.h"

#define VIEW "orchestrator:view"
#define ROUTE(...) (&(const struct api_route){__VA_ARGS__})

const struct http_route api_routes[] = {
    {"GET", "/orchestrator", api_on_request, ROUTE(.handle = root_get)},
    {"GET", "/orchestrator/v1", api_on_request, ROUTE(.handle = root_get)},
    {"GET", "/orchestrator/v1/status", api_on_request, ROUTE(.handle = api_status_service)},

    {"POST", "/orchestrator/v1/command/deploy", api_on_request,
     ROUTE(.body = command_deploy_fields, .handle = command_deploy)},
    {"POST", "/orchestrator/v1/command/task", api_on_request,
     ROUTE(.body = command_task_fields, .handle = command_task)},
    {"POST", "/orchestrator/v1/command/stop", api_on_request,
     ROUTE(.permission = VIEW, .body = command_stop_fields, .handle = command_stop)},

    {"GET", "/orchestrator/v1/jobs", api_on_request, ROUTE(.permission = VIEW, .handle = jobs_list)},
    {"GET", "/orchestrator/v1/jobs/:id", api_on_request, ROUTE(.permission = VIEW, .handle = jobs_get)},
    {"GET", "/orchestrator/v1/jobs/:id/nodes", api_on_request, ROUTE(.permission = VIEW, .handle = jobs_nodes)},
    {"GET", "/orchestrator/v1/jobs/:id/report", api_on_request, ROUTE(.permission = VIEW, .handle = jobs_report)},
    {"GET", "/orchestrator/v1/jobs/:id/events", api_on_request, ROUTE(.permission = VIEW, .handle = jobs_events)},

    {"GET", "/orchestrator/v1/inventory", api_on_request, ROUTE(.permission = VIEW, .handle = inventory_list)},
    {"POST", "/orchestrator/v1/inventory", api_on_request,
     ROUTE(.permission = VIEW, .body = inventory_post_fields, .handle = inventory_post)},
    {"GET", "/orchestrator/v1/inventory/:node", api_on_request, ROUTE(.permission = VIEW, .handle = inventory_get)},

    {"GET", "/orchestrator/v1/tasks", api_on_request, ROUTE(.handle = tasks_list)},
    {"GET", "/orchestrator/v1/tasks/:module/:item", api_on_request, ROUTE(.handle = tasks_get)},
    {"GET", "/orchestrator/v1/plans", api_on_request, ROUTE(.handle = plans_list)},
    {"GET", "/orchestrator/v1/plans/:module/:item", api_on_request, ROUTE(.handle = plans_get)},

    {"GET", "/status/v1/services", api_on_request, ROUTE(.open = true, .handle = api_status_services)},
    {"GET", "/status/v1/services/:service", api_on_request, ROUTE(.open = true, .handle = api_status_service)},
    {"GET", "/status/v1/simple", api_on_request, ROUTE(.open = true, .handle = api_status_simple)},
    {"GET", "/status/v1/simple/:service", api_on_request, ROUTE(.open = true, .handle = api_status_simple)},
    {"GET", "/metrics", api_on_request, ROUTE(.open = true, .handle = api_status_metrics)},
    {NULL, NULL, NULL, NULL},
};
