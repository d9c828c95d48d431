/* BRK_BACK_START, parsed. The grant's part was written by policy, the rest by the broker. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/back/back_conf.h"
#include "lib/str.h"

static int
back_get_blobs(struct buf *b, struct back_blobs *blobs)
{
	uint32_t n;
	int r;

	if ((r = buf_get_u32(b, &n)) != 0)
		return r;
	if (n > BACK_KEYS_MAX)
		return ERR_LIMIT;
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *p;
		size_t len;

		if ((r = buf_get_str(b, &p, &len)) != 0)
			return r;
		blobs->list[i].data = malloc(len + 1);
		if (blobs->list[i].data == NULL)
			return -ENOMEM;
		memcpy(blobs->list[i].data, p, len);
		blobs->list[i].len = len;
		blobs->n++;
	}
	return 0;
}

static int
back_get_grant(struct buf *b, struct back_conf *c)
{
	uint32_t port;
	uint8_t resolve;
	int r;

	if ((r = buf_get_cstr(b, c->host, sizeof(c->host))) != 0 ||
	    (r = buf_get_cstr(b, c->address, sizeof(c->address))) != 0 ||
	    (r = buf_get_u32(b, &port)) != 0 || (r = buf_get_u8(b, &resolve)) != 0 ||
	    (r = buf_get_cstr(b, c->login, sizeof(c->login))) != 0 ||
	    (r = back_get_blobs(b, &c->pins)) != 0 || (r = back_get_blobs(b, &c->cas)) != 0 ||
	    (r = buf_get_u64(b, &c->connect_ns)) != 0 || (r = buf_end(b)) != 0)
		return r;
	if (port == 0 || port > UINT16_MAX || resolve > 1)
		return ERR_FORMAT;
	c->port = (uint16_t)port;
	c->resolve = resolve == 1;
	return 0;
}

static int
back_get_own(struct buf *b, struct back_conf *c)
{
	char text[NET_PORT_TEXT_SIZE];
	uint32_t n;
	int r;

	if ((r = buf_get_u32(b, &n)) != 0)
		return r;
	if (n > BACK_OWN_MAX)
		return ERR_LIMIT;
	for (; c->n_own < n; c->n_own++)
		if ((r = buf_get_cstr(b, text, sizeof(text))) != 0 ||
		    (r = net_parse_port(text, &c->own[c->n_own].addr, &c->own[c->n_own].port)) != 0)
			return r;
	return 0;
}

static int
back_get_denied(struct buf *b, struct back_conf *c)
{
	char text[NET_PORT_TEXT_SIZE];
	uint32_t n;
	int r;

	if ((r = buf_get_u32(b, &n)) != 0)
		return r;
	if (n > BACK_DENIED_MAX)
		return ERR_LIMIT;
	for (; c->n_denied < n; c->n_denied++)
		if ((r = buf_get_cstr(b, text, sizeof(text))) != 0 ||
		    (r = net_prefix_parse(text, &c->denied[c->n_denied])) != 0)
			return r;
	return 0;
}

static int
back_get_all(struct buf *b, struct back_conf *c)
{
	const uint8_t *p;
	struct buf *grant;
	uint64_t longest;
	size_t len;
	int r;

	if ((r = buf_get_str(b, &p, &len)) != 0)
		return r;
	if ((grant = buf_view(p, len)) == NULL)
		return -ENOMEM;
	r = back_get_grant(grant, c);
	buf_free(grant);
	if (r != 0 || (r = back_get_own(b, c)) != 0 || (r = back_get_denied(b, c)) != 0 ||
	    (r = buf_get_u64(b, &c->keepalive_ns)) != 0 ||
	    (r = buf_get_u32(b, &c->keepalive_missed)) != 0 ||
	    (r = buf_get_u64(b, &longest)) != 0 || (r = buf_end(b)) != 0)
		return r;
	if (c->connect_ns == 0 || (longest != 0 && longest < c->connect_ns))
		c->connect_ns = longest;
	return 0;
}

int
back_conf_parse(const uint8_t *data, size_t len, struct back_conf *ret_conf)
{
	struct buf *b = buf_view(data, len);
	struct back_conf *c;
	int r;

	if (b == NULL)
		return -ENOMEM;
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		buf_free(b);
		return -ENOMEM;
	}
	r = back_get_all(b, c);
	if (r == 0)
		*ret_conf = *c;
	else
		back_conf_done(c);
	free(c);
	buf_free(b);
	return r;
}

static void
back_blobs_done(struct back_blobs *blobs)
{
	for (size_t i = 0; i < blobs->n; i++)
		free(blobs->list[i].data);
	blobs->n = 0;
}

void
back_conf_done(struct back_conf *c)
{
	back_blobs_done(&c->pins);
	back_blobs_done(&c->cas);
}

bool
back_blobs_have(const struct back_blobs *blobs, const void *blob, size_t len)
{
	for (size_t i = 0; i < blobs->n; i++)
		if (blobs->list[i].len == len && memcmp(blobs->list[i].data, blob, len) == 0)
			return true;
	return false;
}

/* What a key blob's own type name means for the key exchange. RSA keys sign with SHA-2 only (RFC 8332). */
static const struct {
	const char *type;
	const char *algorithms;
} back_algorithms[] = {
	{ "ssh-ed25519", "ssh-ed25519" },
	{ "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256" },
	{ "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384" },
	{ "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521" },
	{ "ssh-rsa", "rsa-sha2-512,rsa-sha2-256" },
};

#define BACK_CERTIFICATES                                                                          \
	"ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,"               \
	"ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,"       \
	"rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com"

static bool
back_pinned_type(const struct back_conf *c, const char *type)
{
	size_t n = strlen(type);

	for (size_t i = 0; i < c->pins.n; i++) {
		const struct back_blob *b = &c->pins.list[i];

		if (b->len > 4 + n && b->data[0] == 0 && b->data[1] == 0 && b->data[2] == 0 &&
		    b->data[3] == n && memcmp(b->data + 4, type, n) == 0)
			return true;
	}
	return false;
}

int
back_conf_algorithms(const struct back_conf *c, char *dst, size_t size)
{
	size_t at = 0;

	dst[0] = '\0';
	if (c->cas.n > 0) {
		if (str_copy(dst, size, BACK_CERTIFICATES) != 0)
			return ERR_LIMIT;
		at = strlen(dst);
	}
	for (size_t i = 0; i < sizeof(back_algorithms) / sizeof(back_algorithms[0]); i++) {
		if (!back_pinned_type(c, back_algorithms[i].type))
			continue;
		if (str_format(dst + at, size - at, "%s%s", at > 0 ? "," : "",
			back_algorithms[i].algorithms) != 0)
			return ERR_LIMIT;
		at += strlen(dst + at);
	}
	return at > 0 ? 0 : ERR_NOT_FOUND;
}
