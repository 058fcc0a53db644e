/* The HTTP API (orchestrator-api.md): one route table, one file per endpoint family. */
#ifndef DALANG_ORCHESTRATOR_API_H
#define DALANG_ORCHESTRATOR_API_H

#include "orchestrator/orchestrator.h"

struct api;
/* Listens. NULL: the port cannot be had (err names it). `parts` outlives the API. */
struct api *api_new(const struct orchestrator_parts *parts, struct error *err);
uint16_t api_port(const struct api *api);
/* Takes no more requests, gives running ones grace_ms, then done (may be NULL); frees it. */
void api_close(struct api *api, uint64_t grace_ms, void (*done)(void *ctx), void *ctx);
/* Frees it at once, dropping connections. */
void api_free(struct api *api);

#endif
