/*
 * Speaks bastiond's wire to other people's programs: a small server that lets everybody in, and a client that logs in
 * through an agent. For interoperability tests and measurements.
 *
 *   wire_tool [options] serve N             print the port and the host key, take N connections, one process each
 *   wire_tool [options] run PORT USER CMD   stdin, stdout and exit status as ssh has them; agent: SSH_AUTH_SOCK
 *
 *   -c ciphers  -m macs  -k kex  -r rekey-bytes  -a host-key-algorithms  -s (say what it cost, on stderr)
 *
 * Commands that the server knows: cat, sink, "source BYTES", "exit STATUS", idle.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bastiond/ssh/wire.h"
#include "lib/buf.h"
#include "lib/num.h"
#include "lib/str.h"

#define WINDOW (4u * 1024u * 1024u)
#define PACKET 32768u
#define BACKLOG (512u * 1024u) /* do not produce above this */
#define BLOCK (1024u * 1024u)

enum job { JOB_NONE, JOB_CAT, JOB_SINK, JOB_SOURCE, JOB_EXIT, JOB_IDLE, JOB_RUN };

struct tool {
	struct wire_conf conf;
	bool stats, server;
	struct wire *w;
	EVP_PKEY *key;
	char host_key_text[128];
	const char *user, *command;

	bool open, eof_in, eof_out, closed_in, closed_out, over, stdin_open;
	enum job job;
	uint32_t peer;	      /* the peer's channel number */
	uint64_t peer_window; /* bytes we may send */
	uint32_t peer_packet; /* in one message */
	uint64_t mine;	      /* bytes the peer may still send */
	uint64_t source_left; /* bytes a source still has to make */
	struct buf *held;     /* what came and goes back (cat), or out to stdout (run) */
	uint64_t n_in, n_out; /* channel bytes */
	int status;	      /* exit status */
	uint8_t *block;	      /* what a source sends */
};

static void
die(const char *what, int r)
{
	fprintf(stderr, "wire_tool: %s: %s\n", what, err_str(r));
	exit(255);
}

static void
must(int r, const char *what)
{
	if (r != 0)
		die(what, r);
}

/* Collect a message in a buffer and send it. */
static struct buf *
message(uint8_t type)
{
	struct buf *b = buf_new(65536);

	if (b == NULL)
		die("memory", -ENOMEM);
	must(buf_put_u8(b, type), "message");
	return b;
}

static void
u32(struct buf *b, uint32_t v)
{
	must(buf_put_u32(b, v), "message");
}

static void
text(struct buf *b, const char *s)
{
	must(buf_put_cstr(b, s), "message");
}

static void
u8(struct buf *b, uint8_t v)
{
	must(buf_put_u8(b, v), "message");
}

static void
out(struct tool *t, struct buf *b)
{
	if (!t->over)
		must(wire_send(t->w, buf_ptr(b), buf_len(b)), "send");
	buf_free(b);
}

static void
simple(struct tool *t, uint8_t type)
{
	struct buf *b = message(type);

	u32(b, t->peer);
	out(t, b);
}

