/* Who may connect at all: the certificate is the identity (pcp.md §8, §9.1). */
#include "base/mem.h"
#include "scenarios/conformance/broker_side.h"
#include <string.h>

static void no_certificate(struct stage *s) {
    struct dial d = {.type = "agent"};
    struct link *l = dials(s, &d);
    struct link_event *e = next_event(s, l);
    char *why;
    bool refused = event_is(s, l, e, "refused", &why);
    mem_free(why);
    if (!refused) {
        bool open = event_is(s, l, e, "open", &why);
        mem_free(why);
        link_event_free(e);
        check(s, open, "101 and then 4003, or no handshake (client-auth: need)", "%s", "something else");
        static const struct answer answers[] = {{ALL, "close 4003 No client certificate."}, {REF, "end"}, {0, NULL}};
        expects_any(s, l, answers);
        return;
    }
    link_event_free(e);
}

static void protocol_works(struct stage *s) {
    struct world_tls_files files = {.ca = s->ca_path, .protocols = s->c->data};
    struct world_tls *usual = s->tls;
    struct error err = ERROR_INIT;
    struct world_tls *tls = world_tls_new(s->world, &files, &err);
    check(s, tls != NULL, "a TLS context", "%s", err.msg);
    s->tls = tls;
    struct dial d = {.who = 1, .version = 2, .type = "agent"};
    struct link *l = dials(s, &d);
    s->tls = usual;
    world_tls_free(tls);
    expects(s, l, "open");
    works(s, l);
}

static struct link *with(struct stage *s, const struct certs_issue *issue) {
    struct dial d = {.version = 2, .type = "agent", .credential = credential_with(s, issue)};
    return dials(s, &d);
}

static void expired(struct stage *s) {
    int64_t now = world_wall_ms(s->world);
    struct certs_issue i = {
        .common_name = SPAN("client01.example.com"), .not_before_ms = now - 172800000, .not_after_ms = now - 86400000};
    expects(s, with(s, &i), "refused");
}

static void not_yet_valid(struct stage *s) {
    int64_t now = world_wall_ms(s->world);
    struct certs_issue i = {
        .common_name = SPAN("client01.example.com"), .not_before_ms = now + 86400000, .not_after_ms = now + 172800000};
    expects(s, with(s, &i), "refused");
}

static void foreign_ca(struct stage *s) {
    struct certs_ca_opts opts = {.common_name = "Puppet CA: conformance", .now_ms = world_wall_ms(s->world)};
    struct certs_ca *ca = certs_ca_new(&opts);
    struct real_credential *c = certs_mint(ca, "client01.example.com", s->key, world_wall_ms(s->world), NULL);
    certs_ca_free(ca);
    struct dial d = {.version = 2, .type = "agent", .credential = c};
    expects(s, dials(s, &d), "refused");
}

/* Certificates that the CA signed but that name nobody. */
static void refused_or_closed(struct stage *s, struct link *l) {
    struct link_event *e = next_event(s, l);
    char *why;
    bool refused = event_is(s, l, e, "refused", &why);
    mem_free(why);
    link_event_free(e);
    if (!refused) {
        static const struct answer answers[] = {
            {ALL, "close 4003 *"}, {ALL, "close 4002 *"}, {REF, "close 1011 *"}, {REF, "end"}, {0, NULL}};
        expects_any(s, l, answers);
    }
}

static void nobody(struct stage *s, const struct certs_issue *issue) {
    refused_or_closed(s, with(s, issue));
}

static void only_alternative_names(struct stage *s) {
    const char *const dns[] = {"client01.example.com", NULL};
    struct certs_issue i = {.without_common_name = true, .dns_names = dns};
    nobody(s, &i);
}

static void name_with_nul(struct stage *s) {
    struct certs_issue i = {.common_name = SPAN("client01.example.com\0.evil.example.com")};
    nobody(s, &i);
}

static void name_with_slash(struct stage *s) {
    struct certs_issue i = {.common_name = SPAN("client01.example.com/agent")};
    nobody(s, &i);
}

