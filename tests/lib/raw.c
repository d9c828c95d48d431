/* The connection: messages in, messages out. */
#include "config.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bastiond/ssh/ssh_msg.h"
#include "lib/str.h"
#include "tests/lib/raw.h"

static void
must(int r)
{
	if (r == 0)
		return;
	fprintf(stderr, "raw: %s\n", err_str(r));
	exit(3);
}

int64_t
raw_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Messages out. */

struct buf *
raw_msg(uint8_t type)
{
	struct buf *b = buf_new(WIRE_MESSAGE_MAX);

	must(b == NULL ? -ENOMEM : buf_put_u8(b, type));
	return b;
}

struct buf *
raw_chan_msg(const struct raw_chan *c, uint8_t type)
{
	struct buf *b = raw_msg(type);

	raw_put_u32(b, c->peer);
	return b;
}

void
raw_put_u32(struct buf *b, uint32_t v)
{
	must(buf_put_u32(b, v));
}

void
raw_put_str(struct buf *b, const void *p, size_t len)
{
	must(buf_put_str(b, p, len));
}

/* ERR_ORDER: not yet logged in, or the end came in between; then nothing can be said. */
void
raw_send(struct raw *x, struct buf *msg)
{
	int r = x->over ? 0 : wire_send(x->w, buf_ptr(msg), buf_len(msg));

	if (r != ERR_ORDER)
		must(r);
	buf_free(msg);
}

void
raw_data(struct raw *x, struct raw_chan *c, const void *p, size_t len)
{
	struct buf *b = raw_chan_msg(c, SSH_CHANNEL_DATA);

	raw_put_str(b, p, len);
	must(buf_put(c->sent, p, len));
	c->room -= len < c->room ? len : c->room;
	raw_send(x, b);
}

/* Letters by position, so that a lost or doubled piece shows. */
void
raw_pattern(struct raw *x, struct raw_chan *c, size_t len)
{
	static uint8_t bytes[WIRE_MESSAGE_MAX];
	size_t at = buf_len(c->sent);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)('a' + (at + i + (at + i) / 509) % 26);
	raw_data(x, c, bytes, len);
}

/* Messages in. */

static struct raw_chan *
by_number(struct raw *x, uint32_t id)
{
	bool ours = id >= RAW_FIRST && id < RAW_FIRST + RAW_CHANNELS;

	return ours && x->c[id - RAW_FIRST].used ? &x->c[id - RAW_FIRST] : NULL;
}

static void
refuse_channel(struct raw *x, uint32_t sender)
{
	struct buf *b = raw_msg(SSH_CHANNEL_OPEN_FAILURE);

	raw_put_u32(b, sender);
	raw_put_u32(b, SSH_OPEN_PROHIBITED);
	raw_put_str(b, "", 0);
	raw_put_str(b, "", 0);
	x->n_more++;
	raw_send(x, b);
}

/* A server's channels are a, b, c, ... in the order in which the peer opens them. */
static void
on_open(struct raw *x, struct rd *in)
{
	uint32_t sender, window, packet, i = 0;
	struct rd_str type;
	struct raw_chan *c;

	if (!rd_str(in, &type) || !rd_u32(in, &sender) || !rd_u32(in, &window) ||
	    !rd_u32(in, &packet))
		return;
	while (i < RAW_CHANNELS && x->c[i].opened)
		i++;
	if (!x->server || i == RAW_CHANNELS) {
		refuse_channel(x, sender);
		return;
	}
	c = &x->c[i];
	c->used = c->opened = true;
	c->peer = sender;
	c->room = window;
	c->packet = packet;
}

static void
on_confirmation(struct raw *x, struct raw_chan *c, struct rd *in)
{
	uint32_t window;

	(void)x;
	if (!rd_u32(in, &c->peer) || !rd_u32(in, &window) || !rd_u32(in, &c->packet))
		return;
	c->room = window;
	c->confirmed = true;
}

static void
on_failure(struct raw *x, struct raw_chan *c, struct rd *in)
{
	struct rd_str text;

	(void)x;
	c->refused = rd_u32(in, &c->reason);
	if (rd_str(in, &text))
		str_escape(c->text, sizeof(c->text), text.p, text.len);
}

static void
on_adjust(struct raw *x, struct raw_chan *c, struct rd *in)
{
	uint32_t n;

	(void)x;
	if (rd_u32(in, &n))
		c->room += n;
}

