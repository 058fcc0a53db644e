/* The question a message puts to the authorization rules (pcp.md §10 step 6 and §14.1). */
#include "broker/internal.h"

#include "base/mem.h"

/* ASCII word characters and the punctuation of URIs; the star only in targets. */
static bool legal(struct span text, bool star) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i], lower = (char)(c | 0x20);
        if (!((lower >= 'a' && lower <= 'z') || (c >= '-' && c <= ':') || c == '_' || (star && c == '*'))) {
            return false; /* '-' to ':' are - . / digits : */
        }
    }
    return true;
}

static bool illegal(struct broker *b, const char *what, struct span text) {
    struct buf quoted = BUF_INIT;
    buf_printf(&quoted, "Illegal message %s: '", what);
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f) {
            buf_printf(&quoted, "\\x%02x", (unsigned char)text.ptr[i]);
        } else {
            buf_append_char(&quoted, text.ptr[i]);
        }
    }
    buf_append_char(&quoted, '\'');
    log_event(b->log.main, LOG_WARN, "message-authorization", quoted.ptr, "allowed", "false", NULL);
    buf_free(&quoted);
    return false;
}

static void log_denial(struct broker *b, const struct world_identity *id, const char *rule,
                       const struct pcp_message *m) {
    if (!log_enabled(b->log.main, LOG_ERROR)) {
        return;
    }
    const char *name = id != NULL && id->common_name != NULL ? id->common_name : NULL;
    char *type = span_dup(m->message_type);
    char *text = str_printf(
        "Forbidden request: %s access to /pcp-broker/send (method :post) (authenticated: %s) denied by %s%s%s",
        name != NULL ? name : "(no certificate)", name != NULL ? "true" : "false",
        rule != NULL ? "rule '" : "the lack of a matching rule", rule != NULL ? rule : "", rule != NULL ? "'" : "");
    log_event(b->log.main, LOG_ERROR, "message-authorization", text, "allowed", "false", "messagetype", type, NULL);
    mem_free(text);
    mem_free(type);
}

bool authorize(struct broker *b, const struct world_identity *id, const struct pcp_message *m) {
    if (!legal(m->message_type, false)) {
        return illegal(b, "type", m->message_type);
    }
    if (!legal(m->target, true)) {
        return illegal(b, "target", m->target);
    }
    struct rules_request q = {.sender = m->sender, .target = m->target, .message_type = m->message_type};
    if (id != NULL) {
        q.common_name = id->common_name;
        q.alt_names = id->alt_names;
        q.alt_name_count = id->alt_name_count;
        q.extensions = id->extensions;
        q.extension_count = id->extension_count;
    }
    const char *rule;
    bool allowed = rules_allow(b->rules, &q, &rule);
    if (!allowed) {
        log_denial(b, id, rule, m);
    }
    return allowed;
}
