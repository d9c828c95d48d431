/* Frames of one leg on their way from one end to the other. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/policy_proto.h"
#include "recorder/recorder.h"
#include "recorder/recorder_link.h"
#include "recorder/sess.h"

static const char *const side_names[] = { "front", "back" };

struct end *
leg_opposite(struct end *e)
{
	return &e->leg->ends[e->side == LEDGER_FRONT ? LEDGER_BACK : LEDGER_FRONT];
}

/* The way of the recorder's own frames towards an end. */
static enum event_way
way_to(const struct end *e)
{
	return e->side == LEDGER_FRONT ? EVENT_TO_FRONT : EVENT_TO_BACK;
}

enum event_way
leg_way_from(const struct end *e)
{
	return e->side == LEDGER_FRONT ? EVENT_FRONT : EVENT_BACK;
}

struct leg *
leg_find(struct recorder *rec, uint32_t id)
{
	struct leg *leg;

	TAILQ_FOREACH (leg, &rec->legs, link)
		if (leg->id == id)
			return leg;
	return NULL;
}

void
leg_free(struct leg *leg)
{
	if (leg == NULL)
		return;
	for (int i = 0; i < 2; i++) {
		ipc_free(leg->ends[i].ipc);
		free(leg->ends[i].held.data);
		buf_free(leg->ends[i].request);
	}
	stream_free_all(leg);
	typed_free_all(leg);
	masked_free_all(leg);
	ledger_free(leg->ledger);
	loop_timer_free(leg->deadline);
	free(leg);
}

void
leg_update(struct end *e)
{
	bool pause = e->held.ask != 0 || e->full || e->leg->rec->frozen;

	if (e->ipc == NULL || pause == e->paused)
		return;
	e->paused = pause;
	if (ipc_pause(e->ipc, pause) != 0)
		log_debug("link.pause_failed leg=%u", e->leg->id); /* the edge ends by itself */
}

static void
touch(struct leg *leg)
{
	if (leg->touched)
		return;
	leg->touched = true;
	TAILQ_INSERT_TAIL(&leg->rec->touched, leg, touched_link);
}

/* Hand a frame, which is recorded, to an end once it is durable. */
static int
send_later(struct end *to, uint16_t type, uint32_t channel, const void *data, size_t len)
{
	struct end *from = leg_opposite(to);
	int r;

	if (to->ipc == NULL || to->told)
		return 0;
	if ((r = release_add(to->leg->rec->out, to, type, channel, data, len)) != 0)
		return r;
	to->releasing++;
	touch(to->leg);
	to->told = type == LINK_END;
	if (!from->full && to->releasing + ipc_queued(to->ipc) >= LINK_QUEUE_HIGH) {
		from->full = true;
		leg_update(from);
	}
	return 0;
}

/* A failure of the store ends everything, another one this leg. */
int
leg_record_plain(struct leg *leg, enum event_way way, uint8_t type, uint32_t channel,
    const void *data, size_t len)
{
	int r;

	if (leg->session == NULL)
		return ERR_ORDER;
	r = session_append(leg->session, way, type, channel, data, len);
	if (chain_failed(leg->rec->chain) != 0)
		recorder_fail(leg->rec, r, "writing an event");
	else if (r == 0)
		recorder_wake(leg->rec);
	return r;
}

int
leg_record(struct leg *leg, enum event_way way, uint8_t type, uint32_t channel, const void *data,
    size_t len)
{
	if (leg->masks != NULL && type == LINK_REQUEST)
		return masked_request(leg, way, channel, data, len);
	return leg_record_plain(leg, way, type, channel, data, len);
}

