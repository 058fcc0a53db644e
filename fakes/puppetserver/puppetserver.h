/* The fake Puppet Server (puppetserver.md, services-observed.md): tasks, plans, file content and metadata from module
 * directories as they are at the moment of the request, environments, static file content, the environment catalog,
 * catalogs and reports of simulated agents. Answers as Puppet Server 7.9.5 was seen to.
 *
 * State ("puppetserver"; every key is optional):
 *   {"codedir": "/etc/puppetlabs/code",           environments are the directories in codedir/environments
 *    "basemodulepath": ["/etc/puppetlabs/code/modules"],
 *    "environments": {"production": {"modulepath": ["/home/me/modules"], "manifest": "/home/me/site.pp"}},
 *                                                 environments besides (or in place of) those in codedir
 *    "version": "7.9.5", "puppet_version": "7.23.0",
 *                                                 before 7 the environment catalog is served (puppetserver.md §14),
 * from 7 it is a 404 as recorded "static": {"staging": "urn:puppet:code-id:1:0123…;staging"},   code ids: versioned
 * code in that environment "static_in_uris": false,                     put static_file_content URIs with the code id
 * into task details "capability_types": ["Sql", "Http"],         besides lib/puppet/type/NAME.rb that say is_capability
 * => true "auth": {"orchestrator": ["orch.lab.example"], "enforce": true}, names let in where the shipped rules let
 * nobody in; enforce false: no checks "override": [{"method": "GET", "path": "/puppet/v3/tasks*", "status": 500,
 * "json": {…}}],   or "text", "content_type" "facts": {"node1": {…}}}                      as last submitted by agents
 * POST /_fake/deploy {"environment": E, "from": DIR} copies a directory over codedir/environments/E and gives it a new
 * code id. GET /_fake/reports lists the reports received. */
#ifndef DALANG_FAKES_PUPPETSERVER_H
#define DALANG_FAKES_PUPPETSERVER_H

#include "fakes/common/fake.h"

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
};

struct fake_puppetserver *fake_puppetserver_new(struct world *w, const struct fake_puppetserver_opts *opts,
                                                struct error *err);
void fake_puppetserver_free(struct fake_puppetserver *ps); /* NULL is fine */
struct fake *fake_puppetserver_base(struct fake_puppetserver *ps);
/* What environment_classes answers (puppetserver.md §13), a new reference; NULL after setting err for an unknown
 * environment. Fits the classifier fake's classes_of. */
json_t *fake_puppetserver_classes(struct fake_puppetserver *ps, const char *environment, struct error *err);

#endif
