/* How things look: colours, boxes, numbers, errors (cli.md §2.2, §8.3, §8.4). */
#include "base/clock.h"
#include "base/mem.h"
#include "cli/internal.h"
#include "wire/percent.h"
#include <string.h>

const char *colour_on(const struct cli *cli, enum colour c) {
    static const char *const codes[] = {"",         "\033[31m", "\033[32m", "\033[33m",
                                        "\033[35m", "\033[36m", "\033[1m",  "\033[2m"};
    return cli->color ? codes[c] : "";
}

const char *colour_off(const struct cli *cli, enum colour c) {
    return cli->color && c != PLAIN ? "\033[0m" : "";
}

void print_json(struct cli *cli, const json_t *value) {
    char *text = json_text(value);
    fprintf(cli->host->out, "%s\n", text);
    mem_free(text);
}

static void print_rule(struct cli *cli, size_t left, size_t right) {
    FILE *out = cli->host->out;
    fputc('+', out);
    for (size_t i = 0; i < left + 2; i++) {
        fputc('-', out);
    }
    fputc('+', out);
    for (size_t i = 0; i < right + 2; i++) {
        fputc('-', out);
    }
    fputs("+\n", out);
}

void print_boxed(struct cli *cli, const char *const (*rows)[2], size_t count) {
    size_t width[2] = {0, 0};
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < 2; k++) {
            size_t len = strlen(rows[i][k]);
            width[k] = len > width[k] ? len : width[k];
        }
    }
    print_rule(cli, width[0], width[1]);
    for (size_t i = 0; i < count; i++) {
        fprintf(cli->host->out, "| %-*s | %-*s |\n", (int)width[0], rows[i][0], (int)width[1], rows[i][1]);
    }
    print_rule(cli, width[0], width[1]);
}

char *number_with_commas(int64_t n) {
    char digits[32];
    snprintf(digits, sizeof(digits), "%lld", (long long)(n < 0 ? -n : n));
    struct buf b = BUF_INIT;
    if (n < 0) {
        buf_append_char(&b, '-');
    }
    size_t len = strlen(digits);
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            buf_append_char(&b, ',');
        }
        buf_append_char(&b, digits[i]);
    }
    return buf_take(&b);
}

char *local_time_text(const struct cli *cli, const char *iso) {
    int64_t ms;
    if (iso == NULL || !time_parse(span_of(iso), &ms)) {
        return str_dup("");
    }
    const struct cli_host *host = cli->host;
    ms += host->utc_offset_s != NULL ? (int64_t)host->utc_offset_s(host->ctx, ms) * 1000 : 0;
    struct civil_time t = time_civil(ms);
    int hour = t.hour % 12 == 0 ? 12 : t.hour % 12;
    return str_printf("%02d/%02d/%04d %02d:%02d:%02d %s", t.month, t.day, t.year, hour, t.minute, t.second,
                      t.hour < 12 ? "AM" : "PM");
}

char *shown_text(const struct cli *cli, struct span text) {
    char *copy = span_dup(text);
    for (char *c = copy; cli->host->out_tty && *c != '\0'; c++) {
        if (((unsigned char)*c < 0x20 && *c != '\n' && *c != '\t') || *c == 0x7f) {
            *c = ' ';
        }
    }
    return copy;
}

char *one_line(const struct cli *cli, const char *text) {
    char *copy = shown_text(cli, span_trim(span_of(text)));
    for (char *c = copy; *c != '\0'; c++) {
        *c = *c == '\n' || *c == '\r' ? ' ' : *c;
    }
    return copy;
}

char *url_part(struct span text) {
    struct buf out = BUF_INIT;
    percent_encode(&out, text);
    return buf_take(&out);
}

static void print_indented(struct cli *cli, const char *text, int indent) {
    struct span rest = span_of(text), line;
    while (span_split(&rest, '\n', &line)) {
        if (line.len > 0 || rest.ptr != NULL) {
            char *shown = shown_text(cli, line);
            fprintf(cli->host->out, "%*s%s\n", indent, "", shown);
            mem_free(shown);
        }
    }
}

void print_error_text(struct cli *cli, const char *indent, const char *text) {
    struct span rest = span_trim(span_of(text)), line;
    const char *label = "Error: ";
    while (span_split(&rest, '\n', &line)) {
        char *shown = shown_text(cli, line);
        fprintf(cli->host->out, "%s%s%s\n", indent, label, shown);
        mem_free(shown);
        label = "       ";
    }
}

static bool plain_output(const json_t *result, const char **text) {
    *text = json_str(result, "_output");
    if (*text == NULL) {
        *text = json_str(result, "output");
    }
    return *text != NULL && json_object_size(result) == 1;
}

/* _error is printed as the error; a failed program often has printed nothing else. */
static bool worth_printing(const char *key, const json_t *value) {
    return strcmp(key, "_error") != 0 && (strcmp(key, "_output") != 0 || json_string_length(value) > 0);
}

void print_result(struct cli *cli, const json_t *result) {
    const char *text;
    if (!json_is_object(result)) {
        return;
    }
    if (plain_output(result, &text)) {
        if (text[0] != '\0') {
            fprintf(cli->host->out, "  STDOUT:\n");
            print_indented(cli, text, 4);
        }
        return;
    }
    size_t width = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)result, key, value) {
        size_t len = strlen(key);
        if (worth_printing(key, value) && len > width) {
            width = len;
        }
    }
    json_object_foreach((json_t *)(uintptr_t)result, key, value) {
        if (!worth_printing(key, value)) {
            continue;
        }
        char *text_of_value =
            json_is_string(value) ? shown_text(cli, span_of(json_string_value(value))) : json_text(value);
        char *shown_key = one_line(cli, key);
        fprintf(cli->host->out, "  %-*s : %s\n", (int)width, shown_key, text_of_value);
        mem_free(shown_key);
        mem_free(text_of_value);
    }
}

