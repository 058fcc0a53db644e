/* See real_curl.h. */
#include "world/real_curl.h"

#include "base/bytes.h"

#include <dlfcn.h>
#include <pthread.h>

#define LIBCURL "libcurl.so.4"

static struct real_curl table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void *look_up(void *library, const char *symbol) {
    void *address = dlsym(library, symbol);
    if (address == NULL && table.missing == NULL) {
        table.missing = str_printf("%s does not have %s", LIBCURL, symbol);
    }
    return address;
}

static void load(void) {
    void *library = dlopen(LIBCURL, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        table.missing = str_printf("libcurl cannot be loaded: %s", dlerror());
        return;
    }
#define X(name) table.name = (__typeof__(curl_##name) *)look_up(library, "curl_" #name);
    REAL_CURL_CALLS(X)
#undef X
}

const struct real_curl *real_curl(void) {
    pthread_once(&once, load);
    return &table;
}
