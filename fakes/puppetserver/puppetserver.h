/* The fake Puppet Server (puppetserver.md, services-observed.md): tasks, plans, file content and metadata from module
 * directories as they are at the moment of the request, environments, static file content, the environment catalog,
 * catalogs and reports of simulated agents. Answers as Puppet Server 7.9.5 was seen to.
 *
 * State ("puppetserver"; every key is optional):
 *   "codedir": "/etc/puppetlabs/code"             environments are the directories in codedir/environments
 *   "basemodulepath": ["/etc/…/modules"]          behind the modules of each environment
 *   "environments": {"production": {              environments besides (or in place of) those in codedir
 *       "modulepath": [DIR], "manifest": FILE}}
 *   "version": "7.9.5"                            before 7 the environment catalog is served (puppetserver.md §14)
 *   "puppet_version": "7.23.0"                    of the header X-Puppet-Version
 *   "static": {"staging": CODE_ID}                versioned code in that environment
 *   "static_in_uris": false                       task details name static_file_content with the code id
 *   "environment_class_cache": false              environment_classes has an Etag and heeds If-None-Match
 *   "capability_types": ["Sql", "Http"]           besides lib/puppet/type/NAME.rb with is_capability => true
 *   "class_components": false                     classes may be components of applications, too
 *   "auth": {"orchestrator": ["orch"],            let in where the shipped rules let nobody in
 *       "enforce": true}                          false: no checks
 *   "override": [{"method": "GET", "path": GLOB,  answers in place of ours; or "text" and "content_type"
 *       "status": 500, "json": {…}}]
 *   "facts": {"node1": {…}}                       as last submitted by agents
 *   "catalogs": {"node1": {"resources": […]}}     what catalogs hold; {"error": TEXT}: it does not compile
 *   "certname": "puppet"                          of the server
 *   "puppetdb": {"url": URL, "up": true}          named in answers; up false: catalogs are a 500
 *   "ca": {"certificate": FILE, "crl": FILE}      what /puppet-ca/v1 gives
 *   "code_content_command": PATH                  named in answers
 *   "projects_dir": DIR                           Bolt projects: what versioned_project names is a directory there
 *   "boltlib": true                               false: no compiling for plans, as without Enterprise's modules
 *
 * POST /_fake/deploy {"environment": E, "from": DIR} copies a directory over codedir/environments/E and gives it a new
 * code id. GET /_fake/reports lists the reports received. */
#ifndef DALANG_FAKES_PUPPETSERVER_H
#define DALANG_FAKES_PUPPETSERVER_H

#include "fakes/common/fake.h"
#include <openssl/types.h>

struct fake_puppetserver;

struct fake_puppetserver_opts {
    const json_t *state; /* borrowed; may be NULL */
    const struct logger *log;
    /* Gets what agents submit, as PuppetDB commands: "replace facts" 5, "replace catalog" 9, "store report" 8.
     * The payload is borrowed. May be NULL: nothing is passed on. */
    void (*submit)(void *ctx, const char *command, int version, const char *certname, const json_t *payload);
    void *submit_ctx;
    /* Rows that PuppetDB gives for an AST query, a new reference, or NULL after setting err: how catalogs find the
     * capabilities that components consume (application-orchestration.md §3.2). May be NULL: none is ever found. */
    json_t *(*query)(void *ctx, const json_t *ast, struct error *err);
    void *query_ctx;
    /* Signs what an agent asks for: the certificate of this name and key as PEM, mem_free() it; NULL after setting err.
     * May be NULL: requests are kept, and wait. */
    char *(*sign)(void *ctx, const char *certname, EVP_PKEY *key, struct error *err);
    void *sign_ctx;
};

struct fake_puppetserver *fake_puppetserver_new(struct world *w, const struct fake_puppetserver_opts *opts,
                                                struct error *err);
void fake_puppetserver_free(struct fake_puppetserver *ps); /* NULL is fine */
struct fake *fake_puppetserver_base(struct fake_puppetserver *ps);
/* What environment_classes answers (puppetserver.md §13), a new reference; NULL after setting err for an unknown
 * environment. Fits the classifier fake's classes_of. */
json_t *fake_puppetserver_classes(struct fake_puppetserver *ps, const char *environment, struct error *err);

#endif
