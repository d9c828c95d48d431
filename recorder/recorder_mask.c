/* Streams of a leg, each with its window; one timer for all that is held back. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "recorder/mask.h"
#include "recorder/recorder.h"
#include "recorder/recorder_link.h"
#include "recorder/recorder_mask.h"

#define SPACE_MAX (4u << 20) /* bytes of a piece as it is recorded */
#define CODE_LEN 4u	     /* of LINK_DATA_EXT */

struct masked {
	LIST_ENTRY(masked) link;
	struct end *from;
	uint32_t channel;
	bool ext;
	uint8_t code[CODE_LEN]; /* of the data type, with ext: of what is held back */
	struct mask_stream *stream;
};

static int deliver(struct masked *m, const struct mask_piece *piece, bool cross);

static void
masked_free(struct masked *m)
{
	LIST_REMOVE(m, link);
	mask_stream_free(m->stream);
	free(m);
}

void
masked_free_all(struct leg *leg)
{
	struct masked *m, *next;

	for (m = LIST_FIRST(&leg->masked); m != NULL; m = next) {
		next = LIST_NEXT(m, link);
		masked_free(m);
	}
	loop_timer_free(leg->mask_timer);
	leg->mask_timer = NULL;
	buf_free(leg->mask_space);
	leg->mask_space = NULL;
	mask_set_free(leg->masks);
	leg->masks = NULL;
}

/* What is held back of one stream. */
static int
flush(struct masked *m)
{
	struct mask_piece piece;
	int r;

	if (mask_held(m->stream) == 0)
		return 0;
	r = mask_feed(m->stream, NULL, 0, true, &piece);
	return r != 0 ? r : deliver(m, &piece, true);
}

int
masked_flush(struct end *from, uint32_t channel)
{
	struct masked *m, *next;
	int r = 0;

	for (m = LIST_FIRST(&from->leg->masked); r == 0 && m != NULL; m = next) {
		next = LIST_NEXT(m, link);
		if (m->from == from && (channel == 0 || m->channel == channel))
			r = flush(m);
	}
	return r;
}

void
masked_close(struct end *from, uint32_t channel)
{
	struct masked *m, *next;

	for (m = LIST_FIRST(&from->leg->masked); m != NULL; m = next) {
		next = LIST_NEXT(m, link);
		if (m->from == from && m->channel == channel)
			masked_free(m);
	}
}

static void
on_mask_timer(void *arg)
{
	struct leg *leg = arg;
	int r = 0;

	if (leg->session == NULL || leg->rec->failed)
		return;
	if ((r = masked_flush(&leg->ends[LEDGER_FRONT], 0)) == 0)
		r = masked_flush(&leg->ends[LEDGER_BACK], 0);
	if (r != 0 && !leg->rec->failed)
		leg_end(leg, LINK_END_INTERNAL,
		    "the session was ended: the recorder is out of memory", "");
}

int
masked_begin(struct leg *leg, const char *names, const char *texts)
{
	int r = mask_set_new(names, texts, &leg->masks);

	if (r == 0)
		r = loop_timer_new(leg->rec->loop, on_mask_timer, leg, &leg->mask_timer);
	if (r == 0 && (leg->mask_space = buf_new(SPACE_MAX)) == NULL)
		r = -ENOMEM;
	return r;
}

/* All data types are one stream: a target can make up 2^32 of them. */
static struct masked *
find(struct end *from, uint32_t channel, bool ext)
{
	struct masked *m;

	LIST_FOREACH (m, &from->leg->masked, link)
		if (m->from == from && m->channel == channel && m->ext == ext)
			return m;
	return NULL;
}

static struct masked *
find_or_make(struct end *from, uint32_t channel, bool ext)
{
	struct masked *m = find(from, channel, ext);

	if (m != NULL || (m = calloc(1, sizeof(*m))) == NULL)
		return m;
	if ((m->stream = mask_stream_new(from->leg->masks)) == NULL) {
		free(m);
		return NULL;
	}
	m->from = from;
	m->channel = channel;
	m->ext = ext;
	LIST_INSERT_HEAD(&from->leg->masked, m, link);
	return m;
}

