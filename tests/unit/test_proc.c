/*
 * Starting programs. This program starts itself: as "--show" it tells what it finds (descriptors, environment,
 * signals, umask), as "--wait" it waits to be killed, as "--parent" it starts a "--wait" and dies.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "tests/lib/test.h"

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/proc.h"
#include "lib/str.h"

extern char **environ;

static int self_fd = -1;

/* What the started program writes to its stdout, which the test made a pipe. */

static void
show_fds(void)
{
	for (int fd = 0; fd < 1024; fd++) {
		int flags = fcntl(fd, F_GETFD);
		char c = '-';

		if (flags < 0)
			continue;
		if (fd > 2 && recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 1)
			c = '?';
		(void)printf(
		    "fd %d %c %s\n", fd, c, (flags & FD_CLOEXEC) != 0 ? "cloexec" : "kept");
	}
}

static void
show(int argc, char **argv)
{
	struct sigaction sa;
	sigset_t mask;

	for (int i = 0; i < argc; i++)
		(void)printf("arg %s\n", argv[i]);
	for (char **e = environ; *e != NULL; e++)
		(void)printf("env %s\n", *e);
	show_fds();
	for (int s = 1; s < 32; s++) {
		if (sigaction(s, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN)
			(void)printf("ignored %d\n", s);
		if (sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && sigismember(&mask, s) == 1)
			(void)printf("blocked %d\n", s);
	}
	(void)printf("umask %03o uid %d gid %d groups %d\n", (unsigned)umask(0), (int)getuid(),
	    (int)getgid(), getgroups(0, NULL));
	(void)fflush(stdout);
}

/* Start spec and read all that it says; *ret_status as of waitpid(2). */
static void
run(struct proc_spec *spec, char *text, size_t size, int *ret_status)
{
	uint64_t until = clock_boot_ns() + 10 * CLOCK_NS_PER_S;
	int out[2], keep = dup(STDOUT_FILENO), pidfd = -1;
	size_t at = 0;
	ssize_t n;
	pid_t pid = -1;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(fflush(stdout), 0);
	assert_true(dup2(out[1], STDOUT_FILENO) >= 0);
	assert_int_equal(proc_spawn(spec, &pid, &pidfd), 0);
	assert_true(dup2(keep, STDOUT_FILENO) >= 0);
	(void)close(out[1]);
	(void)close(keep);
	do {
		/* A grandchild that lives on would hold the pipe open. */
		assert_int_equal(
		    poll(&(struct pollfd){ .fd = out[0], .events = POLLIN }, 1, 10000), 1);
		n = read(out[0], text + at, size - 1 - at);
		at += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	text[at] = '\0';
	(void)close(out[0]);
	assert_int_equal(poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, 10000), 1);
	assert_true(fcntl(pidfd, F_GETFD) & FD_CLOEXEC);
	while (proc_collect(pid, ret_status) == -EAGAIN)
		assert_true(clock_boot_ns() < until);
	assert_int_equal(proc_collect(pid, ret_status), -ECHILD);
	(void)close(pidfd);
}

/* A socket from which a given byte can be peeked, so that the program can say which one it got. */
static int
marked_socket(char c)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(send(fds[1], &c, 1, 0), 1);
	(void)close(fds[1]);
	return fds[0];
}

static void
show_program(const int *fds, size_t n_fds, char *text, size_t size)
{
	static const char *const argv[] = { "--show", "a b", NULL };
	struct proc_spec spec = {
		.exec_fd = self_fd, .name = "shown", .argv = argv, .fds = fds, .n_fds = n_fds
	};
	int status = -1;

	run(&spec, text, size, &status);
	assert_int_equal(status, 0);
}

/* Only the lines that begin with word. */
static void
assert_lines(const char *text, const char *word, const char *want)
{
	char got[4096] = "";
	size_t at = 0;

	for (const char *line = text, *end; *line != '\0'; line = end + 1) {
		end = strchr(line, '\n');
		assert_non_null(end);
		if (!str_starts(line, word))
			continue;
		assert_true(at + (size_t)(end - line) + 2 < sizeof(got));
		memcpy(got + at, line, (size_t)(end - line) + 1);
		at += (size_t)(end - line) + 1;
		got[at] = '\0';
	}
	assert_string_equal(got, want);
}

static void
test_descriptors_stand_where_they_were_told(void **state)
{
	/* Sources that lie on each other's targets, in every crossing order. */
	int a = marked_socket('a'), b = marked_socket('b'), c = marked_socket('c');
	int fds[4];
	char text[8192];

	(void)state;
	assert_true(a >= 3);
	fds[0] = dup2(c, 6);
	fds[1] = dup2(a, 3);
	fds[2] = -1;
	fds[3] = dup2(b, 4);
	show_program(fds, 4, text, sizeof(text));
	assert_lines(text, "fd ",
	    "fd 0 - kept\nfd 1 - kept\nfd 2 - kept\n"
	    "fd 3 c kept\nfd 4 a kept\nfd 6 b kept\n");
	for (int fd = 3; fd < 16; fd++)
		if (fd != self_fd)
			(void)close(fd);
}

