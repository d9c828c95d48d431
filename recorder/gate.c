/* Packets of both ways, cut out of what comes, and put together again. */
#include "config.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/fxp.h"
#include "recorder/gate.h"
#include "recorder/gate_part.h"

#define STATUS_TEXT_AT 17u /* offset of a STATUS packet's text */

/* Requests. */

/* Overwrite n bytes: a string that fills the packet behind its id. */
static void
fill(struct gate_front *f, uint8_t *p, size_t n)
{
	static const char name[] = "refused@bastiond.";
	uint32_t len = f->len - 1 - 4 - 4;

	for (size_t i = 0; i < n; i++, f->at++) {
		if (f->at < 4)
			p[i] = (uint8_t)(len >> (24 - 8 * f->at));
		else
			p[i] = (uint8_t)name[(f->at - 4) % (sizeof(name) - 1)];
	}
}

/* The head of a request is there: let it pass, or not. */
static int
on_request(struct gate *g, struct buf *out)
{
	struct gate_front *f = &g->front;
	bool refused = false;
	int r;

	if ((r = gate_judge(g, &refused)) != 0)
		return r;
	f->left = 4 + (uint64_t)f->len - f->have;
	f->fill = refused;
	f->at = 0;
	if (f->fill) {
		f->head[4] = FXP_EXTENDED;
		fill(f, f->head + FXP_HEAD + 4, f->have - FXP_HEAD - 4);
	}
	r = buf_put(out, f->head, f->have);
	f->have = 0;
	f->need = 4;
	return r;
}

/* INIT: whatever the client speaks besides, version 3 is what it says. */
static int
greet(struct gate *g, struct buf *out)
{
	struct gate_front *f = &g->front;
	int r;

	if (f->head[4] != FXP_INIT || f->len < 5) {
		g->why = "it does not begin like SFTP";
		return ERR_DENIED;
	}
	f->greeted = true;
	if (f->head[5] != 0 || f->head[6] != 0 || f->head[7] != 0 || f->head[8] > FXP_VERSION)
		memcpy(f->head + FXP_HEAD, "\0\0\0\3", 4);
	f->left = 4 + (uint64_t)f->len - f->have;
	f->fill = false;
	r = buf_put(out, f->head, f->have);
	f->have = 0;
	f->need = 4;
	return r;
}

static uint32_t
u32_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Bytes of a request that are held before it is judged. */
static size_t
front_need(const struct gate_front *f)
{
	size_t all = 4 + (size_t)f->len, need = GATE_HELD_MAX;

	if (!f->greeted || f->head[4] == FXP_READ || f->head[4] == FXP_WRITE)
		need = FXP_HEAD + 4;
	return all < need ? all : need;
}

static int
front_head(struct gate *g, struct buf *out)
{
	struct gate_front *f = &g->front;

	if (f->have == 4) {
		f->len = u32_at(f->head);
		if (f->len < 5 || f->len > FXP_PACKET_MAX) {
			g->why = "a length that no packet has";
			return ERR_DENIED;
		}
		f->need = FXP_HEAD;
		return 0;
	}
	f->need = front_need(f);
	if (f->have < f->need)
		return 0;
	return f->greeted ? on_request(g, out) : greet(g, out);
}

static size_t
min_of(uint64_t a, size_t b)
{
	return a < b ? (size_t)a : b;
}

static int
front_data(struct gate *g, const uint8_t *p, size_t len, struct buf *out)
{
	struct gate_front *f = &g->front;
	int r = 0;

	while (r == 0 && len > 0) {
		size_t n = min_of(f->left > 0 ? f->left : f->need - f->have, len);

		if (f->left > 0) {
			uint8_t *to;

			if ((r = buf_reserve(out, n, &to)) != 0)
				return r;
			memcpy(to, p, n);
			if (f->fill)
				fill(f, to, n);
			f->left -= n;
		} else {
			memcpy(f->head + f->have, p, n);
			f->have += n;
			if (f->have == f->need)
				r = front_head(g, out);
		}
		p += n;
		len -= n;
	}
	return r;
}

/* Answers. */

/* The head of an answer that matters is there. */
static int
answered(struct gate *g, struct gate_waiting *q)
{
	struct gate_back *b = &g->back;
	struct fxp_cursor c;
	const uint8_t *p;
	size_t len;
	int r = 0;

	fxp_cursor_init(&c, b->head + FXP_HEAD + 4, b->have - FXP_HEAD - 4, b->len - 1 - 4);
	switch (q->what) {
	case GATE_NOTHING:
		break;
	case GATE_REFUSAL:
		b->rewrite = b->head[4] == FXP_STATUS;
		break;
	case GATE_HANDLE:
		if (b->head[4] != FXP_HANDLE)
			break;
		p = fxp_get_str(&c, &len);
		if (!c.bad && !c.cut && !gate_is_closed_behind(q, p, len))
			r = gate_add_writable(g, p, len);
		break;
	case GATE_HOME:
	case GATE_REAL_PATH:
	default:
		if (b->head[4] == FXP_NAME)
			r = gate_learn(g, q->what, &c);
		break;
	}
	gate_drop_waiting(g, q);
	return r;
}

