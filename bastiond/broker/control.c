/* The control socket. A client has one request under way at a time. */
#include "config.h"

#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/broker/control.h"
#include "bastiond/broker/views.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/str.h"
#include "recorder/recorder_proto.h"

#define CONTROL_IDLE 0u
#define CONTROL_BUSY 1u
#define WHEN_IDLE (1u << CONTROL_IDLE)

struct control_client {
	LIST_ENTRY(control_client) link;
	struct control *control;
	struct ipc *ipc;
	uid_t uid;
	char who[48];	  /* "uid 1000 (alice)", for the record */
	uint32_t id;	  /* of the request under way */
	bool reloading;	  /* it waits for control_reloaded() */
	struct buf *args; /* of a CTL_READ whose event is not durable yet: NUL-terminated texts */
};

struct control {
	struct control_conf conf;
	int fd;
	struct loop_io *io;
	LIST_HEAD(, control_client) clients;
	size_t n_clients;
};

static void
control_drop(struct control_client *cl)
{
	wiring_audit_forget(cl->control->conf.wiring, cl);
	wiring_status_forget(cl->control->conf.wiring, cl);
	wiring_order_forget(cl->control->conf.wiring, cl);
	LIST_REMOVE(cl, link);
	cl->control->n_clients--;
	ipc_free(cl->ipc);
	buf_free(cl->args);
	free(cl);
}

static void
control_on_gone(void *arg, int err)
{
	struct control_client *cl = arg;

	if (err != ERR_PEER_GONE)
		log_warn("control.refused by=\"%s\" reason=\"%s\"", cl->who, err_str(err));
	control_drop(cl);
}

static void
control_reply(struct control_client *cl, uint8_t code, const char *text, size_t len)
{
	struct buf *b = buf_new(IPC_MAX);

	/* A client that does not hear has gone, and is told to us so. */
	if (b == NULL || buf_put_u8(b, code) != 0 || buf_put_str(b, text, len) != 0 ||
	    ipc_send_buf(cl->ipc, CTL_REPLY, cl->id, b) != 0)
		log_debug("control.unheard by=\"%s\"", cl->who);
	buf_free(b);
	ipc_set_state(cl->ipc, CONTROL_IDLE);
}

static void
control_say(struct control_client *cl, uint8_t code, const char *text)
{
	control_reply(cl, code, text, strlen(text));
}

/* fd: taken. */
static void
control_hand_over(struct control_client *cl, int fd)
{
	if (ipc_send_fds(cl->ipc, CTL_EDGE, cl->id, NULL, 0, &fd, 1) != 0)
		log_debug("control.unheard by=\"%s\"", cl->who);
	fd_close(&fd);
	ipc_set_state(cl->ipc, CONTROL_IDLE);
}

static struct control_client *
control_begin(void *arg, const struct ipc_msg *msg)
{
	struct control_client *cl = arg;

	cl->id = msg->id;
	ipc_set_state(cl->ipc, CONTROL_BUSY);
	return cl;
}

static void
control_status_done(void *arg, struct json *status)
{
	struct control_client *cl = arg;
	char *text = NULL;
	size_t len;

	cl->control->conf.fill_status(cl->control->conf.arg, status);
	if (json_text(status, false, IPC_MAX - 16, &text, &len) != 0) {
		/* Too long with every connection in it. */
		json_put_null(status, "open");
		if (json_text(status, false, IPC_MAX - 16, &text, &len) != 0)
			text = NULL;
	}
	if (text != NULL)
		control_reply(cl, 0, text, len);
	else
		control_say(cl, 3, "the status cannot be put together");
	free(text);
	json_free(status);
}

static int
control_on_status(void *arg, struct ipc_msg *msg)
{
	struct control_client *cl = control_begin(arg, msg);

	if (wiring_status(cl->control->conf.wiring, control_status_done, cl) != 0)
		control_say(cl, 3, "out of memory");
	return 0;
}

static int
control_on_reload(void *arg, struct ipc_msg *msg)
{
	struct control_client *cl = control_begin(arg, msg);

	log_notice("control.reload by=\"%s\"", cl->who);
	cl->reloading = true;
	cl->control->conf.reload(cl->control->conf.arg);
	return 0;
}

