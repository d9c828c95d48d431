/*
 * Keys and output of a hostile session, into the player: it ends, and what it writes is in the grammar. u16 number of typed bytes, those,
 * then output in events of 1 to 64 bytes (the length in front), a second apart.
 */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/player.h"
#include "bastionctl/term.h"
#include "tests/lib/vt_allowed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *keys;
	size_t n_keys;
	const uint8_t *out;
	size_t n_out, at;
	uint64_t seq, now_ns;
};

static void
must(int condition)
{
	if (!condition)
		abort();
}

static int
input_next(void *arg, struct event *ret_ev, struct rd_msg *ret_msg)
{
	struct input *in = arg;
	size_t n;

	if (in->at >= in->n_out)
		return ERR_NOT_FOUND;
	memset(ret_msg, 0, sizeof(*ret_msg));
	ret_msg->type = RD_EVENTS;
	n = 1 + in->out[in->at++] % 64u;
	n = n < in->n_out - in->at ? n : in->n_out - in->at;
	in->seq++;
	*ret_ev = (struct event){ in->seq, in->seq * 1000000000u, EVENT_BACK, LINK_DATA, 1,
		in->out + in->at, n };
	in->at += n;
	return 0;
}

static int
input_seek(void *arg, uint64_t at_ns, uint32_t channel)
{
	struct input *in = arg;

	(void)at_ns;
	(void)channel;
	in->at = 0;
	in->seq = 0;
	return 0;
}

static int
input_emit(void *arg, const void *data, size_t len)
{
	const uint8_t *p = data;

	(void)arg;
	while (len > 0) {
		size_t n = vt_allowed(p, len);

		if (n == 0 && len >= 6 && memcmp(p, "\033[?25", 5) == 0 &&
		    (p[5] == 'h' || p[5] == 'l'))
			n = 6;
		must(n > 0);
		p += n;
		len -= n;
	}
	return 0;
}

static int
input_wait(void *arg, uint64_t max_ns, bool events)
{
	struct input *in = arg;
	size_t used;
	int key;

	(void)events;
	in->now_ns += max_ns < 300000000 ? max_ns : 300000000;
	if (in->n_keys == 0)
		return PLAYER_KEY_GONE;
	key = term_key(in->keys, in->n_keys, true, &used);
	must(used > 0 && used <= in->n_keys);
	in->keys += used;
	in->n_keys -= used;
	return key == 1 ? PLAYER_KEY_RESIZED : key;
}

static void
input_size(void *arg, uint32_t *ret_cols, uint32_t *ret_rows)
{
	const struct input *in = arg;

	*ret_cols = 20 + (uint32_t)in->n_keys % 40;
	*ret_rows = 1 + (uint32_t)in->n_keys % 12;
}

static uint64_t
input_now(void *arg)
{
	const struct input *in = arg;

	return in->now_ns;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct player_ops ops = { input_next, input_seek, input_emit, input_wait,
		input_size, input_now, NULL };
	static const char text[] =
	    "{\"duration_ns\":9000000000,\"channels\":[{\"n\":1,\"pty\":true,"
	    "\"cols\":30,\"rows\":6},{\"n\":2}]}";
	struct player_conf conf = { .speed = 1 };
	struct json_node *session;
	struct player_end end;
	struct input in;
	size_t n;

	if (size < 2)
		return 0;
	n = (size_t)data[0] << 8 | data[1];
	n = n < size - 2 ? n : size - 2;
	n = n < 512 ? n : 512;
	in = (struct input){
		.keys = data + 2, .n_keys = n, .out = data + 2 + n, .n_out = size - 2 - n
	};
	must(json_parse(text, sizeof(text) - 1, &session) == 0);
	conf.session = session;
	must(player_run(&conf, &ops, &in, &end) == 0);
	json_node_free(session);
	return 0;
}
