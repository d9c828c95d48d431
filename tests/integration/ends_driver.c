/*
 * Plays everybody but the ends: broker, policy, vault and recorder in one process, so that front and back can be tried with
 * a real client and a real target without them. It believes every signature and keeps no record: for tests only.
 *
 *   bastion-ends BIN-FOLDER AGENT-SOCKET LOG COMMIT-US HOST=ADDRESS:PORT=BASE64-HOST-KEY ...
 *
 * Listens on a free port of 127.0.0.1 and says "ready PORT". Clients log in as LOGIN+HOST with any key. Frames cross after
 * COMMIT-US microseconds, as if they had been committed, and are told to LOG, one line each. Login "nobody" is refused;
 * host "shut" gets no link; commands that begin with "denied" are denied; SIGUSR1 closes all links, SIGUSR2 has all fronts closed.
 */
#include "config.h"

#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/ssh/rd.h"
#include "keys/keys_proto.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/net.h"
#include "lib/num.h"
#include "lib/proc.h"
#include "lib/str.h"
#include "policy/policy_proto.h"
#include "recorder/link_proto.h"

#define HOSTS_MAX 8
#define RELAY_MAX 256 /* frames that wait before their sender is not read any more */

struct host {
	char *name;
	struct net_addr addr;
	uint16_t port;
	uint8_t *key;
	size_t key_len;
};

struct frame {
	STAILQ_ENTRY(frame) link;
	uint16_t type;
	uint32_t id;
	size_t len;
	uint8_t data[];
};

struct conn;

/* One direction of a link. */
struct side {
	struct conn *conn;
	const char *name;
	struct ipc *in;
	struct side *other;
	STAILQ_HEAD(, frame) held;
	size_t n_held;
};

struct conn {
	LIST_ENTRY(conn) all;
	struct driver *d;
	uint32_t id;
	pid_t front_pid, back_pid;
	int front_pidfd, back_pidfd;
	struct loop_io *front_io, *back_io;
	struct ipc *broker, *policy, *keys, *back;
	struct side front_side, back_side;
	struct loop_timer *commit;
	const struct host *host;
	char login[128];
	bool dead;
};

struct driver {
	struct loop *loop;
	int listen_fd;
	struct loop_io *listen_io;
	int front_exec, back_exec;
	const char *agent_path;
	FILE *log;
	uint64_t commit_ns;
	uint16_t port;
	uint8_t key_blob[51], secret[crypto_sign_SECRETKEYBYTES];
	struct host hosts[HOSTS_MAX];
	size_t n_hosts;
	uint32_t last_id;
	LIST_HEAD(, conn) conns;
};

static void
die(const char *what, int r)
{
	fprintf(stderr, "bastion-ends: %s: %s\n", what, err_str(r));
	exit(3);
}