static void
send_data(struct tool *t, const uint8_t *p, size_t len)
{
	uint8_t head[9] = { 94, (uint8_t)(t->peer >> 24), (uint8_t)(t->peer >> 16),
		(uint8_t)(t->peer >> 8), (uint8_t)t->peer, (uint8_t)(len >> 24),
		(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len };

	if (t->over)
		return;
	must(wire_send2(t->w, head, sizeof(head), p, len), "send");
	t->peer_window -= len;
	t->n_out += len;
}

/* How much may go into the next data message. */
static size_t
may_send(const struct tool *t, size_t have)
{
	size_t n = have < t->peer_packet ? have : t->peer_packet;

	if (t->over || !t->open || t->eof_out || t->closed_out || wire_backlog(t->w) > BACKLOG)
		return 0;
	return n < t->peer_window ? n : (size_t)t->peer_window;
}

static void
finish(struct tool *t, int status)
{
	struct buf *b;

	if (t->closed_out)
		return;
	if (!t->eof_out)
		simple(t, 96);
	t->eof_out = true;
	b = message(98);
	u32(b, t->peer);
	text(b, "exit-status");
	u8(b, 0);
	u32(b, (uint32_t)status);
	out(t, b);
	simple(t, 97);
	t->closed_out = true;
}

static void
print_count(struct tool *t)
{
	char line[64];

	must(str_format(line, sizeof(line), "%llu\n", (unsigned long long)t->n_in), "count");
	send_data(t, (const uint8_t *)line, strlen(line));
}

/* Consumed input is given back as window, half a window at a time. */
static void
credit(struct tool *t)
{
	uint64_t held = t->held == NULL ? 0 : buf_len(t->held);
	struct buf *b;

	if (t->mine + held > WINDOW / 2 || t->over || t->closed_out)
		return;
	b = message(93);
	u32(b, t->peer);
	u32(b, (uint32_t)(WINDOW - held - t->mine));
	out(t, b);
	t->mine = WINDOW - held;
}

/* What a server's command does when there is room, and when input came or ended. */
static void
work(struct tool *t)
{
	size_t n;

	while (t->job == JOB_CAT && (n = may_send(t, buf_len(t->held))) > 0) {
		send_data(t, buf_ptr(t->held), n);
		must(buf_skip(t->held, n), "cat");
		credit(t);
	}
	while (t->job == JOB_SOURCE &&
	       (n = may_send(t, t->source_left < PACKET ? (size_t)t->source_left : PACKET)) > 0) {
		send_data(t, t->block + (t->n_out % (BLOCK - PACKET)), n);
		t->source_left -= n;
	}
	if (t->job == JOB_SINK && t->eof_in && !t->eof_out && may_send(t, 1) == 1) {
		print_count(t);
		finish(t, 0);
	}
	if ((t->job == JOB_CAT && t->eof_in && buf_len(t->held) == 0) ||
	    (t->job == JOB_SOURCE && t->source_left == 0) || t->job == JOB_EXIT)
		finish(t, t->status);
}

static void
start_job(struct tool *t, const char *command)
{
	uint64_t v = 0;

	if (strcmp(command, "cat") == 0)
		t->job = JOB_CAT;
	else if (strcmp(command, "sink") == 0)
		t->job = JOB_SINK;
	else if (strcmp(command, "idle") == 0)
		t->job = JOB_IDLE;
	else if (str_starts(command, "source ") && num_parse(command + 7, 0, UINT64_MAX, &v) == 0)
		t->job = JOB_SOURCE;
	else if (str_starts(command, "exit ") && num_parse(command + 5, 0, 255, &v) == 0)
		t->job = JOB_EXIT;
	else
		t->job = JOB_EXIT, v = 127;
	t->source_left = t->job == JOB_SOURCE ? v : 0;
	t->status = t->job == JOB_EXIT ? (int)v : 0;
}

static void
on_data(struct tool *t, struct buf *m)
{
	const uint8_t *p;
	size_t n;

	must(buf_get_str(m, &p, &n), "data");
	t->n_in += n;
	t->mine -= n < t->mine ? n : t->mine;
	if (t->job == JOB_CAT || t->job == JOB_RUN)
		must(buf_put(t->held, p, n), "held");
	credit(t);
}

static void
on_request(struct tool *t, struct buf *m)
{
	char name[64], command[4096];
	uint8_t want;
	uint32_t v;

	must(buf_get_cstr(m, name, sizeof(name)), "request");
	must(buf_get_u8(m, &want), "request");
	if (strcmp(name, "exit-status") == 0) {
		must(buf_get_u32(m, &v), "exit-status");
		t->status = (int)v;
	}
	if (t->server && strcmp(name, "exec") == 0) {
		must(buf_get_cstr(m, command, sizeof(command)), "exec");
		start_job(t, command);
	}
	if (want != 0)
		simple(t, strcmp(name, "exec") == 0 ? 99 : 100);
}

static void
on_channel_open(struct tool *t, struct buf *m)
{
	const uint8_t *p;
	size_t n;
	uint32_t v = 0;
	struct buf *b;

	must(buf_get_str(m, &p, &n), "open");
	must(buf_get_u32(m, &t->peer), "open");
	must(buf_get_u32(m, &v), "open");
	t->peer_window = v;
	must(buf_get_u32(m, &t->peer_packet), "open");
	t->open = true;
	t->mine = WINDOW;
	b = message(91);
	u32(b, t->peer);
	u32(b, 0);
	u32(b, WINDOW);
	u32(b, PACKET);
	out(t, b);
}

static void
on_channel_confirmed(struct tool *t, struct buf *m)
{
	uint32_t v;
	struct buf *b;

	must(buf_get_u32(m, &v), "confirmation"); /* our own number */
	must(buf_get_u32(m, &t->peer), "confirmation");
	must(buf_get_u32(m, &v), "confirmation");
	t->peer_window = v;
	must(buf_get_u32(m, &t->peer_packet), "confirmation");
	t->open = true;
	t->mine = WINDOW;
	b = message(98);
	u32(b, t->peer);
	text(b, "exec");
	u8(b, 1);
	text(b, t->command);
	out(t, b);
}

static void
on_channel_message(struct tool *t, uint8_t type, struct buf *m)
{
	uint32_t channel, v = 0;

	must(buf_get_u32(m, &channel), "channel");
	switch (type) {
	case 93:
		must(buf_get_u32(m, &v), "window");
		t->peer_window += v;
		break;
	case 95:
		must(buf_get_u32(m, &v), "extended");
		on_data(t, m);
		break;
	case 94:
		on_data(t, m);
		break;
	case 96:
		t->eof_in = true;
		break;
	case 97:
		t->closed_in = true;
		if (!t->closed_out)
			simple(t, 97);
		t->closed_out = true;
		break;
	case 98:
		on_request(t, m);
		break;
	default:
		break;
	}
}

/* RFC 4252 as a server that lets everybody in. */
static void
on_auth(struct tool *t, uint8_t type)
{
	struct buf *b;

	if (type == 5) {
		b = message(6);
		text(b, "ssh-userauth");
		out(t, b);
	} else {
		must(wire_accept_user(t->w), "accept");
	}
}

static void
on_global(struct tool *t, struct buf *m)
{
	const uint8_t *p;
	size_t n;
	uint8_t want = 0;

	must(buf_get_str(m, &p, &n), "global");
	must(buf_get_u8(m, &want), "global");
	if (want != 0)
		out(t, message(82));
}

static void
on_message(void *arg, const uint8_t *msg, size_t len)
{
	struct tool *t = arg;
	struct buf *m = buf_view(msg, len);
	uint8_t type = 0;

	if (m == NULL)
		die("memory", -ENOMEM);
	must(buf_get_u8(m, &type), "type");
	if (type == 5 || type == 50)
		on_auth(t, type);
	else if (type == 80)
		on_global(t, m);
	else if (type == 90)
		on_channel_open(t, m);
	else if (type == 91)
		on_channel_confirmed(t, m);
	else if (type >= 93 && type <= 100)
		on_channel_message(t, type, m);
	buf_free(m);
	work(t);
}

static int
on_sign(void *arg, const uint8_t *hash, size_t hash_len, uint8_t *ret_sig, size_t sig_max,
    size_t *ret_sig_len)
{
	struct tool *t = arg;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = sig_max;
	int r = ERR_CRYPTO;

	if (ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, t->key) == 1 &&
	    EVP_DigestSign(ctx, ret_sig, &len, hash, hash_len) == 1) {
		*ret_sig_len = len;
		r = 0;
	}
	EVP_MD_CTX_free(ctx);
	return r;
}

