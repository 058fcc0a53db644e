/* links: wire base */
/* Responses as a client reads them. The first byte says whether the request was a HEAD. */
#include "fuzz/fuzz_http_stream.h"
#include "wire/ws_handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    struct span bytes = span_bytes(data + 1, size - 1);
    stream_check(HTTP1_RESPONSE, (data[0] & 1) != 0, true, bytes);
    struct http1_head h;
    struct http1_error err;
    const char *text;
    if (http1_head_parse(HTTP1_RESPONSE, span_dup(bytes), bytes.len, FUZZ_FIELDS_MAX, false, &h, &err)) {
        assert(!ws_response_valid(&h, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", &text) || h.status == 101);
        http1_head_free(&h);
    }
    return 0;
}
