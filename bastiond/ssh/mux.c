/* The table of channels, the replies that are due, and how a channel ends when there is no other end to end it. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/ssh/mux_priv.h"
#include "lib/clock.h"
#include "lib/str.h"

#define NOTES_MAX 256u	   /* refusals that one connection may put on record */
#define NOTE_WHAT_MAX 256u /* bytes of a peer's word in a note */

struct mux *
mux_new(enum mux_side side, uint32_t limit, const struct mux_ops *ops, void *arg)
{
	struct mux *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->side = side;
	m->ops = ops;
	m->arg = arg;
	m->why = "";
	mux_set_limit(m, limit);
	m->frame = buf_new(MUX_REQUEST_MAX + 64);
	m->joined = buf_new(4 + LINK_DATA_MAX);
	m->more = buf_new(LINK_REQUEST_MAX);
	if (m->frame == NULL || m->joined == NULL || m->more == NULL) {
		mux_free(m);
		return NULL;
	}
	return m;
}

static void
chan_free(struct mux_chan *c)
{
	mux_queue_free(&c->ctl);
	mux_queue_free(&c->flow);
	free(c->peers.v);
	free(c->links.v);
	free(c->end_text);
	free(c->tell);
	free(c);
}

void
mux_free(struct mux *m)
{
	if (m == NULL)
		return;
	for (uint32_t i = 0; i < m->n_chans; i++)
		chan_free(m->chans[i]);
	free(m->chans);
	free(m->tell[0]);
	free(m->tell[1]);
	free(m->global_peers.v);
	free(m->global_links.v);
	mux_asked_free(&m->asked);
	buf_free(m->frame);
	buf_free(m->joined);
	buf_free(m->more);
	free(m);
}

void
mux_set_limit(struct mux *m, uint32_t limit)
{
	m->limit = limit < MUX_CHANNELS_MAX ? limit : MUX_CHANNELS_MAX;
}

const char *
mux_why(const struct mux *m)
{
	return m->why;
}

int
mux_broken(struct mux *m, int err, const char *why)
{
	m->why = why;
	return err;
}

uint32_t
mux_channels(const struct mux *m)
{
	return m->n_chans;
}

uint32_t
mux_locals(const struct mux *m)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->n_chans; i++)
		n += m->chans[i]->local;
	return n;
}

bool
mux_finished(const struct mux *m)
{
	return m->finished;
}

uint32_t
mux_told(const struct mux *m)
{
	return m->told;
}

bool
mux_was_ready(const struct mux *m)
{
	return m->ready;
}

uint64_t
mux_sent(const struct mux *m)
{
	return m->sent;
}

