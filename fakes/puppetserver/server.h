/* Shared by the fake Puppet Server's files. */
#ifndef DALANG_FAKES_PUPPETSERVER_SERVER_H
#define DALANG_FAKES_PUPPETSERVER_SERVER_H

#include "base/list.h"
#include "base/map.h"
#include "fakes/common/body.h"
#include "fakes/puppetserver/puppetserver.h"

enum {
    PS_FILE_MAX = 64 * 1024 * 1024, /* bytes of one served file */
    PS_METADATA_MAX = 1024 * 1024,  /* bytes of task metadata */
    PS_DEPTH_MAX = 32,              /* directories below a module that are walked */
    PS_FILES_MAX = 10000,           /* files that one task may list */
    PS_PARAMS_MAX = 4,
    PS_REPORTS_MAX = 1000,
};

struct fake_puppetserver {
    struct fake base;
    json_t *config;  /* the state as loaded, checked; with all defaults filled in */
    json_t *reports; /* array, newest last */
    void (*submit)(void *ctx, const char *command, int version, const char *certname, const json_t *payload);
    void *submit_ctx;
    json_t *(*query)(void *ctx, const json_t *ast, struct error *err);
    void *query_ctx;
    struct list versions; /* requests that wait for a config_version */
    size_t versions_running;
    struct map bucket; /* SHA-256 in hex → content (bucket.c) */
    size_t bucket_bytes;
    json_t *certificates, *certificate_requests; /* name → PEM (authority.c) */
    char *(*sign)(void *ctx, const char *certname, EVP_PKEY *key, struct error *err);
    void *sign_ctx;
};

/* A request after the checks that come before routing. */
struct ps_request {
    struct fake_puppetserver *ps;
    struct http_exchange *ex;
    const char *method;
    const char *path;            /* decoded */
    const char *cn;              /* of the client's certificate; NULL: none */
    char *params[PS_PARAMS_MAX]; /* the pattern's ":x" and "*x", in order */
    void (*handle)(struct ps_request *r);
    const char *version, *version_error; /* what config_version came to; both NULL: not asked yet */
};

struct ps_route {
    const char *method;
    const char *pattern;
    int rule;                             /* enum ps_rule */
    int last_major;                       /* gone after this major version of the server; 0: still there */
    void (*handle)(struct ps_request *r); /* NULL: 501 */
};

/* Who may call (puppetserver.md §21). */
enum ps_rule {
    PS_ANYONE,       /* also without certificate */
    PS_CERTIFICATE,  /* any certificate of the CA */
    PS_ORCHESTRATOR, /* the names in auth.orchestrator */
    PS_NODE,         /* the certificate that the path's first parameter names */
    PS_NODE_OR_ORCHESTRATOR,
    PS_NOBODY,
};

struct fake_puppetserver *ps_of(struct fake *f);
extern const struct ps_route ps_routes[];

/* dispatch.c */
void ps_dispatch(struct fake *f, struct http_exchange *ex, const char *allow);
int ps_major(const struct fake_puppetserver *ps); /* of the version played */
bool ps_allowed(const struct ps_request *r, enum ps_rule rule);