void
control_reloaded(struct control *c, bool good, const char *text)
{
	struct control_client *cl;

	if (c == NULL)
		return;
	LIST_FOREACH (cl, &c->clients, link)
		if (cl->reloading) {
			cl->reloading = false;
			control_say(cl, good ? 0 : 1, text);
		}
}

static int
control_on_keys(void *arg, struct ipc_msg *msg)
{
	struct control_client *cl = control_begin(arg, msg);
	int fd = -1, r = wiring_keys_admin(cl->control->conf.wiring, cl->who, &fd);

	if (r == 0)
		control_hand_over(cl, fd);
	else
		control_say(
		    cl, 3, r == ERR_ORDER ? "the key vault does not run: see the log" : err_str(r));
	return 0;
}

static int
control_on_kill(void *arg, struct ipc_msg *msg)
{
	struct control_client *cl = control_begin(arg, msg);
	struct buf *b = buf_view(msg->data, msg->len);
	char sid[80];
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_cstr(b, sid, sizeof(sid))) == 0)
		r = buf_end(b);
	buf_free(b);
	if (r == 0)
		r = wiring_kill_session(cl->control->conf.wiring, sid, cl->who);
	if (r == 0) {
		log_notice("control.kill by=\"%s\" session=%s", cl->who, sid);
		control_say(cl, 0, "");
	} else {
		control_say(cl, r == ERR_NOT_FOUND ? 1 : 3,
		    r == ERR_NOT_FOUND ? "no such session is running" : err_str(r));
	}
	return 0;
}

static void
control_ordered(void *arg, uint8_t code, const char *text)
{
	control_say(arg, code, text);
}

/* sid, with hold also whether to hold it, why. */
static int
control_order(struct control_client *cl, const struct ipc_msg *msg, bool hold)
{
	struct wiring_order order = { .who = cl->who, .done = control_ordered, .arg = cl };
	struct buf *b = buf_view(msg->data, msg->len);
	char sid[80], why[REC_WHY_MAX + 1];
	uint8_t flag = 0;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_cstr(b, sid, sizeof(sid))) == 0 &&
	    (!hold || (r = buf_get_u8(b, &flag)) == 0) &&
	    (r = buf_get_cstr(b, why, sizeof(why))) == 0 && (r = buf_end(b)) == 0)
		r = why[0] == '\0' || flag > 1 ? ERR_FORMAT : 0;
	buf_free(b);
	if (r != 0)
		return r;
	order.sid = sid;
	order.why = why;
	order.hold = flag == 1;
	log_notice("control.%s by=\"%s\" session=%s",
	    !hold	? "erase"
	    : flag == 1 ? "hold"
			: "release",
	    cl->who, sid);
	return hold ? wiring_hold(cl->control->conf.wiring, &order)
		    : wiring_erase(cl->control->conf.wiring, &order);
}

static int
control_on_order(struct control_client *cl, const struct ipc_msg *msg, bool hold)
{
	int r = control_order(cl, msg, hold);

	if (r == ERR_FORMAT || r == ERR_LIMIT)
		control_say(cl, 2, "such an order is not understood: a session, and why");
	else if (r != 0)
		control_say(
		    cl, 3, r == ERR_ORDER ? "the recorder does not run: see the log" : err_str(r));
	return 0;
}

static int
control_on_erase(void *arg, struct ipc_msg *msg)
{
	return control_on_order(control_begin(arg, msg), msg, false);
}

static int
control_on_hold(void *arg, struct ipc_msg *msg)
{
	return control_on_order(control_begin(arg, msg), msg, true);
}

/* The arguments as they came, each with its NUL, into cl->args. 0; ERR_FORMAT; -ENOMEM. */
static int
control_take_args(struct control_client *cl, const struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	uint32_t n;
	int r = -ENOMEM;

	buf_free(cl->args);
	cl->args = buf_new(IPC_MAX);
	if (b == NULL || cl->args == NULL || (r = buf_get_u32(b, &n)) != 0)
		goto out;
	r = n > VIEWS_ARGS_MAX ? ERR_FORMAT : 0;
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		const uint8_t *p;
		size_t len;

		if ((r = buf_get_str(b, &p, &len)) == 0 && memchr(p, '\0', len) != NULL)
			r = ERR_FORMAT;
		if (r == 0 && (r = buf_put(cl->args, p, len)) == 0)
			r = buf_put_u8(cl->args, 0);
	}
	if (r == 0)
		r = buf_end(b);
