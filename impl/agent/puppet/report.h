/* What pxp-module-puppet tells of Puppet's last_run_report.yaml (agent.md §17). */
#ifndef DALANG_PUPPET_REPORT_H
#define DALANG_PUPPET_REPORT_H

#include "base/bytes.h"
#include "base/error.h"
#include <jansson.h>

/* {"time", "transaction_uuid", "environment", "status", "metrics"}; what the report lacks is "unknown" ({}). NULL after
 * setting err (kind "invalid_last_run_report"): not YAML, no mapping. New reference. */
json_t *puppet_report_read(struct span yaml, struct error *err);

#endif
