/* The player of a terminal: what the terminal shows when, and after which key; without a terminal, a reader and waiting. */
#include "config.h"

#include <errno.h>

#include "bastionctl/player.h"
#include "bastionctl/term.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "recorder/screen.h"
#include "tests/lib/test.h"
#include "tests/lib/vt_allowed.h"

#define S 1000000000ull
#define COLS 90u
#define ROWS 6u

/* At this moment (real time): the terminal shows top in its first row and below in its last one, then the key is pressed. */
struct step {
	uint64_t at_ns;
	int key;		 /* PLAYER_KEY_NONE: none is */
	const char *top, *below; /* parts of these rows; NULL: not looked at */
};

struct rig {
	const struct event *events;
	size_t n_events, next;
	const uint64_t *arrive_ns; /* when each is there (real time); NULL: from the start */
	bool runs;		   /* there is no end after the last event */
	uint64_t
	    picture_seq; /* a seek to it or behind it gets a picture with this event; 0: none */
	const char *picture;
	bool picture_due;
	size_t context; /* events before the wanted one that a seek begins with; 0: all */
	const struct step *steps;
	size_t n_steps, at_step;
	uint64_t now_ns;
	unsigned n_seeks;
	uint64_t sought_ns;
	uint32_t cols, rows;
	struct screen *terminal;
	struct buf *out;
	struct json_node *session, *ended;
	int next_error, emit_error;
	/* the index: what RD_HITS says and has; RD_HITS_NONE: it has no session. 0: its answer does not come */
	const char *index_text;
	uint64_t index_ns;
	enum rd_hits index;
	bool indexed; /* there is a reader that may be asked */
	bool looks;   /* an answer is due */
	unsigned n_looks;
	uint8_t hits[256];
	struct player_end end;
};

static uint64_t
rig_now(void *arg)
{
	const struct rig *g = arg;

	return g->now_ns;
}

/* One hit, as RD_HITS has it. */
static int
rig_answer(struct rig *g, struct rd_msg *ret_msg)
{
	struct buf *b;

	if (g->index == 0)
		return -EAGAIN;
	g->looks = false;
	*ret_msg = (struct rd_msg){ .type = RD_HITS, .hits = g->index, .done = 1, .total = 2 };
	if (g->index_text == NULL)
		return 0;
	b = buf_new(sizeof(g->hits));
	assert_non_null(b);
	assert_int_equal(buf_put_u64(b, g->index_ns), 0);
	assert_int_equal(buf_put_cstr(b, g->index_text), 0);
	ret_msg->len = buf_len(b);
	memcpy(g->hits, buf_ptr(b), ret_msg->len);
	ret_msg->data = g->hits;
	buf_free(b);
	return 0;
}

static int
rig_next(void *arg, struct event *ret_ev, struct rd_msg *ret_msg)
{
	struct rig *g = arg;

	memset(ret_msg, 0, sizeof(*ret_msg));
	if (g->looks)
		return rig_answer(g, ret_msg);
	if (g->next_error != 0 && g->next == g->n_events)
		return g->next_error;
	if (g->picture_due) {
		g->picture_due = false;
		*ret_msg = (struct rd_msg){ .type = RD_SCREEN,
			.data = (const uint8_t *)g->picture,
			.len = strlen(g->picture),
			.first_seq = g->picture_seq,
			.at_ns = g->events[g->picture_seq - 1].at_ns,
			.channel = 1,
			.cols = 40,
			.rows = 5 };
		return 0;
	}
	if (g->next == g->n_events) {
		if (g->runs)
			return -EAGAIN;
		if (g->ended != NULL) {
			ret_msg->type = RD_ITEM;
			ret_msg->json = g->ended;
			g->ended = NULL;
			return 0;
		}
		return ERR_NOT_FOUND;
	}
	if (g->arrive_ns != NULL && g->arrive_ns[g->next] > g->now_ns)
		return -EAGAIN;
	ret_msg->type = RD_EVENTS;
	*ret_ev = g->events[g->next++];
	return 0;
}

static int
rig_seek(void *arg, uint64_t at_ns, uint32_t channel)
{
	struct rig *g = arg;
	size_t i = 0;

	g->n_seeks++;
	g->looks = false;
	g->sought_ns = at_ns;
	while (i < g->n_events && g->events[i].at_ns < at_ns)
		i++;
	g->picture_due = channel != 0 && g->picture_seq != 0 && i >= g->picture_seq;
	if (g->picture_due)
		i = g->picture_seq - 1;
	else if (channel != 0)
		i = g->context == 0 || i < g->context ? 0 : i - g->context;
	g->next = i;
	return 0;
}