/* A long request goes in the frames in which it came (link_proto.h). */
int
leg_send(struct end *from, uint16_t type, uint32_t channel, const void *data, size_t len)
{
	const uint8_t *p = data;
	int r;

	if (type != LINK_REQUEST || len < LINK_REQUEST_PART)
		return send_later(leg_opposite(from), type, channel, data, len);
	do {
		r = send_later(leg_opposite(from), type, channel, p, LINK_REQUEST_PART);
		type = LINK_MORE;
		p += LINK_REQUEST_PART;
		len -= LINK_REQUEST_PART;
	} while (r == 0 && len >= LINK_REQUEST_PART);
	return r != 0 ? r : send_later(leg_opposite(from), LINK_MORE, channel, p, len);
}

int
leg_say(struct end *to, uint8_t type, uint32_t channel, const void *data, size_t len)
{
	int r;

	if (to->ipc == NULL || to->told)
		return 0;
	if ((r = leg_record(to->leg, way_to(to), type, channel, data, len)) != 0)
		return r;
	return send_later(to, type, channel, data, len);
}

static int
say_end(struct end *to, uint8_t code, const char *text)
{
	struct buf *b = buf_new(1024);
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_put_u8(b, code)) == 0 && (r = buf_put_cstr(b, text)) == 0)
		r = leg_say(to, LINK_END, 0, buf_ptr(b), buf_len(b));
	buf_free(b);
	return r;
}

/* The first reason stands. */
static void
note_end(struct leg *leg, uint8_t code, const char *text, const char *by)
{
	leg->ending = true;
	if (!loop_timer_armed(leg->deadline))
		loop_timer_arm(leg->deadline, LINK_END_WAIT_NS);
	if (leg->end_code != 0)
		return;
	leg->end_code = code;
	/* Cut texts are good enough for people. */
	(void)snprintf(leg->end_text, sizeof(leg->end_text), "%s", text);
	(void)snprintf(leg->end_by, sizeof(leg->end_by), "%s", by);
}

/* An end is gone; the leg with the second of them. */
static void
end_gone(struct end *e)
{
	struct leg *leg = e->leg;

	ipc_free(e->ipc);
	e->ipc = NULL;
	e->held.ask = 0;
	if (leg->ends[0].ipc == NULL && leg->ends[1].ipc == NULL)
		loop_timer_arm(leg->deadline, 0);
}

void
leg_cut(struct leg *leg)
{
	for (int i = 0; i < 2; i++)
		if (leg->ends[i].ipc != NULL)
			end_gone(&leg->ends[i]);
}

void
leg_end(struct leg *leg, uint8_t code, const char *text, const char *by)
{
	note_end(leg, code, text, by);
	for (int i = 0; i < 2; i++)
		if (say_end(&leg->ends[i], code, text) != 0) {
			leg_cut(leg);
			return;
		}
}

/* Write the end of the session. */
static void
leg_close(struct leg *leg)
{
	struct session *s = leg->session;
	struct recorder *rec = leg->rec;
	uint8_t sid[REC_SID_LEN];
	int r;

	if (s == NULL || rec->failed)
		return;
	memcpy(sid, session_sid(s), sizeof(sid));
	/* Without the last of its file operations a session is still whole. */
	if ((r = stream_end_all(leg)) != 0)
		log_warn("link.files_lost leg=%u reason=\"%s\"", leg->id, err_str(r));
	if ((r = typed_end_all(leg)) != 0)
		log_warn("link.mark_lost leg=%u reason=\"%s\"", leg->id, err_str(r));
	leg->session = NULL;
	touch(leg);
	if (rec->failed)
		return;
	r = session_close(s, leg->end_code, leg->end_text, leg->end_by);
	if (r != 0) {
		/* Without its end a session would look alive for ever. */
		recorder_fail(rec, r, "writing the end of a session");
		return;
	}
	recorder_tell(rec, REC_CLOSED, leg->id, sid, sizeof(sid));
	recorder_wake(rec);
}

