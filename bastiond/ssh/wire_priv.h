/*
 * What the files of this folder share: the state of one wire, its byte queues, and the small layer between
 * wire.c (sockets, states, the owner) and wire_libssh.c (the only file that calls libssh).
 */
#ifndef BASTION_WIRE_PRIV_H
#define BASTION_WIRE_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bastiond/ssh/wire.h"

struct ssh_session_struct;
struct ssh_socket_struct;

/* Bytes on their way: taken from the front, added at the back. Shrinks again when little passes through. */
struct wire_queue {
	uint8_t *mem;
	size_t cap;	/* bytes of mem */
	size_t off;	/* first byte that waits */
	size_t len;	/* bytes that wait */
	size_t peak;	/* most bytes that waited since the queue was last empty */
	unsigned quiet; /* how often in a row the queue ran empty with a small peak */
};

/* Room for n more bytes at the back: their address, or NULL out of memory. Say how many with _added(). */
uint8_t *wire_queue_room(struct wire_queue *q, size_t n);
void wire_queue_added(struct wire_queue *q, size_t n);
/* n bytes of the front are done with. */
void wire_queue_taken(struct wire_queue *q, size_t n);
void wire_queue_free(struct wire_queue *q);
static inline uint8_t *
wire_queue_front(const struct wire_queue *q)
{
	return q->mem == NULL ? NULL : q->mem + q->off;
}

enum wire_state {
	WIRE_KEX,   /* version exchange and first key exchange */
	WIRE_READY, /* encrypted; the user is not yet known */
	WIRE_OPEN   /* authenticated: RFC 4254 messages flow */
};

enum wire_login_step { LOGIN_NONE, LOGIN_WANTED, LOGIN_ACCEPTED, LOGIN_SENT, LOGIN_DONE };

/* A message that stands in for the next one that libssh packs. Pointers are borrowed until it is packed. */
struct wire_raw {
	const void *head, *body;
	size_t head_len, body_len;
	bool armed;
};

struct wire_blob {
	uint8_t *p;
	size_t len;
};

struct wire {
	enum wire_role role;
	enum wire_state state;
	const struct wire_ops *ops;
	void *arg;
	int fd;
	bool tcp;	 /* fd is TCP: acknowledge at once while setting up */
	bool paused;	 /* by the owner */
	bool signing;	 /* inside sign_kex or host_proof: libssh is in the middle of a packet */
	bool offering;	 /* client: libssh asks for the list of host key algorithms now */
	bool over;	 /* nothing more is delivered or taken */
	bool told;	 /* end() was called */
	bool mute;	 /* libssh could not encrypt: what it writes must not leave */
	unsigned inside; /* calls of ours on the stack that will tell the owner about the end */
	int err;	 /* why it is over */
	char why[256];

	struct ssh_session_struct *session;
	struct ssh_socket_struct *socket; /* what libssh takes for its socket, see wire_socket.c */
	void *packet_callbacks; /* what libssh's list of packet handlers points to; owned */
	struct wire_raw raw;
	struct wire_queue in, out;
	uint8_t type_in; /* of the last message */
	bool changing;	 /* keys are being made and put into use */
	uint64_t n_in;	 /* bytes received */
	uint64_t
	    pending; /* payload bytes of RFC 4254 messages that libssh holds back during a key exchange */
	size_t want;  /* bytes to ask the socket for */
	size_t piece; /* how much to feed at a time: about one packet */

	uint8_t session_id[WIRE_HASH_MAX];
	size_t session_id_len;
	uint8_t host_pub[32];	    /* server: the ssh-ed25519 host key */
	struct wire_blob host_cert; /* server: its certificate; empty: there is none */
	bool shows_cert;	    /* server: it was agreed on, in the key exchange that runs */
	char *host_algs;	    /* client: what it proposes */
	char host_alg[64];	    /* what was agreed on for the key exchange that runs */
	bool strict;		    /* the peer does strict key exchange */
	struct wire_blob proof_key; /* client: the target's host key blob, */
	struct wire_blob proof_sig; /* and its signature blob, of the key exchange that runs */
	struct wire_blob first_key; /* client: the host key blob that the owner accepted */
	char *user_algs; /* server: server-sig-algs; client: what the target sent, or NULL */
	char algorithms[256];
	char version[256];

	enum wire_login_step login; /* client */
	char *user;
	int agent_fd;
};

/* wire.c */

