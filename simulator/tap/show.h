/* How a tap shows what it sees: which messages, as lines for people or as JSON. */
#ifndef DALANG_TAP_SHOW_H
#define DALANG_TAP_SHOW_H

#include "simulator/tap/decode.h"
#include "simulator/tap/secrets.h"

struct tap_view {
    /* Shell patterns; NULL: everything. Of URIs, also of the name alone ("node-1*"). */
    const char *from, *to;
    const char *client_type;  /* of the client whose connection it is: "agent" */
    const char *message_type; /* "rpc_*", with or without "http://puppetlabs.com/" */
    bool frames;              /* also requests, pings, pongs, close frames */
    bool no_data;             /* one line a message */
    bool indent;              /* data over several lines */
    bool show_secrets;
    bool json, color;
    struct tap_secrets secrets;
};

struct tap_line {
    uint64_t connection; /* 1, 2, … */
    int64_t wall_ms;
    const char *common_name; /* of the client's certificate or NULL */
};

/* Appends what is to be printed: one or more whole lines. False when the view leaves the event out. */
bool tap_show(const struct tap_view *v, const struct tap_line *line, const struct tap_event *event, struct buf *out);
/* A connection begins or ends: text says where it comes from or why it ended. */
void tap_show_connection(const struct tap_view *v, const struct tap_line *line, bool begins, const char *text,
                         struct buf *out);

#endif