static void
on_deadline(void *arg)
{
	struct leg *leg = arg;

	for (int i = 0; i < 2; i++)
		if (leg->ends[i].ipc != NULL)
			log_warn("link.slow_end leg=%u end=%s next=\"it is cut off\"", leg->id,
			    side_names[i]);
	leg_cut(leg);
	loop_timer_disarm(leg->deadline);
	leg_close(leg);
}

static void
audit_leg(struct leg *leg, const char *event, const struct end *e, const char *key,
    const void *text, size_t len, const char *why)
{
	struct json *j = json_event(event);
	char sid[2 * REC_SID_LEN + 1];

	if (leg->session != NULL)
		json_put_str(j, "session", str_hex(sid, session_sid(leg->session), REC_SID_LEN));
	json_put_u64(j, "leg", leg->id);
	json_put_str(j, "side", side_names[e->side]);
	if (key != NULL)
		json_put_bytes(j, key, text, len, 256);
	if (why != NULL)
		json_put_str(j, "reason", why);
	recorder_audit(leg->rec, j);
}

/*
 * It broke the link's rules: an exploited front or back, or a bug of ours. Nothing more is taken
 * from it.
 */
static int
violation(struct end *e, const char *why)
{
	struct leg *leg = e->leg;
	char text[160];

	log_err("link.violation leg=%u end=%s reason=\"%s\"", leg->id, side_names[e->side], why);
	leg->rec->n_violations++;
	audit_leg(leg, "link.violation", e, NULL, NULL, 0, why);
	(void)snprintf(text, sizeof(text), "the session was ended: %s broke the rules of the link",
	    side_names[e->side]);
	leg_end(leg, LINK_END_PROTOCOL, text, "");
	return ERR_DENIED;
}

/* LINK_NOTE_REFUSED is one audit event; a flood of them is not a flood of audit events. */
static void
audit_refused(struct end *e, const uint8_t *data, size_t len)
{
	struct buf *b = buf_view(data, len);
	const uint8_t *what, *why;
	size_t what_len, why_len;
	char text[256];

	if (b != NULL && e->leg->n_refused < LINK_REFUSED_MAX && buf_skip(b, 1) == 0 &&
	    buf_get_str(b, &what, &what_len) == 0 && buf_get_str(b, &why, &why_len) == 0) {
		e->leg->n_refused++;
		audit_leg(e->leg, "request.refused", e, "what", what, what_len,
		    str_escape(text, sizeof(text), why, why_len));
	}
	buf_free(b);
}

void
leg_audit_refused(struct end *e, const char *what, const char *why)
{
	if (e->leg->n_refused >= LINK_REFUSED_MAX)
		return;
	e->leg->n_refused++;
	audit_leg(e->leg, "request.refused", e, "what", what, strlen(what), why);
}

void
leg_audit(struct leg *leg, const char *event, const char *key, const char *text)
{
	if (leg->n_noted >= LINK_REFUSED_MAX)
		return;
	leg->n_noted++;
	audit_leg(leg, event, &leg->ends[LEDGER_FRONT], key, text, strlen(text), NULL);
}

int
leg_cut_channel(struct leg *leg, uint32_t channel)
{
	bool tell[2];
	int r = 0;

	ledger_cut(leg->ledger, channel, tell);
	for (int i = 0; r == 0 && i < 2; i++)
		if (tell[i])
			r = leg_say(&leg->ends[i], LINK_CLOSE, channel, NULL, 0);
	return r;
}

static void
take_end(struct end *e, const uint8_t *data, size_t len)
{
	size_t text_len = len - 5;
	char text[256];

	e->ended = true;
	note_end(e->leg, data[0], str_escape(text, sizeof(text), data + 5, text_len), "");
}

/* What a frame means for the reading of its channel, before it is recorded itself. */
static int
pass_stream(struct end *e, struct stream *s, const struct ipc_msg *msg)
{
	if (msg->type == LINK_EOF)
		return stream_eof(s, e);
	if (msg->type == LINK_EXIT_STATUS && e->side == LEDGER_BACK)
		return stream_exit(s, msg->data, msg->len);
	if (msg->type == LINK_CLOSE && e->side == LEDGER_BACK)
		return stream_end(s);
	return 0;
}

