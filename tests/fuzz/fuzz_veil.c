/* Any events of typing, for who reads a recording: u8 type, u16 length, payload, again and again. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/veil.h"

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
	struct veil_reader *v = veil_reader_new();
	struct event ev = { .way = EVENT_FRONT }, out;
	volatile unsigned sum = 0; /* every byte is read */

	if (v == NULL)
		return 0;
	for (size_t i = 0; size - i >= 3;) {
		size_t n = (size_t)data[i + 1] << 8 | data[i + 2];

		ev.seq++;
		ev.type = data[i] & EVENT_TYPE_MAX;
		ev.channel = data[i] >> 6;
		i += 3;
		n = n < size - i ? n : size - i;
		ev.data = data + i;
		ev.len = n;
		i += n;
		if (veil_reader_add(v, &ev) != 0)
			break;
		while (veil_reader_next(v, &out) == 0) {
			must(out.type != EVENT_VEIL || ev.type == EVENT_VEIL);
			must(veil_why_text(&out) != NULL);
			for (size_t k = 0; k < out.len; k++)
				sum += out.data[k];
		}
	}
	veil_reader_free(v);
	return 0;
}
