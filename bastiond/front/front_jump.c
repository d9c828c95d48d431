/*
 * Jumps (ssh -J): direct-tcpip channels of a login without a host (RFC 4254 section 7.2). The broker starts another front for
 * each, and this one moves bytes between the channel and the socket to it: another SSH connection's, of which it knows
 * nothing. No byte of a jump touches a link, and no host is reached from here.
 */
#include "config.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/front/front.h"
#include "bastiond/ssh/ssh_msg.h"
#include "lib/buf.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/str.h"

#define HOST_MAX 255u				/* bytes of what a client may call a host */
#define KEPT_MAX (MUX_LOCAL_WINDOW + MUX_SLACK) /* bytes for a socket that takes nothing */
#define PIECE (32u * 1024)			/* bytes of one read */
#define TURN 4					/* reads before others have their turn */

/* One channel and its socket. */
struct front_jump {
	struct front *f;
	uint32_t number;  /* with the broker, never used twice */
	uint32_t channel; /* 0: it is over, and what it brought is still to be written */
	int fd;		  /* -1: the broker has not answered */
	struct loop_io *io;
	struct buf *kept; /* bytes of the client that the socket did not take */
	bool client_eof;  /* nothing more comes for the socket */
	bool socket_eof;  /* nothing more comes from it */
	bool deaf;	  /* it takes nothing any more */
	bool full;	  /* the channel takes nothing now */
	bool shut;	  /* the socket knows that nothing more comes */
};

static void on_socket(void *arg, uint32_t revents);

/* The table of them. */

static struct front_jump *
find(struct front *f, uint32_t channel)
{
	for (size_t i = 0; i < FRONT_JUMPS_MAX; i++)
		if (f->jumps[i] != NULL && f->jumps[i]->channel == channel && channel != 0)
			return f->jumps[i];
	return NULL;
}

/* The one that waits for this answer of the broker; NULL: none. */
static struct front_jump *
find_asked(struct front *f, uint32_t number)
{
	for (size_t i = 0; i < FRONT_JUMPS_MAX; i++)
		if (f->jumps[i] != NULL && f->jumps[i]->number == number && f->jumps[i]->fd < 0)
			return f->jumps[i];
	return NULL;
}

static struct front_jump **
find_place(struct front *f)
{
	for (size_t i = 0; i < FRONT_JUMPS_MAX; i++)
		if (f->jumps[i] == NULL)
			return &f->jumps[i];
	return NULL;
}

static void
jump_free(struct front_jump *j)
{
	if (j == NULL)
		return;
	for (size_t i = 0; i < FRONT_JUMPS_MAX; i++)
		if (j->f->jumps[i] == j)
			j->f->jumps[i] = NULL;
	loop_del(j->io);
	fd_close(&j->fd);
	buf_free(j->kept);
	free(j);
}

void
front_jump_done(struct front *f)
{
	for (size_t i = 0; i < FRONT_JUMPS_MAX; i++)
		jump_free(f->jumps[i]);
}

/* Asking. */

static uint32_t
refuse(const char **ret_text, uint32_t reason, const char *text)
{
	*ret_text = text;
	return reason;
}

static int
ask(struct front *f, uint32_t number, struct rd_str host, uint32_t port)
{
	struct buf *b = buf_new(HOST_MAX + 16);
	int r = -ENOMEM;

	if (b != NULL && (r = buf_put_str(b, host.p, host.len)) == 0 &&
	    (r = buf_put_u32(b, port)) == 0)
		r = ipc_send_buf(f->broker, BRK_FRONT_JUMP, number, b);
	buf_free(b);
	return r;
}

uint32_t
front_jump_open(struct front *f, const struct mux_open *open, const char **ret_text)
{
	struct front_jump **place = find_place(f);
	struct rd in = rd_over(open->fields.p, open->fields.len);
	struct rd_str host = { 0 };
	uint32_t port = 0;

	if (!mux_shape(open->fields, "susu") || !rd_str(&in, &host) || !rd_u32(&in, &port) ||
	    host.len == 0 || host.len > HOST_MAX || port == 0 || port > UINT16_MAX)
		return refuse(ret_text, SSH_OPEN_PROHIBITED, "not a host and port");
	if (f->broker == NULL || f->told_to_end)
		return refuse(ret_text, SSH_OPEN_PROHIBITED, "the bastion is stopping");
	if (place == NULL)
		return refuse(
		    ret_text, SSH_OPEN_RESOURCE_SHORTAGE, "too many connections through here");
	*place = calloc(1, sizeof(**place));
	if (*place == NULL)
		return refuse(ret_text, SSH_OPEN_RESOURCE_SHORTAGE, "out of memory");
	**place =
	    (struct front_jump){ .f = f, .number = ++f->last_jump, .channel = open->id, .fd = -1 };
	if (ask(f, f->last_jump, host, port) == 0)
		return MUX_OPEN_LOCAL;
	jump_free(*place);
	return refuse(ret_text, SSH_OPEN_RESOURCE_SHORTAGE, "the bastion is busy");
}

