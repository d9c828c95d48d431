/*
 * SFTP as it crosses. Each way is cut into packets as they come: of a packet that carries content only the head is put
 * aside and the rest is content in place; of others as much as paths can need. Requests wait in a list for their answers,
 * open files know what crossed of them, and a file is told when the target has answered its CLOSE.
 */
#include "config.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy_proto.h"
#include "recorder/watch_sftp_part.h"

#define ID_LEN 4u			  /* bytes of a request's number */
#define WRITE_FIELDS (ID_LEN + 4 + 8 + 4) /* bytes of WRITE's fields without its handle */

static const char malformed[] = "a packet whose fields do not fit it";

/* Packets. Each of these sets s->lost when the packet does not fit the protocol. */

/* The next n bytes of the packet are content of f, at offset; f is kept until they have come. */
static int
content_begin(struct watch *w, struct sf_flow *fl, struct sf_file *f, struct sf_way *op,
    uint64_t offset, uint32_t n)
{
	if (n > fl->plain) {
		((struct sftp *)w->state)->lost = malformed;
		return 0;
	}
	if (n == 0)
		return 0;
	if (op->track == NULL && (op->track = watch_track_new()) == NULL)
		return -ENOMEM;
	if (op->number == 0)
		op->number = watch_number(w);
	fl->plain -= n;
	fl->content = n;
	fl->file = f;
	fl->op = op;
	fl->offset = offset;
	f->n_waiting++;
	return 0;
}

static int
on_write(struct watch *w, struct sf_flow *fl, uint32_t id, struct fxp_cursor *c)
{
	struct sftp *s = w->state;
	struct sf_request *q = NULL;
	uint64_t offset;
	uint32_t n;
	int r;

	if ((r = sf_request_add(s, id, sf_find_rule(FXP_WRITE, c), c, &q)) != 0)
		return r;
	offset = fxp_get_u64(c);
	n = fxp_get_u32(c);
	if (q == NULL) {
		/* Not to a file that we know of: the target will not take it either. */
		if (n > fl->plain)
			s->lost = malformed;
		return 0;
	}
	if ((r = content_begin(w, fl, q->file, &q->file->put, offset, n)) != 0 || fl->content == 0)
		return r;
	q->file->attrs.has_size = false;
	/* Where it lands is not where it says. */
	if ((q->file->flags & FXP_F_APPEND) != 0)
		watch_track_spoil(q->file->put.track);
	return 0;
}

static int
on_request(struct watch *w, struct sf_flow *fl, uint8_t type, struct fxp_cursor *c)
{
	struct sftp *s = w->state;
	uint32_t id = fxp_get_u32(c);
	const struct sf_rule *rule;
	struct sf_request *q;

	if (type == FXP_WRITE)
		return on_write(w, fl, id, c);
	rule = sf_find_rule(type, c);
	if (rule == NULL)
		s->lost = "a request that version 3 does not have";
	return rule == NULL || rule->ask == NULL ? 0 : sf_request_add(s, id, rule, c, &q);
}

/* Over with q, whose answer has been seen. */
static int
request_done(struct watch *w, struct sf_request *q)
{
	struct sftp *s = w->state;
	struct sf_file *file = q->file, *to = q->to;
	int r = 0;

	sf_request_drop(s, q);
	if (file != NULL)
		r = sf_file_settle(w, file);
	if (r == 0 && to != NULL && to != file)
		r = sf_file_settle(w, to);
	return r;
}

static int
on_content(struct watch *w, struct sf_flow *fl, uint32_t id, struct fxp_cursor *c)
{
	struct sftp *s = w->state;
	struct sf_request *q = sf_find_request(s, id);
	uint32_t n = fxp_get_u32(c);
	int r;

	if (q == NULL || q->rule->type != FXP_READ) {
		s->lost = "content that was not asked for";
		return 0;
	}
	if ((r = content_begin(w, fl, q->file, &q->file->get, q->offset, n)) != 0)
		return r;
	return request_done(w, q);
}

static int
on_answer(struct watch *w, struct sf_flow *fl, uint8_t type, struct fxp_cursor *c)
{
	struct sftp *s = w->state;
	uint32_t id = fxp_get_u32(c);
	struct sf_request *q;
	int r;

	if (type == FXP_DATA)
		return on_content(w, fl, id, c);
	if ((type < FXP_STATUS || type > FXP_ATTRS) && type != FXP_EXTENDED_REPLY)
		s->lost = "an answer that version 3 does not have";
	else if (type == FXP_STATUS && c->left < 4)
		s->lost = malformed;
	if (s->lost != NULL || (q = sf_find_request(s, id)) == NULL)
		return 0;
	if ((r = q->rule->answer(w, q, type, c)) == ERR_FORMAT) {
		s->lost = "an answer to something else";
		return 0;
	}
	return r != 0 ? r : request_done(w, q);
}

/* The first packet of a way: INIT or VERSION. */
static void
on_greeting(struct sftp *s, struct sf_flow *fl, bool front, uint8_t type, struct fxp_cursor *c)
{
	uint32_t version = fxp_get_u32(c);

	fl->greeted = true;
	if (type != (front ? FXP_INIT : FXP_VERSION_IS))
		s->lost = "it does not begin like SFTP";
	else if (!front && version != FXP_VERSION)
		s->lost = "a version of SFTP other than 3";
}

