/*
 * bastion-tamper: does to a store what somebody with write access but without the signing key could do, for tests and for
 * the demonstration of contrib/quickstart. Works on a copy that no recorder has open. Not installed.
 *   bastion-tamper flip|cut|swap|remove DIR SESSION|last
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/hash.h"
#include "lib/secret.h"
#include "lib/str.h"
#include "recorder/block.h"
#include "recorder/event.h"
#include "recorder/seskey.h"
#include "recorder/sess.h"
#include "recorder/store_write.h"

struct tamper {
	const char *dir;
	struct store *store;
	struct store_snap *snap;
	uint8_t sid[REC_SID_LEN];
	uint32_t n_blocks;
};

static int
tamper_newest(void *arg, const uint8_t sid[REC_SID_LEN], uint64_t opened_wall_ns)
{
	struct tamper *t = arg;

	(void)opened_wall_ns;
	memcpy(t->sid, sid, REC_SID_LEN);
	return 0;
}

static int
tamper_session(struct tamper *t, const char *text)
{
	struct sess s;
	int r;

	if (strcmp(text, "last") == 0)
		r = sess_each(t->snap, 0, tamper_newest, t);
	else
		r = str_unhex(text, t->sid, REC_SID_LEN);
	if (r != 0 || (r = sess_get(t->snap, t->sid, &s)) != 0)
		return r;
	t->n_blocks = s.n_blocks;
	sess_done(&s);
	return t->n_blocks > 0 ? 0 : ERR_NOT_FOUND;
}

/* Where the file holds these bytes, and only once; -1: nowhere, -2: in several places. */
static off_t
tamper_locate(const uint8_t *file, size_t size, const uint8_t *data, size_t len)
{
	const uint8_t *at = memmem(file, size, data, len);
	const uint8_t *again;

	if (at == NULL)
		return -1;
	again = memmem(at + 1, size - (size_t)(at + 1 - file), data, len);
	return again != NULL ? -2 : (off_t)(at - file);
}

/* One bit of the first block's stored events, in the file itself, behind LMDB's back. */
static int
tamper_flip(struct tamper *t)
{
	uint8_t key[BLOCK_KEY_LEN + 2] = { 0 };
	const uint8_t *value;
	uint8_t *file;
	char path[PATH_MAX];
	struct stat st;
	size_t len;
	off_t at;
	int fd, r;

	block_key(t->sid, 0, key);
	if ((r = store_get(t->snap, STORE_BLK, key, sizeof(key), &value, &len)) != 0)
		return r;
	if ((r = str_format(path, sizeof(path), "%s/data.mdb", t->dir)) != 0)
		return r;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return -errno;
	file = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED)
		return -errno;
	at = tamper_locate(file, (size_t)st.st_size, value, len);
	if (at < 0)
		return ERR_NOT_FOUND;
	file[at + (off_t)(len - (len - 1 - BLOCK_SALT_LEN) / 2)] ^= 1;
	r = munmap(file, (size_t)st.st_size) != 0 ? -errno : 0;
	fd_close(&fd);
	return r;
}

/* The last block is gone, as if it had never been. */
static int
tamper_cut(struct tamper *t)
{
	uint8_t key[BLOCK_KEY_LEN];
	int r;

	block_key(t->sid, t->n_blocks - 1, key);
	if ((r = store_begin(t->store)) != 0 ||
	    (r = store_del_pieces(t->store, STORE_BLK, key, sizeof(key))) != 0 ||
	    (r = store_del(t->store, STORE_HDR, key, sizeof(key))) != 0)
		return r;
	return store_commit(t->store);
}

/* Copy the events of raw to out with the last two of them in each other's place. */
static int
tamper_swap_events(const struct buf *raw, const struct block_hdr *hdr, struct buf *out)
{
	struct event_reader r;
	struct event ev[2], next;
	size_t at = 0;
	uint64_t n = 0;
	int e;

	event_reader_init(&r, buf_ptr(raw), buf_len(raw), hdr->first_seq, hdr->base_ns);
	while ((e = event_next(&r, &next)) == 0) {
		ev[0] = n > 0 ? ev[1] : next;
		ev[1] = next;
		if (++n == hdr->n_events - 2)
			at = r.off;
	}
	if (e != ERR_NOT_FOUND || n < 2)
		return ERR_FORMAT;
	if (n == 2)
		at = 0;
	if ((e = buf_put(out, buf_ptr(raw), at)) != 0 || (e = event_put(out, 0, &ev[1])) != 0)
		return e;
	return event_put(out, 0, &ev[0]);
}

