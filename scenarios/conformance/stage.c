/* The parts of a stage that do not depend on who is judged: endings, notes, waiting, people and their certificates. */
#include "scenarios/conformance/stage.h"
#include "base/mem.h"
#include "world/real.h"
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

enum { TRANSCRIPT_MAX = 24 * 1024, NOTE_MAX = 900 };

void notes(struct stage *s, const char *who, const char *format, ...) {
    va_list args;
    va_start(args, format);
    struct buf line = BUF_INIT;
    buf_vprintf(&line, format, args);
    va_end(args);
    bool cut = line.len > NOTE_MAX;
    buf_printf(&s->transcript, "%-4s %.*s%s\n", who, (int)(cut ? NOTE_MAX : line.len), line.ptr, cut ? "…" : "");
    buf_free(&line);
    if (s->transcript.len > 2 * TRANSCRIPT_MAX) {
        buf_consume(&s->transcript, s->transcript.len - TRANSCRIPT_MAX);
    }
}

_Noreturn void fails(struct stage *s, const char *expected, const char *got) {
    s->failed = true;
    s->expected = str_dup(expected);
    s->got = str_dup(got);
    longjmp(s->out, 1);
}

_Noreturn void skips(struct stage *s, const char *format, ...) {
    va_list args;
    va_start(args, format);
    struct buf why = BUF_INIT;
    buf_vprintf(&why, format, args);
    va_end(args);
    s->skipped = buf_take(&why);
    longjmp(s->out, 1);
}

void check(struct stage *s, bool holds, const char *expected, const char *got_format, ...) {
    if (holds) {
        return;
    }
    va_list args;
    va_start(args, got_format);
    struct buf got = BUF_INIT;
    buf_vprintf(&got, got_format, args);
    va_end(args);
    s->failed = true;
    s->expected = str_dup(expected);
    s->got = buf_take(&got);
    longjmp(s->out, 1);
}

void saw(struct stage *s, unsigned who) {
    s->seen = s->seen == 0 ? who : (s->seen & who) != 0 ? s->seen & who : s->seen | who;
}

const char *keep_text(struct stage *s, char *text) {
    json_t *kept = json_stringn_nocheck(text, strlen(text));
    mem_free(text);
    json_array_append_new(s->kept, kept);
    return json_string_value(kept);
}

const char *fresh_id(struct stage *s) {
    char id[37];
    world_uuid(s->world, id);
    variables_set(&s->vars, "sent", id);
    return variables_get(&s->vars, "sent");
}

/* ---- waiting */

static void time_is_up(void *ctx) {
    *(bool *)ctx = true;
}

bool waits_for(struct stage *s, bool (*holds)(void *ctx), void *ctx, uint64_t ms) {
    bool up = false;
    struct timer timer = {0};
    world_timer_start(s->world, &timer, ms, time_is_up, &up);
    bool ok;
    while (!(ok = holds(ctx)) && !up && s->interrupted == NULL) {
        real_world_turn(s->world, true);
    }
    world_timer_stop(s->world, &timer);
    if (s->interrupted != NULL) {
        skips(s, "interrupted");
    }
    return ok;
}

void waits(struct stage *s, bool (*holds)(void *ctx), void *ctx, const char *what) {
    if (!waits_for(s, holds, ctx, s->opts->patience_ms)) {
        check(s, false, what, "nothing within %llu ms", (unsigned long long)s->opts->patience_ms);
    }
}

/* ---- people */

char *stage_file(struct stage *s, const char *name, const char *format, ...) {
    va_list args;
    va_start(args, format);
    struct buf text = BUF_INIT;
    buf_vprintf(&text, format, args);
    va_end(args);
    char *path = str_printf("%s/%s", s->dir, name);
    struct error err = ERROR_INIT;
    if (!world_file_write(s->world, path, buf_span(&text), 0600, WORLD_WRITE_PLAIN, &err)) {
        fails(s, "a writable directory", err.msg);
    }
    buf_free(&text);
    return (char *)(uintptr_t)keep_text(s, path);
}

static struct real_credential *from_files(const char *base) {
    char *cert_path = str_printf("%s.pem", base), *key_path = str_printf("%s.key", base);
    FILE *cert_file = fopen(cert_path, "re"), *key_file = fopen(key_path, "re");
    X509 *cert = cert_file != NULL ? PEM_read_X509(cert_file, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = key_file != NULL ? PEM_read_PrivateKey(key_file, NULL, NULL, NULL) : NULL;
    struct real_credential *c = cert != NULL && key != NULL ? real_credential_new(cert, key) : NULL;
    if (cert_file != NULL) {
        fclose(cert_file);
    }
    if (key_file != NULL) {
        fclose(key_file);
    }
    X509_free(cert);
    EVP_PKEY_free(key);
    mem_free(cert_path);
    mem_free(key_path);
    return c;
}

static void meet(struct stage *s, int who) {
    if (s->credentials[who] != NULL) {
        return;
    }
    char *name;
    if (s->ca != NULL) {
        name = str_printf("client%02d.example.com", who);
        s->credentials[who] = certs_mint(s->ca, name, s->key, world_wall_ms(s->world), NULL);
    } else {
        if ((size_t)who > s->cert_count) {
            skips(s, "needs %d certificates, %s has %zu", who, s->opts->certs, s->cert_count);
        }
        s->credentials[who] = from_files(s->certs[who - 1]);
        if (s->credentials[who] == NULL) {
            fails(s, "a certificate and its key in PEM files", s->certs[who - 1]);
        }
        X509 *cert = real_credential_cert(s->credentials[who]);
        char text[CERTS_NAME_MAX + 1] = "";
        X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, text, sizeof(text));
        X509_free(cert);
        name = str_dup(text);
    }
    char key[8];
    snprintf(key, sizeof(key), "c%d", who);
    variables_set(&s->vars, key, name);
    char *uri = str_printf("pcp://%s/agent", name);
    key[0] = 'a';
    variables_set(&s->vars, key, uri);
    mem_free(uri);
    mem_free(name);
}

const char *name_of(struct stage *s, int who) {
    meet(s, who);
    char key[8];
    snprintf(key, sizeof(key), "c%d", who);
    return variables_get(&s->vars, key);
}

struct real_credential *credential_of(struct stage *s, int who) {
    meet(s, who);
    return s->credentials[who];
}

struct real_credential *credential_with(struct stage *s, const struct certs_issue *what) {
    if (s->ca == NULL) {
        skips(s, "needs a CA's key to make a certificate with (--ca-key)");
    }
    struct certs_issue issue = *what;
    issue.now_ms = world_wall_ms(s->world);
    struct error err = ERROR_INIT;
    X509 *cert = certs_issue(s->ca, &issue, s->key, &err);
    if (cert == NULL) {
        fails(s, "a certificate", err.msg);
    }
    struct real_credential *c = real_credential_new(cert, s->key);
    X509_free(cert);
    return c;
}
