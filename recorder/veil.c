/* Keys in slots of locked memory; pieces under a key; runs that wait for theirs. */
#include "config.h"

#include <sys/queue.h>

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/secret.h"
#include "recorder/veil.h"

#define SLAB_SLOTS 16u /* in one piece of secret memory */
#define PIECE_HEAD 8u

/* Slots. */

struct slab {
	SLIST_ENTRY(slab) link;
	struct secret *secret;
	uint32_t used; /* a bit for each slot */
};

struct veil_pool {
	SLIST_HEAD(, slab) slabs;
};

struct veil_pool *
veil_pool_new(void)
{
	struct veil_pool *p = calloc(1, sizeof(*p));

	if (p != NULL)
		SLIST_INIT(&p->slabs);
	return p;
}

void
veil_pool_free(struct veil_pool *p)
{
	struct slab *s;

	if (p == NULL)
		return;
	while ((s = SLIST_FIRST(&p->slabs)) != NULL) {
		SLIST_REMOVE_HEAD(&p->slabs, link);
		secret_free(s->secret);
		free(s);
	}
	free(p);
}

static struct slab *
slab_new(struct veil_pool *p)
{
	struct slab *s = calloc(1, sizeof(*s));

	if (s == NULL || (s->secret = secret_new(SLAB_SLOTS * sizeof(struct veil_slot))) == NULL) {
		free(s);
		return NULL;
	}
	SLIST_INSERT_HEAD(&p->slabs, s, link);
	return s;
}

static struct veil_slot *
slab_slots(struct slab *s)
{
	return (struct veil_slot *)(void *)secret_ptr(s->secret);
}

struct veil_slot *
veil_pool_get(struct veil_pool *p)
{
	struct slab *s;

	SLIST_FOREACH (s, &p->slabs, link)
		if (s->used != (1u << SLAB_SLOTS) - 1)
			break;
	if (s == NULL && (s = slab_new(p)) == NULL)
		return NULL;
	for (uint32_t i = 0; i < SLAB_SLOTS; i++)
		if ((s->used & 1u << i) == 0) {
			s->used |= 1u << i;
			return &slab_slots(s)[i];
		}
	return NULL;
}

void
veil_pool_put(struct veil_pool *p, struct veil_slot *slot)
{
	struct slab *s;

	if (slot == NULL)
		return;
	sodium_memzero(slot, sizeof(*slot));
	SLIST_FOREACH (s, &p->slabs, link) {
		struct veil_slot *first = slab_slots(s);

		if (slot >= first && slot < first + SLAB_SLOTS) {
			s->used &= ~(1u << (uint32_t)(slot - first));
			return;
		}
	}
}

/* Writing. */

