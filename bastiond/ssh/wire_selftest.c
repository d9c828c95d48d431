/*
 * Does this libssh do what this folder takes for granted? A server and a client in one process go through everything
 * that a hook, a stand-in or a CVE decides. What fails is named.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/ssh/wire_pair.h"
#include "bastiond/ssh/wire_priv.h"
#include "lib/str.h"

#define LONGEST 32777u /* a channel data message of the usual largest size */
#define N_REKEYS 3

/* A message of a type with a pattern behind it, that differs by type and length. */
static void
make_message(uint8_t *msg, uint8_t type, size_t len)
{
	size_t i;

	msg[0] = type;
	for (i = 1; i < len; i++)
		msg[i] = (uint8_t)(i * 7 + type + len);
}

/* Send from one side, see it arrive whole at the other. */
static bool
crosses(struct wire_pair *p, struct wire_side *from, struct wire_side *to, uint8_t type, size_t len)
{
	unsigned n = to->n_message;
	uint8_t *msg = malloc(LONGEST), *copy = malloc(LONGEST);
	bool ok = msg != NULL && copy != NULL;

	if (ok) {
		make_message(msg, type, len);
		memcpy(copy, msg, len);
		ok = wire_send2(from->w, msg, len < 9 ? len : 9, msg + 9, len < 9 ? 0 : len - 9) ==
		     0;
		memset(msg, 0, len); /* it was copied */
	}
	ok = ok && wire_pair_until(p, &to->n_message, n + 1) && wire_pair_got(to, copy, len);
	free(msg);
	free(copy);
	return ok;
}

static bool
test_key_exchange(struct wire_pair *p)
{
	static const char cert[] = "ssh-ed25519-cert-v01@openssh.com,ssh-ed25519";

	return wire_pair_up(p) && p->server.n_sign == 1 && p->client.n_proof == 1 &&
	       p->server.session_id_len == 32 && p->client.session_id_len == 32 &&
	       memcmp(p->server.session_id, p->client.session_id, 32) == 0 &&
	       memmem(buf_ptr(p->from_client), buf_len(p->from_client), cert, sizeof(cert) - 1) !=
		   NULL &&
	       strcmp(wire_algorithms(p->server.w),
		   "curve25519-sha256 aes128-gcm@openssh.com aead-gcm ssh-ed25519") == 0 &&
	       strcmp(wire_algorithms(p->client.w), wire_algorithms(p->server.w)) == 0 &&
	       strcmp(wire_peer_version(p->client.w), "SSH-2.0-" WIRE_SERVER_VERSION) == 0;
}

/* What the server may say in EXT_INFO is the owner's list, also names that libssh does not know. */
static bool
test_ext_info(struct wire_pair *p)
{
	return wire_pair_login(p) && p->client.w->user_algs != NULL &&
	       strcmp(p->client.w->user_algs, p->server.w->user_algs) == 0 &&
	       strstr(p->client.w->user_algs, "sk-ssh-ed25519-cert-v01@openssh.com") != NULL;
}

static bool
test_messages(struct wire_pair *p)
{
	static const uint8_t types[] = { 80, 81, 82, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100 };
	static const size_t lens[] = { 1, 2, 9, 10, 300, LONGEST };
	size_t i, j;

	for (i = 0; i < sizeof(types); i++)
		for (j = 0; j < sizeof(lens) / sizeof(lens[0]); j++)
			if (!crosses(p, &p->client, &p->server, types[i], lens[j]) ||
			    !crosses(p, &p->server, &p->client, types[i], lens[j]))
				return false;
	return true;
}