/* Between channel and socket. */

/* What is waited for. A socket whose end cannot be dealt with now is not watched, or it would be told again and again. */
static int
watch(struct front_jump *j)
{
	uint32_t events = 0;

	if (j->channel != 0 && !j->socket_eof && !j->full)
		events |= EPOLLIN;
	if (!j->deaf && buf_len(j->kept) > 0)
		events |= EPOLLOUT;
	/* Done with sending, it may yet go: that is always told. */
	if (events == 0 && (!j->socket_eof || j->deaf || j->channel == 0)) {
		loop_del(j->io);
		j->io = NULL;
		return 0;
	}
	if (j->io != NULL)
		return loop_set(j->io, events);
	return loop_add(j->f->loop, j->fd, events, on_socket, j, &j->io);
}

/* The client's bytes: *ret_n of them are done with. What the other end does not want is done with, too. */
static void
write_some(struct front_jump *j, struct rd_str data, size_t *ret_n)
{
	ssize_t n = -1;

	*ret_n = data.len;
	if (j->deaf)
		return;
	do
		n = send(j->fd, data.p, data.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		*ret_n = (size_t)n;
	else if (errno == EAGAIN)
		*ret_n = 0;
	else
		j->deaf = true;
}

static int
took(struct front_jump *j, size_t n)
{
	return j->channel == 0 || n == 0 ? 0 : mux_local_took(j->f->end.mux, j->channel, n);
}

static int
write_kept(struct front_jump *j)
{
	size_t n = 0, left = buf_len(j->kept);

	if (left == 0)
		return 0;
	write_some(j, (struct rd_str){ buf_ptr(j->kept), left }, &n);
	if (n == left) {
		buf_reset(j->kept);
		buf_shrink(j->kept, 0);
		return took(j, n);
	}
	return buf_skip(j->kept, n) != 0 ? ERR_FORMAT : took(j, n);
}

/* One read for the channel, as much as it takes. *ret_more: there may be more. */
static int
read_some(struct front_jump *j, bool *ret_more)
{
	static uint8_t space[PIECE];
	size_t room = mux_local_room(j->f->end.mux, j->channel);
	ssize_t n;

	*ret_more = false;
	j->full = room == 0;
	if (j->full)
		return 0;
	do
		n = recv(j->fd, space, room < PIECE ? room : PIECE, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		j->socket_eof = true;
		return mux_local_eof(j->f->end.mux, j->channel);
	}
	*ret_more = n == PIECE;
	return mux_local_data(j->f->end.mux, j->channel, space, (size_t)n);
}

/* Half closes, and the end of it all: true: j is no more. */
static bool
settle(struct front_jump *j)
{
	bool written = j->deaf || buf_len(j->kept) == 0;

	if (j->client_eof && written && !j->shut) {
		j->shut = true;
		(void)shutdown(j->fd, SHUT_WR); /* it may be gone: then nothing is missed */
	}
	if (j->channel != 0 && j->socket_eof && (j->shut || j->deaf)) {
		if (mux_local_close(j->f->end.mux, j->channel) != 0)
			log_debug("front.jump_unclosed jump=%u", j->number);
		j->channel = 0;
	}
	if (j->channel != 0 || !written)
		return false;
	jump_free(j);
	return true;
}

/* This one cannot go on. */
static void
break_off(struct front_jump *j, int err)
{
	log_warn("front.jump_broken jump=%u reason=\"%s\"", j->number, err_str(err));
	if (j->channel != 0 && mux_local_close(j->f->end.mux, j->channel) != 0)
		log_debug("front.jump_unclosed jump=%u", j->number);
	jump_free(j);
}

/* After anything has happened. */
static void
go_on(struct front_jump *j, int r)
{
	if (r == 0 && settle(j))
		return;
	if (r == 0)
		r = watch(j);
	if (r != 0)
		break_off(j, r);
}

static void
on_socket(void *arg, uint32_t revents)
{
	struct front_jump *j = arg;
	bool more = j->channel != 0 && !j->socket_eof;
	int r = (revents & EPOLLOUT) != 0 ? write_kept(j) : 0;

	for (int i = 0; i < TURN && more && r == 0; i++)
		r = read_some(j, &more);
	/* Gone in both directions, and not just done with sending. */
	if (r == 0 && (revents & (EPOLLHUP | EPOLLERR)) != 0 && (j->socket_eof || j->channel == 0))
		j->deaf = true;
	go_on(j, r);
}

/* The mux speaks of the client's side. */

static int
on_data(void *arg, uint32_t id, struct rd_str data)
{
	struct front_jump *j = find(arg, id);
	size_t n = 0;
	int r = 0;

	if (j == NULL)
		return 0;
	if (buf_len(j->kept) == 0)
		write_some(j, data, &n);
	if (n < data.len)
		r = buf_put(j->kept, data.p + n, data.len - n);
	if (r == 0)
		r = took(j, n);
	go_on(j, r);
	return 0;
}

static int
on_eof(void *arg, uint32_t id)
{
	struct front_jump *j = find(arg, id);

	if (j == NULL)
		return 0;
	j->client_eof = true;
	go_on(j, 0);
	return 0;
}

/* What it said before still goes to the socket. */
static void
on_closed(void *arg, uint32_t id)
{
	struct front_jump *j = find(arg, id);

	if (j == NULL)
		return;
	j->channel = 0;
	j->client_eof = true;
	if (j->fd < 0)
		jump_free(j);
	else
		go_on(j, 0);
}

static void
on_room(void *arg, uint32_t id)
{
	struct front_jump *j = find(arg, id);

	if (j == NULL)
		return;
	j->full = false;
	go_on(j, 0);
}

static const struct mux_local_ops local_ops = {
	.data = on_data,
	.eof = on_eof,
	.closed = on_closed,
	.room = on_room,
};

void
front_jump_init(struct front *f)
{
	mux_set_local(f->end.mux, &local_ops, f);
}

/* The broker's answers. */

/* An answer to what nobody waits for any more. */
static bool
was_asked(const struct front *f, const struct front_jump *j, uint32_t number)
{
	return f->end.peer_gone || (j == NULL && number != 0 && number <= f->last_jump);
}

static int
refuse_now(struct front_jump *j, uint32_t reason, const char *text)
{
	struct mux *m = j->f->end.mux;
	uint32_t channel = j->channel;

	jump_free(j);
	return mux_local_refuse(m, channel, reason, text);
}

int
front_on_jumped(void *arg, struct ipc_msg *msg)
{
	struct front *f = arg;
	struct front_jump *j = find_asked(f, msg->id);
	int r;

	if (was_asked(f, j, msg->id))
		return 0;
	if (j == NULL)
		return ERR_ORDER;
	j->fd = msg->fds[0];
	msg->fds[0] = -1;
	j->kept = buf_new(KEPT_MAX);
	if (j->kept == NULL || fcntl(j->fd, F_SETFL, O_RDWR | O_NONBLOCK) != 0)
		return refuse_now(j, SSH_OPEN_RESOURCE_SHORTAGE, "out of memory");
	r = mux_local_confirm(f->end.mux, j->channel);
	if (r == 0)
		r = watch(j);
	if (r != 0)
		break_off(j, r);
	return 0;
}

int
front_on_jump_refused(void *arg, struct ipc_msg *msg)
{
	struct front *f = arg;
	struct front_jump *j = find_asked(f, msg->id);
	struct rd in = rd_over(msg->data, msg->len);
	struct rd_str line;
	char text[512];

	if (!rd_str(&in, &line) || !rd_end(&in))
		return ERR_FORMAT;
	if (was_asked(f, j, msg->id))
		return 0;
	if (j == NULL)
		return ERR_ORDER;
	str_plain(text, sizeof(text), line.p, line.len);
	return refuse_now(j, SSH_OPEN_PROHIBITED, text);
}

void
front_jump_refuse_all(struct front *f, const char *line)
{
	for (size_t i = 0; i < FRONT_JUMPS_MAX; i++)
		if (f->jumps[i] != NULL && f->jumps[i]->fd < 0 &&
		    refuse_now(f->jumps[i], SSH_OPEN_PROHIBITED, line) != 0)
			log_debug("front.unsent jump"); /* the wire tells its end */
}
