/* Fake programs, a clock that stands still, and messages one by one. */
#include "config.h"

#include <sys/socket.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "keys/keys_proto.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/policy_proto.h"
#include "recorder/recorder_proto.h"
#include "tests/lib/wiring_rig.h"

static struct rig *rig_now; /* the spawn call has no argument of its own */
static uint64_t rig_clock_ns;
static size_t rig_fds_before;
static pid_t rig_last_pid = 1000;

void (*rig_on_hold)(bool hold);

static void
rig_hold(bool hold)
{
	if (rig_on_hold != NULL)
		rig_on_hold(hold);
}

static uint64_t
rig_boot_ns(void)
{
	return rig_clock_ns;
}

size_t
rig_open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static int
fake_spawn(const struct proc_spec *spec, pid_t *ret_pid, int *ret_pidfd)
{
	struct fake *f;
	int ends[2];
	size_t at = 0;

	if (rig_now->fail_spawn > 0) {
		rig_now->fail_spawn--;
		return -EAGAIN;
	}
	rig_hold(true);
	f = calloc(1, sizeof(*f));
	assert_non_null(f);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	snprintf(f->name, sizeof(f->name), "%s", spec->name);
	for (size_t i = 0; spec->argv != NULL && spec->argv[i] != NULL; i++)
		at += (size_t)snprintf(f->argv + at, sizeof(f->argv) - at, "%s ", spec->argv[i]);
	for (size_t i = 0; i < FAKE_FDS; i++)
		f->fds[i] = -1;
	for (size_t i = 0; i < spec->n_fds; i++)
		if (spec->fds[i] >= 0)
			f->fds[i] = fcntl(spec->fds[i], F_DUPFD_CLOEXEC, 3);
	f->pid = ++rig_last_pid;
	f->pidfd = ends[0];
	f->alive = ends[1];
	f->next = rig_now->fakes;
	rig_now->fakes = f;
	*ret_pid = f->pid;
	*ret_pidfd = ends[0];
	rig_hold(false);
	return 0;
}

void
rig_end(struct rig *r, struct fake *f, int status)
{
	(void)r;
	f->status = status;
	for (size_t i = 0; i < FAKE_FDS; i++)
		fd_close(&f->fds[i]);
	fd_close(&f->alive);
}

static int
fake_kill(int pidfd, int signo)
{
	for (struct fake *f = rig_now->fakes; f != NULL; f = f->next)
		if (f->pidfd == pidfd && f->alive >= 0) {
			f->told_kill |= signo == SIGKILL;
			if (signo == SIGKILL && !f->stubborn)
				rig_end(rig_now, f, SIGKILL);
			return 0;
		}
	return -ESRCH;
}

static int
fake_collect(pid_t pid, int *ret_status)
{
	for (struct fake **p = &rig_now->fakes; *p != NULL; p = &(*p)->next) {
		struct fake *f = *p;

		if (f->pid != pid)
			continue;
		if (f->alive >= 0)
			return -EAGAIN;
		*ret_status = f->status;
		*p = f->next;
		free(f);
		return 0;
	}
	return -ECHILD;
}

/* Also after its end, as long as it was not collected. */
static int
fake_kill_group(pid_t pid, int signo)
{
	for (struct fake *f = rig_now->fakes; f != NULL; f = f->next)
		if (f->pid == pid) {
			assert_int_equal(signo, SIGKILL);
			f->group_killed = true;
			rig_now->n_groups_killed++;
			return 0;
		}
	fail_msg("the group of a process that was collected, or never was");
	return -ESRCH;
}

static const struct process_ops fake_ops = { fake_spawn, fake_kill, fake_collect, fake_kill_group };

static void
rig_on_changed(void *arg)
{
	struct rig *r = arg;

	r->n_changed++;
}

static void
rig_begin(struct rig *r)
{
	rig_fds_before = rig_open_fds();
	rig_clock_ns = 1000 * CLOCK_NS_PER_S;
	clock_override(NULL, rig_boot_ns);
	assert_int_equal(hash_init(), 0);
	memset(r, 0, sizeof(*r));
	rig_now = r;
	for (size_t i = 0; i < PROGRAM_N; i++)
		r->programs.fd[i] = -1;
	r->programs.fd[PROGRAM_AUTH] = STDIN_FILENO; /* it is installed; nothing is started by it */
	assert_int_equal(loop_new(&r->loop), 0);
}