/* Which of two names would it be? */
static void two_names(struct stage *s) {
    struct certs_issue i = {.common_name = SPAN("client01.example.com"), .now_ms = world_wall_ms(s->world)};
    if (s->ca == NULL) {
        skips(s, "needs the CA's key, to make a certificate");
    }
    X509 *cert = certs_issue(s->ca, &i, s->key, NULL);
    X509_NAME *name = X509_NAME_dup(X509_get_subject_name(cert));
    X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const unsigned char *)"client02.example.com", -1,
                               -1, 0);
    X509_set_subject_name(cert, name);
    X509_NAME_free(name);
    X509_sign(cert, certs_ca_key(s->ca), EVP_sha256());
    struct dial d = {.version = 2, .type = "agent", .credential = real_credential_new(cert, s->key)};
    X509_free(cert);
    refused_or_closed(s, dials(s, &d));
}

static void revoked(struct stage *s) {
    struct certs_issue i = {.common_name = SPAN("revoked.example.com"), .now_ms = world_wall_ms(s->world)};
    X509 *cert = certs_issue(s->ca, &i, s->key, NULL);
    certs_revoke(s->ca, cert, i.now_ms);
    X509_CRL *list = certs_crl(s->ca, i.now_ms);
    char *text = certs_pem_crl(list);
    X509_CRL_free(list);
    world_file_write(s->world, variables_get(&s->vars, "crl"), span_of(text), 0644, WORLD_WRITE_ATOMIC, NULL);
    mem_free(text);
    broker_side(s)->stale = true;
    struct real_credential *c = real_credential_new(cert, s->key);
    X509_free(cert);
    /* The broker reads the new list when it notices it. */
    for (;;) {
        struct dial d = {.version = 2, .type = "agent", .credential = real_credential_ref(c)};
        struct link *l = dials(s, &d);
        struct link_event *e = next_event(s, l);
        bool out = e->kind == LINK_END;
        link_event_free(e);
        if (out) {
            break;
        }
        e = next_event(s, l); /* the CRL's change ends it */
        link_event_free(e);
    }
    real_credential_free(c);
}

const struct conform_case broker_tls_cases[] = {
    {"pcp*/tls/no-certificate-001", "Without a client certificate: 4003, or no handshake where one is demanded.",
     "pcp.md §9.1", "obs-close-01", no_certificate, NULL, NULL, false},
    {"broker/tls/protocol-001", "TLS 1.2 works.", "broker-observed.md HTTP", "obs-http-05", protocol_works, "TLSv1.2",
     NULL, false},
    {"broker/tls/protocol-002", "TLS 1.3 works.", "broker-observed.md HTTP", "obs-http-05", protocol_works, "TLSv1.3",
     NULL, false},
    {"broker/tls/expired-001", "An expired certificate does not get in.", "pcp.md §8", "obs-http-05", expired, NULL,
     NULL, false},
    {"broker/tls/early-001", "A certificate that is not valid yet does not get in.", "pcp.md §8", "obs-http-05",
     not_yet_valid, NULL, NULL, false},
    {"broker/tls/foreign-001", "A certificate of another CA with the same name does not get in.",
     "broker-observed.md HTTP", "obs-http-05", foreign_ca, NULL, NULL, false},
    {"broker/tls/nameless-001", "A certificate without a common name is nobody, whatever its alternative names.",
     "pcp.md §9.1", "obs-close-01", only_alternative_names, NULL, NULL, false},
    {"broker/tls/nul-001", "A common name that holds a NUL is nobody.", "pcp.md §9.1", "obs-close-01", name_with_nul,
     NULL, NULL, true},
    {"broker/tls/slash-001", "A common name that holds a slash is nobody.", "pcp.md §2, §9.1", "obs-close-01",
     name_with_slash, NULL, NULL, true},
    {"broker/tls/several-001", "A certificate with two common names is nobody.", "pcp.md §9.1", "obs-close-01",
     two_names, NULL, NULL, true},
    {"broker/tls/revoked-001", "A revoked certificate does not get in once the list says so.", "pcp.md §16",
     "obs-http-05", revoked, NULL, FIXTURE_CRL, false},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
