/*
 * A client's login (RFC 4252 section 7) with the one key of an agent (RFC 9987): ask for the service, sign, send,
 * take the answer. The signed request goes out without asking first whether the key would do: one round trip less,
 * and the vault signs only once anyway.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bastiond/ssh/wire_priv.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/str.h"

#define MSG_SERVICE_ACCEPT 6
#define MSG_EXT_INFO 7
#define MSG_USERAUTH_REQUEST 50
#define MSG_USERAUTH_FAILURE 51
#define MSG_USERAUTH_SUCCESS 52
#define MSG_USERAUTH_BANNER 53
#define AGENT_REQUEST_IDENTITIES 11
#define AGENT_IDENTITIES_ANSWER 12
#define AGENT_SIGN_REQUEST 13
#define AGENT_SIGN_RESPONSE 14
#define AGENT_RSA_SHA2_256 2
#define AGENT_RSA_SHA2_512 4
#define AGENT_WAIT_NS (30 * CLOCK_NS_PER_S)
#define AGENT_MESSAGE_MAX (256u * 1024) /* what OpenSSH's agent sends at most */

static int
agent_send(int fd, const uint8_t *p, size_t len, uint64_t until)
{
	ssize_t n;
	int r = 0;

	while (len > 0 && r == 0) {
		n = send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0) {
			p += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			r = fd_wait(fd, POLLOUT, until);
		} else if (errno != EINTR) {
			r = -errno;
		}
	}
	return r;
}

static int
agent_recv(int fd, uint8_t *p, size_t len, uint64_t until)
{
	ssize_t n;
	int r = 0;

	while (len > 0 && r == 0) {
		n = recv(fd, p, len, MSG_DONTWAIT);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (n == 0) {
			r = ERR_PEER_GONE;
		} else if (errno == EAGAIN) {
			r = fd_wait(fd, POLLIN, until);
		} else if (errno != EINTR) {
			r = -errno;
		}
	}
	return r;
}

/* One request, one answer of the type that is wanted. ret: empty, gets what follows the type. */
static int
agent_ask(int fd, const struct buf *request, uint8_t want, struct buf *ret)
{
	uint64_t until = clock_boot_ns() + AGENT_WAIT_NS;
	struct buf *framed = buf_new(AGENT_MESSAGE_MAX + 4);
	uint8_t head[5], *p;
	uint32_t len;
	int r = framed == NULL ? -ENOMEM : buf_put_str(framed, buf_ptr(request), buf_len(request));

	if (r == 0)
		r = agent_send(fd, buf_ptr(framed), buf_len(framed), until);
	buf_free(framed);
	if (r == 0)
		r = agent_recv(fd, head, sizeof(head), until);
	if (r != 0)
		return r;
	len = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
	if (len == 0 || len > AGENT_MESSAGE_MAX)
		return ERR_FORMAT;
	if (head[4] != want)
		return ERR_DENIED;
	r = buf_reserve(ret, len - 1, &p);
	return r == 0 ? agent_recv(fd, p, len - 1, until) : r;
}

/* The blob of the first key that the agent holds. */
static int
agent_key(int fd, struct wire_blob *ret_key)
{
	struct buf *request = buf_new(16), *answer = buf_new(AGENT_MESSAGE_MAX);
	const uint8_t *key;
	size_t len;
	uint32_t n = 0;
	int r = request == NULL || answer == NULL ? -ENOMEM : 0;

	if (r == 0)
		r = buf_put_u8(request, AGENT_REQUEST_IDENTITIES);
	if (r == 0)
		r = agent_ask(fd, request, AGENT_IDENTITIES_ANSWER, answer);
	if (r == 0)
		r = buf_get_u32(answer, &n);
	if (r == 0 && n == 0)
		r = ERR_NOT_FOUND;
	if (r == 0)
		r = buf_get_str(answer, &key, &len);
	if (r == 0)
		r = wire_blob_set(ret_key, key, len);
	buf_free(request);
	buf_free(answer);
	return r;
}