static void
rig_conf(struct rig *r, struct wiring_conf *conf, void (*setting)(struct settings *s))
{
	struct conf_err err;

	*conf = (struct wiring_conf){
		.loop = r->loop,
		.ops = &fake_ops,
		.programs = &r->programs,
		.settings = malloc(sizeof(*conf->settings)),
		.changed = rig_on_changed,
		.arg = r,
	};
	assert_non_null(conf->settings);
	assert_int_equal(settings_default(conf->settings, "/nowhere/b.yaml"), 0);
	snprintf(conf->settings->policy, sizeof(conf->settings->policy), "/dev/null");
	if (setting != NULL)
		setting(conf->settings);
	assert_int_equal(policy_files_open(conf->settings, NULL, &conf->files, &err), 0);
}

void
rig_open(struct rig *r, void (*setting)(struct settings *s))
{
	struct wiring_conf conf;

	rig_begin(r);
	rig_conf(r, &conf, setting);
	assert_int_equal(wiring_new(&conf, &r->w), 0);
}

int
rig_try_open(struct rig *r)
{
	struct wiring_conf conf;
	int err;

	rig_hold(true);
	rig_begin(r);
	r->tolerant = true;
	rig_conf(r, &conf, NULL);
	rig_hold(false);
	if ((err = wiring_new(&conf, &r->w)) != 0) {
		policy_files_free(conf.files);
		free(conf.settings);
	}
	return err;
}

void
rig_close(struct rig *r)
{
	wiring_free(r->w);
	while (r->fakes != NULL) {
		struct fake *f = r->fakes;

		r->fakes = f->next;
		rig_end(r, f, 0);
		free(f);
	}
	loop_free(r->loop);
	clock_override(NULL, NULL);
	assert_int_equal(rig_open_fds(), rig_fds_before);
}

void
rig_run(struct rig *r)
{
	for (int i = 0; i < 12; i++) {
		rig_clock_ns++; /* what is due at once is due in the next pass */
		assert_int_equal(loop_pass(r->loop, 0), 0);
	}
}

void
rig_pass_time(struct rig *r, uint64_t ns)
{
	/* A recorder that works has answered by now. */
	if (!r->silent)
		heart_beat(r->w);
	rig_clock_ns += ns;
	rig_run(r);
}

struct fake *
rig_fake(struct rig *r, const char *name)
{
	for (struct fake *f = r->fakes; f != NULL; f = f->next)
		if (f->alive >= 0 && strcmp(f->name + strlen("bastiond-"), name) == 0)
			return f;
	return NULL;
}

struct fake *
rig_fake_pid(struct rig *r, pid_t pid)
{
	for (struct fake *f = r->fakes; f != NULL; f = f->next)
		if (f->alive >= 0 && f->pid == pid)
			return f;
	return NULL;
}

size_t
rig_count(struct rig *r, const char *name)
{
	size_t n = 0;

	for (struct fake *f = r->fakes; f != NULL; f = f->next)
		n += f->alive >= 0 && strcmp(f->name + strlen("bastiond-"), name) == 0;
	return n;
}

void
rig_msg_done(struct rig_msg *msg)
{
	for (size_t i = 0; i < msg->n_fds; i++)
		fd_close(&msg->fds[i]);
	msg->n_fds = 0;
}

bool
rig_take(struct rig *r, int fd, struct rig_msg *msg)
{
	static uint8_t space[IPC_HEADER + IPC_MAX];
	struct ipc_msg m;

	int err;

	rig_msg_done(msg);
	rig_run(r);
	rig_hold(true);
	err = ipc_plain_recv(fd, space, &m, 0);
	rig_hold(false);
	if (err != 0)
		return false;
	assert_true(m.len <= sizeof(msg->data));
	msg->id = m.id;
	msg->type = m.type;
	msg->len = m.len;
	memcpy(msg->data, m.data, m.len);
	msg->n_fds = m.n_fds;
	memcpy(msg->fds, m.fds, sizeof(msg->fds));
	return true;
}

