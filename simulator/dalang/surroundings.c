/* See surroundings.h. */
#include "simulator/dalang/surroundings.h"

#include "base/bytes.h"
#include "base/mem.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

char *absolute_path(const char *path) {
    if (path[0] == '/') {
        return str_dup(path);
    }
    char here[PATH_MAX];
    return getcwd(here, sizeof(here)) != NULL ? str_printf("%s/%s", here, path) : str_dup(path);
}

static char *own_directory(void) {
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (len <= 0) {
        return str_dup(".");
    }
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    *slash = '\0';
    return str_dup(self);
}

char *program_path(const char *name) {
    char *dir = own_directory();
    char *path = str_printf("%s/%s", dir, name);
    mem_free(dir);
    return path;
}

char *shared_path(const char *name) {
    char *dir = own_directory();
    char *path = str_printf("%s/../share/dalang/%s", dir, name);
    mem_free(dir);
    return path;
}

char *temporary_directory(struct error *err) {
    const char *base = getenv("TMPDIR");
    char *path = str_printf("%s/dalang-XXXXXX", base != NULL && base[0] == '/' ? base : "/tmp");
    if (mkdtemp(path) == NULL) {
        error_set(err, "world/io", "%s: %s", path, strerror(errno));
        mem_free(path);
        return NULL;
    }
    return path;
}

bool enough_descriptors(uint64_t needed, struct error *err) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return true;
    }
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur >= needed ||
           error_set(err, "limit", "%llu open files are needed and only %llu are allowed; raise the limit (ulimit -n)",
                     (unsigned long long)needed, (unsigned long long)limit.rlim_cur);
}
