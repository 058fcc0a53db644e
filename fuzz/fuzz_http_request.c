/* links: fuzz_mutate wire base */
/* Requests as a server reads them. */
#include "fuzz/fuzz_http_stream.h"
#include "fuzz/mutate/mutate.h"
#include "wire/ws_handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
MUTATOR(mutate_http_request)

/* The handshake's checks on whatever head there is. */
static void check_upgrade(struct span bytes) {
    struct http1_head h;
    struct http1_error err;
    if (!http1_head_parse(HTTP1_REQUEST, span_dup(bytes), bytes.len, FUZZ_FIELDS_MAX, false, &h, &err)) {
        assert(err.status >= 400 && err.text != NULL);
        return;
    }
    int status = 0;
    const char *text = NULL;
    if (ws_request_valid(&h, &status, &text)) {
        char accept[WS_ACCEPT_LEN + 1];
        ws_accept_for(http1_field(&h, "sec-websocket-key"), accept);
        assert(strlen(accept) == WS_ACCEPT_LEN && ws_asks_upgrade(&h));
    } else {
        assert(status == 400 || status == 404);
    }
    http1_head_free(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span bytes = span_bytes(data, size);
    stream_check(HTTP1_REQUEST, false, false, bytes);
    check_upgrade(bytes);
    return 0;
}
