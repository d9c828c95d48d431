/* Replay: what is shown, and when; without waiting. */
#include "config.h"

#include <errno.h>

#include "bastionctl/play.h"
#include "lib/buf.h"
#include "tests/lib/test.h"

#define S 1000000000ull

struct rig {
	const struct event *events;
	size_t n_events, next;
	uint64_t now_ns;  /* waited so far */
	uint64_t quit_ns; /* waiting ends the replay from here on; 0: never */
	struct buf *out;
	int emit_error;
	char log[512]; /* when what was shown: "2:b " is b after 2 s */
};

static int
rig_next(void *arg, struct event *ret_ev)
{
	struct rig *g = arg;

	if (g->next == g->n_events)
		return ERR_NOT_FOUND;
	*ret_ev = g->events[g->next++];
	return 0;
}

static int
rig_emit(void *arg, const uint8_t *data, size_t len)
{
	struct rig *g = arg;
	size_t at = strlen(g->log);

	(void)snprintf(g->log + at, sizeof(g->log) - at, "%llu:%.*s ",
	    (unsigned long long)(g->now_ns / S), len > 20 ? 20 : (int)len, (const char *)data);
	return g->emit_error != 0 ? g->emit_error : buf_put(g->out, data, len);
}

static bool
rig_wait(void *arg, uint64_t ns)
{
	struct rig *g = arg;

	g->now_ns += ns;
	return g->quit_ns == 0 || g->now_ns < g->quit_ns;
}

static const struct play_ops ops = { rig_next, rig_emit, rig_wait };

#define OUT(seq, at, text)                                                                         \
	{                                                                                          \
		seq, at, EVENT_BACK, LINK_DATA, 1, (const uint8_t *)(text), sizeof(text) - 1       \
	}

static const struct event four[] = { OUT(1, 1 * S, "a"), OUT(2, 2 * S, "b"), OUT(3, 12 * S, "c"),
	OUT(4, 20 * S, "d") };
static const struct play_conf usual = { .channel = 1, .speed = 1 };

static int
rig_run(struct rig *g, const struct play_conf *conf)
{
	int r;

	if (g->events == NULL) {
		g->events = four;
		g->n_events = N_OF(four);
	}
	g->out = buf_new(8u << 20);
	assert_non_null(g->out);
	r = play_run(conf, &ops, g);
	return r;
}

static void
plays(struct rig *g, const struct play_conf *conf, const char *log)
{
	assert_int_equal(rig_run(g, conf), 0);
	assert_string_equal(g->log, log);
	buf_free(g->out);
}

static void
test_events_come_when_they_came(void **state)
{
	struct rig g = { 0 };

	(void)state;
	plays(&g, &usual, "1:a 2:b 12:c 20:d ");
}

static void
test_speed_and_idle_limit(void **state)
{
	struct play_conf conf = usual;
	struct rig g = { 0 }, h = { 0 }, i = { 0 };

	(void)state;
	conf.speed = 2;
	plays(&g, &conf, "0:a 1:b 6:c 10:d ");
	conf.speed = 1;
	conf.idle_limit_ns = 3 * S;
	plays(&h, &conf, "1:a 2:b 5:c 8:d ");
	conf.no_wait = true;
	plays(&i, &conf, "0:a 0:b 0:c 0:d ");
}

static void
test_only_output_of_the_channel_is_shown(void **state)
{
	static const struct event mixed[] = {
		OUT(1, 1 * S, "a"),
		{ 2, 2 * S, EVENT_BACK, LINK_DATA, 2, (const uint8_t *)"x", 1 },
		{ 3, 3 * S, EVENT_FRONT, LINK_DATA, 1, (const uint8_t *)"i", 1 },
		{ 4, 4 * S, EVENT_BACK, LINK_DATA_EXT, 1, (const uint8_t *)"\0\0\0\1e", 5 },
		{ 5, 5 * S, EVENT_BACK, LINK_EOF, 1, NULL, 0 },
	};
	struct rig g = { .events = mixed, .n_events = N_OF(mixed) };

	(void)state;
	plays(&g, &usual, "1:a 4:e ");
}

/* Of a channel that carries files its operations are shown, not its bytes. */
static void
test_a_channel_with_files_shows_a_line_for_each(void **state)
{
	static const char file[] =
	    "\0\0\0\1\0\0\0\55{\"op\":\"put\",\"path\":\"/f\",\"bytes\":2,\"status\":0}";
	const struct event events[] = {
		OUT(1, 1 * S, "binary"),
		{ 2, 2 * S, EVENT_TO_FRONT, EVENT_FILE, 1, (const uint8_t *)file,
		    sizeof(file) - 1 },
		{ 3, 3 * S, EVENT_TO_FRONT, EVENT_FILE, 2, (const uint8_t *)file,
		    sizeof(file) - 1 },
		{ 4, 4 * S, EVENT_TO_FRONT, EVENT_FILE, 1, (const uint8_t *)file, 20 },
		{ 5, 5 * S, EVENT_BACK, LINK_DATA_EXT, 1, (const uint8_t *)"\0\0\0\1e", 5 },
	};
	struct play_conf conf = usual;
	struct rig g = { .events = events, .n_events = N_OF(events) }, h = g;

	(void)state;
	assert_int_equal(sizeof(file) - 9, 45);
	conf.files = true;
	plays(&g, &conf, "2:put /f: 2 bytes, ok\r 5:e ");
	conf.files = false;
	plays(&h, &conf, "1:binary 5:e ");
}

