/* The only door between a core and the outside.
 *
 * Broker, orchestrator, agent and fakes are single-threaded state machines. Everything they may ask of
 * the outside — time, timers, randomness, connections, HTTPS requests, child processes, files, a little
 * heavy work — they ask through a `struct world`. There are two: the real one (world/real.h: libuv, OpenSSL,
 * libcurl, the file system) and the simulated one (simulator/world/: virtual time, network, disk, processes).
 * A world is a set of facets, so they can be mixed: the fleet has real connections but virtual processes
 * and files. Faults are injected below this interface, never by a core.
 *
 * Rules for every facet
 * - Callbacks never run inside the call that caused them (world_file_* excepted: it is synchronous and has none).
 * - A callback may call any function, also the one that closes or frees what called it.
 * - After the "last" callback (on_close, done) the object is gone; close/cancel calls that promise so run none.
 * - Pointers handed to a callback live until it returns, unless said otherwise. */
#ifndef DALANG_WORLD_H
#define DALANG_WORLD_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "base/timers.h"

struct world;

/* ------------------------------------------------------------------------------------------ time, randomness */

/* Monotonic, microseconds since some start. Never goes back. */
uint64_t world_now_us(struct world *w);
/* Wall clock, milliseconds since the epoch; may jump. */
int64_t world_wall_ms(struct world *w);
/* Fires once, not before delay_ms. Starting an active timer restarts it. `t` is the owner's, zeroed when new. */
void world_timer_start(struct world *w, struct timer *t, uint64_t delay_ms, void (*fire)(void *ctx), void *ctx);
void world_timer_stop(struct world *w, struct timer *t);
/* Runs once at the end of this loop turn, after everything that is ready now was handled: for group commits
 * and batched writes. Deferring an already deferred task does nothing. */
struct world_task {
    struct list_link link;
    void (*run)(void *ctx);
    void *ctx;
};
void world_defer(struct world *w, struct world_task *task, void (*run)(void *ctx), void *ctx);
void world_undefer(struct world *w, struct world_task *task);

void world_random(struct world *w, void *out, size_t len);    /* cryptographic in the real world */
uint64_t world_random_below(struct world *w, uint64_t bound); /* uniform in 0..bound-1; bound ≥ 1 */
void world_uuid(struct world *w, char out[37]);

/* ------------------------------------------------------------------------------------------ TLS */

/* What TLS verified about the peer. In the simulated world it comes from a table of certificates. */
/* A certificate extension of Puppet's (below 1.3.6.1.4.1.34380.1): a trusted fact such as pp_role. */
struct world_extension {
    const char *oid;   /* "1.3.6.1.4.1.34380.1.1.13" */
    const char *value; /* UTF-8; others, and those with a NUL byte, are left out */
};
enum { WORLD_EXTENSIONS_MAX = 64, WORLD_EXTENSION_VALUE_MAX = 4096 }; /* what is beyond is left out, too */

struct world_identity {
    const char *common_name;      /* NULL: no CN, or one holding a NUL byte (such a certificate identifies nobody) */
    const char *issuer;           /* RFC 2253 text */
    const char *serial;           /* upper-case hex */
    const char *const *alt_names; /* DNS names and IP addresses as text */
    size_t alt_name_count;
    int64_t not_before_ms, not_after_ms;
    char fingerprint[65];                     /* SHA-256 of the certificate, hex */
    const struct world_extension *extensions; /* in the certificate's order */
    size_t extension_count;
};

enum world_client_auth { WORLD_CLIENT_AUTH_NEED, WORLD_CLIENT_AUTH_WANT, WORLD_CLIENT_AUTH_NONE };

/* One TLS context (server or client or both). Paths are PEM files. */
struct world_tls_files {
    const char *cert; /* may be NULL for a client without certificate */
    const char *key;
    const char *chain;                  /* extra certificates to send, or NULL */
    const char *ca;                     /* who is trusted; never the system's store */
    const char *crl;                    /* or NULL */
    enum world_client_auth client_auth; /* as server */
    const char *ciphers;                /* OpenSSL cipher list for TLS 1.2, or NULL */
    const char *protocols;              /* comma list of TLSv1.2, TLSv1.3, or NULL for both; older ones are refused */
};
struct world_tls;
/* error kinds: "world/file" (missing, unreadable; names it), "world/tls" (not PEM, key does not match, bad CRL …) */
struct world_tls *world_tls_new(struct world *w, const struct world_tls_files *files, struct error *err);
void world_tls_free(struct world_tls *tls); /* connections made with it live on */
/* Reads the files anew; on error the old state stays. New connections see the new state. */
bool world_tls_reload(struct world_tls *tls, struct error *err);
/* The CN and alternative names of our own certificate; NULL without one. */
const struct world_identity *world_tls_self(const struct world_tls *tls);
/* Is this (once verified) identity still good now: not revoked by the current CRL, not expired? */
bool world_tls_still_good(struct world_tls *tls, const struct world_identity *id);

