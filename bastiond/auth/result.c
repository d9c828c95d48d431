/* What policy is told, once. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "bastiond/auth/auth.h"
#include "bastiond/auth/stack.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/policy_proto.h"

#define GROUP_MAX 255u /* bytes of a group's name */

struct part {
	const uint8_t *p;
	size_t len;
};

struct result {
	uint8_t kind;
	struct part said, user, subject;
	struct part group[POL_PAM_GROUPS_MAX];
	uint32_t n_groups;
};

/* Split at the commas; empty ones are nothing. 0; ERR_LIMIT: more or longer than anybody means. */
static int
result_split(struct result *o, struct part all)
{
	if (all.len > STACK_GROUPS_MAX)
		return ERR_LIMIT;
	while (all.len > 0) {
		const uint8_t *comma = memchr(all.p, ',', all.len);
		size_t len = comma != NULL ? (size_t)(comma - all.p) : all.len;
		size_t used = comma != NULL ? len + 1 : len;

		if (len > 0 && (len > GROUP_MAX || o->n_groups >= POL_PAM_GROUPS_MAX))
			return ERR_LIMIT;
		if (len > 0)
			o->group[o->n_groups++] = (struct part){ all.p, len };
		all.p += used;
		all.len -= used;
	}
	return 0;
}

static int
result_put(struct buf *b, const struct auth *a, const struct result *o)
{
	static const char *const stages[] = { "start", "authenticate", "account" };
	char said[256];
	int r;

	str_escape(said, sizeof(said), o->said.p, o->said.len);
	if ((r = buf_put_u8(b, o->kind)) != 0 || (r = buf_put_cstr(b, stages[a->stage])) != 0 ||
	    (r = buf_put_cstr(b, said)) != 0 || (r = buf_put_str(b, o->user.p, o->user.len)) != 0 ||
	    (r = buf_put_u32(b, o->n_groups)) != 0)
		return r;
	for (uint32_t i = 0; r == 0 && i < o->n_groups; i++)
		r = buf_put_str(b, o->group[i].p, o->group[i].len);
	return r != 0 ? r : buf_put_str(b, o->subject.p, o->subject.len);
}

/* Unheard: the broker says that we have ended, and nothing was said before, so nobody is let in. */
static void
result_tell(struct auth *a, const struct result *o)
{
	struct buf *b = buf_new(IPC_MAX);
	int r = -ENOMEM;

	a->told = true;
	if (a->policy != NULL && b != NULL && (r = result_put(b, a, o)) == 0)
		r = ipc_send_buf(a->policy, POL_PAM_RESULT, 0, b);
	if (r != 0)
		log_debug("auth.result_unheard reason=\"%s\"", err_str(r));
	buf_free(b);
}

static struct part
part_of(const char *s)
{
	return (struct part){ (const uint8_t *)s, strlen(s) };
}

void
auth_tell(struct auth *a, uint8_t kind, const char *said)
{
	struct result o = { .kind = kind, .said = part_of(said) };

	o.user = o.subject = part_of("");
	if (!a->told)
		result_tell(a, &o);
}

static int
result_parse(struct buf *b, struct result *o, struct part *ret_groups)
{
	int r;

	if ((r = buf_get_u8(b, &o->kind)) != 0 ||
	    (r = buf_get_str(b, &o->said.p, &o->said.len)) != 0 ||
	    (r = buf_get_str(b, &o->user.p, &o->user.len)) != 0 ||
	    (r = buf_get_str(b, &ret_groups->p, &ret_groups->len)) != 0 ||
	    (r = buf_get_str(b, &o->subject.p, &o->subject.len)) != 0)
		return r;
	if (o->kind < POL_PAM_OK || o->kind > POL_PAM_BROKEN)
		return ERR_FORMAT;
	return buf_end(b);
}

int
auth_on_result(void *arg, struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	struct auth *a = arg;
	struct result o = { .n_groups = 0 };
	struct part groups;
	int r = -ENOMEM;

	if (b == NULL || (r = result_parse(b, &o, &groups)) != 0)
		goto out;
	r = ERR_ORDER;
	if (a->told || a->asked)
		goto out;
	r = 0;
	/* All groups or none: a deny may hang on the one that is left out. */
	if (result_split(&o, groups) != 0)
		auth_tell(a, POL_PAM_BROKEN, "BASTION_GROUPS: too many or too long");
	else if (o.user.len > STACK_NAME_MAX || o.subject.len > STACK_NAME_MAX)
		auth_tell(a, POL_PAM_BROKEN, "PAM_USER or BASTION_SUBJECT is too long");
	else
		result_tell(a, &o);
	/* What is left of it is cleaning up. */
	loop_timer_arm(a->timer, AUTH_LAST_NS);
out:
	buf_free(b);
	return r;
}
