/*
 * PAM conversations: the broker starts a bastiond-auth for each, which talks with the person on an edge that is none of ours, and
 * tells us how it came out. For a client that logs in, and for who is asked for a second factor in the bastion's own shell.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/serve_int.h"

#define START_MAX 4096u
#define TEXT_SIZE 600u	/* bytes of one text of PAM's, escaped */
#define GROUP_SIZE 256u /* bytes of a group's name with its NUL */
#define STAGE_SIZE 32u

/* Telling the broker. */

static void
tell(const struct serve_pam *p, uint16_t type, bool with_via)
{
	struct buf *b = buf_new(16);

	if (b == NULL || buf_put_u32(b, p->attempt) != 0 ||
	    (with_via && buf_put_u32(b, p->via) != 0))
		log_err("policy.broker_send type=%u reason=\"%s\"", type, err_str(-ENOMEM));
	else
		serve_tell(p->s, type, p->conn, b);
	buf_free(b);
}

static void
want(struct serve_pam *p, uint32_t *last_attempt)
{
	p->attempt = ++*last_attempt;
	p->state = SERVE_PAM_WANTED;
	tell(p, POL_WANT_AUTH, true);
}

void
serve_pam_init(struct serve_pam *p, struct serve *s, uint32_t conn, uint32_t via,
    void (*done)(struct serve_pam *p, const struct auth_pam *pam))
{
	*p = (struct serve_pam){ .s = s, .conn = conn, .via = via, .done = done };
}

/* One after the other: an old one that has not died yet has to, first. */
int
serve_pam_start(struct serve_pam *p, struct serve_conn *c, const char *user, const char *target,
    const char *proved)
{
	if (str_copy(p->user, sizeof(p->user), user) != 0 ||
	    str_copy(p->target, sizeof(p->target), target) != 0 ||
	    str_copy(p->proved, sizeof(p->proved), proved) != 0)
		return ERR_LIMIT;
	if (p->state == SERVE_PAM_IDLE) {
		want(p, &c->last_attempt);
		return 0;
	}
	tell(p, POL_STOP_AUTH, false);
	p->state = SERVE_PAM_WAITS;
	return 0;
}

static void
drop_edge(struct serve_pam *p)
{
	ipc_free(p->edge);
	p->edge = NULL;
}

void
serve_pam_stop(struct serve_pam *p)
{
	drop_edge(p);
	if (p->state == SERVE_PAM_IDLE)
		return;
	tell(p, POL_STOP_AUTH, false);
	p->state = SERVE_PAM_OVER;
}

void
serve_pam_free(struct serve_pam *p)
{
	drop_edge(p);
}

/* How it came out. */

static void
conclude(struct serve_pam *p, const struct auth_pam *pam)
{
	log_info("policy.pam conn=%u attempt=%u result=%d stage=%s", p->conn, p->attempt,
	    (int)pam->result, pam->stage);
	drop_edge(p);
	p->done(p, pam);
}

/* What PAM said, taken apart. The texts lead into it. */
struct told {
	uint8_t result;
	char stage[STAGE_SIZE], said[TEXT_SIZE], user[NAMES_FIELD_SIZE];
	char subject[PASS_SUBJECT_SIZE];
	char groups[POL_PAM_GROUPS_MAX][GROUP_SIZE];
	const char *list[POL_PAM_GROUPS_MAX];
	uint32_t n_groups;
};

/* Names go into rules, records and other people's terminals. */
static bool
is_plain(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

static int
get_groups(struct buf *b, struct told *t)
{
	int r = buf_get_u32(b, &t->n_groups);

	if (r != 0)
		return r;
	if (t->n_groups > POL_PAM_GROUPS_MAX)
		return ERR_FORMAT;
	for (uint32_t i = 0; i < t->n_groups; i++) {
		if ((r = buf_get_cstr(b, t->groups[i], GROUP_SIZE)) != 0)
			return r;
		if (t->groups[i][0] == '\0' || !is_plain(t->groups[i]))
			return ERR_FORMAT;
		t->list[i] = t->groups[i];
	}
	return 0;
}

static int
get_result(const struct ipc_msg *msg, struct told *t)
{
	struct buf *b = buf_view(msg->data, msg->len);
	const uint8_t *said = NULL;
	size_t len = 0;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_u8(b, &t->result)) == 0 &&
	    (r = buf_get_cstr(b, t->stage, sizeof(t->stage))) == 0 &&
	    (r = buf_get_str(b, &said, &len)) == 0 &&
	    (r = buf_get_cstr(b, t->user, sizeof(t->user))) == 0 && (r = get_groups(b, t)) == 0 &&
	    (r = buf_get_cstr(b, t->subject, sizeof(t->subject))) == 0)
		r = buf_end(b);
	if (r == 0) {
		str_escape(t->said, sizeof(t->said), said, len);
		if (t->result < POL_PAM_OK || t->result > POL_PAM_ABANDONED ||
		    !is_plain(t->stage) || !is_plain(t->subject))
			r = ERR_FORMAT;
	}
	buf_free(b);
	return r;
}

