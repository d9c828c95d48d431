/* Public keys and certificates: what is offered proves nothing, what is signed is checked to the last byte. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "lib/buf.h"
#include "policy/auth_int.h"

#define SIGNED_MAX (REQUEST_MAX + 256u) /* bytes that a login signature covers */

int
auth_verify(const struct auth_scene *scene, const uint8_t *msg, struct auth_result *r)
{
	struct buf *b = buf_new(SIGNED_MAX);
	int e = -ENOMEM;

	if (b == NULL)
		return e;
	if ((e = buf_put_str(b, scene->session_id, scene->session_id_len)) == 0 &&
	    (e = buf_put(b, msg, r->request.signed_len)) == 0)
		e = credential_verify(
		    &r->credential, r->request.sig, r->request.sig_len, buf_ptr(b), buf_len(b));
	buf_free(b);
	return e;
}

/* What the credential would be worth beside what was proved. 0; ERR_DENIED with *ret_reason; -ENOMEM. */
static int
judge(
    struct auth *a, const struct auth_scene *scene, struct auth_result *r, const char **ret_reason)
{
	const struct credential_scene cs = auth_credential_scene(scene);
	struct credential *c = &r->credential;
	int e = credential_read(
	    c, scene->set, &cs, r->request.alg, r->request.blob, r->request.blob_len);

	*ret_reason = c->reason;
	if (e != 0)
		return e;
	/* A second factor that is the first one again is none. */
	*ret_reason = "key-used-twice";
	if (pass_has_key(&a->pass, c->fingerprint))
		return ERR_DENIED;
	e = proof_read(&r->proof, scene, &a->pass, c);
	*ret_reason = r->proof.reason;
	if (e != 0)
		return e;
	e = auth_decide(a, scene, r);
	*ret_reason = r->access.reason;
	return e;
}

int
auth_publickey(
    struct auth *a, const struct auth_scene *scene, const uint8_t *msg, struct auth_result *r)
{
	const struct request *q = &r->request;
	const struct credential *c = &r->credential;
	const char *reason = NULL;
	int e = judge(a, scene, r, &reason);

	if (e == ERR_DENIED)
		return auth_fail(a, scene, r, reason);
	if (e != 0)
		return e;
	if (!q->has_sig) {
		/* It would do. Nothing is proved by saying so. */
		a->offered = true;
		memcpy(a->offered_fingerprint, c->fingerprint, sizeof(c->fingerprint));
		r->answer = POL_AUTH_PK_OK;
		return 0;
	}
	e = auth_verify(scene, msg, r);
	if (e == ERR_DENIED)
		return auth_fail(a, scene, r, c->reason);
	if (e == 0)
		e = pass_add_key(&a->pass, q->alg, c->fingerprint, q->blob, q->blob_len);
	return e != 0 ? e : auth_settle(a, scene, r);
}
