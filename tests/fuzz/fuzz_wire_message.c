/*
 * Messages of a peer that has the keys: the first byte says who hears them (bit 0: the client) and when (bit 1: after
 * the login); then each is u16 length and that many bytes. What is not allowed ends the connection and reaches nobody.
 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/ssh/wire_pair.h"
#include "bastiond/ssh/wire_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_owners(enum wire_role role, bool in, uint8_t type)
{
	if (in)
		return type >= 80 && type <= 100;
	return role == WIRE_SERVER && (type == 5 || (type >= 50 && type < 80));
}

/* Everything that the owner was given since the login, and whether it may be given it. */
static void
check(struct wire_side *s, enum wire_role role, bool in)
{
	const uint8_t *msg;
	size_t len;

	while (buf_get_str(s->got, &msg, &len) == 0)
		assert(len > 0 && is_owners(role, in, msg[0]));
	assert(s->n_end <= 1 && s->n_ready <= 1);
	assert(in || s->n_login == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct wire_conf none = { 0 };
	bool to_client = size > 0 && (data[0] & 1) != 0, in = size > 0 && (data[0] & 2) != 0;
	struct wire_pair *p = NULL;
	struct wire_side *from, *to;
	size_t len;

	if (size < 3 || size > 60000 || wire_init() != 0)
		return 0;
	if (wire_pair_new(&none, &none, &p) != 0 || !(in ? wire_pair_login(p) : wire_pair_up(p)))
		abort();
	from = to_client ? &p->server : &p->client;
	to = to_client ? &p->client : &p->server;
	for (data++, size--; size > 2; data += len, size -= len) {
		len = (size_t)data[0] << 8 | data[1];
		data += 2;
		size -= 2;
		len = len > size ? size : len;
		/* NEWKEYS would change the sender's own keys, which it does not have. */
		if (len == 0 || from->w->over || data[0] == 21)
			continue;
		from->w->raw = (struct wire_raw){ .head = data, .head_len = len, .armed = true };
		if (wire_libssh_send(from->w) != 0)
			break;
		wire_pair_turn(p);
	}
	wire_pair_rest(p);
	check(to, to_client ? WIRE_CLIENT : WIRE_SERVER, in);
	wire_pair_free(p);
	return 0;
}