static int
rig_look_index(void *arg, uint32_t channel, bool with_case, const char *text)
{
	struct rig *g = arg;

	assert_int_equal(channel, 1);
	assert_false(with_case);
	assert_string_equal(text, "two");
	g->n_looks++;
	g->looks = true;
	return 0;
}

static int
rig_emit(void *arg, const void *data, size_t len)
{
	struct rig *g = arg;

	if (g->emit_error != 0)
		return g->emit_error;
	assert_int_equal(screen_feed(g->terminal, g->now_ns, data, len), 0);
	return buf_put(g->out, data, len);
}

static void
rig_look(const char *rows, uint32_t row, const char *wanted)
{
	const char *p = rows;
	char line[512];
	size_t n;

	for (uint32_t i = 0; i < row && p != NULL; i++)
		p = strchr(p, '\n') == NULL ? NULL : strchr(p, '\n') + 1;
	assert_non_null(p);
	n = strcspn(p, "\n");
	assert_true(n < sizeof(line));
	memcpy(line, p, n);
	line[n] = '\0';
	if (wanted[0] == '\0' ? n != 0 : strstr(line, wanted) == NULL)
		fail_msg("row %u is \"%s\", not \"%s\"", row, line, wanted);
}

static void
rig_check(const struct rig *g, const struct step *s)
{
	struct buf *b = buf_new(1u << 20);

	assert_non_null(b);
	assert_int_equal(screen_text(g->terminal, b), 0);
	assert_int_equal(buf_put_u8(b, 0), 0);
	if (s->top != NULL)
		rig_look((const char *)buf_ptr(b), 0, s->top);
	if (s->below != NULL)
		rig_look((const char *)buf_ptr(b), g->rows - 1, s->below);
	buf_free(b);
}

static int
rig_wait(void *arg, uint64_t max_ns, bool events)
{
	struct rig *g = arg;
	const struct step *s = g->at_step < g->n_steps ? &g->steps[g->at_step] : NULL;
	uint64_t until = max_ns > UINT64_MAX - g->now_ns ? UINT64_MAX : g->now_ns + max_ns;

	if (events && g->next < g->n_events && g->arrive_ns != NULL &&
	    g->arrive_ns[g->next] <= until && (s == NULL || g->arrive_ns[g->next] < s->at_ns)) {
		if (g->arrive_ns[g->next] > g->now_ns)
			g->now_ns = g->arrive_ns[g->next];
		return PLAYER_KEY_EVENTS;
	}
	if (s != NULL && s->at_ns <= until) {
		if (s->at_ns > g->now_ns)
			g->now_ns = s->at_ns;
		rig_check(g, s);
		g->at_step++;
		return s->key;
	}
	assert_true(until != UINT64_MAX); /* would wait for ever */
	g->now_ns = until;
	return PLAYER_KEY_NONE;
}

static void
rig_size(void *arg, uint32_t *ret_cols, uint32_t *ret_rows)
{
	const struct rig *g = arg;

	*ret_cols = g->cols;
	*ret_rows = g->rows;
}

static const struct player_ops ops = { rig_next, rig_seek, rig_emit, rig_wait, rig_size, rig_now,
	NULL };
static const struct player_ops indexed_ops = { rig_next, rig_seek, rig_emit, rig_wait, rig_size,
	rig_now, rig_look_index };

static const char session_text[] =
    "{\"state\":\"open\",\"events\":5,\"duration_ns\":20000000000,\"files\":[],\"channels\":["
    "{\"n\":1,\"kind\":\"shell\",\"pty\":true,\"cols\":40,\"rows\":5},"
    "{\"n\":2,\"kind\":\"exec\",\"pty\":false}]}";

#define OUT(seq, at, text)                                                                         \
	{                                                                                          \
		seq, at, EVENT_BACK, LINK_DATA, 1, (const uint8_t *)(text), sizeof(text) - 1       \
	}

static const struct event five[] = { OUT(1, 1 * S, "a"), OUT(2, 2 * S, "b"), OUT(3, 12 * S, "c"),
	{ 4, 13 * S, EVENT_BACK, LINK_DATA, 2, (const uint8_t *)"x\ny", 3 }, OUT(5, 20 * S, "d") };
static const struct player_conf usual = { .speed = 1 };

