#include "simulator/stack/tests/api_rig.h"

#include "base/mem.h"
#include "simulator/stack/tests/shape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char state_text[] =
    "{\"rbac\": {"
    "  \"settings\": {\"scrypt_n\": 1024},"
    "  \"roles\": ["
    "    {\"display_name\": \"View\", \"permissions\": ["
    "      {\"object_type\": \"orchestrator\", \"action\": \"view\", \"instance\": \"*\"}]},"
    "    {\"display_name\": \"Operate\", \"permissions\": ["
    "      {\"object_type\": \"orchestrator\", \"action\": \"view\", \"instance\": \"*\"},"
    "      {\"object_type\": \"puppet_agent\", \"action\": \"run\", \"instance\": \"*\"},"
    "      {\"object_type\": \"tasks\", \"action\": \"run\", \"instance\": \"echo\"},"
    "      {\"object_type\": \"tasks\", \"action\": \"run\", \"instance\": \"typed\"},"
    "      {\"object_type\": \"plans\", \"action\": \"run\", \"instance\": \"demo\"},"
    "      {\"object_type\": \"nodes\", \"action\": \"view_data\", \"instance\": \"*\"}]},"
    "    {\"display_name\": \"Echo\", \"permissions\": ["
    "      {\"object_type\": \"orchestrator\", \"action\": \"view\", \"instance\": \"*\"},"
    "      {\"object_type\": \"tasks\", \"action\": \"run\", \"instance\": \"echo\"}]},"
    "    {\"display_name\": \"Constrained\", \"permissions\": ["
    "      {\"object_type\": \"orchestrator\", \"action\": \"view\", \"instance\": \"*\"},"
    "      {\"object_type\": \"tasks\", \"action\": \"run_with_constraints\", \"instance\": \"1\"}]},"
    "    {\"display_name\": \"Granted\", \"permissions\": ["
    "      {\"object_type\": \"orchestrator\", \"action\": \"view\", \"instance\": \"*\"},"
    "      {\"object_type\": \"tasks\", \"action\": \"run_with_constraints\", \"instance\": \"2\"}]}],"
    "  \"users\": ["
    "    {\"login\": \"admin\", \"password\": \"simulated\", \"superuser\": true},"
    "    {\"login\": \"viewer\", \"roles\": [\"View\"]},"
    "    {\"login\": \"operator\", \"roles\": [\"Operate\"]},"
    "    {\"login\": \"tasker\", \"roles\": [\"Echo\"]},"
    "    {\"login\": \"granted\", \"roles\": [\"Granted\"]},"
    "    {\"login\": \"limited\", \"roles\": [\"Constrained\"]},"
    "    {\"login\": \"gone\", \"roles\": [\"View\"], \"revoked\": true},"
    "    {\"login\": \"nobody\", \"roles\": []}],"
    "  \"tokens\": ["
    "    {\"token\": \"token-admin\", \"login\": \"admin\"},"
    "    {\"token\": \"token-viewer\", \"login\": \"viewer\"},"
    "    {\"token\": \"token-operator\", \"login\": \"operator\"},"
    "    {\"token\": \"token-tasker\", \"login\": \"tasker\"},"
    "    {\"token\": \"token-granted\", \"login\": \"granted\"},"
    "    {\"token\": \"token-limited\", \"login\": \"limited\"},"
    "    {\"token\": \"token-nobody\", \"login\": \"nobody\"},"
    "    {\"token\": \"token-expired\", \"login\": \"viewer\", \"expires\": \"2020-01-01T00:00:00Z\"},"
    "    {\"token\": \"token-idle\", \"login\": \"viewer\", \"timeout_minutes\": 5,"
    "     \"last_active\": \"2030-01-01T00:00:00Z\"},"
    "    {\"token\": \"token-gone\", \"login\": \"gone\"},"
    "    {\"token\": \"token-revoked\", \"login\": \"viewer\", \"revoked\": true}]},"
    " \"classifier\": {\"groups\": ["
    "    {\"name\": \"All of them\", \"id\": \"" GROUP_ALL "\", \"parent\": \"root\","
    "     \"rule\": [\"~\", \"name\", \"^node-\"], \"classes\": {}},"
    "    {\"name\": \"No rule\", \"id\": \"" GROUP_BARE "\", \"parent\": \"root\", \"classes\": {}},"
    "    {\"name\": \"Nobody\", \"id\": \"" GROUP_NONE "\", \"parent\": \"root\","
    "     \"rule\": [\"=\", \"name\", \"no-such-node\"], \"classes\": {}}]},"
    " \"puppetserver\": {\"environments\": {\"staging\": {\"modulepath\": []}}}}";