void
rig_expect(struct rig *r, int fd, uint16_t type, struct rig_msg *msg)
{
	while (rig_take(r, fd, msg))
		if (msg->type == type)
			return;
	fail_msg("no message of type %u came", type);
}

void
rig_expect_no(struct rig *r, int fd, uint16_t type)
{
	struct rig_msg msg = { .n_fds = 0 };

	while (rig_take(r, fd, &msg))
		assert_int_not_equal(msg.type, type);
}

void
rig_send(struct rig *r, int fd, uint16_t type, uint32_t id, const void *data, size_t len)
{
	int err;

	rig_hold(true);
	err = ipc_plain_send(fd, type, id, data, len, NULL, 0);
	rig_hold(false);
	assert_true(err == 0 || r->tolerant);
	rig_run(r);
}

void
rig_hello(struct rig *r, int fd)
{
	int err;

	rig_hold(true);
	err = ipc_plain_hello(fd);
	rig_hold(false);
	assert_true(err == 0 || r->tolerant);
}

static struct buf *
rig_buf(void)
{
	struct buf *b;
	uint8_t *room;

	rig_hold(true);
	b = buf_new(512);
	assert_non_null(b);
	assert_int_equal(buf_reserve(b, 256, &room), 0);
	buf_reset(b);
	rig_hold(false);
	return b;
}

void
rig_send_text(struct rig *r, int fd, uint16_t type, uint32_t id, const char *text)
{
	struct buf *b = rig_buf();

	rig_hold(true);
	assert_int_equal(buf_put_cstr(b, text), 0);
	rig_hold(false);
	rig_send(r, fd, type, id, buf_ptr(b), buf_len(b));
	buf_free(b);
}

/* What each service says to become ready; its hello first. */
static void
rig_answer(struct rig *r, const char *name)
{
	struct fake *f = rig_fake(r, name);
	struct buf *b;

	assert_non_null(f);
	rig_hello(r, f->fds[0]);
	b = rig_buf();
	rig_hold(true);
	if (strcmp(name, "keys") == 0) {
		assert_int_equal(buf_put_cstr(b, RIG_HOST_KEY), 0);
		assert_int_equal(buf_put_u32(b, 2), 0);
		rig_hold(false);
		rig_send(r, f->fds[0], KEYS_READY, 0, buf_ptr(b), buf_len(b));
	} else if (strcmp(name, "policy") == 0) {
		assert_int_equal(buf_put_u8(b, 1), 0);
		assert_int_equal(buf_put_cstr(b, "1 rule"), 0);
		rig_hold(false);
		rig_send(r, f->fds[0], POL_LOADED, 0, buf_ptr(b), buf_len(b));
	} else {
		rig_hold(false);
		rig_send_text(r, f->fds[0], REC_READY, 0, "");
	}
	buf_free(b);
}

void
rig_start(struct rig *r)
{
	wiring_start(r->w);
	rig_run(r);
	rig_answer(r, "keys");
	rig_answer(r, "policy");
	assert_false(wiring_is_ready(r->w));
	rig_answer(r, "recorder");
	assert_true(wiring_is_ready(r->w));
}

bool
rig_settle(struct rig *r, int rounds)
{
	struct service *const all[] = { &r->w->keys, &r->w->policy, &r->w->recorder };

	for (int i = 0; i < rounds && !wiring_is_ready(r->w); i++) {
		for (size_t k = 0; k < N_OF(all); k++)
			if (all[k]->state == SERVICE_STARTING &&
			    rig_fake(r, all[k]->conf.name) != NULL)
				rig_answer(r, all[k]->conf.name);
		rig_pass_time(r, 100 * CLOCK_NS_PER_MS);
	}
	return wiring_is_ready(r->w);
}

void
rig_restarted(struct rig *r, const char *name)
{
	rig_answer(r, name);
}

int
rig_connect(struct rig *r, const char *source, const char **ret_line, int *ret_client)
{
	struct wiring_peer peer = { .source_port = 1234, .local_port = 2222 };
	const char *name = NULL;
	int ends[2], result;

	assert_int_equal(net_parse(source, &peer.source), 0);
	assert_int_equal(net_parse("192.0.2.200", &peer.local), 0);
	rig_hold(true);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	rig_hold(false);
	*ret_line = NULL;
	result = wiring_accept(r->w, ends[0], &peer, ret_line, &name);
	if (result != 0)
		fd_close(&ends[0]);
	if (ret_client != NULL)
		*ret_client = ends[1];
	else
		fd_close(&ends[1]);
	rig_run(r);
	return result;
}