/* ------------------------------------------------------------------------------------------ connections */

enum world_close_reason {
    WORLD_CLOSE_EOF,         /* the peer ended the stream in order (TLS close_notify or FIN) */
    WORLD_CLOSE_RESET,       /* reset, broken pipe */
    WORLD_CLOSE_REFUSED,     /* nobody listens */
    WORLD_CLOSE_UNREACHABLE, /* no route, name not found */
    WORLD_CLOSE_TIMEOUT,     /* connect or handshake took too long */
    WORLD_CLOSE_TLS,         /* handshake or record failure; text says which check */
    WORLD_CLOSE_PROXY,       /* the proxy refused */
    WORLD_CLOSE_LOCAL,       /* we closed it with WORLD_FLUSH and everything went out (or its time was up) */
};

struct world_conn; /* a byte stream with a verified identity; owned by the world */

struct world_conn_handler {
    /* TCP and TLS are up, the peer is verified; may be NULL on the listening side's connections. */
    void (*on_open)(void *ctx, struct world_conn *c);
    /* Bytes arrived; all of them must be taken. */
    void (*on_data)(void *ctx, struct world_conn *c, struct span bytes);
    /* The queue of unsent bytes fell to zero after having been non-empty. May be NULL. */
    void (*on_drain)(void *ctx, struct world_conn *c);
    /* Last callback. Not called after world_conn_abort(). */
    void (*on_close)(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text);
};

void world_conn_set_handler(struct world_conn *c, const struct world_conn_handler *handler, void *ctx);
/* Writes the concatenation of the parts: at once while the pipe is free and it is the connection's first write of a
 * turn of the loop; later ones are copied and leave together, at the latest when the turn ends. What the system does
 * not take is queued. Without bound: ask world_conn_pending() and apply your own limit. Ignored when closing. */
void world_conn_write(struct world_conn *c, const struct span *parts, size_t count);
size_t world_conn_pending(const struct world_conn *c);    /* queued bytes that the system did not take */
void world_conn_pause(struct world_conn *c, bool paused); /* stop or resume on_data (back-pressure) */
/* Ends in order: sends what is queued, then closes; on_close(LOCAL) follows, at most flush_ms later. */
void world_conn_close(struct world_conn *c, uint64_t flush_ms);
/* Ends at once, without on_close. The peer sees a reset or an end without close_notify. */
void world_conn_abort(struct world_conn *c);
const struct world_identity *world_conn_peer(const struct world_conn *c); /* NULL: no client certificate */
const char *world_conn_remote(const struct world_conn *c);                /* "127.0.0.1:50412" */
const char *world_conn_local(const struct world_conn *c);
struct world *world_conn_world(const struct world_conn *c);

struct world_listen {
    const char *host;              /* address or name; NULL: 0.0.0.0 */
    uint16_t port;                 /* 0: any free one, see world_listener_port() */
    struct world_tls *tls;         /* NULL: plain */
    uint32_t handshakes_max;       /* in progress at once, the rest waits in the backlog; 0: 64 */
    uint64_t handshake_timeout_ms; /* 0: 10 000 */
    /* A peer that did not get through the handshake (same ctx as on_accept); for logs. May be NULL. */
    void (*on_refused)(void *ctx, const char *remote, enum world_close_reason why, const char *text);
};
struct world_listener;
/* on_accept gets each connection once it is open; it must set a handler or abort.
 * error kinds: "world/address-in-use", "world/address", "world/permission". */
struct world_listener *world_listen(struct world *w, const struct world_listen *opts,
                                    void (*on_accept)(void *ctx, struct world_conn *c), void *ctx, struct error *err);
uint16_t world_listener_port(const struct world_listener *l);
void world_listener_close(struct world_listener *l); /* accepted connections live on */

