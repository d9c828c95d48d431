/* The signing oracle looks at what it signs: this is where. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "keys/keys_check.h"
#include "lib/buf.h"

#define USERAUTH_REQUEST 50u	/* RFC 4252 section 6 */
#define FLAG_RSA_SHA2_256 0x02u /* RFC 9987: SSH_AGENT_RSA_SHA2_256 */
#define FLAG_RSA_SHA2_512 0x04u /* RFC 9987: SSH_AGENT_RSA_SHA2_512 */

bool
keys_check_hash_len(size_t len)
{
	return len == 32 || len == 48 || len == 64;
}

static bool
same(const uint8_t *a, size_t a_len, const void *b, size_t b_len)
{
	return a_len == b_len && memcmp(a, b, b_len) == 0;
}

static int
refuse(int err, const char *why, const char **ret_why)
{
	*ret_why = why;
	return err;
}

int
keys_check_bind(const uint8_t *data, size_t len, struct keys_bind *ret_bind, const char **ret_why)
{
	struct buf *b = buf_view(data, len);
	struct keys_bind bind = { 0 };
	uint8_t forwarding;
	int r;

	if (b == NULL)
		return refuse(-ENOMEM, "out of memory", ret_why);
	if ((r = buf_get_str(b, &bind.host_key, &bind.host_key_len)) != 0 ||
	    (r = buf_get_str(b, &bind.session_id, &bind.session_id_len)) != 0 ||
	    (r = buf_get_str(b, &bind.sig, &bind.sig_len)) != 0 ||
	    (r = buf_get_u8(b, &forwarding)) != 0 || (r = buf_end(b)) != 0)
		r = refuse(ERR_FORMAT, "the binding does not parse", ret_why);
	else if (!keys_check_hash_len(bind.session_id_len))
		r = refuse(ERR_FORMAT, "a session id of impossible length", ret_why);
	else if (forwarding != 0)
		r = refuse(ERR_FORMAT, "a binding for agent forwarding", ret_why);
	else
		*ret_bind = bind;
	buf_free(b);
	return r;
}

struct sign_request {
	const uint8_t *key, *data;
	size_t key_len, data_len;
	uint32_t flags;
};

static int
open_request(const uint8_t *msg, size_t len, struct sign_request *ret_req)
{
	struct buf *b = buf_view(msg, len);
	int r;

	if (b == NULL)
		return -ENOMEM;
	if ((r = buf_get_str(b, &ret_req->key, &ret_req->key_len)) != 0 ||
	    (r = buf_get_str(b, &ret_req->data, &ret_req->data_len)) != 0 ||
	    (r = buf_get_u32(b, &ret_req->flags)) != 0)
		goto out;
	r = buf_end(b);
out:
	buf_free(b);
	return r;
}

/* RFC 4252 section 7: what a publickey request signs. */
struct userauth {
	const uint8_t *session_id, *user, *service, *method, *alg, *key;
	size_t session_id_len, user_len, service_len, method_len, alg_len, key_len;
	uint8_t type, has_sig;
};

static int
open_userauth(const uint8_t *data, size_t len, struct userauth *ret_u)
{
	struct buf *b = buf_view(data, len);
	int r;

	if (b == NULL)
		return -ENOMEM;
	if ((r = buf_get_str(b, &ret_u->session_id, &ret_u->session_id_len)) != 0 ||
	    (r = buf_get_u8(b, &ret_u->type)) != 0 ||
	    (r = buf_get_str(b, &ret_u->user, &ret_u->user_len)) != 0 ||
	    (r = buf_get_str(b, &ret_u->service, &ret_u->service_len)) != 0 ||
	    (r = buf_get_str(b, &ret_u->method, &ret_u->method_len)) != 0 ||
	    (r = buf_get_u8(b, &ret_u->has_sig)) != 0 ||
	    (r = buf_get_str(b, &ret_u->alg, &ret_u->alg_len)) != 0 ||
	    (r = buf_get_str(b, &ret_u->key, &ret_u->key_len)) != 0)
		goto out;
	r = buf_end(b);
out:
	buf_free(b);
	return r;
}

/* The one algorithm that key type and flags leave; NULL: none. */
static const char *
algorithm(enum sshkey_type type, uint32_t flags)
{
	if (type != SSHKEY_RSA)
		return flags == 0 ? sshkey_type_name(type) : NULL;
	if (flags == FLAG_RSA_SHA2_512)
		return "rsa-sha2-512";
	return flags == FLAG_RSA_SHA2_256 ? "rsa-sha2-256" : NULL;
}

static const char *
find_mismatch(const struct keys_grant *grant, const struct userauth *u, const char *alg)
{
	if (!same(u->session_id, u->session_id_len, grant->session_id, grant->session_id_len))
		return "another session id than the bound one";
	if (u->type != USERAUTH_REQUEST)
		return "not a userauth request";
	if (!same(u->user, u->user_len, grant->login, strlen(grant->login)))
		return "another user than the granted login";
	if (!same(u->service, u->service_len, "ssh-connection", 14))
		return "another service than ssh-connection";
	if (!same(u->method, u->method_len, "publickey", 9) || u->has_sig != 1)
		return "another method than publickey with a signature";
	if (!same(u->alg, u->alg_len, alg, strlen(alg)))
		return "another algorithm than key and flags ask for";
	if (!same(u->key, u->key_len, grant->key, grant->key_len))
		return "another key inside than the granted one";
	return NULL;
}

int
keys_check_sign(const struct keys_grant *grant, const uint8_t *msg, size_t len,
    const uint8_t **ret_data, size_t *ret_data_len, const char **ret_alg, const char **ret_why)
{
	struct sign_request req;
	struct userauth u;
	const char *alg, *mismatch;
	int r;

	if ((r = open_request(msg, len, &req)) != 0)
		return refuse(r, "the request does not parse", ret_why);
	if (!same(req.key, req.key_len, grant->key, grant->key_len))
		return refuse(ERR_DENIED, "another key than the granted one", ret_why);
	alg = algorithm(grant->key_type, req.flags);
	if (alg == NULL)
		return refuse(ERR_DENIED, "flags that do not fit the key", ret_why);
	if ((r = open_userauth(req.data, req.data_len, &u)) != 0)
		return refuse(r, "the data is not a userauth request", ret_why);
	mismatch = find_mismatch(grant, &u, alg);
	if (mismatch != NULL)
		return refuse(ERR_DENIED, mismatch, ret_why);
	*ret_data = req.data;
	*ret_data_len = req.data_len;
	*ret_alg = alg;
	return 0;
}