/* Send in both directions while one side, or both at once, exchange keys; nothing is lost or overtaken. */
static bool
rekey_once(struct wire_pair *p, bool server, bool client)
{
	unsigned n_sign = p->server.n_sign, n_up = p->server.n_message,
		 n_down = p->client.n_message;
	uint8_t msg[64];
	uint8_t i;

	if ((server && wire_libssh_rekey(p->server.w) != 0) ||
	    (client && wire_libssh_rekey(p->client.w) != 0))
		return false;
	for (i = 0; i < 10; i++) {
		make_message(msg, 94, 20u + i);
		if (wire_send(p->server.w, msg, 20u + i) != 0 ||
		    wire_send(p->client.w, msg, 20u + i) != 0)
			return false;
		wire_pair_turn(p);
	}
	if ((server && !client && wire_backlog(p->server.w) == 0 && p->server.n_sign == n_sign) ||
	    !wire_pair_until(p, &p->server.n_message, n_up + 10) ||
	    !wire_pair_until(p, &p->client.n_message, n_down + 10))
		return false;
	for (i = 0; i < 10; i++) {
		make_message(msg, 94, 20u + i);
		if (!wire_pair_got(&p->server, msg, 20u + i) ||
		    !wire_pair_got(&p->client, msg, 20u + i))
			return false;
	}
	wire_pair_rest(p);
	return p->server.n_sign == n_sign + 1 && wire_backlog(p->server.w) == 0 &&
	       wire_backlog(p->client.w) == 0 && p->client.n_proof == 1;
}

static bool
test_rekey(struct wire_pair *p)
{
	return rekey_once(p, true, false) && rekey_once(p, false, true) &&
	       rekey_once(p, true, true) && crosses(p, &p->client, &p->server, 98, 40);
}

static bool
test_end(struct wire_pair *p)
{
	wire_disconnect(p->client.w, 11, "done");
	return p->client.n_end == 1 && p->client.end_err == 0 &&
	       wire_pair_until(p, &p->server.n_end, 1) && p->server.end_err == 0 &&
	       strstr(p->server.end_why, "done") != NULL && wire_absent_calls() == 0;
}

static const struct {
	const char *name;
	bool (*run)(struct wire_pair *p);
} steps[] = {
	{ "key exchange: host key signature, host key proof, certificate names",
	    test_key_exchange },
	{ "login: service, raw requests, server-sig-algs, success", test_ext_info },
	{ "messages 80 to 100, both ways, byte for byte", test_messages },
	{ "key exchange again: by either side, by both, messages held back", test_rekey },
	{ "end; nothing called that must not exist", test_end },
};

/* An INFO_RESPONSE reaches the owner, though no request of libssh's own is outstanding. */
static bool
test_info_response(struct wire_pair *p)
{
	static const uint8_t response[] = { 61, 0, 0, 0, 1, 0, 0, 0, 2, 'n', 'o' };
	struct wire *w = p->client.w;

	if (!wire_pair_up(p))
		return false;
	w->raw = (struct wire_raw){ .head = response, .head_len = sizeof(response), .armed = true };
	return wire_libssh_send(w) == 0 && wire_pair_until(p, &p->server.n_message, 1) &&
	       wire_pair_got(&p->server, response, sizeof(response));
}

/* A channel message before the login ends the connection and reaches nobody. */
static bool
test_too_early(struct wire_pair *p)
{
	static const uint8_t open[] = { 90, 0, 0, 0, 0 };
	struct wire *w = p->client.w;

	if (!wire_pair_up(p))
		return false;
	w->raw = (struct wire_raw){ .head = open, .head_len = sizeof(open), .armed = true };
	return wire_libssh_send(w) == 0 && wire_pair_until(p, &p->server.n_end, 1) &&
	       p->server.n_message == 0 && p->server.end_err != 0;
}

/*
 * One bit of a packet's middle, or of its authentication tag, kills the connection before anything is delivered.
 * CVE-2026-59847: libssh 0.10.6 without the fix delivers the changed message.
 */
static bool
flip(const char *ciphers, const char *macs, bool up, bool tag)
{
	struct wire_conf server = { .ciphers = ciphers, .macs = macs }, client = server;
	struct wire_pair *p = NULL;
	struct wire_side *from, *to;
	uint8_t msg[200];
	unsigned n;
	bool ok = false;

	if (wire_pair_new(&server, &client, &p) != 0)
		return false;
	from = up ? &p->client : &p->server;
	to = up ? &p->server : &p->client;
	if (!wire_pair_login(p) || !crosses(p, from, to, 94, 100))
		goto out;
	wire_pair_rest(p);
	n = to->n_message;
	make_message(msg, 94, sizeof(msg));
	if (wire_send(from->w, msg, sizeof(msg)) != 0)
		goto out;
	*(up ? &p->flip_up : &p->flip_down) =
	    (up ? p->up : p->down) + (tag ? wire_backlog(from->w) - 1 : 90);
	ok = wire_pair_until(p, &to->n_end, 1) && to->n_message == n && to->end_err != 0;
out:
	wire_pair_free(p);
	return ok;
}

