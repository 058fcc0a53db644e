/* The classifier: node groups and their rules (orchestrator-jobs.md §13.2). */
#include "base/mem.h"
#include "orchestrator/services/internal.h"

static json_t *read_group(struct ask *ask, const struct world_response *r, struct error *err) {
    json_t *body = ask_json(r, "the classifier", err);
    if (body == NULL) {
        return NULL;
    }
    if (r->status == 200) {
        return body;
    }
    const char *msg = json_str(body, "msg");
    json_t *scope = json_pack("{s:{s:s}}", "scope", "node_group", ask->subject);
    if (r->status == 404 || r->status == 400) {
        error_set_details(err, "puppetlabs.orchestrator/empty-target", scope, "There is no node group %s",
                          ask->subject);
    } else if (r->status == 403 || r->status == 401) {
        error_set_details(err, "puppetlabs.orchestrator/not-permitted", scope, "The node group %s may not be viewed",
                          ask->subject);
    } else {
        error_set_details(err, "puppetlabs.orchestrator/query-error", scope,
                          "The rule of node group %s cannot be used: %s", ask->subject,
                          msg != NULL ? msg : "the classifier gave no reason");
    }
    json_decref(body);
    return NULL;
}

static void ask_group(struct services *s, const char *token, const char *id, const char *what, services_answer *done,
                      void *ctx) {
    char *part = percent_encoded(id);
    ask_start(s,
              &(struct ask_opts){.url = str_printf("%s/v1/groups/%s%s", s->config->classifier_url, part, what),
                                 .token = token,
                                 .read = read_group,
                                 .subject = id},
              done, ctx);
    mem_free(part);
}

void services_group(struct services *s, const char *token, const char *id, services_answer *done, void *ctx) {
    ask_group(s, token, id, "", done, ctx);
}

void services_group_rules(struct services *s, const char *token, const char *id, services_answer *done, void *ctx) {
    ask_group(s, token, id, "/rules", done, ctx);
}
