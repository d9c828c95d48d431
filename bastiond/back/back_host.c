/* The target's identity: which host keys to ask for, whether the one shown is pinned, and showing it to the vault. */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/back/back.h"
#include "lib/clock.h"
#include "lib/file.h"

#define CERT_ALGS                                                                                  \
	"ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,"               \
	"ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,"       \
	"rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com"

/* Types of host keys and the algorithms that sign with them (RFC 8332, RFC 5656, RFC 8709); best first. */
static const struct {
	const char *type, *algs;
} kinds[] = {
	{ "ssh-ed25519", "ssh-ed25519" },
	{ "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256" },
	{ "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384" },
	{ "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521" },
	{ "ssh-rsa", "rsa-sha2-512,rsa-sha2-256" },
};

static struct rd_str
key_type(struct rd_str blob)
{
	struct rd in = rd_over(blob.p, blob.len);
	struct rd_str type = { 0 };

	return rd_str(&in, &type) ? type : (struct rd_str){ (const uint8_t *)"", 0 };
}

static bool
is_certificate(struct rd_str blob)
{
	static const char end[] = "-cert-v01@openssh.com";
	struct rd_str type = key_type(blob);
	size_t n = sizeof(end) - 1;

	return type.len > n && memcmp(type.p + type.len - n, end, n) == 0;
}

static bool
has_pin_of(const struct back_plan *p, const char *type)
{
	for (uint32_t i = 0; i < p->n_pins; i++)
		if (rd_is(key_type(p->pins[i]), type))
			return true;
	return false;
}

char *
back_host_algs(const struct back_plan *p)
{
	struct buf *b = buf_new(1024);
	char *list = NULL;
	int r = b == NULL ? -ENOMEM : 0;

	if (r == 0 && p->n_cas > 0)
		r = buf_put(b, CERT_ALGS, sizeof(CERT_ALGS) - 1);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && r == 0; i++) {
		if (!has_pin_of(p, kinds[i].type))
			continue;
		if (buf_len(b) > 0)
			r = buf_put_u8(b, ',');
		if (r == 0)
			r = buf_put(b, kinds[i].algs, strlen(kinds[i].algs));
	}
	if (r == 0)
		list = strndup((const char *)buf_ptr(b), buf_len(b));
	buf_free(b);
	return list;
}

static const struct rd_str *
pin_of_type(const struct back_plan *p, struct rd_str type)
{
	for (uint32_t i = 0; i < p->n_pins; i++) {
		struct rd_str t = key_type(p->pins[i]);

		if (t.len == type.len && memcmp(t.p, type.p, t.len) == 0)
			return &p->pins[i];
	}
	return p->n_pins > 0 ? &p->pins[0] : NULL;
}

bool
back_host_is_pinned(const struct back_plan *p, struct rd_str key, char *why, size_t why_size)
{
	char seen[HASH_FINGERPRINT_SIZE], expected[HASH_FINGERPRINT_SIZE] = "none";
	const struct rd_str *pin;

	for (uint32_t i = 0; i < p->n_pins; i++)
		if (p->pins[i].len == key.len && memcmp(p->pins[i].p, key.p, key.len) == 0)
			return true;
	if (p->n_cas > 0 && is_certificate(key))
		return true;
	pin = pin_of_type(p, key_type(key));
	if (pin != NULL)
		hash_fingerprint(expected, pin->p, pin->len);
	hash_fingerprint(seen, key.p, key.len);
	(void)snprintf(why, why_size,
	    "host key of %s is not the pinned one: expected %s, got %s; if it was changed on "
	    "purpose: bastionctl hosts pin %s",
	    p->host, expected, seen, p->host);
	return false;
}

/* The agent's socket, waiting (RFC 9987 section 3: u32 length, u8 type, contents). */

#define AGENT_EXTENSION 27u
#define AGENT_SUCCESS 6u
#define BIND_NAME "session-bind@openssh.com"
#define BIND_WAIT_NS (30 * CLOCK_NS_PER_S) /* the vault may have to ask policy */
#define ANSWER_MAX 1024u

/* One send or recv. 0 and *ret_n; -EAGAIN; ERR_PEER_GONE; -errno. */
static int
move(int fd, bool out, uint8_t *p, size_t len, size_t *ret_n)
{
	ssize_t n =
	    out ? send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT) : recv(fd, p, len, MSG_DONTWAIT);

	*ret_n = n > 0 ? (size_t)n : 0;
	if (n > 0)
		return 0;
	if (n == 0)
		return ERR_PEER_GONE;
	if (errno == EAGAIN || errno == EINTR)
		return -EAGAIN;
	return errno == EPIPE || errno == ECONNRESET ? ERR_PEER_GONE : -errno;
}

static int
move_all(int fd, bool out, uint8_t *p, size_t len, uint64_t until)
{
	size_t n;
	int r = 0;

	while (len > 0 && r == 0) {
		r = move(fd, out, p, len, &n);
		p += n;
		len -= n;
		if (r == -EAGAIN)
			r = fd_wait(fd, out ? POLLOUT : POLLIN, until);
	}
	return r;
}

static int
bind_message(struct rd_str key, struct rd_str session_id, struct rd_str sig, struct buf **ret_b)
{
	size_t len = 1 + 4 + strlen(BIND_NAME) + 4 + key.len + 4 + session_id.len + 4 + sig.len + 1;
	struct buf *b = buf_new(4 + len);
	int r;

	if (b == NULL)
		return -ENOMEM;
	if ((r = buf_put_u32(b, (uint32_t)len)) != 0 || (r = buf_put_u8(b, AGENT_EXTENSION)) != 0 ||
	    (r = buf_put_cstr(b, BIND_NAME)) != 0 || (r = buf_put_str(b, key.p, key.len)) != 0 ||
	    (r = buf_put_str(b, session_id.p, session_id.len)) != 0 ||
	    (r = buf_put_str(b, sig.p, sig.len)) != 0 || (r = buf_put_u8(b, 0)) != 0) {
		buf_free(b);
		return r;
	}
	*ret_b = b;
	return 0;
}

int
back_host_bind(int agent_fd, struct rd_str key, struct rd_str session_id, struct rd_str sig)
{
	uint64_t until = clock_boot_ns() + BIND_WAIT_NS;
	uint8_t answer[ANSWER_MAX];
	struct buf *b = NULL;
	struct rd head;
	uint32_t len = 0;
	int r = bind_message(key, session_id, sig, &b);

	if (r == 0)
		r = move_all(agent_fd, true, (uint8_t *)(uintptr_t)buf_ptr(b), buf_len(b), until);
	buf_free(b);
	if (r != 0 || (r = move_all(agent_fd, false, answer, 4, until)) != 0)
		return r;
	head = rd_over(answer, 4);
	if (!rd_u32(&head, &len) || len == 0 || len > sizeof(answer))
		return ERR_FORMAT;
	if ((r = move_all(agent_fd, false, answer, len, until)) != 0)
		return r;
	return answer[0] == AGENT_SUCCESS ? 0 : ERR_DENIED;
}
