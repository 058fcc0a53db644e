/* Which programs, actions and options there are: parsing, help, man pages and completion all come from here. */
#include "cli/internal.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static size_t add(struct option *table, size_t at, const struct option *more, size_t count) {
    for (size_t i = 0; i < count; i++) {
        table[at + i] = more[i];
    }
    return at + count;
}

static size_t add_target(struct cli_args *a, struct option *t, size_t n, bool application) {
    const struct option options[] = {
        {OPTION_HEADING, NULL, 0, NULL, "Target (exactly one)", NULL},
        {OPTION_STRING, "nodes", 'n', "LIST",
         "Comma list of node names, @FILE with one name a line, or - for standard input.", &a->nodes},
        {OPTION_STRING, "query", 'q', "QUERY",
         "PuppetDB query (PQL, or AST as a JSON array) that names the nodes, or @FILE.", &a->query},
        {OPTION_STRING, "node-group", 0, "ID", "Id of a node group.", &a->node_group},
        {OPTION_STRING, "application", 'a', "NAME", "Application: Type or Type[title].", &a->application},
    };
    return add(t, n, options, COUNT(options) - (application ? 0 : 1));
}

static size_t add_common(struct cli_args *a, struct option *t, size_t n) {
    const struct option options[] = {
        {OPTION_HEADING, NULL, 0, NULL, "Connection and output", NULL},
        {OPTION_STRING, "service-url", 0, "URL", "Address of the orchestrator.", &a->service_url},
        {OPTION_STRING, "token-file", 't', "FILE", "File with the access token.", &a->token_file},
        {OPTION_STRING, "ca-cert", 0, "FILE", "CA certificate that the services are checked against.", &a->ca_cert},
        {OPTION_STRING, "config-file", 'c', "FILE", "Read this file instead of the user's configuration file.",
         &a->config_file},
        {OPTION_STRING, "format", 0, "FORMAT", "human (default) or json: one JSON object a line.", &a->format},
        {OPTION_NEGATABLE, "color", 0, NULL, "Use colours; they are off in a pipe and when NO_COLOR is set.",
         &a->color},
        {OPTION_FLAG, "verbose", 0, NULL, "Say more, errors in particular.", &a->verbose},
    };
    return add(t, n, options, COUNT(options));
}

static size_t add_environment(struct cli_args *a, struct option *t, size_t n, const char *help) {
    t[n++] = (struct option){OPTION_STRING, "environment", 'e', "NAME", help, &a->environment};
    return n;
}

static size_t add_params(struct cli_args *a, struct option *t, size_t n) {
    t[n++] = (struct option){OPTION_STRING,
                             "params",
                             0,
                             "JSON",
                             "Parameters as a JSON object, @FILE or - for standard input; not with NAME=VALUE.",
                             &a->params};
    t[n++] = (struct option){OPTION_STRING, "description", 0, "TEXT", "Description of the job.", &a->description};
    return n;
}

static size_t add_live(struct cli_args *a, struct option *t, size_t n) {
    t[n++] = (struct option){OPTION_FLAG, "no-live", 0, NULL, "No live status line on a terminal.", &a->no_live};
    return n;
}

static size_t job_target_options(struct cli_args *a, struct option *t) {
    const struct option options[] = {
        {OPTION_FLAG, "noop", 0, NULL, "Simulate the changes.", &a->noop},
        {OPTION_FLAG, "no-noop", 0, NULL, "Enforce even where the agent is set to no-op.", &a->no_noop},
        {OPTION_FLAG, "no-enforce-environment", 0, NULL, "Let each node run in its own environment.",
         &a->no_enforce_environment},
        {OPTION_STRING, "description", 0, "TEXT", "Description of the job.", &a->description},
        {OPTION_FLAG, "debug", 0, NULL, "Run the agents with --debug.", &a->debug},
        {OPTION_FLAG, "trace", 0, NULL, "Run the agents with --trace.", &a->trace},
        {OPTION_FLAG, "evaltrace", 0, NULL, "Run the agents with --evaltrace.", &a->evaltrace},
        {OPTION_UINT, "concurrency", 0, "N", "At most this many nodes at a time.", &a->concurrency},
    };
    size_t n = add_target(a, t, 0, true);
    t[n++] = (struct option){OPTION_HEADING, NULL, 0, NULL, "Run", NULL};
    n = add_environment(a, t, n, "Environment to run in; every node must be in it unless --no-enforce-environment.");
    n = add(t, n, options, COUNT(options));
    return n;
}

