/*
 * bastiond-auth as it is, with a module that does what a test says (tests/pam/pam_play.c): this test plays the broker, policy and
 * the person. Whatever a module does, policy is told once, the program ends, and nothing that it started is left.
 */
#include "config.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "bastiond/auth/auth_proto.h"
#include "bastiond/broker/broker_proto.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/proc.h"
#include "lib/sandbox_part.h"
#include "lib/str.h"
#include "policy/policy_proto.h"
#include "tests/lib/test.h"

#define WAIT_MS 20000
#define LONGEST (30 * CLOCK_NS_PER_S)

static char dir[] = "/tmp/bastion-auth.XXXXXX", module[PATH_MAX], lock_file[PATH_MAX];
static int broker = -1, policy = -1, talk = -1, pidfd = -1;
static pid_t pid;
static uint8_t space[IPC_HEADER + IPC_MAX];

static struct {
	uint8_t kind;
	char stage[32], said[512], user[2048], subject[2048], group[POL_PAM_GROUPS_MAX][256];
	uint32_t n_groups;
} result;

static struct {
	char text[AUTH_TEXT_MAX + 1], prompt[AUTH_PROMPTS_MAX][AUTH_TEXT_MAX + 1];
	uint8_t echo[AUTH_PROMPTS_MAX];
	uint32_t n;
} question;

/* A service file: one line for each of the lines, "MODULE" standing for ours. */
static void
write_service(const char *name, const char *text)
{
	char path[PATH_MAX], *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);
	const char *at;

	assert_non_null(f);
	while ((at = strstr(text, "MODULE")) != NULL) {
		fprintf(f, "%.*s%s", (int)(at - text), text, module);
		text = at + strlen("MODULE");
	}
	fprintf(f, "%s\n", text);
	fclose(f);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlink(path);
	assert_int_equal(file_create(path, 0600, out, len), 0);
	free(out);
}

static void
spawn(void)
{
	int b[2], p[2], t[2], fds[3];
	char read[PATH_MAX + 16], write[PATH_MAX + 16], run[] = "--run=/bin/true";
	const char *const argv[] = { read, write, run, NULL };
	struct proc_spec spec = {
		.name = "bastiond-auth", .argv = argv, .fds = fds, .n_fds = 3, .exec_fd = -1
	};

	snprintf(read, sizeof(read), "--read=%s", module);
	snprintf(write, sizeof(write), "--write=%s", dir);

	assert_int_equal(ipc_pair(b), 0);
	assert_int_equal(ipc_pair(p), 0);
	assert_int_equal(ipc_pair(t), 0);
	fds[0] = b[1];
	fds[1] = p[1];
	fds[2] = t[1];
	assert_int_equal(proc_open(getenv("BASTION_BIN"), "bastiond-auth", &spec.exec_fd), 0);
	assert_int_equal(proc_spawn(&spec, &pid, &pidfd), 0);
	fd_close(&spec.exec_fd);
	for (int i = 0; i < 3; i++)
		fd_close(&fds[i]);
	broker = b[0];
	policy = p[0];
	talk = t[0];
	assert_int_equal(ipc_plain_hello(broker), 0);
	assert_int_equal(ipc_plain_hello(policy), 0);
	assert_int_equal(ipc_plain_hello(talk), 0);
}

static void
order_stack(const char *service)
{
	struct buf *b = buf_new(IPC_MAX);

	assert_non_null(b);
	assert_int_equal(buf_put_cstr(b, service), 0);
	assert_int_equal(buf_put_cstr(b, dir), 0);
	assert_int_equal(
	    ipc_plain_send(broker, BRK_AUTH_START, 7, buf_ptr(b), buf_len(b), NULL, 0), 0);
	buf_free(b);
}

static void
order_user(const char *user, uint64_t longest_ns)
{
	static const char *const more[] = { "root@web1", "ref-17", "alice" };
	struct buf *b = buf_new(IPC_MAX);

	assert_non_null(b);
	assert_int_equal(buf_put_cstr(b, user), 0);
	assert_int_equal(buf_put_cstr(b, "192.0.2.7"), 0);
	assert_int_equal(buf_put_u32(b, 40000), 0);
	for (size_t i = 0; i < N_OF(more); i++)
		assert_int_equal(buf_put_cstr(b, more[i]), 0);
	assert_int_equal(buf_put_u64(b, longest_ns), 0);
	assert_int_equal(
	    ipc_plain_send(policy, POL_PAM_START, 0, buf_ptr(b), buf_len(b), NULL, 0), 0);
	buf_free(b);
}

