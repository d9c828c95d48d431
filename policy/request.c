/* The login request: every byte is accounted for, or it is no login request. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "lib/buf.h"
#include "policy/request.h"

#define SSH_MSG_USERAUTH_REQUEST 50

/* RFC 4252 section 7; the method name has been read. */
static int
parse_publickey(struct buf *b, size_t len, struct request *q)
{
	uint8_t has_sig;
	int r;

	q->is_publickey = true;
	if ((r = buf_get_u8(b, &has_sig)) != 0 ||
	    (r = buf_get_cstr(b, q->alg, sizeof(q->alg))) != 0 ||
	    (r = buf_get_str(b, &q->blob, &q->blob_len)) != 0)
		return r;
	if (has_sig > 1)
		return ERR_FORMAT;
	q->has_sig = has_sig == 1;
	if (q->has_sig) {
		q->signed_len = len - buf_len(b);
		if ((r = buf_get_str(b, &q->sig, &q->sig_len)) != 0)
			return r;
	}
	return buf_end(b);
}

int
request_parse(const uint8_t *msg, size_t len, struct request *ret_req)
{
	struct request q = { 0 };
	struct buf *b;
	uint8_t type;
	int r;

	if (len > REQUEST_MAX)
		return ERR_FORMAT;
	if ((b = buf_view(msg, len)) == NULL)
		return -ENOMEM;
	if ((r = buf_get_u8(b, &type)) != 0 ||
	    (r = type == SSH_MSG_USERAUTH_REQUEST ? 0 : ERR_FORMAT) != 0 ||
	    (r = buf_get_str(b, &q.user, &q.user_len)) != 0 ||
	    (r = buf_get_cstr(b, q.service, sizeof(q.service))) != 0 ||
	    (r = buf_get_cstr(b, q.method, sizeof(q.method))) != 0)
		goto out;
	/* "alice", NUL, "root" must not become alice anywhere. */
	if (memchr(q.user, '\0', q.user_len) != NULL) {
		r = ERR_FORMAT;
		goto out;
	}
	/* Other methods' fields are not ours to read: they fail whatever they say. */
	if (strcmp(q.method, "publickey") == 0 && (r = parse_publickey(b, len, &q)) != 0)
		goto out;
	*ret_req = q;
	r = 0;
out:
	buf_free(b);
	return r;
}
