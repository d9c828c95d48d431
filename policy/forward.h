/*
 * Where forwards may lead, as rules write it: "localhost:5432", "*.db.example:5000-5999", "10.0.0.?:*", "[::1]:80",
 * "unix:/run/app.sock"; for what the target listens on: "8080" (loopback only), "*:8080", "localhost:0" (a port that the target
 * picks). Names are held against the words that the client sent: nothing is resolved here.
 */
#ifndef BASTION_FORWARD_H
#define BASTION_FORWARD_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/net.h"

#define FORWARD_HOST_MAX 255u /* bytes of a host's name */
#define FORWARD_PATH_MAX 107u /* bytes of a socket's path; what an address of the kernel holds */

/* What is asked for. Borrowed. */
struct forward {
	const char *host; /* to connect to, or to listen on; NULL: path */
	uint32_t port;	  /* 0: one that the target picks, for listening */
	const char *path; /* of a socket */
};

struct forward_pattern {
	const char *path; /* of a socket, exact; NULL: host and ports. Borrowed from the text */
	char host[FORWARD_HOST_MAX + 1]; /* lower case, with * and ? */
	bool any_host;			 /* host is * */
	bool loopback;			 /* no host was given: the loopback addresses */
	bool numbers; /* host is an address with wildcards: holds addresses only */
	bool exact;   /* host is an address: */
	struct net_addr addr;
	uint16_t from, to; /* ports, both included */
};

/*
 * remote: a pattern for what the target listens on. 0; ERR_FORMAT with *ret_why (static, "a port of ..."): what was expected.
 * *ret lives as long as the text.
 */
int forward_parse(
    const char *text, bool remote, struct forward_pattern *ret, const char **ret_why) MUST_CHECK;
bool forward_fits(const struct forward_pattern *p, const struct forward *f);

#endif
