/* transport-bench: measures echo servers, then clients, in one run and prints what a connection costs each of them
 * beside the floor. */
#include "measure.h"
#include "transport.h"

#include "base/mem.h"
#include "base/option.h"
#include "simulator/bench/process.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct kind {
    const char *name;
    int (*serve)(const struct server_files *files, uint16_t port);
    int (*dial)(const struct dialling *d); /* NULL: not measured as client */
};
static const struct kind kinds[] = {
    {"openssl", serve_openssl, dial_openssl}, /* the floor, first: the others are divided by it */
    {"dalang", serve_dalang, dial_dalang},
    {"libwebsockets", serve_lws, NULL},
};
enum {
    KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]),
    STEPS = 3,
    ROUNDS = 8,
    WARM = 10, /* connections before measuring begins */
};

struct result {
    bool ok;
    double rss_empty, rss_per_conn[STEPS], handshake_us, message_us, messages_per_s, dropped;
    double client_rss_empty, client_rss_per_conn, client_us;
};

struct bench {
    uint64_t connections, messages, active, port;
    bool json;
    const char *only;
    char dir[64];
    char *ca;
    struct certs_paths server, client;
};

/* Servers take turns, round by round, and the best round counts: what else the machine does hits all of them alike. */
struct server {
    const struct kind *kind; /* NULL: not measured */
    struct child child;
    uint16_t port;
    struct echo_client *client;
    struct result result;
};

/* ---- servers */

static bool begin(struct server *s, const struct bench *b, int i) {
    s->kind = &kinds[i];
    s->port = (uint16_t)(b->port + (uint64_t)i);
    char port[8];
    snprintf(port, sizeof(port), "%u", s->port);
    const char *argv[] = {"transport-bench", "--serve", s->kind->name, b->server.cert,
                          b->server.key,     b->ca,     port,          NULL};
    if (!child_start(&s->child, argv) || !child_says(&s->child, "ready")) {
        return false;
    }
    s->client = echo_client_new(&(struct server_files){b->client.cert, b->client.key, b->ca}, s->port);
    s->result.ok = echo_client_grow(s->client, WARM); /* first use of everything */
    s->result.rss_empty = (double)process_anon_bytes(s->child.pid);
    return s->result.ok;
}

static double less(double best, double value) {
    return best == 0 || value < best ? value : best;
}

static void connect_round(struct server *s, size_t count) {
    double cpu = process_cpu_us(s->child.pid);
    s->result.ok = s->result.ok && echo_client_grow(s->client, echo_client_count(s->client) + count);
    s->result.handshake_us = less(s->result.handshake_us, (process_cpu_us(s->child.pid) - cpu) / (double)count);
}

static void echo_round(struct server *s, const struct bench *b) {
    double cpu = process_cpu_us(s->child.pid), since = clock_s();
    uint64_t messages = b->messages / ROUNDS;
    s->result.ok = s->result.ok && echo_client_echo(s->client, b->active, messages);
    s->result.message_us = less(s->result.message_us, (process_cpu_us(s->child.pid) - cpu) / (double)messages);
    double rate = (double)messages / (clock_s() - since);
    s->result.messages_per_s = rate > s->result.messages_per_s ? rate : s->result.messages_per_s;
}

static void note_memory(struct server *s, int step) {
    double count = (double)echo_client_count(s->client) - WARM;
    s->result.rss_per_conn[step] = ((double)process_anon_bytes(s->child.pid) - s->result.rss_empty) / count;
}

static void measure_servers(struct server *servers, const struct bench *b) {
    const size_t hundredth = b->connections / 100, tenth = b->connections / 10;
    for (int round = 0; round <= ROUNDS; round++) {
        for (struct server *s = servers; s < servers + KIND_COUNT; s++) {
            if (s->client == NULL) {
                continue;
            }
            if (round == 0) {
                connect_round(s, hundredth);
                note_memory(s, 0);
                connect_round(s, tenth - hundredth);
                note_memory(s, 1);
            } else {
                connect_round(s, (b->connections - tenth) / ROUNDS);
            }
        }
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (struct server *s = servers; s < servers + KIND_COUNT; s++) {
            if (s->client != NULL) {
                if (round == 0) {
                    note_memory(s, 2);
                }
                echo_round(s, b);
            }
        }
    }
}

/* ---- clients, at the floor's server */

static void measure_client(struct server *s, const struct bench *b, uint16_t port) {
    char count[24], at[8];
    snprintf(count, sizeof(count), "%llu", (unsigned long long)b->connections);
    snprintf(at, sizeof(at), "%u", port);
    const char *argv[] = {
        "transport-bench", "--dial", s->kind->name, b->client.cert, b->client.key, b->ca, b->dir, at, count, NULL};
    struct child c = {0};
    bool ok = child_start(&c, argv) && child_says(&c, "warm");
    double rss = (double)process_anon_bytes(c.pid), cpu = process_cpu_us(c.pid);
    child_go_on(&c);
    ok = ok && child_says(&c, "ready");
    s->result.ok = s->result.ok && ok;
    s->result.client_rss_empty = rss;
    s->result.client_rss_per_conn = ((double)process_anon_bytes(c.pid) - rss) / (double)b->connections;
    s->result.client_us = (process_cpu_us(c.pid) - cpu) / (double)b->connections;
    child_end(&c);
}

