/* What mutated inputs are worth: of every format at least nine in ten are still taken by the reader they are for, and
 * few of them are what they were. */
#include "base/json.h"
#include "base/mem.h"
#include "fuzz/mutate/mutate.h"
#include "pcp/message.h"
#include "wire/http1.h"
#include "wire/ws_reader.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { INPUT_MAX = 4096, ROUNDS = 4000, SEEDS_MAX = 600 };

/* Stands for libFuzzer's own mutations. */
static uint32_t state = 1;

static uint32_t any(uint32_t below) {
    state = state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)state * below) >> 32);
}

static size_t leaf(uint8_t *data, size_t size, size_t max_size) {
    switch (size == 0 ? 0 : any(4)) {
    case 0: /* a byte more */
        if (size < max_size) {
            size_t at = any((uint32_t)size + 1);
            memmove(data + at + 1, data + at, size - at);
            data[at] = (uint8_t)any(256);
            size++;
        }
        return size;
    case 1: /* a byte less */
        memmove(data + size / 2, data + size / 2 + 1, size - size / 2 - 1);
        return size - 1;
    case 2:
        data[any((uint32_t)size)] ^= (uint8_t)(1u << any(8));
        return size;
    default:
        data[any((uint32_t)size)] = (uint8_t)any(256);
        return size;
    }
}

/* ---- readers: is the input of its format? */

static bool is_v1(struct span in) {
    struct pcp_message m;
    struct buf scratch = BUF_INIT;
    bool ok = pcp_decode(PCP_V1, in, PCP_AS_BROKER, &m, &scratch, NULL);
    buf_free(&scratch);
    return ok;
}

