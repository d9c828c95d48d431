/*
 * One wire: its socket, its states and its owner. Ciphertext is read here, fed to libssh, and collected from it;
 * messages go from libssh's packet layer straight to the owner and back.
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bastiond/ssh/wire_priv.h"
#include "lib/buf.h"
#include "lib/str.h"

#define MSG_DISCONNECT 1
#define MSG_SERVICE_REQUEST 5
#define MSG_SERVICE_ACCEPT 6
#define MSG_EXT_INFO 7
#define MSG_KEXINIT 20
#define MSG_NEWKEYS 21
#define MSG_KEX_FIRST 30 /* of the messages that a key exchange method has for itself */
#define MSG_KEX_REPLY 31
#define MSG_USERAUTH_FIRST 50
#define MSG_CONNECTION_FIRST 80
#define DISCONNECT_PROTOCOL 2
#define DISCONNECT_KEY_EXCHANGE 3
#define DISCONNECT_SERVICE 7
#define DISCONNECT_BY_APPLICATION 11

#define READ_MIN 4096u		  /* bytes to ask the socket for: starts so small, */
#define READ_MAX (256u * 1024u)	  /* and grows to this while the socket gives all that is asked */
#define FLUSH_AT (256u * 1024u)	  /* send without being asked when so much has collected */
#define FLUSH_MAX (1024u * 1024u) /* bytes given to the kernel in one call of ours */
#define SETUP_BYTES (16u * 1024u) /* of input during which acknowledgements are not delayed */
#define PREAMBLE_MAX (8u * 1024u) /* bytes of lines that a target may send before its version */

static const char default_kex[] = "curve25519-sha256,curve25519-sha256@libssh.org";
/*
 * The last two for clients on libssh2 before 1.11, which know no others and no AEAD (curl on Debian 12), and for hosts of
 * that age. Where either end knows better ones, those are agreed on.
 */
static const char default_macs[] =
    "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512";
static const char default_server_ciphers[] = "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,"
					     "aes128-gcm@openssh.com,aes256-ctr";
/* A client's first choice counts: AES-GCM costs the least where the processor has it. */
static const char default_client_ciphers[] = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,"
					     "chacha20-poly1305@openssh.com,aes256-ctr";
static const char default_user_algs[] =
    "ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519-cert-v01@openssh.com,"
    "ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384-cert-v01@openssh.com,"
    "ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,"
    "rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,"
    "ssh-ed25519,sk-ssh-ed25519@openssh.com,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,"
    "ecdsa-sha2-nistp521,sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256";

/* What may be asked for at all: libssh would drop an unknown name without a word, and knows ones we refuse. */
static const char known_kex[] =
    "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,"
    "ecdh-sha2-nistp521,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,"
    "diffie-hellman-group14-sha256";
static const char known_ciphers[] =
    "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,"
    "aes192-ctr,aes128-ctr";
static const char known_macs[] = "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,"
				 "hmac-sha2-256,hmac-sha2-512";

static bool
list_is_known(const char *list, const char *known)
{
	const char *end;
	size_t n;

	for (;; list = end + 1) {
		end = strchr(list, ',');
		n = end == NULL ? strlen(list) : (size_t)(end - list);
		if (n == 0 || !wire_list_has(known, strlen(known), list, n))
			return false;
		if (end == NULL)
			return true;
	}
}

static int
choose_lists(const struct wire_conf *conf, struct wire_lists *l)
{
	l->kex = conf->kex == NULL ? default_kex : conf->kex;
	l->macs = conf->macs == NULL ? default_macs : conf->macs;
	l->ciphers = conf->ciphers;
	if (l->ciphers == NULL)
		l->ciphers =
		    conf->role == WIRE_SERVER ? default_server_ciphers : default_client_ciphers;
	if (!list_is_known(l->kex, known_kex) || !list_is_known(l->ciphers, known_ciphers) ||
	    !list_is_known(l->macs, known_macs))
		return ERR_ORDER;
	return 0;
}

