/* Frames that policy is asked about: held until the answer, and what it makes of them. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/str.h"
#include "policy/policy_proto.h"
#include "recorder/recorder.h"
#include "recorder/recorder_link.h"

/* Held. */

static void
deny_held(struct end *e, const char *text)
{
	struct leg_verdict v = {
		.verdict = POL_DENY, .text = (const uint8_t *)text, .text_len = strlen(text)
	};

	leg_verdict(e->leg->rec, e->leg->id, e->held.ask, &v);
}

/* POL_ASK, and what of the frame does not fit into it. */
static int
put_ask(struct end *e, const struct buf *head, const uint8_t *data, size_t len)
{
	struct ipc *policy = e->leg->rec->policy;
	size_t n = len < LINK_REQUEST_PART ? len : LINK_REQUEST_PART;
	struct buf *b = buf_new(IPC_MAX);
	int r = policy == NULL ? ERR_PEER_GONE : -ENOMEM;

	if (policy != NULL && b != NULL && (r = buf_put(b, buf_ptr(head), buf_len(head))) == 0 &&
	    (r = buf_put_str(b, data, n)) == 0)
		r = ipc_send_buf(policy, POL_ASK, e->leg->id, b);
	buf_free(b);
	while (r == 0 && n == LINK_REQUEST_PART) {
		data += n;
		len -= n;
		n = len < LINK_REQUEST_PART ? len : LINK_REQUEST_PART;
		r = ipc_send(policy, POL_ASK_MORE, e->leg->id, data, n);
	}
	return r;
}

int
leg_hold(struct end *e, uint16_t type, uint32_t channel, const uint8_t *data, size_t len)
{
	struct recorder *rec = e->leg->rec;
	struct buf *b = buf_new(16);
	uint8_t *copy = malloc(len + 1);
	int r = -ENOMEM;

	if (b == NULL || copy == NULL)
		goto out;
	if (++rec->next_ask == 0)
		rec->next_ask = 1;
	if ((r = buf_put_u32(b, rec->next_ask)) != 0 || (r = buf_put_u32(b, channel)) != 0 ||
	    (r = buf_put_u8(b, e->side == LEDGER_BACK)) != 0 || (r = buf_put_u16(b, type)) != 0)
		goto out;
	memcpy(copy, data, len);
	e->held = (struct held){
		.ask = rec->next_ask, .type = type, .channel = channel, .data = copy, .len = len
	};
	copy = NULL;
	rec->n_asks++;
	leg_update(e);
	if (put_ask(e, b, data, len) != 0)
		deny_held(e, LINK_NO_POLICY);
out:
	buf_free(b);
	free(copy);
	return r;
}

/* Verdicts. */

/* The mark that says in the record what policy, or the ledger, answered. */
static int
mark_verdict(
    struct end *e, const struct held *h, uint8_t verdict, const uint8_t *text, size_t text_len)
{
	struct buf *b = buf_new(EVENT_DATA_MAX);
	const uint8_t *asked;
	size_t asked_len;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = ledger_asked(h->type, h->data, h->len, &asked, &asked_len)) == 0 &&
	    (r = buf_put_u8(b, (uint8_t)leg_way_from(e))) == 0 &&
	    (r = buf_put_u8(b, (uint8_t)h->type)) == 0 && (r = buf_put_u8(b, verdict)) == 0 &&
	    (r = buf_put_str(b, asked, asked_len)) == 0 &&
	    (r = buf_put_str(b, text, text_len)) == 0)
		r = leg_record(
		    e->leg, EVENT_TO_FRONT, EVENT_VERDICT, h->channel, buf_ptr(b), buf_len(b));
	buf_free(b);
	return r;
}

/* LINK_NOTE_VERDICT for the front, which shows it to the user. */
static int
say_verdict(struct leg *leg, uint32_t channel, uint8_t verdict, const uint8_t *asked,
    size_t asked_len, const uint8_t *text, size_t text_len)
{
	struct buf *b = buf_new(EVENT_DATA_MAX);
	int r = -ENOMEM;

	if (b != NULL && (r = buf_put_u8(b, LINK_NOTE_VERDICT)) == 0 &&
	    (r = buf_put_u32(b, channel)) == 0 && (r = buf_put_u8(b, verdict)) == 0 &&
	    (r = buf_put_str(b, asked, asked_len)) == 0 &&
	    (r = buf_put_str(b, text, text_len)) == 0)
		r = leg_say(&leg->ends[LEDGER_FRONT], LINK_NOTE, channel, buf_ptr(b), buf_len(b));
	buf_free(b);
	return r;
}

