/* The rules of the link, one broken after another. */
#include "config.h"

#include "lib/buf.h"
#include "recorder/event.h"
#include "recorder/ledger.h"
#include "tests/lib/test.h"

#define F LEDGER_FRONT
#define B LEDGER_BACK
#define SESSION "\0\0\0\7session", 11
#define FORWARD "\0\0\0\14direct-tcpip", 16
#define AGENT "\0\0\0\26auth-agent@openssh.com", 26

static int
setup(void **state)
{
	struct ledger *l = ledger_new();

	if (l == NULL || ledger_let_env(l, "LANG") != 0 || ledger_let_env(l, "LC_*") != 0)
		return -1;
	*state = l;
	return 0;
}

static int
teardown(void **state)
{
	ledger_free(*state);
	return 0;
}

static const char *why;

static enum ledger_answer
judge(struct ledger *l, enum ledger_side side, uint16_t type, uint32_t ch, const void *data,
    size_t len)
{
	why = "";
	return ledger_judge(l, side, type, ch, data, len, &why);
}

#define PASS(...) assert_int_equal(judge(l, __VA_ARGS__), LEDGER_PASS)
#define ASK(...) assert_int_equal(judge(l, __VA_ARGS__), LEDGER_ASK)
#define DROP(...) assert_int_equal(judge(l, __VA_ARGS__), LEDGER_DROP)
#define BROKEN(...)                                                                                \
	do {                                                                                       \
		assert_int_equal(judge(l, __VA_ARGS__), LEDGER_BROKEN);                            \
		assert_true(strlen(why) > 5);                                                      \
	} while (0)

static void
open_session(struct ledger *l, uint32_t ch)
{
	PASS(F, LINK_OPEN, ch, SESSION);
	PASS(B, LINK_OPEN_OK, ch, "", 0);
}

