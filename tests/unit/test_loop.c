/* The event loop: order, and everything that may be deleted while it runs. */
#include "config.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "tests/lib/test.h"

#include "lib/clock.h"
#include "lib/loop.h"

static struct loop *l;
static uint64_t now_ns;
static char order[256];

static uint64_t
test_boot(void)
{
	return now_ns;
}

static int
setup(void **state)
{
	(void)state;
	now_ns = 1000;
	order[0] = '\0';
	clock_override(NULL, test_boot);
	return loop_new(&l);
}

static int
teardown(void **state)
{
	(void)state;
	loop_free(l);
	clock_override(NULL, NULL);
	return 0;
}

static void
mark(char c)
{
	size_t n = strlen(order);

	assert_true(n < sizeof(order) - 1);
	order[n] = c;
	order[n + 1] = '\0';
}

/* A timer that leaves its letter and then does something. */
struct tick {
	struct loop_timer *t;
	char name;
	void (*then)(struct tick *self);
	struct tick *other;
};

static void
on_tick(void *arg)
{
	struct tick *k = arg;

	mark(k->name);
	if (k->then != NULL)
		k->then(k);
}

static struct tick *
tick_new(char name, uint64_t in_ns)
{
	struct tick *k = calloc(1, sizeof(*k));

	assert_non_null(k);
	k->name = name;
	assert_int_equal(loop_timer_new(l, on_tick, k, &k->t), 0);
	assert_false(loop_timer_armed(k->t));
	if (in_ns != UINT64_MAX)
		loop_timer_arm(k->t, in_ns);
	return k;
}

static void
tick_free(struct tick *k)
{
	loop_timer_free(k->t);
	free(k);
}

static void
pass(void)
{
	assert_int_equal(loop_pass(l, 0), 0);
}

static void
test_timers_fire_in_order_and_once(void **state)
{
	struct tick *a = tick_new('a', 30), *b = tick_new('b', 10), *c = tick_new('c', 20),
		    *d = tick_new('d', 20), *e = tick_new('e', 40), *f = tick_new('f', UINT64_MAX);

	(void)state;
	pass();
	assert_string_equal(order, "");
	now_ns += 30;
	pass();
	assert_string_equal(order, "bcda");
	assert_false(loop_timer_armed(a->t));
	assert_true(loop_timer_armed(e->t));
	loop_timer_disarm(e->t);
	loop_timer_disarm(f->t);
	now_ns += 1000;
	pass();
	assert_string_equal(order, "bcda");
	tick_free(a);
	tick_free(b);
	tick_free(c);
	tick_free(d);
	tick_free(e);
	tick_free(f);
}

static void
test_arming_again_moves_a_timer(void **state)
{
	struct tick *a = tick_new('a', 10), *b = tick_new('b', 20);

	(void)state;
	loop_timer_arm(a->t, 30);
	loop_timer_arm(b->t, UINT64_MAX - 5); /* no overflow into the past */
	now_ns += 40;
	pass();
	assert_string_equal(order, "a");
	loop_timer_arm(b->t, 0);
	pass();
	assert_string_equal(order, "ab");
	tick_free(a);
	tick_free(b);
}

static void
arm_self(struct tick *k)
{
	loop_timer_arm(k->t, 0);
}

static void
test_a_timer_that_arms_itself_fires_once_a_pass(void **state)
{
	struct tick *a = tick_new('a', 0);

	(void)state;
	a->then = arm_self;
	pass();
	assert_string_equal(order, "a");
	now_ns++;
	pass();
	assert_string_equal(order, "aa");
	tick_free(a);
}

static void
free_other(struct tick *k)
{
	tick_free(k->other);
	k->other = NULL;
}

static void
free_self(struct tick *k)
{
	loop_timer_free(k->t);
	k->t = NULL;
}

static void
test_timers_freed_by_timers(void **state)
{
	struct tick *a = tick_new('a', 10), *b = tick_new('b', 10), *c = tick_new('c', 10);

	(void)state;
	a->then = free_other;
	a->other = b;
	c->then = free_self;
	now_ns += 10;
	pass();
	assert_string_equal(order, "ac");
	tick_free(a);
	tick_free(c);
}

/* The heap against a plain list, with timers armed, moved, disarmed and fired at random. */

struct due {
	struct loop_timer *t;
	uint64_t at_ns; /* 0: disarmed */
};

