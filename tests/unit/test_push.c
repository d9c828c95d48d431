/* The broker's side of bringing checkpoints out, with programs that end as the test says. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "bastiond/broker/push.h"
#include "lib/file.h"
#include "lib/str.h"
#include "tests/lib/test.h"

#define MS CLOCK_NS_PER_MS
#define EXITED(code) ((code) << 8)

/* One started program: what it was given, and the ends that the test holds for it. */
struct fake {
	char argv[256], note[256];
	int note_fd, why_fd, end_fd; /* end_fd: written to make it end */
	int status;
	bool killed, ended;
};

static struct {
	struct loop *loop;
	struct programs programs;
	struct settings_push to[2];
	struct push *push;
	struct fake fakes[64];
	int n;
	int spawn_error;
	int n_alarms, n_works, n_idle;
	char why[256];
} t;

static int
fake_spawn(const struct proc_spec *spec, pid_t *ret_pid, int *ret_pidfd)
{
	struct fake *f = &t.fakes[t.n];
	ssize_t len;
	int fds[2];

	if (t.spawn_error != 0)
		return t.spawn_error;
	assert_true(t.n < (int)N_OF(t.fakes));
	*f = (struct fake){ .why_fd = -1 };
	for (size_t i = 0; spec->argv[i] != NULL; i++) {
		strcat(f->argv, spec->argv[i]);
		strcat(f->argv, " ");
	}
	assert_int_equal(spec->n_fds, 2);
	len = read(spec->fds[0], f->note, sizeof(f->note) - 1);
	assert_true(len >= 0);
	assert_true((f->why_fd = fcntl(spec->fds[1], F_DUPFD_CLOEXEC, 0)) >= 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	f->end_fd = fds[1];
	*ret_pidfd = fds[0];
	*ret_pid = ++t.n;
	return 0;
}

static void
fake_end(int i, int status, const char *why)
{
	struct fake *f = &t.fakes[i];

	f->status = status;
	f->ended = true;
	assert_int_equal(file_write_all(f->why_fd, why, strlen(why)), 0);
	fd_close(&f->why_fd);
	assert_int_equal(write(f->end_fd, "x", 1), 1);
	fd_close(&f->end_fd);
	assert_int_equal(loop_pass(t.loop, 100 * MS), 0);
}

static int
fake_collect(pid_t pid, int *ret_status)
{
	if (!t.fakes[pid - 1].ended)
		return -EAGAIN;
	*ret_status = t.fakes[pid - 1].status;
	return 0;
}

static int
fake_kill_group(pid_t pid, int signo)
{
	(void)signo;
	t.fakes[pid - 1].killed = true;
	return 0;
}

static int
fake_kill(int pidfd, int signo)
{
	(void)pidfd;
	(void)signo;
	return 0;
}

static const struct process_ops ops = { fake_spawn, fake_kill, fake_collect, fake_kill_group };

static void
on_alarm(void *arg, const char *to, bool works, const char *why)
{
	(void)arg;
	assert_string_equal(to, "url https://x/");
	t.n_alarms += !works;
	t.n_works += works;
	assert_int_equal(str_copy(t.why, sizeof(t.why), why), 0);
}

static void
on_idle(void *arg)
{
	(void)arg;
	t.n_idle++;
}

static void
open_push(size_t n, uint64_t deadline_ns, uint64_t pause_ns, uint64_t alarm_ns)
{
	const struct push_conf conf = { .loop = t.loop,
		.ops = &ops,
		.programs = &t.programs,
		.to = t.to,
		.n = n,
		.deadline_ns = deadline_ns,
		.pause_ns = pause_ns,
		.alarm_ns = alarm_ns,
		.alarm = on_alarm,
		.idle = on_idle };

	assert_int_equal(push_new(&conf, &t.push), 0);
}

static int
setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	assert_int_equal(loop_new(&t.loop), 0);
	t.to[0] = (struct settings_push){ .kind = PUSH_URL, .to = "https://x/", .ca = "/ca" };
	t.to[1] = (struct settings_push){ .kind = PUSH_FILE, .to = "/f" };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (int i = 0; i < t.n; i++) {
		if (!t.fakes[i].ended) {
			fd_close(&t.fakes[i].why_fd);
			fd_close(&t.fakes[i].end_fd);
		}
	}
	push_free(t.push);
	loop_free(t.loop);
	return 0;
}

/* Wait until so many were started, but not for ever. */
static void
until_started(int n)
{
	uint64_t end = clock_boot_ns() + 5 * CLOCK_NS_PER_S;

	while (t.n < n && clock_boot_ns() < end)
		assert_int_equal(loop_pass(t.loop, 10 * MS), 0);
	assert_int_equal(t.n, n);
}

