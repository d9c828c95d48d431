/*
 * The bastion's own shell with all its peers played here: the recorder's two sides of it, policy, the broker, a reader. What it says to
 * whom in which order, that it keeps to the link's rules and to credit, and what is left when somebody dies.
 */
#include "config.h"

#include <unistd.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/shell/shell.h"
#include "lib/file.h"
#include "policy/policy_proto.h"
#include "recorder/recorder_proto.h"
#include "tests/lib/test.h"

static struct shell sh;
static int broker, front, policy, host; /* our ends; -1 closed */
static int shell_ends[3];
static uint8_t space[IPC_HEADER + IPC_MAX];
static struct ipc_msg msg;
static unsigned sandboxed;

static int
close_nothing(void)
{
	sandboxed++;
	return 0;
}

static void
run(void)
{
	for (int i = 0; i < 8; i++)
		assert_int_equal(loop_pass(sh.loop, 0), 0);
}

static int
join_pair(int *ret_other)
{
	int pair[2];

	assert_int_equal(ipc_pair(pair), 0);
	assert_int_equal(ipc_plain_hello(pair[0]), 0);
	*ret_other = pair[1];
	return pair[0];
}

static void
say(int fd, uint16_t type, uint32_t id, const void *data, size_t len)
{
	assert_int_equal(ipc_plain_send(fd, type, id, data, len, NULL, 0), 0);
	run();
}

/* One message, or false when there is none. */
static bool
take(int fd)
{
	ipc_msg_close(&msg);
	msg.n_fds = 0;
	return ipc_plain_recv(fd, space, &msg, 0) == 0;
}

static void
want(int fd, uint16_t type, const void *data, size_t len)
{
	assert_true(take(fd));
	assert_int_equal(msg.type, type);
	assert_int_equal(msg.len, len);
	if (len > 0)
		assert_memory_equal(msg.data, data, len);
}

#define WANT(fd, type, text) want(fd, type, text, sizeof(text) - 1)
#define SAY(fd, type, id, text) say(fd, type, id, text, sizeof(text) - 1)

/* Data, until something else comes; that is in msg then. Returns its length; text: of size bytes. */
static size_t
want_text(int fd, uint16_t type, char *text, size_t size)
{
	size_t n = 0, head = type == LINK_DATA_EXT ? 4 : 0;

	while (take(fd) && msg.type == type) {
		size_t len = msg.len - head;

		if (n + len < size)
			memcpy(text + n, msg.data + head, len);
		n += len;
	}
	if (size > 0)
		text[n < size ? n : size - 1] = '\0';
	return n;
}

static int
set_up(void **state)
{
	const uint8_t ready = LINK_NOTE_READY;

	(void)state;
	broker = join_pair(&shell_ends[0]);
	front = join_pair(&shell_ends[1]);
	policy = join_pair(&shell_ends[2]);
	host = -1;
	sandboxed = 0;
	assert_int_equal(
	    shell_init(&sh, &(struct shell_fds){ shell_ends[0], shell_ends[1], shell_ends[2] },
		close_nothing),
	    0);
	assert_int_equal(sandboxed, 1);
	SAY(broker, BRK_SHELL_START, 1, "\0\0\0\0");
	want(front, LINK_NOTE, &ready, 1);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	shell_done(&sh);
	ipc_msg_close(&msg);
	msg.n_fds = 0;
	fd_close(&broker);
	fd_close(&front);
	fd_close(&policy);
	fd_close(&host);
	return 0;
}

static void
open_channel(uint32_t id)
{
	SAY(front, LINK_OPEN, id, "\0\0\0\7session");
	WANT(front, LINK_OPEN_OK, "");
	assert_int_equal(msg.id, id);
}

/* A command on a new channel. */
static void
exec(uint32_t id, const char *command)
{
	struct buf *b = buf_new(4096);

	open_channel(id);
	assert_int_equal(buf_put(b, "\0\0\0\1\0\0\0\4exec\1", 13), 0);
	assert_int_equal(buf_put_cstr(b, command), 0);
	say(front, LINK_REQUEST, id, buf_ptr(b), buf_len(b));
	buf_free(b);
	WANT(front, LINK_REPLY, "\0\0\0\1\1");
}

static void
want_end(uint32_t status)
{
	assert_int_equal(msg.type, LINK_EXIT_STATUS);
	assert_int_equal(msg.data[3], status);
	WANT(front, LINK_EOF, "");
	WANT(front, LINK_CLOSE, "");
}

static void
answer_part(uint8_t code, uint32_t more, const char *text, size_t len)
{
	struct buf *b = buf_new(IPC_MAX);

	assert_int_equal(buf_put_u8(b, code), 0);
	assert_int_equal(buf_put_str(b, text, len), 0);
	say(policy, POL_SHELL_ANSWER, more, buf_ptr(b), buf_len(b));
	buf_free(b);
}

static void
answer(uint8_t code, const char *text)
{
	answer_part(code, 0, text, strlen(text));
}

/* A terminal and a shell on channel 1, with two variables, and its hosts. */
static void
open_picker(const char *hosts)
{
	open_channel(1);
	SAY(front, LINK_REQUEST, 1,
	    "\0\0\0\1\0\0\0\7pty-req\1\0\0\0\5xterm\0\0\0\120\0\0\0\30\0\0\0\1\0\0\0\2\0\0\0\3abc");
	WANT(front, LINK_REPLY, "\0\0\0\1\1");
	SAY(front, LINK_REQUEST, 1, "\0\0\0\2\0\0\0\3env\0\0\0\0\4LANG\0\0\0\1C");
	SAY(front, LINK_REQUEST, 1, "\0\0\0\3\0\0\0\5shell\1");
	WANT(front, LINK_REPLY, "\0\0\0\3\1");
	WANT(policy, POL_SHELL_ASK, "\0\0\0\6whoami\0\0\0\0");
	answer(0, "{\"identity\":\"alice\"}");
	WANT(policy, POL_SHELL_ASK, "\0\0\0\5hosts\0\0\0\0");
	answer(0, hosts);
}