/* respond.c */
void ps_text(struct ps_request *r, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
void ps_plain(struct ps_request *r, int status, const char *type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void ps_json(struct ps_request *r, int status, json_t *body); /* steals body */
void ps_json_as(struct ps_request *r, int status, const char *type, json_t *body);
/* {"message": "PREFIX: …", "issue_kind": kind}, as the Ruby side answers; the prefix is that of the status. */
void ps_issue(struct ps_request *r, int status, const char *issue_kind, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void ps_bytes(struct ps_request *r, struct span bytes); /* 200 application/octet-stream */
void ps_html_not_found(struct http_exchange *ex, const char *raw_path);

/* environment.c */
struct ps_environment {
    char *name, *dir, *manifest; /* dir and manifest are paths; of an environment without directory dir is NULL */
    char **modulepath;
    size_t modulepath_count;
    char *config_version;
    json_t *timeout;
    const char *code_id; /* borrowed from the configuration; NULL: not versioned */
};
/* False: no such environment. */
bool ps_environment_open(struct fake_puppetserver *ps, const char *name, struct ps_environment *env);
void ps_environment_close(struct ps_environment *env);
char **ps_environment_names(struct fake_puppetserver *ps, size_t *count); /* sorted; world_names_free() */
bool ps_environment_name_legal(const char *name);
/* The environment that the query names, as the Clojure side checks it (puppetserver.md §3); false after answering. */
bool ps_environment_of(struct ps_request *r, struct ps_environment *env);
/* The same for file_content and its like, with their texts. `what`: "file_content". */
bool ps_environment_of_file(struct ps_request *r, const char *what, struct ps_environment *env);

/* version.c: is the version of the environment's code known, or does it take no program to know it? False: the
 * request's handler will be called again when it is. To be asked before anything has been done. */
bool ps_version_known(struct ps_request *r, const struct ps_environment *env);
void ps_versions_drop(struct fake_puppetserver *ps);

/* modules.c */
/* The directory of a module (the first in the module path), mem_free() it; NULL: none. */
char *ps_module_dir(struct world *w, const struct ps_environment *env, const char *name);
char **ps_module_names(struct world *w, const struct ps_environment *env, size_t *count); /* sorted, each once */
/* Both leave out a module whose metadata.json lacks what a published module has: Puppet does not load it. */
bool ps_module_name_legal(struct span name);
char *ps_join(const char *dir, const char *name); /* "dir/name", mem_free() it */
bool ps_is_dir(struct world *w, const char *path);
bool ps_is_file(struct world *w, const char *path);
/* No empty, "." or ".." segment, no NUL: may be appended to a directory. */
bool ps_path_confined(const char *relative);
/* Does a path below a module, links followed, lead to code of the environment? What does not is never read for others
 * (confine.c). */
bool ps_path_in_code(struct world *w, const struct ps_environment *env, const char *path);
bool ps_is_code(struct world *w, const struct ps_environment *env, const char *path); /* and is it a file? */

/* tasks.c */
struct ps_task_file {
    char *filename; /* as in "files" */
    char *path;     /* on disk */
    char *module, *mount, *rest;
};
struct ps_task {
    char *name; /* "mod::task" */
    json_t *metadata;
    struct ps_task_file *files;
    size_t file_count, file_cap;
};
/* What reading a task came to. */
enum ps_task_result { PS_TASK_FOUND, PS_TASK_ABSENT, PS_TASK_BROKEN, PS_TASK_CRASH };
/* Short names of the tasks in a module, "init" for its own; sorted, each once; world_names_free(). */
char **ps_task_names(struct world *w, const struct ps_environment *env, const char *module_dir, size_t *count);
/* BROKEN: err is what the server answers as JSON; CRASH: err.msg is the text of an internal error. */
enum ps_task_result ps_task_read(struct world *w, const struct ps_environment *env, const char *module,
                                 const char *module_dir, const char *task, struct ps_task *out, struct error *err);
void ps_task_free(struct ps_task *t);
bool ps_file_digest(struct world *w, const char *path, char hex[65], uint64_t *size, struct error *err);

void ps_bucket_clear(struct fake_puppetserver *ps); /* bucket.c */

/* Handlers, one file per family. */
void ps_tasks_list(struct ps_request *r);
void ps_task_detail(struct ps_request *r);
void ps_file_content(struct ps_request *r);
void ps_file_metadata(struct ps_request *r);
void ps_file_metadatas(struct ps_request *r);
void ps_static_file_content(struct ps_request *r);
void ps_plans_list(struct ps_request *r);
void ps_plan_detail(struct ps_request *r);
void ps_environment_classes(struct ps_request *r);
void ps_environment_catalog(struct ps_request *r);
void ps_environments_list(struct ps_request *r);
void ps_environment_modules(struct ps_request *r);
void ps_environment_transports(struct ps_request *r);
void ps_environment_cache(struct ps_request *r);
void ps_catalog(struct ps_request *r);
void ps_catalog_v4(struct ps_request *r);
void ps_compile_v3(struct ps_request *r);
void ps_node(struct ps_request *r);
void ps_facts_put(struct ps_request *r);
void ps_report_put(struct ps_request *r);
void ps_status_services(struct ps_request *r);
void ps_status_service(struct ps_request *r);
void ps_status_simple(struct ps_request *r);
void ps_ca_certificate(struct ps_request *r);
void ps_ca_crl(struct ps_request *r);
void ps_bucket_get(struct ps_request *r);
void ps_bucket_head(struct ps_request *r);
void ps_bucket_put(struct ps_request *r);
void ps_ca_expirations(struct ps_request *r);
void ps_ca_request_put(struct ps_request *r);
void ps_ca_request(struct ps_request *r);

#endif