static void
test_begin_elsewhere(void **state)
{
	struct play_conf conf = usual;
	struct rig g = { 0 }, h = { 0 };

	(void)state;
	conf.at_ns = 10 * S;
	plays(&g, &conf, "0:ab 2:c 10:d ");
	conf.at_ns = 1000 * S;
	plays(&h, &conf, "0:abcd ");
}

static void
test_a_wait_that_ends_it_ends_it(void **state)
{
	struct rig g = { .quit_ns = 2 * S };

	(void)state;
	plays(&g, &usual, "1:a ");
}

/* What a picture has is not shown again, and the picture is what was before. */
static void
test_a_picture_stands_for_what_it_has(void **state)
{
	static const struct event events[] = { OUT(2, 2 * S, "picture"), OUT(1, 1 * S, "a"),
		OUT(2, 2 * S, "b"), OUT(3, 12 * S, "c") };
	struct rig g = { .events = events, .n_events = N_OF(events) };
	struct play_conf conf = usual;

	(void)state;
	conf.at_ns = 10 * S;
	plays(&g, &conf, "0:picture 2:c ");
}

static void
test_a_long_jump_keeps_its_end_only(void **state)
{
	static uint8_t big[16][32768];
	static struct event many[200];
	struct play_conf conf = usual;
	struct rig g = { .events = many, .n_events = N_OF(many) };
	size_t len;

	(void)state;
	memset(big, 'x', sizeof(big));
	for (size_t i = 0; i < N_OF(big); i++)
		big[i][32767] = '\n';
	for (size_t i = 0; i < N_OF(many); i++)
		many[i] =
		    (struct event){ i + 1, S, EVENT_BACK, LINK_DATA, 1, big[i % N_OF(big)], 32768 };
	conf.at_ns = 2 * S;
	assert_int_equal(rig_run(&g, &conf), 0);
	len = buf_len(g.out);
	assert_true(len >= PLAY_TAIL_MAX && len < 2u * PLAY_TAIL_MAX + 65536);
	assert_memory_equal(buf_ptr(g.out), "\033[m\033[r\033[H\033[2J\nx", 15);
	buf_free(g.out);

	conf.raw = true; /* every byte */
	g = (struct rig){ .events = many, .n_events = N_OF(many) };
	assert_int_equal(rig_run(&g, &conf), 0);
	assert_int_equal(buf_len(g.out), 200 * 32768);
	buf_free(g.out);
}

static void
test_output_is_cleaned_unless_raw(void **state)
{
	static const struct event hostile[] = { OUT(1, 1, "\033]0;t\007\033[6n\033[31"),
		OUT(2, 2, "mred\302"), OUT(3, 3, "\2336n") };
	struct play_conf conf = usual;
	struct rig g = { .events = hostile, .n_events = N_OF(hostile) };

	(void)state;
	assert_int_equal(rig_run(&g, &conf), 0);
	assert_int_equal(buf_put_u8(g.out, 0), 0);
	assert_string_equal(
	    (const char *)buf_ptr(g.out), "\033[31mred\357\277\2756n\033[m\0337\033[r\0338");
	buf_free(g.out);
	conf.raw = true;
	g = (struct rig){ .events = hostile, .n_events = N_OF(hostile) };
	assert_int_equal(rig_run(&g, &conf), 0);
	assert_int_equal(buf_len(g.out), hostile[0].len + hostile[1].len + hostile[2].len);
	buf_free(g.out);
}

static void
test_a_closed_output_ends_the_replay(void **state)
{
	struct rig g = { .emit_error = -EPIPE };

	(void)state;
	assert_int_equal(rig_run(&g, &usual), -EPIPE);
	assert_int_equal(g.next, 1);
	buf_free(g.out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events_come_when_they_came),
		cmocka_unit_test(test_speed_and_idle_limit),
		cmocka_unit_test(test_only_output_of_the_channel_is_shown),
		cmocka_unit_test(test_a_channel_with_files_shows_a_line_for_each),
		cmocka_unit_test(test_begin_elsewhere),
		cmocka_unit_test(test_a_wait_that_ends_it_ends_it),
		cmocka_unit_test(test_a_picture_stands_for_what_it_has),
		cmocka_unit_test(test_a_long_jump_keeps_its_end_only),
		cmocka_unit_test(test_output_is_cleaned_unless_raw),
		cmocka_unit_test(test_a_closed_output_ends_the_replay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
