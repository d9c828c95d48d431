/* One thread's event loop over epoll: fds, timers on the boot clock, signals, and a hook after each pass. */
#ifndef BASTION_LOOP_H
#define BASTION_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

struct loop;
struct loop_io;
struct loop_timer;

/* events: of EPOLLIN, EPOLLOUT; revents may also hold EPOLLHUP, EPOLLERR. */
typedef void (*loop_io_fn)(void *arg, uint32_t revents);
typedef void (*loop_fn)(void *arg);
typedef void (*loop_signal_fn)(void *arg, int signo);

/*
 * 0; -errno. loop_free(): outside of callbacks, when everything that has timers on it (an ipc too) is freed. Watches are
 * freed with it; fds stay the caller's; NULL is allowed.
 */
int loop_new(struct loop **ret_loop) MUST_CHECK;
void loop_free(struct loop *l);

/* Watch fd (borrowed). May be called from callbacks. 0; -errno. */
int loop_add(struct loop *l, int fd, uint32_t events, loop_io_fn fn, void *arg,
    struct loop_io **ret_io) MUST_CHECK;
/* Change what is waited for. A call that changes nothing costs no system call. */
int loop_set(struct loop_io *io, uint32_t events) MUST_CHECK;
/* Stop watching; before the fd is closed. Safe from any callback, also its own; NULL is allowed. */
void loop_del(struct loop_io *io);

/* A timer, disarmed. 0; -ENOMEM. */
int loop_timer_new(struct loop *l, loop_fn fn, void *arg, struct loop_timer **ret_timer) MUST_CHECK;
/*
 * Fire once, in this many nanoseconds from now (0: in this pass, or from a timer in the next). Arming again moves it.
 * Those that are due at the same time fire in the order in which they were armed.
 */
void loop_timer_arm(struct loop_timer *t, uint64_t in_ns);
void loop_timer_disarm(struct loop_timer *t);
bool loop_timer_armed(const struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);

/* Receive a signal as an event; it is blocked for ordinary delivery from then on. fn: one for all signals. 0; -errno. */
int loop_signals(struct loop *l, const int *signos, int n, loop_signal_fn fn, void *arg) MUST_CHECK;

/* Called after every pass, when all fds that were ready have been served. Its bool says: run another pass without waiting. */
typedef bool (*loop_pass_fn)(void *arg);
void loop_after_pass(struct loop *l, loop_pass_fn fn, void *arg);

/* Run until loop_stop(), which may also come first. 0; -errno of epoll. */
int loop_run(struct loop *l) MUST_CHECK;
/* One pass, waiting at most max_ns (UINT64_MAX: until something happens). For tests, and from callbacks. 0; -errno. */
int loop_pass(struct loop *l, uint64_t max_ns) MUST_CHECK;
void loop_stop(struct loop *l);

#endif