out:
	buf_free(b);
	return r;
}

static void
control_split_args(const struct control_client *cl, const char *args[VIEWS_ARGS_MAX + 1])
{
	const char *p = (const char *)buf_ptr(cl->args), *end = p + buf_len(cl->args);
	size_t n = 0;

	for (; p < end && n < VIEWS_ARGS_MAX; p += strlen(p) + 1)
		args[n++] = p;
	args[n] = NULL;
}

/* The event of the view is on disk: only now a reader starts. */
static void
control_read_durable(void *arg, bool ok)
{
	struct control_client *cl = arg;
	const char *args[VIEWS_ARGS_MAX + 1];
	int fd = -1, r = ERR_ORDER;

	if (ok) {
		control_split_args(cl, args);
		r = wiring_reader(cl->control->conf.wiring, args, &fd);
	}
	buf_free(cl->args);
	cl->args = NULL;
	if (r == 0)
		control_hand_over(cl, fd);
	else
		control_say(cl, 3,
		    ok ? "the recordings cannot be read now: too many readers or none can start: "
			 "see the log"
		       : "the recorder stopped before this view was noted: try again");
}

/*
 * The log is asked about other things, too: a login by its reference, a connection. Then the view is none of a session, nor is
 * one that asks which session a word means.
 */
static bool
control_names_session(const char *verb, const char *about)
{
	return about == NULL || (strcmp(verb, "search") != 0 && strcmp(verb, "find") != 0 &&
				    (strcmp(verb, "log") != 0 || strlen(about) == 2 * REC_SID_LEN));
}

/* What a view has of its options that the log should tell. */
static void
control_put_options(struct json *e, const char *const *args)
{
	for (; *args != NULL; args++) {
		/* Who has an auditor's key gets more than the verb itself gives to others. */
		if (strcmp(*args, "--blocks") == 0)
			json_put_bool(e, "blocks", true);
		/* And may hand it on. */
		if (strcmp(*args, "--for") == 0)
			json_put_str(e, "for", args[1]);
	}
}

static int
control_on_read(void *arg, struct ipc_msg *msg)
{
	struct control_client *cl = control_begin(arg, msg);
	const char *args[VIEWS_ARGS_MAX + 1], *about = NULL;
	struct json *e;
	int r = control_take_args(cl, msg);

	if (r == 0) {
		control_split_args(cl, args);
		r = views_check(args, &about);
	}
	if (r != 0) {
		control_say(cl, 2, "no reader answers such a request");
		return 0;
	}
	e = json_event("record.viewed");
	json_put_str(e, "by", cl->who);
	json_put_str(e, "what", args[0]);
	json_put_str(e, control_names_session(args[0], about) ? "session" : "about", about);
	control_put_options(e, args);
	r = wiring_audit_wait(cl->control->conf.wiring, e, control_read_durable, cl);
	if (r != 0)
		control_say(cl, 3,
		    r == ERR_ORDER
			? "the recorder does not run, so the view cannot be noted: see the log"
			: err_str(r));
	return 0;
}

static int
control_on_index(void *arg, struct ipc_msg *msg)
{
	struct control_client *cl = control_begin(arg, msg);
	int r = wiring_index_rebuild(cl->control->conf.wiring);

	if (r == 0)
		log_notice("control.index_rebuild by=\"%s\"", cl->who);
	control_say(cl, r == 0 ? 0 : 3,
	    r == 0	     ? "the index is made anew, in the background"
	    : r == ERR_ORDER ? "the indexer does not run: see the log"
			     : err_str(r));
	return 0;
}

static const struct ipc_rule control_rules[] = {
	{ CTL_STATUS, "status", 0, 0, 0, WHEN_IDLE, control_on_status },
	{ CTL_RELOAD, "reload", 0, 0, 0, WHEN_IDLE, control_on_reload },
	{ CTL_KEYS, "keys", 0, 0, 0, WHEN_IDLE, control_on_keys },
	{ CTL_READ, "read", 4, IPC_MAX, 0, WHEN_IDLE, control_on_read },
	{ CTL_KILL, "kill", 4, 128, 0, WHEN_IDLE, control_on_kill },
	{ CTL_INDEX, "index", 0, 0, 0, WHEN_IDLE, control_on_index },
	{ CTL_ERASE, "erase", 8, 4096, 0, WHEN_IDLE, control_on_erase },
	{ CTL_HOLD, "hold", 9, 4096, 0, WHEN_IDLE, control_on_hold },
};

