/*
 * bastiond-policy itself, with the test in place of the broker, the vault, the recorder and the fronts. The fronts are hostile:
 * they talk out of turn, replay, switch users, flood; none of it may let anybody in or take the program down.
 */
#include "config.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/json.h"
#include "lib/proc.h"
#include "policy/policy_proto.h"
#include "recorder/link_proto.h"
#include "recorder/recorder_proto.h"
#include "tests/lib/ssh_make.h"
#include "tests/lib/want.h"

#define WAIT_MS 10000
#define MUST(call) assert_int_equal((call), 0)

static struct make_key *alice, *stranger, *ca, *host_ca, *host_key;
static uint8_t scratch[IPC_HEADER + IPC_MAX];
/* Of the policy to be loaded: its only person, and the leg that ends with it; 0: none. */
static const char *person;
static uint32_t ending_leg;

struct rig {
	pid_t pid;
	int pidfd;
	int broker, vault, recorder; /* our ends; -1: not there */
	uint32_t next_conn;
};

static int
group_setup(void **state)
{
	(void)state;
	alice = make_key_new(SSHKEY_ED25519, 0);
	stranger = make_key_new(SSHKEY_ED25519, 0);
	ca = make_key_new(SSHKEY_ED25519, 0);
	host_ca = make_key_new(SSHKEY_ED25519, 0);
	host_key = make_key_new(SSHKEY_ECDSA_256, 0);
	return sshkey_init();
}

static int
group_teardown(void **state)
{
	(void)state;
	make_key_free(alice);
	make_key_free(stranger);
	make_key_free(ca);
	make_key_free(host_ca);
	make_key_free(host_key);
	return 0;
}

/* Give the program an edge with this message; returns our end. */
static int
give_edge(struct rig *rig, uint16_t type, uint32_t id, const void *data, size_t len)
{
	int fds[2];

	MUST(ipc_pair(fds));
	/* First: an edge that is not wanted is closed at once. */
	MUST(ipc_plain_hello(fds[0]));
	MUST(ipc_plain_send(rig->broker, type, id, data, len, &fds[1], 1));
	fd_close(&fds[1]);
	return fds[0];
}

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	const char *bin = getenv("BASTION_BIN");
	struct proc_spec spec = { .exec_fd = -1, .name = "bastiond-policy", .n_fds = 1 };
	int fds[2];

	assert_non_null(rig);
	assert_non_null(bin);
	*rig =
	    (struct rig){ .pidfd = -1, .broker = -1, .vault = -1, .recorder = -1, .next_conn = 1 };
	MUST(ipc_pair(fds));
	spec.fds = &fds[1];
	MUST(proc_open(bin, "bastiond-policy", &spec.exec_fd));
	MUST(proc_spawn(&spec, &rig->pid, &rig->pidfd));
	fd_close(&spec.exec_fd);
	fd_close(&fds[1]);
	rig->broker = fds[0];
	MUST(ipc_plain_hello(rig->broker));
	rig->vault = give_edge(rig, POL_KEYS_EDGE, 0, NULL, 0);
	rig->recorder = give_edge(rig, POL_RECORDER_EDGE, 0, NULL, 0);
	person = "alice";
	ending_leg = 0;
	*state = rig;
	return 0;
}

