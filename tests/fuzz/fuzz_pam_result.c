/*
 * POL_PAM_RESULT as policy reads it, at the end of a login by keyboard-interactive as alice. Input: one byte (1: PAM may name
 * another person, 2: it may name groups, 4: the host is one that only a group reaches, 8: the user name says the login on the host
 * and no person), the message. A session is granted only by a well-formed outcome that says yes, of alice, or where PAM may name
 * somebody and the user name does not, and for that host of the group. A broken one has the conversation ended.
 */
#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "policy/policy_proto.h"
#include "policy/serve_int.h"
#include "recorder/recorder_proto.h"

#define NAMES 1u
#define GROUPS 2u
#define BY_GROUP 4u
#define NO_PERSON 8u
#define CONN 1u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char policy[] =
    "users: {alice: {groups: [sre]}, bob: {groups: [sre]}}\n"
    "hosts:\n"
    "  web1: {address: 10.0.0.1, key: fleet, host_keys: [\"ssh-ed25519 "
    "AAAAC3NzaC1lZDI1NTE5AAAAILLKMTZS27Q5BF8LSV+NySODX7td14TFUkPblZiHNPje\"]}\n"
    "  safe: {address: 10.0.0.2, key: fleet, host_keys: [\"ssh-ed25519 "
    "AAAAC3NzaC1lZDI1NTE5AAAAILLKMTZS27Q5BF8LSV+NySODX7td14TFUkPblZiHNPje\"]}\n"
    "rules:\n"
    "  - {name: r, who: {users: [alice, bob]}, where: {hosts: [web1]}, as: [root], may: [shell]}\n"
    "  - {name: g, who: {groups: [ops]}, where: {hosts: [safe]}, as: [root], may: [shell]}\n";

static struct loop *loop;
static uint8_t in[IPC_HEADER + IPC_MAX];

/* Our ends, and what the outcome was when policy took it for one. */
static struct world {
	struct serve *s;
	struct serve_conn *conn;
	int broker, recorder, front, auth;
	void (*done)(struct serve_pam *p, const struct auth_pam *pam);
	bool told, yes, alice, ops;
} w;

static void
must(bool good)
{
	if (!good)
		abort();
}

static struct set *
make_set(uint8_t flags)
{
	char err[SET_ERR_SIZE];
	struct set *s = set_new();

	must(s != NULL);
	must(set_add_file(s, POL_FILE_POLICY, "p", policy, strlen(policy), NULL, err) == 0);
	must(set_add_chain(s, "keyboard-interactive", err) == 0 && set_finish(s, 100, err) == 0);
	s->identity_from_pam = (flags & NAMES) != 0;
	s->groups_from_pam = (flags & GROUPS) != 0;
	s->pam_timeout_ns = 60000000000u;
	return s;
}

static void
check_text(const char *s)
{
	for (; *s != '\0'; s++)
		must((unsigned char)*s >= ' ' && *s != 0x7f);
}

/* In front of what policy does with it. */
static void
on_done(struct serve_pam *p, const struct auth_pam *pam)
{
	must(!w.told && pam->result >= POL_PAM_OK && pam->result <= POL_PAM_ABANDONED);
	must(pam->n_groups <= POL_PAM_GROUPS_MAX);
	check_text(pam->stage);
	check_text(pam->said);
	check_text(pam->subject);
	w.told = true;
	w.yes = pam->result == POL_PAM_OK;
	w.alice = strcmp(pam->user, "alice") == 0;
	for (size_t i = 0; i < pam->n_groups; i++) {
		check_text(pam->groups[i]);
		w.ops = w.ops || strcmp(pam->groups[i], "ops") == 0;
	}
	w.done(p, pam);
}

/* Of the form of policy_proto.h, to its last byte. */
static bool
is_whole(const uint8_t *data, size_t size)
{
	struct buf *b = buf_view(data, size);
	const uint8_t *p;
	uint8_t kind;
	uint32_t n;
	size_t len;
	bool good;

	must(b != NULL);
	good = buf_get_u8(b, &kind) == 0;
	for (int i = 0; good && i < 3; i++)
		good = buf_get_str(b, &p, &len) == 0;
	good = good && buf_get_u32(b, &n) == 0;
	for (uint32_t i = 0; good && i < n; i++)
		good = buf_get_str(b, &p, &len) == 0;
	good = good && buf_get_str(b, &p, &len) == 0 && buf_end(b) == 0;
	buf_free(b);
	return good;
}

static void
turn(void)
{
	for (int i = 0; i < 3; i++)
		must(loop_pass(loop, 0) == 0);
}

/* The end to give away. */
static int
pair(int *ret_ours)
{
	int fds[2];

	must(ipc_pair(fds) == 0 && ipc_plain_hello(fds[0]) == 0);
	*ret_ours = fds[0];
	return fds[1];
}