static void
test_nothing_else_is_inherited(void **state)
{
	char text[8192];
	int leak = open("/dev/null", O_RDONLY); /* not close-on-exec */
	int high = fcntl(leak, F_DUPFD, 900);

	(void)state;
	assert_true(leak >= 0 && high >= 900);
	show_program(NULL, 0, text, sizeof(text));
	assert_lines(text, "fd ", "fd 0 - kept\nfd 1 - kept\nfd 2 - kept\n");
	(void)close(leak);
	(void)close(high);
}

static void
test_arguments_and_environment(void **state)
{
	char text[8192];

	(void)state;
	assert_int_equal(setenv("LD_PRELOAD", "", 1), 0);
	assert_int_equal(setenv("SECRET", "x", 1), 0);
	assert_int_equal(setenv("JOURNAL_STREAM", "8:1", 1), 0);
	show_program(NULL, 0, text, sizeof(text));
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
	assert_lines(text, "arg ", "arg shown\narg --show\narg a b\n");
	assert_null(strstr(text, "SECRET"));
	assert_null(strstr(text, "LD_PRELOAD"));
	assert_non_null(
	    strstr(text, "env PATH=/usr/bin:/bin\nenv LANG=C\nenv JOURNAL_STREAM=8:1\n"));
}

static void
test_signals_and_umask(void **state)
{
	char text[8192];
	sigset_t set, old;

	(void)state;
	sigfillset(&set);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, &old), 0);
	assert_true(signal(SIGHUP, SIG_IGN) != SIG_ERR);
	show_program(NULL, 0, text, sizeof(text));
	assert_true(signal(SIGHUP, SIG_DFL) != SIG_ERR);
	assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
	assert_lines(text, "ignored ", "ignored 13\n"); /* SIGPIPE */
	assert_lines(text, "blocked ", "");
	assert_non_null(strstr(text, "umask 077 "));
}

static void
test_another_user(void **state)
{
	static const char *const argv[] = { "--show", NULL };
	struct proc_spec spec = {
		.exec_fd = self_fd, .name = "x", .argv = argv, .uid = 61799, .gid = 61798
	};
	char text[8192], want[64];
	int status = -1;

	(void)state;
	/* As somebody else than root it stays who it is. */
	assert_true(
	    snprintf(want, sizeof(want), "uid %d gid %d groups %d\n",
		geteuid() == 0 ? 61799 : (int)getuid(), geteuid() == 0 ? 61798 : (int)getgid(),
		geteuid() == 0 ? 0 : getgroups(0, NULL)) > 0);
	run(&spec, text, sizeof(text), &status);
	assert_int_equal(status, 0);
	assert_non_null(strstr(text, want));
}

static void
test_a_program_that_cannot_be_run_ends_with_127(void **state)
{
	struct proc_spec spec = { .exec_fd = -1, .name = "x" };
	char text[256], why[64];
	int status = -1, null = open("/dev/null", O_PATH | O_CLOEXEC);

	(void)state;
	spec.exec_fd = null;
	run(&spec, text, sizeof(text), &status);
	assert_string_equal(proc_status_text(why, sizeof(why), status), "exit 127");
	(void)close(null);
}

static void
test_it_dies_with_its_parent(void **state)
{
	static const char *const argv[] = { "--parent", NULL };
	int mark[2];
	struct proc_spec spec = {
		.exec_fd = self_fd, .name = "x", .argv = argv, .fds = &mark[1], .n_fds = 1
	};
	char text[64], c;
	int status = -1;

	(void)state;
	assert_int_equal(pipe2(mark, O_CLOEXEC), 0);
	run(&spec, text, sizeof(text), &status);
	assert_int_equal(status, 0);
	(void)close(mark[1]);
	/* The grandchild holds the other end: when it is gone, this reads the end. */
	assert_int_equal(poll(&(struct pollfd){ .fd = mark[0], .events = POLLIN }, 1, 10000), 1);
	assert_int_equal(read(mark[0], &c, 1), 0);
	(void)close(mark[0]);
}

