/* A test bench for fakes: a simulated host that serves them over TLS at https://fakes:4433, and a client host that
 * asks, with any certificate or none. Every call runs the simulation until the answer is there. */
#ifndef DALANG_FAKES_TESTING_RIG_H
#define DALANG_FAKES_TESTING_RIG_H

#include "fakes/common/fake.h"
#include "simulator/world/sim.h"

enum { RIG_PORT = 4433, RIG_FAKES_MAX = 4 };

struct rig {
    struct sim *sim;
    struct world *server, *client;
    struct world_tls *server_tls;
    struct fake *fakes[RIG_FAKES_MAX];
    size_t fake_count;
    struct fake_host *host;
};

/* rig_open, then make fakes on rig->server, then rig_serve. */
void rig_open(struct rig *r);
void rig_serve(struct rig *r, struct fake *const *fakes, size_t count);
/* Closes the host; the fakes may be freed then; rig_end() checks that nothing was left behind. */
void rig_stop(struct rig *r);
void rig_end(struct rig *r);

struct ask {
    const char *method; /* NULL: GET */
    const char *path;   /* with query, as on the wire */
    const char *cn;     /* certificate of this name; NULL: none */
    const char *token;  /* X-Authentication */
    const char *accept, *accept_encoding, *if_none_match;
    const char *content_type; /* NULL with a body: application/json */
    const char *body;
    size_t body_len;    /* 0: strlen(body) */
    uint64_t within_us; /* simulated; 0: one minute */
};
struct reply {
    int status;       /* 0: no answer */
    bool timed_out;   /* nothing came within the time */
    char *error_kind; /* when there was no answer */
    struct world_header *headers;
    size_t header_count;
    struct buf body;
    json_t *json; /* the body when it is JSON */
};
struct reply rig_ask(struct rig *r, const struct ask *ask);
void reply_clear(struct reply *r);
const char *reply_header(const struct reply *r, const char *lower_case_name); /* or NULL */
/* Asserts the status and returns the JSON body (or NULL when there is none), which the caller releases. */
json_t *rig_json(struct rig *r, const struct ask *ask, int status);
/* Asserts the status and that the error's kind ends in `kind` (after the last '/'). */
void rig_error(struct rig *r, const struct ask *ask, int status, const char *kind);

/* JSON text with ' for ". */
json_t *quoted(const char *text);
/* Fails the test, naming both, when they differ (numbers and key order as json_equal sees them). Releases both. */
void assert_json(json_t *got, json_t *expected);

#endif
