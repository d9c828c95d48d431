/* Any bytes as events and as columns: events come back from their columns, and columns make no more than there is room for. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/block.h"
#include "recorder/block_columns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t columns[BLOCK_RAW_MAX + COLUMNS_EXTRA], back[BLOCK_RAW_MAX];

static void
must(int condition)
{
	if (!condition)
		abort();
}

/* They come back. */
static void
try_events(const uint8_t *data, size_t size)
{
	size_t n, len;

	if (columns_split(data, size, columns, &n) != 0)
		return;
	must(n <= size + COLUMNS_EXTRA);
	must(columns_join(columns, n, back, size, &len) == 0);
	must(len == size && memcmp(back, data, size) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *exact;
	size_t len, max;

	if (size > BLOCK_RAW_MAX)
		return 0;
	try_events(data, size);
	if (columns_join(data, size, back, sizeof(back), &max) != 0)
		return 0;
	/* In just so much memory. */
	must((exact = malloc(max + 1)) != NULL);
	must(columns_join(data, size, exact, max, &len) == 0 && len == max);
	must(max == 0 || columns_join(data, size, exact, max - 1, &len) != 0);
	free(exact);
	return 0;
}
