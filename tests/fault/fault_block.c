/* Blocks without memory at every point, zstd's included: nothing half done comes out, and the same block is had afterwards. */
#include "config.h"

#include <errno.h>
#include <zstd.h>

#include "lib/buf.h"
#include "recorder/block.h"
#include "recorder/event.h"
#include "tests/fault/fault.h"
#include "tests/lib/test.h"

#define OUT_BEFORE "before"

static const uint8_t sid[REC_SID_LEN] = "0123456789abcdef";
static const uint8_t salt[BLOCK_SALT_LEN] = "saltsaltsaltsalt";
static const uint8_t key[CRYPT_KEY_LEN] = "the key of a session, 32 bytes .";

/* What the library allocates by itself fails as one allocation of ours would. */
static bool
no_memory(void)
{
	void *p = malloc(1);

	free(p);
	return p == NULL;
}

ZSTD_CCtx *__real_ZSTD_createCCtx(void);
ZSTD_CCtx *__wrap_ZSTD_createCCtx(void);
ZSTD_DCtx *__real_ZSTD_createDCtx(void);
ZSTD_DCtx *__wrap_ZSTD_createDCtx(void);
ZSTD_DDict *__real_ZSTD_createDDict(const void *dict, size_t len);
ZSTD_DDict *__wrap_ZSTD_createDDict(const void *dict, size_t len);
size_t __real_ZSTD_compress_usingDict(ZSTD_CCtx *c, void *dst, size_t size, const void *src,
    size_t len, const void *dict, size_t dict_len, int level);
size_t __wrap_ZSTD_compress_usingDict(ZSTD_CCtx *c, void *dst, size_t size, const void *src,
    size_t len, const void *dict, size_t dict_len, int level);

ZSTD_CCtx *
__wrap_ZSTD_createCCtx(void)
{
	return no_memory() ? NULL : __real_ZSTD_createCCtx();
}

ZSTD_DCtx *
__wrap_ZSTD_createDCtx(void)
{
	return no_memory() ? NULL : __real_ZSTD_createDCtx();
}

ZSTD_DDict *
__wrap_ZSTD_createDDict(const void *dict, size_t len)
{
	return no_memory() ? NULL : __real_ZSTD_createDDict(dict, len);
}

size_t
__wrap_ZSTD_compress_usingDict(ZSTD_CCtx *c, void *dst, size_t size, const void *src, size_t len,
    const void *dict, size_t dict_len, int level)
{
	/* Its ZSTD_error_memory_allocation. */
	return no_memory()
		   ? (size_t)-64
		   : __real_ZSTD_compress_usingDict(c, dst, size, src, len, dict, dict_len, level);
}

static struct buf *
some_events(void)
{
	static const char line[] = "drwxr-xr-x 2 root root 4096 readme\r\n";
	struct buf *b = buf_new(BLOCK_RAW_MAX);

	assert_non_null(b);
	for (unsigned i = 0; i < 60; i++) {
		const struct event ev = { .way = i % 2 == 0 ? EVENT_FRONT : EVENT_BACK,
			.type = LINK_DATA,
			.channel = 1,
			.data = (const uint8_t *)line,
			.len = sizeof(line) - 1 };

		assert_int_equal(event_put(b, 1000 * i, &ev), 0);
	}
	return b;
}

/* Whether this and what is behind it in out are the bytes. */
static void
check(const struct buf *out, const struct buf *events)
{
	size_t before = strlen(OUT_BEFORE);

	assert_int_equal(buf_len(out), before + buf_len(events));
	assert_memory_equal(buf_ptr(out), OUT_BEFORE, before);
	assert_memory_equal(buf_ptr(out) + before, buf_ptr(events), buf_len(events));
}

static int
there_and_back(struct block_codec_ctx *c, const struct buf *events, struct buf *stored,
    struct buf *out, bool *ret_failed)
{
	struct block_hdr hdr = { .block = 7, .n_events = 60, .raw_len = (uint32_t)buf_len(events) };
	uint8_t back[BLOCK_SALT_LEN];
	int r;

	memcpy(hdr.sid, sid, sizeof(sid));
	while (
	    (r = block_seal(c, key, sid, 7, salt, buf_ptr(events), buf_len(events), stored)) != 0) {
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(buf_len(stored), 0);
		*ret_failed = true;
	}
	/* Without zstd's memory it is stored as it is: longer, and closed as ever. */
	assert_true(buf_ptr(stored)[0] == BLOCK_COLUMNS || buf_ptr(stored)[0] == BLOCK_RAW);
	*ret_failed = *ret_failed || buf_ptr(stored)[0] == BLOCK_RAW;
	assert_null(memmem(buf_ptr(stored), buf_len(stored), "readme", 6));
	while ((r = block_unseal(c, key, &hdr, buf_ptr(stored), buf_len(stored), back, out)) != 0) {
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(buf_len(out), strlen(OUT_BEFORE));
		*ret_failed = true;
	}
	assert_memory_equal(back, salt, sizeof(back));
	return 0;
}

static int
run(void *arg)
{
	const struct buf *events = arg;
	struct block_codec_ctx *c;
	struct buf *stored, *out;
	bool failed = false;
	int r;

	fault_hold();
	stored = buf_new(BLOCK_STORED_MAX);
	out = buf_new(BLOCK_RAW_MAX);
	assert_true(stored != NULL && out != NULL);
	assert_int_equal(buf_put(out, OUT_BEFORE, strlen(OUT_BEFORE)), 0);
	fault_go();
	while ((c = block_codec_new()) == NULL) {
		assert_false(failed);
		failed = true;
	}
	r = there_and_back(c, events, stored, out, &failed);
	fault_hold();
	check(out, events);
	block_codec_free(c);
	buf_free(stored);
	buf_free(out);
	return failed ? -ENOMEM : r;
}

static void
test_a_block_goes_there_and_back(void **state)
{
	struct buf *events = some_events();

	(void)state;
	/* The state and zstd's three, its compression, and a buffer each way. */
	assert_int_equal(fault_each(FAULT_MEMORY, run, events), 4 + 1 + 2);
	buf_free(events);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_block_goes_there_and_back),
	};

	return cmocka_run_group_tests_name("fault_block", tests, NULL, NULL);
}