static void
begin_within(const char *service, uint64_t longest_ns)
{
	write_service("test", service);
	spawn();
	order_stack("test");
	order_user("alice", longest_ns);
}

static void
begin(const char *service)
{
	begin_within(service, LONGEST);
}

static void
get_question(struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	size_t all;

	assert_non_null(b);
	assert_int_equal(buf_get_cstr(b, question.text, sizeof(question.text)), 0);
	all = strlen(question.text);
	assert_int_equal(buf_get_u32(b, &question.n), 0);
	assert_true(question.n <= AUTH_PROMPTS_MAX);
	for (uint32_t i = 0; i < question.n; i++) {
		assert_int_equal(buf_get_cstr(b, question.prompt[i], AUTH_TEXT_MAX + 1), 0);
		assert_int_equal(buf_get_u8(b, &question.echo[i]), 0);
		all += strlen(question.prompt[i]);
	}
	assert_int_equal(buf_end(b), 0);
	assert_true(all <= AUTH_TEXT_MAX);
	buf_free(b);
}

static void
expect_question(uint32_t n)
{
	struct ipc_msg msg;

	assert_int_equal(ipc_plain_recv(talk, space, &msg, WAIT_MS), 0);
	assert_int_equal(msg.type, AUTH_ASK);
	get_question(&msg);
	assert_int_equal(question.n, n);
}

static void
send_answer(uint32_t n, const char *const *answers)
{
	struct buf *b = buf_new(IPC_MAX);

	assert_non_null(b);
	assert_int_equal(buf_put_u32(b, n), 0);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(buf_put_cstr(b, answers[i]), 0);
	assert_int_equal(ipc_plain_send(talk, AUTH_ANSWER, 0, buf_ptr(b), buf_len(b), NULL, 0), 0);
	buf_free(b);
}

static void
answer(const char *text)
{
	send_answer(1, &text);
}

/* A text comes at once, by itself, and goes on when it was shown. */
static void
expect_text(const char *text)
{
	expect_question(0);
	assert_string_equal(question.text, text);
	send_answer(0, NULL);
}

static void
get_result(struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);

	assert_non_null(b);
	assert_int_equal(buf_get_u8(b, &result.kind), 0);
	assert_int_equal(buf_get_cstr(b, result.stage, sizeof(result.stage)), 0);
	assert_int_equal(buf_get_cstr(b, result.said, sizeof(result.said)), 0);
	assert_int_equal(buf_get_cstr(b, result.user, sizeof(result.user)), 0);
	assert_int_equal(buf_get_u32(b, &result.n_groups), 0);
	assert_true(result.n_groups <= POL_PAM_GROUPS_MAX);
	for (uint32_t i = 0; i < result.n_groups; i++)
		assert_int_equal(buf_get_cstr(b, result.group[i], sizeof(result.group[i])), 0);
	assert_int_equal(buf_get_cstr(b, result.subject, sizeof(result.subject)), 0);
	assert_int_equal(buf_end(b), 0);
	buf_free(b);
}

/* The program ends by itself and in order; what it started too. */
static void
expect_end(void)
{
	struct pollfd f = { .fd = pidfd, .events = POLLIN };
	int status = -1;

	assert_int_equal(poll(&f, 1, WAIT_MS), 1);
	assert_int_equal(proc_collect(pid, &status), 0);
	assert_int_equal(status, 0);
	assert_int_equal(proc_kill_group(pid, 0), -ESRCH);
	pid = 0;
}

static void
expect_result(uint8_t kind, const char *stage)
{
	struct ipc_msg msg;

	assert_int_equal(ipc_plain_recv(policy, space, &msg, WAIT_MS), 0);
	assert_int_equal(msg.type, POL_PAM_RESULT);
	get_result(&msg);
	if (result.kind != kind)
		fail_msg(
		    "%u at \"%s\" (%s), expected %u", result.kind, result.stage, result.said, kind);
	assert_string_equal(result.stage, stage);
	/* Once; and it does not end before we have heard it. */
	assert_int_equal(ipc_plain_recv(policy, space, &msg, 0), -ETIMEDOUT);
	fd_close(&policy);
	expect_end();
}