static const struct {
    const char *path, *text;
} modules[] = {
    {"echo/tasks/init.sh", "#!/bin/sh\ncat\n"},
    {"echo/tasks/init.json", "{\"description\": \"Says it again\", \"input_method\": \"stdin\"}"},
    {"typed/tasks/init.sh", "#!/bin/sh\ncat\n"},
    {"typed/tasks/init.json", "{\"input_method\": \"stdin\", \"supports_noop\": true, \"parameters\": {"
                              "  \"count\": {\"type\": \"Integer[1, 5]\"},"
                              "  \"mode\": {\"type\": \"Enum['fast', 'slow']\", \"default\": \"fast\"},"
                              "  \"password\": {\"type\": \"Optional[String[4]]\", \"sensitive\": true}}}"},
    {"other/tasks/init.sh", "#!/bin/sh\ncat\n"},
    {"demo/plans/init.pp", "plan demo(String $word = 'x') { return $word }\n"},
};

static bool fill_modules(void *ctx, struct world *w, const char *dir, struct error *err) {
    (void)ctx;
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
        char *path = str_printf("%s/%s", dir, modules[i].path);
        char *parent = str_dup(path);
        *strrchr(parent, '/') = '\0';
        bool ok = world_file_mkdir(w, parent, 0755, true, err) &&
                  world_file_write(w, path, span_of(modules[i].text), 0755, WORLD_WRITE_PLAIN, err);
        mem_free(parent);
        mem_free(path);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static void configure(void *ctx, struct orchestrator_config *config) {
    struct api_rig *rig = ctx;
    if (rig->configure != NULL) {
        rig->configure(config);
    }
}

static bool ready(void *ctx) {
    return simulated_ready(((struct api_rig *)ctx)->stack);
}

void api_rig_start(struct api_rig *rig) {
    struct error err = ERROR_INIT;
    rig->sim = sim_new(&(struct sim_opts){.seed = 1});
    rig->state = json_parse(span_of(state_text), "state", &err);
    rig->stack = rig->state == NULL ? NULL
                                    : simulated_new(&(struct simulated_opts){.sim = rig->sim,
                                                                             .agents = 2,
                                                                             .groups = rig->groups,
                                                                             .group_count = rig->group_count,
                                                                             .brokers = rig->brokers,
                                                                             .behaviours = rig->behaviours,
                                                                             .state = rig->state,
                                                                             .fill_modules = fill_modules,
                                                                             .configure_orchestrator = configure,
                                                                             .configure_ctx = rig,
                                                                             .log_to_trace = true},
                                                    &err);
    if (rig->stack == NULL) {
        fail_msg("no stack: %s", err.msg);
    }
    rig->person = sim_host(rig->sim, "person");
    struct world_tls_files files = sim_tls_files(rig->person, "client"), other = sim_tls_files(rig->person, "stranger");
    rig->tls = world_tls_new(rig->person, &files, NULL);
    rig->stranger_tls = world_tls_new(rig->person, &other, NULL);
    assert_true(sim_run_until(rig->sim, SIM_MINUTE, ready, rig));
}

void api_rig_end(struct api_rig *rig) {
    simulated_free(rig->stack);
    world_tls_free(rig->tls);
    world_tls_free(rig->stranger_tls);
    sim_run_idle(rig->sim, SIM_MINUTE);
    sim_free(rig->sim);
    json_decref(rig->state);
}

void api_rig_run(struct api_rig *rig, uint64_t us) {
    sim_run(rig->sim, sim_now_us(rig->sim) + us);
}

/* ---- requests */

struct asking {
    struct reply reply;
    bool done;
};

static void on_answer(void *ctx, const struct world_response *r) {
    struct asking *a = ctx;
    a->done = true;
    a->reply.status = r->err != NULL ? 0 : r->status;
    a->reply.text = r->err != NULL ? str_dup(r->err->msg) : span_dup(r->body);
    a->reply.body = json_parse(span_of(a->reply.text), "body", NULL);
}

static bool answered(void *ctx) {
    return ((struct asking *)ctx)->done;
}

struct reply api_ask(struct api_rig *rig, const char *who, const char *method, const char *path, const char *body) {
    struct world_header headers[3];
    size_t count = 0;
    bool by_certificate = str_eq(who, CERTIFICATE);
    if (who != NULL && !by_certificate) {
        headers[count++] = (struct world_header){"X-Authentication", who};
    }
    if (body != NULL) {
        headers[count++] =
            (struct world_header){"Content-Type", rig->content_type != NULL ? rig->content_type : "application/json"};
    }
    if (rig->accept != NULL) {
        headers[count++] = (struct world_header){"Accept", rig->accept};
    }
    char *url = str_printf("https://orchestrator:8143%s", path);
    struct asking a = {0};
    world_fetch(rig->person,
                &(struct world_fetch_opts){.method = method,
                                           .url = url,
                                           .headers = headers,
                                           .header_count = count,
                                           .body = span_of(body),
                                           .tls = by_certificate ? rig->tls : rig->stranger_tls},
                on_answer, &a);
    mem_free(url);
    if (!sim_run_until(rig->sim, SIM_MINUTE, answered, &a)) {
        fail_msg("%s %s: no answer", method, path);
    }
    return a.reply;
}

void reply_free(struct reply *r) {
    json_decref(r->body);
    mem_free(r->text);
    *r = (struct reply){0};
}

const char *api_wait_job(struct api_rig *rig, const char *id) {
    static const char *const final[] = {"finished", "failed", "stopped"};
    char *path = str_printf("/orchestrator/v1/jobs/%s", id);
    const char *found = NULL;
    for (int i = 0; i < 300 && found == NULL; i++) {
        struct reply r = api_ask(rig, ADMIN, "GET", path, NULL);
        for (size_t k = 0; k < 3; k++) {
            found = str_eq(json_str(r.body, "state"), final[k]) ? final[k] : found;
        }
        reply_free(&r);
        if (found == NULL) {
            api_rig_run(rig, SIM_SECOND);
        }
    }
    mem_free(path);
    if (found == NULL) {
        fail_msg("job %s does not end", id);
    }
    return found;
}

/* ---- tables */

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void write_sorted_keys(struct buf *out, const json_t *object) {
    const char *keys[32], *key;
    size_t count = 0;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        assert_true(count < 32);
        keys[count++] = key;
    }
    qsort(keys, count, sizeof keys[0], by_name);
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "%s%s", i != 0 ? " " : "", keys[i]);
    }
}