static int
rig_run(struct rig *g, const struct player_conf *conf, const struct step *steps, size_t n_steps)
{
	struct player_conf c = *conf;
	int r;

	g->steps = steps;
	g->n_steps = n_steps;
	if (g->events == NULL) {
		g->events = five;
		g->n_events = N_OF(five);
	}
	g->cols = g->cols != 0 ? g->cols : COLS;
	g->rows = g->rows != 0 ? g->rows : ROWS;
	g->out = buf_new(8u << 20);
	assert_non_null(g->out);
	assert_int_equal(screen_new(g->cols, g->rows, NULL, NULL, &g->terminal), 0);
	assert_int_equal(json_parse(session_text, strlen(session_text), &g->session), 0);
	c.session = g->session;
	r = player_run(&c, g->indexed ? &indexed_ops : &ops, g, &g->end);
	return r;
}

static void
rig_done(struct rig *g)
{
	json_node_free(g->session);
	screen_free(g->terminal);
	buf_free(g->out);
}

/* Run, see each step as it should be, end with 0. */
static void
plays(struct rig *g, const struct player_conf *conf, const struct step *steps, size_t n_steps)
{
	assert_int_equal(rig_run(g, conf, steps, n_steps), 0);
	assert_int_equal(g->at_step, n_steps);
	rig_done(g);
}

/* What the player itself says to a terminal, besides what vt_allowed knows. */
static size_t
own_words(const uint8_t *p, size_t len)
{
	static const char *const words[] = { "\033[?25h", "\033[?25l" };

	for (size_t i = 0; i < N_OF(words); i++)
		if (len >= strlen(words[i]) && memcmp(p, words[i], strlen(words[i])) == 0)
			return strlen(words[i]);
	return 0;
}

static void
only_allowed(const struct buf *b)
{
	const uint8_t *p = buf_ptr(b);
	size_t len = buf_len(b), n;

	while (len > 0) {
		n = vt_allowed(p, len);
		if (n == 0)
			n = own_words(p, len);
		if (n == 0)
			fail_msg("not allowed: %.20s", (const char *)p);
		p += n;
		len -= n;
	}
}

static void
test_an_error_of_the_reader_gives_the_terminal_back(void **state)
{
	static const struct step steps[] = { { 500000000, 0, "", "PLAY" } };
	struct rig g = { .next_error = ERR_PEER_GONE };
	size_t n = strlen("\033[m\033[r\033[?25h\033[?1049l");

	(void)state;
	assert_int_equal(rig_run(&g, &usual, steps, N_OF(steps)), ERR_PEER_GONE);
	assert_true(buf_len(g.out) > n);
	assert_memory_equal(
	    buf_ptr(g.out) + buf_len(g.out) - n, "\033[m\033[r\033[?25h\033[?1049l", n);
	rig_done(&g);
}

static void
test_a_terminal_that_is_gone_ends_it(void **state)
{
	static const struct step steps[] = { { 500000000, PLAYER_KEY_GONE, NULL, NULL } };
	struct rig g = { 0 }, h = { .emit_error = -EIO };

	(void)state;
	plays(&g, &usual, steps, N_OF(steps));
	assert_int_equal(rig_run(&h, &usual, NULL, 0), -EIO);
	rig_done(&h);
}

static void
test_events_come_when_they_came(void **state)
{
	static const struct step steps[] = { { 500000000, 0, "", "PLAY  0:00:00/0:00:20" },
		{ 1500000000, 0, "a", NULL }, { 11 * S, 0, "ab", "PLAY  0:00:10/0:00:20" },
		{ 12500000000, 0, "abc", NULL }, { 21 * S, 0, "abcd", "END" },
		{ 22 * S, 'q', "abcd", "0:00:20/0:00:20 100%" } };
	struct rig g = { 0 };

	(void)state;
	plays(&g, &usual, steps, N_OF(steps));
}

static void
test_speed_and_cut_pauses(void **state)
{
	static const struct step fast[] = { { 900000000, 0, "a", "2x" },
		{ 1100000000, 0, "ab", NULL }, { 5900000000, 0, "ab", NULL },
		{ 6100000000, 'q', "abc", NULL } };
	static const struct step cut[] = { { 4900000000, 0, "ab", "skipped 0:00:07" },
		{ 5100000000, 'q', "abc", NULL } };
	static const struct step keys[] = { { 6 * S, '+', "ab", "1x" }, { 6 * S, '+', NULL, NULL },
		/* at 7 s it is 10 s in the recording */
		{ 7 * S, '-', "ab", "4x" }, { 7 * S, '-', NULL, NULL },
		{ 8900000000, 0, "ab", NULL }, { 9100000000, '+', "abc", NULL },
		{ 9100000000, '=', NULL, "2x" }, { 9300000000, 'q', NULL, "1x" } };
	struct player_conf conf = usual;
	struct rig g = { 0 }, h = { 0 }, i = { 0 };

	(void)state;
	conf.speed = 2;
	plays(&g, &conf, fast, N_OF(fast));
	conf.speed = 1;
	conf.idle_limit_ns = 3 * S;
	plays(&h, &conf, cut, N_OF(cut));
	plays(&i, &usual, keys, N_OF(keys));
}