#define NEED(x)                                                                                    \
	do {                                                                                       \
		int need_r = (x);                                                                  \
		if (need_r != 0)                                                                   \
			die(#x, need_r);                                                           \
	} while (0)

/* Connections end when both programs have. */

static void
free_side(struct side *s)
{
	struct frame *f;

	ipc_free(s->in);
	s->in = NULL;
	while ((f = STAILQ_FIRST(&s->held)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->held, link);
		free(f);
	}
	s->n_held = 0;
}

static void
settle(struct conn *c)
{
	if (c->front_pidfd >= 0 || c->back_pidfd >= 0)
		return;
	LIST_REMOVE(c, all);
	free_side(&c->front_side);
	free_side(&c->back_side);
	ipc_free(c->broker);
	ipc_free(c->policy);
	ipc_free(c->keys);
	ipc_free(c->back);
	loop_timer_free(c->commit);
	free(c);
}

static void
collect(struct conn *c, const char *what, pid_t pid, int *pidfd, struct loop_io **io)
{
	char text[64];
	int status = 0;

	if (proc_collect(pid, &status) != 0)
		return;
	fprintf(c->d->log, "%u %s %s\n", c->id, what, proc_status_text(text, sizeof(text), status));
	fflush(c->d->log);
	loop_del(*io);
	*io = NULL;
	fd_close(pidfd);
	settle(c);
}

static void
on_front_exit(void *arg, uint32_t revents)
{
	struct conn *c = arg;

	(void)revents;
	collect(c, "front", c->front_pid, &c->front_pidfd, &c->front_io);
}

static void
on_back_exit(void *arg, uint32_t revents)
{
	struct conn *c = arg;

	(void)revents;
	collect(c, "back", c->back_pid, &c->back_pidfd, &c->back_io);
}

/* The recorder. */

static void
tell_log(struct conn *c, const char *who, const struct ipc_msg *msg)
{
	char text[200];

	if (msg->type == LINK_DATA || msg->type == LINK_DATA_EXT || msg->type == LINK_WINDOW)
		return;
	fprintf(c->d->log, "%u %s type=%u channel=%u %s\n", c->id, who, msg->type, msg->id,
	    str_escape(text, sizeof(text), msg->data, msg->len));
	fflush(c->d->log);
}

static void
release(struct side *s)
{
	struct frame *f;

	while ((f = STAILQ_FIRST(&s->held)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->held, link);
		s->n_held--;
		if (s->other->in != NULL &&
		    ipc_send(s->other->in, f->type, f->id, f->data, f->len) != 0)
			fprintf(s->conn->d->log, "%u lost a frame for %s\n", s->conn->id,
			    s->other->name);
		free(f);
	}
	if (s->in != NULL && s->other->in != NULL && ipc_queued(s->other->in) < RELAY_MAX)
		NEED(ipc_pause(s->in, false));
}

static void
on_commit(void *arg)
{
	struct conn *c = arg;

	release(&c->front_side);
	release(&c->back_side);
}

static void
on_drained(void *arg)
{
	struct side *s = arg;

	if (s->other->in != NULL)
		NEED(ipc_pause(s->other->in, false));
}

static void
hold(struct side *s, const struct ipc_msg *msg)
{
	struct frame *f = malloc(sizeof(*f) + msg->len);

	if (f == NULL)
		die("frame", -ENOMEM);
	*f = (struct frame){ .type = msg->type, .id = msg->id, .len = msg->len };
	if (msg->len > 0)
		memcpy(f->data, msg->data, msg->len);
	STAILQ_INSERT_TAIL(&s->held, f, link);
	s->n_held++;
	if (s->conn->d->commit_ns == 0)
		release(s);
	else if (!loop_timer_armed(s->conn->commit))
		loop_timer_arm(s->conn->commit, s->conn->d->commit_ns);
	if (s->n_held > RELAY_MAX || (s->other->in != NULL && ipc_queued(s->other->in) > RELAY_MAX))
		NEED(ipc_pause(s->in, true));
}

/* A command that policy does not like: the front hears a verdict, the back nothing. */
static bool
is_denied(struct side *s, const struct ipc_msg *msg)
{
	static const char verdict[] = "\6????\2\0\0\0\4exec\0\0\0\14not this one";
	struct rd in = rd_over(msg->data, msg->len);
	struct rd_str name = { 0 }, command = { 0 };
	uint8_t payload[sizeof(verdict) - 1], want = 0;
	uint32_t number = 0;

	if (s != &s->conn->front_side || msg->type != LINK_REQUEST || !rd_u32(&in, &number) ||
	    !rd_str(&in, &name) || !rd_is(name, "exec") || !rd_u8(&in, &want) ||
	    !rd_str(&in, &command) || command.len < 6 || memcmp(command.p, "denied", 6) != 0)
		return false;
	memcpy(payload, verdict, sizeof(payload));
	wr_u32(payload + 1, msg->id);
	NEED(ipc_send(s->in, LINK_NOTE, 0, payload, sizeof(payload)));
	return true;
}

static int
on_frame(void *arg, struct ipc_msg *msg)
{
	struct side *s = arg;

	tell_log(s->conn, s->name, msg);
	if (!is_denied(s, msg))
		hold(s, msg);
	return 0;
}

static void
on_link_gone(void *arg, int err)
{
	struct side *s = arg;

	(void)err;
	ipc_free(s->in);
	s->in = NULL;
	release(s);
	/* Who stays hears that the other one is gone, after its last frames. */
	if (s->other->in != NULL && ipc_queued(s->other->in) == 0) {
		ipc_free(s->other->in);
		s->other->in = NULL;
	}
}

static const struct ipc_rule relay_rules[] = {
#define RELAY(type)                                                                                \
	{                                                                                          \
		type, #type, 0, IPC_MAX, 0, IPC_ANY_STATE, on_frame                                \
	}
	RELAY(LINK_OPEN),
	RELAY(LINK_OPEN_OK),
	RELAY(LINK_OPEN_FAIL),
	RELAY(LINK_DATA),
	RELAY(LINK_DATA_EXT),
	RELAY(LINK_WINDOW),
	RELAY(LINK_EOF),
	RELAY(LINK_CLOSE),
	RELAY(LINK_REQUEST),
	RELAY(LINK_REPLY),
	RELAY(LINK_EXIT_STATUS),
	RELAY(LINK_EXIT_SIGNAL),
	RELAY(LINK_NOTE),
	RELAY(LINK_END),
};

static int
start_side(struct side *s, struct conn *c, const char *name, struct side *other)
{
	const struct ipc_conf conf = { .name = name,
		.queue_max = 65536,
		.rules = relay_rules,
		.n_rules = sizeof(relay_rules) / sizeof(relay_rules[0]),
		.arg = s,
		.gone = on_link_gone,
		.drained = on_drained };
	int pair[2];

	s->conn = c;
	s->name = name;
	s->other = other;
	NEED(ipc_pair(pair));
	NEED(ipc_new(c->d->loop, pair[0], &conf, &s->in));
	return pair[1];
}

/* The broker, for a back. */

static int
connect_agent(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	NEED(str_copy(sun.sun_path, sizeof(sun.sun_path), path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0)
		die("agent", -errno);
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) != 0)
		die("agent", -errno);
	return fd;
}

