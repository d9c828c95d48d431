/*
 * The agent protocol on a forwarded agent (RFC 9987): the target asks, the user's agent answers, in order. A request to
 * sign is the remark "agent-sign", "SHA256:... signed", "... refused" or "... unanswered", when its answer has come or the
 * channel is over. Everything is kept as it is.
 */
#include "config.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/hash.h"
#include "lib/str.h"
#include "policy/policy_proto.h"
#include "recorder/watch_priv.h"

#define MESSAGE_MAX 262144u /* bytes; what OpenSSH's agent takes and gives */
#define KEY_MAX 16384u	    /* bytes of a key blob; certificates are the long ones */
/* What is found out about the stream: positive, so that no answer of a sink is taken for it. */
enum { ODD_FORM = 1, ODD_LENGTH, ODD_ANSWER };
#define HEAD_MAX (1u + 4u + KEY_MAX)

enum { AGENTC_SIGN_REQUEST = 13, AGENT_SIGN_RESPONSE = 14 };

/* A message of one way as it comes. */
struct message {
	uint8_t size[4];
	size_t n_size;	   /* bytes of its length that came */
	uint32_t len, got; /* bytes of it, and those that came */
	uint8_t *head;	   /* owned: the first of them, */
	size_t head_max;   /* at most so many */
};

/* A request that waits for its answer. */
struct request {
	STAILQ_ENTRY(request) next;
	bool sign;
	char key[HASH_FINGERPRINT_SIZE];
};

struct agent {
	struct message asked, answered;
	STAILQ_HEAD(, request) waiting;
	size_t n_waiting;
};

/* What of a certificate is its key: n strings after the nonce, under the plain type's name. */
static const struct cert_type {
	const char *name, *plain;
	unsigned n;
} cert_types[] = {
	{ "ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", 1 },
	{ "ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256", 2 },
	{ "ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp384", 2 },
	{ "ecdsa-sha2-nistp521-cert-v01@openssh.com", "ecdsa-sha2-nistp521", 2 },
	{ "ssh-rsa-cert-v01@openssh.com", "ssh-rsa", 2 },
	{ "ssh-dss-cert-v01@openssh.com", "ssh-dss", 4 },
	{ "sk-ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519@openssh.com", 2 },
	{ "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", 3 },
};

static int
start(struct watch *w, const char *command)
{
	struct agent *a = calloc(1, sizeof(*a));

	(void)command;
	if (a == NULL)
		return -ENOMEM;
	STAILQ_INIT(&a->waiting);
	w->state = a;
	a->asked.head_max = HEAD_MAX;
	a->answered.head_max = 1;
	if ((a->asked.head = malloc(HEAD_MAX)) == NULL ||
	    (a->answered.head = malloc(a->answered.head_max)) == NULL)
		return -ENOMEM;
	return 0;
}

static void
drop_first(struct agent *a)
{
	struct request *q = STAILQ_FIRST(&a->waiting);

	STAILQ_REMOVE_HEAD(&a->waiting, next);
	a->n_waiting--;
	free(q);
}

static void
stop(struct watch *w)
{
	struct agent *a = w->state;

	if (a == NULL)
		return;
	while (!STAILQ_EMPTY(&a->waiting))
		drop_first(a);
	free(a->asked.head);
	free(a->answered.head);
	free(a);
}

static const struct cert_type *
find_cert_type(const uint8_t *name, size_t len)
{
	for (size_t i = 0; i < sizeof(cert_types) / sizeof(cert_types[0]); i++)
		if (strlen(cert_types[i].name) == len && memcmp(cert_types[i].name, name, len) == 0)
			return &cert_types[i];
	return NULL;
}

/* The key in a certificate as a blob of its own. 0; ERR_FORMAT; ERR_LIMIT; -ENOMEM. */
static int
plain_key(const struct cert_type *t, struct buf *cert, struct buf *plain)
{
	const uint8_t *p;
	size_t len;
	int r;

	if ((r = buf_get_str(cert, &p, &len)) != 0) /* the nonce */
		return r;
	if ((r = buf_put_cstr(plain, t->plain)) != 0)
		return r;
	for (unsigned i = 0; i < t->n; i++)
		if ((r = buf_get_str(cert, &p, &len)) != 0 || (r = buf_put_str(plain, p, len)) != 0)
			return r;
	return 0;
}

/* The fingerprint that ssh-add -l shows: of a certificate, that of the key in it. 0; ERR_FORMAT; -ENOMEM. */
static int
fingerprint(const uint8_t *blob, size_t len, char *dst)
{
	const struct cert_type *t;
	struct buf *b = NULL, *plain = NULL;
	const uint8_t *name;
	size_t name_len;
	int r = -ENOMEM;

	if ((b = buf_view(blob, len)) == NULL || (plain = buf_new(KEY_MAX)) == NULL)
		goto out;
	if ((r = buf_get_str(b, &name, &name_len)) != 0)
		goto out;
	if ((t = find_cert_type(name, name_len)) == NULL) {
		hash_fingerprint(dst, blob, len);
	} else {
		if ((r = plain_key(t, b, plain)) != 0)
			goto out;
		hash_fingerprint(dst, buf_ptr(plain), buf_len(plain));
	}
	r = 0;
out:
	buf_free(b);
	buf_free(plain);
	return r;
}

