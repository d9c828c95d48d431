/* Replay: what is shown, when, and after which key; without a terminal and without waiting. */
#include "config.h"

#include <errno.h>

#include "bastionctl/play.h"
#include "bastionctl/term.h"
#include "lib/buf.h"
#include "tests/lib/test.h"

#define S 1000000000ull
#define PRESSES_MAX 16

/* A key, pressed after so much waiting in all (real time). */
struct press {
	uint64_t at_ns;
	enum play_key key;
};

struct rig {
	const struct event *events;
	size_t n_events, next;
	struct press presses[PRESSES_MAX];
	size_t n_presses, pressed;
	uint64_t now_ns; /* waited so far */
	unsigned n_seeks;
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
rig_seek(void *arg, uint64_t at_ns)
{
	struct rig *g = arg;

	assert_int_equal(at_ns, 0);
	g->next = 0;
	g->n_seeks++;
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

static enum play_key
rig_wait(void *arg, uint64_t max_ns, uint64_t *ret_waited_ns)
{
	struct rig *g = arg;
	struct press *p = g->pressed < g->n_presses ? &g->presses[g->pressed] : NULL;

	*ret_waited_ns = 0;
	if (p != NULL && (max_ns == UINT64_MAX || p->at_ns <= g->now_ns + max_ns)) {
		*ret_waited_ns = p->at_ns > g->now_ns ? p->at_ns - g->now_ns : 0;
		g->now_ns += *ret_waited_ns;
		g->pressed++;
		return p->key;
	}
	assert_true(max_ns != UINT64_MAX); /* would wait for ever */
	*ret_waited_ns = max_ns;
	g->now_ns += max_ns;
	return PLAY_NONE;
}

static const struct play_ops ops = { rig_next, rig_seek, rig_emit, rig_wait };

#define OUT(at, text)                                                                              \
	{                                                                                          \
		1, at, EVENT_BACK, LINK_DATA, 1, (const uint8_t *)(text), sizeof(text) - 1         \
	}

static const struct event four[] = { OUT(1 * S, "a"), OUT(2 * S, "b"), OUT(12 * S, "c"),
	OUT(20 * S, "d") };
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
		OUT(1 * S, "a"),
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
		OUT(1 * S, "binary"),
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
test_pause_stops_and_goes_on(void **state)
{
	struct rig g = { .presses = { { 5 * S, PLAY_PAUSE }, { 105 * S, PLAY_PAUSE } },
		.n_presses = 2 };

	(void)state;
	plays(&g, &usual, "1:a 2:b 112:c 120:d ");
}

static void
test_step_shows_one_event_and_stays(void **state)
{
	struct rig g = { .presses = { { 0, PLAY_STEP }, { 50 * S, PLAY_STEP },
			     { 60 * S, PLAY_PAUSE } },
		.n_presses = 3 };

	(void)state;
	plays(&g, &usual, "0:a 50:b 70:c 78:d ");
}

static void
test_speed_keys_count_from_now_on(void **state)
{
	struct rig g = { .presses = { { 6 * S, PLAY_FASTER }, { 6 * S, PLAY_FASTER },
			     { 7 * S, PLAY_SLOWER }, { 7 * S, PLAY_SLOWER } },
		.n_presses = 4 };

	(void)state;
	/* at 6 s four times as fast, at 7 s (10 s of the recording) as before */
	plays(&g, &usual, "1:a 2:b 9:c 17:d ");
}

static void
test_speed_has_its_limits(void **state)
{
	struct rig g = { .n_presses = PRESSES_MAX };

	(void)state;
	for (size_t i = 0; i < PRESSES_MAX; i++)
		g.presses[i] = (struct press){ 0, PLAY_SLOWER };
	plays(&g, &usual, "16:a 32:b 192:c 320:d ");
}

static void
test_jump_ahead_shows_what_is_between_at_once(void **state)
{
	struct rig g = { .presses = { { 3 * S, PLAY_ON } }, .n_presses = 1 };
	struct rig h = { .presses = { { 3 * S, PLAY_ON }, { 3 * S, PLAY_ON } }, .n_presses = 2 };

	(void)state;
	plays(&g, &usual, "1:a 2:b 7:c 15:d "); /* at 3 s to 8 s */
	plays(&h, &usual, "1:a 2:b 3:c 10:d "); /* at 3 s to 13 s */
}

static void
test_jump_back_begins_with_an_empty_screen(void **state)
{
	struct rig g = { .presses = { { 6 * S, PLAY_BACK } }, .n_presses = 1 };

	(void)state;
	assert_int_equal(rig_run(&g, &usual), 0); /* at 6 s to 1 s */
	assert_int_equal(g.n_seeks, 1);
	assert_int_equal(buf_put_u8(g.out, 0), 0);
	assert_string_equal((const char *)buf_ptr(g.out),
	    "ab\033[m\0337\033[r\0338\033[m\033[r\033[H\033[2Jabcd\033[m\0337\033[r\0338");
	assert_true(g.now_ns == 25 * S);
	buf_free(g.out);
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
test_quit_ends_at_once(void **state)
{
	struct rig g = { .presses = { { 2500000000ull, PLAY_QUIT } }, .n_presses = 1 };

	(void)state;
	plays(&g, &usual, "1:a 2:b ");
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
	static const struct event hostile[] = { OUT(1, "\033]0;t\007\033[6n\033[31"),
		OUT(2, "mred\302"), OUT(3, "\2336n") };
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

static void
test_keys_as_terminals_send_them(void **state)
{
	static const struct {
		const char *typed;
		enum play_key key;
		size_t used;
	} cases[] = { { " x", PLAY_PAUSE, 1 }, { ".", PLAY_STEP, 1 }, { "+", PLAY_FASTER, 1 },
		{ "=", PLAY_FASTER, 1 }, { "-", PLAY_SLOWER, 1 }, { "q", PLAY_QUIT, 1 },
		{ "\003", PLAY_QUIT, 1 }, { "\033[C", PLAY_ON, 3 }, { "\033OC", PLAY_ON, 3 },
		{ "\033[D", PLAY_BACK, 3 }, { "\033[A", PLAY_NONE, 1 }, { "z", PLAY_NONE, 1 },
		{ "", PLAY_NONE, 0 } };
	size_t used;

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		assert_int_equal(
		    term_key((const uint8_t *)cases[i].typed, strlen(cases[i].typed), &used),
		    cases[i].key);
		assert_int_equal(used, cases[i].used);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events_come_when_they_came),
		cmocka_unit_test(test_speed_and_idle_limit),
		cmocka_unit_test(test_only_output_of_the_channel_is_shown),
		cmocka_unit_test(test_a_channel_with_files_shows_a_line_for_each),
		cmocka_unit_test(test_pause_stops_and_goes_on),
		cmocka_unit_test(test_step_shows_one_event_and_stays),
		cmocka_unit_test(test_speed_keys_count_from_now_on),
		cmocka_unit_test(test_speed_has_its_limits),
		cmocka_unit_test(test_jump_ahead_shows_what_is_between_at_once),
		cmocka_unit_test(test_jump_back_begins_with_an_empty_screen),
		cmocka_unit_test(test_begin_elsewhere),
		cmocka_unit_test(test_quit_ends_at_once),
		cmocka_unit_test(test_a_long_jump_keeps_its_end_only),
		cmocka_unit_test(test_output_is_cleaned_unless_raw),
		cmocka_unit_test(test_a_closed_output_ends_the_replay),
		cmocka_unit_test(test_keys_as_terminals_send_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
