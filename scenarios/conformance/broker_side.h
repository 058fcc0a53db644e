/* The broker under test, and what its cases share. */
#ifndef DALANG_CONFORMANCE_BROKER_SIDE_H
#define DALANG_CONFORMANCE_BROKER_SIDE_H

#include "scenarios/conformance/side.h"

/* Configurations that a broker started for the run can be given: see broker_side.c. */
#define FIXTURE_RULES "rules"
#define FIXTURE_LIMITS "limits"
#define FIXTURE_ONE "one connection"
#define FIXTURE_IDLE "idle"
#define FIXTURE_V1_ONLY "v1 only"
#define FIXTURE_CRL "crl"
#define FIXTURE_CONTROLLERS "controllers"
#define FIXTURE_SPEC "documented answers"
#define FIXTURE_ANY_CONFIG "own" /* as when only an address is known, but it is our process: it may be stopped */

struct broker_side {
    char *host;
    uint16_t port;
    char *v1, *v2; /* route paths; NULL: none */
    struct program program;
    char *fixture; /* that the program runs with; NULL: none runs */
    bool stale;    /* it must be started anew for the next case */
    struct world_listener *controllers[3];
    struct world_tls *controller_tls;
    uint16_t controller_ports[3];
    bool inventory_asked[WHO_MAX], inventory_denied[WHO_MAX]; /* of a broker with rules of its own, by client */
    struct list dialled;                                      /* links that the broker opened to our controllers */
};

struct broker_side *broker_side(struct stage *s);
/* Waits until the broker has connected to controller n (0 …); the link is the stage's. */
struct link *controller_connected(struct stage *s, int n);
void controller_listens(struct stage *s, int n, bool listens);

struct link *inventory_watcher(struct stage *s, int who,
                               const char *query); /* subscribed; its response has been heard */
/* Collects changes until `last` ("+pcp://…") has come; a text "+pcp://… -pcp://… …" that lives until the case ends. */
const char *changes_until(struct stage *s, struct link *watcher, const char *last);
/* GET path over HTTPS with certificate `who` (0: none). The text of the body; *status. */
const char *http_get(struct stage *s, int who, const char *path, int *status);

extern const struct conform_case broker_http_cases[], broker_tls_cases[], broker_frame_cases[], broker_codec_cases[],
    broker_session_cases[], broker_delivery_cases[], broker_inventory_cases[], broker_rule_cases[],
    broker_limit_cases[], broker_life_cases[], broker_controller_cases[], broker_option_cases[];

#endif