static const char one_host[] = "[{\"host\":\"web1\",\"logins\":[{\"login\":\"root\"}]}]";

static void
choose(void)
{
	char text[4096];

	open_picker(one_host);
	assert_true(want_text(front, LINK_DATA, text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "> web1"));
	SAY(front, LINK_DATA, 1, "\r");
	WANT(policy, POL_SHELL_CONNECT, "\0\0\0\11root+web1");
	want_text(front, LINK_DATA, text, sizeof(text));
	assert_non_null(strstr(text, "Connecting to root+web1, Ctrl-C cancels\r\n"));
}

static void
give_link(uint32_t leg)
{
	int theirs;

	host = join_pair(&theirs);
	assert_int_equal(ipc_plain_send(broker, BRK_SHELL_LINK, leg, NULL, 0, &theirs, 1), 0);
	close(theirs);
	run();
}

/* What a front says first to a host. */
static void
want_start(void)
{
	assert_true(take(host));
	assert_int_equal(msg.type, LINK_NOTE);
	WANT(host, LINK_OPEN, "\0\0\0\7session");
	assert_int_equal(msg.id, 1);
	WANT(host, LINK_REQUEST, "\0\0\0\1\0\0\0\3env\0\0\0\0\4LANG\0\0\0\1C");
	WANT(host, LINK_REQUEST,
	    "\0\0\0\2\0\0\0\7pty-req\1\0\0\0\5xterm\0\0\0\120\0\0\0\30\0\0\0\1\0\0\0\2\0\0\0\3abc");
	WANT(host, LINK_REQUEST, "\0\0\0\3\0\0\0\5shell\1");
}

static void
open_relay(void)
{
	choose();
	SAY(policy, POL_SHELL_CONNECTED, 0, "\0\0\0\2\0\0\0\0");
	give_link(2);
	want_start();
	SAY(host, LINK_OPEN_OK, 1, "");
	SAY(host, LINK_REPLY, 1, "\0\0\0\2\1");
	SAY(host, LINK_REPLY, 1, "\0\0\0\3\1");
	/* The credit for Enter. */
	WANT(front, LINK_WINDOW, "\0\0\0\1");
	assert_false(take(front));
}

static bool
is_over(void)
{
	run();
	return sh.ended;
}

/* Rules. */

static void
test_broken_rules_end_it(void **state)
{
	static const struct {
		int *edge;
		uint16_t type;
		uint32_t id;
		const char *data;
		size_t len;
	} rows[] = {
		{ &front, LINK_OPEN, 0, "\0\0\0\7session", 11 },
		{ &front, LINK_OPEN, LINK_FROM_BACK, "\0\0\0\7session", 11 },
		{ &front, LINK_DATA, 9, "x", 1 },
		{ &front, LINK_EOF, 0, "", 0 },
		{ &front, LINK_EXIT_STATUS, 1, "\0\0\0\0", 4 },
		{ &front, LINK_WINDOW, 1, "\0\0\0", 3 },
		{ &policy, POL_SHELL_ANSWER, 0, "\0\0\0\0\0", 5 },
		{ &policy, POL_SHELL_CONNECTED, 0, "\0\0\0\1\0\0\0\0", 8 },
		{ &policy, POL_SHELL_ASK, 0, "", 0 },
		{ &broker, BRK_SHELL_START, 1, "\0\0\0\0", 4 },
		{ &broker, BRK_SHELL_NO_EDGE, 1, "\0\0\0\0", 4 },
		{ &broker, BRK_SHELL_REFUSED, 1, "\0\0\0\5a", 5 },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		say(*rows[i].edge, rows[i].type, rows[i].id, rows[i].data, rows[i].len);
		/* Without policy it goes on, without the two others it does not. */
		assert_int_equal(is_over(), rows[i].edge != &policy);
		if (rows[i].edge == &policy)
			assert_null(sh.policy);
		tear_down(NULL);
		set_up(NULL);
	}
}

static void
test_other_channels_are_refused(void **state)
{
	(void)state;
	SAY(front, LINK_OPEN, 1, "\0\0\0\14direct-tcpip");
	assert_true(take(front));
	assert_int_equal(msg.type, LINK_OPEN_FAIL);
	/* Its number is used. */
	SAY(front, LINK_OPEN, 1, "\0\0\0\7session");
	assert_true(is_over());
}

static void
test_channels_are_limited(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= SHELL_CHANNELS_MAX; i++)
		open_channel(i);
	SAY(front, LINK_OPEN, SHELL_CHANNELS_MAX + 1, "\0\0\0\7session");
	assert_true(take(front));
	assert_int_equal(msg.type, LINK_OPEN_FAIL);
	SAY(front, LINK_CLOSE, 1, "");
	WANT(front, LINK_CLOSE, "");
	open_channel(SHELL_CHANNELS_MAX + 2);
}

