/* Made-up fleets: every choice comes from a generator of its own, so a seed gives the same fleet on any machine. */
#include "base/clock.h"
#include "internal.h"
#include <stdarg.h>
#include <string.h>

struct dice {
    uint64_t state;
};

/* splitmix64 */
static uint64_t roll(struct dice *d) {
    uint64_t z = (d->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t below(struct dice *d, uint64_t bound) {
    return roll(d) % bound;
}

struct platform {
    const char *name, *family, *release, *major, *codename, *kernel, *package_provider;
};

static const struct platform platforms[] = {
    {"Debian", "Debian", "12.11", "12", "bookworm", "6.1.0-37-amd64", "apt"},
    {"Ubuntu", "Debian", "22.04", "22.04", "jammy", "5.15.0-140-generic", "apt"},
    {"RedHat", "RedHat", "9.4", "9", "Plow", "5.14.0-427.el9.x86_64", "dnf"},
    {"AlmaLinux", "RedHat", "8.10", "8", "Cerulean Leopard", "4.18.0-553.el8.x86_64", "dnf"},
    {"SLES", "Suse", "15.5", "15", "n/a", "5.14.21-150500.55-default", "zypper"},
};
static const char *const roles[] = {"web", "db", "cache", "queue", "proxy", "build", "monitor", "dns"};
static const char *const datacenters[] = {"fra1", "ams2", "iad1", "sin3"};
static const char *const tiers[] = {"prod", "prod", "prod", "stage", "dev"};
static const char *const agents[] = {"7.23.0", "7.28.0", "6.28.0"};
#define PICK(dice, list) (list)[below(dice, sizeof(list) / sizeof((list)[0]))]

static json_t *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static json_t *text(const char *format, ...) {
    struct buf b = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    json_t *result = json_stringn(b.ptr, b.len);
    buf_free(&b);
    return result;
}

static json_t *os_fact(const struct platform *os) {
    return json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:s, s:{s:s, s:s}}, s:{s:s, s:s}, s:{s:b}}", "name", os->name,
                     "family", os->family, "architecture", strcmp(os->family, "Debian") == 0 ? "amd64" : "x86_64",
                     "hardware", "x86_64", "distro", "id", os->name, "codename", os->codename, "release", "full",
                     os->release, "major", os->major, "release", "full", os->release, "major", os->major, "selinux",
                     "enabled", strcmp(os->family, "RedHat") == 0);
}

static json_t *processors_fact(uint64_t count) {
    json_t *models = json_array();
    for (uint64_t i = 0; i < count; i++) {
        json_array_append_new(models, json_string("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz"));
    }
    return json_pack("{s:I, s:I, s:s, s:o}", "count", (json_int_t)count, "physicalcount",
                     (json_int_t)(count > 8 ? 2 : 1), "isa", "x86_64", "models", models);
}

static json_t *memory_fact(struct dice *d, uint64_t gib) {
    uint64_t total = gib << 30, used = total / 100 * (10 + below(d, 80));
    uint64_t share = total != 0 ? used * 10000 / total : 0;
    return json_pack("{s:{s:I, s:I, s:I, s:o}}", "system", "total_bytes", (json_int_t)total, "used_bytes",
                     (json_int_t)used, "available_bytes", (json_int_t)(total - used), "capacity",
                     text("%.2f%%", (double)share / 100.0));
}

static json_t *networking_fact(struct dice *d, const char *name, const char *domain, size_t n) {
    json_t *ip = text("10.%zu.%zu.%zu", n / 65536 % 256, n / 256 % 256, n % 256);
    json_t *mac =
        text("52:54:00:%02x:%02x:%02x", (unsigned)below(d, 256), (unsigned)(n / 256 % 256), (unsigned)(n % 256));
    return json_pack("{s:s, s:s, s:o, s:O, s:O, s:s, s:{s:{s:o, s:o, s:i}, s:{s:s, s:i}}}", "hostname", name, "domain",
                     domain, "fqdn", text("%s.%s", name, domain), "ip", ip, "mac", mac, "primary", "eth0", "interfaces",
                     "eth0", "ip", ip, "mac", mac, "mtu", 1500, "lo", "ip", "127.0.0.1", "mtu", 65536);
}

/* Flat facts that fill a node up to about a hundred. */
static void add_flat_facts(struct dice *d, json_t *facts) {
    static const char *const flags[] = {"is_virtual", "fips_enabled", "selinux", "swap_enabled", "backup", "monitored"};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        json_set(facts, flags[i], json_boolean(below(d, 2) == 0));
    }
    enum { FILLERS = 70 };
    for (int i = 0; i < FILLERS; i++) {
        char *name = str_printf("site_setting_%02d", i);
        json_set(facts, name,
                 i % 3 == 0 ? json_integer((json_int_t)below(d, 1000))
                            : text("value-%llu", (unsigned long long)below(d, 50)));
        mem_free(name);
    }
}

