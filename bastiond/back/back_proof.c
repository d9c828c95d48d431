/*
 * Who the target is. Its host key must be pinned, or be a certificate that the vault accepts after asking policy; and
 * the vault is shown the proof (session-bind@openssh.com) before it will sign anything for this leg.
 */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/back/back_priv.h"
#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/str.h"
#include "recorder/link_proto.h"

#define AGENT_SUCCESS 6 /* RFC 9987 section 3 */
#define AGENT_EXTENSION 27
#define AGENT_WAIT_NS (30 * CLOCK_NS_PER_S)
#define AGENT_MAX 32768u /* bytes of a message */

static int
agent_wait(int fd, short events, uint64_t until)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		uint64_t now = clock_boot_ns();
		int n = now < until ? poll(&p, 1, (int)((until - now) / CLOCK_NS_PER_MS) + 1) : 0;

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

static int
agent_write(int fd, const uint8_t *p, size_t len, uint64_t until)
{
	int r;

	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			if ((r = agent_wait(fd, POLLOUT, until)) != 0)
				return r;
		} else if (n < 0 && errno != EINTR) {
			return errno == EPIPE ? ERR_PEER_GONE : -errno;
		}
	}
	return 0;
}

static int
agent_read(int fd, uint8_t *p, size_t len, uint64_t until)
{
	int r;

	while (len > 0) {
		ssize_t n = recv(fd, p, len, MSG_DONTWAIT);

		if (n == 0)
			return ERR_PEER_GONE;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			if ((r = agent_wait(fd, POLLIN, until)) != 0)
				return r;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* One request without fields in its answer. 0: success; ERR_DENIED. */
static int
agent_ask(int fd, const struct buf *message)
{
	uint64_t until = clock_boot_ns() + AGENT_WAIT_NS;
	uint8_t head[5];
	int r;

	if ((r = agent_write(fd, buf_ptr(message), buf_len(message), until)) != 0 ||
	    (r = agent_read(fd, head, sizeof(head), until)) != 0)
		return r;
	if (head[0] != 0 || head[1] != 0 || head[2] != 0 || head[3] != 1)
		return ERR_FORMAT;
	return head[4] == AGENT_SUCCESS ? 0 : ERR_DENIED;
}

/* OpenSSH's PROTOCOL.agent, section 1: session-bind@openssh.com. */
static int
back_bind(int fd, const uint8_t *hash, size_t hash_len, const uint8_t *key, size_t key_len,
    const uint8_t *sig, size_t sig_len)
{
	static const char name[] = "session-bind@openssh.com";
	struct buf *body = buf_new(AGENT_MAX), *message = buf_new(AGENT_MAX);
	int r = -ENOMEM;

	if (body != NULL && message != NULL && (r = buf_put_u8(body, AGENT_EXTENSION)) == 0 &&
	    (r = buf_put_cstr(body, name)) == 0 && (r = buf_put_str(body, key, key_len)) == 0 &&
	    (r = buf_put_str(body, hash, hash_len)) == 0 &&
	    (r = buf_put_str(body, sig, sig_len)) == 0 && (r = buf_put_u8(body, 0)) == 0 &&
	    (r = buf_put_str(message, buf_ptr(body), buf_len(body))) == 0)
		r = agent_ask(fd, message);
	buf_free(body);
	buf_free(message);
	return r;
}

static bool
back_is_certificate(const uint8_t *key, size_t key_len)
{
	static const char suffix[] = "-cert-v01@openssh.com";
	size_t n;

	if (key_len < 4)
		return false;
	n = (size_t)key[2] << 8 | key[3];
	return key[0] == 0 && key[1] == 0 && n <= key_len - 4 && n > sizeof(suffix) - 1 &&
	       memcmp(key + 4 + n - (sizeof(suffix) - 1), suffix, sizeof(suffix) - 1) == 0;
}

static int
back_wrong_key(struct back *b, const char *seen)
{
	char why[512], pinned[HASH_FINGERPRINT_SIZE] = "none";

	if (b->conf->pins.n > 0)
		hash_fingerprint(pinned, b->conf->pins.list[0].data, b->conf->pins.list[0].len);
	if (str_format(why, sizeof(why),
		"%s: host key %s is not the pinned one (%s); if it was changed on purpose: "
		"bastionctl hosts pin %s",
		b->conf->host, seen, pinned, b->conf->host) != 0)
		memcpy(why + sizeof(why) - 4, "...", 4);
	back_end(b, LINK_END_HOST_KEY, why);
	return ERR_DENIED;
}

int
back_host_proof(void *arg, const uint8_t *hash, size_t hash_len, const uint8_t *key, size_t key_len,
    const uint8_t *sig, size_t sig_len)
{
	bool pinned, certificate;
	struct back *b = arg;
	char why[512];
	int r;

	hash_fingerprint(b->host_key, key, key_len);
	pinned = back_blobs_have(&b->conf->pins, key, key_len);
	certificate = b->conf->cas.n > 0 && back_is_certificate(key, key_len);
	if (!pinned && !certificate)
		return back_wrong_key(b, b->host_key);
	if ((r = back_bind(b->agent_fd, hash, hash_len, key, key_len, sig, sig_len)) == 0)
		return 0;
	if (certificate && r == ERR_DENIED)
		return back_wrong_key(b, b->host_key);
	if (str_format(why, sizeof(why), "%s: the vault does not take the host's proof: %s",
		b->conf->host, err_str(r)) != 0)
		why[0] = '\0';
	back_end(b, LINK_END_INTERNAL, why);
	return r;
}
