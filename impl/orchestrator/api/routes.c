/* Every endpoint in one table: method, path, permission, body schema, handler (orchestrator-api.md §0.2). */
#include "base/mem.h"
#include "orchestrator/api/internal.h"

#define CONNECT "nodes:add_delete_inventory"
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
    {"POST", "/orchestrator/v1/command/stop_plan", api_on_request,
     ROUTE(.permission = VIEW, .body = command_stop_plan_fields, .handle = command_stop_plan)},
    {"POST", "/orchestrator/v1/command/task_target", api_on_request,
     ROUTE(.body = command_task_target_fields, .handle = command_task_target)},
    {"POST", "/orchestrator/v1/command/plan_start", api_on_request,
     ROUTE(.permission = VIEW, .body = command_plan_start_fields, .handle = command_plan_start)},
    {"POST", "/orchestrator/v1/command/plan_task", api_on_request,
     ROUTE(.body = command_plan_task_fields, .handle = command_plan_task)},
    {"POST", "/orchestrator/v1/command/plan_finish", api_on_request,
     ROUTE(.permission = VIEW, .body = command_plan_finish_fields, .handle = command_plan_finish)},
    {"POST", "/orchestrator/v1/command/plan_run", api_on_request,
     ROUTE(.body = command_plan_run_fields, .handle = command_plan_run)},
    {"POST", "/orchestrator/v1/command/environment_plan_run", api_on_request,
     ROUTE(.body = command_environment_plan_run_fields, .handle = command_environment_plan_run)},
    {"POST", "/orchestrator/v1/command/schedule_task", api_on_request,
     ROUTE(.body = command_schedule_task_fields, .handle = command_schedule_task)},
    {"POST", "/orchestrator/v1/command/schedule_deploy", api_on_request,
     ROUTE(.body = command_schedule_deploy_fields, .handle = command_schedule_deploy)},
    {"POST", "/orchestrator/v1/command/schedule_plan", api_on_request,
     ROUTE(.body = command_schedule_plan_fields, .handle = command_schedule_plan)},

    {"GET", "/orchestrator/v1/jobs", api_on_request, ROUTE(.permission = VIEW, .handle = jobs_list)},
    {"GET", "/orchestrator/v1/jobs/:id", api_on_request, ROUTE(.permission = VIEW, .handle = jobs_get)},
    {"GET", "/orchestrator/v1/jobs/:id/nodes", api_on_request, ROUTE(.permission = VIEW, .handle = jobs_nodes)},
    {"GET", "/orchestrator/v1/jobs/:id/report", api_on_request, ROUTE(.permission = VIEW, .handle = jobs_report)},
    {"GET", "/orchestrator/v1/jobs/:id/events", api_on_request, ROUTE(.permission = VIEW, .handle = jobs_events)},

    {"GET", "/orchestrator/v1/plan_jobs", api_on_request, ROUTE(.permission = VIEW, .handle = plan_jobs_list)},
    {"GET", "/orchestrator/v1/plan_jobs/:id", api_on_request, ROUTE(.permission = VIEW, .handle = plan_jobs_get)},
    {"GET", "/orchestrator/v1/plan_jobs/:id/events", api_on_request,
     ROUTE(.permission = VIEW, .handle = plan_jobs_events)},
    {"GET", "/orchestrator/v1/plan_jobs/:id/event/:event", api_on_request,
     ROUTE(.permission = VIEW, .handle = plan_jobs_event)},

    {"GET", "/orchestrator/v1/scheduled_jobs", api_on_request,
     ROUTE(.permission = VIEW, .handle = scheduled_jobs_list)},
    {"DELETE", "/orchestrator/v1/scheduled_jobs/:id", api_on_request, ROUTE(.handle = scheduled_jobs_delete)},
    {"GET", "/orchestrator/v1/scheduled_jobs/environment_jobs", api_on_request, ROUTE(.handle = environment_jobs_list)},
    {"POST", "/orchestrator/v1/scheduled_jobs/environment_jobs", api_on_request,
     ROUTE(.body = environment_jobs_post_fields, .handle = environment_jobs_post)},
    {"GET", "/orchestrator/v1/scheduled_jobs/environment_jobs/:id", api_on_request,
     ROUTE(.handle = environment_jobs_get)},
    {"PUT", "/orchestrator/v1/scheduled_jobs/environment_jobs/:id", api_on_request,
     ROUTE(.body = environment_jobs_put_fields, .handle = environment_jobs_put)},

    {"GET", "/orchestrator/v1/scopes/task_targets", api_on_request,
     ROUTE(.permission = VIEW, .handle = task_targets_list)},
    {"GET", "/orchestrator/v1/scopes/task_targets/:id", api_on_request,
     ROUTE(.permission = VIEW, .handle = task_targets_get)},
    {"GET", "/orchestrator/v1/usage", api_on_request, ROUTE(.permission = VIEW, .handle = usage_get)},

    {"GET", "/orchestrator/v1/environments", api_on_request, ROUTE(.permission = VIEW, .handle = environments_list)},
    {"GET", "/orchestrator/v1/environments/:environment", api_on_request,
     ROUTE(.permission = VIEW, .handle = environments_get)},
    {"GET", "/orchestrator/v1/environments/:environment/applications", api_on_request,
     ROUTE(.permission = VIEW, .handle = environments_applications)},
    {"GET", "/orchestrator/v1/environments/:environment/instances", api_on_request,
     ROUTE(.permission = VIEW, .handle = environments_instances)},

    {"GET", "/orchestrator/v1/inventory", api_on_request, ROUTE(.permission = VIEW, .handle = inventory_list)},
    {"POST", "/orchestrator/v1/inventory", api_on_request,
     ROUTE(.permission = VIEW, .body = inventory_post_fields, .handle = inventory_post)},
    {"GET", "/orchestrator/v1/inventory/:node", api_on_request, ROUTE(.permission = VIEW, .handle = inventory_get)},

    {"GET", "/orchestrator/v1/tasks", api_on_request, ROUTE(.handle = tasks_list)},
    {"GET", "/orchestrator/v1/tasks/:module/:item", api_on_request, ROUTE(.handle = tasks_get)},
    {"GET", "/orchestrator/v1/plans", api_on_request, ROUTE(.handle = plans_list)},
    {"GET", "/orchestrator/v1/plans/:module/:item", api_on_request, ROUTE(.handle = plans_get)},

    {"POST", "/inventory/v1/command/create-connection", api_on_request,
     ROUTE(.permission = CONNECT, .body = connections_create_fields, .handle = connections_create)},
    {"POST", "/inventory/v1/command/delete-connection", api_on_request,
     ROUTE(.permission = CONNECT, .body = connections_delete_fields, .handle = connections_delete)},
    {"GET", "/inventory/v1/query/connections", api_on_request, ROUTE(.permission = VIEW, .handle = connections_get)},
    {"POST", "/inventory/v1/query/connections", api_on_request,
     ROUTE(.permission = VIEW, .body = connections_query_fields, .handle = connections_query)},

    {"GET", "/status/v1/services", api_on_request, ROUTE(.open = true, .handle = api_status_services)},
    {"GET", "/status/v1/services/:service", api_on_request, ROUTE(.open = true, .handle = api_status_service)},
    {"GET", "/status/v1/simple", api_on_request, ROUTE(.open = true, .handle = api_status_simple)},
    {"GET", "/status/v1/simple/:service", api_on_request, ROUTE(.open = true, .handle = api_status_simple)},
    {"GET", "/metrics", api_on_request, ROUTE(.open = true, .handle = api_status_metrics)},
    {NULL, NULL, NULL, NULL},
};

/* Clients ask for "/orchestrator/v1/" as well as "/orchestrator/v1". */
struct http_route *api_routes_new(void) {
    size_t count = 0, i;
    while (api_routes[count].pattern != NULL) {
        count++;
    }
    struct http_route *routes = mem_array(2 * count + 1, sizeof *routes);
    for (i = 0; i < count; i++) {
        routes[i] = routes[count + i] = api_routes[i];
        routes[i].pattern = str_dup(api_routes[i].pattern);
        routes[count + i].pattern = str_printf("%s/", api_routes[i].pattern);
    }
    return routes;
}

void api_routes_free(struct http_route *routes) {
    for (size_t i = 0; routes != NULL && routes[i].pattern != NULL; i++) {
        mem_free((char *)(uintptr_t)routes[i].pattern);
    }
    mem_free(routes);
}
