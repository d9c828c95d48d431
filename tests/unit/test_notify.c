/* sd_notify's protocol, towards a socket of the test's own. */
#include "config.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <stddef.h>
#include <unistd.h>

#include "bastiond/broker/notify.h"
#include "lib/clock.h"
#include "tests/lib/test.h"

static uint64_t now_ns = 1000 * CLOCK_NS_PER_S;

static uint64_t
fake_now(void)
{
	return now_ns;
}

static struct loop *loop;
static char heard[512];

/* A manager that listens under an abstract name. */
static int
manager(char *name, size_t size)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	snprintf(name, size, "@bastion-test-notify-%d", (int)getpid());
	memcpy(sun.sun_path, name, strlen(name));
	sun.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (const struct sockaddr *)&sun,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
	    0);
	return fd;
}

static const char *
hear(int fd)
{
	ssize_t n = recv(fd, heard, sizeof(heard) - 1, 0);

	heard[n > 0 ? n : 0] = '\0';
	return heard;
}

static void
test_nobody_to_tell(void **state)
{
	struct notify *n = NULL;

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_new(loop, &n), 0);
	notify_say(n, "READY=1");
	notify_free(n);
	/* A relative path is none. */
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(notify_new(loop, &n), 0);
	notify_say(n, "READY=1");
	notify_free(n);
}

static void
test_states_are_told(void **state)
{
	struct notify *n = NULL;
	char name[64];
	int fd = manager(name, sizeof(name));

	(void)state;
	setenv("NOTIFY_SOCKET", name, 1);
	unsetenv("WATCHDOG_USEC");
	assert_int_equal(notify_new(loop, &n), 0);
	notify_say(n, "READY=1");
	assert_string_equal(hear(fd), "READY=1\n");
	notify_say(n, "RELOADING=1");
	assert_int_equal(strncmp(hear(fd), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	notify_say(n, "STOPPING=1");
	assert_string_equal(hear(fd), "STOPPING=1\n");
	/* No watchdog was asked for. */
	now_ns += 3600 * CLOCK_NS_PER_S;
	assert_int_equal(loop_pass(loop, 0), 0);
	assert_string_equal(hear(fd), "");
	notify_free(n);
	(void)close(fd);
}

static void
test_the_watchdog_is_fed_in_half_its_time(void **state)
{
	struct notify *n = NULL;
	char name[64];
	int fd = manager(name, sizeof(name));

	(void)state;
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "10000000", 1);
	assert_int_equal(notify_new(loop, &n), 0);
	now_ns += 4 * CLOCK_NS_PER_S;
	assert_int_equal(loop_pass(loop, 0), 0);
	assert_string_equal(hear(fd), "");
	for (int i = 0; i < 3; i++) {
		now_ns += 5 * CLOCK_NS_PER_S;
		assert_int_equal(loop_pass(loop, 0), 0);
		assert_string_equal(hear(fd), "WATCHDOG=1\n");
	}
	notify_free(n);
	(void)close(fd);
	/* A manager that is gone harms nobody. */
	assert_int_equal(notify_new(loop, &n), 0);
	notify_say(n, "READY=1");
	notify_free(n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_to_tell),
		cmocka_unit_test(test_states_are_told),
		cmocka_unit_test(test_the_watchdog_is_fed_in_half_its_time),
	};
	int r;

	clock_override(NULL, fake_now);
	if (loop_new(&loop) != 0)
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	loop_free(loop);
	return r;
}
