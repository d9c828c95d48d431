/* Requests of a target to the user's agent. */
#include "config.h"

#include "lib/buf.h"
#include "lib/hash.h"
#include "policy/policy_proto.h"
#include "tests/lib/test.h"
#include "tests/unit/watch_rig.h"

enum { FAILURE = 5, REQUEST_IDENTITIES = 11, IDENTITIES_ANSWER = 12, SIGN = 13, SIGNED = 14 };

/* An Ed25519 key of ones as a blob. */
static void
put_key(struct buf *b)
{
	uint8_t point[32];

	memset(point, 1, sizeof(point));
	assert_int_equal(buf_put_cstr(b, "ssh-ed25519"), 0);
	assert_int_equal(buf_put_str(b, point, sizeof(point)), 0);
}

/* A message with a body; b is emptied and holds it. */
static void
frame(struct buf *b, uint8_t type, const void *body, size_t len)
{
	buf_reset(b);
	assert_int_equal(buf_put_u32(b, (uint32_t)len + 1), 0);
	assert_int_equal(buf_put_u8(b, type), 0);
	assert_int_equal(buf_put(b, body, len), 0);
}

static void
sign_request(struct buf *b, const struct buf *key)
{
	struct buf *body = buf_new(70000);

	assert_non_null(body);
	assert_int_equal(buf_put_str(body, buf_ptr(key), buf_len(key)), 0);
	assert_int_equal(buf_put_cstr(body, "what is to be signed"), 0);
	assert_int_equal(buf_put_u32(body, 0), 0);
	frame(b, SIGN, buf_ptr(body), buf_len(body));
	buf_free(body);
}

static void
feed(struct rig *g, enum event_way way, const struct buf *b, size_t piece)
{
	assert_int_equal(rig_feed(g, way, buf_ptr(b), buf_len(b), piece), 0);
}

static void
answer(struct rig *g, uint8_t type, size_t piece)
{
	struct buf *b = buf_new(100);

	assert_non_null(b);
	frame(b, type, "body", 4);
	feed(g, EVENT_FRONT, b, piece);
	buf_free(b);
}

static void
test_signatures_are_told_with_their_key_and_answer(void **state)
{
	char print[HASH_FINGERPRINT_SIZE], want[300];
	struct buf *key = buf_new(1000), *b = buf_new(1000);
	struct rig g;

	(void)state;
	put_key(key);
	hash_fingerprint(print, buf_ptr(key), buf_len(key));
	snprintf(want, sizeof(want),
	    "agent-sign: %s signed\nagent-sign: %s refused\nagent-sign: %s unanswered\n", print,
	    print, print);
	for (size_t piece = 1; piece < 200; piece++) {
		assert_int_equal(rig_start(&g, POL_STREAM_AGENT, ""), 0);
		frame(b, REQUEST_IDENTITIES, NULL, 0);
		feed(&g, EVENT_BACK, b, piece);
		sign_request(b, key);
		feed(&g, EVENT_BACK, b, piece);
		feed(&g, EVENT_BACK, b, piece);
		answer(&g, IDENTITIES_ANSWER, piece);
		answer(&g, SIGNED, piece);
		answer(&g, FAILURE, piece);
		feed(&g, EVENT_BACK, b, piece);
		assert_true(watch_follows(g.w));
		rig_end(&g);
		assert_string_equal(g.remarks, want);
	}
	buf_free(key);
	buf_free(b);
}

