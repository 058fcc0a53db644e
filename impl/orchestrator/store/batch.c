/* Writes, collected as bytes until the transaction at the end of the turn. */
#include "base/mem.h"
#include "orchestrator/store/internal.h"

#include <assert.h>
#include <string.h>

enum { TAG_NULL, TAG_INT, TAG_TEXT, TAG_BLOB };

void batch_begin(struct store_batch *b, enum store_write statement) {
    buf_append_char(&b->ops, (char)statement);
    if (b == &b->store->standing) {
        store_want_flush(b->store);
    }
}

void batch_int(struct store_batch *b, int64_t value) {
    buf_append_char(&b->ops, TAG_INT);
    buf_append(&b->ops, &value, sizeof value);
}

static void put_bytes(struct store_batch *b, char tag, struct span s) {
    uint32_t len = (uint32_t)s.len;
    assert(len == s.len); /* bodies and messages are bounded far below 4 GiB */
    buf_append_char(&b->ops, tag);
    buf_append(&b->ops, &len, sizeof len);
    buf_append_span(&b->ops, s);
}

void batch_text(struct store_batch *b, struct span text) {
    put_bytes(b, TAG_TEXT, text);
}

void batch_blob(struct store_batch *b, struct span bytes) {
    put_bytes(b, TAG_BLOB, bytes);
}

void batch_null(struct store_batch *b) {
    buf_append_char(&b->ops, TAG_NULL);
}

static void batch_optional(struct store_batch *b, struct span text) {
    if (text.len == 0) {
        batch_null(b);
    } else {
        batch_text(b, text);
    }
}

static void batch_secret(struct store_batch *b, struct span secret) {
    if (secret.len == 0) {
        batch_null(b);
    } else {
        batch_blob(b, secret);
    }
}

/* Binds one parameter from *at and moves it on. The bytes stay where they are until the statement is reset. */
static int bind_next(sqlite3_stmt *stmt, int index, const char **at) {
    char tag = *(*at)++;
    if (tag == TAG_NULL) {
        return sqlite3_bind_null(stmt, index);
    }
    if (tag == TAG_INT) {
        int64_t value;
        memcpy(&value, *at, sizeof value);
        *at += sizeof value;
        return sqlite3_bind_int64(stmt, index, value);
    }
    uint32_t len;
    memcpy(&len, *at, sizeof len);
    const char *bytes = *at + sizeof len;
    *at = bytes + len;
    return tag == TAG_TEXT ? sqlite3_bind_text64(stmt, index, bytes, len, SQLITE_STATIC, SQLITE_UTF8)
                           : sqlite3_bind_blob64(stmt, index, bytes, len, SQLITE_STATIC);
}

static int prepared(struct store *s, enum store_write which, sqlite3_stmt **out) {
    int rc = SQLITE_OK;
    if (s->writes[which] == NULL) {
        rc = sqlite3_prepare_v3(s->db, store_writes[which].sql, -1, SQLITE_PREPARE_PERSISTENT, &s->writes[which], NULL);
    }
    *out = s->writes[which];
    return rc;
}

