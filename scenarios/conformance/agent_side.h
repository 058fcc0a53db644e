/* The agent under test: we are the broker it connects to, the controller that asks, and the server of its files. */
#ifndef DALANG_CONFORMANCE_AGENT_SIDE_H
#define DALANG_CONFORMANCE_AGENT_SIDE_H

#include "scenarios/conformance/side.h"

#define FIXTURE_FRESH "fresh"     /* just started by us, with directories of its own: it may be stopped and killed */
#define FIXTURE_STOPPED "stopped" /* the case starts it */
#define FIXTURE_SMALL "small messages"

struct served {
    struct list_link link;
    char *path; /* without the query */
    char *bytes;
    int status; /* 200, or what is answered instead */
    size_t asked;
    char *query; /* of the last request */
};

struct agent_side {
    struct world_listener *listener;
    struct world_tls *tls; /* as broker and file server */
    uint16_t port, files_port;
    struct http_server *files;
    struct list served;
    struct link *agent; /* the newest connection, or NULL */
    size_t connections; /* ever */
    size_t *refused;    /* counts handshakes that failed, or NULL */
    struct program program;
    char *fixture;
    int version; /* that it runs with */
    bool stale;
    bool deaf;  /* connections are not associated by us */
    char *home; /* its directories are below */
};

struct agent_side *agent_side(struct stage *s);

/* ---- asking. ${tx} is a fresh transaction id in every case, ${sent} the id of the last request. */
void asks(struct stage *s, const char *type, const char *data); /* type: "blocking" or "non_blocking" */
void asks_as(struct stage *s, const char *sender, const char *type, const char *data);
/* The next message is rpc_<type> with this data, addressed to ${ctl}. */
void answers(struct stage *s, const char *type, const char *data);
void answers_error(struct stage *s, const char *description); /* rpc_error_message for ${tx} and ${sent} */
void answers_pcp_error(struct stage *s, const char *text);    /* error_message for ${sent} */
/* The provisional response for ${tx} and this message, in either order. */
void provisional_and(struct stage *s, const char *type, const char *data);
void provisional(struct stage *s);
/* Asks for the status of ${tx} until it is no longer running; then it matches. */
void status_becomes(struct stage *s, const char *results);
void agent_works(struct stage *s); /* a ping is answered, and nothing comes before that */

/* ---- files */
/* From now on the server has this; ${sha} is its digest. */
struct served *serves(struct stage *s, const char *path, const char *bytes);
void serves_status(struct stage *s, const char *path, int status);
struct served *served_file(struct stage *s, const char *path);

/* A request for task run: the script is served as /puppet/v3/file_content/tasks/conf/NAME and ${sha} set. */
struct task {
    const char *name; /* NULL: "conf::it" */
    const char *script;
    const char *filename;   /* NULL: "it.sh" */
    const char *input;      /* NULL: "{}" */
    const char *more;       /* further members of params, beginning with a comma; or NULL */
    const char *more_files; /* further items of files, beginning with a comma; or NULL */
    bool blocking, quiet;   /* quiet: notify_outcome false */
};
void asks_task(struct stage *s, const struct task *t);

/* ---- the program */
/* Our broker's port with another certificate; *refused (or NULL) counts handshakes that failed. */
struct world_listener *agent_listens(struct stage *s, struct world_tls *tls, size_t *refused);
void tested_agent_start(struct stage *s, const char *more_config); /* members, beginning with a comma; or NULL */
void tested_agent_stop(struct stage *s, int signal);
int agent_exit(struct stage *s);       /* waits for its end; exit status, or 128 + signal */
void agent_connected(struct stage *s); /* waits until there is a connection (and, v1, its association) */
const char *agent_path(struct stage *s, const char *format, ...) __attribute__((format(printf, 2, 3))); /* below home */
const char *file_text(struct stage *s, const char *path);                                               /* or NULL */

/* The external modules that cases ask for (agent_modules.c), into a directory each for programs and configuration. */
void write_modules(struct stage *s, const char *modules, const char *configuration);
void write_module(struct stage *s, const char *dir, const char *name, const char *text);
void needs_modules(struct stage *s); /* skips where the agent cannot have them */
char *schema_module(void);           /* agent_schema.c; mem_free() it */

extern const struct conform_case agent_message_cases[], agent_module_cases[], agent_task_cases[], agent_status_cases[],
    agent_schema_cases[], agent_connection_cases[], agent_start_cases[], agent_file_cases[];

#endif