static void
test_each_place_gets_the_note(void **state)
{
	(void)state;
	open_push(2, CLOCK_NS_PER_S, MS, MS);
	assert_int_equal(push_take(t.push, "one", 3), 0);
	assert_int_equal(t.n, 2);
	assert_string_equal(t.fakes[0].argv, "url https://x/ /ca  ");
	assert_string_equal(t.fakes[1].argv, "file /f ");
	assert_string_equal(t.fakes[0].note, "one");
	assert_string_equal(t.fakes[1].note, "one");
	fake_end(0, 0, "");
	fake_end(1, 0, "");
	assert_int_equal(t.n, 2);
	assert_int_equal(t.n_alarms + t.n_works + t.n_idle, 0);
}

/* A reload puts other settings in force and frees those that were. */
static void
test_the_places_outlive_the_settings(void **state)
{
	(void)state;
	open_push(2, CLOCK_NS_PER_S, MS, MS);
	memset(t.to, 'z', sizeof(t.to));
	assert_int_equal(push_take(t.push, "one", 3), 0);
	assert_string_equal(t.fakes[0].argv, "url https://x/ /ca  ");
	assert_string_equal(t.fakes[1].argv, "file /f ");
}

static void
test_what_no_pipe_holds_is_refused(void **state)
{
	char large[PUSH_TEXT_MAX + 1];

	(void)state;
	open_push(1, CLOCK_NS_PER_S, MS, MS);
	memset(large, 'x', sizeof(large));
	assert_int_equal(push_take(t.push, large, sizeof(large)), ERR_LIMIT);
	assert_int_equal(push_take(t.push, "", 0), ERR_LIMIT);
	assert_int_equal(t.n, 0);
}

static void
test_one_at_a_time_and_the_newest_next(void **state)
{
	(void)state;
	open_push(1, CLOCK_NS_PER_S, MS, MS);
	assert_int_equal(push_take(t.push, "one", 3), 0);
	assert_int_equal(push_take(t.push, "two", 3), 0);
	assert_int_equal(push_take(t.push, "three", 5), 0);
	assert_int_equal(t.n, 1);
	fake_end(0, 0, "");
	assert_int_equal(t.n, 2);
	assert_string_equal(t.fakes[1].note, "three");
	fake_end(1, 0, "");
	assert_int_equal(t.n, 2);
}

static void
test_what_failed_is_tried_again_unless_something_newer_came(void **state)
{
	(void)state;
	open_push(1, CLOCK_NS_PER_S, 20 * MS, CLOCK_NS_PER_S);
	assert_int_equal(push_take(t.push, "one", 3), 0);
	fake_end(0, EXITED(1), "no");
	assert_int_equal(t.n, 1);
	until_started(2);
	assert_string_equal(t.fakes[1].note, "one");
	fake_end(1, EXITED(1), "no");
	assert_int_equal(push_take(t.push, "two", 3), 0);
	assert_int_equal(t.n, 2); /* it pauses */
	until_started(3);
	assert_string_equal(t.fakes[2].note, "two");
}

static void
test_pauses_grow(void **state)
{
	uint64_t from, first, second;

	(void)state;
	open_push(1, CLOCK_NS_PER_S, 40 * MS, CLOCK_NS_PER_S);
	assert_int_equal(push_take(t.push, "one", 3), 0);
	fake_end(0, EXITED(1), "no");
	from = clock_boot_ns();
	until_started(2);
	first = clock_boot_ns() - from;
	fake_end(1, EXITED(1), "no");
	from = clock_boot_ns();
	until_started(3);
	second = clock_boot_ns() - from;
	assert_true(first >= 38 * MS && second >= 78 * MS);
}

static void
test_an_alarm_is_given_once_and_its_end_once(void **state)
{
	struct json *list = json_list();
	char *text;
	size_t len;

	(void)state;
	open_push(1, CLOCK_NS_PER_S, MS, 1);
	assert_int_equal(push_take(t.push, "one", 3), 0);
	fake_end(0, EXITED(1), "the server answers 500");
	until_started(2);
	fake_end(1, EXITED(1), "the server\n answers 500");
	until_started(3);
	fake_end(2, EXITED(1), "the server answers 503");
	assert_int_equal(t.n_alarms, 1);
	assert_non_null(strstr(t.why, "the server"));
	assert_null(strchr(t.why, '\n'));
	push_put_problems(t.push, list);
	assert_int_equal(json_text(list, false, 4096, &text, &len), 0);
	assert_non_null(strstr(text, "503"));
	free(text);
	json_free(list);
	until_started(4);
	fake_end(3, 0, "");
	assert_int_equal(t.n_alarms, 1);
	assert_int_equal(t.n_works, 1);
	assert_int_equal(push_take(t.push, "two", 3), 0);
	fake_end(4, 0, "");
	assert_int_equal(t.n_works, 1);
}

