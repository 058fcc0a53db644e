/* Jobs that start later, once or again and again (orchestrator-jobs.md §11, orchestrator-api.md §7, §8).
 *
 * The n-th run is start_time + n × interval. Runs missed while the service was down are not made up: the next one is
 * the first in the future; a single run that was missed starts at once. Resolution one second. */
#ifndef DALANG_ORCHESTRATOR_SCHEDULES_H
#define DALANG_ORCHESTRATOR_SCHEDULES_H

#include "orchestrator/store/store.h"

struct schedules;

/* What came of a start: job id (or plan job id), or an error kept as last_run.job.submission_error. */
typedef void schedule_started(void *ctx, int64_t job, const struct error *err);
/* Starts one run: resolves the scope anew with the owner's rights of now, and calls `started` with `ctx` exactly once,
 * never inside this call. `row` and `sensitive` (object or NULL) are borrowed for the call. Given by the API's side. */
typedef void schedule_submit(void *submit_ctx, const struct store_schedule *row, json_t *sensitive,
                             schedule_started *started, void *ctx);

struct schedules *schedules_new(struct world *w, struct store *store, const uint8_t secret_key[32],
                                const struct logger *log);
void schedules_set_submit(struct schedules *s, schedule_submit *submit, void *submit_ctx);
/* Loads them and starts the clock. Call once the store is open. */
bool schedules_resume(struct schedules *s, struct error *err);
void schedules_free(struct schedules *s);

/* Adds one. Of `row`: id, next_ms, last_*, secret are set here. sensitive: object of secret parameters or NULL, kept
 * encrypted. start_ms must lie in the future: else "puppetlabs.orchestrator/invalid-time". done once durable. */
bool schedules_add(struct schedules *s, const struct store_schedule *row, json_t *sensitive,
                   void (*done)(void *ctx, int64_t id, const struct error *err), void *ctx, struct error *err);
/* Replaces an enabled one (row->id); keep_sensitive: the stored secrets stay. Errors at once:
 * "puppetlabs.orchestrator/unknown-job", "puppetlabs.orchestrator/disabled-scheduled-job",
 * "puppetlabs.orchestrator/invalid-time". */
bool schedules_replace(struct schedules *s, const struct store_schedule *row, json_t *sensitive, bool keep_sensitive,
                       void (*done)(void *ctx, int64_t id, const struct error *err), void *ctx, struct error *err);
/* enabled: false. It never fires again. */
bool schedules_disable(struct schedules *s, int64_t id, void (*done)(void *ctx, int64_t id, const struct error *err),
                       void *ctx, struct error *err);
void schedules_forget(struct schedules *s, void *ctx); /* no done with this ctx any more */
size_t schedules_count(const struct schedules *s);     /* enabled ones */

#endif
