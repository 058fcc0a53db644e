/* RBAC and activity on the bench, with the fixture of the tests. */
#ifndef DALANG_FAKES_RBAC_TESTS_BENCH_H
#define DALANG_FAKES_RBAC_TESTS_BENCH_H

#include "fakes/activity/activity.h"
#include "fakes/rbac/model.h"
#include "fakes/tests/rig.h"

#define ROUTE "/rbac-api/v1"
#define ROUTE2 "/rbac-api/v2"

struct bench {
    struct rig rig;
    struct fake_rbac *rbac;
    struct fake_activity *activity;
};

int bench_up(void **state);
int bench_down(void **state);
struct rig *bench_rig(void **state);
/* Id of a user of the fixture. */
const char *user_id(void **state, const char *login);
/* GET and the rest as "admin" (token fixed-admin) unless a token is given; JSON body with ' for ". */
json_t *call(void **state, const char *method, const char *path, const char *token, const char *body, int status);
void call_fails(void **state, const char *method, const char *path, const char *token, const char *body, int status,
                const char *kind);
/* Logs in and returns the token (mem_free). */
char *login(void **state, const char *name, const char *password, const char *more);
void advance(void **state, const char *how);

#endif