/* ---- certificates */

static void must(bool ok, struct error *err) {
    if (!ok) {
        fprintf(stderr, "transport-bench: %s\n", err->msg);
        exit(1);
    }
}

static void make_certificates(struct bench *b) {
    struct error err = ERROR_INIT;
    strcpy(b->dir, "/tmp/transport-bench-XXXXXX");
    if (mkdtemp(b->dir) == NULL) {
        perror(b->dir);
        exit(1);
    }
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    struct certs_ca *ca = certs_dir_open(b->dir, &(struct certs_ca_opts){.now_ms = now_ms}, &err);
    must(ca != NULL, &err);
    b->ca = str_printf("%s/ca.pem", b->dir);
    const char *dns[] = {"server", NULL};
    struct certs_issue server = {.common_name = SPAN("server"), .dns_names = dns, .now_ms = now_ms},
                       client = {.common_name = SPAN("agent-000000.example.com"), .now_ms = now_ms};
    must(certs_dir_issue(ca, b->dir, &server, &b->server, &err), &err);
    must(certs_dir_issue(ca, b->dir, &client, &b->client, &err), &err);
    certs_ca_free(ca);
}

static void remove_files(const char *dir) {
    DIR *d = opendir(dir);
    for (struct dirent *entry; d != NULL && (entry = readdir(d)) != NULL;) {
        char *path = str_printf("%s/%s", dir, entry->d_name);
        unlink(path);
        mem_free(path);
    }
    if (d != NULL) {
        closedir(d);
    }
    rmdir(dir);
}

static void remove_certificates(struct bench *b) {
    char *certs = str_printf("%s/certs", b->dir);
    remove_files(certs);
    remove_files(b->dir);
    mem_free(certs);
    mem_free(b->ca);
    certs_paths_free(&b->server);
    certs_paths_free(&b->client);
}

/* ---- printing */

static const struct row {
    const char *label, *key, *unit;
    size_t offset;
} rows[] = {
    {"server: memory, at a hundredth", "server_bytes_per_connection_1_100", "B", offsetof(struct result, rss_per_conn)},
    {"server: memory, at a tenth", "server_bytes_per_connection_1_10", "B", offsetof(struct result, rss_per_conn[1])},
    {"server: memory per idle connection", "server_bytes_per_connection", "B",
     offsetof(struct result, rss_per_conn[2])},
    {"server: memory with no connection", "server_bytes_empty", "B", offsetof(struct result, rss_empty)},
    {"server: CPU per new connection", "server_us_per_connection", "us", offsetof(struct result, handshake_us)},
    {"server: CPU per echoed 1 KiB", "server_us_per_message", "us", offsetof(struct result, message_us)},
    {"messages per second", "messages_per_second", "/s", offsetof(struct result, messages_per_s)},
    {"new connections dropped by server", "dropped", "", offsetof(struct result, dropped)},
    {"client: memory per idle connection", "client_bytes_per_connection", "B",
     offsetof(struct result, client_rss_per_conn)},
    {"client: CPU per new connection", "client_us_per_connection", "us", offsetof(struct result, client_us)},
};
enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

static double value_of(const struct row *row, const struct server *s) {
    return *(const double *)(const void *)((const char *)&s->result + row->offset);
}

static void print_table(const struct bench *b, const struct server *servers) {
    printf("%-36s", "");
    for (int i = 0; i < KIND_COUNT; i++) {
        printf("%-22s", kinds[i].name);
    }
    printf("\n");
    for (const struct row *row = rows; row < rows + ROW_COUNT; row++) {
        double floor = value_of(row, &servers[0]);
        printf("%-36s", row->label);
        for (int i = 0; i < KIND_COUNT; i++) {
            double value = value_of(row, &servers[i]);
            bool none = !servers[i].result.ok || (value == 0 && row->offset != offsetof(struct result, dropped));
            char ratio[24] = "";
            if (floor > 0 && !none) {
                snprintf(ratio, sizeof(ratio), "(%.2f x)", value / floor);
            }
            if (none) {
                printf("%-22s", "-");
            } else {
                printf("%9.*f %-12s", row->unit[0] == 'u' ? 2 : 0, value, ratio);
            }
        }
        printf("%s\n", row->unit);
    }
    printf("%llu connections with client certificates (ECDSA P-256, TLS 1.3); %llu messages over %llu of them\n",
           (unsigned long long)b->connections, (unsigned long long)b->messages, (unsigned long long)b->active);
}