/* What was judged and recorded goes on, or is asked about. */
static int
go_on(struct end *e, uint16_t type, uint32_t channel, const void *data, size_t len,
    enum ledger_answer answer, const char *why)
{
	if (answer == LEDGER_ASK)
		return leg_hold(e, type, channel, data, len);
	if (answer == LEDGER_DENY)
		return leg_deny(e, channel, data, len, why);
	return answer == LEDGER_PASS ? leg_send(e, type, channel, data, len) : 0;
}

static bool
is_part(const struct ipc_msg *msg)
{
	return msg->type == LINK_MORE ||
	       (msg->type == LINK_REQUEST && msg->len == LINK_REQUEST_PART);
}

/* A request in several frames goes on when it is whole. The channel may have been cut meanwhile. */
static int
collect(struct end *e, const struct ipc_msg *msg, enum ledger_answer answer, const char *why)
{
	int r;

	if (msg->type == LINK_REQUEST || answer == LEDGER_DROP) {
		e->request_answer = answer;
		e->request_why = why;
	}
	if (e->request == NULL && (e->request = buf_new(LINK_REQUEST_MAX)) == NULL)
		return -ENOMEM;
	if ((r = buf_put(e->request, msg->data, msg->len)) != 0 || msg->len == LINK_REQUEST_PART)
		return r;
	/* Masks look at the whole. */
	if (e->leg->masks != NULL && (r = leg_record(e->leg, leg_way_from(e), LINK_REQUEST, msg->id,
					  buf_ptr(e->request), buf_len(e->request))) != 0)
		return r;
	r = go_on(e, LINK_REQUEST, msg->id, buf_ptr(e->request), buf_len(e->request),
	    e->request_answer, e->request_why);
	buf_free(e->request);
	e->request = NULL;
	return r;
}

static int
pass_typed(struct end *e, struct typed *t, const struct ipc_msg *msg)
{
	const struct mask_piece piece = { .data = msg->data, .len = msg->len };
	int r = typed_data(t, e, &piece);

	return r != 0 ? r : leg_send(e, msg->type, msg->id, msg->data, msg->len);
}

static bool
is_for_us(const struct ipc_msg *msg)
{
	return msg->type == LINK_NOTE && msg->data[0] == LINK_NOTE_ASKING;
}

/* What a person types is looked at when it is shown, and crosses at once. */
static bool
is_masked(const struct end *e, const struct typed *t, const struct ipc_msg *msg)
{
	if (msg->type == LINK_DATA_EXT)
		return true;
	return msg->type == LINK_DATA && (t == NULL || e->side == LEDGER_BACK);
}

/* What was typed is decided by now at the latest: its stream goes, also when the person's end was closed before. */
static int
close_typed(struct end *front, uint32_t channel)
{
	int r = masked_flush(front, channel);

	masked_close(front, channel);
	return r;
}