static int
tamper_store_block(struct tamper *t, struct block_hdr *hdr, const struct buf *stored)
{
	uint8_t key[BLOCK_KEY_LEN], head[BLOCK_HDR_LEN];
	int r;

	block_key(t->sid, hdr->block, key);
	hash_sha256(buf_ptr(stored), buf_len(stored), hdr->stored);
	block_hdr_encode(hdr, head);
	if ((r = store_begin(t->store)) == 0 &&
	    (r = store_del_pieces(t->store, STORE_BLK, key, sizeof(key))) == 0 &&
	    (r = store_put_pieces(t->store, STORE_BLK, key, sizeof(key), buf_ptr(stored),
		 buf_len(stored), false)) == 0 &&
	    (r = store_put(t->store, STORE_HDR, key, sizeof(key), head, sizeof(head))) == 0)
		r = store_commit(t->store);
	return r;
}

/* raw: the events of the block, made into other ones. With session.keys all but the signature can be made to fit. */
static int
tamper_seal_again(struct tamper *t, struct block_codec_ctx *codec, const uint8_t *key,
    struct block_hdr *hdr, const uint8_t *salt, const struct buf *raw)
{
	struct buf *stored = buf_new(BLOCK_STORED_MAX);
	int r = -ENOMEM;

	if (stored == NULL)
		return r;
	hdr->raw_len = (uint32_t)buf_len(raw);
	block_content(salt, buf_ptr(raw), buf_len(raw), hdr->content);
	r = block_seal(codec, key, t->sid, hdr->block, salt, buf_ptr(raw), buf_len(raw), stored);
	if (r == 0)
		r = tamper_store_block(t, hdr, stored);
	buf_free(stored);
	return r;
}

static int
tamper_swap(struct tamper *t)
{
	struct block_codec_ctx *codec = block_codec_new();
	struct buf *raw = buf_new(BLOCK_RAW_MAX), *swapped = buf_new(BLOCK_RAW_MAX + 64);
	uint8_t salt[BLOCK_SALT_LEN], key[CRYPT_KEY_LEN];
	struct block_hdr hdr;
	int r = -ENOMEM;

	if (codec != NULL && raw != NULL && swapped != NULL &&
	    (r = seskey_get(t->snap, t->sid, key)) == 0 &&
	    (r = block_get_hdr(t->snap, t->sid, 0, &hdr)) == 0 &&
	    (r = block_get_raw(t->snap, codec, key, &hdr, raw, salt)) == 0 &&
	    (r = tamper_swap_events(raw, &hdr, swapped)) == 0)
		r = tamper_seal_again(t, codec, key, &hdr, salt, swapped);
	buf_free(raw);
	buf_free(swapped);
	block_codec_free(codec);
	return r;
}

static int
tamper_unindex(void *arg, const uint8_t *key, size_t len)
{
	struct tamper *t = arg;

	return store_del(t->store, STORE_IX, key, len);
}

/* Everything of the session but its leaves in the log. */
static int
tamper_remove(struct tamper *t)
{
	uint8_t key[BLOCK_KEY_LEN];
	struct sess s;
	int r;

	if ((r = sess_get(t->snap, t->sid, &s)) != 0 || (r = store_begin(t->store)) != 0)
		return r;
	for (uint32_t i = 0; r == 0 && i < t->n_blocks; i++) {
		block_key(t->sid, i, key);
		if ((r = store_del_pieces(t->store, STORE_BLK, key, sizeof(key))) == 0)
			r = store_del(t->store, STORE_HDR, key, sizeof(key));
	}
	if (r == 0 && (r = sess_index(&s, tamper_unindex, t)) == 0)
		r = store_del(t->store, STORE_SESS, t->sid, REC_SID_LEN);
	sess_done(&s);
	return r == 0 ? store_commit(t->store) : r;
}

static const struct {
	const char *name;
	int (*run)(struct tamper *t);
} tamper_ways[] = {
	{ "flip", tamper_flip },
	{ "cut", tamper_cut },
	{ "swap", tamper_swap },
	{ "remove", tamper_remove },
};

int
main(int argc, char **argv)
{
	struct tamper t = { .dir = argc > 2 ? argv[2] : NULL };
	struct store_conf conf = { .dir = t.dir, .durability = STORE_STRICT };
	int r = ERR_NOT_FOUND;

	if (argc != 4 || hash_init() != 0 || secret_init() != 0) {
		fputs("usage: bastion-tamper flip|cut|swap|remove DIR SESSION|last\n", stderr);
		return 2;
	}
	if ((r = store_open_write(&conf, &t.store)) == 0 &&
	    (r = store_snap_new(t.store, &t.snap)) == 0 && (r = tamper_session(&t, argv[3])) == 0) {
		r = ERR_NOT_FOUND;
		for (size_t i = 0; i < sizeof(tamper_ways) / sizeof(tamper_ways[0]); i++)
			if (strcmp(argv[1], tamper_ways[i].name) == 0)
				r = tamper_ways[i].run(&t);
	}
	store_snap_free(t.snap);
	store_close(t.store);
	if (r != 0) {
		fprintf(stderr, "bastion-tamper: %s %s: %s\n", argv[1], argv[3], err_str(r));
		return 1;
	}
	return 0;
}
