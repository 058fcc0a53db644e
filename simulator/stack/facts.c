/* See facts.h. */
#include "simulator/stack/facts.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

static const struct {
    const char *name, *family, *release;
} systems[] = {
    {"Debian", "Debian", "12"}, {"Ubuntu", "Debian", "22.04"}, {"RedHat", "RedHat", "9"}, {"SLES", "Suse", "15"}};

static json_t *os_facts(uint32_t number) {
    size_t i = number % (sizeof(systems) / sizeof(systems[0]));
    return json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:s}}", "name", systems[i].name, "family", systems[i].family,
                     "architecture", "amd64", "hardware", "x86_64", "release", "full", systems[i].release, "major",
                     systems[i].release);
}

static json_t *machine_facts(const char *certname, uint32_t number) {
    const char *dot = strchr(certname, '.');
    char *host = span_dup((struct span){certname, dot != NULL ? (size_t)(dot - certname) : strlen(certname)});
    char ip[24], mac[24];
    snprintf(ip, sizeof(ip), "10.%u.%u.%u", (number >> 16) & 255, (number >> 8) & 255, number & 255);
    snprintf(mac, sizeof(mac), "02:00:00:%02x:%02x:%02x", (number >> 16) & 255, (number >> 8) & 255, number & 255);
    json_t *facts = json_object();
    json_set(facts, "aio_agent_version", json_string("7.23.0"));
    json_set(facts, "puppetversion", json_string("7.23.0"));
    json_set(facts, "kernel", json_string("Linux"));
    json_set(facts, "hostname", json_string(host));
    json_set(facts, "fqdn", json_string(certname));
    json_set(facts, "ipaddress", json_string(ip));
    json_set(facts, "is_virtual", json_true());
    json_set(facts, "os", os_facts(number));
    json_set(facts, "processors", json_pack("{s:i}", "count", 1 << number % 4));
    json_set(facts, "memory", json_pack("{s:{s:I}}", "system", "total_bytes", (json_int_t)(2 + number % 15) << 30));
    json_set(facts, "networking",
             json_pack("{s:s, s:s, s:s, s:s}", "hostname", host, "fqdn", certname, "ip", ip, "mac", mac));
    json_set(facts, "clientcert", json_string(certname));
    json_set(facts, "trusted",
             json_pack("{s:s, s:s, s:s, s:s, s:{}}", "authenticated", "remote", "certname", certname, "hostname", host,
                       "domain", dot != NULL ? dot + 1 : "", "extensions"));
    mem_free(host);
    return facts;
}

json_t *node_facts(const char *certname, uint32_t number, const json_t *extra, int64_t now_ms) {
    json_t *facts = machine_facts(certname, number);
    if (extra != NULL) {
        json_object_update_recursive(facts, (json_t *)(uintptr_t)extra);
    }
    char time[TIME_TEXT_LEN];
    time_format_ms(now_ms, time);
    return json_pack("{s:s, s:s, s:s, s:s, s:o}", "certname", certname, "environment", FACTS_ENVIRONMENT,
                     "producer_timestamp", time, "producer", FACTS_PRODUCER, "values", facts);
}