struct world_connect {
    const char *host;
    uint16_t port;
    struct world_tls *tls;   /* NULL: plain */
    const char *server_name; /* what the peer's certificate must name; NULL: host. Always verified. */
    const char *source;      /* local address to bind, or NULL */
    const void
        *credential;     /* real world: a struct real_credential used instead of the context's certificate; or NULL */
    const char *proxy;   /* "http://host:port" for CONNECT, or NULL */
    uint64_t timeout_ms; /* for all of name look-up, TCP, proxy and TLS; 0: 30 000 */
};
/* Never NULL; failures come as on_close. */
struct world_conn *world_connect(struct world *w, const struct world_connect *opts,
                                 const struct world_conn_handler *handler, void *ctx);

/* ------------------------------------------------------------------------------------------ HTTPS client */

struct world_header {
    const char *name, *value;
};
struct world_fetch_opts {
    const char *method; /* NULL: GET */
    const char *url;    /* http:// or https:// */
    const struct world_header *headers;
    size_t header_count;
    struct span body;
    struct world_tls *tls; /* for https */
    const char *proxy;
    uint64_t connect_timeout_ms; /* 0: 30 000 */
    uint64_t timeout_ms;         /* in all; 0: 120 000 */
    size_t body_max;             /* more is an error of kind "world/too-large"; 0: 64 MiB */
    /* When set, body bytes go here as they come (only of a 2xx answer) and response->body stays empty. False cancels.
     */
    bool (*on_body)(void *ctx, struct span bytes);
};
struct world_response {
    /* NULL: an answer came. Else kind "world/refused", "world/unreachable", "world/timeout", "world/tls",
     * "world/reset", "world/too-large", "world/protocol" and a message naming the peer. */
    const struct error *err;
    int status;
    const struct world_header *headers; /* names in lower case */
    size_t header_count;
    struct span body;
};
const char *world_response_header(const struct world_response *r, const char *lower_case_name); /* or NULL */
struct world_fetch;
/* Redirects are not followed. Connections are kept and reused. */
struct world_fetch *world_fetch(struct world *w, const struct world_fetch_opts *opts,
                                void (*done)(void *ctx, const struct world_response *r), void *ctx);
void world_fetch_cancel(struct world_fetch *f); /* done is not called */

/* ------------------------------------------------------------------------------------------ child processes */

struct world_exit {
    bool started; /* false: could not be started, see error_text */
    int status;   /* exit status when signal is 0 */
    int signal;   /* the signal that ended it, or 0 */
    const char *error_text;
};
struct world_spawn {
    const char *const *argv; /* argv[0] is the file to run (searched in PATH when it has no '/'); NULL-terminated */
    const char *const *env;  /* "NAME=value", the whole environment; NULL-terminated; NULL: ours */
    const char *cwd;         /* NULL: ours */
    struct span stdin_bytes; /* written to its standard input, which is then closed */
    const char *stdin_path;  /* or read from this file */
    const char *stdout_path; /* append to this file (created 0600) … */
    const char *stderr_path;
    /* … or, when the path is NULL, given here as it comes; NULL too: discarded. stream is 1 or 2. */
    void (*on_output)(void *ctx, int stream, struct span bytes);
    bool new_session;  /* setsid: a process group of its own that outlives us */
    bool dies_with_us; /* killed when the thread that started it ends, in whatever way */
    int umask;         /* -1: ours */
    uint32_t uid, gid; /* 0: unchanged */
};
struct world_process;
/* on_exit is the last callback, after all output. Only descriptors 0-2 are inherited. */
struct world_process *world_spawn(struct world *w, const struct world_spawn *opts,
                                  void (*on_exit)(void *ctx, const struct world_exit *e), void *ctx);
int64_t world_process_pid(const struct world_process *p); /* 0 when it did not start */
void world_process_forget(struct world_process *p);       /* it runs on; on_exit is not called */
/* For a pid, also of a process started by an earlier run of ours. group: signal its process group. */
bool world_pid_alive(struct world *w, int64_t pid);
bool world_pid_signal(struct world *w, int64_t pid, int signal, bool group);
/* An opaque text that changes when the pid is reused (start time of the process), or "" when it is not alive. */
void world_pid_birth(struct world *w, int64_t pid, char out[32]);

/* ------------------------------------------------------------------------------------------ files */

/* All return false after setting err: kind "world/not-found", "world/exists", "world/permission", "world/full",
 * "world/io", "world/not-directory", "world/not-empty", "world/too-large"; msg names the path. */