static void
send_back_start(struct conn *c)
{
	struct buf *grant = buf_new(4096), *b = buf_new(8192);
	char text[NET_TEXT_SIZE], own[NET_PORT_TEXT_SIZE];

	if (grant == NULL || b == NULL)
		die("start", -ENOMEM);
	net_text(text, sizeof(text), &c->host->addr);
	NEED(str_format(own, sizeof(own), "127.0.0.1:%u", c->d->port));
	NEED(buf_put_cstr(grant, c->host->name) | buf_put_cstr(grant, text) |
	     buf_put_u32(grant, c->host->port) | buf_put_u8(grant, 0) |
	     buf_put_cstr(grant, c->login) | buf_put_u32(grant, 1) |
	     buf_put_str(grant, c->host->key, c->host->key_len) | buf_put_u32(grant, 0) |
	     buf_put_u64(grant, 5 * CLOCK_NS_PER_S));
	NEED(buf_put_str(b, buf_ptr(grant), buf_len(grant)) | buf_put_u32(b, 1) |
	     buf_put_cstr(b, own) | buf_put_u32(b, 0) | buf_put_u64(b, 60 * CLOCK_NS_PER_S) |
	     buf_put_u32(b, 3) | buf_put_u64(b, 5 * CLOCK_NS_PER_S) |
	     buf_put_u64(b, 30 * CLOCK_NS_PER_S));
	NEED(ipc_send_buf(c->back, BRK_BACK_START, 1, b));
	buf_free(grant);
	buf_free(b);
}

static void
on_back_gone(void *arg, int err)
{
	struct conn *c = arg;

	(void)err;
	ipc_free(c->back);
	c->back = NULL;
}

