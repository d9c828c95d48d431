/* Making what an SSH client, a CA or an attacker would send. */
#include "config.h"

#include <sys/wait.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/hash.h"
#include "lib/str.h"
#include "tests/lib/ssh_make.h"

#define MAKE_MAX (1u << 20)
#define APPLICATION "ssh:"

extern char **environ;

struct make_key {
	enum sshkey_type type;
	EVP_PKEY *pkey;
	uint8_t *fields; /* of the blob, behind the type name */
	size_t fields_len;
	uint8_t *blob;
	size_t blob_len;
};

#define MUST(call) assert((call) == 0)

static struct buf *
new_buf(void)
{
	struct buf *b = buf_new(MAKE_MAX);

	assert(b != NULL);
	return b;
}

static uint8_t *
take(struct buf *b, size_t *ret_len)
{
	uint8_t *p = malloc(buf_len(b) + 1);

	assert(p != NULL);
	memcpy(p, buf_ptr(b), buf_len(b));
	*ret_len = buf_len(b);
	buf_free(b);
	return p;
}

static void
put_mpint(struct buf *b, const BIGNUM *n)
{
	uint8_t bytes[2100];
	int len = BN_num_bytes(n);

	assert(len > 0 && (size_t)len < sizeof(bytes));
	bytes[0] = 0;
	BN_bn2bin(n, bytes + 1);
	if ((bytes[1] & 0x80) != 0)
		MUST(buf_put_str(b, bytes, (size_t)len + 1));
	else
		MUST(buf_put_str(b, bytes + 1, (size_t)len));
}

static const char *
curve_group(enum sshkey_type type)
{
	return type == SSHKEY_ECDSA_384 ? "P-384" : type == SSHKEY_ECDSA_521 ? "P-521" : "P-256";
}

static const char *
curve_name(enum sshkey_type type)
{
	return type == SSHKEY_ECDSA_384	  ? "nistp384"
	       : type == SSHKEY_ECDSA_521 ? "nistp521"
					  : "nistp256";
}

static int
is_ed25519(enum sshkey_type type)
{
	return type == SSHKEY_ED25519 || type == SSHKEY_SK_ED25519;
}

static int
is_sk(enum sshkey_type type)
{
	return type == SSHKEY_SK_ED25519 || type == SSHKEY_SK_ECDSA;
}

static void
put_fields(const struct make_key *k, struct buf *b)
{
	uint8_t point[160];
	size_t len = sizeof(point);
	BIGNUM *e = NULL, *n = NULL;

	if (is_ed25519(k->type)) {
		assert(EVP_PKEY_get_raw_public_key(k->pkey, point, &len) == 1);
		MUST(buf_put_str(b, point, len));
	} else if (k->type == SSHKEY_RSA) {
		assert(EVP_PKEY_get_bn_param(k->pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1);
		assert(EVP_PKEY_get_bn_param(k->pkey, OSSL_PKEY_PARAM_RSA_N, &n) == 1);
		put_mpint(b, e);
		put_mpint(b, n);
		BN_free(e);
		BN_free(n);
	} else {
		MUST(buf_put_cstr(b, curve_name(k->type)));
		assert(EVP_PKEY_get_octet_string_param(
			   k->pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len) == 1);
		MUST(buf_put_str(b, point, len));
	}
	if (is_sk(k->type))
		MUST(buf_put_cstr(b, APPLICATION));
}

struct make_key *
make_key_new(enum sshkey_type type, unsigned rsa_bits)
{
	struct make_key *k = calloc(1, sizeof(*k));
	struct buf *b = new_buf();

	assert(k != NULL);
	k->type = type;
	if (is_ed25519(type))
		k->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else if (type == SSHKEY_RSA)
		k->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)rsa_bits);
	else
		k->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve_group(type));
	assert(k->pkey != NULL);
	put_fields(k, b);
	k->fields = take(b, &k->fields_len);
	b = new_buf();
	MUST(buf_put_cstr(b, sshkey_type_name(type)));
	MUST(buf_put(b, k->fields, k->fields_len));
	k->blob = take(b, &k->blob_len);
	return k;
}

void
make_key_free(struct make_key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->pkey);
	free(k->fields);
	free(k->blob);
	free(k);
}

const uint8_t *
make_key_blob(const struct make_key *k, size_t *ret_len)
{
	*ret_len = k->blob_len;
	return k->blob;
}

