/* The fake activity service (rbac.md §15): takes event bundles over HTTP and from the fakes beside it, and answers what
 * happened to whom, as JSON and CSV, v1 and v2.
 *
 * State ("activity"): {"commits": [{"service", "subject": {id, name}, "objects": [{id, name, type}], "ip_address",
 * "timestamp", "events": [{…}]}], "settings": {"v2": true}}. With "v2": false the v2 routes answer 404.
 * GET /_fake/events gives the commits as stored, oldest first. */
#ifndef DALANG_FAKES_ACTIVITY_H
#define DALANG_FAKES_ACTIVITY_H

#include "fakes/common/fake.h"

enum { ACTIVITY_COMMITS_MAX = 100000 }; /* the oldest are forgotten */

struct fake_activity;

struct fake_activity_opts {
    const json_t *state; /* borrowed; may be NULL */
    const struct logger *log;
};

struct fake_activity *fake_activity_new(struct world *w, const struct fake_activity_opts *opts, struct error *err);
void fake_activity_free(struct fake_activity *a); /* NULL is fine */
struct fake *fake_activity_base(struct fake_activity *a);
/* Records one commit of the form POST /v2/events takes: commit {service, subject, objects[, ip-address]} and an array
 * of events. Both are stolen. `f` is the activity fake as fake_sibling() finds it. */
void fake_activity_record(struct fake *f, json_t *commit, json_t *events);
/* Off: the v2 routes answer 404, as services that predate them. */
void fake_activity_set_v2(struct fake *f, bool on);

#endif
