/* A server and a client joined by a relay; see wire_pair.h. Everything happens in the caller's thread. */
#include "config.h"

#include <errno.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bastiond/ssh/wire_pair.h"
#include "lib/file.h"
#include "lib/str.h"

#define TURNS_MAX 20000u	 /* after so many turns something hangs */
#define STILL 8u		 /* turns without a byte: nothing more will come */
#define RELAY_MAX 65536u	 /* bytes moved in one direction in one turn */
#define KEEP_MAX (1024u * 1024u) /* bytes of messages that wait to be looked at */

static int
on_sign(void *arg, const uint8_t *hash, size_t hash_len, uint8_t *ret_sig, size_t sig_max,
    size_t *ret_sig_len)
{
	struct wire_side *s = arg;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = sig_max;
	int r = ERR_CRYPTO;

	s->n_sign++;
	if (ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, s->pair->key) == 1 &&
	    EVP_DigestSign(ctx, ret_sig, &len, hash, hash_len) == 1) {
		*ret_sig_len = len;
		r = s->answer_err;
	}
	EVP_MD_CTX_free(ctx);
	return r;
}

static bool
shown(const struct wire_pair *p, const uint8_t *key, size_t len)
{
	if (p->host_cert_len > 0)
		return len == p->host_cert_len && memcmp(key, p->host_cert, len) == 0;
	return len == sizeof(p->host_key) && memcmp(key, p->host_key, len) == 0;
}

static int
on_proof(void *arg, const uint8_t *hash, size_t hash_len, const uint8_t *key, size_t key_len,
    const uint8_t *sig, size_t sig_len)
{
	struct wire_side *s = arg;

	(void)hash;
	(void)sig;
	s->n_proof++;
	if (hash_len < 32 || sig_len != 83 || !shown(s->pair, key, key_len))
		return ERR_SIGNATURE;
	return s->answer_err;
}

static void
on_ready(void *arg, const uint8_t *session_id, size_t len)
{
	struct wire_side *s = arg;

	s->n_ready++;
	memcpy(s->session_id, session_id, len);
	s->session_id_len = len;
}

static void
on_message(void *arg, const uint8_t *msg, size_t len)
{
	struct wire_side *s = arg;

	s->n_message++;
	if (buf_put_str(s->got, msg, len) != 0)
		s->n_message = 0; /* whoever counts will miss it */
}

static void
on_login(void *arg, int err, const char *methods)
{
	struct wire_side *s = arg;

	(void)methods;
	s->n_login++;
	s->login_err = err;
}

static void
on_banner(void *arg, const char *text, size_t len)
{
	struct wire_side *s = arg;

	(void)text;
	(void)len;
	s->n_banner++;
}

static void
on_end(void *arg, int err, const char *why)
{
	struct wire_side *s = arg;

	s->n_end++;
	s->end_err = err;
	if (str_copy(s->end_why, sizeof(s->end_why), why) != 0)
		s->end_why[0] = '?';
}

static const struct wire_ops ops = { .sign_kex = on_sign,
	.host_proof = on_proof,
	.ready = on_ready,
	.message = on_message,
	.login_done = on_login,
	.banner = on_banner,
	.end = on_end };

static int
make_key(struct wire_pair *p)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, NULL);
	static const uint8_t head[] = { 0, 0, 0, 11, 's', 's', 'h', '-', 'e', 'd', '2', '5', '5',
		'1', '9', 0, 0, 0, 32 };
	EVP_PKEY *key = NULL;
	size_t len = 32;
	int r = ERR_CRYPTO;

	if (ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_keygen(ctx, &key) == 1 &&
	    EVP_PKEY_get_raw_public_key(key, p->host_key + sizeof(head), &len) == 1)
		r = 0;
	memcpy(p->host_key, head, sizeof(head));
	p->key = key;
	EVP_PKEY_CTX_free(ctx);
	return r;
}

/* All fields of a certificate (PROTOCOL.certkeys), signed by nobody: that is its reader's matter. */
static int
make_cert(struct wire_pair *p)
{
	const uint8_t *pub = p->host_key + sizeof(p->host_key) - 32;
	struct buf *b = buf_new(sizeof(p->host_cert));
	uint8_t sig[83] = { 0, 0, 0, 11 };
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	memcpy(sig + 4, "ssh-ed25519\0\0\0\100", 15);
	if ((r = buf_put_cstr(b, "ssh-ed25519-cert-v01@openssh.com")) == 0 &&
	    (r = buf_put_str(b, pub, 32)) == 0 && (r = buf_put_str(b, pub, 32)) == 0 &&
	    (r = buf_put_u64(b, 0)) == 0 && (r = buf_put_u32(b, 2)) == 0 &&
	    (r = buf_put_cstr(b, "test")) == 0 && (r = buf_put_str(b, "\0\0\0\1h", 5)) == 0 &&
	    (r = buf_put_u64(b, 0)) == 0 && (r = buf_put_u64(b, UINT64_MAX)) == 0 &&
	    (r = buf_put_cstr(b, "")) == 0 && (r = buf_put_cstr(b, "")) == 0 &&
	    (r = buf_put_cstr(b, "")) == 0 &&
	    (r = buf_put_str(b, p->host_key, sizeof(p->host_key))) == 0)
		r = buf_put_str(b, sig, sizeof(sig));
	if (r == 0) {
		memcpy(p->host_cert, buf_ptr(b), buf_len(b));
		p->host_cert_len = buf_len(b);
	}
	buf_free(b);
	return r;
}