static int
on_proof(void *arg, const uint8_t *hash, size_t hash_len, const uint8_t *key, size_t key_len,
    const uint8_t *sig, size_t sig_len)
{
	struct tool *t = arg;
	char *base64 = str_base64(key, key_len);

	(void)hash;
	(void)hash_len;
	(void)sig;
	(void)sig_len;
	if (t->stats && base64 != NULL)
		fprintf(stderr, "hostkey=%s\n", base64);
	free(base64);
	return 0;
}

static int
agent_connect(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *path = getenv("SSH_AUTH_SOCK");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (path == NULL || fd < 0)
		die("SSH_AUTH_SOCK", ERR_NOT_FOUND);
	must(str_copy(a.sun_path, sizeof(a.sun_path), path), "SSH_AUTH_SOCK");
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		die("agent", -errno);
	return fd;
}

static void
on_ready(void *arg, const uint8_t *session_id, size_t len)
{
	struct tool *t = arg;

	(void)session_id;
	(void)len;
	if (t->stats)
		fprintf(stderr, "algorithms=%s\npeer=%s\n", wire_algorithms(t->w),
		    wire_peer_version(t->w));
	if (!t->server)
		must(wire_login(t->w, t->user, agent_connect()), "login");
}

static void
on_login(void *arg, int err, const char *methods)
{
	struct tool *t = arg;
	struct buf *b;

	if (err != 0) {
		fprintf(stderr, "login: %s (%s)\n", err_str(err), methods);
		exit(254);
	}
	b = message(90);
	text(b, "session");
	u32(b, 0);
	u32(b, WINDOW);
	u32(b, PACKET);
	out(t, b);
}

