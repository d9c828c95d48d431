/* Questions and their answers: one at a time, in the order in which they were asked. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/shell/shell.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/policy_proto.h"
#include "recorder/recorder_proto.h"

#define NO_POLICY "the bastion's policy was restarted: please connect again"

static int
put_policy(struct shell *s, const struct ask *a)
{
	struct buf *b = buf_new(1024);
	int r = s->policy == NULL ? ERR_PEER_GONE : -ENOMEM;

	if (r != ERR_PEER_GONE && b != NULL &&
	    (a->kind == ASK_CONNECT || (r = buf_put_cstr(b, a->verb)) == 0) &&
	    (r = buf_put_cstr(b, a->what)) == 0)
		r = ipc_send_buf(
		    s->policy, a->kind == ASK_CONNECT ? POL_SHELL_CONNECT : POL_SHELL_ASK, 0, b);
	buf_free(b);
	return r;
}

static int
put_sessions(struct shell *s)
{
	return s->broker == NULL ? ERR_PEER_GONE
				 : ipc_send(s->broker, BRK_SHELL_SESSIONS, 0, NULL, 0);
}

/* The first question has its answer. The one behind it; NULL: there is none. */
static struct ask *
finish(struct shell *s, struct ask *a, uint8_t code, const char *text, size_t len, uint32_t leg)
{
	struct ask *next;

	if (a->done != NULL)
		a->done(a->arg, code, text, len, leg);
	if (leg != 0)
		s->answered = leg;
	/* A leg that was granted to somebody who is gone, or that was refused at once. */
	if (s->early.leg != 0 && (leg == s->early.leg || a->kind == ASK_CONNECT)) {
		if (s->early.fd >= 0)
			relay_decline(s->early.fd);
		s->early = (struct shell_early){ .fd = -1 };
	}
	next = TAILQ_NEXT(a, link);
	TAILQ_REMOVE(&s->asks, a, link);
	free(a);
	return next;
}

/* The question that is the first now, to whom it is for; when they are gone, to the next. a: NULL when there is none. */
static void
put_first(struct shell *s, struct ask *a)
{
	for (;;) {
		buf_reset(s->answer);
		buf_shrink(s->answer, 65536);
		s->n_items = 0;
		s->in_item = false;
		if (a == NULL ||
		    (a->kind == ASK_SESSIONS ? put_sessions(s) : put_policy(s, a)) == 0)
			return;
		a = finish(s, a, 3, NO_POLICY, strlen(NO_POLICY), 0);
	}
}

int
ask_new(struct shell *s, enum ask_kind kind, const char *verb, const char *what, ask_fn done,
    void *arg, struct ask **ret_ask)
{
	struct ask *a = calloc(1, sizeof(*a));
	int r;

	if (a == NULL)
		return -ENOMEM;
	if ((r = str_copy(a->verb, sizeof(a->verb), verb)) != 0 ||
	    (r = str_copy(a->what, sizeof(a->what), what)) != 0) {
		free(a);
		return r;
	}
	a->kind = kind;
	a->done = done;
	a->arg = arg;
	*ret_ask = a;
	TAILQ_INSERT_TAIL(&s->asks, a, link);
	if (TAILQ_FIRST(&s->asks) == a)
		put_first(s, a);
	return 0;
}

void
ask_forget(struct ask *a)
{
	if (a != NULL)
		a->done = NULL;
}

void
ask_done(struct shell *s, uint8_t code, const char *text, size_t len, uint32_t leg)
{
	struct ask *a = TAILQ_FIRST(&s->asks);

	if (a != NULL)
		put_first(s, finish(s, a, code, text, len, leg));
}

static int
add_part(struct shell *s, const uint8_t *p, size_t len)
{
	return buf_put(s->answer, p, len);
}

/* id 1: more of it follows. */
int
ask_on_answer(void *arg, struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	struct shell *s = arg;
	const struct ask *a = TAILQ_FIRST(&s->asks);
	const uint8_t *p;
	uint8_t code;
	size_t len;
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_u8(b, &code)) == 0 && (r = buf_get_str(b, &p, &len)) == 0 &&
	    (r = buf_end(b)) == 0 && (a == NULL || a->kind != ASK_POLICY || code > 3))
		r = ERR_ORDER;
	if (r == 0 && (r = add_part(s, p, len)) == 0 && msg->id == 0)
		ask_done(s, code, (const char *)buf_ptr(s->answer), buf_len(s->answer), 0);
	buf_free(b);
	return r;
}

