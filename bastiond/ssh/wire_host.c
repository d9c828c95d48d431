/*
 * Host keys as a client sees them: which algorithms may be asked for, which one is agreed on, and whether what the
 * target sends is exactly of that kind. libssh verifies the signature; it does not compare kinds.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/ssh/wire_priv.h"
#include "lib/buf.h"
#include "lib/str.h"

#define CERT "-cert-v01@openssh.com"
#define N_LISTS 10 /* name-lists of a KEXINIT, RFC 4253 section 7.1 */
#define LIST_KEX 0
#define LIST_HOST_KEY 1

/* RFC 4253 section 6.6, RFC 5656, RFC 8332, RFC 8709, and OpenSSH's PROTOCOL.certkeys. No SHA-1, no DSA. */
static const struct {
	const char *name, *key, *sig;
} algs[] = {
	{ "ssh-ed25519" CERT, "ssh-ed25519" CERT, "ssh-ed25519" },
	{ "ecdsa-sha2-nistp256" CERT, "ecdsa-sha2-nistp256" CERT, "ecdsa-sha2-nistp256" },
	{ "ecdsa-sha2-nistp384" CERT, "ecdsa-sha2-nistp384" CERT, "ecdsa-sha2-nistp384" },
	{ "ecdsa-sha2-nistp521" CERT, "ecdsa-sha2-nistp521" CERT, "ecdsa-sha2-nistp521" },
	{ "rsa-sha2-512" CERT, "ssh-rsa" CERT, "rsa-sha2-512" },
	{ "rsa-sha2-256" CERT, "ssh-rsa" CERT, "rsa-sha2-256" },
	{ "ssh-ed25519", "ssh-ed25519", "ssh-ed25519" },
	{ "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256" },
	{ "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384" },
	{ "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521" },
	{ "rsa-sha2-512", "ssh-rsa", "rsa-sha2-512" },
	{ "rsa-sha2-256", "ssh-rsa", "rsa-sha2-256" },
};
#define N_ALGS (sizeof(algs) / sizeof(algs[0]))

const char wire_host_default[] = "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,"
				 "ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256";

const char wire_host_plain_only[] = "ssh-ed25519";
const char wire_host_with_cert[] = "ssh-ed25519" CERT ",ssh-ed25519";

/* The next name of a comma-separated list. false at its end. */
static bool
next_name(const char **list, size_t *left, const char **ret, size_t *ret_len)
{
	const char *comma;

	if (*left == 0)
		return false;
	comma = memchr(*list, ',', *left);
	*ret = *list;
	*ret_len = comma == NULL ? *left : (size_t)(comma - *list);
	*list += *ret_len + (comma != NULL);
	*left -= *ret_len + (comma != NULL);
	return true;
}

bool
wire_list_has(const char *list, size_t list_len, const char *name, size_t len)
{
	const char *p;
	size_t n;

	while (next_name(&list, &list_len, &p, &n))
		if (n == len && memcmp(p, name, n) == 0)
			return true;
	return false;
}

static size_t
find_alg(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < N_ALGS; i++)
		if (strlen(algs[i].name) == len && memcmp(algs[i].name, name, len) == 0)
			break;
	return i;
}

char *
wire_host_plain(const char *list)
{
	size_t left = strlen(list), len, i = 0;
	struct buf *plain = buf_new(left + 2);
	const char *name, *had;
	char *ret = NULL;
	/* A list ends with a name. */
	int r = plain == NULL || left == 0 || list[left - 1] == ',' ? ERR_FORMAT : 0;

	while (r == 0 && next_name(&list, &left, &name, &len)) {
		i = find_alg(name, len);
		if (i == N_ALGS) {
			r = ERR_FORMAT;
			break;
		}
		had = (const char *)buf_ptr(plain);
		if (wire_list_has(had, buf_len(plain), algs[i].sig, strlen(algs[i].sig)))
			continue;
		if (buf_len(plain) > 0)
			r = buf_put_u8(plain, ',');
		if (r == 0)
			r = buf_put(plain, algs[i].sig, strlen(algs[i].sig));
	}
	if (r == 0)
		ret = strndup((const char *)buf_ptr(plain), buf_len(plain));
	buf_free(plain);
	return ret;
}

/* RFC 4253 section 7.1: the first name of the client's list that the server has too. */
static void
agree(struct wire *w, const char *theirs, size_t theirs_len)
{
	const char *mine = w->host_algs, *first, *second, *name;
	size_t first_len, second_len, n;

	if (w->role == WIRE_SERVER)
		mine = w->host_cert.len > 0 ? wire_host_with_cert : wire_host_plain_only;
	first = w->role == WIRE_CLIENT ? mine : theirs;
	first_len = w->role == WIRE_CLIENT ? strlen(mine) : theirs_len;
	second = w->role == WIRE_CLIENT ? theirs : mine;
	second_len = w->role == WIRE_CLIENT ? theirs_len : strlen(mine);
	w->host_alg[0] = '\0';
	while (next_name(&first, &first_len, &name, &n))
		if (n < sizeof(w->host_alg) && wire_list_has(second, second_len, name, n)) {
			memcpy(w->host_alg, name, n);
			w->host_alg[n] = '\0';
			break;
		}
}