/* The connection is over for this reason; the first reason stays. The owner is told when the stack is clear. */
void wire_fail(struct wire *w, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* A message from the peer, on its way to the owner, to the login, or to nobody. true: libssh must not see it. */
bool wire_message(struct wire *w, uint8_t type, const uint8_t *msg, size_t len, void *packet);
/* Both directions are encrypted: tell the owner, once. */
void wire_check_ready(struct wire *w);
/* Keep libssh's packet for the peer. 0; -ENOMEM. */
int wire_queue_out(struct wire *w, const void *p, size_t len);

/* wire_socket.c */

/* Give libssh bytes from the peer. How many it has used up. */
size_t wire_socket_feed(struct wire *w, uint8_t *p, size_t len);
/* Client: tell libssh that it is connected; it says its version. */
void wire_socket_connected(struct wire *w);
/* false once libssh has closed what it takes for its socket. */
bool wire_socket_is_open(const struct wire *w);

/* wire_absent.c */

/* How often something was called that must not be. */
unsigned wire_absent_calls(void);

/* wire_libssh.c */

/* The wire on whose behalf libssh runs: its functions that we stand for do not all say which session they mean. */
struct wire *wire_current(void);

/* Make the session and say our version. 0; -ENOMEM; ERR_STATE: libssh refuses an option. */
struct wire_lists {
	const char *kex, *ciphers, *macs; /* comma-separated */
};
int wire_libssh_open(struct wire *w, const struct wire_lists *l, uint64_t rekey_bytes) MUST_CHECK;
void wire_libssh_close(struct wire *w);
/* Give libssh bytes from the peer. How many it has used up. */
size_t wire_libssh_feed(struct wire *w, uint8_t *p, size_t len);
/* Once encrypted: prepare libssh for what the owner will do. 0; -ENOMEM. */
int wire_libssh_ready(struct wire *w) MUST_CHECK;
/* Encrypt and queue w->raw as one message. 0, or negative: the session is broken. */
int wire_libssh_send(struct wire *w) MUST_CHECK;
/* true once both directions are encrypted. */
bool wire_libssh_encrypted(const struct wire *w);
/* What libssh says about an error of its own, NULL when there is none. Peer's bytes may be in it. */
const char *wire_libssh_error(const struct wire *w);
/* Server: send USERAUTH_SUCCESS and let RFC 4254 messages in. 0 or negative: the session is broken. */
int wire_libssh_accept(struct wire *w) MUST_CHECK;
/* Client: ask for the service ssh-userauth. */
int wire_libssh_service(struct wire *w) MUST_CHECK;
/* Client: send w->raw as the one USERAUTH_REQUEST, and let its answer in. */
int wire_libssh_request(struct wire *w) MUST_CHECK;
/* Client: USERAUTH_SUCCESS came: let RFC 4254 messages in. */
void wire_libssh_logged_in(struct wire *w, uint8_t type, void *packet);
/* Start a key exchange of our own accord. 0 or negative: one is running, or the session is broken. */
int wire_libssh_rekey(struct wire *w) MUST_CHECK;
/* "kex cipher mac", as agreed on. 0; ERR_LIMIT. */
int wire_libssh_names(const struct wire *w, char *ret, size_t max) MUST_CHECK;
const char *wire_libssh_peer_version(const struct wire *w);
int wire_libssh_init(void) MUST_CHECK;

/* wire_host.c */

/* The peer's KEXINIT: note strict key exchange and which host key algorithm is agreed on. 0; ERR_FORMAT. */
int wire_host_kexinit(struct wire *w, const uint8_t *msg, size_t len) MUST_CHECK;
/* Client: the target's key exchange reply: keep its host key and its signature. 0; ERR_FORMAT; -ENOMEM. */
int wire_host_reply(struct wire *w, const uint8_t *msg, size_t len) MUST_CHECK;
/* Client: libssh found the signature over hash good: is it the right kind, does the owner agree? */
int wire_host_verify(struct wire *w, const uint8_t *hash, size_t len) MUST_CHECK;
/* The plain signature algorithms behind a list of host key algorithms; NULL: unknown name or no memory. */
char *wire_host_plain(const char *algs);
extern const char wire_host_default[];
/* What a server offers: with and without a certificate. */
extern const char wire_host_with_cert[], wire_host_plain_only[];
/* Is name one of a comma-separated list? */
bool wire_list_has(const char *list, size_t list_len, const char *name, size_t len);
/* Keep a copy, in place of what was kept. 0; -ENOMEM. */
int wire_blob_set(struct wire_blob *blob, const uint8_t *p, size_t len) MUST_CHECK;
void wire_blob_free(struct wire_blob *blob);

/* wire_login.c */

/* Client: a message of RFC 4252, or EXT_INFO or SERVICE_ACCEPT. packet: libssh's, for a success. */
bool wire_login_message(struct wire *w, uint8_t type, const uint8_t *msg, size_t len, void *packet);
/* Client: do the next step if its time has come. */
void wire_login_step(struct wire *w);

#endif