static uint64_t fired_ns;

static void
on_due(void *arg)
{
	struct due *d = arg;

	assert_true(d->at_ns != 0 && d->at_ns <= now_ns);
	assert_true(d->at_ns >= fired_ns);
	fired_ns = d->at_ns;
	d->at_ns = 0;
}

static void
test_many_timers_fire_in_order(void **state)
{
	static struct due due[200];
	uint32_t seed = 1;

	(void)state;
	for (size_t i = 0; i < N_OF(due); i++) {
		assert_int_equal(loop_timer_new(l, on_due, &due[i], &due[i].t), 0);
		due[i].at_ns = 0;
	}
	for (int round = 0; round < 20000; round++) {
		struct due *d = &due[test_random(&seed) % N_OF(due)];
		uint32_t what = test_random(&seed) % 10;

		if (what < 6) {
			d->at_ns = now_ns + test_random(&seed) % 1000;
			loop_timer_arm(d->t, d->at_ns - now_ns);
		} else if (what < 8) {
			loop_timer_disarm(d->t);
			d->at_ns = 0;
		} else {
			now_ns += test_random(&seed) % 20;
			fired_ns = 0;
			pass();
			for (size_t k = 0; k < N_OF(due); k++) {
				assert_true(due[k].at_ns == 0 || due[k].at_ns > now_ns);
				assert_int_equal(loop_timer_armed(due[k].t), due[k].at_ns != 0);
			}
		}
	}
	for (size_t i = 0; i < N_OF(due); i++)
		loop_timer_free(due[i].t);
}

/* Watches. */

static int
pair(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds);
}

struct watch {
	struct loop_io *io;
	int fds[2];
	char name;
	struct watch *deletes;
	bool nested;
};

static void
on_watch(void *arg, uint32_t revents)
{
	struct watch *w = arg;

	(void)revents;
	mark(w->name);
	if (w->nested) {
		w->nested = false;
		pass();
	}
	if (w->deletes != NULL) {
		loop_del(w->deletes->io);
		w->deletes->io = NULL;
	}
}

static void
watch_init(struct watch *w, char name)
{
	*w = (struct watch){ .name = name };
	assert_int_equal(pair(w->fds), 0);
	assert_int_equal(write(w->fds[1], "x", 1), 1);
	assert_int_equal(loop_add(l, w->fds[0], EPOLLIN, on_watch, w, &w->io), 0);
}

static void
watch_done(struct watch *w)
{
	loop_del(w->io);
	(void)close(w->fds[0]);
	(void)close(w->fds[1]);
}

static void
test_a_watch_deleted_by_another_is_not_served(void **state)
{
	struct watch a, b;

	(void)state;
	watch_init(&a, 'a');
	watch_init(&b, 'b');
	a.deletes = &b;
	b.deletes = &a;
	pass();
	assert_int_equal(strlen(order), 1);
	pass();
	assert_int_equal(strlen(order), 2);
	assert_int_equal(order[0], order[1]);
	watch_done(&a);
	watch_done(&b);
}

static void
test_a_watch_may_delete_itself(void **state)
{
	struct watch a;

	(void)state;
	watch_init(&a, 'a');
	a.deletes = &a;
	pass();
	pass();
	assert_string_equal(order, "a");
	watch_done(&a);
	loop_del(NULL);
}

/* The inner pass deletes what the outer one still has in its list. */
static void
test_a_pass_inside_a_pass(void **state)
{
	struct watch w[3];

	(void)state;
	for (size_t i = 0; i < N_OF(w); i++)
		watch_init(&w[i], (char)('a' + i));
	for (size_t i = 0; i < N_OF(w); i++) {
		w[i].nested = true;
		w[i].deletes = &w[(i + 1) % 3];
	}
	for (int i = 0; i < 5; i++)
		pass();
	for (size_t i = 0; i < N_OF(w); i++)
		watch_done(&w[i]);
	assert_true(strlen(order) >= 3);
}

static void
test_set_changes_what_is_waited_for(void **state)
{
	struct watch a;

	(void)state;
	watch_init(&a, 'a');
	assert_int_equal(loop_set(a.io, 0), 0);
	pass();
	assert_string_equal(order, "");
	assert_int_equal(loop_set(a.io, EPOLLOUT), 0);
	assert_int_equal(loop_set(a.io, EPOLLOUT), 0);
	pass();
	assert_string_equal(order, "a");
	watch_done(&a);
}