static int
tear_down(void **state)
{
	int status;

	(void)state;
	if (pid != 0) {
		(void)!proc_kill_group(pid, SIGKILL);
		(void)waitpid(pid, &status, 0);
		pid = 0;
	}
	fd_close(&broker);
	fd_close(&policy);
	fd_close(&talk);
	fd_close(&pidfd);
	memset(&result, 0, sizeof(result));
	return 0;
}

#define AUTH "auth required MODULE "
#define GOOD_ACCOUNT "\naccount required MODULE"

/* What PAM says, and what it means. */

static void
test_what_the_answers_of_pam_mean(void **state)
{
	static const struct {
		const char *service;
		uint8_t kind;
		const char *stage;
	} rows[] = {
		{ AUTH "return:7" GOOD_ACCOUNT, POL_PAM_DENIED, "authenticate" }, /* PAM_AUTH_ERR */
		{ AUTH "return:6" GOOD_ACCOUNT, POL_PAM_DENIED,
		    "authenticate" }, /* PAM_PERM_DENIED */
		{ AUTH "return:10" GOOD_ACCOUNT, POL_PAM_DENIED,
		    "authenticate" }, /* PAM_USER_UNKNOWN */
		{ AUTH "return:13" GOOD_ACCOUNT, POL_PAM_DENIED,
		    "authenticate" }, /* PAM_ACCT_EXPIRED */
		{ AUTH "return:9" GOOD_ACCOUNT, POL_PAM_BROKEN,
		    "authenticate" }, /* PAM_AUTHINFO_UNAVAIL */
		{ AUTH "return:3" GOOD_ACCOUNT, POL_PAM_BROKEN,
		    "authenticate" }, /* PAM_SERVICE_ERR */
		{ AUTH "return:25" GOOD_ACCOUNT, POL_PAM_DENIED,
		    "authenticate" }, /* PAM_IGNORE: nobody said yes */
		{ AUTH "return:99" GOOD_ACCOUNT, POL_PAM_DENIED,
		    "authenticate" }, /* what PAM makes of it */
		{ AUTH "\naccount required MODULE return:13", POL_PAM_ACCOUNT, "account" },
		{ AUTH "\naccount required MODULE return:6", POL_PAM_ACCOUNT, "account" },
		{ AUTH "\naccount required MODULE return:7", POL_PAM_ACCOUNT, "account" },
		{ AUTH "\naccount required MODULE return:4", POL_PAM_BROKEN,
		    "account" }, /* PAM_SYSTEM_ERR */
		{ AUTH GOOD_ACCOUNT, POL_PAM_OK, "account" },
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		begin(rows[i].service);
		expect_result(rows[i].kind, rows[i].stage);
		assert_string_not_equal(result.said, "");
		tear_down(state);
	}
}

static void
test_a_stack_that_is_not_there_lets_nobody_in(void **state)
{
	/* PAM would take this one instead. */
	write_service("other", AUTH GOOD_ACCOUNT);
	spawn();
	order_stack("nosuch");
	order_user("alice", LONGEST);
	expect_result(POL_PAM_BROKEN, "start");
	assert_non_null(strstr(result.said, "no such PAM service"));
	tear_down(state);

	begin("auth required /nowhere/pam_nothing.so" GOOD_ACCOUNT);
	expect_result(POL_PAM_BROKEN, "authenticate");
	tear_down(state);
	/* A file without lines is not a permission; what it lacks is taken from "other". */
	write_service("other", "");
	begin("# nothing");
	expect_result(POL_PAM_DENIED, "authenticate");
}