char *
make_key_line(const struct make_key *k, const char *name)
{
	char *b64 = str_base64(k->blob, k->blob_len), *line = NULL;

	assert(b64 != NULL);
	assert(asprintf(&line, "%s %s%s%s", sshkey_type_name(k->type), b64,
		   name[0] != '\0' ? " " : "", name) > 0);
	free(b64);
	return line;
}

void
make_key_write(const struct make_key *k, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	assert(f != NULL);
	assert(PEM_write_PrivateKey(f, k->pkey, NULL, NULL, 0, NULL, NULL) == 1);
	assert(fclose(f) == 0);
}

static void
raw_sign(const struct make_key *k, const char *digest, const void *data, size_t len, struct buf *b)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sig[2100];
	size_t sig_len = sizeof(sig);

	assert(ctx != NULL);
	assert(EVP_DigestSignInit_ex(ctx, NULL, digest, NULL, NULL, k->pkey, NULL) == 1);
	assert(EVP_DigestSign(ctx, sig, &sig_len, data, len) == 1);
	EVP_MD_CTX_free(ctx);
	if (is_ed25519(k->type) || k->type == SSHKEY_RSA) {
		MUST(buf_put_str(b, sig, sig_len));
	} else {
		const uint8_t *p = sig;
		ECDSA_SIG *es = d2i_ECDSA_SIG(NULL, &p, (long)sig_len);
		struct buf *inner = new_buf();

		assert(es != NULL);
		put_mpint(inner, ECDSA_SIG_get0_r(es));
		put_mpint(inner, ECDSA_SIG_get0_s(es));
		MUST(buf_put_str(b, buf_ptr(inner), buf_len(inner)));
		buf_free(inner);
		ECDSA_SIG_free(es);
	}
}

static const char *
digest_of(const struct make_key *k, const char *name, const struct make_how *how)
{
	if (how->digest != NULL)
		return how->digest;
	if (k->type == SSHKEY_RSA)
		return strcmp(name, "rsa-sha2-256") == 0 ? "SHA256"
		       : strcmp(name, "ssh-rsa") == 0	 ? "SHA1"
							 : "SHA512";
	if (is_ed25519(k->type))
		return NULL;
	return k->type == SSHKEY_ECDSA_384   ? "SHA384"
	       : k->type == SSHKEY_ECDSA_521 ? "SHA512"
					     : "SHA256";
}

uint8_t *
make_sign(const struct make_key *k, const void *data, size_t len, const struct make_how *how,
    size_t *ret_len)
{
	static const struct make_how usual;
	const struct make_how *h = how != NULL ? how : &usual;
	const char *own = k->type == SSHKEY_RSA ? "rsa-sha2-512" : sshkey_type_name(k->type);
	const char *name = h->name != NULL ? h->name : own;
	uint8_t flags = (uint8_t)((0x01 & ~h->no_flags) | h->more_flags);
	uint8_t msg[HASH_LEN + 5 + HASH_LEN];
	struct buf *b = new_buf();

	MUST(buf_put_cstr(b, name));
	if (is_sk(k->type)) {
		hash_sha256(APPLICATION, strlen(APPLICATION), msg);
		msg[HASH_LEN] = flags;
		memcpy(msg + HASH_LEN + 1, "\0\0\0\7", 4);
		hash_sha256(data, len, msg + HASH_LEN + 5);
		raw_sign(k, digest_of(k, name, h), msg, sizeof(msg), b);
		MUST(buf_put_u8(b, flags));
		MUST(buf_put_u32(b, 7));
	} else {
		raw_sign(k, digest_of(k, name, h), data, len, b);
	}
	if (h->tail_len > 0)
		MUST(buf_put(b, h->tail, h->tail_len));
	return take(b, ret_len);
}

static void
put_field(struct buf *b, const struct buf *field)
{
	if (field != NULL)
		MUST(buf_put_str(b, buf_ptr(field), buf_len(field)));
	else
		MUST(buf_put_str(b, "", 0));
}

static void
put_principals(struct buf *b, const struct make_cert *c)
{
	struct buf *list = new_buf();

	for (size_t i = 0; i < c->n_principals; i++)
		MUST(buf_put_cstr(list, c->principals[i]));
	put_field(b, c->raw_principals != NULL ? c->raw_principals : list);
	buf_free(list);
}