/* Every test ends with the program alive, and it ends in order when the broker goes. */
static int
teardown(void **state)
{
	struct rig *rig = *state;
	int status = 0;

	fd_close(&rig->broker);
	fd_close(&rig->vault);
	fd_close(&rig->recorder);
	assert_int_equal(waitpid(rig->pid, &status, 0), rig->pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	fd_close(&rig->pidfd);
	free(rig);
	return 0;
}

/* The next message; its payload is valid until the next one. */
static struct ipc_msg
expect(int fd, uint16_t type, uint32_t id)
{
	struct ipc_msg msg;
	int r = ipc_plain_recv(fd, scratch, &msg, WAIT_MS);

	if (r != 0)
		fail_msg("message %u: %s", type, err_str(r));
	if (msg.type != type || msg.id != id)
		fail_msg("message %u of %u, expected %u of %u", msg.type, msg.id, type, id);
	return msg;
}

static void
expect_closed(int fd)
{
	struct ipc_msg msg;

	assert_int_equal(ipc_plain_recv(fd, scratch, &msg, WAIT_MS), ERR_PEER_GONE);
}

static void
expect_silence(int fd, int ms)
{
	struct ipc_msg msg;

	assert_int_equal(ipc_plain_recv(fd, scratch, &msg, ms), -ETIMEDOUT);
}

/* The next audit event; owned by caller. */
static struct json_node *
event(struct rig *rig, const char *name)
{
	struct ipc_msg msg = expect(rig->recorder, POL_AUDIT, 0);
	struct json_node *j = NULL;

	MUST(json_parse((const char *)msg.data, msg.len, &j));
	assert_string_equal(json_str(json_get(j, "event"), ""), name);
	return j;
}

static void
event_with(struct rig *rig, const char *name, const char *key, const char *value)
{
	struct json_node *j = event(rig, name);

	assert_string_equal(json_str(json_get(j, key), "(none)"), value);
	json_node_free(j);
}

/* Loading. */

static int
memory_file(const void *data, size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	MUST(file_write_all(fd, data, len));
	return fd;
}

static void
load_file(struct rig *rig, enum pol_file kind, const char *name, const void *data, size_t len)
{
	struct buf *b = buf_new(256);
	int fd = memory_file(data, len);

	MUST(buf_put_u8(b, (uint8_t)kind));
	MUST(buf_put_cstr(b, name));
	MUST(ipc_plain_send(rig->broker, POL_LOAD_FILE, 0, buf_ptr(b), buf_len(b), &fd, 1));
	fd_close(&fd);
	buf_free(b);
}

static char *
policy_text(const char *rules)
{
	char *a = make_key_line(alice, ""), *h = make_key_line(host_ca, ""), *text = NULL;

	assert_true(
	    asprintf(&text,
		"users:\n  %s: {keys: [\"%s\"], groups: [sre]}\n"
		"hosts:\n  web1: {address: 10.0.0.1, port: 2222, key: fleet, host_keys: [\"%s\"], "
		"host_ca: [\"%s\"], connect_timeout: 7s}\n"
		"rules:\n%s",
		person, a, a, h, rules) > 0);
	free(a);
	free(h);
	return text;
}

#define RULES                                                                                      \
	"  - {name: r, who: {users: [alice]}, where: {hosts: [web1]}, as: [root], may: [shell, "   \
	"exec, "                                                                                   \
	"sftp]}\n"

static const char *chain = "publickey"; /* the only way in */

/* Returns what POL_LOADED says; text: its line. */
static int
load(struct rig *rig, uint32_t next_leg, const char *rules, char *text, size_t size)
{
	char *policy = policy_text(rules), *line = make_key_line(ca, "ca");
	struct buf *b = buf_new(256), *reply;
	struct ipc_msg msg;
	uint8_t ok;

	MUST(ipc_plain_send(rig->broker, POL_LOAD_BEGIN, next_leg, NULL, 0, NULL, 0));
	load_file(rig, POL_FILE_POLICY, "policy.yaml", policy, strlen(policy));
	load_file(rig, POL_FILE_USER_CA, "ca.pub", line, strlen(line));
	MUST(buf_put_u32(b, 3));
	MUST(buf_put_u32(b, 1));
	MUST(buf_put_cstr(b, chain));
	MUST(buf_put(b, "\0\0\0", 3));
	MUST(buf_put_u64(b, 300 * CLOCK_NS_PER_S));
	MUST(ipc_plain_send(rig->broker, POL_LOAD_END, 5, buf_ptr(b), buf_len(b), NULL, 0));
	if (ending_leg != 0)
		(void)expect(rig->broker, POL_END_LEG, ending_leg);
	msg = expect(rig->broker, POL_LOADED, 5);
	reply = buf_view(msg.data, msg.len);
	MUST(buf_get_u8(reply, &ok));
	MUST(buf_get_cstr(reply, text, size));
	MUST(buf_end(reply));
	buf_free(reply);
	buf_free(b);
	free(policy);
	free(line);
	return ok;
}

static void
load_usual(struct rig *rig)
{
	char text[600];

	assert_int_equal(load(rig, 1, RULES, text, sizeof(text)), 1);
	assert_string_equal(text, "1 users, 1 hosts, 1 rules, 1 user CAs, 0 revoked");
}

/* Connections. */

struct front {
	uint32_t id;
	int fd;
	uint8_t sid[32];
};

static struct front
connect_front(struct rig *rig)
{
	struct front f = { .id = rig->next_conn++ };
	struct buf *b = buf_new(256);

	memset(f.sid, (int)(f.id * 7 + 1), sizeof(f.sid));
	MUST(buf_put_cstr(b, "192.0.2.7"));
	MUST(buf_put_u32(b, 40000));
	MUST(buf_put_cstr(b, "127.0.0.1"));
	MUST(buf_put_u32(b, 2222));
	f.fd = give_edge(rig, POL_CONN, f.id, buf_ptr(b), buf_len(b));
	buf_free(b);
	return f;
}

static void
tell_session_id(struct rig *rig, const struct front *f)
{
	MUST(ipc_plain_send(rig->vault, POL_SESSION_ID, f->id, f->sid, sizeof(f->sid), NULL, 0));
}

static struct front
connect_known(struct rig *rig)
{
	struct front f = connect_front(rig);

	tell_session_id(rig, &f);
	return f;
}

/* key: who signs; NULL: an offer of alice's key. */
static void
ask(const struct front *f, const char *user, const struct make_key *blob_of,
    const struct make_key *key)
{
	struct make_request q = { .user = user,
		.alg = "ssh-ed25519",
		.key = key,
		.sid = f->sid,
		.sid_len = sizeof(f->sid) };
	uint8_t *msg;
	size_t len;

	q.blob = make_key_blob(blob_of, &q.blob_len);
	msg = make_request(&q, &len);
	MUST(ipc_plain_send(f->fd, POL_AUTH_REQUEST, 0, msg, len, NULL, 0));
	free(msg);
}

static void
expect_answer(const struct front *f, enum pol_auth want)
{
	struct ipc_msg msg = expect(f->fd, POL_AUTH_REPLY, 0);

	assert_int_equal(msg.data[0], want);
}

static void
expect_failed(struct rig *rig, const struct front *f, enum pol_failure want)
{
	struct ipc_msg msg = expect(rig->broker, POL_FAILED, f->id);

	assert_int_equal(msg.len, 1);
	assert_int_equal(msg.data[0], want);
}

/* The request is refused, for this reason, and charged as a failed login. */
static void
expect_denied(struct rig *rig, const struct front *f, const char *reason)
{
	expect_answer(f, POL_AUTH_FAILURE);
	event_with(rig, "auth.denied", "reason", reason);
	expect_failed(rig, f, POL_FAILURE_AUTH);
}

/* The login under way succeeds. */
static void
expect_grant(struct rig *rig, const struct front *f, uint32_t leg)
{
	(void)expect(rig->broker, POL_AUTHENTICATED, f->id);
	(void)expect(rig->broker, POL_GRANT, leg);
	expect_answer(f, POL_AUTH_SUCCESS);
}

/* Alice logs in on web1: leg is the number that the grant must have. */
static struct front
log_in(struct rig *rig, uint32_t leg)
{
	struct front f = connect_known(rig);

	ask(&f, "root+web1", alice, alice);
	expect_grant(rig, &f, leg);
	json_node_free(event(rig, "auth.allowed"));
	return f;
}

static void
still_serves(struct rig *rig, uint32_t next_leg)
{
	struct front f = log_in(rig, next_leg);

	fd_close(&f.fd);
}

/* Tests. */

static void
test_a_login_and_its_grant(void **state)
{
	struct rig *rig = *state;
	struct front f;
	struct ipc_msg msg;
	struct buf *b, *part;
	const uint8_t *p, *want;
	char text[256];
	uint32_t v, n;
	uint8_t byte;
	size_t len, want_len;

	load_usual(rig);
	f = connect_known(rig);
	ask(&f, "root+web1", alice, alice);
	msg = expect(rig->broker, POL_AUTHENTICATED, f.id);
	b = buf_view(msg.data, msg.len);
	want_cstr(b, "alice");
	MUST(buf_end(b));
	buf_free(b);

	msg = expect(rig->broker, POL_GRANT, 1);
	b = buf_view(msg.data, msg.len);
	want_u32(b, f.id);
	/* The recorder's part: tags in any order, each once. */
	MUST(buf_get_str(b, &p, &len));
	part = buf_view(p, len);
	for (uint32_t seen = 0; buf_len(part) > 0;) {
		static const char *const values[] = { [REC_META_IDENTITY] = "alice",
			[REC_META_LOGIN] = "root",
			[REC_META_HOST] = "web1",
			[REC_META_ADDRESS] = "10.0.0.1",
			[REC_META_PORT] = "2222",
			[REC_META_SOURCE] = "192.0.2.7:40000",
			[REC_META_CLAIM] = "root+web1",
			[REC_META_RULE] = "r",
			[REC_META_CRED_TYPE] = "key",
			[REC_META_FILES] = "hash",
			[REC_META_METHODS] = "publickey" };

		MUST(buf_get_u8(part, &byte));
		MUST(buf_get_cstr(part, text, sizeof(text)));
		assert_true(byte < 32 && (seen & 1u << byte) == 0);
		seen |= 1u << byte;
		if (byte == REC_META_CRED_FINGERPRINT)
			assert_memory_equal(text, "SHA256:", 7);
		else
			assert_string_equal(text, values[byte]);
		if (buf_len(part) == 0)
			assert_int_equal(
			    seen, 0x7feu | 1u << REC_META_FILES | 1u << REC_META_METHODS);
	}
	buf_free(part);
	/* The vault's part. */
	MUST(buf_get_str(b, &p, &len));
	part = buf_view(p, len);
	want_cstr(part, "root");
	want_cstr(part, "fleet");
	want_cstr(part, "web1");
	want_u32(part, 2222);
	for (int i = 0; i < 2; i++) {
		want_u32(part, 1);
		MUST(buf_get_str(part, &p, &len));
		want = make_key_blob(i == 0 ? alice : host_ca, &want_len);
		assert_int_equal(len, want_len);
		assert_memory_equal(p, want, len);
	}
	MUST(buf_end(part));
	buf_free(part);
	/* The back's part. */
	MUST(buf_get_str(b, &p, &len));
	part = buf_view(p, len);
	want_cstr(part, "web1");
	want_cstr(part, "10.0.0.1");
	want_u32(part, 2222);
	want_u8(part, 0);
	want_cstr(part, "root");
	for (int i = 0; i < 2; i++) {
		MUST(buf_get_u32(part, &n));
		MUST(buf_get_str(part, &p, &len));
	}
	want_u64(part, 7000000000ull);
	MUST(buf_end(part));
	buf_free(part);
	want_u8(b, POL_BACK_SSH);
	want_u32(b, 0);
	MUST(buf_end(b));
	buf_free(b);

	msg = expect(f.fd, POL_AUTH_REPLY, 0);
	b = buf_view(msg.data, msg.len);
	want_u8(b, POL_AUTH_SUCCESS);
	want_cstr(b, "alice");
	want_cstr(b, "web1");
	MUST(buf_get_cstr(b, text, sizeof(text)));
	MUST(buf_get_u32(b, &v));
	MUST(buf_end(b));
	buf_free(b);
	event_with(rig, "auth.allowed", "ref", text);
	expect_silence(rig->recorder, 20);
	fd_close(&f.fd);
}

/* Legs are counted from where the broker says, each number once. */
static void
test_numbers_of_legs(void **state)
{
	struct rig *rig = *state;
	char text[600];

	assert_int_equal(load(rig, 40, RULES, text, sizeof(text)), 1);
	still_serves(rig, 40);
	still_serves(rig, 41);
	assert_int_equal(load(rig, 1, RULES, text, sizeof(text)), 1);
	still_serves(rig, 42);
}

static void
test_before_and_after_a_load(void **state)
{
	struct rig *rig = *state;
	struct front f = connect_known(rig);
	char text[600];

	ask(&f, "root+web1", alice, alice);
	expect_denied(rig, &f, "no-policy");
	fd_close(&f.fd);
	load_usual(rig);
	still_serves(rig, 1);
	/* A wrong file changes nothing, and says what is wrong. */
	assert_int_equal(load(rig, 1, "  - {name: x}\n", text, sizeof(text)), 0);
	assert_memory_equal(text, "policy.yaml:", 12);
	assert_non_null(strstr(text, "expected the key \"who\""));
	still_serves(rig, 2);
	/* A good one does at once. */
	assert_int_equal(load(rig, 1, "  []\n", text, sizeof(text)), 1);
	f = connect_known(rig);
	ask(&f, "root+web1", alice, alice);
	expect_denied(rig, &f, "host-not-allowed");
	fd_close(&f.fd);
}

static void
test_evidence_before_its_session_id(void **state)
{
	struct rig *rig = *state;
	struct front f;

	load_usual(rig);
	f = connect_front(rig);
	ask(&f, "root+web1", alice, alice);
	expect_silence(f.fd, 50);
	tell_session_id(rig, &f);
	expect_grant(rig, &f, 1);
	fd_close(&f.fd);
}

/* The vault may be quicker than the broker. */
static void
test_a_session_id_before_its_connection(void **state)
{
	struct rig *rig = *state;
	struct front f = { .id = rig->next_conn };

	load_usual(rig);
	memset(f.sid, (int)(f.id * 7 + 1), sizeof(f.sid));
	tell_session_id(rig, &f);
	f = connect_front(rig);
	ask(&f, "root+web1", alice, alice);
	expect_grant(rig, &f, 1);
	fd_close(&f.fd);
}

static void
test_only_the_first_session_id_counts(void **state)
{
	struct rig *rig = *state;
	struct front f, other;

	load_usual(rig);
	f = connect_known(rig);
	other = f;
	memset(other.sid, 0xee, sizeof(other.sid));
	tell_session_id(rig, &other);
	event_with(rig, "front.alarm", "reason", "second-session-id");
	expect_failed(rig, &f, POL_FAILURE_ALARM);
	ask(&other, "root+web1", alice, alice);
	expect_denied(rig, &f, "bad-signature");
	ask(&f, "root+web1", alice, alice);
	expect_grant(rig, &f, 1);
	fd_close(&f.fd);
}

/* C35: what one connection signed is nothing on another, also when both ask at the same time. */
static void
test_a_replay_on_another_connection(void **state)
{
	struct rig *rig = *state;
	struct front a, b, replay;

	load_usual(rig);
	a = connect_known(rig);
	b = connect_known(rig);
	replay = b;
	memcpy(replay.sid, a.sid, sizeof(a.sid));
	ask(&replay, "root+web1", alice, alice);
	expect_denied(rig, &b, "bad-signature");
	fd_close(&a.fd);
	fd_close(&b.fd);
	still_serves(rig, 1);
}

static void
test_a_second_request_before_the_answer(void **state)
{
	struct rig *rig = *state;
	struct front f;
	struct json_node *j;

	load_usual(rig);
	f = connect_front(rig);
	ask(&f, "root+web1", alice, alice); /* waits for the session id */
	ask(&f, "root+web1", alice, alice);
	expect_closed(f.fd);
	j = event(rig, "front.alarm");
	assert_string_equal(json_str(json_get(j, "reason"), ""), "rules-broken");
	json_node_free(j);
	expect_failed(rig, &f, POL_FAILURE_ALARM);
	fd_close(&f.fd);
	MUST(ipc_plain_send(rig->broker, POL_CONN_GONE, f.id, NULL, 0, NULL, 0));
	tell_session_id(rig, &f);
	still_serves(rig, 1);
}

static void
test_after_the_last_answer_nothing_follows(void **state)
{
	struct rig *rig = *state;
	struct front f;

	load_usual(rig);
	f = log_in(rig, 1);
	ask(&f, "root+web1", alice, alice);
	expect_closed(f.fd);
	event_with(rig, "front.alarm", "reason", "rules-broken");
	expect_failed(rig, &f, POL_FAILURE_ALARM);
	fd_close(&f.fd);
	still_serves(rig, 2);
}

static void
test_another_user_name(void **state)
{
	struct rig *rig = *state;
	struct front f;

	load_usual(rig);
	f = connect_known(rig);
	ask(&f, "root+web1", stranger, stranger);
	expect_answer(&f, POL_AUTH_FAILURE);
	expect_failed(rig, &f, POL_FAILURE_AUTH);
	ask(&f, "alice+root+web1", alice, alice);
	expect_answer(&f, POL_AUTH_CLOSE);
	expect_failed(rig, &f, POL_FAILURE_AUTH);
	event_with(rig, "auth.denied", "reason", "unknown-key");
	event_with(rig, "auth.denied", "reason", "user-changed");
	ask(&f, "root+web1", alice, alice);
	expect_closed(f.fd);
	fd_close(&f.fd);
}

static void
test_tries_end(void **state)
{
	struct rig *rig = *state;
	struct front f;

	load_usual(rig);
	f = connect_known(rig);
	for (int i = 0; i < 3; i++) {
		ask(&f, "root+web1", alice, stranger);
		expect_answer(&f, i < 2 ? POL_AUTH_FAILURE : POL_AUTH_CLOSE);
		expect_failed(rig, &f, i < 2 ? POL_FAILURE_AUTH : POL_FAILURE_TRIES);
		event_with(rig, "auth.denied", "reason", "bad-signature");
	}
	ask(&f, "root+web1", alice, alice);
	expect_closed(f.fd);
	fd_close(&f.fd);
	event_with(rig, "front.alarm", "reason", "rules-broken");
	expect_failed(rig, &f, POL_FAILURE_ALARM);
	still_serves(rig, 1);
}

/* Messages that no front sends. */
static void
test_bytes_that_are_no_requests(void **state)
{
	struct rig *rig = *state;
	static uint8_t big[IPC_MAX];
	uint32_t seed = 1;

	load_usual(rig);
	for (int i = 0; i < 60; i++) {
		struct front f = connect_front(rig);
		size_t len = i == 0 ? 0 : i == 1 ? sizeof(big) : i == 2 ? 35001 : seed % 900;
		uint16_t type = i % 3 == 0 ? POL_AUTH_REQUEST : (uint16_t)(i * 5);
		struct ipc_msg msg;

		for (size_t k = 0; k < len; k++)
			big[k] = (uint8_t)((seed = seed * 1103515245u + 12345u) >> 16);
		if (i == 3) {
			MUST(ipc_plain_send(
			    f.fd, POL_AUTH_REQUEST, 0, big, 10, (const int[]){ f.fd }, 1));
		} else {
			MUST(ipc_plain_send(f.fd, type, 0, big, len, NULL, 0));
		}
		/* Either the edge ends, or the request was malformed and is the last one. */
		if (ipc_plain_recv(f.fd, scratch, &msg, WAIT_MS) == 0) {
			assert_int_equal(msg.type, POL_AUTH_REPLY);
			assert_int_equal(msg.data[0], POL_AUTH_CLOSE);
		}
		fd_close(&f.fd);
		(void)expect(rig->broker, POL_FAILED, f.id);
		MUST(ipc_plain_recv(rig->recorder, scratch, &msg, WAIT_MS));
		MUST(ipc_plain_send(rig->broker, POL_CONN_GONE, f.id, NULL, 0, NULL, 0));
	}
	still_serves(rig, 1);
}

/* A flood from some does not keep others out, and nobody waits for anybody's delay. */
static void
test_many_at_once(void **state)
{
	struct rig *rig = *state;
	struct front f[100];
	uint64_t start;

	load_usual(rig);
	for (size_t i = 0; i < 100; i++)
		f[i] = connect_known(rig);
	start = clock_boot_ns();
	for (size_t i = 0; i < 100; i++)
		ask(&f[i], i == 99 ? "root+web1" : "root+web2", i == 99 ? alice : stranger,
		    i == 99 ? alice : stranger);
	for (size_t i = 0; i < 99; i++)
		expect_answer(&f[i], POL_AUTH_FAILURE);
	expect_answer(&f[99], POL_AUTH_SUCCESS);
	/* One after the other they would take 100 times the least delay. */
	assert_true(clock_boot_ns() - start < 100 * 5 * CLOCK_NS_PER_MS);
	for (size_t i = 0; i < 100; i++)
		fd_close(&f[i].fd);
}

static uint64_t
time_of(struct rig *rig, const char *user, const struct make_key *blob, const struct make_key *key,
    enum pol_auth want)
{
	struct front f = connect_known(rig);
	uint64_t start;

	/* The program has both the connection and its session id before the clock starts. */
	MUST(ipc_plain_send(rig->broker, POL_STATUS, 9, NULL, 0, NULL, 0));
	(void)expect(rig->broker, POL_STATUS_REPLY, 9);
	start = clock_boot_ns();
	ask(&f, user, blob, key);
	expect_answer(&f, want);
	start = clock_boot_ns() - start;
	if (want == POL_AUTH_FAILURE) {
		struct ipc_msg msg;

		expect_failed(rig, &f, POL_FAILURE_AUTH);
		MUST(ipc_plain_recv(rig->recorder, scratch, &msg, WAIT_MS));
	}
	fd_close(&f.fd);
	MUST(ipc_plain_send(rig->broker, POL_CONN_GONE, f.id, NULL, 0, NULL, 0));
	if (want == POL_AUTH_PK_OK)
		json_node_free(event(rig, "auth.abandoned"));
	return start;
}

static void
test_failures_take_their_time(void **state)
{
	struct rig *rig = *state;

	load_usual(rig);
	for (int i = 0; i < 5; i++) {
		assert_true(time_of(rig, "root+web1", stranger, NULL, POL_AUTH_FAILURE) >=
			    5 * CLOCK_NS_PER_MS);
		assert_true(time_of(rig, "root+web1", alice, stranger, POL_AUTH_FAILURE) >=
			    5 * CLOCK_NS_PER_MS);
		assert_true(time_of(rig, "root+web9", alice, alice, POL_AUTH_FAILURE) >=
			    5 * CLOCK_NS_PER_MS);
		assert_true(time_of(rig, "nobody+web1", alice, alice, POL_AUTH_FAILURE) >=
			    5 * CLOCK_NS_PER_MS);
	}
}

/* The same name takes the same time, whatever is wrong; names differ. */
static void
test_the_delay_belongs_to_the_name(void **state)
{
	struct rig *rig = *state;
	uint64_t least[2][3];

	load_usual(rig);
	memset(least, 0xff, sizeof(least));
	for (int i = 0; i < 8; i++)
		for (size_t n = 0; n < 2; n++) {
			const char *user = n == 0 ? "root+web9" : "carol+db7";
			const struct make_key *keys[3][2] = { { stranger, NULL },
				{ stranger, stranger }, { alice, stranger } };

			for (size_t k = 0; k < 3; k++) {
				uint64_t t =
				    time_of(rig, user, keys[k][0], keys[k][1], POL_AUTH_FAILURE);

				if (t < least[n][k])
					least[n][k] = t;
			}
		}
	for (size_t n = 0; n < 2; n++)
		for (size_t k = 1; k < 3; k++) {
			uint64_t a = least[n][0], b = least[n][k];

			assert_true((a > b ? a - b : b - a) < 20 * CLOCK_NS_PER_MS);
		}
}

static void
test_an_offer_that_stays_one(void **state)
{
	struct rig *rig = *state;
	struct front f;

	load_usual(rig);
	f = connect_known(rig);
	ask(&f, "root+web1", alice, NULL);
	expect_answer(&f, POL_AUTH_PK_OK);
	expect_silence(rig->broker, 20);
	expect_silence(rig->recorder, 20);
	fd_close(&f.fd);
	MUST(ipc_plain_send(rig->broker, POL_CONN_GONE, f.id, NULL, 0, NULL, 0));
	event_with(rig, "auth.abandoned", "reason", "offered-only");
}

/* Without a recorder nobody gets in, and what happened meanwhile is told when one is back. */
static void
test_without_a_recorder(void **state)
{
	struct rig *rig = *state;
	struct front f;

	load_usual(rig);
	fd_close(&rig->recorder);
	f = connect_known(rig);
	ask(&f, "root+web1", stranger, stranger);
	expect_answer(&f, POL_AUTH_FAILURE);
	expect_failed(rig, &f, POL_FAILURE_AUTH);
	ask(&f, "root+web1", alice, alice);
	expect_answer(&f, POL_AUTH_CLOSE);
	expect_silence(rig->broker, 20);
	fd_close(&f.fd);
	rig->recorder = give_edge(rig, POL_RECORDER_EDGE, 0, NULL, 0);
	event_with(rig, "auth.denied", "reason", "unknown-key");
	event_with(rig, "auth.denied", "reason", "no-recorder");
	still_serves(rig, 1);
}

/* A verdict on one frame: text is compared where it is a denial. */
static void
expect_verdict(struct rig *rig, uint32_t leg, uint16_t type, const char *name, const char *field,
    enum pol_verdict want, const char *text)
{
	struct buf *frame = buf_new(1024), *b = buf_new(2048);
	static uint32_t number = 70;
	struct ipc_msg msg;
	char got[512];

	if (type != LINK_OPEN)
		MUST(buf_put_u32(frame, 1));
	MUST(buf_put_cstr(frame, name));
	if (type != LINK_OPEN)
		MUST(buf_put_u8(frame, 1));
	if (field != NULL)
		MUST(buf_put_cstr(frame, field));
	MUST(buf_put_u32(b, ++number));
	MUST(buf_put_u32(b, 3));
	MUST(buf_put_u8(b, 0));
	MUST(buf_put_u16(b, type));
	MUST(buf_put_str(b, buf_ptr(frame), buf_len(frame)));
	MUST(ipc_plain_send(rig->recorder, POL_ASK, leg, buf_ptr(b), buf_len(b), NULL, 0));
	if (want == POL_DENY && text != NULL)
		event_with(rig, "channel.denied", "reason", text);
	buf_free(frame);
	buf_free(b);
	msg = expect(rig->recorder, POL_VERDICT, leg);
	b = buf_view(msg.data, msg.len);
	want_u32(b, number);
	want_u8(b, want);
	MUST(buf_get_cstr(b, got, sizeof(got)));
	if (want == POL_DENY && text != NULL)
		assert_string_equal(got, text);
	MUST(buf_get_cstr(b, got, sizeof(got)));
	assert_string_equal(got, "");
	MUST(buf_end(b));
	buf_free(b);
}

static void
test_verdicts(void **state)
{
	struct rig *rig = *state;
	struct front f;
	char text[600];

	load_usual(rig);
	f = log_in(rig, 1);
	expect_verdict(rig, 1, LINK_OPEN, "session", NULL, POL_ALLOW, NULL);
	expect_verdict(rig, 1, LINK_REQUEST, "exec", "id", POL_ALLOW, NULL);
	expect_verdict(rig, 1, LINK_REQUEST, "exec", "scp -t x", POL_DENY,
	    "scp is not allowed for root on web1");
	expect_verdict(rig, 2, LINK_OPEN, "session", NULL, POL_DENY, NULL);
	assert_int_equal(load(rig, 1, "  []\n", text, sizeof(text)), 1);
	expect_verdict(rig, 1, LINK_REQUEST, "exec", "id", POL_DENY,
	    "this command is not allowed for root on web1");
	assert_int_equal(load(rig, 1, RULES, text, sizeof(text)), 1);
	MUST(ipc_plain_send(rig->broker, POL_LEG_GONE, 1, NULL, 0, NULL, 0));
	/* The edges are apart: wait until the broker's message was read. */
	MUST(ipc_plain_send(rig->broker, POL_STATUS, 9, NULL, 0, NULL, 0));
	(void)expect(rig->broker, POL_STATUS_REPLY, 9);
	expect_verdict(rig, 1, LINK_REQUEST, "exec", "id", POL_DENY, NULL);
	fd_close(&f.fd);
}

/* A command of so many bytes, cut at its end, as the recorder asks about it: POL_ASK, then POL_ASK_MORE. */
static void
ask_long(struct rig *rig, size_t len, size_t cut, enum pol_verdict want)
{
	struct buf *frame = buf_new(LINK_REQUEST_MAX), *b = buf_new(IPC_MAX);
	char *command = calloc(1, len + 1);
	const uint8_t *p;
	struct ipc_msg msg;
	size_t left, n = LINK_REQUEST_PART;

	memset(command, 'x', len);
	MUST(buf_put_u32(frame, 1) | buf_put_cstr(frame, "exec") | buf_put_u8(frame, 1) |
	     buf_put_cstr(frame, command));
	p = buf_ptr(frame);
	left = buf_len(frame) - cut;
	MUST(buf_put_u32(b, 7) | buf_put_u32(b, 3) | buf_put_u8(b, 0) |
	     buf_put_u16(b, LINK_REQUEST) | buf_put_str(b, p, n));
	MUST(ipc_plain_send(rig->recorder, POL_ASK, 1, buf_ptr(b), buf_len(b), NULL, 0));
	while (n == LINK_REQUEST_PART) {
		p += n;
		left -= n;
		n = left < LINK_REQUEST_PART ? left : LINK_REQUEST_PART;
		MUST(ipc_plain_send(rig->recorder, POL_ASK_MORE, 1, p, n, NULL, 0));
	}
	if (want == POL_DENY)
		json_node_free(event(rig, "channel.denied"));
	msg = expect(rig->recorder, POL_VERDICT, 1);
	assert_memory_equal(msg.data, "\0\0\0\7", 4);
	assert_int_equal(msg.data[4], want);
	free(command);
	buf_free(frame);
	buf_free(b);
}

static void
test_long_questions(void **state)
{
	struct rig *rig = *state;
	struct front f;

	load_usual(rig);
	f = log_in(rig, 1);
	ask_long(rig, LINK_REQUEST_PART - 17, 0, POL_ALLOW);
	ask_long(rig, LINK_REQUEST_PART, 0, POL_ALLOW);
	ask_long(rig, 100000, 0, POL_ALLOW);
	ask_long(rig, LINK_REQUEST_MAX - 17, 0, POL_ALLOW);
	/* To the last byte. */
	ask_long(rig, 100000, 1, POL_DENY);
	ask_long(rig, LINK_REQUEST_PART, 17, POL_DENY);
	fd_close(&f.fd);
}

static void
test_a_piece_of_no_question_ends_the_edge(void **state)
{
	struct rig *rig = *state;

	load_usual(rig);
	MUST(ipc_plain_send(rig->recorder, POL_ASK_MORE, 1, "x", 1, NULL, 0));
	expect_closed(rig->recorder);
}

static void
test_a_forced_command(void **state)
{
	struct rig *rig = *state;
	static const char *const principal[] = { "alice" };
	struct front f;
	struct buf *crit = buf_new(256), *b;
	struct make_cert spec = { .key = stranger,
		.ca = ca,
		.type = 1,
		.principals = principal,
		.n_principals = 1,
		.before = UINT64_MAX,
		.critical = crit };
	struct make_request q = {
		.user = "root+web1", .alg = "ssh-ed25519-cert-v01@openssh.com", .key = stranger
	};
	struct ipc_msg msg;
	uint8_t *blob, *request;
	const uint8_t *p;
	size_t len;
	char text[512];
	uint32_t n;

	load_usual(rig);
	make_option(crit, "force-command", "uptime");
	blob = make_cert(&spec, &q.blob_len);
	q.blob = blob;
	f = connect_known(rig);
	q.sid = f.sid;
	q.sid_len = sizeof(f.sid);
	request = make_request(&q, &len);
	MUST(ipc_plain_send(f.fd, POL_AUTH_REQUEST, 0, request, len, NULL, 0));
	expect_answer(&f, POL_AUTH_SUCCESS);
	json_node_free(event(rig, "auth.allowed"));
	b = buf_new(512);
	MUST(buf_put_u32(b, 1));
	MUST(buf_put_u32(b, 1));
	MUST(buf_put_u8(b, 0));
	MUST(buf_put_u16(b, LINK_REQUEST));
	MUST(buf_put_str(b, "\0\0\0\5\0\0\0\5shell\1", 14));
	MUST(ipc_plain_send(rig->recorder, POL_ASK, 1, buf_ptr(b), buf_len(b), NULL, 0));
	buf_free(b);
	json_node_free(event(rig, "channel.replaced"));
	msg = expect(rig->recorder, POL_VERDICT, 1);
	b = buf_view(msg.data, msg.len);
	MUST(buf_get_u32(b, &n));
	want_u8(b, POL_REPLACE);
	MUST(buf_get_cstr(b, text, sizeof(text)));
	MUST(buf_get_str(b, &p, &len));
	want_cstr(b, "");
	MUST(buf_end(b));
	assert_int_equal(len, 4 + 4 + 4 + 1 + 4 + 6);
	assert_memory_equal(p, "\0\0\0\5\0\0\0\4exec\1\0\0\0\6uptime", len);
	buf_free(b);
	buf_free(crit);
	free(blob);
	free(request);
	fd_close(&f.fd);
}

/* A session that outlived its certificate still ends when its person leaves the configuration. */
static void
test_expired_hides_nothing(void **state)
{
	struct rig *rig = *state;
	static const char *const principal[] = { "alice" };
	struct make_cert spec = { .key = stranger,
		.ca = ca,
		.type = 1,
		.principals = principal,
		.n_principals = 1,
		.before = clock_wall_ns() / CLOCK_NS_PER_S + 2 };
	struct make_request q = {
		.user = "root+web1", .alg = "ssh-ed25519-cert-v01@openssh.com", .key = stranger
	};
	uint8_t *blob = make_cert(&spec, &q.blob_len), *request;
	struct front f;
	char text[600];
	size_t len;

	load_usual(rig);
	q.blob = blob;
	f = connect_known(rig);
	q.sid = f.sid;
	q.sid_len = sizeof(f.sid);
	request = make_request(&q, &len);
	MUST(ipc_plain_send(f.fd, POL_AUTH_REQUEST, 0, request, len, NULL, 0));
	expect_grant(rig, &f, 1);
	json_node_free(event(rig, "auth.allowed"));
	event_with(rig, "certificate.expired", "session", "kept");
	/* What they logged in with has expired, and that is no news. */
	assert_int_equal(
	    load(rig, 1, RULES "certificates: {on_revoked: close}\n", text, sizeof(text)), 1);
	person = "carol";
	ending_leg = 1;
	assert_int_equal(
	    load(rig, 1, "  []\ncertificates: {on_revoked: close}\n", text, sizeof(text)), 1);
	event_with(rig, "credential.revoked", "reason", "unknown-principal");
	free(blob);
	free(request);
	fd_close(&f.fd);
}

static void
ask_host_cert(struct rig *rig, uint32_t leg, const struct make_key *signer, uint32_t type,
    const char *name, uint64_t before, const char *want)
{
	struct make_cert spec = { .key = host_key,
		.ca = signer,
		.type = type,
		.principals = &name,
		.n_principals = 1,
		.before = before };
	struct buf *b = buf_new(4096);
	struct ipc_msg msg;
	size_t len, want_len;
	uint8_t *blob = make_cert(&spec, &len);
	const uint8_t *p, *key = make_key_blob(host_key, &want_len);

	MUST(buf_put_str(b, blob, len));
	MUST(ipc_plain_send(rig->vault, POL_KEYS_HOST_CERT, leg, buf_ptr(b), buf_len(b), NULL, 0));
	buf_free(b);
	free(blob);
	if (want != NULL && leg == 1)
		event_with(rig, "host-certificate.denied", "reason", want);
	msg = expect(rig->vault, POL_KEYS_HOST_CERT_REPLY, leg);
	b = buf_view(msg.data, msg.len);
	want_u8(b, want == NULL);
	MUST(buf_get_str(b, &p, &len));
	MUST(buf_end(b));
	if (want == NULL) {
		assert_int_equal(len, want_len);
		assert_memory_equal(p, key, len);
	} else {
		assert_int_equal(len, strlen(want));
		assert_memory_equal(p, want, len);
	}
	buf_free(b);
}

static void
test_host_certificates(void **state)
{
	struct rig *rig = *state;
	struct front f;

	load_usual(rig);
	f = log_in(rig, 1);
	ask_host_cert(rig, 1, host_ca, 2, "web1", UINT64_MAX, NULL);
	ask_host_cert(rig, 1, host_ca, 2, "10.0.0.1", UINT64_MAX, NULL);
	ask_host_cert(rig, 1, host_ca, 2, "web*", UINT64_MAX, NULL);
	ask_host_cert(rig, 1, host_ca, 2, "web2", UINT64_MAX, "for another host");
	ask_host_cert(rig, 1, host_ca, 1, "web1", UINT64_MAX, "not a host certificate");
	ask_host_cert(rig, 1, host_ca, 2, "web1", 5, "expired");
	ask_host_cert(rig, 1, ca, 2, "web1", UINT64_MAX, "signed by a CA that is not this host's");
	ask_host_cert(rig, 2, host_ca, 2, "web1", UINT64_MAX, "this session has ended");
	fd_close(&f.fd);
}

static void
test_what_the_vault_tells(void **state)
{
	struct rig *rig = *state;
	struct buf *b = buf_new(256);
	struct front f;

	load_usual(rig);
	f = log_in(rig, 1);
	MUST(buf_put_u8(b, 0));
	MUST(buf_put_cstr(b, "another user"));
	MUST(ipc_plain_send(rig->vault, POL_KEYS_ALARM, 1, buf_ptr(b), buf_len(b), NULL, 0));
	event_with(rig, "keys.alarm", "reason", "another user");
	/* A back is in the hands of its target, not of who logged in. */
	buf_reset(b);
	MUST(buf_put_u8(b, 1));
	MUST(buf_put_cstr(b, "another hash"));
	MUST(ipc_plain_send(rig->vault, POL_KEYS_ALARM, f.id, buf_ptr(b), buf_len(b), NULL, 0));
	event_with(rig, "keys.alarm", "reason", "another hash");
	expect_failed(rig, &f, POL_FAILURE_ALARM);
	buf_reset(b);
	MUST(buf_put_cstr(b, "SHA256:x"));
	MUST(ipc_plain_send(rig->vault, POL_KEYS_SIGNED, 1, buf_ptr(b), buf_len(b), NULL, 0));
	event_with(rig, "keys.signed", "fingerprint", "SHA256:x");
	buf_reset(b);
	MUST(buf_put_cstr(b, "uid 0"));
	MUST(buf_put_cstr(b, "made fleet"));
	MUST(ipc_plain_send(rig->vault, POL_KEYS_CHANGED, 0, buf_ptr(b), buf_len(b), NULL, 0));
	event_with(rig, "keys.changed", "who", "uid 0");
	buf_free(b);
	fd_close(&f.fd);
}

static void
test_status(void **state)
{
	struct rig *rig = *state;
	struct json_node *j = NULL;
	struct ipc_msg msg;
	struct front f;

	load_usual(rig);
	f = log_in(rig, 1);
	MUST(ipc_plain_send(rig->broker, POL_STATUS, 77, NULL, 0, NULL, 0));
	msg = expect(rig->broker, POL_STATUS_REPLY, 77);
	MUST(json_parse((const char *)msg.data, msg.len, &j));
	assert_true(json_bool(json_get(j, "loaded"), false));
	assert_true(json_bool(json_get(j, "vault"), false));
	assert_int_equal(json_u64(json_get(j, "connections"), 0), 1);
	assert_int_equal(json_u64(json_get(j, "legs"), 0), 1);
	assert_int_equal(json_u64(json_get(j, "logins_allowed"), 0), 1);
	json_node_free(j);
	fd_close(&f.fd);
}

/* ssh -J. */

/* Alice is in without a host. */
static struct front
log_in_outside(struct rig *rig)
{
	struct front f = connect_known(rig);

	ask(&f, "alice", alice, alice);
	(void)expect(rig->broker, POL_AUTHENTICATED, f.id);
	expect_answer(&f, POL_AUTH_SUCCESS);
	json_node_free(event(rig, "auth.allowed"));
	return f;
}

/* The broker asks for a jump from outer; what comes back is the inner front. */
static struct front
jump(struct rig *rig, uint32_t outer, const char *host, uint32_t port)
{
	struct front f = { .id = rig->next_conn++ };
	struct buf *b = buf_new(2048);

	memset(f.sid, (int)(f.id * 7 + 1), sizeof(f.sid));
	MUST(buf_put_u32(b, outer));
	MUST(buf_put_cstr(b, host));
	MUST(buf_put_u32(b, port));
	f.fd = give_edge(rig, POL_JUMP, f.id, buf_ptr(b), buf_len(b));
	buf_free(b);
	return f;
}

/* It is refused, with one event that says why; everybody is told the same. */
static void
expect_no_jump(struct rig *rig, struct front *f, const char *reason)
{
	static const char line[] = "no host that you can reach here has this name and port";
	struct ipc_msg msg = expect(rig->broker, POL_JUMPED, f->id);
	struct json_node *j;

	assert_int_equal(msg.len, 5 + strlen(line));
	assert_int_equal(msg.data[0], 0);
	assert_memory_equal(msg.data + 5, line, strlen(line));
	expect_closed(f->fd);
	fd_close(&f->fd);
	j = event(rig, "jump.denied");
	assert_string_equal(json_str(json_get(j, "reason"), ""), reason);
	json_node_free(j);
}

/* The front of that connection asked although it has no login to jump from, or to have a shell by. */
static void
expect_alarm(struct rig *rig, uint32_t conn)
{
	const struct front liar = { .id = conn };

	event_with(rig, "front.alarm", "reason", "not-logged-in");
	expect_failed(rig, &liar, POL_FAILURE_ALARM);
}

static void
expect_jump(struct rig *rig, const struct front *f)
{
	static const uint8_t want[] = "\1\0\0\0\4web1\0\0\0\2\0\0\0\4web1\0\0\0\01010.0.0.1";
	struct ipc_msg msg = expect(rig->broker, POL_JUMPED, f->id);

	assert_int_equal(msg.len, sizeof(want) - 1);
	assert_memory_equal(msg.data, want, msg.len);
}

static void
ask_none(const struct front *f, const char *user)
{
	const struct make_request q = { .user = user, .method = "none" };
	size_t len;
	uint8_t *msg = make_request(&q, &len);

	MUST(ipc_plain_send(f->fd, POL_AUTH_REQUEST, 0, msg, len, NULL, 0));
	free(msg);
}

static void
test_jumps_that_lead_nowhere(void **state)
{
	struct rig *rig = *state;
	struct front outer, with_host, not_in, f;

	/* Before there is a policy, and for nobody. */
	f = jump(rig, 999, "web1", 22);
	expect_no_jump(rig, &f, "no-policy");
	load_usual(rig);
	f = jump(rig, 999, "web1", 22);
	expect_no_jump(rig, &f, "not-logged-in");
	f = jump(rig, rig->next_conn, "web1", 22); /* through itself */
	expect_no_jump(rig, &f, "not-logged-in");
	not_in = connect_known(rig);
	f = jump(rig, not_in.id, "web1", 22);
	expect_alarm(rig, not_in.id);
	expect_no_jump(rig, &f, "not-logged-in");
	ask(&not_in, "alice", alice, NULL); /* offered is not proved */
	expect_answer(&not_in, POL_AUTH_PK_OK);
	f = jump(rig, not_in.id, "web1", 22);
	expect_alarm(rig, not_in.id);
	expect_no_jump(rig, &f, "not-logged-in");
	with_host = log_in(rig, 1);
	f = jump(rig, with_host.id, "web1", 22);
	expect_alarm(rig, with_host.id);
	expect_no_jump(rig, &f, "not-logged-in");
	outer = log_in_outside(rig);
	f = jump(rig, outer.id, "nowhere", 22);
	expect_no_jump(rig, &f, "unknown-host");
	f = jump(rig, outer.id, "web1", 23);
	expect_no_jump(rig, &f, "port-not-allowed");
	f = jump(rig, outer.id, "", 22);
	expect_no_jump(rig, &f, "bad-name");
	/* The outer one is over. */
	MUST(ipc_plain_send(rig->broker, POL_CONN_GONE, outer.id, NULL, 0, NULL, 0));
	f = jump(rig, outer.id, "web1", 22);
	expect_no_jump(rig, &f, "not-logged-in");
	fd_close(&outer.fd);
	fd_close(&not_in.fd);
	fd_close(&with_host.fd);
	still_serves(rig, 2);
}

static void
test_a_jump_and_its_grant(void **state)
{
	struct rig *rig = *state;
	struct front outer, inner;
	struct json_node *j;
	struct ipc_msg msg;
	const struct json_node *through;

	load_usual(rig);
	outer = log_in_outside(rig);
	inner = jump(rig, outer.id, "WEB1.", 22);
	msg = expect(rig->broker, POL_JUMPED, inner.id);
	assert_int_equal(msg.data[0], 1);
	tell_session_id(rig, &inner);
	ask_none(&inner, "root");
	(void)expect(rig->broker, POL_AUTHENTICATED, inner.id);
	msg = expect(rig->broker, POL_GRANT, 1);
	assert_memory_equal(msg.data, "\0\0\0\2", 4);
	expect_answer(&inner, POL_AUTH_SUCCESS);
	j = event(rig, "auth.allowed");
	assert_string_equal(json_str(json_get(j, "claim"), ""), "root");
	assert_string_equal(json_str(json_get(j, "identity"), ""), "alice");
	assert_string_equal(json_str(json_get(j, "login"), ""), "root");
	assert_string_equal(json_str(json_get(j, "host"), ""), "web1");
	assert_string_equal(json_str(json_get(j, "source"), ""), "192.0.2.7:40000");
	assert_string_equal(json_str(json_get(j, "method"), ""), "none");
	assert_string_equal(json_str(json_get(json_get(j, "credential"), "type"), ""), "key");
	through = json_get(j, "jump");
	assert_int_equal(json_u64(json_get(through, "conn"), 0), outer.id);
	assert_int_equal(strlen(json_str(json_get(through, "ref"), "")), 16);
	json_node_free(j);
	/* The inner one is no place to jump from. */
	outer.id = inner.id;
	inner = jump(rig, outer.id, "web1", 22);
	expect_alarm(rig, outer.id);
	expect_no_jump(rig, &inner, "not-logged-in");
	fd_close(&outer.fd);
}

static void
test_an_inner_login_that_is_refused(void **state)
{
	struct rig *rig = *state;
	struct front outer, inner;

	load_usual(rig);
	outer = log_in_outside(rig);
	inner = jump(rig, outer.id, "web1", 2222);
	expect_jump(rig, &inner);
	ask_none(&inner, "nobody");
	expect_denied(rig, &inner, "host-not-allowed");
	fd_close(&inner.fd);
	inner = jump(rig, outer.id, "web1", 22);
	expect_jump(rig, &inner);
	tell_session_id(rig, &inner);
	ask(&inner, "root", stranger, stranger);
	expect_denied(rig, &inner, "unknown-key");
	fd_close(&inner.fd);
	/* The outer connection has lost nothing by that. */
	inner = jump(rig, outer.id, "web1", 22);
	expect_jump(rig, &inner);
	ask_none(&inner, "root");
	expect_grant(rig, &inner, 1);
	fd_close(&inner.fd);
	fd_close(&outer.fd);
}

static void
test_a_jump_by_a_policy_that_changed(void **state)
{
	struct rig *rig = *state;
	struct front outer, inner, f;
	char text[600];

	load_usual(rig);
	outer = log_in_outside(rig);
	inner = jump(rig, outer.id, "web1", 22);
	expect_jump(rig, &inner);
	assert_int_equal(load(rig, 1,
			     "  - {name: r, who: {users: [alice]}, where: {hosts: [web1]}, as: "
			     "[deploy], may: [shell]}\n",
			     text, sizeof(text)),
	    1);
	ask_none(&inner, "root");
	expect_denied(rig, &inner, "host-not-allowed");
	assert_int_equal(
	    load(rig, 1, "  - {name: r, deny: true, who: {users: [alice]}}\n", text, sizeof(text)),
	    1);
	f = jump(rig, outer.id, "web1", 22);
	expect_no_jump(rig, &f, "host-not-allowed");
	fd_close(&inner.fd);
	fd_close(&outer.fd);
}

/* A refusal takes its time, the same for each name, and one that is taken back is never said. */
static void
test_a_refused_jump_that_nobody_waits_for(void **state)
{
	struct rig *rig = *state;
	struct front outer, f;

	load_usual(rig);
	outer = log_in_outside(rig);
	f = jump(rig, outer.id, "nowhere", 22);
	MUST(ipc_plain_send(rig->broker, POL_CONN_GONE, f.id, NULL, 0, NULL, 0));
	event_with(rig, "jump.denied", "reason", "unknown-host");
	expect_silence(rig->broker, 50);
	fd_close(&f.fd);
	fd_close(&outer.fd);
	still_serves(rig, 1);
}

#ifndef WITH_SANITIZER
/* The bastion's own shell. */

#define HOST_RULES                                                                                 \
	"  - {name: r, who: {users: [alice]}, where: {hosts: [web1]}, as: [root, deploy], may: "   \
	"[shell]}\n"
#define NOT_YOURS "there is no such host, or it is not open to you"

static void
want_shell(struct rig *rig, uint32_t conn)
{
	MUST(ipc_plain_send(rig->broker, POL_WANT_SHELL, conn, NULL, 0, NULL, 0));
}

static void
expect_no_shell(struct rig *rig, uint32_t conn, const char *part)
{
	struct ipc_msg msg = expect(rig->broker, POL_NO_SHELL, conn);

	scratch[IPC_HEADER + msg.len] = '\0';
	assert_non_null(strstr((const char *)msg.data + 4, part));
}

/* Alice is in without a host and has her shell on leg; returns its edge. */
static int
shell_of(struct rig *rig, const struct front *f, uint32_t leg)
{
	want_shell(rig, f->id);
	(void)expect(rig->broker, POL_GRANT, leg);
	json_node_free(event(rig, "shell.allowed"));
	return give_edge(rig, POL_SHELL_EDGE, leg, NULL, 0);
}

static void
shell_ask(int fd, const char *verb, const char *what)
{
	struct buf *b = buf_new(1024);

	if (verb != NULL)
		MUST(buf_put_cstr(b, verb));
	MUST(buf_put_cstr(b, what));
	MUST(ipc_plain_send(fd, verb != NULL ? POL_SHELL_ASK : POL_SHELL_CONNECT, 0, buf_ptr(b),
	    buf_len(b), NULL, 0));
	buf_free(b);
}

/* The text of an answer in one part. */
static const char *
shell_answer(int fd, uint8_t code)
{
	static char text[8192];
	struct ipc_msg msg = expect(fd, POL_SHELL_ANSWER, 0);
	struct buf *b = buf_view(msg.data, msg.len);

	want_u8(b, code);
	MUST(buf_get_cstr(b, text, sizeof(text)));
	MUST(buf_end(b));
	buf_free(b);
	return text;
}

static struct json_node *
shell_json(int fd, uint8_t code)
{
	const char *text = shell_answer(fd, code);
	struct json_node *j = NULL;

	MUST(json_parse(text, strlen(text), &j));
	return j;
}

static void
expect_connected(int fd, uint32_t leg, const char *line)
{
	struct ipc_msg msg = expect(fd, POL_SHELL_CONNECTED, 0);
	struct buf *b = buf_view(msg.data, msg.len);
	char got[700];
	uint32_t n;

	MUST(buf_get_u32(b, &n));
	MUST(buf_get_cstr(b, got, sizeof(got)));
	MUST(buf_end(b));
	buf_free(b);
	assert_int_equal(n, leg);
	assert_string_equal(got, line);
}

/* Until policy has noticed that its recorder is gone: the edges are apart. */
static void
wait_without_recorder(struct rig *rig)
{
	for (int i = 0; i < 1000; i++) {
		struct ipc_msg msg;

		MUST(ipc_plain_send(rig->broker, POL_STATUS, 9, NULL, 0, NULL, 0));
		msg = expect(rig->broker, POL_STATUS_REPLY, 9);
		if (memmem(msg.data, msg.len, "\"recorder\":false", 16) != NULL)
			return;
	}
	fail_msg("policy does not notice that its recorder is gone");
}

static void
test_who_gets_no_shell(void **state)
{
	struct rig *rig = *state;
	struct front not_in, with_host, outer, inner;

	want_shell(rig, 999);
	expect_no_shell(rig, 999, "not valid");
	load_usual(rig);
	not_in = connect_known(rig);
	want_shell(rig, not_in.id);
	expect_alarm(rig, not_in.id);
	expect_no_shell(rig, not_in.id, "not valid");
	event_with(rig, "shell.denied", "reason", "not-logged-in");
	ask(&not_in, "alice", alice, NULL); /* offered is not proved */
	expect_answer(&not_in, POL_AUTH_PK_OK);
	want_shell(rig, not_in.id);
	expect_alarm(rig, not_in.id);
	expect_no_shell(rig, not_in.id, "not valid");
	event_with(rig, "shell.denied", "reason", "not-logged-in");
	with_host = log_in(rig, 1);
	want_shell(rig, with_host.id);
	expect_alarm(rig, with_host.id);
	expect_no_shell(rig, with_host.id, "not valid");
	event_with(rig, "shell.denied", "reason", "not-logged-in");
	/* Behind a jump there is the host and nothing else. */
	outer = log_in_outside(rig);
	inner = jump(rig, outer.id, "web1", 22);
	expect_jump(rig, &inner);
	want_shell(rig, inner.id);
	expect_alarm(rig, inner.id);
	expect_no_shell(rig, inner.id, "not valid");
	event_with(rig, "shell.denied", "reason", "not-logged-in");
	/* Nobody, while nothing can be recorded. */
	fd_close(&rig->recorder);
	wait_without_recorder(rig);
	want_shell(rig, outer.id);
	expect_no_shell(rig, outer.id, "cannot record");
	fd_close(&not_in.fd);
	fd_close(&with_host.fd);
	fd_close(&outer.fd);
	fd_close(&inner.fd);
}

static void
test_a_shell_and_its_grant(void **state)
{
	struct rig *rig = *state;
	struct ipc_msg msg;
	struct front f;
	const uint8_t *part;
	struct buf *b;
	uint32_t via;
	uint8_t kind;
	size_t len;

	load_usual(rig);
	f = log_in_outside(rig);
	want_shell(rig, f.id);
	msg = expect(rig->broker, POL_GRANT, 1);
	b = buf_view(msg.data, msg.len);
	want_u32(b, f.id);
	MUST(buf_get_str(b, &part, &len)); /* metadata: identity, host "-" */
	assert_non_null(memmem(part, len, "\1\0\0\0\5alice\3\0\0\0\1-", 16));
	for (int i = 0; i < 2; i++) {
		MUST(buf_get_str(b, &part, &len));
		assert_int_equal(len, 0);
	}
	MUST(buf_get_u8(b, &kind));
	MUST(buf_get_u32(b, &via));
	MUST(buf_end(b));
	buf_free(b);
	assert_int_equal(kind, POL_BACK_SHELL);
	assert_int_equal(via, 0);
	event_with(rig, "shell.allowed", "identity", "alice");
	fd_close(&f.fd);
	still_serves(rig, 2);
}

static void
test_edges_that_are_no_shells(void **state)
{
	struct rig *rig = *state;
	struct front f;
	int fd;

	load_usual(rig);
	fd = give_edge(rig, POL_SHELL_EDGE, 77, NULL, 0);
	expect_closed(fd);
	fd_close(&fd);
	f = log_in(rig, 1);
	fd = give_edge(rig, POL_SHELL_EDGE, 1, NULL, 0);
	expect_closed(fd);
	fd_close(&fd);
	fd_close(&f.fd);
}

static void
test_a_shell_that_breaks_rules_is_cut_off(void **state)
{
	static const struct {
		const char *verb, *what;
		bool twice;
	} rows[] = {
		{ "nothing", "", false },
		{ "", "", false },
		{ "explain", "nowhere", true },
		{ NULL, "nowhere", true },
	};
	struct rig *rig = *state;
	uint32_t leg = 1;

	load_usual(rig);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct front f = log_in_outside(rig);
		int fd = shell_of(rig, &f, leg++);

		shell_ask(fd, rows[i].verb, rows[i].what);
		if (rows[i].twice)
			shell_ask(fd, rows[i].verb, rows[i].what);
		expect_closed(fd);
		if (rows[i].verb == NULL)
			event_with(rig, "connect.denied", "reason", "unknown-host");
		fd_close(&fd);
		fd_close(&f.fd);
	}
	still_serves(rig, leg);
}

