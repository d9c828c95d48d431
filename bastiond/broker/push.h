/*
 * Bringing checkpoints out: for each place of recording.checkpoints at most one bastiond-push at a time, always with the
 * newest note. One that fails is tried again after growing pauses, with what is newest then; nobody waits for any of it.
 */
#ifndef BASTION_BROKER_PUSH_H
#define BASTION_BROKER_PUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bastiond/broker/process.h"
#include "bastiond/broker/programs.h"
#include "bastiond/broker/settings_push.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/json.h"
#include "lib/loop.h"

#define PUSH_DEADLINE_NS (30 * CLOCK_NS_PER_S) /* of one try; then it is killed */
#define PUSH_PAUSE_NS CLOCK_NS_PER_S /* before the second try; then twice as long each time */
#define PUSH_PAUSE_MAX_NS (300 * CLOCK_NS_PER_S)
#define PUSH_LAST_NS (5 * CLOCK_NS_PER_S) /* of the last try, when bastiond stops */
#define PUSH_TEXT_MAX 4096u		  /* bytes of a note; it must fit a pipe */

struct push_conf {
	struct loop *loop;
	const struct process_ops *ops;
	const struct programs *programs;
	const struct settings_push *to; /* n of them; copied */
	size_t n;
	uint64_t deadline_ns, pause_ns; /* of one try; before the second one */
	uint64_t alarm_ns;		/* failing for so long is worth an alarm */
	/* A place fails, or works again (then why is ""). to: "url https://..."; borrowed. */
	void (*alarm)(void *arg, const char *to, bool works, const char *why);
	/* After push_stop(): nothing runs any more. */
	void (*idle)(void *arg);
	void *arg;
};

struct push;
/* 0; -ENOMEM. *ret_push: owned by caller; programs still running die with us. */
int push_new(const struct push_conf *conf, struct push **ret_push) MUST_CHECK;
void push_free(struct push *p);
/* Bring this note to every place, now or when it is that one's turn. note: copied. 0; ERR_LIMIT; -ENOMEM. */
int push_take(struct push *p, const void *note, size_t len) MUST_CHECK;
/* One more try, at once and a short one, of what is not there yet; then push_is_idle(). */
void push_stop(struct push *p);
bool push_is_idle(const struct push *p);
/* For status: a list of {to, state, since, reason, pushed_at, age}; age: seconds since then. Owned by caller. */
struct json *push_json(const struct push *p);
/* A line for each place that has been failing for so long that an alarm was given. list: borrowed. */
void push_put_problems(const struct push *p, struct json *list);

#endif