/* string "ssh-ed25519", string 32 bytes (RFC 8709 section 4). */
static int
take_host_key(struct wire *w, const uint8_t *blob, size_t len)
{
	struct buf *b = buf_view(blob, len);
	const uint8_t *name, *pub;
	size_t name_len = 0, pub_len = 0;
	int r = b == NULL ? -ENOMEM : buf_get_str(b, &name, &name_len);

	if (r == 0)
		r = buf_get_str(b, &pub, &pub_len);
	if (r == 0)
		r = buf_end(b);
	buf_free(b);
	if (r == -ENOMEM)
		return r;
	if (r != 0 || name_len != strlen("ssh-ed25519") ||
	    memcmp(name, "ssh-ed25519", name_len) != 0 || pub_len != sizeof(w->host_pub))
		return ERR_ORDER;
	memcpy(w->host_pub, pub, pub_len);
	return 0;
}

/* Only that it is one, of this key: clients read the rest (PROTOCOL.certkeys). */
static int
take_host_cert(struct wire *w, const uint8_t *blob, size_t len)
{
	struct buf *b = buf_view(blob, len);
	const uint8_t *name, *nonce, *pub;
	size_t name_len = 0, nonce_len, pub_len = 0;
	int r = b == NULL ? -ENOMEM : buf_get_str(b, &name, &name_len);

	if (r == 0)
		r = buf_get_str(b, &nonce, &nonce_len);
	if (r == 0)
		r = buf_get_str(b, &pub, &pub_len);
	buf_free(b);
	if (r == -ENOMEM)
		return r;
	if (r != 0 || name_len != strlen("ssh-ed25519-cert-v01@openssh.com") ||
	    memcmp(name, "ssh-ed25519-cert-v01@openssh.com", name_len) != 0 ||
	    pub_len != sizeof(w->host_pub) || memcmp(pub, w->host_pub, pub_len) != 0)
		return ERR_ORDER;
	return wire_blob_set(&w->host_cert, blob, len);
}

static int
take_conf(struct wire *w, const struct wire_conf *conf)
{
	const char *algs;
	int r;

	if (conf->role == WIRE_CLIENT) {
		algs = conf->host_key_algs == NULL ? wire_host_default : conf->host_key_algs;
		w->host_algs = strdup(algs);
		return w->host_algs == NULL ? -ENOMEM : 0;
	}
	algs = conf->user_key_algs == NULL ? default_user_algs : conf->user_key_algs;
	w->user_algs = strdup(algs);
	if (w->user_algs == NULL)
		return -ENOMEM;
	r = take_host_key(w, conf->host_key, conf->host_key_len);
	if (r == 0 && conf->host_cert != NULL)
		r = take_host_cert(w, conf->host_cert, conf->host_cert_len);
	return r;
}

static void
wire_drop(struct wire *w)
{
	wire_libssh_close(w);
	wire_queue_free(&w->in);
	wire_queue_free(&w->out);
	wire_blob_free(&w->host_cert);
	wire_blob_free(&w->proof_key);
	wire_blob_free(&w->proof_sig);
	wire_blob_free(&w->first_key);
	free(w->host_algs);
	free(w->user_algs);
	free(w->user);
	if (w->agent_fd >= 0)
		close(w->agent_fd);
	free(w);
}

int
wire_new(const struct wire_conf *conf, int fd, const struct wire_ops *ops, void *arg,
    struct wire **ret_wire)
{
	struct wire_lists lists;
	struct wire *w = calloc(1, sizeof(*w));
	const int on = 1;
	int r = -ENOMEM;

	if (w == NULL)
		return r;
	w->role = conf->role;
	w->ops = ops;
	w->arg = arg;
	w->fd = fd;
	w->agent_fd = -1;
	w->want = READ_MIN;
	w->piece = READ_MIN;
	r = choose_lists(conf, &lists);
	if (r == 0)
		r = take_conf(w, conf);
	if (r == 0)
		r = wire_libssh_open(w, &lists, conf->rekey_bytes);
	if (r == 0 && w->over)
		r = w->err;
	if (r != 0) {
		wire_drop(w);
		return r;
	}
	/* A socket pair has no such option; that is how it is told from TCP. */
	w->tcp = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0;
	*ret_wire = w;
	return 0;
}

void
wire_free(struct wire *w)
{
	if (w == NULL)
		return;
	close(w->fd);
	wire_drop(w);
}

int
wire_fd(const struct wire *w)
{
	return w->fd;
}

short
wire_events(const struct wire *w)
{
	if (w->over)
		return 0;
	return (short)((w->paused ? 0 : POLLIN) | (w->out.len > 0 ? POLLOUT : 0));
}

void
wire_fail(struct wire *w, int err, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (w->over)
		return;
	w->over = true;
	w->err = err;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is fine */
	va_end(ap);
	str_escape(w->why, sizeof(w->why), text, strlen(text));
}

