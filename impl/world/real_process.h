/* Inside of the real world: child processes. */
#ifndef DALANG_WORLD_REAL_PROCESS_H
#define DALANG_WORLD_REAL_PROCESS_H

#include "world/real_loop.h"

struct real_process {
    struct world_process process; /* first */
    struct list_link link;
    struct real_world *rw;
    int64_t pid; /* 0: did not start */
    struct {
        uv_poll_t poll;
        int fd; /* -1: none, or at its end */
    } pipes[2]; /* standard output and error */
    int handles;
    int wait_status;
    char *error_text;
    struct real_soon soon;
    void (*on_output)(void *ctx, int stream, struct span bytes);
    void (*on_exit)(void *ctx, const struct world_exit *e);
    void *ctx;
    bool ended, forgotten, gone;
};

/* Starts it. Returns the pid, or 0 and a text (mem_free() it). pipes: our non-blocking ends of output and error, or -1.
 */
int64_t real_spawn(const struct world_spawn *opts, int pipes[2], char **error_text);

#endif
