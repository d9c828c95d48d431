/*
 * What libssh takes for its socket and its poll loop. libssh's own (socket.o, poll.o) are not linked: it never sees
 * a descriptor, never waits, never connects, never starts a program. Bytes in: wire_socket_feed(); bytes out:
 * ssh_socket_write(). The names are libssh's, their meaning is that of libssh 0.10.6.
 */
#include "config.h"

#include <stdlib.h>

#include "bastiond/ssh/wire_libssh.h"
#include "bastiond/ssh/wire_priv.h"

struct ssh_socket_struct {
	struct wire *w; /* borrowed */
	ssh_socket_callbacks
	    callbacks; /* libssh's: where bytes go, changes after the version line */
	bool open;
};

size_t
wire_socket_feed(struct wire *w, uint8_t *p, size_t len)
{
	ssh_socket s = w->socket;

	if (s == NULL || !s->open || s->callbacks == NULL || s->callbacks->data == NULL)
		return 0;
	return (size_t)s->callbacks->data(p, len, s->callbacks->userdata);
}

void
wire_socket_connected(struct wire *w)
{
	ssh_socket s = w->socket;

	if (s != NULL && s->open && s->callbacks != NULL && s->callbacks->connected != NULL)
		s->callbacks->connected(SSH_SOCKET_CONNECTED_OK, 0, s->callbacks->userdata);
}

bool
wire_socket_is_open(const struct wire *w)
{
	return w->socket != NULL && w->socket->open;
}

/* Life. A session makes its socket when it is made, and a server's makes a second one in its place. */

int
ssh_socket_init(void)
{
	return 0;
}

void
ssh_socket_cleanup(void)
{
}

ssh_socket
ssh_socket_new(ssh_session session)
{
	struct wire *w = wire_current();
	ssh_socket s = calloc(1, sizeof(*s));

	(void)session;
	if (s == NULL || w == NULL) {
		free(s);
		return NULL;
	}
	s->w = w;
	w->socket = s;
	return s;
}

void
ssh_socket_free(ssh_socket s)
{
	if (s == NULL)
		return;
	if (s->w->socket == s)
		s->w->socket = NULL;
	free(s);
}

void
ssh_socket_reset(ssh_socket s)
{
	s->open = false;
}

void
ssh_socket_set_callbacks(ssh_socket s, ssh_socket_callbacks callbacks)
{
	s->callbacks = callbacks;
}

/* The descriptor is ours alone; being given one only means that bytes may flow. */
void
ssh_socket_set_fd(ssh_socket s, int fd)
{
	(void)fd;
	s->open = true;
}

int
ssh_socket_get_fd(ssh_socket s)
{
	(void)s;
	return -1;
}

int
ssh_socket_is_open(ssh_socket s)
{
	return s->open;
}

void
ssh_socket_close(ssh_socket s)
{
	s->open = false;
}

/* Bytes out. */

int
ssh_socket_write(ssh_socket s, const void *buffer, uint32_t len)
{
	if (wire_queue_out(s->w, buffer, len) != 0)
		return SSH_ERROR;
	return SSH_OK;
}

int
ssh_socket_buffered_write_bytes(ssh_socket s)
{
	(void)s;
	return 0;
}

int
ssh_socket_get_status(ssh_socket s)
{
	(void)s;
	return 0;
}

int
ssh_socket_get_poll_flags(ssh_socket s)
{
	(void)s;
	return 0;
}

void
ssh_socket_set_connected(ssh_socket s, ssh_poll_handle p)
{
	(void)s;
	(void)p;
}

void
ssh_socket_set_except(ssh_socket s)
{
	(void)s;
}

void
ssh_socket_set_read_wontblock(ssh_socket s)
{
	(void)s;
}

void
ssh_socket_set_write_wontblock(ssh_socket s)
{
	(void)s;
}

int
ssh_socket_connect(ssh_socket s, const char *host, uint16_t port, const char *bind_addr)
{
	(void)s;
	(void)host;
	(void)port;
	(void)bind_addr;
	return SSH_ERROR;
}

int
ssh_socket_connect_proxycommand(ssh_socket s, const char *command)
{
	(void)s;
	(void)command;
	return SSH_ERROR;
}

/* Polling: handle and context are the socket itself, and there is never anything to wait for. */

ssh_poll_handle
ssh_socket_get_poll_handle(ssh_socket s)
{
	return (ssh_poll_handle)(void *)s;
}

ssh_poll_ctx
ssh_poll_get_ctx(ssh_poll_handle p)
{
	return (ssh_poll_ctx)(void *)p;
}

void
ssh_poll_add_events(ssh_poll_handle p, short events)
{
	(void)p;
	(void)events;
}

int
ssh_poll_ctx_dopoll(ssh_poll_ctx ctx, int timeout)
{
	(void)ctx;
	(void)timeout;
	return SSH_AGAIN;
}