/* The way out of every call that may find the end: tell the owner, but never from inside another callback. */
static int
settle(struct wire *w)
{
	if (!w->over)
		return 0;
	if (w->inside == 0 && !w->told) {
		w->told = true;
		w->ops->end(w->arg, w->err, w->why);
	}
	return w->err == 0 ? ERR_PEER_GONE : w->err;
}

int
wire_queue_out(struct wire *w, const void *p, size_t len)
{
	uint8_t *room;

	if (w->mute)
		return -ENOMEM;
	room = wire_queue_room(&w->out, len);
	if (room == NULL) {
		w->mute = true; /* a hole in the stream would only confuse the peer */
		wire_fail(w, -ENOMEM, "no memory for output");
		return -ENOMEM;
	}
	memcpy(room, p, len);
	wire_queue_added(&w->out, len);
	return 0;
}

/* Give the kernel what it takes. The end, if this finds it, is told by whoever settles next. */
static void
flush_out(struct wire *w)
{
	size_t sent = 0;
	ssize_t n;

	while (w->out.len > 0 && sent < FLUSH_MAX) {
		n = send(w->fd, wire_queue_front(&w->out), w->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0) {
			wire_queue_taken(&w->out, (size_t)n);
			sent += (size_t)n;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			return;
		} else if (errno != EINTR) {
			wire_fail(w, ERR_PEER_GONE, "cannot send: %s", strerror(errno));
			return;
		}
	}
}

/* RFC 4253 section 11.1; best effort. */
static void
put_disconnect(struct wire *w, uint32_t reason, const char *text)
{
	struct buf *b = buf_new(1024);

	if (b != NULL && !w->signing && buf_put_u8(b, MSG_DISCONNECT) == 0 &&
	    buf_put_u32(b, reason) == 0 && buf_put_cstr(b, text) == 0 && buf_put_cstr(b, "") == 0) {
		w->raw =
		    (struct wire_raw){ .head = buf_ptr(b), .head_len = buf_len(b), .armed = true };
		if (wire_libssh_send(w) == 0)
			flush_out(w);
		w->raw.armed = false;
	}
	buf_free(b);
}

int
wire_flush(struct wire *w)
{
	if (!w->over)
		flush_out(w);
	return settle(w);
}

/* Once the keys are there the owner is told, before any message of the peer. */
void
wire_check_ready(struct wire *w)
{
	char names[192];

	if (w->state != WIRE_KEX || w->over || !wire_libssh_encrypted(w))
		return;
	if (wire_libssh_ready(w) != 0 || wire_libssh_names(w, names, sizeof(names)) != 0 ||
	    str_format(w->algorithms, sizeof(w->algorithms), "%s %s%s", names, w->host_alg,
		w->strict ? "" : " no-strict-kex") != 0) {
		wire_fail(w, -ENOMEM, "cannot finish the key exchange");
		return;
	}
	/*
	 * Without strict key exchange an attacker on the path can drop the first messages under this cipher
	 * (CVE-2023-48795). A target can be asked to be up to date; a user's client is only recorded.
	 */
	if (w->role == WIRE_CLIENT && !w->strict && strstr(names, "chacha20") != NULL) {
		wire_fail(w, ERR_DENIED, "chacha20-poly1305 without strict key exchange");
		return;
	}
	w->state = WIRE_READY;
	w->ops->ready(w->arg, w->session_id, w->session_id_len);
}

static bool
on_disconnect(struct wire *w, const uint8_t *msg, size_t len)
{
	struct buf *b = buf_view(msg + 1, len - 1);
	const uint8_t *text = NULL;
	size_t n = 0;
	uint32_t reason = 0;

	if (b == NULL || buf_get_u32(b, &reason) != 0 || buf_get_str(b, &text, &n) != 0)
		n = 0;
	buf_free(b);
	wire_fail(w, reason == DISCONNECT_BY_APPLICATION ? 0 : ERR_PEER_GONE,
	    "disconnected (%u): %.*s", reason, (int)(n > 160 ? 160 : n),
	    text == NULL ? "" : (const char *)text);
	return true;
}

