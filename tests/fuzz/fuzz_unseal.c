/*
 * What a hostile bastion may send to somebody with an auditor's key: it knows the public one, so it can make records and
 * blocks that open, with whatever in them. Input: u8 what, u16 length, so many bytes, again and again.
 */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/unseal.h"
#include "lib/buf.h"
#include "lib/hash.h"
#include "recorder/block.h"
#include "recorder/event.h"
#include "recorder/seskey.h"
#include "recorder/sess.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX 64u

/* The auditor, the session whose record came last, and its key. */
static struct secret *own;
static struct auditors to;
static struct sess at;
static uint8_t key[CRYPT_KEY_LEN];
static uint64_t next_seq;
static uint32_t next_block;

static void
must(int condition)
{
	if (!condition)
		abort();
}

/* Only what unseal.h says it may say. */
static void
is_said(int r)
{
	static const int said[] = { 0, ERR_SEALED, ERR_ERASED, ERR_CHAIN, ERR_FORMAT, ERR_VERSION,
		ERR_LIMIT, ERR_ORDER, ERR_CRYPTO };

	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		if (said[i] == r)
			return;
	must(0);
}

static void
take_raw_record(struct unseal *u, const uint8_t *p, size_t len)
{
	is_said(unseal_record(u, p, len, false));
}

static void
take_part_of_record(struct unseal *u, const uint8_t *p, size_t len)
{
	is_said(unseal_record(u, p, len, true));
}

/* p: a session record; its key record is a good one. */
static void
take_record(struct unseal *u, const uint8_t *p, size_t len)
{
	static const uint8_t half[CRYPT_KEY_LEN] = { 'h' };
	struct buf *b = buf_new(SESKEY_RECORD_MAX), *whole = buf_new(SESKEY_RECORD_MAX + 5 + len);
	struct seskey k;
	struct sess s;

	must(b != NULL && whole != NULL);
	if (sess_parse(p, len, &s) == 0) {
		sess_done(&at);
		at = s;
		next_seq = 1;
		next_block = 0;
	}
	must(seskey_make(&k, at.sid, 0, half, &to, key) == 0);
	k.half_is = SESKEY_HERE;
	memcpy(k.half, half, sizeof(half));
	must(seskey_put(b, &k) == 0 && buf_put_u8(whole, 1) == 0 &&
	     buf_put_str(whole, buf_ptr(b), buf_len(b)) == 0 && buf_put(whole, p, len) == 0);
	is_said(unseal_record(u, buf_ptr(whole), buf_len(whole), false));
	seskey_done(&k);
	buf_free(whole);
	buf_free(b);
}

/* A block with these bytes as events that opens; header and stored form appended to out. */
static void
make_block(const uint8_t *p, size_t len, struct buf *out)
{
	struct block_codec_ctx *c = block_codec_new();
	struct block_hdr hdr = { .block = next_block++,
		.first_seq = next_seq,
		.n_events = 1,
		.last_ns = len,
		.raw_len = (uint32_t)len };
	const uint8_t salt[BLOCK_SALT_LEN] = { 1 };
	struct buf *stored = buf_new(BLOCK_STORED_MAX);
	uint8_t head[BLOCK_HDR_LEN];

	must(c != NULL && stored != NULL);
	memcpy(hdr.sid, at.sid, REC_SID_LEN);
	must(block_seal(c, key, hdr.sid, hdr.block, salt, p, len, stored) == 0);
	block_content(salt, p, len, hdr.content);
	hash_sha256(buf_ptr(stored), buf_len(stored), hdr.stored);
	block_hdr_encode(&hdr, head);
	must(buf_put(out, head, sizeof(head)) == 0 &&
	     buf_put(out, buf_ptr(stored), buf_len(stored)) == 0);
	next_seq++;
	buf_free(stored);
	block_codec_free(c);
}

/* What comes out can be read like any events. */
static void
read_on(const struct unseal_events *part)
{
	struct event_reader reader;
	struct event ev;

	event_reader_init(&reader, part->data, part->len, part->first_seq, part->base_ns);
	while (event_next(&reader, &ev) == 0)
		must(ev.data >= part->data && ev.data + ev.len <= part->data + part->len);
}

static void
take_raw_block(struct unseal *u, const uint8_t *p, size_t len)
{
	struct unseal_events part;
	int r = unseal_block(u, p, len, false, &part);

	is_said(r);
	if (r == 0)
		read_on(&part);
}

static void
take_block(struct unseal *u, const uint8_t *p, size_t len)
{
	struct buf *b = buf_new(BLOCK_HDR_LEN + BLOCK_STORED_MAX);

	must(b != NULL);
	make_block(p, len, b);
	take_raw_block(u, buf_ptr(b), buf_len(b));
	buf_free(b);
}

static void
take_raw_inside(struct unseal *u, const uint8_t *p, size_t len)
{
	is_said(unseal_inside(u, p, len, false));
}

static void
take_inside(struct unseal *u, const uint8_t *p, size_t len)
{
	struct buf *b = buf_new(BLOCK_HDR_LEN + BLOCK_STORED_MAX);

	must(b != NULL);
	make_block(p, len, b);
	take_raw_inside(u, buf_ptr(b), buf_len(b));
	buf_free(b);
}

static void
take_json(struct unseal *u, const uint8_t *p, size_t len)
{
	struct json_node *root;

	if (json_parse((const char *)p, len, &root) != 0)
		return;
	is_said(unseal_json(u, &root));
	must(root != NULL);
	json_node_free(root);
}

static void
take_seek(struct unseal *u, const uint8_t *p, size_t len)
{
	(void)p;
	(void)len;
	unseal_seek(u);
	must(strlen(unseal_why(u)) > 0);
}

static void
prepare(void)
{
	struct auditor a = { .name = "anna" };

	must(secret_init() == 0 && hash_init() == 0);
	own = secret_new(AUDITOR_KEY_LEN);
	must(own != NULL && crypto_box_keypair(a.key, secret_ptr(own)) == 0 &&
	     auditors_add(&to, &a) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const take[])(struct unseal * u, const uint8_t *p,
	    size_t len) = { take_raw_record, take_part_of_record, take_record, take_raw_block,
		take_block, take_raw_inside, take_inside, take_json, take_seek };
	struct unseal *u;

	if (own == NULL)
		prepare();
	u = unseal_new(own);
	must(u != NULL);
	for (unsigned n = 0; size >= 3 && n < STEPS_MAX; n++) {
		size_t len = (size_t)data[1] << 8 | data[2];

		len = len < size - 3 ? len : size - 3;
		take[data[0] % (sizeof(take) / sizeof(take[0]))](u, data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
	unseal_free(u);
	sess_done(&at);
	memset(key, 0, sizeof(key));
	next_seq = 1;
	next_block = 0;
	return 0;
}