/* The table is sorted. */
static uint32_t
find_slot(const struct mux *m, uint32_t id)
{
	uint32_t lo = 0, hi = m->n_chans;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (m->chans[mid]->id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct mux_chan *
mux_find(struct mux *m, uint32_t id)
{
	uint32_t i = find_slot(m, id);

	return i < m->n_chans && m->chans[i]->id == id ? m->chans[i] : NULL;
}

static int
table_grow(struct mux *m)
{
	uint32_t size = m->size == 0 ? 8 : m->size * 2;
	struct mux_chan **chans;

	if (m->n_chans < m->size)
		return 0;
	chans = calloc(size, sizeof(struct mux_chan *));
	if (chans == NULL)
		return -ENOMEM;
	if (m->n_chans > 0)
		memcpy(chans, m->chans, m->n_chans * sizeof(struct mux_chan *));
	free(m->chans);
	m->chans = chans;
	m->size = size;
	return 0;
}

int
mux_add(struct mux *m, uint32_t id, struct mux_chan **ret_c)
{
	uint32_t i = find_slot(m, id);
	struct mux_chan *c;
	int r = table_grow(m);

	if (r != 0)
		return r;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	c->id = id;
	c->session.id = id;
	c->credit = LINK_CREDIT;
	memmove(m->chans + i + 1, m->chans + i, (m->n_chans - i) * sizeof(struct mux_chan *));
	m->chans[i] = c;
	m->n_chans++;
	*(id < LINK_FROM_BACK ? &m->highest : &m->highest_back) = id;
	*ret_c = c;
	return 0;
}

bool
mux_was(const struct mux *m, uint32_t id)
{
	return id > 0 && id <= (id < LINK_FROM_BACK ? m->highest : m->highest_back);
}

bool
mux_has_room(const struct mux *m, struct rd_str type)
{
	bool session = rd_is(type, "session");
	uint32_t n = 0;

	if (m->highest >= LINK_FROM_BACK - 1 || m->highest_back == UINT32_MAX)
		return false;
	for (uint32_t i = 0; i < m->n_chans; i++)
		n += m->chans[i]->session_type == session;
	return n < (session ? m->limit : MUX_FORWARDS_MAX);
}

void
mux_drop(struct mux *m, struct mux_chan *c)
{
	uint32_t i = find_slot(m, c->id);

	m->n_chans--;
	memmove(m->chans + i, m->chans + i + 1, (m->n_chans - i) * sizeof(struct mux_chan *));
	chan_free(c);
}

bool
mux_is_program(struct rd_str name)
{
	return rd_is(name, "shell") || rd_is(name, "exec") || rd_is(name, "subsystem");
}

bool
mux_shape(struct rd_str fields, const char *shape)
{
	struct rd r = rd_over(fields.p, fields.len);
	struct rd_str s;
	uint32_t u;
	uint8_t b;
	bool ok = true;

	for (; *shape != '\0' && ok; shape++)
		ok = *shape == 'u'   ? rd_u32(&r, &u)
		     : *shape == 'b' ? rd_u8(&r, &b)
				     : rd_str(&r, &s);
	return ok && rd_end(&r);
}

/* Replies that are due. */

struct mux_wait *
mux_waits_at(struct mux_waits *w, uint32_t i)
{
	return i < w->n ? &w->v[(w->first + i) % w->size] : NULL;
}

struct mux_wait *
mux_waits_find(struct mux_waits *w, uint32_t number)
{
	for (uint32_t i = 0; i < w->n; i++) {
		struct mux_wait *wait = mux_waits_at(w, i);

		if (wait->number == number && number != 0)
			return wait;
	}
	return NULL;
}

static int
waits_grow(struct mux_waits *w)
{
	uint32_t size = w->size == 0 ? 4 : w->size * 2;
	struct mux_wait *v = calloc(size, sizeof(*v));

	if (v == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->n; i++)
		v[i] = *mux_waits_at(w, i);
	free(w->v);
	*w = (struct mux_waits){ .v = v, .n = w->n, .size = size };
	return 0;
}

int
mux_waits_add(struct mux_waits *w, uint32_t number, struct rd_str name, enum mux_wait_state state)
{
	struct mux_wait *wait;
	int r = 0;

	if (w->n == MUX_WAITS_MAX)
		return ERR_LIMIT;
	if (w->n == w->size)
		r = waits_grow(w);
	if (r != 0)
		return r;
	w->n++;
	wait = mux_waits_at(w, w->n - 1);
	*wait = (struct mux_wait){ .number = number, .state = state };
	if (name.len > 0 && name.len <= MUX_NAME_MAX)
		memcpy(wait->name, name.p, name.len);
	return 0;
}

void
mux_waits_pop(struct mux_waits *w)
{
	w->first = (w->first + 1) % w->size;
	w->n--;
}

/* Endings. */

/* Whatever was still open is granted: the words that follow say what happened, and clients hide those of a failure. */
static int
answer_all(struct mux *m, struct mux_chan *c)
{
	for (uint32_t i = 0; i < c->peers.n; i++) {
		struct mux_wait *wait = mux_waits_at(&c->peers, i);

		if (wait->state == WAIT_OPEN)
			wait->state = WAIT_SUCCESS;
	}
	return mux_answer_due(m, c);
}

int
mux_line(struct mux *m, struct mux_chan *c, const char *text)
{
	char line[1100];
	int r = 0;

	while (r == 0 && *text != '\0') {
		size_t n = strcspn(text, "\n"), end = n;

		if (end > 0 && text[end - 1] == '\r')
			end--;
		str_plain(line, sizeof(line) - 2, text, end);
		/* A client with a terminal has it in raw mode. */
		memcpy(line + strlen(line), c->session.pty ? "\r\n" : "\n", c->session.pty ? 3 : 2);
		r = mux_push_data(m, c, MUX_Q_ERR, rd_bytes(line, strlen(line)));
		text += text[n] == '\0' ? n : n + 1;
	}
	return r;
}

static int
push_status(struct mux_chan *c, uint32_t status)
{
	static const char name[] = "\0\0\0\013exit-status"; /* and its NUL: want_reply false */
	uint8_t msg[sizeof(name) + 4];

	memcpy(msg, name, sizeof(name));
	wr_u32(msg + sizeof(name), status);
	return mux_push(c, SSH_CHANNEL_REQUEST, msg, sizeof(msg));
}

int
mux_end_now(struct mux *m, struct mux_chan *c)
{
	const char *text = c->end_text != NULL ? c->end_text : m->text;
	uint32_t status = c->end_text != NULL ? c->end_status : m->status;
	bool silent = c->told || c->link_eof || !c->session_type;
	int r = 0;

	if (c->ended)
		return 0;
	c->ended = true;
	m->told++;
	if (c->link_close) /* its own end is on its way already */
		return 0;
	if ((r = answer_all(m, c)) != 0 || (!silent && (r = mux_line(m, c, text)) != 0) ||
	    (!c->told && c->session.program && (r = push_status(c, status)) != 0) ||
	    (!c->link_eof && (r = mux_push(c, SSH_CHANNEL_EOF, NULL, 0)) != 0))
		return r;
	return mux_push(c, SSH_CHANNEL_CLOSE, NULL, 0);
}

/* Words reach a user only where a program was asked for. */
static bool
end_is_due(const struct mux_chan *c)
{
	return c->session.program || c->peer_close || c->link_close || !c->session_type;
}

int
mux_end(struct mux *m, struct mux_chan *c, uint32_t exit_status, const char *text)
{
	int r;

	if (c->ending)
		return 0;
	c->end_text = strdup(text);
	if (c->end_text == NULL)
		return -ENOMEM;
	c->end_status = exit_status;
	if ((r = mux_leave(m, c)) != 0)
		return r;
	c->ending = true;
	return end_is_due(c) ? mux_end_now(m, c) : 0;
}

int
mux_cut(struct mux *m, struct mux_chan *c)
{
	int r = mux_leave(m, c);

	if (r != 0 || c->ended || c->link_close)
		return r;
	c->ending = true;
	c->ended = true;
	c->discard = true;
	return mux_push(c, SSH_CHANNEL_CLOSE, NULL, 0);
}

static int
finish_channel(struct mux *m, struct mux_chan *c)
{
	if (c->local) /* it does not need the other end */
		return 0;
	if (c->owes)
		return mux_refuse(
		    m, c, SSH_OPEN_CONNECT_FAILED, rd_bytes(m->text, strlen(m->text)));
	c->ending = true;
	return end_is_due(c) ? mux_end_now(m, c) : 0;
}

int
mux_finish(struct mux *m, uint32_t exit_status, const char *text)
{
	size_t n;
	int r = 0;

	if (m->finished)
		return 0;
	m->finished = true;
	m->status = exit_status;
	n = strnlen(text, sizeof(m->text) - 1);
	memcpy(m->text, text, n);
	m->text[n] = '\0';
	buf_reset(m->joined);
	for (uint32_t i = m->n_chans; i > 0 && r == 0; i--)
		r = finish_channel(m, m->chans[i - 1]);
	return r != 0 ? r : mux_global_fail_all(m);
}

/* The first unanswered request of this name. */
static struct mux_wait *
find_asked(struct mux_chan *c, struct rd_str asked)
{
	for (uint32_t i = 0; i < c->peers.n; i++) {
		struct mux_wait *wait = mux_waits_at(&c->peers, i);

		if (wait->state == WAIT_OPEN && rd_is(asked, wait->name))
			return wait;
	}
	return NULL;
}

/* What nobody would hear of otherwise: clients ask for it without waiting for an answer, or hide that. */
static bool
is_quiet(const struct mux_chan *c, struct rd_str asked)
{
	return c->session.pty &&
	       (rd_is(asked, "auth-agent-req@openssh.com") || rd_is(asked, "x11-req"));
}

static int
keep_line(char **ret_kept, const char *text)
{
	if (*ret_kept != NULL) /* the first is enough */
		return 0;
	*ret_kept = strndup(text, MUX_TELL_MAX);
	return *ret_kept != NULL ? 0 : -ENOMEM;
}

static bool
can_hear(const struct mux_chan *c)
{
	return c->session_type && c->session.program && !c->ending && !c->link_eof &&
	       !c->link_close && !c->discard;
}

int
mux_tell(struct mux *m, bool terminal, const char *text)
{
	if (m->finished)
		return 0;
	for (uint32_t i = 0; i < m->n_chans; i++)
		if (can_hear(m->chans[i]) && (!terminal || m->chans[i]->session.pty))
			return mux_line(m, m->chans[i], text);
	return keep_line(&m->tell[terminal], text);
}

int
mux_tell_now(struct mux *m, struct mux_chan *c)
{
	char **lines[] = { c->session.pty ? &m->tell[1] : NULL, &c->tell, &m->tell[0] };
	int r = 0;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]) && r == 0 && can_hear(c); i++) {
		if (lines[i] == NULL || *lines[i] == NULL)
			continue;
		r = mux_line(m, c, *lines[i]);
		free(*lines[i]);
		*lines[i] = NULL;
	}
	return r;
}