/* What it started ends with it, and nobody else: we are in another group. */
static void
test_a_group_ends_whole(void **state)
{
	int ends[2], status;
	char c;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		(void)setsid(); /* as proc_spawn() does */
		if (fork() >= 0 && write(ends[1], "x", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	(void)close(ends[1]);
	assert_int_equal(read(ends[0], &c, 1), 1);
	assert_int_equal(read(ends[0], &c, 1), 1);
	assert_int_equal(proc_kill_group(pid, SIGKILL), 0);
	/* Both ends of the pipe were theirs. */
	assert_int_equal(poll(&(struct pollfd){ .fd = ends[0], .events = POLLIN }, 1, 10000), 1);
	assert_int_equal(read(ends[0], &c, 1), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	(void)close(ends[0]);
}

static void
test_limits_are_told_before_anything_starts(void **state)
{
	const char *argv[40];
	int fds[17];
	struct proc_spec spec = { .exec_fd = self_fd, .name = "x", .argv = argv, .fds = fds };
	pid_t pid = 77;
	int pidfd = 77;

	(void)state;
	for (size_t i = 0; i < N_OF(argv); i++)
		argv[i] = i + 1 < N_OF(argv) ? "x" : NULL;
	assert_int_equal(proc_spawn(&spec, &pid, &pidfd), ERR_LIMIT);
	spec.argv = NULL;
	spec.n_fds = N_OF(fds);
	assert_int_equal(proc_spawn(&spec, &pid, &pidfd), ERR_LIMIT);
	assert_true(pid == 77 && pidfd == 77);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void
test_status_texts(void **state)
{
	char text[64];

	(void)state;
	assert_string_equal(proc_status_text(text, sizeof(text), 3 << 8), "exit 3");
	assert_string_equal(
	    proc_status_text(text, sizeof(text), SIGSEGV), "signal 11 (Segmentation fault)");
}

static void
test_where_the_programs_are(void **state)
{
	char dir[PATH_MAX], tiny[4];
	int fd = -1;

	(void)state;
	/* No bastiond-front beside this test: the installed place. */
	assert_int_equal(proc_libexec_dir(dir, sizeof(dir)), 0);
	assert_string_equal(dir, PKGLIBEXECDIR);
	assert_int_equal(proc_libexec_dir(tiny, sizeof(tiny)), ERR_LIMIT);
	assert_int_equal(proc_open("/nowhere", "x", &fd), -ENOENT);
	assert_int_equal(fd, -1);
}

/* The other lives of this program. */

/* Start a "--wait" that holds our descriptor 3, hear that it runs, and die. */
static int
start_waiter(void)
{
	static const char *const argv[] = { "--wait", NULL };
	int fds[2] = { PROC_FD_FIRST, -1 }, pair[2], pidfd = -1;
	struct proc_spec spec = { .name = "x", .argv = argv, .fds = fds, .n_fds = 2 };
	pid_t pid;
	char c;

	spec.exec_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return 1;
	fds[1] = pair[1];
	if (proc_spawn(&spec, &pid, &pidfd) != 0)
		return 1;
	(void)close(pair[1]);
	return read(pair[0], &c, 1) != 1;
}

static int
wait_to_be_killed(void)
{
	if (write(PROC_FD_FIRST + 1, "x", 1) != 1)
		return 1;
	(void)sleep(60); /* killed long before, or the test fails */
	return 0;
}

static int
other_life(int argc, char **argv)
{
	if (strcmp(argv[1], "--show") == 0)
		show(argc, argv);
	else if (strcmp(argv[1], "--parent") == 0)
		return start_waiter();
	else if (strcmp(argv[1], "--wait") == 0)
		return wait_to_be_killed();
	return 0;
}

static int
setup(void **state)
{
	char path[PATH_MAX], *slash;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	(void)state;
	if (n <= 0)
		return -1;
	path[n] = '\0';
	slash = strrchr(path, '/');
	*slash = '\0';
	if (proc_open(path, slash + 1, &self_fd) != 0)
		return -1;
	/* Out of the way of the numbers that the tests play with. */
	self_fd = fcntl(self_fd, F_DUPFD_CLOEXEC, 100);
	for (int fd = 3; fd < 100; fd++)
		(void)close(fd);
	return self_fd < 0 ? -1 : 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptors_stand_where_they_were_told),
		cmocka_unit_test(test_nothing_else_is_inherited),
		cmocka_unit_test(test_arguments_and_environment),
		cmocka_unit_test(test_signals_and_umask),
		cmocka_unit_test(test_another_user),
		cmocka_unit_test(test_a_program_that_cannot_be_run_ends_with_127),
		cmocka_unit_test(test_it_dies_with_its_parent),
		cmocka_unit_test(test_a_group_ends_whole),
		cmocka_unit_test(test_limits_are_told_before_anything_starts),
		cmocka_unit_test(test_status_texts),
		cmocka_unit_test(test_where_the_programs_are),
	};

	if (argc > 1)
		return other_life(argc, argv);
	return cmocka_run_group_tests(tests, setup, NULL);
}
