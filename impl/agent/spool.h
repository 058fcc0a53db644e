/* The spool: one directory per transaction of a non-blocking request (agent.md §12).
 *
 *     <spool>/<transaction id>/   0750
 *       metadata                  the record: JSON and a newline, replaced atomically and synced
 *       pid, stdout, stderr, exitcode   written by dalang-exec or an external module; exitcode appears last
 *       pid_birth                 start time of the process in `pid`, against reuse of the number
 *       unsent                    the final response could not be sent yet
 *       temp_task_*               files of a task that needs several */
#ifndef DALANG_AGENT_SPOOL_H
#define DALANG_AGENT_SPOOL_H

#include "base/clock.h"
#include "base/json.h"
#include "pxp/status.h"
#include "world/world.h"

enum {
    SPOOL_DIR_MODE = 0750,
    SPOOL_FILE_MODE = 0640,
    SPOOL_NAME_MAX = 255,
    SPOOL_RECORD_MAX = 1 << 30, /* bytes of a record that is still read */
};

/* May this transaction id be a directory's name? Not empty, ".", "..", too long, nor holding "/" or NUL. */
bool spool_id_valid(struct span transaction_id);

/* <spool>/<transaction id>[/<file>], mem_free() it. */
char *spool_path(const char *spool, struct span transaction_id, const char *file);
/* Does the file system say that there is no such file (NULL: no directory)? One that cannot be read proves nothing. */
bool spool_lacks(struct world *w, const char *spool, struct span transaction_id, const char *file);
/* Was the transaction begun? A directory without a record is what an agent leaves that dies before it acknowledges a
 * request: nothing runs in it, and the request may come again. Both are true also when the disk cannot tell: a program
 * must not run twice because a record could not be read. */
bool spool_exists(struct world *w, const char *spool, struct span transaction_id);
bool spool_has_directory(struct world *w, const char *spool, struct span transaction_id);

/* The text of a point in time in records: microseconds, none when they are zero. */
void spool_time(int64_t ms, char out[TIME_TEXT_LEN]);

/* A new record in its own directory, durable when this returns. error kind and text of the failing step. */
bool spool_create(struct world *w, const char *spool, struct span transaction_id, const json_t *record,
                  struct error *err);
bool spool_write_record(struct world *w, const char *spool, struct span transaction_id, const json_t *record,
                        struct error *err);
/* New reference to a record that satisfies the schema. On failure err->msg is the text a status query shows. */
json_t *spool_read_record(struct world *w, const char *spool, struct span transaction_id, struct error *err);
enum pxp_state spool_record_state(const json_t *record);
/* Adds what a finished record holds: status, end and the outcome. error NULL: valid results. */
void spool_record_finish(json_t *record, enum pxp_state state, int64_t now_ms, json_t *results, const char *error);

enum spool_process { SPOOL_NO_PID, SPOOL_ALIVE, SPOOL_DEAD };
enum spool_process spool_process_state(struct world *w, const char *spool, struct span transaction_id);
/* Makes sure that a task that has not started never will: creates `pid` in its place. False: it has started. */
bool spool_give_up(struct world *w, const char *spool, struct span transaction_id);
/* Notes when the process in `pid` was started. */
void spool_note_birth(struct world *w, const char *spool, struct span transaction_id, int64_t pid);

struct spool_output {
    int64_t exitcode;
    struct buf out, err;
};
bool spool_has_exitcode(struct world *w, const char *spool, struct span transaction_id);
/* max: bytes of each stream. False: err->msg says which file could not be read; *out needs no free. */
bool spool_read_output(struct world *w, const char *spool, struct span transaction_id, size_t max,
                       struct spool_output *out, struct error *err);
void spool_output_free(struct spool_output *out);

#endif
