/* Events to bytes and back: what a block is made of. */
#include "config.h"

#include <string.h>

#include "lib/ipc.h"
#include "recorder/event.h"

#define WAY_SHIFT 6
#define TYPE_MASK 0x3fu

_Static_assert(LINK_REQUEST_PART == EVENT_DATA_MAX, "a frame of a long request is one event");
_Static_assert(EVENT_DATA_MAX + EVENT_HEAD_MAX + 2 * sizeof(uint64_t) <= IPC_MAX,
    "an event with its sequence number and time fits a message");

static uint32_t
channel_rotate(uint32_t channel)
{
	return channel << 1 | channel >> 31;
}

static uint32_t
channel_restore(uint32_t v)
{
	return v >> 1 | v << 31;
}

static size_t
varint_encode(uint8_t *dst, uint64_t v)
{
	size_t n = 0;

	do {
		dst[n] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
		n++;
	} while (v != 0);
	return n;
}

int
event_put(struct buf *b, uint64_t dt_ns, const struct event *ev)
{
	size_t n;
	uint8_t head[EVENT_HEAD_MAX];
	uint8_t *p;
	int r;

	if (ev->len > EVENT_DATA_MAX || ev->type > EVENT_TYPE_MAX)
		return ERR_LIMIT;
	n = varint_encode(head, dt_ns);
	head[n++] = (uint8_t)((unsigned)ev->way << WAY_SHIFT | ev->type);
	n += varint_encode(head + n, channel_rotate(ev->channel));
	n += varint_encode(head + n, ev->len);
	/* One reservation, so that a failure leaves no half event behind. */
	if ((r = buf_reserve(b, n + ev->len, &p)) != 0)
		return r;
	memcpy(p, head, n);
	if (ev->len > 0)
		memcpy(p + n, ev->data, ev->len);
	return 0;
}

void
event_reader_init(
    struct event_reader *r, const void *data, size_t len, uint64_t first_seq, uint64_t base_ns)
{
	*r = (struct event_reader){
		.data = data, .len = len, .next_seq = first_seq, .at_ns = base_ns
	};
}

/* The varint at *off, which moves past it. */
static int
varint_decode(const struct event_reader *r, size_t *off, uint64_t *ret_v)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 10 && *off + i < r->len; i++) {
		uint8_t byte = r->data[*off + i];

		/* The tenth byte holds one bit; padded forms would give an event two encodings. */
		if ((i == 9 && byte > 1) || (i > 0 && byte == 0))
			return ERR_FORMAT;
		v |= (uint64_t)(byte & 0x7f) << (7 * i);
		if ((byte & 0x80) == 0) {
			*off += i + 1;
			*ret_v = v;
			return 0;
		}
	}
	return ERR_FORMAT;
}

int
event_next(struct event_reader *r, struct event *ret_ev)
{
	uint64_t dt, channel, len;
	size_t off = r->off;
	uint8_t kind;

	if (off == r->len)
		return ERR_NOT_FOUND;
	if (varint_decode(r, &off, &dt) != 0 || dt > UINT64_MAX - r->at_ns || off == r->len)
		return ERR_FORMAT;
	kind = r->data[off++];
	if (varint_decode(r, &off, &channel) != 0 || channel > UINT32_MAX ||
	    varint_decode(r, &off, &len) != 0 || len > EVENT_DATA_MAX || len > r->len - off)
		return ERR_FORMAT;
	*ret_ev = (struct event){
		.seq = r->next_seq,
		.at_ns = r->at_ns + dt,
		.way = (enum event_way)(kind >> WAY_SHIFT),
		.type = kind & TYPE_MASK,
		.channel = channel_restore((uint32_t)channel),
		.data = r->data + off,
		.len = (size_t)len,
	};
	r->off = off + (size_t)len;
	r->next_seq++;
	r->at_ns += dt;
	return 0;
}

const char *
event_type_name(uint8_t type)
{
	static const struct {
		uint8_t type;
		const char *name;
	} names[] = {
		{ EVENT_VERDICT, "verdict" },
		{ EVENT_CONTENT, "content" },
		{ EVENT_FILE, "file" },
		{ EVENT_REMARK, "remark" },
		{ EVENT_KEPT, "kept" },
		{ EVENT_HIDDEN, "hidden" },
		{ EVENT_VEIL, "veil" },
		{ EVENT_SHOWN, "shown" },
		{ EVENT_MASKED, "masked" },
		{ LINK_OPEN, "open" },
		{ LINK_OPEN_OK, "open-ok" },
		{ LINK_OPEN_FAIL, "open-fail" },
		{ LINK_DATA, "data" },
		{ LINK_DATA_EXT, "data-ext" },
		{ LINK_WINDOW, "window" },
		{ LINK_EOF, "eof" },
		{ LINK_CLOSE, "close" },
		{ LINK_REQUEST, "request" },
		{ LINK_REPLY, "reply" },
		{ LINK_EXIT_STATUS, "exit-status" },
		{ LINK_EXIT_SIGNAL, "exit-signal" },
		{ LINK_GLOBAL, "global" },
		{ LINK_GLOBAL_REPLY, "global-reply" },
		{ LINK_NOTE, "note" },
		{ LINK_END, "end" },
		{ LINK_MORE, "more" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].type == type)
			return names[i].name;
	return "unknown";
}

const char *
event_way_name(enum event_way way)
{
	static const char *const names[] = { "front", "back", "to-front", "to-back" };

	return names[(unsigned)way & 3u];
}