/* RFC 4253 section 10: the only service is ssh-userauth; ssh-connection is reached through it. */
static bool
on_service_request(struct wire *w, const uint8_t *msg, size_t len)
{
	static const uint8_t want[] = { MSG_SERVICE_REQUEST, 0, 0, 0, 12, 's', 's', 'h', '-', 'u',
		's', 'e', 'r', 'a', 'u', 't', 'h' };

	if (w->state == WIRE_READY && len == sizeof(want) && memcmp(msg, want, len) == 0)
		w->ops->message(w->arg, msg, len);
	else
		wire_disconnect(w, DISCONNECT_SERVICE, "the service is ssh-userauth");
	return true;
}

bool
wire_message(struct wire *w, uint8_t type, const uint8_t *msg, size_t len, void *packet)
{
	int r = 0;

	if (w->over)
		return true;
	w->type_in = type;
	if (type >= MSG_KEX_FIRST)
		w->changing = type < MSG_USERAUTH_FIRST;
	if (type == MSG_KEXINIT)
		r = wire_host_kexinit(w, msg, len);
	else if (type == MSG_KEX_REPLY && w->role == WIRE_CLIENT)
		r = wire_host_reply(w, msg, len);
	if (r != 0) {
		wire_fail(w, r, "malformed key exchange message");
		return true;
	}
	if (type == MSG_DISCONNECT)
		return on_disconnect(w, msg, len);
	if (type < MSG_USERAUTH_FIRST && type != MSG_SERVICE_REQUEST &&
	    type != MSG_SERVICE_ACCEPT && type != MSG_EXT_INFO)
		return false;
	wire_check_ready(w);
	if (w->over)
		return true;
	if (type == MSG_SERVICE_REQUEST)
		return on_service_request(w, msg, len);
	if (type < MSG_CONNECTION_FIRST && w->role == WIRE_CLIENT)
		return wire_login_message(w, type, msg, len, packet);
	if (type < MSG_USERAUTH_FIRST)
		return false;
	/*
	 * libssh's filter lets some types of RFC 4252 through at any time. RFC 4252 section 5.1: what comes after the
	 * success is ignored. Nothing of RFC 4254 comes before it.
	 */
	if (type < MSG_CONNECTION_FIRST && w->state == WIRE_OPEN)
		return true;
	if (type >= MSG_CONNECTION_FIRST && w->state != WIRE_OPEN) {
		wire_fail(w, ERR_CRYPTO, "message %u before the login", type);
		return true;
	}
	w->ops->message(w->arg, msg, len);
	return true;
}

