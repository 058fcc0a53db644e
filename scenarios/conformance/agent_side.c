/* The agent under test: started with a configuration file of the reference's keys (agent.md §3), or one that somebody
 * else has pointed to our ports. */
#include "scenarios/conformance/agent_side.h"
#include "base/digest.h"
#include "base/mem.h"
#include "net/http_server.h"
#include <signal.h>
#include <string.h>

#define AGENT_NAME "agent01.example.com"
#define CONTROLLER "pcp://controller.example.com/controller"

struct agent_side *agent_side(struct stage *s) {
    return s->side;
}

/* ---- the file server */

struct served *served_file(struct stage *s, const char *path) {
    LIST_EACH (k, &agent_side(s)->served) {
        struct served *f = LIST_ITEM(k, struct served, link);
        if (strcmp(f->path, path) == 0) {
            return f;
        }
    }
    return NULL;
}

static void serve(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)route;
    struct stage *s = ctx;
    const struct http_request *r = http_request(ex);
    struct served *f = served_file(s, r->path);
    notes(s, "file", "< %s %s by %s", r->method, r->target, r->identity != NULL ? r->identity->common_name : "nobody");
    if (f != NULL) {
        f->asked++;
        mem_free(f->query);
        f->query = span_dup(r->query);
    }
    if (f == NULL || f->status != 200) {
        http_respond(ex, f != NULL ? f->status : 404, "text/plain", SPAN("not here"));
    } else {
        http_respond(ex, 200, "application/octet-stream", span_of(f->bytes));
    }
}

struct served *serves(struct stage *s, const char *path, const char *bytes) {
    struct served *f = served_file(s, path);
    if (f == NULL) {
        f = mem_zalloc(sizeof(*f));
        f->path = str_dup(path);
        list_push_back(&agent_side(s)->served, &f->link);
    }
    mem_free(f->bytes);
    f->bytes = str_dup(bytes);
    f->status = 200;
    f->asked = 0;
    char sha[65];
    sha256_hex(span_of(bytes), sha);
    variables_set(&s->vars, "sha", sha);
    return f;
}

void serves_status(struct stage *s, const char *path, int status) {
    serves(s, path, "")->status = status;
}

/* ---- connections */

static void accepted(void *ctx, struct world_conn *c) {
    struct stage *s = ctx;
    struct agent_side *side = s->side;
    if (side->agent != NULL) {
        link_free(side->agent);
    }
    side->agent = link_accept(c, "a");
    side->connections++;
}

static void refused(void *ctx, const char *remote, enum world_close_reason why, const char *text) {
    (void)remote;
    (void)why;
    struct stage *s = ctx;
    struct agent_side *side = s->side;
    notes(s, "a", "no handshake: %s", text);
    if (side->refused != NULL) {
        ++*side->refused;
    }
}

struct world_listener *agent_listens(struct stage *s, struct world_tls *tls, size_t *count) {
    struct agent_side *side = s->side;
    side->refused = count;
    struct world_listen listen = {
        .host = s->opts->command != NULL ? "127.0.0.1" : NULL, .port = side->port, .tls = tls, .on_refused = refused};
    return world_listen(s->world, &listen, accepted, s, NULL);
}

static bool is_there(void *ctx) {
    const struct agent_side *side = ctx;
    return side->agent != NULL && !list_empty(&side->agent->events);
}

static void associate(struct stage *s) {
    struct link *l = agent_side(s)->agent;
    expects(s, l,
            "{'id': '$keep:association', 'message_type': '${pl}associate_request', 'targets': ['pcp:///server'],"
            " 'sender': '${agent}', 'expires': '$time-ms', 'chunks': [1]}");
    say_v1(s, l,
           "{\"id\": \"6d6df5b5-ac6f-45c8-8c9a-0a1b2c3d4e5f\", \"message_type\": "
           "\"http://puppetlabs.com/associate_response\","
           " \"targets\": [\"${agent}\"], \"sender\": \"pcp:///server\", \"expires\": \"2099-01-01T00:00:00.000Z\"}",
           "{\"id\": \"${association}\", \"success\": true}");
}