/* Keys whose signatures have another name (RFC 8332, and OpenSSH's certificates). */
static const struct {
	const char *key, *alg, *other;
} rsa_algs[] = {
	{ "ssh-rsa", "rsa-sha2-512", "rsa-sha2-256" },
	{ "ssh-rsa-cert-v01@openssh.com", "rsa-sha2-512-cert-v01@openssh.com",
	    "rsa-sha2-256-cert-v01@openssh.com" },
};

static bool
takes(const char *target, const char *alg)
{
	return target == NULL || wire_list_has(target, strlen(target), alg, strlen(alg));
}

/* With which algorithm this key signs. target: its server-sig-algs, or NULL. 0; ERR_FORMAT. */
static int
choose_alg(
    const struct wire_blob *key, const char *target, char *ret, size_t max, uint32_t *ret_flags)
{
	struct buf *b = buf_view(key->p, key->len);
	char type[64];
	size_t i;
	int r = b == NULL ? -ENOMEM : buf_get_cstr(b, type, sizeof(type));

	buf_free(b);
	if (r != 0)
		return r;
	*ret_flags = 0;
	for (i = 0; i < sizeof(rsa_algs) / sizeof(rsa_algs[0]); i++) {
		if (strcmp(rsa_algs[i].key, type) != 0)
			continue;
		if (!takes(target, rsa_algs[i].alg) && takes(target, rsa_algs[i].other)) {
			*ret_flags = AGENT_RSA_SHA2_256;
			return str_copy(ret, max, rsa_algs[i].other);
		}
		*ret_flags = AGENT_RSA_SHA2_512;
		return str_copy(ret, max, rsa_algs[i].alg);
	}
	return str_copy(ret, max, type);
}

/* The request up to its signature (RFC 4252 section 7). */
static int
put_request(const char *user, const struct wire_blob *key, const char *alg, struct buf *b)
{
	int r = buf_put_u8(b, MSG_USERAUTH_REQUEST);

	if (r == 0)
		r = buf_put_cstr(b, user);
	if (r == 0)
		r = buf_put_cstr(b, "ssh-connection");
	if (r == 0)
		r = buf_put_cstr(b, "publickey");
	if (r == 0)
		r = buf_put_u8(b, 1);
	if (r == 0)
		r = buf_put_cstr(b, alg);
	if (r == 0)
		r = buf_put_str(b, key->p, key->len);
	return r;
}

/* Sign string session id and the request, and append the signature to it. */
static int
sign_request(struct wire *w, const struct wire_blob *key, uint32_t flags, struct buf *request)
{
	struct buf *signing = buf_new(AGENT_MESSAGE_MAX), *ask = buf_new(AGENT_MESSAGE_MAX);
	struct buf *answer = buf_new(AGENT_MESSAGE_MAX);
	const uint8_t *sig;
	size_t len;
	int r = signing == NULL || ask == NULL || answer == NULL ? -ENOMEM : 0;

	if (r == 0)
		r = buf_put_str(signing, w->session_id, w->session_id_len);
	if (r == 0)
		r = buf_put(signing, buf_ptr(request), buf_len(request));
	if (r == 0)
		r = buf_put_u8(ask, AGENT_SIGN_REQUEST);
	if (r == 0)
		r = buf_put_str(ask, key->p, key->len);
	if (r == 0)
		r = buf_put_str(ask, buf_ptr(signing), buf_len(signing));
	if (r == 0)
		r = buf_put_u32(ask, flags);
	if (r == 0)
		r = agent_ask(w->agent_fd, ask, AGENT_SIGN_RESPONSE, answer);
	if (r == 0)
		r = buf_get_str(answer, &sig, &len);
	if (r == 0)
		r = buf_put_str(request, sig, len);
	buf_free(signing);
	buf_free(ask);
	buf_free(answer);
	return r;
}

static int
send_request(struct wire *w)
{
	struct wire_blob key = { 0 };
	struct buf *request = buf_new(AGENT_MESSAGE_MAX);
	uint32_t flags = 0;
	char alg[64];
	int r = request == NULL ? -ENOMEM : agent_key(w->agent_fd, &key);

	if (r == 0)
		r = choose_alg(&key, w->user_algs, alg, sizeof(alg), &flags);
	if (r == 0)
		r = put_request(w->user, &key, alg, request);
	if (r == 0)
		r = sign_request(w, &key, flags, request);
	if (r == 0) {
		w->raw = (struct wire_raw){
			.head = buf_ptr(request), .head_len = buf_len(request), .armed = true
		};
		r = wire_libssh_request(w);
		w->raw.armed = false;
	}
	buf_free(request);
	wire_blob_free(&key);
	return r;
}

