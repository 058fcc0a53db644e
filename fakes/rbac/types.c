/* The object types and actions of rbac.md §6.2, and what the default roles of §10 may do. */
#include "fakes/rbac/model.h"
#include <string.h>

struct action {
    const char *name, *display_name, *description;
    bool has_instances;
};

struct object_type {
    const char *name, *display_name, *description;
    struct action actions[10];
};

static const struct object_type object_types[] = {
    {"cert_requests",
     "Certificate requests",
     "Requests of nodes for a certificate.",
     {{"accept_reject", "Accept and reject", "Sign or reject certificate requests.", false}}},
    {"configuration",
     "Configuration",
     "Settings of the console.",
     {{"view", "View configuration", "See the settings.", false},
      {"edit", "Edit configuration", "Change the settings.", false}}},
    {"console_page", "Console", "The web console.", {{"view", "View", "Open the console.", false}}},
    {"directory_service",
     "Directory service",
     "The connection to a directory.",
     {{"edit", "View, edit, and test", "See, change and test the directory settings.", false}}},
    {"environment",
     "Puppet environment",
     "Environments of code.",
     {{"deploy_code", "Deploy code", "Deploy code to an environment.", true}}},
    {"node_groups",
     "Node groups",
     "Groups of classified nodes.",
     {{"view", "View", "See all attributes of a group and its descendants.", true},
      {"modify_children", "Create, edit, and delete child groups", "Manage the groups below a group.", true},
      {"edit_child_rules", "Edit child group rules", "Change the rules of descendants.", true},
      {"edit_classification", "Edit classes, parameters, and variables", "Change what a group declares.", true},
      {"edit_config_data", "Edit configuration data", "Change the configuration data of a group.", true},
      {"edit_params_and_vars", "Edit parameters and variables", "Change parameters and variables only.", true},
      {"set_environment", "Set environment", "Change the environment of a group.", true}}},
    {"nodes",
     "Nodes",
     "What is known about nodes.",
     {{"view_data", "View node data from PuppetDB", "See facts, reports and query results.", false},
      {"edit_data", "Edit node data from PuppetDB", "Deactivate nodes and the like.", false},
      {"view_inventory_sensitive", "View sensitive connection information", "See secrets of the inventory.", false},
      {"add_delete_inventory", "Add and delete connection information", "Manage the inventory.", false}}},
    {"orchestrator",
     "Job orchestrator",
     "Jobs on nodes.",
     {{"view", "Start, stop and view jobs", "Work with jobs and the connected nodes.", false}}},
    {"plans", "Plans", "Plans of several steps.", {{"run", "Run Plans", "Run a plan.", true}}},
    {"puppet_agent",
     "Puppet agent",
     "Agent runs.",
     {{"run", "Run Puppet on agent nodes", "Start an agent run.", false}}},
    {"puppetserver",
     "Puppet Server",
     "The compilation of catalogs.",
     {{"compile_catalogs", "Compile catalogs for remote nodes", "Compile for another node.", false}}},
    {"scheduled_jobs",
     "Scheduled jobs",
     "Jobs that wait for their time.",
     {{"delete", "Delete another user's scheduled jobs", "Delete scheduled jobs of a user.", true}}},
    {"tasks",
     "Tasks",
     "Single actions on nodes.",
     {{"run", "Run tasks", "Run a task on any node.", true},
      {"run_with_constraints", "Run tasks on a task target", "Run what a task target allows, where it allows.", true}}},
    {"tokens",
     "Tokens",
     "Authentication tokens.",
     {{"override_lifetime", "Override default expiry", "Ask for another lifetime than the default.", false}}},
    {"user_groups",
     "User groups",
     "Groups that come from the directory.",
     {{"import", "Import", "Import groups.", false}, {"delete", "Delete", "Delete a group.", true}}},
    {"user_roles",
     "User roles",
     "Roles and who has them.",
     {{"create", "Create", "Make roles.", false},
      {"edit", "Edit and delete", "Change and delete roles.", true},
      {"edit_members", "Edit members", "Change who has a role.", true}}},
    {"users",
     "Users",
     "People with a login.",
     {{"create", "Create", "Make local users.", false},
      {"edit", "Edit", "Change and delete a user.", true},
      {"reset_password", "Reset password", "Give a user a new password.", true},
      {"disable", "Revoke", "Revoke a user and the user's tokens.", true}}},
};

enum { TYPE_COUNT = sizeof object_types / sizeof object_types[0] };

bool rbac_action_known(const char *type, const char *action) {
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (strcmp(object_types[i].name, type) == 0) {
            for (const struct action *a = object_types[i].actions; a->name != NULL; a++) {
                if (strcmp(a->name, action) == 0) {
                    return true;
                }
            }
        }
    }
    return false;
}

json_t *rbac_types_json(void) {
    json_t *all = json_array();
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        const struct object_type *t = &object_types[i];
        json_t *actions = json_array();
        for (const struct action *a = t->actions; a->name != NULL; a++) {
            json_array_append_new(actions,
                                  json_pack("{s:s, s:s, s:s, s:b}", "name", a->name, "display_name", a->display_name,
                                            "description", a->description, "has_instances", (int)a->has_instances));
        }
        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:o}", "object_type", t->name, "display_name",
                                             t->display_name, "description", t->description, "actions", actions));
    }
    return all;
}

static const struct {
    int64_t role;
    const char *type;
    const char *action; /* NULL: every action of the type */
} default_grants[] = {
    {2, "cert_requests", "accept_reject"},
    {2, "console_page", "view"},
    {2, "orchestrator", "view"},
    {2, "node_groups", NULL},
    {2, "puppet_agent", "run"},
    {2, "environment", "deploy_code"},
    {3, "console_page", "view"},
    {3, "orchestrator", "view"},
    {3, "node_groups", "view"},
    {4, "environment", "deploy_code"},
    {5, "orchestrator", "view"},
};

static const struct {
    int64_t id;
    const char *display_name, *description;
} default_roles[] = {
    {RBAC_ROLE_ADMINISTRATORS, "Administrators", "May do everything."},
    {2, "Operators", "Run Puppet, classify nodes and deploy code."},
    {3, "Viewers", "See the console and the jobs."},
    {4, "Code Deployers", "Deploy code."},
    {5, "Project Deployers", "Deploy projects."},
};

static void grant_type(struct rbac_role *r, const struct object_type *t, const char *only) {
    for (const struct action *a = t->actions; a->name != NULL; a++) {
        if (only == NULL || strcmp(only, a->name) == 0) {
            rbac_role_grant(r, t->name, a->name, "*");
        }
    }
}

void rbac_grant_defaults(struct rbac_model *m) {
    for (size_t i = 0; i < sizeof default_roles / sizeof default_roles[0]; i++) {
        struct rbac_role *r = rbac_role_add(m, default_roles[i].id, default_roles[i].display_name);
        text_set(&r->description, default_roles[i].description);
        for (size_t t = 0; t < TYPE_COUNT; t++) {
            if (r->id == RBAC_ROLE_ADMINISTRATORS) {
                grant_type(r, &object_types[t], NULL);
            }
            for (size_t g = 0; g < sizeof default_grants / sizeof default_grants[0]; g++) {
                if (default_grants[g].role == r->id && strcmp(default_grants[g].type, object_types[t].name) == 0) {
                    grant_type(r, &object_types[t], default_grants[g].action);
                }
            }
        }
    }
}
