/* The wire's interface without SSH: see wire_fake.h. Order and re-entrance are those of the true one. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "tests/lib/test.h"
#include "tests/lib/wire_fake.h"

struct wire *wire_fake;

/* The end is told when no callback is on the stack. */
static void
tell(struct wire *w)
{
	if (!w->over || w->inside > 0 || w->told)
		return;
	w->told = true;
	w->ops->end(w->arg, w->err, w->why);
}

static int
settle(struct wire *w)
{
	tell(w);
	if (!w->over)
		return 0;
	return w->err == 0 ? ERR_PEER_GONE : w->err;
}

static void
finish(struct wire *w, int err, const char *why)
{
	if (w->over)
		return;
	w->over = true;
	w->err = err;
	(void)snprintf(w->why, sizeof(w->why), "%s", why);
}

int
wire_new(const struct wire_conf *conf, int fd, const struct wire_ops *ops, void *arg,
    struct wire **ret_wire)
{
	struct wire *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	*w = (struct wire){ .role = conf->role, .ops = ops, .arg = arg, .fd = fd, .agent_fd = -1 };
	if (conf->host_key_algs != NULL)
		(void)snprintf(
		    w->host_key_algs, sizeof(w->host_key_algs), "%s", conf->host_key_algs);
	wire_fake = *ret_wire = w;
	return 0;
}

void
wire_free(struct wire *w)
{
	if (w == NULL)
		return;
	close(w->fd);
	if (w->agent_fd >= 0)
		close(w->agent_fd);
	rig_log_clear(&w->sent);
	if (wire_fake == w)
		wire_fake = NULL;
	free(w);
}

int
wire_fd(const struct wire *w)
{
	return w->fd;
}

short
wire_events(const struct wire *w)
{
	return w->over || w->paused ? 0 : POLLIN;
}

int
wire_io(struct wire *w, short revents, bool *ret_again)
{
	(void)revents;
	*ret_again = false;
	return settle(w);
}

void
wire_pause_input(struct wire *w, bool paused)
{
	w->paused = paused;
}

int
wire_send2(struct wire *w, const void *head, size_t head_len, const void *body, size_t body_len)
{
	uint8_t type = *(const uint8_t *)head;

	if (w->over || (type >= SSH_GLOBAL_REQUEST && !w->open))
		return ERR_ORDER;
	rig_log_put(&w->sent, type, 0, (struct rd_str){ head, head_len },
	    (struct rd_str){ body, body_len });
	return 0;
}

int
wire_send(struct wire *w, const void *msg, size_t len)
{
	return wire_send2(w, msg, len, NULL, 0);
}

size_t
wire_backlog(const struct wire *w)
{
	return w->backlog;
}

int
wire_flush(struct wire *w)
{
	return settle(w);
}

int
wire_accept_user(struct wire *w)
{
	if (w->open || w->over)
		return ERR_ORDER;
	w->open = true;
	return 0;
}

int
wire_login(struct wire *w, const char *user, int agent_fd)
{
	(void)snprintf(w->user, sizeof(w->user), "%s", user);
	w->agent_fd = agent_fd;
	return 0;
}

void
wire_disconnect(struct wire *w, uint32_t reason, const char *text)
{
	if (w->over)
		return;
	w->reason = reason;
	finish(w, 0, text);
	tell(w);
}

const char *
wire_algorithms(const struct wire *w)
{
	(void)w;
	return "some algorithms";
}

const char *
wire_peer_version(const struct wire *w)
{
	(void)w;
	return "SSH-2.0-peer";
}

void
wire_fake_says(const char *shape, ...)
{
	struct wire *w = wire_fake;
	const uint8_t *p;
	size_t len;
	va_list ap;

	va_start(ap, shape);
	p = rig_vbytes(&len, shape, &ap);
	va_end(ap);
	assert_false(w->over);
	w->inside++;
	w->ops->message(w->arg, p, len);
	w->inside--;
	tell(w);
}

void
wire_fake_ends(int err, const char *why)
{
	finish(wire_fake, err, why);
	tell(wire_fake);
}

int
wire_fake_proves(const char *key, const char *sig)
{
	struct wire *w = wire_fake;
	int r;

	w->inside++;
	r = w->ops->host_proof(w->arg, (const uint8_t *)"H", 1, (const uint8_t *)key, strlen(key),
	    (const uint8_t *)sig, strlen(sig));
	w->inside--;
	if (r != 0) {
		finish(w, r, "the owner refused");
		tell(w);
	}
	return r;
}

void
wire_fake_is_ready(void)
{
	struct wire *w = wire_fake;

	w->inside++;
	w->ops->ready(w->arg, (const uint8_t *)"session", 7);
	w->inside--;
	tell(w);
}

void
wire_fake_login_done(int err, const char *methods)
{
	struct wire *w = wire_fake;

	w->open = err == 0;
	w->inside++;
	w->ops->login_done(w->arg, err, methods);
	w->inside--;
	tell(w);
}