struct world_stat {
    bool is_dir, is_file, is_link;
    uint64_t size;
    int mode; /* permission bits */
    int64_t modified_ms;
};

bool world_file_stat(struct world *w, const char *path, struct world_stat *out, struct error *err); /* follows links */
bool world_file_lstat(struct world *w, const char *path, struct world_stat *out, struct error *err);
bool world_file_read(struct world *w, const char *path, size_t max, struct buf *out, struct error *err); /* appends */
/* Part of a file: up to len bytes from offset, appended. */
bool world_file_read_at(struct world *w, const char *path, uint64_t offset, size_t len, struct buf *out,
                        struct error *err);
enum world_write {
    WORLD_WRITE_PLAIN,  /* create or truncate */
    WORLD_WRITE_APPEND, /* create or append */
    WORLD_WRITE_ATOMIC, /* temporary file, fsync, rename over path, fsync of the directory */
    WORLD_WRITE_NEW,    /* fails with "world/exists"; never follows a link */
};
bool world_file_write(struct world *w, const char *path, struct span bytes, int mode, enum world_write how,
                      struct error *err);
bool world_file_sync(struct world *w, const char *path, struct error *err); /* fsync of a file or directory */
bool world_file_mkdir(struct world *w, const char *path, int mode, bool parents, struct error *err); /* exists: fine */
bool world_file_rename(struct world *w, const char *from, const char *to, struct error *err);
bool world_file_remove(struct world *w, const char *path, bool recursive,
                       struct error *err); /* absent: "world/not-found" */
bool world_file_chmod(struct world *w, const char *path, int mode, struct error *err);
bool world_file_symlink(struct world *w, const char *target, const char *path, struct error *err); /* path -> target */
/* Where a symbolic link leads, as it is written there; mem_free() it. NULL after setting err: "world/io" for what is no
 * link. */
char *world_file_readlink(struct world *w, const char *path, struct error *err);
/* Names in a directory, sorted by bytes, without "." and "..". The list is one allocation-per-name array; free with
 * world_names_free(). */
bool world_file_list(struct world *w, const char *path, char ***names, size_t *count, struct error *err);
void world_names_free(char **names, size_t count);

/* A file being written piece by piece. */
struct world_file;
struct world_file *world_file_open(struct world *w, const char *path, int mode, enum world_write how,
                                   struct error *err);
bool world_file_put(struct world_file *f, struct span bytes, struct error *err);
/* Closes (for ATOMIC: syncs and renames when `keep`, else removes). NULL is fine. */
bool world_file_close(struct world_file *f, bool keep, struct error *err);

/* Tells when a file or directory changed (content, rename over it, creation); coalesced. */
struct world_watch;
struct world_watch *world_watch(struct world *w, const char *path, void (*on_change)(void *ctx), void *ctx);
void world_watch_close(struct world_watch *watch);

/* Name of the SQLite VFS that databases of this world must be opened with; NULL: SQLite's default one. */
const char *world_sqlite_vfs(struct world *w);

/* ------------------------------------------------------------------------------------------ heavy work */

/* Runs fn(arg) off the loop (password hashing, digests of large files, transactions), then done(arg) on it. fn must
 * touch nothing but what arg leads to and nobody else uses meanwhile. In the simulated world both run, one after the
 * other, cost_us of virtual time later. */
void world_work(struct world *w, void (*fn)(void *arg), void (*done)(void *arg), void *arg, uint32_t cost_us);
/* For an owner that cannot wait: when this returns, fn(arg) has run (not in a simulated crash), and done(arg) is not
 * called. False: no such work is under way. */
bool world_work_join(struct world *w, void *arg);

/* ------------------------------------------------------------------------------------------ the facets (for worlds) */

struct world_time_ops {
    uint64_t (*now_us)(void *impl);
    int64_t (*wall_ms)(void *impl);
    void (*timer_start)(void *impl, struct timer *t, uint64_t delay_ms);
    void (*timer_stop)(void *impl, struct timer *t);
    void (*defer)(void *impl, struct world_task *task);
    void (*undefer)(void *impl, struct world_task *task);
    void (*random)(void *impl, void *out, size_t len);
    void (*work)(void *impl, void (*fn)(void *), void (*done)(void *), void *arg, uint32_t cost_us);
    bool (*work_join)(void *impl, void *arg);
};

