#include "agent/daemon/trim.h"

#include <link.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

/* Whole pages of segments that nobody writes to; those with relocations and data are never among them. */
static int give_back(struct dl_phdr_info *object, size_t size, void *ctx) {
    const uintptr_t *page = ctx;
    (void)size;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0) {
            continue;
        }
        uintptr_t start = (object->dlpi_addr + segment->p_vaddr + *page - 1) & ~(*page - 1);
        uintptr_t end = (object->dlpi_addr + segment->p_vaddr + segment->p_memsz) & ~(*page - 1);
        if (end > start && object->dlpi_addr != getauxval(AT_SYSINFO_EHDR)) { /* the kernel's own object is none */
            madvise((void *)start, end - start, MADV_DONTNEED);               /* may fail: then they stay */
        }
    }
    return 0;
}

void memory_trim(void) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    malloc_trim(0);
    dl_iterate_phdr(give_back, &page);
}
