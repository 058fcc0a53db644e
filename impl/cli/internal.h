/* Shared by the files of the command line programs only. */
#ifndef DALANG_CLI_INTERNAL_H
#define DALANG_CLI_INTERNAL_H

#include "base/json.h"
#include "base/map.h"
#include "cli/cli.h"
#include "client/client.h"

enum { EXIT_DONE = 0, EXIT_TROUBLE = 1, EXIT_NODES_FAILED = 2, EXIT_INTERRUPTED = 130 };

/* Every value an option can set; each action's table names those it takes. */
struct cli_args {
    const char *service_url, *environment, *token_file, *ca_cert, *config_file, *format, *color_word;
    bool color, no_color_given, verbose, debug, no_live;
    const char *nodes, *query, *node_group, *application;
    const char *params, *description, *user, *password;
    bool noop, no_noop, no_enforce_environment, trace, evaltrace, force, all, print;
    bool concurrency_given;
    uint64_t concurrency, limit;
    const char *lifetime, *label, *token_path;
    const char *urls, *cacert, *cert, *key, *token, *log_level;
};

struct cli {
    const struct cli_host *host;
    struct cli_args args;
    const char *program, *action;
    struct option_list words; /* what is no option */
    /* after config_load(): */
    char *service_url, *environment, *ca_cert, *token_file, *rbac_url;
    bool noop, color, json;
    char *token;
    struct world_tls *tls;
    struct client *client;
};

/* ---- the table of actions (actions.c) */
struct cli_action {
    const char *program, *action;
    const char *synopsis, *summary, *description;
    size_t (*options)(struct cli_args *a, struct option *table); /* fills the table, without OPTION_END */
    int (*run)(struct cli *cli);
};
extern const struct cli_action cli_actions[];
extern const size_t cli_action_count;
enum { OPTIONS_MAX = 40 };

int job_run(struct cli *cli);
int job_plan(struct cli *cli);
int job_show(struct cli *cli);
int job_stop(struct cli *cli);
int task_run(struct cli *cli);
int task_show(struct cli *cli);
int plan_run(struct cli *cli);
int plan_show(struct cli *cli);
int app_show(struct cli *cli);
int access_login(struct cli *cli);
int access_show(struct cli *cli);
int access_delete(struct cli *cli);
int query_ask(struct cli *cli);
/* The rows PuppetDB (of puppetdb.conf) gives for a query. */
bool query_rows(struct cli *cli, struct span query, json_t **rows, struct error *err);

/* ---- config.c: files, precedence, token */
bool config_load_orchestrator(struct cli *cli, struct error *err);
bool config_load_access(struct cli *cli, struct error *err);
json_t *config_read(struct cli *cli, const char *file_name, struct error *err); /* global and user file merged */
char *expand_home(const struct cli *cli, const char *path);
bool token_read(struct cli *cli, bool required, struct error *err);
/* Reads a line from the user's terminal or standard input; `what` is what the error calls it. */
bool ask_line(struct cli *cli, const char *prompt, const char *what, bool secret, struct buf *line, struct error *err);

/* ---- connect.c */
bool connect_orchestrator(struct cli *cli, struct error *err); /* configuration, TLS, token, client */
void connect_free(struct cli *cli);
/* One call, waited for. *body is a new reference (or NULL). The API's own kind is put into the error's details-free
 * message by report_error(). */
bool call(struct cli *cli, struct client *client, const char *method, const char *path, json_t *request, json_t **body,
          struct error *err);
/* Gets a token from RBAC; stores it in cli->token. */
bool login(struct cli *cli, const char *user, const char *password, struct error *err);
bool token_store(struct cli *cli, struct error *err);

/* ---- input.c: selectors and parameters */
json_t *scope_of(struct cli *cli, struct error *err); /* {"nodes": […]} … ; exactly one selector */
const char *selector_name(const struct cli *cli);     /* "--query" */
json_t *params_of(struct cli *cli, size_t first_word, struct error *err);
bool read_text_argument(struct cli *cli, const char *argument, struct buf *out,
                        struct error *err); /* "@file", "-" or itself */

/* ---- text.c: how things look */
enum colour { PLAIN, RED, GREEN, YELLOW, MAGENTA, CYAN, BOLD, DIM };
const char *colour_on(const struct cli *cli, enum colour c);
const char *colour_off(const struct cli *cli, enum colour c);
void print_boxed(struct cli *cli, const char *const (*rows)[2], size_t count);
void print_result(struct cli *cli, const json_t *result); /* a task's result, indented */
void print_resource_counts(struct cli *cli, const json_t *result);
char *number_with_commas(int64_t n);
char *local_time_text(const struct cli *cli, const char *iso); /* "02/29/2024 08:15:33 AM" */
/* Text from nodes and services, safe for a terminal: there control characters become blanks. mem_free() it. */
char *shown_text(const struct cli *cli, struct span text);
char *one_line(const struct cli *cli, const char *text); /* the same, and line ends become blanks everywhere */
char *url_part(struct span text);
void print_error_text(struct cli *cli, const char *indent, const char *text); /* "Error: …", further lines below it */
int report_error(struct cli *cli, const struct error *err);                   /* returns EXIT_TROUBLE */
void print_json(struct cli *cli, const json_t *value);                        /* one line */

/* ---- live.c: the status below the printed lines, on a terminal */
struct live {
    struct cli *cli;
    bool on;
    unsigned rows_shown;
    uint64_t since_us;
    struct map nodes; /* that run now; the values mean nothing */
    int64_t total, finished, failed, skipped;
};
void live_start(struct live *l, struct cli *cli, bool on);
void live_show(struct live *l);
void live_hide(struct live *l); /* before a line is printed */
void live_end(struct live *l);
uint64_t live_elapsed_s(const struct live *l);

/* ---- progress.c: a job under way */
enum progress_kind { PROGRESS_PUPPET, PROGRESS_TASK, PROGRESS_PLAN };
/* Follows the job to its end; the exit code. */
int run_to_end(struct cli *cli, enum progress_kind kind, const char *command, json_t *request);

#endif