/* OpenSSH shows a certificate's key. */
static void
test_a_certificate_is_told_as_its_key(void **state)
{
	char print[HASH_FINGERPRINT_SIZE], want[100];
	struct buf *key = buf_new(1000), *cert = buf_new(9000), *b = buf_new(10000);
	uint8_t point[32];
	struct rig g;

	(void)state;
	put_key(key);
	memset(point, 1, sizeof(point));
	assert_int_equal(buf_put_cstr(cert, "ssh-ed25519-cert-v01@openssh.com"), 0);
	assert_int_equal(buf_put_cstr(cert, "nonce"), 0);
	assert_int_equal(buf_put_str(cert, point, sizeof(point)), 0);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(buf_put_u64(cert, 0), 0);
	hash_fingerprint(print, buf_ptr(key), buf_len(key));
	snprintf(want, sizeof(want), "agent-sign: %s signed\n", print);
	assert_int_equal(rig_start(&g, POL_STREAM_AGENT, ""), 0);
	sign_request(b, cert);
	feed(&g, EVENT_BACK, b, 1000);
	answer(&g, SIGNED, 1000);
	rig_end(&g);
	assert_string_equal(g.remarks, want);
	buf_free(key);
	buf_free(cert);
	buf_free(b);
}

/* What ends the following: each for itself, one byte of the target's at a time. */
static void
test_what_is_not_the_protocol_is_given_up(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{ "\0\0\0\0", 4 },
		{ "\0\4\0\1", 4 },
		{ "\377\377\377\377", 4 },
		{ "\0\0\0\1\15", 5 },
		{ "\0\0\0\5\15\0\0\0\1", 9 },
		{ "\0\0\0\5\15\377\377\377\377", 9 },
	};
	struct rig g;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		assert_int_equal(rig_start(&g, POL_STREAM_AGENT, ""), 0);
		assert_int_equal(rig_feed(&g, EVENT_BACK, bad[i].bytes, bad[i].len - 1, 1), 0);
		assert_true(watch_follows(g.w));
		assert_int_equal(rig_feed(&g, EVENT_BACK, bad[i].bytes + bad[i].len - 1, 1, 1), 0);
		assert_false(watch_follows(g.w));
		assert_string_equal(g.remarks, "unfollowed: not the agent protocol\n");
		assert_int_equal(rig_feed(&g, EVENT_FRONT, "anything", 8, 3), 0);
		rig_end(&g);
		assert_int_equal(g.plain, bad[i].len + 8);
	}
}

static void
test_an_answer_that_nobody_asked_for_is_given_up(void **state)
{
	struct rig g;

	(void)state;
	assert_int_equal(rig_start(&g, POL_STREAM_AGENT, ""), 0);
	answer(&g, SIGNED, 1);
	assert_false(watch_follows(g.w));
	rig_end(&g);
	assert_string_equal(g.remarks, "unfollowed: an agent's answer that nobody asked for\n");
}

/* A key longer than any, and more requests than may wait: nothing grows without end. */
static void
test_what_is_kept_is_bounded(void **state)
{
	static const uint8_t zeros[20000];
	struct buf *key = buf_new(30000), *b = buf_new(70000);
	struct rig g;

	(void)state;
	assert_int_equal(buf_put(key, zeros, sizeof(zeros)), 0);
	assert_int_equal(rig_start(&g, POL_STREAM_AGENT, ""), 0);
	sign_request(b, key);
	feed(&g, EVENT_BACK, b, 4096);
	assert_false(watch_follows(g.w));
	rig_end(&g);
	assert_string_equal(g.remarks, "unfollowed: too many agent requests, or too long a key\n");

	frame(b, REQUEST_IDENTITIES, NULL, 0);
	assert_int_equal(rig_start(&g, POL_STREAM_AGENT, ""), 0);
	for (size_t i = 0; i < WATCH_PENDING_MAX; i++)
		feed(&g, EVENT_BACK, b, 100);
	assert_true(watch_follows(g.w));
	feed(&g, EVENT_BACK, b, 100);
	assert_false(watch_follows(g.w));
	rig_end(&g);
	assert_string_equal(g.remarks, "unfollowed: too many agent requests, or too long a key\n");
	buf_free(key);
	buf_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signatures_are_told_with_their_key_and_answer),
		cmocka_unit_test(test_a_certificate_is_told_as_its_key),
		cmocka_unit_test(test_what_is_not_the_protocol_is_given_up),
		cmocka_unit_test(test_an_answer_that_nobody_asked_for_is_given_up),
		cmocka_unit_test(test_what_is_kept_is_bounded),
	};

	if (hash_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