void agent_connected(struct stage *s) {
    struct agent_side *side = s->side;
    uint64_t usual = s->opts->patience_ms;
    if (!waits_for(s, is_there, side, usual > 30000 ? usual : 30000)) {
        fails(s, "the agent connects",
              side->program.ended ? (side->program.log.len != 0 ? side->program.log.ptr : "it ended")
                                  : "nothing within the patience");
    }
    struct link *l = side->agent;
    l->version = s->version;
    mem_free(l->uri);
    l->uri = str_dup(CONTROLLER);
    expects(s, l, "open");
    int version = span_find_span(span_of(l->path), SPAN("/pcp2")) >= 0 ? 2 : 1;
    if (s->opts->command == NULL && version != s->version) {
        side->version = version;
        skips(s, "the agent speaks PCP v%d", version);
    }
    const struct world_identity *id = world_conn_peer(l->conn);
    if (id != NULL && id->common_name != NULL) {
        char *uri = str_printf("pcp://%s/agent", id->common_name);
        variables_set(&s->vars, "agent", uri);
        mem_free(uri);
    }
    if (l->version == 1 && !side->deaf) {
        associate(s);
    }
}

/* ---- asking */

/* A part of a template with double quotes, whichever it was written with. */
static char *double_quoted(const char *part) {
    char *out = str_dup(part != NULL ? part : "");
    if (strchr(out, '"') == NULL) {
        for (char *p = out; *p != '\0'; p++) {
            *p = *p == '\'' ? '"' : *p;
        }
    }
    return out;
}

void asks_as(struct stage *s, const char *sender, const char *type, const char *data) {
    char *d = double_quoted(data);
    char *m =
        str_printf("{\"message_type\": \"${pl}rpc_%s_request\", \"target\": \"${agent}\", \"sender\": \"%s\"%s%s}",
                   type, sender, data != NULL ? ", \"data\": " : "", d);
    say(s, agent_side(s)->agent, m);
    mem_free(m);
    mem_free(d);
}

void asks(struct stage *s, const char *type, const char *data) {
    asks_as(s, "${ctl}", type, data);
}

/* A message of the agent, as it stands on the wire in its version. */
static const char *form(struct stage *s, const char *type, const char *data, const char *v2_more) {
    struct buf out = BUF_INIT;
    json_t *d = template_read(&s->vars, data);
    char *text = json_text(d);
    json_decref(d);
    if (s->version == 2) {
        buf_printf(&out,
                   "{\"id\": \"$uuid\", \"message_type\": \"${pl}%s\", \"target\": \"${ctl}\", \"sender\": "
                   "\"${agent}\", \"data\": %s%s}",
                   type, text, v2_more);
    } else {
        buf_printf(&out,
                   "{\"id\": \"$uuid\", \"message_type\": \"${pl}%s\", \"targets\": [\"${ctl}\"], \"sender\": "
                   "\"${agent}\", \"expires\": \"$time-ms\","
                   " \"data\": %s, \"chunks\": [1, 2]}",
                   type, text);
    }
    mem_free(text);
    return keep_text(s, buf_take(&out));
}

static const char *rpc_form(struct stage *s, const char *type, const char *data) {
    char *name = str_printf("rpc_%s", type);
    const char *want = form(s, name, data, "");
    mem_free(name);
    return want;
}

void answers(struct stage *s, const char *type, const char *data) {
    expects(s, agent_side(s)->agent, rpc_form(s, type, data));
}

void provisional(struct stage *s) {
    answers(s, "provisional_response", "{'transaction_id': '${tx}'}");
}

static const char *error_data(struct stage *s, const char *description) {
    char *filled = variables_fill(&s->vars, description);
    json_t *d = json_pack("{s:s, s:s, s:s}", "transaction_id", variables_get(&s->vars, "tx"), "id",
                          variables_get(&s->vars, "sent"), "description", filled);
    const char *text = keep_text(s, json_text(d));
    json_decref(d);
    mem_free(filled);
    return text;
}

void answers_error(struct stage *s, const char *description) {
    answers(s, "error_message", error_data(s, description));
}

void answers_pcp_error(struct stage *s, const char *text) {
    char *data =
        s->version == 2 ? str_printf("'%s'", text) : str_printf("{'description': '%s', 'id': '${sent}'}", text);
    expects(s, agent_side(s)->agent, form(s, "error_message", data, ", \"in_reply_to\": \"${sent}\""));
    mem_free(data);
}

