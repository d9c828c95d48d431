/*
 * A login within a connection that is logged in (ssh -J). What the outer one proved counts, with all its restrictions, and is what
 * the record names; a key that is shown here must be the same person's, and adds to it only what was not there.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "policy/auth_int.h"

/* A key of the same person. 0; ERR_DENIED with c->reason set; -ENOMEM. */
static int
check_key(
    const struct auth *a, const struct auth_scene *scene, const uint8_t *msg, struct auth_result *r)
{
	const struct credential_scene cs = auth_credential_scene(scene);
	struct credential *c = &r->credential;
	int e = credential_read(
	    c, scene->set, &cs, r->request.alg, r->request.blob, r->request.blob_len);

	if (e != 0)
		return e;
	if (!credential_proves_name(c, a->jump->identity)) {
		c->reason = "another-identity";
		return ERR_DENIED;
	}
	return r->request.has_sig ? auth_verify(scene, msg, r) : 0;
}

/* What the outer login is worth here now. 0; ERR_DENIED with *ret_reason; -ENOMEM. */
static int
judge(
    struct auth *a, const struct auth_scene *scene, struct auth_result *r, const char **ret_reason)
{
	int e = proof_read(&r->proof, scene, &a->pass, NULL);

	*ret_reason = r->access.reason = r->proof.reason;
	if (e != 0)
		return e;
	e = auth_decide(a, scene, r);
	*ret_reason = r->access.reason;
	return e;
}

/* The first request: everything from the outer login. */
static int
take_pass(struct auth *a)
{
	return a->pass.n_factors > 0 || a->jump->n_factors == 0 ? 0 : pass_copy(&a->pass, a->jump);
}

int
auth_jump(struct auth *a, const struct auth_scene *scene, const uint8_t *msg, struct auth_result *r)
{
	const char *reason = NULL;
	int e = take_pass(a);

	if (e != 0)
		return e;
	if (r->request.is_publickey) {
		/* Who was let in by PAM alone shows something new with a key. */
		if (!pass_has(&a->pass, SET_PUBLICKEY))
			return auth_publickey(a, scene, msg, r);
		if ((e = check_key(a, scene, msg, r)) != 0)
			return e == ERR_DENIED ? auth_fail(a, scene, r, r->credential.reason) : e;
		credential_done(&r->credential);
	} else if (strcmp(r->request.method, "none") != 0) {
		return auth_fail(a, scene, r, "method-not-allowed");
	}
	e = judge(a, scene, r, &reason);
	if (e != 0)
		return e == ERR_DENIED ? auth_fail(a, scene, r, reason) : e;
	if (r->request.is_publickey && !r->request.has_sig) {
		r->answer = POL_AUTH_PK_OK;
		return 0;
	}
	return auth_settle(a, scene, r);
}
