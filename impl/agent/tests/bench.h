/* An agent in the simulated world with a broker and a file server of ours, driven step by step. */
#ifndef DALANG_AGENT_TESTS_BENCH_H
#define DALANG_AGENT_TESTS_BENCH_H

#include "agent/agent.h"
#include "agent/modules.h"
#include "base/json.h"
#include "base/map.h"
#include "net/http_server.h"
#include "net/ws_peer.h"
#include "simulator/world/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
/* cmocka wants the four headers above first */
#include <cmocka.h>

#define CONTROLLER "pcp://controller.example.com/controller"
#define AGENT_NAME "0001-agent.example.com"
#define AGENT_URI "pcp://" AGENT_NAME "/agent"
#define SPOOL "/spool"
#define CACHE "/tasks-cache"
#define NON_BLOCKING true

/* What the agent sent. */
struct message {
    char *type; /* behind "http://puppetlabs.com/" */
    char *target, *sender, *in_reply_to;
    char *data;  /* JSON text, "" when there is none */
    char *debug; /* content of the first debug chunk, or "" */
    struct buf raw;
};

/* A file of the file server. */
struct served {
    struct buf content;
    int status;        /* 200 … */
    uint64_t delay_ms; /* before the answer */
    unsigned asked;    /* so often */
};

struct bench {
    struct sim *sim;
    struct world *agent_host, *broker_host, *primary_host;
    struct world *agent_world; /* what the agent sees of its host: the host, or a guard before it */
    struct agent_config config;
    struct agent_self self;
    struct agent_hooks hooks;
    struct logger log;
    struct agent *agent;
    struct world_tls *agent_tls, *broker_tls, *primary_tls;
    struct http_server *broker, *primary;
    struct ws_peer *peer; /* the broker's side; NULL: nobody connected */
    struct message *got;
    size_t got_count, got_cap, got_next;
    struct map files; /* path -> struct served */
    unsigned connections, closes, pings, refusals, requests;
    uint16_t close_code;
    char *close_reason;
    char *path; /* of the last upgrade */
    char *user_agent;
    bool silent;                                     /* the broker does not associate clients */
    bool deny;                                       /* … refuses to */
    bool no_upgrade;                                 /* … answers upgrades with 503 */
    bool no_pong;                                    /* the broker's reading is paused once connected */
    unsigned runs;                                   /* of virtual programs, by dalang-exec */
    unsigned ends;                                   /* of them that stored their outcome */
    bool (*sync)(struct bench *b, const char *path); /* how dalang-exec syncs; NULL: as it should */
    struct map commands;                             /* text of a shell's -c -> char *: the lines that stand for it */
    struct buf logged;
    struct list programs; /* virtual.c's */
};

struct bench *bench_new(uint64_t seed, enum pcp_version version); /* agent not started; change config before that */
void bench_start(struct bench *b);                       /* makes and starts the agent, waits until it is connected */
struct bench *bench_connected(enum pcp_version version); /* both */
void bench_agent_start(struct bench *b);                 /* does not wait */
void bench_agent_free(struct bench *b);
void bench_free(struct bench *b); /* fails when anything is left behind */
/* kill -9, or a power failure and the machine's return; the agent is started again. */
void bench_crash(struct bench *b, enum sim_crash_kind kind);

void bench_run(struct bench *b, uint64_t us);
bool bench_wait(struct bench *b, bool (*done)(struct bench *b), uint64_t within_us);
bool bench_is_connected(struct bench *b);

/* Sends a request; mem_free() the id of its message. params: JSON text or NULL. notify: non-blocking ones only. */
char *bench_request(struct bench *b, bool non_blocking, const char *transaction_id, const char *module,
                    const char *action, const char *params, bool notify);
void bench_send(struct bench *b, const char *type, const char *data, const char *debug, const char *sender);
void bench_send_raw(struct bench *b, struct span frame);
/* The next message, waiting up to ten minutes for it; the test fails without one. Lives until the bench is freed. */
const struct message *bench_next(struct bench *b);
const struct message *bench_expect(struct bench *b, const char *type); /* of this type */
void bench_expect_data(struct bench *b, const char *type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void bench_expect_nothing(struct bench *b, uint64_t us);
/* Results of a status query as JSON text; mem_free() it. */
char *bench_status(struct bench *b, const char *transaction_id);

/* A file on the file server; returns its digest (static storage per call site is not needed: mem_free() it). */
char *bench_serve(struct bench *b, const char *path, const char *content);
struct served *bench_served(struct bench *b, const char *path);
/* Parameters of a task with one file of that path on the server; mem_free() it. input: JSON text. */
char *bench_task(struct bench *b, const char *path, const char *sha256, const char *input);

/* A file of the agent's host, NULL when absent; mem_free() it. */
char *bench_read(struct bench *b, const char *path);
bool bench_exists(struct bench *b, const char *path);
void bench_write(struct bench *b, const char *path, const char *text);
bool bench_logged(const struct bench *b, const char *text);

/* virtual.c: dalang-exec played in the simulated world. What it runs are files (or a shell's -c text) whose lines say
 * what happens:
 *   #!sim                 first line; without it the "file" is no program
 *   takes MS · exit N · signal N · out TEXT · raw HEX · err TEXT · nolf (no newline behind the output)
 *   stdin (prints its input) · env NAME (prints NAME=value or nothing) · args (prints its arguments) · fill BYTES
 *   metadata TEXT (printed when called with the argument "metadata"; metaerr TEXT: on stderr then; nothing else is) */
void virtual_install(struct bench *b);
void virtual_end(struct bench *b);

#endif