/* The head of a packet is there. */
static int
on_packet(struct watch *w, struct sf_flow *fl, bool front)
{
	struct sftp *s = w->state;
	uint8_t type = fl->head[4];
	struct fxp_cursor c;
	int r = 0;

	fxp_cursor_init(&c, fl->head + FXP_HEAD, fl->have - FXP_HEAD, fl->len - 1);
	fl->plain = 4 + (uint64_t)fl->len - fl->have;
	fl->have = 0;
	fl->need = 4;
	if (fl->len < 1 + ID_LEN)
		s->lost = malformed;
	else if (!fl->greeted)
		on_greeting(s, fl, front, type, &c);
	else if (front)
		r = on_request(w, fl, type, &c);
	else
		r = on_answer(w, fl, type, &c);
	if (r == 0 && c.bad)
		s->lost = malformed;
	return r;
}

static uint32_t
u32_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Bytes of head that it takes to go on; no more than there are now: it is complete. */
static size_t
head_need(struct sftp *s, struct sf_flow *fl, bool front)
{
	size_t all;

	if (fl->have == 4) {
		fl->len = u32_at(fl->head);
		if (fl->len == 0 || fl->len > FXP_PACKET_MAX)
			s->lost = "a length that no packet has";
		return FXP_HEAD;
	}
	all = 4 + (size_t)fl->len;
	if (front && fl->head[4] == FXP_WRITE && fl->greeted) {
		size_t n = FXP_HEAD + ID_LEN + 4;

		if (fl->have >= n)
			n = FXP_HEAD + WRITE_FIELDS + u32_at(fl->head + n - 4);
		if (n > FXP_HEAD + WRITE_FIELDS + FXP_HANDLE_MAX)
			s->lost = malformed;
		return n < all ? n : all;
	}
	if (!front && fl->head[4] == FXP_DATA && fl->greeted)
		all = all < FXP_HEAD + ID_LEN + 4 ? all : FXP_HEAD + ID_LEN + 4;
	return all < SF_HEAD_MAX ? all : SF_HEAD_MAX;
}

static size_t
min_of(uint64_t a, size_t b)
{
	return a < b ? (size_t)a : b;
}

/* Bytes for the head. *off: moves past those that were taken. */
static int
take_head(
    struct watch *w, struct sf_flow *fl, bool front, const uint8_t *p, size_t len, size_t *off)
{
	struct sftp *s = w->state;
	size_t n = min_of(fl->need - fl->have, len - *off);

	memcpy(fl->head + fl->have, p + *off, n);
	fl->have += n;
	*off += n;
	if (fl->have < fl->need)
		return 0;
	fl->need = head_need(s, fl, front);
	if (s->lost != NULL || fl->have < fl->need)
		return 0;
	return on_packet(w, fl, front);
}

static int
take_content(struct watch *w, struct sf_flow *fl, enum event_way way, const uint8_t *p, size_t len,
    size_t *off)
{
	size_t n = min_of(fl->content, len - *off);
	struct sf_file *f = fl->file;
	int r;

	if ((r = watch_content(w, way, p + *off, n, fl->op->number, fl->offset)) != 0)
		return r;
	watch_track_add(fl->op->track, fl->offset, p + *off, n);
	*off += n;
	fl->content -= n;
	fl->offset += n;
	if (fl->content > 0)
		return 0;
	fl->file = NULL;
	f->n_waiting--;
	return sf_file_settle(w, f);
}

static int
on_data(struct watch *w, enum event_way way, const uint8_t *p, size_t len)
{
	struct sftp *s = w->state;
	struct sf_flow *fl = &s->flows[way == EVENT_BACK];
	size_t off = 0, told = 0;
	int r = 0;

	while (r == 0 && s->lost == NULL && off < len) {
		if (fl->content > 0) {
			if ((r = watch_plain(w, way, p + told, off - told)) == 0)
				r = take_content(w, fl, way, p, len, &off);
			told = off;
		} else if (fl->plain > 0) {
			size_t n = min_of(fl->plain, len - off);

			fl->plain -= n;
			off += n;
		} else {
			r = take_head(w, fl, way == EVENT_FRONT, p, len, &off);
		}
	}
	if (r != 0)
		return r;
	if (s->lost != NULL)
		return watch_lost(w, way, p + told, len - told, s->lost);
	return watch_plain(w, way, p + told, len - told);
}

static int
on_end(struct watch *w)
{
	struct sftp *s = w->state;
	struct sf_request *q;
	struct sf_file *f;
	int r = 0;

	/* Those with a path of their own are operations; the others belong to a file. */
	TAILQ_FOREACH (q, &s->requests, link)
		if (q->path != NULL && (r = sf_request_tell(w, q, false, 0, "")) != 0)
			return r;
	TAILQ_FOREACH (f, &s->files, link)
		if ((r = sf_file_tell(w, f)) != 0)
			return r;
	return 0;
}

static int
on_start(struct watch *w, const char *command)
{
	struct sftp *s = calloc(1, sizeof(*s));

	(void)command;
	if (s == NULL)
		return -ENOMEM;
	TAILQ_INIT(&s->files);
	TAILQ_INIT(&s->requests);
	s->flows[0].need = s->flows[1].need = 4;
	w->state = s;
	return 0;
}

static void
on_stop(struct watch *w)
{
	struct sftp *s = w->state;
	struct sf_request *q, *next_request;
	struct sf_file *f, *next_file;

	if (s == NULL)
		return;
	for (q = TAILQ_FIRST(&s->requests); q != NULL; q = next_request) {
		next_request = TAILQ_NEXT(q, link);
		sf_request_drop(s, q);
	}
	for (f = TAILQ_FIRST(&s->files); f != NULL; f = next_file) {
		next_file = TAILQ_NEXT(f, link);
		sf_file_free(s, f);
	}
	free(s);
}

const struct watch_kind watch_sftp = { POL_STREAM_SFTP, on_start, on_stop, on_data, on_end, NULL };