static void check_error(const struct exchange *x, const struct reply *r) {
    char *kind = strchr(x->kind, '/') != NULL ? str_dup(x->kind) : str_printf("puppetlabs.orchestrator/%s", x->kind);
    const char *given = json_str(r->body, "kind"), *msg = json_str(r->body, "msg");
    if (!str_eq(given, kind) || msg == NULL || msg[0] == '\0') {
        fail_msg("%s %s %s: kind %s expected: %s", x->method, x->path, x->body, kind, r->text);
    }
    mem_free(kind);
    if (x->details != NULL) {
        struct buf keys = BUF_INIT;
        json_t *details = json_object_get(r->body, "details");
        write_sorted_keys(&keys, details);
        if (!json_is_object(details) || !span_eq_cstr(buf_span(&keys), x->details)) {
            fail_msg("%s %s %s: details with \"%s\" expected: %s", x->method, x->path, x->body, x->details, r->text);
        }
        buf_free(&keys);
    }
}

static void check_exchange(struct api_rig *rig, const struct exchange *x) {
    struct reply r = api_ask(rig, x->who, x->method, x->path, x->body);
    if (r.status != x->status) {
        fail_msg("%s %s %s: status %d instead of %d: %s", x->method, x->path, x->body != NULL ? x->body : "", r.status,
                 x->status, r.text);
    }
    if (x->kind != NULL) {
        check_error(x, &r);
    }
    if (x->shape != NULL) {
        struct buf why = BUF_INIT;
        if (!shape_fits(x->shape, r.body, &why)) {
            fail_msg("%s %s: %s\nin %s", x->method, x->path, why.ptr, r.text);
        }
        buf_free(&why);
    }
    reply_free(&r);
    if (x->then_us != 0) {
        api_rig_run(rig, x->then_us);
    }
}

void api_exchanges(struct api_rig *rig, const struct exchange *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        check_exchange(rig, &list[i]);
    }
}