/* Record a frame that was judged, and send it on if it may. */
static int
pass(struct end *e, const struct ipc_msg *msg, enum ledger_answer answer, const char *why)
{
	struct leg *leg = e->leg;
	struct stream *s = stream_find(leg, msg->id);
	struct typed *t = s == NULL ? typed_find(leg, msg->id) : NULL;
	bool quiet = false;
	int r = 0;

	if (leg->masks != NULL && s == NULL && is_masked(e, t, msg))
		return masked_data(e, msg, answer == LEDGER_PASS);
	if (leg->masks != NULL && msg->type != LINK_WINDOW && (r = masked_flush(e, msg->id)) != 0)
		return r;
	if (leg->masks != NULL && msg->type == LINK_CLOSE)
		masked_close(e, msg->id);
	if (s != NULL && answer == LEDGER_PASS) {
		if (msg->type == LINK_DATA)
			return stream_data(s, e, msg->data, msg->len);
		r = pass_stream(e, s, msg);
	}
	if (t != NULL && answer == LEDGER_PASS) {
		if (msg->type == LINK_DATA)
			return pass_typed(e, t, msg);
		r = typed_frame(t, e, msg, &quiet);
		if (r == 0 && leg->masks != NULL && msg->type == LINK_CLOSE &&
		    e->side == LEDGER_BACK)
			r = close_typed(&leg->ends[LEDGER_FRONT], msg->id);
	}
	if (r == 0 && !quiet && (leg->masks == NULL || !is_part(msg)))
		r = leg_record(
		    leg, leg_way_from(e), (uint8_t)msg->type, msg->id, msg->data, msg->len);
	if (r != 0 || is_for_us(msg))
		return r;
	return is_part(msg) ? collect(e, msg, answer, why)
			    : go_on(e, msg->type, msg->id, msg->data, msg->len, answer, why);
}

/* Which port a target listens on is known from its answer: policy, which allowed it, is told. */
static void
tell_answer(struct end *e, const uint8_t *data, size_t len)
{
	struct ipc *policy = e->leg->rec->policy;

	if (e->side != LEDGER_BACK || len > POL_ANSWERED_MAX || policy == NULL)
		return;
	if (ipc_send(policy, POL_ANSWERED, e->leg->id, data, len) != 0)
		log_debug("link.answer_unheard leg=%u", e->leg->id);
}

/* A frame of an end. Negative ends that edge. */
static int
on_frame(void *arg, struct ipc_msg *msg)
{
	struct end *e = arg;
	struct leg *leg = e->leg;
	enum ledger_answer answer;
	const char *why = "";
	int r;

	if (leg->rec->failed || leg->session == NULL)
		return ERR_ORDER;
	answer = ledger_judge(leg->ledger, e->side, msg->type, msg->id, msg->data, msg->len, &why);
	if (answer == LEDGER_BROKEN)
		return violation(e, why);
	if ((r = pass(e, msg, answer, why)) != 0) {
		if (!leg->rec->failed)
			leg_end(leg, LINK_END_INTERNAL,
			    "the session was ended: the recorder is out of memory", "");
		return r;
	}
	if (msg->type == LINK_END)
		take_end(e, msg->data, msg->len);
	else if (msg->type == LINK_NOTE && msg->data[0] == LINK_NOTE_REFUSED)
		audit_refused(e, msg->data, msg->len);
	else if (msg->type == LINK_GLOBAL_REPLY)
		tell_answer(e, msg->data, msg->len);
	recorder_relieve(leg->rec);
	return 0;
}

/* An end's edge is over. One that has not said so has died. */
static void
on_gone(void *arg, int err)
{
	struct end *e = arg;
	struct leg *leg = e->leg;
	char text[160];

	/* What the table of frames refuses is as much a lie as what the ledger does. */
	if ((err == ERR_FORMAT || err == ERR_ORDER || err == ERR_VERSION) && !e->ended &&
	    !leg->ending && !leg->rec->failed)
		(void)violation(e, err_str(err));
	if (!e->ended && !leg->ending && !leg->rec->failed) {
		log_warn("link.died leg=%u end=%s reason=\"%s\"", leg->id, side_names[e->side],
		    err_str(err));
		(void)snprintf(text, sizeof(text),
		    "the session was ended: a process of the bastion (%s) died",
		    side_names[e->side]);
		end_gone(e);
		leg_end(leg, LINK_END_INTERNAL, text, "");
		return;
	}
	note_end(leg, LINK_END_INTERNAL, "", "");
	end_gone(e);
}

/* The destination has taken everything: its source is read again. */
static void
on_drained(void *arg)
{
	struct end *from = leg_opposite(arg);

	from->full = false;
	leg_update(from);
}

