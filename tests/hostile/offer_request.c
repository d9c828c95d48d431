/* A login request with one thing wrong in it. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/hostile/offer.h"

#define REQUEST_MAX 65000u
#define CERT_TYPE "ssh-ed25519-cert-v01@openssh.com"
#define DAY_S 86400u

static void
must(int r)
{
	if (r == 0)
		return;
	fprintf(stderr, "offer: %s\n", err_str(r));
	exit(3);
}

static struct buf *
new_buf(void)
{
	struct buf *b = buf_new(REQUEST_MAX);

	must(b == NULL ? -ENOMEM : 0);
	return b;
}

static const char * or (const char *s, const char *usual)
{
	return s != NULL ? s : usual;
}

/* PROTOCOL.certkeys, up to the CA's signature: principal and key id are the key's name. */
static void
put_cert_body(const struct hostile *h, struct buf *b, const char *name, const char *pub_of,
    const char *ca, const uint8_t nonce[32])
{
	uint8_t blob[H_BLOB], ca_blob[H_BLOB], sk[64];
	struct buf *principals = new_buf();

	h_key(h, pub_of, sk, blob);
	h_key(h, ca, sk, ca_blob);
	must(buf_put_cstr(principals, name));
	must(buf_put_cstr(b, CERT_TYPE));
	must(buf_put_str(b, nonce, 32));
	must(buf_put_str(b, blob + 19, 32));
	must(buf_put_u64(b, 1));
	must(buf_put_u32(b, 1));
	must(buf_put_cstr(b, name));
	must(buf_put_str(b, buf_ptr(principals), buf_len(principals)));
	must(buf_put_u64(b, 0));
	must(buf_put_u64(b, UINT64_MAX));
	for (int i = 0; i < 3; i++)
		must(buf_put_cstr(b, ""));
	must(buf_put_str(b, ca_blob, sizeof(ca_blob)));
	buf_free(principals);
}

static void
put_cert(const struct hostile *h, struct buf *b, const struct offer_request *q, const char *name)
{
	struct buf *honest = new_buf(), *body = new_buf();
	uint8_t nonce[32], sig[H_SIG];

	randombytes_buf(nonce, sizeof(nonce));
	put_cert_body(h, honest, name, name, q->ca, nonce);
	put_cert_body(h, body, name, or (q->swapped, name), q->ca, nonce);
	h_sign(h, q->ca, buf_ptr(honest), buf_len(honest), sig);
	must(buf_put_str(body, sig, sizeof(sig)));
	must(buf_put_str(b, buf_ptr(body), buf_len(body)));
	buf_free(honest);
	buf_free(body);
}

static void
put_key(const struct hostile *h, struct buf *b, const struct offer_request *q)
{
	const char *name = or (q->key, "eve");
	uint8_t blob[H_BLOB], sk[64];

	h_key(h, name, sk, blob);
	blob[30] ^= q->flip_key ? 1 : 0;
	if (q->ca != NULL)
		put_cert(h, b, q, name);
	else
		must(buf_put_str(b, blob, sizeof(blob)));
}

static void
put_user(const struct hostile *h, struct buf *b, const char *user, size_t len)
{
	char usual[200];

	if (user == NULL) {
		(void)snprintf(usual, sizeof(usual), "%s+t1", h->login);
		must(buf_put_cstr(b, usual));
	} else {
		must(buf_put_str(b, user, len > 0 ? len : strlen(user)));
	}
}

/* Methods other than publickey have fields that nobody gets to read. */
static void
put_publickey(const struct hostile *h, struct buf *b, const struct offer_request *q,
    const struct buf *key, const char *alg, bool has_sig)
{
	(void)h;
	must(buf_put_u8(b, q->has_sig > 0 ? q->has_sig : has_sig && !q->behind_offer));
	must(buf_put_cstr(b, or (alg, q->ca != NULL ? CERT_TYPE : "ssh-ed25519")));
	must(buf_put(b, buf_ptr(key), buf_len(key)));
}

static void
shape(const struct offer_request *q, struct buf *b, uint8_t sig[H_SIG + 1])
{
	size_t len = H_SIG;

	if (q->shape == SIG_ZERO)
		memset(sig + 19, 0, 64);
	if (q->shape == SIG_RETYPED)
		memcpy(sig + 4, "ssh-ed448!!", 11);
	if (q->flip > 0)
		sig[19 + (q->flip - 1) / 8] ^= (uint8_t)(1u << (q->flip - 1) % 8);
	len = q->shape == SIG_CUT ? len - 1 : q->shape == SIG_LONG ? len + 1 : len;
	if (q->shape != SIG_NONE)
		must(buf_put_str(b, sig, q->shape == SIG_EMPTY ? 0 : len));
}

/* What is signed (RFC 4252 section 7), and the signature behind the request. */
static void
put_signature(const struct hostile *h, struct buf *b, const struct offer_request *q,
    const struct buf *key, const uint8_t *sid)
{
	uint8_t sig[H_SIG + 1] = { 0 }, random[32];
	struct offer_request plain = *q;
	struct buf *tbs = new_buf();

	randombytes_buf(random, sizeof(random));
	plain.has_sig = 0;
	plain.behind_offer = false;
	if (!q->no_sid)
		must(buf_put_str(tbs, q->other_sid ? random : sid, 32));
	must(buf_put_u8(tbs, 50));
	if (q->signed_user != NULL)
		must(buf_put_cstr(tbs, q->signed_user));
	else
		put_user(h, tbs, q->user, q->user_len);
	must(buf_put_cstr(tbs, or (q->signed_service, or (q->service, "ssh-connection"))));
	must(buf_put_cstr(tbs, "publickey"));
	put_publickey(h, tbs, &plain, key, or (q->signed_alg, q->alg), !q->signed_as_offer);
	h_sign(h, q->signer, buf_ptr(tbs), buf_len(tbs), sig);
	shape(q, b, sig);
	buf_free(tbs);
}

struct buf *
offer_make(const struct hostile *h, const struct offer_request *q, const uint8_t *sid)
{
	struct buf *b = new_buf(), *key = new_buf();

	must(buf_put_u8(b, 50));
	put_user(h, b, q->user, q->user_len);
	must(buf_put_cstr(b, or (q->service, "ssh-connection")));
	must(buf_put_cstr(b, or (q->method, "publickey")));
	put_key(h, key, q);
	if (q->method == NULL) {
		put_publickey(h, b, q, key, q->alg, q->signer != NULL);
		if (q->signer != NULL)
			put_signature(h, b, q, key, sid);
	}
	for (size_t i = 0; i < q->tail; i++)
		must(buf_put_u8(b, 0));
	buf_free(key);
	return b;
}