static void
test_requests_that_are_not_for_it_fail(void **state)
{
	(void)state;
	open_channel(1);
	SAY(front, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\11subsystem\1\0\0\0\4sftp");
	WANT(front, LINK_REPLY, "\0\0\0\1\0");
	SAY(front, LINK_REQUEST, 1,
	    "\0\0\0\2\0\0\0\15window-change\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1");
	WANT(front, LINK_REPLY, "\0\0\0\2\0");
	SAY(front, LINK_REQUEST, 1, "\0\0\0\3\0\0\0\7pty-req\1\0\0\0\5xterm");
	WANT(front, LINK_REPLY, "\0\0\0\3\0");
	SAY(front, LINK_REQUEST, 1, "\0\0\0\4\0\0\0\5shell\1");
	WANT(front, LINK_REPLY, "\0\0\0\4\1");
	/* One program a channel. */
	SAY(front, LINK_REQUEST, 1, "\0\0\0\5\0\0\0\4exec\1\0\0\0\6whoami");
	WANT(front, LINK_REPLY, "\0\0\0\5\0");
	assert_false(take(policy));
	SAY(front, LINK_GLOBAL, 0, "\0\0\0\1\0\0\0\1x\1");
	WANT(front, LINK_GLOBAL_REPLY, "\0\0\0\1\0");
}

/* Commands. */

static void
test_a_command_is_asked_answered_and_ends(void **state)
{
	char text[256];

	(void)state;
	exec(1, "explain root+web1");
	WANT(policy, POL_SHELL_ASK, "\0\0\0\7explain\0\0\0\11root+web1");
	answer_part(1, 1, "{\"allowed\":false,\"identity\":\"alice\",", 36);
	assert_false(take(front));
	answer(1, "\"host\":\"web1\",\"text\":\"not\\u001b here\"}");
	want_text(front, LINK_DATA, text, sizeof(text));
	assert_string_equal(text, "no: alice on web1: not? here\n");
	want_end(1);
}

static void
test_a_command_in_several_frames_is_none(void **state)
{
	static char data[LINK_REQUEST_PART];
	char text[2048];

	(void)state;
	memset(data, 'h', sizeof(data));
	memcpy(data, "\0\0\0\1\0\0\0\4exec\1\0\2\0\0", 17);
	open_channel(1);
	say(front, LINK_REQUEST, 1, data, sizeof(data));
	say(front, LINK_MORE, 1, data, 5000);
	WANT(front, LINK_REPLY, "\0\0\0\1\1");
	want_text(front, LINK_DATA_EXT, text, sizeof(text));
	assert_non_null(strstr(text, "not a command of the bastion"));
	want_end(2);
	assert_false(is_over());
}

static void
test_json_is_passed_on_as_it_is(void **state)
{
	char text[256];

	(void)state;
	exec(1, "hosts --json");
	assert_true(take(policy));
	answer(0, one_host);
	assert_int_equal(want_text(front, LINK_DATA, text, sizeof(text)), strlen(one_host) + 1);
	assert_int_equal(strncmp(text, one_host, strlen(one_host)), 0);
	want_end(0);
	/* The channel is over: nothing counts but its CLOSE. */
	SAY(front, LINK_DATA, 1, "x");
	SAY(front, LINK_EOF, 1, "");
	SAY(front, LINK_CLOSE, 1, "");
	assert_false(take(front));
	assert_int_equal(sh.n_chans, 0);
	assert_false(is_over());
}

static void
test_a_line_in_place_of_json_goes_to_stderr(void **state)
{
	char text[256];

	(void)state;
	exec(1, "whoami --json");
	assert_true(take(policy));
	answer(3, "your login is not valid any more");
	want_text(front, LINK_DATA_EXT, text, sizeof(text));
	/* Two pieces: the line and its end. */
	assert_string_equal(text, "bastiond: your login is not valid any more\n");
	want_end(3);
}

static void
test_lines_run_one_after_the_other(void **state)
{
	char text[512];

	(void)state;
	open_channel(1);
	SAY(front, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\5shell\0");
	SAY(front, LINK_DATA, 1, "who");
	assert_false(take(policy));
	SAY(front, LINK_DATA, 1, "ami --json\nexplain a --json\nnothing\n");
	WANT(policy, POL_SHELL_ASK, "\0\0\0\6whoami\0\0\0\0");
	assert_false(take(policy));
	SAY(front, LINK_EOF, 1, "");
	answer(0, "{}");
	WANT(policy, POL_SHELL_ASK, "\0\0\0\7explain\0\0\0\1a");
	answer(1, "{}");
	want_text(front, LINK_DATA, text, sizeof(text));
	assert_string_equal(text, "{}\n{}\n");
	assert_int_equal(msg.type, LINK_DATA_EXT);
	want_text(front, LINK_DATA_EXT, text, sizeof(text));
	want_end(2);
}

static void
test_a_line_without_end_is_bounded(void **state)
{
	char text[2048];

	(void)state;
	open_channel(1);
	SAY(front, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\5shell\0");
	memset(text, 'x', sizeof(text));
	say(front, LINK_DATA, 1, text, sizeof(text));
	want_text(front, LINK_DATA_EXT, text, sizeof(text));
	assert_non_null(strstr(text, "not a command"));
}

static void
test_answers_wait_for_credit(void **state)
{
	static char big[LINK_CREDIT + 300000];
	size_t n, at;

	(void)state;
	memset(big, ' ', sizeof(big));
	big[0] = '[';
	big[sizeof(big) - 1] = ']';
	exec(1, "hosts --json");
	assert_true(take(policy));
	for (at = 0; at + 60000 < sizeof(big); at += 60000)
		answer_part(0, 1, big + at, 60000);
	answer_part(0, 0, big + at, sizeof(big) - at);
	n = want_text(front, LINK_DATA, NULL, 0);
	for (int i = 0; i < 300 && n < LINK_CREDIT; i++) {
		run();
		n += want_text(front, LINK_DATA, NULL, 0);
	}
	assert_true(n <= LINK_CREDIT && n > LINK_CREDIT - LINK_DATA_MAX);
	run();
	assert_false(take(front));
	SAY(front, LINK_WINDOW, 1, "\0\10\0\0");
	for (int i = 0; i < 100 && n < sizeof(big) + 1; i++) {
		n += want_text(front, LINK_DATA, NULL, 0);
		run();
	}
	assert_int_equal(n, sizeof(big) + 1);
	want_end(0);
}

static void
test_a_question_outlives_who_asked_it(void **state)
{
	(void)state;
	exec(1, "hosts");
	exec(2, "whoami --json");
	SAY(front, LINK_CLOSE, 1, "");
	WANT(front, LINK_CLOSE, "");
	WANT(policy, POL_SHELL_ASK, "\0\0\0\5hosts\0\0\0\0");
	assert_false(take(policy));
	answer(0, one_host);
	WANT(policy, POL_SHELL_ASK, "\0\0\0\6whoami\0\0\0\0");
	answer(0, "{}");
	assert_true(take(front));
	assert_int_equal(msg.id, 2);
}

static void
test_policy_that_dies_is_an_answer(void **state)
{
	char text[256];

	(void)state;
	exec(1, "hosts");
	exec(2, "whoami");
	fd_close(&policy);
	run();
	want_text(front, LINK_DATA_EXT, text, sizeof(text));
	assert_non_null(strstr(text, "policy was restarted"));
	want_end(3);
	want_text(front, LINK_DATA_EXT, text, sizeof(text));
	want_end(3);
	exec(3, "hosts");
	want_text(front, LINK_DATA_EXT, text, sizeof(text));
	want_end(3);
}

/* Sessions: a reader's edge comes from the broker. */

static int
give_reader(void)
{
	int theirs, reader = join_pair(&theirs);

	WANT(broker, BRK_SHELL_SESSIONS, "");
	assert_int_equal(ipc_plain_send(broker, BRK_SHELL_EDGE, 0, NULL, 0, &theirs, 1), 0);
	close(theirs);
	run();
	return reader;
}

static void
test_sessions_come_from_a_reader(void **state)
{
	char text[512];
	int reader;

	(void)state;
	exec(1, "sessions --json");
	reader = give_reader();
	SAY(reader, RD_ITEM, 1, "{\"id\":");
	SAY(reader, RD_ITEM, 0, "1}");
	SAY(reader, RD_ITEM, 0, "{\"id\":2}");
	SAY(reader, RD_ITEM, 0, "{}");
	WANT(reader, RD_MORE, "\0\0\0\4");
	SAY(reader, RD_END, 0, "\0\0\0\0\0");
	want_text(front, LINK_DATA, text, sizeof(text));
	assert_string_equal(text, "[\n{\"id\":1},\n{\"id\":2},\n{}\n]\n");
	want_end(0);
	fd_close(&reader);
	run();
	assert_false(is_over());
}

static void
test_no_sessions_and_no_reader(void **state)
{
	char text[512];
	int reader;

	(void)state;
	exec(1, "sessions");
	reader = give_reader();
	SAY(reader, RD_END, 0, "\0\0\0\0\0");
	fd_close(&reader);
	want_text(front, LINK_DATA_EXT, text, sizeof(text));
	assert_string_equal(text, "bastiond: no sessions\n");
	want_end(1);
	exec(2, "sessions");
	reader = give_reader();
	SAY(reader, RD_ITEM, 0, "{}");
	fd_close(&reader);
	run();
	want_text(front, LINK_DATA_EXT, text, sizeof(text));
	want_end(3);
	exec(3, "sessions");
	WANT(broker, BRK_SHELL_SESSIONS, "");
	SAY(broker, BRK_SHELL_NO_EDGE, 0, "\0\0\0\4busy");
	want_text(front, LINK_DATA_EXT, text, sizeof(text));
	assert_string_equal(text, "bastiond: busy\n");
	want_end(3);
}

/* Connecting. */

static void
test_no_hosts_is_a_line_and_1(void **state)
{
	char text[256];

	(void)state;
	open_picker("[]");
	want_text(front, LINK_DATA, text, sizeof(text));
	assert_string_equal(text, "bastiond: no host is open to you at the moment\r\n");
	want_end(1);
}

static void
test_a_refusal_leads_back_to_the_picker(void **state)
{
	char text[4096];

	(void)state;
	choose();
	SAY(policy, POL_SHELL_CONNECTED, 0, "\0\0\0\0\0\0\0\2no");
	want_text(front, LINK_DATA, text, sizeof(text));
	assert_non_null(strstr(text, "bastiond: no\r\n"));
	assert_non_null(strstr(text, "> web1"));
	SAY(front, LINK_DATA, 1, "\r");
	WANT(policy, POL_SHELL_CONNECT, "\0\0\0\11root+web1");
	want_text(front, LINK_DATA, text, sizeof(text));
	/* The broker's word may come first. */
	SAY(broker, BRK_SHELL_REFUSED, 2, "\0\0\0\4full");
	assert_false(take(front));
	SAY(policy, POL_SHELL_CONNECTED, 0, "\0\0\0\2\0\0\0\0");
	want_text(front, LINK_DATA, text, sizeof(text));
	assert_non_null(strstr(text, "bastiond: full\r\n"));
	SAY(front, LINK_DATA, 1, "\3");
	want_text(front, LINK_DATA, text, sizeof(text));
	want_end(0);
}

/* A second factor. */

static int talk = -1;

static void
give_talk(void)
{
	int theirs;

	fd_close(&talk);
	talk = join_pair(&theirs);
	assert_int_equal(ipc_plain_send(broker, BRK_SHELL_AUTH, 0, NULL, 0, &theirs, 1), 0);
	close(theirs);
	run();
}

/* Our end hears that the other one is closed. */
static void
want_talk_gone(void)
{
	assert_int_equal(ipc_plain_recv(talk, space, &msg, 0), ERR_PEER_GONE);
	msg.n_fds = 0;
	fd_close(&talk);
}

static void
want_shown(const char *want_text_of)
{
	char text[4096];

	(void)want_text(front, LINK_DATA, text, sizeof(text));
	assert_string_equal(text, want_text_of);
}

/* The message at which want_shown() stopped: what is typed from here on is not shown, or is. */
static void
want_asking(uint8_t asking)
{
	assert_int_equal(msg.type, LINK_NOTE);
	assert_int_equal(msg.id, 1);
	assert_int_equal(msg.len, 2);
	assert_int_equal(msg.data[0], LINK_NOTE_ASKING);
	assert_int_equal(msg.data[1], asking);
}

static void
asked(void)
{
	choose();
	give_talk();
	SAY(talk, AUTH_ASK, 0, "\0\0\0\5Hello\0\0\0\1\0\0\0\6Code: \0");
	/* The recorder hears of it before the question is there. */
	want_shown("Hello\r\n");
	want_asking(1);
	want_shown("Code: ");
}

static void
test_nobody_is_asked_without_a_connection(void **state)
{
	(void)state;
	open_picker(one_host);
	give_talk();
	want_talk_gone();
	/* Who wanted it is not there any more. */
	SAY(front, LINK_DATA, 1, "\r");
	assert_true(take(policy));
	SAY(front, LINK_DATA, 1, "\3");
	give_talk();
	want_talk_gone();
	assert_false(is_over());
}

static void
test_bad_questions_end_the_conversation(void **state)
{
	static const uint8_t whole[] = "\0\0\0\1i\0\0\0\1\0\0\0\1p\1";

	(void)state;
	choose();
	for (size_t n = 8; n < sizeof(whole) - 1; n++) {
		give_talk();
		say(talk, AUTH_ASK, 0, whole, n);
		want_talk_gone();
	}
	give_talk();
	SAY(talk, AUTH_ASK, 0, "\0\0\0\0\0\0\0\21");
	want_talk_gone();
	/* Two at once. */
	give_talk();
	SAY(talk, AUTH_ASK, 0, "\0\0\0\0\0\0\0\1\0\0\0\1p\0");
	SAY(talk, AUTH_ASK, 0, "\0\0\0\0\0\0\0\1\0\0\0\1p\0");
	want_talk_gone();
	assert_false(is_over());
}

static void
test_a_second_factor_is_asked_for_on_the_terminal(void **state)
{
	(void)state;
	asked();
	/* Not shown, put right, and sent whole. */
	SAY(front, LINK_DATA, 1,
	    "wrong\025"
	    "12x\177");
	SAY(front, LINK_DATA, 1, "3\r");
	want_shown("\r\n");
	want_asking(0);
	WANT(talk, AUTH_ANSWER, "\0\0\0\1\0\0\0\003123");
	/* A text wants no answer; then two, of which the first is shown as it is typed. */
	SAY(talk, AUTH_ASK, 0, "\0\0\0\4Wait\0\0\0\0");
	WANT(talk, AUTH_ANSWER, "\0\0\0\0");
	SAY(talk, AUTH_ASK, 0, "\0\0\0\0\0\0\0\2\0\0\0\2a:\1\0\0\0\2b:\0");
	SAY(front, LINK_DATA, 1, "xy\r");
	SAY(front, LINK_DATA, 1, "z\r");
	WANT(talk, AUTH_ANSWER, "\0\0\0\2\0\0\0\2xy\0\0\0\1z");
	SAY(policy, POL_SHELL_CONNECTED, 0, "\0\0\0\2\0\0\0\0");
	want_talk_gone();
	give_link(2);
	want_start();
	/* Nothing of it is the host's. */
	assert_false(take(host));
}

static void
test_what_was_typed_before_the_question_is_no_answer(void **state)
{
	(void)state;
	choose();
	SAY(front, LINK_DATA, 1, "rm -rf /\r");
	give_talk();
	SAY(talk, AUTH_ASK, 0, "\0\0\0\0\0\0\0\1\0\0\0\2p:\0");
	assert_false(take(talk));
	SAY(front, LINK_DATA, 1, "q\r");
	WANT(talk, AUTH_ANSWER, "\0\0\0\1\0\0\0\1q");
}

static void
test_a_second_factor_is_cancelled(void **state)
{
	char text[4096];

	(void)state;
	asked();
	SAY(front, LINK_DATA, 1, "12\0033\r");
	want_talk_gone();
	want_shown("");
	want_asking(0);
	want_text(front, LINK_DATA, text, sizeof(text));
	assert_non_null(strstr(text, "bastiond: cancelled\r\n"));
	/* The next choice waits until policy has said what became of this one. */
	SAY(policy, POL_SHELL_CONNECTED, 0, "\0\0\0\0\0\0\0\2no");
	assert_false(is_over());
}

static void
test_who_leaves_is_asked_no_more(void **state)
{
	(void)state;
	asked();
	SAY(front, LINK_CLOSE, 1, "");
	want_talk_gone();
	assert_false(is_over());
}

static void
test_a_link_may_come_before_its_number(void **state)
{
	(void)state;
	choose();
	give_link(2);
	assert_false(take(host));
	SAY(policy, POL_SHELL_CONNECTED, 0, "\0\0\0\2\0\0\0\0");
	want_start();
}

static void
test_a_link_that_nobody_waits_for_is_ended(void **state)
{
	(void)state;
	choose();
	SAY(front, LINK_CLOSE, 1, "");
	WANT(front, LINK_CLOSE, "");
	SAY(policy, POL_SHELL_CONNECTED, 0, "\0\0\0\2\0\0\0\0");
	give_link(2);
	WANT(host, LINK_END, "\1\0\0\0\0");
	fd_close(&host);
	give_link(3);
	WANT(host, LINK_END, "\1\0\0\0\0");
	assert_false(is_over());
}

static void
test_what_was_typed_ahead_is_the_hosts(void **state)
{
	char text[4096];

	(void)state;
	open_picker(one_host);
	want_text(front, LINK_DATA, text, sizeof(text));
	SAY(front, LINK_DATA, 1, "\rls\n");
	assert_true(take(policy));
	SAY(front, LINK_DATA, 1, "pwd\n");
	SAY(policy, POL_SHELL_CONNECTED, 0, "\0\0\0\2\0\0\0\0");
	give_link(2);
	want_start();
	WANT(host, LINK_DATA, "ls\npwd\n");
}

/* The picker is back, and the host's leg of this number is not wanted. */
static void
want_cancelled(void)
{
	char text[4096];

	want_text(front, LINK_DATA, text, sizeof(text));
	assert_non_null(strstr(text, "bastiond: cancelled\r\n"));
	assert_non_null(strstr(text, "> web1"));
}

static void
test_an_opening_is_cancelled_before_policy_answers(void **state)
{
	char text[4096];

	(void)state;
	choose();
	SAY(front, LINK_DATA, 1, "\3");
	want_cancelled();
	/* Another choice waits behind the first question, whose leg is ended when it comes. */
	SAY(front, LINK_DATA, 1, "\r");
	want_text(front, LINK_DATA, text, sizeof(text));
	assert_non_null(strstr(text, "Connecting to root+web1"));
	SAY(policy, POL_SHELL_CONNECTED, 0, "\0\0\0\2\0\0\0\0");
	WANT(policy, POL_SHELL_CONNECT, "\0\0\0\11root+web1");
	give_link(2);
	WANT(host, LINK_END, "\1\0\0\0\0");
	fd_close(&host);
	/* The second comes before its answer. */
	give_link(3);
	assert_false(take(host));
	SAY(policy, POL_SHELL_CONNECTED, 0, "\0\0\0\3\0\0\0\0");
	want_start();
}

static void
test_an_opening_is_cancelled_before_its_link_comes(void **state)
{
	(void)state;
	choose();
	SAY(policy, POL_SHELL_CONNECTED, 0, "\0\0\0\2\0\0\0\0");
	SAY(front, LINK_DATA, 1, "ls\3");
	want_cancelled();
	give_link(2);
	WANT(host, LINK_END, "\1\0\0\0\0");
	fd_close(&host);
	SAY(broker, BRK_SHELL_REFUSED, 2, "\0\0\0\4late");
	assert_false(take(front));
	/* Nothing of that is typed into the picker. */
	SAY(front, LINK_DATA, 1, "\r");
	WANT(policy, POL_SHELL_CONNECT, "\0\0\0\11root+web1");
}

static void
test_an_opening_is_cancelled_while_the_host_is_connected_to(void **state)
{
	(void)state;
	choose();
	SAY(policy, POL_SHELL_CONNECTED, 0, "\0\0\0\2\0\0\0\0");
	give_link(2);
	want_start();
	WANT(front, LINK_WINDOW, "\0\0\0\1");
	SAY(front, LINK_DATA, 1, "ls\n");
	WANT(host, LINK_DATA, "ls\n");
	SAY(front, LINK_REQUEST, 1, "\0\0\0\7\0\0\0\6signal\1\0\0\0\3INT");
	assert_true(take(host));
	SAY(front, LINK_DATA, 1, "pwd\3");
	WANT(host, LINK_END, "\1\0\0\0\0");
	/* The host will not answer that any more. */
	WANT(front, LINK_REPLY, "\0\0\0\7\0");
	want_cancelled();
	fd_close(&host);
	/* All that was typed is done with: Enter and the next host's start give the credit back. */
	SAY(front, LINK_DATA, 1, "\r");
	WANT(policy, POL_SHELL_CONNECT, "\0\0\0\11root+web1");
	assert_true(take(front));
	assert_int_equal(msg.type, LINK_DATA);
	want_text(front, LINK_DATA, NULL, 0);
	SAY(policy, POL_SHELL_CONNECTED, 0, "\0\0\0\3\0\0\0\0");
	give_link(3);
	want_start();
	WANT(front, LINK_WINDOW, "\0\0\0\10"); /* 3 to the host, 4 up to the key, Enter */
	assert_false(take(host));
}

static void
test_esc_and_q_cancel_when_nothing_was_typed(void **state)
{
	(void)state;
	choose();
	SAY(front, LINK_DATA, 1, "q");
	want_cancelled();
	SAY(policy, POL_SHELL_CONNECTED, 0, "\0\0\0\0\0\0\0\2no");
	SAY(front, LINK_DATA, 1, "\r");
	WANT(policy, POL_SHELL_CONNECT, "\0\0\0\11root+web1");
	want_text(front, LINK_DATA, NULL, 0);
	SAY(policy, POL_SHELL_CONNECTED, 0, "\0\0\0\2\0\0\0\0");
	give_link(2);
	want_start();
	WANT(front, LINK_WINDOW, "\0\0\0\3");
	SAY(front, LINK_DATA, 1, "\33");
	WANT(host, LINK_END, "\1\0\0\0\0");
	want_cancelled();
}

/* They belong to what is typed ahead, or to a key's sequence; and Ctrl-C to the host as soon as a shell runs there. */
static void
test_keys_of_the_host_cancel_nothing(void **state)
{
	(void)state;
	choose();
	SAY(front, LINK_DATA, 1, "\33[A");
	SAY(front, LINK_DATA, 1, "q");
	SAY(policy, POL_SHELL_CONNECTED, 0, "\0\0\0\2\0\0\0\0");
	give_link(2);
	want_start();
	WANT(host, LINK_DATA, "\33[Aq");
	SAY(front, LINK_DATA, 1, "q");
	WANT(host, LINK_DATA, "q");
	SAY(host, LINK_OPEN_OK, 1, "");
	SAY(host, LINK_REPLY, 1, "\0\0\0\2\1");
	SAY(host, LINK_REPLY, 1, "\0\0\0\3\1");
	SAY(front, LINK_DATA, 1, "\3");
	WANT(host, LINK_DATA, "\3");
}

/* The relay. */

static void
test_everything_goes_both_ways(void **state)
{
	(void)state;
	open_relay();
	SAY(front, LINK_DATA, 1, "in");
	WANT(host, LINK_DATA, "in");
	SAY(host, LINK_DATA, 1, "out");
	WANT(front, LINK_DATA, "out");
	SAY(host, LINK_DATA_EXT, 1, "\0\0\0\1err");
	WANT(front, LINK_DATA_EXT, "\0\0\0\1err");
	SAY(host, LINK_WINDOW, 1, "\0\0\1\0");
	WANT(front, LINK_WINDOW, "\0\0\1\0");
	SAY(front, LINK_REQUEST, 1,
	    "\0\0\0\4\0\0\0\15window-change\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4");
	WANT(
	    host, LINK_REQUEST, "\0\0\0\4\0\0\0\15window-change\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4");
	SAY(front, LINK_REQUEST, 1, "\0\0\0\7\0\0\0\6signal\1\0\0\0\3INT");
	WANT(host, LINK_REQUEST, "\0\0\0\5\0\0\0\6signal\1\0\0\0\3INT");
	SAY(host, LINK_REPLY, 1, "\0\0\0\5\1");
	WANT(front, LINK_REPLY, "\0\0\0\7\1");
	SAY(host, LINK_REQUEST, 1, "\0\0\0\11\0\0\0\25keepalive@openssh.com\1");
	WANT(front, LINK_REQUEST, "\0\0\0\1\0\0\0\25keepalive@openssh.com\1");
	SAY(front, LINK_REPLY, 1, "\0\0\0\1\0");
	WANT(host, LINK_REPLY, "\0\0\0\11\0");
	SAY(front, LINK_EOF, 1, "");
	WANT(host, LINK_EOF, "");
	SAY(host, LINK_EOF, 1, "");
	WANT(front, LINK_EOF, "");
	SAY(host, LINK_EXIT_STATUS, 1, "\0\0\0\7");
	WANT(front, LINK_EXIT_STATUS, "\0\0\0\7");
	SAY(host, LINK_CLOSE, 1, "");
	WANT(front, LINK_CLOSE, "");
	WANT(host, LINK_CLOSE, "");
	WANT(host, LINK_END, "\1\0\0\0\0");
	assert_int_equal(take(host), false);
	assert_false(is_over());
}

static void
test_an_exit_signal_is_no_status(void **state)
{
	static const char signal[] = "\0\0\0\4TERM\0\0\0\0\0\0\0\0\0";

	(void)state;
	open_relay();
	SAY(host, LINK_EXIT_SIGNAL, 1, signal);
	WANT(front, LINK_EXIT_SIGNAL, signal);
	SAY(host, LINK_CLOSE, 1, "");
	WANT(front, LINK_EOF, "");
	WANT(front, LINK_CLOSE, "");
}

static void
test_credit_is_from_end_to_end(void **state)
{
	static char big[LINK_DATA_MAX];
	size_t n = 0, sent = 0, used = LINK_CREDIT;

	(void)state;
	open_relay();
	used -= (size_t)sh.chans.lh_first->credit; /* by the picker */
	assert_true(used > 0);
	/* The host's side may use all of its own. */
	while (sent < LINK_CREDIT) {
		assert_int_equal(ipc_plain_send(host, LINK_DATA, 1, big, sizeof(big), NULL, 0), 0);
		run();
		sent += sizeof(big);
		n += want_text(front, LINK_DATA, NULL, 0);
	}
	/* The front never gets more than it gave, and the rest waits. */
	assert_true(n <= LINK_CREDIT - used);
	assert_true(chan_waiting(sh.chans.lh_first) == LINK_CREDIT - n);
	/* What the picker used is given back to nobody. */
	SAY(front, LINK_WINDOW, 1, "\0\10\0\0");
	n += want_text(front, LINK_DATA, NULL, 0);
	run();
	n += want_text(front, LINK_DATA, NULL, 0);
	assert_int_equal(n, LINK_CREDIT);
	assert_true(take(host));
	assert_int_equal(msg.type, LINK_WINDOW);
	assert_int_equal(
	    (size_t)msg.data[1] << 16 | (size_t)msg.data[2] << 8 | msg.data[3], 512 * 1024 - used);
	SAY(front, LINK_WINDOW, 1, "\0\10\0\0");
	WANT(host, LINK_WINDOW, "\0\10\0\0");
}

static void
test_a_host_opens_and_asks_nothing(void **state)
{
	(void)state;
	open_relay();
	SAY(host, LINK_OPEN, LINK_FROM_BACK + 1, "\0\0\0\3x11");
	assert_true(take(host));
	assert_int_equal(msg.type, LINK_OPEN_FAIL);
	assert_int_equal(msg.id, LINK_FROM_BACK + 1);
	SAY(host, LINK_GLOBAL, 0, "\0\0\0\3\0\0\0\1x\1");
	WANT(host, LINK_GLOBAL_REPLY, "\0\0\0\3\0");
	assert_false(take(front));
}

static void
test_a_denied_shell_is_254(void **state)
{
	char text[256];

	(void)state;
	choose();
	SAY(policy, POL_SHELL_CONNECTED, 0, "\0\0\0\2\0\0\0\0");
	give_link(2);
	want_start();
	WANT(front, LINK_WINDOW, "\0\0\0\1");
	SAY(host, LINK_NOTE, 1, "\6\0\0\0\1\2\0\0\0\5shell\0\0\0\2no");
	want_text(front, LINK_DATA, text, sizeof(text));
	assert_string_equal(text, "bastiond: no\r\n");
	want_end(254);
	WANT(host, LINK_END, "\1\0\0\0\0");
}

static void
test_the_end_of_a_hosts_leg_is_told(void **state)
{
	char text[256];

	(void)state;
	open_relay();
	SAY(host, LINK_END, 0, "\3\0\0\0\4gone");
	want_text(front, LINK_DATA, text, sizeof(text));
	assert_string_equal(text, "bastiond: gone\r\n");
	want_end(255);
	assert_false(is_over());
}

static void
test_a_hosts_link_that_breaks_is_told(void **state)
{
	char text[256];

	(void)state;
	open_relay();
	fd_close(&host);
	run();
	want_text(front, LINK_DATA, text, sizeof(text));
	assert_string_equal(text, "bastiond: recording stopped: session ended\r\n");
	want_end(255);
}

static void
test_a_person_who_goes_ends_the_hosts_leg(void **state)
{
	(void)state;
	open_relay();
	SAY(front, LINK_END, 0, "\1\0\0\0\0");
	WANT(host, LINK_END, "\1\0\0\0\0");
	WANT(front, LINK_END, "\1\0\0\0\0");
	assert_true(is_over());
}

static void
test_without_the_link_it_is_over(void **state)
{
	(void)state;
	open_relay();
	fd_close(&front);
	assert_true(is_over());
	WANT(host, LINK_END, "\1\0\0\0\0");
}

static void
test_a_broker_that_dies_ends_it(void **state)
{
	(void)state;
	fd_close(&broker);
	assert_true(is_over());
	assert_true(take(front));
	assert_int_equal(msg.type, LINK_END);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_broken_rules_end_it),
		T(test_other_channels_are_refused),
		T(test_channels_are_limited),
		T(test_requests_that_are_not_for_it_fail),
		T(test_a_command_is_asked_answered_and_ends),
		T(test_a_command_in_several_frames_is_none),
		T(test_json_is_passed_on_as_it_is),
		T(test_a_line_in_place_of_json_goes_to_stderr),
		T(test_lines_run_one_after_the_other),
		T(test_a_line_without_end_is_bounded),
		T(test_answers_wait_for_credit),
		T(test_a_question_outlives_who_asked_it),
		T(test_policy_that_dies_is_an_answer),
		T(test_sessions_come_from_a_reader),
		T(test_no_sessions_and_no_reader),
		T(test_no_hosts_is_a_line_and_1),
		T(test_a_refusal_leads_back_to_the_picker),
		T(test_nobody_is_asked_without_a_connection),
		T(test_bad_questions_end_the_conversation),
		T(test_a_second_factor_is_asked_for_on_the_terminal),
		T(test_what_was_typed_before_the_question_is_no_answer),
		T(test_a_second_factor_is_cancelled),
		T(test_who_leaves_is_asked_no_more),
		T(test_a_link_may_come_before_its_number),
		T(test_a_link_that_nobody_waits_for_is_ended),
		T(test_what_was_typed_ahead_is_the_hosts),
		T(test_an_opening_is_cancelled_before_policy_answers),
		T(test_an_opening_is_cancelled_before_its_link_comes),
		T(test_an_opening_is_cancelled_while_the_host_is_connected_to),
		T(test_esc_and_q_cancel_when_nothing_was_typed),
		T(test_keys_of_the_host_cancel_nothing),
		T(test_everything_goes_both_ways),
		T(test_an_exit_signal_is_no_status),
		T(test_credit_is_from_end_to_end),
		T(test_a_host_opens_and_asks_nothing),
		T(test_a_denied_shell_is_254),
		T(test_the_end_of_a_hosts_leg_is_told),
		T(test_a_hosts_link_that_breaks_is_told),
		T(test_a_person_who_goes_ends_the_hosts_leg),
		T(test_without_the_link_it_is_over),
		T(test_a_broker_that_dies_ends_it),
	};

	msg.n_fds = 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