int
mux_deny(struct mux *m, uint32_t id, struct rd_str asked, const char *text)
{
	struct mux_chan *c = mux_find(m, id);
	struct mux_wait *wait;
	int r = 0;

	/* A global request has its failure by a reply; a channel that is open, its CLOSE. */
	if (id == 0 || (c != NULL && !c->session_type))
		return mux_tell(m, false, text);
	if (c == NULL || c->ending)
		return 0;
	if (mux_is_program(asked))
		return mux_end(m, c, 254, text);
	if (rd_is(asked, "pty-req"))
		c->session.pty = false;
	mux_asked_denied(m, asked);
	if (is_quiet(c, asked) && (r = keep_line(&c->tell, text)) == 0)
		r = mux_tell_now(m, c);
	wait = find_asked(c, asked);
	if (wait == NULL || r != 0)
		return r;
	wait->state = WAIT_FAILURE;
	return mux_answer_due(m, c);
}

/*
 * The channel is over but for its peer: what waits for that one, and its CLOSE. A client may take its time for what it was
 * sent (somebody reads it page by page), so there only the answer to CLOSE is waited for with a limit.
 */
static bool
is_closing(const struct mux *m, const struct mux_chan *c)
{
	return (c->link_close || c->ended) && !c->peer_close &&
	       (m->side == MUX_BACK || c->sent_close);
}

