/* What a session's channels did, as events tell; and the record that keeps it. */
#include "config.h"

#include "policy/policy_proto.h"
#include "recorder/sess.h"
#include "recorder/summary.h"
#include "tests/lib/test.h"

static struct summary sum;
static uint64_t now;

static int
setup(void **state)
{
	(void)state;
	summary_init(&sum);
	now = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	summary_done(&sum);
	return 0;
}

static void
add(enum event_way way, uint8_t type, uint32_t channel, const void *data, size_t len)
{
	struct event ev = { .seq = 1,
		.at_ns = ++now,
		.way = way,
		.type = type,
		.channel = channel,
		.data = data,
		.len = len };

	assert_int_equal(summary_add(&sum, &ev), 0);
}

#define SESSION "\0\0\0\7session", 11

static void
test_a_command_in_several_frames_is_known_by_its_beginning(void **state)
{
	static uint8_t part[LINK_REQUEST_PART];

	(void)state;
	memset(part, 'x', sizeof(part));
	memcpy(part, "\0\0\0\1\0\0\0\4exec\1\0\2\0\0begin", 22);
	add(EVENT_FRONT, LINK_OPEN, 1, SESSION);
	add(EVENT_FRONT, LINK_REQUEST, 1, part, sizeof(part));
	add(EVENT_FRONT, LINK_MORE, 1, part, 70000 - sizeof(part));
	assert_string_equal(sum.channels[0].kind, "exec");
	assert_int_equal(strlen(sum.channels[0].command), SESS_COMMAND_MAX);
	assert_memory_equal(sum.channels[0].command, "beginxxx", 8);
}

static void
test_an_interactive_session(void **state)
{
	(void)state;
	add(EVENT_FRONT, LINK_OPEN, 1, SESSION);
	add(EVENT_FRONT, LINK_REQUEST, 1,
	    "\0\0\0\1\0\0\0\7pty-req\1\0\0\0\5xterm\0\0\0\120\0\0\0\30\0\0\0\0\0\0\0\0\0\0\0\0",
	    45);
	add(EVENT_FRONT, LINK_REQUEST, 1, "\0\0\0\2\0\0\0\5shell\1", 14);
	add(EVENT_FRONT, LINK_DATA, 1, "exit\n", 5);
	add(EVENT_BACK, LINK_DATA, 1, "bye", 3);
	add(EVENT_BACK, LINK_DATA_EXT, 1, "\0\0\0\1err!", 8);
	add(EVENT_BACK, LINK_EXIT_STATUS, 1, "\0\0\0\3", 4);
	add(EVENT_BACK, LINK_CLOSE, 1, "", 0);
	assert_int_equal(sum.n_channels, 1);
	assert_string_equal(sum.channels[0].kind, "shell");
	assert_string_equal(sum.channels[0].command, "");
	assert_string_equal(sum.channels[0].term, "xterm");
	assert_true(sum.channels[0].pty);
	assert_int_equal(sum.channels[0].cols, 80);
	assert_int_equal(sum.channels[0].rows, 24);
	assert_int_equal(sum.channels[0].bytes_in, 5);
	assert_int_equal(sum.channels[0].bytes_out, 3);
	assert_int_equal(sum.channels[0].bytes_err, 4);
	assert_int_equal(sum.channels[0].exit, SESS_EXIT_STATUS);
	assert_int_equal(sum.channels[0].exit_status, 3);
	assert_int_equal(sum.channels[0].opened_ns, 1);
	assert_int_equal(sum.channels[0].closed_ns, 8);
	assert_false(sum.channels[0].denied);
}

