/* Grants, and the checks that belong to one. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ipc.h"
#include "lib/str.h"
#include "policy/leg.h"
#include "policy/recording.h"
#include "recorder/recorder_proto.h"

#define PART_MAX 16384u	     /* bytes of one part of a grant */
#define META_TEXT_SIZE 1100u /* bytes of one text in the metadata */
#define CLAIM_META_MAX 1024u
#define LEG_NO_HOST "-" /* no host is called so */

static int
copy_blobs(const struct model_blob *from, size_t n, struct model_blob **ret_v, size_t *ret_n)
{
	*ret_v = calloc(n > 0 ? n : 1, sizeof(**ret_v));
	if (*ret_v == NULL)
		return -ENOMEM;
	for (*ret_n = 0; *ret_n < n; (*ret_n)++) {
		struct model_blob *to = &(*ret_v)[*ret_n];

		if ((to->p = malloc(from[*ret_n].len)) == NULL)
			return -ENOMEM;
		memcpy(to->p, from[*ret_n].p, from[*ret_n].len);
		to->len = from[*ret_n].len;
	}
	return 0;
}

static int
copy_list(const char *const *from, size_t n, char ***ret_v, size_t *ret_n)
{
	*ret_v = calloc(n > 0 ? n : 1, sizeof(char *));
	if (*ret_v == NULL)
		return -ENOMEM;
	for (; *ret_n < n; (*ret_n)++)
		if (((*ret_v)[*ret_n] = strdup(from[*ret_n])) == NULL)
			return -ENOMEM;
	return 0;
}

/* What holds whichever factor it came with. */
static int
copy_proof(struct leg *leg, const struct leg_terms *terms)
{
	const struct proof *p = terms->proof;
	const char *force = proof_force_command(p);
	int r;

	leg->mfa = p->mfa;
	leg->valid_before_s = proof_valid_before_s(p);
	leg->by_cert = proof_by_cert(p);
	leg->permits = proof_permits(p);
	if (force != NULL && (leg->force_command = strdup(force)) == NULL)
		return -ENOMEM;
	if ((r = copy_list(p->principals, p->n_principals, &leg->principals, &leg->n_principals)) !=
	    0)
		return r;
	return pass_copy(&leg->pass, terms->pass);
}

static int
copy_texts(struct leg *leg, const char *ref, const char *source_text, const struct access *a)
{
	const char *host = a->host != NULL ? a->host_name : LEG_NO_HOST;
	const char *address = a->host == NULL		 ? ""
			      : a->host->address != NULL ? a->host->address
							 : a->host_name;
	int r;

	if ((r = str_copy(leg->ref, sizeof(leg->ref), ref)) != 0 ||
	    (r = str_copy(leg->source_text, sizeof(leg->source_text), source_text)) != 0 ||
	    (r = str_copy(leg->identity, sizeof(leg->identity), a->user->name)) != 0 ||
	    (r = str_copy(leg->login, sizeof(leg->login), a->login)) != 0 ||
	    (r = str_copy(leg->host, sizeof(leg->host), host)) != 0)
		return r;
	return str_copy(leg->address, sizeof(leg->address), address);
}

int
leg_new(uint32_t id, uint32_t conn, const char *ref, const char *source_text,
    const struct auth_scene *scene, const struct leg_terms *terms, struct leg **ret_leg)
{
	struct leg *leg = calloc(1, sizeof(*leg));
	const struct access *a = terms->access;
	int e;

	if (leg == NULL)
		return -ENOMEM;
	leg->id = id;
	leg->conn = conn;
	leg->port = a->port;
	leg->source = scene->source;
	leg->rsa_bits = model_rsa_bits(scene->set->model);
	leg->back = a->host != NULL ? POL_BACK_SSH : POL_BACK_SHELL;
	if ((e = copy_texts(leg, ref, source_text, a)) != 0 ||
	    (e = a->host != NULL ? copy_blobs(a->host->host_cas, a->host->n_host_cas,
				       &leg->host_cas, &leg->n_host_cas)
				 : 0) != 0 ||
	    (e = copy_proof(leg, terms)) != 0) {
		leg_free(leg);
		return e;
	}
	*ret_leg = leg;
	return 0;
}

static void
free_list(char **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i]);
	free(v);
}

void
leg_free(struct leg *leg)
{
	if (leg == NULL)
		return;
	free(leg->force_command);
	listens_done(&leg->listens);
	free_list(leg->principals, leg->n_principals);
	pass_done(&leg->pass);
	for (size_t i = 0; i < leg->n_host_cas; i++)
		free(leg->host_cas[i].p);
	free(leg->host_cas);
	free(leg);
}

