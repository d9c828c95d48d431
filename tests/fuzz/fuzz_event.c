/* Any bytes as canonical events: what is read can be written again to the same bytes, and the summary takes it all. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "recorder/event.h"
#include "recorder/summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int condition)
{
	if (!condition)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf *again = buf_new(size + EVENT_HEAD_MAX);
	struct event_reader r;
	struct summary sum;
	struct event ev;
	uint64_t seq = 1, at = 0;

	must(again != NULL);
	summary_init(&sum);
	event_reader_init(&r, data, size, seq, at);
	while (event_next(&r, &ev) == 0) {
		must(ev.seq == seq++);
		must(ev.at_ns >= at);
		must(ev.data >= data && ev.data + ev.len <= data + size);
		must(event_put(again, ev.at_ns - at, &ev) == 0);
		must(summary_add(&sum, &ev) == 0);
		must(event_type_name(ev.type) != NULL && event_way_name(ev.way) != NULL);
		at = ev.at_ns;
	}
	must(buf_len(again) == r.off);
	must(r.off == 0 || memcmp(buf_ptr(again), data, r.off) == 0);
	summary_done(&sum);
	buf_free(again);
	return 0;
}
