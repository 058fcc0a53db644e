/* Socket addresses as text, and the system's errors as reasons. */
#include "world/real_conn.h"

#include <arpa/inet.h>
#include <errno.h>

char *real_address_text(const struct sockaddr *addr) {
    char text[INET6_ADDRSTRLEN] = "?";
    if (addr->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)addr;
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
        return str_printf("%s:%u", text, ntohs(in->sin_port));
    }
    if (addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)addr;
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
            inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], text, sizeof(text));
            return str_printf("%s:%u", text, ntohs(in6->sin6_port));
        }
        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
        return str_printf("[%s]:%u", text, ntohs(in6->sin6_port));
    }
    return str_dup("?");
}

uint16_t real_address_port(const struct sockaddr_storage *addr) {
    if (addr->ss_family == AF_INET6) {
        return ntohs(((const struct sockaddr_in6 *)(const void *)addr)->sin6_port);
    }
    return ntohs(((const struct sockaddr_in *)(const void *)addr)->sin_port);
}

enum world_close_reason real_close_reason(int error_number) {
    switch (error_number) {
    case ECONNREFUSED:
        return WORLD_CLOSE_REFUSED;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL:
    case EADDRINUSE: /* no free local port */
    case EAFNOSUPPORT:
    case EACCES:
    case EPERM:
    case EMFILE:
    case ENFILE:
        return WORLD_CLOSE_UNREACHABLE;
    case ETIMEDOUT:
        return WORLD_CLOSE_TIMEOUT;
    default:
        return WORLD_CLOSE_RESET;
    }
}