int
leg_person(const struct leg *leg, const struct set *s, struct model_user *ret_person,
    const char ***ret_list)
{
	const struct pass *pass = &leg->pass;
	bool unlisted = pass_has(pass, SET_KEYBOARD_INTERACTIVE) && !pass_has(pass, SET_PUBLICKEY);

	return proof_make_person(s->model, leg->identity, unlisted && s->identity_from_pam,
	    (const char *const *)pass->groups, s->groups_from_pam ? pass->n_groups : 0, ret_person,
	    ret_list);
}

/* One tag of the session's metadata; absent values are left out. */
static int
put_meta(struct buf *b, enum rec_meta tag, const char *text)
{
	int r;

	if (text == NULL || text[0] == '\0')
		return 0;
	r = buf_put_u8(b, (uint8_t)tag);
	return r != 0 ? r : buf_put_cstr(b, text);
}

static int
put_meta_number(struct buf *b, enum rec_meta tag, uint64_t v)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	return put_meta(b, tag, text);
}

/* All groups that fit, with commas between. */
static int
put_groups(struct buf *b, const struct leg *leg)
{
	char text[META_TEXT_SIZE];
	size_t at = 0;

	text[0] = '\0';
	for (size_t i = 0; i < leg->pass.n_groups; i++) {
		size_t n = strlen(leg->pass.groups[i]);

		if (at + n + 2 > sizeof(text))
			break;
		if (at > 0)
			text[at++] = ',';
		memcpy(text + at, leg->pass.groups[i], n + 1);
		at += n;
	}
	return put_meta(b, REC_META_GROUPS, text);
}

static int
put_factors(struct buf *b, const struct leg *leg)
{
	char methods[PASS_METHODS_SIZE];
	int r;

	if ((r = put_meta(b, REC_META_METHODS, pass_methods(&leg->pass, methods))) != 0 ||
	    (r = put_meta(b, REC_META_SUBJECT, leg->pass.subject)) != 0)
		return r;
	return put_groups(b, leg);
}

/* The first key or certificate, if there is one. */
static int
put_credential(struct buf *b, const struct proof *p)
{
	const struct credential *c = proof_credential(p, 0);
	char key_id[META_TEXT_SIZE];
	int r;

	if (c == NULL)
		return put_meta(b, REC_META_CRED_TYPE, "pam");
	if ((r = put_meta(b, REC_META_CRED_TYPE, c->cert != NULL ? "certificate" : "key")) != 0 ||
	    (r = put_meta(b, REC_META_CRED_FINGERPRINT, c->fingerprint)) != 0 || c->cert == NULL)
		return r;
	/* The CA's text is not to be trusted with a terminal. */
	str_escape(key_id, sizeof(key_id), c->cert->key_id, strlen(c->cert->key_id));
	if ((r = put_meta(b, REC_META_CRED_KEY_ID, key_id)) != 0 ||
	    (r = put_meta_number(b, REC_META_CRED_SERIAL, c->cert->serial)) != 0)
		return r;
	return put_meta(b, REC_META_CRED_CA, c->ca_fingerprint);
}

static int
put_recorder_part(
    const struct leg *leg, const char *claim, const struct leg_terms *terms, struct buf *b)
{
	int e;

	if ((e = put_meta(b, REC_META_IDENTITY, leg->identity)) != 0 ||
	    (e = put_meta(b, REC_META_LOGIN, leg->login)) != 0 ||
	    (e = put_meta(b, REC_META_HOST, leg->host)) != 0 ||
	    (e = put_meta(b, REC_META_ADDRESS, leg->address)) != 0 ||
	    (e = leg->port != 0 ? put_meta_number(b, REC_META_PORT, leg->port) : 0) != 0 ||
	    (e = put_meta(b, REC_META_SOURCE, leg->source_text)) != 0 ||
	    (e = put_meta(b, REC_META_CLAIM, claim)) != 0 ||
	    (e = put_meta(b, REC_META_RULE,
		 terms->access->rule != NULL ? terms->access->rule->name : NULL)) != 0 ||
	    (e = put_credential(b, terms->proof)) != 0 || (e = put_factors(b, leg)) != 0)
		return e;
	if ((e = recording_put_meta(b, &terms->access->recording)) != 0)
		return e;
	return put_meta(b, REC_META_FILES, terms->access->keep ? "keep" : "hash");
}

static int
put_pins(struct buf *b, const struct model_blob *v, size_t n)
{
	int r = buf_put_u32(b, (uint32_t)n);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = buf_put_str(b, v[i].p, v[i].len);
	return r;
}

static int
put_host_pins(struct buf *b, const struct model_host *h)
{
	int r = put_pins(b, h->host_keys, h->n_host_keys);

	return r != 0 ? r : put_pins(b, h->host_cas, h->n_host_cas);
}

