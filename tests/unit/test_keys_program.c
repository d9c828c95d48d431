/*
 * bastiond-keys itself, over its sockets, from outside: first what honest programs do, then every lie that a front or a
 * back that was broken into could tell. A lie costs the edge, gets nothing signed, and reaches policy as an alarm.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "keys/keys_agent.h"
#include "keys/keys_proto.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/proc.h"
#include "lib/sshkey.h"
#include "lib/str.h"
#include "policy/policy_proto.h"
#include "tests/lib/keys_help.h"

#define WAIT_MS 20000 /* for anything that must come; nothing takes this long */

struct vault {
	char dir[PATH_MAX];
	pid_t pid;
	int pidfd, broker, policy;
	uint8_t host[64]; /* host key blob; host_len 0: locked */
	size_t host_len;
};

static uint8_t space[IPC_HEADER + IPC_MAX];

/* The next message on an edge; it must come, and be of this type. */
static struct ipc_msg
expect(int fd, uint16_t type)
{
	struct ipc_msg msg;

	assert_int_equal(ipc_plain_recv(fd, space, &msg, WAIT_MS), 0);
	assert_int_equal(msg.type, type);
	return msg;
}

static void
expect_end(int fd)
{
	struct ipc_msg msg;

	assert_int_equal(ipc_plain_recv(fd, space, &msg, WAIT_MS), ERR_PEER_GONE);
}

/* An edge: ours, and the one to hand over. */
static int
edge(int *ret_theirs)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	assert_int_equal(ipc_plain_hello(fds[0]), 0);
	*ret_theirs = fds[1];
	return fds[0];
}

static void
spawn(struct vault *v, const char *const *extra, int fd)
{
	const char *argv[12] = { "--dir", v->dir };
	struct proc_spec spec = { .name = KEYS_PROGRAM, .argv = argv, .fds = &fd, .n_fds = 1 };
	size_t n = 2;

	while (*extra != NULL)
		argv[n++] = *extra++;
	assert_int_equal(proc_open(getenv("BASTION_BIN"), KEYS_PROGRAM, &spec.exec_fd), 0);
	assert_int_equal(proc_spawn(&spec, &v->pid, &v->pidfd), 0);
	fd_close(&spec.exec_fd);
}

