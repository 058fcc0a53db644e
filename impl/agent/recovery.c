/* What must survive: final responses that found no connection, and tasks of an earlier run of the agent that still go
 * on or ended while it was away (agent.md §13; the reference loses both, `reference` in the configuration does too).
 *
 * A response that waits has a file `unsent` in its transaction's directory, so that it outlives the agent; the file
 * goes before the response does: it is sent at most once. */
#include "agent/job.h"
#include "agent/outcome.h"
#include "agent/spool.h"
#include "base/mem.h"

enum {
    WATCH_MS = 1000,                 /* how often tasks of an earlier run are looked at */
    LOOKS_MAX = 10,                  /* without any process to be found */
    FLUSH_PENDING_MAX = 1024 * 1024, /* bytes on the connection before further responses wait for it to drain */
};

/* A final response, by its transaction. */
struct unsent {
    struct list_link link;
    char *transaction_id;
};

struct watched {
    struct list_link link;
    char *transaction_id;
    bool seen_dead; /* once more, then its end is taken for certain */
    unsigned looks;
};

/* ---------------------------------------------------------------------------------------- unsent responses */

static void mark_remove(struct agent *a, const char *transaction_id) {
    char *mark = spool_path(a->spool_dir, span_of(transaction_id), "unsent");
    world_file_remove(a->world, mark, false, NULL);
    mem_free(mark);
}

static void mark_add(struct agent *a, const char *transaction_id) {
    char *mark = spool_path(a->spool_dir, span_of(transaction_id), "unsent");
    if (!world_file_write(a->world, mark, span_of(NULL), SPOOL_FILE_MODE, WORLD_WRITE_ATOMIC, NULL)) {
        log_warn(a->log, "Failed to note that the outcome of the transaction %s is not sent", transaction_id);
    }
    mem_free(mark);
}

static void unsent_free(struct list *list, struct unsent *u) {
    list_remove(list, &u->link);
    mem_free(u->transaction_id);
    mem_free(u);
}

static void unsent_add(struct agent *a, const char *transaction_id) {
    if (a->unsent.count == AGENT_UNSENT_MAX) {
        struct unsent *oldest = LIST_ITEM(list_first(&a->unsent), struct unsent, link);
        log_warn(a->log, "Too many outcomes wait for a connection; dropping that of the transaction %s",
                 oldest->transaction_id);
        mark_remove(a, oldest->transaction_id);
        unsent_free(&a->unsent, oldest);
    }
    struct unsent *u = mem_zalloc(sizeof *u);
    u->transaction_id = str_dup(transaction_id);
    list_push_back(&a->unsent, &u->link);
}

/* Remembers a response given to a connection that has not taken all of it yet. */
static void in_flight_add(struct agent *a, const char *transaction_id) {
    if (a->connection.peer != NULL && ws_pending(a->connection.peer) > 0 && !a->config->reference) {
        struct unsent *u = mem_zalloc(sizeof *u);
        u->transaction_id = str_dup(transaction_id);
        list_push_back(&a->in_flight, &u->link);
    }
}

void recovery_notify(struct agent *a, const json_t *record) {
    if (!json_bool(record, "notify_outcome", false)) {
        return;
    }
    const char *transaction_id = json_str(record, "transaction_id");
    if (reply_final(a, record)) {
        in_flight_add(a, transaction_id);
    } else if (a->config->reference) {
        log_error(a->log, "Failed to send the outcome of the transaction %s; no further attempts will be made",
                  transaction_id);
    } else {
        log_info(a->log, "The outcome of the transaction %s will be sent after the next connection", transaction_id);
        mark_add(a, transaction_id);
        unsent_add(a, transaction_id);
    }
}

static void send_unsent(struct agent *a, const char *transaction_id) {
    struct error err = ERROR_INIT;
    json_t *record = spool_read_record(a->world, a->spool_dir, span_of(transaction_id), &err);
    mark_remove(a, transaction_id);
    if (record == NULL) {
        log_warn(a->log, "The outcome of the transaction %s is lost: %s", transaction_id, err.msg);
        error_clear(&err);
        return;
    }
    recovery_notify(a, record);
    json_decref(record);
}

static void flush(struct agent *a) {
    while (a->connection.state == CONNECTION_READY && !list_empty(&a->unsent) &&
           ws_pending(a->connection.peer) < FLUSH_PENDING_MAX) {
        struct unsent *u = LIST_ITEM(list_first(&a->unsent), struct unsent, link);
        list_remove(&a->unsent, &u->link);
        send_unsent(a, u->transaction_id);
        mem_free(u->transaction_id);
        mem_free(u);
    }
}

void recovery_connected(struct agent *a) {
    flush(a);
}