#ifndef WITH_SANITIZER /* it has no sandbox, and root reads everything */
/* What stands there and cannot be read would be "other", too: here it lies where modules do not reach, and is nobody's to read. */
static void
test_a_stack_that_cannot_be_read_lets_nobody_in(void **state)
{
	char outside[] = "/tmp/auth-outside-XXXXXX", link[PATH_MAX];
	int fd;

	(void)state;
	fd = mkstemp(outside);
	assert_true(fd >= 0 && fchmod(fd, 0) == 0);
	fd_close(&fd);
	snprintf(link, sizeof(link), "%s/outside", dir);
	assert_int_equal(symlink(outside, link), 0);
	write_service("other", AUTH GOOD_ACCOUNT);
	spawn();
	order_stack("outside");
	order_user("alice", LONGEST);
	expect_result(POL_PAM_BROKEN, "start");
	assert_non_null(strstr(result.said, "no such PAM service"));
	unlink(link);
	unlink(outside);
}
#endif

/* Conversations. */

static void
test_many_rounds_with_echo_and_without(void **state)
{
	(void)state;
	begin(AUTH "[info:Hello] [echo:Token: =12 34] [error:One more] [hidden:Password: "
		   "=geheim]" GOOD_ACCOUNT);
	expect_text("Hello");
	expect_question(1);
	assert_string_equal(question.prompt[0], "Token: ");
	assert_int_equal(question.echo[0], 1);
	answer("12 34");
	expect_text("One more");
	expect_question(1);
	assert_string_equal(question.text, "");
	assert_string_equal(question.prompt[0], "Password: ");
	assert_int_equal(question.echo[0], 0);
	answer("geheim");
	expect_result(POL_PAM_OK, "account");
	assert_string_equal(result.user, "alice");
	assert_int_equal(result.n_groups, 0);
	assert_string_equal(result.subject, "");
}

static void
test_a_wrong_answer_is_denied(void **state)
{
	(void)state;
	begin(AUTH "[hidden:Password: =geheim]" GOOD_ACCOUNT);
	expect_question(1);
	answer("wrong");
	expect_result(POL_PAM_DENIED, "authenticate");
}

static void
test_several_prompts_at_once(void **state)
{
	static const char *const all[] = { "0", "1", "2" };

	(void)state;
	begin(AUTH "several:30" GOOD_ACCOUNT);
	expect_question(3);
	assert_string_equal(question.text, "before\nbehind");
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(question.echo[i], i % 2);
	send_answer(3, all);
	expect_result(POL_PAM_OK, "account");
}

/* PAM allows 32, a question has room for 16. */
static void
test_more_prompts_than_a_question_holds(void **state)
{
	static const char *const all[] = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10",
		"11", "12", "13", "14", "15", "16", "17", "18", "19" };

	(void)state;
	begin(AUTH "several:02" GOOD_ACCOUNT);
	expect_question(16);
	assert_string_equal(question.text, "before");
	send_answer(16, all);
	expect_question(4);
	assert_string_equal(question.text, "behind");
	send_answer(4, all + 16);
	expect_result(POL_PAM_OK, "account");
}

static void
test_a_prompt_that_no_terminal_has_is_refused(void **state)
{
	(void)state;
	begin(AUTH "binary:x" GOOD_ACCOUNT);
	expect_result(POL_PAM_BROKEN, "authenticate");
}

static void
test_texts_are_cleaned(void **state)
{
	(void)state;
	begin(AUTH "hex:1b5b324a58 hex:68c3bc0d0aff20e280ae" GOOD_ACCOUNT);
	expect_text("?[2JX");
	expect_text("h\303\274\n? ?");
	expect_result(POL_PAM_OK, "account");
}

static void
test_a_megabyte_is_cut(void **state)
{
	(void)state;
	begin(AUTH "megabyte:x noise:" GOOD_ACCOUNT);
	expect_question(0);
	assert_int_equal(strlen(question.text), AUTH_TEXT_MAX);
	assert_string_equal(question.text + AUTH_TEXT_MAX - 4, "x...");
	send_answer(0, NULL);
	expect_result(POL_PAM_OK, "account");
}

static void
test_a_conversation_without_end_ends(void **state)
{
	(void)state;
	begin(AUTH "rounds:100000" GOOD_ACCOUNT);
	for (unsigned i = 0; i < AUTH_ROUNDS_MAX; i++) {
		expect_question(0);
		send_answer(0, NULL);
	}
	expect_result(POL_PAM_ABANDONED, "authenticate");
	assert_string_equal(result.said, "too many questions");
}