/* Runs the operation at *at and moves it on. */
static int run_next(struct store *s, const char **at) {
    unsigned char which = (unsigned char)*(*at)++;
    sqlite3_stmt *stmt;
    int rc = prepared(s, (enum store_write)which, &stmt);
    for (int i = 1; i <= store_writes[which].params; i++) {
        int bound = bind_next(stmt, i, at);
        rc = rc == SQLITE_OK ? bound : rc;
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int batch_run(struct store *s, struct store_batch *b) {
    const char *at = b->ops.ptr, *end = at != NULL ? at + b->ops.len : NULL;
    while (at != end) {
        const char *op = at;
        int rc = run_next(s, &at);
        if (rc == SQLITE_CONSTRAINT && b == &s->commit.standing) {
            s->commit.refused = store_writes[(unsigned char)*op].sql;
        } else if (rc != SQLITE_OK) {
            return rc;
        }
    }
    return SQLITE_OK;
}

/* "3,0,17": an array of numbers in one column. */
static void batch_numbers(struct store_batch *b, const int64_t *values, size_t count) {
    char text[JOB_STATES * 24 + NODE_STATES * 24];
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        sqlite3_snprintf((int)(sizeof text - len), text + len, i == 0 ? "%lld" : ",%lld", (long long)values[i]);
        len += strlen(text + len);
    }
    batch_text(b, span_bytes(text, len));
}

static void batch_counts(struct store_batch *b, const uint32_t *counts) {
    int64_t wide[NODE_STATES];
    for (size_t i = 0; i < NODE_STATES; i++) {
        wide[i] = counts[i];
    }
    batch_numbers(b, wide, NODE_STATES);
}

void store_job_insert(struct store_batch *b, const struct store_job *job) {
    batch_begin(b, WRITE_JOB);
    batch_int(b, job->id);
    batch_int(b, job->type);
    batch_int(b, job->state);
    batch_int(b, job->ts_ms);
    batch_int(b, job->started_ms);
    batch_int(b, job->finished_ms);
    batch_int(b, job->node_count);
    batch_counts(b, job->counts);
    batch_numbers(b, job->entered_ms, JOB_STATES);
    batch_text(b, job->command);
    batch_text(b, job->environment);
    batch_text(b, job->task);
    batch_text(b, job->owner_login);
    batch_int(b, job->concurrency);
    batch_int(b, job->timeout_s);
    batch_int(b, job->noop);
    batch_int(b, job->plan);
    batch_int(b, job->schedule);
    batch_blob(b, span_bytes(job->salt, sizeof job->salt));
    batch_text(b, job->description);
    batch_text(b, job->owner);
    batch_text(b, job->userdata);
    batch_text(b, job->options);
    batch_text(b, job->request);
    batch_optional(b, job->edges);
    batch_secret(b, job->secret);
}

void store_node_insert(struct store_batch *b, int64_t job, uint32_t index, struct span name, enum node_state state,
                       enum node_transport transport, int64_t now_ms) {
    batch_begin(b, WRITE_NODE);
    batch_int(b, job);
    batch_int(b, index);
    batch_int(b, state);
    batch_int(b, transport);
    batch_int(b, now_ms);
    batch_text(b, name);
}

void store_job_update(struct store_batch *b, const struct store_job_change *change) {
    batch_begin(b, WRITE_JOB_CHANGE);
    batch_int(b, change->id);
    batch_int(b, change->state);
    batch_int(b, change->ts_ms);
    batch_int(b, change->started_ms);
    batch_int(b, change->finished_ms);
    batch_counts(b, change->counts);
    batch_numbers(b, change->entered_ms, JOB_STATES);
    if (change->drop_secret) {
        batch_begin(b, WRITE_JOB_DROP_SECRET);
        batch_int(b, change->id);
    }
}

void store_node_update(struct store_batch *b, const struct store_node_change *change) {
    batch_begin(b, WRITE_NODE_CHANGE);
    batch_int(b, change->job);
    batch_int(b, change->index);
    batch_int(b, change->state);
    batch_int(b, change->ts_ms);
    batch_int(b, change->started_ms);
    batch_int(b, change->finished_ms);
    batch_int(b, change->event);
    batch_optional(b, change->run_uuid);
}

void store_event_insert(struct store_batch *b, const struct store_event *e) {
    batch_begin(b, WRITE_EVENT);
    batch_int(b, e->id);
    batch_int(b, e->job);
    batch_int(b, e->node);
    batch_int(b, e->type);
    batch_int(b, e->ts_ms);
    batch_optional(b, e->detail);
}

void store_plan_insert(struct store_batch *b, const struct store_plan *plan) {
    batch_begin(b, WRITE_PLAN);
    batch_int(b, plan->id);
    batch_int(b, plan->state);
    batch_int(b, plan->outside);
    batch_int(b, plan->timeout_s);
    batch_int(b, plan->schedule);
    batch_int(b, plan->created_ms);
    batch_int(b, plan->ts_ms);
    batch_int(b, plan->finished_ms);
    batch_text(b, plan->name);
    batch_text(b, plan->environment);
    batch_text(b, plan->owner_login);
    batch_text(b, plan->owner);
    batch_text(b, plan->userdata);
    batch_text(b, plan->options);
    batch_optional(b, plan->result);
}

void store_plan_update(struct store_batch *b, const struct store_plan *plan) {
    batch_begin(b, WRITE_PLAN_CHANGE);
    batch_int(b, plan->id);
    batch_int(b, plan->state);
    batch_int(b, plan->ts_ms);
    batch_int(b, plan->finished_ms);
    batch_optional(b, plan->result);
}

void store_plan_event_insert(struct store_batch *b, const struct store_plan_event *e) {
    batch_begin(b, WRITE_PLAN_EVENT);
    batch_int(b, e->id);
    batch_int(b, e->plan);
    batch_text(b, e->type);
    batch_int(b, e->ts_ms);
    batch_text(b, e->details);
}

/* What its user says of a schedule: the first parameters of both statements. */
static void batch_schedule(struct store_batch *b, const struct store_schedule *sched) {
    batch_int(b, sched->id);
    batch_text(b, sched->type);
    batch_text(b, sched->environment);
    batch_text(b, sched->owner_login);
    batch_text(b, sched->name);
    batch_int(b, sched->start_ms);
    batch_int(b, sched->interval_s);
    batch_int(b, sched->first_api);
    batch_text(b, sched->description);
    batch_text(b, sched->owner);
    batch_text(b, sched->input);
    batch_text(b, sched->userdata);
    batch_secret(b, sched->secret);
}

void store_schedule_insert(struct store_batch *b, const struct store_schedule *sched) {
    batch_begin(b, WRITE_SCHEDULE);
    batch_schedule(b, sched);
    batch_int(b, sched->enabled);
    batch_int(b, sched->next_ms);
    batch_int(b, sched->last_ms);
    batch_int(b, sched->last_job);
    batch_optional(b, sched->last_error);
}

void store_schedule_replace(struct store_batch *b, const struct store_schedule *sched, bool keep_secret) {
    batch_begin(b, WRITE_SCHEDULE_REPLACE);
    batch_schedule(b, sched);
    batch_int(b, keep_secret);
}

void store_schedule_due(struct store_batch *b, const struct store_schedule *sched) {
    batch_begin(b, WRITE_SCHEDULE_DUE);
    batch_int(b, sched->id);
    batch_int(b, sched->last_ms);
    batch_int(b, sched->start_ms);
    batch_int(b, sched->interval_s);
    batch_int(b, sched->next_ms);
    batch_optional(b, sched->last_error);
}

void store_schedule_started(struct store_batch *b, int64_t id, int64_t job, struct span last_error) {
    batch_begin(b, WRITE_SCHEDULE_STARTED);
    batch_int(b, id);
    batch_int(b, job);
    batch_optional(b, last_error);
}

void store_schedule_next(struct store_batch *b, int64_t id, int64_t next_ms) {
    batch_begin(b, WRITE_SCHEDULE_NEXT);
    batch_int(b, id);
    batch_int(b, next_ms);
}

void store_schedule_disable(struct store_batch *b, int64_t id) {
    batch_begin(b, WRITE_SCHEDULE_DISABLE);
    batch_int(b, id);
}

void store_target_insert(struct store_batch *b, const struct store_target *t) {
    batch_begin(b, WRITE_TARGET);
    batch_int(b, t->id);
    batch_int(b, t->all_tasks);
    batch_text(b, t->display_name);
    batch_text(b, t->tasks);
    batch_text(b, t->nodes);
    batch_text(b, t->node_groups);
    batch_optional(b, t->pql_query);
}

void store_usage_add(struct store_batch *b, int64_t day, const char *counter, int64_t n) {
    batch_begin(b, WRITE_USAGE_ADD);
    batch_int(b, day);
    batch_text(b, span_of(counter));
    batch_int(b, n);
}

void store_usage_set(struct store_batch *b, int64_t day, const char *counter, int64_t value) {
    batch_begin(b, WRITE_USAGE_SET);
    batch_int(b, day);
    batch_text(b, span_of(counter));
    batch_int(b, value);
}

void store_usage_agentless(struct store_batch *b, int64_t day, struct span certname) {
    batch_begin(b, WRITE_AGENTLESS);
    batch_int(b, day);
    batch_text(b, certname);
}

void store_usage_fold(struct store_batch *b, int64_t before_day) {
    batch_begin(b, WRITE_AGENTLESS_FOLD);
    batch_int(b, before_day);
    batch_begin(b, WRITE_AGENTLESS_FORGET);
    batch_int(b, before_day);
}

void store_connection_put(struct store_batch *b, const struct store_connection *c) {
    batch_begin(b, WRITE_CONNECTION);
    batch_text(b, c->certname);
    batch_text(b, c->connection_id);
    batch_text(b, c->type);
    batch_text(b, c->parameters);
    batch_secret(b, c->secret);
}

void store_connection_delete(struct store_batch *b, struct span certname) {
    batch_begin(b, WRITE_CONNECTION_DELETE);
    batch_text(b, certname);
}