static size_t job_run_options(struct cli_args *a, struct option *t) {
    return add_common(a, t, add_live(a, t, job_target_options(a, t)));
}

static size_t job_plan_options(struct cli_args *a, struct option *t) {
    return add_common(a, t, job_target_options(a, t));
}

static size_t job_show_options(struct cli_args *a, struct option *t) {
    size_t n = add_environment(a, t, 0, "Only jobs of this environment.");
    t[n++] = (struct option){OPTION_UINT, "limit", 0, "N", "At most this many jobs; the default is 50.", &a->limit};
    return add_common(a, t, n);
}

static size_t job_stop_options(struct cli_args *a, struct option *t) {
    t[0] = (struct option){OPTION_FLAG, "force", 0, NULL, "End running work too, at once.", &a->force};
    return add_common(a, t, 1);
}

static size_t task_run_options(struct cli_args *a, struct option *t) {
    size_t n = add_target(a, t, 0, false);
    t[n++] = (struct option){OPTION_HEADING, NULL, 0, NULL, "Run", NULL};
    n = add_environment(a, t, n, "Environment the task's code is taken from.");
    n = add_params(a, t, n);
    t[n++] = (struct option){OPTION_FLAG, "noop", 0, NULL, "Simulate; the task must support it.", &a->noop};
    return add_common(a, t, add_live(a, t, n));
}

static size_t show_options(struct cli_args *a, struct option *t) {
    size_t n = add_environment(a, t, 0, "Environment to look in.");
    t[n++] = (struct option){OPTION_FLAG, "all", 0, NULL, "Also what you may not run.", &a->all};
    return add_common(a, t, n);
}

static size_t plan_run_options(struct cli_args *a, struct option *t) {
    size_t n = add_environment(a, t, 0, "Environment the plan is taken from.");
    n = add_params(a, t, n);
    t[n++] = (struct option){OPTION_STRING, "user", 0, "NAME", "Log in as this user instead of using a stored token.",
                             &a->user};
    t[n++] = (struct option){OPTION_STRING, "password", 0, "TEXT", "With --user; better leave it out and be asked.",
                             &a->password};
    return add_common(a, t, add_live(a, t, n));
}

static size_t app_show_options(struct cli_args *a, struct option *t) {
    return add_common(a, t, add_environment(a, t, 0, "Environment to look in."));
}

static size_t add_access(struct cli_args *a, struct option *t, size_t n) {
    const struct option options[] = {
        {OPTION_STRING, "token-file", 't', "FILE", "Where the token is kept.", &a->token_file},
        {OPTION_STRING, "ca-cert", 0, "FILE", "CA certificate that the service is checked against.", &a->ca_cert},
        {OPTION_STRING, "config-file", 'c', "FILE", "Read this file instead of the user's configuration file.",
         &a->config_file},
        {OPTION_STRING, "service-url", 0, "URL", "Address of the RBAC service.", &a->service_url},
        {OPTION_FLAG, "debug", 0, NULL, "Say what is asked of whom (never a password or token).", &a->debug},
        {OPTION_FLAG, "verbose", 0, NULL, "Say more, errors in particular.", &a->verbose},
    };
    return add(t, n, options, COUNT(options));
}

