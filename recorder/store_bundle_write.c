/* Writing a bundle: entries as they come, their offsets kept for the index, and a running hash. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "recorder/store_bundle.h"
#include "recorder/store_bundle_part.h"

#define WRITE_AHEAD 65536u /* bytes collected before a write */

struct bundle_writer {
	int fd;
	struct hash *hash;
	struct buf *out; /* not written yet */
	uint64_t at;	 /* bytes of the file so far, those in out too */
	uint64_t *index; /* owned */
	size_t n, room;
	unsigned last_db;
	uint8_t last_key[STORE_KEY_MAX];
	size_t last_key_len;
};

static int
flush(struct bundle_writer *w)
{
	int r = 0;

	if (buf_len(w->out) > 0)
		r = file_write_all(w->fd, buf_ptr(w->out), buf_len(w->out));
	buf_reset(w->out);
	return r;
}

static int
put(struct bundle_writer *w, const void *data, size_t len)
{
	int r = 0;

	if (len > buf_room(w->out))
		r = flush(w);
	if (r == 0)
		r = len > buf_room(w->out) ? file_write_all(w->fd, data, len)
					   : buf_put(w->out, data, len);
	if (r != 0)
		return r;
	hash_add(w->hash, data, len);
	w->at += len;
	return 0;
}

static int
put_number(struct bundle_writer *w, uint64_t v, unsigned n)
{
	uint8_t data[8];

	for (unsigned i = 0; i < n; i++)
		data[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
	return put(w, data, n);
}

void
bundle_writer_free(struct bundle_writer *w)
{
	if (w == NULL)
		return;
	hash_free(w->hash);
	buf_free(w->out);
	free(w->index);
	free(w);
}

int
bundle_writer_new(int fd, struct bundle_writer **ret_writer)
{
	struct bundle_writer *w = calloc(1, sizeof(*w));
	int r = -ENOMEM;

	if (w == NULL)
		return r;
	w->fd = fd;
	w->hash = hash_new();
	w->out = buf_new(WRITE_AHEAD);
	if (w->hash != NULL && w->out != NULL) {
		hash_begin(w->hash);
		if ((r = put(w, BUNDLE_MAGIC, BUNDLE_MAGIC_LEN)) == 0)
			r = put_number(w, BUNDLE_VERSION, 4);
	}
	if (r != 0) {
		bundle_writer_free(w);
		return r;
	}
	*ret_writer = w;
	return 0;
}

static int
note_place(struct bundle_writer *w)
{
	size_t room = w->room == 0 ? 1024 : w->room * 2;
	uint64_t *more;

	if (w->n >= BUNDLE_ENTRIES_MAX)
		return ERR_LIMIT;
	if (w->n == w->room) {
		if ((more = reallocarray(w->index, room, sizeof(*more))) == NULL)
			return -ENOMEM;
		w->index = more;
		w->room = room;
	}
	w->index[w->n++] = w->at;
	return 0;
}

int
bundle_writer_add(struct bundle_writer *w, const struct bundle_entry *entry)
{
	const struct bundle_entry last = {
		.db = w->last_db, .key = w->last_key, .key_len = w->last_key_len
	};
	int r;

	if (entry->key_len == 0 || entry->key_len > STORE_KEY_MAX ||
	    entry->len > BUNDLE_VALUE_MAX || entry->db > UINT8_MAX)
		return ERR_LIMIT;
	if (w->n > 0 && bundle_compare(&last, entry) >= 0)
		return ERR_ORDER;
	if ((r = note_place(w)) != 0 || (r = put_number(w, entry->db, 1)) != 0 ||
	    (r = put_number(w, entry->key_len, 2)) != 0 ||
	    (r = put_number(w, entry->len, 4)) != 0 ||
	    (r = put(w, entry->key, entry->key_len)) != 0 ||
	    (r = put(w, entry->data, entry->len)) != 0)
		return r;
	w->last_db = entry->db;
	memcpy(w->last_key, entry->key, entry->key_len);
	w->last_key_len = entry->key_len;
	return 0;
}

int
bundle_writer_end(struct bundle_writer *w)
{
	uint64_t index = w->at;
	uint8_t hash[HASH_LEN];
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->n; i++)
		r = put_number(w, w->index[i], 8);
	if (r != 0 || (r = put_number(w, index, 8)) != 0 || (r = put_number(w, w->n, 8)) != 0)
		return r;
	hash_end(w->hash, hash);
	if ((r = flush(w)) != 0)
		return r;
	return file_write_all(w->fd, hash, sizeof(hash));
}