static int
note_verdict(struct end *e, uint8_t verdict, const uint8_t *text, size_t text_len)
{
	const struct held *h = &e->held;
	const uint8_t *asked;
	size_t asked_len;
	int r = ledger_asked(h->type, h->data, h->len, &asked, &asked_len);

	if (r != 0)
		return r;
	return say_verdict(e->leg, h->channel, verdict, asked, asked_len, text, text_len);
}

int
leg_tell(struct leg *leg, uint32_t channel, const char *what, const char *text)
{
	return say_verdict(leg, channel, POL_DENY, (const uint8_t *)what, strlen(what),
	    (const uint8_t *)text, strlen(text));
}

/* The failure that the other end would have answered: number, zero. */
static int
answer_failure(struct end *e, const struct held *h, uint8_t reply_type)
{
	const uint8_t *name;
	uint8_t answer[5];
	size_t name_len;

	if (ledger_asked(h->type, h->data, h->len, &name, &name_len) != 0 ||
	    h->data[8 + name_len] == 0)
		return 0;
	memcpy(answer, h->data, 4);
	answer[4] = 0;
	return leg_say(e, reply_type, h->channel, answer, sizeof(answer));
}

/* "env NAME" is what was refused. */
static void
audit_denied(struct end *e, const struct held *h, const char *why)
{
	struct buf *b = buf_view(h->data, h->len);
	const uint8_t *asked, *name;
	size_t asked_len, name_len;
	char what[160];

	if (b != NULL && buf_skip(b, 4) == 0 && buf_get_str(b, &asked, &asked_len) == 0 &&
	    buf_skip(b, 1) == 0 && buf_get_str(b, &name, &name_len) == 0) {
		(void)snprintf(what, sizeof(what), "%.*s ", (int)(asked_len < 32 ? asked_len : 32),
		    (const char *)asked);
		str_escape(
		    what + strlen(what), sizeof(what) - strlen(what), (const char *)name, name_len);
		leg_audit_refused(e, what, why);
	}
	buf_free(b);
}

/* Every client sends some variables that do not cross, so the user hears nothing of it. */
int
leg_deny(struct end *e, uint32_t channel, const uint8_t *data, size_t len, const char *why)
{
	/* Both functions only read it. */
	const struct held h = { .type = LINK_REQUEST,
		.channel = channel,
		.data = (uint8_t *)(uintptr_t)data,
		.len = len };
	int r = mark_verdict(e, &h, POL_DENY, (const uint8_t *)why, strlen(why));

	audit_denied(e, &h, why);
	return r != 0 ? r : answer_failure(e, &h, LINK_REPLY);
}

static int
deny_open(struct end *e, const uint8_t *text, size_t text_len)
{
	struct buf *b = buf_new(EVENT_DATA_MAX);
	int r = -ENOMEM;

	ledger_refuse(e->leg->ledger, e->held.channel);
	if (b == NULL)
		return r;
	/* RFC 4254 section 5.1: 1 is SSH_OPEN_ADMINISTRATIVELY_PROHIBITED. */
	if ((r = buf_put_u32(b, 1)) == 0 && (r = buf_put_str(b, text, text_len)) == 0)
		r = leg_say(e, LINK_OPEN_FAIL, e->held.channel, buf_ptr(b), buf_len(b));
	buf_free(b);
	return r;
}

static int
deny(struct end *e, const uint8_t *text, size_t text_len)
{
	int r;

	switch (e->held.type) {
	case LINK_OPEN:
		return deny_open(e, text, text_len);
	case LINK_GLOBAL: /* its failure says nothing of why */
		r = e->side == LEDGER_FRONT ? note_verdict(e, POL_DENY, text, text_len) : 0;
		return r != 0 ? r : answer_failure(e, &e->held, LINK_GLOBAL_REPLY);
	default:
		if (e->side == LEDGER_BACK)
			return answer_failure(e, &e->held, LINK_REPLY);
		return note_verdict(e, POL_DENY, text, text_len);
	}
}

/* What crosses instead must be an answer to the same request. */
static int
replace(struct end *e, const uint8_t *text, size_t text_len, const uint8_t *data, size_t len)
{
	const struct held *h = &e->held;
	const uint8_t *name;
	size_t name_len;
	int r;

	if (len > EVENT_DATA_MAX || ledger_asked(h->type, data, len, &name, &name_len) != 0 ||
	    (h->type != LINK_OPEN && (len < 9 + name_len || memcmp(data, h->data, 4) != 0)))
		return ERR_FORMAT;
	if ((r = leg_say(leg_opposite(e), (uint8_t)h->type, h->channel, data, len)) != 0 ||
	    h->type != LINK_REQUEST || e->side != LEDGER_FRONT)
		return r;
	return note_verdict(e, POL_REPLACE, text, text_len);
}