void provisional_and(struct stage *s, const char *type, const char *data) {
    struct link *l = agent_side(s)->agent;
    const char *other = strcmp(type, "error_message") == 0 && data[0] != '{' ? error_data(s, data) : data;
    const char *both[2] = {rpc_form(s, "provisional_response", "{'transaction_id': '${tx}'}"),
                           rpc_form(s, type, other)};
    for (int left = 3; left != 0;) {
        struct link_event *e = next_event(s, l);
        char *why[2] = {NULL, NULL};
        int found = 0;
        for (int i = 0; i < 2 && found == 0; i++) {
            if ((left & (1 << i)) != 0 && event_is(s, l, e, both[i], &why[i])) {
                found = 1 << i;
            }
        }
        link_event_free(e);
        char *got = str_printf("%s", why[1] != NULL ? why[1] : why[0] != NULL ? why[0] : "");
        mem_free(why[0]);
        mem_free(why[1]);
        const char *text = keep_text(s, got);
        check(s, found != 0, left == 3 ? keep_text(s, str_printf("%s\nand %s", both[0], both[1])) : both[left - 1],
              "%s", text);
        left &= ~found;
    }
}

static bool never(void *ctx) {
    (void)ctx;
    return false;
}

void status_becomes(struct stage *s, const char *results) {
    struct link *l = agent_side(s)->agent;
    for (int i = 0; i < 400; i++) {
        char tx[40];
        world_uuid(s->world, tx);
        char *data = str_printf(
            "{'transaction_id': '%s', 'module': 'status', 'action': 'query', 'params': {'transaction_id': '${tx}'}}",
            tx);
        asks(s, "blocking", data);
        mem_free(data);
        json_t *m = next_message(s, l), *r = json_object_get(json_object_get(m, "data"), "results");
        const char *status = json_str(r, "status");
        if (status != NULL && strcmp(status, "running") == 0 && strstr(results, "running") == NULL) {
            waits_for(s, never, NULL, 50);
            continue;
        }
        json_t *want = template_read(&s->vars, results);
        json_array_append_new(s->kept, want);
        char *why = NULL;
        bool ok = r != NULL && template_match(&s->vars, want, r, &why);
        check(s, ok, results, "%s", ok ? "" : r != NULL ? keep_text(s, why) : keep_text(s, json_text(m)));
        mem_free(why);
        return;
    }
    fails(s, results, "running for ever");
}

void agent_works(struct stage *s) {
    char tx[40];
    world_uuid(s->world, tx);
    char *data = str_printf("{'transaction_id': '%s', 'module': 'ping', 'action': 'ping', 'params': {}}", tx);
    asks(s, "blocking", data);
    mem_free(data);
    data = str_printf("{'transaction_id': '%s', 'results': {'request_hops': []}}", tx);
    answers(s, "blocking_response", data);
    mem_free(data);
}

void asks_task(struct stage *s, const struct task *t) {
    const char *filename = t->filename != NULL ? t->filename : "it.sh";
    char *path = str_printf("/puppet/v3/file_content/tasks/conf/%s", filename);
    if (t->script != NULL) {
        serves(s, path, t->script);
    }
    char *input = double_quoted(t->input != NULL ? t->input : "{}"), *more = double_quoted(t->more),
         *more_files = double_quoted(t->more_files);
    char *data = str_printf("{\"transaction_id\": \"${tx}\", \"module\": \"task\", \"action\": \"run\"%s, \"params\": "
                            "{\"task\": \"%s\", \"input\": %s,"
                            " \"files\": [{\"filename\": \"%s\", \"sha256\": \"${sha}\", \"uri\": {\"path\": \"%s\", "
                            "\"params\": {\"environment\":"
                            " \"production\"}}}%s]%s}}",
                            t->blocking ? ""
                            : t->quiet  ? ", \"notify_outcome\": false"
                                        : ", \"notify_outcome\": true",
                            t->name != NULL ? t->name : "conf::it", input, filename, path, more_files, more);
    asks(s, t->blocking ? "blocking" : "non_blocking", data);
    mem_free(input);
    mem_free(more);
    mem_free(more_files);
    mem_free(data);
    mem_free(path);
}

/* ---- the program */

const char *agent_path(struct stage *s, const char *format, ...) {
    va_list args;
    va_start(args, format);
    struct buf out = BUF_INIT;
    buf_printf(&out, "%s/", agent_side(s)->home);
    buf_vprintf(&out, format, args);
    va_end(args);
    return keep_text(s, buf_take(&out));
}

const char *file_text(struct stage *s, const char *path) {
    struct buf out = BUF_INIT;
    if (!world_file_read(s->world, path, 16 * 1024 * 1024, &out, NULL)) {
        buf_free(&out);
        return NULL;
    }
    return keep_text(s, buf_take(&out));
}

