/* SHA-256 on a context that is fetched once: EVP looks algorithms up by name otherwise, which costs more than a short hash. */
#include "config.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"
#include "lib/log.h"

struct hash {
	EVP_MD_CTX *ctx;
};

static EVP_MD *hash_md;
static EVP_MD_CTX *hash_once;

/* A wrong hash would be worse than no process: chains and logins are built on it. */
static void
hash_check(int ok)
{
	if (ok != 1) {
		log_err("hash.failed what=sha256 do=\"check the OpenSSL installation\"");
		abort();
	}
}

int
hash_init(void)
{
	if (hash_md == NULL && (hash_md = EVP_MD_fetch(NULL, "SHA256", NULL)) == NULL)
		return ERR_CRYPTO;
	if (hash_once == NULL && (hash_once = EVP_MD_CTX_new()) == NULL)
		return ERR_CRYPTO;
	return 0;
}

void
hash_sha256_parts(const void *a, size_t a_len, const void *b, size_t b_len, const void *c,
    size_t c_len, uint8_t ret_hash[HASH_LEN])
{
	if (hash_once == NULL)
		hash_check(hash_init() == 0);
	hash_check(EVP_DigestInit_ex2(hash_once, hash_md, NULL));
	if (a_len > 0)
		hash_check(EVP_DigestUpdate(hash_once, a, a_len));
	if (b_len > 0)
		hash_check(EVP_DigestUpdate(hash_once, b, b_len));
	if (c_len > 0)
		hash_check(EVP_DigestUpdate(hash_once, c, c_len));
	hash_check(EVP_DigestFinal_ex(hash_once, ret_hash, NULL));
}

void
hash_sha256(const void *data, size_t len, uint8_t ret_hash[HASH_LEN])
{
	hash_sha256_parts(data, len, NULL, 0, NULL, 0, ret_hash);
}

void
hash_sha1(const void *data, size_t len, uint8_t ret_hash[HASH_SHA1_LEN])
{
	unsigned n = 0;

	hash_check(
	    EVP_Digest(data, len, ret_hash, &n, EVP_sha1(), NULL) == 1 && n == HASH_SHA1_LEN);
}

struct hash *
hash_new(void)
{
	struct hash *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	if (hash_init() != 0 || (h->ctx = EVP_MD_CTX_new()) == NULL) {
		free(h);
		return NULL;
	}
	hash_begin(h);
	return h;
}

void
hash_free(struct hash *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

void
hash_begin(struct hash *h)
{
	hash_check(EVP_DigestInit_ex2(h->ctx, hash_md, NULL));
}

void
hash_add(struct hash *h, const void *data, size_t len)
{
	if (len > 0)
		hash_check(EVP_DigestUpdate(h->ctx, data, len));
}

void
hash_end(struct hash *h, uint8_t ret_hash[HASH_LEN])
{
	hash_check(EVP_DigestFinal_ex(h->ctx, ret_hash, NULL));
}

int
hash_copy(struct hash *dst, const struct hash *src)
{
	return EVP_MD_CTX_copy_ex(dst->ctx, src->ctx) == 1 ? 0 : ERR_CRYPTO;
}

char *
hash_fingerprint(char *dst, const void *blob, size_t len)
{
	uint8_t md[HASH_LEN];

	hash_sha256(blob, len, md);
	memcpy(dst, "SHA256:", 7);
	sodium_bin2base64(dst + 7, HASH_FINGERPRINT_SIZE - 7, md, sizeof(md),
	    sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	return dst;
}