static int
end_status(struct vault *v)
{
	struct pollfd p = { .fd = v->pidfd, .events = POLLIN };
	int status = -1;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(waitpid(v->pid, &status, 0), v->pid);
	fd_close(&v->pidfd);
	v->pid = -1;
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* One administration request; its exit code, and its text in dst (may be NULL). */
static int
ask(int fd, uint16_t type, const char *const *strings, size_t n, int pass_fd, char *dst,
    size_t size)
{
	struct buf *b = buf_new(4096);
	struct ipc_msg msg;
	const uint8_t *text;
	uint8_t code;
	size_t len;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(buf_put_cstr(b, strings[i]), 0);
	assert_int_equal(
	    ipc_plain_send(fd, type, 7, buf_ptr(b), buf_len(b), &pass_fd, pass_fd >= 0 ? 1 : 0), 0);
	buf_free(b);
	msg = expect(fd, KEYS_ADM_REPLY);
	assert_int_equal(msg.id, 7);
	b = buf_view(msg.data, msg.len);
	assert_int_equal(buf_get_u8(b, &code), 0);
	assert_int_equal(buf_get_str(b, &text, &len), 0);
	assert_int_equal(buf_end(b), 0);
	if (dst != NULL) {
		assert_true(len < size);
		memcpy(dst, text, len);
		dst[len] = '\0';
	}
	buf_free(b);
	return code;
}

/* A new vault, made as bastionctl init makes it. passphrase: NULL for a key file. */
static void
vault_make(struct vault *v, const char *passphrase)
{
	const char *extra[] = { "--admin", "--create", "--unlock", "passphrase", NULL },
		   *phrase = passphrase;
	int theirs, admin = edge(&theirs);

	*v = (struct vault){ .pid = -1, .pidfd = -1, .broker = -1, .policy = -1 };
	help_folder(v->dir);
	if (passphrase == NULL) {
		extra[2] = NULL;
		phrase = "";
	}
	spawn(v, extra, theirs);
	fd_close(&theirs);
	assert_int_equal(ask(admin, KEYS_ADM_CREATE, &phrase, 1, -1, NULL, 0), 0);
	fd_close(&admin);
	assert_int_equal(end_status(v), 0);
}

static void
expect_ready(struct vault *v)
{
	struct ipc_msg msg = expect(v->broker, KEYS_READY);
	struct buf *b = buf_view(msg.data, msg.len);
	const uint8_t *blob;
	uint32_t n;

	assert_int_equal(buf_get_str(b, &blob, &v->host_len), 0);
	assert_true(v->host_len <= sizeof(v->host));
	memcpy(v->host, blob, v->host_len);
	assert_int_equal(buf_get_u32(b, &n), 0);
	assert_true((n == 0) == (v->host_len == 0));
	buf_free(b);
}

static void
vault_start(struct vault *v)
{
	static const char *const none[] = { NULL };
	int theirs;

	v->broker = edge(&theirs);
	spawn(v, none, theirs);
	fd_close(&theirs);
	expect_ready(v);
}

static void
give(struct vault *v, uint16_t type, uint32_t id, const void *data, size_t len, int fd)
{
	assert_int_equal(ipc_plain_send(v->broker, type, id, data, len, &fd, 1), 0);
	fd_close(&fd);
}

static void
connect_policy(struct vault *v)
{
	int theirs;

	v->policy = edge(&theirs);
	give(v, KEYS_POLICY_EDGE, 0, NULL, 0, theirs);
}

static int
front(struct vault *v, uint32_t conn, uint8_t known)
{
	const uint8_t ask[9] = { known };
	int theirs, fd = edge(&theirs);

	give(v, KEYS_FRONT, conn, ask, sizeof(ask), theirs);
	return fd;
}

static int
admin(struct vault *v)
{
	static const uint8_t who[] = "\0\0\0\5uid 0";
	int theirs, fd = edge(&theirs);

	give(v, KEYS_ADMIN, 0, who, sizeof(who) - 1, theirs);
	return fd;
}

static void
vault_stop(struct vault *v)
{
	fd_close(&v->broker);
	fd_close(&v->policy);
	assert_int_equal(end_status(v), 0);
	help_remove(v->dir);
}

/* That the vault still serves: it answers the broker. */
static void
assert_alive(struct vault *v)
{
	struct ipc_msg msg;

	assert_int_equal(ipc_plain_send(v->broker, KEYS_STATUS, 99, NULL, 0, NULL, 0), 0);
	msg = expect(v->broker, KEYS_STATUS_REPLY);
	assert_int_equal(msg.id, 99);
	assert_int_equal(msg.data[0], '{');
}

static void
expect_alarm(struct vault *v, uint8_t from_front, uint32_t id, const char *part)
{
	struct ipc_msg msg = expect(v->policy, POL_KEYS_ALARM);
	struct buf *b = buf_view(msg.data, msg.len);
	char what[1024];
	uint8_t who;

	assert_int_equal(msg.id, id);
	assert_int_equal(buf_get_u8(b, &who), 0);
	assert_int_equal(who, from_front);
	assert_int_equal(buf_get_cstr(b, what, sizeof(what)), 0);
	assert_int_equal(buf_end(b), 0);
	if (strstr(what, part) == NULL)
		fail_msg("the alarm says \"%s\", not \"%s\"", what, part);
	buf_free(b);
}

/* One vault with a policy serves most tests; ids and session ids are never used twice. */
static struct vault shared;
static uint32_t next_id = 1;

static void
fresh_sid(uint8_t sid[32])
{
	randombytes_buf(sid, 32);
}

/* ---- fronts */

static void
test_a_front_gets_its_signature_after_policy_heard(void **state)
{
	uint32_t conn = next_id++;
	int fd = front(&shared, conn, 0);
	struct ipc_msg msg;
	uint8_t sid[32];

	(void)state;
	fresh_sid(sid);
	assert_int_equal(ipc_plain_send(fd, KEYS_SIGN, 5, sid, 32, NULL, 0), 0);
	msg = expect(fd, KEYS_SIGNED);
	assert_int_equal(msg.id, 5);
	assert_int_equal(msg.len, 64);
	assert_int_equal(crypto_sign_verify_detached(msg.data, sid, 32, shared.host + 19), 0);
	/* It lies in the socket already: no waiting. */
	assert_int_equal(ipc_plain_recv(shared.policy, space, &msg, 0), 0);
	assert_int_equal(msg.type, POL_SESSION_ID);
	assert_int_equal(msg.id, conn);
	assert_int_equal(msg.len, 32);
	assert_memory_equal(msg.data, sid, 32);
	fd_close(&fd);
}

/* string key, string certificate of KEYS_FRONT_KEY; the key's 51 bytes. */
static void
expect_front_key(uint32_t conn, uint8_t blob[51], bool with_cert)
{
	const uint8_t *p;
	struct ipc_msg msg;
	struct buf *b;
	size_t len;

	msg = expect(shared.broker, KEYS_FRONT_KEY);
	assert_int_equal(msg.id, conn);
	assert_non_null(b = buf_view(msg.data, msg.len));
	assert_int_equal(buf_get_str(b, &p, &len), 0);
	assert_int_equal(len, 51);
	memcpy(blob, p, len);
	assert_int_equal(buf_get_str(b, &p, &len), 0);
	assert_int_equal(len > 0, with_cert);
	assert_int_equal(buf_end(b), 0);
	buf_free(b);
}

static int
target_front(uint32_t conn, uint8_t known, const char *target, const char *name)
{
	struct buf *b = buf_new(1024);
	int theirs, fd = edge(&theirs);

	assert_int_equal(buf_put_u8(b, known), 0);
	assert_int_equal(buf_put_cstr(b, target), 0);
	assert_int_equal(buf_put_u32(b, name != NULL), 0);
	if (name != NULL)
		assert_int_equal(buf_put_cstr(b, name), 0);
	give(&shared, KEYS_FRONT, conn, buf_ptr(b), buf_len(b), theirs);
	buf_free(b);
	return fd;
}

/* A front behind ssh -J signs with its target's key, in later key exchanges with a restarted vault too. */
static void
test_a_front_of_a_target_has_its_own_key(void **state)
{
	uint8_t blob[51], again[51], sid[32];
	uint32_t conn = next_id++;
	struct ipc_msg msg;
	int fd;

	(void)state;
	fd = target_front(conn, 0, "web1", NULL);
	expect_front_key(conn, blob, false);
	fd_close(&fd);
	conn = next_id++;
	fd = target_front(conn, 0, "web1", "web1");
	expect_front_key(conn, again, true);
	assert_memory_equal(again, blob, 51);
	assert_memory_not_equal(blob, shared.host, 51);
	for (int rekey = 0; rekey < 2; rekey++) {
		randombytes_buf(sid, sizeof(sid));
		assert_int_equal(ipc_plain_send(fd, KEYS_SIGN, 0, sid, 32, NULL, 0), 0);
		msg = expect(fd, KEYS_SIGNED);
		assert_int_equal(crypto_sign_verify_detached(msg.data, sid, 32, blob + 19), 0);
		assert_int_equal(
		    ipc_plain_send(shared.broker, KEYS_FRONT_IN, conn, NULL, 0, NULL, 0), 0);
	}
	msg = expect(shared.policy, POL_SESSION_ID);
	assert_int_equal(msg.id, conn);
	fd_close(&fd);
	conn = next_id++;
	fd = target_front(conn, 1, "web1", "web1");
	randombytes_buf(sid, sizeof(sid));
	assert_int_equal(ipc_plain_send(fd, KEYS_SIGN, 0, sid, 32, NULL, 0), 0);
	msg = expect(fd, KEYS_SIGNED);
	assert_int_equal(crypto_sign_verify_detached(msg.data, sid, 32, blob + 19), 0);
	fd_close(&fd);
}

/* What cannot be a target is answered with nothing, and its front gets no signature. */
static void
test_a_target_without_a_key(void **state)
{
	static const char *const cases[][2] = { { "a b", NULL }, { "*", NULL }, { "web1", "*" } };
	struct ipc_msg msg;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t conn = next_id++;
		int fd = target_front(conn, 0, cases[i][0], cases[i][1]);

		msg = expect(shared.broker, KEYS_FRONT_KEY);
		assert_int_equal(msg.id, conn);
		assert_int_equal(msg.len, 8);
		expect_end(fd);
		fd_close(&fd);
	}
	assert_alive(&shared);
}

static void
test_a_front_signs_hashes_only(void **state)
{
	static const size_t lens[] = { 33, 47, 49, 63 };
	uint8_t bytes[64];

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		uint32_t conn = next_id++;
		int fd = front(&shared, conn, 0);

		randombytes_buf(bytes, sizeof(bytes));
		assert_int_equal(ipc_plain_send(fd, KEYS_SIGN, 0, bytes, lens[i], NULL, 0), 0);
		expect_end(fd);
		expect_alarm(&shared, 1, conn, "not an exchange hash");
		fd_close(&fd);
	}
}