static void new_home(struct stage *s) {
    struct agent_side *side = s->side;
    char id[37];
    world_uuid(s->world, id);
    mem_free(side->home);
    side->home = str_printf("%s/%.8s", s->dir, id);
    static const char *const dirs[] = {"", "/spool", "/cache", "/modules", "/modules-conf", "/log"};
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
        char *dir = str_printf("%s%s", side->home, dirs[i]);
        world_file_mkdir(s->world, dir, 0750, true, NULL);
        mem_free(dir);
    }
    variables_set(&s->vars, "home", side->home);
    char *modules = str_printf("%s/modules", side->home), *configuration = str_printf("%s/modules-conf", side->home);
    write_modules(s, modules, configuration);
    mem_free(modules);
    mem_free(configuration);
}

void tested_agent_start(struct stage *s, const char *more_config) {
    struct agent_side *side = s->side;
    char *text = str_printf(
        "{\"broker-ws-uris\": [\"wss://localhost:%u/%s\"], \"primary-uris\": [\"https://localhost:%u\"], "
        "\"pcp-version\": \"%d\",\n"
        " \"ssl-ca-cert\": \"${ca}\", \"ssl-cert\": \"${agent-cert}\", \"ssl-key\": \"${agent-key}\", \"foreground\": "
        "true,\n"
        " \"modules-dir\": \"${home}/modules\", \"modules-config-dir\": \"${home}/modules-conf\", \"spool-dir\": "
        "\"${home}/spool\",\n"
        " \"task-cache-dir\": \"${home}/cache\", \"logfile\": \"-\", \"pidfile\": \"${home}/agent.pid\"%s}\n",
        side->port, s->version == 2 ? "pcp2" : "pcp", side->files_port, s->version,
        more_config != NULL ? more_config : "");
    char *filled = variables_fill(&s->vars, text), *path = str_printf("%s/pxp-agent.conf", side->home);
    world_file_write(s->world, path, span_of(filled), 0600, WORLD_WRITE_PLAIN, NULL);
    variables_set(&s->vars, "config", path);
    mem_free(text);
    mem_free(filled);
    mem_free(path);
    if (side->agent != NULL) {
        link_free(side->agent);
        side->agent = NULL;
    }
    program_start(s, &side->program);
}

void tested_agent_stop(struct stage *s, int signal) {
    struct agent_side *side = s->side;
    program_stop(&side->program, signal);
    if (side->agent != NULL) {
        link_free(side->agent);
        side->agent = NULL;
    }
}

static bool has_ended(void *ctx) {
    return ((struct program *)ctx)->ended;
}

int agent_exit(struct stage *s) {
    struct program *p = &agent_side(s)->program;
    waits(s, has_ended, p, "the agent ends");
    return p->signal != 0 ? 128 + p->signal : p->status;
}

/* ---- the suite */

static void drain(struct stage *s) {
    struct agent_side *side = s->side;
    for (struct link_event *e; side->agent != NULL && (e = link_take(side->agent)) != NULL;) {
        link_event_free(e);
    }
}

static bool start_fixture(struct stage *s, const char *fixture) {
    struct agent_side *side = s->side;
    tested_agent_stop(s, SIGKILL);
    mem_free(side->fixture);
    side->fixture = NULL;
    side->stale = false;
    side->deaf = false;
    new_home(s);
    if (strcmp(fixture, FIXTURE_STOPPED) != 0) {
        tested_agent_start(s, strcmp(fixture, FIXTURE_SMALL) == 0 ? ", \"max-message-size\": 1000" : NULL);
        agent_connected(s);
        side->fixture = str_dup(fixture);
        side->version = s->version;
    }
    return true;
}

static bool agent_fixture(struct stage *s, const char *fixture, char **why) {
    struct agent_side *side = s->side;
    char tx[37];
    world_uuid(s->world, tx);
    variables_set(&s->vars, "tx", tx);
    world_uuid(s->world, tx);
    variables_set(&s->vars, "tx2", tx);
    if (s->opts->command == NULL) {
        if (fixture != NULL) {
            *why = str_printf("needs to start the agent itself (%s): give a command", fixture);
            return false;
        }
        if (side->version != 0 && side->version != s->version) {
            *why = str_printf("the agent speaks PCP v%d", side->version);
            return false;
        }
        if (side->agent == NULL || side->agent->conn == NULL || side->version == 0) {
            agent_connected(s);
            side->version = s->version;
        }
        drain(s);
        return true;
    }
    const char *wanted = fixture != NULL ? fixture : "usual";
    bool fresh = strcmp(wanted, FIXTURE_FRESH) == 0 || strcmp(wanted, FIXTURE_STOPPED) == 0;
    if (fresh || side->stale || side->program.ended || side->fixture == NULL || side->version != s->version ||
        strcmp(side->fixture, wanted) != 0) {
        return start_fixture(s, wanted);
    }
    if (side->agent == NULL || side->agent->conn == NULL) {
        agent_connected(s);
    }
    drain(s);
    return true;
}

