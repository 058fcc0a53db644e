/* The message types that PCP itself defines (pcp.md §1). */
#ifndef DALANG_PCP_TYPES_H
#define DALANG_PCP_TYPES_H

#define PCP_ASSOCIATE_REQUEST "http://puppetlabs.com/associate_request"
#define PCP_ASSOCIATE_RESPONSE "http://puppetlabs.com/associate_response"
#define PCP_INVENTORY_REQUEST "http://puppetlabs.com/inventory_request"
#define PCP_INVENTORY_RESPONSE "http://puppetlabs.com/inventory_response"
#define PCP_INVENTORY_UPDATE "http://puppetlabs.com/inventory_update"
#define PCP_ERROR_MESSAGE "http://puppetlabs.com/error_message"
#define PCP_DESTINATION_REPORT "http://puppetlabs.com/destination_report"
#define PCP_TTL_EXPIRED "http://puppetlabs.com/ttl_expired"
#define PCP_VERSION_ERROR "http://puppetlabs.com/version_error"
#define PCP_UNAUTHORIZED "http://puppetlabs.com/unauthorized"

#endif
