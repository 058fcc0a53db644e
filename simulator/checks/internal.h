/* What the checkers share. One file each; the observer tells them what it sees. */
#ifndef DALANG_CHECKS_INTERNAL_H
#define DALANG_CHECKS_INTERNAL_H

#include "base/map.h"
#include "pcp/message.h"
#include "simulator/checks/checks.h"
#include "wire/http1.h"
#include "wire/ws_reader.h"

struct checks {
    struct sim *sim;
    struct checks_opts opts;
    struct sim_watcher watcher;
    struct violation *violations;
    size_t violation_count, violation_cap;
    struct checks_seen seen;

    struct map hosts;       /* name → itself */
    struct map brokers;     /* "host:port" */
    struct map connections; /* id → struct watched */
    struct map recent;      /* messages of the last moment, see messages.c */
    struct map messages;    /* id → struct tracked_message */
    struct map lost_at;     /* URI → uint64_t: when a connection of it ended last */
    struct map deliveries;  /* "id URI" of multicast messages */
    struct map runs;        /* "host transaction" */
    struct map jobs;        /* id → struct tracked_job */
    struct tracked_job **job_order;
    size_t job_count, job_cap;
    uint64_t responses;     /* of the API, in the order they were written */
    struct map events;      /* id → struct tracked_event */
    struct map event_texts; /* hash of how it reads → struct tracked_event */
    struct list secrets;
    void (*on_message)(void *ctx, const struct checks_message *m);
    void *message_ctx;
    struct sim_census *level; /* per host, at the start */
    size_t level_count;
};

/* Tells who wants to see messages; nobody: nothing is formatted. */
void tell_message(struct checks *c, const char *from, const char *to, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void tell_pcp(struct checks *c, const char *from, const char *to, const struct pcp_message *m);
void violate(struct checks *c, int invariant, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- observer.c: connections, read as far as HTTP requests and responses, and WebSocket messages */

enum watched_kind { WATCHED_API, WATCHED_BROKER };
struct watched {
    uint64_t id;
    enum watched_kind kind;
    const char *client, *server; /* hosts: see known_host(); the same one is the same pointer */
    char *common_name;           /* of the client's certificate, as the server verified it; NULL: none */
    char *uri;                   /* pcp:// of the client, once it has upgraded */
    enum pcp_version version;
    bool accepted, client_closed, server_closed;
    bool server_left;                             /* it has sent its close frame: it may say nothing more */
    struct stream *streams[3];                    /* see observer.c */
    struct api_request *requests, *requests_last; /* in flight, oldest first */
};

struct api_request {
    struct api_request *next;
    char *method, *target, *token;
    struct buf body;
    uint64_t answered; /* when the server wrote the response: a number that rises; 0: not yet */
};

/* ---- messages.c: invariants 4 and 8 */
void messages_received(struct checks *c, struct watched *from, struct span frame); /* by the broker */
void messages_sent(struct checks *c, struct watched *to, struct span frame);       /* by the broker */
void messages_delivered(struct checks *c, struct watched *to, struct span frame);  /* at the client */
void messages_connection_lost(struct checks *c, const struct watched *w);
void messages_finish(struct checks *c);
void messages_free(struct checks *c);

/* ---- runs.c: invariant 2 */
void runs_spawned(struct checks *c, const char *host, const char *arguments);

/* ---- page.c: {"items": […], …} in parts */
struct page {
    struct span *items; /* as they were written, in what was read */
    size_t count, cap;
    json_t *rest; /* all of it but the items; NULL: no JSON */
};
void page_read(struct page *p, struct span text);
void page_free(struct page *p);

/* ---- jobs.c: invariants 1, 3, 7, 9 */
struct tracked_node {
    char *name;
    int state;      /* index of node state, see jobs.c; -1: not seen */
    uint64_t as_of; /* number of the response that said so */
    int finals;     /* final events */
    bool ran;       /* node_running seen */
    bool asked;     /* named in the request */
};
struct node_text {
    struct tracked_node *node;
    int state;
};
struct tracked_job {
    char *id;
    uint64_t *event_ids; /* known ones, rising */
    size_t event_count, event_cap;
    char *command;
    bool acknowledged;
    int state; /* last seen; -1: never */
    uint64_t as_of;
    uint32_t concurrency; /* 0: none */
    char *type;
    struct map nodes;      /* name → struct tracked_node */
    struct map node_texts; /* hash of how it reads → struct node_text */
    struct tracked_node **node_order;
    size_t node_count, node_cap;
    bool nodes_read;    /* the whole list was seen once */
    bool over;          /* job_finished or job_aborted seen */
    uint64_t announced; /* every event below this id has been shown */
};
struct tracked_job *job_of(struct checks *c, struct span id); /* made when new */
struct tracked_node *node_of(struct tracked_job *job, const char *name);
/* A node event, in the order of their ids. */
void jobs_node_event(struct checks *c, struct tracked_job *job, const char *type, const char *node);
void jobs_response(struct checks *c, const struct watched *w, const struct api_request *r, int status,
                   struct span body);
void jobs_finish(struct checks *c);
void jobs_free(struct checks *c);

/* ---- events.c: invariants 5, 6, and 1, 7 as far as events tell */
struct tracked_event {
    uint64_t id;
    struct tracked_job *job;
    uint64_t hash;
    char type[24];
    char *node;
};
void events_page(struct checks *c, struct tracked_job *job, uint64_t start, const struct page *page);
void events_finish(struct checks *c);
void events_free(struct checks *c);

/* ---- secrets.c: invariant 10 */
void secrets_scan(struct checks *c, const char *where, const char *host, struct span bytes);
void secrets_free(struct checks *c);

/* ---- observer.c */
void observe(void *ctx, const struct sim_event *e);
void observer_free(struct checks *c);

#endif
