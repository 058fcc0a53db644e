/* The controls that only this fake has. */
#ifndef DALANG_FAKES_PUPPETSERVER_CONTROL_H
#define DALANG_FAKES_PUPPETSERVER_CONTROL_H

#include "fakes/puppetserver/server.h"

extern const struct fake_route ps_control_routes[];

#endif