static void
on_banner(void *arg, const char *banner, size_t len)
{
	(void)arg;
	fprintf(stderr, "%.*s", (int)len, banner);
}

static void
on_end(void *arg, int err, const char *why)
{
	struct tool *t = arg;

	t->over = true;
	if (err != 0 && !(t->closed_in && err == ERR_PEER_GONE))
		fprintf(stderr, "end: %s: %s\n", err_str(err), why);
	if (err != 0 && !t->closed_in && !t->server)
		t->status = 255;
}

static const struct wire_ops ops = { .sign_kex = on_sign,
	.host_proof = on_proof,
	.ready = on_ready,
	.message = on_message,
	.login_done = on_login,
	.banner = on_banner,
	.end = on_end };

static void
say_costs(const struct tool *t, double wall)
{
	struct rusage u;

	if (!t->stats || getrusage(RUSAGE_SELF, &u) != 0)
		return;
	fprintf(stderr, "in=%llu out=%llu wall=%.3f user=%.3f sys=%.3f maxrss=%ld\n",
	    (unsigned long long)t->n_in, (unsigned long long)t->n_out, wall,
	    (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6,
	    (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec / 1e6, u.ru_maxrss);
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The client's stdin and stdout. */
static void
local_io(struct tool *t, short in, short out_ev)
{
	uint8_t bytes[PACKET];
	ssize_t n;
	size_t room;

	if ((in & (POLLIN | POLLHUP)) != 0 && (room = may_send(t, sizeof(bytes))) > 0) {
		n = read(0, bytes, room);
		if (n > 0) {
			send_data(t, bytes, (size_t)n);
		} else if (n == 0) {
			t->stdin_open = false;
			simple(t, 96);
			t->eof_out = true;
		}
	}
	if ((out_ev & (POLLOUT | POLLERR)) != 0 && buf_len(t->held) > 0) {
		n = write(1, buf_ptr(t->held), buf_len(t->held));
		if (n > 0)
			must(buf_skip(t->held, (size_t)n), "stdout");
		credit(t);
	}
}

static void
loop(struct tool *t)
{
	struct pollfd f[3] = { { .fd = wire_fd(t->w) }, { .fd = -1 }, { .fd = -1 } };
	double start = now();
	bool again = false;

	while (!t->over && !(t->closed_in && t->closed_out && buf_len(t->held) == 0)) {
		f[0].events = wire_events(t->w);
		f[1].fd = t->stdin_open && may_send(t, 1) > 0 ? 0 : -1;
		f[1].events = POLLIN;
		f[2].fd = t->job == JOB_RUN && buf_len(t->held) > 0 ? 1 : -1;
		f[2].events = POLLOUT;
		if (poll(f, 3, again ? 0 : -1) < 0)
			continue;
		if (f[0].revents != 0 || again)
			if (wire_io(t->w, f[0].revents, &again) != 0)
				break;
		if (t->server)
			work(t);
		else
			local_io(t, f[1].fd < 0 ? 0 : f[1].revents, f[2].fd < 0 ? 0 : f[2].revents);
		if (wire_flush(t->w) != 0)
			break;
	}
	if (!t->over && !t->server)
		wire_disconnect(t->w, 11, "done");
	while (t->server && !t->over) { /* let the client have the last word */
		f[0].events = wire_events(t->w);
		if (poll(f, 1, 5000) <= 0 || wire_io(t->w, f[0].revents, &again) != 0)
			break;
	}
	say_costs(t, now() - start);
}

static void
serve_one(struct tool *t, int fd)
{
	t->held = buf_new(2 * WINDOW);
	t->block = malloc(BLOCK);
	if (t->held == NULL || t->block == NULL)
		die("memory", -ENOMEM);
	for (size_t i = 0; i < BLOCK; i++)
		t->block[i] = (uint8_t)((i * 2654435761u) >> 13);
	must(fcntl(fd, F_SETFL, O_NONBLOCK), "socket");
	must(wire_new(&t->conf, fd, &ops, t, &t->w), "wire");
	loop(t);
	wire_free(t->w);
}

static void
make_key(struct tool *t, uint8_t blob[51])
{
	static const uint8_t head[] = { 0, 0, 0, 11, 's', 's', 'h', '-', 'e', 'd', '2', '5', '5',
		'1', '9', 0, 0, 0, 32 };
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, NULL);
	size_t len = 32;
	char *base64;

	memcpy(blob, head, sizeof(head));
	if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1 || EVP_PKEY_keygen(ctx, &t->key) != 1 ||
	    EVP_PKEY_get_raw_public_key(t->key, blob + sizeof(head), &len) != 1)
		die("host key", ERR_CRYPTO);
	EVP_PKEY_CTX_free(ctx);
	base64 = str_base64(blob, 51);
	if (base64 == NULL)
		die("memory", -ENOMEM);
	must(str_format(t->host_key_text, sizeof(t->host_key_text), "ssh-ed25519 %s", base64),
	    "host key");
	free(base64);
}

static int
serve(struct tool *t, uint64_t n)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	uint8_t blob[51];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), c;

	t->server = true;
	make_key(t, blob);
	t->conf.role = WIRE_SERVER;
	t->conf.host_key = blob;
	t->conf.host_key_len = sizeof(blob);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 64) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) != 0)
		die("listen", -errno);
	printf("%u %s\n", ntohs(a.sin_port), t->host_key_text);
	fflush(stdout);
	for (; n > 0; n--) {
		c = accept(fd, NULL, NULL);
		if (c < 0)
			die("accept", -errno);
		if (fork() == 0) {
			close(fd);
			serve_one(t, c);
			_exit(0);
		}
		close(c);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
	}
	close(fd);
	while (wait(NULL) > 0)
		continue;
	return 0;
}