static void
test_what_a_shell_is_told(void **state)
{
	struct rig *rig = *state;
	const struct json_node *host;
	struct json_node *j;
	char *unknown, *other;
	struct front f;
	int fd;

	assert_int_equal(load(rig, 1, HOST_RULES, (char[600]){ 0 }, 600), 1);
	f = log_in_outside(rig);
	fd = shell_of(rig, &f, 1);
	shell_ask(fd, "hosts", "");
	j = shell_json(fd, 0);
	assert_int_equal(json_n(j), 1);
	host = json_at(j, 0);
	assert_string_equal(json_str(json_get(host, "host"), ""), "web1");
	assert_int_equal(json_n(json_get(host, "logins")), 2);
	assert_string_equal(
	    json_str(json_get(json_at(json_get(host, "logins"), 1), "login"), ""), "deploy");
	json_node_free(j);
	shell_ask(fd, "whoami", "");
	j = shell_json(fd, 0);
	assert_string_equal(json_str(json_get(j, "identity"), ""), "alice");
	assert_string_equal(json_str(json_at(json_get(j, "groups"), 0), ""), "sre");
	assert_string_equal(json_str(json_get(json_get(j, "credential"), "type"), ""), "key");
	assert_string_equal(json_str(json_get(j, "source"), ""), "192.0.2.7:40000");
	json_node_free(j);
	shell_ask(fd, "explain", "root@web1");
	j = shell_json(fd, 0);
	assert_true(json_bool(json_get(j, "allowed"), false));
	assert_string_equal(json_str(json_get(j, "rule"), ""), "r");
	json_node_free(j);
	shell_ask(fd, "explain", "web1"); /* several logins are as good a yes */
	j = shell_json(fd, 0);
	assert_true(json_bool(json_get(j, "allowed"), false));
	json_node_free(j);
	/* What is not there and what is not hers. */
	shell_ask(fd, "explain", "nobody+web1");
	unknown = strdup(strstr(shell_answer(fd, 1), "\"text\""));
	shell_ask(fd, "explain", "nowhere");
	other = strdup(strstr(shell_answer(fd, 1), "\"text\""));
	assert_string_equal(unknown, other);
	free(unknown);
	free(other);
	shell_ask(fd, "explain", "a:b");
	assert_non_null(strstr(shell_answer(fd, 2), "write alice+a+b instead"));
	shell_ask(fd, "explain", "");
	(void)shell_answer(fd, 2);
	/* A policy that came meanwhile is the one that counts. */
	assert_int_equal(load(rig, 1, "  []\n", (char[600]){ 0 }, 600), 1);
	shell_ask(fd, "hosts", "");
	assert_string_equal(shell_answer(fd, 1), "[]");
	/* And so does the end of the connection. */
	MUST(ipc_plain_send(rig->broker, POL_CONN_GONE, f.id, NULL, 0, NULL, 0));
	MUST(ipc_plain_send(rig->broker, POL_STATUS, 9, NULL, 0, NULL, 0));
	(void)expect(rig->broker, POL_STATUS_REPLY, 9);
	shell_ask(fd, "whoami", "");
	assert_non_null(strstr(shell_answer(fd, 3), "not valid"));
	fd_close(&fd);
	fd_close(&f.fd);
}