static int
on_result(void *arg, struct ipc_msg *msg)
{
	struct serve_pam *p = arg;
	struct told *t = calloc(1, sizeof(*t));
	int r = t == NULL ? -ENOMEM : get_result(msg, t);

	if (r == 0) {
		const struct auth_pam pam = { .result = (enum pol_pam)t->result,
			.stage = t->stage,
			.said = t->said,
			.user = t->user,
			.groups = t->list,
			.n_groups = t->n_groups,
			.subject = t->subject };

		p->state = SERVE_PAM_OVER;
		conclude(p, &pam);
	}
	free(t);
	return r;
}

static const struct ipc_rule auth_rules[] = {
	{ POL_PAM_RESULT, "pam-result", 21, IPC_MAX, 0, IPC_ANY_STATE, on_result },
};

/* It went before it said anything, or said what nobody says: how it ended is told by the broker. */
static void
on_edge_gone(void *arg, int err)
{
	struct serve_pam *p = arg;

	if (err != ERR_PEER_GONE) {
		log_warn("policy.auth_broken conn=%u attempt=%u reason=\"%s\"", p->conn, p->attempt,
		    err_str(err));
		tell(p, POL_STOP_AUTH, false);
	}
	drop_edge(p);
}

/* The broker's messages. */

/* The conversation of this number. NULL: nobody wants it any more. */
static struct serve_pam *
find(struct serve *s, uint32_t conn, uint32_t attempt)
{
	struct serve_conn *c = serve_conn_find(s, conn);

	if (c == NULL)
		return NULL;
	if (c->pam.attempt == attempt)
		return &c->pam;
	return serve_shell_pam(s, conn, attempt);
}

static int
put_start(struct buf *b, const struct serve_pam *p, const struct serve_conn *c)
{
	char source[NET_TEXT_SIZE];
	uint64_t longest = c->s->set != NULL ? c->s->set->pam_timeout_ns : 0;
	int r;

	net_text(source, sizeof(source), &c->source);
	if ((r = buf_put_cstr(b, p->user)) != 0 || (r = buf_put_cstr(b, source)) != 0 ||
	    (r = buf_put_u32(b, c->source_port)) != 0 || (r = buf_put_cstr(b, p->target)) != 0 ||
	    (r = buf_put_cstr(b, c->ref)) != 0 || (r = buf_put_cstr(b, p->proved)) != 0)
		return r;
	return buf_put_u64(b, longest);
}

static int
start(struct serve_pam *p, const struct serve_conn *c)
{
	struct buf *b = buf_new(START_MAX);
	int r = -ENOMEM;

	if (b != NULL && (r = put_start(b, p, c)) == 0)
		r = ipc_send_buf(p->edge, POL_PAM_START, 0, b);
	buf_free(b);
	return r;
}

int
serve_auth_edge(struct serve *s, struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	struct ipc_conf conf = { .name = "policy-auth",
		.rules = auth_rules,
		.n_rules = sizeof(auth_rules) / sizeof(auth_rules[0]),
		.gone = on_edge_gone };
	struct serve_pam *p;
	uint32_t attempt = 0;
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_u32(b, &attempt)) == 0)
		r = buf_end(b);
	buf_free(b);
	if (r != 0)
		return r;
	p = find(s, msg->id, attempt);
	if (p == NULL || p->state != SERVE_PAM_WANTED || p->edge != NULL)
		return 0; /* it was stopped meanwhile */
	conf.arg = p;
	if ((r = ipc_new(s->loop, msg->fds[0], &conf, &p->edge)) == 0) {
		msg->fds[0] = -1;
		r = start(p, serve_conn_find(s, msg->id));
	}
	if (r == 0)
		return 0;
	log_warn("policy.auth_unstarted conn=%u reason=\"%s\"", msg->id, err_str(r));
	drop_edge(p);
	tell(p, POL_STOP_AUTH, false);
	return 0;
}

/* It is dead: nothing that it could have said counts any more, and the next one may begin. */
static void
gone(struct serve_pam *p, const char *how)
{
	const struct auth_pam pam = { .result = strcmp(how, "timeout") == 0 ? POL_PAM_ABANDONED
									    : POL_PAM_BROKEN,
		.stage = "",
		.said = "",
		.user = "",
		.subject = "",
		.ended = how };
	struct serve_conn *c = serve_conn_find(p->s, p->conn);
	enum serve_pam_state was = p->state;

	drop_edge(p);
	p->state = SERVE_PAM_IDLE;
	if (was == SERVE_PAM_WANTED)
		conclude(p, &pam);
	else if (was == SERVE_PAM_WAITS && c != NULL)
		want(p, &c->last_attempt);
}

int
serve_auth_gone(struct serve *s, const struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	char how[64];
	const uint8_t *text = NULL;
	struct serve_pam *p;
	uint32_t attempt = 0;
	size_t len = 0;
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_u32(b, &attempt)) == 0 &&
	    (r = buf_get_str(b, &text, &len)) == 0 && (r = buf_end(b)) == 0)
		str_escape(how, sizeof(how), text, len);
	buf_free(b);
	if (r != 0)
		return r;
	if ((p = find(s, msg->id, attempt)) != NULL && p->state != SERVE_PAM_IDLE)
		gone(p, how);
	return 0;
}