#define FRAME(type, name)                                                                          \
	{                                                                                          \
		type, name, 0, IPC_MAX, 0, IPC_ANY_STATE, on_frame                                 \
	}

/* Lengths and order are judged by ledger.c, which knows more than this table can say. */
static const struct ipc_rule link_rules[] = {
	FRAME(LINK_DATA, "data"),
	FRAME(LINK_WINDOW, "window"),
	FRAME(LINK_DATA_EXT, "data-ext"),
	FRAME(LINK_OPEN, "open"),
	FRAME(LINK_OPEN_OK, "open-ok"),
	FRAME(LINK_OPEN_FAIL, "open-fail"),
	FRAME(LINK_EOF, "eof"),
	FRAME(LINK_CLOSE, "close"),
	FRAME(LINK_REQUEST, "request"),
	FRAME(LINK_MORE, "more"),
	FRAME(LINK_REPLY, "reply"),
	FRAME(LINK_EXIT_STATUS, "exit-status"),
	FRAME(LINK_EXIT_SIGNAL, "exit-signal"),
	FRAME(LINK_GLOBAL, "global"),
	FRAME(LINK_GLOBAL_REPLY, "global-reply"),
	FRAME(LINK_NOTE, "note"),
	FRAME(LINK_END, "end"),
};

static int
end_open(struct end *e, int fd)
{
	struct ipc_conf conf = { .name =
				     e->side == LEDGER_FRONT ? "recorder-front" : "recorder-back",
		.rules = link_rules,
		.n_rules = sizeof(link_rules) / sizeof(link_rules[0]),
		.arg = e,
		.gone = on_gone,
		.drained = on_drained };

	return ipc_new(e->leg->rec->loop, fd, &conf, &e->ipc);
}

/* u32 n, n strings: what REC_OPEN ends with. */
static int
take_env(struct ledger *l, struct buf *b)
{
	char pattern[REC_ENV_LEN + 1];
	uint32_t n;
	int r = buf_get_u32(b, &n);

	if (r == 0 && n > REC_ENV_MAX)
		return ERR_LIMIT;
	for (uint32_t i = 0; r == 0 && i < n; i++)
		if ((r = buf_get_cstr(b, pattern, sizeof(pattern))) == 0)
			r = ledger_let_env(l, pattern);
	return r != 0 ? r : buf_end(b);
}

static bool
is_text(const uint8_t *p, size_t len, const char *text)
{
	return len == strlen(text) && memcmp(p, text, len) == 0;
}

/* dst: free() it. */
static int
copy_text(char **dst, const uint8_t *p, size_t len)
{
	free(*dst);
	*dst = strndup((const char *)p, len);
	return *dst != NULL ? 0 : -ENOMEM;
}

/* What the session's description says to us. A back without a host is the bastion's own shell. */
static int
take_meta(struct leg *leg, const void *meta, size_t meta_len)
{
	struct buf *b = buf_view(meta, meta_len);
	char *names = NULL, *texts = NULL;
	const uint8_t *p;
	uint8_t tag;
	size_t len;
	int r = b == NULL ? -ENOMEM : 0;

	if (b == NULL)
		return r;
	while (buf_get_u8(b, &tag) == 0 && buf_get_str(b, &p, &len) == 0) {
		if (tag == REC_META_TYPED)
			leg->keep_typed = is_text(p, len, "keep");
		if (tag == REC_META_HOST && is_text(p, len, "-"))
			ledger_let_asking(leg->ledger);
		if (r == 0 && tag == REC_META_MASKS)
			r = copy_text(&names, p, len);
		if (r == 0 && tag == REC_META_MASK_TEXTS)
			r = copy_text(&texts, p, len);
	}
	if (r == 0 && names != NULL)
		r = masked_begin(leg, names, texts != NULL ? texts : "");
	free(names);
	free(texts);
	buf_free(b);
	return r;
}

