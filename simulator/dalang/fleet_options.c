/* The options of `dalang fleet`. */
#include "base/mem.h"
#include "base/url.h"
#include "simulator/dalang/commands.h"
#include "simulator/dalang/fleet_command.h"
#include "simulator/fleet/fleet_name.h"
#include <string.h>

enum { FLEET_OPTIONS = 48, MILLION = 1000000 };

struct add {
    struct option *table;
    size_t count;
};

static void add(struct add *t, enum option_type type, const char *name, char letter, const char *value,
                const char *help, void *target) {
    t->table[t->count++] = (struct option){type, name, letter, value, help, target};
}

static void heading(struct add *t, const char *text) {
    add(t, OPTION_HEADING, NULL, 0, NULL, text, NULL);
}

static void add_who(struct add *t, struct fleet_args *a) {
    add(t, OPTION_LIST, "broker", 'b', "URL", "wss://HOST:PORT/pcp2/ (or /pcp/ with --pcp 1); again for failover.",
        &a->brokers);
    add(t, OPTION_UINT, "agents", 'n', "N", "How many; without it, as many as --behaviour or --certs says.",
        &a->agents);
    add(t, OPTION_STRING, "name", 0, "FORMAT", "Their names; \"node-{n:04}.example.com\".", &a->name);
    add(t, OPTION_UINT, "first", 0, "N", "Number of the first one, for names; 1.", &a->first);
    add(t, OPTION_UINT, "pcp", 0, "1|2", "Protocol version; 2.", &a->pcp);
    add(t, OPTION_STRING, "behaviour", 0, "FILE",
        "What they do: a scenario file's fleet (YAML or JSON), or one object with tasks and puppet_run.",
        &a->behaviour);
    add(t, OPTION_UINT, "seed", 0, "N", "Of their choices; 1.", &a->seed);
    add(t, OPTION_UINT, "processes", 0, "N", "Processes they are spread over; 1. A core each is worth it.",
        &a->processes);
    add(t, OPTION_DURATION, "for", 0, "TIME", "Stop after this time.", &a->for_ms);
    add(t, OPTION_STRING, "private-storage", 0, "DIR",
        "Each agent keeps its own files in DIR/NAME, synced to disk, and makes its own downloads; else memory is "
        "shared.",
        &a->storage);
    heading(t, "Certificates");
    add(t, OPTION_STRING, "ca", 0, "FILE", "The CA that brokers and agents trust.", &a->ca);
    add(t, OPTION_STRING, "ca-key", 0, "FILE",
        "Its private key: mints the agents' certificates in memory, with one key pair for all.", &a->ca_key);
    add(t, OPTION_FLAG, "own-keys", 0, NULL, "A key pair for each agent.", &a->own_keys);
    add(t, OPTION_STRING, "certs", 0, "DIR",
        "Certificates and keys from a directory instead (`dalang certs`, Puppet's ssldir, or NAME.pem with NAME.key); "
        "without --name its agents are those found there.",
        &a->certs);
    add(t, OPTION_STRING, "crl", 0, "FILE", "The CA's revocation list.", &a->crl);
}

static void add_trouble(struct add *t, struct fleet_args *a) {
    heading(t, "How they come and go");
    add(t, OPTION_UINT, "rate", 'r', "N", "Connections started per second; as fast as the broker takes them without.",
        &a->rate);
    add(t, OPTION_STRING, "churn", 0, "RATE", "Agents that end and start again, such as 5%/min or 0.5%/s.",
        &a->churn_text);
    add(t, OPTION_DURATION, "restart-every", 0, "TIME", "All end and start again (also on SIGUSR1).",
        &a->restart_every_ms);
    add(t, OPTION_DURATION, "storm-every", 0, "TIME", "All lose their connections at once (also on SIGUSR2).",
        &a->storm_every_ms);
    add(t, OPTION_DURATION, "storm-down", 0, "TIME", "For so long the brokers cannot be reached then; 3s.",
        &a->storm_down_ms);
    add(t, OPTION_FLAG, "reference", 0, NULL,
        "Agents that come back by the reference's schedule, not by ours, which spreads them.", &a->reference);
    add(t, OPTION_UINT, "slow-link", 0, "BYTES", "Each connection carries so many bytes per second each way.",
        &a->slow_link);
    add(t, OPTION_DURATION, "link-delay", 0, "TIME", "A byte takes so long each way.", &a->link_delay_ms);
    add(t, OPTION_STRING, "slow-agents", 0, "SHARE", "Share of the connections with such links, such as 10%; 100%.",
        &a->slow_agents_text);
}