static bool listen_to_agent(struct stage *s, struct error *err) {
    struct agent_side *side = s->side;
    static const struct http_route routes[] = {{NULL, "/*rest", serve, NULL}, {NULL, NULL, NULL, NULL}};
    struct world_tls_files files = {.cert = variables_get(&s->vars, "cert"),
                                    .key = variables_get(&s->vars, "key"),
                                    .ca = s->ca_path,
                                    .client_auth = WORLD_CLIENT_AUTH_NEED};
    side->tls = world_tls_new(s->world, &files, err);
    if (side->tls == NULL) {
        return false;
    }
    const char *host = s->opts->command != NULL ? "127.0.0.1" : NULL;
    struct world_listen listen = {
        .host = host, .port = (uint16_t)s->opts->listen, .tls = side->tls, .on_refused = refused};
    side->listener = world_listen(s->world, &listen, accepted, s, err);
    struct http_server_opts server = {
        .listen = {.host = host, .port = (uint16_t)s->opts->files, .tls = side->tls}, .routes = routes, .ctx = s};
    side->files = side->listener != NULL ? http_server_new(s->world, &server, err) : NULL;
    if (side->files == NULL) {
        return false;
    }
    side->port = world_listener_port(side->listener);
    side->files_port = http_server_port(side->files);
    return true;
}

static bool agent_begin(struct stage *s, struct error *err) {
    struct agent_side *side = s->side = mem_zalloc(sizeof(*side));
    list_init(&side->served);
    side->program.s = s;
    variables_set(&s->vars, "pl", "http://puppetlabs.com/");
    variables_set(&s->vars, "ctl", CONTROLLER);
    variables_set(&s->vars, "agent", "pcp://" AGENT_NAME "/agent");
    if (s->opts->command == NULL && s->opts->listen == 0) {
        return error_set(err, "usage",
                         "name the agent: -- COMMAND that starts one, or --listen PORT for one that will connect");
    }
    if (!side_certificates(s, err)) {
        return false;
    }
    if (s->ca == NULL) {
        return error_set(err, "usage", "the agent needs a broker with a certificate it trusts: give --ca-key");
    }
    if (s->opts->command == NULL) {
        if (!side_issue_files(s, "broker.example.com", "cert", "key", err)) {
            return false;
        }
    } else if (!side_issue_files(s, AGENT_NAME, "agent-cert", "agent-key", err) ||
               !side_issue_files(s, "broker.example.com", "cert", "key", err)) {
        return false;
    }
    if (!listen_to_agent(s, err)) {
        return false;
    }
    if (s->opts->command == NULL && s->opts->modules != NULL) {
        write_modules(s, s->opts->modules, NULL);
    }
    if (s->opts->command == NULL) {
        fprintf(stderr,
                "dalang conform agent: waiting for the agent at wss://…:%u/pcp (v1) or /pcp2 (v2); its primary-uris: "
                "https://…:%u\n",
                side->port, side->files_port);
    }
    return true;
}

static void agent_end(struct stage *s) {
    struct agent_side *side = s->side;
    tested_agent_stop(s, SIGTERM);
    program_free(&side->program);
    if (side->listener != NULL) {
        world_listener_close(side->listener);
    }
    if (side->files != NULL) {
        http_server_free(side->files);
    }
    if (side->tls != NULL) {
        world_tls_free(side->tls);
    }
    for (struct list_link *k; (k = list_pop_front(&side->served)) != NULL;) {
        struct served *f = LIST_ITEM(k, struct served, link);
        mem_free(f->path);
        mem_free(f->bytes);
        mem_free(f->query);
        mem_free(f);
    }
    mem_free(side->fixture);
    mem_free(side->home);
    mem_free(side);
}

static const struct conform_case *const tables[] = {
    agent_message_cases, agent_module_cases, agent_task_cases,       agent_file_cases,
    agent_status_cases,  agent_schema_cases, agent_connection_cases, agent_start_cases,
};

const struct conform_suite conform_agent = {
    "agent", tables, sizeof(tables) / sizeof(tables[0]), true, agent_begin, agent_fixture, agent_end, NULL,
};
