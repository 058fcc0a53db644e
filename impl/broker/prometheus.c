/* The metrics in Prometheus' text format. */
#include "broker/internal.h"

static const struct {
    enum counter counter;
    const char *name, *help;
} counters[] = {
    {COUNT_DELIVERED, "pcp_messages_delivered_total", "Messages passed on to their recipient."},
    {COUNT_DELIVERED_BYTES, "pcp_message_data_delivered_bytes_total", "Bytes of data in them."},
    {COUNT_TO_BROKER, "pcp_messages_to_broker_total", "Messages for the broker itself."},
    {COUNT_UNDECODABLE, "pcp_messages_undecodable_total", "Messages that could not be decoded."},
    {COUNT_UNAUTHENTICATED, "pcp_messages_unauthenticated_total", "Messages whose sender is not their certificate's."},
    {COUNT_UNAUTHORIZED, "pcp_messages_unauthorized_total", "Messages the rules deny."},
    {COUNT_MULTICAST, "pcp_messages_multicast_total", "Messages refused for not having exactly one recipient."},
    {COUNT_NOT_CONNECTED, "pcp_messages_not_connected_total", "Messages whose recipient was not connected."},
    {COUNT_SLOW_READERS, "pcp_slow_readers_total", "Clients closed because their queue was full."},
    {COUNT_SUPERSEDED, "pcp_sessions_superseded_total", "Sessions replaced by a newer connection."},
    {COUNT_REFUSED, "pcp_connections_refused_total", "Connections closed while opening."},
    {COUNT_UPDATES, "pcp_inventory_updates_total", "Inventory updates sent to subscribers."},
};

static void gauge(struct buf *out, const char *name, const char *help, size_t value) {
    buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n%s %zu\n", name, help, name, name, value);
}

void prometheus_write(struct broker *b, struct buf *out) {
    gauge(out, "pcp_connections", "Inbound sessions.", map_count(&b->by_uri));
    gauge(out, "pcp_subscriptions", "Subscriptions to the inventory.", b->subscriptions.count);
    gauge(out, "pcp_controllers_configured", "Controllers to connect to.", b->config.controller_count);
    gauge(out, "pcp_controllers_connected", "Controllers connected.", controllers_connected(b));
    gauge(out, "pcp_running", "1 while clients are taken.", broker_state(b) == BROKER_RUNNING);
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n%s %llu\n", counters[i].name, counters[i].help,
                   counters[i].name, counters[i].name, (unsigned long long)b->counters[counters[i].counter]);
    }
    metrics_timer_prometheus(&b->on_connect, "pcp_on_connect_seconds", "Handling of opened connections.", out);
    metrics_timer_prometheus(&b->on_close, "pcp_on_close_seconds", "Handling of closed connections.", out);
    metrics_timer_prometheus(&b->on_message, "pcp_on_message_seconds", "Handling of messages.", out);
    metrics_timer_prometheus(&b->on_send, "pcp_on_send_seconds", "Sending of messages.", out);
}
