/* The file mounts, shared by content and metadata. */
#ifndef DALANG_FAKES_PUPPETSERVER_FILES_H
#define DALANG_FAKES_PUPPETSERVER_FILES_H

#include "fakes/puppetserver/server.h"

enum ps_found { PS_FILE_FOUND, PS_FILE_ABSENT, PS_FILE_NO_MOUNT };

/* What is asked about symbolic links: what they lead to, or they themselves. */
enum ps_links { PS_LINKS_FOLLOW, PS_LINKS_MANAGE };

/* The path on disk of "MOUNT/MODULE/REST" (mem_free() it when found); never leaves the mount, and the code of the
 * environment only by a link as its last part that is not to be followed. */
enum ps_found ps_file_find(struct world *w, const struct ps_environment *env, const char *served, enum ps_links links,
                           char **path);
/* The same for the request's first parameter; false after answering 404 or 500. `what`: "file_content". */
bool ps_file_locate(struct ps_request *r, const char *what, const struct ps_environment *env, enum ps_links links,
                    char **path);
void ps_send_file(struct ps_request *r, const char *path);

/* What is asked for beside the path. */
struct ps_wish {
    enum ps_links links;
    const char *checksum; /* borrowed from the query */
    bool own_modes;       /* those of the files, not the one that is given to all */
    bool of_project;      /* asked of the part of the server that serves projects, which reads globs in its own way */
};
enum ps_links ps_links_asked(struct ps_request *r);
bool ps_wish_read(struct ps_request *r, struct ps_wish *wish); /* false after answering 500 */

/* A file or directory: `relative` below `base`, "." or NULL: that itself. Both are told. */
struct ps_metadata_of {
    const char *base, *relative;
};
/* A new reference; NULL after setting err. Owner and group are always 0. */
json_t *ps_metadata(struct world *w, const struct ps_environment *env, const struct ps_metadata_of *of,
                    const struct ps_wish *wish, struct error *err);
/* What is below some directories, each with "." for itself, as a list; of the same relative path the first is told. The
 * query's ignore, recurselimit and max_files are heeded. NULL after setting err. */
json_t *ps_search(struct ps_request *r, const struct ps_environment *env, const struct ps_wish *wish, bool recurse,
                  char *const *dirs, size_t count, struct error *err);
void ps_metadata_failed(struct ps_request *r, struct error *err); /* answers 500, clears err */

/* project.c: a Bolt project in the directory "projects_dir" of the state. */
struct ps_project {
    char *root, *name;          /* name: of the module that the project itself is; NULL: it is none */
    struct ps_environment code; /* what its links may lead to */
    char **modulepath;
    size_t modulepath_count;
};
/* False: there is no such project (err is not set), or its configuration cannot be read. */
bool ps_project_open(struct fake_puppetserver *ps, const char *name, struct ps_project *p, struct error *err);
void ps_project_close(struct ps_project *p);
/* Answers when the query names a versioned_project: by `answer`, or with a 400 when it names an environment, too. */
bool ps_project_asked(struct ps_request *r, const char *what, void (*answer)(struct ps_request *r, const char *name));
void ps_project_content(struct ps_request *r, const char *name);
void ps_project_metadatas(struct ps_request *r, const char *name);

#endif
