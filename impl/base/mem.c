/* Allocation that never returns NULL; see mem.h. */
#include "base/mem.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Only torture runs set it; the one piece of process-wide state here, because running out of memory is process-wide. */
static unsigned long fail_countdown;

void mem_fail_after(unsigned long n) {
    fail_countdown = n;
}

static void out_of_memory(void) {
    static const char line[] = "out of memory\n";
    ssize_t ignored = write(STDERR_FILENO, line, sizeof(line) - 1);
    (void)ignored;
    _exit(1);
}

static void *checked(void *ptr) {
    if (ptr == NULL || (fail_countdown != 0 && --fail_countdown == 0)) {
        out_of_memory();
    }
    return ptr;
}

void *mem_alloc(size_t size) {
    return checked(malloc(size == 0 ? 1 : size));
}

void *mem_zalloc(size_t size) {
    return checked(calloc(1, size == 0 ? 1 : size));
}

void *mem_array(size_t count, size_t size) {
    return checked(calloc(count == 0 ? 1 : count, size == 0 ? 1 : size));
}

void *mem_realloc(void *ptr, size_t size) {
    return checked(realloc(ptr, size == 0 ? 1 : size));
}

void *mem_grow(void *ptr, size_t *cap, size_t need, size_t item_size) {
    if (need <= *cap) {
        return ptr;
    }
    /* The first block: up to 8 items, as many as stay within 64 bytes; of bytes as many as the smallest block has. */
    size_t first = item_size == 1 ? 24 : item_size <= 8 ? 8 : item_size < 64 ? 64 / item_size : 1;
    size_t grown = *cap < first ? first : *cap;
    while (grown < need) {
        if (grown > SIZE_MAX / 2) {
            out_of_memory();
        }
        grown *= 2;
    }
    if (grown > SIZE_MAX / item_size) {
        out_of_memory();
    }
    ptr = mem_realloc(ptr, grown * item_size);
    *cap = grown;
    return ptr;
}

void mem_free(void *ptr) {
    free(ptr);
}

void mem_zero(void *ptr, size_t len) {
    if (len != 0) {
        OPENSSL_cleanse(ptr, len);
    }
}

void mem_free_secret(void *ptr, size_t len) {
    if (ptr != NULL) {
        mem_zero(ptr, len);
        free(ptr);
    }
}

void mem_init_libraries(void) {
    json_set_alloc_funcs(mem_alloc, mem_free);
}
