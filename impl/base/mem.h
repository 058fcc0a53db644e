/* Memory. Allocation never returns NULL: when the system has none left, one line says so on
 * stderr and the process ends with status 1. What was acknowledged is on disk by then
 * (see "Promises"), so a restart loses nothing. */
#ifndef DALANG_BASE_MEM_H
#define DALANG_BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);               /* not cleared */
void *mem_zalloc(size_t size);              /* zeroed */
void *mem_array(size_t count, size_t size); /* zeroed, overflow-checked */
void *mem_realloc(void *ptr, size_t size);
void *mem_grow(void *ptr, size_t *cap, size_t need, size_t item_size); /* doubles *cap until it holds `need` items */
void mem_free(void *ptr);
void mem_zero(void *ptr, size_t len);        /* not optimised away: for secrets */
void mem_free_secret(void *ptr, size_t len); /* zero, then free */

/* Makes jansson allocate here and SQLite, OpenSSL, curl report as this file does. Call first in main(). */
void mem_init_libraries(void);

/* Torture: the n-th allocation from now behaves as if memory had run out; 0 turns it off. */
void mem_fail_after(unsigned long n);

#endif
