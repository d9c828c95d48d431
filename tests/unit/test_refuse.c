/* Refusals: bytes that an SSH client shows, and no descriptor that stays. */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <unistd.h>

#include "bastiond/broker/refuse.h"
#include "lib/clock.h"
#include "tests/lib/test.h"

static uint64_t now_ns = 1000 * CLOCK_NS_PER_S;

static uint64_t
fake_now(void)
{
	return now_ns;
}

static struct loop *loop;
static struct refuse *rf;

static int
set_up(void **state)
{
	(void)state;
	clock_override(NULL, fake_now);
	return loop_new(&loop) != 0 || refuse_new(loop, &rf) != 0;
}

static int
tear_down(void **state)
{
	(void)state;
	refuse_free(rf);
	loop_free(loop);
	clock_override(NULL, NULL);
	return 0;
}

static size_t
u32(const uint8_t *p)
{
	return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

/* RFC 4253 sections 4.2 (lines before the identification), 6 (packet) and 11.1 (disconnect), for every length. */
static void
test_the_answer_is_a_line_an_identification_and_a_disconnect(void **state)
{
	static const char id[] = "\r\nSSH-2.0-OpenSSH_bastiond\r\n";
	char line[REFUSE_LINE_MAX + 20];
	uint8_t answer[REFUSE_SIZE];

	(void)state;
	for (size_t n = 0; n < sizeof(line) - 1; n++) {
		size_t len, text = n < REFUSE_LINE_MAX ? n : REFUSE_LINE_MAX;
		const uint8_t *p;

		memset(line, 'x', n);
		line[n] = '\0';
		len = refuse_make(answer, line);
		assert_true(len <= sizeof(answer));
		assert_memory_equal(answer, line, text);
		assert_memory_equal(answer + text, id, sizeof(id) - 1);
		p = answer + text + sizeof(id) - 1;
		len -= (size_t)(p - answer);
		assert_int_equal(u32(p), len - 4);
		assert_int_equal(len % 8, 0);
		assert_true(len >= 16);
		assert_true(p[4] >= 4);
		assert_int_equal(p[5], 1);
		assert_int_equal(u32(p + 6), 12);
		assert_int_equal(u32(p + 10), text);
		assert_memory_equal(p + 14, line, text);
		assert_int_equal(u32(p + 14 + text), 0);
		assert_int_equal(5 + 1 + 4 + 4 + text + 4 + p[4], len);
	}
}

static void
refuse_one(int *ret_client)
{
	int ends[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	refuse_client(rf, ends[0], "Exceeded MaxStartups");
	*ret_client = ends[1];
}

/* "" the end, "-" still open */
static const char *
state_of(int client)
{
	static char text[512];
	ssize_t n;

	do
		n = recv(client, text, sizeof(text), 0);
	while (n > 0);
	return n == 0 ? "end" : "open";
}

static void
test_the_client_may_speak_while_it_reads(void **state)
{
	char text[REFUSE_SIZE];
	int client;

	(void)state;
	refuse_one(&client);
	assert_int_equal(write(client, "SSH-2.0-client\r\n", 16), 16);
	assert_int_equal(loop_pass(loop, 0), 0);
	assert_true(recv(client, text, sizeof(text), 0) > 60);
	assert_memory_equal(text, "Exceeded MaxStartups\r\nSSH-2.0-OpenSSH_bastiond\r\n", 49);
	/* Our side has said that nothing follows, but still takes what comes. */
	assert_string_equal(state_of(client), "end");
	assert_int_equal(write(client, "more", 4), 4);
	now_ns += CLOCK_NS_PER_S;
	assert_int_equal(loop_pass(loop, 0), 0);
	assert_int_equal(send(client, "more", 4, MSG_NOSIGNAL), -1);
	(void)close(client);
}

static void
test_a_client_that_goes_is_forgotten(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		int client;

		refuse_one(&client);
		(void)close(client);
		assert_int_equal(loop_pass(loop, 0), 0);
	}
	/* All places are free again: one that stays is served slowly. */
	test_the_client_may_speak_while_it_reads(state);
}

static void
test_in_a_flood_they_are_closed_at_once(void **state)
{
	int client[200], open = 0;

	(void)state;
	for (size_t i = 0; i < N_OF(client); i++)
		refuse_one(&client[i]);
	for (size_t i = 0; i < N_OF(client); i++) {
		open += send(client[i], "x", 1, MSG_NOSIGNAL) == 1;
		(void)close(client[i]);
	}
	assert_int_equal(open, 64);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_answer_is_a_line_an_identification_and_a_disconnect),
		cmocka_unit_test_setup_teardown(
		    test_the_client_may_speak_while_it_reads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_a_client_that_goes_is_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_in_a_flood_they_are_closed_at_once, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