static void
test_a_front_that_sends_anything_else_is_cut(void **state)
{
	static const struct {
		uint16_t type;
		size_t len;
	} lies[] = { { KEYS_SIGN, 0 }, { KEYS_SIGN, 31 }, { KEYS_SIGN, 65 }, { KEYS_SIGN, 60000 },
		{ KEYS_SIGNED, 64 }, { KEYS_FRONT, 1 }, { KEYS_ADM_LIST, 0 },
		{ KEYS_ADM_PUBLIC, 9 }, { 9999, 0 } };
	static uint8_t bytes[60000];

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		uint32_t conn = next_id++;
		int fd = front(&shared, conn, 0);

		assert_int_equal(
		    ipc_plain_send(fd, lies[i].type, 0, bytes, lies[i].len, NULL, 0), 0);
		expect_end(fd);
		expect_alarm(&shared, 1, conn, "no request for a signature");
		fd_close(&fd);
	}
	assert_alive(&shared);
}

static void
test_no_two_connections_have_one_session_id(void **state)
{
	uint32_t a = next_id++, b = next_id++, c = next_id++;
	int first = front(&shared, a, 0), second = front(&shared, b, 0),
	    third = front(&shared, c, 1);
	uint8_t sid[32];

	(void)state;
	fresh_sid(sid);
	assert_int_equal(ipc_plain_send(first, KEYS_SIGN, 0, sid, 32, NULL, 0), 0);
	(void)expect(first, KEYS_SIGNED);
	(void)expect(shared.policy, POL_SESSION_ID);
	assert_int_equal(ipc_plain_send(second, KEYS_SIGN, 0, sid, 32, NULL, 0), 0);
	expect_end(second);
	expect_alarm(&shared, 1, b, "used before");
	/* Nor as the hash of a later key exchange. */
	assert_int_equal(ipc_plain_send(third, KEYS_SIGN, 0, sid, 32, NULL, 0), 0);
	expect_end(third);
	expect_alarm(&shared, 1, c, "used before");
	fd_close(&first);
	fd_close(&second);
	fd_close(&third);
}

static void
test_a_flood_of_key_exchanges_is_cut(void **state)
{
	uint32_t conn = next_id++;
	int fd = front(&shared, conn, 1);
	uint8_t hash[64];
	unsigned n = 0;
	struct ipc_msg msg;

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		randombytes_buf(hash, sizeof(hash));
		if (ipc_plain_send(fd, KEYS_SIGN, i, hash, sizeof(hash), NULL, 0) != 0)
			break;
	}
	while (ipc_plain_recv(fd, space, &msg, WAIT_MS) == 0)
		n += msg.type == KEYS_SIGNED;
	assert_true(n >= 1 && n <= 8);
	expect_alarm(&shared, 1, conn, "while another one was due");
	fd_close(&fd);
}

/* ---- backs */

struct leg {
	uint32_t id;
	int fd;
	struct help_host host;
	uint8_t sid[32], sig[HELP_HOST_SIG], key[64];
	struct help_login login;
};

static void
put_grant(struct buf *b, const char *login, const char *key, const struct help_host *host,
    const void *ca, size_t ca_len)
{
	assert_int_equal(buf_put_cstr(b, login), 0);
	assert_int_equal(buf_put_cstr(b, key), 0);
	assert_int_equal(buf_put_cstr(b, "web1"), 0);
	assert_int_equal(buf_put_u32(b, 22), 0);
	assert_int_equal(buf_put_u32(b, host == NULL ? 0 : 2), 0);
	if (host != NULL) {
		assert_int_equal(buf_put_cstr(b, "some other pinned key"), 0);
		assert_int_equal(buf_put_str(b, host->blob, sizeof(host->blob)), 0);
	}
	assert_int_equal(buf_put_u32(b, ca_len > 0 ? 1 : 0), 0);
	if (ca_len > 0)
		assert_int_equal(buf_put_str(b, ca, ca_len), 0);
}

static void
leg_open_with(struct vault *v, struct leg *l, const char *key, const void *ca, size_t ca_len)
{
	struct timeval limit = { .tv_sec = WAIT_MS / 1000 };
	struct buf *b = buf_new(8192);
	int fds[2];

	l->id = next_id++;
	help_host_new(&l->host);
	fresh_sid(l->sid);
	help_host_sign(&l->host, l->sid, sizeof(l->sid), l->sig);
	put_grant(b, "root", key, ca_len > 0 ? NULL : &l->host, ca, ca_len);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), 0);
	l->fd = fds[0];
	give(v, KEYS_BACK, l->id, buf_ptr(b), buf_len(b), fds[1]);
	buf_free(b);
}

static void
leg_send_raw(struct leg *l, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len > 0) {
		ssize_t n = send(l->fd, p, len, MSG_NOSIGNAL);

		if (n <= 0)
			return; /* cut already; what came back tells */
		p += n;
		len -= (size_t)n;
	}
}

static void
leg_send(struct leg *l, const struct buf *b)
{
	struct buf *framed = buf_new(buf_len(b) + 4);

	assert_int_equal(buf_put_str(framed, buf_ptr(b), buf_len(b)), 0);
	leg_send_raw(l, buf_ptr(framed), buf_len(framed));
	buf_free(framed);
}

/* One answer: its type, and what follows in dst; 0: the edge is closed. */
static uint8_t
leg_recv(struct leg *l, uint8_t *dst, size_t size, size_t *ret_len)
{
	uint8_t head[5];
	size_t len;

	if (recv(l->fd, head, sizeof(head), MSG_WAITALL) != (ssize_t)sizeof(head))
		return 0;
	len = (size_t)head[2] << 8 | head[3];
	assert_true(head[0] == 0 && head[1] == 0 && len >= 1 && len - 1 <= size);
	if (len > 1)
		assert_int_equal(recv(l->fd, dst, len - 1, MSG_WAITALL), len - 1);
	*ret_len = len - 1;
	return head[4];
}

static uint8_t
leg_answer(struct leg *l)
{
	uint8_t bytes[8192];
	size_t len;

	return leg_recv(l, bytes, sizeof(bytes), &len);
}

