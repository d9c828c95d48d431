/* A sink for watches that keeps what it is told. */
#include "config.h"

#include "tests/lib/test.h"
#include "tests/unit/watch_rig.h"

static int
count(struct rig *g)
{
	return ++g->n_calls == g->fail_after ? ERR_LIMIT : 0;
}

static int
on_span(
    void *arg, enum event_way way, const uint8_t *p, size_t len, uint32_t number, uint64_t offset)
{
	struct rig *g = arg;

	(void)way;
	assert_true(len > 0);
	assert_ptr_equal(p, g->next);
	g->next += len;
	if (number == 0) {
		g->plain += len;
	} else {
		assert_true(number < RIG_FILES);
		assert_true(offset >= g->content[number] || offset + len <= g->content[number]);
		g->content[number] += len;
	}
	return count(g);
}

static int
on_file(void *arg, const struct watch_file *f)
{
	struct rig *g = arg;
	struct rig_file *to = &g->files[g->n_files];

	assert_true(g->n_files++ < RIG_FILES);
	assert_true(f->number > 0);
	to->f = *f;
	snprintf(to->path, sizeof(to->path), "%.*s", (int)f->path_len, (const char *)f->path);
	assert_true(f->n_ranges <= WATCH_RANGES_MAX);
	for (size_t i = 0; i < f->n_ranges; i++)
		to->ranges[i] = f->ranges[i];
	to->content = f->number < RIG_FILES ? g->content[f->number] : 0;
	return count(g);
}

static int
on_remark(void *arg, const char *word, const char *text)
{
	struct rig *g = arg;
	size_t n = strlen(g->remarks);

	snprintf(g->remarks + n, sizeof(g->remarks) - n, "%s: %s\n", word, text);
	return count(g);
}

static const struct watch_sink sink = { on_span, on_file, on_remark };

int
rig_start(struct rig *g, uint8_t kind, const char *command)
{
	memset(g, 0, sizeof(*g));
	return watch_new(kind, command, &sink, g, &g->w);
}

int
rig_feed(struct rig *g, enum event_way way, const void *data, size_t len, size_t piece)
{
	const uint8_t *p = data;

	while (len > 0) {
		size_t n = len < piece ? len : piece;
		uint8_t *copy = malloc(n); /* so that a sanitizer sees who reads on */
		int r;

		assert_non_null(copy);
		memcpy(copy, p, n);
		g->next = copy;
		r = watch_data(g->w, way, copy, n);
		if (r == 0)
			assert_ptr_equal(g->next, copy + n);
		free(copy);
		if (r != 0)
			return r;
		p += n;
		len -= n;
	}
	return 0;
}

void
rig_end(struct rig *g)
{
	assert_int_equal(watch_end(g->w), 0);
	watch_free(g->w);
	g->w = NULL;
}

const struct rig_file *
rig_file(const struct rig *g, size_t n)
{
	assert_true(n < g->n_files);
	return &g->files[n];
}