int
leg_open(struct recorder *rec, uint32_t id, uint32_t conn, const void *meta, size_t meta_len,
    struct buf *env, int fds[2], const char **ret_why)
{
	struct leg *leg = calloc(1, sizeof(*leg));
	int r = -ENOMEM;

	*ret_why = "the session cannot be recorded: the recorder is out of memory or descriptors";
	if (leg == NULL)
		return r;
	leg->rec = rec;
	leg->id = id;
	leg->conn = conn;
	for (int i = 0; i < 2; i++)
		leg->ends[i] = (struct end){ .leg = leg, .side = (enum ledger_side)i };
	if ((leg->ledger = ledger_new()) == NULL || (r = take_env(leg->ledger, env)) != 0 ||
	    (r = take_meta(leg, meta, meta_len)) != 0 ||
	    (r = loop_timer_new(rec->loop, on_deadline, leg, &leg->deadline)) != 0)
		goto fail;
	for (int i = 0; i < 2; i++) {
		if ((r = end_open(&leg->ends[i], fds[i])) != 0)
			goto fail;
		fds[i] = -1;
	}
	r = session_open(rec->chain, conn, id, meta, meta_len, &leg->session);
	if (r != 0) {
		if (chain_failed(rec->chain) != 0)
			recorder_fail(rec, r, "opening a session");
		*ret_why = "the session cannot be recorded: its description was refused";
		goto fail;
	}
	TAILQ_INSERT_TAIL(&rec->legs, leg, link);
	rec->n_legs++;
	for (int i = 0; i < 2; i++)
		leg_update(&leg->ends[i]);
	return 0;
fail:
	leg_free(leg);
	return r;
}

/* After the commit. */

void
leg_release(const struct release_item *item)
{
	struct end *to = item->to;

	to->releasing--;
	if (to->ipc != NULL && ipc_send(to->ipc, item->type, item->id, item->data, item->len) != 0)
		log_debug("link.send_failed leg=%u", to->leg->id); /* on_gone() follows */
}

/* What the other end could not take is gone from its queue, or it is: its source is read. */
static void
end_settle(struct end *to)
{
	struct end *from = leg_opposite(to);

	if (from->full && (to->ipc == NULL || to->releasing + ipc_queued(to->ipc) == 0))
		from->full = false;
	leg_update(from);
}

static void
leg_settle_one(struct leg *leg)
{
	struct recorder *rec = leg->rec;

	end_settle(&leg->ends[0]);
	end_settle(&leg->ends[1]);
	if (leg->session != NULL || leg->ends[0].releasing + leg->ends[1].releasing > 0)
		return;
	TAILQ_REMOVE(&rec->legs, leg, link);
	rec->n_legs--;
	leg_free(leg);
	recorder_leg_gone(rec);
}

void
leg_settle(struct recorder *rec)
{
	struct leg *leg;

	while ((leg = TAILQ_FIRST(&rec->touched)) != NULL) {
		TAILQ_REMOVE(&rec->touched, leg, touched_link);
		leg->touched = false;
		leg_settle_one(leg);
	}
}

void
leg_update_all(struct recorder *rec)
{
	struct leg *leg;

	TAILQ_FOREACH (leg, &rec->legs, link) {
		leg_update(&leg->ends[0]);
		leg_update(&leg->ends[1]);
	}
}

void
leg_abandon(struct leg *leg)
{
	static const char text[] = "the session was ended: it cannot be recorded any more";
	uint8_t end[5 + sizeof(text) - 1] = { LINK_END_RECORDER, 0, 0, 0, sizeof(text) - 1 };

	memcpy(end + 5, text, sizeof(text) - 1);
	for (int i = 0; i < 2; i++)
		if (leg->ends[i].ipc != NULL &&
		    ipc_send(leg->ends[i].ipc, LINK_END, 0, end, sizeof(end)) != 0)
			log_debug("link.send_failed leg=%u", leg->id);
}