static void
test_speed_has_its_limits(void **state)
{
	static struct step steps[30];
	struct rig g = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(steps) - 1; i++)
		steps[i] = (struct step){ 0, '-', NULL, NULL };
	steps[N_OF(steps) - 1] = (struct step){ 1 * S, 'q', "", "0.0625x" };
	plays(&g, &usual, steps, N_OF(steps));
}

static void
test_pause_and_step(void **state)
{
	static const struct step steps[] = { { 5 * S, ' ', "ab", "PLAY" },
		{ 104 * S, ' ', "ab", "STOP  0:00:05" }, { 110 * S, 0, "ab", NULL },
		{ 112 * S, '.', "abc", NULL },
		/* what another channel shows is no step */
		{ 113 * S, '.', "abcd", "STOP" }, { 114 * S, 'q', "abcd", NULL } };
	struct rig g = { 0 };

	(void)state;
	plays(&g, &usual, steps, N_OF(steps));
}

static void
test_jumps_ahead_and_back(void **state)
{
	static const struct step steps[] = { { 3100000000, PLAYER_KEY_RIGHT, "ab", "0:00:03" },
		{ 3100000000, PLAYER_KEY_RIGHT, "ab", "0:00:08" },
		{ 3100000000, ' ', "abc", "0:00:13" },
		{ 4100000000, PLAYER_KEY_LEFT, "abc", "STOP  0:00:13" },
		{ 4100000000, PLAYER_KEY_LEFT, "ab", "0:00:08" },
		{ 4100000000, PLAYER_KEY_LEFT, "ab", "0:00:03" },
		{ 4100000000, PLAYER_KEY_END, "", "0:00:00" },
		{ 4100000000, PLAYER_KEY_HOME, "abcd", "0:00:20" },
		{ 4100000000, 'q', "", "0:00:00" } };
	struct rig g = { 0 };

	(void)state;
	plays(&g, &usual, steps, N_OF(steps));
}

static void
test_begin_elsewhere_and_go_to_a_time(void **state)
{
	static const struct step steps[] = { { 0, ' ', "ab", "0:00:10" }, { 0, ':', NULL, NULL },
		{ 0, '1', NULL, "go to" }, { 0, '2', NULL, "go to (90s, 1:30): 1" },
		{ 0, 's', NULL, "12" }, { 0, '\r', NULL, "12s" }, { 0, ':', "abc", "0:00:12" },
		{ 0, 'x', NULL, NULL }, { 0, '\r', NULL, NULL }, { 0, ':', "abc", "not a moment" },
		{ 0, PLAYER_KEY_ESCAPE, NULL, NULL }, { 5 * S, 'q', "abc", "0:00:12" } };
	struct player_conf conf = usual;
	struct rig g = { 0 };

	(void)state;
	conf.at_ns = 10 * S;
	plays(&g, &conf, steps, N_OF(steps));
}

/* What is between is not read: the picture and what follows it are the screen. */
static void
test_a_picture_is_begun_with(void **state)
{
	static const struct step steps[] = { { 0, ' ', "PICTURE+c", "0:00:15" },
		{ 0, PLAYER_KEY_RIGHT, NULL, NULL }, { 0, 'q', "PICTURE+cd", "0:00:20" } };
	struct rig g = { .picture_seq = 2, .picture = "PICTURE+" };
	struct player_conf conf = usual;

	(void)state;
	conf.at_ns = 15 * S;
	plays(&g, &conf, steps, N_OF(steps));
}

/* Where neither a picture nor the start is near, the screen is what the last events make, and that is said. */
static void
test_a_screen_without_beginning_is_said_to_be_one(void **state)
{
	static const struct step steps[] = { { 0, ' ', "c", "parts may be missing" },
		{ 0, PLAYER_KEY_HOME, NULL, NULL }, { 0, PLAYER_KEY_RIGHT, "", "1x  channel 1  ?" },
		{ 0, 'q', "ab", "1x  channel 1  ?" } };
	struct rig g = { .context = 1 };
	struct player_conf conf = usual;

	(void)state;
	conf.at_ns = 12 * S;
	plays(&g, &conf, steps, N_OF(steps));
}

