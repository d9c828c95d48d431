/*
 * Reading private key files. The text and everything decoded from it stays in struct secret; a struct buf only looks at it.
 * OpenSSH's own encryption (bcrypt_pbkdf) is in none of our libraries: such files are refused with what to do.
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "keys/keys_crypto.h"
#include "keys/keys_import.h"
#include "lib/buf.h"

static const char openssh_begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
static const char openssh_end[] = "-----END OPENSSH PRIVATE KEY-----";
static const char openssh_magic[] = "openssh-key-v1"; /* with the NUL behind it */

int
keys_import_read(int fd, struct secret **ret_text)
{
	struct secret *text;
	struct stat st;
	size_t at = 0, len;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0)
		return ERR_FORMAT;
	if ((uint64_t)st.st_size > KEYS_IMPORT_MAX)
		return ERR_LIMIT;
	len = (size_t)st.st_size;
	text = secret_new(len);
	if (text == NULL)
		return -ENOMEM;
	while (at < len) {
		ssize_t n = pread(fd, secret_ptr(text) + at, len - at, (off_t)at);

		if (n > 0) {
			at += (size_t)n;
		} else if (n == 0 || errno != EINTR) {
			int r = n == 0 ? ERR_FORMAT : -errno;

			secret_free(text);
			return r;
		}
	}
	*ret_text = text;
	return 0;
}

/* The base64 between the two lines, decoded. 0; ERR_NOT_FOUND no such lines; ERR_FORMAT; -ENOMEM. */
static int
unarmour(const struct secret *text, struct secret **ret_blob)
{
	const char *p = (const char *)secret_cptr(text), *begin, *end;
	size_t len = secret_len(text), got = 0;
	struct secret *blob, *exact = NULL;
	int r = ERR_FORMAT;

	begin = memmem(p, len, openssh_begin, sizeof(openssh_begin) - 1);
	if (begin == NULL)
		return ERR_NOT_FOUND;
	begin += sizeof(openssh_begin) - 1;
	end = memmem(begin, len - (size_t)(begin - p), openssh_end, sizeof(openssh_end) - 1);
	if (end == NULL)
		return ERR_FORMAT;
	blob = secret_new((size_t)(end - begin) + 1);
	if (blob == NULL)
		return -ENOMEM;
	if (sodium_base642bin(secret_ptr(blob), secret_len(blob), begin, (size_t)(end - begin),
		"\r\n", &got, NULL, sodium_base64_VARIANT_ORIGINAL) == 0) {
		exact = secret_new(got);
		r = exact == NULL ? -ENOMEM : 0;
	}
	if (r == 0) {
		memcpy(secret_ptr(exact), secret_cptr(blob), got);
		*ret_blob = exact;
	}
	secret_free(blob);
	return r;
}

static int
get_number(struct buf *b, struct keys_number *ret_n)
{
	return buf_get_str(b, &ret_n->data, &ret_n->len);
}

static int
read_ed25519(struct buf *b, struct secret **ret_private)
{
	uint8_t pk[crypto_sign_PUBLICKEYBYTES];
	const uint8_t *pub, *priv;
	struct secret *sk;
	size_t pub_len, priv_len;
	int r;

	if ((r = buf_get_str(b, &pub, &pub_len)) != 0 ||
	    (r = buf_get_str(b, &priv, &priv_len)) != 0)
		return r;
	if (pub_len != sizeof(pk) || priv_len != crypto_sign_SECRETKEYBYTES)
		return ERR_FORMAT;
	sk = secret_new(crypto_sign_SECRETKEYBYTES);
	if (sk == NULL)
		return -ENOMEM;
	/* The public half is made anew from the seed: a file with another one would give the seed away by signing. */
	if (crypto_sign_seed_keypair(pk, secret_ptr(sk), priv) != 0 ||
	    memcmp(pk, pub, sizeof(pk)) != 0 ||
	    sodium_memcmp(secret_cptr(sk), priv, priv_len) != 0) {
		secret_free(sk);
		return ERR_FORMAT;
	}
	*ret_private = sk;
	return 0;
}

static int
read_ecdsa(struct buf *b, enum sshkey_type type, struct secret **ret_private)
{
	const char *want = sshkey_type_name(type) + strlen("ecdsa-sha2-");
	struct keys_number point, scalar;
	const uint8_t *curve;
	size_t curve_len;
	int r;

	if ((r = buf_get_str(b, &curve, &curve_len)) != 0 || (r = get_number(b, &point)) != 0 ||
	    (r = get_number(b, &scalar)) != 0)
		return r;
	if (curve_len != strlen(want) || memcmp(curve, want, curve_len) != 0)
		return ERR_FORMAT;
	return keys_crypto_from_scalar(type, scalar, point, ret_private);
}

static int
read_rsa(struct buf *b, struct secret **ret_private)
{
	struct keys_number numbers[6];
	int r = 0;

	for (size_t i = 0; r == 0 && i < 6; i++)
		r = get_number(b, &numbers[i]);
	return r != 0 ? r : keys_crypto_from_rsa(numbers, ret_private);
}

static int
read_private(struct buf *b, enum sshkey_type *ret_type, struct secret **ret_private)
{
	const uint8_t *name;
	size_t len;
	int r;

	if ((r = buf_get_str(b, &name, &len)) != 0)
		return r;
	if (sshkey_type_find(name, len, ret_type) != 0 || *ret_type == SSHKEY_SK_ED25519 ||
	    *ret_type == SSHKEY_SK_ECDSA)
		return ERR_VERSION;
	if (*ret_type == SSHKEY_ED25519)
		return read_ed25519(b, ret_private);
	return *ret_type == SSHKEY_RSA ? read_rsa(b, ret_private)
				       : read_ecdsa(b, *ret_type, ret_private);
}