static void
take(struct raw *x, struct raw_chan *c, struct buf *to, struct rd *in)
{
	struct rd_str data;
	struct buf *b;

	if (!rd_str(in, &data))
		return;
	must(buf_put(to, data.p, data.len));
	c->taken += (uint32_t)data.len;
	if (c->manual || c->taken < RAW_WINDOW / 4 || c->n_close > 0)
		return;
	b = raw_chan_msg(c, SSH_CHANNEL_WINDOW_ADJUST);
	raw_put_u32(b, c->taken);
	c->taken = 0;
	raw_send(x, b);
}

static void
on_data(struct raw *x, struct raw_chan *c, struct rd *in)
{
	take(x, c, c->out, in);
}

static void
on_extended(struct raw *x, struct raw_chan *c, struct rd *in)
{
	uint32_t code;

	if (rd_u32(in, &code))
		take(x, c, c->err, in);
}

static void
on_eof(struct raw *x, struct raw_chan *c, struct rd *in)
{
	(void)x;
	(void)in;
	c->n_eof++;
}

static void
on_close(struct raw *x, struct raw_chan *c, struct rd *in)
{
	(void)x;
	(void)in;
	c->n_close++;
}

static void
on_request(struct raw *x, struct raw_chan *c, struct rd *in)
{
	char name[128];
	struct rd_str s, signal;
	size_t at = strlen(c->asked);
	uint8_t want;

	if (!rd_str(in, &s) || !rd_u8(in, &want))
		return;
	if (rd_is(s, "exit-status") && rd_u32(in, &c->status))
		c->n_exit++;
	if (rd_is(s, "exit-signal") && rd_str(in, &signal)) {
		c->n_exit++;
		str_escape(c->signal, sizeof(c->signal), signal.p, signal.len);
	}
	str_escape(name, sizeof(name), s.p, s.len);
	(void)snprintf(c->asked + at, sizeof(c->asked) - at, "%s ", name); /* cut is fine */
	/* Servers answer when the script says so; a client knows no request that wants an answer. */
	if (want != 0 && !x->server)
		raw_send(x, raw_chan_msg(c, SSH_CHANNEL_FAILURE));
}

static void
add_reply(char *replies, uint32_t *n, bool success)
{
	if (*n < RAW_REPLIES)
		replies[(*n)++] = success ? 'S' : 'F';
}

static void
on_reply_success(struct raw *x, struct raw_chan *c, struct rd *in)
{
	(void)x;
	(void)in;
	add_reply(c->replies, &c->n_replies, true);
}

static void
on_reply_failure(struct raw *x, struct raw_chan *c, struct rd *in)
{
	(void)x;
	(void)in;
	add_reply(c->replies, &c->n_replies, false);
}

/* From CHANNEL_OPEN_CONFIRMATION on. */
static void (*const table[])(struct raw *x, struct raw_chan *c, struct rd *in) = {
	on_confirmation,
	on_failure,
	on_adjust,
	on_data,
	on_extended,
	on_eof,
	on_close,
	on_request,
	on_reply_success,
	on_reply_failure,
};

static void
on_global(struct raw *x, struct rd *in)
{
	struct rd_str name;
	uint8_t want;

	if (rd_str(in, &name) && rd_u8(in, &want) && want != 0)
		raw_send(x, raw_msg(SSH_REQUEST_FAILURE));
}

/* A server lets everybody in. */
static void
on_auth(struct raw *x, uint8_t type)
{
	struct buf *b;

	if (type == SSH_USERAUTH_REQUEST) {
		must(wire_accept_user(x->w));
		x->in = true;
		return;
	}
	b = raw_msg(SSH_SERVICE_ACCEPT);
	raw_put_str(b, "ssh-userauth", 12);
	raw_send(x, b);
}

static void
on_message(void *arg, const uint8_t *msg, size_t len)
{
	struct raw *x = arg;
	struct rd in = rd_over(msg, len);
	struct raw_chan *c;
	uint32_t id;
	uint8_t type;

	if (!rd_u8(&in, &type))
		return;
	if (type < SSH_GLOBAL_REQUEST)
		on_auth(x, type);
	else if (type == SSH_GLOBAL_REQUEST)
		on_global(x, &in);
	else if (type == SSH_REQUEST_SUCCESS || type == SSH_REQUEST_FAILURE)
		add_reply(x->globals, &x->n_globals, type == SSH_REQUEST_SUCCESS);
	else if (type == SSH_CHANNEL_OPEN)
		on_open(x, &in);
	else if (rd_u32(&in, &id) && (c = by_number(x, id)) != NULL)
		table[type - SSH_CHANNEL_OPEN_CONFIRMATION](x, c, &in);
}

