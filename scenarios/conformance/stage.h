/* What a case is told in: who connects, what they say, what they must hear.
 *
 *     static void newest_wins(struct stage *s) {
 *         struct link *old = connects(s, 1, "agent");
 *         struct link *young = connects(s, 1, "agent");
 *         expects(s, old, "end");
 *         works(s, young);
 *     }
 *
 * A step that does not come as expected ends the case: it fails with what was expected and what came. Steps wait for
 * what they expect, up to opts->patience_ms; nothing waits for time to pass. What a case opens is closed behind it. */
#ifndef DALANG_CONFORMANCE_STAGE_H
#define DALANG_CONFORMANCE_STAGE_H

#include "scenarios/conformance/link.h"
#include "scenarios/conformance/match.h"
#include "scenarios/conformance/suite.h"
#include "world/certs.h"
#include <setjmp.h>

/* Whose behaviour an accepted answer is. */
enum {
    REF18 = 1, /* reference 1.8 */
    REF20 = 2, /* reference 2.0 */
    OURS = 4,
    REF = REF18 | REF20,
    ALL = REF | OURS,
};

enum { WHO_MAX = 40 };

struct stage;
struct conform_case {
    /* "pcp2/session/supersede-001". "pcp*" makes two cases, one for each version. */
    const char *id;
    const char *statement; /* one line */
    const char *source;    /* where the behaviour is written down: "pcp.md §9.1" */
    const char *covers;    /* ids of checklist lines (checklists/), separated by spaces; or NULL */
    void (*run)(struct stage *s);
    const void *data;    /* for run(), s->c->data */
    const char *fixture; /* configuration of the other side it needs; NULL: any */
    bool strict;         /* only in the strict profile: ours differs from the reference on purpose */
};

/* One of several accepted answers; a list ends with a NULL want. */
struct answer {
    unsigned who;
    const char *want;
};

struct stage {
    struct world *world;
    const struct conform_opts *opts;
    const struct conform_suite *suite;
    void *side; /* what the suite knows about the other side */
    struct variables vars;
    const struct conform_case *c;
    int version; /* of PCP, of a "pcp*" case */
    struct list links;
    struct buf transcript;
    json_t *kept; /* array: values that live until the case ends */
    jmp_buf out;
    char *expected, *got, *skipped;
    unsigned seen;
    bool failed;
    const char *interrupted; /* "SIGINT" */
    unsigned ids;

    struct certs_ca *ca; /* or NULL: certificates come from a directory */
    EVP_PKEY *key;       /* of minted certificates */
    struct world_tls *tls;
    char *ca_path;
    char *dir; /* temporary, or NULL */
    struct real_credential *credentials[WHO_MAX];
    char **certs; /* paths without ".pem", of a directory */
    size_t cert_count;
};

/* ---- endings */
_Noreturn void fails(struct stage *s, const char *expected, const char *got); /* texts are copied */
_Noreturn void skips(struct stage *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check(struct stage *s, bool holds, const char *expected, const char *got_format, ...)
    __attribute__((format(printf, 4, 5)));
void saw(struct stage *s, unsigned who);
void notes(struct stage *s, const char *who, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- people. Numbered from 1; ${cN} is the certificate's name, ${aN} the URI pcp://${cN}/agent. */
const char *name_of(struct stage *s, int who);
struct real_credential *credential_of(struct stage *s, int who);
struct real_credential *credential_with(struct stage *s,
                                        const struct certs_issue *what); /* minted; skips without a CA */
char *stage_file(struct stage *s, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));          /* writes DIR/name; the path lives until the stage ends */
const char *keep_text(struct stage *s, char *text); /* mem_free()d when the case ends */

/* ---- connections */
struct dial {
    int who;                            /* 0: no certificate */
    struct real_credential *credential; /* instead of who's; taken over */
    int version;                        /* 0: the case's */
    const char *type;                   /* behind the route; NULL: none */
    const char *path;                   /* instead of route and type */
    const char *extra, *request;        /* as in struct link_connect */
};
struct link *dials(struct stage *s, const struct dial *d);         /* does not wait */
struct link *connects(struct stage *s, int who, const char *type); /* in the case's version; waits for the 101 */
struct link *connects_v(struct stage *s, int version, int who, const char *type);
void leaves(struct stage *s, struct link *l); /* closes with 1000, waits for the end */

/* ---- talking. Templates are of PCP v2's form; they are sent and expected in the link's version. */
/* 'id' and (v1) 'expires', 'sender', 'targets' are filled in unless given. ${sent} is the id then. */
void say(struct stage *s, struct link *l, const char *message);
void say_text(struct stage *s, struct link *l, const char *text); /* a text frame, variables filled */
void say_v1(struct stage *s, struct link *l, const char *envelope,
            const char *data); /* chunks as given; data or NULL */
/* The next event is this message, in the form the link's version has for it (pcp.md §12). */
void hears(struct stage *s, struct link *l, const char *message);
/* error_message with this text, in reply to ${sent} (or, with reply false, to nothing). */
void hears_error(struct stage *s, struct link *l, const char *text);
void hears_error_without_id(struct stage *s, struct link *l, const char *text);
/* The next event: a message ("{…", exactly as it stands on the wire), "close 4002 Association*", "end" (of the stream,
 * without a close frame), "http 404", "open", "refused" (no WebSocket came about, whatever the way), "ping", "pong". */
void expects(struct stage *s, struct link *l, const char *want);
/* One of these, of the reference too unless the profile is strict; "silence" may be one: nothing comes, the connection
 * is kept. Notes whose it was. */
void expects_any(struct stage *s, struct link *l, const struct answer *answers);
void works(struct stage *s, struct link *l); /* it is answered, and nothing else comes before that answer */
bool event_is(struct stage *s, const struct link *l, const struct link_event *e, const char *want, char **why);
struct link_event *next_event(struct stage *s, struct link *l); /* fails after the patience; free it */
json_t *next_message(struct stage *s, struct link *l);          /* as JSON, both versions; lives until the end */

/* Turns the world until it holds; fails with `what` after the patience. */
void waits(struct stage *s, bool (*holds)(void *ctx), void *ctx, const char *what);
/* The same, false after ms. */
bool waits_for(struct stage *s, bool (*holds)(void *ctx), void *ctx, uint64_t ms);
const char *fresh_id(struct stage *s); /* a UUID; sets ${sent} */

#endif