/* Whether more of the answer is needed than is there, which is then what is waited for. */
static bool
wants_more(struct gate_back *b)
{
	size_t all = 4 + (size_t)b->len;

	b->need = all < GATE_BACK_HEAD_MAX ? all : GATE_BACK_HEAD_MAX;
	return b->have < b->need;
}

/* The first packet. */
static void
take_version(struct gate *g)
{
	struct gate_back *b = &g->back;
	struct fxp_cursor c;

	b->greeted = true;
	fxp_cursor_init(&c, b->head + FXP_HEAD + 4, b->have - FXP_HEAD - 4, b->len - 1 - 4);
	gate_take_version(g, &c);
}

/* Head bytes of an answer are there: more of them, or the rest is no matter. */
static int
back_head(struct gate *g)
{
	struct gate_back *b = &g->back;
	size_t all = 4 + (size_t)b->len;
	struct gate_waiting *q;
	int r = 0;

	if (b->have == 4) {
		b->len = u32_at(b->head);
		b->need = FXP_HEAD + 4;
		if (b->len >= 5 && b->len <= FXP_PACKET_MAX)
			return 0;
		g->why = "an answer of a length that no packet has";
		return ERR_DENIED;
	}
	if (!b->greeted) {
		if (b->head[4] != FXP_VERSION_IS || u32_at(b->head + FXP_HEAD) != FXP_VERSION) {
			g->why = "the target does not speak SFTP version 3";
			return ERR_DENIED;
		}
		if (wants_more(b))
			return 0;
		take_version(g);
	} else if ((q = gate_find_waiting(g, u32_at(b->head + FXP_HEAD))) != NULL) {
		if (q->what > GATE_REFUSAL && wants_more(b))
			return 0;
		r = answered(g, q);
	}
	b->left = all - b->have;
	b->have = 0;
	b->need = 4;
	return r;
}

/* Byte by byte through a STATUS that is rewritten: 8 becomes 3, and the text what belongs to it. */
static void
rewrite(struct gate_back *b, uint8_t *p, size_t n)
{
	static const char text[] = "Permission denied";

	for (size_t i = 0; i < n; i++, b->at++) {
		if (b->at >= 9 && b->at < 12 && p[i] != 0)
			b->rewrite = false;
		else if (b->at == 12 && p[i] != FXP_OP_UNSUPPORTED)
			b->rewrite = false;
		else if (b->at == 12)
			p[i] = FXP_PERMISSION_DENIED;
		else if (b->at >= 13 && b->at < STATUS_TEXT_AT)
			b->text_len = b->text_len << 8 | p[i];
		else if (b->at >= STATUS_TEXT_AT && b->at - STATUS_TEXT_AT < b->text_len &&
			 b->text_len >= sizeof(text) - 1)
			p[i] = b->at - STATUS_TEXT_AT < sizeof(text) - 1
				   ? (uint8_t)text[b->at - STATUS_TEXT_AT]
				   : ' ';
		if (!b->rewrite)
			return;
	}
}

static int
back_data(struct gate *g, const uint8_t *p, size_t len, struct buf *out)
{
	struct gate_back *b = &g->back;
	int r = 0;

	while (r == 0 && len > 0) {
		size_t n = min_of(b->left > 0 ? b->left : b->need - b->have, len);
		uint8_t *to;

		if ((r = buf_reserve(out, n, &to)) != 0)
			return r;
		memcpy(to, p, n);
		if (b->left > 0) {
			if (b->rewrite)
				rewrite(b, to, n);
			b->left -= n;
			b->rewrite = b->rewrite && b->left > 0;
		} else {
			memcpy(b->head + b->have, p, n);
			b->have += n;
			if (b->have == b->need) {
				b->at = FXP_HEAD + 4;
				b->text_len = 0;
				r = back_head(g);
			}
		}
		p += n;
		len -= n;
	}
	return r;
}

/* The gate itself. */

struct gate *
gate_new(const struct gate_rule *rule, int (*refused)(void *arg, const struct gate_refusal *r),
    void *arg)
{
	struct gate *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->rule = *rule;
	g->refused = refused;
	g->arg = arg;
	g->front.need = g->back.need = 4;
	STAILQ_INIT(&g->waiting);
	LIST_INIT(&g->writables);
	return g;
}

void
gate_free(struct gate *g)
{
	if (g == NULL)
		return;
	gate_forget(g);
	for (size_t i = 0; i < GATE_KNOWN_MAX; i++)
		free(g->known[i]);
	free(g->home);
	free(g);
}

int
gate_data(struct gate *g, enum event_way way, const uint8_t *data, size_t len, struct buf *out)
{
	if (g->why != NULL)
		return ERR_DENIED;
	return way == EVENT_FRONT ? front_data(g, data, len, out) : back_data(g, data, len, out);
}

int
gate_flush(struct gate *g, struct buf *out)
{
	size_t n = g->front.have;

	g->front.have = 0;
	return g->why != NULL ? 0 : buf_put(out, g->front.head, n);
}

const char *
gate_why(const struct gate *g)
{
	return g->why != NULL ? g->why : "";
}
