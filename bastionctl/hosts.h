/* policy.yaml's inventory, as the commands of hosts read it. */
#ifndef BASTION_CTL_HOSTS_H
#define BASTION_CTL_HOSTS_H

#include <stddef.h>

#include "bastionctl/cmd.h"
#include "lib/conf.h"

/* policy.yaml in memory, as text and parsed. */
struct hosts_file {
	char *text; /* owned */
	size_t len;
	struct conf_doc *doc; /* owned */
};

/* c->policy. CMD_YES; CMD_UNSURE after a line on stderr. hosts_done() is to be called in both cases. */
int hosts_read(const struct cmd_ctx *c, struct hosts_file *f);
void hosts_done(struct hosts_file *f);
/* The map of hosts; NULL when there is none. */
const struct conf_node *hosts_map(const struct hosts_file *f);
/* A host's map of settings; NULL: not in the inventory. */
const struct conf_node *hosts_find(const struct hosts_file *f, const char *name);
/* A host's setting as text; fallback where it is missing. */
const char *hosts_setting(const struct conf_node *host, const char *key, const char *fallback);

#endif
