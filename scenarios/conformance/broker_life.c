/* Starting, stopping, a new revocation list, no v2 (pcp.md §8, §9.5, §16). */
#include "scenarios/conformance/broker_side.h"
#include <signal.h>
#include <string.h>

static void new_list_disconnects(struct stage *s) {
    struct link *one = connects(s, 1, "agent"), *two = connects(s, 2, "agent");
    check(s, certs_dir_write_crl(s->ca, s->dir, world_wall_ms(s->world), NULL), "a CRL", "no CRL");
    expects(s, one, "close 1012 CRL reloaded");
    expects(s, two, "close 1012 CRL reloaded");
    works(s, connects(s, 1, "agent"));
}

static void v1_alone(struct stage *s) {
    works(s, connects_v(s, 1, 1, "agent"));
}

static void no_v2_route(struct stage *s) {
    struct dial d = {.who = 1, .version = 1, .path = "/pcp2/agent"};
    expects(s, dials(s, &d), "http 404");
}

static void stops(struct stage *s) {
    struct broker_side *side = broker_side(s);
    struct link *l = connects(s, 1, "agent");
    works(s, l);
    side->stale = true;
    world_pid_signal(s->world, side->program.pid, SIGTERM, false);
    static const struct answer answers[] = {{REF18, "close 1005 "},
                                            {REF, "close 1011 Broker is not running."},
                                            {OURS, "close 1001 *"},
                                            {REF, "end"},
                                            {0, NULL}};
    expects_any(s, l, answers);
}

static bool ended(void *ctx) {
    return ((struct program *)ctx)->ended;
}

static void gone_after_stopping(struct stage *s) {
    struct broker_side *side = broker_side(s);
    works(s, connects(s, 1, "agent"));
    side->stale = true;
    world_pid_signal(s->world, side->program.pid, SIGTERM, false);
    waits(s, ended, &side->program, "the broker ends after SIGTERM");
    check(s, side->program.status == 0 || side->program.status == 143, "exit status 0, or 143 as a JVM has it",
          "%d (signal %d)", side->program.status, side->program.signal);
    struct dial d = {.who = 1, .type = "agent"};
    expects(s, dials(s, &d), "refused");
}

const struct conform_case broker_life_cases[] = {
    {"pcp*/life/crl-001", "A CRL that is rewritten disconnects the clients: 1012. They may come back.", "pcp.md §16",
     "obs-43 pcp-int-03 obs-07 pcp-unit-03 obs-close-09", new_list_disconnects, NULL, FIXTURE_CRL, false},
    {"pcp1/life/v1-only-001", "A broker without a v2 route serves v1.", "pcp.md §8", "obs-62 pcp-int-23", v1_alone,
     NULL, FIXTURE_V1_ONLY, false},
    {"pcp1/life/v1-only-002", "Its v2 path is unknown: 404.", "pcp.md §8", "obs-62 pcp-int-23", no_v2_route, NULL,
     FIXTURE_V1_ONLY, false},
    {"pcp*/life/stop-001", "SIGTERM closes the clients: an empty close frame (1.8), 1001 (ours).",
     "broker-observed.md Close codes", "obs-42 pcp-int-02 obs-close-10", stops, NULL, FIXTURE_ANY_CONFIG, false},
    {"pcp*/life/stop-002", "Then the broker ends and connections are refused.", "pcp.md §22", "obs-42 pcp-int-02",
     gone_after_stopping, NULL, FIXTURE_ANY_CONFIG, false},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