/* In frames as they are on the link; code: NULL for LINK_DATA. */
static int
in_frames(const uint8_t *p, size_t n, const uint8_t *code,
    int (*fn)(void *arg, uint8_t type, const void *data, size_t len), void *arg)
{
	uint8_t frame[CODE_LEN + LINK_DATA_MAX];
	int r = 0;

	for (size_t len; r == 0 && n > 0; p += len, n -= len) {
		len = n < LINK_DATA_MAX ? n : LINK_DATA_MAX;
		if (code == NULL) {
			r = fn(arg, LINK_DATA, p, len);
			continue;
		}
		memcpy(frame, code, CODE_LEN);
		memcpy(frame + CODE_LEN, p, len);
		r = fn(arg, LINK_DATA_EXT, frame, CODE_LEN + len);
	}
	return r;
}

struct place {
	struct leg *leg;
	struct end *from;
	enum event_way way;
	uint32_t channel;
};

static int
record_frame(void *arg, uint8_t type, const void *data, size_t len)
{
	const struct place *to = arg;

	return leg_record(to->leg, to->way, type, to->channel, data, len);
}

static int
send_frame(void *arg, uint8_t type, const void *data, size_t len)
{
	const struct place *to = arg;

	return leg_send(to->from, type, to->channel, data, len);
}

/* The mark, when places are new, and then what is left. */
static int
record_masked(const struct place *to, const struct mask_piece *piece, const uint8_t *code)
{
	struct leg *leg = to->leg;
	struct buf *b = leg->mask_space;
	bool fresh = false;
	struct place place = *to;
	int r = 0;

	for (size_t i = 0; i < piece->n_hits; i++)
		fresh = fresh || !piece->hits[i].goes_on;
	buf_reset(b);
	if (fresh && (r = mask_put_mark(b, leg->masks, piece)) == 0)
		r = leg_record(leg, to->way, EVENT_MASKED, to->channel, buf_ptr(b), buf_len(b));
	buf_reset(b);
	if (r == 0 && (r = mask_put(b, leg->masks, piece)) == 0)
		r = in_frames(buf_ptr(b), buf_len(b), code, record_frame, &place);
	buf_reset(b);
	return r;
}

static int
record(const struct place *to, const struct mask_piece *piece, const uint8_t *code)
{
	struct place place = *to;

	if (piece->n_hits > 0)
		return record_masked(to, piece, code);
	return in_frames(piece->data, piece->len, code, record_frame, &place);
}

int
masked_record(struct leg *leg, enum event_way way, uint32_t channel, const struct mask_piece *piece)
{
	const struct place to = { .leg = leg, .way = way, .channel = channel };

	return record(&to, piece, NULL);
}

/* What is decided is recorded, and crosses. */
static int
deliver(struct masked *m, const struct mask_piece *piece, bool cross)
{
	struct leg *leg = m->from->leg;
	struct place to = { leg, m->from, leg_way_from(m->from), m->channel };
	const uint8_t *code = m->ext ? m->code : NULL;
	struct typed *t = m->ext ? NULL : typed_find(leg, m->channel);
	int r;

	if (piece->len == 0)
		return 0;
	r = t != NULL ? typed_data(t, m->from, piece) : record(&to, piece, code);
	return r != 0 || !cross ? r : in_frames(piece->data, piece->len, code, send_frame, &to);
}

int
masked_data(struct end *from, const struct ipc_msg *msg, bool cross)
{
	size_t head = msg->type == LINK_DATA_EXT ? CODE_LEN : 0;
	struct masked *m = find_or_make(from, msg->id, head > 0), *other;
	struct mask_piece piece;
	int r = -ENOMEM;

	if (m == NULL)
		return r;
	/* Two streams of one channel come in the order in which they were sent. */
	LIST_FOREACH (other, &from->leg->masked, link)
		if (other != m && other->from == from && other->channel == msg->id &&
		    (r = flush(other)) != 0)
			return r;
	if (memcmp(m->code, msg->data, head) != 0) {
		if ((r = flush(m)) != 0)
			return r;
		memcpy(m->code, msg->data, head);
	}
	if ((r = mask_feed(m->stream, msg->data + head, msg->len - head, !cross, &piece)) != 0 ||
	    (r = deliver(m, &piece, cross)) != 0)
		return r;
	if (mask_held(m->stream) > 0 && !loop_timer_armed(from->leg->mask_timer))
		loop_timer_arm(from->leg->mask_timer, MASK_WAIT_NS);
	return 0;
}