static void
start_leg(struct conn *c)
{
	const struct ipc_conf conf = { .name = "back", .arg = c, .gone = on_back_gone };
	int edge[2], fds[3], front_link;

	front_link = start_side(&c->front_side, c, "front", &c->back_side);
	fds[1] = start_side(&c->back_side, c, "back", &c->front_side);
	NEED(ipc_pair(edge));
	NEED(ipc_new(c->d->loop, edge[0], &conf, &c->back));
	fds[0] = edge[1];
	fds[2] = connect_agent(c->d->agent_path);
	send_back_start(c);
	NEED(proc_spawn(
	    &(struct proc_spec){
		.exec_fd = c->d->back_exec, .name = "bastiond-back", .fds = fds, .n_fds = 3 },
	    &c->back_pid, &c->back_pidfd));
	NEED(loop_add(c->d->loop, c->back_pidfd, EPOLLIN, on_back_exit, c, &c->back_io));
	NEED(ipc_send_fds(c->broker, BRK_FRONT_LINK, 1, NULL, 0, &front_link, 1));
	for (int i = 0; i < 3; i++)
		fd_close(&fds[i]);
	fd_close(&front_link);
}

static void
send_text(struct ipc *edge, uint16_t type, const char *text)
{
	struct buf *b = buf_new(1024);

	if (b == NULL)
		die("text", -ENOMEM);
	NEED(buf_put_cstr(b, text));
	NEED(ipc_send_buf(edge, type, 1, b));
	buf_free(b);
}

/* Policy. */

static void
answer_success(struct conn *c, const char *host)
{
	struct buf *b = buf_new(1024);

	if (b == NULL)
		die("answer", -ENOMEM);
	NEED(buf_put_u8(b, POL_AUTH_SUCCESS) | buf_put_cstr(b, "tester") | buf_put_cstr(b, host) |
	     buf_put_cstr(b, "0123abcd") | buf_put_u32(b, 8));
	NEED(ipc_send_buf(c->policy, POL_AUTH_REPLY, 0, b));
	buf_free(b);
	if (host[0] == '\0')
		return;
	for (size_t i = 0; i < c->d->n_hosts; i++)
		if (strcmp(c->d->hosts[i].name, host) == 0)
			c->host = &c->d->hosts[i];
	if (c->host != NULL)
		start_leg(c);
	else
		send_text(c->broker, BRK_FRONT_REFUSED, "no such host");
}

static void
answer_short(struct conn *c, uint8_t what)
{
	static const char failure[] = "\2\0\0\0\11publickey\0\0\0\0";

	if (what == POL_AUTH_FAILURE)
		NEED(ipc_send(c->policy, POL_AUTH_REPLY, 0, failure, sizeof(failure)));
	else
		NEED(ipc_send(c->policy, POL_AUTH_REPLY, 0, &what, 1));
}

static int
on_auth(void *arg, struct ipc_msg *msg)
{
	struct rd in = rd_over(msg->data + 1, msg->len - 1);
	struct rd_str user = { 0 }, service, method = { 0 };
	struct conn *c = arg;
	char name[256], *plus;
	uint8_t sig = 0;

	if (!rd_str(&in, &user) || !rd_str(&in, &service) || !rd_str(&in, &method) ||
	    user.len >= sizeof(name))
		return ERR_FORMAT;
	memcpy(name, user.p, user.len);
	name[user.len] = '\0';
	plus = strchr(name, '+');
	if (plus != NULL)
		*plus = '\0';
	NEED(str_copy(c->login, sizeof(c->login), name));
	if (!rd_is(method, "publickey") || strcmp(name, "nobody") == 0)
		answer_short(c, POL_AUTH_FAILURE);
	else if (!rd_u8(&in, &sig) || sig == 0)
		answer_short(c, POL_AUTH_PK_OK);
	else
		answer_success(c, plus != NULL ? plus + 1 : "");
	return 0;
}

/* The vault. */

static int
on_sign(void *arg, struct ipc_msg *msg)
{
	struct conn *c = arg;
	uint8_t sig[crypto_sign_BYTES];

	crypto_sign_detached(sig, NULL, msg->data, msg->len, c->d->secret);
	return ipc_send(c->keys, KEYS_SIGNED, 0, sig, sizeof(sig));
}

