/* Files. Descriptors are never inherited; a file that must be new is never reached through a link; atomic writes are
 * synced, file and directory. */
#include "world/real_loop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct real_file {
    struct world_file file; /* first */
    int fd;
    enum world_write how;
    char *path;
    char *temporary; /* ATOMIC: where it is written until it is whole */
};

static bool fail(struct error *err, const char *what, const char *path, int e) {
    static const struct {
        int error_number;
        const char *kind;
    } kinds[] = {
        {ENOENT, "world/not-found"},    {EEXIST, "world/exists"},    {EACCES, "world/permission"},
        {EPERM, "world/permission"},    {EROFS, "world/permission"}, {ENOSPC, "world/full"},
        {EDQUOT, "world/full"},         {EFBIG, "world/full"},       {ENOTDIR, "world/not-directory"},
        {ENOTEMPTY, "world/not-empty"},
    };
    const char *kind = "world/io";
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        kind = kinds[i].error_number == e ? kinds[i].kind : kind;
    }
    return error_set(err, kind, "cannot %s %s: %s", what, path, strerror(e));
}

/* The part before the last '/': "." when there is none. */
static char *directory_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return str_dup(".");
    }
    return span_dup(span_bytes(path, slash == path ? 1 : (size_t)(slash - path)));
}

static bool file_stat(void *impl, const char *path, bool follow, struct world_stat *out, struct error *err) {
    (void)impl;
    struct stat st;
    if ((follow ? stat(path, &st) : lstat(path, &st)) != 0) {
        return fail(err, "look at", path, errno);
    }
    *out = (struct world_stat){
        .is_dir = S_ISDIR(st.st_mode),
        .is_file = S_ISREG(st.st_mode),
        .is_link = S_ISLNK(st.st_mode),
        .size = (uint64_t)st.st_size,
        .mode = (int)(st.st_mode & 07777),
        .modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000,
    };
    return true;
}

/* A pipe or socket in a file's place must not block us, nor a device feed us for ever. */
static int open_for_reading(const char *path, struct stat *st, struct error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        fail(err, "read", path, errno);
        return -1;
    }
    int e = fstat(fd, st) != 0 ? errno : S_ISDIR(st->st_mode) ? EISDIR : 0;
    if (e != 0) {
        fail(err, "read", path, e);
    } else if (!S_ISREG(st->st_mode)) {
        e = EINVAL;
        error_set(err, "world/io", "cannot read %s: it is not a regular file", path);
    }
    if (e != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

enum { READ_STEP = 64 * 1024 };

static bool read_at(void *impl, const char *path, uint64_t offset, size_t len, struct buf *out, struct error *err) {
    (void)impl;
    struct stat st;
    int fd = open_for_reading(path, &st, err);
    if (fd < 0) {
        return false;
    }
    size_t before = out->len;
    uint64_t size = (uint64_t)st.st_size;
    uint64_t expected = size > offset ? size - offset : 0;
    /* One byte more than the size shows the end without another step; files in /proc have no size at all. */
    size_t step = expected < READ_STEP ? (expected == 0 ? 4096 : (size_t)expected + 1) : READ_STEP;
    if (expected < len && expected > 0) {
        buf_reserve(out, (size_t)expected + 1);
    }
    int e = 0;
    while (len > 0) {
        size_t ask = len < step ? len : step;
        buf_reserve(out, ask);
        ssize_t n = pread(fd, out->ptr + out->len, ask, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            e = n < 0 ? errno : 0;
            break;
        }
        out->len += (size_t)n;
        offset += (uint64_t)n;
        len -= (size_t)n;
        step = READ_STEP;
    }
    if (out->ptr != NULL) {
        out->ptr[out->len] = '\0';
    }
    close(fd);
    if (e != 0) {
        out->len = before;
        return fail(err, "read", path, e);
    }
    return true;
}

static bool sync_path(void *impl, const char *path, struct error *err) {
    (void)impl;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return fail(err, "sync", path, errno);
    }
    int e = fsync(fd) != 0 ? errno : 0;
    close(fd);
    return e == 0 || fail(err, "sync", path, e);
}

