/*
 * One SSH transport (RFC 4253) over one connected stream socket: libssh does the version exchange, the key
 * exchange and the ciphers; everything above (RFC 4252 user authentication on the server side and all of
 * RFC 4254) is handed to the owner as raw messages, exactly as they came, and sent exactly as given.
 *
 * This folder is the only one that includes libssh or stands before its functions. The owner never sees a
 * libssh type. No call blocks, except that the sign_kex operation and the login's agent may be waited for.
 */
#ifndef BASTION_WIRE_H
#define BASTION_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct wire;

/*
 * Bytes of one message that may be sent. RFC 4253 section 6.1 asks for 32768; OpenSSH sends and takes packets of up to
 * 256 KiB, and a long command is one message. The peer's own limit for channel data is in CHANNEL_OPEN.
 */
#define WIRE_MESSAGE_MAX (255u * 1024u)
#define WIRE_HASH_MAX 64u /* bytes of an exchange hash */

/*
 * What a server calls itself. OpenSSH's client tells servers whose name begins with OpenSSH, and no others, that it stopped
 * reading (eow@openssh.com); without it `ssh host yes | head` would never end.
 */
#define WIRE_SERVER_VERSION "OpenSSH_bastiond"

enum wire_role { WIRE_SERVER, WIRE_CLIENT };

/*
 * What the owner is told. Calls come from inside wire_io(), end() also from wire_flush() and wire_disconnect(), and none
 * from inside another one; pointers are borrowed for the duration of the call. wire_free() must not be called from any.
 */
struct wire_ops {
	/*
	 * Server: the signature over the exchange hash by the host key (raw: 64 bytes for ssh-ed25519).
	 * hash: hash_len bytes.  ret_sig: room for sig_max bytes.  0, or negative to end the connection.
	 * Called again for every later key exchange. wire_send() is refused while it runs.
	 */
	int (*sign_kex)(void *arg, const uint8_t *hash, size_t hash_len, uint8_t *ret_sig,
	    size_t sig_max, size_t *ret_sig_len);
	/*
	 * Client: the target's proof: its host key blob and its signature blob (RFC 4253 section 8) over hash.
	 * The signature has been verified, and that key and signature are of the algorithm agreed on; a certificate
	 * (key is its whole blob) has not: that is the owner's. 0 accepts; negative ends the connection before anything
	 * but key exchange was sent. Called once; a later key exchange with another key ends the connection.
	 */
	int (*host_proof)(void *arg, const uint8_t *hash, size_t hash_len, const uint8_t *key,
	    size_t key_len, const uint8_t *sig, size_t sig_len);
	/* The first key exchange is done. session_id is the exchange hash H of it (RFC 4253 section 7.2). */
	void (*ready)(void *arg, const uint8_t *session_id, size_t len);
	/*
	 * A message that is the owner's: SSH_MSG_SERVICE_REQUEST (server; "ssh-userauth", others end the connection) and
	 * the types of RFC 4252 and RFC 4254 (50, 61, 63..66, 80..82, 90..100), whole, type byte first. Other types
	 * were answered UNIMPLEMENTED. On the client side 50..79 stay inside the wire (see wire_login).
	 */
	void (*message)(void *arg, const uint8_t *msg, size_t len);
	/*
	 * Client: outcome of wire_login(). err: 0; ERR_DENIED and the methods the target still offers; ERR_NOT_FOUND the
	 * agent has no key; ERR_SIGNATURE it did not sign. The connection stands until the owner ends it.
	 */
	void (*login_done)(void *arg, int err, const char *methods);
	/* Client: SSH_MSG_USERAUTH_BANNER text, raw bytes of the target. */
	void (*banner)(void *arg, const char *text, size_t len);
	/*
	 * The connection is over; nothing follows. err: 0 for an orderly end (wire_disconnect(), or the peer's with reason
	 * BY_APPLICATION); ERR_PEER_GONE closed or disconnected; ERR_CRYPTO a packet that does not authenticate or is not
	 * allowed; ERR_FORMAT, ERR_SIGNATURE or ERR_DENIED in the key exchange; what a callback answered.
	 * why: one line, escaped.
	 */
	void (*end)(void *arg, int err, const char *why);
};

