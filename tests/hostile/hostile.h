/*
 * The one who lies: holds the sockets of fronts and backs of a real bastion (puppet.h), and knows the keys of some of its
 * people and hosts, so that every lie can be told at the moment where it would be worth most. Each mode is one lie.
 */
#ifndef BASTION_TEST_HOSTILE_H
#define BASTION_TEST_HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/ipc.h"
#include "tests/hostile/puppet.h"

#define H_WAIT_MS 15000 /* for what must come */
#define H_QUIET_MS 300	/* in which what must not come has not */
#define H_BLOB 51u	/* bytes of an ssh-ed25519 public key blob */
#define H_SIG 83u	/* bytes of its signature blob */

/* Which descriptor of a side is which. */
enum { H_BROKER = 0, H_CLIENT = 1, H_LINK = 1, H_POLICY = 2, H_AGENT = 2, H_KEYS = 3 };

/* A front or a back that is ours. */
struct side {
	char role;
	int ctl; /* ends when its process does */
	int fd[PUPPET_FDS_MAX];
	uint32_t id; /* connection or leg */
	int tcp;     /* front: its client, which is us too */
	int link;    /* front: of its leg */
	uint8_t sid[32];
	struct buf *login; /* front: the request that its client signed */
};

struct hostile {
	int listener;
	uint16_t port;
	const char *source; /* address that clients come from */
	const char *login;  /* at the hosts */
	uint8_t master[32]; /* of all keys */
	uint16_t host_port; /* of the hosts h1, h2 in the inventory */
	struct side front, other, back, other_back;
	char why[512];
};

/* hostile_rig.c. Those that return int: 0, or -1 with why set. */

int h_fail(struct hostile *h, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A new connection and its front, up to BRK_FRONT_START. */
int h_front(struct hostile *h, struct side *s);
/* The next front without a connection of ours: behind a jump. */
int h_nested(struct hostile *h, struct side *s);
/* The next back, up to BRK_BACK_START. */
int h_back(struct hostile *h, struct side *s);
void h_drop(struct side *s);
/* One message of this type, others before it are skipped. Its payload lies in a static buffer. */
int h_want(struct hostile *h, int fd, uint16_t type, struct ipc_msg *ret_msg);
/* The edge ends, and no message of this type comes before. */
int h_want_cut(struct hostile *h, int fd, uint16_t never);
/* Nothing of this type for a moment, and the edge may end. */
int h_want_quiet(struct hostile *h, int fd, uint16_t never);
/* The front is told to end, or its process is killed. */
int h_want_ended(struct hostile *h, struct side *s);
int h_want_killed(struct hostile *h, struct side *s);
/* A message whose header says whatever it says; failures are the other side's right. */
void h_raw(int fd, uint16_t type, uint16_t said_fds, const void *data, size_t len, int n_fds);
void h_say(int fd, uint16_t type, uint32_t id, const void *data, size_t len);

/* hostile_keys.c */

/* The key of this name ("eve", "h1"). */
void h_key(const struct hostile *h, const char *name, uint8_t ret_sk[64], uint8_t ret_blob[H_BLOB]);
void h_sign(const struct hostile *h, const char *name, const void *data, size_t len,
    uint8_t ret_sig[H_SIG]);
/* Say hello on the edges of a front. */
void h_greet(struct side *s);
/* Key exchange of a front that has said hello: a fresh session id and the vault's signature on it. */
int h_exchange(struct hostile *h, struct side *s);
/* A new front, all that. */
int h_known(struct hostile *h, struct side *s);
/* SSH_MSG_USERAUTH_REQUEST: user as named, signed by a key over a session id and a user name of its own. Owned by caller. */
struct h_login {
	const char *user, *key; /* key NULL: not signed, eve's is offered */
	const char *signed_user;
	const uint8_t *sid;
};
struct buf *h_request(const struct hostile *h, const struct h_login *l);
/* Send it and wait: *ret_answer enum pol_auth. */
int h_ask(struct hostile *h, struct side *s, const struct buf *request, uint8_t *ret_answer);
/* Everything up to the success, from the connection on; host NULL: none. */
int h_log_in(struct hostile *h, struct side *s, const char *host);
/* And the leg: the link and the back. */
int h_leg(struct hostile *h, struct side *front, const char *host, struct side *back);

/* The agent of a back. */
void h_agent_send(int fd, const struct buf *body);
/* The type of its answer; 0: it is over. */
int h_agent_answer(int fd);
/* session-bind over this session id with a host's key. */
struct h_bind {
	const char *host, *signer;
	const uint8_t *sid;
	uint8_t forwarding;
	bool tail;
};
int h_agent_bind(struct hostile *h, struct side *back, const struct h_bind *b);
/* A signature request; NULL and 0 as it should be. */
struct h_signing {
	const char *user, *service, *method, *alg;
	const uint8_t *sid;
	const uint8_t *outer, *inner; /* key blobs */
	uint32_t flags;
	bool tail;
};
int h_agent_sign(struct hostile *h, struct side *back, const struct h_signing *s);
/* The blob of the key that this agent has. */
int h_agent_key(struct hostile *h, struct side *back, uint8_t ret_blob[H_BLOB]);

struct h_mode {
	const char *name;
	const char *event; /* the audit event that there must be; "-": none */
	const char *says;  /* extended expression for its reason */
	bool charged;	   /* the client's address pays */
	int (*run)(struct hostile *h, const struct h_mode *m);
	const void *arg;
};
extern const struct h_mode h_front_modes[], h_edge_modes[], h_link_modes[], h_back_modes[],
    h_talk_modes[];

#endif