static void
test_a_whole_session_passes(void **state)
{
	struct ledger *l = *state;

	PASS(F, LINK_NOTE, 0, "\1\0\0\0\0\0\0\0\0", 9);
	PASS(F, LINK_OPEN, 1, SESSION);
	PASS(F, LINK_WINDOW, 1, "\0\0\0\1", 4);
	PASS(F, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\3env\0\0\0\0\4LANG\0\0\0\1B", 25);
	PASS(B, LINK_NOTE, 0, "\3", 1);
	PASS(B, LINK_WINDOW, 1, "\0\0\0\1", 4);
	PASS(B, LINK_OPEN_OK, 1, "", 0);
	ASK(F, LINK_REQUEST, 1, "\0\0\0\2\0\0\0\5shell\1", 14);
	PASS(B, LINK_REPLY, 1, "\0\0\0\2\1", 5);
	PASS(F, LINK_DATA, 1, "ls\n", 3);
	PASS(B, LINK_DATA, 1, "x", 1);
	PASS(B, LINK_DATA_EXT, 1, "\0\0\0\1e", 5);
	PASS(B, LINK_EOF, 1, "", 0);
	PASS(B, LINK_EXIT_STATUS, 1, "\0\0\0\0", 4);
	PASS(B, LINK_CLOSE, 1, "", 0);
	PASS(F, LINK_EOF, 1, "", 0);
	PASS(F, LINK_CLOSE, 1, "", 0);
	PASS(F, LINK_END, 0, "\1\0\0\0\0", 5);
	PASS(B, LINK_END, 0, "\2\0\0\0\0", 5);
}

static void
test_what_needs_a_verdict(void **state)
{
	struct ledger *l = *state;
	static const char *const pass[] = { "window-change", "signal", "break", "eow@openssh.com",
		"xon-xoff", "keepalive@openssh.com" };
	static const char *const ask[] = { "shell", "exec", "subsystem", "pty-req", "x11-req",
		"auth-agent-req@openssh.com", "ENV", "env2", "en", "unheard-of@example.com" };
	struct buf *b = buf_new(200);
	uint32_t n = 0, ch = 2;

	open_session(l, 1);
	for (size_t i = 0; i < N_OF(pass) + N_OF(ask); i++) {
		const char *name = i < N_OF(pass) ? pass[i] : ask[i - N_OF(pass)];

		if (i > N_OF(pass) && i < N_OF(pass) + 3) /* one program a channel */
			open_session(l, ch++);
		buf_reset(b);
		assert_int_equal(buf_put_u32(b, ++n), 0);
		assert_int_equal(buf_put_cstr(b, name), 0);
		assert_int_equal(buf_put_u8(b, 1), 0);
		assert_int_equal(judge(l, F, LINK_REQUEST, ch - 1, buf_ptr(b), buf_len(b)),
		    i < N_OF(pass) ? LEDGER_PASS : LEDGER_ASK);
	}
	ASK(F, LINK_OPEN, ch, FORWARD);
	ASK(B, LINK_OPEN, LINK_FROM_BACK + 1, AGENT);
	ASK(B, LINK_OPEN, LINK_FROM_BACK + 2, SESSION);
	ASK(F, LINK_GLOBAL, 0, "\0\0\0\1\0\0\0\15tcpip-forward\1", 22);
	PASS(F, LINK_GLOBAL, 0, "\0\0\0\2\0\0\0\25keepalive@openssh.com\1", 30);
	ASK(B, LINK_GLOBAL, 0, "\0\0\0\1\0\0\0\27hostkeys-00@openssh.com\0", 32);
	buf_free(b);
}

/* Request number n of this side for a variable. */
static enum ledger_answer
ask_env(struct ledger *l, enum ledger_side side, uint32_t n, const void *name, size_t name_len,
    const char *more)
{
	struct buf *b = buf_new(16384);
	enum ledger_answer answer;

	assert_int_equal(buf_put_u32(b, n) | buf_put_cstr(b, "env") | buf_put_u8(b, 1), 0);
	assert_int_equal(buf_put_str(b, name, name_len) | buf_put_cstr(b, "value"), 0);
	assert_int_equal(buf_put(b, more, strlen(more)), 0);
	answer = judge(l, side, LINK_REQUEST, 1, buf_ptr(b), buf_len(b));
	buf_free(b);
	return answer;
}

static void
test_variables_cross_by_name(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		enum ledger_answer want;
	} rows[] = {
		{ "LANG", 4, LEDGER_PASS },
		{ "LC_ALL", 6, LEDGER_PASS },
		{ "LC_", 3, LEDGER_PASS },
		{ "LANGUAGE", 8, LEDGER_DENY },
		{ "LAN", 3, LEDGER_DENY },
		{ "lang", 4, LEDGER_DENY },
		{ "LD_PRELOAD", 10, LEDGER_DENY },
		{ "", 0, LEDGER_DENY },
		{ "LC_=", 4, LEDGER_DENY },
		{ "LC_A\0B", 6, LEDGER_DENY },
		{ "LANG\0", 5, LEDGER_DENY },
	};
	struct ledger *l = *state;
	char name[200];
	uint32_t n = 0;

	open_session(l, 1);
	for (size_t i = 0; i < N_OF(rows); i++)
		if (ask_env(l, F, ++n, rows[i].name, rows[i].len, "") != rows[i].want)
			fail_msg("%s", rows[i].name);
	assert_string_equal(why, "not an allowed variable");
	memset(name, 'x', sizeof(name));
	memcpy(name, "LC_", 3);
	assert_int_equal(ask_env(l, F, ++n, name, 127, ""), LEDGER_PASS);
	assert_int_equal(ask_env(l, F, ++n, name, 128, ""), LEDGER_DENY);
	/* Nobody asks the client for a variable; policy knows no such request either. */
	assert_int_equal(ask_env(l, B, 1, "LANG", 4, ""), LEDGER_ASK);
	/* A number that was denied is used up like any other. */
	assert_int_equal(ask_env(l, F, n, "LANG", 4, ""), LEDGER_BROKEN);
	assert_int_equal(ask_env(l, F, ++n, "LANG", 4, "x"), LEDGER_BROKEN);
	BROKEN(F, LINK_REQUEST, 1, "\0\0\1\0\0\0\0\3env\1\0\0\0\4LANG", 20);
	BROKEN(F, LINK_REQUEST, 1, "\0\0\1\1\0\0\0\3env\1\0\0\0\4LANG\0\0\0\2x", 25);
	BROKEN(F, LINK_REQUEST, 1, "\0\0\1\2\0\0\0\3env\1", 12);
}

