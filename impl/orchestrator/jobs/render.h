/* JSON of jobs, nodes and events as the API shows them (orchestrator-api.md §4, §5), written from rows of the store
 * straight to text: JSON columns are copied, not parsed. `base` is the absolute URL up to and with "/orchestrator/v1".
 */
#ifndef DALANG_ORCHESTRATOR_RENDER_H
#define DALANG_ORCHESTRATOR_RENDER_H

#include "orchestrator/store/rows.h"

/* One job object; `now_ms` for the duration so far. */
void render_job(struct buf *out, const struct store_job *job, const char *base, int64_t now_ms);
/* Items of GET /jobs/:id/nodes. deploy: shapes details for Puppet runs. */
void render_node(struct buf *out, const struct store_node *node, enum job_type type, int64_t now_ms);
/* One event with its message. */
void render_event(struct buf *out, const struct store_event *e);
/* {"new": n, …}: every state (`all`), or only those with nodes. */
void render_counts(struct buf *out, const uint32_t counts[NODE_STATES], bool all);
/* The message of an event, as clients know it ("Started puppet run on web1 ..."). */
void render_event_message(struct buf *out, const struct store_event *e);
/* [{"state","enter_time","exit_time"}…] */
void render_job_status(struct buf *out, const int64_t entered_ms[JOB_STATES]);
void render_time(struct buf *out, int64_t ms);     /* "2030-01-02T03:04:05Z" quoted, or null for 0 */
void render_duration(struct buf *out, int64_t ms); /* seconds as a JSON number with up to three decimals */

/* A plan event of GET /plan_jobs/:id/events. whole: nothing is cut (GET …/event/:id). */
void render_plan_event(struct buf *out, const struct store_plan_event *e, bool whole);

#endif