static bool make_directory(void *impl, const char *path, int mode, struct error *err) {
    (void)impl;
    if (mkdir(path, (mode_t)mode & 07777) != 0) {
        return fail(err, "make the directory", path, errno);
    }
    struct stat st; /* the mode is meant as it is said, whatever the umask */
    if (stat(path, &st) == 0 && (int)(st.st_mode & 0777) != (mode & 0777) && chmod(path, (mode_t)mode & 07777) != 0) {
        return fail(err, "change the mode of", path, errno);
    }
    return true;
}

static bool rename_path(void *impl, const char *from, const char *to, struct error *err) {
    (void)impl;
    return rename(from, to) == 0 || fail(err, "rename", from, errno);
}

static bool remove_path(void *impl, const char *path, struct error *err) {
    (void)impl;
    if (unlink(path) == 0) {
        return true;
    }
    int e = errno;
    if (e == EISDIR || e == EPERM) { /* unlink() of a directory */
        if (rmdir(path) == 0) {
            return true;
        }
        e = errno == ENOTDIR ? e : errno;
    }
    return fail(err, "remove", path, e);
}

static bool change_mode(void *impl, const char *path, int mode, struct error *err) {
    (void)impl;
    return chmod(path, (mode_t)mode & 07777) == 0 || fail(err, "change the mode of", path, errno);
}

static bool make_link(void *impl, const char *target, const char *path, struct error *err) {
    (void)impl;
    return symlink(target, path) == 0 || fail(err, "make the link", path, errno);
}

static char *read_link(void *impl, const char *path, struct error *err) {
    (void)impl;
    char target[PATH_MAX + 1];
    ssize_t len = readlink(path, target, sizeof(target));
    if (len < 0 && errno == EINVAL) {
        error_set(err, "world/io", "cannot read the link %s: it is none", path);
    } else if (len < 0 || (size_t)len == sizeof(target)) {
        fail(err, "read the link", path, len < 0 ? errno : ENAMETOOLONG);
    } else {
        return span_dup(span_bytes(target, (size_t)len));
    }
    return NULL;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool list_directory(void *impl, const char *path, char ***names, size_t *count, struct error *err) {
    (void)impl;
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return fail(err, "list", path, errno);
    }
    char **list = NULL;
    size_t len = 0, cap = 0;
    errno = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL; errno = 0) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            list = mem_grow(list, &cap, len + 1, sizeof(char *));
            list[len++] = str_dup(entry->d_name);
        }
    }
    int e = errno;
    closedir(dir);
    if (e != 0) {
        world_names_free(list, len);
        return fail(err, "list", path, e);
    }
    if (len > 0) {
        qsort(list, len, sizeof(char *), compare_names);
    }
    *names = list;
    *count = len;
    return true;
}

/* ---- writing */

/* Opens or creates; a created one gets exactly `mode`. */
static int open_shared(const char *path, int flags, int mode) {
    for (int tries = 0; tries < 8; tries++) {
        int fd = open(path, flags | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, (mode_t)mode & 07777);
        if (fd >= 0) {
            fchmod(fd, (mode_t)mode & 07777);
            return fd;
        }
        if (errno != EEXIST) {
            return -1;
        }
        fd = open(path, flags | O_CLOEXEC | O_NOCTTY);
        if (fd >= 0 || errno != ENOENT) {
            return fd;
        }
        /* A link that leads to nothing yet, or somebody removed it in between. */
        fd = open(path, flags | O_CREAT | O_CLOEXEC | O_NOCTTY, (mode_t)mode & 07777);
        if (fd >= 0 || errno != ENOENT) {
            return fd;
        }
    }
    return -1;
}

static int open_new(const char *path, int mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, (mode_t)mode & 07777);
    if (fd >= 0) {
        fchmod(fd, (mode_t)mode & 07777);
    }
    return fd;
}