static void
test_variables_have_a_limit(void **state)
{
	struct ledger *l = *state, *none = ledger_new();
	uint32_t n = 0;

	open_session(l, 1);
	for (unsigned i = 0; i < LEDGER_ENV_MAX; i++) {
		assert_int_equal(ask_env(l, F, ++n, "NO", 2, ""), LEDGER_DENY);
		assert_int_equal(ask_env(l, F, ++n, "LANG", 4, ""), LEDGER_PASS);
	}
	assert_int_equal(ask_env(l, F, ++n, "LANG", 4, ""), LEDGER_DENY);
	assert_string_equal(why, "too many variables");
	open_session(none, 1);
	assert_int_equal(ask_env(none, F, 1, "LANG", 4, ""), LEDGER_DENY);
	ledger_free(none);
}

static void
test_frames_that_a_side_may_not_send(void **state)
{
	struct ledger *l = *state;

	open_session(l, 1);
	BROKEN(F, LINK_EXIT_STATUS, 1, "\0\0\0\0", 4);
	BROKEN(F, LINK_EXIT_SIGNAL, 1, "\0\0\0\1X\0\0\0\0\0\0\0\0\0", 14);
	BROKEN(F, LINK_NOTE, 0, "\2", 1);
	BROKEN(F, LINK_NOTE, 0, "\3", 1);
	BROKEN(F, LINK_NOTE, 0, "\5", 1);
	BROKEN(B, LINK_NOTE, 0, "\1", 1);
	BROKEN(F, LINK_NOTE, 0, "\6", 1);
	BROKEN(B, LINK_NOTE, 0, "\6", 1);
	BROKEN(B, LINK_NOTE, 0, "\0", 1);
	BROKEN(B, LINK_NOTE, 0, "\10", 1);
	PASS(F, LINK_NOTE, 1, "\7\0\0\0\36", 5);
	PASS(B, LINK_NOTE, 1, "\7\0\0\0\36", 5);
	PASS(F, LINK_NOTE, 0, "\4", 1);
	PASS(B, LINK_NOTE, 1, "\4", 1);
	BROKEN(F, 0, 0, "", 0);
	BROKEN(F, 15, 0, "", 0);
	BROKEN(F, 32, 0, "", 0);
	BROKEN(F, 0xffff, 0, "", 0);
}

static void
test_channel_numbers_belong_to_their_side_and_are_not_used_twice(void **state)
{
	struct ledger *l = *state;

	BROKEN(F, LINK_OPEN, 0, SESSION);
	BROKEN(F, LINK_OPEN, LINK_FROM_BACK + 1, SESSION);
	BROKEN(B, LINK_OPEN, 1, AGENT);
	open_session(l, 5);
	BROKEN(F, LINK_OPEN, 5, SESSION);
	BROKEN(F, LINK_OPEN, 4, SESSION);
	PASS(F, LINK_CLOSE, 5, "", 0);
	PASS(B, LINK_CLOSE, 5, "", 0);
	BROKEN(F, LINK_OPEN, 5, SESSION);
	PASS(F, LINK_OPEN, 6, SESSION);
}

static void
test_nothing_on_a_channel_that_is_not_there(void **state)
{
	struct ledger *l = *state;

	BROKEN(F, LINK_DATA, 1, "x", 1);
	BROKEN(B, LINK_OPEN_OK, 1, "", 0);
	BROKEN(B, LINK_DATA, 0, "x", 1);
	open_session(l, 1);
	BROKEN(F, LINK_DATA, 2, "x", 1);
	BROKEN(F, LINK_GLOBAL, 1, "\0\0\0\1\0\0\0\1x\1", 10);
	BROKEN(F, LINK_END, 1, "\1\0\0\0\0", 5);
}

static void
test_a_channel_is_confirmed_once_by_the_other_side(void **state)
{
	struct ledger *l = *state;

	PASS(F, LINK_OPEN, 1, SESSION);
	BROKEN(F, LINK_OPEN_OK, 1, "", 0);
	BROKEN(F, LINK_OPEN_FAIL, 1, "\0\0\0\1\0\0\0\0", 8);
	BROKEN(B, LINK_DATA, 1, "x", 1);
	BROKEN(B, LINK_EOF, 1, "", 0);
	PASS(F, LINK_DATA, 1, "x", 1);
	PASS(B, LINK_OPEN_OK, 1, "", 0);
	BROKEN(B, LINK_OPEN_OK, 1, "", 0);
	BROKEN(B, LINK_OPEN_FAIL, 1, "\0\0\0\1\0\0\0\0", 8);
}