static int
run(struct tool *t, const char *port_text, const char *user, const char *command)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	uint64_t port;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(num_parse(port_text, 1, 65535, &port), "port");
	a.sin_port = htons((uint16_t)port);
	t->conf.role = WIRE_CLIENT;
	t->user = user;
	t->command = command;
	t->job = JOB_RUN;
	t->stdin_open = true;
	t->held = buf_new(2 * WINDOW);
	if (t->held == NULL)
		die("memory", -ENOMEM);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		die("connect", -errno);
	must(fcntl(fd, F_SETFL, O_NONBLOCK), "socket");
	must(wire_new(&t->conf, fd, &ops, t, &t->w), "wire");
	loop(t);
	wire_free(t->w);
	buf_free(t->held);
	return t->status;
}

int
main(int argc, char **argv)
{
	struct tool t = { 0 };
	uint64_t n = 0;
	int c;

	while ((c = getopt(argc, argv, "c:m:k:r:a:s")) != -1) {
		if (c == 'c')
			t.conf.ciphers = optarg;
		else if (c == 'm')
			t.conf.macs = optarg;
		else if (c == 'k')
			t.conf.kex = optarg;
		else if (c == 'a')
			t.conf.host_key_algs = optarg;
		else if (c == 'r')
			must(num_parse(optarg, 1, UINT64_MAX, &t.conf.rekey_bytes), "-r");
		else if (c == 's')
			t.stats = true;
		else
			return 2;
	}
	must(wire_init(), "init");
	if (argc - optind == 2 && strcmp(argv[optind], "serve") == 0) {
		must(num_parse(argv[optind + 1], 1, UINT64_MAX, &n), "N");
		return serve(&t, n);
	}
	if (argc - optind == 4 && strcmp(argv[optind], "run") == 0)
		return run(&t, argv[optind + 1], argv[optind + 2], argv[optind + 3]);
	fprintf(
	    stderr, "usage: wire_tool [-s] [-c -m -k -r -a ...] serve N | run PORT USER COMMAND\n");
	return 2;
}