int
wire_host_kexinit(struct wire *w, const uint8_t *msg, size_t len)
{
	const char *marker = w->role == WIRE_CLIENT ? "kex-strict-s-v00@openssh.com"
						    : "kex-strict-c-v00@openssh.com";
	size_t i, list_len[N_LISTS];
	const uint8_t *list[N_LISTS];
	struct buf *b = buf_view(msg, len);
	int r = b == NULL ? -ENOMEM : buf_skip(b, 1 + 16);

	for (i = 0; r == 0 && i < N_LISTS; i++)
		r = buf_get_str(b, &list[i], &list_len[i]);
	buf_free(b);
	if (r != 0)
		return r;
	/* The marker counts in the first key exchange only; libssh keeps it too. */
	if (w->state == WIRE_KEX)
		w->strict = wire_list_has(
		    (const char *)list[LIST_KEX], list_len[LIST_KEX], marker, strlen(marker));
	agree(w, (const char *)list[LIST_HOST_KEY], list_len[LIST_HOST_KEY]);
	return 0;
}

void
wire_blob_free(struct wire_blob *blob)
{
	free(blob->p);
	*blob = (struct wire_blob){ 0 };
}

int
wire_blob_set(struct wire_blob *blob, const uint8_t *p, size_t len)
{
	uint8_t *copy = malloc(len + 1);

	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, p, len);
	wire_blob_free(blob);
	blob->p = copy;
	blob->len = len;
	return 0;
}

int
wire_host_reply(struct wire *w, const uint8_t *msg, size_t len)
{
	const uint8_t *key, *share, *sig;
	size_t key_len, share_len, sig_len;
	struct buf *b = buf_view(msg, len);
	int r = b == NULL ? -ENOMEM : buf_skip(b, 1);

	if (r == 0)
		r = buf_get_str(b, &key, &key_len);
	if (r == 0)
		r = buf_get_str(b, &share, &share_len);
	if (r == 0)
		r = buf_get_str(b, &sig, &sig_len);
	if (r == 0)
		r = buf_end(b);
	if (r == 0)
		r = wire_blob_set(&w->proof_key, key, key_len);
	if (r == 0)
		r = wire_blob_set(&w->proof_sig, sig, sig_len);
	buf_free(b);
	return r;
}

/* Does the blob begin with this name? one_string: exactly one string must follow, and nothing else. */
static bool
blob_is(const struct wire_blob *blob, const char *name, bool one_string)
{
	struct buf *b = buf_view(blob->p, blob->len);
	const uint8_t *p;
	size_t n;
	bool is;

	if (b == NULL)
		return false;
	is = buf_get_str(b, &p, &n) == 0 && n == strlen(name) && memcmp(p, name, n) == 0;
	if (is && one_string)
		is = buf_get_str(b, &p, &n) == 0 && buf_end(b) == 0;
	buf_free(b);
	return is;
}

/* The owner accepted this key in the first key exchange; in later ones it must be the same. */
static int
same_key(struct wire *w)
{
	if (w->first_key.len == w->proof_key.len &&
	    memcmp(w->first_key.p, w->proof_key.p, w->first_key.len) == 0)
		return 0;
	wire_fail(w, ERR_SIGNATURE, "the target changed its host key in a key exchange");
	return ERR_SIGNATURE;
}

int
wire_host_verify(struct wire *w, const uint8_t *hash, size_t len)
{
	size_t i = find_alg(w->host_alg, strlen(w->host_alg));
	int r;

	if (i == N_ALGS || w->proof_key.p == NULL || !blob_is(&w->proof_key, algs[i].key, false) ||
	    !blob_is(&w->proof_sig, algs[i].sig, true)) {
		wire_fail(w, ERR_SIGNATURE, "the host key is not of the kind that was agreed on");
		return ERR_SIGNATURE;
	}
	if (w->first_key.p != NULL)
		return same_key(w);
	w->signing = true;
	r = w->ops->host_proof(
	    w->arg, hash, len, w->proof_key.p, w->proof_key.len, w->proof_sig.p, w->proof_sig.len);
	w->signing = false;
	if (r != 0) {
		wire_fail(w, r, "the host key was refused");
		return r;
	}
	return wire_blob_set(&w->first_key, w->proof_key.p, w->proof_key.len);
}