static void
make_host_key(struct driver *d)
{
	uint8_t pub[crypto_sign_PUBLICKEYBYTES], *p = d->key_blob;

	crypto_sign_keypair(pub, d->secret);
	p = wr_u32(p, 11);
	memcpy(p, "ssh-ed25519", 11);
	p = wr_u32(p + 11, sizeof(pub));
	memcpy(p, pub, sizeof(pub));
}

/* The broker, for a front. */

static const struct ipc_rule policy_rules[] = {
	{ POL_AUTH_REQUEST, "AUTH_REQUEST", 1, IPC_MAX, 0, IPC_ANY_STATE, on_auth },
};
static const struct ipc_rule keys_rules[] = {
	{ KEYS_SIGN, "SIGN", 32, 64, 0, IPC_ANY_STATE, on_sign },
};

static void
on_gone(void *arg, int err)
{
	(void)arg;
	(void)err; /* freed when the front has ended */
}

static void
send_front_start(struct conn *c)
{
	struct buf *b = buf_new(1024);

	if (b == NULL)
		die("start", -ENOMEM);
	NEED(buf_put_u32(b, 1) | buf_put_str(b, c->d->key_blob, sizeof(c->d->key_blob)) |
	     buf_put_u32(b, 8) | buf_put_u64(b, 60 * CLOCK_NS_PER_S) | buf_put_u32(b, 3) |
	     buf_put_u64(b, 0) | buf_put_u64(b, 30 * CLOCK_NS_PER_S));
	NEED(ipc_send_buf(c->broker, BRK_FRONT_START, c->id, b));
	buf_free(b);
}

static int
edge(struct conn *c, const char *name, const struct ipc_rule *rules, size_t n_rules,
    struct ipc **ret_ipc)
{
	const struct ipc_conf conf = {
		.name = name, .rules = rules, .n_rules = n_rules, .arg = c, .gone = on_gone
	};
	int pair[2];

	NEED(ipc_pair(pair));
	NEED(ipc_new(c->d->loop, pair[0], &conf, ret_ipc));
	return pair[1];
}

/* The front's wishes on a login without a host. */
static int
on_shell(void *arg, struct ipc_msg *msg)
{
	struct conn *c = arg;

	(void)msg;
	send_text(c->broker, BRK_FRONT_REFUSED, "there is no shell here");
	return 0;
}

static void start_front(struct driver *d, int client);

