/*
 * Any stream against the readers of streams: kind (enum pol_stream), a command ended by a NUL, then pieces of both ways:
 * a byte whose high bit is the way and whose other bits are half the length, one byte more of length, the piece. Whatever
 * they make of it keeps these promises.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/watch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct promise {
	const uint8_t *next; /* that the next span begins at */
	size_t left;
	enum event_way way;
	uint32_t last; /* number that was given last */
	unsigned n_unfollowed;
};

static void
must(int condition)
{
	if (!condition)
		abort();
}

static int
on_span(
    void *arg, enum event_way way, const uint8_t *p, size_t len, uint32_t number, uint64_t offset)
{
	struct promise *pr = arg;

	(void)offset;
	must(len > 0 && p == pr->next && len <= pr->left && way == pr->way);
	must(number <= pr->last);
	must(number == 0 || pr->n_unfollowed == 0);
	pr->next += len;
	pr->left -= len;
	return 0;
}

static void
check_text(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	must(len < size);
	for (size_t i = 0; i < len; i++)
		must(text[i] >= ' ' && text[i] <= '~');
}

static int
on_file(void *arg, const struct watch_file *f)
{
	struct promise *pr = arg;

	must(f->number > 0 && f->number <= pr->last);
	must(f->op >= WATCH_GET && f->op <= WATCH_COPY);
	must(f->path != NULL && f->path_len <= WATCH_PATH_MAX && f->path2_len <= WATCH_PATH_MAX);
	must(f->n_ranges <= WATCH_RANGES_MAX && (!f->has_hash || f->n_ranges == 0));
	must(!f->refused);
	for (size_t i = 0; i < f->n_ranges; i++) {
		must(f->ranges[i].from < f->ranges[i].to);
		must(i == 0 || f->ranges[i - 1].to < f->ranges[i].from);
	}
	must(f->bytes == 0 || f->has_hash || f->n_ranges > 0);
	check_text(f->text, sizeof(f->text));
	return 0;
}

static int
on_remark(void *arg, const char *word, const char *text)
{
	struct promise *pr = arg;

	must(strlen(word) > 0 && strlen(word) < 32);
	check_text(text, 4096);
	if (strcmp(word, "unfollowed") == 0)
		must(++pr->n_unfollowed == 1);
	return 0;
}

static const struct watch_sink sink = { on_span, on_file, on_remark };

static void
feed(struct watch *w, struct promise *pr, const uint8_t *data, size_t size)
{
	while (size > 2) {
		size_t len = (size_t)(data[0] & 0x7f) << 8 | data[1];

		pr->way = (data[0] & 0x80) != 0 ? EVENT_BACK : EVENT_FRONT;
		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		pr->next = data;
		pr->left = len;
		must(watch_data(w, pr->way, data, len) == 0);
		must(pr->left == 0);
		must(watch_follows(w) == (pr->n_unfollowed == 0));
		data += len;
		size -= len;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct promise pr = { 0 };
	const uint8_t *end = size > 1 ? memchr(data + 1, 0, size - 1) : NULL;
	struct watch *w;

	if (end == NULL || watch_new(data[0], (const char *)data + 1, &sink, &pr, &w) != 0)
		return 0;
	watch_share_numbers(w, &pr.last);
	feed(w, &pr, end + 1, size - (size_t)(end + 1 - data));
	must(watch_end(w) == 0);
	watch_free(w);
	return 0;
}