static void
test_a_shell_connects(void **state)
{
	struct rig *rig = *state;
	struct ipc_msg msg;
	struct json_node *j;
	struct front f;
	int fd;

	assert_int_equal(load(rig, 1, HOST_RULES, (char[600]){ 0 }, 600), 1);
	f = log_in_outside(rig);
	fd = shell_of(rig, &f, 1);
	shell_ask(fd, NULL, "nowhere");
	expect_connected(fd, 0, NOT_YOURS);
	event_with(rig, "connect.denied", "reason", "unknown-host");
	shell_ask(fd, NULL, "nobody+web1");
	expect_connected(fd, 0, NOT_YOURS);
	event_with(rig, "connect.denied", "reason", "host-not-allowed");
	shell_ask(fd, NULL, "web1");
	expect_connected(fd, 0, "write alice+LOGIN+web1 with one of these logins: root, deploy");
	event_with(rig, "connect.denied", "reason", "several-logins");
	shell_ask(fd, NULL, "root+web1");
	expect_connected(fd, 2, "");
	msg = expect(rig->broker, POL_GRANT, 2);
	/* From its own front, by way of leg 1. */
	assert_memory_equal(msg.data, ((uint8_t[]){ 0, 0, 0, (uint8_t)f.id }), 4);
	assert_memory_equal(msg.data + msg.len - 5, "\1\0\0\0\1", 5);
	j = event(rig, "connect.allowed");
	assert_string_equal(json_str(json_get(j, "host"), ""), "web1");
	assert_string_equal(json_str(json_get(j, "login"), ""), "root");
	assert_string_equal(json_str(json_get(j, "rule"), ""), "r");
	assert_int_equal(json_u64(json_get(j, "leg"), 0), 2);
	json_node_free(j);
	expect_verdict(rig, 2, LINK_REQUEST, "shell", NULL, POL_ALLOW, NULL);
	/* Without a right to it any more. */
	assert_int_equal(load(rig, 1, "  []\n", (char[600]){ 0 }, 600), 1);
	shell_ask(fd, NULL, "root+web1");
	expect_connected(fd, 0, NOT_YOURS);
	event_with(rig, "connect.denied", "reason", "host-not-allowed");
	/* Its leg is void. */
	MUST(ipc_plain_send(rig->broker, POL_LEG_GONE, 1, NULL, 0, NULL, 0));
	expect_closed(fd);
	fd_close(&fd);
	fd_close(&f.fd);
}

