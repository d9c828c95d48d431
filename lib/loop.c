/* The event loop. Timers are a binary heap; watched fds are a list, so that a deleted one is never touched again. */
#include "config.h"

#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/signalfd.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/loop.h"

#define LOOP_BATCH 64 /* events taken from the kernel at once */

struct loop_io {
	LIST_ENTRY(loop_io) link;
	struct loop *loop;
	int fd;
	uint32_t events;
	bool dead; /* deleted during a pass, freed at its end */
	loop_io_fn fn;
	void *arg;
};

struct loop_timer {
	struct loop *loop;
	uint64_t at_ns;
	uint64_t turn; /* among those due at the same time, the one armed first */
	size_t slot;   /* place in the heap + 1; 0: disarmed */
	loop_fn fn;
	void *arg;
};

struct loop {
	int epoll_fd;
	int signal_fd;
	struct loop_io *signal_io;
	loop_signal_fn signal_fn;
	void *signal_arg;
	LIST_HEAD(loop_io_list, loop_io) ios;
	struct loop_io_list dead;
	struct loop_timer **heap; /* armed timers, nearest first */
	size_t n_heap, heap_size, n_timers;
	uint64_t turns; /* timers armed so far */
	uint64_t
	    fire_ns; /* while timers fire: those due by then; one armed meanwhile is due later */
	loop_pass_fn pass_fn;
	void *pass_arg;
	bool stop, again;
	unsigned depth; /* passes on the stack */
};

int
loop_new(struct loop **ret_loop)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	l->signal_fd = -1;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0) {
		int r = -errno;

		free(l);
		return r;
	}
	LIST_INIT(&l->ios);
	LIST_INIT(&l->dead);
	*ret_loop = l;
	return 0;
}

static void
loop_free_list(struct loop_io_list *list)
{
	struct loop_io *next;

	for (struct loop_io *io = LIST_FIRST(list); io != NULL; io = next) {
		next = LIST_NEXT(io, link);
		free(io);
	}
	LIST_INIT(list);
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	loop_free_list(&l->ios);
	loop_free_list(&l->dead);
	for (size_t i = 0; i < l->n_heap; i++)
		l->heap[i]->slot = 0;
	free(l->heap);
	fd_close(&l->signal_fd);
	fd_close(&l->epoll_fd);
	free(l);
}

int
loop_add(struct loop *l, int fd, uint32_t events, loop_io_fn fn, void *arg, struct loop_io **ret_io)
{
	struct loop_io *io = calloc(1, sizeof(*io));
	struct epoll_event ev = { .events = events };

	if (io == NULL)
		return -ENOMEM;
	*io = (struct loop_io){ .loop = l, .fd = fd, .events = events, .fn = fn, .arg = arg };
	ev.data.ptr = io;
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0) {
		int r = -errno;

		free(io);
		return r;
	}
	LIST_INSERT_HEAD(&l->ios, io, link);
	*ret_io = io;
	return 0;
}

int
loop_set(struct loop_io *io, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data = { .ptr = io } };

	if (io->events == events)
		return 0;
	if (epoll_ctl(io->loop->epoll_fd, EPOLL_CTL_MOD, io->fd, &ev) != 0)
		return -errno;
	io->events = events;
	return 0;
}