void print_resource_counts(struct cli *cli, const json_t *result) {
    const json_t *metrics = json_object_get(result, "metrics");
    if (!json_is_object(metrics)) {
        return;
    }
    int64_t failed = json_int(metrics, "failed", 0), changed = json_int(metrics, "changed", 0);
    int64_t skipped = json_int(metrics, "skipped", 0), noop = json_int(metrics, "noop", 0);
    int64_t unchanged = json_int(metrics, "total", 0) - failed - changed - skipped;
    const struct {
        int64_t n;
        const char *word;
        enum colour colour;
    } counts[] = {{failed, "failed", RED},
                  {changed, "changed", CYAN},
                  {unchanged < 0 ? 0 : unchanged, "unchanged", GREEN},
                  {skipped, "skipped", YELLOW},
                  {noop, "noop", MAGENTA}};
    fprintf(cli->host->out, "    Resource events:");
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        char *n = number_with_commas(counts[i].n);
        enum colour c = counts[i].n != 0 ? counts[i].colour : PLAIN;
        fprintf(cli->host->out, " %s%s %s%s", colour_on(cli, c), n, counts[i].word, colour_off(cli, c));
        mem_free(n);
    }
    fputc('\n', cli->host->out);
}

/* Of an application that is not there orchestrators say either (application-orchestration.md §2.2). */
static bool selects_nothing(const struct error *err) {
    return error_is(err, "puppetlabs.orchestrator/empty-target") ||
           error_is(err, "puppetlabs.orchestrator/unknown-target");
}

/* What the user can do about it. */
static const char *advice(const struct cli *cli, const struct error *err) {
    static const struct {
        const char *kind, *text;
    } table[] = {
        {"client/refused", "Is the service running there? --service-url or the configuration file names it."},
        {"client/unreachable", "Is the address right? --service-url or the configuration file names it."},
        {"client/timeout", "The service did not answer in time; try again, or look at its log."},
        {"client/tls", "Is the configured CA certificate (--ca-cert, of puppet-query --cacert) the one that signed the "
                       "service's certificate?"},
        {"puppetlabs.rbac/token-expired", "The token has expired: get a new one with `puppet-access login`."},
        {"puppetlabs.rbac/token-revoked", "The token was revoked: get a new one with `puppet-access login`."},
        {"puppetlabs.rbac/invalid-token", "The token is not valid here: get one with `puppet-access login`."},
        {"puppetlabs.rbac/user-unauthenticated", "Get a token with `puppet-access login`."},
        {"puppetlabs.rbac/token-timed-out",
         "The token was not used for too long: get a new one with `puppet-access login`."},
        {"puppetlabs.rbac/malformed-token-request", "Choose another --label or --lifetime."},
        {"puppetlabs.rbac/user-revoked", "Your account is revoked: ask an administrator."},
        {"puppetlabs.orchestrator/not-permitted", "Your user's roles do not allow this; ask for the permission."},
        {"puppetlabs.orchestrator/unknown-task",
         "`puppet-task show` lists the tasks there are; --environment names where."},
        {"puppetlabs.orchestrator/unknown-plan",
         "`puppet-plan show` lists the plans there are; --environment names where."},
        {"puppetlabs.orchestrator/unknown-job", "`puppet-job show` lists the jobs there are."},
        {"puppetlabs.orchestrator/unknown-environment",
         "--environment or the configuration file names it; is it deployed?"},
        {"puppetlabs.orchestrator/unavailable",
         "The orchestrator recovers by itself when the cause is gone; try again then."},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (error_is(err, table[i].kind)) {
            return table[i].text;
        }
    }
    if (selects_nothing(err) && cli->action != NULL) {
        return "The selection is empty.";
    }
    return NULL;
}

int report_error(struct cli *cli, const struct error *err) {
    FILE *to = cli->host->err;
    const char *kind = json_str(err->details, "kind");
    const json_t *details = json_object_get(err->details, "details");
    if (cli->json) {
        json_t *object = json_object();
        json_set(object, "kind", json_string(kind != NULL ? kind : err->kind));
        json_set(object, "msg", json_string(err->msg));
        json_set(object, "details", details != NULL ? json_incref((json_t *)(uintptr_t)details) : json_object());
        print_json(cli, object);
        json_decref(object);
        return EXIT_TROUBLE;
    }
    fprintf(to, "Error: %s", err->msg);
    if (kind != NULL && strncmp(kind, "client/", 7) != 0) {
        fprintf(to, " [%s]", kind);
    }
    fputc('\n', to);
    const char *next = advice(cli, err);
    if (selects_nothing(err)) {
        fprintf(to, "%s selected no node.\n", selector_name(cli));
    } else if (next != NULL) {
        fprintf(to, "%s\n", next);
    }
    if (cli->args.verbose) {
        fprintf(to, "  kind: %s\n", kind != NULL ? kind : err->kind);
        if (details != NULL) {
            char *text = json_text(details);
            fprintf(to, "  details: %s\n", text);
            mem_free(text);
        }
    }
    return EXIT_TROUBLE;
}
