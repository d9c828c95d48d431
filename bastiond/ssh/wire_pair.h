/* A server and a client in one process, joined by a relay that can hurt what passes: for wire_selftest() and tests. */
#ifndef BASTION_WIRE_PAIR_H
#define BASTION_WIRE_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bastiond/ssh/wire.h"
#include "lib/buf.h"

/* One role, and everything that its owner was told. */
struct wire_side {
	struct wire *w;
	int fd;		 /* before there is a wire */
	struct buf *got; /* messages of types from 50 on, each as a string */
	uint8_t session_id[WIRE_HASH_MAX];
	size_t session_id_len;
	unsigned n_ready, n_sign, n_proof, n_end, n_login, n_banner, n_message;
	unsigned n_failed; /* how often wire_io() said that it is over */
	int end_err, login_err;
	char end_why[256];
	int answer_err; /* what sign_kex and host_proof answer, 0 at first */
	struct wire_pair *pair;
	struct wire_side *forward; /* a test's own */
};

struct wire_pair {
	struct wire_side server, client;
	int server_fd, client_fd; /* the relay's ends */
	int agent_fd, agent_end;  /* the login's agent: the client's end until then, and its own */
	uint8_t *bytes;		  /* the relay's */
	struct buf *from_client;  /* the first bytes that the client sent */
	void *key;		  /* the host's key, EVP_PKEY */
	uint8_t host_key[51];	  /* its public blob */
	bool certify;		  /* between the two steps: the server has a certificate, too */
	uint8_t host_cert[320];
	size_t host_cert_len;
	uint64_t up, down;	     /* bytes that passed towards the server, towards the client */
	uint64_t flip_up, flip_down; /* flip a bit of this byte when it passes; UINT64_MAX: never */
};

/* Lists and limits are NULL and 0 for the defaults of both roles. 0; negative as wire_new(), or -errno. */
int wire_pair_new(const struct wire_conf *server, const struct wire_conf *client,
    struct wire_pair **ret_pair) MUST_CHECK;
/* The same in two steps: what needs system calls that a sandbox forbids, and the rest. */
int wire_pair_prepare(struct wire_pair **ret_pair) MUST_CHECK;
int wire_pair_start(
    struct wire_pair *p, const struct wire_conf *server, const struct wire_conf *client) MUST_CHECK;
void wire_pair_free(struct wire_pair *p);

/* Move what waits, both ways, once. */
void wire_pair_turn(struct wire_pair *p);
/* Turn until *counter is at least n. false when that does not come about. */
bool wire_pair_until(struct wire_pair *p, const unsigned *counter, unsigned n);
/* Turn until nothing moves any more. */
void wire_pair_rest(struct wire_pair *p);
/* Up to both sides having been ready(). */
bool wire_pair_up(struct wire_pair *p);
/* The whole login, with answers of an agent prepared beforehand. */
bool wire_pair_login(struct wire_pair *p);
/* Is the oldest message that is kept exactly this? It is taken away. */
bool wire_pair_got(struct wire_side *s, const void *msg, size_t len);

#endif