/* The key that a request to sign names. 0; ODD_FORM; ODD_LENGTH; -ENOMEM. */
static int
read_sign_request(const struct message *m, size_t head_len, char *dst)
{
	struct buf *b = buf_view(m->head + 1, head_len - 1);
	const uint8_t *blob;
	size_t len;
	int r;

	if (b == NULL)
		return -ENOMEM;
	if ((r = buf_get_str(b, &blob, &len)) == 0)
		r = fingerprint(blob, len, dst);
	else if (m->len > head_len)
		r = ERR_LIMIT; /* the blob is cut */
	buf_free(b);
	return r == ERR_FORMAT ? ODD_FORM : r == ERR_LIMIT ? ODD_LENGTH : r;
}

static int
on_request(struct watch *w, const struct message *m)
{
	struct agent *a = w->state;
	size_t head_len = m->len < m->head_max ? m->len : m->head_max;
	struct request *q;
	int r = 0;

	if (a->n_waiting == WATCH_PENDING_MAX)
		return ODD_LENGTH;
	if ((q = calloc(1, sizeof(*q))) == NULL)
		return -ENOMEM;
	q->sign = m->head[0] == AGENTC_SIGN_REQUEST;
	if (q->sign && (r = read_sign_request(m, head_len, q->key)) != 0) {
		free(q);
		return r;
	}
	STAILQ_INSERT_TAIL(&a->waiting, q, next);
	a->n_waiting++;
	return 0;
}

static int
tell(struct watch *w, const struct request *q, const char *how)
{
	char text[HASH_FINGERPRINT_SIZE + 16];
	int r;

	if (!q->sign)
		return 0;
	if ((r = str_format(text, sizeof(text), "%s %s", q->key, how)) != 0)
		return r;
	return watch_remark(w, "agent-sign", text);
}

static int
on_answer(struct watch *w, const struct message *m)
{
	struct agent *a = w->state;
	int r;

	if (STAILQ_EMPTY(&a->waiting))
		return ODD_ANSWER;
	r = tell(
	    w, STAILQ_FIRST(&a->waiting), m->head[0] == AGENT_SIGN_RESPONSE ? "signed" : "refused");
	drop_first(a);
	return r;
}

/*
 * Take bytes into a message, at most to its end. Returns how many were taken; 0: its length cannot be.
 */
static size_t
take(struct message *m, const uint8_t *p, size_t len)
{
	size_t n;

	if (m->n_size < sizeof(m->size)) {
		m->size[m->n_size++] = *p;
		if (m->n_size < sizeof(m->size))
			return 1;
		m->len = (uint32_t)m->size[0] << 24 | (uint32_t)m->size[1] << 16 |
			 (uint32_t)m->size[2] << 8 | m->size[3];
		m->got = 0;
		return m->len == 0 || m->len > MESSAGE_MAX ? 0 : 1;
	}
	n = len < m->len - m->got ? len : m->len - m->got;
	if (m->got < m->head_max)
		memcpy(m->head + m->got, p, n < m->head_max - m->got ? n : m->head_max - m->got);
	m->got += (uint32_t)n;
	return n;
}

/* What a failure of a message's reader means: the stream cannot be followed, or an error of ours. */
static int
judge(struct watch *w, enum event_way way, const uint8_t *p, size_t len, int r)
{
	switch (r) {
	case ODD_FORM:
		return watch_lost(w, way, p, len, "not the agent protocol");
	case ODD_LENGTH:
		return watch_lost(w, way, p, len, "too many agent requests, or too long a key");
	case ODD_ANSWER:
		return watch_lost(w, way, p, len, "an agent's answer that nobody asked for");
	default:
		return r;
	}
}

static int
data(struct watch *w, enum event_way way, const uint8_t *p, size_t len)
{
	struct agent *a = w->state;
	struct message *m = way == EVENT_FRONT ? &a->answered : &a->asked;
	size_t n;
	int r;

	while (len > 0) {
		if ((n = take(m, p, len)) == 0)
			return judge(w, way, p, len, ODD_FORM);
		if (m->n_size == sizeof(m->size) && m->got == m->len) {
			m->n_size = 0;
			r = way == EVENT_FRONT ? on_answer(w, m) : on_request(w, m);
			if (r != 0)
				return judge(w, way, p, len, r);
		}
		if ((r = watch_plain(w, way, p, n)) != 0)
			return r;
		p += n;
		len -= n;
	}
	return 0;
}

static int
end(struct watch *w)
{
	struct agent *a = w->state;
	int r = 0;

	while (r == 0 && !STAILQ_EMPTY(&a->waiting)) {
		r = tell(w, STAILQ_FIRST(&a->waiting), "unanswered");
		drop_first(a);
	}
	return r;
}

const struct watch_kind watch_agent = { POL_STREAM_AGENT, start, stop, data, end, NULL };