int
ask_on_connected(void *arg, struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	struct shell *s = arg;
	const struct ask *a = TAILQ_FIRST(&s->asks);
	const uint8_t *p;
	uint32_t leg;
	size_t len;
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_u32(b, &leg)) == 0 && (r = buf_get_str(b, &p, &len)) == 0 &&
	    (r = buf_end(b)) == 0 && (a == NULL || a->kind != ASK_CONNECT))
		r = ERR_ORDER;
	if (r == 0)
		ask_done(s, leg != 0 ? 0 : 1, (const char *)p, len, leg);
	buf_free(b);
	return r;
}

/* A reader of the store, limited to the sessions of this person by the broker. */

static void
reader_free(struct shell *s)
{
	ipc_free(s->reader);
	s->reader = NULL;
}

static int
put_text(struct buf *b, const char *text)
{
	return buf_put(b, text, strlen(text));
}

static int
on_item(void *arg, struct ipc_msg *msg)
{
	static const uint8_t more[4] = { 0, 0, 0, RD_WINDOW / 2 };
	struct shell *s = arg;
	int r = 0;

	if (!s->in_item)
		r = put_text(s->answer, s->n_items == 0 ? "[\n" : ",\n");
	s->in_item = msg->id != 0; /* more of it follows */
	s->n_items += !s->in_item;
	if (r == 0)
		r = buf_put(s->answer, msg->data, msg->len);
	if (r == 0 && ++s->read_more == RD_WINDOW / 2) {
		s->read_more = 0;
		r = ipc_send(s->reader, RD_MORE, 0, more, sizeof(more));
		/* It may have said all there is, and gone: that can still be read. */
		if (r == ERR_PEER_GONE)
			r = 0;
	}
	return r;
}

static int
on_reader_end(void *arg, struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	struct shell *s = arg;
	const uint8_t *p;
	uint8_t code;
	size_t len;
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_u8(b, &code)) == 0 && (r = buf_get_str(b, &p, &len)) == 0 &&
	    (r = buf_end(b)) == 0) {
		reader_free(s);
		if (code != 0)
			ask_done(s, 3, (const char *)p, len, 0);
		else if ((r = put_text(s->answer, s->n_items > 0 ? "\n]" : "[]")) == 0)
			ask_done(s, s->n_items > 0 ? 0 : 1, (const char *)buf_ptr(s->answer),
			    buf_len(s->answer), 0);
	}
	buf_free(b);
	return r;
}

static const struct ipc_rule reader_rules[] = {
	{ RD_ITEM, "item", 1, IPC_MAX, 0, IPC_ANY_STATE, on_item },
	{ RD_END, "end", 5, IPC_MAX, 0, IPC_ANY_STATE, on_reader_end },
};

static void
on_reader_gone(void *arg, int err)
{
	static const char line[] = "the recordings cannot be read now";
	struct shell *s = arg;

	log_warn("shell.reader_gone reason=\"%s\"", err_str(err));
	reader_free(s);
	ask_done(s, 3, line, sizeof(line) - 1, 0);
}

static bool
waits_for_edge(const struct shell *s)
{
	const struct ask *a = TAILQ_FIRST(&s->asks);

	return a != NULL && a->kind == ASK_SESSIONS && s->reader == NULL;
}

int
ask_on_edge(void *arg, struct ipc_msg *msg)
{
	struct shell *s = arg;
	const struct ipc_conf conf = { .name = "shell-reader",
		.rules = reader_rules,
		.n_rules = sizeof(reader_rules) / sizeof(reader_rules[0]),
		.arg = s,
		.gone = on_reader_gone };
	int r;

	if (!waits_for_edge(s))
		return ERR_ORDER;
	s->read_more = 0;
	if ((r = ipc_new(s->loop, msg->fds[0], &conf, &s->reader)) == 0)
		msg->fds[0] = -1;
	return r;
}

int
ask_on_no_edge(void *arg, struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	struct shell *s = arg;
	const uint8_t *p;
	size_t len;
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_str(b, &p, &len)) == 0 && (r = buf_end(b)) == 0 &&
	    !waits_for_edge(s))
		r = ERR_ORDER;
	if (r == 0)
		ask_done(s, 3, (const char *)p, len, 0);
	buf_free(b);
	return r;
}

void
ask_peer_gone(struct shell *s)
{
	const struct ask *a = TAILQ_FIRST(&s->asks);

	if (a == NULL || s->ended)
		return;
	if (a->kind == ASK_SESSIONS ? s->broker == NULL && s->reader == NULL : s->policy == NULL)
		ask_done(s, 3, NO_POLICY, strlen(NO_POLICY), 0);
}

void
ask_free(struct shell *s)
{
	struct ask *a;

	while ((a = TAILQ_FIRST(&s->asks)) != NULL) {
		TAILQ_REMOVE(&s->asks, a, link);
		free(a);
	}
}