/* A long output leaves pictures behind, which going back begins with although the reader has only some events before. */
static void
test_pictures_made_while_playing_are_kept(void **state)
{
	static uint8_t big[40000];
	static struct event many[40];
	static const struct step steps[] = { { 39500000000, ' ', "first", "0:00:39" },
		{ 0, PLAYER_KEY_LEFT, NULL, NULL }, { 0, 'q', "first", "1x  channel 1  ?" } };
	struct player_conf conf = usual;
	struct rig g = { .events = many, .n_events = N_OF(many), .context = 30 };

	(void)state;
	memset(big, '\b', sizeof(big));
	for (size_t i = 0; i < N_OF(many); i++)
		many[i] =
		    (struct event){ i + 1, i * S, EVENT_BACK, LINK_DATA, 1, big, sizeof(big) };
	many[0].data = (const uint8_t *)"first\r\n";
	many[0].len = 7;
	plays(&g, &conf, steps, N_OF(steps));
}

static void
test_search_and_hits(void **state)
{
	static const struct event lines[] = { OUT(1, 1 * S, "one\r\n"), OUT(2, 3 * S, "Two\r\n"),
		OUT(3, 6 * S, "three\r\n"), OUT(4, 9 * S, "two again\r\n") };
	static const struct step steps[] = { { 0, 'n', NULL, NULL },
		{ 0, '/', NULL, "nothing was searched" }, { 0, 't', NULL, "search" },
		{ 0, 'x', NULL, NULL }, { 0, 0x7f, NULL, "tx" }, { 0, 'w', NULL, NULL },
		{ 0, 'o', NULL, NULL }, { 0, '\r', NULL, "two" }, { 0, 'n', "one", "1 of 2: Two" },
		{ 0, 'n', NULL, "2 of 2: two again" }, { 0, 'N', NULL, "no hit behind" },
		{ 5 * S, '/', "one", "STOP  0:00:03" }, { 5 * S, 'T', NULL, NULL },
		{ 5 * S, '\r', NULL, NULL }, { 10 * S, 'q', "one", "0:00:03" } };
	struct rig g = { .events = lines, .n_events = N_OF(lines) };

	(void)state;
	plays(&g, &usual, steps, N_OF(steps));
}

static const struct event two_lines[] = { OUT(1, 1 * S, "one\r\n"), OUT(2, 3 * S, "Two\r\n"),
	OUT(3, 6 * S, "three\r\n"), OUT(4, 9 * S, "two again\r\n") };
#define SEARCH_TWO                                                                                 \
	{ 0, '/', NULL, NULL }, { 0, 't', NULL, NULL }, { 0, 'w', NULL, NULL },                    \
	    { 0, 'o', NULL, NULL },                                                                \
	{                                                                                          \
		0, '\r', NULL, "two"                                                               \
	}

/* What the index tells is not read for: the hit is one that the events do not have. */
static void
test_hits_come_from_the_index(void **state)
{
	static const struct step steps[] = { SEARCH_TWO,
		{ 0, 'n', "one", "1 of 1: only \\xe2\\x82\\xac here" },
		{ 0, 'q', NULL, "no hit behind" } };
	struct rig g = { .events = two_lines,
		.n_events = N_OF(two_lines),
		.indexed = true,
		.index = RD_HITS_ALL,
		.index_text = "only \xe2\x82\xac here",
		.index_ns = 6 * S };

	(void)state;
	plays(&g, &usual, steps, N_OF(steps));
	assert_int_equal(g.n_looks, 1);
}

static void
test_hits_that_are_too_many_are_said_to_be(void **state)
{
	static const struct step steps[] = { SEARCH_TWO, { 0, 'q', "one", "1 of 1 or more: it" } };
	struct rig g = { .events = two_lines,
		.n_events = N_OF(two_lines),
		.indexed = true,
		.index = RD_HITS_CUT,
		.index_text = "it",
		.index_ns = 6 * S };

	(void)state;
	plays(&g, &usual, steps, N_OF(steps));
}

/* Asked once, read once: the text of that is what the next searches look through. */
static void
test_what_is_not_indexed_is_read_once(void **state)
{
	static const struct step steps[] = { { 0, ' ', NULL, NULL }, SEARCH_TWO,
		{ 0, 'm', "one", "1 of 2: Two" }, { 0, 'N', NULL, "no marker" }, SEARCH_TWO,
		{ 0, 'q', "one", "2 of 2: two again" } };
	struct rig g = { .events = two_lines,
		.n_events = N_OF(two_lines),
		.indexed = true,
		.index = RD_HITS_NONE };

	(void)state;
	plays(&g, &usual, steps, N_OF(steps));
	assert_int_equal(g.n_looks, 1);
	/* Away for reading, and back. */
	assert_int_equal(g.n_seeks, 2);
}