/* Read what the socket has, at most once around. */
static void
fill_in(struct wire *w)
{
	uint8_t *room = wire_queue_room(&w->in, w->want);
	const int on = 1;
	ssize_t n;

	if (room == NULL) {
		wire_fail(w, -ENOMEM, "no memory for input");
		return;
	}
	n = recv(w->fd, room, w->want, MSG_DONTWAIT);
	if (n < 0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			wire_fail(w, ERR_PEER_GONE, "cannot receive: %s", strerror(errno));
		return;
	}
	if (n == 0) {
		wire_fail(w, ERR_PEER_GONE, "closed by the peer%s",
		    w->in.len > 0 ? " in the middle of a packet" : "");
		return;
	}
	wire_queue_added(&w->in, (size_t)n);
	w->n_in += (uint64_t)n;
	if ((size_t)n == w->want)
		w->want = w->want * 4 > READ_MAX ? READ_MAX : w->want * 4;
	else if ((size_t)n < w->want / 4)
		w->want = w->want / 2 < READ_MIN ? READ_MIN : w->want / 2;
	/* The kernel forgets it after each use. A lost one costs 40 ms of the user's time, no more. */
	if (w->tcp && w->n_in < SETUP_BYTES)
		(void)setsockopt(w->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

/* After libssh has run: what did it find, and what is now due? */
static void
look(struct wire *w)
{
	const char *error, *version;

	if (w->over)
		return;
	version = wire_libssh_peer_version(w);
	if (version != NULL && w->version[0] == '\0')
		str_escape(w->version, sizeof(w->version), version, strlen(version));
	error = wire_libssh_error(w);
	if (error != NULL) {
		/* Not over keys that may be half made. */
		if (version != NULL && !w->changing)
			put_disconnect(w,
			    w->state == WIRE_KEX ? DISCONNECT_KEY_EXCHANGE : DISCONNECT_PROTOCOL,
			    w->state == WIRE_KEX ? "key exchange failed" : "protocol error");
		wire_fail(w, w->state == WIRE_KEX ? ERR_FORMAT : ERR_CRYPTO, "%s", error);
		return;
	}
	if (w->type_in == MSG_NEWKEYS)
		w->changing = false;
	wire_check_ready(w);
	wire_login_step(w);
	if (w->state == WIRE_KEX && w->n_in > PREAMBLE_MAX && version == NULL)
		wire_fail(w, ERR_FORMAT, "no version line in %u bytes", PREAMBLE_MAX);
}

/*
 * Feed libssh about one packet at a time. It calls itself for every further packet in what it is given, so a piece
 * bounds the depth of its stack, and how much is delivered after the owner has asked for a pause.
 */
static void
pump_in(struct wire *w)
{
	size_t piece, n;

	while (w->in.len > 0 && !w->over && !w->paused) {
		piece = w->piece < w->in.len ? w->piece : w->in.len;
		n = wire_libssh_feed(w, wire_queue_front(&w->in), piece);
		if (n >
		    piece) { /* a negative number in disguise: libssh had no memory for the version */
			wire_fail(w, -ENOMEM, "no memory for input");
			return;
		}
		wire_queue_taken(&w->in, n);
		look(w);
		if (n > 0) {
			w->piece = n > READ_MIN ? n : READ_MIN;
		} else if (piece < w->in.len) {
			w->piece += w->piece / 4;
		} else {
			break;
		}
	}
}

int
wire_io(struct wire *w, short revents, bool *ret_again)
{
	*ret_again = false;
	if (w->over)
		return settle(w);
	w->inside++;
	if (!w->paused) {
		if ((revents & (POLLIN | POLLHUP | POLLERR)) != 0)
			fill_in(w);
		pump_in(w);
	}
	flush_out(w);
	w->inside--;
	return settle(w);
}

void
wire_pause_input(struct wire *w, bool paused)
{
	w->paused = paused;
}

/* Messages that an owner may send: services, user authentication, the connection; and the harmless ones. */
static bool
may_send(const struct wire *w, uint8_t type)
{
	if (type >= MSG_CONNECTION_FIRST)
		return w->state == WIRE_OPEN;
	if (type >= MSG_USERAUTH_FIRST || type == MSG_SERVICE_ACCEPT)
		return w->role == WIRE_SERVER;
	return type >= 2 && type <= 4;
}

int
wire_send2(struct wire *w, const void *head, size_t head_len, const void *body, size_t body_len)
{
	uint8_t type;
	int r;

	if (w->over || w->state == WIRE_KEX || w->signing || head_len == 0)
		return ERR_ORDER;
	type = *(const uint8_t *)head;
	if (!may_send(w, type))
		return ERR_ORDER;
	if (head_len > WIRE_MESSAGE_MAX || body_len > WIRE_MESSAGE_MAX - head_len)
		return ERR_LIMIT;
	w->raw = (struct wire_raw){ .head = head,
		.head_len = head_len,
		.body = body,
		.body_len = body_len,
		.armed = true };
	if (type >= MSG_CONNECTION_FIRST)
		w->pending += head_len + body_len;
	r = wire_libssh_send(w);
	w->raw.armed = false;
	if (r != 0) {
		w->mute = true;
		wire_fail(w, r, "cannot send a message");
		return r;
	}
	if (w->out.len >= FLUSH_AT)
		flush_out(w);
	return 0;
}

int
wire_send(struct wire *w, const void *msg, size_t len)
{
	return wire_send2(w, msg, len, NULL, 0);
}

size_t
wire_backlog(const struct wire *w)
{
	return w->out.len + (size_t)w->pending;
}

int
wire_accept_user(struct wire *w)
{
	int r;

	if (w->role != WIRE_SERVER || w->state != WIRE_READY || w->over || w->signing)
		return ERR_ORDER;
	r = wire_libssh_accept(w);
	if (r != 0) {
		wire_fail(w, r, "cannot accept the user");
		return r;
	}
	w->state = WIRE_OPEN;
	return 0;
}

void
wire_disconnect(struct wire *w, uint32_t reason, const char *text)
{
	if (w->over)
		return;
	put_disconnect(w, reason, text);
	wire_fail(w, 0, "%s", text);
	(void)settle(w); /* the owner asked for the end and is told it like any other */
}

const char *
wire_algorithms(const struct wire *w)
{
	return w->algorithms;
}

const char *
wire_peer_version(const struct wire *w)
{
	return w->version;
}