bool
mux_closing(const struct mux *m)
{
	for (uint32_t i = 0; i < m->n_chans; i++)
		if (is_closing(m, m->chans[i]))
			return true;
	return false;
}

/* The other end need not wait for what does not come. The channel stays ours, so that its number is known if it comes. */
static int
give_up(struct mux *m, struct mux_chan *c, uint64_t wait_ns)
{
	uint8_t note[5] = { LINK_NOTE_UNCLOSED };
	int r;

	if (c->left)
		return 0;
	wr_u32(note + 1, (uint32_t)(wait_ns / CLOCK_NS_PER_S));
	r = mux_emit_chan(m, c, LINK_NOTE, rd_bytes(note, sizeof(note)), rd_bytes(NULL, 0));
	return r != 0 ? r : mux_leave(m, c);
}

int
mux_expire(struct mux *m, uint64_t now_ns, uint64_t wait_ns)
{
	int r = 0;

	for (uint32_t i = 0; i < m->n_chans && r == 0; i++) {
		struct mux_chan *c = m->chans[i];

		if (!is_closing(m, c) || c->moved || c->still_ns == 0) {
			c->still_ns = now_ns;
			c->moved = false;
		} else if (now_ns - c->still_ns >= wait_ns) {
			c->still_ns = now_ns;
			if (c->known && !c->sent_close && !c->discard)
				c->discard = true;
			else
				r = give_up(m, c, wait_ns);
		}
	}
	return r != 0 ? r : mux_pump(m);
}

int
mux_note_refused(struct mux *m, uint32_t id, struct rd_str what, const char *why)
{
	struct buf *b;
	int r;

	if (m->finished || m->notes++ >= NOTES_MAX)
		return 0;
	if (what.len > NOTE_WHAT_MAX)
		what.len = NOTE_WHAT_MAX;
	b = buf_new(NOTE_WHAT_MAX + 1024);
	if (b == NULL)
		return -ENOMEM;
	if ((r = buf_put_u8(b, LINK_NOTE_REFUSED)) == 0 &&
	    (r = buf_put_str(b, what.p, what.len)) == 0 && (r = buf_put_cstr(b, why)) == 0)
		r = mux_emit(m, LINK_NOTE, id, rd_bytes(buf_ptr(b), buf_len(b)), rd_bytes(NULL, 0));
	buf_free(b);
	return r;
}
