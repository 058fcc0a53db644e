#include "agent/settings_keys.h"

const struct settings_key settings_keys[] = {
    {"config-file", KEY_TEXT, "/etc/puppetlabs/pxp-agent/pxp-agent.conf", "~/.puppetlabs/etc/pxp-agent/pxp-agent.conf",
     false, false, "FILE", "Configuration file, *.conf or *.json"},
    {"broker-ws-uri", KEY_TEXT, "", NULL, false, false, "URI", "WebSocket URI of the PCP broker, wss://…"},
    {"broker-ws-uris", KEY_LIST, "", NULL, true, false, NULL, NULL},
    {"primary-uris", KEY_LIST, "", NULL, true, false, NULL, NULL},
    {"master-uris", KEY_LIST, "", NULL, true, false, NULL, NULL},
    {"primary-uri", KEY_TEXT, "", NULL, false, false, "URI", "Server to download task files from, https://…"},
    {"master-uri", KEY_TEXT, "", NULL, false, false, "URI", "The same, older name"},
    {"pcp-version", KEY_TEXT, "1", NULL, false, false, "1|2", "PCP version to connect with"},
    {"connection-timeout", KEY_INTEGER, "5", NULL, false, false, "SECONDS", "Time for connecting to the broker"},
    {"allowed-keepalive-timeouts", KEY_INTEGER, "2", NULL, false, true, "N",
     "Missed pongs in a row that are tolerated"},
    {"ping-interval", KEY_INTEGER, "120", NULL, false, true, "SECONDS", "Time between two WebSocket pings"},
    {"association-timeout", KEY_INTEGER, "15", NULL, false, true, "SECONDS", "Time for associating (PCP 1)"},
    {"association-request-ttl", KEY_INTEGER, "10", NULL, false, true, "SECONDS", "Accepted, without effect"},
    {"pcp-message-ttl", KEY_INTEGER, "5", NULL, false, true, "SECONDS", "Lifetime of messages we send (PCP 1)"},
    {"task-download-connect-timeout", KEY_INTEGER, "120", NULL, false, false, "SECONDS",
     "Time for connecting to a download server"},
    {"task-download-timeout", KEY_INTEGER, "1800", NULL, false, false, "SECONDS", "Time for one download in all"},
    {"ssl-ca-cert", KEY_TEXT, "", NULL, false, false, "FILE", "Certificates of the authorities that are trusted, PEM"},
    {"ssl-cert", KEY_TEXT, "", NULL, false, false, "FILE", "The agent's certificate, PEM"},
    {"ssl-key", KEY_TEXT, "", NULL, false, false, "FILE", "Its private key, PEM, without pass phrase"},
    {"ssl-crl", KEY_TEXT, "", NULL, false, false, "FILE", "Certificate revocation list, PEM"},
    {"logfile", KEY_TEXT, "/var/log/puppetlabs/pxp-agent/pxp-agent.log", "~/.puppetlabs/var/log/pxp-agent.log", false,
     false, "FILE", "Log file, \"-\" for standard output, or \"syslog\""},
    {"syslog-facility", KEY_TEXT, "local5", NULL, false, false, "NAME", "Facility when logging to syslog"},
    {"loglevel", KEY_TEXT, "info", NULL, false, false, "LEVEL", "none, trace, debug, info, warning, error or fatal"},
    {"log-pcp-access", KEY_FLAG, "", NULL, false, false, NULL, "Write an access log of PCP messages"},
    {"pcp-access-logfile", KEY_TEXT, "/var/log/puppetlabs/pxp-agent/pcp-access.log",
     "~/.puppetlabs/var/log/pcp-access.log", false, false, "FILE", "The access log"},
    {"modules-dir", KEY_TEXT, "/opt/puppetlabs/pxp-agent/modules", NULL, false, false, "DIR", "External modules"},
    {"modules-config-dir", KEY_TEXT, "/etc/puppetlabs/pxp-agent/modules", "~/.puppetlabs/etc/pxp-agent/modules", false,
     false, "DIR", "Configuration of external modules"},
    {"task-cache-dir", KEY_TEXT, "/opt/puppetlabs/pxp-agent/tasks-cache", "~/.puppetlabs/opt/pxp-agent/tasks-cache",
     false, false, "DIR", "Downloaded task files"},
    {"task-cache-dir-purge-ttl", KEY_TEXT, "14d", NULL, false, false, "TIME",
     "Age at which they are removed; 0d: never"},
    {"spool-dir", KEY_TEXT, "/opt/puppetlabs/pxp-agent/spool", "~/.puppetlabs/opt/pxp-agent/spool", false, false, "DIR",
     "Outcome of transactions"},
    {"spool-dir-purge-ttl", KEY_TEXT, "14d", NULL, false, false, "TIME", "Age at which it is removed; 0d: never"},
    {"broker-ws-proxy", KEY_TEXT, "", NULL, false, false, "URI", "Proxy for the connection to the broker"},
    {"master-proxy", KEY_TEXT, "", NULL, false, false, "URI", "Proxy for downloads"},
    {"foreground", KEY_FLAG, "", NULL, false, false, NULL, "Do not become a daemon"},
    {"max-message-size", KEY_INTEGER, "67108864", NULL, false, false, "BYTES", "Largest message that is sent"},
    {"pidfile", KEY_TEXT, "/var/run/puppetlabs/pxp-agent.pid", "~/.puppetlabs/var/run/pxp-agent.pid", false, false,
     "FILE", "PID file of the daemon"},
    /* ours */
    {"max-output-size", KEY_INTEGER, "104857600", NULL, false, false, "BYTES",
     "Kept of each output stream of a task; the rest is dropped"},
    {"max-jobs", KEY_INTEGER, "10000", NULL, false, false, "N", "Requests carried out at once; more are refused"},
    {"exec-wrapper", KEY_TEXT, "", NULL, false, false, "FILE", "Path of dalang-exec (default: beside this program)"},
    {"refused-association", KEY_TEXT, "exit", NULL, false, false, "exit|retry",
     "What to do when the broker refuses the association"},
    {"compatibility", KEY_TEXT, "dalang", NULL, false, false, "dalang|reference",
     "reference: lose what the reference agent loses"},
};
const size_t settings_key_count = sizeof settings_keys / sizeof settings_keys[0];

size_t settings_find(struct span name) {
    size_t i = 0;
    while (i < settings_key_count && !span_eq_cstr(name, settings_keys[i].name)) {
        i++;
    }
    return i;
}