/* Ask who can sign: exactly one key. It becomes the key of l->login. */
static void
leg_identities(struct leg *l)
{
	static const uint8_t ask_them[] = { 0, 0, 0, 1, 11 };
	uint8_t bytes[1024];
	const uint8_t *key;
	size_t len, key_len;
	struct buf *b;
	char name[65];
	uint32_t n;

	leg_send_raw(l, ask_them, sizeof(ask_them));
	assert_int_equal(leg_recv(l, bytes, sizeof(bytes), &len), 12);
	b = buf_view(bytes, len);
	assert_int_equal(buf_get_u32(b, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(buf_get_str(b, &key, &key_len), 0);
	assert_int_equal(buf_get_cstr(b, name, sizeof(name)), 0);
	assert_int_equal(buf_end(b), 0);
	assert_string_equal(name, "fleet");
	assert_int_equal(key_len, 51);
	memcpy(l->key, key, key_len);
	buf_free(b);
	l->login = (struct help_login){ .user = "root",
		.alg = "ssh-ed25519",
		.sid = l->sid,
		.sid_len = 32,
		.key = l->key,
		.key_len = 51 };
}

static void
leg_open(struct leg *l)
{
	leg_open_with(&shared, l, "fleet", NULL, 0);
	leg_identities(l);
}

static void
leg_send_bind(struct leg *l)
{
	struct buf *b = buf_new(8192);

	help_put_bind(
	    b, l->host.blob, sizeof(l->host.blob), l->sid, sizeof(l->sid), l->sig, sizeof(l->sig));
	leg_send(l, b);
	buf_free(b);
}

static void
leg_send_sign(struct leg *l)
{
	struct buf *b = buf_new(8192);

	help_put_sign(b, &l->login);
	leg_send(l, b);
	buf_free(b);
}

static void
leg_bind(struct leg *l)
{
	leg_send_bind(l);
	assert_int_equal(leg_answer(l), 6);
}

/* A lie was told: a failure comes back, the edge closes, and policy hears of it. */
static void
leg_expect_cut(struct leg *l, const char *part)
{
	assert_int_equal(leg_answer(l), 5);
	assert_int_equal(leg_answer(l), 0);
	expect_alarm(&shared, 0, l->id, part);
	fd_close(&l->fd);
}

static void
test_a_back_logs_in_once(void **state)
{
	struct buf *data = buf_new(4096), *b;
	struct sshkey *key = NULL;
	uint8_t bytes[1024];
	const uint8_t *sig;
	struct ipc_msg msg;
	size_t len, sig_len;
	struct leg l;

	(void)state;
	leg_open(&l);
	leg_bind(&l);
	leg_send_sign(&l);
	assert_int_equal(leg_recv(&l, bytes, sizeof(bytes), &len), 14);
	/* Policy was told before the back got it. */
	assert_int_equal(ipc_plain_recv(shared.policy, space, &msg, 0), 0);
	assert_int_equal(msg.type, POL_KEYS_SIGNED);
	assert_int_equal(msg.id, l.id);
	b = buf_view(bytes, len);
	assert_int_equal(buf_get_str(b, &sig, &sig_len), 0);
	assert_int_equal(buf_end(b), 0);
	help_put_userauth(data, &l.login);
	assert_int_equal(sshkey_parse(l.key, 51, &key), 0);
	assert_int_equal(
	    sshkey_verify(key, NULL, 0, sig, sig_len, buf_ptr(data), buf_len(data), NULL), 0);
	sshkey_free(key);
	buf_free(b);
	buf_free(data);
	leg_send_sign(&l);
	leg_expect_cut(&l, "a second signature");
}

static void
test_nothing_is_signed_before_the_proof(void **state)
{
	struct leg l;

	(void)state;
	leg_open(&l);
	leg_send_sign(&l);
	leg_expect_cut(&l, "before the host's proof");
}

/* How a login differs from the granted one. */
static void
lie_user(struct leg *l)
{
	l->login.user = "admin";
}

static void
lie_sid(struct leg *l)
{
	static uint8_t other[32];

	fresh_sid(other);
	l->login.sid = other;
}

static void
lie_key(struct leg *l)
{
	l->login.key = shared.host;
}

static void
lie_flags(struct leg *l)
{
	l->login.flags = 4;
}

static void
lie_alg(struct leg *l)
{
	l->login.alg = "ssh-ed25519-cert-v01@openssh.com";
}

static void
lie_sid_len(struct leg *l)
{
	l->login.sid_len = 31;
}

static void
test_another_login_than_the_granted_one_is_refused(void **state)
{
	static const struct {
		void (*change)(struct leg *l);
		const char *part;
	} lies[] = { { lie_user, "another user" }, { lie_sid, "another session id" },
		{ lie_key, "another key" }, { lie_flags, "flags" },
		{ lie_alg, "another algorithm" }, { lie_sid_len, "another session id" } };

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct leg l;

		leg_open(&l);
		leg_bind(&l);
		lies[i].change(&l);
		leg_send_sign(&l);
		leg_expect_cut(&l, lies[i].part);
	}
}

/* Other things that people sign with SSH keys: files and commits (sshsig), hashes, host key exchanges. */
static void
test_what_is_no_login_is_not_signed(void **state)
{
	static const char *const others[] = { "", "SSHSIG\0\0\0\4file",
		"0123456789abcdef0123456789abcdef", "tree 4b825dc" };

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct buf *b = buf_new(4096);
		struct leg l;

		leg_open(&l);
		leg_bind(&l);
		assert_int_equal(buf_put_u8(b, 13), 0);
		assert_int_equal(buf_put_str(b, l.key, 51), 0);
		assert_int_equal(buf_put_cstr(b, others[i]), 0);
		assert_int_equal(buf_put_u32(b, 0), 0);
		leg_send(&l, b);
		leg_expect_cut(&l, "not a userauth request");
		buf_free(b);
	}
}

static void
bind_unpinned(struct leg *l)
{
	help_host_new(&l->host);
	help_host_sign(&l->host, l->sid, sizeof(l->sid), l->sig);
}

static void
bind_bad_signature(struct leg *l)
{
	l->sig[40] ^= 1;
}

static void
bind_signature_of_another_session(struct leg *l)
{
	fresh_sid(l->sid);
}

static void
bind_with_our_own_key(struct leg *l)
{
	memcpy(l->host.blob, shared.host, sizeof(l->host.blob));
}

static void
bind_truncated_key(struct leg *l)
{
	l->host.blob[50] ^= 0x80;
}

static void
test_a_false_proof_is_refused(void **state)
{
	static const struct {
		void (*change)(struct leg *l);
		const char *part;
	} lies[] = { { bind_unpinned, "not pinned" }, { bind_bad_signature, "does not verify" },
		{ bind_signature_of_another_session, "does not verify" },
		{ bind_with_our_own_key, "not pinned" }, { bind_truncated_key, "not pinned" } };

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct leg l;

		leg_open(&l);
		lies[i].change(&l);
		leg_send_bind(&l);
		leg_expect_cut(&l, lies[i].part);
	}
}

static void
test_a_proof_is_shown_once(void **state)
{
	struct leg l, other;

	(void)state;
	leg_open(&l);
	leg_bind(&l);
	/* The same proof on another leg to the same host: a replay. */
	leg_open(&other);
	memcpy(other.sid, l.sid, sizeof(l.sid));
	memcpy(other.sig, l.sig, sizeof(l.sig));
	leg_send_bind(&other);
	leg_expect_cut(&other, "used before");
	/* And a second one on the same leg. */
	fresh_sid(l.sid);
	help_host_sign(&l.host, l.sid, sizeof(l.sid), l.sig);
	leg_send_bind(&l);
	leg_expect_cut(&l, "a second binding");
}