static void
test_a_search_is_ended_by_control_c_and_by_escape(void **state)
{
	static const int keys[] = { PLAYER_KEY_INTERRUPT, PLAYER_KEY_ESCAPE };

	(void)state;
	for (size_t i = 0; i < N_OF(keys); i++) {
		const struct step steps[] = { { 2 * S, ' ', "one", NULL }, SEARCH_TWO,
			{ 3 * S, keys[i], "one", "looking: 0%; a key ends it" },
			{ 0, ' ', "one", "ended before all was looked at" },
			{ 5 * S, 'q', "one", "PLAY" } };
		struct rig g = {
			.events = two_lines, .n_events = N_OF(two_lines), .indexed = true
		};

		plays(&g, &usual, steps, N_OF(steps));
		assert_int_equal(g.n_looks, 1);
	}
}

#define REQUEST(seq, at, bytes)                                                                    \
	{                                                                                          \
		seq, at, EVENT_FRONT, LINK_REQUEST, 1, (const uint8_t *)(bytes), sizeof(bytes) - 1 \
	}
static const struct event marked[] = { REQUEST(1, 1 * S, "\0\0\0\1\0\0\0\5shell\1"),
	OUT(2, 2 * S, "a"),
	REQUEST(3, 5 * S, "\0\0\0\2\0\0\0\15window-change\0\0\0\0\62\0\0\0\4\0\0\0\0\0\0\0\0"),
	OUT(4, 8 * S, "b"),
	{ 5, 12 * S, EVENT_BACK, LINK_EXIT_STATUS, 1, (const uint8_t *)"\0\0\0\7", 4 },
	{ 6, 13 * S, EVENT_BACK, LINK_CLOSE, 1, NULL, 0 } };

static void
test_markers(void **state)
{
	static const struct step steps[] = { { 0, ' ', NULL, NULL }, { 0, 'm', NULL, NULL },
		{ 0, 'm', "", "1 of 4: channel 1: shell" }, { 0, 'm', "a", "window-change: 50x4" },
		{ 0, 'm', "ab", "exit status 7" }, { 0, 'm', "ab", "closed by the target" },
		{ 0, 'M', "ab", "no marker behind" }, { 0, 'l', NULL, "exit status 7" },
		{ 0, PLAYER_KEY_UP, "0:00:01  channel 1: shell", NULL },
		{ 0, PLAYER_KEY_HOME, NULL, NULL }, { 0, PLAYER_KEY_DOWN, NULL, NULL },
		{ 0, '\r', NULL, NULL }, { 5 * S, 'l', "a", "STOP  0:00:05" },
		{ 5 * S, PLAYER_KEY_ESCAPE, "shell", NULL }, { 5 * S, 'q', "a", NULL } };
	struct rig g = { .events = marked, .n_events = N_OF(marked) };

	(void)state;
	plays(&g, &usual, steps, N_OF(steps));
}

static void
test_a_step_goes_to_output(void **state)
{
	static const struct step steps[] = { { 0, '.', "", NULL }, { 0, '.', "a", "STOP  0:00:02" },
		{ 0, 'q', "ab", "STOP  0:00:08" } };
	struct rig g = { .events = marked, .n_events = N_OF(marked) };

	(void)state;
	plays(&g, &usual, steps, N_OF(steps));
}

static void
test_help_lies_over_the_screen_and_goes(void **state)
{
	static const struct step steps[] = { { 3 * S, '?', "ab", NULL }, { 3 * S, 0, "Keys", NULL },
		{ 13 * S, 'x', "Keys", NULL }, { 14 * S, '?', "abc", NULL },
		{ 14 * S, 'q', NULL, NULL } };
	struct rig g = { 0 };

	(void)state;
	plays(&g, &usual, steps, N_OF(steps));
}

static void
test_channels(void **state)
{
	static const struct step steps[] = { { 0, ' ', "abc", "channel 1" }, { 0, 'c', NULL, NULL },
		{ 5 * S, 'c', "x", "channel 2" }, { 6 * S, PLAYER_KEY_END, "abc", "channel 1" },
		{ 10 * S, 'q', "abcd", "channel 1" } };
	struct player_conf conf = usual;
	struct rig g = { 0 };

	(void)state;
	conf.at_ns = 15 * S;
	plays(&g, &conf, steps, N_OF(steps));
}

