/*
 * A talk between two edges with no memory, or no buffers in the kernel, at every point: the edge says so or ends, once;
 * no descriptor and no byte is leaked, and what does arrive arrives in order.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "tests/lib/test.h"

#include "fault.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/log.h"

#define WORDS 40u	/* messages of a talk */
#define WORD_LEN 30000u /* bytes of each: more of them than a socket holds */

struct side {
	struct ipc *ipc;
	unsigned heard, gone;
};

static int
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	assert_int_equal(closedir(d), 0);
	return n;
}

static int
on_word(void *arg, struct ipc_msg *msg)
{
	struct side *s = arg;

	assert_int_equal(msg->id, s->heard++);
	return 0;
}

static void
on_gone(void *arg, int err)
{
	struct side *s = arg;

	assert_true(err != 0);
	assert_int_equal(s->gone++, 0);
}

static const struct ipc_rule rules[] = { { 1, "word", 0, IPC_MAX, 1, IPC_ANY_STATE, on_word } };

static int
talk(struct loop *l, struct side sides[2])
{
	static uint8_t data[WORD_LEN];
	uint64_t until = clock_boot_ns() + 5 * CLOCK_NS_PER_S;
	int r = 0, fd = STDIN_FILENO;

	for (uint32_t i = 0; i < WORDS; i++)
		if ((r = ipc_send_fds(sides[0].ipc, 1, i, data, sizeof(data), &fd, 1)) != 0)
			return r;
	while (sides[1].heard < WORDS && sides[0].gone + sides[1].gone == 0) {
		assert_true(clock_boot_ns() < until);
		if ((r = loop_pass(l, CLOCK_NS_PER_MS)) != 0)
			return r;
	}
	return sides[1].heard == WORDS ? 0 : -EIO;
}

static int
with_edges(struct loop *l)
{
	struct side sides[2] = { { NULL, 0, 0 }, { NULL, 0, 0 } };
	int fds[2] = { -1, -1 };
	int r = ipc_pair(fds);

	for (size_t i = 0; r == 0 && i < 2; i++) {
		struct ipc_conf conf = { .name = "test",
			.rules = rules,
			.n_rules = 1,
			.arg = &sides[i],
			.gone = on_gone };

		r = ipc_new(l, fds[i], &conf, &sides[i].ipc);
		if (r == 0)
			fds[i] = -1;
	}
	if (r == 0)
		r = talk(l, sides);
	ipc_free(sides[0].ipc);
	ipc_free(sides[1].ipc);
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	return r;
}

static int
run(void *arg)
{
	int before = count_fds(), r;
	struct loop *l = NULL;

	(void)arg;
	if ((r = loop_new(&l)) == 0)
		r = with_edges(l);
	loop_free(l);
	/* Without a fault from here on: the folder is read with one descriptor more. */
	assert_int_equal(count_fds(), before);
	return r;
}

static void
test_no_memory(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, run, NULL) >= 10);
}

static void
test_no_buffers(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_SOCKET, run, NULL) >= 2 * WORDS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_no_buffers),
	};

	log_set_level(LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
