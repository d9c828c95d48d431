/* The transport, as small as it can be. */
#include "config.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <poll.h>
#include <sodium.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "tests/hostile/rawssh.h"

#define RAW_VERSION "SSH-2.0-raw_test"
#define KEXINIT 20u
#define NEWKEYS 21u
#define ECDH_INIT 30u
#define ECDH_REPLY 31u
#define WAIT_MS 20000
#define TAG 16u

int
rawssh_connect(struct rawssh *s, const char *source, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) }, from = to;
	int on = 1;

	*s = (struct rawssh){ .packet = buf_new(RAWSSH_MAX) };
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	from.sin_port = 0;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->packet == NULL || s->fd < 0 || inet_pton(AF_INET, source, &from.sin_addr) != 1 ||
	    bind(s->fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
	    connect(s->fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
	    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
		return -errno;
	return 0;
}

void
rawssh_close(struct rawssh *s)
{
	fd_close(&s->fd);
	buf_free(s->packet);
	s->packet = NULL;
}

static int
write_all(int fd, const uint8_t *p, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EPIPE || errno == ECONNRESET ? ERR_PEER_GONE : -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
read_all(int fd, uint8_t *p, size_t len, int ms)
{
	uint64_t until = clock_boot_ns() + (uint64_t)(unsigned)ms * CLOCK_NS_PER_MS;

	while (len > 0) {
		int r = fd_wait(fd, POLLIN, until);
		ssize_t n;

		if (r != 0)
			return r;
		n = recv(fd, p, len, 0);
		if (n <= 0)
			return ERR_PEER_GONE;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static void
next_iv(uint8_t iv[12])
{
	for (int i = 11; i >= 4 && ++iv[i] == 0; i--)
		;
}

/* RFC 5647 as OpenSSH does it: the length in clear, authenticated; then the rest and a tag. In place. */
static int
gcm(struct rawssh_way *way, bool seal, uint8_t *packet, size_t len)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t *body = packet + 4, *tag = body + len;
	int n, r = ERR_CRYPTO;

	if (c == NULL ||
	    EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, way->key, way->iv, seal) != 1 ||
	    EVP_CipherUpdate(c, NULL, &n, packet, 4) != 1 ||
	    EVP_CipherUpdate(c, body, &n, body, (int)len) != 1)
		goto out;
	if (!seal && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, tag) != 1)
		goto out;
	if (EVP_CipherFinal_ex(c, body + len, &n) != 1)
		goto out;
	if (seal && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, tag) != 1)
		goto out;
	next_iv(way->iv);
	r = 0;
out:
	EVP_CIPHER_CTX_free(c);
	return r;
}

static void
put_u32(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static size_t
get_u32(const uint8_t *p)
{
	return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

int
rawssh_send(struct rawssh *s, const void *payload, size_t len)
{
	static uint8_t packet[RAWSSH_MAX];
	/* The length counts for the padding only while nothing is encrypted (RFC 4253 section 6, RFC 5647 section 7.2). */
	size_t head = s->out.on ? 1 : 5, block = s->out.on ? 16 : 8;
	size_t pad = block - (head + len) % block, body;
	int r = 0;

	pad += pad < 4 ? block : 0;
	body = 1 + len + pad;
	if (body + 4 + TAG > sizeof(packet))
		return ERR_LIMIT;
	put_u32(packet, body);
	packet[4] = (uint8_t)pad;
	memcpy(packet + 5, payload, len);
	memset(packet + 5 + len, 0, pad);
	if (s->out.on)
		r = gcm(&s->out, true, packet, body);
	return r != 0 ? r : write_all(s->fd, packet, 4 + body + (s->out.on ? TAG : 0));
}

int
rawssh_recv(struct rawssh *s, int ms)
{
	size_t tag = s->in.on ? TAG : 0, body;
	uint8_t head[4], *p;
	int r;

	if ((r = read_all(s->fd, head, 4, ms)) != 0)
		return r;
	body = get_u32(head);
	if (body < 5 || body > RAWSSH_MAX - 4 - TAG)
		return ERR_FORMAT;
	buf_reset(s->packet);
	if ((r = buf_reserve(s->packet, 4 + body + tag, &p)) != 0)
		return r;
	memcpy(p, head, 4);
	if ((r = read_all(s->fd, p + 4, body + tag, WAIT_MS)) != 0 ||
	    (s->in.on && (r = gcm(&s->in, false, p, body)) != 0))
		return r;
	if ((size_t)p[4] + 2 > body)
		return ERR_FORMAT;
	s->payload = p + 5;
	s->payload_len = body - 1 - p[4];
	return 0;
}

/* ---- key exchange */

static int
read_version(struct rawssh *s, char *line, size_t size)
{
	size_t n = 0;
	int r;

	for (;;) {
		if ((r = read_all(s->fd, (uint8_t *)line + n, 1, WAIT_MS)) != 0)
			return r;
		if (line[n] == '\n' && n >= 4 && memcmp(line, "SSH-", 4) == 0)
			break;
		n = line[n] == '\n' || n + 2 >= size ? 0 : n + 1;
	}
	while (n > 0 && (line[n] == '\n' || line[n] == '\r'))
		line[n--] = '\0';
	return 0;
}

static int
put_kexinit(struct buf *b)
{
	static const char *const lists[] = { "curve25519-sha256", "ssh-ed25519",
		"aes256-gcm@openssh.com", "aes256-gcm@openssh.com", "hmac-sha2-256-etm@openssh.com",
		"hmac-sha2-256-etm@openssh.com", "none", "none", "", "" };
	uint8_t cookie[16];
	int r = buf_put_u8(b, KEXINIT);

	randombytes_buf(cookie, sizeof(cookie));
	if (r == 0)
		r = buf_put(b, cookie, sizeof(cookie));
	for (size_t i = 0; r == 0 && i < sizeof(lists) / sizeof(lists[0]); i++)
		r = buf_put_cstr(b, lists[i]);
	if (r == 0)
		r = buf_put_u8(b, 0);
	return r == 0 ? buf_put_u32(b, 0) : r;
}

/* An unsigned number as mpint (RFC 4251 section 5). */
static int
put_mpint(struct buf *b, const uint8_t *p, size_t len)
{
	bool sign;
	int r;

	for (; len > 0 && p[0] == 0; len--)
		p++;
	sign = len > 0 && (p[0] & 0x80) != 0;
	if ((r = buf_put_u32(b, (uint32_t)(len + sign))) != 0 ||
	    (sign && (r = buf_put_u8(b, 0)) != 0))
		return r;
	return buf_put(b, p, len);
}

/* RFC 4253 section 7.2, as much as one hash gives. */
static int
derive(const struct rawssh *s, const uint8_t secret[32], char letter, uint8_t *ret, size_t len)
{
	uint8_t hash[32];
	struct buf *b = buf_new(256);
	int r = -ENOMEM;

	if (b != NULL && (r = put_mpint(b, secret, 32)) == 0 &&
	    (r = buf_put(b, s->sid, sizeof(s->sid))) == 0 &&
	    (r = buf_put_u8(b, (uint8_t)letter)) == 0 &&
	    (r = buf_put(b, s->sid, sizeof(s->sid))) == 0) {
		crypto_hash_sha256(hash, buf_ptr(b), buf_len(b));
		memcpy(ret, hash, len);
	}
	buf_free(b);
	return r;
}

static int
wait_type(struct rawssh *s, uint8_t type)
{
	int r;

	do
		r = rawssh_recv(s, WAIT_MS);
	while (r == 0 && s->payload[0] != type);
	return r;
}

/* ECDH_REPLY: append what of it goes into the exchange hash. */
static int
take_reply(struct rawssh *s, const uint8_t mine[32], const uint8_t pub[32], uint8_t secret[32],
    struct buf *h)
{
	struct buf *b = buf_view(s->payload + 1, s->payload_len - 1);
	const uint8_t *key, *theirs;
	size_t key_len, theirs_len;
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_str(b, &key, &key_len)) == 0 &&
	    (r = buf_get_str(b, &theirs, &theirs_len)) == 0 &&
	    (r = theirs_len == 32 && crypto_scalarmult(secret, mine, theirs) == 0
		     ? 0
		     : ERR_CRYPTO) == 0 &&
	    (r = buf_put_str(h, key, key_len)) == 0 && (r = buf_put_str(h, pub, 32)) == 0 &&
	    (r = buf_put_str(h, theirs, 32)) == 0)
		r = put_mpint(h, secret, 32);
	buf_free(b);
	return r;
}