static void add_services(struct add *t, struct fleet_args *a) {
    heading(t, "Services the agents use");
    add(t, OPTION_LIST, "primary", 0, "URL", "Puppet Server that task files come from; again for failover.",
        &a->primaries);
    add(t, OPTION_STRING, "puppetdb", 0, "URL", "PuppetDB that reports of made-up Puppet runs go to.", &a->puppetdb);
    add(t, OPTION_FLAG, "external", 0, NULL,
        "Serve an orchestrator that Dalang did not start: --puppetdb gets the nodes' facts, so that it finds them, and "
        "at the end they are deactivated there.",
        &a->external);
    add(t, OPTION_STRING, "cert", 0, "FILE", "Certificate for downloads, facts and reports.", &a->cert);
    add(t, OPTION_STRING, "key", 0, "FILE", "Its private key.", &a->key);
}

static void add_output(struct add *t, struct fleet_args *a) {
    heading(t, "Output");
    add(t, OPTION_FLAG, "json", 0, NULL, "Print a JSON report at the end.", &a->json);
    add(t, OPTION_STRING, "metrics", 0, "PORT",
        "Serve http://127.0.0.1:PORT/metrics for Prometheus (or ADDRESS:PORT; port 0: a free one, printed).",
        &a->metrics);
    add(t, OPTION_STRING, "log", 0, "FILE", "Log of the agents.", &a->log_file);
    add(t, OPTION_FLAG, "die-with-parent", 0, NULL, "Stop when the process that started it ends.", &a->die_with_parent);
    add(t, OPTION_STRING, "part", 0, "K/N",
        "Only part K of N of the agents, with a line of JSON for the process that adds the parts up.", &a->part_text);
}

const struct command_line *fleet_line(struct fleet_args *a) {
    static struct fleet_args unused;
    static struct option table[FLEET_OPTIONS];
    static struct command_line cl = {
        "dalang fleet", "--broker URL --ca FILE (--ca-key FILE | --certs DIR) --agents N [OPTIONS]",
        "virtual agents over real connections against any PCP broker",
        "Each agent is the real agent core with a certificate and a TLS connection of its own; what its tasks and "
        "Puppet runs do is\n"
        "made up (--behaviour). It runs until Ctrl-C, SIGTERM or --for, and says what was left undone. SIGUSR1 "
        "restarts "
        "all agents, SIGUSR2 takes the brokers from them for a while.\n"
        "Brokers at 127.x.x.x are reached from source addresses all over 127.0.0.0/8, so that ports do not run out.\n"
        "Exit codes: 0; 1 when no agent ever connected or a process of the fleet failed; 2 usage; 3 configuration.",
        table};
    a = a != NULL ? a : &unused;
    struct add t = {table, 0};
    add_who(&t, a);
    add_trouble(&t, a);
    add_services(&t, a);
    add_output(&t, a);
    table[t.count] = (struct option)OPTION_END;
    return &cl;
}

void fleet_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx) {
    each(ctx, fleet_line(NULL));
}

/* ---- values */

/* "5%", "0.25%": in millionths. At most 100 %. */
static bool read_share(struct span text, uint64_t *per_million) {
    uint64_t whole, part = 0, unit = MILLION / 100;
    if (!span_ends_with(text, "%")) {
        return false;
    }
    text.len--;
    ptrdiff_t dot = span_find(text, '.');
    struct span digits = dot >= 0 ? span_sub(text, (size_t)dot + 1, SIZE_MAX) : span_of("");
    if (!span_to_u64(dot >= 0 ? span_sub(text, 0, (size_t)dot) : text, &whole) || whole > 100 || digits.len > 4 ||
        (dot >= 0 && !span_to_u64(digits, &part))) {
        return false;
    }
    for (size_t i = 0; i < digits.len; i++) {
        unit /= 10;
    }
    *per_million = whole * (MILLION / 100) + part * unit;
    return *per_million <= MILLION;
}

static bool read_churn(struct fleet_args *a, struct error *err) {
    static const struct {
        const char *suffix;
        uint64_t times, over; /* per minute */
    } units[] = {{"/min", 1, 1}, {"/m", 1, 1}, {"/s", 60, 1}, {"/h", 1, 60}, {"/hour", 1, 60}};
    struct span text = span_of(a->churn_text);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        uint64_t share = 0;
        if (span_ends_with(text, units[i].suffix) &&
            read_share(span_sub(text, 0, text.len - strlen(units[i].suffix)), &share) &&
            share * units[i].times <= MILLION && share > 0) {
            a->churn_per_million = (uint32_t)(share * units[i].times / units[i].over);
            return a->churn_per_million > 0 || error_set(err, "usage", "--churn %s is too little", a->churn_text);
        }
    }
    return error_set(err, "usage",
                     "--churn \"%s\" must be a share of all agents per time, at most 100%%/min, such as "
                     "5%%/min",
                     a->churn_text);
}

