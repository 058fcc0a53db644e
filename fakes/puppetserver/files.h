/* The file mounts, shared by content and metadata. */
#ifndef DALANG_FAKES_PUPPETSERVER_FILES_H
#define DALANG_FAKES_PUPPETSERVER_FILES_H

#include "fakes/puppetserver/server.h"

enum ps_found { PS_FILE_FOUND, PS_FILE_ABSENT, PS_FILE_NO_MOUNT };

/* The path on disk of "MOUNT/MODULE/REST" (mem_free() it when found); never leaves the mount. */
enum ps_found ps_file_find(struct world *w, const struct ps_environment *env, const char *served, char **path);
/* The same for the request's first parameter; false after answering 404 or 500. `what`: "file_content". */
bool ps_file_locate(struct ps_request *r, const char *what, const struct ps_environment *env, char **path);
void ps_send_file(struct ps_request *r, const char *path);

#endif