static int
agree(struct rawssh *s, struct buf *h, uint8_t secret[32])
{
	uint8_t mine[32], pub[32], init[37] = { ECDH_INIT, 0, 0, 0, 32 };
	int r;

	randombytes_buf(mine, sizeof(mine));
	if (crypto_scalarmult_base(pub, mine) != 0)
		return ERR_CRYPTO;
	memcpy(init + 5, pub, sizeof(pub));
	if ((r = rawssh_send(s, init, sizeof(init))) != 0 || (r = wait_type(s, ECDH_REPLY)) != 0)
		return r;
	r = take_reply(s, mine, pub, secret, h);
	if (r == 0)
		crypto_hash_sha256(s->sid, buf_ptr(h), buf_len(h));
	return r;
}

static int
use_keys(struct rawssh *s, const uint8_t secret[32])
{
	static const uint8_t newkeys = NEWKEYS;
	int r;

	if ((r = derive(s, secret, 'A', s->out.iv, sizeof(s->out.iv))) != 0 ||
	    (r = derive(s, secret, 'B', s->in.iv, sizeof(s->in.iv))) != 0 ||
	    (r = derive(s, secret, 'C', s->out.key, sizeof(s->out.key))) != 0 ||
	    (r = derive(s, secret, 'D', s->in.key, sizeof(s->in.key))) != 0 ||
	    (r = rawssh_send(s, &newkeys, 1)) != 0 || (r = wait_type(s, NEWKEYS)) != 0)
		return r;
	s->out.on = s->in.on = true;
	return 0;
}

int
rawssh_exchange(struct rawssh *s, const struct buf *early)
{
	struct buf *h = buf_new(16384), *mine = buf_new(4096);
	uint8_t secret[32];
	char version[256];
	int r = -ENOMEM;

	if (h == NULL || mine == NULL || (r = put_kexinit(mine)) != 0 ||
	    (r = write_all(s->fd, (const uint8_t *)RAW_VERSION "\r\n", sizeof(RAW_VERSION) + 1)) !=
		0 ||
	    (r = read_version(s, version, sizeof(version))) != 0 ||
	    (r = rawssh_send(s, buf_ptr(mine), buf_len(mine))) != 0 ||
	    (early != NULL && (r = rawssh_send(s, buf_ptr(early), buf_len(early))) != 0) ||
	    (r = wait_type(s, KEXINIT)) != 0 || (r = buf_put_cstr(h, RAW_VERSION)) != 0 ||
	    (r = buf_put_cstr(h, version)) != 0 ||
	    (r = buf_put_str(h, buf_ptr(mine), buf_len(mine))) != 0 ||
	    (r = buf_put_str(h, s->payload, s->payload_len)) != 0)
		goto out;
	if ((r = agree(s, h, secret)) == 0)
		r = use_keys(s, secret);
out:
	buf_free(h);
	buf_free(mine);
	return r;
}
