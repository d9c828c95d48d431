/* Any conversation on a terminal: chunks of both ways, of any length. Whatever comes, runs are decided in order and once. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/echo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rig {
	uint32_t newest, decided;
	uint32_t beyond; /* run of which not all was remembered */
};

static void
must(int condition)
{
	if (!condition)
		abort();
}

static int
on_keep(void *arg, const uint8_t *p, size_t n)
{
	struct rig *g = arg;

	must(p != NULL && n > 0);
	must(g->newest == g->decided); /* nothing overtakes what is undecided */
	return 0;
}

static int
on_veil(void *arg, uint32_t run, const uint8_t *p, size_t n)
{
	struct rig *g = arg;

	must(p != NULL && run > g->decided);
	g->beyond = n > 0 ? run : g->beyond;
	must(run == g->newest || run == g->newest + 1);
	g->newest = run;
	return 0;
}

static int
on_shown(void *arg, uint32_t run, const uint8_t *p, size_t n, size_t all)
{
	struct rig *g = arg;

	(void)p;
	must(all > 0 && n <= all && (n < all) == (g->beyond == run));
	must(run == g->decided + 1 && run <= g->newest);
	g->decided = run;
	return 0;
}

static int
on_hidden(void *arg, uint32_t run, enum veil_why why)
{
	struct rig *g = arg;

	must(why >= VEIL_PROMPT && why < VEIL_WHYS && why != VEIL_MASKED);
	if (run != 0) {
		must(run > g->decided && run <= g->newest);
		g->decided = run;
	}
	return 0;
}

static const struct echo_sink sink = { on_keep, on_veil, on_shown, on_hidden };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t memory[ECHO_MEMORY];
	struct rig g = { .newest = 0 };
	uint64_t now = 1;
	struct echo *e = echo_new(&sink, &g, size > 0 ? data[0] : 80u, 24);

	if (e == NULL)
		return 0;
	/* A head byte for each chunk: kind in two bits, length in six. */
	for (size_t i = 1; i < size;) {
		size_t n = (data[i] & 0x3fu) + 1, feedback = 0;
		unsigned kind = data[i] >> 6;

		i++;
		n = n < size - i ? n : size - i;
		now += 50000000;
		echo_lend(e, memory);
		if (n > 0 && kind == 0)
			must(echo_input(e, now, data + i, n) == 0);
		else if (n > 0 && kind < 3)
			must(echo_output(e, now, data + i, n, &feedback) == 0 && feedback <= n);
		else
			must(echo_ask(e, n % 2 == 0) == 0);
		i += n;
	}
	must(echo_end(e) == 0 && echo_is_idle(e) && g.decided == g.newest);
	for (size_t i = 0; i < sizeof(memory); i++)
		must(memory[i] == 0);
	echo_free(e);
	return 0;
}