static int
prepare_side(struct wire_side *s, struct wire_pair *p, int *relay_fd)
{
	int fd[2];

	s->pair = p;
	s->got = buf_new(KEEP_MAX);
	if (s->got == NULL)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) != 0)
		return -errno;
	s->fd = fd[0];
	*relay_fd = fd[1];
	return 0;
}

/* The wire owns its socket from success on. */
static int
start_side(struct wire_side *s, const struct wire_conf *conf)
{
	int r = wire_new(conf, s->fd, &ops, s, &s->w);

	if (r == 0)
		s->fd = -1;
	return r;
}

/* An agent that has said everything in advance: one key, one signature, of no meaning to our server. */
static int
prepare_agent(struct wire_pair *p)
{
	static const uint8_t key[] = { 0, 0, 0, 11, 's', 's', 'h', '-', 'e', 'd', '2', '5', '5',
		'1', '9', 0, 0, 0, 1, 7 };
	struct buf *list = buf_new(256), *all = buf_new(1024);
	int fd[2] = { -1, -1 }, r = list == NULL || all == NULL ? -ENOMEM : 0;

	if (r == 0)
		r = buf_put_u8(list, 12) | buf_put_u32(list, 1) |
		    buf_put_str(list, key, sizeof(key)) | buf_put_cstr(list, "only");
	if (r == 0)
		r = buf_put_str(all, buf_ptr(list), buf_len(list)) | buf_put_u32(all, 8) |
		    buf_put_u8(all, 14) | buf_put_cstr(all, "sig");
	if (r == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) != 0)
		r = -errno;
	p->agent_fd = fd[0];
	p->agent_end = fd[1];
	if (r == 0 &&
	    send(fd[1], buf_ptr(all), buf_len(all), MSG_NOSIGNAL) != (ssize_t)buf_len(all))
		r = -errno;
	buf_free(list);
	buf_free(all);
	return r;
}

int
wire_pair_prepare(struct wire_pair **ret_pair)
{
	struct wire_pair *p = calloc(1, sizeof(*p));
	int r = -ENOMEM;

	if (p == NULL)
		return r;
	p->server.fd = p->client.fd = -1;
	p->server_fd = p->client_fd = p->agent_fd = p->agent_end = -1;
	p->flip_up = p->flip_down = UINT64_MAX;
	p->from_client = buf_new(KEEP_MAX);
	p->bytes = malloc(2 * RELAY_MAX);
	if (p->from_client != NULL && p->bytes != NULL)
		r = prepare_agent(p);
	if (r == 0)
		r = prepare_side(&p->server, p, &p->server_fd);
	if (r == 0)
		r = prepare_side(&p->client, p, &p->client_fd);
	if (r != 0)
		wire_pair_free(p);
	else
		*ret_pair = p;
	return r;
}

int
wire_pair_start(struct wire_pair *p, const struct wire_conf *server, const struct wire_conf *client)
{
	struct wire_conf sc = *server, cc = *client;
	int r = make_key(p);

	sc.role = WIRE_SERVER;
	sc.host_key = p->host_key;
	sc.host_key_len = sizeof(p->host_key);
	if (r == 0 && p->certify && (r = make_cert(p)) == 0) {
		sc.host_cert = p->host_cert;
		sc.host_cert_len = p->host_cert_len;
	}
	cc.role = WIRE_CLIENT;
	if (r == 0)
		r = start_side(&p->server, &sc);
	if (r == 0)
		r = start_side(&p->client, &cc);
	return r;
}

int
wire_pair_new(
    const struct wire_conf *server, const struct wire_conf *client, struct wire_pair **ret_pair)
{
	struct wire_pair *p = NULL;
	int r = wire_pair_prepare(&p);

	if (r == 0)
		r = wire_pair_start(p, server, client);
	if (r != 0)
		wire_pair_free(p);
	else
		*ret_pair = p;
	return r;
}

void
wire_pair_free(struct wire_pair *p)
{
	if (p == NULL)
		return;
	wire_free(p->server.w);
	wire_free(p->client.w);
	buf_free(p->server.got);
	buf_free(p->client.got);
	buf_free(p->from_client);
	free(p->bytes);
	EVP_PKEY_free(p->key);
	fd_close(&p->server.fd);
	fd_close(&p->client.fd);
	fd_close(&p->server_fd);
	fd_close(&p->client_fd);
	fd_close(&p->agent_fd);
	fd_close(&p->agent_end);
	free(p);
}

