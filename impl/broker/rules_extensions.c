/* Names of Puppet's certificate extensions (the registered arc and the one of authorization). */
#include "base/bytes.h"
#include "base/option.h"
#include "broker/rules_internal.h"
#include <string.h>

static const struct {
    const char *name, *oid;
} extensions[] = {
    {"pp_uuid", "1.3.6.1.4.1.34380.1.1.1"},           {"pp_instance_id", "1.3.6.1.4.1.34380.1.1.2"},
    {"pp_image_name", "1.3.6.1.4.1.34380.1.1.3"},     {"pp_preshared_key", "1.3.6.1.4.1.34380.1.1.4"},
    {"pp_cost_center", "1.3.6.1.4.1.34380.1.1.5"},    {"pp_product", "1.3.6.1.4.1.34380.1.1.6"},
    {"pp_project", "1.3.6.1.4.1.34380.1.1.7"},        {"pp_application", "1.3.6.1.4.1.34380.1.1.8"},
    {"pp_service", "1.3.6.1.4.1.34380.1.1.9"},        {"pp_employee", "1.3.6.1.4.1.34380.1.1.10"},
    {"pp_created_by", "1.3.6.1.4.1.34380.1.1.11"},    {"pp_environment", "1.3.6.1.4.1.34380.1.1.12"},
    {"pp_role", "1.3.6.1.4.1.34380.1.1.13"},          {"pp_software_version", "1.3.6.1.4.1.34380.1.1.14"},
    {"pp_department", "1.3.6.1.4.1.34380.1.1.15"},    {"pp_cluster", "1.3.6.1.4.1.34380.1.1.16"},
    {"pp_provisioner", "1.3.6.1.4.1.34380.1.1.17"},   {"pp_region", "1.3.6.1.4.1.34380.1.1.18"},
    {"pp_datacenter", "1.3.6.1.4.1.34380.1.1.19"},    {"pp_zone", "1.3.6.1.4.1.34380.1.1.20"},
    {"pp_network", "1.3.6.1.4.1.34380.1.1.21"},       {"pp_securitypolicy", "1.3.6.1.4.1.34380.1.1.22"},
    {"pp_cloudplatform", "1.3.6.1.4.1.34380.1.1.23"}, {"pp_apptier", "1.3.6.1.4.1.34380.1.1.24"},
    {"pp_hostname", "1.3.6.1.4.1.34380.1.1.25"},      {"pp_owner", "1.3.6.1.4.1.34380.1.1.26"},
    {"pp_authorization", "1.3.6.1.4.1.34380.1.3.1"},  {"pp_auth_auto_renew", "1.3.6.1.4.1.34380.1.3.2"},
    {"pp_auth_role", "1.3.6.1.4.1.34380.1.3.13"},     {"pp_cli_auth", "1.3.6.1.4.1.34380.1.3.39"},
};
enum { EXTENSIONS = sizeof extensions / sizeof extensions[0] };

const char *extension_oid(const char *name) {
    for (size_t i = 0; i < EXTENSIONS; i++) {
        if (str_eq(extensions[i].name, name)) {
            return extensions[i].oid;
        }
    }
    return strspn(name, "0123456789.") == strlen(name) && strchr(name, '.') != NULL ? name : NULL;
}

const char *extension_nearest(const char *name) {
    const char *names[EXTENSIONS];
    for (size_t i = 0; i < EXTENSIONS; i++) {
        names[i] = extensions[i].name;
    }
    return nearest_word(name, names, EXTENSIONS);
}
