/* links: base */
/* JSON as it comes from outside: what is read can be written and read again to the same; repeated keys are seen; depth
 * is bounded; strings survive quoting. Times, durations and base64 on the way. */
#include "base/clock.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_value(struct span text) {
    struct error err = ERROR_INIT;
    json_t *value = json_parse(text, "fuzz", &err);
    assert((value == NULL) == error_is_set(&err));
    error_clear(&err);
    json_t *strict = json_parse_strict(text, "fuzz", NULL);
    assert(strict == NULL || json_equal(strict, value));
    if (value != NULL) {
        struct buf out = BUF_INIT, twice = BUF_INIT;
        json_write(&out, value);
        json_t *again = json_parse(buf_span(&out), "fuzz", NULL);
        assert(again != NULL);
        json_write(&twice, again);
        assert(span_eq(buf_span(&out), buf_span(&twice)));
        assert(json_equal(value, again));
        buf_free(&out);
        buf_free(&twice);
        json_decref(again);
    }
    json_decref(strict);
    json_decref(value);
}

static void check_string(struct span text) {
    json_t *string = json_str_new(text);
    assert((string != NULL) == span_is_utf8(text));
    if (string != NULL) {
        struct buf quoted = BUF_INIT;
        json_write_string(&quoted, text);
        json_t *back = json_parse(buf_span(&quoted), "fuzz", NULL);
        assert(back != NULL && span_eq(json_span(back), text));
        json_decref(back);
        buf_free(&quoted);
    }
    json_decref(string);
}

static void check_codes(struct span text) {
    struct buf coded = BUF_INIT, back = BUF_INIT;
    base64_encode(&coded, text);
    assert(base64_decode(&back, buf_span(&coded)) && span_eq(buf_span(&back), text));
    buf_clear(&back);
    buf_clear(&coded);
    if (base64_decode(&back, text)) {
        base64_encode(&coded, buf_span(&back));
        assert(span_eq(buf_span(&coded), text)); /* one text per value */
    }
    buf_free(&coded);
    buf_free(&back);
}

static void check_time(struct span text) {
    int64_t ms, again;
    char out[TIME_TEXT_LEN];
    if (time_parse(text, &ms)) {
        time_format_ms(ms, out);
        assert(time_parse(span_of(out), &again) && again == ms);
        struct civil_time c = time_civil(ms);
        assert(time_from_civil(&c) == ms);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span text = span_bytes(data, size);
    check_value(text);
    check_string(text);
    check_codes(text);
    check_time(text);
    return 0;
}