/* Move bytes, hurt the one that is to be hurt, say how many passed. A closed end stays closed for both. */
static size_t
relay(uint8_t *bytes, int *from, int *to, uint64_t *passed, uint64_t flip, struct buf *keep)
{
	uint8_t *gone = bytes + RELAY_MAX;
	ssize_t n =
	    *from < 0 || *to < 0 ? -1 : recv(*from, bytes, RELAY_MAX, MSG_DONTWAIT | MSG_PEEK);
	ssize_t m;

	if (n == 0) {
		fd_close(to);
		return 1;
	}
	if (n < 0)
		return 0;
	if (flip >= *passed && flip - *passed < (uint64_t)n)
		bytes[flip - *passed] ^= 0x10;
	m = send(*to, bytes, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (m <= 0)
		return 0;
	n = recv(*from, gone, (size_t)m, MSG_DONTWAIT);
	if (keep != NULL && buf_room(keep) > (size_t)m && buf_put(keep, bytes, (size_t)m) != 0)
		return 0;
	*passed += (uint64_t)m;
	return (size_t)n;
}

static void
run_side(struct wire_side *s)
{
	struct pollfd f = { .fd = wire_fd(s->w), .events = wire_events(s->w) };
	bool again;

	if (s->n_end > 0)
		return;
	if (poll(&f, 1, 0) >= 0 && wire_io(s->w, f.revents, &again) != 0)
		s->n_failed++;
}

static size_t
turn(struct wire_pair *p)
{
	size_t n;

	run_side(&p->server);
	run_side(&p->client);
	n = relay(p->bytes, &p->client_fd, &p->server_fd, &p->up, p->flip_up, p->from_client);
	n += relay(p->bytes, &p->server_fd, &p->client_fd, &p->down, p->flip_down, NULL);
	return n;
}

void
wire_pair_turn(struct wire_pair *p)
{
	(void)turn(p);
}

bool
wire_pair_until(struct wire_pair *p, const unsigned *counter, unsigned n)
{
	unsigned i, still = 0;

	for (i = 0; i < TURNS_MAX && still < STILL && *counter < n; i++)
		still = turn(p) == 0 ? still + 1 : 0;
	return *counter >= n;
}

void
wire_pair_rest(struct wire_pair *p)
{
	unsigned i, still = 0;

	for (i = 0; i < TURNS_MAX && still < STILL; i++)
		still = turn(p) == 0 ? still + 1 : 0;
}

bool
wire_pair_up(struct wire_pair *p)
{
	return wire_pair_until(p, &p->server.n_ready, 1) &&
	       wire_pair_until(p, &p->client.n_ready, 1);
}

/* The client's end of the agent goes to the wire. */
static int
take_agent(struct wire_pair *p)
{
	int fd = p->agent_fd;

	p->agent_fd = -1;
	return fd;
}

bool
wire_pair_login(struct wire_pair *p)
{
	static const uint8_t accept[] = { 6, 0, 0, 0, 12, 's', 's', 'h', '-', 'u', 's', 'e', 'r',
		'a', 'u', 't', 'h' };
	static const uint8_t service[] = { 5, 0, 0, 0, 12, 's', 's', 'h', '-', 'u', 's', 'e', 'r',
		'a', 'u', 't', 'h' };
	static const uint8_t banner[] = { 53, 0, 0, 0, 2, 'h', 'i', 0, 0, 0, 0 };
	/* byte 50, string user, string "ssh-connection": RFC 4252 section 5 */
	static const char expect[] = "2\0\0\0\5root\n\0\0\0\016ssh-connection";
	const uint8_t *msg;
	size_t len;
	if (!wire_pair_up(p) || wire_login(p->client.w, "root\n", take_agent(p)) != 0 ||
	    !wire_pair_until(p, &p->server.n_message, 1) ||
	    !wire_pair_got(&p->server, service, sizeof(service)) ||
	    wire_send(p->server.w, accept, sizeof(accept)) != 0 ||
	    !wire_pair_until(p, &p->server.n_message, 2))
		return false;
	if (buf_get_str(p->server.got, &msg, &len) != 0 || len < sizeof(expect) - 1 ||
	    memcmp(msg, expect, sizeof(expect) - 1) != 0)
		return false;
	return wire_send(p->server.w, banner, sizeof(banner)) == 0 &&
	       wire_accept_user(p->server.w) == 0 && wire_pair_until(p, &p->client.n_login, 1) &&
	       p->client.login_err == 0 && p->client.n_banner == 1;
}

bool
wire_pair_got(struct wire_side *s, const void *msg, size_t len)
{
	const uint8_t *p;
	size_t n;

	return buf_get_str(s->got, &p, &n) == 0 && n == len && memcmp(p, msg, len) == 0;
}