static void
test_verdicts_on_a_shell(void **state)
{
	struct rig *rig = *state;
	struct front f;
	int fd;

	load_usual(rig);
	f = log_in_outside(rig);
	fd = shell_of(rig, &f, 1);
	expect_verdict(rig, 1, LINK_REQUEST, "shell", NULL, POL_ALLOW, NULL);
	expect_verdict(rig, 1, LINK_REQUEST, "exec", "hosts", POL_ALLOW, NULL);
	expect_verdict(rig, 1, LINK_REQUEST, "pty-req", "xterm", POL_ALLOW, NULL);
	expect_verdict(rig, 1, LINK_REQUEST, "subsystem", "sftp", POL_DENY,
	    "the bastion keeps no files: name a host, for example sftp root+web1@BASTION");
	expect_verdict(rig, 1, LINK_REQUEST, "auth-agent-req@openssh.com", NULL, POL_DENY,
	    "agent forwarding needs a host: ssh -A LOGIN+HOST@BASTION");
	expect_verdict(rig, 1, LINK_OPEN, "direct-streamlocal@openssh.com", NULL, POL_DENY,
	    "forwarding needs a host: ssh LOGIN+HOST@BASTION, or ssh -J BASTION LOGIN@HOST");
	expect_verdict(rig, 1, LINK_GLOBAL, "tcpip-forward", "x", POL_DENY,
	    "forwarding needs a host: ssh LOGIN+HOST@BASTION, or ssh -J BASTION LOGIN@HOST");
	expect_verdict(rig, 1, LINK_REQUEST, "unknown", NULL, POL_DENY,
	    "the bastion's own shell has no such request");
	fd_close(&fd);
	fd_close(&f.fd);
}