static void
test_a_smaller_terminal_shows_a_part_with_the_cursor(void **state)
{
	static const struct event far[] = { OUT(1, 0, "\033[1;1Htop\033[5;35Hcursor") };
	static const struct step steps[] = { { 1 * S, PLAYER_KEY_RESIZED, "cursor",
						 "a part of 40x5" },
		{ 1 * S, 'q', "cursor", "a part of 40x5" } };
	static const struct step all[] = { { 1 * S, 'q', "top", NULL } };
	struct rig g = { .events = far, .n_events = 1, .rows = 2 };
	struct rig h = { .events = far, .n_events = 1 };

	(void)state;
	plays(&g, &usual, steps, N_OF(steps));
	plays(&h, &usual, all, N_OF(all));
}

static void
test_without_status_the_last_row_is_the_screens(void **state)
{
	static const struct event rows[] = { OUT(1, 0, "1\r\n2\r\n3\r\n4\r\n5") };
	static const struct step steps[] = { { 1 * S, 'q', "1", "5" } };
	struct player_conf conf = usual;
	struct rig g = { .events = rows, .n_events = 1, .rows = 5 };

	(void)state;
	conf.no_status = true;
	plays(&g, &conf, steps, N_OF(steps));
}

static void
test_a_live_session_is_shown_as_it_comes(void **state)
{
	static const uint64_t arrive[] = { 0, 0, 30 * S, 31 * S, 40 * S };
	static const struct step steps[] = { { 1 * S, 0, "ab", "LIVE" },
		{ 29900000000, 0, "ab", NULL }, { 30050000000, ' ', "abc", "LIVE" },
		{ 41 * S, 0, "abc", "STOP" }, { 42 * S, PLAYER_KEY_HOME, NULL, NULL },
		{ 43 * S, PLAYER_KEY_END, "", "STOP" }, { 44 * S, 0, "abcd", "LIVE" },
		{ 45 * S, 'q', "abcd", "LIVE" } };
	struct player_conf conf = usual;
	struct rig g = { .arrive_ns = arrive, .runs = true };

	(void)state;
	conf.follow = true;
	conf.at_ns = UINT64_MAX;
	plays(&g, &conf, steps, N_OF(steps));
}

static void
test_a_live_session_ends_and_says_how(void **state)
{
	static const uint64_t arrive[] = { 0, 0, 3 * S, 3 * S, 4 * S };
	static const char text[] =
	    "{\"state\":\"closed\",\"end_reason\":\"killed\",\"end_text\":\"by hand\"}";
	struct player_conf conf = usual;
	struct rig g = { .arrive_ns = arrive };
	struct json_node *ended;

	(void)state;
	assert_int_equal(json_parse(text, strlen(text), &ended), 0);
	g.ended = ended;
	conf.follow = true;
	conf.at_ns = UINT64_MAX;
	assert_int_equal(rig_run(&g, &conf, NULL, 0), 0);
	assert_string_equal(g.end.reason, "killed");
	assert_string_equal(g.end.text, "by hand");
	assert_true(g.now_ns < 5 * S);
	json_node_free(ended);
	rig_done(&g);
}

static void
test_nothing_of_a_hostile_recording_gets_out(void **state)
{
	static const struct event hostile[] = { OUT(1, 0,
	    "\033]0;title\007\033]52;c;ZXZpbA==\007\033]8;;http://x/\033\\link\033]8;;\033\\"
	    "\033P$q\"p\033\\\033Pq#0;2;0;0;0#0~~\033\\\033[6n\033[c\033[>c\033[=c\033[5n"
	    "\033[8;50;50t\033[14t\033[21t\033[?1000h\033[?1003h\033[?1006h\033[?2004h\033[?1004h"
	    "\033[?1h\033=\033[>4;2m\033[?2026h\033[4i\033[5i\033[!p\033c\033[3J\2336n\302\233c"
	    "\033_Gf=24;AAAA\033\\\033^x\033\\\033Xx\033\\\016\033(0end\342\200\256x") };
	static const struct step steps[] = { { 1 * S, 'q', NULL, NULL } };
	struct rig g = { .events = hostile, .n_events = 1 };

	(void)state;
	assert_int_equal(rig_run(&g, &usual, steps, N_OF(steps)), 0);
	only_allowed(g.out);
	rig_done(&g);
}