static const struct {
	const char *cipher, *mac;
} flips[] = {
	{ "chacha20-poly1305@openssh.com", NULL },
	{ "aes256-gcm@openssh.com", NULL },
	{ "aes128-gcm@openssh.com", NULL },
	{ "aes256-ctr", "hmac-sha2-256-etm@openssh.com" },
	{ "aes256-ctr", "hmac-sha2-512-etm@openssh.com" },
	{ "aes256-ctr", "hmac-sha2-256" },
	{ "aes256-ctr", "hmac-sha2-512" },
};

/* Run one test on a pair of its own. */
static bool
alone(bool (*run)(struct wire_pair *p))
{
	struct wire_conf none = { 0 };
	struct wire_pair *p = NULL;
	bool ok = wire_pair_new(&none, &none, &p) == 0 && run(p);

	wire_pair_free(p);
	return ok;
}

/* A server with a certificate shows it to who asks for it, in later key exchanges too. */
static bool
test_certificate(void)
{
	struct wire_conf server = { 0 }, client = { .host_key_algs = wire_host_with_cert };
	struct wire_pair *p = NULL;
	bool ok = wire_pair_prepare(&p) == 0;

	if (ok)
		p->certify = true;
	ok = ok && wire_pair_start(p, &server, &client) == 0 && wire_pair_login(p) &&
	     p->client.n_proof == 1 &&
	     strstr(wire_algorithms(p->server.w), "ssh-ed25519-cert-v01@openssh.com") != NULL &&
	     wire_libssh_rekey(p->server.w) == 0 && wire_pair_until(p, &p->server.n_sign, 2) &&
	     crosses(p, &p->client, &p->server, 94, 100) &&
	     crosses(p, &p->server, &p->client, 94, 100);
	wire_pair_free(p);
	return ok;
}

static const char *
run_steps(void)
{
	struct wire_conf server = { 0 };
	struct wire_conf client = { .host_key_algs =
					"ssh-ed25519-cert-v01@openssh.com,ssh-ed25519" };
	struct wire_pair *p = NULL;
	const char *failed = NULL;
	size_t i;

	if (wire_pair_new(&server, &client, &p) != 0)
		return "making a server and a client";
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]) && failed == NULL; i++)
		if (!steps[i].run(p))
			failed = steps[i].name;
	wire_pair_free(p);
	return failed;
}

int
wire_selftest(char *err, size_t err_len)
{
	const char *failed = run_steps();
	size_t i;
	int how;

	if (failed == NULL && !alone(test_info_response))
		failed = "INFO_RESPONSE to the owner";
	if (failed == NULL && !alone(test_too_early))
		failed = "a channel message before the login ends the connection";
	if (failed == NULL && !test_certificate())
		failed = "a host certificate";
	for (i = 0; i < sizeof(flips) / sizeof(flips[0]) && failed == NULL; i++)
		for (how = 0; how < 4 && failed == NULL; how++)
			if (!flip(flips[i].cipher, flips[i].mac, (how & 1) != 0, (how & 2) != 0))
				failed = flips[i].cipher;
	if (failed == NULL)
		return 0;
	/* Cut when there is little room; the number says enough. */
	return str_format(err, err_len, "libssh does not fit: %s", failed) == 0 ? ERR_VERSION
										: ERR_LIMIT;
}

int
wire_selftest_main(const char *name)
{
	char err[160] = "cannot load the libraries";
	int r = wire_init();

	if (r == 0)
		r = wire_selftest(err, sizeof(err));
	if (r != 0)
		fprintf(stderr, "%s: %s\n", name, err);
	return r == 0 ? 0 : 1;
}