uint32_t
rig_login(struct rig *r, const char *source)
{
	struct rig_msg msg = { .n_fds = 0 };
	const char *line;
	struct fake *front;
	uint32_t conn;

	assert_int_equal(rig_connect(r, source, &line, NULL), 0);
	front = rig_fake(r, "front");
	assert_non_null(front);
	rig_hello(r, front->fds[0]);
	rig_expect(r, front->fds[0], BRK_FRONT_START, &msg);
	conn = msg.id;
	rig_msg_done(&msg);
	rig_send_text(r, rig_fake(r, "policy")->fds[0], POL_AUTHENTICATED, conn, "alice");
	return conn;
}

void
rig_grant(struct rig *r, uint32_t conn, uint32_t leg)
{
	rig_grant_as(r, conn, leg, POL_BACK_SSH, 0);
}

void
rig_grant_as(struct rig *r, uint32_t conn, uint32_t leg, uint8_t kind, uint32_t via)
{
	struct buf *b = rig_buf();

	rig_hold(true);
	assert_int_equal(buf_put_u32(b, conn), 0);
	assert_int_equal(buf_put_cstr(b, "metadata"), 0);
	assert_int_equal(buf_put_cstr(b, "vault part"), 0);
	assert_int_equal(buf_put_cstr(b, "back part"), 0);
	assert_int_equal(buf_put_u8(b, kind), 0);
	assert_int_equal(buf_put_u32(b, via), 0);
	rig_hold(false);
	rig_send(r, rig_fake(r, "policy")->fds[0], POL_GRANT, leg, buf_ptr(b), buf_len(b));
	buf_free(b);
	if (leg > r->last_leg)
		r->last_leg = leg;
}

void
rig_opened(struct rig *r, uint32_t leg)
{
	uint8_t sid[REC_SID_LEN];

	memset(sid, RIG_SID_OF(leg), sizeof(sid));
	rig_send(r, rig_fake(r, "recorder")->fds[0], REC_OPENED, leg, sid, sizeof(sid));
}

void
rig_jump_ask(struct rig *r, struct fake *front, uint32_t number, const char *host)
{
	struct buf *b = rig_buf();

	rig_hold(true);
	assert_int_equal(buf_put_cstr(b, host), 0);
	assert_int_equal(buf_put_u32(b, 22), 0);
	rig_hold(false);
	rig_send(r, front->fds[0], BRK_FRONT_JUMP, number, buf_ptr(b), buf_len(b));
	buf_free(b);
}

void
rig_jumped(struct rig *r, uint32_t conn, const char *host)
{
	struct buf *b = rig_buf();

	rig_hold(true);
	assert_int_equal(buf_put_u8(b, 1), 0);
	assert_int_equal(buf_put_cstr(b, host), 0);
	assert_int_equal(buf_put_u32(b, 1), 0);
	assert_int_equal(buf_put_cstr(b, host), 0);
	rig_hold(false);
	rig_send(r, rig_fake(r, "policy")->fds[0], POL_JUMPED, conn, buf_ptr(b), buf_len(b));
	buf_free(b);
}

void
rig_front_key(struct rig *r, uint32_t conn, const char *key, const char *cert)
{
	struct buf *b = rig_buf();

	rig_hold(true);
	assert_int_equal(buf_put_cstr(b, key), 0);
	assert_int_equal(buf_put_cstr(b, cert), 0);
	rig_hold(false);
	rig_send(r, rig_fake(r, "keys")->fds[0], KEYS_FRONT_KEY, conn, buf_ptr(b), buf_len(b));
	buf_free(b);
}

uint32_t
rig_jump(struct rig *r, struct fake *front, uint32_t number)
{
	uint32_t conn;

	rig_jump_ask(r, front, number, "web1");
	conn = r->w->last_conn;
	rig_jumped(r, conn, "web1");
	rig_front_key(r, conn, "web1's key", "its certificate");
	assert_ptr_not_equal(rig_fake(r, "front"), front);
	rig_hello(r, rig_fake(r, "front")->fds[0]);
	return conn;
}
