/* Inside of the real world: libcurl, loaded at the first request.
 *
 * It brings some thirty libraries along, 3 MB that a broker never uses and an agent only while it downloads. The table
 * is filled once for the process and never changes. */
#ifndef DALANG_WORLD_REAL_CURL_H
#define DALANG_WORLD_REAL_CURL_H

#include <curl/curl.h>

#undef curl_easy_setopt /* macros that check types, in the way of what is named like them */
#undef curl_easy_getinfo
#undef curl_multi_setopt

#define REAL_CURL_CALLS(X)                                                                                             \
    X(easy_init)                                                                                                       \
    X(easy_cleanup)                                                                                                    \
    X(easy_setopt)                                                                                                     \
    X(easy_getinfo)                                                                                                    \
    X(easy_strerror)                                                                                                   \
    X(multi_init)                                                                                                      \
    X(multi_cleanup)                                                                                                   \
    X(multi_setopt)                                                                                                    \
    X(multi_add_handle)                                                                                                \
    X(multi_remove_handle)                                                                                             \
    X(multi_assign)                                                                                                    \
    X(multi_socket_action)                                                                                             \
    X(multi_info_read)                                                                                                 \
    X(slist_append)                                                                                                    \
    X(slist_free_all)

struct real_curl {
#define X(name) __typeof__(curl_##name) *name;
    REAL_CURL_CALLS(X)
#undef X
    char *missing; /* why it cannot be used, then nothing else is set; or NULL */
};
const struct real_curl *real_curl(void);

#endif