/* Who the person is, and what modules are told and tell. */

static void
test_modules_are_told_about_the_attempt(void **state)
{
	(void)state;
	begin(AUTH
	    "show:BASTION_TARGET show:BASTION_SOURCE show:BASTION_REFERENCE show:BASTION_IDENTITY "
	    "show:PAM_RHOST show:PAM_TTY show:PAM_USER show:PAM_SERVICE" GOOD_ACCOUNT);
	expect_text("BASTION_TARGET is root@web1");
	expect_text("BASTION_SOURCE is 192.0.2.7");
	expect_text("BASTION_REFERENCE is ref-17");
	expect_text("BASTION_IDENTITY is alice");
	expect_text("PAM_RHOST is 192.0.2.7");
	expect_text("PAM_TTY is ssh");
	expect_text("PAM_USER is alice");
	expect_text("PAM_SERVICE is test");
	expect_result(POL_PAM_OK, "account");
}

static void
test_modules_find_a_bare_process(void **state)
{
	(void)state;
	begin(AUTH "show:HOME show:LANG show:ASAN_OPTIONS show:PATH count: parent:" GOOD_ACCOUNT);
	expect_text("HOME is not set");
	expect_text("LANG is not set");
	expect_text("ASAN_OPTIONS is not set");
	expect_text("PATH is /usr/bin:/bin");
	expect_text("4 descriptors");
	expect_question(0);
	send_answer(0, NULL);
	expect_result(POL_PAM_OK, "account");
}

/* What was named can be reached, and nothing else: above all not the state of a bastion with the same user. */
static void
test_modules_reach_what_was_named(void **state)
{
	(void)state;
#ifdef WITH_SANITIZER
	puts("# no sandbox in a build with sanitizers");
#else
	if (sandbox_landlock_abi() < 6) {
		puts("# this kernel's Landlock is too old");
		return;
	}
	begin(AUTH "open:/etc/passwd open:/tmp open:/root open:/ run:/bin/true run:/bin/ls "
		   "parent:" GOOD_ACCOUNT);
	expect_text("/etc/passwd opens");
	expect_text("/tmp: Permission denied");
	expect_text("/root: Permission denied");
	expect_text("/: Permission denied");
	expect_text("/bin/true runs");
	expect_text("/bin/ls does not run");
	expect_text("parent out of reach");
	expect_result(POL_PAM_OK, "account");
#endif
}

static void
test_groups_and_subject(void **state)
{
	(void)state;
	begin(AUTH "[env:BASTION_GROUPS=sre,,on call,] [env:BASTION_SUBJECT=https://op.example/ "
		   "42]" GOOD_ACCOUNT);
	expect_result(POL_PAM_OK, "account");
	assert_int_equal(result.n_groups, 2);
	assert_string_equal(result.group[0], "sre");
	assert_string_equal(result.group[1], "on call");
	assert_string_equal(result.subject, "https://op.example/ 42");
}

/* Groups deny, too: some of them are not better than none. */
static void
test_too_many_groups_are_no_login(void **state)
{
	static const char *const services[] = { AUTH "env-many:BASTION_GROUPS:257" GOOD_ACCOUNT,
		AUTH "env-many:BASTION_GROUPS:10000" GOOD_ACCOUNT };

	begin(AUTH "env-many:BASTION_GROUPS:256" GOOD_ACCOUNT);
	expect_result(POL_PAM_OK, "account");
	assert_int_equal(result.n_groups, 256);
	for (size_t i = 0; i < N_OF(services); i++) {
		tear_down(state);
		begin(services[i]);
		expect_result(POL_PAM_BROKEN, "account");
		assert_int_equal(result.n_groups, 0);
	}
}

static void
test_a_changed_user_is_told(void **state)
{
	begin(AUTH "user:root" GOOD_ACCOUNT);
	expect_result(POL_PAM_OK, "account");
	assert_string_equal(result.user, "root");
	tear_down(state);
	/* Away and back would be no change to who looks at the end only. */
	begin(AUTH "user:root\naccount required MODULE user:alice");
	expect_result(POL_PAM_BROKEN, "account");
	tear_down(state);
	begin(AUTH "\naccount required MODULE user:root");
	expect_result(POL_PAM_BROKEN, "account");
}