/* Numbers of any size: readers differ in what they make of them. */
static json_t *json_of(struct span text) {
    return json_loadb(text.ptr, text.len, JSON_ALLOW_NUL | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
}

/* An envelope may be wrong in a field; chunks and JSON must be right. */
static bool is_v1_frame(struct span in) {
    if (in.len < 6 || in.ptr[0] != 1) {
        return false;
    }
    bool ok = true;
    in = span_sub(in, 1, in.len);
    for (size_t chunk = 0; ok && in.len != 0; chunk++) {
        const uint8_t *at = (const uint8_t *)in.ptr;
        size_t len = in.len >= 5 ? (size_t)at[1] << 24 | (size_t)at[2] << 16 | (size_t)at[3] << 8 | at[4] : SIZE_MAX;
        ok = in.len >= 5 && len <= in.len - 5;
        if (ok && chunk == 0 && (at[0] & 15) == 1) {
            json_t *envelope = json_of(span_sub(in, 5, len));
            ok = json_is_object(envelope);
            json_decref(envelope);
        }
        in = span_sub(in, 5 + (ok ? len : 0), in.len);
    }
    return ok;
}

static bool is_json(struct span in) {
    json_t *json = json_of(in);
    bool ok = json != NULL;
    json_decref(json);
    return ok;
}

static bool is_json_behind_a_byte(struct span in) {
    return in.len > 1 && is_json(span_sub(in, 1, in.len));
}

static bool is_api(struct span in) {
    struct span rest = span_sub(in, 1, in.len), first;
    if (in.len != 0 && (in.ptr[0] == 'T' || in.ptr[0] == 'P')) {
        span_split(&rest, '\n', &first);
    }
    return is_json(rest);
}

static bool is_ws(struct span in) {
    struct ws_reader r;
    struct ws_event ev;
    bool ok = in.len != 0;
    ws_reader_init(&r, ok && (in.ptr[0] & 1) != 0 ? WS_CLIENT : WS_SERVER, SIZE_MAX);
    in = span_sub(in, 1, in.len);
    while (ws_next(&r, &in, &ev)) {
        ok = ok && (ev.kind != WS_FAILED || ev.code == 1007); /* text that a fragment cuts */
    }
    ws_reader_free(&r);
    return ok;
}

static bool is_http(struct span in) {
    struct http1_reader r;
    struct span body;
    size_t heads = 0;
    enum http1_event event;
    http1_reader_init(&r, HTTP1_REQUEST, 1 << 16, 64, 1 << 20);
    while ((event = http1_next(&r, &in, &body)) != HTTP1_NEED_MORE && event != HTTP1_FAILED) {
        heads += event == HTTP1_HEAD ? 1 : 0;
    }
    http1_reader_free(&r);
    return heads != 0; /* the last request of several may be broken */
}

/* Every command is whole. */
static bool is_program_of(struct span in, const struct mutate_format *f) {
    struct pieces p = {.head = BUF_INIT};
    struct buf out = BUF_INIT;
    bool ok = f->split(f, in, &p);
    f->join(f, &p, &out);
    ok = ok && p.count != 0 && span_eq(buf_span(&out), in);
    pieces_free(&p);
    buf_free(&out);
    return ok;
}

static const struct kind {
    const char *corpus;
    const struct mutate_format *format;
    bool (*reads)(struct span in); /* NULL: is_program_of() */
    unsigned per_cent;
} kinds[] = {
    {"pcp_v1", &mutate_pcp_v1, is_v1_frame, 90},
    {"pcp_v2", &mutate_pcp_v2, is_json, 90},
    {"pxp", &mutate_pxp, is_json_behind_a_byte, 90},
    {"api", &mutate_api, is_api, 90},
    {"ws", &mutate_ws, is_ws, 90},
    {"http_request", &mutate_http_request, is_http, 85},
    {"broker", &mutate_broker, NULL, 90},
    {"agent", &mutate_agent, NULL, 90},
    {"orchestrator", &mutate_orchestrator, NULL, 90},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static bool reads(const struct kind *k, struct span in) {
    return k->reads != NULL ? k->reads(in) : is_program_of(in, k->format);
}

/* ---- seeds: what of the corpus the reader takes, but for what fuzzers found (named by its sum): each
 * run of theirs adds to that */

struct seeds {
    struct buf items[SEEDS_MAX];
    size_t count;
};

static bool is_found(const char *name) {
    return strlen(name) == 40 && strspn(name, "0123456789abcdef") == 40;
}

static void load(struct seeds *s, const struct kind *k) {
    char *path = str_printf(SOURCE_DIR "/fuzz/corpora/%s", k->corpus);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL && s->count < SEEDS_MAX;) {
        char *name = str_printf("%s/%s", path, e->d_name);
        FILE *f = e->d_name[0] != '.' && !is_found(e->d_name) ? fopen(name, "rbe") : NULL;
        char bytes[INPUT_MAX];
        size_t len = f != NULL ? fread(bytes, 1, sizeof(bytes), f) : 0;
        if (len != 0 && len < sizeof(bytes) && reads(k, span_bytes(bytes, len))) {
            buf_append(&s->items[s->count++], bytes, len);
        }
        if (f != NULL) {
            fclose(f);
        }
        mem_free(name);
    }
    closedir(dir);
    mem_free(path);
    assert_true(s->count != 0);
}

static void unload(struct seeds *s) {
    for (size_t i = 0; i < s->count; i++) {
        buf_free(&s->items[i]);
    }
    *s = (struct seeds){.count = 0};
}

static struct seeds seeds;

/* ---- tests */

static void nine_in_ten_are_read(void **unused) {
    (void)unused;
    for (size_t k = 0; k < KINDS; k++) {
        size_t read = 0, same = 0;
        load(&seeds, &kinds[k]);
        for (uint32_t i = 0; i < ROUNDS; i++) {
            const struct buf *seed = &seeds.items[any((uint32_t)seeds.count)];
            uint8_t data[INPUT_MAX];
            struct mutate m = mutate_seeded(i, leaf);
            memcpy(data, seed->ptr, seed->len);
            struct span out = span_bytes(data, mutate_input(kinds[k].format, &m, data, seed->len, sizeof(data)));
            read += reads(&kinds[k], out) ? 1 : 0;
            same += span_eq(out, buf_span(seed)) ? 1 : 0;
        }
        unload(&seeds);
        print_message("%-14s %5.1f %% are read, %4.1f %% are unchanged\n", kinds[k].corpus,
                      100.0 * (double)read / ROUNDS, 100.0 * (double)same / ROUNDS);
        assert_true(read * 100 >= (size_t)ROUNDS * kinds[k].per_cent);
        assert_true(same * 100 < (size_t)ROUNDS * 20);
    }
}

static void plain_bytes_seldom_are(void **unused) {
    (void)unused;
    size_t read = 0;
    load(&seeds, &kinds[0]);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        const struct buf *seed = &seeds.items[any((uint32_t)seeds.count)];
        uint8_t data[INPUT_MAX];
        size_t size = seed->len;
        memcpy(data, seed->ptr, size);
        for (int n = 0; n < 3; n++) {
            size = leaf(data, size, sizeof(data));
        }
        read += is_v1(span_bytes(data, size)) ? 1 : 0;
    }
    unload(&seeds);
    assert_true(read * 2 < ROUNDS);
}

