/*
 * A peer's bytes before there are keys. The first byte says which role hears them; they come in pieces of a size that the
 * second byte gives. Whatever comes: the owner is told the end once, and nobody is let in.
 */
#include "config.h"

#include <sys/socket.h>

#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/ssh/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct owner {
	unsigned n_ready, n_message, n_end;
};

static int
on_sign(void *arg, const uint8_t *hash, size_t hash_len, uint8_t *ret_sig, size_t sig_max,
    size_t *ret_sig_len)
{
	(void)arg;
	(void)hash;
	assert(hash_len == 32 && sig_max >= 64);
	memset(ret_sig, 1, 64);
	*ret_sig_len = 64;
	return 0;
}

static int
on_proof(void *arg, const uint8_t *hash, size_t hash_len, const uint8_t *key, size_t key_len,
    const uint8_t *sig, size_t sig_len)
{
	(void)arg;
	(void)hash;
	(void)hash_len;
	(void)key;
	(void)key_len;
	(void)sig;
	(void)sig_len;
	abort(); /* a signature over a hash that holds our own random bytes cannot be in a file */
}

static void
on_ready(void *arg, const uint8_t *session_id, size_t len)
{
	struct owner *o = arg;

	(void)session_id;
	assert(len == 32);
	o->n_ready++;
}

static void
on_message(void *arg, const uint8_t *msg, size_t len)
{
	struct owner *o = arg;

	(void)msg;
	(void)len;
	o->n_message++;
}

static void
on_end(void *arg, int err, const char *why)
{
	struct owner *o = arg;

	(void)err;
	assert(strlen(why) < 256);
	o->n_end++;
}

static const struct wire_ops ops = { .sign_kex = on_sign,
	.host_proof = on_proof,
	.ready = on_ready,
	.message = on_message,
	.end = on_end };

/* What we answer is read and forgotten. */
static void
feed(struct wire *w, struct owner *o, int fd, const uint8_t *data, size_t size, size_t piece)
{
	uint8_t answer[4096];
	bool again;
	size_t n;

	while (size > 0 && o->n_end == 0) {
		n = size < piece ? size : piece;
		if (send(fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n)
			break;
		data += n;
		size -= n;
		(void)!wire_io(w, POLLIN, &again);
		while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
			continue;
	}
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 10 && o->n_end == 0; i++)
		(void)!wire_io(w, POLLIN, &again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t host[51] = { 0, 0, 0, 11, 's', 's', 'h', '-', 'e', 'd', '2', '5', '5',
		'1', '9', 0, 0, 0, 32, 9 };
	struct wire_conf conf = { .host_key = host, .host_key_len = sizeof(host) };
	struct owner o = { 0 };
	struct wire *w = NULL;
	int fd[2];

	if (size < 2 || size > 60000 || wire_init() != 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) != 0)
		return 0;
	conf.role = (data[0] & 1) != 0 ? WIRE_CLIENT : WIRE_SERVER;
	if (wire_new(&conf, fd[0], &ops, &o, &w) != 0)
		abort();
	feed(w, &o, fd[1], data + 2, size - 2, data[1] == 0 ? 65536 : data[1]);
	assert(o.n_end == 1 && o.n_message == 0);
	assert(o.n_ready == 0 || (conf.role == WIRE_SERVER && o.n_ready == 1));
	wire_free(w);
	close(fd[1]);
	return 0;
}