/* "dir/.name.<random>.tmp", never longer than a name may be. */
static char *temporary_name(const char *path) {
    unsigned char random[8] = {0};
    RAND_bytes(random, sizeof(random));
    uint64_t number;
    memcpy(&number, random, sizeof(number));
    char *dir = directory_of(path);
    const char *slash = strrchr(path, '/');
    char *name =
        str_printf("%s/.%.200s.%016llx.tmp", dir, slash != NULL ? slash + 1 : path, (unsigned long long)number);
    mem_free(dir);
    return name;
}

static struct world_file *file_open(void *impl, const char *path, int mode, enum world_write how, struct error *err) {
    (void)impl;
    char *temporary = how == WORLD_WRITE_ATOMIC ? temporary_name(path) : NULL;
    int fd = -1;
    switch (how) {
    case WORLD_WRITE_PLAIN:
        fd = open_shared(path, O_WRONLY | O_TRUNC, mode);
        break;
    case WORLD_WRITE_APPEND:
        fd = open_shared(path, O_WRONLY | O_APPEND, mode);
        break;
    case WORLD_WRITE_ATOMIC:
        fd = open_new(temporary, mode);
        break;
    case WORLD_WRITE_NEW:
        fd = open_new(path, mode);
        break;
    }
    if (fd < 0) {
        fail(err, "write", path, errno);
        mem_free(temporary);
        return NULL;
    }
    struct real_file *f = mem_zalloc(sizeof(*f));
    f->file.ops = &real_file_ops;
    f->fd = fd;
    f->how = how;
    f->path = str_dup(path);
    f->temporary = temporary;
    return &f->file;
}

static bool file_put(struct world_file *file, struct span bytes, struct error *err) {
    struct real_file *f = (struct real_file *)(void *)file;
    while (bytes.len > 0) {
        ssize_t n = write(f->fd, bytes.ptr, bytes.len);
        if (n < 0 && errno != EINTR) {
            return fail(err, "write", f->path, errno);
        }
        bytes = span_sub(bytes, n > 0 ? (size_t)n : 0, bytes.len);
    }
    return true;
}

/* Syncs the file, puts it in place and syncs the directory. */
static bool commit(struct real_file *f, struct error *err) {
    if (fsync(f->fd) != 0) {
        return fail(err, "write", f->path, errno);
    }
    if (rename(f->temporary, f->path) != 0) {
        return fail(err, "write", f->path, errno);
    }
    mem_free(f->temporary);
    f->temporary = NULL;
    char *dir = directory_of(f->path);
    bool ok = sync_path(NULL, dir, err);
    mem_free(dir);
    return ok;
}

static bool file_close(struct world_file *file, bool keep, struct error *err) {
    struct real_file *f = (struct real_file *)(void *)file;
    bool ok = true;
    if (keep && f->how == WORLD_WRITE_ATOMIC) {
        ok = commit(f, err);
    }
    if (close(f->fd) != 0 && ok && keep) {
        ok = fail(err, "write", f->path, errno); /* a network file system may report a full disk only now */
    }
    if (f->temporary != NULL) {
        unlink(f->temporary);
    }
    mem_free(f->temporary);
    mem_free(f->path);
    mem_free(f);
    return ok;
}

static const char *sqlite_vfs(void *impl) {
    (void)impl;
    return NULL;
}

const struct world_file_ops real_file_ops = {
    .stat = file_stat,
    .read_at = read_at,
    .sync = sync_path,
    .mkdir = make_directory,
    .rename = rename_path,
    .remove = remove_path,
    .chmod = change_mode,
    .list = list_directory,
    .open = file_open,
    .put = file_put,
    .close = file_close,
    .watch = real_watch,
    .watch_close = real_watch_close,
    .sqlite_vfs = sqlite_vfs,
    .symlink = make_link,
    .readlink = read_link,
};
