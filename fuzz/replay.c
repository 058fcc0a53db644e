/* Replays a corpus (files and directories named on the command line) through LLVMFuzzerTestOneInput,
 * so that every input ever found stays a regression test in builds without libFuzzer. */
#include "base/bytes.h"
#include "base/mem.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replayed;

static int replay(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return 1;
    }
    if (S_ISDIR(st.st_mode)) {
        DIR *dir = opendir(path);
        int failed = 0;
        if (dir == NULL) {
            fprintf(stderr, "%s: cannot be read\n", path);
            return 1;
        }
        for (struct dirent *e; (e = readdir(dir)) != NULL;) {
            if (e->d_name[0] != '.') {
                char *child = str_printf("%s/%s", path, e->d_name);
                failed |= replay(child);
                mem_free(child);
            }
        }
        closedir(dir);
        return failed;
    }
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return 1;
    }
    size_t size = (size_t)st.st_size;
    uint8_t *data = mem_alloc(size + 1);
    size_t got = fread(data, 1, size, f);
    fclose(f);
    LLVMFuzzerTestOneInput(data, got);
    mem_free(data);
    replayed++;
    return 0;
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        failed |= replay(argv[i]);
    }
    printf("%zu inputs replayed\n", replayed);
    return failed != 0 || replayed == 0;
}