static void
test_a_session_id_of_a_front_binds_no_back(void **state)
{
	int fd = front(&shared, next_id++, 0);
	struct leg l;

	(void)state;
	leg_open(&l);
	assert_int_equal(ipc_plain_send(fd, KEYS_SIGN, 0, l.sid, 32, NULL, 0), 0);
	(void)expect(fd, KEYS_SIGNED);
	(void)expect(shared.policy, POL_SESSION_ID);
	leg_send_bind(&l);
	leg_expect_cut(&l, "used before");
	fd_close(&fd);
}

/* Every other message of the agent protocol, with and without a body. */
static void
test_no_other_agent_message_is_taken(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		uint8_t msg[4 + 1 + 64] = { 0 };
		struct leg l;

		if (type == 11 || type == 13 || type == 27)
			continue;
		leg_open(&l);
		msg[3] = type % 2 == 0 ? 1 : 65;
		msg[4] = (uint8_t)type;
		leg_send_raw(&l, msg, 4u + msg[3]);
		leg_expect_cut(&l, "does not have");
	}
}

static void
test_no_other_extension_is_taken(void **state)
{
	static const char *const names[] = { "", "query", "session-bind@openssh.co",
		"session-bind@openssh.com2", "restrict-destination-v00@openssh.com" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct buf *b = buf_new(256);
		struct leg l;

		leg_open(&l);
		assert_int_equal(buf_put_u8(b, 27), 0);
		assert_int_equal(buf_put_cstr(b, names[i]), 0);
		leg_send(&l, b);
		leg_expect_cut(&l, "another extension");
		buf_free(b);
	}
}

static void
test_lengths_are_bounded(void **state)
{
	static const uint8_t lens[][4] = { { 0, 0, 0, 0 }, { 0, 0, 0x40, 1 }, { 0, 1, 0, 0 },
		{ 0xff, 0xff, 0xff, 0xff } };

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct leg l;

		leg_open(&l);
		leg_send_raw(&l, lens[i], 4);
		leg_expect_cut(&l, "impossible length");
	}
}

static void
test_a_flood_of_requests_is_cut(void **state)
{
	static uint8_t flood[5 * 4096];
	unsigned answers = 0;
	struct leg l;
	uint8_t type;

	(void)state;
	for (size_t i = 0; i < sizeof(flood); i += 5)
		memcpy(flood + i, "\0\0\0\1\13", 5);
	leg_open(&l);
	leg_send_raw(&l, flood, sizeof(flood));
	while ((type = leg_answer(&l)) == 12)
		answers++;
	assert_int_equal(type, 5);
	assert_int_equal(
	    answers, KEYS_AGENT_REQUESTS_MAX - 1); /* the first one was asked by leg_open() */
	expect_alarm(&shared, 0, l.id, "more requests");
	fd_close(&l.fd);
}

static void
test_arbitrary_bytes_are_cut(void **state)
{
	uint8_t bytes[512];

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		struct leg l;

		leg_open(&l);
		randombytes_buf(bytes, sizeof(bytes));
		bytes[0] |= 1; /* a length that nobody has */
		leg_send_raw(&l, bytes, sizeof(bytes));
		leg_expect_cut(&l, "impossible length");
	}
	assert_alive(&shared);
}

/* A message that comes a byte at a time is a message like others. */
static void
test_bytes_may_trickle(void **state)
{
	struct buf *b = buf_new(8192), *framed = buf_new(8192);
	struct leg l;

	(void)state;
	leg_open(&l);
	help_put_bind(
	    b, l.host.blob, sizeof(l.host.blob), l.sid, sizeof(l.sid), l.sig, sizeof(l.sig));
	assert_int_equal(buf_put_str(framed, buf_ptr(b), buf_len(b)), 0);
	for (size_t i = 0; i < buf_len(framed); i++)
		leg_send_raw(&l, buf_ptr(framed) + i, 1);
	assert_int_equal(leg_answer(&l), 6);
	fd_close(&l.fd);
	buf_free(b);
	buf_free(framed);
}

static void
test_a_leg_that_is_over_signs_nothing(void **state)
{
	struct leg l;

	(void)state;
	leg_open(&l);
	leg_bind(&l);
	assert_int_equal(ipc_plain_send(shared.broker, KEYS_BACK_GONE, l.id, NULL, 0, NULL, 0), 0);
	assert_alive(&shared);
	leg_send_sign(&l);
	assert_int_equal(leg_answer(&l), 0);
	fd_close(&l.fd);
}

static void
test_a_key_that_is_not_there_is_no_alarm(void **state)
{
	static const uint8_t ask_them[] = { 0, 0, 0, 1, 11 };
	uint8_t bytes[64];
	struct leg l;
	size_t len;

	(void)state;
	leg_open_with(&shared, &l, "nobody", NULL, 0);
	leg_send_raw(&l, ask_them, sizeof(ask_them));
	assert_int_equal(leg_recv(&l, bytes, sizeof(bytes), &len), 12);
	assert_int_equal(len, 4);
	assert_memory_equal(bytes, "\0\0\0\0", 4);
	fd_close(&l.fd);
	assert_alive(&shared);
}

static void
test_a_damaged_grant_closes_the_leg(void **state)
{
	struct buf *b = buf_new(8192);
	struct help_host host;
	uint8_t c;

	(void)state;
	help_host_new(&host);
	put_grant(b, "root", "fleet", &host, NULL, 0);
	for (size_t len = 24; len < buf_len(b); len += 7) {
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		give(&shared, KEYS_BACK, next_id++, buf_ptr(b), len, fds[1]);
		assert_int_equal(recv(fds[0], &c, 1, 0), 0);
		fd_close(&fds[0]);
	}
	buf_free(b);
	assert_alive(&shared);
}

/* ---- host certificates: policy's word */

static void
open_certified(struct leg *l)
{
	leg_open_with(&shared, l, "fleet", "some host CA", 12);
	leg_identities(l);
}

static void
send_certificate(struct leg *l, const char *type)
{
	struct buf *cert = buf_new(512), *b = buf_new(8192);

	assert_int_equal(buf_put_cstr(cert, type), 0);
	assert_int_equal(buf_put_cstr(cert, "what only policy reads"), 0);
	help_put_bind(
	    b, buf_ptr(cert), buf_len(cert), l->sid, sizeof(l->sid), l->sig, sizeof(l->sig));
	leg_send(l, b);
	buf_free(cert);
	buf_free(b);
}

static void
say(struct leg *l, uint8_t ok, const void *data, size_t len)
{
	struct buf *b = buf_new(512);

	assert_int_equal(buf_put_u8(b, ok), 0);
	assert_int_equal(buf_put_str(b, data, len), 0);
	assert_int_equal(ipc_plain_send(shared.policy, POL_KEYS_HOST_CERT_REPLY, l->id, buf_ptr(b),
			     buf_len(b), NULL, 0),
	    0);
	buf_free(b);
}