static void
test_the_sandbox_is_closed(void **state)
{
	struct rig *rig = *state;
	char path[64], *text = NULL;
	size_t len = 0;

	load_usual(rig); /* it has read a message, so its sandbox is closed */
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)rig->pid);
	{
		FILE *file = fopen(path, "r");

		assert_non_null(file);
		assert_true(getdelim(&text, &len, '\0', file) > 0);
		assert_int_equal(fclose(file), 0);
	}
	assert_non_null(strstr(text, "NoNewPrivs:\t1"));
	assert_non_null(strstr(text, "Seccomp:\t2"));
	free(text);
}
#endif

/* PAM. */

static void
load_keyboard(struct rig *rig)
{
	chain = "keyboard-interactive";
	load_usual(rig);
	chain = "publickey";
}

static void
ask_keyboard(const struct front *f, const char *user)
{
	const struct make_request q = { .user = user, .method = "keyboard-interactive" };
	size_t len;
	uint8_t *msg = make_request(&q, &len);

	MUST(ipc_plain_send(f->fd, POL_AUTH_REQUEST, 0, msg, len, NULL, 0));
	free(msg);
}

/* What policy wants of the broker about an attempt of this number. */
static void
expect_attempt(struct rig *rig, const struct front *f, uint16_t type, uint32_t attempt)
{
	struct ipc_msg msg = expect(rig->broker, type, f->id);
	const uint8_t want[8] = { 0, 0, 0, (uint8_t)attempt };

	assert_int_equal(msg.len, type == POL_WANT_AUTH ? 8 : 4);
	assert_memory_equal(msg.data, want, msg.len);
}