static void two_become_one(void **unused) {
    (void)unused;
    for (size_t k = 0; k < KINDS; k++) {
        load(&seeds, &kinds[k]);
        size_t read = 0, made = 0;
        for (uint32_t i = 0; i < ROUNDS / 4; i++) {
            uint8_t out[INPUT_MAX];
            struct mutate m = mutate_seeded(i, leaf);
            size_t size = mutate_cross(kinds[k].format, &m, buf_span(&seeds.items[any((uint32_t)seeds.count)]),
                                       buf_span(&seeds.items[any((uint32_t)seeds.count)]), out, sizeof(out));
            assert_true(size <= sizeof(out));
            made += size != 0 ? 1 : 0;
            read += size != 0 && reads(&kinds[k], span_bytes(out, size)) ? 1 : 0;
        }
        unload(&seeds);
        assert_true(made != 0 && read * 10 >= made * 8);
    }
}

/* Whatever comes in, what goes out fits. */
static void any_bytes_and_little_room(void **unused) {
    (void)unused;
    for (size_t k = 0; k < KINDS; k++) {
        for (uint32_t i = 0; i < ROUNDS; i++) {
            uint8_t data[64];
            size_t size = any(sizeof(data)), max = size + any((uint32_t)(sizeof(data) - size) + 1);
            for (size_t n = 0; n < size; n++) {
                data[n] = (uint8_t)any(256);
            }
            struct mutate m = mutate_seeded(i, leaf);
            assert_true(mutate_input(kinds[k].format, &m, data, size, max) <= max);
        }
    }
}

static void the_same_seed_gives_the_same(void **unused) {
    (void)unused;
    for (size_t k = 0; k < KINDS; k++) {
        load(&seeds, &kinds[k]);
        for (uint32_t i = 0; i < 100; i++) {
            uint8_t a[INPUT_MAX], b[INPUT_MAX];
            const struct buf *seed = &seeds.items[i % seeds.count];
            memcpy(a, seed->ptr, seed->len);
            memcpy(b, seed->ptr, seed->len);
            struct mutate m = mutate_seeded(i, leaf), n = m;
            state = i;
            size_t a_size = mutate_input(kinds[k].format, &m, a, seed->len, sizeof(a));
            state = i;
            size_t b_size = mutate_input(kinds[k].format, &n, b, seed->len, sizeof(b));
            assert_true(span_eq(span_bytes(a, a_size), span_bytes(b, b_size)));
        }
        unload(&seeds);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nine_in_ten_are_read),
        cmocka_unit_test(plain_bytes_seldom_are),
        cmocka_unit_test(two_become_one),
        cmocka_unit_test(any_bytes_and_little_room),
        cmocka_unit_test(the_same_seed_gives_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
