/* What the files of the back share. */
#ifndef BASTION_BACK_PRIV_H
#define BASTION_BACK_PRIV_H

#include "bastiond/back/back.h"
#include "bastiond/ssh/mux.h"
#include "bastiond/ssh/wire.h"
#include "lib/ipc.h"

enum back_state {
	BACK_CONNECTING, /* no SSH yet */
	BACK_LOGIN,	 /* key exchange and user authentication */
	BACK_OPEN,	 /* frames flow */
	BACK_LINGER,	 /* the client is gone; what it sent is still handed on */
	BACK_ENDED	 /* LINK_END is said; only the link's queue is left */
};

struct back {
	struct loop *loop;
	const struct back_conf *conf; /* borrowed */
	uint32_t leg;
	enum back_state state;
	struct ipc *link;
	struct wire *wire;
	struct loop_io *io; /* of the wire; NULL while it waits for nothing */
	struct mux *mux;
	int agent_fd;	 /* -1 once the wire has it */
	bool want_login; /* ready() was called: log in when the wire has returned */
	bool again;	 /* the wire has input inside */
	char address[NET_PORT_TEXT_SIZE];
	char host_key[64];	     /* fingerprint of the proved one */
	struct loop_timer *deadline; /* of the login, or of the end */
	struct loop_timer *keepalive;
	struct loop_timer *expire;
	uint32_t n_missed; /* keepalives without an answer */
};

/* The target's proof: pinned or certified, and bound in the vault. 0 or negative, as wire_ops.host_proof. */
int back_host_proof(void *arg, const uint8_t *hash, size_t hash_len, const uint8_t *key,
    size_t key_len, const uint8_t *sig, size_t sig_len);
/* Say once how the leg ends, and end it. end: enum link_end; why: one line for the user. */
void back_end(struct back *b, int end, const char *why);
/* Send a frame about the leg itself. */
int back_note(struct back *b, const struct buf *note) MUST_CHECK;

#endif