/* The end that a bastiond-auth would have. */
static int
give_auth(struct rig *rig, const struct front *f, uint32_t attempt)
{
	const uint8_t number[4] = { 0, 0, 0, (uint8_t)attempt };

	return give_edge(rig, POL_AUTH_EDGE, f->id, number, sizeof(number));
}

static void
say_gone(struct rig *rig, const struct front *f, uint32_t attempt, const char *how)
{
	struct buf *b = buf_new(64);

	MUST(buf_put_u32(b, attempt));
	MUST(buf_put_cstr(b, how));
	MUST(ipc_plain_send(rig->broker, POL_AUTH_GONE, f->id, buf_ptr(b), buf_len(b), NULL, 0));
	buf_free(b);
}

static void
say_result(int auth, enum pol_pam result, const char *user, const char *group)
{
	struct buf *b = buf_new(512);

	MUST(buf_put_u8(b, (uint8_t)result));
	MUST(buf_put_cstr(b, "account"));
	MUST(buf_put_cstr(b, "words"));
	MUST(buf_put_cstr(b, user));
	MUST(buf_put_u32(b, group != NULL ? 1 : 0));
	if (group != NULL)
		MUST(buf_put_cstr(b, group));
	MUST(buf_put_cstr(b, ""));
	MUST(ipc_plain_send(auth, POL_PAM_RESULT, 0, buf_ptr(b), buf_len(b), NULL, 0));
	buf_free(b);
}

