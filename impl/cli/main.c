/* One source for puppet-job, puppet-task, puppet-plan, puppet-app, puppet-access and puppet-query. */
#include "cli/real_host.h"

int main(int argc, char **argv) {
    return cli_main(CLI_PROGRAM, argc, argv);
}