static void
test_one_failure_is_no_alarm(void **state)
{
	(void)state;
	open_push(1, CLOCK_NS_PER_S, MS, 60 * CLOCK_NS_PER_S);
	assert_int_equal(push_take(t.push, "one", 3), 0);
	fake_end(0, EXITED(1), "no");
	until_started(2);
	fake_end(1, 0, "");
	assert_int_equal(t.n_alarms + t.n_works, 0);
}

static void
test_one_that_hangs_is_killed_with_all_its_children(void **state)
{
	uint64_t end = clock_boot_ns() + 5 * CLOCK_NS_PER_S;

	(void)state;
	open_push(1, 20 * MS, 60 * CLOCK_NS_PER_S, 1);
	assert_int_equal(push_take(t.push, "one", 3), 0);
	while (!t.fakes[0].killed && clock_boot_ns() < end)
		assert_int_equal(loop_pass(t.loop, 10 * MS), 0);
	assert_true(t.fakes[0].killed);
	/* Even one that ends well just then did not answer in time. */
	fake_end(0, 0, "");
	assert_int_equal(t.n, 1);
	assert_int_equal(push_take(t.push, "two", 3), 0);
	assert_int_equal(t.n, 1); /* it pauses */
}

static void
test_what_cannot_be_started_is_tried_again(void **state)
{
	(void)state;
	open_push(1, CLOCK_NS_PER_S, 20 * MS, CLOCK_NS_PER_S);
	t.spawn_error = -EAGAIN;
	assert_int_equal(push_take(t.push, "one", 3), 0);
	assert_int_equal(t.n, 0);
	t.spawn_error = 0;
	until_started(1);
	assert_string_equal(t.fakes[0].note, "one");
}

static void
test_a_stop_tries_once_more_and_then_is_idle(void **state)
{
	(void)state;
	open_push(1, CLOCK_NS_PER_S, 60 * CLOCK_NS_PER_S, CLOCK_NS_PER_S);
	assert_int_equal(push_take(t.push, "one", 3), 0);
	fake_end(0, EXITED(1), "no");
	assert_int_equal(t.n, 1); /* it pauses for a minute */
	push_stop(t.push);
	assert_int_equal(t.n, 2);
	assert_false(push_is_idle(t.push));
	fake_end(1, EXITED(1), "no");
	assert_true(push_is_idle(t.push));
	assert_int_equal(t.n, 2);
	assert_int_equal(t.n_idle, 1);
}

static void
test_a_stop_waits_for_what_runs_and_brings_the_newest(void **state)
{
	(void)state;
	open_push(1, CLOCK_NS_PER_S, MS, CLOCK_NS_PER_S);
	assert_int_equal(push_take(t.push, "one", 3), 0);
	assert_int_equal(push_take(t.push, "last", 4), 0);
	push_stop(t.push);
	assert_int_equal(t.n, 1);
	fake_end(0, 0, "");
	assert_int_equal(t.n, 2);
	assert_string_equal(t.fakes[1].note, "last");
	assert_false(push_is_idle(t.push));
	fake_end(1, 0, "");
	assert_true(push_is_idle(t.push));
	assert_int_equal(t.n_idle, 1);
}

static void
test_nowhere_to_bring_it_is_no_work(void **state)
{
	(void)state;
	open_push(0, CLOCK_NS_PER_S, MS, MS);
	assert_int_equal(push_take(t.push, "one", 3), 0);
	push_stop(t.push);
	assert_true(push_is_idle(t.push));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_each_place_gets_the_note),
		T(test_the_places_outlive_the_settings),
		T(test_what_no_pipe_holds_is_refused),
		T(test_one_at_a_time_and_the_newest_next),
		T(test_what_failed_is_tried_again_unless_something_newer_came),
		T(test_pauses_grow),
		T(test_an_alarm_is_given_once_and_its_end_once),
		T(test_one_failure_is_no_alarm),
		T(test_one_that_hangs_is_killed_with_all_its_children),
		T(test_what_cannot_be_started_is_tried_again),
		T(test_a_stop_tries_once_more_and_then_is_idle),
		T(test_a_stop_waits_for_what_runs_and_brings_the_newest),
		T(test_nowhere_to_bring_it_is_no_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
