/* The names of syslog's facilities. */
#ifndef BASTION_FACILITY_H
#define BASTION_FACILITY_H

#include "lib/err.h"

/* LOG_AUTHPRIV and the like for "authpriv"; -1: no such facility. */
int facility_find(const char *name);

#endif