/* The comment, then 1, 2, 3, ... up to the end (OpenSSH PROTOCOL.key). */
static int
read_tail(struct buf *b)
{
	const uint8_t *comment;
	uint8_t pad;
	size_t len;
	int r;

	if ((r = buf_get_str(b, &comment, &len)) != 0)
		return r;
	for (uint8_t i = 1; buf_len(b) > 0; i++)
		if ((r = buf_get_u8(b, &pad)) != 0 || pad != i)
			return ERR_FORMAT;
	return 0;
}

/* The public half in the clear part must be that of the private one. */
static int
same_public(enum sshkey_type type, const struct secret *private, const uint8_t *pub, size_t pub_len)
{
	struct buf *blob = buf_new(SSHKEY_BLOB_MAX);
	int r = -ENOMEM;

	if (blob != NULL && (r = keys_crypto_public(type, private, blob)) == 0 &&
	    (buf_len(blob) != pub_len || memcmp(buf_ptr(blob), pub, pub_len) != 0))
		r = ERR_FORMAT;
	buf_free(blob);
	return r;
}

static int
read_section(const uint8_t *data, size_t len, const uint8_t *pub, size_t pub_len,
    enum sshkey_type *ret_type, struct secret **ret_private)
{
	struct buf *b = buf_view(data, len);
	struct secret *private = NULL;
	uint32_t check[2];
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_u32(b, &check[0])) != 0 || (r = buf_get_u32(b, &check[1])) != 0)
		goto out;
	r = check[0] == check[1] ? 0 : ERR_FORMAT;
	if (r != 0 || (r = read_private(b, ret_type, &private)) != 0 || (r = read_tail(b)) != 0 ||
	    (r = same_public(*ret_type, private, pub, pub_len)) != 0)
		goto out;
	*ret_private = private;
	private = NULL;
out:
	secret_free(private);
	buf_free(b);
	return r;
}

static bool
is_none(const uint8_t *s, size_t len)
{
	return len == 4 && memcmp(s, "none", 4) == 0;
}

static int
read_openssh(const struct secret *blob, enum sshkey_type *ret_type, struct secret **ret_private)
{
	struct buf *b = buf_view(secret_cptr(blob), secret_len(blob));
	const uint8_t *magic, *cipher, *kdf, *options, *pub, *private;
	size_t cipher_len, kdf_len, options_len, pub_len, private_len;
	uint32_t n;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_ptr(b, sizeof(openssh_magic), &magic)) != 0 ||
	    (r = buf_get_str(b, &cipher, &cipher_len)) != 0 ||
	    (r = buf_get_str(b, &kdf, &kdf_len)) != 0 ||
	    (r = buf_get_str(b, &options, &options_len)) != 0 || (r = buf_get_u32(b, &n)) != 0)
		goto out;
	r = memcmp(magic, openssh_magic, sizeof(openssh_magic)) != 0 || n != 1 ? ERR_FORMAT : 0;
	if (r == 0 && (!is_none(cipher, cipher_len) || !is_none(kdf, kdf_len)))
		r = ERR_DENIED;
	if (r != 0 || (r = buf_get_str(b, &pub, &pub_len)) != 0 ||
	    (r = buf_get_str(b, &private, &private_len)) != 0 || (r = buf_end(b)) != 0)
		goto out;
	r = read_section(private, private_len, pub, pub_len, ret_type, ret_private);
out:
	buf_free(b);
	return r;
}

/* What a person can do about each way to fail. */
static const struct {
	int err;
	const char *openssh, *pem;
} advice[] = {
	{ ERR_FORMAT, "damaged OpenSSH private key file",
	    "not a private key file in OpenSSH or PEM form" },
	{ ERR_DENIED,
	    "encrypted by OpenSSH: take the passphrase off a copy with ssh-keygen -p -f COPY, "
	    "import that, and remove it",
	    "encrypted, and the passphrase is missing or wrong" },
	{ ERR_VERSION, "a kind of key that cannot live in the vault (use ed25519, ecdsa or rsa)",
	    "a kind of key that cannot live in the vault (use ed25519, ecdsa or rsa)" },
	{ ERR_LIMIT, "an RSA key of that size is not taken (2048 to 8192 bits)",
	    "an RSA key of that size is not taken (2048 to 8192 bits)" },
	{ -ENOMEM, "out of (lockable) memory", "out of (lockable) memory" },
};

static const char *
find_advice(int err, bool openssh)
{
	for (size_t i = 0; i < sizeof(advice) / sizeof(advice[0]); i++)
		if (advice[i].err == err)
			return openssh ? advice[i].openssh : advice[i].pem;
	return err_str(err);
}

int
keys_import_parse(const struct secret *text, const struct secret *passphrase,
    enum sshkey_type *ret_type, struct secret **ret_private, const char **ret_why)
{
	enum sshkey_type type = SSHKEY_ED25519;
	struct secret *blob = NULL;
	int r = unarmour(text, &blob);
	bool openssh = r != ERR_NOT_FOUND;

	if (r == 0)
		r = read_openssh(blob, &type, ret_private);
	else if (!openssh)
		r = keys_crypto_from_pem(text, passphrase, &type, ret_private);
	secret_free(blob);
	if (r == 0)
		*ret_type = type;
	else
		*ret_why = find_advice(r, openssh);
	return r;
}