/* So that a key more or less does not show. */
static size_t
padded(size_t n)
{
	static const size_t sizes[] = { 32, 256, 2048, 16384 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (n <= sizes[i])
			return sizes[i];
	return LINK_DATA_MAX + 32;
}

static void
make_nonce(uint8_t nonce[crypto_stream_xchacha20_NONCEBYTES], const uint8_t piece[4])
{
	memset(nonce, 0, crypto_stream_xchacha20_NONCEBYTES);
	memcpy(nonce, piece, 4);
}

int
veil_put(struct buf *b, const uint8_t key[VEIL_KEY_LEN], uint32_t run, uint32_t piece,
    const uint8_t *p, size_t n)
{
	uint8_t nonce[crypto_stream_xchacha20_NONCEBYTES], *dst;
	size_t len = padded(n + 2);
	int r;

	if (n == 0 || n > LINK_DATA_MAX)
		return ERR_LIMIT;
	if ((r = buf_put_u32(b, run)) != 0 || (r = buf_put_u32(b, piece)) != 0 ||
	    (r = buf_reserve(b, len, &dst)) != 0)
		return r;
	make_nonce(nonce, dst - 4);
	dst[0] = (uint8_t)(n >> 8);
	dst[1] = (uint8_t)n;
	memcpy(dst + 2, p, n);
	memset(dst + 2 + n, 0, len - 2 - n);
	return crypto_stream_xchacha20_xor(dst, dst, len, nonce, key) == 0 ? 0 : ERR_CRYPTO;
}

int
veil_put_shown(struct buf *b, const uint8_t key[VEIL_KEY_LEN], uint32_t run, size_t all)
{
	int r;

	if ((r = buf_put_u32(b, run)) != 0 || (r = buf_put(b, key, VEIL_KEY_LEN)) != 0)
		return r;
	return buf_put_u32(b, all < UINT32_MAX ? (uint32_t)all : UINT32_MAX);
}

int
veil_put_hidden(struct buf *b, uint32_t run, enum veil_why why)
{
	int r = buf_put_u8(b, (uint8_t)why);

	return r != 0 ? r : buf_put_u32(b, run);
}

/* Reading. */

struct piece {
	STAILQ_ENTRY(piece) link;
	uint32_t channel, run;
	enum event_way way;
	size_t len;
	uint64_t seq, at_ns; /* of the event that gave the key */
	uint8_t data[];	     /* number, bytes */
};
STAILQ_HEAD(pieces, piece);

struct veil_reader {
	struct pieces closed, open;
	struct piece *out;  /* that the caller has borrowed from */
	size_t bytes;	    /* in closed */
	struct event plain; /* to be passed on as it is */
	bool has_plain;
};

struct veil_reader *
veil_reader_new(void)
{
	struct veil_reader *v = calloc(1, sizeof(*v));

	if (v != NULL) {
		STAILQ_INIT(&v->closed);
		STAILQ_INIT(&v->open);
	}
	return v;
}

static void
piece_free(struct piece *p)
{
	if (p == NULL)
		return;
	sodium_memzero(p->data, p->len);
	free(p);
}

static void
drop_all(struct pieces *list)
{
	struct piece *p;

	while ((p = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, link);
		piece_free(p);
	}
}

void
veil_reader_reset(struct veil_reader *v)
{
	drop_all(&v->closed);
	drop_all(&v->open);
	piece_free(v->out);
	v->out = NULL;
	v->bytes = 0;
	v->has_plain = false;
}

void
veil_reader_free(struct veil_reader *v)
{
	if (v == NULL)
		return;
	veil_reader_reset(v);
	free(v);
}

static uint32_t
u32_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int
add_veil(struct veil_reader *v, const struct event *ev)
{
	size_t len = ev->len - 4;
	struct piece *p, *old;

	while (v->bytes + len > VEIL_READER_BYTES && (old = STAILQ_FIRST(&v->closed)) != NULL) {
		STAILQ_REMOVE_HEAD(&v->closed, link);
		v->bytes -= old->len;
		piece_free(old);
	}
	if ((p = malloc(sizeof(*p) + len)) == NULL)
		return -ENOMEM;
	*p = (struct piece){
		.channel = ev->channel, .run = u32_at(ev->data), .way = ev->way, .len = len
	};
	memcpy(p->data, ev->data + 4, len);
	STAILQ_INSERT_TAIL(&v->closed, p, link);
	v->bytes += len;
	return 0;
}

static void
take_out(struct veil_reader *v, struct piece *p)
{
	STAILQ_REMOVE(&v->closed, p, piece, link);
	v->bytes -= p->len;
}

/* With the key; what is no piece under it is passed over. */
static void
open_piece(struct veil_reader *v, struct piece *p, const struct event *ev)
{
	uint8_t nonce[crypto_stream_xchacha20_NONCEBYTES];
	uint8_t *data = p->data + 4;
	size_t len = p->len - 4, n;

	take_out(v, p);
	make_nonce(nonce, p->data);
	if (crypto_stream_xchacha20_xor(data, data, len, nonce, ev->data + 4) != 0 ||
	    (n = (size_t)data[0] << 8 | data[1]) == 0 || n > len - 2) {
		piece_free(p);
		return;
	}
	p->len = 6 + n;
	p->seq = ev->seq;
	p->at_ns = ev->at_ns;
	STAILQ_INSERT_TAIL(&v->open, p, link);
}

static void
add_shown(struct veil_reader *v, const struct event *ev)
{
	struct piece *p, *next;

	for (p = STAILQ_FIRST(&v->closed); p != NULL; p = next) {
		next = STAILQ_NEXT(p, link);
		if (p->channel == ev->channel && p->run == u32_at(ev->data))
			open_piece(v, p, ev);
	}
}

/* Runs up to this one, as numbers that go round. */
static void
add_hidden(struct veil_reader *v, const struct event *ev)
{
	uint32_t run = u32_at(ev->data + 1);
	struct piece *p, *next;

	for (p = STAILQ_FIRST(&v->closed); p != NULL && run != 0; p = next) {
		next = STAILQ_NEXT(p, link);
		if (p->channel == ev->channel && (int32_t)(run - p->run) >= 0) {
			take_out(v, p);
			piece_free(p);
		}
	}
}

int
veil_reader_add(struct veil_reader *v, const struct event *ev)
{
	if (ev->type == EVENT_VEIL && ev->len > PIECE_HEAD + 2)
		return add_veil(v, ev);
	if (ev->type == EVENT_SHOWN && ev->len >= 4 + VEIL_KEY_LEN) {
		add_shown(v, ev);
		return 0;
	}
	if (ev->type == EVENT_HIDDEN && ev->len >= 5)
		add_hidden(v, ev);
	v->plain = *ev;
	v->has_plain = true;
	return 0;
}

int
veil_reader_next(struct veil_reader *v, struct event *ret_ev)
{
	struct piece *p = STAILQ_FIRST(&v->open);

	piece_free(v->out);
	v->out = NULL;
	if (p != NULL) {
		STAILQ_REMOVE_HEAD(&v->open, link);
		v->out = p;
		*ret_ev = (struct event){ .seq = p->seq,
			.at_ns = p->at_ns,
			.way = p->way,
			.type = LINK_DATA,
			.channel = p->channel,
			.data = p->data + 6,
			.len = p->len - 6 };
		return 0;
	}
	if (!v->has_plain)
		return ERR_NOT_FOUND;
	v->has_plain = false;
	*ret_ev = v->plain;
	return 0;
}

const char *
veil_why_text(const struct event *ev)
{
	static const char *const texts[] = { "", [VEIL_PROMPT] = "a prompt asked for a secret",
		[VEIL_FEEDBACK] = "the target showed asterisks",
		[VEIL_SILENT] = "the target did not show it",
		[VEIL_ASKED] = "the bastion asked for it",
		[VEIL_MEMORY] = "no memory for secrets was left",
		[VEIL_MASKED] = "what follows is masked",
		[VEIL_ANSWERED] = "output as of a command followed" };

	if (ev->type != EVENT_HIDDEN || ev->len < 1 ||
	    ev->data[0] >= sizeof(texts) / sizeof(texts[0]))
		return "";
	return texts[ev->data[0]];
}
