/* Built without libcurl. */
#include "config.h"

#include <stdio.h>

#include "bastiond/push/push.h"

int
push_url(struct push *p)
{
	(void)snprintf(p->why, sizeof(p->why),
	    "this bastiond was built without libcurl (configure --without-oidc)");
	return ERR_DENIED;
}