void
loop_del(struct loop_io *io)
{
	if (io == NULL || io->dead)
		return;
	/* An fd that is closed already has left the set by itself. */
	(void)epoll_ctl(io->loop->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
	io->dead = true;
	LIST_REMOVE(io, link);
	LIST_INSERT_HEAD(&io->loop->dead, io, link);
	if (io->loop->depth == 0)
		loop_free_list(&io->loop->dead);
}

/* Timers: slot is the heap index + 1. */

static void
heap_put(struct loop *l, size_t i, struct loop_timer *t)
{
	l->heap[i] = t;
	t->slot = i + 1;
}

static bool
heap_before(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->turn < b->turn;
}

static void
heap_up(struct loop *l, size_t i)
{
	struct loop_timer *t = l->heap[i];

	while (i > 0 && heap_before(t, l->heap[(i - 1) / 2])) {
		heap_put(l, i, l->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_put(l, i, t);
}

static void
heap_down(struct loop *l, size_t i)
{
	struct loop_timer *t = l->heap[i];

	for (;;) {
		size_t kid = 2 * i + 1;

		if (kid >= l->n_heap)
			break;
		if (kid + 1 < l->n_heap && heap_before(l->heap[kid + 1], l->heap[kid]))
			kid++;
		if (!heap_before(l->heap[kid], t))
			break;
		heap_put(l, i, l->heap[kid]);
		i = kid;
	}
	heap_put(l, i, t);
}

int
loop_timer_new(struct loop *l, loop_fn fn, void *arg, struct loop_timer **ret_timer)
{
	struct loop_timer *t;

	/* Room in the heap is taken here, so that arming cannot fail. */
	if (l->n_timers == l->heap_size) {
		size_t size = l->heap_size == 0 ? 8 : l->heap_size * 2;
		struct loop_timer **heap = reallocarray(l->heap, size, sizeof(struct loop_timer *));

		if (heap == NULL)
			return -ENOMEM;
		l->heap = heap;
		l->heap_size = size;
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	*t = (struct loop_timer){ .loop = l, .fn = fn, .arg = arg };
	l->n_timers++;
	*ret_timer = t;
	return 0;
}

void
loop_timer_disarm(struct loop_timer *t)
{
	struct loop *l = t->loop;
	size_t i;

	if (t->slot == 0)
		return;
	i = t->slot - 1;
	t->slot = 0;
	l->n_heap--;
	if (i == l->n_heap)
		return;
	heap_put(l, i, l->heap[l->n_heap]);
	heap_up(l, i);
	heap_down(l, l->heap[i]->slot - 1);
}

void
loop_timer_arm(struct loop_timer *t, uint64_t in_ns)
{
	struct loop *l = t->loop;
	uint64_t now = clock_boot_ns();

	loop_timer_disarm(t);
	t->at_ns = in_ns > UINT64_MAX - now ? UINT64_MAX : now + in_ns;
	/* "In the next pass" holds even where the clock stands still. */
	if (l->fire_ns != 0 && t->at_ns <= l->fire_ns)
		t->at_ns = l->fire_ns + 1;
	t->turn = l->turns++;
	heap_put(l, l->n_heap, t);
	l->n_heap++;
	heap_up(l, l->n_heap - 1);
}

bool
loop_timer_armed(const struct loop_timer *t)
{
	return t->slot != 0;
}

void
loop_timer_free(struct loop_timer *t)
{
	if (t == NULL)
		return;
	loop_timer_disarm(t);
	t->loop->n_timers--;
	free(t);
}

static void
loop_fire_timers(struct loop *l)
{
	uint64_t outer = l->fire_ns, now = clock_boot_ns();

	l->fire_ns = now;
	while (l->n_heap > 0 && l->heap[0]->at_ns <= now) {
		struct loop_timer *t = l->heap[0];

		loop_timer_disarm(t);
		t->fn(t->arg);
	}
	l->fire_ns = outer;
}

static void
loop_on_signal(void *arg, uint32_t revents)
{
	struct loop *l = arg;
	struct signalfd_siginfo info;

	(void)revents;
	while (read(l->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		l->signal_fn(l->signal_arg, (int)info.ssi_signo);
}

int
loop_signals(struct loop *l, const int *signos, int n, loop_signal_fn fn, void *arg)
{
	sigset_t set;

	if (l->signal_fd >= 0)
		return ERR_ORDER;
	sigemptyset(&set);
	for (int i = 0; i < n; i++)
		sigaddset(&set, signos[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -errno;
	l->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (l->signal_fd < 0)
		return -errno;
	l->signal_fn = fn;
	l->signal_arg = arg;
	return loop_add(l, l->signal_fd, EPOLLIN, loop_on_signal, l, &l->signal_io);
}

void
loop_after_pass(struct loop *l, loop_pass_fn fn, void *arg)
{
	l->pass_fn = fn;
	l->pass_arg = arg;
}

static int
loop_wait_ms(const struct loop *l, uint64_t max_ns)
{
	uint64_t now, wait = max_ns;

	if (l->again)
		return 0;
	if (l->n_heap > 0) {
		now = clock_boot_ns();
		if (l->heap[0]->at_ns <= now)
			return 0;
		if (l->heap[0]->at_ns - now < wait)
			wait = l->heap[0]->at_ns - now;
	}
	if (wait == UINT64_MAX)
		return -1;
	/* Rounded up: waking early would spin until the timer is due. */
	wait = wait / CLOCK_NS_PER_MS + (wait % CLOCK_NS_PER_MS != 0);
	return wait > 1000000 ? 1000000 : (int)wait;
}

int
loop_pass(struct loop *l, uint64_t max_ns)
{
	struct epoll_event events[LOOP_BATCH];
	int n = epoll_wait(l->epoll_fd, events, LOOP_BATCH, loop_wait_ms(l, max_ns));

	if (n < 0 && errno != EINTR)
		return -errno;
	l->again = n == LOOP_BATCH;
	l->depth++;
	for (int i = 0; i < n; i++) {
		struct loop_io *io = events[i].data.ptr;

		if (!io->dead)
			io->fn(io->arg, events[i].events);
	}
	loop_fire_timers(l);
	if (l->pass_fn != NULL && l->pass_fn(l->pass_arg))
		l->again = true;
	/* An outer pass may still hold what an inner one deleted. */
	if (--l->depth == 0)
		loop_free_list(&l->dead);
	return 0;
}

int
loop_run(struct loop *l)
{
	int r = 0;

	while (!l->stop && r == 0)
		r = loop_pass(l, UINT64_MAX);
	l->stop = false;
	return r;
}

void
loop_stop(struct loop *l)
{
	l->stop = true;
}