/* What crosses is read by terms: of a program of the client's, or of a channel. */
static int
read_by(struct end *e, const uint8_t *payload, size_t payload_len, const uint8_t *terms,
    size_t terms_len)
{
	const struct held *h = &e->held;
	const uint8_t *name;
	size_t name_len;

	if (h->type == LINK_GLOBAL || (h->type == LINK_REQUEST && e->side != LEDGER_FRONT) ||
	    ledger_asked(h->type, payload, payload_len, &name, &name_len) != 0)
		return 0;
	/* Requests that are no program (a terminal, an agent) come without terms and change nothing. */
	if (terms_len == 0 && stream_find(e->leg, h->channel) == NULL)
		return 0;
	if (terms_len == 0 && !ledger_is_program(name, name_len))
		return 0;
	return stream_begin(e->leg, h->channel, h->type, payload, payload_len, terms, terms_len);
}

static int
follow_terminal(struct end *e, const uint8_t *payload, size_t len)
{
	if (e->held.type != LINK_REQUEST || e->side != LEDGER_FRONT)
		return 0;
	return typed_request(e->leg, e->held.channel, payload, len);
}

static int
apply(struct end *e, const struct leg_verdict *v)
{
	bool replaced = v->verdict == POL_REPLACE;
	const struct held *h = &e->held;
	int r;

	if ((r = mark_verdict(e, h, v->verdict, v->text, v->text_len)) != 0)
		return r;
	/* The channel was closed meanwhile, on both sides. */
	if (ledger_is_cut(e->leg->ledger, h->channel))
		return 0;
	if (v->verdict == POL_ALLOW || replaced) {
		const uint8_t *payload = replaced ? v->replacement : h->data;
		size_t len = replaced ? v->replacement_len : h->len;

		if ((r = read_by(e, payload, len, v->terms, v->terms_len)) != 0 ||
		    (r = follow_terminal(e, payload, len)) != 0)
			return r;
	}
	switch (v->verdict) {
	case POL_ALLOW:
		return leg_send(e, h->type, h->channel, h->data, h->len);
	case POL_REPLACE:
		return replace(e, v->text, v->text_len, v->replacement, v->replacement_len);
	default:
		return deny(e, v->text, v->text_len);
	}
}

/*
 * A program that is read by terms is read from its first byte. What was sent before it was asked for waits for it at the back,
 * unread and held to no rule: then it does not start.
 */
static void
deny_early(struct end *e, struct leg_verdict *v)
{
	static const char text[] = "data was sent ahead of the request, which cannot be read then";

	if (v->verdict == POL_DENY || v->terms_len == 0 || e->held.type != LINK_REQUEST ||
	    !ledger_is_early(e->leg->ledger, e->held.channel))
		return;
	leg_audit(e->leg, "file.refused", "request", text);
	*v = (struct leg_verdict){
		.verdict = POL_DENY, .text = (const uint8_t *)text, .text_len = sizeof(text) - 1
	};
}

void
leg_verdict(struct recorder *rec, uint32_t id, uint32_t ask, const struct leg_verdict *verdict)
{
	struct leg *leg = leg_find(rec, id);
	struct leg_verdict v = *verdict;
	struct end *e;
	int r;

	if (leg == NULL || ask == 0 || leg->session == NULL || rec->failed)
		return;
	e = &leg->ends[leg->ends[0].held.ask == ask ? 0 : 1];
	if (e->held.ask != ask)
		return;
	/* What policy says is short; a long text would not fit the event. */
	if (v.text_len > LINK_TEXT_MAX)
		v.text_len = LINK_TEXT_MAX;
	deny_early(e, &v);
	r = apply(e, &v);
	free(e->held.data);
	e->held = (struct held){ 0 };
	if (r != 0 && !rec->failed)
		leg_end(leg, LINK_END_INTERNAL,
		    "the session was ended: policy's answer could not be carried out", "");
	leg_update(e);
}

void
leg_deny_all(struct recorder *rec, const char *text)
{
	struct leg *leg;

	TAILQ_FOREACH (leg, &rec->legs, link)
		for (int i = 0; i < 2; i++)
			if (leg->ends[i].held.ask != 0)
				deny_held(&leg->ends[i], text);
}
