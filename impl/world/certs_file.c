/* Files of a CA's directory. */
#include "world/certs_internal.h"

#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 64 * 1024 * 1024 };

static bool fail(struct error *err, const char *path, int e) {
    return error_set(err, "certs/file", "%s: %s", path, strerror(e));
}

static bool write_and_sync(int fd, struct span bytes, int mode) {
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        bytes = span_sub(bytes, n > 0 ? (size_t)n : 0, bytes.len);
    }
    return fchmod(fd, (mode_t)mode) == 0 && fsync(fd) == 0;
}

static bool sync_directory_of(const char *path) {
    const char *slash = strrchr(path, '/');
    char *dir = slash == NULL ? str_dup(".") : span_dup(span_bytes(path, slash == path ? 1 : (size_t)(slash - path)));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    mem_free(dir);
    return ok;
}

bool certs_file_write(const char *path, struct span bytes, int mode, struct error *err) {
    char *temporary = str_printf("%s.%ld.tmp", path, (long)getpid());
    unlink(temporary); /* of a run that died; the directory is locked, so it is nobody's */
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int e = fd < 0 ? errno : 0;
    if (fd >= 0) {
        if (!write_and_sync(fd, bytes, mode)) {
            e = errno;
        }
        close(fd);
        if (e == 0 && (rename(temporary, path) != 0 || !sync_directory_of(path))) {
            e = errno;
        }
        if (e != 0) {
            unlink(temporary);
        }
    }
    mem_free(temporary);
    return e == 0 || fail(err, path, e);
}

bool certs_file_read(const char *path, struct buf *out, bool *absent, struct error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (absent != NULL) {
        *absent = fd < 0 && errno == ENOENT;
        if (*absent) {
            return false;
        }
    }
    if (fd < 0) {
        return fail(err, path, errno);
    }
    int e = 0;
    for (ssize_t n = 1; e == 0 && n != 0;) {
        buf_reserve(out, 16 * 1024);
        n = read(fd, out->ptr + out->len, 16 * 1024);
        if (n < 0 && errno != EINTR) {
            e = errno;
        }
        out->len += n > 0 ? (size_t)n : 0;
        if (out->len > FILE_MAX) {
            e = EFBIG;
        }
    }
    close(fd);
    out->ptr[out->len] = '\0';
    return e == 0 || fail(err, path, e);
}

bool certs_file_mkdir(const char *path, int mode, struct error *err) {
    struct stat st;
    if (mkdir(path, (mode_t)mode) == 0 || (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))) {
        return true;
    }
    return fail(err, path, errno);
}

int certs_dir_lock(const char *dir, struct error *err) {
    char *path = str_printf("%s/.lock", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int e = fd < 0 ? errno : 0;
    while (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR) {
            e = errno;
            close(fd);
            fd = -1;
        }
    }
    if (fd < 0) {
        fail(err, path, e);
    }
    mem_free(path);
    return fd;
}
