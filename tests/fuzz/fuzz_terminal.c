/* Terminal bytes of a hostile session: what vt_safe lets out is in the grammar, does not depend on cuts, and stays as it is. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/vt_safe.h"
#include "tests/lib/vt_allowed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int condition)
{
	if (!condition)
		abort();
}

/* step: bytes fed at a time; 0: all. */
static struct buf *
clean(const uint8_t *data, size_t size, size_t step)
{
	struct buf *out = buf_new(size * VT_SAFE_GROWTH + 64);
	struct vt_safe s;

	must(out != NULL);
	memset(&s, 0, sizeof(s));
	for (size_t at = 0; at < size;) {
		size_t n = step == 0 || step > size - at ? size - at : step;

		must(vt_safe_feed(&s, data + at, n, out) == 0);
		at += n;
	}
	must(vt_safe_reset(&s, out) == 0);
	return out;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf *whole = clean(data, size, 0), *bytes = clean(data, size, 1), *again;
	size_t len = buf_len(whole), tail;

	must(vt_allowed(buf_ptr(whole), len) == len);
	must(len == buf_len(bytes) && memcmp(buf_ptr(whole), buf_ptr(bytes), len) == 0);
	again = clean(buf_ptr(whole), len, 7);
	tail = buf_len(again) - len; /* the second reset */
	must(
	    buf_len(again) >= len && memcmp(buf_ptr(again), buf_ptr(whole), len) == 0 && tail < 32);
	buf_free(again);
	buf_free(bytes);
	buf_free(whole);
	return 0;
}