struct world_net_ops {
    struct world_tls *(*tls_new)(void *impl, const struct world_tls_files *files, struct error *err);
    struct world_listener *(*listen)(void *impl, struct world *w, const struct world_listen *opts,
                                     void (*on_accept)(void *ctx, struct world_conn *c), void *ctx, struct error *err);
    struct world_conn *(*connect)(void *impl, struct world *w, const struct world_connect *opts,
                                  const struct world_conn_handler *handler, void *ctx);
    struct world_fetch *(*fetch)(void *impl, struct world *w, const struct world_fetch_opts *opts,
                                 void (*done)(void *ctx, const struct world_response *r), void *ctx);
};

/* First member of every implementation's object of that name. */
struct world_tls_ops {
    void (*free)(struct world_tls *tls);
    bool (*reload)(struct world_tls *tls, struct error *err);
    const struct world_identity *(*self)(const struct world_tls *tls);
    bool (*still_good)(struct world_tls *tls, const struct world_identity *id);
};
struct world_tls {
    const struct world_tls_ops *ops;
};
struct world_listener_ops {
    uint16_t (*port)(const struct world_listener *l);
    void (*close)(struct world_listener *l);
};
struct world_listener {
    const struct world_listener_ops *ops;
};
struct world_conn_ops {
    void (*write)(struct world_conn *c, const struct span *parts, size_t count);
    size_t (*pending)(const struct world_conn *c);
    void (*pause)(struct world_conn *c, bool paused);
    void (*close)(struct world_conn *c, uint64_t flush_ms);
    void (*abort)(struct world_conn *c);
    const struct world_identity *(*peer)(const struct world_conn *c);
    const char *(*remote)(const struct world_conn *c);
    const char *(*local)(const struct world_conn *c);
};
struct world_conn {
    const struct world_conn_ops *ops;
    const struct world_conn_handler *handler;
    void *ctx;
    struct world *world;
};
struct world_fetch_ops {
    void (*cancel)(struct world_fetch *f);
};
struct world_fetch {
    const struct world_fetch_ops *ops;
};

struct world_process_ops {
    struct world_process *(*spawn)(void *impl, const struct world_spawn *opts,
                                   void (*on_exit)(void *ctx, const struct world_exit *e), void *ctx);
    int64_t (*pid)(const struct world_process *p);
    void (*forget)(struct world_process *p);
    bool (*alive)(void *impl, int64_t pid);
    bool (*signal)(void *impl, int64_t pid, int signal, bool group);
    void (*birth)(void *impl, int64_t pid, char out[32]);
};
struct world_process {
    const struct world_process_ops *ops;
};

struct world_file_ops {
    bool (*stat)(void *impl, const char *path, bool follow, struct world_stat *out, struct error *err);
    bool (*read_at)(void *impl, const char *path, uint64_t offset, size_t len, struct buf *out, struct error *err);
    bool (*sync)(void *impl, const char *path, struct error *err);
    bool (*mkdir)(void *impl, const char *path, int mode, struct error *err); /* one level; "world/exists" */
    bool (*rename)(void *impl, const char *from, const char *to, struct error *err);
    bool (*remove)(void *impl, const char *path, struct error *err); /* a file, link or empty directory */
    bool (*chmod)(void *impl, const char *path, int mode, struct error *err);
    bool (*list)(void *impl, const char *path, char ***names, size_t *count, struct error *err);
    struct world_file *(*open)(void *impl, const char *path, int mode, enum world_write how, struct error *err);
    bool (*put)(struct world_file *f, struct span bytes, struct error *err);
    bool (*close)(struct world_file *f, bool keep, struct error *err);
    struct world_watch *(*watch)(void *impl, const char *path, void (*on_change)(void *ctx), void *ctx);
    void (*watch_close)(struct world_watch *watch);
    const char *(*sqlite_vfs)(void *impl);
    bool (*symlink)(void *impl, const char *target, const char *path, struct error *err); /* NULL: no links here */
    char *(*readlink)(void *impl, const char *path, struct error *err);                   /* NULL likewise */
};
struct world_file {
    const struct world_file_ops *ops;
};
struct world_watch {
    const struct world_file_ops *ops;
};

struct world {
    const struct world_time_ops *time;
    void *time_impl;
    const struct world_net_ops *net;
    void *net_impl;
    const struct world_process_ops *process;
    void *process_impl;
    const struct world_file_ops *file;
    void *file_impl;
};

#endif
