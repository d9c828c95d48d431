/*
 * Any stream against the gate: a byte for the rule (1 read, 2 write, 4 prefixes), then pieces of both ways as in
 * fuzz_watch. Nothing crosses that the rule does not give, lengths stay, and what is allowed is unchanged.
 */
#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "recorder/fxp.h"
#include "recorder/gate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static int
on_refused(void *arg, const struct gate_refusal *r)
{
	unsigned *n = arg;

	must(r->name != NULL && r->why != NULL && r->path != NULL && r->path2 != NULL);
	must(r->path_len <= GATE_HELD_MAX && r->path2_len <= GATE_HELD_MAX);
	++*n;
	return 0;
}

/* Types that change something, which no reader may send. */
static void
check_front(const struct buf *out, const struct gate_rule *rule)
{
	static const uint8_t writes[] = { FXP_SETSTAT, FXP_FSETSTAT, FXP_REMOVE, FXP_MKDIR,
		FXP_RMDIR, FXP_RENAME, FXP_SYMLINK };
	const uint8_t *p = buf_ptr(out);
	size_t left = buf_len(out);

	while (left >= 5) {
		uint64_t len =
		    (uint64_t)p[0] << 24 | (uint64_t)p[1] << 16 | (uint64_t)p[2] << 8 | p[3];

		for (size_t i = 0; i < sizeof(writes) && left >= 9; i++)
			must(rule->write || p[4] != writes[i]);
		must(p[4] != FXP_SYMLINK || rule->writes.n == 0 || left < 9);
		if (left < 4 + len)
			return;
		p += 4 + len;
		left -= 4 + (size_t)len;
	}
}

static void
run(const uint8_t *data, size_t size, const struct gate_rule *rule)
{
	struct buf *in[2], *out[2];
	unsigned n_refused = 0;
	struct gate *g = gate_new(rule, on_refused, &n_refused);
	int r = 0;

	for (int i = 0; i < 2; i++)
		must((in[i] = buf_new(1u << 24)) != NULL && (out[i] = buf_new(1u << 24)) != NULL);
	must(g != NULL);
	while (size > 2 && r == 0) {
		size_t len = (size_t)(data[0] & 0x7f) << 8 | data[1];
		int way = (data[0] & 0x80) != 0;

		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		must(buf_put(in[way], data, len) == 0);
		r = gate_data(g, way ? EVENT_BACK : EVENT_FRONT, data, len, out[way]);
		must(r == 0 || r == ERR_DENIED);
		must((r == ERR_DENIED) == (strlen(gate_why(g)) > 0));
		must(buf_len(out[way]) <= buf_len(in[way]));
		must(buf_len(in[0]) - buf_len(out[0]) <= GATE_HELD_MAX || r != 0);
		data += len;
		size -= len;
	}
	check_front(out[0], rule);
	must(gate_flush(g, out[0]) == 0);
	if (r == 0)
		must(buf_len(out[0]) == buf_len(in[0]) && buf_len(out[1]) == buf_len(in[1]));
	if (n_refused == 0)
		must(memcmp(buf_ptr(out[1]), buf_ptr(in[1]), buf_len(out[1])) == 0);
	for (int i = 0; i < 2; i++) {
		buf_free(in[i]);
		buf_free(out[i]);
	}
	gate_free(g);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char one[] = "/srv", two[] = "/home/u/in";
	static char *list[] = { one, two };
	struct gate_rule rule = { 0 };

	if (size < 1)
		return 0;
	rule.read = (data[0] & 1) != 0;
	rule.write = (data[0] & 2) != 0;
	if ((data[0] & 4) != 0) {
		rule.reads = (struct gate_prefixes){ list, 2 };
		rule.writes = (struct gate_prefixes){ list + 1, 1 };
	}
	run(data + 1, size - 1, &rule);
	return 0;
}