static size_t access_login_options(struct cli_args *a, struct option *t) {
    t[0] = (struct option){
        OPTION_STRING, "lifetime", 'l', "TIME", "How long the token lives: a number and y, d, h, m or s.",
        &a->lifetime};
    t[1] = (struct option){OPTION_STRING, "label", 0, "TEXT", "A name for the token.", &a->label};
    t[2] = (struct option){OPTION_FLAG, "print", 0, NULL, "Print the token instead of storing it.", &a->print};
    return add_access(a, t, 3);
}

static size_t access_show_options(struct cli_args *a, struct option *t) {
    return add_access(a, t, 0);
}

static size_t access_delete_options(struct cli_args *a, struct option *t) {
    t[0] = (struct option){OPTION_STRING, "token-path", 0, "FILE", "The file to remove.", &a->token_path};
    return add_access(a, t, 1);
}

static size_t query_options(struct cli_args *a, struct option *t) {
    const struct option options[] = {
        {OPTION_STRING, "urls", 'u', "URL", "Address of PuppetDB; of a comma list only the first is used.", &a->urls},
        {OPTION_STRING, "cacert", 0, "FILE", "CA certificate that PuppetDB is checked against.", &a->cacert},
        {OPTION_STRING, "cert", 0, "FILE", "Client certificate.", &a->cert},
        {OPTION_STRING, "key", 0, "FILE", "Its private key.", &a->key},
        {OPTION_STRING, "token", 0, "FILE", "File with the access token.", &a->token},
        {OPTION_STRING, "config", 'c', "FILE", "Read this file instead of the user's configuration file.",
         &a->config_file},
        {OPTION_STRING, "log-level", 'l', "LEVEL", "none, trace, debug, info, warn or error.", &a->log_level},
        {OPTION_FLAG, "verbose", 0, NULL, "Say more, errors in particular.", &a->verbose},
    };
    return add(t, 0, options, COUNT(options));
}

const struct cli_action cli_actions[] = {
    {"puppet-job", "run", "{--nodes LIST | --query QUERY | --node-group ID | --application NAME} [OPTIONS]",
     "run Puppet on nodes, now", NULL, job_run_options, job_run},
    {"puppet-job", "plan", "{--nodes LIST | --query QUERY | --node-group ID | --application NAME} [OPTIONS]",
     "show what a job would do, without making it", NULL, job_plan_options, job_plan},
    {"puppet-job", "show", "[JOB-ID] [OPTIONS]", "list jobs, or show one", NULL, job_show_options, job_show},
    {"puppet-job", "list", "[OPTIONS]", "list jobs (the same as show)", NULL, job_show_options, job_show},
    {"puppet-job", "stop", "JOB-ID [--force]", "stop a job", NULL, job_stop_options, job_stop},
    {"puppet-task", "run", "TASK [NAME=VALUE …] {--nodes LIST | --query QUERY | --node-group ID} [OPTIONS]",
     "run a task on nodes", NULL, task_run_options, task_run},
    {"puppet-task", "show", "[TASK] [OPTIONS]", "list tasks, or show one", NULL, show_options, task_show},
    {"puppet-plan", "run", "PLAN [NAME=VALUE …] [OPTIONS]", "run a plan", NULL, plan_run_options, plan_run},
    {"puppet-plan", "show", "[PLAN] [OPTIONS]", "list plans, or show one", NULL, show_options, plan_show},
    {"puppet-app", "show", "[APPLICATION | INSTANCE] [OPTIONS]", "show applications and their instances", NULL,
     app_show_options, app_show},
    {"puppet-access", "login", "[USER] [OPTIONS]", "get an access token and store it", NULL, access_login_options,
     access_login},
    {"puppet-access", "show", "[OPTIONS]", "print the stored token", NULL, access_show_options, access_show},
    {"puppet-access", "delete-token-file", "[OPTIONS]", "remove the stored token", NULL, access_delete_options,
     access_delete},
    {"puppet-query", NULL, "QUERY [OPTIONS]", "ask PuppetDB", NULL, query_options, query_ask},
};
const size_t cli_action_count = COUNT(cli_actions);
