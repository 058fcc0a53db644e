/* dalang-agent as a process, on real sockets and files, between a broker and file server in the test's own process. */
#ifndef DALANG_AGENT_TESTS_REAL_H
#define DALANG_AGENT_TESTS_REAL_H

#include "base/json.h"
#include "base/map.h"
#include "net/http_server.h"
#include "net/ws_peer.h"
#include "pcp/message.h"
#include "world/real.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
/* cmocka wants the four headers above first */
#include <cmocka.h>

struct real_message {
    char *type, *data;
};

struct real {
    struct world *world;
    char dir[64]; /* of everything; removed at the end */
    struct world_tls *tls;
    struct http_server *server; /* broker and file server in one */
    uint16_t port;
    struct ws_peer *peer;
    unsigned connections;
    struct real_message *got;
    size_t got_count, got_cap, got_next;
    struct map files; /* path -> content */
    struct world_process *agent;
    bool ended;
    struct world_exit exit;
    struct buf output; /* the agent's log */
};

struct real *real_new(void);
void real_free(struct real *r); /* kills an agent that still runs */
/* Starts it with the usual flags and `more` (NULL-terminated, may be NULL) and waits until it is connected. */
void real_agent_start(struct real *r, const char *const *more);
/* The same without waiting. plain: only `more`, no usual flags. */
void real_agent_spawn(struct real *r, bool plain, const char *const *more);
/* Waits for its end; its exit status, or 128 + signal. */
int real_agent_wait(struct real *r);
void real_agent_signal(struct real *r, int signal);

bool real_wait(struct real *r, bool (*done)(struct real *r), unsigned within_s);
void real_pause(struct real *r, unsigned ms);
void real_serve(struct real *r, const char *path, struct span content);
/* type: "rpc_blocking_request" … */
void real_send(struct real *r, const char *type, const char *data);
void real_request(struct real *r, bool non_blocking, const char *transaction_id, const char *module, const char *action,
                  const char *params);
const struct real_message *real_next(struct real *r);
const struct real_message *real_expect(struct real *r, const char *type);
/* Runs a task whose one file has this content and returns its results, or the error's description, as JSON text;
 * mem_free() it. */
char *real_task(struct real *r, bool non_blocking, const char *script, const char *input, const char *more);
char *real_path(const struct real *r, const char *name); /* below dir; mem_free() it */
char *real_read(const struct real *r, const char *name); /* NULL when absent; mem_free() it */
void real_write(const struct real *r, const char *name, const char *text);
/* The number behind "name" in /proc/PID/status of the running agent: "VmRSS:" in KiB, "Threads:". */
unsigned long real_proc_number(const struct real *r, const char *name);
bool real_exists(const struct real *r, const char *name);
void real_command(const char *format, ...) __attribute__((format(printf, 1, 2))); /* through a shell; must succeed */

#endif