/* Up to a conversation that may say how it came out. */
static int
converse(struct rig *rig, const struct front *f, uint32_t attempt)
{
	int auth;

	ask_keyboard(f, "alice+root+web1");
	expect_attempt(rig, f, POL_WANT_AUTH, attempt);
	auth = give_auth(rig, f, attempt);
	(void)expect(auth, POL_PAM_START, 0);
	return auth;
}

static void
expect_pam_denied(struct rig *rig, const struct front *f, const char *reason)
{
	expect_answer(f, POL_AUTH_FAILURE);
	event_with(rig, "auth.denied", "reason", reason);
	expect_failed(rig, f, POL_FAILURE_AUTH);
}

static void
expect_start(int auth)
{
	static const char *const texts[] = { "root@web1", NULL, "" };
	struct ipc_msg msg = expect(auth, POL_PAM_START, 0);
	struct buf *b = buf_view(msg.data, msg.len);
	char text[300];
	uint64_t ns;
	uint32_t port;

	MUST(buf_get_cstr(b, text, sizeof(text)));
	assert_string_equal(text, "alice");
	MUST(buf_get_cstr(b, text, sizeof(text)));
	assert_string_equal(text, "192.0.2.7");
	MUST(buf_get_u32(b, &port));
	assert_int_equal(port, 40000);
	for (int i = 0; i < 3; i++) {
		MUST(buf_get_cstr(b, text, sizeof(text)));
		if (texts[i] != NULL)
			assert_string_equal(text, texts[i]);
		else
			assert_int_equal(strlen(text), 16); /* the reference */
	}
	MUST(buf_get_u64(b, &ns));
	assert_true(ns == 300 * CLOCK_NS_PER_S);
	MUST(buf_end(b));
	buf_free(b);
}

static void
test_pam_lets_in_and_is_told_for_whom(void **state)
{
	struct rig *rig = *state;
	struct front f;
	int auth;

	load_keyboard(rig);
	f = connect_known(rig);
	ask_keyboard(&f, "alice+root+web1");
	expect_attempt(rig, &f, POL_WANT_AUTH, 1);
	auth = give_auth(rig, &f, 1);
	expect_start(auth);
	say_result(auth, POL_PAM_OK, "alice", NULL);
	(void)expect(rig->broker, POL_AUTHENTICATED, f.id);
	(void)expect(rig->broker, POL_GRANT, 1);
	expect_answer(&f, POL_AUTH_SUCCESS);
	json_node_free(event(rig, "auth.allowed"));
	/* It has been heard: that is all. */
	expect_closed(auth);
	say_gone(rig, &f, 1, "exit 0");
	expect_silence(f.fd, 20);
	fd_close(&auth);
	fd_close(&f.fd);
}

static void
test_a_conversation_that_says_nothing_is_a_no(void **state)
{
	static const char *const ends[] = { "signal 11", "exit 0", "not-started", "timeout" };
	struct rig *rig = *state;

	load_keyboard(rig);
	for (unsigned i = 0; i < 4; i++) {
		struct front f = connect_known(rig);
		int auth = -1;

		ask_keyboard(&f, "alice+root+web1");
		expect_attempt(rig, &f, POL_WANT_AUTH, 1);
		if (i < 2) {
			auth = give_auth(rig, &f, 1);
			(void)expect(auth, POL_PAM_START, 0);
			fd_close(&auth);
			expect_silence(f.fd, 20);
		}
		/* Of another attempt: nothing. */
		say_gone(rig, &f, 2, "exit 0");
		expect_silence(f.fd, 20);
		say_gone(rig, &f, 1, ends[i]);
		expect_pam_denied(rig, &f, i == 3 ? "pam-abandoned" : "pam-broken");
		fd_close(&f.fd);
	}
}

static void
test_bad_results_are_none(void **state)
{
	struct rig *rig = *state;

	load_keyboard(rig);
	for (int i = 0; i < 3; i++) {
		struct front f = connect_known(rig);
		int auth = converse(rig, &f, 1);

		if (i == 0)
			MUST(ipc_plain_send(auth, POL_PAM_RESULT, 0,
			    "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22, NULL, 0));
		else
			say_result(auth, i == 1 ? (enum pol_pam)9 : POL_PAM_OK, "alice",
			    i == 1 ? NULL : "a\nb");
		expect_attempt(rig, &f, POL_STOP_AUTH, 1);
		say_gone(rig, &f, 1, "signal 9");
		expect_pam_denied(rig, &f, "pam-broken");
		fd_close(&auth);
		fd_close(&f.fd);
	}
}

static void
test_an_abandoned_conversation_counts_no_more(void **state)
{
	struct rig *rig = *state;
	struct front f;
	int auth, next;

	load_keyboard(rig);
	f = connect_known(rig);
	auth = converse(rig, &f, 1);
	MUST(ipc_plain_send(f.fd, POL_AUTH_ABANDON, 0, NULL, 0, NULL, 0));
	expect_attempt(rig, &f, POL_STOP_AUTH, 1);
	expect_pam_denied(rig, &f, "pam-abandoned");
	expect_closed(auth);
	fd_close(&auth);
	/* The next one waits until the first is dead, and its edge is not taken for the second's. */
	ask_keyboard(&f, "alice+root+web1");
	expect_attempt(rig, &f, POL_STOP_AUTH, 1);
	auth = give_auth(rig, &f, 1);
	expect_closed(auth);
	fd_close(&auth);
	say_gone(rig, &f, 1, "signal 9");
	expect_attempt(rig, &f, POL_WANT_AUTH, 2);
	next = give_auth(rig, &f, 2);
	(void)expect(next, POL_PAM_START, 0);
	say_result(next, POL_PAM_DENIED, "alice", NULL);
	expect_pam_denied(rig, &f, "pam-denied");
	fd_close(&next);
	fd_close(&f.fd);
}

static void
test_what_was_not_asked_cannot_be_abandoned(void **state)
{
	struct rig *rig = *state;
	struct front f;

	load_keyboard(rig);
	f = connect_known(rig);
	MUST(ipc_plain_send(f.fd, POL_AUTH_ABANDON, 0, NULL, 0, NULL, 0));
	expect_closed(f.fd);
	fd_close(&f.fd);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* A front that was cut off has no conversation either: what that comes to lets nobody in. */
static void
test_a_front_that_is_cut_off_asks_for_nothing(void **state)
{
	struct rig *rig = *state;
	struct front f;
	int auth;

	load_keyboard(rig);
	f = connect_known(rig);
	auth = converse(rig, &f, 1);
	ask_keyboard(&f, "alice+root+web1"); /* a second request before the answer */
	event_with(rig, "front.alarm", "reason", "rules-broken");
	expect_failed(rig, &f, POL_FAILURE_ALARM);
	expect_attempt(rig, &f, POL_STOP_AUTH, 1);
	expect_closed(auth);
	expect_silence(rig->broker, 100);
	fd_close(&auth);
	fd_close(&f.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_login_and_its_grant),
		T(test_numbers_of_legs),
		T(test_before_and_after_a_load),
		T(test_evidence_before_its_session_id),
		T(test_a_session_id_before_its_connection),
		T(test_only_the_first_session_id_counts),
		T(test_a_replay_on_another_connection),
		T(test_a_second_request_before_the_answer),
		T(test_after_the_last_answer_nothing_follows),
		T(test_another_user_name),
		T(test_tries_end),
		T(test_bytes_that_are_no_requests),
		T(test_many_at_once),
		T(test_failures_take_their_time),
		T(test_the_delay_belongs_to_the_name),
		T(test_an_offer_that_stays_one),
		T(test_without_a_recorder),
		T(test_verdicts),
		T(test_long_questions),
		T(test_a_piece_of_no_question_ends_the_edge),
		T(test_a_forced_command),
		T(test_expired_hides_nothing),
		T(test_host_certificates),
		T(test_what_the_vault_tells),
		T(test_status),
		T(test_pam_lets_in_and_is_told_for_whom),
		T(test_a_conversation_that_says_nothing_is_a_no),
		T(test_bad_results_are_none),
		T(test_an_abandoned_conversation_counts_no_more),
		T(test_what_was_not_asked_cannot_be_abandoned),
		T(test_a_front_that_is_cut_off_asks_for_nothing),
		T(test_jumps_that_lead_nowhere),
		T(test_a_jump_and_its_grant),
		T(test_an_inner_login_that_is_refused),
		T(test_a_jump_by_a_policy_that_changed),
		T(test_a_refused_jump_that_nobody_waits_for),
#ifndef WITH_SANITIZER
		T(test_who_gets_no_shell),
		T(test_a_shell_and_its_grant),
		T(test_edges_that_are_no_shells),
		T(test_a_shell_that_breaks_rules_is_cut_off),
		T(test_what_a_shell_is_told),
		T(test_a_shell_connects),
		T(test_verdicts_on_a_shell),
		T(test_the_sandbox_is_closed),
#endif
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
