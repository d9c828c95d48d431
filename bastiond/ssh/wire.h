/*
 * One SSH transport (RFC 4253) over one connected stream socket: libssh does the version exchange, the key
 * exchange and the ciphers; everything above (RFC 4252 user authentication on the server side and all of
 * RFC 4254) is handed to the owner as raw messages, exactly as they came, and sent exactly as given.
 *
 * This folder is the only one that includes libssh or stands before its functions. The owner never sees a
 * libssh type. No call blocks, except that the sign_kex operation may wait for its answer.
 */
#ifndef BASTION_WIRE_H
#define BASTION_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct wire;

#define WIRE_MESSAGE_MAX 35000u /* bytes of one SSH message's payload; RFC 4253 section 6.1 */
#define WIRE_HASH_MAX 64u	/* bytes of an exchange hash */

enum wire_role { WIRE_SERVER, WIRE_CLIENT };

/* What the owner is told. Every call comes from inside wire_io(); pointers are borrowed for its duration. */
struct wire_ops {
	/*
	 * Server: the signature over the exchange hash by the host key (raw: 64 bytes for ssh-ed25519).
	 * hash: hash_len bytes.  ret_sig: room for sig_max bytes.  0, or negative to end the connection.
	 */
	int (*sign_kex)(void *arg, const uint8_t *hash, size_t hash_len, uint8_t *ret_sig,
	    size_t sig_max, size_t *ret_sig_len);
	/*
	 * Client: the target's proof: its host key blob and its signature blob (RFC 4253 section 8) over hash.
	 * libssh has verified the signature. 0 accepts; negative ends the connection before anything is sent.
	 */
	int (*host_proof)(void *arg, const uint8_t *hash, size_t hash_len, const uint8_t *key,
	    size_t key_len, const uint8_t *sig, size_t sig_len);
	/* The first key exchange is done. session_id is the exchange hash H of it (RFC 4253 section 7.2). */
	void (*ready)(void *arg, const uint8_t *session_id, size_t len);
	/*
	 * A message that is the owner's: SSH_MSG_SERVICE_REQUEST (server) and 50..127, whole, type byte first.
	 * On the client side 50..79 stay inside the wire (see wire_login).
	 */
	void (*message)(void *arg, const uint8_t *msg, size_t len);
	/* Client: outcome of wire_login(). err: 0, or ERR_DENIED and the methods the target still offers. */
	void (*login_done)(void *arg, int err, const char *methods);
	/* Client: SSH_MSG_USERAUTH_BANNER text, raw bytes of the target. */
	void (*banner)(void *arg, const char *text, size_t len);
	/* The connection is over; nothing follows. err: 0 for an orderly end. why: one line, escaped. */
	void (*end)(void *arg, int err, const char *why);
};

struct wire_conf {
	enum wire_role role;
	const char
	    *kex; /* algorithm lists, comma separated; NULL: the hardened default of this folder */
	const char *ciphers;
	const char *macs;
	const char
	    *host_key_algs; /* client: which host keys it asks the target for; server: ignored */
	const uint8_t *host_key; /* server: public key blob of the host key (ssh-ed25519) */
	size_t host_key_len;
	const char
	    *user_key_algs;   /* server: for server-sig-algs (RFC 8308); NULL: the default list */
	uint64_t rekey_bytes; /* 0: libssh's own limit */
};

/*
 * Take a connected, non-blocking socket. fd: owned by the wire from success on, closed by wire_free().
 * ops, arg: borrowed until wire_free().  0; -ENOMEM; ERR_ORDER when libssh refuses an option.
 */
int wire_new(const struct wire_conf *conf, int fd, const struct wire_ops *ops, void *arg,
    struct wire **ret_wire) MUST_CHECK;
void wire_free(struct wire *w);

int wire_fd(const struct wire *w);
/* Which of POLLIN, POLLOUT the wire waits for. POLLIN is left out while wire_pause_input() holds. */
short wire_events(const struct wire *w);
/*
 * Do what is possible now: read, decrypt and deliver at most a bounded amount, then send what waits.
 * revents: from poll or epoll.  0; negative once the connection is over (end() was called, once).
 * true in *ret_again: more input is buffered inside, call again without waiting for the fd.
 */
int wire_io(struct wire *w, short revents, bool *ret_again) MUST_CHECK;

/* Stop (or resume) taking input from the socket: back-pressure towards the peer. */
void wire_pause_input(struct wire *w, bool paused);

/*
 * Send one SSH message (type byte first). Copied, encrypted, queued; never blocks; may be called from ops.
 * 0; ERR_LIMIT longer than WIRE_MESSAGE_MAX; ERR_ORDER before ready() or after end(); -ENOMEM.
 */
int wire_send(struct wire *w, const void *msg, size_t len) MUST_CHECK;
/* The same message in two parts, so that a data message needs no assembling. */
int wire_send2(struct wire *w, const void *head, size_t head_len, const void *body,
    size_t body_len) MUST_CHECK;
/* Bytes that were sent but not yet taken by the kernel; owners stop feeding above their own mark. */
size_t wire_backlog(const struct wire *w);
/* Flush what the kernel takes now. 0 or negative as wire_io(). */
int wire_flush(struct wire *w) MUST_CHECK;

/*
 * Server: the user is authenticated: send USERAUTH_SUCCESS and open the transport for RFC 4254 messages.
 * Before this call only 50..79 are delivered; channel messages end the connection.
 */
int wire_accept_user(struct wire *w) MUST_CHECK;

/*
 * Client: log in as user with the one key that the agent on agent_fd (RFC 9987, stream socket, owned by the
 * wire from the call on) offers. Outcome: login_done(). Agent calls wait for the agent.
 */
int wire_login(struct wire *w, const char *user, int agent_fd) MUST_CHECK;

/* Send SSH_MSG_DISCONNECT (RFC 4253 section 11.1) with a reason code and a line, best effort, then end. */
void wire_disconnect(struct wire *w, uint32_t reason, const char *text);

/* What was negotiated, for the record: "kex cipher mac hostkey"; "" before ready(). Peer's version string. */
const char *wire_algorithms(const struct wire *w);
const char *wire_peer_version(const struct wire *w);

/*
 * Prove that every hook fires with this libssh, that both roles talk to each other, and that one flipped bit
 * in an AEAD packet kills the connection (CVE-2026-59847). In memory, well under a second, before sandboxes.
 * 0; negative, with one line in err that says which hook or which cipher.
 */
int wire_selftest(char *err, size_t err_len) MUST_CHECK;

/* Load what libssh and OpenSSL load lazily, so that a sandbox may close behind it. Once per process. */
int wire_init(void) MUST_CHECK;

#endif
