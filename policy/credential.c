/* Keys and certificates against the set in force. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "policy/algs.h"
#include "policy/credential.h"

static int
refuse(struct credential *c, const char *reason, const char *detail)
{
	c->reason = reason;
	c->detail = detail;
	return ERR_DENIED;
}

static int
check_strength(struct credential *c, const struct set *s)
{
	if (sshkey_type(c->key) == SSHKEY_RSA && sshkey_bits(c->key) < model_rsa_bits(s->model))
		return refuse(c, "weak-key", "RSA modulus too small");
	return 0;
}

static int
read_plain(struct credential *c, const struct set *s, const struct algs_alg *alg,
    const uint8_t *blob, size_t len)
{
	const struct model_user *user;
	const char *by;
	int r = sshkey_parse(blob, len, &c->key);

	if (r != 0)
		return r == -ENOMEM ? r : refuse(c, "malformed-key", NULL);
	hash_fingerprint(c->fingerprint, blob, len);
	if (sshkey_type(c->key) != alg->type)
		return refuse(c, "algorithm-mismatch", "the key is of another type than announced");
	if ((r = check_strength(c, s)) != 0)
		return r;
	if (s->krl != NULL && (by = krl_revoked(s->krl, blob, len, NULL)) != NULL)
		return refuse(c, "revoked", by);
	if ((user = model_find_key(s->model, blob, len)) == NULL)
		return refuse(c, "unknown-key", NULL);
	c->users[c->n_users++] = user;
	return 0;
}

/* The signer is trusted, and signed exactly these bytes. */
static int
check_ca(struct credential *c, const struct set *s, const uint8_t *blob)
{
	const struct set_ca *ca = set_find_ca(s, c->cert->ca_blob, c->cert->ca_blob_len);
	int r;

	if (ca == NULL)
		return refuse(c, "unknown-ca", NULL);
	r = cert_verify(c->cert, blob, ca->key, model_rsa_bits(s->model));
	if (r == -ENOMEM)
		return r;
	return r == 0 ? 0 : refuse(c, "bad-ca-signature", NULL);
}

static int
check_revoked(struct credential *c, const struct set *s)
{
	const struct krl_cert kc = { c->cert->ca_blob, c->cert->ca_blob_len, c->cert->serial,
		c->cert->key_id };
	const char *by = NULL;

	if (s->krl != NULL)
		by = krl_revoked(s->krl, c->cert->key_blob, c->cert->key_blob_len, &kc);
	return by == NULL ? 0 : refuse(c, "revoked", by);
}

/* A certificate that was expired once stays so, whatever the clock says later. */
static int
check_time(struct credential *c, const struct credential_scene *scene, const struct set *s)
{
	uint64_t longest_s = model_cert_longest_s(s->model);
	const char *why = cert_check_time(c->cert, scene->now_s);

	if (why == NULL && scene->newest_s >= c->cert->valid_before)
		why = "expired, though the clock went back";
	if (why == NULL && longest_s > 0 &&
	    c->cert->valid_before - c->cert->valid_after > longest_s)
		why = "good for longer than certificates may be";
	return why == NULL ? 0 : refuse(c, "certificate-time", why);
}

static bool
ca_may(const struct model_user *user, const char *fingerprint)
{
	return user->cas.n == 0 || model_strings_has(&user->cas, fingerprint);
}

/* Everybody for whom one of the principals stands, once each. */
static int
find_people(struct credential *c, const struct set *s)
{
	bool other_ca = false;

	for (size_t i = 0; i < c->cert->n_principals; i++) {
		const struct model_user *user =
		    model_find_principal(s->model, c->cert->principals[i]);

		if (user == NULL || credential_proves(c, user))
			continue;
		if (ca_may(user, c->ca_fingerprint))
			c->users[c->n_users++] = user;
		else
			other_ca = true;
	}
	if (c->n_users > 0)
		return 0;
	if (other_ca)
		return refuse(c, "unknown-ca", "this CA does not speak for this person");
	return refuse(c, "unknown-principal", NULL);
}