#define CERT_TYPE "ssh-ed25519-cert-v01@openssh.com"

static void
test_a_host_certificate_is_policys_to_judge(void **state)
{
	struct ipc_msg msg;
	struct leg l;

	(void)state;
	open_certified(&l);
	send_certificate(&l, CERT_TYPE);
	leg_send_sign(&l); /* already under way; it has to wait for the verdict */
	msg = expect(shared.policy, POL_KEYS_HOST_CERT);
	assert_int_equal(msg.id, l.id);
	assert_non_null(memmem(msg.data, msg.len, "what only policy reads", 22));
	say(&l, 1, l.host.blob, sizeof(l.host.blob));
	assert_int_equal(leg_answer(&l), 6);
	assert_int_equal(leg_answer(&l), 14);
	(void)expect(shared.policy, POL_KEYS_SIGNED);
	fd_close(&l.fd);
}

static void
test_a_host_certificate_that_policy_refuses_is_an_alarm(void **state)
{
	struct help_host other;
	struct leg l;

	(void)state;
	open_certified(&l);
	send_certificate(&l, CERT_TYPE);
	(void)expect(shared.policy, POL_KEYS_HOST_CERT);
	say(&l, 0, "expired", 7);
	leg_expect_cut(&l, "expired");
	/* Valid, but the key in it did not make the signature. */
	open_certified(&l);
	send_certificate(&l, CERT_TYPE);
	(void)expect(shared.policy, POL_KEYS_HOST_CERT);
	help_host_new(&other);
	say(&l, 1, other.blob, sizeof(other.blob));
	leg_expect_cut(&l, "does not verify");
	/* Valid, but not a key. */
	open_certified(&l);
	send_certificate(&l, CERT_TYPE);
	(void)expect(shared.policy, POL_KEYS_HOST_CERT);
	say(&l, 1, "no key", 6);
	leg_expect_cut(&l, "does not parse");
}

static void
test_policy_is_asked_for_certificates_and_host_cas_only(void **state)
{
	struct leg l;

	(void)state;
	open_certified(&l);
	send_certificate(&l, "ssh-ed25519");
	leg_expect_cut(&l, "not pinned");
	leg_open(&l);
	send_certificate(&l, CERT_TYPE);
	leg_expect_cut(&l, "not pinned");
	/* A verdict that nobody asked for changes nothing. */
	leg_open(&l);
	say(&l, 1, l.host.blob, sizeof(l.host.blob));
	leg_send_sign(&l);
	leg_expect_cut(&l, "before the host's proof");
}

/* ---- stock agents' clients */

static pid_t
start_client(const char *const *argv)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int r = help_run(argv);

		_exit(r < 0 ? 99 : r);
	}
	return pid;
}

static int
client_status(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Run ssh-add with this option against a new leg of the vault. Its exit status; 99: not installed. */
static int
ssh_add(const char *option, uint32_t *ret_leg)
{
	const char *argv[] = { "ssh-add", option, NULL };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	struct pollfd p = { .fd = listener, .events = POLLIN };
	struct buf *b = buf_new(1024);
	struct help_host host;
	pid_t pid;

	assert_int_equal(
	    str_format(addr.sun_path, sizeof(addr.sun_path), "%s/agent", shared.dir), 0);
	(void)unlink(addr.sun_path);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(setenv("SSH_AUTH_SOCK", addr.sun_path, 1), 0);
	pid = start_client(argv);
	if (poll(&p, 1, 5000) == 1) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		help_host_new(&host);
		put_grant(b, "root", "fleet", &host, NULL, 0);
		*ret_leg = next_id++;
		give(&shared, KEYS_BACK, *ret_leg, buf_ptr(b), buf_len(b), fd);
	}
	fd_close(&listener);
	buf_free(b);
	return client_status(pid);
}

static void
test_ssh_add_sees_the_key_and_can_do_nothing_else(void **state)
{
	uint32_t leg = 0;
	int r = ssh_add("-l", &leg);

	(void)state;
	if (r == 99) {
		print_message("ssh-add is not installed\n");
		return;
	}
	assert_int_equal(r, 0);
	assert_int_equal(ssh_add("-L", &leg), 0);
	assert_int_not_equal(ssh_add("-D", &leg), 0);
	expect_alarm(&shared, 0, leg, "does not have");
}

/* ---- administration */

static void
test_administration_is_recorded(void **state)
{
	const char *args[] = { "extra", "ecdsa-256" };
	char text[4096], what[512], who[64];
	int fd = admin(&shared);
	struct ipc_msg msg;
	struct buf *b;

	(void)state;
	assert_int_equal(ask(fd, KEYS_ADM_GENERATE, args, 2, -1, text, sizeof(text)), 0);
	assert_memory_equal(text, "ecdsa-sha2-nistp256 ", 20);
	msg = expect(shared.policy, POL_KEYS_CHANGED);
	b = buf_view(msg.data, msg.len);
	assert_int_equal(buf_get_cstr(b, who, sizeof(who)), 0);
	assert_int_equal(buf_get_cstr(b, what, sizeof(what)), 0);
	buf_free(b);
	assert_string_equal(who, "uid 0");
	assert_non_null(strstr(what, "generated extra ecdsa-256 SHA256:"));
	assert_int_equal(ask(fd, KEYS_ADM_LIST, NULL, 0, -1, text, sizeof(text)), 0);
	assert_non_null(strstr(text, "\"name\":\"extra\""));
	assert_int_equal(ask(fd, KEYS_ADM_REMOVE, args, 1, -1, text, sizeof(text)), 0);
	(void)expect(shared.policy, POL_KEYS_CHANGED);
	assert_int_equal(ask(fd, KEYS_ADM_PUBLIC, args, 1, -1, text, sizeof(text)), 1);
	fd_close(&fd);
}

static void
test_administration_says_no_in_words(void **state)
{
	static const struct {
		uint16_t type;
		const char *args[2];
		size_t n;
		int code;
	} cases[] = {
		{ KEYS_ADM_GENERATE, { "../x", "ed25519" }, 2, 2 },
		{ KEYS_ADM_GENERATE, { "x", "dsa" }, 2, 2 },
		{ KEYS_ADM_GENERATE, { "fleet", "ed25519" }, 2, 1 },
		{ KEYS_ADM_REMOVE, { "host", NULL }, 1, 1 },
		{ KEYS_ADM_REMOVE, { "nobody", NULL }, 1, 1 },
		{ KEYS_ADM_ROTATE, { "nobody", NULL }, 1, 1 },
		{ KEYS_ADM_PUBLIC, { "", NULL }, 1, 1 },
		{ KEYS_ADM_UNLOCK, { "a passphrase", NULL }, 1, 0 }, /* it is open */
		{ KEYS_ADM_CREATE, { "", NULL }, 1, 1 },
	};
	int fd = admin(&shared);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[4096];

		assert_int_equal(
		    ask(fd, cases[i].type, cases[i].args, cases[i].n, -1, text, sizeof(text)),
		    cases[i].code);
		assert_true(strlen(text) > 5 && strchr(text, '\n') == NULL);
	}
	fd_close(&fd);
}

