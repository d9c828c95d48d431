/*
 * What the journal has of the blocks that are growing, read once for all sessions that are open and found by session: a
 * bastion with many of them would be read through as often as it has sessions otherwise.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/verify_part.h"

struct verify_fragment {
	size_t n;   /* its number, as they stand in the journal */
	size_t off; /* of its data in what is kept */
	struct fragment f;
};

/* A fragment that its session's last head does not have in a sealed block is worth keeping. */
static int
is_growing(struct verify *v, const struct fragment *f, bool *ret_is)
{
	const uint8_t *data;
	struct head head;
	size_t len;
	int r = store_get(v->snap, STORE_HEAD, f->sid, REC_SID_LEN, &data, &len);

	*ret_is = r == 0 && head_parse(data, len, &head) == 0 && head.n_blocks == f->block;
	return r == ERR_NOT_FOUND ? 0 : r;
}

static int
keep(void *arg, uint64_t commit, uint64_t wall_ns, const struct fragment *f)
{
	struct verify *v = arg;
	struct verify_journal *j = &v->journal;
	struct verify_fragment *all;
	bool wanted;
	int r = is_growing(v, f, &wanted);

	(void)commit;
	(void)wall_ns;
	if (r != 0 || !wanted)
		return r;
	if (f->len > buf_room(j->data) || j->n >= v->journal_max / sizeof(struct verify_fragment)) {
		j->too_long = true;
		return ERR_LIMIT;
	}
	if ((all = verify_grow(j->all, j->n, &j->size, sizeof(*all))) == NULL)
		return -ENOMEM;
	j->all = all;
	all[j->n] = (struct verify_fragment){ .n = j->n, .off = buf_len(j->data), .f = *f };
	if ((r = buf_put(j->data, f->data, f->len)) == 0)
		j->n++;
	return r;
}

static int
fragment_cmp(const void *a, const void *b)
{
	const struct verify_fragment *x = a, *y = b;
	int c = memcmp(x->f.sid, y->f.sid, REC_SID_LEN);

	return c != 0 ? c : (x->n > y->n) - (x->n < y->n);
}

void
verify_journal_done(struct verify_journal *j)
{
	free(j->all);
	buf_free(j->data);
	*j = (struct verify_journal){ .all = NULL };
}

static int
walk(struct verify *v, verify_fragment_fn fn, void *arg)
{
	uint64_t first, last;
	int r = journal_bounds(v->snap, &first, &last);

	if (r == 0)
		r = journal_each(v->snap, first, last, fn, arg);
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* The walk over the whole journal. What is wrong with it is every open session's business. 0; -ENOMEM; -errno. */
static int
load(struct verify *v)
{
	struct verify_journal *j = &v->journal;
	int r;

	verify_journal_done(j);
	if ((j->data = buf_new(v->journal_max)) == NULL)
		return -ENOMEM;
	r = walk(v, keep, v);
	if (r == ERR_FORMAT || r == ERR_VERSION || r == ERR_LIMIT)
		j->wrong = r;
	else if (r != 0)
		return r;
	if (j->n > 0)
		qsort(j->all, j->n, sizeof(j->all[0]), fragment_cmp);
	j->txn = store_snap_txn(v->snap);
	j->loaded = true;
	return 0;
}

/* Where the fragments of sid begin. */
static size_t
find(const struct verify_journal *j, const uint8_t *sid)
{
	size_t low = 0, high = j->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(j->all[middle].f.sid, sid, REC_SID_LEN) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int
verify_journal_each(
    struct verify *v, const uint8_t sid[REC_SID_LEN], verify_fragment_fn fn, void *arg)
{
	const struct verify_journal *j = &v->journal;
	int r = 0;

	if ((!j->loaded || j->txn != store_snap_txn(v->snap)) && (r = load(v)) != 0)
		return r;
	if (j->too_long)
		return walk(v, fn, arg);
	for (size_t i = find(j, sid); r == 0 && i < j->n; i++) {
		struct fragment f = j->all[i].f;

		if (memcmp(f.sid, sid, REC_SID_LEN) != 0)
			break;
		f.data = buf_ptr(j->data) + j->all[i].off;
		r = fn(arg, 0, 0, &f);
	}
	return r != 0 ? r : j->wrong;
}