void recovery_drained(struct agent *a) {
    while (!list_empty(&a->in_flight)) {
        unsent_free(&a->in_flight, LIST_ITEM(list_first(&a->in_flight), struct unsent, link));
    }
    flush(a);
}

void recovery_disconnected(struct agent *a) {
    while (!list_empty(&a->in_flight)) {
        struct unsent *u = LIST_ITEM(list_first(&a->in_flight), struct unsent, link);
        mark_add(a, u->transaction_id);
        unsent_add(a, u->transaction_id);
        unsent_free(&a->in_flight, u);
    }
}

/* ---------------------------------------------------------------------------------------- earlier tasks */

static void watched_free(struct agent *a, struct watched *w) {
    list_remove(&a->watched, &w->link);
    mem_free(w->transaction_id);
    mem_free(w);
}

static const char lost[] = "task process is not running, but no output is available";
static const char unheard_of[] = "the PID and output of this task are not available";

/* Nothing more is to be learned about the task: its record is completed and its requester told. */
static void settle(struct agent *a, struct span id, json_t *record, bool started) {
    struct spool_output output;
    if (!started) {
        spool_record_finish(record, PXP_UNDETERMINED, world_wall_ms(a->world), NULL, unheard_of);
        spool_write_record(a->world, a->spool_dir, id, record, NULL);
    } else if (spool_read_output(a->world, a->spool_dir, id, (size_t)a->config->output_max, &output, NULL)) {
        job_settle(a, record, &output);
        spool_output_free(&output);
    } else {
        spool_record_finish(record, PXP_UNDETERMINED, world_wall_ms(a->world), NULL, lost);
        spool_write_record(a->world, a->spool_dir, id, record, NULL);
    }
    recovery_notify(a, record);
}

/* True: nothing is left to be done for it. */
static bool look(struct agent *a, struct watched *w) {
    struct span id = span_of(w->transaction_id);
    json_t *record = spool_read_record(a->world, a->spool_dir, id, NULL);
    bool over = record == NULL;
    if (!over && spool_record_state(record) != PXP_RUNNING) {
        over = true; /* a status query was faster; the outcome is still owed */
        recovery_notify(a, record);
    } else if (!over) {
        enum spool_process process = spool_process_state(a->world, a->spool_dir, id);
        bool ended = spool_has_exitcode(a->world, a->spool_dir, id);
        /* What looks dead is looked at once more: it may just be starting, or just be storing its outcome. */
        bool certain = w->seen_dead || (ended && process != SPOOL_ALIVE);
        w->seen_dead = ended || process != SPOOL_ALIVE;
        bool given_up = process == SPOOL_NO_PID && !ended && certain && spool_give_up(a->world, a->spool_dir, id);
        over = w->seen_dead && certain && (given_up || ended || process == SPOOL_DEAD);
        if (over) {
            settle(a, id, record, !given_up);
        } else {
            over = process == SPOOL_NO_PID && ++w->looks > LOOKS_MAX; /* an unreadable pid file: left to queries */
        }
    }
    json_decref(record);
    return over;
}

static void look_at_all(void *ctx) {
    struct agent *a = ctx;
    LIST_EACH_SAFE (it, next, &a->watched) {
        struct watched *w = LIST_ITEM(it, struct watched, link);
        if (look(a, w)) {
            watched_free(a, w);
        }
    }
    if (!list_empty(&a->watched)) {
        world_timer_start(a->world, &a->watch_timer, WATCH_MS, look_at_all, a);
    }
}

static void found(struct agent *a, const char *transaction_id, const json_t *record, bool unsent) {
    if (map_get_cstr(&a->transactions, transaction_id) != NULL) {
        return;
    }
    if (spool_record_state(record) != PXP_RUNNING) {
        if (unsent) {
            unsent_add(a, transaction_id);
            flush(a);
        }
        return;
    }
    struct watched *w = mem_zalloc(sizeof *w);
    w->transaction_id = str_dup(transaction_id);
    list_push_back(&a->watched, &w->link);
    world_timer_start(a->world, &a->watch_timer, 0, look_at_all, a);
}

void recovery_start(struct agent *a) {
    purge_spool(a, a->config->reference ? NULL : found);
}

void recovery_stop(struct agent *a) {
    world_timer_stop(a->world, &a->watch_timer);
    while (!list_empty(&a->watched)) {
        watched_free(a, LIST_ITEM(list_first(&a->watched), struct watched, link));
    }
    recovery_disconnected(a);
    while (!list_empty(&a->unsent)) {
        unsent_free(&a->unsent, LIST_ITEM(list_first(&a->unsent), struct unsent, link));
    }
}