/* A jump leads to another front, whatever was asked for but "nowhere". */
static int
on_jump(void *arg, struct ipc_msg *msg)
{
	struct rd in = rd_over(msg->data, msg->len);
	struct rd_str host;
	struct conn *c = arg;
	int pair[2];

	if (!rd_str(&in, &host) || in.len != 4)
		return ERR_FORMAT;
	if (rd_is(host, "nowhere")) {
		static const char line[] = "\0\0\0\16no such target";

		return ipc_send(c->broker, BRK_FRONT_JUMP_REFUSED, msg->id, line, sizeof(line) - 1);
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -errno;
	NEED(ipc_send_fds(c->broker, BRK_FRONT_JUMPED, msg->id, NULL, 0, &pair[0], 1));
	fd_close(&pair[0]);
	start_front(c->d, pair[1]);
	return 0;
}

static const struct ipc_rule broker_rules[] = {
	{ BRK_FRONT_SHELL, "SHELL", 0, 0, 0, IPC_ANY_STATE, on_shell },
	{ BRK_FRONT_JUMP, "JUMP", 9, 512, 0, IPC_ANY_STATE, on_jump },
};

static void
start_front(struct driver *d, int client)
{
	struct conn *c;
	int fds[4];

	c = calloc(1, sizeof(*c));
	if (c == NULL)
		die("connection", -ENOMEM);
	*c = (struct conn){ .d = d, .id = ++d->last_id, .front_pidfd = -1, .back_pidfd = -1 };
	STAILQ_INIT(&c->front_side.held);
	STAILQ_INIT(&c->back_side.held);
	LIST_INSERT_HEAD(&d->conns, c, all);
	NEED(loop_timer_new(d->loop, on_commit, c, &c->commit));
	fds[0] = edge(c, "broker", broker_rules, 2, &c->broker);
	fds[1] = client;
	fds[2] = edge(c, "policy", policy_rules, 1, &c->policy);
	fds[3] = edge(c, "keys", keys_rules, 1, &c->keys);
	send_front_start(c);
	NEED(proc_spawn(
	    &(struct proc_spec){
		.exec_fd = d->front_exec, .name = "bastiond-front", .fds = fds, .n_fds = 4 },
	    &c->front_pid, &c->front_pidfd));
	NEED(loop_add(d->loop, c->front_pidfd, EPOLLIN, on_front_exit, c, &c->front_io));
	for (int i = 0; i < 4; i++)
		fd_close(&fds[i]);
}

static void
on_client(void *arg, uint32_t revents)
{
	struct driver *d = arg;
	int client = accept4(d->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)revents;
	if (client >= 0)
		start_front(d, client);
}

static void
on_signal(void *arg, int signo)
{
	struct driver *d = arg;
	struct conn *c;

	if (signo == SIGTERM)
		loop_stop(d->loop);
	LIST_FOREACH (c, &d->conns, all) {
		if (signo == SIGUSR1) {
			free_side(&c->front_side);
			free_side(&c->back_side);
		} else if (signo == SIGUSR2)
			send_text(c->broker, BRK_FRONT_CLOSE, "the bastion is stopping");
	}
}

static void
add_host(struct driver *d, char *arg)
{
	struct host *h = &d->hosts[d->n_hosts++];
	char *addr = strchr(arg, '='), *key = addr != NULL ? strchr(addr + 1, '=') : NULL;

	if (key == NULL || d->n_hosts > HOSTS_MAX)
		die(arg, ERR_FORMAT);
	*addr++ = *key++ = '\0';
	h->name = arg;
	NEED(net_parse_port(addr, &h->addr, &h->port));
	NEED(str_unbase64(key, strlen(key), &h->key, &h->key_len));
}

static void
listen_somewhere(struct driver *d)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);

	d->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->listen_fd < 0 || bind(d->listen_fd, (struct sockaddr *)&sin, sizeof(sin)) != 0 ||
	    listen(d->listen_fd, 64) != 0 ||
	    getsockname(d->listen_fd, (struct sockaddr *)&sin, &len) != 0)
		die("listen", -errno);
	d->port = ntohs(sin.sin_port);
	NEED(loop_add(d->loop, d->listen_fd, EPOLLIN, on_client, d, &d->listen_io));
}

int
main(int argc, char **argv)
{
	static const int signals[] = { SIGTERM, SIGUSR1, SIGUSR2 };
	struct driver d = { .listen_fd = -1 };
	uint64_t us = 0;

	log_init("ends", LOG_LEVEL_NOTICE);
	if (argc < 5 || sodium_init() < 0 || num_parse(argv[4], 0, 1000000, &us) != 0) {
		fprintf(
		    stderr, "usage: bastion-ends BIN AGENT LOG COMMIT-US HOST=ADDR:PORT=KEY ...\n");
		return 2;
	}
	NEED(proc_open(argv[1], "bastiond-front", &d.front_exec));
	NEED(proc_open(argv[1], "bastiond-back", &d.back_exec));
	d.agent_path = argv[2];
	d.log = fopen(argv[3], "we");
	if (d.log == NULL)
		die(argv[3], -errno);
	d.commit_ns = us * 1000;
	for (int i = 5; i < argc; i++)
		add_host(&d, argv[i]);
	LIST_INIT(&d.conns);
	make_host_key(&d);
	NEED(loop_new(&d.loop));
	NEED(loop_signals(d.loop, signals, 3, on_signal, &d));
	listen_somewhere(&d);
	printf("ready %u\n", d.port);
	fflush(stdout);
	NEED(loop_run(d.loop));
	return 0;
}