static bool read_part(struct fleet_args *a, struct error *err) {
    struct span rest = span_of(a->part_text), part;
    uint64_t k, n;
    if (!span_split(&rest, '/', &part) || !span_to_u64(part, &k) || !span_to_u64(rest, &n) || n < 1 ||
        n > FLEET_PROCESSES_MAX || k < 1 || k > n) {
        return error_set(err, "usage", "--part is K/N with 1 ≤ K ≤ N ≤ %d", FLEET_PROCESSES_MAX);
    }
    a->part = (uint32_t)k - 1;
    a->parts = (uint32_t)n;
    a->is_child = true;
    return true;
}

static bool check_values(struct fleet_args *a, struct error *err) {
    uint64_t share = MILLION;
    a->parts = 1;
    if (a->slow_agents_text != NULL && (!read_share(span_of(a->slow_agents_text), &share) || share == 0)) {
        return error_set(err, "usage", "--slow-agents \"%s\" must be a share such as 10%%", a->slow_agents_text);
    }
    a->slow_per_million = share == MILLION ? 0 : (uint32_t)share;
    return (a->churn_text == NULL || read_churn(a, err)) && (a->part_text == NULL || read_part(a, err));
}

static bool check_brokers(const struct fleet_args *a, struct error *err) {
    for (size_t i = 0; i < a->brokers.count; i++) {
        struct url u;
        struct error own = ERROR_INIT;
        bool ok = url_parse(a->brokers.items[i], &u, &own);
        if (ok) {
            ok = strcmp(u.scheme, "wss") == 0 || strcmp(u.scheme, "ws") == 0;
            url_free(&u);
        }
        error_clear(&own);
        if (!ok) {
            return error_set(err, "usage", "--broker \"%s\" must be a URL such as wss://HOST:8142/pcp2/",
                             a->brokers.items[i]);
        }
    }
    return a->brokers.count > 0 || error_set(err, "usage", "--broker is needed");
}

bool fleet_args_check(struct fleet_args *a, struct error *err) {
    const struct {
        bool holds;
        const char *otherwise;
    } rules[] = {
        {a->ca != NULL, "--ca is needed"},
        {a->ca_key != NULL || a->certs != NULL, "--ca-key or --certs is needed"},
        {a->ca_key == NULL || a->certs == NULL, "--ca-key and --certs exclude each other"},
        {!a->own_keys || a->ca_key != NULL, "--own-keys needs --ca-key"},
        {a->agents <= FLEET_AGENTS_MAX, "--agents must be 1 to 1000000"},
        {a->agents > 0 || a->behaviour != NULL || (a->certs != NULL && a->name == NULL), "--agents is needed"},
        {a->first <= UINT32_MAX - FLEET_AGENTS_MAX, "--first is too large"},
        {a->rate <= UINT32_MAX, "--rate is too large"},
        {a->pcp == 1 || a->pcp == 2, "--pcp is 1 or 2"},
        {a->processes >= 1 && a->processes <= FLEET_PROCESSES_MAX, "--processes must be 1 to 256"},
        {(a->cert == NULL) == (a->key == NULL), "--cert and --key go together"},
        {!a->external || a->puppetdb != NULL, "--external needs --puppetdb"},
        {a->slow_agents_text == NULL || a->slow_link != 0 || a->link_delay_ms != 0,
         "--slow-agents needs --slow-link or --link-delay"},
        {a->storm_every_ms == 0 || a->storm_every_ms > a->storm_down_ms, "--storm-every must be above --storm-down"},
    };
    if (!check_brokers(a, err)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (!rules[i].holds) {
            return error_set(err, "usage", "%s", rules[i].otherwise);
        }
    }
    return (a->name == NULL || fleet_name_format_valid(a->name) ||
            error_set(err, "usage", "--name \"%s\" needs exactly one {n} or {n:WIDTH}", a->name)) &&
           check_values(a, err);
}

bool fleet_brokers_are_loopback(const struct fleet_args *a) {
    bool all = true;
    for (size_t i = 0; i < a->brokers.count; i++) {
        struct url u;
        if (url_parse(a->brokers.items[i], &u, NULL)) {
            all = all && strncmp(u.host, "127.", 4) == 0;
            url_free(&u);
        }
    }
    return all;
}