struct wire_conf {
	enum wire_role role;
	/* Algorithm lists, comma separated, best first; NULL: the hardened default of this folder. */
	const char *kex;
	const char *ciphers;
	const char *macs;
	/* Client: host key algorithms to ask for, also ...-cert-v01@openssh.com; NULL: all plain ones. No SHA-1. */
	const char *host_key_algs;
	const uint8_t *host_key; /* server: public key blob of the host key (ssh-ed25519) */
	size_t host_key_len;
	/* Server: a host certificate of that key (ssh-ed25519-cert-v01@openssh.com), offered besides it; NULL: none. */
	const uint8_t *host_cert;
	size_t host_cert_len;
	const char
	    *user_key_algs;   /* server: for server-sig-algs (RFC 8308); NULL: the default list */
	uint64_t rekey_bytes; /* 0: libssh's own limit */
};

/*
 * Take a connected, non-blocking socket. fd: owned by the wire from success on, closed by wire_free().
 * ops, arg: borrowed until wire_free().  0; -ENOMEM; ERR_ORDER: an algorithm or a host key that is not for us.
 */
int wire_new(const struct wire_conf *conf, int fd, const struct wire_ops *ops, void *arg,
    struct wire **ret_wire) MUST_CHECK;
void wire_free(struct wire *w);

/* Borrowed, for poll. */
int wire_fd(const struct wire *w);
/*
 * Which of POLLIN, POLLOUT the wire waits for. POLLIN is left out while wire_pause_input() holds. 0: for nothing; then
 * do not poll the fd, POLLHUP could not be served.
 */
short wire_events(const struct wire *w);
/*
 * Do what is possible now: read, decrypt and deliver at most a bounded amount, then send what waits.
 * revents: from poll or epoll.  0; negative once the connection is over (end() was called, once).
 * true in *ret_again: more input is buffered inside, call again without waiting for the fd.
 */
int wire_io(struct wire *w, short revents, bool *ret_again) MUST_CHECK;

/*
 * Stop (or resume) taking input from the socket: back-pressure towards the peer. Called from message(), up to 4 KiB of
 * further small messages may still come. After resuming call wire_io() with revents 0: input may wait inside.
 */
void wire_pause_input(struct wire *w, bool paused);

/*
 * Send one SSH message (type byte first). Copied, encrypted, queued; never blocks; may be called from ops.
 * Messages sent in one pass leave together: call wire_flush() at its end (wire_io() does it too).
 * 0; ERR_LIMIT longer than WIRE_MESSAGE_MAX; ERR_ORDER before ready(), after the end, or a type that is not an owner's
 * (owners send 2..4; servers also 6 and 50..79; both 80..255 once the user is known); -ENOMEM ends the connection.
 */
int wire_send(struct wire *w, const void *msg, size_t len) MUST_CHECK;
/* The same message in two parts, so that a data message needs no assembling. */
int wire_send2(struct wire *w, const void *head, size_t head_len, const void *body,
    size_t body_len) MUST_CHECK;
/*
 * Bytes that were sent but not yet taken by the kernel, those that wait for the end of a key exchange included. There is
 * no limit in here: owners stop feeding above their own mark.
 */
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
 * wire from the call on) offers. Outcome: login_done(). Agent calls wait for the agent, at most 30 s.
 * 0; ERR_ORDER not a client, not ready(), or called before; -ENOMEM.
 */
int wire_login(struct wire *w, const char *user, int agent_fd) MUST_CHECK;

/* Send SSH_MSG_DISCONNECT (RFC 4253 section 11.1) with a reason code and a line, best effort, then end. */
void wire_disconnect(struct wire *w, uint32_t reason, const char *text);

/*
 * What was negotiated, for the record: "kex cipher mac hostkey", where "in/out" differ both, and " no-strict-kex" behind
 * it when the peer does not do strict key exchange; "" before ready(). Peer's version line, escaped; "" before it came.
 */
const char *wire_algorithms(const struct wire *w);
const char *wire_peer_version(const struct wire *w);

/*
 * Prove that every hook fires with this libssh, that both roles talk to each other, and that one flipped bit
 * in a packet kills the connection (CVE-2026-59847), for every cipher. In memory, 30 ms, before sandboxes.
 * 0; negative, with one line in err that says which hook or which cipher.
 */
int wire_selftest(char *err, size_t err_len) MUST_CHECK;
/* The same as a program: what a front or back does when its only argument is this. An exit code; says why on stderr. */
#define WIRE_SELFTEST_ARG "--selftest"
int wire_selftest_main(const char *name);

/* Load what libssh and OpenSSL load lazily, so that a sandbox may close behind it. Once per process. */
int wire_init(void) MUST_CHECK;

#endif