static void
test_a_refused_channel_drops_what_is_under_way(void **state)
{
	struct ledger *l = *state;

	PASS(F, LINK_OPEN, 1, SESSION);
	PASS(B, LINK_OPEN_FAIL, 1, "\0\0\0\1\0\0\0\2no", 10);
	DROP(F, LINK_DATA, 1, "x", 1);
	DROP(F, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\5shell\1", 14);
	BROKEN(B, LINK_DATA, 1, "x", 1);
	DROP(F, LINK_CLOSE, 1, "", 0);
	BROKEN(F, LINK_CLOSE, 1, "", 0);
	ASK(F, LINK_OPEN, 2, FORWARD);
	ledger_refuse(l, 2);
	ledger_refuse(l, 2);
	ledger_refuse(l, 77);
	DROP(F, LINK_WINDOW, 2, "\0\0\0\1", 4);
}

/* A client that opens and is refused for ever does not make the ledger grow. */
static void
test_refused_channels_are_forgotten(void **state)
{
	struct ledger *l = *state;

	open_session(l, 1);
	for (uint32_t ch = 2; ch < 20000; ch++) {
		ASK(F, LINK_OPEN, ch, FORWARD);
		ledger_refuse(l, ch);
	}
	DROP(F, LINK_WINDOW, 19999, "\0\0\0\1", 4);
	BROKEN(F, LINK_WINDOW, 2, "\0\0\0\1", 4);
	PASS(F, LINK_DATA, 1, "x", 1);
}

static void
test_channels_have_a_limit(void **state)
{
	struct ledger *l = *state;

	for (uint32_t ch = 1; ch <= LEDGER_CHANNELS_MAX; ch++)
		PASS(F, LINK_OPEN, ch, SESSION);
	BROKEN(F, LINK_OPEN, LEDGER_CHANNELS_MAX + 1, SESSION);
}

static void
test_nothing_follows_close_eof_and_end(void **state)
{
	struct ledger *l = *state;

	open_session(l, 1);
	PASS(F, LINK_EOF, 1, "", 0);
	BROKEN(F, LINK_EOF, 1, "", 0);
	BROKEN(F, LINK_DATA, 1, "x", 1);
	BROKEN(F, LINK_DATA_EXT, 1, "\0\0\0\1x", 5);
	PASS(F, LINK_WINDOW, 1, "\0\0\0\1", 4);
	PASS(F, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\6signal\0", 15);
	PASS(F, LINK_CLOSE, 1, "", 0);
	BROKEN(F, LINK_CLOSE, 1, "", 0);
	BROKEN(F, LINK_WINDOW, 1, "\0\0\0\1", 4);
	PASS(B, LINK_DATA, 1, "still", 5);
	PASS(F, LINK_END, 0, "\1\0\0\0\0", 5);
	BROKEN(F, LINK_END, 0, "\1\0\0\0\0", 5);
	BROKEN(F, LINK_NOTE, 0, "\4", 1);
	PASS(B, LINK_DATA, 1, "still", 5);
}

static void
spend(struct ledger *l, enum ledger_side side, uint64_t n)
{
	static uint8_t data[LINK_DATA_MAX];

	for (; n > LINK_DATA_MAX; n -= LINK_DATA_MAX)
		PASS(side, LINK_DATA, 1, data, LINK_DATA_MAX);
	PASS(side, LINK_DATA, 1, data, n);
}

static void
test_data_needs_credit(void **state)
{
	struct ledger *l = *state;

	open_session(l, 1);
	spend(l, F, LINK_CREDIT + LEDGER_SLACK);
	BROKEN(F, LINK_DATA, 1, "x", 1);
	/* The directions are apart. */
	spend(l, B, LINK_CREDIT);
}

static void
test_credit_is_given_by_the_other_side(void **state)
{
	struct ledger *l = *state;

	open_session(l, 1);
	spend(l, F, LINK_CREDIT + LEDGER_SLACK);
	PASS(B, LINK_WINDOW, 1, "\0\0\0\2", 4);
	PASS(F, LINK_DATA, 1, "x", 1);
	PASS(F, LINK_DATA_EXT, 1, "\0\0\0\1x", 5);
	BROKEN(F, LINK_DATA_EXT, 1, "\0\0\0\1x", 5);
}

static void
test_credit_does_not_overflow(void **state)
{
	struct ledger *l = *state;

	open_session(l, 1);
	BROKEN(B, LINK_WINDOW, 1, "\377\377\377\377", 4);
}

#define PART LINK_REQUEST_PART

/* A command in several frames: the first has its head. */
static const uint8_t *
long_exec(uint32_t number)
{
	static uint8_t big[PART + 1] = "\0\0\0\0\0\0\0\4exec\1\0\3\0\0";

	big[3] = (uint8_t)number;
	return big;
}

static const uint8_t *
long_env(uint32_t number)
{
	static uint8_t big[PART] = "\0\0\0\0\0\0\0\3env\1\0\0\0\4LC_A\0\1\1\0";

	big[3] = (uint8_t)number;
	return big;
}

static void
test_a_request_in_several_frames(void **state)
{
	struct ledger *l = *state;
	bool tell[2];

	open_session(l, 1);
	open_session(l, 2);
	open_session(l, 3);
	BROKEN(F, LINK_MORE, 1, "x", 1);
	BROKEN(B, LINK_REQUEST, 1, long_exec(1), PART);
	BROKEN(B, LINK_MORE, 1, "x", 1);
	BROKEN(F, LINK_REQUEST, 1, long_exec(1), PART + 1);
	/* Its first frame is judged, the others follow. */
	ASK(F, LINK_REQUEST, 1, long_exec(1), PART);
	BROKEN(F, LINK_MORE, 1, long_exec(1), PART + 1);
	BROKEN(F, LINK_DATA, 1, "x", 1);
	BROKEN(F, LINK_DATA, 2, "x", 1);
	BROKEN(F, LINK_MORE, 2, "x", 1);
	BROKEN(F, LINK_NOTE, 0, "\4", 1);
	BROKEN(F, LINK_CLOSE, 1, "", 0);
	PASS(B, LINK_DATA, 1, "other way", 9);
	PASS(F, LINK_MORE, 1, long_exec(1), PART);
	PASS(F, LINK_MORE, 1, "", 0);
	BROKEN(F, LINK_MORE, 1, "", 0);
	PASS(F, LINK_DATA, 1, "x", 1);
	/* No longer than there may be. */
	ASK(F, LINK_REQUEST, 2, long_exec(1), PART);
	for (size_t n = 2 * PART; n <= LINK_REQUEST_MAX; n += PART)
		PASS(F, LINK_MORE, 2, long_exec(1), PART);
	BROKEN(F, LINK_MORE, 2, long_exec(1), PART);
	BROKEN(F, LINK_MORE, 2, long_exec(1), LINK_REQUEST_MAX % PART + 1);
	/* A variable is as long as it says. */
	ledger_free(l);
	l = *state = ledger_new();
	assert_int_equal(ledger_let_env(l, "LC_*"), 0);
	open_session(l, 1);
	PASS(F, LINK_REQUEST, 1, long_env(1), PART);
	BROKEN(F, LINK_MORE, 1, "", 0);
	BROKEN(F, LINK_MORE, 1, long_env(1), 24 + 65792 - PART + 1);
	PASS(F, LINK_MORE, 1, long_env(1), 24 + 65792 - PART);
	BROKEN(F, LINK_REQUEST, 1, long_env(2), PART - 1);
	/* Cut in the middle: the rest is dropped, and then all is as before. */
	l = *state;
	ledger_free(l);
	l = *state = ledger_new();
	open_session(l, 3);
	ASK(F, LINK_REQUEST, 3, long_exec(1), PART);
	ledger_cut(l, 3, tell);
	DROP(F, LINK_MORE, 3, "x", 1);
	PASS(F, LINK_NOTE, 0, "\4", 1);
	DROP(F, LINK_REQUEST, 3, long_exec(2), PART);
	DROP(F, LINK_MORE, 3, long_exec(2), PART);
	DROP(F, LINK_MORE, 3, "", 0);
	DROP(F, LINK_CLOSE, 3, "", 0);
}

static void
test_lengths_have_both_ends(void **state)
{
	static uint8_t big[EVENT_DATA_MAX + 1];
	struct ledger *l = *state;

	open_session(l, 1);
	BROKEN(F, LINK_DATA, 1, big, 0);
	BROKEN(F, LINK_DATA, 1, big, LINK_DATA_MAX + 1);
	BROKEN(F, LINK_DATA_EXT, 1, big, 4);
	BROKEN(F, LINK_DATA_EXT, 1, big, LINK_DATA_MAX + 5);
	BROKEN(F, LINK_WINDOW, 1, big, 3);
	BROKEN(F, LINK_WINDOW, 1, big, 5);
	BROKEN(F, LINK_EOF, 1, big, 1);
	BROKEN(F, LINK_CLOSE, 1, big, 1);
	BROKEN(B, LINK_REPLY, 1, big, 4);
	BROKEN(B, LINK_EXIT_STATUS, 1, big, 5);
	BROKEN(F, LINK_REQUEST, 1, big, 9);
	BROKEN(F, LINK_REQUEST, 1, big, sizeof(big));
	BROKEN(F, LINK_END, 0, "\1\0\0\0", 4);
	BROKEN(F, LINK_END, 0, "\1\0\0\0\1", 5);
	BROKEN(F, LINK_END, 0, "\0\0\0\0\0", 5);
	BROKEN(F, LINK_END, 0, "\12\0\0\0\0", 5);
	BROKEN(F, LINK_OPEN, 2, "\0\0\0\1", 4);
	BROKEN(F, LINK_OPEN, 2, "\0\0\0\0x", 5);
	BROKEN(F, LINK_OPEN, 2, "\0\0\0\2x", 5);
	BROKEN(F, LINK_OPEN, 2, "\0\0\0\1\n", 5);
	BROKEN(F, LINK_OPEN, 2, "\377\377\377\377x", 5);
	BROKEN(F, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\5break", 13);
	BROKEN(F, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\2\0\0\1", 11);
}

static void
test_requests_and_replies_count_up(void **state)
{
	struct ledger *l = *state;

	open_session(l, 1);
	BROKEN(B, LINK_REPLY, 1, "\0\0\0\1\1", 5);
	BROKEN(F, LINK_REQUEST, 1, "\0\0\0\0\0\0\0\5break\1", 14);
	PASS(F, LINK_REQUEST, 1, "\0\0\0\5\0\0\0\5break\1", 14);
	BROKEN(F, LINK_REQUEST, 1, "\0\0\0\5\0\0\0\5break\1", 14);
	BROKEN(B, LINK_REPLY, 1, "\0\0\0\6\1", 5);
	BROKEN(F, LINK_REPLY, 1, "\0\0\0\5\1", 5);
	PASS(B, LINK_REPLY, 1, "\0\0\0\5\1", 5);
	BROKEN(B, LINK_REPLY, 1, "\0\0\0\5\1", 5);
	BROKEN(F, LINK_GLOBAL_REPLY, 0, "\0\0\0\1\1", 5);
	ASK(B, LINK_GLOBAL, 0, "\0\0\0\1\0\0\0\1x\1", 10);
	PASS(F, LINK_GLOBAL_REPLY, 0, "\0\0\0\1\1", 5);
}

static void
test_the_name_of_what_is_asked(void **state)
{
	const uint8_t *name;
	size_t len;

	(void)state;
	assert_int_equal(ledger_asked(LINK_OPEN, (const uint8_t *)FORWARD, &name, &len), 0);
	assert_int_equal(len, 12);
	assert_memory_equal(name, "direct-tcpip", 12);
	assert_int_equal(
	    ledger_asked(LINK_REQUEST, (const uint8_t *)"\0\0\0\1\0\0\0\4exec\1", 13, &name, &len),
	    0);
	assert_memory_equal(name, "exec", 4);
	assert_int_equal(
	    ledger_asked(LINK_OPEN, (const uint8_t *)"\0\0", 2, &name, &len), ERR_FORMAT);
}

/* Closed by us on both sides: what is under way is dropped up to each side's CLOSE, and then it is gone. */
static void
test_a_channel_that_is_cut_drops_everything(void **state)
{
	struct ledger *l = *state;
	bool tell[2];

	open_session(l, 1);
	assert_false(ledger_is_cut(l, 1));
	ledger_cut(l, 1, tell);
	assert_true(tell[0] && tell[1]);
	assert_true(ledger_is_cut(l, 1));
	ledger_cut(l, 1, tell);
	assert_false(tell[0] || tell[1]);
	DROP(F, LINK_DATA, 1, "x", 1);
	DROP(B, LINK_DATA, 1, "x", 1);
	DROP(F, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\5shell\0", 14);
	DROP(F, LINK_CLOSE, 1, "", 0);
	BROKEN(F, LINK_DATA, 1, "x", 1);
	DROP(B, LINK_EOF, 1, "", 0);
	DROP(B, LINK_CLOSE, 1, "", 0);
	BROKEN(B, LINK_DATA, 1, "x", 1);
	/* One that has closed is not told: it knows; the other side has heard already. */
	open_session(l, 2);
	PASS(F, LINK_CLOSE, 2, "", 0);
	ledger_cut(l, 2, tell);
	assert_true(tell[0] && !tell[1]);
	DROP(B, LINK_CLOSE, 2, "", 0);
	BROKEN(B, LINK_CLOSE, 2, "", 0);
	ledger_cut(l, 77, tell);
	assert_false(tell[0] || tell[1]);
}

static void
test_programs_are_known(void **state)
{
	(void)state;
	assert_true(ledger_is_program((const uint8_t *)"exec", 4));
	assert_true(ledger_is_program((const uint8_t *)"shell", 5));
	assert_true(ledger_is_program((const uint8_t *)"subsystem", 9));
	assert_false(ledger_is_program((const uint8_t *)"exe", 3));
	assert_false(ledger_is_program((const uint8_t *)"pty-req", 7));
}

/* Else a scp that no target starts would have the output of a shell read as files, and hide it behind hashes. */
static void
test_a_channel_runs_one_program(void **state)
{
	struct ledger *l = *state;

	open_session(l, 1);
	ASK(F, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\11subsystem\1\0\0\0\4sftp", 26);
	PASS(F, LINK_REQUEST, 1, "\0\0\0\2\0\0\0\5break\0", 14);
	BROKEN(F, LINK_REQUEST, 1, "\0\0\0\3\0\0\0\4exec\1\0\0\0\2ls", 19);
	open_session(l, 2);
	ASK(F, LINK_REQUEST, 2, "\0\0\0\1\0\0\0\5shell\1", 14);
	PASS(B, LINK_REPLY, 2, "\0\0\0\1\0", 5);
	BROKEN(F, LINK_REQUEST, 2, "\0\0\0\2\0\0\0\5shell\1", 14);
}

static void
test_data_ahead_of_a_program_is_known(void **state)
{
	struct ledger *l = *state;

	open_session(l, 1);
	PASS(B, LINK_DATA, 1, "x", 1);
	ASK(F, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\5shell\1", 14);
	PASS(F, LINK_DATA, 1, "x", 1);
	assert_false(ledger_is_early(l, 1));
	open_session(l, 2);
	PASS(F, LINK_DATA, 2, "x", 1);
	ASK(F, LINK_REQUEST, 2, "\0\0\0\1\0\0\0\5shell\1", 14);
	assert_true(ledger_is_early(l, 2));
	assert_false(ledger_is_early(l, 3));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_whole_session_passes),
		T(test_what_needs_a_verdict),
		T(test_variables_cross_by_name),
		T(test_variables_have_a_limit),
		T(test_frames_that_a_side_may_not_send),
		T(test_channel_numbers_belong_to_their_side_and_are_not_used_twice),
		T(test_nothing_on_a_channel_that_is_not_there),
		T(test_a_channel_is_confirmed_once_by_the_other_side),
		T(test_a_refused_channel_drops_what_is_under_way),
		T(test_refused_channels_are_forgotten),
		T(test_channels_have_a_limit),
		T(test_nothing_follows_close_eof_and_end),
		T(test_data_needs_credit),
		T(test_credit_is_given_by_the_other_side),
		T(test_credit_does_not_overflow),
		T(test_a_request_in_several_frames),
		T(test_lengths_have_both_ends),
		T(test_requests_and_replies_count_up),
		T(test_a_channel_that_is_cut_drops_everything),
		T(test_a_channel_runs_one_program),
		T(test_data_ahead_of_a_program_is_known),
		cmocka_unit_test(test_programs_are_known),
		cmocka_unit_test(test_the_name_of_what_is_asked),
	};

	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