static void
test_a_password_is_not_changed_here(void **state)
{
	(void)state;
	begin(AUTH "\naccount required MODULE return:12"); /* PAM_NEW_AUTHTOK_REQD */
	expect_question(0);
	assert_non_null(strstr(question.text, "has to be changed"));
	assert_non_null(strstr(question.text, "not possible through the bastion"));
	send_answer(0, NULL);
	expect_result(POL_PAM_ACCOUNT, "account");
}

/* Modules that misbehave. */

static void
test_a_module_that_ends_the_process(void **state)
{
	static const struct {
		const char *service, *said;
	} rows[] = {
		{ AUTH "crash:" GOOD_ACCOUNT, "signal 11" },
		{ AUTH "exit:0" GOOD_ACCOUNT, "exit 0" },
		{ AUTH "exit:5" GOOD_ACCOUNT, "exit 5" },
		/* What it closed was its own way to speak. */
		{ AUTH "close:" GOOD_ACCOUNT, "" },
		{ AUTH "close: hang:" GOOD_ACCOUNT, "" },
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		begin(rows[i].service);
		expect_result(POL_PAM_BROKEN, "authenticate");
		assert_non_null(strstr(result.said, rows[i].said));
		tear_down(state);
	}
	begin(AUTH "\naccount required MODULE exit:0");
	expect_result(POL_PAM_BROKEN, "account");
}

static void
test_a_module_that_sleeps_for_ever(void **state)
{
	(void)state;
	begin_within(AUTH "hang:" GOOD_ACCOUNT, 300 * CLOCK_NS_PER_MS);
	expect_result(POL_PAM_ABANDONED, "authenticate");
	assert_string_equal(result.said, "it took too long");
}

/* Free as soon as whoever held it is gone. */
static void
expect_unlocked(void)
{
	uint64_t until = clock_boot_ns() + 20 * CLOCK_NS_PER_S;
	int fd = open(lock_file, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		assert_true(clock_boot_ns() < until);
		(void)poll(NULL, 0, 10);
	}
	fd_close(&fd);
}

static void
test_a_child_that_is_left_behind_is_ended(void **state)
{
	static const char *const where[] = { "same", "own" };
	char service[PATH_MAX + 128];

	for (size_t i = 0; i < N_OF(where); i++) {
		snprintf(
		    service, sizeof(service), AUTH "child:%s:%s" GOOD_ACCOUNT, where[i], lock_file);
		begin(service);
		expect_text("left a child");
		expect_result(POL_PAM_OK, "account");
		expect_unlocked();
		tear_down(state);
		/* The same when the module itself is then killed. */
		snprintf(service, sizeof(service), AUTH "child:%s:%s hang:" GOOD_ACCOUNT, where[i],
		    lock_file);
		begin(service);
		expect_text("left a child");
		fd_close(&broker);
		expect_result(POL_PAM_ABANDONED, "authenticate");
		expect_unlocked();
		tear_down(state);
	}
}

/* Others that go, or that break the rules. */

static void
test_the_person_leaves(void **state)
{
	(void)state;
	begin(AUTH "[hidden:Password: =x]" GOOD_ACCOUNT);
	expect_question(1);
	fd_close(&talk);
	expect_result(POL_PAM_ABANDONED, "authenticate");
	assert_string_equal(result.said, "the person left");
}

static void
test_the_broker_ends_it(void **state)
{
	(void)state;
	begin(AUTH "info:x hang:" GOOD_ACCOUNT);
	expect_text("x");
	fd_close(&broker);
	expect_result(POL_PAM_ABANDONED, "authenticate");
}

static void
test_policy_goes(void **state)
{
	(void)state;
	begin(AUTH "[hidden:Password: =x]" GOOD_ACCOUNT);
	expect_question(1);
	fd_close(&policy);
	expect_end();
}

static void
test_nobody_gives_an_order(void **state)
{
	spawn();
	fd_close(&broker);
	expect_result(POL_PAM_ABANDONED, "start");
	tear_down(state);
	/* Half of one is none. */
	spawn();
	order_user("alice", 100 * CLOCK_NS_PER_MS);
	expect_result(POL_PAM_ABANDONED, "start");
}