static void
login_over(struct wire *w, int err, const char *methods)
{
	w->login = LOGIN_DONE;
	if (w->agent_fd >= 0)
		close(w->agent_fd);
	w->agent_fd = -1;
	w->ops->login_done(w->arg, err, methods);
}

void
wire_login_step(struct wire *w)
{
	int r;

	if (w->login != LOGIN_ACCEPTED || w->over)
		return;
	w->login = LOGIN_SENT;
	r = send_request(w);
	if (r == -ENOMEM)
		wire_fail(w, r, "no memory for the login");
	else if (r != 0)
		login_over(w, r == ERR_NOT_FOUND ? r : ERR_SIGNATURE, "");
}

int
wire_login(struct wire *w, const char *user, int agent_fd)
{
	int r;

	if (w->role != WIRE_CLIENT || w->state != WIRE_READY || w->over || w->signing ||
	    w->login != LOGIN_NONE) {
		close(agent_fd);
		return ERR_ORDER;
	}
	w->agent_fd = agent_fd;
	w->user = strdup(user);
	if (w->user == NULL)
		return -ENOMEM;
	w->login = LOGIN_WANTED;
	r = wire_libssh_service(w);
	if (r != 0)
		wire_fail(w, r, "cannot ask for the service");
	return r;
}

static bool
on_failure(struct wire *w, const uint8_t *msg, size_t len)
{
	struct buf *b = buf_view(msg + 1, len - 1);
	char methods[256];
	int r = b == NULL ? -ENOMEM : buf_get_cstr(b, methods, sizeof(methods));

	buf_free(b);
	if (w->login == LOGIN_SENT)
		login_over(w, ERR_DENIED, r == 0 ? methods : "");
	return true;
}

static bool
on_banner(struct wire *w, const uint8_t *msg, size_t len)
{
	struct buf *b = buf_view(msg + 1, len - 1);
	const uint8_t *text;
	size_t n;

	if (b != NULL && buf_get_str(b, &text, &n) == 0 && w->ops->banner != NULL)
		w->ops->banner(w->arg, (const char *)text, n);
	buf_free(b);
	return true;
}

/* RFC 8308: keep server-sig-algs; libssh reads the message too. */
static bool
on_ext_info(struct wire *w, const uint8_t *msg, size_t len)
{
	struct buf *b = buf_view(msg + 1, len - 1);
	const uint8_t *name, *value;
	size_t name_len, value_len;
	uint32_t n = 0;

	if (b == NULL || buf_get_u32(b, &n) != 0)
		n = 0;
	for (; n > 0; n--) {
		if (buf_get_str(b, &name, &name_len) != 0 ||
		    buf_get_str(b, &value, &value_len) != 0)
			break;
		if (name_len == strlen("server-sig-algs") &&
		    memcmp(name, "server-sig-algs", name_len) == 0) {
			free(w->user_algs);
			w->user_algs = strndup((const char *)value, value_len);
		}
	}
	buf_free(b);
	return false;
}

bool
wire_login_message(struct wire *w, uint8_t type, const uint8_t *msg, size_t len, void *packet)
{
	switch (type) {
	case MSG_SERVICE_ACCEPT:
		if (w->login == LOGIN_WANTED)
			w->login = LOGIN_ACCEPTED;
		return false;
	case MSG_EXT_INFO:
		return on_ext_info(w, msg, len);
	case MSG_USERAUTH_FAILURE:
		return on_failure(w, msg, len);
	case MSG_USERAUTH_BANNER:
		return on_banner(w, msg, len);
	case MSG_USERAUTH_SUCCESS:
		if (w->login != LOGIN_SENT) {
			wire_fail(
			    w, ERR_ORDER, "the target accepted a login that was not asked for");
			return true;
		}
		wire_libssh_logged_in(w, type, packet);
		w->state = WIRE_OPEN;
		login_over(w, 0, "");
		return true;
	default:
		return true;
	}
}