/* Whatever is pressed: it ends, and nothing but the allowed gets out. */
static void
test_random_keys(void **state)
{
	static const int keys[] = { ' ', '.', '+', '-', '=', 'n', 'N', 'm', 'M', 'l', 'c', 'i', '?',
		'/', ':', 'a', '1', '\r', 27, 0x7f, PLAYER_KEY_LEFT, PLAYER_KEY_RIGHT,
		PLAYER_KEY_UP, PLAYER_KEY_DOWN, PLAYER_KEY_HOME, PLAYER_KEY_END, PLAYER_KEY_RESIZED,
		PLAYER_KEY_OTHER, 12 };
	static struct step steps[200];
	uint32_t seed = 7;

	(void)state;
	for (int round = 0; round < 50; round++) {
		struct rig g = { .events = marked, .n_events = N_OF(marked) };

		for (size_t i = 0; i < N_OF(steps); i++)
			steps[i] = (struct step){ i * 100000000ull,
				keys[test_random(&seed) % N_OF(keys)], NULL, NULL };
		steps[N_OF(steps) - 1].key = PLAYER_KEY_GONE;
		assert_int_equal(rig_run(&g, &usual, steps, N_OF(steps)), 0);
		assert_int_equal(g.at_step, N_OF(steps));
		only_allowed(g.out);
		rig_done(&g);
	}
}

static void
test_keys_as_terminals_send_them(void **state)
{
	static const struct {
		const char *typed;
		bool whole;
		int key;
		size_t used;
	} cases[] = { { " x", false, ' ', 1 }, { "\004", false, 4, 1 },
		{ "\033[C", false, PLAYER_KEY_RIGHT, 3 }, { "\033OC", false, PLAYER_KEY_RIGHT, 3 },
		{ "\033[Dq", false, PLAYER_KEY_LEFT, 3 }, { "\033[A", false, PLAYER_KEY_UP, 3 },
		{ "\033[5~", false, PLAYER_KEY_PAGE_UP, 4 },
		{ "\033[1~", false, PLAYER_KEY_HOME, 4 },
		{ "\033[1;5Cx", false, PLAYER_KEY_OTHER, 6 },
		{ "\033[200~", false, PLAYER_KEY_OTHER, 6 }, { "\033", false, PLAYER_KEY_NONE, 0 },
		{ "\033", true, PLAYER_KEY_ESCAPE, 1 }, { "\033[", false, PLAYER_KEY_NONE, 0 },
		{ "\033[", true, PLAYER_KEY_ESCAPE, 1 }, { "\033x", false, PLAYER_KEY_OTHER, 2 },
		{ "\303\251", false, 0303, 1 }, { "", true, PLAYER_KEY_NONE, 0 } };
	uint8_t endless[40];
	size_t used;

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		assert_int_equal(term_key((const uint8_t *)cases[i].typed, strlen(cases[i].typed),
				     cases[i].whole, &used),
		    cases[i].key);
		assert_int_equal(used, cases[i].used);
	}
	memset(endless, '1', sizeof(endless));
	memcpy(endless, "\033[", 2);
	assert_int_equal(term_key(endless, sizeof(endless), false, &used), PLAYER_KEY_OTHER);
	assert_true(used > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_error_of_the_reader_gives_the_terminal_back),
		cmocka_unit_test(test_a_terminal_that_is_gone_ends_it),
		cmocka_unit_test(test_events_come_when_they_came),
		cmocka_unit_test(test_speed_and_cut_pauses),
		cmocka_unit_test(test_speed_has_its_limits),
		cmocka_unit_test(test_pause_and_step),
		cmocka_unit_test(test_jumps_ahead_and_back),
		cmocka_unit_test(test_begin_elsewhere_and_go_to_a_time),
		cmocka_unit_test(test_a_picture_is_begun_with),
		cmocka_unit_test(test_a_screen_without_beginning_is_said_to_be_one),
		cmocka_unit_test(test_pictures_made_while_playing_are_kept),
		cmocka_unit_test(test_search_and_hits),
		cmocka_unit_test(test_hits_come_from_the_index),
		cmocka_unit_test(test_hits_that_are_too_many_are_said_to_be),
		cmocka_unit_test(test_what_is_not_indexed_is_read_once),
		cmocka_unit_test(test_a_search_is_ended_by_control_c_and_by_escape),
		cmocka_unit_test(test_markers),
		cmocka_unit_test(test_a_step_goes_to_output),
		cmocka_unit_test(test_help_lies_over_the_screen_and_goes),
		cmocka_unit_test(test_channels),
		cmocka_unit_test(test_a_smaller_terminal_shows_a_part_with_the_cursor),
		cmocka_unit_test(test_without_status_the_last_row_is_the_screens),
		cmocka_unit_test(test_a_live_session_is_shown_as_it_comes),
		cmocka_unit_test(test_a_live_session_ends_and_says_how),
		cmocka_unit_test(test_nothing_of_a_hostile_recording_gets_out),
		cmocka_unit_test(test_random_keys),
		cmocka_unit_test(test_keys_as_terminals_send_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