/* The life of a connection. */

static int
agent_connect(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *path = getenv("SSH_AUTH_SOCK");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (path == NULL || fd < 0 || str_copy(a.sun_path, sizeof(a.sun_path), path) != 0 ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		must(ERR_NOT_FOUND);
	return fd;
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
	return 0;
}

static void
on_ready(void *arg, const uint8_t *session_id, size_t len)
{
	struct raw *x = arg;

	(void)session_id;
	(void)len;
	if (!x->server)
		must(wire_login(x->w, x->user, agent_connect()));
}

static void
on_login(void *arg, int err, const char *methods)
{
	struct raw *x = arg;

	x->in = err == 0;
	if (err == 0)
		return;
	x->over = true;
	(void)snprintf(x->why, sizeof(x->why), "login: %s (%s)", err_str(err), methods);
}

static void
on_end(void *arg, int err, const char *why)
{
	struct raw *x = arg;

	x->over = true;
	x->end = err;
	(void)snprintf(x->why, sizeof(x->why), "%s", why);
}

static void
make_buffers(struct raw *x)
{
	for (size_t i = 0; i < RAW_CHANNELS; i++) {
		struct raw_chan *c = &x->c[i];

		c->out = buf_new(RAW_KEEP);
		c->err = buf_new(RAW_KEEP);
		c->sent = buf_new(RAW_KEEP);
		must(c->out == NULL || c->err == NULL || c->sent == NULL ? -ENOMEM : 0);
	}
}

void
raw_pass(struct raw *x, int ms)
{
	struct pollfd f;
	bool again = false;

	if (x->over || wire_flush(x->w) != 0)
		return;
	f = (struct pollfd){ .fd = wire_fd(x->w), .events = wire_events(x->w) };
	if (poll(&f, 1, ms) < 0)
		return;
	do {
		if (wire_io(x->w, f.revents, &again) != 0)
			return;
		f.revents = 0;
	} while (again && !x->over);
}

static int
wait_in(struct raw *x)
{
	int64_t end = raw_now_ms() + RAW_WAIT_S * 1000;

	while (!x->in && !x->over && raw_now_ms() < end)
		raw_pass(x, 100);
	if (!x->in && x->why[0] == '\0')
		(void)snprintf(x->why, sizeof(x->why), "no login in time");
	return x->in ? 0 : -1;
}

int
raw_connect(struct raw *x, uint16_t port, const char *user, uint64_t rekey_bytes)
{
	static const struct wire_ops ops = { .host_proof = on_proof,
		.ready = on_ready,
		.message = on_message,
		.login_done = on_login,
		.end = on_end };
	struct wire_conf conf = { .role = WIRE_CLIENT, .rekey_bytes = rekey_bytes };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*x = (struct raw){ .user = user };
	make_buffers(x);
	a.sin_port = htons(port);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
		(void)snprintf(x->why, sizeof(x->why), "connect: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	must(wire_new(&conf, fd, &ops, x, &x->w));
	return wait_in(x);
}

int
raw_serve(struct raw *x, int fd, const uint8_t *blob, size_t len,
    int (*sign)(void *, const uint8_t *, size_t, uint8_t *, size_t, size_t *))
{
	static struct wire_ops ops = { .ready = on_ready, .message = on_message, .end = on_end };
	struct wire_conf conf = { .role = WIRE_SERVER, .host_key = blob, .host_key_len = len };

	*x = (struct raw){ .server = true };
	ops.sign_kex = sign;
	make_buffers(x);
	must(fcntl(fd, F_SETFL, O_NONBLOCK) == 0 ? 0 : -errno);
	must(wire_new(&conf, fd, &ops, x, &x->w));
	return wait_in(x);
}

void
raw_free(struct raw *x)
{
	for (size_t i = 0; i < RAW_CHANNELS; i++) {
		buf_free(x->c[i].out);
		buf_free(x->c[i].err);
		buf_free(x->c[i].sent);
	}
	wire_free(x->w);
	*x = (struct raw){ 0 };
}
