/* Names of many agents from one text: "web-{n:04}.example.com". */
#ifndef DALANG_FLEET_NAME_H
#define DALANG_FLEET_NAME_H

#include <stdbool.h>
#include <stdint.h>

/* Exactly one {n} or {n:WIDTH} (zero-padded)? */
bool fleet_name_format_valid(const char *format);
/* The name of agent number n; mem_free() it. NULL format: "node-{n:04}.example.com". */
char *fleet_format_name(const char *format, uint32_t n);

#endif