static void
test_answers_that_fit_no_question(void **state)
{
	static const char *const two[] = { "a", "b" };
	char long_one[AUTH_ANSWER_MAX + 2];
	const char *one = long_one;

	begin(AUTH "info:x hang:" GOOD_ACCOUNT);
	expect_text("x");
	answer("unasked");
	expect_result(POL_PAM_ABANDONED, "authenticate");
	tear_down(state);

	begin(AUTH "[hidden:Password: =x]" GOOD_ACCOUNT);
	expect_question(1);
	send_answer(2, two);
	expect_result(POL_PAM_ABANDONED, "authenticate");
	tear_down(state);

	memset(long_one, 'x', sizeof(long_one) - 1);
	long_one[sizeof(long_one) - 1] = '\0';
	begin(AUTH "[hidden:Password: =x]" GOOD_ACCOUNT);
	expect_question(1);
	send_answer(1, &one);
	expect_result(POL_PAM_ABANDONED, "authenticate");
	tear_down(state);

	begin(AUTH "[hidden:Password: =x]" GOOD_ACCOUNT);
	expect_question(1);
	assert_int_equal(
	    ipc_plain_send(talk, AUTH_ANSWER, 0, "\0\0\0\1\0\0\0\2x\0", 10, NULL, 0), 0);
	expect_result(POL_PAM_ABANDONED, "authenticate");
	tear_down(state);

	/* As long as one may be. */
	long_one[AUTH_ANSWER_MAX] = '\0';
	begin(AUTH "[hidden:Password: =x]" GOOD_ACCOUNT);
	expect_question(1);
	send_answer(1, &one);
	expect_result(POL_PAM_DENIED, "authenticate");
}

static void
test_a_second_order_is_refused(void **state)
{
	begin(AUTH "info:x hang:" GOOD_ACCOUNT);
	expect_text("x");
	order_user("root", LONGEST);
	expect_end();
	tear_down(state);
	begin(AUTH "info:x hang:" GOOD_ACCOUNT);
	expect_text("x");
	order_stack("test");
	expect_result(POL_PAM_ABANDONED, "authenticate");
}

static int
prepare(void **state)
{
	char path[PATH_MAX];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/../tests/pam/pam_play.so", getenv("BASTION_BIN"));
	assert_non_null(realpath(path, module));
	snprintf(lock_file, sizeof(lock_file), "%s/lock", dir);
	return 0;
}

static int
clean_up(void **state)
{
	static const char *const names[] = { "test", "other", "lock" };
	char path[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < N_OF(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

#define T(name) cmocka_unit_test_teardown(name, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_what_the_answers_of_pam_mean),
		T(test_a_stack_that_is_not_there_lets_nobody_in),
#ifndef WITH_SANITIZER
		T(test_a_stack_that_cannot_be_read_lets_nobody_in),
#endif
		T(test_many_rounds_with_echo_and_without),
		T(test_a_wrong_answer_is_denied),
		T(test_several_prompts_at_once),
		T(test_more_prompts_than_a_question_holds),
		T(test_a_prompt_that_no_terminal_has_is_refused),
		T(test_texts_are_cleaned),
		T(test_a_megabyte_is_cut),
		T(test_a_conversation_without_end_ends),
		T(test_modules_are_told_about_the_attempt),
		T(test_modules_find_a_bare_process),
		T(test_modules_reach_what_was_named),
		T(test_groups_and_subject),
		T(test_too_many_groups_are_no_login),
		T(test_a_changed_user_is_told),
		T(test_a_password_is_not_changed_here),
		T(test_a_module_that_ends_the_process),
		T(test_a_module_that_sleeps_for_ever),
		T(test_a_child_that_is_left_behind_is_ended),
		T(test_the_person_leaves),
		T(test_the_broker_ends_it),
		T(test_policy_goes),
		T(test_nobody_gives_an_order),
		T(test_answers_that_fit_no_question),
		T(test_a_second_order_is_refused),
	};

	if (getenv("BASTION_BIN") == NULL) {
		puts("Bail out! BASTION_BIN is where bastiond-auth lies");
		return 1;
	}
	return cmocka_run_group_tests(tests, prepare, clean_up);
}