int
masked_typed(
    struct leg *leg, uint32_t channel, const uint8_t *p, size_t n, struct mask_piece *ret_piece)
{
	struct masked *m;

	*ret_piece = (struct mask_piece){ .data = p, .len = n };
	if (leg->masks == NULL)
		return 0;
	if ((m = find_or_make(&leg->ends[LEDGER_FRONT], channel, false)) == NULL)
		return -ENOMEM;
	return mask_feed(m->stream, p, n, true, ret_piece);
}

/* Commands (RFC 4254 section 6.5). */

/* In the frames that it has on the link. */
static int
record_request(struct leg *leg, enum event_way way, uint32_t channel, const uint8_t *p, size_t n)
{
	uint8_t type = LINK_REQUEST;
	size_t len;
	int r;

	do {
		len = n < LINK_REQUEST_PART ? n : LINK_REQUEST_PART;
		r = leg_record_plain(leg, way, type, channel, p, len);
		type = LINK_MORE;
		p += len;
		n -= len;
	} while (r == 0 && len == LINK_REQUEST_PART);
	return r;
}

/* The places of a command, and the request without them in b. *ret_masked: there are any. */
static int
put_request(struct leg *leg, const uint8_t *data, struct buf *in, struct mask_stream *stream,
    bool *ret_masked)
{
	struct buf *b = leg->mask_space, *command = buf_new(SPACE_MAX);
	struct mask_piece piece = { .len = 0 };
	const uint8_t *name, *text;
	size_t name_len, text_len;
	uint32_t number;
	uint8_t want;
	int r = command == NULL ? -ENOMEM : 0;

	*ret_masked = false;
	if (r != 0 || buf_get_u32(in, &number) != 0 || buf_get_str(in, &name, &name_len) != 0 ||
	    buf_get_u8(in, &want) != 0 || name_len != 4 || memcmp(name, "exec", 4) != 0 ||
	    buf_get_str(in, &text, &text_len) != 0)
		goto out;
	if ((r = mask_feed(stream, text, text_len, true, &piece)) != 0 || piece.n_hits == 0)
		goto out;
	*ret_masked = true;
	if ((r = mask_put_mark(command, leg->masks, &piece)) != 0 ||
	    (r = buf_put_str(b, buf_ptr(command), buf_len(command))) != 0)
		goto out;
	buf_reset(command);
	if ((r = mask_put(command, leg->masks, &piece)) == 0 &&
	    (r = buf_put(b, data, (size_t)(text - data) - 4)) == 0)
		r = buf_put_str(b, buf_ptr(command), buf_len(command));
out:
	buf_free(command);
	return r;
}

int
masked_request(
    struct leg *leg, enum event_way way, uint32_t channel, const uint8_t *data, size_t len)
{
	struct mask_stream *stream = mask_stream_new(leg->masks);
	struct buf *in = buf_view(data, len);
	const uint8_t *mark;
	size_t mark_len;
	bool masked = false;
	int r = -ENOMEM;

	buf_reset(leg->mask_space);
	if (stream != NULL && in != NULL)
		r = put_request(leg, data, in, stream, &masked);
	if (r == 0 && !masked)
		r = record_request(leg, way, channel, data, len);
	else if (r == 0 && (r = buf_get_str(leg->mask_space, &mark, &mark_len)) == 0 &&
		 (r = leg_record_plain(leg, way, EVENT_MASKED, channel, mark, mark_len)) == 0)
		r = record_request(
		    leg, way, channel, buf_ptr(leg->mask_space), buf_len(leg->mask_space));
	buf_reset(leg->mask_space);
	buf_free(in);
	mask_stream_free(stream);
	return r;
}
