/* The readers of scp, rsync and agents with no memory at every point: nothing leaks, and what they told was true. */
#include "config.h"

#include <errno.h>

#include "lib/hash.h"
#include "recorder/watch.h"
#include "tests/fault/fault.h"
#include "tests/lib/test.h"

/* A conversation of the fuzz corpus: kind, command, pieces (tests/fuzz/fuzz_watch.c). */
struct capture {
	uint8_t bytes[16384];
	size_t len;
	size_t n_files, n_remarks; /* that it tells when nothing fails */
};

struct told {
	size_t n_files, n_remarks;
};

static int
on_span(
    void *arg, enum event_way way, const uint8_t *p, size_t len, uint32_t number, uint64_t offset)
{
	(void)arg;
	(void)way;
	(void)p;
	(void)number;
	(void)offset;
	assert_true(len > 0);
	return 0;
}

static int
on_file(void *arg, const struct watch_file *f)
{
	struct told *t = arg;

	t->n_files++;
	assert_true(f->number > 0 && f->path_len > 0);
	if (f->has_hash)
		assert_int_equal(f->bytes, f->size);
	return 0;
}

static int
on_remark(void *arg, const char *word, const char *text)
{
	struct told *t = arg;

	t->n_remarks++;
	assert_true(strcmp(word, "unfollowed") != 0);
	assert_true(strlen(text) > 0);
	return 0;
}

static int
feed(struct watch *w, const uint8_t *p, const uint8_t *end)
{
	int r = 0;

	while (r == 0 && p + 2 < end) {
		size_t len = (size_t)(p[0] & 0x7f) << 8 | p[1];

		r = watch_data(w, (p[0] & 0x80) != 0 ? EVENT_BACK : EVENT_FRONT, p + 2, len);
		p += 2 + len;
	}
	return r;
}

static int
run(void *arg)
{
	static const struct watch_sink sink = { on_span, on_file, on_remark };
	const struct capture *c = arg;
	const char *command = (const char *)c->bytes + 1;
	struct told told = { 0 };
	struct watch *w = NULL;
	int r;

	if ((r = watch_new(c->bytes[0], command, &sink, &told, &w)) != 0) {
		assert_int_equal(r, -ENOMEM);
		return r;
	}
	r = feed(w, c->bytes + 2 + strlen(command), c->bytes + c->len);
	if (r == 0 && (r = watch_exit(w, 0)) == 0)
		r = watch_end(w);
	watch_free(w);
	assert_true(r == 0 || r == -ENOMEM);
	if (r == 0) {
		assert_int_equal(told.n_files, c->n_files);
		assert_int_equal(told.n_remarks, c->n_remarks);
	}
	return r;
}

static void
test_each_allocation_may_fail(void **state)
{
	static const struct {
		const char *name;
		size_t n_files, n_remarks;
		unsigned at_least; /* allocations */
	} rows[] = { { "rsync-put", 5, 0, 20 }, { "rsync-get", 5, 0, 15 },
		{ "rsync-put-zstd", 6, 1, 20 }, { "rsync-put-delta", 1, 0, 8 },
		{ "scp-put", 7, 0, 10 }, { "agent-sign", 0, 1, 5 }, { "agent-cert", 0, 1, 5 },
		{ "forward-ssh", 0, 1, 2 } };
	const char *top = getenv("BASTION_SRC");
	static struct capture c;

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		char path[4096];
		FILE *f;

		snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/watch/%s",
		    top != NULL ? top : "..", rows[i].name);
		if ((f = fopen(path, "rb")) == NULL)
			fail_msg("%s: not there", path);
		c.len = fread(c.bytes, 1, sizeof(c.bytes), f);
		fclose(f);
		c.n_files = rows[i].n_files;
		c.n_remarks = rows[i].n_remarks;
		if (fault_each(FAULT_MEMORY, run, &c) < rows[i].at_least)
			fail_msg("%s: fewer allocations than expected", rows[i].name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_each_allocation_may_fail) };

	if (hash_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