static json_t *make_facts(struct dice *d, const struct platform *os, const char *name, const char *domain, size_t n) {
    uint64_t cpus = (uint64_t)1 << below(d, 6);
    const char *role = PICK(d, roles), *datacenter = PICK(d, datacenters), *tier = PICK(d, tiers),
               *agent = PICK(d, agents);
    uint64_t uptime = below(d, 400 * 86400);
    json_t *facts =
        json_pack("{s:o, s:o, s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:{s:I, s:I, s:I}, s:o, s:{s:o, s:s, "
                  "s:o, s:{s:s, s:s}}}",
                  "os", os_fact(os), "processors", processors_fact(cpus), "memory", memory_fact(d, cpus * 2),
                  "networking", networking_fact(d, name, domain, n), "kernel", "Linux", "kernelrelease", os->kernel,
                  "role", role, "datacenter", datacenter, "tier", tier, "aio_agent_version", agent, "puppetversion",
                  agent, "timezone", "UTC", "system_uptime", "seconds", (json_int_t)uptime, "hours",
                  (json_int_t)(uptime / 3600), "days", (json_int_t)(uptime / 86400), "clientcert",
                  text("%s.%s", name, domain), "trusted", "certname", text("%s.%s", name, domain), "authenticated",
                  "remote", "domain", json_string(domain), "extensions", "pp_role", role, "pp_datacenter", datacenter);
    add_flat_facts(d, facts);
    return facts;
}

static void add_packages(struct dice *d, const struct platform *os, json_t *node) {
    static const char *const names[] = {"openssl", "bash", "curl", "nginx", "postgresql", "redis", "python3", "ruby"};
    json_t *packages = json_array();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (i < 3 || below(d, 3) == 0) {
            json_array_append_new(packages, json_pack("[s, o, s]", names[i],
                                                      text("%llu.%llu", (unsigned long long)(1 + below(d, 4)),
                                                           (unsigned long long)below(d, 10)),
                                                      os->package_provider));
        }
    }
    json_set(node, "packages", packages);
}

static char *capitalised(const char *role) {
    char *title = str_printf("Role::%s", role);
    title[6] = (char)(title[6] - 'a' + 'A');
    return title;
}

static json_t *make_resources(const char *role) {
    char *title = capitalised(role);
    json_t *resources = json_pack("[{s:s, s:s, s:[s, s, s]}, {s:s, s:s, s:[s], s:{s:s, s:s}}]", "type", "Class",
                                  "title", title, "tags", "class", "role", role, "type", "File", "title", "/etc/motd",
                                  "tags", "file", "parameters", "ensure", "file", "mode", "0644");
    mem_free(title);
    return resources;
}

static json_t *make_report(struct dice *d, const char *certname, const char *environment, int64_t now_ms, size_t n) {
    uint64_t luck = below(d, 100);
    int64_t end_ms = now_ms - (int64_t)below(d, 1800) * 1000;
    char start[TIME_TEXT_LEN], end[TIME_TEXT_LEN];
    time_format_ms(end_ms - 20000 - (int64_t)below(d, 60000), start);
    time_format_ms(end_ms, end);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:s}", "certname", certname, "environment", environment, "status",
                     luck < 90   ? "unchanged"
                     : luck < 98 ? "changed"
                                 : "failed",
                     "start_time", start, "end_time", end, "transaction_uuid",
                     text("00000000-0000-4000-8000-%012zx", n), "cached_catalog_status", "not_used");
}

void fake_puppetdb_generate(struct fake_puppetdb *p, size_t count, uint64_t seed, const char *domain) {
    struct dice d = {seed};
    int64_t now_ms = fake_now_ms(&p->base);
    puppetdb_settle(p);
    pdb_keep_promises(p->store);
    pdb_begin(p->store);
    for (size_t n = 1; n <= count; n++) {
        const struct platform *os = &platforms[below(&d, sizeof platforms / sizeof platforms[0])];
        char *name = str_printf("node-%05zu", n);
        json_t *facts = make_facts(&d, os, name, domain, n);
        const char *environment = strcmp(json_str(facts, "tier"), "prod") == 0 ? "production" : json_str(facts, "tier");
        const char *certname = json_str(facts, "clientcert");
        json_t *node = json_pack("{s:s, s:s, s:O, s:o}", "certname", certname, "environment", environment, "facts",
                                 facts, "resources", make_resources(json_str(facts, "role")));
        add_packages(&d, os, node);
        json_t *report = make_report(&d, certname, environment, now_ms, n);
        puppetdb_load_node(p->store, node, now_ms, NULL);
        puppetdb_load_report(p->store, report, now_ms, NULL);
        json_decref(node);
        json_decref(report);
        json_decref(facts);
        mem_free(name);
    }
    pdb_end(p->store, true);
}
