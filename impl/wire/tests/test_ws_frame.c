/* Frame headers and masks, alone and against wslay's. */
#include "wire/ws_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <wslay/wslay.h>

#include <cmocka.h>

static const uint64_t lengths[] = {0, 1, 125, 126, 127, 65535, 65536, 70000, INT64_MAX};
enum { LENGTH_COUNT = sizeof(lengths) / sizeof(lengths[0]) };

static void header_round_trip(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH_COUNT; i++) {
        for (int flags = 0; flags < 4; flags++) {
            struct ws_frame_head head = {.fin = (flags & 1) != 0,
                                         .reserved = (uint8_t)(i % 8),
                                         .opcode = (uint8_t)(i * 7 % 16),
                                         .masked = (flags & 2) != 0,
                                         .length = lengths[i]};
            if (head.masked) {
                memcpy(head.mask, "\x01\xff\x80\x7f", 4);
            }
            uint8_t bytes[WS_HEAD_MAX];
            size_t len = ws_head_encode(bytes, &head);
            for (size_t n = 0; n < len; n++) {
                struct ws_frame_head part;
                assert_int_equal(ws_head_decode(bytes, n, &part), 0);
            }
            struct ws_frame_head back = {0};
            assert_int_equal(ws_head_decode(bytes, len, &back), (int)len);
            assert_memory_equal(&back, &head, sizeof(head));
        }
    }
}

static void header_bytes(void **state) {
    (void)state;
    uint8_t bytes[WS_HEAD_MAX];
    assert_int_equal(ws_head_encode(bytes, &(struct ws_frame_head){.fin = true, .opcode = WS_OP_TEXT, .length = 5}), 2);
    assert_memory_equal(bytes, "\x81\x05", 2);
    assert_int_equal(ws_head_encode(bytes, &(struct ws_frame_head){.opcode = WS_OP_BINARY, .length = 256}), 4);
    assert_memory_equal(bytes, "\x02\x7e\x01\x00", 4);
    assert_int_equal(
        ws_head_encode(bytes, &(struct ws_frame_head){.fin = true, .opcode = WS_OP_BINARY, .length = 65536}), 10);
    assert_memory_equal(bytes, "\x82\x7f\0\0\0\0\0\x01\0\0", 10);
}

static void long_form_of_short_length_is_refused(void **state) {
    (void)state;
    struct ws_frame_head head;
    assert_int_equal(ws_head_decode("\x81\x7e\x00\x7d", 4, &head), -1);
    assert_int_equal(ws_head_decode("\x81\x7e\x00\x7e", 4, &head), 4);
    assert_int_equal(ws_head_decode("\x81\x7f\0\0\0\0\0\0\xff\xff", 10, &head), -1);
    assert_int_equal(ws_head_decode("\x81\x7f\0\0\0\0\0\x01\0\0", 10, &head), 10);
    assert_int_equal(ws_head_decode("\x81\x7f\x80\0\0\0\0\x01\0\0", 10, &head), -1);
}

/* The plain definition of RFC 6455 §5.3. */
static void mask_slowly(char *dst, const char *src, size_t len, const uint8_t mask[4], uint64_t at) {
    for (size_t i = 0; i < len; i++) {
        dst[i] = (char)((uint8_t)src[i] ^ mask[(at + i) % 4]);
    }
}

static void mask_at_every_place_and_length(void **state) {
    (void)state;
    const uint8_t mask[4] = {0x12, 0xa4, 0xff, 0x01};
    char src[90], want[90], got[90];
    for (size_t i = 0; i < sizeof(src); i++) {
        src[i] = (char)(i * 37);
    }
    for (size_t len = 0; len <= 80; len++) {
        for (uint64_t at = 0; at < 9; at++) {
            mask_slowly(want, src + at % 3, len, mask, at);
            ws_mask(got, src + at % 3, len, mask, at);
            assert_memory_equal(got, want, len);
            ws_mask(got, got, len, mask, at); /* in place, and back */
            assert_memory_equal(got, src + at % 3, len);
        }
    }
}

static void close_codes(void **state) {
    (void)state;
    static const struct {
        uint16_t code;
        bool valid;
    } cases[] = {{0, false},   {999, false}, {1000, true}, {1003, true},  {1004, false}, {1005, false}, {1006, false},
                 {1007, true}, {1011, true}, {1012, true}, {1014, true},  {1015, false}, {1016, false}, {2999, false},
                 {3000, true}, {4002, true}, {4999, true}, {5000, false}, {65535, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(ws_close_code_valid(cases[i].code), cases[i].valid);
    }
}

/* ---- wslay as the independent writer */

static ssize_t collect(const uint8_t *data, size_t len, int flags, void *ctx) {
    (void)flags;
    buf_append(ctx, data, len);
    return (ssize_t)len;
}

static int fixed_mask(uint8_t *buf, size_t len, void *ctx) {
    (void)ctx;
    memcpy(buf, "\x0a\x0b\x0c\x0d", len);
    return 0;
}

static void same_bytes_as_wslay(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 125, 126, 1000, 65535, 65536};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (int masked = 0; masked < 2; masked++) {
            struct buf theirs = BUF_INIT, payload = BUF_INIT;
            for (size_t n = 0; n < sizes[i]; n++) {
                buf_append_char(&payload, (char)(n * 11));
            }
            wslay_frame_context_ptr wslay;
            struct wslay_frame_callbacks callbacks = {collect, NULL, fixed_mask};
            assert_int_equal(wslay_frame_context_init(&wslay, &callbacks, &theirs), 0);
            struct wslay_frame_iocb frame = {.fin = 1,
                                             .opcode = WSLAY_BINARY_FRAME,
                                             .payload_length = sizes[i],
                                             .mask = (uint8_t)masked,
                                             .data = (const uint8_t *)payload.ptr,
                                             .data_length = sizes[i]};
            while (frame.data_length != 0 || theirs.len == 0) {
                ssize_t n = wslay_frame_send(wslay, &frame);
                assert_true(n >= 0);
                frame.data += n;
                frame.data_length -= (size_t)n;
            }
            wslay_frame_context_free(wslay);

            struct ws_frame_head head = {
                .fin = true, .opcode = WS_OP_BINARY, .masked = masked != 0, .length = sizes[i]};
            memcpy(head.mask, "\x0a\x0b\x0c\x0d", 4);
            uint8_t bytes[WS_HEAD_MAX];
            size_t len = ws_head_encode(bytes, &head);
            assert_int_equal(len + sizes[i], theirs.len);
            assert_memory_equal(bytes, theirs.ptr, len);
            if (sizes[i] != 0) {
                ws_mask(payload.ptr, payload.ptr, masked ? sizes[i] : 0, head.mask, 0);
                assert_memory_equal(payload.ptr, theirs.ptr + len, sizes[i]);
            }
            buf_free(&theirs);
            buf_free(&payload);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_round_trip),
        cmocka_unit_test(header_bytes),
        cmocka_unit_test(long_form_of_short_length_is_refused),
        cmocka_unit_test(mask_at_every_place_and_length),
        cmocka_unit_test(close_codes),
        cmocka_unit_test(same_bytes_as_wslay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
