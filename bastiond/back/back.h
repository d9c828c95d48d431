/* What the files of the back share: one leg to one target, from the grant to the last byte. */
#ifndef BASTION_BACK_H
#define BASTION_BACK_H

#include "bastiond/ssh/end.h"
#include "lib/buf.h"
#include "lib/hash.h"
#include "lib/ipc.h"
#include "lib/loop.h"
#include "lib/net.h"

#define BACK_NAME_MAX 256u /* bytes of a host name, address or login, and NUL */
#define BACK_LIST_MAX 256u /* entries of a list in the grant */
#define BACK_ADDRS_MAX 8u  /* addresses of one name that are tried */

/* One of the bastion's own listen addresses. */
struct back_own {
	struct net_addr addr;
	uint16_t port;
};

/* BRK_BACK_START, parsed. */
struct back_plan {
	struct buf *bytes; /* as it came: what the lists of blobs point into */
	char host[BACK_NAME_MAX];
	char address[BACK_NAME_MAX];
	char login[BACK_NAME_MAX];
	uint16_t port;
	bool resolve; /* address is a name */
	struct rd_str *pins,
	    *cas; /* host key blobs: the only ones accepted; those that may certify others */
	uint32_t n_pins, n_cas;
	struct back_own *own;
	uint32_t n_own;
	struct net_prefix *denied;
	uint32_t n_denied;
	uint64_t timeout_ns; /* to connect; and again to log in */
	uint64_t alive_ns;
	uint64_t close_ns; /* for a target to answer CLOSE */
	uint32_t missed_max;
};

struct back {
	struct loop *loop;
	struct end end;
	struct ipc *broker;
	struct loop_timer *timer; /* for the login */
	struct back_plan plan;
	int broker_fd;	       /* the broker edge's, borrowed */
	int link_fd, agent_fd; /* until the link and the login have them */
	int (*close_sandbox)(void);
	char where[NET_PORT_TEXT_SIZE];
	char fingerprint[HASH_FINGERPRINT_SIZE];
	struct buf *key, *sig; /* the target's proof, until the vault has seen it */
	bool in;	       /* logged in at the target */
	enum link_end code;    /* why it ends, once something other than the connection says so */
	char why[700];
};

/* The descriptors that a back is started with; owned by it from back_init() on. */
struct back_fds {
	int broker, link, agent;
};

/* back.c */

/* Everything but the loop's run. close_sandbox: called between connecting and the first byte of the target. */
int back_init(struct back *b, const struct back_fds *fds, int (*close_sandbox)(void)) MUST_CHECK;
void back_done(struct back *b);

/* back_plan.c */

/* Take BRK_BACK_START apart; copied. 0; ERR_FORMAT; -ENOMEM. Call back_plan_done() in any case. */
int back_plan_parse(struct back_plan *p, const uint8_t *data, size_t len) MUST_CHECK;
void back_plan_done(struct back_plan *p);

/* back_addr.c: may we connect there? */

/* 0; ERR_DENIED and why in *ret_why. */
int back_addr_check(
    const struct back_plan *p, const struct net_addr *a, const char **ret_why) MUST_CHECK;
/* A connected socket whose two addresses are the same reaches this machine itself: 0, or ERR_DENIED as above. */
int back_addr_check_own(const struct back_plan *p, const struct net_addr *local,
    const struct net_addr *peer) MUST_CHECK;

/* back_connect.c */

/*
 * Resolve where the plan says so, check every address, connect to the first that answers (RFC 8305). stop_fd: give up when
 * its peer is gone. ret_fd: non-blocking, owned by caller; ret_where: "10.0.0.11:22".
 * 0; ERR_DENIED, ERR_NOT_FOUND, -ETIMEDOUT, ERR_PEER_GONE (stop_fd), -errno; why: one line for the user.
 */
int back_connect(const struct back_plan *p, int stop_fd, int *ret_fd, char *ret_where,
    size_t where_size, char *why, size_t why_size) MUST_CHECK;

/* back_host.c: the target's identity. */

/* Algorithms to ask the target for: those of its pinned keys, certificates first where a CA is known. NULL: no memory. */
char *back_host_algs(const struct back_plan *p);
/* Whether this host key is the pinned one, or a certificate that the vault will have judged. Else why, for the user. */
bool back_host_is_pinned(
    const struct back_plan *p, struct rd_str key, char *why, size_t why_size) MUST_CHECK;
/*
 * Show the vault the target's proof (session-bind@openssh.com) on its agent socket; waits for the answer.
 * 0; ERR_DENIED it does not believe it; -ETIMEDOUT; ERR_PEER_GONE; -errno; -ENOMEM.
 */
int back_host_bind(
    int agent_fd, struct rd_str key, struct rd_str session_id, struct rd_str sig) MUST_CHECK;

#endif