static int
check_options(struct credential *c, const struct credential_scene *scene, const struct set *s)
{
	bool sk =
	    sshkey_type(c->key) == SSHKEY_SK_ED25519 || sshkey_type(c->key) == SSHKEY_SK_ECDSA;

	if (!cert_source_allowed(c->cert, &scene->source))
		return refuse(c, "source-address", NULL);
	if (c->cert->verify_required && !sk)
		return refuse(c, "verify-required", "the key cannot verify its user");
	c->verify_needed = c->cert->verify_required;
	if ((c->cert->permits & CERT_NO_TOUCH_REQUIRED) != 0 && model_sk_no_touch(s->model))
		c->touch_needed = false;
	return 0;
}

static int
read_cert(struct credential *c, const struct set *s, const struct credential_scene *scene,
    const struct algs_alg *alg, const uint8_t *blob, size_t len)
{
	const char *why = NULL;
	int r = cert_parse(blob, len, &c->cert, &why);

	if (r != 0)
		return r == -ENOMEM ? r : refuse(c, "malformed-certificate", why);
	c->key = c->cert->key;
	hash_fingerprint(c->fingerprint, c->cert->key_blob, c->cert->key_blob_len);
	hash_fingerprint(c->ca_fingerprint, c->cert->ca_blob, c->cert->ca_blob_len);
	if (strcmp(c->cert->blob_type, alg->blob_type) != 0)
		return refuse(
		    c, "algorithm-mismatch", "the certificate is of another type than announced");
	if ((r = check_ca(c, s, blob)) != 0 || (r = check_strength(c, s)) != 0 ||
	    (r = check_revoked(c, s)) != 0)
		return r;
	if (c->cert->type != CERT_USER)
		return refuse(c, "certificate-type", "not a user certificate");
	if ((r = check_time(c, scene, s)) != 0)
		return r;
	if (c->cert->n_principals == 0)
		return refuse(c, "no-principals", NULL);
	if ((r = check_options(c, scene, s)) != 0)
		return r;
	return find_people(c, s);
}

int
credential_read(struct credential *c, const struct set *s, const struct credential_scene *scene,
    const char *alg_name, const uint8_t *blob, size_t len)
{
	const struct algs_alg *alg = algs_find(alg_name);

	*c = (struct credential){ .blob = blob, .blob_len = len, .touch_needed = true };
	if (alg == NULL)
		return refuse(c, "unknown-algorithm", NULL);
	c->alg = alg->name;
	c->sig_alg = alg->sig;
	return alg->cert ? read_cert(c, s, scene, alg, blob, len)
			 : read_plain(c, s, alg, blob, len);
}

void
credential_done(struct credential *c)
{
	if (c->cert != NULL)
		cert_free(c->cert);
	else
		sshkey_free(c->key);
	*c = (struct credential){ 0 };
}

int
credential_verify(
    struct credential *c, const uint8_t *sig, size_t sig_len, const uint8_t *data, size_t len)
{
	struct sshkey_touch touch = { true, true, 0 };
	int r =
	    sshkey_verify(c->key, c->sig_alg, strlen(c->sig_alg), sig, sig_len, data, len, &touch);

	if (r == -ENOMEM)
		return r;
	if (r != 0)
		return refuse(c, "bad-signature", r == ERR_FORMAT ? "malformed" : NULL);
	if (c->touch_needed && !touch.present)
		return refuse(c, "not-touched", NULL);
	if (c->verify_needed && !touch.verified)
		return refuse(c, "not-verified", NULL);
	return 0;
}

bool
credential_proves(const struct credential *c, const struct model_user *user)
{
	for (size_t i = 0; i < c->n_users; i++)
		if (c->users[i] == user)
			return true;
	return false;
}

bool
credential_proves_name(const struct credential *c, const char *name)
{
	for (size_t i = 0; i < c->n_users; i++)
		if (strcmp(c->users[i]->name, name) == 0)
			return true;
	return false;
}