/* A client's connection, whose session id is known. */
static void
connect_front(void)
{
	static const uint8_t sid[32] = { 1 };
	struct buf *b = buf_new(256);
	struct ipc_msg msg = { .id = CONN, .n_fds = 1 };

	must(b != NULL && buf_put_cstr(b, "192.0.2.7") == 0 && buf_put_u32(b, 40000) == 0);
	must(buf_put_cstr(b, "127.0.0.1") == 0 && buf_put_u32(b, 2222) == 0);
	memcpy(in, buf_ptr(b), buf_len(b));
	msg.data = in;
	msg.len = buf_len(b);
	msg.fds[0] = pair(&w.front);
	must(serve_conn_add(w.s, &msg) == 0);
	serve_conn_session_id(w.s, CONN, sid, sizeof(sid));
	must((w.conn = serve_conn_find(w.s, CONN)) != NULL);
	buf_free(b);
}

static void
ask(const char *user)
{
	struct buf *b = buf_new(256);

	must(b != NULL && buf_put_u8(b, 50) == 0 && buf_put_cstr(b, user) == 0);
	must(
	    buf_put_cstr(b, "ssh-connection") == 0 && buf_put_cstr(b, "keyboard-interactive") == 0);
	must(buf_put_cstr(b, "") == 0 && buf_put_cstr(b, "") == 0);
	must(ipc_plain_send(w.front, POL_AUTH_REQUEST, 0, buf_ptr(b), buf_len(b), NULL, 0) == 0);
	buf_free(b);
	turn();
}

/* As the broker does when policy wants a conversation. */
static void
start_auth(void)
{
	static uint8_t number[4] = { 0, 0, 0, 1 };
	struct ipc_msg msg = { .id = CONN, .data = number, .len = 4, .n_fds = 1 };

	must(w.conn->auth.asking && w.conn->pam.state == SERVE_PAM_WANTED);
	msg.fds[0] = pair(&w.auth);
	must(serve_auth_edge(w.s, &msg) == 0 && w.conn->pam.edge != NULL);
	w.done = w.conn->pam.done;
	w.conn->pam.done = on_done;
}

static void
start(uint8_t flags)
{
	char user[32];

	w = (struct world){ .broker = -1 };
	must(serve_new(loop, NULL, pair(&w.broker), &w.s) == 0);
	w.s->set = make_set(flags);
	must(serve_recorder_edge(w.s, pair(&w.recorder)) == 0);
	connect_front();
	(void)snprintf(user, sizeof(user), "%sroot+%s", (flags & NO_PERSON) != 0 ? "" : "alice+",
	    (flags & BY_GROUP) != 0 ? "safe" : "web1");
	ask(user);
	start_auth();
}

static void
check_granted(uint8_t flags, bool stopped, bool granted)
{
	struct ipc_msg msg;

	must(stopped == !w.told);
	if (!granted) {
		must(w.conn->auth.pass.n_factors == 0 && w.s->n_legs == 0);
		must(ipc_plain_recv(w.front, in, &msg, 0) != 0 || msg.data[0] != POL_AUTH_SUCCESS);
		return;
	}
	must(w.told && w.yes);
	must((flags & NO_PERSON) != 0 ? (flags & NAMES) != 0 : w.alice);
	must((flags & BY_GROUP) == 0 || ((flags & GROUPS) != 0 && w.ops));
	must(ipc_plain_recv(w.front, in, &msg, 0) == 0 && msg.data[0] == POL_AUTH_SUCCESS);
}

static void
check(uint8_t flags)
{
	bool stopped = false, granted = false;
	struct ipc_msg msg;

	while (ipc_plain_recv(w.broker, in, &msg, 0) == 0) {
		stopped = stopped || msg.type == POL_STOP_AUTH;
		granted = granted || msg.type == POL_GRANT;
	}
	check_granted(flags, stopped, granted);
	while (ipc_plain_recv(w.recorder, in, &msg, 0) == 0) {
		must(msg.type == POL_AUDIT && msg.len <= REC_AUDIT_MAX);
		for (size_t i = 0; i < msg.len; i++)
			must(msg.data[i] >= ' ' && msg.data[i] <= '~');
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (loop == NULL) {
		log_init("fuzz", LOG_LEVEL_ERR - 1);
		must(loop_new(&loop) == 0);
	}
	if (size < 1 || size - 1 > IPC_MAX)
		return 0;
	start(data[0]);
	must(ipc_plain_send(w.auth, POL_PAM_RESULT, 0, data + 1, size - 1, NULL, 0) == 0);
	turn();
	must(!w.told || is_whole(data + 1, size - 1));
	check(data[0]);
	serve_free(w.s);
	fd_close(&w.broker);
	fd_close(&w.recorder);
	fd_close(&w.front);
	fd_close(&w.auth);
	return 0;
}
