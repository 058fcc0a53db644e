/* Sensitive values at rest: AES-256-GCM with a key from a file of mode 0600 (orchestrator-jobs.md §10.4).
 * A sealed text is version byte, 12 bytes of nonce, ciphertext, 16 bytes of tag; `purpose` ("job", "schedule",
 * "connection") is authenticated with it, so that one cannot stand in for another. */
#ifndef DALANG_ORCHESTRATOR_SECRETS_H
#define DALANG_ORCHESTRATOR_SECRETS_H

#include "world/world.h"

enum { SECRET_KEY_LEN = 32, SECRET_OVERHEAD = 1 + 12 + 16 };

/* Reads the key, or makes one. error kinds: "world/…", "configuration" (wrong length, or readable by others). */
bool secret_key_load(struct world *w, const char *path, uint8_t key[SECRET_KEY_LEN], struct error *err);
void secret_seal(struct world *w, const uint8_t key[SECRET_KEY_LEN], const char *purpose, struct span plain,
                 struct buf *out); /* appends */
/* Appends the plain text; false when it was made with another key or purpose, or was changed. */
bool secret_open(const uint8_t key[SECRET_KEY_LEN], const char *purpose, struct span sealed, struct buf *out);

#endif