/* "uid 1000 (alice)". From the file itself: no name service is asked from here. */
static void
control_name(uid_t uid, char *dst, size_t size)
{
	FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *pw = NULL;
	char name[36];

	while (f != NULL && (pw = fgetpwent(f)) != NULL && pw->pw_uid != uid)
		;
	if (pw != NULL)
		str_escape(name, sizeof(name), pw->pw_name, strlen(pw->pw_name));
	if (snprintf(dst, size, pw != NULL ? "uid %u (%s)" : "uid %u", (unsigned)uid, name) < 0)
		dst[0] = '\0';
	if (f != NULL)
		(void)fclose(f); /* only read */
}

static int
control_admit(struct control *c, int fd)
{
	struct ipc_conf edge = { .name = "control",
		.rules = control_rules,
		.n_rules = sizeof(control_rules) / sizeof(control_rules[0]),
		.gone = control_on_gone };
	struct control_client *cl;
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return -errno;
	if (cred.uid != 0 && cred.uid != geteuid())
		return ERR_DENIED;
	if (c->n_clients >= CONTROL_CLIENTS_MAX)
		return ERR_LIMIT;
	if ((cl = calloc(1, sizeof(*cl))) == NULL)
		return -ENOMEM;
	*cl = (struct control_client){ .control = c, .uid = cred.uid };
	control_name(cred.uid, cl->who, sizeof(cl->who));
	edge.arg = cl;
	if ((r = ipc_new(c->conf.loop, fd, &edge, &cl->ipc)) != 0) {
		free(cl);
		return r;
	}
	LIST_INSERT_HEAD(&c->clients, cl, link);
	c->n_clients++;
	return 0;
}

static void
control_on_client(void *arg, uint32_t revents)
{
	struct control *c = arg;
	int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), r;

	(void)revents;
	if (fd < 0)
		return; /* gone again, or no descriptors: the next wake-up tells */
	if ((r = control_admit(c, fd)) != 0) {
		log_warn("control.refused reason=\"%s\"", err_str(r));
		fd_close(&fd);
	}
}

/* Through the folder's descriptor: its path may be longer than an address takes. */
static int
control_listen(struct control *c, const char *dir)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), r;
	mode_t mask;

	if (dir_fd < 0)
		return -errno;
	c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = c->fd < 0 ? -errno
		      : str_format(sun.sun_path, sizeof(sun.sun_path),
			    "/proc/self/fd/%d/control.sock", dir_fd);
	if (r == 0 && unlinkat(dir_fd, "control.sock", 0) != 0 && errno != ENOENT)
		r = -errno;
	mask = umask(0177);
	if (r == 0 && (bind(c->fd, (const struct sockaddr *)&sun, sizeof(sun)) != 0 ||
			  listen(c->fd, (int)CONTROL_CLIENTS_MAX) != 0))
		r = -errno;
	(void)umask(mask); /* never fails */
	fd_close(&dir_fd);
	return r;
}

int
control_new(const char *dir, const struct control_conf *conf, struct control **ret_control)
{
	struct control *c = calloc(1, sizeof(*c));
	int r;

	if (c == NULL)
		return -ENOMEM;
	*c = (struct control){ .conf = *conf, .fd = -1 };
	LIST_INIT(&c->clients);
	if ((r = control_listen(c, dir)) != 0 ||
	    (r = loop_add(conf->loop, c->fd, EPOLLIN, control_on_client, c, &c->io)) != 0) {
		control_free(c);
		return r;
	}
	*ret_control = c;
	return 0;
}

void
control_free(struct control *c)
{
	struct control_client *cl, *next;

	if (c == NULL)
		return;
	for (cl = LIST_FIRST(&c->clients); cl != NULL; cl = next) {
		next = LIST_NEXT(cl, link);
		control_drop(cl);
	}
	loop_del(c->io);
	fd_close(&c->fd);
	free(c);
}