static void print_json(const struct bench *b, const struct server *servers) {
    printf("{\"connections\":%llu,\"messages\":%llu,\"transports\":{", (unsigned long long)b->connections,
           (unsigned long long)b->messages);
    for (int i = 0, shown = 0; i < KIND_COUNT; i++) {
        if (servers[i].result.ok) {
            printf("%s\"%s\":{", shown++ > 0 ? "," : "", kinds[i].name);
            for (const struct row *row = rows; row < rows + ROW_COUNT; row++) {
                printf("%s\"%s\":%.3f", row > rows ? "," : "", row->key, value_of(row, &servers[i]));
            }
            printf("}");
        }
    }
    printf("}}\n");
}

/* ---- the program */

static const struct kind *kind_named(const char *name) {
    for (int i = 0; i < KIND_COUNT; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* The children's own command lines; see begin() and measure_client(). */
static int run_child(int argc, char *const argv[]) {
    const struct kind *kind = kind_named(argv[2]);
    struct server_files files = {.cert = argv[3], .key = argv[4], .ca = argv[5]};
    if (kind != NULL && argc == 7 && strcmp(argv[1], "--serve") == 0) {
        return kind->serve(&files, (uint16_t)strtoul(argv[6], NULL, 10));
    }
    if (kind != NULL && argc == 9 && strcmp(argv[1], "--dial") == 0) {
        return kind->dial(&(struct dialling){.files = files,
                                             .dir = argv[6],
                                             .port = (uint16_t)strtoul(argv[7], NULL, 10),
                                             .count = strtoul(argv[8], NULL, 10)});
    }
    return 2;
}

static void raise_descriptor_limit(void) {
    struct rlimit files = {0};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

static bool run(struct bench *b) {
    struct server servers[KIND_COUNT] = {{0}};
    bool ok = true;
    make_certificates(b);
    for (int i = 0; i < KIND_COUNT; i++) {
        if (b->only == NULL || strcmp(b->only, kinds[i].name) == 0) {
            ok = begin(&servers[i], b, i) && ok;
        }
    }
    measure_servers(servers, b);
    for (int i = 0; i < KIND_COUNT; i++) {
        if (servers[i].client != NULL) {
            servers[i].result.dropped = (double)echo_client_lost(servers[i].client);
            echo_client_free(servers[i].client);
        }
    }
    for (int i = 0; i < KIND_COUNT; i++) {
        if (servers[i].kind != NULL && kinds[i].dial != NULL) {
            measure_client(&servers[i], b, servers[0].port != 0 ? servers[0].port : servers[i].port);
        }
    }
    for (int i = 0; i < KIND_COUNT; i++) {
        child_end(&servers[i].child);
        ok = ok && (servers[i].kind == NULL || servers[i].result.ok);
    }
    remove_certificates(b);
    (b->json ? print_json : print_table)(b, servers);
    return ok;
}

int main(int argc, char *argv[]) {
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    if (argc >= 7 && (strcmp(argv[1], "--serve") == 0 || strcmp(argv[1], "--dial") == 0)) {
        return run_child(argc, argv);
    }
    struct bench b = {.connections = 2000, .messages = 200000, .active = 50, .port = 28740};
    const struct option options[] = {
        {OPTION_UINT, "connections", 'c', "N", "Idle connections to hold", &b.connections},
        {OPTION_UINT, "messages", 'm', "N", "Messages to echo", &b.messages},
        {OPTION_UINT, "active", 'a', "N", "Connections that echo at once", &b.active},
        {OPTION_UINT, "port", 'p', "N", "First of the ports to use", &b.port},
        {OPTION_STRING, "only", 'o', "NAME", "Measure only this one (openssl, dalang, libwebsockets)", &b.only},
        {OPTION_FLAG, "json", 0, NULL, "Print JSON", &b.json},
        OPTION_END,
    };
    struct command_line cl = {.program = "transport-bench",
                              .synopsis = "[OPTIONS]",
                              .summary = "What a TLS connection costs, beside bare OpenSSL",
                              .options = options};
    struct option_list rest = {0};
    struct error err = ERROR_INIT;
    switch (option_parse(&cl, argc, argv, &rest, &err)) {
    case OPTION_PARSED:
        break;
    case OPTION_HELP:
    case OPTION_VERSION:
        return 0;
    case OPTION_ERROR:
        fprintf(stderr, "transport-bench: %s\n", err.msg);
        return 2;
    }
    option_list_free(&rest);
    if (b.connections < 1000 || b.active == 0 || b.active > b.connections || b.messages < b.active * ROUNDS) {
        fputs("transport-bench: at least 1000 connections, and as many messages as make sense of them\n", stderr);
        return 2;
    }
    return run(&b) ? 0 : 1;
}
