/* The broker's HTTP side: the upgrade, what is no upgrade, paths and what they name, the status service. */
#include "base/mem.h"
#include "scenarios/conformance/broker_side.h"
#include <string.h>

#define SELF_FOUND                                                                                                     \
    "{'message_type': '${pl}inventory_response', 'target': '$any', 'in_reply_to': '${sent}',"                          \
    " 'data': {'uris': ['${found}']}}"

static const char *field(const struct link *l, const char *name) {
    const char *value = http1_field(&l->head, name);
    return value != NULL ? value : "";
}

static void upgrade_answer(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    check(s, strcmp(field(l, "sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == 0,
          "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "%s", field(l, "sec-websocket-accept"));
    check(s, span_eq_nocase(span_of(field(l, "upgrade")), "websocket"), "Upgrade: websocket", "%s",
          field(l, "upgrade"));
    check(s, http1_field_has(&l->head, "connection", "upgrade"), "Connection: upgrade", "%s", field(l, "connection"));
}

static void extra_is_ignored(struct stage *s) {
    struct dial d = {.who = 1, .type = "agent", .extra = s->c->data};
    struct link *l = dials(s, &d);
    expects(s, l, "open");
    check(s, http1_field(&l->head, "sec-websocket-protocol") == NULL, "no Sec-WebSocket-Protocol", "%s",
          field(l, "sec-websocket-protocol"));
    works(s, l);
}

static void extension_offered(struct stage *s) {
    struct dial d = {.who = 1, .type = "agent", .extra = "Sec-WebSocket-Extensions: permessage-deflate\r\n"};
    struct link *l = dials(s, &d);
    expects(s, l, "open");
    const char *got = field(l, "sec-websocket-extensions");
    bool strict = s->opts->profile == CONFORM_STRICT;
    check(s, got[0] == '\0' || (!strict && strstr(got, "permessage-deflate") != NULL),
          strict ? "no extension" : "no extension, or permessage-deflate", "%s", got);
    saw(s, got[0] == '\0' ? OURS : REF18);
}

struct request {
    const char *method, *path, *headers;
    int status;
    const char *field, *value; /* a header that the answer must have, or NULL */
    const char *body;          /* bytes behind the head */
};

static void plain_request(struct stage *s) {
    const struct request *r = s->c->data;
    char *text = str_printf("%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n%s", r->method,
                            strcmp(r->path, "route") == 0 ? broker_side(s)->v2 : r->path, broker_side(s)->host,
                            r->headers, r->body != NULL ? r->body : "");
    struct dial d = {.who = 1, .version = 2, .type = "agent", .request = text};
    struct link *l = dials(s, &d);
    char *want = str_printf("http %d", r->status);
    mem_free(text);
    expects(s, l, keep_text(s, want));
    if (r->field != NULL) {
        check(s, strcmp(field(l, r->field), r->value) == 0, r->value, "%s: %s", r->field, field(l, r->field));
    }
}

/* A client on `path` finds itself as `type`. */
struct named {
    const char *behind, *type;
};

static void path_names_type(struct stage *s) {
    const struct named *n = s->c->data;
    struct broker_side *side = broker_side(s);
    const char *route = s->version == 1 ? side->v1 : side->v2;
    char *path = str_printf("%s%s", route != NULL ? route : "", n->behind);
    struct dial d = {.who = 1, .path = path, .type = n->type};
    struct link *l = dials(s, &d);
    mem_free(path);
    expects(s, l, "open");
    char *uri = str_printf("pcp://%s/%s", name_of(s, 1), n->type);
    variables_set(&s->vars, "found", uri);
    mem_free(uri);
    say(s, l,
        "{'message_type': '${pl}inventory_request', 'target': 'pcp:///server', 'data': {'query': ['pcp://${c1}/*']}}");
    hears(s, l, SELF_FOUND);
}

static void deep_path(struct stage *s) {
    struct broker_side *side = broker_side(s);
    const char *route = s->version == 1 ? side->v1 : side->v2;
    char *path = str_printf("%s%s", route != NULL ? route : "", (const char *)s->c->data);
    struct dial d = {.who = 1, .path = path};
    struct link *l = dials(s, &d);
    mem_free(path);
    expects(s, l, "open");
    say(s, l,
        "{'message_type': '${pl}inventory_request', 'target': 'pcp:///server', 'data': {'query': ['pcp://${c1}/*']}}");
    static const struct answer answers[] = {
        {OURS, "close 4002 Association unsuccessful."}, {OURS, "end"}, {REF, "silence"}, {0, NULL}};
    expects_any(s, l, answers);
}

static void star_path(struct stage *s) {
    char *path = str_printf("%s/*", broker_side(s)->v2);
    struct dial d = {.who = 1, .version = 2, .path = path};
    struct link *l = dials(s, &d);
    mem_free(path);
    expects(s, l, "open");
    static const struct answer answers[] = {
        {REF, "close 1011 *"}, {OURS, "close 4002 Association unsuccessful."}, {0, NULL}};
    expects_any(s, l, answers);
}

/* ---- status */

struct status_case {
    const char *path;
    int status;
    const char *want; /* template, or text when it does not begin with '{' */
};

static void status_answers(struct stage *s) {
    const struct status_case *c = s->c->data;
    int status;
    const char *body = http_get(s, 0, c->path, &status);
    check(s, status == c->status, keep_text(s, str_printf("%d", c->status)), "%d %s", status, body);
    if (c->want[0] != '{') {
        check(s, glob_match(c->want, body), c->want, "%s", body);
        return;
    }
    json_t *got = json_parse(span_of(body), "x", NULL);
    check(s, got != NULL, "JSON", "%s", body);
    json_array_append_new(s->kept, got);
    json_t *want = template_read(&s->vars, c->want);
    json_array_append_new(s->kept, want);
    char *why;
    bool ok = template_match(&s->vars, want, got, &why);
    check(s, ok, c->want, "%s", ok ? "" : keep_text(s, why));
}

#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static const struct request
    no_upgrade = {"GET", "route", "", 404, NULL, NULL, NULL},
    post = {"POST", "route", "Content-Length: 0\r\n", 404, NULL, NULL, NULL},
    head = {"HEAD", "route", "", 404, NULL, NULL, NULL},
    put = {"PUT", "route", "Content-Length: 0\r\n", 404, NULL, NULL, NULL},
    options = {"OPTIONS", "route", "", 404, NULL, NULL, NULL},
    unknown = {"GET", "/nowhere/at/all", UPGRADE "Sec-WebSocket-Version: 13\r\n", 404, NULL, NULL, NULL},
    old_version = {"GET", "route", UPGRADE "Sec-WebSocket-Version: 8\r\n", 400, "sec-websocket-version", "13", NULL},
    no_key = {"GET", "route", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n", 400, NULL,
              NULL,  NULL};

static const struct named bare = {"", "agent"}, slash = {"/", "agent"}, controller = {"/controller", "controller"},
                          encoded = {"/a%20b", "a%20b"}, query = {"/agent?a=b", "agent"};

#define SERVICE "'service_version': '$string', 'service_status_version': 1, 'active_alerts': ['$each', '$any']"
static const struct status_case
    status_simple = {"/status/v1/simple", 200, "running"},
    status_simple_broker = {"/status/v1/simple/broker-service", 200, "running"},
    status_unknown = {"/status/v1/services/nope", 404,
                      "{'kind': 'service-not-found', 'msg': 'No status information found for service nope', '...': 0}"},
    status_simple_unknown = {"/status/v1/simple/nope", 404, "not found: nope"},
    status_level = {"/status/v1/services?level=bogus", 400,
                    "{'kind': 'data-invalid', 'msg': 'Invalid level: :bogus', '...': 0}"},
    status_all =
        {"/status/v1/services", 200,
         "{'broker-service': {" SERVICE
         ", 'detail_level': 'info', 'state': 'running', 'status': {'metrics': '$object', '...': 0}}, '...': 0}"},
    status_critical =
        {"/status/v1/services/broker-service?level=critical", 200,
         "{" SERVICE
         ", 'detail_level': 'critical', 'state': 'running', 'status': {}, 'service_name': 'broker-service'}"},
    status_debug = {"/status/v1/services/broker-service?level=debug", 200,
                    "{" SERVICE ", 'detail_level': 'debug', 'state': 'running', 'service_name': 'broker-service',"
                    " 'status': {'metrics': '$object', 'threads': '$any', 'memory': '$any', '...': 0}}"},
    status_metrics = {
        "/status/v1/services/broker-service", 200,
        "{'status': {'metrics': {'puppetlabs.pcp.on-message': {'rates': '$object', 'mean': '$number', 'std-dev':"
        " '$number', 'percentiles': '$object', 'largest': '$number', 'smallest': '$number'}, '...': 0}}, '...': 0}"};

const struct conform_case broker_http_cases[] = {
    {"pcp*/http/upgrade-001", "The upgrade is answered by RFC 6455: accept key, Upgrade and Connection.",
     "broker-observed.md HTTP", "pcp-int-01 obs-21", upgrade_answer, NULL, NULL, false},
    {"pcp*/http/subprotocol-001", "An offered subprotocol is ignored.", "broker-observed.md HTTP", "obs-http-01",
     extra_is_ignored, "Sec-WebSocket-Protocol: pcp, chat\r\n", NULL, false},
    {"pcp*/http/origin-001", "An Origin is ignored.", "broker-observed.md HTTP", "obs-http-01", extra_is_ignored,
     "Origin: https://elsewhere.example.com\r\n", NULL, false},
    {"pcp*/http/extension-001", "permessage-deflate may be accepted (reference) or declined (ours).",
     "broker-observed.md HTTP", "obs-http-01", extension_offered, NULL, NULL, false},
    {"pcp2/http/get-001", "A GET that asks for no upgrade gets 404.", "broker-observed.md HTTP", "obs-http-02",
     plain_request, &no_upgrade, NULL, false},
    {"pcp2/http/post-001", "POST gets 404.", "broker-observed.md HTTP", "obs-http-02", plain_request, &post, NULL,
     false},
    {"pcp2/http/head-001", "HEAD gets 404.", "broker-observed.md HTTP", "obs-http-02", plain_request, &head, NULL,
     false},
    {"pcp2/http/put-001", "PUT gets 404.", "broker-observed.md HTTP", "obs-http-02", plain_request, &put, NULL, false},
    {"pcp2/http/options-001", "OPTIONS gets 404.", "broker-observed.md HTTP", "obs-http-02", plain_request, &options,
     NULL, false},
    {"pcp2/http/path-001", "An upgrade on an unknown path gets 404.", "broker-observed.md HTTP", "obs-http-02",
     plain_request, &unknown, NULL, false},
    {"pcp2/http/version-001", "Another WebSocket version gets 400 that names version 13.", "broker-observed.md HTTP",
     "obs-http-02", plain_request, &old_version, NULL, false},
    {"pcp2/http/key-001", "An upgrade without Sec-WebSocket-Key gets 400.", "broker-observed.md HTTP", "obs-http-02",
     plain_request, &no_key, NULL, false},
    {"pcp*/http/type-001", "The bare route means type agent.", "pcp.md §8", "obs-http-03", path_names_type, &bare, NULL,
     false},
    {"pcp*/http/type-002", "The route with a slash means type agent.", "pcp.md §8", "obs-http-03", path_names_type,
     &slash, NULL, false},
    {"pcp*/http/type-003", "What stands behind the route is the client's type.", "pcp.md §7, §8", "obs-http-03",
     path_names_type, &controller, NULL, false},
    {"pcp*/http/type-004", "Percent-encoding in the type stays as it is.", "broker-observed.md HTTP", "obs-http-03",
     path_names_type, &encoded, NULL, false},
    {"pcp*/http/type-005", "A query string is dropped.", "broker-observed.md HTTP", "obs-http-03", path_names_type,
     &query, NULL, false},
    {"pcp*/http/deep-001", "A path of two parts names no client: no answers (reference) or 4002 (ours).",
     "broker-observed.md HTTP", "obs-http-04", deep_path, "/foo/bar", NULL, false},
    {"pcp*/http/deep-002", "A type with a slash behind it names no client.", "broker-observed.md HTTP", "obs-http-04",
     deep_path, "/agent/", NULL, false},
    {"pcp*/http/deep-003", "An empty part before the type names no client.", "broker-observed.md HTTP", "obs-http-04",
     deep_path, "//agent", NULL, false},
    {"pcp2/http/star-001", "Type * is refused.", "broker-observed.md HTTP", "obs-http-04", star_path, NULL, NULL,
     false},
    {"broker/status/simple-001", "/status/v1/simple says running.", "pcp.md §19", "obs-63 pcp-int-26", status_answers,
     &status_simple, NULL, false},
    {"broker/status/simple-002", "/status/v1/simple/broker-service says running.", "pcp.md §19", "obs-63",
     status_answers, &status_simple_broker, NULL, false},
    {"broker/status/simple-003", "An unknown service: 404 and a text.", "pcp.md §19", "obs-status-01", status_answers,
     &status_simple_unknown, NULL, false},
    {"broker/status/services-001", "All services with their metrics.", "pcp.md §19", "obs-63", status_answers,
     &status_all, NULL, false},
    {"broker/status/services-002", "An unknown service: 404 with kind and msg.", "broker-observed.md Status",
     "obs-status-01", status_answers, &status_unknown, NULL, false},
    {"broker/status/level-001", "level=critical: an empty status.", "pcp.md §19", "obs-63", status_answers,
     &status_critical, NULL, false},
    {"broker/status/level-002", "level=debug: threads and memory too.", "pcp.md §19", "obs-63", status_answers,
     &status_debug, NULL, false},
    {"broker/status/level-003", "A level that is none: 400 data-invalid.", "broker-observed.md Status", "obs-status-01",
     status_answers, &status_level, NULL, false},
    {"broker/status/metrics-001", "A timer has rates, mean, std-dev, percentiles, largest, smallest.", "pcp.md §20",
     "obs-63", status_answers, &status_metrics, NULL, false},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
