/* Names of syslog's facilities, for the configuration and for whoever writes to it. */
#ifndef BASTION_PUSH_FACILITY_H
#define BASTION_PUSH_FACILITY_H

#include "lib/err.h"

/* LOG_AUTHPRIV and the like for "authpriv"; -1: no such facility. */
int push_facility(const char *name);

#endif