static void
test_a_malformed_administration_request_ends_its_edge_only(void **state)
{
	static const struct {
		uint16_t type;
		const char *data;
		size_t len;
	} lies[] = {
		{ KEYS_ADM_PUBLIC, "\0\0\0\1", 4 },
		{ KEYS_ADM_PUBLIC, "\0\0\0\1ab", 6 },
		{ KEYS_ADM_PUBLIC, "\0\0\0\2a\0", 6 },
		{ KEYS_ADM_PUBLIC, "\xff\xff\xff\xff", 4 },
		{ KEYS_ADM_LIST, "x", 1 },
		{ KEYS_ADM_IMPORT, "\0\0\0\1a\0\0\0\0", 9 }, /* no descriptor */
		{ KEYS_ADM_REPLY, "\0\0\0\0\0", 5 },
		{ KEYS_SIGN, "0123456789abcdef0123456789abcdef", 32 },
		{ 60000, "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		int fd = admin(&shared);

		assert_int_equal(
		    ipc_plain_send(fd, lies[i].type, 0, lies[i].data, lies[i].len, NULL, 0), 0);
		expect_end(fd);
		fd_close(&fd);
	}
	assert_alive(&shared);
}

/* No line of a private key file, which is its private section in base64, is in an answer. */
static void
assert_nothing_of(const char *file, const char *answer)
{
	char line[128];

	for (const char *p = file; p[0] != '\0'; p += strcspn(p, "\n") + 1) {
		size_t len = strcspn(p, "\n");

		assert_true(len < sizeof(line) && len > 0);
		memcpy(line, p, len);
		line[len] = '\0';
		assert_null(strstr(answer, line));
	}
}

static void
test_an_imported_key_does_not_come_out(void **state)
{
	char path[PATH_MAX + 8], text[16384], *file = NULL;
	const char *keygen[] = { "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path, NULL };
	const char *args[] = { "brought", "" };
	int admin_fd = admin(&shared), fd;
	size_t len;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/brought", shared.dir);
	if (help_run(keygen) != 0) {
		print_message("ssh-keygen is not installed\n");
		fd_close(&admin_fd);
		return;
	}
	assert_int_equal(file_read(path, 1 << 16, &file, &len), 0);
	assert_true((fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0);
	assert_int_equal(ask(admin_fd, KEYS_ADM_IMPORT, args, 2, fd, text, sizeof(text)), 0);
	assert_nothing_of(file, text);
	(void)expect(shared.policy, POL_KEYS_CHANGED);
	assert_int_equal(ask(admin_fd, KEYS_ADM_IMPORT, args, 2, fd, text, sizeof(text)), 1);
	assert_nothing_of(file, text);
	fd_close(&fd);
	assert_int_equal(ask(admin_fd, KEYS_ADM_PUBLIC, args, 1, -1, text, sizeof(text)), 0);
	assert_nothing_of(file, text);
	assert_non_null(strstr(text, "ssh-ed25519 "));
	assert_int_equal(ask(admin_fd, KEYS_ADM_LIST, NULL, 0, -1, text, sizeof(text)), 0);
	assert_nothing_of(file, text);
	assert_non_null(strstr(text, "\"name\":\"brought\""));
	free(file);
	fd_close(&admin_fd);
}

static void
test_a_rotated_host_key_is_announced_and_running_fronts_keep_theirs(void **state)
{
	const char *args[] = { "host" };
	uint8_t old[64], hash[32];
	int running, admin_fd, fresh;
	struct ipc_msg msg;
	struct vault v;

	(void)state;
	vault_make(&v, NULL);
	vault_start(&v);
	connect_policy(&v);
	running = front(&v, 1, 1);
	memcpy(old, v.host, sizeof(old));
	admin_fd = admin(&v);
	assert_int_equal(ask(admin_fd, KEYS_ADM_ROTATE, args, 1, -1, NULL, 0), 0);
	expect_ready(&v);
	assert_memory_not_equal(old, v.host, 51);
	randombytes_buf(hash, sizeof(hash));
	assert_int_equal(ipc_plain_send(running, KEYS_SIGN, 0, hash, 32, NULL, 0), 0);
	msg = expect(running, KEYS_SIGNED);
	assert_int_equal(crypto_sign_verify_detached(msg.data, hash, 32, old + 19), 0);
	fresh = front(&v, 2, 1);
	randombytes_buf(hash, sizeof(hash));
	assert_int_equal(ipc_plain_send(fresh, KEYS_SIGN, 0, hash, 32, NULL, 0), 0);
	msg = expect(fresh, KEYS_SIGNED);
	assert_int_equal(crypto_sign_verify_detached(msg.data, hash, 32, v.host + 19), 0);
	fd_close(&running);
	fd_close(&fresh);
	fd_close(&admin_fd);
	vault_stop(&v);
}

/* ---- without policy, without a passphrase, without a vault */

static void
test_without_policy_nothing_is_signed(void **state)
{
	struct vault v;
	uint8_t sid[32];
	struct leg l;
	int fd;

	(void)state;
	vault_make(&v, NULL);
	vault_start(&v);
	fd = front(&v, 1, 0);
	fresh_sid(sid);
	assert_int_equal(ipc_plain_send(fd, KEYS_SIGN, 0, sid, 32, NULL, 0), 0);
	expect_end(fd);
	fd_close(&fd);
	leg_open_with(&v, &l, "fleet", NULL, 0);
	leg_identities(&l);
	leg_bind(&l);
	leg_send_sign(&l);
	assert_int_equal(leg_answer(&l), 5);
	assert_int_equal(leg_answer(&l), 0);
	fd_close(&l.fd);
	/* And with one that went away again. */
	connect_policy(&v);
	assert_alive(&v);
	fd_close(&v.policy);
	fd = front(&v, 2, 0);
	fresh_sid(sid);
	assert_int_equal(ipc_plain_send(fd, KEYS_SIGN, 0, sid, 32, NULL, 0), 0);
	expect_end(fd);
	fd_close(&fd);
	vault_stop(&v);
}

static void
test_a_locked_vault_serves_nobody_until_it_is_unlocked(void **state)
{
	const char *wrong[] = { "correct horse batterY" }, *right[] = { "correct horse battery" };
	struct vault v;
	char text[512];
	int fd, admin_fd;

	(void)state;
	vault_make(&v, right[0]);
	vault_start(&v);
	assert_int_equal(v.host_len, 0);
	fd = front(&v, 1, 0);
	expect_end(fd);
	fd_close(&fd);
	admin_fd = admin(&v);
	assert_int_equal(ask(admin_fd, KEYS_ADM_LIST, NULL, 0, -1, text, sizeof(text)), 3);
	assert_non_null(strstr(text, "bastionctl keys unlock"));
	assert_int_equal(ask(admin_fd, KEYS_ADM_UNLOCK, wrong, 1, -1, text, sizeof(text)), 1);
	assert_non_null(strstr(text, "wrong passphrase"));
	assert_int_equal(ask(admin_fd, KEYS_ADM_UNLOCK, right, 1, -1, text, sizeof(text)), 0);
	expect_ready(&v);
	assert_int_equal(v.host_len, 51);
	fd_close(&admin_fd);
	vault_stop(&v);
}

/* Start once more in this folder and see it refuse. */
static int
refused_start(struct vault *v, const char *const *extra)
{
	int theirs, fd = edge(&theirs), status;

	spawn(v, extra, theirs);
	fd_close(&theirs);
	status = end_status(v);
	fd_close(&fd);
	return status;
}

static void
test_what_cannot_start_says_so(void **state)
{
	static const char *const none[] = { NULL },
				 *const nonsense[] = { "--unlock", "magic", NULL },
				 *const unknown[] = { "--frobnicate", NULL },
				 *const create[] = { "--admin", "--create", NULL },
				 *const phrase[] = { "--unlock", "passphrase", NULL };
	char path[PATH_MAX + 16];
	struct vault v, second;

	(void)state;
	vault_make(&v, NULL);
	assert_int_equal(refused_start(&v, unknown), 2);
	assert_int_equal(refused_start(&v, nonsense), 3);
	assert_int_equal(refused_start(&v, phrase), 3);
	assert_int_equal(refused_start(&v, create), 3);
	vault_start(&v);
	second = v;
	assert_int_equal(refused_start(&second, none), 3);
	assert_alive(&v);
	fd_close(&v.broker);
	assert_int_equal(end_status(&v), 0);
	(void)snprintf(path, sizeof(path), "%s/unlock.key", v.dir);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(refused_start(&v, none), 3);
	assert_int_equal(
	    file_replace(path, 0600,
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n", 65),
	    0);
	assert_int_equal(refused_start(&v, none), 3);
	(void)snprintf(path, sizeof(path), "%s/vault", v.dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(refused_start(&v, none), 3);
	help_remove(v.dir);
}

static unsigned long
status_number(pid_t pid, const char *key)
{
	char path[64], line[256];
	unsigned long n = 999;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	assert_non_null(f = fopen(path, "re"));
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			n = strtoul(line + strlen(key), NULL, 10);
	assert_int_equal(fclose(f), 0);
	return n;
}

static void
test_it_sits_in_its_sandbox(void **state)
{
	(void)state;
	assert_int_equal(status_number(shared.pid, "NoNewPrivs:"), 1);
#ifndef WITH_SANITIZER
	assert_int_equal(status_number(shared.pid, "Seccomp:"), 2);
	assert_true(status_number(shared.pid, "VmLck:") >= 2048);
#endif
}

static int
start_shared(void **state)
{
	(void)state;
	vault_make(&shared, NULL);
	vault_start(&shared);
	connect_policy(&shared);
	return 0;
}

static int
stop_shared(void **state)
{
	struct ipc_msg msg;

	(void)state;
	/* No alarm that no test expected. */
	assert_int_equal(ipc_plain_recv(shared.policy, space, &msg, 0), -ETIMEDOUT);
	vault_stop(&shared);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_front_gets_its_signature_after_policy_heard),
		cmocka_unit_test(test_a_front_of_a_target_has_its_own_key),
		cmocka_unit_test(test_a_target_without_a_key),
		cmocka_unit_test(test_a_front_signs_hashes_only),
		cmocka_unit_test(test_a_front_that_sends_anything_else_is_cut),
		cmocka_unit_test(test_no_two_connections_have_one_session_id),
		cmocka_unit_test(test_a_flood_of_key_exchanges_is_cut),
		cmocka_unit_test(test_a_back_logs_in_once),
		cmocka_unit_test(test_nothing_is_signed_before_the_proof),
		cmocka_unit_test(test_another_login_than_the_granted_one_is_refused),
		cmocka_unit_test(test_what_is_no_login_is_not_signed),
		cmocka_unit_test(test_a_false_proof_is_refused),
		cmocka_unit_test(test_a_proof_is_shown_once),
		cmocka_unit_test(test_a_session_id_of_a_front_binds_no_back),
		cmocka_unit_test(test_no_other_agent_message_is_taken),
		cmocka_unit_test(test_no_other_extension_is_taken),
		cmocka_unit_test(test_lengths_are_bounded),
		cmocka_unit_test(test_a_flood_of_requests_is_cut),
		cmocka_unit_test(test_arbitrary_bytes_are_cut),
		cmocka_unit_test(test_bytes_may_trickle),
		cmocka_unit_test(test_a_leg_that_is_over_signs_nothing),
		cmocka_unit_test(test_a_key_that_is_not_there_is_no_alarm),
		cmocka_unit_test(test_a_damaged_grant_closes_the_leg),
		cmocka_unit_test(test_a_host_certificate_is_policys_to_judge),
		cmocka_unit_test(test_a_host_certificate_that_policy_refuses_is_an_alarm),
		cmocka_unit_test(test_policy_is_asked_for_certificates_and_host_cas_only),
		cmocka_unit_test(test_ssh_add_sees_the_key_and_can_do_nothing_else),
		cmocka_unit_test(test_administration_is_recorded),
		cmocka_unit_test(test_administration_says_no_in_words),
		cmocka_unit_test(test_a_malformed_administration_request_ends_its_edge_only),
		cmocka_unit_test(test_an_imported_key_does_not_come_out),
		cmocka_unit_test(
		    test_a_rotated_host_key_is_announced_and_running_fronts_keep_theirs),
		cmocka_unit_test(test_without_policy_nothing_is_signed),
		cmocka_unit_test(test_a_locked_vault_serves_nobody_until_it_is_unlocked),
		cmocka_unit_test(test_what_cannot_start_says_so),
		cmocka_unit_test(test_it_sits_in_its_sandbox),
	};

	if (getenv("BASTION_BIN") == NULL || secret_init() != 0 || sshkey_init() != 0) {
		puts("Bail out! BASTION_BIN is where bastiond-keys lies");
		return 1;
	}
	return cmocka_run_group_tests(tests, start_shared, stop_shared);
}
