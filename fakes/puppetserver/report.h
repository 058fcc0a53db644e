/* Forms in which Puppet Server hands on to PuppetDB what agents submit. Pure. */
#ifndef DALANG_FAKES_PUPPETSERVER_REPORT_H
#define DALANG_FAKES_PUPPETSERVER_REPORT_H

#include "base/json.h"

/* Payload of "store report" version 8 from an agent's report (format 10 and later); new reference. */
json_t *ps_report_wire(const json_t *report, const char *certname, const char *producer, int64_t now_ms);
/* "2030-01-02T03:04:05.678+00:00"; new reference. */
json_t *ps_time_json(int64_t ms);

#endif