static int
put_vault_part(
    const struct leg *leg, const char *claim, const struct leg_terms *terms, struct buf *b)
{
	const struct model_host *h = terms->access->host;
	int e;

	(void)claim;
	if (h == NULL)
		return 0; /* the bastion's own shell needs nothing */
	if ((e = buf_put_cstr(b, leg->login)) != 0 || (e = buf_put_cstr(b, h->key)) != 0 ||
	    (e = buf_put_cstr(b, leg->host)) != 0 || (e = buf_put_u32(b, leg->port)) != 0)
		return e;
	return put_host_pins(b, h);
}

static int
put_back_part(
    const struct leg *leg, const char *claim, const struct leg_terms *terms, struct buf *b)
{
	const struct model_host *h = terms->access->host;
	int e;

	(void)claim;
	if (h == NULL)
		return 0; /* the bastion's own shell needs nothing */
	if ((e = buf_put_cstr(b, leg->host)) != 0 || (e = buf_put_cstr(b, leg->address)) != 0 ||
	    (e = buf_put_u32(b, leg->port)) != 0 || (e = buf_put_u8(b, h->resolve ? 1 : 0)) != 0 ||
	    (e = buf_put_cstr(b, leg->login)) != 0 || (e = put_host_pins(b, h)) != 0)
		return e;
	return buf_put_u64(b, h->connect_ns);
}

int
leg_put_grant(
    const struct leg *leg, const char *claim, const struct leg_terms *terms, struct buf *b)
{
	static int (*const parts[])(const struct leg *leg, const char *claim,
	    const struct leg_terms *terms,
	    struct buf *b) = { put_recorder_part, put_vault_part, put_back_part };
	int e = buf_put_u32(b, leg->conn);

	for (size_t i = 0; e == 0 && i < sizeof(parts) / sizeof(parts[0]); i++) {
		struct buf *part = buf_new(PART_MAX);

		if (part == NULL)
			return -ENOMEM;
		if ((e = parts[i](leg, claim, terms, part)) == 0)
			e = buf_put_str(b, buf_ptr(part), buf_len(part));
		buf_free(part);
	}
	if (e == 0 && (e = buf_put_u8(b, leg->back)) == 0)
		e = buf_put_u32(b, leg->via);
	return e;
}

static int
refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return ERR_DENIED;
}

/* The leg's host CA with this blob signed it. */
static int
check_host_ca(
    const struct leg *leg, const struct cert *c, const uint8_t *blob, const char **ret_why)
{
	struct sshkey *ca = NULL;
	bool pinned = false;
	int r;

	for (size_t i = 0; i < leg->n_host_cas; i++)
		pinned = pinned || (leg->host_cas[i].len == c->ca_blob_len &&
				       memcmp(leg->host_cas[i].p, c->ca_blob, c->ca_blob_len) == 0);
	if (!pinned)
		return refuse(ret_why, "signed by a CA that is not this host's");
	if ((r = sshkey_parse(c->ca_blob, c->ca_blob_len, &ca)) == 0)
		r = cert_verify(c, blob, ca, leg->rsa_bits);
	sshkey_free(ca);
	if (r == 0 || r == -ENOMEM)
		return r;
	return refuse(ret_why, "the CA's signature does not verify");
}

static int
check_host_rest(const struct leg *leg, const struct set *s, const struct cert *c, uint64_t now_s,
    const char **ret_why)
{
	const struct krl_cert kc = { c->ca_blob, c->ca_blob_len, c->serial, c->key_id };
	const char *why = cert_check_time(c, now_s);

	if (c->type != CERT_HOST)
		return refuse(ret_why, "not a host certificate");
	if (why != NULL)
		return refuse(ret_why, why);
	/* An option that limits the use of a host key is one that nothing here would hold. */
	if (c->force_command != NULL || c->has_sources || c->verify_required)
		return refuse(ret_why, "a critical option that no host has");
	if (!cert_names_host(c, leg->host) && !cert_names_host(c, leg->address))
		return refuse(ret_why, "for another host");
	if (s != NULL && s->krl != NULL &&
	    krl_revoked(s->krl, c->key_blob, c->key_blob_len, &kc) != NULL)
		return refuse(ret_why, "revoked");
	return 0;
}

int
leg_check_host_cert(const struct leg *leg, const struct set *s, const uint8_t *blob, size_t len,
    uint64_t now_s, struct cert **ret_cert, const char **ret_why)
{
	struct cert *c = NULL;
	int r;

	*ret_why = "malformed certificate";
	r = cert_parse(blob, len, &c, ret_why);
	if (r != 0)
		return r == -ENOMEM ? r : ERR_DENIED;
	if ((r = check_host_ca(leg, c, blob, ret_why)) != 0 ||
	    (r = check_host_rest(leg, s, c, now_s, ret_why)) != 0) {
		cert_free(c);
		return r;
	}
	*ret_cert = c;
	return 0;
}
