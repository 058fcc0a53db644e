/* Shared by the activity fake's files. */
#ifndef DALANG_FAKES_ACTIVITY_MODEL_H
#define DALANG_FAKES_ACTIVITY_MODEL_H

#include "fakes/activity/activity.h"

struct fake_activity {
    struct fake base;
    json_t *commits; /* oldest first */
    bool v2;
};

extern const struct fake_route activity_read_routes[];

struct fake_activity *activity_of(struct fake *f);
void activity_fail(struct http_exchange *ex, int status, const char *kind, json_t *details, const char *msg);
bool activity_known_caller(struct fake *f, struct http_exchange *ex); /* false after answering 401 */
bool activity_hidden(struct fake *f, struct http_exchange *ex,
                     bool v2); /* true after answering 404 for v2 switched off */

#endif