static void
test_exec_subsystem_and_signal(void **state)
{
	(void)state;
	add(EVENT_FRONT, LINK_OPEN, 1, SESSION);
	add(EVENT_FRONT, LINK_OPEN, 2, SESSION);
	add(EVENT_FRONT, LINK_REQUEST, 2, "\0\0\0\1\0\0\0\4exec\1\0\0\0\2id", 19);
	add(EVENT_FRONT, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\11subsystem\1\0\0\0\4sftp", 26);
	add(EVENT_BACK, LINK_EXIT_SIGNAL, 2, "\0\0\0\4KILL\0\0\0\0\0\0\0\0\0", 17);
	assert_string_equal(sum.channels[0].kind, "subsystem");
	assert_string_equal(sum.channels[0].command, "sftp");
	assert_string_equal(sum.channels[1].kind, "exec");
	assert_string_equal(sum.channels[1].command, "id");
	assert_int_equal(sum.channels[1].exit, SESS_EXIT_SIGNAL);
	assert_string_equal(sum.channels[1].exit_signal, "KILL");
}

static void
test_a_forward_names_its_end(void **state)
{
	(void)state;
	add(EVENT_FRONT, LINK_OPEN, 1, "\0\0\0\14direct-tcpip\0\0\0\3db1\0\0\25\70\0\0\0\0\0\0\0\0",
	    35);
	assert_string_equal(sum.channels[0].kind, "direct-tcpip");
	assert_string_equal(sum.channels[0].command, "db1 5432");
}

static void
test_what_was_denied_says_so(void **state)
{
	static const uint8_t denied[] = "\0\30\2\0\0\0\4exec\0\0\0\0";
	static const uint8_t allowed[] = "\0\30\1\0\0\0\5shell\0\0\0\0";

	(void)state;
	assert_int_equal(denied[1], LINK_REQUEST);
	add(EVENT_FRONT, LINK_OPEN, 1, SESSION);
	add(EVENT_FRONT, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\5shell\1", 14);
	add(EVENT_TO_FRONT, EVENT_VERDICT, 1, allowed, sizeof(allowed) - 1);
	assert_false(sum.channels[0].denied);
	add(EVENT_FRONT, LINK_OPEN, 2, SESSION);
	add(EVENT_FRONT, LINK_REQUEST, 2, "\0\0\0\1\0\0\0\4exec\1\0\0\0\2id", 19);
	add(EVENT_TO_FRONT, EVENT_VERDICT, 2, denied, sizeof(denied) - 1);
	assert_true(sum.channels[1].denied);
	add(EVENT_FRONT, LINK_OPEN, 3, SESSION);
	add(EVENT_BACK, LINK_OPEN_FAIL, 3, "\0\0\0\1\0\0\0\0", 8);
	assert_true(sum.channels[2].denied);
}

/* A replaced command is the one that ran. */
static void
test_a_replacement_is_what_ran(void **state)
{
	(void)state;
	add(EVENT_FRONT, LINK_OPEN, 1, SESSION);
	add(EVENT_FRONT, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\5shell\1", 14);
	add(EVENT_TO_BACK, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\4exec\1\0\0\0\6whoami", 23);
	assert_string_equal(sum.channels[0].kind, "exec");
	assert_string_equal(sum.channels[0].command, "whoami");
}

static void
test_the_address_comes_from_the_back_alone(void **state)
{
	static const uint8_t note[] = "\2\0\0\0\14"
				      "10.0.0.11 22\0\0\0\0";

	(void)state;
	add(EVENT_FRONT, LINK_NOTE, 0, note, sizeof(note) - 1);
	assert_null(sum.address);
	add(EVENT_BACK, LINK_NOTE, 0, note, sizeof(note) - 1);
	assert_string_equal(sum.address, "10.0.0.11 22");
}

static void
test_events_that_do_not_parse_are_passed_over(void **state)
{
	static const uint8_t types[] = { LINK_OPEN, LINK_OPEN_FAIL, LINK_DATA, LINK_DATA_EXT,
		LINK_REQUEST, LINK_EXIT_STATUS, LINK_EXIT_SIGNAL, LINK_CLOSE, LINK_NOTE,
		EVENT_VERDICT, 60 };
	static const uint8_t noise[] = "\2\0\0\0\377\0\0\0\7\0\0\0\3";

	(void)state;
	for (uint32_t ch = 0; ch < 3; ch++)
		for (size_t i = 0; i < N_OF(types); i++)
			for (size_t len = 0; len < sizeof(noise); len++)
				add(EVENT_BACK, types[i], ch, noise, len);
}

static void
test_summaries_have_a_limit(void **state)
{
	(void)state;
	for (uint32_t ch = 1; ch <= SESS_CHANNELS_MAX + 10; ch++) {
		add(EVENT_FRONT, LINK_OPEN, ch, SESSION);
		add(EVENT_FRONT, LINK_DATA, ch, "x", 1);
	}
	assert_int_equal(sum.n_channels, SESS_CHANNELS_MAX);
}

/* The record. */

static void
add_file(uint32_t number, size_t len)
{
	uint8_t data[40000] = { 0, 0, (uint8_t)(number >> 8), (uint8_t)number, 0, 0,
		(uint8_t)(len >> 8), (uint8_t)len };

	memset(data + 8, 'x', len);
	add(EVENT_TO_FRONT, EVENT_FILE, 1, data, 8 + len);
}

static void
test_the_first_files_are_kept_and_all_are_counted(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= SESS_FILES_MAX + 5; i++)
		add_file(i, i);
	assert_int_equal(sum.n_files, SESS_FILES_MAX);
	assert_int_equal(sum.files_total, SESS_FILES_MAX + 5);
	assert_int_equal(strlen(sum.files[0]), 1);
	assert_int_equal(strlen(sum.files[SESS_FILES_MAX - 1]), SESS_FILES_MAX);
	add(EVENT_TO_FRONT, EVENT_FILE, 1, "\0\0\0\1\0\0\0\7x", 9);
	assert_int_equal(sum.files_total, SESS_FILES_MAX + 5);
}

/* What does not fit ends the list: it has no gap. */
static void
test_long_words_about_files_end_the_list(void **state)
{
	(void)state;
	add_file(1, 30000);
	add_file(2, 30000);
	add_file(3, 30000);
	add_file(4, 3);
	assert_int_equal(sum.n_files, 2);
	assert_int_equal(sum.files_total, 4);
}

static void
test_content_that_was_replaced_counts_as_data(void **state)
{
	static const uint8_t content[48] = { 0, 0, 0, 1, [13] = 1, [14] = 0, [15] = 2 };

	(void)state;
	add(EVENT_FRONT, LINK_OPEN, 1, SESSION);
	add(EVENT_FRONT, LINK_DATA, 1, "head", 4);
	add(EVENT_FRONT, EVENT_CONTENT, 1, content, sizeof(content));
	add(EVENT_BACK, EVENT_CONTENT, 1, content, sizeof(content));
	add(EVENT_BACK, EVENT_CONTENT, 1, content, 15);
	add(EVENT_BACK, EVENT_CONTENT, 2, content, sizeof(content));
	assert_int_equal(sum.channels[0].bytes_in, 4 + 65538);
	assert_int_equal(sum.channels[0].bytes_out, 65538);
}

static void
hidden(enum event_way way, uint8_t why)
{
	add(way, EVENT_HIDDEN, 1, (const uint8_t[]){ why, 0, 0, 0, 0 }, 5);
}

/* What sudo and passwd do is nothing to speak of. */
static void
test_hidden_lines_are_counted(void **state)
{
	(void)state;
	add(EVENT_FRONT, LINK_OPEN, 1, SESSION);
	assert_true(unseen_is_empty(&sum.unseen));
	hidden(EVENT_FRONT, VEIL_PROMPT);
	hidden(EVENT_FRONT, VEIL_ANSWERED);
	add(EVENT_FRONT, LINK_DATA, 1, "id\r", 3);
	hidden(EVENT_FRONT, VEIL_PROMPT);
	hidden(EVENT_BACK, VEIL_FEEDBACK);
	hidden(EVENT_FRONT, VEIL_FEEDBACK);
	hidden(EVENT_FRONT, VEIL_MASKED);
	/* Neither Enter by itself nor a cursor key is a line that was shown. */
	add(EVENT_FRONT, LINK_DATA, 1, "\r", 1);
	add(EVENT_FRONT, LINK_DATA, 1, "\033[A", 3);
	hidden(EVENT_FRONT, VEIL_SILENT);
	hidden(EVENT_FRONT, 0);
	hidden(EVENT_FRONT, 200);
	assert_int_equal(unseen_lines(&sum.unseen), 4);
	assert_int_equal(sum.unseen.lines[VEIL_PROMPT], 2);
	assert_int_equal(sum.unseen.lines[VEIL_FEEDBACK], 1);
	assert_int_equal(sum.unseen.answered, 1);
	assert_int_equal(sum.unseen.silent_answered, 0);
	assert_int_equal(sum.unseen.row, 3);
	assert_int_equal(sum.unseen.row_answered, 1);
	assert_false(unseen_is_suspect(&sum.unseen));
}

static void
test_what_looks_like_hidden_commands_is_suspect(void **state)
{
	static const struct {
		const char *marks; /* of enum veil_why; s: a line that is shown */
		bool suspect;
	} cases[] = { { "1717", true }, { "17s17", false }, { "1", false }, { "37", true },
		{ "3", false }, { "1111", false }, { "11111", true }, { "111s111", false },
		{ "27s27s27", false }, { "2127", false }, { "4444", false } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		add(EVENT_FRONT, LINK_OPEN, 1, SESSION);
		for (const char *m = cases[i].marks; *m != '\0'; m++)
			if (*m == 's')
				add(EVENT_FRONT, EVENT_SHOWN, 1, (const uint8_t[40]){ 0 }, 40);
			else
				hidden(EVENT_FRONT, (uint8_t)(*m - '0'));
		assert_int_equal(unseen_is_suspect(&sum.unseen), cases[i].suspect);
		summary_done(&sum);
	}
}

static const uint8_t masked[] = { 0, 0, 0, 2, 0, 0, 0, 3, 'a', 'w', 's', 0, 0, 0, 2, 0, 0, 0, 3,
	'u', 'r', 'l', 0, 0, 0, 1 };

static void
test_masked_places_are_counted_by_rule(void **state)
{
	(void)state;
	add(EVENT_FRONT, LINK_OPEN, 1, SESSION);
	add(EVENT_BACK, EVENT_MASKED, 1, masked, sizeof(masked));
	add(EVENT_FRONT, EVENT_MASKED, 1, masked, sizeof(masked));
	/* Cut short: what is whole counts. */
	add(EVENT_BACK, EVENT_MASKED, 1, masked, 17);
	add(EVENT_BACK, EVENT_MASKED, 1, masked, 3);
	assert_int_equal(sum.unseen.n_masks, 2);
	assert_string_equal(sum.unseen.masks[0].name, "aws");
	assert_int_equal(sum.unseen.masks[0].places, 6);
	assert_int_equal(sum.unseen.masks[1].places, 2);
}

static const uint8_t session_secret[CRYPT_KEY_LEN] = "the key of a session, 32 bytes .";

static struct buf *
make_record(bool ended)
{
	struct buf *opening = buf_new(4096), *end = buf_new(4096), *record = buf_new(8192);
	uint8_t salt[SESS_SALT_LEN] = { 9 }, secret[64] = { 1 };
	struct head digest = { .state = SESS_CLOSED, .n_events = 4, .n_blocks = 1, .last_ns = 6 };
	uint8_t meta[] = "\1\0\0\0\5alice";
	struct sess s = { .opened_wall_ns = 11,
		.conn = 2,
		.leg = 3,
		.durability = 1,
		.meta = meta,
		.meta_len = sizeof(meta) - 1,
		.closed_wall_ns = 12,
		.end_code = 1,
		.end_text = "bye",
		.end_by = "bob",
		.raw_bytes = 100,
		.stored_bytes = 50,
		.channels = sum.channels,
		.n_channels = sum.n_channels,
		.files = sum.files,
		.n_files = sum.n_files,
		.files_total = sum.files_total,
		.unseen = sum.unseen };

	assert_int_equal(head_sign(&digest, secret, s.digest), 0);
	assert_int_equal(sess_put_opening(opening, &s, salt), 0);
	assert_int_equal(sess_put_end(end, &s, salt, session_secret), 0);
	assert_int_equal(sess_put_record(record, opening, 5, ended ? end : NULL, 8), 0);
	buf_free(opening);
	buf_free(end);
	return record;
}

static void
test_totals_are_in_the_record(void **state)
{
	struct buf *record;
	struct sess s;

	(void)state;
	add(EVENT_FRONT, LINK_OPEN, 1, SESSION);
	record = make_record(true);
	assert_int_equal(sess_parse(buf_ptr(record), buf_len(record), &s), 0);
	assert_true(unseen_is_empty(&s.unseen));
	sess_done(&s);
	buf_free(record);
	add(EVENT_BACK, EVENT_MASKED, 1, masked, sizeof(masked));
	for (int i = 0; i < 3; i++) {
		hidden(EVENT_FRONT, VEIL_SILENT);
		hidden(EVENT_FRONT, VEIL_ANSWERED);
	}
	record = make_record(true);
	assert_int_equal(sess_parse(buf_ptr(record), buf_len(record), &s), 0);
	assert_int_equal(s.unseen.n_masks, 2);
	assert_string_equal(s.unseen.masks[1].name, "url");
	assert_int_equal(s.unseen.masks[1].places, 1);
	assert_int_equal(s.unseen.lines[VEIL_SILENT], 3);
	assert_int_equal(s.unseen.answered, 3);
	assert_int_equal(s.unseen.silent_answered, 3);
	assert_int_equal(s.unseen.row, 3);
	assert_int_equal(s.unseen.row_answered, 3);
	sess_done(&s);
	buf_free(record);
}

/* Keys that nobody knows, too many masks, an end in the middle. */
static void
test_bad_totals_are_refused(void **state)
{
	static const struct {
		uint8_t data[8];
		size_t len;
	} bad[] = { { { 1, VEIL_WHYS, 0, 0, 0, 1, 0 }, 7 }, { { 1, 0x84, 0, 0, 0, 1, 0 }, 7 },
		{ { 0, UNSEEN_MASKS_MAX + 1 }, 2 }, { { 0 }, 0 }, { { 0 }, 1 },
		{ { 1, 1, 0, 0 }, 4 }, { { 0, 1, 0, 0, 0, 1, 'a' }, 7 },
		{ { 0, 1, 0, 0, 0, 40 }, 6 } };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf *b = buf_view(bad[i].data, bad[i].len);
		struct unseen u = { .n_masks = 0 };

		assert_non_null(b);
		assert_true(unseen_get(b, &u) < 0);
		unseen_done(&u);
		buf_free(b);
	}
}

static void
test_a_record_comes_back(void **state)
{
	struct buf *record;
	struct sess s;

	(void)state;
	add(EVENT_FRONT, LINK_OPEN, 1, SESSION);
	add(EVENT_FRONT, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\4exec\1\0\0\0\2id", 19);
	add_file(1, 3);
	add_file(2, 4);
	record = make_record(true);
	assert_int_equal(sess_parse(buf_ptr(record), buf_len(record), &s), 0);
	assert_int_equal(s.files_total, 2);
	assert_int_equal(s.state, SESS_CLOSED);
	assert_int_equal(s.opened_wall_ns, 11);
	assert_int_equal(s.closed_wall_ns, 12);
	assert_int_equal(s.open_leaf, 5);
	assert_int_equal(s.close_leaf, 8);
	assert_string_equal(s.end_by, "bob");
	assert_int_equal(s.n_events, 4);
	assert_int_equal(s.n_channels, 1);
	assert_string_equal(s.channels[0].kind, "exec");
	/* What was named needs the key. */
	assert_null(memmem(buf_ptr(record), buf_len(record), "xxxx", 4));
	assert_int_equal(s.n_files, 0);
	assert_string_equal(s.channels[0].command, "");
	assert_int_equal(s.closed_to_us, ERR_SEALED);
	assert_int_equal(
	    sess_open_private(&s, (const uint8_t *)"another key of thirty-two bytes.."), ERR_CHAIN);
	assert_int_equal(s.closed_to_us, ERR_SEALED);
	s.sid[0] ^= 1;
	assert_int_equal(sess_open_private(&s, session_secret), ERR_CHAIN);
	s.sid[0] ^= 1;
	s.private[s.private_len / 2] ^= 1;
	assert_int_equal(sess_open_private(&s, session_secret), ERR_CHAIN);
	s.private[s.private_len / 2] ^= 1;
	assert_int_equal(sess_open_private(&s, session_secret), 0);
	assert_int_equal(s.closed_to_us, 0);
	assert_int_equal(s.n_files, 2);
	assert_string_equal(s.files[1], "xxxx");
	assert_string_equal(s.channels[0].command, "id");
	sess_done(&s);
	buf_free(record);
	record = make_record(false);
	assert_int_equal(sess_parse(buf_ptr(record), buf_len(record), &s), 0);
	assert_int_equal(s.state, SESS_OPEN);
	sess_done(&s);
	buf_free(record);
}

static void
test_a_record_cut_at_any_byte_is_refused(void **state)
{
	struct buf *record;
	struct sess s;

	(void)state;
	add(EVENT_FRONT, LINK_OPEN, 1, SESSION);
	add_file(1, 3);
	record = make_record(true);
	for (size_t len = 0; len < buf_len(record); len++) {
		int r = sess_parse(buf_ptr(record), len, &s);

		/* Right behind the opening it is the record of an open session. */
		if (r == 0) {
			assert_int_equal(s.state, SESS_OPEN);
			sess_done(&s);
		}
	}
	buf_free(record);
}

static void
test_names_are_stable(void **state)
{
	(void)state;
	assert_string_equal(sess_end_name(0), "");
	assert_string_equal(sess_end_name(LINK_END_HOST_KEY), "host-key");
	assert_string_equal(sess_end_name(99), "unknown");
	assert_string_equal(sess_state_name(SESS_TRUNCATED), "truncated");
	assert_string_equal(sess_state_name((enum sess_state)9), "unknown");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_command_in_several_frames_is_known_by_its_beginning),
		T(test_an_interactive_session),
		T(test_exec_subsystem_and_signal),
		T(test_a_forward_names_its_end),
		T(test_what_was_denied_says_so),
		T(test_a_replacement_is_what_ran),
		T(test_the_address_comes_from_the_back_alone),
		T(test_events_that_do_not_parse_are_passed_over),
		T(test_summaries_have_a_limit),
		T(test_the_first_files_are_kept_and_all_are_counted),
		T(test_long_words_about_files_end_the_list),
		T(test_content_that_was_replaced_counts_as_data),
		T(test_hidden_lines_are_counted),
		T(test_what_looks_like_hidden_commands_is_suspect),
		T(test_masked_places_are_counted_by_rule),
		T(test_totals_are_in_the_record),
		T(test_bad_totals_are_refused),
		T(test_a_record_comes_back),
		T(test_a_record_cut_at_any_byte_is_refused),
		T(test_names_are_stable),
	};

	return cmocka_run_group_tests_name("summary", tests, NULL, NULL);
}
