/*
 * Files that were sent to an rsync target. It does not answer for each: it says how all ended, with its exit status, and
 * perhaps names one in an error. So they wait, a bounded number of them.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "recorder/watch_rsync_part.h"

#define STEPS_MAX 4000000u /* comparisons of errors with names, of one channel */
#define TEMPORARY_LEN 7u   /* bytes that mkstemp's name has behind the file's: ".Ab12Cd" */
#define PARTIAL 23u	   /* rsync's code: some files were not transferred */

void
rs_results_init(struct rs_results *q)
{
	memset(q, 0, sizeof(*q));
	TAILQ_INIT(&q->head);
}

static size_t
memory_of(const struct rs_result *x)
{
	return sizeof(*x) + x->path_len + x->n_ranges * sizeof(*x->ranges) +
	       (x->text != NULL ? WATCH_TEXT_MAX : 0);
}

static void
free_result(struct rs_result *x)
{
	free(x->ranges);
	free(x->text);
	free(x);
}

static void
drop(struct rs_results *q, struct rs_result *x)
{
	TAILQ_REMOVE(&q->head, x, next);
	q->n--;
	q->memory -= memory_of(x);
	free_result(x);
}

void
rs_results_done(struct rs_results *q)
{
	struct rs_result *x, *after;

	for (x = TAILQ_FIRST(&q->head); x != NULL; x = after) {
		after = TAILQ_NEXT(x, next);
		drop(q, x);
	}
}

/* Tell what x says, and let go of it. */
static int
tell(struct watch *w, struct rs_results *q, struct rs_result *x, bool answered, uint32_t status)
{
	struct watch_file f = { .number = x->number,
		.op = WATCH_PUT,
		.path = x->path,
		.path_len = x->path_len,
		.has_size = true,
		.size = x->size,
		.has_mode = true,
		.mode = x->mode,
		.bytes = x->bytes,
		.has_hash = x->has_hash,
		.ranges = x->ranges,
		.n_ranges = x->n_ranges,
		.more_ranges = x->more_ranges,
		.answered = x->answered || answered,
		.status = x->answered ? x->status : status };
	int r;

	memcpy(f.sha256, x->sha256, sizeof(f.sha256));
	if (x->text != NULL)
		memcpy(f.text, x->text, sizeof(f.text));
	if (!f.answered)
		f.status = 0;
	r = watch_tell(w, &f);
	drop(q, x);
	return r;
}

/* A copy. NULL: out of memory. */
static struct rs_result *
copy_of(const struct watch_file *f)
{
	struct rs_result *x = calloc(1, sizeof(*x) + f->path_len);

	if (x == NULL)
		return NULL;
	x->number = f->number;
	x->mode = f->mode;
	x->size = f->size;
	x->bytes = f->bytes;
	x->has_hash = f->has_hash;
	x->more_ranges = f->more_ranges;
	memcpy(x->sha256, f->sha256, sizeof(x->sha256));
	x->path_len = f->path_len;
	memcpy(x->path, f->path, f->path_len);
	if (f->n_ranges == 0)
		return x;
	if ((x->ranges = calloc(f->n_ranges, sizeof(*f->ranges))) == NULL) {
		free_result(x);
		return NULL;
	}
	memcpy(x->ranges, f->ranges, f->n_ranges * sizeof(*f->ranges));
	x->n_ranges = f->n_ranges;
	return x;
}

int
rs_results_keep(struct watch *w, struct rs_results *q, const struct watch_file *f)
{
	struct rs_result *x = copy_of(f), *after;
	int r = 0;

	if (x == NULL)
		return -ENOMEM;
	TAILQ_INSERT_TAIL(&q->head, x, next);
	q->n++;
	q->memory += memory_of(x);
	for (x = TAILQ_FIRST(&q->head);
	     r == 0 && x != NULL && (q->n > RS_RESULTS_MAX || q->memory > RS_WAITING_MAX);
	     x = after) {
		after = TAILQ_NEXT(x, next);
		r = tell(w, q, x, false, 0);
	}
	return r;
}

/* Whether name is the path, or ends in it behind a slash. */
static bool
ends_in(const char *name, size_t len, const uint8_t *path, size_t path_len)
{
	return len >= path_len && memcmp(name + len - path_len, path, path_len) == 0 &&
	       (len == path_len || name[len - path_len - 1] == '/');
}

/* The same for the name that a file has until it is complete: "dir/.file.Ab12Cd" of "dir/file". */
static bool
ends_in_temporary(const char *name, size_t len, const uint8_t *path, size_t path_len)
{
	size_t base = path_len, name_base, left;

	while (base > 0 && path[base - 1] != '/')
		base--;
	if (len < path_len + 1 + TEMPORARY_LEN)
		return false;
	name_base = len - TEMPORARY_LEN - (path_len - base);
	if (name[len - TEMPORARY_LEN] != '.' || name[name_base - 1] != '.' ||
	    memcmp(name + name_base, path + base, path_len - base) != 0)
		return false;
	left = name_base - 1; /* what stands before the dot */
	return left >= base && memcmp(name + left - base, path, base) == 0 &&
	       (left == base || name[left - base - 1] == '/');
}

/* The first "..." of the words; false: there is none. */
static bool
quoted(const char **words, size_t *len)
{
	const char *from = memchr(*words, '"', *len), *to;

	if (from == NULL)
		return false;
	from++;
	to = memchr(from, '"', *len - (size_t)(from - *words));
	if (to == NULL)
		return false;
	*words = from;
	*len = (size_t)(to - from);
	return true;
}

/* It is the target's answer for this file. The words are left out when there is no memory for them. */
static void
answer(struct rs_results *q, struct rs_result *x, const char *words, size_t len)
{
	x->answered = true;
	x->status = PARTIAL;
	while (len > 0 && words[len - 1] == '\n')
		len--;
	if ((x->text = calloc(1, WATCH_TEXT_MAX)) == NULL)
		return;
	str_escape(x->text, WATCH_TEXT_MAX, words, len);
	q->memory += WATCH_TEXT_MAX;
}

bool
rs_results_blame(struct rs_results *q, const char *words, size_t len)
{
	const char *name = words;
	size_t name_len = len;
	struct rs_result *x;

	if (!quoted(&name, &name_len))
		return false;
	TAILQ_FOREACH (x, &q->head, next) {
		if (q->steps++ >= STEPS_MAX)
			return false;
		if (x->answered || (!ends_in(name, name_len, x->path, x->path_len) &&
				       !ends_in_temporary(name, name_len, x->path, x->path_len)))
			continue;
		answer(q, x, words, len);
		return true;
	}
	return false;
}

int
rs_results_tell(struct watch *w, struct rs_results *q, bool answered, uint32_t status)
{
	struct rs_result *x, *after;
	int r = 0;

	for (x = TAILQ_FIRST(&q->head); r == 0 && x != NULL; x = after) {
		after = TAILQ_NEXT(x, next);
		r = tell(w, q, x, answered, status);
	}
	return r;
}
