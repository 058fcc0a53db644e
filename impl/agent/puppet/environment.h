/* The environment `puppet agent` is run in (agent.md §17). */
#ifndef DALANG_AGENT_PUPPET_ENVIRONMENT_H
#define DALANG_AGENT_PUPPET_ENVIRONMENT_H

/* Ours, with RUBYOPT telling Ruby to use UTF-8 where the locale is ASCII, and with USER, LOGNAME and HOME of the passwd
 * entry for anybody but root: a service's environment often lacks them. NULL-terminated; free it with
 * puppet_environment_free(). */
char **puppet_environment(void);
void puppet_environment_free(char **environment);

#endif