static const char *
cert_type_name(enum sshkey_type type)
{
	static const char *const names[SSHKEY_N_TYPES] = {
		[SSHKEY_ED25519] = "ssh-ed25519-cert-v01@openssh.com",
		[SSHKEY_ECDSA_256] = "ecdsa-sha2-nistp256-cert-v01@openssh.com",
		[SSHKEY_ECDSA_384] = "ecdsa-sha2-nistp384-cert-v01@openssh.com",
		[SSHKEY_ECDSA_521] = "ecdsa-sha2-nistp521-cert-v01@openssh.com",
		[SSHKEY_RSA] = "ssh-rsa-cert-v01@openssh.com",
		[SSHKEY_SK_ED25519] = "sk-ssh-ed25519-cert-v01@openssh.com",
		[SSHKEY_SK_ECDSA] = "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
	};

	return names[type];
}

uint8_t *
make_cert(const struct make_cert *c, size_t *ret_len)
{
	struct buf *b = new_buf();
	const char *key_id = c->key_id != NULL ? c->key_id : "test";
	size_t sig_len;
	uint8_t *sig;

	MUST(buf_put_cstr(b, c->type_name != NULL ? c->type_name : cert_type_name(c->key->type)));
	MUST(buf_put_cstr(b, "a nonce that is not one"));
	MUST(buf_put(b, c->key->fields, c->key->fields_len));
	MUST(buf_put_u64(b, c->serial));
	MUST(buf_put_u32(b, c->type));
	MUST(buf_put_str(b, key_id, c->key_id_len != 0 ? c->key_id_len : strlen(key_id)));
	put_principals(b, c);
	MUST(buf_put_u64(b, c->after));
	MUST(buf_put_u64(b, c->before));
	put_field(b, c->critical);
	put_field(b, c->extensions);
	MUST(buf_put_str(b, "", 0));
	if (c->ca_blob != NULL)
		put_field(b, c->ca_blob);
	else
		MUST(buf_put_str(b, c->ca->blob, c->ca->blob_len));
	sig = make_sign(c->ca, buf_ptr(b), buf_len(b), &c->how, &sig_len);
	MUST(buf_put_str(b, sig, sig_len));
	free(sig);
	if (c->tail_len > 0)
		MUST(buf_put(b, c->tail, c->tail_len));
	return take(b, ret_len);
}

void
make_option_raw(struct buf *b, const char *name, const void *data, size_t len)
{
	MUST(buf_put_cstr(b, name));
	MUST(buf_put_str(b, data, len));
}

void
make_option(struct buf *b, const char *name, const char *data)
{
	struct buf *inner = new_buf();

	if (data != NULL)
		MUST(buf_put_cstr(inner, data));
	make_option_raw(b, name, buf_ptr(inner), buf_len(inner));
	buf_free(inner);
}

uint8_t *
make_request(const struct make_request *q, size_t *ret_len)
{
	struct buf *b = new_buf(), *tbs;
	size_t sig_len;
	uint8_t *sig;

	MUST(buf_put_u8(b, 50));
	MUST(buf_put_str(b, q->user, q->user_len != 0 ? q->user_len : strlen(q->user)));
	MUST(buf_put_cstr(b, q->service != NULL ? q->service : "ssh-connection"));
	MUST(buf_put_cstr(b, q->method != NULL ? q->method : "publickey"));
	if (q->method != NULL && strcmp(q->method, "publickey") != 0)
		return take(b, ret_len);
	MUST(buf_put_u8(b, q->key != NULL ? 1 : 0));
	MUST(buf_put_cstr(b, q->alg));
	MUST(buf_put_str(b, q->blob, q->blob_len));
	if (q->key == NULL)
		return take(b, ret_len);
	tbs = new_buf();
	MUST(buf_put_str(tbs, q->sid, q->sid_len));
	MUST(buf_put(tbs, buf_ptr(b), buf_len(b)));
	sig = make_sign(q->key, buf_ptr(tbs), buf_len(tbs), &q->how, &sig_len);
	MUST(buf_put_str(b, sig, sig_len));
	free(sig);
	buf_free(tbs);
	return take(b, ret_len);
}

int
make_run(const char *const *argv)
{
	posix_spawn_file_actions_t fa;
	int status = -1;
	pid_t pid;

	assert(posix_spawn_file_actions_init(&fa) == 0);
	assert(posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0) == 0);
	assert(posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0) == 0);
	assert(posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0) == 0);
	if (posix_spawnp(&pid, argv[0], &fa, NULL, (char *const *)(uintptr_t)argv, environ) != 0)
		pid = -1;
	posix_spawn_file_actions_destroy(&fa);
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		assert(errno == EINTR);
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