static void
test_a_bad_descriptor_is_refused(void **state)
{
	struct loop_io *io = NULL;
	struct watch a;

	(void)state;
	assert_int_equal(loop_add(l, -1, EPOLLIN, on_watch, NULL, &io), -EBADF);
	watch_init(&a, 'a');
	assert_int_equal(loop_add(l, a.fds[0], EPOLLIN, on_watch, NULL, &io), -EEXIST);
	assert_null(io);
	watch_done(&a);
}

static void
test_more_ready_than_one_batch_are_all_served(void **state)
{
	enum { N = 150 };
	static struct watch w[N];
	unsigned n = 0;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		watch_init(&w[i], 'x');
		w[i].deletes = &w[i];
	}
	for (int i = 0; i < 4; i++)
		pass();
	for (size_t i = 0; i < N; i++) {
		n += w[i].io == NULL;
		watch_done(&w[i]);
	}
	assert_int_equal(n, N);
}

/* Signals, the hook, stopping. */

static void
on_signal(void *arg, int signo)
{
	(void)arg;
	mark(signo == SIGUSR1 ? '1' : signo == SIGUSR2 ? '2' : '?');
}

static void
test_signals_come_as_events(void **state)
{
	static const int signos[] = { SIGUSR1, SIGUSR2 };

	(void)state;
	assert_int_equal(loop_signals(l, signos, 2, on_signal, NULL), 0);
	assert_int_equal(loop_signals(l, signos, 2, on_signal, NULL), ERR_ORDER);
	assert_int_equal(raise(SIGUSR2), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	pass();
	assert_int_equal(strlen(order), 2);
	assert_non_null(strchr(order, '1'));
	assert_non_null(strchr(order, '2'));
}

static void
stop(void *arg)
{
	(void)arg;
	loop_stop(l);
}

static bool
on_pass(void *arg)
{
	unsigned *left = arg;

	mark('p');
	if (--*left == 0)
		loop_stop(l);
	return *left > 0;
}

static void
test_the_hook_runs_after_each_pass_and_asks_for_another(void **state)
{
	struct tick *a = tick_new('a', 0);
	unsigned left = 4;

	(void)state;
	/* One timer, no fd: without its "again" the second pass would wait for ever. */
	loop_after_pass(l, on_pass, &left);
	(void)alarm(10);
	assert_int_equal(loop_run(l), 0);
	(void)alarm(0);
	assert_string_equal(order, "apppp");
	tick_free(a);
}

static void
test_stop_before_run_is_not_lost(void **state)
{
	struct tick *a = tick_new('a', 0);
	unsigned left = 1;

	(void)state;
	loop_stop(l);
	(void)alarm(10);
	assert_int_equal(loop_run(l), 0);
	/* And it stopped one run only. */
	loop_after_pass(l, on_pass, &left);
	assert_int_equal(loop_run(l), 0);
	(void)alarm(0);
	assert_string_equal(order, "ap");
	tick_free(a);
}

static void
test_waiting_ends_when_a_timer_is_due(void **state)
{
	struct loop_timer *t = NULL;
	uint64_t start;

	(void)state;
	clock_override(NULL, NULL);
	start = clock_boot_ns();
	assert_int_equal(loop_timer_new(l, stop, NULL, &t), 0);
	loop_timer_arm(t, 20 * CLOCK_NS_PER_MS);
	(void)alarm(10);
	assert_int_equal(loop_run(l), 0);
	(void)alarm(0);
	assert_true(clock_boot_ns() - start >= 20 * CLOCK_NS_PER_MS);
	loop_timer_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_timers_fire_in_order_and_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_arming_again_moves_a_timer, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_timer_that_arms_itself_fires_once_a_pass, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timers_freed_by_timers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_timers_fire_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_watch_deleted_by_another_is_not_served, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_watch_may_delete_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_pass_inside_a_pass, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_set_changes_what_is_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_bad_descriptor_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_more_ready_than_one_batch_are_all_served, setup, teardown),
		cmocka_unit_test_setup_teardown(test_signals_come_as_events, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_the_hook_runs_after_each_pass_and_asks_for_another, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_before_run_is_not_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_waiting_ends_when_a_timer_is_due, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
